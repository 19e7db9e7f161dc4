"""All purchase models on CDNOW against published tables, and in what they have in common."""

import numpy as np
import pandas as pd
import pytest
from cdnow import CUTOFF, END, cdnow_days, cdnow_file, cdnow_histories, in_weeks, made
from scipy.stats import chi2

from helpers.errors import DataError, UsageError
from helpers.models import btyd, gamma_gamma
from helpers.models.terms import Horizon, Terms

MODELS = ("BG/NBD", "MBG/NBD", "Pareto/NBD", "NBD")
TRUTHS = {
    "BG/NBD": (0.6, 8.0, 1.2, 4.0),
    "MBG/NBD": (0.8, 8.0, 1.2, 4.0),
    "Pareto/NBD": (0.8, 8.0, 0.8, 20.0),
    "NBD": (0.6, 20.0),
}
# FHL 2005, table 2, with CLVTools' and BTYD's digits
BG = made("BG/NBD", 0.2425945, 4.4136019, 0.7929199, 2.4258881)
PARETO = made("Pareto/NBD", 0.5533, 10.5776, 0.6062, 11.6686)


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
def fits(weeks):
    return {model: btyd.fit(weeks, model) for model in MODELS}


@pytest.fixture(scope="module")
def summary():
    """The summary that tutorials of other packages use, in weeks of two decimals."""
    return pd.read_csv(cdnow_file("cdnow_customers_summary_with_transactions.csv"))


@pytest.fixture(scope="module")
def spend(summary):
    table = summary[summary["x"] > 0]
    return gamma_gamma.fit_gamma_gamma(table["x"], table["x"] * table["zbar"])


@pytest.fixture(scope="module")
def purchase(summary):
    return btyd.fit(btyd.States(summary["x"], summary["t_x"], summary["T"]))


