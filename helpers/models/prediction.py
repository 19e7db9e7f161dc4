"""What one cohort will do at a later age, by three methods, and how far that may be off.

``pooled``: customers at an age do what customers of older cohorts did at that age. ``chain_ladder``
(cumulative money only): the cohort grows by the factors of older cohorts. ``curve``: a smooth curve
by age and month of the year, times the cohort's own level, drawn to the level of all (Buhlmann's
credibility). In this order a method is simpler than the next.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from helpers.errors import DataError
from helpers.models.chain_ladder import ChainLadder, chain_ladder
from helpers.models.curves import (
    Cells,
    jackknife_variance,
    pooled_rates,
    season,
    shrinkage,
    smooth_rates,
)

METHODS = ("pooled", "chain_ladder", "curve")
DONORS = 4  # older cohorts that have to have lived through a span before its spread is trusted


@dataclass(frozen=True)
class Basis:
    """What all predictions from one state of knowledge share: rates, season, levels, factors.

    ``rates`` holds per method the amount per customer (replicate, age), from the first to the last
    age asked for; ``shapes`` the same for a power law and an exponential alone.
    """

    cells: Cells
    cumulative: bool
    rates: dict[str, np.ndarray]
    shapes: tuple[np.ndarray, ...]
    factor: np.ndarray
    weight: np.ndarray
    mack: ChainLadder | None

    @property
    def oldest(self) -> int:
        """The oldest age that some cohort has lived through."""
        return int(self.cells.last.max(initial=-1))

    def seasons(self, method: str, cohort: np.ndarray | int, span: range) -> np.ndarray:
        """Factors of the months in which ages fall: (cohort, age) or (age,); 1 without season."""
        months = self.cells.calendar[cohort][..., span.start : span.stop]
        return self.factor[months] if method == "curve" else np.ones(months.shape)


def basis(cells: Cells, *, cumulative: bool, ages: int) -> Basis:
    """Learn rates by age, season, levels of cohorts and growth factors from the eligible cells."""
    rates = pooled_rates(cells)
    padded = np.full((len(rates), ages), np.nan)
    width = min(ages, rates.shape[1])
    padded[:, :width] = rates[:, :width]
    known = {"pooled": padded}
    factor = season(cells)
    curve = smooth_rates(cells, factor, ages)
    shapes = ()
    weight = np.zeros(len(cells.cohorts))
    if curve is not None:
        known["curve"] = curve
        both = (smooth_rates(cells, factor, ages, shape=x) for x in ("power", "exponential"))
        shapes = tuple(each for each in both if each is not None)
        weight = _weights(cells, curve[0], factor)
    return Basis(cells, cumulative, known, shapes, factor, weight, _mack(cells, cumulative))


def _mack(cells: Cells, cumulative: bool) -> ChainLadder | None:
    """Carry the triangle forward, where it is one of money that grows."""
    seen = cells.last >= 0
    if not cumulative or seen.sum() < 3:
        return None
    width = cells.last.max() + 1
    try:
        return chain_ladder(cells.totals.cumsum(axis=1)[:, :width], cells.eligible[:, :width])
    except DataError:
        return None


def _weights(cells: Cells, curve: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """How much of each cohort's own level counts (`curves.shrinkage`)."""
    n, last = cells.customers, cells.last
    level, variance = np.full(len(n), np.nan), np.full(len(n), np.nan)
    for age in np.unique(last[last >= 1]):
        span = slice(1, age + 1)
        older = last >= age
        past = cells.amounts[older, span].sum(axis=1)
        spread = _within(past, cells.sizes[older])
        mine = np.flatnonzero(last == age)
        expected = (curve[span] * factor[cells.calendar[mine, span]]).sum(axis=1)
        level[mine] = cells.amounts[mine, span].sum(axis=(1, 2)) / (n[mine] * expected)
        variance[mine] = spread / (n[mine] * expected**2)
    return shrinkage(level, variance)[0]


