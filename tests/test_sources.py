import gzip
import re
from datetime import date, datetime

import ibis
import pandas as pd
import pytest

from helpers import engines
from helpers.cleaning import store as cleaning
from helpers.contract.shop import load_shop
from helpers.errors import DataError, UsageError
from helpers.sources import typed as sources
from tests.conftest import ORDERS

HEADER = "order_id,customer_id,ordered_at,revenue"


@pytest.fixture
def rows(tmp_path):
    """Read the source tables of a shop as frames of what `sources.read` gives."""

    def read(folder, table="orders"):
        shop = load_shop(str(folder))
        con = engines.connect(shop)
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        with sources.readable(shop, table):
            return [
                sources.read(con, shop, source, scratch).execute() for source in shop.sources[table]
            ]

    return read


def refused(read, folder, kind=DataError) -> str:
    with pytest.raises(kind) as caught:
        read(folder)
    return str(caught.value)


def only(folder, name: str, content: bytes, settings: str = ""):
    """Make a shop's orders one file of another name."""
    (folder / name).write_bytes(content)
    (folder / "shop.toml").write_text(
        f'currency = "EUR"\ntime_zone = "Europe/Berlin"\n[tables.orders]\nfiles = "{name}"\n{settings}\n'
        "[privacy]\nmin_cell = 1\n",
        encoding="utf-8",
    )
    return folder


def test_rows_are_named_by_file_and_number(make_shop, rows):
    folder = make_shop(orders_toml='[tables.orders.columns]\nrevenue = "net"')
    for number in (1, 2, 3):
        lines = [f"{number}{row},c,2026-01-0{row},{row}" for row in range(1, number + 1)]
        (folder / f"part-{number}.csv").write_text(
            "order_id,customer_id,ordered_at,net\n" + "\n".join(lines) + "\n"
        )
    toml = (folder / "shop.toml").read_text().replace('"orders.csv"', '"part-*.csv"')
    (folder / "shop.toml").write_text(toml)
    (found,) = rows(folder)
    places = list(zip(found["_file"], found["_row"], found["order_id"], strict=True))
    assert places == [
        (0, 1, "11"),
        (1, 1, "21"),
        (1, 2, "22"),
        (2, 1, "31"),
        (2, 2, "32"),
        (2, 3, "33"),
    ]


def test_parquet_rows_keep_their_types_and_numbers(make_shop, rows):
    folder = make_shop()
    frame = pd.read_csv(folder / "orders.csv", parse_dates=["ordered_at"])
    frame.iloc[:3].to_parquet(folder / "a.parquet")
    frame.iloc[3:].to_parquet(folder / "b.parquet")
    only(folder, "x.parquet", b"").joinpath("x.parquet").unlink()
    toml = (folder / "shop.toml").read_text().replace("x.parquet", "*.parquet")
    (folder / "shop.toml").write_text(toml)
    (found,) = rows(folder)
    assert found["_file"].tolist() == [0, 0, 0, 1, 1] and found["_row"].tolist() == [1, 2, 3, 1, 2]
    assert found["order_id"].tolist() == [1, 2, 3, 4, 5]
    assert found["ordered_at"].dtype.kind == "M"


def test_two_sources_make_one_table(make_shop, rows):
    folder = make_shop()
    (folder / "till.csv").write_text("No;Who;When;Net\nt1;anna;31.03.2026;7,50\n")
    toml = (folder / "shop.toml").read_text()
    till = (
        '[[tables.orders]]\nfiles = "till.csv"\ndecimal = ","\ndate_format = "%d.%m.%Y"\n'
        '[tables.orders.columns]\norder_id = "No"\ncustomer_id = "Who"\nordered_at = "When"\nrevenue = "Net"\n'
    )
    (folder / "shop.toml").write_text(
        toml.replace("[tables.orders]\n", "[[tables.orders]]\n") + till
    )
    first, second = rows(folder)
    assert first["_file"].unique().tolist() == [0] and second["_file"].tolist() == [1]
    shop = load_shop(str(folder))
    assert [path.name for path in shop.files("orders")] == ["orders.csv", "till.csv"]
    assert [path.name for path in shop.source_files(shop.sources["orders"][1])] == ["till.csv"]
    found = cleaning.prepare(shop).tables["orders"]
    assert (found["kept"], found["money"]) == (6, 12775 + 750)


