"""From files to typed tables: read what a shop.toml names, and give it the contract's columns."""

import re
from pathlib import Path

import duckdb
import ibis
from ibis.expr import types as ir

from helpers import engines
from helpers.contract import conversions
from helpers.contract.settings import Source
from helpers.contract.shop import Shop
from helpers.contract.tables import PERSON_COLUMNS, TABLES, Column
from helpers.errors import DataError, UsageError, nearest
from helpers.sources import headers, readers
from helpers.sources.readers import readable

# Where a row came from: the place of its file among `Shop.files`, and its number within the file.
PLACE = ("_file", "_row")
_IDS = (*PERSON_COLUMNS, "refund_of")


def day_name(column: str) -> str:
    """Give the name of the local calendar day that goes with a timestamp column.

    >>> day_name("ordered_at"), day_name("sent_at"), day_name("at")
    ('order_date', 'sent_date', 'date')
    """
    special = {"ordered_at": "order_date", "at": "date"}
    return special.get(column) or column.removesuffix("_at") + "_date"


def day_of(table: str) -> str:
    """Give the column of a clean table that dates its rows by the local calendar day.

    >>> day_of("orders"), day_of("marketing_spend")
    ('order_date', 'starts_at')
    """
    dated = TABLES[table].column(TABLES[table].dated_by)
    return day_name(dated.name) if dated.type == "timestamp" else dated.name


def read(con, shop: Shop, source: Source, scratch: Path) -> ir.Table:
    """Read the files of one source, one below the other by name, with ``_file`` and ``_row``.

    Columns are text as written (of Parquet: as typed). ``_file`` is the place of the file in
    ``shop.files(source.table)``, ``_row`` counts the data rows of that file from 1. With a query,
    its result. ``scratch`` is a folder for copies of what the engine cannot read; they hold
    customers' data, so whoever made the folder deletes it. Raises DataError for a file that is
    missing, empty, or cannot be read, UsageError for a query that the engine does not understand.
    """
    position = _position(shop, source)
    before = len(shop.names(source.table, before=position))
    name = f"{source.table}_source_{position}"
    if source.relation:
        return _related(con, name, source, shop, before)
    if con.name != "duckdb":
        return _through_files(con, name, source, shop, scratch)
    with readable(shop, source.table):
        selects = [
            part.select(number)
            for number, path in enumerate(shop.source_files(source), before)
            for part in readers.parts(path, source, shop.name, scratch)
        ]
        rows = "\nUNION ALL BY NAME\n".join(selects)
        return _view(con, name, rows, source, shop)


def _through_files(con, name: str, source: Source, shop: Shop, scratch: Path) -> ir.Table:
    """Read files as DuckDB does, whatever the engine: the same file gives the same rows."""
    path, reader = scratch / f"{name}.parquet", engines.files(shop)
    try:
        raw = read(reader, shop, source, scratch)
        with readable(shop, source.table):
            engines.write(reader, raw, path)
    finally:
        engines.close(reader)
    return engines.private(con, path)


def _related(con, name: str, source: Source, shop: Shop, number: int) -> ir.Table:
    """Open a table of the engine, its rows numbered: by their ``order``, or by all they hold."""
    rows = engines.relation(con, shop, source.relation)
    wanted = headers.wanted_columns(rows.columns, source, shop.name, source.relation)
    lacking = [column for column in source.order if column not in rows.columns]
    if lacking:
        raise DataError(
            f"{shop.name}: table '{source.relation}' has no column '{lacking[0]}', named as order "
            f"under [tables.{source.table}].{nearest(lacking[0], rows.columns)}"
        )
    order = [rows[column] for column in source.order or rows.columns]
    columns = {
        column: rows[found] if found else ibis.null("string") for column, found in wanted.items()
    }
    place = {"_file": ibis.literal(number, "int64"), "_row": ibis.row_number().over(order_by=order)}
    numbered = rows.select(**columns, **place)
    return engines.kept(con, name, numbered.mutate(_row=numbered["_row"].cast("int64") + 1))


