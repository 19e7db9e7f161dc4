"""Clean tables to summaries, as Ibis expressions that any engine can say.

Money is in whole minor units. Summaries hold facts; whether a cell may be shown is decided in
`helpers.measures.cohorts`.
"""

import ibis
from ibis.expr import types as ir

from helpers.summaries.arithmetic import exact, month_of, told_apart, whole
from helpers.summaries.days import MONEY, counted_lines, opens, purchase_days

PRE_DAYS, WINDOW_DAYS = 180, 60


def scope(orders: ir.Table) -> ir.Table:
    """One row for all order lines given: rows, orders, customers, money, first and last day.

    ``rows`` are those of the files (a refund that was spread over several sales is one), ``orders``
    those with a sale line, ``customers`` of any line, and days those of the order's row.
    """
    return orders.aggregate(
        rows=orders.count(where=orders.part == 1),
        orders=orders.order_id.nunique(where=~orders.is_refund),
        customers=orders.customer_id.nunique(),
        revenue=orders.revenue.sum().fill_null(0),
        first_day=orders.order_date.min(),
        last_day=orders.order_date.max(),
    )


def known_months(orders: ir.Table, days: ir.Table) -> ir.Table:
    """Months by the month in which their lines became known: orders, revenue, margin, refunds.

    ``start`` is the month that lines count in (a refund: that of its sale), ``known`` the month
    in which they happened or, if later, became known; sales and refunds apart. Summed over
    ``known`` up to a month, this is what could be known of ``start`` by then. An order counts from
    its first line on, once for each day as in `customer_days`.
    """
    lines = counted_lines(orders)
    seen = ibis.greatest(lines.event_date, lines.known_date.fill_null(lines.event_date))
    lines = lines.mutate(start=month_of(lines.day), known=month_of(seen))
    keys = ["start", "known", "is_refund"]
    money = lines.group_by(*keys).aggregate(
        revenue=lines.revenue.sum(), margin=lines.margin.sum().fill_null(0),
        refunds=-lines.revenue.sum(where=lines.is_refund).fill_null(0),
    )  # fmt: skip
    # Of orders, days tell how many; those of which a line became known later are few.
    sales, order = lines.filter(~lines.is_refund), ["customer_id", "day", "order_id"]
    late = sales.filter(sales.known > sales.start).select(order).distinct()
    late = sales.semi_join(late, order)
    late = late.group_by("start", *order).aggregate(known=late.known.min())
    every = days.group_by(start=month_of(days.day)).aggregate(orders=whole(days.orders))
    late = late.group_by("start", "known").aggregate(orders=late.count())
    counted = ibis.union(
        every.select("start", "orders", known="start"), late.select("start", "orders", "known"),
        late.select("start", orders=-late.orders, known="start"), distinct=False,
    )  # fmt: skip
    counted = counted.group_by("start", "known").aggregate(orders=whole(counted.orders))
    both = money.left_join(counted.mutate(is_refund=False), keys)
    return both.select(*keys, orders=both.orders.fill_null(0), **{n: both[n] for n in MONEY[:3]})


def customer_states(facts: ir.Table) -> ir.Table:
    """Distinct purchase histories: frequency, first and last day, channel, and how many have it."""
    bought = facts.filter(facts.first_day.notnull())
    return bought.group_by("frequency", "first_day", "last_day", segment=bought.channel).aggregate(
        n=bought.count()
    )


def spend_states(facts: ir.Table) -> ir.Table:
    """Distinct repeat spends: days with spend, their total, and how many customers have both.

    Customers without a repeat day with spend are left out.
    """
    spent = facts.filter(facts.spend_frequency > 0)
    return spent.group_by(frequency=spent.spend_frequency, total_spend=spent.total_spend).aggregate(
        n=spent.count()
    )


def repeat_orders(days: ir.Table, *, as_of: str) -> ir.Table:
    """One row: repeat purchase days of 365 days, their revenue, margin and costs per order.

    ``known_squares``, ``earned_squares`` and ``earned_known_squares`` are sums over days whose cost
    is known of revenue squared, of margin before costs per order squared, and of both multiplied:
    how the margin of single orders strays; ``known_days`` counts them. With ``customer_`` before
    they are of customers' sums: the error of the rate, for the orders of a customer are alike.
    """
    bought = purchase_days(days)
    since = (ibis.date(as_of) - ibis.interval(days=365)).cast("date")
    repeat = bought.filter((bought.day > bought.first_day) & (bought.day > since))
    money = ("revenue", "margin", "margin_revenue", "order_cost")
    known = (repeat.margin_revenue != 0) | (repeat.margin != 0)
    each = repeat.group_by("customer_id").aggregate(
        **{name: whole(repeat[name]) for name in ("margin", "margin_revenue", "order_cost")}
    )
    found = repeat.aggregate(
        orders=repeat.count(), **{name: whole(repeat[name]) for name in money},
        known_days=repeat.count(where=known), **_margin_squares(repeat, ""),
    )  # fmt: skip
    return found.cross_join(each.aggregate(**_margin_squares(each, "customer_")))


