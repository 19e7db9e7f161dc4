"""The effect of an onboarding that was drawn by lot, for the cohort notebook."""

import pandas as pd

from helpers import summaries
from helpers.models import uplift
from helpers.study import Study

WORD = "onboarding"


def onboarding_effect(study: Study) -> pd.DataFrame:
    """Read the experiments on onboarding: those whose id or name holds that word.

    The rows of `uplift.readout`, one per treated arm; empty where there is none, or where an arm
    is smaller than the shop's smallest group.
    """
    moments = summaries.load(study, "experiment_moments")
    experiments = summaries.load(study, "experiment_list")
    words = experiments["experiment_id"] + " " + experiments["name"].fillna("")
    about = experiments[words.str.lower().str.contains(WORD)]
    few = moments.loc[moments["n"] < study.shop.privacy.min_cell, "experiment_id"]
    chosen = moments[
        moments["experiment_id"].isin(about["experiment_id"]) & ~moments["experiment_id"].isin(few)
    ]
    if chosen.empty:
        return pd.DataFrame()
    return uplift.readout(chosen, about)
