"""Tasks of the exercise on historical LTV."""

import pandas as pd

from helpers import summaries
from helpers.course.answers import Mistake, Task, Tasks
from helpers.measures import economics, lifetimes, ltv, repurchase
from helpers.study import Study

YEAR = 365


def whole_cohorts(study: Study, cohort_ages: pd.DataFrame, age: int = YEAR) -> pd.DataFrame:
    """Give the rows up to an age in days of the cohorts whose last customer has lived so long."""
    rows = cohort_ages[
        (cohort_ages["age_unit"] == "horizon")
        & (cohort_ages["dimension"] == "all")
        & (cohort_ages["age"] <= age)
    ]
    done = ltv.complete_through(rows["cohort"].unique(), [age], "horizon")[age]
    return rows[rows["cohort"].isin(done.index[done <= pd.Timestamp(study.end)])]


def repeat_90(study: Study) -> Task:
    """Share of customers who buy again within 90 days, open waits counted for what was seen."""
    gaps = summaries.load(study, "gaps")
    first = gaps[gaps["order_number"] == 1]
    came = first[first["event"].astype(bool)]
    within, everybody = came.loc[came["days"] <= 90, "n"].sum(), first["n"].sum()
    found = repurchase.repeat_within(gaps, 90)
    return Task(
        found.value,
        "percent",
        (
            Mistake(within / everybody, "This counts customers who joined last week among those "
                    "who did not come back. They have not been watched for 90 days yet."),
            Mistake(within / came["n"].sum(), "Those who have not come back are missing below the "
                    "line."),
            Mistake(came["n"].sum() / everybody, "This is who has come back ever, so far."),
            Mistake(1 - found.value, "This is who is still waiting after 90 days."),
            Mistake(found.high, "This is the upper end of the interval."),
        ),
        "Each customer counts for as long as one was watched: `repurchase.repeat_within` knows.",
        "Whoever is young counts for the time that was seen. The plain division makes a growing "
        "shop look disloyal.",
    )  # fmt: skip


def value_365(study: Study) -> Task:
    """Margin of the cohorts that have lived a year, over their customers."""
    rows = summaries.load(study, "cohort_ages")
    old = whole_cohorts(study, rows)
    sizes = old.groupby("cohort")["customers"].first()
    each = old.groupby("cohort")["margin"].sum() / sizes
    every = rows[(rows["age_unit"] == "horizon") & (rows["dimension"] == "all")]
    young = every[every["age"] <= YEAR]
    all_sizes = young.groupby("cohort")["customers"].first()
    later = every[every["cohort"].isin(sizes.index)]
    return Task(
        old["margin"].sum() / sizes.sum(),
        "money",
        (
            Mistake(young["margin"].sum() / all_sizes.sum(), "Cohorts that have not lived a year "
                    "are in it, with the months they still miss. Keep only whole ones."),
            Mistake(old["revenue"].sum() / sizes.sum(), "This is revenue, not margin."),
            Mistake(each.mean(), "This is the mean over cohorts of their values. A small cohort "
                    "counts as much as a large one: divide sum by sum."),
            Mistake(old["margin"].sum() / old["customers"].sum(), "Each cohort stands in several "
                    "rows, one for each age. Count its customers once."),
            Mistake(later["margin"].sum() / sizes.sum(), "Ages beyond a year are in it."),
        ),
        "Three steps: sum margin up to the age, count all who joined, divide.",
        "All who joined count, also those who never came back: their zero is part of the value.",
    )  # fmt: skip


def cost_paid(study: Study) -> Task:
    """Spend over new customers, of the channels that cost something."""
    acquisition = summaries.load(study, "acquisition")
    paid = acquisition[acquisition["cost"].notna()]
    each = paid.groupby("channel")[["cost", "new_customers"]].sum()
    return Task(
        paid["cost"].sum() / paid["new_customers"].sum(),
        "money",
        (
            Mistake(paid["cost"].sum() / acquisition["new_customers"].sum(), "This is blended: "
                    "customers who came without spend are in it. That hides what one more costs."),
            Mistake((each["cost"] / each["new_customers"]).mean(), "This is the mean of the "
                    "channels' costs. Divide all spend by all customers it won."),
            Mistake((paid["cost"] / paid["new_customers"]).mean(), "This is the mean over the rows "
                    "of the table: a month with few customers counts like a good one."),
            Mistake(paid["cost"].sum() / paid["clicks"].sum(), "This is the cost of a click."),
        ),
        "Leave out the channels whose `cost` is missing, then sum both columns and divide.",
        "Blended cost says what customers cost on average; paid cost is nearer to what the next "
        "one will cost.",
    )  # fmt: skip


def weakest(study: Study) -> Task:
    """The paid channel that earns the least for its cost."""
    acquisition, rows = (summaries.load(study, n) for n in ("acquisition", "cohort_ages"))
    found = economics.unit_economics(
        acquisition, rows, horizon=YEAR, value="margin", as_of=study.end, left_truncated=[],
        min_cell=study.shop.privacy.min_cell,
    )  # fmt: skip
    channels = found[found.index.isin(acquisition["channel"].unique())]
    least = channels["ltv_to_cac"].astype(float)
    cheap = channels["ltv"].astype(float)
    return Task(
        str(least.idxmin()),
        "word",
        (
            Mistake(str(cheap.idxmin()), "Its customers are worth least, but they also cost least. "
                    "Look at value over cost."),
            Mistake(str(least.idxmax()), "It earns most for its cost. Which one earns least?"),
            Mistake("organic", "No cost is recorded for it, so there is nothing to divide by."),
            Mistake("email_referral", "No cost is recorded for it, so there is nothing to divide "
                    "by."),
        ),
        "Read the column `ltv_to_cac`.",
        "It gives the least back for its cost in the first year. Whether it is worth the money "
        "hangs on later years, which is the subject of the next chapters.",
        words="affiliate, email_referral, organic, search, social",
    )  # fmt: skip


def formula(study: Study) -> Task:
    """ARPU x margin rate / churn."""
    periods, gaps, parts = (summaries.load(study, n) for n in ("periods", "gaps", "gap_parts"))
    found = lifetimes.leaving(periods, gaps, parts=parts)
    arpu, rate, churn = found.value.arpu, found.value.margin_rate, found.churn.rate
    return Task(
        arpu * rate / churn,
        "money",
        (
            Mistake(arpu / churn, "This is revenue over a life. The margin rate is missing."),
            Mistake(arpu * rate / (1 - churn), "Divide by who leaves, not by who stays."),
            Mistake(arpu * rate, "This is the margin of one month. Over how many months?"),
            Mistake(arpu * rate / found.churn.lost_share, "This is the share lost over the whole "
                    "window. ARPU is that of a month, so churn has to be that of a month."),
        ),
        "`leaving.value.arpu`, `leaving.value.margin_rate` and `leaving.churn.rate` are of one "
        "month each.",
        "The formula looks beyond a year and takes one churn for everybody. Set it beside what "
        "customers did earn by day 365 before you believe it.",
    )  # fmt: skip


TASKS: Tasks = {
    "repeat_90": repeat_90,
    "cost_paid": cost_paid,
    "weakest": weakest,
    "formula": formula,
    "value_365": value_365,
}
