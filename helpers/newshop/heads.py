"""The header and the first rows of an export, before anything is known about it."""

import codecs
import glob
import gzip
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibis.expr import types as ir

from helpers import engines
from helpers.contract.conversions import to_text
from helpers.contract.shop import Shop, load_shop
from helpers.errors import DataError, UsageError, nearest
from helpers.newshop import names, written_toml
from helpers.sources import typed as sources

SAMPLE_ROWS = 10_000
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Head:
    """An export as it was opened: where it lies, its columns, all its rows, and the first ones.

    ``rows`` is lazy; ``sample`` holds the first 10,000 rows in the engine, every column that is
    not text already as the file types it. ``encoding`` is empty for UTF-8 and for Parquet. ``con``
    is an engine of the head's own, to be disconnected by whoever opened it.
    """

    files: tuple[str, ...]
    encoding: str
    columns: tuple[str, ...]
    rows: ir.Table
    sample: ir.Table
    con: Any

    @property
    def named(self) -> str:
        """The files as an error or a sentence calls them: their names without the folder."""
        return ", ".join(Path(file).name for file in self.files)


def found_files(given: str, *, option: str, folder: Path) -> str:
    """Give a path or pattern as an absolute pattern; looked for here, then in the shop's folder.

    Raises UsageError naming the option where no file matches.
    """
    path = Path(given).expanduser()
    for base in (Path.cwd(), folder):
        full = Path(os.path.abspath(base / path))
        if full.is_file():
            return glob.escape(full.as_posix())
        # Only what was given is a pattern; the folder it is looked for in is none.
        pattern = os.path.abspath(Path(glob.escape(str(base))) / path)
        if any(os.path.isfile(each) for each in glob.iglob(pattern, recursive=True)):
            return Path(pattern).as_posix()
    here = Path.cwd() / path.parent
    beside = [each.name for each in here.glob("*") if each.is_file()] if here.is_dir() else []
    what = "is a folder; name its files" if (Path.cwd() / path).is_dir() else "matches no file"
    raise UsageError(
        f"{option} {given} {what}: give a path, or a quoted pattern such as "
        f'"exports/orders-*.csv".{nearest(path.name, beside)}'
    )


def open_head(files: tuple[str, ...], *, encoding: str, scratch: Path) -> Head:
    """Open an export with the reader that the workbook uses for it, and hold its first rows.

    Raises DataError for a file that is empty or cannot be read. Nothing is written but below
    ``scratch``, an empty folder that must stay until the head is closed.
    """
    encoding = encoding or _encoding(files)
    folder = scratch / "export"
    folder.mkdir(parents=True)
    settings = {"files": files} | ({"encoding": encoding} if encoding else {})
    # Currency and zone play no part in reading; a shop cannot do without them.
    lines = ['currency = "EUR"', 'time_zone = "UTC"', "", "[tables.orders]"]
    lines += written_toml.settings(settings)
    (folder / "shop.toml").write_text("\n".join(lines), encoding="utf-8")
    shop = load_shop(str(folder))
    con = engines.files(shop)
    try:
        rows = _read(con, shop, scratch)
        with sources.readable(shop, "orders"):
            sample = con.create_table("sample", rows.limit(SAMPLE_ROWS), temp=True)
    except BaseException as error:
        engines.close(con)
        if isinstance(error, DataError):
            # The reader speaks of a shop that does not exist yet.
            raise DataError(str(error).removeprefix("export: ")) from None
        raise
    return Head(files, encoding, tuple(rows.columns), rows, sample, con)


def _read(con, shop: Shop, scratch: Path) -> ir.Table:
    """Read all rows of the export, lazily, as the workbook reads them."""
    rows = sources.read(con, shop, shop.sources["orders"][0], scratch)
    return rows.drop(*sources.PLACE)


def texts(head: Head, column: str) -> list[str]:
    """Give the values of a column in the sample as text, without the missing ones."""
    values = head.sample.select(value=to_text(head.sample[column]))
    return [*values.filter(values.value.notnull()).to_pandas()["value"]]


def _encoding(files: tuple[str, ...]) -> str:
    """Find the encoding of text files: UTF-8 (empty) wherever it fits, else the likeliest."""
    for pattern in files:
        for path in map(Path, sorted(glob.glob(pattern, recursive=True))):
            if path.name.lower().endswith((".csv", ".tsv", ".txt", ".gz")):
                found = _encoding_of(path)
                if found:
                    return found
    return ""


def _encoding_of(path: Path) -> str:
    opener = gzip.open if path.suffix == ".gz" else open
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with opener(path, "rb") as file:
            chunk = file.read(_CHUNK)
            if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return "utf-16"
            while chunk:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    return _one_byte(chunk)
                chunk = file.read(_CHUNK)
    except (OSError, EOFError):
        return ""  # the reader says what is wrong with the file
    return ""


def _one_byte(chunk: bytes) -> str:
    """Choose between Western and Cyrillic: accents stand alone in a word, Cyrillic letters do not.

    The header decides where it holds known names.
    """
    first = chunk.split(b"\n", 1)[0]
    known = {
        code: names.known_columns(
            "orders", re.split(r'[,;\t|"]+', first.decode(code, errors="replace"))
        )
        for code in ("cp1252", "cp1251")
    }
    if known["cp1251"] != known["cp1252"]:
        return max(known, key=known.get)
    runs = re.findall(rb"[\xc0-\xff]+", chunk)
    long = sum(len(run) for run in runs) > 2 * len(runs)
    return "cp1251" if long else "cp1252"
