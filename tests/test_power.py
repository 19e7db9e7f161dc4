"""Before a test: textbook powers and sizes, the design sheet, hold-outs."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower

from helpers.errors import UsageError
from helpers.experiments import power
from helpers.experiments.design import design_sheet, holdout_size

RPR, RPR_SD = 0.6527893551, 11.5881996813  # Hillstrom's control: revenue per recipient


def test_textbook_powers_of_means():
    # power.t.test of R's documentation, and Cohen's small, medium and large effects.
    assert power.power(1, np.sqrt(2 / 20), dof=38) == pytest.approx(0.868953, abs=5e-7)
    assert power.customers_needed(1, 1, target=0.9)[0] == pytest.approx(22.02109, abs=5e-5)
    sizes = [power.customers_needed(1, d)[0] for d in (0.2, 0.5, 0.8)]
    assert sizes == pytest.approx([393.4057, 63.7656, 25.5246], abs=5e-4)


def test_small_tests_are_those_of_statsmodels():
    oracle = TTestIndPower()
    for effect, ratio in ((0.3, 1.0), (0.6, 3.0), (1.2, 0.5)):
        n1 = oracle.solve_power(effect, power=0.8, alpha=0.05, ratio=ratio)
        share = 1 / (1 + ratio)
        treated, control = power.customers_needed(1, effect, share=share)
        assert [treated, control] == pytest.approx([n1, ratio * n1], rel=1e-4)


def test_hillstrom_design_table():
    lifts = {0.05: 1_978_716, 0.10: 494_679, 0.15: 219_857, 0.25: 79_149, 0.50: 19_787}
    found = {lift: power.customers_needed(RPR_SD**2, lift * RPR)[0] for lift in lifts}
    assert {lift: round(n) for lift, n in found.items()} == pytest.approx(lifts, abs=1)
    se = power.se_of_design(RPR_SD**2, 2 * 21_307)
    assert power.smallest_effect(se) / RPR == pytest.approx(0.48, abs=0.005)


def test_power_is_what_simulation_shows_and_covariates_save_customers():
    rng = np.random.default_rng(7)
    se, effect = 2.0, 3.3
    seen = np.abs(effect + se * rng.standard_normal(100_000)) > stats.norm.ppf(0.975) * se
    assert power.power(effect, se) == pytest.approx(seen.mean(), abs=0.005)
    assert power.power(0, se) == pytest.approx(0.05)
    raw, less = (sum(power.customers_needed(50.0, 0.2, r2=r2)) for r2 in (0.0, 0.6))
    assert less == pytest.approx(0.4 * raw)


def windows(**changes):
    return pd.DataFrame(
        [
            {"window_days": 14, "metric": "revenue", "mean": 46.43, "variance": (7.91 * 46.43) ** 2,
             "r2": 0.14, **changes},
            {"window_days": 60, "metric": "revenue", "mean": 201.49,
             "variance": (4.27 * 201.49) ** 2, "r2": 0.564, **changes},
        ]
    )  # fmt: skip


def test_design_sheet_reproduces_the_published_sizes():
    # UCI Online Retail II, published with coefficients of variation of two digits.
    sheet = design_sheet(windows(), customers=4_400, targets=(0.10,)).set_index("window_days")
    assert (sheet["needed_raw"] / 2).tolist() == pytest.approx([98_251, 28_572], rel=3e-3)
    assert (sheet["needed"] / 2).tolist() == pytest.approx([84_481, 12_469], rel=3e-3)
    assert not sheet["seen"].any()
    assert sheet["days"].isna().all()
    assert sheet["verdict"].str.contains("cannot be seen").all()
    assert sheet["verdict"].str.contains("longer window").all()
    enough = design_sheet(windows(), customers=200_000, targets=(0.10,))
    assert enough["seen"].all() and (enough["days"] == [14, 60]).all()
    assert (enough["power"] > 0.8).all()


def test_design_sheet_counts_the_days_until_enough_have_joined():
    sheet = design_sheet(windows(), customers=20_000, per_day=100, targets=(0.10,)).iloc[1]
    assert sheet["days"] == np.ceil((sheet["needed"] - 20_000) / 100) + 60
    assert not sheet["seen"]
    # As many as are needed have the power that was asked for, and see exactly the target.
    exact = design_sheet(windows(), customers=sheet["needed"], targets=(0.10,)).iloc[1]
    assert exact["power"] == pytest.approx(0.8, abs=1e-3)
    assert exact["smallest_relative"] == pytest.approx(0.10, rel=1e-3)


def test_design_sheet_without_a_mean_or_customers_shows_no_number():
    for changes in ({"mean": -0.3}, {"mean": 0.0}, {"variance": 0.0}):
        sheet = design_sheet(windows(**changes), customers=1000)
        assert sheet[["effect", "needed", "days", "power", "smallest_effect"]].isna().all().all()
        assert sheet["verdict"].str.contains("means nothing").all()
    none = design_sheet(windows(), customers=0, targets=(0.1,))
    assert none["smallest_effect"].isna().all() and not none["seen"].any()
    for wrong in (
        {"customers": -1},
        {"customers": 10, "share": 1.0},
        {"customers": 1, "per_day": -2},
    ):
        with pytest.raises(UsageError):
            design_sheet(windows(), **wrong)
    with pytest.raises(UsageError, match="R2"):
        power.customers_needed(1.0, 0.1, r2=1.0)


def test_holdout_is_the_smallest_that_sees_the_effect():
    size, cost = holdout_size(400.0, customers=20_000, effect=1.0, gain=0.7)
    assert cost == pytest.approx(0.7 * size)

    def seen(h):
        return power.smallest_effect(np.sqrt(400.0 * (1 / h + 1 / (20_000 - h))))

    assert seen(size) <= 1.0 < seen(size - 1)
    assert np.isnan(holdout_size(400.0, customers=1_000, effect=1.0)[0])
    assert holdout_size(400.0, customers=20_000, effect=1.0, r2=0.5)[0] < size
