"""Frames of the cohort notebook, made from triangles and summaries."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from helpers import summaries
from helpers.errors import UsageError, nearest
from helpers.measures import cohorts, repurchase, run_in
from helpers.measures.cohorts import Triangle
from helpers.measures.metrics import Estimate
from helpers.show import percent, ratio
from helpers.study import Study
from helpers.written import Formatter, alike, takes_digits


def chosen_run_in(study: Study, cohort_ages: pd.DataFrame, given: int = -1) -> run_in.RunIn:
    """Choose how many months at the start of the shop's history are left out (see `run_in`)."""
    return run_in.choose(
        summaries.load(study, "month_pairs"), as_of=study.end, starts_at=study.history_starts_at,
        cohorts=cohort_ages["cohort"].unique(), whole=study.history_is_whole, given=given,
        least=study.shop.privacy.min_cell,
    )  # fmt: skip


def frame_of(study: Study, run_in: int = 1) -> dict:
    """Give what every triangle of a study shares: its dates, run-in and smallest groups."""
    return {
        "run_in": run_in,
        "as_of": study.end,
        "history_starts_at": study.history_starts_at,
        "opened_at": study.shop.opened_at,
        "min_cell": study.shop.privacy.min_cell,
        "small": study.shop.privacy.small_cell,
    }


def tie_out(
    cohort_ages: pd.DataFrame, periods: pd.DataFrame, outside: pd.DataFrame
) -> pd.DataFrame:
    """Hold the cohorts against the months of the shop: customers, and revenue net of ``outside``.

    ``outside`` are refunds of orders placed before the files begin, which no cohort holds.
    """
    ages = cohort_ages[(cohort_ages["age_unit"] == "month") & (cohort_ages["dimension"] == "all")]
    months = periods[(periods["grain"] == "month") & (periods["dimension"] == "all")]
    sizes = ages.groupby("cohort")["customers"].max()
    rows = [
        ("Cohorts", int(sizes.sum()), ages["revenue"].sum()),
        (
            "Months, without refunds of orders before the files",
            int(months["new_customers"].sum()),
            months["revenue"].sum() - outside["revenue"].sum(),
        ),
    ]
    table = pd.DataFrame(rows, columns=["counted by", "customers", "revenue"])
    gap = table[["customers", "revenue"]].iloc[0] - table[["customers", "revenue"]].iloc[1]
    table.loc[2] = ["Difference", int(gap["customers"]), round(gap["revenue"], 2) + 0.0]
    return table


def pooled_at(triangle: Triangle, age: int) -> Estimate:
    """Read the pooled row at one age; missing, with the reason, where no cohort reached it."""
    if age not in triangle.pooled.index or triangle.pooled.loc[age, "customers"] == 0:
        return Estimate(np.nan, np.nan, np.nan, 0, "No cohort has lived through this age.")
    row = triangle.pooled.loc[age]
    return Estimate(row["value"], row["low"], row["high"], int(row["customers"]))


def newest(triangle: Triangle, shown: int) -> Triangle:
    """Keep the newest cohorts of a triangle, and the ages that the oldest of them has reached."""
    states = triangle.states.tail(shown)
    reached = [age for age in states if not states[age].eq("immature").all()]
    keep = {
        name: getattr(triangle, name).loc[states.index, reached]
        for name in ("values", "low", "high", "states", "begun")
    }
    return replace(triangle, sizes=triangle.sizes.loc[states.index], **keep)


def heat_map(triangle: Triangle, shown: int, fmt: Formatter) -> dict:
    """Give `figures.triangle` what it draws: the newest cohorts, and the pooled row of all."""
    recent, unit = newest(triangle, shown), triangle.age_unit
    names = ("values", "states", "sizes", "begun")
    return {name: getattr(recent, name) for name in names} | {
        "fmt": _coarse(recent, fmt),
        "pooled": triangle.pooled["value"],
        "column_label": f"{'months' if unit == 'month' else '30-day steps'} since first order",
    }


def _coarse(triangle: Triangle, fmt: Formatter) -> Formatter:
    """Write amounts whole where all are 10 or more: intervals of cells are wider than a cent."""
    whole = takes_digits(fmt) and fmt not in (percent, ratio)
    return partial(fmt, digits=0) if whole and triangle.values.min(axis=None) >= 10 else fmt


