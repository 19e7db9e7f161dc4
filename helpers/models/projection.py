"""How cohorts will stay and spend: projections whose method a back-test has chosen.

The newest diagonals of the triangle are hidden, every method predicts them, and the one that came
closest is used (the simpler where two are as good); how far off it was, and how often its intervals
held what came, stands beside it. States of cells are decided in `helpers.measures.cohorts`; only
eligible cells (plain or small) are learnt from, and only cohorts that have them are projected.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from helpers.errors import DataError, UsageError
from helpers.measures.cohorts import Triangle
from helpers.measures.metrics import DAYS_PER_MONTH
from helpers.models.curves import Cells
from helpers.models.prediction import METHODS, Basis, basis, predict, prediction_interval

HORIZON_MONTHS = (12, 24, 36)
ORIGINS = (3, 6, 12)  # how many of the newest diagonals are hidden, in steps of age
AS_GOOD = 0.02  # a simpler method is used where its error is at most this share larger
REACH = 2  # a curve is carried to at most so many times the oldest age seen


@dataclass(frozen=True)
class Projection:
    """Cohorts carried to later ages, how the method was chosen, and forecasts against actuals.

    ``table``: one row per cohort and age asked for: cohort, age, measure, estimate, low, high,
    method, observed, state. ``state`` is 'observed', 'projected', 'extrapolated' (past the oldest
    age seen, along the curve), 'not observable' (no number), 'too young', 'suppressed' or
    'left_truncated' (no number). ``backtest``: one row per method and origin (and 'all'): method,
    hidden, forecasts, bias and absolute_error (of the sum of what came), coverage, chosen.
    ``forecasts``: what was forecast some steps ago against what came: cohort, age, made (steps
    ago), forecast, low, high, actual, verdict ('above' calls for a new forecast, 'inside',
    'below'). ``widened``: by how much the back-test showed that intervals had to be wider.
    """

    measure: str
    age_unit: str
    level: float
    method: str
    widened: float
    season: np.ndarray = field(compare=False, repr=False)
    table: pd.DataFrame = field(compare=False, repr=False)
    backtest: pd.DataFrame = field(compare=False, repr=False)
    forecasts: pd.DataFrame = field(compare=False, repr=False)


def project(
    groups: pd.DataFrame,
    triangle: Triangle,
    *,
    horizons: tuple[int, ...] = HORIZON_MONTHS,
    level: float = 0.9,
) -> Projection:
    """Carry each cohort's retention, or cumulative money per customer, to later ages.

    ``groups`` is the summary ``cohort_groups``; ``triangle`` one of retention, or a cumulative one
    of margin or revenue, in calendar months or steps of 30 days. ``horizons`` are months of life:
    retention at h is the share active h months after the first month; money at h is what came in h
    steps of 30 days (age h - 1), or up to the end of the h-th month after the first (age h).
    Intervals hold what the cohort will really do with chance ``level``: what its own customers may
    do, how cohorts differ, the errors of the rates, widened by what the back-test showed.

    Raises DataError, with the reason, where nothing can be projected: fewer than three cohorts that
    may be shown and are not left-truncated, fewer than four ages, no orders after the first, no
    known margin. Raises UsageError for any other triangle.
    """
    _check(triangle, level)
    ages = [_age_of(horizon, triangle) for horizon in horizons]
    if min(ages) < 1:
        raise UsageError("horizons must be 2 or more.")
    cells = cells_of(groups, triangle, max(ages) + 1)
    _enough(cells, triangle)
    width = cells.calendar.shape[1]
    tried = _tried(cells, triangle, level)
    method, widened, backtest = _chosen(tried)
    known = basis(cells, cumulative=triangle.cumulative, ages=width)
    table = _table(known, triangle, ages, method, widened, level)
    forecasts = _forecasts(tried, method, widened, triangle, level)
    return Projection(
        triangle.measure, triangle.age_unit, level, method, widened, known.factor, table,
        backtest, forecasts,
    )  # fmt: skip


def _check(triangle: Triangle, level: float) -> None:
    money = triangle.measure in ("margin", "revenue") and triangle.cumulative
    if triangle.measure != "retention" and not money:
        raise UsageError(
            "Projection needs a triangle of retention, or a cumulative one of margin or revenue, "
            f"not of {triangle.measure}."
        )
    if triangle.age_unit not in ("month", "days30"):
        raise UsageError(f"age_unit == '{triangle.age_unit}', must be month or days30.")
    if not 0 < level < 1:
        raise UsageError(f"level == {level}, must be between 0 and 1.")


def _age_of(horizon: int, triangle: Triangle) -> int:
    return horizon - 1 if triangle.cumulative and triangle.age_unit == "days30" else horizon


def cells_of(groups: pd.DataFrame, triangle: Triangle, ages: int) -> Cells:
    """Spread the summary over cohort x age x group, with the triangle's word on what may be used.

    A cohort's cells may be used from age 0 to the last that is neither suppressed, left_truncated
    nor immature.
    """
    rows = groups[groups["age_unit"] == triangle.age_unit]
    rows = rows.assign(cohort=pd.to_datetime(rows["cohort"]))
    cohorts = pd.DatetimeIndex(triangle.states.index)
    rows = rows[rows["cohort"].isin(cohorts)]
    column = "active" if triangle.measure == "retention" else triangle.measure
    width = max(ages, triangle.states.shape[1], 1)
    places = cohorts.get_indexer(rows["cohort"])
    groups_of = int(rows["group"].max()) + 1 if len(rows) else 1
    amounts = np.zeros((len(cohorts), width, groups_of))
    sizes = np.zeros((len(cohorts), groups_of))
    inside = (rows["age"] < width).to_numpy()
    keys = (places[inside], rows["age"].to_numpy()[inside], rows["group"].to_numpy()[inside])
    amounts[keys] = rows[column].to_numpy(dtype=float)[inside]
    sizes[places, rows["group"].to_numpy()] = rows["customers"]
    eligible = np.zeros((len(cohorts), width), dtype=bool)
    seen = triangle.states.isin(["", "small"]).to_numpy() & triangle.values.notna().to_numpy()
    eligible[:, : seen.shape[1]] = np.logical_and.accumulate(seen, axis=1)
    month, age = cohorts.month.to_numpy()[:, None] - 1, np.arange(width)
    if triangle.age_unit == "days30":  # from mid-month to the middle of the step
        age = np.floor((15 + 30 * age + 15) / DAYS_PER_MONTH).astype(int)
    return Cells(cohorts, amounts, sizes, eligible, (month + age) % 12)


def _enough(cells: Cells, triangle: Triangle) -> None:
    """Say why nothing can be projected, where it is so."""
    if triangle.coverage == 0:
        raise DataError("The cost of no line is known, so there is no margin to project.")
    usable = cells.last >= 0
    if usable.sum() < 3:
        raise DataError(
            f"{int(usable.sum())} of {len(usable)} cohorts may be learnt from (large enough, not "
            "left-truncated, lived through an age); projection needs 3 or more."
        )
    if cells.last.max() < 3 or (cells.last >= 1).sum() < 3:
        raise DataError(
            f"The oldest cohort has lived through {int(cells.last.max()) + 1} ages; projection "
            "needs 4 or more, and 3 cohorts with a second one: wait, or use a longer history."
        )
    later = np.nansum(np.abs(cells.totals[:, 1:]))
    if later == 0:
        raise DataError("No customer ordered again after the first age, so no rate is known.")


def _tried(cells: Cells, triangle: Triangle, level: float) -> pd.DataFrame:
    """Forecast the newest cell of every cohort from each origin, by every method.

    One row per origin, cohort and method that had a number: hidden, cohort (position), age, method,
    n, seen (per customer, at the origin), mean, variance, actual (per customer, of the same span).
    """
    lines = []
    for hidden in ORIGINS:
        then = cells.hidden(hidden)
        if (then.last >= 1).sum() < 3 or then.last.max() < 3:
            continue
        width = cells.eligible.shape[1]
        known = basis(then, cumulative=triangle.cumulative, ages=width)
        for cohort in np.flatnonzero(then.last >= 1):
            age, n = int(cells.last[cohort]), cells.customers[cohort]
            first = int(then.last[cohort]) + 1 if triangle.cumulative else age
            sums = cells.totals[cohort] / n
            actual = float(sums[first : age + 1].sum())
            seen = float(sums[:first].sum()) if triangle.cumulative else 0.0
            for method in METHODS:
                found = predict(known, method, int(cohort), age)
                if found is not None:
                    lines.append((hidden, cohort, age, method, n, seen, found, actual))
    names = ["hidden", "cohort", "age", "method", "n", "seen", "found", "actual"]
    rows = pd.DataFrame(lines, columns=names)
    rows["mean"] = [each.mean for each in rows["found"]]
    rows["variance"] = [each.variance for each in rows["found"]]
    low, high = prediction_interval(
        rows["mean"], rows["variance"], rows["n"], cumulative=triangle.cumulative, level=level
    )
    rows["inside"] = (low - 1e-9 <= rows["actual"]) & (rows["actual"] <= high + 1e-9)
    return rows.drop(columns="found")


def _chosen(tried: pd.DataFrame) -> tuple[str, float, pd.DataFrame]:
    """Pick the method that came closest, over forecasts that all of them made."""
    if tried.empty:
        names = ["method", "hidden", "forecasts", "bias", "absolute_error", "coverage", "chosen"]
        return METHODS[0], 1.0, pd.DataFrame(columns=names)
    tried = tried.assign(
        off=(tried["mean"] - tried["actual"]) * tried["n"],
        came=tried["actual"] * tried["n"],
        z=(tried["mean"] - tried["actual"]) / np.sqrt(tried["variance"]),
    )  # fmt: skip
    able = [name for name in METHODS if (tried["method"] == name).any()]
    common = tried.groupby(["hidden", "cohort"])["method"].transform("size") == len(able)
    rows = tried[common] if common.any() else tried
    error = rows.assign(off=rows["off"].abs()).groupby("method")["off"].sum()
    best = error.min() * (1 + AS_GOOD)
    method = next(name for name in able if error.get(name, np.inf) <= best)
    z = tried.loc[(tried["method"] == method) & np.isfinite(tried["z"]), "z"].clip(-5, 5)
    widened = max(1.0, float(np.sqrt((z**2).mean()))) if len(z) else 1.0
    every = pd.concat([rows, rows.assign(hidden="all")])
    lines = []
    for (name, hidden), part in every.groupby(["method", "hidden"], sort=False):
        came = part["came"].sum()
        ratio = 1 / came if came > 0 else np.nan
        lines.append(
            (name, hidden, len(part), part["off"].sum() * ratio, part["off"].abs().sum() * ratio,
             part["inside"].mean(), name == method)
        )  # fmt: skip
    names = ["method", "hidden", "forecasts", "bias", "absolute_error", "coverage", "chosen"]
    return method, widened, pd.DataFrame(lines, columns=names)


def _table(
    known: Basis, triangle: Triangle, ages: list[int], method: str, widened: float, level: float
) -> pd.DataFrame:
    """One row per cohort and age: what was seen, else what is projected, else why there is none."""
    cells, lines = known.cells, []
    for place, cohort in enumerate(cells.cohorts):
        barred = triangle.states.loc[cohort].isin(["suppressed", "left_truncated"])
        state = triangle.states.loc[cohort][barred].iloc[0] if barred.any() else ""
        n, last = cells.customers[place], int(cells.last[place])
        sums = np.nan_to_num(cells.totals[place]) / max(n, 1)
        for age in ages:
            if state or last < 1:
                lines.append((cohort, age, np.nan, np.nan, np.nan, "", False, state or "too young"))
            elif age <= last:
                at = [getattr(triangle, x).loc[cohort, age] for x in ("values", "low", "high")]
                lines.append((cohort, age, *at, "observed", True, "observed"))
            else:
                seen = sums[: last + 1].sum() if known.cumulative else 0.0
                lines.append(
                    (cohort, age, *_ahead(known, place, age, seen, method, widened, level))
                )
    names = ["cohort", "age", "estimate", "low", "high", "method", "observed", "state"]
    table = pd.DataFrame(lines, columns=names)
    table.insert(2, "measure", triangle.measure)
    return table


def _ahead(
    known: Basis, place: int, age: int, seen: float, method: str, widened: float, level: float
) -> tuple:
    """Estimate, low, high, method, observed and state of one cohort at an age to come."""
    past_all = age > known.oldest
    used = "curve" if past_all else method
    found = predict(known, used, place, age) if age <= REACH * known.oldest else None
    if found is None and not past_all:
        used = METHODS[0]
        found = predict(known, used, place, age)
    if found is None:
        return np.nan, np.nan, np.nan, "", False, "not observable"
    low, high = prediction_interval(
        found.mean, found.variance, known.cells.customers[place],
        cumulative=known.cumulative, level=level, widened=widened,
    )  # fmt: skip
    state = "extrapolated" if past_all else "projected"
    return seen + found.mean, seen + float(low), seen + float(high), used, False, state


def _forecasts(
    tried: pd.DataFrame, method: str, widened: float, triangle: Triangle, level: float
) -> pd.DataFrame:
    """Hold what the chosen method said half a year ago (or less) against what came."""
    names = ["cohort", "age", "made", "forecast", "low", "high", "actual", "verdict"]
    hidden = tried.loc[(tried["hidden"] <= 6) & (tried["method"] == method), "hidden"]
    if hidden.empty:
        return pd.DataFrame(columns=names)
    rows = tried[(tried["hidden"] == hidden.max()) & (tried["method"] == method)]
    low, high = prediction_interval(
        rows["mean"], rows["variance"], rows["n"], cumulative=triangle.cumulative, level=level,
        widened=widened,
    )  # fmt: skip
    verdict = np.select(
        [rows["actual"] > high + 1e-9, rows["actual"] < low - 1e-9], ["above", "below"], "inside"
    )
    cohorts = pd.DatetimeIndex(triangle.states.index)
    found = {"forecast": rows["mean"], "low": low, "high": high, "actual": rows["actual"]}
    table = pd.DataFrame({name: rows["seen"] + each for name, each in found.items()})
    where = {"cohort": cohorts[rows["cohort"].astype(int)], "age": rows["age"]}
    table = table.assign(**where, made=rows["hidden"], verdict=verdict)
    return table[names].reset_index(drop=True)
