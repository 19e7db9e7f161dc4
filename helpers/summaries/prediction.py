"""What forecasts are made of, checked against and joined to, as Ibis expressions.

Cohorts by calendar month (season, baseline, drift), customers with their features before a day and
what they did after it (back-test, learning), and customers with a score (lists, tiers).
"""

import ibis
from ibis.expr import types as ir

from helpers.summaries import consent
from helpers.summaries.arithmetic import month_of
from helpers.summaries.days import purchase_days
from helpers.summaries.value_expressions import largest

# No more customers than this ever leave the engine one by one, and without a name.
MOST_CUSTOMERS = 200_000
WINDOWS = (30, 90, 365)
AMOUNTS = (
    "first_revenue", "first_margin", "first_margin_revenue", "repeat_revenue", "repeat_margin",
    "repeat_margin_revenue", "previous_revenue",
    "later_revenue", "later_margin", "last_revenue", "gross", "discounts", "given_back", "served",
    "channel_cost", "margin_365", *(f"revenue_{days}" for days in WINDOWS),
)  # fmt: skip


def cohort_months(days: ir.Table) -> ir.Table:
    """One row per cohort and calendar month: new customers, repeat purchase days, and their money.

    ``cohort`` is the month of the first purchase day, ``start`` the calendar month. Every cohort
    has a row in its own month; other months without a purchase have none.
    """
    bought = purchase_days(days)
    rows = bought.mutate(
        cohort=month_of(bought.first_day),
        start=month_of(bought.day),
        is_first=bought.day == bought.first_day,
    )
    money = {
        f"{which}_{name}": rows[name].sum(where=chosen).fill_null(0)
        for which, chosen in (("first", rows.is_first), ("repeat", ~rows.is_first))
        for name in ("revenue", "margin", "margin_revenue")
    }
    return rows.group_by("cohort", "start").aggregate(
        new_customers=rows.count(where=rows.is_first),
        purchases=rows.count(where=~rows.is_first),
        **money,
    )


def customer_features(
    days: ir.Table,
    orders: ir.Table,
    consents: ir.Table,
    touchpoints: ir.Table,
    costs: ir.Table,
    acquired: ir.Table,
    *,
    split: str,
    until: str,
) -> ir.Table:
    """One row per customer seen by the day ``split``, no name: features before it, results after.

    History (frequency, first_day, last_day, spend_frequency, total_spend), then features dated up
    to ``split``: recent purchases and money, the same season a year before, product mix (the main
    category is the one with the most revenue), discount, what went back, channel and what winning a
    customer there cost in the month of the first order, messages of 90 days to customers who had
    consented to something by ``split``, service. ``previous_...`` are repeat purchases of as long a
    stretch before ``split`` as lies after it up to ``until``; ``later_...`` is what followed.
    ``population`` counts all customers; above 200,000 a sample is given: pseudonyms are random, so
    the first in their order are a random sample. Refunds are netted from the day of their sale,
    even if they came later; ``given_back`` is what had come back by ``split``.
    """
    cut, end = ibis.date(split), ibis.date(until)
    length = end.delta(cut, unit="day")
    bought = purchase_days(days).filter(lambda t: t.day <= end)
    before = bought.filter(bought.day <= cut)
    base = before.group_by("customer_id").aggregate(
        first_day=before.first_day.min(), last_day=before.day.max(), frequency=before.count() - 1,
        channel=before.channel.min(), start=month_of(before.cohort_day.min()),
    )  # fmt: skip
    base = base.mutate(population=base.count().over(ibis.window()))
    base = base.order_by("customer_id").limit(MOST_CUSTOMERS)
    parts = [
        _money_before(before, base, cut, length),
        _results(bought.filter(bought.day > cut).semi_join(base, "customer_id")),
        _product_mix(orders.filter(orders.event_date <= cut).semi_join(base, "customer_id")),
        _contacts(touchpoints, consents, split),
        _service(costs.filter(costs.date <= cut)),
        _channel_cost(base, acquired),
    ]
    rows = base.drop("start")
    for part in parts:
        rows = rows.left_join(part, "customer_id").drop("customer_id_right")
    zero = {
        name: rows[name].fill_null(0)
        for name in (*_COUNTED, *AMOUNTS)
        if name in rows.columns and name != "channel_cost"
    }
    return rows.mutate(**zero).drop("customer_id")


