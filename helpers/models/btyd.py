"""Purchase models on weighted states: one set of questions for all of them, and a naive rule.

Pure numpy and scipy: arrays in, arrays or frozen results out; no frames, no files. ``MODELS`` names
the models; ``fit`` fits one; every other function here takes any fit. FHL 2005 is Fader, Hardie and
Lee, "Counting Your Customers" the Easy Way, Marketing Science 24(2).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from helpers.errors import UsageError, nearest
from helpers.models.beta_geometric import BetaGeometricFit, ModifiedBetaGeometricFit
from helpers.models.likelihood import distinct
from helpers.models.pareto_nbd import NbdFit, ParetoFit
from helpers.models.purchase import PurchaseFit, fit_purchases
from helpers.models.states import States, distinct_pairs

_CLASSES = (BetaGeometricFit, ModifiedBetaGeometricFit, ParetoFit, NbdFit)
MODELS = {cls.model: cls for cls in _CLASSES}


def fit(states: States, model: str = "BG/NBD") -> PurchaseFit:
    """Fit a purchase model, one of ``MODELS``, to weighted states by maximum likelihood.

    Raises DataError when the data cannot carry it, UsageError for a model that is not there.
    """
    if model not in MODELS:
        raise UsageError(
            f"model is '{model}', must be one of {', '.join(MODELS)}.{nearest(model, MODELS)}"
        )
    return fit_purchases(MODELS[model], states)


# --- what a customer will do ---------------------------------------------------------------------


def p_alive(fit: PurchaseFit, states: States) -> np.ndarray:
    """Probability that a customer is still active at T.

    In BG/NBD it is 1 for one-time buyers, who had no chance to leave; in the others it falls.
    """
    return expit(-fit.log_odds_left(states))


def p_active(fit: PurchaseFit, states: States, t: float) -> np.ndarray:
    """Probability of at least one purchase in the next ``t``: P(alive) x P(buys | alive)."""
    x, T, position = distinct_pairs(states)
    return p_alive(fit, states) * fit.p_buys_if_alive(x, T, t)[position]


def expected_purchases(fit: PurchaseFit, states: States, t: float) -> np.ndarray:
    """Expected purchases of each state's customer in the next ``t`` units of time.

    P(alive) x the expectation given being alive (BG/NBD: FHL 2005, equation 10).
    """
    x, T, position = distinct_pairs(states)
    return p_alive(fit, states) * fit.expected_if_alive(x, T, t)[position]


def expected_purchases_new(fit: PurchaseFit, t: np.ndarray | float) -> np.ndarray:
    """Expected repeat purchases of a new customer in ``t`` units from the first purchase.

    E[X(t)] (BG/NBD: FHL 2005, equation 9): the conditional expectation at x = 0, T = 0.
    """
    new = States([0.0], [0.0], [0.0])
    return p_alive(fit, new)[0] * fit.expected_if_alive(0.0, 0.0, t)


def median_wait(fit: PurchaseFit, states: States) -> np.ndarray:
    """Time from T within which half of those who buy again have bought: the expected next order.

    The median, because the mean wait is infinite where r + x is at most 1. Given that the customer
    buys again at all; P(alive) says how likely that is.
    """
    x, T, position = distinct_pairs(states)
    return fit.median_wait(x, T)[position]


def expected_residual(fit: PurchaseFit, states: States, discount_rate: float) -> np.ndarray:
    """DERT, discounted expected residual transactions: all those to come, at their worth today.

    P(alive) x the integral over time from now of e^(-delta t) x expected rate given being alive,
    delta = ln(1 + annual effective rate) per unit of time. ``discount_rate`` must be above 0:
    without discount the sum has no end in a model in which some never leave.
    """
    x, T, position = distinct_pairs(states)
    return p_alive(fit, states) * residual_if_alive(fit, x, T, discount_rate)[position]


_STEP = 0.3  # of the trapezoid in ln(time): its error falls like e^(-pi^2 / step)
_LOG_TIME = np.arange(-37.0, 4.0, _STEP)
_TIME = np.exp(_LOG_TIME)


def residual_if_alive(
    fit: PurchaseFit, x: np.ndarray, T: np.ndarray, discount_rate: float
) -> np.ndarray:
    """DERT of a customer who is active at T; ``x`` and ``T`` are arrays of one length.

    By the trapezoid rule in the logarithm of time, which for e^(-delta t) times a smooth rate is
    exact to about twelve digits whatever the two time scales.
    """
    if not 0 < discount_rate < 10:
        raise UsageError(
            f"discount_rate == {discount_rate}, must be annual, effective and above 0 "
            "(0.1 is 10% a year): purchases without end have no sum otherwise."
        )
    delta = np.log1p(discount_rate) * fit.days_per_unit / 365.25
    weight = _STEP * _TIME * np.exp(-_TIME) / delta
    value = np.empty(len(x))
    for rows in np.array_split(np.arange(len(x)), len(x) // 20_000 + 1):  # bounds the memory
        rate = fit.rate_if_alive(x[rows, None], T[rows, None], _TIME / delta)
        value[rows] = np.einsum("ij,j->i", rate, weight)
    return value


def purchase_pmf(fit: PurchaseFit, k: np.ndarray, t: np.ndarray | float) -> np.ndarray:
    """Probability that a new customer makes exactly ``k`` repeat purchases in ``t``."""
    return fit.pmf(*np.broadcast_arrays(np.asarray(k, dtype=float), np.asarray(t, dtype=float)))


def frequency_table(fit: PurchaseFit, states: States, last: int = 7) -> np.ndarray:
    """Customers by number of repeat purchases, seen and expected: rows 0..last-1 and ``last``+.

    Returns (last + 1, 2). Expected is the exact probability at each customer's own T.
    """
    counts = np.minimum(states.frequency, last).astype(int)
    seen = np.bincount(counts, states.n, last + 1)
    uT, iT = distinct(states.T, states.days_per_unit)
    n_T = np.bincount(iT, states.n, len(uT))
    uT, n_T = uT[n_T > 0], n_T[n_T > 0]
    expected = (purchase_pmf(fit, np.arange(last)[:, None], uT) * n_T).sum(axis=1)
    return np.column_stack([seen, np.append(expected, n_T.sum() - expected.sum())])


# --- simulation ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Purchases:
    """Simulated purchases, one element each: the customer's row, and time from now in units."""

    row: np.ndarray
    time: np.ndarray


