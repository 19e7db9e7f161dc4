"""Text and foreign types to canonical types, as Ibis expressions that every engine can say.

Each function takes a source column and gives a column that is missing where the source could not
be read; ``cleaning`` decides what a missing value means. Casts are guarded by patterns, because a
failing cast stops PostgreSQL and Spark, and ``try_cast`` is not known to all of them.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import ibis
from ibis.expr import types as ir

# Minor units per major unit for currencies that do not have two decimals (ISO 4217).
_DECIMALS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "ISK": 0, "BHD": 3, "KWD": 3, "TND": 3}
_NUMBER = r"^[+-]?([0-9]{1,13}\.?[0-9]*|\.[0-9]+)$"
_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
_PARTS = {
    "%Y": "([0-9]{4})",
    "%m": "([0-9]{1,2})",
    "%d": "([0-9]{1,2})",
    "%H": "([0-9]{1,2})",
    "%M": "([0-9]{2})",
    "%S": r"([0-9]{2})(?:\.[0-9]+)?",
    "%z": "(Z|UTC|[+-][0-9]{2}(?::?[0-9]{2})?)",
}
_ISO = (
    rf"^{_PARTS['%Y']}-{_PARTS['%m']}-{_PARTS['%d']}"
    rf"(?:[T ]{_PARTS['%H']}:{_PARTS['%M']}(?::{_PARTS['%S']})?)? ?{_PARTS['%z']}?$"
)
_ISO_ORDER = ("%Y", "%m", "%d", "%H", "%M", "%S", "%z")


def minor_digits(currency: str) -> int:
    """Return how many decimals the currency has: 2 for EUR, 0 for JPY."""
    return _DECIMALS.get(currency, 2)


def to_text(column: ir.Column) -> ir.StringColumn:
    """Give text without surrounding blanks; empty text is missing."""
    return column.cast("string").strip().nullif("")


def to_number(column: ir.Column, *, decimal: str = ".") -> ir.FloatingColumn:
    """Give a double; text must look like ``-1234.5`` (or ``-1.234,5`` where decimal is a comma)."""
    if column.type().is_numeric():
        return column.cast("float64")
    text = _plain_number(column, decimal)
    return ibis.ifelse(text.re_search(_NUMBER), text, ibis.null("string")).cast("float64")


def to_integer(column: ir.Column, *, decimal: str = ".") -> ir.IntegerColumn:
    """Give a whole number; numbers with decimals are rounded."""
    return to_number(column, decimal=decimal).round().cast("int64")


def to_money(column: ir.Column, *, digits: int = 2, decimal: str = ".") -> ir.IntegerColumn:
    """Give an amount in whole minor units (cents for two digits), rounded half away from zero."""
    scale = 10**digits
    if column.type().is_floating():
        return (column * scale).round().cast("int64")
    if column.type().is_numeric():
        return (column.cast("decimal(22, 6)") * scale).round().cast("int64")
    text = _plain_number(column, decimal)
    exact = ibis.ifelse(text.re_search(_NUMBER), text, ibis.null("string")).cast("decimal(22, 6)")
    return (exact * scale).round().cast("int64")


def to_boolean(column: ir.Column) -> ir.BooleanColumn:
    """Give true or false for the usual words and 1 or 0."""
    if column.type().is_boolean():
        return column
    word = to_text(column).lower()
    return ibis.cases((word.isin(_TRUE), True), (word.isin(_FALSE), False))


def to_stamp(
    column: ir.Column, *, date_format: str = ""
) -> tuple[ir.TimestampColumn, ir.IntegerColumn]:
    """Give the date and time as written, and the minutes of its UTC offset (missing if none).

    ``date_format`` is empty for ISO 8601, or made of ``%Y %m %d %H %M %S %z`` and plain text.
    """
    none = ibis.null("int64")
    kind = column.type()
    if kind.is_timestamp():
        if kind.timezone:
            return column.cast("timestamp('UTC')").cast("timestamp"), ibis.literal(0, "int64")
        return column.cast("timestamp"), none
    if kind.is_date():
        return column.cast("timestamp"), none
    pattern, order = _date_pattern(date_format)
    text = to_text(column)
    part = {name: text.re_extract(pattern, index).nullif("") for index, name in enumerate(order, 1)}
    year, month, day = (part[name].cast("int64") for name in ("%Y", "%m", "%d"))
    hour, minute, second = (part.get(name, ibis.literal("00")) for name in ("%H", "%M", "%S"))
    leap = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    days = ibis.cases(
        (month.isin((4, 6, 9, 11)), 30), (month == 2, ibis.ifelse(leap, 29, 28)), else_=31
    )
    dated = year.between(1900, 2199) & month.between(1, 12) & day.between(1, days)
    timed = [piece.fill_null("00").lpad(2, "0") for piece in (hour, minute, second)]
    clock = (timed[0] < "24") & (timed[1] < "60") & (timed[2] < "60")
    date = part["%Y"] + "-" + part["%m"].lpad(2, "0") + "-" + part["%d"].lpad(2, "0")
    written = date + " " + timed[0] + ":" + timed[1] + ":" + timed[2]
    readable = ibis.ifelse(dated & clock, written, ibis.null("string"))
    return readable.cast("timestamp"), _offset_minutes(part["%z"]) if "%z" in part else none


def local_to_utc(stamp: ir.TimestampColumn, zone: str, *, first: int, last: int):
    """Give the UTC instant of local wall-clock times between the years ``first`` and ``last``.

    Of a doubled autumn hour the first is meant; an hour skipped in spring keeps the offset before
    it (as Python's fold=0 does). No engine's own zone cast is used: they disagree on naive times.
    """
    changes = zone_changes(zone, first, last)
    edges = [(at + max(before, after), before, after) for at, before, after in changes]
    return _shifted(stamp, edges, zone, first, sign=-1)


def utc_to_local(stamp: ir.TimestampColumn, zone: str, *, first: int, last: int):
    """Give the wall-clock time in ``zone`` of UTC instants between two years."""
    return _shifted(stamp, zone_changes(zone, first, last), zone, first, sign=1)


@cache
def zone_changes(zone: str, first: int, last: int) -> tuple[tuple[datetime, timedelta, timedelta]]:
    """List the instants (naive UTC) at which a zone's offset changes, with offset before and after.

    >>> [str(at) for at, _, _ in zone_changes("Europe/Amsterdam", 2024, 2024)]
    ['2024-03-31 01:00:00', '2024-10-27 01:00:00']
    """
    info, changes = ZoneInfo(zone), []
    low, end = datetime(first - 1, 12, 31, tzinfo=UTC), datetime(last + 1, 1, 2, tzinfo=UTC)
    while low < end:
        high = low + timedelta(days=1)
        before, after = _offset(info, low), _offset(info, high)
        if before != after:
            left, right = low, high
            while right - left > timedelta(minutes=1):
                middle = left + (right - left) / 2
                left, right = (middle, right) if _offset(info, middle) == before else (left, middle)
            at = right.replace(second=0, microsecond=0, tzinfo=None)
            changes.append((at, before, after))
        low = high
    return tuple(changes)


def _offset(info: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(info).utcoffset()


def _shifted(stamp, edges, zone: str, first: int, *, sign: int):
    """Add the offset in force, chosen by halving the list of changes: few comparisons a row."""
    if not edges:
        offset = _offset(ZoneInfo(zone), datetime(first, 6, 1, tzinfo=UTC))
        return stamp + ibis.interval(minutes=sign * int(offset.total_seconds() // 60))

    def branch(low: int, high: int):
        if low == high:
            offset = edges[low][1] if low < len(edges) else edges[-1][2]
            return stamp + ibis.interval(minutes=sign * int(offset.total_seconds() // 60))
        middle = (low + high) // 2
        edge = ibis.timestamp(edges[middle][0].isoformat())
        return ibis.ifelse(stamp < edge, branch(low, middle), branch(middle + 1, high))

    return branch(0, len(edges))


def _plain_number(column: ir.Column, decimal: str) -> ir.StringColumn:
    text = to_text(column)
    return text.replace(".", "").replace(",", ".") if decimal == "," else text


def _date_pattern(date_format: str) -> tuple[str, tuple[str, ...]]:
    if not date_format:
        return _ISO, _ISO_ORDER
    pattern, order, rest = "", [], date_format
    while rest:
        if rest[:2] in _PARTS:
            part = _PARTS[rest[:2]]
            # Without separators between them, parts have their full width: 19970101.
            pattern += (
                part.replace("{1,2}", "{2}") if rest[2:3] == "%" or pattern[-1:] == ")" else part
            )
            order.append(rest[:2])
            rest = rest[2:]
        else:
            pattern += rest[0] if rest[0].isalnum() or rest[0] in " -:/" else "\\" + rest[0]
            rest = rest[1:]
    return f"^{pattern}$", tuple(order)


def _offset_minutes(text: ir.StringColumn) -> ir.IntegerColumn:
    """Minutes of ``+02:00``, ``-0530``, ``+02`` or ``Z``; missing where no offset is written."""
    digits = text.replace(":", "").rpad(5, "0")
    numeric = digits.re_search("^[+-]")
    clock = ibis.ifelse(numeric, digits, ibis.literal("+0000"))
    minutes = clock.substr(1, 2).cast("int64") * 60 + clock.substr(3, 2).cast("int64")
    signed = ibis.ifelse(clock.startswith("-"), -minutes, minutes)
    return ibis.ifelse(text.isnull(), ibis.null("int64"), signed)
