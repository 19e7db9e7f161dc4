"""From files to typed tables: read what a shop.toml names, and give it the contract's columns."""

import csv
import gzip
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import ibis
from ibis.expr import types as ir

from helpers import conversions
from helpers.errors import DataError, UsageError, nearest
from helpers.shop import Shop, Source
from helpers.tables import TABLES, Column

_TEXT_FILES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
_CHUNK_ROWS, _CHUNK_CHARACTERS = 200_000, 1 << 20


def day_name(column: str) -> str:
    """Give the name of the local calendar day that goes with a timestamp column.

    >>> day_name("ordered_at"), day_name("sent_at"), day_name("at")
    ('order_date', 'sent_date', 'date')
    """
    special = {"ordered_at": "order_date", "at": "date"}
    return special.get(column) or column.removesuffix("_at") + "_date"


def read(con, shop: Shop, table: str, scratch: Path) -> ir.Table:
    """Read the files of one table as text (Parquet: as typed), all files one below the other.

    ``scratch`` is a folder for formats that the engine cannot read; they are streamed there once.
    Raises DataError for a file that is missing, empty, or cannot be read.
    """
    source, files = shop.sources[table], shop.files(table)
    for path in files:
        if path.stat().st_size == 0:
            raise DataError(f"{shop.name}: {path.name} (table {table}) is empty.")
    kinds = {_kind(path, shop.name) for path in files}
    if len(kinds) > 1:
        raise UsageError(f"{shop.name}: table {table} mixes Parquet and text files; give one kind.")
    with readable(shop.name, table):
        if kinds == {"parquet"}:
            return con.read_parquet([str(path) for path in files], union_by_name=True)
        if source.delimiter == "whitespace":
            return con.read_parquet(str(_stream(files, source, scratch / f"{table}_raw.parquet")))
        if source.encoding.lower() not in ("utf-8", "utf8"):
            files = [_in_utf8(path, source, scratch, shop.name) for path in files]
        return _read_text(con, files, source, shop.name)


def _read_text(con, files: list[Path], source: Source, shop: str) -> ir.Table:
    """Read text files, each with the columns of its own header, one below the other by name.

    The header is read here and given to the engine, whose own detection would skip a header that
    does not fit the lines below it.
    """
    layouts: dict[tuple, list[str]] = {}
    for path in files:
        delimiter, names = _layout(path, source, shop)
        layouts.setdefault((delimiter, names), []).append(str(path))
    parts = [
        con.read_csv(
            paths, auto_detect=False, header=not source.names, delim=delimiter, quote='"',
            escape='"', columns=dict.fromkeys(names, "VARCHAR"),
        )
        for (delimiter, names), paths in layouts.items()
    ]  # fmt: skip
    columns = list(dict.fromkeys(name for part in parts for name in part.columns))
    if len(parts) == 1:
        return parts[0]
    null = ibis.null("string")
    filled = [
        part.select(**{name: part[name] if name in part.columns else null for name in columns})
        for part in parts
    ]
    return ibis.union(*filled, distinct=False)


def typed(raw: ir.Table, source: Source, shop: Shop) -> ir.Table:
    """Give the contract's columns from a source table: converted, missing where unreadable.

    A timestamp ``x_at`` becomes two columns, the stamp as written and its UTC offset in minutes
    (``x_at__offset``), which `placed` turns into UTC and a local day. ``unreadable`` counts the
    optional values of a row that held something that could not be read.
    """
    table = TABLES[source.table]
    columns, doubts = {}, []
    for column in table.columns:
        origin = _origin(raw, column, source, shop)
        if origin is None:
            columns |= _absent(column)
            continue
        values = _convert(origin, column, source, shop)
        columns |= values
        if not column.required and column.type != "text":
            given = conversions.to_text(origin).notnull() & values[column.name].isnull()
            doubts.append(given.cast("int64"))
    count = sum(doubts[1:], doubts[0]) if doubts else ibis.literal(0, "int64")
    return raw.select(**columns, unreadable=count)


