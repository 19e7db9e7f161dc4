"""Incremental CLV on a simulated campaign of a hundred thousand customers, whose truth is known."""

import numpy as np
import pytest

from benchmarks.campaigns import (
    HABIT,
    NULL,
    PULL,
    RATE,
    TERMS,
    WINDOW,
    by_customer,
    outlook,
    simulate,
    trial_of,
    true_gain,
)
from helpers.chapters import trial_readouts, trial_values
from helpers.experiments import cuped, lifetimes
from helpers.experiments.power import smallest_effect

N = 100_000


@pytest.fixture(scope="module")
def habit():
    world = simulate(HABIT, 11, N)
    return world, trial_of(world), *outlook(world)


def test_without_carry_over_and_model_bracket_the_truth_and_the_observed_line_covers_its_own(habit):
    world, trial, view, _ = habit
    lines = trial_values.lines(trial, view).set_index("line")
    whole = true_gain(world, HABIT, WINDOW + 365.25)
    assert lines.loc["no carry-over", "low"] < whole < lines.loc["model", "high"]
    assert lines.loc["no carry-over", "value"] < whole < lines.loc["model", "value"]
    seen = lines.loc["observed to 180 days"]
    assert seen["low"] < true_gain(world, HABIT, 180) < seen["high"]
    within = lines.loc["no carry-over"]
    assert within["low"] < true_gain(world, HABIT, WINDOW) < within["high"]


def test_the_parts_of_the_model_line_add_up(habit):
    _, trial, view, _ = habit
    row = trial_values.lines(trial, view).set_index("line").loc["model"]
    assert row["window"] + row["residual"] == pytest.approx(row["value"])


def test_what_the_design_says_can_be_seen_is_found(habit):
    world, trial, view, _ = habit
    row = trial_values.lines(trial, view).set_index("line").loc["no carry-over"]
    assert true_gain(world, HABIT, WINDOW) > smallest_effect(row["se"]) and row["low"] > 0
    found, text = trial_readouts.pull_forward(trial, "mail")
    assert not found and "more at first" in text


def test_the_forecast_made_before_explains_more_than_recent_margin(habit):
    _, _, view, before = habit
    rows = lifetimes.covariate(before, view.models, TERMS)
    names = ["n", "margin", "margin_squares", "score", "score_squares", "margin_score", "pre",
             "pre_squares", "margin_pre"]  # fmt: skip
    arms = [row for _, row in rows.groupby("arm")[names].sum().iterrows()]
    by_score, _ = cuped.explained(arms, "margin", ("score",))
    by_margin, _ = cuped.explained(arms, "margin", ("pre",))
    assert by_score > by_margin > 0
    # The sums are those of one value per customer.
    lines = lifetimes.residual_lines(before, view.models, TERMS)
    value = lines["base"] + lines["slope"] * before["total_spend"]
    assert rows["margin_score"].sum() == pytest.approx((value * before["margin"]).sum())
    assert rows["score_squares"].sum() == pytest.approx((value**2).sum())


def test_orders_brought_forward_are_recognised_and_gain_nothing_in_the_end():
    world = simulate(PULL, 12, N)
    trial = trial_of(world, 60)
    windows = trial_readouts.by_window(trial).set_index("window_days")
    assert true_gain(world, PULL, 60) == pytest.approx(0, abs=1e-9)
    assert windows.loc[14, "low"] > 0 and windows.loc[60, "low"] < 0 < windows.loc[60, "high"]
    found, text = trial_readouts.pull_forward(trial, "mail")
    assert found and "brought forward" in text


def test_a_null_campaign_is_called_null_as_often_as_stated():
    world = simulate(NULL, 13, N)
    margin = RATE * by_customer(world, 0, WINDOW, world.revenue)
    rng, calls = np.random.default_rng(14), 0
    for _ in range(400):
        side = rng.random(N) < 0.5
        gap = margin[side].mean() - margin[~side].mean()
        calls += abs(gap) > 1.96 * np.sqrt(margin[side].var() / side.sum() + margin[~side].var() / (~side).sum())  # fmt: skip
    assert 400 * 0.05 - 3 * 4.36 < calls < 400 * 0.05 + 3 * 4.36
