"""What the projections of the cohort notebook show, in words."""

import pandas as pd

from helpers.chapters.findings import nothing
from helpers.models.projection import Projection
from helpers.show import Finding, count, label, percent
from helpers.written import Formatter


def continued(
    projection: Projection | None, curves: pd.DataFrame, reason: str, what: str, fmt: Formatter
) -> Finding:
    """Cohorts carried on to later ages."""
    if projection is None:
        return nothing(f"No projection of {what} is given. {reason}")
    ahead = curves.dropna(subset="low")
    if ahead.empty:
        return nothing(f"Every cohort has lived through the ages asked for: no {what} to project.")
    newest = ahead["joined"].max()
    part = ahead[ahead["joined"] == newest]
    row = part[part["month"] <= 24].iloc[-1] if (part["month"] <= 24).any() else part.iloc[0]
    method = projection.method.replace("_", " ")
    return Finding(
        f"Cohort {newest} is expected at a {what} of {fmt(row['value'])} by month {row['month']}",
        f"Lines of {what} by month of life for {curves['joined'].nunique()} cohorts, "
        f"observed, then "
        f"projected with a band: cohort {newest} {fmt(row['value'])} in month {row['month']} "
        f"({fmt(row['low'])} to {fmt(row['high'])}).",
        f"Carried on by the method that the back-test chose ({method}), cohort {newest} "
        f"is expected at a {what} of {fmt(row['value'])} by month {row['month']} "
        f"({projection.level:.0%} interval for what the cohort will do: {fmt(row['low'])} to "
        f"{fmt(row['high'])}).",
    )


def backtest(table: pd.DataFrame, projection: Projection | None) -> str:
    """Say how far off the chosen method was on months that it had not seen."""
    if projection is None or table.empty:
        return "The history is too short to hide a part of it, so no method could be checked."
    rows = table[(table["hidden"] == "all") & table["chosen"]]
    if rows.empty:
        return "No method made a forecast that could be checked."
    row = rows.iloc[0]
    wider = (
        f" Its intervals held {percent(row['coverage'])} of what came and were made "
        f"{projection.widened:.1f} times as wide for that."
        if projection.widened >= 1.05
        else f" Its intervals held {percent(row['coverage'])} of what came."
    )
    return (
        f"On {count(row['forecasts'])} forecasts of months that were hidden from it, "
        f"{row['method']} was off by {percent(row['absolute_error'])} of what came, in total "
        f"{percent(abs(row['bias']))} too {'high' if row['bias'] > 0 else 'low'}.{wider}"
    )


def flagged(table: pd.DataFrame, what: str) -> str:
    """Say which cohorts rose above their forecast and want a new one."""
    if table.empty:
        return f"No forecast of {what} is old enough to be held against what came."
    above = table.loc[table["verdict"] == "above", "cohort"]
    below = int((table["verdict"] == "below").sum())
    names = ", ".join(f"{cohort:%Y-%m}" for cohort in above.sort_values())
    flag = (
        f"Cohorts above their band, which want a new forecast: {names}."
        if len(above)
        else "No cohort rose above its band, so none wants a new forecast for that."
    )
    return (
        f"Of {count(len(table))} forecasts made {int(table['made'].iloc[0])} steps ago "
        f"{count(len(table) - len(above) - below)} hold in their band what came; {count(below)} "
        f"stayed below it. {flag}"
    )


def channels_ahead(table: pd.DataFrame, basis: str) -> str:
    """Say what each paid channel's customers are expected to bring, and when that pays."""
    if table.empty:
        return (
            "No channel has a recorded cost and a history that can be carried on, so none is "
            "projected against what it costs."
        )
    late = table[table["paid_back"].str.startswith("not yet")]
    names = ", ".join(label(name) for name in late["channel"])
    when = "; ".join(f"{label(r.channel)} {r.paid_back}" for r in table.itertuples())
    never = f" Within three years not expected to: {names}." if names else ""
    return (
        f"A cohort has paid back when its {basis}, seen or expected, reaches its cost: {when}."
        f"{never} Cost counts as what was spent in the months of these cohorts."
    )
