"""Summaries as plain DuckDB SQL, written apart from the workbook's expressions, for the same rows.

One file a summary under `benchmarks/sql/`: those that go through all orders or all customers of a
shop. A statement finds clean tables and other summaries as views by their names, and options as
variables: ``getvariable('as_of')``. Tests hold every file to the workbook's own answer; the
benchmark of sizes holds the workbook to what the files cost.
"""

import re
from pathlib import Path

from helpers import summaries
from helpers.contract.tables import TABLES
from helpers.study import Study

FOLDER = Path(__file__).resolve().parent / "sql"
# Sources before what is made from them, as they are listed.
NAMES = [name for name in summaries.SUMMARIES if (FOLDER / f"{name}.sql").is_file()]


def offered(
    study: Study, name: str, options: dict[str, object], made: dict[str, Path] | None = None
) -> str:
    """Give a summary's statement, with its sources as views and its options as variables.

    A source in ``made`` is read from that file; the others are the workbook's own.
    """
    con, said = study.con, (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    for source in set(re.findall(r"(?:FROM|JOIN)\s+(\w+)", said)):
        if made and source in made:
            table = con.read_parquet(made[source])
        elif source in summaries.SUMMARIES:
            table = summaries.engine_table(study, source)
        elif source in TABLES:
            table = study.table(source)
        else:
            continue
        con.create_view(source, table, overwrite=True)
    for option, value in {"as_of": study.end, **options}.items():
        con.raw_sql(f'SET VARIABLE "{option}" = {_said(value)}')
    return said


def _said(value: object) -> str:
    text = str(value)
    if isinstance(value, (int, float)):
        return text
    return f"DATE '{text}'" if text[:4].isdigit() else f"'{text}'"
