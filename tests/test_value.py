"""What customers have been worth, by hand on small shops, and to the cent on the sample."""

import numpy as np
import pandas as pd
import pytest

from helpers import summaries
from helpers.chapters import (
    change_tables,
    formula_findings,
    segment_tables,
    value_findings,
    value_tables,
    what_if,
)
from helpers.errors import UsageError
from helpers.measures import cohorts, lifetimes, ltv, mixture, repurchase
from helpers.privacy import lists  # fmt: skip
from helpers.show import money_in, ratio
from helpers.study import open_study

EUR = money_in("EUR")
ORDERS = """order_id,customer_id,ordered_at,revenue,cogs,product_id,category,coupon,is_refund,refund_of
1,anna,2025-01-05,100.00,60.00,P1,tea,,,
2,ben,2025-01-10,50.00,20.00,P2,coffee,TEN,,
3,anna,2025-02-01,40.00,10.00,P2,coffee,,,
4,cleo,2025-02-15,30.00,45.00,P1,tea,TEN,,
5,ben,2025-03-20,20.00,5.00,P1,tea,,,
5,ben,2025-04-02,-20.00,,,,,true,5
6,anna,2026-02-10,60.00,20.00,P1,tea,,,
"""
CUSTOMERS = """customer_id,country,customer_class,loyalty_member
anna,NL,b2c,true
ben,BE,B2B,false
cleo,,b2c,
"""
SERVICE = """customer_id,at,amount
anna,2025-01-20,7.00
anna,2025-03-01,3.00
ben,2025-01-01,2.00
zoe,2025-01-02,1.00
"""
THROUGH = "complete_through = 2026-02-28\n"
JANUARY = "complete_through = 2025-01-31\n"
COSTS = '[margin]\nrule = "costs"\n'


def opened(folder, month):
    return open_study(str(folder), month)


@pytest.fixture(scope="module")
def shop(make_shop_once):
    toml = f"opened_at = 2025-01-01\nhistory_starts_at = 2025-01-01\n{THROUGH}{COSTS}"
    return make_shop_once(ORDERS, toml=toml, customers=CUSTOMERS, service_costs=SERVICE)


@pytest.fixture(scope="module")
def sample():
    return open_study("sample", "2026-05")


# -- the family --------------------------------------------------------------------------------


def test_family_by_hand(shop):
    study = opened(shop, "2026-02")
    served = summaries.load(study, "served_ages")
    long = value_tables.family(served, as_of=study.end, has_service=True, min_cell=1)
    at = long[long["horizon"] == 365].set_index("measure")
    # To day 365: anna 140, ben 50 (the refund takes the second order back), cleo 30, of three.
    assert at.loc["revenue", "amount"] == 220 and at.loc["revenue", "customers"] == 3
    # Margin: 40 + 30, 30 + (20 - 5 - 20), -15. Ben's goods of order 5 did not come back.
    assert at.loc["margin", "amount"] == 70 + 25 - 15
    # Service: anna 7 + 3; ben's entry of before his first order, and zoe's, belong to no age.
    assert at.loc["after service", "amount"] == 80 - 10
    month = served[served["age_unit"] == "month"]
    assert summaries.load(study, "service")["amount"].sum() - month["service"].sum() == 3


def test_interval_after_service_is_that_of_the_customers_own_amounts(shop):
    study = opened(shop, "2026-02")
    served = summaries.load(study, "served_ages")
    row = value_tables.family(served, as_of=study.end, has_service=True, min_cell=1)
    row = row[(row["horizon"] == 365) & (row["measure"] == "after service")].iloc[0]
    assert row["se"] == pytest.approx(np.std([60, 25, -15], ddof=1) / 3**0.5)


