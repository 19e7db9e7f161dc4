from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.contract import conversions

CON = ibis.duckdb.connect()


def values(convert, cells, type_="string"):
    table = ibis.memtable({"cell": cells}, schema={"cell": type_})
    found = CON.execute(table.select(x=convert(table.cell)))["x"]
    return [None if pd.isna(x) else x for x in found]


def test_money_is_whole_minor_units():
    cells = ["20", "12.345", " -0.5 ", "n/a", "", "1e3", "1,5", None, "+7.10"]
    assert values(conversions.to_money, cells) == [
        2000,
        1235,
        -50,
        None,
        None,
        None,
        None,
        None,
        710,
    ]
    assert values(lambda c: conversions.to_money(c, digits=0), ["1200"]) == [1200]
    assert values(conversions.to_money, [".50", "-.5", ".", "3."]) == [50, -50, None, 300]
    commas = ["1.234,56", "12,5", "1.234", "12.5x", "1234567890,125"]
    found = [123456, 1250, 123400, None, 123456789013]
    assert values(lambda c: conversions.to_money(c, decimal=","), commas) == found
    long = ["0.124999", "1234567890.12", "999999999.9999", "-999999999.995"]
    assert values(conversions.to_money, long) == [12, 123456789012, 100000000000, -100000000000]
    assert values(lambda c: conversions.to_money(c, digits=3), ["1.2345", "9999999999999"]) == [
        1235,
        None,
    ]
    assert values(conversions.to_money, [0.1, 19.99], "float64") == [10, 1999]


@given(st.lists(st.decimals("-9999999", "9999999", places=4), min_size=1, max_size=20))
@settings(max_examples=25, deadline=None)
def test_money_rounds_half_away_from_zero(amounts):
    expected = [int((amount * 100).quantize(Decimal(1), ROUND_HALF_UP)) for amount in amounts]
    assert values(conversions.to_money, [f"{amount:f}" for amount in amounts]) == expected


def test_booleans_and_text():
    words = ["Yes", "0", "TRUE", "maybe", "", None]
    assert values(conversions.to_boolean, words) == [True, False, True, None, None, None]
    assert values(conversions.to_text, [" a ", "  ", None]) == ["a", None, None]
    assert values(conversions.to_integer, ["3.0", "x", "-2"]) == [3, None, -2]


@pytest.mark.parametrize(
    ("text", "stamp", "offset"),
    [
        ("2026-02-28", "2026-02-28 00:00:00", None),
        ("2026-02-28T23:59:58.123Z", "2026-02-28 23:59:58", 0),
        ("2025-10-07 09:50:26 +0200", "2025-10-07 09:50:26", 120),
        ("2024-02-29 7:05", "2024-02-29 07:05:00", None),
        ("2026-01-01 00:00:00-05:30", "2026-01-01 00:00:00", -330),
        ("2026-01-01 00:00:00+02", "2026-01-01 00:00:00", 120),
        ("2026-02-29", None, None),
        ("2026-13-01", None, None),
        ("2026-01-01 24:00", None, None),
        ("yesterday", None, None),
        ("2025-02-29 10:00:00", None, None),
        ("2026-04-31", None, None),
        ("2024-02-29 23:59:59", "2024-02-29 23:59:59", None),
        ("2026-12-31T23:59:59", "2026-12-31 23:59:59", None),
        ("2026-02-28 10:05", "2026-02-28 10:05:00", None),
        ("2026-02-28 10:60", None, None),
        ("2199-12-31", "2199-12-31 00:00:00", None),
        ("2200-01-01", None, None),
    ],
)
def test_iso_stamps(text, stamp, offset):
    assert values(lambda c: conversions.to_stamp(c)[0].cast("string"), [text]) == [stamp]
    if stamp:
        assert values(lambda c: conversions.to_stamp(c)[1], [text]) == [offset]


@pytest.mark.parametrize(
    ("date_format", "text", "stamp"),
    [
        ("%Y%m%d", "19970101", "1997-01-01 00:00:00"),
        ("%d.%m.%Y %H:%M", "1.2.2024 9:30", "2024-02-01 09:30:00"),
        ("%m/%d/%Y", "12/31/2024", "2024-12-31 00:00:00"),
        ("%m/%d/%Y", "31/12/2024", None),
    ],
)
def test_named_formats(date_format, text, stamp):
    convert = lambda c: conversions.to_stamp(c, date_format=date_format)[0].cast("string")  # noqa: E731
    assert values(convert, [text]) == [stamp]


@pytest.mark.parametrize("zone", ["Europe/Amsterdam", "America/New_York", "Asia/Kolkata", "UTC"])
def test_clock_changes_agree_with_python(zone):
    instants = pd.date_range("2023-12-30", "2026-01-02", freq="37min").to_pydatetime().tolist()
    there = [x.replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(zone)) for x in instants]
    local = [x.replace(tzinfo=None) for x in there]
    back = [x.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(ZoneInfo("UTC")) for x in local]
    years = {"first": 2023, "last": 2026}
    found = values(lambda c: conversions.utc_to_local(c, zone, **years), instants, "timestamp")
    assert [pd.Timestamp(x) for x in found] == [pd.Timestamp(x) for x in local]
    found = values(lambda c: conversions.local_to_utc(c, zone, **years), local, "timestamp")
    assert [pd.Timestamp(x) for x in found] == [pd.Timestamp(x.replace(tzinfo=None)) for x in back]


