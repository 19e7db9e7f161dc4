"""Experiments from files to decision: what is refused or said, and that no number is quietly wrong."""

import pandas as pd
import pytest

from helpers import summaries
from helpers.chapters import (
    all_trials,
    trial_cards,
    trial_checks,
    trial_designs,
    trial_readouts,
    trial_values,
    uplift_clv,
    uplift_tables,
)
from helpers.chapters.trial_costs import numbers_by_name
from helpers.chapters.trials import KINDS, load_trials
from helpers.errors import DataError, UsageError
from helpers.experiments import effects
from helpers.study import open_study

TOML = "opened_at = 2025-12-01\ncomplete_through = 2026-06-30\n[privacy]\nmin_cell = 5"
N = 60


class Bench:
    """One experiment of sixty customers of its own; a case changes what it needs of it."""

    def __init__(self):
        self.orders = [(f"p{n}", f"c{n}", "2026-01-10", 10 + n % 7, 4) for n in range(N)]
        self.orders += [(f"w{n}", f"c{n}", f"2026-02-{5 + n % 20:02d}", 20 + n % 9, 8)
                        for n in range(N) if n % 3 == 0]  # fmt: skip
        self.arms = {f"c{n}": ("control" if n % 2 else "mail", "2026-02-01") for n in range(N)}
        self.again = []  # further assignments: customer, arm, day[, experiment]
        self.factors = {}
        self.touches = []  # customer, moment
        self.consents = []  # customer, state, day
        self.declared = {}
        self.late = set()


def own(name, key):
    """Make ids of a case its own."""
    return f"{name}-{key}"


def written(cases):
    """Write all cases into the files of one shop."""
    files = {
        "orders": ["order_id,customer_id,ordered_at,revenue,cogs,refunded_at,known_at"],
        "assignments": ["experiment_id,customer_id,arm,factors,assigned_at"],
        "touchpoints": ["customer_id,campaign_id,kind,sent_at"],
        "consents": ["customer_id,purpose,state,at"],
    }
    declared = []
    for name, b in cases.items():
        declared.append({"experiment_id": name, "window_days": "30", **b.declared})
        for order, who, day, revenue, cogs in b.orders:
            known = "2026-05-20" if order in b.late else day
            back = day if revenue < 0 else ""
            line = f"{own(name, order)},{own(name, who)},{day},{revenue},{cogs},{back},{known}"
            files["orders"].append(line)
        for who, (arm, day) in b.arms.items():
            files["assignments"].append(
                f"{name},{own(name, who)},{arm},{b.factors.get(arm, '')},{day}"
            )
        for who, arm, day, *other in b.again:
            test = other[0] if other else name
            files["assignments"].append(f"{test},{own(name, who)},{arm},,{day}")
        files["touchpoints"] += [f"{own(name, w)},{name},email,{at}" for w, at in b.touches]
        files["consents"] += [f"{own(name, w)},email_marketing,{s},{d}" for w, s, d in b.consents]
    for test in ("other", "alike"):
        declared.append({"experiment_id": test, "window_days": "30"})
    files["experiments"] = [pd.DataFrame(declared).to_csv(index=False)]
    return {name: "\n".join(lines) + "\n" for name, lines in files.items()}


def no_control(b):
    b.arms = {
        who: ("mail" if arm == "mail" else "other", day) for who, (arm, day) in b.arms.items()
    }


def arm_of_zero(b):
    b.declared["planned_shares"] = "control=1;mail=1;letter=1"


def all_zeros(b):
    b.orders = [row for row in b.orders if row[2] < "2026-02-01"]


def one_arm(b):
    b.arms = {who: ("control", day) for who, (_, day) in b.arms.items()}


def unequal_windows(b):
    b.arms = {who: (arm, "2026-02-01" if arm == "mail" else "2026-02-15")
              for who, (arm, _) in b.arms.items()}  # fmt: skip


def renamed(b):
    b.declared["planned_shares"] = "control=1;mail=1"
    b.arms |= {f"c{n}": ("letter", "2026-02-01") for n in range(0, 20, 2)}


def spelled(b):
    b.arms |= {f"c{n}": ("Mail", "2026-02-01") for n in range(0, 20, 2)}


