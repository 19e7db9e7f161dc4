"""Historical, formula and horizon LTV, unit economics, and the sources' worked examples."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from helpers.errors import UsageError
from helpers.measures import economics, ltv, metrics

MONEY = ("revenue", "margin", "refunds", "cost")


def cohort_ages_of(orders):
    """Summarize orders (customer, day, revenue, margin, channel) the way the engine does."""
    orders = orders.assign(day=pd.to_datetime(orders["day"]), refunds=0.0)
    orders["cost"] = orders["revenue"] - orders["margin"]
    first = orders.groupby("customer")["day"].transform("min")
    cohort = first.dt.to_period("M").dt.start_time
    elapsed = (orders["day"] - first).dt.days
    months = (orders["day"].dt.year - first.dt.year) * 12 + orders["day"].dt.month - first.dt.month
    steps = pd.Series(np.nan, orders.index)
    for end in reversed(ltv.HORIZONS):
        steps = steps.mask(elapsed < end, end)
    parts = []
    for unit, age in {"month": months, "days30": elapsed // 30, "horizon": steps}.items():
        for dimension in ("all", "channel"):
            value = "all" if dimension == "all" else orders["channel"]
            rows = orders.assign(cohort=cohort, age=age, value=value)
            size = rows.groupby(["cohort", "value"])["customer"].nunique().rename("customers")
            rows = rows.dropna(subset="age").assign(age=lambda r: r["age"].astype(int), orders=1)
            keys = ["cohort", "value", "age"]
            step = rows.groupby(["customer", *keys])[[*MONEY, "orders"]].sum().reset_index()
            step["active"] = 1
            for name in MONEY:
                before = step.groupby("customer")[name].cumsum() - step[name]
                for power, what in ((2, "squares"), (3, "cubes")):
                    step[f"{name}_{what}"] = step[name] ** power
                    after = (before + step[name]) ** power
                    step[f"{name}_cumulative_{what}"] = after - before**power
            table = step.drop(columns="customer").groupby(keys).sum().reset_index()
            table = table.join(size, on=["cohort", "value"])
            parts.append(table.assign(age_unit=unit, dimension=dimension))
    return pd.concat(parts, ignore_index=True)


# Three in January, two in February, one in June; margin is half of revenue.
ORDERS = pd.DataFrame(
    [
        ("a", "2025-01-01", 100.0, "ads"),
        ("a", "2025-01-30", 20.0, "ads"),
        ("a", "2025-01-31", 40.0, "ads"),
        ("b", "2025-01-31", 60.0, "mail"),
        ("c", "2025-01-15", 10.0, "ads"),
        ("c", "2026-02-01", 500.0, "ads"),
        ("d", "2025-02-10", 80.0, "ads"),
        ("d", "2025-03-01", 30.0, "ads"),
        ("e", "2025-02-28", 20.0, "organic"),
        ("f", "2025-06-30", 70.0, "mail"),
    ],
    columns=["customer", "day", "revenue", "channel"],
).assign(margin=lambda rows: rows["revenue"] / 2)
AGES = cohort_ages_of(ORDERS)


def historical(as_of="2025-06-30", ages=AGES, **options):
    options = {"min_cell": 1, **options}
    return ltv.ltv_historical(ages, as_of=as_of, **options).set_index(["value", "horizon"])


def test_historical_by_hand():
    table = historical()
    # Day 30 after the first order is the 31st day, so the 40.00 of January 31 is not within 30.
    earned = np.array([60, 30, 5, 55, 10])
    row = table.loc[("all", 30)]
    assert row["per_customer"] == pytest.approx(earned.mean())
    assert row["se"] == pytest.approx(earned.std(ddof=1) / np.sqrt(5))
    assert (row["customers"], row["cohorts"], row["amount"]) == (5, 2, 160)
    # Hall's transformation for skewness takes both ends to Student's t.
    slope = scipy.stats.skew(earned, bias=False) / np.sqrt(5)
    ends = (row["per_customer"] - row[["high", "low"]].to_numpy(float)) / row["se"]
    reached = ends + slope * ends**2 / 3 + slope**2 * ends**3 / 27 + slope / 6
    assert reached == pytest.approx([-2.776445105, 2.776445105])
    row = table.loc[("all", 60)]
    assert row["per_customer"] == pytest.approx((80 + 30 + 5 + 55 + 10) / 5)


def test_historical_takes_only_cohorts_of_which_everyone_is_old_enough():
    assert historical("2025-03-01").loc[("all", 30), "customers"] == 3
    assert historical("2025-02-28").loc[("all", 30), "customers"] == 0
    assert historical("2025-03-29").loc[("all", 30), "customers"] == 5
    assert historical("2025-03-28").loc[("all", 30), "customers"] == 3


def test_historical_beyond_what_was_observed_is_missing_not_zero():
    row = historical().loc[("all", 365)]
    assert np.isnan([row["per_customer"], row["low"], row["high"], row["amount"]]).all()
    assert row["reason"] == "No cohort has reached this age."
    assert row["customers"] == 0


def test_historical_never_counts_what_came_after_the_horizon():
    row = historical("2026-06-30").loc[("all", 365)]
    assert row["amount"] == 160 + 20 + 35
    assert row["customers"] == 6


def test_historical_without_the_left_truncated_cohort():
    row = historical(left_truncated=["2025-01-01"]).loc[("all", 30)]
    assert row["amount"] == 65
    assert row["first_cohort"] == row["last_cohort"] == pd.Timestamp("2025-02-01")
    none = historical(left_truncated=["2025-01-01", "2025-02-01", "2025-06-01"])
    assert none["per_customer"].isna().all()


def test_historical_by_channel_adds_up_to_all():
    whole, parts = historical(), historical(dimension="channel")
    sums = parts.groupby("horizon")[["customers", "amount"]].sum()
    assert sums.loc[[30, 60, 90]].equals(
        whole.loc["all", ["customers", "amount"]].loc[[30, 60, 90]]
    )
    assert parts.loc[("organic", 30), "per_customer"] == 10
    assert np.isnan(parts.loc[("organic", 30), "low"])


def test_historical_of_chosen_cohorts_and_measure():
    row = historical(value="revenue", first_cohort="2025-02-01", last_cohort="2025-02-28")
    assert row.loc[("all", 30), "amount"] == 130
    assert np.isnan(row.loc[("all", 30), "coverage"])
    assert historical().loc[("all", 30), "coverage"] == 1


def test_historical_margin_is_missing_where_no_cost_is_known():
    unknown = AGES.assign(
        margin=0.0, cost=0.0, margin_cumulative_squares=0.0, margin_cumulative_cubes=0.0
    )
    table = historical(ages=unknown)
    assert table["per_customer"].isna().all()
    assert table.loc[("all", 30), "reason"] == "The cost of what was sold is not known."


def test_historical_withholds_few_customers():
    table = historical(min_cell=6)
    assert table["per_customer"].isna().all()
    assert "Fewer than 6" in table.loc[("all", 30), "reason"]


def test_historical_refuses_horizons_and_dimensions_that_are_not_there():
    with pytest.raises(UsageError, match=r"\[31\]"):
        historical(horizons=(30, 31))
    with pytest.raises(UsageError, match="Did you mean 'channel'"):
        historical(dimension="chanel")


def test_historical_of_a_shop_without_orders_is_empty():
    assert historical(ages=AGES.iloc[:0]).empty


def test_row_order_does_not_matter():
    shuffled = AGES.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(historical(ages=shuffled), historical())


def test_historical_intervals_cover():
    rng = np.random.default_rng(314)
    shops, each = 400, 120
    n = shops * each
    first = pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 59, n), unit="D")
    orders = pd.DataFrame({"customer": np.arange(n), "channel": np.repeat(np.arange(shops), each)})
    orders["day"], orders["revenue"] = first, rng.lognormal(3, 0.5, n)
    again = orders.loc[rng.random(n) < 0.4].copy()
    again["day"] += pd.to_timedelta(rng.integers(1, 90, len(again)), unit="D")
    again["revenue"] = rng.lognormal(3, 0.5, len(again))
    orders = pd.concat([orders, again]).assign(margin=lambda rows: 0.4 * rows["revenue"])
    table = ltv.ltv_historical(
        cohort_ages_of(orders), as_of="2025-12-31", dimension="channel", horizons=(90,)
    )
    truth = 0.4 * np.exp(3 + 0.125) * 1.4
    hits = (table["low"] <= truth) & (truth <= table["high"])
    assert len(table) == shops
    assert 0.92 < hits.mean() < 0.975


# The sources' worked examples, by id.


def test_w1_lifetime_is_one_over_churn():
    assert ltv.ltv_formula(25, 0.60, 0.05).cycles == pytest.approx(20)


def test_w2_formula_value():
    found = ltv.ltv_formula(25, 0.60, 0.05)
    assert found.value == pytest.approx(300)
    assert 1000 * found.value == pytest.approx(300_000)


def test_w3_three_points_less_churn_is_two_and_a_half_times_the_value():
    assert ltv.ltv_formula(25, 0.60, 0.02).value == pytest.approx(750)
    assert ltv.ltv_formula(25, 0.60, 0.02).value / ltv.ltv_formula(
        25, 0.60, 0.05
    ).value == pytest.approx(2.5)


def test_w4_horizon_value_is_another_formula():
    found = ltv.ltv_horizon(40, 0.60, 6)
    assert found.value == pytest.approx(144)
    assert found.formula != ltv.ltv_formula(40, 0.60, 0.05).formula


def test_w5_allowable_click():
    assert economics.allowable_cpc(100, 0.5) == 50
    assert economics.allowable_cpc(100, 0.5, buffer=0.2) == pytest.approx(40)
    assert np.isnan(economics.allowable_cpc(-10, 0.5))
    with pytest.raises(UsageError, match="buffer"):
        economics.allowable_cpc(100, 0.5, buffer=1)


def test_formula_is_the_sum_over_cycles_from_the_first():
    churn = 0.05
    survived = (1 - churn) ** np.arange(2000)
    assert ltv.ltv_formula(25, 0.6, churn).value == pytest.approx(25 * 0.6 * survived.sum())


@pytest.mark.parametrize(
    ("arpu", "margin", "churn", "reason"),
    [
        (np.nan, 0.6, 0.05, "not known, or below"),
        (-1, 0.6, 0.05, "below zero"),
        (25, 60, 0.05, "above 1"),
        (25, 0, 0.05, "earns nothing"),
        (25, -0.2, 0.05, "earns nothing"),
        (25, np.nan, 0.05, "margin rate is not known"),
        (25, 0.6, 0, "No customer was lost"),
        (25, 0.6, 1.2, "at most 1"),
        (25, 0.6, -0.1, "above 0"),
        (25, 0.6, np.nan, "Churn is not known"),
    ],
)
def test_formula_gives_a_reason_instead_of_a_number(arpu, margin, churn, reason):
    found = ltv.ltv_formula(arpu, margin, churn)
    assert np.isnan(found.value)
    assert reason in found.reason


def test_formula_at_churn_of_one_is_one_cycle():
    assert ltv.ltv_formula(25, 0.6, 1).value == pytest.approx(15)


def test_horizon_without_periods_gives_a_reason():
    assert "above 0" in ltv.ltv_horizon(40, 0.6, 0).reason
    assert "above 1" in ltv.ltv_horizon(40, 60, 6).reason


def test_formula_carries_the_interval_of_churn():
    found = ltv.ltv_formula(25, 0.6, 0.05, churn_low=0.04, churn_high=0.06)
    assert (found.low, found.high) == (pytest.approx(250), pytest.approx(375))


def month_rows(revenue, margin, margin_revenue):
    return pd.DataFrame(
        {
            "grain": "month",
            "start": pd.Timestamp("2026-01-01"),
            "dimension": "all",
            "revenue": [revenue],
            "margin": [margin],
            "margin_revenue": [margin_revenue],
        }
    )


GAPS = pd.DataFrame(
    {"order_number": 1, "days": [30, 20, 90], "event": [True, True, False], "n": [10, 20, 25]}
)


def test_formula_from_history_is_margin_of_the_purchases_until_a_customer_is_lost():
    value, churn = ltv.ltv_formula_history(month_rows(5500.0, 1000.0, 2500.0), GAPS, window_days=60)
    assert churn.lost_share == pytest.approx(25 / 55)
    assert value.arpu * churn.active_months == pytest.approx(100)
    assert value.value == pytest.approx(100 * 0.4 / (25 / 55))
    assert value.low == pytest.approx(100 * 0.4 / churn.lost_high)
    assert value.low < value.value < value.high


def test_formula_from_history_says_why_not():
    young, _ = ltv.ltv_formula_history(month_rows(5000.0, 1000.0, 2500.0), GAPS, window_days=91)
    assert "no wait as long" in young.reason
    costless, _ = ltv.ltv_formula_history(month_rows(5000.0, 0.0, 0.0), GAPS, window_days=60)
    assert costless.reason == "The margin rate is not known."
    assert np.isnan([young.value, costless.value]).all()


def test_payback_age():
    ages, value = [30, 60, 90, 120], [10, 20, 30, np.nan]
    band = {"low": [8, 15, 22, np.nan], "high": [12, 25, 38, np.nan]}
    done = economics.payback_age(ages, value, cac=20, **band)
    assert (done.state, done.age, done.low, done.high) == ("paid back", 60, 60, 90)
    late = economics.payback_age(ages, value, cac=35, **band)
    assert (late.state, late.at_least, late.low) == ("not yet", 90, 90)
    assert np.isnan([late.age, late.high]).all()
    assert economics.payback_age(ages, value, cac=np.nan, **band).state == "unknown"
    nothing = [np.nan] * 4
    assert economics.payback_age(ages, nothing, nothing, nothing, 5).state == "unknown"


SPEND = pd.DataFrame(
    [
        ("2024-12-01", "ads", np.nan, np.nan, 90),
        ("2025-01-01", "ads", 50.0, 100, 2),
        ("2025-01-01", "mail", 10.0, 20, 1),
        ("2025-02-01", "ads", 40.0, 100, 1),
        ("2025-02-01", "organic", np.nan, np.nan, 1),
        ("2025-06-01", "mail", 30.0, 10, 1),
    ],
    columns=["start", "channel", "cost", "clicks", "new_customers"],
)


def compared(as_of="2025-06-30", horizon=60, spend=SPEND, **options):
    options = {"min_cell": 1, **options}
    return economics.unit_economics(spend, AGES, as_of=as_of, horizon=horizon, **options)


def test_unit_economics_compare_the_same_customers():
    table = compared()
    # June's customers are not 60 days old, so neither their cost nor their number counts.
    assert table.loc["blended", "cac"] == pytest.approx(100 / 5)
    assert table.loc["paid", "cac"] == pytest.approx(100 / 4)
    assert table.loc["ads", "cac"] == pytest.approx(90 / 3)
    assert table.loc["blended", "ltv"] == pytest.approx(180 / 5)
    assert table.loc["paid", "ltv"] == pytest.approx(170 / 4)
    assert table.loc["ads", "ltv"] == pytest.approx(140 / 3)
    assert table.loc["ads", "ltv_to_cac"] == pytest.approx(140 / 90)
    assert table.loc["ads", "ratio_low"] == pytest.approx(table.loc["ads", "ltv_low"] / 30)
    assert (table["last_month"] == pd.Timestamp("2025-04-01")).all()


def test_unit_economics_of_several_channels_pool_customers():
    earned = np.array([80, 30, 5, 55])
    paid = compared().loc["paid"]
    se = earned.std(ddof=1) / 2
    assert paid["ltv_high"] - paid["ltv"] == pytest.approx(3.182446305 * se)


def test_unit_economics_of_clicks():
    ads = compared(buffer=0.1).loc["ads"]
    assert ads["conversion"] == pytest.approx(3 / 200)
    assert ads["cost_per_click"] == pytest.approx(90 / 200)
    assert ads["allowable_cpc"] == pytest.approx(140 / 3 * 3 / 200 * 0.9)


def test_a_channel_without_cost_has_no_cac():
    organic = compared().loc["organic"]
    assert np.isnan([organic["cac"], organic["ltv_to_cac"]]).all()
    assert organic["payback_state"] == "unknown"
    assert "No cost" in organic["reason"]


def test_unit_economics_before_any_cohort_is_old_enough():
    table = compared(horizon=365)
    assert table["ltv"].isna().all()
    assert table.loc["blended", "cac"] == pytest.approx(130 / 6)
    assert table.loc["blended", "reason"] == "No cohort has reached this age."
    assert table.loc["blended", "payback_state"] == "unknown"


def test_unit_economics_payback():
    table = compared()
    assert table.loc["mail", ["payback_state", "payback_age"]].tolist() == ["paid back", 30]
    assert table.loc["ads", "payback_age"] == 30
    dear = compared(spend=SPEND.assign(cost=SPEND["cost"] * 10))
    assert dear.loc["ads", ["payback_state", "payback_at_least"]].tolist() == ["not yet", 150]


def test_unit_economics_without_spend_or_channels():
    assert compared(spend=SPEND.assign(cost=np.nan)).empty
    assert compared(spend=SPEND.iloc[:0]).empty
    plain = economics.unit_economics(
        SPEND, AGES[AGES["dimension"] == "all"], as_of="2025-06-30", horizon=60, min_cell=1
    )
    assert plain.loc["blended", "ltv"] == pytest.approx(36)
    assert np.isnan(plain.loc["ads", "ltv"])
    assert plain.loc["ads", "cac"] == pytest.approx(30)


def test_unit_economics_leave_the_left_truncated_cohort_out_on_both_sides():
    table = compared(left_truncated=["2025-01-01"])
    assert table.loc["blended", "cac"] == pytest.approx(40 / 2)
    assert table.loc["blended", "ltv"] == pytest.approx(65 / 2)


def test_month_length_is_one_constant():
    assert pytest.approx(30.4375) == metrics.DAYS_PER_MONTH
