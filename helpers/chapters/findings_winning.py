"""What winning customers took, in words: cost by channel, leads, plan."""

import pandas as pd

from helpers.chapters.findings import nothing, together
from helpers.measures.cac import NO_OVERHEAD
from helpers.show import Finding, count, label, percent
from helpers.written import Formatter, alike, month_name

NO_SPEND = (
    "No marketing spend is recorded, so there is no cost of a customer, a click or a lead. A table "
    "marketing_spend (channel, starts_at, cost, clicks, leads) turns this section on."
)
NO_PLAN = (
    "Nothing was planned for this year so far as these files know, so spend cannot be held against "
    "a plan. A table budget (channel, month, planned) turns this section on."
)


def cost_by_channel(channels: pd.DataFrame, ways: pd.DataFrame, money: Formatter) -> Finding:
    """What a customer costs by channel, and how the ways to count it differ."""
    if ways.empty:
        return nothing(NO_SPEND)
    words = ways_sentence(ways, money)
    known = channels.dropna(subset="cac").sort_values("cac")
    if known.empty:
        return nothing(f"No channel with spend has enough new customers to be shown. {words}")
    low, high = known.iloc[0], known.iloc[-1]
    ends = ("cac", "cac_low", "cac_high")
    texts = alike(money, [each[name] for each in (low, high) for name in ends])
    title = f"A customer of {low['channel']} costs {texts[0]}"
    if len(known) > 1 and high["cac_low"] > low["cac_high"]:
        title = f"A customer costs more in {high['channel']} than in {low['channel']}"
    elif len(known) > 1:
        title = "No difference in what a customer costs shows between channels"
    return Finding(
        title[:90],
        f"Points with intervals of cost per new customer by channel: {low['channel']} "
        f"{texts[0]}, {high['channel']} {texts[3]}.",
        f"A new customer cost {texts[0]} in {label(low['channel'])} ({texts[1]} to {texts[2]}) "
        f"and {texts[3]} in {label(high['channel'])} ({texts[4]} to {texts[5]}). {words}",
    )


def ways_sentence(ways: pd.DataFrame, money: Formatter) -> str:
    """Say what a customer costs by each way to count it, and which way is not known."""
    rows = ways.set_index("way")
    known = []
    for way, row in rows[rows["cac"].notna()].iterrows():
        each, low, high = together(money, row, "cac", "low", "high")
        known.append(f"{way} {each} ({low} to {high})")
    first, last = (month_name(rows[name].iloc[0]) for name in ("first_month", "last_month"))
    span = f"From {first} to {last}"
    said = f"{span}, a customer cost: {', '.join(known)}." if known else rows["reason"].iloc[0]
    if rows.loc["fully loaded", "reason"] == NO_OVERHEAD:
        said += (
            " What people, tools and agencies cost stands nowhere, so there is no fully loaded "
            "figure: `overhead_per_month` or `overhead_share_of_spend` under `[acquisition]` in "
            "shop.toml turns it on."
        )
    return said


def leads_sentence(leads: pd.DataFrame) -> str:
    """Say which leads convert most, what became of all, or what it would take to know."""
    if leads.empty:
        return (
            "No leads are recorded. A table leads (lead_id, at, channel, product, cost, "
            "customer_id once converted) shows what a lead costs and how many convert."
        )
    known = leads.dropna(subset="conversion").sort_values("conversion", kind="stable")
    totals = leads[["leads", "converted", "fresh", "aged", "existing"]].sum()
    states = (
        f"Of {count(totals['leads'])} leads {count(totals['converted'])} became customers, "
        f"{count(totals['fresh'])} are too young to tell, {count(totals['aged'])} have aged "
        f"without converting, and {count(totals['existing'])} were customers before."
    )
    if known.empty:
        return states
    best, worst = known.iloc[-1], known.iloc[0]
    return (
        f"{states} Within thirty days {percent(best['conversion'])} "
        f"({percent(best['low'])} to {percent(best['high'])}) of {label(best['lead'])} convert, "
        f"{percent(worst['conversion'])} ({percent(worst['low'])} to {percent(worst['high'])}) of "
        f"{label(worst['lead'])}. The cost here is that of the leads themselves, not of the "
        "channel's spend."
    )


def plan(table: pd.DataFrame, month: str, money: Formatter) -> Finding:
    """What was spent against what was planned: the month, the year to date, and the unplanned."""
    if table.empty:
        return nothing(NO_PLAN)
    total = table.set_index("channel").loc["all"]
    if pd.isna(total["spent"]):
        return nothing(f"Spend cannot be held against the plan: {NO_SPEND}")
    now = month_name(month)
    year = (
        f"for the year so far {money(total['year_spent'])} against {money(total['year_planned'])}"
    )
    loose = table[(table["unplanned"] > 0) & (table["channel"] != "all")]
    named = "Nothing was spent on a channel in a month without a plan for it."
    if len(loose):
        names = ", ".join(f"{label(r.channel)} ({money(r.unplanned)})" for r in loose.itertuples())
        named = f"Spent without a plan for the month: {names}."
    if not total["planned"] > 0:
        return nothing(f"Nothing was planned for {now}; {year}. {named}")
    apart = total["over"] / total["planned"]
    where = "on plan" if abs(apart) < 0.005 else (
        f"{percent(abs(apart))} {'above' if apart > 0 else 'below'} plan"
    )  # fmt: skip
    return Finding(
        f"Spend in {now} is {where}",
        f"Bars of planned and spent money by channel in {now}: planned "
        f"{money(total['planned'])} in all, spent {money(total['spent'])}.",
        f"{now} took {money(total['spent'])} against {money(total['planned'])} planned, {year}. "
        f"{named}",
    )
