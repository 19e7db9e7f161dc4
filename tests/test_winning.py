"""What winning customers took: spend, plan, leads, checkouts, tests, and what follows from them."""

import dataclasses
import math
import tomllib

import numpy as np
import pandas as pd
import pytest

from helpers import summaries
from helpers.chapters import findings_winning, spending, trial_costs
from helpers.contract.goals import Acquisition
from helpers.contract.shop import ROOT
from helpers.measures import cac, funnels
from helpers.study import open_study
from helpers.written import money_in

TRUTH = tomllib.loads((ROOT / "data" / "sample" / "truth.toml").read_text(encoding="utf-8"))
CARTS = """cart_id,customer_id,started_at,cart_flow,recovered_order_id
k1,anna,2026-01-05 09:50:00,one_page,1
k2,ben,2026-01-09 11:00:00,one_page,2
k3,cleo,2026-01-05 09:00:00,one_page,
k4,ben,2026-03-20 10:00:00,one_page,5
k5,anna,2026-01-02 10:00:00,one_page,3
"""
LEADS = """lead_id,channel,product,at,cost,customer_id
l1,ads,box,2026-01-01 10:00:00,2.00,anna
l2,ads,box,2026-01-15 10:00:00,2.00,ben
l3,ads,box,2026-01-05 10:00:00,,cleo
l4,fair,box,2026-03-20 10:00:00,3.00,
l5,fair,,2026-02-01 10:00:00,3.00,
"""
SPEND = """channel,starts_at,ends_at,cost,clicks
ads,2026-01-15,2026-03-15,60.00,120
fair,2026-02-10,,40.00,
"""
BUDGET = """channel,month,planned
ads,2026-01-01,20.00
ads,2026-02-01,20.00
ads,2026-03-01,20.00
"""
EXPERIMENTS = """experiment_id,started_at,cost_per_customer,fixed_cost,arm_costs
mail,2026-01-01 00:00:00,2.00,10.00,
free,2026-02-01 00:00:00,,,
gift,2026-03-01 00:00:00,,,gift=1.50;card=0.25;control=0.05
"""
ASSIGNMENTS = """experiment_id,customer_id,arm,assigned_at
mail,anna,mail,2026-01-03 00:00:00
mail,ben,control,2026-01-03 00:00:00
mail,cleo,mail,2026-02-02 00:00:00
free,anna,mail,2026-02-02 00:00:00
gift,anna,gift,2026-03-02 00:00:00
gift,ben,card,2026-03-02 00:00:00
gift,cleo,control,2026-03-02 00:00:00
"""
CUSTOMERS = """customer_id,signed_up_at,referred_by,loyalty_member
anna,2026-01-01 00:00:00,,true
ben,2026-01-01 00:00:00,anna,false
"""
euro = money_in("EUR")


@pytest.fixture(scope="module")
def folder(make_shop_once):
    return make_shop_once(
        carts=CARTS, leads=LEADS, marketing_spend=SPEND, budget=BUDGET, experiments=EXPERIMENTS,
        assignments=ASSIGNMENTS, customers=CUSTOMERS,
    )  # fmt: skip


@pytest.fixture(scope="module")
def study(folder):
    return open_study(str(folder), "2026-03")


@pytest.fixture(scope="module")
def sample():
    return open_study("sample", "2026-06")


def rows_by(frame: pd.DataFrame, *keys: str) -> dict:
    return frame.set_index(list(keys)).to_dict("index")


# -- summaries ------------------------------------------------------------------------------------


def test_spend_is_spread_over_the_days_of_its_period(folder, study):
    found = rows_by(summaries.load(study, "spend_months"), "channel", "start")
    months = {start.month: row["cost"] for (name, start), row in found.items() if name == "ads"}
    assert months == pytest.approx({1: 17.0, 2: 28.0, 3: 15.0})
    fair = found["fair", pd.Timestamp("2026-02-01")]
    assert fair["cost"] == 40 and math.isnan(fair["clicks"]), "not recorded is not zero"
    early = summaries.load(open_study(str(folder), "2026-02"), "spend_months")
    assert early["cost"].sum() == pytest.approx(17 + 28 + 40)


