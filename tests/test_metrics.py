"""The catalog, its arithmetic, and the estimates that read gaps."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from helpers.errors import DataError, UsageError
from helpers.measures import metrics, repurchase


def periods_frame(**changes):
    rows = pd.DataFrame(
        {
            "grain": "month",
            "start": pd.to_datetime(["2026-01-01", "2026-02-01", "2026-04-01"]),
            "dimension": "all",
            "value": "all",
            "customers": [40, 50, 20],
            "new_customers": [40, 20, 5],
            "known_customers": [40, 60, 65],
            "orders": [60, 80, 25],
            "units": [90, 120, 30],
            "revenue": [3000.0, 4000.0, 1000.0],
            "margin": [900.0, 1000.0, 300.0],
            "margin_revenue": [1500.0, 2000.0, 1000.0],
            "refunds": [0.0, 1000.0, 0.0],
            "cost": [600.0, 1000.0, 700.0],
        }
    )
    return rows.assign(**changes)


FEBRUARY = {
    "revenue": 4000,
    "orders": 80,
    "customers": 50,
    "new_customers": 20,
    "aov": 50,
    "purchase_frequency": 1.6,
    "arpu": 80,
    "margin": 1000,
    "margin_rate": 0.5,
    "margin_coverage": 0.5,
    "refund_rate": 0.2,
    "margin_per_day": 1000 / 28,
    "new_customer_share": 0.4,
    "units": 120,
    "units_per_order": 1.5,
    "revenue_per_known_customer": 4000 / 60,
}


def test_every_measure_is_checked_here():
    assert set(FEBRUARY) == set(metrics.MEASURES)


@pytest.mark.parametrize(("name", "expected"), FEBRUARY.items())
def test_measure(name, expected):
    rows = periods_frame()
    assert metrics.measure(rows, name)[1] == pytest.approx(expected, rel=1e-12)
    assert metrics.measure(rows.loc[1], name).item() == pytest.approx(expected, rel=1e-12)


def test_other_names_of_a_measure_are_understood():
    rows = periods_frame()
    assert metrics.measure(rows, "APV").tolist() == metrics.measure(rows, "aov").tolist()
    with pytest.raises(UsageError, match="notebook 02 holds it"):
        metrics.measure(rows, "ltv_formula")


def test_by_grain_gives_each_period_and_segment_in_order():
    rows = pd.concat(
        [
            periods_frame().assign(dimension="channel", value="b"),
            periods_frame(revenue=1.0).assign(dimension="channel", value="a"),
            periods_frame(),
        ]
    )
    found = metrics.by_grain(rows, ["aov", "customers"], dimension="channel")
    assert list(found.columns) == ["start", "value", "days", "complete", "aov", "customers"]
    assert found["value"].tolist() == ["a", "b"] * 3
    assert found["aov"].tolist()[1::2] == [50, 50, 40]
    assert found["days"].tolist() == [31, 31, 28, 28, 30, 30]
    assert found["complete"].all()
    with pytest.raises(UsageError, match="no grain 'quarter'"):
        metrics.by_grain(rows, ["aov"], grain="quarter")
    with pytest.raises(UsageError, match="Did you mean 'channel'"):
        metrics.by_grain(rows, ["aov"], dimension="chanel")


def test_by_grain_counts_the_days_that_were_seen():
    rows = periods_frame(grain="quarter").iloc[[0, 2]]
    found = metrics.by_grain(rows, ["margin_per_day"], grain="quarter", as_of="2026-05-31")
    assert found["days"].tolist() == [90, 61]
    assert found["complete"].tolist() == [True, False]
    assert found["margin_per_day"].tolist() == [900 / 90, 300 / 61]
    early = metrics.by_grain(rows, ["margin"], grain="quarter", as_of="2026-03-31")
    assert early["margin"].tolist() == [900]


@given(
    customers=st.integers(1, 10**6), more=st.integers(0, 10**6), cents=st.integers(-(10**9), 10**9)
)
@tries(max_examples=60, deadline=None, derandomize=True)
def test_aov_times_frequency_times_customers_is_revenue(customers, more, cents):
    rows = periods_frame(customers=customers, orders=customers + more, revenue=cents / 100)
    parts = [metrics.measure(rows, name)[0] for name in ("aov", "purchase_frequency", "customers")]
    assert np.prod(parts) == pytest.approx(cents / 100, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize(
    "name", ["aov", "purchase_frequency", "arpu", "margin_rate", "refund_rate", "margin_coverage"]
)
def test_without_a_denominator_a_measure_is_missing(name):
    empty = dict.fromkeys(["customers", "orders", "revenue", "margin", "margin_revenue"], 0)
    assert metrics.measure(periods_frame(**empty, refunds=0.0), name).isna().all()


def test_margin_that_is_not_known_is_missing_not_zero():
    rows = periods_frame(margin=0.0, margin_revenue=0.0)
    for name in ("margin", "margin_rate", "margin_per_day"):
        assert metrics.measure(rows, name).isna().all()
    assert (metrics.measure(rows, "margin_coverage") == 0).all()


def test_refunds_above_sales_give_no_rate():
    rows = periods_frame(revenue=-50.0, margin_revenue=-50.0, refunds=20.0)
    assert metrics.measure(rows, "margin_coverage").isna().all()
    assert metrics.measure(rows, "refund_rate").isna().all()


def test_days_of_a_period_partly_observed_can_be_stated():
    assert metrics.measure(periods_frame(days=10), "margin_per_day")[1] == 100
    daily = periods_frame(grain="day")
    assert metrics.measure(daily, "margin_per_day")[1] == 1000


def test_total_is_sum_over_sum_not_a_mean_of_ratios():
    rows = periods_frame()
    assert metrics.total(rows, "aov") == pytest.approx(8000 / 165)
    assert metrics.total(rows, "margin_rate") == pytest.approx(2200 / 4500)
    assert metrics.total(rows, "aov") != pytest.approx(metrics.measure(rows, "aov").mean())
    assert np.isnan(metrics.total(rows.iloc[:0], "revenue"))
    assert np.isnan(metrics.total(rows.iloc[:0], "aov"))


def test_total_leaves_months_of_unknown_margin_out_above_and_below():
    rows = periods_frame(margin=[900.0, 0.0, 300.0], margin_revenue=[1500.0, 0.0, 1000.0])
    assert metrics.total(rows, "margin_rate") == pytest.approx(1200 / 2500)


@pytest.mark.parametrize(
    "name",
    ["customers", "arpu", "purchase_frequency", "new_customer_share", "revenue_per_known_customer"],
)
def test_distinct_customers_do_not_add_up(name):
    with pytest.raises(UsageError, match="distinct customers"):
        metrics.total(periods_frame(), name)


def test_total_refuses_mixed_grains():
    mixed = periods_frame(grain=["day", "month", "month"])
    with pytest.raises(UsageError, match="twice"):
        metrics.total(mixed, "revenue")


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'margin_rate'"):
        metrics.measure(periods_frame(), "margin_rat")
    with pytest.raises(DataError, match="no column 'orders'"):
        metrics.measure(periods_frame().drop(columns="orders"), "aov")


def test_month_over_month():
    table = metrics.month_over_month(periods_frame(), "2026-02")
    assert table.loc["aov", ["value", "previous", "change", "relative"]].tolist() == [50, 50, 0, 0]
    assert table.loc["revenue", "relative"] == pytest.approx(1 / 3)
    assert list(table.index) == list(metrics.MONTHLY)


def test_month_before_the_history_is_missing():
    table = metrics.month_over_month(periods_frame(), "2026-01")
    assert table["previous"].isna().all()
    assert table["relative"].isna().all()


def test_month_without_orders_inside_the_history_is_zero():
    table = metrics.month_over_month(periods_frame(), "2026-04")
    assert table.loc["orders", "previous"] == 0
    assert table.loc["orders", "change"] == 25
    assert np.isnan(table.loc["orders", "relative"])
    assert np.isnan(table.loc["aov", "previous"])
    known = metrics.month_over_month(
        periods_frame(), "2026-04", names=["revenue_per_known_customer"]
    )
    assert known["previous"].tolist() == [0]


def test_month_over_month_ignores_days_and_segments():
    more = pd.concat([periods_frame(), periods_frame(grain="day"), periods_frame(dimension="x")])
    pd.testing.assert_frame_equal(
        metrics.month_over_month(more, "2026-02"),
        metrics.month_over_month(periods_frame(), "2026-02"),
    )


def test_wilson_at_its_ends_and_without_customers():
    share = metrics.wilson([0, 20, 0], [20, 20, 0])
    assert share.low[0] == 0
    assert 0.1 < share.high[0] < 0.2
    assert share.high[1] == 1
    assert np.isnan([share.low[2], share.high[2], share.value[2]]).all()


def test_mean_interval_is_the_textbook_interval():
    spend = np.array([0, 0, 10.0, 25.5, 3.0, 0])
    mean = metrics.mean_interval(spend.sum(), (spend**2).sum(), len(spend))
    se = spend.std(ddof=1) / np.sqrt(len(spend))
    assert mean.value == pytest.approx(spend.mean())
    assert mean.se == pytest.approx(se)
    assert mean.high - mean.value == pytest.approx(2.570581836 * se)


def test_mean_interval_says_nothing_where_all_are_alike():
    mean = metrics.mean_interval([0, 5.0], [0, 25.0], [40, 1])
    assert mean.value.tolist() == [0, 5]
    assert np.isnan(mean.low).all()
    n = np.arange(2, 500)
    alike = metrics.mean_interval(n * 19.99, n * 19.99**2, n)
    assert np.isnan(alike.low).all()


def test_a_long_tail_stretches_the_interval_upward():
    spend = np.array([1.0, 2, 2, 3, 3, 4, 60])
    sums = [(spend**power).sum() for power in (1, 2, 3)]
    plain = metrics.mean_interval(*sums[:2], len(spend))
    found = metrics.mean_interval(*sums[:2], len(spend), cubes=sums[2])
    assert (found.value, found.se) == (plain.value, plain.se)
    assert found.high > plain.high and found.high - found.value > 2 * (found.value - found.low)
    # Hall's transformation g(T) = T + a T^2 / 3 + a^2 T^3 / 27 + a / 6 takes both ends to +-t,
    # with fewer degrees of freedom the longer the tail.
    skew = scipy.stats.skew(spend, bias=False)
    slope, dof = skew / np.sqrt(len(spend)), 6 * 2 / skew**2
    ends = (found.value - np.array([found.high, found.low])) / found.se
    reached = ends + slope * ends**2 / 3 + slope**2 * ends**3 / 27 + slope / 6
    t = scipy.stats.t.ppf(0.975, dof)
    assert 1 < dof < 2 and reached == pytest.approx([-t, t])
    even = np.array([1.0, 2, 3, 4, 5])
    sums = [(even**power).sum() for power in (1, 2, 3)]
    same = metrics.mean_interval(*sums[:2], 5, cubes=sums[2])
    assert same.high == pytest.approx(float(metrics.mean_interval(*sums[:2], 5).high))
    two = metrics.mean_interval(5.0, 17.0, 2, cubes=65.0)
    assert np.isfinite([two.low, two.high]).all()


def test_intervals_cover_the_mean_of_a_long_tail():
    """Money of 100 customers, most of them without any: one plain interval in ten fails."""
    rng = np.random.default_rng(20260102)
    spend = rng.lognormal(3, 1, (4000, 100)) * (rng.random((4000, 100)) < 0.3)
    truth = 0.3 * np.exp(3.5)
    sums = [(spend**power).sum(1) for power in (1, 2, 3)]
    found = metrics.mean_interval(*sums[:2], 100, cubes=sums[2])
    plain = metrics.mean_interval(*sums[:2], 100)
    held = [np.mean((each.low <= truth) & (truth <= each.high)) for each in (plain, found)]
    assert held[0] < 0.92 < 0.93 < held[1] < 0.97, held


@pytest.mark.parametrize("n", [30, 53, 300])
def test_a_tail_as_long_as_that_of_a_year_of_margin_is_covered_at_any_size(n):
    """Gamma with skewness 3 and inverse Gaussian with skewness 3: neither is the one assumed."""
    rng = np.random.default_rng([20260103, n])
    draws = {
        "gamma": (rng.gamma(4 / 9, 1, (3000, n)), 4 / 9),
        "inverse Gaussian": (rng.wald(1, 1, (3000, n)), 1.0),
    }
    for name, (spend, truth) in draws.items():
        sums = [(spend**power).sum(1) for power in (1, 2, 3)]
        found = metrics.mean_interval(*sums[:2], n, cubes=sums[2])
        held = np.mean((found.low <= truth) & (truth <= found.high))
        assert 0.935 < held < 0.975, (name, held)


def test_intervals_cover():
    rng = np.random.default_rng(20260101)
    spend = rng.lognormal(3, 0.6, (3000, 200)) * (rng.random((3000, 200)) < 0.5)
    mean = metrics.mean_interval(spend.sum(1), (spend**2).sum(1), 200)
    truth = 0.5 * np.exp(3 + 0.18)
    assert 0.93 < np.mean((mean.low <= truth) & (truth <= mean.high)) < 0.97
    for p in (0.05, 0.4):
        share = metrics.wilson(rng.binomial(120, p, 3000), 120)
        assert 0.93 < np.mean((share.low <= p) & (p <= share.high)) < 0.975


def products(part, whole):
    """Sum over customers, the last axis, as the summaries do."""
    sums = {"k": part, "n": whole, "k_k": part**2, "k_n": part * whole, "n_n": whole**2}
    found = {name: values.sum(axis=-1) for name, values in sums.items()}
    return pd.DataFrame(found).assign(customers=part.shape[-1])


@pytest.mark.parametrize(("customers", "p"), [(15, 0.4), (90, 0.08), (90, 0.4)])
def test_shares_hold_the_truth_though_customers_come_more_than_once(customers, p):
    rng = np.random.default_rng(11)
    messages = 1 + rng.poisson(3, (3000, customers))
    own = rng.beta(2 * p, 2 * (1 - p), messages.shape)
    sums = products(rng.binomial(messages, own), messages)
    alike = metrics.design_effect(sums, "k", "n")

    def covered(design):
        share = metrics.wilson(sums["k"], sums["n"], design=design)
        return np.mean((share.low <= p) & (p <= share.high))

    assert covered(1.0) < 0.86, "as if every message were drawn on its own"
    assert 0.93 < covered(alike) < 0.975


def test_design_effect_by_hand():
    once = products(np.array([[1, 0, 0, 1, 0] * 4]), np.ones((1, 20), int))
    assert metrics.design_effect(once, "k", "n") == pytest.approx(1)
    part, whole = np.array([[4, 0, 1, 0] * 5]), np.array([[4, 2, 1, 3] * 5])
    share, groups, n = part.sum() / whole.sum(), 20, whole.sum()
    ratio = ((part - share * whole) ** 2).sum() / (n * share * (1 - share))
    few = groups / (groups - 1) * (n - 1) / n
    few *= (scipy.stats.t.ppf(0.975, groups - 1) / scipy.stats.t.ppf(0.975, n - 1)) ** 2
    assert metrics.design_effect(products(part, whole), "k", "n") == pytest.approx(ratio * few)


def test_design_effect_of_rare_events_is_that_of_the_whole_table():
    whole = np.full((3, 40), 5)
    often = np.tile([5, 0, 0, 0], 10)
    rare, never = np.zeros(40, int), np.zeros(40, int)
    rare[0] = 1
    sums = products(np.array([often, rare, never]), whole)
    alike = metrics.design_effect(sums, "k", "n")
    assert alike[1] == alike[2] > 4, "one event more cannot make an interval so much shorter"
    shares = metrics.wilson(sums["k"], sums["n"], design=alike)
    assert shares.high[2] < shares.high[1]
    alone = metrics.design_effect(sums[2:], "k", "n")
    assert alone[0] > 4, "as if each customer always did the same"
    nobody = products(np.zeros((1, 2), int), np.zeros((1, 2), int))
    assert np.isnan(metrics.wilson(0, 0, design=metrics.design_effect(nobody, "k", "n")).low)


def test_without_products_there_is_a_share_and_no_interval():
    sums = products(np.full((1, 12), 1), np.full((1, 12), 2)).assign(n_n=np.nan)
    share = metrics.wilson(sums["k"], sums["n"], design=metrics.design_effect(sums, "k", "n"))
    assert share.value == [0.5] and np.isnan([share.low, share.high]).all()


def gaps_frame(days, event, n=1, order_number=1):
    return pd.DataFrame({"order_number": order_number, "days": days, "event": event, "n": n})


# Remission times of 21 patients on 6-MP (Freireich et al. 1963), the textbook example.
SIX_MP = gaps_frame(
    [6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 34, 35],
    [True] * 7 + [False] * 11,
    [3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1],
)


def test_survival_is_the_textbook_kaplan_meier():
    curve = repurchase.survival(SIX_MP).set_index("days")
    textbook = {6: 0.8571, 7: 0.8067, 10: 0.7529, 13: 0.6902, 16: 0.6275, 22: 0.5378, 23: 0.4482}
    assert curve.loc[list(textbook), "waiting"].tolist() == pytest.approx(
        list(textbook.values()), abs=5e-5
    )
    assert curve.loc[list(textbook), "at_risk"].tolist() == [21, 17, 15, 12, 11, 7, 6]
    assert curve.loc[6, ["low", "high"]].tolist() == pytest.approx([0.6197, 0.9516], abs=5e-5)


def test_survival_without_open_waits_is_a_simple_share():
    rng = np.random.default_rng(5)
    waits = rng.integers(1, 40, 300)
    curve = repurchase.survival(gaps_frame(waits, True))
    assert curve["waiting"].to_numpy() == pytest.approx([np.mean(waits > d) for d in curve["days"]])


def test_survival_does_not_depend_on_the_order_or_grouping_of_rows():
    single = SIX_MP.loc[SIX_MP.index.repeat(SIX_MP["n"])].assign(n=1).sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(repurchase.survival(single), repurchase.survival(SIX_MP))


def test_repeat_within_counts_who_is_still_seen():
    found = repurchase.repeat_within(SIX_MP, 10)
    assert found.value == pytest.approx(1 - 0.7529, abs=5e-5)
    assert found.low < found.value < found.high
    assert found.n == 15
    assert repurchase.repeat_within(SIX_MP, 12).value == found.value


def test_repeat_within_is_missing_beyond_what_was_seen():
    found = repurchase.repeat_within(SIX_MP, 36)
    assert np.isnan([found.value, found.low, found.high]).all()
    assert "36 days" in found.reason
    assert np.isnan(repurchase.repeat_within(SIX_MP, 10, order_number=2).value)
    assert repurchase.repeat_within(gaps_frame([3, 5], True), 30).value == 1


def test_repeat_within_when_nobody_came_back():
    found = repurchase.repeat_within(gaps_frame([40, 90], False, [30, 20]), 60)
    assert (found.value, found.low, found.n) == (0, 0, 20)
    assert found.high == pytest.approx(float(metrics.wilson(0, 20).high))
    early = repurchase.repeat_within(gaps_frame([40, 90], False, [30, 20]), 30)
    assert (early.value, early.n) == (0, 50)
    with pytest.raises(UsageError, match="days == 0"):
        repurchase.repeat_within(SIX_MP, 0)


def test_repeat_within_covers_in_a_growing_shop():
    rng = np.random.default_rng(77)
    hits = []
    for _ in range(300):
        wait = np.where(rng.random(150) < 0.6, rng.exponential(60, 150), np.inf)
        seen = 365 * rng.random(150) ** 2
        days = np.ceil(np.minimum(wait, seen))
        found = repurchase.repeat_within(gaps_frame(days, wait <= seen), 90)
        hits.append(found.low <= 0.6 * (1 - np.exp(-90 / 60)) <= found.high)
    assert 0.92 < np.mean(hits) < 0.98


def test_inactivity_window_is_the_percentile_when_all_gaps_are_seen():
    gaps = gaps_frame(np.arange(1, 101), True, 50)
    found = repurchase.inactivity_window(gaps)
    assert (found.days, found.horizon, found.closed, found.open) == (90, 100, 5000, 0)
    assert found.come_back == pytest.approx(1)
    assert repurchase.inactivity_window(gaps, quantile=0.5).days == 50


def test_inactivity_window_is_not_shortened_by_late_customers():
    rng = np.random.default_rng(11)
    wait, seen = rng.uniform(0, 100, 20000), 120 * rng.random(20000)
    days, event = np.ceil(np.minimum(wait, seen)), wait <= seen
    assert np.quantile(days[event], 0.9) < 85
    assert repurchase.inactivity_window(gaps_frame(days, event)).days in range(88, 93)


def test_inactivity_window_with_its_consequence():
    gaps = pd.concat([gaps_frame([10, 50], True, [80, 20]), gaps_frame([400], False, 100)])
    found = repurchase.inactivity_window(gaps, quantile=0.8)
    assert (found.days, found.horizon) == (10, 50)
    assert found.come_back == pytest.approx(20 / 120)


def test_inactivity_window_is_missing_where_nobody_returns():
    found = repurchase.inactivity_window(gaps_frame([10, 20], False, 100))
    assert found.days is None
    assert "No repeat purchase" in found.reason
    assert repurchase.inactivity_window(gaps_frame([10], True, 5)).days is None
    with pytest.raises(UsageError, match="quantile"):
        repurchase.inactivity_window(SIX_MP, quantile=1)


def test_churn_rate_by_hand():
    # A purchase on the window's last day is in time.
    gaps = gaps_frame([10, 30, 31, 200], [True, True, True, False], [2, 3, 2, 1])
    found = repurchase.churn_rate(gaps, 30)
    assert found.lost_share == pytest.approx(3 / 8)
    assert found.active_months == pytest.approx((2 * 10 + 6 * 30) / 8 / metrics.DAYS_PER_MONTH)
    assert found.rate == pytest.approx(3 / 8 / found.active_months)
    assert found.low < found.rate < found.high
    assert found.n == 6


def test_churn_rate_when_nobody_came_back():
    found = repurchase.churn_rate(gaps_frame([60, 20], False, [10, 5]), 30)
    assert found.lost_share == 1
    assert found.rate == pytest.approx(metrics.DAYS_PER_MONTH / 30)
    assert np.isnan(found.low)


def test_churn_rate_is_missing_before_the_history_is_one_window_long():
    found = repurchase.churn_rate(gaps_frame([10, 20], [True, False], 10), 30)
    assert np.isnan([found.rate, found.low, found.high]).all()
    assert "no wait as long" in found.reason
    assert np.isnan(repurchase.churn_rate(gaps_frame([], [], []), 30).rate)
    kept = repurchase.churn_rate(gaps_frame([30], [True], 10), 30)
    assert kept.rate == 0
    assert kept.reason
    with pytest.raises(UsageError, match="window_days"):
        repurchase.churn_rate(SIX_MP, 0)


def test_a_longer_window_means_a_lower_churn_rate():
    rates = [repurchase.churn_rate(SIX_MP, window).rate for window in (7, 14, 21, 28)]
    assert rates == sorted(rates, reverse=True)


def purchase_gaps(rng, customers, history):
    """Customers who come back with probability 0.8, after 25 days on average."""
    rows = []
    for start in rng.uniform(0, history, customers):
        at = int(start)
        while True:
            wait = np.ceil(rng.exponential(25)) if rng.random() < 0.8 else np.inf
            if at + wait > history:
                rows.append((history - at, False))
                break
            rows.append((int(wait), True))
            at += int(wait)
    return gaps_frame(*zip(*rows, strict=True))


def test_churn_rate_covers_where_customers_differ():
    """Half of the customers come back nearly always: their many gaps are not many customers."""
    rng, shops, held = np.random.default_rng(7), 100, []
    for _ in range(shops):
        rows = []
        for customer in range(120):
            loyal = rng.random() < 0.5
            at, history = 0, int(rng.integers(200, 500))
            while True:
                wait = (
                    np.ceil(rng.exponential(20)) if rng.random() < (0.95 if loyal else 0.3) else 999
                )
                rows.append((customer % 20, int(min(wait, history - at)), at + wait <= history))
                if at + wait > history:
                    break
                at += int(wait)
        parts = pd.DataFrame(rows, columns=["part", "days", "event"]).assign(n=1)
        found = repurchase.churn_rate(parts, 60, parts=parts)
        held.append((found.rate, found.low, found.high, repurchase.churn_rate(parts, 60)))
    truth = np.mean([rate for rate, *_ in held])
    assert 0.9 < np.mean([low <= truth <= high for _, low, high, _ in held]) < 0.985
    own, plain = (np.mean([high - low for low, high in ends]) for ends in (
        [(low, high) for _, low, high, _ in held], [(p.low, p.high) for *_, p in held]
    ))  # fmt: skip
    assert own > 1.1 * plain


@pytest.mark.parametrize("history", [150, 600])
def test_churn_rate_covers_the_truth_in_a_young_shop_and_in_an_old_one(history):
    rng = np.random.default_rng(42)
    found = [repurchase.churn_rate(purchase_gaps(rng, 80, history), 90) for _ in range(200)]
    waiting = 0.2 + 0.8 * np.exp(-np.arange(91) / 25)
    truth = waiting[90] / waiting[:90].sum() * metrics.DAYS_PER_MONTH
    hits = [f.low <= truth <= f.high for f in found]
    assert 0.91 < np.mean(hits) < 0.985
