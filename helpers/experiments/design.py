"""Before a test: how many customers, how long, and what cannot be seen.

All from the shop's own spread in each window, and what covariates explain of it.
"""

import numpy as np
import pandas as pd

from helpers.errors import UsageError
from helpers.experiments.power import (
    POWER,
    check,
    customers_needed,
    factor,
    power,
    se_of_design,
    smallest_effect,
)  # fmt: skip

TARGETS = (0.05, 0.10, 0.15)
# Nobody waits longer for a test, in days: what takes longer is said to need something else.
LONGEST_DAYS = 730
_FIGURES = ("effect", "needed_raw", "needed", "days", "power", "smallest_effect")
_FIGURES += ("smallest_relative",)


def design_sheet(
    windows: pd.DataFrame, *, customers: float, per_day: float = 0.0, share: float = 0.5,
    targets: tuple[float, ...] = TARGETS, target: float = POWER, level: float = 0.95,
) -> pd.DataFrame:  # fmt: skip
    """Plan a test: what it takes to see each target, and whether these customers are enough.

    ``windows`` has a row per window and metric: window_days, metric, mean, variance (of one
    customer of the shop in that window) and r2 (what covariates explain, missing if unknown).
    ``customers`` can be assigned at once, ``per_day`` more join every day; ``share`` of them are
    treated.
    One row per row of ``windows`` and target (a relative effect): window_days, metric, mean,
    target, effect (mean x target), needed_raw, needed (both arms, without and with covariates),
    days (to gather them, and the window; missing where they never come), power (with the customers
    there are), smallest_effect, smallest_relative, seen, and verdict, a sentence. A percentage of
    a mean that is not above zero means nothing: all figures are missing, and the verdict says so.
    """
    if not (customers >= 0 and per_day >= 0):
        raise UsageError("The number of customers to assign, and of those who join, is 0 or more.")
    check(0.0, share)
    rows = []
    for line in windows.to_dict("records"):
        for lift in targets:
            row = {name: line[name] for name in ("window_days", "metric", "mean")}
            row["target"] = lift
            row |= dict.fromkeys(_FIGURES, np.nan) | {"seen": None}
            if line["mean"] > 0 and line["variance"] > 0:
                row |= _plan(line, lift, customers, share, target, level)
            rows.append(row | _when(row, customers, per_day))
    return pd.DataFrame(rows)


def _plan(
    line: dict, lift: float, customers: float, share: float, target: float, level: float
) -> dict[str, float]:
    """Plan a comparison of means, with and without covariates."""
    r2 = float(np.clip(np.nan_to_num(line["r2"]), 0, 0.99))
    effect = lift * line["mean"]
    options = {"share": share, "target": target, "level": level}
    raw = customers_needed(line["variance"], effect, **options)
    needed = customers_needed(line["variance"], effect, r2=r2, **options)
    se = se_of_design(line["variance"], customers, r2=r2, share=share)
    least = smallest_effect(se, target=target, level=level)
    return {
        "effect": effect,
        "needed_raw": _whole(*raw),
        "needed": _whole(*needed),
        "power": float(power(effect, se, level=level)),
        "smallest_effect": least,
        "smallest_relative": least / line["mean"],
    }


def _whole(*parts: float) -> float:
    """Round each arm up to whole customers."""
    return float(sum(np.ceil(parts)))


def _when(row: dict, customers: float, per_day: float) -> dict[str, object]:
    """Say whether a target can be seen, when, and what would help where it cannot."""
    needed, lift, least = row["needed"], row["target"], row["smallest_relative"]
    if np.isnan(needed):
        text = f"a change of {lift:.0%} means nothing here: there is no mean above zero that could "
        return {"verdict": text + "change by that much, or nobody varies"}
    if needed <= customers:
        text = f"a change of {lift:.0%} can be seen: it needs {needed:,.0f} customers"
        return {"seen": True, "days": float(row["window_days"]), "verdict": text}
    wait = (needed - customers) / per_day if per_day else np.nan
    days = np.ceil(wait) + row["window_days"]
    text = f"a change of {lift:.0%} cannot be seen: it needs {needed:,.0f} customers and there are "
    text += f"{customers:,.0f}"
    if np.isfinite(least):
        text += f", who show {least:.0%} or more"
    if days <= LONGEST_DAYS:
        text += f"; enough will have joined and been watched in {days:,.0f} days"
    else:
        text += "; a longer window, merged waves or a bolder change would help"
    return {"seen": False, "days": float(days), "verdict": text}


def holdout_size(
    variance: float, *, customers: float, effect: float, gain: float = 0.0, r2: float = 0.0,
    target: float = POWER, level: float = 0.95,
) -> tuple[float, float]:  # fmt: skip
    """Give how many customers to hold out of a campaign that goes to all others, and what it costs.

    The smallest hold-out h whose comparison with the other N - h sees ``effect`` per customer:
    (1 - R2) x variance x (1 / h + 1 / (N - h)) = (effect / 2.8)^2. Its cost is h x ``gain``, the
    margin per customer that the campaign is believed to bring and the hold-out goes without. Both
    missing where not even half of the customers held out would do.
    """
    check(r2, 0.5)
    if not (effect and customers > 0 and variance > 0):
        return np.nan, np.nan
    allowed = (effect / factor(target, level)) ** 2 / ((1 - r2) * variance)
    inside = customers**2 / 4 - customers / allowed  # h (N - h) has to reach N / allowed
    if inside < 0:
        return np.nan, np.nan
    size = float(np.ceil(round(customers / 2 - np.sqrt(inside), 9)))
    return size, size * gain
