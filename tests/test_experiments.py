"""Effects from moments: published tables, other packages as oracles, identities, bad input."""

import numpy as np
import pandas as pd
import pytest
import tea_tasting as tt
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from helpers.errors import DataError, UsageError
from helpers.experiments import cuped, effects, ratios, trust
from helpers.experiments.decomposition import spend_parts
from helpers.experiments.effects import Effect
from helpers.experiments.factorial import CELLS, factorial
from helpers.experiments.guardrails import BROKEN, PASSED, UNCLEAR, UNKNOWN, non_inferior
from helpers.experiments.looks import anytime, look, tuning, width
from helpers.experiments.multiplicity import benjamini_hochberg, holm
from helpers.experiments.readout import Metric, read_metrics

NONE, MENS, WOMENS = "No E-Mail", "Mens E-Mail", "Womens E-Mail"
# Hillstrom's MineThatData test, of 64,000 rows: customers, visits, buyers, spend and its squares.
HILLSTROM = {
    NONE: {"n": 21306, "visits": 2262, "converted": 122, "revenue": 13908.33,
           "revenue_squares": 2870050.3621},
    MENS: {"n": 21307, "visits": 3894, "converted": 267, "revenue": 30311.69,
           "revenue_squares": 6759024.4973},
    WOMENS: {"n": 21387, "visits": 3238, "converted": 189, "revenue": 23038.11,
             "revenue_squares": 4911446.5763},
}  # fmt: skip
for _arm in HILLSTROM.values():
    _arm["visits_squares"], _arm["revenue_converted"] = _arm["visits"], _arm["revenue"]
PUBLISHED = [
    (MENS, "visits", 0.07658956, 0.00338589, 0.06995315, 0.08322598, 1.364e-112),
    (MENS, "converted", 0.00680501, 0.00092087, 0.00500007, 0.00860994, 1.502e-13),
    (MENS, "revenue", 0.76982716, 0.14524656, 0.48513973, 1.05451458, 1.164e-07),
    (WOMENS, "visits", 0.04523311, 0.00323446, 0.03889349, 0.05157272, 2.432e-44),
    (WOMENS, "converted", 0.00311106, 0.00082268, 0.00149859, 0.00472352, 1.560e-04),
    (WOMENS, "revenue", 0.42441222, 0.13033286, 0.16895679, 0.67986764, 1.129e-03),
]


def moments(**columns):
    """Sums of one arm: every column, its squares and all cross-products."""
    arm = {"n": len(next(iter(columns.values())))}
    values = {name: np.asarray(column, dtype=float) for name, column in columns.items()}
    names = list(values)
    for i, a in enumerate(names):
        arm[a], arm[f"{a}_squares"] = values[a].sum(), (values[a] ** 2).sum()
        arm |= {f"{a}_{b}": (values[a] * values[b]).sum() for b in names[i + 1 :]}
    return arm


@pytest.mark.parametrize(("arm", "name", "value", "se", "low", "high", "p_value"), PUBLISHED)
def test_hillstrom(arm, name, value, se, low, high, p_value):
    found = effects.difference(HILLSTROM[NONE], HILLSTROM[arm], name)
    assert found[:4] == pytest.approx([value, se, low, high], abs=6e-9)
    assert found.p_value == pytest.approx(p_value, rel=5e-4)


