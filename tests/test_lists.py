"""Lists of customers: only who consented, with the shop's own ids, and never under reports/."""

import csv
import os
import stat

import pytest
from click.testing import CliRunner

from helpers.__main__ import main
from helpers.errors import DataError, UsageError
from helpers.privacy import forget, lists

ORDERS = """order_id,customer_id,ordered_at,revenue,is_refund
1,anna,2026-01-05 10:00:00,20.00,
2,=1+1,2026-01-10 11:00:00,30.00,
3,anna,2026-02-01 12:00:00,25.50,
4,cleo,2026-02-15 13:00:00,12.25,
5,dora,2026-03-31 23:59:59,40.00,
3,anna,2026-02-03 12:00:00,-5.50,true
6,ben,2026-01-11,1.00,
"""
CONSENTS = """customer_id,purpose,state,at
anna,email_marketing,granted,2026-01-01
anna,email_marketing,withdrawn,2026-03-01
=1+1,email_marketing,Granted,2026-01-01
cleo,email_marketing,granted,2026-01-01 10:00:00
cleo,email_marketing,withdrawn,2026-01-01 10:00:00
ben,email_marketing,withdrawn,2026-01-01
ben,email_marketing,granted,2026-01-02
zoe,email_marketing,granted,2026-01-01
dora,phone,granted,2026-01-01
"""


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_only_who_consented_by_the_months_end_is_listed(make_shop):
    folder = make_shop(ORDERS, consents=CONSENTS)
    done = lists.write_list(str(folder), month="2026-02", purpose="email_marketing")
    assert done.path == folder / "lists" / "2026-02" / "email_marketing.csv"
    assert rows_of(done.path) == [
        ["customer_id", "first_order", "last_order", "orders", "revenue"],
        ["'=1+1", "2026-01-10", "2026-01-10", "1", "30.00"],
        ["anna", "2026-01-05", "2026-02-01", "2", "40.00"],
        ["ben", "2026-01-11", "2026-01-11", "1", "1.00"],
    ]
    assert (done.eligible, done.customers) == (3, 4)
    later = lists.write_list(str(folder), month="2026-03", purpose="email_marketing")
    assert [row[0] for row in rows_of(later.path)] == ["customer_id", "'=1+1", "ben"]
    assert later.sentence() == (
        "2 of 5 customers with an order by the end of 2026-03 have consented to email_marketing"
    )


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_a_list_is_for_its_owner_and_the_same_again(make_shop):
    folder = str(make_shop(ORDERS, consents=CONSENTS))
    path = lists.write_list(folder, purpose="email_marketing").path
    first = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert lists.write_list(folder, purpose="email_marketing").path.read_bytes() == first


def test_what_cannot_be_listed_is_refused(make_shop, tmp_path, monkeypatch):
    monkeypatch.setenv("LTV_REPORTS", str(tmp_path / "reports"))
    folder = str(make_shop(ORDERS, consents=CONSENTS))
    with pytest.raises(UsageError, match=r"'email_market'.*Did you mean 'email_marketing'"):
        lists.write_list(folder, purpose="email_market")
    with pytest.raises(UsageError, match="must be a word"):
        lists.write_list(folder, purpose="../x")
    out = str(tmp_path / "reports" / "x" / "list.csv")
    with pytest.raises(UsageError, match="under reports"):
        lists.write_list(folder, purpose="email_marketing", out=out)
    assert not (tmp_path / "reports").exists()
    with pytest.raises(UsageError, match="a folder"):
        lists.write_list(folder, purpose="email_marketing", out=str(tmp_path))
    with pytest.raises(DataError, match=r"no consents.*\[tables.consents\]"):
        lists.write_list(str(make_shop(ORDERS)), purpose="email_marketing")


def test_the_command_says_counts_and_the_place_and_no_id(make_shop, tmp_path):
    folder, out = str(make_shop(ORDERS, consents=CONSENTS)), str(tmp_path / "out.csv")
    arguments = ["list", "--shop", folder, "--purpose", "phone", "--out", out]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "1 of 5 customers" in result.output and "dora" not in result.output
    assert [row[0] for row in rows_of(tmp_path / "out.csv")] == ["customer_id", "dora"]


def test_who_is_forgotten_is_on_no_list(make_shop, tmp_path, monkeypatch):
    monkeypatch.setenv("LTV_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("LTV_REPORTS", str(tmp_path / "reports"))
    folder = make_shop(ORDERS, consents=CONSENTS)
    path = lists.write_list(str(folder), month="2026-02", purpose="email_marketing").path
    ids = tmp_path / "ids.txt"
    ids.write_text("=1+1\nben\n")
    assert forget.forget(str(folder), str(ids)).list_rows == 2
    assert [row[0] for row in rows_of(path)] == ["customer_id", "anna"]
    done = lists.write_list(str(folder), month="2026-02", purpose="email_marketing")
    assert [row[0] for row in rows_of(done.path)] == ["customer_id", "anna"]
    assert (done.eligible, done.customers) == (1, 2)


def test_a_list_is_of_one_kind(make_shop):
    folder = str(make_shop(ORDERS, consents=CONSENTS))
    for options in ([], ["--value", "--purpose", "phone"]):
        ran = CliRunner().invoke(main, ["list", "--shop", folder, *options])
        assert ran.exit_code != 0 and "either --purpose" in ran.output
    ran = CliRunner().invoke(main, ["list", "--shop", folder, "--month", "2026-02", "--value"])
    assert ran.exit_code == 0 and "4 customers" in ran.output and "customer_value.csv" in ran.output


# --- lists of a forecast -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["wake-up", "loyalty", "next-order"])
def test_lists_of_the_forecast_hold_who_fits_and_consented(tmp_path, name):
    from helpers.study import open_study

    out = tmp_path / "list.csv"
    purpose = "email_marketing"
    done = lists.write_forecast_list("sample", name=name, purpose=purpose, out=str(out))
    header, *rows = rows_of(out)
    assert header[:6] == [
        "customer_id",
        "first_order",
        "last_order",
        "orders",
        "revenue",
        "p_alive",
    ]
    assert len(rows) == done.eligible > 10
    assert f"stand on the list {name} and have consented" in done.sentence()
    table = [dict(zip(header, row, strict=True)) for row in rows]
    granted = tmp_path / "granted.csv"
    lists.write_list("sample", purpose=purpose, out=str(granted))
    assert {row["customer_id"] for row in table} <= {row[0] for row in rows_of(granted)[1:]}
    alive = [float(row["p_alive"]) for row in table]
    if name == "wake-up":
        assert all(float(row["quiet_days"]) > 1.5 * float(row["own_gap_days"]) - 1 for row in table)
    if name == "loyalty":
        assert min(alive) >= 0.8
    if name == "next-order":
        end = open_study("sample", "").end.isoformat()
        assert min(alive) >= 0.5 and min(row["expected_next_order"] for row in table) >= end
        assert all(len(row["expected_next_order"]) == 10 for row in table)


def test_lists_of_the_forecast_say_why_there_is_none(make_shop):
    folder = str(make_shop(ORDERS, consents=CONSENTS))
    with pytest.raises(UsageError, match="must be one of wake-up, loyalty, next-order"):
        lists.write_forecast_list(folder, name="wakeup", purpose="phone")
    with pytest.raises(DataError, match="no forecast, so no list. Only 5 customers"):
        lists.write_forecast_list(folder, name="wake-up", month="2026-03", purpose="phone")
    done = CliRunner().invoke(main, ["list", "--shop", folder, "--forecast", "loyalty"])
    assert done.exit_code == 2 and "Give either --purpose" in done.output
