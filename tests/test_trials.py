"""Experiments from files to decision: what is refused or said, and that no number is quietly wrong."""

import pandas as pd
import pytest

from helpers import summaries
from helpers.chapters import (
    trial_cards,
    trial_checks,
    trial_designs,
    trial_readouts,
    trial_values,
    uplift_tables,
)
from helpers.chapters.trials import KINDS, load_trials, pairs
from helpers.errors import DataError, UsageError
from helpers.experiments import effects
from helpers.study import open_study

TOML = "opened_at = 2025-12-01\ncomplete_through = 2026-06-30\n[privacy]\nmin_cell = 5"
N = 60


class Bench:
    """The files of a shop with one experiment; change what a case needs, then read it."""

    def __init__(self):
        self.orders = [(f"p{n}", f"c{n}", "2026-01-10", 10 + n % 7, 4) for n in range(N)]
        self.orders += [(f"w{n}", f"c{n}", f"2026-02-{5 + n % 20:02d}", 20 + n % 9, 8)
                        for n in range(N) if n % 3 == 0]  # fmt: skip
        self.arms = {f"c{n}": ("control" if n % 2 else "mail", "2026-02-01") for n in range(N)}
        self.assigned = []
        self.experiment = {"experiment_id": "t", "window_days": "30"}
        self.files = {}
        self.month = "2026-04"

    def read(self, make_shop):
        text = "order_id,customer_id,ordered_at,revenue,cogs\n"
        text += "".join(",".join(map(str, row)) + "\n" for row in self.orders)
        rows = [f"t,{who},{arm},{day}" for who, (arm, day) in self.arms.items()] + self.assigned
        declared = pd.DataFrame([self.experiment]).to_csv(index=False)
        if "experiments" in self.files:
            declared += self.files.pop("experiments")
        folder = make_shop(
            text, toml=TOML, experiments=declared,
            assignments="experiment_id,customer_id,arm,assigned_at\n" + "\n".join(rows) + "\n",
            **self.files,
        )  # fmt: skip
        study = open_study(str(folder), self.month)
        return study, trial_cards.read_trial(study, load_trials(study)["t"])


@pytest.fixture
def bench():
    return Bench()


def test_a_fair_test_is_read_and_adds_up(bench, make_shop):
    study, read = bench.read(make_shop)
    assert read.fault == "" and read.cards[0].verdict in ("ship", "stop", "extend")
    assert (trial_cards.zeros(study, [read])["difference"] == 0).all()
    rows = trial_readouts.readout(study, read.trial, read.arms, read.covariates)
    margin = rows[rows["metric"] == "margin"].iloc[0]
    bought = [
        (who, revenue - cost) for _, who, day, revenue, cost in bench.orders if day > "2026-02"
    ]
    by_arm = {"mail": 0.0, "control": 0.0}
    for who, amount in bought:
        by_arm[bench.arms[who][0]] += amount
    assert margin["control"] == pytest.approx(by_arm["control"] / 30)
    assert margin["treated"] == pytest.approx(by_arm["mail"] / 30)


def no_control(b):
    b.arms = {
        who: ("mail" if arm == "mail" else "other", day) for who, (arm, day) in b.arms.items()
    }


def arm_of_zero(b):
    b.experiment["planned_shares"] = "control=1;mail=1;letter=1"


def all_zeros(b):
    b.orders = [row for row in b.orders if row[2] < "2026-02-01"]


def one_arm(b):
    b.arms = {who: ("control", day) for who, (_, day) in b.arms.items()}


def unequal_windows(b):
    b.arms = {who: (arm, "2026-02-01" if arm == "mail" else "2026-02-15")
              for who, (arm, _) in b.arms.items()}  # fmt: skip


def renamed(b):
    b.experiment["planned_shares"] = "control=1;letter=1"
    b.arms |= {f"c{n}": ("letter", "2026-02-01") for n in range(0, 20, 2)}


