"""For those who look before the end: intervals that hold at every look at once.

A 95% interval read every day for three weeks is wrong some day in far more than 1 test in 20. An
anytime-valid interval (asymptotic confidence sequence; Waudby-Smith, Arbour, Sinha, Kennedy and
Ramdas, Annals of Statistics 52, 2024, equation 4) is wider, and may be read as often as one likes
from its first look on. A look counts only customers whose window is complete.
"""

from collections.abc import Mapping

import numpy as np
from scipy import special

from helpers.errors import UsageError
from helpers.experiments.effects import Effect, difference

# The theory holds for large samples: before this many customers with complete windows in each arm,
# and this many of them with any of the metric, no interval is given.
LEAST_CUSTOMERS = 500
LEAST_ACTIVE = 50


def tuning(planned: float, *, level: float = 0.95) -> float:
    """Give rho squared that makes the interval narrowest at the planned number of customers.

    rho^2 = (-W(-alpha^2 / e) - 1) / planned, W the lower branch of Lambert's function: the minimum
    over rho of the width at n = planned. Chosen beforehand, never after a look.
    """
    if not planned > 0:
        raise UsageError(f"The planned number of customers is above zero, not {planned}.")
    alpha = 1 - level
    return float((-special.lambertw(-(alpha**2) / np.e, -1).real - 1) / planned)


def width(n: object, planned: float, *, level: float = 0.95) -> np.ndarray:
    """Give how many standard errors an anytime-valid interval reaches to each side.

    Root of 2 (n rho^2 + 1) / (n rho^2) x log(root of (n rho^2 + 1) / alpha); a plain interval has
    1.96.

    >>> float(width(10_000, 10_000).round(2))
    3.04
    """
    scaled = np.asarray(n, dtype=float) * tuning(planned, level=level)
    scaled = np.where(scaled > 0, scaled, np.nan)
    return np.sqrt(2 * (scaled + 1) / scaled * np.log(np.sqrt(scaled + 1) / (1 - level)))


def anytime(effect: Effect, n: object, planned: float, *, level: float = 0.95) -> Effect:
    """Widen an effect's interval so that it holds at all looks at once.

    ``n`` customers stand behind it in all arms, ``planned`` at the end. The p-value is
    anytime-valid too: the smallest alpha at which the interval, tuned at ``level``, excludes zero.
    """
    scaled = np.asarray(n, dtype=float) * tuning(planned, level=level)
    scaled = np.where(scaled > 0, scaled, np.nan)
    half = width(n, planned, level=level) * effect.se
    ratio = (np.asarray(effect.value) / effect.se) ** 2
    p_value = np.minimum(np.sqrt(scaled + 1) * np.exp(-ratio * scaled / (2 * (scaled + 1))), 1)
    ends = (effect.value - half, effect.value + half, p_value)
    return Effect(effect.value, effect.se, *(np.asarray(x)[()] for x in ends))


def look(
    control: Mapping, treated: Mapping, name: str, *, planned: float, active: str = "converted",
    level: float = 0.95,
) -> tuple[Effect, str]:  # fmt: skip
    """Read a difference before the end, from customers whose window is complete.

    Returned with a reason, empty where the figure holds: no interval before 500 customers with
    complete windows in each arm, 50 of them with any of the metric (``active`` counts them).
    """
    least = min(float(control["n"]), float(treated["n"]))
    if not least >= LEAST_CUSTOMERS:
        return Effect(*[np.nan] * 5), (
            f"an arm has {least:,.0f} customers whose window is complete; a look needs "
            f"{LEAST_CUSTOMERS:,} in each"
        )
    fewest = min(float(control[active]), float(treated[active]))
    if fewest < LEAST_ACTIVE:
        return Effect(*[np.nan] * 5), (
            f"an arm has {fewest:,.0f} customers with any; a look needs {LEAST_ACTIVE:,} in each"
        )
    effect = difference(control, treated, name, level=level)
    n = float(control["n"]) + float(treated["n"])
    return anytime(effect, n, planned, level=level), ""
