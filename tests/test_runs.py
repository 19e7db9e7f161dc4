"""A run does only what has no result yet, publishes all or nothing, and says what went wrong."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from stand_ins import RECORD, make_house, pretend, quick_prepare

from helpers import records
from helpers.cleaning import store as cleaning
from helpers.errors import DataError, UsageError, WorkbookError
from helpers.publishing import publish
from helpers.runs import kernels, keys, pages, steps
from helpers.runs import month as runs
from helpers.runs.locks import one_run

NAMES = [step.name for step in keys.PLAN]
TESTS = Path(__file__).resolve().parent


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A house whose notebooks run without kernels, in this process."""
    root = make_house(tmp_path / "house")
    for module in (
        "records",
        "runs.pages",
        "runs.steps",
        "runs.month",
        "contract.shop",
        "workbench",
    ):
        monkeypatch.setattr(f"helpers.{module}.ROOT", root)
    monkeypatch.delenv("LTV_RECORDS", raising=False)
    monkeypatch.setenv("LTV_REPORTS", str(root / "reports"))
    monkeypatch.setenv("LTV_WORK", str(root / "work"))
    # Keys are made from these, so that a helper can change while the tests run.
    for name in (
        "show.py",
        "publishing/pages.py",
        "presets/cdnow.toml",
        "publishing/templates/report/page.css",
    ):
        (root / "helpers" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "helpers" / name).write_text("as it was")
    monkeypatch.setattr(keys, "HELPERS", root / "helpers")
    ran, prepared = [], []

    def prepare(shop, meanwhile=None):
        prepared.append(shop.name)
        return quick_prepare(shop)

    def execute(source, values, **options):
        ran.append(options["name"])
        return pretend(source, values, **options)

    monkeypatch.setattr(kernels, "execute", execute)
    monkeypatch.setattr(kernels, "load_engine", lambda: None)
    monkeypatch.setattr(cleaning, "prepare", prepare)
    places = {"root": root, "reports": root / "reports", "work": root / "work"}
    return SimpleNamespace(**places, ran=ran, prepared=prepared)


def run(**options) -> runs.Outcome:
    return runs.report("corner", **{"month": "2026-06", "jobs": 2, **options})[-1]


def published(house, month: str = "2026-06") -> dict[str, bytes]:
    folder = house.reports / "corner" / month
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def figure_of(house, name: str, month: str = "2026-06") -> dict:
    summary = json.loads((house.reports / "corner" / month / "summary.json").read_text())
    return next(figure for figure in summary["figures"] if figure["notebook"] == name)


def test_a_run_publishes_every_part_of_a_month(house):
    outcome = run()
    files = published(house)
    pages = {f"{name}.html" for name in NAMES} | {"index.html", "glossary.html"}
    assert all(b'href="glossary.html"' in files[name] for name in pages)
    notebooks = {f"notebooks/{name}.ipynb" for name in NAMES}
    assert pages | notebooks | {"summary.json", "manifest.json"} <= set(files)
    tables = [name for name in files if name.startswith("tables/")]
    assert all(Path(name).name[:3] in {f"{each[:2]}_" for each in NAMES} for name in tables)
    assert sorted(house.ran) == NAMES == list(outcome.ran)
    assert not outcome.unchanged
    assert outcome.index == str(house.reports / "corner" / "2026-06" / "index.html")
    assert (house.reports / "index.html").exists()


def test_what_most_wait_for_runs_first(house):
    run(jobs=1)
    # 04 is what most wait for; the others come in their order.
    assert house.ran == [NAMES[i] for i in (3, 0, 1, 2, 4, 5)]


def test_each_notebook_reads_the_records_it_declares_and_no_others(house):
    run()
    read = {
        name: json.loads(published(house)[f"notebooks/{name}.ipynb"])["cells"][-1]["outputs"][0][
            "data"
        ][RECORD]["extra"]
        for name in NAMES
    }
    assert read["02_historical_ltv"]["read"] == []
    assert read["05_campaign_uplift"]["read"] == ["04_predictive_clv"]
    assert read["06_monthly_scorecard"]["read"] == NAMES[:5]
    assert set(read["06_monthly_scorecard"]["earlier"]) == set(records.read_months("2026-06"))


