"""Season as a change of time: what the clock shows, and whether it helps a forecast."""

import numpy as np
import pandas as pd
import pytest
from cdnow import made

from helpers.errors import DataError
from helpers.models import btyd
from helpers.models.forecast import states_at
from helpers.models.season import Season, fit_season, season_why_not

LENGTHS = np.array([31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
WAVE = np.exp(0.5 * np.sin(2 * np.pi * np.arange(12) / 12))
TRUE = Season(WAVE / np.average(WAVE, weights=LENGTHS), np.zeros((12, 12)))
NO_SEASON = Season(np.ones(12), np.zeros((12, 12)))
MONTHS = np.arange("2023-01", "2026-01", dtype="datetime64[M]")


def day(text):
    return np.datetime64(text, "D")


def season_states(season, frequency, first, last, as_of, days_per_unit=7.0):
    """States of dated customers as a season counts time."""
    columns = {"frequency": frequency, "first_day": first, "last_day": last}
    dated = pd.DataFrame(columns).astype(
        {"first_day": "datetime64[s]", "last_day": "datetime64[s]"}
    )
    return states_at(dated, as_of, days_per_unit, season)


def monthly(season, months=MONTHS, rate=300.0, seed=1):
    """Purchases of each month under a season, falling by a fifth a year, and customers at risk."""
    rng = np.random.default_rng(seed)
    at_risk = np.linspace(1000.0, 3000.0, len(months))
    place = months.astype(int)
    mean = rate * at_risk / 2000 * season.intensity[place % 12] * 0.8 ** ((place - place[0]) / 12)
    return rng.poisson(mean), at_risk


class TestClock:
    def test_without_season_it_is_the_calendar(self):
        first = ["2024-02-28", "2024-03-01"]
        got = season_states(NO_SEASON, [0, 3], first, ["2024-02-28", "2024-07-01"], "2024-12-31")
        np.testing.assert_allclose(got.T * 7, [307, 305])
        np.testing.assert_allclose(got.recency * 7, [0, 122])

    def test_an_average_year_is_a_year_long(self):
        ends = np.array(["2000-01-01", "2028-01-01"], dtype="datetime64[D]")
        assert np.diff(TRUE.clock(ends))[0] == pytest.approx(28 * 365.25, abs=0.5)
        assert np.average(TRUE.intensity, weights=LENGTHS) == pytest.approx(1)

    def test_busy_months_are_long(self):
        # April is busiest, October quietest: so many days of the clock as the intensity says
        for month, days in (("2025-04", 30), ("2025-10", 31)):
            start = day(f"{month}-01")
            passed = TRUE.clock_between(start, days)
            assert passed == pytest.approx(days * TRUE.intensity[int(month[-2:]) - 1])

    def test_there_and_back(self):
        ahead = np.array([0.0, 0.25, 30.4375, 182.6, 1000.0])
        clock = TRUE.clock_between(day("2026-06-30"), ahead)
        np.testing.assert_allclose(TRUE.days_until(day("2026-06-30"), clock), ahead, atol=1e-9)

    def test_unit_moves_no_time(self):
        args = ([2], ["2024-03-01"], ["2024-07-01"], "2024-12-31")
        weeks = season_states(TRUE, *args)
        days = season_states(TRUE, *args, days_per_unit=1.0)
        np.testing.assert_allclose(days.T, weeks.T * 7)

    def test_years_beyond_reach(self):
        with pytest.raises(DataError, match="1970 to 2199"):
            TRUE.clock(np.array(["1969-12-31"], dtype="datetime64[D]"))


class TestEstimate:
    def test_recovers_the_truth_within_its_errors(self):
        held = []
        for seed in range(60):
            season = fit_season(MONTHS, *monthly(TRUE, seed=seed))
            miss = np.log(season.intensity / TRUE.intensity)
            held.append(np.abs(miss) < 1.96 * np.sqrt(np.diag(season.log_covariance)))
        # 720 intervals of 95%, twelve of a shop together
        assert 0.92 < np.mean(held) < 0.98

    def test_no_season_is_found_where_there_is_none(self):
        spread, raw = [], []
        for seed in range(40):
            purchases, at_risk = monthly(NO_SEASON, seed=seed)
            spread.append(np.std(fit_season(MONTHS, purchases, at_risk).intensity))
            by_month = np.reshape(purchases / at_risk, (3, 12)).mean(axis=0)
            raw.append(np.std(by_month / by_month.mean()))
        assert np.mean(spread) < 0.4 * np.mean(raw)

    def test_growth_is_not_season(self):
        # two years of steady growth by a half a year: December is not busier than January
        months = np.arange("2023-01", "2025-01", dtype="datetime64[M]")
        mean = 400 * 1.5 ** (np.arange(24) / 12)
        season = fit_season(months, np.round(mean), np.full(24, 1000.0))
        np.testing.assert_allclose(season.intensity, 1, atol=0.02)

    def test_scale_and_order_do_not_matter(self):
        purchases, at_risk = monthly(TRUE)
        want = fit_season(MONTHS, purchases, at_risk)
        order = np.random.default_rng(0).permutation(len(MONTHS))
        got = fit_season(MONTHS[order], purchases[order], 7 * at_risk[order])
        np.testing.assert_allclose(got.intensity, want.intensity, rtol=1e-8)

    def test_scatter_widens_the_errors(self):
        purchases, at_risk = monthly(TRUE)
        noise = np.exp(np.random.default_rng(3).normal(0, 0.2, len(MONTHS)))
        plain = fit_season(MONTHS, purchases, at_risk)
        noisy = fit_season(MONTHS, np.round(purchases * noise), at_risk)
        assert noisy.standard_errors.mean() > 1.5 * plain.standard_errors.mean()

    def test_a_month_without_purchases_stays_finite(self):
        purchases, at_risk = monthly(TRUE)
        closed = np.where(MONTHS.astype(int) % 12 == 7, 0, purchases)
        season = fit_season(MONTHS, closed, at_risk)
        assert 0 < season.intensity[7] < 0.1
        assert np.isfinite(season.log_covariance).all()

    def test_draws_follow_the_errors_and_keep_the_mean(self):
        season = fit_season(MONTHS, *monthly(TRUE))
        moves = season.log_draws(20_000, np.random.default_rng(4))
        np.testing.assert_allclose(np.cov(moves.T), season.log_covariance, atol=1e-4)
        moved = season.shifted(moves[0])
        assert np.average(moved.intensity, weights=LENGTHS) == pytest.approx(1)

    @pytest.mark.parametrize(
        ("months", "rate", "says"),
        [(23, 300.0, "23 months of history"), (36, 2.0, "in an average month")],
    )
    def test_too_little_to_tell(self, months, rate, says):
        purchases, at_risk = monthly(NO_SEASON, MONTHS[:months], rate)
        assert says in season_why_not(MONTHS[:months], purchases)
        with pytest.raises(DataError, match=says):
            fit_season(MONTHS[:months], purchases, at_risk)

    def test_customers_at_risk_must_be_known(self):
        purchases, at_risk = monthly(NO_SEASON)
        with pytest.raises(DataError, match="customers at risk above 0"):
            fit_season(MONTHS, purchases, np.where(at_risk > 2900, 0, at_risk))


@pytest.fixture(scope="module")
def shop():
    """Three years of a shop whose customers buy by season: dates, and what followed by quarter."""
    rng = np.random.default_rng(5)
    truth = made("MBG/NBD", 0.9, 90.0, 0.8, 4.0, days_per_unit=1.0)
    first = day("2023-01-01") + rng.integers(0, 1000, 12_000).astype("timedelta64[D]")
    start, now = TRUE.clock(first), TRUE.clock(day("2025-12-31"))
    new = np.zeros(len(first))
    clock = TRUE.clock_between(day("2023-01-01"), 1461)
    drawn = btyd.simulate_purchases(truth, btyd.States(new, new, new), clock, rng)
    at = drawn.time + start[drawn.row]
    past = at <= now
    frequency = np.bincount(drawn.row[past], minlength=len(first))
    last = start.copy()
    np.maximum.at(last, drawn.row[past], at[past])
    origin = day("1970-01-01")
    last_day = origin + np.ceil(TRUE.days_until(origin, last)).astype("timedelta64[D]")
    last_day = np.minimum(np.maximum(last_day, first + (frequency > 0)), day("2025-12-31"))
    edges = TRUE.clock_between(day("2025-12-31"), np.linspace(0, 364, 5)) + now
    return frequency, first, last_day, np.histogram(at, edges)[0]


def quarters(season, shop):
    """Fit on the season's clock and forecast four quarters of 91 days."""
    frequency, first, last_day, _ = shop
    states = season_states(season, frequency, first, last_day, "2025-12-31")
    fit = btyd.fit(states, "MBG/NBD")
    until = season.clock_between(day("2025-12-31"), np.linspace(0, 364, 5)) / 7
    return np.diff([btyd.expected_purchases(fit, states, t).sum() for t in until])


def test_season_mends_the_forecast_by_quarter(shop):
    actual = shop[-1]
    with_season, without = (np.abs(quarters(s, shop) - actual).sum() for s in (TRUE, NO_SEASON))
    assert with_season < 0.35 * without
    assert with_season / actual.sum() < 0.06


def test_estimated_season_does_as_well(shop):
    # purchases by month as the true law makes them, at the customers who are there
    season = fit_season(MONTHS, *monthly(TRUE, rate=2000.0))
    error = np.abs(quarters(season, shop) - shop[-1]).sum()
    assert error < 0.5 * np.abs(quarters(NO_SEASON, shop) - shop[-1]).sum()
