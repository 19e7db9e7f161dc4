"""What an experiment brought: metrics by arm, windows, the curve by day, looks, guardrails."""

import numpy as np
import pandas as pd

from helpers import summaries
from helpers.chapters.trial_costs import numbers_by_name
from helpers.chapters.trials import Trial
from helpers.experiments import cuped, decomposition, effects, factorial, guardrails, looks
from helpers.experiments.effects import Effect
from helpers.experiments.readout import Metric, read_metrics
from helpers.show import Finding, count, is_missing, label, percent, ratio
from helpers.study import Study
from helpers.summaries.experiment_moments import EARLY_DAYS

COVARIATES = ("pre", "missing")
# What the words of experiments.metric stand for; margin decides where none is declared.
DECLARED = {
    "margin_per_customer": "margin", "margin": "margin", "revenue_per_recipient": "revenue",
    "revenue": "revenue", "rpr": "revenue", "conversion": "converted", "orders": "orders",
    "aov": "order value",
}  # fmt: skip
# Harm that counts as bearable where none is declared: half a point of unsubscribes, and a
# hundredth of the control's revenue in refunds or in service.
BEARABLE = {"unsubscribed": 0.005, "refunds": 0.01, "service": 0.01}


def metrics_of(study: Study, trial: Trial, covariates: tuple[str, ...]) -> list[Metric]:
    """List the metrics of an experiment: those declared decide, the others help to understand."""
    words = str(trial.about["metric"] or "").replace(",", ";").lower().split(";")
    declared = {DECLARED[word.strip()] for word in words if word.strip() in DECLARED} or {"margin"}
    sent = trial.facts["reached"].sum() > 0 and study.has("touchpoints")
    steps = ("delivered", "opened", "clicked") if sent else ()
    found = [Metric(name, name, "share", declared=False) for name in steps]
    found.append(Metric("converted", "converted", "share", declared="converted" in declared))
    for name in ("orders", "revenue", "margin"):
        capped = "" if name == "orders" else f"{name}_capped"
        found.append(
            Metric(name, name, covariates=covariates, capped=capped, declared=name in declared)
        )
    for name, above in (("order value", "revenue"), ("margin per order", "margin")):
        found.append(Metric(name, above, "ratio", below="orders", declared=name in declared))
    return found


def readout(study: Study, trial: Trial, arms: dict, covariates: tuple[str, ...]) -> pd.DataFrame:
    """Read all metrics of an experiment in its declared window (`readout.read_metrics`)."""
    return read_metrics(arms, trial.control, metrics_of(study, trial, covariates))


def nothing() -> pd.DataFrame:
    """Give a readout without rows, for an experiment that is withheld."""
    return read_metrics({}, "", [])


def _writer(study: Study, row: pd.Series):
    if row["kind"] == "share":
        return percent
    return study.money if row["metric"] != "orders" else (lambda x: ratio(x, 3))


def table(study: Study, found: pd.DataFrame) -> pd.DataFrame:
    """Write a readout for the page: control, treated, difference with interval, Holm and FDR.

    The difference is the one that decides: adjusted for what was known before where anything was.
    ``mind`` says why an interval may not hold, where one may not.
    """
    rows = []
    for _, row in found.iterrows():
        write = _writer(study, row)
        told = {"opened": " (diagnostic)"}.get(row["metric"], "")
        told += ", adjusted" if row["basis"] == "adjusted" else ""
        values = [row[f"decisive_{part}"] for part in ("value", "low", "high")]
        rows.append(
            {
                "metric": row["metric"] + told, "arm": row["arm"], "control": write(row["control"]),
                "treated": write(row["treated"]),
                "difference": "{} ({} to {})".format(*map(write, values)),
                "holm": row["holm"], "fdr": row["fdr"], "mind": _mind(row["caution"]),
            }
        )  # fmt: skip
    columns = ["metric", "arm", "control", "treated", "difference", "holm", "fdr"]
    # Most tests give no cause for caution, and an empty column would ask for one.
    return pd.DataFrame(
        rows, columns=[*columns, *(["mind"] if any(r["mind"] for r in rows) else [])]
    )


def _mind(caution: object) -> str:
    return "" if is_missing(caution) else str(caution)


def estimands(found: pd.DataFrame) -> pd.DataFrame:
    """Set raw, adjusted and capped effects on margin side by side, with the relative one."""
    rows = []
    for _, row in found[found["metric"] == "margin"].iterrows():
        for kind, prefix in (("raw", ""), ("adjusted", "adjusted_"), ("capped", "capped_")):
            rows.append(
                {"arm": row["arm"], "read": kind}
                | {part: row[f"{prefix}{part}"] for part in ("value", "se", "low", "high")}
            )
    return pd.DataFrame(rows, columns=["arm", "read", "value", "se", "low", "high"])