def test_checkouts_tell_left_from_done_at_once(folder, study):
    found = summaries.load(study, "checkouts")
    columns = ["started", "customers", "abandoned", "ripe", "without_order", "recovered"]
    months = found[found["dimension"] == "start"].set_index("start")[columns]
    assert months.loc["2026-01-01"].tolist() == [4, 3, 3, 3, 1, 2]
    assert months.loc["2026-02-01"].tolist() == [1, 1, 0, 0, 0, 0], "an order that no cart names"
    assert months.loc["2026-03-01"].tolist() == [1, 1, 1, 0, 0, 0]
    flows = found[found["dimension"] == "cart_flow"].set_index("cart_flow")
    assert flows.loc["one_page", columns].tolist() == [5, 3, 4, 3, 1, 2], "a customer counts once"
    # Anna and ben have two checkouts each and cleo has one; anna left one of hers, ben both.
    products = ["started_started", "abandoned_started", "abandoned_abandoned"]
    assert flows.loc["one_page", products].tolist() == [9, 7, 6]


def test_checkouts_of_nobody_known_are_customers_of_their_own(make_shop):
    carts = CARTS.replace("anna", "").replace("cleo", "")
    study = open_study(str(make_shop(carts=carts)), "2026-03")
    found = summaries.load(study, "checkouts").set_index("cart_flow").loc["one_page"]
    columns = ["started", "customers", "started_started", "abandoned_started"]
    assert found[columns].tolist() == [5, 4, 7, 6]


def test_a_month_does_not_see_a_later_order_of_its_carts_and_leads(folder):
    january = open_study(str(folder), "2026-01")
    carts = summaries.load(january, "checkouts")
    carts = carts[carts["dimension"] == "start"]
    assert carts[["started", "abandoned", "without_order", "ripe"]].sum().tolist() == [4, 3, 2, 0]
    leads = summaries.load(january, "lead_states")
    counts = leads[["leads", "converted", "existing", "fresh", "aged"]].sum().tolist()
    assert counts == [3, 1, 1, 1, 0]


def test_leads_and_what_became_of_them(study):
    found = rows_by(
        summaries.load(study, "lead_states")
        .groupby("channel")
        .sum(numeric_only=True)
        .reset_index(),
        "channel",
    )
    ads = {"leads": 3, "priced": 2, "cost": 4, "converted": 2, "existing": 1, "fresh": 0, "aged": 0,
           "ripe": 2, "in_time": 1}  # fmt: skip
    assert found["ads"] == ads
    fair = {"leads": 2, "priced": 2, "cost": 6, "converted": 0, "existing": 0, "fresh": 1,
            "aged": 1, "ripe": 1, "in_time": 0}  # fmt: skip
    assert found["fair"] == fair


def test_what_tests_cost_by_month(study):
    rows = trial_costs.by_month(study).groupby(["experiment_id", "start"])[["customers", "cost"]]
    found = {name: tuple(row) for name, row in rows.sum().iterrows()}
    january, february, march = (pd.Timestamp(f"2026-0{month}-01") for month in (1, 2, 3))
    assert found == {
        ("mail", january): (2, 12.0),
        ("mail", february): (1, 2.0),
        ("gift", march): (3, pytest.approx(1.80)),
    }, "the control costs what it is said to cost, and nothing where nothing is said"


def test_referrals_count_only_customers_on_file(study):
    found = summaries.load(study, "referrals").sum(numeric_only=True)
    assert found.tolist() == [3, 2, 1, 2, 1]
    shares = funnels.referral_share(summaries.load(study, "referrals"), "2026-03", least=2)
    assert shares["referred"].value == shares["members"].value == 0.5
    few = funnels.referral_share(summaries.load(study, "referrals"), "2026-03")
    assert math.isnan(few["referred"].value) and few["referred"].reason


# -- frames ---------------------------------------------------------------------------------------


def test_poisson_interval_of_a_cost():
    value, low, high = cac.per_event([100, 100, 0], [4, 0, 4])
    assert value[0] == 25
    # Garwood's limits of a count of 4 are 1.0899 and 10.2416.
    assert low[0] == pytest.approx(100 / 10.2416, rel=1e-4)
    assert high[0] == pytest.approx(100 / 1.0899, rel=1e-4)
    assert np.isnan([value[1], low[1], high[1], value[2]]).all()


def month_rows(**columns) -> pd.DataFrame:
    starts = pd.to_datetime([f"2026-0{m}-01" for m in columns.pop("months")])
    return pd.DataFrame({"start": starts, **columns})


SPENT = month_rows(months=[1, 2, 3], channel="ads", cost=[100.0, 200.0, 300.0],
                   clicks=[100.0, 100.0, 200.0], leads=np.nan)  # fmt: skip
WON = month_rows(
    months=[1, 1, 2, 2, 3, 3], channel=["ads", "free"] * 3, new_customers=[10, 10, 20, 20, 30, 10]
)


