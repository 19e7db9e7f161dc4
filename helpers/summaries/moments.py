"""Small summaries of customers and of days that other ways of counting are held against."""

from ibis.expr import types as ir

from helpers.summaries.arithmetic import month_of, whole


def customer_moments(days: ir.Table, pairs: ir.Table) -> ir.Table:
    """One row: customers with an order, their orders and revenue, and what a typical one brought.

    ``aov_total`` is the sum over customers of their own average order value (to a whole minor
    unit), ``median_revenue`` the revenue of the customer in the middle (of two, their mean);
    ``active_months`` counts the months in which customers ordered, and ``followed_months`` those of
    them that the same customer ordered in again a month later (from `month_pairs`). Both leave out
    the last month with an order, which nothing can follow yet.
    """
    every = days.group_by("customer_id").aggregate(
        orders=days.orders.sum(), revenue=days.revenue.sum()
    )
    every = every.filter(every.orders > 0)
    each = (every.revenue / every.orders).round().cast("int64")
    found = every.aggregate(
        customers=every.count(), orders=every.orders.sum().fill_null(0),
        revenue=every.revenue.sum().fill_null(0), aov_total=each.sum().fill_null(0),
        median_revenue=every.revenue.median().cast("float64"),
    )  # fmt: skip
    number = (pairs.month.year() - pairs.previous.year()) * 12 + (
        pairs.month.month() - pairs.previous.month()
    )
    pairs = pairs.mutate(again=(number == 1).fill_null(False), last=pairs.month.max().over())
    pairs = pairs.aggregate(
        active_months=whole(pairs.customers, where=pairs.month < pairs["last"]),
        followed_months=whole(pairs.customers, where=pairs.again),
    )
    return found.cross_join(pairs)


def cash_months(orders: ir.Table) -> ir.Table:
    """Months: revenue of the sales placed in it, and refunds of the day the money went back.

    A refund without a day of its own went back on that of its row.
    """
    rows = orders.mutate(start=month_of(orders.event_date))
    return rows.group_by("start").aggregate(
        sales=rows.revenue.sum(where=~rows.is_refund).fill_null(0),
        refunds=-rows.revenue.sum(where=rows.is_refund).fill_null(0),
    )


def utc_months(orders: ir.Table) -> ir.Table:
    """One row: sale lines, and those that fall in another day or month by UTC than by local time.

    ``ordered_at`` is kept in UTC, ``order_date`` is the shop's. ``moved_revenue`` is the revenue of
    lines that change months.
    """
    sales = orders.filter(~orders.is_refund)
    utc = sales.ordered_at.date()
    other_month = month_of(utc) != month_of(sales.order_date)
    return sales.aggregate(
        rows=sales.count(), revenue=sales.revenue.sum().fill_null(0),
        moved_days=sales.count(where=utc != sales.order_date),
        moved_months=sales.count(where=other_month),
        moved_revenue=sales.revenue.sum(where=other_month).fill_null(0),
    )  # fmt: skip
