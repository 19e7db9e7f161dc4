"""Summaries of customers' value, as Ibis expressions: segments, cost to serve, spans, shares.

Money is in whole minor units. As in `helpers.summaries.expressions`, summaries hold facts only.
"""

import ibis
from ibis.expr import types as ir

from helpers.summaries.ages import by_cohort
from helpers.summaries.expressions import MONEY, month_of, purchase_days

# What a customer is told apart by: the largest values keep their names, the rest are "other".
DIMENSIONS = ("channel", "first_product", "first_category", "first_discount", "country")
DIMENSIONS += ("customer_class", "loyalty")
MOST_VALUES, _TOGETHER = 10, 4
# In thousandths: whole numbers, alike on every engine.
TOPS = (10, 50, 100, 200, 500, 1000)


def customer_segments(facts: ir.Table, orders: ir.Table, customers: ir.Table) -> ir.Table:
    """One row per customer with an order: the value of each of DIMENSIONS, and ``cohort_day``.

    What the first order was (product and category with the most revenue on that day, with a coupon
    or a discount or at full price), and what is known of the customer. Not known is 'unknown'; at
    most MOST_VALUES different values remain, the smallest are 'other'.
    """
    facts = facts.filter(facts.cohort_day.notnull())
    first = facts.select("customer_id", "cohort_day")
    # Only what is needed, in its shortest form: the engine keeps these lines for all that follows.
    lines = orders.filter(~orders.is_refund).select(
        "customer_id", "order_date", "revenue", "product_id", "category", "country",
        is_product=orders.line_kind.isnull(),
        cut=(orders.discount.fill_null(0) > 0) | orders.coupon.notnull(),
        told=orders.discount.notnull() | orders.coupon.notnull(),
    )  # fmt: skip
    lines = lines.join(first, "customer_id")
    lines = lines.filter(lines.order_date == lines.cohort_day)
    goods = lines.filter(lines.is_product)
    bought = lines.group_by("customer_id").aggregate(
        ordered_from=lines.country.min(), cut=lines.cut.any(), told=lines.told.any()
    )
    every = ibis.window()
    # Where no order names a discount or a coupon, nobody can be said to have paid the full price.
    bought = bought.mutate(told=bought.told.any().over(every))
    discount = ibis.cases((bought.cut, "with a discount"), (bought.told, "full price"))
    bought = bought.mutate(first_discount=discount).drop("cut", "told")
    known = customers.group_by("customer_id").aggregate(
        lives_in=customers.country.min(), customer_class=customers.customer_class.lower().min(),
        member=customers.loyalty_member.any(),
    )  # fmt: skip
    joined = facts.select("customer_id", "cohort_day", "channel")
    for other in (bought, known, _largest(goods, "product_id"), _largest(goods, "category")):
        joined = joined.left_join(other, "customer_id").drop("customer_id_right")
    loyalty = ibis.cases((joined.member, "member"), (~joined.member, "not a member"))
    found = joined.mutate(
        first_product=joined.product_id, first_category=joined.category, loyalty=loyalty,
        country=joined.lives_in.fill_null(joined.ordered_from),
    )  # fmt: skip
    found = found.select("customer_id", "cohort_day", *DIMENSIONS)
    return bounded(found, DIMENSIONS)


def _largest(lines: ir.Table, column: str) -> ir.Table:
    """Give of each customer the value with the most revenue, the first by name among equals."""
    sums = lines.filter(lines[column].notnull()).group_by("customer_id", column)
    sums = sums.aggregate(money=lines.revenue.sum())
    order = ibis.window(group_by=sums.customer_id, order_by=[sums.money.desc(), sums[column]])
    ranked = sums.mutate(place=ibis.row_number().over(order))
    return ranked.filter(ranked.place == 0).select("customer_id", column)


