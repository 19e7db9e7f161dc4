"""Forecasts of value: published figures, identities, invariance, intervals against a known truth."""

import numpy as np
import pandas as pd
import pytest
from cdnow import CUTOFF, END, START, cdnow_days
from test_btyd import make_fit, simulate_histories

from helpers.errors import DataError, UsageError
from helpers.models import btyd, calendar, forecast, futures, gamma_gamma, portfolio
from helpers.models.forecast import Models
from helpers.models.terms import Horizon, Terms

KEYS = ["frequency", "first_day", "last_day"]
MONTHLY = Terms(discount_rate=1.01**12 - 1)  # 1% a month
COSTS = Terms(Horizon(18, "months"), margin_rate=0.3, cost_to_serve=1.5, discount_rate=0.15)


def per_customer(days: pd.DataFrame, cutoff: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """One row per customer seen by ``cutoff``, from purchase days (id, day, spend, first_day)."""
    seen = days[days["day"] <= cutoff]
    people = seen.groupby("id").agg(
        frequency=("day", "size"), first_day=("day", "min"), last_day=("day", "max")
    )
    people["frequency"] -= 1
    repeat = seen[(seen["day"] > seen["first_day"]) & (seen["spend"] > 0)].groupby("id")["spend"]
    later = days[(days["day"] > cutoff) & (days["day"] <= end)].groupby("id")["spend"]
    people["spend_frequency"] = repeat.size()
    people["total_spend"] = repeat.sum().round(2)
    people["holdout_frequency"] = later.size()
    people["holdout_revenue"] = later.sum()
    whole = ["spend_frequency", "holdout_frequency"]
    return people.fillna(0.0).astype(dict.fromkeys(whole, int))


def counted(people: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    return people.groupby(keys).size().rename("n").reset_index()


def spend_states_of(people: pd.DataFrame) -> pd.DataFrame:
    spent = counted(people[people["spend_frequency"] > 0], ["spend_frequency", "total_spend"])
    return spent.rename(columns={"spend_frequency": "frequency"})


@pytest.fixture(scope="module")
def people():
    return per_customer(cdnow_days(), CUTOFF, END)


@pytest.fixture(scope="module")
def states(people):
    return counted(people, KEYS)


@pytest.fixture(scope="module")
def value_states(people):
    """States that also say whose spend is whose, as sums."""
    by = people.groupby([*KEYS, "spend_frequency"])["total_spend"]
    return by.agg(n="size", total_spend="sum").reset_index()


@pytest.fixture(scope="module")
def spend_states(people):
    return spend_states_of(people)


@pytest.fixture(scope="module")
def models(states, spend_states):
    return forecast.fit_models(states, spend_states, CUTOFF)


@pytest.fixture(scope="module")
def total(states, spend_states, models):
    return futures.clv_forecast(states, spend_states, models, COSTS, draws=200)


class TestTerms:
    def test_a_month_is_a_twelfth_of_a_year(self):
        assert Horizon(12, "months").days == Horizon(1, "years").days == 365.25
        assert Horizon(2, "weeks").days == 14
        np.testing.assert_allclose(np.diff(Horizon(12).edges), 365.25 / 12)

    def test_the_last_step_may_be_short(self):
        edges = Horizon(100, "days").edges
        assert edges[-1] == 100
        np.testing.assert_allclose(np.diff(edges), [30.4375] * 3 + [8.6875])
        assert Horizon(10, "days").edges.tolist() == [0, 10]

    def test_discount_is_annual_effective_and_mid_period(self):
        factors = Terms(Horizon(24), discount_rate=0.21).discount_factors
        np.testing.assert_allclose(factors[12] / factors[0], 1 / 1.21)
        np.testing.assert_allclose(factors[0], 1.21 ** (-0.5 / 12))
        assert (Terms(Horizon(24)).discount_factors == 1).all()

    @pytest.mark.parametrize(
        ("make", "says"),
        [
            (lambda: Horizon(12, "month"), "Did you mean 'months'"),
            (lambda: Horizon(0), "1 day to 50 years"),
            (lambda: Horizon(float("nan")), "1 day to 50 years"),
            (lambda: Terms(margin_rate=30), "margin_rate == 30, must be at most 1"),
            (lambda: Terms(cost_to_serve=-1), "cost_to_serve == -1"),
            (lambda: Terms(discount_rate=15), "discount_rate == 15"),
            (lambda: Terms(discount_rate=float("nan")), "discount_rate == nan"),
        ],
    )
    def test_wrong_terms_are_refused(self, make, says):
        with pytest.raises(UsageError, match=says):
            make()


class TestCustomerOne:
    """CDNOW's customer 1: 2 repeat orders, last in week 30.43 of 38.86, $22.35 a time."""

    def curve(self, models, edges):
        x, t_x, T = [2], [30.43], [38.86]
        at = btyd.States(x, t_x, T)
        orders = [btyd.expected_purchases(models.purchase, at, t)[0] for t in edges]
        spend = gamma_gamma.expected_spend(models.spend, x, [2 * 22.35])[0]
        return np.diff(orders, prepend=0.0), spend

    def test_month_end_steps_of_four_and_a_third_weeks(self, models):
        # the corrected quickstart of lifetimes, which prints 140.10 by taking weeks for days
        orders, spend = self.curve(models, 4.345 * np.arange(1, 13))
        clv = (orders * 1.01 ** -np.arange(1, 13)).sum() * spend
        assert clv == pytest.approx(36.28, abs=5e-3)
        assert orders.sum() == pytest.approx(1.562, abs=5e-4)

    def test_house_convention(self, models):
        # mid-month, 365.25/12 days: against a sum by the day that knows no steps
        orders, spend = self.curve(models, MONTHLY.horizon.edges[1:] / 7)
        clv = (orders * MONTHLY.discount_factors).sum() * spend
        by_day = np.arange(0.25, 365.26, 0.25)
        orders, _ = self.curve(models, by_day / 7)
        smooth = (orders * 1.01 ** (-(by_day - 0.125) * 12 / 365.25)).sum() * spend
        assert clv == pytest.approx(smooth, rel=1e-4)
        assert clv == pytest.approx(36.47, abs=0.015)

    def test_the_same_through_the_scores(self, people, spend_states, models):
        # whole days in place of weeks to two decimals
        row = people.loc[[1]].assign(n=1)
        score = forecast.score_states(row, spend_states, models, MONTHLY).iloc[0]
        assert score["clv"] == pytest.approx(36.48, abs=0.01)
        line = forecast.score_spend(spend_states, models).set_index("spend_frequency").loc[2]
        spend = line["intercept"] + line["slope"] * row["total_spend"].item()
        assert score["discounted_orders"] * spend == pytest.approx(score["clv"], rel=1e-12)


class TestForecast:
    def test_identity_without_discount(self, states, spend_states, models):
        terms = Terms(Horizon(12), margin_rate=0.3, cost_to_serve=1.5)
        row = futures.clv_forecast(states, spend_states, models, terms, draws=20).totals.iloc[-1]
        scores = forecast.score_states(states, spend_states, models, terms)
        money = scores["n"] * scores["expected_orders"] * scores["expected_spend"]
        orders = (scores["n"] * scores["expected_orders"]).sum()
        assert row["orders"] == pytest.approx(orders, rel=1e-12)
        assert row["revenue"] == pytest.approx(money.sum(), rel=1e-12)
        assert row["clv"] == pytest.approx(money.sum() * 0.3 - orders * 1.5, rel=1e-12)
        assert row["clv"] == pytest.approx(row["margin"] - row["service"], rel=1e-12)
        assert row["net"] == pytest.approx(row["clv"], rel=1e-12)

    def test_expected_orders_are_those_of_the_model(self, people, states, spend_states, models):
        scores = forecast.score_states(states, spend_states, models, MONTHLY)
        at = forecast.states_at(people.assign(n=1), CUTOFF)
        want = btyd.expected_purchases(models.purchase, at, 365.25 / 7).sum()
        assert (scores["n"] * scores["expected_orders"]).sum() == pytest.approx(want, rel=1e-10)
        assert scores["n"].sum() == len(people)

    def test_steps_add_up_to_the_total(self, total):
        row, steps = total.totals.iloc[-1], total.steps
        assert len(steps) == 18
        for name in ("orders", "revenue", "margin", "service", "net", "clv"):
            assert steps[name].sum() == pytest.approx(row[name], rel=1e-10)
        assert (steps["clv"] < steps["net"]).all()
        assert (np.diff(steps["orders"]) < 0).all()

    def test_scores_add_up_to_the_total(self, states, spend_states, models, total):
        scores = forecast.score_states(states, spend_states, models, COSTS)
        assert (scores["n"] * scores["clv"]).sum() == pytest.approx(total.totals["clv"].iloc[-1])

    def test_joined_to_customers_the_lines_give_the_exact_total(
        self, people, value_states, spend_states, models
    ):
        # what an engine does: states joined on the history, lines on the spend frequency
        scores = forecast.score_states(value_states, spend_states, models, COSTS)
        plain = scores.drop_duplicates(KEYS)[[*KEYS, "discounted_orders"]]
        lines = forecast.score_spend(spend_states, models)
        joined = people.merge(plain, on=KEYS).merge(lines, on="spend_frequency")
        assert len(joined) == len(people)
        spend = joined["intercept"] + joined["slope"] * joined["total_spend"]
        clv = joined["discounted_orders"] * (spend * 0.3 - 1.5)
        exact = futures.clv_forecast(value_states, spend_states, models, COSTS, draws=20)
        assert exact.totals["clv"].iloc[-1] == pytest.approx(clv.sum(), rel=1e-10)
        assert (scores["n"] * scores["clv"]).sum() == pytest.approx(clv.sum(), rel=1e-10)

    def test_without_the_link_the_total_is_near(self, value_states, spend_states, models, total):
        exact = futures.clv_forecast(value_states, spend_states, models, COSTS, draws=200)
        near, true = total.totals.iloc[-1], exact.totals.iloc[-1]
        assert near["clv"] == pytest.approx(true["clv"], rel=0.02)
        assert near["clv_high"] - near["clv_low"] == pytest.approx(
            true["clv_high"] - true["clv_low"], rel=0.25
        )

    def test_groups_add_up(self, states, spend_states, models, total):
        half = states.assign(segment=np.where(states.index % 2, "odd", "even"))
        parts = futures.clv_forecast(half, spend_states, models, COSTS, by="segment", draws=200)
        totals = parts.totals.set_index("segment")
        assert totals.index.tolist() == ["even", "odd", "total"]
        for name in ("customers", "orders", "revenue", "clv"):
            assert totals.loc[["even", "odd"], name].sum() == pytest.approx(
                totals.loc["total", name]
            )
            assert totals.loc["total", name] == pytest.approx(total.totals[name].iloc[-1])
        width = totals["clv_high"] - totals["clv_low"]
        assert width["total"] < width["even"] + width["odd"]

    def test_unknown_group(self, states, spend_states, models):
        with pytest.raises(UsageError, match=r"by is 'segmnt'"):
            futures.clv_forecast(states, spend_states, models, COSTS, by="segmnt")

    def test_wrong_day(self, states, spend_states):
        with pytest.raises(DataError, match="end after 1997-06-30"):
            forecast.fit_models(states, spend_states, "1997-06-30")


class TestResidual:
    def test_published_dert_of_pareto_nbd(self, people, spend_states):
        # BTYD and "RFM and CLV": one repeat in week 30 of 77.86, 0.0027 a week
        day = CUTOFF - pd.Timedelta(days=545)
        row = pd.DataFrame({"frequency": [1], "first_day": [day], "n": [1]})
        row["last_day"] = day + pd.Timedelta(days=210)
        models = forecast.fit_models(
            counted(people, KEYS), spend_states, CUTOFF, model="Pareto/NBD"
        )
        terms = Terms(discount_rate=float(np.expm1(0.0027 * 365.25 / 7)))
        score = forecast.score_states(row, spend_states, models, terms).iloc[0]
        at = forecast.states_at(row, CUTOFF)
        want = btyd.expected_residual(models.purchase, at, terms.discount_rate)[0]
        assert score["residual_orders"] == pytest.approx(want, rel=1e-12)
        assert score["residual"] == pytest.approx(want * score["expected_spend"], rel=1e-12)

    def test_a_long_horizon_comes_near(self, states, spend_states, models):
        # month by month over fifty years, mid-period, against the integral without an end
        terms = Terms(Horizon(50, "years"), discount_rate=0.3)
        scores = forecast.score_states(states.head(200), spend_states, models, terms)
        assert (scores["discounted_orders"] < scores["residual_orders"] * 1.001).all()
        np.testing.assert_allclose(
            scores["discounted_orders"], scores["residual_orders"], rtol=2e-3
        )

    def test_without_discount_there_is_none(self, states, spend_states, models):
        scores = forecast.score_states(states.head(20), spend_states, models, Terms())
        assert "residual" not in scores


class TestWhatIf:
    def test_nothing_changed_is_the_forecast(self, states, spend_states, models, total):
        same = portfolio.what_if(portfolio.standing(states, spend_states, models, COSTS))
        assert same == pytest.approx(total.totals["clv"].iloc[-1], rel=1e-10)

    def test_levers_pull_the_right_way(self, states, spend_states, models):
        where = portfolio.standing(states, spend_states, models, COSTS)

        def value(**change):
            return portfolio.what_if(where, **change)

        now = value()
        assert value(churn=1.2) < now < value(churn=0.8)
        assert value(frequency=0.9) < now < value(frequency=1.1)
        assert value(margin=-0.02) < now < value(margin=0.02)


class TestMarginError:
    def test_it_widens_money_and_not_orders(self, states, spend_states, models):
        plain, unsure = (
            futures.clv_forecast(states, spend_states, models, terms, draws=200).totals.iloc[0]
            for terms in (COSTS, Terms(COSTS.horizon, 0.3, 1.5, 0.15, rate_error=0.05))
        )
        assert unsure["orders_low"] == plain["orders_low"]
        assert unsure["margin"] == plain["margin"]
        spread = (unsure["margin_high"] - unsure["margin_low"]) ** 2
        before = (plain["margin_high"] - plain["margin_low"]) ** 2
        # an error of 0.05 on the rate adds 2 x 1.645 x 0.05 of revenue, in squares
        added = (2 * 1.645 * 0.05 * plain["revenue"]) ** 2
        assert spread == pytest.approx(before + added, rel=0.2)


def test_single_customers_stay_within_their_ranges(people, spend_states, models):
    rows = people.assign(n=1).reset_index(drop=True)
    terms = Terms(Horizon(39, "weeks"))
    found = futures.customer_ranges(rows, models, terms, draws=60)
    orders = rows["holdout_frequency"].between(found["orders_low"], found["orders_high"])
    money = rows["holdout_revenue"].between(found["net_low"] - 1e-9, found["net_high"])
    # counts are whole, so that an interval of 90% holds more; CDNOW's customers beat the model
    assert 0.88 < orders.mean() < 0.99
    assert 0.86 < money.mean() < 0.99
    assert (found["orders_low"] <= found["orders_high"]).all()


class TestInvariance:
    @pytest.mark.parametrize("unit", [1.0, 365.25 / 12])
    def test_unit_of_time(self, states, spend_states, total, unit):
        models = forecast.fit_models(states, spend_states, CUTOFF, days_per_unit=unit)
        other = futures.clv_forecast(states, spend_states, models, COSTS, draws=20)
        for name in ("orders", "revenue", "clv"):
            assert other.totals[name].iloc[0] == pytest.approx(total.totals[name].iloc[0], rel=1e-8)

    def test_order_of_rows(self, states, spend_states, total):
        mixed = states.sample(frac=1, random_state=1)
        spends = spend_states.sample(frac=1, random_state=2)
        models = forecast.fit_models(mixed, spends, CUTOFF)
        other = futures.clv_forecast(mixed, spends, models, COSTS, draws=200)
        np.testing.assert_allclose(
            other.totals.drop(columns="group").to_numpy(float),
            total.totals.drop(columns="group").to_numpy(float),
            rtol=1e-6,
        )

    def test_nothing_is_changed_in_place(self, states, spend_states, models):
        before = states.copy(), spend_states.copy()
        futures.clv_forecast(states, spend_states, models, COSTS, draws=5)
        forecast.score_states(states, spend_states, models, COSTS)
        pd.testing.assert_frame_equal(states, before[0])
        pd.testing.assert_frame_equal(spend_states, before[1])

    def test_seed(self, states, spend_states, models):
        one, same, other = (
            futures.clv_forecast(states, spend_states, models, COSTS, draws=30, seed=s).totals
            for s in (1, 1, 2)
        )
        pd.testing.assert_frame_equal(one, same)
        assert one["clv"].iloc[0] == other["clv"].iloc[0]
        assert one["clv_low"].iloc[0] != other["clv_low"].iloc[0]


class TestIntervals:
    def test_a_sample_gives_the_interval_of_all(self, states, spend_states, models):
        whole, part = (
            futures.clv_forecast(states, spend_states, models, COSTS, draws=800, max_simulated=size)
            for size in (10_000, 1000)
        )
        assert (whole.simulated, part.simulated) == (2357, 1000)
        one, two = whole.totals.iloc[0], part.totals.iloc[0]
        for name in ("orders", "revenue", "clv"):
            assert one[name] == pytest.approx(two[name], rel=1e-12)
            width = one[f"{name}_high"] - one[f"{name}_low"]
            assert two[f"{name}_high"] - two[f"{name}_low"] == pytest.approx(width, rel=0.15)
            assert two[f"{name}_low"] == pytest.approx(one[f"{name}_low"], abs=0.12 * width)

    def test_level_widens(self, states, spend_states, models):
        narrow, wide = (
            futures.clv_forecast(
                states, spend_states, models, COSTS, draws=200, level=level
            ).totals.iloc[0]
            for level in (0.5, 0.95)
        )
        assert wide["clv_low"] < narrow["clv_low"] < narrow["clv"] < narrow["clv_high"]
        assert narrow["clv_high"] < wide["clv_high"]

    def test_coverage_of_what_simulated_customers_do(self):
        # 36 shops, each with new customers and a new future; 90% intervals. Rates are low, so that
        # two purchases of a day, which count as one, are rare
        truth = make_fit(0.7, 150.0, 1.0, 3.5, days_per_unit=1.0)
        horizon = Horizon(12, "months")
        hits = np.zeros((36, 2), dtype=bool)
        for i in range(len(hits)):
            rng = np.random.default_rng([21, i])
            people = self.shop(truth, rng, 800, horizon)
            states, spends = counted(people, KEYS), spend_states_of(people)
            models = forecast.fit_models(states, spends, CUTOFF)
            row = futures.clv_forecast(
                states, spends, models, Terms(horizon), draws=100, seed=i
            ).totals.iloc[0]
            actual = people["holdout_frequency"].sum(), people["holdout_revenue"].sum()
            for k, name in enumerate(("orders", "revenue")):
                hits[i, k] = row[f"{name}_low"] <= actual[k] <= row[f"{name}_high"]
        # 32 expected of 36 with standard deviation 1.8; all 36 would mean that they are too wide
        assert ((hits.sum(axis=0) >= 28) & (hits.sum(axis=0) < 36)).all(), hits.sum(axis=0)

    @staticmethod
    def shop(truth, rng, size, horizon):
        """Customers of a BG/NBD and Gamma-Gamma world, with what they do in the horizon."""
        age = rng.integers(60, 900, size)
        born = CUTOFF - pd.to_timedelta(age, unit="D")
        owner, time = simulate_histories(truth, age + 1.0 + horizon.days, rng)
        rate = rng.standard_gamma(4.0, size) / 60
        first = pd.DataFrame({"id": np.arange(size), "day": born, "spend": 1.0, "first_day": born})
        repeat = pd.DataFrame(
            {
                "id": owner,
                "day": born[owner] + pd.to_timedelta(np.ceil(time), unit="D"),
                "spend": (rng.standard_gamma(3.0, len(owner)) / rate[owner]).round(2) + 0.01,
                "first_day": born[owner],
            }
        )
        days = pd.concat([first, repeat]).groupby(["id", "day", "first_day"], as_index=False).sum()
        return per_customer(days, CUTOFF, CUTOFF + pd.Timedelta(days=horizon.days))


class TestGate:
    def test_enough(self, states, spend_states):
        assert forecast.why_not(states, CUTOFF) == ""
        models, reason = forecast.fit_or_why_not(states, spend_states, CUTOFF)
        assert isinstance(models, Models)
        assert reason == ""

    def test_short_history(self, states, spend_states):
        early = states.assign(
            first_day=CUTOFF - pd.Timedelta(days=100), last_day=CUTOFF - pd.Timedelta(days=1)
        )
        models, reason = forecast.fit_or_why_not(early, spend_states, CUTOFF)
        assert models is None
        assert reason == "Only 100 days of history: a forecast needs at least 180."

    def test_one_customer(self, states, spend_states):
        models, reason = forecast.fit_or_why_not(states.head(1).assign(n=1), spend_states, CUTOFF)
        assert models is None
        assert reason == "Only 1 customer: a forecast needs at least 500."

    def test_no_spend(self, states, spend_states):
        models, reason = forecast.fit_or_why_not(states, spend_states.head(0), CUTOFF)
        assert models is None
        assert "no spend to learn from" in reason


def test_tracking_the_repeats_by_week(states, models):
    # BTYD walkthrough, weeks 20 to 25: increments, then cumulative
    daily = calendar.tracking(states, models, END)
    assert daily["day"].iloc[[0, -1]].tolist() == [START, END]
    weekly = daily.set_index("day").loc[START + pd.to_timedelta(7 * np.arange(19, 26), unit="D")]
    increments = [76.865, 74.888, 73.046, 71.322, 69.704, 68.182]
    cumulative = [1312.458, 1387.346, 1460.392, 1531.713, 1601.418, 1669.6]
    np.testing.assert_allclose(np.diff(weekly["cumulative"]), increments, atol=1e-3)
    np.testing.assert_allclose(weekly["cumulative"].iloc[1:], cumulative, atol=3e-3)
    assert daily["expected"].sum() == pytest.approx(daily["cumulative"].iloc[-1])


def test_dates_may_be_texts_or_dates(states):
    plain = states.assign(
        first_day=states["first_day"].dt.date, last_day=states["last_day"].astype(str)
    )
    one, two = forecast.states_at(plain, "1997-09-30"), forecast.states_at(states, CUTOFF)
    np.testing.assert_array_equal(one.T, two.T)
    np.testing.assert_array_equal(one.recency, two.recency)