def _position(shop: Shop, source: Source) -> int:
    found = shop.sources[source.table]
    same = [place for place, each in enumerate(found) if each is source]
    return same[0] if same else found.index(source)


def _view(con, name: str, rows: str, source: Source, shop: Shop) -> ir.Table:
    """Name the rows of files, or a query over them, in the engine.

    In DuckDB's own words, not Ibis': a preset's query is a text (an export whose lines lean on
    each other needs windows that no list of columns can say), and files are read by DuckDB alone.
    """
    body = rows
    try:
        if source.query:
            macro = f"{name}_amount"
            con.raw_sql(f'CREATE OR REPLACE TEMP MACRO "{macro}"(x) AS {_amount_sql(source)}')
            query = re.sub(r"\bas_amount\s*\(", f'"{macro}"(', source.query.strip().rstrip(";"))
            body = f"WITH source AS (\n{rows}\n)\nSELECT * FROM (\n{query}\n)"
        con.raw_sql(f'CREATE OR REPLACE TEMP VIEW "{name}" AS {body}')
        view = con.table(name, database=("temp", "main"))
    except (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException) as error:
        if not source.query:
            raise
        raise UsageError(
            f"{shop.name}: the query under [tables.{source.table}] is not understood: "
            f"{str(error).splitlines()[0]}"
        ) from None
    lacking = [column for column in PLACE if column not in view.columns]
    if lacking:
        raise UsageError(
            f"{shop.name}: the query under [tables.{source.table}] must give {' and '.join(PLACE)} "
            f"through; {' and '.join(lacking)} is missing."
        )
    return view


def _amount_sql(source: Source) -> str:
    """Give what ``as_amount(x)`` means in a query: an exact number, by the source's decimal mark.

    It is the same expression that reads an amount outside of queries; of a Parquet file's numbers
    it takes the value.
    """
    amounts = ibis.table({"x": "string"}, name="t")
    exact = conversions.to_amount(amounts.x, decimal=source.decimal)
    text = str(ibis.to_sql(amounts.select(y=exact), dialect="duckdb"))
    text = text[text.index("SELECT") + 6 : text.rindex('AS "y"')].replace('"t0"."x"', "x::VARCHAR")
    return f"CASE WHEN typeof(x) = 'VARCHAR' THEN {text} ELSE TRY_CAST(x AS DECIMAL(22, 6)) END"


def as_written(raw: ir.Table, source: Source) -> ir.Table:
    """Give ``_file``, ``_row`` and the text, as written, of each canonical column that is filled.

    Nothing of other columns. It is for the few rows that are set aside: joined, never copied.
    """
    found = {
        column.name: _joined(raw, names, source)
        for column in TABLES[source.table].columns
        if (names := _names(raw, column, source)) and None not in names
    }
    return raw.select(*PLACE, **{name: text.cast("string") for name, text in found.items()})


def plain_ids(raw: ir.Table, source: Source) -> frozenset[str]:
    """Name the canonical columns whose ids are all written plainly, so that none has to be mended.

    One look at the columns, which spares every later one; for files that are not copied.
    """
    looked = {
        column.name: raw[names[0]]
        for column in TABLES[source.table].columns
        if _is_id(column.name) and len(names := _names(raw, column, source)) == 1
        and names[0] is not None and raw[names[0]].type().is_string()
    }  # fmt: skip
    if not looked:
        return frozenset()
    odd = {name: (~conversions.is_plain_id(text)).any() for name, text in looked.items()}
    found = raw.aggregate(**odd).execute().iloc[0]
    return frozenset(name for name in looked if not found[name] or found[name] != found[name])