def estimands_sentence(found: pd.DataFrame, covariates: tuple[str, ...]) -> str:
    """Say what adjusting saved, what capping reads, and whether a relative effect is given."""
    rows = found[found["metric"] == "margin"]
    if rows.empty or is_missing(rows["value"].iloc[0]):
        return "Nothing was read, so there is nothing to set side by side."
    row = rows.iloc[0]
    what = "the CLV forecast made before" if "score" in covariates else "margin before"
    text = "Nothing was known of these customers before, so nothing is adjusted."
    if row["basis"] == "adjusted":
        text = (
            f"{what[:1].upper()}{what[1:]} explains {percent(row['r2'])} of the variance of "
            "margin, which "
            f"counts like {ratio(row['larger'], 2)} times as many customers; it estimates the same."
        )
    text += (
        " The capped figure answers another question, how much a customer brings when extremes are "
        "cut, at the same cuts in all arms."
    )
    why = row["relative_reason"]
    lift = f" In relative terms: {percent(row['relative'])} ({percent(row['relative_low'])} to "
    lift += f"{percent(row['relative_high'])}) of the control's margin."
    return text + (f" No relative effect is given: {why}." if why else lift)


def parts_sentence(study: Study, trial: Trial, arms: dict) -> str:
    """Say whether an arm's revenue came from more buyers or from larger baskets."""
    texts = []
    for arm in trial.treated:
        found = decomposition.spend_parts(arms[trial.control], arms[arm])
        if is_missing(found["total"].value):
            texts.append(f"{label(arm)}: an arm has no buyer, so there is no basket to compare")
            continue
        texts.append(
            f"{label(arm)}: {study.money(found['total'].value, 2)} of revenue per customer = "
            f"{study.money(found['conversion'].value, 2)} from more buyers + "
            f"{study.money(found['basket'].value, 2)} from other baskets"
        )
    return (
        f"{'; '.join(texts)}. The order value compares buyers with other buyers, so by itself "
        "it is "
        "no effect on anybody."
    )


def parts_gap(trial: Trial, arms: dict, arm: str) -> float:
    """Give how far the two parts are from adding up to the difference in revenue; zero."""
    found = decomposition.spend_parts(arms[trial.control], arms[arm])
    gap = found["conversion"].value + found["basket"].value - found["total"].value
    return 0.0 if is_missing(gap) else abs(float(gap))


# -- windows and days ------------------------------------------------------------------------------


def by_window(trial: Trial) -> pd.DataFrame:
    """Give the effect on margin in every window that is over, with its interval."""
    rows = []
    for window in trial.windows:
        arms = trial.arms(window)
        for arm in trial.treated if trial.control in arms else ():
            effect = effect_on(arms, trial.control, arm, "margin")
            rows.append({"arm": arm, "window_days": window, "window": f"{arm}: {window} days"}
                        | effects.as_row(effect))  # fmt: skip
    columns = ["arm", "window_days", "window", "value", "se", "low", "high", "p_value"]
    return pd.DataFrame(rows, columns=columns).sort_values(
        ["arm", "window_days"], ignore_index=True
    )


def effect_on(arms: dict, control: str, arm: str, name: str) -> Effect:
    """Estimate an effect adjusted for what was known before, raw where nothing was."""
    theta = cuped.pooled_theta(list(arms.values()), name, COVARIATES)
    found = cuped.adjusted(arms[control], arms[arm], name, covariates=COVARIATES, theta=theta)
    return found if np.isfinite(found.se) else effects.difference(arms[control], arms[arm], name)


