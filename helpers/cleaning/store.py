"""The clean tables of a shop: made once per state of its inputs, and found again.

They lie under ``<shop>/clean/<digest>/`` and are cut by month on reading (`helpers.study`); the
rules are in `helpers.cleaning.rules`, and `helpers.cleaning.clean_tables` carries them out. Every
row that came in is kept or taken out with a reason; money in equals money kept plus money taken
out, to the cent.

Imports stay light (no engine, no pandas), so that a run that has nothing to do starts at once.
"""

import hashlib
import json
import os
import re
import shutil
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock

from helpers import engines
from helpers.contract.shop import Shop
from helpers.engines.faults import told
from helpers.errors import DataError, UsageError
from helpers.files import code_digest
from helpers.persons import keys as persons

# What a change of code or engine can change about clean tables; it joins the digest of the inputs.
CODE = ("contract", "engines", "sources", "persons", "cleaning")


@dataclass(frozen=True)
class CleanInfo:
    """What cleaning found: where the clean tables are, and counts that balance.

    ``tables`` holds per table: files, columns, rows, kept, money and money_kept in minor units
    (orders), ``set_aside`` (a list of reason, action, rows, orders, customers, money, orders and
    customers lost, and examples) and ``flags`` (rows by id). ``retained_from`` is the first day
    that the shop's retention limit leaves. ``digest`` is of files, settings and code, ``contents``
    of the files alone.
    """

    digest: str
    folder: Path
    first_day: date
    last_day: date
    complete_through: date
    tables: dict
    retained_from: date | None = None
    contents: str = ""

    @property
    def months_without_orders(self) -> list[str]:
        """Months between the first and the last order that have none, as 2026-06."""
        return self.tables["orders"].get("months_without_orders", [])

    @property
    def first_month(self) -> str:
        """The month of the first order, as 2026-06."""
        return f"{self.first_day:%Y-%m}"

    @property
    def last_complete_month(self) -> str:
        """The last month whose every day is complete, as 2026-06; empty if there is none."""
        day = self.complete_through
        if day.day < monthrange(day.year, day.month)[1]:
            year, month = (day.year, day.month - 1) if day.month > 1 else (day.year - 1, 12)
        else:
            year, month = day.year, day.month
        found = f"{year:04d}-{month:02d}"
        return found if found >= self.first_month else ""


def prepare(shop: Shop, *, meanwhile: Callable[[], None] | None = None) -> CleanInfo:
    """Give the clean tables of a shop, cleaning first if the inputs, settings or rules changed.

    Before it cleans it calls ``meanwhile``, which may start what does not wait for the tables.
    Raises DataError where a file is missing or unreadable, no order row can be used, or there are
    fewer customers than may be shown.
    """
    digest = _digest(shop)
    expected = os.environ.get("LTV_INPUTS")
    if expected and expected != digest:
        raise DataError(f"{shop.name}: its files changed while the run was going on; run again.")
    # Clean tables hold pseudonyms: those of another key table would mean nobody.
    made_with = f"{digest} {persons.table_id(shop)}"
    target = shop.folder / "clean" / hashlib.sha256(made_with.encode()).hexdigest()[:16]
    if not _is_made(shop, target):
        target.parent.mkdir(exist_ok=True)
        with FileLock(target.parent / ".lock"):
            if not _is_made(shop, target):
                if meanwhile:
                    meanwhile()
                with told(shop):
                    _clean(shop, digest, target)
    os.utime(target)
    info = _read_info(target)
    if not info.tables["orders"]["orders"]:
        raise DataError(
            f"{shop.name}: every order row is a refund; there are no sales to report on. Check "
            "the sign of revenue, or the column is_refund, in the export."
        )
    customers, least = info.tables["orders"]["customers"], shop.privacy.min_cell
    if customers < least:
        raise DataError(
            f"{shop.name}: {customers} customer{'s' if customers != 1 else ''} in all, and groups "
            f"below {least} are not shown, since they would show persons. More orders are needed, "
            "or a smaller [privacy] min_cell in shop.toml."
        )
    return info


def check_month(shop: Shop, info: CleanInfo, month: str = "") -> str:
    """Give the month to report as ``2026-06``; empty means the last complete one.

    Raises UsageError if it is not a month, DataError if it is incomplete or has no orders yet.
    """
    last = info.last_complete_month
    if not last:
        raise DataError(
            f"{shop.name}: no month is complete yet; orders run from {info.first_day} to "
            f"{info.last_day}, complete through {info.complete_through}."
        )
    month = month or last
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", month):
        raise UsageError(f"month is '{month}'; it must be a month such as {last}.")
    if month > last:
        raise DataError(
            f"{shop.name}: {month} is not complete: orders are complete through "
            f"{info.complete_through}. The last complete month is {last}."
        )
    if month in info.months_without_orders:
        raise DataError(
            f"{shop.name}: {month} has no orders, although months before and after it have. "
            "Check the export; any other complete month can be reported."
        )
    if month < info.first_month:
        raise DataError(
            f"{shop.name}: {month} has no orders; the first order is of {info.first_day}. "
            f"Months with orders: {info.first_month} to {last}."
        )
    return month


