from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import conversions

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
    assert values(lambda c: conversions.to_money(c, decimal=","), ["1.234,56"]) == [123456]
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
