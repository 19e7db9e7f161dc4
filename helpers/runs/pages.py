"""Make the folder of a month from its executed notebooks: pages, tables, summary, index."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from helpers.contract.shop import ROOT
from helpers.errors import WorkbookError
from helpers.publishing.pages import GLOSSARY
from helpers.records import VARIANT, shift_month


@dataclass(frozen=True)
class Page:
    """One executed notebook of a month with what was harvested from it."""

    name: str
    title: str
    notebook: dict
    record: dict
    tables: object
    picture: Mapping | None = None

    @property
    def number(self) -> str:
        """Give the prefix of the page's tables: 05, or 05--spring for a further page."""
        notebook, variant, slug = self.name.partition(VARIANT)
        return f"{notebook[:2]}{variant}{slug}"


def read_page(name: str, notebook: dict) -> Page:
    """Take an executed notebook apart: title from its first heading, record, tables shown."""
    from helpers.publishing.notebook_files import harvest, normalize

    # A cached notebook may be in an older normal form.
    notebook = normalize(notebook)
    try:
        found = harvest(notebook)
    except WorkbookError as error:
        raise type(error)(f"{name}: {error}") from None
    title = first_heading(notebook) or name
    return Page(name, title, notebook, found.record or {}, found.tables, found.picture)


def first_heading(notebook: dict) -> str:
    """Give the text of a notebook's first top-level heading, or an empty text."""
    for cell in notebook["cells"]:
        for line in cell["source"].splitlines() if cell["cell_type"] == "markdown" else ():
            if line.startswith("# "):
                return line[2:].strip()
    return ""


