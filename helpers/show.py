"""What a notebook shows: numbers, sentences, tables, pictures, headline figures, the record.

Numbers are written only through `money_in`, `percent`, `count`, `ratio` and their kin, so that a
figure looks the same on every page. Everything displayed has a stable text form (checked by
nbval) and, where the monthly run needs it, a small JSON bundle under a MIME type of our own.
"""

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from helpers.errors import DataError, UsageError
from helpers.records import RECORD
from helpers.written import (
    Formatter,
    alike,
    by_unit,
    count,
    days,
    inline,
    is_missing,
    jsonable,
    money_in,
    month_name,
    months,
    percent,
    ratio,
    slug,
)
from helpers.written_tables import format_of, html_table, is_numeric, known_formats, plain_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

TABLE = "application/vnd.ltv.table+json"
HEADLINE = "application/vnd.ltv.headline+json"

TITLE_LENGTH = 90
ROWS_SHOWN, COLUMNS_SHOWN, ROWS_KEPT = 12, 8, 5000
# A table of results never needs these: with them, a row is a person.
PERSONAL = frozenset(
    """
    customer_id customerid email e_mail email_address name first_name last_name full_name
    customer_name phone phone_number telephone address order_id orderid
    """.split()  # noqa: SIM905
)

__all__ = [
    "Headline",
    "by_unit",
    "count",
    "days",
    "figure_texts",
    "is_missing",
    "jsonable",
    "label",
    "money_in",
    "month_name",
    "months",
    "percent",
    "plain",
    "ratio",
    "say",
    "show_figure",
    "show_finding",
    "show_headline",
    "show_record",
    "show_table",
    "slug",
]


# -- sentences -------------------------------------------------------------------------------


def label(text: Any, most: int = 80) -> str:
    """Make a name that came from data safe to stand in a sentence given to `say`.

    Every character with a meaning in Markdown or HTML becomes a numbered entity, so it is shown
    and never obeyed. (Tables, headlines and pictures escape by themselves: no `label` there.)

    >>> label("<b>|*x*")
    '&#60;b&#62;&#124;&#42;x&#42;'
    """
    short = inline(text)
    short = short if len(short) <= most else short[: most - 1].rstrip() + "…"
    inner_hyphen = re.compile(r"(?<=[^\W_])-(?=[^\W_])")
    kept = {m.start() for m in inner_hyphen.finditer(short)}
    return "".join(
        c if c.isalnum() or not c.isascii() or c in " ," or i in kept else f"&#{ord(c)};"
        for i, c in enumerate(short)
    )


def say(text: str) -> None:
    """Show a computed sentence (Markdown; names from data go through `label`), if there is one."""
    if not text.strip():
        return
    # A dollar sign would start a formula in JupyterLab.
    markdown = re.sub(r"(?<!\\)\$", r"\\$", text.strip())
    _display({"text/markdown": markdown, "text/plain": plain(text)})


def plain(markdown: str) -> str:
    """Return the text of a Markdown sentence without its marks."""
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", markdown.strip())
    text = re.sub(r"(?<!\\)(\*\*|`|\*|(?<!\w)__|__(?!\w))", "", text)
    text = re.sub(r"^#{1,6} +", "", text, flags=re.MULTILINE)
    return html.unescape(re.sub(r"\\([\\$*_`#\[\]|])", r"\1", text))


# -- tables ----------------------------------------------------------------------------------


