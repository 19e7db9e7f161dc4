"""The effect of an onboarding that was drawn by lot, for the cohort notebook."""

import pandas as pd

from helpers.chapters import trial_checks
from helpers.chapters.trials import load_trials
from helpers.experiments.readout import Metric, read_metrics
from helpers.study import Study

WORD = "onboarding"
_COLUMNS = {"value": "difference"}


def onboarding_effect(study: Study) -> pd.DataFrame:
    """Read the experiments on onboarding: those whose id or name holds that word.

    One row per treated arm, margin per assigned customer in the declared window: arm, n,
    difference, low, high, and ``reason`` where no figure is given (a failed check, an arm too
    small). Empty where there is no such experiment.
    """
    rows = []
    for trial in load_trials(study).values():
        if WORD not in f"{trial.experiment} {trial.name}".lower():
            continue
        fault = trial_checks.fault(trial_checks.trust_checks(study, trial))
        if fault:
            rows.append(pd.DataFrame({"arm": trial.treated or [""], "reason": fault}))
            continue
        found = read_metrics(trial.arms(), trial.control, [Metric("margin", "margin")])
        rows.append(found.rename(columns=_COLUMNS))
    wanted = ["arm", "n", "difference", "low", "high", "reason"]
    if not rows:
        return pd.DataFrame(columns=wanted)
    return pd.concat(rows, ignore_index=True).reindex(columns=wanted)