def typed(
    raw: ir.Table, source: Source, shop: Shop, *, plain: frozenset[str] = frozenset()
) -> ir.Table:
    """Give the contract's columns from a source table: converted, missing where unreadable.

    A timestamp ``x_at`` is the stamp as written, with its UTC offset in minutes (``x_at__offset``)
    where one may be written, which `placed` turns into UTC and a local day. ``unreadable`` counts
    the optional values of a row that held something that could not be read. ``_file`` and ``_row``
    are carried through; ``mended`` is 1 where the customer's id was written in another way.
    ``plain`` names id columns to take as they are (`plain_ids`).
    """
    table = TABLES[source.table]
    columns, doubts, mended = {}, [], ibis.literal(0, "int64")
    for column in table.columns:
        origin = _origin(raw, column, source, shop)
        if origin is None:
            columns |= _absent(column)
            continue
        if column.name in plain:
            columns[column.name] = origin
            continue
        values = _convert(origin, column, source, shop)
        columns |= values
        if column.name == "customer_id" and origin.type().is_string():
            mended = (origin != values["customer_id"]).fill_null(False).cast("int64")
        if not column.required and column.type != "text":
            given = conversions.is_given(origin) & values[column.name].isnull()
            doubts.append(given.cast("int64"))
    count = sum(doubts[1:], doubts[0]) if doubts else ibis.literal(0, "int64")
    place = [name for name in PLACE if name in raw.columns]
    return raw.select(*place, **columns, unreadable=count, mended=mended)


def placed(table: ir.Table, source: Source, shop: Shop, *, first: int, last: int) -> ir.Table:
    """Replace stamps as written by UTC instants and local days, for years ``first`` to ``last``."""
    zone, new = shop.time_zone, {}
    for column in TABLES[source.table].columns:
        if column.type != "timestamp":
            continue
        stamp, is_utc = table[column.name], source.timestamps == "utc"
        instant = stamp if is_utc else None
        if f"{column.name}__offset" in table.columns:
            offset = table[f"{column.name}__offset"]
            shifted = stamp - offset.fill_null(0).as_interval("m")
            other = stamp if is_utc else ibis.null("timestamp")
            instant = ibis.ifelse(offset.notnull(), shifted, other)
        local, utc = stamp, conversions.local_to_utc(stamp, zone, first=first, last=last)
        if instant is not None:
            there = conversions.utc_to_local(instant, zone, first=first, last=last)
            local, utc = ibis.coalesce(there, stamp), ibis.coalesce(instant, utc)
        new[column.name], new[day_name(column.name)] = utc, local.date()
    drop = [name for name in table.columns if name.endswith("__offset")]
    return table.mutate(**new).drop(*drop)


def clock_flags(
    table: ir.Table, source: Source, shop: Shop, *, first: int, last: int
) -> dict[str, ir.BooleanValue]:
    """Say of a typed table's rows whether the clock was changed at the time of their order.

    ``hour_skipped``: the local time did not exist, in the gap of spring. ``hour_doubled``: it came
    twice, in autumn, and the first is taken. Only stamps without an offset can be either, and none
    of a source whose timestamps are UTC. To be asked before `placed`, for ``first`` to ``last``.
    """
    dated_by = TABLES[source.table].dated_by
    never = ibis.literal(False)
    flags = {"hour_skipped": never, "hour_doubled": never}
    if source.timestamps == "utc":
        return flags
    stamp = table[dated_by]
    naive = stamp.notnull()
    if f"{dated_by}__offset" in table.columns:
        naive = naive & table[f"{dated_by}__offset"].isnull()
    for at, before, after in conversions.zone_changes(shop.time_zone, first, last):
        name = "hour_skipped" if after > before else "hour_doubled"
        low, high = (ibis.timestamp((at + shift).isoformat()) for shift in sorted((before, after)))
        flags[name] = flags[name] | ((stamp >= low) & (stamp < high))
    return {name: naive & flag for name, flag in flags.items()}


def clean_schema(table: str) -> dict[str, str]:
    """Give names and Ibis types of a clean table's columns (for orders: before derived ones)."""
    schema = {column.name: _IBIS_TYPES[column.type] for column in TABLES[table].columns}
    stamps = [column.name for column in TABLES[table].columns if column.type == "timestamp"]
    return schema | {day_name(stamp): "date" for stamp in stamps}