def test_family_says_what_it_cannot(make_shop):
    study = opened(make_shop(), "2026-03")
    served = summaries.load(study, "served_ages")
    long = value_tables.family(served, as_of=study.end, has_service=False, min_cell=1)
    after = long[long["measure"] == "after service"]
    assert after["per_customer"].isna().all() and (after["reason"] != "").all()
    margin = long[(long["measure"] == "margin") & (long["cohorts"] > 0)]
    assert margin["per_customer"].isna().all()
    assert "cost of what was sold is not known" in value_findings.family(long, EUR).sentence


def test_three_steps_follow_one_cohort(shop):
    study = opened(shop, "2026-02")
    served = summaries.load(study, "served_ages")
    table = value_tables.three_steps(
        served, pd.Timestamp("2025-01-01"), as_of=study.end, min_cell=1
    ).set_index("age")
    assert list(table.index) == list(range(14))
    assert table.loc[0, ["in_month", "amount", "customers"]].tolist() == [70, 70, 2]
    assert table.loc[1, ["in_month", "amount"]].tolist() == [30, 100]
    assert table.loc[2, "in_month"] == -5 and table.loc[12, "in_month"] == 0
    assert table.loc[13, "per_customer"] == (70 + 30 - 5 + 40) / 2
    assert value_tables.three_steps(served, None, as_of=study.end).empty


def test_the_cohort_followed_has_lived_a_year():
    months = pd.date_range("2024-01-01", "2026-05-01", freq="MS")
    end = pd.Timestamp("2026-05-31").date()
    chosen = value_tables.oldest_whole_year(months, end, ())
    assert str(chosen) == "2025-06-01"
    young = value_tables.oldest_whole_year(months[-3:], end, ())
    assert str(young) == "2026-03-01"
    assert value_tables.oldest_whole_year([], end, ()) is None


# -- segments ----------------------------------------------------------------------------------


def segments_of(study, dimension):
    ages = summaries.load(study, "segment_ages")
    table = segment_tables.segment_values(
        ages, dimension, 365, as_of=study.end, value="revenue", min_cell=1
    )
    return table.set_index("value")["amount"].to_dict()


def test_segments_by_hand(shop):
    study = opened(shop, "2026-02")
    assert segments_of(study, "first_product") == {"P1": 170, "P2": 50}
    assert segments_of(study, "first_category") == {"tea": 170, "coffee": 50}
    assert segments_of(study, "first_discount") == {"full price": 140, "with a discount": 80}
    assert segments_of(study, "customer_class") == {"b2c": 170, "b2b": 50}
    assert segments_of(study, "loyalty") == {"member": 140, "not a member": 50, "unknown": 30}
    assert segments_of(study, "country") == {"NL": 140, "BE": 50, "unknown": 30}


def test_segments_that_no_file_tells_are_unknown_and_not_compared(make_shop):
    study = opened(make_shop(), "2026-03")
    ages = summaries.load(study, "segment_ages")
    options = {"as_of": study.end, "value": "revenue", "min_cell": 1}
    assert segment_tables.all_segments(ages, 30, **options).empty
    one = segment_tables.segment_values(ages, "first_discount", 30, **options)
    assert one["value"].tolist() == ["unknown"]
    found = value_findings.segments(one, "country", "revenue", EUR)
    assert not found.title and "Fewer than two segments" in found.sentence
    with pytest.raises(UsageError, match="segment is 'plz'"):
        segment_tables.segment_values(ages, "plz", 30, **options)


def test_many_products_are_bounded_and_add_up(make_shop):
    lines = ["order_id,customer_id,ordered_at,revenue,product_id"]
    lines += [f"{i},c{i},2025-01-05,{10 + i}.00,P{i % 25:02}" for i in range(60)]
    study = opened(make_shop("\n".join(lines) + "\n", toml=JANUARY), "2025-01")
    ages = summaries.load(study, "segment_ages")
    mine = ages[ages["dimension"] == "first_product"]
    assert mine["value"].nunique() == 10 and "other" in set(mine["value"])
    assert mine["revenue"].sum() == sum(10 + i for i in range(60))


