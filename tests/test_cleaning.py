import json
import shutil
from datetime import date

import pandas as pd
import pytest

from helpers.cleaning import loading
from helpers.cleaning import store as cleaning
from helpers.contract.shop import load_shop
from helpers.errors import DataError, UsageError
from helpers.study import open_study
from tests.conftest import ORDERS


def prepared(folder):
    return cleaning.prepare(load_shop(str(folder)))


def test_every_row_and_cent_is_accounted_for(make_shop):
    faulty = ORDERS + (
        ",anna,2026-01-06,1.00\n6,,2026-01-06,2.00\n7,anna,sometime,4.00\n8,anna,2026-01-06,n/a\n"
        "9,anna,2026-05-01,8.00\n1,anna,2026-01-05 10:00:00,20.00\n"
    )
    faulty += "10,dora,2026-03-02,1.00\n11,dora,2026-03-03,1.00\n"
    toml = 'complete_through = 2026-03-31\nduplicates = "quarantine"'
    orders = prepared(make_shop(faulty, toml=toml)).tables["orders"]
    assert {row["reason"]: row["rows"] for row in orders["set_aside"]} == {
        "order_id_missing": 1, "customer_id_missing": 1, "ordered_at_unreadable": 1,
        "revenue_unreadable": 1, "after_the_period": 1, "duplicate_line": 1,
    }  # fmt: skip
    assert orders["rows"] == 13 and orders["kept"] == 7
    aside = sum(row["rows"] for row in orders["set_aside"])
    assert orders["rows"] == orders["kept"] + aside
    money = sum(row["money"] for row in orders["set_aside"])
    assert orders["money"] == orders["money_kept"] + money == 16475
    assert orders["money_kept"] == 12975


def test_duplicates_are_kept_and_flagged_by_default(make_shop):
    orders = prepared(make_shop(ORDERS + "1,anna,2026-01-05 10:00:00,20.00\n")).tables["orders"]
    assert orders["kept"] == 6 and orders["flags"]["duplicate_line"] == 1


def test_a_currency_without_a_rate_and_one_that_is_missing_are_set_aside(make_shop):
    text = (
        "order_id,customer_id,ordered_at,revenue,currency\n1,a,2026-01-01,1,eur\n"
        "2,a,2026-01-02,2,USD\n3,a,2026-01-31,3,\n4,a,2026-01-31,4,EUR\n5,b,2026-01-31,5,EUR\n"
    )
    folder = make_shop(text, toml="[quarantine]\nmost_revenue = 0.5")
    orders = prepared(folder).tables["orders"]
    assert orders["kept"] == 3
    taken = {item["reason"]: item["money"] for item in orders["set_aside"]}
    assert taken == {"currency_missing": 300, "currency_without_rate": 200}


def test_foreign_amounts_are_converted_at_the_rate_of_their_day(make_shop):
    text = (
        "order_id,customer_id,ordered_at,revenue,currency\n1,a,2026-01-01,1,EUR\n"
        "2,a,2026-01-05,2,USD\n3,a,2026-01-31,3,usd\n4,b,2026-03-31,4,USD\n"
    )
    rates = "currency,day,rate\nUSD,2026-01-04,0.5\nUSD,2026-01-10,0.75\nUSD,2026-01-10,0.8\n"
    toml = "[quarantine]\nmost_revenue = 0.6"
    study = open_study(str(make_shop(text, toml=toml, fx_rates=rates)), "2026-01")
    orders = study.info.tables["orders"]
    assert orders["flags"]["currency_converted"] == 2
    assert {item["reason"]: item["rows"] for item in orders["set_aside"]} == {
        "currency_without_rate": 1
    }
    found = study.table("orders").order_by("order_id").execute()
    assert found.revenue.tolist() == [100, 100, 225]
    assert found.currency.tolist() == ["EUR", "EUR", "EUR"]


def test_margin_is_missing_where_cost_is(make_shop):
    text = (
        "order_id,customer_id,ordered_at,revenue,cogs,payment_fee\n"
        "1,a,2026-01-01,10,4,0.5\n2,b,2026-01-31,20,,0.5\n"
    )
    study = open_study(str(make_shop(text)))
    margins = study.table("orders").order_by("order_id").margin.execute()
    assert margins[0] == 550 and pd.isna(margins[1])
    study = open_study(str(make_shop(text, toml="[margin]\nrule = 'rate'\nrate = 0.4")))
    assert sorted(study.table("orders").margin.execute()) == [400, 800]
    study = open_study(str(make_shop(text, toml="[margin]\nrule = 'none'")))
    assert study.table("orders").margin.isnull().all().execute()


