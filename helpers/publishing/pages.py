"""Pages: an executed notebook as one HTML file that needs nothing else.

No script, no external resource, and a policy in the page that allows none. Raw HTML in Markdown is
shown as text; HTML output is trusted only where `show.py` made it. Same inputs, same bytes.
nbconvert, mistune and jinja2 are imported only when a page is rendered.
"""

import base64
import functools
import html
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from helpers import catalog
from helpers.show import HEADLINE, TABLE, figure_texts, inline, slug

TEMPLATES = Path(__file__).resolve().parent / "templates"
HIDDEN = {"parameters", "injected-parameters", "setup", "record"}
LEFT_OUT = {"math", "exercise", "solution"}
ABOUT = "About this report"
GLOSSARY = "glossary.html"


def render_page(
    nb: Mapping,
    *,
    title: str,
    nav: Any = (),
    about: Mapping[str, str] | None = None,
    tables: str = "tables/",
) -> str:
    """Render an executed notebook as a page a reader can trust and print.

    The headline strip stands on top, code is folded, parameters, setup and record are hidden,
    math, exercises and solutions left out. `nav` is a list of {href, title, current}, or a dict of
    previous, next, month, home. `tables` is the start of the relative address of this page's CSV
    files, such as "tables/02_".
    """
    import nbformat

    render = _Markdown()
    cells, figures, currency = _visible_cells(nb)
    cells = _spoken(cells)
    lead = ""
    if cells and cells[0]["cell_type"] == "markdown":
        lead = render(cells.pop(0)["source"])
    if render.question is None:
        lead = render(f"# {inline(title)}") + lead
    for cell in cells:
        _render_cell(cell, render, tables)
    question = html.unescape(re.sub("<[^>]+>", "", render.question))
    page = {
        "title": inline(title),
        "eyebrow": inline(title).removeprefix(question).strip(" ·,–|"),
        "lead": lead,
        "figures": [explained(f, currency) for f in figures],
        "contents": [*render.contents, *([("about", ABOUT)] if about else [])],
        "nav": navigation(nav),
        "about": about_rows(about),
    }
    node = nbformat.from_dict(
        {"cells": cells, "metadata": dict(nb["metadata"]), "nbformat": 4, "nbformat_minor": 5}
    )
    text, _ = _exporter().from_notebook_node(node, resources={"page": page})
    return text.rstrip("\n") + "\n"


def explained(figure: Mapping, currency: str) -> dict[str, str]:
    """Write a headline figure in words, with the place of its definition in the glossary."""
    measure = catalog.meaning(figure["name"])
    return {**figure_texts(figure, currency), "means": f"{GLOSSARY}#{measure}" if measure else ""}


def alt_text(output: Mapping) -> str:
    """Give the alt text stored with a picture, or the text that stands for it."""
    metadata = output.get("metadata", {})
    stored = metadata.get("image/png", {}).get("alt") or metadata.get("alt")
    return inline(stored or output["data"].get("text/plain", "A picture without a description"))


def markdown() -> Any:
    """Give what turns Markdown into HTML for one page: unique ids, and raw HTML shown as text."""
    return _Markdown()


# -- parts -----------------------------------------------------------------------------------


class _Markdown:
    """Markdown to HTML for one page: one h1, levels in order, unique ids, contents, no raw HTML."""

    def __init__(self):
        self.question: str | None = None
        self.contents: list[tuple[str, str]] = []
        self.heading = ""
        self.level = 1
        self.ids = {"main", "contents", "about"}
        self._markdown = _markdown_parser(self)

    def __call__(self, text: str) -> str:
        return self._markdown(text)

    def write_heading(self, text: str, level: int) -> str:
        self.heading = html.unescape(re.sub("<[^>]+>", "", text))
        if level == 1 and self.question is None:
            self.question = text
            return f"<h1>{text}</h1>\n"
        self.level = min(max(level, 2), self.level + 1)
        name = base = slug(self.heading)
        number = 1
        while name in self.ids:
            number += 1
            name = f"{base}-{number}"
        self.ids.add(name)
        if self.level == 2:
            self.contents.append((name, self.heading))
        return f'<h{self.level} id="{name}">{text}</h{self.level}>\n'


