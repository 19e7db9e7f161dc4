"""Frames and sentences of the campaign uplift notebook, made from experiment readouts."""

import pandas as pd

from helpers import summaries
from helpers.errors import DataError, UsageError, nearest
from helpers.experiments import uplift
from helpers.show import count, label, percent
from helpers.study import Study

NEEDED = (
    "No experiment is recorded for this shop. To learn what a campaign earns, draw its customers "
    "at random into an arm that gets it and one that does not, and keep a table assignments "
    "(experiment_id, customer_id, arm, assigned_at) and a table experiments (experiment_id, "
    "window_days, cost_per_customer)."
)
WITHOUT = (
    "Without a control group one can say how many customers were reached, what they bought "
    "afterwards, and what the campaign cost. One cannot say what they would have bought anyway, so "
    "no return on a campaign stands on this page."
)


def read_all(study: Study) -> pd.DataFrame:
    """Read every experiment whose assignment has begun, the one that ended last first.

    An experiment with an arm below the shop's smallest group is left out: its figures would be
    those of persons.
    """
    moments = summaries.load(study, "experiment_moments")
    experiments = summaries.load(study, "experiment_list")
    few = moments["n"] < study.shop.privacy.min_cell
    moments = moments[~moments["experiment_id"].isin(moments.loc[few, "experiment_id"])]
    if moments.empty or experiments.empty:
        return uplift.readout(moments.head(0), experiments.head(0)).assign(name="", ended=pd.NaT)
    known = moments[moments["experiment_id"].isin(experiments["experiment_id"])]
    about = experiments.set_index("experiment_id")
    planned = {row.Index: _shares(row.planned_shares) for row in about.itertuples()}
    result = uplift.readout(known, experiments, planned_shares=planned)
    names = about["name"].fillna(about.index.to_series())
    result = result.assign(
        name=result["experiment_id"].map(names),
        ended=pd.to_datetime(result["experiment_id"].map(about["ended_date"])),
    )
    order = ["ended", "experiment_id", "arm"]
    return result.sort_values(order, ascending=[False, True, True], ignore_index=True)


def _shares(text: str | None) -> dict[str, float] | None:
    """Read planned shares written as ``control=1;mail=9``; missing where none are written."""
    if not isinstance(text, str):
        return None
    pairs = [part.partition("=") for part in text.split(";") if part.strip()]
    try:
        return {name.strip(): float(share) for name, _, share in pairs}
    except ValueError:
        raise DataError(
            f"experiments.planned_shares is '{label(text)}'; it must be as control=1;mail=9."
        ) from None


def choose(result: pd.DataFrame, experiment: str, study: Study) -> str:
    """Name the experiment to show in full: the one asked for, else the one that ended last.

    Empty where there is none. Raises UsageError for an experiment that is not in the data.
    """
    known = list(dict.fromkeys(result["experiment_id"]))
    if experiment and experiment not in known:
        raise UsageError(
            f"experiment is '{experiment}', and no such experiment has assignments by "
            f"{study.end}. Known: {', '.join(known) or 'none'}.{nearest(experiment, known)}"
        )
    over = result[result["ended"].notna() & (result["ended"] <= pd.Timestamp(study.end))]
    pool = over if len(over) else result
    return experiment or (pool["experiment_id"].iloc[0] if len(pool) else "")


def more_pages(study: Study, result: pd.DataFrame, shown: str) -> list[dict[str, str]]:
    """Name the other experiments that ended in the month: each gets a page of its own."""
    inside = result["ended"].between(pd.Timestamp(study.start), pd.Timestamp(study.end))
    names = result.loc[inside, "experiment_id"].unique()
    return [{"experiment": name} for name in sorted(names) if name != shown]


def sizes(result: pd.DataFrame) -> pd.DataFrame:
    """Give per experiment and treated arm: customers, balance before, and whether to trust it."""
    columns = ["experiment", "arm", "treated", "control", "sample_ratio_p", "balance", "verdict"]
    names = {"experiment_id": "experiment", "n": "treated", "control_n": "control"}
    return result.rename(columns=names).assign(verdict=verdicts(result))[columns]


def verdicts(result: pd.DataFrame) -> pd.Series:
    """Give each decision in a word or two: ship, stop, unseen, withheld."""
    short = result["decision"].where(~result["decision"].str.startswith("withheld"), "withheld")
    return short.replace(uplift.UNSEEN, "unseen")


def effects(result: pd.DataFrame) -> pd.DataFrame:
    """Give the effects that may be read: margin per customer over control, with interval."""
    shown = result[~result["decision"].str.startswith("withheld")]
    adjusted = shown["basis"] == "adjusted"
    columns = {"effect": "difference", "low": "low", "high": "high"}
    values = {
        name: shown[raw].where(
            ~adjusted, shown["adjusted" if name == "effect" else f"adjusted_{name}"]
        )
        for name, raw in columns.items()
    }
    names = shown["experiment_id"].astype(str) + ": " + shown["arm"].astype(str)
    keep = ["mean_margin", "control_margin", "smallest_effect", "net", "net_low", "net_high"]
    table = pd.DataFrame({"experiment": names, **values}).join(shown[[*keep, "decision"]])
    return table.reset_index(drop=True)