def test_hillstrom_means_and_order_values():
    means = {name: [float(effects.mean(arm, name)) for arm in HILLSTROM.values()]
             for name in ("visits", "converted", "revenue")}  # fmt: skip
    assert means["visits"] == pytest.approx([0.1061672768, 0.1827568405, 0.1514003834], abs=5e-11)
    assert means["converted"] == pytest.approx(
        [0.0057260865, 0.0125310931, 0.0088371441], abs=5e-11
    )
    assert means["revenue"] == pytest.approx([0.6527893551, 1.4226165110, 1.0772015710], abs=5e-11)
    spreads = [float(effects.variance(arm, "revenue")) ** 0.5 for arm in HILLSTROM.values()]
    assert spreads == pytest.approx([11.5881996813, 17.7542051037, 15.1161064707], abs=5e-8)
    values = [float(ratios.ratio(arm, "revenue", "converted")[0]) for arm in HILLSTROM.values()]
    assert values == pytest.approx([114.002705, 113.526929, 121.894762], abs=5e-7)
    counts = {name: arm["n"] for name, arm in HILLSTROM.items()}
    assert trust.sample_ratio_p(counts) == pytest.approx(0.90369, abs=5e-6)


def test_hillstrom_relative_effects_and_order_value():
    metrics = [Metric("visits", "visits", "share"), Metric("spend", "revenue"),
               Metric("order value", "revenue", "ratio", "converted", declared=False)]  # fmt: skip
    table = read_metrics(HILLSTROM, NONE, metrics).set_index(["metric", "arm"])
    assert table.loc[("spend", MENS), "relative"] == pytest.approx(1.17929, abs=5e-6)
    shown = [
        ("visits", MENS, 72, 64, 81), ("visits", WOMENS, 43, 36, 50), ("spend", MENS, 118, 63, 192),
        ("spend", WOMENS, 65, 22, 124), ("order value", MENS, -0.42, -18, 21),
        ("order value", WOMENS, 6.9, -13, 31),
    ]  # fmt: skip
    for metric, arm, *figures in shown:
        row = table.loc[(metric, arm), ["relative", "relative_low", "relative_high"]]
        digits = 2 if abs(figures[0]) < 1 else 1 if abs(figures[0]) < 10 else 0
        rounded = [round(100 * row.iloc[0], digits), *(round(100 * x) for x in row.iloc[1:])]
        assert rounded == figures, (metric, arm)
    assert table.loc[("order value", MENS), "p_value"] == pytest.approx(0.967, abs=1e-3)
    assert table.loc[("order value", WOMENS), "p_value"] == pytest.approx(0.512, abs=5e-3)
    family = table.loc[["visits", "spend"], "p_value"].to_numpy()
    # Newcombe's interval comes with the score test; Holm and FDR run over the declared ones alone.
    assert table.loc[["visits", "spend"], "holm"].to_numpy() == pytest.approx(holm(family))
    assert table.loc["order value", "holm"].isna().all()


def test_hillstrom_newcombe():
    found = effects.share_difference(HILLSTROM[NONE], HILLSTROM[MENS], "visits")
    assert [found.low, found.high] == pytest.approx([0.06995331, 0.08322674], abs=6e-9)
    counts = (3894, 21307, 2262, 21306)
    oracle = confint_proportions_2indep(*counts, method="newcomb", compare="diff")
    assert [found.low, found.high] == pytest.approx(oracle, abs=1e-9)
    table = [[3894, 21307 - 3894], [2262, 21306 - 2262]]
    assert found.p_value == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)


def test_hillstrom_lift_is_conversion_not_basket():
    parts = spend_parts(HILLSTROM[NONE], HILLSTROM[MENS])
    assert parts["conversion"].value == pytest.approx(0.77579, abs=5e-6)
    assert parts["basket"].value == pytest.approx(-0.00596, abs=5e-6)
    assert parts["conversion"].value + parts["basket"].value == pytest.approx(
        parts["total"].value, abs=1e-14
    )
    assert parts["total"].se == pytest.approx(0.14524656, abs=6e-9)
    assert parts["basket"].low < 0 < parts["basket"].high


def test_hillstrom_other_mail_never_counts_as_control():
    table = read_metrics(HILLSTROM, NONE, [Metric("spend", "revenue")])
    assert table["value"].tolist() == pytest.approx([0.76982716, 0.42441222], abs=5e-9)