_COUNTED = ("spend_frequency", "total_spend", "previous_frequency", "same_season",
            "later_frequency",
            "tickets", *(f"days_{days}" for days in WINDOWS))  # fmt: skip


def _money_before(before: ir.Table, base: ir.Table, cut, length) -> ir.Table:
    """Purchases and money before the day, by window; ``same_season`` a year before the results."""
    rows = before.join(base.select("customer_id", "last_day"), "customer_id")
    repeat = rows.day > rows.first_day
    ago = cut.delta(rows.day, unit="day")
    lately = {days: ago < days for days in WINDOWS}
    season = (ago < 365) & (ago >= 365 - length)
    return rows.group_by("customer_id").aggregate(
        spend_frequency=rows.count(where=repeat & (rows.revenue > 0)),
        total_spend=rows.revenue.sum(where=repeat & (rows.revenue > 0)),
        first_revenue=rows.revenue.sum(where=~repeat),
        last_revenue=rows.revenue.sum(where=rows.day == rows.last_day),
        previous_frequency=rows.count(where=repeat & (ago < length)),
        previous_revenue=rows.revenue.sum(where=repeat & (ago < length)),
        same_season=rows.count(where=season),
        margin_365=rows.margin.sum(where=lately[365]),
        **{f"days_{days}": rows.count(where=near) for days, near in lately.items()},
        **{f"revenue_{days}": rows.revenue.sum(where=near) for days, near in lately.items()},
    )


def _results(after: ir.Table) -> ir.Table:
    return after.group_by("customer_id").aggregate(
        later_frequency=after.count(),
        later_revenue=after.revenue.sum(),
        later_margin=after.margin.sum(),
    )


def _product_mix(lines: ir.Table) -> ir.Table:
    """What was bought, at which discount, and what of it went back by then."""
    sale = ~lines.is_refund
    discount = lines.discount.fill_null(0)
    mix = lines.group_by("customer_id").aggregate(
        products=lines.product_id.nunique(where=sale),
        categories=lines.category.nunique(where=sale),
        gross=(lines.revenue + discount).sum(where=sale),
        discounts=discount.sum(where=sale),
        given_back=-lines.revenue.sum(where=~sale),
    )
    main = largest(lines.filter(sale), "category").rename(main_category="category")
    return mix.left_join(main, "customer_id").drop("customer_id_right")


def _contacts(touchpoints: ir.Table, consents: ir.Table, split: str) -> ir.Table:
    """Messages and answers of the last 90 days, only of customers who had consented by the day."""
    granted = consent.as_of(consents, split)
    granted = granted.filter(granted.state == "granted").select("customer_id").distinct()
    ago = ibis.date(split).delta(touchpoints.sent_date, unit="day")
    lately = touchpoints.filter((ago >= 0) & (ago < 90)).semi_join(granted, "customer_id")
    return lately.group_by("customer_id").aggregate(
        messages=lately.count(),
        opened=lately.count(where=lately.opened.fill_null(False)),
        clicked=lately.count(where=lately.clicked.fill_null(False)),
    )


def _service(costs: ir.Table) -> ir.Table:
    return costs.group_by("customer_id").aggregate(tickets=costs.count(), served=costs.amount.sum())


def _channel_cost(base: ir.Table, acquired: ir.Table) -> ir.Table:
    """What a new customer cost in the channel that won each customer, in that month."""
    cost = acquired.filter(acquired.new_customers > 0)
    cost = cost.select(
        "start", "channel", channel_cost=cost.cost.cast("float64") / cost.new_customers
    )
    return base.join(cost, ["start", "channel"]).select("customer_id", "channel_cost")


