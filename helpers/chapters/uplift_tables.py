"""Frames and sentences of the campaign uplift notebook, also where there is nothing to read.

What customers are worth, whom to pick and what is decided is in `uplift_clv`.
"""

import pandas as pd
from matplotlib.figure import Figure

from helpers import figures, summaries
from helpers.chapters import (
    trial_cards,
    trial_checks,
    trial_readouts,
)
from helpers.chapters.trial_cards import Read
from helpers.chapters.trials import Trial
from helpers.errors import UsageError, nearest
from helpers.experiments import decisions
from helpers.experiments.decisions import WITHHELD
from helpers.show import Finding, count, is_missing
from helpers.study import Study

NEEDED = (
    "No experiment is recorded for this shop. To learn what a campaign earns, draw its customers "
    "at random into an arm that gets it and one that does not, and keep a table assignments "
    "(experiment_id, customer_id, arm, assigned_at) and a table experiments (experiment_id, "
    "window_days, cost_per_customer)."
)
NOTHING = "No experiment is recorded or large enough to be shown, so there is nothing to read here."
NOT_READ = "The checks above withhold this experiment, so nothing of it is shown here."


def choose(study: Study, trials: dict[str, Trial], experiment: str) -> str:
    """Name the experiment to show in full: the one asked for, else the one that ended last.

    Empty where there is none. Raises UsageError for an experiment that is not in the data.
    """
    known = list(trials)
    if experiment and experiment not in known:
        raise UsageError(
            f"experiment is '{experiment}', and no such experiment has assignments by "
            f"{study.end}. Known: {', '.join(known) or 'none'}.{nearest(experiment, known)}"
        )
    over = [name for name, trial in trials.items() if _ended(trial) <= pd.Timestamp(study.end)]
    return experiment or next(iter([*over, *known]), "")


def _ended(trial: Trial) -> pd.Timestamp:
    """Give the day the experiment ended; without one, a day that never comes."""
    ended = trial.about["ended_date"]
    return pd.Timestamp.max if is_missing(ended) else pd.Timestamp(ended)


def more_pages(study: Study, trials: dict[str, Trial], shown: str) -> list[dict[str, str]]:
    """Name the other experiments that ended in the month: each gets a page of its own."""
    start, end = pd.Timestamp(study.start), pd.Timestamp(study.end)
    inside = [name for name, trial in trials.items() if start <= _ended(trial) <= end]
    return [{"experiment": name} for name in sorted(inside) if name != shown]


def of(reads: list[Read], experiment: str) -> Read | None:
    """Give what was read of one experiment; None where there is none."""
    return next((read for read in reads if read.trial.experiment == experiment), None)


def needed(study: Study) -> str:
    """Say what a shop without readable experiments would need."""
    assigned = summaries.load(study, "assigned")
    if assigned.empty:
        return NEEDED
    if not study.has("experiments"):
        return (
            f"Customers are assigned to {count(len(assigned))} experiments, but no table "
            "experiments (experiment_id, window_days, control_arm, cost_per_customer) declares "
            "them, so nothing can be read."
        )
    return "No declared experiment has arms large enough to be shown."


# -- all experiments -------------------------------------------------------------------------------


def counts_sentence(study: Study, reads: list[Read]) -> str:
    """Say how many experiments there are and how they were decided."""
    if not reads:
        return needed(study)
    verdicts = pd.Series([card.verdict for read in reads for card in read.cards])
    tally = ", ".join(
        f"{count(n)} {name}" for name, n in verdicts.value_counts().sort_index().items()
    )
    text = f"{count(len(reads))} experiments with {count(len(verdicts))} treated arms: {tally}."
    lost = set(summaries.load(study, "assigned")["experiment_id"]) - {
        r.trial.experiment for r in reads
    }
    if lost:
        text += (
            f" {count(len(lost))} more have customers but are not shown: not declared in the table "
            "experiments, or with an arm too small to be shown."
        )
    return text


def totals(reads: list[Read]) -> dict[str, int]:
    """Count experiments, treated arms that may be read, and decisions."""
    cards = [card for read in reads for card in read.cards]
    return {
        "experiments": len(reads),
        "read": sum(card.verdict != WITHHELD for card in cards),
        "ship": sum(card.verdict in (decisions.SHIP, decisions.SEGMENTS) for card in cards),
        "unseen": sum(card.margin.low <= 0 <= card.margin.high for card in cards),
        "withheld": sum(card.verdict == WITHHELD for card in cards),
    }


