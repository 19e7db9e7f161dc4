"""Propose which column of a file is which column of the contract, and say what was not taken."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

from helpers.contract.tables import TABLES, Column
from helpers.errors import UsageError, nearest
from helpers.newshop import values
from helpers.newshop.heads import SAMPLE_ROWS, Head
from helpers.newshop.names import candidates, doubt, listed
from helpers.written import inline, percent

# Taken only when asked for: a name or an address is nobody's business unless the shop says so.
_ON_REQUEST = {"person": "a name or address, only counted per customer id and never kept"}
_MOST_MIXED, _FEW_ORDERS = 0.02, 50


@dataclass(frozen=True)
class Given:
    """What the user said about a table: columns by the contract's names, forms of values."""

    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    date_format: str | None = None
    decimal: str = ""


@dataclass(frozen=True)
class Proposal:
    """A mapping of a file to a canonical table.

    ``columns`` maps the contract's names to columns of the file; ``not_taken`` gives for a
    contract's column the column of the file that was considered, and why it was not taken;
    ``settings`` are those of shop.toml; ``notes`` are sentences to check; ``unused`` columns of
    the file stand for nothing.
    """

    table: str
    columns: dict[str, tuple[str, ...]]
    not_taken: dict[str, tuple[str, str]]
    settings: dict[str, str]
    notes: tuple[str, ...]
    unused: tuple[str, ...]
    dates: values.Dates


def propose(head: Head, table: str, given: Given) -> Proposal:
    """Map a file to a table of the contract by names, and check the names against the values.

    Raises UsageError where a required column is not found, or where values allow two readings
    (day and month, decimal sign) and the user has not said which is meant.
    """
    _check_given(head, table, given)
    options = candidates(table, head.columns)
    options |= {name: sources[:1] for name, sources in given.columns.items()}
    _require(head, table, options)
    taken, notes = _ids(head, options, given) if table == "orders" else ({}, [])
    stamp, dates = _dated(head, table, options, given, taken)
    decimal = _decimal(head, table, options, given, taken)
    left: dict[str, tuple[str, str]] = {}
    for column in sorted(TABLES[table].columns, key=lambda column: not column.required):
        if column.name not in taken:
            source, why = _fitting(head, column, options, given, dates.form, decimal, taken)
            if source and not why:
                taken[column.name] = source
            elif source:
                left[column.name] = (source, why)
    _require_fitting(head, table, taken, left, options, given)
    notes += _doubts(head, table, taken, given)
    columns = {
        column.name: given.columns.get(column.name, (taken[column.name],))
        for column in TABLES[table].columns
        if column.name in taken
    }
    used = {each for sources in columns.values() for each in sources}
    used |= {source for source, _ in left.values()}
    settings = {"date_format": dates.form} if dates.form else {}
    settings |= {"decimal": decimal} if decimal != "." else {}
    if re.search(r"\b(utc|gmt)\b", stamp.lower()):
        settings["timestamps"] = "utc"
    unused = tuple(name for name in head.columns if name not in used)
    return Proposal(table, columns, left, settings, tuple(notes), unused, dates)


def option(name: str, table: str, value: str) -> str:
    """Write an option of the command for a table; orders need no mention."""
    return f'{name} "{value}"' if table == "orders" else f'{name} "{table}={value}"'


def column_option(table: str, column: str) -> str:
    """Write how to name a column of the file for one of the contract."""
    return f'--column {column if table == "orders" else f"{table}.{column}"}="..."'


def _check_given(head: Head, table: str, given: Given) -> None:
    accepted = [column.name for column in TABLES[table].columns]
    for name, sources in given.columns.items():
        if name not in accepted:
            raise UsageError(
                f"--column {name}: {table} has no such column. Accepted: {', '.join(accepted)}."
                f"{nearest(name, accepted)}"
            )
        for source in sources:
            if source not in head.columns:
                raise UsageError(
                    f"--column {name}={source}: {head.named} has no such column. "
                    f"It has: {listed(head.columns)}.{nearest(source, head.columns)}"
                )


def _require(head: Head, table: str, options: dict) -> None:
    missing = [name for name in TABLES[table].required if not options[name]]
    if missing:
        raise UsageError(
            f"{head.named}: no column is known by name for {', '.join(missing)}. "
            f"It has: {listed(head.columns)}. Name the right one: "
            f"{column_option(table, missing[0])}{' and so on' if len(missing) > 1 else ''}. What "
            "each means: data/README.md."
        )


def _require_fitting(
    head: Head, table: str, taken: dict, left: dict, options: dict, given: Given
) -> None:
    """Refuse a required column without a fitting source, and one that the user named in vain."""
    for name in dict.fromkeys((*TABLES[table].required, *given.columns)):
        if name not in taken:
            source, why = left.get(name) or (options[name][0], "that stands for another column")
            raise UsageError(
                f"{head.named}: {name} would be '{inline(source)}', but {why}. Name another "
                f"column: {column_option(table, name)}."
            )


