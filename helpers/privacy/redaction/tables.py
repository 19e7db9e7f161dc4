"""Taking persons out of Parquet files and workbooks, whose cells have types."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ibis.expr import types as ir

from helpers.contract.settings import Source
from helpers.files import replaced
from helpers.persons import keys as persons
from helpers.persons.keys import FORGOTTEN
from helpers.persons.words import is_short
from helpers.privacy.redaction.rows import Found, Gone, Plan, PlanOf, chunks, held_by, redact_rows

_NUMBER = "file_row_number"


@dataclass(frozen=True)
class _Marks:
    """Tests of a row (of its own customer, of any person it is about), and what cells become.

    ``new`` has, by column, a test of the cell and its new value.
    """

    own: ir.BooleanValue
    about: ir.BooleanValue
    new: dict[int, tuple[ir.BooleanValue, ir.Value]]


def redact_parquet(path: Path, layout_of: PlanOf, gone: Gone, *, write: bool) -> Found:
    """Take forgotten persons out of a Parquet file, in the engine; other columns keep their types.

    A column of customers that are numbers becomes one of texts.
    """
    table = gone.con.read_parquet(str(path), file_row_number=True)
    names = [name for name in table.columns if name != _NUMBER]
    layout, found = layout_of(names), Found()
    table, marks = _marks(table, names, layout, gone, found)
    anyone = marks.own
    for mark, _ in marks.new.values():
        anyone = anyone | mark
    found.rows = int(gone.con.execute(table.select(n=anyone.cast("int64")).n.sum()) or 0)
    if not found.rows:
        return found
    if write:
        new = table.mutate(**_redacted(table, names, layout, marks)).order_by(_NUMBER)
        with replaced(path) as part:
            # A file of the engine's own beside the part would not be cleared away.
            gone.con.to_parquet(new.select(names), str(part), use_tmp_file=False)
    return found


def _marks(
    table: ir.Table, names: list[str], layout: Plan, gone: Gone, found: Found
) -> tuple[ir.Table, _Marks]:
    """Find the cells that change; what texts become is joined to the table as columns."""
    import ibis
    import pyarrow as pa

    kinds, changes, numbers = table.schema(), {}, {}
    ids = ibis.memtable(pa.table({"id": pa.array(sorted(gone.ids), pa.string())}))
    long = ids.filter(ids.id.isin([each for each in gone.ids if not is_short(each)]))
    for place, name in enumerate(names):
        kind = kinds[name]
        if place in layout.own:
            continue
        if kind.is_string() or not (kind.is_numeric() or kind.is_temporal() or kind.is_boolean()):
            if texts := _texts(table[name], ids, gone):
                changes[place] = texts
        elif place in layout.other or (place in layout.searched and kind.is_integer()):
            among = long if place in layout.loose else ids
            numbers[place] = persons.to_id(table[name]).isin(among.id).fill_null(False)
            found.ids |= _met(gone, table[name])
    for place, texts in changes.items():
        table = _with_changes(table, names[place], place, texts, layout, gone, found)
    own = ibis.literal(False)
    if layout.own:
        parts = [table[names[place]] for place in layout.own]
        text = persons.to_id(parts[0]) if len(parts) == 1 else _dashed(parts)
        own = text.isin(ids.id).fill_null(False)
        found.ids |= _met(gone, text)
    about, new = own, {}
    for place in changes:
        mark, value = table[f"new__{place}"].notnull(), table[f"new__{place}"]
        about = about | table[f"about__{place}"].fill_null(False)
        text = kinds[names[place]].is_string()
        new[place] = (mark, value if text else ibis.null(kinds[names[place]]))
    for place, mark in numbers.items():
        about = about | mark if place in layout.searched else about
        new[place] = (mark, FORGOTTEN if place in layout.other else ibis.null(kinds[names[place]]))
    return table, _Marks(own, about, new)


def _texts(column: ir.Column, ids: ir.Table, gone: Gone) -> set[str]:
    """Give the few different texts of a column that are an id, or hold a word of one."""
    import ibis
    import pyarrow as pa

    table = column.cast("string").name("text").as_table().filter(ibis._.text.notnull()).distinct()
    is_id = table.filter(persons.to_id(table.text).isin(ids.id))
    rarest = ibis.memtable(pa.table({"word": pa.array(sorted(gone.sought.rarest), pa.string())}))
    words = table.select("text", word=table.text.lower().re_split(r"[^\p{L}\p{N}_]+").unnest())
    near = words.semi_join(rarest, "word").select("text")
    every = ibis.union(is_id, near, distinct=True)
    return set(gone.con.to_pyarrow(every).column("text").to_pylist())


def _with_changes(
    table: ir.Table, name: str, place: int, texts: set[str], layout: Plan, gone: Gone, found: Found
) -> ir.Table:
    """Join what each of a column's texts becomes, and whether it tells who the row is about."""
    import ibis
    import pyarrow as pa

    held = held_by(gone, texts, texts if place in layout.typed else set())
    new = {text: layout.instead(place, text, held, gone) for text in sorted(texts)}
    new = {text: value for text, value in new.items() if value is not None}
    found.ids |= {held.ids[text] for text in new if text in held.ids}
    columns = {
        f"old__{place}": pa.array([*new], pa.string()),
        f"new__{place}": pa.array([*new.values()], pa.string()),
        f"about__{place}": pa.array([layout.is_about(place, t, held) for t in new], pa.bool_()),
    }
    changes = ibis.memtable(pa.table(columns))
    return table.left_join(changes, table[name].cast("string") == changes[f"old__{place}"])


