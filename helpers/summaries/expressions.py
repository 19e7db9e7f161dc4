"""Clean tables to summaries, as Ibis expressions that any engine can say.

Money is in whole minor units. Summaries hold facts; whether a cell may be shown is decided in
`helpers.measures.cohorts`.
"""

from collections.abc import Sequence

import ibis
from ibis.expr import types as ir

PRE_DAYS, WINDOW_DAYS = 180, 60
MONEY = ("revenue", "margin", "refunds", "cost")


def scope(orders: ir.Table) -> ir.Table:
    """One row for all order lines given: rows, orders, customers, money, first and last day."""
    sale = ~orders.is_refund
    return orders.aggregate(
        rows=orders.count(where=orders.part == 1),
        orders=orders.order_id.nunique(where=sale),
        customers=orders.customer_id.nunique(),
        refund_rows=orders.count(where=orders.is_refund),
        revenue=orders.revenue.sum().fill_null(0),
        first_day=orders.order_date.min(),
        last_day=orders.order_date.max(),
    )


def counted_lines(orders: ir.Table) -> ir.Table:
    """Order lines on the day they count on, with the margin that is known of each.

    A refund stands on the day of the order it refunds, or on its own day if that order is not
    known. The cost of a refund is known where that of its order is: without a cost of its own the
    goods did not come back. ``known`` is the day from which the shop knew of the line.
    """
    sales, back = orders.filter(~orders.is_refund), orders.filter(orders.is_refund)
    # Only refunds are joined, and only to the orders that have one: few rows of either.
    sold = sales.semi_join(back, sales.order_id == back.refund_of)
    sold = sold.group_by(sold_order=sold.order_id, sold_customer=sold.customer_id).aggregate(
        sold_day=sold.order_date.min(), sold_known=sold.margin.notnull().all()
    )
    linked = back.left_join(
        sold, [back.refund_of == sold.sold_order, back.customer_id == sold.sold_customer]
    )
    unknown = ibis.null("int64")
    refund = ibis.ifelse(linked.sold_known, linked.margin.fill_null(linked.revenue), unknown)
    of_known = ibis.ifelse(linked.sold_known.isnull(), linked.margin, refund)
    refunded = linked.mutate(day=linked.sold_day.fill_null(linked.order_date), margin=of_known)
    kept = ("customer_id", "day", "order_id", "is_refund", "quantity", "revenue", "margin",
            "order_cost", "channel", "event_date", "known_date")  # fmt: skip
    return ibis.union(
        sales.mutate(day=sales.order_date).select(kept), refunded.select(kept), distinct=False
    )


def customer_days(orders: ir.Table, facts: ir.Table) -> ir.Table:
    """One row per customer and day: orders, units, revenue, margin, refunds and cost.

    ``revenue`` and ``margin`` are net of refunds, which stand on the day of their sale;
    ``refunds`` is positive; ``margin`` and ``cost`` cover the lines whose cost is known, and
    ``margin_revenue`` is the revenue of those. ``order_cost`` is the part of cost that an order
    causes whatever its value (shipping and payment fees). Beside them stands what most summaries
    ask of the customer, joined once: cohort_day, first_day and channel of `customer_facts`.
    """
    lines, unknown = counted_lines(orders), ibis.null("int64")
    lines = lines.mutate(
        cost=lines.revenue - lines.margin,
        order_cost=ibis.ifelse(lines.margin.notnull(), lines.order_cost.fill_null(0), unknown),
    )
    sale = ~lines.is_refund
    days = lines.group_by("customer_id", "day").aggregate(
        orders=lines.order_id.nunique(where=sale),
        units=lines.quantity.sum().fill_null(0),
        revenue=whole(lines.revenue),
        margin=whole(lines.margin),
        margin_revenue=whole(lines.revenue, where=lines.margin.notnull()),
        refunds=-whole(lines.revenue, where=lines.is_refund),
        cost=whole(lines.cost),
        order_cost=whole(lines.order_cost),
    )
    about = facts.select("customer_id", "cohort_day", "first_day", "channel")
    return days.join(about, "customer_id")


