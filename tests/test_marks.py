"""What several rows show together is what a plain look at all of them shows."""

from collections import defaultdict

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.cleaning import marks

CONTENT = ("order_id", "line_id", "customer_id", "product_id", "quantity", "revenue", "is_refund")
SCHEMA = {
    "_file": "int64", "_row": "int64", "order_id": "string", "line_id": "string",
    "customer_id": "string", "product_id": "string", "quantity": "float64", "revenue": "int64",
    "is_refund": "boolean", "unreadable": "int64", "order_date": "date", "refunded_date": "date",
}  # fmt: skip
TAKEN = 9  # the file whose rows stand for those that rules took out


class Looker:
    """Runs the functions of `helpers.cleaning.marks` on rows; each query is made once."""

    def __init__(self):
        self.con = ibis.duckdb.connect()
        self.con.create_table("rows", schema=SCHEMA)
        rows = self.con.table("rows")
        key, bare_key = marks.line_key(SCHEMA), marks.line_key({*SCHEMA} - {"line_id"})
        odd = marks.odd_orders(rows, key)
        twice = marks.same_lines(rows, odd, key)
        bare = rows.drop("line_id")
        bare_twice = marks.same_lines(bare, marks.odd_orders(bare, bare_key), bare_key)
        again, cut = marks.overlaps(rows, odd)
        found = {
            "copies": marks.copies(rows, twice),
            "bare_copies": marks.copies(bare, bare_twice),
            "same_keys": marks.same_keys(rows, twice),
            "again": again,
            "cut": cut,
            "of_two": marks.of_two_customers(rows, odd),
            "lines": marks.lines_per_customer(
                marks.people(rows), rows.filter(rows["_file"] == TAKEN)
            ),
        }
        self.queries = {name: ibis.to_sql(table, dialect="duckdb") for name, table in found.items()}

    def __call__(self, rows: list[dict], what: str) -> list[tuple]:
        self.con.raw_sql("DELETE FROM rows")
        values = ", ".join("?" * len(SCHEMA))
        told = [tuple(row.get(column) for column in SCHEMA) for row in rows]
        self.con.con.executemany(f"INSERT INTO rows VALUES ({values})", told)
        return sorted(self.con.con.execute(self.queries[what]).fetchall())


@pytest.fixture(scope="module")
def look():
    return Looker()


@st.composite
def tables(draw) -> list[dict]:
    """Draw rows of a few orders in three files, alike more often than not."""
    one = st.fixed_dictionaries(
        {
            "order_id": st.sampled_from(["1", "2", "3", "4", None]),
            "line_id": st.sampled_from(["1", "2", None]),
            "customer_id": st.sampled_from(["a", "a", "a", "b", None]),
            "product_id": st.sampled_from(["p", "q", None]),
            "quantity": st.sampled_from([1.0, 2.0, None]),
            "revenue": st.sampled_from([100, 100, 200, None]),
            "is_refund": st.sampled_from([False, False, False, True]),
            "unreadable": st.integers(0, 1),
        }
    )
    rows = draw(st.lists(st.tuples(st.integers(0, 2), one), min_size=1, max_size=40))
    return [{"_file": file, "_row": row, **values} for row, (file, values) in enumerate(rows, 1)]


def _place(row: dict) -> tuple[int, int]:
    return row["_file"], row["_row"]


def _content(row: dict, without: tuple = ()) -> tuple:
    return row["_file"], *(row[name] for name in CONTENT if name not in without)


quick = settings(deadline=None, derandomize=True, max_examples=150, database=None)


@quick
@given(tables())
def test_copies_are_all_but_the_first_of_rows_alike_in_every_column(look, rows):
    for what, without in (("copies", ()), ("bare_copies", ("line_id",))):
        seen, expected = set(), []
        for row in rows:
            content = _content(row, without)
            expected += [_place(row)] if content in seen else []
            seen.add(content)
        assert look(rows, what) == sorted(expected)