def _within(sums: np.ndarray, sizes: np.ndarray) -> float:
    """Variance of a customer's amount, from how groups of a cohort differ, pooled over cohorts."""
    n = sizes.sum(axis=1, keepdims=True)
    off = sums - sizes * sums.sum(axis=1, keepdims=True) / np.maximum(n, 1)
    freedom = (np.maximum((sizes > 0).sum(axis=1) - 1, 0)).sum()
    if not freedom:
        return np.nan
    each = np.divide(off**2, sizes, out=np.zeros_like(off), where=sizes > 0)
    return float(each.sum() / freedom)


@dataclass(frozen=True)
class Prediction:
    """What a customer of a cohort will bring from now to an age: mean, variance of the cohort's."""

    mean: float
    variance: float


def predict(known: Basis, method: str, cohort: int, age: int) -> Prediction | None:
    """Predict a cohort's amount per customer, at an age or (cumulative) from now to its end.

    The variance is that of the cohort's later amount about the prediction: what its own customers
    may do (spread between groups of customers, over the same ages of older cohorts), how cohorts
    differ beyond that, and the errors of the rates. None where the method has no number: no age
    seen, an age that no cohort has reached (all but ``curve``), nothing known of the spread.
    """
    last = int(known.cells.last[cohort])
    if last < 1 or age <= last:
        return None
    if method == "chain_ladder":
        return _by_factors(known, cohort, age)
    rates = known.rates.get(method)
    if rates is None or (method == "pooled" and age > known.oldest):
        return None
    span = range(last + 1 if known.cumulative else age, age + 1)
    ahead = _expected(known, method, rates, cohort, span)
    past = _expected(known, method, rates, cohort, range(1, last + 1))
    w = known.weight[cohort] if method == "curve" else 0.0
    n = known.cells.customers[cohort]
    seen = known.cells.amounts[cohort, 1 : last + 1].sum() / n
    if not np.isfinite(ahead).all() or (w > 0 and (past <= 0).any()):
        return None
    level = (1 - w) + (w * seen / past if w > 0 else 0.0)
    each = ahead * level
    spread = _spread(known, method, last, age, w)
    if spread is None:
        return None
    own, between, reach, donors = spread
    ratio = max(ahead[0] / reach, 0.0) if reach > 0 else 1.0
    own *= max(ratio, ratio**2) if known.cumulative else ratio
    variance = own / n + between * ahead[0] ** 2 * (1 + 1 / donors) + jackknife_variance(each)
    if age > known.oldest and len(known.shapes) == 2:
        apart = [_expected(known, method, x[:1], cohort, span)[0] for x in known.shapes]
        variance += (apart[0] - apart[1]) ** 2 / 12
    return Prediction(float(each[0]), float(variance))


def _expected(known: Basis, method: str, rates: np.ndarray, cohort: int, span: range) -> np.ndarray:
    """Sum of rate x season over a span of ages, by replicate."""
    if not len(span):
        return np.zeros(len(rates))
    seasons = known.seasons(method, cohort, span)
    return (rates[:, span.start : span.stop] * seasons).sum(axis=1)


def _by_factors(known: Basis, cohort: int, age: int) -> Prediction | None:
    mack = known.mack
    if mack is None or age > known.oldest:
        return None
    n, last = known.cells.customers[cohort], known.cells.last[cohort]
    gain = mack.cumulative[cohort, age] - mack.cumulative[cohort, last]
    return Prediction(float(gain / n), float((mack.se[cohort, age] / n) ** 2))


def _spread(
    known: Basis, method: str, last: int, age: int, w: float
) -> tuple[float, float, float, int] | None:
    """How far older cohorts were off over a span, had they been predicted by the same rule.

    The span is that from ``last`` to ``age`` or, where too few cohorts have lived through it, the
    one that ends at the oldest age which enough have, for money as long as that asked for (if they
    have lived so long): what a customer brings in one step and in the next is far from the same, so
    the spread of one step says too much about that of several. Returns the variance of a customer
    about the rule, that between cohorts relative to the mean, the mean over that span, and its
    cohorts.
    """
    reached = known.cells.last
    enough = np.sort(reached)[::-1][: min(DONORS, len(reached))].min()
    end = min(age, int(enough))
    if end < 1:
        return None
    start = min(last, max(1, end - (age - last)) if known.cumulative else end - 1, end - 1)
    donors = np.flatnonzero(reached >= end)
    if len(donors) < 2:
        return None
    return _rule_errors(known, method, start, end, w, donors)


