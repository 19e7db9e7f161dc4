"""Is every table up to date, by its own habit."""

from datetime import date, timedelta

import pandas as pd
import pytest

from helpers import summaries
from helpers.study import open_study
from helpers.summaries import freshness

END = date(2026, 3, 31)


def lines(days) -> str:
    rows = "".join(f"a,r{i},email,{day} 10:00:00\n" for i, day in enumerate(days))
    return "customer_id,campaign_id,kind,sent_at\n" + rows


def daily(first: date, last: date, step: int = 1) -> list[date]:
    return [first + timedelta(days=n) for n in range(0, (last - first).days + 1, step)]


def judged(make_shop, days) -> pd.Series:
    study = open_study(str(make_shop(touchpoints=lines(days))), "2026-03")
    table = freshness.freshness(summaries.load(study, "table_gaps"), study.end)
    return table.set_index("table").loc["touchpoints"]


@pytest.mark.parametrize(
    ("last", "step", "state"),
    [
        (END, 1, "up to date"),
        (END - timedelta(days=10), 1, "up to date"),
        (END - timedelta(days=11), 1, "late"),
        (END - timedelta(days=28), 7, "up to date"),
        (END - timedelta(days=29), 7, "late"),
    ],
)
def test_late_is_more_than_a_week_and_three_usual_gaps(make_shop, last, step, state):
    days = [last - timedelta(days=step * n) for n in range(12)]
    found = judged(make_shop, days)
    assert found["state"] == state
    assert found["days_short"] == (END - last).days
    assert found["usual_gap"] == step
    assert found["rows"] == 12


def test_the_usual_gap_is_the_95th_percentile_by_nearest_rank(make_shop):
    """Twenty gaps, 18 of one day and two of five: rank 19 of 20 is five days."""
    days, day = [], date(2026, 1, 1)
    for gap in [1] * 9 + [5] + [1] * 9 + [5]:
        days.append(day)
        day += timedelta(days=gap)
    assert judged(make_shop, [*days, day])["usual_gap"] == 5
    assert judged(make_shop, [*days, days[-1] + timedelta(days=1)])["usual_gap"] == 1


def test_what_comes_in_waves_is_late_only_after_its_longest_wait(make_shop):
    waves = daily(date(2026, 1, 1), date(2026, 1, 12)) + daily(date(2026, 2, 12), date(2026, 2, 26))
    found = judged(make_shop, waves)
    assert (found["usual_gap"], found["days_short"], found["state"]) == (1, 33, "late")
    found = judged(make_shop, [*waves, date(2026, 3, 3)])
    assert (found["days_short"], found["state"]) == (28, "up to date")


def test_few_days_are_not_judged_and_the_month_cuts_what_is_later(make_shop):
    days = [
        date(2026, 1, 3),
        date(2026, 1, 4),
        date(2026, 1, 5),
        date(2026, 1, 6),
        date(2026, 4, 2),
    ]
    found = judged(make_shop, days)
    assert found["state"] == "too few days to tell"
    assert found["last_day"] == pd.Timestamp("2026-01-06")
    assert pd.isna(found["usual_gap"])


def test_first_and_last_month_are_whole_or_part(make_shop):
    found = judged(make_shop, daily(date(2026, 1, 1), date(2026, 3, 31)))
    assert found["part_months"] == ""
    found = judged(make_shop, daily(date(2026, 1, 12), date(2026, 3, 25)))
    assert found["part_months"] == "first and last"
    found = judged(make_shop, daily(date(2026, 1, 1), date(2026, 3, 25)))
    assert found["part_months"] == "last"


def test_the_sentence_names_what_is_late(make_shop):
    study = open_study(
        str(make_shop(touchpoints=lines(daily(date(2026, 1, 1), date(2026, 2, 15))))), "2026-03"
    )
    table = freshness.freshness(summaries.load(study, "table_gaps"), study.end)
    assert list(table.loc[table["state"] == "late", "table"]) == ["touchpoints"]
    text = freshness.freshness_sentence(table, study.end)
    assert "touchpoints ends 44 days before 31 March 2026 (usual gap 1 day)" in text


def test_the_sample_is_up_to_date():
    study = open_study("sample", "2026-06")
    table = freshness.freshness(summaries.load(study, "table_gaps"), study.end)
    assert set(table["state"]) == {"up to date"}
    assert set(table["table"]) == {n for n in freshness.DATED if study.has(n)}
