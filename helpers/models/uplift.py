"""Did the campaign earn its cost? Experiments read from the moments of their arms.

Intention to treat: every assigned customer counts, buyer or not. All figures are arithmetic on
n, sums, squares and cross-products; a check that fails withholds the result, never repairs it.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from helpers.errors import DataError
from helpers.measures.metrics import wilson

SAMPLE_RATIO_LIMIT = 0.001
# Below this share of revenue with a known cost, a difference in margin is one of bookkeeping.
KNOWN = 0.8
UNSEEN = "no decision: could not be seen"
# Two-sided 5 percent and 80 percent power: 1.96 + 0.84 standard errors.
POWER_FACTOR = float(stats.norm.ppf(0.975) + stats.norm.ppf(0.8))
_NEEDED = ["experiment_id", "arm", "window_days", "complete", "n", "buyers", "margin"]
_NEEDED += ["margin_squares", "pre_margin", "pre_margin_squares", "margin_pre_margin"]


# Columns of a readout, in order.
_COLUMNS = ["experiment_id", "window_days", "arm", "control_arm", "randomized", "basis"]
_COLUMNS += ["n", "control_n", "mean_margin", "control_margin", "conversion", "control_conversion"]
_COLUMNS += ["sample_ratio_p", "balance", "switched", "difference", "se", "low", "high", "p_value"]
_COLUMNS += ["adjusted", "adjusted_se", "adjusted_low", "adjusted_high", "adjusted_p", "theta"]
_COLUMNS += ["variance_saved", "conversion_difference", "conversion_low", "conversion_high"]
_COLUMNS += ["incremental_margin", "incremental_low", "incremental_high", "cost", "net"]
_COLUMNS += ["net_low", "net_high", "smallest_effect", "decision"]


class Difference(NamedTuple):
    """A difference of two means with its standard error, interval and p-value."""

    value: float
    se: float
    low: float
    high: float
    p_value: float


_NOTHING = Difference(*[np.nan] * 5)


def welch(
    mean_a: float,
    variance_a: float,
    n_a: float,
    mean_b: float,
    variance_b: float,
    n_b: float,
    *,
    level: float = 0.95,
) -> Difference:
    """Estimate how far two means lie apart when spreads may differ.

    mean_b - mean_a; SE^2 = variance_a / n_a + variance_b / n_b; Student's t with the degrees of
    freedom of Welch (1947) and Satterthwaite. Missing with fewer than two customers in an arm;
    no interval where neither arm varies.
    """
    if min(n_a, n_b) < 2:
        return _NOTHING
    a, b = variance_a / n_a, variance_b / n_b
    value, se = mean_b - mean_a, float(np.sqrt(a + b))
    if not se > 0:
        return Difference(value, *[np.nan] * 4)
    dof = (a + b) ** 2 / (a**2 / (n_a - 1) + b**2 / (n_b - 1))
    half = stats.t.ppf((1 + level) / 2, dof) * se
    p_value = 2 * stats.t.sf(abs(value) / se, dof)
    return Difference(value, se, value - half, value + half, float(p_value))


def newcombe(
    buyers_a: float, n_a: float, buyers_b: float, n_b: float, *, level: float = 0.95
) -> tuple[float, float, float]:
    """Estimate how far two conversion shares lie apart.

    buyers_b / n_b - buyers_a / n_a with the hybrid score interval (Newcombe 1998, method 10):
    value, low, high. Missing where an arm is empty.
    """
    a, b = wilson(buyers_a, n_a, level=level), wilson(buyers_b, n_b, level=level)
    value = b.value - a.value
    low = value - np.hypot(b.value - b.low, a.high - a.value)
    high = value + np.hypot(b.high - b.value, a.value - a.low)
    return float(value), float(low), float(high)


def sample_ratio_p(counts: Mapping[str, float], shares: Mapping[str, float] | None = None) -> float:
    """Test whether the arms have the sizes that were planned.

    Chi-square over all arms at once; ``shares`` are the planned shares (equal if not given), and
    an arm that was planned and is absent counts as empty. Missing with fewer than two arms.
    """
    shares = dict(shares) if shares else dict.fromkeys(counts, 1.0)
    arms = sorted({*counts, *shares})
    seen = np.array([float(counts.get(arm, 0)) for arm in arms])
    planned = np.array([float(shares.get(arm, 0)) for arm in arms])
    if len(arms) < 2 or seen.sum() == 0 or planned.sum() <= 0:
        return np.nan
    expected = planned / planned.sum() * seen.sum()
    if ((expected == 0) & (seen > 0)).any():
        return 0.0
    seen, expected = seen[expected > 0], expected[expected > 0]
    statistic = float(((seen - expected) ** 2 / expected).sum())
    return float(stats.chi2.sf(statistic, len(seen) - 1))


def smallest_effect(se: float) -> float:
    """Give the smallest true effect that a test of this size finds four times out of five.

    2.8 standard errors: 80 percent power at a two-sided 5 percent.
    """
    return POWER_FACTOR * se


def arm_moments(moments: pd.DataFrame) -> pd.DataFrame:
    """Turn sums into means, variances and covariance of each arm.

    variance = (squares - sum^2 / n) / (n - 1), likewise the covariance of margin and pre-period
    margin. One row per row of ``moments``: its columns and mean, variance, pre_mean,
    pre_variance, covariance, conversion. Missing where n is too small.
    """
    if absent := [name for name in _NEEDED if name not in moments]:
        raise DataError(f"The experiment moments lack the columns {', '.join(absent)}.")
    n = moments["n"].astype(float).where(moments["n"] > 0)
    more = (n - 1).where(n > 1)
    mean, pre = moments["margin"] / n, moments["pre_margin"] / n

    def central(cross: str, left: pd.Series, right: pd.Series) -> pd.Series:
        return (moments[cross] - n * left * right) / more

    return moments.assign(
        mean=mean,
        variance=_spread(central("margin_squares", mean, mean), moments["margin_squares"] / n),
        pre_mean=pre,
        pre_variance=_spread(
            central("pre_margin_squares", pre, pre), moments["pre_margin_squares"] / n
        ),
        covariance=central("margin_pre_margin", mean, pre),
        conversion=moments["buyers"] / n,
    )


def _spread(variance: pd.Series, scale: pd.Series) -> pd.Series:
    """Set to zero what subtraction of equal amounts left over."""
    return variance.mask(variance <= 1e-12 * scale, 0.0)


def pooled_theta(arms: pd.DataFrame) -> float:
    """Find how much of the margin before the campaign carries over into the window.

    Sum over arms of the covariance with pre-period margin / sum of its variance, each weighted by
    n - 1 (CUPED; Deng, Xu, Kohavi and Walker 2013). Missing where nobody bought before.
    """
    weight = arms["n"] - 1
    below = float((weight * arms["pre_variance"]).sum())
    return float((weight * arms["covariance"]).sum() / below) if below > 0 else np.nan


def adjusted(control: pd.Series, treated: pd.Series, theta: float, level: float) -> Difference:
    """Estimate the difference in margin less what pre-period margin explains (CUPED).

    (treated - control) - theta x (treated before - control before), Welch on the adjusted values;
    the same quantity as the raw difference, with less noise.
    """
    if not np.isfinite(theta):
        return _NOTHING
    parts: list[float] = []
    for arm in (control, treated):
        less = theta**2 * arm["pre_variance"] - 2 * theta * arm["covariance"]
        parts += [arm["mean"] - theta * arm["pre_mean"], arm["variance"] + less, arm["n"]]
    return welch(*parts, level=level)


def balance(control: pd.Series, treated: pd.Series) -> float:
    """Measure how unlike two arms were before the campaign.

    (treated - control) / root of the mean variance, of pre-period margin; beyond 0.1 is worth a
    look. Missing where nobody had any.
    """
    spread = np.sqrt((control["pre_variance"] + treated["pre_variance"]) / 2)
    return float((treated["pre_mean"] - control["pre_mean"]) / spread) if spread > 0 else np.nan


def _fault(arms: pd.DataFrame, facts: pd.Series, ratio_p: float, planned: Mapping | None) -> str:
    """Return why no causal figure may be read from an experiment, or an empty string."""
    randomized = facts.get("randomized")
    if pd.isna(randomized):
        return "it is not recorded whether customers were assigned at random"
    if not bool(randomized):
        return (
            "customers were not assigned at random, so the groups may have differed without "
            "the campaign"
        )
    control = facts.get("control_arm")
    if pd.isna(control):
        return "no arm is named as the control group"
    if control not in set(arms["arm"]):
        return f"there is no control group: nobody was assigned to the arm '{control}'"
    absent = set(planned or ()) - set(arms.loc[arms["n"] > 0, "arm"])
    empty = sorted(absent | set(arms.loc[~(arms["n"] > 0), "arm"]))
    if empty:
        return f"nobody was assigned to the arm '{empty[0]}'"
    if len(arms) < 2:
        return "there is one arm only, so there is nothing to compare with"
    if not arms["complete"].eq(True).all():
        return "the window is not over for every customer"
    if ratio_p < SAMPLE_RATIO_LIMIT and not planned:
        return (
            "the arms are not equal and their planned sizes are not recorded "
            "(experiments.planned_shares)"
        )
    if ratio_p < SAMPLE_RATIO_LIMIT:
        return "the arms do not have their planned sizes, so the assignment went wrong"
    if arms["buyers"].sum() == 0:
        return "nobody bought in the window"
    if "margin_revenue" in arms and arms["margin_revenue"].sum() < KNOWN * arms["revenue"].sum():
        return "the cost of too much of what customers bought is not known"
    # The summary counts an unknown margin as zero; buyers without any margin give that away.
    if arms["margin"].isna().any() or arms["margin_squares"].sum() == 0:
        return "the margin of what customers bought is not known"
    if arms["n"].min() < 2:
        return "an arm of one customer has no spread to measure"
    return ""


def decide(net_low: float, net_high: float) -> str:
    """Say what an interval of margin less cost per customer decides.

    'ship' if all of it is above zero, 'stop' if all of it is below, else that this test could not
    see the effect, which is not the same as no effect.
    """
    if net_low > 0:
        return "ship"
    return "stop" if net_high < 0 else UNSEEN


def readout(
    experiment_moments: pd.DataFrame,
    experiments: pd.DataFrame,
    *,
    planned_shares: Mapping[str, Mapping[str, float]] | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Read every experiment: what each treated arm brought over its control, and what to decide.

    ``experiments`` is that canonical table with costs in currency units, as the moments are.
    Returns one row per experiment, window and treated arm, with these columns.
    Facts: n, control_n, mean_margin, control_margin, conversion, control_conversion.
    Trust: sample_ratio_p (chi-square over all arms; ``planned_shares`` by experiment and arm, equal
    if not given), balance (standardized difference of pre-period margin), switched (customers put
    in two arms, all arms together).
    Effect in margin per assigned customer: difference, se, low, high, p_value (Welch); adjusted,
    adjusted_se, adjusted_low, adjusted_high, adjusted_p, theta, variance_saved (CUPED).
    Buyers: conversion_difference, conversion_low, conversion_high (Newcombe).
    Money: incremental_margin (effect x n), incremental_low, incremental_high, cost (cost per
    customer x n + the arm's share of the fixed cost by n), net, net_low, net_high;
    smallest_effect, per customer, is what this test would find with 80 percent power.

    The money and the decision rest on the adjusted effect where there was a pre-period, on the
    raw one elsewhere (``basis``); that rule is fixed beforehand and never looks at results.
    decision: 'ship' or 'stop' if the interval of net lies above or below zero, 'no decision: could
    not be seen', or 'withheld: <reason>', and then all effects are missing: not randomized (the
    difference would be no effect of the campaign), no control, an empty arm, the window not over,
    sample ratio p below 0.001, nobody bought, margin unknown. Intervals are not corrected for the
    number of arms.
    """
    arms = arm_moments(experiment_moments)
    about = experiments.set_index("experiment_id")
    lines: list[dict[str, object]] = []
    for (key, window), group in arms.groupby(["experiment_id", "window_days"]):
        if key not in about.index:
            raise DataError(f"The experiment '{key}' has assignments but no row in experiments.")
        planned = (planned_shares or {}).get(key)
        name = {"experiment_id": key, "window_days": window}
        lines += [name | line for line in _read(group, about.loc[key], planned, level)]
    return pd.DataFrame(lines, columns=_COLUMNS)