def test_ways_to_count_the_cost_of_a_customer():
    found = cac.cost_of_winning(WON, SPENT, month="2026-03").set_index("way")
    assert found["cac"].to_dict() == pytest.approx(
        {"blended": 600 / 100, "paid": 600 / 60, "lagged": 300 / 80, "fully loaded": math.nan},
        nan_ok=True,
    )
    assert (found["low"] < found["cac"])[:3].all() and (found["cac"] < found["high"])[:3].all()
    assert "shop.toml does not say" in found.loc["fully loaded", "reason"]
    assert "`overhead_per_month`" in findings_winning.ways_sentence(found.reset_index(), euro)
    for said, cost in (
        ({"overhead_per_month": 100.0}, 900), ({"overhead_share_of_spend": 0.5}, 900),
        ({"overhead_per_month": 50.0, "overhead_share_of_spend": 0.25}, 900),
        ({"overhead_per_month": 0.0}, 600),
    ):  # fmt: skip
        ways = cac.cost_of_winning(WON, SPENT, month="2026-03", beside=Acquisition(**said))
        row = ways.set_index("way").loc["fully loaded"]
        assert (row["cost"], row["cac"], row["reason"]) == (cost, cost / 100, "")
        assert "fully loaded " in findings_winning.ways_sentence(ways, euro)
    later = cac.cost_of_winning(WON, SPENT, month="2026-03", left_truncated=[SPENT["start"][0]])
    assert later.set_index("way").loc["blended", "cac"] == 500 / 80
    few = cac.cost_of_winning(WON, SPENT, month="2026-03", least=90).set_index("way")
    assert np.isnan(few.loc["paid", "cac"]) and few.loc["blended", "cac"] == 6
    assert cac.cost_of_winning(WON, SPENT[:0], month="2026-03").empty


def test_cost_by_channel():
    found = cac.by_channel(WON, SPENT, month="2026-03").iloc[0]
    assert (found["cac"], found["cost_per_click"], found["conversion"]) == (10, 1.5, 0.15)
    assert found["conversion_low"] < 0.15 < found["conversion_high"]
    assert np.isnan(found["cost_per_lead"]) and np.isnan(found["leads"])
    fewer = SPENT.assign(clicks=1.0)
    odd = cac.by_channel(WON, fewer, month="2026-03").iloc[0]
    assert np.isnan(odd["conversion"]), "more customers than clicks: they are not of the clicks"
    small = pd.concat([SPENT, SPENT.assign(channel="fair", cost=5.0)])
    won = pd.concat([WON, WON[WON["channel"] == "ads"].assign(channel="fair", new_customers=1)])
    shown = cac.by_channel(won, small, month="2026-03", least=10)
    assert shown["channel"].tolist() == ["withheld (2 rows)"]
    assert shown["cost"].tolist() == [615.0] and shown["new_customers"].tolist() == [63]


def test_lead_table_withholds_few_and_keeps_totals(study):
    leads = summaries.load(study, "lead_states")
    every = cac.leads_by(leads, "channel", least=1).set_index("lead")
    assert every.loc["ads", "conversion"] == 0.5 and every.loc["ads", "cost_per_lead"] == 2
    pairs = cac.leads_by(leads, "product", "channel", least=1)
    assert pairs["lead"].tolist() == ["box, ads", "box, fair", "unknown, fair"]
    shown = cac.leads_by(leads, "product", "channel", least=2)
    assert shown["leads"].sum() == 5 and shown["lead"].iloc[-1].startswith("withheld")
    assert "Of 5 leads 2 became customers" in findings_winning.leads_sentence(every.reset_index())


def test_plan_against_spend(study):
    planned = summaries.load(study, "planned_months")
    spend = summaries.load(study, "spend_months")
    table = cac.plan_against_spend(planned, spend, "2026-03").set_index("channel")
    assert table.loc["ads"].tolist() == pytest.approx([20, 15, -5, 60, 60, 0, 0])
    assert table.loc["fair"].tolist() == pytest.approx([0, 0, 0, 0, 40, 40, 40])
    assert table.loc["all"].tolist() == pytest.approx([20, 15, -5, 60, 100, 40, 40])
    said = findings_winning.plan(table.reset_index(), "2026-03", euro)
    assert said.title == "Spend in March 2026 is 25.0% below plan"
    assert "fair (€40)" in said.sentence
    unknown = cac.plan_against_spend(planned, spend[:0], "2026-03")
    assert unknown["spent"].isna().all(), "spend that is not recorded is not zero"
    assert not findings_winning.plan(unknown, "2026-03", euro).title
    assert cac.plan_against_spend(planned[:0], spend, "2026-03").empty


