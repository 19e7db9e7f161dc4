"""The analyst's notes: a short text for a month, kept in the shop's folder and shown on its page.

A note is ``notes/<month>.md`` beside shop.toml. It is an input like any file: what it says joins
the key of the scorecard, and `forget` searches it. It is Markdown, but only a few of its forms are
kept; everything else is shown as the characters it is made of, so that nothing in a note is ever
loaded, run, or taken for a part of the page.

Imports stay light (no engine, no pandas): a run reads notes to know whether anything changed.
"""

import os
import re
from dataclasses import asdict
from pathlib import Path

from helpers.contract.shop import ROOT, Shop
from helpers.errors import DataError
from helpers.records import digest, reports_folder, shift_month, work_folder

FOLDER = "notes"
MOST = 6000  # characters: about two pages
_LINKS = re.compile(r"(?:https?://|mailto:)[^\s<>()\"'\\]+", re.IGNORECASE)
# Signs inside a word mean nothing to Markdown, and ids keep the form in which `forget` finds them.
_INNER = re.compile(r"(?<=[^\W_])[-_.:/@'+=%](?=[^\W_])")


def path(shop: Shop, month: str) -> Path:
    """Say where the note of a month is."""
    return shop.folder / FOLDER / f"{shift_month(month, 0)}.md"


def where(shop: Shop, month: str) -> str:
    """Name the note of a month for a reader, without a folder of this machine."""
    return f"{shop.folder.name}/{FOLDER}/{month}.md"


def read(shop: Shop, month: str) -> str:
    """Read the note of a month; empty where there is none.

    Raises DataError if it is not UTF-8 text, or leads out of the shop's folder.
    """
    file = path(shop, month)
    if not file.is_file():
        return ""
    if not file.resolve().is_relative_to(shop.folder.resolve()):
        raise DataError(
            f"{where(shop, month)} is a link that leads out of the shop's folder; put the note "
            "itself there."
        )
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{where(shop, month)} is not UTF-8 text; save it as UTF-8.") from None
    return text.replace("\0", "").strip()


def inputs_digest(shop: Shop, month: str) -> str:
    """Give the digest of what the scorecard alone reads: notes of two months, alerts, targets."""
    texts = [read(shop, each) for each in (month, shift_month(month, -1))]
    return digest([*texts, asdict(shop.alerts), shop.targets])


def check_unchanged(shop: Shop, month: str) -> None:
    """Raise DataError if notes, alerts or targets are no longer those that the run began with."""
    expected = os.environ.get("LTV_NOTES")
    if expected and expected != inputs_digest(shop, month):
        raise DataError(
            f"{shop.name}: notes or shop.toml changed while the run was going on; run again."
        )


def shown(shop: Shop, month: str) -> str:
    """Give the note of a month as Markdown that is safe to show; empty where there is none.

    Kept are paragraphs, headings (all of the third level), lists, quotes, stress, rules and links
    to http, https and mailto. Everything else is written out as text. Beyond ``MOST`` characters
    the note is cut, with a sentence that says so.
    """
    text = _without_places(read(shop, month), shop)
    if not text:
        return ""
    found = safe(text[:MOST])
    if len(text) > MOST:
        found += f"\n\n*The note goes on; it is shown up to its first {MOST} characters.*"
    return found


def plan(shop: Shop, month: str) -> str:
    """Give the plan that is written in a month's note, or say where it is to be written.

    What was planned a month ago stands below it, so that one is held against the other.
    """
    now, before = shown(shop, month), shown(shop, shift_month(month, -1))
    text = now or missing(shop, month)
    return f"{text}\n\n### What was planned a month ago\n\n{before}" if before else text


def missing(shop: Shop, month: str) -> str:
    """Say where a plan is to be written."""
    return (
        f"Nothing is written yet. The plan for the next cycle belongs in `{where(shop, month)}`: "
        "what you will do, whom it is for, which figure should move by how much, and when you "
        "will look. Then run the month again."
    )


def _without_places(text: str, shop: Shop) -> str:
    """Take folders of this machine out of a text; a page that names one is not published."""
    places = (shop.folder, reports_folder(), work_folder(), ROOT, Path.home())
    for place in sorted({str(place) for place in places}, key=len, reverse=True):
        if place != Path(place).anchor:
            text = text.replace(place, "…")
    return text


def safe(markdown: str) -> str:
    """Write Markdown anew from its parts, letting through only forms that can do no harm."""
    import mistune

    blocks = mistune.create_markdown(renderer="ast")(markdown)
    return "\n\n".join(part for part in map(_block, blocks) if part)


def escaped(text: str) -> str:
    """Write characters so that they are shown and never obeyed, in Markdown, HTML and formulas.

    >>> escaped("<b> C-0001 *x*")
    '&#60;b&#62; C-0001 &#42;x&#42;'
    """
    kept = {match.start() for match in _INNER.finditer(text)}
    return "".join(
        c
        if c.isalnum() or not c.isascii() or c in " ," or i in kept
        else " "
        if c.isspace()
        else f"&#{ord(c)};"
        for i, c in enumerate(text)
    )


def _block(node: dict) -> str:
    kind, inner = node["type"], node.get("children", [])
    if kind in ("paragraph", "block_text"):
        return _inline(inner)
    if kind == "heading":
        return f"### {_inline(inner)}"
    if kind == "thematic_break":
        return "***"
    if kind == "block_quote":
        return _indented(_blocks(inner), "> ", "> ")
    if kind == "list":
        start = node.get("attrs", {}).get("start") or 1
        ordered = node.get("attrs", {}).get("ordered")
        marks = [f"{start + i}. " if ordered else "- " for i in range(len(inner))]
        items = zip(marks, inner, strict=True)
        return "\n".join(
            _indented(_blocks(each.get("children", [])), mark, " " * len(mark))
            for mark, each in items
        )
    if kind == "blank_line":
        return ""
    # Code, raw HTML and whatever else: its lines as they are written.
    lines = str(node.get("raw", "")).splitlines()
    return "  \n".join(escaped(line) for line in lines if line.strip())


def _blocks(nodes: list[dict]) -> str:
    return "\n\n".join(part for part in map(_block, nodes) if part)


def _indented(text: str, first: str, others: str) -> str:
    lines = text.split("\n")
    return "\n".join([first + lines[0], *(others + line for line in lines[1:])])


def _inline(nodes: list[dict]) -> str:
    return "".join(map(_part, nodes))


def _part(node: dict) -> str:
    kind, inner = node["type"], node.get("children", [])
    if kind in ("strong", "emphasis"):
        mark = "**" if kind == "strong" else "*"
        text = _inline(inner)
        return f"{mark}{text}{mark}" if text.strip() == text and text else text
    if kind == "link":
        target, text = node.get("attrs", {}).get("url", ""), _inline(inner)
        return f"[{text}]({target})" if _LINKS.fullmatch(target) else text
    if kind == "image":
        return _inline(inner)
    if kind == "linebreak":
        return "  \n"
    if kind == "softbreak":
        return "\n"
    return escaped(str(node.get("raw", "")))