def test_a_second_run_does_nothing_and_says_so(house):
    run()
    before = tree(house.reports)
    house.ran.clear()
    assert run().unchanged
    assert house.ran == []
    assert tree(house.reports) == before


def test_without_the_cache_the_published_month_still_counts(house):
    run()
    for path in house.work.rglob("*.ipynb"):
        path.unlink()
    house.ran.clear()
    assert run().unchanged
    assert house.ran == []


def test_a_damaged_page_is_published_again_without_running_a_notebook(house):
    run()
    before = published(house)
    (house.reports / "corner" / "2026-06" / "index.html").write_text("damaged")
    house.ran.clear()
    assert not run().unchanged
    assert house.ran == []
    assert published(house)["index.html"] == before["index.html"]


def test_a_broken_cached_notebook_runs_again(house):
    run()
    for path in (house.work / "cache").rglob("*.ipynb"):
        path.write_text("{")
    target = house.reports / "corner" / "2026-06" / "notebooks" / "03_cohort_analysis.ipynb"
    target.write_text("{")
    house.ran.clear()
    run()
    assert house.ran == ["03_cohort_analysis"]


def test_force_runs_everything_again_with_the_same_result(house):
    run()
    before = published(house)
    house.ran.clear()
    assert not run(force=True).unchanged
    assert sorted(house.ran) == NAMES
    after = published(house)
    assert {name: after[name] for name in before if name != "manifest.json"} == {
        name: content for name, content in before.items() if name != "manifest.json"
    }


def test_a_setting_runs_its_notebook_and_what_reads_it(house):
    run()
    house.ran.clear()
    run(settings=["04.horizon_months=24"])
    assert sorted(house.ran) == ["04_predictive_clv", "05_campaign_uplift", "06_monthly_scorecard"]
    values = json.loads(published(house)["manifest.json"])["parameters"]
    assert values["04_predictive_clv"]["horizon_months"] == 24


def test_a_shared_setting_reaches_every_notebook_and_a_specific_one_goes_before(house):
    run(settings=["seed=3", "02.seed=4"])
    values = json.loads(published(house)["manifest.json"])["parameters"]
    seeds = {name: values[name]["seed"] for name in NAMES}
    assert seeds == dict.fromkeys(NAMES, 3) | {"02_historical_ltv": 4}


def test_a_changed_cell_runs_its_notebook_and_what_reads_its_record(house):
    run()
    house.ran.clear()
    path = house.root / "notebooks" / "02_historical_ltv.ipynb"
    path.write_text(path.read_text().replace("We look.", "We look twice."))
    run()
    assert sorted(house.ran) == ["02_historical_ltv", "06_monthly_scorecard"]


def test_changed_data_run_everything(house):
    run()
    house.ran.clear()
    with (house.root / "data" / "corner" / "orders.csv").open("a") as file:
        file.write("o99,c1,2026-06-20,10.00\n")
    run()
    assert sorted(house.ran) == NAMES


@pytest.mark.parametrize("name", ["show.py", "presets/cdnow.toml"])
def test_a_changed_helper_or_preset_runs_everything(house, name):
    run()
    house.ran.clear()
    (house.root / "helpers" / name).write_text("changed")
    run()
    assert sorted(house.ran) == NAMES


@pytest.mark.parametrize("name", ["publishing/pages.py", "publishing/templates/report/page.css"])
def test_a_changed_template_renders_and_runs_nothing(house, name):
    run()
    house.ran.clear()
    (house.root / "helpers" / name).write_text("changed")
    assert not run().unchanged
    assert house.ran == []
    assert run().unchanged


def test_another_helper_or_version_is_another_key(house, monkeypatch):
    facts = {"cells": "c", "values": {}, "inputs": "i", "upstream": {}, "earlier": {}}
    key = keys.notebook_key(**facts)
    assert keys.notebook_key(**facts) == key
    for name in facts:
        other = "other" if isinstance(facts[name], str) else {"other": "other"}
        assert keys.notebook_key(**{**facts, name: other}) != key
    monkeypatch.setattr(keys, "versions", lambda: {"python": "3.99"})
    assert keys.notebook_key(**facts) != key
    monkeypatch.undo()
    monkeypatch.setattr(keys, "result_code_digest", lambda: "other")
    assert keys.notebook_key(**facts) != key