def curve(triangle: Triangle, *, first: int = 1) -> pd.DataFrame:
    """Give the pooled row as a frame from an age on: age, value, low, high, customers, cohorts."""
    pooled = triangle.pooled.reset_index()
    return pooled[(pooled["age"] >= first) & (pooled["customers"] > 0)].reset_index(drop=True)


def one_age(triangle: Triangle, age: int) -> pd.DataFrame:
    """Follow one age from cohort to cohort, over the cells that averages use."""
    columns = ["cohort", "value", "low", "high", "customers"]
    if age not in triangle.values:
        return pd.DataFrame(columns=columns)
    usable = triangle.states[age].isin(["", "small"])
    table = pd.DataFrame(
        {
            "value": triangle.values[age],
            "low": triangle.low[age],
            "high": triangle.high[age],
            "customers": triangle.sizes,
        }
    )[usable]
    return table.rename_axis("cohort").reset_index()[columns]


# Triangles and what they are counted in: a summary, the unit of age, cumulated or by step.
_DRAWN = {
    "retention": ("cohort_ages", "month", False),
    "orders": ("basket_ages", "month", False),
    "revenue": ("cohort_ages", "days30", True),
    "margin": ("cohort_ages", "days30", True),
    "refunds": ("cohort_ages", "days30", True),
    "cost": ("cohort_ages", "days30", True),
    "aov": ("basket_ages", "month", False),
    "discount_share": ("basket_ages", "month", False),
    "service": ("served_ages", "month", True),
}
NAMES = {
    "retention": "share of the cohort with an order",
    "orders": "orders in the month per customer",
    "revenue": "revenue so far per customer",
    "margin": "margin so far per customer",
    "refunds": "refunds so far per customer",
    "cost": "cost of goods and orders so far per customer",
    "aov": "average order value",
    "discount_share": "share of list value given as discount",
    "service": "cost to serve so far per customer",
}


def drawn(study: Study, measure: str, **frame) -> Triangle:
    """Draw the triangle of a measure from its own summary, in its own unit of age.

    Retention by calendar months; money so far in steps of thirty days; what needs single orders or
    the cost to serve by calendar months. Raises UsageError for a measure that is not known.
    """
    if measure not in _DRAWN:
        raise UsageError(f"measure is '{measure}'; it must be one of {', '.join(_DRAWN)}."
                         f"{nearest(measure, _DRAWN)}")  # fmt: skip
    summary, unit, cumulative = _DRAWN[measure]
    if absent(study, measure):
        empty = summaries.load(study, "cohort_ages").head(0)
        return replace(cohorts.triangle(empty, measure="revenue", **frame), measure=measure)
    rows = summaries.load(study, summary)
    return cohorts.triangle(rows, measure=measure, cumulative=cumulative, age_unit=unit, **frame)


def unit_of(measure: str, money: Formatter) -> Formatter:
    """Give the function that writes a measure: money, a share, or a plain ratio."""
    if measure in ("retention", "discount_share"):
        return percent
    return ratio if measure == "orders" else money


def absent(study: Study, measure: str) -> str:
    """Say which table or column a measure lacks; empty where it lacks none."""
    if measure == "service" and not study.has("service_costs"):
        return "A table service_costs (customer_id, at, amount) turns this on."
    if measure == "discount_share" and not study.has("orders", "discount"):
        return "A column discount of orders turns this on."
    return ""


def missing_reason(study: Study, measure: str, triangle: Triangle) -> str:
    """Say why a measure has nothing to show, and what would turn it on; empty where it has."""
    if needed := absent(study, measure):
        return f"The shop does not record it. {needed}"
    if measure in ("margin", "cost") and triangle.coverage == 0:
        return (
            "The cost of what was sold is not known. A column cogs of orders, or a margin rate in "
            "shop.toml, turns this on."
        )
    return ""


