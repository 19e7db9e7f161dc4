"""Spark, by the URL of its master: local[2], local-cluster[...], spark://host:7077.

The folders of the shop must lie where Spark's executors see them too. Options of a cluster, such as
the memory of an executor, are taken from Spark's own configuration or PYSPARK_SUBMIT_ARGS.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from warnings import filterwarnings

import ibis
from ibis.expr import types as ir

from helpers.contract.shop import Shop

LETTER = r"\p{L}"
# Of Spark's own defaults, those that fit neither small tables nor a quiet notebook.
_OPTIONS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "OFF",
    "spark.sql.session.timeZone": "UTC",
    # A value that cannot be cast is missing, and what is divided by nothing too, as on DuckDB.
    "spark.sql.ansi.enabled": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # A view of many steps is printed in full wherever a plan is kept.
    "spark.sql.maxPlanStringLength": "1000",
}


def connect(shop: Shop):
    """Open a session of Spark, or the one that this process has already."""
    from pyspark.sql import SparkSession

    # At every frame it gives; whether its frames are right with pandas 3 is for our tests to say.
    filterwarnings("ignore", message="PySpark does not yet fully support pandas")
    builder = SparkSession.builder.master(shop.url_with_secrets()).appName("ltv")
    for key, value in (_OPTIONS | _of_shop(shop)).items():
        builder = builder.config(key, value)
    with _quiet_java():
        session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return ibis.pyspark.connect(session)


def _of_shop(shop: Shop) -> dict[str, str]:
    """Give the options that shop.toml sets, and those that follow from its master."""
    options = {}
    if shop.memory_limit:
        options["spark.driver.memory"] = shop.memory_limit.lower().replace(" ", "").rstrip("b")
    if shop.spill_directory:
        options["spark.local.dir"] = str(shop.spill_folder)
    if shop.url.startswith("local["):
        # Tasks of a local master run on this machine's cores: more parts than cores only wait.
        cores = shop.url.removeprefix("local[").partition("]")[0].partition(",")[0]
        number = cores if cores.isdigit() else str(os.cpu_count() or 2)
        options |= {"spark.sql.shuffle.partitions": number, "spark.default.parallelism": number}
    return options


@contextmanager
def _quiet_java() -> Iterator[None]:
    """Start Java with its standard error sent nowhere: it prints there whatever it is told.

    Not in files of the notebook, whose output is compared with what is stored, and not on a
    terminal, where its lines would hide the one that says what went wrong.
    """
    sys.stderr.flush()
    old, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(old, 2)
        os.close(old)
        os.close(nowhere)


def close(con) -> None:
    """Forget what the session keeps; Java goes on, as a new start takes twenty seconds."""
    con._session.catalog.clearCache()


def named(con, name: str, table: ir.Table) -> ir.Table:
    """Keep the step: a view of views would be planned and computed anew at every question."""
    return kept(con, name, table)


def kept(con, name: str, table: ir.Table) -> ir.Table:
    """Keep a table in the memory of the executors, or on their disks.

    As a checkpoint, which has no past: of a table that is only cached every later plan holds all
    the steps that led to it, twice for every join, and takes minutes to be read.
    """
    con._run_pre_execute_hooks(table)
    found = con._session.sql(con.compile(table)).localCheckpoint()
    found.createOrReplaceTempView(name)
    return con.table(name)


def copied(con, table: ir.Table, path: Path) -> ir.Table:
    """Keep a table in scratch files."""
    write(con, table, path, ())
    return read(con, (path,))


def write(con, table: ir.Table, path: Path, order: tuple[str, ...], **options) -> None:
    """Write a folder of Parquet files, sorted throughout."""
    table = table.order_by(order) if order else table
    con._run_pre_execute_hooks(table)
    con._session.sql(con.compile(table)).write.mode("overwrite").parquet(str(path))


def write_whole(con, table: ir.Table, path: Path, order: tuple[str, ...]) -> None:
    """Write a folder beside its place, then rename it."""
    part = path.with_suffix(".part")
    try:
        write(con, table, part, order)
        part.replace(path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def executed(con, table: ir.Table):
    """Give a frame."""
    return con.execute(table)


def read(con, paths: tuple[Path, ...]) -> ir.Table:
    """Open Parquet, one or several below each other; a column that one lacks is missing there."""
    tables = [con.read_parquet(str(path)) for path in paths]
    return stacked(tables)


def stacked(tables: list[ir.Table]) -> ir.Table:
    """Lay tables one below the other, their columns by name."""
    kinds = {name: kind for table in tables for name, kind in table.schema().items()}
    if len(tables) == 1:
        return tables[0]
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


def exists(con, path: Path) -> bool:
    """Look for the mark that Spark leaves in a folder that it has finished."""
    return path.is_file() or (path / "_SUCCESS").is_file()


def moved(con, stage: Path, target: Path, names) -> None:
    """Leave the files to whoever renames their folder."""


def dropped(con, folder: Path) -> None:
    """Leave the files to whoever deletes their folder."""


def frame(con, table) -> ir.Table:
    """Hand a small table over as a file: PySpark takes pandas' newer text columns for objects."""
    import pyarrow.parquet as pq

    path = Path(tempfile.mkdtemp(prefix="ltv-")) / "frame.parquet"
    pq.write_table(table, path, coerce_timestamps="us")
    found = con._session.read.parquet(str(path)).localCheckpoint()
    path.unlink()
    path.parent.rmdir()
    name = path.parent.name.replace("-", "_")
    found.createOrReplaceTempView(name)
    return con.table(name)


def private(con, path: Path) -> ir.Table:
    """Read the file where it lies."""
    return con.read_parquet(str(path))


def checksum(con, table: ir.Table) -> str:
    """Give the number of rows, and a checksum over all columns, whatever the rows' order."""
    rows = con._session.sql(con.compile(table))
    checksum = "CAST(SUM(CAST(XXHASH64(*) AS DECIMAL(38, 0))) AS STRING)"
    [(number, total)] = rows.selectExpr("COUNT(*)", checksum).collect()
    return f"{number} {total}"
