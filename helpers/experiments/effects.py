"""Differences between arms from their moments: means, shares, intervals, relative effects.

An arm is a mapping (a row, a dict, a dict of arrays) of sums over its assigned customers: ``n``,
``Y``, ``Y_squares`` and cross-products ``Y_X``. Everything is elementwise, so one call reads one
arm, all segments, or thousands of simulated experiments.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from helpers.errors import DataError
from helpers.measures.metrics import wilson

# Sums of 0 and 1: their squares are themselves.
BINARY = ("delivered", "opened", "clicked", "unsubscribed", "attended", "converted", "missing")
# A covariate is 0 where it is missing, so its product with the indicator of that is 0.
_NO_PRODUCT = ("pre", "score")
# What subtraction of equal amounts leaves over is rounding, not variance.
_ROUNDING = 1e-12


class Effect(NamedTuple):
    """An estimated effect with its standard error, interval and p-value; missing is NaN."""

    value: float
    se: float
    low: float
    high: float
    p_value: float


NOTHING = Effect(*[np.nan] * 5)


def _number(value: object) -> np.ndarray:
    return np.asarray(value, dtype=float)


def _product(arm: Mapping, a: str, b: str) -> object:
    """Find the sum of a x b over the customers of an arm."""
    names = [f"{a}_squares"] if a == b else [f"{a}_{b}", f"{b}_{a}"]
    for name in names:
        if name in arm:
            return arm[name]
    if a == b and a in BINARY:
        return arm[a]
    if "missing" in (a, b) and {a, b} & set(_NO_PRODUCT):
        return 0.0
    raise DataError(
        f"The moments of an arm lack the sum '{names[0]}', which the spread of '{a}' "
        f"{'needs' if a == b else f'with {b!r} needs'}."
    )


def mean(arm: Mapping, name: str) -> np.ndarray:
    """Give the mean per assigned customer: sum / n; missing in an empty arm."""
    if name not in arm:
        raise DataError(f"The moments of an arm lack the sum '{name}'.")
    n = _number(arm["n"])
    return _number(arm[name]) / np.where(n > 0, n, np.nan)


def covariance(arm: Mapping, a: str, b: str) -> np.ndarray:
    """Give the covariance of two amounts over the customers of an arm.

    (sum of a x b - n x mean a x mean b) / (n - 1); with a = b the variance, which is zero, not a
    rounding error, where all customers are alike. Missing with fewer than two customers.
    """
    n = _number(arm["n"])
    total = _number(_product(arm, a, b))
    spread = total - n * mean(arm, a) * mean(arm, b)
    if a == b:
        spread = np.where(spread <= _ROUNDING * np.abs(total), 0.0, spread)
    return spread / np.where(n > 1, n - 1, np.nan)


def variance(arm: Mapping, name: str) -> np.ndarray:
    """Give the variance of an amount over the customers of an arm; see `covariance`."""
    return covariance(arm, name, name)


def interval(value: object, se: object, dof: object = np.inf, *, level: float = 0.95) -> Effect:
    """Build an effect from an estimate and its standard error by Student's t.

    No interval where the standard error is zero or missing: no spread was measured.
    """
    value, se, dof = np.broadcast_arrays(*map(_number, (value, se, dof)))
    known = np.where((se > 0) & np.isfinite(se), se, np.nan)
    half = stats.t.ppf((1 + level) / 2, dof) * known
    p_value = 2 * stats.t.sf(np.abs(value) / known, dof)
    return Effect(
        *(x[()] for x in map(_number, (value, known, value - half, value + half, p_value)))
    )


def welch(
    mean_a: object, variance_a: object, n_a: object,
    mean_b: object, variance_b: object, n_b: object,
    *, level: float = 0.95,
) -> Effect:  # fmt: skip
    """Estimate how far two means lie apart when spreads may differ.

    mean_b - mean_a; SE^2 = variance_a / n_a + variance_b / n_b; Student's t with the degrees of
    freedom of Welch (1947) and Satterthwaite. Missing with fewer than two customers in an arm;
    no interval where neither arm varies.
    """
    n_a, n_b = (np.where(_number(n) >= 2, _number(n), np.nan) for n in (n_a, n_b))
    a, b = _number(variance_a) / n_a, _number(variance_b) / n_b
    se = np.sqrt(np.maximum(a + b, 0))
    below = a**2 / (n_a - 1) + b**2 / (n_b - 1)
    dof = (a + b) ** 2 / np.where(below > 0, below, np.nan)
    value = np.where(np.isnan(n_a + n_b), np.nan, _number(mean_b) - _number(mean_a))
    return interval(value, se, dof, level=level)


def difference(control: Mapping, treated: Mapping, name: str, *, level: float = 0.95) -> Effect:
    """Estimate what the treated arm did more of, per assigned customer (Welch)."""
    parts: list[object] = []
    for arm in (control, treated):
        parts += [mean(arm, name), variance(arm, name), arm["n"]]
    return welch(*parts, level=level)


def newcombe(
    buyers_a: object, n_a: object, buyers_b: object, n_b: object, *, level: float = 0.95
) -> tuple[float, float, float]:
    """Estimate how far two conversion shares lie apart.

    buyers_b / n_b - buyers_a / n_a with the hybrid score interval (Newcombe 1998, method 10):
    value, low, high. Missing where an arm is empty.
    """
    a, b = wilson(buyers_a, n_a, level=level), wilson(buyers_b, n_b, level=level)
    value = b.value - a.value
    low = value - np.hypot(b.value - b.low, a.high - a.value)
    high = value + np.hypot(b.high - b.value, a.value - a.low)
    return tuple(_number(x)[()] for x in (value, low, high))


def share_difference(
    control: Mapping, treated: Mapping, name: str, *, level: float = 0.95
) -> Effect:
    """Estimate how far the shares of customers who did something lie apart.

    Newcombe's interval; the standard error is that of the difference of two binomials; p by the
    pooled score test (chi-square without correction). A share of nobody or of everybody in one arm
    still has an interval; where all arms agree on nobody or everybody there is no p-value.
    """
    value, low, high = newcombe(
        control[name], control["n"], treated[name], treated["n"], level=level
    )
    n_a, n_b = (
        np.where(_number(arm["n"]) > 0, _number(arm["n"]), np.nan) for arm in (control, treated)
    )
    p_a, p_b = mean(control, name), mean(treated, name)
    both = (p_a * n_a + p_b * n_b) / (n_a + n_b)
    pooled = both * (1 - both) * (1 / n_a + 1 / n_b)
    z = np.abs(value) / np.sqrt(np.where(pooled > 0, pooled, np.nan))
    se = np.sqrt(p_a * (1 - p_a) / n_a + p_b * (1 - p_b) / n_b)
    return Effect(value, se[()], low, high, _number(2 * stats.norm.sf(z))[()])


def relative(
    mean_a: float, variance_a: float, mean_b: float, variance_b: float,
    *, n_a: float = np.inf, n_b: float = np.inf, level: float = 0.95,
) -> tuple[Effect, str]:  # fmt: skip
    """Estimate a relative effect, mean_b / mean_a - 1, or say why there is none.

    Variances are those of the means (squared standard errors). Interval on the logarithm of the
    ratio (delta method; Student's t with Welch's degrees of freedom where ``n_a`` and ``n_b`` are
    given), so that it never reaches -100%. Returned with a reason, empty where the
    figure holds: a ratio means nothing where the control's mean is zero or negative, or not clearly
    away from zero (its own interval reaches zero), or where the treated mean is not positive
    (margin!). The decision rests on the absolute effect, always.
    """
    z = float(stats.norm.ppf((1 + level) / 2))
    if not np.isfinite([mean_a, variance_a, mean_b, variance_b]).all():
        return NOTHING, "there is nothing to compare with"
    if mean_a <= 0:
        return (
            NOTHING,
            "the control's mean is not above zero, so a percentage means nothing",
        )
    if mean_a - z * np.sqrt(variance_a) <= 0:
        return NOTHING, "the control's mean is not clearly above zero"
    if mean_b <= 0:
        return NOTHING, "the treated mean is not above zero, so a percentage means nothing"
    a, b = variance_a / mean_a**2, variance_b / mean_b**2
    if not a + b > 0:
        return NOTHING, "neither arm varies"
    dof = (a + b) ** 2 / max(a**2 / (n_a - 1) + b**2 / (n_b - 1), 1e-300)
    log = interval(np.log(mean_b / mean_a), np.sqrt(a + b), dof, level=level)
    value = mean_b / mean_a - 1
    ends = (float(np.expm1(log.low)), float(np.expm1(log.high)), float(log.p_value))
    return Effect(float(value), float((value + 1) * log.se), *ends), ""


def fieller(
    above: float, below: float, var_above: float, var_below: float, covariance: float = 0.0,
    *, level: float = 0.95,
) -> tuple[tuple[float, float, float], str]:  # fmt: skip
    """Give the interval of a ratio of two estimates, honest where the lower one may be zero.

    Fieller (1954): all r for which above - r x below is not significantly away from zero, from
    estimates, their variances and covariance. Returns (value, low, high) and a reason, empty where
    the interval is finite; where ``below`` is not significantly away from zero it is not, and the
    ends are missing.
    """
    given = (above, below, var_above, var_below, covariance)
    if not np.isfinite(given).all() or below == 0:
        return (np.nan,) * 3, "there is nothing to divide by"
    z2 = float(stats.norm.ppf((1 + level) / 2)) ** 2
    a = below**2 - z2 * var_below
    b = above * below - z2 * covariance
    c = above**2 - z2 * var_above
    if a <= 0:
        return (
            (above / below, np.nan, np.nan),
            "what it is divided by is not clearly away from zero, so its interval has no end",
        )
    root = np.sqrt(max(b**2 - a * c, 0.0))
    return (above / below, float((b - root) / a), float((b + root) / a)), ""


def as_row(effect: Effect, prefix: str = "") -> dict[str, float]:
    """Lay an effect out as columns: value, se, low, high, p_value, each after ``prefix``."""
    return {f"{prefix}{name}": part for name, part in effect._asdict().items()}


def arms_of(moments: pd.DataFrame) -> dict[str, pd.Series]:
    """Add segments up to arms: the moments of each arm, by its name, for one test and window.

    Sums add; ``*_least`` and ``*_most`` keep the extreme, caps (``cap_low``, ``cap_high``) are the
    same in every row. Several windows or tests at once are an error: customers would count twice.
    """
    for name in ("experiment_id", "window_days"):
        if name in moments and moments[name].nunique() > 1:
            given = ", ".join(map(str, sorted(moments[name].unique())))
            raise DataError(f"These moments mix values of {name} ({given}); read one at a time.")
    numbers = moments.select_dtypes(["number"]).columns.difference(["window_days"])
    ends = {"least": "min", "most": "max"}
    how = {name: ends.get(name.rsplit("_", 1)[-1], "sum") for name in numbers}
    how |= {name: "max" for name in ("cap_low", "cap_high") if name in how}
    whole = moments.groupby(moments["arm"].astype(str)).agg(how)
    return {name: row.astype(float) for name, row in whole.iterrows()}
