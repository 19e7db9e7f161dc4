"""The shifted-beta-geometric model against published data, and against what simulation knows."""

from dataclasses import replace

import mpmath
import numpy as np
import pandas as pd
import pytest

from helpers.errors import DataError, UsageError
from helpers.models import sbg

# Percent surviving years 0 to 7 (Fader and Hardie 2007, table 1).
REGULAR = [100, 63.1, 46.8, 38.2, 32.6, 28.9, 26.2, 24.1]
HIGH_END = [100, 86.9, 74.3, 65.3, 59.3, 55.1, 51.7, 49.1]
PUBLISHED = {
    "regular": (REGULAR, 0.704, 1.182, -1680.265, [22.0, 20.4, 19.1, 18.0, 17.0]),
    "high end": (HIGH_END, 0.668, 3.806, -1611.158, [46.0, 43.6, 41.4, 39.5, 37.8]),
}


def counts(percent):
    """Lost by year and still there after the last, of 1,000."""
    alive = 10 * np.array(percent)
    lost = -np.diff(alive)
    period = np.append(np.arange(1, len(alive)), len(alive) - 1)
    return period, np.append(np.ones(len(lost), bool), False), np.append(lost, alive[-1])


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_estimates_likelihood_and_projection(name):
    percent, alpha, beta, likelihood, later = PUBLISHED[name]
    fit = sbg.fit_sbg(*counts(percent))
    assert fit.alpha == pytest.approx(alpha, abs=5e-4)
    assert fit.beta == pytest.approx(beta, abs=1e-3)
    assert fit.log_likelihood == pytest.approx(likelihood, abs=5e-4)
    assert fit.gradient_norm < 1e-6
    np.testing.assert_allclose(100 * sbg.survival(fit, np.arange(8, 13)), later, atol=0.05)


def of(alpha, beta):
    return sbg.SBGFit(
        log_likelihood=0.0,
        covariance=np.zeros((2, 2)),
        n=1,
        gradient_norm=0,
        alpha=alpha,
        beta=beta,
    )


def test_survival_of_the_uniform_case_and_rising_retention():
    alive = sbg.survival(of(1, 1), np.arange(8))
    np.testing.assert_allclose(-np.diff(alive), [0.5, 1 / 6, 1 / 12, 0.05, 1 / 30, 1 / 42, 1 / 56])
    rates = sbg.retention_rate(of(0.7, 1.2), np.arange(1, 20))
    assert (np.diff(rates) > 0).all()
    np.testing.assert_allclose(np.cumprod(rates), sbg.survival(of(0.7, 1.2), np.arange(1, 20)))


@pytest.mark.parametrize(
    ("alpha", "beta", "published"),
    [
        (3.80, 15.20, [3.31, 3.45, 3.59, 3.72, 3.84]),
        (0.067, 0.267, [7.68, 9.46, 9.86, 10.06, 10.19]),
    ],
)
def test_discounted_residual_lifetime_as_published(alpha, beta, published):
    year = sbg.DAYS_PER_YEAR
    found = sbg.residual_lifetime(
        of(alpha, beta), np.arange(1, 6), discount_rate=0.1, period_days=year
    )
    np.testing.assert_allclose(found, published, atol=0.012)
    series = mpmath.nsum(
        lambda t: mpmath.beta(alpha, beta + t + 1) / mpmath.beta(alpha, beta) / 1.1**t,
        [0, mpmath.inf],
    )
    assert found[0] == pytest.approx(float(series), rel=1e-9)


def test_monthly_discount_is_the_annual_rate_and_no_mean_may_exist():
    fit = of(2.5, 6.0)
    plain = sbg.residual_lifetime(fit, np.array([1, 4]))
    np.testing.assert_allclose(plain, [6.0 / 1.5, 9.0 / 1.5])
    nearly = sbg.residual_lifetime(fit, np.array([1, 4]), discount_rate=1e-9)
    np.testing.assert_allclose(nearly, plain, rtol=1e-3)
    assert np.isinf(sbg.residual_lifetime(of(0.7, 2.0), np.array([1]))).all()
    monthly = sbg.residual_lifetime(fit, np.array([1]), discount_rate=0.2)[0]
    rate, ahead = 1.2 ** (1 / 12), np.arange(20000)
    assert monthly == pytest.approx((sbg.survival(fit, ahead + 1) / rate**ahead).sum(), rel=1e-6)
    with pytest.raises(UsageError, match="discount_rate"):
        sbg.residual_lifetime(fit, np.array([1]), discount_rate=-0.1)


