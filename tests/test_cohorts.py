"""Triangles: states, eligible averages, intervals; against a slow and obvious reference."""

import calendar
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st
from scipy import stats
from test_ltv import cohort_ages_of

from helpers.errors import DataError, UsageError
from helpers.measures import cohorts, ltv

MIN_CELL, SMALL = 2, 4


def last_day(month):
    return month.replace(day=calendar.monthrange(month.year, month.month)[1])


def months_later(month, age):
    count = month.year * 12 + month.month - 1 + age
    return date(count // 12, count % 12 + 1, 1)


def window(first, age, unit):
    """First and last day of an age for a customer who came on ``first``."""
    if unit == "month":
        start = months_later(first.replace(day=1), age)
        return start, last_day(start)
    if unit == "days30":
        return first + timedelta(30 * age), first + timedelta(30 * age + 29)
    before = max((h for h in (0, *ltv.HORIZONS) if h < age), default=0)
    return first + timedelta(before), first + timedelta(age - 1)


def reference(orders, *, measure, unit, cumulative, as_of, truncated):
    """Work every cell out from single customers: state, members' amounts, activity."""
    firsts = {}
    for customer, day, *_ in sorted(orders, key=lambda order: order[1]):
        firsts.setdefault(customer, day)
    groups = {}
    for customer, day in firsts.items():
        groups.setdefault(day.replace(day=1), []).append(customer)
    cells = {}
    for cohort, members in groups.items():
        for age in ltv.HORIZONS if unit == "horizon" else range(40):
            ends = max(window(d, age, unit)[1] for d in (cohort, last_day(cohort)))
            state = ""
            if len(members) < MIN_CELL:
                state = "suppressed"
            elif cohort in truncated:
                state = "left_truncated"
            elif ends > as_of:
                state = "immature"
            elif len(members) < SMALL:
                state = "small"
            amounts = []
            for customer in members:
                start, end = window(firsts[customer], age, unit)
                start = firsts[customer] if cumulative else start
                mine = [o for o in orders if o[0] == customer and start <= o[1] <= end]
                amounts.append(
                    float(bool(mine)) if measure == "retention" else sum(o[2] for o in mine)
                )
            cells[cohort, age] = (state, ends <= as_of, amounts)
    return cells


def build(orders):
    frame = pd.DataFrame(orders, columns=["customer", "day", "revenue"])
    return cohort_ages_of(frame.assign(margin=frame["revenue"] * 0.5, channel="ads"))


shops = st.lists(
    st.tuples(
        st.integers(0, 14),
        st.dates(date(2025, 1, 1), date(2025, 7, 31)),
        st.integers(1, 5000).map(lambda cents: cents / 100),
    ),
    min_size=3,
    max_size=40,
).filter(lambda orders: len({order[:2] for order in orders}) == len(orders))


@given(
    orders=shops,
    as_of=st.dates(date(2025, 3, 1), date(2025, 9, 30)),
    kind=st.sampled_from([("retention", False), ("revenue", False), ("revenue", True)]),
    unit=st.sampled_from(ltv.AGE_UNITS),
    starts=st.sampled_from([None, date(2024, 12, 1), date(2025, 1, 15), date(2025, 3, 1)]),
    opened=st.sampled_from([None, date(2024, 1, 1), date(2025, 3, 1)]),
    left_out=st.integers(0, 3),
)
@tries(max_examples=50, deadline=None, derandomize=True)
def test_every_cell_and_the_pooled_row_equal_the_slow_reference(
    orders, as_of, kind, unit, starts, opened, left_out
):
    measure, cumulative = kind
    orders = [order for order in orders if order[1] <= as_of]
    if not orders:
        return
    found = cohorts.triangle(
        build(orders), measure=measure, cumulative=cumulative, age_unit=unit, as_of=as_of,
        history_starts_at=starts, opened_at=opened, min_cell=MIN_CELL, small=SMALL,
        run_in=left_out,
    )  # fmt: skip
    months = sorted({cohort.date() for cohort in found.sizes.index})
    begins = starts or months[0]
    whole = opened is not None and opened >= begins
    limit = months_later(max(begins.replace(day=1), months[0]), left_out - 1)
    truncated = set() if whole or left_out == 0 else {m for m in months if m <= limit}
    cells = reference(
        orders, measure=measure, unit=unit, cumulative=cumulative, as_of=as_of, truncated=truncated
    )
    for age in found.values.columns:
        pool = []
        for cohort in found.values.index:
            state, seen, amounts = cells[cohort.date(), age]
            value = found.values.loc[cohort, age]
            assert found.states.loc[cohort, age] == state
            if state == "suppressed" or not seen:
                assert np.isnan(value)
            else:
                assert value == pytest.approx(np.mean(amounts), abs=1e-9)
            if state in ("", "small"):
                pool.append(amounts)
        row, merged = found.pooled.loc[age], [x for amounts in pool for x in amounts]
        assert (row["customers"], row["cohorts"]) == (len(merged), len(pool))
        if not merged:
            assert row[["value", "low", "high"]].isna().all()
            continue
        assert row["value"] == pytest.approx(np.mean(merged), abs=1e-9)
        if measure == "revenue" and len(merged) > 1 and np.ptp(merged) > 0.01:
            n, se = len(merged), np.std(merged, ddof=1) / np.sqrt(len(merged))
            # Hall's transformation takes the upper end to Student's t; of sums of several steps,
            # with fewer degrees of freedom where the sample is skewed.
            end = (row["value"] - row["high"]) / se
            skew = stats.skew(merged, bias=n < 3) * (np.sqrt(2) if n < 3 else 1)
            slope, dof = skew / np.sqrt(n), n - 1
            if cumulative:
                dof = max(dof / max(1, skew**2 / 2), 1)
            reached = end + slope * end**2 / 3 + slope**2 * end**3 / 27 + slope / 6
            assert reached == pytest.approx(-stats.t.ppf(0.975, dof), rel=1e-6)


@given(orders=shops, as_of=st.dates(date(2025, 3, 1), date(2026, 9, 30)))
@tries(max_examples=15, deadline=None, derandomize=True)
def test_pooled_row_agrees_with_historical_ltv(orders, as_of):
    ages = build([order for order in orders if order[1] <= as_of] or orders[:1])
    found = cohorts.triangle(
        ages, measure="margin", cumulative=True, age_unit="horizon", as_of=as_of,
        opened_at=date(2025, 1, 1), history_starts_at=date(2025, 1, 1), min_cell=1,
    )  # fmt: skip
    table = ltv.ltv_historical(ages, as_of=as_of, min_cell=1).set_index("horizon")
    for horizon, row in found.pooled.iterrows():
        if row["cohorts"]:
            assert row["value"] == pytest.approx(table.loc[horizon, "per_customer"])
            assert row["customers"] == table.loc[horizon, "customers"]


# Five cohorts of 2, 2, 3, 1 and 5 customers.
ORDERS = [
    ("a", date(2025, 1, 3), 10.0),
    ("b", date(2025, 1, 20), 20.0),
    ("a", date(2025, 2, 5), 30.0),
    ("c", date(2025, 2, 1), 10.0),
    ("d", date(2025, 2, 2), 10.0),
    ("c", date(2025, 4, 2), 50.0),
    *[(name, date(2025, 3, 10), 12.0) for name in "efg"],
    ("e", date(2025, 4, 30), 8.0),
    ("h", date(2025, 4, 4), 99.0),
    *[(name, date(2025, 5, 31), 5.0 + day) for day, name in enumerate("ijklm")],
]


def draw(orders=ORDERS, **options):
    options = {"measure": "retention", "as_of": "2025-05-31", "min_cell": 2, "small": 3, **options}
    return cohorts.triangle(build(orders), **options)


def test_states_come_in_order():
    found = draw()
    states = found.states
    assert found.values.columns.tolist() == [0, 1, 2, 3, 4]
    assert (states.loc["2025-01-01"] == "left_truncated").all()
    assert (states.loc["2025-04-01"] == "suppressed").all()
    assert states.loc["2025-02-01"].tolist() == ["small"] * 4 + ["immature"]
    assert states.loc["2025-03-01"].tolist() == [""] * 3 + ["immature"] * 2
    assert found.values.loc["2025-02-01"].tolist()[:4] == [1, 0, 0.5, 0]
    assert found.values.loc["2025-03-01", [3, 4]].isna().all()
    assert found.values.loc["2025-04-01"].isna().all()
    assert found.sizes.tolist() == [2, 2, 3, 1, 5]


def test_a_true_zero_and_a_missing_cell_are_not_the_same():
    values = draw().values
    assert values.loc["2025-02-01", 1] == 0
    assert np.isnan(values.loc["2025-05-01", 1])


def test_pooled_by_hand():
    pooled = draw().pooled
    assert pooled["customers"].tolist() == [10, 5, 5, 2, 0]
    assert pooled["cohorts"].tolist() == [3, 2, 2, 1, 0]
    assert pooled["value"].tolist()[:4] == pytest.approx([1, 1 / 5, 1 / 5, 0])
    assert np.isnan(pooled.loc[4, "value"])


def test_pooled_with_a_history_known_to_be_whole():
    whole = draw(opened_at=date(2025, 1, 1), history_starts_at=date(2025, 1, 1))
    assert whole.pooled["customers"].tolist() == [12, 7, 7, 4, 2]
    assert whole.pooled.loc[1, "value"] == pytest.approx(2 / 7)


def test_retention_has_no_interval_at_the_first_age():
    found = draw()
    assert found.low[0].isna().all()
    assert np.isnan(found.pooled.loc[0, "low"])
    assert found.pooled.loc[1, "low"] < 0.2 < found.pooled.loc[1, "high"]


def test_cumulative_margin():
    found = draw(measure="margin", cumulative=True)
    assert found.values.loc["2025-01-01"].tolist() == [7.5, 15, 15, 15, 15]
    assert found.values.loc["2025-02-01"].tolist()[:4] == [5, 5, 17.5, 17.5]
    assert found.coverage == 1
    assert np.isnan(found.low.loc["2025-02-01", 0])
    assert found.low.loc["2025-02-01", 2] < 17.5 < found.high.loc["2025-02-01", 2]


def test_orders_have_no_interval():
    found = draw(measure="orders")
    assert found.pooled.loc[1, "value"] == pytest.approx(1 / 5)
    assert found.low.isna().all().all()


def test_margin_is_missing_where_no_cost_is_known():
    ages = build(ORDERS).assign(margin=0.0, cost=0.0)
    found = cohorts.triangle(ages, measure="margin", as_of="2025-05-31", min_cell=1)
    assert found.coverage == 0
    assert found.values.isna().all().all()
    assert found.pooled["value"].isna().all()


def test_first_cohort_of_a_channel_is_not_the_first_of_the_shop():
    frame = pd.DataFrame(ORDERS, columns=["customer", "day", "revenue"]).assign(margin=1.0)
    frame["channel"] = np.where(frame["customer"].isin(list("efg")), "mail", "ads")
    found = cohorts.triangle(
        cohort_ages_of(frame), measure="retention", as_of="2025-05-31", dimension="channel",
        value="mail", min_cell=1, small=1,
    )  # fmt: skip
    assert found.states.loc["2025-03-01"].tolist() == [""] * 3


def test_left_truncated_cohorts():
    months = ["2025-01-01", "2025-02-01", "2025-03-01"]
    first = (pd.Timestamp("2025-01-01"),)
    assert cohorts.left_truncated(months) == first
    assert cohorts.left_truncated(months, opened_at=date(2024, 6, 1)) == first
    assert cohorts.left_truncated(months, opened_at=date(2025, 1, 15)) == ()
    later = cohorts.left_truncated(months, history_starts_at=date(2025, 2, 10))
    assert later == (*first, pd.Timestamp("2025-02-01"))
    assert cohorts.left_truncated(months, history_starts_at=date(2024, 6, 1)) == first
    same = {"history_starts_at": date(2025, 1, 1), "opened_at": date(2025, 1, 1)}
    assert cohorts.left_truncated(months, **same) == ()
    assert cohorts.left_truncated([]) == ()


def test_one_cohort_of_one_customer_shows_nothing():
    found = draw([("a", date(2025, 1, 3), 10.0)])
    assert found.values.isna().all().all()
    assert (found.states == "suppressed").all().all()
    assert found.pooled["customers"].eq(0).all()


def test_a_month_that_is_not_over_is_immature():
    found = draw(as_of="2025-01-30", orders=ORDERS[:2], opened_at=date(2025, 1, 1))
    assert found.states.to_numpy().tolist() == [["immature"]]
    assert found.values.isna().all().all()


def test_a_shop_without_customers_is_empty():
    found = cohorts.triangle(build(ORDERS).iloc[:0], measure="margin", as_of="2025-05-31")
    assert found.values.empty
    assert found.pooled.empty


def test_inputs_are_left_alone():
    ages = build(ORDERS)
    before = ages.copy(deep=True)
    cohorts.triangle(ages, measure="revenue", as_of="2025-05-31")
    pd.testing.assert_frame_equal(ages, before)
    shuffled = cohorts.triangle(
        ages.sample(frac=1, random_state=2), measure="revenue", as_of="2025-05-31"
    )
    same = cohorts.triangle(ages, measure="revenue", as_of="2025-05-31")
    pd.testing.assert_frame_equal(shuffled.values, same.values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measure": "retenton"}, "Did you mean 'retention'"),
        ({"age_unit": "week"}, "no age unit"),
        ({"cumulative": True}, "cannot be cumulated"),
        ({"measure": "aov", "cumulative": True}, "is not cumulated"),
        ({"run_in": -1}, "0 or more months"),
        ({"dimension": "chanel"}, "Did you mean 'channel'"),
        ({"dimension": "channel", "value": "add"}, "Did you mean 'ads'"),
    ],
)
def test_wrong_requests_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        draw(**options)


