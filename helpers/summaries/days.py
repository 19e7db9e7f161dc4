"""Customers and their days: what nearly all that is known of customers is counted from.

Money is in whole minor units.
"""

from collections.abc import Sequence

import ibis
from ibis.expr import types as ir

from helpers.summaries.arithmetic import whole

MONEY = ("revenue", "margin", "refunds", "cost")


def dated_lines(orders: ir.Table) -> ir.Table:
    """Order lines on the day they count on, as they are.

    A refund stands on the first day of the order of that customer that it refunds, or on that of
    its own row if no such sale is known.
    """
    sales, refunds, _ = _linked(orders)
    kept = ("customer_id", "day", "is_refund", "revenue", "channel")
    return ibis.union(
        sales.mutate(day=sales.order_date).select(kept), refunds.select(kept), distinct=False
    )


def counted_lines(orders: ir.Table) -> ir.Table:
    """Order lines on the day they count on (`dated_lines`), with the margin that is known of each.

    The cost of a refund is known where that of what it gives back is: of all the order's lines of
    its product, or of the whole order where it names no product of it. Without a cost of its own
    the goods did not come back: then it costs what the refund itself did. ``known_date`` is the day
    from which the shop knew of the line.
    """
    sales, refunds, sold = _linked(orders)
    goods = sold.group_by(**_order(sold), sold_product=sold.product_id).aggregate(
        goods_known=sold.margin.notnull().all()
    )
    linked = refunds.left_join(goods, [*_ORDER, ("product_id", "sold_product")])
    is_known = linked.goods_known.fill_null(linked.sold_known)
    kept_goods = linked.revenue - linked.order_cost.fill_null(0)
    refund = ibis.cases((is_known, linked.margin.fill_null(kept_goods)))
    linked = linked.mutate(margin=ibis.ifelse(linked.sold_day.isnull(), linked.margin, refund))
    kept = ("customer_id", "day", "order_id", "is_refund", "quantity", "revenue", "discount",
            "margin", "order_cost", "channel", "event_date", "known_date")  # fmt: skip
    return ibis.union(
        sales.mutate(day=sales.order_date).select(kept), linked.select(kept), distinct=False
    )


_ORDER = (("refund_of", "sold_order"), ("customer_id", "sold_customer"))


def _order(sold: ir.Table) -> dict[str, ir.StringColumn]:
    return {"sold_order": sold.order_id, "sold_customer": sold.customer_id}


def _linked(orders: ir.Table) -> tuple[ir.Table, ir.Table, ir.Table]:
    """Give sales, refunds with the day of their sale and what is known of it, and the lines sold.

    Only refunds are joined, and only to the orders that have one: few rows of either.
    """
    sales, back = orders.filter(~orders.is_refund), orders.filter(orders.is_refund)
    sold = sales.semi_join(back, sales.order_id == back.refund_of)
    whole_order = sold.group_by(**_order(sold)).aggregate(
        sold_day=sold.order_date.min(), sold_known=sold.margin.notnull().all()
    )
    refunds = back.left_join(whole_order, [*_ORDER]).drop(*_order(sold))
    return sales, refunds.mutate(day=refunds.sold_day.fill_null(refunds.order_date)), sold


def customer_days(orders: ir.Table, facts: ir.Table) -> ir.Table:
    """One row per customer and day: orders, units, revenue, discounts, margin, refunds and cost.

    ``revenue`` and ``margin`` are net of refunds, which stand on the day of their sale
    (`counted_lines`); ``refunds`` is positive; ``discounts`` are those of sale lines; ``margin``
    and ``cost`` cover the lines whose cost is known, and ``margin_revenue`` is the revenue of
    those. ``order_cost`` is the part of cost that an order causes whatever its value (shipping and
    payment fees). Beside them stands what most summaries ask of the customer, joined once:
    cohort_day, first_day and channel of `customer_facts`; and of the customer's other days, looked
    up once (`in_turn`).
    """
    lines = counted_lines(orders)
    known = lines.margin.notnull()
    # By order first: an engine counts groups faster than what is distinct within them.
    each = lines.group_by(
        "customer_id", "day", order=ibis.cases((~lines.is_refund, lines.order_id))
    ).aggregate(
        units=lines.quantity.sum().fill_null(0),
        revenue=whole(lines.revenue),
        discounts=whole(lines.discount, where=~lines.is_refund),
        margin=whole(lines.margin),
        margin_revenue=whole(lines.revenue, where=known),
        refunds=-whole(lines.revenue, where=lines.is_refund),
        order_cost=whole(lines.order_cost, where=known),
    )  # fmt: skip
    money = ("revenue", "discounts", "margin", "margin_revenue", "refunds", "order_cost")
    days = each.group_by("customer_id", "day").aggregate(
        orders=each.order.count(), units=each.units.sum(),
        **{name: whole(each[name]) for name in money},
    )  # fmt: skip
    days = days.mutate(cost=days.margin_revenue - days.margin)
    about = facts.select("customer_id", "cohort_day", "first_day", "channel")
    return in_turn(days.join(about, "customer_id"))