def test_share_of_the_budget_that_goes_into_tests(study):
    frames = [summaries.load(study, name) for name in ("planned_months", "spend_months")]
    frames = [trial_costs.by_month(study), *frames]
    found = cac.share_for_tests(*frames, "2026-02")
    assert (found.cost, found.base, found.of) == (2.0, 20.0, "planned budget")
    unplanned = cac.share_for_tests(frames[0], frames[1][:0], frames[2], "2026-02")
    assert (unplanned.base, unplanned.of) == (68.0, "spend")
    assert cac.share_for_tests(frames[0], frames[1][:0], frames[2][:0], "2026-02").reason
    february = dataclasses.replace(study, month="2026-02")
    assert "10% of the planned budget of €20: within the 8% to 12%" in spending.tests_sentence(
        february
    ).replace("10.0%", "10%")
    assert cac.share_for_tests(frames[0][:0], *frames[1:], "2026-02").reason


# -- the sample, whose truth is known --------------------------------------------------------------


def test_cost_of_a_customer_recovers_the_truth(sample):
    acquisition, spend = (summaries.load(sample, n) for n in ("acquisition", "spend_months"))
    table = cac.by_channel(acquisition, spend, month="2026-06").set_index("channel")
    # Media prices rise by 8% a year; the last twelve months lie two years after the start.
    later = math.exp(0.08 * 2)
    for channel, cost in TRUTH["acquisition"]["media_cost"].items():
        row = table.loc[channel]
        assert row["cac_low"] < cost * later < row["cac_high"]
    whole = spend["cost"].sum()
    assert whole == pytest.approx(summaries.load(sample, "acquisition")["cost"].sum(), abs=0.01), (
        "two summaries spread the same spend"
    )
    clicks = spend["clicks"].sum()
    assert whole / clicks == pytest.approx(0.55, rel=0.01)


def test_checkouts_of_the_sample_recover_what_was_drawn(sample):
    table = funnels.checkouts_by(summaries.load(sample, "checkouts")).set_index("cart_flow")
    for flow, left in {"one_page": 0.08, "three_step": 0.15, "express": 0.05}.items():
        # Of those left, seven in ten have no order and stand beside the orders.
        share = left / (1 + 0.7 * left)
        assert table.loc[flow, "abandonment_low"] < share < table.loc[flow, "abandonment_high"]
    ripe, back = table["ripe"].sum(), table["recovered"].sum()
    assert back / ripe == pytest.approx(0.3, abs=2 * math.sqrt(0.3 * 0.7 / ripe))


def test_checkouts_add_up_and_young_months_have_no_recovery(sample):
    carts = summaries.load(sample, "checkouts")
    months = funnels.checkouts_by(carts, "start")
    flows = carts[carts["dimension"] == "cart_flow"]
    assert months["started"].sum() == flows["started"].sum()
    assert np.isnan(months["recovery"].iloc[-1]) and months["ripe"].iloc[-1] == 0
    assert months["abandonment"].iloc[-1] > 0
    few = funnels.checkouts_by(carts, "start", least=10_000)
    assert few[["started", "abandonment", "recovery"]].isna().all().all()


def test_without_any_table_there_is_a_sentence_and_no_figure(make_shop):
    study = open_study(str(make_shop()), "2026-03")
    load = {name: summaries.load(study, name) for name in (
        "acquisition", "spend_months", "planned_months", "experiment_costs", "lead_states",
        "checkouts", "referrals")}  # fmt: skip
    ways = cac.cost_of_winning(load["acquisition"], load["spend_months"], month="2026-03")
    channels = cac.by_channel(load["acquisition"], load["spend_months"], month="2026-03")
    assert findings_winning.cost_by_channel(channels, ways, euro).title == ""
    leads = cac.leads_by(load["lead_states"], "product", "channel")
    assert "A table leads" in findings_winning.leads_sentence(leads)
    plan = cac.plan_against_spend(load["planned_months"], load["spend_months"], "2026-03")
    assert "A table budget" in findings_winning.plan(plan, "2026-03", euro).sentence
    assert funnels.checkouts_by(load["checkouts"]).empty
    shares = funnels.referral_share(load["referrals"], "2026-03")
    assert "referred_by" in shares["referred"].reason and math.isnan(shares["members"].value)
