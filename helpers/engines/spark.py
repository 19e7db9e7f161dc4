"""Spark, by the URL of its master: local[2], local-cluster[...], spark://host:7077.

The folders of the shop must lie where Spark's executors see them too. Options of a cluster, such as
the memory of an executor, are taken from Spark's own configuration or PYSPARK_SUBMIT_ARGS.
"""

import itertools
import logging
import os
import re
import shutil
import socket
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path

import ibis
import pandas as pd
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.expr import types as ir
from ibis.formats.pandas import PandasData
from ibis.formats.pyarrow import PyArrowData

from helpers.contract.shop import Shop
from helpers.engines import stacked

LETTER = r"\p{L}"
# Of Spark's own defaults, those that fit neither small tables nor a quiet notebook.
_OPTIONS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "OFF",
    "spark.sql.session.timeZone": "UTC",
    # What overflows or cannot be read is an error, as on DuckDB and PostgreSQL, not missing.
    "spark.sql.ansi.enabled": "true",
    # A view of many steps is printed in full wherever a plan is kept.
    "spark.sql.maxPlanStringLength": "1000",
}
_MARKS = {"f": r"\u000C", "v": r"\u000B", "a": r"\u0007"}
_NUMBERS = itertools.count()
# Connections of this process; with the last of them Java ends, and gives its memory back.
_OPEN: set[int] = set()


@cache
def _backend() -> type:
    """Give the backend's class; it needs PySpark, which a shop on another engine does without."""
    from ibis.backends.pyspark import Backend

    class Spark(Backend):
        """Ibis' own backend, whose queries keep the steps that they use more than once.

        Rows go to and from Python as Arrow tables alone: PySpark's own frames are made by ways of
        pandas that pandas is about to end.
        """

        def execute(self, expr: ir.Expr, /, *, params=None, limit=None, **options):
            """Give the frame, column or value of an expression, as Ibis does."""
            table = expr.as_table()
            found = rows_of(self, table).toArrow()
            # Column by column as of DuckDB, so that a frame is the same whatever the engine.
            columns = {
                name: column.to_pylist() if column.null_count else column.to_pandas()
                for name, column in zip(found.column_names, found.columns, strict=True)
            }
            frame = PandasData.convert_table(pd.DataFrame(columns), table.schema())
            return expr.__pandas_result__(frame)

        def to_pyarrow(self, expr: ir.Expr, /, *, params=None, limit=None, **options):
            """Give an expression as an Arrow table, as Ibis does."""
            table = expr.as_table()
            found = rows_of(self, table).toArrow()
            return expr.__pyarrow_result__(PyArrowData.convert_table(found, table.schema()))

        def _register_in_memory_table(self, op) -> None:
            _sent(self, op.data.to_pyarrow(op.schema), op.name)

    return Spark


def connect(shop: Shop):
    """Open a session of Spark, or the one that this process has already."""
    logging.getLogger().addFilter(_is_not_of_py4j)
    _check_reachable(shop)
    con = _backend()()
    con.register_options()
    con.do_connect(_session(shop))
    _OPEN.add(id(con))
    return con


def _is_not_of_py4j(record: logging.LogRecord) -> bool:
    """Leave out the trace that py4j prints when Java ends; what to do is said in a sentence."""
    return record.msg != "Exception while sending command."


def _check_reachable(shop: Shop) -> None:
    """Knock at a master's door, of which Spark itself would despair after a minute."""
    url = shop.url_with_secrets()
    if not url.startswith("spark://"):
        return
    failure = None
    for host, port in re.findall(r"([^,/]+):(\d+)", url.removeprefix("spark://")):
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        except OSError as error:
            failure = error
        else:
            return
    raise ConnectionError("no master answers") from failure


def _session(shop: Shop):
    """Start Java, quiet, where this process has none that lives; then Spark in it."""
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    if not _OPEN or not is_alive():  # none, or one in which Spark did not start
        _end()
    settings = {"spark.master": shop.url_with_secrets(), "spark.app.name": "ltv"}
    settings |= _OPTIONS | _of_shop(shop)
    if SparkContext._gateway is None:
        conf = SparkConf(loadDefaults=False).setAll(list(settings.items()))
        # Java prints to its standard error whatever it is told, into a notebook or on a terminal.
        with SparkContext._lock:
            SparkContext._gateway = launch_gateway(conf, {"stderr": subprocess.DEVNULL})
            SparkContext._jvm = SparkContext._gateway.jvm
    builder = SparkSession.builder
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session


def _of_shop(shop: Shop) -> dict[str, str]:
    """Give the options that shop.toml sets, and those that follow from its master."""
    options = {}
    if shop.memory_limit:
        options["spark.driver.memory"] = shop.memory_limit.lower().replace(" ", "").rstrip("b")
    if shop.spill_directory:
        options["spark.local.dir"] = str(shop.spill_folder)
    local = re.match(r"local(?:\[(\d+|\*).*\])?$", shop.url)
    cluster = re.match(r"local-cluster\[\s*(\d+)\s*,\s*(\d+)", shop.url)
    if cluster:
        cores = int(cluster[1]) * int(cluster[2])
    elif local:
        cores = int(local[1]) if (local[1] or "1").isdigit() else os.cpu_count() or 2
    else:
        return options
    # Tasks run on this machine's cores: more parts than cores only wait.
    return options | dict.fromkeys(
        ("spark.sql.shuffle.partitions", "spark.default.parallelism"), str(max(2, cores))
    )


