"""Cohort triangles whose cells say what they are: a value, or why there is none.

Summaries hold facts; the state of a cell is decided here alone, in the order suppressed,
left_truncated, immature, small. Averages use eligible cells only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from helpers.errors import DataError, UsageError, nearest
from helpers.measures.economics import Payback, payback_age
from helpers.measures.ltv import AGE_UNITS, complete_through
from helpers.measures.metrics import Interval, mean_interval, ratio_interval, wilson
from helpers.summaries.ages import HORIZONS

TRIANGLES = ("retention", "revenue", "margin", "refunds", "cost", "orders", "service")
# Ratios of two sums: what stands above and below, and the sum of their products by customer.
RATIOS = {
    "aov": ("revenue", "orders", "orders_revenue"),
    "discount_share": ("discounts", "list_value", "discounts_list_value"),
}
MEASURES = (*TRIANGLES, *RATIOS)
STATES = ("suppressed", "left_truncated", "immature", "small")


@dataclass(frozen=True)
class Triangle:
    """A measure by cohort (rows) and age (columns), with intervals, states and the pooled row.

    ``values``, ``low``, ``high`` (floats) and ``states`` ('' or one of STATES) share index and
    columns; ``sizes`` is customers by cohort; ``pooled`` has one row per age: value, low, high,
    customers, cohorts. Values are missing where suppressed or not complete. They are shown, with
    their state, where left_truncated or small; the first are never pooled, the second are.
    ``begun`` says which cells the first member has entered: those not complete are hatched.
    ``coverage`` is the share of revenue whose cost is known (margin and cost only); where it is 0,
    all values are missing.
    """

    measure: str
    cumulative: bool
    age_unit: str
    as_of: pd.Timestamp
    values: pd.DataFrame
    low: pd.DataFrame
    high: pd.DataFrame
    states: pd.DataFrame
    sizes: pd.Series
    pooled: pd.DataFrame
    begun: pd.DataFrame
    coverage: float = np.nan


def left_truncated(
    cohorts: Iterable,
    *,
    history_starts_at: date | None = None,
    opened_at: date | None = None,
    run_in: int = 1,
) -> tuple[pd.Timestamp, ...]:
    """Tell which cohorts hold customers who may have bought before the history starts.

    The cohort of the month in which the history starts (the first cohort, where that is not
    stated, or lies before it), and those of the ``run_in`` - 1 months after it (see
    `helpers.measures.run_in`), unless the shop is known to have opened no earlier. None with a
    run-in of 0. Returns month starts; empty when the history is known to be whole.
    """
    if run_in < 0:
        raise UsageError(f"run_in == {run_in}, must be 0 or more months.")
    starts = pd.DatetimeIndex(pd.to_datetime(list(cohorts))).unique()
    if not len(starts) or run_in == 0:
        return ()
    begins = None if history_starts_at is None else pd.Timestamp(history_starts_at)
    if opened_at is not None:
        opened = pd.Timestamp(opened_at)
        whole = opened >= (starts.min() if begins is None else begins)
        if whole:
            return ()
    month = starts.min() if begins is None else begins.to_period("M").start_time
    last = max(month, starts.min()) + pd.DateOffset(months=run_in - 1)
    return tuple(starts[starts <= last].sort_values())


def cell_states(
    sizes: pd.Series,
    complete: pd.DataFrame,
    truncated: Iterable,
    *,
    min_cell: int,
    small: int,
) -> pd.DataFrame:
    """Decide what each cell is, in the order suppressed, left_truncated, immature, small.

    ``sizes`` is customers by cohort, ``complete`` whether every member has completed the age.
    Returns '' for a plain cell.
    """
    shape = complete.shape

    def rows(flags: pd.Series | np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.asarray(flags)[:, None], shape)

    conditions = [
        rows(sizes < min_cell),
        rows(sizes.index.isin(list(truncated))),
        ~complete.to_numpy(dtype=bool),
        rows(sizes < small),
    ]
    names = np.select(conditions, STATES, default="")
    return pd.DataFrame(names, index=complete.index, columns=complete.columns)


def _ages(cohorts: pd.DatetimeIndex, age_unit: str, as_of: pd.Timestamp) -> list[int]:
    """List the ages that the oldest cohort has completed, and always the first."""
    if not len(cohorts):
        return []
    steps = (as_of - cohorts.min()).days // 28 + 1
    grid = list(HORIZONS) if age_unit == "horizon" else list(range(max(steps, 1)))
    done = complete_through([cohorts.min()], grid, age_unit).iloc[0] <= as_of
    return [age for age in grid if done[age]] or grid[:1]


def _grid(rows: pd.DataFrame, column: str, cohorts: pd.Index, ages: list[int]) -> np.ndarray:
    """Spread a column over cohort x age; a step without a row had no activity, so it is zero."""
    if column not in rows:
        raise DataError(f"The summary has no column '{column}'; it has {', '.join(rows)}.")
    wide = rows.set_index(["cohort", "age"])[column].unstack("age", fill_value=0)
    wide = wide.reindex(index=cohorts, columns=ages, fill_value=0)
    return wide.to_numpy(dtype=float)


def _check(measure: str, cumulative: bool, age_unit: str) -> None:
    if measure not in MEASURES:
        raise UsageError(f"There is no triangle of '{measure}'.{nearest(measure, MEASURES)}")
    if age_unit not in AGE_UNITS:
        raise UsageError(f"There is no age unit '{age_unit}'.{nearest(age_unit, AGE_UNITS)}")
    if cumulative and measure == "retention":
        raise UsageError("Retention cannot be cumulated: a customer active twice is one customer.")
    if cumulative and measure in RATIOS:
        raise UsageError(f"A triangle of {measure} is a ratio of one step, and is not cumulated.")


def _sums(
    rows: pd.DataFrame, measure: str, cumulative: bool, cohorts: pd.Index, ages: list[int]
) -> list[np.ndarray]:
    """Return sums by cohort and age, and those that their intervals need (missing: none)."""
    if measure in RATIOS:
        above, below, products = RATIOS[measure]
        names = (above, below, f"{above}_squares", f"{below}_squares", products)
        return [_grid(rows, name, cohorts, ages) for name in names]
    column = "active" if measure == "retention" else measure
    found = [_grid(rows, column, cohorts, ages)]
    for power in ("squares", "cubes"):
        name = f"{measure}_cumulative_{power}" if cumulative else f"{measure}_{power}"
        known = name in rows
        found.append(_grid(rows, name, cohorts, ages) if known else np.full_like(found[0], np.nan))
    # An unknown step leaves every later total unknown, so numpy's sum, which carries NaN.
    return [grid.cumsum(axis=1) for grid in found] if cumulative else found


def _coverage(rows: pd.DataFrame, measure: str) -> float:
    """Return the share of revenue whose cost is known: there, revenue is margin + cost."""
    if measure not in ("margin", "cost"):
        return np.nan
    revenue, known = rows["revenue"].sum(), rows["margin"].sum() + rows["cost"].sum()
    return float(known / revenue) if revenue > 0 else np.nan


def _estimate(
    measure: str, sums: list[np.ndarray], n: np.ndarray, level: float, *, cumulative: bool
) -> Interval:
    if measure in RATIOS:
        return ratio_interval(*sums, n, level=level)
    amounts, squares, cubes = sums
    if measure == "retention":
        return wilson(amounts, n, level=level)
    return mean_interval(amounts, squares, n, cubes=cubes, one_step=not cumulative, level=level)


def triangle(
    cohort_ages: pd.DataFrame,
    *,
    measure: str,
    as_of: date,
    cumulative: bool = False,
    age_unit: str = "month",
    dimension: str = "all",
    value: str | None = None,
    history_starts_at: date | None = None,
    opened_at: date | None = None,
    run_in: int = 1,
    min_cell: int = 10,
    small: int = 30,
    level: float = 0.95,
) -> Triangle:
    """Show how cohorts of customers stay and spend as they grow older.

    Retention is customers active at the age / cohort size; money and orders are per customer of
    the cohort, active or not, of the step or up to its end (``cumulative``). The RATIOS, and
    intervals for orders, need the summary basket_ages; in a step without orders (list value) a
    ratio is missing. A cell is complete
    when every member has lived through the age by ``as_of`` (``complete_through``); a complete
    cell without a row in the summary is a true zero, any other cell is missing. The ages are those
    that the oldest cohort has completed.

    The pooled row is sum over sum over the cells that are neither suppressed, left_truncated nor
    immature. Suppressed cohorts stay out, for a reader could otherwise find them by subtraction.
    Intervals: Wilson for retention (none at the first age, where it is 1 by definition); those of
    `mean_interval`, from squares and cubes, for money and orders (none where the summary lacks
    them); those of `ratio_interval` for ratios.

    ``value`` picks one value of ``dimension``; it may be left out where there is one.
    """
    _check(measure, cumulative, age_unit)
    rows = _chosen(cohort_ages, age_unit, dimension, value)
    as_of = pd.Timestamp(as_of).normalize()
    sizes = rows.groupby("cohort")["customers"].max().rename("customers")
    # Truncation is a matter of the whole shop: a channel's first cohort may come years later.
    truncated = left_truncated(
        cohort_ages["cohort"], history_starts_at=history_starts_at, opened_at=opened_at,
        run_in=run_in,
    )  # fmt: skip
    ages = _ages(pd.DatetimeIndex(sizes.index), age_unit, as_of)
    complete = complete_through(sizes.index, ages, age_unit) <= as_of
    states = cell_states(sizes, complete, truncated, min_cell=min_cell, small=small)
    coverage = _coverage(rows, measure)
    amounts, *powers = _sums(rows, measure, cumulative, sizes.index, ages)
    if coverage == 0:
        amounts = np.full_like(amounts, np.nan)
    n = np.broadcast_to(sizes.to_numpy(dtype=float)[:, None], amounts.shape)
    cells = _blank_start(
        _estimate(measure, [amounts, *powers], n, level, cumulative=cumulative), measure
    )
    hidden = ~complete.to_numpy(dtype=bool) | (states.to_numpy() == "suppressed")

    def frame(numbers: np.ndarray) -> pd.DataFrame:
        wide = pd.DataFrame(np.where(hidden, np.nan, numbers), sizes.index, ages)
        return wide.rename_axis(columns="age")

    eligible = states.isin(["", "small"]).to_numpy()
    *sums, members = [np.where(eligible, x, 0).sum(axis=0) for x in (amounts, *powers, n)]
    pool = _blank_start(_estimate(measure, sums, members, level, cumulative=cumulative), measure)
    pooled = {"value": pool.value, "low": pool.low, "high": pool.high}
    pooled |= {"customers": members.astype(int), "cohorts": eligible.sum(axis=0)}
    return Triangle(
        measure=measure,
        cumulative=cumulative,
        age_unit=age_unit,
        as_of=as_of,
        values=frame(cells.value),
        low=frame(cells.low),
        high=frame(cells.high),
        states=states.rename_axis(columns="age"),
        sizes=sizes,
        pooled=pd.DataFrame(pooled, index=pd.Index(ages, name="age")),
        begun=_begun(sizes.index, ages, age_unit) <= as_of,
        coverage=coverage,
    )


def _begun(cohorts: pd.DatetimeIndex, ages: list[int], age_unit: str) -> pd.DataFrame:
    """Give the day on which the first member of a cohort enters each age."""
    earlier = {age: max((h for h in (0, *HORIZONS) if h < age), default=0) for age in ages}
    step = {"days30": lambda age: 30 * age, "horizon": earlier.get}
    days = {
        age: cohorts + (
            pd.DateOffset(months=age) if age_unit == "month"
            else pd.Timedelta(days=step[age_unit](age))
        )
        for age in ages
    }  # fmt: skip
    return pd.DataFrame(days, index=cohorts).rename_axis(columns="age")


def _chosen(
    cohort_ages: pd.DataFrame, age_unit: str, dimension: str, value: str | None
) -> pd.DataFrame:
    """Return the rows of one age unit and one value of a dimension, cohorts as timestamps."""
    known = cohort_ages["dimension"].unique()
    if dimension not in known and len(known):
        raise UsageError(f"There is no dimension '{dimension}'.{nearest(dimension, known)}")
    rows = cohort_ages[cohort_ages["dimension"] == dimension]
    values = rows["value"].unique()
    if value is None and len(values) > 1:
        raise UsageError(f"'{dimension}' has {len(values)} values; name one of them as value.")
    if value is not None and value not in values:
        raise UsageError(f"'{dimension}' has no value '{value}'.{nearest(value, map(str, values))}")
    rows = rows if value is None else rows[rows["value"] == value]
    rows = rows[rows["age_unit"] == age_unit]
    return rows.assign(cohort=pd.to_datetime(rows["cohort"]))


def _blank_start(cells: Interval, measure: str) -> Interval:
    """Take the interval off retention at the first age: it is 1 because the cohort bought then."""
    if measure != "retention" or not cells.value.size:
        return cells
    low, high = cells.low.copy(), cells.high.copy()
    low[..., 0], high[..., 0] = np.nan, np.nan
    return cells._replace(low=low, high=high)


def payback(cumulative_margin: Triangle, cac: float | pd.Series) -> pd.DataFrame:
    """Find the age at which each cohort's margin has covered the cost of winning it.

    The first age at whose end cumulative margin per customer is at least ``cac``, one for all or
    one by cohort (then 'pooled' is unknown), for 'pooled' and each cohort; ages count whole steps
    lived through (days for 'days30' and 'horizon', months for 'month'). State 'not yet' says so
    with ``at_least``, the oldest age seen; 'unknown' where no age was seen, the cohort is
    suppressed or left_truncated, or ``cac`` is missing. Returns one row per cohort: state, age,
    at_least, low, high (see ``Payback``).
    """
    if not cumulative_margin.cumulative or cumulative_margin.measure not in ("margin", "revenue"):
        raise UsageError("Payback needs a triangle of cumulative margin or revenue.")
    ages = cumulative_margin.values.columns.to_numpy(dtype=float)
    lived = {"month": ages + 1, "days30": 30 * (ages + 1), "horizon": ages}
    lived = lived[cumulative_margin.age_unit]
    pooled = cumulative_margin.pooled
    each = cac if isinstance(cac, pd.Series) else pd.Series(cac, cumulative_margin.sizes.index)
    every = np.nan if isinstance(cac, pd.Series) else cac
    found = {"pooled": payback_age(lived, pooled["value"], pooled["low"], pooled["high"], every)}
    for cohort, states in cumulative_margin.states.iterrows():
        curve = [getattr(cumulative_margin, x).loc[cohort] for x in ("values", "low", "high")]
        barred = states.isin(["suppressed", "left_truncated"]).any()
        cost = each.get(cohort, np.nan)
        found[cohort] = Payback("unknown") if barred else payback_age(lived, *curve, cost)
    return pd.DataFrame([vars(one) for one in found.values()], index=list(found))
