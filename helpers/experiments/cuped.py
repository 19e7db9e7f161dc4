"""CUPED: taking out of an outcome what was known of the customer before the campaign.

The covariates are margin before the campaign, or CLV forecast from data before the first
assignment, with an indicator of customers who had neither (Deng, Xu, Kohavi and Walker, WSDM 2013).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from helpers.experiments.effects import NOTHING, Effect, covariance, mean, welch


def _matrix(arm: Mapping, covariates: Sequence[str]) -> np.ndarray:
    """Covariances of the covariates, in the last two axes."""
    rows = [[covariance(arm, a, b) for b in covariates] for a in covariates]
    return np.moveaxis(np.array(rows, dtype=float), (0, 1), (-2, -1))


def _vector(arm: Mapping, name: str, covariates: Sequence[str]) -> np.ndarray:
    """Covariances of an outcome with the covariates, in the last axis."""
    return np.moveaxis(np.array([covariance(arm, name, x) for x in covariates]), 0, -1)


def solve(within: np.ndarray, with_outcome: np.ndarray) -> np.ndarray:
    """Solve for theta on the scale of correlations; a covariate that never varies gets none."""
    spread = np.sqrt(np.diagonal(within, axis1=-2, axis2=-1))
    scale = np.where(spread > 0, spread, np.inf)
    alike = within / scale[..., :, None] / scale[..., None, :]
    inverse = np.linalg.pinv(np.nan_to_num(alike), hermitian=True)
    return (inverse @ (with_outcome / scale)[..., None])[..., 0] / scale


def pooled_theta(arms: Sequence[Mapping], name: str, covariates: Sequence[str]) -> np.ndarray:
    """Find how much of what was known before carries over into the outcome.

    theta = (sum over arms of (n - 1) x covariance of covariates)^-1 x (the same sum of covariance
    with the outcome): one theta for all arms, from within arms, so that an effect cannot leak into
    it. One number per covariate in the last axis. NaN where no covariate varies (nobody bought
    before) or an arm has fewer than two customers.
    """
    weights = [np.asarray(arm["n"], dtype=float) - 1 for arm in arms]
    within = sum(
        w[..., None, None] * _matrix(arm, covariates) for w, arm in zip(weights, arms, strict=True)
    )
    outcome = sum(
        w[..., None] * _vector(arm, name, covariates) for w, arm in zip(weights, arms, strict=True)
    )
    varies = (np.diagonal(within, axis1=-2, axis2=-1) > 0).any(axis=-1)
    return np.where(varies[..., None], solve(within, outcome), np.nan)


def adjusted_mean(
    arm: Mapping, name: str, covariates: Sequence[str], theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give mean and variance of outcome - theta x covariates over the customers of an arm."""
    means = np.moveaxis(np.array([mean(arm, x) for x in covariates]), 0, -1)
    cross = _vector(arm, name, covariates)
    within = _matrix(arm, covariates)
    explained = (theta[..., None, :] @ within @ theta[..., :, None])[..., 0, 0]
    left = covariance(arm, name, name) - 2 * (theta * cross).sum(axis=-1) + explained
    return mean(arm, name) - (theta * means).sum(axis=-1), np.maximum(left, 0)


def leveled(
    arms: Sequence[Mapping], arm: Mapping, name: str, covariates: Sequence[str], theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give an arm's mean as if it had the covariates of all arms together, and its variance.

    adjusted mean + theta x overall mean of the covariates; variance of that estimate, / n.
    """
    everyone = sum(np.asarray(each["n"], dtype=float) for each in arms)
    center = np.moveaxis(
        np.array([sum(np.asarray(each[x], dtype=float) for each in arms) for x in covariates]),
        0,
        -1,
    )
    value, spread = adjusted_mean(arm, name, covariates, theta)
    level = (theta * center).sum(axis=-1) / everyone
    return value + level, spread / np.asarray(arm["n"], dtype=float)


def adjusted(
    control: Mapping, treated: Mapping, name: str,
    *, covariates: Sequence[str], theta: np.ndarray | None = None, level: float = 0.95,
) -> Effect:  # fmt: skip
    """Estimate the difference less what the covariates explain (CUPED).

    (treated - control) - theta x (treated before - control before), Welch on the adjusted values;
    the same quantity as the raw difference, with less noise. ``theta`` as `pooled_theta` gives it
    over all arms of the experiment; of these two if it is not given. Missing where nothing was
    known before.
    """
    theta = pooled_theta([control, treated], name, covariates) if theta is None else theta
    theta = np.asarray(theta, dtype=float)
    if not np.isfinite(theta).any():
        return NOTHING
    parts: list[object] = []
    for arm in (control, treated):
        parts += [*adjusted_mean(arm, name, covariates, theta), arm["n"]]
    return welch(*parts, level=level)


def explained(arms: Sequence[Mapping], name: str, covariates: Sequence[str]) -> tuple[float, float]:
    """Measure what the covariates explain and what that saves: R2 and the share of customers.

    R2 = 1 - variance of the adjusted outcome / variance of the outcome, both within arms and
    weighted by n - 1. A test needs only 1 - R2 of the customers it would need without, so the
    second figure, 1 / (1 - R2), is how many times larger the sample seems. Missing where nothing
    was known before or nothing varies.
    """
    theta = pooled_theta(arms, name, covariates)
    weights = [np.asarray(arm["n"], dtype=float) - 1 for arm in arms]
    pairs = list(zip(weights, arms, strict=True))
    left = sum(w * adjusted_mean(arm, name, covariates, theta)[1] for w, arm in pairs)
    whole = sum(w * covariance(arm, name, name) for w, arm in pairs)
    share = left / np.where(whole > 0, whole, np.nan)
    return (1 - share)[()], (1 / np.where(share > 0, share, np.nan))[()]
