"""From readout to decision: a card per experiment, and the short summary of it."""

from dataclasses import dataclass
from textwrap import shorten

import numpy as np
import pandas as pd

from helpers import summaries
from helpers.chapters import scorecard, trial_checks, trial_readouts, trial_values
from helpers.chapters.trials import Trial
from helpers.experiments import decisions, design, power
from helpers.experiments.decisions import WITHHELD, Rule
from helpers.experiments.effects import Effect
from helpers.experiments.readout import Metric, read_metrics
from helpers.show import count, is_missing, label, percent, ratio
from helpers.study import Study

RULE = Rule()
PRIOR = "a flat prior: nothing was taken as known before the test"
NEXT = {
    decisions.SHIP: "give it to all of these customers, and keep a hold-out to see it last",
    decisions.STOP: "stop it, and test a bolder change",
    decisions.EXTEND: "go on until the design sheet's number of customers is reached",
    decisions.SEGMENTS: "give it to the segments that gain, and test it again on the others",
    WITHHELD: "mend what the checks found, and assign anew",
}


@dataclass(frozen=True)
class Card:
    """The decision on one treated arm, in money per assigned customer.

    ``margin`` is the effect that decides (adjusted where anything was known before), ``net`` the
    same less what treating a customer cost, fixed cost included; ``reason`` says why there is none.
    """

    experiment: str
    arm: str
    customers: int
    verdict: str
    why: str
    margin: Effect
    net: Effect
    cost: float
    odds: dict[str, float]
    mroi: tuple[tuple[float, float, float], str]
    break_even: dict[str, float]


@dataclass(frozen=True)
class Read:
    """An experiment with everything that was read of it."""

    trial: Trial
    checks: pd.DataFrame
    fault: str
    view: trial_values.Outlook | None
    arms: dict
    covariates: tuple[str, ...]
    cards: tuple[Card, ...]


def read_trial(study: Study, trial: Trial) -> Read:
    """Read one experiment: checks first, then effects and the decision on every treated arm."""
    checks = trial_checks.trust_checks(study, trial)
    fault = trial_checks.fault(checks)
    if fault:
        cards = tuple(_withheld(trial, arm, fault) for arm in trial.treated or [""])
        return Read(trial, checks, fault, None, {}, trial_readouts.COVARIATES, cards)
    view = trial_values.outlook(study, trial)
    arms, covariates = trial_values.scored_arms(study, trial, view)
    metric = Metric("margin", "margin", covariates=covariates)
    found = read_metrics(arms, trial.control, [metric]).set_index("arm")
    cards = tuple(_card(study, trial, view, found.loc[arm], arm) for arm in trial.treated)
    return Read(trial, checks, fault, view, arms, covariates, cards)


def _withheld(trial: Trial, arm: str, fault: str) -> Card:
    none = Effect(*[np.nan] * 5)
    sizes = trial.facts.set_index("arm")["customers"]
    cost = np.nan if arm not in sizes else trial.cost_each(arm)
    customers = int(sizes.get(arm, 0))
    odds = decisions.odds(none)
    empty = ((np.nan,) * 3, fault)
    return Card(
        trial.experiment, arm, customers, WITHHELD, fault, none, none, cost, odds, empty, {}
    )


def _card(study: Study, trial: Trial, view: trial_values.Outlook, row: pd.Series, arm: str) -> Card:
    margin = Effect(*(float(row[f"decisive_{part}"]) for part in Effect._fields))
    customers = int(row["n"])
    cost = trial.cost_each(arm) + trial.fixed_cost(arm) / customers
    net = decisions.less_cost(margin, cost)
    segments, family = trial_values.by_segment(study, trial, view, arm, measure="margin")
    best = segments["low"].max() - cost
    verdict, why = decisions.verdict(
        net,
        RULE,
        segments_differ=family.q_p < 0.05,
        segment_low=best,
        can_extend=_can_grow(study, trial, net),
    )
    if verdict == decisions.SHIP and not is_missing(row["caution"]) and row["caution"]:
        verdict, why = decisions.EXTEND, f"{why}; but {row['caution']}"
    return Card(
        trial.experiment, arm, customers, verdict, why, margin, net, cost, decisions.odds(net),
        decisions.mroi(margin, cost), decisions.break_even(margin, cost, float(row["control"])),
    )  # fmt: skip


def _can_grow(study: Study, trial: Trial, net: Effect) -> bool:
    """Say whether the shop has, or wins in two years, the customers with whom this gain is seen.

    A test sees an effect of 2.8 standard errors four times out of five, and the standard error
    falls with the root of the customers.
    """
    shop = summaries.load(study, "shop_windows")
    if shop.empty or not net.se > 0 or not net.value:
        return False
    near = shop.loc[(shop["window_days"] - trial.window).abs().idxmin()]
    there = near["n"] + near["joined"] / near["window_days"] * design.LONGEST_DAYS
    needed = trial.facts["customers"].sum() * (power.factor() * net.se / net.value) ** 2
    return bool(needed <= there)


