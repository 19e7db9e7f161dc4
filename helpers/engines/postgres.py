"""PostgreSQL, by its URL: clean tables and summaries are tables of the schema that shop.toml names.

A place under the shop's folder, such as ``clean/0123456789abcdef/orders.parquet``, is the table
``ltv_0123456789abcdef_orders``: its folder by name (or by a digest, where it is deeper), and its
own name.
"""

import hashlib
from pathlib import Path

import ibis
from ibis.backends.sql.compilers.postgres import PostgresCompiler
from ibis.expr import datatypes as dt
from ibis.expr import types as ir

from helpers.contract.shop import Shop
from helpers.engines import stacked
from helpers.errors import DataError

LETTER = "[[:alpha:]]"
_PREFIX, _LONGEST = "ltv", 63
# Compared by code points, as DuckDB and Spark do, and with the small letters of every alphabet.
_COLLATIONS = ("pg_c_utf8", "C.utf8", "C.UTF-8")
_COMMIT_ROWS = 100_000


class _Compiler(PostgresCompiler):
    """What Ibis says in other words to PostgreSQL than PostgreSQL understands."""

    __slots__ = ()

    def visit_Cast(self, op, *, arg, to):  # noqa: N802
        """PostgreSQL counts truth in 32 bits alone."""
        if op.arg.dtype.is_boolean() and to.is_integer():
            arg = self.cast(arg, dt.int32)
        return super().visit_Cast(op, arg=arg, to=to)

    def visit_Round(self, op, *, arg, digits):  # noqa: N802
        """PostgreSQL rounds halves of doubles to even numbers, and others away from zero."""
        if op.arg.dtype.is_floating() and op.dtype.is_integer():
            whole = self.f.trunc(arg)
            return self.cast(whole + self.f.trunc((arg - whole) * 2), op.dtype)
        return super().visit_Round(op, arg=arg, digits=digits)


def connect(shop: Shop):
    """Open a connection whose tables are those of the shop's schema."""
    import psycopg

    opened = psycopg.connect(shop.url_with_secrets(), autocommit=True, connect_timeout=20)
    con = ibis.postgres.from_connection(opened)
    con.compiler = _Compiler()
    with opened.cursor() as cursor:
        found = cursor.execute(
            "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s", (shop.schema,)
        ).fetchone()
        if not found:
            opened.close()
            raise DataError(
                f"{shop.name}: the database has no schema '{shop.schema}', in which clean tables "
                f"and summaries are kept. Have it made (CREATE SCHEMA {_quoted(shop.schema)}) and "
                "let the user of url create tables there, or name another as schema in shop.toml."
            )
        cursor.execute(f"SET search_path = {_quoted(shop.schema)}, public")
        cursor.execute("SET TimeZone = 'UTC'")
        cursor.execute("SET client_min_messages = error")
        # Expressions of a thousand parts take longer to compile than to carry out.
        cursor.execute("SET jit = off")
        # The planner would try all orders of a dozen joins, for seconds; they stand in a good one.
        cursor.execute("SET join_collapse_limit = 4; SET from_collapse_limit = 4")
    return con


def close(con) -> None:
    """Close the connection."""
    con.con.close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def named(con, name: str, table: ir.Table) -> ir.Table:
    """Keep the step: a view of views would be planned and computed anew at every question."""
    return kept(con, name, table)


def kept(con, name: str, table: ir.Table) -> ir.Table:
    """Keep a table for this session."""
    _make(con, name, table, (), temporary=True)
    return con.table(name, database=con._session_temp_db)


def copied(con, table: ir.Table, path: Path) -> ir.Table:
    """Keep a table for this session."""
    return kept(con, path.stem, table)


def write(con, table: ir.Table, path: Path, order: tuple[str, ...]) -> None:
    """Make the table of a place in one statement: it is there whole, or not at all."""
    _make(con, table_name(path), table, order)


def write_whole(con, table: ir.Table, path: Path, order: tuple[str, ...]) -> None:
    """Make the table of a place, as `write` does."""
    write(con, table, path, order)


def executed(con, table: ir.Table):
    """Give a frame."""
    return con.execute(table)