def bounded(table: ir.Table, columns: tuple[str, ...]) -> ir.Table:
    """Keep the values of most customers in each column, and call the rest 'other'."""
    found = table = table.mutate(**{name: table[name].fill_null("unknown") for name in columns})
    for name in columns:
        counts = table.group_by(kept=table[name]).aggregate(n=table.count())
        order = ibis.window(order_by=[counts.n.desc(), counts.kept])
        counts = counts.mutate(place=ibis.row_number().over(order), values=counts.count().over())
        kept = counts.filter((counts.values <= MOST_VALUES) | (counts.place < MOST_VALUES - 1))
        found = found.left_join(kept.select("kept"), found[name] == kept.kept)
        found = found.mutate(**{name: found.kept.fill_null("other")}).drop("kept")
    return found.select(table.columns)


def segment_ages(days: ir.Table, segments: ir.Table) -> list[ir.Table]:
    """Cohorts by age in HORIZONS for each of DIMENSIONS; the columns of `cohort_ages`."""
    # By all dimensions at once nearly every customer is a cell of their own, and saves no work.
    few = (DIMENSIONS[at : at + _TOGETHER] for at in range(0, len(DIMENSIONS), _TOGETHER))
    return [by_cohort(days, segments, "horizon", names) for names in few]


def served_ages(days: ir.Table, costs: ir.Table, facts: ir.Table) -> list[ir.Table]:
    """Cohorts by age as in `cohort_ages`, with what serving them cost, and ``net`` of it.

    ``service`` is what serving the customer cost from the day of the first order on, ``net`` is
    margin less service; both with squares, for customers who cost something bought more, too.
    Units 'month' and 'horizon', the whole shop only, without refunds.
    """
    zero, sold = ibis.literal(0, "int64"), ("revenue", "margin", "cost")
    kept = days.select(
        "customer_id", "cohort_day", "day", orders=days.orders.cast("int64"),
        **{name: days[name].cast("int64") for name in sold}, service=zero,
    )  # fmt: skip
    served = costs.join(facts.select("customer_id", "cohort_day"), "customer_id")
    served = served.select(
        "customer_id", "cohort_day", day=served.date, orders=zero,
        **dict.fromkeys(sold, zero), service=served.amount.cast("int64"),
    )  # fmt: skip
    rows = ibis.union(kept, served, distinct=False)
    rows = rows.mutate(net=rows.margin - rows.service)
    return [
        by_cohort(rows, facts, unit, ("all",), (*sold, "service", "net"))
        for unit in ("month", "horizon")
    ]


def spans(days: ir.Table, *, as_of: str) -> ir.Table:
    """Months, quarters, and years of twelve months that end with the month: customers and money.

    ``customers`` ordered in the span; ``new_customers`` of them for the first time ever,
    ``returning_year`` had ordered in the twelve months before the span, ``second_orders`` reached
    their second order in it. Money of a span is that of all its days.
    """
    ordered = days.filter(days.orders > 0)
    before = ibis.window(group_by=ordered.customer_id, order_by=ordered.day, preceding=(None, 1))
    earlier = ordered.orders.sum().over(before).fill_null(0)
    ordered = ordered.mutate(second=(earlier < 2) & (earlier + ordered.orders >= 2))
    parts = [_span(days, ordered, grain, as_of) for grain in ("month", "quarter", "year")]
    return ibis.union(*parts, distinct=False)


def _start(rows: ir.Table, grain: str, as_of: str) -> ir.DateValue:
    """Give the first day of the span that a day lies in."""
    if grain != "year":
        return rows.day.truncate({"month": "M", "quarter": "Q"}[grain]).cast("date")
    year, month = int(as_of[:4]), int(as_of[5:7])
    back = ((year - rows.day.year()) * 12 + month - rows.day.month()).cast("int64") // 12
    first = year if month == 12 else year - 1
    return ibis.date((first - back).cast("int32"), ibis.literal(month % 12 + 1), ibis.literal(1))


