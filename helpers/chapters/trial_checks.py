"""Trust first: what decides whether the arms of an experiment may be compared at all."""

import numpy as np
import pandas as pd

from helpers import summaries
from helpers.chapters.trials import Trial
from helpers.experiments import trust
from helpers.experiments.decisions import WITHHELD
from helpers.experiments.effects import share_difference, welch
from helpers.show import count, is_missing, label, percent, ratio
from helpers.study import Study

OPEN = "the window is not over for every customer"
PASSED, LOOK, FAILED = "passed", "look", WITHHELD
SURE = 0.001
# Below this share of revenue with a known cost, a difference in margin is one of bookkeeping.
KNOWN = 0.8
# A control of which so many got the campaign's messages is none, unless all of it was to get them.
TOUCHED, ALL_TOUCHED = 0.05, 0.8
# Beyond this share of customers in several arms an assignment was not carried out.
SWITCHED = 0.01
COLUMNS = ["check", "found", "verdict"]


def trust_checks(study: Study, trial: Trial) -> pd.DataFrame:
    """Give the checks of an experiment: check, found (in words), verdict.

    'withheld' means that no effect is shown; 'look' is printed over the result.
    """
    rows = [
        _drawn(trial), _arms(trial), _names(trial), _sizes(trial), _switched(trial),
        _same_days(trial), *_alike(trial), _exposure(trial), _early(trial), _window(trial),
        _overlap(trial), _others(trial), _consent(trial), _costs(trial),
        _late(study, trial), _whale(trial),
    ]  # fmt: skip
    return pd.DataFrame([row for row in rows if row], columns=COLUMNS)


def fault(checks: pd.DataFrame) -> str:
    """Say why no effect may be read, in the words of the first check that failed; else nothing."""
    failed = checks.loc[checks["verdict"] == FAILED, "found"]
    return failed.iloc[0] if len(failed) else ""


def warning(checks: pd.DataFrame) -> str:
    """Say over the result what to mind about it; empty where every check passed."""
    failed, looked = (checks.loc[checks["verdict"] == v, "found"].tolist() for v in (FAILED, LOOK))
    if failed:
        return f"**No effect is shown: {label(failed[0], 300)}.**"
    if looked:
        return "**Mind:** " + "; ".join(label(text, 300) for text in looked) + "."
    return "Every check passed: the arms may be compared."


def _row(check: str, found: str, bad: bool, verdict: str = FAILED) -> tuple[str, str, str]:
    return check, found, verdict if bad else PASSED


def _drawn(trial: Trial) -> tuple:
    if trial.randomized:
        return _row("drawn by chance", "customers were assigned by chance", False)
    found = "customers were not assigned at random, so the groups may have differed before"
    return _row("drawn by chance", found, True)


def _arms(trial: Trial) -> tuple:
    sizes = trial.facts.set_index("arm")["customers"].to_dict()
    for name in sorted(set(trial.planned_shares or ()) - set(sizes)):
        return _row("arms", f"nobody was assigned to the arm '{name}'", True)
    why = trust.unreadable(trial.arms(), trial.control, "orders") if trial.complete else ""
    if why.startswith("all customers had the same"):
        why = ""
    if trial.control not in sizes:
        why = f"there is no control group: nobody was assigned to the arm '{trial.control}'"
    if len(sizes) < 2:
        why = why or "there is one arm only, so there is nothing to compare with"
    if why.startswith("nobody had any"):
        why = "nobody bought in the window"
    return _row("arms", why or f"{count(len(sizes))} arms with customers", bool(why))


def _names(trial: Trial) -> tuple | None:
    several = trial.facts[trial.facts["spellings"].fillna(1) > 1]["arm"].tolist()
    unknown = sorted(set(trial.facts["arm"]) - set(trial.planned_shares or trial.facts["arm"]))
    if several:
        found = f"the arm '{several[0]}' is written in several ways (capitals, blanks)"
        return _row("names of arms", found, True)
    if unknown:
        found = f"the arm '{unknown[0]}' has customers but no planned share: was an arm renamed?"
        return _row("names of arms", found, True)
    return None


