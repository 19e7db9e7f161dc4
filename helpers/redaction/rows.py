"""Which cells of a row hold persons, and taking the forgotten ones out of rows of texts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from helpers import headers, persons
from helpers.persons import FORGOTTEN
from helpers.settings import Source
from helpers.tables import TABLES

_CHUNK_ROWS = 50_000
# Headers of columns that hold persons, whoever named them (`names_a_person`).
_PERSON_WORDS = ("customer", "client", "user", "buyer", "member", "household", "mail", "person")
_PERSON_WORDS += ("kunde", "patron", "account", "referred")


@dataclass(frozen=True)
class Gone:
    """The ids to forget, as cleaned, and the engine that cleans what is compared with them.

    ``shop`` is the shop's name for errors.
    """

    con: object
    ids: frozenset[str]
    shop: str = "the shop"

    def among(self, texts: Iterable[str]) -> dict[str, str]:
        """Give those texts that are one of the ids once cleaned, each with that id."""
        import ibis
        import pyarrow as pa

        given = ibis.memtable(pa.table({"text": pa.array(list(texts), pa.string())}))
        cleaned = given.select("text", id=persons.to_id(given.text))
        found = self.con.to_pyarrow(cleaned.filter(cleaned.id.notnull())).to_pydict()
        pairs = zip(found["text"], found["id"], strict=True)
        return {text: customer for text, customer in pairs if customer in self.ids}


@dataclass
class Found:
    """What a file held: rows with a forgotten id, and the ids that were met."""

    rows: int = 0
    ids: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Plan:
    """Which columns of a file hold persons, by position.

    ``own`` make up the id of the row's customer; ``other`` hold another person; ``searched`` may
    hold the row's customer; ``emptied`` are emptied in a row about a forgotten customer.
    """

    own: tuple[int, ...] = ()
    other: tuple[int, ...] = ()
    searched: tuple[int, ...] = ()
    loose: frozenset[int] = frozenset()
    emptied: tuple[int, ...] = ()


def is_short(customer: str) -> bool:
    """Say whether an id is too short to be told from other cells and words.

    Purely numeric ids of fewer than six digits, and others of fewer than four characters: ``12``
    is a quantity more often than a customer. Such ids are looked for only where customers stand.
    """
    return len(customer) < (6 if customer.isdigit() else 4)


def names_a_person(header: str) -> bool:
    """Say whether a header sounds like a column of persons."""
    folded = headers.folded(header)
    return any(word in folded for word in _PERSON_WORDS)


def plan(header: list[str], source: Source | None) -> Plan:
    """Say which columns of a file hold persons, as shop.toml maps them (None: by their names).

    With a ``query`` the mapping names what the query gives, so every column of the file is
    searched but those of amounts, numbers and days, and those the query names are kept.
    """
    if source is None:
        likely = tuple(place for place, name in enumerate(header) if names_a_person(name))
        rest = tuple(place for place in range(len(header)) if place not in likely)
        return Plan(other=likely, searched=rest, loose=frozenset(rest))
    mapped = _mapped(header, source)
    own, other = mapped.get("customer_id", ()), mapped.get("referred_by", ())
    kinds = {column.name: column.type for column in TABLES[source.table].columns}
    taken = {place for name, places in mapped.items() if name != "person" for place in places}
    query = source.query
    if query:
        typed = {p for name, places in mapped.items() if kinds[name] != "text" for p in places}
        named = {
            place
            for place, name in enumerate(header)
            if headers.folded(name) in headers.folded(query)
        }
        searched = [p for p in range(len(header)) if p not in {*typed, *own, *other}]
        kept = taken | named
    else:
        searched = [p for p in range(len(header)) if p not in taken]
        kept = taken if source.table != "customers" else set()
    return Plan(
        own=own,
        other=other,
        searched=tuple(searched),
        loose=frozenset(place for place in searched if not names_a_person(header[place])),
        emptied=tuple(place for place in range(len(header)) if place not in {*kept, *own, *other}),
    )


def _mapped(header: list[str], source: Source) -> dict[str, tuple[int, ...]]:
    """Give the places of the columns that each canonical column is made of, as at ingest."""
    read, found = headers.columns_read(header, source), {}
    for column in TABLES[source.table].columns:
        given = source.columns.get(column.name, column.name)
        names = [headers.matched(each, [*read]) for each in _listed(given)]
        inside = [read[name] if name else None for name in names]
        if None not in inside:
            found[column.name] = tuple(header.index(name) for name in inside)
    return found


def _listed(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def redact_rows(rows: list[list], layout: Plan, gone: Gone, found: Found, empty: object) -> None:
    """Change rows in place; cells of any kind are compared by their text."""
    looked = {*layout.other, *layout.searched}
    texts = {str(row[p]) for row in rows for p in looked if p < len(row) and row[p] is not None}
    hits = gone.among(texts | {_id(row, layout.own) for row in rows})
    if not hits:
        return
    for row in rows:
        own = hits.get(_id(row, layout.own)) if layout.own else None
        cells = {}
        for place in looked:
            customer = hits.get(str(row[place])) if place < len(row) else None
            if customer and not (place in layout.loose and is_short(customer)):
                cells[place] = customer
        if own or cells:
            found.rows += 1
            found.ids |= {*cells.values(), *({own} if own else ())}
        if own or any(place in layout.searched for place in cells):
            for place in layout.emptied:
                if place < len(row):
                    row[place] = empty
        for place in (*cells, *(layout.own if own else ())):
            row[place] = FORGOTTEN


def _id(row: list, own: tuple[int, ...]) -> str:
    """Give the text of the row's own customer, parts joined as at ingest."""
    if any(place >= len(row) for place in own):
        return ""
    cells = [row[place] for place in own]
    if len(cells) == 1:
        return "" if cells[0] is None else str(cells[0])
    return "-".join("" if cell is None else str(cell).strip() for cell in cells)


def chunks(rows: Iterable[list]) -> Iterator[list[list]]:
    """Give rows in lists of a bounded length."""
    rows = iter(rows)
    while chunk := list(islice(rows, _CHUNK_ROWS)):
        yield chunk
