"""The month in a few sentences, and the warning that orders end before the month does."""

from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.chapters import change_tables, in_short, ltv_tables, value_tables
from helpers.measures import lifetimes
from helpers.written import money_in

EURO = money_in("EUR")


def quiet(days_sold, begin="2026-01-01", end="2026-05-31"):
    """A study and its orders by day, one order on each day that is named."""
    study = SimpleNamespace(
        history_starts_at=date.fromisoformat(begin), end=date.fromisoformat(end)
    )
    rows = pd.DataFrame({"start": pd.to_datetime(days_sold), "orders": 1.0})
    return study, rows.assign(grain="day", dimension="all")


@pytest.mark.parametrize(
    ("last", "step", "says"),
    [
        ("2026-05-31", 1, ""),
        ("2026-05-29", 1, ""),  # two days may be a weekend
        ("2026-05-28", 1, "the last 3 days of the month are empty"),
        ("2026-05-26", 6, ""),  # a shop that sells every sixth day is as silent as ever
        ("2026-05-20", 6, "the last 11 days"),
    ],
)
def test_orders_that_end_before_the_month_are_said(last, step, says):
    study, rows = quiet(pd.date_range(end=last, periods=60 // step, freq=f"{step}D"))
    found = in_short.silence(study, rows)
    assert says in found and bool(found) == bool(says)


def test_no_order_at_all_is_no_silence():
    study, rows = quiet([])
    assert in_short.silence(study, rows) == ""


def test_what_moved_the_month_is_said_with_its_two_largest_steps():
    steps = pd.DataFrame({
        "step": ["April 2026", "Customers who bought", "Basket before refunds", "Refunds",
                 "May 2026"],
        "amount": [100.0, -40.0, 12.5, 1.0, 73.5], "kind": ["total", *["less"] * 3, "total"],
    })  # fmt: skip
    why = in_short._why(change_tables.Moved(steps, pd.DataFrame()), "margin", EURO)
    assert "€26.50 below April 2026" in why
    assert "customers who bought (-€40.00) and basket before refunds (+€12.50)" in why


def test_a_first_month_says_why_nothing_is_compared():
    rows = pd.DataFrame({"whole": [True], "customers": [50]})
    moved = change_tables.moved(rows)
    assert "no earlier whole period" in in_short._why(moved, "margin", EURO)


def test_factors_are_written_in_their_own_units():
    factors = pd.DataFrame({
        "factor": ["Customers who bought", "Orders per customer", "Basket before refunds",
                   "Refunds", "Margin rate"],
        "before": [2057.0, 2.2, 60.0, 0.96, np.nan], "after": [3134.0, 2.42, 59.12, 1.0, 0.38],
        "change": [0.5236, 0.1, -0.0147, 0.0417, np.nan],
    })  # fmt: skip
    table = change_tables.written_factors(factors, EURO).set_index("factor")
    assert list(table.loc["Customers who bought"]) == ["2,057", "3,134", "52.4%"]
    assert list(table.loc["Basket before refunds", ["before", "after"]]) == ["€60.00", "€59.12"]
    assert list(table.loc["Share kept after refunds", ["before", "after"]]) == ["96.0%", "100.0%"]
    assert list(table.loc["Margin rate"]) == ["n/a", "38.0%", "n/a"]


def test_a_value_that_is_not_known_has_no_column():
    ages = {"horizon": [30, 30, 30], "measure": list(value_tables.MEASURES.values())}
    figures = {"per_customer": [50.0, np.nan, np.nan], "low": [40.0, np.nan, np.nan]}
    long = pd.DataFrame(ages | figures).assign(
        high=60.0, customers=20, cohorts=2, coverage=[np.nan, 0.0, 0.0]
    )
    table = value_tables.family_table(long)
    assert list(table) == [
        "age in days", "revenue", "revenue_low", "revenue_high", "customers", "cohorts"
    ]  # fmt: skip
    assert set(value_tables.family_formats(table, EURO)) == set(table)
    every = value_tables.family_table(long.assign(per_customer=50.0, coverage=0.9))
    assert list(every)[4:8] == ["after_service_low", "after_service_high", "customers", "cohorts"]
    assert every["coverage"].iloc[0] == 0.9


def test_a_history_that_loses_everybody_in_a_month_tells_no_churn():
    # Eighty first orders of one month, a third of them followed by another after a day.
    gaps = pd.DataFrame({
        "order_number": 1, "days": [1, 1, 5, 12, 30], "event": [True, False, False, False, False],
        "n": [60, 10, 30, 20, 1],
    })  # fmt: skip
    shown = ltv_tables.repeat_shares(gaps).set_index("days")
    assert shown["share"].isna().all() and np.isnan(shown.loc[30, "observed"])
    table = lifetimes.windows(no_months(), gaps)
    assert table["churn"].isna().all() and table["reason"].str.contains("too short").all()
    observed = pd.Series({"horizon": 365, "per_customer": np.nan})
    said = ltv_tables.formula_table(no_months(), gaps, observed, "revenue", EURO)
    assert list(said["figure"]) == ["no figure"] and "too short" in said["how"].iloc[0]


def no_months():
    """One month of a shop without costs."""
    row = {
        "grain": "month",
        "dimension": "all",
        "value": "all",
        "start": pd.Timestamp("2026-05-01"),
    }
    money = {"revenue": 3000.0, "margin": 0.0, "margin_revenue": 0.0, "refunds": 0.0}
    return pd.DataFrame([row | money | {"orders": 80, "customers": 60, "new_customers": 60}])