def known_months(orders: ir.Table) -> ir.Table:
    """Months by the month in which their lines became known: orders, revenue, margin, refunds.

    ``start`` is the month that lines count in (a refund: that of its sale), ``known`` the month
    in which they happened or, if later, became known; sales and refunds apart. Summed over
    ``known`` up to a month, this is what could be known of ``start`` by then. An order counts from
    its first line on, once for each day as in `customer_days`.
    """
    lines = counted_lines(orders)
    seen = ibis.greatest(lines.event_date, lines.known_date.fill_null(lines.event_date))
    lines = lines.mutate(start=month_of(lines.day), known=month_of(seen))
    none, keys = ibis.literal(0, "int64"), ("start", "known", "is_refund")
    money = lines.group_by(*keys).aggregate(
        revenue=lines.revenue.sum(), margin=lines.margin.sum().fill_null(0),
        refunds=-lines.revenue.sum(where=lines.is_refund).fill_null(0),
    )  # fmt: skip
    sales = lines.filter(~lines.is_refund)
    each = sales.group_by("customer_id", "day", "order_id").aggregate(known=sales.known.min())
    each = each.mutate(start=month_of(each.day), is_refund=False)
    counted = each.group_by(*keys).aggregate(orders=each.count())
    names = ("orders", *MONEY[:3])
    parts = (
        part.select(*keys, **{name: part[name] if name in part.columns else none for name in names})
        for part in (money, counted)
    )
    both = ibis.union(*parts, distinct=False)
    return both.group_by(*keys).aggregate(**{name: both[name].sum() for name in names})


def purchase_days(days: ir.Table) -> ir.Table:
    """The customer-days on which something was bought and not all of it given back."""
    return days.filter(is_purchase(days.orders > 0, days))


def is_purchase(ordered: ir.BooleanColumn, days: ir.Table) -> ir.BooleanColumn:
    """Say of customer-days whether something was bought and not all of it given back."""
    return ordered & ~((days.refunds > 0) & (days.revenue <= 0))


def customer_facts(orders: ir.Table, customers: ir.Table) -> ir.Table:
    """One row per customer: first order day, channel, and the model's counts.

    ``cohort_day`` is the day of the first order, missing for a customer known from refunds only.
    ``frequency`` counts repeat purchase days, ``first_day`` and ``last_day`` are the first and
    last purchase day (missing where everything was given back); ``spend_frequency`` and
    ``total_spend`` cover repeat days with spend above zero. The channel is the customer's
    acquisition channel, else that of the first order.

    From the lines at once, so that histories cost two groupings, whatever else is known of a day.
    """
    lines = counted_lines(orders)
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


def customer_states(facts: ir.Table) -> ir.Table:
    """Distinct purchase histories: frequency, first and last day, channel, and how many have it."""
    bought = facts.filter(facts.first_day.notnull())
    return bought.group_by("frequency", "first_day", "last_day", segment=bought.channel).aggregate(
        n=bought.count()
    )


def spend_states(facts: ir.Table) -> ir.Table:
    """Distinct repeat spends: days with spend, their total, and how many customers have both."""
    spent = facts.filter(facts.spend_frequency > 0)
    return spent.group_by(frequency=spent.spend_frequency, total_spend=spent.total_spend).aggregate(
        n=spent.count()
    )


def repeat_orders(days: ir.Table, *, as_of: str) -> ir.Table:
    """One row: repeat purchase days of the last year, their revenue, margin and costs per order.

    ``known_squares``, ``earned_squares`` and ``earned_known_squares`` are sums over days whose cost
    is known of revenue squared, of margin before costs per order squared, and of both multiplied:
    how the margin of single orders strays; ``known_days`` counts them. With ``customer_`` before
    they are of customers' sums: the error of the rate, for the orders of a customer are alike.
    """
    bought = purchase_days(days)
    since = (ibis.date(as_of) - ibis.interval(days=365)).cast("date")
    repeat = bought.filter((bought.day > bought.first_day) & (bought.day > since))
    money = ("revenue", "margin", "margin_revenue", "order_cost")
    each = repeat.group_by("customer_id").aggregate(
        orders=repeat.count(),
        **{name: whole(repeat[name]) for name in money},
        known_days=repeat.count(where=repeat.margin_revenue > 0),
        **_margin_squares(repeat, ""),
    )
    squares = [name for name in each.columns if name.endswith("_squares")]
    zero = ibis.literal(0, "decimal(38, 0)")
    return each.aggregate(
        **{name: whole(each[name]) for name in ("orders", *money, "known_days")},
        **{name: each[name].sum().fill_null(zero) for name in squares},
        **_margin_squares(each, "customer_"),
    )


