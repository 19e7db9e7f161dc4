"""Purchase models by segment, partially pooled: each segment as far as its own data carry it."""

from dataclasses import dataclass, replace

import numpy as np

from helpers.errors import DataError
from helpers.models.likelihood import Maximum, Objective, maximize
from helpers.models.purchase import PurchaseFit, fit_purchases
from helpers.models.states import States

# Shape and mean of the purchase rate, then odds and evenness of leaving: segments differ in these
# more independently than in (r, alpha, a, b) or (r, alpha, s, beta). In logarithms it is linear.
_VIEW = np.array([[1, 0, 0, 0], [1, -1, 0, 0], [0, 0, 1, -1], [0, 0, 1, 1]], dtype=float)
_PRIOR_SPREAD, _PRIOR_SEGMENTS = 0.1, 1.0  # as if one more segment had differed by a tenth
_ROUNDS = 4


@dataclass(frozen=True)
class SegmentFits:
    """A fit for each segment, in the order of their codes, and the fit of all customers together.

    ``spread``: standard deviation between segments of the logarithms of r, of the purchase rate
    r / alpha, of the second ratio (a / b, or s / beta) and of the second product: near 0 where
    segments need no models of their own.
    """

    pooled: PurchaseFit
    fits: tuple[PurchaseFit, ...]
    spread: np.ndarray


def fit_segments(states: States, segment: np.ndarray, model: type[PurchaseFit]) -> SegmentFits:
    """Fit a model to every segment, drawn towards what segments have in common.

    ``segment``: code of each state, 0 to the number of segments less 1; ``model``: a class of four
    parameters. Log-parameters of segments are normal around a common mean; mean and spread are
    estimated (empirical Bayes, expectation-maximization on the normal approximation to each
    segment's likelihood, renewed at the segment's posterior mode). A segment with little data, even
    without a repeat purchase, gets nearly the common model, with its honest error. Raises DataError
    when the customers together cannot be fitted.
    """
    segment = np.asarray(segment)
    if len(segment) != len(states):
        raise DataError(f"segment has {len(segment)} values, states are {len(states)}.")
    pooled = fit_purchases(model, states)
    scale = states.T.max()
    units = np.array([scale if name in ("alpha", "beta") else 1.0 for name in model.names])
    counts = np.bincount(segment)
    if not counts.all():
        raise DataError(f"Segment {int(np.argmin(counts))} of {len(counts)} has no customers.")
    groups = [states.part(segment == code) for code in range(len(counts))]
    objectives = [model.objective(group, scale) for group in groups]
    start = np.log(pooled.parameters / units)
    mean, spread = _VIEW @ start, np.full(len(units), 0.3)
    modes = [
        _mode(objective, start, group.n.sum(), model.names, mean, spread)
        for objective, group in zip(objectives, groups, strict=True)
    ]
    for _ in range(_ROUNDS):
        before = spread
        mean, spread = _common(modes, mean, spread)
        modes = [
            _mode(objective, mode.log_parameters, mode.n, model.names, mean, spread,
                  _moved(mode, before, spread))
            for objective, mode in zip(objectives, modes, strict=True)
        ]  # fmt: skip
    fits = []
    for objective, found, group in zip(objectives, modes, groups, strict=True):
        parameters = np.exp(found.log_parameters) * units
        level = objective(found.log_parameters)[0]
        fit = model(
            **dict(zip(model.names, parameters.tolist(), strict=True)),
            log_likelihood=float(level - (group.n * group.frequency).sum() * np.log(scale)),
            covariance=np.outer(parameters, parameters) * found.log_covariance,
            n=float(group.n.sum()),
            gradient_norm=found.gradient_norm,
            days_per_unit=states.days_per_unit,
        )
        fits.append(fit)
    return SegmentFits(pooled, tuple(fits), spread)


def _mode(
    objective: Objective,
    start: np.ndarray,
    n: float,
    names: tuple,
    mean: np.ndarray,
    spread: np.ndarray,
    near: Maximum | None = None,
) -> Maximum:
    """Most plausible log-parameters of a segment, given its data and what segments are like."""
    precision = _precision(spread)
    centre = np.linalg.solve(_VIEW, mean)

    def posterior(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = objective(theta)
        pull = precision @ (theta - centre)
        return value - (theta - centre) @ pull / 2, gradient - pull

    return maximize(posterior, start[None], n, names, "segments far apart", near)


def _precision(spread: np.ndarray) -> np.ndarray:
    """What segments have in common says of the log-parameters of each."""
    return _VIEW.T @ np.diag(spread**-2.0) @ _VIEW


def _moved(mode: Maximum, before: np.ndarray, spread: np.ndarray) -> Maximum:
    """Give a mode the curvature that it has with another spread, to step from there."""
    curvature = np.linalg.inv(mode.log_covariance) - _precision(before) + _precision(spread)
    return replace(mode, log_covariance=np.linalg.inv(curvature))


def _common(
    modes: list[Maximum], mean: np.ndarray, spread: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of segments, from the normal approximation to each one's likelihood."""
    back = np.linalg.inv(_VIEW)
    before = np.diag(spread**-2.0)
    # precision of each segment's own likelihood, and precision x its peak, seen in _VIEW
    own = [back.T @ np.linalg.inv(mode.log_covariance) @ back - before for mode in modes]
    at = [_VIEW @ mode.log_parameters for mode in modes]
    pulls = [p @ v + before @ (v - mean) for p, v in zip(own, at, strict=True)]
    for _ in range(300):
        prior = np.diag(spread**-2.0)
        errors = [np.linalg.inv(p + prior) for p in own]
        found = np.array([e @ (h + prior @ mean) for e, h in zip(errors, pulls, strict=True)])
        mean = found.mean(axis=0)
        scatter = (found - mean) ** 2 + np.array([np.diag(e) for e in errors])
        total = scatter.sum(axis=0) + _PRIOR_SEGMENTS * _PRIOR_SPREAD**2
        spread = np.sqrt(total / (len(modes) + _PRIOR_SEGMENTS))
    return mean, spread
