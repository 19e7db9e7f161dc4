"""Forgotten ids inside the texts of a table, such as the coupon ``FRIEND-anna@x.org``.

The suppression list names nobody, so whatever could be an id in a text (words that follow each
other, as they stand) is sealed and compared with the list. Nothing is looked at while that list is
empty; otherwise each different text of a column is looked at once.
"""

import re
from collections.abc import Callable, Iterator

import ibis
from ibis.expr import types as ir

from helpers import engines
from helpers.contract.shop import Shop
from helpers.contract.tables import PERSON_COLUMNS, TABLES
from helpers.persons import keys as persons
from helpers.persons.words import Words, is_short

_BATCH_ROWS = 200_000
# An id of more words than these, or in a text after more, is not looked for inside a text.
_MOST_WORDS, _LONGEST_TEXT = 8, 200
_WORD = re.compile(r"[^\w\s]*(\w+)")
_PHONE = re.compile(r"[+(][0-9 ()./-]+")
# Persons have columns of their own, and names and addresses are only counted, never kept.
_ELSEWHERE = (*PERSON_COLUMNS, "person")
KEYS = frozenset(
    column.name
    for table in TABLES.values()
    for column in table.columns
    if column.name.endswith(("_id", "refund_of")) and column.name not in PERSON_COLUMNS
)


def scrubbed(con, table: ir.Table, shop: Shop, *, stored: str = "") -> ir.Table:
    """Take forgotten ids out of every text of a table but those of `persons.suppressed`.

    An id becomes ``forgotten``; in a column of keys (an order's id, or one that refers to it) the
    whole key becomes `persons.sealing`'s word for it. Columns may be ``written_...``. A small
    table that takes long to make is ``stored`` in the engine under that name.
    """
    import pyarrow as pa

    is_listed, kept = persons.listed_among(shop), table.columns
    if not is_listed:
        return table
    seal = persons.sealing(shop)
    table = engines.kept(con, stored, table) if stored else table
    for name in kept:
        column = name.removeprefix("written_")
        if not table[name].type().is_string() or column in _ELSEWHERE:
            continue
        found = _changes(con, table, name, is_listed, seal if column in KEYS else None)
        if not found:
            continue
        new = {"old__": pa.array([*found], pa.string()), "new__": pa.array([*found.values()])}
        names = engines.frame(con, pa.table(new))
        joined = table.left_join(names, table[name] == names.old__)
        table = joined.mutate(**{name: ibis.coalesce(joined.new__, joined[name])}).select(kept)
    return table


def _changes(
    con, table: ir.Table, name: str, is_listed: Callable, seal: Callable | None
) -> dict[str, str]:
    """Give the different texts of a column that hold a forgotten id, each with what it becomes."""
    texts, found = table.filter(table[name].notnull()).select(text=table[name]).distinct(), {}
    for batch in con.to_pyarrow_batches(texts, chunk_size=_BATCH_ROWS):
        for text in batch.column("text").to_pylist():
            held = {part for part, each in _candidates(text) if is_listed(each)}
            if text in held:
                found[text] = seal(text) if seal else persons.FORGOTTEN
            elif new := Words(frozenset(held)).without({text}):
                found[text] = seal(text) if seal else new[text]
    return found


def _candidates(text: str) -> Iterator[tuple[str, str]]:
    """Give whatever may be an id in a text: as it stands, and as ids are cleaned."""
    words = list(_WORD.finditer(text))[:_LONGEST_TEXT]
    seen = {text.strip(), persons.bare(text)}
    for first, start in enumerate(words):
        begins = range(start.start(), start.start(1) + 1)
        for last in words[first : first + _MOST_WORDS]:
            seen |= {text[begin : last.end()] for begin in begins}
    for part in sorted(seen - {persons.FORGOTTEN}):
        if not is_short(part):
            yield (text if part in (text.strip(), persons.bare(text)) else part), _as_person(part)


def _as_person(text: str) -> str:
    """Give an id inside a text as `persons.to_id` does, where it is an address or a telephone."""
    if _PHONE.fullmatch(text) and sum(each.isdigit() for each in text) >= 7:
        return text[:1].replace("(", "") + "".join(filter(str.isdigit, text))
    return text.lower() if "@" in text else text