def _digest(shop: Shop, contents: str = "") -> str:
    digest = hashlib.sha256(shop.digest_with(contents or shop.content_digest()).encode())
    digest.update(persons.state(shop).encode())
    digest.update(code_digest(*CODE).encode())
    packages = ("ibis-framework", *engines.PACKAGES[shop.engine])
    digest.update(" ".join(map(_version, packages)).encode())
    return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _is_made(shop: Shop, target: Path) -> bool:
    """Say whether clean tables are there: what was found, and the tables that a server keeps."""
    if not (target / "info.json").is_file():
        return False
    if shop.engine != "postgres":
        return True
    con = engines.connect(shop)
    try:
        with told(shop):
            return engines.exists(con, target / "orders.parquet")
    finally:
        engines.close(con)


def _read_info(target: Path) -> CleanInfo:
    stored = json.loads((target / "info.json").read_text(encoding="utf-8"))
    days = {key: date.fromisoformat(stored[key]) for key in _DAYS}
    limit = stored["retained_from"]
    days["retained_from"] = date.fromisoformat(limit) if limit else None
    same = {key: stored[key] for key in ("digest", "contents", "tables")}
    return CleanInfo(folder=target, **same, **days)


_DAYS = ("first_day", "last_day", "complete_through")


def _clean(shop: Shop, digest: str, target: Path) -> None:
    """Clean every table into a folder beside the target, then rename it: whole or not there."""
    from helpers.cleaning import clean_tables

    stage = target.parent / f".{target.name}"
    con = engines.connect(shop)
    try:
        # A cleaning that was killed, or lost its server, leaves what it had read.
        for left in {stage, *target.parent.glob(".[0-9a-f]*")}:
            engines.dropped(con, left)
            shutil.rmtree(left, ignore_errors=True)
        stage.mkdir()
        with told(shop), TemporaryDirectory(dir=stage, ignore_cleanup_errors=True) as scratch:
            tables = clean_tables.make(con, shop, stage, Path(scratch))
        contents = shop.content_digest()
        if _digest(shop, contents) != digest:
            raise DataError(f"{shop.name}: its tables changed while they were read; run again.")
        _finish(con, shop, digest, contents, tables, stage, target)
    except BaseException as error:
        refused = isinstance(error, DataError)
        _clear(con, shop, stage, refused)
        raise
    finally:
        engines.close(con)


def _finish(con, shop: Shop, digest: str, contents: str, tables: dict, stage: Path, target: Path):
    """Write down what was found, and give the folder, and the engine's tables, their names."""
    orders = tables["orders"]
    info = {
        "digest": digest,
        "contents": contents,
        "first_day": orders["first_day"],
        "last_day": orders["last_day"],
        "complete_through": orders["complete_through"],
        "retained_from": orders["retained_from"],
        "tables": tables,
    }
    text = json.dumps(info, indent=1, ensure_ascii=False, sort_keys=True)
    with told(shop):
        (stage / "info.json").write_text(text, encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        engines.dropped(con, target)
        engines.moved(con, stage, target, _written(tables))
        stage.rename(target)
        _prune(con, target.parent)


def _written(tables: dict) -> list[str]:
    """Name the clean tables and quarantines that a cleaning wrote."""
    names = [*tables, "orders_refunds"]
    return names + [f"{name}_quarantine" for name, found in tables.items() if found["set_aside"]]


def _clear(con, shop: Shop, stage: Path, refused: bool) -> None:
    """Take away what is half done, but keep the rows taken out of files that were refused.

    So that the export can be mended. Where the server cannot be reached, an empty folder stays and
    tells the next cleaning what to take away there.
    """
    kept, found = stage.parent / "refused", list(stage.glob("*_quarantine.parquet"))
    shutil.rmtree(kept, ignore_errors=True)
    if refused and found:
        kept.mkdir()
        for path in found:
            path.rename(kept / path.name)
    shutil.rmtree(stage, ignore_errors=True)
    try:
        engines.dropped(con, kept)
        named = [f"{name}_quarantine" for name in shop.sources]
        there = [name for name in named if engines.exists(con, stage / f"{name}.parquet")]
        engines.moved(con, stage, kept, there if refused else [])
        engines.dropped(con, stage)
    except Exception:
        stage.mkdir(exist_ok=True)


def _prune(con, clean: Path) -> None:
    """Delete what was made of older inputs, but not what a study of today may still read."""
    found = sorted(clean.glob("[0-9a-f]*"), key=lambda path: path.stat().st_mtime)
    newest = found[-1].stat().st_mtime if found else 0
    for old in found[:-2]:
        if newest - old.stat().st_mtime > 24 * 3600:
            engines.dropped(con, old)
            shutil.rmtree(old, ignore_errors=True)
            shutil.rmtree(clean.parent / "summaries" / old.name, ignore_errors=True)
