"""The purchase model on weighted states: BG/NBD by maximum likelihood, and naive rules.

Pure numpy and scipy: arrays in, arrays or frozen results out; no frames, no files.
Sources, cited below by short name:

- FHL 2005: Fader, Hardie and Lee, "Counting Your Customers" the Easy Way, Marketing Science 24(2).
- Note 004: Fader and Hardie, Illustrating the BG/NBD model: computation notes.
- Note 019: Fader, Hardie and Lee, Computing P(alive) using the BG/NBD model.
- Note 027: Hardie, Overcoming the BG/NBD model's #NUM! error problem.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaln, digamma, expit, gammaln, hyp2f1

from helpers.errors import DataError
from helpers.models.likelihood import Fit, Objective, distinct, dot, maximize

_NODES, _WEIGHTS = (0.5 * v for v in np.polynomial.legendre.leggauss(40))
_NODES = _NODES + 0.5  # nodes on [0, 1]


@dataclass(frozen=True)
class States:
    """Purchase histories, each with the number of customers who share it.

    ``frequency`` x: repeat purchase days; ``recency`` t_x: time from first to last purchase;
    ``T``: time from first purchase to the end of observation; ``n``: customers. One element a
    history, time in units of ``days_per_unit`` days. Raises DataError naming the first history
    that is impossible.
    """

    frequency: np.ndarray
    recency: np.ndarray
    T: np.ndarray
    n: np.ndarray | None = None
    days_per_unit: float = 7.0

    def __post_init__(self):
        x = np.atleast_1d(np.asarray(self.frequency, dtype=float))
        n = np.ones_like(x) if self.n is None else self.n
        for name, values in (("frequency", x), ("recency", self.recency), ("T", self.T), ("n", n)):
            values = np.atleast_1d(np.asarray(values, dtype=float))
            if values.shape != x.shape:
                raise DataError(f"{name} has {values.size} values, frequency has {x.size}.")
            object.__setattr__(self, name, values)
        self._check()

    def _check(self) -> None:
        x, t_x, T, n = self.frequency, self.recency, self.T, self.n
        faults = {
            "not a finite number": ~np.isfinite(x + t_x + T + n),
            "frequency is not a whole number from 0": (x < 0) | (x != np.floor(x)),
            "n is not above zero": n <= 0,
            "recency is below zero or above T": (t_x < 0) | (t_x > T),
            "without a repeat purchase recency is 0: it is the time from first to last purchase, "
            "not the time since the last": (x == 0) & (t_x > 0),
            "repeat purchases need a recency: purchases of one day are one": (x > 0) & (t_x == 0),
        }
        for fault, rows in faults.items():
            if rows.any():
                i = int(np.argmax(rows))
                raise DataError(
                    f"Purchase history {i + 1} of {x.size} is impossible (frequency {x[i]:g}, "
                    f"recency {t_x[i]:g}, T {T[i]:g}, n {n[i]:g}): {fault}."
                )

    def __len__(self) -> int:
        return len(self.frequency)


@dataclass(frozen=True)
class BetaGeometricFit(Fit):
    """A fitted BG/NBD model; alpha is in units of ``days_per_unit`` days, r, a, b have no unit.

    While active a customer buys at rate lambda ~ Gamma(r, alpha) and leaves after any repeat
    purchase with probability p ~ Beta(a, b) (FHL 2005, section 3). The log-likelihood is a density
    in the same unit of time.
    """

    r: float
    alpha: float
    a: float
    b: float
    days_per_unit: float

    names = ("r", "alpha", "a", "b")
    floors = (0.0, 0.0, 0.0, 0.0)


# --- fitting -------------------------------------------------------------------------------------


def fit_bgnbd(states: States) -> BetaGeometricFit:
    """Fit BG/NBD to weighted states by maximum likelihood.

    L-BFGS-B on the log-parameters in time scaled by the longest T, finished by Newton steps, so
    that unit and row order do not move the answer. Raises DataError when there is no repeater, no
    one-time buyer, or a parameter runs away. Source: FHL 2005, equation 6; Notes 004 and 027.
    """
    x, T, n = states.frequency, states.T, states.n
    if not len(x) or n[x > 0].sum() == 0:
        raise DataError(
            f"No repeat purchases among {n.sum():,.0f} customers: there is no rhythm to learn from."
        )
    if not (x == 0).any():
        raise DataError(
            f"No one-time buyers among {n.sum():,.0f} customers: the states hold repeat buyers "
            "only, which would make everyone look loyal. Include customers with frequency 0."
        )
    scale = T.max()
    objective = _bgnbd_objective(states, scale)
    rate = (n * x).sum() / (n * T / scale).sum()
    spread = np.average((x - np.average(x, weights=n)) ** 2, weights=n)
    mean = np.average(x, weights=n)
    r = float(np.clip(mean**2 / max(spread - mean, 1e-3), 0.1, 5))
    starts = [[r, r / rate, 1.0, 3.0], [0.5, 0.5 / rate, 0.5, 1.0], [2.0, 2.0 / rate, 2.0, 20.0]]
    found = maximize(
        objective, np.log(starts), n.sum(), BetaGeometricFit.names, "recency measured wrongly"
    )
    parameters = np.exp(found.log_parameters)
    parameters[1] *= scale
    return BetaGeometricFit(
        **dict(zip(BetaGeometricFit.names, parameters.tolist(), strict=True)),
        log_likelihood=float(found.value - (n * x).sum() * np.log(scale)),
        covariance=np.outer(parameters, parameters) * found.log_covariance,
        n=float(n.sum()),
        gradient_norm=found.gradient_norm,
        days_per_unit=states.days_per_unit,
    )


def _bgnbd_objective(states: States, scale: float) -> Objective:
    """Log-likelihood of BG/NBD and its gradient as functions of ln(r, alpha, a, b).

    FHL 2005 equation 6 in the form of Note 027: ln L = A1 + A2 + A3 + ln(1 + [x > 0] e^d) with
    d = ln(a / (b + x - 1)) + (r + x) ln((alpha + T) / (alpha + t_x)), the log-odds of having left.
    A1 + A2 need distinct x only, A3 distinct T only, and the last term repeaters only.
    """
    x, n, days = states.frequency, states.n, states.days_per_unit
    ux, ix = distinct(x)
    n_x = np.bincount(ix, n, len(ux))
    ux, n_x = ux[n_x > 0], n_x[n_x > 0]
    uT, iT = distinct(states.T, days)
    n_T, x_T = np.bincount(iT, n, len(uT)), np.bincount(iT, n * x, len(uT))
    rows = x > 0
    ut, it = distinct(states.recency[rows], days)
    uT, ut, iT, x, n = uT / scale, ut / scale, iT[rows], x[rows], n[rows]
    total = n_x.sum()

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        r, alpha, a, b = np.exp(theta)
        log_T, log_t = np.log(alpha + uT), np.log(alpha + ut)
        ratio = log_T[iT] - log_t[it]
        d = np.log(a) - np.log(b + x - 1) + (r + x) * ratio
        small = np.exp(-np.abs(d))
        left = n * np.where(d > 0, 1.0, small) / (1 + small)  # n x P(left | data)
        value = (
            dot(n_x, gammaln(r + ux) + gammaln(b + ux) - gammaln(a + b + ux))
            + total * (gammaln(a + b) - gammaln(b) - gammaln(r) + r * np.log(alpha))
            - dot(r * n_T + x_T, log_T)
            + dot(n, np.maximum(d, 0) + np.log1p(small))
        )
        per_T, per_t = 1 / (alpha + uT), 1 / (alpha + ut)
        by_r = dot(n_x, digamma(r + ux)) - total * (digamma(r) - np.log(alpha))
        by_alpha = total * r / alpha - dot(r * n_T + x_T, per_T)
        by_a = total * digamma(a + b) - dot(n_x, digamma(a + b + ux))
        by_b = by_a + dot(n_x, digamma(b + ux)) - total * digamma(b)
        gradient = [
            by_r - dot(n_T, log_T) + dot(left, ratio),
            by_alpha + dot(left, (r + x) * (per_T[iT] - per_t[it])),
            by_a + left.sum() / a,
            by_b - dot(left, 1 / (b + x - 1)),
        ]
        return float(value), np.array(gradient) * np.exp(theta)

    return objective


def bgnbd_log_likelihoods(fit: BetaGeometricFit, states: States) -> np.ndarray:
    """Log-likelihood of each state, one customer each (FHL 2005, equation 6; Note 027)."""
    x = states.frequency
    start = gammaln(fit.r + x) - gammaln(fit.r) + fit.r * np.log(fit.alpha)
    chain = betaln(fit.a, fit.b + x) - betaln(fit.a, fit.b)
    stay = -(fit.r + x) * np.log(fit.alpha + states.T)
    return start + chain + stay + np.logaddexp(0, _log_odds_left(fit, states))


# --- purchases -----------------------------------------------------------------------------------


def _log_odds_left(fit: BetaGeometricFit, states: States) -> np.ndarray:
    x = states.frequency
    ratio = np.log((fit.alpha + states.T) / (fit.alpha + states.recency))
    log_odds = np.log(fit.a) - np.log(fit.b + np.maximum(x, 1) - 1) + (fit.r + x) * ratio
    return np.where(x > 0, log_odds, -np.inf)


def p_alive(fit: BetaGeometricFit, states: States) -> np.ndarray:
    """Probability that a customer is still active at T; 1 without repeat purchases (Note 019)."""
    return expit(-_log_odds_left(fit, states))


def p_active(fit: BetaGeometricFit, states: States, t: float) -> np.ndarray:
    """Probability of at least one purchase in the next ``t`` units of time.

    P(alive) x (1 - ((alpha + T) / (alpha + T + t))^(r + x)): the rate given being alive is
    Gamma(r + x, alpha + T).
    """
    log_wait = (fit.r + states.frequency) * np.log1p(t / (fit.alpha + states.T))
    return p_alive(fit, states) * -np.expm1(-log_wait)


def expected_purchases(fit: BetaGeometricFit, states: States, t: float) -> np.ndarray:
    """Expected purchases of each state's customer in the next ``t`` units of time.

    P(alive) x the expectation given being alive (FHL 2005, equation 10).
    """
    x, T, position = distinct_pairs(states)
    return p_alive(fit, states) * expected_if_alive(fit, x, T, t)[position]


def expected_purchases_new(fit: BetaGeometricFit, t: np.ndarray | float) -> np.ndarray:
    """Expected repeat purchases of a new customer in ``t`` units from the first purchase.

    E[X(t)] of FHL 2005, equation 9: the conditional expectation at x = 0, T = 0.
    """
    return expected_if_alive(fit, 0.0, 0.0, t)


def distinct_pairs(states: States) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct (x, T) and each state's position among them.

    Given being alive, recency no longer matters, and these pairs are far fewer than the states.
    """
    ux, ix = distinct(states.frequency)
    uT, iT = distinct(states.T, states.days_per_unit)
    pair, position = np.unique(ix.astype(np.int64) * len(uT) + iT, return_inverse=True)
    return ux[pair // len(uT)], uT[pair % len(uT)], position


def expected_if_alive(
    fit: BetaGeometricFit, x: np.ndarray, T: np.ndarray | float, t: np.ndarray | float
) -> np.ndarray:
    """Expected purchases in the next ``t`` units of a customer who is active; arrays broadcast.

    FHL 2005 equation 10 after Euler's transformation of 2F1, which keeps x out of every power, so
    that a frequency in the thousands does not overflow; 40-node quadrature of the rate over time
    where the closed form cancels (a near 1, t near 0).
    """
    r, alpha, a, b = fit.parameters
    x, T, t = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (x, T, t)))
    log_growth = np.log1p(t / (alpha + T))  # ln((alpha + T + t) / (alpha + T))
    c = a + b + x - 1
    with np.errstate(all="ignore"):
        series = hyp2f1(a + b - 1 - r, a - 1, c, -np.expm1(-log_growth))
        bracket = 1 - np.exp((1 - a) * log_growth) * series
        value = np.asarray(c / (a - 1) * bracket)
    weak = ~np.isfinite(value) | (np.abs(bracket) < 1e-5)
    if weak.any():
        value[weak] = _expected_by_quadrature(fit, x[weak], log_growth[weak])
    return value


