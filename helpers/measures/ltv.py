"""What customers have been worth: historical value and formula value.

LTV is never one word: ``ltv_historical`` is what a customer has earned the shop by an age,
``ltv_formula`` is ARPU x margin / churn, ``ltv_horizon`` is ARPU x margin over fixed periods.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from helpers.errors import UsageError, nearest
from helpers.measures.metrics import mean_interval, total
from helpers.measures.repurchase import Churn, churn_rate
from helpers.summaries.ages import HORIZONS

AGE_UNITS = ("month", "days30", "horizon")
# Columns of ltv_historical, in order.
_COLUMNS = ["dimension", "value", "horizon", "per_customer", "se", "low", "high", "amount"]
_COLUMNS += ["customers", "cohorts", "first_cohort", "last_cohort", "coverage", "reason"]


def complete_through(cohorts: Iterable, ages: Iterable[int], age_unit: str) -> pd.DataFrame:
    """Give the day on which every member of a cohort has completed each age.

    Cohorts are month starts and their last member joins on the month's last day. By unit, an age
    is complete at the end of the calendar month that many months later ('month'), at the last day
    + 30 x (age + 1) - 1 days ('days30'), or at the last day + age - 1 days ('horizon'): the day of
    the first order is the first of the days. Returns a frame of days, cohort x age.
    """
    if age_unit not in AGE_UNITS:
        raise UsageError(f"There is no age unit '{age_unit}'.{nearest(age_unit, AGE_UNITS)}")
    starts = pd.DatetimeIndex(pd.to_datetime(list(cohorts)))
    ends = starts + pd.offsets.MonthEnd(0)

    def day(age: int) -> pd.DatetimeIndex:
        if age_unit == "month":
            return starts + pd.DateOffset(months=age) + pd.offsets.MonthEnd(0)
        return ends + pd.Timedelta(days=30 * (age + 1) - 1 if age_unit == "days30" else age - 1)

    return pd.DataFrame({age: day(age) for age in ages}, index=starts).rename_axis("cohort")


def chosen_rows(
    cohort_ages: pd.DataFrame,
    age_unit: str,
    dimension: str,
    left_truncated: Collection,
    span: tuple[date | None, date | None],
) -> pd.DataFrame:
    """Return the rows of one unit and dimension whose cohorts may be pooled."""
    known = cohort_ages["dimension"].unique()
    if len(known) and dimension not in known:
        raise UsageError(f"There is no dimension '{dimension}'.{nearest(dimension, known)}")
    chosen = (cohort_ages["age_unit"] == age_unit) & (cohort_ages["dimension"] == dimension)
    cohort = pd.to_datetime(cohort_ages["cohort"])
    first, last = (pd.NaT if day is None else pd.Timestamp(day) for day in span)
    # A comparison with NaT is False, so an open end bars nothing.
    barred = cohort.isin(pd.to_datetime(list(left_truncated))) | (cohort < first) | (cohort > last)
    return cohort_ages.assign(cohort=cohort, barred=barred)[chosen]


def pooled(rows: pd.DataFrame, ages: Iterable[int], as_of: date, value: str) -> pd.DataFrame:
    """Sum what cohorts that reached an age earned by then: one row per value and age.

    Customers, cohorts, first_cohort, last_cohort, amount, squares, cubes, unknown (some amount is
    missing) and coverage; all missing where no cohort has reached the age.
    """
    ages, free = sorted(ages), rows[~rows["barred"]]
    names = pd.Index(rows["value"].unique()).sort_values()
    unit = rows["age_unit"].iloc[0] if len(rows) else "horizon"
    cohorts = pd.DatetimeIndex(free["cohort"].unique()).sort_values()
    reached = (complete_through(cohorts, ages, unit) <= pd.Timestamp(as_of)).to_numpy()
    place = (names.get_indexer(free["value"]), cohorts.get_indexer(free["cohort"]))
    # A row counts from the first of the ages that it lies within.
    since = np.searchsorted(ages, free["age"].to_numpy())

    def by_age(amounts: pd.Series) -> np.ndarray:
        grid = np.zeros((len(names), len(cohorts), len(ages) + 1))
        np.add.at(grid, (*place, since), amounts.fillna(0).to_numpy(dtype=float))
        return (grid[:, :, :-1].cumsum(axis=2) * reached).sum(axis=1)

    # The size stands in every row of a cohort; its first row is there at any age.
    size = np.zeros((len(names), len(cohorts)))
    size[place] = free["customers"]
    there = np.zeros(size.shape, dtype=bool)
    there[place] = True
    ready = there[:, :, None] & reached
    found = {
        "customers": (size[:, :, None] * reached).sum(axis=1),
        "cohorts": ready.sum(axis=1),
        "amount": by_age(free[value]),
        "squares": by_age(free[f"{value}_cumulative_squares"]),
        "cubes": by_age(free[f"{value}_cumulative_cubes"]),
        "unknown": by_age(free[value].isna()) > 0,
        "coverage": np.full((len(names), len(ages)), np.nan),
    }
    if value in ("margin", "cost"):
        # On the lines whose cost is known, revenue is margin + cost.
        revenue, known = by_age(free["revenue"]), by_age(free["margin"]) + by_age(free["cost"])
        found["coverage"] = np.divide(known, revenue, out=found["coverage"], where=revenue > 0)
    index = pd.MultiIndex.from_product([names, ages], names=["value", "age"])
    table = pd.DataFrame({name: grid.ravel() for name, grid in found.items()}, index=index)
    for name, side in (("first_cohort", 1), ("last_cohort", -1)):
        at = ready[:, ::side].argmax(axis=1).ravel() if len(cohorts) else []
        table[name] = cohorts[::side][at] if len(cohorts) else pd.NaT
    table = table.where(table["cohorts"] > 0)
    counts = {name: "int64" for name in ("customers", "cohorts") if table[name].notna().all()}
    return table.astype(counts).reset_index()


def ltv_historical(
    cohort_ages: pd.DataFrame,
    *,
    as_of: date,
    horizons: Iterable[int] = HORIZONS,
    value: str = "margin",
    left_truncated: Collection = (),
    dimension: str = "all",
    first_cohort: date | None = None,
    last_cohort: date | None = None,
    min_cell: int = 10,
    level: float = 0.95,
) -> pd.DataFrame:
    """Show what a customer has earned the shop by each age.

    Sum of ``value`` ('margin', 'revenue', 'refunds' or 'cost') to the horizon / number of
    customers, buyers again or not, pooled over cohorts of which every member has reached the
    horizon by ``as_of`` (the month's last day + horizon - 1 days). Cohorts in ``left_truncated``
    (month starts) are left out: some of their members are older than they look. Horizons rest on
    different cohorts, so compare them with ``cohorts`` and ``last_cohort`` in view.

    Returns one row per value of the dimension and horizon: dimension, value, horizon (days),
    per_customer, se, low, high, amount (the sum), customers, cohorts, first_cohort, last_cohort,
    coverage (share of revenue whose cost is known; for margin and cost), reason (why per_customer
    is missing). Interval: `mean_interval`, from sums of squares and cubes.
    """
    horizons = tuple(horizons)
    if unknown := sorted(set(horizons) - set(HORIZONS)):
        raise UsageError(f"horizons has {unknown}, must be among {', '.join(map(str, HORIZONS))}.")
    span = (first_cohort, last_cohort)
    rows = chosen_rows(cohort_ages, "horizon", dimension, left_truncated, span)
    table = priced(pooled(rows, horizons, as_of, value), min_cell, level)
    return table.rename(columns={"age": "horizon"}).assign(dimension=dimension)[_COLUMNS]


def priced(table: pd.DataFrame, min_cell: int, level: float) -> pd.DataFrame:
    """Turn pooled sums into value per customer with interval, or the reason there is none."""
    table = table.assign(
        customers=table["customers"].fillna(0).astype(int),
        cohorts=table["cohorts"].fillna(0).astype(int),
        coverage=table["coverage"].astype(float),
    )
    reasons = {
        "No cohort has reached this age.": table["cohorts"] == 0,
        f"Fewer than {min_cell} customers have reached this age.": table["customers"] < min_cell,
        "The cost of what was sold is not known.": (
            table["unknown"].eq(True) | (table["coverage"] == 0)
        ),
    }
    reason = np.select(list(reasons.values()), list(reasons), default="")
    amount = table["amount"].where(reason == "").astype(float)
    powers = {"squares": table["squares"], "cubes": table["cubes"]}
    mean = mean_interval(amount, n=table["customers"], **powers, level=level)
    figures = {"per_customer": mean.value, "se": mean.se, "low": mean.low, "high": mean.high}
    return table.assign(amount=amount, reason=reason, **figures)


@dataclass(frozen=True)
class FormulaValue:
    """A formula LTV per customer, the inputs it stands on, or the reason there is none.

    ``note`` says what to know of a value that there is: that a cap was used, or churn is total.
    """

    formula: str
    value: float
    arpu: float
    margin_rate: float
    cycles: float
    low: float = np.nan
    high: float = np.nan
    reason: str = ""
    note: str = ""


def _unusable(arpu: float, margin_rate: float) -> str:
    if not (np.isfinite(arpu) and arpu >= 0):
        return "Revenue per customer is not known, or below zero."
    if not np.isfinite(margin_rate):
        return "The margin rate is not known."
    if margin_rate > 1:
        return "The margin rate is above 1; it must be a share, 0.6 for 60 percent."
    return "" if margin_rate > 0 else "The margin rate is not above 0, so a customer earns nothing."


def ltv_formula(
    arpu: float,
    margin_rate: float,
    churn: float,
    *,
    churn_low: float = np.nan,
    churn_high: float = np.nan,
    cap: float = np.nan,
) -> FormulaValue:
    """Give the value of a customer if revenue, margin and churn stayed as they are for ever.

    ARPU x margin rate / churn, where ARPU and churn are of the same cycle and the same active
    customers; 1 / churn is the lifetime in cycles. Discrete convention: the cycle of acquisition
    counts in full (1 + (1 - c) + (1 - c)^2 + ... = 1 / c); no discount. ``cap`` is the longest
    lifetime, in cycles, that is believed; without one, zero churn has no value. One churn rate
    for customers who differ misleads in both directions, so show it beside ``ltv_historical``.
    low and high carry the interval of churn only. Unusable inputs give a reason, no number.
    Raises UsageError for a cap that is not above 0.

    >>> ltv_formula(25, 0.60, 0.05).value
    300.0
    """
    if cap <= 0:
        raise UsageError(f"cap == {cap}, must be above 0 cycles.")
    reason = _unusable(arpu, margin_rate) or _unusable_churn(churn, capped=cap > 0)
    name = "ARPU x margin rate / churn"
    if reason:
        return FormulaValue(name, np.nan, arpu, margin_rate, np.nan, reason=reason)

    def cycles(rate: float) -> float:
        free = 1 / rate if rate > 0 else np.inf if rate == 0 else np.nan
        return min(free, cap) if cap > 0 and not np.isnan(free) else free

    earned, lifetime = arpu * margin_rate, cycles(churn)
    ends = [earned * cycles(rate) for rate in (churn_high, churn_low)]
    ends = [end if np.isfinite(end) else np.nan for end in ends]
    note = ""
    if churn == 0:
        note = f"No customer was lost, so the lifetime is the cap of {cap:g} cycles."
    elif 1 / churn > cap:
        note = f"1 / churn is {1 / churn:.1f} cycles, more than the cap of {cap:g}."
    elif churn == 1:
        note = "Every customer was lost within the cycle, so the value is that of one cycle."
    value = earned * lifetime if churn == 0 or 1 / churn > cap else earned / churn
    return FormulaValue(name, value, arpu, margin_rate, lifetime, *ends, note=note)


def _unusable_churn(churn: float, *, capped: bool) -> str:
    if not np.isfinite(churn):
        return "Churn is not known."
    if churn == 0:
        return "" if capped else "No customer was lost, so 1 / churn has no value."
    return "" if 0 < churn <= 1 else "Churn must be above 0 and at most 1 per cycle."


def ltv_horizon(arpu: float, margin_rate: float, periods: float) -> FormulaValue:
    """Give the value of a customer who stays for a fixed number of periods.

    ARPU x margin rate x periods, with ARPU per period. Not the same figure as ``ltv_formula``:
    the lifetime is assumed, not estimated.

    >>> ltv_horizon(40, 0.60, 6).value
    144.0
    """
    reason = _unusable(arpu, margin_rate)
    if not reason and not (np.isfinite(periods) and periods > 0):
        reason = "The number of periods must be above 0."
    value = np.nan if reason else arpu * margin_rate * periods
    name = "ARPU x margin rate x periods"
    return FormulaValue(name, value, arpu, margin_rate, periods, reason=reason)


def ltv_formula_history(
    periods: pd.DataFrame,
    gaps: pd.DataFrame,
    *,
    window_days: int,
    parts: pd.DataFrame | None = None,
) -> tuple[FormulaValue, Churn]:
    """Put the shop's own history into the formula, in customer-months on both sides.

    ARPU = revenue per purchase day / active months per purchase day, churn = customers lost per
    active customer-month, both with a customer active for at most ``window_days`` after a purchase
    (see ``churn_rate``); margin rate = margin / revenue whose cost is known. Dividing revenue by
    the buyers of a month instead would count only customers' good months and overstate the value.
    """
    churn = churn_rate(gaps, window_days, parts=parts)
    months = periods[(periods["grain"] == "month") & (periods["dimension"] == "all")]
    purchases = float(gaps["n"].sum())
    arpu = divided(divided(total(months, "revenue"), purchases), churn.active_months)
    rate = total(months, "margin_rate")
    # ARPU and churn share the months, which cancel: what is left uncertain is the share lost.
    bounds = {
        "churn_low": churn.lost_low / churn.active_months,
        "churn_high": churn.lost_high / churn.active_months,
    }
    value = ltv_formula(arpu, rate, churn.rate, **bounds)
    if churn.reason:
        value = replace(value, reason=churn.reason)
    return value, churn


def divided(above: float, below: float) -> float:
    """Divide; missing where the denominator is not above zero."""
    return above / below if below > 0 else np.nan
