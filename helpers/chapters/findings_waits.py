"""How customers wait for a purchase and find value, in words: one function per sentence."""

import pandas as pd

from helpers.chapters.findings import nothing
from helpers.show import Finding, count, label, percent
from helpers.summaries.behaviour import LATER_DAYS
from helpers.written import Formatter


def waits(second: pd.DataFrame, again: pd.DataFrame) -> Finding:
    """Waiting for the second purchase, and for the third."""
    if second.empty or not second["events"].sum():
        return nothing("Nobody has bought a second time yet.")

    def at(curve: pd.DataFrame, day: int) -> float:
        early = curve[curve["days"] <= day]
        return 1 - float(early["waiting"].iloc[-1]) if len(early) else 0.0

    day = int(min(90, second["days"].iloc[-1]))
    end, first = second.iloc[-1], at(second, day)
    third = "Too few have bought twice to follow them to a third purchase."
    alt = ""
    if len(again) and again["days"].iloc[-1] >= day:
        alt = f", for the third {percent(1 - at(again, day))}"
        third = (
            f"Of those who have, {percent(at(again, day))} buy a third time within as many days; "
            "who buys twice was likelier to from the start, so the second purchase need not be "
            "the cause."
        )
    return Finding(
        f"{percent(first)} have bought a second time by day {day}",
        f"Falling curves of the share still waiting: for the second purchase {percent(1 - first)} "
        f"at day {day}{alt}.",
        f"By day {day} {percent(first)} have bought a second time, by day {int(end['days'])} "
        f"{percent(1 - end['waiting'])}. {third} The curves end where too few are still waiting "
        "and observed; they may fall further.",
    )


def gaps(table: pd.DataFrame) -> str:
    """Say when next purchases come."""
    if table.empty or not table["share"].sum() > 0:
        return "No gap between two purchases has been seen long enough."
    first, last = table.iloc[0], table.iloc[-1]
    return (
        f"{percent(first['share'])} of purchase days are followed by another within "
        f"{int(first['until']) + 1} days, {percent(table['share'].sum())} within "
        f"{int(last['until']) + 1}; the chance to come back in a step falls from "
        f"{percent(first['again'])} to {percent(last['again'])} of those still waiting. Frequent "
        "buyers weigh more here, with each of their purchases."
    )


def windows(table: pd.DataFrame) -> str:
    """Say when the next order is to be expected."""
    known = table.dropna(subset="middle")
    if known.empty:
        return "Too few customers have bought again to say when the next order comes."
    first, last = known.iloc[0], known.iloc[-1]
    then = (
        f" After {last['after']} orders the middle half comes between day {int(last['opens'])} and "
        f"day {int(last['closes'])}."
        if len(known) > 1
        else ""
    )
    return (
        f"Of those who buy again within {int(first['horizon'])} days of the first order "
        f"({percent(first['again'])}), the middle half does between day {int(first['opens'])} and "
        f"day {int(first['closes'])}.{then} A message before the window opens comes too early for "
        "most, one after it closes too late."
    )


def calendar(table: pd.DataFrame) -> str:
    """Say what new customers hear from the shop, and when."""
    rows = table[table["messages"] > 0]
    if rows.empty:
        return (
            "No message to a new customer is recorded in their first month, so there is "
            "no calendar "
            "to look at. A table touchpoints (customer_id, kind, sent_at, campaign_id) "
            "turns this on."
        )
    none = table.loc[table["messages"] == 0, "days since first order"]
    gap = f" Nothing is sent on {', '.join(none)}." if len(none) else ""
    most = rows.loc[rows["messages"].idxmax()]
    return (
        f"Most messages to new customers go out on {most['days since first order']} "
        f"({count(most['messages'])}).{gap} A plan of the first fortnight asks for a "
        f"first value by "
        "day 3, a second by day 7, a touch on day 2, on day 7 and after a month."
    )


def later_value(table: pd.DataFrame, basis: str, money: Formatter, days: int = LATER_DAYS) -> str:
    """Say what activated customers were worth later, and that this is no effect."""
    if table.empty:
        return (
            "Too few customers have been seen for two weeks and half a year after them, activated "
            "or not, to compare what they brought later."
        )
    on, off = table.iloc[0], table.iloc[1]
    overlap = on["low"] <= off["high"] and off["low"] <= on["high"]
    word = "the intervals overlap" if overlap else "the intervals lie apart"
    return (
        f"In the {count(days)} days after their first two weeks, activated customers brought "
        f"{money(on['per_customer'])} of {basis} each ({money(on['low'])} to {money(on['high'])}), "
        f"the others {money(off['per_customer'])} ({money(off['low'])} to {money(off['high'])}); "
        f"{word}. This is selection, not an effect: who finds value early chose to, and differs. "
        "Only an experiment says what activating a customer earns."
    )


def onboarding(result: pd.DataFrame, money: Formatter) -> str:
    """Say what an onboarding experiment found, arm by arm."""
    if result.empty:
        return (
            "No experiment on onboarding is recorded (one whose id or name holds onboarding), so "
            "what onboarding earns is not known."
        )
    parts = []
    for row in result.to_dict("records"):
        name = label(row["arm"] or "the treated arm")
        if row["reason"] or pd.isna(row["low"]):
            parts.append(f"{name}: no figure, {row['reason'] or 'too few customers'}")
            continue
        parts.append(
            f"{name}: {money(row['difference'])} of margin per customer over control "
            f"({money(row['low'])} to {money(row['high'])}, {count(row['n'])} customers)"
        )
    return "What the experiment on onboarding found, drawn by lot: " + "; ".join(parts) + "."
