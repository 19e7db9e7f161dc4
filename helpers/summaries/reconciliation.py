"""What the shop sold against what billing was paid: order by order, and why they differ.

An order and its refunds are one entry, whatever id the refund carries: an id without a sale of its
own stands for the order that it refunds. The shop's side is revenue plus tax plus shipping charged;
billing's side is what was settled. Orders that cleaning set aside are known here by their id, so
that their payments are not taken for money without an order.
"""

import ibis
from ibis.expr import types as ir

UNSETTLED = (
    "failed", "declined", "refused", "rejected", "canceled", "cancelled", "void", "voided",
    "expired", "pending", "authorized", "incomplete", "uncaptured", "requires_action",
    "requires_capture", "requires_payment_method",
)  # fmt: skip
TEST = ("test", "sandbox")
# A share or an amount that so many orders have in common is a rule, not a mistake.
COMMON_ORDERS, COMMON_SHARE = 20, 0.1


def reconciliation(
    orders: ir.Table,
    later_orders: ir.Table,
    payments: ir.Table,
    later_payments: ir.Table,
    orders_aside: ir.Table,
    payments_aside: ir.Table,
    *,
    tolerance: float = 0.005,
) -> ir.Table:
    """Day by currency, status and reason: orders, and the money of either side.

    ``status`` is matched, only_left (an order without a payment), only_right (a payment without an
    order) or amount_differs; ``reason`` says why (`helpers.chapters.reconciliation_tables` has the
    meaning of each). ``order_money`` stands on the day of the sale or refund, ``paid_money`` on
    billing's own day, and ``paid_for_day`` is the same money on the day of the order it pays for,
    so that delay between the two is no gap. ``tolerance`` is the share of an order's money within
    which a difference counts as small.
    """
    links = _links(orders, later_orders)
    lines = _rooted(orders, links).mutate(
        charged=lambda t: t.revenue + t.tax.fill_null(0) + t.shipping_charged.fill_null(0)
    )
    payments, later_payments = _signed(payments), _signed(later_payments)
    status = payments.status.lower().fill_null("")
    settled = _rooted(payments.filter(status.notin((*UNSETTLED, *TEST))), links)
    left, right = _left(lines), _right(settled)
    roots = ibis.union(left.select("root"), right.select("root"), distinct=True)
    extras = (
        left,
        right,
        _unsettled(_rooted(payments.filter(status.isin((*UNSETTLED, *TEST))), links)),
        _later(_rooted(later_orders, links), _rooted(later_payments, links)),
        _aside(_rooted(orders_aside, links), "order"),
        _aside(_rooted(payments_aside, links), "payment"),
    )
    entries = roots
    for other in extras:
        entries = entries.left_join(other, "root").drop("root_right")
    entries = entries.cross_join(orders.aggregate(files_begin=orders.order_date.min()))
    entries = _compared(entries)
    entries = entries.left_join(_usual_extras(entries), "root").drop("root_right")
    judged = entries.mutate(reason=_reason(entries, tolerance)).select(
        "root", "status", "reason", "order_day", "refund_day", "paid_day",
        currency=ibis.coalesce(entries.order_currency, entries.paid_currency),
    )  # fmt: skip
    return _by_day(judged, lines, settled)


def _links(orders: ir.Table, later: ir.Table) -> ir.Table:
    """Ids of order rows, and the order each stands for."""
    keys = ("order_id", "is_refund", "refund_of")
    every = ibis.union(orders.select(*keys), later.select(*keys), distinct=False)
    found = every.group_by("order_id").aggregate(
        sells=(~every.is_refund).any(), refund_of=every.refund_of.min()
    )
    return found.select(
        id="order_id",
        stands_for=ibis.ifelse(
            found.sells, found.order_id, found.refund_of.fill_null(found.order_id)
        ),
    )


def _rooted(rows: ir.Table, links: ir.Table) -> ir.Table:
    """Add ``root``, the order a row belongs to; a payment without an order is its own."""
    own = rows.order_id
    if "payment_id" in rows.columns:
        own = own.fill_null(ibis.literal("payment ") + rows.payment_id)
    rows = rows.mutate(own=own)
    joined = rows.left_join(links, rows.own == links.id)
    return joined.mutate(root=joined.stands_for.fill_null(joined.own)).drop(
        "own", "id", "stands_for"
    )


def _signed(payments: ir.Table) -> ir.Table:
    """Take a refund for money that went back, also where its amount has no minus."""
    back = (payments.kind.lower() == "refund").fill_null(False)
    return payments.mutate(amount=ibis.ifelse(back, -payments.amount.abs(), payments.amount))