def recorded(result: pd.DataFrame) -> list[dict]:
    """Give what later pages need of each treated arm: its effect with interval, or the reason.

    One row per arm: experiment_id, arm, effect, low, high (margin per customer over control) and
    reason, empty where the effect may be read.
    """
    hidden = result["decision"].str.startswith("withheld")
    reason = result["decision"].str.removeprefix("withheld: ").where(hidden, "")
    keys = result[["experiment_id", "arm"]].assign(reason=reason)
    values = effects(result)[["effect", "low", "high"]].set_index(keys.index[~hidden])
    return keys.join(values).to_dict("records")


def withheld(result: pd.DataFrame) -> pd.DataFrame:
    """List the experiments whose effect is not shown, with the reason."""
    rows = result[result["decision"].str.startswith("withheld")]
    reason = rows["decision"].str.removeprefix("withheld: ")
    table = rows.assign(experiment=rows["experiment_id"], reason=reason)
    return table[["experiment", "arm", "reason"]].reset_index(drop=True)


def one(result: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """Give the rows of one experiment."""
    return result[result["experiment_id"] == experiment].reset_index(drop=True)


def arms(result: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """Give the arms of one experiment: customers, share who bought, margin per customer."""
    rows = one(result, experiment)
    if rows.empty:
        return pd.DataFrame(columns=["arm", "customers", "bought", "margin_per_customer"])
    first = rows.iloc[0]
    control = (f"{first['control_arm']} (control)", first["control_n"])
    lines = [(*control, first["control_conversion"], first["control_margin"])]
    lines += [(r.arm, r.n, r.conversion, r.mean_margin) for r in rows.itertuples()]
    return pd.DataFrame(lines, columns=["arm", "customers", "bought", "margin_per_customer"])


def card(study: Study, result: pd.DataFrame, experiment: str) -> str:
    """Say in a short text what one experiment believed, found and decides."""
    rows = one(result, experiment)
    if rows.empty:
        return needed(study)
    about = summaries.load(study, "experiment_list").set_index("experiment_id").loc[experiment]
    believed = f" Hypothesis: {label(about['hypothesis'], 200)}" if about["hypothesis"] else ""
    parts = [f"**{label(rows.iloc[0]['name'])}**, {int(about['window_days'])} days.{believed}"]
    for row in rows.itertuples():
        if row.decision.startswith("withheld"):
            parts.append(f"{label(row.arm)}: {row.decision}.")
            continue
        parts.append(
            f"{label(row.arm)}: {study.money(row.incremental_margin)} of margin over control "
            f"({study.money(row.incremental_low)} to {study.money(row.incremental_high)}), cost "
            f"{study.money(row.cost)}. Decision: **{row.decision}**."
        )
    return "\n\n".join(parts)


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


def counts_sentence(study: Study, result: pd.DataFrame) -> str:
    """Say how many experiments there are and how they were decided."""
    if result.empty:
        return needed(study)
    experiments = result["experiment_id"].nunique()
    found = verdicts(result).value_counts().sort_index()
    tally = ", ".join(f"{count(n)} {name}" for name, n in found.items())
    return f"{count(experiments)} experiments with {count(len(result))} treated arms: {tally}."


def saved_sentence(result: pd.DataFrame) -> str:
    """Say how much noise the margin before the campaign explains, and what that is worth."""
    saved = result["variance_saved"].dropna()
    if saved.empty:
        return "No experiment has customers with earlier purchases to adjust for."
    return (
        f"Taking earlier margin into account removed between {percent(saved.min())} and "
        f"{percent(saved.max())} of the variance; the effect it estimates is the same."
    )


def totals(result: pd.DataFrame) -> dict[str, int]:
    """Count experiments, treated arms that may be read, and decisions."""
    hidden = result["decision"].str.startswith("withheld")
    return {
        "experiments": result["experiment_id"].nunique(),
        "read": int((~hidden).sum()),
        "ship": int((result["decision"] == "ship").sum()),
        "unseen": int((result["decision"] == uplift.UNSEEN).sum()),
        "withheld": int(hidden.sum()),
    }


def checks(study: Study, result: pd.DataFrame) -> pd.DataFrame:
    """Check that arms hold every assigned customer once, and none is lost in the readout."""
    moments = summaries.load(study, "experiment_moments")
    experiments = summaries.load(study, "experiment_list")
    assigned = summaries.load(study, "assigned").set_index("experiment_id")["customers"]
    by_experiment = moments.groupby("experiment_id")["n"].sum()
    unknown = set(moments["experiment_id"]) - set(experiments["experiment_id"])
    shown = result["experiment_id"].unique()
    by_shown = by_experiment[by_experiment.index.isin(shown)]
    read = result["n"].sum() + result.groupby("experiment_id")["control_n"].first().sum()
    rows = [
        ("Assigned customers less customers in arms", (assigned - by_experiment).abs().sum()),
        ("Customers in the arms shown less customers in the readout", by_shown.sum() - read),
        ("Experiments with assignments but no declaration", len(unknown)),
        ("Customers put in more than one arm", moments["switched"].sum()),
    ]
    return pd.DataFrame(rows, columns=["check", "customers"])
