"""Taking a person out of the cells of a shop's own files, so that their totals still hold.

A cell is a person's if it reads as the id once it is cleaned, by the same expression that cleans
it at ingest. It becomes ``forgotten``, which ingest sets aside as such; in a row about that person,
cells that nothing is mapped from (names, addresses), those of ``person``, and further contacts that
a query would take for the customer are emptied. In all other texts the id becomes ``forgotten``
where it stands as a word of its own; an order's id, or another key, becomes a word that is the same
for the same key in every file. Amounts and days stay. A file is written beside its place and
renamed.
"""

from collections.abc import Sequence
from pathlib import Path

from helpers.contract.settings import Source
from helpers.privacy.redaction.rows import Found, Gone, Plan, names_a_person, plan

__all__ = ["Found", "Gone", "Plan", "names_a_person", "plan", "redact"]


def redact(
    path: Path,
    source: Source | None,
    gone: Gone,
    *,
    write: bool = True,
    others: Sequence[Source] = (),
) -> Found:
    """Take forgotten persons out of one file; without ``write``, only count what it holds.

    ``source`` says what its columns are; None is a file that no table is read from. ``others`` read
    the same file, and what they read stays. Raises DataError for a file that cannot be read.
    """
    from helpers.privacy.redaction import tables, text

    name = path.name.lower()

    def layout(header: list[str]) -> Plan:
        return plan(header, source, others)

    if name.endswith((".parquet", ".pq")):
        return tables.redact_parquet(path, layout, gone, write=write)
    if name.endswith(".xlsx"):
        return tables.redact_workbook(path, source, layout, gone, write=write)
    return text.redact_text(path, source, layout, gone, write=write)
