"""Notebooks as files: one normal form, and what a run harvests from them.

Everything here works on a notebook as nbformat or plain JSON gives it (texts joined), and knows
nothing of what notebooks compute. nbformat is imported only where it is needed.
"""

import copy
import csv
import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.errors import DataError, UsageError
from helpers.publishing.pages import alt_text
from helpers.records import RECORD, joined
from helpers.show import HEADLINE, TABLE

__all__ = [
    "CellError",
    "Harvest",
    "digest_cells",
    "find_error",
    "harvest",
    "heading_above",
    "normalize",
    "read_raw",
    "tags_of",
    "write_notebook",
    "write_tables",
]

INJECTED = "injected-parameters"
KEPT_METADATA = ("tags", "slideshow")


# -- the normal form -------------------------------------------------------------------------


def normalize(nb: Mapping) -> Any:
    """Bring an executed notebook into the one form in which notebooks are kept and compared.

    Fixed metadata, tags and slide types kept, timings and papermill's traces dropped, readable cell
    ids kept and random ones replaced by their place, counts 1 to n, neighboring texts of one stream
    joined. The cell with injected parameters stays, under a fixed id. Normalizing twice changes
    nothing; the notebook given is not changed. Returns an nbformat notebook.
    """
    import nbformat

    cells, taken = [], set()
    for cell in copy.deepcopy(list(nb["cells"])):
        if "papermill-error-cell-tag" in tags_of(cell):
            continue
        cells.append(_plain_cell(cell, len(cells) + 1, taken))
    number = 0
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        ran = cell.get("execution_count") is not None
        number += ran
        cell["execution_count"] = number if ran else None
        for output in cell["outputs"]:
            if output["output_type"] == "execute_result":
                output["execution_count"] = cell["execution_count"]
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    whole = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return nbformat.from_dict(whole)


def _plain_cell(cell: Mapping, place: int, taken: set[str]) -> dict:
    tags, kind = list(tags_of(cell)), cell["cell_type"]
    metadata = {k: cell["metadata"][k] for k in KEPT_METADATA if cell.get("metadata", {}).get(k)}
    name = INJECTED if INJECTED in tags else str(cell.get("id", ""))
    # A random id changes whenever a tool makes the cell again.
    readable = re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) and not re.fullmatch(
        r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=.*[0-9])[0-9a-f]{8}", name
    )
    if not readable or name in taken:
        name = f"cell-{place:02d}"
        while name in taken:
            name += "-x"
    taken.add(name)
    plain = {"id": name, "cell_type": kind, "metadata": metadata}
    plain["source"] = joined(cell.get("source", ""))
    if kind == "code":
        plain["execution_count"] = cell.get("execution_count")
        plain["outputs"] = _plain_outputs(cell.get("outputs", []))
    elif cell.get("attachments"):
        plain["attachments"] = cell["attachments"]
    return plain


def _plain_outputs(outputs: Iterable[Mapping]) -> list[dict]:
    kept: list[dict] = []
    for output in outputs:
        plain = {k: v for k, v in output.items() if k != "transient"}
        if plain["output_type"] == "stream":
            plain["text"] = joined(plain.get("text", ""))
            before = kept[-1] if kept else {}
            if before.get("output_type") == "stream" and before["name"] == plain["name"]:
                before["text"] += plain["text"]
                continue
        if "data" in plain:
            plain["data"] = {
                kind: value if "json" in kind else joined(value)
                for kind, value in plain["data"].items()
            }
        kept.append(plain)
    return kept


def write_notebook(nb: Mapping, path: Path | str) -> None:
    """Write a notebook whole or not at all, with sorted keys and a last line end."""
    import nbformat

    path = Path(path)
    node = nb if hasattr(nb, "nbformat") else nbformat.from_dict(dict(nb))
    text = nbformat.writes(node, version=nbformat.NO_CONVERT).rstrip("\n") + "\n"
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="\n", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        file.write(text)
    try:
        os.chmod(file.name, path.stat().st_mode & 0o777 if path.exists() else 0o644)
        os.replace(file.name, path)
    except OSError:
        Path(file.name).unlink(missing_ok=True)
        raise


def digest_cells(path: Path | str) -> str:
    """Give the sha256 of what a notebook says: kind, source and tags of its cells, not outputs."""
    said = [
        [cell["cell_type"], joined(cell.get("source", "")), sorted(tags_of(cell))]
        for cell in read_raw(Path(path))["cells"]
    ]
    return hashlib.sha256(json.dumps(said, ensure_ascii=True).encode()).hexdigest()


