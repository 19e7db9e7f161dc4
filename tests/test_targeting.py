"""Targeting and adjustment on simulated customers whose true effects are known."""

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression

from helpers.errors import DataError, UsageError
from helpers.experiments import observational, scores, targeting

COST = 1.0


def customers(seed, n=6000, *, differ=True, chance=0.5):
    """Features, treated, outcome and true effect: it rises with the second feature, or is 1.2."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.gamma(1, 1, n), rng.integers(0, 2, n), rng.normal(size=n)])
    effect = np.where(x[:, 1] == 1, 3.0, -0.6) if differ else np.full(n, 1.2)
    treated = rng.random(n) < chance
    y = 2 * x[:, 0] + x[:, 2] + effect * treated + rng.gamma(1, 3, n)
    return x, treated, y, effect


@pytest.fixture(scope="module")
def found():
    """Give customers who react differently, scored by both learners."""
    x, treated, y, effect = customers(1)
    both = {
        learner: scores.cross_fitted(y, treated, x, 0.5, learner=learner, parts=3, seed=2)
        for learner in scores.LEARNERS
    }
    return x, treated, y, effect, both


def test_scores_average_to_the_effect_with_less_noise(found):
    _, treated, y, effect, both = found
    plain = y[treated].mean() - y[~treated].mean()
    raw = np.sqrt(y[treated].var() / treated.sum() + y[~treated].var() / (~treated).sum())
    for each in both.values():
        average = scores.average(each.score)
        assert average.low < effect.mean() < average.high
        assert average.se < 0.9 * raw
        assert abs(average.value - plain) < 3 * raw


def test_who_reacts_is_found_and_calibrated(found):
    x, _, _, effect, both = found
    table, refusal = targeting.evidence(both, x[:, 1])
    assert not refusal and (table["holm"] < 1e-6).all()
    for each in both.values():
        fit = targeting.slope(each.score, each.predicted)
        assert fit.low < 1 < fit.high
        assert np.corrcoef(each.predicted, effect)[0, 1] > 0.9
    groups = targeting.group_effects(both["linear"].score, x[:, 1].astype(int)).set_index("group")
    assert groups.loc["1", "low"] < 3.0 < groups.loc["1", "high"]
    assert groups.loc["0", "low"] < -0.6 < groups.loc["0", "high"]
    parts = targeting.calibration(both["linear"], parts=5)
    assert parts["customers"].sum() == len(effect)
    inside = (parts["low"] <= parts["predicted"]) & (parts["predicted"] <= parts["high"])
    assert inside.mean() >= 0.6


def test_slope_is_least_squares(found):
    each = found[-1]["linear"]
    oracle = LinearRegression().fit(each.predicted[:, None], each.score).coef_[0]
    assert targeting.slope(each.score, each.predicted).value == pytest.approx(oracle)


def test_targeting_beats_the_usual_ways_in_money(found):
    x, _, _, effect, both = found
    table = targeting.policies(both["linear"], cost=COST, top={"top CLV": x[:, 0]}).set_index(
        "policy"
    )
    true = {"all": 1000 * (effect - COST).mean(), "none": 0.0,
            "targeted": 1000 * np.maximum(effect - COST, 0).mean()}  # fmt: skip
    for policy, worth in true.items():
        assert table.loc[policy, "gain"] == pytest.approx(
            worth, abs=3.5 * max(table["se"].max(), 1)
        )
    assert (table.loc[["all", "none", "top CLV", "top response"], "targeted_more_low"] > 0).all()
    assert table.loc["top CLV", "share"] == pytest.approx(table.loc["targeted", "share"])
    assert table.loc["all", "spend"] == 1000 * COST


def test_gain_curve(found):
    each = found[-1]["linear"]
    ways = {"learner": each.predicted, "anybody": np.ones_like(each.score)}
    curve = targeting.gain_curve(each.score, ways, cost=COST).set_index(["way", "share"])
    ends = curve.xs(1.0, level="share")["gain"]
    assert ends["learner"] == pytest.approx(ends["anybody"])
    assert ends["anybody"] == pytest.approx(1000 * (each.score - COST).mean())
    assert curve.loc[("learner", 0.5), "against_random_low"] > 0
    # A ranking that says nothing gains nothing: exactly, whatever the order of rows.
    assert curve.loc["anybody", "against_random"].tolist() == pytest.approx([0] * 6, abs=1e-9)
    with pytest.raises(DataError, match="'short'"):
        targeting.gain_curve(each.score, {"short": np.ones(3)}, cost=COST)


def test_ties_and_the_order_of_rows_decide_nothing():
    rng = np.random.default_rng(5)
    ranking = rng.integers(0, 4, 500).astype(float)
    picked = targeting.chosen_share(ranking, 0.3)
    assert picked.sum() == pytest.approx(150)
    order = rng.permutation(500)
    assert targeting.chosen_share(ranking[order], 0.3).tolist() == picked[order].tolist()
    assert picked[ranking == 3].min() >= picked[ranking == 0].max()
    with pytest.raises(UsageError, match="between 0 and 1"):
        targeting.chosen_share(ranking, 1.2)


def test_targeting_is_refused_where_all_react_alike():
    refused = 0
    for seed in range(15):
        x, treated, y, _ = customers(100 + seed, 2000, differ=False)
        each = scores.cross_fitted(y, treated, x, 0.5, parts=2, seed=seed)
        table, refusal = targeting.evidence({"linear": each}, x[:, 1])
        refused += "not shown to react differently" in refusal
        assert len(table) == 2
    assert refused >= 12
    same = scores.Scores(each.score, np.full_like(each.score, 0.7), each.response)
    assert "tells customers apart" in targeting.evidence({"constant": same})[1]


def test_unequal_arms_and_repeated_runs():
    x, treated, y, effect = customers(7, 5000, chance=0.8)
    each = scores.cross_fitted(y, treated, x, 0.8, parts=3, seed=1)
    average = scores.average(each.score)
    assert average.low < effect.mean() < average.high
    again = scores.cross_fitted(y, treated, x, 0.8, parts=3, seed=1)
    assert again.score.tolist() == each.score.tolist()


def test_folds_are_even_and_complete():
    treated = np.arange(1001) % 3 == 0
    fold = scores.folds(1001, treated, parts=5, seed=0)
    assert np.ptp(np.bincount(fold[treated])) <= 1 and np.ptp(np.bincount(fold[~treated])) <= 1


def test_wrong_rows_are_refused():
    x, treated, y, _ = customers(3, 1500)
    with pytest.raises(DataError, match="500 customers or more"):
        scores.cross_fitted(y[:600], treated[:600], x[:600], 0.5)
    with pytest.raises(DataError, match="every feature"):
        scores.cross_fitted(np.where(y > 9, np.nan, y), treated, x, 0.5)
    with pytest.raises(UsageError, match="one row per"):
        scores.cross_fitted(y, treated, x[:-1], 0.5)
    with pytest.raises(UsageError, match="chance"):
        scores.cross_fitted(y, treated, x, 1.0)
    with pytest.raises(UsageError, match="learner"):
        scores.cross_fitted(y, treated, x, 0.5, learner="forest")
    with pytest.raises(UsageError, match="groups"):
        targeting.group_effects(np.ones(5), np.ones(4))


def chosen(seed, n=4000, *, hidden=0.0, effect=1.0, strength=0.8):
    """Customers who were chosen by what they bought before, and by something hidden."""
    rng = np.random.default_rng(seed)
    x, secret = rng.normal(size=(n, 3)), rng.normal(size=n)
    lean = strength * x[:, 0] - 0.4 * x[:, 1] + hidden * secret
    treated = rng.random(n) < 1 / (1 + np.exp(-lean))
    before = 2 * x[:, 0] + x[:, 2] + 2 * secret * (hidden > 0) + rng.normal(size=n)
    y = 2 * x[:, 0] + x[:, 2] + 2 * secret * (hidden > 0) + effect * treated + rng.gamma(1, 2, n)
    return x, treated, y, before


def test_the_naive_figure_is_wrong_and_the_adjusted_one_right():
    held = 0
    for seed in range(8):
        x, treated, y, before = chosen(seed)
        found = observational.adjust(y, treated, x, before, seed=seed)
        assert found.naive.low > 1.5  # the truth is 1
        held += found.adjusted.low <= 1.0 <= found.adjusted.high
        assert abs(found.placebo.value) < 4 * found.placebo.se
        assert found.kept > 0.9
    assert held >= 6
    table = observational.balance(treated, x, found.chance, ["spend", "visits", "age"])
    assert table["before"].abs().max() > 0.5 > 0.1 > table["after"].abs().max()
    counts = observational.overlap(treated, found.chance)
    assert counts[["treated", "untreated"]].to_numpy().sum() == 4000


def test_the_placebo_betrays_what_is_hidden():
    x, treated, y, before = chosen(30, hidden=1.0)
    found = observational.adjust(y, treated, x, before)
    assert found.adjusted.low > 1.2  # wrong, and said
    assert "before the campaign" in found.reason


def test_groups_that_do_not_overlap_are_said():
    x, treated, y, before = chosen(31, strength=6.0)
    found = observational.adjust(y, treated, x, before)
    assert found.kept < 0.5 and "like one" in found.reason and np.isnan(found.adjusted.value)
    sure = x[:, 0] > 0
    assert np.isnan(observational.adjust(y, sure, x, before).adjusted.low)
    with pytest.raises(DataError, match="placebo"):
        observational.adjust(y, treated, x, before[:-1])


def test_robustness_value_is_that_of_the_paper():
    x, treated, y, _ = chosen(32, 1500)
    found = observational.robustness(y, treated, x, ["a", "b", "c"])
    dof = len(y) - 5
    t = found["value"] / standard_error(y, treated, x)
    f = abs(t) / np.sqrt(dof)
    assert found["robustness"] == pytest.approx((np.sqrt(f**4 + 4 * f**2) - f**2) / 2)
    # A confounder of exactly that strength explains all: bias = estimate.
    r = found["robustness"]
    assert r**2 / (1 - r) == pytest.approx(f**2)
    assert found["robustness_low"] < found["robustness"]
    assert found["strongest"] == "a" and 0 < found["of_treatment"] < 1
    # Darfur: t = 4.18 with 783 degrees of freedom has robustness values 13.9% and 7.6%
    # (Cinelli and Hazlett 2020, table 1).
    assert observational.strength(4.18 / np.sqrt(783)) == pytest.approx(0.139, abs=5e-4)
    low = 4.18 / np.sqrt(783) - stats.t.ppf(0.975, 782) / np.sqrt(782)
    assert observational.strength(low) == pytest.approx(0.076, abs=5e-4)
    constant = np.column_stack([x, np.ones(len(x))])
    again = observational.robustness(y, treated, constant, ["a", "b", "c", "flat"])
    assert again["robustness"] == pytest.approx(found["robustness"])


def standard_error(y, treated, x):
    """Give the standard error of the treatment by statsmodels."""
    import statsmodels.api as sm

    return sm.OLS(y, np.column_stack([treated, np.ones(len(y)), x])).fit().bse[0]