def spelled(b):
    b.arms |= {f"c{n}": ("Mail", "2026-02-01") for n in range(0, 20, 2)}


def pooled(b):
    rows = [f"c{n},t,email,2026-02-01 10:00:00" for n in range(N) if n % 2 == 0 or n % 5 == 0]
    b.files["touchpoints"] = "customer_id,campaign_id,kind,sent_at\n" + "\n".join(rows) + "\n"


def exposed_early(b):
    rows = [f"c{n},t,email,2026-01-20 10:00:00" for n in range(0, N, 2)]
    b.files["touchpoints"] = "customer_id,campaign_id,kind,sent_at\n" + "\n".join(rows) + "\n"


def switched(b):
    b.assigned = [f"t,c{n},{'mail' if n % 2 else 'control'},2026-02-03" for n in range(10)]


def overlapping(b):
    b.files["experiments"] = "u,30\n"
    b.assigned = [f"u,c{n},mail,2026-02-03" for n in range(0, N, 2)]
    b.assigned += [f"u,d{n},control,2026-02-03" for n in range(30)]


def unfair(b):
    b.arms |= {f"x{n}": ("mail", "2026-02-01") for n in range(60)}


def not_over(b):
    b.month = "2026-02"


def by_hand(b):
    b.experiment["randomized"] = "false"


def cost_unknown(b):
    b.orders = [(*row[:4], "" if row[2] > "2026-02" else row[4]) for row in b.orders]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (no_control, "no control group"),
        (arm_of_zero, "nobody was assigned to the arm 'letter'"),
        (all_zeros, "nobody bought in the window"),
        (one_arm, "one arm only"),
        (unequal_windows, "assigned on other days"),
        (renamed, "was an arm renamed"),
        (spelled, "written in several ways"),
        (pooled, "another treatment was pooled into it"),
        (exposed_early, "before they were assigned"),
        (switched, "were put in two arms"),
        (overlapping, "treated in another test at the time, more in one arm"),
        (unfair, "planned sizes are not recorded"),
        (not_over, "window is not over"),
        (by_hand, "not assigned at random"),
        (cost_unknown, "cost of too much of what customers bought is not known"),
    ],
)
def test_what_cannot_be_read_is_withheld_with_its_reason(bench, make_shop, spoil, reason):
    spoil(bench)
    study, read = bench.read(make_shop)
    assert reason in read.fault
    assert all(card.verdict == "withheld" for card in read.cards)
    # On the page: over the result, in the list of what is withheld, and no figure anywhere.
    assert "No effect is shown" in uplift_tables.warned(study, read)
    assert uplift_tables.withheld([read])["reason"].str.contains(reason, regex=False).all()
    assert uplift_tables.metrics(study, read).empty and uplift_tables.windows(read).empty
    assert uplift_tables.valued(study, read) is None
    assert "withheld" in uplift_tables.summary(study, read)


def test_one_whale_is_said_and_capped(bench, make_shop):
    bench.orders.append(("whale", "c2", "2026-02-10", 90_000, 100))
    study, read = bench.read(make_shop)
    assert "read the capped figures" in uplift_tables.warned(study, read)
    table = trial_readouts.estimands(
        study, trial_readouts.readout(study, read.trial, read.arms, read.covariates)
    ).set_index("read")
    assert table.loc["raw", "value"] > 1000 and abs(table.loc["capped", "value"]) < 1000


def test_caps_are_the_same_in_all_arms_and_never_cross_zero(bench, make_shop):
    bench.orders += [("r1", "c1", "2026-02-11", -3, 0), ("whale", "c2", "2026-02-10", 900, 100)]
    _, read = bench.read(make_shop)
    rows = read.trial.moments
    assert (rows["cap_low"].dropna() <= 0).all() and (rows["cap_high"].dropna() >= 0).all()
    assert rows.groupby("window_days")["cap_high"].nunique().max() == 1
    assert (rows["margin_capped_squares"] <= rows["margin_squares"] + 1e-9).all()