def pooled(b):
    b.touches = [(f"c{n}", "2026-02-01 10:00:00") for n in range(N) if n % 2 == 0 or n % 5 == 0]


def exposed_early(b):
    b.touches = [(f"c{n}", "2026-01-20 10:00:00") for n in range(0, N, 2)]


def switched(b):
    b.again = [(f"c{n}", "mail" if n % 2 else "control", "2026-02-03") for n in range(10)]


def overlapping(b):
    b.again = [(f"c{n}", "mail", "2026-02-03", "other") for n in range(0, N, 2)]
    b.again += [(f"d{n}", "control", "2026-02-03", "other") for n in range(30)]


def unfair(b):
    b.arms |= {f"x{n}": ("mail", "2026-02-01") for n in range(60)}


def not_over(b):
    b.arms = {who: (arm, "2026-04-10") for who, (arm, _) in b.arms.items()}


def by_hand(b):
    b.declared["randomized"] = "false"


def cost_unknown(b):
    b.orders = [(*row[:4], "" if row[2] > "2026-02" else row[4]) for row in b.orders]


REFUSED = {
    no_control: "no control group",
    arm_of_zero: "nobody was assigned to the arm 'letter'",
    all_zeros: "nobody bought in the window",
    one_arm: "one arm only",
    unequal_windows: "assigned on other days",
    renamed: "was an arm renamed",
    spelled: "written in several ways",
    pooled: "another treatment was pooled into it",
    exposed_early: "before they were assigned",
    switched: "were put in two arms",
    overlapping: "treated in another test at the time, more in one arm",
    unfair: "planned sizes are not recorded",
    not_over: "window is not over",
    by_hand: "not assigned at random",
    cost_unknown: "cost of too much of what customers bought is not known",
}


def fair(b):
    pass


def whale(b):
    b.orders += [("r1", "c1", "2026-02-11", -3, 0), ("whale", "c2", "2026-02-10", 90_000, 100)]


def losing(b):
    b.orders = [(*row[:4], 100) if row[2] > "2026-02" else row for row in b.orders]


def refunded(b):
    b.orders.append(("w0", "c0", "2026-03-25", -20, 0))  # of the order of day 4


def refunds_due(b):
    b.arms = {who: (arm, "2026-04-01") for who, (arm, _) in b.arms.items()}
    b.orders += [(f"s{n}", f"c{n}", "2026-04-05", 9, 1) for n in range(20)]


def late(b):
    b.orders.append(("late", "c2", "2026-02-10", 500, 100))
    b.late = {"late"}


def left(b):
    b.arms |= {f"gone{n}": ("mail" if n % 2 else "control", "2026-02-01") for n in range(20)}


def alike_overlap(b):
    b.again = [(f"c{n}", "mail", "2026-02-03", "alike") for n in range(30)]
    b.again += [(f"c{n}", "control", "2026-02-03", "alike") for n in range(30, N)]


def without_consent(b):
    b.touches = [(f"c{n}", "2026-02-01 10:00:00") for n in range(0, N, 2)]
    b.consents = [(f"c{n}", "granted", "2026-01-01") for n in range(0, N, 2)]
    b.consents += [("c0", "withdrawn", "2026-01-31"), ("c2", "withdrawn", "2026-02-02")]


def two_by_two(b):
    b.arms = {f"c{n}": (["none", "a", "b", "ab"][n % 4], "2026-02-01") for n in range(N)}
    b.factors = {"none": "a=0;b=0", "a": "a=1;b=0", "b": "a=0;b=1", "ab": "a=1;b=1"}
    b.declared = {"control_arm": "none", "kind": "upsell", "arm_costs": "a=0.5;b=0.25;ab=0.75"}


READ = (fair, whale, losing, refunded, refunds_due, late, left, alike_overlap, without_consent,
        two_by_two)  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    cases = {}
    for spoil in (*REFUSED, *READ):
        cases[spoil.__name__] = Bench()
        spoil(cases[spoil.__name__])
    folder = tmp_path_factory.mktemp("trials") / "corner"
    folder.mkdir()
    tables = ""
    for name, text in written(cases).items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
        tables += f'[tables.{name}]\nfiles = "{name}.csv"\n'
    head = f'currency = "EUR"\ntime_zone = "Europe/Berlin"\n{TOML}\n'
    (folder / "shop.toml").write_text(head + tables, encoding="utf-8")
    study = open_study(str(folder), "2026-04")
    trials = load_trials(study)
    reads = {name: trial_cards.read_trial(study, trials[name]) for name in cases}
    return cases, study, reads


