"""Is every table up to date: its last day against the month's end and against its own habit."""

import math

import ibis
import pandas as pd
from ibis.expr import types as ir

from helpers.contract.tables import TABLES
from helpers.show import count, days, label
from helpers.sources.typed import day_name

# Tables that say when something happened; plans (budget, promotions) run ahead of it.
DATED = tuple(
    name
    for name, table in TABLES.items()
    if table.dated_by and name not in ("budget", "promotions", "experiments", "customers")
)
SLACK_DAYS, TIMES, LEAST_DAYS = 7, 3, 5


def table_gaps(*tables: ir.Table) -> ir.Table:
    """Table by days since the day before that had a row: how many days, rows, first and last day.

    One table for each of ``DATED``, in that order, cut at the month's end. The first day of a
    table has no day before it: ``gap`` is missing there.
    """
    parts = []
    for name, table in zip(DATED, tables, strict=True):
        column = "event_date" if name == "orders" else TABLES[name].dated_by
        kinds = {each.name: each.type for each in TABLES[name].columns}
        column = day_name(column) if kinds.get(column) == "timestamp" else column
        dated = table.filter(table[column].notnull())
        active = dated.group_by(day=dated[column]).aggregate(rows=dated.count())
        before = active.day.lag().over(ibis.window(order_by=active.day))
        steps = active.mutate(gap=active.day.delta(before, unit="day").cast("int64"))
        found = steps.group_by("gap").aggregate(
            days=steps.count(), rows=steps.rows.sum(),
            first_day=steps.day.min(), last_day=steps.day.max(),
        )  # fmt: skip
        parts.append(found.mutate(table=ibis.literal(name)))
    return ibis.union(*parts, distinct=False)


def freshness(gaps: pd.DataFrame, end: object) -> pd.DataFrame:
    """Say for every dated table whether it reaches the month's end.

    ``usual_gap`` is the gap that 95% of a table's own gaps between days with rows do not exceed
    (nearest rank). A table is late when it ends more than 7 days plus three usual gaps before
    ``end``, and more than its longest gap so far; it is not judged with fewer than five days with
    rows. Columns: table, rows, first_day, last_day, days_short (from the last day to the end),
    usual_gap, state (up to date, late, too few days to tell), part_months (first, last, or both:
    the month has no row within a usual gap of its edge, so it may not be whole).
    """
    rows, end = [], pd.Timestamp(end).normalize()
    for name in DATED:
        found = gaps[gaps["table"] == name]
        if found.empty:
            continue
        first, last = found["first_day"].min(), found["last_day"].max()
        usual, short = _usual(found), (end - last).days
        known = usual is not None
        # Campaigns and tests come in waves: a wait as long as one before is no fault.
        late = known and short > max(SLACK_DAYS + TIMES * usual, found["gap"].max())
        edge = usual or 1
        rows.append(
            (
                name,
                int(found["rows"].sum()),
                first,
                last,
                short,
                float(usual) if known else float("nan"),
                ("late" if late else "up to date") if known else "too few days to tell",
                _part((first - first.replace(day=1)).days > edge, short > edge),
            )
        )
    columns = ["table", "rows", "first_day", "last_day", "days_short", "usual_gap", "state"]
    return pd.DataFrame(rows, columns=[*columns, "part_months"])


def _part(first: bool, last: bool) -> str:
    return "first and last" if first and last else "first" if first else "last" if last else ""


def _usual(found: pd.DataFrame) -> int | None:
    """Give the 95th percentile of the gaps by nearest rank; None with too few days."""
    known = found.dropna(subset="gap").sort_values("gap")
    number = int(known["days"].sum())
    if number + 1 < LEAST_DAYS:
        return None
    reached = known["days"].cumsum() >= math.ceil(0.95 * number)
    return int(known.loc[reached, "gap"].iloc[0])


def freshness_sentence(table: pd.DataFrame, end: object) -> str:
    """Say whether all tables reach the month's end, or which do not."""
    late = table[table["state"] == "late"]
    judged = int((table["state"] != "too few days to tell").sum())
    if late.empty:
        if judged < 2:
            return "No table that can be judged ends too early."
        return (
            f"Each of the {count(judged)} tables that can be judged reaches the end of the month, "
            "give or take its usual gap."
        )
    found = ", ".join(
        f"{label(row.table.replace('_', ' '))} ends {days(row.days_short)} before "
        f"{pd.Timestamp(end):%d %B %Y} (usual gap {days(row.usual_gap)})"
        for row in late.itertuples()
    )
    return f"{count(len(late))} of {count(judged)} tables end too early: {found}. Export them anew."
