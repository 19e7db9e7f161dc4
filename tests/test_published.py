"""Months published for real: pages, tables, privacy, and the same bytes wherever they are made."""

import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from helpers.__main__ import main
from helpers.contract.shop import ROOT

CHAPTERS = [path.stem for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))]


def run(
    folder: Path, *arguments: str, home: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess:
    """Run the command line in a process of its own, with reports and work of its own."""
    own = {"LTV_REPORTS": str(folder / "reports"), "LTV_WORK": str(folder / "work")}
    found = {**os.environ, **own, "PYTHONPATH": str(home), **environment}
    command = [sys.executable, "-m", "helpers", *arguments]
    return subprocess.run(command, cwd=home, env=found, capture_output=True, text=True)


def run_here(folder: Path, *arguments: str) -> Result:
    """Run the command line in this process, whose kernels need not import everything anew."""
    own = {"LTV_REPORTS": str(folder / "reports"), "LTV_WORK": str(folder / "work")}
    return CliRunner().invoke(main, arguments, env=own)


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
    """Numbers only: pages also name the versions that made them."""
    committed, fresh = (folder / "sample" / "2026-05" for folder in (ROOT / "reports", reports))
    tables = {path.name: path.read_text() for path in sorted((committed / "tables").glob("*.csv"))}
    assert tables == {
        path.name: path.read_text() for path in sorted((fresh / "tables").glob("*.csv"))
    }
    summary = (committed / "summary.json").read_text(encoding="utf-8")
    assert summary == (fresh / "summary.json").read_text(encoding="utf-8")


def test_cdnow_is_published_from_the_real_data(tmp_path):
    done = run_here(tmp_path, "report", "--shop", "cdnow", "--month", "1998-06")
    assert done.exit_code == 0, done.stderr
    month = tmp_path / "reports" / "cdnow" / "1998-06"
    figures = {
        f["name"]: f["value"] for f in json.loads((month / "summary.json").read_text())["figures"]
    }
    assert figures["rows_seen"] == 69_659
    assert figures["customers_seen"] == 23_570
    assert figures["revenue_seen"] == 2_500_315.63
    alerts = json.loads((month / "summary.json").read_text())["alerts"]
    assert ["outside" in alert["text"] for alert in alerts] == [True]
    mae = pd.read_csv(month / "tables" / "04_holdout.csv").set_index("rule")["mae"]
    assert (
        mae[["BG/NBD", "MBG/NBD", "Pareto/NBD"]].max()
        < mae[["same as last period", "same rate"]].min()
    )
    assert [path.stem for path in sorted(month.glob("0*.html"))] == CHAPTERS


def test_a_file_never_seen_needs_ten_lines_of_toml(tmp_path):
    folder = tmp_path / "bakery"
    folder.mkdir()
    sample = pd.read_csv(ROOT / "data" / "sample" / "orders.csv", dtype=str)
    rows = sample[
        sample["currency"].eq("EUR") & sample["revenue"].str.match(r"-?[\d.]+$", na=False)
    ].head(9000)
    rows = rows[rows["ordered_at"].str.match(r"202[456]", na=False)]
    rows = rows[pd.to_datetime(rows["ordered_at"], errors="coerce").notna()]
    stamp = pd.to_datetime(rows["ordered_at"])
    mine = pd.DataFrame(
        {
            "Beleg": rows["order_id"],
            "Kunde": rows["customer_id"],
            "Datum": stamp.dt.strftime("%d.%m.%Y %H:%M"),
            "Netto": rows["revenue"].str.replace(".", ",", regex=False),
        }
    )
    mine.to_csv(folder / "export-2026.csv", sep=";", index=False)
    lines = [
        'currency = "EUR"', 'time_zone = "Europe/Berlin"', "[tables.orders]", 'files = "export-*.csv"',
        "decimal = ','\ndate_format = '%d.%m.%Y %H:%M'", "[tables.orders.columns]", 'order_id = "Beleg"',
        'customer_id = "Kunde"', 'ordered_at = "Datum"', 'revenue = "Netto"',
    ]  # fmt: skip
    (folder / "shop.toml").write_text("\n".join(lines), encoding="utf-8")
    done = run_here(tmp_path, "report", "--shop", str(folder))
    assert done.exit_code == 0, done.stderr
    month = next((tmp_path / "reports" / "bakery").glob("20*"))
    assert [path.stem for path in sorted(month.glob("0*.html"))] == CHAPTERS
    last = pd.Timestamp(f"{month.name}-01") + pd.offsets.MonthEnd(1)
    seen = json.loads((month / "summary.json").read_text())["figures"]
    revenue = next(f["value"] for f in seen if f["name"] == "revenue_seen")
    known = rows["customer_id"].notna() & (stamp < last + pd.Timedelta(days=1))
    assert revenue == pytest.approx(rows.loc[known, "revenue"].astype(float).sum(), abs=0.01)


@pytest.mark.parametrize(
    "table", ["customers", "marketing_spend", "service_costs", "assignments", "experiments"]
)
def test_a_missing_optional_table_is_said_on_the_page(table, tmp_path):
    from helpers import summaries
    from helpers.chapters import cohort_tables, intake, ltv_tables, uplift_tables
    from helpers.chapters.trials import load_trials
    from helpers.measures import economics as unit
    from helpers.measures import metrics
    from helpers.study import open_study

    folder = tmp_path / "sample"
    shutil.copytree(
        ROOT / "data" / "sample", folder, ignore=shutil.ignore_patterns("clean", "summaries")
    )
    keep = ["orders", "customers", "marketing_spend", "service_costs", "assignments", "experiments"]
    text = (folder / "shop.toml").read_text(encoding="utf-8")
    head = text.split("[tables.")[0]
    tables = "".join(f'[tables.{n}]\nfiles = "{n}.csv"\n' for n in keep if n != table)
    (folder / "shop.toml").write_text(head + tables, encoding="utf-8")
    study = open_study(str(folder), "2026-06")
    answered = intake.coverage(study).set_index("question")["answered"]
    periods, ages = summaries.load(study, "periods"), summaries.load(study, "cohort_ages")
    economics = unit.unit_economics(summaries.load(study, "acquisition"), ages, as_of=study.end)
    trials = load_trials(study)
    assert (
        (answered["Cost of winning a customer"] == "no")
        == (table == "marketing_spend")
        == economics.empty
    )
    assert (answered["Cost of serving a customer"] == "no") == (table == "service_costs")
    assert (answered["Effect of campaigns"] == "no") == (table == "experiments")
    assert (not trials) == (table in ("assignments", "experiments"))
    assert (ltv_tables.identities(periods)["largest_difference"] == 0).all()
    outside = summaries.load(study, "outside_cohorts")
    assert cohort_tables.tie_out(ages, periods, outside)["revenue"].iloc[-1] == 0
    assert metrics.money_basis(periods) == "margin"
    if table in ("assignments", "experiments"):
        assert f"table {table}" in uplift_tables.counts_sentence(study, [])
