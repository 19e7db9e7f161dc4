"""How long contracts run: the shifted-beta-geometric model (sBG) of renewals.

At the end of each period a customer leaves with a probability of their own, which differs between
customers by a Beta(alpha, beta) law; so retention rises with tenure though nobody changes.
Sources: Fader and Hardie, "How to project customer retention" (J. Interactive Marketing 21, 2007),
cited as 2007; "Customer-base valuation in a contractual setting" (Marketing Science 29, 2010).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import betaln, digamma, hyp2f1

from helpers.errors import DataError, UsageError
from helpers.models.likelihood import Fit, Objective, dot, maximize
from helpers.models.terms import DAYS_PER_YEAR

PERIOD_DAYS = DAYS_PER_YEAR / 12
_GRACE = 0.1  # of a period: months have 28 to 31 days, and a contract ends with one


@dataclass(frozen=True)
class SBGFit(Fit):
    """A fitted sBG model: the chance to leave at a renewal is Beta(alpha, beta) over customers."""

    alpha: float
    beta: float

    names = ("alpha", "beta")
    floors = (0.0, 0.0)


def contract_periods(waits: pd.DataFrame, *, period_days: float = PERIOD_DAYS) -> pd.DataFrame:
    """Turn days that contracts have run into periods: one row per period and event, with n.

    ``waits`` is the summary ``contract_waits``; with its column ``cohort``, one row per cohort too.
    Lost in period t: ended after more than t - 1
    periods and at most t (with a tenth of a period of grace, for months differ in length). Still
    there after t: running in its period t + 1. Returns (cohort,) period (whole), event, n.
    """
    if not period_days > 0:
        raise UsageError(f"period_days == {period_days}, must be above 0.")
    running_in = np.maximum(np.ceil(waits["days"] / period_days - _GRACE), 1).astype(int)
    event = waits["event"].astype(bool)
    rows = waits[["cohort"]] if "cohort" in waits else pd.DataFrame(index=waits.index)
    rows = rows.assign(period=running_in - ~event, event=event, n=waits["n"])
    return rows.groupby([*rows.columns.drop("n")], as_index=False)["n"].sum()


def fit_sbg(period: np.ndarray, event: np.ndarray, n: np.ndarray | None = None) -> SBGFit:
    """Fit the sBG model to contracts that were lost and contracts that still run.

    Per row: ``event`` True for ``n`` contracts lost in ``period`` (1 is the first), False for
    ``n`` still there after so many periods. Log-likelihood = sum of n x ln P(T = t) over those
    lost + n x ln S(t) over the rest (2007, equations 5 to 7). Raises DataError where nobody left,
    nobody stayed for a second period, or the data do not pin the parameters.
    """
    t, lost = np.atleast_1d(np.asarray(period, float)), np.atleast_1d(np.asarray(event, bool))
    n = np.ones_like(t) if n is None else np.atleast_1d(np.asarray(n, float))
    if not (np.isfinite(t) & (t >= lost) & (t == np.rint(t)) & (n >= 0)).all():
        raise DataError("period must be whole: 1 or more where lost, 0 or more where still there.")
    leavers, stayers = n[lost].sum(), n[(t >= 2) | ((t == 1) & ~lost)].sum()
    if leavers < 2 or stayers < 2:
        raise DataError(
            f"{leavers:,.0f} contracts were lost and {stayers:,.0f} outlived their first period: "
            "the model needs both, so more contracts or a longer history."
        )
    objective = _objective(t, lost, n)
    starts = np.log([[1.0, 2.0], [0.5, 0.5], [5.0, 20.0], [0.2, 5.0]])
    hint = "customers who are all alike, or a period after which nobody leaves"
    found = maximize(objective, starts, n.sum(), SBGFit.names, hint)
    above = np.exp(found.log_parameters)
    return SBGFit(
        alpha=float(above[0]), beta=float(above[1]), log_likelihood=float(found.value),
        covariance=np.outer(above, above) * found.log_covariance, n=float(n.sum()),
        gradient_norm=found.gradient_norm,
    )  # fmt: skip


def _objective(t: np.ndarray, lost: np.ndarray, n: np.ndarray) -> Objective:
    """Log-likelihood and its gradient as functions of ln(alpha, beta)."""
    left, stayed = lost.astype(float), t - lost  # renewals refused and made

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        alpha, beta = np.exp(theta)
        value = dot(n, betaln(alpha + left, beta + stayed) - betaln(alpha, beta))
        both = digamma(alpha + beta) - digamma(alpha + beta + left + stayed)
        gradient = [
            dot(n, digamma(alpha + left) - digamma(alpha) + both),
            dot(n, digamma(beta + stayed) - digamma(beta) + both),
        ]
        return value, np.array(gradient) * np.exp(theta)

    return objective


def retention_rate(fit: SBGFit, period: np.ndarray) -> np.ndarray:
    """Share of those there at the start of a period who renew at its end.

    (beta + t - 1) / (alpha + beta + t - 1); it rises with ``period``, as those likely to leave have
    left (2007, equation 8).
    """
    t = np.asarray(period, dtype=float)
    return (fit.beta + t - 1) / (fit.alpha + fit.beta + t - 1)


def survival(fit: SBGFit, period: np.ndarray) -> np.ndarray:
    """Share of new customers still there after so many periods (2007, equation 6)."""
    return _survival(fit.alpha, fit.beta, np.asarray(period, dtype=float))


def _survival(alpha: np.ndarray, beta: np.ndarray, t: np.ndarray) -> np.ndarray:
    return np.exp(betaln(alpha, beta + t) - betaln(alpha, beta))


def residual_lifetime(
    fit: SBGFit,
    period: np.ndarray,
    *,
    discount_rate: float = 0.0,
    period_days: float = PERIOD_DAYS,
) -> np.ndarray:
    """Expected renewals to come of a customer in their n-th period, before its renewal is due.

    Discounted expected residual lifetime: r(n) x 2F1(1, beta + n; alpha + beta + n; 1 / (1 + d)),
    the renewal that is due now counting in full (2010, equation 8); d is ``discount_rate``, annual
    and effective, per period. Without discount (beta + n - 1) / (alpha - 1), infinite where alpha
    is 1 or less: a few stay so long that no mean exists.
    """
    n = np.asarray(period, dtype=float)
    if not discount_rate >= 0 or (n < 1).any():
        raise UsageError("discount_rate must be 0 or more, and period 1 or more.")
    rate = (1 + discount_rate) ** (period_days / DAYS_PER_YEAR) - 1
    if rate == 0:
        mean = (fit.beta + n - 1) / (fit.alpha - 1) if fit.alpha > 1 else np.inf
        return np.broadcast_to(mean, n.shape).copy()
    a, b = fit.alpha, fit.beta
    return retention_rate(fit, n) * hyp2f1(1, b + n, a + b + n, 1 / (1 + rate))


def project_contracts(
    fit: SBGFit,
    tenure: np.ndarray,
    n: np.ndarray,
    *,
    periods: tuple[int, ...] = (12, 24, 36),
    level: float = 0.9,
    draws: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Say how many of today's contracts will still run so many periods from now.

    ``n`` contracts have been renewed ``tenure`` times. Share kept = S(tenure + h) / S(tenure); the
    interval holds the later count with chance ``level``: draws of the parameters (normal in their
    logarithms) and, in each, of who stays (binomial). Returns one row per period ahead: periods,
    contracts (now), estimate, low, high (contracts then), share.
    """
    tenure, n = (np.atleast_1d(np.asarray(x)) for x in (tenure, n))
    n = n.astype(np.int64)
    if not n.sum():
        raise DataError("No contract runs today, so there is none to project.")
    rng = np.random.default_rng(seed)
    alpha, beta = _drawn(fit, draws, rng)
    lines = []
    for ahead in periods:
        kept = survival(fit, tenure + ahead) / survival(fit, tenure)
        chance = _survival(alpha, beta, tenure + ahead) / _survival(alpha, beta, tenure)
        later = rng.binomial(n, np.clip(chance, 0, 1)).sum(axis=1)
        low, high = np.quantile(later, [(1 - level) / 2, (1 + level) / 2], method="nearest")
        mean = dot(n.astype(float), kept)
        lines.append((ahead, int(n.sum()), mean, float(low), float(high), mean / n.sum()))
    return pd.DataFrame(lines, columns=["periods", "contracts", "estimate", "low", "high", "share"])


