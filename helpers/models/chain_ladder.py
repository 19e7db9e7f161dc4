"""How cohorts grow from age to age, carried forward: chain ladder with Mack's standard errors.

Every cohort is taken to grow by the same factor from one age to the next, whatever its level.
Source: Mack, "Distribution-free calculation of the standard error of chain ladder reserve
estimates" (ASTIN Bulletin 23, 1993), cited as 1993; recursions as in Mack, "The standard error of
chain ladder reserve estimates: recursive calculation and inclusion of a tail factor" (ASTIN
Bulletin 29, 1999).
"""

from dataclasses import dataclass

import numpy as np

from helpers.errors import DataError


@dataclass(frozen=True)
class ChainLadder:
    """Cohorts carried forward: arrays cohort x age, and age-to-age factors with their errors.

    ``factors[k]`` takes age k to k + 1, ``sigma2[k]`` is its variance parameter, ``volume[k]`` the
    sum that it was estimated on. ``cumulative`` holds what was seen and what is projected (missing
    for a cohort without a seen cell), ``se`` the standard error of the prediction (0 where seen),
    ``total_se`` that of all cohorts together at the last age.
    """

    factors: np.ndarray
    sigma2: np.ndarray
    volume: np.ndarray
    cumulative: np.ndarray
    se: np.ndarray
    total: float
    total_se: float


def chain_ladder(cumulative: np.ndarray, eligible: np.ndarray | None = None) -> ChainLadder:
    """Carry cohorts forward to the last age of the triangle, with Mack's standard errors.

    ``cumulative`` is cohort x age, amounts of whole cohorts (not per customer), missing where
    unknown; only ``eligible`` cells are used. factor = sum at the next age / sum at this age over
    cohorts with both (1993, equation 3); sigma^2 = sum of C x (own factor - factor)^2 / (cohorts -
    1), and for ages with one cohort the least of those before (1993, section 4). The error of a
    prediction has the cohort's own future and that of the factors (1993, theorem 3), that of the
    total the factors that cohorts share (its corollary).

    Raises DataError with fewer than three cohorts or two ages; where an age no longer has a
    cohort with both ages; or where a cumulative amount is not above zero (refunds exceed sales),
    for factors then mean nothing: use `helpers.models.projection`, which resamples customers.
    """
    c = np.asarray(cumulative, dtype=float)
    usable = np.isfinite(c) if eligible is None else np.isfinite(c) & np.asarray(eligible, bool)
    c = np.where(usable, c, np.nan)
    if c.ndim != 2 or c.shape[0] < 3 or c.shape[1] < 2:
        raise DataError(f"A chain ladder needs three cohorts and two ages; given {c.shape}.")
    both = usable[:, :-1] & usable[:, 1:]
    if not both.any(axis=0).all():
        raise DataError(
            f"No cohort has both age {int(np.argmin(both.any(axis=0)))} and the next, so no "
            "factor exists between them: end the triangle at the oldest age seen."
        )
    if (c[usable] <= 0).any():
        raise DataError(
            f"{int((c[usable] <= 0).sum())} cumulative amounts are not above zero, so growth "
            "factors mean nothing."
        )
    now, then = np.where(both, c[:, :-1], 0.0), np.where(both, c[:, 1:], 0.0)
    volume = now.sum(axis=0)
    factors = then.sum(axis=0) / volume
    sigma2 = _sigma2(now, then, factors, both)
    return _carried(c, usable, factors, sigma2, volume)


def _sigma2(now: np.ndarray, then: np.ndarray, factors: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Estimate Mack's variance parameter of each age; ages with one cohort borrow (section 4)."""
    own = np.divide(then, now, out=np.zeros_like(now), where=both)
    spread = (np.where(both, now, 0) * (own - factors) ** 2).sum(axis=0)
    cohorts = both.sum(axis=0)
    sigma2 = np.where(cohorts > 1, spread / np.maximum(cohorts - 1, 1), np.nan)
    for k in np.flatnonzero(np.isnan(sigma2)):
        before = sigma2[:k][-2:]
        if not len(before):
            raise DataError("No age has two cohorts, so nothing says how far cohorts differ.")
        ratio = before[-1] ** 2 / before[0] if len(before) > 1 and before[0] > 0 else np.inf
        sigma2[k] = min(ratio, before.min())
    return sigma2


def _carried(
    c: np.ndarray, usable: np.ndarray, factors: np.ndarray, sigma2: np.ndarray, volume: np.ndarray
) -> ChainLadder:
    """Go from age to age: values, each cohort's error and the covariance of their estimates."""
    cohorts, ages = c.shape
    seen = usable.any(axis=1)
    last = np.where(seen, ages - 1 - np.argmax(usable[:, ::-1], axis=1), -1)
    full, process = c.copy(), np.zeros_like(c)
    shared = np.zeros((cohorts, cohorts))
    errors = np.zeros_like(c)
    for k in range(ages - 1):
        ahead = seen & (last <= k)
        f, base = factors[k], np.where(ahead, full[:, k], 0.0)
        full[ahead, k + 1] = f * full[ahead, k]
        process[:, k + 1] = np.where(ahead, f**2 * process[:, k] + sigma2[k] * base, 0.0)
        # Estimates of all cohorts that use this factor err together.
        shared = f**2 * shared + np.outer(base, base) * sigma2[k] / volume[k]
        shared[~ahead] = 0
        shared[:, ~ahead] = 0
        errors[:, k + 1] = np.sqrt(process[:, k + 1] + np.diag(shared))
    done = np.where(np.isfinite(full), errors, np.nan)
    total = float(full[seen, -1].sum())
    total_se = float(np.sqrt(process[:, -1].sum() + shared.sum()))
    return ChainLadder(factors, sigma2, volume, full, done, total, total_se)
