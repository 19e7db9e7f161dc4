"""What the predictive notebook says of odd customers, and of shops that carry no forecast."""

import numpy as np
import pandas as pd
import pytest

from helpers import summaries
from helpers.chapters import (
    backtest_tables,
    forecast_levers,
    forecast_sentences,
    forecast_tables,
    forecast_uses,
    outlooks,
)
from helpers.chapters import findings_forecast as findings
from helpers.models.terms import Horizon, Terms
from helpers.study import open_study

HEAD = "order_id,customer_id,ordered_at,revenue,is_refund\n"


def said(folder, month="2026-03"):
    study = open_study(str(folder), month)
    states, spend, scope = (
        summaries.load(study, name) for name in ("customer_states", "spend_states", "scope")
    )
    return " ".join(forecast_uses.cautions(study, states, spend, scope)), study, states


def lines(rows) -> str:
    # an order of the month after, so that March is complete
    rows = [*rows, ("late", "2026-04-15", 1)]
    return HEAD + "".join(
        f"{number},{who},{day},{revenue},{'true' if revenue < 0 else ''}\n"
        for number, (who, day, revenue) in enumerate(rows)
    )


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("a", "2026-01-05", 10), ("b", "2026-02-09", 10), ("c", "2026-02-09", -10)],
         "1 customers have no purchase left after refunds"),
        ([("a", "2026-01-05", 10), ("a", "2026-02-05", 0), ("b", "2026-02-07", 5)],
         "1 repeat purchase days brought nothing"),
        ([("a", "2026-01-05", 10), ("b", "2026-02-05", 10)], "Everyone has bought on one day only"),
        ([("a", "2026-01-05", 10), ("b", "2026-01-05", 10)], "Everyone first bought on 05 January"),
        ([("a", f"{day:%Y-%m-%d}", 5) for day in pd.date_range("2025-01-01", periods=310)]
         + [("b", "2025-03-01", 5)], "1 customers with more than 300 repeat purchase days"),
        ([(f"old{k}", "2025-10-01", 5) for k in range(50)]
         + [(f"new{k}", f"{pd.Timestamp('2025-10-02') + pd.Timedelta(days=k):%Y-%m-%d}", 5)
            for k in range(80)], "first bought on the first day of the history"),
        ([("a", "2026-01-05", 10), ("b", "2026-02-05", 10)], "does not reach back to the shop's"),
    ],
)  # fmt: skip
def test_odd_customers_are_said_and_counted(make_shop, rows, words):
    assert words in said(make_shop(lines(rows)), max(day for _, day, _ in rows)[:7])[0]


def test_five_customers_give_sentences_and_no_number(make_shop):
    rows = [(f"c{k}", f"2026-0{month}-1{k}", 20 + k) for k in range(5) for month in (1, 2, 3)]
    _, study, states = said(make_shop(lines(rows)))
    terms = Terms(Horizon(12), discount_rate=0.1)
    check = backtest_tables.load_backtest(study, states, terms.horizon, "revenue")
    season = backtest_tables.load_season(study, states)
    view = outlooks.outlook(study, states, terms, "revenue", 1, check=check, season=season)
    assert view.reason == "Only 5 customers: a forecast needs at least 500."
    assert check.reason == view.reason and season.season is None
    money = study.money
    cells, listed = (
        forecast_uses.thirds(study, view, states),
        forecast_uses.candidates(study, view, states),
    )
    tables = [
        forecast_tables.tiers(view), forecast_tables.by_month(view), forecast_tables.cohorts(view, 1),
        forecast_tables.parameters(view), forecast_tables.identity(view), cells, listed,
        forecast_levers.single_changes(view, forecast_levers.value_if(view)), forecast_tables.one_customer(view, 1),
        backtest_tables.rule_scores(check), backtest_tables.bins(check),
        backtest_tables.origins(check), backtest_tables.deciles(check),
        backtest_tables.season_table(season), forecast_uses.third_grid(cells),
        forecast_tables.fit_by_frequency(view, states, study),
    ]  # fmt: skip
    assert all(table.empty for table in tables)
    sentences = [
        backtest_tables.choice_sentence(check), backtest_tables.coverage_sentence(check),
        forecast_sentences.residual_sentence(view, money), forecast_sentences.coming_sentence(view, money),
        forecast_sentences.limits_sentence(view, check), forecast_uses.thirds_sentence(cells, money),
        forecast_uses.lists_sentence(study, listed),
        forecast_levers.lever_finding(view, forecast_levers.value_if(view), money).sentence,
        forecast_sentences.fit_sentence(view), forecast_sentences.renewals_sentence(study, 0.1),
        forecast_sentences.one_customer_sentence(forecast_tables.one_customer(view, 1), money),
        findings.holdout(check, money).sentence, findings.season(season).sentence,
        findings.drift(forecast_tables.cohort_drift(view, states)).sentence,
        findings.channels(forecast_tables.channel_drift(view, states)).sentence,
    ]  # fmt: skip
    assert all(text and "nan" not in text.lower().split() for text in sentences)
    assert forecast_levers.levers(view) == ()
    assert forecast_tables.total_row(view).isna().all()
    assert backtest_tables.alerts(check) == []


def test_a_last_day_that_is_not_over_is_not_seen(make_shop):
    # the month ends before the last day of the files, so half a day never counts as a whole one
    rows = [("a", "2026-03-30", 10), ("b", "2026-04-02", 10)]
    _, study, states = said(make_shop(lines(rows)))
    assert states["n"].sum() == 1
    assert states["last_day"].max() <= pd.Timestamp(study.end)


def test_the_margin_rate_has_the_error_of_customers_and_orders_that_of_days(make_shop):
    rng, rows = np.random.default_rng(5), []
    for customer in range(15):
        share = rng.uniform(0.2, 0.8)  # the orders of one customer are alike
        for month in range(1, 1 + rng.integers(2, 7)):
            revenue = int(rng.integers(1000, 9000))
            rows.append((f"c{customer}", month, revenue, int(revenue * share)))
    lines = "".join(
        f"{who}-{month},{who},2026-0{month}-05,{revenue / 100:.2f},{cost / 100:.2f}\n"
        for who, month, revenue, cost in rows
    )
    shop = make_shop(
        f"order_id,customer_id,ordered_at,revenue,cogs\n{lines}",
        toml="complete_through = 2026-06-30",
    )
    study = open_study(str(shop), "2026-06")
    periods = summaries.load(study, "periods")
    terms = outlooks.terms_of(study, periods, horizon_months=12, discount_rate=0.1)
    repeat = pd.DataFrame(rows, columns=["who", "month", "known", "cost"]).query("month > 1")
    repeat = repeat.assign(earned=repeat["known"] - repeat["cost"])
    rate = repeat["earned"].sum() / repeat["known"].sum()
    stray = repeat["earned"] - rate * repeat["known"]
    apart = stray.groupby(repeat["who"]).sum()
    assert terms.margin_rate == pytest.approx(rate)
    assert terms.order_noise == pytest.approx(np.sqrt((stray**2).mean()) / 100)
    assert terms.rate_error == pytest.approx(np.sqrt((apart**2).sum()) / repeat["known"].sum())
    assert terms.rate_error > 1.2 * np.sqrt((stray**2).sum()) / repeat["known"].sum()