def _left(lines: ir.Table) -> ir.Table:
    sale = ~lines.is_refund
    return lines.group_by("root").aggregate(
        sold=lines.charged.sum(where=sale).fill_null(0),
        refunded=lines.charged.sum(where=~sale).fill_null(0),
        tax=lines.tax.sum(where=sale),
        shipping=lines.shipping_charged.sum(where=sale),
        order_day=lines.event_date.min(where=sale),
        refund_day=lines.event_date.min(where=~sale),
        order_currency=lines.currency.upper().max(),
        order_is_test=lines.status.lower().isin(TEST).fill_null(False).any(),
    )


def _right(settled: ir.Table) -> ir.Table:
    came = settled.amount > 0
    return settled.group_by("root").aggregate(
        paid=settled.amount.sum(where=came).fill_null(0),
        returned=settled.amount.sum(where=settled.amount < 0).fill_null(0),
        times=settled.count(where=came),
        least=settled.amount.min(where=came),
        most=settled.amount.max(where=came),
        paid_day=settled.paid_date.min(),
        names_order=settled.order_id.notnull().any(),
        paid_currency=settled.currency.upper().max(),
    )


def _unsettled(rows: ir.Table) -> ir.Table:
    tests = rows.status.lower().isin(TEST)
    return rows.group_by("root").aggregate(tests=tests.any(), unsettled=(~tests).any())


def _later(orders: ir.Table, payments: ir.Table) -> ir.Table:
    """What either side learned after the month, by order."""
    zero = ibis.literal(0, "int64")
    charged = orders.revenue + orders.tax.fill_null(0) + orders.shipping_charged.fill_null(0)
    both = ibis.union(
        orders.select("root", later_order=charged.cast("int64"), later_payment=zero),
        payments.select("root", later_order=zero, later_payment=payments.amount.cast("int64")),
        distinct=False,
    )
    return both.group_by("root").aggregate(
        later_order=both.later_order.sum(), later_payment=both.later_payment.sum()
    )


def _aside(rows: ir.Table, side: str) -> ir.Table:
    """What cleaning set aside of an order: whether for its currency, and its money."""
    return rows.group_by("root").aggregate(
        **{
            f"{side}_aside": rows.amount.sum().fill_null(0),
            f"{side}_foreign": rows.reason.contains("currency").any(),
        }
    )


def _compared(entries: ir.Table) -> ir.Table:
    """Add the status of every order, its difference, and what is still missing as zero."""
    zeros = ("sold", "refunded", "paid", "returned", "later_order", "later_payment")
    no_order, nothing_paid = entries.order_is_test.isnull(), entries.times.isnull()
    filled = entries.mutate(
        no_order=no_order, **{name: entries[name].fill_null(0) for name in zeros}
    )
    nothing_paid = nothing_paid | ((filled.paid == 0) & (filled.returned == 0))
    same = (filled.sold == filled.paid) & (filled.refunded == filled.returned)
    status = ibis.cases(
        (~filled.no_order & same, "matched"),
        (filled.no_order, "only_right"),
        (nothing_paid, "only_left"),
        else_="amount_differs",
    )
    more = filled.paid + filled.returned - filled.sold - filled.refunded
    return filled.mutate(status=status, more=more)


def _usual_extras(entries: ir.Table) -> ir.Table:
    """Orders paid above their revenue by what many others are: tax or shipping not in the files.

    The order knows no tax or no shipping, and either billing / shop, to a thousandth, or the
    difference itself is shared by at least 20 orders and a tenth of those with both sides.
    """
    both = entries.filter((entries.sold > 0) & (entries.paid > 0))
    number = both.aggregate(every=both.count())
    above = both.filter((both.paid > both.sold) & (both.tax.isnull() | both.shipping.isnull()))
    above = above.select(
        "root", "sold", "paid", gap=above.paid - above.sold,
        ratio=(above.paid * 1000 / above.sold).round().cast("int64"),
    )  # fmt: skip

    def common(column: str) -> ir.Table:
        found = above.group_by(column).aggregate(n=above.count()).cross_join(number)
        enough = (found.n >= COMMON_ORDERS) & (found.n >= found.every * COMMON_SHARE)
        return found.filter(enough).select(usual=column)

    ratios, gaps = above.cross_join(common("ratio")), above.join(common("gap"), [("gap", "usual")])
    # Half of the last digit of the share, and a cent of rounding.
    off = (ratios.paid * 1000 - ratios.sold * ratios.usual).abs()
    near = ratios.filter(off * 2 <= ratios.sold + 2000).select("root")
    found = ibis.union(near, gaps.select("root"), distinct=True)
    return found.select("root", usual_extra=ibis.literal(True))


