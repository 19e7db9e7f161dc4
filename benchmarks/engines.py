"""A whole month on each engine: how long it takes, and whether its tables say the same.

The sample shop's month is made from nothing on DuckDB, on Spark in one Java process per notebook
(`local[2]`) and with executors in processes of their own (`local-cluster`), and on a PostgreSQL
server that the benchmark starts and stops. Each is a run of the command line on a copy of the shop.
Every table of the published pages is then held against DuckDB's: alike to the byte, or by how much
its numbers differ.

    make bench-engines
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import pandas as pd
import psycopg
from startup import tree_memory

from tests_engines.server import PASSWORD, Server
from tests_engines.shops import fill, sample_on

_ROOT = Path(__file__).resolve().parent.parent
_TARGET = _ROOT / "reports" / "benchmarks" / "engines.md"
_MONTH = "2026-06"
_ENGINES = {
    "duckdb": ("duckdb", ""),
    "pyspark, local[2]": ("pyspark", "local[2]"),
    "pyspark, local-cluster[2,1,1024]": ("pyspark", "local-cluster[2,1,1024]"),
    "postgres": ("postgres", ""),
}
_POLL_SECONDS = 2.0


def month_on(place: Path, engine: str, url: str) -> tuple[float, float, str]:
    """Make the month on an engine: seconds, peak memory of the tree, and what failed."""
    shop = sample_on(place / "sample", engine, url)
    own = {"LTV_WORK": str(place / "work"), "LTV_REPORTS": str(place / "reports")}
    environment = {**os.environ, **own, "LTV_TEST_PASSWORD": PASSWORD}
    command = [sys.executable, "-m", "helpers", "report", "--shop", shop, "--month", _MONTH]
    began, peak = time.perf_counter(), 0.0
    process = subprocess.Popen(
        command, cwd=_ROOT, env=environment, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    while process.poll() is None:
        peak = max(peak, tree_memory(environment["LTV_WORK"]))
        time.sleep(_POLL_SECONDS)
    failed = process.stderr.read().strip() if process.returncode else ""
    return time.perf_counter() - began, peak, failed


def held_against(place: Path, other: Path) -> tuple[int, int, float]:
    """Compare the tables of two months: how many, how many alike, the largest relative gap."""
    here, there = (folder / "reports" / "sample" / _MONTH / "tables" for folder in (place, other))
    names = sorted({path.name for folder in (here, there) for path in folder.glob("*.csv")})
    alike, widest = 0, 0.0
    for name in names:
        if (here / name).read_bytes() == (there / name).read_bytes():
            alike += 1
            continue
        # What a server keeps has the names of its tables where a file would have its own.
        a, b = (
            pd.read_csv(folder / name).drop(columns="files", errors="ignore")
            for folder in (here, there)
        )
        numbers = a.select_dtypes("number").columns
        if a.shape != b.shape or not a.drop(columns=numbers).equals(b.drop(columns=numbers)):
            widest = np.inf
            continue
        size = np.maximum(a[numbers].abs(), b[numbers].abs()).replace(0, 1)
        gap = ((a[numbers] - b[numbers]).abs() / size).max(axis=None)
        widest = max(widest, 0.0 if np.isnan(gap) else float(gap))
    return len(names), alike, widest


@click.command()
@click.option("--only", default="", help="One engine beside DuckDB, by the start of its name.")
def main(only: str) -> None:
    """Make the month on each engine, compare, and write the page."""
    lines = [
        "# A whole month on each engine",
        "",
        "The sample shop's month from nothing by the command line, one engine after the other.",
        "Each ran once, whatever else the machine did: the clock gives the order of size.",
        "Tables are those of all published pages, held against DuckDB's. Spark starts Java anew",
        "for each notebook and plans for large tables; on a shop this small that is its cost. On a",
        "server one table is not alike to the byte: the list of sources has its tables' names.",
        "Made by `make bench-engines`.",
        "",
        "| engine | seconds | peak memory | tables | alike to the byte | largest relative gap |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    server = Server()
    try:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            fill(connection)
        with tempfile.TemporaryDirectory() as scratch:
            for number, (name, (engine, url)) in enumerate(_ENGINES.items()):
                if number and only and not name.startswith(only):
                    continue
                place = Path(scratch) / str(number)
                url = server.url("${LTV_TEST_PASSWORD}") if engine == "postgres" else url
                seconds, peak, failed = month_on(place, engine, url)
                if failed:
                    raise click.ClickException(f"{name}: {failed}")
                tables, alike, gap = held_against(place, Path(scratch) / "0")
                lines.append(
                    f"| {name} | {seconds:.0f} | {peak / 1e3:.1f} GB | {tables} | {alike} "
                    f"| {gap:.1g} |"
                )
                click.echo(lines[-1])
    finally:
        server.close()
    _TARGET.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
