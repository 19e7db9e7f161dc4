"""CDNOW from its file to the published figures, through the same steps as any shop."""

import pytest

from helpers import summaries
from helpers.models import btyd, forecast, gamma_gamma
from helpers.models.terms import Horizon, Terms
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
    fit = btyd.fit(forecast.states_at(states, sample.end, days_per_unit=7.0))
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


@pytest.fixture(scope="module")
def cells():
    sample, master = (open_study(name, "1998-06") for name in ("cdnow_sample", "cdnow"))
    known = [summaries.load(sample, name) for name in ("customer_states", "spend_states")]
    models = forecast.fit_models(*known, sample.end, model="Pareto/NBD")
    assert [round(v, 3) for v in models.purchase.parameters] == pytest.approx(
        [0.563, 12.559, 0.408, 10.514], abs=2e-3
    )
    # the paper's 0.0027 a week: 15% in a year of 52 weeks
    terms = Terms(Horizon(12), margin_rate=0.3, discount_rate=1.15 ** (365.25 / 7 / 52) - 1)
    states, spend = (summaries.load(master, n) for n in ("customer_states", "spend_states"))
    scores = forecast.score_states(states, spend, models, terms)
    lines = forecast.score_spend(spend, models)
    scored = summaries.scored_customers(master, scores, lines, margin_rate=0.3, service=0.0)
    # ten resellers, who spent more than 4,000 dollars on repeat purchases
    return summaries.value_thirds(master, scored.filter(scored.total_spend <= 400_000))


class TestRfmAndClv:
    """Fader, Hardie and Lee, "RFM and CLV" (2005): 78 weeks, margin 30%, 15% a year."""

    def test_everyone(self, cells):
        assert len(cells) == 28
        assert cells["n"].sum() == 23_560
        assert cells["total"].sum() == pytest.approx(1_100_000, rel=0.01)
        assert cells["total"].sum() / 23_560 == pytest.approx(47, abs=0.6)

    def test_zero_cell(self, cells):
        zero = cells[cells["recency"] == 0].iloc[0]
        assert zero["n"] == 12_054
        assert zero["total"] == pytest.approx(53_000, abs=500)
        assert round(zero["total"] / zero["n"], 2) == pytest.approx(4.40, abs=0.01)

    def test_thirds(self, cells):
        sizes = cells[cells["money"] > 0].groupby("money")["n"].sum().tolist()
        assert sizes == [3836, 3835, 3835]
        for name, means, off in (
            ("money", [31, 81, 160], 0.5),
            ("recency", [10, 62, 201], 4),  # ties are broken in another way
            ("frequency", [18, 50, 205], 2),
        ):
            by = cells[cells[name] > 0].groupby(name)[["total", "n"]].sum()
            assert (by["total"] / by["n"]).tolist() == pytest.approx(means, abs=off), name
        best = cells[(cells[["recency", "frequency", "money"]] == 3).all(axis=1)].iloc[0]
        assert best["n"] == pytest.approx(954, rel=0.03)
        assert best["total"] / best["n"] == pytest.approx(435, rel=0.02)
        assert cells["total"].sum() > 1_100_000  # "just over"
