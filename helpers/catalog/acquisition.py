"""What winning a customer costs, what it may cost, and how budgets stand."""

from helpers.catalog.entry import MARGIN, ORDERS, SPEND, Measure

THEME = "What a customer costs"
_MONTHS = "the months in which the customers joined"
_CLICKS = "marketing_spend.clicks"
_LEADS = ("leads.lead_id", "leads.channel", "leads.product", "leads.at", "leads.customer_id")

ENTRIES = (
    Measure(
        "cac_paid", "CAC, paid channels",
        "What a customer from a paid channel cost.",
        "spend on paid channels / new customers of these channels",
        numerator="spend on paid channels",
        denominator="new customers of the same channels and months", window=_MONTHS, unit="money",
        needs=SPEND,
        pitfalls=("Channels are those of the first order: a customer won by two has one.",
                  "Spend works later than it is booked, so short periods mislead."),
        requirements=(97,), notebook="02", aliases=("paid CAC",),
    ),
    Measure(
        "cac_blended", "CAC, blended",
        "What a new customer cost over all channels.", "spend on all channels / all new customers",
        numerator="spend on all channels", denominator="all new customers, those without spend too",
        window=_MONTHS, unit="money", needs=SPEND,
        pitfalls=("Customers who come by themselves make it look cheap; the next one bought costs "
                  "the paid figure or more.",),
        requirements=(97,), notebook="02", aliases=("blended CAC",),
    ),
    Measure(
        "cac_fully_loaded", "CAC, fully loaded",
        "What a new customer cost with the people and tools around it.",
        "(spend + overhead of acquisition) / all new customers",
        numerator="spend on all channels, overhead per month x months, and overhead as a share of "
        "the spend", denominator="all new customers", window=_MONTHS, unit="money", needs=SPEND,
        pitfalls=("What people, tools and agencies cost is in no table: shop.toml says it under "
                  "[acquisition]. Until then the figure is missing, not the blended one.",),
        requirements=(97,), notebook="02", aliases=("fully loaded CAC",),
    ),
    Measure(
        "cac_lagged", "CAC, spend of the month before",
        "What a new customer cost if spend works a month later.",
        "spend of the month before / new customers of the month",
        numerator="spend of the months before", denominator="all new customers", window=_MONTHS,
        unit="money", needs=SPEND,
        pitfalls=("The true delay is not known; a large gap to the blended figure says that it "
                  "matters.",),
        requirements=(97,), notebook="02",
    ),
    Measure(
        "cpc", "Cost per click",
        "What a click cost.", "spend / clicks",
        numerator="spend", denominator="clicks bought", window="the same months and channel",
        unit="money", needs=(*SPEND, _CLICKS),
        pitfalls=("Platforms count clicks that never reach the shop.",),
        requirements=(67, 68), notebook="02", aliases=("CPC",),
    ),
    Measure(
        "cpl", "Cost per lead",
        "What a lead cost.", "spend / leads",
        numerator="spend, or the leads' own cost", denominator="leads",
        window="the same months and channel", unit="money",
        needs=(*SPEND, "marketing_spend.leads", "leads.cost"),
        pitfalls=("Leads differ in what becomes of them; read it with the conversion of leads.",),
        requirements=(68,), notebook="05", aliases=("CPL",),
    ),
    Measure(
        "click_conversion", "Conversion of clicks",
        "What share of clicks became new customers.", "new customers / clicks, of the same channel",
        numerator="new customers of the channel", denominator="clicks of the channel",
        window="the same months and channel", unit="percent", needs=(*SPEND, _CLICKS),
        pitfalls=("Existing customers click, too: only new ones are above the line.",
                  "A click of today may buy next month."),
        requirements=(67, 68), notebook="02", aliases=("CVR",),
    ),
    Measure(
        "lead_conversion", "Conversion of leads",
        "What share of leads became customers.",
        "leads whose customer ordered first within 30 days / leads at least 30 days old",
        numerator="leads converted within 30 days",
        denominator="leads at least 30 days old, without those who were customers before",
        window="30 days after the lead", unit="percent", needs=(*_LEADS, *ORDERS),
        pitfalls=("Young leads have not had their time; they are on neither side and counted as "
                  "fresh.",
                  "A lead of somebody who was a customer already is no conversion."),
        requirements=(68,), notebook="05", aliases=("lead states",),
    ),
    Measure(
        "product_channel_conversion", "Conversion by product and channel",
        "Which product converts on which channel.",
        "conversion of leads, for each product and channel",
        numerator="leads of the product and channel converted within 30 days",
        denominator="leads of the product and channel at least 30 days old",
        window="30 days after the lead", unit="percent", needs=(*_LEADS, *ORDERS),
        pitfalls=("Many cells and few leads make some cells look good by luck; each has an "
                  "interval.",
                  "Cells of too few people stand together."),
        requirements=(68,), notebook="05",
    ),
    Measure(
        "ltv_to_cac", "LTV to CAC",
        "How often a customer earns back what it cost.",
        "historical LTV at an age / cost of acquisition, same customers, same margin basis",
        numerator="margin per customer by the age", denominator="cost of winning these customers",
        window="a stated age, twelve months by default", unit="ratio", needs=(*MARGIN, *SPEND),
        pitfalls=("Three to one is a rule from software subscriptions, not from shops.",
                  "It hides how long the money is out: read it with payback.",
                  "Never a mean of the channels' ratios."),
        requirements=(10, 74), notebook="02", aliases=("LTV:CAC", "LTV/CAC"),
    ),
    Measure(
        "payback", "Payback",
        "When a customer has earned back what it cost.",
        "the first age at which margin per customer reaches the cost of acquisition",
        window="ages in steps of thirty days", unit="days", needs=(*MARGIN, *SPEND),
        pitfalls=("A cohort not old enough has not paid back yet; that is not never.",
                  "Steps are not interpolated."),
        requirements=(38,), notebook="03", aliases=("payback age",),
    ),
    Measure(
        "allowable_cac", "Allowable CAC",
        "What a customer may cost at most.",
        "margin per customer by the horizon x (1 - the share of it to be kept)",
        window="the stated horizon", unit="money", needs=MARGIN,
        pitfalls=("The most a mean customer may cost; the next one is often worth less.",),
        requirements=(10, 67), notebook="02", aliases=("target CAC",),
    ),
    Measure(
        "allowable_cpc", "Allowable cost per click",
        "What a click may cost at most.",
        "margin per customer by the horizon x conversion of clicks x (1 - buffer)",
        window="the stated horizon", unit="money", needs=(*MARGIN, *SPEND, _CLICKS),
        pitfalls=("Conversion is of clicks into new customers, not of visits into orders.",),
        requirements=(67,), notebook="02", aliases=("maximum CPC",), example="100 * 0.50 = 50",
    ),
    Measure(
        "break_even_conversion", "Break-even conversion",
        "What share of clicks has to become customers to earn back their cost.",
        "cost per click / margin per customer by the horizon",
        numerator="cost per click", denominator="margin per customer by the horizon",
        window="the stated horizon", unit="percent", needs=(*MARGIN, *SPEND, _CLICKS),
        pitfalls=("Where it is near one, nearly every click would have to buy: the click is too "
                  "dear.",),
        requirements=(67,), notebook="02", example="50 / 100 = 0.50",
    ),
    Measure(
        "margin_per_spend", "Margin per unit of spend",
        "What each unit of money spent brought back, by class.",
        "margin of new customers of the class by an age / spend on winning them",
        numerator="margin of the class's customers by the age", denominator="spend on winning them",
        window="a stated age", unit="ratio", needs=(*MARGIN, *SPEND, "customers.customer_class"),
        pitfalls=("Spend by channel has to be split over classes by their new customers; that is "
                  "an assumption.",),
        requirements=(54,), notebook="02",
    ),
    Measure(
        "budget_share_by_value", "Budget by value",
        "How a budget would be split if value decided.",
        "the channel's (LTV - CAC), where above zero / the sum over channels",
        numerator="LTV less CAC of the channel", denominator="the sum over channels above zero",
        window="a stated age", unit="percent", needs=(*MARGIN, *SPEND),
        pitfalls=("A scenario, not advice: the next customer of a channel costs more than its "
                  "mean.",),
        requirements=(20, 27), notebook="06",
    ),
    Measure(
        "budget_use", "Budget used",
        "How much of the plan was spent.", "spend / planned spend",
        numerator="spend of the channel", denominator="planned spend of the channel",
        window="a calendar month, and the year to date", unit="percent",
        needs=(*SPEND, "budget.channel", "budget.month", "budget.planned"),
        pitfalls=("A cost over a period is spread over its days.",
                  "Spend of a channel without a plan is part of what was spent, and shown apart."),
        requirements=(20, 42), notebook="06",
    ),
    Measure(
        "test_budget_share", "Share of the budget for tests",
        "How much of the month's money went into trying things out.",
        "cost of experiments in the month / planned spend of the month (spend, where none was "
        "planned)",
        numerator="fixed costs, and costs per customer treated, of experiments",
        denominator="planned spend of the month", window="a calendar month", unit="percent",
        needs=("experiments.fixed_cost", "experiments.cost_per_customer",
               "experiments.started_at", "assignments.customer_id", "assignments.assigned_at",
               "budget.month", "budget.planned"),
        pitfalls=("A fixed cost belongs to the month in which the test started, a cost per "
                  "customer to that of the assignment.",
                  "A test that states no cost is not free; it is left out."),
        requirements=(20,), notebook="06",
    ),
    Measure(
        "referral_share", "Share of referred customers",
        "What share of new customers was brought by a customer.",
        "new customers with a referrer / new customers on file",
        numerator="new customers with a referrer",
        denominator="new customers with a row among customers",
        window="the months of the first order", unit="percent",
        needs=("customers.customer_id", "customers.referred_by", *ORDERS),
        pitfalls=("Where nobody asks, nobody was referred: a table without a single referral says "
                  "nothing.",),
        requirements=(77,), notebook="05",
    ),
)  # fmt: skip