class TestPublished:
    def test_pareto_parameters(self, fits):
        # FHL 2005, table 2: .553, 10.578, .606, 11.669, LL -9595.0; Fader and Hardie's MATLAB note:
        # .5533, 10.5777, .6062, 11.6681; CLVTools' tests: LL -9594.976
        fit = fits["Pareto/NBD"]
        assert [round(v, 3) for v in fit.parameters] == [0.553, 10.578, 0.606, 11.669]
        np.testing.assert_allclose(fit.parameters, [0.5533, 10.5777, 0.6062, 11.6681], rtol=1e-4)
        assert fit.log_likelihood == pytest.approx(-9594.976, abs=5e-4)
        errors = [0.0476264, 0.8427222, 0.1872594, 6.2105448]
        np.testing.assert_allclose(fit.standard_errors, errors, rtol=2e-4)
        assert fit.gradient_norm < 1e-9

    def test_modified_parameters(self, fits):
        # BTYDplus, and lifetimes' tests after it: .525, 6.183, .891, 1.614
        fit = fits["MBG/NBD"]
        assert [round(v, 3) for v in fit.parameters] == [0.525, 6.183, 0.891, 1.614]
        assert fit.log_likelihood == pytest.approx(-9582.13, abs=6e-3)
        customer = btyd.States([2], [30.43], [38.86])
        assert btyd.expected_purchases(fit, customer, 39)[0] == pytest.approx(1.2627, abs=6e-5)

    def test_nbd_parameters(self, fits):
        fit = fits["NBD"]  # by an independent maximization
        assert [round(fit.r, 4), round(fit.alpha, 3)] == [0.3848, 12.072]
        assert fit.log_likelihood == pytest.approx(-9763.66, abs=5e-3)

    def test_pareto_on_78_weeks(self, days, weeks):
        # BTYD manual and "RFM and CLV" p. 17; log-likelihood of the first 39 weeks -9608
        fit = btyd.fit(in_weeks(cdnow_histories(days, END)), "Pareto/NBD")
        want = [0.5629966, 12.5590370, 0.4081095, 10.5148048]
        np.testing.assert_allclose(fit.parameters, want, rtol=1e-4)
        assert fit.log_likelihood == pytest.approx(-17135.836, abs=1e-2)
        assert fit.log_likelihoods(weeks).sum() == pytest.approx(-9608.25, abs=1e-2)

    def test_pareto_new_customer(self, fits):
        # lifetimes' tests, from the BTYD manual; BTYD walkthrough
        fit = made("Pareto/NBD", 0.55, 10.56, 0.61, 11.64)
        got = btyd.expected_purchases_new(fit, np.arange(10.0))
        want = [0, 0.05077821, 0.09916088, 0.14542507, 0.18979930, 0.23247466, 0.27361274,
                0.31335159, 0.35181024, 0.38909211]  # fmt: skip
        np.testing.assert_allclose(got, want, atol=5e-8)
        new = btyd.expected_purchases_new(fits["Pareto/NBD"], 52.0)
        assert new == pytest.approx(1.473434, abs=2e-6)

    def test_pareto_single_customers(self, fits):
        # BTYD walkthrough: customer 1516, and a row of frequencies
        fit = fits["Pareto/NBD"]
        customer = btyd.States([26], [30.857], [31])
        assert btyd.expected_purchases(fit, customer, 52)[0] == pytest.approx(25.456, abs=2e-3)
        assert btyd.p_alive(fit, customer)[0] == pytest.approx(0.997874, abs=5e-6)
        got = btyd.expected_purchases(fit, btyd.States([10, 15, 20, 25], [20] * 4, [39] * 4), 52)
        np.testing.assert_allclose(got, [0.7062289, 0.1442396, 0.02250658, 0.00309267], rtol=1e-3)

    def test_discounted_residual_transactions(self):
        # "RFM and CLV", figure 11: customer B 1.9; 15% a year is .0027 a week
        fit = made("Pareto/NBD", 0.56300, 12.5592, 0.40811, 10.5145)
        rate = np.expm1(0.0027 * 365.25 / 7)
        x = np.append(7, np.arange(1, 11))
        states = btyd.States(x, np.append(35, np.full(10, 30)), np.full(11, 77.86))
        got = btyd.expected_residual(fit, states, rate)
        assert round(got[0], 1) == 1.9
        want = [1.8642, 2.1992, 2.8435, 2.8671, 2.4454, 1.8405, 1.2624, 0.8096, 0.4948, 0.2920,
                0.1679]  # fmt: skip
        np.testing.assert_allclose(got, want, atol=1.5e-4)

    def test_discounted_residual_of_bgnbd(self):
        # by brute-force integration at ln(1.1) in 52 weeks
        states = btyd.States([2, 0, 26], [30.43, 0, 30.857], [38.86, 38.86, 31])
        rate = 1.1 ** (365.25 / 7 / 52) - 1
        got = btyd.expected_residual(made("BG/NBD", *BG.parameters), states, rate)
        np.testing.assert_allclose(got, [6.36041, 1.29925, 85.18807], rtol=2e-4)

    def test_frequency_distribution(self, fits, weeks):
        # FHL 2005: chi-squared 4.82 (p .19) and 11.99 (p .007) on 3 degrees of freedom
        for model, want, chance, digits in (
            ("BG/NBD", 4.82, 0.19, 2),
            ("Pareto/NBD", 11.99, 0.007, 3),
        ):
            seen, expected = btyd.frequency_table(fits[model], weeks).T
            statistic = ((seen - expected) ** 2 / expected).sum()
            assert statistic == pytest.approx(want, abs=0.02), model
            assert round(chi2.sf(statistic, 3), digits) == chance, model

    def test_holdout_by_frequency(self, days, fits, weeks, histories):
        # BTYD walkthrough, weeks 40 to 78 by frequency in weeks 1 to 39; FHL 2005, table 3
        later = days[days["day"] > CUTOFF].groupby("id").size()
        actual = later.reindex(histories.index).fillna(0).to_numpy()
        pareto, bg = (btyd.expected_purchases(fits[m], weeks, 39) for m in ("Pareto/NBD", "BG/NBD"))
        code = np.minimum(weeks.frequency, 7).astype(int)
        got = np.bincount(code, pareto) / np.bincount(code)
        want = [0.138, 0.600, 1.196, 1.714, 2.399, 2.907, 3.819, 6.403]
        np.testing.assert_allclose(got, want, atol=8e-4)
        for forecast, low, high, mean in ((bg, 0.04, 2.57, 1.52), (pareto, 0.09, 2.84, 1.71)):
            three = forecast[code == 3]
            # the paper counts days of the week a little differently
            found = three.min(), three.max(), three.mean()
            np.testing.assert_allclose(found, (low, high, mean), atol=0.016)
        assert np.corrcoef(actual, pareto)[0, 1] == pytest.approx(0.630, abs=5e-4)
        assert np.corrcoef(bg, pareto)[0, 1] == pytest.approx(0.996, abs=5e-4)

    @pytest.mark.parametrize(
        ("model", "total", "mae", "rmse", "msle"),
        [
            ("BG/NBD", 1653.4, 0.7855, 1.6080, 0.2343),
            ("MBG/NBD", 1576.7, 0.7648, 1.6072, 0.2314),
            ("Pareto/NBD", 1665.5, 0.7545, 1.6029, 0.2377),
            ("NBD", 2929.8, 1.0410, 1.8595, 0.3622),
        ],
    )
    def test_holdout_errors(self, days, fits, weeks, histories, model, total, mae, rmse, msle):
        # computed by an independent program; 1,882 orders happened
        later = days[days["day"] > CUTOFF].groupby("id").size()
        actual = later.reindex(histories.index).fillna(0).to_numpy()
        assert actual.sum() == 1882
        got = btyd.expected_purchases(fits[model], weeks, 39)
        assert got.sum() == pytest.approx(total, abs=0.06)
        miss = got - actual
        ratio = np.log1p(got) - np.log1p(actual)
        errors = np.abs(miss).mean(), np.sqrt((miss**2).mean()), (ratio**2).mean()
        np.testing.assert_allclose(errors, (mae, rmse, msle), atol=6e-5)

    def test_tracking(self, fits, weeks):
        # BTYD walkthrough: cumulative repeat purchases expected in weeks 20 to 25
        born = weeks.T.max() - weeks.T
        want = {
            "BG/NBD": [1312.458, 1387.346, 1460.392, 1531.713, 1601.418, 1669.6],
            "Pareto/NBD": [1308.856, 1385.275, 1459.923, 1532.906, 1604.32, 1674.253],
        }
        for model, cumulative in want.items():
            ends = np.arange(20, 26)[:, None] - born
            curve = btyd.expected_purchases_new(fits[model], np.maximum(ends, 0))
            np.testing.assert_allclose(curve.sum(axis=1), cumulative, rtol=4e-4, err_msg=model)


