"""Projections: against simulated truth, what a back-test chooses, and where there is no number."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest

from helpers.errors import DataError, UsageError
from helpers.measures.cohorts import triangle
from helpers.models import curves, prediction
from helpers.models.projection import cells_of, project
from helpers.summaries import resampling
from helpers.summaries.ages import cohort_ages
from helpers.summaries.days import in_turn
from helpers.summaries.expressions import PARTS

FIRST = pd.Timestamp("2023-01-01")


def shop(
    rng,
    months=24,
    size=300,
    later=14,
    shape=0.35,
    rate=0.16,
    decline=0.06,
    refunds=0.1,
    season=None,
):
    """Customers won monthly, who buy by gamma rates that decline with age: (rows, later rows).

    Rows are those of ``cohort_groups`` in calendar months, as seen and with ``later`` months more.
    """
    total = months + later
    parts = []
    for cohort in range(months):
        rates = rng.gamma(shape, rate / shape, size)
        ages = np.arange(total - cohort)
        mean = rates[:, None] * np.exp(-decline * ages)
        if season is not None:
            mean = mean * season[(cohort + ages) % 12]
        orders = rng.poisson(mean)
        orders[:, 0] = 1
        spend = rng.gamma(2.0, 10.0, orders.shape) * orders
        spend = np.where(rng.random(orders.shape) < refunds, -4.0, spend) * (orders > 0)
        member = np.eye(PARTS)[rng.integers(0, PARTS, size)].T
        sums = {
            "active": member @ (orders > 0),
            "orders": member @ orders,
            "margin": member @ spend,
        }
        part = pd.DataFrame({name: each.ravel() for name, each in sums.items()})
        group, age = np.indices((PARTS, len(ages))).reshape(2, -1)
        customers = np.repeat(member.sum(axis=1), len(ages))
        part = part.assign(cohort=cohort, group=group, age=age, customers=customers)
        parts.append(part[customers > 0])
    rows = pd.concat(parts, ignore_index=True)
    seen = rows["cohort"] + rows["age"] < months
    starts = pd.date_range(FIRST, periods=months, freq="MS")
    rows["cohort"] = starts[rows["cohort"]]
    rows = rows.assign(age_unit="month", revenue=2 * rows["margin"] + 9 * rows["orders"])
    return rows[seen], rows


def as_of(months):
    return (FIRST + pd.DateOffset(months=months) - pd.Timedelta(days=1)).date()


def triangle_of(rows, measure="retention", months=24, **options):
    keys = ["cohort", "age"]
    sizes = rows.drop_duplicates(["cohort", "group"]).groupby("cohort")["customers"].sum()
    found = rows.groupby(keys)[["active", "orders", "margin", "revenue"]].sum().reset_index()
    found = found.join(sizes, on="cohort").assign(age_unit="month", dimension="all", value="all")
    # Where no margin is known, no cost is.
    found["cost"] = (found["revenue"] - found["margin"]) * (found["margin"].abs().max() > 0)
    given = {"opened_at": FIRST.date(), "cumulative": measure != "retention", **options}
    return triangle(found, measure=measure, as_of=as_of(months), **given)


@pytest.mark.parametrize("measure", ["retention", "margin"])
def test_intervals_hold_what_came(measure):
    rng, held = np.random.default_rng(5), []
    for _ in range(8):
        rows, later = shop(rng, size=150)
        found = project(rows, triangle_of(rows, measure))
        column = "active" if measure == "retention" else "margin"
        came = later.groupby(["cohort", "age"])[column].sum().unstack("age")
        came = came.cumsum(axis=1) if measure == "margin" else came
        table = found.table[found.table["low"].notna() & ~found.table["observed"]]
        at = [came.loc[c, a] / 150 for c, a in zip(table["cohort"], table["age"], strict=True)
              if a in came and np.isfinite(came.loc[c, a])]  # fmt: skip
        table = table[[a in came and np.isfinite(came.loc[c, a])
                       for c, a in zip(table["cohort"], table["age"], strict=True)]]  # fmt: skip
        held.append(((table["low"] - 1e-9 <= at) & (at <= table["high"] + 1e-9)).mean())
    assert 0.825 <= np.mean(held) <= 0.97


def test_table_says_what_each_number_is():
    rows, _ = shop(np.random.default_rng(1))
    found = project(rows, triangle_of(rows, "margin", history_starts_at=None, opened_at=None))
    table = found.table
    first = table[table["cohort"] == FIRST]
    assert set(first["state"]) == {"left_truncated"}
    assert first["estimate"].isna().all()
    observed = table[table["observed"]]
    values = triangle_of(rows, "margin").values
    for row in observed.itertuples():
        assert row.estimate == values.loc[row.cohort, row.age]
    told = table[table["state"].isin(["projected", "extrapolated"])]
    assert (told["low"] < told["estimate"]).all()
    assert (told["estimate"] < told["high"]).all()
    assert (told.loc[told["age"] > 22, "state"] == "extrapolated").all()
    assert set(table[table["cohort"] == "2024-12-01"]["state"]) == {"too young"}
    assert found.backtest["chosen"].any()
    assert found.method == found.backtest.loc[found.backtest["chosen"], "method"].iloc[0]


def test_numbers_that_may_not_be_used_change_nothing():
    rows, _ = shop(np.random.default_rng(2))
    plain = project(rows, triangle_of(rows, opened_at=None)).table
    wild = rows.assign(active=rows["active"].where(rows["cohort"] != FIRST, rows["customers"]))
    other = project(wild, triangle_of(wild, opened_at=None)).table
    pd.testing.assert_frame_equal(plain, other)
    tiny = rows[rows["cohort"] == "2023-05-01"].drop_duplicates("age")
    tiny = tiny.assign(group=3, customers=5, active=tiny["active"].clip(upper=5))
    hidden = pd.concat([rows[rows["cohort"] != "2023-05-01"], tiny])
    found = project(hidden, triangle_of(hidden)).table
    assert set(found.loc[found["cohort"] == "2023-05-01", "state"]) == {"suppressed"}
    assert found.loc[found["cohort"] == "2023-05-01", "estimate"].isna().all()


def test_a_season_is_found_and_the_curve_wins_where_it_rules():
    season = np.array([0.4, 0.4, 0.6, 0.8, 1, 1, 1, 1, 1, 1.2, 1.6, 2.0])
    rows, _ = shop(
        np.random.default_rng(3), months=30, size=500, season=season, decline=0.02, rate=0.3
    )
    found = project(rows, triangle_of(rows, months=30))
    assert found.method == "curve"
    # The share who buy saturates, so its season is flatter than that of orders.
    assert np.corrcoef(found.season, season)[0, 1] > 0.95


def test_a_cohort_above_its_band_calls_for_a_new_forecast():
    rows, _ = shop(np.random.default_rng(4), size=400)
    risen = (rows["cohort"] == "2023-06-01") & (rows["age"] > 12)
    rows = rows.assign(active=rows["active"].where(~risen, rows["customers"] * 0.6))
    found = project(rows, triangle_of(rows)).forecasts.set_index("cohort")
    assert found.loc["2023-06-01", "verdict"] == "above"
    assert found.loc["2023-06-01", "actual"] == pytest.approx(0.6)
    others = found.drop(pd.Timestamp("2023-06-01"))
    assert (others["verdict"] == "inside").mean() > 0.7
    assert (found["made"] == 6).all()


def test_rates_season_and_jackknife_against_plain_arithmetic():
    rows, _ = shop(np.random.default_rng(6), months=8, size=60)
    cells = cells_of(rows, triangle_of(rows, months=8), 9)
    rates = curves.pooled_rates(cells)
    older = rows[(rows["age"] == 3) & (rows["group"] != 7)]
    sizes = rows.drop_duplicates(["cohort", "group"])
    sizes = sizes[(sizes["group"] != 7) & sizes["cohort"].isin(older["cohort"])]
    assert rates[8, 3] == pytest.approx(older["active"].sum() / sizes["customers"].sum())
    values = np.random.default_rng(0).normal(size=20)
    left = np.array([np.delete(values, i).mean() for i in range(20)])
    estimates = np.append(values.mean(), left)
    assert curves.jackknife_variance(estimates) == pytest.approx(values.var(ddof=1) / 20)
    assert (curves.season(cells) == 1).all()


def test_curve_recovers_its_own_shape_and_never_rises_without_end():
    ages = np.arange(30)
    rate = np.r_[1.0, 0.5 * ages[1:] ** -0.4 * np.exp(-0.05 * ages[1:])]
    amounts = np.repeat((rate * 50)[None, :, None], 5, axis=0) * np.ones(20)
    cells = curves.Cells(
        pd.date_range("2020-01-01", periods=5, freq="MS"), amounts, np.full((5, 20), 50.0),
        np.ones((5, 30), bool), np.zeros((5, 30), int),
    )  # fmt: skip
    fitted = curves.smooth_rates(cells, np.ones(12), 40)
    np.testing.assert_allclose(fitted[0, 1:30], rate[1:], rtol=1e-6)
    late = np.arange(30, 40.0)
    np.testing.assert_allclose(fitted[0, 30:], 0.5 * late**-0.4 * np.exp(-0.05 * late), rtol=1e-6)
    rising = curves.Cells(
        cells.cohorts, amounts * np.exp(0.2 * ages)[:, None], cells.sizes, cells.eligible,
        cells.calendar,
    )  # fmt: skip
    curve = curves.smooth_rates(rising, np.ones(12), 60)[0]
    steps = np.diff(np.log(curve[1:]))
    assert (np.abs(steps[1:]) < np.abs(steps[:-1]) + 1e-12).all(), "a power law slows down"


def test_shrinkage_finds_what_is_real():
    rng = np.random.default_rng(8)
    noise = rng.uniform(0.005, 0.05, 400)
    level = 1 + rng.normal(0, 0.2, 400) + rng.normal(0, np.sqrt(noise))
    weight, between = curves.shrinkage(level, noise)
    assert between == pytest.approx(0.04, rel=0.25)
    assert (np.diff(weight[np.argsort(noise)]) <= 0).all()
    weight, between = curves.shrinkage(1 + rng.normal(0, np.sqrt(noise / 4)), noise)
    assert between == 0
    assert not weight.any()


@pytest.mark.parametrize(("mean", "n"), [(0.002, 100), (0.05, 150), (0.5, 40)])
def test_intervals_of_shares_hold_what_they_say(mean, n):
    rng = np.random.default_rng(9)
    drawn = rng.binomial(n, mean, 20_000) / n
    low, high = prediction.prediction_interval(
        [mean], [mean * (1 - mean) / n], [n], cumulative=False, level=0.9
    )
    assert 0.84 <= ((low <= drawn) & (drawn <= high)).mean() <= 0.96 + 0.04 * (mean < 0.01)


def refuse(rows, match, measure="retention", months=24, **options):
    with pytest.raises(DataError, match=match):
        project(rows, triangle_of(rows, measure, months, **options))


def test_what_cannot_be_projected_says_why():
    rows, _ = shop(np.random.default_rng(10))
    refuse(rows[rows["cohort"] == FIRST], "1 of 1 cohorts")
    refuse(rows[rows["age"] == 0], "ordered again")
    one = rows.drop_duplicates(["cohort", "age"]).assign(customers=1, active=1)
    refuse(one, "0 of 24 cohorts")
    young, _ = shop(np.random.default_rng(11), months=3, size=60)
    refuse(young, "lived through", months=3)
    refuse(rows.assign(margin=0.0, revenue=5.0), "no margin", "margin")
    with pytest.raises(UsageError, match="retention"):
        project(rows, triangle_of(rows, "orders"))
    with pytest.raises(UsageError, match="level"):
        project(rows, triangle_of(rows), level=90)
    with pytest.raises(UsageError, match="horizons"):
        project(rows, triangle_of(rows), horizons=(0,))


def test_odd_cadences_give_numbers_or_say_that_there_is_none():
    rows, _ = shop(np.random.default_rng(12))
    gap = rows[~rows["cohort"].isin(pd.to_datetime(["2023-07-01", "2023-08-01"]))]
    found = project(gap, triangle_of(gap)).table
    assert found.loc[found["state"] == "projected", "estimate"].between(0, 1).all()
    yearly = rows.assign(active=rows["active"].where(rows["age"] % 12 == 0, 0))
    found = project(yearly, triangle_of(yearly))
    assert found.method == "pooled", "no smooth curve has a yearly cadence"
    assert found.table.loc[found.table["age"] == 12, "estimate"].max() > 0
    daily = rows.assign(active=rows["customers"])
    table = project(daily, triangle_of(daily)).table
    told = table.loc[table["state"] == "projected", "estimate"]
    np.testing.assert_allclose(told, 1, atol=0.02)
    few = project(rows, triangle_of(rows), horizons=(60,)).table
    assert set(few["state"]) == {"not observable", "too young"}
    assert few["estimate"].isna().all()
    assert as_of(24) == date(2024, 12, 31)


def test_groups_of_customers_add_up_to_cohorts():
    rng = np.random.default_rng(13)
    n = 400
    first = FIRST + pd.to_timedelta(rng.integers(0, 90, n), unit="D")
    buys = pd.DataFrame({"customer_id": np.repeat(np.arange(n), 3)})
    wait = np.where(np.arange(3 * n) % 3 == 0, 0, rng.integers(0, 200, 3 * n))
    buys["day"] = np.repeat(first, 3) + pd.to_timedelta(wait, unit="D")
    buys = buys.drop_duplicates().assign(
        orders=1, revenue=rng.integers(100, 900, len(buys.drop_duplicates()))
    )
    buys = buys.assign(margin=buys["revenue"] // 2, refunds=0, cost=buys["revenue"] // 2)
    facts = pd.DataFrame({"customer_id": np.arange(n), "cohort_day": first, "channel": "ads"})
    con = ibis.duckdb.connect()
    buys = buys.merge(facts)
    dated = {name: ibis._[name].cast("date") for name in ("day", "cohort_day")}
    days = con.create_table("days", in_turn(ibis.memtable(buys).mutate(**dated)))
    who = ibis.memtable(facts).mutate(cohort_day=ibis._.cohort_day.cast("date"))
    who = con.create_table("who", who)
    groups = ibis.union(*resampling.cohort_groups(days, who)).execute()
    ages = cohort_ages(days, who).execute()
    assert set(groups["group"]) <= set(range(PARTS))
    keys = ["age_unit", "cohort", "age"]
    sums = ["active", "orders", "revenue", "margin"]
    whole = ages[(ages["dimension"] == "all") & ages["age_unit"].isin(["month", "days30"])]
    found = groups.groupby(keys)[sums].sum().astype(float).sort_index()
    pd.testing.assert_frame_equal(found, whole.set_index(keys)[sums].astype(float).sort_index())
    start = groups[groups["age"] == 0]
    sizes = start.groupby(["age_unit", "cohort"])["customers"].sum()
    assert (sizes.groupby("age_unit").sum() == n).all()
    one = buys.copy()
    one["group"] = (one["cohort_day"] - pd.Timestamp("1970-01-01")).dt.days % PARTS
    one["cohort"] = one["cohort_day"].dt.to_period("M").dt.start_time
    one["age"] = (one["day"] - one["cohort_day"]).dt.days // 30
    slow = one.groupby(["cohort", "group", "age"])["customer_id"].nunique().to_numpy()
    mine = groups[groups["age_unit"] == "days30"].sort_values(["cohort", "group", "age"])
    assert (mine["active"].to_numpy() == slow).all()
    by_channel = resampling.trait_groups(days, who, dimension="channel")[0].execute()
    assert set(by_channel.pop("value")) == {"ads"}
    order = ["cohort", "group", "age"]
    pd.testing.assert_frame_equal(
        by_channel[mine.columns].sort_values(order, ignore_index=True),
        mine.reset_index(drop=True), check_dtype=False,
    )  # fmt: skip


def test_the_spread_of_several_steps_is_taken_over_as_many():
    rng, cohorts, groups, n, rate, ages = np.random.default_rng(14), 12, 20, 50, 0.3, 16
    amounts = rng.poisson(n * rate, (cohorts, ages, groups)).astype(float)
    cells = curves.Cells(
        pd.date_range("2024-01-01", periods=cohorts, freq="MS"), amounts,
        np.full((cohorts, groups), float(n)),
        np.arange(ages) <= np.arange(cohorts)[::-1, None], np.zeros((cohorts, ages), int),
    )  # fmt: skip
    known = prediction.basis(cells, cumulative=True, ages=ages)
    # Ages 11 to 15 of a cohort seen to 10: four others have lived to 8, so their 4 to 8 are used.
    own, _, reach, donors = prediction._spread(known, "curve", 10, 15, 0.0)
    assert donors == 4 and reach == pytest.approx(5 * rate, rel=0.1)
    assert own == pytest.approx(5 * rate, rel=0.4)  # one step five times over would say 7.5
