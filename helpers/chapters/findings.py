"""What a picture shows, in words: titles, alternative texts and sentences computed from results.

One function per picture of the notebooks: frame in, `Finding` out. A finding without a title is a
sentence that says why there is no picture.
"""

from collections.abc import Callable

import pandas as pd

from helpers.experiments.effects import newcombe
from helpers.show import Finding, count, label, percent
from helpers.written import alike

Money = Callable[..., str]


def nothing(sentence: str) -> Finding:
    """Give the finding of a picture that cannot be drawn: only the sentence that says why."""
    return Finding("", "", sentence)


def together(money: Money, row: pd.Series, *names: str) -> list[str]:
    """Write amounts of one row with the same number of decimals."""
    return alike(money, [row[name] for name in names])


def month_of(day: object) -> str:
    """Write a month in words: June 2026."""
    return f"{pd.Timestamp(day):%B %Y}"


def _move(now: float, before: float) -> str:
    if not before > 0 or pd.isna(now):
        return "has nothing to compare with"
    change = now / before - 1
    if abs(change) < 0.005:
        return "is where it was"
    return f"is {'up' if change > 0 else 'down'} {percent(abs(change))}"


# --- 02: what customers have been worth ----------------------------------------------------------


def month_money(months: pd.DataFrame, basis: str, money: Money, *, warning: str = "") -> Finding:
    """Revenue or margin by month, the last month against the one before; a warning after it."""
    if months[basis].isna().all():
        return nothing("Every month has fewer customers than may be shown.")
    now = months.iloc[-1]
    before = months[basis].iloc[-2] if len(months) > 1 else float("nan")
    best = months.loc[months[basis].idxmax()]
    beside = f"; the month before {money(before)}" if pd.notna(before) else ""
    brought = f"{month_of(now['start'])} brought {money(now[basis])} of {basis}{beside}."
    return Finding(
        f"{basis.capitalize()} in {month_of(now['start'])} {_move(now[basis], before)}",
        f"Bars of {basis} by month; {month_of(now['start'])} {money(now[basis])}, the best month "
        f"{month_of(best['start'])} with {money(best[basis])}.",
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


def payback(economics: pd.DataFrame, money: Money) -> Finding:
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


# --- 03: cohorts ---------------------------------------------------------------------------------


def retention(triangle) -> Finding:
    """The retention triangle and its pooled row."""
    pooled = triangle.pooled[triangle.pooled["customers"] > 0]
    pooled = pooled[pooled.index > 0]
    if pooled.empty:
        return nothing(
            "No cohort has lived through a whole month after its first: come back later."
        )
    far = pooled.loc[12] if 12 in pooled.index else pooled.iloc[-1]
    age = far.name
    first = pooled.iloc[0]
    return Finding(
        f"{percent(far['value'])} of customers buy in month {age} after their first",
        f"Heat map of the share of customers who buy, by cohort and age in months: pooled "
        f"{percent(first['value'])} in month {first.name}, {percent(far['value'])} in month {age}.",
        f"Pooled over the cohorts that lived through it, {percent(first['value'])} bought in month "
        f"{first.name} and {percent(far['value'])} in month {age} (95% interval "
        f"{percent(far['low'])} to {percent(far['high'])}, {count(far['customers'])} customers in "
        f"{int(far['cohorts'])} cohorts).",
    )


def cohort_money(triangle, basis: str, money: Money) -> Finding:
    """The triangle of cumulative money per customer and its pooled row."""
    pooled = triangle.pooled[triangle.pooled["customers"] > 0].dropna(subset="value")
    if pooled.empty:
        return nothing("No cohort has lived through a whole step of age: come back later.")
    first, far = pooled.iloc[0], pooled[pooled.index <= 11].iloc[-1]
    days = 30 * (far.name + 1)
    return Finding(
        f"Cohorts have brought {money(far['value'])} of {basis} per customer by day {days}",
        f"Heat map of cumulative {basis} per customer by cohort and age in 30-day steps: pooled "
        f"{money(first['value'])} after 30 days, {money(far['value'])} after {days}.",
        f"Pooled, a customer brought {money(first['value'])} in the first 30 days and "
        f"{money(far['value'])} by day {days} (95% interval {money(far['low'])} to "
        f"{money(far['high'])}, {count(far['customers'])} customers in {int(far['cohorts'])} "
        "cohorts). Later ages rest on fewer cohorts, so the pooled row may even fall.",
    )


def one_age(cohorts: pd.DataFrame, age: int) -> Finding:
    """One age over time: is month 1 getting better? Earlier half of the cohorts against later."""
    known = cohorts.dropna(subset="value")
    if len(known) < 4:
        return nothing("Fewer than four cohorts have reached that age: too few to see a direction.")
    half = len(known) // 2
    counts = []
    for part in (known.iloc[:half], known.iloc[-half:]):
        counts += [(part["value"] * part["customers"]).sum(), part["customers"].sum()]
    change, low, high = newcombe(*counts)
    rates = [counts[0] / counts[1], counts[2] / counts[3]]
    word = "has risen" if low > 0 else "has fallen" if high < 0 else "does not move clearly"
    return Finding(
        f"The share who buy in month {age} {word}",
        f"Line with band of retention in month {age} by cohort: earlier half "
        f"{percent(rates[0], 1)}, later half {percent(rates[1], 1)}.",
        f"Of the earlier half of the cohorts {percent(rates[0], 1)} bought in month {age}, of the "
        f"later half {percent(rates[1], 1)}: a change of {change * 100:+.1f} points (95% interval "
        f"{low * 100:+.1f} to {high * 100:+.1f}).",
    )


def pooled_curve(curve: pd.DataFrame) -> Finding:
    """Retention by age, pooled over the cohorts that lived through it."""
    known = curve.dropna(subset="value")
    if len(known) < 2:
        return nothing("The cohorts are too young for a curve.")
    first, last = known.iloc[0], known[known["age"] <= 12].iloc[-1]
    end = known.iloc[-1]
    return Finding(
        f"Retention goes from {percent(first['value'])} in month {int(first['age'])} to "
        f"{percent(last['value'])} in month {int(last['age'])}",
        f"Line with band of pooled retention by age in months, from {percent(first['value'])} in "
        f"month {int(first['age'])} to {percent(last['value'])} in month {int(last['age'])}.",
        f"Month {int(first['age'])} rests on {count(first['customers'])} customers, month "
        f"{int(last['age'])} on {count(last['customers'])}, the last age on "
        f"{count(end['customers'])} of {int(end['cohorts'])} cohort"
        f"{'s' if end['cohorts'] != 1 else ''}.",
    )


def cohort_payback(table: pd.DataFrame, money: Money) -> str:
    """Say how many cohorts have paid back, and the typical age."""
    if table.empty:
        return (
            "No marketing spend is recorded, so no cohort has a cost to earn back. A table "
            "marketing_spend (channel, starts_at, cost) turns this on."
        )
    cohorts = table[table["cohort"] != "pooled"]
    back = cohorts[cohorts["state"] == "paid back"]
    waiting = cohorts[cohorts["state"] == "not yet"]
    median = f", half of them by day {int(back['days'].median())}" if len(back) else ""
    return (
        f"{count(len(back))} of {count(len(cohorts))} cohorts have earned back their cost{median}; "
        f"{count(len(waiting))} have not yet, and may still be too young."
    )


# --- 05: campaigns -------------------------------------------------------------------------------


def campaign_effects(table: pd.DataFrame, money: Money) -> Finding:
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


def campaign_power(table: pd.DataFrame, money: Money) -> str:
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
