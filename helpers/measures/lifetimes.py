"""How long customers without a contract stay: windows, retention by month, lifetime, who leaves."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from scipy import stats

from helpers.errors import UsageError
from helpers.measures import ltv, repurchase
from helpers.measures.metrics import DAYS_PER_MONTH, Estimate, wilson

QUANTILES = (0.8, 0.85, 0.9, 0.95, 0.98)
# The longest lifetime, in months, that a formula may promise where churn is near zero.
CAP = 60.0
_WINDOWS = ["quantile", "days", "come_back", "churn", "low", "high", "lifetime", "value", "reason"]


def windows(
    periods: pd.DataFrame,
    gaps: pd.DataFrame,
    *,
    parts: pd.DataFrame | None = None,
    quantiles: Sequence[float] = QUANTILES,
) -> pd.DataFrame:
    """Show what the choice of the inactivity window does to churn, lifetime and formula value.

    One row per quantile: the window in days, the share of those called lost who come back later,
    churn per month with interval, lifetime (1 / churn, months), the formula's value, and the
    reason where there is none. Windows of the same length stand once.
    """
    rows = []
    for quantile in quantiles:
        window = repurchase.inactivity_window(gaps, quantile=quantile)
        if window.days is None:
            nothing = [np.nan] * 7
            rows.append((quantile, *nothing, window.reason))
            continue
        value, churn = ltv.ltv_formula_history(
            periods, gaps, window_days=max(window.days, 1), parts=parts
        )
        if churn.rate > 1:
            short = "History is too short: everybody would be lost within a month."
            rows.append((quantile, window.days, *[np.nan] * 6, short))
            continue
        months = ltv.divided(1.0, churn.rate)
        rows.append((quantile, window.days, window.come_back, churn.rate, churn.low, churn.high,
                     months, value.value, value.reason))  # fmt: skip
    return pd.DataFrame(rows, columns=_WINDOWS).drop_duplicates("days", ignore_index=True)


def retention_months(
    stock: pd.DataFrame, *, since: date | None = None, smooth: int = 6, level: float = 0.95
) -> pd.DataFrame:
    """Follow the active customers from month to month: retained, lost, new, come back.

    ``stock`` is the summary active_stock. One row per month: at_start (S), kept, lost, new_active
    (N), back (active at the end, neither kept nor new), at_end (E), crr (kept / S, with Wilson's
    interval), crr_formula ((E - N) / S, in which those who came back count as retained), churn
    (lost / S) and churn_smooth: lost over S, both summed over the last ``smooth`` months. Missing
    where the month before is not known, from ``since`` on, or where nobody was active.
    """
    if smooth < 1:
        raise UsageError(f"smooth == {smooth}, must be 1 month or more.")
    rows = stock.sort_values("start", ignore_index=True)
    start = pd.to_datetime(rows["start"])
    follows = start.shift() + pd.DateOffset(months=1) == start
    known = follows if since is None else follows & (start.shift() >= pd.Timestamp(since))
    before = rows["active"].shift().where(known)
    before = before.where(before > 0)
    kept = rows["kept"].where(before.notna())
    lost = before - kept
    share = wilson(kept, before, level=level)
    sums = [column.rolling(smooth, min_periods=smooth).sum() for column in (lost, before)]
    return pd.DataFrame({
        "start": start, "at_start": before, "kept": kept, "lost": lost,
        "new_active": rows["new_active"],
        "back": rows["active"] - rows["kept"] - rows["new_active"],
        "at_end": rows["active"], "crr": share.value, "crr_low": share.low, "crr_high": share.high,
        "crr_formula": (rows["active"] - rows["new_active"]) / before,
        "churn": lost / before, "churn_smooth": sums[0] / sums[1],
    })  # fmt: skip


def formula_months(
    retained: pd.DataFrame, periods: pd.DataFrame, *, cap: float = CAP
) -> pd.DataFrame:
    """Show how far the formula's value jumps with one month's churn, and what smoothing does.

    ARPU x margin rate / churn with the month's own revenue per active customer (mean of start and
    end), margin rate, and churn: as it was, and smoothed. Lifetimes are capped at ``cap`` months.
    One row per month and kind of churn: start, churn, value, note (why capped, or no value).
    """
    months = periods[(periods["grain"] == "month") & (periods["dimension"] == "all")]
    both = retained.merge(months[["start", "revenue", "margin", "margin_revenue"]], on="start")
    arpu = both["revenue"] / ((both["at_start"] + both["at_end"]) / 2)
    rate = both["margin"] / both["margin_revenue"].where(both["margin_revenue"] > 0)
    rows = []
    for name, column in (("of the month", "churn"), ("smoothed", "churn_smooth")):
        for start, *inputs in zip(both["start"], arpu, rate, both[column], strict=True):
            if pd.notna(inputs[2]):
                found = ltv.ltv_formula(*map(float, inputs), cap=cap)
                rows.append((start, name, inputs[2], found.value, found.reason or found.note))
    return pd.DataFrame(rows, columns=["start", "kind", "churn", "value", "note"])


# -- lifetime --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lifetime:
    """How long customers stay: of those who ended, and of all, over a stated horizon.

    ``mean_ended`` and ``median_ended`` are days from first to last purchase of the ``ended``
    customers (LD): too short, since long lives are still open. ``restricted`` is the mean over all
    customers of days lived within ``horizon`` (ACL), with its interval.
    """

    ended: int
    open: int
    mean_ended: float
    median_ended: float
    horizon: int
    restricted: Estimate


def durations(
    states: pd.DataFrame, window_days: int, as_of: date, *, left_truncated: Collection = ()
) -> pd.DataFrame:
    """Give the days from first to last purchase, whether they ended, and of how many customers.

    A life has ended where no purchase followed the last for ``window_days``. Everybody is followed
    to ``as_of`` less the window, beyond which nobody can be known to be lost: a life that was not
    over by then is censored there, whatever came later. Customers who joined after that day say
    nothing yet and are left out, as are those of a left-truncated month.
    """
    first, last = pd.to_datetime(states["first_day"]), pd.to_datetime(states["last_day"])
    joined = first.dt.to_period("M").dt.start_time
    followed = (pd.Timestamp(as_of) - pd.Timedelta(days=window_days) - first).dt.days
    kept = ~joined.isin(pd.to_datetime(list(left_truncated))) & (followed >= 0)
    lived = (last - first).dt.days
    found = {"days": np.minimum(lived, followed), "event": lived <= followed, "n": states["n"]}
    return pd.DataFrame(found)[kept].groupby(["days", "event"], as_index=False)["n"].sum()


def lifetime(
    lives: pd.DataFrame, *, most: int = 730, min_at_risk: int = 30, level: float = 0.95
) -> Lifetime:
    """Estimate how long customers stay, from first to last purchase.

    The restricted mean is the area under Kaplan-Meier's curve up to a horizon: ``most`` days, or
    the last day with ``min_at_risk`` customers still followed, if that is sooner. Interval from
    Greenwood's variance (Klein and Moeschberger, Survival Analysis, 2003, 4.5).
    """
    ended = lives[lives["event"].astype(bool)]
    number, still = int(ended["n"].sum()), int(lives["n"].sum() - ended["n"].sum())
    mean = float((ended["days"] * ended["n"]).sum() / number) if number else np.nan
    middle = _weighted_median(ended) if number else np.nan
    curve = repurchase.survival(lives) if len(lives) else pd.DataFrame(columns=["at_risk", "days"])
    seen = curve[curve["at_risk"] >= min_at_risk]
    horizon = int(min(most, seen["days"].max())) if len(seen) else 0
    if horizon < 1:
        reason = f"Fewer than {min_at_risk} customers were followed for a day or more."
        none = Estimate(np.nan, np.nan, np.nan, number + still, reason)
        return Lifetime(number, still, mean, middle, horizon, none)
    area = restricted_mean(curve, horizon, level=level)
    return Lifetime(number, still, mean, middle, horizon, area)


def _weighted_median(rows: pd.DataFrame) -> float:
    ordered = rows.groupby("days")["n"].sum()
    at = ordered.cumsum() >= ordered.sum() / 2
    return float(at.idxmax())


def restricted_mean(curve: pd.DataFrame, horizon: int, *, level: float = 0.95) -> Estimate:
    """Give the area under a survival curve (of `repurchase.survival`) up to a horizon, in days."""
    rows = curve[curve["days"] <= horizon]
    days = np.append(rows["days"].to_numpy(dtype=float), float(horizon))
    waiting = rows["waiting"].to_numpy(dtype=float)
    after = (np.diff(days) * waiting)[::-1].cumsum()[::-1]
    area = float(days[0] + (after[0] if len(after) else 0.0))
    at_risk, events = rows["at_risk"].to_numpy(float), rows["events"].to_numpy(float)
    left = at_risk * (at_risk - events)
    noise = np.divide(after**2 * events, left, out=np.zeros_like(left), where=left > 0)
    half = float(stats.norm.ppf((1 + level) / 2) * np.sqrt(noise.sum()))
    number = int(curve["at_risk"].max()) if len(curve) else 0
    return Estimate(area, max(area - half, 0.0), min(area + half, float(horizon)), number)


def stages(lives: pd.DataFrame, *, days: int = 91, most: int = 8, least: int = 30) -> pd.DataFrame:
    """Show the churn of customers in their first, second, third ... quarter as customers.

    Of those still buying when a stage of ``days`` begins, the share whose last purchase falls in
    it (Kaplan-Meier), and the same per month. Falling churn says that those who leave easily have
    left, not that anybody has changed. Rows end where fewer than ``least`` are followed.
    """
    rows = []
    curve = repurchase.survival(lives) if len(lives) else pd.DataFrame()
    alive = 1.0
    for number in range(most):
        if curve.empty:
            break
        end = (number + 1) * days
        inside = curve[(curve["days"] >= number * days) & (curve["days"] < end)]
        entered = int(lives.loc[lives["days"] >= number * days, "n"].sum())
        if entered < least or not alive > 0 or lives["days"].max() < end:
            break
        left = float(inside["waiting"].iloc[-1]) if len(inside) else alive
        share = 1 - left / alive
        monthly = 1 - (1 - share) ** (DAYS_PER_MONTH / days)
        rows.append((number + 1, entered, share, monthly))
        alive = left
    return pd.DataFrame(rows, columns=["stage", "customers", "lost", "churn"])


# -- one churn rate, and many ----------------------------------------------------------------


WAITS = (7, 14, 30, 60, 90, 120, 180, 365)


def waits(gaps: pd.DataFrame, *, least: int = 10) -> pd.DataFrame:
    """Show how long customers wait from one purchase day to the next.

    Of all waits, the share that ends within each span of days (Kaplan-Meier, so that open waits
    count for the days they were seen): wait ('up to 7 days'), days, share, until (cumulative).
    Ends where fewer than ``least`` waits are still seen; empty without a repeat purchase.
    """
    columns = ["wait", "days", "share", "until"]
    if gaps.empty or not gaps.loc[gaps["event"].astype(bool), "n"].sum():
        return pd.DataFrame(columns=columns)
    curve = repurchase.survival(gaps)
    rows, before, first = [], 0.0, 0
    for days in WAITS:
        if gaps.loc[gaps["days"] >= days, "n"].sum() < least:
            break
        until = 1 - float(curve.loc[curve["days"] <= days, "waiting"].min())
        until = 0.0 if np.isnan(until) else until
        name = f"up to {days} days" if not first else f"{first + 1} to {days} days"
        rows.append((name, days, until - before, until))
        before, first = until, days
    return pd.DataFrame(rows, columns=columns)


# What stands in where the shop's own waits name no window.
_YEAR = 365


@dataclass(frozen=True)
class Leaving:
    """What the shop's own inactivity window says: its days, the formula's value, and churn.

    Where no window can be told, ``days`` is a year, the value has a reason, and churn is missing.
    """

    days: int
    value: ltv.FormulaValue
    churn: repurchase.Churn


def leaving(
    periods: pd.DataFrame, gaps: pd.DataFrame, *, parts: pd.DataFrame | None = None
) -> Leaving:
    """Put the shop's own inactivity window into the formula."""
    window = repurchase.inactivity_window(gaps)
    if window.days is None:
        churn = repurchase.Churn(np.nan, np.nan, np.nan, _YEAR, reason=window.reason)
        name, nothing = "ARPU x margin rate / churn", [np.nan] * 4
        return Leaving(_YEAR, ltv.FormulaValue(name, *nothing, reason=window.reason), churn)
    days = max(window.days, 1)
    return Leaving(days, *ltv.ltv_formula_history(periods, gaps, window_days=days, parts=parts))


def first_closed(history_starts_at: date, window_days: int) -> date:
    """Give the first day on which a customer can have been lost: a window after history starts."""
    return history_starts_at + timedelta(days=window_days)
