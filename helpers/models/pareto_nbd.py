"""Pareto/NBD: customers who may leave at any time, and NBD, in which nobody leaves.

Sources:

- SMC 1987: Schmittlein, Morrison and Colombo, Counting Your Customers: Who Are They and What Will
  They Do Next?, Management Science 33(1).
- Note 009: Fader and Hardie, A Note on Deriving the Pareto/NBD Model and Related Expressions.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, exprel, gammaln

from helpers.models.decay import Decay, decay_integral, decay_integrals
from helpers.models.likelihood import Objective, distinct, dot
from helpers.models.purchase import PurchaseFit
from helpers.models.states import States

_NEWTON_STEPS = 60


@dataclass(frozen=True)
class ParetoFit(PurchaseFit):
    """A fitted Pareto/NBD model: a customer leaves at rate mu ~ Gamma(s, beta).

    beta, like alpha, is in units of ``days_per_unit`` days. The likelihood is kept as an integral
    over the time of leaving (Note 009, section 3), all of whose terms are positive: no 2F1 that is
    slow or wrong near its pole, nothing to switch where alpha passes beta.
    """

    s: float
    beta: float

    names = ("r", "alpha", "s", "beta")
    floors = (0.0, 0.0, 0.0, 0.0)
    model = "Pareto/NBD"

    @classmethod
    def objective(cls, states: States, scale: float) -> Objective:
        """Log-likelihood and its gradient in ln(r, alpha, s, beta); Note 009, section 3."""
        return _pareto_objective(states, scale)

    @classmethod
    def starts(cls, r: float, rate: float) -> list[list[float]]:
        """Parameters to climb from: by moments with slow leaving, then two others."""
        return [[r, r / rate, 0.6, 0.4], [0.5, 0.5 / rate, 1.0, 1.0], [2.0, 2.0 / rate, 0.3, 0.1]]

    def _history(self, states: States) -> tuple[np.ndarray, np.ndarray]:
        """Logarithms of: staying since the last purchase, and leaving, relative to t_x."""
        x, t_x, T = states.frequency, states.recency, states.T
        since = T - t_x
        stays = -(self.r + x) * np.log1p(since / (self.alpha + t_x))
        stays -= self.s * np.log1p(since / (self.beta + t_x))
        integral = decay_integral(Decay(self.r + x, self.alpha, self.s, self.beta), t_x, T)
        with np.errstate(divide="ignore"):
            return stays, np.log(self.s) + np.log(integral)

    def log_odds_left(self, states: States) -> np.ndarray:
        """Log-odds that a customer has left by T (SMC 1987, equations 11 to 13)."""
        stays, leaves = self._history(states)
        return leaves - stays

    def log_likelihoods(self, states: States) -> np.ndarray:
        """Log-likelihood of each state, one customer each (Note 009, section 3)."""
        x, t_x = states.frequency, states.recency
        start = gammaln(self.r + x) - gammaln(self.r)
        start += self.r * np.log(self.alpha) - (self.r + x) * np.log(self.alpha + t_x)
        return start - self.s * np.log1p(t_x / self.beta) + np.logaddexp(*self._history(states))

    def expected_if_alive(self, x: np.ndarray, T: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Expected purchases in the next ``t`` of a customer who is active at T; arrays broadcast.

        Note 009, section 6.2, written without a quotient that vanishes at s = 1.
        """
        x, T, t = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (x, T, t)))
        grown = np.log1p(t / (self.beta + T))
        lifetime = (self.beta + T) * grown * exprel((1 - self.s) * grown)
        return (self.r + x) / (self.alpha + T) * lifetime

    def rate_if_alive(self, x: np.ndarray, T: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Expected purchases per unit of time, ``t`` from now: rate x P(still active by then)."""
        stays = np.exp(-self.s * np.log1p(t / (self.beta + T)))
        return (self.r + x) / (self.alpha + T) * stays

    def p_buys_if_alive(self, x: np.ndarray, T: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Probability of a purchase in the next ``t``, before leaving, of a customer active at T.

        (r + x) x the integral over the time to the purchase of both survivals, over alpha + time.
        """
        x, T, t = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (x, T, t)))
        race = Decay(np.full(x.shape, self.s), self.beta, self.r + x, self.alpha)
        return (self.r + x) * decay_integral(race, T, T + t)

    def median_wait(self, x: np.ndarray, T: np.ndarray) -> np.ndarray:
        """Time within which half of those who are active at T and buy again have done so.

        Newton's steps from 0 up: the probability is concave in time, so that they never overshoot.
        """
        half = self.p_buys_if_alive(x, T, np.inf) / 2
        wait = np.zeros(len(x))
        for _ in range(_NEWTON_STEPS):
            pace = np.exp(-(self.r + x + 1) * np.log1p(wait / (self.alpha + T)))
            pace *= self.rate_if_alive(x, T, wait)
            step = (half - self.p_buys_if_alive(x, T, wait)) / pace
            wait += step
            if (np.abs(step) <= 1e-12 * wait).all():
                break
        return wait

    def pmf(self, k: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Probability that a new customer makes exactly ``k`` repeat purchases in ``t``.

        SMC 1987, equation A17, as an integral over the time of leaving, which has no sum to cancel.
        """
        stays = np.exp(self.log_counts(k, t) - self.s * np.log1p(t / self.beta))
        nodes, weights = np.polynomial.legendre.leggauss(80)
        short = min(self.alpha, self.beta)
        span = np.log1p(t / short)[..., None] / 2
        grown = span * (1 + nodes)
        time = short * np.expm1(grown)
        log_density = np.log(self.s / self.beta) - (self.s + 1) * np.log1p(time / self.beta)
        leaves = np.exp(self.log_counts(k[..., None], time) + log_density + grown)
        return stays + (leaves * weights * span * short).sum(axis=-1)

    def draw_end(
        self, x: np.ndarray, T: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw after how much time each active customer leaves: mu ~ Gamma(s, beta + T)."""
        leaving = rng.standard_gamma(self.s, len(x)) / (self.beta + T)
        return rng.standard_exponential(len(x)) / np.maximum(leaving, 1e-300), np.full(
            len(x), np.inf
        )


@dataclass(frozen=True)
class NbdFit(PurchaseFit):
    """A fitted NBD model, the baseline in which nobody ever leaves (Ehrenberg 1959)."""

    names = ("r", "alpha")
    floors = (0.0, 0.0)
    model = "NBD"

    @classmethod
    def objective(cls, states: States, scale: float) -> Objective:
        """Log-likelihood and its gradient in ln(r, alpha): distinct x and distinct T suffice."""
        return _nbd_objective(states, scale)

    @classmethod
    def starts(cls, r: float, rate: float) -> list[list[float]]:
        """Parameters to climb from: by moments, then two others."""
        return [[r, r / rate], [0.5, 0.5 / rate], [2.0, 2.0 / rate]]

    def log_odds_left(self, states: States) -> np.ndarray:
        """Minus infinity: nobody leaves."""
        return np.full(len(states), -np.inf)

    def log_likelihoods(self, states: States) -> np.ndarray:
        """Log-likelihood of each state, one customer each: of its count and when it was made."""
        x, T = states.frequency, states.T
        start = gammaln(self.r + x) - gammaln(self.r) + self.r * np.log(self.alpha)
        return start - (self.r + x) * np.log(self.alpha + T)

    def expected_if_alive(self, x: np.ndarray, T: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Expected purchases in the next ``t``: (r + x) / (alpha + T) x t."""
        return self.rate_if_alive(x, T, t) * t

    def rate_if_alive(self, x: np.ndarray, T: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Expected purchases per unit of time, the same at any time."""
        return (self.r + x) / (self.alpha + T) + 0.0 * np.asarray(t)

    def pmf(self, k: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Probability that a new customer makes exactly ``k`` repeat purchases in ``t``."""
        return np.exp(self.log_counts(k, t))

    def draw_end(
        self, x: np.ndarray, T: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Give no end: nobody leaves."""
        return np.full(len(x), np.inf), np.full(len(x), np.inf)


def _nbd_objective(states: States, scale: float) -> Objective:
    x, n = states.frequency, states.n
    ux, ix = distinct(x)
    n_x = np.bincount(ix, n, len(ux))
    ux, n_x = ux[n_x > 0], n_x[n_x > 0]
    uT, iT = distinct(states.T, states.days_per_unit)
    n_T, x_T, uT = np.bincount(iT, n, len(uT)), np.bincount(iT, n * x, len(uT)), uT / scale
    total = n_x.sum()

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        r, alpha = np.exp(theta)
        log_T, exponent = np.log(alpha + uT), r * n_T + x_T
        value = dot(n_x, gammaln(r + ux)) - total * gammaln(r)
        value += total * r * np.log(alpha) - dot(exponent, log_T)
        by_r = dot(n_x, digamma(r + ux)) - total * (digamma(r) - np.log(alpha)) - dot(n_T, log_T)
        by_alpha = total * r / alpha - dot(exponent, 1 / (alpha + uT))
        return float(value), np.array([by_r, by_alpha]) * [r, alpha]

    return objective


def _pareto_objective(states: States, scale: float) -> Objective:
    """Log-likelihood of Pareto/NBD and its gradient as functions of ln(r, alpha, s, beta).

    Per state ln(E + s I) above the terms at t_x, where E is staying from t_x to T and I the
    integral of leaving between them; ``decay`` gives both and sums of their derivatives.
    """
    x, n = states.frequency, states.n
    ux, ix = distinct(x)
    n_x = np.bincount(ix, n, len(ux))
    ut, it = distinct(states.recency, states.days_per_unit)
    integrals = decay_integrals(states, scale)
    n_t, x_t = np.bincount(it, n, len(ut)), np.bincount(it, n * x, len(ut))
    ux, n_x = ux[n_x > 0], n_x[n_x > 0]
    ut, total = ut / scale, n_x.sum()

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        r, alpha, s, beta = np.exp(theta)
        stays, left, sums = integrals(r, alpha, s, beta)
        whole = stays + s * left
        value = (
            dot(n_x, gammaln(r + ux))
            + total * (r * np.log(alpha) - gammaln(r) + s * np.log(beta))
            - dot(r * n_t + x_t, np.log(alpha + ut))
            - s * dot(n_t, np.log(beta + ut))
            + dot(n, np.log(whole))
        )
        stayed, gone = sums(n / whole)
        log_a, per_a, log_b, per_b = stayed[1:] + s * gone[1:]
        gradient = [
            dot(n_x, digamma(r + ux)) - total * (digamma(r) - np.log(alpha)) - log_a,
            total * r / alpha - per_a,
            total * np.log(beta) + gone[0] - log_b,
            s * (total / beta - per_b - gone[4]),
        ]
        return float(value), np.array(gradient) * np.exp(theta)

    return objective
