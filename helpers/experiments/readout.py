"""What each arm did more of than the control, for every declared metric, from moments alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.errors import UsageError
from helpers.experiments.cuped import adjusted, explained, leveled, pooled_theta
from helpers.experiments.effects import (
    NOTHING,
    Effect,
    as_row,
    difference,
    mean,
    relative,
    share_difference,
    variance,
)  # fmt: skip
from helpers.experiments.multiplicity import benjamini_hochberg, holm
from helpers.experiments.power import smallest_effect
from helpers.experiments.ratios import ratio, ratio_difference
from helpers.experiments.trust import caution, unreadable

KINDS = ("mean", "share", "ratio")


@dataclass(frozen=True)
class Metric:
    """A metric as declared before the test: which sums it is made of and how it is read.

    ``kind`` is mean (per assigned customer), share (of assigned customers; 0 or 1 each) or ratio
    (``column`` / ``below``, conditional on the denominator). ``covariates`` and ``capped`` (the
    column with pooled caps) serve means. Only ``declared`` metrics enter the family that Holm and
    FDR correct for; the others are read for understanding.
    """

    name: str
    column: str
    kind: str = "mean"
    below: str = ""
    covariates: tuple[str, ...] = ()
    capped: str = ""
    declared: bool = True

    def __post_init__(self) -> None:
        if self.kind not in KINDS or (self.kind == "ratio") != bool(self.below):
            raise UsageError(
                f"The metric '{self.name}' is of kind '{self.kind}'; a kind is one of "
                f"{', '.join(KINDS)}, and a ratio, only a ratio, names what it is divided by."
            )


def read_metrics(
    arms: Mapping[str, Mapping], control_arm: str, metrics: Sequence[Metric], *, level: float = 0.95
) -> pd.DataFrame:
    """Read every declared metric for every treated arm against the control, and the control alone.

    ``arms`` are sums by arm (`effects.arms_of`). One row per metric and treated arm: metric,
    kind, declared, arm, n, control_n, control, treated (raw means, shares or ratios, as totals
    show them); value, se, low, high, p_value, raw; adjusted_* the same by CUPED with theta pooled
    over all arms, r2 and larger (as how many times more customers that counts); capped_* of the
    capped column (its own estimand); relative, relative_low, relative_high, relative_reason (why
    there is none). basis says which of raw and adjusted decides: adjusted wherever something was
    known before, a rule that never looks at results. decisive_* repeats the basis; holm and fdr
    correct its p-values over declared metrics x arms; smallest_effect is what the basis sees 4
    times out of 5. ``caution`` says why its interval may not hold, beside the figures; ``reason``
    says why a row has no figures, empty where it has.
    """
    rows = []
    for metric in metrics:
        reason = unreadable(arms, control_arm, metric.column)
        for arm in sorted(set(arms) - {control_arm}):
            row = {"metric": metric.name, "kind": metric.kind, "declared": metric.declared}
            row |= {"arm": arm, "n": float(arms[arm]["n"]), "reason": reason}
            rows.append(row if reason else row | _read(arms, control_arm, arm, metric, level))
    table = pd.DataFrame(rows, columns=_COLUMNS)
    family = table["decisive_p_value"].where(table["declared"].astype(bool)).astype(float)
    return table.assign(holm=holm(family), fdr=benjamini_hochberg(family))


_PARTS = Effect._fields
_COLUMNS = ["metric", "kind", "declared", "arm", "n", "control_n", "control", "treated", *_PARTS]
_COLUMNS += [f"{kind}_{part}" for kind in ("adjusted", "capped") for part in _PARTS]
_COLUMNS += ["r2", "larger", "relative", "relative_low", "relative_high", "relative_reason"]
_COLUMNS += ["basis", *(f"decisive_{part}" for part in _PARTS), "smallest_effect", "caution"]
_COLUMNS += ["reason"]


def _read(
    arms: Mapping[str, Mapping], control_arm: str, arm: str, metric: Metric, level: float
) -> dict[str, object]:
    """Read one metric of one treated arm."""
    control, treated = arms[control_arm], arms[arm]
    row: dict[str, object] = {"control_n": float(control["n"])}
    if metric.kind == "ratio":
        (a, var_a), (b, var_b) = (
            ratio(side, metric.column, metric.below) for side in (control, treated)
        )
        raw = ratio_difference(control, treated, metric.column, metric.below, level=level)
        if not np.isfinite(raw.value):
            return row | {"reason": f"an arm has no {metric.below} to divide by"}
    else:
        a, b = mean(control, metric.column), mean(treated, metric.column)
        var_a, var_b = (
            variance(side, metric.column) / float(side["n"]) for side in (control, treated)
        )
        of = share_difference if metric.kind == "share" else difference
        raw = of(control, treated, metric.column, level=level)
    less, capped, saved, levels = _refined(arms, control, treated, metric, level)
    basis = "adjusted" if np.isfinite(less.se) else "raw"
    decisive = less if basis == "adjusted" else raw
    (at, spread), (over, spread_over) = levels if basis == "adjusted" else ((a, var_a), (b, var_b))
    given = map(float, (at, spread, over, spread_over))
    lift, why = relative(*given, n_a=row["control_n"], n_b=float(treated["n"]), level=level)
    row |= {"control": float(a), "treated": float(b), **as_row(raw)}
    row |= {**as_row(less, "adjusted_"), **as_row(capped, "capped_")}
    row |= {"r2": saved[0], "larger": saved[1], "relative": lift.value, "relative_low": lift.low}
    row["caution"] = "" if metric.kind == "share" else caution(control, treated, metric.column)
    row |= {"relative_high": lift.high, "relative_reason": why, "basis": basis}
    return row | as_row(decisive, "decisive_") | {"smallest_effect": smallest_effect(decisive.se)}


def _refined(
    arms: Mapping[str, Mapping], control: Mapping, treated: Mapping, metric: Metric, level: float
) -> tuple[Effect, Effect, tuple[float, float], Sequence]:
    """Adjust and cap a mean: CUPED and capped effects, R2 and how much larger, adjusted means."""
    less, capped, saved, levels = NOTHING, NOTHING, (np.nan, np.nan), ()
    if metric.kind != "ratio" and metric.covariates:
        everyone = list(arms.values())
        theta = pooled_theta(everyone, metric.column, metric.covariates)
        options = {"covariates": metric.covariates, "theta": theta, "level": level}
        less = adjusted(control, treated, metric.column, **options)
        levels = [
            leveled(everyone, arm, metric.column, metric.covariates, theta)
            for arm in (control, treated)
        ]
        saved = tuple(float(x) for x in explained(everyone, metric.column, metric.covariates))
    if metric.kind == "mean" and metric.capped:
        capped = difference(control, treated, metric.capped, level=level)
    return less, capped, saved, levels
