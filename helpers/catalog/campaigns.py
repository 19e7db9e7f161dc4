"""What campaigns and tests changed, and what they earned after their cost."""

from helpers.catalog.entry import MARGIN, ORDERS, REVENUE, TEST, Measure

THEME = "Campaigns and tests"
_WINDOW = "the days after assignment that the test declared beforehand"
_SENT = ("touchpoints.customer_id", "touchpoints.kind", "touchpoints.sent_at")

ENTRIES = (
    Measure(
        "uplift_margin", "Effect on margin",
        "How much more margin a treated customer brought.",
        "mean margin per assigned customer, treated - control, less cost of serving",
        numerator="margin of the arm less that of control, per customer", window=_WINDOW,
        unit="money", needs=(*MARGIN, *TEST),
        pitfalls=("Everybody assigned counts, reached or not.",
                  "Purchases pulled forward look like an effect; a longer window shows it.",
                  "A segment's effect needs its own interval, and many segments find something by "
                  "luck."),
        requirements=(6, 7, 25, 29, 55, 57), notebook="05", aliases=("incremental margin",),
    ),
    Measure(
        "uplift_repeat_rate", "Effect on the repeat rate",
        "How many more of the treated customers bought again.",
        "share with an order in the window, treated - control",
        numerator="share of buyers, treated less control", window=_WINDOW, unit="percent",
        needs=(*ORDERS, *TEST),
        pitfalls=("More orders are not more margin: the discount may have cost more.",),
        requirements=(57, 87), notebook="05",
    ),
    Measure(
        "uplift_arpu", "Effect on revenue per customer",
        "How much more revenue a treated customer brought.",
        "revenue per assigned customer, treated - control",
        numerator="revenue per customer, treated less control",
        window="the test's window; half a year only if it was watched that long", unit="money",
        needs=(*REVENUE, *TEST),
        pitfalls=("A lift of a month is not one of half a year; it is not carried forward.",),
        requirements=(29, 55, 57), notebook="05",
    ),
    Measure(
        "mroi", "Return on marketing",
        "What a campaign earned for each unit of its cost.", "(incremental margin - cost) / cost",
        numerator="incremental margin less cost of the campaign",
        denominator="cost of the campaign", window=_WINDOW, unit="percent",
        needs=(*MARGIN, *TEST, "experiments.cost_per_customer", "experiments.fixed_cost"),
        pitfalls=("It needs a control group: attributed revenue is not incremental.",),
        requirements=(92,), notebook="05", aliases=("MROI", "marketing ROI"),
    ),
    Measure(
        "mroi_revenue", "Return on marketing, revenue",
        "The same with revenue in place of margin.", "(incremental revenue - cost) / cost",
        numerator="incremental revenue less cost of the campaign",
        denominator="cost of the campaign", window=_WINDOW, unit="percent",
        needs=(*REVENUE, *TEST, "experiments.cost_per_customer", "experiments.fixed_cost"),
        pitfalls=("It can be above zero where the campaign lost money; margin decides.",),
        requirements=(92,), notebook="05",
    ),
    Measure(
        "clv_uplift", "Effect on CLV",
        "How much more treated customers are still expected to bring.",
        "mean CLV forecast after the test, treated - control",
        numerator="CLV of treated less control, per customer",
        window="the forecast's horizon, from the end of the test", unit="money",
        needs=(*MARGIN, *TEST),
        pitfalls=("A forecast from a few weeks of behavior takes purchases pulled forward for "
                  "loyalty.",),
        requirements=(25, 27, 29), notebook="05",
    ),
    Measure(
        "sample_ratio", "Sample ratio",
        "Whether the arms have the sizes that were planned.",
        "chance of sizes as far from the plan as these, if the draw was as planned (chi-squared)",
        window="all assigned customers", unit="percent",
        needs=(*TEST, "experiments.planned_shares"),
        pitfalls=("A test that fails this is not read: whoever is missing is not missing by "
                  "chance.",),
        requirements=(6,), notebook="05", aliases=("SRM",),
    ),
    Measure(
        "smallest_effect", "Smallest effect that could be seen",
        "How large an effect had to be for a test of this size to find it.",
        "the effect that a test of this size finds four times out of five, from its own noise",
        window=_WINDOW, unit="money", needs=(*MARGIN, *TEST),
        pitfalls=("A test that finds nothing says little about effects smaller than this.",),
        requirements=(6,), notebook="05", aliases=("MDE", "minimum detectable effect"),
    ),
    Measure(
        "last_touch_revenue", "Last-touch revenue",
        "What a report credits to the last message before an order.",
        "revenue of orders within k days of the last message",
        numerator="revenue of orders after a message", window="k days after a message",
        unit="money", needs=(*REVENUE, *_SENT),
        pitfalls=("Most of these orders would have come anyway; it stands beside the test, never "
                  "in its place.",),
        requirements=(58,), notebook="05", aliases=("attributed revenue",),
    ),
    Measure(
        "upsell_threshold", "Upsell threshold",
        "From which order value on an upsell is offered.",
        "a percentile of the shop's own order values", window="orders of the last twelve months",
        unit="money", needs=REVENUE,
        pitfalls=("A threshold is a choice; whether the offer works is read from a test.",),
        requirements=(59,), notebook="05",
    ),
    Measure(
        "pair_support", "Support of a pair",
        "How often two products are bought together.", "baskets with both products / baskets",
        numerator="baskets with both", denominator="all baskets",
        window="baskets of the last twelve months", unit="percent",
        needs=("orders.order_id", "orders.product_id"),
        pitfalls=("Pairs of too few baskets are left out.",),
        requirements=(60,), notebook="03", aliases=("support",),
    ),
    Measure(
        "pair_confidence", "Confidence of a pair",
        "How many buyers of one product also buy the other.",
        "baskets with both products / baskets with the first",
        numerator="baskets with both", denominator="baskets with the first product",
        window="baskets of the last twelve months", unit="percent",
        needs=("orders.order_id", "orders.product_id"),
        pitfalls=("A product that everybody buys has a high confidence with anything; see lift.",),
        requirements=(60,), notebook="03", aliases=("confidence",),
    ),
    Measure(
        "pair_lift", "Lift of a pair",
        "How much more often than by chance two products go together.",
        "share of baskets with both / (share with the first x share with the second)",
        numerator="share of baskets with both", denominator="product of the two shares",
        window="baskets of the last twelve months", unit="ratio",
        needs=("orders.order_id", "orders.product_id"),
        pitfalls=("Rare products reach a high lift by luck.",
                  "A bundle has to keep its margin: lift says nothing about it."),
        requirements=(60,), notebook="03", aliases=("lift",),
    ),
)  # fmt: skip