def test_negative_margins_have_an_effect_but_no_relative_one(bench, make_shop):
    bench.orders = [(*row[:4], 100) if row[2] > "2026-02" else row for row in bench.orders]
    study, read = bench.read(make_shop)
    found = uplift_tables.metrics(study, read)
    assert "No relative effect is given" in uplift_tables.estimands_sentence(study, read, found)
    assert found.loc[found["metric"] == "margin", "value"].notna().all()


def test_refunds_after_the_window_count_on_the_day_of_their_sale(bench, make_shop):
    _, before = bench.read(make_shop)
    bench.orders.append(("w0", "c0", "2026-03-25", -20, 0))  # c0 bought on day 4, order w0
    study, after = bench.read(make_shop)
    arms = [read.trial.arms()["mail"]["revenue"] for read in (before, after)]
    assert arms[1] == arms[0] - 20
    assert (trial_cards.zeros(study, [after])["difference"] == 0).all()


def test_refunds_that_are_still_to_come_are_said(bench, make_shop):
    bench.orders.append(("w0", "c0", "2026-03-25", -20, 0))
    bench.experiment["window_days"] = "55"
    bench.month = "2026-03"
    study, read = bench.read(make_shop)
    assert "of refunds usually come later than that" in uplift_tables.warned(study, read)


def test_late_rows_are_not_seen_before_they_were_known(bench, make_shop):
    _, whole = bench.read(make_shop)
    text = "order_id,customer_id,ordered_at,revenue,cogs,known_at\n"
    text += "".join(",".join(map(str, (*row, row[2]))) + "\n" for row in bench.orders)
    text += "late,c2,2026-02-10,500,100,2026-05-20\n"
    rows = "".join(f"t,{who},{arm},{day}\n" for who, (arm, day) in bench.arms.items())
    folder = make_shop(
        text, toml=TOML, experiments="experiment_id,window_days\nt,30\n",
        assignments="experiment_id,customer_id,arm,assigned_at\n" + rows,
    )  # fmt: skip
    seen = {month: load_trials(open_study(str(folder), month))["t"].arms()["mail"]["revenue"]
            for month in ("2026-04", "2026-05")}  # fmt: skip
    assert seen["2026-04"] == whole.trial.arms()["mail"]["revenue"]
    assert seen["2026-05"] == seen["2026-04"] + 500


def test_customers_who_left_count_with_nothing(bench, make_shop):
    bench.arms |= {f"gone{n}": ("mail" if n % 2 else "control", "2026-02-01") for n in range(20)}
    _, read = bench.read(make_shop)
    assert read.trial.arms()["mail"]["n"] == 40 and read.trial.arms()["mail"]["missing"] == 10
    assert read.fault == ""


def test_another_test_alike_in_all_arms_is_said_but_not_refused(bench, make_shop):
    bench.files["experiments"] = "u,30\n"
    bench.assigned = [f"u,c{n},mail,2026-02-03" for n in range(30)]
    bench.assigned += [f"u,c{n},control,2026-02-03" for n in range(30, N)]
    study, read = bench.read(make_shop)
    assert "treated in another test at the time, alike in all arms" in uplift_tables.warned(
        study, read
    )
    assert read.cards[0].verdict != "withheld"


def test_consent_is_asked_as_of_the_send_date(bench, make_shop):
    rows = [f"c{n},t,email,2026-02-01 10:00:00" for n in range(0, N, 2)]
    bench.files["touchpoints"] = "customer_id,campaign_id,kind,sent_at\n" + "\n".join(rows) + "\n"
    consents = [f"c{n},email_marketing,granted,2026-01-01" for n in range(0, N, 2)]
    consents += [
        "c0,email_marketing,withdrawn,2026-01-31",
        "c2,email_marketing,withdrawn,2026-02-02",
    ]
    bench.files["consents"] = "customer_id,purpose,state,at\n" + "\n".join(consents) + "\n"
    _, read = bench.read(make_shop)
    assert read.trial.facts["without_consent"].sum() == 1
    assert "without a consent at that moment" in trial_checks.warning(read.checks)


