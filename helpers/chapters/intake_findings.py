"""What the pictures of notebook 01 show, in words: what came in, and can it be relied on?

One function per picture: frame in, `Finding` out.
"""

import math

import pandas as pd
from scipy import stats

from helpers.chapters import naive, reconciliation_tables
from helpers.chapters.findings import nothing
from helpers.show import Finding, count, percent
from helpers.written import Formatter


def kept(steps: pd.DataFrame, money: Formatter) -> Finding:
    """Revenue from the files to what the month sees, step by step."""
    came, seen = steps.iloc[0], steps.iloc[-1]
    clean = steps[steps["step"] == "Clean"].iloc[0]
    less = steps[steps["kind"] == "less"].iloc[:-1]
    out, later = -less["rows"].sum(), clean["rows"] - seen["rows"]
    sentence = (
        f"Of {count(came['rows'])} lines worth {money(came['revenue'])}, {count(out)} were taken "
        f"out and {count(later)} became known only after the month. This month sees "
        f"{count(seen['rows'])} lines worth {money(seen['revenue'])}."
    )
    if not out:
        return nothing(sentence)
    share = out / came["rows"]
    worst = less.loc[less["revenue"].abs().idxmax()]
    return Finding(
        f"{percent(share, 2 if share < 0.01 else None)} of the order lines were taken out",
        f"Waterfall of revenue from {money(came['revenue'])} in the files to "
        f"{money(seen['revenue'])} seen by this month; the largest step: "
        f"{worst['step'].removeprefix('Less: ')} ({money(worst['revenue'])}).",
        sentence,
    )


def quiet(days: pd.DataFrame) -> Finding:
    """Orders by day over the last three months, and days without any beyond what chance gives.

    Chance: with a mean of m orders a day, exp(-m) of the days have none (Poisson); as many as were
    found, or more, come once in a thousand times at the most where the export has to be looked at.
    """
    mean, empty = days["orders"].mean(), int((days["orders"] == 0).sum())
    busiest = days.loc[days["orders"].idxmax()]
    expected = len(days) * math.exp(-mean)
    if empty and stats.poisson.sf(empty - 1, expected) < 0.001:
        title = f"{count(empty)} of the last {len(days)} days had no order: check the export"
    elif empty:
        title = f"{count(empty)} of the last {len(days)} days had no order, as chance would give"
    else:
        title = f"Every one of the last {len(days)} days has orders"
    return Finding(
        title,
        f"Line of orders by day over {len(days)} days: mean {mean:.1f}, most "
        f"{count(busiest['orders'])} on {busiest['start']:%d %B %Y}, {empty} without.",
        f"On average {mean:.1f} orders came in a day; {empty} of {len(days)} days had none, and "
        f"chance would leave about {expected:.1f} empty.",
    )


def gap(rows: pd.DataFrame, money: Formatter, *, tolerance: float = 0.005) -> Finding:
    """The running gap between what was paid and what was sold, by day."""
    sentence = reconciliation_tables.sentence(rows, money)
    if not reconciliation_tables.held(rows):
        return nothing(sentence)
    days = reconciliation_tables.by_day(rows)
    began = reconciliation_tables.gap_began(days, tolerance)
    drift = reconciliation_tables.gap_sentence(began, days, money)
    title = (
        "Shop and billing agree day by day, single orders aside"
        if began is None
        else f"Shop and billing drift apart from {began:%d %B %Y} on"
    )
    low, high = days["cumulative"].min(), days["cumulative"].max()
    return Finding(
        title,
        f"Line of money paid less money sold, added up from {days['day'].min():%d %B %Y} to "
        f"{days['day'].max():%d %B %Y}: between {money(low)} and {money(high)}, at the end "
        f"{money(days['cumulative'].iloc[-1])}.",
        f"{sentence} {drift}",
    )


def consent_by_channel(table: pd.DataFrame) -> Finding:
    """The share of customers who consented, by acquisition channel (`consent.by_channel`)."""
    known = table.dropna(subset="share") if len(table) else table
    if len(known) < 2:
        return nothing("Fewer than two channels have enough customers to compare their consent.")
    low, high = known.loc[known["share"].idxmin()], known.loc[known["share"].idxmax()]
    every = known["granted"].sum() / known["customers"].sum()
    return Finding(
        f"Between {percent(low['share'])} and {percent(high['share'])} of customers have "
        "consented, by channel",
        f"Bars of the share of customers who consented, by channel: {high['channel']} "
        f"{percent(high['share'])}, {low['channel']} {percent(low['share'])}.",
        f"Of {count(known['customers'].sum())} customers {percent(every)} have consented; a list "
        "to write to holds only those, and what they do need not be what all customers do.",
    )


def shortcuts(found: naive.Choices) -> Finding:
    """How far off each naive choice would have been, in percent of the honest figure."""
    table = found.table
    sentence = naive.sentence(found)
    if table.empty:
        return nothing(sentence)
    worst = naive.worst(found)
    first = worst.iloc[0]
    return Finding(
        f"{count((table['error'].abs() > 0.1).sum())} usual shortcuts would be off by more than "
        "a tenth here",
        f"Bars of the error of {count(len(worst))} shortcuts against the honest figure; the "
        f"largest: {first['choice']}, {first['error']:+.1%}.",
        sentence,
    )