def test_a_hundred_files_are_one_scan_each_and_stream(make_shop, tmp_path):
    folder = make_shop()
    for number in range(100):
        (folder / f"day-{number:02d}.csv").write_text(
            HEADER + f"\n{number},c{number % 7},2026-01-01,1.25\n"
        )
    toml = (folder / "shop.toml").read_text().replace("orders.csv", "day-*.csv")
    (folder / "shop.toml").write_text(toml)
    shop = load_shop(str(folder))
    con = engines.connect(shop)
    raw = sources.read(con, shop, shop.sources["orders"][0], tmp_path)
    query = ibis.to_sql(raw, dialect="duckdb")
    plan = con.raw_sql(f"EXPLAIN (FORMAT json) {query}").fetchall()[0][1]
    steps = re.findall(r'"name": "([A-Z_ ]+)"', plan)
    assert steps.count("READ_CSV") + steps.count("READ_CSV ") == 100
    assert steps.count("STREAMING_WINDOW") == 100 and "WINDOW" not in steps
    assert raw.count().execute() == 100 and raw._file.max().execute() == 99


def test_only_named_columns_are_ever_read(make_shop, rows):
    text = "Order No,customer id,ordered_at,revenue,email,email\n1,a,2026-01-01,2,x@example.com,y\n"
    settings = (
        'reads = ["order no | nr", "Customer ID", "ordered_at", "revenue"]\nmay_read = ["coupon"]\n'
        '[tables.orders.columns]\norder_id = "order no"\ncustomer_id = "Customer ID"\n'
    )
    (found,) = rows(make_shop(text, orders_toml=settings))
    assert found.columns.tolist() == [
        "order no", "Customer ID", "ordered_at", "revenue", "coupon", "_file", "_row",
    ]  # fmt: skip
    assert found["order no"].tolist() == ["1"] and found["coupon"].isna().all()
    (found,) = rows(make_shop(text.replace("Order No", "NR"), orders_toml=settings))
    assert found["order no"].tolist() == ["1"]
    message = refused(rows, make_shop(text.replace("revenue", "revenu"), orders_toml=settings))
    assert "orders.csv" in message and "no column 'revenue'" in message
    assert "Did you mean 'revenu'" in message


def test_names_match_but_for_capitals_and_blanks(make_shop):
    text = ORDERS.replace(HEADER, "Order ID,CUSTOMER_ID,Ordered_At,Revenue")
    folder = make_shop(text, orders_toml='[tables.orders.columns]\norder_id = "OrderId"')
    assert cleaning.prepare(load_shop(str(folder))).tables["orders"]["kept"] == 5


def test_a_query_sees_only_what_is_read(make_shop, rows):
    settings = (
        'reads = ["order_id", "customer_id", "ordered_at", "revenue"]\n'
        'query = """SELECT order_id, customer_id, ordered_at, revenue::DECIMAL(18,2) * 2 AS revenue,\n'
        '_file, _row FROM source WHERE customer_id <> \'ben\' ORDER BY _row"""'
    )
    (found,) = rows(make_shop(orders_toml=settings))
    assert found["_row"].tolist() == [1, 3, 4] and [float(x) for x in found["revenue"]] == [
        40,
        51,
        24.5,
    ]
    wrong = settings.replace("revenue::DECIMAL(18,2) * 2 AS revenue", "secret")
    message = refused(rows, make_shop(orders_toml=wrong), UsageError)
    assert "query under [tables.orders] is not understood" in message and "secret" in message
    placeless = settings.replace("_file, _row FROM", "_file FROM").replace("ORDER BY _row", "")
    assert "_row is missing" in refused(rows, make_shop(orders_toml=placeless), UsageError)
    bad = ORDERS.replace("20.00", "twenty")
    message = refused(rows, make_shop(bad, orders_toml=settings))
    assert "cannot convert" in message and "twenty" not in message