def _sizes(trial: Trial) -> tuple | None:
    if not trial.randomized:
        return None
    sizes = trial.facts.set_index("arm")["customers"].to_dict()
    planned = trial.planned_shares
    p_value = trust.sample_ratio_p(sizes, planned)
    if is_missing(p_value):
        return None
    if p_value >= trust.SAMPLE_RATIO_LIMIT:
        return _row("sample ratio", f"sizes as planned (p {ratio(p_value)})", False)
    found = (
        "the arms do not have their planned sizes, so the assignment went wrong"
        if planned
        else "the arms are not equal and their planned sizes are not recorded "
        "(experiments.planned_shares)"
    )
    return _row("sample ratio", found, True)


def _switched(trial: Trial) -> tuple:
    several, all_of = trial.facts["switched"].sum(), trial.facts["customers"].sum()
    if not several:
        return _row("in two arms", "no customer was put in two arms", False)
    found = f"{count(several)} customers were put in two arms and count in their first"
    return _row("in two arms", found, True, FAILED if several > SWITCHED * all_of else LOOK)


def _pairs(trial: Trial) -> list[tuple[pd.Series, pd.Series]]:
    facts = trial.facts.set_index("arm", drop=False)
    if trial.control not in facts.index:
        return []
    return [(facts.loc[trial.control], facts.loc[arm]) for arm in trial.treated]


def _same_days(trial: Trial) -> tuple | None:
    """Compare when arms were assigned: a later arm has another season, and another window."""
    worst = 1.0
    for control, treated in _pairs(trial):
        parts = []
        for arm in (control, treated):
            n = float(arm["customers"])
            mean = arm["day"] / n
            parts += [mean, max(arm["day_squares"] / n - mean**2, 0.0) * n / max(n - 1, 1), n]
        gap = welch(*parts)
        apart = abs(parts[3] - parts[0]) > 0
        p_value = gap.p_value if np.isfinite(gap.p_value) else (0.0 if apart else 1.0)
        worst = min(worst, float(p_value))
    found = "the arms were assigned on the same days"
    if worst < SURE:
        found = "the arms were assigned on other days, so the season would count as an effect"
    return _row("assigned together", found, worst < SURE)


def _alike(trial: Trial) -> list[tuple]:
    """Compare margin before the start, and the share who had ordered by then."""
    if not trial.randomized or not _pairs(trial):
        return []
    arms = {
        row["arm"]: {"n": row["customers"], "pre": row["pre"], "pre_squares": row["pre_squares"],
                     "missing": row["customers"] - row["known"]}
        for _, row in trial.facts.iterrows()
    }  # fmt: skip
    table = trust.balance(arms, trial.control)
    if table["p_value"].isna().all():
        return [
            ("alike before", "nobody had ordered before, so there is nothing to compare", PASSED)
        ]
    off = table[table["balanced"].eq(False)]
    sure = off[off["p_value"] < trust.BALANCE_LIMIT]
    if len(sure):
        what = {"pre": "margin before the campaign", "missing": "share of new customers"}
        found = f"the arms differed before the campaign ({what[sure['covariate'].iloc[0]]})"
        return [_row("alike before", found, True)]
    worst = table["standardized"].abs().max()
    found = f"the arms were alike before (largest standardized difference {ratio(worst)})"
    if len(off):
        found = f"the arms differed a little before: {ratio(worst)} standard deviations"
    return [_row("alike before", found, bool(len(off)), LOOK)]


def _exposure(trial: Trial) -> tuple | None:
    """Look for the campaign's messages, or another treatment, in the control group."""
    pairs = _pairs(trial)
    if not pairs or not trial.facts["reached"].sum():
        return None
    control = pairs[0][0]
    share = control["reached"] / control["customers"]
    most = max(arm["reached"] / arm["customers"] for _, arm in pairs)
    if share <= TOUCHED or (share >= ALL_TOUCHED and most >= ALL_TOUCHED):
        word = "got no message" if share == 0 else f"was sent a message too ({percent(share)})"
        return _row("control untouched", f"the control {word}", False)
    found = (
        f"{percent(share)} of the control got the campaign: another treatment was pooled into it"
    )
    return _row("control untouched", found, True)