def _read(
    arms: pd.DataFrame, facts: pd.Series, planned: Mapping[str, float] | None, level: float
) -> list[dict[str, object]]:
    """Read one experiment in one window: a line per treated arm, or one saying there is none."""
    arms = arms.sort_values("arm").set_index("arm", drop=False)
    random = bool(pd.notna(facts.get("randomized")) and facts.get("randomized"))
    ratio_p = sample_ratio_p(arms["n"].to_dict(), planned) if random else np.nan
    fault = _fault(arms, facts, ratio_p, planned)
    control_arm = facts.get("control_arm")
    treated = arms[arms["arm"] != control_arm]
    control = arms.loc[control_arm] if control_arm in arms.index else None
    theta = pooled_theta(arms)
    if treated.empty:
        return [{"control_arm": control_arm, "n": 0, "decision": f"withheld: {fault}"}]
    lines = []
    for name, arm in treated.iterrows():
        line = {"arm": name, "control_arm": control_arm, "randomized": facts.get("randomized")}
        line |= {"n": int(arm["n"]), "mean_margin": arm["mean"], "conversion": arm["conversion"]}
        line |= {"sample_ratio_p": ratio_p, "cost": _cost(arm, treated, facts)}
        line |= {"switched": arms["switched"].sum() if "switched" in arms else np.nan}
        if control is not None:
            line |= {"control_n": int(control["n"]), "control_margin": control["mean"]}
            line |= {"control_conversion": control["conversion"], "balance": balance(control, arm)}
        effect = {"decision": f"withheld: {fault}"}
        if not fault:
            effect = _effect(control, arm, theta, line["cost"], level)
        lines.append(line | effect)
    return lines


