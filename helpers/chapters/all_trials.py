"""All experiments together: the portfolio, what it teaches the next one, what has to add up."""

import numpy as np
import pandas as pd

from helpers import summaries
from helpers.chapters import trial_readouts, trial_values
from helpers.chapters.trial_cards import NEXT, Read
from helpers.experiments import effects, pooling, power
from helpers.experiments.decisions import WITHHELD
from helpers.show import count, is_missing
from helpers.study import Study


def portfolio(reads: list[Read]) -> pd.DataFrame:
    """Read all campaigns together: net gain per customer, drawn to their mean by its noise.

    One row per treated arm that may be read: experiment, arm, net, low, high, kept (share of the
    own figure), shrunk, shrunk_low, shrunk_high, verdict. The largest of many is too large, so plan
    with the shrunk figure.
    """
    cards = [card for read in reads for card in read.cards if card.verdict != WITHHELD]
    columns = ["experiment", "arm", "net", "low", "high", "kept", "shrunk", "shrunk_low",
               "shrunk_high", "verdict"]  # fmt: skip
    if not cards:
        return pd.DataFrame(columns=columns)
    drawn = pooling.shrunk([card.net.value for card in cards], [card.net.se for card in cards])
    found = pd.DataFrame(
        {"experiment": [c.experiment for c in cards], "arm": [c.arm for c in cards],
         "net": [c.net.value for c in cards], "low": [c.net.low for c in cards],
         "high": [c.net.high for c in cards], "verdict": [c.verdict for c in cards]}
    )  # fmt: skip
    return found.assign(
        kept=drawn["kept"],
        shrunk=drawn["shrunk"],
        shrunk_low=drawn["low"],
        shrunk_high=drawn["high"],
    )[columns]


def prior_of(table: pd.DataFrame) -> tuple[float, float]:
    """Say what the past teaches of the next campaign: mean and spread of its net gain."""
    ses = (table["high"] - table["low"]) / (2 * 1.96)
    return pooling.prior(table["net"], ses) if len(table) else (np.nan, np.nan)


def portfolio_sentence(study: Study, table: pd.DataFrame) -> str:
    """Say what all campaigns together teach the next one."""
    if table.empty:
        return "No campaign may be read, so the next one starts without anything to go by."
    mean, sd = prior_of(table)
    if is_missing(mean):
        return "Fewer than three campaigns may be read: too few to say what the next will bring."
    low, high = mean - 1.96 * sd, mean + 1.96 * sd
    ses = pooling.heterogeneity(table["net"], (table["high"] - table["low"]) / (2 * 1.96))
    differ = "differ beyond chance" if ses[2] < 0.05 else "do not differ beyond chance"
    return (
        f"The {count(len(table))} arms {differ}; as one family they gained "
        f"{study.money(mean, 2)} per customer, and the next campaign is likely to bring between "
        f"{study.money(low, 2)} and {study.money(high, 2)}. Plan it with that, not with the "
        "best one."
    )


def log(reads: list[Read]) -> list[dict]:
    """Give what later pages need of each arm: effect with interval or the reason, verdict, next.

    One row per arm: experiment_id, arm, effect, low, high (margin per customer over control, before
    the campaign's own cost), reason (empty where the effect may be read), verdict and next.
    """
    return [
        {
            "experiment_id": card.experiment, "arm": card.arm, "effect": card.margin.value,
            "low": card.margin.low, "high": card.margin.high,
            "reason": card.why if card.verdict == WITHHELD else "", "verdict": card.verdict,
            "next": NEXT[card.verdict],
        }
        for read in reads
        for card in read.cards
    ]  # fmt: skip


def forest(reads: list[Read]) -> pd.DataFrame:
    """Give the effect on margin of every arm that may be read, and the smallest it could see."""
    controls = {r.trial.experiment: r.arms[r.trial.control] for r in reads if not r.fault}
    rows = [
        {"experiment": f"{card.experiment}: {card.arm}", "effect": card.margin.value,
         "low": card.margin.low, "high": card.margin.high, "se": card.margin.se,
         "control_margin": float(effects.mean(controls[card.experiment], "margin")),
         "verdict": card.verdict}
        for read in reads
        for card in read.cards
        if card.verdict != WITHHELD
    ]  # fmt: skip
    columns = ["experiment", "effect", "low", "high", "se", "control_margin", "verdict"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(smallest_effect=power.smallest_effect(table["se"]))


def zeros(study: Study, reads: list[Read]) -> pd.DataFrame:
    """Check what has to add up: customers, money to the cent, segments, parts; all zero.

    Without an experiment there is nothing to add up: no row.
    """
    assigned = summaries.load(study, "assigned").set_index("experiment_id")["customers"]
    money = summaries.load(study, "assigned_revenue").set_index("experiment_id")["revenue"]
    gaps = dict.fromkeys(_ZEROS, 0.0)
    for read in reads:
        trial = read.trial
        rows = trial.moments[trial.moments["window_days"] == trial.window]
        gaps["customers"] += abs(assigned[trial.experiment] - rows["assigned"].sum())
        gaps["facts"] += abs(assigned[trial.experiment] - trial.facts["customers"].sum())
        if trial.complete:
            gaps["revenue"] += round(abs(rows["revenue"].sum() - money[trial.experiment]), 2)
        if read.fault:
            continue
        days = summaries.load(study, "experiment_days")
        days = days[(days["experiment_id"] == trial.experiment) & (days["day"] < trial.window)]
        gaps["days"] += round(abs(days["margin"].sum() - rows["margin"].sum()), 2)
        for arm in trial.treated:
            table, _ = trial_values.by_segment(study, trial, read.view, arm, measure="margin")
            whole = (table["size"] * table["value"]).sum()
            gaps["segments"] += abs(whole - table["shrunk_total"].sum())
            gaps["decomposition"] += trial_readouts.parts_gap(trial, read.arms, arm)
    named = [(text, gaps[name]) for name, text in _ZEROS.items()] if reads else []
    return pd.DataFrame(named, columns=["check", "difference"]).round(2)


_ZEROS = {
    "customers": "Assigned customers less customers in the moments",
    "facts": "Assigned customers less customers in the checks",
    "revenue": "Revenue of the arms less orders of assigned customers in the window",
    "days": "Margin of the days less margin of the window",
    "segments": "Segments x sizes less shrunk segments x sizes",
    "decomposition": "Buyers' part and baskets' part less the difference in revenue",
}