def _early(trial: Trial) -> tuple | None:
    reached = trial.facts["reached"].sum()
    if not reached:
        return None
    early, first = trial.facts["touched_early"].sum(), trial.facts["ordered_first"].sum()
    if early > SWITCHED * reached:
        found = f"{count(early)} customers got the message before they were assigned"
        return _row("exposure after assignment", found, True)
    found = "messages came after the assignment"
    if first:
        found += f"; {count(first)} customers had ordered before theirs, and count all the same"
    return _row("exposure after assignment", found, False)


def _window(trial: Trial) -> tuple:
    if trial.complete:
        return _row("window over", f"{count(trial.window)} days are over for every customer", False)
    return _row("window over", OPEN, True)


def _shares(trial: Trial, column: str) -> tuple[float, bool]:
    """Give the share of all customers with something, and whether arms differ in it for sure."""
    p_values = [
        share_difference(
            {"n": control["customers"], "x": control[column]},
            {"n": arm["customers"], "x": arm[column]}, "x",
        ).p_value
        for control, arm in _pairs(trial)
    ]  # fmt: skip
    known = [p for p in p_values if np.isfinite(p)]
    share = trial.facts[column].sum() / trial.facts["customers"].sum()
    return share, bool(known) and min(known) < SURE


def _overlap(trial: Trial) -> tuple:
    share, apart = _shares(trial, "overlapping")
    if not share:
        return _row("other tests", "no customer was treated in another test at the time", False)
    found = f"{percent(share)} of the customers were treated in another test at the time"
    if apart:
        return _row("other tests", f"{found}, more in one arm than in another", True)
    return _row("other tests", f"{found}, alike in all arms", True, LOOK)


def _others(trial: Trial) -> tuple:
    share, apart = _shares(trial, "other_messages")
    if not share:
        return _row("other campaigns", "no message of another campaign in the window", False)
    found = f"{percent(share)} got messages of other campaigns in the window"
    if apart:
        found += ", more in one arm than in another: they are part of what is read"
        return _row("other campaigns", found, True, LOOK)
    return _row("other campaigns", f"{found}, alike in all arms", False)


def _consent(trial: Trial) -> tuple | None:
    if not trial.facts["reached"].sum():
        return None
    without = trial.facts["without_consent"].sum()
    found = "every message had a consent when it was sent"
    if without:
        found = f"{count(without)} customers got a message without a consent at that moment"
    return _row("consent when sent", found, bool(without), LOOK)


def _costs(trial: Trial) -> tuple | None:
    arms = trial.arms()
    revenue = sum(arm["revenue"] for arm in arms.values())
    known = sum(arm["margin_revenue"] for arm in arms.values())
    if not revenue > 0:
        return None
    if known < KNOWN * revenue:
        found = "the cost of too much of what customers bought is not known"
        return _row("costs known", found, True)
    return _row("costs known", f"the cost of {percent(known / revenue)} of revenue is known", False)


def _late(study: Study, trial: Trial) -> tuple | None:
    """Say what share of refunds usually comes later than the time since the window ended."""
    delays = summaries.load(study, "refund_delays")
    total = delays["refunds"].sum()
    if not trial.complete or not total > 0:
        return None
    ended = trial.facts["last_day"].max() + pd.Timedelta(days=trial.window)
    since = (pd.Timestamp(study.end) - ended).days + 1
    out = delays.loc[delays["days"] > max(since, 0), "refunds"].sum() / total
    if out < 0.05:
        found = "refunds of the window have come in, and count on the day of their sale"
        return _row("refunds in", found, False)
    found = (
        f"the window ended {count(since - 1)} days ago, and {percent(out)} of refunds usually come "
    )
    found += "later than that"
    return _row("refunds in", found, True, LOOK)


def _whale(trial: Trial) -> tuple | None:
    """Say when one customer makes much of an arm's spread: read the capped figures then."""
    shares = [
        trust.dominance(arm, "margin", arm["margin_least"], arm["margin_most"])
        for arm in trial.arms().values()
    ]
    if not np.isfinite(shares).any():
        return None
    share = float(np.nanmax(shares))
    found = f"one customer makes {percent(share)} of the spread of an arm"
    found += "; read the capped figures, too" if share > trust.WHALE else ""
    return _row("no single customer", found, share > trust.WHALE, LOOK)
