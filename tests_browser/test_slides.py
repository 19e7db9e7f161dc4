"""Every deck as a trainer shows it: quiet, offline, by keys, for everyone, light and dark."""

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import SCHEMES, faults, opened, outside

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = [path.stem for path in sorted((ROOT / "notebooks").glob("0*.ipynb"))]
EXERCISES = [f"exercise_{p.stem}" for p in sorted((ROOT / "notebooks/exercises").glob("0*.ipynb"))]
DECKS = [*CHAPTERS, *EXERCISES, "webinar"]


@pytest.fixture(scope="module")
def decks(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("slides")
    command = [sys.executable, "-m", "helpers", "slides", "--out", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert sorted(path.stem for path in folder.glob("*.html")) == sorted(DECKS)
    return folder


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", DECKS)
def test_a_deck_is_quiet_offline_and_for_everyone(browser, decks, name, scheme):
    watched = opened(browser, decks / f"{name}.html", scheme=scheme)
    assert watched.complaints == []
    assert outside(watched) == []
    assert faults(watched.page) == []
    watched.page.context.close()


@pytest.mark.parametrize("name", ["01_data_cleaning", "exercise_00_first_ltv", "webinar"])
def test_keys_step_through_a_deck(browser, decks, name):
    page = opened(browser, decks / f"{name}.html").page
    counter = page.locator("#counter")
    first, slides = counter.inner_text().split(" / ")
    assert first == "1" and int(slides) > 5
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert counter.inner_text() == f"3 / {slides}"
    page.keyboard.press("End")
    assert counter.inner_text() == f"{slides} / {slides}"
    page.keyboard.press("n")
    assert page.locator("details.notes[open]").count() > 0
    page.context.close()
