"""Files of every accepted kind to what the engine can scan: headers, encodings, Excel, gzip.

A `Part` is one file (or sheet) as a piece of DuckDB's SQL with the columns that are wanted, the
place of its file, and the number of each row. Only formats that the engine cannot read are copied,
in bounded chunks, to a scratch folder.
"""

import codecs
import csv
import gzip
import re
import shutil
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from helpers.contract.settings import Source
from helpers.contract.shop import Shop
from helpers.engines.faults import sentence
from helpers.errors import DataError, UsageError
from helpers.sources.headers import wanted_columns

_TEXT_FILES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
_CHUNK_ROWS, _CHUNK_CHARACTERS = 200_000, 1 << 20
# A line may hold a whole web page in one cell; what is longer is an open quotation mark.
_LONGEST_LINE = 64 << 20


@dataclass(frozen=True)
class TextLayout:
    """How a text file is written: encoding, separator, names of its columns, end of its lines.

    ``names`` is empty where no line names columns.
    """

    encoding: str
    delimiter: str
    names: tuple[str, ...]
    line_end: str


@dataclass(frozen=True)
class Part:
    """What the engine scans: a FROM clause, the column for each name, and a row's number."""

    scan: str
    columns: dict[str, str]
    row: str

    def select(self, file: int) -> str:
        """Give the SELECT of this part: its columns, ``_file`` and ``_row``."""
        listed = [f"{column} AS {quoted(name)}" for name, column in self.columns.items()]
        return (
            f"SELECT {', '.join(listed)}, {file}::BIGINT AS _file, ({self.row})::BIGINT AS _row "
            f"FROM {self.scan}"
        )


def quoted(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def parts(path: Path, source: Source, shop: str, scratch: Path) -> list[Part]:
    """Give the parts of one file: one, or for Excel one a sheet.

    Raises DataError for a file that is empty, broken, or without the columns it must have.
    """
    if path.stat().st_size == 0:
        raise DataError(f"{shop}: {path.name} (table {source.table}) is empty.")
    kind = _kind(path, shop)
    if kind == "xlsx":
        from helpers.sources import workbooks

        copies = workbooks.to_parquet(path, source, shop, scratch)
        return [_parquet_part(copy, source, shop, path.name, row="_row") for copy in copies]
    if kind == "parquet":
        return [_parquet_part(path, source, shop, path.name)]
    if source.delimiter == "whitespace":
        return [_parquet_part(_stream(path, source, scratch), source, shop, path.name)]
    return [_text_part(path, source, shop, scratch)]


def _kind(path: Path, shop: str) -> str:
    name = path.name.lower()
    kinds = {"parquet": (".parquet", ".pq"), "xlsx": (".xlsx",), "text": _TEXT_FILES}
    for kind, ends in kinds.items():
        if name.endswith(ends):
            return kind
    mend = (
        " Open it in a spreadsheet program and save it as .xlsx or as CSV."
        if name.endswith((".xls", ".xlsb", ".xlsm", ".ods"))
        else ""
    )
    raise UsageError(
        f"{shop}: {path.name} is of a kind that is not read. Accepted: .parquet, .xlsx, "
        f"{', '.join(_TEXT_FILES)}.{mend}"
    )


def _parquet_part(path: Path, source: Source, shop: str, shown: str, row: str = "") -> Part:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = [name for name in pq.read_schema(path).names if name != "_row"]
    except (pa.ArrowInvalid, OSError):
        raise DataError(f"{shop}: {shown} is not a whole Parquet file; export it again.") from None
    wanted = wanted_columns(names, source, shop, shown)
    columns = {name: quoted(found) if found else "NULL" for name, found in wanted.items()}
    options = "" if row else ", file_row_number = true"
    return Part(f"read_parquet({_literal(path)}{options})", columns, row or "file_row_number + 1")


def _text_part(path: Path, source: Source, shop: str, scratch: Path) -> Part:
    """Give the scan of a text file.

    The header is read here and given to the engine, whose own detection would skip a header that
    does not fit the lines below it. Its columns get plain names, so that names which differ only
    in capitals, or columns nobody asks for, cause no trouble.
    """
    layout = text_layout(path, source, shop)
    names = layout.names
    if layout.encoding not in ("utf-8", "utf-8-sig"):
        path = _in_utf8(path, layout.encoding, source, scratch, shop)
    if not names:
        raise DataError(
            f"{shop}: {path.name} (table {source.table}) has no line that names columns."
        )
    wanted = wanted_columns(names, source, shop, path.name)
    # A single name is a title; what else is wrong with it is said where columns are looked for.
    if len(names) > 1:
        _check_surplus(path, layout.delimiter, len(names), source, shop)
    listed = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(names)))
    header = "false" if source.names else "true"
    scan = (
        f"read_csv({_literal(path)}, auto_detect = false, header = {header}, "
        f"delim = '{layout.delimiter}', quote = '\"', escape = '\"', columns = {{{listed}}}, "
        f"skip = {source.skip_rows}, max_line_size = {_LONGEST_LINE})"
    )
    columns = {
        name: f"c{names.index(found)}" if found else "NULL::VARCHAR"
        for name, found in wanted.items()
    }
    return Part(scan, columns, "row_number() OVER ()")


