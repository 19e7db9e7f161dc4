"""Messages, webinars and touches, first value and carts, and what customers say."""

from helpers.catalog.entry import ORDERS, REVENUE, SENT, Measure

THEME = "Messages, first value and feedback"
_DELIVERED = (*SENT, "touchpoints.delivered")
_STEPS = ("activations.customer_id", "activations.step", "activations.at", *ORDERS)
_WEBINAR = (*SENT, "touchpoints.attended")
_SURVEY = ("surveys.customer_id", "surveys.kind", "surveys.score", "surveys.answered_at")

ENTRIES = (
    Measure(
        "open_rate", "Open rate",
        "What share of delivered messages was opened.", "messages opened / messages delivered",
        numerator="messages opened", denominator="messages delivered",
        window="messages of the month", unit="percent", needs=(*_DELIVERED, "touchpoints.opened"),
        pitfalls=("Mail programs open messages by themselves, so it is too high and hardly "
                  "comparable.",),
        requirements=(56,), notebook="05",
    ),
    Measure(
        "click_rate", "Click rate",
        "What share of delivered messages was clicked.", "messages clicked / messages delivered",
        numerator="messages clicked", denominator="messages delivered",
        window="messages of the month", unit="percent", needs=(*_DELIVERED, "touchpoints.clicked"),
        pitfalls=("Some tools divide by opens; that is another number.",
                  "Security software clicks, too."),
        requirements=(56,), notebook="05", aliases=("CTR", "click-through rate"),
    ),
    Measure(
        "message_conversion", "Conversion of messages",
        "What share of delivered messages was followed by an order.",
        "messages followed by an order within 14 days / messages delivered, at least 14 days old",
        numerator="messages followed by an order", denominator="messages delivered",
        window="14 days after the message", unit="percent", needs=(*_DELIVERED, *ORDERS),
        pitfalls=("Followed by is not caused by; a control group tells.",),
        requirements=(56, 58), notebook="05",
    ),
    Measure(
        "revenue_per_recipient", "Revenue per recipient",
        "How much revenue followed a delivered message.",
        "revenue within 14 days, up to the next message / messages delivered, at least 14 days old",
        numerator="revenue in the window, last touch", denominator="messages delivered",
        window="14 days after the message", unit="money", needs=(*_DELIVERED, *REVENUE),
        pitfalls=("In a test divide by everybody assigned, not by those reached.",
                  "An order after two messages counts once, for the last; it is no effect of it."),
        requirements=(56,), notebook="05",
    ),
    Measure(
        "unsubscribe_rate", "Unsubscribe rate",
        "What share of delivered messages ended in an unsubscription.",
        "messages with an unsubscription / messages delivered",
        numerator="unsubscriptions", denominator="messages delivered",
        window="messages of the month", unit="percent",
        needs=(*_DELIVERED, "touchpoints.unsubscribed"),
        pitfalls=("A low rate per message can be a high one per person: count both.",),
        requirements=(56, 61), notebook="05",
    ),
    Measure(
        "fatigue", "Fatigue",
        "Whether customers who get more messages unsubscribe more often.",
        "messages with an unsubscription / messages, by touches in the thirty days up to the "
        "message",
        numerator="unsubscriptions", denominator="messages after so many touches",
        window="thirty days up to the message", unit="percent",
        needs=(*_DELIVERED, "touchpoints.unsubscribed"),
        pitfalls=("Good customers get more messages, so it is no effect of sending.",
                  "Complaints are not among the shop's columns; unsubscriptions stand for both."),
        requirements=(61,), notebook="05",
    ),
    Measure(
        "touches_per_customer", "Touches per customer",
        "How often the shop contacted a customer.", "touches / customers with at least one",
        numerator="touches of all kinds", denominator="customers with a touch",
        window="a calendar month", unit="ratio", needs=SENT,
        pitfalls=("Customers who got nothing are not in the denominator; their number stands "
                  "beside it.",),
        requirements=(51, 61), notebook="05",
    ),
    Measure(
        "webinar_attendance", "Webinar attendance",
        "What share of those registered came.", "attended / registered",
        numerator="customers who attended", denominator="customers registered",
        window="one webinar", unit="percent", needs=_WEBINAR,
        pitfalls=("Somebody who watched the recording did not attend.",),
        requirements=(62,), notebook="05",
    ),
    Measure(
        "webinar_conversion", "Conversion after a webinar",
        "What share of those who came bought soon after.",
        "attendees with an order within 30 days / attendees whose 30 days are over",
        numerator="attendees who bought", denominator="attendees",
        window="30 days after the webinar", unit="percent", needs=(*_WEBINAR, *ORDERS),
        pitfalls=("Those who come are keener than those who stay away: their difference is no "
                  "effect.",),
        requirements=(62,), notebook="05",
    ),
    Measure(
        "engagement_score", "Engagement score",
        "How much a segment takes part in what it is sent, in one number.",
        "weighted mean of standard scores of the shares opened, clicked and attended; the weights "
        "stand beside it",
        window="all messages up to the month", unit="score",
        needs=(*_DELIVERED, "touchpoints.opened", "touchpoints.clicked", "touchpoints.attended"),
        pitfalls=("CES here is an engagement score, not the customer effort score of the same "
                  "letters.",
                  "Weights are a choice: another choice, another ranking.",
                  "Visits and social contacts are in no table, so they are not in it; it is given "
                  "for segments, never for a customer."),
        requirements=(86, 98), notebook="05", aliases=("CES (engagement)",),
    ),
    Measure(
        "activation_rate", "Activation rate",
        "What share of new customers reached first value.",
        "new customers with the first-value event within k days / new customers of that age",
        numerator="new customers activated within k days",
        denominator="new customers at least k days old",
        window="k days after the first order, fourteen by default", unit="percent", needs=_STEPS,
        pitfalls=("The event is defined for each product; without one, the second order stands "
                  "for it.",),
        requirements=(48,), notebook="03",
    ),
    Measure(
        "ttv", "Time to value",
        "How long new customers take to reach first value.",
        "median days from the first order to the first-value event (Kaplan-Meier)",
        window="from the first order", unit="days", needs=_STEPS,
        pitfalls=("Customers who have not reached it yet count for the days they were seen; "
                  "leaving them out makes it too short.",),
        requirements=(49, 84), notebook="03", aliases=("TTV",),
    ),
    Measure(
        "first_value_by_day_3", "First value by day 3",
        "What share reaches first value by the third day.",
        "new customers with step 1 by day 3 / new customers, the young counted while seen "
        "(Kaplan-Meier)",
        numerator="new customers with the first step by day 3", denominator="new customers",
        window="3 days after the first order", unit="percent", needs=_STEPS,
        pitfalls=("The day of the first order is day 0.",),
        requirements=(49,), notebook="03",
    ),
    Measure(
        "second_value_by_day_7", "Second value by day 7",
        "What share reaches second value by the seventh day.",
        "new customers with step 2 by day 7 / new customers, the young counted while seen "
        "(Kaplan-Meier)",
        numerator="new customers with the second step by day 7", denominator="new customers",
        window="7 days after the first order", unit="percent", needs=_STEPS,
        pitfalls=("The day of the first order is day 0.",),
        requirements=(49,), notebook="03",
    ),
    Measure(
        "cart_abandonment", "Cart abandonment",
        "What share of started checkouts was left.",
        "checkouts without an order within an hour / checkouts started",
        numerator="checkouts without an order within an hour", denominator="checkouts started",
        window="the month of the checkout", unit="percent",
        needs=("carts.cart_id", "carts.started_at", "carts.recovered_order_id",
               "orders.ordered_at"),
        pitfalls=("A checkout started twice by one person is two.",
                  "A shop that records only what was left behind has its other checkouts among "
                  "its orders."),
        requirements=(13,), notebook="03",
    ),
    Measure(
        "cart_recovery", "Cart recovery",
        "What share of abandoned checkouts became an order after all.",
        "abandoned checkouts with an order within 30 days / abandoned checkouts 30 days old",
        numerator="abandoned checkouts recovered within 30 days",
        denominator="abandoned checkouts at least 30 days old", window="30 days after the checkout",
        unit="percent",
        needs=("carts.cart_id", "carts.started_at", "carts.recovered_order_id", "orders.order_id"),
        pitfalls=("Some come back without a reminder: what a reminder adds is read from a test.",),
        requirements=(13,), notebook="03",
    ),
    Measure(
        "nps", "Net promoter score",
        "How many more would recommend the shop than would not.",
        "100 x (share of answers 9 and 10 - share of answers 0 to 6)",
        numerator="promoters less detractors", denominator="answers",
        window="answers of the month or quarter", unit="score", needs=_SURVEY,
        pitfalls=("From -100 to 100, with an interval; small surveys swing.",
                  "Those who answer are not those who buy."),
        requirements=(85,), notebook="05", aliases=("NPS",), example="100 * (0.50 - 0.20) = 30",
    ),
    Measure(
        "csat", "Satisfaction",
        "What share of answers is satisfied.", "answers 4 and 5 / answers, on a scale of 1 to 5",
        numerator="answers 4 and 5", denominator="answers",
        window="answers of the month or quarter", unit="percent", needs=_SURVEY,
        pitfalls=("Counting only the top answer gives another number.",),
        requirements=(88,), notebook="05", aliases=("CSAT",),
    ),
    Measure(
        "response_rate", "Response rate",
        "What share of those asked answered.",
        "requests answered within 30 days / requests at least 30 days old",
        numerator="requests that were answered", denominator="requests to answer a survey",
        window="30 days after the request", unit="percent", needs=(*_SURVEY, *SENT),
        pitfalls=("Who was asked is known only if the request was recorded as a touch of kind "
                  "survey.",),
        requirements=(89,), notebook="06",
    ),
    Measure(
        "feedback_by_tier", "Feedback by tier of value",
        "What customers of each tier of value say.",
        "satisfaction, and the promoter score, of answers of each tier of revenue so far",
        numerator="satisfied answers of the tier", denominator="answers of the tier",
        window="all answers up to the month", unit="percent", needs=(*_SURVEY, *REVENUE),
        pitfalls=("Tiers of few answers stand together.",
                  "The tier is that of today, not of the day of the answer."),
        requirements=(64, 89), notebook="06",
    ),
)  # fmt: skip
