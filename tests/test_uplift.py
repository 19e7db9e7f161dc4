"""Experiments from moments: published results, identities, coverage, and what is withheld."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.errors import DataError
from helpers.experiments import effects, power, trust, uplift

CONTROL = "No E-Mail"
# Hillstrom's MineThatData e-mail test: customers, visitors, buyers, spend and its sum of squares
# in cents. The moments of the public file of 64,000 rows.
HILLSTROM = {
    CONTROL: (21306, 2262, 122, 1390833, 28700503621),
    "Mens E-Mail": (21307, 3894, 267, 3031169, 67590244973),
    "Womens E-Mail": (21387, 3238, 189, 2303811, 49114465763),
}


def moments(arms, *, key="test", complete=True, window_days=14):
    """Build moments from arm: (n, buyers, margin, squares[, pre, pre squares, cross])."""
    rows = []
    for arm, (n, buyers, margin, squares, *pre) in arms.items():
        before, before_squares, cross = pre or (0.0, 0.0, 0.0)
        rows.append(
            {
                "experiment_id": key,
                "arm": arm,
                "window_days": window_days,
                "complete": complete,
                "n": n,
                "buyers": buyers,
                "margin": margin,
                "margin_squares": squares,
                "pre_margin": before,
                "pre_margin_squares": before_squares,
                "margin_pre_margin": cross,
            }
        )
    return pd.DataFrame(rows)


def of_samples(arms, **options):
    """Build moments from arm: (outcome, covariate) arrays."""
    return moments(
        {
            arm: (
                len(y),
                (y != 0).sum(),
                y.sum(),
                (y**2).sum(),
                x.sum(),
                (x**2).sum(),
                (x * y).sum(),
            )
            for arm, (y, x) in arms.items()
        },
        **options,
    )


def of_summary(arms):
    """Build moments from arm: (n, mean, standard deviation)."""
    return moments(
        {
            arm: (n, n // 2, n * mean, sd**2 * (n - 1) + n * mean**2)
            for arm, (n, mean, sd) in arms.items()
        }
    )


def about(key="test", **changes):
    facts = {"experiment_id": key, "control_arm": "control", "randomized": True}
    return pd.DataFrame([{**facts, "cost_per_customer": 0.0, "fixed_cost": 0.0, **changes}])


def read(frame, planned_shares=None, **changes):
    return uplift.readout(frame, about(**changes), planned_shares=planned_shares).set_index("arm")


def hillstrom(buyers=2, **changes):
    arms = {
        arm: (row[0], row[buyers], row[3] / 100, row[4] / 10_000) for arm, row in HILLSTROM.items()
    }
    return read(moments(arms), control_arm=CONTROL, **changes)


@pytest.mark.parametrize(
    ("arm", "mean", "difference", "se", "low", "high", "p_value"),
    [
        ("Mens E-Mail", 1.4226165110, 0.76982716, 0.14524656, 0.48513973, 1.05451458, 1.164e-7),
        ("Womens E-Mail", 1.0772015710, 0.42441222, 0.13033286, 0.16895679, 0.67986764, 1.129e-3),
    ],
)
def test_hillstrom_spend(arm, mean, difference, se, low, high, p_value):
    row = hillstrom().loc[arm]
    assert row["mean_margin"] == pytest.approx(mean, abs=1e-10)
    assert row["control_margin"] == pytest.approx(0.6527893551, abs=1e-10)
    found = row[["difference", "se", "low", "high"]].tolist()
    assert found == pytest.approx([difference, se, low, high], abs=6e-9)
    assert row["p_value"] == pytest.approx(p_value, rel=1e-3)
    assert row["decision"] == "ship"
    assert row["basis"] == "raw"
    assert np.isnan(row["adjusted"])


def test_hillstrom_buyers_and_visitors():
    row = hillstrom().loc["Mens E-Mail"]
    assert row["conversion"] == pytest.approx(0.0125310931, abs=1e-10)
    assert row["control_conversion"] == pytest.approx(0.0057260865, abs=1e-10)
    assert row["conversion_difference"] == pytest.approx(0.00680501, abs=5e-9)
    visits = hillstrom(buyers=1).loc["Mens E-Mail"]
    interval = visits[["conversion_difference", "conversion_low", "conversion_high"]].tolist()
    assert interval == pytest.approx([0.07658956, 0.06995331, 0.08322674], abs=6e-9)


def test_hillstrom_sample_ratio():
    counts = {arm: row[0] for arm, row in HILLSTROM.items()}
    assert trust.sample_ratio_p(counts) == pytest.approx(0.90369, abs=5e-6)
    assert hillstrom()["sample_ratio_p"].tolist() == pytest.approx([0.90369] * 2, abs=5e-6)


def test_hillstrom_after_its_cost():
    row = hillstrom(cost_per_customer=0.01, fixed_cost=4269.4).loc["Mens E-Mail"]
    cost = 213.07 + 4269.4 * 21307 / 42694
    assert row["cost"] == pytest.approx(cost)
    assert row["incremental_margin"] == pytest.approx(row["difference"] * 21307)
    assert row["net"] == pytest.approx(row["incremental_margin"] - cost)
    assert row["net_low"] == pytest.approx(row["low"] * 21307 - cost)
    assert hillstrom(cost_per_customer=2).loc["Mens E-Mail", "decision"] == "stop"
    assert hillstrom(cost_per_customer=0.8)["decision"].tolist() == [uplift.UNSEEN, "stop"]


def test_lalonde():
    # National Supported Work, Dehejia and Wahba's 445 men; standard deviations of the public file.
    frame = of_summary(
        {"control": (260, 4554.8011, 5483.8360), "treated": (185, 6349.1435, 7867.4022)}
    )
    row = read(frame, planned_shares={"test": {"control": 260, "treated": 185}}).loc["treated"]
    assert row["difference"] == pytest.approx(1794.3424, abs=1e-4)
    assert row["se"] == pytest.approx(670.9965, abs=2e-3)
    assert [row["low"], row["high"]] == pytest.approx([474.01, 3114.67], abs=0.01)
    assert row["p_value"] == pytest.approx(0.00789, abs=5e-6)
    assert row["decision"] == "ship"


def test_artea_conversion_up_revenue_not():
    # The standard deviation is the one that the published interval of revenue stands for.
    sd = (1.0689 + 1.5518) / 2 / 1.96044 / np.sqrt(1 / 2502 + 1 / 2498)
    row = read(of_summary({"control": (2502, 7.78017, sd), "coupon": (2498, 7.53867, sd)}))
    row = row.loc["coupon"]
    assert row["difference"] == pytest.approx(-0.2415, abs=1e-4)
    assert row["p_value"] == pytest.approx(0.718, abs=5e-4)
    assert row["decision"] == uplift.UNSEEN
    assert row["smallest_effect"] == pytest.approx(2.8 * row["se"], rel=1e-3)


def sample(rng, n, effect=0.0, carry=2.0):
    before = rng.gamma(0.5, 20, n)
    return effect + carry * before + rng.gamma(2, 10, n), before


def test_from_moments_is_what_the_rows_give():
    rng = np.random.default_rng(4)
    control, treated = sample(rng, 180), sample(rng, 205, effect=9)
    row = read(of_samples({"control": control, "treated": treated})).loc["treated"]
    test = stats.ttest_ind(treated[0], control[0], equal_var=False)
    assert row["p_value"] == pytest.approx(test.pvalue)
    assert [row["low"], row["high"]] == pytest.approx(list(test.confidence_interval()))
    centered = [(y - y.mean(), x - x.mean()) for y, x in (control, treated)]
    theta = sum((y * x).sum() for y, x in centered) / sum((x**2).sum() for _, x in centered)
    less = [y - theta * x for y, x in (control, treated)]
    test = stats.ttest_ind(less[1], less[0], equal_var=False)
    assert row["theta"] == pytest.approx(theta)
    assert row["adjusted"] == pytest.approx(less[1].mean() - less[0].mean())
    assert row["adjusted_p"] == pytest.approx(test.pvalue)
    assert row["basis"] == "adjusted"
    assert row["incremental_margin"] == pytest.approx(row["adjusted"] * 205)
    spread = np.sqrt((control[1].var(ddof=1) + treated[1].var(ddof=1)) / 2)
    gap = treated[1].mean() - control[1].mean()
    assert row["balance"] == pytest.approx(gap / spread)


def test_variance_saved_is_the_squared_correlation():
    rng = np.random.default_rng(9)
    y, x = sample(rng, 500)
    row = read(of_samples({"control": (y, x), "treated": (y + 3, x)})).loc["treated"]
    assert row["variance_saved"] == pytest.approx(np.corrcoef(y, x)[0, 1] ** 2)
    assert row["adjusted"] == pytest.approx(3)
    assert row["balance"] == 0


def test_intervals_cover_the_true_effect():
    rng = np.random.default_rng(1234)
    tests, n, effect = 500, 150, 4.0
    frames, conversions = [], []
    for test in range(tests):
        arms = {"control": sample(rng, n), "treated": sample(rng, n, effect)}
        frames.append(of_samples(arms, key=f"t{test}"))
        low, high = effects.newcombe(rng.binomial(n, 0.1), n, rng.binomial(n, 0.15), n)[1:]
        conversions.append(low <= 0.05 <= high)
    facts = pd.concat([about(f"t{test}") for test in range(tests)])
    table = uplift.readout(pd.concat(frames), facts)
    raw = (table["low"] <= effect) & (effect <= table["high"])
    less = (table["adjusted_low"] <= effect) & (effect <= table["adjusted_high"])
    assert len(table) == tests
    assert 0.92 < raw.mean() < 0.98
    assert 0.92 < less.mean() < 0.98
    assert 0.92 < np.mean(conversions) < 0.98
    assert table["adjusted_se"].mean() < 0.6 * table["se"].mean()


def test_smallest_effect_is_found_four_times_out_of_five():
    rng = np.random.default_rng(55)
    se = 1.7
    estimates = power.smallest_effect(se) + se * rng.standard_normal(20000)
    assert np.mean(np.abs(estimates) > 1.959964 * se) == pytest.approx(0.8, abs=0.01)


ARMS = {"control": (500, 50, 1000.0, 30000.0), "treated": (510, 60, 1500.0, 40000.0)}
EFFECTS = [
    *("difference", "se", "low", "high", "p_value", "adjusted", "conversion_difference"),
    *("incremental_margin", "net", "net_low", "net_high", "smallest_effect"),
]


def withheld(table):
    assert table[EFFECTS].isna().all().all()
    assert table["decision"].str.startswith("withheld: ").all()
    return table["decision"].iloc[0]


def test_without_a_fault_there_is_a_result():
    row = read(moments(ARMS)).loc["treated"]
    assert row[EFFECTS].drop("adjusted").notna().all()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"randomized": False}, "not assigned at random"),
        ({"randomized": None}, "not recorded"),
        ({"control_arm": None}, "no arm is named"),
        ({"control_arm": "Control"}, "no control group"),
    ],
)
def test_experiments_that_cannot_be_read_are_withheld(changes, reason):
    assert reason in withheld(read(moments(ARMS), **changes))


def test_an_observational_campaign_shows_facts_but_no_effect():
    table = read(moments(ARMS), randomized=False)
    withheld(table)
    assert table.loc["treated", "mean_margin"] == pytest.approx(1500 / 510)
    assert np.isnan(table.loc["treated", "sample_ratio_p"])


def test_a_window_that_is_not_over_is_withheld():
    frame = moments(ARMS).assign(complete=[True, False])
    assert "not over" in withheld(read(frame))
    assert "not over" in withheld(read(moments(ARMS).assign(complete=[True, None])))


def test_an_empty_arm_is_withheld():
    empty = {**ARMS, "other": (0, 0, 0.0, 0.0)}
    assert "'other'" in withheld(read(moments(empty)))
    planned = {"test": {"control": 1, "treated": 1, "gone": 1}}
    assert "'gone'" in withheld(read(moments(ARMS), planned_shares=planned))


def test_a_wrong_sample_ratio_is_withheld_unless_it_was_planned():
    lopsided = {**ARMS, "treated": (700, 60, 1500.0, 40000.0)}
    table = read(moments(lopsided))
    assert "planned sizes" in withheld(table)
    assert table["sample_ratio_p"].item() < 0.001
    fine = read(moments(lopsided), planned_shares={"test": {"control": 5, "treated": 7}})
    assert fine["sample_ratio_p"].item() == pytest.approx(1)
    assert fine["difference"].notna().all()


def test_one_arm_and_one_customer_are_withheld():
    assert "one arm only" in withheld(read(moments({"control": ARMS["control"]})))
    tiny = {"control": (1, 1, 3.0, 9.0), "treated": (1, 1, 4.0, 16.0)}
    assert "one customer" in withheld(read(moments(tiny)))


def test_unknown_margin_and_no_buyers_are_withheld():
    costless = {arm: (n, buyers, 0.0, 0.0) for arm, (n, buyers, *_) in ARMS.items()}
    assert "margin" in withheld(read(moments(costless)))
    idle = {arm: (n, 0, 0.0, 0.0) for arm, (n, *_) in ARMS.items()}
    assert "nobody bought" in withheld(read(moments(idle)))


def test_negative_margins_are_read_like_any_other():
    losing = {"control": (500, 50, -100.0, 900.0), "treated": (500, 60, -900.0, 9000.0)}
    row = read(moments(losing)).loc["treated"]
    assert row["difference"] == pytest.approx(-1.6)
    assert row["decision"] == "stop"


def test_several_experiments_windows_and_arms_stand_side_by_side():
    second = moments(ARMS, key="other")
    both = pd.concat([moments(ARMS), moments(ARMS, window_days=60), second])
    facts = pd.concat([about(), about("other", randomized=False)])
    table = uplift.readout(both, facts).set_index(["experiment_id", "window_days"])
    assert len(table) == 3
    assert table.loc[("test", 14), "difference"] == table.loc[("test", 60), "difference"]
    assert np.isnan(table.loc[("other", 14), "difference"])


def test_without_experiments_the_readout_is_empty_with_its_columns():
    table = uplift.readout(moments(ARMS).iloc[:0], about().iloc[:0])
    assert table.empty
    assert {"difference", "decision"} <= set(table)


def test_other_arms_never_enter_the_control():
    three = {**ARMS, "other": (490, 400, 90000.0, 9e7)}
    pair, trio = read(moments(ARMS)).loc["treated"], read(moments(three)).loc["treated"]
    assert pair["difference"] == trio["difference"]
    assert pair["se"] == trio["se"]


def test_sample_ratio_edges():
    assert np.isnan(trust.sample_ratio_p({"only": 5}))
    assert np.isnan(trust.sample_ratio_p({"a": 0, "b": 0}))
    assert trust.sample_ratio_p({"a": 50, "b": 50}) == 1
    assert trust.sample_ratio_p({"a": 50, "b": 3}, {"a": 1, "b": 0}) == 0
    assert trust.sample_ratio_p({"a": 60, "b": 40}) == pytest.approx(
        stats.chisquare([60, 40]).pvalue
    )


def test_missing_columns_and_rows_are_data_errors():
    with pytest.raises(DataError, match="pre_margin"):
        uplift.readout(moments(ARMS).drop(columns="pre_margin"), about())
    with pytest.raises(DataError, match="'test'"):
        uplift.readout(moments(ARMS), about("another"))