def _ids(head: Head, options: dict, given: Given) -> tuple[dict[str, str], list[str]]:
    """Choose the columns of order and customer: an order has one customer, a customer many."""
    joined = any(len(given.columns.get(name, ())) > 1 for name in ("order_id", "customer_id"))
    named = joined or {"order_id", "customer_id"} <= set(given.columns)
    pairs = [
        pair
        for pair in product(options["order_id"], options["customer_id"])
        if named or pair[0] != pair[1]
    ]
    sound = []
    for order, customer in pairs:
        counts = values.id_counts(head, order, customer)
        whole = counts["orders"] and counts["mixed"] <= _MOST_MIXED * counts["orders"]
        if joined or whole:
            sound.append((order, customer, counts))
    if not sound:
        order, customer = pairs[0] if pairs else (options["order_id"][0],) * 2
        raise UsageError(
            f"{head.named}: '{inline(order)}' as order_id and '{inline(customer)}' as customer_id "
            "do not fit each other: an order must have one customer. Name the right ones: "
            '--column order_id="..." --column customer_id="...".'
        )
    coming_back = [each for each in sound if each[2]["customers"] < each[2]["orders"]]
    order, customer, counts = (coming_back or sound)[0]
    notes = []
    if not joined and not coming_back and counts["orders"] >= _FEW_ORDERS:
        notes.append(
            f"No customer of the first rows has a second order: check that '{inline(customer)}' "
            "is the customer's id, the same in each of his orders."
        )
    return {"order_id": order, "customer_id": customer}, notes


def _dated(head: Head, table: str, options: dict, given: Given, taken: dict):
    """Find the column that dates a row and how its dates are written; refuse to guess."""
    stamps = [c for c in TABLES[table].columns if c.type in ("timestamp", "date")]
    for column in sorted(stamps, key=lambda column: not column.required):
        for source in options[column.name]:
            if source in taken.values() and column.name not in given.columns:
                continue
            found = values.dates(head, source, form=given.date_format)
            if found and not found.settled:
                raise UsageError(
                    f"{head.named}: every date in '{inline(source)}' can be day first or month "
                    f"first. Say which: {option('--date-format', table, found.form)} or "
                    f"{option('--date-format', table, found.other)}."
                )
            if found:
                return source, found
        if column.required:
            form = f" as {given.date_format}" if given.date_format else ""
            raise UsageError(
                f"{head.named}: {column.name} would be '{inline(options[column.name][0])}', but "
                f"its values cannot be read as dates{form}; {values.DATE_FORMS}. Name another "
                f"column ({column_option(table, column.name)}) or the form "
                f"({option('--date-format', table, '%d.%m.%Y')})."
            )
    return "", values.Dates()


def _decimal(head: Head, table: str, options: dict, given: Given, taken: dict) -> str:
    """Find the decimal sign of a table's amounts, from the first amounts that show it."""
    if given.decimal:
        return given.decimal
    amounts = [c for c in TABLES[table].columns if c.type in ("money", "number")]
    unsettled = ""
    for column in sorted(amounts, key=lambda column: not column.required):
        for source in options[column.name]:
            found = values.decimal(head, source) if source not in taken.values() else None
            if found in (".", ",", "auto"):
                return found
            if found == "?":
                unsettled = unsettled or source
    if unsettled:
        raise UsageError(
            f"{head.named}: the amounts of '{inline(unsettled)}', such as 1.234 or 1,234, can be "
            "thousands or hold decimals. Say which sign is the decimal one: "
            f"{option('--decimal', table, ',')} or {option('--decimal', table, '.')}."
        )
    return "."


def _fitting(
    head: Head, column: Column, options: dict, given: Given, form: str, decimal: str, taken: dict
) -> tuple[str, str]:
    """Give the first option whose values can be what the column holds, or one and why not."""
    first = ("", "")
    for source in options[column.name]:
        if source in taken.values() and column.name not in given.columns:
            continue
        why = _unfit(head, column, source, form, decimal)
        own = "".join(source.split()).casefold() == column.name
        if own and why:
            why += "; its name is the contract's, so it is read where it can be"
        if not own and column.name not in given.columns:
            why = why or _ON_REQUEST.get(column.name, "")
            if column.name == "revenue":
                why = why or _of_one_unit(head, source, options["quantity"])
        if not why:
            return source, ""
        first = first if first[0] else (source, why)
    return first


def _of_one_unit(head: Head, source: str, quantities: tuple[str, ...]) -> str:
    """Refuse the price of a unit as revenue where units are counted and are not always one."""
    if "one unit" not in doubt("orders", "revenue", source):
        return ""
    for quantity in quantities:
        if not {*values.texts(head, quantity)} <= {"1", "1.0", "1,0", "1.00", "1,00"}:
            return (
                "it is by its name the price of one unit, and more units are sold at a time; "
                "revenue is the total of a line, which the export must hold"
            )
    return ""


def _unfit(head: Head, column: Column, source: str, form: str, decimal: str) -> str:
    """Say why the values of a source cannot be a column; empty if they can."""
    number = values.reads_number(decimal)
    tests = dict.fromkeys(("timestamp", "date"), values.reads_stamp(form))
    tests |= dict.fromkeys(("money", "number", "integer"), number)
    tests |= {"boolean": values.reads_boolean}
    share = values.share_read(head.sample, source, tests.get(column.type, values.is_given))
    if share != share:
        return f"it is empty in the first {SAMPLE_ROWS:,} rows"
    if share > values.READ:
        return ""
    what = {"timestamp": "dates", "date": "dates", "boolean": "yes or no"}
    read = what.get(column.type, f"numbers with the decimal sign {decimal}")
    return f"only {percent(share, 0)} of its values can be read as {read}"


def _doubts(head: Head, table: str, taken: dict, given: Given) -> list[str]:
    """List what is doubtful about the columns taken, unless the user named them."""
    notes = [
        f"{name}: '{inline(source)}' {doubt(table, name, source)}."
        for name, source in taken.items()
        if name not in given.columns and doubt(table, name, source)
    ]
    if table != "orders" or len(given.columns.get("order_id", ())) > 1:
        return notes
    if values.repeats_totals(head, taken["order_id"], taken["revenue"]):
        notes.append(
            f"revenue: '{inline(taken['revenue'])}' is the same on every line of orders with "
            "several lines. If it is the order's total, it would be counted once a line: map the "
            "amount of the line instead."
        )
    return notes