def test_every_helper_belongs_to_a_key():
    package = Path(runs.__file__).resolve().parents[1]
    parts = {path.relative_to(package).parts[0] for path in package.rglob("*.py")}
    assert set(keys._RUNNERS) <= parts
    imported_by_notebooks = {"records.py", "contract", "cleaning", "summaries", "figures"}
    assert imported_by_notebooks <= parts
    assert not imported_by_notebooks & {*keys._RUNNERS, *keys._APART}


def test_the_published_bytes_do_not_depend_on_folder_or_jobs(house, tmp_path, monkeypatch):
    run(jobs=2)
    first = published(house)
    root = make_house(tmp_path / "elsewhere" / "another")
    for module in (
        "records",
        "runs.pages",
        "runs.steps",
        "runs.month",
        "contract.shop",
        "workbench",
    ):
        monkeypatch.setattr(f"helpers.{module}.ROOT", root)
    monkeypatch.setenv("LTV_REPORTS", str(root / "reports"))
    monkeypatch.setenv("LTV_WORK", str(root / "work"))
    run(jobs=1)
    second = published(SimpleNamespace(reports=root / "reports"))
    assert set(first) == set(second)
    assert {name for name in first if first[name] != second[name]} <= {"manifest.json"}


def test_nothing_published_names_a_folder_of_this_machine(house):
    run()
    for name, content in published(house).items():
        assert str(house.root).encode() not in content, name


def test_a_page_that_names_a_folder_is_not_published(house, monkeypatch):
    title = pages.first_heading
    monkeypatch.setattr(pages, "first_heading", lambda nb: f"{title(nb)} {house.root}/data")
    with pytest.raises(WorkbookError, match="names a folder of this machine"):
        run()
    assert not (house.reports / "corner").exists()


def test_a_shop_outside_the_house_is_published_under_its_name(house, tmp_path):
    folder = tmp_path / "far" / "kiosk"
    folder.parent.mkdir()
    (house.root / "data" / "corner").rename(folder)
    runs.report(str(folder), month="2026-06")
    notebook = (house.reports / "kiosk" / "2026-06" / "notebooks" / f"{NAMES[0]}.ipynb").read_text()
    assert "shop = 'kiosk'" in notebook
    assert str(folder) not in notebook


def test_two_months_show_changes_and_an_old_month_makes_the_later_one_stale(house):
    runs.report("corner", months="2026-05..2026-06")
    assert figure_of(house, NAMES[0])["change"] == 0
    assert figure_of(house, NAMES[0], "2026-05")["before"] is None
    assert publish.stale_because(publish.manifests(house.reports), "corner", "2026-06") == []
    june = published(house)
    run(month="2026-05", settings=["seed=9"])
    assert published(house) == june
    stale = publish.stale_because(publish.manifests(house.reports), "corner", "2026-06")
    assert stale == ["2026-05"]
    house.ran.clear()
    assert not run().unchanged
    assert house.ran == ["01_data_cleaning", "06_monthly_scorecard"], "both read earlier months"
    assert figure_of(house, NAMES[0])["change"] == 7 - 9
    assert figure_of(house, NAMES[0])["relative"] == pytest.approx(-2 / 9)
    assert publish.stale_because(publish.manifests(house.reports), "corner", "2026-06") == []


def test_alerts_of_the_notebooks_reach_the_month(house):
    run(settings=["03.seed=5"])
    alerts = json.loads(published(house)["summary.json"])["alerts"]
    assert alerts == [{"notebook": "03_cohort_analysis", "text": "look here"}]
    assert b"look here" in published(house)["index.html"]


