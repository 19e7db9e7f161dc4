"""Summaries by lifetimes and pymc-marketing in place of orders: CDNOW's own, and bad ones."""

import numpy as np
import pandas as pd
import pytest
from cdnow import cdnow_file
from click.testing import CliRunner

from helpers.__main__ import main
from helpers.errors import DataError, UsageError
from helpers.models import customer_summary


@pytest.fixture(scope="module")
def summary():
    table = pd.read_csv(cdnow_file("cdnow_customers_summary_with_transactions.csv"))
    return table.set_axis(["ID", "frequency", "recency", "T", "monetary_value"], axis=1)


def test_customer_one_of_cdnow_for_a_year(summary, tmp_path):
    # 140.10 in the quickstart of lifetimes, which takes weeks for days
    path, out = tmp_path / "summary.csv", tmp_path / "scores.csv"
    summary.to_csv(path, index=False)
    options = ["--unit", "weeks", "--discount", str(1.01**12 - 1), "--out", str(out)]
    done = CliRunner().invoke(main, ["forecast-summary", str(path), *options])
    assert done.exit_code == 0, done.output
    assert "2,357 customers, BG/NBD, 12 months" in done.output
    assert "no season, no month and no check" in done.output
    scores = pd.read_csv(out)
    assert scores["ID"].tolist() == summary["ID"].tolist()
    assert scores["clv"].iloc[0] == pytest.approx(36.47, abs=0.015)
    assert scores["expected_orders"].iloc[0] == pytest.approx(1.563, abs=1e-3)


def test_the_unit_decides_and_is_asked_for(summary, tmp_path):
    path = tmp_path / "summary.csv"
    days = summary.assign(recency=summary["recency"] * 7, T=summary["T"] * 7)
    days.to_csv(path, index=False)
    done = CliRunner().invoke(main, ["forecast-summary", str(path)])
    assert done.exit_code == 2 and "--unit" in done.output
    states, *_ = customer_summary.states_of(days, "days")
    weeks, *_ = customer_summary.states_of(summary, "weeks")
    pd.testing.assert_frame_equal(states, weeks)
    with pytest.raises(UsageError, match="Did you mean 'weeks'"):
        customer_summary.states_of(summary, "week")


def test_the_order_of_rows_is_nothing(summary):
    one, two = (
        customer_summary.states_of(given, "weeks")
        for given in (summary, summary.sample(frac=1, random_state=2))
    )
    pd.testing.assert_frame_equal(one[0], two[0])
    pd.testing.assert_frame_equal(one[1], two[1])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s.drop(columns="monetary_value"), "lacks monetary_value"),
        (lambda s: s[s["frequency"] > 0], "repeat buyers only"),
        (lambda s: s.assign(recency=s["T"] + 1), "recency is below 0 or above T"),
        (lambda s: s.assign(frequency=0.5), "not a whole number"),
        (lambda s: s.assign(T=np.nan), "missing or no number"),
        (
            lambda s: s.assign(recency=(s["T"] - s["recency"]).where(s["frequency"] > 0, 0.0)),
            "looks like the time since the last purchase",
        ),
    ],
)
def test_bad_summaries_say_what_is_wrong(summary, change, says):
    with pytest.raises(DataError, match=says):
        customer_summary.states_of(change(summary), "weeks")


def test_odd_customers_are_counted(summary):
    odd = summary.copy()
    odd.loc[odd.index[odd["frequency"] > 0][:3], "monetary_value"] = [0.0, -5.0, 0.0]
    odd.loc[odd.index[odd["frequency"] > 0][3], "frequency"] = 400
    _, spend, said = customer_summary.states_of(odd, "weeks")
    assert said[0].startswith("3 repeat buyers have no positive monetary_value")
    assert said[1].startswith("1 customers with more than 300")
    assert (spend["total_spend"] > 0).all()


def test_five_customers(summary, tmp_path):
    path = tmp_path / "summary.csv"
    summary.head(5).to_csv(path, index=False)
    done = CliRunner().invoke(main, ["forecast-summary", str(path), "--unit", "weeks"])
    assert done.exit_code == 1
    assert "Only 5 customers: a forecast needs at least 500." in done.output
