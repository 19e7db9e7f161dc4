"""Small versions of benchmarks/experiments.py: intervals hold a known effect as often as they say."""

import numpy as np
import pytest

from helpers.experiments import cuped, effects, looks, ratios
from helpers.experiments.factorial import CELLS, contrast
from helpers.experiments.multiplicity import holm
from helpers.experiments.scores import average, cross_fitted

TESTS, N = 1000, 600
RATE, LIFT = 0.6, 1.3


def draw(rng, shape, lift=1.0, basket=1.0):
    """Draw orders (geometric), spend of mean 10 x orders, and orders of the time before."""
    own = rng.gamma(1.0, RATE, shape)
    orders = rng.poisson(own * lift)
    return orders, basket * 5.0 * rng.gamma(2.0 * orders), rng.poisson(2 * own) * 10.0


def arm_of(orders, spend, before, cap=None):
    names = {"orders": orders * 1.0, "revenue": spend, "pre": before, "converted": orders > 0}
    if cap is not None:
        names["capped"] = np.minimum(spend, cap[:, None])
    arm = {"n": np.full(len(spend), spend.shape[1])}
    arm |= {name: values.sum(axis=1) for name, values in names.items()}
    arm |= {
        f"{name}_squares": (values * 1.0 * values).sum(axis=1) for name, values in names.items()
    }
    arm |= {f"revenue_{name}": (spend * names[name]).sum(axis=1) for name in ("orders", "pre")}
    return arm


def held(effect, truth):
    return float(((effect.low <= truth) & (truth <= effect.high)).mean())


@pytest.fixture(scope="module")
def arms():
    rng = np.random.default_rng(2024)
    people = [draw(rng, (TESTS, N)), draw(rng, (TESTS, N), LIFT, 1.1)]
    spend = np.concatenate([each[1] for each in people], axis=1)
    cap = np.nanquantile(np.where(spend > 0, spend, np.nan), 0.95, axis=1)
    return [arm_of(*each, cap) for each in people], cap


def test_difference_cuped_ratio_and_share(arms):
    arms, _ = arms
    lift = 10 * RATE * (LIFT * 1.1 - 1)
    raw = effects.difference(*arms, "revenue")
    less = cuped.adjusted(*arms, "revenue", covariates=("pre",))
    share = effects.share_difference(*arms, "converted")
    assert 0.93 <= held(raw, lift) <= 0.97
    assert 0.93 <= held(less, lift) <= 0.97
    assert 0.93 <= held(ratios.ratio_difference(*arms, "revenue", "orders"), 1.0) <= 0.97
    truth = LIFT * RATE / (1 + LIFT * RATE) - RATE / (1 + RATE)
    assert 0.93 <= held(share, truth) <= 0.97
    assert less.se.mean() < 0.95 * raw.se.mean()
    assert raw.value.mean() == pytest.approx(lift, abs=4 * raw.se.mean() / np.sqrt(TESTS))


def test_capped_of_its_own_estimand(arms):
    arms, cap = arms
    rng = np.random.default_rng(77)
    grid = np.linspace(cap.min(), cap.max(), 40)
    means = []
    for lift, basket in ((1.0, 1.0), (LIFT, 1.1)):
        spend = draw(rng, (1, 1_000_000), lift, basket)[1][0]
        means.append([np.minimum(spend, top).mean() for top in grid])
    truth = np.interp(cap, grid, np.subtract(means[1], means[0]))
    capped = effects.difference(*arms, "capped")
    assert 0.93 <= held(capped, truth) <= 0.97
    # Capping changes what is estimated: it is not the uncapped effect with less noise.
    assert capped.value.mean() == pytest.approx(truth.mean(), abs=0.05)
    assert capped.value.mean() < 10 * RATE * (LIFT * 1.1 - 1) - 0.2


def test_factorial():
    rng = np.random.default_rng(5)
    lifts = {(0, 0): 1.0, (1, 0): 1.2, (0, 1): 1.3, (1, 1): 1.8}
    cells = {cell: arm_of(*draw(rng, (TESTS, 400), lifts[cell])) for cell in CELLS}
    main = contrast(cells, (-0.5, 0.5, -0.5, 0.5), "revenue")
    both = contrast(cells, (1.0, -1.0, -1.0, 1.0), "revenue")
    assert 0.93 <= held(main, 10 * RATE * (0.2 + 0.5) / 2) <= 0.97
    assert 0.93 <= held(both, 10 * RATE * 0.3) <= 0.97


def test_nothing_is_found_where_nothing_is():
    rng = np.random.default_rng(6)
    arms = [arm_of(*draw(rng, (TESTS, N))) for _ in range(2)]
    p_values = np.array(
        [
            cuped.adjusted(*arms, "revenue", covariates=("pre",)).p_value,
            effects.difference(*arms, "orders").p_value,
            effects.share_difference(*arms, "converted").p_value,
        ]
    )
    assert np.all(np.abs((p_values < 0.05).mean(axis=1) - 0.05) < 0.021)
    family = np.apply_along_axis(holm, 0, p_values).min(axis=0)
    assert (family < 0.05).mean() < 0.065


def test_daily_looks():
    rng = np.random.default_rng(8)
    days, tests = 25, 400
    sums = []
    for lift in (1.0, LIFT):
        daily = [arm_of(*draw(rng, (tests, 100), lift)) for _ in range(days)]
        sums.append({key: np.cumsum([day[key] for day in daily], axis=0) for key in daily[0]})
    plain = effects.difference(*sums, "revenue")
    wide = looks.anytime(plain, sums[0]["n"] + sums[1]["n"], 200.0 * days)
    ready = sums[0]["n"] >= looks.LEAST_CUSTOMERS
    truth = 10 * RATE * (LIFT - 1)

    def always(effect):
        inside = (effect.low <= truth) & (truth <= effect.high)
        return float((inside | ~ready).all(axis=0).mean())

    assert always(wide) >= 0.95
    assert always(plain) < 0.90


def test_scores_of_a_randomised_test():
    rng = np.random.default_rng(9)
    inside = 0
    for seed in range(40):
        orders, spend, before = (each[0] for each in draw(rng, (1, 1200)))
        treated = rng.random(1200) < 0.5
        y = spend + 2.0 * treated * (orders > 0)
        each = cross_fitted(y, treated, np.log1p(before)[:, None], 0.5, parts=2, seed=seed)
        found = average(each.score)
        inside += found.low <= 2.0 * RATE / (1 + RATE) <= found.high
    assert inside >= 34
