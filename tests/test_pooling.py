"""Segments and campaigns read together, and decisions in money."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects

from helpers.errors import UsageError
from helpers.experiments import decisions, pooling
from helpers.experiments.decisions import EXTEND, SEGMENTS, SHIP, STOP, Prior, Rule, verdict
from helpers.experiments.effects import NOTHING, Effect, interval

# Hillstrom, Mens E-Mail, by past purchase (womens, mens, both): visits, then spend.
VISITS = [0.0705795766, 0.0691551642, 0.1344440298], [0.0048579500, 0.0049006319, 0.0129559537]
SPEND = [0.6157308066, 0.6827353123, 1.8249864209], [0.1765608797, 0.2222302299, 0.6810458465]


def test_hillstrom_differs_in_visits_but_not_in_spend():
    q, dof, p_value = pooling.heterogeneity(*VISITS)
    assert [q, p_value] == pytest.approx([23.24, 9.0e-6], rel=1e-3) and dof == 2
    q, _, p_value = pooling.heterogeneity(*SPEND)
    assert [q, p_value] == pytest.approx([2.955, 0.228], abs=5e-4)


def test_random_effects_are_those_of_statsmodels():
    rng = np.random.default_rng(2)
    for spread in (0.0, 0.5, 3.0):
        ses = rng.uniform(0.3, 1.5, 9)
        values = 1 + spread * rng.standard_normal(9) + ses * rng.standard_normal(9)
        oracle = combine_effects(values, ses**2, method_re="pm", use_t=True)
        found = pooling.pooled(values, ses)
        assert found.tau**2 == pytest.approx(max(float(oracle.tau2), 0), abs=1e-4)
        assert found.q == pytest.approx(float(oracle.q))
        assert found.value == pytest.approx(float(oracle.mean_effect_re), abs=1e-4)
        # Knapp and Hartung's standard error, unless that is the narrower one.
        hartung = float(oracle.sd_eff_w_re_hksj)
        assert found.se == pytest.approx(
            max(hartung, 1 / np.sqrt((1 / (ses**2 + found.tau**2)).sum())), rel=1e-3
        )


def test_shrinkage_corrects_the_winner():
    rng = np.random.default_rng(3)
    raw, drawn, held = [], [], []
    for _ in range(400):
        true = 1 + 0.5 * rng.standard_normal(15)
        ses = rng.uniform(0.3, 1.2, 15)
        seen = true + ses * rng.standard_normal(15)
        table = pooling.shrunk(seen, ses)
        best = seen.argmax()
        raw.append(seen[best] - true[best])
        drawn.append(table["shrunk"].iloc[best] - true[best])
        held.append(((table["low"] <= true) & (true <= table["high"])).mean())
    assert np.mean(raw) > 0.5
    assert abs(np.mean(drawn)) < 0.12
    assert 0.93 < np.mean(held) < 0.97


def test_segments_that_do_not_differ_are_drawn_close_together():
    table, family = pooling.segments([100, 50, 50], [1.0, 1.1, 0.9], [0.5, 0.5, 0.5])
    assert family.tau == 0
    assert np.ptp(table["shrunk"]) < 0.08 < np.ptp(table["value"])
    assert (table["shrunk_se"] < 0.5).all()
    alone = pooling.shrunk([2.0], [0.5]).iloc[0]
    assert [alone["shrunk"], alone["shrunk_se"]] == pytest.approx([2.0, 0.5])


def test_segments_add_up_to_the_total():
    sizes = np.array([4000, 2500, 900, 0])
    table, _ = pooling.segments(sizes, [1.0, 3.0, -2.0, np.nan], [0.4, 0.5, 0.9, np.nan])
    assert table["total"].sum() == pytest.approx((sizes[:3] * [1.0, 3.0, -2.0]).sum())
    assert table["shrunk_total"].sum() == pytest.approx(table["total"].sum(), abs=1e-9)
    assert np.isnan(table["shrunk"].iloc[3])
    assert table["kept"].iloc[0] > table["kept"].iloc[2]
    with pytest.raises(UsageError, match="number of customers"):
        pooling.segments([1, -1], [1.0, 2.0], [1.0, 1.0])


def test_families_of_none_one_and_two():
    assert np.isnan(pooling.pooled([], []).value)
    one = pooling.pooled([2.0], [0.5])
    assert (one.value, one.se, one.tau) == (2.0, 0.5, 0.0) and np.isnan(one.q_p)
    assert np.isnan(pooling.prior([1.0, 2.0], [0.1, 0.1])).all()
    mean, sd = pooling.prior([1.0, 2.0, 3.0], [0.1, 0.1, 0.1])
    assert mean == pytest.approx(2.0) and sd > 1.0
    with pytest.raises(UsageError, match="same length"):
        pooling.shrunk([1.0], [1.0, 2.0])


def test_odds_and_losses_are_those_of_draws():
    net = interval(0.4, 0.5)
    prior = Prior(0.1, 0.8)
    found = decisions.odds(net, prior)
    weights = np.array([1 / 0.8**2, 1 / 0.5**2])
    draws = np.random.default_rng(1).normal(
        (weights * [0.1, 0.4]).sum() / weights.sum(), weights.sum() ** -0.5, 400_000
    )
    assert found["profit"] == pytest.approx((draws > 0).mean(), abs=3e-3)
    assert found["loss_ship"] == pytest.approx(np.maximum(-draws, 0).mean(), abs=2e-3)
    assert found["loss_stop"] == pytest.approx(np.maximum(draws, 0).mean(), abs=2e-3)
    flat = decisions.odds(net)
    assert flat["profit"] == pytest.approx(stats.norm.cdf(0.8))
    assert np.isnan(decisions.odds(NOTHING)["profit"])


def test_value_of_more_customers_is_that_of_draws():
    rng = np.random.default_rng(4)
    net = interval(0.1, 0.5)
    true = rng.normal(0.1, 0.5, 300_000)  # the posterior under a flat prior
    more = rng.normal(true, 0.5)  # as much data again
    after = (0.1 + more) / 2
    worth = np.maximum(after, 0).mean() - 0.1
    assert decisions.value_of_more(net, 2.0) == pytest.approx(worth, abs=2e-3)
    assert decisions.value_of_more(net, 1.0) == pytest.approx(0)
    assert decisions.value_of_more(interval(9.0, 0.5), 2.0) == pytest.approx(0, abs=1e-9)
    with pytest.raises(UsageError, match="at least as large"):
        decisions.value_of_more(net, 0.5)


def test_return_and_break_even():
    margin = interval(0.6, 0.1)
    (value, low, high), reason = decisions.mroi(margin, 0.2)
    assert not reason
    assert [value, low, high] == pytest.approx([3.0, margin.low / 0.2, margin.high / 0.2])
    (_, low_too, high_too), _ = decisions.mroi(margin, 0.2, cost_se=0.02)
    assert low_too < low < high < high_too
    assert np.isnan(decisions.mroi(margin, 0.2, cost_se=0.2)[0][1:]).all()
    assert "cost nothing" in decisions.mroi(margin, 0.0)[1]
    even = decisions.break_even(margin, 0.2, 1.0)
    assert even["cost"] == pytest.approx(0.6) and even["lift"] == pytest.approx(0.2)
    assert decisions.break_even(interval(-0.1, 0.02), 0.2, -1.0)["cost"] == 0
    assert np.isnan(decisions.break_even(margin, 0.2, -1.0)["lift"])
    net = decisions.less_cost(margin, 0.6)
    assert net.value == pytest.approx(0) and net.p_value == pytest.approx(1)


@pytest.mark.parametrize(
    ("net", "more", "answer"),
    [
        (interval(1.0, 0.2), {}, SHIP),
        (interval(-1.0, 0.2), {}, STOP),
        (interval(0.1, 0.2), {}, EXTEND),
        (interval(0.1, 0.2), {"can_extend": False}, STOP),
        (interval(0.1, 0.2), {"segments_differ": True, "segment_low": 0.05}, SEGMENTS),
        (interval(0.1, 0.2), {"segments_differ": True, "segment_low": -0.05}, EXTEND),
        (interval(1.0, 0.2), {"fault": "the arms do not have their planned sizes"}, "withheld"),
        (NOTHING, {}, "withheld"),
        (interval(1.0, 0.2), {"prior": Prior(-2.0, 0.1)}, STOP),
    ],
)
def test_verdicts(net, more, answer):
    found, why = verdict(net, Rule(), **more)
    assert found == answer and why
    assert "100.0%" not in why and " 0.0%" not in why


def test_a_bearable_loss_decides_without_waiting():
    net = interval(0.2, 0.2)
    wrong = decisions.odds(net)["loss_ship"]
    assert verdict(net, Rule(bearable=wrong * 1.01))[0] == SHIP
    assert verdict(net, Rule(bearable=wrong * 0.99))[0] == EXTEND
    with pytest.raises(UsageError, match="higher chance"):
        Rule(ship_at=0.4, stop_at=0.6)
    with pytest.raises(UsageError, match="standard deviation"):
        Prior(0.0, 0.0)
    assert Effect(*net) == net
