"""What a picture shows, in words: titles, alternative texts and sentences computed from results.

One function per picture of the notebooks: frame in, `Finding` out. A finding without a title is a
sentence that says why there is no picture.
"""

import pandas as pd

from helpers.show import Finding, count, label, percent
from helpers.written import Formatter, alike, month_name


def nothing(sentence: str) -> Finding:
    """Give the finding of a picture that cannot be drawn: only the sentence that says why."""
    return Finding("", "", sentence)


def together(money: Formatter, row: pd.Series, *names: str) -> list[str]:
    """Write amounts of one row with the same number of decimals."""
    return alike(money, [row[name] for name in names])


def _move(now: float, before: float) -> str:
    if not before > 0 or pd.isna(now):
        return "has nothing to compare with"
    change = now / before - 1
    if abs(change) < 0.005:
        return "is where it was"
    return f"is {'up' if change > 0 else 'down'} {percent(abs(change))}"


# --- 02: what customers have been worth ----------------------------------------------------------


def month_money(
    months: pd.DataFrame, basis: str, money: Formatter, *, warning: str = ""
) -> Finding:
    """Revenue or margin by month, the last month against the one before; a warning after it."""
    if months[basis].isna().all():
        return nothing("Every month has fewer customers than may be shown.")
    now = months.iloc[-1]
    before = months[basis].iloc[-2] if len(months) > 1 else float("nan")
    best = months.loc[months[basis].idxmax()]
    beside = f"; the month before {money(before)}" if pd.notna(before) else ""
    brought = f"{month_name(now['start'])} brought {money(now[basis])} of {basis}{beside}."
    return Finding(
        f"{basis.capitalize()} in {month_name(now['start'])} {_move(now[basis], before)}",
        f"Bars of {basis} by month; {month_name(now['start'])} {money(now[basis])}, the best month "
        f"{month_name(best['start'])} with {money(best[basis])}.",
        f"{brought} {warning}".strip(),
    )


def repeats(rows: pd.DataFrame) -> Finding:
    """The share of customers who buy a second time within so many days."""
    known = rows.dropna(subset="share")
    if known.empty:
        return nothing("No customer has been observed long enough to see a second purchase.")
    last = known.iloc[-1]
    first = known.iloc[0]
    return Finding(
        f"{percent(last['share'])} of customers buy again within {last['days']} days",
        f"Points with intervals: share who bought again within {first['days']} days "
        f"{percent(first['share'])}, within {last['days']} days {percent(last['share'])}.",
        f"Within {last['days']} days {percent(last['share'])} buy again (95% interval "
        f"{percent(last['low'])} to {percent(last['high'])}); within {first['days']} days it is "
        f"{percent(first['share'])}.",
    )


def payback(economics: pd.DataFrame, money: Formatter) -> Finding:
    """What a customer costs and earns by channel with spend."""
    if economics.empty or "cac" not in economics:
        return nothing(
            "No marketing spend is recorded, so there is no cost of acquisition and no payback. "
            "A table marketing_spend (channel, starts_at, cost) turns this section on."
        )
    total = economics.loc["blended"]
    if pd.isna(total["ltv"]):
        return nothing(f"What a customer earns cannot be set against its cost: {total['reason']}")
    cost, ltv, low, high = together(money, total, "cac", "ltv", "ltv_low", "ltv_high")
    covered = "covers" if total["ltv_low"] > total["cac"] else "does not surely cover"
    when = (
        f"paid back after {int(total['payback_age'])} days"
        if total["payback_state"] == "paid back"
        else f"not paid back in the {int(total['payback_at_least'])} days seen"
        if total["payback_state"] == "not yet"
        else "payback unknown"
    )
    return Finding(
        f"What a customer earns {covered} the cost of winning one",
        f"Bars beside each other by channel: cost of acquisition and value; blended cost "
        f"{cost}, value {ltv}.",
        f"All channels together, a new customer cost {cost} and earned {ltv} ({low} to {high}): "
        f"{when}.",
    )


# --- 05: campaigns -------------------------------------------------------------------------------


def campaign_effects(table: pd.DataFrame, money: Formatter) -> Finding:
    """The effects of all experiments that may be read."""
    if table.empty:
        return nothing("No experiment has an effect that may be read.")
    sure = table[(table["low"] > 0) | (table["high"] < 0)]
    best = table.loc[table["effect"].idxmax()]
    return Finding(
        f"{count(len(sure))} of {count(len(table))} treated arms have an interval clear of zero",
        f"Points with intervals of margin per customer over control, one per treated arm; the "
        f"highest {best['experiment']} with {money(best['effect'])}.",
        f"The largest effect is that of {label(best['experiment'])}: {money(best['effect'])} of "
        f"margin per customer ({money(best['low'])} to {money(best['high'])}). It was picked as "
        f"the largest of {count(len(table))}, so it is likely a little too high, and about one in "
        "twenty intervals misses the truth.",
    )


def campaign_power(table: pd.DataFrame, money: Formatter) -> str:
    """Say what the experiments could have seen."""
    if table.empty:
        return "There is nothing to judge the size of."
    share = table["smallest_effect"] / table["control_margin"].where(table["control_margin"] > 0)
    return (
        f"The smallest effects that these tests find four times out of five lie between "
        f"{money(table['smallest_effect'].min())} and {money(table['smallest_effect'].max())} per "
        f"customer, {percent(share.min())} to {percent(share.max())} of the control's margin. "
        "A smaller effect may be there and missed, or not be there."
    )
