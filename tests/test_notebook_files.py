"""Notebooks as files: parameters, the normal form, what is harvested, tables as CSV."""

import csv
import json

import nbformat
import pytest
from nbformat import v4
from papermill import inspect_notebook

from helpers.errors import DataError, UsageError
from helpers.publishing import notebook_files as files
from helpers.publishing import parameters

CELL = """shop: str = "sample"  # Shop under data/, or a folder
month: str = ""  # Month such as 2026-06
seed: int = 1  # Seed of all draws
rate: float = 0.1  # Yearly discount rate
strict: bool = False  # Refuse small groups
channels: list[str] = ["Email", "Direct"]  # Channels"""


def save(tmp_path, source, tags=("parameters",)):
    cell = v4.new_code_cell(source, metadata={"tags": list(tags)})
    path = tmp_path / "01_x.ipynb"
    nb = v4.new_notebook(cells=[v4.new_markdown_cell("# Q?"), cell])
    nb.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nb.metadata.language_info = {"name": "python"}
    nbformat.write(nb, path)
    return path


def test_parameters_are_what_papermill_sees(tmp_path):
    path = save(tmp_path, CELL)
    found = parameters.read_parameters(path)
    seen = inspect_notebook(path)
    assert list(found) == list(seen)
    for name, parameter in found.items():
        assert parameter.type == seen[name]["inferred_type_name"]
        assert parameter.help == seen[name]["help"]
        assert parameter.default == eval(seen[name]["default"])
    assert found["channels"].default == ["Email", "Direct"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x = 1  # help", "not a parameter"),
        ("x: int = 1", "its help"),
        ("x: int  # help", "lacks a value"),
        ("x: dict = {}  # help", "type dict"),
        ("x: int = 'a'  # help", "not of its type"),
        ("x: int = True  # help", "whole number"),
        ("x: int = seed + 1  # help", "not a literal"),
        ("x: str = 'a=b'  # help", "'=' or '#'"),
        ("x: list[str] = [\n  'a']  # help", "one line"),
        ("seed: int = 1  # help\nseed: int = 2  # help", "twice"),
        ("x: int = = 1", "not Python"),
        ("import os", "not a parameter"),
    ],
)
def test_malformed_parameters_are_refused(tmp_path, line, message):
    with pytest.raises(UsageError, match=message):
        parameters.read_parameters(save(tmp_path, line))


def test_missing_cell_and_broken_file_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no cell tagged 'parameters'"):
        parameters.read_parameters(save(tmp_path, CELL, tags=()))
    broken = tmp_path / "broken.ipynb"
    broken.write_text("{")
    with pytest.raises(UsageError, match="not a notebook"):
        parameters.read_parameters(broken)


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("int", "24", 24), ("int", " -3 ", -3), ("int", 5, 5),
        ("float", "0.5", 0.5), ("float", 2, 2.0), ("float", "1e-3", 0.001),
        ("bool", "True", True), ("bool", "false", False), ("bool", False, False),
        ("str", "0012", "0012"), ("str", "", ""),
        ("list[str]", "a, b", ["a", "b"]), ("list[str]", '["a, b"]', ["a, b"]), ("list[str]", "", []),
    ],
)  # fmt: skip
def test_coerce(kind, given, value):
    found = parameters.coerce(parameters.Parameter("p", kind, None, "h"), given)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("int", "2.0"), ("int", "1e3"), ("int", 2.0), ("int", True), ("int", ""), ("int", "1_000"),
        ("float", "nan"), ("float", "inf"), ("float", "x"), ("float", True), ("float", "1_0"),
        ("bool", "yes"), ("bool", 1), ("str", 3), ("list[str]", [1]), ("list[str]", "[1"), ("list[str]", None),
    ],
)  # fmt: skip
def test_coerce_refuses(kind, given):
    with pytest.raises(UsageError, match=r"^horizon = .*must be"):
        parameters.coerce(parameters.Parameter("horizon", kind, None, "h"), given)


def messy():
    """An executed notebook with all that papermill, nbclient and JupyterLab leave behind."""
    out = v4.new_output("execute_result", data={"text/plain": "1"}, execution_count=7)
    streams = [v4.new_output("stream", name="stdout", text=t) for t in ("a\n", "b\n")]
    cells = [
        v4.new_markdown_cell("# Q?", id="question"),
        v4.new_code_cell(
            "x = 1",
            id="0a1b2c3d",
            metadata={"tags": ["parameters"], "papermill": {"x": 1}},
            execution_count=3,
        ),
        v4.new_code_cell(
            "x = 2", id="f" * 8, metadata={"tags": ["injected-parameters"]}, execution_count=5
        ),
        v4.new_code_cell(
            "x",
            id="result",
            metadata={
                "execution": {"iopub.status.busy": "2026-07-01"},
                "slideshow": {"slide_type": "slide"},
            },
            execution_count=7,
            outputs=[out],
        ),
        v4.new_code_cell("print()", id="result2", execution_count=9, outputs=streams),
        v4.new_markdown_cell("error", metadata={"tags": ["papermill-error-cell-tag"]}),
        v4.new_code_cell("", id="empty"),
    ]
    nb = v4.new_notebook(cells=cells)
    nb.metadata = {
        "papermill": {"duration": 3},
        "language_info": {"name": "python", "version": "3.11"},
        "toc": {},
    }
    return nb


