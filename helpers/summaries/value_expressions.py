"""Summaries of customers' value, as Ibis expressions: segments, cost to serve, spans, shares.

Money is in whole minor units. As in `helpers.summaries.expressions`, summaries hold facts only.
"""

from collections.abc import Sequence

import ibis
from ibis.expr import types as ir

from helpers.summaries.ages import by_cohort
from helpers.summaries.arithmetic import every_month, month_number, month_of, whole
from helpers.summaries.days import MONEY, before, opens, purchase_days

# What a customer is told apart by: the largest values keep their names, the rest are "other".
DIMENSIONS = ("channel", "first_product", "first_category", "first_discount", "country")
DIMENSIONS += ("customer_class", "loyalty")
MOST_VALUES, _TOGETHER = 10, 4
# In thousandths: whole numbers, alike on every engine.
TOPS = (10, 50, 100, 200, 500, 1000)


def customer_segments(facts: ir.Table, orders: ir.Table, customers: ir.Table) -> ir.Table:
    """One row per customer with an order: each of DIMENSIONS, and the day of the first order.

    What its sale lines say: product and category with the most revenue (of lines that are products,
    the first by name among equals), a coupon or a discount or the full price ('unknown' where no
    first order of the shop names one), country where the customer has none; and what is known of
    the customer today. Beside ``cohort_day`` stand ``first_at``, its first moment, and
    ``cart_flow``. Not known is 'unknown', a value like others; at most MOST_VALUES different values
    remain, 'other' included, which is what the smallest are called.
    """
    facts = facts.filter(facts.cohort_day.notnull())
    first = facts.select("customer_id", "cohort_day")
    # Only what is needed, in its shortest form: the engine keeps these lines for all that follows.
    lines = orders.filter(~orders.is_refund).select(
        "customer_id", "order_date", "ordered_at", "revenue", "product_id", "category", "country",
        "cart_flow",
        is_product=orders.line_kind.isnull(),
        cut=(orders.discount.fill_null(0) > 0) | orders.coupon.notnull(),
        told=orders.discount.notnull() | orders.coupon.notnull(),
    )  # fmt: skip
    lines = lines.join(first, ["customer_id", (lines.order_date, first.cohort_day)])
    goods = lines.filter(lines.is_product)
    bought = lines.group_by("customer_id").aggregate(
        first_at=lines.ordered_at.min(), ordered_from=lines.country.min(),
        cart_flow=lines.cart_flow.min(), cut=lines.cut.any(), told=lines.told.any(),
    )  # fmt: skip
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
    for other in (bought, known, largest(goods, "product_id"), largest(goods, "category")):
        joined = joined.left_join(other, "customer_id").drop("customer_id_right")
    loyalty = ibis.cases((joined.member, "member"), (~joined.member, "not a member"))
    found = joined.mutate(
        first_product=joined.product_id, first_category=joined.category, loyalty=loyalty,
        country=joined.lives_in.fill_null(joined.ordered_from),
    )  # fmt: skip
    found = found.select("customer_id", "cohort_day", "first_at", "cart_flow", *DIMENSIONS)
    return bounded(found, DIMENSIONS)


def largest(lines: ir.Table, column: str) -> ir.Table:
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
    return [by_cohort(with_traits(days, segments, names), segments, ("horizon",), names)
            for names in few]  # fmt: skip


def with_traits(days: ir.Table, who: ir.Table, names: Sequence[str]) -> ir.Table:
    """Give customer-days columns of a table of customers; those of the same name make way."""
    days = days.drop(*(name for name in names if name in days.columns))
    return days.join(who.select("customer_id", *names), "customer_id")