def test_more_than_one_value_must_be_named():
    frame = pd.DataFrame(ORDERS, columns=["customer", "day", "revenue"]).assign(margin=1.0)
    ages = cohort_ages_of(frame.assign(channel=frame["customer"]))
    with pytest.raises(UsageError, match="13 values"):
        cohorts.triangle(ages, measure="revenue", as_of="2025-05-31", dimension="channel")


def test_a_summary_without_the_column_is_a_data_error():
    with pytest.raises(DataError, match="no column 'refunds'"):
        cohorts.triangle(
            build(ORDERS).drop(columns="refunds"), measure="refunds", as_of="2025-05-31"
        )


def test_payback_of_the_pooled_row_and_of_cohorts():
    found = draw(measure="margin", cumulative=True)
    table = cohorts.payback(found, 8)
    assert table.loc["pooled", ["state", "age"]].tolist() == ["paid back", 3]
    assert table.loc[pd.Timestamp("2025-02-01"), ["state", "age"]].tolist() == ["paid back", 3]
    march = table.loc[pd.Timestamp("2025-03-01")]
    assert (march["state"], march["at_least"]) == ("not yet", 3)
    assert np.isnan(march["age"])
    assert table.loc[pd.Timestamp("2025-01-01"), "state"] == "unknown"
    assert table.loc[pd.Timestamp("2025-04-01"), "state"] == "unknown"
    days = cohorts.payback(draw(measure="margin", cumulative=True, age_unit="days30"), 5)
    assert days.loc[pd.Timestamp("2025-02-01"), "age"] == 30
    assert (cohorts.payback(found, np.nan)["state"] == "unknown").all()
    with pytest.raises(UsageError, match="cumulative"):
        cohorts.payback(draw(), 7)


