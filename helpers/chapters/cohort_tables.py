"""Frames of the cohort notebook, made from triangles and summaries."""

from dataclasses import replace

import numpy as np
import pandas as pd

from helpers.measures import cohorts
from helpers.measures.cohorts import Triangle
from helpers.measures.metrics import Estimate
from helpers.study import Study


def frame_of(study: Study) -> dict:
    """Give what every triangle of a study shares: its dates and its smallest groups."""
    return {
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
        for name in ("values", "low", "high", "states")
    }
    return replace(triangle, sizes=triangle.sizes.loc[states.index], **keep)


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


def blended_cac(acquisition: pd.DataFrame) -> pd.Series:
    """Give the cost of a new customer by month of acquisition: all spend / all new customers."""
    months = acquisition.groupby("start")[["cost", "new_customers"]].sum(min_count=1)
    months = months[(months["cost"] > 0) & (months["new_customers"] > 0)]
    return (months["cost"] / months["new_customers"]).rename("cac")


def payback_table(cumulative: Triangle, cac: pd.Series) -> pd.DataFrame:
    """Give each cohort's blended cost of acquisition and the day by which it was earned back.

    Columns: cohort (month), customers, cac, state, days; empty without recorded spend.
    """
    rows = []
    for month, cost in cac.items():
        if month not in cumulative.sizes.index:
            continue
        found = cohorts.payback(cumulative, cost).loc[month]
        days = found["age"] if found["state"] == "paid back" else found["at_least"]
        name = f"{month:%Y-%m}"
        rows.append((name, int(cumulative.sizes.loc[month]), cost, found["state"], days))
    table = pd.DataFrame(rows, columns=["cohort", "customers", "cac", "state", "days"])
    hidden = table["state"] == "unknown"
    return table[~hidden].reset_index(drop=True)


def shortcuts(cohort_ages: pd.DataFrame, age: int, **frame) -> pd.DataFrame:
    """Show what three ways of counting say about retention at one age in months.

    The honest one pools the cells that could be observed; the others fill the unobserved future
    with zero, or keep a first cohort that may hold older customers.
    """
    triangle = cohorts.triangle(cohort_ages, measure="retention", **frame)
    honest = pooled_at(triangle, age)
    every = cohorts.triangle(
        cohort_ages, measure="retention",
        **{**frame, "opened_at": frame["history_starts_at"]},
    )  # fmt: skip
    kept = pooled_at(every, age)
    zeros = np.nan
    if age in every.values:
        zeros = float(every.values[age].where(every.states[age] != "immature").fillna(0).mean())
    rows = [
        ("Observed cells, sum over sum", honest.value, honest.n),
        ("The future counted as zero, mean over all cohorts", zeros, int(every.sizes.sum())),
        ("Observed cells with the first cohort kept", kept.value, kept.n),
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
