"""Refunds find their sale: by the order they name, by their own order id, or first in, first out.

A refund that names no order is matched within its customer and product, oldest sale first, by
cumulative quantity, and only to sales that came before it. What finds no sale is customer credit.
"""

import ibis
from ibis.expr import types as ir

from helpers import engines
from helpers.sources.typed import PLACE

_KEYS = ("customer_id", "product_id")
# Sums of units with decimals miss by less than this; what is smaller is no part of a refund.
_DUST = 1e-9


def concerned(con, refunds: ir.Table, sales: ir.Table) -> ir.Table:
    """Give the few sales that can have to do with these refunds, kept in the engine.

    Sales of an order that a refund names or stands in; and, where one names none, all sales of its
    customer and product.
    """
    ids = ibis.union(refunds.select(its="order_id"), refunds.select(its=refunds.refund_of))
    ids = ids.distinct()
    joined = sales.left_join(ids, sales.order_id == ids.its)
    unnamed = refunds.filter(refunds.refund_of.isnull())
    things = unnamed.select(whose=unnamed.customer_id, what=unnamed.product_id).distinct()
    same = [joined.customer_id == things.whose, joined.product_id == things.what]
    joined = joined.left_join(things, same)
    found = joined.filter(joined.its.notnull() | joined.whose.notnull()).select(sales.columns)
    return engines.kept(con, "sales_of_refunds", found)


def linked(
    refunds: ir.Table, sales: ir.Table, money: tuple[str, ...], *, at: str = "ordered_at"
) -> ir.Table:
    """Give refund lines with ``refund_of`` filled where a sale is found, and ``part``.

    ``sales`` needs order_id, customer_id, product_id, quantity, ordered_at and their place. A
    refund that covers several sales becomes several parts (1, 2, ...), whose quantities and
    amounts add up to it to the cent; the part that finds no sale comes last, ``refund_of`` missing.

    ``at`` names the column, of both tables, that says when the shop knew of a line: what a month
    makes of its refunds must not hang on refunds and sales that came to be known later.
    """
    own = ["order_id", "customer_id"]
    orders = sales.select(*own).distinct()
    by_name = [refunds.refund_of == orders.order_id, refunds.customer_id == orders.customer_id]
    one, none = ibis.literal(1, "int64"), ibis.null("string")
    named = refunds.semi_join(orders, by_name).mutate(part=one)
    # A sale that is named and not here lies outside the files: no other sale stands in for it.
    astray = refunds.filter(refunds.refund_of.notnull()).anti_join(
        refunds.semi_join(orders, by_name), PLACE
    )
    unnamed = refunds.filter(refunds.refund_of.isnull())
    same = unnamed.semi_join(orders, own)
    rest = unnamed.anti_join(orders, own)
    counted = (rest.product_id.notnull() & (rest.quantity.abs() > 1000 * _DUST)).fill_null(False)
    parts = _parts(rest.filter(counted), sales, money, at)
    found = (
        same.mutate(refund_of=same.order_id, part=one),
        astray.mutate(refund_of=none, part=one),
        rest.filter(~counted).mutate(part=one),
        parts,
    )
    return ibis.union(named, *(each.select(named.columns) for each in found))


