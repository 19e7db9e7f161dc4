"""Which cells of a row hold persons, and taking the forgotten ones out of rows of texts."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from itertools import islice

from helpers.contract.settings import Source
from helpers.contract.tables import TABLES
from helpers.persons import keys as persons
from helpers.persons import scrub
from helpers.persons.keys import FORGOTTEN
from helpers.persons.words import Words, is_short
from helpers.sources import headers

_CHUNK_ROWS = 50_000
# Headers of columns that hold persons, whoever named them (`names_a_person`).
_PERSON_WORDS = ("customer", "client", "user", "buyer", "member", "household", "mail", "person")
_PERSON_WORDS += ("kunde", "patron", "account", "referred")
# What else a query may take for the customer.
_CONTACT_WORDS = (*_PERSON_WORDS, "phone", "telefon", "mobile")
_AMOUNT = re.compile(r"as_amount\s*\(\s*\"?([^\")]+)\"?\s*\)")


@dataclass(frozen=True)
class Gone:
    """The ids to forget, as cleaned, and the engine that cleans what is compared with them.

    ``shop`` is the shop's name for errors; ``words`` are looked for inside texts (missing: the
    ids), and ``seal`` writes what stands for a key that held one (`persons.sealing`).
    """

    con: object
    ids: frozenset[str]
    shop: str = "the shop"
    words: Words | None = None
    seal: Callable[[str], str] = lambda text: f"{FORGOTTEN}-{sha256(text.encode()).hexdigest()}"

    @cached_property
    def sought(self) -> Words:
        """Give what is looked for inside texts."""
        return self.words or Words(self.ids)

    @cached_property
    def lettered(self) -> Words:
        """Give those with a letter, which no amount, day or number of an order can be."""
        return Words(frozenset(w for w in self.sought.every if any(c.isalpha() for c in w)))

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
    hold the row's customer; ``emptied`` are emptied in a row about a forgotten customer, and of
    ``contacts`` all but the first that is filled, if that is the customer's. In all others ids are
    looked for inside the text, unless ``whole`` says that only the cell as a whole can be one: in
    ``keys`` different values must stay different, and ``typed`` hold amounts and days, which may
    look like an id of digits.
    """

    own: tuple[int, ...] = ()
    other: tuple[int, ...] = ()
    searched: tuple[int, ...] = ()
    loose: frozenset[int] = frozenset()
    emptied: tuple[int, ...] = ()
    contacts: tuple[int, ...] = ()
    keys: frozenset[int] = frozenset()
    typed: frozenset[int] = frozenset()
    whole: frozenset[int] = frozenset()

    def instead(self, place: int, text: str, held: "Held", gone: Gone) -> str | None:
        """Give what a cell becomes, None if it stays."""
        if place in self.typed:
            return held.typed.get(text)
        customer = held.ids.get(text)
        stands = place in self.other or (place in self.searched and place not in self.loose)
        if customer and (stands or not is_short(customer)):
            return gone.seal(customer) if place in self.keys else FORGOTTEN
        if place in self.whole or text not in held.inside:
            return None
        return gone.seal(text) if place in self.keys else held.inside[text]

    def is_about(self, place: int, text: str, held: "Held") -> bool:
        """Say whether a cell that changes shows the row to be about a forgotten customer."""
        if place in self.keys:
            # A number may be an order's by chance; and who is named in the row is who it is about.
            return text in held.lettered and not (self.own or self.contacts)
        return place in self.searched and text in held.ids


@dataclass(frozen=True)
class Held:
    """What texts hold: those that are an id (``ids``), and those with ids inside, as they become.

    ``lettered`` are those that hold an id with a letter, ``typed`` the same of amounts and days.
    """

    ids: dict[str, str]
    inside: dict[str, str]
    lettered: frozenset[str]
    typed: dict[str, str]

    @property
    def any(self) -> bool:
        """Say whether anything was found."""
        return bool(self.ids or self.inside or self.typed)


def held_by(gone: Gone, texts: set[str], typed: set[str] = frozenset()) -> Held:
    """Look for ids in texts; ``typed`` are amounts and days."""
    ids, inside = gone.among(texts), gone.sought.without(texts)
    lettered = {text for text, each in ids.items() if any(c.isalpha() for c in each)}
    lettered |= {*gone.lettered.without({*inside})}
    return Held(ids, inside, frozenset(lettered), gone.lettered.without(typed))


PlanOf = Callable[[list[str]], Plan]


def names_a_person(header: str) -> bool:
    """Say whether a header sounds like a column of persons."""
    folded = headers.folded(header)
    return any(word in folded for word in _PERSON_WORDS)


