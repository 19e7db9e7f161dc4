"""The log of hypotheses: what was believed, how it was tested, what came out, what was decided."""

import pandas as pd

from helpers import records, summaries
from helpers.chapters import trial_costs
from helpers.experiments.decisions import WITHHELD
from helpers.show import count, is_missing, label
from helpers.study import Study

COLUMNS = ["experiment", "arm", "effect", "verdict", "decision", "hypothesis", "state"]
COLUMNS += ["cost"]


def log(study: Study) -> pd.DataFrame:
    """Give one row per declared experiment and treated arm, the experiment that began last first.

    Columns: experiment, arm, effect (margin per customer over control with its interval) and the
    verdict of the rule, both as 05 recorded them, decision as declared, hypothesis, state (running,
    ended, or not dated), and cost of the experiment.
    """
    effects = effects_of(records.load_records(study.shop.name, study.month))
    declared = summaries.load(study, "experiment_list")
    arms = summaries.load(study, "experiment_arms")
    if declared.empty:
        return pd.DataFrame(columns=COLUMNS)
    order = declared.sort_values(["started_date", "experiment_id"], ascending=[False, True])
    rows = [
        (
            _text(row["name"]) or row["experiment_id"],
            arm,
            effect,
            verdict,
            _text(row["decision"]),
            _text(row["hypothesis"]),
            _state(study, row),
            _cost(study, row, arms),
        )
        for row in order.to_dict("records")
        for arm, effect, verdict in _effects(study, row["experiment_id"], effects)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _state(study: Study, row: dict) -> str:
    ended = pd.Timestamp(row["ended_date"])
    if is_missing(ended):
        return "no end declared"
    return "ended" if ended <= pd.Timestamp(study.end) else "running"


def _effects(study: Study, experiment: str, effects: list[dict]) -> list[tuple[str, str, str]]:
    """Write effect and verdict of each treated arm, or why there is none."""
    rows = [each for each in effects if each.get("experiment_id") == experiment]
    found = []
    for each in rows:
        numbers = [each.get(key) for key in ("effect", "low", "high")]
        text = each.get("reason") or "not readable"
        if not any(map(is_missing, numbers)):
            value, low, high = (study.money(number, 2) for number in numbers)
            text = f"{value} ({low} to {high})"
        found.append((str(each["arm"]), text, str(each.get("verdict", ""))))
    return found or [("", "not in the record of 05", "")]


def _cost(study: Study, row: dict, every: pd.DataFrame) -> str:
    """Write fixed cost + cost of each arm x its customers."""
    if not trial_costs.is_declared(row):
        return "not declared"
    arms = every[every["experiment_id"] == row["experiment_id"]]
    if (arms["customers"] < study.shop.privacy.min_cell).any():
        return "too few customers to show"
    each = [trial_costs.cost_each(row, arm, row["control_arm"]) for arm in arms["arm"]]
    fixed = 0.0 if is_missing(row["fixed_cost"]) else float(row["fixed_cost"])
    return study.money(fixed + float((arms["customers"] * each).sum()))


def effects_of(found_records: dict[str, dict]) -> list[dict]:
    """Take the effects out of 05's record (`all_trials.log`); empty where it keeps none."""
    record = found_records.get("05_campaign_uplift", {})
    found = record.get("extra", {}).get("effects", [])
    return found if isinstance(found, list) else []


def sentence(table: pd.DataFrame) -> str:
    """Say what is declared and not decided, and what has no hypothesis."""
    if table.empty:
        return (
            "No experiment is declared, so there is no log of what was believed. A table "
            "experiments (experiment_id, hypothesis, window_days, decision) starts one."
        )
    ruled = table[~table["verdict"].isin(["", WITHHELD])]
    table = table.drop_duplicates("experiment")
    ended = table["state"] == "ended"
    open_ones = table[ended & (table["decision"] == "")]
    running = table[~ended & (table["decision"] == "")]
    parts = [f"{count(len(table))} experiments are declared."]
    if len(open_ones):
        names = ", ".join(map(label, open_ones["experiment"]))
        parts.append(f"Ended without a decision: {names}. Write it into the column decision.")
    if len(running):
        parts.append(f"Still open: {', '.join(map(label, running['experiment']))}.")
    early = table[~ended & (table["decision"] != "")]
    if len(early):
        names = ", ".join(map(label, early["experiment"]))
        parts.append(f"Decided before the end: {names}; a look too early finds too much.")
    bare = table[table["hypothesis"] == ""]
    if len(bare):
        parts.append(f"Without a hypothesis: {', '.join(map(label, bare['experiment']))}.")
    if len(ruled):
        each = ruled["experiment"].map(label) + " (" + ruled["arm"].map(label) + ")"
        named = "; ".join(
            f"{verdict}: {', '.join(rows)}" for verdict, rows in each.groupby(ruled["verdict"])
        )
        parts.append(f"By the rule declared beforehand, for the next cycle: {named}.")
    return " ".join(parts)