def build_month(
    folder: Path, *, shop: object, month: str, pages: Sequence[Page], about: Mapping, before: Path
) -> dict:
    """Write all files of a month but the manifest into an empty folder; give the summary.

    ``before`` is the published folder of the month before, which may not exist. Raises
    WorkbookError if a file would name a folder of this machine.
    """
    from helpers.publishing.indexes import render_glossary, render_mail, render_month_index
    from helpers.publishing.notebook_files import write_notebook
    from helpers.publishing.pages import render_page

    shutil.rmtree(folder, ignore_errors=True)
    (folder / "notebooks").mkdir(parents=True)
    summary = summarize(shop, month, pages, before)
    for page in pages:
        write_notebook(page.notebook, folder / "notebooks" / f"{page.name}.ipynb")
        _write_tables(page, folder / "tables", folder / "tables-of-one")
        text = render_page(
            page.notebook,
            title=f"{page.title} · {shop.title}, {month}",
            nav=navigation(pages, page.name, summary["month_before"]),
            about=about,
            tables=f"tables/{page.number}_",
        )
        (folder / f"{page.name}.html").write_text(text, encoding="utf-8", newline="\n")
    listed = [
        {"href": f"{page.name}.html", "title": page.title, "picture": page.picture}
        for page in pages
    ]
    index = render_month_index(
        shop_title=shop.title,
        month=month,
        # The last notebook sums up the others, so it opens the month.
        pages=[listed[-1], *listed[:-1]],
        changes=summary["figures"],
        alerts=summary["alerts"],
        unchecked=summary["unchecked"],
        about=about,
        nav=navigation(pages, "", summary["month_before"]),
        currency=summary["currency"],
    )
    (folder / "index.html").write_text(index, encoding="utf-8", newline="\n")
    words = render_glossary(
        shop_title=shop.title,
        month=month,
        pages=listed,
        about=about,
        nav=navigation(pages, "glossary", summary["month_before"]),
    )
    (folder / GLOSSARY).write_text(words, encoding="utf-8", newline="\n")
    answers = [summary["answers"][-1], *summary["answers"][:-1]]
    letter = render_mail(shop_title=shop.title, summary=summary, answers=answers)
    (folder / "summary.html").write_text(letter, encoding="utf-8", newline="\n")
    text = json.dumps(summary, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    (folder / "summary.json").write_text(text, encoding="utf-8", newline="\n")
    refuse_private(folder, shop.folder, before.parent)
    return summary


def navigation(pages: Sequence[Page], current: str, earlier: str) -> list[dict]:
    """List the links of a page: all shops, the month before, the month, each page, the glossary.

    ``earlier`` is the month before where it was published, else an empty text.
    """
    links = [{"href": "../../index.html", "title": "All months", "current": False}]
    if earlier:
        href = f"../{earlier}/index.html"
        links.append({"href": href, "title": "The month before", "current": False})
    links.append({"href": "index.html", "title": "This month", "current": not current})
    links += [
        {"href": f"{page.name}.html", "title": page.title, "current": page.name == current}
        for page in pages
    ]
    return [*links, {"href": GLOSSARY, "title": "Glossary", "current": current == "glossary"}]


def summarize(shop: object, month: str, pages: Sequence[Page], before: Path) -> dict:
    """Give every headline figure of a month with its change against the month before.

    ``before`` and ``change`` are missing (null) where either month has no value; ``relative`` is
    the change as a share of the earlier value, missing if that is zero.
    """
    known = _figures_of(before)
    first = [page for page in pages if VARIANT not in page.name]
    figures = [
        {"notebook": page.name, **figure, **_change(figure, known.get((page.name, figure["name"])))}
        for page in first
        for figure in page.record.get("figures", [])
    ]
    currencies = [page.record["currency"] for page in first if "currency" in page.record]
    return {
        "shop": shop.name,
        "title": shop.title,
        "month": month,
        "month_before": shift_month(month, -1) if known else "",
        "currency": (currencies or [shop.currency])[0],
        "answers": [
            {
                "notebook": page.name,
                "question": page.title,
                "finding": (page.picture or {}).get("finding", ""),
            }
            for page in first
        ],
        "figures": figures,
        "alerts": [alert for page in first for alert in _alerts(page)],
        "unchecked": [
            text for page in first for text in page.record.get("extra", {}).get("unchecked", [])
        ],
    }


def refuse_private(folder: Path, *more: Path) -> None:
    """Refuse to publish a file that names a folder of this machine.

    Raises WorkbookError with the file's name.
    """
    kernels = Path(tempfile.gettempdir()) / "ipykernel"  # in the text of warnings
    places = (ROOT, Path.home(), Path(sys.prefix), folder, kernels, *more)
    places = {f"{place}{os.sep}" for place in places if place != Path(place.anchor)}
    # A path in JSON or HTML may have its separators escaped.
    forms = [form.encode() for place in places for form in (place, place.replace("\\", "\\\\"))]
    for path in sorted(folder.rglob("*")):
        if path.is_file() and any(form in path.read_bytes() for form in forms):
            raise WorkbookError(
                f"{path.relative_to(folder).as_posix()} names a folder of this machine, so the "
                "month was not published. Show names instead of paths in that notebook."
            )


def _figures_of(folder: Path) -> dict[tuple[str, str], dict]:
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {(figure["notebook"], figure["name"]): figure for figure in summary["figures"]}


def _change(figure: Mapping, earlier: Mapping | None) -> dict:
    value, before = figure.get("value"), (earlier or {}).get("value")
    if value is None or before is None or earlier["unit"] != figure["unit"]:
        return {"before": before, "change": None, "relative": None}
    change = value - before
    relative = change / abs(before) if before else None
    return {"before": before, "change": change, "relative": relative}


def _alerts(page: Page) -> list[dict]:
    alerts = page.record.get("extra", {}).get("alerts", [])
    texts = [alert if isinstance(alert, dict) else {"text": str(alert)} for alert in alerts]
    return [{"notebook": page.name, **alert} for alert in texts]


def _write_tables(page: Page, folder: Path, own: Path) -> None:
    """Write a notebook's tables as CSV, each name led by the notebook's number."""
    from helpers.publishing.notebook_files import write_tables

    folder.mkdir(exist_ok=True)
    own.mkdir()
    write_tables(page.tables, own)
    for path in sorted(own.iterdir()):
        path.rename(folder / f"{page.number}_{path.name}")
    own.rmdir()
