"""What the triangles of the cohort notebook show, in words: a function per picture or sentence."""

import pandas as pd

from helpers.chapters.cohort_tables import NAMES
from helpers.chapters.findings import nothing
from helpers.experiments.effects import newcombe
from helpers.measures.cohorts import Triangle
from helpers.measures.run_in import RunIn
from helpers.show import Finding, count, label, percent
from helpers.written import Formatter, alike


def run_in(found: RunIn) -> str:
    """Say how many of those who look new are old, had the files begun later."""
    table = found.old.dropna(subset="share")
    used = (
        "No cohort is left out of averages."
        if found.months == 0
        else f"The cohorts of the first {count(found.months)} months are left out of averages."
        if found.months > 1
        else "The first cohort is left out of averages."
    )
    if table.empty:
        return f"The history is too short to say who only looks new. {used} {found.reason}"
    first, last = table.iloc[0], table.iloc[-1]
    return (
        f"Had the files begun in the middle of this history, {percent(first['share'])} of those "
        f"who look new in the first month would have been old customers, and "
        f"{percent(last['share'])} in month {int(last['month'])}; more, if some had paused for "
        f"longer than the files reach back. {used} {found.reason}"
    )


def retention(triangle: Triangle) -> Finding:
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
        f"{_cohorts(far)}).",
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


def one_age(cohorts: pd.DataFrame, age: int) -> Finding:
    """One age over time: is month 1 getting better? A year's cohorts against the year before.

    At most the last twelve, so that no cohort stands on both sides. Halves of a history lie in
    other months of the year, and season alone would move them: without four cohorts that have one
    of a year before, no direction is given.
    """
    known = cohorts.dropna(subset="value")
    if len(known) < 4:
        return nothing("Fewer than four cohorts have reached that age: too few to see a direction.")
    dates = pd.to_datetime(known["cohort"])
    year_before = dates - pd.DateOffset(years=1)
    paired = year_before.isin(dates) & (dates > dates.max() - pd.DateOffset(years=1))
    earlier, later = known[dates.isin(year_before[paired])], known[paired]
    seasonal = len(later) < 4
    if seasonal:
        half = len(known) // 2
        earlier, later = known.iloc[:half], known.iloc[-half:]
    counts = []
    for part in (earlier, later):
        counts += [(part["value"] * part["customers"]).sum(), part["customers"].sum()]
    change, low, high = newcombe(*counts)
    rates = [counts[0] / counts[1], counts[2] / counts[3]]
    names = ("the earlier half of the cohorts", "the later half")
    if not seasonal:
        names = ("the cohorts of a year before", f"the last {len(later)} cohorts")
    word = "has risen" if low > 0 else "has fallen" if high < 0 else "does not move clearly"
    title = f"The share who buy in month {age} {word}"
    apart = ""
    if seasonal:
        title = f"The share who buy in month {age}, cohort by cohort"
        apart = " These are other months of the year, so the season may be all of it."
    return Finding(
        title,
        f"Line with band of retention in month {age} by cohort: {names[0]} "
        f"{percent(rates[0], 1)}, {names[1]} {percent(rates[1], 1)}.",
        f"Of {names[0]} {percent(rates[0], 1)} bought in month {age}, of {names[1]} "
        f"{percent(rates[1], 1)}: a change of {change * 100:+.1f} points (95% interval "
        f"{low * 100:+.1f} to {high * 100:+.1f}).{apart}",
    )


def layers(cake: pd.DataFrame, basis: str, money: Formatter) -> Finding:
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


def chosen_triangle(triangle: Triangle, measure: str, fmt: Formatter, missing: str) -> Finding:
    """The triangle of one measure and its pooled row, or the reason why there is none."""
    if missing:
        return nothing(missing)
    name = NAMES[measure]
    pooled = triangle.pooled.dropna(subset="value")
    pooled = pooled[pooled["customers"] > 0]
    if pooled.empty:
        return nothing("No cohort has lived through a whole step of age: come back later.")
    steps = triangle.age_unit == "days30"
    first, far = pooled.iloc[0], pooled[pooled.index <= (11 if steps else 12)].iloc[-1]
    start, end = (
        f"by day {30 * (row.name + 1)}" if steps else f"in month {row.name}" for row in (first, far)
    )
    value, low, high = alike(fmt, (far["value"], far["low"], far["high"]))
    interval = "" if pd.isna(far["low"]) else f"95% interval {low} to {high}, "
    return Finding(
        f"{name[0].upper()}{name[1:]}: {fmt(first['value'])} {start}, {value} {end}",
        f"Heat map of the {name} by cohort and {'30-day step' if steps else 'month'} of age: "
        f"pooled {fmt(first['value'])} {start}, {value} {end}.",
        f"Pooled, the {name} is {fmt(first['value'])} {start} and {value} {end} ({interval}"
        f"{count(far['customers'])} customers in {_cohorts(far)}). Later ages rest "
        "on fewer cohorts, so what is summed up may seem to fall.",
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


def cohort_payback(table: pd.DataFrame) -> str:
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


def channels_payback(table: pd.DataFrame, money: Formatter) -> Finding:
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


def _cohorts(pool: pd.Series) -> str:
    """Write how many cohorts stand behind a pooled figure."""
    number = int(pool["cohorts"])
    return f"{number} cohort{'s' * (number != 1)}"