def draw(rng, alpha, beta, n, longest):
    """Simulate n contracts that started at any time in the last ``longest`` periods."""
    leaves = rng.geometric(np.maximum(rng.beta(alpha, beta, n), 1e-12))
    window = rng.integers(1, longest + 1, n)
    return leaves, window


def frame_of(period, event):
    return pd.DataFrame({"cohort": "one", "period": period, "event": event, "n": 1})


def test_a_cohort_of_contracts_by_hand():
    # Of ten: two lost in the first period, one in the third, four renewed twice, three five times.
    rows = frame_of([1, 1, 3, *[2] * 4, *[5] * 3], [True] * 3 + [False] * 7)
    fit = replace(of(1, 3), covariance=1e-6 * np.eye(2))
    found = sbg.project_cohorts(fit, rows, periods=(2, 5, 8), draws=50).set_index("period")
    assert found["contracts"].eq(10).all()
    assert found.loc[2, ["estimate", "observed"]].tolist() == [0.8, True]
    assert np.isnan(found.loc[2, "low"])
    # S(t) = 3 / (3 + t) for alpha 1, beta 3.
    assert found.loc[5, "estimate"] == pytest.approx((3 + 4 * 5 / 8) / 10)
    assert found.loc[8, "estimate"] == pytest.approx((3 * 8 / 11 + 4 * 5 / 11) / 10)
    assert (found["low"] <= found["estimate"]).loc[[5, 8]].all()


def test_estimates_recover_the_truth_and_projections_hold_what_came():
    rng, held, within, kept = np.random.default_rng(20261), 0, 0, 0
    runs = 100
    for _ in range(runs):
        leaves, window = draw(rng, 0.8, 4.0, 600, 24)
        lost = leaves <= window
        frame = pd.DataFrame({"period": np.where(lost, leaves, window), "event": lost, "n": 1})
        frame = frame.groupby(["period", "event"], as_index=False).sum()
        fit = sbg.fit_sbg(frame["period"], frame["event"], frame["n"])
        z = np.log(fit.alpha / (fit.alpha + fit.beta) / (0.8 / 4.8))
        within += abs(z) < 0.35
        still = frame[~frame["event"]]
        told = sbg.project_contracts(fit, still["period"], still["n"], periods=(12,), draws=400)
        later = (leaves > window + 12)[~lost].sum()
        held += told["low"][0] <= later <= told["high"][0]
        young = window == 5  # contracts that began five periods ago, carried to their twelfth
        rows = frame_of(np.where(lost, leaves, window)[young], lost[young])
        [row] = sbg.project_cohorts(fit, rows, periods=(12,), draws=400).itertuples()
        kept += row.low <= (leaves[young] > 12).mean() <= row.high
    assert 0.825 <= held / runs <= 0.96
    assert 0.825 <= kept / runs <= 1
    assert within / runs > 0.95


def test_days_become_periods():
    waits = pd.DataFrame(
        {"days": [0, 28, 31, 34, 62, 31, 34], "event": [True] * 5 + [False] * 2, "n": 1}
    )
    found = sbg.contract_periods(waits)
    rows = set(found.itertuples(index=False, name=None))
    assert rows == {(1, True, 3), (2, True, 2), (0, False, 1), (1, False, 1)}
    apart = sbg.contract_periods(waits.assign(cohort=["a", "b"] + ["a"] * 5))
    assert apart.groupby(["period", "event"])["n"].sum().to_dict() == {r[:2]: r[2] for r in rows}
    assert apart.loc[apart["cohort"] == "b", "n"].tolist() == [1]
    with pytest.raises(UsageError, match="period_days"):
        sbg.contract_periods(waits, period_days=0)


def test_what_cannot_be_fitted_says_why():
    with pytest.raises(DataError, match="0 contracts were lost"):
        sbg.fit_sbg([3, 4], [False, False], [10, 10])
    with pytest.raises(DataError, match="outlived"):
        sbg.fit_sbg([1], [True], [50])
    with pytest.raises(DataError, match="whole"):
        sbg.fit_sbg([0, 2], [True, False], [5, 5])
    with pytest.raises(DataError, match="none to project"):
        sbg.project_contracts(of(1, 1), [1], [0])
