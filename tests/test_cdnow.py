"""CDNOW from its file to the published figures, through the same steps as any shop."""

import pytest

from helpers import summaries
from helpers.models import btyd, forecast, gamma_gamma
from helpers.study import open_study


@pytest.fixture(scope="module")
def sample():
    return open_study("cdnow_sample", "1997-09")


def test_the_master_file_is_read_whole():
    study = open_study("cdnow")
    scope = summaries.load(study, "scope").iloc[0]
    assert (scope["rows"], scope["customers"], scope["revenue"]) == (69_659, 23_570, 2_500_315.63)
    flags = study.info.tables["orders"]["flags"]
    assert (flags["duplicate_line"], flags["zero_revenue"]) == (255, 80)


def test_purchase_model_of_the_sample(sample):
    """Fader, Hardie and Lee (2005), table 2: calibration to 1997-09-30, in weeks."""
    states = summaries.load(sample, "customer_states")
    fit = btyd.fit_bgnbd(forecast.states_at(states, sample.end, days_per_unit=7.0))
    assert fit.n == 2357
    assert [round(value, 3) for value in fit.parameters] == [0.243, 4.414, 0.793, 2.426]
    assert round(fit.log_likelihood, 1) == -9582.4


def test_spend_model_of_the_sample(sample):
    """Fader, Hardie and Lee (2005), p 6.25, q 3.74, gamma 15.44 on 946 repeaters."""
    spend = summaries.load(sample, "spend_states")
    fit = gamma_gamma.fit_gamma_gamma(*(spend[name] for name in ("frequency", "total_spend", "n")))
    # Days without spend are no spend occasions here, which moves the last digits.
    assert fit.p == pytest.approx(6.25, rel=0.02)
    assert fit.q == pytest.approx(3.74, rel=0.02)
    assert fit.gamma == pytest.approx(15.44, rel=0.03)
    assert spend["n"].sum() == pytest.approx(946, abs=3)