def test_small_segments_are_withheld_and_still_add_up(sample):
    ages = summaries.load(sample, "segment_ages")
    options = {"as_of": sample.end, "value": "margin"}
    whole = segment_tables.segment_values(ages, "country", 365, min_cell=1, **options)
    few = segment_tables.segment_values(ages, "country", 365, min_cell=200, **options)
    assert "withheld (2 rows)" in set(few["value"]) and not {"FR"} & set(few["value"])
    assert few["amount"].sum() == pytest.approx(whole["amount"].sum())
    assert few["customers"].sum() == whole["customers"].sum()


# -- periods -----------------------------------------------------------------------------------


def test_new_and_returning_by_hand(shop):
    study = opened(shop, "2026-02")
    rows = change_tables.span_rows(
        summaries.load(study, "spans"), "month", first_day=study.history_starts_at,
        last_day=study.end,
    )  # fmt: skip
    table = change_tables.new_or_returning(rows, first_day=study.history_starts_at)
    table = table.set_index(table["month"].dt.strftime("%Y-%m"))
    assert table.loc["2025-02", ["customers", "new_customers"]].tolist() == [2, 1]
    # anna came back after a year: returning ever, and not within twelve months of the month.
    assert table.loc["2026-02", "returning_ever_share"] == 1
    assert table.loc["2026-02", "returning_year_share"] == 1
    assert table.loc["2026-02", "repeaters_share"] == pytest.approx(2 / 3)
    assert np.isnan(table.loc["2025-02", "returning_year_share"])


def test_years_end_with_the_month(shop):
    study = opened(shop, "2026-02")
    rows = change_tables.span_rows(
        summaries.load(study, "spans"), "year", first_day=study.history_starts_at,
        last_day=study.end,
    )  # fmt: skip
    assert rows["start"].dt.strftime("%Y-%m").tolist() == ["2024-03", "2025-03"]
    assert rows["revenue"].tolist() == [220, 60] and rows["whole"].tolist() == [False, True]
    found = change_tables.moved(change_tables.with_service(rows, summaries.load(study, "service")))
    assert "no earlier whole period" in value_findings.steps(found, EUR).sentence


def test_season_is_not_growth():
    start = pd.date_range("2023-01-01", periods=36, freq="MS")
    season = np.where(start.month == 12, 1.5, 21 / 22)
    rows = pd.DataFrame({"start": start, "revenue": 1000 * season, "whole": True})
    index = change_tables.calendar_index(rows).set_index("month")["index"]
    assert index[12] == pytest.approx(1.5) and index[3] == pytest.approx(21 / 22)
    growing = rows.assign(revenue=1000.0 + 50 * np.arange(36))
    assert change_tables.calendar_index(growing)["index"].to_numpy() == pytest.approx(1)
    assert change_tables.calendar_index(rows.head(12)).empty


def test_year_on_year_names_promotions():
    start = pd.date_range("2025-01-01", periods=14, freq="MS")
    rows = pd.DataFrame({"start": start, "revenue": np.arange(14.0), "whole": True})
    rows["customers"] = [9] + [50] * 13
    sales = pd.DataFrame({
        "promotion_id": ["x", "y"], "kind": ["sale", "coupon"], "discount": [0.1, 0.1],
        "starts_at": ["2026-01-31", "2024-01-01"], "ends_at": ["2026-02-02", "2027-01-01"],
    })  # fmt: skip
    table = change_tables.year_on_year(rows, sales).set_index("month")
    assert table.loc["2026-02-01", "change"] == 12 and np.isnan(table.loc["2026-01-01", "change"])
    # January 2025 had nine customers: its money is theirs.
    assert np.isnan(table.loc["2026-01-01", "year_before"])
    assert table["promotions"].tolist()[-3:] == ["", "sale", "sale"]


# -- who brings it -----------------------------------------------------------------------------


