"""Groups below the shop's smallest cell are not shown, whichever table would show them."""

import numpy as np
import pandas as pd
import pytest

from helpers import summaries
from helpers.chapters import cohort_tables, ltv_tables, trial_cards, uplift_tables
from helpers.chapters.trials import load_trials
from helpers.measures import cohorts, economics, ltv, metrics
from helpers.study import open_study


@pytest.fixture(scope="module")
def study(make_shop_once):
    """Thirty customers: one in an arm of its own, one of a channel, one month with one buyer."""
    rows = []
    for n in range(30):
        month = 1 if n < 29 else 2
        channel = "tv" if n == 0 else "web"
        rows.append(f"{n}-1,c{n},2025-0{month}-{n % 27 + 1:02d},{10 + n}.00,{channel},1")
        rows.append(f"{n}-2,c{n},2026-01-{n % 27 + 1:02d},{20 + n}.00,{channel},1")
    rows.append("z,c5,2026-06-30,5.00,web,1")
    orders = "order_id,customer_id,ordered_at,revenue,channel,cogs\n" + "\n".join(rows) + "\n"
    arms = ["vip", *["mail"] * 14, *["control"] * 15]
    assigned = "\n".join(f"t,c{n},{arm},2026-01-01" for n, arm in enumerate(arms))
    fair = "\n".join(f"u,c{n},{'mail' if n % 2 else 'control'},2026-01-01" for n in range(30))
    folder = make_shop_once(
        orders,
        toml="opened_at = 2025-01-01\n[privacy]\nmin_cell = 10",
        assignments=f"experiment_id,customer_id,arm,assigned_at\n{assigned}\n{fair}\n",
        experiments="experiment_id,window_days,control_arm\nt,30,control\nu,30,control\n",
        marketing_spend="channel,starts_at,cost\ntv,2025-01-01,450.00\nweb,2025-01-01,60.00\n",
    )
    return open_study(str(folder))


def test_an_experiment_with_an_arm_of_one_is_left_out(study):
    trials = load_trials(study)
    assert set(trials) == {"u"}
    assert trials["u"].facts["customers"].tolist() == [15, 15]
    read = trial_cards.read_trial(study, trials["u"])
    assert "1 more have customers but are not shown" in uplift_tables.counts_sentence(study, [read])


def test_a_channel_of_one_has_no_economics_and_no_value(study):
    ages = summaries.load(study, "cohort_ages")
    found = economics.unit_economics(
        summaries.load(study, "acquisition"), ages, as_of=study.end, horizon=180, min_cell=10
    )
    shown = ltv_tables.economics_table(found, min_cell=10)
    assert "tv" not in set(shown["scope"])
    # The blended row less web would be the one customer of tv.
    assert shown["scope"].tolist() == ["blended", "withheld (2 rows)"]
    assert shown["cac"].notna().tolist() == [True, False]
    values = ltv.ltv_historical(
        ages, as_of=study.end, horizons=(180,), dimension="channel", min_cell=10
    ).set_index("value")
    assert np.isnan(values.loc["tv", "per_customer"]) and values.loc["web", "per_customer"] > 0


def test_a_month_of_one_buyer_shows_counts_only(study):
    table = metrics.monthly(summaries.load(study, "periods"), study.month, 24).set_index("start")
    one = table.loc[pd.Timestamp("2026-06-01")]
    assert one["customers"] == 1
    assert one[["revenue", "margin", "aov", "arpu", "purchase_frequency"]].isna().all()
    assert table.loc[pd.Timestamp("2026-01-01"), "revenue"] > 0


def test_a_cohort_of_one_is_suppressed(study):
    triangle = cohorts.triangle(
        summaries.load(study, "cohort_ages"), measure="revenue", cumulative=True, age_unit="days30",
        **cohort_tables.frame_of(study),
    )  # fmt: skip
    assert triangle.values.loc["2025-02-01"].isna().all()
    assert (triangle.states.loc["2025-02-01"] == "suppressed").all()
    assert triangle.values.loc["2025-01-01"].notna().any()
