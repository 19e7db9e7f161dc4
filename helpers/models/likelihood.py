"""What every fitted model shares: maximizing a likelihood, errors, draws of its parameters."""

from collections.abc import Callable
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


def maximize(
    objective: Objective,
    starts: np.ndarray,
    n: float,
    names: tuple,
    hint: str,
    near: "Maximum | None" = None,
) -> "Maximum":
    """Climb from each start in turn until one ends at a maximum; else say what was found.

    ``near``: a maximum of much the same likelihood, to start at; its covariance shows in which
    directions to take long steps, which saves half of them.
    """
    trouble = ""
    routes = [(start, np.eye(len(start))) for start in starts]
    if near is not None:
        routes.insert(0, (near.log_parameters, np.linalg.cholesky(near.log_covariance)))
    for start, basis in routes:
        start = np.clip(start, -LOG_LIMIT, LOG_LIMIT)
        search = minimize(
            _downhill(objective, start, basis, n),
            np.zeros(len(start)),
            jac=True,
            method="L-BFGS-B",
            bounds=[(-LOG_LIMIT - 1 - v, LOG_LIMIT + 1 - v) for v in start],
            options={"ftol": 1e-14, "gtol": 1e-7, "maxiter": 500, "maxcor": 20},
        )
        theta, hessian, trouble = _polish(objective, start + basis @ search.x, n, names, hint)
        if not trouble:
            value, gradient = objective(theta)
            norm = float(np.abs(gradient).max() / n)
            return Maximum(theta, value, np.linalg.inv(-hessian), norm)
    raise DataError(trouble)


def _downhill(objective: Objective, start: np.ndarray, basis: np.ndarray, n: float) -> Objective:
    """The loss per customer and its slope, in steps along the columns of ``basis``."""

    def loss(step: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = objective(start + basis @ step)
        return -value / n, -(basis.T @ slope) / n

    return loss


def _polish(
    objective: Objective, theta: np.ndarray, n: float, names: tuple, hint: str
) -> tuple[np.ndarray, np.ndarray, str]:
    """Finish with Newton steps; return log-parameters, Hessian and what is wrong, if anything."""
    hessian = _hessian(objective, theta)
    for _ in range(6):
        if np.abs(theta).max() > LOG_LIMIT:
            break
        gradient = objective(theta)[1]
        step = -np.linalg.lstsq(hessian, gradient, rcond=None)[0]
        if np.abs(step).max() > 1 or np.abs(step).max() < 1e-9:
            break
        theta = theta + step
        if np.abs(step).max() > 1e-3:
            hessian = _hessian(objective, theta)
    norm = np.abs(objective(theta)[1]).max() / n
    widest = np.linalg.eigvalsh(-hessian)[0]  # 1 / variance along the least certain direction
    found = ", ".join(f"{k} {np.exp(v):.3g}" for k, v in zip(names, theta, strict=True))
    trouble = ""
    if np.abs(theta).max() > LOG_LIMIT or not np.isfinite(norm) or widest < 0.1:
        trouble = (
            f"The fit runs away ({found}, in scaled units): the data do not pin the parameters "
            f"down. Usual causes: customers who hardly differ, too short a history, {hint}."
        )
    elif norm > GRADIENT_LIMIT:
        trouble = f"The fit did not settle ({found}; slope per customer {norm:.1e})."
    return theta, hessian, trouble


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
