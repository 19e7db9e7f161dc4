"""Work on the notebooks: JupyterLab on working copies, and keeping the committed ones true.

The committed notebooks hold the outputs of the sample shop. ``refresh`` makes them, ``check``
proves them, and neither is touched by what a reader does in JupyterLab.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from helpers.contract.shop import ROOT, load_shop
from helpers.errors import UsageError, WorkbookError, nearest
from helpers.records import (
    read_months,
    read_notebook,
    record_of,
    records_in,
    work_folder,
    write_record,
)
from helpers.runs import kernels, keys
from helpers.runs.keys import PLAN, Step
from helpers.runs.locks import one_run
from helpers.runs.month import default_jobs, silent
from helpers.runs.steps import Progress


def refresh(
    notebooks: Sequence[str] = (), *, jobs: int = 0, progress: Progress = silent
) -> list[str]:
    """Run the committed notebooks again with their defaults and store them; name what changed.

    ``notebooks`` names some (03, or 03_cohort_analysis); none: all of them. They are stored only
    if all that were asked for ran. Raises WorkbookError if one fails.
    """
    changed = []
    for name, notebook in run_committed(notebooks, jobs=jobs, progress=progress).items():
        path = ROOT / "notebooks" / f"{name}.ipynb"
        fresh = path.with_name(f".{name}.new")
        _write(notebook, fresh)
        if fresh.read_bytes() == path.read_bytes():
            fresh.unlink()
        else:
            os.replace(fresh, path)
            changed.append(name)
        _store_picture(notebook, ROOT / "docs" / "pictures" / f"{name}.png")
    return changed


def _store_picture(notebook: Mapping, path: Path) -> None:
    """Keep a notebook's first picture where the README shows it."""
    from helpers.publishing.notebook_files import harvest

    picture = harvest(notebook).picture
    if picture:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(picture["png"]))


def check(
    notebooks: Sequence[str] = (), *, jobs: int = 0, progress: Progress = silent
) -> list[str]:
    """Run committed notebooks elsewhere and list the cells whose outputs are no longer true.

    Pictures are not compared: their numbers stand in a table or a sentence beside them.
    """
    found = []
    for name, notebook in run_committed(notebooks, jobs=jobs, progress=progress).items():
        committed = read_notebook(ROOT / "notebooks" / f"{name}.ipynb")
        found += [f"{name}: {cell}" for cell in different_cells(committed, notebook)]
    return found


def different_cells(committed: Mapping, fresh: Mapping) -> list[str]:
    """Name the cells of two versions of a notebook whose outputs differ, pictures aside."""
    pairs = zip(committed["cells"], fresh["cells"], strict=False)
    names = [
        str(new.get("id", f"cell {number}"))
        for number, (old, new) in enumerate(pairs, start=1)
        if _comparable(old) != _comparable(new)
    ]
    if len(committed["cells"]) != len(fresh["cells"]):
        names.append(f"{len(committed['cells'])} cells are stored, {len(fresh['cells'])} ran")
    return names


def run_committed(
    notebooks: Sequence[str] = (), *, jobs: int = 0, progress: Progress = silent
) -> dict[str, dict]:
    """Run committed notebooks with their defaults, each in a clean kernel; give the results.

    06 reads the records of the notebooks just run, or as they are stored, and of earlier months
    only what is committed: months published on this machine never reach the committed outputs.
    """
    waiting = _chosen(notebooks)
    done = {
        step.name: read_notebook(ROOT / "notebooks" / f"{step.name}.ipynb")
        for step in PLAN
        if step not in waiting
    }
    stored = set(done)
    kernels.load_engine()
    with (
        tempfile.TemporaryDirectory(prefix="ltv-") as scratch,
        one_run(work_folder(), "committed", "notebooks"),
    ):
        reports = committed_reports(Path(scratch) / "reports")
        with ThreadPoolExecutor(max_workers=jobs or default_jobs()) as pool:
            while waiting:
                ready = [step for step in waiting if set(step.reads) <= set(done)]
                waiting = [step for step in waiting if step not in ready]
                runs = {
                    step.name: pool.submit(
                        _run_one, step, dict(done), Path(scratch), reports, progress
                    )
                    for step in ready
                }
                done |= {name: run.result() for name, run in runs.items()}
    return {name: notebook for name, notebook in done.items() if name not in stored}