def simulate_purchases(
    fit: PurchaseFit, states: States, t: float, rng: np.random.Generator
) -> Purchases:
    """Draw each row's purchases in the next ``t`` units from its posterior; a row is one customer.

    Alive ~ Bernoulli(P(alive)); given that, lambda ~ Gamma(r + x, alpha + T) and the customer's end
    ~ the model's posterior, independent of lambda; purchases arrive at rate lambda until the end.
    Sorted by row and time.
    """
    rows = np.flatnonzero(rng.random(len(states)) < p_alive(fit, states))
    x, T = states.frequency[rows], states.T[rows]
    rate = rng.standard_gamma(fit.r + x) / (fit.alpha + T)
    until, count = fit.draw_end(x, T, rng)
    until = np.minimum(until, t)
    arrivals = rng.poisson(until * rate)
    some = arrivals > 0
    rows, until, count, arrivals = (v[some] for v in (rows, until, count, arrivals))
    owner = np.repeat(np.arange(len(rows)), arrivals)
    time = rng.random(len(owner)) * until[owner]
    order = np.lexsort((time, owner))
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(arrivals) - arrivals, arrivals)
    kept = rank < count[owner]
    return Purchases(row=rows[owner[kept]], time=time[order][kept])


def simulate_states(fit: PurchaseFit, T: np.ndarray, rng: np.random.Generator) -> States:
    """Draw new customers, each watched for its own ``T`` units: states in the order of T."""
    T = np.asarray(T, dtype=float)
    new = np.zeros(len(T))
    drawn = simulate_purchases(fit, States(new, new, new), T.max(), rng)
    seen = drawn.time <= T[drawn.row]
    row, time = drawn.row[seen], drawn.time[seen]
    recency = np.zeros(len(T))
    np.maximum.at(recency, row, time)
    frequency = np.bincount(row, minlength=len(T))
    return States(frequency, recency, T, days_per_unit=fit.days_per_unit)


# --- a naive rule ---------------------------------------------------------------------------------


def same_rate(states: States, t: float) -> np.ndarray:
    """Naive rule: everyone keeps buying at their own past rate, x / T; 0 on the first day."""
    return states.frequency / np.where(states.T > 0, states.T, 1.0) * t
