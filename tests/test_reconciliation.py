"""Orders against payments: every reason is found, money ties out, and a gap is dated."""

import random
import tomllib
from collections import Counter
from datetime import date, timedelta

import pandas as pd
import pytest

from helpers import summaries
from helpers.chapters import intake_findings, reconciliation_tables
from helpers.contract.shop import ROOT
from helpers.study import open_study
from helpers.written import money_in

EUR = money_in("EUR")
HEAD = "order_id,customer_id,ordered_at,revenue,tax,shipping_charged,currency,status,is_refund,refund_of,refunded_at,known_at\n"
PAID = "payment_id,order_id,paid_at,amount,currency,status,known_at\n"
LAST = "last,z,2026-03-31 12:00:00,1.00,,,{},,,,,\n"
LAST_PAID = "last,last,2026-03-31 12:00:30,1.00,{},,\n"


@pytest.fixture
def reconcile(make_shop):
    """The reconciliation of a shop of these lines, without the order that ends the month."""

    def run(orders: str, payments: str, *, month="2026-03", toml="", **options):
        # A column that names one currency has to name all.
        last, paid = (
            text.format("EUR" if "USD" in rows else "")
            for text, rows in ((LAST, orders), (LAST_PAID, payments))
        )
        folder = make_shop(
            HEAD + orders + last,
            toml=f"{toml}\n[quarantine]\nmost_revenue = 1.0",
            payments=PAID + payments + paid,
        )
        return summaries.load(open_study(str(folder), month), "reconciliation", **options)

    return run


def reasons(rows: pd.DataFrame) -> dict:
    found = rows.groupby(["status", "reason"])["orders"].sum().to_dict()
    found["matched", "same_day"] -= 1
    return {key: n for key, n in found.items() if n}