def test_a_notebook_may_ask_for_further_pages(house):
    run(settings=["seed=99"])
    files = published(house)
    assert "05_campaign_uplift--spring.html" in files
    assert sum(name.startswith("05_campaign_uplift") for name in files) == 2
    values = json.loads(files["manifest.json"])["parameters"]
    assert values["05_campaign_uplift--spring"]["experiment"] == "spring"
    house.ran.clear()
    assert run(settings=["seed=99"]).unchanged
    assert house.ran == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("04.horizn_months=24", "Did you mean 'horizon_months'?"),
        ("horizn_months=24", "Did you mean 'horizon_months'?"),
        ("02.horizon_months=24", "02_historical_ltv has no parameter 'horizon_months'"),
        ("07.seed=1", "there is no notebook '07'"),
        ("04_predictive_cvl.seed=1", "Did you mean '04_predictive_clv'?"),
        ("04.horizon_months=two", "horizon_months"),
        ("04.horizon_months", "it must be as name=value"),
        ("month=2026-05", "use --month"),
        ("04.shop=corner", "use --shop"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_starts(house, setting, message):
    with pytest.raises(UsageError) as refused:
        run(settings=[setting])
    assert message in str(refused.value)
    assert setting in str(refused.value)
    assert house.ran == []
    assert not house.reports.exists()
    assert house.prepared == []


def test_a_setting_given_twice_is_refused(house):
    with pytest.raises(UsageError, match="set twice"):
        run(settings=["seed=1", "seed=2"])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"month": "2026-07"}, DataError, "not complete"),
        ({"month": "2025-12"}, DataError, "no orders"),
        ({"month": "June"}, UsageError, "June"),
        ({"month": "", "months": "2026-05"}, UsageError, "2026-01..2026-06"),
        ({"month": "", "months": "2026-06..2026-05"}, UsageError, "earlier month to a later one"),
        ({"month": "", "months": "2026-05..2026-07"}, DataError, "not complete"),
        ({"month": "", "months": "May..June"}, UsageError, "May"),
        ({"month": "", "months": "2025-13..2026-02"}, UsageError, "2025-13"),
        ({"months": "2026-05..2026-06"}, UsageError, "not both"),
    ],
)
def test_a_wrong_month_is_refused_and_nothing_is_published(house, options, error, message):
    with pytest.raises(error, match=message):
        run(**options)
    assert house.ran == []
    assert not house.reports.exists()


def fail_in(monkeypatch, name: str, fault: str = "No cohort has 30 customers.") -> None:
    before = kernels.execute

    def execute(source, values, **options):
        if options["name"] != name:
            return before(source, values, **options)
        options["partial"].parent.mkdir(parents=True, exist_ok=True)
        options["partial"].write_text("as far as it ran")
        failure = kernels.Failure("How much is it?", fault)
        raise kernels.NotebookError(name, failure, options["partial"])

    monkeypatch.setattr(kernels, "execute", execute)


def test_a_failing_notebook_leaves_reports_as_they_were_and_keeps_the_evidence(house, monkeypatch):
    run()
    before = tree(house.reports)
    house.ran.clear()
    fail_in(monkeypatch, "03_cohort_analysis")
    with pytest.raises(WorkbookError) as failed:
        run(settings=["seed=8"])
    evidence = house.work / "failed" / "corner" / "2026-06" / "03_cohort_analysis.ipynb"
    assert str(failed.value) == (
        '03_cohort_analysis, "How much is it?": No cohort has 30 customers. Nothing was published; '
        f"see {evidence.relative_to(house.root)}, mend the cause, and run the same command again."
    )
    assert failed.value.exit_code == 1
    assert evidence.read_text() == "as far as it ran"
    assert tree(house.reports) == before
    assert "06_monthly_scorecard" not in house.ran


def test_after_a_failure_only_what_is_missing_runs_and_the_evidence_goes(house, monkeypatch):
    with monkeypatch.context() as patch:
        fail_in(patch, "03_cohort_analysis")
        with pytest.raises(WorkbookError):
            run()
    finished = set(house.ran)
    assert "01_data_cleaning" in finished
    house.ran.clear()
    run()
    assert set(house.ran) == set(NAMES) - finished
    assert not (house.work / "failed" / "corner" / "2026-06").exists()


