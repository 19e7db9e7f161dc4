"""The course: exercises run as they are stored, checks teach, and the student edition keeps quiet.

Nothing here starts a kernel: the cells of all exercises run in this process, one after another.
"""

import ast
import json
import re

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from helpers import show
from helpers.__main__ import main
from helpers.contract.shop import ROOT
from helpers.course import checks, truths
from helpers.course.answers import Mistake, Task, judge, tolerance
from helpers.course.checks import EXERCISES, verdict
from helpers.errors import UsageError
from helpers.measures.metrics import Estimate
from helpers.publishing.parameters import read_parameters
from helpers.records import read_notebook
from helpers.study import open_study
from helpers.training import editions
from tests.test_notebooks import TAGS

PATHS = editions.exercises()
CHAPTERS = [path.stem for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))]


@pytest.fixture(scope="module")
def study():
    return open_study("sample", "2026-06")


@pytest.fixture(scope="module")
def tasks(study):
    """All tasks with their answers, each made once."""
    return {name: make(study) for each in EXERCISES.values() for name, make in each.items()}


def code(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def ran(notebook, monkeypatch) -> list[list[str]]:
    """Run a notebook's cells in one namespace; give the texts that each displays."""
    names, shown = {}, []
    for cell in code(notebook):
        texts = []
        monkeypatch.setattr(show, "_display", lambda data, metadata=None, to=texts: to.append(data["text/plain"]))  # fmt: skip
        exec(compile(cell["source"], cell["id"], "exec"), names)
        shown.append(texts)
    return shown


def test_one_for_each_chapter_and_a_first_one():
    assert [path.stem for path in PATHS] == ["00_first_ltv", *CHAPTERS]
    assert [path.stem[:2] for path in PATHS] == list(EXERCISES)
    assert all(3 <= len(each) <= 5 for each in EXERCISES.values())


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)
class TestExercise:
    def test_solution_shows_what_is_stored_and_every_check_is_content(self, path, monkeypatch):
        notebook = read_notebook(path)
        shown = ran(notebook, monkeypatch)
        stored = [[o["data"]["text/plain"] for o in c["outputs"]] for c in code(notebook)]
        assert shown == stored
        checks = [t for c, t in zip(code(notebook), shown, strict=True)
                  if "check" in editions.tags_of(c)]  # fmt: skip
        assert len(checks) == len(EXERCISES[path.stem[:2]])
        assert all(texts[0].startswith("Right") for texts in checks)

    def test_student_edition_runs_and_asks(self, path, monkeypatch):
        student = editions.student_edition(read_notebook(path))
        shown = ran(student, monkeypatch)
        for cell, texts in zip(code(student), shown, strict=True):
            if "check" in editions.tags_of(cell):
                assert texts[0].startswith("Fill in. In place of the dots:"), cell["id"]
        assert re.search("Answer the tasks first|answer first", shown[-1][0])

    def test_student_edition_holds_no_solution_and_no_output(self, path):
        solved = read_notebook(path)
        student = editions.student_edition(solved)
        text = json.dumps(student)
        for cell in code(solved):
            if "solution" in editions.tags_of(cell):
                for line in cell["source"].splitlines():
                    assert json.dumps(line)[1:-1] not in text, line
        assert not any(cell["outputs"] for cell in code(student))
        assert not any("solution" in editions.tags_of(cell) for cell in student["cells"])
        asked = re.findall(r"^(\w+) = \.\.\.$", "\n".join(c["source"] for c in code(student)), re.M)
        assert asked == list(EXERCISES[path.stem[:2]])

    def test_rules_of_the_house(self, path):
        notebook = read_notebook(path)
        ids = [cell["id"] for cell in notebook["cells"]]
        assert len(set(ids)) == len(ids)
        headings = []
        for cell in notebook["cells"]:
            assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", cell["id"])
            assert set(editions.tags_of(cell)) <= TAGS
            if cell["cell_type"] == "markdown":
                headings += re.findall(r"^#+ (.+)$", cell["source"], re.M)
                assert len(cell["source"].split()) <= 120
                continue
            assert len(cell["source"].splitlines()) <= 12
            assert not re.search(r"^[%!]|https?://|\.\./|print\(", cell["source"], re.M)
            tree = ast.parse(cell["source"])
            assert not any(
                isinstance(n, ast.FunctionDef | ast.For | ast.Try) for n in ast.walk(tree)
            )
        assert all(h.endswith("?") for h in headings[:-1])
        assert headings[-2:] == ["What did the simulator really do?", "Key ideas"]
        assert path.stat().st_size < 100_000