def sizes(reads: list[Read]) -> pd.DataFrame:
    """Give per experiment and treated arm: customers, design, checks with a doubt, verdict."""
    columns = ["experiment", "arm", "customers", "control", "design", "doubts", "verdict"]
    rows = []
    for read in reads:
        known = read.trial.facts.set_index("arm")["customers"]
        doubts = int((read.checks["verdict"] == trial_checks.LOOK).sum())
        rows += [
            (read.trial.experiment, card.arm, card.customers, known.get(read.trial.control, 0),
             read.trial.design, doubts, card.verdict)
            for card in read.cards
        ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def withheld(reads: list[Read]) -> pd.DataFrame:
    """List the arms whose effect is not shown, with the reason."""
    rows = [
        (card.experiment, card.arm, card.why)
        for read in reads
        for card in read.cards
        if card.verdict == WITHHELD
    ]
    return pd.DataFrame(rows, columns=["experiment", "arm", "reason"])


# -- the one in full -------------------------------------------------------------------------------


def readable(read: Read | None) -> bool:
    """Whether there is an experiment, and its checks let it be read."""
    return read is not None and not read.fault


def not_read_text(read: Read | None) -> str:
    """Say why nothing is read of an experiment; that there is none is said once, by `rule`."""
    return "" if read is None else NOT_READ


def checks_table(read: Read | None) -> pd.DataFrame:
    """Give the checks of the experiment shown in full, those with a doubt first."""
    if read is None:
        return pd.DataFrame(columns=trial_checks.COLUMNS)
    first = read.checks["verdict"].map({trial_checks.FAILED: 0, trial_checks.LOOK: 1}).fillna(2)
    return read.checks.iloc[first.argsort(kind="stable")].reset_index(drop=True)


def rule(read: Read | None) -> str:
    """Print hypothesis, metric and rule, before any result."""
    return NOTHING if read is None else trial_cards.rule_sentence(read.trial)


def warned(read: Read | None) -> str:
    """Print what the checks found over the result."""
    return "" if read is None else trial_checks.warning(read.checks)


def metrics(study: Study, read: Read | None) -> pd.DataFrame:
    """Read all metrics of the experiment; no rows where it is withheld."""
    if not readable(read):
        return trial_readouts.nothing()
    return trial_readouts.readout(study, read.trial, read.arms, read.covariates)


def estimands_sentence(read: Read | None, found: pd.DataFrame) -> str:
    """Say what adjusting and capping do to the effect."""
    if not readable(read):
        return not_read_text(read)
    return trial_readouts.estimands_sentence(found, read.covariates)


def days_finding(study: Study, read: Read | None, table: pd.DataFrame) -> Finding:
    """Say how the effect went from day to day."""
    if not readable(read):
        return Finding("", "", not_read_text(read))
    return trial_readouts.curve_finding(study, read.trial, table)


def parts(study: Study, read: Read | None) -> str:
    """Say whether revenue came from more buyers or larger baskets."""
    if not readable(read):
        return not_read_text(read)
    return trial_readouts.parts_sentence(study, read.trial, read.arms)


def days(study: Study, read: Read | None) -> pd.DataFrame:
    """Follow the effect day by day; no rows where it is withheld."""
    empty = pd.DataFrame(columns=["arm", "day", "value", "low", "high"])
    return trial_readouts.curve(study, read.trial) if readable(read) else empty


def days_figure(table: pd.DataFrame, money) -> Figure | None:
    """Draw the effect day by day, or nothing."""
    if table.empty or table["value"].isna().all():
        return None
    return figures.lines(table, x="day", y="value", hue="arm", low="low", high="high", fmt=money)


def windows(read: Read | None) -> pd.DataFrame:
    """Give the effect by window; no rows where it is withheld."""
    if not readable(read):
        return pd.DataFrame(columns=["arm", "window_days", "value", "low", "high"])
    return trial_readouts.by_window(read.trial)


def look(study: Study, read: Read | None) -> str:
    """Give the reading that holds at every look, also while the window is open."""
    if read is None:
        return ""
    failed = read.checks[read.checks["verdict"] == trial_checks.FAILED]["check"]
    if set(failed) - {"window over"}:
        return NOT_READ
    return trial_readouts.look_sentence(study, read.trial)


def guards(study: Study, read: Read | None) -> pd.DataFrame:
    """Read the guardrails; no rows where the experiment is withheld."""
    if not readable(read):
        return pd.DataFrame(columns=["guardrail", "arm", "more", "bearable", "verdict"])
    return trial_readouts.guards(study, read.trial, read.arms)


def cells(read: Read | None) -> pd.DataFrame:
    """Read two changes at a time; no rows where the design is another."""
    if not readable(read):
        return pd.DataFrame(columns=["contrast", "value", "low", "high", "smallest_effect"])
    return trial_readouts.cells(read.trial, read.arms)


def cells_sentence(study: Study, read: Read | None, found: pd.DataFrame) -> str:
    """Say whether two changes help each other."""
    return "" if read is None else trial_readouts.cells_sentence(study, found)


def kind(read: Read | None, kinds: dict) -> str:
    """Say what kind of campaign it was and what it is read by."""
    return "" if read is None else trial_readouts.kind_sentence(read.trial, kinds)