def test_a_known_wrong_export_is_refused_with_its_reason(make_shop, rows):
    settings = (
        'reads = ["order_id", "customer_id", "ordered_at", "revenue"]\n'
        'refuse = [{headers = ["Order #", "Net Sales"], reason = "it has no customer; ask for another."}]'
    )
    text = "Date,Order #,Net Sales\n2026-01-01,1,2\n"
    assert "it has no customer; ask for another." in refused(
        rows, make_shop(text, orders_toml=settings)
    )


def test_as_written_gives_mapped_columns_as_text(make_shop, tmp_path):
    text = 'order_id,customer_id,ordered_at,revenue,email\n 1 ,a,2026-01-01,"1,5",x@example.com\n'
    shop = load_shop(str(make_shop(text)))
    con = engines.connect(shop)
    source = shop.sources["orders"][0]
    raw = sources.read(con, shop, source, tmp_path)
    found = sources.as_written(raw, source).execute().to_dict("records")
    assert found == [
        {
            "_file": 0,
            "_row": 1,
            "order_id": " 1 ",
            "customer_id": "a",
            "ordered_at": "2026-01-01",
            "revenue": "1,5",
        }
    ]
    typed = sources.typed(raw, source, shop).execute().iloc[0]
    assert (typed["_file"], typed["_row"], typed["order_id"]) == (0, 1, "1") and pd.isna(
        typed["revenue"]
    )


def test_gross_amounts_become_net_in_cents(make_shop):
    spend = (
        "channel,starts_at,cost\nads,2026-01-01,119.00\nads,2026-01-02,1.00\nads,2026-01-03,-0.05\n"
    )
    folder = make_shop(marketing_spend=spend)
    toml = (folder / "shop.toml").read_text()
    asked = toml.replace(
        'files = "marketing_spend.csv"',
        'files = "marketing_spend.csv"\namounts = "gross"\nvat_rate = 0.19',
    )
    (folder / "shop.toml").write_text(asked)
    shop = load_shop(str(folder))
    info = cleaning.prepare(shop)
    con = engines.connect(shop)
    costs = con.read_parquet(str(info.folder / "marketing_spend.parquet")).order_by("starts_at")
    assert costs.cost.execute().tolist() == [10000, 84, -4]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('asks = ["amounts"]', ["net or gross of VAT", 'amounts = "net"', "vat_rate = 0.19"]),
        ('amounts = "gross"', ["vat_rate is None", "0.19"]),
        ('amounts = "gross"\nvat_rate = 19', ["vat_rate is 19"]),
        ("vat_rate = 0.19", ['amounts = "gross" is needed']),
        ('amounts = "nett"', ["accepted: 'net', 'gross'", "Did you mean 'net'"]),
        ("skip_rows = -1", ["skip_rows is -1"]),
        ('preset = "strip"', ["preset is 'strip'", "Presets:"]),
        ('preset = "cdnow"\n[tables.carts]\nfiles = "x"\npreset = "cdnow"', ["has no table carts"]),
        ('refuse = [{header = ["x"]}]', ["unknown key 'header'", "Did you mean 'headers'"]),
        ("refuse = 3", ["list of tables"]),
    ],
)
def test_faults_of_a_source(make_shop, text, words):
    with pytest.raises(UsageError) as caught:
        load_shop(str(make_shop(orders_toml=text)))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_non_products_are_a_versioned_list(make_shop):
    toml = '[non_products]\nversion = "1"\n[non_products.codes]\nPOST = "postage"\n'
    found = load_shop(str(make_shop(toml=toml))).non_products
    assert (found.version, found.codes) == ("1", {"POST": "postage"})
    with pytest.raises(UsageError, match="give version"):
        load_shop(str(make_shop(toml=toml.replace('version = "1"', ""))))


# What files look like when they come from elsewhere.