def project_cohorts(
    fit: SBGFit,
    rows: pd.DataFrame,
    *,
    periods: tuple[int, ...] = (12, 24, 36),
    level: float = 0.9,
    draws: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Say which share of the contracts that began in a month outlives so many periods.

    ``rows`` are those of `contract_periods` with a cohort. Share = (renewed so often already + sum
    over those who still may be of S(h) / S(t)) / all that began; intervals as in
    `project_contracts`. Returns one row per cohort and number of periods: cohort, contracts (begun
    in it), period, estimate, low, high (shares), observed (True where nothing is left to come: then
    without an interval).
    """
    rng = np.random.default_rng(seed)
    alpha, beta = _drawn(fit, draws, rng)
    lines = []
    for cohort, part in rows.groupby("cohort"):
        began = int(part["n"].sum())
        for h in periods:
            done = part["period"] >= h + part["event"]  # lost in period h: h - 1 renewals
            open_ = part[~part["event"] & (part["period"] < h)]
            t, n = open_["period"].to_numpy(float), open_["n"].to_numpy(np.int64)
            kept = int(part.loc[done, "n"].sum())
            mean = kept + dot(n.astype(float), survival(fit, h) / survival(fit, t))
            chance = _survival(alpha, beta, h) / _survival(alpha, beta, t)
            later = kept + rng.binomial(n, np.clip(chance, 0, 1)).sum(axis=1)
            ends = np.quantile(later, [(1 - level) / 2, (1 + level) / 2], method="nearest")
            low, high = ends / began if len(n) else (np.nan, np.nan)
            lines.append((cohort, began, h, mean / began, low, high, not len(n)))
    names = ["cohort", "contracts", "period", "estimate", "low", "high", "observed"]
    return pd.DataFrame(lines, columns=names)


def _drawn(fit: SBGFit, draws: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw parameters as columns: normal in their logarithms, about the estimates."""
    drawn = np.exp(fit.log_draws(draws, rng)) * fit.parameters
    return drawn[:, :1], drawn[:, 1:]