def _margin_squares(rows: ir.Table, prefix: str) -> dict[str, ir.DecimalScalar]:
    """Sum squares and products of what is earned before costs per order, and of its revenue."""
    known = rows.margin_revenue.cast("decimal(19, 0)")
    earned = (rows.margin + rows.order_cost).cast("decimal(19, 0)")
    pairs = {"known": known * known, "earned": earned * earned, "earned_known": earned * known}
    zero = ibis.literal(0, "decimal(38, 0)")
    return {f"{prefix}{name}_squares": pair.sum().fill_null(zero) for name, pair in pairs.items()}


def refund_delays(orders: ir.Table) -> ir.Table:
    """How long after the sale money goes back: days, and the amount refunded after so many."""
    sales = orders.filter(~orders.is_refund)
    sold = sales.group_by(sold_order=sales.order_id, sold_customer=sales.customer_id).aggregate(
        sold_day=sales.order_date.min()
    )
    refunds = orders.filter(orders.is_refund & orders.refunded_date.notnull())
    linked = refunds.join(
        sold,
        [refunds.refund_of == sold.sold_order, refunds.customer_id == sold.sold_customer],
    )
    days = linked.event_date.delta(linked.sold_day, unit="day")
    return linked.group_by(days=ibis.greatest(days, 0)).aggregate(refunds=-linked.revenue.sum())


def gaps(days: ir.Table, *, as_of: str) -> ir.Table:
    """Days from one purchase day to the next, by order number; open waits are censored at as_of."""
    found = waits(days, as_of=as_of)
    return found.group_by("order_number", "days", "event").aggregate(n=found.count())


PARTS, MOST_WAITS = 20, 4


def gap_parts(days: ir.Table, *, as_of: str) -> ir.Table:
    """Gaps by part: customers fall into 20 parts by the day of their first purchase.

    Gaps of one customer are alike, so intervals for several gaps of each are found by leaving out
    one part of the customers at a time. ``order_number`` 4 stands for 4 and more.
    """
    found = waits(days, as_of=as_of)
    number = ibis.least(found.order_number, MOST_WAITS)
    return found.group_by("part", "days", "event", order_number=number).aggregate(n=found.count())


def waits(days: ir.Table, *, as_of: str) -> ir.Table:
    """One row per purchase day: its number, the days to the next, whether that came, the part."""
    bought = purchase_days(days)
    window = ibis.window(group_by=bought.customer_id, order_by=bought.day)
    steps = bought.select(
        "customer_id", "day", "first_day",
        order_number=ibis.row_number().over(window) + 1,
        next_day=bought.day.lead().over(window),
    )  # fmt: skip
    until = steps.next_day.fill_null(ibis.date(as_of))
    number = steps.first_day.delta(ibis.date("1970-01-01"), unit="day")
    return steps.mutate(
        days=until.delta(steps.day, unit="day"), event=steps.next_day.notnull(), part=number % PARTS
    )


def periods(days: ir.Table) -> list[ir.Table]:
    """Days, months and quarters, in total and by channel: distinct customers, orders, money."""
    parts = []
    for grain, letter in (("day", "D"), ("month", "M"), ("quarter", "Q")):
        rows = days.mutate(start=days.day.truncate(letter).cast("date"))
        active = rows.orders > 0
        customers = rows.customer_id.nunique(where=active)
        cells = rows.group_by("start", "channel").aggregate(
            customers=rows.count(where=active) if grain == "day" else customers,
            new_customers=rows.count(where=active & (rows.day == rows.cohort_day)),
            orders=whole(rows.orders),
            units=rows.units.sum(),
            **{name: whole(rows[name]) for name in (*MONEY, "margin_revenue")},
        )
        names = [name for name in cells.columns if name not in ("start", "channel", "units")]
        cells = told_apart(cells, ("all", "channel"))
        found = cells.group_by("start", "value", "dimension").aggregate(
            **{name: whole(cells[name]) for name in names}, units=cells.units.sum()
        )
        # Each customer is new once, so this counts who had been won by the period's end.
        so_far = ibis.cumulative_window(group_by=["value", "dimension"], order_by=found.start)
        known = found.new_customers.sum().over(so_far).cast("int64")
        found = found.mutate(known_customers=known, grain=ibis.literal(grain))
        parts.append(found.relocate("units", after="orders").relocate("dimension", after="grain"))
    return parts


def told_apart(cells: ir.Table, dimensions: tuple[str, ...]) -> ir.Table:
    """Give each cell a row for each dimension, with its ``value`` there."""
    cells = cells.mutate(dimension=ibis.array(list(dimensions)).unnest())
    value = ibis.literal("all")
    for name in (name for name in dimensions if name != "all"):
        value = ibis.ifelse(cells.dimension == name, cells[name], value)
    return cells.mutate(value=value)


