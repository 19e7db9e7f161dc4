"""The cohort notebook on odd shops: a sentence or a number, never a wrong one; by hand on small."""

from collections import Counter, defaultdict
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from test_summaries import cohort_of, obvious_days, purchases, shop  # noqa: F401

from helpers import figures, show, summaries
from helpers.chapters import (
    cohort_tables,
    findings_cohorts,
    projection_tables,
    staying,
    trait_tables,
)
from helpers.contract.shop import load_shop
from helpers.errors import UsageError
from helpers.experiments.effects import newcombe
from helpers.measures import affinity, behaviour, cohorts, repurchase, run_in
from helpers.measures.metrics import ratio_interval
from helpers.models import sbg
from helpers.study import open_study
from tests.cells import run_cells

SALES = "order_id,customer_id,ordered_at,revenue,product_id\n"


def sales(rows):
    return SALES + "".join(f"{i},{c},{d},{m},{p}\n" for i, (c, d, m, p) in enumerate(rows))


def month(number):
    return f"{2024 + number // 12}-{number % 12 + 1:02}"


RNG = np.random.default_rng(5)
ODD = {
    "one cohort": [(f"c{i}", f"2025-01-{i % 28 + 1:02}", 10 + i, "p") for i in range(40)],
    "cohorts of one customer": [(f"c{i}", f"{month(i)}-05", 10, "p") for i in range(18)],
    "no repeat orders": [(f"c{i}", f"{month(i % 12)}-05", 10, "p") for i in range(240)],
    "a gap of months": [
        (f"c{i % 60}", f"{month(m)}-1{i % 9}", 10 + i % 7, f"p{i % 3}")
        for m in (0, 1, 2, 9, 10, 11) for i in range(m * 7, m * 7 + 45)
    ],
    "a daily cadence": [
        (f"c{i}", str(date(2025, 1, 1) + timedelta(int(d))), 3, f"p{d % 4}")
        for i in range(30) for d in range(i % 10, 60)
    ],
    "a yearly cadence": [
        (f"c{i}", f"{2020 + y}-{i % 12 + 1:02}-10", 30 + y, "p")
        for i in range(120) for y in range(4)
    ],
    "two hundred products": [
        (f"c{i % 400}", f"{month(int(RNG.integers(0, 14)))}-0{i % 9 + 1}", 5 + i % 11, f"p{int(RNG.zipf(1.4)) % 200:03}")
        for i in range(900)
    ],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", ODD)
def test_odd_shops_are_said_and_no_figure_is_wrong(make_shop, monkeypatch, kind):
    through = "complete_through = 2025-01-31\n" if kind == "one cohort" else ""
    folder = make_shop(sales(ODD[kind]), toml=f"{through}[privacy]\nmin_cell = 10\n")
    dimension = "first_product" if kind == "two hundred products" else "channel"
    said = run_cells("03_cohort_analysis", folder, monkeypatch, dimension=dimension).said
    for cell, text in said.items():
        assert text.strip() and "nan" not in text.lower().split(), cell
        assert "inf" not in text.split(), cell
    if kind in ("one cohort", "cohorts of one customer"):
        assert "n/a" in said["trust-table"]
        assert "No projection of" in said["ahead-figure"]
        assert "No projection of retention" in said["stay-table"]
    if kind == "no repeat orders":
        assert "Nobody has bought a second time" in said["waiting-figure"]
        assert "No customer ordered again" in said["ahead-figure"]
        assert "Nobody has bought a second time" in said["rfm-figure"]
    if kind == "a gap of months":
        ages = summaries.load(open_study(str(folder)), "cohort_ages")
        triangle = cohorts.triangle(
            ages, measure="retention", as_of=date(2024, 12, 31), opened_at=date(2024, 1, 1),
            history_starts_at=date(2024, 1, 1), min_cell=1,
        )  # fmt: skip
        # Months without orders are true zeros of those who could have ordered.
        assert (triangle.values.loc["2024-01-01", [4, 5, 6, 7]] == 0).all()
    if kind == "a daily cadence":
        assert "1" in said["windows-table"] and "dormant" in said["states-figure"]
    if kind == "two hundred products":
        assert "stand together as other" in said["traits-figure"]
        assert said["traits-table"].count("\np") + 1 <= 12
    assert "No marketing spend is recorded" in said["channels-figure"]
    assert "none is projected" in said["channels-ahead-table"]
    assert "No experiment on onboarding" in said["later-sentence"]
    assert "No contracts are recorded" in said["contracts-table"]


def test_a_wrong_choice_is_refused_with_the_nearest(make_shop, monkeypatch):
    folder = make_shop(sales(ODD["no repeat orders"]))
    study = open_study(str(folder))
    with pytest.raises(UsageError, match="Did you mean 'aov'"):
        cohort_tables.drawn(study, "aovv", **cohort_tables.frame_of(study))
    with pytest.raises(UsageError, match="Did you mean 'channel'"):
        trait_tables.trait_rows(study, "chanel")
    with pytest.raises(UsageError, match="0 or more months"):
        cohorts.left_truncated(["2025-01-01"], run_in=-2)


# -- a history that starts mid-life --------------------------------------------------------------


def life(rng, customers=900, months=36, stay=0.97, rate=0.35):
    """Customers who join month by month and buy at random while they live: customer, month."""
    rows = []
    for customer in range(customers):
        joined = int(rng.integers(0, months))
        rows.append((customer, joined))
        for m in range(joined + 1, months):
            if rng.random() > stay:
                break
            if rng.random() < rate:
                rows.append((customer, m))
    return pd.DataFrame(rows, columns=["customer", "number"])


def pairs_of(orders):
    active = orders.drop_duplicates().sort_values(["customer", "number"])
    active["previous"] = active.groupby("customer")["number"].shift()
    table = active.groupby(["number", "previous"], dropna=False).size().rename("customers")
    table = table.reset_index()
    start = pd.Timestamp("2020-01-01")
    for name, column in (("month", "number"), ("previous", "previous")):
        table[name] = [
            pd.NaT if pd.isna(n) else start + pd.DateOffset(months=int(n)) for n in table[column]
        ]
    return table[["month", "previous", "customers"]]


def test_old_customers_among_the_new_are_found_from_the_shops_own_months():
    orders = life(np.random.default_rng(3), customers=6000, months=48, stay=0.9)
    cut = orders[orders["number"] >= 24]
    first = orders.groupby("customer")["number"].min()
    looks = cut.groupby("customer")["number"].min()
    truth = (first.reindex(looks.index) < 24).groupby(looks).mean()
    found = run_in.old_among_new(
        pairs_of(cut), as_of=date(2023, 12, 31), starts_at=date(2022, 1, 1)
    ).set_index("month")["share"]
    # Lives are short beside the history, so the shop is the same at the cut and later.
    for age in range(6):
        assert found.loc[age + 1] == pytest.approx(truth.loc[24 + age], abs=0.1)
    assert (found.diff().dropna() < 0.02).all()


def test_run_in_is_chosen_and_said():
    pairs = pairs_of(life(np.random.default_rng(4)))
    dates = {"as_of": date(2022, 12, 31), "starts_at": date(2020, 1, 1)}
    months = pd.date_range("2020-01-01", periods=36, freq="MS")
    options = {**dates, "cohorts": months, "least": 5}
    whole = run_in.choose(pairs, whole=True, **options)
    assert whole.months == 0 and "reaches back" in whole.reason
    chosen = run_in.choose(pairs, whole=False, **options)
    assert chosen.months > 1
    table = chosen.old.set_index("month")["share"]
    assert table.loc[chosen.months + 1] < run_in.MOST_OLD <= table.loc[chosen.months]
    assert run_in.choose(pairs, whole=False, given=3, **options).months == 3
    few = run_in.choose(pairs, whole=False, **{**options, "cohorts": months[:4]})
    assert few.months == 1 and "look more loyal" in few.reason
    assert run_in.old_among_new(pairs, as_of=date(2020, 2, 1), starts_at=date(2020, 1, 1)).empty


def test_old_among_new_by_hand():
    table = pd.DataFrame(
        {"month": pd.to_datetime(["2025-01-01", "2025-02-01", "2025-03-01", "2025-03-01",
                                  "2025-04-01", "2025-04-01"]),
         "previous": pd.to_datetime([None, None, None, "2025-01-01", "2025-03-01", None]),
         "customers": [10, 4, 6, 2, 3, 5]}
    )  # fmt: skip
    found = run_in.old_among_new(
        table, as_of=date(2025, 4, 30), starts_at=date(2025, 1, 1), least=1
    )
    # Starts in March (8 look new, 2 old; in April 5 and none) and in April (8 and 3).
    assert found["looks_new"].tolist() == [16, 5] and found["old"].tolist() == [5, 0]
    assert found["share"].tolist() == [5 / 16, 0]


# -- cells of ratios -----------------------------------------------------------------------------


def test_ratio_interval_is_that_of_linearized_customers():
    rng = np.random.default_rng(2)
    below = rng.poisson(1.5, 400).astype(float)
    above = below * rng.lognormal(3, 0.5, 400)
    found = ratio_interval(
        above.sum(), below.sum(), (above**2).sum(), (below**2).sum(), (above * below).sum(), 400
    )
    ratio = above.sum() / below.sum()
    assert found.value == pytest.approx(ratio)
    each = (above - ratio * below) / below.mean()
    assert found.se == pytest.approx(each.std(ddof=1) / 20)
    assert np.isnan(ratio_interval(0, 0, 0, 0, 0, 5).value)


def test_cells_of_ratios_hold_the_truth():
    rng = np.random.default_rng(11)
    shops, n = 2000, 120
    orders = rng.poisson(1.2, (shops, n)).astype(float)
    money = np.where(orders > 0, rng.gamma(np.maximum(orders, 1) * 4, 10.0), 0.0)
    found = ratio_interval(
        money.sum(1), orders.sum(1), (money**2).sum(1), (orders**2).sum(1),
        (money * orders).sum(1), np.full(shops, n),
    )  # fmt: skip
    covered = ((found.low <= 40) & (found.high >= 40)).mean()
    assert 0.93 <= covered <= 0.97


def test_baskets_against_an_obvious_count(shop):  # noqa: F811
    orders, study = shop
    days = obvious_days(orders)
    first = cohort_of(days)
    expected = defaultdict(lambda: np.zeros(4))
    steps = defaultdict(lambda: np.zeros(2))
    for (customer, day), cell in days.items():
        start = first.get(customer)
        if start is not None and day >= start:
            age = (day.year - start.year) * 12 + day.month - start.month
            steps[customer, age] += (len(cell["orders"]), float(cell["revenue"]))
    for (customer, age), (number, revenue) in steps.items():
        expected[first[customer].replace(day=1), age] += (
            number, revenue, number**2, number * revenue
        )  # fmt: skip
    table = summaries.load(study, "basket_ages")
    names = ["orders", "revenue", "orders_squares", "orders_revenue"]
    for row in table.itertuples():
        want = expected[row.cohort.date(), row.age]
        got = np.array([getattr(row, name) for name in names]) * (1, 100, 1, 100)
        assert got == pytest.approx(want, abs=0.01)
    frame = {"as_of": study.end, "min_cell": 3, "small": 5, "run_in": 2}
    found = cohorts.triangle(table, measure="aov", **frame)
    ages = cohorts.triangle(
        summaries.load(study, "cohort_ages"), measure="revenue", **frame
    )  # fmt: skip
    for age in found.values:
        used = [c for c in found.values.index if found.states.loc[c, age] in ("", "small")]
        assert not any(state == "left_truncated" for state in found.states.loc[used, age])
        money = sum(expected[c.date(), age][1] for c in used) / 100
        number = sum(expected[c.date(), age][0] for c in used)
        if number and used:
            assert found.pooled.loc[age, "value"] == pytest.approx(money / number)
        assert found.pooled.loc[age, "cohorts"] == len(used) == ages.pooled.loc[age, "cohorts"]


# -- behaviour -----------------------------------------------------------------------------------


def slow_states(bought, ends, typical):
    """Work out every customer's state at every month's end from their own purchase days."""
    found = {}
    for customer, days in bought.items():
        for end in ends:
            seen = [day for day in days if day <= end]
            if not seen:
                continue
            cadences = [
                max(((day - seen[0]).days + typical) // (i + 1), 1) for i, day in enumerate(seen)
            ]
            woke = any(
                (seen[i] - seen[i - 1]).days > 4 * cadences[i - 1]
                for i in range(1, len(seen)) if seen[i] >= end.replace(day=1)
            )  # fmt: skip
            idle, pace = (end - seen[-1]).days, cadences[-1]
            state = "dormant"
            if seen[0] >= end.replace(day=1):
                state = "new"
            elif woke:
                state = "reactivated"
            elif idle <= 2 * pace:
                state = "active"
            elif idle <= 4 * pace:
                state = "cooling"
            found[customer, end] = state
    return found


def test_states_and_moves_against_a_slow_count(shop):  # noqa: F811
    orders, study = shop
    bought = {c: sorted(d) for c, d in purchases(obvious_days(orders)).items()}
    gaps = [(b - a).days for days in bought.values() for a, b in pairwise(days)]
    typical = max(round(float(np.mean(gaps))), 1)
    first = min(day for days in bought.values() for day in days)
    months = pd.period_range(first, study.end, freq="M")
    ends = [m.end_time.date() for m in months]
    states = slow_states(bought, ends, typical)
    expected = Counter()
    for i, end in enumerate(ends):
        for customer in bought:
            if (customer, end) in states:
                before = states.get((customer, ends[i - 1])) if i else None
                expected[end.replace(day=1), before, states[customer, end]] += 1
    moves = summaries.load(study, "state_moves")
    found = {
        (r.month.date(), None if pd.isna(r.before) else r.before, r.state): r.customers
        for r in moves.itertuples()
    }
    assert found == dict(expected)
    shares = behaviour.state_shares(moves)
    assert shares.groupby("month")["share"].sum().to_numpy() == pytest.approx(1)
    table = behaviour.moves_table(moves, months=100, least=1)
    known = table[table["customers"] > 0]
    assert known[list(behaviour.STATES[1:])].sum(axis=1).to_numpy() == pytest.approx(1)


@pytest.mark.parametrize(
    ("years", "lift", "word"), [(3, 0.0, "does not move"), (3, 0.1, "has risen"), (1, 0.1, "")]
)
def test_an_age_over_time_is_held_against_the_same_months_a_year_before(years, lift, word):
    months = pd.date_range("2023-01-01", periods=12 * years, freq="MS")
    season = 0.2 + 0.1 * np.sin(np.arange(len(months)) * np.pi / 6)
    value = season + lift * (np.arange(len(months)) >= 12 * (years - 1))
    cohorts = pd.DataFrame({"cohort": months, "value": value, "customers": 1000})
    found = findings_cohorts.one_age(cohorts, 1)
    if not word:
        assert "cohort by cohort" in found.title and "season" in found.sentence
        return
    assert word in found.title
    # Of three years the first is on neither side: 12,000 customers against 12,000.
    rates = (season[:12].mean(), season[:12].mean() + lift)
    _, low, high = newcombe(rates[0] * 12_000, 12_000, rates[1] * 12_000, 12_000)
    assert f"{low * 100:+.1f} to {high * 100:+.1f}" in found.sentence


def test_ranks_have_no_empty_class_and_alike_customers_share_one(shop):  # noqa: F811
    orders, study = shop
    cells = summaries.load(study, "rfm_cells")
    bought = purchases(obvious_days(orders))
    once = sum(len(days) == 1 for days in bought.values())
    assert cells["customers"].sum() == len(bought)
    assert cells.loc[cells["frequency"] == 1, "customers"].sum() == once
    for name in ("recency", "frequency", "money"):
        ranks = sorted(set(cells[name]))
        assert ranks == list(range(1, len(ranks) + 1)), name
    segments = behaviour.rfm_segments(cells, least=1)
    assert segments["share"].sum() == pytest.approx(1)
    held = behaviour.rfm_segments(cells, least=5)
    assert held["customers"].sum() == segments["customers"].sum()


def baskets(rng, customers, chances, together=None):
    """Draw who bought which of the items; ``together`` sells the second with the first."""
    eager = rng.lognormal(0, 0.7, customers)[:, None]
    has = rng.random((customers, len(chances))) < np.minimum(eager * chances, 0.95)
    if together:
        a, b = together
        has[:, b] |= has[:, a] & (rng.random(customers) < 0.25)
    return has


def pairs_frame(has, level="product"):
    rows, breadth = [], np.minimum(has.sum(axis=1), 8)
    names = [f"i{j:02}" for j in range(has.shape[1])]
    for k in sorted(set(breadth[breadth > 0])):
        part = has[breadth == k]
        rows.append((k, None, None, len(part)))
        for a in range(len(names)):
            rows.append((k, names[a], None, int(part[:, a].sum())))
            for b in range(a + 1, len(names)):
                rows.append((k, names[a], names[b], int((part[:, a] & part[:, b]).sum())))
    table = pd.DataFrame(rows, columns=["breadth", "item", "other", "customers"])
    return table[table["customers"] > 0].assign(level=level, margin=1.0, revenue=2.0)


def test_affinity_by_chance_is_none_and_a_planted_pair_is_found():
    rng = np.random.default_rng(6)
    chances = rng.uniform(0.05, 0.3, 12)
    table = affinity.pairs(pairs_frame(baskets(rng, 4000, chances)), "product")
    # Eager customers have every pair, so plain lift lies above 1; given breadth it does not.
    assert table["lift"].median() > 1.2
    assert table["lift_given_breadth"].median() == pytest.approx(1, abs=0.06)
    assert (table["q_value"] < 0.05).sum() <= 2
    planted = affinity.pairs(pairs_frame(baskets(rng, 4000, chances, (2, 7))), "product")
    assert tuple(planted.loc[0, ["item", "other"]]) == ("i02", "i07")
    assert planted.loc[0, "q_value"] < 1e-6
    assert affinity.pairs(table.assign(breadth=1).head(0).assign(level="product"), "product").empty
    with pytest.raises(UsageError, match="Did you mean 'product'"):
        affinity.pairs(table, "produkt")


def test_pairs_by_hand(make_shop):
    rows = [("a", "2025-01-05", 10, "x"), ("a", "2025-02-05", 20, "y"), ("b", "2025-01-06", 5, "x"),
            ("b", "2025-01-06", 5, "z"), ("c", "2025-01-07", 7, "y")]  # fmt: skip
    study = open_study(str(make_shop(sales(rows), toml="complete_through = 2025-02-28\n")))
    table = summaries.load(study, "product_pairs")
    table = table[table["level"] == "product"].set_index(["item", "other"])
    both = table[table.index.get_level_values(1).notna()]
    assert both["customers"].to_dict() == {("x", "y"): 1, ("x", "z"): 1}
    assert both["revenue"].to_dict() == {("x", "y"): 30, ("x", "z"): 10}
    whole = table[table.index.get_level_values(0).isna()]
    assert dict(zip(whole["breadth"], whole["customers"], strict=True)) == {1: 1, 2: 2}


# -- windows -------------------------------------------------------------------------------------


def test_windows_of_a_known_wait():
    rng = np.random.default_rng(9)
    waits = rng.exponential(40, 20_000).astype(int) + 1
    seen = rng.integers(1, 700, 20_000)
    rows = pd.DataFrame(
        {"order_number": 1, "days": np.minimum(waits, seen), "event": waits <= seen}
    )
    gaps = rows.groupby(["order_number", "days", "event"]).size().rename("n").reset_index()
    parts = gaps.assign(part=0).head(0)
    row = repurchase.next_windows(gaps, parts).iloc[0]
    # Quartiles of an exponential wait cut at a year, which changes them by less than a day.
    assert row["opens"] == pytest.approx(40 * np.log(4 / 3) + 1, abs=2)
    assert row["middle"] == pytest.approx(40 * np.log(2) + 1, abs=2)
    assert row["closes"] == pytest.approx(40 * np.log(4) + 1, abs=3)
    few = repurchase.next_windows(gaps.assign(order_number=9), parts).iloc[-1]
    assert few["again"] > 0 and np.isnan(few["low"]), "without parts nothing is known of it"
    spread = repurchase.gap_distribution(gaps)
    assert spread["share"].iloc[0] == pytest.approx(1 - np.exp(-29 / 40), abs=0.02)
    assert spread["share"].sum() <= 1 + 1e-9
    assert repurchase.gap_distribution(gaps.head(0)).empty


def test_windows_of_many_orders_hold_the_truth_where_customers_differ():
    rng, held, naive = np.random.default_rng(8), [], []
    for _ in range(150):
        again = rng.beta(2, 1, 120)
        comes = rng.random((120, 6)) < again[:, None]
        waits = pd.DataFrame(
            {
                "part": np.repeat(np.arange(120) % 20, 6),
                "days": np.where(comes, rng.integers(1, 60, comes.shape), 400).ravel(),
                "event": comes.ravel(),
            }
        )
        parts = waits.groupby(["part", "days", "event"]).size().rename("n").reset_index()
        parts = parts.assign(order_number=4)
        gaps = parts.groupby(["order_number", "days", "event"])["n"].sum().reset_index()
        row = repurchase.next_windows(gaps, parts).iloc[-1]
        held.append(row["low"] < 2 / 3 < row["high"])
        end = repurchase.survival(gaps).query("days <= 365").iloc[-1]
        naive.append(1 - end["high"] < 2 / 3 < 1 - end["low"])
    assert 0.9 < np.mean(held) <= 1 and np.mean(naive) < 0.85


# -- money and pictures --------------------------------------------------------------------------


def test_a_refund_before_the_first_order_belongs_to_no_cohort(make_shop):
    orders = (
        "order_id,customer_id,ordered_at,revenue,is_refund,refund_of\n"
        "1,anna,2025-01-03,-5,true,99\n2,anna,2025-01-10,20,,\n3,ben,2025-01-12,10,,\n"
    )
    study = open_study(str(make_shop(orders, toml="complete_through = 2025-02-28\n")))
    ages = summaries.load(study, "cohort_ages")
    sums = ages[ages["dimension"] == "all"].groupby("age_unit")["revenue"].sum()
    assert sums.to_dict() == {"month": 30.0, "days30": 30.0, "horizon": 30.0}
    table = cohort_tables.tie_out(
        ages, summaries.load(study, "periods"), summaries.load(study, "outside_cohorts")
    )
    assert table["revenue"].tolist() == [30.0, 30.0, 0.0]
    traits = summaries.load(study, "trait_ages", dimension="channel")
    assert traits.groupby("age_unit")["revenue"].sum().tolist() == [30.0, 30.0]


def test_traits_add_up_to_the_cohorts_and_layers_to_the_months(shop):  # noqa: F811
    _, study = shop
    ages = summaries.load(study, "cohort_ages")
    whole = ages[(ages["dimension"] == "all") & (ages["age_unit"] == "month")]
    keys = ["cohort", "age"]
    for dimension in trait_tables.DIMENSIONS:
        rows = summaries.load(study, "trait_ages", dimension=dimension)
        rows = rows[rows["age_unit"] == "month"]
        sums = rows.groupby(keys)[["revenue", "margin", "orders", "active"]].sum()
        assert (sums - whole.set_index(keys)[sums.columns]).abs().max().max() < 0.005, dimension
        assert rows["value"].nunique() <= 10
    cake = cohort_tables.layer_cake(ages, "revenue")
    months = summaries.load(study, "periods")
    months = months[(months["grain"] == "month") & (months["dimension"] == "all")]
    outside = summaries.load(study, "outside_cohorts")["revenue"].sum()
    assert cake["revenue"].sum() == pytest.approx(months["revenue"].sum() - outside, abs=0.005)


def test_layers_dashes_and_marks_are_drawn():
    cake = pd.DataFrame(
        {"month": pd.date_range("2025-01-01", periods=6, freq="MS").repeat(2),
         "joined": ["2024", "2025"] * 6, "money": [5.0, 0, 4, 3, 3, 6, 3, 8, 2, 9, 2, -1]}
    )  # fmt: skip
    fig = figures.layers(cake, x="month", y="money", layer="joined", fmt=show.count)
    assert len(fig.axes[0].collections) == 2
    assert {text.get_text() for text in fig.axes[0].texts} == {"2024", "2025"}
    assert (
        figures.layers(cake.head(0), x="month", y="money", layer="joined", fmt=show.count) is None
    )
    two = pd.DataFrame({"x": [1, 2, 1, 2], "y": [0.1, 0.2, 0.3, 0.4], "who": list("aabb")})
    drawn = figures.lines(two, x="x", y="y", hue="who", fmt=show.percent, dashes=True)
    styles = {line.get_linestyle() for line in drawn.axes[0].lines if len(line.get_xdata()) == 2}
    assert len(styles) >= 2
    values = pd.DataFrame([[0.4, 0.2], [0.3, np.nan]], index=["a", "b"], columns=[0, 1])
    states = pd.DataFrame([["", ""], ["", "immature"]], index=["a", "b"], columns=[0, 1])
    begun = pd.DataFrame(True, index=["a", "b"], columns=[0, 1])
    heat = figures.triangle(
        values, states, fmt=show.percent, begun=begun, pooled=pd.Series([0.35, 0.2])
    )
    assert sum(bool(patch.get_hatch()) for patch in heat.axes[0].patches) == 1
    words = {text.get_text() for text in heat.axes[0].texts}
    assert {"pooled", "35%", "20%"} <= words or {"pooled", "35.0%", "20.0%"} <= words


# -- who stays, and which channels pay ------------------------------------------------------------


def contracts():
    """Fifty contracts begun in each month of a year; some leave easily, some hardly."""
    rng = np.random.default_rng(8)
    renewed = rng.geometric(rng.beta(0.8, 3, 600))
    lines = ["subscription_id,customer_id,started_at,ended_at"]
    for i, periods in enumerate(renewed):
        start = pd.Timestamp(2024, i // 50 + 1, 10)
        end = start + pd.DateOffset(months=min(int(periods), 99))
        over = end < pd.Timestamp("2025-01-01")
        lines.append(f"s{i},c{i},{start.date()},{end.date() if over else ''}")
    return "\n".join(lines) + "\n"


def test_a_contractual_shop_is_told_from_its_contracts(make_shop):
    orders = sales(ODD["a daily cadence"])
    folder = make_shop(orders, toml='business_model = "contractual"\n', subscriptions=contracts())
    study = open_study(str(folder))
    table, said = staying.staying(study, None)
    assert "is contractual" in said and list(table) == [
        "cohort", "contracts", "12 months", "24 months", "36 months",
    ]  # fmt: skip
    rows = sbg.contract_periods(summaries.load(study, "contract_waits"))
    assert table["contracts"].sum() == rows["n"].sum()
    assert table["cohort"].is_monotonic_decreasing
    assert "renewals" in staying.contracts(study)[1]


def test_a_contractual_shop_needs_contracts(make_shop):
    folder = make_shop(toml='business_model = "contractual"\n')
    with pytest.raises(UsageError, match="there are no contracts"):
        load_shop(str(folder))


def test_channels_are_pooled_with_what_was_seen_and_what_they_cost():
    months = pd.to_datetime(["2025-01-01", "2025-02-01"])
    ahead = pd.DataFrame({
        "cohort": [*months] * 2, "age": [1, 1, 11, 11], "estimate": [20.0, 30, 40, 50],
        "low": [19.0, 28, 35, 45], "high": [21.0, 33, 46, 60],
        "observed": [True, False, False, False],
        "state": ["observed", "projected", "projected", "extrapolated"],
    })  # fmt: skip
    paid = pd.DataFrame({"cost": [300.0, 300], "new_customers": [10, 20]}, index=months)
    sizes = pd.Series([10, 30], months)
    curve = projection_tables._pooled_ahead(ahead, sizes, paid)
    assert curve.loc[2, ["estimate", "low", "high"]].tolist() == [27.5, 26.0, 29.75]
    assert curve.loc[12, ["estimate", "low", "high"]].tolist() == [47.5, 42.5, 56.5]
    assert curve["cac"].tolist() == [20, 20] and curve["past"].tolist() == [False, True]
    words = projection_tables._channel_words(curve, show.count)
    assert words[:2] == [40, 20.0] and words[2].endswith("*") and words[3] == "not observable"
    assert words[-1] == "by day 60 (60 to 60)"
