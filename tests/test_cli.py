"""The command line with real kernels, and the commands for those who work on the notebooks."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from stand_ins import RECORD, make_house
from test_runs import NAMES, house, tree  # noqa: F401

from helpers import workbench
from helpers.__main__ import Progress, main
from helpers.errors import UsageError, WorkbookError
from helpers.runs import kernels
from helpers.runs import month as runs

REPORT = ("report", "--shop", "corner", "--month", "2026-06")


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A house with one month published by real kernels, under a user's own odd settings."""
    tmp = tmp_path_factory.mktemp("real")
    root = make_house(tmp / "house {of} cards")
    shadow = tmp / "jupyter" / "kernels" / "python3"
    shadow.mkdir(parents=True)
    spec = {"argv": ["/bin/false"], "display_name": "Not ours", "language": "python"}
    (shadow / "kernel.json").write_text(json.dumps(spec))
    (tmp / "startup.py").write_text("print('from the startup file')")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LTV_")}
    environment |= {
        "LTV_HOME": str(root),
        "JUPYTER_PATH": str(tmp / "jupyter"),
        "PYTHONSTARTUP": str(tmp / "startup.py"),
        "MPLBACKEND": "Agg",
    }
    elsewhere = tmp / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "json.py").write_text("raise ImportError('a file of the caller')")
    made = SimpleNamespace(root=root, environment=environment, elsewhere=elsewhere)
    made.month = root / "reports" / "corner" / "2026-06"
    started = time.monotonic()
    made.first = call(made, *REPORT)
    made.seconds = time.monotonic() - started
    return made


def call(real, *arguments: str, code: str = "") -> subprocess.CompletedProcess:
    start = ["-c", code] if code else ["-P", "-m", "helpers"]
    return subprocess.run(
        [sys.executable, *start, *arguments],
        cwd=real.root if code else real.elsewhere,
        env=real.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_report_publishes_with_real_kernels_and_says_where_to_look(real):
    assert real.first.returncode == 0, real.first.stderr
    assert real.first.stderr == ""
    last = real.first.stdout.splitlines()[-1]
    assert last == f"corner 2026-06 is published: {real.month / 'index.html'}"
    assert {f"{name}.html" for name in NAMES} <= {path.name for path in real.month.iterdir()}


def test_the_executed_notebooks_ran_in_our_interpreter_with_the_records_they_read(real):
    notebook = json.loads((real.month / "notebooks" / "06_monthly_scorecard.ipynb").read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [1, 2, 3, 4]
    assert "".join(code[1]["source"]) == (
        "# Parameters\nshop = 'corner'\nmonth = '2026-06'\nseed = 7"
    )
    data = code[-1]["outputs"][0]["data"]
    assert data[RECORD]["figures"][0]["value"] == 7 + 5
    assert "from the startup file" not in json.dumps(notebook)
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}


def test_no_published_byte_names_a_folder_or_the_user(real):
    private = [str(real.root), str(real.elsewhere), sys.prefix, str(Path.home()) + os.sep]
    for path, content in tree(real.month).items():
        assert not [text for text in private if text.encode() in content], path


def test_a_resumed_run_is_quick_and_imports_no_papermill(real):
    before = tree(real.month)
    code = (
        "import sys; from helpers.__main__ import main\n"
        "main(sys.argv[1:], standalone_mode=False)\n"
        "heavy = {'papermill', 'nbconvert', 'nbformat', 'ibis', 'duckdb', 'pandas', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    started = time.monotonic()
    again = call(real, *REPORT, code=code)
    seconds = time.monotonic() - started
    assert again.returncode == 0, again.stderr
    assert "corner 2026-06 is unchanged" in again.stdout
    assert again.stdout.splitlines()[-1] == "[]"
    assert seconds < 0.15 * real.seconds
    assert tree(real.month) == before


def test_a_run_stopped_before_publishing_goes_on_without_papermill(real):
    before = tree(real.month)
    for path in before:
        Path(path).unlink()
    code = (
        "import sys; from helpers.__main__ import main\n"
        "main(sys.argv[1:], standalone_mode=False); print('papermill' in sys.modules)"
    )
    again = call(real, *REPORT, code=code)
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[-1] == "False"
    after = tree(real.month)
    assert set(after) == set(before)
    assert {path for path in after if after[path] != before[path]} == {
        str(real.month / "manifest.json")
    }


@pytest.mark.parametrize(
    ("seed", "fault"),
    [
        ("13", '"How much is it?": No cohort has 30 customers. Choose a longer history.'),
        ("14", '"How much is it?": ValueError; its text may hold data'),
    ],
)
def test_a_failing_notebook_is_one_line_and_changes_nothing(real, seed, fault):
    before = tree(real.root / "reports")
    failed = call(real, *REPORT, "--set", f"03.seed={seed}")
    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1, failed.stderr
    line = failed.stderr.strip()
    assert line.startswith(f"error: 03_cohort_analysis, {fault}")
    kept = real.root / "work" / "failed" / "corner" / "2026-06" / "03_cohort_analysis.ipynb"
    assert f"see {kept.relative_to(real.root)}," in line
    assert '"output_type": "error"' in kept.read_text()
    assert "Traceback" in kept.with_suffix(".txt").read_text()
    assert tree(real.root / "reports") == before


def test_a_notebook_runs_with_its_defaults_too(real, tmp_path):
    notebook = kernels.execute(
        real.root / "notebooks" / "01_data_cleaning.ipynb",
        {},
        shown={},
        name="01",
        partial=tmp_path / "partial.ipynb",
        variables={"LTV_HOME": str(real.root)},
    )
    assert len(notebook["cells"]) == 6
    assert notebook["cells"][-1]["outputs"][0]["data"][RECORD]["month"] == "2026-06"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--set", "04.horizn_months=24"], 2, "Did you mean 'horizon_months'?"),
        (["--set", "9.seed=1"], 2, "there is no notebook '9'"),
        (["--shop", "cornr"], 2, "Did you mean 'corner'?"),
        (["--month", "2027-01"], 1, "not complete"),
        (["--month", "2026-6"], 2, "2026-6"),
        (["--months", "2026-06"], 2, "Give either --month or --months"),
        (["--month", "", "--months", "2026-06"], 2, "2026-01..2026-06"),
        (["--jobs", "0"], 2, "--jobs"),
        (["--moth", "2026-06"], 2, "--month"),
    ],
)
def test_wrong_input_is_one_message_and_an_exit_code(house, arguments, code, message):  # noqa: F811
    done = CliRunner().invoke(main, [*REPORT, *arguments])
    assert done.exit_code == code
    assert message in done.stderr
    assert "Traceback" not in done.output
    assert isinstance(done.exception, SystemExit)
    assert not house.reports.exists()


