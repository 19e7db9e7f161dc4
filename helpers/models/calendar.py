"""The forecast laid over the calendar: repeats by day, the season behind them, whether it helps."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.errors import DataError
from helpers.models import btyd
from helpers.models.forecast import Clock, Day, Models, fit_models
from helpers.models.portfolio import expected_steps
from helpers.models.season import SEASONAL, Season, fit_season, season_why_not


def tracking(states: pd.DataFrame, models: Models, end: Day) -> pd.DataFrame:
    """Repeat orders expected each day from these customers' first days on, to hold against fact.

    ``states``: first_day and n. One row per day from the first first_day to ``end``: day, expected,
    cumulative. Daily counts of new customers meet the daily steps of E[X(t)] in a convolution; with
    a season, by first day on the season's clock.
    """
    first = pd.to_datetime(states["first_day"])
    start, end = first.min(), pd.Timestamp(end)
    days = pd.date_range(start, end)
    born = np.bincount((first - start).dt.days, states["n"], len(days))[: len(days)]
    fit = models.purchase
    if models.season is None:
        curve = btyd.expected_purchases_new(fit, np.arange(len(days)) / fit.days_per_unit)
        expected = np.convolve(born, np.diff(curve, prepend=0.0))[: len(days)]
    else:
        clock = Clock(start, fit.days_per_unit, models.season).ahead(np.arange(len(days)))
        known = np.linspace(0, clock[-1], 400)
        curve = btyd.expected_purchases_new(fit, known)
        total = np.zeros(len(days))
        for place in np.flatnonzero(born):
            total[place:] += born[place] * np.interp(clock[place:] - clock[place], known, curve)
        expected = np.diff(total, prepend=0.0)
    return pd.DataFrame({"day": days, "expected": expected, "cumulative": expected.cumsum()})


def season_of(
    months: pd.DataFrame, states: pd.DataFrame, spend_states: pd.DataFrame, as_of: Day
) -> tuple[Season | None, str]:
    """Estimate the season from repeats by calendar month per customer at risk, or say why not.

    ``months``: ``cohort_months``. At risk are not customers but the repeats that a model without
    season expects of them month by month, since it knows that customers slow down and leave.
    """
    counts = repeats_by_month(months, as_of)
    reason = season_why_not(counts.index.to_numpy("datetime64[M]"), counts.to_numpy())
    if reason:
        return None, reason
    try:
        plain = fit_models(states, spend_states, as_of)
        daily = tracking(states, plain, as_of)
        expected = daily.groupby(daily["day"].dt.to_period("M"))["expected"].sum()
        expected = expected.reindex(counts.index)
        known = expected > 0
        period = counts.index[known].to_timestamp().to_numpy("datetime64[M]")
        season = fit_season(period, counts[known].to_numpy(), expected[known].to_numpy())
    except DataError as fault:
        return None, str(fault)
    return season, ""


def repeats_by_month(months: pd.DataFrame, as_of: Day) -> pd.Series:
    """Count repeat purchase days by calendar month, from the first whole month to ``as_of``."""
    by = months.groupby(pd.to_datetime(months["start"]).dt.to_period("M"))["purchases"].sum()
    every = pd.period_range(by.index.min(), pd.Timestamp(as_of).to_period("M"), freq="M")
    return by.reindex(every, fill_value=0)


# --- does the season help ------------------------------------------------------------------------


@dataclass(frozen=True)
class SeasonCheck:
    """Whether knowing the season would have helped on months that it had not seen.

    ``season``: as known now, or None with the ``reason``; ``months``: start, actual, plain and
    seasonal orders of the customers known at ``cutoff``; the absolute errors by quarter are summed.
    ``helps`` only if there was a check and it lowered that error.
    """

    reason: str
    season: Season | None = None
    cutoff: pd.Timestamp | None = None
    months: pd.DataFrame | None = None
    plain_error: float = np.nan
    seasonal_error: float = np.nan

    @property
    def helps(self) -> bool:
        """Say whether the seasonal forecast was nearer, quarter by quarter."""
        return bool(self.seasonal_error < self.plain_error)


def season_cutoff(first_day: Day, as_of: Day) -> pd.Timestamp | None:
    """Choose the day to check a season from: two years known before, three to twelve months
    after."""
    first, last = pd.Timestamp(first_day).to_period("M"), pd.Timestamp(as_of).to_period("M")
    after = min(12, (last - first).n + 1 - 24)
    return (last - after).end_time.normalize() if after >= 3 else None


def by_quarter(months: pd.DataFrame) -> pd.DataFrame:
    """Sum orders over each three months from the cutoff on, as errors by quarter ask for."""
    quarter = np.arange(len(months)) // 3
    return months[["actual", "plain", "seasonal"]].groupby(quarter).sum()


def check_season(
    states: pd.DataFrame, spend_states: pd.DataFrame, months: pd.DataFrame, cutoff: Day, end: Day,
    *, model: str = SEASONAL[0],
) -> SeasonCheck:  # fmt: skip
    """Forecast the months after ``cutoff`` with and without the season known by then.

    ``states`` and ``spend_states`` as known at the cutoff, ``months`` with what happened since.
    """
    cutoff, end = pd.Timestamp(cutoff), pd.Timestamp(end)
    known = months[pd.to_datetime(months["start"]) <= cutoff]
    season, reason = season_of(known, states, spend_states, cutoff)
    if season is None:
        return SeasonCheck(reason, cutoff=cutoff)
    old = months[pd.to_datetime(months["cohort"]) <= cutoff]
    actual = repeats_by_month(old, end)
    ahead = pd.period_range(cutoff.to_period("M") + 1, end.to_period("M"), freq="M")
    edges = month_edges(cutoff, len(ahead))
    found = {"start": ahead.to_timestamp(), "actual": actual.reindex(ahead).to_numpy(float)}
    for name, given in (("plain", None), ("seasonal", season)):
        models = fit_models(states, spend_states, cutoff, model=model, season=given)
        found[name] = expected_steps(states, spend_states, models, edges)[0]
    table = pd.DataFrame(found)
    quarters = by_quarter(table)
    errors = {
        name: float((quarters[name] - quarters["actual"]).abs().sum())
        for name in ("plain", "seasonal")
    }
    return SeasonCheck("", season, cutoff, table, errors["plain"], errors["seasonal"])


def month_edges(as_of: Day, months: int) -> np.ndarray:
    """Give the days from ``as_of`` (a month's last day) at which each calendar month ends: 0,
    31, ..."""
    as_of = pd.Timestamp(as_of)
    ends = [(as_of.to_period("M") + k).end_time.normalize() for k in range(1, months + 1)]
    return np.array([0.0, *((end - as_of).days for end in ends)])
