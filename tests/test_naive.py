"""Naive choices on a shop small enough to work out by hand, and on one that gives no reason to."""

import pandas as pd
import pytest

from helpers import summaries
from helpers.chapters import intake_findings, naive
from helpers.study import open_study

HEAD = "order_id,customer_id,ordered_at,revenue,refund_of,is_refund,refunded_at\n"


def orders() -> str:
    """Thirteen months: in each, three new customers; in the last, some of the old come back."""
    lines, number = [], 0
    for month in range(13):
        year, start = divmod(month, 12)
        for who in range(3):
            number += 1
            day = f"{2025 + year}-{start + 1:02d}-{10 + who}"
            lines.append(f"o{number},m{month}c{who},{day} 12:00:00,{10 + 20 * who}.00,,,")
    # Of the first cohort two come back a year later, of the second one after eleven months.
    lines += [
        "b1,m0c0,2026-01-20 12:00:00,50.00,,,",
        "b2,m0c1,2026-01-20 12:00:00,70.00,,,",
        "b3,m1c0,2026-01-21 12:00:00,40.00,,,",
        # A sale of December 31st at 23:30 UTC: January by the shop's clock.
        "b4,m2c0,2026-01-01 00:30:00,5.00,,,",
        # Sold in November, given back in January.
        "r1,m10c2,2026-01-25 12:00:00,-50.00,o33,true,2026-01-25 12:00:00",
    ]
    return HEAD + "\n".join(lines) + "\nlast,m12c0,2026-01-31 12:00:00,1.00,,,\n"


@pytest.fixture(scope="module")
def study(make_shop_once):
    return open_study(str(make_shop_once(orders())), "2026-01")


def rows(found: naive.Choices) -> pd.DataFrame:
    return found.table.set_index("choice")


def test_moments_by_hand(study):
    found = summaries.load(study, "customer_moments").iloc[0]
    each = {f"m{m}c{w}": 10.0 + 20 * w for m in range(13) for w in range(3)}
    number = dict.fromkeys(each, 1)
    for who, more in {"m0c0": 50, "m0c1": 70, "m1c0": 40, "m2c0": 5, "m12c0": 1}.items():
        each[who] += more
        number[who] += 1
    each["m10c2"] -= 50
    revenue = pd.Series(each)
    assert found["customers"] == 39 and found["orders"] == 44
    assert found["revenue"] == revenue.sum()
    assert found["median_revenue"] == revenue.median()
    assert found["aov_total"] == pytest.approx((revenue / pd.Series(number)).sum(), abs=0.2)
    # All but the buyers of January 2026 had a next month; none of them bought in it.
    assert found["active_months"] == 36 and found["followed_months"] == 0


def test_each_choice_against_hand_counts(study):
    found = rows(naive.choices(study))
    zeros = found.loc["Retention in month 12, future as zero"] if (
        "Retention in month 12, future as zero" in found.index
    ) else None  # fmt: skip
    assert zeros is None, "only the left-truncated first cohort has lived through month 12"
    eleven = found.loc["Retention in month 11, future as zero"]
    # Cohort 1 alone is eligible (the first may be older): one of three. Naive: 0 and 1/3 over 13.
    assert eleven["correct"] == pytest.approx(1 / 3)
    assert eleven["naive"] == pytest.approx((0 + 1 / 3) / 13)
    kept = found.loc["Retention, first cohort kept"]
    assert (kept["naive"], kept["correct"]) == pytest.approx((1 / 6, 1 / 3))
    year = found.loc["12-month value, first cohort kept"]
    # Months 0 to 11 of cohorts 0 and 1: 90 each, and 40 of the one who came back.
    assert (year["naive"], year["correct"]) == pytest.approx((220 / 6, 130 / 3))
    gross = found.loc["Revenue before refunds"]
    assert gross["naive"] - gross["correct"] == pytest.approx(50)
    booked = found.loc["Refunds in the month of paying out"]
    # November without the refund: 90 instead of 40; January bears it instead: 50 less of 257.
    assert (booked["naive"], booked["correct"]) == (90.0, 40.0)
    clock = found.loc["Months cut by UTC, not the shop's clock"]
    assert clock["correct"] - clock["naive"] == 5.0
    typical = found.loc["The mean customer taken for typical"]
    assert typical["correct"] == 30.0
    assert (found["error"] - (found["naive"] / found["correct"] - 1)).abs().max() < 1e-12


def test_what_does_not_apply_is_left_out_with_a_reason(study):
    found = naive.choices(study)
    left = found.left_out.set_index("choice")["reason"]
    assert left["Exact copies counted as sales"] == "No copy was left out."
    assert left["Overlapping files counted twice"] == "No overlap of files was found."
    assert not set(left.index) & set(found.table["choice"])
    assert found.table[["naive", "correct", "error"]].notna().all(axis=None)


def test_counts_of_others_are_taken_in(study):
    net = summaries.load(study, "customer_moments").iloc[0]["revenue"]
    counted = naive.Counted(overlap_rows=7, overlap_money=100.0, not_products_money=30.0)
    found = rows(naive.choices(study, counted))
    overlap = found.loc["Overlapping files counted twice"]
    assert overlap["naive"] == net + 100 and "7 lines" in overlap["sentence"]
    postage = found.loc["Postage and fees counted as products"]
    assert (postage["naive"], postage["correct"]) == (net + 30, net)


def test_lines_set_aside_are_part_of_the_truth(make_shop):
    text = orders() + "x,,2026-01-12 12:00:00,44.00,,,\n" + "o1,m0c0,2025-01-10 12:00:00,10.00,,,\n"
    study = open_study(str(make_shop(text, toml='duplicates = "quarantine"')), "2026-01")
    found = rows(naive.choices(study))
    aside = found.loc["Unusable lines dropped in silence"]
    assert aside["correct"] - aside["naive"] == 44.0, "a copy is no loss"
    assert "1 line," in aside["sentence"]
    copies = found.loc["Exact copies counted as sales"]
    assert copies["naive"] - copies["correct"] == 10.0


def test_a_whole_history_keeps_its_first_cohort(make_shop):
    toml = "opened_at = 2025-01-01\nhistory_starts_at = 2025-01-01"
    found = naive.choices(open_study(str(make_shop(orders(), toml=toml)), "2026-01"))
    assert "Retention, first cohort kept" in set(found.left_out["choice"])
    twelve = rows(found).loc["Retention in month 12, future as zero"]
    assert twelve["correct"] == pytest.approx(2 / 3)
    assert twelve["naive"] == pytest.approx(2 / 3 / 13)


def test_a_shop_of_one_month_has_reasons_instead_of_rows(make_shop):
    text = HEAD + "".join(f"{i},c{i},2026-01-{i + 1:02d} 12:00:00,10.00,,,\n" for i in range(31))
    found = naive.choices(open_study(str(make_shop(text)), "2026-01"))
    assert found.table.empty
    assert len(found.left_out) >= 10
    assert found.left_out["reason"].str.endswith(".").all()
    assert "None of the usual shortcuts" in naive.sentence(found)
    assert intake_findings.shortcuts(found).title == ""


def test_the_picture_names_the_worst(study):
    found = naive.choices(study)
    worst = found.table.loc[found.table["error"].abs().idxmax(), "choice"]
    assert worst in naive.sentence(found)
    assert worst in intake_findings.shortcuts(found).alt
