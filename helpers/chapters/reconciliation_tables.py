"""Frames and sentences of the reconciliation of orders with payments."""

from collections.abc import Callable

import pandas as pd

from helpers.show import count, percent

# Reason: what it means, and whether somebody has to look.
REASONS = {
    "same_day": ("paid in full, on the day of the order", False),
    "midnight": ("paid in full, one day apart: midnight, or a time zone", False),
    "another_day": ("paid in full, more than a day apart", False),
    "nothing_to_pay": ("an order of nothing, such as a free sample", False),
    "small": ("off by less than the tolerance", False),
    "known_after_the_month": ("the other side came after the month", False),
    "set_aside": ("the other side was set aside by cleaning", False),
    "currency": ("in another currency than the shop's", False),
    "test": ("a test, by its status", False),
    "not_settled": ("only payments that failed or are pending", False),
    "before_the_files": ("paid before the first order in the files", False),
    "netted": ("billing holds sale and refund in one sum", False),
    "refund_timing": ("sales agree, refunds do not (yet)", False),
    "tax_or_shipping": ("off by tax or shipping that the files leave out", False),
    "no_order_id": ("a payment that names no order", True),
    "missing_payment": ("an order without a payment", True),
    "unknown_order": ("a payment of an order that is nowhere in the files", True),
    "duplicate_payment": ("paid more than once, the same amount each time", True),
    "wrong_amount": ("paid, but not what was sold", True),
}
MONEY = ["order_money", "paid_money"]
WINDOW_DAYS = 7


def held(rows: pd.DataFrame) -> bool:
    """Say whether there is anything to hold orders against: any payment at all."""
    return bool(rows["paid_money"].ne(0).any())


def by_reason(rows: pd.DataFrame) -> pd.DataFrame:
    """Give every reason found: meaning, status, orders, money of both sides, gap, needs_a_look.

    ``gap`` is paid_money - order_money. Those that somebody has to look at come first. Empty
    without any payment.
    """
    rows = rows if held(rows) else rows.head(0)
    table = rows.groupby(["status", "reason"], as_index=False)[["orders", *MONEY]].sum()
    table["gap"] = _cents(table["paid_money"] - table["order_money"])
    table["meaning"] = [REASONS[reason][0] for reason in table["reason"]]
    table["needs_a_look"] = [REASONS[reason][1] for reason in table["reason"]]
    table = table.sort_values(
        ["needs_a_look", "orders", "reason"], ascending=[False, False, True], ignore_index=True
    )
    return table[["meaning", "status", "orders", *MONEY, "gap", "needs_a_look", "reason"]]


def by_day(rows: pd.DataFrame) -> pd.DataFrame:
    """Give every day from the first to the last: money of both sides, and the gap between them.

    ``paid_for_day`` is what was paid, on the day of the order it pays for; ``open_gap`` is
    paid_for_day - order_money without what became known after the month, and ``cumulative`` its
    running sum. ``timing`` is paid_money - paid_for_day: money that came on another day. Empty
    without any payment.
    """
    columns = [*MONEY, "paid_for_day"]
    if not held(rows):
        return pd.DataFrame(columns=["day", *columns, "open_gap", "cumulative", "timing"])
    known = rows["reason"] != "known_after_the_month"
    gap = (rows["paid_for_day"] - rows["order_money"]).where(known, 0.0)
    days = rows.assign(open_gap=gap).groupby("day")[[*columns, "open_gap"]].sum()
    span = pd.date_range(days.index.min(), days.index.max(), name="day")
    days = days.reindex(span, fill_value=0.0).round(6)
    days["open_gap"] = _cents(days["open_gap"])
    days["cumulative"] = _cents(days["open_gap"].cumsum())
    days["timing"] = _cents(days["paid_money"] - days["paid_for_day"])
    return days.reset_index()


