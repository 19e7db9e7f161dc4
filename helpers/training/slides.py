"""Slides of an executed notebook: one for each picture, table or sentence, in the order of reading.

A slide is made from what a cell displayed, so the same notebooks serve the reader and the room.
"""

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from markupsafe import Markup

from helpers.publishing import pages
from helpers.publishing.notebook_files import tags_of
from helpers.show import HEADLINE, TABLE, figure_texts
from helpers.training.editions import student_edition

NOTHING = Markup("")


@dataclass(frozen=True)
class Slide:
    """One slide: its place (cell id), heading, words, and what is shown.

    ``figures`` are headline figures in words, ``pictures`` outputs with a PNG, ``tables`` and
    ``said`` ready HTML; ``notes`` are for whoever speaks; ``minutes`` above zero puts the slide on
    the webinar's path. ``opens`` marks the first slide of a notebook.
    """

    id: str
    heading: str
    words: Markup = NOTHING
    figures: tuple = ()
    pictures: tuple = ()
    tables: tuple = ()
    said: tuple = ()
    code: str = ""
    notes: Markup = NOTHING
    minutes: int = 0
    opens: bool = False


@dataclass
class _Reading:
    """Where a reader is in a notebook: the heading above, and words not yet put on a slide."""

    heading: str = ""
    words: list[str] = field(default_factory=list)
    since: str = ""

    def take(self) -> str:
        """Give the words since the last slide, once."""
        words, self.words = self.words, []
        return "\n\n".join(words)

    def left(self, render) -> Iterator[Slide]:
        """Give a slide of words that nothing was shown for: a worked example, say."""
        if self.words and self.since:
            yield Slide(id=self.since, heading=self.heading, words=Markup(render(self.take())))


def slides_of(notebook: Mapping) -> list[Slide]:
    """Make the slides of an executed notebook; of a solved exercise, with solutions as notes."""
    render, reading, found = pages.markdown(), _Reading(), []
    asked = {cell["id"]: cell for cell in student_edition(notebook)["cells"]}
    for cell in notebook["cells"]:
        tags = set(tags_of(cell))
        if cell["cell_type"] == "markdown":
            found += _words(cell, reading, render)
        elif "solution" in tags:
            dots, reading.since = asked[cell["id"]]["source"], ""
            found.append(
                Slide(
                    id=cell["id"],
                    heading=reading.heading,
                    words=Markup(render(reading.take())),
                    code=dots,
                    notes=_solution(cell["source"]),
                )
            )
        elif "check" in tags and found:
            # What the check says to the right answer belongs to whoever speaks.
            said = "".join(_said(output, render) for output in cell.get("outputs", []))
            found[-1] = replace(found[-1], notes=found[-1].notes + Markup(said))
        elif cell["cell_type"] == "code" and not tags & pages.HIDDEN:
            found += _shown(cell, reading, render)
            reading.since = ""  # the words were about this cell, whether it showed anything or not
    return _numbered(found)


def _words(cell: Mapping, reading: _Reading, render) -> Iterator[Slide]:
    """Read a Markdown cell: take its heading; title and key ideas are slides of their own."""
    heading, text = _split(cell["source"])
    if heading:
        yield from reading.left(render)
        reading.heading, reading.words = heading, []
    opens = cell["source"].startswith("# ")
    if opens or heading == "Key ideas":
        yield Slide(id=cell["id"], heading=heading, words=Markup(render(text)), opens=opens)
    elif text:
        reading.words.append(text)
        reading.since = cell["id"]


def _split(source: str) -> tuple[str, str]:
    """Split a Markdown cell into its last heading and the words below."""
    heading, words = "", []
    for line in source.splitlines():
        found = re.match(r"#{1,6} +(.+)$", line)
        if found:
            heading, words = found[1].strip(), []
        else:
            words.append(line)
    return heading, "\n".join(words).strip()


def _shown(cell: Mapping, reading: _Reading, render) -> Iterator[Slide]:
    """Put what a cell displayed on slides: headline, picture with its sentence, then tables."""
    outputs = [o for o in cell.get("outputs", []) if "data" in o]
    figures = [o["data"][HEADLINE] for o in outputs if HEADLINE in o["data"]]
    pictures = tuple(o for o in outputs if "image/png" in o["data"])
    tables = tuple(_table(o["data"]) for o in outputs if TABLE in o["data"])
    said = tuple(Markup(words) for o in outputs if (words := _said(o, render)))
    if not (figures or pictures or tables or said):
        return
    first = {
        "id": cell["id"],
        "heading": reading.heading,
        "words": Markup(render(reading.take())),
    }
    if figures:
        texts = [figure_texts(f, each["currency"]) for each in figures for f in each["figures"]]
        yield Slide(**first, figures=tuple(texts))
    elif pictures:
        yield Slide(**first, pictures=pictures, said=said)
        for table in tables:
            yield Slide(id=cell["id"], heading=reading.heading, tables=(table,))
    else:
        yield Slide(**first, tables=tables[:1], said=said if len(tables) < 2 else ())
        for table in tables[1:]:
            yield Slide(id=cell["id"], heading=reading.heading, tables=(table,))
        if len(tables) > 1 and said:
            yield Slide(id=cell["id"], heading=reading.heading, said=said)


def _said(output: Mapping, render) -> str:
    data = output.get("data", {})
    return render(data["text/markdown"]) if "text/markdown" in data else ""


def _table(data: Mapping) -> Markup:
    """Give a table without the address of its file, which no slide has beside it."""
    # The HTML is show.py's own; nothing else may carry this MIME type.
    table = re.sub(r", (the rest|all of them) in tables/[^<]*?\.csv\.", ".", data["text/html"])
    label = html.escape(data[TABLE]["caption"])
    return Markup(
        f'<div class="scroll" role="group" aria-label="{label}" tabindex="0">{table}</div>'
    )


def _solution(source: str) -> Markup:
    return Markup(f'<p>A solution:</p><pre tabindex="0"><code>{html.escape(source)}</code></pre>')


def _numbered(slides: list[Slide]) -> list[Slide]:
    """Give slides of one cell ids of their own: the second ends in -2."""
    seen: dict[str, int] = {}
    made = []
    for slide in slides:
        seen[slide.id] = number = seen.get(slide.id, 0) + 1
        made.append(slide if number == 1 else replace(slide, id=f"{slide.id}-{number}"))
    return made
