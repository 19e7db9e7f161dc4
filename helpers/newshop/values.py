"""What the values of a column can be: dates in which form, amounts with which decimal sign.

Everything is tried with the conversions that cleaning uses, so what is proposed is what is read.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import ibis
from ibis.expr import types as ir

from helpers.contract import conversions
from helpers.newshop.heads import Head, texts

# A column stands for dates or amounts where more than this share of its values is read as such.
READ = 0.95
_STAMP = re.compile(
    r"(?P<a>\d{1,4})(?P<s>[./-])(?P<b>\d{1,2})(?P=s)(?P<c>\d{1,4})"
    r"(?:(?P<gap>,? |T)(?P<hm>\d{1,2}:\d{2})(?P<sec>:\d{2}(?:\.\d+)?)?)?"
    r"(?P<zone> ?(?:Z|UTC|[+-]\d{2}(?::?\d{2})?))?"
)
_FORMS = "2026-06-30 14:05, 30.06.2026 14:05, 30/06/2026, 06/30/2026, 2026/06/30 or 20260630"
DATE_FORMS = f"dates are read as {_FORMS}, with or without seconds and an offset"


@dataclass(frozen=True)
class Dates:
    """How the dates of a column are written: ``form`` as in shop.toml (empty: ISO 8601).

    ``other`` is a second form that reads them as well, ``settled`` whether a value rules it out,
    ``offsets`` the UTC offsets in minutes that stand in the sample.
    """

    form: str = ""
    other: str = ""
    settled: bool = True
    offsets: tuple[int, ...] = ()


def share_read(table: ir.Table, column: str, read: Callable) -> float:
    """Give the share of the values given that can be read; NaN where no value is given."""
    values = table.select(given=conversions.to_text(table[column]), read=read(table[column]))
    counts = values.aggregate(
        given=values.given.notnull().sum(), read=(values.read & values.given.notnull()).sum()
    ).to_pandas()
    given, read_ = (int(x) if x == x else 0 for x in counts.iloc[0])
    return read_ / given if given else float("nan")


def reads_stamp(form: str) -> Callable:
    """Give the test of whether a value is a date in this form."""
    return lambda values: conversions.to_stamp(values, date_format=form)[0].notnull()


def reads_number(decimal: str) -> Callable:
    """Give the test of whether a value is a number with this decimal sign."""
    return lambda values: conversions.to_number(values, decimal=decimal).notnull()


def is_given(values: ir.Column) -> ir.BooleanColumn:
    """Test whether there is any value; every text is one."""
    return conversions.to_text(values).notnull()


def reads_boolean(values: ir.Column) -> ir.BooleanColumn:
    """Test whether a value is one of the usual words for true and false."""
    if not (values.type().is_boolean() or values.type().is_string()):
        values = values.cast("string")
    return conversions.to_boolean(values).notnull()


def dates(head: Head, column: str, *, form: str | None = None) -> Dates | None:
    """Find how the dates of a column are written; None if it does not hold dates.

    Where day and month could be either, all rows are read: ``settled`` is true if one of the two
    forms reads every value and the other does not. A ``form`` given is only tried.
    """
    kind = head.sample[column].type()
    if kind.is_timestamp() or kind.is_date():
        return Dates(offsets=_offsets(head, column, ""))
    if not kind.is_string():
        head_forms = ["%Y%m%d"] if kind.is_integer() else []
    else:
        head_forms = _forms(texts(head, column))
    shares = {each: share_read(head.sample, column, reads_stamp(each)) for each in head_forms}
    fit = [each for each, share in shares.items() if share > READ]
    if form is not None:
        if not share_read(head.sample, column, reads_stamp(form)) > READ:
            return None
        others = [each for each in fit if each != form]
        ambiguous = bool(others) and not _settled(head, column, [form, *others])
        other = others[0] if ambiguous else ""
        return Dates(form, other=other, offsets=_offsets(head, column, form))
    if not fit:
        return None
    if len(fit) > 1:
        decided = _settled(head, column, fit)
        if not decided:
            return Dates(fit[0], other=fit[1], settled=False)
        fit = [decided]
    return Dates(fit[0], offsets=_offsets(head, column, fit[0]))


def decimal(head: Head, column: str) -> str | None:
    """Find the decimal sign of a column's amounts: ``.`` or ``,``, empty where none is needed.

    ``auto`` where each value has to be read by itself, such as ``1 234,50 EUR``. None if the
    column does not hold amounts, and ``?`` if it holds only such as ``1.234``, which may be a
    thousand or a decimal; another value such as ``12.5`` or ``1.234,50`` settles it.
    """
    if head.sample[column].type().is_numeric():
        return ""
    values = texts(head, column)
    if not values:
        return None

    def fits(sign: str) -> bool:
        return share_read(head.sample, column, reads_number(sign)) > READ

    comma = any(re.search(r",\d{1,2}$|,\d{4,}$|\.\d{3}.*,", value) for value in values)
    point = any(re.search(r"\.\d{1,2}$|\.\d{4,}$|,\d{3}.*\.", value) for value in values)
    three = any(re.search(r"\d[.,]\d{3}$", value) for value in values)
    if not (comma or point) and fits(","):
        return "?" if three else ""
    signs = [sign for sign, seen in ((".", point), (",", comma)) if seen]
    return next((sign for sign in (*signs, "auto") if fits(sign)), None)


def offset_words(offsets: tuple[int, ...]) -> str:
    """Write offsets from UTC given in minutes.

    >>> offset_words((60, 120)), offset_words((0,)), offset_words((-330,))
    ('+01:00, +02:00', '+00:00', '-05:30')
    """
    return ", ".join(
        f"{'-' if each < 0 else '+'}{abs(each) // 60:02d}:{abs(each) % 60:02d}" for each in offsets
    )


def _forms(values: list[str]) -> list[str]:
    """List the forms that the commonest shape of the values allows, day before month."""
    shapes = Counter(_shape(value) for value in values)
    shapes.pop((), None)
    found = []
    for shape, _ in shapes.most_common(3):
        found += shape
    return [*dict.fromkeys(found)]


def _shape(value: str) -> tuple[str, ...]:
    if re.fullmatch(r"(19|2[01])\d{6}", value):
        return ("%Y%m%d",)
    if re.fullmatch(r"(19|2[01])\d{12}", value):
        return ("%Y%m%d%H%M%S",)
    match = _STAMP.fullmatch(value)
    if not match:
        return ()
    mark, gap = match["s"], match["gap"]
    clock = f"{gap}%H:%M{':%S' if match['sec'] else ''}" if gap else ""
    zone = match["zone"] or ""
    clock += (" %z" if zone.startswith(" ") else "%z") if zone else ""
    if len(match["a"]) == 4:
        iso = mark == "-" and gap in (None, " ", "T")
        return ("",) if iso else (f"%Y{mark}%m{mark}%d{clock}",)
    if len(match["c"]) == 4:
        day, month = f"%d{mark}%m{mark}%Y{clock}", f"%m{mark}%d{mark}%Y{clock}"
        return (day, month)
    return ()


def _settled(head: Head, column: str, forms: list[str]) -> str:
    """Give the form that alone reads every value of all rows; empty if there is no such form."""
    shares = {form: share_read(head.rows, column, reads_stamp(form)) for form in forms}
    whole = [form for form, share in shares.items() if share == 1]
    return whole[0] if len(whole) == 1 else ""


def _offsets(head: Head, column: str, form: str) -> tuple[int, ...]:
    offset = conversions.to_stamp(head.sample[column], date_format=form)[1]
    if offset is None:
        return ()
    found = head.sample.select(offset=offset.cast("int64")).distinct().to_pandas()["offset"]
    return tuple(sorted(int(each) for each in found if each == each and each is not None))


def id_counts(head: Head, order: str, customer: str) -> dict[str, int]:
    """Count orders, customers, orders with more than one customer, and rows, in the sample."""
    ids = head.sample.select(
        order=conversions.to_text(head.sample[order]),
        customer=conversions.to_text(head.sample[customer]),
    )
    ids = ids.filter(ids.order.notnull() & ids.customer.notnull())
    by_order = ids.group_by("order").aggregate(customers=ids.customer.nunique())
    orders = by_order.aggregate(
        orders=by_order.count(), mixed=(by_order.customers > 1).sum().fill_null(0)
    ).to_pandas()
    people = ids.aggregate(rows=ids.count(), customers=ids.customer.nunique()).to_pandas()
    return {name: int(frame[name].iloc[0]) for frame in (orders, people) for name in frame}


def repeats_totals(head: Head, order: str, revenue: str) -> bool:
    """Say whether orders of several lines carry one same amount on each of them."""
    lines = head.sample.select(
        order=conversions.to_text(head.sample[order]),
        amount=conversions.to_text(head.sample[revenue]),
    )
    lines = lines.filter(lines.order.notnull() & lines.amount.notnull())
    by_order = lines.group_by("order").aggregate(n=lines.count(), amounts=lines.amount.nunique())
    several = by_order.filter(by_order.n > 1)
    found = several.aggregate(
        n=several.count(), same=(several.amounts == 1).sum().fill_null(0)
    ).to_pandas()
    n, same = (int(x) for x in found.iloc[0])
    return n >= 20 and same > READ * n


def codes(head: Head, column: str) -> dict[str, float]:
    """Give the currency codes of a column over all rows with their shares, largest first."""
    values = head.rows.select(code=conversions.to_text(head.rows[column]).upper())
    counts = values.filter(values.code.notnull()).group_by("code").aggregate(n=ibis._.count())
    found = counts.order_by(ibis.desc("n"), "code").limit(5).to_pandas()
    every = int(counts.n.sum().to_pandas() or 0)
    return {
        str(row.code): row.n / every
        for row in found.itertuples()
        if re.fullmatch("[A-Z]{3}", str(row.code))
    }