def test_a_failure_in_a_range_keeps_the_months_before_it(house, monkeypatch):
    before = kernels.execute

    def execute(source, values, **options):
        if values["month"] == "2026-06":
            failure = kernels.Failure("", "No.")
            raise kernels.NotebookError(options["name"], failure, options["partial"])
        return before(source, values, **options)

    monkeypatch.setattr(kernels, "execute", execute)
    with pytest.raises(WorkbookError):
        runs.report("corner", months="2026-05..2026-06")
    assert [path.name for path in (house.reports / "corner").iterdir()] == ["2026-05"]


def test_a_message_shows_our_own_text_and_no_customer_data_of_others(tmp_path):
    def described(kind: str, text: str) -> kernels.Failure:
        error = {"output_type": "error", "ename": kind, "evalue": text, "traceback": []}
        cells = [
            {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "## How much is it?"},
            {"cell_type": "code", "id": "b", "metadata": {}, "source": "", "outputs": [error]},
        ]
        partial = tmp_path / "partial.ipynb"
        partial.write_text(json.dumps({"cells": cells, "metadata": {}}))
        return kernels.describe(ValueError("papermill's own"), partial)

    own = described("DataError", "orders.csv row 12: 'C-00123' is not a date.")
    assert own == kernels.Failure(
        "How much is it?", "orders.csv row 12: 'C-00123' is not a date.", 1
    )
    assert described("UsageError", "No experiment 'x'.").exit_code == 2
    other = described("ValueError", "row C-00123 of 'Anna B.' anna@example.com\nsecond line")
    assert other.fault == "ValueError; its text may hold data and is kept with the notebook."
    assert "Anna" not in described("KeyError", "'Anna'").fault


def test_the_lock_names_its_holder_and_a_dead_holder_does_not_count(house):
    script = (
        "import sys, time; from pathlib import Path; from helpers.runs.locks import one_run\n"
        "with one_run(Path(sys.argv[1]), 'corner', '2026-06'):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", script, str(house.work)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(WorkbookError, match=f"is being run by process {holder.pid} on "):
                run()
            assert house.ran == []
            run(month="2026-05")
        finally:
            holder.kill()
    outcome = run()
    assert f"process {holder.pid}" in outcome.notes[0]
    assert "did not finish" in outcome.notes[0]
    assert run().notes == ()


def test_a_lock_is_free_again_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), one_run(tmp_path, "corner", "2026-06"):
        raise ZeroDivisionError
    with one_run(tmp_path, "corner", "2026-06") as notes:
        assert notes == []


