"""Names of columns in a file: which are wanted, which is meant, and what to say of a wrong one."""

import re
from collections.abc import Iterable

from helpers.contract.settings import Refusal, Source
from helpers.contract.tables import TABLES
from helpers.errors import DataError, nearest


def matched(wanted: str, names: list[str] | tuple[str, ...]) -> str | None:
    """Find a column by its name: as it is written, else but for capitals and blanks.

    >>> matched("Customer ID", ["Invoice", "CustomerId"])
    'CustomerId'
    """
    if wanted in names:
        return wanted
    like = [name for name in names if folded(name) == folded(wanted)]
    return like[0] if len(like) == 1 else None


def folded(name: str) -> str:
    """Reduce a name to what is compared: without blanks and capitals.

    >>> folded("Customer ID")
    'customerid'
    """
    return "".join(name.split()).casefold()


def choices(choice: str) -> list[str]:
    """Give the names that an entry of ``reads`` accepts; the column is called by the first.

    >>> choices("Invoice | InvoiceNo")
    ['Invoice', 'InvoiceNo']
    """
    return [name.strip() for name in choice.split("|")]


def chosen(choice: str, names: list[str] | tuple[str, ...]) -> str | None:
    """Find a column by any of the names that an entry of ``reads`` accepts, the first first.

    >>> chosen("Invoice | InvoiceNo", ["invoiceno", "Price"])
    'invoiceno'
    """
    found = (matched(name, names) for name in choices(choice))
    return next((name for name in found if name), None)


def columns_read(names, source: Source) -> dict[str, str | None]:
    """Give each column that a source reads with its name in the file, None where it has none.

    Without ``reads`` every column of the file; nothing is checked (see `wanted_columns`).
    """
    if not source.reads:
        return {name: name for name in names}
    listed = (*source.reads, *source.may_read)
    return {choices(choice)[0]: chosen(choice, names) for choice in listed}


def wanted_columns(names, source: Source, shop: str, file: str) -> dict[str, str | None]:
    """Give each column to read with its name in the file, None for one the file may lack.

    Without ``reads`` every column of the file; with it those of ``reads`` and ``may_read``, where
    ``"Invoice | InvoiceNo"`` accepts either name and calls the column by the first.
    """
    if not source.reads:
        _check_names(names, source, shop, file)
    wanted = columns_read(names, source)
    if not source.reads:
        return wanted
    lacking = [name for choice in source.reads if wanted[name := choices(choice)[0]] is None]
    if lacking:
        if reason := refusal(names, source.refuse):
            raise DataError(f"{shop}: {file} (table {source.table}): {reason}")
        raise DataError(
            f"{shop}: {file} (table {source.table}) has no column '{lacking[0]}'. "
            f"{shown(names, source.table)}{nearest(lacking[0], names)}"
        )
    twice = [name for name in wanted.values() if name and list(names).count(name) > 1]
    if twice:
        _refuse_names(f"has two columns named '{twice[0]}'", source, shop, file)
    return wanted


def refusal(names, refuse: Iterable[Refusal]) -> str:
    """Give the reason why an export with these columns cannot serve; empty if none is known."""
    known = (each.reason for each in refuse if all(matched(name, names) for name in each.headers))
    return next(known, "")


def _check_names(names, source: Source, shop: str, file: str) -> None:
    seen = [name.casefold() for name in names]
    twice = sorted(name for name in names if seen.count(name.casefold()) > 1)
    if "" in names:
        _refuse_names("has a column without a name", source, shop, file)
    if twice:
        _refuse_names(f"has two columns named '{twice[0]}'", source, shop, file)
    taken = sorted({"_file", "_row"} & set(seen))
    if taken:
        _refuse_names(f"has a column named '{taken[0]}', which is taken", source, shop, file)


def _refuse_names(fault: str, source: Source, shop: str, file: str) -> None:
    raise DataError(
        f"{shop}: {file} (table {source.table}) {fault}; its first line must name every "
        "column once. Mend the export, give skip_rows = N if N lines of title stand above, or "
        "names = [...] for a file without a header."
    )


def shown(names, table: str) -> str:
    """List the columns found, unless they look like a line of data: that would show a customer."""
    if any("\ufffd" in name for name in names):
        return 'Its first line is not UTF-8; name its encoding, such as encoding = "cp1252".'
    known = {column.name for column in TABLES[table].columns}
    words = [name for name in names if re.fullmatch(r"[^\W\d][\w .#()/-]{0,39}", name)]
    if len(words) < len(names) or (
        any(re.search(r"\d", name) for name in names) and not (known & set(names))
    ):
        return f"The first line of the file, of {len(names)} fields, does not look like names."
    return f"It has: {', '.join(names)}."
