"""Frames and sentences of the campaign uplift notebook, also where there is nothing to read."""

import pandas as pd
from matplotlib.figure import Figure

from helpers import figures, summaries
from helpers.chapters import (
    trial_cards,
    trial_checks,
    trial_designs,
    trial_readouts,
    trial_targets,
    trial_values,
)
from helpers.chapters.trial_cards import WITHHELD, Read
from helpers.chapters.trial_targets import Observed, Targeting
from helpers.chapters.trial_values import Outlook
from helpers.chapters.trials import Trial
from helpers.errors import UsageError, nearest
from helpers.experiments import decisions
from helpers.experiments.pooling import Pooled
from helpers.measures.cac import TEST_HIGH, TEST_LOW
from helpers.show import Finding, count, is_missing, label, percent, ratio
from helpers.study import Study

NEEDED = (
    "No experiment is recorded for this shop. To learn what a campaign earns, draw its customers "
    "at random into an arm that gets it and one that does not, and keep a table assignments "
    "(experiment_id, customer_id, arm, assigned_at) and a table experiments (experiment_id, "
    "window_days, cost_per_customer)."
)
WITHOUT = (
    "Every campaign here was drawn by chance, so none has to be read by comparing customers who "
    "happened to get it with those who did not."
)
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


def _readable(read: Read | None) -> bool:
    return read is not None and not read.fault


def _text(study: Study, read: Read | None) -> str:
    """Say why there is nothing to read."""
    return needed(study) if read is None else NOT_READ


def checks_table(read: Read | None) -> pd.DataFrame:
    """Give the checks of the experiment shown in full, those with a doubt first."""
    if read is None:
        return pd.DataFrame(columns=trial_checks.COLUMNS)
    first = read.checks["verdict"].map({trial_checks.FAILED: 0, trial_checks.LOOK: 1}).fillna(2)
    return read.checks.iloc[first.argsort(kind="stable")].reset_index(drop=True)


def rule(study: Study, read: Read | None) -> str:
    """Print hypothesis, metric and rule, before any result."""
    return needed(study) if read is None else trial_cards.rule_sentence(study, read.trial)


def warned(study: Study, read: Read | None) -> str:
    """Print what the checks found over the result."""
    return needed(study) if read is None else trial_checks.warning(read.checks)


def metrics(study: Study, read: Read | None) -> pd.DataFrame:
    """Read all metrics of the experiment; no rows where it is withheld."""
    if not _readable(read):
        return trial_readouts.nothing()
    return trial_readouts.readout(study, read.trial, read.arms, read.covariates)


def estimands_sentence(study: Study, read: Read | None, found: pd.DataFrame) -> str:
    """Say what adjusting and capping do to the effect."""
    if not _readable(read):
        return _text(study, read)
    return trial_readouts.estimands_sentence(found, read.covariates)


def days_finding(study: Study, read: Read | None, table: pd.DataFrame) -> Finding:
    """Say how the effect went from day to day."""
    if not _readable(read):
        return Finding("", "", _text(study, read))
    return trial_readouts.curve_finding(study, read.trial, table)


def parts(study: Study, read: Read | None) -> str:
    """Say whether revenue came from more buyers or larger baskets."""
    if not _readable(read):
        return _text(study, read)
    return trial_readouts.parts_sentence(study, read.trial, read.arms)


def days(study: Study, read: Read | None) -> pd.DataFrame:
    """Follow the effect day by day; no rows where it is withheld."""
    empty = pd.DataFrame(columns=["arm", "day", "value", "low", "high"])
    return trial_readouts.curve(study, read.trial) if _readable(read) else empty


def days_figure(table: pd.DataFrame, money) -> Figure | None:
    """Draw the effect day by day, or nothing."""
    if table.empty or table["value"].isna().all():
        return None
    return figures.lines(table, x="day", y="value", hue="arm", low="low", high="high", fmt=money)


def windows(read: Read | None) -> pd.DataFrame:
    """Give the effect by window; no rows where it is withheld."""
    if not _readable(read):
        return pd.DataFrame(columns=["arm", "window_days", "value", "low", "high"])
    return trial_readouts.by_window(read.trial)


def look(study: Study, read: Read | None) -> str:
    """Give the reading that holds at every look, also while the window is open."""
    if read is None:
        return needed(study)
    failed = read.checks[read.checks["verdict"] == trial_checks.FAILED]["check"]
    if set(failed) - {"window over"}:
        return NOT_READ
    return trial_readouts.look_sentence(study, read.trial)


def guards(study: Study, read: Read | None) -> pd.DataFrame:
    """Read the guardrails; no rows where the experiment is withheld."""
    if not _readable(read):
        return pd.DataFrame(columns=["guardrail", "arm", "more", "bearable", "verdict"])
    return trial_readouts.guards(study, read.trial, read.arms)


def cells(read: Read | None) -> pd.DataFrame:
    """Read two changes at a time; no rows where the design is another."""
    if not _readable(read):
        return pd.DataFrame(columns=["contrast"])
    return trial_readouts.cells(read.trial, read.arms)


def kind(read: Read | None, kinds: dict) -> str:
    """Say what kind of campaign it was and what it is read by."""
    if read is None:
        return "There is no experiment, so there is no kind of one."
    return trial_readouts.kind_sentence(read.trial, kinds)


# -- value, segments, picking ----------------------------------------------------------------------


def valued(study: Study, read: Read | None) -> Outlook | None:
    """Value the customers at the window's end, where a model can."""
    if not _readable(read):
        return None
    return trial_values.with_lifetime(study, read.trial, read.view)