def is_alive() -> bool:
    """Say whether the Java that this process started, if any, still answers for Spark."""
    from pyspark import SparkContext

    process = getattr(SparkContext._gateway, "proc", None)
    context = SparkContext._active_spark_context
    if process is not None and process.poll() is not None:
        return False
    with suppress(Exception):
        return context is None or not context._jsc.sc().isStopped()
    return False


def close(con) -> None:
    """Close the connection; with the last one Java ends."""
    _OPEN.discard(id(con))
    if not _OPEN:
        _end()


def _end() -> None:
    """End Spark and the Java that was started for it, in whatever state they are."""
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    gateway = SparkContext._gateway
    session = SparkSession._instantiatedSession
    with suppress(Exception):
        session.stop()
    SparkSession._instantiatedSession = SparkSession._activeSession = None
    SparkContext._active_spark_context = None
    if getattr(gateway, "proc", None) is None:
        return
    with suppress(Exception):
        gateway.shutdown()
    with suppress(Exception):
        gateway.proc.stdin.close()
        gateway.proc.wait(20)
    SparkContext._gateway = SparkContext._jvm = None


def rows_of(con, table: ir.Table):
    """Give Spark's data frame of an expression, with every step computed once.

    Spark plans and computes a named step (a common table expression) again wherever it is used: of
    steps upon steps that is 2, 4, 8 times. Those that are used more than once are kept before.
    """
    con._run_pre_execute_hooks(table)
    query = con.compiler.to_sqlglot(table)
    views: dict[str, str] = {}
    try:
        for step in query.ctes:
            name = f"ltv_step_{next(_NUMBERS)}"
            found = con._session.sql(_said(con, _renamed(step.this, views)))
            if step.this.find(sge.Join, sge.AggFunc, sge.Window, sge.Distinct, sge.SetOperation):
                found = found.localCheckpoint()
            found.createOrReplaceTempView(name)
            views[step.alias] = name
        query.set("with_", None)
        return _typed(con._session.sql(_said(con, _renamed(query, views))), table)
    finally:
        for name in views.values():
            con._session.catalog.dropTempView(name)


def _said(con, query: sge.Expression) -> str:
    r"""Give the words of a query, its marks as Spark reads them.

    Of ``\f`` and ``\v``, which sqlglot writes for two kinds of blanks, Spark takes the letters: a
    text stripped of blanks would lose every f and v at its ends.
    """
    return re.sub(r"\\(.)", lambda found: _MARKS.get(found[1], found[0]), query.sql(con.dialect))


def _typed(rows, table: ir.Table):
    """Give numbers the types that Ibis says they have: Spark takes a small literal for 32 bits."""
    from ibis.backends.pyspark.datatypes import PySparkType

    return rows.select(
        [
            rows[f"`{name}`"].cast(PySparkType.from_ibis(kind)).alias(name)
            if kind.is_integer() or kind.is_floating()
            else rows[f"`{name}`"]
            for name, kind in table.schema().items()
        ]
    )


def _renamed(query: sge.Expression, views: dict[str, str]) -> sge.Expression:
    """Let a query read the views that stand for its steps."""
    for table in query.find_all(sge.Table):
        if not table.db and table.name in views:
            if not table.alias:
                table.set("alias", sge.TableAlias(this=sg.to_identifier(table.name, quoted=True)))
            table.set("this", sg.to_identifier(views[table.name], quoted=True))
    return query


def named(con, name: str, table: ir.Table) -> ir.Table:
    """Keep the step: a view of views would be planned and computed anew at every question."""
    return kept(con, name, table)


def kept(con, name: str, table: ir.Table) -> ir.Table:
    """Keep a table in the memory of the executors, or on their disks.

    As a checkpoint, which has no past: of a table that is only cached every later plan holds all
    the steps that led to it, twice for every join, and takes minutes to be read.
    """
    rows_of(con, table).localCheckpoint().createOrReplaceTempView(name)
    return con.table(name)


def copied(con, table: ir.Table, path: Path) -> ir.Table:
    """Keep a table in scratch files."""
    write(con, table, path, ())
    return read(con, (path,))


def write(con, table: ir.Table, path: Path, order: tuple[str, ...]) -> None:
    """Write a folder of Parquet files, sorted throughout."""
    table = table.order_by(order) if order else table
    rows_of(con, table).write.mode("overwrite").parquet(str(path))


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
    return stacked([con.read_parquet(str(path)) for path in paths])


def exists(con, path: Path) -> bool:
    """Look for the mark that Spark leaves in a folder that it has finished."""
    return path.is_file() or (path / "_SUCCESS").is_file()


def moved(con, stage: Path, target: Path, names) -> None:
    """Leave the files to whoever renames their folder."""


def dropped(con, folder: Path) -> None:
    """Leave the files to whoever deletes their folder."""


def frame(con, table) -> ir.Table:
    """Send a small table to the executors."""
    name = f"ltv_frame_{next(_NUMBERS)}"
    _sent(con, table, name)
    return con.table(name)


def _sent(con, table, name: str) -> None:
    from ibis.backends.pyspark.datatypes import PySparkSchema

    schema = PySparkSchema.from_ibis(ibis.Schema.from_pyarrow(table.schema))
    con._session.createDataFrame(table, schema=schema).createOrReplaceTempView(name)


def private(con, path: Path) -> ir.Table:
    """Read the file where it lies."""
    return con.read_parquet(str(path))


def checksum(con, table: ir.Table) -> str:
    """Give the number of rows, and a checksum over all columns, whatever the rows' order."""
    checksum = "CAST(SUM(CAST(XXHASH64(*) AS DECIMAL(38, 0))) AS STRING)"
    [(number, total)] = rows_of(con, table).selectExpr("COUNT(*)", checksum).collect()
    return f"{number} {total}"
