"""Taking persons out of Parquet files and workbooks, whose cells have types."""

from dataclasses import dataclass
from pathlib import Path

from ibis.expr import types as ir

from helpers import persons
from helpers.files import replaced
from helpers.persons import FORGOTTEN
from helpers.redaction.rows import Found, Gone, Plan, chunks, is_short, plan, redact_rows
from helpers.settings import Source


@dataclass(frozen=True)
class _Marks:
    """Tests of a row: of its own customer, of any person it is about, and of single cells."""

    own: ir.BooleanValue
    about: ir.BooleanValue
    cells: dict[int, ir.BooleanValue]


def redact_parquet(path: Path, source: Source | None, gone: Gone, *, write: bool) -> Found:
    """Take forgotten persons out of a Parquet file, in the engine; other columns keep their types.

    A column of customers that are numbers becomes one of texts.
    """
    table = gone.con.read_parquet(str(path))
    names = list(table.columns)
    layout = plan(names, source)
    marks = _marks(table, layout, gone)
    anyone = marks.about
    for mark in marks.cells.values():
        anyone = anyone | mark
    found = Found(rows=int(gone.con.execute(anyone.cast("int64").sum()) or 0))
    if not found.rows:
        return found
    found.ids |= _met(gone, table, [names[place] for place in {*marks.cells, *layout.own}])
    if write:
        new = table.mutate(**_redacted(table, layout, marks))
        with replaced(path) as part:
            # A file of the engine's own beside the part would not be cleared away.
            gone.con.to_parquet(new, str(part), use_tmp_file=False)
    return found


def _marks(table: ir.Table, layout: Plan, gone: Gone) -> _Marks:
    import ibis
    import pyarrow as pa

    names, kinds = list(table.columns), table.schema()
    ids = ibis.memtable(pa.table({"id": pa.array(sorted(gone.ids), pa.string())}))
    long = ids.filter(ids.id.isin([each for each in gone.ids if not is_short(each)]))

    def is_one(place: int) -> ir.BooleanValue:
        column = persons.to_id(table[names[place]])
        among = long if place in layout.loose else ids
        return column.isin(among.id).fill_null(False)

    never = ibis.literal(False)
    own = never
    if layout.own:
        parts = [table[names[place]] for place in layout.own]
        text = persons.to_id(parts[0]) if len(parts) == 1 else _dashed(parts)
        own = text.isin(ids.id).fill_null(False)
    cells = {p: is_one(p) for p in layout.other if _can_be_id(kinds[names[p]], number=True)}
    cells |= {p: is_one(p) for p in layout.searched if _can_be_id(kinds[names[p]], number=False)}
    about = own
    for place in layout.searched:
        about = about | cells.get(place, never)
    return _Marks(own, about, cells)


def _redacted(table: ir.Table, layout: Plan, marks: _Marks) -> dict[str, ir.Column]:
    """Give the columns that change."""
    import ibis

    names, new = list(table.columns), {}
    for place in layout.emptied:
        column = table[names[place]]
        new[names[place]] = ibis.ifelse(marks.about, ibis.null(column.type()), column)
    for place, mark in (*marks.cells.items(), *((place, marks.own) for place in layout.own)):
        column = table[names[place]]
        value = new.get(names[place], column)
        if column.type().is_string():
            new[names[place]] = ibis.ifelse(mark, FORGOTTEN, value)
        elif place in layout.searched:
            new[names[place]] = ibis.ifelse(mark, ibis.null(column.type()), value)
        else:
            # A column of customers that are numbers becomes one of texts: it must say forgotten.
            new[names[place]] = ibis.ifelse(mark, FORGOTTEN, persons.to_id(column))
    return new


def _dashed(parts: list):
    texts = [part.cast("string").strip().fill_null("") for part in parts]
    joined = texts[0]
    for text in texts[1:]:
        joined = joined + "-" + text
    return persons.to_id(joined)


def _met(gone: Gone, table, columns: list[str]) -> set[str]:
    import ibis

    parts = [table.select(id=persons.to_id(table[name])) for name in columns]
    every = ibis.union(*parts, distinct=True) if len(parts) > 1 else parts[0].distinct()
    return gone.ids & set(gone.con.to_pyarrow(every).column("id").to_pylist())


def _can_be_id(kind, *, number: bool) -> bool:
    """Say whether a column can hold ids; one of decimals only where it is known to hold them."""
    return kind.is_string() or (kind.is_numeric() if number else kind.is_integer())


def redact_workbook(path: Path, source: Source | None, gone: Gone, *, write: bool) -> Found:
    """Redact every sheet; a cell that held a number may become the text ``forgotten``."""
    from openpyxl import load_workbook

    book, found = load_workbook(path), Found()
    for sheet in book.worksheets:
        _redact_sheet(sheet, source, gone, found)
    if write and found.rows:
        with replaced(path) as part:
            book.save(part)
    return found


def _redact_sheet(sheet, source: Source | None, gone: Gone, found: Found) -> None:
    rows = sheet.iter_rows(min_row=1 + (source.skip_rows if source else 0))
    header = list(source.names) if source else []
    header = header or [_shown(cell.value) for cell in next(rows, ())]
    layout = plan(header, source)
    for cells in chunks(list(row) for row in rows):
        values = [[_number(cell.value) for cell in row] for row in cells]
        before = [list(row) for row in values]
        redact_rows(values, layout, gone, found, None)
        for row, old, new in zip(cells, before, values, strict=True):
            for cell, was, now in zip(row, old, new, strict=True):
                if was is not now:
                    cell.value = now


def _shown(value: object) -> str:
    return "" if value is None else str(value).strip()


def _number(value: object) -> object:
    """Give a whole number as such: a spreadsheet may hold the customer 12 as 12.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