def _markdown_parser(page: _Markdown) -> Any:
    import mistune
    from mistune.util import safe_entity

    class Renderer(mistune.HTMLRenderer):
        def text(self, text: str) -> str:
            return safe_entity(text)  # entities (see show.label) stay what they stand for

        def heading(self, text: str, level: int, **attrs: Any) -> str:
            return page.write_heading(text, level)

        def image(self, text: str, url: str, title: str | None = None) -> str:
            return f"<em>{text}</em>"  # a picture from elsewhere would need the network

        def link(self, text: str, url: str, title: str | None = None) -> str:
            target = html.escape(self.sanitize_url(url))
            return f'<a href="{target}" rel="noreferrer">{text}</a>'

        def block_code(self, code: str, info: str | None = None) -> str:
            return f'<pre tabindex="0"><code>{html.escape(code)}</code></pre>\n'

    parser = mistune.create_markdown(renderer=Renderer(escape=True), plugins=["table"])

    def table(renderer: Any, text: str) -> str:
        caption = html.escape(page.heading or "Table")
        hidden = f'<caption class="unseen">{caption}</caption>'
        return _scroll_box(f"<table>{hidden}\n{text}</table>", page.heading or "Table") + "\n"

    def cell(renderer: Any, text: str, align: str | None = None, head: bool = False) -> str:
        style = f' style="text-align:{align}"' if align else ""
        return f'<th scope="col"{style}>{text}</th>' if head else f"<td{style}>{text}</td>"

    parser.renderer.register("table", table)
    parser.renderer.register("table_cell", cell)
    return parser


def _visible_cells(nb: Mapping) -> tuple[list[dict], list[dict], str]:
    """Return the cells a reader sees (copies), and the headline figures with their currency."""
    cells, figures, currency = [], [], ""
    for cell in nb["cells"]:
        tags = set(cell.get("metadata", {}).get("tags", []))
        if tags & (HIDDEN | LEFT_OUT) or cell["cell_type"] == "raw":
            continue
        shown = {
            "id": f"cell-{len(cells)}",
            "cell_type": cell["cell_type"],
            "metadata": {"aside": "aside" in tags},
            "source": cell["source"],
        }
        if cell["cell_type"] == "code":
            outputs = []
            for output in cell.get("outputs", []):
                if HEADLINE in output.get("data", {}):
                    figures += output["data"][HEADLINE]["figures"]
                    currency = output["data"][HEADLINE]["currency"]
                elif output.get("name") != "stderr":
                    outputs.append({k: _copy(v) for k, v in output.items()})
            speaks = any(output.get("name") != "stderr" for output in cell.get("outputs", []))
            shown |= {"outputs": outputs, "execution_count": None}
            shown["metadata"]["speaks"] = speaks
            if not outputs and not cell["source"].strip():
                continue
        cells.append(shown)
    return cells, figures, currency


def _spoken(cells: list[dict]) -> list[dict]:
    """Leave out questions, and lines that lead to something, to which the code says nothing.

    A shop without experiments, or without a table, has many of them; its notebook keeps them.
    """
    kept, silent = [], None  # the level of what is being left out
    for number, cell in enumerate(cells, 1):
        if cell["cell_type"] == "markdown":
            level = _level(cell)
            if silent is not None and level > silent:
                continue
            after = enumerate(cells[number:], number)
            end = next((at for at, other in after if _level(other) <= level), len(cells))
            code = [each for each in cells[number:end] if each["cell_type"] == "code"]
            spoken = [each["metadata"]["speaks"] for each in code]
            silent = level if spoken and not any(spoken) else None
        if silent is None:
            kept.append(cell)
    return kept


def _level(cell: Mapping) -> int:
    """Give the level of the heading that a cell begins with; prose stands below all, code last."""
    if cell["cell_type"] == "code":
        return 8
    mark = re.match("#{1,6} ", cell["source"])
    return len(mark[0]) - 1 if mark else 7


