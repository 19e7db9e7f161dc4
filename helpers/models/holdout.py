"""How far to trust a forecast: the purchase model on a period that it has not seen."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.errors import DataError, UsageError
from helpers.models import btyd
from helpers.models.forecast import MODEL, Day, counted, states_at, why_not
from helpers.models.terms import Horizon


@dataclass(frozen=True)
class Holdout:
    """How the purchase model did on a period that it had not seen, against naive rules.

    ``reason``: why there is no check, and then everything else is None or empty. ``scores``: one
    row per rule: orders (forecast), actual, error, bias (error / actual), and per customer mae,
    rmse and msle. ``low`` and ``high``: the model's own 90% interval of the total. ``bins``: mean
    holdout orders of a customer by frequency before the cutoff: frequency ("0" to "7+"), customers,
    actual and one column per rule. ``best``: the rule with the lowest rmse (mae would be won by
    forecasting zero for everyone); ``best_total``: the one nearest to the total; ``verdict`` says
    it in a sentence.
    """

    reason: str
    cutoff: pd.Timestamp
    end: pd.Timestamp
    scores: pd.DataFrame | None = None
    bins: pd.DataFrame | None = None
    best: str = ""
    best_total: str = ""
    verdict: str = ""
    fit: btyd.PurchaseFit | None = None
    low: float = np.nan
    high: float = np.nan

    @property
    def inside(self) -> bool:
        """Whether the actual total lies in the model's own interval."""
        return self.scores is not None and self.low <= self.scores["actual"].iloc[0] <= self.high

    @property
    def bias(self) -> float:
        """The model's error of the total, as a share of actual orders; missing without a check."""
        return np.nan if self.scores is None else float(self.scores["bias"].iloc[0])


def holdout_cutoff(first_day: Day, as_of: Day, horizon: Horizon) -> pd.Timestamp:
    """Choose the day that ends the calibration: the horizon before ``as_of``, at most half way."""
    days = (pd.Timestamp(as_of) - pd.Timestamp(first_day)).days
    return pd.Timestamp(as_of) - pd.Timedelta(days=int(min(horizon.days, days / 2)))


def holdout_check(
    holdout_states: pd.DataFrame,
    *,
    cutoff: Day,
    end: Day,
    days_per_unit: float = 7.0,
    last_bin: int = 7,
    min_days: int = 28,
) -> Holdout:
    """Fit on what was known at ``cutoff``, forecast to ``end``, and compare with what happened.

    ``holdout_states``: one row per distinct state at the cutoff and count of purchase days after
    it, up to ``end``: frequency, first_day, last_day, holdout_frequency, n; every customer seen by
    the cutoff, also those without a holdout order. Customers first seen later are no part of it.
    The naive rules: each at their own past rate (x / T), and as many orders as in as long a stretch
    before (column previous_frequency if it is there, else x, or its share by time where T is
    longer). Where the data cannot carry a check, ``reason`` says so and there is no number.
    """
    cutoff, end = pd.Timestamp(cutoff), pd.Timestamp(end)
    if end <= cutoff:
        raise UsageError(f"end == {end:%Y-%m-%d}, must be after cutoff {cutoff:%Y-%m-%d}.")
    reason = why_not(holdout_states, cutoff)
    if not reason and (end - cutoff).days < min_days:
        reason = f"{counted((end - cutoff).days, 'day')} held out: a check needs {min_days}."
    if not reason and not holdout_states["holdout_frequency"].sum():
        reason = "Nobody who was a customer at the cutoff has bought since: nothing to compare."
    if reason:
        return Holdout(reason, cutoff, end)
    at = states_at(holdout_states, cutoff, days_per_unit)
    try:
        fit = btyd.fit_bgnbd(at)
    except DataError as fault:
        return Holdout(str(fault), cutoff, end)
    t = (end - cutoff).days / days_per_unit
    count = btyd.same_count(at, t)
    if "previous_frequency" in holdout_states:
        count = holdout_states["previous_frequency"].to_numpy(float)
    rules = {
        MODEL: btyd.expected_purchases(fit, at, t),
        "same rate": btyd.same_rate(at, t),
        "same count": count,
    }
    actual = holdout_states["holdout_frequency"].to_numpy(float)
    scores = _scores(rules, actual, at.n)
    best = scores.loc[scores["rmse"].idxmin(), "rule"]
    best_total = scores.loc[scores["error"].abs().idxmin(), "rule"]
    bins = _bins(rules, actual, at, last_bin)
    verdict = _verdict(best, best_total)
    low, high = _total_interval(fit, at, t)
    return Holdout("", cutoff, end, scores, bins, best, best_total, verdict, fit, low, high)


