"""What only several rows together can show: copies, overlaps of files, keys that are none.

Each function looks at the few columns it needs and gives the rows concerned as a small engine
table of ``_file`` and ``_row`` (the place of a row in the files), which `marked` joins back.
"""

import math
from collections.abc import Collection
from typing import Any

import ibis
import pandas as pd
from ibis.expr import types as ir

from helpers.sources.typed import PLACE

# What may differ between copies of a line: where it stood.
_APART = ("_row", "unreadable")
# A customer id with more names, or with more lines, than these is flagged.
MOST_PERSONS, BUSY_LINES, BUSY_TIMES = 5, 200, 20


def line_key(filled: Collection[str]) -> list[str]:
    """Name what tells two lines of an order apart: their id, or else what was bought."""
    if "line_id" in filled:
        return ["line_id"]
    return [name for name in ("product_id", "revenue") if name in filled]


def odd_orders(rows: ir.Table, line: list[str]) -> ir.Table:
    """Orders seen in several files, under several customers, or perhaps with a line twice.

    One look that leaves few rows for all that follow. ``last_file`` is the last that has the order;
    ``in_files`` and ``of_two`` say which it is; ``may_repeat`` is false where its lines are one, or
    two that differ in ``line`` (see `line_key`).
    """
    found = rows.group_by("order_id").aggregate(
        lines=rows.count(),
        low_file=rows["_file"].min(), last_file=rows["_file"].max(),
        low_customer=rows.customer_id.min(), high_customer=rows.customer_id.max(),
        **{f"low_{name}": rows[name].min() for name in line},
        **{f"high_{name}": rows[name].max() for name in line},
    )  # fmt: skip
    differ = [(found[f"low_{name}"] < found[f"high_{name}"]).fill_null(False) for name in line]
    named = found.order_id.notnull()
    found = found.mutate(
        in_files=named & (found.low_file < found.last_file),
        of_two=named & (found.low_customer < found.high_customer).fill_null(False),
        may_repeat=(found.lines > 2) | ((found.lines == 2) & ~ibis.or_(False, *differ)),
    )
    odd = found.in_files | found.of_two | found.may_repeat
    return found.filter(odd).select("order_id", "last_file", "in_files", "of_two", "may_repeat")


def same_lines(rows: ir.Table, odd: ir.Table, line: list[str]) -> ir.Table:
    """Keys that stand in more than one line of a file: order and line id, else what was bought.

    A narrow look, at the orders that may repeat a line, which leaves few rows for the wide
    comparisons of `copies` and `same_keys`.
    """
    odd = odd.filter(odd.may_repeat)
    rows = rows.semi_join(odd, rows.order_id.identical_to(odd.order_id))
    key = ["order_id", "_file", *line]
    return rows.group_by(key).having(rows.count() > 1).aggregate()


def copies(rows: ir.Table, twice: ir.Table) -> ir.Table:
    """Exact copies of another line of the same file, every column alike; the first is no copy."""
    # Missing values meet each other here: a line without a product can be copied too.
    suspects = rows.semi_join(twice, [rows[key].identical_to(twice[key]) for key in twice.columns])
    same = [name for name in rows.columns if name not in _APART]
    place = ibis.row_number().over(group_by=same, order_by="_row")
    return suspects.mutate(_copy=place).filter(ibis._._copy > 0).select(*PLACE)


def same_keys(rows: ir.Table, twice: ir.Table) -> ir.Table:
    """Lines whose order has another line of the same line id that says something else."""
    given = twice.filter(twice.line_id.notnull())
    lines = rows.semi_join(given, twice.columns)
    other = [name for name in rows.columns if name not in (*_APART, *twice.columns)]
    kinds = lines.select(*twice.columns, *other).distinct()
    several = kinds.group_by(twice.columns).having(kinds.count() > 1).aggregate()
    return lines.semi_join(several, twice.columns).select(*PLACE)