def _margin_squares(rows: ir.Table, prefix: str) -> dict[str, ir.DecimalScalar]:
    """Sum squares and products of what is earned before costs per order, and of its revenue."""
    known = exact(rows.margin_revenue)
    earned = exact(rows.margin + rows.order_cost)
    pairs = {"known": known * known, "earned": earned * earned, "earned_known": earned * known}
    zero = ibis.literal(0, "decimal(38, 0)")
    return {f"{prefix}{name}_squares": pair.sum().fill_null(zero) for name, pair in pairs.items()}


def refund_delays(orders: ir.Table) -> ir.Table:
    """How long after the sale money goes back: days, and the amount refunded after so many.

    Of refunds that name their day and whose sale is known; those dated before it count as 0 days.
    """
    sales = orders.filter(~orders.is_refund)
    refunds = orders.filter(orders.is_refund & orders.refunded_date.notnull())
    sold = sales.semi_join(refunds, sales.order_id == refunds.refund_of)
    sold = sold.group_by(sold_order=sold.order_id, sold_customer=sold.customer_id).aggregate(
        sold_day=sold.order_date.min()
    )
    linked = refunds.join(
        sold,
        [refunds.refund_of == sold.sold_order, refunds.customer_id == sold.sold_customer],
    )
    days = linked.event_date.delta(linked.sold_day, unit="day")
    return linked.group_by(days=ibis.greatest(days, 0)).aggregate(refunds=-linked.revenue.sum())


def gaps(days: ir.Table, *, as_of: str) -> ir.Table:
    """Days from one purchase day to the next, by the number of the purchase that a wait follows.

    Open waits (``event`` false) are censored at as_of.
    """
    found = waits(days, as_of=as_of)
    return found.group_by("order_number", "days", "event").aggregate(n=found.count())


PARTS, MOST_WAITS = 20, 4


def gap_parts(days: ir.Table, *, as_of: str) -> ir.Table:
    """Gaps by part: customers fall into PARTS by the day of their first purchase since 1970.

    Gaps of one customer are alike, so intervals for several gaps of each are found by leaving out
    one part of the customers at a time. ``order_number`` 4 stands for 4 and more.
    """
    found = waits(days, as_of=as_of)
    number = ibis.least(found.order_number, MOST_WAITS)
    return found.group_by("part", "days", "event", order_number=number).aggregate(n=found.count())


def waits(days: ir.Table, *, as_of: str) -> ir.Table:
    """One row per purchase day: its number, the days to the next, whether that came, the part."""
    bought = purchase_days(days)
    until = bought.next_purchase.fill_null(ibis.date(as_of))
    number = bought.first_day.delta(ibis.date("1970-01-01"), unit="day")
    return bought.select(
        "customer_id", order_number="purchase_number", days=until.delta(bought.day, unit="day"),
        event=bought.next_purchase.notnull(), part=number % PARTS,
    )  # fmt: skip


def periods(days: ir.Table) -> ir.Table:
    """Days, months and quarters, in total and by channel: distinct customers, orders, money.

    ``customers`` ordered in the period, ``new_customers`` of them for the first time;
    ``known_customers`` are all who had become customers by its end. Periods without a line have no
    row.
    """
    grains = {"day": "D", "month": "M", "quarter": "Q"}
    rows = days.mutate(**{
        grain: days.day.truncate(letter).cast("date") for grain, letter in grains.items()
    })  # fmt: skip
    cells = rows.group_by(*grains, "channel").aggregate(
        **{f"by_{grain}": rows.count(where=opens(rows, rows[grain])) for grain in grains},
        new_customers=rows.count(where=(rows.orders > 0) & (rows.day == rows.cohort_day)),
        orders=whole(rows.orders), units=rows.units.sum(),
        **{name: whole(rows[name]) for name in (*MONEY, "margin_revenue")},
    )  # fmt: skip
    cells, parts = told_apart(cells, ("all", "channel")), []
    names = ("new_customers", "orders", "units", *MONEY, "margin_revenue")
    for grain in grains:
        found = cells.group_by("value", "dimension", start=cells[grain]).aggregate(
            customers=whole(cells[f"by_{grain}"]),
            **{name: cells.units.sum() if name == "units" else whole(cells[name])
               for name in names},
        )  # fmt: skip
        # Each customer is new once, so this counts who had been won by the period's end.
        so_far = ibis.cumulative_window(group_by=["value", "dimension"], order_by=found.start)
        known = found.new_customers.sum().over(so_far).cast("int64")
        parts.append(found.select(
            "start", "value", "customers", *names, known_customers=known,
            grain=ibis.literal(grain), dimension="dimension",
        ))  # fmt: skip
    return ibis.union(*parts, distinct=False)


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
