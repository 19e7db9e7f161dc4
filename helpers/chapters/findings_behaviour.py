"""What customers do, in words: ranks, states, products; one function per picture or sentence."""

import pandas as pd

from helpers.chapters.findings import nothing
from helpers.experiments.effects import newcombe
from helpers.show import Finding, count, label, percent
from helpers.written import Formatter


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


def affinity(table: pd.DataFrame, level: str, basis: str, money: Formatter) -> str:
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
