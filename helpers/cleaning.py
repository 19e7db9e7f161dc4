"""Rules that turn source tables into clean tables, a quarantine, and counts that balance.

Clean tables are written once per state of the inputs, under ``<shop>/clean/<digest>/``; a month is
cut from them on reading (`helpers.study`). Every row that came in is kept or set aside with a
reason; money in equals money kept plus money set aside, to the cent.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

from helpers.errors import DataError, UsageError
from helpers.shop import Shop
from helpers.tables import TABLES

# What a change of code or engine can change about clean tables; it joins the digest of the inputs.
_CODE = ("cleaning.py", "conversions.py", "sources.py", "tables.py")
_ENGINES = ("ibis-framework", "duckdb")
# With fewer usable order rows than this share, a wrong setting is likelier than bad rows.
MOST_ASIDE = 0.5


@dataclass(frozen=True)
class Rule:
    """Why a row is set aside: the table it is about, the test that fails it, and the reason."""

    id: str
    table: str
    sentence: str
    test: Callable


def rules(table: str, shop: Shop) -> list[Rule]:
    """List the rules of one table in the order they are tried; the first that fails decides."""
    found = []
    for column in TABLES[table].columns:
        if column.required:
            word = "missing" if column.type == "text" else "unreadable"
            sentence = (
                f"{column.name} is {'missing' if word == 'missing' else 'missing or unreadable'}"
            )
            found.append(Rule(f"{column.name}_{word}", table, sentence, _lacks(column.name)))
    if table in ("orders", "payments"):
        sentence = f"the currency is not {shop.currency}, and no rate was given"
        found.append(Rule("currency_foreign", table, sentence, _foreign(shop.currency)))
    if table == "orders" and shop.complete_through:
        sentence = f"dated after {shop.complete_through}, the day the export is complete through"
        found.append(Rule("after_the_export", table, sentence, _after(shop.complete_through)))
    if table == "orders" and shop.duplicates == "quarantine":
        sentence = "an exact copy of another line"
        found.append(Rule("duplicate_line", table, sentence, lambda t: t.is_duplicate))
    return found


def _lacks(column: str) -> Callable:
    return lambda t: t[column].isnull()


def _foreign(currency: str) -> Callable:
    return lambda t: t.currency.notnull() & (t.currency.upper() != currency)


def _after(day: date) -> Callable:
    return lambda t: t.order_date > day


def checked(table, name: str, shop: Shop):
    """Add ``reason``: the id of the first rule that sets the row aside, missing for a kept row."""
    import ibis

    if name == "orders":
        same = [column for column in table.columns if column != "unreadable"]
        table = table.mutate(is_duplicate=ibis.row_number().over(group_by=same) > 0)
    branches = [(rule.test(table), rule.id) for rule in rules(name, shop)]
    return table.mutate(reason=ibis.cases(*branches) if branches else ibis.null("string"))


def finished_orders(table, shop: Shop):
    """Fill what the contract derives for order lines: refunds, the day of the event, margin.

    ``event_date`` is the local day on which the shop knew of the line: the refund's day for a
    refund, the order's day for a sale. ``margin`` (contribution margin: revenue less cogs,
    shipping and payment fees) is missing where cogs is missing; a cost column that the shop does
    not have is left out of its margin. ``order_cost`` is the part of that cost which an order
    causes whatever its value: shipping and fees.
    """
    import ibis

    table = table.mutate(is_refund=table.is_refund.fill_null(table.revenue < 0))
    refund_day = table.refunded_date.fill_null(table.order_date)
    extra = table.shipping_cost.fill_null(0) + table.payment_fee.fill_null(0)
    unknown = ibis.null("int64")
    cost = {
        "costs": table.cogs + extra,
        "rate": table.revenue - (table.revenue * (shop.margin.rate or 0)).round().cast("int64"),
        "none": unknown,
    }[shop.margin.rule]
    by_order = {"costs": extra, "rate": extra * 0, "none": unknown}[shop.margin.rule]
    return table.mutate(
        refund_of=ibis.ifelse(table.is_refund, table.refund_of.fill_null(table.order_id), None),
        event_date=ibis.ifelse(table.is_refund, refund_day, table.order_date),
        cost=cost,
        order_cost=by_order,
        margin=table.revenue - cost,
    )


@dataclass(frozen=True)
class CleanInfo:
    """What cleaning found: where the clean tables are, and counts that balance.

    ``tables`` holds per table: files, columns, rows, kept, money and money_kept in minor units
    (orders), ``set_aside`` (a list of reason, rows, orders, customers, money) and ``flags``.
    """

    digest: str
    folder: Path
    first_day: date
    last_day: date
    complete_through: date
    tables: dict

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


def prepare(shop: Shop) -> CleanInfo:
    """Give the clean tables of a shop, cleaning first if the inputs, settings or rules changed.

    Raises DataError where a file is missing or unreadable, no order row can be used, or there are
    fewer customers than may be shown.
    """
    digest = _digest(shop)
    expected = os.environ.get("LTV_INPUTS")
    if expected and expected != digest:
        raise DataError(f"{shop.name}: its files changed while the run was going on; run again.")
    target = shop.folder / "clean" / digest[:16]
    if not (target / "info.json").is_file():
        target.parent.mkdir(exist_ok=True)
        with FileLock(target.parent / ".lock"):
            if not (target / "info.json").is_file():
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


def _digest(shop: Shop) -> str:
    digest = hashlib.sha256(shop.input_digest().encode())
    for name in _CODE:
        digest.update((Path(__file__).parent / name).read_bytes())
    digest.update(" ".join(version(engine) for engine in _ENGINES).encode())
    return digest.hexdigest()


def _read_info(target: Path) -> CleanInfo:
    stored = json.loads((target / "info.json").read_text(encoding="utf-8"))
    days = {key: date.fromisoformat(stored[key]) for key in _DAYS}
    return CleanInfo(digest=stored["digest"], folder=target, tables=stored["tables"], **days)


_DAYS = ("first_day", "last_day", "complete_through")


def connect(shop: Shop):
    """Open the shop's engine: DuckDB in memory, with the shop's threads and memory limit."""
    import duckdb
    import ibis

    threads = os.environ.get("LTV_THREADS") or shop.threads
    options = {"threads": int(threads)} if threads else {}
    if shop.memory_limit:
        options["memory_limit"] = shop.memory_limit
    con = ibis.duckdb.connect(**options)
    con.raw_sql("SET TimeZone = 'UTC'")
    # In a notebook without widgets there is no progress bar, and switching it off is refused.
    with contextlib.suppress(duckdb.InvalidInputException):
        con.raw_sql("SET enable_progress_bar = false")
    return con


def _clean(shop: Shop, digest: str, target: Path) -> None:
    """Clean every table into a folder beside the target, then rename it: whole or not there."""
    stage = target.parent / f".{target.name}"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    con = connect(shop)
    try:
        tables = {name: _clean_table(con, shop, name, stage) for name in shop.sources}
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    finally:
        con.disconnect()
    if _digest(shop) != digest:
        shutil.rmtree(stage, ignore_errors=True)
        raise DataError(f"{shop.name}: its files changed while they were read; run again.")
    orders = tables["orders"]
    info = {
        "digest": digest,
        "first_day": orders["first_day"],
        "last_day": orders["last_day"],
        "complete_through": str(shop.complete_through or orders["last_day"]),
        "tables": tables,
    }
    text = json.dumps(info, indent=1, ensure_ascii=False, sort_keys=True)
    (stage / "info.json").write_text(text, encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    stage.rename(target)
    _prune(target.parent)


def _prune(clean: Path) -> None:
    """Delete what was made of older inputs, but not what a study of today may still read."""
    found = sorted(clean.glob("[0-9a-f]*"), key=lambda path: path.stat().st_mtime)
    newest = found[-1].stat().st_mtime if found else 0
    for old in found[:-2]:
        if newest - old.stat().st_mtime > 24 * 3600:
            shutil.rmtree(old, ignore_errors=True)
            shutil.rmtree(clean.parent / "summaries" / old.name, ignore_errors=True)


def _clean_table(con, shop: Shop, name: str, stage: Path) -> dict:
    from helpers import sources

    source = shop.sources[name]
    raw = sources.read(con, shop, name, stage)
    typed = sources.typed(raw, source, shop)
    with sources.readable(shop.name, name):
        written = con.create_table(f"{name}_written", typed, temp=True)
    first, last = _years(written, name)
    placed = sources.placed(written, source, shop, first=first, last=last)
    rows = con.create_table(f"{name}_checked", checked(placed, name, shop), temp=True)
    if name == "orders":
        _check_usable(rows, shop)
    counts = _counts(rows, name) | {
        "files": [path.name for path in shop.files(name)],
        "columns": sources.mapped_columns(raw, source),
    }
    clean = rows.filter(rows.reason.isnull()).drop("reason", "unreadable")
    if name == "orders":
        clean = finished_orders(clean, shop)
        facts = _order_facts(clean)
        counts |= facts | {"flags": counts["flags"] | facts["flags"]}
    _write(con, clean, TABLES[name].required, stage / f"{name}.parquet")
    aside = rows.filter(rows.reason.notnull())
    _write(con, aside, ("reason",), stage / f"{name}_set_aside.parquet")
    con.drop_table(f"{name}_written")
    con.drop_table(f"{name}_checked")
    (stage / f"{name}_raw.parquet").unlink(missing_ok=True)
    return counts


def _write(con, table, first: tuple[str, ...], path: Path) -> None:
    """Write a table to Parquet in an order that every column takes part in."""
    order = [*first, *(column for column in table.columns if column not in first)]
    con.to_parquet(table.order_by(order), str(path))


def _years(table, name: str) -> tuple[int, int]:
    """Give the first and last year of all stamps of a table, for its changes of clock."""
    stamps = [column.name for column in TABLES[name].columns if column.type == "timestamp"]
    bounds = table.aggregate(
        **{f"low_{stamp}": table[stamp].min() for stamp in stamps},
        **{f"high_{stamp}": table[stamp].max() for stamp in stamps},
    ).execute()
    years = [value.year for value in bounds.iloc[0] if value == value and value is not None]
    return (min(years), max(years)) if years else (2000, 2000)


def _counts(rows, name: str) -> dict:
    """Count rows and money in, kept and set aside by reason, in one pass."""
    money = rows.revenue.sum().fill_null(0) if name == "orders" else rows.count() * 0
    people = rows.customer_id.nunique() if "customer_id" in rows.columns else rows.count() * 0
    orders = rows.order_id.nunique() if name == "orders" else rows.count() * 0
    found = (
        rows.group_by("reason")
        .aggregate(
            rows=rows.count(), orders=orders, customers=people, money=money,
            unreadable=rows.unreadable.sum(),
        )
        .execute()
    )  # fmt: skip
    kept = found[found.reason.isna()]
    aside = found[found.reason.notna()].sort_values("reason")
    keys = ("rows", "orders", "customers", "money")
    return {
        "rows": int(found["rows"].sum()),
        "money": int(found["money"].sum()),
        "kept": int(kept["rows"].sum()),
        "money_kept": int(kept["money"].sum()),
        "set_aside": [
            {"reason": row["reason"], **{key: int(row[key]) for key in keys}}
            for row in aside.to_dict("records")
        ],
        "flags": {"unreadable_value": int(kept["unreadable"].sum())},
    }


def _order_facts(clean) -> dict:
    """Count what is kept but worth knowing: duplicates, refunds without a date or a sale."""
    refunds = clean.filter(clean.is_refund)
    sales = clean.filter(~clean.is_refund).select("order_id", "customer_id").distinct()
    unlinked = refunds.anti_join(
        sales, [refunds.refund_of == sales.order_id, refunds.customer_id == sales.customer_id]
    )
    sold = clean.filter(~clean.is_refund)
    with_orders = sold.select(month=sold.order_date.strftime("%Y-%m")).distinct().execute()
    facts = clean.aggregate(
        first_day=clean.order_date.min(),
        last_day=clean.order_date.max(),
        customers=clean.customer_id.nunique(),
        orders=clean.order_id.nunique(where=~clean.is_refund),
        duplicates=clean.is_duplicate.sum(),
        zero_revenue=(~clean.is_refund & (clean.revenue == 0)).sum(),
        undated=(clean.is_refund & clean.refunded_date.isnull()).sum(),
        refunds=clean.is_refund.sum(),
    ).execute().iloc[0]  # fmt: skip
    months = sorted(with_orders["month"])
    empty = _between(months[0], months[-1]) - set(months) if months else set()
    return {
        "months_without_orders": sorted(empty),
        "first_day": str(facts.first_day)[:10],
        "last_day": str(facts.last_day)[:10],
        "customers": int(facts.customers),
        "orders": int(facts.orders),
        "refunds": int(facts.refunds),
        "flags": {
            "duplicate_line": int(facts.duplicates),
            "zero_revenue": int(facts.zero_revenue),
            "refund_without_date": int(facts.undated),
            "refund_without_sale": int(unlinked.count().execute()),
        },
    }


def _between(first: str, last: str) -> set[str]:
    """All months from one to another, as 2026-06."""
    low, high = (int(month[:4]) * 12 + int(month[5:]) - 1 for month in (first, last))
    return {f"{n // 12:04d}-{n % 12 + 1:02d}" for n in range(low, high + 1)}


def _check_usable(rows, shop: Shop) -> None:
    """Raise DataError if so few order rows can be used that the settings must be wrong."""
    kept, every = (int(n) for n in rows.aggregate(
        kept=rows.count(where=rows.reason.isnull()), every=rows.count()
    ).execute().iloc[0])  # fmt: skip
    if not kept or kept < MOST_ASIDE * every:
        raise DataError(_nothing_usable(shop, rows, kept))


def _nothing_usable(shop: Shop, rows, kept: int) -> str:
    found = rows.filter(rows.reason.notnull()).reason.value_counts(name="n")
    found = found.order_by("reason").execute()
    reasons = ", ".join(f"{row.reason}: {row.n}" for row in found.itertuples())
    files = ", ".join(path.name for path in shop.files("orders"))
    if not reasons:
        return f"{shop.name}: {files} has a header and no rows; there are no orders to report on."
    return (
        f"{shop.name}: {f'only {kept} rows' if kept else 'no row'} of {files} can be used "
        f"({reasons}). Check the columns, date_format and decimal under [tables.orders] in "
        "shop.toml."
    )