def _expected_by_quadrature(
    fit: BetaGeometricFit, x: np.ndarray, log_growth: np.ndarray
) -> np.ndarray:
    """The same expectation as an integral of the purchase rate, which has no singular point.

    (r + x) times the integral from 0 to ln(1 + t / (alpha + T)) of
    e^((1 - a) v) 2F1(a, a + b - 1 - r; a + b + x; 1 - e^-v) dv.
    """
    r, _, a, b = fit.parameters
    v = log_growth[..., None] * _NODES
    rate = hyp2f1(a, a + b - 1 - r, a + b + x[..., None], -np.expm1(-v))
    mean = (np.exp((1 - a) * v) * rate * _WEIGHTS).sum(axis=-1)
    return (r + x) * log_growth * mean


def purchase_pmf(fit: BetaGeometricFit, k: np.ndarray, t: np.ndarray | float) -> np.ndarray:
    """Probability that a new customer makes exactly ``k`` repeat purchases in ``t`` units of time.

    FHL 2005, equation 8, with the finite sum written as a regularized incomplete beta function.
    """
    k, t = np.broadcast_arrays(np.asarray(k, dtype=float), np.asarray(t, dtype=float))
    r, alpha, a, b = fit.parameters
    z = t / (alpha + t)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_z = np.where(k > 0, k * np.log(z), 0.0)
    poisson = gammaln(r + k) - gammaln(r) - gammaln(k + 1) + r * np.log1p(-z) + log_z
    stays = np.exp(betaln(a, b + k) - betaln(a, b) + poisson)
    at_least = betainc(np.maximum(k, 1), r, z)
    leaves = np.exp(betaln(a + 1, b + np.maximum(k, 1) - 1) - betaln(a, b)) * at_least
    return stays + np.where(k > 0, leaves, 0.0)