def _span(rows: ir.Table, ordered: ir.Table, grain: str, as_of: str) -> ir.Table:
    tagged = rows.mutate(start=_start(rows, grain, as_of))
    money = tagged.group_by("start").aggregate(
        orders=tagged.orders.sum(),
        **{name: tagged[name].sum() for name in (*MONEY, "margin_revenue")},
    )
    active = ordered.mutate(start=_start(ordered, grain, as_of))
    each = active.group_by("customer_id", "start").aggregate(
        last=active.day.max(), cohort_day=active.cohort_day.min(), second=active.second.any()
    )
    lag = each.last.lag().over(ibis.window(group_by=each.customer_id, order_by=each.start))
    each = each.mutate(previous=lag)
    limit = (each.start - ibis.interval(months=12)).cast("date")
    people = each.group_by("start").aggregate(
        customers=each.count(), new_customers=each.count(where=each.cohort_day >= each.start),
        returning_year=each.count(where=each.previous >= limit),
        second_orders=each.count(where=each.second),
    )  # fmt: skip
    found = money.left_join(people, "start").drop("start_right")
    counts = ("customers", "new_customers", "returning_year", "second_orders")
    return found.mutate(
        **{name: found[name].fill_null(0) for name in counts}, grain=ibis.literal(grain)
    )


def concentration(days: ir.Table, customers: ir.Table) -> ir.Table:
    """How much of revenue the largest customers bring, of all, and without companies (b2b).

    One row per scope and top of TOPS (in thousandths): the customers in it (rounded up) and their
    revenue, beside all of the scope. Customers without an order are left out.
    """
    each = days.group_by("customer_id").aggregate(
        orders=days.orders.sum(), revenue=days.revenue.sum()
    )
    each = each.filter(each.orders > 0)
    known = customers.group_by("customer_id").aggregate(
        of_class=customers.customer_class.lower().min()
    )
    each = each.left_join(known, "customer_id").drop("customer_id_right")
    parts = []
    for scope in ("all customers", "without companies"):
        chosen = each if scope == "all customers" else each.filter(
            each.of_class.fill_null("") != "b2b"
        )  # fmt: skip
        order = ibis.window(order_by=chosen.revenue.desc())
        ranked = chosen.mutate(
            place=ibis.row_number().over(order), size=chosen.count().over(ibis.window())
        )
        for top in TOPS:
            inside = ranked.place * 1000 < ranked["size"] * top
            parts.append(ranked.aggregate(
                customers=ranked.count(where=inside),
                revenue=ranked.revenue.sum(where=inside).fill_null(0),
                all_customers=ranked.count(), all_revenue=ranked.revenue.sum().fill_null(0),
                named=ranked.of_class.count(),
            ).mutate(
                scope=ibis.literal(scope), thousandths=ibis.literal(top, "int64")
            ))  # fmt: skip
    return ibis.union(*parts, distinct=False)


def paid_ages(orders: ir.Table) -> ir.Table:
    """Cohorts by calendar-month age as most tools count: first paid order, refunds when paid out.

    ``customers`` have paid for an order; ``gross`` is what sale lines brought, ``refunds`` what
    went back in the month in which it did, whichever order it was for.
    """
    paid = orders.filter(~orders.is_refund & (orders.revenue > 0))
    first = paid.group_by("customer_id").aggregate(since=paid.order_date.min())
    first = first.mutate(cohort=month_of(first.since))
    sizes = first.group_by("cohort").aggregate(customers=first.count())
    rows = orders.join(first, "customer_id")
    rows = rows.filter(rows.event_date.notnull() & (rows.event_date >= rows.cohort))
    months = (rows.event_date.year() - rows.cohort.year()) * 12 + (
        rows.event_date.month() - rows.cohort.month()
    )
    found = rows.group_by("cohort", age=months.cast("int64")).aggregate(
        gross=rows.revenue.sum(where=~rows.is_refund).fill_null(0),
        refunds=-rows.revenue.sum(where=rows.is_refund).fill_null(0),
    )
    return found.join(sizes, "cohort")