@quick
@given(tables())
def test_a_key_that_is_none_belongs_to_rows_that_say_different_things(look, rows):
    said = defaultdict(set)
    key = lambda row: (row["_file"], row["order_id"], row["line_id"])  # noqa: E731
    for row in rows:
        said[key(row)].add(_content(row))
    expected = [
        _place(row) for row in rows
        if row["line_id"] is not None and row["order_id"] is not None and len(said[key(row)]) > 1
    ]  # fmt: skip
    assert look(rows, "same_keys") == sorted(expected)


def _line(row: dict) -> tuple:
    content = (row["product_id"], row["quantity"], row["revenue"])
    own = (None,) * 3 if row["line_id"] is not None else content
    back = (row["revenue"],) if row["is_refund"] else ()
    return row["order_id"], row["line_id"], row["is_refund"], *own, *back


@quick
@given(tables())
def test_orders_in_several_files_count_as_the_last_file_has_them(look, rows):
    files, sold_in, lines = defaultdict(set), defaultdict(set), defaultdict(set)
    for row in rows:
        if row["order_id"] is not None:
            files[row["order_id"]].add(row["_file"])
            if not row["is_refund"]:
                sold_in[row["order_id"]].add(row["_file"])
            lines[_line(row)].add(row["_file"])
    again = {line[0] for line, where in lines.items() if len(where) > 1}
    told = [row for row in rows if len(files.get(row["order_id"], ())) > 1]
    twice = [
        _place(row) for row in told
        if row["order_id"] in again and row["_file"] < max(files[row["order_id"]])
    ]  # fmt: skip
    # A refund in a later file than its sale is no cut.
    cut = [
        _place(row) for row in told
        if row["order_id"] not in again and len(sold_in[row["order_id"]]) > 1
    ]  # fmt: skip
    assert look(rows, "again") == sorted(twice)
    assert look(rows, "cut") == sorted(cut)


@quick
@given(tables())
def test_orders_of_two_customers(look, rows):
    people = defaultdict(set)
    for row in rows:
        if row["customer_id"] is not None:
            people[row["order_id"]].add(row["customer_id"])
    expected = [
        _place(row) for row in rows
        if row["order_id"] is not None and len(people[row["order_id"]]) > 1
    ]  # fmt: skip
    assert look(rows, "of_two") == sorted(expected)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ({"till": 201, **{f"c{n}": 3 for n in range(40)}}, [("till", 201)]),
        ({"till": 200, **{f"c{n}": 3 for n in range(40)}}, []),
        (
            {"till": 400, "web": 300, **{f"c{n}": 2 for n in range(40)}},
            [("till", 400), ("web", 300)],
        ),
        ({"till": 400, **{f"c{n}": 20 for n in range(40)}}, []),
        ({"till": 401, **{f"c{n}": 20 for n in range(40)}}, [("till", 401)]),
        ({"till": 900, "web": 800, "fair": 700}, []),
    ],
)
def test_an_id_is_busy_beside_others_that_are_not(look, lines, expected):
    """Of three ids nobody can say which is busy; a fourth busy one would hide three others."""
    people = [name for name, number in lines.items() for _ in range(number)]
    blank = dict.fromkeys(SCHEMA)
    rows = [
        {**blank, "_file": 0, "_row": n, "customer_id": name} for n, name in enumerate(people, 1)
    ]
    gone = [{**row, "_file": TAKEN} for row in rows if row["customer_id"] in ("c1", "c2")]
    again = [{**row, "_file": TAKEN} for row in rows]
    told = look(rows + again, "lines")
    assert told == look(rows, "lines")
    kept = look([row for row in rows if row["customer_id"] not in ("c1", "c2")] + gone, "lines")
    assert sum(ids for _, ids in kept) == len({*lines} - {"c1", "c2"})
    assert sum(ids for _, ids in told) == len(lines)
    found = marks.busy_lines(pd.DataFrame(told, columns=["rows", "ids"]))
    assert found == sum(number for _, number in expected)
