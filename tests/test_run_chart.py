"""Targets by weekday add up, limits come from the weeks before, and signals mean what they say."""

import numpy as np
import pandas as pd
import pytest

from helpers import figures
from helpers.chapters import run_chart
from helpers.show import money_in


def series(values, first="2026-01-05") -> pd.Series:
    """Days from a Monday on."""
    return pd.Series(np.asarray(values, dtype=float), pd.date_range(first, periods=len(values)))


WEEK = np.array([60, 80, 100, 120, 140, 150, 50.0])


def noisy(weeks: int, seed: int, sigma: float = 10.0, first: str = "2026-01-05") -> pd.Series:
    noise = np.random.default_rng(seed).normal(0, sigma, 7 * weeks)
    return series(np.tile(WEEK, weeks) + noise, first)


def split(days: pd.Series, shown: int = 28, **options):
    return run_chart.chart(days.iloc[-shown:], days.iloc[:-shown], **options)


def test_pattern_is_each_weekday_over_the_mean_day():
    pattern = run_chart.weekday_pattern(series(np.tile(WEEK, 12)))
    assert pattern.to_numpy() == pytest.approx(WEEK / 100)
    assert pattern.mean() == pytest.approx(1)


@pytest.mark.parametrize(
    "history", [np.tile(WEEK, 3), np.tile(WEEK - 55, 12), np.zeros(84)], ids=["few", "loss", "nil"]
)
def test_no_pattern_of_few_weeks_of_losses_or_of_nothing(history):
    assert (run_chart.weekday_pattern(series(history[:84])) == 1).all()


@pytest.mark.parametrize("month", ["2026-02", "2026-03", "2024-02", "2026-05"])
def test_targets_of_the_days_add_up_to_the_months(month):
    period = pd.Period(month, "M")
    days = pd.date_range(period.start_time, period.end_time.normalize())
    targets = run_chart.day_targets(days, pd.Series(WEEK / 100, range(7)), 480.0)
    assert targets.sum() == pytest.approx(480 * len(days), abs=1e-9)
    friday, sunday = (targets[days.day_of_week == day].mean() for day in (4, 6))
    assert friday / sunday == pytest.approx(140 / 50)


def test_days_of_two_months_take_each_its_own_sum():
    days = pd.date_range("2026-01-30", "2026-02-28")
    targets = run_chart.day_targets(days, pd.Series(WEEK / 100, range(7)), 10.0)
    assert targets[days >= "2026-02-01"].sum() == pytest.approx(280)


def test_limits_are_three_deviations_from_the_weekday():
    found = split(noisy(40, 1))
    half = (found.days["high"] - found.days["center"]).iloc[0]
    assert half == pytest.approx(30, rel=0.15) and found.weeks == 36
    means = noisy(40, 1).iloc[:-28].groupby(lambda day: day.day_of_week).mean()
    assert found.days["center"].iloc[:7].to_numpy() == pytest.approx(means.to_numpy())


def test_a_few_days_of_a_sale_do_not_widen_the_limits():
    plain, sale = noisy(16, 2), noisy(16, 2)
    sale.iloc[20:23] += 500
    widths = [(f.days["high"] - f.days["low"]).iloc[0] for f in (split(plain), split(sale))]
    assert widths[1] < 1.6 * widths[0]
    history = sale.iloc[:-28]
    means = history.groupby(lambda day: day.day_of_week).transform("mean")
    by_mean = 6 * np.abs(np.diff(history - means)).mean() / 1.1284
    assert by_mean > 2.5 * widths[0], "which is what mean moving ranges would have done"


def test_a_day_outside_is_marked_with_its_side():
    days = noisy(16, 3)
    days.iloc[-3] += 90
    found = split(days)
    assert found.days["outside"].to_numpy().nonzero()[0].tolist() == [25]
    assert "24 April (above)" in run_chart.signals_sentence(found)


def test_a_shift_is_a_run_not_a_day():
    days = noisy(16, 4)
    days.iloc[-12:] -= 28
    found = split(days)
    assert found.days["run"].iloc[-8:].all() and not found.days["run"].iloc[:10].any()
    assert "days were below" in run_chart.signals_sentence(found)


def test_without_change_most_months_show_no_signal():
    """On 400 shops without any change about one month in six shows a signal, as theory has it."""
    shown = [split(noisy(16, seed)).days["signal"].any() for seed in range(400)]
    assert 0.08 < np.mean(shown) < 0.30


def test_signals_do_not_hang_on_the_unit():
    days = noisy(16, 5)
    days.iloc[-3] += 90
    cents = split(days * 100).days
    assert cents["signal"].tolist() == split(days).days["signal"].tolist()


@pytest.mark.parametrize("weeks", [0, 1, 3])
def test_few_weeks_have_no_limits_and_a_flat_target(weeks):
    found = split(noisy(weeks + 4, 6), target=100.0)
    assert found.days[["center", "low", "high"]].isna().all(axis=None)
    assert not found.days["signal"].any() and (found.days["target"] == 100).all()
    assert "No limits are drawn" in run_chart.signals_sentence(found)


def test_a_shop_without_orders_on_most_days_still_has_limits():
    rare = series(np.where(np.arange(16 * 7) % 6 == 0, 30.0, 0.0))
    found = split(rare, floor=0.0)
    assert (found.days["high"] > found.days["center"]).all() and (found.days["low"] == 0).all()


def test_losses_stay_losses():
    found = split(noisy(16, 7) - 300, target=100.0)
    assert (found.pattern == 1).all()
    finding = run_chart.finding(found, 100.0, "Margin", money_in("EUR"))
    assert "below target" in finding.title and "-€" in finding.alt


@pytest.mark.parametrize("target", [np.nan, 100.0])
@pytest.mark.parametrize("weeks", [4, 16])
def test_every_chart_can_be_drawn_and_told(target, weeks):
    found = split(noisy(weeks, 8), target=target)
    names = {"x": "start", "y": "value"} | {
        key: key for key in ("center", "low", "high", "target", "outside", "run")
    }
    figure = figures.run_chart(found.days, fmt=money_in("EUR"), **names)
    finding = run_chart.finding(found, target, "Margin per day", money_in("EUR"))
    assert figure.axes and 0 < len(finding.title) <= 90 and finding.alt.startswith("Run chart")
    legend = figure.axes[0].get_legend()
    texts = [text.get_text() for text in legend.get_texts()] if legend else []
    assert ("target of the day" in texts) == (not np.isnan(target))
    assert ("expected by weekday, with limits" in texts) == (weeks == 16)


def test_nothing_to_draw_gives_no_picture():
    names = dict.fromkeys(("x", "y", "center", "low", "high", "target", "outside", "run"), "a")
    assert figures.run_chart(pd.DataFrame({"a": []}), fmt=str, **names) is None