def test_normalize():
    given = messy()
    before = json.dumps(given)
    nb = files.normalize(given)
    nbformat.validate(nb)
    assert json.dumps(given) == before
    assert [c.id for c in nb.cells] == [
        "question",
        "cell-02",
        "injected-parameters",
        "result",
        "result2",
        "empty",
    ]
    assert [c.execution_count for c in nb.cells if c.cell_type == "code"] == [1, 2, 3, 4, None]
    assert nb.cells[3].outputs[0].execution_count == 3
    assert nb.cells[3].metadata == {"slideshow": {"slide_type": "slide"}}
    assert nb.cells[1].metadata == {"tags": ["parameters"]}
    assert [o.text for o in nb.cells[4].outputs] == ["a\nb\n"]
    assert set(nb.metadata) == {"kernelspec", "language_info"}
    assert nb.metadata.language_info == {"name": "python"}


def test_normalize_twice_changes_nothing_and_files_agree(tmp_path):
    once = files.normalize(messy())
    assert files.normalize(once) == once
    files.write_notebook(once, tmp_path / "a.ipynb")
    read = nbformat.read(tmp_path / "a.ipynb", as_version=4)
    files.write_notebook(files.normalize(read), tmp_path / "b.ipynb")
    content = (tmp_path / "a.ipynb").read_bytes()
    assert content == (tmp_path / "b.ipynb").read_bytes()
    assert content.endswith(b"}\n")
    assert not content.endswith(b"\n\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.ipynb", "b.ipynb"]


def test_plain_json_is_accepted(tmp_path):
    plain = json.loads(json.dumps(files.normalize(messy())))
    assert files.normalize(plain) == files.normalize(messy())
    files.write_notebook(plain, tmp_path / "a.ipynb")
    assert nbformat.read(tmp_path / "a.ipynb", as_version=4) == files.normalize(messy())


def test_write_keeps_the_old_file_if_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "a.ipynb"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        files.write_notebook(messy(), path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.ipynb"]


def test_digest_sees_sources_and_tags_only(tmp_path):
    def digest(change):
        nb = messy()
        change(nb)
        files.write_notebook(nb, tmp_path / "d.ipynb")
        return files.digest_cells(tmp_path / "d.ipynb")

    same = digest(lambda nb: None)
    assert digest(lambda nb: nb.cells[3].update(outputs=[], execution_count=None)) == same
    assert digest(lambda nb: nb.metadata.clear()) == same
    assert digest(lambda nb: nb.cells[3].update(source="x  # y")) != same
    assert digest(lambda nb: nb.cells[3].metadata.update(tags=["check"])) != same


def shown(kind, bundle):
    out = v4.new_output(
        "display_data", data={f"application/vnd.ltv.{kind}+json": bundle, "text/plain": "x"}
    )
    return v4.new_code_cell("show()", outputs=[out])


def table(name="t", rows=((1,),)):
    return {
        "name": name,
        "caption": "c",
        "unit": "",
        "columns": ["a"],
        "rows": [list(r) for r in rows],
    }


def test_harvest():
    figure = {"name": "a", "label": "A", "value": 1, "unit": "count"}
    cells = [
        shown("table", table("one")),
        shown("headline", {"currency": "EUR", "figures": [figure]}),
        shown("headline", {"currency": "EUR", "figures": [figure | {"name": "b"}]}),
        shown("table", table("two")),
        shown("table", table("one")),
        shown("record", {"shop": "s"}),
    ]
    found = files.harvest(v4.new_notebook(cells=cells))
    assert [t["name"] for t in found.tables] == ["one", "two"]
    assert [f["name"] for f in found.headline["figures"]] == ["a", "b"]
    assert found.record == {"shop": "s"}
    assert files.harvest(v4.new_notebook()) == files.Harvest()


def test_harvest_refuses_two_tables_of_one_name():
    cells = [shown("table", table("one")), shown("table", table("one", [(2,)]))]
    with pytest.raises(DataError, match="'one'"):
        files.harvest(v4.new_notebook(cells=cells))


FORMULAS = ["=cmd()", "+1", "-1+2", "@sum", "\t=x", "  =x", "＝x", "\n=x"]


def test_tables_as_csv(tmp_path):
    rows = [[f] for f in FORMULAS] + [[-1.5], [3.0], [None], [True], ['a,"b"\nc'], ["2026-01-01"]]
    written = files.write_tables([table("t", rows) | {"columns": ["=evil"]}], tmp_path / "tables")
    content = written[0].read_bytes()
    assert b"\r" not in content
    found = [
        row[0] if row else "" for row in csv.reader(content.decode().splitlines(keepends=True))
    ]
    assert found[0] == "'=evil"
    assert found[1 : len(FORMULAS) + 1] == [f"'{f}" for f in FORMULAS]
    assert found[len(FORMULAS) + 1 :] == ["-1.5", "3", "", "true", 'a,"b"\nc', "2026-01-01"]
    assert (
        files.write_tables([table("t", rows) | {"columns": ["=evil"]}], tmp_path)[0].read_bytes()
        == content
    )


def test_table_names_cannot_leave_the_folder(tmp_path):
    with pytest.raises(UsageError, match="file name"):
        files.write_tables([table("../x")], tmp_path)


def test_heading_above_and_find_error():
    error = v4.new_output("error", ename="DataError", evalue="\x1b[31mno rows\x1b[0m", traceback=[])
    cells = [
        v4.new_markdown_cell("# Title\n## **Who** comes back?\n```\n# not this\n```"),
        v4.new_code_cell("x"),
        v4.new_markdown_cell("no heading"),
        v4.new_code_cell("y", outputs=[error]),
    ]
    nb = v4.new_notebook(cells=cells)
    assert files.heading_above(nb, 3) == "Who comes back?"
    assert files.find_error(nb) == files.CellError("Who comes back?", "DataError", "no rows")
    assert files.find_error(v4.new_notebook(cells=cells[:3])) is None
    assert files.heading_above(v4.new_notebook(cells=cells[1:2]), 0) == ""