def _redacted(
    table: ir.Table, names: list[str], layout: Plan, marks: _Marks
) -> dict[str, ir.Column]:
    """Give the columns that change."""
    import ibis

    new, emptied = {}, dict.fromkeys(layout.emptied, marks.about)
    mine, none_before = ibis.literal(False), ibis.literal(True)
    for place in layout.contacts:
        if place in marks.new:
            mine = mine | (none_before & marks.new[place][0])
        none_before = none_before & table[names[place]].cast("string").nullif("").isnull()
    for place in layout.contacts:
        emptied[place] = mine | emptied.get(place, ibis.literal(False))
    for place, mark in emptied.items():
        column = table[names[place]]
        new[names[place]] = ibis.ifelse(mark, ibis.null(column.type()), column)
    for place, (mark, value) in marks.new.items():
        name = names[place]
        column = new.get(name, table[name])
        if place in layout.other and not column.type().is_string():
            column = persons.to_id(column)
        if place in emptied and column.type().is_string():
            mark = mark & (~emptied[place] | (value == FORGOTTEN))
        new[name] = ibis.ifelse(mark, value, column)
    for place in layout.own:
        column = table[names[place]]
        text = column if column.type().is_string() else persons.to_id(column)
        new[names[place]] = ibis.ifelse(marks.own, FORGOTTEN, text)
    return new


def _dashed(parts: list) -> ir.StringColumn:
    texts = [part.cast("string").strip().fill_null("") for part in parts]
    joined = texts[0]
    for text in texts[1:]:
        joined = joined + "-" + text
    return persons.to_id(joined)


def _met(gone: Gone, column: ir.Column) -> set[str]:
    every = persons.to_id(column).name("id").as_table().distinct()
    return gone.ids & set(gone.con.to_pyarrow(every).column("id").to_pylist())


def redact_workbook(
    path: Path, source: Source | None, layout_of: PlanOf, gone: Gone, *, write: bool
) -> Found:
    """Redact every sheet; a cell that held a number may become the text ``forgotten``.

    Formulas become the values that they had: values are what is read at ingest, and writing a
    workbook loses them.
    """
    from openpyxl import load_workbook

    book, found = load_workbook(path), Found()
    values = load_workbook(path, data_only=True)
    for sheet in book.worksheets:
        _settle(sheet, values[sheet.title])
        _redact_sheet(sheet, source, layout_of, gone, found)
        found.rows += _redact_beside(sheet, gone)
    found.rows += _redact_properties(book.properties, gone)
    if write and found.rows:
        with replaced(path) as part:
            book.save(part)
    return found


def _settle(sheet, values) -> None:
    """Put the values of formulas, where they are known, in the place of the formulas."""
    for row in sheet.iter_rows():
        for cell in row:
            if cell.data_type == "f" and values[cell.coordinate].value is not None:
                cell.value = values[cell.coordinate].value


def _redact_sheet(
    sheet, source: Source | None, layout_of: PlanOf, gone: Gone, found: Found
) -> None:
    given = list(source.names) if source else []
    above = (source.skip_rows if source else 0) + (0 if given else 1)
    rows = (list(row) for row in sheet.iter_rows())
    titles = list(islice(rows, above))
    header = given or [_shown(cell.value) for cell in (titles[-1] if titles else [])]
    layout = layout_of(header)
    _redact_cells(titles, Plan(), gone, found)
    for cells in chunks(rows):
        _redact_cells(cells, layout, gone, found)


def _redact_cells(cells: list[list], layout: Plan, gone: Gone, found: Found) -> None:
    values = [[_number(cell.value) for cell in row] for row in cells]
    before = [list(row) for row in values]
    redact_rows(values, layout, gone, found, None)
    for row, old, new in zip(cells, before, values, strict=True):
        for cell, was, now in zip(row, old, new, strict=True):
            if was is not now:
                cell.value = now


def _redact_beside(sheet, gone: Gone) -> int:
    """Take comments and links that hold an id off their cells; give how many."""
    from openpyxl.comments import Comment

    found = 0
    for row in sheet.iter_rows():
        for cell in row:
            note, link = cell.comment, cell.hyperlink
            said = {str(each) for each in (note.text, note.author) if each} if note else set()
            held = gone.sought.without(said)
            if held:
                cell.comment = Comment(
                    held.get(note.text, note.text), held.get(note.author, note.author)
                )
            to = (link.target, link.location, link.tooltip, link.display) if link else ()
            led = gone.sought.without({each for each in to if each})
            if led:
                cell.hyperlink = None
            found += bool(held or led)
    return found


_PROPERTIES = ("creator", "lastModifiedBy", "title", "subject", "description", "keywords")


def _redact_properties(properties, gone: Gone) -> int:
    """Take ids out of what a workbook says about itself."""
    said = {name: getattr(properties, name) or "" for name in _PROPERTIES}
    held = gone.sought.without({*said.values()})
    for name, text in said.items():
        if text in held:
            setattr(properties, name, held[text])
    return bool(held)


def _shown(value: object) -> str:
    return "" if value is None else str(value).strip()


def _number(value: object) -> object:
    """Give a whole number as such: a spreadsheet may hold the customer 12 as 12.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
