"""Tasks of the exercise on predictive CLV."""

import pandas as pd

from helpers import summaries
from helpers.course.answers import Mistake, Task, Tasks
from helpers.measures import metrics
from helpers.models import btyd, forecast
from helpers.models.purchase import PurchaseFit
from helpers.models.states import States
from helpers.study import Study

WEEKS, RATE = 365.25 / 7, 0.1


def fitted(study: Study) -> tuple[States, PurchaseFit]:
    """Fit BG/NBD to the shop's customers, in weeks."""
    at = forecast.states_at(summaries.load(study, "customer_states"), study.end)
    return at, btyd.fit(at)


def _year(study: Study) -> pd.DataFrame:
    return metrics.last_months(summaries.load(study, "periods"), study.month, 12)


def _orders(study: Study, weeks: float = WEEKS) -> float:
    at, fit = fitted(study)
    return float((at.n * btyd.expected_purchases(fit, at, weeks)).sum())


def alive(study: Study) -> Task:
    """Customers expected to be active still."""
    at, fit = fitted(study)
    chance = btyd.p_alive(fit, at)
    return Task(
        float((at.n * chance).sum()),
        "count",
        (
            Mistake(float(chance.sum()), "This counts each row once. A row is a state, and `n` "
                    "customers share it."),
            Mistake(float(at.n[chance > 0.5].sum()), "This counts who is more likely active than "
                    "not. A chance of 0.6 is not a whole customer, and one of 0.4 not none: sum "
                    "chances."),
            Mistake(float(at.n.sum()), "These are all customers, active or not."),
            Mistake(float((at.n * chance).sum() / at.n.sum()), "This is the share. How many are "
                    "they?"),
            Mistake(float(chance.mean()), "This is the mean chance over rows. Sum chance x n."),
        ),
        "Sum, over the states, the chance to be active times the customers in that state.",
        "Nobody announces leaving. A sum of chances is a good count even where each single one "
        "is unsure.",
    )  # fmt: skip


def orders_ahead(study: Study) -> Task:
    """Orders expected of today's customers in the next twelve months."""
    at, fit = fitted(study)
    each = btyd.expected_purchases(fit, at, WEEKS)
    return Task(
        _orders(study),
        "count",
        (
            Mistake(_orders(study, 12.0), "These are the orders of twelve weeks: the model's time "
                    "is in weeks."),
            Mistake(_orders(study, 365.25), "These are the orders of a year's days taken for "
                    "weeks. The model's time is in weeks."),
            Mistake(float(each.sum()), "This counts each state once. Weigh it by its customers, "
                    "`n`."),
            Mistake(float(_year(study)["orders"].sum()), "These are last year's orders. Many came "
                    "from customers who were new then: the coming year's new ones are not here."),
            Mistake(float((at.n * btyd.p_alive(fit, at) * each).sum()), "The chance to be active "
                    "is in `expected_purchases` already. Count it once."),
        ),
        "`btyd.expected_purchases(fit, at, weeks)` is per customer of a state; sum it times `n`.",
        "Fewer than last year, and no cause for alarm: customers still to be won are a line of "
        "their own.",
    )  # fmt: skip


def margin_ahead(study: Study) -> Task:
    """Margin of those orders, at the last year's order value and margin rate."""
    year, orders = _year(study), _orders(study)
    aov = year["revenue"].sum() / year["orders"].sum()
    rate = year["margin"].sum() / year["margin_revenue"].sum()
    return Task(
        orders * aov * rate,
        "money",
        (
            Mistake(orders * aov, "This is revenue. Which part of it is margin?"),
            Mistake(orders * aov * year["margin"].sum() / year["revenue"].sum(), "Margin is known "
                    "only where the cost is. Divide it by the revenue of those lines, "
                    "`margin_revenue`."),
            Mistake(float(year["margin"].sum()), "This is last year's margin, of all customers "
                    "and with the orders of those who were new."),
            Mistake(float(aov * rate), "This is the margin of one order."),
            Mistake(orders * (year["revenue"] / year["orders"]).mean()
                    * (year["margin"] / year["margin_revenue"]).mean(), "These are means of the "
                    "months' ratios. Sum the twelve months first, then divide."),
            Mistake(orders * year["margin"].sum() / year["orders"].sum(), "Order value is "
                    "`revenue` / `orders`: `margin_revenue` is only the part whose cost is known."),
        ),
        "Order value is revenue / orders; the margin rate is margin / margin_revenue; sums of the "
        "twelve months.",
        "What a customer is worth is orders to come times what an order leaves. Cost to serve "
        "comes off next.",
    )  # fmt: skip


def worth_today(study: Study) -> Task:
    """The same discounted, as if all came in the middle of the year."""
    later = float(margin_ahead(study).answer)
    return Task(
        later / (1 + RATE) ** 0.5,
        "money",
        (
            Mistake(later / (1 + RATE), "This discounts a whole year, as if all came on its last "
                    "day. Money that comes over the year is half a year away on average."),
            Mistake(later, "This is not discounted."),
            Mistake(later / (1 + RATE / 2), "Half of the rate for half a year is nearly it. The "
                    "rate of a year is 1.1 to the power of the years: here a half."),
            Mistake(later * (1 + RATE) ** 0.5, "Money to come is worth less today, not more: "
                    "divide."),
            Mistake(later * (1 - RATE), "A rate of "
                    "10% divides by 1.1; it does not take a tenth off."),
        ),
        "Divide by one plus the rate, to the power of the years you wait.",
        "Over one year the rate matters little; over a whole life it decides much.",
    )  # fmt: skip


TASKS: Tasks = {
    "alive": alive,
    "orders_ahead": orders_ahead,
    "margin_ahead": margin_ahead,
    "worth_today": worth_today,
}