def test_a_fair_test_is_read_as_its_orders_add_up(shop):
    cases, study, reads = shop
    read, bench = reads["fair"], cases["fair"]
    assert read.fault == "" and read.cards[0].verdict in ("ship", "stop", "extend")
    rows = trial_readouts.readout(study, read.trial, read.arms, read.covariates)
    margin = rows[rows["metric"] == "margin"].iloc[0]
    by_arm = {"mail": 0.0, "control": 0.0}
    for _, who, day, revenue, cost in bench.orders:
        by_arm[bench.arms[who][0]] += revenue - cost if day > "2026-02" else 0
    assert margin["control"] == pytest.approx(by_arm["control"] / 30)
    assert margin["treated"] == pytest.approx(by_arm["mail"] / 30)


def test_everything_adds_up_to_the_cent(shop):
    _, study, reads = shop
    assert (all_trials.zeros(study, list(reads.values()))["difference"] == 0).all()


@pytest.mark.parametrize(
    ("spoil", "reason"), REFUSED.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_what_cannot_be_read_is_withheld_with_its_reason(shop, spoil, reason):
    _, study, reads = shop
    read = reads[spoil.__name__]
    assert reason in read.fault
    assert all(card.verdict == "withheld" for card in read.cards)
    # On the page: over the result, in the list of what is withheld, and no figure anywhere.
    assert "No effect is shown" in uplift_tables.warned(read)
    assert uplift_tables.withheld([read])["reason"].str.contains(reason, regex=False).all()
    assert uplift_tables.metrics(study, read).empty and uplift_tables.windows(read).empty
    assert uplift_clv.valued(study, read) is None
    assert "withheld" in uplift_clv.summary(study, read)


def test_one_whale_is_said_and_capped_alike_in_all_arms(shop):
    _, study, reads = shop
    read = reads["whale"]
    assert "read the capped figures" in uplift_tables.warned(read)
    table = trial_readouts.estimands(
        trial_readouts.readout(study, read.trial, read.arms, read.covariates)
    ).set_index("read")
    assert (
        table.loc["raw", "value"] > 1000
        and table.loc["capped", "value"] < table.loc["raw", "value"]
    )
    rows = read.trial.moments
    assert (rows["cap_low"].dropna() <= 0).all() and (rows["cap_high"].dropna() >= 0).all()
    assert rows.groupby("window_days")["cap_high"].nunique().max() == 1


def test_negative_margins_have_an_effect_but_no_relative_one(shop):
    _, study, reads = shop
    found = uplift_tables.metrics(study, reads["losing"])
    text = uplift_tables.estimands_sentence(reads["losing"], found)
    assert "No relative effect is given" in text
    assert found.loc[found["metric"] == "margin", "value"].notna().all()


def test_the_decision_card_says_what_was_declared_before_what_was_found(shop):
    _, study, reads = shop
    read = reads["fair"]
    card, [found] = uplift_clv.card(study, read).set_index("what")["mail"], read.cards
    assert list(card.index)[:3] == ["hypothesis", "read by", "rule"] and len(card) <= 12
    assert card["read by"].endswith(f"{read.trial.window} days")
    assert card["verdict"] == found.verdict and card["customers"] == "30"
    assert card["net gain"].startswith(study.money(found.net.value, 2))
    assert card["testing as many again is worth"] != study.money(float("nan"), 2)
    # A campaign without cost has no return on it, and one that is withheld no figure at all.
    assert "cost nothing" in card["margin per unit spent"] or found.cost > 0
    spoilt = next(each for each in reads.values() if each.fault)
    held = uplift_clv.card(study, spoilt).set_index("what")
    assert "withheld" in held.loc["verdict"].iloc[0] and "net gain" not in held.index


def test_refunds_after_the_window_count_on_the_day_of_their_sale(shop):
    _, _, reads = shop
    whole, less = (reads[name].trial.arms()["mail"]["revenue"] for name in ("fair", "refunded"))
    assert less == whole - 20


def test_refunds_that_are_still_to_come_are_said(shop):
    _, _, reads = shop
    assert "of refunds usually come later than that" in uplift_tables.warned(reads["refunds_due"])


def test_late_rows_are_not_seen_before_they_were_known(shop):
    _, _, reads = shop
    one, other = (reads[name].trial.arms()["mail"]["revenue"] for name in ("fair", "late"))
    assert one == other


def test_customers_who_left_count_with_nothing(shop):
    _, _, reads = shop
    arm = reads["left"].trial.arms()["mail"]
    assert (arm["n"], arm["missing"], reads["left"].fault) == (40, 10, "")


def test_another_test_alike_in_all_arms_is_said_but_not_refused(shop):
    _, _, reads = shop
    text = uplift_tables.warned(reads["alike_overlap"])
    assert "treated in another test at the time, alike in all arms" in text
    assert reads["alike_overlap"].cards[0].verdict != "withheld"


def test_consent_is_asked_as_of_the_send_date(shop):
    _, _, reads = shop
    read = reads["without_consent"]
    assert read.trial.facts["without_consent"].sum() == 1
    assert "without a consent at that moment" in trial_checks.warning(read.checks)


def test_two_by_two_cells_are_recognised_and_read(shop):
    _, _, reads = shop
    trial = reads["two_by_two"].trial
    assert trial.cells == {(0, 0): "none", (1, 0): "a", (0, 1): "b", (1, 1): "ab"}
    assert trial.cost_each("ab") == 0.75 and trial.cost_each("none") == 0.0
    table = trial_readouts.cells(trial, trial.arms()).set_index("contrast")
    means = {arm: float(effects.mean(sums, "margin")) for arm, sums in trial.arms().items()}
    inter = means["ab"] - means["a"] - means["b"] + means["none"]
    assert table.loc["interaction of a and b", "value"] == pytest.approx(inter)
    assert "7 to 14 days after a qualifying order" in trial_readouts.kind_sentence(trial, KINDS)


def test_segments_with_few_customers_stand_together(shop):
    _, study, reads = shop
    read = reads["fair"]
    table, _ = trial_values.by_segment(study, read.trial, read.view, "mail", measure="margin")
    assert table["size"].sum() == N and (table["size"] >= 10).all()


def test_an_experiment_that_is_not_there(shop):
    _, study, reads = shop
    with pytest.raises(UsageError, match="no such experiment"):
        uplift_tables.choose(study, {"fair": reads["fair"].trial}, "s")


def test_the_design_sheet_is_of_the_shops_own_windows(shop):
    _, study, _ = shop
    rows = summaries.load(study, "shop_windows").set_index("window_days")
    # By the end of April the last 180 days hold every order, and nobody had ordered before them.
    assert rows.loc[180, "n"] == 0 and rows.loc[180, "joined"] == rows.loc[14, "n"]
    assert trial_designs.verdict_sentence(trial_designs.sheet(study))


def test_a_shop_without_experiments_says_what_it_takes(make_shop):
    study = open_study(str(make_shop(toml="complete_through = 2026-06-30")), "")
    assert load_trials(study) == {}
    assert "No experiment is recorded" in uplift_tables.counts_sentence(study, [])
    assert uplift_tables.of([], "") is None
    assert "No experiment is recorded" in uplift_tables.rule(None)
    # Said once: what follows is silent, and pages leave it out.
    said = (
        uplift_tables.warned(None),
        uplift_tables.look(study, None),
        uplift_clv.summary(study, None),
        uplift_clv.targets_finding(study, None, uplift_clv.targets(study, None, 1)).sentence,
    )
    assert not any(said)
    assert uplift_tables.metrics(study, None).empty
    assert all_trials.zeros(study, [])["difference"].sum() == 0


def test_numbers_by_name_that_are_none():
    with pytest.raises(DataError, match="it must be as control=1;mail=9"):
        numbers_by_name("control=many", "experiments.planned_shares", "control=1;mail=9")
    assert numbers_by_name("control=1; mail=9", "x", "y") == {"control": 1.0, "mail": 9.0}