def test_a_skipped_hour_keeps_the_offset_before_it():
    skipped = datetime(2026, 3, 29, 2, 30)
    zone = "Europe/Berlin"
    expected = (
        skipped.replace(tzinfo=ZoneInfo(zone)).astimezone(ZoneInfo("UTC")).replace(tzinfo=None)
    )
    found = values(
        lambda c: conversions.local_to_utc(c, zone, first=2026, last=2026), [skipped], "timestamp"
    )
    assert pd.Timestamp(found[0]) == pd.Timestamp(expected)


def test_ids_are_written_one_way():
    cells = [
        " C001 ",
        "13085.0",
        "13085",
        "13085.50",
        "'0042",
        "NaN",
        "None",
        "#N/A",
        "-",
        "",
        None,
    ]
    found = ["C001", "13085", "13085", "13085.50", "0042", None, None, None, None, None, None]
    assert values(conversions.to_id, cells) == found
    assert values(conversions.to_id, ["x" * 1000, "x" * 1001]) == ["x" * 1000, None]
    assert values(conversions.to_id, ["C001@Example.com"]) == ["C001@Example.com"]
    assert values(conversions.to_id, [13085.0, float("nan"), 1.5], "float64") == [
        "13085", None, "1.5",
    ]  # fmt: skip
    assert values(conversions.to_id, [7, None], "int64") == ["7", None]


def test_ids_of_persons_are_normalized():
    cells = [
        " C001@Example.COM",
        "+49 (30) 123-4567",
        "(030) 1234567",
        "+12",
        "ABC-1",
        "'+49301234567",
    ]
    found = ["c001@example.com", "+49301234567", "0301234567", "+12", "ABC-1", "+49301234567"]
    assert values(lambda c: conversions.to_id(c, person=True), cells) == found


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("12", 1200), ("12.5", 1250), ("12,50", 1250), (",5", 50), ("0,250", 25), ("1.2345", 123),
        ("1,234.56", 123456), ("1.234,56", 123456), ("1.234.567", 123456700), ("1,234,567", 123456700),
        ("1,234", None), ("1.234", None), ("-1,234", None), ("1234.567", 123457), ("0.285", 29),
        ("€ 12,50", 1250), ("12.50 EUR", 1250), ("$1,234.00", 123400), ("1 234,5", 123450),
        ("1'234.567", 123457), ("1 234.567", 123457), ("\u22121,50", -150), ("1\u00a0234,50", 123450),
        ("1e5", None), ("inf", None), ("nan", None), ("12.34.56", None), ("1,23,4", None),
        ("1.234,567.8", None), ("12,", 1200), (".", None), ("", None), ("abc", None), ("5e", None),
        ("99999999999999", None), ("234,567,890,123.45", 23456789012345),
    ],
)  # fmt: skip
def test_amounts_by_their_own_marks(text, cents):
    assert values(lambda c: conversions.to_money(c, decimal="auto"), [text]) == [cents]


def test_a_group_is_sure_where_there_are_no_decimals():
    assert values(
        lambda c: conversions.to_money(c, digits=0, decimal="auto"), ["1,234", "¥1.234"]
    ) == [
        1234,
        1234,
    ]
    assert values(lambda c: conversions.to_integer(c, decimal="auto"), ["1,234"]) == [1234]


def test_money_stops_at_no_foreign_value():
    cells = [
        float("nan"),
        float("inf"),
        -float("inf"),
        1e13,
        -1e13,
        1.1e13,
        1e300,
        0.285,
        -0.285,
        2.675,
    ]
    found = [None, None, None, 10**15, -(10**15), None, None, 29, -29, 268]
    assert values(conversions.to_money, cells, "float64") == found
    assert values(conversions.to_money, [10**18, 5], "int64") == [None, 500]
    assert values(conversions.to_money, ["inf", "NaN", "1e5", "9999999999999.99", "10000000000000.01"]) == [
        None, None, None, 999999999999999, None,
    ]  # fmt: skip
    assert values(conversions.to_number, [float("inf"), float("nan"), 2.5], "float64") == [
        None,
        None,
        2.5,
    ]
    assert values(conversions.to_integer, [1e18, 3.0], "float64") == [None, 3]


@given(st.lists(st.decimals("-9999999", "9999999", places=4), min_size=1, max_size=20))
@settings(max_examples=25, deadline=None)
def test_doubles_round_as_their_text_does(amounts):
    text = values(conversions.to_money, [f"{amount:f}" for amount in amounts])
    assert values(conversions.to_money, [float(amount) for amount in amounts], "float64") == text


def test_tax_comes_out_to_the_cent():
    assert values(lambda c: conversions.net_of(c, 0.19), [11900, 100, -11900, None], "int64") == [
        10000, 84, -10000, None,
    ]  # fmt: skip
    assert values(lambda c: conversions.net_of(c, 0.2), [3, 9], "int64") == [3, 8]
    assert values(lambda c: conversions.net_of(c, 0.2), [10**15], "int64") == [833333333333333]
