"""Numbers, dates and names as text: the only place where a figure becomes characters.

Missing values (None, NaN, NaT, pandas' NA, infinity) are written "n/a". Light on purpose: the
command line imports it.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from inspect import Parameter, signature
from typing import Any

from helpers.errors import UsageError, nearest

MISSING = "n/a"
SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥"}
WITHOUT_CENTS = {"JPY", "KRW", "VND", "CLP", "ISK"}
UNITS = ("money", "percent", "count", "ratio", "days", "months", "score")
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


Formatter = Callable[..., str]


# -- numbers ---------------------------------------------------------------------------------


def is_missing(x: Any) -> bool:
    """Say whether a value is absent: None, NaN, NaT, pandas' NA, or not finite.

    >>> [is_missing(x) for x in (None, float("nan"), float("inf"), 0, "")]
    [True, True, True, False, False]
    """
    if x is None or type(x).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(x, (bool, int, str, date)):
        return False
    try:
        return not math.isfinite(x)
    except (TypeError, ValueError):
        return False


def fixed(x: Any, digits: int) -> str:
    """Write a number with thousands separators and a fixed number of decimals, halves away from 0.

    >>> fixed(1234.5, 0), fixed(-0.001, 2), fixed(2.675, 2)
    ('1,235', '0.00', '2.68')
    """
    if isinstance(x, str):
        raise TypeError(f"a number is needed, got the text {x!r}")
    exact = x if isinstance(x, Decimal) else Decimal(repr(float(x)))
    step = Decimal(1).scaleb(-digits)
    rounded = exact.quantize(step, ROUND_HALF_UP, Context(prec=60))
    return f"{abs(rounded) if rounded == 0 else rounded:,}"


def money_in(currency: str) -> Formatter:
    """Return the function that writes amounts of this currency.

    Cents are written below 100 unless the amount is whole; `digits` overrides.

    >>> money = money_in("EUR")
    >>> money(1234.4), money(12.34), money(-5), money(None), money_in("PLN")(1234)
    ('€1,234', '€12.34', '-€5', 'n/a', 'PLN 1,234')
    """
    sign = SYMBOLS.get(currency, f"{currency} " if currency else "")

    def money(x: Any, digits: int | None = None) -> str:
        if is_missing(x):
            return MISSING
        if digits is None:
            cents = Decimal(fixed(x, 2).replace(",", ""))
            whole = currency in WITHOUT_CENTS or cents == int(cents) or abs(cents) >= 100
            digits = 0 if whole else 2
        text = fixed(x, digits)
        return f"-{sign}{text[1:]}" if text.startswith("-") else f"{sign}{text}"

    return money


def percent(x: Any, digits: int | None = None) -> str:
    """Write a share as a percentage: 0.1234 is 12.3%.

    >>> percent(0.1234), percent(1), percent(0.0004), percent(0.5, 0), percent(None)
    ('12.3%', '100%', '0.04%', '50%', 'n/a')
    """
    if is_missing(x):
        return MISSING
    points = Decimal(repr(float(x))) * 100
    if digits is None:
        size = abs(points)
        digits = 0 if size == 0 or size >= Decimal("99.95") else 2 if size < 1 else 1
    return f"{fixed(points, digits)}%"


def count(x: Any, digits: int = 0) -> str:
    """Write a number of things: 1234 is 1,234."""
    return MISSING if is_missing(x) else fixed(x, digits)


def ratio(x: Any, digits: int | None = None) -> str:
    """Write a ratio or a plain decimal number, with two decimals unless told otherwise."""
    return MISSING if is_missing(x) else fixed(x, 2 if digits is None else digits)


def days(x: Any, digits: int = 0) -> str:
    """Write a duration in days."""
    return MISSING if is_missing(x) else _with_unit(fixed(x, digits), "day")


def months(x: Any, digits: int = 1) -> str:
    """Write a duration in months."""
    return MISSING if is_missing(x) else _with_unit(fixed(x, digits), "month")


def month_name(month: Any) -> str:
    """Write a month, given as "2026-06" or as a date, in words.

    >>> month_name("2026-06")
    'June 2026'
    """
    if is_missing(month):
        return MISSING
    text = month if isinstance(month, str) else f"{month:%Y-%m}"
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text):
        raise UsageError(f"month = {text!r}: a month is written like 2026-06.")
    return f"{MONTHS[int(text[5:]) - 1]} {text[:4]}"


def by_unit(unit: str, currency: str = "") -> Formatter:
    """Return the function that writes figures of a unit of the headline's vocabulary."""
    table = {
        "money": money_in(currency),
        "percent": percent,
        "count": count,
        "ratio": ratio,
        "days": days,
        "months": months,
        "score": lambda x, digits=None: ratio(x, 1 if digits is None else digits),
    }
    if unit not in table:
        raise UsageError(
            f"unit = {unit!r}: must be one of {', '.join(UNITS)}.{nearest(unit, UNITS)}"
        )
    return table[unit]


