"""What to say when an engine fails: one sentence, with nothing of what the engine said.

An engine's own words may hold a customer's row, a password, or a page of Java.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from helpers.contract.shop import Shop
from helpers.errors import DataError, WorkbookError

_NAMES = {"duckdb": "DuckDB", "pyspark": "Spark", "postgres": "PostgreSQL"}


@contextmanager
def told(shop: Shop) -> Iterator[None]:
    """Turn an engine's failure into a DataError that says what to do; others pass."""
    try:
        yield
    except WorkbookError:
        raise
    except Exception as error:
        if message := sentence(shop, error):
            raise DataError(f"{shop.name}: {message}") from None
        raise


def sentence(shop: Shop, error: BaseException) -> str:
    """Say what happened and what to do, for a failure of an engine; empty for any other error."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(shop)
    package = type(error).__module__.partition(".")[0].lstrip("_")
    if package == "duckdb":
        return _of_duckdb(shop, error)
    if package == "psycopg":
        return _of_postgres(shop, error)
    if package in ("py4j", "pyspark"):
        return _of_spark(shop, error)
    if isinstance(error, ConnectionError) and shop.engine == "pyspark":
        return _lost(shop)
    if isinstance(error, ModuleNotFoundError) and error.name in ("psycopg", "pyspark"):
        return (
            f'engine is "{shop.engine}", and its package {error.name} is not installed. Run: '
            f"python -m pip install -r requirements-{_NAMES[shop.engine].lower()[:8]}.txt"
        )
    return ""


def _of_duckdb(shop: Shop, error: BaseException) -> str:
    kind, text = type(error).__name__, str(error)
    if _is_full(text) or "max_temp_directory_size" in text:
        return _full(shop)
    if kind == "OutOfMemoryException":
        limit = f" of {shop.memory_limit}" if shop.memory_limit else ""
        return (
            f"the memory limit{limit} is exhausted. Raise memory_limit in shop.toml, lower "
            "threads, or name a folder on a disk with room as spill_directory."
        )
    if kind == "IOException" and "temp" in text.lower():
        return "DuckDB cannot write what does not fit in memory; mend spill_directory in shop.toml."
    return ""


def _of_postgres(shop: Shop, error: BaseException) -> str:
    state, kind = getattr(error, "sqlstate", None) or "", type(error).__name__
    text = str(error)
    if state == "28P01" or "password authentication failed" in text or "no password" in text:
        return (
            "PostgreSQL refused the user or the password. Check the url in shop.toml and the "
            "environment variables that it names."
        )
    if state == "3D000" or ("database" in text and "does not exist" in text):
        return "PostgreSQL has no database of the name in url; mend it in shop.toml."
    if state.startswith("28") or "no pg_hba.conf entry" in text:
        return "PostgreSQL does not let this user in from here; ask whoever keeps the database."
    if state == "42501":
        return (
            f"the user of url may not read a table that shop.toml names, or not create tables in "
            f"the schema '{shop.schema}'; have it GRANTed."
        )
    if state == "3F000":
        return f"the schema '{shop.schema}' is not in the database any more; have it made again."
    if state == "42P01":
        return "a table that was there is gone from the database; run again to have it made."
    if state in ("53100", "53400") or _is_full(text):
        return _full(shop)
    if state.startswith("53"):
        return "PostgreSQL has no memory or connection left for this; ask whoever keeps it."
    if state == "57014":
        return "PostgreSQL stopped a statement that took longer than it allows (statement_timeout)."
    if state.startswith(("08", "57P")) or kind in ("OperationalError", "InterfaceError"):
        return _lost(shop)
    return ""


def _of_spark(shop: Shop, error: BaseException) -> str:
    try:
        text = f"{type(error).__name__} {error} {getattr(error, 'java_exception', '')}"
    except Exception:
        return _lost(shop)  # Java's words are asked of Java, and it is gone.
    if _is_full(text):
        return _full(shop)
    if "OutOfMemoryError" in text or "Total size of serialized results" in text:
        return (
            "Spark has no memory left. Raise memory_limit in shop.toml (that of the driver, in "
            "which a local master works), or give a cluster's executors more."
        )
    if "_MEMORY_TOO_SMALL" in text or "must be at least" in text:
        return f"Spark does not start with so little: memory_limit is {shop.memory_limit}."
    if "JAVA_GATEWAY_EXITED" in text:
        return (
            "Spark could not start Java. Install Java 17 or later (on Debian: "
            "openjdk-17-jre-headless), or set JAVA_HOME."
        )
    if any(f"{what}_NOT_FOUND" in text for what in ("CATALOG", "SCHEMA", "TABLE_OR_VIEW")):
        return "Spark's catalog has no table of a name in shop.toml; mend it under [tables]."
    if "PATH_NOT_FOUND" in text or "FileNotFoundException" in text:
        return (
            "a file of the shop's folder is gone, or Spark's executors do not see that folder; it "
            "must lie where they do. Run again to have it made."
        )
    from helpers.engines.spark import is_alive

    gone = ("NetworkError", "Connection refused", "SparkContext", "Could not parse Master URL",
            "Job aborted")  # fmt: skip
    return _lost(shop) if not is_alive() or any(word in text for word in gone) else ""


def _is_full(text: str) -> bool:
    return "No space left on device" in text or "Disk quota exceeded" in text


def _lost(shop: Shop) -> str:
    if shop.engine == "pyspark":
        return (
            "Spark cannot be reached, or ended while it worked, most often because its memory was "
            "exhausted. Check the url, raise memory_limit in shop.toml (or give executors more), "
            "and run again: nothing half-written was kept."
        )
    return (
        f"{_NAMES[shop.engine]} cannot be reached, or the connection was lost. Check that it runs, "
        "and the url in shop.toml; then run again: nothing half-written was kept."
    )


def _full(shop: Shop) -> str:
    where = {
        "duckdb": "the disk of the shop's folder or of spill_directory",
        "pyspark": "the disk of the shop's folder, or one of Spark's own",
        "postgres": "the database's disk",
    }
    return f"{where[shop.engine]} is full. Make room, and run again: nothing half-written was kept."