def lines(read: Read | None, view: Outlook | None) -> pd.DataFrame:
    """Give the lines of incremental CLV; no rows where the experiment is withheld."""
    columns = ["arm", "line", "window", "residual", "value", "low", "high"]
    if view is None:
        return pd.DataFrame(columns=columns)
    return trial_values.lines(read.trial, view)[columns]


def value_sentence(
    study: Study, read: Read | None, view: Outlook | None, table: pd.DataFrame
) -> str:
    """Say how far the lines lie apart, and that the model's is a surrogate."""
    if view is None:
        return _text(study, read)
    if view.lifetime is None:
        why = label(view.reason, 200)
        return f"Only the window is read, for no model can value these customers: {why}"
    texts = []
    for arm, rows in table.groupby("arm"):
        named = rows.set_index("line")["value"]
        texts.append(
            f"{label(arm)}: between {study.money(named.min(), 2)} and "
            f"{study.money(named.max(), 2)} "
            f"({' and '.join(label(name) for name in (named.idxmin(), named.idxmax()))})"
        )
    return f"{'; '.join(texts)}. {trial_values.SURROGATE}"


def segments(
    study: Study, read: Read | None, view: Outlook | None
) -> tuple[pd.DataFrame, Pooled | None]:
    """Give the effect by segment of the arm with the largest effect, and whether they differ."""
    columns = ["segment", "size", "value", "shrunk", "low", "high", "shrunk_total"]
    if view is None or not read.trial.treated:
        return pd.DataFrame(columns=columns), None
    arm = max(read.cards, key=lambda card: card.net.value).arm
    table, family = trial_values.by_segment(study, read.trial, view, arm)
    return table[columns], family


def segments_sentence(family: Pooled | None) -> str:
    """Say whether segments differ beyond chance."""
    if family is None:
        return "No experiment is read here, so no segments are."
    if is_missing(family.q_p):
        return "There is one segment only, so there is nothing to compare."
    differ = "differ beyond chance" if family.q_p < 0.05 else "do not differ beyond chance"
    return (
        f"Segments {differ} (Cochran's Q, p {ratio(family.q_p)}). The column shrunk is what to "
        "plan "
        "with: each segment drawn to the mean as far as noise explains its distance."
    )


def targets(study: Study, read: Read | None, seed: int) -> Targeting:
    """Look for customers who react differently in the arm with the largest effect."""
    empty = pd.DataFrame()
    if not _readable(read):
        return Targeting(_text(study, read), empty, empty, empty, empty)
    arm = max(read.cards, key=lambda card: card.net.value).arm
    return trial_targets.target(study, read.trial, arm, seed=seed)


def targets_figure(found: Targeting, money) -> Figure | None:
    """Draw gain against the share treated, or nothing where picking is refused."""
    if found.reason:
        return None
    return figures.lines(
        found.curve, x="share", y="gain", hue="way", low="low", high="high", fmt=money
    )


# -- nobody drew lots ------------------------------------------------------------------------------


def observed(study: Study, trials: dict[str, Trial], chosen: str, seed: int) -> Observed | None:
    """Compare the customers of the last campaign that was not drawn by chance, if there is one."""
    open_ones = [trial for trial in trials.values() if not trial.randomized]
    own = [trial for trial in open_ones if trial.experiment == chosen]
    trial = next(iter([*own, *open_ones]), None)
    return None if trial is None else trial_targets.observed(study, trial, seed=seed)


def observed_sentence(study: Study, view: Observed | None) -> str:
    """Say what may be said of a campaign that was not drawn by chance."""
    if view is None:
        return WITHOUT if study.has("experiments") else NEEDED
    text = trial_targets.observed_sentence(study, view, summaries.load(study, "mails"))
    return f"{label(view.trial.name)}: {text}"


def observed_table(study: Study, view: Observed | None) -> pd.DataFrame:
    """Give naive, adjusted and placebo figures; no rows where there is no such campaign."""
    if view is None:
        return pd.DataFrame(columns=["figure", "value", "low", "high"])
    return trial_targets.observed_table(study, view)


# -- decisions -------------------------------------------------------------------------------------


def card(study: Study, read: Read | None) -> pd.DataFrame:
    """Give the decision card of the experiment shown in full."""
    if read is None:
        return pd.DataFrame(columns=["arm", "net gain", "verdict"])
    return trial_cards.card_table(study, read)


def summary(study: Study, read: Read | None) -> str:
    """Write the short summary with the next step."""
    return needed(study) if read is None else trial_cards.summary(study, read)


def next_sentence(study: Study, portfolio: pd.DataFrame) -> str:
    """Say what a hold-out takes and how much of the budget is for testing."""
    gain, _ = trial_cards.prior_of(portfolio)
    low, high = (percent(share, 0) for share in (TEST_LOW, TEST_HIGH))
    months = summaries.load(study, "experiment_costs")
    cost = months.loc[months["start"] == pd.Timestamp(study.start), "cost"].sum()
    planned = summaries.load(study, "planned_months")
    budget = planned.loc[planned["start"] == pd.Timestamp(study.start), "planned"].sum()
    share = "no budget is planned to hold it against"
    if budget > 0:
        share = f"{percent(cost / budget)} of the {study.money(budget)} planned"
    return (
        f"{trial_designs.holdout_sentence(study, gain)} Tests cost {study.money(cost)} this month, "
        f"{share}; {low} to {high} is a common aim."
    )
