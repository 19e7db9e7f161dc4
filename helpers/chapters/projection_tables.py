"""Frames of where cohorts are going: projections, their back-test, forecasts against actuals."""

import numpy as np
import pandas as pd

from helpers import summaries
from helpers.chapters import payback_tables
from helpers.errors import DataError
from helpers.measures import cohorts, economics
from helpers.measures.cohorts import Triangle
from helpers.models.projection import HORIZON_MONTHS, Projection, project
from helpers.study import Study
from helpers.written import Formatter, alike

# Months of life that a picture's curve is drawn at.
DRAWN = tuple(range(3, 37, 3))


def projected(study: Study, triangle: Triangle) -> tuple[Projection | None, str]:
    """Carry a triangle to three years of age; without a projection, the reason for that."""
    try:
        return project(summaries.load(study, "cohort_groups"), triangle, horizons=DRAWN), ""
    except DataError as error:
        return None, str(error)


def _months(ages: pd.Series, projection: Projection) -> pd.Series:
    """Give the months of life that ages stand for: money of 12 steps is age 11 in 30-day steps."""
    return ages + 1 if projection.age_unit == "days30" else ages


def continued(projection: Projection | None, triangle: Triangle, *, most: int = 3) -> pd.DataFrame:
    """Draw cohorts as far as they were seen, and on with a band as far as they are projected.

    At most ``most`` cohorts, spread from the oldest to the newest that are projected. Rows: joined,
    month (of life), value, low, high (missing where observed: a band marks what is projected).
    """
    columns = ["joined", "month", "value", "low", "high"]
    if projection is None:
        return pd.DataFrame(columns=columns)
    ahead = projection.table[projection.table["state"].isin(["projected", "extrapolated"])]
    cohorts = sorted(ahead["cohort"].unique())
    places = np.unique(
        np.linspace(0, len(cohorts) - 1, min(most, len(cohorts))).round().astype(int)
    )
    parts = []
    for cohort in (cohorts[place] for place in places):
        seen = triangle.values.loc[cohort].dropna()
        seen = seen[seen.index >= (1 if projection.measure == "retention" else 0)]
        past = pd.DataFrame({"age": seen.index, "value": seen.to_numpy()})
        part = ahead[ahead["cohort"] == cohort].rename(columns={"estimate": "value"})
        both = pd.concat([past, part[["age", "value", "low", "high"]]])
        months = _months(both["age"].astype(int), projection)
        parts.append(both.assign(joined=f"{cohort:%Y-%m}", month=months)[columns])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def horizons(projection: Projection | None, fmt: Formatter) -> pd.DataFrame:
    """Set out every cohort at 12, 24 and 36 months: what it did, or is expected to, in words.

    An interval holds what the cohort will do; one with a star lies past the oldest age seen.
    """
    columns = ["cohort", *(f"{number} months" for number in HORIZON_MONTHS)]
    if projection is None:
        return pd.DataFrame(columns=columns)
    table = projection.table.assign(month=_months(projection.table["age"], projection))
    lines: dict[pd.Timestamp, dict[str, str]] = {}
    for row in table[table["month"].isin(HORIZON_MONTHS)].itertuples():
        if pd.isna(row.estimate):
            words = row.state.replace("_", "-")
        else:
            value, low, high = alike(fmt, (row.estimate, row.low, row.high))
            words = value if row.observed else f"{value} ({low} to {high})"
            words += "*" if row.state == "extrapolated" else ""
        lines.setdefault(row.cohort, {})[f"{int(row.month)} months"] = words
    found = pd.DataFrame.from_dict(lines, orient="index").rename_axis("cohort").reset_index()
    return found[columns].iloc[::-1].reset_index(drop=True)


def backtest(projection: Projection | None) -> pd.DataFrame:
    """Give the back-test: method, hidden (newest steps), forecasts, bias, error, coverage, chosen.

    bias and absolute_error are shares of what came; coverage is the share of forecasts whose
    interval, before it was widened, held what came.
    """
    columns = ["method", "hidden", "forecasts", "bias", "absolute_error", "coverage", "chosen"]
    if projection is None or projection.backtest.empty:
        return pd.DataFrame(columns=columns)
    table = projection.backtest[columns]
    names = table["method"].str.replace("_", " ")
    return table.assign(method=names, hidden=table["hidden"].astype(str))


def actuals(projection: Projection | None) -> pd.DataFrame:
    """Hold what was forecast some steps ago against what came, the newest cohort first."""
    columns = ["cohort", "age", "made", "forecast", "low", "high", "actual", "verdict"]
    if projection is None or projection.forecasts.empty:
        return pd.DataFrame(columns=columns)
    return projection.forecasts[columns].iloc[::-1].reset_index(drop=True)