class TestMoney:
    """Customer 1 of CDNOW: 2 repeat purchases of $22.35 by week 30.43 of 38.86."""

    def test_month_end_steps_of_the_tutorials(self, purchase, spend):
        # 1% a month, 4.345 weeks a month; lifetimes' own page shows 140.10 by taking 360 weeks
        customer = btyd.States([2], [30.43], [38.86])
        until = [btyd.expected_purchases(purchase, customer, 4.345 * m)[0] for m in range(13)]
        mean = gamma_gamma.expected_spend(spend, [2], [2 * 22.35])[0]
        assert until[-1] == pytest.approx(1.562, abs=1e-3)
        value = (np.diff(until) * mean / 1.01 ** np.arange(1, 13)).sum()
        assert value == pytest.approx(36.28, abs=0.01)

    def test_house_convention(self, purchase, spend):
        # the same rate, mid-period, months of 365.25 / 12 days
        terms = Terms(Horizon(12, "months"), discount_rate=1.01**12 - 1)
        customer = btyd.States([2], [30.43], [38.86])
        until = [btyd.expected_purchases(purchase, customer, d / 7)[0] for d in terms.horizon.edges]
        mean = gamma_gamma.expected_spend(spend, [2], [2 * 22.35])[0]
        value = (np.diff(until) * terms.discount_factors).sum() * mean
        assert value == pytest.approx(36.475, abs=0.01)

    @pytest.mark.parametrize("model", MODELS)
    @pytest.mark.parametrize("unit", [1.0, 365.25 / 12])
    def test_unit_of_time(self, fits, weeks, histories, model, unit):
        x, t_x, T = (histories[c] for c in ("x", "t_x", "T"))
        states = btyd.States(x, t_x / unit, T / unit, days_per_unit=unit)
        fit, other = fits[model], btyd.fit(states, model)
        moved = fit.log_likelihood - x.sum() * np.log(7 / unit)
        assert other.log_likelihood == pytest.approx(moved, abs=1e-6)
        for verb in (btyd.expected_purchases, btyd.p_active):
            got, want = verb(other, states, 365.25 / unit), verb(fit, weeks, 365.25 / 7)
            np.testing.assert_allclose(got, want, rtol=1e-6)
        got = btyd.expected_residual(other, states, 0.1)
        np.testing.assert_allclose(got, btyd.expected_residual(fit, weeks, 0.1), rtol=1e-6)
        got = btyd.median_wait(other, states) * unit
        np.testing.assert_allclose(got, btyd.median_wait(fit, weeks) * 7, rtol=1e-6)

    @pytest.mark.parametrize("model", MODELS)
    def test_row_order(self, fits, weeks, model):
        order = np.random.default_rng(0).permutation(len(weeks))
        shuffled = btyd.States(weeks.frequency[order], weeks.recency[order], weeks.T[order])
        other = btyd.fit(shuffled, model)
        np.testing.assert_allclose(other.parameters, fits[model].parameters, rtol=1e-8)
        got = btyd.expected_purchases(fits[model], shuffled, 39)
        np.testing.assert_array_equal(got, btyd.expected_purchases(fits[model], weeks, 39)[order])