def served_ages(days: ir.Table, costs: ir.Table, facts: ir.Table) -> ir.Table:
    """Cohorts by age as in `cohort_ages`, with what serving them cost, and ``net`` of it.

    ``service`` is what serving the customer cost from the day of the first order on, ``net`` is
    margin less service; both with squares, for customers who cost something bought more, too.
    Units 'month' and 'horizon', the whole shop only, without refunds.
    """
    money, zero = ("revenue", "margin", "cost", "service", "net"), ibis.literal(0, "int64")
    kept = ("customer_id", "cohort_day", "day", "orders", "previous_day", *money)
    kept += tuple(f"{name}_before" for name in money)
    # Who caused no cost has brought, net of it, what they had brought without.
    others = days.anti_join(costs, "customer_id").mutate(
        service=zero, service_before=zero, net=days.margin, net_before=days.margin_before
    )
    served = costs.join(facts.select("customer_id", "cohort_day"), "customer_id")
    served = served.select(
        "customer_id", "cohort_day", day=served.date, previous_day=ibis.null("date"),
        orders=zero, **dict.fromkeys(money[:3], zero), service=served.amount.cast("int64"),
    )  # fmt: skip
    bought = days.semi_join(costs, "customer_id").mutate(service=zero)
    bought = bought.mutate(orders=bought.orders.cast("int64")).select(served.columns)
    theirs = ibis.union(bought, served, distinct=False)
    theirs = theirs.group_by("customer_id", "cohort_day", "day").aggregate(
        previous_day=theirs.previous_day.max(),
        **{name: whole(theirs[name]) for name in ("orders", *money[:4])},
    )
    theirs = theirs.mutate(net=theirs.margin - theirs.service)
    theirs = theirs.mutate(**before(theirs, money))
    rows = ibis.union(others.select(kept), theirs.select(kept), distinct=False)
    return by_cohort(rows, facts, ("month", "horizon"), ("all",), money)


def spans(days: ir.Table, *, as_of: str) -> ir.Table:
    """Months, quarters, and years of twelve months that end with the month: customers and money.

    ``customers`` ordered in the span; ``new_customers`` of them for the first time ever,
    ``returning_year`` had ordered in the twelve months before the span, ``second_orders`` reached
    their second order in it (two on one day count). Money of a span is that of all its days.
    """
    grains = ("month", "quarter", "year")
    rows = days.mutate(**{grain: _start(days, grain, as_of) for grain in grains})
    counts = {}
    for grain in grains:
        is_first = opens(rows, rows[grain])
        limit = (rows[grain] - ibis.interval(months=12)).cast("date")
        counts[f"customers_{grain}"] = rows.count(where=is_first)
        counts[f"returning_{grain}"] = rows.count(where=is_first & (rows.previous_day >= limit))
    second = (rows.orders_before < 2) & (rows.orders_before + rows.orders >= 2)
    names = ("orders", *MONEY, "margin_revenue")
    months = rows.group_by(*grains).aggregate(
        **counts, **{name: whole(rows[name]) for name in names},
        new_customers=rows.count(where=(rows.orders > 0) & rows.previous_day.isnull()),
        second_orders=rows.count(where=second),
    )  # fmt: skip
    parts = [
        months.group_by(start=months[grain]).aggregate(
            **{name: whole(months[name]) for name in names},
            customers=whole(months[f"customers_{grain}"]),
            new_customers=whole(months.new_customers),
            returning_year=whole(months[f"returning_{grain}"]),
            second_orders=whole(months.second_orders),
        ).mutate(grain=ibis.literal(grain))
        for grain in grains
    ]  # fmt: skip
    return ibis.union(*parts, distinct=False)


def _start(rows: ir.Table, grain: str, as_of: str) -> ir.DateValue:
    """Give the first day of the span that a day lies in."""
    if grain != "year":
        return rows.day.truncate({"month": "M", "quarter": "Q"}[grain]).cast("date")
    year, month = int(as_of[:4]), int(as_of[5:7])
    back = ((year - rows.day.year()) * 12 + month - rows.day.month()).cast("int64") // 12
    first = year if month == 12 else year - 1
    return ibis.date((first - back).cast("int32"), ibis.literal(month % 12 + 1), ibis.literal(1))


