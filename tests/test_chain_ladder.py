"""Mack's chain ladder against his published example, and against what factors cannot do."""

import numpy as np
import pytest

from helpers.errors import DataError
from helpers.models.chain_ladder import chain_ladder

# Taylor and Ashe (1983), the example of Mack (1993), section 5.
TAYLOR_ASHE = [
    [357848, 1124788, 1735330, 2218270, 2745596, 3319994, 3466336, 3606286, 3833515, 3901463],
    [352118, 1236139, 2170033, 3353322, 3799067, 4120063, 4647867, 4914039, 5339085],
    [290507, 1292306, 2218525, 3235179, 3985995, 4132918, 4628910, 4909315],
    [310608, 1418858, 2195047, 3757447, 4029929, 4381982, 4588268],
    [443160, 1136350, 2128333, 2897821, 3402672, 3873311],
    [396132, 1333217, 2180715, 2985752, 3691712],
    [440832, 1288463, 2419861, 3483130],
    [359480, 1421128, 2864498],
    [376686, 1363294],
    [344014],
]
RESERVES = [0, 94634, 469511, 709638, 984889, 1419459, 2177641, 3920301, 4278972, 4625811]
ERRORS = [0, 75535, 121699, 133549, 261406, 411010, 558317, 875328, 971258, 1363155]


@pytest.fixture
def triangle():
    return np.array([row + [np.nan] * (10 - len(row)) for row in TAYLOR_ASHE], dtype=float)


def test_published_reserves_and_standard_errors(triangle):
    found = chain_ladder(triangle)
    latest = np.array([row[-1] for row in TAYLOR_ASHE])
    np.testing.assert_allclose(found.cumulative[:, -1] - latest, RESERVES, atol=0.51)
    np.testing.assert_allclose(found.se[:, -1], ERRORS, atol=0.51)
    assert found.total - latest.sum() == pytest.approx(18680856, abs=1)
    assert found.total_se == pytest.approx(2447095, abs=1)


def test_cells_that_are_not_eligible_change_nothing(triangle):
    eligible = np.isfinite(triangle)
    eligible[0] = False  # the first cohort is truncated, whatever it holds
    wild = triangle.copy()
    wild[0] *= 100
    found = chain_ladder(wild[:, :9], eligible[:, :9])
    without = chain_ladder(triangle[1:, :9])
    np.testing.assert_allclose(found.factors, without.factors)
    np.testing.assert_allclose(found.se[1:], without.se)
    assert np.isnan(found.cumulative[0]).all()


def test_what_cannot_be_carried_forward_says_why(triangle):
    with pytest.raises(DataError, match="three cohorts"):
        chain_ladder(triangle[:2])
    with pytest.raises(DataError, match="no factor exists"):
        chain_ladder(triangle[1:])
    with pytest.raises(DataError, match="not above zero"):
        chain_ladder(-triangle)
    eligible = np.isfinite(triangle[:, :2]) & (np.arange(10) < 1)[:, None]
    with pytest.raises(DataError, match="two cohorts"):
        chain_ladder(triangle[:, :2], eligible)
