"""Carry out the rules: source files to clean tables, a quarantine, and counts that balance.

`make` is called by `helpers.cleaning.store`, once per state of the inputs. Order lines are looked
at a few times, each time only in the columns it takes: facts of the whole table, the marks that
several rows show together, then one pass that writes what stays and one that writes what does not.
"""

from pathlib import Path

import ibis
from ibis.expr import types as ir

from helpers import engines
from helpers.cleaning import facts, loading, marks, quarantine, refunds, rules, tally
from helpers.cleaning.facts import Facts
from helpers.contract.shop import Shop
from helpers.contract.tables import TABLES
from helpers.errors import DataError
from helpers.persons import keys as persons
from helpers.persons import scrub
from helpers.sources import typed as sources
from helpers.sources.typed import PLACE


def make(con, shop: Shop, stage: Path, scratch: Path) -> dict[str, dict]:
    """Clean every table of the shop into the folder ``stage``; give what was found, by table.

    ``scratch`` takes copies of the shop's files; whoever made that folder deletes it.
    """
    first = [name for name in ("fx_rates",) if name in shop.sources]
    names = [*first, *(name for name in shop.sources if name not in first)]
    found = {
        name: _orders(con, shop, stage, scratch)
        if name == "orders"
        else _other(con, shop, name, stage, scratch)
        for name in names
    }
    return {name: found[name] for name in shop.sources}


def _orders(con, shop: Shop, stage: Path, scratch: Path) -> dict:
    parts, counted = loading.read(con, shop, "orders", scratch)
    within = _composites(shop, "orders")

    def opened(parts: list[loading.Part]) -> ir.Table:
        rows = loading.converted(con, loading.together(parts), "orders", shop, stage)
        rows = persons.suppressed(con, prepared(rows, shop), shop, within=within)
        return scrub.scrubbed(con, rows, shop)

    are_few = loading.are_few(parts)
    step = engines.kept if are_few else engines.named
    rows = step(con, "orders_opened", opened(parts))
    known = facts.look(rows, "orders")
    if not known.rows:
        raise DataError(
            f"{shop.name}: {', '.join(shop.names('orders'))} has a header and no rows; there are "
            "no orders to report on."
        )
    context = facts.context(shop, known)
    people = engines.kept(con, "orders_people", marks.people(rows))
    found = _marks(con, rows, people, known)
    names = persons.pseudonyms(con, shop, people)

    def judged(rows: ir.Table) -> ir.Table:
        rows = marks.marked(rows, {name: found.get(name) for name in _OUT})
        return rows.mutate(reason=rules.reason(rows, "orders", context))

    def pseudonymized(table: ir.Table) -> ir.Table:
        return persons.pseudonymized(con, table, shop, names=names, within=within)

    rows = step(con, "orders_judged", judged(rows))
    sales = rows.filter(rows.reason.isnull() & ~rows.is_refund)
    sales = finished_orders(pseudonymized(sales.mutate(part=ibis.literal(1, "int64"))), shop)
    sales = sales.select(_columns_of_sales(known))
    # In the order of the files, which the engine keeps: to sort it would cost as much as to write.
    path = stage / "orders.parquet"
    engines.write(con, sales, path)
    apart = rows.reason.notnull() | rows.is_refund
    if are_few:
        few = engines.kept(con, "orders_few", rows.filter(apart))
    else:
        # Found by their places first: few rows then go through everything a row can be asked.
        places = engines.kept(con, "orders_apart", rows.filter(apart).select(PLACE))
        parts = [part.only(con, places) for part in parts]
        few = engines.kept(con, "orders_few", judged(opened(parts)))
    lines = marks.lines_per_customer(people, few.filter(few.reason.notnull())).execute()
    few = engines.kept(con, "orders_apart_named", pseudonymized(few))
    aside, back = few.filter(few.reason.notnull()), few.filter(few.reason.isnull())
    taken, returned = (bool(each.count().execute()) for each in (aside, back))
    sold, linked = _linked(con, back, engines.read(con, path), returned)
    back = finished_orders(linked, shop).select(ORDER_COLUMNS)
    engines.write(con, back, stage / "orders_refunds.parquet", (*PLACE, "part"))
    examples = quarantine.write(con, shop, "orders", aside, parts, within, stage) if taken else {}
    clean = sources.clean_table(con, stage, "orders")
    info = tally.counts(shop, "orders", known, clean, aside if taken else None, examples)
    tally.check_usable(shop, info)
    info |= tally.order_facts(clean, context, lines)
    info["flags"] = tally.flags(clean, sold, rows, context, known, found, lines) | counted
    return info