def _total_interval(
    fit: btyd.PurchaseFit, at: btyd.States, t: float, *, draws: int = 200, most: int = 20_000
) -> tuple[float, float]:
    """Give the 90% predictive interval of the total, from parameter draws and simulated customers.

    Above ``most`` customers an even sample is simulated, and its noise scaled to all of them.
    """
    rng = np.random.default_rng(0)
    rows = np.repeat(np.arange(len(at)), at.n.astype(int))
    share = min(1.0, most / len(rows))
    rows = rows[np.linspace(0, len(rows) - 1, round(len(rows) * share)).astype(int)]
    each = btyd.States(at.frequency[rows], at.recency[rows], at.T[rows], None, at.days_per_unit)
    totals, means = [], []
    for move in fit.log_draws(draws, rng):
        moved = fit.shifted(move)
        totals.append(len(btyd.simulate_purchases(moved, each, t, rng).row))
        means.append(float(btyd.expected_purchases(moved, each, t).sum()))
    noise = (np.array(totals) - np.array(means)) / np.sqrt(share)
    found = np.quantile(np.array(means) / share + noise, [0.05, 0.95])
    return float(found[0]), float(found[1])


def _scores(rules: dict[str, np.ndarray], actual: np.ndarray, n: np.ndarray) -> pd.DataFrame:
    rows = []
    for rule, forecast in rules.items():
        miss, total = forecast - actual, (n * actual).sum()
        ratio = np.log1p(forecast) - np.log1p(actual)
        rows.append(
            {
                "rule": rule,
                "orders": (n * forecast).sum(),
                "actual": total,
                "error": (n * miss).sum(),
                "bias": (n * miss).sum() / total,
                "mae": np.average(np.abs(miss), weights=n),
                "rmse": np.sqrt(np.average(miss**2, weights=n)),
                "msle": np.average(ratio**2, weights=n),
            }
        )
    return pd.DataFrame(rows)


def _bins(rules: dict, actual: np.ndarray, at: btyd.States, last: int) -> pd.DataFrame:
    """Mean holdout orders of a customer by frequency; a frequency nobody has gets no row."""
    code = np.minimum(at.frequency, last).astype(int)
    customers = np.bincount(code, at.n, last + 1)
    names = [f"{k}+" if k == last else str(k) for k in range(last + 1)]
    seen = customers > 0
    table = {"frequency": np.array(names)[seen], "customers": customers[seen].astype(int)}
    for name, orders in {"actual": actual, **rules}.items():
        table[name] = np.bincount(code, at.n * orders, last + 1)[seen] / customers[seen]
    return pd.DataFrame(table)


def _verdict(best: str, best_total: str) -> str:
    if best == best_total == MODEL:
        return f"{MODEL} beats the naive rules, customer by customer and in total."
    if best == MODEL:
        return f"{MODEL} is closest customer by customer; in total '{best_total}' is closer."
    if best_total == MODEL:
        return f"{MODEL} is closest in total; customer by customer '{best}' is closer."
    return f"{MODEL} does not beat the naive rules: '{best}' is closer customer by customer" + (
        " and in total." if best == best_total else f", '{best_total}' in total."
    )


def tracking(states: pd.DataFrame, fit: btyd.PurchaseFit, end: Day) -> pd.DataFrame:
    """Repeat orders expected each day from these customers' first days on, to hold against fact.

    ``states``: first_day and n. One row per day from the first first_day to ``end``: day, expected,
    cumulative. Daily counts of new customers meet the daily steps of E[X(t)] in a convolution.
    """
    first = pd.to_datetime(states["first_day"])
    start, end = first.min(), pd.Timestamp(end)
    days = pd.date_range(start, end)
    born = np.bincount((first - start).dt.days, states["n"], len(days))[: len(days)]
    curve = btyd.expected_purchases_new(fit, np.arange(len(days)) / fit.days_per_unit)
    expected = np.convolve(born, np.diff(curve, prepend=0.0))[: len(days)]
    return pd.DataFrame({"day": days, "expected": expected, "cumulative": expected.cumsum()})