def test_one_customer_with_nine_tenths_is_not_shown(make_shop):
    lines = ["order_id,customer_id,ordered_at,revenue", "0,big,2025-01-05,900.00"]
    lines += [f"{i},c{i},2025-01-06,1.00" for i in range(1, 100)]
    study = opened(make_shop("\n".join(lines) + "\n", toml=JANUARY), "2025-01")
    rows = summaries.load(study, "concentration")
    table = change_tables.shares_of_revenue(rows, min_cell=10)
    assert set(table["scope"]) == {"all customers"}
    shown = table.set_index("top")["share_of_revenue"]
    assert np.isnan(shown[0.01]) and np.isnan(shown[0.05])
    assert shown[0.1] == pytest.approx(909 / 999)
    open_ = change_tables.shares_of_revenue(rows, min_cell=1).set_index("top")
    assert open_.loc[0.01, "share_of_revenue"] == pytest.approx(900 / 999)
    none = change_tables.shares_of_revenue(rows, min_cell=1000)
    assert "too few customers" in value_findings.concentration(none).sentence


def test_concentration_without_companies(sample):
    rows = summaries.load(sample, "concentration")
    table = change_tables.shares_of_revenue(rows)
    assert set(table["scope"]) == {"all customers", "without companies"}
    parts = [part["customers"].is_monotonic_increasing for _, part in table.groupby("scope")]
    assert all(parts) and table["share_of_revenue"].between(0, 1).all()


# -- lifetime ----------------------------------------------------------------------------------


def test_stock_by_hand(shop):
    study = opened(shop, "2026-02")
    table = summaries.load(study, "active_stock", window=45).set_index("start")
    # Active at the end of January: anna, ben. Of February: anna (1 Feb) and cleo; ben's 45 days
    # ended on 23 February. His second order was given back whole and counts as none.
    assert table.loc["2025-01-01"].tolist() == [2, 0, 2]
    assert table.loc["2025-02-01"].tolist() == [2, 1, 1]
    assert table.loc["2025-03-01"].tolist() == [1, 1, 0]
    # Months without an order of anybody have no row, so the month after one says nothing.
    kept = lifetimes.retention_months(table.reset_index(), smooth=2)
    kept = kept.set_index(kept["start"].dt.strftime("%Y-%m"))
    assert kept.loc["2025-02", ["at_start", "kept", "lost", "crr"]].tolist() == [2, 1, 1, 0.5]
    assert kept.loc["2025-03", "churn_smooth"] == 0.5
    assert np.isnan(kept.loc["2026-02", "crr"])


def test_lifetime_against_a_known_life():
    # Everybody followed for long; lives uniform over 0 to 99 days: the mean is 49.5 exactly.
    first = pd.Timestamp("2024-01-01")
    states = pd.DataFrame({"first_day": first, "n": 10,
                           "last_day": first + pd.to_timedelta(range(100), "D")})  # fmt: skip
    lives = lifetimes.durations(states, 30, pd.Timestamp("2026-01-01"))
    life = lifetimes.lifetime(lives, most=200, min_at_risk=1)
    assert (life.ended, life.open, life.mean_ended) == (1000, 0, 49.5)
    assert life.restricted.value == pytest.approx(49.5)
    assert life.restricted.low < 49.5 < life.restricted.high
    # Cut at 60 days after the first purchase, the area up to there is the same as with all seen.
    early = lifetimes.durations(states, 30, pd.Timestamp("2024-03-31"))
    curve = repurchase.survival(early)
    whole = repurchase.survival(lives)
    cut = lifetimes.restricted_mean(curve, 59).value
    assert cut == pytest.approx(lifetimes.restricted_mean(whole, 59).value)


def test_stages_find_a_constant_and_a_falling_churn():
    rng = np.random.default_rng(3)
    constant = rng.exponential(200, 200_000).astype(int)
    rate = rng.gamma(0.5, 1 / 100, 200_000)
    mixed = np.minimum(rng.exponential(1 / rate), 3000).astype(int)
    tables = []
    for days in (constant, mixed):
        lives = pd.Series(days).value_counts().rename_axis("days").reset_index(name="n")
        tables.append(lifetimes.stages(lives.assign(event=True))["lost"])
    assert tables[0].to_numpy() == pytest.approx(1 - np.exp(-91 / 200), abs=0.01)
    assert tables[1].is_monotonic_decreasing and tables[1].iloc[0] > 2 * tables[1].iloc[-1]


