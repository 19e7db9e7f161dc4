"""The engines, and all that differs between them: DuckDB in-process, Spark, PostgreSQL.

Rules and summaries are the same Ibis expressions on all three. What stands here is how to connect,
where what is written lies and how it is read back, how a step of cleaning is kept, and what to say
when an engine fails. The rest of the helpers know a place by its path under the shop's folder; for
PostgreSQL that path is the name of a table in the shop's schema.

Where an engine differs, and why:

- Files are read by DuckDB, for Spark too: encodings, quotation marks and Excel are told apart once,
  so that the same file gives the same rows. Spark then works on Parquet.
- PostgreSQL compares and lower-cases text by the database's own language. What is kept there has
  the collation of code points, as on DuckDB and Spark; else first and last would be others.
- Spark has no temporary tables, PostgreSQL re-plans a view of a view: both keep the steps of
  cleaning, where DuckDB only names them.
- Spark plans and computes a named step again wherever a query uses it: steps used more than once
  are kept before. It reads two marks of a text as letters, and takes small whole numbers for 32
  bits: both are said otherwise to it.
- A pseudonym's key table never becomes a table of a server: PostgreSQL has it as a temporary one
  of the session, sent as data, so that no server log and no other session sees it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from warnings import filterwarnings

from helpers.contract.settings import Source
from helpers.contract.shop import Shop
from helpers.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from ibis.expr import types as ir

# What an engine's results may depend on, beside the code; it joins the digest of clean tables.
PACKAGES = {"duckdb": ("duckdb",), "pyspark": ("duckdb", "pyspark"), "postgres": ("psycopg",)}


def _of(con) -> ModuleType:
    """Give the module of an engine by its connection."""
    return _module(con.name)


def _module(engine: str) -> ModuleType:
    import ibis

    # Engines join one select with the next by themselves; for Ibis to do it as well, before they
    # see the query, is an eighth of the time of a small month.
    ibis.options.sql.fuse_selects = False
    if engine == "pyspark":
        # Whether its answers are right with pandas 3 is for the tests of engines to say.
        filterwarnings("ignore", message="PySpark does not yet fully support pandas")
        from helpers.engines import spark as module
    elif engine == "postgres":
        from helpers.engines import postgres as module
    else:
        from helpers.engines import duckdb as module
    return module


def connect(shop: Shop):
    """Open the shop's engine; DataError where it cannot be reached, without anything secret."""
    from helpers.engines.faults import told

    with told(shop):
        return _module(shop.engine).connect(shop)


def files(shop: Shop):
    """Open the engine that reads files: DuckDB, whatever the shop's own engine is."""
    return _module("duckdb").connect(shop)


def close(con) -> None:
    """Close a connection, whatever state it is in."""
    with suppress(Exception):
        _of(con).close(con)


def named(con, name: str, table: "ir.Table") -> "ir.Table":
    """Name a step of cleaning in the engine, so that the questions asked of it are short."""
    return _of(con).named(con, name, table)


def kept(con, name: str, table: "ir.Table") -> "ir.Table":
    """Keep a table in the engine for the time of cleaning."""
    return _of(con).kept(con, name, table)


def copied(con, table: "ir.Table", path: Path) -> "ir.Table":
    """Keep a large table for the time of cleaning: in the scratch file ``path``, or the engine."""
    return _of(con).copied(con, table, path)


def write(con, table: "ir.Table", path: Path, order: Sequence[str] = ()) -> None:
    """Write a table to its place, sorted by ``order``; what stood there goes away."""
    _of(con).write(con, table, path, tuple(order))


def write_whole(con, table: "ir.Table", path: Path, order: Sequence[str]) -> None:
    """Write a table to its place so that it is there whole, or not at all."""
    _of(con).write_whole(con, table, path, tuple(order))


@contextmanager
def gathered(con, tables: "Sequence[ir.Table]") -> "Iterator[ir.Table]":
    """Lay small tables one below the other.

    DuckDB makes each before the next begins: in one query all would need their memory at once.
    """
    if con.name == "duckdb" and len(tables) > 1:
        with _of(con).gathered(con, tables) as whole:
            yield whole
    else:
        yield stacked(tables)


def loaded(con, table: "ir.Table", *, is_sorted: bool = False) -> "pd.DataFrame":
    """Give a small engine table as a frame, sorted by its columns.

    DuckDB gives a file that was written sorted in its order, so that ``is_sorted`` spares the work.
    """
    is_sorted = is_sorted and con.name == "duckdb"
    return _of(con).executed(con, table if is_sorted else table.order_by(table.columns))


def read(con, *paths: Path) -> "ir.Table":
    """Open what was written; of several places one below the other, their columns by name."""
    return _of(con).read(con, paths)


def exists(con, path: Path) -> bool:
    """Say whether something was written to a place."""
    return _of(con).exists(con, path)


def moved(con, stage: Path, target: Path, names: Sequence[str]) -> None:
    """Give what was written below ``stage`` its name below ``target``: all of it, or nothing."""
    _of(con).moved(con, stage, target, names)


def dropped(con, folder: Path) -> None:
    """Delete what the engine keeps below a folder of the shop; files are left to whoever asks."""
    _of(con).dropped(con, folder)


def frame(con, table: "pa.Table") -> "ir.Table":
    """Give the engine a small table."""
    return _of(con).frame(con, table)


def private(con, path: Path) -> "ir.Table":
    """Give the engine the Parquet file ``path`` for this session alone."""
    return _of(con).private(con, path)


def letters_as(con, text: "ir.StringColumn", mark: str) -> "ir.StringColumn":
    """Replace every letter of any alphabet; PostgreSQL has another word for letters."""
    return text.re_replace(_of(con).LETTER, mark)


def relation(con, shop: Shop, name: str) -> "ir.Table":
    """Open a table of the engine's own catalog, named as in shop.toml: table, or schema.table.

    DataError if there is none.
    """
    from ibis.common.exceptions import TableNotFound

    *places, table = name.split(".")
    try:
        place = tuple(places) if len(places) > 1 else (places or [None])[0]
        return con.table(table, database=place)
    except TableNotFound:
        raise DataError(
            f"{shop.name}: the engine has no table '{name}'; mend its name under [tables] in "
            "shop.toml, or have it made."
        ) from None


def digest(con, shop: Shop, source: Source) -> str:
    """Give what tells one state of an engine's table from another.

    The number of rows with the latest value of the column ``snapshot`` of shop.toml; without
    one, with a checksum over all columns of all rows.
    """
    table = relation(con, shop, source.relation)
    if source.snapshot and source.snapshot not in table.columns:
        raise DataError(
            f"{shop.name}: table '{source.relation}' has no column '{source.snapshot}', named as "
            f"snapshot under [tables.{source.table}].{nearest(source.snapshot, table.columns)}"
        )
    if not source.snapshot:
        return _of(con).checksum(con, table)
    latest = table[source.snapshot].max().cast("string")
    row = con.execute(table.aggregate(n=table.count(), latest=latest)).iloc[0]
    return f"{row.n} {row.latest}"


def stacked(tables: "Sequence[ir.Table]") -> "ir.Table":
    """Lay tables one below the other, their columns by name; what one lacks is missing there."""
    import ibis

    if len(tables) == 1:
        return tables[0]
    kinds = {name: kind for table in tables for name, kind in table.schema().items()}
    whole = [
        table.select(
            **{
                name: table[name] if name in table.columns else ibis.null(kind)
                for name, kind in kinds.items()
            }
        )
        for table in tables
    ]
    return ibis.union(*whole)