def test_report_says_what_ran_what_was_kept_and_where_to_look(house):  # noqa: F811
    done = CliRunner().invoke(main, REPORT)
    assert done.exit_code == 0
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "started 01_data_cleaning" in lines
    assert lines[-1] == f"corner 2026-06 is published: {house.reports}/corner/2026-06/index.html"
    again = CliRunner().invoke(main, [*REPORT, "--set", "06.seed=8"]).stdout
    assert "kept  05_campaign_uplift" in again
    assert "started  06_monthly_scorecard" in again


def test_progress_on_a_terminal_rewrites_one_line(capsys):
    progress = Progress(terminal=True)
    progress("runs", "02_historical_ltv", 0.0)
    progress("runs", "03_cohort_analysis", 0.0)
    progress("done", "02_historical_ltv", 2.0)
    shown = capsys.readouterr().out
    assert "\r\x1b[K   running  02_historical_ltv, 03_cohort_analysis" in shown
    assert shown.endswith(
        "\r\x1b[K      done  02_historical_ltv  2.0 s\n   running  03_cohort_analysis"
    )


def test_an_unwritable_folder_is_one_line(house, monkeypatch):  # noqa: F811
    def refuses(*args, **options):
        raise PermissionError(13, "Permission denied", "work")

    monkeypatch.setattr(runs, "run_month", refuses)
    done = CliRunner().invoke(main, REPORT)
    assert (done.exit_code, done.stderr) == (1, "error: Permission denied (work)\n")


