"""How soon new customers find value: activation by cohort, time to first and second value."""

from datetime import date

import numpy as np
import pandas as pd

from helpers.measures import repurchase
from helpers.measures.metrics import Estimate, mean_interval, wilson
from helpers.show import count, percent

# Whether a cohort was activated is asked two weeks after the first order; the first value should
# come by the third day, the second by the seventh.
ACTIVATION_DAYS, FIRST_DAYS, SECOND_DAYS = 14, 3, 7


def by_cohort(waits: pd.DataFrame, *, as_of: date, least: int = 10) -> pd.DataFrame:
    """Give the activation rate of each cohort: reached step 1 within 14 days / new customers.

    One row per month of first order: start, customers, activated, rate, low, high (Wilson). The
    rate is missing for a cohort that has not wholly lived 14 days, or has fewer than ``least``
    customers.
    """
    rows = waits[waits["step"] == 1]
    reached = rows["event"].astype(bool) & (rows["days"] <= ACTIVATION_DAYS)
    sums = rows.assign(activated=rows["n"].where(reached, 0)).groupby("start")
    table = sums[["n", "activated"]].sum().rename(columns={"n": "customers"}).reset_index()
    over = pd.to_datetime(table["start"]) + pd.offsets.MonthEnd(0)
    over = over + pd.Timedelta(days=ACTIVATION_DAYS)
    known = (over <= pd.Timestamp(as_of)) & (table["customers"] >= max(least, 1))
    share = wilson(table["activated"], table["customers"].where(known, 0))
    return table.assign(
        activated=table["activated"].astype(float).where(known),
        rate=share.value, low=share.low, high=share.high,
    )  # fmt: skip


def reached(waits: pd.DataFrame, step: int, days: int, *, least: int = 10) -> Estimate:
    """Estimate which share of new customers reaches a step within so many days (Kaplan-Meier).

    Customers too young to tell count for the days they were seen. Missing where fewer than
    ``least`` have been seen for so long.
    """
    rows = waits[waits["step"] == step].assign(order_number=1)
    seen = int(rows.loc[(rows["days"] >= days) | rows["event"].astype(bool), "n"].sum())
    if seen < least:
        reason = f"Fewer than {least} new customers have been seen for {days} days."
        return Estimate(np.nan, np.nan, np.nan, seen, reason)
    return repurchase.repeat_within(rows, days)


def time_to_value(
    waits: pd.DataFrame, step: int = 1, *, share: float = 0.5, least: int = 10
) -> Estimate:
    """Find the days after which a share (half: the median) of new customers has reached a step.

    Kaplan-Meier, censored at the month's end, while at least ``least`` are still waiting; the
    interval is that of Brookmeyer and Crowley (1982): the days at which the curve's band holds the
    share. Missing, with a reason, where the share was not reached in the time seen.
    """
    rows = waits[waits["step"] == step]
    curve = repurchase.observed(repurchase.survival(rows), least)
    if curve.empty:
        return Estimate(np.nan, np.nan, np.nan, 0, "Too few new customers were seen.")

    def first(column: str) -> float:
        over = curve.loc[curve[column] <= 1 - share, "days"]
        return float(over.iloc[0]) if len(over) else np.nan

    n = int(rows["n"].sum())
    value, reason = first("waiting"), ""
    if np.isnan(value):
        so_far = 1 - float(curve["waiting"].iloc[-1])
        seen = f"{percent(so_far)} in the {count(curve['days'].iloc[-1])} days seen"
        reason = f"Fewer than {'half' if share == 0.5 else percent(share)} at all, {seen}."
    return Estimate(value, first("low"), first("high"), n, reason)


