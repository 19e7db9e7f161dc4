"""Season as a change of time: a busy month lasts longer, a quiet one passes faster.

In BG/NBD, MBG/NBD and NBD nothing happens between purchases, so that a purchase rate which rises
and falls with the season for everyone is the same as an even rate on a clock that runs fast and
slow. States are counted on that clock, the model is fitted as ever, and a forecast over calendar
days asks for as much of the clock's time as those days hold. (In Pareto/NBD customers would leave
by that clock as well; it is not offered there.)
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from helpers.errors import DataError

SEASONAL = ("BG/NBD", "MBG/NBD", "NBD")  # models for which this change of time is right

_ORIGIN, _END = np.datetime64("1970-01-01"), np.datetime64("2200-01-01")
_MONTH = np.arange(_ORIGIN, _END).astype("datetime64[M]").astype(int) % 12
_PLACES = np.arange(len(_MONTH) + 1)
_DAYS = np.array([31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_CENTRE = np.eye(12) - np.outer(np.ones(12), _DAYS / _DAYS.sum())  # takes a year's mean out


@dataclass(frozen=True)
class Season:
    """Purchase intensity of a customer by month of the year, January first; 1 is the year's mean.

    ``log_covariance`` is that of the logarithms, the season's own error. Times it gives are in days
    of the season's clock, of which an average year has as many as the calendar.
    """

    intensity: np.ndarray
    log_covariance: np.ndarray = field(repr=False)

    @property
    def standard_errors(self) -> np.ndarray:
        """Standard error of each month's intensity, delta method from the logarithms."""
        return self.intensity * np.sqrt(np.diag(self.log_covariance))

    def shifted(self, log_step: np.ndarray) -> "Season":
        """The season with its log-intensities moved by ``log_step``, its mean still 1."""
        moved = self.intensity * np.exp(log_step)
        return replace(self, intensity=moved / np.average(moved, weights=_DAYS))

    def log_draws(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Plausible moves of the log-intensities given the data: (size, 12), normal."""
        return rng.multivariate_normal(np.zeros(12), self.log_covariance, size, method="eigh")

    def clock(self, days: np.ndarray) -> np.ndarray:
        """Time on the season's clock, in days, at the start of each date (``datetime64``)."""
        return self.clock_between(_ORIGIN, np.asarray(days, dtype="datetime64[D]") - _ORIGIN)

    def clock_between(self, day: np.datetime64, days_ahead: np.ndarray) -> np.ndarray:
        """Time on the season's clock from ``day`` until so many (also broken) days later."""
        start = _place(day)
        place = start + np.asarray(days_ahead).astype(float)
        if len(place.ravel()) and not (place.min() >= 0 and place.max() <= len(_MONTH)):
            raise DataError("A day lies outside 1970 to 2199, the years that a season covers.")
        return np.interp(place, _PLACES, self._ticks) - self._ticks[start]

    def days_until(self, day: np.datetime64, clock: np.ndarray) -> np.ndarray:
        """Calendar days, also broken, from ``day`` until so much time has passed on the clock."""
        start = _place(day)
        return np.interp(self._ticks[start] + np.asarray(clock), self._ticks, _PLACES) - start

    @cached_property
    def _ticks(self) -> np.ndarray:
        return np.concatenate([[0.0], np.cumsum(self.intensity[_MONTH])])


def _place(day: np.datetime64) -> int:
    return int((np.datetime64(day, "D") - _ORIGIN).astype(int))


# --- estimation ----------------------------------------------------------------------------------


def season_why_not(period: np.ndarray, purchases: np.ndarray, *, least: int = 20) -> str:
    """Say in a sentence why no season can be told from these months; empty if it can.

    ``period``: months (``datetime64[M]``); ``purchases`` in each. Every month of the year must have
    been seen in two years, or season and growth are one; below ``least`` purchases in an average
    month a season is noise.
    """
    period = np.asarray(period, dtype="datetime64[M]")
    seen = np.bincount(np.unique(period).astype(int) % 12, minlength=12)
    if seen.min() < 2:
        return (
            f"{seen.sum()} months of history: a season needs every month of the year twice, "
            "or it cannot be told from growth."
        )
    mean = np.sum(purchases) / seen.sum()
    if mean < least:
        return f"{mean:,.0f} repeat purchases in an average month: a season needs {least}."
    return ""


def fit_season(period: np.ndarray, purchases: np.ndarray, at_risk: np.ndarray) -> Season:
    """Estimate purchase intensity by month of the year, per customer at risk.

    ``period``: months (``datetime64[M]``), one element each; ``purchases``: repeat purchase days in
    it; ``at_risk``: customer-days, or the purchases that a model without season expects, which
    also knows that customers leave; only its proportions count. Poisson regression of purchases on
    at_risk x month of the year x trend (quadratic from three years on), its errors widened by the
    scatter that is left, and the twelve effects drawn towards no season as far as their own errors
    could have made them (empirical Bayes). Raises DataError where ``season_why_not`` objects.
    """
    period = np.asarray(period, dtype="datetime64[M]").astype(int)
    purchases, at_risk = np.asarray(purchases, dtype=float), np.asarray(at_risk, dtype=float)
    reason = season_why_not(period.astype("datetime64[M]"), purchases)
    if reason:
        raise DataError(reason)
    if not (np.isfinite(at_risk) & (at_risk > 0)).all() or (purchases < 0).any():
        raise DataError("A season needs customers at risk above 0 and purchases of 0 or more.")
    # effects of months, as contrasts around their mean over the days of the year, then trend
    years = (period - period.mean()) / 12
    trend = np.column_stack([years**power for power in range(3 if len(period) >= 36 else 2)])
    design = np.hstack([np.eye(12)[period % 12] @ _CENTRE[:, 1:], trend])
    effects, covariance = _poisson_regression(design, purchases, at_risk)
    months = _CENTRE[:, 1:]
    found, error = _shrunk(months @ effects[:11], months @ covariance[:11, :11] @ months.T)
    intensity = np.exp(found)
    intensity /= np.average(intensity, weights=_DAYS)
    held = np.eye(12) - _DAYS / _DAYS.sum() * intensity  # what keeping the mean at 1 takes away
    return Season(intensity, held @ error @ held.T)


def _poisson_regression(
    design: np.ndarray, counts: np.ndarray, exposure: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Log-linear coefficients and their covariance, widened by Pearson's scatter if above 1."""
    offset = np.log(exposure) + np.log(counts.sum() / exposure.sum())
    # as if an effect were rarely above e: keeps the effect of a month without purchases finite
    ridge = np.diag(np.full(design.shape[1], 1.0))
    effects = np.zeros(design.shape[1])
    for _ in range(50):
        mean = np.exp(offset + design @ effects)
        slope = design.T @ (counts - mean) - ridge @ effects
        information = design.T @ (design * mean[:, None]) + ridge
        step = np.linalg.solve(information, slope)
        effects = effects + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    mean = np.exp(offset + design @ effects)
    freedom = max(len(counts) - design.shape[1], 1)
    scatter = max(((counts - mean) ** 2 / mean).sum() / freedom, 1.0)
    return effects, np.linalg.inv(information) * scatter


def _shrunk(effects: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posterior of effects that are normal around 0 with the variance their scatter leaves."""
    variance = max(0.0, (np.square(effects).sum() - np.trace(error)) / (len(effects) - 1))
    if variance == 0:
        return np.zeros_like(effects), np.zeros_like(error)
    prior = variance * _CENTRE @ _CENTRE.T
    gain = prior @ np.linalg.pinv(prior + error)
    posterior = prior - gain @ prior
    return gain @ effects, (posterior + posterior.T) / 2