def _reason(e: ir.Table, tolerance: float) -> ir.Column:
    """Say why an order is where it is; the first reason that fits decides."""
    off = e.paid_day.delta(e.order_day, unit="day")
    twice = e.times.fill_null(0) > 1
    later = (e.later_payment != 0) | (e.later_order != 0)
    foreign = (e.order_currency != e.paid_currency).fill_null(False)
    without = [e.sold - e.tax.fill_null(0), e.sold - e.shipping.fill_null(0),
               e.sold - e.tax.fill_null(0) - e.shipping.fill_null(0)]  # fmt: skip
    without_extras = (e.paid == without[0]) | (e.paid == without[1]) | (e.paid == without[2])
    has = {name: e[name].fill_null(False) for name in ("order_foreign", "payment_foreign", "tests",
           "unsettled", "usual_extra", "order_is_test", "names_order")}  # fmt: skip
    of_status = {
        "matched": [
            (e.times.fill_null(0) == 0, "nothing_to_pay"),
            ((off == 1) | (off == -1), "midnight"),
            (off.notnull() & (off != 0), "another_day"),
            (ibis.literal(True), "same_day"),
        ],
        "only_left": [
            (has["order_is_test"] | has["tests"], "test"),
            (has["payment_foreign"], "currency"),
            (e.payment_aside.notnull(), "set_aside"),
            (e.later_payment != 0, "known_after_the_month"),
            (has["unsettled"], "not_settled"),
            (e.sold == 0, "refund_timing"),
            (ibis.literal(True), "missing_payment"),
        ],
        "only_right": [
            (has["order_foreign"], "currency"),
            (e.order_aside.notnull(), "set_aside"),
            (e.later_order != 0, "known_after_the_month"),
            (~has["names_order"], "no_order_id"),
            (e.paid_day < e.files_begin, "before_the_files"),
            (ibis.literal(True), "unknown_order"),
        ],
        "amount_differs": [
            (foreign | has["payment_foreign"] | has["order_foreign"], "currency"),
            (e.sold == e.paid, "refund_timing"),
            (twice & (e.least == e.most) & (e.paid == e.sold * e.times), "duplicate_payment"),
            (e.more == 0, "netted"),
            (later & (e.more + e.later_payment == e.later_order), "known_after_the_month"),
            (e.order_aside.notnull() & (e.more == e.order_aside), "set_aside"),
            (e.payment_aside.notnull() & (e.more + e.payment_aside == 0), "set_aside"),
            (e.more.abs() <= e.sold * tolerance, "small"),
            (without_extras | has["usual_extra"], "tax_or_shipping"),
            (ibis.literal(True), "wrong_amount"),
        ],
    }
    branches = [
        ((e.status == status) & test, reason)
        for status, tests in of_status.items()
        for test, reason in tests
    ]
    return ibis.cases(*branches)


def _by_day(judged: ir.Table, lines: ir.Table, settled: ir.Table) -> ir.Table:
    """Lay orders and money of either side on days, and add up."""
    zero = ibis.literal(0, "int64")
    nothing = dict.fromkeys(("orders", "order_money", "paid_money", "paid_for_day"), zero)
    kept = ("currency", "status", "reason")

    def part(rows: ir.Table, day: ir.Column, **amount: ir.Column) -> ir.Table:
        amounts = {name: value.cast("int64") for name, value in (nothing | amount).items()}
        return rows.select(*kept, day=day, **amounts)

    sold = lines.select("root", "event_date", "charged").join(judged, "root")
    paid = settled.select("root", "paid_date", "amount").join(judged, "root")
    for_day = ibis.ifelse(
        paid.amount > 0, paid.order_day, paid.refund_day.fill_null(paid.order_day)
    )
    first = ibis.coalesce(judged.order_day, judged.refund_day, judged.paid_day)
    rows = ibis.union(
        part(judged, first, orders=ibis.literal(1, "int64")),
        part(sold, sold.event_date, order_money=sold.charged),
        part(paid, paid.paid_date, paid_money=paid.amount),
        part(paid, for_day.fill_null(paid.paid_date), paid_for_day=paid.amount),
        distinct=False,
    )
    return rows.group_by("day", *kept).aggregate(**{name: rows[name].sum() for name in nothing})