def placed(table: ir.Table, source: Source, shop: Shop, *, first: int, last: int) -> ir.Table:
    """Replace stamps as written by UTC instants and local days, for years ``first`` to ``last``."""
    zone, new = shop.time_zone, {}
    for column in TABLES[source.table].columns:
        if column.type != "timestamp":
            continue
        stamp, offset = table[column.name], table[f"{column.name}__offset"]
        as_utc = stamp if source.timestamps == "utc" else ibis.null("timestamp")
        shifted = stamp - offset.fill_null(0).as_interval("m")
        instant = ibis.ifelse(offset.notnull(), shifted, as_utc)
        local = ibis.coalesce(
            conversions.utc_to_local(instant, zone, first=first, last=last), stamp
        )
        new[column.name] = ibis.coalesce(
            instant, conversions.local_to_utc(stamp, zone, first=first, last=last)
        )
        new[day_name(column.name)] = local.date()
    drop = [name for name in table.columns if name.endswith("__offset")]
    return table.mutate(**new).drop(*drop)


def clean_schema(table: str) -> dict[str, str]:
    """Give names and Ibis types of a clean table's columns (for orders: before derived ones)."""
    schema = {column.name: _IBIS_TYPES[column.type] for column in TABLES[table].columns}
    stamps = [column.name for column in TABLES[table].columns if column.type == "timestamp"]
    return schema | {day_name(stamp): "date" for stamp in stamps}


def mapped_columns(raw: ir.Table, source: Source) -> list[str]:
    """List the canonical columns that the source fills."""
    names = [column.name for column in TABLES[source.table].columns]
    return [name for name in names if name in source.columns or name in raw.columns]


@contextmanager
def readable(shop: str, table: str) -> Iterator[None]:
    """Turn an engine's complaint about a file into a DataError that holds none of its content."""
    try:
        yield
    except (duckdb.Error, UnicodeError) as error:
        text = str(error)
        line = re.search(r"[Ll]ine:? (\d+)", text)
        place = f" at line {line.group(1)}" if line else ""
        if "nicode" in text or "UTF-8" in text or "utf-8" in text:
            reason = 'the text is not UTF-8; name its encoding, such as encoding = "cp1252"'
        elif "Expected Number of Columns" in text:
            found = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
            reason = (
                f"the line has {found.group(2)} fields, the header {found.group(1)}"
                if found
                else "the line has more or fewer fields than the header"
            )
        elif "uote" in text:
            reason = "a quotation mark is opened and never closed"
        else:
            reason = f"the engine could not read it ({type(error).__name__})"
        raise DataError(
            f"{shop}: the files of table {table} cannot be read{place}: {reason}."
        ) from None


def _kind(path: Path, shop: str) -> str:
    name = path.name.lower()
    if name.endswith((".parquet", ".pq")):
        return "parquet"
    if name.endswith(_TEXT_FILES):
        return "text"
    raise UsageError(
        f"{shop}: {path.name} is of a kind that is not read. Accepted: .parquet, "
        f"{', '.join(_TEXT_FILES)}."
    )


def _layout(path: Path, source: Source, shop: str) -> tuple[str, tuple[str, ...]]:
    """Give a text file's separator and its column names.

    Unless shop.toml names the separator, it is the one that the first line uses most.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
            first = file.readline(1_000_000)
    except (OSError, EOFError):
        raise DataError(f"{shop}: {path.name} is not a whole gzip file; export it again.") from None
    delimiter = source.delimiter or max(",;\t|", key=first.count)
    names = source.names or tuple(next(csv.reader([first], delimiter=delimiter), ()))
    names = tuple(name.strip() for name in names)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or "" in names:
        fault = f"has two columns named '{twice[0]}'" if twice else "has a column without a name"
        raise DataError(
            f"{shop}: {path.name} (table {source.table}) {fault}; its first line must name every "
            "column once. Mend the export, or give names = [...] for a file without a header."
        )
    return delimiter, names


def _in_utf8(path: Path, source: Source, scratch: Path, shop: str) -> Path:
    """Copy a text file into UTF-8 in bounded chunks, for the engine's own strict reader."""
    opener = gzip.open if path.suffix == ".gz" else open
    target = scratch / f"{source.table}_{path.name.removesuffix('.gz')}"
    try:
        with (
            opener(path, "rt", encoding=source.encoding, newline="") as old,
            target.open("w", encoding="utf-8", newline="") as new,
        ):
            shutil.copyfileobj(old, new, _CHUNK_CHARACTERS)
    except (LookupError, UnicodeError):
        raise DataError(
            f"{shop}: {path.name} cannot be read as {source.encoding} text; mend encoding under "
            f"[tables.{source.table}] in shop.toml."
        ) from None
    return target