def _rule_errors(
    known: Basis, method: str, last: int, age: int, w: float, donors: np.ndarray
) -> tuple[float, float, float, int] | None:
    cells, rate = known.cells, known.rates[method][0]
    span = range(last + 1 if known.cumulative else age, age + 1)
    n, sizes = cells.customers[donors], cells.sizes[donors]
    ahead = (rate[span.start : span.stop] * known.seasons(method, donors, span)).sum(axis=1)
    rule = sizes * ((1 - w) * ahead)[:, None]
    if w > 0 and last >= 1:
        earlier = range(1, last + 1)
        past = (rate[1 : last + 1] * known.seasons(method, donors, earlier)).sum(axis=1)
        own = cells.amounts[donors, 1 : last + 1].sum(axis=1)
        rule = rule + w * np.divide(ahead, past, where=past > 0, out=ahead * 0)[:, None] * own
    off = cells.amounts[donors, span.start : span.stop].sum(axis=1) - rule
    within = _within(off, sizes)
    reach = float((n * ahead).sum() / n.sum())
    if not np.isfinite(within):
        return None
    if reach <= 0:
        return within, 0.0, reach, len(donors)
    relative = off.sum(axis=1) / n / reach
    count = len(donors)
    between = (n * relative**2).sum() * count / (count - 1) - count * within / reach**2
    return within, max(0.0, float(between / n.sum())), reach, count


def prediction_interval(
    mean: np.ndarray,
    variance: np.ndarray,
    n: np.ndarray,
    *,
    cumulative: bool,
    level: float,
    widened: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Between which amounts per customer a cohort's later amount will lie.

    Money: a gamma law of that mean and variance, for sums of spend have a right tail (a normal law
    where refunds make the mean zero or less). Shares: a beta law over whole customers of the ``n``,
    with bounds by mid-P (Lancaster, J. Am. Stat. Assoc. 56, 1961): a count holds its bounds with
    some chance of its own, and without it the interval would hold more than it says. ``widened``
    multiplies the standard deviation.
    """
    mean, variance, n = (np.asarray(x, dtype=float) for x in (mean, variance, n))
    variance, tails = variance * widened**2, ((1 - level) / 2, (1 + level) / 2)
    if cumulative:
        safe = np.where((mean > 0) & (variance > 0), mean, 1.0)
        spread = np.where(variance > 0, variance, 1.0)
        gamma = [stats.gamma.ppf(q, safe**2 / spread, scale=spread / safe) for q in tails]
        normal = [mean + stats.norm.ppf(q) * np.sqrt(np.maximum(variance, 0)) for q in tails]
        both = zip(gamma, normal, strict=True)
        low, high = (np.where(mean > 0, g, e) for g, e in both)
        return np.where(variance == 0, mean, low), np.where(variance == 0, mean, high)
    p = np.clip(mean, 0.5 / n, 1 - 0.5 / n)
    # A share of n customers varies at least as n independent ones do, and less than all as one.
    least = p * (1 - p) / n
    ratio = np.clip(p * (1 - p) / np.clip(variance, least, 0.5 * p * (1 - p)) - 1, 1e-3, None)
    a, b = p * ratio, (1 - p) * ratio
    low, high = (n * stats.beta.ppf(q, a, b) for q in tails)

    def middle(count: np.ndarray) -> np.ndarray:  # chance of fewer + half that of as many
        edges = (np.clip((count + half) / n, 0, 1) for half in (-0.5, 0.5))
        return sum(stats.beta.cdf(edge, a, b) for edge in edges) / 2

    low, high = np.floor(low), np.ceil(high)
    low = np.where(middle(low) >= tails[0], low, low + 1)
    high = np.where(middle(high) <= tails[1], high, high - 1)
    return np.clip(low / n, 0, 1), np.clip(np.maximum(high, low) / n, 0, 1)
