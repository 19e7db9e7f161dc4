"""Names of columns: which of the names in a file may stand for which of the contract's columns."""

import re
import tomllib
import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from helpers.contract.tables import TABLES
from helpers.written import inline

_DATA = Path(__file__).with_name("synonyms.toml")
# Sections of the data file whose names are tried after a table's own, and come with a doubt.
DOUBTS = {
    "named": "tells customers apart by a name or an address, not by an id of the shop",
    "per_unit": "is by its name the price of one unit, and revenue is the total of a line",
    "gross": "is by its name a total with tax or shipping, and revenue is without them",
}


def plain_name(name: str) -> str:
    """Reduce a name to its letters and digits, without case and accents.

    >>> plain_name("Order-No."), plain_name("N° de Commande"), plain_name("Größe")
    ('orderno', 'ndecommande', 'grosse')
    """
    text = unicodedata.normalize("NFKD", name).casefold()
    return "".join(letter for letter in text if letter.isalnum())


def candidates(table: str, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Give for each column of a table the names of the file that may stand for it, best first.

    The contract's own name comes first, then its known names in the order of the data file.
    """
    # Of two names that differ only in case and signs, the first in the file is meant.
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(plain_name(name), name)
    result = {}
    for column in TABLES[table].columns:
        known = (plain_name(column.name), *_known(table, column.name))
        own = (column.name,) if column.name in found.values() else ()
        result[column.name] = tuple(
            dict.fromkeys((*own, *(found[each] for each in known if each in found)))
        )
    return result


def doubt(table: str, column: str, name: str) -> str:
    """Say what is doubtful about a name standing for a column; empty if nothing is.

    >>> doubt("orders", "revenue", "Net amount"), doubt("orders", "revenue", "Order total")
    ('', 'is by its name a total with tax or shipping, and revenue is without them')
    """
    for section, sentence in DOUBTS.items():
        if plain_name(name) in _names(_synonyms()[section].get(table, {}).get(column, ())):
            return sentence
    return ""


def known_columns(table: str, names: Iterable[str]) -> int:
    """Count the names of a file that are known for any column of a table."""
    return len({each for found in candidates(table, names).values() for each in found})


def listed(names: Iterable[str]) -> str:
    """List names of columns, unless they look like a line of data, which may show a customer.

    >>> listed(["Order No", "Client"]), listed(["anna@example.org", "20.00"])
    ('Order No, Client', 'a first line of 2 fields that does not look like names of columns')
    """
    names = [*names]
    if any("@" in name or not re.search(r"[^\W\d_]", name) or re.search(r"\d{5}|\d[-./:]\d", name)
           for name in names):  # fmt: skip
        return f"a first line of {len(names)} fields that does not look like names of columns"
    shown = [inline(name) for name in names]
    return ", ".join(name if len(name) <= 60 else f"{name[:59]}…" for name in shown)


def _known(table: str, column: str) -> tuple[str, ...]:
    data = _synonyms()
    parts = [data.get(table, {}).get(column, ())]
    # A customer is called the same in every table.
    if column == "customer_id" and table != "orders":
        parts.append(data["orders"][column])
    parts += [data[section].get(table, {}).get(column, ()) for section in DOUBTS]
    return tuple(name for part in parts for name in _names(part))


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(plain_name(name) for name in names)


@cache
def _synonyms() -> dict:
    return tomllib.loads(_DATA.read_text(encoding="utf-8"))