def _literal(path: Path) -> str:
    """Write a path for the engine, which takes stars and brackets in it for patterns."""
    escaped = re.sub(r"([*?[])", r"[\1]", str(path)).replace("'", "''")
    return f"'{escaped}'"


def opened(path: Path, *, like: Path | None = None, **options):
    """Open a file, packed by gzip if its name (or that of ``like``) says so."""
    return (gzip.open if (like or path).suffix == ".gz" else open)(path, **options)


def _check_whole(path: Path, shop: str) -> None:
    """Unpack a gzip file once: the engine takes one that is cut off for a shorter file."""
    try:
        with gzip.open(path) as file:
            while file.read(_CHUNK_CHARACTERS):
                pass
    except (OSError, EOFError, zlib.error):
        raise DataError(f"{shop}: {path.name} is not a whole gzip file; export it again.") from None


def _encoding(path: Path, source: Source, shop: str) -> str:
    """Give the encoding of a text file: that of shop.toml, or what its first bytes show."""
    with opened(path, mode="rb") as file:
        start = file.read(4096)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        name = codecs.lookup(source.encoding).name
    except LookupError:
        _refuse_encoding(path, source, shop)
    if name in ("utf-8", "utf-8-sig", "ascii"):
        if start.count(0) > len(start) / 8:
            wide = "utf-16-le" if start[1::2].count(0) > start[::2].count(0) else "utf-16-be"
            raise DataError(
                f"{shop}: {path.name} (table {source.table}) is not UTF-8; it looks like "
                f'encoding = "{wide}". Write that under [tables.{source.table}] in shop.toml.'
            )
        return "utf-8-sig" if start.startswith(codecs.BOM_UTF8) else "utf-8"
    return name


def _refuse_encoding(path: Path, source: Source, shop: str) -> None:
    raise DataError(
        f"{shop}: {path.name} cannot be read as {source.encoding} text; mend encoding under "
        f"[tables.{source.table}] in shop.toml."
    ) from None


def text_layout(path: Path, source: Source, shop: str) -> TextLayout:
    """Say how a text file is written, by shop.toml and by its header, below ``skip_rows`` lines.

    Unless shop.toml names the separator, it is the one that the header uses most.
    Raises DataError for a gzip file that is cut off and for an encoding that cannot be.
    """
    if path.suffix == ".gz":
        _check_whole(path, shop)
    encoding = _encoding(path, source, shop)
    options = {"mode": "rt", "encoding": encoding, "errors": "replace", "newline": ""}
    try:
        with opened(path, **options) as file:
            lines = [file.readline(_CHUNK_CHARACTERS) for _ in range(source.skip_rows + 1)]
            first = lines[-1]
            delimiter = source.delimiter or max(",;\t|", key=first.count)
            names = source.names or _first_record(first, file, delimiter)
    except (LookupError, UnicodeError):
        _refuse_encoding(path, source, shop)
    end = "\r\n" if first.endswith("\r\n") else "\n"
    return TextLayout(encoding, delimiter, tuple(name.strip() for name in names), end)


def _first_record(first: str, file, delimiter: str) -> tuple[str, ...]:
    """Split a header into names; it may go on in further lines, within quotation marks."""
    if delimiter == "whitespace":
        return tuple(name.strip('"') for name in re.findall(r'"[^"]*"|\S+', first))
    rest = (line for line in iter(lambda: file.readline(_CHUNK_CHARACTERS), ""))
    try:
        return tuple(next(csv.reader(_chained(first, rest), delimiter=delimiter), ()))
    except csv.Error:
        return ("",)


