"""Several metrics and arms were looked at: p-values corrected for that.

Declared beforehand, so that the family is fixed: metrics named in the experiment x treated arms.
A metric without a p-value (withheld, nothing varies) does not count into the family.
"""

import numpy as np
from scipy import stats


def _checked(p_values: object) -> tuple[np.ndarray, np.ndarray]:
    p = np.asarray(p_values, dtype=float)
    known = np.isfinite(p)
    if ((p[known] < 0) | (p[known] > 1)).any():
        raise ValueError("A p-value lies between 0 and 1.")
    return p, np.flatnonzero(known)


def holm(p_values: object) -> np.ndarray:
    """Correct p-values so that at most 1 family in 20 has any false find (Holm 1979).

    The smallest of m is multiplied by m, the next by m - 1, and none may fall below one before it;
    at most 1. Read at 5 percent like a plain p-value. Missing stays missing.

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p, known = _checked(p_values)
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    result = np.full_like(p, np.nan)
    result[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1)
    return result


def benjamini_hochberg(p_values: object) -> np.ndarray:
    """Correct p-values so that at most 1 find in 20 is false on average (FDR).

    The k-th smallest of m is multiplied by m / k, and none may exceed one after it (Benjamini and
    Hochberg 1995; holds for independent or positively dependent metrics). Missing stays missing.

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    p, known = _checked(p_values)
    result = np.full_like(p, np.nan)
    if len(known):
        result[known] = stats.false_discovery_control(p[known])
    return result