def test_parts_of_a_lift_have_the_spread_that_resampling_shows():
    rng = np.random.default_rng(20)
    draws = {"conversion": [], "basket": []}
    ses = {"conversion": [], "basket": []}
    for _ in range(1500):
        arms = []
        for share, scale in ((0.3, 20.0), (0.4, 18.0)):
            bought = rng.random(800) < share
            spend = bought * rng.gamma(2.0, scale, 800)
            arms.append(moments(revenue=spend, converted=bought))
        parts = spend_parts(*arms)
        for name, seen in draws.items():
            seen.append(parts[name].value)
            ses[name].append(parts[name].se)
    for name, seen in draws.items():
        assert np.mean(ses[name]) == pytest.approx(np.std(seen), rel=0.08)


def test_lalonde_and_artea():
    # National Supported Work (445 men) and Artea's coupon, from means, spreads and sizes.
    found = effects.welch(4554.8011, 5483.8360**2, 260, 6349.1435, 7867.4022**2, 185)
    assert found.value == pytest.approx(1794.3424, abs=5e-5)
    assert found.se == pytest.approx(671.0, abs=0.05)
    assert found.p_value == pytest.approx(0.00789, abs=5e-6)
    spread = ((0.04943 - 0.00293) / 2 / 1.96044) ** 2 / (1 / 2502 + 1 / 2498)
    orders = effects.welch(0.12570, spread, 2502, 0.15188, spread, 2498)
    assert orders.value == pytest.approx(0.026178, abs=5e-6)
    assert orders.p_value == pytest.approx(0.0273, abs=2e-4)
    spread = ((1.0689 + 1.5518) / 2 / 1.96044) ** 2 / (1 / 2502 + 1 / 2498)
    revenue = effects.welch(7.78017, spread, 2502, 7.53867, spread, 2498)
    assert revenue.value == pytest.approx(-0.24149, abs=2e-5)
    assert [revenue.low, revenue.high] == pytest.approx([-1.5518, 1.0689], abs=2e-4)
    assert revenue.p_value == pytest.approx(0.718, abs=5e-4)


@pytest.fixture(scope="module")
def users():
    """Give the users that the guide of tea-tasting documents its tables on."""
    table = tt.make_users_data(rng=42, covariates=True)
    frame = pd.DataFrame({name: table[name].to_numpy() for name in table.column_names})
    keep = [name for name in frame if name not in ("user", "variant")]
    arms = {
        str(arm): moments(**{name: rows[name] for name in keep})
        for arm, rows in frame.groupby("variant")
    }
    return table, arms


def test_documented_table_of_tea_tasting(users):
    table = tt.make_users_data(rng=42)
    rows = pd.DataFrame({name: table[name].to_numpy() for name in table.column_names})
    arms = {
        str(arm): moments(**{name: part[name] for name in ("sessions", "orders", "revenue")})
        for arm, part in rows.groupby("variant")
    }
    metrics = [Metric("sessions", "sessions"), Metric("orders/session", "orders", "ratio", "sessions"),
               Metric("orders", "orders"), Metric("revenue", "revenue")]  # fmt: skip
    found = read_metrics(arms, "0", metrics).set_index("metric")
    columns = ["control", "treated", "relative", "relative_low", "relative_high", "p_value"]
    documented = {
        "sessions": ["2.00", "1.98", "-0.66%", "-3.7%", "2.5%", "0.674"],
        "orders/session": ["0.266", "0.289", "8.8%", "-0.89%", "19%", "0.0762"],
        "orders": ["0.530", "0.573", "8.0%", "-2.0%", "19%", "0.118"],
        "revenue": ["5.24", "5.73", "9.3%", "-2.4%", "22%", "0.123"],
    }
    for metric, strings in documented.items():
        for column, text in zip(columns, strings, strict=True):
            value, shown = found.loc[metric, column], float(text.rstrip("%"))
            digits = len(text.rstrip("%").partition(".")[2])
            scale = 100 if text.endswith("%") else 1
            assert round(scale * value, digits) == pytest.approx(shown), (metric, column)
    row = found.loc["orders"]
    assert row["control"] == pytest.approx(0.5304003954522986, abs=1e-15)
    assert row["treated"] == pytest.approx(0.5730905412240769, abs=1e-15)
    assert row["value"] == pytest.approx(0.04269014577177832, abs=1e-14)
    assert row["low"] == pytest.approx(-0.010800201598205522, abs=1e-14)
    assert row["high"] == pytest.approx(0.09618049314176216, abs=1e-14)
    assert row["p_value"] == pytest.approx(0.11773177998716207, rel=1e-12)
    assert row["relative"] == pytest.approx(0.08048664016431273, rel=1e-12)
    assert row["relative_low"] == pytest.approx(-0.019515294044061937, abs=1e-12)
    assert row["relative_high"] == pytest.approx(0.1906880061278886, abs=1e-12)
    sizes = {name: arm["n"] for name, arm in arms.items()}
    assert trust.sample_ratio_p(sizes) == pytest.approx(0.477, abs=0.01)