def clean_table(con, folder: Path, table: str) -> ir.Table:
    """Open a clean table. Orders are two files: sales, and refunds, which has every column."""
    files = ("orders", "orders_refunds") if table == "orders" else (table,)
    return engines.read(con, *(folder / f"{name}.parquet" for name in files))


def _names(raw: ir.Table, column: Column, source: Source) -> list[str | None]:
    """Give the source columns of a canonical one, None for each that the source lacks."""
    named = source.columns.get(column.name, column.name)
    names = (named,) if isinstance(named, str) else named
    return [headers.matched(name, raw.columns) for name in names]


def _is_id(column: str) -> bool:
    return column.endswith("_id") or column in _IDS


def _joined(raw: ir.Table, names: list[str], source: Source) -> ir.Column:
    """Give one column, or several joined by a dash.

    A customer's id among several is written as it is in customer_id, so that it is found there.
    """
    if len(names) == 1:
        return raw[names[0]]
    persons = {source.columns.get(column, column) for column in PERSON_COLUMNS
               if isinstance(source.columns.get(column, column), str)}  # fmt: skip
    parts = [
        conversions.to_id(raw[name], person=True)
        if name in persons
        else conversions.to_text(raw[name])
        for name in names
    ]
    parts = [part.fill_null("") for part in parts]
    joined = parts[0]
    for part in parts[1:]:
        joined = joined + "-" + part
    return joined


def _origin(raw: ir.Table, column: Column, source: Source, shop: Shop) -> ir.Column | None:
    """Find the source of one canonical column; several source columns are joined by a dash."""
    found = _names(raw, column, source)
    if None not in found:
        return _joined(raw, found, source)
    present = [name for name in raw.columns if name not in PLACE]
    if column.name in source.columns:
        given = source.columns[column.name]
        given = (given,) if isinstance(given, str) else given
        missing = given[found.index(None)]
        raise DataError(
            f"{shop.name}: table {source.table} has no column '{missing}' (named for "
            f"{column.name}). {headers.shown(present, source.table)}{nearest(missing, present)}"
        )
    if column.required:
        raise DataError(
            f"{shop.name}: table {source.table} needs {column.name} ({column.meaning}), and no "
            f"column has that name. {headers.shown(present, source.table)} Name the right one "
            f"under [tables.{source.table}.columns] in shop.toml, as "
            f'{column.name} = "..."{nearest(column.name, present)}'
        )
    return None


def _convert(origin: ir.Column, column: Column, source: Source, shop: Shop) -> dict:
    name, kind = column.name, column.type
    digits = conversions.minor_digits(shop.currency)
    if kind == "timestamp":
        stamp, offset = conversions.to_stamp(origin, date_format=source.date_format)
        return {name: stamp} if offset is None else {name: stamp, f"{name}__offset": offset}
    if kind == "date":
        return {name: conversions.to_stamp(origin, date_format=source.date_format)[0].date()}
    if kind == "money":
        money = conversions.to_money(origin, digits=digits, decimal=source.decimal)
        gross = source.amounts == "gross"
        return {name: conversions.net_of(money, source.vat_rate) if gross else money}
    if kind == "number":
        return {name: conversions.to_number(origin, decimal=source.decimal)}
    if kind == "integer":
        return {name: conversions.to_integer(origin, decimal=source.decimal)}
    if kind == "boolean":
        return {name: conversions.to_boolean(origin)}
    if _is_id(name):
        return {name: conversions.to_id(origin, person=name in PERSON_COLUMNS)}
    return {name: conversions.to_text(origin)}


_IBIS_TYPES = {
    "text": "string",
    "integer": "int64",
    "number": "float64",
    "money": "int64",
    "timestamp": "timestamp",
    "date": "date",
    "boolean": "boolean",
}


def _absent(column: Column) -> dict:
    return {column.name: ibis.null(_IBIS_TYPES[column.type])}
