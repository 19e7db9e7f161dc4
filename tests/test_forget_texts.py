"""Forgetting: ids in columns that are not a customer's, and files that hold them again."""

# ruff: noqa: F811

import re
import zipfile
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl.comments import Comment
from test_forget import ORDERS, gone, holders, ids_file, place, pseudonym, source_of  # noqa: F401

from helpers import engines, summaries
from helpers.cleaning import store as cleaning
from helpers.contract.shop import load_shop
from helpers.persons import keys as persons
from helpers.persons import scrub
from helpers.privacy import forget, redaction
from helpers.study import open_study

pytestmark = pytest.mark.slow

ANNA, BEN = "anna@x.org", "ben@y.org"
EVERYWHERE = """order_id,customer_id,ordered_at,revenue,product_id,coupon,channel,refund_of,notes
anna@x.org-1,Anna@x.org,2026-01-05 10:00:00,20.00,p1,FRIEND-anna@x.org,mail,,by anna@x.org
anna@x.org-2,anna@x.org,2026-01-07 10:00:00,30.00,p2,,mail,,
anna@x.org-2,anna@x.org,2026-01-09 10:00:00,-5.00,p2,,mail,anna@x.org-2,
ben-1,ben@y.org,2026-02-01 12:00:00,25.50,anna@x.org,FRIEND-anna@x.org,anna@x.org,,sent by anna@x.org
ben-2,ben@y.org,2026-02-28 23:59:59,11.00,p2,,mail,,
ben-anna@x.org-3,ben@y.org,2026-02-03 12:00:00,12.00,p2,,mail,,
ben-anna@x.org-4,ben@y.org,2026-02-03 12:00:00,12.00,p2,,mail,,
ben-5,ben@y.org,sometime,1.00,FOR-anna@x.org,,mail,,
"""
REPEATED = {
    "payments": "payment_id,order_id,paid_at,amount\nch-1,anna@x.org-1,2026-01-05,20.00\n"
    "ch-anna@x.org,anna@x.org-2,2026-01-05,30.00\nch-3,ben-anna@x.org-3,2026-02-03,12.00\n",
    "carts": "cart_id,customer_id,started_at,recovered_order_id\n"
    "k1,,2026-01-01,anna@x.org-1\nk2,ben@y.org,2026-02-03,ben-anna@x.org-3\n",
    "leads": "lead_id,product,at,customer_id\nl-anna@x.org,for anna@x.org,2026-01-01,\n",
}  # fmt: skip


def as_kind(folder: Path, kind: str) -> None:
    """Write a shop's CSV files in another kind, and name those in shop.toml."""
    toml = (folder / "shop.toml").read_text()
    for path in sorted(folder.glob("*.csv")) if kind != "csv" else []:
        frame = pd.read_csv(path, dtype="str", keep_default_na=False)
        target = path.with_suffix(f".{kind}")
        if kind == "parquet":
            pq.write_table(pa.table({name: [*frame[name]] for name in frame}), target)
        else:
            frame.to_excel(target, index=False)
        path.unlink()
    (folder / "shop.toml").write_text(toml.replace(".csv", f".{kind}"))


def sums(info) -> dict:
    """Give the rows and money that came in, having checked that they balance."""
    found = {}
    for table, told in info.tables.items():
        aside = sum(item["rows"] for item in told["set_aside"])
        money = sum(item["money"] for item in told["set_aside"])
        assert told["rows"] == told["kept"] + aside, table
        assert told["money"] == told["money_kept"] + money, table
        found[table] = (told["rows"], told["money"], told["kept"])
    return found


@pytest.mark.parametrize("kind", ["csv", "parquet", "xlsx"])
def test_an_id_in_any_column_goes_and_stays_out_of_restored_files(make_shop, place, kind):
    folder = make_shop(EVERYWHERE, **REPEATED)
    as_kind(folder, kind)
    shop = load_shop(str(folder))
    before = cleaning.prepare(shop)
    con = engines.connect(shop)
    orders = con.read_parquet(str(before.folder / "orders*.parquet"), union_by_name=True)
    assert int(con.execute(orders.filter(orders.coupon.notnull()).count())) > 0
    name = pseudonym(shop, ANNA)
    originals = {path: path.read_bytes() for path in folder.glob(f"*.{kind}")}

    done = forget.forget(str(folder), ids_file(place, ANNA))
    assert (done.known, done.redacted[f"orders.{kind}"]) == (1, 7)
    assert holders({ANNA, "Anna@x.org", name}, folder) == []
    redacted = sums(cleaning.prepare(load_shop(str(folder))))
    assert {t: n[:2] for t, n in redacted.items()} == {
        t: n[:2] for t, n in sums(before).items()
    }  # fmt: skip
    assert holders({ANNA, "Anna@x.org", name}, folder) == []
    first = clean_words(folder)

    for path, content in originals.items():
        path.write_bytes(content)
    after = cleaning.prepare(load_shop(str(folder)))
    assert sums(after) == redacted
    study = open_study(str(folder))
    summaries.load(study, "periods")
    study.con.disconnect()
    assert holders({ANNA, "Anna@x.org", name}, folder / "clean", folder / "summaries") == []
    assert clean_words(folder) == first


