"""What a customer does by age: pooled rates, a smooth curve, and how far cohorts differ from it.

Cells are counts or sums of cohort x age x random group (summary ``cohort_groups``), so errors come
from leaving out one group of customers at a time. All is done for the whole and for every group
left out at once: in arrays, the first axis is the replicate, and its first entry is the whole.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

SEASON_MONTHS = 24  # calendar months needed before a season is told from age


@dataclass(frozen=True)
class Cells:
    """Amounts by cohort, age and group, the groups' sizes, and which cells may be used.

    ``amounts`` is (cohort, age, group); ``sizes`` is (cohort, group); ``eligible`` (cohort, age)
    is True from age 0 to the last age that the whole cohort has lived through; ``calendar``
    (cohort, age) is the month of the year (0 to 11) in which an age falls.
    """

    cohorts: pd.DatetimeIndex
    amounts: np.ndarray
    sizes: np.ndarray
    eligible: np.ndarray
    calendar: np.ndarray

    @property
    def customers(self) -> np.ndarray:
        """Customers by cohort."""
        return self.sizes.sum(axis=1)

    @property
    def totals(self) -> np.ndarray:
        """Amounts by cohort and age, missing where not eligible."""
        return np.where(self.eligible, self.amounts.sum(axis=2), np.nan)

    @property
    def last(self) -> np.ndarray:
        """The last eligible age of each cohort; -1 without one."""
        return self.eligible.sum(axis=1) - 1

    def hidden(self, steps: int) -> "Cells":
        """The same cells as they were known so many steps ago."""
        ages = np.arange(self.eligible.shape[1])
        return replace(self, eligible=self.eligible & (ages + steps <= self.last[:, None]))


def replicates(cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """Totals (replicate, cohort, age) and customers (replicate, cohort); one group out in each."""
    used = np.where(cells.eligible[:, :, None], cells.amounts, 0.0)
    whole, n = used.sum(axis=2), cells.customers
    totals = np.concatenate([whole[None], whole[None] - np.moveaxis(used, 2, 0)])
    return totals, np.concatenate([n[None], n[None] - cells.sizes.T])


def jackknife_variance(estimates: np.ndarray) -> np.ndarray:
    """Variance of an estimate from its replicates: (G - 1) / G x sum of squared deviations.

    The first entry is the whole and is left out (Wolter 2007, equation 4.2.3).
    """
    left_out = estimates[1:]
    groups = len(left_out)
    return (groups - 1) / groups * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0)


def pooled_rates(cells: Cells) -> np.ndarray:
    """Amount per customer by age, sum over sum over eligible cells: (replicate, age).

    Missing for ages that no cohort has lived through.
    """
    totals, n = replicates(cells)
    exposed = (n[:, :, None] * cells.eligible).sum(axis=1)
    return np.divide(
        totals.sum(axis=1), exposed, out=np.full(exposed.shape, np.nan), where=exposed > 0
    )


def season(cells: Cells) -> np.ndarray:
    """How much more customers buy in each month of the year than their age says: (12,), mean 1.

    Sum of what was seen from age 1 on / sum of what the rates by age expect. All 1 with fewer than
    24 calendar months of seen cells, for then season and age cannot be told apart.
    """
    used = cells.eligible & (np.arange(cells.eligible.shape[1]) >= 1)
    if cells.last.max(initial=-1) + 1 < SEASON_MONTHS:
        return np.ones(12)
    totals = np.where(used, cells.amounts.sum(axis=2), 0.0)
    factor = np.ones(12)
    for _ in range(8):  # rates and season in turn: both margins of the table are met
        weight = np.where(used, cells.customers[:, None] * factor[cells.calendar], 0.0)
        by_age = weight.sum(axis=0)
        rate = np.divide(totals.sum(axis=0), by_age, out=np.zeros(len(by_age)), where=by_age > 0)
        expected = np.where(used, cells.customers[:, None] * rate, 0.0)
        seen = np.bincount(cells.calendar[used], totals[used], 12)
        told = np.bincount(cells.calendar[used], expected[used], 12)
        if (told <= 0).any() or (seen <= 0).any():
            return np.ones(12)
        factor = seen / told
        factor /= factor.mean()
    return factor


def smooth_rates(
    cells: Cells, factor: np.ndarray, ages: int, *, shape: str = "both"
) -> np.ndarray | None:
    """A curve through the rates from age 1 on, carried to ``ages`` ages: (replicate, age).

    ln rate = a + b ln(age) + c age: a power law (b) times an exponential (c), which holds the
    power and the exponential curves that cohort studies use ('power' and 'exponential' fit one
    alone). Quasi-likelihood of counts with log link, so that zero and negative sums (refunds) are
    kept (McCullagh and Nelder, Generalized Linear Models, 1989, chapter 9). A curve may not rise
    without end: c is 0 where it would be above. Age 0, the first order, is no part of the curve
    and missing. None where no curve can be found.
    """
    totals, n = replicates(cells)
    used = cells.eligible & (np.arange(cells.eligible.shape[1]) >= 1)
    exposed = (n[:, :, None] * np.where(used, factor[cells.calendar], 0.0)).sum(axis=1)
    seen = np.where(used, totals, 0.0).sum(axis=1)
    x = np.arange(1, ages, dtype=float)
    columns = {"both": [np.log(x), x / 12], "power": [np.log(x)], "exponential": [x / 12]}[shape]
    design = np.column_stack([np.ones(len(x)), *columns])
    known = seen.shape[1] - 1
    fitted = _quasi_poisson(design[:known], seen[:, 1:], exposed[:, 1:])
    if fitted is None:
        return smooth_rates(cells, factor, ages, shape="power") if shape == "both" else None
    if shape == "both" and fitted[0, 2] > 0:
        return smooth_rates(cells, factor, ages, shape="power")
    curve = np.exp(np.clip(np.einsum("rk,ak->ra", fitted, design), -50, 50))
    return np.column_stack([np.full(len(curve), np.nan), curve])


def _quasi_poisson(design: np.ndarray, seen: np.ndarray, exposed: np.ndarray) -> np.ndarray | None:
    """Solve the score equations of every replicate by Newton's steps: (replicate, coefficient)."""
    if (seen.sum(axis=1) <= 0).any() or (exposed[0] > 0).sum() <= design.shape[1]:
        return None
    level = np.log(seen.sum(axis=1) / exposed.sum(axis=1))
    theta = np.column_stack([level, np.zeros((len(level), design.shape[1] - 1))])
    for _ in range(50):
        mean = exposed * np.exp(np.clip(np.einsum("rk,ak->ra", theta, design), -50, 50))
        score = np.einsum("ra,ak->rk", seen - mean, design)
        bread = np.einsum("ra,ak,al->rkl", mean, design, design)
        try:
            step = np.linalg.solve(bread, score[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            return None
        theta = theta + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            return theta
    return theta if np.abs(step).max() < 1e-5 else None


def shrinkage(level: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, float]:
    """How much of each cohort's own level is real: weights, and the variance between cohorts.

    weight = between / (between + sampling variance); between is found by moments over cohorts and
    is 0 where levels differ no more than chance has them (DerSimonian and Laird, Controlled
    Clinical Trials 7, 1986).
    """
    known = np.isfinite(level) & np.isfinite(variance) & (variance > 0)
    if known.sum() < 3:
        return np.zeros_like(level), 0.0
    w = 1 / variance[known]
    mean = (w * level[known]).sum() / w.sum()
    q = (w * (level[known] - mean) ** 2).sum()
    between = max(0.0, (q - known.sum() + 1) / (w.sum() - (w**2).sum() / w.sum()))
    return np.where(known, between / (between + np.where(known, variance, 1.0)), 0.0), between