def test_documented_cuped_of_tea_tasting(users):
    table, arms = users
    documented = {
        "sessions": (-0.0068, -0.032, 0.019, 0.603), "orders": (0.11, 0.029, 0.20, 0.00733),
        "revenue": (0.14, 0.038, 0.26, 0.00674),
    }  # fmt: skip
    metrics = [Metric(name, name, covariates=(f"{name}_covariate",)) for name in documented]
    found = read_metrics(arms, "0", metrics).set_index("metric")
    for name, (lift, low, high, p_value) in documented.items():
        row = found.loc[name]
        assert row["basis"] == "adjusted"
        unit = 5e-5 if abs(lift) < 0.01 else 5e-3
        assert row["relative"] == pytest.approx(lift, abs=1.2 * unit)
        assert row["relative_low"] == pytest.approx(low, abs=6e-4)
        assert row["relative_high"] == pytest.approx(high, abs=6e-4 if high < 0.1 else 6e-3)
        assert row["decisive_p_value"] == pytest.approx(p_value, rel=0.01)
        # Their theta takes all users as one, ours looks within arms: the same to a part in 1,000.
        oracle = tt.Experiment(m=tt.Mean(name, f"{name}_covariate")).analyze(table)["m"]
        assert row["adjusted_value"] == pytest.approx(oracle.effect_size, rel=2e-3)
        assert row["adjusted_low"] == pytest.approx(oracle.effect_size_ci_lower, abs=2e-3)


def test_documented_multiplicity_of_tea_tasting():
    # Holm-Bonferroni and FDR of the three-arm example of its guide.
    p_values = [0.118, 0.0213, 0.0211, 0.00218]
    assert holm(p_values)[:3] == pytest.approx([0.118, 0.0634, 0.0634], abs=2e-4)
    assert benjamini_hochberg(p_values)[:3] == pytest.approx([0.118, 0.0284, 0.0284], abs=2e-4)
    assert benjamini_hochberg(p_values)[3] == pytest.approx(0.00872, abs=5e-6)
    assert holm(p_values)[3] == pytest.approx(0.00872, abs=5e-6)


def test_corrections_are_those_of_statsmodels_and_scipy():
    rng = np.random.default_rng(3)
    for size in (1, 2, 7, 40):
        p = rng.beta(0.4, 1.0, size).round(2)
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
        assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p))
    gaps = np.array([0.01, np.nan, 0.04])
    assert holm(gaps)[[0, 2]].tolist() == pytest.approx([0.02, 0.04])
    assert np.isnan(benjamini_hochberg(gaps)[1])
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.2, 1.2])