def show_table(
    frame: "DataFrame",
    *,
    caption: str,
    unit: str = "",
    formats: Mapping[str, Formatter] | Formatter | None = None,
    name: str | None = None,
    otherwise: str | None = None,
) -> None:
    """Show a table of results: at most 12 rows by 8 columns, the whole of it in tables/NAME.csv.

    `formats` maps a column to `money`, `percent`, `count` ... or is one function for all numbers;
    within a column all cells get the same number of decimals. A named or non-default index
    becomes the first column. The first column heads its row. Where the frame has no row,
    ``otherwise`` is the sentence shown in its place (that there is none; empty if a sentence beside
    the table says why).
    Raises UsageError without a caption, for a malformed name, and for columns that identify people;
    DataError above 5,000 rows: a table of results is a summary.
    """
    caption = inline(caption)
    if not caption:
        raise UsageError("show_table(caption=''): a table needs a caption that says what it shows.")
    name = name or slug(caption)
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,79}", name):
        raise UsageError(f"show_table(name={name!r}): use lower-case letters, digits, - and _.")
    flat = _flat(frame)
    if flat.empty:
        say(f"{label(caption, 200)}: none." if otherwise is None else otherwise)
        return
    if len(flat) > ROWS_KEPT:
        raise DataError(
            f"Table '{name}' has {len(flat):,} rows; at most {ROWS_KEPT:,} can be shown and kept. "
            "Summarize it first."
        )
    columns = [str(c) for c in flat.columns]
    formats = known_formats(formats, columns, name)
    shown = flat.iloc[:ROWS_SHOWN, :COLUMNS_SHOWN]
    cells = [
        alike(format_of(shown.iloc[:, i], formats), shown.iloc[:, i]) for i in range(shown.shape[1])
    ]
    numeric = [is_numeric(shown.iloc[:, i]) for i in range(shown.shape[1])]
    note = _note(flat, name)
    rows = [
        [jsonable(v) for v in row] for row in flat.astype(object).itertuples(index=False, name=None)
    ]
    heads = [_heading(c) for c in columns[:COLUMNS_SHOWN]]
    _display(
        {
            TABLE: {
                "name": name,
                "caption": caption,
                "unit": unit,
                "columns": columns,
                "rows": rows,
            },
            "text/html": html_table(heads, cells, numeric, caption=caption, unit=unit, note=note),
            "text/plain": plain_table(heads, cells, numeric, caption=caption, unit=unit, note=note),
        }
    )


def _flat(frame: "DataFrame") -> "DataFrame":
    """Return the frame with its index as columns and its column names as text, people refused."""
    import pandas as pd

    plain_index = isinstance(frame.index, pd.RangeIndex) and frame.index.name is None
    named = frame
    if not plain_index and frame.index.nlevels == 1 and frame.index.name is None:
        named = frame.rename_axis("row")
    flat = frame.copy() if plain_index else named.reset_index()
    flat.columns = [
        " / ".join(str(p) for p in c if str(p)) if isinstance(c, tuple) else str(c)
        for c in flat.columns
    ]
    personal = [c for c in flat.columns if re.sub(r"[\s\-.]+", "_", c.strip().lower()) in PERSONAL]
    if personal:
        raise UsageError(
            f"show_table: column '{personal[0]}' identifies people or their orders, and published "
            "tables hold no customer rows. Group by something else, or rename a harmless column."
        )
    return flat


def _heading(column: str) -> str:
    return inline(column.replace("_", " "))


def _note(flat: "DataFrame", name: str) -> str:
    rows, columns = flat.shape
    parts = []
    if rows > ROWS_SHOWN:
        parts.append(f"First {ROWS_SHOWN} of {rows:,} rows, the rest in tables/{name}.csv.")
    if columns > COLUMNS_SHOWN:
        parts.append(
            f"First {COLUMNS_SHOWN} of {columns} columns, all of them in tables/{name}.csv."
        )
    return " ".join(parts)


# -- pictures --------------------------------------------------------------------------------


def show_figure(fig: "Figure", *, title: str, subtitle: str, source: str, alt: str) -> None:
    """Show a picture: its finding as title, then measure and population, source, alt text.

    Raises UsageError for a missing or long title (90 characters) and for a missing alt text.
    """
    from helpers.figures import style

    title, subtitle, source, alt = (inline(t) for t in (title, subtitle, source, alt))
    if not title or len(title) > TITLE_LENGTH:
        raise UsageError(
            f"show_figure(title={title!r}): {len(title)} characters; the title states the finding "
            f"in 1 to {TITLE_LENGTH}. Move detail to the subtitle."
        )
    if not alt:
        raise UsageError(
            f"show_figure: '{title}' has no alt text. Say what the picture shows in words."
        )
    png = style.png(style.finish(fig, title=title, subtitle=subtitle, source=source))
    style.close(fig)
    _display(
        {"image/png": png, "text/plain": f"{title}\n{alt}"},
        {"image/png": {"alt": f"{title}. {alt}" if title not in alt else alt}},
    )