def rule_sentence(trial: Trial) -> str:
    """Print the hypothesis, the metric and the rule as they were declared, before any result."""
    about = trial.about
    believed = about["hypothesis"] if isinstance(about["hypothesis"], str) else ""
    rule = about.get("rule") if isinstance(about.get("rule"), str) else ""
    said = f"Hypothesis: {label(believed, 200)}" if believed else "No hypothesis was declared."
    metric = about["metric"] if isinstance(about["metric"], str) else "margin per customer"
    own = f" The experiment's own rule: {label(rule, 200)}." if rule else ""
    return (
        f"**{label(trial.name)}** ({label(trial.experiment)}), read after {count(trial.window)} "
        "days "
        f"on {label(metric.replace('_', ' '))}. {said} Rule: ship when the odds of profit reach "
        f"{percent(RULE.ship_at)}, stop when they fall to {percent(RULE.stop_at)}, go on in "
        f"between.{own}"
    )


def card_table(study: Study, read: Read) -> pd.DataFrame:
    """Write the decision card: a row for each entry, declared first, and a column for each arm.

    Columns: what, then the treated arms. Odds, losses and the worth of testing on (per customer
    treated afterwards) stand under the stated prior; margin per unit spent is missing where
    treating customers cost nothing.
    """
    about = read.trial.about
    metric = about["metric"] if isinstance(about["metric"], str) else "margin per customer"
    believed = about["hypothesis"] if isinstance(about["hypothesis"], str) else "none declared"
    declared = {
        "hypothesis": shorten(believed, 120),
        "read by": f"{metric.replace('_', ' ')}, {count(read.trial.window)} days",
        "rule": f"ship at odds of {percent(RULE.ship_at)}, stop at {percent(RULE.stop_at)}",
    }
    columns = {card.arm: declared | _card_entries(study, card) for card in read.cards}
    return pd.DataFrame(columns).rename_axis("what").reset_index()


def _card_entries(study: Study, card: Card) -> dict[str, str]:
    """Write the result of one arm, per assigned customer."""
    if card.verdict == WITHHELD:
        return {"verdict": f"{card.verdict}: {shorten(card.why, 120)}"}
    (value, low, high), reason = card.mroi
    written = f"{ratio(value)} ({ratio(low)} to {ratio(high)})"
    losses = (study.money(card.odds[f"loss_{what}"], 2) for what in ("ship", "stop"))
    costs = (study.money(x, 2) for x in (card.cost, card.break_even.get("cost")))
    more = decisions.value_of_more(card.net, 2.0)
    within = {
        name: "{} ({} to {})".format(*(study.money(x, 2) for x in effect[:1] + effect[2:4]))
        for name, effect in (("margin", card.margin), ("net gain", card.net))
    }
    return {
        "customers": count(card.customers), "margin over control": within["margin"],
        "cost, and what it may cost": "{}, up to {}".format(*costs),
        "net gain": within["net gain"],
        "odds of profit": percent(card.odds["profit"]),
        "expected loss": "{} shipped, {} stopped".format(*losses),
        "margin per unit spent": shorten(reason, 120) if is_missing(value) else written,
        "testing as many again is worth": study.money(more, 2), "verdict": card.verdict,
    }  # fmt: skip


def summary(study: Study, read: Read) -> str:
    """Write the short summary of an experiment, linked to the core metric, with the next step."""
    parts = []
    for card in read.cards:
        if card.verdict == WITHHELD:
            parts.append(
                f"{label(card.arm or read.trial.name)}: **withheld**, {label(card.why, 300)}"
            )
            continue
        total = [
            study.money(x * card.customers) for x in (card.net.value, card.net.low, card.net.high)
        ]
        parts.append(
            f"{label(card.arm)}: **{card.verdict}**, {card.why}; over its {count(card.customers)} "
            f"customers it earned {total[0]} after all cost ({total[1]} to {total[2]})"
        )
    pulled = (
        []
        if read.fault
        else [trial_readouts.pull_forward(read.trial, a) for a in read.trial.treated]
    )
    if any(found for found, _ in pulled):
        parts.append("Orders were brought forward, so a longer window decides")
    verdicts = [card.verdict for card in read.cards]
    lead = next((v for v in NEXT if v in verdicts), WITHHELD)
    step = "read it when its window is over" if read.fault == trial_checks.OPEN else NEXT[lead]
    return f"{'. '.join(parts)}. {core_sentence(study, read)} Next: {step}. Stands on {PRIOR}."


def core_sentence(study: Study, read: Read) -> str:
    """Say what the best arm would be for the shop's core metric, margin or revenue per day."""
    name = scorecard.core_name(study, summaries.load(study, "periods"))
    sure = [card for card in read.cards if card.verdict == decisions.SHIP]
    if not sure or name != "margin_per_day":
        return f"For the core metric ({label(name.replace('_', ' '))}) nothing is counted on."
    best = max(sure, key=lambda card: card.net.value)
    day = [
        x * best.customers / read.trial.window
        for x in (best.net.value, best.net.low, best.net.high)
    ]
    low, high = study.money(day[1], 2), study.money(day[2], 2)
    return (
        f"For the core metric (margin per day) {label(best.arm)} meant {study.money(day[0], 2)} "
        "a day "
        f"({low} to {high}) while its window ran, with as many customers as the test had."
    )