def test_refunds_are_dated_by_when_they_were_known(make_shop):
    text = (
        "order_id,customer_id,ordered_at,revenue,refund_of,refunded_at\n"
        "1,a,2026-01-30,50,,\n2,b,2026-02-28,5,,\nr1,a,2026-02-03,-20,1,2026-02-03\n"
        "r2,b,2026-02-28,-5,nowhere,\n"
    )
    folder = make_shop(text)
    january, february = (open_study(str(folder), month) for month in ("2026-01", "2026-02"))
    assert january.table("orders").revenue.sum().execute() == 5000
    assert february.table("orders").revenue.sum().execute() == 3000
    flags = february.info.tables["orders"]["flags"]
    assert flags["refund_without_date"] == 1 and flags["refund_without_sale"] == 1


def test_local_day_follows_the_shops_zone(make_shop):
    text = "order_id,customer_id,ordered_at,revenue\n1,a,2026-01-31T23:30:00Z,1\n2,a,2026-01-31 23:30:00,1\n3,a,2026-03-31,1\n"
    study = open_study(str(make_shop(text)))
    days = study.table("orders").order_by("order_id").order_date.execute().astype(str).tolist()
    assert days == ["2026-02-01", "2026-01-31", "2026-03-31"]
    utc = study.table("orders").order_by("order_id").ordered_at.execute()
    assert str(utc[1]) == "2026-01-31 22:30:00"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "orders.csv (table orders) is empty"),
        (b"order_id,customer_id,ordered_at,revenue\n", "a header and no rows"),
        (b"order,customer_id,ordered_at,revenue\n1,a,2026-01-01,1\n", "needs order_id"),
        (b"order_id,customer_id,ordered_at,revenue\n1,a,later,1\n", "ordered_at_unreadable: 1"),
        (b"order_id,customer_id,ordered_at,revenue\n1,a,2026-01-01,1,2,3\n", "fields"),
        (b"order_id,customer_id,ordered_at,revenue\n1,\xff\xfe,2026-01-01,1\n", "not UTF-8"),
    ],
)
def test_unusable_orders_are_refused(make_shop, content, words):
    with pytest.raises(DataError) as caught:
        prepared(make_shop(content))
    assert words in str(caught.value) and caught.value.exit_code == 1
    assert not list((make_shop(content) / "clean").glob("*/info.json"))


def test_error_holds_no_customer_content(make_shop):
    content = "order_id,customer_id,ordered_at,revenue\n1,secret@example.org,2026-01-01,1,9\n"
    with pytest.raises(DataError) as caught:
        prepared(make_shop(content))
    assert "secret" not in str(caught.value)


def test_a_named_column_that_is_not_there(make_shop):
    folder = make_shop(orders_toml='[tables.orders.columns]\nrevenue = "revenu"')
    with pytest.raises(DataError, match="no column 'revenu'.*Did you mean 'revenue'"):
        prepared(folder)


def test_formats(make_shop, tmp_path):
    semicolons = ORDERS.replace(",", ";").replace(".", ",").encode("utf-8-sig")
    assert (
        prepared(make_shop(semicolons, orders_toml='decimal = ","')).tables["orders"]["money"]
        == 12775
    )
    latin = ORDERS.replace("anna", "änna").encode("cp1252")
    folder = make_shop(latin, orders_toml='encoding = "cp1252"')
    assert prepared(folder).tables["orders"]["customers"] == 3
    import gzip

    folder = make_shop(toml="")
    (folder / "orders.csv.gz").write_bytes(gzip.compress(ORDERS.encode()))
    (folder / "shop.toml").write_text(
        (folder / "shop.toml").read_text().replace("orders.csv", "orders.csv.gz")
    )
    assert prepared(folder).tables["orders"]["kept"] == 5
    frame = pd.read_csv(folder / "orders.csv", parse_dates=["ordered_at"])
    frame.iloc[:3].to_parquet(folder / "part1.parquet")
    frame.iloc[3:].to_parquet(folder / "part2.parquet")
    (folder / "shop.toml").write_text(
        (folder / "shop.toml").read_text().replace("orders.csv.gz", "part*.parquet")
    )
    found = prepared(folder).tables["orders"]
    assert (
        found["kept"] == 5
        and found["money"] == 12775
        and found["files"] == ["part1.parquet", "part2.parquet"]
    )


