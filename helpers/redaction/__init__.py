"""Taking a person out of the cells of a shop's own files, so that their totals still hold.

A cell is a person's if it reads as the id once it is cleaned, by the same expression that cleans
it at ingest. It becomes ``forgotten``, which ingest sets aside as such; in a row about that person,
cells that nothing is mapped from (names, addresses) and those of ``person`` are emptied. Amounts,
days, order ids and products stay. A file is written beside its place and renamed.
"""

from pathlib import Path

from helpers.redaction.rows import Found, Gone, Plan, is_short, names_a_person, plan
from helpers.settings import Source

__all__ = ["Found", "Gone", "Plan", "is_short", "names_a_person", "plan", "redact"]


def redact(path: Path, source: Source | None, gone: Gone, *, write: bool = True) -> Found:
    """Take forgotten persons out of one file; without ``write``, only count what it holds.

    ``source`` says what its columns are; None is a file that no table is read from. Raises
    DataError for a file that cannot be read.
    """
    from helpers.redaction import tables, text

    name = path.name.lower()
    if name.endswith((".parquet", ".pq")):
        return tables.redact_parquet(path, source, gone, write=write)
    if name.endswith(".xlsx"):
        return tables.redact_workbook(path, source, gone, write=write)
    return text.redact_text(path, source, gone, write=write)