CASES = {
    "same day": ("1,a,2026-03-02 10:00:00,20.00,,,,,,,,", "p,1,2026-03-02 10:01:00,20.00,,,", "matched", "same_day"),
    "tax and shipping count": ("1,a,2026-03-02 10:00:00,20.00,3.80,4.95,,,,,,", "p,1,2026-03-02 10:01:00,28.75,,,", "matched", "same_day"),
    "two payments": ("1,a,2026-03-02 10:00:00,20.00,,,,,,,,", "p,1,2026-03-02 10:01:00,10.00,,,\nq,1,2026-03-02 10:05:00,10.00,,,", "matched", "same_day"),
    "past midnight": ("1,a,2026-03-02 23:59:00,20.00,,,,,,,,", "p,1,2026-03-03 00:00:30,20.00,,,", "matched", "midnight"),
    "paid on invoice": ("1,a,2026-03-02 10:00:00,20.00,,,,,,,,", "p,1,2026-03-16 10:00:30,20.00,,,", "matched", "another_day"),
    "free": ("1,a,2026-03-02 10:00:00,0.00,,,,,,,,", "", "matched", "nothing_to_pay"),
    "never paid": ("1,a,2026-03-02 10:00:00,20.00,,,,,,,,", "", "only_left", "missing_payment"),
    "failed": ("1,a,2026-03-02 10:00:00,20.00,,,,,,,,", "p,1,2026-03-02 10:01:00,20.00,,Failed,", "only_left", "not_settled"),
    "failed, then paid": ("1,a,2026-03-02 10:00:00,20.00,,,,,,,,", "p,1,2026-03-02 10:01:00,20.00,,failed,\nq,1,2026-03-02 10:02:00,20.00,,paid,", "matched", "same_day"),
    "test payment": ("1,a,2026-03-02 10:00:00,20.00,,,,,,,,", "p,1,2026-03-02 10:01:00,20.00,,test,", "only_left", "test"),
    "foreign payment": ("1,a,2026-03-02 10:00:00,20.00,,,,,,,,", "p,1,2026-03-02 10:01:00,22.00,USD,,", "only_left", "currency"),
    "unreadable payment": ("1,a,2026-03-02 10:00:00,20.00,,,,,,,,", "p,1,2026-03-02 10:01:00,twenty,,,", "only_left", "set_aside"),
    "paid after the month": ("1,a,2026-03-31 10:00:00,20.00,,,,,,,,", "p,1,2026-04-01 10:01:00,20.00,,,", "only_left", "known_after_the_month"),
    "nowhere": ("", "p,9,2026-03-31 10:01:00,20.00,,,", "only_right", "unknown_order"),
    "no id": ("", "p,,2026-03-31 10:01:00,20.00,,,", "only_right", "no_order_id"),
    "before the files": ("", "p,9,2025-12-31 10:01:00,20.00,,,", "only_right", "before_the_files"),
    "order without a customer": ("1,,2026-03-02 10:00:00,20.00,,,,,,,,", "p,1,2026-03-02 10:01:00,20.00,,,", "only_right", "set_aside"),
    "foreign order": ("1,a,2026-03-02 10:00:00,20.00,,,USD,,,,,", "p,1,2026-03-02 10:01:00,20.00,,,", "only_right", "currency"),
    "order known later": ("1,a,2026-03-31 10:00:00,20.00,,,,,,,,2026-04-02 00:00:00", "p,1,2026-03-31 10:01:00,20.00,,,", "only_right", "known_after_the_month"),
    "paid twice": ("1,a,2026-03-02 10:00:00,20.00,,,,,,,,", "p,1,2026-03-02 10:01:00,20.00,,,\nq,1,2026-03-02 10:01:00,20.00,,,", "amount_differs", "duplicate_payment"),
    "wrong": ("1,a,2026-03-02 10:00:00,20.00,,,,,,,,", "p,1,2026-03-02 10:01:00,30.00,,,", "amount_differs", "wrong_amount"),
    "small": ("1,a,2026-03-02 10:00:00,200.00,,,,,,,,", "p,1,2026-03-02 10:01:00,200.99,,,", "amount_differs", "small"),
    "tax not charged": ("1,a,2026-03-02 10:00:00,20.00,3.80,4.95,,,,,,", "p,1,2026-03-02 10:01:00,24.95,,,", "amount_differs", "tax_or_shipping"),
    "a line was set aside": ("1,a,2026-03-02 10:00:00,20.00,,,,,,,,\n1,,2026-03-02 10:00:00,5.00,,,,,,,,", "p,1,2026-03-02 10:01:00,25.00,,,", "amount_differs", "set_aside"),
    "second half later": ("1,a,2026-03-31 10:00:00,20.00,,,,,,,,", "p,1,2026-03-31 10:01:00,8.00,,,\nq,1,2026-04-02 10:01:00,12.00,,,", "amount_differs", "known_after_the_month"),
    "refund under its own id": ("1,a,2026-03-02 10:00:00,20.00,,,,,,,,\nr,a,2026-03-05 10:00:00,-20.00,,,,,true,1,2026-03-05 10:00:00,", "p,1,2026-03-02 10:01:00,20.00,,,\nq,1,2026-03-06 10:01:00,-20.00,,,", "matched", "same_day"),
    "refund payment under the refund's id": ("1,a,2026-03-02 10:00:00,20.00,,,,,,,,\nr,a,2026-03-05 10:00:00,-20.00,,,,,true,1,2026-03-05 10:00:00,", "p,1,2026-03-02 10:01:00,20.00,,,\nq,r,2026-03-05 10:01:00,-20.00,,,", "matched", "same_day"),
    "refund not paid yet": ("1,a,2026-03-02 10:00:00,20.00,,,,,,,,\nr,a,2026-03-05 10:00:00,-20.00,,,,,true,1,2026-03-05 10:00:00,", "p,1,2026-03-02 10:01:00,20.00,,,", "amount_differs", "refund_timing"),
    "refund of an unknown order": ("r,a,2026-03-05 10:00:00,-20.00,,,,,true,0,2026-03-05 10:00:00,", "", "only_left", "refund_timing"),
    "net of its refund": ("1,a,2026-03-02 10:00:00,20.00,,,,,,,,\nr,a,2026-03-02 10:00:00,-5.00,,,,,true,1,2026-03-02 10:00:00,", "p,1,2026-03-02 10:01:00,15.00,,,", "amount_differs", "netted"),
}  # fmt: skip


def told_apart(case: str, text: str, columns: tuple[int, int], currency: int) -> str:
    """Lines of a case under ids of its own, all with a currency."""
    lines = ""
    for line in text.splitlines():
        cells = line.split(",")
        for i in columns:
            cells[i] = cells[i] and f"{case.replace(',', '')} {cells[i]}"
        cells[currency] = cells[currency] or "EUR"
        lines += ",".join(cells) + "\n"
    return lines