def _other(con, shop: Shop, name: str, stage: Path, scratch: Path) -> dict:
    parts, _ = loading.read(con, shop, name, scratch)
    within = _composites(shop, name)
    rows = loading.converted(con, loading.together(parts), name, shop, stage)
    rows = persons.suppressed(con, rows, shop, within=within)
    step = engines.kept if loading.are_few(parts) else engines.named
    rows = step(con, f"{name}_opened", scrub.scrubbed(con, rows, shop))
    known = facts.look(rows, name)
    if name == "payments":
        again = marks.payments_again(rows) if len(shop.names(name)) > 1 else None
        rows = marks.marked(rows, {"in_later_file": again})
    rows = rows.mutate(reason=rules.reason(rows, name, facts.context(shop, known)))
    rows = persons.pseudonymized(con, rows, shop, within=within)
    columns = (*sources.clean_schema(name), *PLACE)
    clean = rows.filter(rows.reason.isnull()).select(columns)
    engines.write(con, clean, stage / f"{name}.parquet", (*TABLES[name].required, *PLACE))
    clean = engines.read(con, stage / f"{name}.parquet")
    aside, examples = None, {}
    if clean.count().execute() < known.rows:
        aside = engines.kept(con, f"{name}_aside", rows.filter(rows.reason.notnull()))
        examples = quarantine.write(con, shop, name, aside, parts, within, stage)
    info = tally.counts(shop, name, known, clean, aside, examples)
    return info | {"flags": {"unreadable_value": known.unreadable}}


# What linking refunds asks of a sale, beside what every sale has.
_OF_STOCK = {"product_id": "string", "quantity": "float64", "known_at": "timestamp"}


def _linked(con, back: ir.Table, sales: ir.Table, returned: bool) -> tuple[ir.Table, ir.Table]:
    """Give the sales concerned, and the refund lines with the sales they are found to be of."""
    if not returned:
        return sales.limit(0), back.mutate(part=ibis.literal(1, "int64"))
    sold = _concerned(con, back, sales)
    return sold, refunds.linked(_with_known_since(back), sold, AMOUNTS, at="known_since")


def _concerned(con, back: ir.Table, sold: ir.Table) -> ir.Table:
    """Keep the sales that these refunds can have to do with, and what linking asks of them."""
    lacking = {name: kind for name, kind in _OF_STOCK.items() if name not in sold.columns}
    sold = sold.mutate(**{name: ibis.null(kind) for name, kind in lacking.items()})
    sold = _with_known_since(sold.mutate(refunded_at=ibis.null("timestamp")))
    asked = ("order_id", "customer_id", "product_id", "quantity", "revenue", "known_since")
    return refunds.concerned(con, back, sold.select(*PLACE, *asked))


def _with_known_since(rows: ir.Table) -> ir.Table:
    """Say when the shop knew of a line: when it happened, or later where ``known_at`` says so."""
    at = rows.refunded_at.fill_null(rows.ordered_at)
    return rows.mutate(known_since=ibis.greatest(at, rows.known_at.fill_null(at)))


def _composites(shop: Shop, name: str) -> tuple[str, ...]:
    """Name the columns of a table in which a person's id is one part of several."""
    found = (each for source in shop.sources[name] for each in persons.composites(shop, source))
    return tuple(dict.fromkeys(found))


def prepared(rows: ir.Table, shop: Shop) -> ir.Table:
    """Say of every order line whether it is a refund, and what it is if no product."""
    below = (rows.revenue < 0).fill_null(False)
    return rows.mutate(is_refund=rows.is_refund.fill_null(below), line_kind=_line_kind(rows, shop))


