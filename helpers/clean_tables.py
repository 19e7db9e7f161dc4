"""Carry out the rules: source files to clean tables, a quarantine, and counts that balance.

`make` is called by `helpers.cleaning`, once per state of the inputs. Order lines are looked at a
few times, each time only in the columns it takes: facts of the whole table, the marks that several
rows show together, then one pass that writes what stays and one that writes what does not.
"""

from pathlib import Path

import ibis
from ibis.expr import types as ir

from helpers import facts, marks, persons, quarantine, refunds, rules, sources, tally
from helpers.errors import DataError
from helpers.facts import Facts
from helpers.marks import PLACE
from helpers.shop import Shop
from helpers.tables import TABLES

# A rate of exchange holds for so many days, unless a newer one comes.
RATE_DAYS = 45


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
    rows, raws, counted = _read(con, shop, "orders", scratch)
    within = _composites(shop, "orders")
    rows = prepared(_converted(con, rows, "orders", shop, stage), shop)
    rows = persons.suppressed(con, rows, shop, within=within)
    known = facts.look(rows, "orders")
    if not known.rows:
        raise DataError(
            f"{shop.name}: {_names(shop, 'orders')} has a header and no rows; there are no orders "
            "to report on."
        )
    context = facts.context(shop, known)
    people = con.create_table("orders_people", persons.ids(rows), temp=True)
    found = _marks(con, rows, people, known)
    names = persons.pseudonyms(con, shop, people)

    def pseudonymized(table: ir.Table) -> ir.Table:
        return persons.pseudonymized(con, table, shop, names=names, within=within)

    rows = marks.marked(rows, {name: found.get(name) for name in _OUT})
    rows = rows.mutate(reason=rules.reason(rows, "orders", context))
    sales = rows.filter(rows.reason.isnull() & ~rows.is_refund)
    sales = sales.mutate(refund_of=ibis.null("string"), part=ibis.literal(1, "int64"))
    sales = finished_orders(pseudonymized(sales), shop)
    # In the order of the files, which the engine keeps: to sort it would cost as much as to write.
    con.to_parquet(sales.select(ORDER_COLUMNS), str(stage / "orders.parquet"))
    # Found by their places first: few rows then go through everything a row can be asked.
    places = rows.filter(rows.reason.notnull() | rows.is_refund).select(PLACE)
    places = con.create_table("orders_apart", places, temp=True)
    few = con.create_table("orders_raw_few", rows.semi_join(places, PLACE), temp=True)
    few = con.create_table("orders_few", pseudonymized(few), temp=True)
    aside = few.filter(few.reason.notnull())
    taken = bool(aside.count().execute())
    sold = con.read_parquet(str(stage / "orders.parquet"))
    given_back = few.filter(few.reason.isnull())
    given_back = given_back.mutate(known_since=_known_since(given_back, given_back.refunded_at))
    sold = sold.mutate(known_since=_known_since(sold, sold.ordered_at))
    back = refunds.linked(given_back, sold, AMOUNTS, at="known_since")
    back = finished_orders(back, shop).select(ORDER_COLUMNS)
    _write(con, back, stage / "orders_refunds.parquet", (*PLACE, "part"))
    examples = quarantine.write(con, shop, "orders", aside, raws, within, stage) if taken else {}
    clean = con.read_parquet([str(stage / f"orders{each}.parquet") for each in ("", "_refunds")])
    info = tally.counts(shop, "orders", known, clean, aside if taken else None, examples)
    tally.check_usable(shop, info)
    lines = marks.lines_per_customer(clean).execute()
    info |= tally.order_facts(clean, context, lines)
    info["flags"] = tally.flags(clean, rows, context, known, found, lines) | counted
    return info


def _other(con, shop: Shop, name: str, stage: Path, scratch: Path) -> dict:
    rows, raws, _ = _read(con, shop, name, scratch)
    within = _composites(shop, name)
    rows = _converted(con, rows, name, shop, stage)
    rows = persons.suppressed(con, rows, shop, within=within)
    known = facts.look(rows, name)
    if name == "payments":
        again = marks.payments_again(rows) if len(shop.files(name)) > 1 else None
        rows = marks.marked(rows, {"in_later_file": again})
    rows = rows.mutate(reason=rules.reason(rows, name, facts.context(shop, known)))
    rows = persons.pseudonymized(con, rows, shop, within=within)
    columns = (*sources.clean_schema(name), *PLACE)
    clean = rows.filter(rows.reason.isnull()).select(columns)
    _write(con, clean, stage / f"{name}.parquet", (*TABLES[name].required, *PLACE))
    clean = con.read_parquet(str(stage / f"{name}.parquet"))
    aside, examples = None, {}
    if clean.count().execute() < known.rows:
        aside = con.create_table(f"{name}_aside", rows.filter(rows.reason.notnull()), temp=True)
        examples = quarantine.write(con, shop, name, aside, raws, within, stage)
    info = tally.counts(shop, name, known, clean, aside, examples)
    return info | {"flags": {"unreadable_value": known.unreadable}}


def _known_since(rows: ir.Table, happened: ir.TimestampColumn) -> ir.TimestampColumn:
    """Say when the shop knew of a line: when it happened, or later where ``known_at`` says so."""
    at = happened.fill_null(rows.ordered_at)
    return ibis.greatest(at, rows.known_at.fill_null(at))


def _composites(shop: Shop, name: str) -> tuple[str, ...]:
    """Name the columns of a table in which a person's id is one part of several."""
    found = (each for source in shop.sources[name] for each in persons.composites(shop, source))
    return tuple(dict.fromkeys(found))


