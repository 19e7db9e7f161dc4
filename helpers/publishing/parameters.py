"""The parameters of a notebook: how they are declared, and what a given value is taken for."""

import ast
import io
import json
import math
import re
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.errors import UsageError
from helpers.publishing.notebook_files import read_raw, tags_of
from helpers.records import joined

TYPES = ("str", "int", "float", "bool", "list[str]")
ACCEPTED = {
    "str": "text",
    "int": "a whole number such as 24",
    "float": "a number such as 0.1",
    "bool": "true or false",
    "list[str]": "words separated by commas",
}


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
    cells = [c for c in read_raw(path)["cells"] if "parameters" in tags_of(c)]
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
