"""How a table of results is written: columns by what they hold, the whole as HTML and as text."""

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from helpers.errors import UsageError, nearest
from helpers.written import (
    MISSING,
    Formatter,
    count,
    inline,
    is_missing,
    jsonable,
    ratio,
)

if TYPE_CHECKING:
    from pandas import Series

TEXT_SHOWN = 90


def known_formats(
    formats: Mapping[str, Formatter] | Formatter | None, columns: Sequence[str], name: str
) -> Mapping[str, Formatter] | Formatter:
    """Give formats by column name, or the one for all; refuse those of unknown columns."""
    if formats is None or callable(formats):
        return formats or {}
    for column in formats:
        if str(column) not in columns:
            raise UsageError(
                f"Table '{name}' has no column '{column}' to format.{nearest(str(column), columns)}"
            )
    return {str(c): f for c, f in formats.items()}


def is_numeric(column: "Series") -> bool:
    """Say whether a column holds numbers, decimals among them."""
    from pandas.api.types import infer_dtype, is_bool_dtype, is_numeric_dtype

    if is_bool_dtype(column.dtype):
        return False
    kinds = ("decimal", "integer", "floating", "mixed-integer-float")
    return is_numeric_dtype(column.dtype) or infer_dtype(column, skipna=True) in kinds


def format_of(column: "Series", formats: Mapping[str, Formatter] | Formatter) -> Formatter:
    """Choose how the cells of a column are written: as asked for, or by what they hold."""
    from pandas.api.types import infer_dtype, is_datetime64_any_dtype

    name = str(column.name)
    if not callable(formats) and name in formats:
        return formats[name]
    if is_numeric(column):
        if callable(formats):
            return formats
        if name == "year":
            return lambda x: MISSING if is_missing(x) else str(int(x))
        whole = all(is_missing(v) or float(v).is_integer() for v in column)
        return count if whole else ratio
    if is_datetime64_any_dtype(column.dtype) or infer_dtype(column, skipna=True) == "date":
        months_only = name in ("month", "cohort", "start") and all(
            is_missing(v) or v.day == 1 for v in column
        )
        return lambda x: MISSING if is_missing(x) else f"{x:%Y-%m}" if months_only else jsonable(x)
    return _text_cell


def _text_cell(x: Any) -> str:
    if is_missing(x):
        return ""
    if type(x).__name__ in ("bool", "bool_"):
        return "yes" if x else "no"
    text = inline(x)
    return text if len(text) <= TEXT_SHOWN else text[: TEXT_SHOWN - 1].rstrip() + "…"


def html_table(
    heads: list[str],
    cells: list[list[str]],
    numeric: list[bool],
    *,
    caption: str,
    unit: str,
    note: str,
) -> str:
    """Write a table as HTML: caption with its unit, column heads, rows, a note."""
    side = ["right" if n else "left" for n in numeric]
    head = "".join(
        f'<th scope="col" style="text-align:{s}">{html.escape(h)}</th>'
        for h, s in zip(heads, side, strict=True)
    )
    body = []
    for row in zip(*cells, strict=True):
        tags = "".join(
            _html_cell(text, side_of, head=i == 0)
            for i, (text, side_of) in enumerate(zip(row, side, strict=True))
        )
        body.append(f"<tr>{tags}</tr>")
    in_unit = f' <span class="unit">({html.escape(inline(unit))})</span>' if unit else ""
    after = f'\n<p class="note">{html.escape(note)}</p>' if note else ""
    # JupyterLab would read two dollar signs in a cell as a formula: mathjax_ignore stops it.
    return (
        '<div class="ltv-table mathjax_ignore">\n<table>\n'
        f'<caption style="text-align:left">{html.escape(caption)}{in_unit}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n"
        + "\n".join(body)
        + f"\n</tbody>\n</table>{after}\n</div>"
    )


def _html_cell(text: str, side: str, *, head: bool) -> str:
    # Figures and dates stay on one line; only sentences wrap.
    wraps = ";white-space:normal;min-width:14em" if len(text) > 28 else ""
    open_tag, close_tag = ('th scope="row"', "th") if head else ("td", "td")
    return f'<{open_tag} style="text-align:{side}{wraps}">{html.escape(text)}</{close_tag}>'


def plain_table(
    heads: list[str],
    cells: list[list[str]],
    numeric: list[bool],
    *,
    caption: str,
    unit: str,
    note: str,
) -> str:
    """Write a table as text, columns under each other."""
    widths = [max([len(h), *map(len, c)]) for h, c in zip(heads, cells, strict=True)]

    def line(texts: Sequence[str]) -> str:
        padded = (
            t.rjust(w) if n else t.ljust(w) for t, w, n in zip(texts, widths, numeric, strict=True)
        )
        return "  ".join(padded).rstrip()

    lines = [f"{caption} ({unit})" if unit else caption, line(heads)]
    lines += [line(row) for row in zip(*cells, strict=True)]
    return "\n".join([*lines, note] if note else lines)
