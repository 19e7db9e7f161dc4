"""JupyterLab itself, started as an analyst would, with one notebook run in it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import TimeoutError

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = "01_data_cleaning.ipynb"


@pytest.fixture
def lab(tmp_path):
    """Start it on working copies of its own; give its address and the folder of the copies."""
    said = tmp_path / "lab.log"
    environment = {**os.environ, "LTV_WORK": str(tmp_path / "work")}
    command = [sys.executable, "-m", "helpers", "lab", "--no-browser", "--month", "2026-05"]
    command += ["--", "--allow-root"] if os.geteuid() == 0 else []
    with said.open("w") as log:
        started = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 90
        address = None
        while address is None and time.monotonic() < deadline:
            assert started.poll() is None, said.read_text()
            address = re.search(r"http://127\.0\.0\.1:\d+/lab\S*", said.read_text())
            time.sleep(0.2)
        assert address, said.read_text()
        [copy] = (tmp_path / "work").rglob(NOTEBOOK)
        yield address[0], copy
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGTERM)
        started.wait(30)


def executed(notebook: Path) -> list[dict]:
    """Give the code cells of a notebook as it is saved."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except json.JSONDecodeError:  # it is being written
        return []
    return [cell for cell in cells if cell["cell_type"] == "code"]


def run_all(page) -> None:
    """Choose Run All Cells from the menu."""
    page.get_by_role("menuitem", name="Run", exact=True).click(timeout=10_000)
    page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click(timeout=10_000)


def test_a_notebook_runs_in_jupyterlab(browser, lab):
    address, copy = lab
    head, _, token = address.partition("?")
    page = browser.new_page()
    page.goto(f"{head.rstrip('/')}/tree/{NOTEBOOK}?{token}")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
    # Cells that are told to run before the kernel is there are not run at all.
    idle = "document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status === 'idle'"
    page.wait_for_function(idle, timeout=120_000)
    cells, deadline = [], time.monotonic() + 240
    while not cells or not all(cell["execution_count"] for cell in cells):
        assert time.monotonic() < deadline, "all cells run within four minutes"
        if not any(cell["execution_count"] for cell in cells):
            # Told to run while the kernel starts, JupyterLab asks which one is meant, or runs none.
            time.sleep(10)
            asked = page.locator(".jp-Dialog .jp-mod-accept")
            if asked.count():
                asked.first.click()
                continue
            page.wait_for_function(idle, timeout=60_000)
            with suppress(TimeoutError):
                run_all(page)
            time.sleep(5)
        time.sleep(1)
        page.keyboard.press("Control+s")
        time.sleep(1)
        cells = executed(copy)
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    page.close()