@pytest.mark.parametrize(
    "content",
    [
        ORDERS.encode("utf-8-sig"),
        ORDERS.encode("utf-16"),
        b"\xfe\xff" + ORDERS.encode("utf-16-be"),
        ORDERS.replace("\n", "\r\n").encode(),
        ORDERS.replace("\n", "\r").encode(),
        ORDERS.replace(",", ";").encode(),
        ORDERS.replace(",", "\t").encode(),
        ORDERS.replace(",", "|").encode(),
        ORDERS.rstrip("\n").encode(),
        ORDERS.replace("\n2,", "\n\n2,").encode(),
    ],
    ids=[
        "bom",
        "utf-16",
        "utf-16-be",
        "crlf",
        "cr",
        "semicolon",
        "tab",
        "bar",
        "no-end",
        "blank-line",
    ],
)
def test_text_of_any_common_form_reads_alike(make_shop, rows, content):
    (found,) = rows(make_shop(content))
    (plain,) = rows(make_shop())
    assert plain["_row"].tolist() == [1, 2, 3, 4, 5]
    pd.testing.assert_frame_equal(found, plain)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ((HEADER + "\n1,a,2026-01-01,1\n2,b,2026-01-01\n").encode(), ["orders.csv", "line 3", "3 fields, the header 4", "Mend"]),
        ((HEADER + "\n1,a,2026-01-01,1,50\n").encode(), ["orders.csv", "line 2", "5 fields"]),
        ((HEADER + '\n1,"secret,2026-01-01,1\n').encode(), ["orders.csv", "quotation mark"]),
        ((HEADER + "\n1,s\u00e4cret,2026-01-01,1\n").encode("cp1252"), ["orders.csv", "line 2", "cp1252"]),
        (ORDERS.encode("utf-16-le"), ["orders.csv", 'encoding = "utf-16-le"']),
        (b"order_id,,ordered_at,revenue\n1,a,2026-01-01,1\n", ["without a name", "skip_rows"]),
        (b"order_id,a,A,revenue\n1,a,2026-01-01,1\n", ["two columns named"]),
        (b"\n\n", ["orders.csv", "no line that names columns"]),
        (b"Order report\n" + ORDERS.encode(), ["order_id", "Order report"]),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_where_and_how_to_mend_it(make_shop, content, words):
    with pytest.raises(DataError) as caught:
        cleaning.prepare(load_shop(str(make_shop(content))))
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "secret" not in message and "s\u00e4cret" not in message


@pytest.mark.parametrize("cut", [2, 9, 500])
def test_a_cut_gzip_file_is_never_taken_for_a_short_one(make_shop, rows, cut):
    body = (
        HEADER + "\n" + "".join(f"{n},c{n % 977},2026-01-01,{n % 97}.25\n" for n in range(20_000))
    )
    whole = gzip.compress(body.encode())
    folder = only(make_shop(), "big.csv.gz", whole)
    assert len(rows(folder)[0]) == 20_000
    message = refused(rows, only(folder, "big.csv.gz", whole[:-cut]))
    assert "big.csv.gz is not a whole gzip file; export it again" in message
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 255
    assert "not a whole gzip file" in refused(rows, only(folder, "big.csv.gz", bytes(broken)))


def test_a_cell_of_ten_megabytes_is_read_and_its_id_is_missing(make_shop):
    text = ORDERS + f"9,{'x' * 10_000_000},2026-03-31,1\n"
    found = cleaning.prepare(load_shop(str(make_shop(text)))).tables["orders"]
    assert found["rows"] == 6 and [row["reason"] for row in found["set_aside"]] == [
        "customer_id_missing"
    ]


def test_a_null_byte_stops_nothing(make_shop):
    found = cleaning.prepare(load_shop(str(make_shop(ORDERS.replace("cleo", "cl\x00eo"))))).tables[
        "orders"
    ]
    assert found["kept"] == 5 and found["customers"] == 3


def test_titles_above_the_names_are_skipped(make_shop, rows):
    text = "Orders of the shop\n\n" + ORDERS
    (found,) = rows(make_shop(text, orders_toml="skip_rows = 2"))
    assert found["_row"].tolist() == [1, 2, 3, 4, 5] and found["order_id"].tolist() == list("12345")


def test_odd_file_names_are_names_and_no_patterns(make_shop, rows):
    folder = only(make_shop(), "o'r [1].csv", ORDERS.encode())
    toml = (folder / "shop.toml").read_text().replace("o'r [1].csv", "o'r*.csv")
    (folder / "shop.toml").write_text(toml)
    assert len(rows(folder)[0]) == 5


