"""Do all customers behave alike: one model for all, or one for each cohort, or each channel?

Parameters of a purchase model are poorly known one by one, so groups are compared by what their
models predict: repeat purchases of a new customer in a year, with an interval.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from helpers.errors import DataError
from helpers.models import btyd
from helpers.models.forecast import Models, states_at
from helpers.models.purchase import PurchaseFit
from helpers.models.segments import fit_segments
from helpers.models.terms import DAYS_PER_YEAR

LEAST, LEAST_REPEATERS = 300, 60
# How much lower the criterion of Akaike must be before cohorts get models of their own.
CLEARLY = 10.0


NONE = pd.DataFrame(columns=["cohort", "customers", "repeaters", "expected", "low", "high"])


@dataclass(frozen=True)
class Drift:
    """Groups of customers compared: table, advice ("pool" or "split"), how much AIC favors a split.

    ``cohorts``: one row per group of cohorts in order, and last all: cohort, customers, repeaters,
    expected (repeat purchases of a new customer in a year), low, high (95%), and whether the
    interval leaves out the value of all (``apart``). ``reason``: why there is no comparison.
    """

    reason: str
    cohorts: pd.DataFrame
    advice: str = ""
    gain: float = np.nan


def compare_cohorts(
    states: pd.DataFrame, models: Models, *, draws: int = 200, seed: int = 0
) -> Drift:
    """Fit the model used to half-years of first purchase, and to all, and compare predictions.

    Half-years with fewer than 300 customers or 60 repeaters join the next; each is drawn towards
    the others as far as its data do not speak (`fit_segments`). Splitting is advised
    only where the sum of the cohorts' AIC lies clearly (by 10) below that of one model.
    """
    return _compare(states, _half_years(states), models, "Cohorts", draws, seed)


def compare_segments(
    states: pd.DataFrame, models: Models, *, draws: int = 200, seed: int = 0
) -> Drift:
    """Fit the model used to each ``segment`` of the states, and to all, and compare predictions.

    As `compare_cohorts` does; segments of fewer customers or repeaters together are "others". In
    the table a row's ``cohort`` is its segment, the one expected to buy most first.
    """
    found = _compare(states, _segments(states), models, "Channels", draws, seed)
    if found.reason:
        return found
    rows = found.cohorts.iloc[:-1].sort_values("expected", ascending=False, kind="stable")
    return replace(found, cohorts=pd.concat([rows, found.cohorts.iloc[-1:]], ignore_index=True))


def _compare(
    states: pd.DataFrame, group: pd.Series, models: Models, what: str, draws: int, seed: int
) -> Drift:
    """Fit each group of customers, drawn towards the others, and all of them together."""
    if len(models.purchase.names) < 4:
        return Drift(
            f"In this model nobody leaves, so {what.lower()} cannot differ in it but by pace.", NONE
        )
    if group.nunique() < 2:
        return Drift(
            f"{what} need at least {LEAST} customers and {LEAST_REPEATERS} repeaters each.", NONE
        )
    at = states_at(states, models.as_of, models.clock.days_per_unit, models.season)
    names = sorted(group.unique())
    codes = group.map({name: code for code, name in enumerate(names)}).to_numpy()
    try:
        found = fit_segments(at, codes, type(models.purchase))
    except DataError as fault:
        return Drift(f"{what} could not be fitted by themselves. {fault}", NONE)
    rng = np.random.default_rng(seed)
    sizes = states["n"].groupby(group).sum()
    again = states.loc[states["frequency"] > 0, "n"].groupby(group).sum()
    rows = [
        _row(name, fit, sizes[name], again.get(name, 0), draws, rng)
        for name, fit in zip(names, found.fits, strict=True)
    ]
    rows.append(_row("all", models.purchase, sizes.sum(), again.sum(), draws, rng))
    table = pd.DataFrame(rows)
    everyone = table["expected"].iloc[-1]
    table["apart"] = (table["low"] > everyone) | (table["high"] < everyone)
    gain = models.purchase.aic - sum(fit.aic for fit in found.fits)
    return Drift("", table, "split" if gain > CLEARLY else "pool", gain)


def _row(
    name: str,
    fit: PurchaseFit,
    customers: int,
    repeaters: int,
    draws: int,
    rng: np.random.Generator,
) -> dict:
    year = DAYS_PER_YEAR / fit.days_per_unit
    moved = [
        float(btyd.expected_purchases_new(fit.shifted(move), year))
        for move in fit.log_draws(draws, rng)
    ]
    low, high = np.quantile(moved, [0.025, 0.975])
    return {
        "cohort": name, "customers": int(customers), "repeaters": int(repeaters),
        "expected": float(btyd.expected_purchases_new(fit, year)), "low": low, "high": high,
    }  # fmt: skip


def _half_years(states: pd.DataFrame) -> pd.Series:
    """Name each state's group of cohorts by its first month; too small ones join the next."""
    first = pd.to_datetime(states["first_day"])
    half = first.dt.year * 2 + (first.dt.month > 6)
    again = states["n"].where(states["frequency"] > 0, 0)
    sizes = pd.DataFrame({"n": states["n"], "again": again}).groupby(half).sum()
    group, names, n, repeaters = {}, [], 0, 0
    for key, row in sizes.iterrows():
        group[key] = len(names)
        n, repeaters = n + row["n"], repeaters + row["again"]
        if n >= LEAST and repeaters >= LEAST_REPEATERS:
            names.append(key)
            n = repeaters = 0
    last = max(len(names) - 1, 0)
    starts = first.groupby(half.map(group).clip(upper=last)).min().dt.strftime("from %Y-%m")
    return half.map(group).clip(upper=last).map(starts)


def _segments(states: pd.DataFrame) -> pd.Series:
    """Name each state's segment; too small ones are "others", with the next smallest if need be."""
    again = states["n"].where(states["frequency"] > 0, 0)
    sizes = pd.DataFrame({"n": states["n"], "again": again}).groupby(states["segment"]).sum()
    sizes = sizes.sort_values("again", kind="stable")
    enough = (sizes["n"] >= LEAST) & (sizes["again"] >= LEAST_REPEATERS)
    small = list(sizes.index[~enough])
    for name in sizes.index[enough]:
        left = sizes.loc[small].sum()
        if not small or (left["n"] >= LEAST and left["again"] >= LEAST_REPEATERS):
            break
        small.append(name)
    return states["segment"].where(~states["segment"].isin(small), "others")
