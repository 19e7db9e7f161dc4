"""What a treatment did to each customer, as a score whose mean is the effect (AIPW).

score = mu1(x) - mu0(x) + w (y - mu1(x)) / e - (1 - w) (y - mu0(x)) / (1 - e), with w treated or
not, e the probability of treatment and mu the outcome expected in each arm, learnt from other
customers (cross-fitting). Where e is known, by randomisation, its mean is unbiased whatever was
learnt (Robins, Rotnitzky and Zhao 1994; Chernozhukov and others 2018). Works on a bounded sample of
rows.
"""

from typing import NamedTuple

import numpy as np

from helpers.errors import DataError, UsageError
from helpers.experiments.effects import Effect, interval

LEARNERS = ("linear", "boosting")
LEAST_ROWS = 500
# A comparison learns one mean, a ranking has to tell customers apart.
LEAST_COMPARED = 200
FOLDS = 5


class Scores(NamedTuple):
    """One entry per customer: the score, the predicted effect and outcome without treatment."""

    score: np.ndarray
    predicted: np.ndarray
    response: np.ndarray


def regressor(name: str, seed: int) -> object:
    """Build a learner of outcomes: a ridge regression, or boosted trees kept small.

    scikit-learn is imported only here, when it is needed.
    """
    if name == "linear":
        from sklearn.linear_model import RidgeCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 7)))
    if name == "boosting":
        from sklearn.ensemble import HistGradientBoostingRegressor

        return HistGradientBoostingRegressor(
            max_iter=60, learning_rate=0.08, max_leaf_nodes=8, min_samples_leaf=100,
            l2_regularization=10.0, early_stopping=False, random_state=seed,
        )  # fmt: skip
    raise UsageError(f"A learner is one of {', '.join(LEARNERS)}, not '{name}'.")


def folds(n: int, treated: np.ndarray, *, parts: int, seed: int) -> np.ndarray:
    """Deal customers out to folds at random, treated and control alike in each."""
    rng = np.random.default_rng(seed)
    result = np.empty(n, dtype=int)
    for side in (False, True):
        places = np.flatnonzero(treated == side)
        result[rng.permutation(places)] = np.arange(len(places)) % parts
    return result


def checked(
    outcome: object, treated: object, features: object, *, least: int = LEAST_ROWS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give outcome, treated and features as arrays, or say what they lack."""
    y, w = np.asarray(outcome, dtype=float), np.asarray(treated).astype(bool)
    x = np.asarray(features, dtype=float)
    if x.ndim != 2 or y.shape != w.shape or len(x) != len(y) or y.ndim != 1:
        raise UsageError(
            f"Outcome {y.shape}, treated {w.shape} and features {x.shape} are not of one row per "
            "customer."
        )
    if not (np.isfinite(y).all() and np.isfinite(x).all()):
        raise DataError("Targeting needs an outcome and every feature of every customer.")
    if min(w.sum(), (~w).sum()) < least:
        raise DataError(
            f"A result needs {least} customers or more in each arm; there are {w.sum()} "
            f"treated and {(~w).sum()} in control."
        )
    return y, w, x


def aipw(
    outcome: np.ndarray, treated: np.ndarray, low: np.ndarray, high: np.ndarray, chance: object
) -> np.ndarray:
    """Give each customer's score from outcomes expected without (low) and with treatment (high)."""
    w = treated.astype(float)
    away = w * (outcome - high) / chance - (1 - w) * (outcome - low) / (1 - np.asarray(chance))
    return high - low + away


def cross_fitted(
    outcome: object, treated: object, features: object, chance: float,
    *, learner: str = "linear", parts: int = FOLDS, seed: int = 0,
) -> Scores:  # fmt: skip
    """Score customers of a randomised test, each from models that never saw their fold.

    ``chance`` is the planned share treated. Within the other folds, outcomes by arm are learnt on
    halves, which give scores there; the effect is learnt from those scores (DR-learner; Kennedy
    2023). So a fold is scored and predicted without its own outcomes, and comparing the two is
    honest. Missing features are an error: fill them and add an indicator.
    """
    from threadpoolctl import threadpool_limits

    y, w, x = checked(outcome, treated, features)
    if not 0 < chance < 1:
        raise UsageError(f"The chance of treatment lies between 0 and 1, not {chance}.")
    # Models this small lose more by sharing threads than they win.
    with threadpool_limits(limits=1):
        return _cross_fitted(y, w, x, chance, learner=learner, parts=parts, seed=seed)


def _cross_fitted(
    y: np.ndarray, w: np.ndarray, x: np.ndarray, chance: float,
    *, learner: str, parts: int, seed: int,
) -> Scores:  # fmt: skip
    fold = folds(len(y), w, parts=parts, seed=seed)
    score, predicted, response = (np.empty(len(y)) for _ in range(3))
    for part in range(parts):
        here, rest = fold == part, np.flatnonzero(fold != part)
        half = folds(len(rest), w[rest], parts=2, seed=seed + 1 + part)
        inner, low, high = np.empty(len(rest)), np.zeros(here.sum()), np.zeros(here.sum())
        for side in (0, 1):
            learn, other = rest[half == side], rest[half != side]
            without = regressor(learner, seed).fit(x[learn][~w[learn]], y[learn][~w[learn]])
            under = regressor(learner, seed).fit(x[learn][w[learn]], y[learn][w[learn]])
            expected = without.predict(x[other]), under.predict(x[other])
            inner[half != side] = aipw(y[other], w[other], *expected, chance)
            low += without.predict(x[here]) / 2
            high += under.predict(x[here]) / 2
        predicted[here] = regressor(learner, seed).fit(x[rest], inner).predict(x[here])
        score[here], response[here] = aipw(y[here], w[here], low, high, chance), low
    return Scores(score, predicted, response)


def average(values: np.ndarray, *, level: float = 0.95) -> Effect:
    """Estimate a mean of scores: the average effect, or that of a group, with its interval."""
    n = len(values)
    if n < 2:
        return interval(np.nan, np.nan)
    return interval(values.mean(), values.std(ddof=1) / np.sqrt(n), n - 1, level=level)