def clean_words(folder: Path) -> dict:
    """Give the ids of Ben's orders, and of what refers to orders, in the newest clean tables."""
    newest = max((folder / "clean").glob("[0-9a-f]*"), key=lambda path: path.stat().st_mtime)
    ben = pq.read_table(newest / "orders.parquet").to_pandas()
    aside = pq.read_table(newest / "orders_quarantine.parquet").to_pandas()
    paid = pq.read_table(newest / "payments.parquet").to_pandas()
    carts = pq.read_table(newest / "carts.parquet").to_pandas()
    leads = pq.read_table(newest / "leads.parquet").to_pandas()
    every = {*ben["order_id"], *aside["order_id"]}
    assert ben["order_id"].nunique() == 4, "orders stay apart"
    assert aside.loc[aside["rule"] == "customer_forgotten", "order_id"].nunique() == 2
    assert {*paid["order_id"]} <= every and {*carts["recovered_order_id"]} <= every
    assert paid["payment_id"].nunique() == 3
    assert {*ben["coupon"].dropna()} == {"FRIEND-forgotten"}
    assert {*ben["channel"]} == {"mail", "forgotten"}
    return {
        "orders": sorted(every), "paid": sorted(paid["order_id"]),
        "carts": sorted(carts["recovered_order_id"]),
        "leads": [*leads["lead_id"], *leads["product"]],
    }  # fmt: skip


def test_other_peoples_ids_that_hold_a_forgotten_one_stay(make_shop, place):
    folder = make_shop(ORDERS.replace("4,C0003", "C0001-4,C0001-3"))
    shop = load_shop(str(folder))
    cleaning.prepare(shop)
    forget.forget(str(folder), ids_file(place, "C0001"))
    orders = pd.read_csv(folder / "orders.csv", dtype="str")
    row = orders[orders["customer_id"] == "C0001-3"].iloc[0]
    assert re.fullmatch("forgotten-[0-9a-f]{20}", row["order_id"]) and row["person"] == "Cleo"


def test_amounts_and_days_are_no_ids(make_shop, place):
    text = (
        "order_id,customer_id,ordered_at,revenue,coupon\n"
        "1,123456,2026-01-05,5.00,123456\n2,20260106,2026-01-06,123456,\n"
        "123456,99,20260106,20260106,\n"
    )
    folder = make_shop(text, orders_toml='date_format = "%Y%m%d"')
    forget.forget(str(folder), ids_file(place, "123456", "20260106"))
    orders = pd.read_csv(folder / "orders.csv", dtype="str", keep_default_na=False)
    assert orders["ordered_at"].tolist() == ["2026-01-05", "2026-01-06", "20260106"]
    assert orders["revenue"].tolist() == ["5.00", "123456", "20260106"]
    assert orders["customer_id"].tolist() == ["forgotten", "forgotten", "99"]
    assert orders["coupon"].tolist() == ["forgotten", "", ""]
    assert orders["order_id"].tolist()[:2] == ["1", "2"] and orders["order_id"][2] != "123456"


def test_titles_comments_and_links_are_searched(make_shop, place):
    folder = make_shop(ORDERS, orders_toml="skip_rows = 1")
    toml = (folder / "shop.toml").read_text()
    (folder / "shop.toml").write_text(toml.replace("orders.csv", "orders.xlsx"))
    (folder / "orders.csv").unlink()
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append([f"Orders, for {ANNA}"])
    sheet.append(["order_id", "customer_id", "ordered_at", "revenue", "coupon"])
    sheet.append([1, BEN, "2026-01-01", 12, "x"])
    sheet["E3"].comment = Comment(f"from {ANNA}", ANNA)
    sheet["D3"].hyperlink = f"mailto:{ANNA}"
    book.properties.creator = ANNA
    book.save(folder / "orders.xlsx")
    done = forget.forget(str(folder), ids_file(place, ANNA))
    assert done.redacted["orders.xlsx"] == 4
    after = openpyxl.load_workbook(folder / "orders.xlsx")
    assert after.active["A1"].value == "Orders, for forgotten"
    assert after.active["E3"].comment.text == "from forgotten"
    with zipfile.ZipFile(folder / "orders.xlsx") as packed:
        assert not any(ANNA.encode() in packed.read(name) for name in packed.namelist())
    assert cleaning.prepare(load_shop(str(folder))).tables["orders"]["kept"] == 1


