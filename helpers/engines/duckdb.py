"""DuckDB in this process: the default engine, and the reader of files for all."""

import contextlib
import os
import platform
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import ibis
import psutil
from ibis.backends.sql.compilers.duckdb import DuckDBCompiler
from ibis.expr import types as ir
from sqlglot import expressions as sge

from helpers.contract.shop import Shop

LETTER = r"\p{L}"
# A dictionary helps columns of few words; the search for one in all others takes its time.
_MOST_WORDS = 5000
# A named part of a query that holds none of these only picks rows and columns.
_WORK = (sge.Join, sge.Group, sge.Distinct, sge.SetOperation, sge.Window, sge.AggFunc)
_LONG = sge.DataType(this=sge.DataType.Type.INT128)


class _Compiler(DuckDBCompiler):
    """Say to DuckDB what it does well.

    What only picks rows and columns of a file is read anew, each time with its own columns: used
    twice in a query, it would be kept in memory whole, of order lines gigabytes. Whole numbers of
    more than 18 digits are its long integers: as exact, and multiplied in half the time of
    decimals.
    """

    __slots__ = ()

    def visit_Cast(self, op, *, arg, to):  # noqa: N802
        if to.is_decimal() and to.scale == 0 and (to.precision or 0) > 18:
            return sge.Cast(this=arg, to=_LONG)
        return super().visit_Cast(op, arg=arg, to=to)

    def to_sqlglot(self, expr, **options):
        query = super().to_sqlglot(expr, **options)
        for part in query.ctes:
            if not part.this.find(*_WORK):
                part.set("materialized", False)
        return query


def connect(shop: Shop):
    """Open DuckDB in memory, with the shop's threads, memory limit and folder to spill to."""
    own = shop.engine == "duckdb"
    threads = os.environ.get("LTV_THREADS") or shop.threads
    options = {"threads": int(threads)} if threads else {}
    if shop.memory_limit and own:
        options["memory_limit"] = shop.memory_limit
    con = ibis.duckdb.connect(**options)
    con.compiler = _Compiler()
    con.raw_sql("SET TimeZone = 'UTC'")
    if shop.spill_directory:
        with contextlib.suppress(OSError):  # said when there is something to spill
            shop.spill_folder.mkdir(parents=True, exist_ok=True)
    spill = str(_own_spill_folder(shop.spill_folder)).replace("'", "''")
    con.raw_sql(f"SET temp_directory = '{spill}'")
    # In a notebook without widgets there is no progress bar, and switching it off is refused.
    with contextlib.suppress(duckdb.InvalidInputException):
        con.raw_sql("SET enable_progress_bar = false")
    return con


def _own_spill_folder(place: Path) -> Path:
    """Name a folder in ``place`` for what one connection cannot keep in memory.

    Two that spill into the same folder overwrite each other's files, and crash. DuckDB makes it
    when it needs it and deletes it; here goes what a process that was killed has left.
    """
    mark = f".spill-{platform.node()}-"
    with contextlib.suppress(OSError):
        for left in place.glob(f"{mark}*"):
            number = left.name.removeprefix(mark).split("-")[0]
            if number.isdigit() and not psutil.pid_exists(int(number)):
                shutil.rmtree(left, ignore_errors=True)
    return place / f"{mark}{os.getpid()}-{secrets.token_hex(4)}"


def close(con) -> None:
    """Close the connection."""
    con.disconnect()


@contextlib.contextmanager
def gathered(con, tables: Sequence[ir.Table]) -> Iterator[ir.Table]:
    """Make each table before the next begins: in one query, all need their memory at once."""
    names = [ibis.util.gen_name("part") for _ in tables]
    try:
        yield ibis.union(*(
            con.create_table(name, table, temp=True)
            for name, table in zip(names, tables, strict=True)
        ))  # fmt: skip
    finally:
        for name in names:
            con.drop_table(name, force=True)


def named(con, name: str, table: ir.Table) -> ir.Table:
    """Name a step: a view costs nothing, and only the columns that are asked for are read."""
    return con.create_view(name, table, overwrite=True)


def kept(con, name: str, table: ir.Table) -> ir.Table:
    """Keep a table in memory."""
    return con.create_table(name, table, temp=True)


def copied(con, table: ir.Table, path: Path) -> ir.Table:
    """Keep a table in a scratch file."""
    con.to_parquet(table, str(path))
    return con.read_parquet(str(path))


def write(con, table: ir.Table, path: Path, order: tuple[str, ...]) -> None:
    """Write one Parquet file."""
    table = table.order_by(order) if order else table
    con.to_parquet(table, str(path), dictionary_size_limit=_MOST_WORDS)


def write_whole(con, table: ir.Table, path: Path, order: tuple[str, ...]) -> None:
    """Write one Parquet file beside its place, then rename it."""
    part = path.with_suffix(".part")
    try:
        write(con, table, part, order)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def executed(con, table: ir.Table):
    """Give a frame."""
    return con.execute(table)


def read(con, paths: tuple[Path, ...]) -> ir.Table:
    """Open Parquet files."""
    return con.read_parquet([str(path) for path in paths], union_by_name=len(paths) > 1)


def exists(con, path: Path) -> bool:
    """Look for the file."""
    return path.is_file()


def moved(con, stage: Path, target: Path, names) -> None:
    """Leave the files to whoever renames their folder."""


def dropped(con, folder: Path) -> None:
    """Leave the files to whoever deletes their folder."""


def frame(con, table) -> ir.Table:
    """Read from Python's memory."""
    return ibis.memtable(table)


def private(con, path: Path) -> ir.Table:
    """Read the file where it lies."""
    return con.read_parquet(str(path))