def frequency_table(fit: BetaGeometricFit, states: States, last: int = 7) -> np.ndarray:
    """Customers by number of repeat purchases, seen and expected: rows 0..last-1 and ``last``+.

    Returns (last + 1, 2). Expected is the exact probability at each customer's own T.
    """
    counts = np.minimum(states.frequency, last).astype(int)
    seen = np.bincount(counts, states.n, last + 1)
    uT, iT = distinct(states.T, states.days_per_unit)
    n_T = np.bincount(iT, states.n, len(uT))
    expected = (purchase_pmf(fit, np.arange(last)[:, None], uT) * n_T).sum(axis=1)
    return np.column_stack([seen, np.append(expected, n_T.sum() - expected.sum())])


@dataclass(frozen=True)
class Purchases:
    """Simulated purchases, one element each: the customer's row, and time from now in units."""

    row: np.ndarray
    time: np.ndarray


def simulate_purchases(
    fit: BetaGeometricFit, states: States, t: float, rng: np.random.Generator
) -> Purchases:
    """Draw each row's purchases in the next ``t`` units from its posterior; a row is one customer.

    Alive ~ Bernoulli(P(alive)); lambda ~ Gamma(r + x, alpha + T); p ~ Beta(a, b + x); purchases
    arrive at rate lambda and stop after the Geometric(p)-th. Follows from FHL 2005, section 4.
    """
    rows = np.flatnonzero(rng.random(len(states)) < p_alive(fit, states))
    x, T = states.frequency[rows], states.T[rows]
    arrivals = rng.poisson(t * rng.standard_gamma(fit.r + x) / (fit.alpha + T))
    some = arrivals > 0
    rows, x, arrivals = rows[some], x[some], arrivals[some]
    leaving = np.maximum(rng.beta(fit.a, fit.b + x), 1e-12)  # numpy refuses a probability of 0
    lifetime = rng.geometric(leaving)
    owner = np.repeat(np.arange(len(rows)), arrivals)
    time = rng.uniform(0, t, len(owner))
    order = np.lexsort((time, owner))
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(arrivals) - arrivals, arrivals)
    kept = rank < lifetime[owner]
    return Purchases(row=rows[owner[kept]], time=time[order][kept])


def same_rate(states: States, t: float) -> np.ndarray:
    """Naive rule: everyone keeps buying at their own past rate, x / T; 0 on the first day."""
    return states.frequency / np.where(states.T > 0, states.T, 1.0) * t


def same_count(states: States, t: float) -> np.ndarray:
    """Naive rule: as many purchases in the next ``t`` as in as long a stretch before.

    The whole count x where the history is no longer than ``t``, else its share t / T.
    """
    return states.frequency * np.minimum(1.0, t / np.maximum(states.T, 1e-12))


# --- spend ---------------------------------------------------------------------------------------
