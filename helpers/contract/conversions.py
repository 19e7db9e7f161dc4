"""Text and foreign types to canonical types, as Ibis expressions that every engine can say.

Each function takes a source column and gives a column that is missing where the source could not be
read; `helpers.cleaning.rules` decides what a missing value means. Casts are guarded by patterns, as
a failing cast stops PostgreSQL and Spark, and ``try_cast`` is not known to all of them.
"""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from zoneinfo import ZoneInfo

import ibis
from ibis.expr import types as ir

# Minor units per major unit for currencies that do not have two decimals (ISO 4217).
_DECIMALS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "ISK": 0, "BHD": 3, "KWD": 3, "TND": 3}
_NUMBER = r"^[+-]?([0-9]{1,13}(\.[0-9]*)?|\.[0-9]+)$"
# Words that exports write where there is no id; a name that is longer than any id is a broken row.
# As a pattern: DuckDB makes a join of a long list, which is then done for every row and question.
_NOTHING = "^(nan|none|null|n/a|#n/a|-)?$"
LONGEST_ID = 1000
# Ending with a digit it is no word for nothing either: the one question that most ids answer.
_PLAIN_ID = "^([0-9A-Za-z][0-9A-Za-z_-]{0,99})?[0-9]$"
_PLAIN_ADDRESS = "^[0-9A-Za-z._+-]{1,99}@[0-9A-Za-z.-]{1,99}$"
# Amounts of the usual length, whose decimal mark is beyond doubt.
_USUAL = {
    ".": r"^[+-]?[0-9]{1,9}(\.[0-9]{1,4})?$",
    ",": "^[+-]?[0-9]{1,9}(,[0-9]{1,4})?$",
    "auto": r"^[+-]?[0-9]{1,9}(\.[0-9]{1,2})?$",
}
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
# Stamps that need no taking apart: days that every year has, no offset, two digits everywhere.
_PLAIN_STAMP = (
    "^(19|20|21)[0-9]{2}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
    "|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    "([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?)?$"
)
_ISO_ORDER = ("%Y", "%m", "%d", "%H", "%M", "%S", "%z")


def minor_digits(currency: str) -> int:
    """Return how many decimals the currency has: 2 for EUR, 0 for JPY."""
    return _DECIMALS.get(currency, 2)


def to_text(column: ir.Column) -> ir.StringColumn:
    """Give text without surrounding blanks; empty text is missing."""
    return column.cast("string").strip().nullif("")


def is_given(column: ir.Column) -> ir.BooleanColumn:
    """Say whether a value holds anything: neither blank nor a word for nothing, such as nan."""
    if column.type().is_floating():
        return column.notnull() & ~column.isnan()
    if not column.type().is_string():
        return column.notnull()
    text = to_text(column)
    return text.notnull() & ~text.lower().re_search(_NOTHING)


def is_plain_id(text: ir.StringColumn) -> ir.BooleanColumn:
    """Say whether an id is one word that ends with a digit: `to_id` gives such text as it is."""
    return text.re_search(_PLAIN_ID)


def to_id(column: ir.Column, *, person: bool = False) -> ir.StringColumn:
    """Give an id as text that is written the same way in every export.

    Blanks around it and Excel's leading apostrophe are dropped, a whole number loses its ".0".
    Words for nothing ("", nan, none, null, n/a, #n/a, -) and text of more than 1,000 characters
    are missing. Where the id is a ``person``, an e-mail address is lower-cased, and a telephone
    number (it starts with + or a bracket and has seven digits or more) keeps + and digits alone.
    """
    kind = column.type()
    if kind.is_floating() or kind.is_decimal():
        safe = _within(column, 10**15)
        whole = safe.cast("int64")
        same = whole.cast("float64") == safe.cast("float64")
        return ibis.ifelse(same, whole.cast("string"), safe.cast("string"))
    if kind.is_integer():
        return column.cast("string")
    text, none = column.cast("string").strip(), ibis.null("string")
    bare = text.re_replace("^' *", "")
    special = []
    if person:
        digits = bare.re_replace("[^0-9]", "")
        phone = bare.re_search(r"^[+(][0-9 ()./-]+$") & (digits.length() >= 7)
        plus = ibis.ifelse(bare.startswith("+"), "+", "")
        special = [(phone, plus + digits), (bare.contains("@"), bare.lower())]
    # Most ids need nothing, and most others are addresses: only the rest pays for every question.
    return ibis.cases(
        (column.cast("string").re_search(_PLAIN_ID), column.cast("string")),
        (text.re_search(_PLAIN_ADDRESS), text.lower() if person else text),
        (bare.length() > LONGEST_ID, none),
        (bare.lower().re_search(_NOTHING), none),
        (bare.re_search(r"^-?[0-9]+\.0$"), bare.re_replace(r"\.0$", "")),
        *special,
        else_=bare,
    )


def to_number(column: ir.Column, *, decimal: str = ".", whole: bool = False) -> ir.FloatingColumn:
    """Give a double; text must look like ``-1234.5`` (or ``-1.234,5`` where decimal is a comma).

    With ``decimal="auto"`` each value is read by itself. Currency signs, codes of three capitals
    at either end, blanks and apostrophes are dropped. Of a point and a comma, the last is the
    decimal mark, and the other must set groups of three apart. A mark that stands twice or more
    sets groups apart. A mark that stands once is the decimal mark, unless exactly three digits
    follow it and one to three, not beginning with 0, stand before it: then ``1,234`` could be
    either, and is missing, except where a blank or apostrophe already sets groups apart (decimal
    mark) or the number must be ``whole`` (group). Not-a-number and infinity are missing.
    """
    if column.type().is_numeric():
        return _within(column.cast("float64"), 1e300)
    return _readable(column, decimal, whole).cast("float64")


def to_amount(column: ir.StringColumn, *, decimal: str = ".") -> ir.DecimalColumn:
    """Give the exact number that a text holds, with six decimals, for sums before any rounding."""
    short, long = _numbers(column, decimal, False)
    return ibis.coalesce(short.cast("decimal(22, 6)"), long)


def to_integer(column: ir.Column, *, decimal: str = ".") -> ir.IntegerColumn:
    """Give a whole number; numbers with decimals are rounded, beyond 10^15 they are missing."""
    return _within(to_number(column, decimal=decimal, whole=True), 10**15).round().cast("int64")


def to_money(column: ir.Column, *, digits: int = 2, decimal: str = ".") -> ir.IntegerColumn:
    """Give an amount in whole minor units (cents for two digits), rounded half away from zero.

    Text is read as `to_number` reads it. A double is taken as the decimal number it is written
    as, so 0.285 is 29 cents in every format. Beyond 10^15 minor units an amount is missing.
    """
    scale, kind = 10**digits, column.type()
    if kind.is_decimal() and (kind.precision or 99) - (kind.scale or 0) + digits <= 15:
        # Exact as it is, and too short to reach the limit.
        return (column * scale).round().cast("int64")
    if kind.is_numeric():
        # Doubles hold minor units up to the limit exactly; the hair's breadth makes a half of
        # what is written as one, and is far below what any amount is written with.
        units = _within(column, 10 ** (15 - digits)).cast("float64") * scale
        return (units.sign() * (units.abs() + 0.5 + 1e-7).floor()).cast("int64")
    short, long = _numbers(column, decimal, digits == 0)
    money = ibis.coalesce(*((part * scale).round().cast("int64") for part in (short, long)))
    # Text holds at most 13 digits before its decimal mark: with two decimals, never too many.
    return _within(money, 10**15) if digits > 2 else money


def net_of(money: ir.IntegerColumn, rate: float) -> ir.IntegerColumn:
    """Take value added tax at ``rate`` (a share) out of an amount in whole minor units."""
    share = 1 / (1 + Fraction(str(rate)))
    # Multiplied first, so that halves of a cent are still halves when they are rounded.
    return (money.cast("float64") * share.numerator / share.denominator).round().cast("int64")


def _within(column: ir.NumericColumn, limit: float) -> ir.NumericColumn:
    """Leave out what is beyond a limit; not-a-number counts as the largest in every engine."""
    return ibis.ifelse(column.between(-limit, limit), column, ibis.null(column.type()))


def to_boolean(column: ir.Column) -> ir.BooleanColumn:
    """Give true or false for the usual words and 1 or 0."""
    if column.type().is_boolean():
        return column
    word = to_text(column).lower()
    return ibis.cases((word.isin(_TRUE), True), (word.isin(_FALSE), False))


def to_stamp(
    column: ir.Column, *, date_format: str = ""
) -> tuple[ir.TimestampColumn, ir.IntegerColumn | None]:
    """Give the date and time as written, and the minutes of its UTC offset (missing if none).

    The offset is None where values of this kind, or format, cannot have one.

    ``date_format`` is empty for ISO 8601, or made of ``%Y %m %d %H %M %S %z`` and plain text.
    """
    kind = column.type()
    if kind.is_timestamp():
        if kind.timezone:
            return column.cast("timestamp('UTC')").cast("timestamp"), ibis.literal(0, "int64")
        return column.cast("timestamp"), None
    if kind.is_date():
        return column.cast("timestamp"), None
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
    offset = _offset_minutes(part["%z"]) if "%z" in part else None
    if not date_format:
        plain, none = text.re_search(_PLAIN_STAMP), ibis.null("int64")
        readable, offset = ibis.ifelse(plain, text, readable), ibis.ifelse(plain, none, offset)
    return readable.cast("timestamp"), offset


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


def _readable(column: ir.Column, decimal: str, whole: bool) -> ir.StringColumn:
    """Give text that a cast to a number cannot fail on; missing where it is no number."""
    text = to_text(column)
    if decimal == "auto":
        return _by_its_marks(text, whole)
    text = text.replace(".", "").replace(",", ".") if decimal == "," else text
    return ibis.ifelse(text.re_search(_NUMBER), text, ibis.null("string"))


def _numbers(column: ir.Column, decimal: str, whole: bool) -> tuple[ir.DecimalColumn, ...]:
    """Give amounts of the usual length, and all others; each missing where the other is not.

    DuckDB reads a decimal of 18 digits a hundred times faster than a longer one.
    """
    text, none = to_text(column), ibis.null("string")
    usual = text.re_search(_USUAL[decimal])
    plain = text.replace(",", ".") if decimal == "," else text
    long = ibis.ifelse(usual, none, _readable(column, decimal, whole))
    return ibis.ifelse(usual, plain, none).cast("decimal(18, 4)"), long.cast("decimal(22, 6)")


def _by_its_marks(text: ir.StringColumn, whole: bool) -> ir.StringColumn:
    """Read one number by its own marks; `to_number` says how."""
    grouped = text.re_search("[0-9][ \u00a0\u202f'\u2019][0-9]{3}")
    bare = text.re_replace("^[A-Z]{3}|[A-Z]{3}$|[ \u00a0\u202f'\u2019€$£¥₹₽₺₴₩]", "")
    bare = bare.replace("\u2212", "-")
    point, comma = bare, bare.replace(",", ".")
    english, german = bare.replace(",", ""), bare.replace(".", "").replace(",", ".")

    def found(pattern: str) -> ir.BooleanValue:
        return bare.re_search(f"^[+-]?{pattern}$")

    sure = (
        "([0-9]{{0,13}}{0}([0-9]{{1,2}}|[0-9]{{4,}})|(0|[0-9]{{4,13}}){0}[0-9]{{3}}"
        "|[0-9]{{1,13}}{0})"
    )
    once = "[1-9][0-9]{{0,2}}{0}[0-9]{{3}}"
    groups = "[1-9][0-9]{{0,2}}(({0}[0-9]{{3}}){{1,3}}{1}[0-9]*|({0}[0-9]{{3}}){{2,3}})"
    group = ibis.literal(whole)
    return ibis.cases(
        (found("[0-9]{1,13}"), bare),
        (found(sure.format(r"\.")), point),
        (found(sure.format(",")), comma),
        (found(groups.format(",", r"\.")), english),
        (found(groups.format(r"\.", ",")), german),
        (found(once.format(r"\.")) & grouped, point),
        (found(once.format(",")) & grouped, comma),
        (found(once.format("[.,]")) & group, bare.replace(",", "").replace(".", "")),
    )


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
