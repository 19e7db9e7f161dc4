"""Read all sources of a table, typed and placed in time, one below the other."""

from dataclasses import dataclass, replace
from pathlib import Path

import ibis
from ibis.expr import types as ir

from helpers import engines
from helpers.cleaning import tally
from helpers.contract.settings import Source
from helpers.contract.shop import Shop
from helpers.contract.tables import TABLES
from helpers.sources import typed as sources
from helpers.sources.typed import PLACE

# To plan a long question takes an engine longer than to answer it for so many rows.
FEW_ROWS = 100_000
# A rate of exchange holds for so many days, unless a newer one comes.
RATE_DAYS = 45


@dataclass(frozen=True)
class Part:
    """One source of a table: what it says (``raw``), and the same in the contract's types.

    Text is read once: what it says is kept in ``copy``, a table in the engine, and everything after
    works on that. Parquet of many rows is read where it lies. ``plain`` ids are taken as they are.
    """

    raw: ir.Table
    source: Source
    shop: Shop
    rows: int = 0
    years: tuple[int, int] = (2000, 2000)
    plain: frozenset[str] = frozenset()
    copy: ir.Table | None = None

    def typed(self) -> ir.Table:
        """Give the contract's columns, stamps still as written."""
        if self.copy is not None:
            return self.copy
        return sources.typed(self.raw, self.source, self.shop, plain=self.plain)

    def only(self, con, places: ir.Table) -> "Part":
        """Keep the rows at these few places, before anything is made of their columns."""
        if self.copy is not None:
            return replace(self, copy=self.copy.semi_join(places, PLACE))
        name = f"{self.raw.get_name()}_few"
        few = engines.kept(con, name, self.raw.semi_join(places, PLACE))
        return replace(self, raw=few)


def read(con, shop: Shop, name: str, scratch: Path) -> tuple[list[Part], dict[str, int]]:
    """Open all sources of a table; also count what only the values as written show.

    ``scratch`` takes copies of the shop's files; whoever made that folder deletes it.
    """
    parts, counted = [], {}
    for number, source in enumerate(shop.sources[name]):
        part = Part(raw=sources.read(con, shop, source, scratch), source=source, shop=shop)
        in_place = con.name == "duckdb" and _is_parquet(shop, source)
        if in_place:
            part = replace(part, plain=sources.plain_ids(part.raw, source))
        if not in_place or part.raw.count().execute() <= FEW_ROWS:
            path = scratch / f"{name}_typed_{number}.parquet"
            with sources.readable(shop, name):
                part = replace(part, copy=engines.copied(con, part.typed(), path))
        typed = part.typed()
        rows, years = _rows_and_years(typed, name)
        part = replace(part, rows=rows, years=years)
        parts.append(part)
        if name == "orders":
            first, last = part.years
            seen = sources.clock_flags(typed, source, shop, first=first, last=last)
            seen["id_mended"] = typed.mended == 1
            for key, more in tally.sums(typed, seen).items():
                counted[key] = counted.get(key, 0) + more
    return parts, counted


def are_few(parts: list[Part]) -> bool:
    """Say whether a step over all rows is better kept than named and read again for each question.

    Questions are to be short. Of many rows only the columns are read that a question takes.
    """
    return sum(part.rows for part in parts) <= FEW_ROWS


def together(parts: list[Part]) -> ir.Table:
    """Give the rows of all parts, one below the other, with UTC instants and local days."""
    placed = [
        sources.placed(
            part.typed(), part.source, part.shop, first=part.years[0], last=part.years[1]
        ).drop("mended")
        for part in parts
    ]
    return ibis.union(*placed) if len(placed) > 1 else placed[0]


def _is_parquet(shop: Shop, source: Source) -> bool:
    """Say whether a source is read where it lies, as DuckDB reads the columns it needs alone."""
    ends = {path.suffix.lower() for path in shop.source_files(source)}
    return not source.query and ends <= {".parquet", ".pq"}


def _rows_and_years(table: ir.Table, name: str) -> tuple[int, tuple[int, int]]:
    """Count rows, and give the first and last year for which the clock's changes are looked up.

    The unbroken run of years around the fullest one, and two more for what follows a row, such as
    a refund. Beyond it the nearest offset holds: a line misdated by decades would otherwise put
    the clock changes of all of them into every query.
    """
    stamps = [column.name for column in TABLES[name].columns if column.type == "timestamp"]
    dated = TABLES[name].dated_by
    stamp = table[dated if dated in stamps else stamps[0]]
    counts = table.group_by(year=stamp.year()).aggregate(n=stamp.count(), rows=table.count())
    counts = counts.execute()
    rows, found = (
        int(counts.rows.sum()),
        {int(row.year): row.n for row in counts.itertuples() if row.n},
    )
    if not found:
        return rows, (2000, 2000)
    first = last = max(sorted(found), key=lambda year: found[year])
    while first - 1 in found:
        first -= 1
    while last + 1 in found:
        last += 1
    return rows, (first, last + 2)


def converted(con, rows: ir.Table, name: str, shop: Shop, stage: Path) -> ir.Table:
    """Convert money of other currencies at the rate of the day, where fx_rates has one.

    ``is_converted`` says where. The latest rate at or before the day counts, for 45 days.
    """
    path = stage / "fx_rates.parquet"
    if name == "fx_rates" or "currency" not in rows.columns or not engines.exists(con, path):
        return rows.mutate(is_converted=ibis.literal(False))
    day = sources.day_name(TABLES[name].dated_by)
    rates = engines.read(con, path).filter(ibis._.rate > 0)
    rates = rates.group_by(code=rates.currency.upper(), since=rates.day).aggregate(
        rate=rates.rate.min()
    )
    newer = rates.since.lead().over(ibis.window(group_by=rates.code, order_by=rates.since))
    last = (rates.since + ibis.interval(days=RATE_DAYS)).cast("date")
    rates = rates.mutate(until=ibis.least(newer.fill_null(last), last))
    joined = rows.left_join(
        rates,
        [rows.currency.upper() == rates.code, rows[day] >= rates.since, rows[day] < rates.until],
    )
    known = joined.rate.notnull()
    amounts = [column.name for column in TABLES[name].columns if column.type == "money"]
    money = {
        column: ibis.ifelse(
            known, (joined[column] * joined.rate).round().cast("int64"), joined[column]
        )
        for column in amounts
    }
    return joined.mutate(
        **money,
        currency=ibis.ifelse(known, shop.currency, joined.currency),
        is_converted=known,
    ).drop("code", "since", "until", "rate")