def cells(triangle: Triangle, fmt: Formatter, *, most: int = 60) -> pd.DataFrame:
    """Write every observed cell with its interval: a row per cohort, a column per age.

    First the pooled row (its customers are those of the youngest age), then at most the ``most``
    newest cohorts, the newest first. Retention at age 0 is left out: everybody bought then. A cell
    with a star has few customers, one with a dagger holds customers who may be older than they
    look; an empty one was not lived through by all, or is hidden for privacy.
    """
    shown, marks = newest(triangle, most), {"small": "*", "left_truncated": "†"}
    fmt = _coarse(shown, fmt)
    ages = shown.values.columns[1 if triangle.measure == "retention" else 0 :]
    pooled = triangle.pooled.reindex(ages)
    lines: list[dict[str, object]] = []
    if len(pooled):
        members = int(pooled["customers"].max())
        words = [_cell(fmt, *row) for row in pooled[["value", "low", "high"]].to_numpy()]
        lines.append(
            {"cohort": "pooled", "customers": members, **dict(zip(ages, words, strict=True))}
        )
    for cohort in shown.values.index[::-1]:
        parts = (
            getattr(shown, name).loc[cohort, ages] for name in ("values", "low", "high", "states")
        )
        texts = [_cell(fmt, v, low, high, marks.get(s, "")) for v, low, high, s in
                 zip(*parts, strict=True)]  # fmt: skip
        line = {"cohort": f"{cohort:%Y-%m}", "customers": int(shown.sizes.loc[cohort])}
        lines.append(line | dict(zip(ages, texts, strict=True)))
    table = pd.DataFrame(lines, columns=["cohort", "customers", *ages])
    return table.rename(columns=str)


def _cell(fmt: Formatter, value: float, low: float, high: float, mark: str = "") -> str:
    """Write a value with its interval; empty where it is missing."""
    texts = alike(fmt, (value, low, high))
    words = texts[0] if pd.isna(low) else "{} ({} to {})".format(*texts)
    return "" if pd.isna(value) else words + mark