def paid_moments(orders: ir.Table) -> ir.Table:
    """One row: what most tools divide: paid orders, customers, money before and after refunds.

    ``gross_aov_total`` is the sum over customers of their own average paid order (to a whole minor
    unit). ``every_customer``, ``every_order`` and ``net`` take in whoever is in the files: orders
    of nothing, and customers known from refunds only.
    """
    paid = orders.filter(~orders.is_refund & (orders.revenue > 0))
    each = paid.group_by("customer_id").aggregate(
        paid_orders=paid.order_id.nunique(), gross=paid.revenue.sum()
    )
    own = (each.gross / each.paid_orders).round().cast("int64")
    found = each.aggregate(
        customers=each.count(), orders=each.paid_orders.sum().fill_null(0),
        gross_revenue=each.gross.sum().fill_null(0), gross_aov_total=own.sum().fill_null(0),
    )  # fmt: skip
    every = orders.aggregate(
        every_customer=orders.customer_id.nunique(),
        every_order=orders.order_id.nunique(where=~orders.is_refund),
        net_revenue=orders.revenue.sum().fill_null(0),
    )
    return found.cross_join(every)


def active_stock(days: ir.Table, *, window: int) -> ir.Table:
    """Months: customers active at the end, of them already at the start, and of them new.

    A customer is active for ``window`` days from a purchase, that day included. ``active`` counts
    those at the month's last day, ``kept`` those of them who were active at the end of the month
    before, ``new_active`` those whose first order falls in the month; the rest came back.
    """
    bought = purchase_days(days)
    over = ibis.window(group_by=bought.customer_id, order_by=bought.day)
    following = bought.day.lead().over(over)
    steps = bought.select("customer_id", "day", "cohort_day", following=following)
    months = days.select(start=month_of(days.day)).distinct()
    ends = months.mutate(
        end=(months.start + ibis.interval(months=1) - ibis.interval(days=1)).cast("date")
    )
    until = (steps.day + ibis.interval(days=window)).cast("date")
    steps = steps.mutate(until=ibis.least(until, steps.following.fill_null(until)))
    at = steps.join(ends, [steps.day <= ends.end, steps.until > ends.end])
    back = at.start.lag().over(ibis.window(group_by=at.customer_id, order_by=at.start))
    earlier = (at.start - ibis.interval(months=1)).cast("date")
    at = at.mutate(stayed=(back == earlier).fill_null(False))
    found = at.group_by("start").aggregate(
        active=at.count(), kept=at.count(where=at.stayed),
        new_active=at.count(where=at.cohort_day >= at.start),
    )  # fmt: skip
    months = ends.left_join(found, "start").drop("start_right", "end")
    return months.mutate(
        **{name: months[name].fill_null(0) for name in ("active", "kept", "new_active")}
    )


def promotion_spans(promotions: ir.Table) -> ir.Table:
    """Promotions of the shop: first and last day, kind, discount."""
    return promotions.select("promotion_id", "starts_at", "ends_at", "kind", "discount")


def service_drivers(days: ir.Table, costs: ir.Table) -> ir.Table:
    """One row: what serving cost, and what it may be spread over: orders, and active months.

    An active month is a customer's calendar month with an order. ``order_cost`` (shipping, payment
    fees) is in the margin already. Only from the first day on which any cost is recorded.
    """
    since = costs.aggregate(first=costs.date.min())
    seen = days.cross_join(since)
    seen = seen.filter((seen.orders > 0) & (seen.day >= seen.first))
    months = seen.select("customer_id", month=month_of(seen.day)).distinct()
    served = costs.aggregate(
        amount=costs.amount.sum().fill_null(0), contacts=costs.count(), first=costs.date.min()
    )
    orders = seen.aggregate(
        orders=seen.orders.sum().fill_null(0), order_cost=seen.order_cost.sum().fill_null(0)
    )
    return served.cross_join(orders).cross_join(months.aggregate(active_months=months.count()))