def test_formulas_keep_the_values_they_had(make_shop, gone, monkeypatch):
    path, source = source_of(make_shop, ORDERS)
    target, load = path.with_name("orders.xlsx"), openpyxl.load_workbook
    book = openpyxl.Workbook()
    book.active.append(["order_id", "customer_id", "ordered_at", "revenue"])
    book.active.append([1, ANNA, "2026-01-01", "=6*2"])
    book.save(target)

    def computed(path, data_only=False, **options):
        # openpyxl computes nothing: a spreadsheet program would have stored the value.
        found = load(path, data_only=data_only, **options)
        if data_only:
            found.active["D2"] = 12
        return found

    monkeypatch.setattr(openpyxl, "load_workbook", computed)
    assert redaction.redact(target, source, gone(ANNA)).rows == 1
    assert load(target).active["D2"].value == 12


@pytest.mark.parametrize("kind", ["csv", "parquet", "xlsx"])
def test_nested_and_typed_cells_and_other_files_of_the_folder(make_shop, place, kind):
    folder = make_shop(ORDERS)
    table = {"Order ID": [f"{ANNA}-1", f"{ANNA}-2", "3"], "memo": [f"x {ANNA}", ANNA, "y"]}
    if kind == "parquet":
        nested = pa.array([[ANNA, "b"], ["c"], []], pa.list_(pa.string()))
        pq.write_table(pa.table({**table, "tags": nested}), folder / "old.parquet")
    elif kind == "xlsx":
        pd.DataFrame(table).to_excel(folder / "old.xlsx", index=False)
    else:
        pd.DataFrame(table).to_csv(folder / "old.csv", index=False)
    forget.forget(str(folder), ids_file(place, ANNA))
    assert holders({ANNA}, folder) == []
    if kind == "parquet":
        after = pq.read_table(folder / "old.parquet").to_pydict()
        assert after["tags"][1:] == [["c"], []] and after["Order ID"][2] == "3"


SHOPIFY = (
    "Name,Email,Financial Status,Currency,Subtotal,Shipping,Taxes,Total,Created at,"
    "Lineitem quantity,Lineitem name,Lineitem price,Phone,Refunded Amount,Billing Name\n"
    "#1001,anna@x.org,paid,EUR,20.00,0,0,20.00,2026-01-05 10:00:00 +0100,1,Cup,20.00,"
    "+4930123456,5.00,Anna X\n"
    "#1002,ben@y.org,paid,EUR,30.00,0,0,30.00,2026-01-06 10:00:00 +0100,1,Cup,30.00,"
    "+4930999999,0,Ben Y\n"
)


@pytest.mark.parametrize("kind", ["csv", "parquet", "xlsx"])
def test_further_contacts_of_a_forgotten_customer_go(make_shop, place, kind):
    folder = make_shop(SHOPIFY)
    (folder / "shop.toml").write_text(
        'currency = "EUR"\ntime_zone = "Europe/Berlin"\npreset = "shopify"\n'
        '[tables.orders]\nfiles = "orders.csv"\n[privacy]\nmin_cell = 1\n'
    )
    as_kind(folder, kind)
    before = cleaning.prepare(load_shop(str(folder)))
    forget.forget(str(folder), ids_file(place, ANNA))
    assert holders({ANNA, "+4930123456", "4930123456", "Anna X"}, folder) == []
    assert holders({"+4930999999"}, folder) == [str(folder / f"orders.{kind}")]
    after = cleaning.prepare(load_shop(str(folder)))
    assert after.tables["orders"]["money"] == before.tables["orders"]["money"]
    assert after.tables["orders"]["rows"] == before.tables["orders"]["rows"] == 3


def test_ids_that_differ_in_capitals_are_counted_and_stay(make_shop, place):
    folder = make_shop(ORDERS.replace("4,C0003", "4,c0001"))
    cleaning.prepare(load_shop(str(folder)))
    done = forget.forget(str(folder), ids_file(place, "C0001"))
    assert done.twins == 1
    said = "\n".join(done.lines())
    assert "still known: 1 whose id differs" in said and "c0001" not in said.lower()
    assert "4,c0001," in (folder / "orders.csv").read_text()


def test_nothing_is_looked_at_while_nobody_is_forgotten(make_shop, place, monkeypatch):
    monkeypatch.setattr(scrub, "_changes", lambda *given: pytest.fail("texts were looked at"))
    assert cleaning.prepare(load_shop(str(make_shop(EVERYWHERE, **REPEATED)))).tables


def test_headers_are_folded_where_ids_are_composed(make_shop):
    toml = '[tables.orders.columns]\norder_id = ["Customer ID", "no"]\ncustomer_id = "customerid"'
    shop = load_shop(str(make_shop(ORDERS, orders_toml=toml)))
    assert persons.composites(shop, shop.sources["orders"][0]) == ("order_id", "refund_of")