def test_truncated_gzip_is_refused(make_shop):
    import gzip

    folder = make_shop()
    (folder / "orders.csv.gz").write_bytes(gzip.compress(ORDERS.encode() * 50)[:60])
    (folder / "shop.toml").write_text(
        (folder / "shop.toml").read_text().replace("orders.csv", "orders.csv.gz")
    )
    with pytest.raises(DataError, match="gz"):
        prepared(folder)


def test_months_that_cannot_be_reported(make_shop):
    shop = load_shop(str(make_shop()))
    info = cleaning.prepare(shop)
    assert info.last_complete_month == "2026-03"
    assert cleaning.check_month(shop, info) == "2026-03"
    with pytest.raises(DataError, match="2026-04 is not complete"):
        cleaning.check_month(shop, info, "2026-04")
    with pytest.raises(DataError, match="2025-12 has no orders"):
        cleaning.check_month(shop, info, "2025-12")
    for wrong in ("2026", "2026-13", "june", "2026-1"):
        with pytest.raises(UsageError, match="it must be a month such as 2026-03"):
            cleaning.check_month(shop, info, wrong)


def test_a_month_is_complete_with_its_last_day(make_shop):
    info = prepared(make_shop(toml="complete_through = 2026-03-30"))
    assert (info.last_complete_month, info.complete_through) == ("2026-02", date(2026, 3, 30))
    one_week = "order_id,customer_id,ordered_at,revenue\n1,a,2026-01-05,1\n"
    shop = load_shop(str(make_shop(one_week)))
    with pytest.raises(DataError, match="no month is complete yet"):
        cleaning.check_month(shop, cleaning.prepare(shop))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_many_rows_are_cleaned_as_few_are(make_shop, monkeypatch, kind):
    """Few rows are kept step by step; many are read again where they lie."""
    rows = "order_id,customer_id,ordered_at,revenue,quantity,product_id,is_refund,refund_of\n"
    rows += "".join(
        f"{n},c{n % 4},2026-0{1 + n % 3}-0{1 + n % 9},{n}.50,2,p{n % 3},,\n" for n in range(1, 40)
    )
    rows += "40,c1,2026-03-20,-4.00,-1,p1,true,\n41,c2,2026-03-21,-3.00,-1,p2,true,2\n42,,2026-03-21,1,1,p,,\n"
    rows += "43,c3,sometime,1,1,p,,\n5,c1,2026-03-06,5.50,2,p2,,\n"
    folder = make_shop(rows, consents="customer_id,purpose,state,at\nc1,email,granted,2026-01-01\n")
    if kind == "parquet":
        pd.read_csv(folder / "orders.csv", dtype="str").to_parquet(folder / "orders.parquet")
        toml = folder / "shop.toml"
        toml.write_text(toml.read_text().replace("orders.csv", "orders.parquet"))

    def cleaned() -> tuple[dict, dict]:
        info = prepared(folder)
        found = {path.name: pd.read_parquet(path) for path in sorted(info.folder.glob("*.parquet"))}
        shutil.rmtree(folder / "clean")
        return info.tables, found

    few, tables = cleaned()
    monkeypatch.setattr(loading, "FEW_ROWS", 0)
    many, again = cleaned()
    assert few == many and few["orders"]["refunds"] == 2
    assert len(tables["orders_quarantine.parquet"]) >= 2
    assert tables.keys() == again.keys()
    for name, frame in tables.items():
        pd.testing.assert_frame_equal(frame, again[name])


def test_cleaned_once_and_again_when_inputs_change(make_shop):
    folder = make_shop()
    first = prepared(folder)
    stamp = (first.folder / "orders.parquet").stat().st_mtime_ns
    assert prepared(folder).folder == first.folder
    assert (first.folder / "orders.parquet").stat().st_mtime_ns == stamp
    with (folder / "orders.csv").open("a") as file:
        file.write("6,dora,2026-04-30,1.00\n")
    second = prepared(folder)
    assert second.folder != first.folder and second.last_complete_month == "2026-04"
    assert json.loads((second.folder / "info.json").read_text())["digest"] == second.digest


def test_optional_values_that_cannot_be_read_are_counted(make_shop):
    text = "order_id,customer_id,ordered_at,revenue,quantity\n1,a,2026-01-01,1,two\n2,a,2026-01-31,1,2\n"
    orders = prepared(make_shop(text)).tables["orders"]
    assert orders["kept"] == 2 and orders["flags"]["unreadable_value"] == 1


