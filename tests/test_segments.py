"""Models by segment: pooled where segments are alike or small, apart where data say so."""

import numpy as np
import pytest
from cdnow import made

from helpers.errors import DataError
from helpers.models import btyd
from helpers.models.segments import fit_segments

BASE = (0.6, 8.0, 1.2, 4.0)


def drawn(truths, sizes, seed=5, model="BG/NBD"):
    """States of several segments after each other, and the code of each."""
    rng = np.random.default_rng(seed)
    parts = [
        btyd.simulate_states(made(model, *truth), rng.integers(20, 100, size).astype(float), rng)
        for truth, size in zip(truths, sizes, strict=True)
    ]
    columns = [[getattr(p, c) for p in parts] for c in ("frequency", "recency", "T")]
    return btyd.States(*map(np.concatenate, columns)), np.repeat(np.arange(len(sizes)), sizes)


@pytest.mark.parametrize("model", ["BG/NBD", "MBG/NBD"])
def test_segments_that_differ_are_told_apart(model):
    # the second buys twice as often
    truths = [BASE, (0.6, 4.0, 1.2, 4.0), BASE]
    states, code = drawn(truths, [3000, 2000, 1000], model=model)
    found = fit_segments(states, code, btyd.MODELS[model])
    for fit, truth in zip(found.fits, truths, strict=True):
        z = np.log(fit.parameters / truth) / np.sqrt(np.diag(fit.log_covariance))
        assert np.abs(z).max() < 3.5
    rates = [fit.r / fit.alpha for fit in found.fits]
    assert rates[1] / rates[0] == pytest.approx(2, rel=0.15)
    assert found.spread[1] == found.spread.max()
    together = sum(fit.log_likelihood for fit in found.fits)
    assert together > found.pooled.log_likelihood + 50


def test_segments_that_do_not_differ_are_nearly_pooled():
    states, _ = drawn([BASE], [4000])
    code = np.arange(4000) % 5
    found = fit_segments(states, code, btyd.BetaGeometricFit)
    assert found.spread.max() < 0.15
    alone = [btyd.fit(_only(states, code == k)) for k in range(5)]

    def apart(fits):
        rates = np.log([fit.r / fit.alpha for fit in fits])
        return rates.std()

    assert apart(found.fits) < 0.7 * apart(alone)


def _only(states, rows):
    return btyd.States(states.frequency[rows], states.recency[rows], states.T[rows])


def test_a_small_segment_leans_on_the_others():
    # 15 customers, and one segment in which nobody came back: alone neither can be fitted
    states, code = drawn([BASE, BASE, BASE], [3000, 2000, 15])
    x = np.append(states.frequency, np.zeros(10))
    t_x, T = np.append(states.recency, np.zeros(10)), np.append(states.T, np.full(10, 30.0))
    found = fit_segments(
        btyd.States(x, t_x, T), np.append(code, np.full(10, 3)), btyd.BetaGeometricFit
    )
    for fit in found.fits[2:]:
        assert np.abs(np.log(fit.parameters / found.pooled.parameters)).max() < 0.5
        assert (fit.standard_errors > found.fits[0].standard_errors).all()
    assert found.fits[3].n == 10


def test_order_and_unit_do_not_matter():
    states, code = drawn([BASE, (0.6, 4.0, 1.2, 4.0)], [1500, 800])
    want = fit_segments(states, code, btyd.BetaGeometricFit)
    order = np.random.default_rng(0).permutation(len(states))
    days = btyd.States(
        states.frequency[order], 7 * states.recency[order], 7 * states.T[order], days_per_unit=1.0
    )
    got = fit_segments(days, code[order], btyd.BetaGeometricFit)
    for one, other in zip(got.fits, want.fits, strict=True):
        np.testing.assert_allclose(one.parameters / [1, 7, 1, 1], other.parameters, rtol=1e-5)


def test_codes_must_fit():
    states, code = drawn([BASE], [500])
    with pytest.raises(DataError, match="segment has 1 values, states are 500"):
        fit_segments(states, code[:1], btyd.BetaGeometricFit)
    with pytest.raises(DataError, match="Segment 1 of 3 has no customers"):
        fit_segments(states, np.arange(500) % 2 * 2, btyd.BetaGeometricFit)