def later_value(table: pd.DataFrame, basis: str, *, least: int = 10) -> pd.DataFrame:
    """Give what customers brought after their first two weeks, activated in them or not.

    Of the summary activated_value: one row per group (name), customers, again (the share that
    ordered again), per_customer of ``basis`` with low and high (`mean_interval`), orders per
    customer. This is selection, not an effect: who finds value early would have bought more anyway.
    Empty unless both groups have ``least`` customers.
    """
    rows = table.assign(name=np.where(table["activated"], "activated", "not activated"))
    if len(rows) < 2 or rows["customers"].min() < max(least, 2):
        return pd.DataFrame(columns=["name", "customers", "again", "per_customer", "low", "high"])
    found = mean_interval(
        rows[basis], rows[f"{basis}_squares"], rows["customers"], cubes=rows[f"{basis}_cubes"]
    )
    rows = rows.assign(
        again=rows["buyers"] / rows["customers"], per_customer=found.value, low=found.low,
        high=found.high, orders=rows["orders"] / rows["customers"],
    )  # fmt: skip
    columns = ["name", "customers", "again", "per_customer", "low", "high", "orders"]
    return rows.sort_values("name", ignore_index=True)[columns]


# When new customers are to hear from the shop again, in days since the first order.
CALENDAR = {"day 0 to 1": (0, 1), "day 2": (2, 2), "day 3 to 6": (3, 6), "day 7": (7, 7),
            "day 8 to 14": (8, 14), "a month (28 to 31)": (28, 31)}  # fmt: skip


def calendar(touches: pd.DataFrame, customers: float, *, least: int = 10) -> pd.DataFrame:
    """Set out what new customers are sent, and when, beside the days of a first fortnight.

    One row per span of CALENDAR: days, messages, reached (messages per new customer; a customer may
    get several), opened and clicked (of those delivered), campaigns (the largest first). Figures
    are missing where fewer than ``least`` messages were sent. No row where none is recorded.
    """
    lines = []
    for name, (first, last) in CALENDAR.items() if len(touches) else ():
        rows = touches[touches["days"].between(first, last)]
        sent, delivered = float(rows["sent"].sum()), float(rows["delivered"].sum())
        enough = sent >= max(least, 1)
        kinds = rows.groupby("campaign")["sent"].sum().sort_values(ascending=False, kind="stable")
        named = ", ".join(kinds[kinds >= max(least, 1)].index[:3])
        opened, clicked = (
            float(rows[c].sum()) / delivered if enough and delivered else np.nan
            for c in ("opened", "clicked")
        )
        share = sent / customers if enough and customers else np.nan if sent else 0.0
        lines.append((name, sent if enough or sent == 0 else np.nan, share, opened, clicked, named))
    columns = [
        "days since first order",
        "messages",
        "per_customer",
        "opened",
        "clicked",
        "campaigns",
    ]
    return pd.DataFrame(lines, columns=columns)


def value_curve(waits: pd.DataFrame, *, most: int = 30, least: int = 10) -> pd.DataFrame:
    """Give the share that reached each step by day, with its band: step, days, share, low, high.

    From the day of the first order (0) to ``most``, while at least ``least`` are still waiting.
    """
    parts = []
    for step, name in ((1, "first value"), (2, "second value")):
        curve = repurchase.observed(repurchase.survival(waits[waits["step"] == step]), least)
        curve = curve[curve["days"] <= most]
        parts.append(
            pd.DataFrame(
                {"step": name, "days": curve["days"], "share": 1 - curve["waiting"],
                 "low": 1 - curve["high"], "high": 1 - curve["low"], "at_risk": curve["at_risk"]}
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def value_table(waits: pd.DataFrame, *, least: int = 10) -> pd.DataFrame:
    """Set out how soon new customers find value: what, figure, low, high, unit (share or days)."""
    lines = []
    for step, days, name in ((1, FIRST_DAYS, "First value"), (2, SECOND_DAYS, "Second value")):
        found = reached(waits, step, days, least=least)
        lines.append((f"{name} by day {days}", found, "share"))
        middle = time_to_value(waits, step, least=least)
        lines.append((f"{name}: median days", middle, "days"))
    return pd.DataFrame(
        [(what, e.value, e.low, e.high, unit, e.n, e.reason) for what, e, unit in lines],
        columns=["what", "figure", "low", "high", "unit", "n", "reason"],
    )