def test_mixture_is_found_again():
    number = np.arange(1, 10)
    true = mixture.Mixture(2.0, 3.0, 4.0)
    lost = pd.DataFrame({"number": number, "lost": true.lost(number), "waits": 1000 // number})
    found = mixture.fit_mixture(lost)
    assert (found.alpha, found.beta) == pytest.approx((2.0, 3.0), rel=1e-3)
    assert found.purchases == pytest.approx(4.0, rel=1e-3)
    assert found.made(10**5) == pytest.approx(4.0, rel=1e-2)
    assert mixture.fit_mixture(lost.head(2)) is None


def test_one_rate_misleads_in_both_directions(sample):
    gaps = summaries.load(sample, "gaps")
    window = repurchase.inactivity_window(gaps).days
    table = mixture.one_rate_or_many(gaps, window, 10.0)
    new, pooled, loyal, own = table["value"]
    assert new < pooled < own < loyal
    assert table["purchases"].to_numpy() * 10 == pytest.approx(table["value"].to_numpy())


def test_a_longer_window_means_less_churn(sample):
    names = ("periods", "gaps")
    table = lifetimes.windows(*(summaries.load(sample, name) for name in names))
    assert table["days"].is_monotonic_increasing and table["churn"].is_monotonic_decreasing
    assert table["value"].is_monotonic_increasing


# -- the formula's edges -----------------------------------------------------------------------


def test_formula_with_a_cap_says_so():
    assert ltv.ltv_formula(25, 0.6, 0.0, cap=60).value == 25 * 0.6 * 60
    assert "No customer was lost" in ltv.ltv_formula(25, 0.6, 0.0, cap=60).note
    assert np.isnan(ltv.ltv_formula(25, 0.6, 0.0).value)
    capped = ltv.ltv_formula(25, 0.6, 0.01, cap=60, churn_low=0.005, churn_high=0.05)
    assert (capped.value, capped.low, capped.high) == (900, 300, 900)
    assert "more than the cap" in capped.note
    assert "one cycle" in ltv.ltv_formula(25, 0.6, 1.0).note
    assert ltv.ltv_formula(25, -0.2, 0.1, cap=60).reason
    with pytest.raises(UsageError, match="cap == 0"):
        ltv.ltv_formula(25, 0.6, 0.1, cap=0)


def test_smoothing_is_a_sum_over_a_sum():
    start = pd.date_range("2025-01-01", periods=4, freq="MS")
    stock = pd.DataFrame({"start": start, "active": [100, 50, 60, 60], "kept": [0, 40, 50, 60],
                          "new_active": [100, 10, 10, 0]})  # fmt: skip
    table = lifetimes.retention_months(stock, smooth=3)
    assert table["churn"].tolist()[1:] == pytest.approx([0.6, 0.0, 0.0])
    assert table["churn_smooth"].iloc[-1] == pytest.approx(60 / 210)
    months = pd.DataFrame({"grain": "month", "dimension": "all", "start": start, "revenue": 600.0,
                           "margin": 300.0, "margin_revenue": 600.0})  # fmt: skip
    values = lifetimes.formula_months(table, months, cap=24)
    zero = values[(values["kind"] == "of the month") & (values["churn"] == 0)]
    assert zero["note"].str.contains("cap of 24").all() and len(zero) == 2


# -- other tools -------------------------------------------------------------------------------


def test_other_tools_by_hand(shop):
    study = opened(shop, "2026-02")
    paid = [summaries.load(study, name) for name in ("paid_ages", "paid_moments")]
    table = value_tables.other_tools(
        summaries.load(study, "cohort_ages"), paid[0], paid[1].iloc[0], as_of=study.end,
        min_cell=1,
    ).set_index("what")[["gross", "net"]]  # fmt: skip
    assert table.loc["12 calendar months per customer"].tolist() == [240 / 3, 220 / 3]
    assert table.loc["revenue / customers, whatever their age"].tolist() == [100, 280 / 3]
    assert table.loc["order value, sum over sum"].tolist() == [50, 280 / 6]
    means = np.mean([200 / 3, 35, 30])
    assert table.iloc[4]["gross"] == pytest.approx(means, abs=0.01)
    assert table.iloc[5].tolist() == [240 / 3, 220 / 3]
    late = value_tables.other_tools(
        summaries.load(study, "cohort_ages"), paid[0], paid[1].iloc[0], as_of=study.end,
        left_truncated=[pd.Timestamp("2025-01-01")], min_cell=1,
    )  # fmt: skip
    assert late["gross"].tolist()[:2] == [30, 80]


def test_the_list_of_values_holds_everybody(shop, make_shop):
    done = lists.write_value_list(str(shop), month="2026-02")
    rows = done.path.read_text(encoding="utf-8").splitlines()
    assert rows[1] == "anna,2025-01-05,2026-02-10,3,200.00,110.00,200.00,66.67"
    assert rows[2] == "ben,2025-01-10,2025-03-20,2,50.00,25.00,50.00,25.00"
    assert rows[3] == "cleo,2025-02-15,2025-02-15,1,30.00,-15.00,30.00,30.00"
    assert done.customers == len(rows) - 1 == 3 and "do not write to it" in done.sentence()
    bare = lists.write_value_list(str(make_shop()), month="2026-03").path
    assert ",45.50,,0.00,22.75" in bare.read_text(encoding="utf-8").splitlines()[2]


# -- identities on the sample --------------------------------------------------------------------


def test_identities_to_the_cent(sample):
    load = {name: summaries.load(sample, name)
            for name in ("periods", "cohort_ages", "served_ages", "segment_ages", "spans",
                         "service")}  # fmt: skip
    checks = value_tables.identities(
        *(load[n] for n in ("periods", "cohort_ages", "served_ages", "segment_ages", "spans"))
    )
    assert len(checks) == 8 and (checks["largest_difference"] == 0).all()
    lived = {"first_day": sample.history_starts_at, "last_day": sample.end}
    for grain in change_tables.GRAINS:
        rows = change_tables.span_rows(load["spans"], grain, **lived)
        product = rows["revenue"] / rows["orders"] * (rows["orders"] / rows["customers"])
        assert (product * rows["customers"]).to_numpy() == pytest.approx(
            rows["revenue"].to_numpy(), abs=0.005
        )
        rows = change_tables.with_service(rows, load["service"])
        steps = change_tables.moved(rows).steps
        minor = [round(amount * 100) for amount in steps["amount"]]
        assert sum(minor[:-1]) == minor[-1]
        end = rows[rows["whole"]].iloc[-1]
        assert minor[-1] == round((end["margin"] - end["service"]) * 100)
    month = change_tables.span_rows(load["spans"], "month", **lived)
    year = change_tables.span_rows(load["spans"], "year", **lived).iloc[-1]
    inside = month[month["start"] >= year["start"]]
    for name in ("revenue", "margin", "refunds", "orders", "new_customers"):
        assert inside[name].sum() == pytest.approx(year[name], abs=0.005), name


# -- bad input ---------------------------------------------------------------------------------

SALES = "order_id,customer_id,ordered_at,revenue\n"
BAD = {
    "one month": SALES + "1,a,2025-01-05,10\n2,b,2025-01-06,20\n",
    "nobody comes back": SALES + "".join(f"{i},c{i},2025-0{i % 6 + 1}-05,10\n" for i in range(60)),
    "everybody comes back": SALES
    + "".join(f"{i}{m},c{i},2025-{m:02}-05,10\n" for i in range(40) for m in range(1, 13)),
    "all given back": "order_id,customer_id,ordered_at,revenue,is_refund,refund_of\n"
    + "".join(f"{i},c{i},2025-01-05,10,,\n{i},c{i},2025-01-06,-10,true,{i}\n" for i in range(12)),
    "at a loss": "order_id,customer_id,ordered_at,revenue,cogs\n"
    + "".join(f"{i},c{i % 30},2025-{i % 9 + 1:02}-05,10,15\n" for i in range(90)),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_said_and_no_figure_is_wrong(make_shop, kind):
    toml = {"at a loss": COSTS, "one month": JANUARY, "all given back": JANUARY}.get(kind, "")
    study = opened(make_shop(BAD[kind], toml=toml), "")
    for min_cell in (1, 10):
        check_said(kind, everything(study, min_cell))


def check_said(kind, said):
    assert all(text and "nan" not in text and "inf" not in text.split() for text in said.values())
    if kind == "one month":
        assert "no earlier whole period" in said["steps"] and "shorter than" in said["season"]
        assert "Nobody has bought a second time" in said["waits"]
    if kind == "nobody comes back":
        assert "No window can be tried" in said["windows"] and "cannot be given" in said["terms"]
    if kind == "at a loss":
        assert "cannot be given" in said["terms"]
    if kind in ("everybody comes back", "at a loss"):
        assert "No cost to serve" in said["drivers"]


@pytest.mark.parametrize("missing", ["", "customers", "service_costs", "promotions"])
def test_a_missing_table_turns_off_its_own_sentence_only(make_shop, missing):
    sale = "promotion_id,starts_at,ends_at,kind\nw,2026-02-01,2026-02-05,sale\n"
    tables = {"customers": CUSTOMERS, "service_costs": SERVICE, "promotions": sale}
    tables.pop(missing, None)
    toml = f"opened_at = 2025-01-01\nhistory_starts_at = 2025-01-01\n{THROUGH}{COSTS}"
    study = opened(make_shop(ORDERS, toml=toml, **tables), "2026-02")
    said = everything(study, 1)
    assert ("Fewer than two segments" in said["segments"]) == (missing == "customers")
    assert ("No cost to serve" in said["drivers"]) == (missing == "service_costs")
    assert ("with a promotion" in said["season"]) == (missing != "promotions")


def everything(study, min_cell):
    """All that notebook 02 says of a shop, by what it is about."""
    names = ("periods", "cohort_ages", "gaps", "served_ages", "service", "spans", "customer_states")
    periods, ages, gaps, served, service, spans, states = (summaries.load(study, n) for n in names)
    truncated = cohorts.left_truncated(
        ages["cohort"], history_starts_at=study.history_starts_at, opened_at=study.shop.opened_at
    )
    pool = {"as_of": study.end, "left_truncated": truncated, "min_cell": min_cell}
    family = value_tables.family(served, has_service=len(service) > 0, **pool)
    value_tables.family_table(family)
    cohort = value_tables.oldest_whole_year(ages["cohort"], study.end, truncated)
    steps = value_tables.three_steps(served, cohort, as_of=study.end, min_cell=min_cell)
    lived = {"first_day": study.history_starts_at, "last_day": study.end}
    months = change_tables.span_rows(spans, "month", **lived)
    change_tables.quarters(change_tables.span_rows(spans, "quarter", **lived), min_cell=min_cell)
    returning = change_tables.new_or_returning(months, first_day=study.history_starts_at)
    leaving = lifetimes.leaving(periods, gaps)
    stock = summaries.load(study, "active_stock", window=leaving.days)
    since = lifetimes.first_closed(study.history_starts_at, leaving.days)
    retained = lifetimes.retention_months(stock, since=since)
    lives = lifetimes.durations(states, leaving.days, study.end, left_truncated=truncated)
    life = lifetimes.lifetime(lives)
    value_tables.lifetime_table(life, retained, leaving.churn)
    lost = mixture.lost_after(gaps, leaving.days)
    per_purchase = leaving.value.arpu * leaving.value.margin_rate * leaving.churn.active_months
    many = mixture.one_rate_or_many(gaps, leaving.days, per_purchase)
    simple = value_tables.simple_value(
        float(gaps["n"].sum()), spans.loc[spans["grain"] == "month", "revenue"].sum(), leaving.churn
    )
    segments = summaries.load(study, "segment_ages")
    segment_tables.widest(segment_tables.all_segments(segments, 30, value="revenue", **pool))
    one = segment_tables.segment_values(segments, "country", 30, value="revenue", **pool)
    shares = change_tables.shares_of_revenue(
        summaries.load(study, "concentration"), min_cell=min_cell
    )
    moved = change_tables.moved(change_tables.with_service(months, service), min_cell=min_cell)
    paid = [summaries.load(study, name) for name in ("paid_ages", "paid_moments")]
    tools = value_tables.other_tools(ages, paid[0], paid[1].iloc[0], **pool)
    years = change_tables.year_on_year(
        months, summaries.load(study, "promotion_spans"), min_cell=min_cell
    )
    index = change_tables.calendar_index(months)
    spans_of_tables = value_tables.identities(periods, ages, served, segments, spans)
    assert (spans_of_tables["largest_difference"] == 0).all()
    last = ltv.ltv_historical(ages, value="revenue", **pool).iloc[-1]
    levers = what_if.levers(leaving.value, EUR)
    found = {
        "family": value_findings.family(family, EUR).sentence,
        "three": value_findings.three_steps(steps, cohort, "margin", EUR).sentence,
        "drivers": value_findings.drivers(
            summaries.load(study, "service_drivers").iloc[0], 0.0, "margin", EUR
        ),
        "returning": value_findings.new_or_returning(returning),
        "waits": formula_findings.waits(lifetimes.waits(gaps, least=min_cell)).sentence,
        "windows": formula_findings.windows(lifetimes.windows(periods, gaps), EUR),
        "lives": formula_findings.lives(life, study.history_starts_at, study.end),
        "retention": formula_findings.retention(retained).sentence,
        "jumps": formula_findings.jumps(lifetimes.formula_months(retained, periods), EUR, cap=60),
        "stages": formula_findings.stages(lifetimes.stages(lives), lost).sentence,
        "many": formula_findings.one_rate_or_many(many, last, EUR),
        "varied": formula_findings.sensitivity(levers, leaving.value, EUR).sentence,
        "terms": formula_findings.formula_terms(leaving.value, leaving.churn, simple, EUR),
        "segments": value_findings.segments(one, "country", "revenue", EUR).sentence,
        "top": value_findings.concentration(shares).sentence,
        "steps": value_findings.steps(moved, EUR).sentence,
        "season": value_findings.season(index, years, ratio).sentence,
        "tools": value_findings.other_tools(tools, EUR),
        "list": value_findings.customer_list(
            summaries.load(study, "customer_moments").iloc[0], EUR, min_cell=min_cell
        ),
    }
    return found


def test_segments_that_are_all_too_small_stand_in_one_row(make_shop):
    orders = "order_id,customer_id,ordered_at,revenue,channel\n" + "".join(
        f"{n},c{n},2026-01-{1 + n % 28:02d},10.00,{'web' if n % 2 else 'shop'}\n" for n in range(12)
    )
    study = open_study(str(make_shop(orders, toml="complete_through = 2026-03-31")), "2026-03")
    segments = summaries.load(study, "segment_ages")
    shown = segment_tables.segment_values(
        segments, "channel", 30, value="revenue", as_of=study.end, min_cell=10
    )
    assert shown["value"].tolist() == ["withheld (2 rows)"]
    assert (shown["customers"].iloc[0], shown["per_customer"].iloc[0]) == (12, 10)
    assert shown[["dimension", "horizon"]].iloc[0].tolist() == ["channel", 30]