# -- what a run takes from a notebook --------------------------------------------------------


@dataclass(frozen=True)
class Harvest:
    """What an executed notebook displayed for the run: headline, record, tables, first picture.

    ``picture`` is {finding, alt, png} of the first picture that follows the headline.
    """

    headline: dict | None = None
    record: dict | None = None
    tables: list[dict] = field(default_factory=list)
    picture: dict | None = None


@dataclass(frozen=True)
class CellError:
    """The first error of a notebook: the heading above it, the error's name and text."""

    heading: str
    name: str
    value: str


def harvest(nb: Mapping) -> Harvest:
    """Collect what a notebook displayed under this workbook's own MIME types.

    Figures of several headlines are joined. Raises DataError if two different tables have one name.
    """
    headline, record, tables, picture = None, None, {}, None
    for output in (output for _, output in _outputs(nb)):
        data = output.get("data", {})
        if "image/png" in data and headline and not picture:
            finding = str(data.get("text/plain", "")).partition("\n")[0]
            picture = {"finding": finding, "alt": alt_text(output), "png": data["image/png"]}
        if HEADLINE in data:
            before = headline["figures"] if headline else []
            headline = {**data[HEADLINE], "figures": [*before, *data[HEADLINE]["figures"]]}
        record = data.get(RECORD, record)
        if TABLE in data:
            table = data[TABLE]
            if tables.setdefault(table["name"], table) != table:
                raise DataError(
                    f"Two tables are named '{table['name']}'; give one another name "
                    "(show_table(..., name='...'))."
                )
    return Harvest(headline, record, list(tables.values()), picture)


def write_tables(tables: Iterable[Mapping], folder: Path | str) -> list[Path]:
    """Write harvested tables as NAME.csv: UTF-8, LF, full precision, missing values empty.

    Text that a spreadsheet would take for a formula gets a leading apostrophe. Raises UsageError
    for a name that is not a plain file name.
    """
    folder, written = Path(folder), []
    for table in tables:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", table["name"]):
            raise UsageError(f"The table name {table['name']!r} cannot be a file name.")
        out = io.StringIO()
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow([_csv_cell(c) for c in table["columns"]])
        rows.writerows([_csv_cell(v) for v in row] for row in table["rows"])
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{table['name']}.csv"
        path.write_text(out.getvalue(), encoding="utf-8", newline="\n")
        written.append(path)
    return written


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
        return str(int(value)) if whole else repr(value)
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    formula = re.match(r"[\s\x00-\x1f]*[=+\-@\t\r\n＝＋－＠]", text)
    return f"'{text}" if formula else text


def heading_above(nb: Mapping, index: int) -> str:
    """Give the text of the last heading at or above a cell, or an empty text."""
    for cell in reversed(list(nb["cells"])[: index + 1]):
        headings = _headings(cell) if cell["cell_type"] == "markdown" else []
        if headings:
            return headings[-1]
    return ""


def find_error(nb: Mapping) -> CellError | None:
    """Find the first error among a notebook's outputs."""
    for index, output in _outputs(nb):
        if output.get("output_type") == "error":
            value = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", str(output.get("evalue", "")))
            return CellError(heading_above(nb, index), str(output.get("ename", "")), value)
    return None


def _outputs(nb: Mapping) -> list[tuple[int, Mapping]]:
    return [
        (index, output)
        for index, cell in enumerate(nb["cells"])
        for output in cell.get("outputs", [])
    ]


def _headings(cell: Mapping) -> list[str]:
    found, fenced = [], False
    for line in joined(cell.get("source", "")).splitlines():
        fenced ^= line.lstrip().startswith(("```", "~~~"))
        match = re.match(r" {0,3}#{1,6}\s+(.+?)\s*#*\s*$", line)
        if match and not fenced:
            found.append(re.sub(r"[*`]", "", match[1]))
    return found


def tags_of(cell: Mapping) -> Sequence[str]:
    """Give the tags of a cell."""
    return cell.get("metadata", {}).get("tags", [])


def read_raw(path: Path) -> dict:
    """Read a notebook's JSON as it stands. Raises UsageError for a file that is no notebook."""
    try:
        nb = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(nb["cells"], list):
            raise TypeError("no list of cells")
    except (OSError, ValueError, KeyError, TypeError) as fault:
        kind = "cannot be read" if isinstance(fault, OSError) else "is not a notebook"
        raise UsageError(f"{path.name} {kind}.") from None
    return nb
