"""What the user said on the command line, read strictly; and what has to be asked."""

from collections.abc import Callable, Iterable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from helpers.contract.settings import is_vat_rate
from helpers.contract.tables import TABLES
from helpers.errors import UsageError, nearest

# Asks one question until the check accepts the answer; None where nobody can be asked.
Ask = Callable[[str, Callable[[str], str]], str] | None


def currency(code: str) -> str:
    """Check a currency: an ISO 4217 code, in capitals."""
    if len(code) == 3 and code.isascii() and code.isalpha():
        return code.upper()
    raise UsageError(f"--currency {code}: it must be an ISO 4217 code, such as EUR.")


def time_zone(name: str) -> str:
    """Check a time zone: an IANA name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        close = nearest(name, available_timezones())
        raise UsageError(
            f"--time-zone {name}: it must be an IANA name, such as Europe/Berlin.{close}"
        ) from None
    return name


def vat(given: str) -> dict:
    """Read whether amounts hold VAT: ``net``, or the rate they hold, such as 0.20.

    >>> vat("net"), vat("0.20")
    ({'amounts': 'net'}, {'amounts': 'gross', 'vat_rate': 0.2})
    """
    if given == "net":
        return {"amounts": "net"}
    try:
        rate = float(given)
    except ValueError:
        rate = -1.0
    if not is_vat_rate(rate):
        raise UsageError(
            f"--vat {given}: it must be net, or the rate that the amounts hold, such as 0.20."
        )
    return {"amounts": "gross", "vat_rate": rate}


def columns(given: Iterable[str]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Read COLUMN=SOURCE or TABLE.COLUMN=SOURCE into columns by table; repeated: joined.

    >>> columns(["order_id=Client", "order_id=Day", "customers.gender=Sex"])
    {'orders': {'order_id': ('Client', 'Day')}, 'customers': {'gender': ('Sex',)}}
    """
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for each in given:
        name, sign, source = each.partition("=")
        if not (sign and name and source):
            raise UsageError(
                f"--column {each}: it must be COLUMN=SOURCE, such as customer_id=Client."
            )
        table, dot, column = name.strip().rpartition(".")
        table = table if dot else "orders"
        table_name(table, option="--column")
        before = found.setdefault(table, {}).get(column, ())
        found[table][column] = (*before, source)
    return found


def by_table(given: Iterable[str]) -> dict[str, str]:
    """Read VALUE (for orders) or TABLE=VALUE into values by table.

    >>> by_table(["%d.%m.%Y", "customers=%Y%m%d"])
    {'orders': '%d.%m.%Y', 'customers': '%Y%m%d'}
    """
    found = {}
    for each in given:
        table, sign, value = each.partition("=")
        found |= {table: value} if sign and table in TABLES else {"orders": each}
    return found


def pair(given: str, *, option: str, example: str) -> tuple[str, str]:
    """Read NAME=FILE."""
    name, sign, file = given.partition("=")
    if not (sign and name and file):
        raise UsageError(f"{option} {given}: it must be {example}.")
    return name.strip(), file


def table_name(name: str, *, option: str) -> str:
    """Check the name of a table of the contract."""
    if name not in TABLES:
        raise UsageError(
            f"{option} {name}: the contract has no such table. Tables: {', '.join(TABLES)}."
            f"{nearest(name, TABLES)}"
        )
    return name