def step(now: float, before: float, unit: str) -> str:
    """Say by how much a figure changed: points for shares, percent of the earlier value else.

    >>> step(110, 100, "money"), step(0.31, 0.3, "percent"), step(5, 5, "count")
    ('+10.0%', '+1.0 points', 'unchanged')
    """
    if is_missing(now) or is_missing(before):
        return ""
    change = now - before
    if unit == "percent":
        text = f"{percent(change, 1).rstrip('%')} points"
    elif change == 0:
        text = "0.0"
    elif before == 0:
        return "from zero"
    else:
        text = percent(change / abs(before), 1)
    if text.strip("-").startswith("0.0"):
        return "unchanged"
    return text if text.startswith("-") else f"+{text}"


def takes_digits(fmt: Formatter) -> bool:
    """Say whether a formatter can be told how many decimals to write."""
    try:
        parameters = signature(fmt).parameters
    except (TypeError, ValueError):
        return False
    return "digits" in parameters or any(
        p.kind is Parameter.VAR_KEYWORD for p in parameters.values()
    )


def alike(fmt: Formatter, values: Iterable[Any]) -> list[str]:
    """Write numbers that stand together with the same number of decimals.

    >>> alike(money_in("EUR"), [5, 12.34, None])
    ['€5.00', '€12.34', 'n/a']
    """
    values = list(values)
    texts = [inline(fmt(v)) for v in values]
    found = [re.search(r"\d(?:\.(\d+))?(?!.*\d)", text) for text in texts]
    decimals = {len(match[1] or "") for match in found if match}
    if len(decimals) < 2 or not takes_digits(fmt):
        return texts
    return [inline(fmt(v, digits=max(decimals))) for v in values]


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}" if text in ("1", "1.0") else f"{text} {unit}s"


# -- text


def inline(text: Any) -> str:
    """Put any text on one line: control characters and line breaks become single spaces."""
    clean = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in str(text))
    return " ".join(clean.split())


def slug(text: str) -> str:
    """Turn a phrase into a name for a file or an anchor: lower case, words joined by hyphens.

    >>> slug("Who came back, and when?")
    'who-came-back-and-when'
    """
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-")[:60].rstrip("-") or "untitled"


# -- JSON


def jsonable(x: Any) -> Any:
    """Turn a value into JSON that reads the same every time.

    Missing is null, dates are ISO, floats are kept to 12 significant digits.
    """
    if is_missing(x):
        return None
    if isinstance(x, Mapping):
        return {str(k): jsonable(v) for k, v in x.items()}
    if isinstance(x, (list, tuple, set, frozenset)):
        return [jsonable(v) for v in (sorted(x) if isinstance(x, (set, frozenset)) else x)]
    if isinstance(x, (str, bool)):
        return str(x) if isinstance(x, str) else x
    if isinstance(x, datetime):
        whole_day = (x.hour, x.minute, x.second, x.microsecond) == (0, 0, 0, 0)
        return x.date().isoformat() if whole_day else x.isoformat()
    if isinstance(x, date):
        return x.isoformat()
    if isinstance(x, Decimal):
        return _twelve_digits(float(x))
    if hasattr(x, "tolist"):  # numpy scalars and arrays
        return jsonable(x.tolist())
    if isinstance(x, float):
        return _twelve_digits(x)
    return x if isinstance(x, int) else str(x)


def _twelve_digits(x: float) -> float:
    return float(f"{x:.12g}") + 0.0  # + 0.0 turns -0.0 into 0.0
