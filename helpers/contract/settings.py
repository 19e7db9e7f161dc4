"""What a shop.toml and a preset may say: names, types and choices of keys, and where tables are.

Every fault is a UsageError that names the place, what was found, what is accepted and the nearest
right name.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from helpers.contract.tables import TABLES
from helpers.errors import UsageError, nearest

PRESETS = Path(__file__).resolve().parent.parent / "presets"

TEXT, NUMBER, DAY, WHOLE = "text", "number", "date", "whole number"
_SOURCE_KEYS = {
    "preset": TEXT,
    "files": "text or list of text",
    "package": TEXT,
    "table": TEXT,
    "snapshot": TEXT,
    "order": "text or list of text",
    "path": TEXT,
    "delimiter": TEXT,
    "encoding": TEXT,
    "names": "list of text",
    "skip_rows": WHOLE,
    "sheets": "text or list of text",
    "date_format": TEXT,
    "timestamps": TEXT,
    "decimal": TEXT,
    "amounts": TEXT,
    "vat_rate": NUMBER,
    "asks": "list of text",
    "reads": "list of text",
    "may_read": "list of text",
    "refuse": "list of tables",
    "query": TEXT,
    "columns": "table",
}
_DATE_PARTS = ("%Y", "%m", "%d", "%H", "%M", "%S", "%z")
_CHOICES = {
    "engine": ("duckdb", "pyspark", "postgres"),
    "business_model": ("noncontractual", "contractual"),
    "duplicates": ("keep", "quarantine"),
    "rule": ("costs", "rate", "none"),
    "name": ("margin_per_day", "revenue_per_day", "orders_per_day"),
    "timestamps": ("local", "utc"),
    "decimal": (".", ",", "auto"),
    "amounts": ("net", "gross"),
}


@dataclass(frozen=True)
class Refusal:
    """An export that cannot serve: the headers it is known by, and the reason to give."""

    headers: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Source:
    """Where (a part of) one canonical table comes from: its files and each column's source.

    Instead of files, ``relation`` names a table of the engine (in shop.toml: ``table``), whose
    rows are numbered by the columns ``order`` and whose column ``snapshot`` tells its states apart.
    With ``reads``, only those columns and ``may_read`` are ever read; ``query`` is a SELECT of
    DuckDB over them. ``amounts`` and ``vat_rate`` say whether money is net or gross of VAT.
    """

    table: str
    files: tuple[str, ...] = ()
    relation: str = ""
    snapshot: str = ""
    order: tuple[str, ...] = ()
    package: str = ""
    path: str = ""
    delimiter: str = ""
    encoding: str = "utf-8"
    names: tuple[str, ...] = ()
    skip_rows: int = 0
    sheets: tuple[str, ...] = ()
    date_format: str = ""
    timestamps: str = "local"
    decimal: str = "."
    amounts: str = ""
    vat_rate: float | None = None
    reads: tuple[str, ...] = ()
    may_read: tuple[str, ...] = ()
    refuse: tuple[Refusal, ...] = ()
    query: str = ""
    columns: dict[str, str | tuple[str, ...]] = field(default_factory=dict)


def read_toml(path: Path, where: str) -> dict:
    """Read a TOML file; UsageError if it is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{where} is not valid TOML: {error}.") from None


def preset(name: object, where: str) -> dict:
    """Read a preset by its name, laid over the one that it names as its own preset."""
    presets = sorted(path.stem for path in PRESETS.glob("*.toml"))
    if name not in presets:
        raise UsageError(
            f"{where}: preset is '{name}'. Presets: {', '.join(presets)}."
            f"{nearest(str(name), presets)}"
        )
    found = read_toml(PRESETS / f"{name}.toml", f"presets/{name}.toml")
    return merged(preset(found.pop("preset"), where), found) if "preset" in found else found