def _cost(arm: pd.Series, treated: pd.DataFrame, facts: pd.Series) -> float:
    """Return what treating the arm cost; a cost that is not stated counts as none."""
    each, fixed = (
        0.0 if pd.isna(facts.get(name)) else float(facts[name])
        for name in ("cost_per_customer", "fixed_cost")
    )
    everyone = float(treated["n"].sum())
    return each * arm["n"] + (fixed * arm["n"] / everyone if everyone else 0.0)


def _effect(
    control: pd.Series, arm: pd.Series, theta: float, cost: float, level: float
) -> dict[str, object]:
    """Estimate one arm's effect, its money and the decision."""
    pair = ("mean", "variance", "n")
    raw = welch(*[control[c] for c in pair], *[arm[c] for c in pair], level=level)
    less = adjusted(control, arm, theta, level)
    basis, chosen = ("adjusted", less) if np.isfinite(less.se) else ("raw", raw)
    n = float(arm["n"])
    total = {"incremental_margin": chosen.value * n}
    total |= {"incremental_low": chosen.low * n, "incremental_high": chosen.high * n}
    net = {
        f"net{end}": total[f"incremental_{which}"] - cost
        for end, which in (("", "margin"), ("_low", "low"), ("_high", "high"))
    }
    keys = ("conversion_difference", "conversion_low", "conversion_high")
    buyers = newcombe(control["buyers"], control["n"], arm["buyers"], arm["n"], level=level)
    return {
        "basis": basis,
        **dict(zip(("difference", "se", "low", "high", "p_value"), raw, strict=True)),
        "adjusted": less.value,
        "adjusted_se": less.se,
        "adjusted_low": less.low,
        "adjusted_high": less.high,
        "adjusted_p": less.p_value,
        "theta": theta,
        "variance_saved": 1 - (less.se / raw.se) ** 2 if raw.se > 0 else np.nan,
        **dict(zip(keys, buyers, strict=True)),
        **total,
        **net,
        "smallest_effect": smallest_effect(chosen.se),
        "decision": decide(net["net_low"], net["net_high"]),
    }
