"""What the pictures of the cohort notebook show, in words: one function per picture or sentence."""

import pandas as pd

from helpers.chapters.cohort_tables import NAMES
from helpers.chapters.findings import Money, nothing
from helpers.experiments.effects import newcombe
from helpers.measures.cohorts import Triangle
from helpers.measures.run_in import RunIn
from helpers.show import Finding, count, label, percent
from helpers.summaries.behaviour import LATER_DAYS


def run_in(found: RunIn) -> Finding:
    """How many of those who look new are old, had the files begun later."""
    table = found.old.dropna(subset="share")
    used = (
        "No cohort is left out of averages."
        if found.months == 0
        else f"The cohorts of the first {count(found.months)} months are left out of averages."
        if found.months > 1
        else "The first cohort is left out of averages."
    )
    if table.empty:
        return nothing(f"The history is too short to say who only looks new. {used} {found.reason}")
    first, last = table.iloc[0], table.iloc[-1]
    return Finding(
        f"{percent(first['share'])} of the first to look new would be old, had the files "
        f"begun later",
        f"Line of the share of customers who look new but are old, by month after a pretended "
        f"start: {percent(first['share'])} in month 1, {percent(last['share'])} in month "
        f"{int(last['month'])}.",
        f"Had the files begun in the middle of this history, {percent(first['share'])} of "
        f"those who "
        f"look new in the first month would have been old customers, and "
        f"{percent(last['share'])} in month {int(last['month'])}; more, if some had paused for "
        f"longer than the files reach back. {used} {found.reason}",
    )


def layers(cake: pd.DataFrame, basis: str, money: Money) -> Finding:
    """Which cohorts the money of the last month came from."""
    if cake.empty or cake["joined"].nunique() < 2:
        return nothing("All customers joined in one period, so there are no layers to tell apart.")
    last = cake[cake["month"] == cake["month"].max()].set_index("joined")[basis]
    newest = cake["joined"].iloc[-1]
    total, old = last.sum(), last.drop(newest, errors="ignore").sum()
    if not total > 0:
        return nothing("The last month brought nothing, so there is nothing to divide.")
    share = old / total
    return Finding(
        f"Customers who joined before {newest} bring {percent(share)} of the last month",
        f"Stacked layers of {basis} by month, one per period of joining; in the last month "
        f"{money(total)}, of which {percent(share)} came from customers who joined before "
        f"{newest}.",
        f"Of {money(total)} in the last month {money(old)} came from customers who joined before "
        f"{newest}. The layers of a month add up to the month.",
    )


def any_triangle(triangle: Triangle, measure: str, fmt: Money, missing: str) -> Finding:
    """The chosen measure by cohort and age, or the reason why there is none."""
    if missing:
        return nothing(missing)
    name = NAMES[measure]
    pooled = triangle.pooled.dropna(subset="value")
    pooled = pooled[pooled["customers"] > 0]
    if pooled.empty:
        return nothing("No cohort has lived through a whole step of age: come back later.")
    first, last = pooled.iloc[0], pooled[pooled.index <= 12].iloc[-1]
    unit = "month" if triangle.age_unit == "month" else "step"
    return Finding(
        f"{name[0].upper()}{name[1:]}: first {fmt(first['value'])}, last {fmt(last['value'])}",
        f"Heat map of the {name} by cohort and {unit} of age: pooled {fmt(first['value'])} in "
        f"{unit} {int(first.name)}, {fmt(last['value'])} in {unit} {int(last.name)}.",
        f"Pooled, the {name} is {fmt(first['value'])} in {unit} {int(first.name)} "
        f"({count(first['customers'])} customers) and {fmt(last['value'])} in {unit} "
        f"{int(last.name)} ({count(last['customers'])} customers). Each cell with its interval "
        "stands in the table beside this page.",
    )