def prepared(rows: ir.Table, shop: Shop) -> ir.Table:
    """Say of every order line whether it is a refund, and what it is if no product."""
    below = (rows.revenue < 0).fill_null(False)
    return rows.mutate(is_refund=rows.is_refund.fill_null(below), line_kind=_line_kind(rows, shop))


def _read(con, shop: Shop, name: str, scratch: Path) -> tuple[ir.Table, list, dict[str, int]]:
    """Read all sources of a table, typed and placed in time, one below the other.

    Text is read once: what it says goes to Parquet, and everything after works on that. Also gives
    the raw tables with their sources, and counts of what only the written values show.
    """
    parts, raws, counted = [], [], {}
    for number, source in enumerate(shop.sources[name]):
        raw = sources.read(con, shop, source, scratch)
        in_place = not source.query and all(map(_is_parquet, shop.source_files(source)))
        plain = sources.plain_ids(raw, source) if in_place else frozenset()
        typed = sources.typed(raw, source, shop, plain=plain)
        if not in_place:
            path = scratch / f"{name}_typed_{number}.parquet"
            with sources.readable(shop.name, name):
                con.to_parquet(typed, str(path))
            typed = con.read_parquet(str(path))
        first, last = _years(typed, name)
        if name == "orders":
            seen = sources.clock_flags(typed, source, shop, first=first, last=last)
            seen["id_mended"] = typed.mended == 1
            for key, number_seen in tally.sums(typed, seen).items():
                counted[key] = counted.get(key, 0) + number_seen
        raws.append((raw, source))
        placed = sources.placed(typed, source, shop, first=first, last=last)
        parts.append(placed.drop("mended"))
    return (ibis.union(*parts) if len(parts) > 1 else parts[0]), raws, counted


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in (".parquet", ".pq")


def _years(table: ir.Table, name: str) -> tuple[int, int]:
    """Give the first and last year for which the clock's changes are looked up.

    The unbroken run of years around the fullest one, and two more for what follows a row, such as
    a refund. Beyond it the nearest offset holds: a line misdated by decades would otherwise put
    the clock changes of all of them into every query.
    """
    stamps = [column.name for column in TABLES[name].columns if column.type == "timestamp"]
    dated = TABLES[name].dated_by
    stamp = table[dated if dated in stamps else stamps[0]]
    counts = table.group_by(year=stamp.year()).aggregate(n=stamp.count()).execute()
    found = {int(row.year): row.n for row in counts.itertuples() if row.n}
    if not found:
        return 2000, 2000
    first = last = max(sorted(found), key=lambda year: found[year])
    while first - 1 in found:
        first -= 1
    while last + 1 in found:
        last += 1
    return first, last + 2


def _converted(con, rows: ir.Table, name: str, shop: Shop, stage: Path) -> ir.Table:
    """Convert money of other currencies at the rate of the day, where fx_rates has one.

    ``is_converted`` says where. The latest rate at or before the day counts, for 45 days.
    """
    path = stage / "fx_rates.parquet"
    if name == "fx_rates" or "currency" not in rows.columns or not path.is_file():
        return rows.mutate(is_converted=ibis.literal(False))
    day = sources.day_name(TABLES[name].dated_by)
    rates = con.read_parquet(str(path)).filter(ibis._.rate > 0)
    rates = rates.group_by(code=rates.currency.upper(), since=rates.day).aggregate(
        rate=rates.rate.min()
    )
    newer = rates.since.lead().over(ibis.window(group_by=rates.code, order_by=rates.since))
    last = (rates.since + ibis.interval(days=RATE_DAYS)).cast("date")
    rates = rates.mutate(until=ibis.least(newer.fill_null(last), last))
    joined = rows.left_join(
        rates,
        [rows.currency.upper() == rates.code, rows[day] >= rates.since, rows[day] < rates.until],
    )
    known = joined.rate.notnull()
    amounts = [column.name for column in TABLES[name].columns if column.type == "money"]
    money = {
        column: ibis.ifelse(
            known, (joined[column] * joined.rate).round().cast("int64"), joined[column]
        )
        for column in amounts
    }
    return joined.mutate(
        **money,
        currency=ibis.ifelse(known, shop.currency, joined.currency),
        is_converted=known,
    ).drop("code", "since", "until", "rate")


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
    twice = _stored(con, "orders_twice", marks.same_lines(narrow))
    shared = _stored(con, "orders_shared", marks.shared_orders(rows))
    found = {"is_case_twin": marks.case_twins(rows, people)}
    if twice is not None:
        found["is_copy"] = marks.copies(narrow, twice)
        if "line_id" in known.filled:
            found["is_key_twice"] = marks.same_keys(narrow, twice)
    if shared is not None:
        found["is_of_two"] = marks.of_two_customers(rows, shared)
        found["in_later_file"], found["in_two_files"] = marks.overlaps(rows, shared)
    stored = {name: _stored(con, f"mark_{name}", table) for name, table in found.items()}
    return {name: table for name, table in stored.items() if table is not None}


def _stored(con, name: str, table: ir.Table) -> ir.Table | None:
    """Keep a small table in the engine for the time of cleaning; None if it has no rows."""
    stored = con.create_table(name, table, temp=True)
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


def _write(con, table: ir.Table, path: Path, order: tuple[str, ...]) -> None:
    con.to_parquet(table.order_by(order), str(path))


def _names(shop: Shop, name: str) -> str:
    return ", ".join(path.name for path in shop.files(name))