def test_every_reason_is_found(reconcile):
    # Two orders on the first day, so that "before the files" has a meaning.
    orders = "first,y,2026-01-01 10:00:00,9.00,,,EUR,,,,,\n"
    payments = "f,first,2026-01-01 10:00:30,9.00,EUR,,\n"
    expected = Counter({("matched", "same_day"): 1})
    for case, (sold, paid, status, reason) in CASES.items():
        orders += told_apart(case, sold, (0, 9), 6)
        payments += told_apart(case, paid, (0, 1), 4)
        expected[status, reason] += 1
        assert reason in reconciliation_tables.REASONS
    rows = reconcile(orders, payments)
    assert reasons(rows) == dict(expected)
    assert rows["paid_money"].sum() == pytest.approx(rows["paid_for_day"].sum())


def test_the_tolerance_is_a_choice(reconcile):
    line, paid = "1,a,2026-03-02 10:00:00,20.00,,,,,,,,\n", "p,1,2026-03-02 10:01:00,20.60,,,\n"
    assert reasons(reconcile(line, paid)) == {("amount_differs", "wrong_amount"): 1}
    assert reasons(reconcile(line, paid, tolerance=0.03)) == {("amount_differs", "small"): 1}


def many(number: int, paid) -> tuple[str, str]:
    draw = random.Random(8)
    orders, payments = "", ""
    for i in range(number):
        day, cents = date(2026, 1, 1) + timedelta(days=i % 80), draw.randrange(300, 20000)
        orders += f"o{i},c{i % 9},{day} 12:00:00,{cents / 100:.2f},,,,,,,,\n"
        payments += f"p{i},o{i},{day} 12:01:00,{paid(i, cents) / 100:.2f},,,\n"
    return orders, payments


@pytest.mark.parametrize("rate", [1.19, 1.21, 1.0825])
def test_a_share_that_all_orders_have_in_common_is_tax(rate, reconcile):
    orders, payments = many(60, lambda i, cents: round(cents * rate) if i else cents + 777)
    found = reasons(reconcile(orders, payments))
    assert found == {
        ("amount_differs", "tax_or_shipping"): 59,
        ("amount_differs", "wrong_amount"): 1,
    }


def test_an_amount_that_many_orders_have_in_common_is_shipping(reconcile):
    orders, payments = many(60, lambda i, cents: cents + (495 if i % 2 else 0))
    found = reasons(reconcile(orders, payments))
    assert (
        found[("amount_differs", "tax_or_shipping")] + found.get(("amount_differs", "small"), 0)
        == 30
    )


def test_the_same_mistake_a_few_times_is_no_rule(reconcile):
    orders, payments = many(60, lambda i, cents: cents + (1000 if i % 5 == 0 else 0))
    found = reasons(reconcile(orders, payments))
    assert ("amount_differs", "tax_or_shipping") not in found
    assert found[("amount_differs", "wrong_amount")] == 12


def test_utc_payments_read_as_local_show_as_midnight(reconcile):
    """A payment export in UTC that nobody marked as such: orders after midnight move a day."""
    orders = "".join(f"o{i},c,2026-03-{i + 2:02d} 00:30:00,10.00,,,,,,,,\n" for i in range(9))
    paid = "".join(f"p{i},o{i},2026-03-{i + 1:02d} 23:31:00,10.00,,,\n" for i in range(9))
    rows = reconcile(orders, paid)
    assert reasons(rows) == {("matched", "midnight"): 9}
    days = reconciliation_tables.by_day(rows)
    assert (days["open_gap"] == 0).all()
    assert days["timing"].iloc[0] == 10 and days["timing"].sum() == 0


def drifting(start: date | None, *, late: int = 0) -> tuple[str, str]:
    """Three months of two channels; payments of the second stop on a day, or come late."""
    draw, orders, payments, number = random.Random(11), "", "", 0
    for n in range(90):
        day = date(2026, 1, 1) + timedelta(days=n)
        for i in range(12):
            number += 1
            cents = draw.randrange(500, 9000)
            orders += (
                f"o{number},c{number % 70},{day} {8 + i:02d}:00:00,{cents / 100:.2f},,,,,,,,\n"
            )
            if i % 3 or start is None or day < start:
                when = day + timedelta(days=late)
                payments += f"p{number},o{number},{when} {8 + i:02d}:01:00,{cents / 100:.2f},,,\n"
    return orders, payments