def scored_customers(
    facts: ir.Table, scores: ir.Table, lines: ir.Table, *, scale: int, margin_rate: float,
    service: float, tiers: tuple,
) -> ir.Table:  # fmt: skip
    """One row per customer with a purchase: history, every column of ``scores``, money, and tier.

    ``scores`` has one row per distinct state, ``lines`` the intercept and slope of expected spend
    by spend_frequency. ``value`` is discounted_orders x (spend x margin rate - service),
    ``residual`` the same of residual_orders where it is there; customers are ranked by value.
    """
    keys = ["frequency", "first_day", "last_day"]
    joined = (
        facts.filter(facts.first_day.notnull()).join(scores, keys).join(lines, "spend_frequency")
    )
    spend = joined.intercept + joined.slope * joined.total_spend / scale
    joined = joined.mutate(expected_spend=spend)
    worth = joined.expected_spend * margin_rate - service
    names = {"value": "discounted_orders", "residual": "residual_orders"}
    money = {name: joined[of] * worth for name, of in names.items() if of in joined.columns}
    joined = joined.mutate(**money).drop("intercept", "slope")
    # Not the customer: who comes first among equals would hang on a random pseudonym.
    order = [
        joined.value.desc(),
        *(joined[key] for key in (*keys, "spend_frequency", "total_spend")),
    ]
    rank = ibis.row_number().over(order_by=order) + 0.5
    share = rank / joined.count().over(ibis.window())
    return joined.mutate(tier=ibis.cases(*((share <= edge, name) for name, edge in tiers)))


def thirds(scored: ir.Table, value: str = "residual") -> ir.Table:
    """Value by thirds of recency, frequency and spend: customers and their money in 28 cells.

    Customers without a repeat purchase are the zero cell (0, 0, 0); the others are ranked by last
    purchase day, by frequency and by mean repeat spend, 1 the lowest third, 3 the highest. Equals
    are put in order by the other two, then by all else that is known, so that no thread decides.
    Source: Fader, Hardie and Lee, "RFM and CLV", Journal of
    Marketing Research 42(4), 2005, table 2.
    """
    again = scored.frequency > 0
    mean = scored.total_spend / scored.spend_frequency.nullif(0)
    rows = scored.mutate(again=again, mean=mean.fill_null(0))
    orders = {
        "recency": ("last_day", "frequency", "mean"),
        "frequency_third": ("frequency", "last_day", "mean"),
        "money": ("mean", "frequency", "last_day"),
    }
    rest = ("first_day", "spend_frequency", "total_spend")
    ranked = rows.mutate(
        **{
            name: ibis.ntile(3).over(
                group_by=rows.again, order_by=[rows[key] for key in (*by, *rest)]
            )
            + 1
            for name, by in orders.items()
        }
    )
    ranked = ranked.mutate(
        **{name: ranked.again.ifelse(ranked[name], 0).cast("int64") for name in orders}
    )
    return ranked.group_by(
        "recency", frequency=ranked.frequency_third, money=ranked.money
    ).aggregate(n=ranked.count(), total=ranked[value].sum(), orders=ranked.expected_orders.sum())


# --- lists ---------------------------------------------------------------------------------------

LISTS = ("wake-up", "loyalty", "next-order")
# Quiet for longer than this times the own mean gap, and P(alive) down by this much in 30 days.
OVERDUE, FALLING = 1.5, 0.05
ACTIVE, SURELY = 0.5, 0.8


def candidates(scored: ir.Table, members: ir.Table, name: str, as_of: str) -> ir.Table:
    """Choose the customers of a list by their score: one row each, most to gain first.

    wake-up: bought again before, silent for over 1.5 times their own mean gap, and P(alive) has
    fallen by 0.05 or more in the last 30 days (had it not been for the silence, it would not have);
    loyalty: three or more purchase days, P(alive) of 0.8 or more, in the upper three tenths by
    value, and no ``members`` of the loyalty program yet; next-order: P(alive) of 0.5 or more and
    the median wait for the next order at most 30 days, with the day on which it is expected.
    """
    today = ibis.date(as_of)
    quiet = today.delta(scored.last_day, unit="day")
    gap = scored.last_day.delta(scored.first_day, unit="day") / scored.frequency.nullif(0)
    wait = scored.next_days.ceil().cast("int64")
    rows = scored.mutate(
        quiet_days=quiet,
        own_gap=gap,
        expected_next=(today + wait.as_interval("D")).cast("timestamp").cast("date"),
    )
    if name == "wake-up":
        falls = rows.p_alive_before - rows.p_alive >= FALLING
        return rows.filter(
            (rows.frequency > 0) & (rows.quiet_days > OVERDUE * rows.own_gap) & falls
        )
    if name == "loyalty":
        best = rows.filter(
            (rows.frequency >= 2)
            & (rows.p_alive >= SURELY)
            & rows.tier.isin(["top 10%", "next 20%"])
        )
        return best.anti_join(members, "customer_id")
    return rows.filter((rows.p_alive >= ACTIVE) & (rows.next_days <= 30))
