"""Excel workbooks (.xlsx) to Parquet, row by row in bounded chunks, every cell as text."""

import warnings
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path

from helpers.contract.settings import Source
from helpers.errors import DataError, UsageError, nearest
from helpers.sources.headers import wanted_columns
from helpers.sources.readers import new_folder

_CHUNK_ROWS, _LOOK_ROWS = 50_000, 20


def to_parquet(path: Path, source: Source, shop: str, scratch: Path) -> list[Path]:
    """Copy the sheets of a workbook that shop.toml names (else the first) to Parquet, one each.

    Each copy holds the columns that are wanted, as text, and ``_row``: the number of the row below
    its sheet's header, counted on from sheet to sheet. Rows without any content are left out.
    Raises DataError for a broken workbook, or a first row that does not name its columns.
    """
    from openpyxl import load_workbook

    folder, copies, before = new_folder(scratch), [], 0
    try:
        with warnings.catch_warnings():
            # It warns of styles and extensions that it leaves out; none of them is data.
            warnings.simplefilter("ignore")
            book = load_workbook(path, read_only=True, data_only=True)
            try:
                for sheet in _sheets(book, source, shop, path.name):
                    target = folder / f"{len(copies)}.parquet"
                    before = _copy(sheet, source, shop, path.name, target, before)
                    copies.append(target)
            finally:
                book.close()
    except (DataError, UsageError):
        raise
    except Exception as error:
        # Broken archives raise from zipfile, zlib and XML parsers, which share no base class.
        raise DataError(
            f"{shop}: {path.name} is not a workbook that can be read ({type(error).__name__}); "
            "open it in a spreadsheet program and save it as .xlsx or as CSV. A password must be "
            "taken off."
        ) from None
    return copies


def _sheets(book, source: Source, shop: str, file: str) -> list:
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    if source.sheets == ("*",):
        return list(sheets.values())
    wanted = source.sheets or tuple(sheets)[:1]
    for name in wanted:
        if name not in sheets:
            raise UsageError(
                f"{shop}: {file} has no sheet '{name}'. It has: {', '.join(sheets)}."
                f"{nearest(name, sheets)}"
            )
    return [sheets[name] for name in wanted]


def _copy(sheet, source: Source, shop: str, file: str, target: Path, before: int) -> int:
    """Write one sheet; give the number of rows so far."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Some programs write a wrong size of the sheet, and rows beyond it would be lost.
    sheet.reset_dimensions()
    rows = islice(sheet.iter_rows(values_only=True), source.skip_rows, None)
    names, rows = _header(rows, source, shop, f"{file}, sheet '{sheet.title}'")
    wanted = wanted_columns(names, source, shop, file)
    places = [names.index(found) for found in wanted.values() if found]
    found = [name for name in wanted.values() if name]
    schema = pa.schema([(name, pa.string()) for name in found] + [("_row", pa.int64())])
    with pq.ParquetWriter(target, schema) as writer:
        numbered = enumerate(rows, before + 1)
        while chunk := list(islice(numbered, _CHUNK_ROWS)):
            before = chunk[-1][0]
            full = [(n, row) for n, row in chunk if any(cell is not None for cell in row)]
            columns = [
                [_text(row[place], source) if place < len(row) else None for _, row in full]
                for place in places
            ]
            numbers = [number for number, _ in full]
            writer.write_table(pa.table([*columns, numbers], schema=schema))
    return before


def _header(rows: Iterator, source: Source, shop: str, what: str) -> tuple[list[str], Iterator]:
    """Give the names of the first row, and the rows below it; a title is not a row of names."""
    first = list(islice(rows, _LOOK_ROWS))
    if source.names:
        return list(source.names), chain(first, rows)
    if not first:
        raise DataError(f"{shop}: {what} (table {source.table}) is empty.")
    width = max(_filled(row) for row in first)
    cells = list(first[0])[:width]
    names = [str(cell).strip() if cell is not None else "" for cell in cells]
    names += [""] * (width - len(names))
    if "" in names and not (source.reads and names.count("") * 2 < width):
        raise DataError(
            f"{shop}: {what} (table {source.table}): row {source.skip_rows + 1} names "
            f"{width - names.count('')} of {width} columns. If a title or merged cells stand above "
            "the names, give the number of such rows as skip_rows = N."
        )
    return names, chain(first[1:], rows)


def _filled(row: tuple) -> int:
    """Width of a row up to its last cell with content."""
    return max((place for place, cell in enumerate(row, 1) if cell is not None), default=0)


def _text(cell: object, source: Source) -> str | None:
    """Write a cell as the text that the settings of its source read back unchanged."""
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return _number(cell, source.decimal)
    if isinstance(cell, datetime):
        style = source.date_format
        return cell.strftime(style) if style else cell.isoformat(sep=" ", timespec="seconds")
    if isinstance(cell, date):
        return cell.strftime(source.date_format) if source.date_format else cell.isoformat()
    return str(cell)


def _number(value: float, decimal: str) -> str:
    if value.is_integer():
        return str(int(value))
    text = format(Decimal(repr(value)), "f")
    if decimal == "auto" and len(text.partition(".")[2]) == 3:
        # Three digits after a mark could be a group; a number of a workbook has no groups.
        text += "0"
    return text.replace(".", ",") if decimal == "," else text