def _parts(refunds: ir.Table, sales: ir.Table, money: tuple[str, ...], at: str) -> ir.Table:
    """Split refunds over the sales they are matched to, and what is left of them."""
    spans = _matched(refunds, sales, at)
    sold = _sold(sales, refunds, at)
    pairs = spans.inner_join(
        sold,
        [
            *(spans[key] == sold[f"sold_{key}"] for key in _KEYS),
            spans.matched_from < sold.sold_to,
            spans.matched_to > sold.sold_from,
        ],
    )
    low = ibis.greatest(pairs.matched_from, pairs.sold_from)
    units = ibis.least(pairs.matched_to, pairs.sold_to) - low
    found = pairs.select(*PLACE, sale=pairs.sold_order, since=low, units=units)
    found = found.filter(found.units > _DUST)
    credit = spans.mutate(units=spans.wanted - (spans.matched_to - spans.matched_from))
    credit = credit.filter(credit.units > _DUST).select(
        *PLACE, sale=ibis.null("string"), since=ibis.null("float64"), units=credit.units
    )
    shares = ibis.union(found, credit)
    order = [shares.since.isnull(), shares.since]
    window = ibis.window(group_by=[shares[name] for name in PLACE], order_by=order)
    shares = shares.mutate(
        part=ibis.row_number().over(window).cast("int64") + 1,
        upto=shares.units.sum().over(ibis.cumulative_window(
            group_by=[shares[name] for name in PLACE], order_by=order)),
    )  # fmt: skip
    # Where one part ends the next begins, to the last bit: cents between them are lost otherwise.
    window = ibis.window(group_by=[shares[name] for name in PLACE], order_by=shares.part)
    shares = shares.mutate(
        since=shares.upto.lag().over(window).fill_null(0.0),
        is_last=shares.part.lead().over(window).isnull(),
    )
    split = refunds.inner_join(shares, list(PLACE))
    whole, sign = split.quantity.abs(), split.quantity.sign()
    # Units with decimals may miss the whole by a rounding error; the last part takes what is left.
    high, low = ibis.ifelse(split.is_last, 1.0, split.upto / whole), split.since / whole

    def share(name: str) -> ir.Value:
        amount = split[name]
        return (amount * high).round().cast("int64") - (amount * low).round().cast("int64")

    return split.mutate(
        refund_of=split.sale, quantity=sign * split.units, **{name: share(name) for name in money}
    ).select(*refunds.columns, "part")


def _matched(refunds: ir.Table, sales: ir.Table, at: str) -> ir.Table:
    """Give each refund its span on the line of units sold: from, to, and the units it wanted.

    With S units sold up to refund k, and Q units given back by refunds 1 to k, the units that found
    a sale by then are Q + min(0, least S - Q so far): stock taken first in, first out, that cannot
    go below none.
    """
    sold = sales.filter(sales.quantity > 0).semi_join(refunds, list(_KEYS))
    events = ibis.union(
        sold.select(*_KEYS, *PLACE, at, sold=sold.quantity, wanted=ibis.literal(0.0)),
        refunds.select(*_KEYS, *PLACE, at, sold=ibis.literal(0.0), wanted=refunds.quantity.abs()),
    )
    keys = [events[key] for key in _KEYS]
    order = [events[at], events.wanted > 0, *(events[name] for name in PLACE)]
    upto = ibis.cumulative_window(group_by=keys, order_by=order)
    events = events.mutate(stock=events.sold.sum().over(upto), asked=events.wanted.sum().over(upto))
    asking = events.filter(events.wanted > 0)
    asking = asking.mutate(room=asking.stock - asking.asked)
    keys = [asking[key] for key in _KEYS]
    order = [asking[at], *(asking[name] for name in PLACE)]
    upto = ibis.cumulative_window(group_by=keys, order_by=order)
    asking = asking.mutate(matched_to=asking.asked + ibis.least(asking.room.min().over(upto), 0.0))
    keys = [asking[key] for key in _KEYS]
    order = [asking[at], *(asking[name] for name in PLACE)]
    before = ibis.window(group_by=keys, order_by=order)
    return asking.mutate(matched_from=asking.matched_to.lag().over(before).fill_null(0.0))


def _sold(sales: ir.Table, refunds: ir.Table, at: str) -> ir.Table:
    """Lay the sales of a customer and product end to end, in units: from, to, and the order."""
    sold = sales.filter(sales.quantity > 0).semi_join(refunds, list(_KEYS))
    keys = [sold[key] for key in _KEYS]
    order = [sold[at], *(sold[name] for name in PLACE)]
    upto = sold.quantity.sum().over(ibis.cumulative_window(group_by=keys, order_by=order))
    return sold.select(
        **{f"sold_{key}": sold[key] for key in _KEYS},
        sold_order=sold.order_id,
        sold_to=upto,
        sold_from=upto - sold.quantity,
    )