def test_cuped_with_missing_covariates_is_least_squares_without_the_arms():
    rng = np.random.default_rng(8)
    n, rows = 3000, []
    missing = rng.random(n) < 0.3
    before = np.where(missing, 0, rng.gamma(1.0, 30, n))
    score = np.where(missing, 0, before + rng.normal(0, 5, n))
    treated = rng.random(n) < 0.5
    y = 5 + 0.8 * before + 12 * missing + 3 * treated + rng.gamma(1, 9, n)
    frame = pd.DataFrame({"y": y, "pre": before, "missing": missing * 1.0, "score": score})
    for side in (False, True):
        rows.append(moments(**{name: frame.loc[treated == side, name] for name in frame}))
    covariates = ("pre", "missing", "score")
    theta = cuped.pooled_theta(rows, "y", covariates)
    fit = ols("y ~ pre + missing + score + w", frame.assign(w=treated * 1.0)).fit()
    assert theta == pytest.approx(fit.params[list(covariates)].to_numpy())
    found = cuped.adjusted(*rows, "y", covariates=covariates)
    assert found.value == pytest.approx(fit.params["w"])
    assert found.se == pytest.approx(fit.get_robustcov_results("HC1").bse[4], rel=5e-3)
    r2, larger = cuped.explained(rows, "y", covariates)
    raw = effects.difference(*rows, "y")
    assert larger == pytest.approx(1 / (1 - r2))
    assert (found.se / raw.se) ** 2 == pytest.approx(1 - r2, rel=0.03)
    # The products with the indicator are known to be zero, and need not be given.
    bare = [
        {k: v for k, v in row.items() if k not in ("pre_missing", "missing_score")} for row in rows
    ]
    bare = [{k: v for k, v in row.items() if k != "missing_squares"} for row in bare]
    assert cuped.adjusted(*bare, "y", covariates=covariates) == pytest.approx(found)


def test_cuped_saves_the_squared_correlation_and_nothing_where_nothing_is_known():
    rng = np.random.default_rng(1)
    x = rng.normal(size=400)
    y = x + rng.normal(size=400)
    arm = moments(y=y, pre=x)
    assert cuped.explained([arm, arm], "y", ("pre",))[0] == pytest.approx(
        np.corrcoef(x, y)[0, 1] ** 2
    )
    unknown = moments(y=y, pre=0 * x)
    assert np.isnan(cuped.adjusted(unknown, unknown, "y", covariates=("pre",)).value)
    # A covariate that never varies does not spoil one that does.
    both = moments(y=y, pre=x, flat=0 * x)
    other = moments(y=y[::-1] + 1, pre=x, flat=0 * x)
    found = cuped.adjusted(both, other, "y", covariates=("pre", "flat"))
    assert found == pytest.approx(cuped.adjusted(both, other, "y", covariates=("pre",)))


def test_all_is_elementwise():
    rng = np.random.default_rng(2)
    arms = [
        [moments(y=rng.gamma(1, 5, 90), pre=rng.gamma(1, 5, 90)) for _ in range(3)] for _ in "ab"
    ]
    stacked = [{key: np.array([arm[key] for arm in side]) for key in side[0]} for side in arms]
    whole = cuped.adjusted(*stacked, "y", covariates=("pre",))
    for i in range(3):
        one = cuped.adjusted(arms[0][i], arms[1][i], "y", covariates=("pre",))
        assert [part[i] for part in whole] == pytest.approx(list(one))


def cells_of(rng, n=500):
    frame = pd.DataFrame({"a": rng.integers(0, 2, n), "b": rng.integers(0, 2, n)})
    frame["y"] = 2 + frame.a + 0.5 * frame.b - 0.4 * frame.a * frame.b + rng.gamma(1, 4, n)
    cells = {
        cell: moments(y=frame.y[(frame.a == cell[0]) & (frame.b == cell[1])]) for cell in CELLS
    }
    return frame, cells


