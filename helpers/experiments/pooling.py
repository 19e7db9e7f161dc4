"""Many small effects read together: segments of one test, campaigns of one shop.

The largest of many noisy effects is too large (winner's curse). A random-effects model says how
much of the spread between effects is real, and draws each towards the mean by the rest.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize, stats

from helpers.errors import UsageError

# Points over which the spread of true effects is averaged.
_GRID = 200


class Pooled(NamedTuple):
    """The mean effect of a family, how much its members truly differ, and the test of that."""

    value: float
    se: float
    low: float
    high: float
    tau: float
    q: float
    dof: int
    q_p: float


def _usable(values: object, ses: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values, ses = (np.asarray(x, dtype=float) for x in (values, ses))
    if values.shape != ses.shape or values.ndim != 1:
        raise UsageError("Effects and standard errors are two columns of the same length.")
    return values, ses, np.isfinite(values) & np.isfinite(ses) & (ses > 0)


def heterogeneity(values: object, ses: object) -> tuple[float, int, float]:
    """Test whether effects differ by more than their standard errors explain (Cochran's Q).

    Q = sum of ((effect - weighted mean) / SE)^2, chi-square with one fewer degrees of freedom than
    effects: Q, degrees of freedom, p. Missing with fewer than two effects.
    """
    values, ses, known = _usable(values, ses)
    if known.sum() < 2:
        return np.nan, int(max(known.sum() - 1, 0)), np.nan
    weights = 1 / ses[known] ** 2
    center = (weights * values[known]).sum() / weights.sum()
    q, dof = float((weights * (values[known] - center) ** 2).sum()), int(known.sum() - 1)
    return q, dof, float(stats.chi2.sf(q, dof))


def between(values: np.ndarray, ses: np.ndarray) -> float:
    """Estimate the variance between true effects (Paule and Mandel 1982).

    The variance at which the generalized Q equals its degrees of freedom; zero where Q is below
    them already.
    """

    def excess(tau2: float) -> float:
        weights = 1 / (ses**2 + tau2)
        center = (weights * values).sum() / weights.sum()
        return float((weights * (values - center) ** 2).sum()) - (len(values) - 1)

    if len(values) < 2 or excess(0.0) <= 0:
        return 0.0
    high = float(((values - values.mean()) ** 2).sum())
    while excess(high) > 0:
        high *= 2
    return float(optimize.brentq(excess, 0.0, high, xtol=1e-15 * high, rtol=1e-12))


def pooled(values: object, ses: object, *, level: float = 0.95) -> Pooled:
    """Estimate the mean effect of a family of effects that may truly differ.

    Weights 1 / (SE^2 + tau^2), tau^2 by Paule and Mandel; interval by Student's t with Knapp and
    Hartung's (2003) standard error, never narrower than that of the weights alone. One effect is
    its own mean; with none, all is missing.
    """
    values, ses, known = _usable(values, ses)
    q, dof, q_p = heterogeneity(values, ses)
    values, ses = values[known], ses[known]
    if not len(values):
        return Pooled(*[np.nan] * 6, 0, np.nan)
    tau2 = between(values, ses)
    weights = 1 / (ses**2 + tau2)
    center = float((weights * values).sum() / weights.sum())
    plain = float(1 / np.sqrt(weights.sum()))
    quantile, se = float(stats.norm.ppf((1 + level) / 2)), plain
    if dof > 0:
        quantile = float(stats.t.ppf((1 + level) / 2, dof))
        scale = float((weights * (values - center) ** 2).sum() / dof)
        se = plain * float(np.sqrt(max(scale, 1.0)))
    half = quantile * se
    return Pooled(center, se, center - half, center + half, float(np.sqrt(tau2)), q, dof, q_p)


def _spreads(values: np.ndarray, ses: np.ndarray) -> tuple[np.ndarray, ...]:
    """Weigh how much true effects may differ: variances between, means, their variances, weights.

    Shrinkage at a typical standard error, s0^2 / (s0^2 + tau^2), is uniform between 0 and 1 before
    the data (s0^2 harmonic mean of SE^2); the mean is flat. Rows are points of that grid.
    """
    share = (np.arange(_GRID) + 0.5) / _GRID
    typical = 1 / np.mean(1 / ses**2)
    tau2 = typical * (1 - share) / share
    spread = ses**2 + tau2[:, None]
    total = (1 / spread).sum(axis=1)
    centers = (values / spread).sum(axis=1) / total
    logs = -0.5 * (
        np.log(total) + np.log(spread).sum(axis=1)
        + ((values - centers[:, None]) ** 2 / spread).sum(axis=1)
    )  # fmt: skip
    weights = np.exp(logs - logs.max())
    return tau2, centers, 1 / total, weights / weights.sum()


def shrunk(values: object, ses: object, *, level: float = 0.95) -> pd.DataFrame:
    """Draw each effect towards the mean of its family, by how noisy it is (partial pooling).

    At a spread tau of true effects: kept = tau^2 / (tau^2 + SE^2); shrunk = kept x effect + (1 -
    kept) x mean; variance = kept x SE^2 + (1 - kept)^2 x variance of the mean. Averaged over what
    tau may be (uniform shrinkage prior; Daniels 1999), since a handful of effects tells little of
    it and a single guess makes intervals too narrow. One row per effect, in order: value, se,
    kept, shrunk, shrunk_se, low, high. An effect that is missing stays missing.
    """
    values, ses, known = _usable(values, ses)
    columns = ("kept", "shrunk", "shrunk_se", "low", "high")
    table = pd.DataFrame(
        {"value": np.where(known, values, np.nan), "se": np.where(known, ses, np.nan)}
        | dict.fromkeys(columns, np.nan)
    )
    if not known.any():
        return table
    tau2, centers, spreads, weights = _spreads(values[known], ses[known])
    kept = tau2[:, None] / (tau2[:, None] + ses[known] ** 2)
    means = kept * values[known] + (1 - kept) * centers[:, None]
    within = kept * ses[known] ** 2 + (1 - kept) ** 2 * spreads[:, None]
    center = weights @ means
    se = np.sqrt(weights @ (within + (means - center) ** 2))
    half = float(stats.norm.ppf((1 + level) / 2)) * se
    parts = (weights @ kept, center, se, center - half, center + half)
    for name, part in zip(columns, parts, strict=True):
        table.loc[known, name] = part
    return table


def segments(
    sizes: object, values: object, ses: object, *, level: float = 0.95
) -> tuple[pd.DataFrame, Pooled]:
    """Read one test by segment so that the segments add up to the whole.

    ``sizes`` are customers per segment in all arms, ``values`` the effect per customer. The total
    is the post-stratified effect, sum of size x effect / sum of sizes. Shrunk effects are moved by
    one constant so that size x effect adds up to the same total (benchmarked small-area estimates);
    their intervals are widened by the total's own error, which that constant carries.
    Returns one row per segment: size, value, se, kept, shrunk, shrunk_se, low, high, total (size x
    value), shrunk_total; and the family with its heterogeneity test. A segment whose effect is
    missing (nobody in one arm) makes the total one of the others: its own totals are missing.
    """
    sizes = np.asarray(sizes, dtype=float)
    table = shrunk(values, ses, level=level)
    if not (sizes >= 0).all() or len(sizes) != len(table):
        raise UsageError("Each segment needs its number of customers, zero or more.")
    table.insert(0, "size", sizes)
    known = table["value"].notna()
    weight = table["size"].where(known)
    if weight.sum() > 0:
        shift = (weight * (table["value"] - table["shrunk"])).sum() / weight.sum()
        error = np.sqrt((weight**2 * table["se"] ** 2).sum()) / weight.sum()
        moved = table["shrunk"] + shift
        half = float(stats.norm.ppf((1 + level) / 2)) * np.hypot(table["shrunk_se"], error)
        table = table.assign(shrunk=moved, low=moved - half, high=moved + half)
    table = table.assign(total=weight * table["value"], shrunk_total=weight * table["shrunk"])
    return table, pooled(values, ses, level=level)


def prior(values: object, ses: object) -> tuple[float, float]:
    """Learn from past campaigns what to expect of the next: mean and standard deviation.

    A new campaign's true effect lies around the mean of the past ones, with variance tau^2 +
    variance of that mean, averaged over what tau may be (see `shrunk`). Missing with fewer than
    three campaigns: two do not show a spread.
    """
    values, ses, known = _usable(values, ses)
    if known.sum() < 3:
        return np.nan, np.nan
    tau2, centers, spreads, weights = _spreads(values[known], ses[known])
    center = float(weights @ centers)
    return center, float(np.sqrt(weights @ (tau2 + spreads + (centers - center) ** 2)))
