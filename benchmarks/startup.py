"""What a month of a small shop costs: mostly imports and kernels, so held against just those.

The sample shop's month is made three ways, each a process of its own on a copy of the shop that
nothing is known of: cold, and again with everything kept, by this workbook; and by papermill, one
after another, six notebooks that only import the same libraries and draw one picture. Quoted are
medians of the clock, their ratios, and the peak memory of the whole process tree.

    python benchmarks/startup.py --runs 3
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import nbformat

_ROOT = Path(__file__).resolve().parent.parent
_TARGET = _ROOT / "reports" / "benchmarks" / "startup.md"
_BARE = (
    "import matplotlib.pyplot as plt\n"
    "import duckdb, ibis, ipywidgets, matplotlib, numpy, pandas, scipy.stats, seaborn\n"
    "import sklearn.ensemble"
)
# Looking at memory takes processor time from what is measured: seldom enough not to be seen.
_POLL_SECONDS = 1.0


def bare_notebooks(folder: Path) -> list[Path]:
    """Write six notebooks that import what the workbook's import, and draw one picture."""
    paths = []
    for number in range(1, 7):
        cells = [
            nbformat.v4.new_code_cell(code) for code in (_BARE, "plt.plot([1, 2])\nplt.show()")
        ]
        paths.append(folder / f"bare_{number}.ipynb")
        nbformat.write(nbformat.v4.new_notebook(cells=cells), paths[-1])
    return paths


def measured(commands: list[list[str]], environment: dict[str, str]) -> tuple[float, float]:
    """Run commands one after another: seconds of all, and the tree's peak memory in megabytes."""
    began, peak = time.perf_counter(), 0.0
    for command in commands:
        process = subprocess.Popen(
            command, cwd=_ROOT, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
        )
        while process.poll() is None:
            peak = max(peak, tree_memory(environment["LTV_WORK"]))
            time.sleep(_POLL_SECONDS)
        if process.returncode:
            raise click.ClickException(f"{' '.join(command[:4])} ended with {process.returncode}")
    return time.perf_counter() - began, peak


def tree_memory(work: str) -> float:
    """Megabytes of all processes that work in this folder, what they share counted once."""
    total, mark = 0.0, f"LTV_WORK={work}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes():
                lines = (entry / "smaps_rollup").read_text().splitlines()
                total += (
                    sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1e3
                )
        except OSError:
            continue  # it ended meanwhile
    return total


def one_run(place: Path) -> dict[str, tuple[float, float]]:
    """Measure the three ways once, in turn."""
    shop = place / "sample"
    leave = shutil.ignore_patterns("clean", "summaries", "private", "lists")
    shutil.copytree(_ROOT / "data" / "sample", shop, ignore=leave)
    own = {"LTV_WORK": str(place / "work"), "LTV_REPORTS": str(place / "reports")}
    environment = {**os.environ, **own}
    python = sys.executable
    report = [python, "-m", "helpers", "report", "--shop", str(shop), "--month", "2026-06"]
    papermill = [
        [python, "-m", "papermill", "--no-progress-bar", str(path), str(path), "-k", "python3"]
        for path in bare_notebooks(place)
    ]
    return {
        "imports and one picture, by papermill": measured(papermill, environment),
        "a cold month": measured([report], environment),
        "the month again": measured([report], environment),
    }


@click.command()
@click.option("--runs", default=3, show_default=True)
def main(runs: int) -> None:
    """Time a month against six notebooks that only import, and write the page."""
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            for name, cost in one_run(Path(folder)).items():
                found.setdefault(name, []).append(cost)
                click.echo(f"{name}: {cost[0]:.1f} s, {cost[1]:,.0f} MB")
    _TARGET.write_text(page(found, runs), encoding="utf-8")


def page(found: dict[str, list[tuple[float, float]]], runs: int) -> str:
    """Write the page: medians of the clock against those of bare imports, and peak memory."""
    seconds = {name: statistics.median(run[0] for run in each) for name, each in found.items()}
    bare = next(iter(seconds.values()))
    cold = seconds["a cold month"]
    lines = [
        "# What a small month costs beside imports and kernels",
        "",
        f"The sample shop's month, {os.cpu_count()} cores, medians of {runs} in turn by the clock;",
        "memory is the highest of the whole process tree, what processes share counted once.",
        "The other side is papermill on six notebooks, one after another, that only import the",
        "same libraries and draw one picture. Made by `make bench-startup`.",
        "",
        "| what | seconds | against bare imports | against a cold month | peak memory |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, each in found.items():
        peak = max(run[1] for run in each)
        lines.append(
            f"| {name} | {seconds[name]:.1f} | {seconds[name] / bare:.2f} "
            f"| {seconds[name] / cold:.2f} | {peak:,.0f} MB |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
