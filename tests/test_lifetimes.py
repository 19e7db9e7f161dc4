"""Incremental CLV on a simulated campaign of a hundred thousand customers, whose truth is known."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from helpers.chapters import trial_readouts, trial_values
from helpers.chapters.trials import Trial
from helpers.experiments import cuped, lifetimes
from helpers.experiments.power import smallest_effect
from helpers.models import forecast
from helpers.models.terms import Horizon, Terms

N, WINDOW, RATE = 100_000, 30, 0.4
START = pd.Timestamp("2026-01-01")
TERMS = Terms(horizon=Horizon(12, "months"), margin_rate=RATE, cost_to_serve=0.0, discount_rate=0.0)


class World(NamedTuple):
    """Customers with hidden rates, each purchase as (customer, day since the start, revenue)."""

    rate: np.ndarray
    dropout: np.ndarray
    mean: np.ndarray
    alive: np.ndarray
    first: np.ndarray
    treated: np.ndarray
    who: np.ndarray
    day: np.ndarray
    revenue: np.ndarray


def exposure(days, speeds):
    """Give exposure since the start for (until, speed) steps; one before it, the last one after."""
    days, total, since = np.asarray(days, dtype=float), 0.0, 0.0
    found = np.minimum(days, 0)
    for until, speed in speeds:
        found = found + speed * np.clip(days - since, 0, until - since)
        since = until
    return found + total


def moment(exposed, speeds):
    """Give the day on which an exposure is reached."""
    grid = np.array([-2000.0, 0.0, *[until for until, _ in speeds]])
    return np.interp(exposed, exposure(grid, speeds), grid)


def simulate(speeds, seed):
    rng = np.random.default_rng(seed)
    rate, dropout = rng.gamma(0.5, 1 / 45, N), rng.beta(1.2, 6, N)
    mean = 6 * 40.8 / rng.gamma(5, 1.0, N)
    treated, first = np.arange(N) % 2 == 1, -rng.uniform(1, 700, N)
    who, day = [np.arange(N)], [first]
    active, alive = np.arange(N), np.ones(N, dtype=bool)
    passed = first.copy()
    plain = ((2000, 1.0),)
    while active.size:
        passed[active] += rng.exponential(size=active.size) / rate[active]
        reached = np.where(
            treated[active], moment(passed[active], speeds), moment(passed[active], plain)
        )
        inside = reached < 2 * WINDOW + 365
        active, reached = active[inside], reached[inside]
        who.append(active)
        day.append(reached)
        leaves = rng.random(active.size) < dropout[active]
        alive[active[leaves & (reached < 0)]] = False
        active = active[~leaves]
    who, day = np.concatenate(who), np.floor(np.concatenate(day)).astype(int)
    # Purchases of one day are one purchase.
    pairs = np.unique(np.column_stack([who, day]), axis=0)
    who, day = pairs[:, 0], pairs[:, 1]
    revenue = np.round(mean[who] / 6 * rng.gamma(6, 1.0, len(who)), 2)
    return World(rate, dropout, mean, alive, np.floor(first), treated, who, day, revenue)


def true_gain(world, speeds, until):
    """Expected extra margin per customer to a day: (1 - exp(-rate x dropout x exposure)) / dropout."""

    def orders(steps):
        spent = world.rate * world.dropout * exposure(float(until), steps)
        return world.alive * -np.expm1(-spent) / world.dropout

    gain = orders(speeds) - orders(((2000, 1.0),))
    return float((gain * world.mean).mean() * RATE)


def by_customer(world, low, high, values=None):
    inside = (world.day >= low) & (world.day < high)
    weights = None if values is None else values[inside]
    return np.bincount(world.who[inside], weights, N)


def histories(world, until, at):
    """Purchase histories as `experiment_states` gives them, one row per customer."""
    seen = world.day < until
    again = seen & (world.day > world.first[world.who])
    last = np.full(N, -10_000)
    np.maximum.at(last, world.who[seen], world.day[seen])
    frame = pd.DataFrame({
        "arm": np.where(world.treated, "mail", "control"), "channel": "all", "tier": "all",
        "at": at, "horizon": START + pd.Timedelta(days=until - 1), "missing": 0, "n": 1,
        "frequency": np.bincount(world.who[again], minlength=N),
        "first_day": START + pd.to_timedelta(world.first, unit="D"),
        "last_day": START + pd.to_timedelta(last, unit="D"),
        "total_spend": np.bincount(world.who[again], world.revenue[again], N),
    })  # fmt: skip
    money = {"revenue": by_customer(world, 0, WINDOW, world.revenue)}
    money |= {"margin": RATE * money["revenue"], "orders": by_customer(world, 0, WINDOW) * 1.0}
    money["converted"] = (money["orders"] > 0).astype(float)
    money["pre"] = RATE * by_customer(world, -180, 0, world.revenue)
    frame = frame.assign(spend_frequency=frame["frequency"], **money)
    frame = frame.assign(
        margin_squares=frame["margin"] ** 2, pre_squares=frame["pre"] ** 2,
        total_spend_squares=frame["total_spend"] ** 2, margin_pre=frame["margin"] * frame["pre"],
        **{f"{name}_total_spend": frame[name] * frame["total_spend"] for name in money},
    )  # fmt: skip
    return frame


def moments(world):
    rows = []
    early = by_customer(world, 0, 14) * 1.0
    for window in (14, WINDOW, 60, 180):
        revenue = by_customer(world, 0, window, world.revenue)
        orders = by_customer(world, 0, window) * 1.0
        values = {"margin": RATE * revenue, "orders": orders, "late_orders": orders - early}
        pre = RATE * by_customer(world, -180, 0, world.revenue)
        for arm, side in (("control", ~world.treated), ("mail", world.treated)):
            row = {"arm": arm, "window_days": window, "assigned": side.sum(), "n": side.sum(),
                   "missing": 0, "pre": pre[side].sum(), "pre_squares": (pre[side] ** 2).sum()}  # fmt: skip
            for name, value in values.items():
                row |= {name: value[side].sum(), f"{name}_squares": (value[side] ** 2).sum(),
                        f"{name}_pre": (value * pre)[side].sum(), f"{name}_missing": 0.0}  # fmt: skip
            rows.append(row)
    return pd.DataFrame(rows).assign(declared=lambda t: t["window_days"] == WINDOW)


def campaign(speeds, seed):
    """Read a simulated campaign as the notebook does."""
    world = simulate(speeds, seed)
    facts = pd.DataFrame({"arm": ["control", "mail"], "customers": [N // 2, N // 2]})
    about = pd.Series({"window_days": WINDOW, "control_arm": "control", "randomized": True,
                       "cost_per_customer": 0.0, "fixed_cost": 0.0, "arm_costs": None})  # fmt: skip
    trial = Trial("sim", about, moments(world), facts)
    before = histories(world, 0, "before")
    known = before.groupby(lifetimes.HISTORY, as_index=False)["n"].sum()
    spends = before[before["frequency"] > 0].groupby(["frequency", "total_spend"], as_index=False)
    spends = spends["n"].sum()
    models = forecast.fit_models(known.sample(6000, random_state=1).assign(n=1),
                                 spends.sample(6000, random_state=1), START - pd.Timedelta(days=1))  # fmt: skip
    after = histories(world, WINDOW, "after")
    rows = lifetimes.lifetime_moments(after, models, TERMS, window_days=WINDOW)
    numbers = list(rows.select_dtypes("number").columns)
    lifetime = rows.groupby(["arm", "channel", "tier"], as_index=False)[numbers].sum()
    return world, trial, trial_values.Outlook("", TERMS, models, lifetime), before


HABIT = ((WINDOW, 1.6), (2000, 1.1))
PULL = ((14, 2.0), (60, 1 - 14 / 46), (2000, 1.0))
NULL = ((2000, 1.0),)


@pytest.fixture(scope="module")
def habit():
    return campaign(HABIT, 11)


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
    world = simulate(PULL, 12)
    facts = pd.DataFrame({"arm": ["control", "mail"], "customers": [N // 2, N // 2]})
    about = pd.Series({"window_days": 60, "control_arm": "control", "arm_costs": None,
                       "cost_per_customer": 0.0})  # fmt: skip
    trial = Trial("sim", about, moments(world), facts)
    windows = trial_readouts.by_window(trial).set_index("window_days")
    assert true_gain(world, PULL, 60) == pytest.approx(0, abs=1e-9)
    assert windows.loc[14, "low"] > 0 and windows.loc[60, "low"] < 0 < windows.loc[60, "high"]
    found, text = trial_readouts.pull_forward(trial, "mail")
    assert found and "brought forward" in text


def test_a_null_campaign_is_called_null_as_often_as_stated():
    world = simulate(NULL, 13)
    margin = RATE * by_customer(world, 0, WINDOW, world.revenue)
    rng, calls = np.random.default_rng(14), 0
    for _ in range(400):
        side = rng.random(N) < 0.5
        gap = margin[side].mean() - margin[~side].mean()
        calls += abs(gap) > 1.96 * np.sqrt(margin[side].var() / side.sum() + margin[~side].var() / (~side).sum())  # fmt: skip
    assert 400 * 0.05 - 3 * 4.36 < calls < 400 * 0.05 + 3 * 4.36
