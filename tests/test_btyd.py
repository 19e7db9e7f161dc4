"""The purchase and spend models against published numbers, high precision and simulated truth."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cdnow import CUTOFF, cdnow_days, cdnow_file, cdnow_histories, in_weeks, made
from scipy.integrate import quad
from scipy.stats import beta as beta_law
from scipy.stats import chi2

from helpers.errors import DataError
from helpers.models import btyd, gamma_gamma


def make_fit(r, alpha, a, b, days_per_unit=7.0) -> btyd.BetaGeometricFit:
    """BG/NBD with given parameters, as if fitted without error."""
    return made("BG/NBD", r, alpha, a, b, days_per_unit=days_per_unit)


def simulate_histories(fit, lengths, rng):
    """BG/NBD purchase times of one customer for each length, one purchase after another."""
    size = len(lengths)
    rate = rng.gamma(fit.r, 1 / fit.alpha, size)
    leaving = rng.beta(fit.a, fit.b, size)
    owners, times = [], []
    clock, active = np.zeros(size), np.arange(size)
    while len(active):
        clock[active] += rng.exponential(1 / rate[active])
        active = active[clock[active] <= lengths[active]]
        owners.append(active)
        times.append(clock[active])
        active = active[rng.random(len(active)) >= leaving[active]]
    return np.concatenate(owners), np.concatenate(times)


def states_of(owners, times, T):
    """Frequency and recency of each customer from purchase times up to its own T."""
    seen = times <= T[owners]
    frequency = np.bincount(owners[seen], minlength=len(T))
    recency = np.zeros(len(T))
    np.maximum.at(recency, owners[seen], times[seen])
    return btyd.States(frequency, recency, T)


@pytest.fixture(scope="module")
def days():
    return cdnow_days()


@pytest.fixture(scope="module")
def histories(days):
    return cdnow_histories(days, CUTOFF)


@pytest.fixture(scope="module")
def weeks(histories):
    return in_weeks(histories)


@pytest.fixture(scope="module")
def fit(weeks):
    return btyd.fit(weeks)


@pytest.fixture(scope="module")
def spend():
    """Frequency and mean repeat spend of the 946 repeaters."""
    table = pd.read_csv(cdnow_file("cdnow_customers_summary_with_transactions.csv"))
    return table[table["x"] > 0].reset_index(drop=True)


@pytest.fixture(scope="module")
def spend_fit(spend):
    return gamma_gamma.fit_gamma_gamma(spend["x"], spend["x"] * spend["zbar"])


PUBLISHED = make_fit(0.2425945, 4.4136019, 0.7929199, 2.4258881)
PRINTED = make_fit(0.243, 4.414, 0.793, 2.426)


class TestCdnowFit:
    def test_parameters_and_log_likelihood(self, fit):
        # FHL 2005, Table 2: .243, 4.414, .793, 2.426, LL -9582.4
        assert [round(v, 3) for v in fit.parameters] == [0.243, 4.414, 0.793, 2.426]
        assert round(fit.log_likelihood, 1) == -9582.4
        # CLVTools test_correctness_bgnbd.R
        np.testing.assert_allclose(fit.parameters, PUBLISHED.parameters, rtol=2e-5)
        assert fit.log_likelihood == pytest.approx(-9582.429, abs=5e-4)
        assert fit.n == 2357

    def test_standard_errors(self, fit):
        # lifetimes 0.11.3, summary
        np.testing.assert_allclose(fit.standard_errors, [0.0126, 0.378, 0.186, 0.705], rtol=4e-3)
        assert np.allclose(fit.covariance, fit.covariance.T)
        assert np.linalg.eigvalsh(fit.covariance).min() > 0

    def test_information_criteria(self, fit):
        assert fit.aic == pytest.approx(8 + 2 * 9582.429, abs=2e-3)
        assert fit.bic == pytest.approx(4 * np.log(2357) + 2 * 9582.429, abs=2e-3)

    def test_the_slope_at_the_maximum_is_flat(self, fit):
        assert fit.gradient_norm < 1e-9

    def test_frequency_distribution(self, fit, weeks):
        # FHL 2005: chi-squared 4.82 on 3 degrees of freedom, p .19
        seen, expected = btyd.frequency_table(fit, weeks).T
        assert seen.tolist() == [1411, 439, 214, 100, 62, 38, 29, 64]
        statistic = ((seen - expected) ** 2 / expected).sum()
        assert statistic == pytest.approx(4.82, abs=0.02)
        assert chi2.sf(statistic, 3) == pytest.approx(0.19, abs=5e-3)

    def test_lifetimes_summary_gives_the_same_fit(self, fit):
        table = pd.read_csv(cdnow_file("cdnow_customers_summary.csv"))
        other = btyd.fit(btyd.States(table["frequency"], table["recency"], table["T"]))
        np.testing.assert_allclose(other.parameters, fit.parameters, rtol=1e-3)


class TestPublishedPredictions:
    def test_log_likelihood_of_single_customers(self):
        # FHL 2005, Figure 1: customers 1, 2, 3, 6, 9, 2356, 2357 at the fitted parameters
        states = btyd.States(
            [2, 1, 0, 7, 2, 4, 0],
            [30.43, 1.71, 0, 29.43, 35.71, 26.57, 0],
            [38.86] * 5 + [27.0] * 2,
        )
        expected = [-9.4596, -4.4711, -0.5538, -21.8644, -9.5367, -14.1284, -0.4761]
        got = PUBLISHED.log_likelihoods(states)
        np.testing.assert_allclose(got, expected, atol=1e-3)

    def test_stable_log_likelihood(self):
        # Note 027: x = 200 overflows the plain form
        got = make_fit(0.25, 4, 0.8, 2.5).log_likelihoods(btyd.States([200, 0], [38, 0], [40, 40]))
        np.testing.assert_allclose(got, [100.7957, -0.59947382], rtol=5e-7)

    def test_conditional_expectation(self):
        # lifetimes' tests, from Hardie's sheet
        got = btyd.expected_purchases(PRINTED, btyd.States([2], [30.43], [38.86]), 39)
        assert got[0] == pytest.approx(1.226, abs=5e-4)

    def test_customer_1516_and_a_row_of_frequencies(self):
        # BTYD walkthrough
        customer = btyd.States([26], [30.857], [31])
        got = btyd.expected_purchases(PUBLISHED, customer, 52)
        assert got[0] == pytest.approx(25.75659, rel=5e-5)
        assert btyd.p_alive(PUBLISHED, customer)[0] == pytest.approx(0.9688523, abs=2e-6)
        got = btyd.expected_purchases(
            PUBLISHED, btyd.States([10, 15, 20, 25], [20] * 4, [39] * 4), 52
        )
        np.testing.assert_allclose(
            got, [0.3474606, 0.04283391, 0.004158973, 0.0003583685], rtol=1e-4
        )

    def test_new_customer(self):
        # lifetimes' tests (tolerance 1e-3); pymc-marketing's tests; BTYD walkthrough
        got = btyd.expected_purchases_new(PUBLISHED, np.array([0.1429, 1, 3, 31.8571, 32, 78]))
        np.testing.assert_allclose(
            got, [0.0078, 0.0532, 0.1506, 1.0405, 1.0437, 1.8576], rtol=1e-3, atol=5e-5
        )
        got = btyd.expected_purchases_new(PRINTED, np.array([1, 3, 6]))
        np.testing.assert_allclose(got, [0.0532679, 0.1508652, 0.2807559], rtol=1e-6)
        assert btyd.expected_purchases_new(PUBLISHED, 52.0) == pytest.approx(1.444004, abs=2e-5)

    def test_distribution_of_purchases(self):
        # lifetimes' tests, from the BTYD manual
        got = btyd.purchase_pmf(PRINTED, [0, 10, 11, 12, 13], [39, 2, 30, 30, 30])
        expected = [0.5737864, 1.07869e-07, 0.0019995214, 0.0015170236, 0.0011633150]
        np.testing.assert_allclose(got, expected, rtol=1e-6)

    def test_distribution_adds_up_to_one_and_to_its_mean(self):
        k = np.arange(4000)
        chance = btyd.purchase_pmf(PRINTED, k, 20.0)
        assert chance.sum() == pytest.approx(1, abs=1e-9)
        mean = btyd.expected_purchases_new(PRINTED, 20.0)
        assert (k * chance).sum() == pytest.approx(float(mean), rel=1e-6)

    def test_holdout_by_frequency(self, days, fit, weeks, histories):
        # BTYD walkthrough: mean orders in weeks 40 to 78 by frequency in weeks 1 to 39
        later = days[days["day"] > CUTOFF].groupby("id").size()
        actual = later.reindex(histories.index).fillna(0)
        forecast = btyd.expected_purchases(fit, weeks, 39)
        by = np.minimum(weeks.frequency, 7)
        table = pd.DataFrame({"x": by, "a": actual.to_numpy(), "f": forecast}).groupby("x").mean()
        seen = [0.2367, 0.6970, 1.3925, 1.5600, 2.5323, 2.9474, 3.8621, 6.3594]
        model = [0.2251, 0.5231, 1.0441, 1.5203, 2.1638, 2.6538, 3.5040, 6.1570]
        np.testing.assert_allclose(table["a"], seen, atol=6e-5)
        np.testing.assert_allclose(
            table["f"], model, atol=6e-5, rtol=5e-5
        )  # its optimizer stopped early
        # FHL 2005, Table 3: correlation with what happened .626
        assert np.corrcoef(actual, forecast)[0, 1] == pytest.approx(0.626, abs=5e-4)


class TestGammaGamma:
    def test_parameters_and_log_likelihood(self, spend_fit):
        # "RFM and CLV" p. 15; Note 025; log-likelihood of mean spend from CLVTools' tests
        got = [round(v, 2) for v in spend_fit.parameters]
        np.testing.assert_allclose(got, [6.25, 3.74, 15.44], atol=0.011)
        assert spend_fit.log_likelihood == pytest.approx(-4055.92, abs=0.01)
        assert spend_fit.n == 946

    def test_total_spend_density_of_the_paper(self, spend, spend_fit):
        # "RFM and CLV" prints -4659: its density is that of total spend
        assert spend_fit.log_likelihood - np.log(spend["x"]).sum() == pytest.approx(
            -4659.3, abs=0.05
        )

    def test_first_ten_customers(self, spend_fit):
        # lifetimes' tests, from Hardie's sheet
        table = pd.read_csv(cdnow_file("cdnow_customers_summary_with_transactions.csv")).head(10)
        got = gamma_gamma.expected_spend(spend_fit, table["x"], table["x"] * table["zbar"])
        expected = [24.65, 18.91, 35.17, 35.17, 35.17, 71.46, 18.91, 35.17, 27.28, 35.17]
        np.testing.assert_allclose(got, expected, atol=0.015)
        assert spend_fit.mean == pytest.approx(35.17, abs=5e-3)

    def test_line_is_the_expectation(self, spend, spend_fit):
        intercept, slope = gamma_gamma.spend_line(spend_fit, spend["x"])
        x, mean = spend["x"], spend["zbar"]
        p, q, _ = spend_fit.parameters
        blend = (q - 1) / (p * x + q - 1)  # Note 025: weight of the population's mean
        want = blend * spend_fit.mean + (1 - blend) * mean
        np.testing.assert_allclose(intercept + slope * x * mean, want, rtol=1e-12)

    def test_posterior_draws_have_the_expected_mean(self, spend_fit):
        rng = np.random.default_rng(3)
        rate = gamma_gamma.draw_spend_rates(
            spend_fit, np.full(200_000, 2), np.full(200_000, 44.7), rng
        )
        want = gamma_gamma.expected_spend(spend_fit, [2], [44.7])[0]
        assert (spend_fit.p / rate).mean() == pytest.approx(want, rel=3e-3)

    def test_currency_moves_only_gamma(self, spend, spend_fit):
        cents = gamma_gamma.fit_gamma_gamma(spend["x"], spend["x"] * spend["zbar"] * 100)
        np.testing.assert_allclose(cents.parameters / [1, 1, 100], spend_fit.parameters, rtol=1e-7)
        moved = spend_fit.log_likelihood - 946 * np.log(100)
        assert cents.log_likelihood == pytest.approx(moved, abs=1e-6)

    def test_many_rows_are_taken_by_cells(self, monkeypatch):
        rng = np.random.default_rng(9)
        x = rng.geometric(0.4, 30_000)
        spend = rng.standard_gamma(4.0 * x) / (rng.standard_gamma(3.5, len(x)) / 30)
        cells = gamma_gamma.fit_gamma_gamma(x, spend)
        monkeypatch.setattr(gamma_gamma, "_MANY", len(x))
        rows = gamma_gamma.fit_gamma_gamma(x, spend)
        np.testing.assert_allclose(cells.parameters, rows.parameters, rtol=1e-5)
        assert cells.log_likelihood == pytest.approx(rows.log_likelihood, rel=1e-6)
        assert not np.array_equal(cells.parameters, rows.parameters)

    def test_q_stays_above_one(self):
        rng = np.random.default_rng(4)
        shape = rng.standard_gamma(3, 3000)
        fit = gamma_gamma.fit_gamma_gamma(np.ones(3000), shape / rng.standard_gamma(1.3, 3000))
        assert 1 < fit.q < 2
        assert fit.infinite_variance
        assert fit.mean > 0
        # a tail so heavy that no mean exists
        with pytest.raises(DataError, match="no mean exists"):
            gamma_gamma.fit_gamma_gamma(np.ones(3000), shape / rng.standard_gamma(0.7, 3000))

    @pytest.mark.parametrize("bad", [0.0, -5.0, np.nan])
    def test_spend_that_is_not_positive_is_refused(self, bad):
        with pytest.raises(DataError, match="not above zero"):
            gamma_gamma.fit_gamma_gamma([1, 2, 1], [10.0, bad, 20.0])

    def test_no_repeat_spend(self):
        with pytest.raises(DataError, match="No repeat purchase"):
            gamma_gamma.fit_gamma_gamma([0, 0], [0, 0])

    def test_one_price_for_everything(self):
        x = np.arange(1, 200) % 6 + 1
        with pytest.raises(DataError, match="one price"):
            gamma_gamma.fit_gamma_gamma(x, x * 9.99)


class TestGradients:
    @pytest.mark.parametrize("theta", [[-1.4, -2.0, -0.2, 0.9], [0.5, 0.3, 1.2, -0.7]])
    def test_bgnbd(self, weeks, theta):
        objective = btyd.BetaGeometricFit.objective(weeks, weeks.T.max())
        self.compare(objective, np.array(theta))

    @pytest.mark.parametrize("theta", [[1.8, 1.0, -0.8], [-0.5, 0.2, 1.5]])
    def test_gamma_gamma(self, spend, theta):
        total = (spend["x"] * spend["zbar"]).to_numpy() / 35
        objective = gamma_gamma._gamma_gamma_objective(
            spend["x"].to_numpy(float), total, np.ones(946)
        )
        self.compare(objective, np.array(theta))

    @staticmethod
    def compare(objective, theta):
        h = 1e-5
        steps = np.eye(len(theta)) * h
        differences = [(objective(theta + e)[0] - objective(theta - e)[0]) / (2 * h) for e in steps]
        np.testing.assert_allclose(objective(theta)[1], differences, rtol=1e-6, atol=1e-4)

    def test_compressed_likelihood_is_the_sum_over_customers(self, fit, weeks):
        want = fit.log_likelihoods(weeks).sum()
        assert fit.log_likelihood == pytest.approx(want, abs=1e-7)


class TestInvariance:
    def test_row_order(self, fit, weeks):
        order = np.random.default_rng(0).permutation(len(weeks))
        shuffled = btyd.States(weeks.frequency[order], weeks.recency[order], weeks.T[order])
        other = btyd.fit(shuffled)
        np.testing.assert_allclose(other.parameters, fit.parameters, rtol=1e-8)
        forecast = btyd.expected_purchases(fit, weeks, 39)
        np.testing.assert_array_equal(btyd.expected_purchases(fit, shuffled, 39), forecast[order])

    def test_weights_are_repeated_rows(self, fit, histories):
        grouped = histories.groupby(["x", "t_x", "T"]).size().rename("n").reset_index()
        assert len(grouped) < len(histories)
        states = btyd.States(grouped["x"], grouped["t_x"] / 7, grouped["T"] / 7, grouped["n"])
        other = btyd.fit(states)
        np.testing.assert_allclose(other.parameters, fit.parameters, rtol=1e-8)
        assert other.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-7)
        np.testing.assert_allclose(other.covariance, fit.covariance, rtol=1e-5)

    @pytest.mark.parametrize("unit", [1.0, 365.25 / 12])
    def test_unit_of_time(self, fit, weeks, histories, unit):
        x, t_x, T = (histories[c] for c in ("x", "t_x", "T"))
        states = btyd.States(x, t_x / unit, T / unit, days_per_unit=unit)
        other = btyd.fit(states)
        ratio = 7 / unit
        np.testing.assert_allclose(other.parameters, fit.parameters * [1, ratio, 1, 1], rtol=1e-8)
        horizon = 365.25
        for verb in (btyd.expected_purchases, btyd.p_active):
            got, want = verb(other, states, horizon / unit), verb(fit, weeks, horizon / 7)
            np.testing.assert_allclose(got, want, rtol=1e-7)
        # a density in the unit of time: each purchase counts one change of unit
        moved = fit.log_likelihood - x.sum() * np.log(ratio)
        assert other.log_likelihood == pytest.approx(moved, abs=1e-6)


class TestStableForms:
    def test_against_high_precision(self):
        import mpmath

        mpmath.mp.dps = 60
        rng = np.random.default_rng(1)
        cases = [
            (0.25, 4.0, a, 2.5, 2, 30.0, t)
            for a in (1.0, 1 + 1e-9, 1 - 1e-5, 1.001)
            for t in (1, 90)
        ]
        cases += [(0.25, 4.0, 0.8, 2.5, x, 30.0, 1095.0) for x in (0, 2, 300, 1500)]
        cases += [(0.25, 4.0, 0.8, 2.5, 300, 365.0, 3650.0), (2.0, 1.0, 0.3, 0.2, 0, 40.0, 52.0)]
        for _ in range(150):
            r, alpha, a, b = np.exp(rng.uniform([-3, -3, -4, -3], [2.5, 4, 3, 5]))
            x, T, t = (
                int(rng.choice([0, 0, 1, 2, 20, 300])),
                rng.uniform(0, 100),
                rng.uniform(0.1, 200),
            )
            cases.append((r, alpha, a, b, x, T, t))
        for case in cases:
            want = self.exact(mpmath, *case)
            r, alpha, a, b, x, T, t = case
            got = make_fit(r, alpha, a, b).expected_if_alive(x, T, t)
            assert float(got) == pytest.approx(want, rel=1e-9), case

    @staticmethod
    def exact(mpmath, r, alpha, a, b, x, T, t):
        """FHL 2005, equation 10 without its P(alive), as printed."""
        if a == 1.0:  # the limit, from far beyond double precision
            a = mpmath.mpf(1) + mpmath.mpf(10) ** -25
        r, alpha, a, b, x, T, t = (mpmath.mpf(v) for v in (r, alpha, a, b, x, T, t))
        z = t / (alpha + T + t)
        series = mpmath.hyp2f1(r + x, b + x, a + b + x - 1, z)
        power = ((alpha + T) / (alpha + T + t)) ** (r + x)
        return float((a + b + x - 1) / (a - 1) * (1 - power * series))

    @pytest.mark.parametrize("a", [0.3, 0.8, 1.0, 2.5])
    def test_against_integration_over_the_posterior(self, a):
        # a + b from below to above 1; the purchase rate is integrated out by hand
        fit = make_fit(0.6, 4.0, a, 0.2)
        for x, T, t in ((0, 40.0, 52.0), (2, 38.0, 39.0), (40, 38.0, 300.0)):
            leave = beta_law(a, fit.b + x)

            def orders(u, x=x, T=T, t=t, leave=leave):
                # by quantiles, so that the pole of the density at 0 does no harm
                p = max(leave.ppf(u), 1e-12)
                wait = (fit.r + x) * np.log1p(p * t / (fit.alpha + T))
                return -np.expm1(-wait) / p

            want = quad(orders, 0, 1, epsrel=1e-8, limit=400)[0]
            got = fit.expected_if_alive(x, T, t)
            assert float(got) == pytest.approx(want, rel=1e-5)

    def test_grows_with_time_where_a_plus_b_is_below_one(self):
        # a + b < 1 at x = 0: other packages take the logarithm of a negative number
        got = make_fit(0.6, 4.0, 0.3, 0.2).expected_if_alive(0, 40.0, [13.0, 26.0, 52.0])
        assert np.isfinite(got).all()
        assert (np.diff(got) > 0).all()

    def test_nothing_overflows_for_resellers(self):
        fit = make_fit(0.25, 4.0, 0.8, 2.5)
        x = np.array([300, 300, 800, 1500])
        states = btyd.States(x, [30, 1, 364, 60], [30, 30, 365, 365])
        for verb in (btyd.expected_purchases, btyd.p_active):
            for t in (0.0, 1e-6, 52, 3650):
                got = verb(fit, states, t)
                assert np.isfinite(got).all()
                assert (got >= 0).all()
        assert np.isfinite(fit.log_likelihoods(states)).all()
        chance = btyd.p_alive(fit, states)
        assert ((chance >= 0) & (chance <= 1)).all()

    def test_no_time_no_purchases(self):
        got = PRINTED.expected_if_alive(np.array([0, 3]), np.array([0.0, 20.0]), 0.0)
        assert got.tolist() == [0, 0]
        assert btyd.purchase_pmf(PRINTED, [0, 1], 0.0).tolist() == [1, 0]


class TestBadInput:
    @pytest.mark.parametrize(
        ("frequency", "recency", "T", "says"),
        [
            ([1], [5.0], [4.0], "above T"),
            ([1], [-1.0], [4.0], "below zero"),
            ([1.5], [1.0], [4.0], "whole number"),
            ([-1], [0.0], [4.0], "whole number"),
            ([2, 1], [1.0, np.nan], [4.0, 4.0], "history 2 of 2.*not a finite"),
            ([0], [4.0], [4.0], "not the time since the last"),
            ([3], [0.0], [4.0], "of one day are one"),
            ([1, 2], [1.0], [4.0, 4.0], "recency has 1 values"),
        ],
    )
    def test_impossible_histories(self, frequency, recency, T, says):
        with pytest.raises(DataError, match=says):
            btyd.States(frequency, recency, T)

    def test_weights_must_be_positive(self):
        with pytest.raises(DataError, match="n is not above zero"):
            btyd.States([1], [1.0], [2.0], [0])

    def test_everyone_bought_once(self):
        with pytest.raises(DataError, match=r"No repeat purchases among 1,000 customers"):
            btyd.fit(btyd.States([0], [0], [40.0], [1000]))

    def test_everyone_on_the_same_last_day(self):
        with pytest.raises(DataError, match="No repeat purchases"):
            btyd.fit(btyd.States([0, 0], [0, 0], [0, 0]))

    def test_no_customers(self):
        with pytest.raises(DataError, match="No repeat purchases among 0"):
            btyd.fit(btyd.States([], [], []))

    def test_repeaters_only(self, weeks):
        keep = weeks.frequency > 0
        with pytest.raises(DataError, match="No one-time buyers"):
            btyd.fit(btyd.States(*(v[keep] for v in (weeks.frequency, weeks.recency, weeks.T))))

    def test_recency_as_time_since_last(self, weeks):
        since = np.where(weeks.frequency > 0, np.maximum(weeks.T - weeks.recency, 1 / 7), 0)
        with pytest.raises(DataError, match=r"runs away \(r .*recency measured wrongly"):
            btyd.fit(btyd.States(weeks.frequency, since, weeks.T))

    def test_customers_who_do_not_differ(self):
        # all at one rate and nobody leaves: r, alpha and b have no finite best value
        rng = np.random.default_rng(2)
        T = np.full(400, 50.0)
        count = rng.poisson(2.0, 400)
        last = np.where(count > 0, T * rng.random(400) ** (1 / np.maximum(count, 1)), 0)
        with pytest.raises(DataError, match="runs away"):
            btyd.fit(btyd.States(count, last, T))


class TestSimulation:
    def test_parameters_are_recovered(self):
        truth = make_fit(0.6, 8.0, 1.2, 4.0)
        rng = np.random.default_rng(11)
        T = rng.uniform(20, 100, 20_000)
        fit = btyd.fit(states_of(*simulate_histories(truth, T, rng), T))
        z = (fit.parameters - truth.parameters) / fit.standard_errors
        assert np.abs(z).max() < 3
        assert (fit.standard_errors / fit.parameters).max() < 0.15

    def test_spend_parameters_are_recovered(self):
        rng = np.random.default_rng(12)
        x = rng.integers(1, 8, 20_000)
        total = rng.standard_gamma(4.0 * x) / (rng.standard_gamma(3.5, 20_000) / 30)
        fit = gamma_gamma.fit_gamma_gamma(x, total)
        assert np.abs((fit.parameters - [4.0, 3.5, 30]) / fit.standard_errors).max() < 3

    def test_posterior_draws_match_the_expectations(self):
        # 60,000 futures of each of four histories
        states = btyd.States([0, 1, 4, 26], [0, 5, 35, 30.857], [39, 39, 39, 31])
        rows = np.repeat(np.arange(4), 60_000)
        each = btyd.States(states.frequency[rows], states.recency[rows], states.T[rows])
        drawn = btyd.simulate_purchases(PRINTED, each, 52, np.random.default_rng(5))
        count = np.bincount(drawn.row, minlength=len(rows)).reshape(4, -1)
        error = count.std(axis=1) / np.sqrt(count.shape[1])
        want = btyd.expected_purchases(PRINTED, states, 52)
        assert (np.abs(count.mean(axis=1) - want) < 4 * error).all()
        active = (count > 0).mean(axis=1)
        np.testing.assert_allclose(active, btyd.p_active(PRINTED, states, 52), atol=8e-3)
        # the first half of the time holds what the closed form says it should
        early = np.bincount(drawn.row[drawn.time < 26], minlength=len(rows)).reshape(4, -1)
        want = btyd.expected_purchases(PRINTED, states, 26)
        assert (np.abs(early.mean(axis=1) - want) < 4 * error).all()

    def test_new_customers_follow_the_distribution(self):
        nobody = np.zeros(200_000)
        new = btyd.States(nobody, nobody, nobody)
        drawn = btyd.simulate_purchases(PRINTED, new, 39, np.random.default_rng(6))
        count = np.bincount(np.bincount(drawn.row, minlength=len(nobody)), minlength=6)[:6]
        want = btyd.purchase_pmf(PRINTED, np.arange(6), 39)
        np.testing.assert_allclose(count / len(nobody), want, atol=4e-3)

    def test_same_seed_same_draws(self, weeks):
        one, two = (
            btyd.simulate_purchases(PRINTED, weeks, 52, np.random.default_rng(7)) for _ in "ab"
        )
        np.testing.assert_array_equal(one.time, two.time)
        assert (np.diff(one.row) >= 0).all()
        assert one.time.max() <= 52


def test_the_naive_rate():
    states = btyd.States([0, 2, 4], [0, 10, 60], [0, 20, 80])
    assert btyd.same_rate(states, 40).tolist() == [0, 4, 2]


def test_shifted_moves_log_parameters(spend_fit):
    moved = spend_fit.shifted(np.log([2, 3, 4]))
    p, q, g = spend_fit.parameters
    np.testing.assert_allclose(moved.parameters, [2 * p, 1 + 3 * (q - 1), 4 * g])
    assert replace(moved, p=p, q=q, gamma=g) == spend_fit


def test_parameter_draws_have_the_covariance_of_the_fit(fit):
    moves = fit.log_draws(40_000, np.random.default_rng(8))
    np.testing.assert_allclose(np.cov(moves.T), fit.log_covariance, rtol=0.05, atol=5e-4)