def gap_began(days: pd.DataFrame, tolerance: float = 0.005) -> pd.Timestamp | None:
    """Find the day from which money is missing, or too much, for good; None if there is none.

    The share is the open gap of seven days over the orders' money of those days, either sign. A
    gap is for good if the share has been above ``tolerance`` every day up to the last, and for
    longer than the seven days that a single bad day stays in the window. It began on the first day
    of that run on which the gap itself was above the tolerance. A gap younger than eight days is
    not called yet.
    """
    gap = days["open_gap"].rolling(WINDOW_DAYS, min_periods=1).sum()
    sold = days["order_money"].rolling(WINDOW_DAYS, min_periods=1).sum()
    above = (gap.abs() > tolerance * sold.abs()).to_numpy()
    below = [i for i, over in enumerate(above) if not over]
    start = below[-1] + 1 if below else 0
    if len(above) - start <= WINDOW_DAYS:
        return None
    run = days.iloc[start:]
    off = run[run["open_gap"].abs() > tolerance * run["order_money"].abs()]
    return off["day"].iloc[0]


def sentence(rows: pd.DataFrame, money: Callable[..., str]) -> str:
    """Say how much of the orders' money agrees with billing, and what somebody has to look at."""
    if not held(rows):
        return (
            "No payment is recorded, so orders cannot be held against billing. A table payments "
            "(payment_id, order_id, paid_at, amount) turns this section on."
        )
    table = by_reason(rows)
    look = table[table["needs_a_look"]]
    agreed = table.loc[table["status"] == "matched", "orders"].sum() / table["orders"].sum()
    total = table[MONEY].sum()
    text = (
        f"{percent(agreed, 2 if 0.999 < agreed < 1 else 1)} of {count(table['orders'].sum())} "
        f"orders agree with what was paid: {money(total['order_money'])} sold and "
        f"{money(total['paid_money'])} paid, net of refunds. "
    )
    if look.empty:
        return text + "Whatever differs has an explanation."
    found = "; ".join(f"{row.meaning} ({count(row.orders)})" for row in look.itertuples())
    return text + f"To be looked at: {found}."


def gap_sentence(began: pd.Timestamp | None, days: pd.DataFrame, money: Callable[..., str]) -> str:
    """Say since when shop and billing drift apart, or that they do not."""
    if days.empty:
        return "There is no day to compare."
    rest = days["cumulative"].iloc[-1]
    if began is None:
        return (
            f"Shop and billing do not drift apart; over all days {money(abs(rest))} "
            f"{'more' if rest > 0 else 'less'} was paid than sold."
            if rest
            else "Shop and billing do not drift apart: over all days the same was paid and sold."
        )
    since = days[days["day"] >= began]
    gap = since["open_gap"].sum()
    word = "missing" if gap < 0 else "too much"
    return (
        f"Since {began:%d %B %Y} billing and orders drift apart: {money(abs(gap))} is {word}, "
        f"{percent(abs(gap) / since['order_money'].sum())} of what was sold from that day on. Look "
        "for a payment method or a channel that stopped reaching one of the two files that day."
    )


def alerts(rows: pd.DataFrame, money: Callable[..., str], *, tolerance: float = 0.005) -> list[str]:
    """List what about payments needs a look before any figure is read; empty if nothing does."""
    if not held(rows):
        return []
    days = by_day(rows)
    began = gap_began(days, tolerance)
    found = [] if began is None else [gap_sentence(began, days, money)]
    table = by_reason(rows)
    open_gap = table.loc[table["needs_a_look"], "gap"].abs().sum()
    sold = table["order_money"].sum()
    if not found and sold > 0 and open_gap > tolerance * sold:
        found.append(
            f"{money(open_gap)} of orders and payments, {percent(open_gap / sold)} of what was "
            "sold, do not agree and have no explanation: see 01."
        )
    return found


def _cents(amounts: pd.Series) -> pd.Series:
    return amounts.astype("float64").round(6) + 0.0