def overview(study: Study, measures: tuple[str, ...], **frame) -> pd.DataFrame:
    """Set out the pooled row of several measures at a few ages: measure, age, value, interval, n.

    Ages are the first, third, sixth and twelfth step lived through.
    """
    parts = []
    for measure in measures:
        triangle = drawn(study, measure, **frame)
        if missing_reason(study, measure, triangle) or triangle.values.empty:
            continue
        pooled = curve(triangle, first=0).dropna(subset="value")
        ages = [1, 3, 6, 12] if triangle.age_unit == "month" else [0, 2, 5, 11]
        found = pooled[pooled["age"].isin(ages)]
        unit = "month" if triangle.age_unit == "month" else "day"
        named = [f"month {a}" if unit == "month" else f"day {30 * (a + 1)}" for a in found["age"]]
        parts.append(found.assign(measure=NAMES[measure], key=measure, at=named))
    columns = ["measure", "at", "value", "low", "high", "customers", "cohorts", "key"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def written(overview: pd.DataFrame, money: Formatter) -> pd.DataFrame:
    """Write an overview as a table, one row per measure, since each has a unit of its own.

    Columns: measure, and value with interval at the first, third, sixth and twelfth step lived
    through; empty where no cohort has reached it.
    """
    lines: dict[str, dict[str, str]] = {}
    for row in overview.itertuples():
        write = unit_of(row.key, money)
        value, low, high = alike(write, (row.value, row.low, row.high))
        text = value if pd.isna(row.low) else f"{value} ({low} to {high})"
        number = int(row.at.split()[1])
        step = number // 30 if row.at.startswith("day") else number
        lines.setdefault(row.measure, {})[f"step {step}"] = text
    table = pd.DataFrame.from_dict(lines, orient="index").rename_axis("measure").reset_index()
    return table.fillna("")


def beside(curves: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Put survival curves below each other, each under its name in the column ``for the``."""
    parts = [part.assign(**{"for the": name}) for name, part in curves.items() if len(part)]
    columns = ["days", "at_risk", "events", "waiting", "low", "high", "for the"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


REPEAT_DAYS = (7, 14, 30, 60, 90, 180, 365)


def repeats(gaps: pd.DataFrame, least: int) -> pd.DataFrame:
    """Give the shares that buy a second and a third time within so many days of the one before.

    One row per number of days: days, second, second_low, second_high, third, ..., and at_risk (the
    customers seen waiting for so long); missing where those are fewer than ``least``.
    """
    rows = []
    for days in REPEAT_DAYS:
        line: dict[str, float] = {"days": days}
        for number, name in ((1, "second"), (2, "third")):
            found = repurchase.repeat_within(gaps, days, order_number=number)
            shown = found.n >= least
            line |= {name: found.value if shown else np.nan}
            line |= {f"{name}_low": found.low if shown else np.nan}
            line |= {f"{name}_high": found.high if shown else np.nan}
            line |= {f"{name}_at_risk": found.n}
        rows.append(line)
    return pd.DataFrame(rows)


def layer_cake(cohort_ages: pd.DataFrame, basis: str, *, most: int = 8) -> pd.DataFrame:
    """Spread what cohorts brought over the months of the shop: month, joined, amount.

    Cohorts stand together by quarter, half-year or year of joining, so that at most ``most`` layers
    are left (years beyond that). All layers of a month add up to the month.
    """
    rows = cohort_ages[(cohort_ages["age_unit"] == "month") & (cohort_ages["dimension"] == "all")]
    joined = pd.to_datetime(rows["cohort"])
    month = joined.dt.to_period("M") + rows["age"].astype(int)
    halves = (joined.dt.month > 6).map({True: "H2", False: "H1"})
    years = joined.dt.year.astype(str)
    labels = [years + " Q" + joined.dt.quarter.astype(str), years + " " + halves, years]
    layer = next((name for name in labels if name.nunique() <= most), years)
    table = pd.DataFrame({"month": month, "joined": layer, basis: rows[basis].to_numpy()})
    table = table.groupby(["month", "joined"])[basis].sum().reset_index()
    table = table.assign(month=table["month"].dt.to_timestamp())
    return table.sort_values(["joined", "month"], ignore_index=True)


def shortcut_age(triangle: Triangle, wanted: int = 12) -> int:
    """Pick the age at which ways of counting are compared: twelve months, or the last one seen."""
    seen = triangle.pooled.index[triangle.pooled["customers"] > 0]
    return int(min(wanted, seen.max())) if len(seen) else wanted


def shortcuts(cohort_ages: pd.DataFrame, age: int, **frame) -> pd.DataFrame:
    """Show what several ways of counting say about retention at one age in months.

    The honest one pools the cells that could be observed, without the run-in; the others fill the
    unobserved future with zero, take the mean of cohorts, or keep cohorts with older customers.
    """
    options = {"measure": "retention", **frame}
    honest = pooled_at(cohorts.triangle(cohort_ages, **options), age)
    every = cohorts.triangle(cohort_ages, **{**options, "run_in": 0})
    first = pooled_at(cohorts.triangle(cohort_ages, **{**options, "run_in": 1}), age)
    kept, zeros, mean = pooled_at(every, age), np.nan, np.nan
    if age in every.values:
        seen = every.values[age].where(every.states[age] != "immature")
        zeros, mean = float(seen.fillna(0).mean()), float(seen.mean())
    joined = int(every.sizes.sum())
    rows = [
        ("This page: observed cells, without the run-in, sum over sum", honest.value, honest.n),
        ("Only the first cohort left out, sum over sum", first.value, first.n),
        ("Observed cells with the first cohort kept, sum over sum", kept.value, kept.n),
        ("Observed cells with the first cohort kept, mean of cohorts", mean, kept.n),
        ("The future counted as zero, mean over all cohorts", zeros, joined),
    ]
    return pd.DataFrame(rows, columns=["way of counting", "retention", "customers"])


def state_counts(triangle: Triangle) -> pd.DataFrame:
    """Count the cells of a triangle by state, with what the state means."""
    counts = triangle.states.stack().value_counts()
    rows = [
        (name or "shown", meaning, int(counts.get(name, 0))) for name, meaning in _STATES.items()
    ]
    return pd.DataFrame(rows, columns=["state", "meaning", "cells"])


_STATES = {
    "": "observed in full",
    "small": "observed, but few customers: read with care",
    "immature": "not yet lived through by every member: left blank",
    "left_truncated": "members may be older than they look: shown, never averaged",
    "suppressed": "too few customers to be shown",
}
