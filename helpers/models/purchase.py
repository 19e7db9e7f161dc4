"""What every fitted purchase model can say: the interface behind BG/NBD and its relatives.

While active a customer buys at rate lambda ~ Gamma(r, alpha), so that given being active at T the
rate is Gamma(r + x, alpha + T) in all of them. The models differ in how customers leave.
"""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from helpers.errors import DataError
from helpers.models.likelihood import Fit, Objective, maximize
from helpers.models.states import States

_HINT = "recency measured wrongly"
_MANY = 100_000  # rows above which a fit starts from that of a part of them


@dataclass(frozen=True)
class PurchaseFit(Fit):
    """A fitted purchase model: r and alpha of the rate; alpha in units of ``days_per_unit`` days.

    A model says how its customers leave in the methods below; ``btyd`` builds every answer of them.
    Arrays broadcast; times are in the fit's own unit, counted from now where they are called t.
    """

    r: float
    alpha: float
    days_per_unit: float

    model = ""

    @classmethod
    def objective(cls, states: States, scale: float) -> Objective:
        """Log-likelihood and its gradient in the log-parameters, for time divided by ``scale``."""
        raise NotImplementedError

    @classmethod
    def starts(cls, r: float, rate: float) -> list[list[float]]:
        """Parameters to climb from, given r and purchases per scaled time by moments."""
        raise NotImplementedError

    def log_odds_left(self, states: States) -> np.ndarray:
        """Log-odds that a customer has left by T, given the purchase history."""
        raise NotImplementedError

    def log_likelihoods(self, states: States) -> np.ndarray:
        """Log-likelihood of each state, one customer each."""
        raise NotImplementedError

    def expected_if_alive(self, x: np.ndarray, T: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Expected purchases in the next ``t`` of a customer who is active at T."""
        raise NotImplementedError

    def rate_if_alive(self, x: np.ndarray, T: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Expected purchases per unit of time, ``t`` from now, of a customer who is active at T."""
        raise NotImplementedError

    def p_buys_if_alive(self, x: np.ndarray, T: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Probability of a purchase in the next ``t`` of a customer who is active at T.

        1 - ((alpha + T) / (alpha + T + t))^(r + x) where nobody leaves before buying.
        """
        return -np.expm1(-(self.r + x) * np.log1p(t / (self.alpha + T)))

    def median_wait(self, x: np.ndarray, T: np.ndarray) -> np.ndarray:
        """Time within which half of those who are active at T and buy again have done so."""
        return (self.alpha + T) * np.expm1(np.log(2) / (self.r + x))

    def pmf(self, k: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Probability that a new customer makes exactly ``k`` repeat purchases in ``t``."""
        raise NotImplementedError

    def draw_end(
        self, x: np.ndarray, T: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw when each active customer leaves: after how much time and how many purchases."""
        raise NotImplementedError

    def log_counts(self, k: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Log-probability of ``k`` purchases in ``t`` of a new customer who stays: the NBD."""
        grown = np.log1p(t / self.alpha)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(k > 0, k * (np.log(t / self.alpha) - grown), 0.0)
        return gammaln(self.r + k) - gammaln(self.r) - gammaln(k + 1) - self.r * grown + share


def fit_purchases(cls: type[PurchaseFit], states: States) -> PurchaseFit:
    """Fit one model to weighted states by maximum likelihood.

    L-BFGS-B on the log-parameters in time scaled by the longest T, finished by Newton steps, so
    that unit and row order do not move the answer; the log-likelihood is a density in the states'
    own unit. Raises DataError when there is no repeater, no one-time buyer, or a parameter runs
    away.
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
    mean = np.average(x, weights=n)
    spread = np.average((x - mean) ** 2, weights=n)
    r = float(np.clip(mean**2 / max(spread - mean, 1e-3), 0.1, 5))
    rate = float((n * x).sum() / (n * T / scale).sum())
    starts, near = np.log(cls.starts(r, rate)), None
    if len(x) > _MANY:  # most of the way is walked on a sixteenth of the rows
        thin = states.part(slice(None, None, 16))
        with suppress(DataError):  # a part may not carry what the whole does
            near = maximize(cls.objective(thin, scale), starts, thin.n.sum(), cls.names, _HINT)
    found = maximize(cls.objective(states, scale), starts, n.sum(), cls.names, _HINT, near)
    units = np.array([scale if name in ("alpha", "beta") else 1.0 for name in cls.names])
    parameters = np.exp(found.log_parameters) * units
    return cls(
        **dict(zip(cls.names, parameters.tolist(), strict=True)),
        log_likelihood=float(found.value - (n * x).sum() * np.log(scale)),
        covariance=np.outer(parameters, parameters) * found.log_covariance,
        n=float(n.sum()),
        gradient_norm=found.gradient_norm,
        days_per_unit=states.days_per_unit,
    )