def test_two_by_two_cells_are_recognised_and_read(bench, make_shop):
    bench.arms = {f"c{n}": (["none", "a", "b", "ab"][n % 4], "2026-02-01") for n in range(N)}
    levels = {"none": "a=0;b=0", "a": "a=1;b=0", "b": "a=0;b=1", "ab": "a=1;b=1"}
    rows = "".join(f"t,{w},{arm},{day},{levels[arm]}\n" for w, (arm, day) in bench.arms.items())
    text = "order_id,customer_id,ordered_at,revenue,cogs\n"
    text += "".join(",".join(map(str, row)) + "\n" for row in bench.orders)
    folder = make_shop(
        text, toml=TOML, experiments="experiment_id,window_days,control_arm,kind,arm_costs\n"
        "t,30,none,upsell,a=0.5;b=0.25;ab=0.75\n",
        assignments="experiment_id,customer_id,arm,assigned_at,factors\n" + rows,
    )  # fmt: skip
    trial = load_trials(open_study(str(folder), "2026-04"))["t"]
    assert trial.cells == {(0, 0): "none", (1, 0): "a", (0, 1): "b", (1, 1): "ab"}
    assert trial.cost_each("ab") == 0.75 and trial.cost_each("none") == 0.0
    table = trial_readouts.cells(trial, trial.arms()).set_index("contrast")
    means = {arm: float(effects.mean(sums, "margin")) for arm, sums in trial.arms().items()}
    inter = means["ab"] - means["a"] - means["b"] + means["none"]
    assert table.loc["interaction of a and b", "value"] == pytest.approx(inter)
    assert "7 to 14 days after a qualifying order" in trial_readouts.kind_sentence(trial, KINDS)


def test_segments_with_few_customers_stand_together(bench, make_shop):
    study, read = bench.read(make_shop)
    table, _ = trial_values.by_segment(study, read.trial, read.view, "mail", measure="margin")
    assert table["size"].sum() == N and (table["size"] >= 10).all()


def test_a_shop_without_experiments_says_what_it_takes(make_shop):
    study = open_study(str(make_shop(toml="complete_through = 2026-06-30")), "")
    assert load_trials(study) == {}
    assert "No experiment is recorded" in uplift_tables.counts_sentence(study, [])
    assert uplift_tables.of([], "") is None
    for say in (
        uplift_tables.rule,
        uplift_tables.warned,
        uplift_tables.look,
        uplift_tables.summary,
    ):
        assert "No experiment is recorded" in say(study, None)
    assert uplift_tables.metrics(study, None).empty
    assert trial_cards.zeros(study, [])["difference"].sum() == 0


def test_a_name_that_is_not_there_and_numbers_that_are_none():
    with pytest.raises(DataError, match="it must be as control=1;mail=9"):
        pairs("control=many", "experiments.planned_shares", "control=1;mail=9")
    assert pairs("control=1; mail=9", "x", "y") == {"control": 1.0, "mail": 9.0}


def test_an_experiment_that_is_not_there(bench, make_shop):
    study, read = bench.read(make_shop)
    with pytest.raises(UsageError, match="no such experiment"):
        uplift_tables.choose(study, {"t": read.trial}, "s")


def test_the_design_sheet_is_of_the_shops_own_windows(bench, make_shop):
    study, _ = bench.read(make_shop)
    rows = summaries.load(study, "shop_windows").set_index("window_days")
    # By the end of April the last 180 days hold every order, and nobody had ordered before them.
    assert rows.loc[180, "n"] == 0 and rows.loc[180, "joined"] == N
    assert rows.loc[60, "n"] == N and rows.loc[60, "orders"] == 0
    assert trial_designs.verdict_sentence(study, trial_designs.sheet(study))
