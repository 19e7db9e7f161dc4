"""Every requirement that is said to be answered has its section, in the notebook and on the page."""

import json
import re

import pytest

from helpers.contract.shop import ROOT

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "requirements.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \d", line)
]
# The requirements that notebook 01 answers; later notebooks add theirs.
CLEAN = {"3", "4", "17", "24", "30", "41", "47", "73"}
LTV = {
    "9",
    "10",
    "11",
    "12",
    "16",
    "19",
    "22",
    "26",
    "28",
    "31",
    "32",
    "33",
    "34",
    "53",
    "54",
    "63",
    "65",
    "66",
    "67",
    "71",
    "74",
    "75",
    "68",
    "78",
    "79",
    "80",
    "81",
    "82",
    "90",
    "91",
    "97",
}


# What notebook 03 answers: cohorts, repeat purchases, onboarding, behaviour.
COHORT = {"13", "14", "15", "18", "35", "37", "38", "45", "48", "49", "50", "60", "72", "80"}
COHORT |= {"83", "84", "93", "94"}

# And those that notebook 06 answers; 89 (surveys) comes with the tables of contacts.
REPORT = {"1", "5", "20", "27", "28", "40", "64", "69", "99"}


# And those that notebook 04 answers.
CLV = {"21", "23", "36", "39", "42", "43", "44", "46", "70", "71", "76", "95"}
# And those that notebook 05 answers; 13 stands with carts (03), 68 with leads (02).
UPLIFT = {"2", "6", "7", "8", "25", "29", "45", "51", "52", "55", "56", "57", "58", "59"}
UPLIFT |= {"61", "62", "75", "77", "87", "92"}


def headings(notebook: str) -> set[str]:
    [path] = (ROOT / "notebooks").glob(f"{notebook}_*.ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    found = (re.fullmatch(r"###? (.+)", line) for text in texts for line in text.splitlines())
    return {line[1].strip() for line in found if line}


@pytest.mark.parametrize(("number", "asked", "notebook", "section"), ROWS)
def test_section_is_in_the_notebook_and_on_the_page(number, asked, notebook, section):
    assert asked and section in headings(notebook)
    [page] = (ROOT / "reports" / "sample" / "2026-05").glob(f"{notebook}_*.html")
    text = page.read_text(encoding="utf-8")
    shown = [
        re.sub(r"<[^>]+>", "", each) for each in re.findall(r"<h[23][^>]*>(.*?)</h[23]>", text)
    ]
    assert any(section == each.strip().removesuffix("#").strip() for each in shown), number


def test_every_requirement_on_data_is_answered():
    assert {row[0] for row in ROWS} >= CLEAN


def test_every_requirement_on_the_monthly_report_is_answered():
    assert {row[0] for row in ROWS if row[2] == "06"} >= REPORT


def test_every_requirement_on_value_is_answered():
    assert {row[0] for row in ROWS if row[2] == "02"} >= LTV


def test_every_requirement_on_cohorts_is_answered():
    assert {row[0] for row in ROWS if row[2] == "03"} >= COHORT


def test_every_requirement_on_the_forecast_is_answered():
    assert {row[0] for row in ROWS if row[2] == "04"} >= CLV
    assert ("42", "06") in {(row[0], row[2]) for row in ROWS}


def test_every_requirement_on_campaigns_is_answered():
    assert {row[0] for row in ROWS if row[2] == "05"} >= UPLIFT