def overlaps(rows: ir.Table, odd: ir.Table) -> tuple[ir.Table, ir.Table]:
    """Rows of orders that a later file has as well, and rows of orders cut over two files.

    An order that shares a line (same product, quantity and amount, or same line id) with a later
    file was exported twice: the last file that has it counts. Without a line in common the files
    hold different parts of it, and all of them count. A refund is never the line of its sale, and
    two refunds are the same only with the same amount on the same day: a second part of the money
    that goes back takes no sale away.
    """
    several = odd.filter(odd.in_files).select("order_id", "last_file")
    lines = rows.join(several, "order_id")
    # Where lines have ids, an amount that changed between two exports is still the same line.
    content = {
        name: ibis.ifelse(lines.line_id.isnull(), lines[name], ibis.null(lines[name].type()))
        for name in ("product_id", "quantity", "revenue")
    }
    back = {
        "refund_day": lines.refunded_date.fill_null(lines.order_date),
        "refund_amount": lines.revenue,
    }
    content |= {
        name: ibis.ifelse(lines.is_refund, value, ibis.null(value.type()))
        for name, value in back.items()
    }
    in_files = lines.mutate(**content).group_by("order_id", "line_id", "is_refund", *content)
    in_files = in_files.aggregate(files=lines["_file"].nunique())
    again = in_files.filter(in_files.files > 1).select("order_id").distinct()
    twice = lines.semi_join(again, "order_id").filter(ibis._["_file"] < ibis._.last_file)
    # A refund in a later file than its sale is no cut.
    sales = lines.filter(~lines.is_refund)
    split = sales.group_by("order_id").having(sales["_file"].nunique() > 1).aggregate()
    cut = lines.anti_join(again, "order_id").semi_join(split, "order_id")
    return twice.select(*PLACE), cut.select(*PLACE)


def payments_again(rows: ir.Table) -> ir.Table:
    """Rows of payments that a later file has as well."""
    given = rows.filter(rows.payment_id.notnull())
    last = given.group_by("payment_id").aggregate(last_file=given["_file"].max())
    twice = given.join(last, "payment_id")
    return twice.filter(twice["_file"] < twice.last_file).select(*PLACE)


def of_two_customers(rows: ir.Table, odd: ir.Table) -> ir.Table:
    """Rows of orders that stand under several customer ids."""
    orders = odd.filter(odd.of_two).select("order_id")
    return rows.semi_join(orders, "order_id").select(*PLACE)


def case_twins(rows: ir.Table, ids: ir.Table) -> ir.Table:
    """Rows whose customer id differs from another one only in capitals."""
    folded = ids.group_by(folded=ids.customer_id.lower())
    several = folded.having(ids.count() > 1).aggregate()
    twins = ids.semi_join(several, ids.customer_id.lower() == several.folded)
    return rows.semi_join(twins, "customer_id").select(*PLACE)


def many_persons(rows: ir.Table) -> ir.Table:
    """Customer ids that stand for more than five names or addresses."""
    people = rows.person.lower().strip()
    found = rows.group_by("customer_id").aggregate(persons=people.nunique(), rows=rows.count())
    return found.filter((found.persons > MOST_PERSONS) & found.customer_id.notnull())


def people(rows: ir.Table) -> ir.Table:
    """Every customer id with its number of ``lines``."""
    rows = rows.filter(rows.customer_id.notnull())
    return rows.group_by("customer_id").aggregate(lines=rows.count())


def lines_per_customer(people: ir.Table, taken: ir.Table) -> ir.Table:
    """How many customer ids (``ids``) have so many lines (``rows``), without those taken out."""
    gone = taken.group_by(gone_id=taken.customer_id).aggregate(gone=taken.count())
    lines = people.left_join(gone, people.customer_id == gone.gone_id)
    lines = lines.select(rows=lines.lines - lines.gone.fill_null(0))
    lines = lines.filter(lines.rows > 0)
    return lines.group_by("rows").aggregate(ids=lines.count()).order_by("rows")


def busy_lines(lines: pd.DataFrame) -> int:
    """Count the lines of ids with far more of them: over 200, and 20 times what others have.

    ``lines`` is `lines_per_customer`; others are all but the busiest thousandth, and at least all
    but three: in a small shop the busiest would be its own measure.
    """
    apart = max(3, math.ceil(lines["ids"].sum() * 0.001))
    others = lines[lines["ids"][::-1].cumsum()[::-1] > apart]
    if others.empty:
        return 0
    usual = others["rows"].max()
    busiest = lines[lines["rows"] > max(BUSY_LINES, BUSY_TIMES * usual)]
    return int((busiest["rows"] * busiest["ids"]).sum())


def marked(rows: ir.Table, marks: dict[str, Any]) -> ir.Table:
    """Join marks to rows by their place: a boolean column each; no table means false for all."""
    for name, places in marks.items():
        if places is None:
            rows = rows.mutate(**{name: ibis.literal(False)})
            continue
        found = places.mutate(**{name: True})
        joined = rows.left_join(found, list(PLACE))
        rows = joined.drop(*(f"{key}_right" for key in PLACE)).mutate(
            **{name: ibis._[name].fill_null(False)}
        )
    return rows