def traits(table: pd.DataFrame, curves: pd.DataFrame, name: str, needed: str) -> Finding:
    """Who stays: the values of one dimension beside each other."""
    drawn = table["value"].isin(curves["value"]) & (table["value"] != "unknown")
    known = table[drawn].dropna(subset="month_1")
    if len(known) < 2:
        return nothing(
            f"The shop's files tell fewer than two groups by {name} with enough customers apart. "
            f"For that it takes {needed}."
        )
    best, worst = known.loc[known["month_1"].idxmax()], known.loc[known["month_1"].idxmin()]
    apart = best["month_1_low"] > worst["month_1_high"]
    title = (
        f"{best['value']} customers come back more than {worst['value']} ones"
        if apart
        else "In month 1 no group comes back clearly more often than another"
    )
    rest = table[table["value"] == "other"]["customers"].sum()
    others = (
        f" The largest {count(len(table) - 1)} keep their names; the rest, {count(rest)} customers "
        f"({percent(rest / table['customers'].sum())}), stand together as other."
        if rest
        else ""
    )
    return Finding(
        title[:90],
        f"Lines of pooled retention by age in months, by {name}: in month 1 {best['value']} "
        f"{percent(best['month_1'], 1)}, {worst['value']} {percent(worst['month_1'], 1)}.",
        f"In month 1 {percent(best['month_1'], 1)} ({percent(best['month_1_low'], 1)} to "
        f"{percent(best['month_1_high'], 1)}) of {label(best['value'])} customers buy, "
        f"{percent(worst['month_1'], 1)} ({percent(worst['month_1_low'], 1)} to "
        f"{percent(worst['month_1_high'], 1)}) of {label(worst['value'])}. The largest and the "
        f"smallest were picked out of {count(len(known))}, so chance widens the gap.{others}",
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


def gaps(table: pd.DataFrame) -> Finding:
    """When next purchases come."""
    if table.empty or not table["share"].sum() > 0:
        return nothing("No gap between two purchases has been seen long enough.")
    first, last = table.iloc[0], table.iloc[-1]
    return Finding(
        f"{percent(first['share'])} of purchases are followed by another within "
        f"{int(first['until']) + 1} days",
        f"Bars of the share of purchases that the next one follows, by days: "
        f"{percent(first['share'])} in the first step, {percent(last['share'])} in the last.",
        f"{percent(first['share'])} of purchase days are followed by another within "
        f"{int(first['until']) + 1} days, {percent(table['share'].sum())} within "
        f"{int(last['until']) + 1}; the chance to come back in a step falls from "
        f"{percent(first['again'])} to {percent(last['again'])} of those still waiting. Frequent "
        "buyers weigh more here, with each of their purchases.",
    )


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


def later_value(table: pd.DataFrame, basis: str, money: Money, days: int = LATER_DAYS) -> str:
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


def onboarding(result: pd.DataFrame, money: Money) -> str:
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


def channels_payback(table: pd.DataFrame, money: Money) -> Finding:
    """Which channel has earned back its cost, and by when."""
    if table.empty:
        return nothing(
            "No marketing spend is recorded by channel, so no channel has a cost to earn back. A "
            "table marketing_spend (channel, starts_at, cost) turns this on."
        )
    back = table[table["state"] == "paid back"]
    names = "; ".join(
        f"{label(r.channel)} {r.in_words} (cost {money(r.cac)})" for r in table.itertuples()
    )
    slow = table.sort_values("days").iloc[-1]
    return Finding(
        f"{count(len(back))} of {count(len(table))} paid channels have earned back their cost",
        f"Lines of money per customer less cost of acquisition by age in days, one per channel, "
        f"crossing zero at payback; slowest {slow['channel']}, {slow['in_words']}.",
        f"Payback by channel, with the ages between which the interval holds zero: {names}. Ages "
        "are whole steps of thirty days, not interpolated.",
    )


def rfm(segments: pd.DataFrame, basis: str) -> Finding:
    """Who buys often and lately, and what share of the money they brought."""
    known = segments.dropna(subset="frequency")
    if known.empty:
        return nothing("Too few customers to rank them.")
    once = known[known["frequency"] == 1]
    best = known[
        (known["frequency"] == known["frequency"].max())
        & (known["recency"] == known["recency"].max())
    ]
    if known["frequency"].max() == 1:
        return nothing("Nobody has bought a second time, so there are no ranks of frequency.")
    share = once["share"].sum()
    held = (
        f"; the most frequent and most recent, {percent(best['share'].iloc[0])} of customers, "
        f"brought {percent(best['amount_share'].iloc[0])} of {basis}"
        if len(best)
        else ""
    )
    return Finding(
        f"{percent(share)} of customers have bought once",
        f"Heat map of customers by rank of frequency and recency: {percent(share)} bought "
        f"once{held}.",
        f"{percent(share)} of customers have bought once{held}. Ranks are relative: a fifth of the "
        "customers is always in the highest, whatever the month was like.",
    )


def states(shares: pd.DataFrame, least: int) -> Finding:
    """Where customers stand at the month's end."""
    if shares.empty:
        return nothing("No customer has bought anything yet.")
    last = shares[shares["month"] == shares["month"].max()].set_index("state")
    before = shares[shares["month"] == shares["month"].max() - pd.DateOffset(months=12)]
    before = before.set_index("state")
    at = {name: last.loc[name, "share"] for name in ("active", "cooling", "dormant")}
    few = any(0 < last.loc[name, "customers"] < least for name in at)
    if few:
        return nothing("Too few customers stand in each state to show them.")
    moved = ""
    if len(before) and before["customers"].sum() >= least:
        moved = f"; a year before {percent(before.loc['dormant', 'share'])} were dormant"
    return Finding(
        f"{percent(at['dormant'])} of all customers are dormant by their own pace",
        f"Lines of the share of customers by state and month: at the end {percent(at['active'])} "
        f"active, {percent(at['cooling'])} cooling, {percent(at['dormant'])} dormant.",
        f"At the month's end {percent(at['active'])} are active, {percent(at['cooling'])} cooling "
        f"and {percent(at['dormant'])} dormant{moved}. The dormant gather as a shop grows older: "
        "watch the moves, not the stock.",
    )


def moves(table: pd.DataFrame) -> str:
    """Say where the active and the dormant go within a month."""
    rows = table.set_index("state")
    if rows.empty or rows.loc[["active", "cooling"], "dormant"].isna().any():
        return "Too few customers to follow from month to month."
    woken = rows.loc["dormant", ["active", "reactivated"]].sum()
    back = (
        ""
        if pd.isna(rows.loc["dormant", "reactivated"])
        else f", {percent(woken, 1)} of the dormant return"
    )
    return (
        f"In a month {percent(rows.loc['active', 'cooling'], 1)} of the active begin to cool, "
        f"{percent(rows.loc['cooling', 'dormant'], 1)} of the cooling go dormant, "
        f"{percent(rows.loc['cooling', ['active', 'reactivated']].sum(), 1)} of them come back"
        f"{back}. Cooling customers are the ones whom a message still finds."
    )


def affinity(table: pd.DataFrame, level: str, basis: str, money: Money) -> str:
    """Say which pair goes together beyond chance, and what it brought."""
    plural = {"category": "categories", "product": "products"}[level]
    if table.empty:
        return (
            f"No pair of {plural} was bought by enough customers within the year, or "
            f"orders have no "
            f"column for it."
        )
    sure = table[(table["q_value"] < 0.05) & (table["lift_given_breadth"] > 1)]
    if sure.empty:
        return f"No pair of {plural} goes together more often than chance would bring it about."
    best = sure.iloc[0]
    return (
        f"{count(len(sure))} of {count(len(table))} pairs of {plural} go together beyond chance. "
        f"First {label(best['item'])} with {label(best['other'])}: "
        f"{count(best['customers'])} customers, {best['lift_given_breadth']:.2f} times as many as "
        f"customers of the same breadth would by chance, {money(best[basis])} of {basis} per "
        "customer with both. Together is not because of each other: only a test shows whether "
        "offering one sells the other."
    )


def leads_to(table: pd.DataFrame) -> str:
    """Say what first categories lead to."""
    if table.empty:
        return (
            "Orders name no category for enough customers, so what a first one leads to is unknown."
        )
    best = table.loc[table["again"].idxmax()]
    worst = table.loc[table["again"].idxmin()]
    if len(table) < 2:
        return f"All customers began with {label(best['first_category'])}."
    change, low, high = newcombe(
        worst["again"] * worst["customers"], worst["customers"],
        best["again"] * best["customers"], best["customers"],
    )  # fmt: skip
    sure = "" if low > 0 else ", a gap that chance alone may have made"
    return (
        f"Of those who begin with {label(best['first_category'])} "
        f"{percent(best['again'])} buy again "
        f"within half a year, of those with {label(worst['first_category'])} "
        f"{percent(worst['again'])}: {change * 100:.1f} points apart ({low * 100:.1f} to "
        f"{high * 100:.1f}){sure}."
    )


def shortcuts(table: pd.DataFrame, age: int) -> str:
    """Say what the usual ways of counting would have made of retention."""
    known = table.set_index("way of counting")["retention"]
    honest, kept, zeros = known.iloc[0], known.iloc[2], known.iloc[4]
    if pd.isna(honest):
        return (
            f"No cohort without older customers has lived through month {age}, so no retention is "
            "given; what the shortcuts say of it rests on cells that do not exist yet or on old "
            "customers."
        )
    first = known.iloc[1]
    middle = (
        f" With only the first cohort left out it would be {percent(first, 1)}."
        if abs(first - honest) > 5e-4
        else ""
    )
    return (
        f"Retention in month {age} is {percent(honest, 1)}.{middle} Zeros for what has "
        f"not happened "
        f"yet would have said {percent(zeros, 1)}, and keeping the first cohort "
        f"{percent(kept, 1)}."
    )