def test_factorial_is_least_squares_with_hc2():
    frame, cells = cells_of(np.random.default_rng(40))
    table = factorial(cells, "y", worth=1.0).set_index("contrast")
    fit = ols("y ~ a * b", frame).fit(cov_type="HC2")
    assert table.loc["interaction", ["value", "se"]].tolist() == pytest.approx(
        [fit.params["a:b"], fit.bse["a:b"]], rel=1e-10
    )
    centered = ols("y ~ a * b", frame.assign(a=frame.a - 0.5, b=frame.b - 0.5)).fit(cov_type="HC2")
    for name, term in (("main_a", "a"), ("main_b", "b")):
        assert table.loc[name, ["value", "se"]].tolist() == pytest.approx(
            [centered.params[term], centered.bse[term]], rel=1e-10
        )
    assert table.loc["interaction", "se"] == pytest.approx(2 * table.loc["main_a", "se"])
    sums = table["value"]
    assert sums["both"] == pytest.approx(sums["a_alone"] + sums["b_alone"] + sums["interaction"])
    assert table.loc["main_a", "power"] > table.loc["interaction", "power"]


def test_three_cells_are_no_factorial():
    _, cells = cells_of(np.random.default_rng(41))
    with pytest.raises(DataError, match=r"cell \(1, 1\)"):
        factorial({cell: cells[cell] for cell in CELLS[:3]}, "y")


def test_relative_effects_only_where_they_mean_something():
    assert effects.relative(1.0, 0.01, 1.2, 0.01)[1] == ""
    cases = [((-0.281, 0.01, 0.193, 0.01), "not above zero"), ((0.1, 0.01, 0.2, 0.01), "not clearly"),
             ((1.0, 0.01, -0.2, 0.01), "treated mean"), ((1.0, 0.0, 1.0, 0.0), "varies"),
             ((np.nan, 0.1, 1, 0.1), "nothing")]  # fmt: skip
    for given, reason in cases:
        effect, why = effects.relative(*given)
        assert np.isnan(effect.value) and reason in why


def test_fieller():
    (value, low, high), reason = effects.fieller(2.0, 4.0, 0.04, 0.09, 0.01)
    assert not reason and low < value == 0.5 < high
    z2 = stats.norm.ppf(0.975) ** 2
    for end in (low, high):
        assert (2 - end * 4) ** 2 == pytest.approx(z2 * (0.04 + end**2 * 0.09 - 2 * end * 0.01))
    (_, low, high), reason = effects.fieller(2.0, 0.1, 0.04, 0.09)
    assert np.isnan([low, high]).all() and "not clearly away from zero" in reason
    assert effects.fieller(1.0, 0.0, 0.1, 0.1)[1]


def test_sample_ratio_of_few_is_exact():
    assert trust.sample_ratio_p({"a": 9, "b": 1}) == pytest.approx(
        stats.binomtest(9, 10, 0.5).pvalue
    )
    seen, shares = {"a": 4, "b": 0, "c": 5}, {"a": 0.5, "b": 0.3, "c": 0.2}
    law = stats.multinomial(9, list(shares.values()))
    splits = [(i, j, 9 - i - j) for i in range(10) for j in range(10 - i)]
    here = law.pmf(list(seen.values()))
    exact = sum(p for p in map(law.pmf, splits) if p <= here * (1 + 1e-9))
    assert trust.sample_ratio_p(seen, shares) == pytest.approx(exact)
    with pytest.raises(DataError, match="negative"):
        trust.sample_ratio_p({"a": 5, "b": 5}, {"a": 1, "b": -1})


def test_balance_before_the_campaign():
    rng = np.random.default_rng(6)
    arms = {arm: moments(pre=rng.gamma(1, 10, 4000) + shift, missing=rng.random(4000) < 0.2)
            for arm, shift in (("control", 0), ("fair", 0), ("late", 3))}  # fmt: skip
    table = trust.balance(arms, "control").set_index(["arm", "covariate"])
    assert table.loc[("fair", "pre"), "balanced"] and table.loc[("late", "missing"), "balanced"]
    assert not table.loc[("late", "pre"), "balanced"]
    assert table.loc[("late", "pre"), "standardized"] == pytest.approx(0.3, abs=0.05)
    nobody = {arm: moments(pre=np.zeros(50)) for arm in ("control", "t")}
    assert trust.balance(nobody, "control", ("pre",))["balanced"].tolist() == [None]


