"""Ratios of two sums per arm, by the delta method: average order value, revenue per click.

A ratio whose denominator the campaign may change compares different customers: average order value
is conditional on buying, and a difference in it is no effect on anybody's order value by itself.
"""

from collections.abc import Mapping

import numpy as np

from helpers.experiments.effects import Effect, covariance, mean, variance, welch


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