def test_the_day_on_which_a_channel_stopped_paying_is_found(reconcile):
    start = date(2026, 3, 4)
    rows = reconcile(*drifting(start))
    days = reconciliation_tables.by_day(rows)
    assert reconciliation_tables.gap_began(days) == pd.Timestamp(start)
    sentence = reconciliation_tables.gap_sentence(pd.Timestamp(start), days, EUR)
    assert "Since 04 March 2026" in sentence and "missing" in sentence
    found = intake_findings.gap(rows, EUR)
    assert found.title == "Shop and billing drift apart from 04 March 2026 on"
    assert len(reconciliation_tables.alerts(rows, EUR)) == 1
    short = days[days["day"] < pd.Timestamp("2026-03-11")]
    assert reconciliation_tables.gap_began(short) is None, "seven days are too few to call it"
    short = days[days["day"] < pd.Timestamp("2026-03-12")]
    assert reconciliation_tables.gap_began(short) == pd.Timestamp(start)


def test_money_that_comes_late_or_once_not_at_all_is_no_drift(reconcile):
    orders, payments = drifting(None, late=9)
    rows = reconcile(orders, payments)
    assert set(rows["reason"]) == {"another_day", "known_after_the_month", "same_day"}
    assert reconciliation_tables.gap_began(reconciliation_tables.by_day(rows)) is None
    one = "\n".join(line for line in payments.splitlines() if not line.startswith("p1070,")) + "\n"
    rows = reconcile(orders, one)
    days = reconciliation_tables.by_day(rows)
    assert days["cumulative"].iloc[-1] < 0
    assert reconciliation_tables.gap_began(days) is None
    assert reconciliation_tables.alerts(rows, EUR) == []


def test_totals_tie_out_with_the_clean_tables(reconcile, make_shop):
    orders, payments = drifting(date(2026, 2, 1))
    rows = reconcile(orders, payments)
    sold = sum(float(line.split(",")[3]) for line in (orders + LAST).splitlines())
    paid = sum(float(line.split(",")[3]) for line in (payments + LAST_PAID).splitlines())
    table = reconciliation_tables.by_reason(rows)
    assert table["order_money"].sum() == pytest.approx(sold)
    assert table["paid_money"].sum() == pytest.approx(paid)
    assert table["orders"].sum() == len((orders + LAST).splitlines())
    by_day = reconciliation_tables.by_day(rows)
    assert by_day["open_gap"].sum() == pytest.approx(paid - sold)
    assert by_day["day"].diff().dropna().eq(pd.Timedelta(days=1)).all()


def test_the_order_of_rows_changes_nothing(reconcile):
    orders, payments = drifting(date(2026, 2, 1))
    rows = reconcile(orders, payments)
    lines = [text.splitlines(keepends=True) for text in (orders, payments)]
    for each in lines:
        random.Random(2).shuffle(each)
    pd.testing.assert_frame_equal(rows, reconcile(*("".join(each) for each in lines)))


def test_without_payments_the_section_says_so(make_shop):
    study = open_study(str(make_shop()), "2026-03")
    rows = summaries.load(study, "reconciliation")
    assert "No payment is recorded" in reconciliation_tables.sentence(rows, EUR)
    assert intake_findings.gap(rows, EUR).title == ""
    for make in (
        reconciliation_tables.by_reason,
        reconciliation_tables.by_day,
    ):
        assert make(rows).empty
    assert reconciliation_tables.alerts(rows, EUR) == []


def test_the_planted_faults_of_the_sample_are_found_exactly():
    study = open_study("sample", "2026-06")
    rows = summaries.load(study, "reconciliation")
    truth = tomllib.loads((ROOT / "data/sample/truth.toml").read_text(encoding="utf-8"))
    planted, lines = truth["facts"]["payment_faults"], truth["facts"]["faults"]
    found = rows.groupby("reason")["orders"].sum()
    assert found["wrong_amount"] == planted["wrong_amount"]
    assert found["missing_payment"] == planted["missing_payment"]
    assert found["unknown_order"] == planted["unknown_order"]
    assert found["duplicate_payment"] == planted["paid_twice"]
    # Billing never heard of refunds of orders that do not exist, nor of free samples.
    assert found["refund_timing"] == lines["refund_of_unknown_order"]["rows"]
    assert found["nothing_to_pay"] == lines["zero_revenue"]["rows"]
    assert set(found.index) - {"same_day", "midnight"} == {
        "wrong_amount", "missing_payment", "unknown_order", "duplicate_payment", "refund_timing",
        "nothing_to_pay",
    }  # fmt: skip
    assert reconciliation_tables.gap_began(reconciliation_tables.by_day(rows)) is None
