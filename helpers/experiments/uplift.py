"""Did the campaign earn its cost? Experiments read from the moments of their arms.

Intention to treat: every assigned customer counts, buyer or not. All figures are arithmetic on
n, sums, squares and cross-products; a check that fails withholds the result, never repairs it.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from helpers.errors import DataError
from helpers.experiments.cuped import adjusted, pooled_theta
from helpers.experiments.effects import difference, mean, newcombe
from helpers.experiments.power import smallest_effect
from helpers.experiments.trust import SAMPLE_RATIO_LIMIT, sample_ratio_p, standardized

# Below this share of revenue with a known cost, a difference in margin is one of bookkeeping.
KNOWN = 0.8
UNSEEN = "no decision: could not be seen"
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


def arm_moments(moments: pd.DataFrame) -> pd.DataFrame:
    """Add each arm's means per assigned customer to its sums: mean, conversion."""
    if absent := [name for name in _NEEDED if name not in moments]:
        raise DataError(f"The experiment moments lack the columns {', '.join(absent)}.")
    return moments.assign(
        mean=mean(moments, "margin"),
        conversion=mean(moments, "buyers"),
    )


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
    theta = pooled_theta([row for _, row in arms.iterrows()], "margin", ("pre_margin",))
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
            line |= {
                "control_conversion": control["conversion"],
                "balance": standardized(control, arm, "pre_margin"),
            }
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
    control: pd.Series, arm: pd.Series, theta: np.ndarray, cost: float, level: float
) -> dict[str, object]:
    """Estimate one arm's effect, its money and the decision."""
    raw = difference(control, arm, "margin", level=level)
    less = adjusted(control, arm, "margin", covariates=("pre_margin",), theta=theta, level=level)
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
        "theta": float(theta[0]),
        "variance_saved": 1 - (less.se / raw.se) ** 2 if raw.se > 0 else np.nan,
        **dict(zip(keys, buyers, strict=True)),
        **total,
        **net,
        "smallest_effect": smallest_effect(chosen.se),
        "decision": decide(net["net_low"], net["net_high"]),
    }
