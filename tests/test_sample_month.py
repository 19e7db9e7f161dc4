"""Months published for real: pages, tables, privacy, and the same bytes wherever they are made."""

import html.parser
import json
import os
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from helpers.contract.shop import ROOT
from tests.command import run

# One worker makes the two months that all of these look at.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sample")]
CHAPTERS = [path.stem for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))]


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    done = run(folder, "report", "--months", "2026-05..2026-06")
    assert done.returncode == 0, done.stderr
    assert "sample 2026-06 is published" in done.stdout
    return folder / "reports"


@pytest.fixture(scope="module")
def month(reports) -> Path:
    return reports / "sample" / "2026-06"


class Page(html.parser.HTMLParser):
    """What a test asks of a page: tags, ids, images, links, headings."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.ids, self.images, self.links, self.levels = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.images += [found] if tag == "img" else []
        self.links += [found["href"]] if tag == "a" else []
        self.levels += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []


def pages(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*.html") if path.name != "summary.html")
    assert len(found) >= 7
    return found


def test_one_worker_makes_the_months(request):
    assert "PYTEST_XDIST_WORKER" not in os.environ or request.node.nodeid.endswith("@sample")


def test_a_month_is_whole(month):
    for name in ("index.html", "glossary.html", "manifest.json", "summary.json"):
        assert (month / name).is_file()
    for path in pages(month):
        assert "glossary.html" in Page(path.read_text(encoding="utf-8")).links, path.name
    assert [path.stem for path in sorted(month.glob("0*.html"))] == CHAPTERS
    assert [path.stem for path in sorted((month / "notebooks").glob("*.ipynb"))] == CHAPTERS
    assert len(list((month / "tables").glob("*.csv"))) > 25
    letter = Page((month / "summary.html").read_text(encoding="utf-8"))
    assert not letter.links and not letter.images, "a letter does not know where the pages lie"
    assert letter.levels.count(2) == len(CHAPTERS) + 2


def test_pages_need_no_network_and_no_script(reports):
    for path in pages(reports):
        text = path.read_text(encoding="utf-8")
        page = Page(text)
        assert "script" not in page.tags
        assert not re.search(r"""(src|href)=["']?(https?:)?//""", text), path.name
        assert "default-src 'none'" in text
        assert not re.search(r"\son[a-z]+=", text)
        assert len(text.encode()) < 600_000


def test_pages_are_for_everyone(reports):
    for path in pages(reports):
        page = Page(path.read_text(encoding="utf-8"))
        assert page.levels.count(1) == 1 and page.levels[0] == 1
        assert all(b - a <= 1 for a, b in zip(page.levels, page.levels[1:], strict=False)), (
            path.name
        )
        assert len(page.ids) == len(set(page.ids))
        assert all(len(image.get("alt", "")) > 40 for image in page.images)
        for href in page.links:
            target, _, anchor = href.partition("#")
            place = (path.parent / target).resolve() if target else path
            assert place.exists(), (path.name, href)
            if anchor and place.suffix == ".html":
                assert anchor in Page(place.read_text(encoding="utf-8")).ids, (path.name, href)


def test_every_notebook_shows_a_picture_with_its_numbers(month):
    for name in CHAPTERS:
        page = Page((month / f"{name}.html").read_text(encoding="utf-8"))
        assert page.images, name
        assert all(re.search(r"\d", image["alt"]) for image in page.images)


def test_nothing_published_names_a_customer(reports):
    customers = pd.read_csv(ROOT / "data" / "sample" / "customers.csv", dtype=str)["customer_id"]
    orders = pd.read_csv(ROOT / "data" / "sample" / "orders.csv", dtype=str)["order_id"].dropna()
    known = {*customers, *orders}
    for path in (p for p in reports.rglob("*") if p.suffix in (".html", ".csv", ".json", ".ipynb")):
        text = re.sub(
            r'"image/png": "[^"]*"|base64,[A-Za-z0-9+/=]*', "", path.read_text(encoding="utf-8")
        )
        words = set(re.findall(r"\b[A-Z]{1,2}\d{4,}\b", text))
        assert not words & known, path.name
        assert not re.search(r"[\w.]+@[\w.]+\.\w", text), path.name


def test_changes_against_the_month_before(month):
    summary = json.loads((month / "summary.json").read_text(encoding="utf-8"))
    assert summary["month_before"] == "2026-05"
    named = {(f["notebook"], f["name"]): f for f in summary["figures"]}
    figure = named["02_historical_ltv", "ltv_margin_365d"]
    before = json.loads((month.parent / "2026-05" / "summary.json").read_text(encoding="utf-8"))
    earlier = {(f["notebook"], f["name"]): f["value"] for f in before["figures"]}
    assert figure["before"] == earlier["02_historical_ltv", "ltv_margin_365d"] != figure["value"]
    table = pd.read_csv(month / "tables" / "06_scorecard.csv")
    assert table["month before"].notna().sum() > 15
    assert len(table) > 30


def published(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_the_same_bytes_from_another_folder_on_one_thread(reports, tmp_path):
    home = tmp_path / "another place"
    leave = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "helpers", home / "helpers", ignore=leave)
    leave = shutil.ignore_patterns("clean", "summaries")
    for name in ("notebooks", "data"):
        shutil.copytree(ROOT / name, home / name, ignore=leave)
    done = run(
        tmp_path,
        "report",
        "--month",
        "2026-05",
        "--jobs",
        "1",
        home=home,
        LTV_THREADS="1",
        LTV_HOME=str(home),
    )
    assert done.returncode == 0, done.stderr
    assert (home / "data" / "sample" / "clean").is_dir()
    first = published(reports / "sample" / "2026-05")
    assert published(tmp_path / "reports" / "sample" / "2026-05") == first


def test_the_committed_month_is_what_the_code_gives_today(reports):
    """Numbers only, and not their last digits: those of a fit hang on the processor."""
    committed, fresh = (folder / "sample" / "2026-05" for folder in (ROOT / "reports", reports))
    names = sorted(path.name for path in (committed / "tables").glob("*.csv"))
    assert names == sorted(path.name for path in (fresh / "tables").glob("*.csv"))
    for name in names:
        before, now = (pd.read_csv(folder / "tables" / name) for folder in (committed, fresh))
        pd.testing.assert_frame_equal(before, now, rtol=1e-5, obj=name)
    before, now = (
        json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        for folder in (committed, fresh)
    )
    for figure, again in zip(before.pop("figures"), now.pop("figures"), strict=True):
        assert figure == pytest.approx(again, rel=1e-5)
    assert before == now