def _stream(files: list[Path], source: Source, target: Path) -> Path:
    """Write files whose fields stand apart by blanks to one Parquet file, in bounded chunks."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    options = {"names": list(source.names), "header": None} if source.names else {}
    writer = None
    try:
        for path in files:
            chunks = pd.read_csv(
                path, sep=r"\s+", dtype="str", keep_default_na=False, index_col=False,
                encoding=source.encoding, chunksize=_CHUNK_ROWS, **options,
            )  # fmt: skip
            for chunk in chunks:
                batch = pa.Table.from_pandas(chunk, preserve_index=False)
                writer = writer or pq.ParquetWriter(target, batch.schema)
                writer.write_table(batch.cast(writer.schema))
    except (LookupError, ValueError) as error:
        kind = type(error).__name__
        raise DataError(
            f"{path.name} cannot be read as {source.encoding} text in columns apart by blanks "
            f"({kind}); mend encoding, names or delimiter in shop.toml."
        ) from None
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise DataError(f"{files[0].name} has no rows.")
    return target


def _origin(raw: ir.Table, column: Column, source: Source, shop: Shop) -> ir.Column | None:
    """Find the source of one canonical column; several source columns are joined by a dash."""
    named = source.columns.get(column.name, column.name)
    names = (named,) if isinstance(named, str) else named
    missing = [name for name in names if name not in raw.columns]
    if missing and column.name in source.columns:
        raise DataError(
            f"{shop.name}: table {source.table} has no column '{missing[0]}' (named for "
            f"{column.name}). {_shown(raw.columns, source.table)}{nearest(missing[0], raw.columns)}"
        )
    if missing and column.required:
        raise DataError(
            f"{shop.name}: table {source.table} needs {column.name} ({column.meaning}), and no "
            f"column has that name. {_shown(raw.columns, source.table)} Name the right one under "
            f"[tables.{source.table}.columns] in shop.toml, as "
            f'{column.name} = "..."{nearest(column.name, raw.columns)}'
        )
    if missing:
        return None
    if len(names) == 1:
        return raw[names[0]]
    parts = [conversions.to_text(raw[name]).fill_null("") for name in names]
    joined = parts[0]
    for part in parts[1:]:
        joined = joined + "-" + part
    return joined


def _shown(names: tuple[str, ...], table: str) -> str:
    """List the columns found, unless they look like a line of data: that would show a customer."""
    if any("\ufffd" in name for name in names):
        return 'Its first line is not UTF-8; name its encoding, such as encoding = "cp1252".'
    known = {column.name for column in TABLES[table].columns}
    words = [name for name in names if re.fullmatch(r"[^\W\d][\w .#()/-]{0,39}", name)]
    if len(words) < len(names) or (
        any(re.search(r"\d", name) for name in names) and not (known & set(names))
    ):
        return f"The first line of the file, of {len(names)} fields, does not look like names."
    return f"It has: {', '.join(names)}."


def _convert(origin: ir.Column, column: Column, source: Source, shop: Shop) -> dict:
    name, kind = column.name, column.type
    digits = conversions.minor_digits(shop.currency)
    if kind == "timestamp":
        stamp, offset = conversions.to_stamp(origin, date_format=source.date_format)
        return {name: stamp, f"{name}__offset": offset}
    if kind == "date":
        return {name: conversions.to_stamp(origin, date_format=source.date_format)[0].date()}
    if kind == "money":
        return {name: conversions.to_money(origin, digits=digits, decimal=source.decimal)}
    if kind == "number":
        return {name: conversions.to_number(origin, decimal=source.decimal)}
    if kind == "integer":
        return {name: conversions.to_integer(origin, decimal=source.decimal)}
    if kind == "boolean":
        return {name: conversions.to_boolean(origin)}
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
    empty = {column.name: ibis.null(_IBIS_TYPES[column.type])}
    if column.type == "timestamp":
        empty[f"{column.name}__offset"] = ibis.null("int64")
    return empty