class TestChecks:
    @pytest.mark.parametrize("name", [n for each in EXERCISES.values() for n in each])
    def test_typical_mistakes_are_told_apart_and_named(self, tasks, name):
        task = tasks[name]
        assert judge(task, task.answer, "EUR").right
        hints = []
        for mistake in task.mistakes:
            if task.unit != "word":
                assert abs(float(mistake.value) - task.answer) > 2 * tolerance(task), mistake
            found = judge(task, mistake.value, "EUR")
            assert not found.right
            assert any(each.hint in found.text for each in task.mistakes), mistake
            hints.append(found.text)
        assert len(set(hints)) >= 2

    def test_no_hint_tells_the_answer(self, tasks):
        for name, task in tasks.items():
            if task.unit == "word" or float(task.answer).is_integer():
                continue
            written = {f"{task.answer:.{digits}f}" for digits in (1, 2, 3)}
            written |= {f"{100 * task.answer:.1f}%", f"{task.answer:,.2f}"}
            words = [task.otherwise, *(each.hint for each in task.mistakes)]
            assert not any(number in text for number in written for text in words), name

    def test_rounded_answers_are_right(self, tasks):
        digits = {"money": 2, "percent": 3, "ratio": 2, "months": 1, "count": 0}
        for name, task in tasks.items():
            if task.unit != "word" and name not in ("share_out", "consent_now", "to_target"):
                assert judge(task, round(task.answer, digits[task.unit]), "EUR").right, name
        assert judge(tasks["share_out"], round(tasks["share_out"].answer, 4)).right
        assert judge(tasks["consent_now"], round(tasks["consent_now"].answer, 3)).right
        assert judge(tasks["to_target"], round(tasks["to_target"].answer, 4)).right

    TASK = Task(0.25, "percent", (Mistake(0.5, "Twice."),), "Think again.", "Well done.")

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (..., "Fill in. In place of the dots: a share, such as 0.25."),
            (0.25, "Right: 25.0%"),
            (pd.Series([0.25]), "Right"),
            (0.5, "Twice."),
            (25, "Give a share, not percent"),
            (-0.25, "the sign is not"),
            (0.4, "too high. Think again."),
            (0.1, "too low. Think again."),
            (0.2505 + 0.001, "Nearly: less than a hundredth off."),
            (pd.Series([0.2, 0.3]), "This holds 2 values"),
            (Estimate(0.25, 0.2, 0.3, 100), "Take the one figure that is asked"),
            (pd.DataFrame({"index": [0.25]}).index, "in brackets"),
            ("25%", "This is text"),
            (np.nan, "not a finite number"),
            (None, "This is no number"),
            ([], "This is no number"),
        ],
    )
    def test_what_is_said(self, given, said):
        assert said in judge(self.TASK, given, "EUR").text.replace("**", "")

    def test_words(self, tasks):
        assert "A word in quotes" in judge(tasks["loyalty"], 1).text
        assert "one of yes, no, in quotes" in judge(tasks["loyalty"], ...).text
        assert judge(tasks["loyalty"], "No.").right
        assert judge(tasks["most_loyal"], tasks["most_loyal"].answer.replace("_", " ")).right
        assert "one of: yes, no" in judge(tasks["loyalty"], "maybe").text
        assert judge(tasks["weakest"], " Social ").right

    def test_a_name_that_is_not_there(self, study):
        with pytest.raises(UsageError, match="no task 'paybak'.*payback"):
            verdict(study, "paybak", 1)


