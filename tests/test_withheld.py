"""Small cells: totals hold, and nothing withheld can be worked out from what is shown."""

from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.chapters import forecast_tables
from helpers.errors import UsageError
from helpers.measures.withheld import withhold
from helpers.models.forecast import Clock


def table(people):
    frame = pd.DataFrame(
        {
            "channel": [f"c{i}" for i in range(len(people))],
            "customers": people,
            "revenue": [10.0 * n + 1 for n in people],
        }
    )
    return frame.assign(each=frame["revenue"] / frame["customers"].where(frame["customers"] > 0))


def hide(frame, least=10, persons="customers"):
    return withhold(frame, persons=persons, sums=["revenue"], key="channel", least=least)


def test_nothing_small_changes_nothing():
    frame = table([10, 25, 0, 40])
    assert hide(frame) is frame


def test_one_small_row_takes_the_next_smallest_with_it():
    shown = hide(table([100, 3, 12, 50]))
    assert shown["channel"].tolist() == ["c0", "c3", "withheld (2 rows)"]
    assert shown["customers"].tolist() == [100, 50, 15]
    assert shown["revenue"].tolist() == [1001.0, 501.0, 152.0]
    assert shown["each"].isna().tolist() == [False, False, True]


def test_two_small_rows_that_are_few_together_take_a_third():
    assert hide(table([100, 3, 4, 12, 50]))["channel"].tolist() == [
        "c0",
        "c4",
        "withheld (3 rows)",
    ]


def test_two_small_rows_that_are_enough_together_take_none():
    assert hide(table([100, 6, 4]))["customers"].tolist() == [100, 10]


def test_rows_without_persons_stay_and_protect_nobody():
    shown = hide(table([100, 0, 3, 50]))
    assert shown["channel"].tolist() == ["c0", "c1", "withheld (2 rows)"]
    assert shown["customers"].tolist() == [100, 0, 53]


def test_too_few_in_all_leaves_a_row_without_figures():
    shown = hide(table([3, 0, 4]))
    assert shown["channel"].tolist() == ["c1", "withheld (2 rows)"]
    assert shown[["customers", "revenue"]].iloc[-1].isna().all()


def test_a_second_count_of_persons_is_held_to_the_same_rule():
    frame = table([100, 80, 60]).assign(withdrawn=[20, 4, 30])
    shown = hide(frame, persons=["customers", "withdrawn"])
    assert shown["channel"].tolist() == ["c0", "withheld (2 rows)"]
    assert shown["withdrawn"].tolist() == [20, 34]


def test_a_frame_that_nobody_may_change_stays_as_it_was():
    frame = table([100, 3, 12])
    before = frame.copy()
    hide(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_a_wrong_column_is_named_with_its_nearest():
    with pytest.raises(UsageError, match="no column 'customer'. Did you mean 'customers'"):
        hide(table([1]), persons="customer")
    with pytest.raises(UsageError, match="least is 0"):
        hide(table([1]), least=0)


@given(
    people=st.lists(st.integers(0, 60), min_size=1, max_size=12),
    least=st.integers(1, 25),
    data=st.data(),
)
def test_totals_hold_and_no_cell_can_be_recovered(people, least, data):
    part = [data.draw(st.integers(0, n)) for n in people]
    frame = table(people).assign(part=part)
    counts = ["customers", "part"]
    shown = hide(frame, least, counts)
    small = ((frame[counts] > 0) & (frame[counts] < least)).any(axis=1)
    if not small.any():
        assert shown is frame
        return
    gone = frame[~frame["channel"].isin(shown["channel"])]
    assert set(frame.loc[small, "channel"]) <= set(gone["channel"])
    last, rest = shown.iloc[-1], shown.iloc[:-1]
    assert not ((rest[counts] > 0) & (rest[counts] < least)).any(axis=None)
    assert pd.isna(last["each"])
    if pd.isna(last["customers"]):
        # Even all rows with persons together are too few, or only one of them has any.
        assert set(gone["channel"]) == set(frame.loc[frame["customers"] > 0, "channel"])
        together = gone[counts].sum()
        assert len(gone) == 1 or ((together > 0) & (together < least)).any()
        return
    # A reader knows the sums of what is out: with one row out they would be its own figures, and
    # below the least they would be small cells themselves.
    assert (gone["customers"] > 0).sum() >= 2
    for column in counts:
        assert shown[column].sum() == frame[column].sum()
        assert last[column] == 0 or last[column] >= least
    assert shown["revenue"].sum() == pytest.approx(frame["revenue"].sum())


@pytest.mark.parametrize(
    ("counts", "names"),
    [
        ([90, 40, 30, 20, 15, 12, 11, 10], ["0", "1", "2", "3", "4", "5", "6", "7+"]),
        ([90, 40, 30, 20, 4, 3, 2, 2], ["0", "1", "2", "3", "4+"]),
        ([90, 40, 30, 20, 4, 0, 0, 0], ["0", "1", "2", "3+"]),
    ],
)
def test_frequencies_of_few_customers_stand_together(counts, names, monkeypatch):
    def counted(fit, states, last):
        seen = np.bincount(np.minimum(states.frequency, last).astype(int), states.n, last + 1)
        return np.column_stack([seen, seen])

    monkeypatch.setattr(forecast_tables.btyd, "frequency_table", counted)
    states = pd.DataFrame(
        {
            "frequency": range(8),
            "first_day": pd.Timestamp("2026-01-01"),
            "last_day": pd.Timestamp("2026-01-01") + pd.to_timedelta(range(8), unit="D"),
            "segment": "all",
            "n": counts,
        }
    )
    privacy = SimpleNamespace(privacy=SimpleNamespace(min_cell=10))
    found = forecast_tables.fit_by_frequency(
        SimpleNamespace(
            models=SimpleNamespace(
                purchase=None, clock=Clock(pd.Timestamp("2026-03-31")), season=None
            )
        ),
        states[states["n"] > 0],
        SimpleNamespace(end=date(2026, 3, 31), shop=privacy),
    )
    seen = found[found["what"] == "customers"]
    assert seen["repeat_days"].tolist() == names
    assert seen["customers"].sum() == sum(counts)
