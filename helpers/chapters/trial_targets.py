"""Whom to treat, and what may be said where nobody drew lots: from a bounded sample of rows."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers import summaries
from helpers.chapters.trials import Trial
from helpers.errors import DataError
from helpers.experiments import observational, scores, targeting
from helpers.experiments.observational import Adjusted
from helpers.experiments.scores import Scores
from helpers.show import Finding, count, label, percent, ratio
from helpers.study import Study

KNOWN = ["frequency", "recency", "tenure", "spend", "recent"]
MARK = (
    "**Observational: nobody drew lots here.** What follows compares customers who were alike in "
    "what is known of them; what is not known can still have made them differ."
)


@dataclass(frozen=True)
class Targeting:
    """Whether customers react differently, and what picking them would bring; or why not."""

    reason: str
    tests: pd.DataFrame
    curve: pd.DataFrame
    policies: pd.DataFrame
    calibration: pd.DataFrame


_EMPTY = pd.DataFrame()


def features(rows: pd.DataFrame, known: str = "") -> tuple[np.ndarray, list[str]]:
    """Give what was known of each customer as numbers: history, and channels as indicators.

    Spend and recent margin in logarithms of their size, with their sign. ``known`` is 'was_' for
    what was known before the days of the placebo.
    """
    history = rows[[f"{known}{name}" for name in KNOWN]].astype(float).set_axis(KNOWN, axis=1)
    for name in KNOWN:
        if name not in ("recency", "tenure"):
            history[name] = np.sign(history[name]) * np.log1p(history[name].abs())
    history["none"] = (history["frequency"] == 0).astype(float)
    channels = pd.get_dummies(rows["channel"], dtype=float).iloc[:, 1:]
    table = pd.concat([history, channels], axis=1)
    table = table.loc[:, table.std() > 0]
    return table.to_numpy(), [str(name) for name in table.columns]


def target(study: Study, trial: Trial, arm: str, *, seed: int) -> Targeting:
    """Look for customers who react differently, and price picking them; refused without proof."""
    rows = summaries.experiment_rows(study, trial.experiment)
    rows = rows[rows["arm"].isin([trial.control, arm])].reset_index(drop=True)
    treated = (rows["arm"] == arm).to_numpy()
    x, _ = features(rows)
    shares = trial.planned_shares or {trial.control: 1.0, arm: 1.0}
    chance = shares.get(arm, 1.0) / (shares.get(arm, 1.0) + shares.get(trial.control, 1.0))
    try:
        found = {
            name: scores.cross_fitted(
                rows["margin"].to_numpy(), treated, x, chance, learner=name, seed=seed
            )
            for name in scores.LEARNERS
        }
    except DataError as fault:
        return Targeting(str(fault), _EMPTY, _EMPTY, _EMPTY, _EMPTY)
    tests, reason = targeting.evidence(found, rows["tier"])
    if reason:
        return Targeting(reason, tests, _EMPTY, _EMPTY, _EMPTY)
    return _priced(rows, found, tests, trial.cost_each(arm))


def _priced(
    rows: pd.DataFrame, found: dict[str, Scores], tests: pd.DataFrame, cost: float
) -> Targeting:
    # The learner that predicts best by the evidence's own test, which decided before any money.
    best = min(
        found, key=lambda name: targeting.slope(found[name].score, found[name].predicted).p_value
    )
    each = found[best]
    rankings = {f"predicted effect ({best})": each.predicted, "top value before": rows["spend"],
                "top response": each.response}  # fmt: skip
    return Targeting(
        "", tests, targeting.gain_curve(each.score, rankings, cost=cost),
        targeting.policies(each, cost=cost, top={"top value before": rows["spend"].to_numpy()}),
        targeting.calibration(each),
    )  # fmt: skip


def target_sentence(study: Study, found: Targeting) -> str:
    """Say whether to pick customers, and what it would bring against sending to all."""
    if found.reason and found.tests.empty:
        return f"No customers are picked: {label(found.reason, 300)}"
    if found.reason:
        return f"Picking customers is refused: {label(found.reason, 300)}. Send to all or to none."
    table = found.policies.set_index("policy")
    best, everyone = table.loc["targeted"], table.loc["all"]
    return (
        f"Customers react differently. Sending to the {percent(best['share'])} who are "
        "predicted to "
        f"bring more than they cost earns {study.money(best['gain'])} for every 1,000 customers "
        f"({study.money(best['low'])} to {study.money(best['high'])}), sending to all "
        f"{study.money(everyone['gain'])}; the difference is "
        f"{study.money(everyone['targeted_more'])} "
        f"({study.money(everyone['targeted_more_low'])} to "
        f"{study.money(everyone['targeted_more_high'])}). The way of picking was chosen on "
        "these customers because it stood out: expect less, and plan with the lower end."
    )


def target_finding(study: Study, found: Targeting) -> Finding:
    """Describe the curve of gain against the share of customers treated."""
    if found.reason:
        return Finding("", "", target_sentence(study, found))
    top = found.curve.loc[found.curve["gain"].idxmax()]
    return Finding(
        f"{top['way'].capitalize()} earns most at {percent(top['share'], 0)} of customers"[:90],
        f"Lines of gain for 1,000 customers by share treated and way of picking; the highest "
        f"{study.money(top['gain'])} at {percent(top['share'], 0)}.",
        target_sentence(study, found),
    )


# -- nobody drew lots ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Observed:
    """A campaign whose customers were chosen: naive and adjusted figures, and what they rest on."""

    trial: Trial
    arm: str
    reason: str
    found: Adjusted | None
    balance: pd.DataFrame
    overlap: pd.DataFrame
    strength: dict


def observed(study: Study, trial: Trial, *, seed: int) -> Observed:
    """Compare treated customers with untreated ones alike beforehand (AIPW), with all checks."""
    arm = trial.treated[0] if trial.treated else ""
    none = Observed(trial, arm, "", None, _EMPTY, _EMPTY, {})
    if not arm or trial.control not in set(trial.facts["arm"]):
        return Observed(**{**vars(none), "reason": "there is no second group to compare with"})
    if not trial.complete:
        return Observed(**{**vars(none), "reason": "the window is not over for every customer"})
    rows = summaries.experiment_rows(study, trial.experiment)
    rows = rows[rows["arm"].isin([trial.control, arm])].reset_index(drop=True)
    treated = (rows["arm"] == arm).to_numpy()
    (x, names), (earlier, _) = features(rows), features(rows, "was_")
    try:
        found = observational.adjust(
            rows["margin"],
            treated,
            x,
            rows["placebo"],
            features_before=earlier if earlier.size else None,
            seed=seed,
        )
    except DataError as fault:
        return Observed(**{**vars(none), "reason": str(fault)})
    inside = found.inside
    return Observed(
        trial, arm, "", found,
        observational.balance(treated[inside], x[inside], found.chance[inside], names),
        observational.overlap(treated, found.chance),
        observational.robustness(rows["margin"], treated, x, names),
    )  # fmt: skip


def observed_table(view: Observed) -> pd.DataFrame:
    """Set the naive, the adjusted and the placebo figure side by side, per customer."""
    if view.found is None:
        return pd.DataFrame(columns=["figure", "value", "low", "high"])
    named = {"naive difference": view.found.naive,
             "adjusted for what was known": view.found.adjusted,
             "the same before the campaign (placebo)": view.found.placebo}  # fmt: skip
    rows = [
        {"figure": name, "value": e.value, "low": e.low, "high": e.high}
        for name, e in named.items()
    ]
    return pd.DataFrame(rows)


def observed_sentence(study: Study, view: Observed, mails: pd.DataFrame) -> str:
    """Say what may be said of a campaign without a draw, beside what a platform would claim."""
    if view.found is None:
        return f"{MARK} Here nothing can be compared: {label(view.reason, 200)}."
    found, strength = view.found, view.strength
    worst = view.balance["after"].abs().max()
    yardstick = (
        f" Something unknown would have to explain {percent(strength['robustness'])} of what is "
        "left "
        f"of both the choice and the margin to bring it to zero; the strongest known, "
        f"{label(strength['strongest'])}, explains {percent(strength['of_treatment'])} of the "
        "choice "
        f"and {percent(strength['of_outcome'])} of the margin."
    )
    doubt = f" **Nothing here confirms it: {label(found.reason, 300)}.**" if found.reason else ""
    adjusted = [
        study.money(x, 2) for x in (found.adjusted.value, found.adjusted.low, found.adjusted.high)
    ]
    return (
        f"{MARK} The plain difference is {study.money(found.naive.value, 2)} of margin per "
        "customer; "
        f"among the {percent(found.kept)} of customers with a like one in the other group it is "
        f"{adjusted[0]} ({adjusted[1]} to {adjusted[2]}), with what was known at most "
        f"{ratio(worst)} "
        f"standard deviations apart after weighting.{doubt}{yardstick} "
        f"{claim_sentence(study, view, mails)}"
    )


def claim_sentence(study: Study, view: Observed, mails: pd.DataFrame) -> str:
    """Say in one line what a last-touch report would claim for the campaign."""
    rows = mails[mails["campaign_id"] == view.trial.experiment]
    if rows.empty or not rows["revenue"].sum() > 0:
        return "A last-touch report has no messages of it to claim orders for."
    return (
        f"A platform's last-touch report would claim {study.money(rows['revenue'].sum())} of "
        "revenue, "
        f"all orders within two weeks of its {count(rows['sent'].sum())} messages."
    )