def test_one_whale_is_recognised():
    rng = np.random.default_rng(5)
    spend = np.append(rng.gamma(1, 20, 999), 40_000.0)
    assert trust.dominance(moments(y=spend), "y", spend.min(), spend.max()) > 0.9 > trust.WHALE
    calm = spend[:-1]
    assert trust.dominance(moments(y=calm), "y", calm.min(), calm.max()) < 0.1
    assert np.isnan(trust.dominance(moments(y=np.zeros(5)), "y", 0, 0))


def test_intervals_that_may_not_hold_are_said():
    rng = np.random.default_rng(15)

    def arm(n, whale=0.0):
        spend = rng.gamma(1, 20, n) * (rng.random(n) < 0.3)
        spend[0] += whale
        found = moments(net=spend, converted=spend > 0)
        return found | {"net_least": spend.min(), "net_most": spend.max()}

    def bare(n):
        return {
            name: value for name, value in arm(n).items() if not name.endswith(("_least", "_most"))
        }

    fair, large, small = arm(4000), arm(4000), bare(60)
    assert trust.caution(fair, large, "net") == ""
    assert "read it capped" in trust.caution(fair, arm(4000, 1e5), "net")
    assert "smaller arm has" in trust.caution(small, large, "net")
    assert trust.caution(small, bare(60), "net") == ""
    table = read_metrics({"control": small, "t": large}, "control", [Metric("net", "net")])
    assert "too few" in table["caution"].item() and np.isfinite(table["value"].item())


def test_guardrails():
    effect = Effect(0.001, 0.0004, 0.0002, 0.0018, 0.01)
    assert non_inferior(effect, 0.002)[0] == PASSED
    assert non_inferior(effect, 0.001) == (UNCLEAR, pytest.approx(0.5))
    assert non_inferior(effect, 0.0001)[0] == BROKEN
    assert non_inferior(effect, 0.0, worse="less")[0] == PASSED
    assert non_inferior(Effect(-3.0, 1.0, -4.96, -1.04, 0.003), 1.0, worse="less")[0] == BROKEN
    assert non_inferior(effects.NOTHING, 0.1)[0] == UNKNOWN
    with pytest.raises(UsageError, match="zero or more"):
        non_inferior(effect, -0.1)
    with pytest.raises(UsageError, match="'more' or 'less'"):
        non_inferior(effect, 0.1, worse="up")


def test_anytime_intervals_are_narrowest_where_planned():
    n = 8000
    others = [n * factor for factor in (0.5, 0.8, 1.25, 2)]
    assert all(width(n, n) < width(n, other) for other in others)
    assert width(n, n) > stats.norm.ppf(0.975)
    effect = effects.interval(0.3, 0.1)
    wide = anytime(effect, n, n)
    assert wide.low < effect.low and wide.p_value > effect.p_value
    # The p-value is 5 percent where the interval ends at zero.
    edge = anytime(effects.interval(float(0.1 * width(n, n)), 0.1), n, n)
    assert edge.low == pytest.approx(0, abs=1e-12) and edge.p_value == pytest.approx(0.05)
    with pytest.raises(UsageError, match="above zero"):
        tuning(0)


def test_looks_wait_for_enough_customers():
    rng = np.random.default_rng(9)
    few = moments(y=rng.gamma(1, 5, 400), converted=np.ones(400))
    assert "400 customers" in look(few, few, "y", planned=5000)[1]
    idle = moments(y=np.append(np.zeros(780), np.arange(1, 21)), converted=np.arange(800) >= 780)
    assert "20 customers with any" in look(idle, idle, "y", planned=5000)[1]
    enough = moments(y=rng.gamma(1, 5, 900), converted=np.ones(900))
    effect, reason = look(enough, enough, "y", planned=5000)
    assert not reason and effect.low < 0 < effect.high


