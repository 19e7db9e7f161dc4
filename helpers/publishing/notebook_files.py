"""Notebooks as files: their parameters, one normal form, what a run harvests from them.

Everything here works on a notebook as nbformat or plain JSON gives it (texts joined), and knows
nothing of what notebooks compute. nbformat is imported only where it is needed.
"""

import ast
import copy
import csv
import hashlib
import io
import json
import math
import os
import re
import tempfile
import tokenize
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
    "Parameter",
    "coerce",
    "digest_cells",
    "find_error",
    "harvest",
    "heading_above",
    "normalize",
    "read_parameters",
    "write_notebook",
    "write_tables",
]

INJECTED = "injected-parameters"
KEPT_METADATA = ("tags", "slideshow")
TYPES = ("str", "int", "float", "bool", "list[str]")
ACCEPTED = {
    "str": "text",
    "int": "a whole number such as 24",
    "float": "a number such as 0.1",
    "bool": "true or false",
    "list[str]": "words separated by commas",
}


# -- parameters ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parameter:
    """A parameter of a notebook: its name, declared type, default value and help."""

    name: str
    type: str
    default: Any
    help: str


def read_parameters(path: Path | str) -> dict[str, Parameter]:
    """Read the parameters that a notebook declares, without running it.

    They stand in the cell tagged `parameters`, one per line: `name: type = literal  # help`, with
    a type of str, int, float, bool, list[str]. Raises UsageError if there is no such cell or a
    line has another form.
    """
    path = Path(path)
    cells = [c for c in _read(path)["cells"] if "parameters" in tags_of(c)]
    if not cells:
        raise UsageError(f"{path.name} has no cell tagged 'parameters'; add one.")
    source = joined(cells[0].get("source", ""))
    try:
        body = ast.parse(source).body
        comments = {
            token.start[0]: token.string.lstrip("# ").strip()
            for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type == tokenize.COMMENT
        }
    except (SyntaxError, tokenize.TokenError) as fault:
        raise UsageError(f"{path.name}, parameters cell: not Python ({fault}).") from None
    lines, found = source.splitlines(), {}
    for statement in body:
        where = f"{path.name}, parameters cell, line {statement.lineno}"
        line = lines[statement.lineno - 1]
        parameter = _parameter(statement, line, comments.get(statement.lineno, ""), where)
        if parameter.name in found:
            raise UsageError(f"{where}: '{parameter.name}' is declared twice.")
        found[parameter.name] = parameter
    return found


def _parameter(statement: ast.stmt, line: str, text: str, where: str) -> Parameter:
    form = "write `name: type = literal  # help` on one line"
    if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
        raise UsageError(f"{where}: `{line.strip()}` is not a parameter; {form}.")
    if statement.value is None or statement.end_lineno != statement.lineno or not text:
        raise UsageError(f"{where}: `{line.strip()}` lacks a value or its help; {form}.")
    kind = ast.unparse(statement.annotation)
    name = statement.target.id
    if kind not in TYPES:
        raise UsageError(f"{where}: {name} has the type {kind}; accepted: {', '.join(TYPES)}.")
    try:
        default = ast.literal_eval(statement.value)
    except ValueError:
        raise UsageError(f"{where}: the default of {name} is not a literal; {form}.") from None
    # Papermill's own reader breaks at these signs and would see another default.
    if re.search("[=#]", ast.unparse(statement.value)):
        raise UsageError(f"{where}: the default of {name} must not contain '=' or '#'.")
    if isinstance(default, str) and kind != "str":
        raise UsageError(f"{where}: the default of {name} is not of its type {kind}.")
    try:
        value = coerce(Parameter(name, kind, default, text), default)
    except UsageError as fault:
        raise UsageError(f"{where}: {fault}") from None
    return Parameter(name, kind, value, text)


def coerce(parameter: Parameter, value: Any) -> Any:
    """Convert a text or a value to a parameter's type, or refuse it.

    A list may be given as words with commas between, or as JSON. Raises UsageError that names the
    parameter, the value and what is accepted.

    >>> coerce(Parameter("horizon_months", "int", 12, "Horizon"), "24")
    24
    """
    convert = {"str": _as_str, "int": _as_int, "float": _as_float, "bool": _as_bool}
    found = convert.get(parameter.type, _as_list)(value)
    if found is None:
        raise UsageError(
            f"{parameter.name} = {value!r}: must be {ACCEPTED[parameter.type]} "
            f"(type {parameter.type})."
        )
    return found


def _as_str(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _as_int(value: Any) -> int | None:
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", value) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _as_float(value: Any) -> float | None:
    if isinstance(value, str) and "_" not in value:
        try:
            value = float(value)
        except ValueError:
            return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if number and math.isfinite(value) else None


def _as_bool(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def _as_list(value: Any) -> list[str] | None:
    if isinstance(value, str):
        if value.lstrip().startswith("["):
            try:
                value = json.loads(value)
            except ValueError:
                return None
        else:
            value = [word.strip() for word in value.split(",") if word.strip()]
    whole = isinstance(value, (list, tuple)) and all(isinstance(word, str) for word in value)
    return list(value) if whole else None


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
        for cell in _read(Path(path))["cells"]
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


def _read(path: Path) -> dict:
    try:
        nb = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(nb["cells"], list):
            raise TypeError("no list of cells")
    except (OSError, ValueError, KeyError, TypeError) as fault:
        kind = "cannot be read" if isinstance(fault, OSError) else "is not a notebook"
        raise UsageError(f"{path.name} {kind}.") from None
    return nb