def merged(base: dict, over: dict) -> dict:
    """Lay settings over others, table by table; a list replaces a list."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def checked(values: object, keys: dict[str, str], where: str, extra: tuple = ()) -> dict:
    """Check names, types and choices of settings; give them with dates and tuples made."""
    if not isinstance(values, dict):
        raise UsageError(f"{where}: expected a table of settings, found {values!r}.")
    result = {}
    for key, value in values.items():
        if key not in keys:
            accepted = (*keys, *extra)
            raise UsageError(
                f"{where}: unknown key '{key}'. Accepted: {', '.join(accepted)}."
                f"{nearest(key, accepted)}"
            )
        result[key] = _typed(value, keys[key], f"{where}: {key}")
        choices = _CHOICES.get(key)
        if choices and result[key] not in choices:
            raise UsageError(
                f"{where}: {key} is {value!r}; accepted: {', '.join(map(repr, choices))}."
                f"{nearest(str(value), choices)}"
            )
    return result


def _typed(value: object, kind: str, what: str) -> object:
    if kind == DAY:
        try:
            return value if type(value) is date else date.fromisoformat(str(value))
        except ValueError:
            raise UsageError(f"{what} is {value!r}; it must be a date as 2026-06-30.") from None
    if kind.startswith(("list", "text or list")):
        item = dict if kind == "list of tables" else str
        items = [value] if isinstance(value, str) and "or" in kind else value
        if isinstance(items, list) and items and all(isinstance(each, item) for each in items):
            return tuple(items)
        raise UsageError(f"{what} is {value!r}; it must be {kind}.")
    types = {TEXT: str, NUMBER: (int, float), WHOLE: int, "table": dict}
    if isinstance(value, bool) or not isinstance(value, types[kind]):
        raise UsageError(f"{what} is {value!r}; it must be a {kind}.")
    return value


def table_sources(given: dict, base: dict, where: str) -> dict[str, tuple[Source, ...]]:
    """Give the sources of each table: those of shop.toml laid over those of its presets.

    ``base`` holds the tables of the shop's own preset. One that shop.toml does not name is left
    out unless its files come with a package.
    """
    if not isinstance(given, dict):
        raise UsageError(f"{where}: tables is {given!r}; it must be sections [tables.orders].")
    tables = _expanded(given, base, where)
    if "orders" not in tables:
        needs = " The preset has it: name its files there." if "orders" in base else ""
        close = " Did you mean [tables.orders]?" if nearest("orders", tables) else ""
        raise UsageError(
            f"{where}: [tables.orders] is missing; it is the only table that every shop needs. "
            f"Found: {', '.join(tables) or 'no table'}.{needs or close}"
        )
    return {name: tuple(_each_source(name, found, where)) for name, found in tables.items()}


def _expanded(given: dict, base: dict, where: str) -> dict[str, list[dict]]:
    """Lay each source that shop.toml names over each source of that table in its preset."""
    tables = {}
    for name in dict.fromkeys((*base, *given)):
        below = _listed(base.get(name, {}))
        if name not in given:
            if kept := [source for source in below if source.get("package")]:
                tables[name] = kept
            continue
        tables[name] = []
        for source in _listed(given[name]):
            under = below
            if isinstance(source, dict) and "preset" in source:
                under = _preset_sources(source["preset"], name, where)
            for each in under:
                over = merged(each, source) if isinstance(source, dict) else source
                tables[name].append(over)
    return tables


def _listed(value: object) -> list:
    return value if isinstance(value, list) else [value]


def _preset_sources(name: object, table: str, where: str) -> list[dict]:
    tables = preset(name, f"{where} [tables.{table}]").get("tables", {})
    if table not in tables:
        raise UsageError(
            f"{where} [tables.{table}]: the preset '{name}' has no table {table}; it has: "
            f"{', '.join(tables)}."
        )
    return _listed(tables[table])


def _each_source(name: str, found: list, where: str) -> Iterator[Source]:
    if name not in TABLES:
        raise UsageError(
            f"{where}: unknown table '{name}'. Accepted: {', '.join(TABLES)}."
            f"{nearest(name, TABLES)}"
        )
    place = f"{where} [tables.{name}]"
    for values in found:
        plain = checked(values, _SOURCE_KEYS, place)
        if sum(bool(plain.get(key)) for key in ("files", "package", "table")) != 1:
            raise UsageError(
                f'{place}: give either files = "orders*.csv", or package = "..." with path = "..."'
                ', or table = "schema.orders" for a table of the engine.'
            )
        plain["relation"] = plain.pop("table", "")
        _check_relation(plain, place)
        if "package" in plain and "path" not in plain:
            raise UsageError(f"{place}: package is given, so path (inside the package) is needed.")
        if not 0 <= plain.get("skip_rows", 0) <= 1000:
            raise UsageError(f"{place}: skip_rows is {plain['skip_rows']}; it must be 0 to 1000.")
        _check_date_format(plain.get("date_format", ""), place)
        _check_amounts(plain, place)
        keys = {"headers": "list of text", "reason": TEXT}
        refuse = [checked(each, keys, f"{place} refuse") for each in plain.pop("refuse", ())]
        columns = _columns(name, plain.pop("columns", {}), place)
        plain = {key: value for key, value in plain.items() if key not in ("asks", "preset")}
        yield Source(
            table=name, columns=columns, refuse=tuple(Refusal(**each) for each in refuse), **plain
        )


def _check_relation(plain: dict, place: str) -> None:
    """Check what only files can have, and what only tables of an engine."""
    relation = plain["relation"]
    wrong = [key for key in _OF_FILES if key in plain] if relation else [
        key for key in ("snapshot", "order") if key in plain
    ]  # fmt: skip
    if wrong:
        other = "tables of an engine" if not relation else "files"
        raise UsageError(f"{place}: {wrong[0]} is for {other}; leave it out.")
    if relation and not re.fullmatch(r"[^.\s]+(\.[^.\s]+){0,2}", relation):
        raise UsageError(
            f'{place}: table is {relation!r}; it must be a name such as "orders", "sales.orders" '
            'or "catalog.sales.orders".'
        )


# A table of an engine has types and names already.
_OF_FILES = ("path", "delimiter", "encoding", "names", "skip_rows", "sheets", "query")


def is_vat_rate(rate: float) -> bool:
    """Say whether a rate of VAT can be: a share above 0 and at most 1."""
    return 0 < rate <= 1


def _check_amounts(plain: dict, place: str) -> None:
    """Ask what cannot be known from the file: whether amounts hold value added tax."""
    amounts, rate = plain.get("amounts"), plain.get("vat_rate")
    if "amounts" in plain.get("asks", ()) and not amounts:
        raise UsageError(
            f"{place}: are the costs net or gross of VAT? The export does not say. Write "
            'amounts = "net", or amounts = "gross" with the rate as a share, such as '
            "vat_rate = 0.19."
        )
    if amounts == "gross" and not is_vat_rate(rate or 0):
        raise UsageError(
            f"{place}: amounts is 'gross', and vat_rate is {rate}; it must be a share above 0 and "
            "at most 1, such as vat_rate = 0.19."
        )
    if rate is not None and amounts != "gross":
        raise UsageError(f'{place}: vat_rate is given, so amounts = "gross" is needed beside it.')


def _check_date_format(date_format: str, place: str) -> None:
    found = re.findall(r"%.?", date_format)
    unknown = [part for part in found if part not in _DATE_PARTS]
    once = all(found.count(part) == 1 for part in ("%Y", "%m", "%d"))
    if date_format and (unknown or not once):
        raise UsageError(
            f"{place}: date_format is '{date_format}'; it must hold %Y, %m and %d once each, and "
            f"beside them only {', '.join(_DATE_PARTS[3:])} and plain text, such as "
            "'%d.%m.%Y %H:%M'. Leave it out for ISO 8601."
        )


def _columns(table: str, columns: dict, place: str) -> dict[str, str | tuple[str, ...]]:
    accepted = [column.name for column in TABLES[table].columns]
    found = {}
    for name, value in columns.items():
        if name not in accepted:
            raise UsageError(
                f"{place}: unknown column '{name}'. Accepted: {', '.join(accepted)}."
                f"{nearest(name, accepted)}"
            )
        names = _typed(value, "text or list of text", f"{place} columns.{name}")
        found[name] = names[0] if len(names) == 1 else names
    return found