def test_a_broken_parquet_file_is_refused(make_shop, rows):
    assert "x.parquet is not a whole Parquet file" in refused(
        rows, only(make_shop(), "x.parquet", b"PAR1nonsense")
    )


def test_foreign_values_of_parquet_stop_nothing(make_shop):
    folder = make_shop(toml="[quarantine]\nmost_revenue = 1.0")
    frame = pd.DataFrame(
        {
            "order_id": [1.0, 2.0, 3.0, 4.0],
            "customer_id": [13085.0, 13086.0, float("nan"), 13085.0],
            "ordered_at": pd.to_datetime(["2026-01-01", "2026-01-31", "2026-01-02", "2026-01-03"]),
            "revenue": [0.285, float("nan"), 1.0, 10.0],
            "tax": [float("inf"), 1.0, 1.0, 1.0],
        }
    )
    frame.to_parquet(folder / "x.parquet")
    only(folder, "x.parquet", (folder / "x.parquet").read_bytes())
    shop = load_shop(str(folder))
    info = cleaning.prepare(shop)
    found = (
        engines.connect(shop)
        .read_parquet(str(info.folder / "orders.parquet"))
        .order_by("order_id")
        .execute()
    )
    assert found[["order_id", "revenue"]].to_numpy().tolist() == [["1", 29], ["4", 1000]]
    assert found["customer_id"].nunique() == 1, "13085.0 is one person, and 13085"
    assert info.tables["orders"]["rows"] == 4
    assert info.tables["orders"]["flags"]["unreadable_value"] == 1


# Excel.


def workbook(path, sheets: dict[str, list[list]], merge: str = ""):
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    for name, lines in sheets.items():
        sheet = book.create_sheet(name)
        for line in lines:
            sheet.append(line)
        if merge:
            sheet.merge_cells(merge)
    book.save(path)


LINES = [
    ["order_id", "customer_id", "ordered_at", "revenue", "is_guest"],
    [1, "anna", datetime(2026, 1, 5, 10, 0), 1234.567, True],
    [2.0, 13085.0, date(2026, 1, 10), 30, False],
    [None, None, None, None, None],
    ["3", "cleo", "2026-01-31 12:00:00", "25.50", None],
]


def test_a_workbook_reads_as_its_cells_mean(make_shop, rows):
    folder = only(make_shop(), "x.xlsx", b"-")
    workbook(folder / "x.xlsx", {"Orders": LINES, "Other": [["nothing"]]})
    (found,) = rows(folder)
    assert found["_row"].tolist() == [1, 2, 4] and found["_file"].tolist() == [0, 0, 0]
    assert found["order_id"].tolist() == ["1", "2", "3"]
    assert found["customer_id"].tolist() == ["anna", "13085", "cleo"]
    assert found["ordered_at"].tolist() == [
        "2026-01-05 10:00:00", "2026-01-10 00:00:00", "2026-01-31 12:00:00",
    ]  # fmt: skip
    assert found["revenue"].tolist() == ["1234.567", "30", "25.50"]


@pytest.mark.parametrize(("decimal", "cents"), [(".", 123457), (",", 123457), ("auto", 123457)])
def test_numbers_of_a_workbook_know_no_decimal_mark(make_shop, decimal, cents):
    folder = only(
        make_shop(), "x.xlsx", b"-", f'decimal = "{decimal}"\ndate_format = "%d.%m.%Y %H:%M"'
    )
    workbook(
        folder / "x.xlsx", {"Orders": [*LINES[:2], [5, "b", datetime(2026, 1, 31, 9), 1.5, None]]}
    )
    shop = load_shop(str(folder))
    orders = engines.connect(shop).read_parquet(
        str(cleaning.prepare(shop).folder / "orders.parquet")
    )
    found = orders.order_by("order_id").execute()
    assert found["revenue"].tolist() == [cents, 150]
    assert found["order_date"].astype(str).tolist() == ["2026-01-05", "2026-01-31"]


