"""The sources' worked examples, W1 to W9, each by its number."""

import pandas as pd
import pytest

from helpers import sliders
from helpers.chapters import value_tables, what_if
from helpers.measures import economics, ltv
from helpers.show import money_in


def test_w1_lifetime_is_one_over_churn():
    assert ltv.ltv_formula(25, 0.60, 0.05).cycles == pytest.approx(20)


def test_w2_formula_value_and_the_cohort_of_a_thousand():
    value = ltv.ltv_formula(25, 0.60, 0.05).value
    assert value == pytest.approx(300) and 1000 * value == pytest.approx(300_000)


def test_w3_less_churn_is_two_and_a_half_times_the_value():
    value = ltv.ltv_formula(25, 0.60, 0.05)
    assert ltv.ltv_formula(25, 0.60, 0.02).value == pytest.approx(750)
    tried = what_if.what_if(value, churn_cut=0.6, spend_lift=0).set_index("what")["value"]
    assert tried["Churn 60% lower"] == pytest.approx(750) and tried["As it is"] == 300
    levers = what_if.levers(value, money_in("EUR"))
    panel = sliders.varied(levers, what_if.formula).set_index("lever")
    lowest = panel[panel["moved_to"].isin([lever.low for lever in levers])]["value"]
    assert lowest["Churn"] == pytest.approx(750)
    assert lowest["Revenue per active customer"] == pytest.approx(120)


def test_w4_a_fixed_horizon_is_another_formula():
    assert ltv.ltv_horizon(40, 0.60, 6).value == pytest.approx(144)
    value = ltv.ltv_formula(40, 0.60, 0.05)
    tried = what_if.what_if(value).set_index("what")["value"]
    assert tried["Half a year, if nobody left"] == pytest.approx(144)


def test_w5_break_even_conversion_of_a_click():
    click = {"clicks": 100, "new_customers": 50, "cost_per_click": 50.0, "conversion": 0.5}
    rows = pd.DataFrame([click | {"ltv": 100.0, "allowable_cpc": 50.0}], index=["search"])
    assert value_tables.clicks_table(rows)["break_even"].item() == 0.5
    assert economics.allowable_cpc(100, 0.5) == 50


@pytest.mark.parametrize("months", [1, 6, 24])
def test_w6_constant_spend(months):
    assert ltv.ltv_horizon(100, 1.0, months).value == 100 * months


def test_w7_equal_revenue_and_another_value():
    worth = what_if.two_groups().pivot(index="group", columns="measure", values="value")
    a, b = worth.loc["group A"], worth.loc["group B"]
    assert a["revenue"] == b["revenue"] == 240
    assert (a["margin"], b["margin"]) == (3 * 40, 8 * 16)
    assert (a["after service"], b["after service"]) == (110, 83)


@pytest.mark.parametrize(
    ("claim", "low", "high"), [("W8 Upsell", 0.05, 0.15), ("W9 Cross-sell", 0.10, 0.25)]
)
def test_w8_and_w9_claims_are_a_range_beside_the_figure(claim, low, high):
    value = ltv.ltv_formula(25, 0.60, 0.05)
    tried = what_if.what_if(value)
    rows = tried[tried["what"].str.startswith(claim[3:])]
    assert rows["value"].tolist() == pytest.approx([300 * (1 + low), 300 * (1 + high)])
    assert rows["what"].str.contains("claim").all()
    # Nothing else is computed from a claim.
    others = tried[~tried["what"].str.contains("claim")]
    assert others["value"].tolist() == pytest.approx([300, 300 / 0.9, 330, 330 / 0.9, 90])
