"""What is said of the formula, of churn and of lifetimes; see `helpers.chapters.findings`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.chapters.change_tables import months_from
from helpers.chapters.findings import nothing
from helpers.chapters.what_if import MOVED, formula
from helpers.measures import lifetimes
from helpers.measures.ltv import FormulaValue
from helpers.measures.repurchase import Churn
from helpers.show import Finding, count, percent, ratio
from helpers.sliders import Lever, as_it_is
from helpers.written import Formatter, alike, month_name


def windows(table: pd.DataFrame, money: Formatter) -> str:
    """Say how much hangs on the choice of the inactivity window."""
    known = table.dropna(subset="days")
    if known.empty:
        why = table["reason"].iloc[0] if len(table) else "No purchase was followed by another."
        return f"No window can be tried, so what follows takes a year. {why}"
    first, last = known.iloc[0], known.iloc[-1]
    if len(known) == 1:
        return f"Only one window can be tried, of {count(first['days'])} days. {first['reason']}"
    if not (first["value"] > 0 and last["value"] > 0):
        why = " ".join(dict.fromkeys(text for text in known["reason"] if text))
        return (
            f"Windows of {count(first['days'])} to {count(last['days'])} days can be tried, and "
            f"the formula has no value for all of them: {why}"
        )
    short, long = alike(money, [first["value"], last["value"]])
    return (
        f"With a window of {count(first['days'])} days the formula says {short}, "
        f"with {count(last['days'])} days {long}: "
        f"{ratio(last['value'] / first['value'])} times as much, from the same purchases."
    )


def retention(table: pd.DataFrame) -> Finding:
    """Customers retained from month to month."""
    known = table.dropna(subset="crr")
    if len(known) < 2:
        return nothing(
            "History is not longer than the window by two months, so no month says who was kept."
        )
    now = known.iloc[-1]
    return Finding(
        f"{percent(now['crr'], 1)} of active customers were kept in {month_name(now['start'])}",
        f"Line with band of the share of active customers kept by month, {percent(now['crr'], 1)} "
        f"in {month_name(now['start'])}.",
        f"{month_name(now['start'])}: {count(now['at_start'])} active at the start (S), "
        f"{count(now['kept'])} of them kept, {count(now['new_active'])} new (N), "
        f"{count(now['back'])} came back, {count(now['at_end'])} at the end (E). Kept / S = "
        f"{percent(now['crr'], 1)}; (E - N) / S = {percent(now['crr_formula'], 1)}, which takes "
        "those who came back for kept.",
    )


def jumps(table: pd.DataFrame, money: Formatter, *, cap: float) -> str:
    """Say how far the formula's value jumps from month to month, and what smoothing does."""
    known = table.dropna(subset="value")
    kinds = [known[known["kind"] == kind]["value"] for kind in ("of the month", "smoothed")]
    if min(map(len, kinds)) < 2:
        return "Too few months have a churn to show what smoothing does."
    ends = alike(money, [end for each in kinds for end in (each.min(), each.max())])
    words = [f"{ends[0]} to {ends[1]}", f"{ends[2]} to {ends[3]}"]
    capped = int((known["note"].str.contains("cap", na=False)).sum())
    tail = f" The cap of {cap:g} months was used {count(capped)} times." if capped else ""
    return (
        f"With the churn of one month, the formula's value runs from {words[0]} over the months; "
        f"with churn smoothed over several, from {words[1]}.{tail}"
    )


def stages(table: pd.DataFrame, lost: pd.DataFrame) -> Finding:
    """Who leaves: after the first purchase, the second, and so on."""
    if len(lost) < 2:
        return nothing("Too few repeat purchases were followed to tell new customers from loyal.")
    first, last = lost.iloc[0], lost.iloc[-1]
    age = ""
    if len(table) > 1:
        ends = table.iloc[0], table.iloc[-1]
        age = (
            f" By time: {percent(ends[0]['churn'], 1)} a month in the first quarter as a customer, "
            f"{percent(ends[1]['churn'], 1)} in quarter {int(ends[1]['stage'])}."
        )
    word = "falls" if last["high"] < first["low"] else "does not clearly fall"
    return Finding(
        f"The share that leaves {word} from purchase 1 to {int(last['number'])}",
        f"Points with intervals of the share lost after each purchase: {percent(first['lost'])} "
        f"after the first, {percent(last['lost'])} after number {int(last['number'])}.",
        f"After the first purchase {percent(first['lost'])} leave, after number "
        f"{int(last['number'])} {percent(last['lost'])}.{age} Nobody need have changed: those who "
        "leave easily have left.",
    )


