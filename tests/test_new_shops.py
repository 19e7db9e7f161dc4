"""Every known export, from a file to a published month, by the two commands a user would give."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from helpers.contract.shop import ROOT
from tests.cells import CHAPTERS, run_month
from tests.command import run_here

pytestmark = pytest.mark.slow
FIXTURES = ROOT / "tests" / "fixtures" / "presets"
PLACE = ("--currency", "EUR", "--time-zone", "Europe/Berlin")
SHOP = ("shopify/orders_export.csv", "shopify", *PLACE)
# Preset -> orders file, its preset, options; then what the shop has besides orders.
EXPORTS = {
    "shopify": (SHOP, {"consents"}),
    "shopify-old": (("shopify_old/orders_export.csv", "shopify", *PLACE), {"consents"}),
    "woocommerce": (("woocommerce/orders.csv", "woocommerce", *PLACE), set()),
    "stripe": (("stripe/payments.csv", "stripe", *PLACE), {"payments"}),
    "online-retail": (("online_retail/online_retail.csv", "online_retail"), set()),
    "online-retail-ii": (("online_retail_ii/online_retail_ii.xlsx", "online_retail_ii"), set()),
    "mail-and-costs": (
        (*SHOP, "--also", "klaviyo=klaviyo/campaigns.csv",
         "--also", "roistat_costs=roistat_costs/costs.csv", "--vat", "0.19"),
        {"consents", "campaigns", "marketing_spend"},
    ),
    "billing-and-visits": (
        (*SHOP, "--also", "stripe=stripe/payments.csv",
         "--also", "roistat_analytics=roistat_analytics/analytics.csv", "--vat", "net"),
        {"consents", "payments", "marketing_spend"},
    ),
}  # fmt: skip


def placed(option: str) -> str:
    """Name a fixture by its whole path, where an option names one."""
    preset, equals, file = option.rpartition("=")
    return f"{preset}{equals}{FIXTURES / file}" if (FIXTURES / file).is_file() else option


@pytest.fixture
def new_shop(tmp_path):
    """A shop of an export, by name: new-shop makes it and shows no customer."""

    def make(name: str) -> Path:
        (orders, preset, *options), _ = EXPORTS[name]
        folder = tmp_path / name
        made = run_here(tmp_path, "new-shop", str(folder), "--orders", str(FIXTURES / orders),
                        "--preset", preset, *map(placed, options))  # fmt: skip
        assert made.exit_code == 0, made.stderr
        assert not re.search(r"[\w.]+@example\.com|\bC-?\d{3}\b", made.stdout)
        return folder

    return make


# The others hold this one, and it is published below.
@pytest.mark.parametrize("name", [name for name in EXPORTS if name != "shopify"])
def test_all_notebooks_read_an_export(name, new_shop, tmp_path, monkeypatch):
    folder = new_shop(name)
    shown = run_month(folder, tmp_path / "records", monkeypatch)
    for chapter, each in shown.items():
        assert each.record["figures"] and all(each.said.values()), chapter
        assert "nan" not in each.text.lower().split(), chapter
    [info] = (folder / "clean").glob("*/info.json")
    found = json.loads(info.read_text(encoding="utf-8"))["tables"]
    assert set(found) == {"orders", *EXPORTS[name][1]}
    for table in found.values():
        out = sum(item["rows"] for item in table["set_aside"])
        assert table["rows"] == table["kept"] + out
        assert table["money"] == table["money_kept"] + sum(i["money"] for i in table["set_aside"])
    balance = shown["01_data_cleaning"].tables["balance"]
    differences = pd.DataFrame(balance["rows"], columns=balance["columns"])[["rows", "revenue"]]
    assert (differences.fillna(0) == 0).all(axis=None)


def test_an_export_becomes_a_published_month(new_shop, tmp_path):
    folder = new_shop("shopify")
    done = run_here(tmp_path, "report", "--shop", str(folder))
    assert done.exit_code == 0, done.stderr
    [month] = (tmp_path / "reports" / folder.name).iterdir()
    assert [path.stem for path in sorted(month.glob("0*.html"))] == CHAPTERS


def test_an_analytics_export_is_refused_with_the_reason(tmp_path):
    file = FIXTURES / "woocommerce_analytics" / "orders.csv"
    done = run_here(tmp_path, "new-shop", str(tmp_path / "shop"), "--orders", str(file), *PLACE)
    assert done.exit_code != 0
    assert "customer" in done.stderr and "Traceback" not in done.stderr
    assert not Path(tmp_path / "shop" / "shop.toml").exists()
