"""What is known of a source table as a whole, before any rule looks at its rows."""

import math
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import ibis
import pandas as pd
from ibis.expr import types as ir

from helpers.cleaning.rules import Context
from helpers.contract.shop import Shop
from helpers.contract.tables import TABLES
from helpers.sources import typed as sources

# A silence of a year before the last few lines: those are misdated, not the end of the export.
_SILENCE, _FEW = 365, 0.01
_WORDS, _MOST_WORDS = ("status", "currency"), 1000
_BIN = 20  # amounts are sorted into bins of e^(1/20), 5% wide


@dataclass(frozen=True)
class Facts:
    """What is known of a whole table before any rule looks at its rows.

    ``filled`` counts the values of each column that has any, ``days`` the rows of each local day,
    ``words`` the different values, in lower case, of columns that hold words. Money is in minor
    units, ``size`` the sum of absolute amounts.
    """

    rows: int
    money: int
    size: int
    unreadable: int
    filled: dict[str, int]
    days: dict[date, int]
    words: dict[str, frozenset[str]] = field(default_factory=dict)
    large_amount: int | None = None
    large_quantity: float | None = None


def look(rows: ir.Table, name: str) -> Facts:
    """Look at a whole table once for its totals; at order lines also by day and by size."""
    optional = [column.name for column in TABLES[name].columns]
    is_orders = name == "orders"
    money = {"money": rows.revenue.sum(), "size": rows.revenue.abs().sum()} if is_orders else {}
    totals = rows.aggregate(
        all_rows=rows.count(), unreadable=rows.unreadable.sum(),
        **money,
        **{f"filled_{column}": rows[column].count() for column in optional},
    ).execute().iloc[0]  # fmt: skip
    day = rows[sources.day_of(name)]
    days = rows.group_by(day=day).aggregate(n=rows.count()).filter(ibis._.day.notnull()).execute()
    return Facts(
        rows=int(totals.all_rows),
        money=whole(totals.get("money")),
        size=whole(totals.get("size")),
        unreadable=whole(totals.unreadable),
        filled={each: int(n) for each in optional if (n := totals[f"filled_{each}"])},
        days={day.date(): int(n) for day, n in zip(pd.to_datetime(days.day), days.n, strict=True)},
        words={each: _words(rows[each]) for each in _WORDS if totals.get(f"filled_{each}")},
        large_amount=_far_out(rows, "revenue", 50) if is_orders else None,
        large_quantity=_far_out(rows, "quantity", 20) if is_orders else None,
    )


def _words(column: ir.StringColumn) -> frozenset[str]:
    """Give the different values of a column that holds words; a column of names has too many."""
    found = column.lower().name("word").as_table().distinct().limit(_MOST_WORDS).execute()
    return frozenset(found["word"].dropna())


def _far_out(rows: ir.Table, column: str, times: int) -> float | None:
    """Give ``times`` the 99th percentile of absolute values above zero, to within 5%.

    Counted in bins, whose result does not depend on the order of rows as an estimate's would.
    """
    values = rows.filter(rows[column].abs() > 0)
    bins = (values[column].abs().cast("float64").ln() * _BIN).floor().cast("int64")
    counts = values.group_by(bin=bins).aggregate(n=values.count()).order_by("bin").execute()
    if counts.empty:
        return None
    upto = counts.n.cumsum() / counts.n.sum()
    return times * math.exp((int(counts.bin[(upto >= 0.99).idxmax()]) + 1) / _BIN)


def context(shop: Shop, facts: Facts) -> Context:
    """Give what rules may look at beside a row: settings, filled columns, the end of the period."""
    complete = shop.complete_through or _last_day(facts.days) or date(2000, 1, 1)
    years = shop.privacy.keep_years
    return Context(
        shop=shop,
        complete_through=complete,
        retained_from=_years_before(complete, years) if years else None,
        rows=facts.rows,
        filled=facts.filled,
        days=(min(facts.days), max(facts.days)) if facts.days else None,
        words=facts.words,
        large_amount=facts.large_amount,
        large_quantity=facts.large_quantity,
    )


def _years_before(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:  # the 29th of February
        return day.replace(year=day.year - years, day=28)


def _last_day(days: dict[date, int]) -> date | None:
    """Give the last day of the export: a few lines a year or more after all others are misdated."""
    found, total, seen = sorted(days, reverse=True), sum(days.values()), 0
    last = found[0] if found else None
    for later, earlier in pairwise(found):
        seen += days[later]
        if seen > _FEW * total:
            break
        if later - earlier > timedelta(days=_SILENCE):
            last = earlier
    return last


def whole(value: Any) -> int:
    """Give a number of the engine as an int; missing (a sum of nothing) is 0."""
    return 0 if value is None or value != value else int(value)