def _make(
    con, name: str, table: ir.Table, order: tuple[str, ...], *, temporary: bool = False
) -> None:
    """Make a table of an expression, its columns of the types that Ibis says they have."""
    con._run_pre_execute_hooks(table)
    mapper, collation = con.compiler.type_mapper, f" COLLATE {_collation(con)}"
    columns = ", ".join(
        f"CAST({_quoted(column)} AS {mapper.to_string(kind)}){collation * kind.is_string()} "
        f"AS {_quoted(column)}"
        for column, kind in table.schema().items()
    )
    body = con.compile(table.order_by(order) if order else table)
    place = f"pg_temp.{_quoted(name)}" if temporary else _quoted(name)
    with con.begin() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {place}")
        kind = "TEMPORARY TABLE" if temporary else "TABLE"
        cursor.execute(f"CREATE {kind} {_quoted(name)} AS SELECT {columns} FROM ({body}) AS made")
        # Nothing is known of a new table until it is looked at, and joins are planned accordingly.
        cursor.execute(f"ANALYZE {place}")


def _collation(con) -> str:
    with con.begin() as cursor:
        names = "SELECT collname FROM pg_catalog.pg_collation WHERE collname = ANY(%s)"
        there = {name for (name,) in cursor.execute(names, (list(_COLLATIONS),)).fetchall()}
    found = [name for name in _COLLATIONS if name in there]
    return _quoted(found[0] if found else "C")


def table_name(path: Path) -> str:
    """Name the table of a place.

    >>> table_name(Path("clean/0123456789abcdef/orders.parquet"))
    'ltv_0123456789abcdef_orders'
    """
    name = f"{_folder_name(path.parent)}_{path.stem}"
    if len(name) > _LONGEST:
        ending = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name[: _LONGEST - 9]}_{ending}"
    return name


def _folder_name(folder: Path) -> str:
    """Name a folder of clean tables by its digest, one of summaries by that and a digest."""
    if folder.parent.name == "clean":
        return f"{_PREFIX}_{folder.name.lstrip('.')}{'_stage' * folder.name.startswith('.')}"
    inside = hashlib.sha256(folder.name.encode()).hexdigest()[:8]
    return f"{_PREFIX}_{folder.parent.name}_{inside}"


def read(con, paths: tuple[Path, ...]) -> ir.Table:
    """Open the tables of places."""
    return stacked([con.table(table_name(path)) for path in paths])


def exists(con, path: Path) -> bool:
    """Look for the table of a place."""
    return table_name(path) in _tables(con)


def _tables(con) -> list[str]:
    with con.begin() as cursor:
        names = "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = current_schema()"
        return [name for (name,) in cursor.execute(names).fetchall()]


def moved(con, stage: Path, target: Path, names) -> None:
    """Rename the tables of a folder, all in one transaction."""
    with con.begin() as cursor:
        for name in names:
            old, new = (table_name(folder / f"{name}.parquet") for folder in (stage, target))
            cursor.execute(f"DROP TABLE IF EXISTS {_quoted(new)}")
            cursor.execute(f"ALTER TABLE {_quoted(old)} RENAME TO {_quoted(new)}")


def dropped(con, folder: Path) -> None:
    """Delete the tables of a folder, and those of summaries made of them."""
    start = f"{_folder_name(folder)}_"
    stage = f"{start}stage_"
    for name in _tables(con):
        if name.startswith(start) and not name.startswith(stage):
            with con.begin() as cursor:
                cursor.execute(f"DROP TABLE IF EXISTS {_quoted(name)}")


def frame(con, table) -> ir.Table:
    """Send a small table as data into a temporary one."""
    name = ibis.util.gen_name("frame")
    kinds = ibis.Schema.from_pyarrow(table.schema)
    mapper, collation = con.compiler.type_mapper, f" COLLATE {_collation(con)}"
    columns = ", ".join(
        f"{_quoted(column)} {mapper.to_string(kind)}{collation * kind.is_string()}"
        for column, kind in kinds.items()
    )
    with con.begin() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE {_quoted(name)} ({columns})")
        with cursor.copy(f"COPY pg_temp.{_quoted(name)} FROM STDIN") as copy:
            for batch in table.to_batches(max_chunksize=_COMMIT_ROWS):
                for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    copy.write_row(row)
        cursor.execute(f"ANALYZE pg_temp.{_quoted(name)}")
    return con.table(name, database=con._session_temp_db)


def private(con, path: Path) -> ir.Table:
    """Send a file as data into a temporary table, which ends with the session.

    Neither the server's log, which holds statements and not the data sent for them, nor another
    session sees it.
    """
    import pyarrow.parquet as pq

    return frame(con, pq.read_table(path))


def checksum(con, table: ir.Table) -> str:
    """Give the number of rows, and a checksum over all columns, whatever the rows' order."""
    checksum = "sum(hashtextextended(every::text, 0)::numeric)"
    query = f"SELECT count(*), {checksum} FROM ({con.compile(table)}) AS every"
    with con.begin() as cursor:
        number, total = cursor.execute(query).fetchone()
    return f"{number} {total}"
