"""Tasks of the exercise on cohorts."""

import pandas as pd

from helpers import summaries
from helpers.chapters import cohort_tables, payback_tables
from helpers.course.answers import Mistake, Task, Tasks
from helpers.course.values import YEAR, whole_cohorts
from helpers.measures import ltv
from helpers.study import Study


def by_month(study: Study, age: int, dimension: str = "all") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give active customers of an age in months: of cohorts that have lived through it, and of all.

    One row is a cohort (and value); a cohort without a buyer at the age has none active.
    """
    rows = summaries.load(study, "cohort_ages")
    rows = rows[(rows["age_unit"] == "month") & (rows["dimension"] == dimension)]
    sizes = rows.groupby(["cohort", "value"])["customers"].first()
    active = rows[rows["age"] == age].set_index(["cohort", "value"])["active"]
    every = pd.DataFrame({"customers": sizes, "active": active.reindex(sizes.index).fillna(0)})
    cohorts = every.index.get_level_values("cohort")
    done = ltv.complete_through(cohorts.unique(), [age], "month")[age]
    whole = cohorts.isin(done.index[done <= pd.Timestamp(study.end)])
    return every[whole].reset_index(), every.reset_index()


def month_1(study: Study) -> Task:
    """Share of customers who buy in the calendar month after their first order."""
    whole, every = by_month(study, 1)
    return Task(
        whole["active"].sum() / whole["customers"].sum(),
        "percent",
        (
            Mistake(every["active"].sum() / every["customers"].sum(), "The newest cohort is below "
                    "the line. Its month 1 has not happened yet: missing is not zero."),
            Mistake((whole["active"] / whole["customers"]).mean(), "This is the mean of the "
                    "cohorts' shares. Divide sum by sum."),
            Mistake(1 - whole["active"].sum() / whole["customers"].sum(), "This is who did not "
                    "come back in that month."),
        ),
        "Leave out the cohort whose month 1 lies in the future, sum both columns, divide.",
        "Not the share who ever come back: one who skips a month is not lost.",
    )  # fmt: skip


def month_12(study: Study) -> Task:
    """Share of customers who buy in calendar month 12."""
    whole, every = by_month(study, 12)
    early, _ = by_month(study, 1)
    return Task(
        whole["active"].sum() / whole["customers"].sum(),
        "percent",
        (
            Mistake(whole["active"].sum() / every["customers"].sum(), "All customers are below the "
                    "line, also those who cannot have reached month 12."),
            Mistake((every["active"] / every["customers"]).mean(), "The future counts as zero "
                    "here. A cell that nobody could observe is blank."),
            Mistake((whole["active"] / whole["customers"]).mean(), "This is the mean of the "
                    "cohorts' shares. Divide sum by sum."),
            Mistake(early["active"].sum() / early["customers"].sum(), "This is month 1."),
        ),
        "The older the age, the fewer cohorts have lived through it. Which ones have?",
        "With zeros for the future, every growing shop would seem to lose its customers.",
    )  # fmt: skip


def orders_year(study: Study) -> Task:
    """Orders per customer by day 365, the first included."""
    rows = summaries.load(study, "cohort_ages")
    old = whole_cohorts(study, rows)
    number = old.groupby("cohort")["customers"].first().sum()
    every = rows[(rows["age_unit"] == "horizon") & (rows["dimension"] == "all")]
    every = every[every["age"] <= YEAR]
    return Task(
        old["orders"].sum() / number,
        "ratio",
        (
            Mistake(every["orders"].sum() / every.groupby("cohort")["customers"].first().sum(),
                    "Cohorts that have not lived a year are in it."),
            Mistake(old["orders"].sum() / number - 1, "These are repeat orders. Count the first "
                    "one, too."),
            Mistake((old.groupby("cohort")["orders"].sum()
                     / old.groupby("cohort")["customers"].first()).mean(), "This is the mean over "
                    "cohorts. A small cohort counts as much as a large one: divide sum by sum."),
            Mistake(old["orders"].sum() / old["customers"].sum(), "Each cohort stands in several "
                    "rows. Count its customers once."),
        ),
        "The same three steps as for money: sum the orders, count all who joined, divide.",
        "Orders per customer times margin per order is the value to the same age: two levers.",
    )  # fmt: skip


def most_loyal(study: Study) -> Task:
    """The channel whose customers come back most in month 1."""
    whole, _ = by_month(study, 1, "channel")
    sums = whole.groupby("value")[["active", "customers"]].sum()
    shares = sums["active"] / sums["customers"]
    return Task(
        str(shares.idxmax()),
        "word",
        (
            Mistake(str(sums["active"].idxmax()), "It has most customers, so most of them come "
                    "back. Which channel has the highest *share*?"),
            Mistake(str(shares.idxmin()), "This is the channel with the lowest share."),
        ),
        "Divide active customers by customers, channel by channel: all of them, also those of "
        "cohorts in which nobody came back.",
        "What a channel's customers do later is known in part on the day they come: that is why "
        "cost per customer is compared channel by channel.",
        words=", ".join(sorted(shares.index)),
    )  # fmt: skip


def payback_social(study: Study) -> Task:
    """Age in days at which customers of the channel social have paid back."""
    rows, acquisition = (summaries.load(study, n) for n in ("cohort_ages", "acquisition"))
    frame = cohort_tables.frame_of(study)

    def crossed(value: str) -> pd.Series:
        net = payback_tables.net_curves(rows, acquisition, value, **frame)
        return payback_tables.crossings(net).set_index("channel")["days"].astype(float)

    days, from_revenue = crossed("margin"), crossed("revenue")
    return Task(
        days["social"],
        "count",
        (
            Mistake(from_revenue["social"], "This is when *revenue* reaches the cost. Goods have "
                    "to be paid, too."),
            Mistake(days["search"], "This is the payback of search."),
            Mistake(days["social"] / 30, "In days: the ages of the table are steps of thirty."),
            Mistake(days["social"] / 30 + 1, "This is a row of the table. Asked is its age in "
                    "days."),
        ),
        "Find the first age at which the line of social lies above zero.",
        "Until then each customer of this channel has to be paid for beforehand, and the interval "
        "in the table reaches a good deal further.",
    )  # fmt: skip


TASKS: Tasks = {
    "month_1": month_1,
    "month_12": month_12,
    "orders_year": orders_year,
    "most_loyal": most_loyal,
    "payback_social": payback_social,
}