KILLABLE = """
import sys
sys.path.insert(0, sys.argv[1])
from stand_ins import pretend
from pathlib import Path
from helpers.runs import kernels, keys
from helpers.runs import month as runs
keys.HELPERS = Path(sys.argv[3])
kernels.execute, kernels.load_engine = pretend, lambda: None
print("ready", flush=True)
runs.report("corner", month="2026-06", settings=[f"seed={sys.argv[2]}"])
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_killed_at_random_moments_the_month_is_old_or_new_and_the_next_run_goes_on(house):
    run()
    run(month="2026-05")
    old, other = published(house), published(house, "2026-05")
    environment = {**os.environ, "LTV_HOME": str(house.root), "PRETEND_SECONDS": "0.03"}
    chance, seed, killed = random.Random(20260701), 100, 0
    for _ in range(5):
        code = str(house.root / "helpers")
        command = [sys.executable, "-c", KILLABLE, str(TESTS), str(seed), code]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            process.stdout.readline()
            time.sleep(chance.uniform(0.05, 1.2))
            process.send_signal(signal.SIGKILL)
        killed += process.returncode == -signal.SIGKILL
        assert process.returncode in (0, -signal.SIGKILL)
        publish.recover(house.reports, "corner")
        now = published(house)
        assert publish.is_whole(house.reports / "corner" / "2026-06")
        if now != old:
            values = json.loads(now["manifest.json"])["parameters"]
            assert {each["seed"] for each in values.values()} == {seed}
        assert published(house, "2026-05") == other
        run(settings=[f"seed={seed}"])
        old, seed = published(house), seed + 1
    assert killed >= 2
    assert {path.name for path in (house.reports / "corner").iterdir()} == {"2026-05", "2026-06"}


def test_records_of_a_study_come_from_the_run_then_the_month_then_the_committed(house, monkeypatch):
    assert records.load_records("corner", "2026-06") == {}
    committed = house.root / "notebooks" / "02_historical_ltv.ipynb"
    record = {"shop": "corner", "month": "2026-06", "figures": []}
    notebook = json.loads(committed.read_text())
    data = {RECORD: record, "text/plain": ["Recorded", "."]}
    notebook["cells"][-1]["outputs"] = [
        {"output_type": "display_data", "data": data, "metadata": {}}
    ]
    committed.write_text(json.dumps(notebook))
    assert records.load_records("corner", "2026-06") == {"02_historical_ltv": record}
    assert records.load_records("corner", "2026-05") == {}
    run()
    assert list(records.load_records("corner", "2026-06")) == NAMES
    study = SimpleNamespace(shop=SimpleNamespace(name="corner"), month="2026-06")
    assert records.load_records(study) == records.load_records("corner", "2026-06")
    assert list(records.published_records(study, "2026-06")) == NAMES
    assert records.published_records(study, "2026-05") == {}
    handed = house.root / "handed"
    records.write_record(handed, "01_data_cleaning", record | {"of": "the run"})
    monkeypatch.setenv("LTV_RECORDS", str(handed))
    assert records.load_records(study) == {"01_data_cleaning": record | {"of": "the run"}}
    with pytest.raises(UsageError, match="2026-04"):
        records.published_records(study, "2026-04")


def test_old_results_are_cleared_from_the_cache(house):
    for seed in range(5):
        run(settings=[f"01.seed={seed}"])
    kept = list((house.work / "cache" / "corner" / "2026-06" / "01_data_cleaning").iterdir())
    assert len(kept) == runs._KEPT_RESULTS
    key = json.loads(published(house)["manifest.json"])["keys"]["01_data_cleaning"]
    assert f"{key}.ipynb" in {path.name for path in kept}


def test_jobs_default_to_at_most_two():
    assert runs.default_jobs() in (1, 2)


def test_a_start_that_fails_is_tried_once_more_and_a_cell_that_fails_is_not(tmp_path, monkeypatch):
    tries = []

    def never_starts(source, values, partial, environment):
        tries.append(source)
        raise RuntimeError("Kernel died before replying to kernel_info")

    monkeypatch.setattr(kernels, "_papermill", never_starts)
    options = {"shown": {}, "name": "01", "partial": tmp_path / "p.ipynb", "variables": {}}
    with pytest.raises(kernels.NotebookError, match="RuntimeError"):
        kernels.execute(tmp_path / "01.ipynb", {}, **options)
    assert len(tries) == 2

    class PapermillExecutionError(Exception):
        pass

    def fails(source, values, partial, environment):
        tries.append(source)
        raise PapermillExecutionError("a cell failed")

    tries.clear()
    monkeypatch.setattr(kernels, "_papermill", fails)
    with pytest.raises(kernels.NotebookError):
        kernels.execute(tmp_path / "01.ipynb", {}, **options)
    assert len(tries) == 1


def test_given_shop_is_named_only_when_it_is_outside(house):
    job = SimpleNamespace(
        shop=SimpleNamespace(name="corner", folder=house.root / "data" / "corner")
    )
    assert steps.given_shop(job, {"shop": "corner"}) == {}
    job.shop.folder = house.root / "elsewhere" / "corner"
    assert steps.given_shop(job, {"shop": "corner"}) == {"shop": str(job.shop.folder)}


def test_another_shop_of_the_same_name_does_not_overwrite(house, tmp_path):
    shops = []
    for place in ("here", "there"):
        folder = tmp_path / place / "twin"
        shutil.copytree(house.root / "data" / "corner", folder)
        shops.append(str(folder))
    runs.report(shops[0], month="2026-06")
    before = published(SimpleNamespace(reports=house.reports))
    with pytest.raises(WorkbookError, match="of a shop in another folder of the same name"):
        runs.report(shops[1], month="2026-06")
    assert published(SimpleNamespace(reports=house.reports)) == before
