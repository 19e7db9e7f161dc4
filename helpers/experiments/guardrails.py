"""What must not get worse: guardrails with a margin declared beforehand."""

import numpy as np
from scipy import stats

from helpers.errors import UsageError
from helpers.experiments.effects import Effect

PASSED = "no worse than allowed"
BROKEN = "worse than allowed"
UNCLEAR = "unclear: could be worse than allowed"
UNKNOWN = "unknown: nothing to measure"


def non_inferior(effect: Effect, margin: float, *, worse: str = "more") -> tuple[str, float]:
    """Say whether a guardrail held: whether harm beyond the margin can be ruled out.

    ``margin`` is the harm that was declared as bearable, in the metric's unit, zero or more;
    ``worse`` says whether "more" (unsubscribes, refunds, support cost) or "less" (margin) is harm.
    Read from the effect's own two-sided interval, so one-sided at half of what it leaves out.
    Verdict: no worse than allowed (all of the interval is within the margin), worse than allowed
    (all of it is beyond), or unclear; "not significant" is no proof of harmlessness. With it the
    one-sided p-value of harm beyond the margin, from effect and standard error.
    """
    if not (np.isfinite(margin) and margin >= 0):
        raise UsageError(
            f"A guardrail's margin is zero or more, in the metric's unit, and not {margin}."
        )
    if worse not in ("more", "less"):
        raise UsageError(f"worse is 'more' or 'less', not '{worse}'.")
    if not np.isfinite([effect.low, effect.high]).all():
        return UNKNOWN, np.nan
    sign = 1.0 if worse == "more" else -1.0
    low, high = sorted((sign * effect.low, sign * effect.high))
    se = effect.se if effect.se > 0 else np.nan
    p_value = float(stats.norm.cdf((sign * effect.value - margin) / se))
    if high <= margin:
        return PASSED, p_value
    return (BROKEN if low > margin else UNCLEAR), p_value
