"""The scorecard of the sample and of shops that lack something: no figure wrong, each gap said."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers import records, show, summaries
from helpers.chapters import (
    alerts,
    all_trials,
    beliefs,
    cautions,
    scorecard,
    spending,
    trial_cards,
    twelve,
)  # fmt: skip
from helpers.chapters.trials import load_trials
from helpers.contract.goals import TARGETS, Alerts
from helpers.contract.shop import ROOT, load_shop
from helpers.errors import UsageError
from helpers.newshop.draft import _goals
from helpers.study import open_study
from tests.cells import run_cells


@pytest.fixture(scope="module")
def sample():
    return open_study("sample", "2026-05")


@pytest.fixture(scope="module")
def periods(sample):
    return summaries.load(sample, "periods")


def daily_shop(first="2024-06-01", last="2026-03-31", *, cogs=6.0, customers=40, columns=True):
    """An orders file: each day two orders of ten, one on Sundays, of customers in turn."""
    lines, number = [], 0
    for day in pd.date_range(first, last):
        for _ in range(1 if day.day_of_week == 6 else 2):
            number += 1
            cost = f",{cogs}" if columns else ""
            lines.append(f"o{number},c{number % customers},{day:%Y-%m-%d} 12:00:00,10.00{cost}")
    head = "order_id,customer_id,ordered_at,revenue" + (",cogs" if columns else "")
    return "\n".join([head, *lines]) + "\n"


def run_notebook(folder, month: str, monkeypatch) -> tuple[str, dict, dict]:
    """Run notebook 06: everything shown as text, the tables, and the record."""
    shown = run_cells("06_monthly_scorecard", folder, monkeypatch, month=month)
    return shown.text, shown.tables, shown.record


# -- months, quarters, twelve rows -----------------------------------------------------------


def test_a_quarter_is_its_months(sample, periods):
    months = scorecard.by_period(sample, periods, "month", 29).set_index("start")
    quarters = scorecard.by_period(sample, periods, "quarter", 9).set_index("start")
    for name in ("revenue", "orders", "margin", "new_customers"):
        added = months[name].groupby(months.index.to_period("Q")).sum()
        assert added.to_numpy()[-9:] == pytest.approx(quarters[name].to_numpy())
    several = months["customers"].groupby(months.index.to_period("Q")).sum()
    assert (quarters["customers"].to_numpy() < several.to_numpy()[-9:]).all()
    assert quarters["aov"].to_numpy() == pytest.approx(
        (quarters["revenue"] / quarters["orders"]).to_numpy()
    )


def test_the_last_quarter_is_marked_and_counts_the_days_it_has(sample, periods):
    last = scorecard.by_period(sample, periods, "quarter", 8).iloc[-1]
    assert not last["complete"]
    assert last["margin_per_day"] == pytest.approx(last["margin"] / (30 + 31))


def test_days_months_and_quarter_tie_out(sample, periods):
    assert (scorecard.tie_out(sample, periods)["difference"] == 0).all()


def row(values, direction=1, **options) -> dict:
    index = pd.date_range("2025-01-01", periods=len(values), freq="MS")
    series = pd.Series(values, index, dtype=float)
    whole = options.pop("whole", True)
    return twelve._counted("x", "X", options.pop("unit", "count"), series, series, direction,
                           np.nan, whole=whole)  # fmt: skip


def test_noise_is_told_from_a_change_by_limits_not_by_sign():
    steady = [100, 104, 98, 101, 97, 103, 99, 102, 100, 98, 103, 100]
    assert row([*steady, 96])["state"] == "within noise"
    assert row([*steady, 150])["state"] == "better" and row([*steady, 60])["state"] == "worse"
    assert row([*steady, 150], -1)["state"] == "worse" and row([*steady, 60], -1)["state"] == (
        "better"
    )
    limits = twelve.natural_limits(pd.Series(steady, dtype=float))
    spread = 2.66 * np.abs(np.diff(steady)).mean()
    assert limits == pytest.approx((np.mean(steady) - spread, np.mean(steady) + spread))


def test_few_months_and_part_months_are_not_judged():
    assert row([1, 2, 3, 9])["state"] == "too few months"
    assert row([5] * 8 + [9], whole=False)["state"] == "month not whole"
    assert row([5] * 8 + [np.nan])["state"] == "not known"
    assert row([1, 9] * 6 + [2])["low"] == 0, "a count does not fall below zero"


def test_refunds_still_to_come_do_not_look_like_better_months(sample, periods):
    """The newest month has had the least time for refunds: held against others at that age."""
    known = summaries.load(sample, "known_months")
    months = twelve.monthly(sample, periods, summaries.load(sample, "acquisition"))
    fresh = twelve.as_of_own_end(months, known)
    assert fresh["refund_rate"].iloc[-1] == pytest.approx(months["refund_rate"].iloc[-1])
    assert (fresh["refund_rate"].iloc[:-1] < months["refund_rate"].iloc[:-1]).all()
    assert fresh["revenue"].iloc[-1] == pytest.approx(months["revenue"].iloc[-1])
    naive = row([*months["refund_rate"]], -1, unit="percent")
    fair = row([*fresh["refund_rate"]], -1, unit="percent")
    assert (naive["state"], fair["state"]) == ("better", "within noise")


def estimate(value, before, half=1.0, half_before=1.0):
    return pd.Series({
        "label": "L", "unit": "money", "value": value, "low": value - half, "high": value + half,
        "before": before, "before_low": before - half_before, "before_high": before + half_before,
        "year_ago": np.nan,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("figure", "state"),
    [
        (estimate(10, 10.9), "within noise"),
        (estimate(13, 10), "better"),
        (estimate(7, 10), "worse"),
        (estimate(7, np.nan), "month before unpublished"),
        (estimate(7, 10, np.nan), "no interval"),
        (None, "not known"),
    ],
)
def test_estimates_are_judged_by_their_intervals(figure, state):
    assert twelve._estimated("ltv", figure, np.nan)["state"] == state


# -- alerts ----------------------------------------------------------------------------------


def checked(study, periods, figures=None, **options):
    days = pd.DataFrame({"value": [90.0, 100.0], "target": [100.0, 120.0]})
    empty = pd.DataFrame(columns=["purpose", "state", "customers"])
    blank = pd.DataFrame(columns=["chapter", "name", "value"])
    given = {"days": days, "target": 110.0, "consent": empty} | options
    figures = blank if figures is None else figures
    return alerts.check(study, periods=periods, figures=figures, **given).set_index("rule")


def test_every_rule_has_a_bound_an_action_and_speaks_only_beyond_it(sample, periods):
    consent = pd.DataFrame({"purpose": ["a", "a", "b", "b"], "customers": [60, 40, 10, 90],
                            "state": ["granted", "no record"] * 2})  # fmt: skip
    figures = pd.DataFrame({"chapter": ["Data", "Forecast"], "value": [0.05, -0.4],
                            "name": ["revenue_set_aside", "holdout_bias"]})  # fmt: skip
    found = checked(sample, periods, figures, consent=consent)
    assert found["value"].round(3).to_dict() == {
        "core_below_target": 0.136, "refund_rate": 0.03, "margin_coverage": 0.983,
        "new_customers_drop": -0.207, "set_aside": 0.05, "forecast_bias": 0.4, "consent_share": 0.1,
    }  # fmt: skip
    speaking = set(found.index[found["state"] == "alert"])
    assert speaking == {"core_below_target", "set_aside", "forecast_bias", "consent_share"}
    texts = alerts.texts(found.reset_index())
    assert len(texts) == 4 and all("Next: " in text for text in texts)
    assert "€95 against a target of €110" in texts[0]
    assert alerts.written(found.reset_index())["state"].tolist()[:4] == ["alert"] * 4
    lines = pd.DataFrame({"chapter": "Data", "name": ["rows_set_aside"], "value": [0.07]})
    found = checked(sample, periods, pd.concat([figures, lines]), consent=consent)
    assert found.loc["set_aside", "text"] == "7.0% of the order lines were set aside"


def test_what_is_not_there_is_not_fine(sample, periods):
    found = checked(sample, periods, target=np.nan)
    unknown = set(found.index[found["state"] == "not known"])
    assert unknown == {"core_below_target", "set_aside", "forecast_bias", "consent_share"}
    mute = alerts.unchecked(found.reset_index())
    assert len(mute) == 4 and "share with consent: no table consents" in mute
    assert "Not checked: core metric below target" in alerts.sentence(found.reset_index())
    said = "None of the 3 of 7 rules that could be checked speaks."
    assert alerts.speaking(found.reset_index()) == said
    none = found.assign(state="not known").reset_index()
    assert alerts.speaking(none) == "None of the 7 rules could be checked."
    one = found.assign(state=["alert", *found["state"][1:]]).reset_index()
    assert alerts.speaking(one).startswith("1 of the 4 of 7 rules that could be checked speaks: ")


@pytest.mark.parametrize(
    ("toml", "match"),
    [
        ("[alerts]\nrefund_rates = 0.1", "Did you mean 'refund_rate'"),
        ("[alerts]\nrefund_rate = 15", "a share from 0 to 1"),
        ("[alerts]\nrefund_rate = '15%'", "must be a number"),
        ('[alerts]\noff = ["refunds"]', "off names 'refunds'.*Did you mean 'refund_rate'"),
        ("[targets]\nltvs = 3", "Did you mean 'ltv'"),
        ("[targets]\naov = -3", "a number above 0"),
        ("[targets]\naov = nan", "a number above 0"),
        ("[alerts]\nset_aside = nan", "a share from 0 to 1"),
    ],
)
def test_a_wrong_bound_is_refused_with_the_right_one(make_shop, toml, match):
    with pytest.raises(UsageError, match=match):
        load_shop(str(make_shop(toml=toml)))


def test_a_rule_can_be_switched_off(make_shop):
    shop = load_shop(str(make_shop(toml='[alerts]\noff = "refund_rate"\nset_aside = 0.5')))
    assert shop.alerts.off == ("refund_rate",) and shop.alerts.set_aside == 0.5


# -- spend, beliefs, cautions ----------------------------------------------------------------


def test_the_scenario_divides_the_same_money(sample, periods):
    acquisition = summaries.load(sample, "acquisition")
    cohort_ages = summaries.load(sample, "cohort_ages")
    table = spending.scenario(sample, acquisition, cohort_ages, periods)
    assert table["suggested"].sum() == pytest.approx(table["spend"].sum())
    assert table["share"].sum() == pytest.approx(1)
    share = table["surplus"].clip(lower=0) / table["surplus"].clip(lower=0).sum()
    assert table["suggested_share"].to_numpy() == pytest.approx(share.to_numpy())
    assert "scenario" in spending.sentence(sample, table, 365)


def test_tests_cost_what_the_one_that_began_cost(sample):
    arms = summaries.load(sample, "experiment_arms")
    flash = arms[(arms["experiment_id"] == "flash_sale") & (arms["arm"] != "control")]
    cost = 150 + 0.05 * flash["customers"].sum()
    planned = summaries.load(sample, "planned_months")
    budget = planned.loc[planned["start"] == "2026-05-01", "planned"].sum()
    text = spending.tests_sentence(sample)
    assert show.percent(cost / budget) in text and sample.money(cost) in text


def test_the_log_holds_every_declared_test_with_its_effect(sample, monkeypatch):
    trials = load_trials(sample)
    reads = [trial_cards.read_trial(sample, trial) for trial in trials.values()]
    kept = show.jsonable(all_trials.log(reads))
    assert len(kept) == sum(len(trial.treated) for trial in trials.values())
    record = {"05_campaign_uplift": {"extra": {"effects": json.loads(json.dumps(kept))}}}
    monkeypatch.setattr(records, "load_records", lambda *a: record)
    log = beliefs.log(sample)
    winback = log[log["experiment"].str.startswith("Win-back")].iloc[0]
    low = next(each["low"] for each in kept if each["experiment_id"] == "winback")
    assert sample.money(low, 2) in winback["effect"] and winback["decision"] == "ship"
    assert set(log.loc[log["experiment"].str.startswith("Onboarding"), "arm"]) == {"call", "tips"}
    text = beliefs.sentence(log)
    assert "7 experiments" in text and "without a decision: Spring newsletter" in text
    assert "Still open: Flash sale" in text


def test_cautions_are_said_where_they_are_likely(sample, periods):
    months = scorecard.by_period(sample, periods, "month", 13)
    figures = pd.DataFrame({"chapter": ["Value so far", "Forecast"], "value": [60.0, 20.0],
                            "name": ["ltv_margin_365d", "clv_per_customer"],
                            "label": ["LTV", "CLV"], "before": [59.0, 20.0]})  # fmt: skip
    both = cautions.written(cautions.sentences(sample, figures, months))
    assert "LTV is not CLV" in both and "snapshot" not in both and "service" not in both.lower()
    alone = cautions.sentences(sample, figures.head(1).assign(before=np.nan), months.tail(5))
    assert "5 whole months" in alone[0] and "not published" in alone[0]


# -- whole pages of shops that lack something ------------------------------------------------

POOR = {
    "no costs": ({"columns": False}, "", {}, "2026-03", ["Revenue per day", "No target is set"]),
    "target of margin, no costs": (
        {"columns": False}, "[core_metric]\ntarget = 5.0\n", {}, "2026-03",
        ["target in shop.toml is one of margin", "no order has a cost"],
    ),
    "orders": (
        {}, '[core_metric]\nname = "orders_per_day"\ntarget = 2\n', {}, "2026-03",
        ["Orders per day", "target of 2"],
    ),
    "one month": (
        {"first": "2026-03-01"}, "history_starts_at = 2026-03-01\n", {}, "2026-03",
        ["No limits are drawn", "too few months", "The history does not reach back to 2026-02",
         "the history does not hold the whole of March 2025", "The history does not hold"],
    ),
    "few days": (
        {"first": "2026-03-20"}, "", {}, "2026-03", ["No limits are drawn", "month not whole"],
    ),
    "no second year": (
        {"first": "2025-09-01"}, "history_starts_at = 2025-09-01\n", {}, "2026-03",
        ["does not hold the whole of 2025-03", "snapshot", "service_costs"],
    ),
    "losses": (
        {"cogs": 14.0}, "[core_metric]\ntarget = 5.0\n", {}, "2026-03",
        ["below target", "Core metric below target"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("orders", "toml", "more", "month", "said"), POOR.values(), ids=POOR)
def test_a_poor_shop_gets_a_page_that_says_what_is_missing(
    make_shop, monkeypatch, tmp_path, orders, toml, more, month, said
):
    monkeypatch.setenv("LTV_REPORTS", str(tmp_path / "none"))
    folder = make_shop(daily_shop(**orders), toml=toml, **more)
    text, tables, record = run_notebook(folder, month, monkeypatch)
    for sentence in (*said, "No record of Data", "No experiment is declared", "marketing_spend"):
        assert sentence in text, sentence
    assert "nan" not in text.lower().split() and record["extra"]["month_facts"]["sums"]["orders"]
    assert len(tables["scorecard"]["rows"]) == 12
    states = {each[0]: each[2] for each in tables["scorecard"]["rows"]}
    assert states["Buy again within 90 days"] == "not known"


def test_a_shop_whose_months_are_known_to_the_cent(make_shop, monkeypatch, tmp_path):
    monkeypatch.setenv("LTV_REPORTS", str(tmp_path / "none"))
    folder = make_shop(daily_shop(), toml="[core_metric]\ntarget = 7.0\n")
    text, tables, record = run_notebook(folder, "2026-03", monkeypatch)
    # March 2026: 31 days, 5 Sundays, so 57 orders of 10.00 with a margin of 4.00 each.
    facts = record["extra"]["month_facts"]["sums"]
    assert facts == {"revenue": 570, "margin": 228, "refunds": 0, "orders": 57}
    core = tables["scorecard"]["rows"][0]
    assert core[0].startswith("Contribution margin per day") and core[1] == "€7.35"
    assert "No day is outside its limits" in text or "days were" in text


def test_amounts_of_another_currency_are_not_compared(sample, monkeypatch):
    figure = {"name": "clv_total", "label": "V", "unit": "money", "value": 1.0, "low": 0.0,
              "high": 2.0, "note": ""}  # fmt: skip
    other = {**figure, "name": "repeats", "unit": "count"}
    now = {"04_predictive_clv": {"currency": "EUR", "figures": [figure, other]}}
    old = {"04_predictive_clv": {"currency": "USD", "figures": [figure, other]}}
    monkeypatch.setattr(records, "load_records", lambda *a: now)
    monkeypatch.setattr(records, "published_records", lambda *a: old)
    table = scorecard.figures(sample).set_index("name")
    assert np.isnan(table.loc["clv_total", "before"]) and table.loc["repeats", "before"] == 1


def test_what_the_dictionary_and_a_new_shop_say_is_what_holds(make_shop):
    """The example in data/README.md and the draft of new-shop load, and state the defaults."""
    readme = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    example = readme.split("### Targets and alerts\n\n```toml\n")[1].split("```")[0]
    draft = "\n".join(line.removeprefix("# ") for line in _goals()[2:])
    for toml, off in ((example, ("consent_share",)), (draft, ())):
        shop = load_shop(str(make_shop(toml=toml)))
        assert replace(shop.alerts, off=()) == Alerts() and shop.alerts.off == off
        assert shop.core_metric.target == 480 and shop.targets["new_customers"] == 200
    listed = readme.split("Targets: ")[1].split(". Changing")[0]
    assert tuple(re.findall(r"`(\w+)`", listed)) == TARGETS
