"""Power in closed form: how often a test finds a true effect, and how many customers it takes.

Normal power needs no root finder: 80 percent power at a two-sided 5 percent is an effect of 2.8
standard errors. Small tests, where Student's t matters, are refined from there.
"""

import numpy as np
from scipy import optimize, stats

from helpers.errors import UsageError

POWER = 0.8
# Beyond these degrees of freedom Student's t and the normal distribution agree to four digits.
_LARGE = 2_000


def factor(target: float = POWER, level: float = 0.95) -> float:
    """Give the standard errors that an effect has to measure: 2.8 for 80 percent power."""
    return float(stats.norm.ppf((1 + level) / 2) + stats.norm.ppf(target))


def smallest_effect(se: object, *, target: float = POWER, level: float = 0.95) -> object:
    """Give the smallest true effect that a test of this size finds four times out of five.

    2.8 standard errors: 80 percent power at a two-sided 5 percent.
    """
    return factor(target, level) * se


def power(effect: object, se: object, *, dof: float = np.inf, level: float = 0.95) -> object:
    """Give how often a test finds a true effect of this size, in either direction.

    P(|Z + effect / se| > z); with few degrees of freedom by the noncentral t distribution, as R's
    power.t.test with strict = TRUE.

    >>> round(float(power(1, (2 / 20) ** 0.5, dof=38)), 6)
    0.868953
    """
    far = np.abs(np.asarray(effect, dtype=float)) / np.asarray(se, dtype=float)
    if dof > _LARGE:
        z = float(stats.norm.ppf((1 + level) / 2))
        return (stats.norm.sf(z - far) + stats.norm.cdf(-z - far))[()]
    t = float(stats.t.ppf((1 + level) / 2, dof))
    # The far tail of the noncentral t is not a number for large shifts, and zero by then.
    return (stats.nct.sf(t, dof, far) + np.nan_to_num(stats.nct.cdf(-t, dof, far)))[()]


def customers_needed(
    variance: float, effect: float, *, r2: float = 0.0, share: float = 0.5, target: float = POWER,
    level: float = 0.95,
) -> tuple[float, float]:  # fmt: skip
    """Give how many customers a test needs, treated and control, as fractions.

    n = (z(1 - alpha / 2) + z(power))^2 x (1 - R2) x variance x (1 / (1 - share) + 1 / share) /
    effect^2, of which ``share`` is treated; where that is 2,000 or fewer, as many more as Student's
    t takes. ``variance`` is that of one customer, ``r2`` what covariates explain of it. Missing
    where no effect is asked for.
    """
    check(r2, share)
    if not (effect and np.isfinite(effect) and variance > 0):
        return np.nan, np.nan
    spread = (1 - r2) * (variance / (1 - share) + variance / share)
    total = factor(target, level) ** 2 * spread / effect**2
    if total <= _LARGE:
        total = _with_t(effect, spread, total, target, level)
    return total * share, total * (1 - share)


def _with_t(effect: float, spread: float, total: float, target: float, level: float) -> float:
    """Refine a small number of customers by the noncentral t distribution."""

    def short(n: float) -> float:
        return float(power(effect, np.sqrt(spread / n), dof=n - 2, level=level)) - target

    low = max(total, 2.5)
    return low if short(low) >= 0 else float(optimize.brentq(short, low, 3 * low + 50))


def se_of_design(variance: float, n: float, *, r2: float = 0.0, share: float = 0.5) -> float:
    """Give the standard error of a difference that n assigned customers, both arms, would have."""
    check(r2, share)
    if not n > 0:
        return np.nan
    return float(np.sqrt((1 - r2) * variance / n * (1 / share + 1 / (1 - share))))


def check(r2: float, share: float) -> None:
    """Refuse a share treated or an R2 that no test can have."""
    if not 0 < share < 1:
        raise UsageError(f"The share treated lies between 0 and 1, not {share}.")
    if not 0 <= r2 < 1:
        raise UsageError(f"R2 is at least 0 and below 1, not {r2}.")