def curve(study: Study, trial: Trial) -> pd.DataFrame:
    """Follow the effect on margin day by day since the assignment, with its band.

    One row per treated arm and day that every customer has lived through: arm, day (days passed),
    value, low, high: margin so far per customer, treated less control, adjusted where anything was
    known before.
    """
    days = summaries.load(study, "experiment_days")
    days = days[days["experiment_id"] == trial.experiment]
    if days.empty or trial.control not in set(days["arm"]):
        return pd.DataFrame(columns=["arm", "day", "value", "low", "high"])
    length = int(days["day"].max()) + 1
    facts = trial.facts.set_index("arm")
    arms = {}
    for arm, rows in days.groupby("arm"):
        names = ["margin", "margin_squares", "margin_pre", "margin_missing"]
        steps = rows.set_index("day")[names].reindex(range(length)).fillna(0.0).cumsum()
        about = facts.loc[arm]
        known = {"n": about["customers"], "pre": about["pre"], "pre_squares": about["pre_squares"],
                 "missing": about["customers"] - about["known"]}  # fmt: skip
        arms[arm] = {name: np.full(length, float(value)) for name, value in known.items()}
        arms[arm] |= {name: steps[name].to_numpy() for name in names}
    parts = []
    for arm in trial.treated:
        theta = cuped.pooled_theta(list(arms.values()), "margin", COVARIATES)
        control, treated = arms[trial.control], arms[arm]
        less = cuped.adjusted(control, treated, "margin", covariates=COVARIATES, theta=theta)
        raw = effects.difference(control, treated, "margin")
        chosen = {
            name: np.where(np.isfinite(less.se), getattr(less, name), getattr(raw, name))
            for name in ("value", "low", "high")
        }
        parts.append(pd.DataFrame({"arm": arm, "day": np.arange(length) + 1, **chosen}))
    return pd.concat(parts, ignore_index=True)


def pull_forward(trial: Trial, arm: str) -> tuple[bool, str]:
    """Say whether orders were brought forward: more in the first 14 days, fewer after them.

    Fixed beforehand: pulled forward when the interval of orders in the first 14 days lies above
    zero and that of orders after them, to the end of the longest window that is over, lies below.
    """
    longest = [w for w in trial.windows if w > EARLY_DAYS]
    if EARLY_DAYS not in trial.windows or not longest:
        return False, f"{label(arm)}: too early to tell, for two weeks and more have to be over"
    early = effect_on(trial.arms(EARLY_DAYS), trial.control, arm, "orders")
    late = effect_on(trial.arms(longest[-1]), trial.control, arm, "late_orders")
    begun, gone = early.low > 0, late.high < 0
    text = (
        f"{label(arm)}: {ratio(early.value, 3)} orders per customer in the first {EARLY_DAYS} days "
        f"({ratio(early.low, 3)} to {ratio(early.high, 3)}), {ratio(late.value, 3)} from then "
        "to day "
        f"{longest[-1]} ({ratio(late.low, 3)} to {ratio(late.high, 3)})"
    )
    if begun and gone:
        return (
            True,
            f"{text}: **orders were brought forward**, and part of the early gain went back",
        )
    if begun:
        return False, f"{text}: more at first, and no proof that they were missing later"
    return False, f"{text}: no early rise that could have been brought forward"


def curve_finding(study: Study, trial: Trial, days: pd.DataFrame) -> Finding:
    """Say how the effect on margin went from day to day."""
    if days.empty or days["value"].isna().all():
        return Finding("", "", "There are no days to follow: the arms cannot be compared.")
    last = days[days["day"] == days["day"].max()]
    peaks = days.loc[days.groupby("arm")["value"].idxmax()].set_index("arm")
    texts = [
        f"{label(row.arm)} stood at {study.money(row.value, 2)} ({study.money(row.low, 2)} to "
        f"{study.money(row.high, 2)}) after {count(row.day)} days, its highest "
        f"{study.money(peaks.loc[row.arm, 'value'], 2)} on day {count(peaks.loc[row.arm, 'day'])}"
        for row in last.itertuples()
    ]
    top = last.loc[last["value"].idxmax()]
    pulled = [pull_forward(trial, arm) for arm in trial.treated]
    title = f"After {count(top['day'])} days {top['arm']} stands at "
    title += f"{study.money(top['value'], 2)} a customer"
    if any(found for found, _ in pulled):
        title = "More at first, less later: orders were brought forward"
    return Finding(
        title[:90],
        f"Lines of the difference in margin per customer so far by day since the assignment; "
        f"{top['arm']} ends at {study.money(top['value'], 2)}.",
        f"{'; '.join(texts)}. {'. '.join(text for _, text in pulled)}.",
    )


# -- looks, guardrails, cells ----------------------------------------------------------------------