def month_of(day: ir.DateValue) -> ir.DateValue:
    """Give the first day of a day's month."""
    return day.truncate("M").cast("date")


def whole(column: ir.IntegerColumn, where: ir.BooleanValue | None = None) -> ir.IntegerScalar:
    """Sum whole numbers; 0 where there are none.

    As floats, in which whole numbers are exact up to nine quadrillion: DuckDB sums integers in 128
    bits, which takes half as long again and twice the room, and Parquet keeps those as fractions.
    """
    return column.cast("float64").sum(where=where).fill_null(0).cast("int64")


def with_products(
    each: ir.Table,
    keys: Sequence[str],
    counts: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    **more: ir.Scalar,
) -> ir.Table:
    """Sum whole numbers by ``keys``: ``each`` has one row per customer and cell.

    ``customers`` counts the rows. For each of ``pairs``, the part and the whole of a share, sums
    over customers of products stand beside the sums of ``counts``: part_part, part_whole and
    whole_whole, from which `metrics.design_effect` tells what it matters that customers come more
    than once. ``more`` are other columns, of ``each``; they go over these.
    """
    products = {(a, b) for part, of in pairs for a, b in ((part, part), (part, of), (of, of))}
    found = {"customers": each.count()} | {name: whole(each[name]) for name in counts}
    found |= {f"{a}_{b}": whole(each[a] * each[b]) for a, b in sorted(products)}
    return (each.group_by(*keys) if keys else each).aggregate(**found | more)


def acquisition(facts: ir.Table, spend: ir.Table, *, as_of: str) -> ir.Table:
    """Months by channel: new customers, and what was spent, a period's cost spread over its days.

    ``spend`` rows hold a period's own totals; the share of each month is its share of the days.
    Days after ``as_of`` are left out.
    """
    facts = facts.filter(facts.cohort_day.notnull())
    new = facts.mutate(start=month_of(facts.cohort_day))
    new = new.group_by("start", "channel").aggregate(new_customers=new.count())
    spend = spend.mutate(last=spend.ends_at.fill_null(spend.starts_at))
    months = new.select(month="start").distinct()
    months = months.mutate(month_end=(months.month + ibis.interval(months=1)).cast("date"))
    pairs = spend.cross_join(months)
    pairs = pairs.filter((pairs.starts_at < pairs.month_end) & (pairs.last >= pairs.month))
    low = ibis.greatest(pairs.starts_at, pairs.month)
    limit = (ibis.date(as_of) + ibis.interval(days=1)).cast("date")
    high = ibis.least((pairs.last + ibis.interval(days=1)).cast("date"), pairs.month_end, limit)
    inside = ibis.greatest(high.delta(low, unit="day"), 0).cast("float64")
    whole = (pairs.last.delta(pairs.starts_at, unit="day") + 1).cast("float64")
    pairs = pairs.mutate(start=pairs.month, share=inside / whole)
    spent = pairs.group_by("start", "channel").aggregate(
        **{
            name: (pairs[name].fill_null(0) * pairs.share).sum().round(6)
            for name in ("cost", "clicks", "leads")
        }
    )
    both = new.outer_join(spent, ["start", "channel"])
    return both.select(
        start=ibis.coalesce(both.start, both.start_right),
        channel=ibis.coalesce(both.channel, both.channel_right),
        new_customers=both.new_customers.fill_null(0),
        **{name: both[name] for name in ("cost", "clicks", "leads")},
    )


def assigned(assignments: ir.Table) -> ir.Table:
    """Distinct customers assigned, by experiment."""
    return assignments.group_by("experiment_id").aggregate(
        customers=assignments.customer_id.nunique()
    )


def experiment_list(experiments: ir.Table) -> ir.Table:
    """Experiments as declared; a control arm that is not named is control, a draw is by chance."""
    return experiments.mutate(
        control_arm=experiments.control_arm.fill_null("control"),
        randomized=experiments.randomized.fill_null(True),
        window_days=experiments.window_days.fill_null(WINDOW_DAYS),
    )


def service(costs: ir.Table) -> ir.Table:
    """Months: what serving customers cost, and how many costs there were."""
    rows = costs.mutate(start=month_of(costs.date))
    return rows.group_by("start").aggregate(amount=rows.amount.sum(), contacts=rows.count())