UNREADABLE = [
    ({"t": (9, 3.0)}, "no control group"),
    ({"control": (9, 3.0)}, "one arm only"),
    ({"control": (9, 3.0), "t": (0, 0.0)}, "nobody was assigned to the arm 't'"),
    ({"control": (9, 3.0), "t": (1, 3.0)}, "one customer"),
    ({"control": (9, 0.0), "t": (9, 0.0)}, "nobody had any"),
    ({"control": (9, 9.0), "t": (9, 9.0)}, "all customers had the same"),
    ({"Control": (9, 3.0), "t": (9, 4.0)}, "'control'"),
]


@pytest.mark.parametrize(("arms", "reason"), UNREADABLE)
def test_what_cannot_be_read_says_why_and_shows_no_number(arms, reason):
    sums = {arm: {"n": n, "revenue": y, "revenue_squares": y} for arm, (n, y) in arms.items()}
    table = read_metrics(sums, "control", [Metric("spend", "revenue")])
    assert reason in trust.unreadable(sums, "control", "revenue")
    assert table["reason"].str.contains(reason).all()
    assert table[["value", "low", "decisive_value", "relative", "holm"]].isna().all().all()


def test_nobody_to_divide_by_is_said():
    arm = {"n": 50, "revenue": 5.0, "revenue_squares": 9.0, "orders": 2, "orders_squares": 2,
           "revenue_orders": 5.0}  # fmt: skip
    none = {**arm, "orders": 0, "orders_squares": 0, "revenue_orders": 0.0}
    table = read_metrics({"control": arm, "t": none}, "control",
                         [Metric("order value", "revenue", "ratio", "orders")])  # fmt: skip
    assert "no orders to divide by" in table["reason"].item()
    assert np.isnan(table["value"].item())


def test_wrong_declarations_and_missing_sums_are_errors():
    with pytest.raises(UsageError, match="ratio"):
        Metric("order value", "revenue", "ratio")
    with pytest.raises(UsageError, match="kind"):
        Metric("spend", "revenue", "median")
    with pytest.raises(DataError, match="'margin'"):
        read_metrics(HILLSTROM, NONE, [Metric("margin", "margin")])
    with pytest.raises(DataError, match="pre_squares"):
        read_metrics(HILLSTROM, NONE, [Metric("s", "revenue", covariates=("pre",))])
    with pytest.raises(DataError, match="Mens E-Mail"):
        trust.control_of(HILLSTROM, "control")


def test_segments_add_up_to_arms_and_windows_do_not_mix():
    frame = pd.DataFrame({"arm": ["t", "t", "control"], "window_days": 7, "n": [3, 4, 8],
                          "net": [1.0, 2.0, 3.0], "net_most": [1.0, 9.0, 2.0], "cap_low": 0.5})  # fmt: skip
    arms = effects.arms_of(frame)
    assert arms["t"][["n", "net", "net_most", "cap_low"]].tolist() == [7, 3, 9, 0.5]
    with pytest.raises(DataError, match="window_days"):
        effects.arms_of(frame.assign(window_days=[7, 14, 7]))


def test_negative_margins_have_an_absolute_effect_and_no_percentage():
    rng = np.random.default_rng(12)
    arms = {"control": moments(margin=rng.normal(-0.3, 2, 3000)),
            "t": moments(margin=rng.normal(0.2, 2, 3000))}  # fmt: skip
    row = read_metrics(arms, "control", [Metric("margin", "margin")]).iloc[0]
    assert (
        row["low"] > 0 and np.isnan(row["relative"]) and "not above zero" in row["relative_reason"]
    )
