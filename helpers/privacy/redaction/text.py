"""Taking persons out of text files, whose other rows stay as they are."""

import csv
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path

from helpers.contract.settings import Source
from helpers.errors import DataError
from helpers.files import replaced
from helpers.persons.keys import FORGOTTEN
from helpers.privacy.redaction.rows import Found, Gone, Plan, PlanOf, chunks, redact_rows
from helpers.sources import readers
from helpers.sources.readers import TextLayout

_BLANKS = re.compile(r'("[^"]*"|\S+)')


def redact_text(
    path: Path, source: Source | None, layout_of: PlanOf, gone: Gone, *, write: bool
) -> Found:
    """Take forgotten persons out of a text file, in bounded chunks."""
    # Of a file that no table is read from, nothing is known but what it shows.
    read_as, found = source or Source(table="orders"), Found()
    layout = readers.text_layout(path, read_as, gone.shop)
    options = {"encoding": layout.encoding, "newline": ""}
    try:
        with readers.opened(path, mode="rt", **options) as old, _wide_cells():
            above = [old.readline() for _ in range(read_as.skip_rows)]
            rows = _rows(old, layout)
            header = [] if read_as.names else list(islice(rows, 1))
            above, header = _titles(above, header, gone, found)
            new = chain(header, _redacted(rows, layout, layout_of(list(layout.names)), gone, found))
            if not write:
                for _ in new:
                    pass
                return found
            with replaced(path) as part:
                with readers.opened(part, like=path, mode="wt", **options) as file:
                    file.writelines(above)
                    _write(file, new, layout)
                if not found.rows:
                    part.unlink()
    except (UnicodeError, csv.Error) as error:
        raise DataError(
            f"{path.name} cannot be read as {read_as.encoding} text ({type(error).__name__}), so "
            "nobody can be taken out of it. Mend the file, or its encoding in shop.toml, and run "
            "the same command again."
        ) from None
    return found


def _rows(file, layout: TextLayout) -> Iterator[list[str]]:
    """Split lines into cells; of those apart by blanks, each with the blanks before it."""
    if layout.delimiter == "whitespace":
        return map(_BLANKS.split, file)
    return csv.reader(file, delimiter=layout.delimiter)


def _write(file, rows: Iterable[list[str]], layout: TextLayout) -> None:
    if layout.delimiter == "whitespace":
        file.writelines("".join(row) for row in rows)
        return
    options = {"delimiter": layout.delimiter, "lineterminator": layout.line_end}
    csv.writer(file, **options).writerows(rows)


def _titles(
    above: list[str], header: list[list[str]], gone: Gone, found: Found
) -> tuple[list[str], list[list[str]]]:
    """Give the lines above the rows again, without the ids in them."""
    held = gone.sought.without({*above, *(cell for row in header for cell in row)})
    found.rows += sum(line in held for line in above)
    found.rows += sum(any(cell in held for cell in row) for row in header)
    new = [[held.get(cell, cell) for cell in row] for row in header]
    return [held.get(line, line) for line in above], new


def _redacted(
    rows: Iterator[list], layout: TextLayout, places: Plan, gone: Gone, found: Found
) -> Iterator[list]:
    """Give the rows below a header again, redacted; those apart by blanks keep their blanks."""
    for chunk in chunks(rows):
        if layout.delimiter != "whitespace":
            redact_rows(chunk, places, gone, found, "")
            yield from chunk
            continue
        cells = [row[1::2] for row in chunk]
        # An empty cell would move all that follow it.
        redact_rows(cells, places, gone, found, FORGOTTEN)
        for row, new in zip(chunk, cells, strict=True):
            row[1::2] = new
            yield row


@contextmanager
def _wide_cells() -> Iterator[None]:
    """Let a cell be as long as it is; Python's own limit is 128 KiB."""
    before = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        yield
    finally:
        csv.field_size_limit(before)