def test_sheets_are_chosen_by_name_or_all(make_shop, rows):
    folder = only(make_shop(), "x.xlsx", b"-", 'sheets = "*"')
    more = [["customer_id", "order_id", "ordered_at", "revenue"], ["dora", 9, "2026-02-01", 7]]
    workbook(folder / "x.xlsx", {"A": LINES, "B": more})
    (found,) = rows(folder)
    assert found["_row"].tolist() == [1, 2, 4, 5] and found["customer_id"].tolist()[-1] == "dora"
    only(folder, "y", b"")
    toml = (
        (folder / "shop.toml")
        .read_text()
        .replace('files = "y"', 'files = "x.xlsx"\nsheets = ["B"]')
    )
    (folder / "shop.toml").write_text(toml)
    assert rows(folder)[0]["order_id"].tolist() == ["9"]
    (folder / "shop.toml").write_text(toml.replace('["B"]', '"BB"'))
    assert "has no sheet 'BB'. It has: A, B" in refused(rows, folder, UsageError)


def test_a_title_above_the_names_of_a_workbook(make_shop, rows):
    folder = only(make_shop(), "x.xlsx", b"-")
    workbook(folder / "x.xlsx", {"A": [["Orders of the shop"], *LINES]}, merge="A1:E1")
    message = refused(rows, folder)
    assert (
        "x.xlsx, sheet 'A'" in message
        and "names 1 of 5 columns" in message
        and "skip_rows = N" in message
    )
    toml = (folder / "shop.toml").read_text().replace('"x.xlsx"', '"x.xlsx"\nskip_rows = 1')
    (folder / "shop.toml").write_text(toml)
    assert rows(folder)[0]["order_id"].tolist() == ["1", "2", "3"]


def test_old_and_broken_workbooks_are_refused(make_shop, rows):
    message = refused(rows, only(make_shop(), "x.xls", b"-"), UsageError)
    assert (
        "x.xls is of a kind that is not read" in message and "save it as .xlsx or as CSV" in message
    )
    message = refused(rows, only(make_shop(), "x.xlsx", b"PK nonsense"))
    assert "x.xlsx is not a workbook that can be read (BadZipFile)" in message


def test_nothing_of_a_copy_stays_behind(make_shop):
    folder = make_shop(ORDERS.encode("utf-16"))
    shop = load_shop(str(folder))
    target = cleaning.prepare(shop).folder
    assert sorted(path.name for path in target.iterdir()) == [
        "info.json",
        "orders.parquet",
        "orders_refunds.parquet",
    ]


# The clock.


def test_hours_that_the_clock_skips_or_doubles(make_shop, tmp_path):
    stamps = [
        "2026-03-29 01:59:59", "2026-03-29 02:00:00", "2026-03-29 02:59:59", "2026-03-29 03:00:00",
        "2026-10-25 01:59:59", "2026-10-25 02:00:00", "2026-10-25 02:59:59", "2026-10-25 03:00:00",
        "2026-03-29 02:30:00+02:00", "2026-10-25 02:30:00Z", "",
    ]  # fmt: skip
    text = HEADER + "\n" + "".join(f"{n},a,{stamp},1\n" for n, stamp in enumerate(stamps))
    shop = load_shop(str(make_shop(text)))
    con = engines.connect(shop)
    source = shop.sources["orders"][0]
    typed = sources.typed(sources.read(con, shop, source, tmp_path), source, shop)
    flags = sources.clock_flags(typed, source, shop, first=2025, last=2027)
    found = typed.select("_row", **flags).order_by("_row").execute()
    assert found.index[found["hour_skipped"]].tolist() == [1, 2]
    assert found.index[found["hour_doubled"]].tolist() == [5, 6]


def test_utc_stamps_meet_no_change_of_clock(make_shop, tmp_path):
    text = HEADER + "\n1,a,2026-03-29 02:30:00,1\n"
    shop = load_shop(str(make_shop(text, orders_toml='timestamps = "utc"')))
    con = engines.connect(shop)
    source = shop.sources["orders"][0]
    typed = sources.typed(sources.read(con, shop, source, tmp_path), source, shop)
    flags = sources.clock_flags(typed, source, shop, first=2025, last=2027)
    assert typed.select(**flags).execute().to_numpy().tolist() == [[False, False]]