def _chosen(notebooks: Sequence[str]) -> list[Step]:
    """Find the steps of the plan by number or name; all of them where none is named."""
    names = [step.name for step in PLAN]
    for name in notebooks:
        if not any(name in (each, each[:2]) for each in names):
            raise UsageError(
                f"No notebook '{name}'. Notebooks: {', '.join(names)}.{nearest(name, names)}"
            )
    return [step for step in PLAN if not notebooks or {step.name, step.name[:2]} & set(notebooks)]


def committed_reports(folder: Path) -> Path:
    """Copy the committed months of reports/ to a folder, without the month that is shown.

    The month that the committed notebooks show is left out, so that 06 reads their own records.
    Set LTV_REPORTS to the folder when testing the committed notebooks. Without git, every month
    of the sample under reports/ counts as committed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shown = record_of(read_notebook(ROOT / "notebooks" / f"{PLAN[0].name}.ipynb")) or {}
    for name in _tracked():
        source, parts = ROOT / name, Path(name).parts
        if parts[1:3] != (shown.get("shop"), shown.get("month")) and source.is_file():
            target = folder.joinpath(*parts[1:])
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return folder


def make_copies(
    shop: str, *, month: str = "", settings: Sequence[str] = (), fresh: bool = False
) -> tuple[Path, list[str]]:
    """Make working copies of the notebooks with a shop's parameters; give their folder and notes.

    A copy that was changed by hand is kept as it is, unless ``fresh`` asks for new ones; it is
    then kept beside the new one as ``.before``.
    """
    from helpers.cleaning import store as cleaning
    from helpers.publishing.notebook_files import digest_cells

    found = load_shop(shop)
    declared = keys.declared_parameters(ROOT / "notebooks")
    keys.chosen_values(settings, declared, shop=found.name, month="")
    month = cleaning.check_month(found, cleaning.prepare(found), month)
    given = found.name if found.folder == (ROOT / "data" / found.name).resolve() else found.folder
    values = keys.chosen_values(settings, declared, shop=str(given), month=month)
    folder, notes = work_folder() / "lab" / found.name / month, []
    folder.mkdir(parents=True, exist_ok=True)
    made_path = folder / ".made.json"
    made = json.loads(made_path.read_text(encoding="utf-8")) if made_path.exists() else {}
    for step in PLAN:
        copy = folder / f"{step.name}.ipynb"
        changed = copy.exists() and digest_cells(copy) != made.get(step.name)
        if changed and not fresh:
            notes.append(f"{step.name} was changed by hand and is kept as it is")
            continue
        if changed:
            os.replace(copy, copy.with_suffix(".before.ipynb"))
        source = read_notebook(ROOT / "notebooks" / copy.name)
        notebook = _with_values(source, declared[step.name], values[step.name])
        if not copy.exists() or _sources(read_notebook(copy)) != _sources(notebook):
            _write(notebook, copy)
        made[step.name] = digest_cells(copy)
    made_path.write_text(json.dumps(made, indent=1, sort_keys=True), encoding="utf-8")
    return folder, notes


def lab(folder: Path, *, browser: bool = True, options: Sequence[str] = ()) -> int:
    """Open JupyterLab on a folder of working copies; give its exit code when it is closed.

    ``options`` go to JupyterLab as they are. Raises WorkbookError if it is not installed.
    """
    if find_spec("jupyterlab") is None:
        raise WorkbookError(
            "JupyterLab is not installed. Run: python -m pip install -r requirements.txt"
        )
    specs = work_folder() / "jupyter"
    _write_kernelspec(specs / "kernels" / "python3")
    paths = [str(specs), *filter(None, [os.environ.get("JUPYTER_PATH")])]
    # LTV_HOME has helpers look where these copies came from, from whatever folder they are run.
    environment = kernels.kernel_environment(
        {"JUPYTER_PATH": os.pathsep.join(paths), "LTV_HOME": str(ROOT)}
    )
    own = [f"--ServerApp.root_dir={folder}", *([] if browser else ["--no-browser"])]
    command = [sys.executable, "-m", "jupyterlab", *own, *options]
    process = subprocess.Popen(command, env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # JupyterLab asks before it stops; the terminal belongs to it.


def _run_one(step: Step, done: dict, scratch: Path, reports: Path, progress: Progress) -> dict:
    from helpers.publishing.notebook_files import normalize

    records = scratch / "records" / step.name
    records.mkdir(parents=True)
    for name in step.reads:
        write_record(records, name, record_of(done[name]))
    shop, shown = _committed_month() if step.reads_earlier else ("", "")
    for month in read_months(shown) if shown else ():
        (records / month).mkdir()
        for name, record in records_in(reports / shop / month / "notebooks").items():
            write_record(records / month, name, record)
    progress("runs", step.name, 0.0)
    try:
        notebook = kernels.execute(
            ROOT / "notebooks" / f"{step.name}.ipynb",
            {},
            shown={},
            name=step.name,
            partial=scratch / "partial" / f"{step.name}.ipynb",
            variables={"LTV_RECORDS": str(records), "LTV_REPORTS": str(reports)},
        )
    except kernels.NotebookError as error:
        kept = kernels.keep_evidence(error, work_folder() / "failed" / "committed")
        raise WorkbookError(f"{error} Nothing was stored; see {kept}.") from None
    progress("done", step.name, 0.0)
    return normalize(notebook)


def _committed_month() -> tuple[str, str]:
    """Give the shop and the month that the committed notebooks show: their own defaults."""
    from helpers.cleaning import store as cleaning
    from helpers.contract.shop import load_shop
    from helpers.publishing.parameters import read_parameters

    defaults = read_parameters(ROOT / "notebooks" / f"{PLAN[0].name}.ipynb")
    shop = load_shop(defaults["shop"].default)
    info = cleaning.prepare(shop)
    return shop.name, cleaning.check_month(shop, info, defaults["month"].default)


def _tracked() -> list[str]:
    """List the committed files under reports/, by their path in the repository."""
    try:
        listed = subprocess.run(
            ["git", "-C", str(ROOT), "ls-files", "-z", "reports"],
            capture_output=True,
            check=True,
            encoding="utf-8",
        )
        return sorted(filter(None, listed.stdout.split("\0")))
    except (OSError, subprocess.CalledProcessError):
        files = sorted((ROOT / "reports" / "sample").rglob("*"))
        return [path.relative_to(ROOT).as_posix() for path in files if path.is_file()]


def _comparable(cell: Mapping) -> list:
    kept = []
    for output in cell.get("outputs", []):
        data = {
            kind: value
            for kind, value in output.get("data", {}).items()
            if not kind.startswith("image/")
        }
        kept.append({**output, "data": data, "metadata": {}, "execution_count": None})
    return json.loads(json.dumps(kept, sort_keys=True))


def _with_values(notebook: dict, declared: Mapping, values: Mapping) -> dict:
    """Give a copy of a notebook with other parameter values and without outputs."""
    cells = []
    for cell in notebook["cells"]:
        fresh = dict(cell)
        if cell["cell_type"] == "code":
            fresh |= {"outputs": [], "execution_count": None}
        if "parameters" in cell.get("metadata", {}).get("tags", []):
            fresh["source"] = "\n".join(
                f"{name}: {each.type} = {_literal(values[name])}  # {each.help}"
                for name, each in declared.items()
            )
        cells.append(fresh)
    return {**notebook, "cells": cells}


def _literal(value: object) -> str:
    if isinstance(value, str | list):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)


def _sources(notebook: Mapping) -> list:
    return [cell["source"] for cell in notebook["cells"]]


def _write(notebook: Mapping, path: Path) -> None:
    import nbformat

    from helpers.publishing.notebook_files import write_notebook

    write_notebook(nbformat.from_dict(dict(notebook)), path)


def _write_kernelspec(folder: Path) -> None:
    """Write a kernel of this interpreter; a kernel in a user's own folder cannot go before it."""
    folder.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec, indent=1), encoding="utf-8")