class TestTruth:
    def test_estimates_come_close_to_what_the_simulator_did(self, study, tasks):
        truth = truths.truth_of(study)
        for name in ("shop_value", "orders_year", "alive", "orders_ahead", "margin_ahead"):
            assert tasks[name].answer == pytest.approx(truths.TRUTHS[name].find(truth), rel=0.06)
        for name in ("taken_out", "weakest", "most_loyal"):
            assert tasks[name].answer == truths.TRUTHS[name].find(truth)

    def test_open_answers_keep_it_closed(self, study):
        table = truths.beside_truth(study, {"alive": ..., "orders_ahead": 4000})
        assert table["simulator"].tolist()[0] == "answer first"
        assert table["simulator"].tolist()[1] == "4,630"
        assert table["difference"].tolist()[1] == "-630"

    def test_a_row_opens_when_its_check_has_passed(self, study, tasks, monkeypatch):
        tables = []
        monkeypatch.setattr(checks, "show_table", lambda table, **_: tables.append(table))
        right = float(tasks["effect"].answer)
        checks.reveal(
            study, effect=pd.Series([right]), net_gain=1e6, naive_loyalty=4.0, loyalty=...
        )
        checks.reveal(study, effect=right, net_gain=1e6, naive_loyalty=4.0, loyalty="no")
        assert [list(table["yours"] == "open") for table in tables] == [
            [False, True, True],
            [False, True, False],
        ]
        assert tables[0]["simulator"].tolist()[1:] == ["answer first"] * 2

    def test_shares_differ_by_points(self, study, tasks):
        table = truths.beside_truth(study, {"consent_given": tasks["consent_given"].answer})
        assert table["difference"].str.endswith(" points").all()

    def test_only_what_is_known(self, study, make_shop):
        with pytest.raises(UsageError, match="no true value for 'x'"):
            truths.beside_truth(study, {"x": 1})
        with pytest.raises(UsageError, match=r"no truth.toml.*Use the shop 'sample'"):
            truths.truth_of(open_study(str(make_shop())))


class TestEditions:
    def test_work_of_a_student_is_kept(self, tmp_path):
        folder, notes = editions.write_students(tmp_path / "class")
        assert not notes
        assert len(list(folder.glob("*.ipynb"))) == len(PATHS)
        first = folder / "00_first_ltv.ipynb"
        made = first.read_text(encoding="utf-8")
        first.write_text(made.replace("lifetime = ...", "lifetime = 1 / 0.05"), encoding="utf-8")
        _, notes = editions.write_students(folder)
        assert notes == ["00_first_ltv was worked on and is kept as it is"]
        editions.write_students(folder, fresh=True)
        assert first.read_text(encoding="utf-8") == made
        assert "1 / 0.05" in (folder / "00_first_ltv.before.ipynb").read_text(encoding="utf-8")

    def test_command_writes_them_and_says_where(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        done = CliRunner().invoke(main, ["exercises", "--out", "class"])
        assert (done.exit_code, done.output) == (0, "exercises: class\n")
        assert len(list((tmp_path / "class").glob("*.ipynb"))) == len(PATHS)

    def test_the_solved_ones_are_never_written_over(self):
        with pytest.raises(UsageError, match="solved exercises would be written over"):
            editions.write_students(editions.EXERCISES)

    def test_a_solution_that_no_check_reads_is_refused(self):
        cell = {"cell_type": "code", "id": "a", "metadata": {"tags": ["solution"]},
                "source": "x = 1", "outputs": []}  # fmt: skip
        with pytest.raises(UsageError, match="binds no name that a check reads"):
            editions.student_edition({"cells": [cell]})

    def test_month_of_the_exercises_is_that_of_the_truth(self, study):
        assert truths.truth_of(study)["shop"]["as_of"] == study.end
        assert (
            read_parameters(ROOT / "notebooks" / "02_historical_ltv.ipynb")["horizon_days"].default
            == 365
        )