_CHANNELS = [
    "channel",
    "customers",
    "cac",
    *(f"{number} months" for number in HORIZON_MONTHS),
    "paid_back",
]


def channels_ahead(
    study: Study, acquisition: pd.DataFrame, basis: str, fmt: Formatter, **frame
) -> pd.DataFrame:
    """Set what customers of each paid channel have cost against what they will bring by an age.

    A channel's cohorts are projected from its own triangle and pooled, cost likewise. Intervals
    hold what these cohorts will do: what was observed has none, and errors of the rest count as if
    all came from one cause, so they are too wide rather than too narrow. One row per channel that
    can be projected: channel, customers (of its cohorts), cac, money per customer by 12, 24, 36
    months of life in words (a star where a curve is carried past what was seen), paid_back (in
    words, with the ages between which the interval of money less cost holds zero).
    """
    groups = summaries.load(study, "trait_groups", dimension="channel")
    rows = summaries.load(study, "trait_ages", dimension="channel")
    costs = acquisition.assign(start=pd.to_datetime(acquisition["start"]))
    lines = []
    for channel, part in costs.groupby("channel"):
        paid = part[(part["cost"] > 0) & (part["new_customers"] > 0)].set_index("start")
        mine = groups[groups["value"] == channel]
        if paid.empty or mine.empty:
            continue
        table = cohorts.triangle(
            rows, measure=basis, cumulative=True, age_unit="days30", dimension="channel",
            value=channel, **{**frame, "min_cell": 1},
        )  # fmt: skip
        try:
            found = project(mine, table, horizons=tuple(range(2, HORIZON_MONTHS[-1] + 1)))
        except DataError:
            continue
        curve = _pooled_ahead(_with_first(found.table, table), table.sizes, paid)
        if curve["customers"].max() >= frame["min_cell"]:
            lines.append((channel, *_channel_words(curve, fmt)))
    return pd.DataFrame(lines, columns=_CHANNELS)


def _with_first(ahead: pd.DataFrame, table: Triangle) -> pd.DataFrame:
    """Add what the projected cohorts brought in their first step: a projection begins after it."""
    known = ahead.dropna(subset="estimate")["cohort"].unique()
    first = table.values.loc[known, 0].rename("estimate").rename_axis("cohort").reset_index()
    return pd.concat([first.assign(age=0, observed=True, state="observed"), ahead])


def _pooled_ahead(ahead: pd.DataFrame, sizes: pd.Series, paid: pd.DataFrame) -> pd.DataFrame:
    """Pool a channel's projected cohorts with a known cost: value, low, high and cac by month."""
    ahead = ahead[ahead["cohort"].isin(paid.index)].dropna(subset="estimate")
    ahead = ahead.assign(
        month=ahead["age"] + 1, n=sizes.reindex(ahead["cohort"]).to_numpy(),
        cost=paid["cost"].reindex(ahead["cohort"]).to_numpy(),
        new=paid["new_customers"].reindex(ahead["cohort"]).to_numpy(),
        past=ahead["state"] == "extrapolated",
    )  # fmt: skip
    for name in ("low", "high", "estimate"):
        known = ahead["observed"] | ahead[name].isna()
        ahead[name] = ahead[name].mask(known, ahead["estimate"]) * ahead["n"]
    sums = ahead.groupby("month")[["estimate", "low", "high", "n", "cost", "new"]].sum()
    each = sums[["estimate", "low", "high"]].div(sums["n"], axis=0)
    past = ahead.groupby("month")["past"].any()
    return each.assign(cac=sums["cost"] / sums["new"], customers=sums["n"], past=past)


def _channel_words(curve: pd.DataFrame, fmt: Formatter) -> list:
    """Write a channel's row after its name."""
    words = []
    for number in HORIZON_MONTHS:
        if number not in curve.index:
            words.append("not observable")
            continue
        row = curve.loc[number]
        value, low, high = alike(fmt, (row["estimate"], row["low"], row["high"]))
        whole = value if row["low"] == row["high"] else f"{value} ({low} to {high})"
        words.append(whole + ("*" if row["past"] else ""))
    net = curve[["estimate", "low", "high"]].sub(curve["cac"], axis=0)
    age = economics.payback_age(30 * curve.index, net["estimate"], net["low"], net["high"], 0.0)
    return [int(curve["customers"].max()), float(curve["cac"].iloc[0]), *words,
            payback_tables.payback_words(pd.Series(vars(age)))]  # fmt: skip