def plan(header: list[str], source: Source | None, others: Sequence[Source] = ()) -> Plan:
    """Say which columns of a file hold persons, as shop.toml maps them (None: by their names).

    With a ``query`` the mapping names what the query gives, so every column of the file is
    searched but those of amounts, numbers and days, and those the query names are kept. What
    ``others`` (further sources that read the same file) take from it is kept as well.
    """
    if source is None:
        likely = tuple(place for place, name in enumerate(header) if names_a_person(name))
        rest = tuple(place for place in range(len(header)) if place not in likely)
        keys = frozenset(place for place in rest if headers.folded(header[place]) in scrub.KEYS)
        return Plan(other=likely, searched=rest, loose=frozenset(rest), keys=keys)
    mapped = _mapped(header, source)
    own, other = mapped.get("customer_id", ()), mapped.get("referred_by", ())
    kinds = {column.name: column.type for column in TABLES[source.table].columns}
    taken = {place for name, places in mapped.items() if name != "person" for place in places}
    named = _named(header, source)
    amounts = {headers.folded(name) for name in _AMOUNT.findall(source.query)}
    typed = {p for name, places in mapped.items() if kinds[name] != "text" for p in places}
    typed |= {p for p in named if headers.folded(header[p]) in amounts}
    keys = {p for name, places in mapped.items() if name in scrub.KEYS for p in places} | {*named}
    if source.query:
        searched = [p for p in range(len(header)) if p not in {*typed, *own, *other}]
        contacts = [p for p in named if _is_contact(header[p])]
    else:
        searched, contacts = [p for p in range(len(header)) if p not in taken], []
    kept = _kept(header, source).union(*(_kept(header, each) for each in others))
    return Plan(
        own=own,
        other=other,
        searched=tuple(searched),
        loose=frozenset(place for place in searched if not names_a_person(header[place])),
        emptied=tuple(place for place in range(len(header)) if place not in {*kept, *own, *other}),
        contacts=tuple(contacts),
        keys=frozenset(keys - {*contacts}),
        typed=frozenset(typed),
        whole=frozenset({*own, *other, *contacts}),
    )


def _is_contact(header: str) -> bool:
    return any(word in headers.folded(header) for word in _CONTACT_WORDS)


def _kept(header: list[str], source: Source) -> set[int]:
    """Give the places of what a source takes from a row, whoever the row is about."""
    found = {p for name, places in _mapped(header, source).items() if name != "person"
             for p in places}  # fmt: skip
    return (
        found | {*_named(header, source)} if source.query or source.table != "customers" else set()
    )


def _named(header: list[str], source: Source) -> list[int]:
    """Give the places of the columns that a query names, in the order in which it does."""
    query = headers.folded(source.query)
    places = [p for p, name in enumerate(header) if source.query and headers.folded(name) in query]
    return sorted(places, key=lambda place: query.index(headers.folded(header[place])))


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
    texts: dict[bool, set[str]] = {True: set(), False: set()}
    for row in rows:
        for place, cell in enumerate(row):
            if cell is not None and cell != "":
                texts[place in layout.typed].add(str(cell))
    own_texts = {_id(row, layout.own) for row in rows} if layout.own else set()
    held = held_by(gone, texts[False] | own_texts, texts[True])
    if not held.any:
        return
    for row in rows:
        own = held.ids.get(_id(row, layout.own)) if layout.own else None
        cells = {} if not own else dict.fromkeys(layout.own, FORGOTTEN)
        about = bool(own)
        for place, cell in enumerate(row):
            text = "" if cell is None or place in layout.own else str(cell)
            new = layout.instead(place, text, held, gone) if text else None
            if new is not None:
                cells[place] = new
                found.ids |= {held.ids[text]} if text in held.ids else set()
                about = about or layout.is_about(place, text, held)
        if cells:
            found.rows += 1
            found.ids |= {own} if own else set()
            _put(row, cells, layout, empty, about=about)


def _put(row: list, cells: dict[int, str], layout: Plan, empty: object, *, about: bool) -> None:
    """Write what cells become, and empty those that say more of a forgotten customer."""
    emptied = {place for place in layout.emptied if about and place < len(row)}
    filled = [place for place in layout.contacts if place < len(row) and row[place]]
    if filled and cells.get(filled[0]) == FORGOTTEN:
        emptied |= {*filled[1:]}
    for place in emptied:
        row[place] = empty
    for place, new in cells.items():
        if place not in emptied or new == FORGOTTEN:
            row[place] = new


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