def _line_kind(rows: ir.Table, shop: Shop) -> ir.StringColumn:
    """Give what a line is that is no product, by its code; missing for a product."""
    by_kind: dict[str, list[str]] = {}
    for code, kind in shop.non_products.codes.items():
        by_kind.setdefault(kind, []).append(code)
    found = [(rows.product_id.isin(codes), kind) for kind, codes in sorted(by_kind.items())]
    return ibis.cases(*found) if found else ibis.null("string")


# Marks that a rule takes a line out for; the others are only counted.
_OUT = ("in_later_file", "is_copy")


def _marks(con, rows: ir.Table, people: ir.Table, known: Facts) -> dict[str, ir.Table]:
    """Find what several rows show together, as small engine tables; absent where there is none."""
    narrow = _narrow(rows, known)
    line = marks.line_key(known.filled)
    odd = _stored(con, "orders_odd", marks.odd_orders(rows, line))
    found = {"is_case_twin": marks.case_twins(rows, people)}
    if odd is not None:
        twice = _stored(con, "orders_twice", marks.same_lines(rows, odd, line))
        if twice is not None:
            found["is_copy"] = marks.copies(narrow, twice)
            if "line_id" in known.filled:
                found["is_key_twice"] = marks.same_keys(narrow, twice)
        found["is_of_two"] = marks.of_two_customers(rows, odd)
        found["in_later_file"], found["in_two_files"] = marks.overlaps(rows, odd)
    stored = {name: _stored(con, f"mark_{name}", table) for name, table in found.items()}
    return {name: table for name, table in stored.items() if table is not None}


def _stored(con, name: str, table: ir.Table) -> ir.Table | None:
    """Keep a small table in the engine for the time of cleaning; None if it has no rows."""
    stored = engines.kept(con, name, table)
    return stored if stored.count().execute() else None


def _narrow(rows: ir.Table, known: Facts) -> ir.Table:
    """Leave out columns that are empty all through: they make no two lines differ."""
    derived = [name for name in rows.columns if name not in _CANONICAL]
    return rows.select([name for name in rows.columns if name in known.filled or name in derived])


_CANONICAL = [column.name for column in TABLES["orders"].columns]
# Money that is divided when a refund is; the price of one unit is the same for every part.
AMOUNTS = tuple(
    column.name
    for column in TABLES["orders"].columns
    if column.type == "money" and column.name != "unit_price"
)
ORDER_COLUMNS = (
    *(name for name in sources.clean_schema("orders") if name != "person"),
    "line_kind", "event_date", "cost", "order_cost", "margin", *PLACE, "part",
)  # fmt: skip


_OPTIONAL = {*_CANONICAL} - {*TABLES["orders"].required, "is_refund"}


def _columns_of_sales(known: Facts) -> list[str]:
    """Name the columns of sales that hold anything; what only refunds have is in their own file."""
    empty = {name for name in _OPTIONAL if name not in known.filled}
    empty |= {"refund_of", "refunded_at"}
    empty |= {sources.day_name(name) for name in empty if name.endswith("_at")}
    return [name for name in ORDER_COLUMNS if name not in empty]


def finished_orders(table: ir.Table, shop: Shop) -> ir.Table:
    """Fill what the contract derives for order lines: the day of the event, cost and margin.

    ``event_date`` is the local day on which the shop knew of the line: the refund's day for a
    refund, the order's day for a sale. ``margin`` (contribution margin: revenue less cogs,
    shipping and payment fees) is missing where cogs is missing; a cost column that the shop does
    not have is left out of its margin. ``order_cost`` is the part of that cost which an order
    causes whatever its value: shipping and fees.
    """
    refund_day = table.refunded_date.fill_null(table.order_date)
    extra = table.shipping_cost.fill_null(0) + table.payment_fee.fill_null(0)
    unknown = ibis.null("int64")
    cost = {
        "costs": table.cogs + extra,
        "rate": table.revenue - (table.revenue * (shop.margin.rate or 0)).round().cast("int64"),
        "none": unknown,
    }[shop.margin.rule]
    by_order = {"costs": extra, "rate": extra * 0, "none": unknown}[shop.margin.rule]
    return table.mutate(
        event_date=ibis.ifelse(table.is_refund, refund_day, table.order_date),
        cost=cost,
        order_cost=by_order,
        margin=table.revenue - cost,
    )
