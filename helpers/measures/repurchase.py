"""Do customers come back: waits between purchases, repeat purchase, inactivity, churn."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from helpers.errors import UsageError
from helpers.measures.metrics import DAYS_PER_MONTH, Estimate, wilson
from helpers.summaries.expressions import MOST_WAITS


def survival(
    gaps: pd.DataFrame, *, order_number: int | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Show which share is still waiting for the next purchase after so many days.

    Kaplan-Meier (1958) on counted waits with Greenwood's variance and a log-log interval; where
    the estimate is 0 or 1, Wilson's with the number at risk. A wait that is still open counts for
    the days it was seen, so the age of customers is not needed; it assumes that later customers
    wait like earlier ones. ``order_number`` 1 is from first to second purchase day; None pools
    all gaps, in which frequent buyers weigh more. One row per distinct length:
    days, at_risk, events, waiting, low, high.
    """
    rows = gaps if order_number is None else gaps[gaps["order_number"] == order_number]
    days, place = np.unique(rows["days"], return_inverse=True)
    n = rows["n"].to_numpy(dtype=float)
    every = np.bincount(place, weights=n, minlength=len(days))
    closed = n * rows["event"].to_numpy(dtype=bool)
    events = np.bincount(place, weights=closed, minlength=len(days))
    at_risk = every[::-1].cumsum()[::-1]
    left = at_risk - events
    waiting = np.cumprod(left / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(events / (at_risk * left))
        half = stats.norm.ppf((1 + level) / 2) * np.sqrt(greenwood) / np.abs(np.log(waiting))
        low, high = waiting ** np.exp(half), waiting ** np.exp(-half)
    edge = (waiting == 0) | (waiting == 1)
    ends = wilson(np.where(waiting == 1, at_risk, 0), at_risk, level=level)
    low, high = np.where(edge, ends.low, low), np.where(edge, ends.high, high)
    facts = {"days": days, "at_risk": at_risk, "events": events}
    return pd.DataFrame({**facts, "waiting": waiting, "low": low, "high": high})


def observed(curve: pd.DataFrame, least: int) -> pd.DataFrame:
    """Keep the part of a survival curve at which at least so many customers are still at risk."""
    return curve[curve["at_risk"] >= least].reset_index(drop=True)


def repeat_within(
    gaps: pd.DataFrame, days: int, *, order_number: int = 1, level: float = 0.95
) -> Estimate:
    """Estimate which share of customers buys again within so many days.

    1 - share still waiting after ``days`` (see ``survival``). ``n`` is the number still observed
    and waiting on that day; missing when nobody is, unless no wait is open at all.
    """
    if days < 1:
        raise UsageError(f"days == {days}, must be 1 or more.")
    rows = gaps[gaps["order_number"] == order_number]
    at_risk = int(rows.loc[rows["days"] >= days, "n"].sum())
    open_waits = rows.loc[~rows["event"].astype(bool), "n"].sum()
    if rows["n"].sum() == 0 or (at_risk == 0 and open_waits > 0):
        reason = f"No customer has been observed waiting for {days} days."
        return Estimate(np.nan, np.nan, np.nan, at_risk, reason)
    curve = survival(rows, level=level)
    curve = curve[curve["days"] <= days]
    if curve.empty:
        ends = wilson(0, at_risk, level=level)
        return Estimate(0.0, 0.0, float(ends.high), at_risk)
    last = curve.iloc[-1]
    low, high = last["low"], last["high"]
    if last["waiting"] == 1:
        low, high = wilson(at_risk, at_risk, level=level)[2:]
    return Estimate(1 - float(last["waiting"]), 1 - float(high), 1 - float(low), at_risk)


def gap_distribution(
    gaps: pd.DataFrame, *, order_number: int | None = None, step: int = 30, least: int = 30
) -> pd.DataFrame:
    """Show when next purchases come: the share of all who wait, by days since the last purchase.

    S(start) - S(end) of the Kaplan-Meier curve in each step of days, which counts long waits of
    late customers as long as they were seen (a histogram of closed gaps would be too short). One
    row per step, while at least ``least`` are still waiting at its start: days (its first),
    until (its last), share, again (of those waiting at its start, who buy in it), at_risk.
    """
    rows = gaps if order_number is None else gaps[gaps["order_number"] == order_number]
    columns = ["days", "until", "share", "again", "at_risk"]
    if rows.empty:
        return pd.DataFrame(columns=columns)
    curve = survival(rows)
    lines, left = [], 1.0
    for start in range(0, int(curve["days"].max()) + 1, step):
        at_risk = float(rows.loc[rows["days"] >= start, "n"].sum())
        if at_risk < max(least, 1):
            break
        seen = curve[curve["days"] < start + step]
        waiting = float(seen["waiting"].iloc[-1]) if len(seen) else 1.0
        again = 1 - waiting / left if left > 0 else np.nan
        lines.append((start, start + step - 1, left - waiting, again, int(at_risk)))
        left = waiting
    # In the last step few may be seen to its end, so its share would be too low.
    return pd.DataFrame(lines[:-1] if len(lines) > 1 else lines, columns=columns)


def next_windows(
    gaps: pd.DataFrame, parts: pd.DataFrame, *, horizon: int = 365, least: int = 30
) -> pd.DataFrame:
    """Say in which days after an order the next one is to be expected.

    By number of the purchase (the last row: 4 and more): of those whose next purchase comes within
    ``horizon`` days (or as long as ``least`` are still seen waiting, if shorter), a quarter has
    come by ``opens``, half by ``middle`` and three quarters by ``closes``. Columns: after (text),
    waits, again (the share that buys within it), opens, middle, closes, low and high (of again; in
    the last row, where a customer has several waits, from the summary gap_parts, as for
    `churn_rate`), horizon; missing where fewer than ``least`` waits were seen.
    """
    lines = []
    for number in range(1, MOST_WAITS + 1):
        last = number == MOST_WAITS
        rows = gaps[gaps["order_number"] >= number if last else gaps["order_number"] == number]
        name = f"{number} or more" if last else str(number)
        waits = int(rows["n"].sum())
        curve = observed(survival(rows), least) if waits else pd.DataFrame()
        curve = curve[curve["days"] <= horizon] if len(curve) else curve
        if waits < least or curve.empty or not curve["events"].sum():
            lines.append((name, waits, *[np.nan] * 7))
            continue
        end = curve.iloc[-1]
        came, total = 1 - curve["waiting"], 1 - end["waiting"]
        days = [float(curve.loc[came >= q * total - 1e-12, "days"].iloc[0]) for q in _QUARTERS]
        seen = min(horizon, int(rows.loc[_still(rows, least), "days"].max()))
        low, high = (end["low"], end["high"]) if not last else (np.nan, np.nan)
        several = parts[parts["order_number"] == number]
        if last and several["part"].nunique() > 2:
            lost = np.append(end["waiting"], _without_each(several, seen)[:, 1])
            (high,), (low,) = (np.exp(-np.exp(x)) for x in _jackknife(_loglog(lost)[:, None]))
        lines.append((name, waits, seen, total, 1 - high, 1 - low, *days))
    columns = ["after", "waits", "horizon", "again", "low", "high", "opens", "middle", "closes"]
    shown = ["after", "waits", "again", "opens", "middle", "closes", "low", "high", "horizon"]
    return pd.DataFrame(lines, columns=columns)[shown]


_QUARTERS = (0.25, 0.5, 0.75)


def _still(rows: pd.DataFrame, least: int) -> pd.Series:
    """Mark the waits at whose length at least so many are still seen waiting."""
    ordered = rows.sort_values("days", ascending=False)
    at_risk = ordered["n"].cumsum()
    return (at_risk >= least).reindex(rows.index)


@dataclass(frozen=True)
class Window:
    """The wait after which a customer counts as lost, and what that choice costs.

    Of the gaps that close within ``horizon`` days, ``quantile`` have closed within ``days``;
    ``come_back`` is the share of those called lost who buy again by ``horizon`` all the same.
    """

    days: int | None
    quantile: float
    horizon: int | None = None
    come_back: float = np.nan
    closed: int = 0
    open: int = 0
    reason: str = ""


def inactivity_window(
    gaps: pd.DataFrame, *, quantile: float = 0.9, min_at_risk: int = 30
) -> Window:
    """Find after how many days without a purchase most returning customers would have returned.

    The shortest wait t with F(t) >= quantile x F(horizon), where F is one minus the Kaplan-Meier
    share still waiting over all gaps and horizon is the longest wait at which a gap closed with
    at least ``min_at_risk`` still at risk. The plain percentile of closed gaps would be too short,
    since long gaps of late customers are still open. Gaps longer than the horizon are unknown.
    """
    if not 0 < quantile < 1:
        raise UsageError(f"quantile == {quantile}, must be between 0 and 1.")
    event = gaps["event"].astype(bool)
    closed, still = int(gaps.loc[event, "n"].sum()), int(gaps.loc[~event, "n"].sum())
    curve = survival(gaps)
    seen = curve[(curve["at_risk"] >= min_at_risk) & (curve["events"] > 0)]
    if seen.empty:
        reason = f"No repeat purchase was seen with {min_at_risk} or more customers waiting."
        return Window(None, quantile, closed=closed, open=still, reason=reason)
    returned = 1 - seen["waiting"].to_numpy()
    at = int(np.argmax(returned >= quantile * returned[-1] * (1 - 1e-12)))
    come_back = 0.0 if returned[at] == 1 else (returned[-1] - returned[at]) / (1 - returned[at])
    days, horizon = int(seen["days"].iloc[at]), int(seen["days"].iloc[-1])
    return Window(days, quantile, horizon, float(come_back), closed, still)


@dataclass(frozen=True)
class Churn:
    """Customers lost per active customer-month under an inactivity window, with its interval.

    ``lost_share`` (with interval) is the share of purchases that no other follows within the
    window, ``active_months`` how long a customer stays active after a purchase, ``n`` the number
    of waits still observed at the window's end.
    """

    rate: float
    low: float
    high: float
    window_days: int
    lost_share: float = np.nan
    lost_low: float = np.nan
    lost_high: float = np.nan
    active_months: float = np.nan
    n: int = 0
    reason: str = ""


def churn_rate(
    gaps: pd.DataFrame,
    window_days: int,
    *,
    parts: pd.DataFrame | None = None,
    level: float = 0.95,
) -> Churn:
    """Estimate which share of active customers the shop loses in a month.

    A customer is active from a purchase day until the next, but for ``window_days`` at most, and
    is lost when the window passes (a later purchase makes them active again).
    rate = S(window) / mean of min(wait, window) in months of 365.25/12 days, with S and the
    restricted mean from Kaplan-Meier over all waits, so that a young shop, whose late customers
    cannot have been lost yet, does not look loyal. Consequence: a longer window means a lower rate.
    Interval: with ``parts`` (the summary gap_parts) a jackknife that leaves out one part of the
    customers at a time, for the gaps of one customer are alike; else the delta method on the log
    with Greenwood's variance, as if each gap were another customer's. Missing until a wait as long
    as the window has been observed; 0, without interval, where every wait closed in time.
    Pair it only with revenue per active customer-month, never with revenue per buyer of a month.
    """
    if window_days < 1:
        raise UsageError(f"window_days == {window_days}, must be 1 or more.")
    observed = int(gaps.loc[gaps["days"] >= window_days, "n"].sum())
    if observed == 0:
        reason = f"The history holds no wait as long as the window of {window_days} days."
        return Churn(np.nan, np.nan, np.nan, window_days, reason=reason)
    curve = survival(gaps)
    curve = curve[curve["days"] <= window_days]
    waiting, at_risk, events = (curve[c].to_numpy() for c in ("waiting", "at_risk", "events"))
    days = curve["days"].to_numpy(dtype=float)
    # Area under the curve from each day to the window's end; before the first day all wait.
    after = np.append(np.diff(np.append(days, window_days)) * waiting, 0.0)[::-1].cumsum()[::-1]
    mean = (days[0] + after[0]) if days.size else float(window_days)
    share = float(waiting[-1]) if days.size else 1.0
    found = {"window_days": window_days, "active_months": float(mean) / DAYS_PER_MONTH}
    found |= {"lost_share": share, "n": observed}
    if 0 < share < 1:
        ends = curve[["low", "high"]].iloc[-1]
        found |= {"lost_low": float(ends["low"]), "lost_high": float(ends["high"])}
    if share == 0:
        reason = f"Every customer bought again within {window_days} days, so none was lost."
        return Churn(0.0, np.nan, np.nan, **found, reason=reason)
    rate = share / found["active_months"]
    if parts is not None and parts["part"].nunique() > 2:
        return _jackknifed(Churn(rate, np.nan, np.nan, **found), parts, level)
    noise = (1 - after[:-1] / mean) ** 2 * events / (at_risk * (at_risk - events))
    se = float(np.sqrt(noise.sum())) or np.nan
    spread = float(np.exp(stats.norm.ppf((1 + level) / 2) * se))
    return Churn(rate, rate / spread, rate * spread, **found)


def _jackknifed(found: Churn, parts: pd.DataFrame, level: float) -> Churn:
    """Give churn its intervals: log of the rate, log of -log of the share lost, part by part."""
    values = np.vstack([(found.rate, found.lost_share), _without_each(parts, found.window_days)])
    with np.errstate(divide="ignore"):
        scale = np.column_stack([np.log(values[:, 0]), _loglog(values[:, 1])])
    low, high = (np.exp(ends) for ends in _jackknife(scale, level))
    return replace(
        found, low=float(low[0]), high=float(high[0]),
        lost_low=float(np.exp(-high[1])), lost_high=float(np.exp(-low[1])),
    )  # fmt: skip


def _loglog(share: np.ndarray) -> np.ndarray:
    """Give log(-log(share)), the scale on which survival strays evenly."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(-np.log(share))


def _jackknife(values: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Give low and high by column: the first row is of all, then one for each part left out."""
    whole, apart = values[0], values[1:]
    n = len(apart)
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt((n - 1) / n * ((apart - apart.mean(axis=0)) ** 2).sum(axis=0))
    half = stats.t.ppf((1 + level) / 2, n - 1) * se
    return whole - half, whole + half


def _without_each(parts: pd.DataFrame, window: int) -> np.ndarray:
    """Give churn and the share lost of all parts but one: a row for each part left out."""
    names, part = np.unique(parts["part"], return_inverse=True)
    days, day = np.unique(parts["days"], return_inverse=True)
    counts = np.zeros((2, len(names), len(days)))
    np.add.at(counts, (parts["event"].to_numpy(dtype=int), part, day), parts["n"].to_numpy(float))
    still, closed = counts.sum(axis=1, keepdims=True) - counts
    at_risk = (closed + still)[:, ::-1].cumsum(axis=1)[:, ::-1]
    waiting = np.cumprod(1 - closed / np.maximum(at_risk, 1), axis=1)
    inside = days <= window
    ends = np.append(days[inside], window).astype(float)
    steps = np.column_stack([np.ones(len(names)), waiting[:, inside]])
    mean = steps @ np.diff(np.append(0.0, ends)) / DAYS_PER_MONTH
    share = steps[:, -1]
    # Without a wait as long as the window nothing can be said of it.
    seen = (closed + still)[:, days >= window].sum(axis=1) > 0
    return np.where(seen[:, None], np.column_stack([share / mean, share]), np.nan)
