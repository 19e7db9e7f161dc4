"""What moved a sum of money: steps that add up to the cent, for any two periods."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.errors import UsageError
from helpers.measures import decomposition

WHOLE = {
    "customers": 100, "orders": 150, "revenue": 9000.0, "refunds": 1000.0,
    "margin": 3600.0, "margin_revenue": 9000.0, "service": 100.0,
}  # fmt: skip


@st.composite
def periods(draw):
    """A period of a shop, also without sales, all given back, at a loss, without a known cost."""
    customers = draw(st.integers(0, 10**5))
    gross = draw(st.integers(0, 10**9))
    revenue = gross - draw(st.integers(0, gross * 6 // 5))
    known = round(revenue * draw(st.floats(0, 1)))
    cents = {"revenue": revenue, "refunds": gross - revenue, "margin_revenue": known,
             "margin": round(known * draw(st.floats(-1, 1))),
             "service": draw(st.integers(0, 10**7))}  # fmt: skip
    orders = customers + draw(st.integers(0, 10**5))
    return {"customers": customers, "orders": orders} | {k: v / 100 for k, v in cents.items()}


def test_two_factors_share_what_they_did_together():
    # 2 x 10 = 20 to 3 x 12 = 36: 10 from the first alone, 4 from the second, 2 from both.
    assert decomposition.shapley([2, 10], [3, 12]) == pytest.approx([11, 5])


@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=1, max_size=6))
@settings(deadline=None, max_examples=60)
def test_parts_add_up_and_do_not_hang_on_order(pairs):
    before, after = zip(*pairs, strict=True)
    parts = decomposition.shapley(before, after)
    size = math.prod(max(abs(a), abs(b), 1) for a, b in pairs)
    assert sum(parts) == pytest.approx(math.prod(after) - math.prod(before), abs=1e-9 * size)
    turned = decomposition.shapley(before[::-1], after[::-1])
    assert turned[::-1] == pytest.approx(parts, abs=1e-9 * size)


@settings(deadline=None, max_examples=60)
@given(periods(), periods(), st.sampled_from(["margin", "revenue"]))
def test_steps_lead_from_total_to_total_to_the_cent(before, after, basis):
    table = decomposition.steps(before, after, basis=basis)
    minor = [round(amount * 100) for amount in table["amount"]]
    assert sum(minor[:-1]) == minor[-1]
    assert minor[0] == round((before[basis] - before["service"]) * 100)
    assert minor[-1] == round((after[basis] - after["service"]) * 100)


def steps_of(**changed):
    table = decomposition.steps(WHOLE, WHOLE | changed)
    return table[table["kind"] == "less"].set_index("step")["amount"].to_dict()


def test_each_factor_alone_moves_its_own_step():
    twice = {name: WHOLE[name] * 2 for name in WHOLE if name != "service"}
    assert steps_of(**twice) == {"Customers who bought": 3600.0}
    assert steps_of(margin=4500.0) == {"Margin rate": 900.0}
    assert steps_of(service=160.0) == {"Cost to serve": -60.0}
    assert steps_of(margin=1800.0, margin_revenue=4500.0) == {"Share with a known cost": -1800.0}
    half = {"revenue": 4500.0, "refunds": 5500.0, "margin": 1800.0, "margin_revenue": 4500.0}
    assert steps_of(**half) == {"Refunds": -1800.0}


def test_a_period_without_customers_is_a_change_of_customers():
    none = dict.fromkeys(WHOLE, 0)
    table = decomposition.steps(none, WHOLE).set_index("step")["amount"]
    assert table["Customers who bought"] == 3600.0 and table["Cost to serve"] == -100.0
    assert table.iloc[0] == 0 and table.iloc[-1] == 3500.0


def test_refunds_without_a_sale_are_refunds():
    only = dict.fromkeys(WHOLE, 0) | {"revenue": -50.0, "refunds": 50.0, "margin": -50.0,
                                      "margin_revenue": -50.0}  # fmt: skip
    table = decomposition.steps(only, WHOLE).set_index("step")["amount"]
    assert table.iloc[0] == -50.0 and table["Refunds"] == 50.0


def test_unknown_basis():
    with pytest.raises(UsageError, match="basis is 'profit'"):
        decomposition.steps(WHOLE, WHOLE, basis="profit")


def test_factors_of_both_periods():
    table = decomposition.factor_table(WHOLE, WHOLE | {"customers": 75}).set_index("factor")
    assert table.loc["Orders per customer"].tolist() == pytest.approx([1.5, 2.0, 1 / 3])
    assert table.loc["Margin rate", "change"] == 0
