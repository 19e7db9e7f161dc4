"""Rules of the house for notebooks, cheap to check and worth keeping."""

import ast
import base64
import json
import re
from itertools import pairwise

import pytest

from helpers.contract.shop import ROOT
from helpers.publishing.notebook_files import harvest
from helpers.publishing.parameters import read_parameters
from helpers.records import read_notebook
from tests.cells import run_passes

PATHS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
TAGS = {
    "parameters",
    "setup",
    "headline",
    "record",
    "math",
    "aside",
    "exercise",
    "solution",
    "check",
}
CORE = [
    (
        "shop",
        "str",
        "sample",
        "name of a shop under data/, or the path of a folder with a shop.toml",
    ),
    ("month", "str", "", "month to report on, as 2026-06; empty for the last complete one"),
    ("seed", "int", 1, "seed of every random draw"),
]


# About nine questions of a reader, with sub-questions below them where a chapter has much to say; a
# sub-question costs a cell of its own, so a chapter may have twice the cells of a short one.
QUESTIONS, CELLS = 13, 90


def cells(path, kind=None):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [c for c in notebook["cells"] if kind in (None, c["cell_type"])]


def source(cell) -> str:
    return "".join(cell["source"])


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_readme_shows_its_first_picture(path):
    picture = base64.b64decode(harvest(read_notebook(path)).picture["png"])
    shown = ROOT / "docs" / "pictures" / f"{path.stem}.png"
    assert shown.read_bytes() == picture, "make refresh stores it"
    assert f"](docs/pictures/{path.stem}.png)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_there_are_six():
    assert [path.stem[:2] for path in PATHS] == ["01", "02", "03", "04", "05", "06"]


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)
class TestNotebook:
    def test_parameters(self, path):
        found = list(read_parameters(path).values())
        core = [(p.name, p.type, p.default, p.help) for p in found[:3]]
        assert core == CORE
        assert len(found) <= 8 and all(p.help for p in found)

    def test_parameters_are_what_papermill_sees(self, path):
        from papermill.inspection import inspect_notebook

        seen = inspect_notebook(str(path))
        assert {n: p["help"] for n, p in seen.items()} == {
            p.name: p.help for p in read_parameters(path).values()
        }

    def test_order_of_parts(self, path):
        every = cells(path)
        tags = [tag for cell in every for tag in cell["metadata"].get("tags", [])]
        assert tags == ["parameters", "setup", "headline", "record"]
        assert source(every[0]).startswith("# ") and source(every[0]).splitlines()[0].endswith("?")
        assert every[-1]["metadata"]["tags"] == ["record"]
        headings = [
            h for c in cells(path, "markdown") for h in re.findall(r"^## (.+)$", source(c), re.M)
        ]
        assert headings[-2:] == ["Can we trust this?", "Key ideas"]
        assert all(h.endswith("?") for h in headings[:-1])
        levels = re.findall(r"^(#+) (.+)$", "\n".join(map(source, cells(path, "markdown"))), re.M)
        assert all(len(marks) <= 3 for marks, _ in levels)
        assert all(text.endswith("?") for marks, text in levels if len(marks) == 3)
        # A sub-question stands below a question that has an answer of its own.
        assert all(
            (len(first), len(second)) != (1, 3) for (first, _), (second, _) in pairwise(levels)
        )
        assert 5 <= len(headings) <= QUESTIONS

    def test_cells_are_short_and_explained(self, path):
        every = cells(path)
        assert 25 <= len(every) <= CELLS
        for cell in cells(path, "code"):
            lines = [line for line in source(cell).splitlines() if line.strip()]
            assert len(lines) <= 12, cell["id"]
            assert max(map(len, lines)) <= 118, cell["id"]
        for cell in cells(path, "markdown"):
            assert len(source(cell).split()) <= 120
        kinds = [c["cell_type"] for c in every]
        runs = [i for i in range(len(kinds) - 1) if kinds[i] == kinds[i + 1] == "code"]
        assert runs == [1], "a sentence stands between any two code cells but parameters and setup"

    def test_code_is_plain(self, path):
        for cell in cells(path, "code"):
            tree = ast.parse(source(cell))
            banned = (
                ast.FunctionDef,
                ast.ClassDef,
                ast.Try,
                ast.For,
                ast.While,
                ast.Lambda,
                ast.Global,
            )
            assert not any(isinstance(node, banned) for node in ast.walk(tree)), cell["id"]
            text = source(cell)
            assert not re.search(
                r"^[%!]|sys\.path|warnings\.|https?://|\.\./|today|\bdf\b|\btmp\b|print\(",
                text,
                re.M,
            )

    def test_names_are_bound_once(self, path):
        bound = []
        for cell in cells(path, "code"):
            for node in ast.parse(source(cell)).body:
                if isinstance(node, ast.Assign):
                    targets = [t for target in node.targets for t in ast.walk(target)]
                    bound += [t.id for t in targets if isinstance(t, ast.Name)]
                if isinstance(node, ast.ImportFrom):
                    bound += [alias.asname or alias.name for alias in node.names]
        twice = {name for name in bound if bound.count(name) > 1}
        assert not twice

    def test_ids_and_tags(self, path):
        for cell in cells(path):
            assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", cell["id"]), cell["id"]
            assert set(cell["metadata"].get("tags", [])) <= TAGS

    def test_prose_holds_no_number_from_data(self, path):
        for cell in cells(path, "markdown"):
            # Statistical levels and module names are words of the method, not results.
            text = re.sub(r"\b(90|95)%", "", source(cell))
            assert not re.search(r"\d", text), (cell["id"], re.findall(r".{10}\d+.{10}", text))

    def test_stored_outputs_are_whole(self, path):
        code = cells(path, "code")
        assert [c["execution_count"] for c in code] == list(range(1, len(code) + 1))
        for cell in code:
            for output in cell["outputs"]:
                assert output["output_type"] == "display_data", cell["id"]
                assert "at 0x" not in json.dumps(output)
                if "image/png" in output["data"]:
                    assert output["metadata"]["image/png"]["alt"]

    def test_size(self, path):
        assert path.stat().st_size < 600_000


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)
def test_running_all_cells_twice_gives_the_same(path, monkeypatch):
    """As in JupyterLab, without a restart: the second pass shows what the first one showed."""
    once, again = run_passes(path.stem, ROOT / "data" / "sample", monkeypatch, 2)
    assert once == again
    assert len(once.said) > 5 and once.record