@pytest.mark.parametrize("model", MODELS)
class TestEveryModel:
    def test_gradient(self, weeks, model):
        objective = btyd.MODELS[model].objective(weeks, weeks.T.max())
        for theta in ([-1.4, -2.0, -0.2, 0.9], [0.5, 0.3, 1.2, -0.7]):
            theta = np.array(theta)[: len(TRUTHS[model])]
            steps = np.eye(len(theta)) * 1e-5
            slope = [(objective(theta + e)[0] - objective(theta - e)[0]) / 2e-5 for e in steps]
            np.testing.assert_allclose(objective(theta)[1], slope, rtol=1e-6, atol=1e-4)

    def test_compressed_likelihood_is_the_sum_over_customers(self, fits, weeks, model):
        want = fits[model].log_likelihoods(weeks).sum()
        assert fits[model].log_likelihood == pytest.approx(want, abs=1e-7)

    def test_weights_are_repeated_rows(self, fits, histories, model):
        grouped = histories.groupby(["x", "t_x", "T"]).size().rename("n").reset_index()
        other = btyd.fit(
            btyd.States(grouped["x"], grouped["t_x"] / 7, grouped["T"] / 7, grouped["n"]), model
        )
        np.testing.assert_allclose(other.parameters, fits[model].parameters, rtol=1e-8)
        np.testing.assert_allclose(other.covariance, fits[model].covariance, rtol=1e-5)

    def test_distribution_adds_up_to_one_and_to_its_mean(self, fits, model):
        k = np.arange(4000)
        chance = btyd.purchase_pmf(fits[model], k, 39.0)
        assert chance.sum() == pytest.approx(1, abs=1e-10)
        mean = btyd.expected_purchases_new(fits[model], 39.0)
        assert (k * chance).sum() == pytest.approx(float(mean), rel=1e-8)
        assert btyd.purchase_pmf(fits[model], [0, 1], 0.0)[1] == 0

    def test_rate_is_the_slope_of_expected_purchases(self, fits, model):
        fit, x, T = fits[model], np.array([0.0, 3.0, 40.0]), np.array([10.0, 39.0, 30.0])
        for t in (0.5, 20.0, 300.0):
            slope = (
                fit.expected_if_alive(x, T, t + 1e-3) - fit.expected_if_alive(x, T, t - 1e-3)
            ) / 2e-3
            np.testing.assert_allclose(fit.rate_if_alive(x, T, t), slope, rtol=1e-6)

    def test_residual_with_a_high_discount_is_what_comes_at_once(self, fits, weeks, model):
        # by fine steps over 60 years
        fit, states = fits[model], btyd.States([0, 2, 26], [0, 30, 30.857], [39, 39, 31])
        edges = np.linspace(0, 60 * 365.25 / 7, 60 * 52 + 1)
        x, T = states.frequency[:, None], states.T[:, None]
        steps = np.diff(fit.expected_if_alive(x, T, edges), axis=1)
        factor = 1.5 ** -((edges[1:] + edges[:-1]) / 2 * 7 / 365.25)
        want = btyd.p_alive(fit, states) * (steps * factor).sum(axis=1)
        np.testing.assert_allclose(btyd.expected_residual(fit, states, 0.5), want, rtol=1e-4)

    def test_posterior_draws_match_the_expectations(self, fits, model):
        # 40,000 futures of each of four histories
        fit, states = fits[model], btyd.States([0, 1, 4, 26], [0, 5, 35, 30.857], [39, 39, 39, 31])
        rows = np.repeat(np.arange(4), 40_000)
        each = btyd.States(states.frequency[rows], states.recency[rows], states.T[rows])
        drawn = btyd.simulate_purchases(fit, each, 52, np.random.default_rng(5))
        assert (np.diff(drawn.row) >= 0).all()
        for t in (26, 52):
            count = np.bincount(drawn.row[drawn.time < t], minlength=len(rows)).reshape(4, -1)
            error = count.std(axis=1) / np.sqrt(count.shape[1])
            want = btyd.expected_purchases(fit, states, t)
            assert (np.abs(count.mean(axis=1) - want) < 4 * error).all()
        active = (count > 0).mean(axis=1)
        np.testing.assert_allclose(active, btyd.p_active(fit, states, 52), atol=0.01)

    def test_half_of_those_who_buy_again_have_bought_by_the_median(self, fits, model):
        fit, states = fits[model], btyd.States([4], [35], [39])
        rows = np.zeros(60_000, dtype=int)
        each = btyd.States(states.frequency[rows], states.recency[rows], states.T[rows])
        median = btyd.median_wait(fit, states)[0]
        drawn = btyd.simulate_purchases(fit, each, median, np.random.default_rng(6))
        ever = btyd.p_active(fit, states, 1e12)[0]
        assert len(np.unique(drawn.row)) / len(rows) == pytest.approx(ever / 2, abs=0.008)

    def test_new_customers_follow_the_distribution(self, fits, model):
        T = np.full(200_000, 39.0)
        drawn = btyd.simulate_states(fits[model], T, np.random.default_rng(7))
        share = np.bincount(drawn.frequency.astype(int), minlength=6)[:6] / len(T)
        want = btyd.purchase_pmf(fits[model], np.arange(6), 39)
        np.testing.assert_allclose(share, want, atol=4e-3)

    def test_intervals_hold_the_truth(self, model):
        # 40 shops; 2,000 in benchmarks/models.py
        truth = made(model, *TRUTHS[model])
        held = []
        for shop in range(40):
            rng = np.random.default_rng([20260630, shop])
            fit = btyd.fit(btyd.simulate_states(truth, rng.uniform(26, 104, 500), rng), model)
            low, high = fit.interval(0.95).T
            held.append((low < truth.parameters) & (truth.parameters < high))
        # of 40 shops about 38; fewer than 33 has a chance of one in a thousand
        assert np.sum(held, axis=0).min() >= 33

    def test_everyone_bought_once(self, model):
        with pytest.raises(DataError, match=r"No repeat purchases among 1,000 customers"):
            btyd.fit(btyd.States([0], [0], [40.0], [1000]), model)

    def test_five_customers(self, model):
        states = btyd.States([0, 1, 0, 2, 0], [0, 3, 0, 20, 0], [30, 30, 25, 40, 12])
        with pytest.raises(DataError, match="runs away"):
            btyd.fit(states, model)


