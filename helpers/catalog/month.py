"""The month as a whole: the core metric against its target, and what the data carry."""

from helpers.catalog.entry import MARGIN, ORDERS, REVENUE, Measure

THEME = "The month, its target and its data"

ENTRIES = (
    Measure(
        "core_metric", "Core metric",
        "The one metric that ties what is done to money.",
        "contribution margin per day by default; the shop may choose revenue or orders per day",
        numerator="margin, revenue or orders of the day", denominator="days",
        window="each of the last thirty days", unit="money", needs=MARGIN,
        pitfalls=("Where too little of the margin is known, revenue stands in and the page says "
                  "so.",
                  "A single day says little."),
        requirements=(1, 64), notebook="06", aliases=("north star metric",),
    ),
    Measure(
        "target_reached", "Share of the target",
        "How much of the target the shop reached.",
        "mean of the core metric over the days shown / target per day",
        numerator="mean of the core metric", denominator="target per day from the shop's settings",
        window="the last thirty days", unit="percent", needs=MARGIN,
        pitfalls=("A target for margin says nothing where only revenue is known.",),
        requirements=(1, 27), notebook="06",
    ),
    Measure(
        "consent_share", "Consent share",
        "What share of customers may be written to.",
        "customers whose last word for the purpose is yes / customers",
        numerator="customers with consent", denominator="customers with an order",
        window="as of the day that matters", unit="percent",
        needs=("consents.customer_id", "consents.purpose", "consents.state", "consents.at"),
        pitfalls=("Never asked is not the same as refused: both are shown.",
                  "Those who consented need not buy like the others."),
        requirements=(3, 47), notebook="01", aliases=("consent coverage",),
    ),
    Measure(
        "data_age", "Age of a source",
        "How old the newest row of a table is.",
        "the month's last day - the day of the table's newest row",
        window="as of the month's last day", unit="days", needs=("orders.ordered_at",),
        pitfalls=("A table that only changes now and then is late by its own usual gap, not by "
                  "days.",),
        requirements=(17, 24), notebook="01", aliases=("freshness",),
    ),
    Measure(
        "set_aside_share", "Lines set aside",
        "What share of the lines, and of the money, could not be used.",
        "lines (or absolute amounts) set aside / lines (or absolute amounts) seen",
        numerator="lines set aside", denominator="lines seen", window="all lines up to the month",
        unit="percent", needs=REVENUE,
        pitfalls=("What is set aside is kept with its reason; nothing is dropped.",),
        requirements=(17, 30), notebook="01",
    ),
    Measure(
        "reconciliation_difference", "Difference to billing",
        "How far orders and payments are apart.",
        "(payments - orders) / orders, in money of orders that both know",
        numerator="payments less orders", denominator="orders", window="the month", unit="percent",
        needs=(*REVENUE, "payments.order_id", "payments.amount", "payments.paid_at"),
        pitfalls=("A step is one wrong payment, a slope is a feed that broke: the day it began "
                  "matters more than the size.",),
        requirements=(30,), notebook="01",
    ),
    Measure(
        "customers_counted", "Customers behind a figure",
        "How many customers a figure rests on.", "number of distinct customers in the cell",
        numerator="distinct customers", window="that of the figure", unit="count", needs=ORDERS,
        pitfalls=("Below the shop's smallest cell a figure is withheld, and one more so that none "
                  "can be worked out.",),
        requirements=(35, 94), notebook="03", aliases=("n",),
    ),
)  # fmt: skip
