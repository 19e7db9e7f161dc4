"""Frames of where cohorts are going: projections, their back-test, forecasts against actuals."""

import pandas as pd

from helpers import summaries
from helpers.errors import DataError
from helpers.measures.cohorts import Triangle
from helpers.models import sbg
from helpers.models.projection import Projection, project
from helpers.show import percent
from helpers.study import Study
from helpers.written import Formatter, alike

# Months of life that a picture's curve is drawn at, and those that the tables name.
DRAWN = tuple(range(3, 37, 3))
NAMED = (12, 24, 36)


def projected(study: Study, triangle: Triangle) -> tuple[Projection | None, str]:
    """Carry a triangle to three years of age; without a projection, the reason why "
    "there is none."""
    try:
        return project(summaries.load(study, "cohort_groups"), triangle, horizons=DRAWN), ""
    except DataError as error:
        return None, str(error)


def _months(ages: pd.Series, projection: Projection) -> pd.Series:
    """Give the months of life that ages stand for: money of 12 steps is age 11 in 30-day steps."""
    return ages + 1 if projection.age_unit == "days30" else ages


def continued(projection: Projection | None, triangle: Triangle, *, most: int = 3) -> pd.DataFrame:
    """Draw cohorts as far as they were seen, and on with a band as far as they are projected.

    At most ``most`` cohorts, spread over those that are projected, the oldest first. Rows: joined,
    month (of life), value, low, high (missing where observed: a band marks what is projected).
    """
    columns = ["joined", "month", "value", "low", "high"]
    if projection is None:
        return pd.DataFrame(columns=columns)
    ahead = projection.table[projection.table["state"].isin(["projected", "extrapolated"])]
    cohorts = sorted(ahead["cohort"].unique())
    step = max(len(cohorts) // most, 1)
    parts = []
    for cohort in cohorts[::step][:most]:
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
    columns = ["cohort", *(f"{number} months" for number in NAMED)]
    if projection is None:
        return pd.DataFrame(columns=columns)
    table = projection.table.assign(month=_months(projection.table["age"], projection))
    lines: dict[pd.Timestamp, dict[str, str]] = {}
    for row in table[table["month"].isin(NAMED)].itertuples():
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


def against_actuals(projection: Projection | None) -> pd.DataFrame:
    """Hold what was forecast some steps ago against what came, the newest cohort first."""
    columns = ["cohort", "age", "made", "forecast", "low", "high", "actual", "verdict"]
    if projection is None or projection.forecasts.empty:
        return pd.DataFrame(columns=columns)
    return projection.forecasts[columns].iloc[::-1].reset_index(drop=True)


def contracts(study: Study) -> tuple[pd.DataFrame, str]:
    """Carry today's contracts on by shifted-beta-geometric renewal, and say what was found.

    Rows: periods (months of 30.4 days from now), contracts (that run now), estimate, low, high,
    share. Empty, with the reason, where no contracts are recorded or too few to fit.
    """
    columns = ["periods", "contracts", "estimate", "low", "high", "share"]
    if not study.has("subscriptions"):
        return pd.DataFrame(columns=columns), (
            "No contracts are recorded. A table subscriptions (subscription_id, customer_id, "
            "started_at, ended_at) turns this on."
        )
    rows = sbg.contract_periods(summaries.load(study, "contract_waits"))
    running = rows[~rows["event"]]
    if running["n"].sum() < study.shop.privacy.min_cell:
        return pd.DataFrame(columns=columns), "Too few contracts run today to project them."
    try:
        fit = sbg.fit_sbg(*(rows[c].to_numpy() for c in ("period", "event", "n")))
        table = sbg.project_contracts(fit, running["period"].to_numpy(), running["n"].to_numpy())
    except DataError as error:
        return pd.DataFrame(columns=columns), f"Contracts are not projected. {error}"
    first, later = (float(rate) for rate in sbg.retention_rate(fit, [1, 12]))
    return table[columns], (
        f"Of contracts in their first period {percent(first)} are renewed, of those that have run "
        f"for a year {percent(later)}: the ones who leave easily have left. A year from now "
        f"{percent(table['share'].iloc[0])} of today's contracts are expected to run."
    )
