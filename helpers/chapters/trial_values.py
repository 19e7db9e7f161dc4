"""Incremental CLV of an experiment: its lines, its parts, and its segments."""

from dataclasses import dataclass, replace

import pandas as pd

from helpers import summaries
from helpers.chapters.outlooks import terms_of
from helpers.chapters.trial_readouts import COVARIATES, effect_on
from helpers.chapters.trials import Trial
from helpers.experiments import effects, lifetimes, pooling
from helpers.experiments.effects import Effect, as_row
from helpers.models import forecast
from helpers.models.forecast import Models
from helpers.models.terms import Terms
from helpers.study import Study

# After the window, residual value counts for a year at this rate a year.
HORIZON_MONTHS, DISCOUNT = 12, 0.10
OBSERVED = 180
SURROGATE = (
    "The model line rests on a surrogate: the purchase model sees more orders in the window and "
    "takes them for a higher rate, also where the campaign only brought orders forward. The line "
    "without carry-over takes nothing for granted beyond the window; where orders were brought "
    "forward, even that is too high until a longer window has been lived through."
)


@dataclass(frozen=True)
class Outlook:
    """What values the customers of one experiment: models from before it, or why there are none.

    ``lifetime`` holds margin, residual value and their sum as moments by arm and segment.
    """

    reason: str
    terms: Terms
    models: Models | None = None
    lifetime: pd.DataFrame | None = None


def outlook(study: Study, trial: Trial) -> Outlook:
    """Fit the purchase and spend models on what was known the day before the first assignment."""
    periods = summaries.load(study, "periods")
    terms = terms_of(study, periods, horizon_months=HORIZON_MONTHS, discount_rate=DISCOUNT)
    split = (trial.facts["first_day"].min() - pd.Timedelta(days=1)).strftime("%Y-%m-%d")
    states = summaries.load(study, "known_states", split=split)
    if states.empty:
        return Outlook("nobody had ordered before the experiment began.", terms)
    spends = summaries.load(study, "known_spends", split=split)
    models, reason = forecast.fit_or_why_not(states, spends, split)
    return Outlook(reason, terms, models)


def _histories(study: Study, trial: Trial, at: str) -> pd.DataFrame:
    rows = summaries.load(study, "experiment_states")
    rows = rows[(rows["experiment_id"] == trial.experiment) & (rows["at"] == at)]
    return rows.reset_index(drop=True)


def scored_arms(study: Study, trial: Trial, view: Outlook) -> tuple[dict, tuple[str, ...]]:
    """Give the arms with the best covariate there is, and its name.

    The CLV forecast from data before the first assignment where there is one, else margin of the
    half year before; both with the indicator of customers who had not ordered by then.
    """
    arms = trial.arms()
    if view.models is None or not trial.complete:
        return arms, COVARIATES
    before = lifetimes.covariate(_histories(study, trial, "before"), view.models, view.terms)
    names = ["score", "score_squares", "pre_score", "score_missing"]
    names += [f"{name}_score" for name in ("margin", "orders", "revenue", "converted")]
    sums = before.groupby(before["arm"].astype(str))[names].sum()
    return {name: pd.concat([arm, sums.loc[name]]) for name, arm in arms.items()}, (
        "score",
        "missing",
    )


def with_lifetime(study: Study, trial: Trial, view: Outlook) -> Outlook:
    """Add what the customers were still worth at the window's end, where a model can say it."""
    if view.models is None or not trial.complete:
        return view
    after = _histories(study, trial, "after")
    rows = lifetimes.lifetime_moments(after, view.models, view.terms, window_days=trial.window)
    numbers = rows.select_dtypes("number").columns.difference(
        ["frequency", "spend_frequency", "total_spend", "total_spend_squares"]
    )
    sums = rows.groupby(["arm", "channel", "tier"], as_index=False)[list(numbers)].sum()
    return replace(view, lifetime=sums)


def lines(trial: Trial, view: Outlook) -> pd.DataFrame:
    """Give the lines of incremental CLV per treated arm, less the cost of treating a customer.

    One row per arm and line: arm, line ('no carry-over', 'model', 'observed to 180 days'), window
    (margin of the window), residual (the change in what is still to come), value with se, low and
    high, all per customer and before fixed cost. The observed line stands where its horizon is
    over and longer than the declared window; the model line where a model could be fitted.
    """
    rows = []
    for arm in trial.treated:
        cost, base = trial.cost_each(arm), {"arm": arm}
        within = effect_on(trial.arms(), trial.control, arm, "margin")
        rows.append(base | {"line": "no carry-over", "window": within.value, "residual": 0.0}
                    | _less(within, cost))  # fmt: skip
        if view.lifetime is not None:
            arms = effects.arms_of(view.lifetime)
            whole, later = (
                effect_on(arms, trial.control, arm, name) for name in ("lifetime", "residual")
            )
            rows.append(base | {"line": "model", "window": whole.value - later.value,
                                "residual": later.value} | _less(whole, cost))  # fmt: skip
        if OBSERVED in trial.windows and trial.window < OBSERVED:
            seen = effect_on(trial.arms(OBSERVED), trial.control, arm, "margin")
            rows.append(base | {"line": f"observed to {OBSERVED} days", "window": within.value,
                                "residual": seen.value - within.value}
                        | _less(seen, cost))  # fmt: skip
    columns = ["arm", "line", "window", "residual", "value", "se", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def _less(effect: Effect, cost: float) -> dict[str, float]:
    row = as_row(effect)
    return {
        name: row[name] - (cost if name != "se" else 0.0) for name in ("value", "se", "low", "high")
    }


def by_segment(
    study: Study,
    trial: Trial,
    view: Outlook,
    arm: str,
    *,
    dimension: str = "tier",
    measure: str = "lifetime",
) -> tuple[pd.DataFrame, pooling.Pooled]:
    """Give one arm's effect by segment, partially pooled, and the test of whether they differ.

    On incremental CLV ('lifetime') where there is a model, else, or if asked, on 'margin' of the
    window. Columns: segment, and
    those of `pooling.segments` (size are customers of all arms; size x value adds up to the total).
    A segment with an arm below the shop's smallest group stands in 'other'.
    """
    of_window = trial.moments[trial.moments["window_days"] == trial.window]
    measure = "margin" if view.lifetime is None else measure
    rows = of_window if measure == "margin" else view.lifetime
    rows = rows[rows["arm"].isin([trial.control, arm])]
    rows = rows.assign(segment=_shown(rows, dimension, study.shop.privacy.min_cell))
    found, names = [], sorted(rows["segment"].unique())
    for name in names:
        arms = effects.arms_of(rows[rows["segment"] == name])
        effect = effects.difference(arms[trial.control], arms[arm], measure)
        found.append((sum(a["n"] for a in arms.values()), effect.value, effect.se))
    table, family = pooling.segments(*(list(column) for column in zip(*found, strict=True)))
    table.insert(0, "segment", names)
    return table, family


def _shown(rows: pd.DataFrame, dimension: str, least: int) -> pd.Series:
    """Name segments so that none has an arm below the smallest group: small ones stand together.

    Where even those together are too few they join the smallest segment that may be shown.
    """
    sizes = rows.groupby([dimension, "arm"])["n"].sum().unstack(fill_value=0)
    few = (sizes < least).any(axis=1)
    names = {name: "other" if few[name] else name for name in sizes.index}
    together = sizes[few].sum()
    if few.any() and not few.all() and (together < least).any():
        smallest = sizes[~few].sum(axis=1).idxmin()
        names |= dict.fromkeys([*sizes.index[few], smallest], f"{smallest} and other")
    return rows[dimension].map(names)