def one_rate_or_many(table: pd.DataFrame, observed: pd.Series, money: Formatter) -> str:
    """Say how far the formula goes wrong, and in which direction, for each churn."""
    if table.empty:
        return "Too few purchases were followed to tell one churn rate from many."
    made = table.iloc[-1]
    if pd.isna(made["value"]):
        words = ", ".join(f"{row['purchases']:.1f} {row['churn']}" for _, row in table.iterrows())
        return f"Without a margin only purchases of a life can be compared: {words}."
    parts = [
        f"{percent(abs(row['value'] / made['value'] - 1))} too "
        f"{'low' if row['value'] < made['value'] else 'high'} with the churn {row['churn']}"
        for _, row in table.iloc[:-1].iterrows()
        if made["value"] > 0 and pd.notna(row["value"])
    ]
    whole, brought = alike(money, [made["value"], observed["per_customer"]])
    seen = (
        f" By day {int(observed['horizon'])} customers have brought {brought}, with no assumption."
        if pd.notna(observed["per_customer"])
        else ""
    )
    return (
        f"If each customer has an own rate of leaving, a new one is worth {whole} "
        f"over a whole life. Against that, one rate for all is {'; '.join(parts)}.{seen}"
    )


def sensitivity(levers: Sequence[Lever], value: FormulaValue, money: Formatter) -> Finding:
    """How the formula answers to its three inputs."""
    if not levers:
        return nothing(f"Without a formula value there is nothing to vary. {value.reason}")
    base = as_it_is(levers)
    least = {lever.label: formula(**{**base, lever.name: lever.low}) for lever in levers}
    now, *texts = alike(money, [value.value, *least.values()])
    texts = dict(zip(least, texts, strict=True))
    return Finding(
        f"Cutting churn by {percent(MOVED, 0)} takes the formula from {now} to {texts['Churn']}",
        f"Three panels of the formula's value against churn, spend and margin rate; at "
        f"{percent(MOVED, 0)} less: "
        f"{', '.join(f'{name} {amount}' for name, amount in texts.items())}.",
        "Spend and margin move the value in proportion. Churn works as one over itself: the lower "
        "it is already, the more the next point brings, and the more an error in it costs.",
    )


def waits(table: pd.DataFrame) -> Finding:
    """How long customers wait for the next order."""
    if table.empty:
        return nothing("Nobody has bought a second time, so there is no time between orders.")
    top, first = table.loc[table["share"].idxmax()], table.iloc[0]
    early = f"within {int(first['days'])} days"
    return Finding(
        f"{percent(first['share'])} of waits for the next order end {early}",
        f"Bars of the share of waits for the next order by their length; most, "
        f"{percent(top['share'])}, at {top['wait']}.",
        f"{percent(first['share'])} end {early}, {percent(table['share'].sum())} within the "
        "longest shown; the rest is still open, or never ends. Waits that are still open count "
        "for the days they were seen.",
    )


def formula_terms(
    value: FormulaValue, churn: Churn, simple: dict[str, float], money: Formatter
) -> str:
    """Write the simple customer value with its figures: order value x frequency x lifespan."""
    if value.reason or not np.isfinite(simple["value"]):
        return f"The simple customer value cannot be given. {value.reason or churn.reason}"
    order, revenue, worth = alike(money, [simple["apv"], simple["value"], value.value])
    return (
        f"Order value {order} x {ratio(simple['pf'], 2)} purchases per active month x "
        f"{simple['months']:.1f} months of life = {revenue} of revenue; times the margin rate of "
        f"{percent(value.margin_rate, 1)} it is the formula's {worth}."
    )


def lives(life: lifetimes.Lifetime, since: object, until: object) -> str:
    """Say over how long a history lifetimes were seen."""
    months = months_from(since, until) + 1
    total = life.ended + life.open
    if not total:
        return "Nobody was followed for as long as the window, so no lifetime can be told."
    if not life.horizon:
        return (
            f"{count(life.ended)} of {count(total)} customers whose window could close have "
            f"ended. {life.restricted.reason}"
        )
    return (
        f"{count(life.ended)} of {count(total)} customers whose window could close have ended. A "
        f"history of {count(months)} months cannot show a longer life: the restricted mean counts "
        f"what was lived within {count(life.horizon)} days, and no more."
    )