@dataclass(frozen=True)
class Finding:
    """A picture in words: its title (the finding), its alternative text, and a sentence below.

    Without a title there is no picture, and the sentence says why.
    """

    title: str
    alt: str
    sentence: str


def show_finding(fig: "Figure | None", finding: Finding, *, subtitle: str, source: str) -> None:
    """Show a picture with its finding as title, and below it the finding in a sentence.

    Where there is nothing to draw (no figure, or a finding without a title), only the sentence.
    """
    if fig is not None and finding.title:
        show_figure(fig, title=finding.title, subtitle=subtitle, source=source, alt=finding.alt)
    elif fig is not None:
        from helpers.figures import style

        style.close(fig)
    say(finding.sentence)


# -- headline and record ---------------------------------------------------------------------


@dataclass(frozen=True)
class Headline:
    """A figure of the month: its name for machines, its label for readers, value, unit, interval.

    `unit` is one of money, percent (a share), count, ratio, days, months, score. `value` None means
    that it is not available, and `note` then says why. `low` and `high` bound the interval.
    """

    name: str
    label: str
    value: float | None
    unit: str
    low: float | None = None
    high: float | None = None
    note: str = ""

    def __post_init__(self):
        """Refuse a name or a unit that the index page could not use."""
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise UsageError(f"Headline(name={self.name!r}): use lower-case letters, digits and _.")
        by_unit(self.unit)


def figure_texts(figure: Mapping[str, Any], currency: str) -> dict[str, str]:
    """Write a headline figure in words: its label, value, interval and note."""
    numbers = [figure["value"], figure.get("low"), figure.get("high")]
    value, low, high = alike(by_unit(figure["unit"], currency), numbers)
    bounded = not any(is_missing(x) for x in numbers)
    texts = {
        "label": figure["label"],
        "value": "not available" if is_missing(figure["value"]) else value,
        "interval": f"{low} to {high}" if bounded else "",
        "note": figure.get("note") or "",
    }
    return {key: inline(text) for key, text in texts.items()}


def show_headline(items: Iterable[Headline], *, currency: str) -> None:
    """Show the figures that answer the notebook's question, before anything else."""
    figures = _figures(items)
    written = [figure_texts(f, currency) for f in figures]
    html_items, lines = [], []
    for w in written:
        small = " · ".join(t for t in (w["interval"], w["note"]) if t)
        html_items.append(
            f"<div><dt>{html.escape(w['label'])}</dt>"
            f'<dd style="margin:0"><strong>{html.escape(w["value"])}</strong>'
            + (f"<br><small>{html.escape(small)}</small>" if small else "")
            + "</dd></div>"
        )
        lines.append(f"{w['label']}: {w['value']}" + (f" ({small})" if small else ""))
    style = "display:flex;flex-wrap:wrap;gap:1em 2.5em;margin:0.5em 0"
    _display(
        {
            HEADLINE: {"currency": currency, "figures": figures},
            "text/html": f'<dl class="ltv-headline mathjax_ignore" style="{style}">'
            + "".join(html_items)
            + "</dl>",
            "text/plain": "\n".join(lines),
        }
    )


def show_record(study: Any, items: Iterable[Headline], **extra: Any) -> None:
    """Record the headline figures, and what later months need, for the monthly run to collect."""
    figures = _figures(items)
    record = {
        "shop": study.shop.name,
        "month": study.month,
        "currency": study.currency,
        "figures": figures,
        "extra": jsonable(extra),
    }
    kept = f" and {', '.join(sorted(extra))}" if extra else ""
    names = ", ".join(f["name"] for f in figures) or "no figures"
    text = f"Recorded for {study.shop.name}, {study.month}: {names}{kept}."
    _display({RECORD: record, "text/plain": text})


def _figures(items: Iterable[Headline]) -> list[dict[str, Any]]:
    figures = [jsonable(asdict(item)) for item in items]
    names = [f["name"] for f in figures]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise UsageError(f"Headline figure '{twice[0]}' is given twice; names must be unique.")
    return figures


def _display(data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
    from IPython.display import display

    display(data, raw=True, metadata=metadata or {})