class TestPlainTruths:
    def test_one_time_buyers(self, fits):
        # the oldest complaint about BG/NBD: who bought once is alive for ever
        states = btyd.States([0, 0], [0, 0], [5, 39])
        assert btyd.p_alive(fits["BG/NBD"], states).tolist() == [1, 1]
        for model in ("MBG/NBD", "Pareto/NBD"):
            early, late = btyd.p_alive(fits[model], states)
            assert 0 < late < early < 1
        assert btyd.p_alive(fits["NBD"], states).tolist() == [1, 1]

    def test_leaving_early_in_the_modified_model(self):
        fit = made("MBG/NBD", 0.5, 6.0, 1.0, 3.0)
        new = btyd.States([0], [0], [0])
        assert btyd.p_alive(fit, new)[0] == pytest.approx(0.75)  # b / (a + b)

    def test_residual_needs_a_discount(self, fits, weeks):
        with pytest.raises(UsageError, match="above 0"):
            btyd.expected_residual(fits["BG/NBD"], weeks, 0.0)

    def test_unknown_model(self, weeks):
        with pytest.raises(UsageError, match=r"must be one of BG/NBD.*Did you mean 'Pareto/NBD'"):
            btyd.fit(weeks, "Pareto/NDB")

    def test_criteria_rank_models_on_one_scale(self, fits):
        ranked = sorted(fits, key=lambda model: fits[model].aic)
        assert ranked == ["MBG/NBD", "BG/NBD", "Pareto/NBD", "NBD"]

    def test_whole_days_and_broken_ones_agree(self):
        # whole days of many customers go through the table of days, others one by one
        rng = np.random.default_rng(8)
        T = rng.integers(30, 400, 8000).astype(float)
        drawn = btyd.simulate_states(
            made("Pareto/NBD", 0.6, 60, 0.6, 80, days_per_unit=1.0), T, rng
        )
        last = np.minimum(np.ceil(drawn.recency), T)
        x = np.where(last > 0, np.minimum(drawn.frequency, last), 0)
        whole = btyd.States(x, last, T, days_per_unit=1.0)
        broken = btyd.States(x, last * 1.01, T * 1.01, days_per_unit=1.0)
        fits = [btyd.fit(states, "Pareto/NBD") for states in (whole, broken)]
        np.testing.assert_allclose(
            fits[1].parameters / [1, 1.01, 1, 1.01], fits[0].parameters, rtol=1e-6
        )
