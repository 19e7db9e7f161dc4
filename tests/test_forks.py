"""Forked kernels: the same results as a new interpreter's, each on its own, none left behind."""

import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from helpers.records import read_notebook
from helpers.runs import kernels
from helpers.runs.forks import FORKS, supported

pytestmark = pytest.mark.skipif(not supported(), reason="kernels are forked on Linux alone")

SHOWN = """
import os, sys, pathlib
import numpy, pandas, duckdb, matplotlib.pyplot as plt
print(os.environ["LTV_SAID"], os.environ.get("LTV_OTHER"), pathlib.Path.cwd().name, sys.path[0] == "")
print(len({1, "a"} | {str(i) for i in range(9)}), hash("as every time"), sys.flags.hash_randomization)
print(duckdb.sql("SELECT sum(i) FROM range(100000) t(i)").fetchall(), sorted(plt.rcParams.items())[:9])
plt.plot([1, 2]);
"""


def run(tmp_path: Path, name: str, variables: dict[str, str], code: str = SHOWN) -> dict:
    source = tmp_path / "notebook.ipynb"
    cells = [nbformat.v4.new_code_cell(code, id="work")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), source)
    kernels.load_engine()
    return kernels.execute(
        source, {}, shown={}, name=name, partial=tmp_path / f"{name}.ipynb", variables=variables
    )


def outputs(notebook: dict) -> list:
    return [
        output.get("text") or output["data"]
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
    ]


def test_a_forked_kernel_gives_what_a_new_interpreter_gives(tmp_path, monkeypatch):
    forked = run(tmp_path, "forked", {"LTV_SAID": "one"})
    monkeypatch.setattr(kernels, "supported", lambda: False)
    fresh = run(tmp_path, "fresh", {"LTV_SAID": "one"})
    assert outputs(forked) == outputs(fresh)
    assert len(outputs(forked)) == 2  # what is printed, and the picture


def test_forks_do_not_see_each_others_variables(tmp_path):
    first = run(tmp_path, "first", {"LTV_SAID": "one", "LTV_OTHER": "more"})
    second = run(tmp_path, "second", {"LTV_SAID": "two"})
    assert "one more" in outputs(first)[0]
    assert "two None" in outputs(second)[0]


def test_a_kernel_that_dies_is_told_and_the_next_one_starts(tmp_path):
    died = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(kernels.NotebookError, match="the kernel died"):
        run(tmp_path, "died", {}, died)
    FORKS.stop()  # and a lost process of imports is started anew
    assert "fine" in outputs(run(tmp_path, "after", {}, "print('fine')"))[0]


def test_kernels_end_with_the_run_that_started_them(tmp_path):
    connection = tmp_path / "kernel.json"
    log = tmp_path / "kernel.log"
    log.touch()
    started = f"""
import os, time
from pathlib import Path
from helpers.runs.forks import FORKS
from helpers.runs.kernels import kernel_environment
kernel = FORKS.fork(["-f", {str(connection)!r}], env=kernel_environment({{}}), cwd=".", log={str(log)!r})
while not Path({str(connection)!r}).exists():
    time.sleep(0.05)
print(kernel.pid, flush=True)
os._exit(1)
"""
    done = subprocess.run([sys.executable, "-c", started], capture_output=True, text=True)
    pid, deadline = int(done.stdout), time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists()


def test_the_notebook_written_on_the_way_can_be_read(tmp_path):
    run(tmp_path, "kept", {}, "print('kept')")
    assert outputs(read_notebook(tmp_path / "kept.ipynb")) == ["kept\n"]
