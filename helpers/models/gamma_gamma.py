"""The spend model: Gamma-Gamma on total spend per frequency; pure numpy and scipy.

Source: Fader and Hardie, The Gamma-Gamma model of monetary value (note 025), cited as Note 025.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln

from helpers.errors import DataError
from helpers.models.likelihood import Fit, Objective, distinct, dot, maximize

_MANY = 20_000  # rows above which spend is taken by cells
_CELLS, _MOST_CELLS = 400.0, 5e6  # to a factor of e; in all


@dataclass(frozen=True)
class GammaGammaFit(Fit):
    """A fitted Gamma-Gamma model of spend per purchase: shape p, and rate nu ~ Gamma(q, gamma).

    ``gamma`` (v in some texts) is in currency units; q > 1 always, so that the mean exists. The
    log-likelihood is that of mean spend (Note 025, equation 1a); on total spend it is lower by the
    sum of ln(frequency).
    """

    p: float
    q: float
    gamma: float

    names = ("p", "q", "gamma")
    floors = (0.0, 1.0, 0.0)

    @property
    def mean(self) -> float:
        """Mean spend per purchase over all customers: p x gamma / (q - 1) (Note 025)."""
        return self.p * self.gamma / (self.q - 1)

    @property
    def infinite_variance(self) -> bool:
        """True if q < 2: mean spend varies so much between customers that it has no variance."""
        return self.q < 2


def fit_gamma_gamma(
    frequency: np.ndarray, total_spend: np.ndarray, n: np.ndarray | None = None
) -> GammaGammaFit:
    """Fit the Gamma-Gamma model to spend over repeat purchase days.

    ``frequency``: days with positive spend; ``total_spend`` over those days, in currency; ``n``:
    customers. Rows with frequency 0 carry no information and are left out. Raises DataError for
    spend that is not above zero, or when spend hardly varies. Source: Note 025, equation 1a.
    """
    x, spend = (np.atleast_1d(np.asarray(v, dtype=float)) for v in (frequency, total_spend))
    n = np.ones_like(x) if n is None else np.atleast_1d(np.asarray(n, dtype=float))
    x, spend, n = (v[x > 0] for v in (x, spend, n))
    if not len(x):
        raise DataError("No repeat purchase with positive spend: there is no spend to learn from.")
    if not (np.isfinite(spend) & (spend > 0)).all():
        raise DataError(
            f"{int((~(spend > 0)).sum())} of {len(spend)} spend states are not above zero: "
            "leave purchase days without positive spend out of frequency and total_spend."
        )
    scale = (n * spend).sum() / (n * x).sum()
    objective = _gamma_gamma_objective(x, spend / scale, n)
    # log(q - 1) is searched, so q stays above 1; at each start the population mean is 1
    starts = np.log([[p, q - 1, (q - 1) / p] for p, q in ((3.0, 3.0), (1.0, 2.0), (20.0, 10.0))])
    hint = "one price for all, or a few who spend so much that no mean exists"
    found = maximize(objective, starts, n.sum(), ("p", "q - 1", "gamma"), hint)
    above = np.exp(found.log_parameters) * [1, 1, scale]
    return GammaGammaFit(
        p=float(above[0]),
        q=float(1 + above[1]),
        gamma=float(above[2]),
        log_likelihood=float(found.value - n.sum() * np.log(scale)),
        covariance=np.outer(above, above) * found.log_covariance,
        n=float(n.sum()),
        gradient_norm=found.gradient_norm,
    )


def _gamma_gamma_objective(x: np.ndarray, spend: np.ndarray, n: np.ndarray) -> Objective:
    """Log-likelihood of mean spend and its gradient as functions of ln(p, q - 1, gamma)."""
    ux, ix = distinct(x)
    n_x, log_spend = np.bincount(ix, n, len(ux)), np.log(spend)
    spend_x, fixed = dot(n * x, log_spend), dot(n, np.log(x) - log_spend)
    rank = np.cumsum(n_x > 0) - 1
    ux, n_x = ux[n_x > 0], n_x[n_x > 0]
    if len(x) > _MANY:
        x, spend, n = _by_cell(ux, rank[ix], log_spend, n)
    total = n_x.sum()
    n_times_x = n * x

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        p, above, g = np.exp(theta)
        q = 1 + above
        log_sum, per_sum = np.log(g + spend), 1 / (g + spend)
        weights = p * n_times_x + q * n
        value = (
            dot(n_x, gammaln(p * ux + q) - gammaln(p * ux))
            + total * (q * np.log(g) - gammaln(q))
            + p * spend_x
            - dot(weights, log_sum)
            + fixed
        )
        both = digamma(p * ux + q)
        gradient = [
            dot(n_x, ux * (both - digamma(p * ux))) + spend_x - dot(n_times_x, log_sum),
            dot(n_x, both) + total * (np.log(g) - digamma(q)) - dot(n, log_sum),
            total * q / g - dot(weights, per_sum),
        ]
        return float(value), np.array(gradient) * np.exp(theta)

    return objective


def _by_cell(
    ux: np.ndarray, ix: np.ndarray, log_spend: np.ndarray, n: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of one frequency and nearly one spend (to a quarter percent) as one: x, spend, n.

    All but one term of the likelihood are summed exactly before; the one left, in ln(gamma +
    spend), is so nearly straight within a cell that its value at the mean is the mean.
    """
    least = log_spend.min()
    cells = min(_CELLS, _MOST_CELLS / len(ux) / (log_spend.max() - least + 1))
    place = ((log_spend - least) * cells).astype(np.intp)
    width = int(place.max()) + 1
    cell, size = ix * width + place, len(ux) * width
    weight = np.bincount(cell, n, size)
    full = np.flatnonzero(weight)
    mean = np.bincount(cell, n * log_spend, size)[full] / weight[full]
    return ux[full // width], np.exp(mean), weight[full]


def spend_line(fit: GammaGammaFit, frequency: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expected spend per purchase as a line in total spend: E = intercept + slope x total spend.

    Note 025, equation 5: p (gamma + x m) / (p x + q - 1), a blend of the population's mean and the
    customer's own. Frequency counts days with positive spend; 0 gives the population's mean.
    """
    denominator = fit.p * np.asarray(frequency, dtype=float) + fit.q - 1
    return fit.p * fit.gamma / denominator, fit.p / denominator


def expected_spend(
    fit: GammaGammaFit, frequency: np.ndarray, total_spend: np.ndarray
) -> np.ndarray:
    """Expected spend per purchase of a customer, given days and total spend so far (Note 025)."""
    intercept, slope = spend_line(fit, frequency)
    return intercept + slope * np.asarray(total_spend, dtype=float)


def draw_spend_rates(
    fit: GammaGammaFit, frequency: np.ndarray, total_spend: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw each customer's nu from its posterior Gamma(q + p x, gamma + total spend).

    The customer's mean spend is then p / nu, and the sum of k purchases is Gamma(p k) / nu.
    """
    shape = fit.q + fit.p * np.asarray(frequency, dtype=float)
    return rng.standard_gamma(shape) / (fit.gamma + np.asarray(total_spend, dtype=float))
