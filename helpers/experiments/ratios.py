"""Ratios of two sums per arm, by the delta method: average order value, revenue per click.

A ratio whose denominator the campaign may change compares different customers: average order value
is conditional on buying, and a difference in it is no effect on anybody's order value by itself.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from helpers.experiments.cuped import solve
from helpers.experiments.effects import (
    NOTHING,
    Effect,
    covariance,
    mean,
    relative,
    variance,
    welch,
)  # fmt: skip


def ratio(arm: Mapping, above: str, below: str) -> tuple[np.ndarray, np.ndarray]:
    """Give a ratio of sums and the variance of that estimate.

    R = sum above / sum below; variance = (var above - 2 R cov + R^2 var below) / (n x mean below^2)
    (delta method over customers, so that a customer's orders may hang together). Missing where
    the sum below is zero or negative.
    """
    base = mean(arm, below)
    base = np.where(base > 0, base, np.nan)
    value = mean(arm, above) / base
    spread = (
        variance(arm, above) - 2 * value * covariance(arm, above, below)
        + value**2 * variance(arm, below)
    )  # fmt: skip
    return value, np.maximum(spread, 0) / (np.asarray(arm["n"], dtype=float) * base**2)


def ratio_difference(
    control: Mapping, treated: Mapping, above: str, below: str, *, level: float = 0.95
) -> Effect:
    """Estimate how far two ratios lie apart: delta method, then like two means (Welch).

    Conditional on the denominator (on buying, on clicking): say so beside it. Missing where an
    arm has none of it.
    """
    parts: list[object] = []
    for arm in (control, treated):
        value, spread = ratio(arm, above, below)
        n = np.asarray(arm["n"], dtype=float)
        parts += [value, spread * n, n]
    return welch(*parts, level=level)


def _residual(arm: Mapping, above: str, below: str, value: object, base: object, x: str) -> object:
    """Give the covariance of a covariate with the linearised ratio (above - R x below) / base."""
    return (covariance(arm, above, x) - value * covariance(arm, below, x)) / base


def adjusted_ratio(
    control: Mapping, treated: Mapping, above: str, below: str,
    *, covariates: Sequence[str], arms: Sequence[Mapping] | None = None, level: float = 0.95,
) -> tuple[Effect, tuple[Effect, str]]:  # fmt: skip
    """Estimate how far two ratios lie apart, less what was known before (CUPED on a ratio).

    Each customer's linearised ratio (above - R x below) / mean below is adjusted like a mean, with
    one theta over ``arms`` (these two if not given) and R of each arm. Returns the absolute effect
    and the relative one with its reason (see `effects.relative`), both of adjusted ratios. Scalars
    only. Missing where the covariates never vary.
    """
    arms = arms or [control, treated]
    within = outcome = 0.0
    for arm in arms:
        value, _ = ratio(arm, above, below)
        base, weight = mean(arm, below), float(arm["n"]) - 1
        within = within + weight * np.array(
            [[float(covariance(arm, a, b)) for b in covariates] for a in covariates]
        )
        outcome = outcome + weight * np.array(
            [float(_residual(arm, above, below, value, base, x)) for x in covariates]
        )
    if not (np.isfinite(within).all() and np.isfinite(outcome).all() and np.diag(within).any()):
        return NOTHING, (NOTHING, "nothing was known before")
    theta = solve(within, outcome)
    center = np.array([sum(float(arm[x]) for arm in arms) for x in covariates])
    center = center / sum(float(arm["n"]) for arm in arms)
    parts = [_adjusted(arm, above, below, covariates, theta, center) for arm in (control, treated)]
    (a, var_a), (b, var_b) = parts
    n_a, n_b = float(control["n"]), float(treated["n"])
    effect = welch(a, var_a * n_a, n_a, b, var_b * n_b, n_b, level=level)
    return effect, relative(a, var_a, b, var_b, n_a=n_a, n_b=n_b, level=level)


def _adjusted(
    arm: Mapping, above: str, below: str, covariates: Sequence[str], theta: np.ndarray,
    center: np.ndarray,
) -> tuple[float, float]:  # fmt: skip
    """Give one arm's adjusted ratio, at the covariates' overall means, and its variance."""
    value, spread = ratio(arm, above, below)
    base, n = mean(arm, below), float(arm["n"])
    cross = np.array([float(_residual(arm, above, below, value, base, x)) for x in covariates])
    within = np.array([[float(covariance(arm, a, b)) for b in covariates] for a in covariates])
    means = np.array([float(mean(arm, x)) for x in covariates])
    less = (theta @ within @ theta - 2 * theta @ cross) / n
    return float(value - theta @ (means - center)), float(max(spread + less, 0.0))
