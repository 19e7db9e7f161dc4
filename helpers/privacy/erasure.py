"""Taking ids out of any file that is not read as a table: pages, notebooks, lists, leftovers.

An id counts where it stands as a word of its own (`helpers.persons.words`). Ids too short to be
told from other words are looked for only in CSV columns that are named after customers, since pages
hold no customer rows to begin with. Text is searched as a reader would see it: unpacked from gzip,
out of the escapes of JSON and HTML, and out of base64 where that holds text.
"""

import base64
import binascii
import csv
import gzip
import io
import json
import re
from collections.abc import Iterable
from pathlib import Path

from helpers.files import replaced
from helpers.persons.keys import FORGOTTEN
from helpers.persons.words import Words
from helpers.privacy.redaction import names_a_person

_ENCODED = re.compile(
    r"(?:[A-Za-z0-9+/]{76}\n)+[A-Za-z0-9+/]*={0,2}|[A-Za-z0-9+/]{16,}={0,2}", re.ASCII
)
_PICTURES = ("iVBOR", "/9j/", "R0lGOD", "PHN2Zy")
_JSON, _TABLES = (".json", ".ipynb"), (".csv", ".tsv")


def erase(path: Path, words: Words) -> int:
    """Replace the ids in one file by ``forgotten``; give how many places were changed.

    A file that holds no text (a picture) is left as it is.
    """
    before = path.read_bytes()
    after, found = _content(path.name.lower(), before, words)
    if found:
        with replaced(path) as part:
            part.write_bytes(after)
    return found


def is_text(path: Path) -> bool:
    """Say whether a file can be searched as text, plain or in gzip."""
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opener(path, "rb") as file:
            start = file.read(8192)
    except (OSError, EOFError):
        return False
    return b"\0" not in start and not start.startswith(b"PK\x03\x04")


def without_rows(path: Path, ids: Iterable[str]) -> int:
    """Take the rows of customers out of a list (CSV with a column customer_id); give how many."""
    ids = set(ids)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    if not rows or "customer_id" not in rows[0]:
        return 0
    place = rows[0].index("customer_id")
    kept = [row for row in rows[1:] if len(row) <= place or _unescaped(row[place]) not in ids]
    gone = len(rows) - 1 - len(kept)
    if gone:
        with replaced(path) as part, part.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([rows[0], *kept])
    return gone


def _unescaped(cell: str) -> str:
    """Take off the apostrophe that keeps a spreadsheet from taking a cell for a formula."""
    return cell.strip().removeprefix("'")


def _content(name: str, content: bytes, words: Words) -> tuple[bytes, int]:
    if name.endswith(".gz"):
        try:
            plain = gzip.decompress(content)
        except (OSError, EOFError):
            return content, 0
        after, found = _content(name.removesuffix(".gz"), plain, words)
        return (gzip.compress(after, mtime=0), found) if found else (content, 0)
    if b"\0" in content[:8192]:
        return content, 0
    try:
        text, encoding = content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        text, encoding = content.decode("latin-1"), "latin-1"
    found = 0
    if name.endswith(_TABLES):
        text, found = _cells(text, words)
    if name.endswith(_JSON):
        try:
            return _json(json.loads(text), words, content)
        except ValueError:
            pass  # Not JSON after all: searched as plain text.
    text, more = _replaced(text, words)
    return (text.encode(encoding), found + more) if found + more else (content, 0)


def _json(value: object, words: Words, content: bytes) -> tuple[bytes, int]:
    found = 0

    def walked(part: object) -> object:
        nonlocal found
        if isinstance(part, str):
            text, more = _replaced(part, words)
            found += more
            return text
        if isinstance(part, list):
            return [walked(each) for each in part]
        if isinstance(part, dict):
            return {walked(key): walked(each) for key, each in part.items()}
        if isinstance(part, int) and not isinstance(part, bool) and str(part) in words.long:
            found += 1
            return FORGOTTEN
        return part

    after = walked(value)
    text = json.dumps(after, indent=1, ensure_ascii=False)
    return (f"{text}\n".encode(), found) if found else (content, 0)


def _replaced(text: str, words: Words, *, inside: bool = False) -> tuple[str, int]:
    """Replace ids in a text, and in text that it holds as base64."""
    pattern, found = words.pattern(text), 0
    if pattern:
        text, found = pattern.subn(FORGOTTEN, text)
    if inside:
        return text, found

    def decoded(match: re.Match) -> str:
        nonlocal found
        if match[0].startswith(_PICTURES):
            return match[0]
        try:
            held = base64.b64decode(match[0].replace("\n", ""), validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            return match[0]
        after, more = _replaced(held, words, inside=True)
        found += more
        return base64.b64encode(after.encode()).decode() if more else match[0]

    return _ENCODED.sub(decoded, text), found


def _cells(text: str, words: Words) -> tuple[str, int]:
    """Replace ids in the columns of a CSV that are named after customers, whatever their length."""
    first = text.partition("\n")[0]
    delimiter = max(",;\t|", key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error:
        return text, 0
    places = [place for place, name in enumerate(rows[0]) if names_a_person(name)] if rows else []
    found = 0
    for row in rows[1:]:
        for place in places:
            if place < len(row) and _unescaped(row[place]) in words.every:
                row[place] = FORGOTTEN
                found += 1
    if not found:
        return text, 0
    out = io.StringIO(newline="")
    end = "\r\n" if first.endswith("\r") else "\n"
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows(rows)
    return out.getvalue(), found
