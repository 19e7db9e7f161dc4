"""Who is new, who comes back, who leaves, and how long they stay."""

from helpers.catalog.entry import BUYERS, ORDERS, PERIOD, Measure

THEME = "New, returning and lost customers"

ENTRIES = (
    Measure(
        "new_customers", "New customers",
        "How many customers bought for the first time.",
        "number of customers whose first order falls in the period",
        numerator="customers whose first order ever falls in the period", window=PERIOD,
        unit="count", needs=ORDERS,
        pitfalls=("Where the history starts later than the shop did, old customers look new in "
                  "its first months.",
                  "An order that was later refunded in full still made a customer new."),
        requirements=(37,), notebook="02", numerator_column="new_customers",
    ),
    Measure(
        "new_customer_share", "Share of new customers",
        "What share of active customers bought for the first time.",
        "new customers / active customers of the period",
        numerator="customers whose first order ever falls in the period", denominator=BUYERS,
        window=PERIOD, unit="percent", needs=ORDERS,
        pitfalls=("First of three definitions: a customer is new in the period of the first "
                  "order, even if a second one follows in it. One less this share is returning.",),
        requirements=(80,), notebook="02", numerator_column="new_customers",
        denominator_column="customers",
    ),
    Measure(
        "returning_year_share", "Share returning within a year",
        "What share of active customers had also bought in the twelve months before.",
        "customers with an order in the period and in the twelve months before it / active "
        "customers",
        numerator="active customers with an order in the look-back", denominator=BUYERS,
        window="a period and the twelve months before it", unit="percent", needs=ORDERS,
        pitfalls=("Second of three definitions: whoever comes back after a longer break counts as "
                  "new.",
                  "Another look-back gives another share, and a history that is shorter gives "
                  "none."),
        requirements=(14,), notebook="02", aliases=("returning customer rate",),
    ),
    Measure(
        "repeater_share", "Share of repeat customers",
        "What share of all customers so far has more than one order.",
        "customers with more than one order by the period's end / all customers by then",
        numerator="customers with a second order by then", denominator="customers won by then",
        window="the whole history up to the period's end", unit="percent", needs=ORDERS,
        pitfalls=("Third of three definitions, the one that shop systems show: a stock, which a "
                  "month can hardly move.",
                  "It counts customers of yesterday as if they had had time; the repeat rate "
                  "within k days does not."),
        requirements=(14,), notebook="02", aliases=("repeaters",),
    ),
    Measure(
        "repeat_rate", "Repeat rate within k days",
        "What share of new customers buy again within so many days.",
        "customers with a second purchase day within k days / customers, those who have not been "
        "customers for k days counted for as long as they were seen (Kaplan-Meier)",
        numerator="customers with a second purchase within k days of the first",
        denominator="customers whose first purchase is at least k days old",
        window="k days after the first purchase", unit="percent", needs=ORDERS,
        pitfalls=("Shops' own returning rate is another measure: it has no length.",
                  "Counting young customers as lost makes a growing shop look bad.",
                  "RPR stands for this and for revenue per recipient; spell it out."),
        requirements=(14, 87), notebook="02", aliases=("repurchase rate", "repeat purchase rate"),
    ),
    Measure(
        "retention", "Retention at an age",
        "What share of a cohort buys at an age.",
        "customers active at the age / customers of the cohort",
        numerator="customers with an order at the age", denominator="all customers of the cohort",
        window="an age of the cohort that all its members have lived through", unit="percent",
        needs=ORDERS,
        pitfalls=("An age that is not complete is missing, not zero.",
                  "Pooled over cohorts it is a sum over a sum of the cohorts that reached the age.",
                  "Retention that rises with age is mostly sorting: those who leave, leave early."),
        requirements=(15, 35), notebook="03",
    ),
    Measure(
        "crr", "Customer retention rate",
        "What share of the customers of a period's start were kept.",
        "(customers at the end - new customers) / customers at the start",
        numerator="customers at the end who are not new", denominator="customers at the start",
        window="a calendar month", unit="percent", needs=ORDERS,
        pitfalls=("A shop has to say who is a customer: here, whoever bought within the "
                  "inactivity window. Contracts say it themselves.",
                  "By counts, those who come back look kept and those who join and leave look "
                  "lost; the share of the same persons at start and end stands beside it."),
        requirements=(80, 81), notebook="02", aliases=("retention rate",),
        example="(90 - 20) / 100 = 0.70",
    ),
    Measure(
        "churn_contractual", "Churn under contracts",
        "What share of the contracts, or of the customers, of a month's start ended in it.",
        "ended in the month, of those there at its start / there at its start",
        numerator="contracts of the start that ended in the month",
        denominator="contracts running on the first day",
        window="a calendar month, or several pooled: sum over sum", unit="percent",
        needs=("subscriptions.customer_id", "subscriptions.started_at", "subscriptions.ended_at"),
        pitfalls=("Whoever joined and left in the same month is on neither side.",
                  "A year is not twelve times a month: it is 1 - (1 - churn) ^ 12.",
                  "A customer with two contracts is lost with the last one only."),
        requirements=(31, 82), notebook="02", example="1 - (1 - 0.05) ** 12 = 0.4596",
    ),
    Measure(
        "churn_noncontractual", "Churn without contracts",
        "How many of the active customers are lost in a month.",
        "customers who waited longer than the inactivity window / months that customers were "
        "active",
        numerator="waits that outlast the inactivity window", denominator="active customer-months",
        window="all waits that could be observed", unit="percent", needs=ORDERS,
        pitfalls=("Nobody sees it happen: the length of the window decides it, and with it the "
                  "formula's value.",
                  "The last days of the history, as many as the window has, cannot be judged yet."),
        requirements=(31, 57, 82), notebook="02",
    ),
    Measure(
        "inactivity_window", "Inactivity window",
        "After how long a wait a customer counts as lost.",
        "the wait within which nine of ten repeat purchases come, open waits counted "
        "(Kaplan-Meier)",
        window="all waits between purchase days", unit="days", needs=ORDERS,
        pitfalls=("Taken from finished waits alone it is too short, because long waits are still "
                  "open.",),
        requirements=(31, 48), notebook="02",
    ),
    Measure(
        "lifetime_cycles", "Lifetime in cycles",
        "How many cycles a customer stays if churn is constant.", "1 / churn",
        numerator="1", denominator="churn per cycle", window="cycles of the churn rate",
        unit="months", needs=ORDERS,
        pitfalls=("With zero churn it has no value; one month without a loss proves nothing.",
                  "Where customers differ, the mean of 1 / churn is more than 1 / the mean of "
                  "churn."),
        requirements=(33,), notebook="02", example="1 / 0.05 = 20",
    ),
    Measure(
        "customer_lifespan", "Average customer lifespan",
        "How long customers keep buying on average, up to a stated horizon.",
        "area under the curve of those still buying, from the first order to the horizon "
        "(Kaplan-Meier, restricted mean)",
        window="from the first order to the horizon", unit="days", needs=ORDERS,
        pitfalls=("Without a horizon the mean depends on ages nobody has reached.",
                  "Last less first order is no lifespan: it is zero for one-time buyers and cut "
                  "short for everybody who is still there."),
        requirements=(66, 90, 91), notebook="02", aliases=("ACL", "restricted mean lifetime"),
    ),
    Measure(
        "lifetime_duration", "Lifetime of those who left",
        "How long customers who are gone had been buying.",
        "mean (or median) of last purchase day - first purchase day, over customers past the "
        "inactivity window",
        numerator="days from first to last purchase",
        denominator="customers past the inactivity window", window="first to last purchase",
        unit="days", needs=ORDERS,
        pitfalls=("It leaves out everybody still active, so it is too short for the whole; the "
                  "average lifespan counts them.",),
        requirements=(90,), notebook="02", aliases=("LD",),
    ),
    Measure(
        "wait_between_orders", "Time between purchases",
        "How long customers wait for the next purchase.",
        "median days from one purchase day to the next, by number of the purchase (Kaplan-Meier)",
        window="all waits between purchase days, open ones counted", unit="days", needs=ORDERS,
        pitfalls=("Finished waits alone are too short: the long ones are still running.",
                  "The second purchase takes longer than the tenth, so do not mix them."),
        requirements=(35, 59), notebook="03", aliases=("inter-purchase time",),
    ),
    Measure(
        "overdue_share", "Share overdue",
        "What share of customers is quiet for longer than they used to be.",
        "customers whose wait exceeds their own usual wait by the stated factor / customers with "
        "at least two purchases",
        numerator="customers past their own usual wait",
        denominator="customers with two purchases or more", window="as of the month's last day",
        unit="percent", needs=ORDERS,
        pitfalls=("One-time buyers have no usual wait and are left out.",),
        requirements=(50,), notebook="03", aliases=("customer health",),
    ),
    Measure(
        "next_order_probability", "Chance of an order soon",
        "How likely a customer is to order within so many days.",
        "expected share of customers with a purchase in the next k days, from the purchase model",
        numerator="customers expected to buy within k days", denominator="customers",
        window="the next 30 or 90 days", unit="percent", needs=ORDERS,
        pitfalls=("The model knows no season and no promotion.",
                  "Held against a stretch that has already happened, or it is an opinion."),
        requirements=(44, 46), notebook="04",
    ),
    Measure(
        "alive_share", "Share still active",
        "What share of customers the model takes to be still there.",
        "mean over customers of the probability of being active, given their purchases",
        numerator="sum of the probabilities", denominator="customers with a purchase",
        window="as of the month's last day", unit="percent", needs=ORDERS,
        pitfalls=("A customer who never bought again cannot be told from one who will; it is a "
                  "mean.",),
        requirements=(46,), notebook="04", aliases=("P(alive)",),
    ),
    Measure(
        "contact_state_share", "Cold, activated and dormant",
        "How people on file divide into those who never bought, those who buy, and those who "
        "stopped.",
        "people in each state / people on file: cold (no order), activated (within the inactivity "
        "window), dormant (past it)",
        numerator="people in the state", denominator="leads and customers on file",
        window="as of the month's last day", unit="percent",
        needs=("leads.lead_id", "leads.customer_id", *ORDERS),
        pitfalls=("Only those who consented may be written to, whatever their state.",
                  "A lead and a customer who are one person count twice until they are linked."),
        requirements=(52,), notebook="05",
    ),
)  # fmt: skip