def test_a_shop_of_too_few_customers_is_refused(make_shop):
    shop = load_shop(str(make_shop(toml="[privacy]\nmin_cell = 10")))
    with pytest.raises(DataError, match="3 customers in all, and groups below 10 are not shown"):
        cleaning.prepare(shop)


def test_line_ends_and_byte_order_marks_change_nothing(make_shop):
    plain = prepared(make_shop()).tables["orders"]
    for text in (ORDERS.replace("\n", "\r\n").encode(), ORDERS.encode("utf-8-sig")):
        found = prepared(make_shop(text)).tables["orders"]
        assert (found["kept"], found["money"]) == (plain["kept"], plain["money"])


def test_column_names_given_twice_are_refused(make_shop):
    text = "order_id,customer_id,ordered_at,revenue,revenue\n1,a,2026-01-01,1,2\n"
    with pytest.raises(DataError, match="two columns named 'revenue'"):
        prepared(make_shop(text))


def test_files_with_other_headers_are_joined_by_name(make_shop):
    folder = make_shop(orders_toml="")
    lines = ORDERS.splitlines()
    (folder / "orders-1.csv").write_text("\n".join(lines[:3]) + "\n")
    other = ["revenue,channel,order_id,customer_id,ordered_at", "12.25,ads,9,dora,2026-03-31"]
    (folder / "orders-2.csv").write_text("\n".join(other) + "\n")
    toml = (folder / "shop.toml").read_text().replace("orders.csv", "orders-*.csv")
    (folder / "shop.toml").write_text(toml)
    study = open_study(str(folder))
    channels = study.table("orders").order_by("order_id").channel.execute()
    assert study.info.tables["orders"]["money"] == 5000 + 1225
    assert channels.isna().tolist() == [True, True, False]


def test_mostly_unusable_orders_are_refused(make_shop):
    swapped = ORDERS.replace("2026-01", "2026-13").replace("2026-02", "2026-14")
    with pytest.raises(DataError, match="only 1 rows of orders.csv can be used") as caught:
        prepared(make_shop(swapped))
    assert "ordered_at_unreadable: 4" in str(caught.value)
    assert "nan" not in str(caught.value)


def test_refunds_only_are_refused(make_shop):
    text = "order_id,customer_id,ordered_at,revenue\n1,a,2026-01-01,-5\n2,b,2026-01-31,-6\n"
    with pytest.raises(DataError, match="every order row is a refund"):
        prepared(make_shop(text))


def test_a_month_without_orders_inside_the_history_is_refused(make_shop):
    text = ORDERS + "9,dora,2026-06-30,1\n"
    shop = load_shop(str(make_shop(text)))
    info = cleaning.prepare(shop)
    assert info.months_without_orders == ["2026-04", "2026-05"]
    with pytest.raises(DataError, match="2026-05 has no orders"):
        cleaning.check_month(shop, info, "2026-05")


def test_files_that_change_during_a_run_are_noticed(make_shop, monkeypatch):
    folder = make_shop()
    monkeypatch.setenv("LTV_INPUTS", prepared(folder).digest)
    assert prepared(folder).tables["orders"]["kept"] == 5
    with (folder / "orders.csv").open("a") as file:
        file.write("6,dora,2026-04-30,1.00\n")
    with pytest.raises(DataError, match="changed while the run was going on"):
        prepared(folder)


def test_a_first_line_of_data_is_not_shown(make_shop):
    for first in ("17,anna.smith,Berlin,9.50", "anna@example.org,x,y,z", "anna-4711,Meyer 12,a,b"):
        with pytest.raises(DataError) as caught:
            prepared(make_shop(first + "\n18,bo,Bonn,1\n"))
        assert "does not look like names" in str(caught.value)
        assert "nna" not in str(caught.value)


def test_a_file_of_another_encoding_is_recognized(make_shop):
    text = "Größe,customer_id,ordered_at,revenue\n1,a,2026-01-01,1\n".encode("cp1252")
    with pytest.raises(DataError, match="encoding = .cp1252"):
        prepared(make_shop(text))
    wide = "order_id,customer_id,ordered_at,revenue\n1,ä,2026-01-31,1,5\n".encode("cp1252")
    with pytest.raises(DataError, match="cannot be read|fields"):
        prepared(make_shop(wide, orders_toml='encoding = "cp1252"'))
