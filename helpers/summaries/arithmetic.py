"""What summaries are written with: whole sums, months, values told apart."""

from collections.abc import Sequence

import ibis
from ibis.expr import types as ir


def told_apart(cells: ir.Table, dimensions: tuple[str, ...]) -> ir.Table:
    """Give each cell a row for each dimension, with its ``value`` there."""
    cells = cells.mutate(dimension=ibis.array(list(dimensions)).unnest())
    value = ibis.literal("all")
    for name in (name for name in dimensions if name != "all"):
        value = ibis.ifelse(cells.dimension == name, cells[name], value)
    return cells.mutate(value=value)


def month_of(day: ir.DateValue) -> ir.DateValue:
    """Give the first day of a day's month."""
    return day.truncate("M").cast("date")


def month_number(day: ir.DateValue) -> ir.IntegerValue:
    """Give the months since the year 0 of a day's month, so that a month before is one less."""
    return (day.year() * 12 + day.month() - 1).cast("int64")


def every_month(rows: ir.Table, first: ir.IntegerValue, last: ir.IntegerValue) -> ir.Table:
    """Give every month between two of `month_number`, reductions of ``rows``: number and month."""
    edges = rows.aggregate(first_month=first, last_month=last)
    numbers = ibis.range(edges.first_month, edges.last_month + 1).unnest()
    months = edges.select(number=numbers).mutate(number=lambda t: t.number.cast("int64"))
    year, month = months.number // 12, months.number % 12 + 1
    return months.mutate(month=ibis.date(year.cast("int32"), month.cast("int32"), ibis.literal(1)))


def whole(column: ir.IntegerColumn, where: ir.BooleanValue | None = None) -> ir.IntegerScalar:
    """Sum whole numbers; 0 where there are none.

    As floats, in which whole numbers are exact up to nine quadrillion: DuckDB sums integers in 128
    bits, which takes half as long again and twice the room, and Parquet keeps those as fractions.
    """
    return column.cast("float64").sum(where=where).fill_null(0).cast("int64")


def with_products(
    each: ir.Table,
    keys: Sequence[str],
    counts: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    **more: ir.Scalar,
) -> ir.Table:
    """Sum whole numbers by ``keys``: ``each`` has one row per customer and cell.

    ``customers`` counts the rows. For each of ``pairs``, the part and the whole of a share, sums
    over customers of products stand beside the sums of ``counts``: part_part, part_whole and
    whole_whole, from which `metrics.design_effect` tells what it matters that customers come more
    than once. ``more`` are other columns, of ``each``; they go over these.
    """
    products = {(a, b) for part, of in pairs for a, b in ((part, part), (part, of), (of, of))}
    found = {"customers": each.count()} | {name: whole(each[name]) for name in counts}
    found |= {f"{a}_{b}": whole(each[a] * each[b]) for a, b in sorted(products)}
    return (each.group_by(*keys) if keys else each).aggregate(**found | more)


def exact(column: ir.IntegerColumn) -> ir.DecimalColumn:
    """Give whole numbers whose products are exact, up to the 38 digits that engines have.

    DuckDB keeps the product of two decimals of up to 18 digits to 18 digits, and fails beyond.
    """
    return column.cast("decimal(19, 0)")
