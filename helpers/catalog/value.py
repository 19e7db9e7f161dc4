"""What a customer is worth: LTV is never one word, and each reading has its own name."""

from helpers.catalog.entry import MARGIN, ORDERS, REVENUE, Measure

THEME = "What a customer is worth"
_SERVED = (*MARGIN, "service_costs.customer_id", "service_costs.at", "service_costs.amount")

ENTRIES = (
    Measure(
        "ltv_historical", "Historical LTV, margin",
        "What a customer has earned the shop by an age.",
        "margin from the first order to the age, summed over the cohorts that reached it / all "
        "customers of these cohorts",
        numerator="contribution margin up to the age",
        denominator="all customers of the cohorts, buyers again or not",
        window="days since the first order: 30, 60, 90, 180, 365 or 730", unit="money",
        needs=MARGIN,
        pitfalls=("Dividing by those who came back overstates it.",
                  "Only cohorts whose last member has reached the age count.",
                  "A blended mean over old cohorts is no price for a customer won today."),
        requirements=(9, 18, 37, 38, 71), notebook="02",
        aliases=("baseline LTV", "cumulative margin per customer"),
    ),
    Measure(
        "ltv_revenue", "Historical LTV, revenue",
        "What a customer has paid by an age.",
        "revenue from the first order to the age / all customers of the cohorts that reached it",
        numerator="revenue up to the age", denominator="all customers of the cohorts",
        window="days since the first order", unit="money", needs=REVENUE,
        pitfalls=("Revenue is not earnings: two groups can have the same LTV of revenue and "
                  "differ in what they leave after costs.",),
        requirements=(16, 22, 26), notebook="02", example="100 * 6 = 600",
    ),
    Measure(
        "ltv_after_service", "Historical value after service",
        "What a customer has left by an age once serving them is paid.",
        "(margin - service costs) from the first order to the age / all customers of the cohorts "
        "that reached it",
        numerator="margin less service costs up to the age",
        denominator="all customers of the cohorts", window="days since the first order",
        unit="money", needs=_SERVED,
        pitfalls=("Two groups equal in revenue can differ here: many small orders with much help "
                  "cost more.",
                  "Where no cost of service is recorded it is missing, not the margin."),
        requirements=(22, 23, 26), notebook="02", aliases=("net value to date",),
    ),
    Measure(
        "ltv_active_cycle", "Revenue per customer over the active cycle",
        "What a customer paid in all, from the first order to the last.",
        "revenue of customers over their active time / these customers",
        numerator="revenue so far", denominator="customers with an order",
        window="from the first order to the last one seen", unit="money", needs=REVENUE,
        pitfalls=("Customers of different ages stand in one mean, so it grows with the shop's age.",
                  "It is compared with the cost of winning a customer only with care: it holds no "
                  "cost."),
        requirements=(63,), notebook="02", aliases=("revenue per user over the active cycle",),
    ),
    Measure(
        "customer_value", "Value of each customer so far",
        "What each single customer has brought from their own orders.",
        "margin (or revenue) of the customer's orders so far",
        numerator="the customer's own margin",
        window="from the first order to the month's last day", unit="money", needs=MARGIN,
        pitfalls=("It looks back: a customer of long ago may be gone, one of yesterday has hardly "
                  "begun.",
                  "Shown as a distribution and by tier only; no customer is published."),
        requirements=(65, 71), notebook="02", aliases=("historical CLV",),
    ),
    Measure(
        "lifetime_orders", "Orders per customer so far",
        "How many orders a customer has placed.",
        "orders / customers with an order, over the whole history",
        numerator="orders so far", denominator="customers with an order",
        window="the whole history", unit="ratio", needs=ORDERS,
        pitfalls=("Young customers have had little time; compare at the same age.",),
        requirements=(16,), notebook="02",
    ),
    Measure(
        "ltv_simple", "Customer value times lifespan",
        "The two figures multiplied.",
        "average order value x orders per active customer-month x lifespan in months (1 / churn)",
        window="active customer-months for all three", unit="money", needs=REVENUE,
        pitfalls=("It is revenue unless it is multiplied by the margin rate, too.",
                  "Orders per buyer of a month in place of orders per active month leave the "
                  "quiet months out and overstate it."),
        requirements=(66, 78, 79), notebook="02",
    ),
    Measure(
        "ltv_formula", "Formula LTV",
        "What a customer would be worth if nothing ever changed.",
        "revenue per active customer and month x margin rate / churn per month",
        numerator="margin per active customer and month",
        denominator="customers lost per active customer-month",
        window="one cycle, the same for all three inputs", unit="money", needs=MARGIN,
        pitfalls=("All three have to be of the same cycle and the same active customers.",
                  "The first cycle counts in full; starting a cycle later it is (1 - churn) / "
                  "churn.",
                  "One rate for customers who differ misleads in both directions, so the history "
                  "stands beside it.",
                  "No discount, no end: a small change of churn moves it much."),
        requirements=(31, 32, 33), notebook="02", example="25 * 0.60 / 0.05 = 300",
    ),
    Measure(
        "arpu_active_month", "Revenue per active customer-month",
        "What a customer brings per month while still counted as active.",
        "revenue / months that customers were active, waiting months included",
        numerator="revenue",
        denominator="active customer-months: from a purchase to the next, at most the inactivity "
                    "window",
        window="all purchases seen", unit="money", needs=REVENUE,
        pitfalls=("It is lower than revenue per buyer of a month, which leaves the quiet months "
                  "out.",),
        requirements=(31, 32), notebook="02",
    ),
    Measure(
        "churn_sensitivity", "Value gained by less churn",
        "What the formula says if fewer customers leave.",
        "formula LTV at the lower churn / formula LTV at today's churn",
        numerator="value at the lower churn", denominator="value at today's churn",
        window="as the formula", unit="ratio", needs=MARGIN,
        pitfalls=("It shows how much hangs on churn, not that churn can be lowered.",),
        requirements=(82,), notebook="02", aliases=("churn elasticity",),
        example="(25 * 0.60 / 0.02) / (25 * 0.60 / 0.05) = 2.5",
    ),
    Measure(
        "ltv_horizon", "Horizon LTV",
        "A quick estimate: what a customer brings over a fixed time.",
        "revenue per customer and month x margin rate x months",
        window="a fixed number of months, half a year by default", unit="money", needs=MARGIN,
        pitfalls=("The lifetime is assumed, not estimated: not the same estimate as the formula "
                  "with churn.",
                  "Nobody leaves within the horizon, so it is a ceiling."),
        requirements=(53,), notebook="02", example="40 * 0.60 * 6 = 144",
    ),
    Measure(
        "ltv_decomposition", "What moved the value",
        "Which of its parts a change of value came from.",
        "change of margin = steps of customers, orders per customer, basket, share kept after "
        "refunds, margin rate and service",
        window="two whole months, quarters or years", unit="money", needs=MARGIN,
        pitfalls=("A step depends on what is changed first; here it is the mean over every order "
                  "of change (Shapley), so the steps add up.",
                  "It says what moved, not why."),
        requirements=(12, 81), notebook="02", aliases=("value bridge",),
    ),
    Measure(
        "concentration", "Concentration",
        "How much of the revenue the largest customers bring.",
        "revenue of the top share of customers / revenue of all, with and without companies",
        numerator="revenue of the top customers", denominator="revenue of all customers",
        window="the whole history up to the month's end", unit="percent", needs=REVENUE,
        pitfalls=("The best of the past are partly lucky: next year they hold less.",
                  "One wholesale client can be the whole top; read it without companies, too."),
        requirements=(11,), notebook="02", aliases=("Lorenz curve",),
    ),
    Measure(
        "class_share", "Share by class of customer",
        "How much of the margin each class of customers holds.",
        "margin of the class / margin of all classes",
        numerator="margin of the class", denominator="margin of all",
        window="the last twelve months", unit="percent",
        needs=(*MARGIN, "customers.customer_class"),
        pitfalls=("A class of too few customers is withheld.",
                  "A few large clients make a class; read it with the number of customers."),
        requirements=(11, 54, 94), notebook="02",
    ),
    Measure(
        "segment_value", "Value by segment",
        "What customers of a segment have earned by an age.",
        "historical LTV of the segment's customers",
        numerator="margin up to the age of the segment", denominator="all customers of the segment",
        window="days since the first order", unit="money",
        needs=(*MARGIN, "customers.acquisition_channel", "customers.country",
               "customers.age_band", "customers.gender", "customers.customer_class"),
        pitfalls=("Segments are taken at the first order; one chosen by later behavior explains "
                  "itself.",
                  "Each value has an interval; small segments are withheld."),
        requirements=(18, 45, 72, 83, 94), notebook="03",
    ),
    Measure(
        "loyalty_difference", "Members against others",
        "How much more members of the program have brought.",
        "historical LTV of members - historical LTV of others", window="the same age", unit="money",
        needs=(*MARGIN, "customers.loyalty_member"),
        pitfalls=("Members chose to join, and good customers join more often. It is no effect of "
                  "the program.",),
        requirements=(75,), notebook="05",
    ),
    Measure(
        "clv_formula", "CLV by the formula with service",
        "Margin over the expected life, less what serving costs.",
        "margin per order x orders per month x lifespan in months - service costs over the "
        "lifespan",
        window="the stated horizon", unit="money", needs=_SERVED,
        pitfalls=("Service costs may hang on orders or on time: say which.",
                  "Without the service table it is a value before cost to serve."),
        requirements=(21, 23, 26), notebook="04",
    ),
    Measure(
        "clv_forecast", "CLV forecast",
        "What customers already won are expected to bring.",
        "expected orders within the horizon x (expected spend x margin rate - service cost per "
        "order), discounted to today",
        numerator="expected margin less cost to serve",
        denominator="customers who have bought by now",
        window="the stated horizon in months, from today", unit="money", needs=_SERVED,
        pitfalls=("The horizon has a unit and the discount rate is annual; either mistake is a "
                  "factor.",
                  "Customers still to be won are not in it.",
                  "It takes spend and frequency to be independent, and knows the season only where "
                  "two years are known."),
        requirements=(21, 22, 70, 71), notebook="04", aliases=("predictive CLV",),
    ),
    Measure(
        "clv_residual", "CLV still to come",
        "What the relationship is still worth from today on.",
        "expected margin less cost to serve of all future orders, discounted to today",
        window="from today, without what was earned before", unit="money", needs=_SERVED,
        pitfalls=("What customers brought before is not in it.",
                  "One retention rate for all understates it in a base whose best customers stay."),
        requirements=(76,), notebook="04", aliases=("residual value",),
    ),
    Measure(
        "expected_margin_by_month", "Expected margin by month",
        "What customers are expected to bring in each coming month.",
        "expected orders of the month x expected margin per order, summed over today's customers; "
        "customers to come are a line of their own",
        window="calendar months ahead", unit="money", needs=_SERVED,
        pitfalls=("Today's customers bring less every month, because they leave; only with those "
                  "to "
                  "come can a month be held against what happened.",
                  "Without two years of history it has no season: a year can be right where a "
                  "month "
                  "is not."),
        requirements=(39,), notebook="04",
    ),
    Measure(
        "forecast_error", "Error of the forecast",
        "How far a forecast was from what then happened.", "(forecast - actual) / actual",
        numerator="forecast less actual", denominator="actual",
        window="a held-out stretch, or the months since a published forecast", unit="percent",
        needs=ORDERS,
        pitfalls=("Compare with simple rules, such as the same as last period and the cohort "
                  "curve.",
                  "One stretch is one trial; the record of months says more."),
        requirements=(36, 42, 43), notebook="04", aliases=("back-test error",),
    ),
    Measure(
        "cost_to_serve", "Cost to serve",
        "What serving a customer costs, after the sale.",
        "service costs / orders (or customers) of the same months",
        numerator="service costs", denominator="orders, or customers, of the same months",
        window="the last twelve months", unit="money",
        needs=("service_costs.customer_id", "service_costs.at", "service_costs.amount"),
        pitfalls=("Ignoring it makes customers who need much help look as good as the others.",
                  "A cost that is not recorded is not zero."),
        requirements=(22, 23, 51), notebook="04", aliases=("service cost",),
    ),
)  # fmt: skip
