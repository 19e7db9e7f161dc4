"""Months of shops that are not the sample: real data, a file never seen, tables that are missing."""

import json
import shutil

import pandas as pd
import pytest

from helpers.contract.shop import ROOT
from tests.cells import CHAPTERS, run_month
from tests.command import run_here

pytestmark = pytest.mark.slow


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
    campaigns = (month / "05_campaign_uplift.html").read_text(encoding="utf-8")
    assert campaigns.count("there is nothing to read here") == 1
    assert "Does it last?" not in campaigns and "What could the next test see?" in campaigns


def test_a_file_never_seen_needs_ten_lines_of_toml(tmp_path, monkeypatch):
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
    shown = run_month(folder, tmp_path / "records", monkeypatch)
    record = shown[CHAPTERS[0]].record
    last = pd.Timestamp(f"{record['month']}-01") + pd.offsets.MonthEnd(1)
    revenue = next(f["value"] for f in record["figures"] if f["name"] == "revenue_seen")
    known = rows["customer_id"].notna() & (stamp < last + pd.Timedelta(days=1))
    assert revenue == pytest.approx(rows.loc[known, "revenue"].astype(float).sum(), abs=0.01)


@pytest.mark.parametrize(
    "missing",
    [("customers", "marketing_spend"), ("service_costs", "assignments"), ("experiments",)],
)
def test_a_missing_optional_table_is_said_on_the_page(missing, tmp_path):
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
    tables = "".join(f'[tables.{n}]\nfiles = "{n}.csv"\n' for n in keep if n not in missing)
    (folder / "shop.toml").write_text(head + tables, encoding="utf-8")
    study = open_study(str(folder), "2026-06")
    answered = intake.coverage(study).set_index("question")["answered"]
    periods, ages = summaries.load(study, "periods"), summaries.load(study, "cohort_ages")
    economics = unit.unit_economics(summaries.load(study, "acquisition"), ages, as_of=study.end)
    trials = load_trials(study)
    assert (
        (answered["Cost of winning a customer"] == "no")
        == ("marketing_spend" in missing)
        == economics.empty
    )
    assert (answered["Cost of serving a customer"] == "no") == ("service_costs" in missing)
    assert (answered["Effect of campaigns"] == "no") == ("experiments" in missing)
    unread = [table for table in missing if table in ("assignments", "experiments")]
    assert (not trials) == bool(unread)
    assert (ltv_tables.identities(periods)["largest_difference"] == 0).all()
    outside = summaries.load(study, "outside_cohorts")
    assert cohort_tables.tie_out(ages, periods, outside)["revenue"].iloc[-1] == 0
    assert metrics.money_basis(periods) == "margin"
    for table in unread:
        assert f"table {table}" in uplift_tables.counts_sentence(study, [])