def _copy(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _render_cell(cell: dict, render: _Markdown, tables: str) -> None:
    """Replace Markdown by HTML in a cell and its outputs, and drop HTML that is not ours."""
    if cell["cell_type"] == "markdown":
        cell["source"] = render(cell["source"])
    for output in cell.get("outputs", []):
        if output["output_type"] == "execute_result":
            output["output_type"] = "display_data"
            output.pop("execution_count", None)
        data = output.get("data", {})
        if TABLE in data and "text/html" in data:
            data["text/html"] = _table_box(data["text/html"], data[TABLE], tables)
        else:
            data.pop("text/html", None)
        if "text/markdown" in data:
            data["text/markdown"] = render(data["text/markdown"])


def _table_box(table: str, bundle: Mapping, tables: str) -> str:
    """Let a wide table scroll in its own box and link the file that holds all of it."""
    name = bundle["name"]
    address = html.escape(f"{tables}{name}.csv")
    link = f'<a href="{address}">{address}</a>'
    linked = table.replace(f"tables/{name}.csv", link)
    if linked == table:
        linked = table.replace("</table>", f'</table>\n<p class="note">As a file: {link}</p>')
    start, end = linked.index("<table>"), linked.index("</table>") + len("</table>")
    return linked[:start] + _scroll_box(linked[start:end], bundle["caption"]) + linked[end:]


def _scroll_box(content: str, name: str) -> str:
    region = f'role="region" aria-label="{html.escape(inline(name))}" tabindex="0"'
    return f'<div class="scroll" {region}>{content}</div>'


def image_size(output: Mapping) -> str:
    """Give width and height of a PNG, so that the page does not jump while it loads."""
    head = base64.b64decode(output["data"]["image/png"][:44])
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        return ""
    width, height = struct.unpack(">II", head[16:24])
    return f' width="{width}" height="{height}"'


def navigation(nav: Any) -> dict[str, Any]:
    """Bring links into one form: up (all months, this month), pages, previous, next, glossary."""
    if isinstance(nav, Mapping):
        links = {k: dict(v) for k, v in nav.items() if k != "pages" and v}
        up = [links[k] for k in ("home", "month") if k in links]
        pages = [dict(p) for p in nav.get("pages", [])]
        others = {k: links.get(k) for k in ("previous", "next", "glossary")}
        return {"up": up, "pages": pages, **others}
    links = [dict(link) for link in nav]
    glossary = next((link for link in links if link["href"] == GLOSSARY), None)
    links = [link for link in links if link["href"] != GLOSSARY]
    pages = [link for link in links if not link["href"].endswith("index.html")]
    up = [link for link in links if link["href"].endswith("index.html")]
    here = next((i for i, link in enumerate(pages) if link.get("current")), None)
    before = pages[here - 1] if here else None
    after = pages[here + 1] if here is not None and here + 1 < len(pages) else None
    return {"up": up, "pages": pages, "previous": before, "next": after, "glossary": glossary}


def about_rows(about: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """Give what a page says about itself, without what is empty."""
    return [(inline(k), inline(v)) for k, v in (about or {}).items() if inline(v)]


# -- engines ---------------------------------------------------------------------------------


@functools.cache
def _exporter() -> Any:
    from nbconvert.exporters.html import HTMLExporter
    from traitlets.config import Config

    kinds = ["text/html", "text/markdown", "image/png", "text/plain"]
    config = Config({"NbConvertBase": {"display_data_priority": kinds}})
    exporter = HTMLExporter(
        config=config, template_name="report", extra_template_basedirs=[str(TEMPLATES)]
    )
    exporter.register_filter("alt_text", alt_text)
    exporter.register_filter("image_size", image_size)
    return exporter


@functools.cache
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES / "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["image_size"] = image_size
    return environment


def rendered(template: str, *, page: Mapping, **values: object) -> str:
    """Fill a template that is no notebook's: every value is escaped."""
    text = _environment().get_template(template).render(page=page, **values)
    return text.rstrip("\n") + "\n"
