"""Not randomised: what can be said when customers chose, or were chosen, and how far to trust it.

Customers alike in what is known beforehand are compared (AIPW with estimated chances of treatment).
What is not known beforehand can still have made the groups differ; how strong that would have to be
is said by the robustness value of Cinelli and Hazlett (2020). It was chosen over the E-value, which
is made for risk ratios, because the outcome here is money with many zeros, and because it is on the
scale of the known covariates, so that one can ask: as strong as the strongest of these?
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from helpers.errors import DataError
from helpers.experiments.effects import NOTHING, Effect
from helpers.experiments.scores import (
    FOLDS,
    LEAST_COMPARED,
    aipw,
    average,
    checked,
    folds,
    regressor,
)  # fmt: skip
from helpers.experiments.trust import IMBALANCE

# Chances of treatment outside are compared with hardly anybody (Crump and others 2009).
TRIM = 0.1
# With fewer customers who compare, as a share and in each group, there is no figure.
LEAST_OVERLAP = 0.5
_LEAST = 50


class Adjusted(NamedTuple):
    """A not randomised comparison: naive and adjusted effect, placebo, and what they rest on."""

    naive: Effect
    adjusted: Effect
    placebo: Effect
    kept: float
    chance: np.ndarray
    inside: np.ndarray
    reason: str


def chances(treated: np.ndarray, features: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Estimate each customer's chance of treatment from what was known before (cross-fitted)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fold, result = folds(len(treated), treated, parts=FOLDS, seed=seed), np.empty(len(treated))
    for part in range(FOLDS):
        learn, here = fold != part, fold == part
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        model.fit(features[learn], treated[learn])
        result[here] = model.predict_proba(features[here])[:, 1]
    return result


def adjust(
    outcome: object, treated: object, features: object, before: object,
    *, features_before: object = None, learner: str = "linear", trim: float = TRIM, seed: int = 0,
    level: float = 0.95,
) -> Adjusted:  # fmt: skip
    """Compare treated with untreated customers who were alike beforehand; never proof of an effect.

    naive: the plain difference, what a report of who bought after a contact would claim. adjusted:
    AIPW among customers whose estimated chance of treatment lies within ``trim`` of neither end
    (the effect on those, the others have nobody to compare with; ``kept`` is their share).
    placebo: the same for ``before``, an outcome of the time before the treatment, given
    ``features_before``: what was known before that time (the features, where none of them holds
    any of it). Without an effect there, what is hidden is unlikely to matter; with one, customers
    were picked by what they did in those days, which the adjustment knows, or by what it does not.
    ``reason``, empty where all is well: fewer than half overlap (then there is no figure), still
    unlike after weighting, or the placebo found something.
    """
    y, w, x = checked(outcome, treated, features, least=LEAST_COMPARED)
    earlier = np.asarray(before, dtype=float)
    if earlier.shape != y.shape or not np.isfinite(earlier).all():
        raise DataError("The placebo needs the earlier outcome of every customer.")
    chance = chances(w, x, seed=seed)
    inside = (chance >= trim) & (chance <= 1 - trim)
    naive = _difference(y, w, level)
    kept = float(inside.mean())
    if kept < LEAST_OVERLAP or min(w[inside].sum(), (~w[inside]).sum()) < _LEAST:
        why = f"only {kept:.0%} of customers had a like one in the other group beforehand"
        return Adjusted(naive, NOTHING, NOTHING, kept, chance, inside, why)
    past, chance_past = x, chance
    if features_before is not None:
        _, _, past = checked(before, treated, features_before, least=LEAST_COMPARED)
        chance_past = np.clip(chances(w, past, seed=seed), trim, 1 - trim)
    effects = [
        _aipw_mean(values[inside], w[inside], known[inside], odds[inside], learner, seed, level)
        for values, known, odds in ((y, x, chance), (earlier, past, chance_past))
    ]
    worst = balance(w[inside], x[inside], chance[inside])["after"].abs().max()
    reason = ""
    if worst > IMBALANCE:
        reason = f"the groups are still {worst:.2f} standard deviations apart after weighting"
    elif effects[1].p_value < 0.05:
        reason = (
            "the same comparison finds a difference in the days before the campaign, given what "
            "was known before those: customers were picked by what they did then, or by something "
            "not known here"
        )
    return Adjusted(naive, *effects, kept, chance, inside, reason)


def _difference(y: np.ndarray, w: np.ndarray, level: float) -> Effect:
    """Plain difference of means, Welch."""
    found = stats.ttest_ind(y[w], y[~w], equal_var=False)
    low, high = found.confidence_interval(level)
    value = float(y[w].mean() - y[~w].mean())
    se = abs(value / found.statistic) if found.statistic else np.nan
    return Effect(value, float(se), float(low), float(high), float(found.pvalue))


def _aipw_mean(
    y: np.ndarray, w: np.ndarray, x: np.ndarray, chance: np.ndarray, learner: str, seed: int,
    level: float,
) -> Effect:  # fmt: skip
    """Mean of scores with cross-fitted outcomes and given chances."""
    fold, score = folds(len(y), w, parts=FOLDS, seed=seed), np.empty(len(y))
    for part in range(FOLDS):
        learn, here = fold != part, fold == part
        low, high = (
            regressor(learner, seed).fit(x[learn & side], y[learn & side]).predict(x[here])
            for side in (~w, w)
        )
        score[here] = aipw(y[here], w[here], low, high, chance[here])
    return average(score, level=level)


def balance(
    treated: np.ndarray, features: np.ndarray, chance: np.ndarray, names: object = None
) -> pd.DataFrame:
    """Show how unlike the groups were in each feature, before and after weighting (SMD).

    Difference of means / root of the mean variance of the unweighted groups; weights 1 / chance of
    treatment for the treated, 1 / (1 - chance) for the others. One row per feature: feature,
    before, after; missing where a feature never varies.
    """
    w, x = np.asarray(treated).astype(bool), np.asarray(features, dtype=float)
    weight = np.where(w, 1 / chance, 1 / (1 - chance))
    spread = np.sqrt((x[w].var(axis=0, ddof=1) + x[~w].var(axis=0, ddof=1)) / 2)
    spread = np.where(spread > 0, spread, np.nan)
    before = (x[w].mean(axis=0) - x[~w].mean(axis=0)) / spread
    sides = [np.average(x[side], axis=0, weights=weight[side]) for side in (w, ~w)]
    labels = list(names) if names is not None else [str(i) for i in range(x.shape[1])]
    after = (sides[0] - sides[1]) / spread
    return pd.DataFrame({"feature": labels, "before": before, "after": after})


def overlap(treated: np.ndarray, chance: np.ndarray, *, parts: int = 10) -> pd.DataFrame:
    """Count treated and untreated customers by chance of treatment, in tenths from 0 to 1.

    One row per tenth: low, high, treated, untreated; where one of the two is 0, nobody compares.
    """
    w, place = np.asarray(treated).astype(bool), np.minimum((chance * parts).astype(int), parts - 1)
    edges = np.arange(parts) / parts
    counts = [np.bincount(place[side], minlength=parts) for side in (w, ~w)]
    return pd.DataFrame(
        {"low": edges, "high": edges + 1 / parts, "treated": counts[0], "untreated": counts[1]}
    )


def robustness(
    outcome: object, treated: object, features: object, names: object = None, *, level: float = 0.95
) -> dict[str, object]:
    """Say how strong something unknown would have to be to explain the effect away.

    robustness value = (root of (f^4 + 4 f^2) - f^2) / 2, f = |t| / root of the degrees of freedom
    of the treatment in a least-squares fit on all features: a confounder that explains this share
    of what is left of both treatment and outcome brings the estimate to zero (Cinelli and Hazlett
    2020, equation 19). robustness_low the same for its interval to reach zero (f less the critical
    t over the root of the degrees of freedom less 1). strongest and its shares of the treatment and
    the outcome: the known feature that explains most of the treatment, as a yardstick.
    """
    y, w, x = checked(outcome, treated, features, least=LEAST_COMPARED)
    labels = list(names) if names is not None else [str(i) for i in range(x.shape[1])]
    varies = x.std(axis=0) > 0
    labels, x = [name for name, kept in zip(labels, varies, strict=True) if kept], x[:, varies]
    base = np.column_stack([np.ones(len(y)), x])
    dof = len(y) - base.shape[1] - 1
    left_w, left_y = (v - base @ np.linalg.lstsq(base, v, rcond=None)[0] for v in (w * 1.0, y))
    value = float(left_w @ left_y / (left_w @ left_w))
    rest = left_y - value * left_w
    t = value / float(np.sqrt(rest @ rest / dof / (left_w @ left_w)))
    f = abs(t) / np.sqrt(dof)
    critical = float(stats.t.ppf((1 + level) / 2, dof - 1)) / np.sqrt(dof - 1)

    full = np.column_stack([base, w])
    with_w, with_y = _partial(base, w * 1.0), _partial(full, y)[: x.shape[1]]
    place = int(np.argmax(with_w)) if len(with_w) else -1
    return {
        "value": value, "robustness": strength(f), "robustness_low": strength(f - critical),
        "strongest": labels[place] if place >= 0 else "",
        "of_treatment": float(with_w[place]) if place >= 0 else np.nan,
        "of_outcome": float(with_y[place]) if place >= 0 else np.nan,
    }  # fmt: skip


def strength(f: float) -> float:
    """Give the robustness value of an estimate f root-degrees-of-freedom standard errors from zero.

    (root of (f^4 + 4 f^2) - f^2) / 2; zero where f is not above zero.
    """
    return float((np.sqrt(f**4 + 4 * f**2) - f**2) / 2) if f > 0 else 0.0


def _partial(design: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Share of what the other columns leave of the target that each explains (partial R2)."""
    inverse = np.linalg.pinv(design.T @ design)
    slopes = inverse @ design.T @ target
    left = target - design @ slopes
    dof = len(target) - design.shape[1]
    t2 = slopes**2 / (np.diag(inverse) * (left @ left) / dof)
    return (t2 / (t2 + dof))[1:]