def in_turn(days: ir.Table) -> ir.Table:
    """Tell of each customer-day what came before it, and when something was bought next.

    ``previous_day`` is the last day with an order before, ``orders_before`` all orders before;
    ``purchase_number`` counts purchase days, this one included, ``next_purchase`` is the next. For
    money see `before`. With these, whatever is counted of customers in a span of time is counted by
    going through days once (`opens`).
    """
    past, turn = turns(days), {"group_by": days.customer_id, "order_by": days.day}
    ordered = days.orders > 0
    bought = ibis.cases((is_purchase(ordered, days), days.day))
    return days.mutate(
        previous_day=ibis.cases((ordered, days.day)).max().over(past),
        orders_before=whole(days.orders).over(past),
        purchase_number=bought.count().over(ibis.window(**turn, preceding=(None, 0))),
        next_purchase=bought.min().over(ibis.window(**turn, following=(1, None))),
        **before(days, MONEY),
    )


def before(days: ir.Table, names: Sequence[str]) -> dict[str, ir.IntegerColumn]:
    """Give what customers had brought before each day, since the first order: ``{name}_before``."""
    past, since = turns(days), days.day >= days.cohort_day
    return {f"{name}_before": whole(days[name], where=since).over(past) for name in names}


def turns(days: ir.Table):
    """Give the window of a customer's days before each."""
    return ibis.window(group_by=days.customer_id, order_by=days.day, preceding=(None, 1))


def opens(days: ir.Table, start: ir.DateValue) -> ir.BooleanColumn:
    """Say of customer-days whether they are the customer's first with an order since ``start``.

    ``start`` is the first day of the span that a day lies in: the days that open a span are as many
    as its customers.
    """
    return (days.orders > 0) & (days.previous_day.isnull() | (days.previous_day < start))


def purchase_days(days: ir.Table) -> ir.Table:
    """The customer-days on which something was bought and not all of it given back."""
    return days.filter(is_purchase(days.orders > 0, days))


def is_purchase(ordered: ir.BooleanColumn, days: ir.Table) -> ir.BooleanColumn:
    """Say of customer-days whether something was bought and not all of it given back.

    A free order is a purchase, unless money went back on its day.
    """
    return ordered & ~((days.refunds > 0) & (days.revenue <= 0))


def customer_facts(orders: ir.Table, customers: ir.Table) -> ir.Table:
    """One row per customer: first order day, channel, and the model's counts.

    ``cohort_day`` is the day of the first order, missing for a customer known from refunds only.
    ``frequency`` counts repeat purchase days (`is_purchase`), ``first_day`` and ``last_day`` are
    the first and last purchase day; all three are missing where everything was given back.
    ``spend_frequency`` and ``total_spend`` cover repeat days with spend above zero, and are 0
    without one. The channel is the customer's acquisition channel, else the first by name of the
    day of the first order, else 'unknown'.

    From the lines at once, so that histories cost two groupings, whatever else is known of a day.
    """
    lines = dated_lines(orders)
    sale, day = ~lines.is_refund, ("customer_id", "day")
    days = lines.group_by(*day).aggregate(
        revenue=whole(lines.revenue),
        ordered=sale.any(),
        refunds=-whole(lines.revenue, where=lines.is_refund),
        channel=lines.channel.min(where=sale).fill_null("unknown"),
    )
    days = days.mutate(bought=is_purchase(days.ordered, days))
    spent = days.bought & (days.revenue > 0)
    facts = days.group_by("customer_id").aggregate(
        cohort_day=days.day.min(where=days.ordered),
        ordered_by=days.channel.argmin(days.day, where=days.ordered),
        first_day=days.day.min(where=days.bought),
        last_day=days.day.max(where=days.bought),
        purchases=days.count(where=days.bought),
        spends=days.count(where=spent),
        spend=days.revenue.sum(where=spent).fill_null(0),
        first_spend=days.revenue.argmin(days.day, where=days.bought).fill_null(0),
    )
    known = customers.group_by("customer_id").aggregate(
        known_channel=customers.acquisition_channel.min()
    )
    facts = facts.left_join(known, "customer_id")
    return facts.select(
        "customer_id", "cohort_day", "first_day", "last_day",
        frequency=facts.purchases.nullif(0) - 1,
        spend_frequency=facts.spends - (facts.first_spend > 0).cast("int64"),
        total_spend=(facts.spend - ibis.greatest(facts.first_spend, 0)).cast("int64"),
        channel=facts.known_channel.fill_null(facts.ordered_by).fill_null("unknown"),
    )  # fmt: skip
