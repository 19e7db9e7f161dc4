"""Tasks of the first exercise: worked examples by hand, then the same on the sample shop."""

from helpers import summaries
from helpers.course.answers import Mistake, Task, Tasks
from helpers.course.values import whole_cohorts
from helpers.study import Study

# The shop of the worked examples: an order of 50 every second month, 60% of it margin.
ORDER_VALUE, ORDERS_A_MONTH, MARGIN, CHURN = 50.0, 0.5, 0.6, 0.05
SPEND, WON, CLICKS_TO_CUSTOMERS = 9000.0, 100, 0.02

_LIFE = 1 / CHURN
_REVENUE_A_MONTH = ORDER_VALUE * ORDERS_A_MONTH
_VALUE = _REVENUE_A_MONTH * MARGIN * _LIFE
_CAC = SPEND / WON


def lifetime(study: Study) -> Task:
    """1 / churn: how long a customer stays, in months."""
    return Task(
        _LIFE,
        "months",
        (
            Mistake(CHURN, "This is the churn itself: the share who leave in a month."),
            Mistake(1 - CHURN, "This is who stays in a month. A lifetime is one over who leaves."),
            Mistake(1 / 5, "A churn of 5% is 0.05 as a share, not 5."),
            Mistake(1 / (1 - CHURN), "One over who *leaves*, not one over who stays."),
        ),
        "If one customer in twenty leaves each month, how many months does one stay on average?",
        "A lifetime is one over churn, in the unit of the churn: months here. With 2% it would be "
        "two and a half times as long, so a small change of churn moves value a lot.",
    )


def value_by_hand(study: Study) -> Task:
    """AOV x orders per month x lifetime x margin."""
    return Task(
        _VALUE,
        "ratio",
        (
            Mistake(_VALUE / MARGIN, "This is revenue. What is left of it after its cost?"),
            Mistake(_REVENUE_A_MONTH * MARGIN, "This is one month. How many months is a life?"),
            Mistake(_VALUE / ORDERS_A_MONTH, "This takes an order each month. There is one every "
                    "second month: half an order a month."),
            Mistake(_REVENUE_A_MONTH * MARGIN * 12, "This is one year, a horizon. The question is "
                    "about the whole life."),
            Mistake(_VALUE / ORDERS_A_MONTH**2, "One order every second month is half an order a "
                    "month, not two."),
        ),
        "Multiply four things: order value, orders per month, months of a life, margin rate.",
        "Value is margin, not revenue, and it is a product: a tenth more of any factor is a tenth "
        "more value.",
    )  # fmt: skip


def payback(study: Study) -> Task:
    """CAC / margin per customer and month."""
    monthly = _REVENUE_A_MONTH * MARGIN
    return Task(
        _CAC / monthly,
        "months",
        (
            Mistake(_CAC, "This is the CAC, what winning one customer cost. In how many months "
                    "does one earn that?"),
            Mistake(_CAC / _REVENUE_A_MONTH, "This earns the cost back from revenue. Goods have "
                    "to be paid, too: use margin."),
            Mistake(_VALUE / _CAC, "This is LTV over CAC: how many times the cost comes back, not "
                    "when."),
            Mistake(SPEND / monthly, "This is all spend against one customer's margin. Divide "
                    "spend by the customers it won first."),
        ),
        "First CAC = spend / customers won. Then divide it by the margin of one month.",
        "Spend over new customers is CAC; CAC over monthly margin is payback. A good LTV that "
        "comes late still has to be paid for beforehand.",
    )  # fmt: skip


def click(study: Study) -> Task:
    """Value x share of clicks that become customers."""
    return Task(
        _VALUE * CLICKS_TO_CUSTOMERS,
        "ratio",
        (
            Mistake(_VALUE / CLICKS_TO_CUSTOMERS, "A click is worth less than a customer: "
                    "multiply by the share, do not divide."),
            Mistake(_VALUE / MARGIN * CLICKS_TO_CUSTOMERS, "This rests on revenue. A click paid "
                    "from revenue loses the cost of goods: use margin."),
            Mistake(_CAC * CLICKS_TO_CUSTOMERS, "This is what a click did cost, CAC x share. Asked "
                    "is what it may cost."),
            Mistake(_VALUE * CLICKS_TO_CUSTOMERS * 100, "2% is 0.02 as a share."),
            Mistake(_VALUE / (100 * CLICKS_TO_CUSTOMERS), "Two of a hundred is 0.02 customers a "
                    "click, not half a customer."),
        ),
        "Out of a hundred clicks, how many customers, and what is each worth?",
        "At this price the clicks earn nothing; what is paid less is profit, months or years "
        "later.",
    )  # fmt: skip


def shop_value(study: Study) -> Task:
    """Margin to day 365 over the customers who have lived so long."""
    rows = summaries.load(study, "cohort_ages")
    old, everybody = whole_cohorts(study, rows), rows[rows["age_unit"] == "horizon"]
    everybody = everybody[(everybody["dimension"] == "all") & (everybody["age"] <= 365)]
    number = old.groupby("cohort")["customers"].first().sum()
    all_customers = everybody.groupby("cohort")["customers"].first().sum()
    return Task(
        old["margin"].sum() / number,
        "money",
        (
            Mistake(old["margin"].sum() / all_customers, "This divides by all customers, also by "
                    "those who have not lived a year yet. Take the customers of the same row."),
            Mistake(old["revenue"].sum() / number, "This is revenue. Take the table of margin."),
            Mistake(old["margin"].sum(), "This is what all of them brought. Per customer?"),
        ),
        "In the row of horizon 365, divide `amount` by `customers`.",
        "Nobody's life was guessed for this: it is what customers who have lived a year did earn. "
        "The interval in the table says how far another draw of such customers might lie.",
    )  # fmt: skip


TASKS: Tasks = {
    "lifetime": lifetime,
    "value_by_hand": value_by_hand,
    "payback": payback,
    "click": click,
    "shop_value": shop_value,
}
