"""BG/NBD and MBG/NBD: customers who may leave right after a purchase.

The two differ in one number: ``first`` is 1 where a customer may leave after the very first
purchase already (MBG/NBD), 0 where only repeat purchases give that chance (BG/NBD). Sources:

- FHL 2005: Fader, Hardie and Lee, "Counting Your Customers" the Easy Way, Marketing Science 24(2).
- Batislam, Denizel and Filiztekin (2007), Empirical validation and comparison of models for
  customer base analysis, International Journal of Research in Marketing 24(3): MBG/NBD.
- Note 019: Fader, Hardie and Lee, Computing P(alive) using the BG/NBD model.
- Note 027: Hardie, Overcoming the BG/NBD model's #NUM! error problem.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaln, digamma, gammaln, hyp2f1

from helpers.models.likelihood import Objective, distinct, dot
from helpers.models.purchase import PurchaseFit
from helpers.models.states import States

_NODES, _WEIGHTS = (0.5 * v for v in np.polynomial.legendre.leggauss(40))
_NODES = _NODES + 0.5  # nodes on [0, 1]
_BLOCK = 16_384
_TERMS = 20_000
_STEEP = 700.0  # log-odds at which ln(1 + odds) is the log-odds, and e to their power no number


@dataclass(frozen=True)
class BetaGeometricFit(PurchaseFit):
    """A fitted BG/NBD model: a customer leaves after a repeat purchase with p ~ Beta(a, b).

    FHL 2005, section 3. r, a and b have no unit.
    """

    a: float
    b: float

    names = ("r", "alpha", "a", "b")
    floors = (0.0, 0.0, 0.0, 0.0)
    model = "BG/NBD"
    first = 0

    @classmethod
    def objective(cls, states: States, scale: float) -> Objective:
        """Log-likelihood and its gradient in ln(r, alpha, a, b); FHL 2005, equation 6."""
        return _objective(states, scale, cls.first)

    @classmethod
    def starts(cls, r: float, rate: float) -> list[list[float]]:
        """Parameters to climb from: by moments with a quarter leaving, then two others."""
        return [[r, r / rate, 1.0, 3.0], [0.5, 0.5 / rate, 0.5, 1.0], [2.0, 2.0 / rate, 2.0, 20.0]]

    def log_odds_left(self, states: States) -> np.ndarray:
        """Log-odds that a customer has left; minus infinity without a chance to (Note 019)."""
        chances = states.frequency + self.first
        ratio = np.log1p((states.T - states.recency) / (self.alpha + states.recency))
        stays = np.log(self.b + np.maximum(chances, 1) - 1)
        log_odds = np.log(self.a) - stays + (self.r + states.frequency) * ratio
        return np.where(chances > 0, log_odds, -np.inf)

    def log_likelihoods(self, states: States) -> np.ndarray:
        """Log-likelihood of each state, one customer each (FHL 2005, equation 6; Note 027)."""
        x = states.frequency
        start = gammaln(self.r + x) - gammaln(self.r) + self.r * np.log(self.alpha)
        chain = betaln(self.a, self.b + x + self.first) - betaln(self.a, self.b)
        stay = -(self.r + x) * np.log(self.alpha + states.T)
        return start + chain + stay + np.logaddexp(0, self.log_odds_left(states))

    def expected_if_alive(self, x: np.ndarray, T: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Expected purchases in the next ``t`` of a customer who is active at T; arrays broadcast.

        FHL 2005 equation 10 after Euler's transformation of 2F1, which keeps x out of every power,
        so that a frequency in the thousands does not overflow; 40-node quadrature of the rate over
        time where the closed form cancels (a near 1, t near 0).
        """
        r, alpha, a, b = self.parameters
        b = b + self.first
        x, T, t = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (x, T, t)))
        log_growth = np.log1p(t / (alpha + T))  # ln((alpha + T + t) / (alpha + T))
        c = a + b + x - 1
        with np.errstate(all="ignore"):
            series = hyp2f1(a + b - 1 - r, a - 1, c, -np.expm1(-log_growth))
            bracket = 1 - np.exp((1 - a) * log_growth) * series
            value = np.asarray(c / (a - 1) * bracket)
        weak = ~np.isfinite(value) | (np.abs(bracket) < 1e-5)
        if weak.any():
            v = log_growth[weak][..., None] * _NODES
            rate = np.exp(v) * self._slowing(x[weak][..., None], v)
            value[weak] = (r + x[weak]) * log_growth[weak] * (rate * _WEIGHTS).sum(axis=-1)
        return value

    def _slowing(self, x: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Purchase rate when alpha + T has grown by e^v, as a share of the rate now.

        2F1(r + x + 1, a; a + b + x; 1 - e^v), in Pfaff's form, which keeps x out of the powers.
        """
        r, _, a, b = self.parameters
        b = b + self.first
        return np.exp(-a * v) * _hyp2f1(a, a + b - 1 - r, a + b + x, -np.expm1(-v))

    def rate_if_alive(self, x: np.ndarray, T: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Expected purchases per unit of time, ``t`` from now: slope of FHL 2005, equation 10."""
        start = self.alpha + T
        return (self.r + x) / start * self._slowing(x, np.log1p(t / start))

    def pmf(self, k: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Probability that a new customer makes exactly ``k`` repeat purchases in ``t``.

        FHL 2005, equation 8, its finite sum written as a regularized incomplete beta function.
        """
        a, b = self.a, self.b
        chances = k + self.first
        stays = np.exp(betaln(a, b + chances) - betaln(a, b) + self.log_counts(k, t))
        last = np.maximum(chances, 1) - 1
        with np.errstate(invalid="ignore"):
            in_time = betainc(np.maximum(k, 1), self.r, t / (self.alpha + t))
        reached = np.where(k > 0, in_time, 1.0)
        leaves = np.exp(betaln(a + 1, b + last) - betaln(a, b)) * reached
        return stays + np.where(chances > 0, leaves, 0.0)

    def draw_end(
        self, x: np.ndarray, T: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw after how many more purchases each active customer leaves: p ~ Beta(a, b + x)."""
        leaving = np.maximum(rng.beta(self.a, self.b + self.first + x), 1e-12)  # numpy refuses 0
        return np.full(len(x), np.inf), rng.geometric(leaving)


@dataclass(frozen=True)
class ModifiedBetaGeometricFit(BetaGeometricFit):
    """A fitted MBG/NBD model: like BG/NBD, but also the first purchase may be the last.

    So that one-time buyers, too, are less and less likely to come back (Batislam et al. 2007).
    """

    model = "MBG/NBD"
    first = 1


def _hyp2f1(a: float, b: float, c: np.ndarray, z: np.ndarray) -> np.ndarray:
    """2F1 for 0 <= z < 1, also where scipy has no number: c in the hundreds and z near 1.

    There the plain series dies out long before the powers of z would have to make it.
    """
    c, z = np.broadcast_arrays(c, z)
    with np.errstate(all="ignore"):
        value = np.asarray(hyp2f1(a, b, c, z))
    rows = ~np.isfinite(value)
    if rows.any():
        c, z = c[rows], z[rows]
        term, total, k = np.ones_like(z), np.ones_like(z), 0
        while k < _TERMS and (np.abs(term) > 1e-17 * np.abs(total)).any():
            term = term * ((a + k) / (c + k) * ((b + k) / (1 + k)) * z)
            total, k = total + term, k + 1
        value[rows] = total
    return value


def _objective(states: States, scale: float, first: int) -> Objective:
    """Log-likelihood of the family and its gradient as functions of ln(r, alpha, a, b).

    FHL 2005 equation 6 in the form of Note 027, with c = x + first chances to leave:
    ln L = A1 + A2 + A3 + ln(1 + [c > 0] e^d), d = ln(a / (b + c - 1)) + (r + x) ln((alpha + T) /
    (alpha + t_x)), the log-odds of having left. A1 + A2 need distinct x only, A3 distinct T only,
    and the last term only those who had a chance to leave.
    """
    x, n, days = states.frequency, states.n, states.days_per_unit
    ux, ix = distinct(x)
    n_x = np.bincount(ix, n, len(ux))
    uT, iT = distinct(states.T, days)
    n_T, x_T = np.bincount(iT, n, len(uT)), np.bincount(iT, n * x, len(uT))
    rows = x + first > 0
    ut, it = distinct(states.recency[rows], days)
    uT, ut, columns = uT / scale, ut / scale, (x[rows], n[rows], ix[rows], iT[rows], it)
    # so many rows at once stay in the processor's cache
    blocks = [[v[low : low + _BLOCK] for v in columns] for low in range(0, len(it), _BLOCK)]
    c, total = ux + first, n_x.sum()

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        r, alpha, a, b = np.exp(theta)
        log_T, log_t = np.log(alpha + uT), np.log(alpha + ut)
        per_T, per_t = 1 / (alpha + uT), 1 / (alpha + ut)
        last = b + np.maximum(c, 1) - 1
        shift = np.log(a) - np.log(last)
        value = (
            dot(n_x, gammaln(r + ux) + gammaln(b + c) - gammaln(a + b + c))
            + total * (gammaln(a + b) - gammaln(b) - gammaln(r) + r * np.log(alpha))
            - dot(r * n_T + x_T, log_T)
        )
        by_r = dot(n_x, digamma(r + ux)) - total * (digamma(r) - np.log(alpha)) - dot(n_T, log_T)
        by_alpha = total * r / alpha - dot(r * n_T + x_T, per_T)
        by_a = total * digamma(a + b) - dot(n_x, digamma(a + b + c))
        by_b = by_a + dot(n_x, digamma(b + c)) - total * digamma(b)
        for x, n, ix, iT, it in blocks:
            ratio = log_T[iT] - log_t[it]
            power = r + x
            d = power * ratio + shift[ix]
            odds = np.exp(np.minimum(d, _STEEP))
            value += dot(n, np.log(1 + odds)) + dot(n, np.maximum(d - _STEEP, 0))
            left = n * odds / (1 + odds)  # n x P(left | data)
            by_r += dot(left, ratio)
            by_alpha += dot(left * power, per_T[iT] - per_t[it])
            by_a += left.sum() / a
            by_b -= dot(left, (1 / last)[ix])
        return float(value), np.array([by_r, by_alpha, by_a, by_b]) * np.exp(theta)

    return objective
