"""What every fitted model shares: maximizing a likelihood, errors, draws of its parameters."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import ndtri

from helpers.errors import DataError

LOG_LIMIT = 9.0  # a log-parameter beyond this (in scaled units) has run away: e^9 is about 8,000
GRADIENT_LIMIT = 1e-6  # largest slope per customer of the log-likelihood that counts as a maximum


@dataclass(frozen=True)
class Fit:
    """What every fitted model carries: its log-likelihood, errors and number of customers."""

    log_likelihood: float
    covariance: np.ndarray = field(compare=False, repr=False)
    n: float
    gradient_norm: float = field(compare=False, repr=False)

    names = ()  # parameters in the order of the covariance
    floors = ()  # lower bound of each parameter, the origin of its logarithm

    @property
    def parameters(self) -> np.ndarray:
        """The parameters in the order of ``names``."""
        return np.array([getattr(self, name) for name in self.names])

    @property
    def standard_errors(self) -> np.ndarray:
        """Standard error of each parameter, delta method from the log-parameters."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def aic(self) -> float:
        """Akaike's criterion: 2 x parameters - 2 x log-likelihood; lower is better."""
        return 2 * len(self.names) - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's criterion: parameters x ln(customers) - 2 x log-likelihood; lower is better."""
        return len(self.names) * np.log(self.n) - 2 * self.log_likelihood

    @property
    def log_covariance(self) -> np.ndarray:
        """Covariance of ln(parameter - floor), the scale on which the estimate is near normal."""
        scale = self.parameters - np.array(self.floors)
        return self.covariance / np.outer(scale, scale)

    def interval(self, level: float = 0.95) -> np.ndarray:
        """Confidence interval of each parameter, by its logarithm's standard error: (names, 2)."""
        floors = np.array(self.floors)[:, None]
        sides = np.array([-1.0, 1.0]) * ndtri((1 + level) / 2)
        above = (self.parameters - self.floors)[:, None]
        return floors + above * np.exp(sides * np.sqrt(np.diag(self.log_covariance))[:, None])

    def shifted(self, log_step: np.ndarray) -> "Fit":
        """The same model with its log-parameters moved by ``log_step``."""
        floors = np.array(self.floors)
        moved = floors + (self.parameters - floors) * np.exp(log_step)
        return replace(self, **dict(zip(self.names, moved.tolist(), strict=True)))

    def log_draws(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Plausible moves of the log-parameters given the data: (size, parameters), normal."""
        return rng.multivariate_normal(
            np.zeros(len(self.names)), self.log_covariance, size, method="cholesky"
        )


Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True)
class Maximum:
    """Where a likelihood is highest, in log-parameters, and how sharply."""

    log_parameters: np.ndarray
    value: float
    log_covariance: np.ndarray
    gradient_norm: float
    n: float


def maximize(
    objective: Objective,
    starts: np.ndarray,
    n: float,
    names: tuple,
    hint: str,
    near: "Maximum | None" = None,
) -> "Maximum":
    """Climb from each start in turn until one ends at a maximum; else say what was found.

    ``near``: a maximum of much the same likelihood. From there a few Newton steps with its own
    curvature, grown to ``n`` customers, suffice; where they do not, the climb begins at the starts.
    """
    if near is not None:
        grown = -np.linalg.inv(near.log_covariance) * (n / near.n)
        with suppress(DataError):
            return _polish(objective, near.log_parameters, n, names, hint, grown)
    trouble = None
    for start in starts:
        start = np.clip(start, -LOG_LIMIT, LOG_LIMIT)
        search = minimize(
            _downhill(objective, n),
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-LOG_LIMIT - 1, LOG_LIMIT + 1)] * len(start),
            options={"ftol": 1e-14, "gtol": 1e-7, "maxiter": 500, "maxcor": 20},
        )
        try:
            return _polish(objective, search.x, n, names, hint)
        except DataError as error:
            trouble = error
    raise trouble


def _downhill(objective: Objective, n: float) -> Objective:
    """The loss per customer and its slope."""

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = objective(theta)
        return -value / n, -slope / n

    return loss


def _polish(
    objective: Objective,
    theta: np.ndarray,
    n: float,
    names: tuple,
    hint: str,
    borrowed: np.ndarray | None = None,
) -> Maximum:
    """Finish with Newton steps; DataError where what they end at is no maximum.

    ``borrowed``: a Hessian of a likelihood much like this one, to step by in place of its own.
    """
    hessian = _hessian(objective, theta) if borrowed is None else borrowed
    for _ in range(12):
        value, gradient = objective(theta)
        step = -np.linalg.lstsq(hessian, gradient, rcond=None)[0]
        widest = np.abs(step).max()
        if np.abs(theta).max() > LOG_LIMIT or not 1e-9 < widest < 1:
            break
        theta = theta + step
        if borrowed is None and widest > 1e-3:
            hessian = _hessian(objective, theta)
    if borrowed is not None:
        hessian = _hessian(objective, theta)
    norm = float(np.abs(gradient).max() / n)
    sharpest = np.linalg.eigvalsh(-hessian)[0]  # 1 / variance along the least certain direction
    found = ", ".join(f"{k} {np.exp(v):.3g}" for k, v in zip(names, theta, strict=True))
    if np.abs(theta).max() > LOG_LIMIT or not np.isfinite(norm) or sharpest < 0.1:
        raise DataError(
            f"The fit runs away ({found}, in scaled units): the data do not pin the parameters "
            f"down. Usual causes: customers who hardly differ, too short a history, {hint}."
        )
    if norm > GRADIENT_LIMIT:
        raise DataError(f"The fit did not settle ({found}; slope per customer {norm:.1e}).")
    return Maximum(theta, value, np.linalg.inv(-hessian), norm, n)


def _hessian(objective: Objective, theta: np.ndarray, step: float = 1e-4) -> np.ndarray:
    """Second derivatives by central differences of the analytic gradient, made symmetric."""
    rows = [
        (objective(theta + step * e)[1] - objective(theta - step * e)[1]) / (2 * step)
        for e in np.eye(len(theta))
    ]
    return (np.array(rows) + np.array(rows).T) / 2


def dot(u: np.ndarray, v: np.ndarray) -> float:
    """Sum of products without BLAS, whose last digits depend on the number of threads."""
    return float(np.einsum("i,i->", u, v))


def distinct(values: np.ndarray, per_unit: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Distinct values and each row's position among them; whole days are looked up, not sorted."""
    days = values * per_unit
    key = np.rint(days)
    if np.abs(days - key).max(initial=0) < 1e-6 and key.max(initial=0) < 20_000:
        return np.arange(int(key.max(initial=0)) + 1) / per_unit, key.astype(np.intp)
    return np.unique(values, return_inverse=True)
