"""The back-test: published scores, naive rules, the choice and its regret, the learner, the gate."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cdnow import CUTOFF, END, cdnow_days, made
from test_forecast import per_customer

from helpers.errors import DataError
from helpers.models import backtest, boosting, btyd, rules
from helpers.models.backtest import deciles, gini, origin_days, score
from helpers.models.forecast import states_at
from helpers.models.rules import Origin

DAYS = cdnow_days()


def cohort_months(days: pd.DataFrame) -> pd.DataFrame:
    """As the summary of that name, from purchase days (id, day, spend, first_day)."""
    rows = days.assign(
        cohort=days["first_day"].dt.to_period("M").dt.to_timestamp(),
        start=days["day"].dt.to_period("M").dt.to_timestamp(),
        new_customers=days["day"] == days["first_day"],
    )
    rows["purchases"] = ~rows["new_customers"]
    rows["repeat_revenue"] = rows["spend"].where(rows["purchases"], 0.0)
    rows["first_revenue"] = rows["spend"].where(rows["new_customers"], 0.0)
    names = ["new_customers", "purchases", "repeat_revenue", "first_revenue"]
    return rows.groupby(["cohort", "start"])[names].sum().reset_index()


def origin_of(cutoff: pd.Timestamp, end: pd.Timestamp) -> Origin:
    people = per_customer(DAYS, cutoff, end).reset_index(drop=True)
    rows = people.rename(
        columns={"holdout_frequency": "later_frequency", "holdout_revenue": "later_revenue"}
    )
    rows = rows.assign(
        previous_frequency=rows["frequency"],
        previous_revenue=rows["total_spend"],
        revenue_365=rows["total_spend"],
        margin_365=0.0,
        later_margin=0.0,
        channel="unknown",
    )
    known = DAYS[DAYS["day"] <= cutoff]
    return Origin(cutoff, end, rows, cohort_months(known))


@pytest.fixture(scope="module")
def origins():
    later = pd.Timestamp("1998-04-30")
    return [origin_of(CUTOFF, END), origin_of(pd.Timestamp("1997-07-31"), later)]


@pytest.fixture(scope="module")
def check(origins):
    return backtest.backtest(origins, max_simulated=1000)


class TestScores:
    def test_published_and_recomputed(self, check):
        # an independent fit with plain scipy: orders, bias, MAE, RMSE, MSLE of CDNOW's 39 weeks
        expected = {
            "BG/NBD": [1653.4, -0.121, 0.7855, 1.6080, 0.2343],
            "MBG/NBD": [1576.7, -0.162, 0.7648, 1.6072, 0.2314],
            "Pareto/NBD": [1665.5, -0.115, 0.7545, 1.6029, 0.2377],
            "NBD": [2929.8, 0.557, 1.0410, 1.8595, 0.3622],
            "same rate": [2930.1, 0.557, 1.0237, 2.2119, 0.4010],
            "same as last period": [2457.0, 0.306, 0.8973, 1.9710, 0.3491],
        }
        rows = check.scores[
            (check.scores["origin"] == CUTOFF) & (check.scores["measure"] == "orders")
        ]
        rows = rows.set_index("rule")
        assert (rows["actual"] == 1882).all()
        for rule, values in expected.items():
            for name, value in zip(
                ("forecast", "bias", "mae", "rmse", "msle"), values, strict=True
            ):
                digits = {"forecast": 0.3, "bias": 6e-4}.get(name, 1.5e-4)
                assert rows.loc[rule, name] == pytest.approx(value, abs=digits), (rule, name)

    def test_bins(self, check):
        # BTYD walkthrough; the model used is Pareto/NBD
        bins = check.bins
        assert bins["customers"].tolist() == [1411, 439, 214, 100, 62, 38, 29, 64]
        actual = [0.2367, 0.6970, 1.3925, 1.5600, 2.5323, 2.9474, 3.8621, 6.3594]
        np.testing.assert_allclose(bins["actual"], actual, atol=6e-5)
        assert check.choice.used == "Pareto/NBD"
        model = [0.138, 0.600, 1.196, 1.714, 2.399, 2.907, 3.819, 6.403]
        np.testing.assert_allclose(bins["Pareto/NBD"], model, atol=1e-3)

    def test_pooling_is_over_customers(self, check):
        rows = check.scores[
            (check.scores["rule"] == "BG/NBD") & (check.scores["measure"] == "money")
        ]
        row = check.pooled[
            (check.pooled["rule"] == "BG/NBD") & (check.pooled["measure"] == "money")
        ]
        n = rows["customers"]
        assert row["rmse"].item() == pytest.approx(np.sqrt((rows["rmse"] ** 2 * n).sum() / n.sum()))
        assert row["bias"].item() == pytest.approx(rows["error"].sum() / rows["actual"].sum())

    def test_gini(self):
        actual = np.array([9.0, 1.0, 0.0, 0.0])
        assert gini(actual, actual) == pytest.approx(1)
        assert gini(-actual, actual) == pytest.approx(-1)
        assert gini(np.ones(4), actual) == pytest.approx(0)
        # equals share what they did: the order of rows is nothing
        half = np.array([1.0, 1.0, 0.0, 0.0])
        assert gini(half, actual) == pytest.approx(gini(half, actual[[1, 0, 2, 3]]))

    def test_a_perfect_forecast_has_no_error(self):
        actual = np.arange(100.0)
        found = score(actual, actual)
        assert found["error"] == found["rmse"] == found["msle"] == found["decile_error"] == 0
        assert deciles(actual, actual)["actual"].iloc[0] == np.arange(90, 100).sum()

    def test_row_order(self, origins):
        mixed = origins[0].rows.sample(frac=1, random_state=3)
        other = Origin(CUTOFF, END, mixed, origins[0].months)
        for name in ("BG/NBD", "same rate", "cohort baseline"):
            rule = rules.rules(seasoned=False)[name][1]
            one, two = (rule(o) for o in (origins[0], other))
            np.testing.assert_allclose(one.money.sum(), two.money.sum(), rtol=1e-7)


class TestChoice:
    def test_words(self, check):
        choice = check.choice
        assert choice.best == choice.used == "Pareto/NBD"
        assert choice.beats and choice.regret >= 0
        assert any(text.startswith("boosting") for text in check.left_out)
        assert any(text.startswith("BG/NBD by channel: All") for text in check.left_out)

    def test_a_naive_rule_can_win(self, origins):
        # a world in which everybody repeats the past to the letter
        rows = origins[0].rows
        same = rows.assign(later_frequency=rows["frequency"], later_revenue=rows["total_spend"])
        check = backtest.backtest([Origin(CUTOFF, END, same, origins[0].months)], max_simulated=500)
        assert check.choice.best == check.choice.naive == "same as last period"
        assert check.choice.used in ("BG/NBD", "MBG/NBD", "Pareto/NBD", "NBD")
        assert not check.choice.beats
        assert np.isnan(check.choice.regret)  # a single origin

    def test_equals_are_told_apart_by_the_total(self):
        rows = pd.DataFrame(
            [
                (1, "BG/NBD", "model", 1.00, 30.0), (1, "MBG/NBD", "model", 1.01, 5.0),
                (1, "same rate", "naive", 2.00, 0.0),
            ],
            columns=["origin", "rule", "kind", "rmse", "error"],
        ).assign(measure="money", customers=10, forecast=0.0, actual=100.0, mae=0.0, msle=0.0,
                 gini=0.0, decile_error=0.0, bias=0.0)  # fmt: skip
        assert backtest.choose(rows).used == "MBG/NBD"

    def test_nobody_leaving_is_a_model_too(self):
        # where the models in which customers leave cannot be fitted, NBD still says when
        rows = pd.DataFrame(
            [(1, "NBD", "naive", 1.0, 3.0), (1, "same rate", "naive", 0.9, 1.0)],
            columns=["origin", "rule", "kind", "rmse", "error"],
        ).assign(measure="money", customers=10, forecast=0.0, actual=100.0, mae=0.0, msle=0.0,
                 gini=0.0, decile_error=0.0, bias=0.0)  # fmt: skip
        choice = backtest.choose(rows)
        assert (choice.used, choice.naive, choice.best) == ("NBD", "same rate", "same rate")
        assert not choice.beats

    def test_coverage_has_totals_and_tiers(self, check):
        table = check.coverage
        assert set(table["group"]) == {"1", "2", "3", "4", "total"}
        of = table[(table["measure"] == "orders") & (table["origin"] == CUTOFF)].set_index("group")
        parts = of.drop("total")
        assert parts["actual"].sum() == of.loc["total", "actual"] == 1882
        assert ((of["low"] < of["forecast"]) & (of["forecast"] < of["high"])).all()


class TestByChannel:
    def origin(self, truths, size=4000):
        """Customers of a year, by channel, each channel with a truth of its own."""
        rng = np.random.default_rng(31)
        parts = []
        for channel, truth in truths.items():
            states = btyd.simulate_states(
                made("BG/NBD", *truth), rng.integers(30, 52, size).astype(float), rng
            )
            first = CUTOFF - pd.to_timedelta(states.T * 7, "D")
            part = {
                "first_day": first,
                "last_day": first + pd.to_timedelta(np.ceil(states.recency * 7), "D"),
            }
            x = states.frequency
            parts.append(pd.DataFrame({**part, "frequency": x, "channel": channel}))
        rows = pd.concat(parts, ignore_index=True)
        x = rows["frequency"]
        spend = pd.Series(rng.gamma(6.0, 5.0, len(rows)))
        rows = rows.assign(spend_frequency=x, total_spend=x * spend, revenue_365=x * spend)
        return Origin(CUTOFF, END, rows, pd.DataFrame())

    def test_a_channel_gets_what_its_own_customers_do(self):
        truths = {"search": (0.8, 6.0, 0.8, 4.0), "social": (0.5, 12.0, 2.0, 2.0)}
        origin = self.origin(truths)
        at = states_at(origin.rows, CUTOFF)
        weeks = origin.days / 7
        errors = {}
        for name in ("BG/NBD", rules.BY_CHANNEL):
            said = rules.rules(seasoned=False)[name][1](origin).orders
            errors[name] = []
            for channel, truth in truths.items():
                own = (origin.rows["channel"] == channel).to_numpy()
                true = btyd.expected_purchases(made("BG/NBD", *truth), at.part(own), weeks).sum()
                errors[name].append(abs(said[own].sum() / true - 1))
        assert max(errors[rules.BY_CHANNEL]) < 0.05 < max(errors["BG/NBD"])

    def test_few_customers_share_a_channel(self):
        origin = self.origin({"search": (0.8, 6.0, 0.8, 4.0)})
        few = origin.rows["channel"].mask(origin.rows.index < 20, "radio")
        with pytest.raises(DataError, match="All customers came by one channel"):
            rules.by_channel(replace(origin, rows=origin.rows.assign(channel=None)))
        told = rules.by_channel(replace(origin, rows=origin.rows.assign(channel=few)))
        assert np.isfinite(told.money).all() and told.models is None


class TestCohortBaseline:
    def test_curve_is_sum_over_sum(self):
        months = pd.DataFrame(
            {
                "cohort": pd.to_datetime(["2024-01-01"] * 3 + ["2024-02-01"] * 2),
                "start": pd.to_datetime(
                    ["2024-01-01", "2024-02-01", "2024-03-01", "2024-02-01", "2024-03-01"]
                ),
                "new_customers": [10, 0, 0, 30, 0], "purchases": [1, 4, 2, 3, 8],
                "repeat_revenue": [10.0, 40.0, 20.0, 30.0, 80.0],
            }
        )  # fmt: skip
        rate, worth = rules.cohort_curve(months, pd.Timestamp("2024-03-31"))
        np.testing.assert_allclose(rate, [4 / 40, 12 / 40, 2 / 10])
        assert worth == 10

    def test_total_is_near_in_a_steady_shop(self):
        # rates by age that do not change: what older cohorts did is what younger ones will do
        rows = []
        for cohort in pd.period_range("2024-01", "2024-12", freq="M"):
            for age in range(12 - cohort.month + 1):
                rows.append((cohort.to_timestamp(), (cohort + age).to_timestamp(),
                             100 if age == 0 else 0, 50 - 3 * age))  # fmt: skip
        months = pd.DataFrame(rows, columns=["cohort", "start", "new_customers", "purchases"])
        months["repeat_revenue"] = months["purchases"] * 2.0
        people = pd.DataFrame({"first_day": pd.to_datetime(["2024-07-15"])})
        people["revenue_365"] = 1.0
        origin = Origin(pd.Timestamp("2024-12-31"), pd.Timestamp("2025-03-31"), people, months)
        told = rules.cohort_baseline(origin)
        assert told.orders[0] == pytest.approx((32 + 29 + 26) / 100, rel=0.03)
        assert told.money[0] == pytest.approx(told.orders[0] * 2)


class TestOrigins:
    def test_month_ends_newest_first(self):
        found = origin_days("2024-01-03", "2026-06-30", 12)
        assert [f"{cutoff:%Y-%m-%d}" for cutoff, _ in found] == [
            "2025-06-30", "2025-03-31", "2024-12-31",
        ]  # fmt: skip
        assert all((end.to_period("M") - cutoff.to_period("M")).n == 12 for cutoff, end in found)

    def test_at_most_half_of_the_history(self):
        [first, *_] = origin_days("1997-01-01", "1998-06-30", 12)
        assert first == (pd.Timestamp("1997-09-30"), pd.Timestamp("1998-06-30"))

    def test_too_short(self):
        assert origin_days("2026-01-05", "2026-06-30", 12) == []
        assert "too short" in backtest.backtest([]).reason


class TestBadInput:
    def test_nobody_came_back(self, origins):
        rows = origins[0].rows.assign(later_frequency=0, later_revenue=0.0)
        check = backtest.backtest([Origin(CUTOFF, END, rows, origins[0].months)])
        assert check.reason.startswith("Nobody who was a customer")
        assert check.scores is None

    def test_everyone_bought_once(self, origins):
        rows = origins[0].rows
        once = rows.assign(
            frequency=0, last_day=rows["first_day"], spend_frequency=0, total_spend=0.0
        )
        check = backtest.backtest([Origin(CUTOFF, END, once, origins[0].months)])
        assert "No repeat purchases" in check.reason


# --- boosting ------------------------------------------------------------------------------------


def learnable(size: int, seed: int) -> pd.DataFrame:
    """Customers whose results hang on discounts, which no purchase model knows."""
    rng = np.random.default_rng(seed)
    share = rng.random(size)
    buys = rng.random(size) < 0.2 + 0.6 * (share < 0.5)
    money = np.where(buys, rng.gamma(4, 10 + 40 * (share < 0.5), size), 0.0)
    day = pd.Timestamp("2025-06-30") - pd.to_timedelta(rng.integers(0, 300, size), unit="D")
    flat = dict.fromkeys([*boosting._AMOUNTS, *boosting._COUNTS], 0)
    rows = pd.DataFrame({**flat, "first_day": day, "last_day": day}, index=range(size))
    return rows.assign(
        gross=100.0, discounts=share * 100, given_back=0.0, channel="a", main_category=None,
        later_frequency=buys * 2, later_revenue=money,
    )  # fmt: skip


class TestBoosting:
    def test_it_learns_what_the_models_do_not_know(self):
        learned = boosting.fit(learnable(3000, 1), "later_revenue")
        test = learnable(3000, 2)
        orders, money = learned.predict(test)
        assert money.sum() == pytest.approx(test["later_revenue"].sum(), rel=0.06)
        assert orders.sum() == pytest.approx(test["later_frequency"].sum(), rel=0.06)
        low, high = test["discounts"] < 50, test["discounts"] >= 50
        assert money[low].mean() == pytest.approx(0.8 * 200, rel=0.12)
        assert money[high].mean() == pytest.approx(0.2 * 40, rel=0.5)

    def test_the_order_of_rows_is_nothing(self):
        rows, test = learnable(800, 1), learnable(100, 2)
        one, two = (
            boosting.fit(given, "later_revenue").predict(test)[1]
            for given in (rows, rows.sample(frac=1, random_state=4))
        )
        np.testing.assert_array_equal(one, two)

    def test_too_little(self):
        with pytest.raises(boosting.TooLittleError, match="50 customers with"):
            boosting.fit(learnable(50, 1), "later_revenue")