def look_sentence(study: Study, trial: Trial) -> str:
    """Give what may be read before the end, by an interval that holds at every look at once."""
    arms = trial.arms()
    planned = trial.about["planned_size"]
    whole = float(trial.facts["customers"].sum())
    planned = max(whole, 0 if is_missing(planned) else float(planned))
    texts = []
    for arm in trial.treated:
        if trial.control not in arms or arm not in arms:
            continue
        effect, reason = looks.look(arms[trial.control], arms[arm], "margin", planned=planned)
        if reason:
            texts.append(f"{label(arm)}: no look yet, for {reason}")
            continue
        texts.append(
            f"{label(arm)}: {study.money(effect.value, 2)} ({study.money(effect.low, 2)} to "
            f"{study.money(effect.high, 2)})"
        )
    if not texts:
        return "Nobody's window is over, so there is nothing to look at."
    return (
        f"Read at any day, by customers whose window is over: {'; '.join(texts)}. Whoever looks "
        "early reads this wider interval; the narrow one holds for one reading at the end."
    )


def guards(study: Study, trial: Trial, arms: dict) -> pd.DataFrame:
    """Read the guardrails: harm in unsubscribes, refunds and service, and whether it is bearable.

    One row per guardrail and arm: guardrail, arm, more (treated - control), low, high, bearable,
    verdict. Bearable as declared in experiments.guardrails, else BEARABLE (of the control's revenue
    for refunds and service).
    """
    told = numbers_by_name(
        trial.about.get("guardrails"), "experiments.guardrails", "unsubscribed=0.005"
    )
    rows = []
    control = arms[trial.control]
    names = [n for n in BEARABLE if n != "unsubscribed" or trial.facts["reached"].sum() > 0]
    for name in names:
        allowed = (told or {}).get(name)
        if allowed is None:
            share = name == "unsubscribed"
            allowed = BEARABLE[name] * (1 if share else float(effects.mean(control, "revenue")))
        write = percent if name == "unsubscribed" else study.money
        read = effects.share_difference if name == "unsubscribed" else effects.difference
        for arm in trial.treated:
            effect = read(control, arms[arm], name)
            verdict, _ = guardrails.non_inferior(effect, max(allowed, 0.0))
            rows.append(
                {"guardrail": name, "arm": arm, "more": write(effect.value, 2),
                 "low": write(effect.low, 2), "high": write(effect.high, 2),
                 "bearable": write(allowed, 2), "verdict": verdict}
            )  # fmt: skip
    columns = ["guardrail", "arm", "more", "low", "high", "bearable", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def cells(trial: Trial, arms: dict) -> pd.DataFrame:
    """Read a two by two test of margin: each change on average, together, and the interaction.

    Empty where the design is another.
    """
    if not trial.cells:
        return pd.DataFrame(columns=["contrast", "value", "low", "high", "smallest_effect"])
    by_cell = {cell: arms[arm] for cell, arm in trial.cells.items()}
    table = factorial.factorial(by_cell, "margin")
    a, b = trial.factors
    names = {
        "main_a": f"{a}, on average", "main_b": f"{b}, on average", "a_alone": f"{a} alone",
        "b_alone": f"{b} alone", "both": f"{a} and {b}", "interaction": f"interaction of {a} "
        f"and {b}",
    }  # fmt: skip
    return table.assign(contrast=table["contrast"].map(names))


def cells_sentence(study: Study, table: pd.DataFrame) -> str:
    """Say whether two changes help each other, and how large that had to be to be seen."""
    if table.empty:
        return "This test did not try two changes at a time, so there is no interaction to read."
    row = table[table["contrast"].str.startswith("interaction")].iloc[0]
    seen = row["low"] > 0 or row["high"] < 0
    text = "help or hinder each other" if seen else "are not seen to help or hinder each other"
    rest = "read the cells" if seen else "each change may be read on average"
    return (
        f"The two changes {text} ({study.money(row['value'], 2)}, {study.money(row['low'], 2)} to "
        f"{study.money(row['high'], 2)}): {rest}. An interaction has to be as large as "
        f"{study.money(row['smallest_effect'], 2)} per customer to be seen four times out of five."
    )


def kind_sentence(trial: Trial, kinds: dict) -> str:
    """Say what kind of campaign it was, what it is read by, and whether it was declared so."""
    if not trial.kind:
        return (
            f"Design: {trial.design}. The table experiments does not say what kind of campaign it "
            "was (column kind), so nothing is held against a usual window."
        )
    days, text = kinds[trial.kind]
    as_usual = (
        "as it was declared"
        if trial.window == days
        else f"here {count(trial.window)} were declared"
    )
    extra = ""
    if trial.kind == "email_flow":
        many = trial.facts["many_messages"].sum()
        extra = f" {count(many)} customers got more than four messages of it."
    return (
        f"Design: {trial.design}; kind: {label(trial.kind.replace('_', '-'))}. {text} Usually "
        "read at "
        f"{count(days)} days, {as_usual}.{extra}"
    )
