"""Frames and sentences of the campaign uplift notebook: value, customers picked, decisions."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from helpers import figures, summaries
from helpers.chapters import (
    all_trials,
    spending,
    trial_cards,
    trial_designs,
    trial_targets,
    trial_values,
)  # fmt: skip
from helpers.chapters.trial_cards import Read
from helpers.chapters.trial_targets import Observed, Targeting
from helpers.chapters.trial_values import Outlook
from helpers.chapters.trials import Trial
from helpers.chapters.uplift_tables import NOTHING, not_read_text, readable
from helpers.experiments import pooling
from helpers.experiments.pooling import Pooled
from helpers.show import Finding, is_missing, label, ratio
from helpers.study import Study

WITHOUT = (
    "Every campaign here was drawn by chance, so none has to be read by comparing customers who "
    "happened to get it with those who did not."
)


def valued(study: Study, read: Read | None) -> Outlook | None:
    """Value the customers at the window's end, where a model can."""
    if not readable(read):
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
        return not_read_text(read)
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


def segments_sentence(read: Read | None, family: Pooled | None) -> str:
    """Say whether segments differ beyond chance."""
    if family is None:
        return not_read_text(read)
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
    if not readable(read):
        return Targeting(not_read_text(read) or NOTHING, empty, empty, empty, empty)
    arm = max(read.cards, key=lambda card: card.net.value).arm
    return trial_targets.target(study, read.trial, arm, seed=seed)


def targets_figure(found: Targeting, money) -> Figure | None:
    """Draw gain against the share treated, or nothing where picking is refused."""
    if found.reason:
        return None
    return figures.lines(
        found.curve, x="share", y="gain", hue="way", low="low", high="high", fmt=money
    )


def targets_finding(study: Study, read: Read | None, found: Targeting) -> Finding:
    """Say what picking customers would bring."""
    return Finding("", "", "") if read is None else trial_targets.target_finding(study, found)


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
        return WITHOUT if study.has("experiments") else ""
    text = trial_targets.observed_sentence(study, view, summaries.load(study, "mails"))
    return f"{label(view.trial.name)}: {text}"


def observed_table(view: Observed | None) -> pd.DataFrame:
    """Give naive, adjusted and placebo figures; no rows where there is no such campaign."""
    if view is None:
        return pd.DataFrame(columns=["figure", "value", "low", "high"])
    return trial_targets.observed_table(view)


# -- decisions -------------------------------------------------------------------------------------


def card(study: Study, read: Read | None) -> pd.DataFrame:
    """Give the decision card of the experiment shown in full."""
    if read is None:
        return pd.DataFrame(columns=["what"])
    return trial_cards.card_table(study, read)


def summary(study: Study, read: Read | None) -> str:
    """Write the short summary with the next step."""
    return "" if read is None else trial_cards.summary(study, read)


def next_sentence(study: Study, reads: list[Read]) -> str:
    """Say what a hold-out takes and how much of the budget is for testing."""
    moved = all_trials.forest(reads)
    effect = pooling.prior(moved["effect"], moved["se"])[0] if len(moved) else np.nan
    gain, _ = all_trials.prior_of(all_trials.portfolio(reads))
    size = trial_designs.holdout_sentence(study, effect, gain)
    return f"{size} {spending.tests_sentence(study)}"
