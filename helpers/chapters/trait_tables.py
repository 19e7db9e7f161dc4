"""Frames of cohorts told apart by one trait of their customers, one dimension at a time."""

import pandas as pd

from helpers import summaries
from helpers.chapters.cohort_tables import curve, pooled_at
from helpers.errors import UsageError, nearest
from helpers.measures import cohorts
from helpers.study import Study

DIMENSIONS = {
    "channel": ("channel of acquisition", "a column channel of orders"),
    "first_product": ("first product", "a column product_id of orders"),
    "first_category": ("first category", "a column category of orders"),
    "first_discount": ("discount or coupon on the first order", "a column discount of orders"),
    "country": ("country", "a column country of orders or customers"),
    "customer_class": ("customer class", "a column customer_class of customers"),
    "loyalty": ("loyalty program", "a column loyalty_member of customers"),
    "cart_flow": ("checkout flow of the first order", "a column cart_flow of orders"),
    "campaign": (
        "campaign before the first order",
        "messages of campaigns, in touchpoints, that go out to people before they buy",
    ),
    "age_band": ("age band", "a column age_band of customers"),
}
# Lines in one picture, and the months of age it reaches to.
MOST_LINES, LAST_AGE = 3, 12
_COLUMNS = ["value", "customers", "month_1", "month_1_low", "month_1_high", "month_12",
            "money_90", "money_90_low", "money_90_high", "money_360", "money_360_low",
            "money_360_high"]  # fmt: skip

# In the order of a reader's questions; what does not fit on the page is in the table's file.
_SHOWN = ["value", "customers", "month_1", "month_12", "money_90", "money_360", "money_360_low",
          "money_360_high", "month_1_low", "month_1_high", "money_90_low",
          "money_90_high"]  # fmt: skip


def trait_rows(study: Study, dimension: str) -> pd.DataFrame:
    """Load the cohorts of one dimension; UsageError for one that is not known."""
    if dimension not in DIMENSIONS:
        raise UsageError(
            f"dimension is '{dimension}'; it must be one of {', '.join(DIMENSIONS)}."
            f"{nearest(dimension, DIMENSIONS)}"
        )
    return summaries.load(study, "trait_ages", dimension=dimension)


def by_value(
    rows: pd.DataFrame, dimension: str, basis: str, cohort_ages: pd.DataFrame, **frame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare the values of a dimension: pooled retention and money at a few ages, and curves.

    Values of fewer customers than may be shown are left out of both. The first frame has a row
    per value, largest first: customers (who joined, all cohorts), month_1 and month_12 (retention),
    money_90 and money_360 (``basis`` so far per customer), with intervals; the second a row per
    value (of the MOST_LINES largest) and month of age: value, age, share, low, high, customers.
    Cohorts of the run-in are those of the whole shop.
    """
    least, lines, curves = frame["min_cell"], [], []
    sizes = rows.drop_duplicates(["cohort", "value"]).groupby("value")["customers"].sum()
    sizes = sizes[sizes >= least].sort_values(ascending=False, kind="stable")
    every = cohort_ages["cohort"].min()
    for value, n in sizes.items():
        chosen = {**frame, "min_cell": 1, "dimension": dimension, "value": value}
        stay, earn = (
            cohorts.triangle(_with_first(rows, every), **chosen, **kind) for kind in (
                {"measure": "retention"},
                {"measure": basis, "cumulative": True, "age_unit": "days30"},
            )
        )  # fmt: skip
        found = [pooled_at(stay, 1), pooled_at(stay, 12), pooled_at(earn, 2), pooled_at(earn, 11)]
        m1, m12, d90, d360 = (e if e.n >= least else pooled_at(stay, -1) for e in found)
        lines.append((value, int(n), m1.value, m1.low, m1.high, m12.value, d90.value, d90.low,
                      d90.high, d360.value, d360.low, d360.high))  # fmt: skip
        part = curve(stay).rename(columns={"value": "share"})
        part = part[(part["customers"] >= least) & (part["age"] <= LAST_AGE)]
        if len(curves) < MOST_LINES and len(part):
            curves.append(part.assign(value=value)[
                ["value", "age", "share", "low", "high", "customers"]
            ])  # fmt: skip
    table = pd.DataFrame(lines, columns=_COLUMNS)[_SHOWN]
    empty = pd.DataFrame(columns=["value", "age", "share", "low", "high", "customers"])
    return table, pd.concat(curves, ignore_index=True) if curves else empty


def _with_first(rows: pd.DataFrame, first: pd.Timestamp) -> pd.DataFrame:
    """Let the frame know the shop's first cohort, from which left truncation counts."""
    if rows.empty or rows["cohort"].min() <= first:
        return rows
    # A row of another dimension: it marks the month and is never drawn.
    mark = rows.head(1).assign(cohort=first, dimension="shop", value="shop")
    return pd.concat([rows, mark], ignore_index=True)