def test_cell_intervals_cover():
    rng = np.random.default_rng(8)
    months, each = 240, 150
    starts = pd.date_range("2000-01-01", periods=months, freq="MS")
    frame = pd.DataFrame({"customer": np.arange(months * each), "day": np.repeat(starts, each)})
    again = frame[rng.random(len(frame)) < 0.3]
    again = again.assign(day=again["day"] + pd.DateOffset(months=1))
    frame = pd.concat([frame, again])
    frame["revenue"] = rng.lognormal(3, 0.4, len(frame))
    ages = cohort_ages_of(frame.assign(margin=frame["revenue"] / 2, channel="ads"))
    options = {"as_of": "2020-12-31", "opened_at": date(2000, 1, 1)}
    for measure, truth in (("retention", 0.3), ("margin", 0.3 * 0.5 * np.exp(3.08))):
        found = cohorts.triangle(ages, measure=measure, **options)
        hits = (found.low[1] <= truth) & (truth <= found.high[1])
        assert 0.91 < hits.mean() < 0.985
        assert len(hits) == months


def test_cells_that_some_have_entered_are_told_from_those_not_begun():
    found = draw(measure="revenue", cumulative=True, age_unit="days30")
    march = found.states.loc["2025-03-01"]
    # March's first member entered the third step on 30 April, its last may end it in June.
    assert march[2] == "immature" and found.begun.loc["2025-03-01", 2]
    assert march[3] == "immature" and found.begun.loc["2025-03-01", 3] == (
        pd.Timestamp("2025-05-30") <= pd.Timestamp("2025-05-31")
    )
    assert not found.begun.loc["2025-05-01", 2]