def concentration(days: ir.Table, customers: ir.Table) -> ir.Table:
    """How much of revenue the largest customers bring, of all, and without companies (b2b).

    One row per scope and top of TOPS (in thousandths): the customers in it (rounded up) and their
    revenue, beside all of the scope; ``named`` counts those of whom a class is known. Customers
    without an order are left out, those without a class are no companies.
    """
    each = days.group_by("customer_id").aggregate(
        orders=days.orders.sum(), revenue=days.revenue.sum()
    )
    each = each.filter(each.orders > 0)
    known = customers.group_by("customer_id").aggregate(
        of_class=customers.customer_class.lower().min()
    )
    each = each.left_join(known, "customer_id").drop("customer_id_right")
    # Customers alike are a row, so that few are put in order.
    alike = each.group_by("revenue", "of_class").aggregate(n=each.count())
    parts = []
    for scope in ("all customers", "without companies"):
        chosen = alike if scope == "all customers" else alike.filter(
            alike.of_class.fill_null("") != "b2b"
        )  # fmt: skip
        order = ibis.cumulative_window(order_by=[chosen.revenue.desc(), chosen.of_class])
        ranked = chosen.mutate(
            above=whole(chosen.n).over(order) - chosen.n, size=whole(chosen.n).over()
        )
        ranked = ranked.mutate(thousandths=ibis.array(list(TOPS)).unnest())
        most = (ranked["size"] * ranked.thousandths + 999) // 1000
        ranked = ranked.mutate(inside=ibis.least(ibis.greatest(most - ranked.above, 0), ranked.n))
        found = ranked.group_by(thousandths=ranked.thousandths.cast("int64")).aggregate(
            customers=whole(ranked.inside),
            revenue=(ranked.inside * ranked.revenue).sum().fill_null(0),
            all_customers=whole(ranked.n),
            all_revenue=(ranked.n * ranked.revenue).sum().fill_null(0),
            named=whole(ranked.n, where=ranked.of_class.notnull()),
        )
        parts.append(found.mutate(scope=ibis.literal(scope)))
    return ibis.union(*parts, distinct=False)


def paid_ages(orders: ir.Table) -> ir.Table:
    """Cohorts by calendar-month age as most tools count: first paid order, refunds when paid out.

    ``customers`` have paid for an order (a sale line above zero); ``gross`` is what sale lines
    brought, ``refunds`` what went back in the month in which it did, whichever order it was for.
    From the month of the first paid order on.
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


def paid_moments(orders: ir.Table, scope: ir.Table) -> ir.Table:
    """One row: what most tools divide: paid orders, customers, money before and after refunds.

    A paid order has a sale line above zero; ``gross_revenue`` is that of all sale lines (a line
    below zero is a discount or a correction) of customers with one, ``gross_aov_total`` the sum
    over them of their own average (to a whole minor unit). ``every_customer``, ``every_order`` and
    ``net_revenue`` take in whoever is in the files: orders of nothing, and customers known from
    refunds only.
    """
    sold = orders.filter(~orders.is_refund)
    bought = sold.group_by("customer_id", "order_id").aggregate(
        is_paid=(sold.revenue > 0).any(), gross=whole(sold.revenue)
    )
    each = bought.group_by("customer_id").aggregate(
        paid_orders=bought.count(where=bought.is_paid), gross=whole(bought.gross)
    )
    each = each.filter(each.paid_orders > 0)
    own = (each.gross / each.paid_orders).round().cast("int64")
    found = each.aggregate(
        customers=each.count(), orders=each.paid_orders.sum().fill_null(0),
        gross_revenue=each.gross.sum().fill_null(0), gross_aov_total=own.sum().fill_null(0),
    )  # fmt: skip
    every = scope.select(every_customer="customers", every_order="orders", net_revenue="revenue")
    return found.cross_join(every)


def active_stock(days: ir.Table, *, window: int) -> ir.Table:
    """Months: customers active at the end, of them already at the start, and of them new.

    A customer is active for ``window`` days from a purchase, that day included. ``active`` counts
    those at the month's last day, ``kept`` those of them who were active at the end of the month
    before, ``new_active`` those whose first order falls in the month; the rest came back. From the
    first month with a line to the last, those between them without one, too.
    """
    months = every_month(days, month_number(days.day.min()), month_number(days.day.max()))
    months = months.select(start="month")
    ends = months.mutate(
        end=(months.start + ibis.interval(months=1) - ibis.interval(days=1)).cast("date")
    )
    bought = purchase_days(days)
    until = (bought.day + ibis.interval(days=window)).cast("date")
    steps = bought.select(
        "customer_id", "day", "cohort_day",
        until=ibis.least(until, bought.next_purchase.fill_null(until)),
    )  # fmt: skip
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
    opening = opens(seen, ibis.greatest(month_of(seen.day), seen.first))
    served = costs.aggregate(
        amount=costs.amount.sum().fill_null(0), contacts=costs.count(), first=costs.date.min()
    )
    orders = seen.aggregate(
        orders=seen.orders.sum().fill_null(0), order_cost=seen.order_cost.sum().fill_null(0),
        active_months=seen.count(where=opening),
    )  # fmt: skip
    return served.cross_join(orders)