def _check_surplus(path: Path, delimiter: str, width: int, source: Source, shop: str) -> None:
    """Refuse a line with more fields than names, the surplus empty, unless all lines are so.

    The engine drops empty fields at the end of a line: where one before them was cut in two, by a
    decimal comma or a separator in a text, all that follows would move by a column unnoticed.
    """
    mark, skipped = delimiter.encode(), source.skip_rows + (0 if source.names else 1)
    lines = surplus = first = fields = 0
    is_open = False
    with opened(path, mode="rb") as file:
        for number, line in enumerate(file, 1):
            quotes, was_open = line.count(b'"'), is_open
            is_open ^= quotes % 2 == 1
            bare = line.rstrip(b"\r\n")
            if number <= skipped or was_open or is_open or not bare:
                continue
            lines += 1
            if bare.endswith(mark) and bare.count(mark) >= width:
                found = _fields(bare, delimiter) if quotes else bare.count(mark) + 1
                if found > width:
                    surplus, first, fields = surplus + 1, first or number, fields or found
    if 0 < surplus < lines:
        raise DataError(
            f"{shop}: {path.name} (table {source.table}) cannot be read at line {first}: "
            f"{_too_many(fields, width)}."
        )


def _fields(line: bytes, delimiter: str) -> int:
    return len(next(csv.reader([line.decode("utf-8", "replace")], delimiter=delimiter), ()))


def _too_many(fields: int | str, names: int | str) -> str:
    return (
        f"the line has {fields} fields, the header {names}. Mend the line, "
        "or put quotation marks around text that holds the separator"
    )


def _chained(first: str, rest):
    yield first
    yield from rest


def _in_utf8(path: Path, encoding: str, source: Source, scratch: Path, shop: str) -> Path:
    """Copy a text file into UTF-8 in bounded chunks, for the engine's own strict reader."""
    target = new_folder(scratch) / path.name.removesuffix(".gz")
    try:
        with (
            opened(path, mode="rt", encoding=encoding, newline="") as old,
            target.open("w", encoding="utf-8", newline="") as new,
        ):
            shutil.copyfileobj(old, new, _CHUNK_CHARACTERS)
    except UnicodeError:
        _refuse_encoding(path, source, shop)
    return target


def new_folder(scratch: Path) -> Path:
    """Make a folder of its own for a copy, which so keeps its file's name in messages."""
    folder = scratch / f"copy_{sum(1 for _ in scratch.glob('copy_*'))}"
    folder.mkdir(parents=True)
    return folder


def _stream(path: Path, source: Source, scratch: Path) -> Path:
    """Write a file whose fields stand apart by blanks to Parquet, in bounded chunks."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    options = {"names": list(source.names), "header": None} if source.names else {}
    target, writer = new_folder(scratch) / f"{path.name}.parquet", None
    try:
        chunks = pd.read_csv(
            path, sep=r"\s+", dtype="str", keep_default_na=False, index_col=False,
            encoding=source.encoding, chunksize=_CHUNK_ROWS, skiprows=source.skip_rows, **options,
        )  # fmt: skip
        for chunk in chunks:
            batch = pa.Table.from_pandas(chunk, preserve_index=False)
            writer = writer or pq.ParquetWriter(target, batch.schema)
            writer.write_table(batch.cast(writer.schema))
    except (LookupError, ValueError, OSError) as error:
        kind = type(error).__name__
        raise DataError(
            f"{path.name} cannot be read as {source.encoding} text in columns apart by blanks "
            f"({kind}); mend encoding, names or delimiter in shop.toml."
        ) from None
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise DataError(f"{path.name} has no rows.")
    return target


@contextmanager
def readable(shop: Shop, table: str):
    """Turn an engine's complaint about a file into a DataError that holds none of its content."""
    import duckdb

    try:
        yield
    except (duckdb.Error, UnicodeError) as error:
        if failed := sentence(shop, error):
            raise DataError(f"{shop.name}: {failed}") from None
        text = str(error)
        line = re.search(r"CSV Error on Line: (\d+)", text)
        file = re.search(r"^\s*file = (.+)$", text, re.MULTILINE)
        what = Path(file.group(1)).name if file else f"the files of table {table}"
        place = f"{what} (table {table})" if file else what
        at = f" at line {line.group(1)}" if line else ""
        raise DataError(
            f"{shop.name}: {place} cannot be read{at}: {_complaint(text, error)}."
        ) from None


def _complaint(text: str, error: Exception) -> str:
    fields = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
    if fields:
        return _too_many(fields.group(2), fields.group(1))
    for words, reason in {
        "nicode": 'the text is not UTF-8; name its encoding, such as encoding = "cp1252"',
        "utf-8": 'the text is not UTF-8; name its encoding, such as encoding = "cp1252"',
        "Maximum line size": "a line is longer than 64 MB: a quotation mark before it is open",
        "unterminated quote": "a quotation mark is opened and never closed, or stands inside text "
        "without being doubled; mend the line",
        "state machine": "its lines end in different ways, or a quotation mark is out of place; "
        "export it again",
        "onversion Error": "the query under its table meets a value that it cannot convert",
    }.items():
        if words in text:
            return reason
    return f"the engine could not read it ({type(error).__name__}); export it again"
