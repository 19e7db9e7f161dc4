"""Checks before any result: sizes of the arms, and whether they were alike beforehand."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import special, stats

from helpers.errors import DataError
from helpers.experiments.effects import difference, mean, variance

SAMPLE_RATIO_LIMIT = 0.001
# Standardized difference worth a look (Austin 2009), and how surely arms have to differ beforehand.
IMBALANCE = 0.1
BALANCE_LIMIT = 0.001
# One customer with more of an arm's spread than this is a whale.
WHALE = 0.25
# Customers with any of a metric that the smaller of two unequal arms needs.
_FEW, _UNEQUAL = 100, 1.5
# Below this expected size in an arm the chi-square approximation gives way to an exact sum, as long
# as that has few enough terms.
_SMALL, _TERMS = 20, 200_000


def sample_ratio_p(counts: Mapping[str, float], shares: Mapping[str, float] | None = None) -> float:
    """Test whether the arms have the sizes that were planned.

    Over all arms at once: chi-square, or the exact multinomial where an arm is expected to have
    fewer than 20 customers. ``shares`` are the planned shares (equal if not given); an arm that was
    planned and is absent counts as empty, and one that was not planned but has customers gives 0.
    Missing with fewer than two arms.
    """
    shares = dict(shares) if shares else dict.fromkeys(counts, 1.0)
    arms = sorted({*counts, *shares})
    seen = np.array([float(counts.get(arm, 0)) for arm in arms])
    planned = np.array([float(shares.get(arm, 0)) for arm in arms])
    if (planned < 0).any():
        raise DataError("A planned share of an arm is negative; shares are above zero.")
    if len(arms) < 2 or seen.sum() == 0 or planned.sum() <= 0:
        return np.nan
    if ((planned == 0) & (seen > 0)).any():
        return 0.0
    seen, planned = seen[planned > 0], planned[planned > 0] / planned.sum()
    total = round(float(seen.sum()))
    terms = special.comb(total + len(seen) - 1, len(seen) - 1)
    if total * planned.min() < _SMALL and terms < _TERMS:
        return _exact(seen, planned)
    expected = planned * seen.sum()
    statistic = float(((seen - expected) ** 2 / expected).sum())
    return float(stats.chi2.sf(statistic, len(seen) - 1))


def _exact(seen: np.ndarray, planned: np.ndarray) -> float:
    """Probability of all splits that are no likelier than the one seen (exact multinomial)."""
    total = round(float(seen.sum()))
    grid = np.indices([total + 1] * (len(seen) - 1)).reshape(len(seen) - 1, -1).T
    grid = grid[grid.sum(axis=1) <= total]
    splits = np.column_stack([grid, total - grid.sum(axis=1)])

    def log(split: np.ndarray) -> np.ndarray:
        ways = special.gammaln(total + 1) - special.gammaln(split + 1).sum(axis=-1)
        return ways + (split * np.log(planned)).sum(axis=-1)

    logs = log(splits)
    # Splits as likely as the one seen count, however their floating numbers fall.
    return float(min(np.exp(logs[logs <= log(seen) + 1e-9]).sum(), 1.0))


def standardized(control: Mapping, treated: Mapping, name: str) -> float:
    """Measure how unlike two arms were before the campaign, in standard deviations.

    (treated - control) / root of the mean variance of the two arms (SMD); beyond 0.1 is worth a
    look. Missing where nobody varies.
    """
    spread = np.sqrt((variance(control, name) + variance(treated, name)) / 2)
    return float((mean(treated, name) - mean(control, name)) / spread) if spread > 0 else np.nan


def balance(
    arms: Mapping[str, Mapping], control_arm: str, covariates: Sequence[str] = ("pre", "missing")
) -> pd.DataFrame:
    """Compare what was known of the arms before the campaign, where no effect can be.

    One row per treated arm and covariate: arm, covariate, control, treated (means), difference, se,
    low, high, p_value (Welch), standardized (SMD), and ``balanced``: False where the difference is
    surer than 1 in 1,000 or beyond 0.1 standard deviations and surer than 1 in 20; missing where
    nothing varies. At random assignment a difference is chance or a broken assignment.
    """
    control = control_of(arms, control_arm)
    rows = []
    for arm, treated in arms.items():
        if arm == control_arm:
            continue
        for name in covariates:
            effect = difference(control, treated, name)
            apart = standardized(control, treated, name)
            off = effect.p_value < BALANCE_LIMIT or (
                abs(apart) > IMBALANCE and effect.p_value < 0.05
            )
            rows.append(
                {
                    "arm": arm,
                    "covariate": name,
                    "control": float(mean(control, name)),
                    "treated": float(mean(treated, name)),
                    "difference": float(effect.value),
                    "se": float(effect.se),
                    "low": float(effect.low),
                    "high": float(effect.high),
                    "p_value": float(effect.p_value),
                    "standardized": apart,
                    "balanced": None if np.isnan(effect.p_value) else not off,
                }
            )
    columns = ["arm", "covariate", "control", "treated", "difference", "se", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "p_value", "standardized", "balanced"])


def dominance(arm: Mapping, metric: str, smallest: float, largest: float) -> float:
    """Give the share of an arm's spread that is one customer's: beyond a quarter, a whale.

    Largest squared distance from the mean / sum of all; ``smallest`` and ``largest`` are the
    arm's extreme customers. An effect that hangs on one customer has an interval that does not
    hold: read the capped one. Missing where nobody varies.
    """
    n, center, spread = float(arm["n"]), float(mean(arm, metric)), float(variance(arm, metric))
    if not (n > 1 and spread > 0):
        return np.nan
    return max((smallest - center) ** 2, (largest - center) ** 2) / ((n - 1) * spread)


def caution(control: Mapping, treated: Mapping, metric: str, *, active: str = "converted") -> str:
    """Say why an interval of a mean may not hold, or return an empty string.

    One customer is more than a quarter of an arm's spread (`dominance`; where ``metric_least`` and
    ``metric_most`` are given); or the arms are of unequal size and the smaller has fewer than 100
    ``active`` customers: then the long right tail of spend does not cancel between the arms, and
    of 95% intervals as few as 90 in 100 hold the truth (benchmarks/experiments.py).
    """
    for arm in (control, treated):
        ends = [float(arm.get(f"{metric}_{end}", np.nan)) for end in ("least", "most")]
        if np.isfinite(ends).all():
            share = dominance(arm, metric, *ends)
            if share > WHALE:
                return f"one customer makes up {share:.0%} of the spread of an arm: read it capped"
    small, large = sorted((control, treated), key=lambda arm: float(arm["n"]))
    few = float(small[active]) if active in small else np.inf
    if few < _FEW and float(large["n"]) > _UNEQUAL * float(small["n"]):
        return (
            f"the smaller arm has {few:,.0f} customers with any, too few for its interval to hold"
        )
    return ""


def control_of(arms: Mapping[str, Mapping], control_arm: str) -> Mapping:
    """Give the control arm by its declared name; an error names the arms that there are."""
    if control_arm not in arms:
        raise DataError(
            f"There is no arm '{control_arm}' to compare with; the arms are "
            f"{', '.join(sorted(arms)) or 'none'}. Name the control in experiments.control_arm."
        )
    return arms[control_arm]


def unreadable(arms: Mapping[str, Mapping], control_arm: str, metric: str) -> str:
    """Say why a metric cannot be compared over these arms, or return an empty string.

    Only what the moments themselves show: no control, one arm, an empty arm, one customer, nobody
    with any of the metric. Whether the assignment can be trusted is for the other checks.
    """
    if control_arm not in arms:
        return f"there is no control group: nobody was assigned to the arm '{control_arm}'"
    if len(arms) < 2:
        return "there is one arm only, so there is nothing to compare with"
    for name, arm in sorted(arms.items()):
        if not float(arm["n"]) > 0:
            return f"nobody was assigned to the arm '{name}'"
        if float(arm["n"]) < 2:
            return f"the arm '{name}' has one customer, and one has no spread to measure"
    if all(variance(arm, metric) == 0 for arm in arms.values()):
        zero = all(float(arm[metric]) == 0 for arm in arms.values())
        return f"nobody had any {metric}" if zero else f"all customers had the same {metric}"
    return ""