def test_the_command_line_starts_light():
    code = (
        "import sys, helpers.__main__\n"
        "heavy = {'papermill', 'nbformat', 'ibis', 'pandas', 'numpy', 'filelock'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# -- refresh and check -----------------------------------------------------------------------


def committed(house) -> dict[str, bytes]:  # noqa: F811
    return tree(house.root / "notebooks")


def test_refreshing_twice_changes_nothing(house):  # noqa: F811
    assert workbench.refresh() == NAMES
    first = committed(house)
    assert len(first) == len(NAMES)
    assert workbench.refresh() == []
    assert committed(house) == first
    assert workbench.check() == []
    assert not house.reports.exists()


def test_some_notebooks_are_refreshed_from_what_the_others_have_stored(house):  # noqa: F811
    workbench.refresh()
    house.ran.clear()
    path = house.root / "notebooks" / "02_historical_ltv.ipynb"
    path.write_text(path.read_text().replace("Recorded.", "Recorded, once."))
    assert workbench.refresh(["03", "05_campaign_uplift"]) == []
    assert sorted(house.ran) == ["03_cohort_analysis", "05_campaign_uplift"]
    assert workbench.refresh(["02"]) == ["02_historical_ltv"]
    with pytest.raises(UsageError, match="No notebook '07'"):
        workbench.refresh(["07"])


def test_check_names_the_cell_whose_output_is_not_true(house):  # noqa: F811
    workbench.refresh()
    path = house.root / "notebooks" / "02_historical_ltv.ipynb"
    path.write_text(path.read_text().replace("Recorded.", "Recorded, once."))
    before = committed(house)
    assert workbench.check() == ["02_historical_ltv: record"]
    assert committed(house) == before
    done = CliRunner().invoke(main, ["check"])
    assert done.exit_code == 1
    assert "02_historical_ltv: record" in done.stdout


def test_check_does_not_compare_pictures():
    def showing(picture: str, text: str) -> dict:
        data = {"image/png": picture, "text/plain": text}
        output = {"output_type": "display_data", "data": data, "metadata": {}}
        return {"cells": [{"id": "retention-figure", "cell_type": "code", "outputs": [output]}]}

    assert workbench.different_cells(showing("a", "x"), showing("b", "x")) == []
    assert workbench.different_cells(showing("a", "x"), showing("a", "y")) == ["retention-figure"]


def test_a_failing_refresh_stores_nothing(house, monkeypatch):  # noqa: F811
    before, execute = committed(house), kernels.execute

    def fails(source, values, **options):
        if options["name"] == "04_predictive_clv":
            failure = kernels.Failure("How much is it?", "No.")
            raise kernels.NotebookError("04_predictive_clv", failure, options["partial"])
        return execute(source, values, **options)

    monkeypatch.setattr(kernels, "execute", fails)
    with pytest.raises(
        WorkbookError, match=r'04_predictive_clv, "How much is it\?": No\. Nothing was'
    ):
        workbench.refresh()
    assert committed(house) == before


def test_months_published_on_this_machine_do_not_reach_the_committed_notebooks(house):  # noqa: F811
    workbench.refresh()
    clean = committed(house)
    runs.report("corner", months="2026-05..2026-06")
    git = ["git", "-C", str(house.root)]
    subprocess.run([*git, "init", "-q"], check=True)
    assert workbench.refresh() == []
    assert committed(house) == clean
    subprocess.run([*git, "add", "-f", "reports/corner"], check=True)
    assert workbench.refresh() == ["01_data_cleaning", "06_monthly_scorecard"]
    folder = workbench.committed_reports(house.root / "copy")
    assert [path.name for path in (folder / "corner").iterdir()] == ["2026-05"]


# -- lab -------------------------------------------------------------------------------------


def parameters_of(path: Path) -> str:
    cells = json.loads(path.read_text())["cells"]
    return "".join(
        next(c["source"] for c in cells if "parameters" in c["metadata"].get("tags", []))
    )


def test_lab_works_on_copies_with_the_parameters_asked_for(house):  # noqa: F811
    workbench.refresh()
    before = committed(house)
    folder, notes = workbench.make_copies("corner", month="2026-05", settings=["seed=9"])
    assert notes == []
    assert folder == house.work / "lab" / "corner" / "2026-05"
    assert parameters_of(folder / "04_predictive_clv.ipynb") == (
        'shop: str = "corner"  # the shop\nmonth: str = "2026-05"  # the month\n'
        "seed: int = 9  # of every draw\nhorizon_months: int = 12  # months ahead"
    )
    assert '"output_type"' not in (folder / "04_predictive_clv.ipynb").read_text()
    assert committed(house) == before


def test_lab_keeps_what_was_changed_by_hand_until_asked_for_fresh_copies(house):  # noqa: F811
    folder, _ = workbench.make_copies("corner")
    copy = folder / "02_historical_ltv.ipynb"
    mine = copy.read_text().replace("We look.", "My own words.")
    copy.write_text(mine)
    _, notes = workbench.make_copies("corner", settings=["seed=9"])
    assert notes == ["02_historical_ltv was changed by hand and is kept as it is"]
    assert copy.read_text() == mine
    assert "seed: int = 9" in parameters_of(folder / "03_cohort_analysis.ipynb")
    _, notes = workbench.make_copies("corner", fresh=True)
    assert notes == []
    assert "My own words." not in copy.read_text()
    assert (folder / "02_historical_ltv.before.ipynb").read_text() == mine


def test_lab_checks_its_parameters(house):  # noqa: F811
    with pytest.raises(UsageError, match="Did you mean 'horizon_months'"):
        workbench.make_copies("corner", settings=["04.horizn_months=1"])
    assert not (house.work / "lab").exists()


def test_lab_starts_jupyter_in_the_copies_with_our_kernel(house, monkeypatch):  # noqa: F811
    started = []

    class Process:
        def __init__(self, command, env):
            started.append((command, env))
            self.interrupted = False

        def wait(self):
            if not self.interrupted:
                self.interrupted = True
                raise KeyboardInterrupt
            return 0

    monkeypatch.setattr(workbench.subprocess, "Popen", Process)
    done = CliRunner().invoke(main, ["lab", "--shop", "corner", "--no-browser", "--", "--port=9"])
    assert done.exit_code == 0, done.output
    [(command, environment)] = started
    folder = house.work / "lab" / "corner" / "2026-06"
    root = f"--ServerApp.root_dir={folder}"
    assert command[1:] == ["-m", "jupyterlab", root, "--no-browser", "--port=9"]
    kernels = Path(environment["JUPYTER_PATH"].split(os.pathsep)[0])
    spec = json.loads((kernels / "kernels" / "python3" / "kernel.json").read_text())
    assert spec["argv"][0] == sys.executable
    assert environment["LTV_HOME"] == str(house.root)
