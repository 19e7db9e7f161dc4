"""How customers behave: ranks of recency, frequency and money, states, and what comes next."""

import numpy as np
import pandas as pd

from helpers.measures.metrics import wilson
from helpers.measures.withheld import HELD, withhold

STATES = ("new", "active", "cooling", "dormant", "reactivated")


def rfm_segments(cells: pd.DataFrame, *, value: str = "revenue", least: int = 10) -> pd.DataFrame:
    """Sum customers up by rank of recency and frequency: who they are and what they brought.

    One row per frequency (1: one purchase; the others in ranks from seldom to often) and recency
    (1 longest ago): segment, frequency, recency, customers, share, amount (``value`` so far),
    amount_share, per_customer, purchases (mean), idle_days (mean days since the last purchase),
    top_money (the share of them in the highest rank of money).
    Rows of fewer than ``least`` customers, and those that protect them, stand in a last row.
    """
    keys = ["frequency", "recency"]
    cells = cells.assign(top=cells["customers"].where(cells["money"] == cells["money"].max(), 0))
    names = ["customers", value, "purchases", "idle_days", "top"]
    sums = cells.groupby(keys)[names].sum().reset_index()
    sums = sums.rename(columns={value: "amount"})
    sums["segment"] = [
        f"{_often(f, sums['frequency'].max())}, {_recent(r, sums['recency'].max())}"
        for f, r in zip(sums["frequency"], sums["recency"], strict=True)
    ]
    added = ["amount", "purchases", "idle_days", "top"]
    shown = withhold(sums, persons="customers", sums=added, key="segment", least=least)
    number = shown["customers"].where(shown["customers"] > 0)
    return shown.assign(
        share=shown["customers"] / sums["customers"].sum(),
        amount_share=shown["amount"] / sums["amount"].sum() if sums["amount"].sum() > 0 else np.nan,
        per_customer=shown["amount"] / number,
        purchases=shown["purchases"] / number,
        idle_days=shown["idle_days"] / number,
        top_money=shown["top"] / number,
    )[
        ["segment", "customers", "share", "amount_share", "per_customer", "purchases",
         "idle_days", "top_money", "frequency", "recency"]
    ]  # fmt: skip


def _often(rank: int, most: int) -> str:
    return "one purchase" if rank == 1 else f"repeat rank {rank - 1} of {most - 1}"


def _recent(rank: int, most: int) -> str:
    words = {1: "longest ago", most: "most recent"}
    return words.get(rank, f"recency {rank} of {most}") if most > 1 else "all alike"


def rfm_grid(segments: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lay segments out as a grid: customers by frequency (rows) and recency, and cell states."""
    known = segments.dropna(subset=["frequency", "recency"])
    if known.empty:
        return pd.DataFrame(), pd.DataFrame()
    rows, columns = (range(1, int(known[name].max()) + 1) for name in ("frequency", "recency"))
    grid = known.pivot(index="frequency", columns="recency", values="customers")
    grid = grid.reindex(index=rows, columns=columns).astype(float)
    held = segments["segment"].str.startswith(HELD).any()
    # A cell without a row holds nobody, unless rows were withheld: then which it is stays open.
    states = pd.DataFrame("", index=grid.index, columns=grid.columns)
    states = states.mask(grid.isna(), "suppressed") if held else states
    grid = grid if held else grid.fillna(0.0)
    most = len(rows)
    names = ["one purchase", *(f"repeat, rank {n - 1} of {most - 1}" for n in rows if n > 1)]
    return grid.set_axis(names[: len(grid)]), states.set_axis(names[: len(grid)])


def state_shares(moves: pd.DataFrame) -> pd.DataFrame:
    """Give the states of customers at every month's end: month, state, customers, share."""
    rows = moves.assign(month=pd.to_datetime(moves["month"]))
    sums = rows.groupby(["month", "state"])["customers"].sum().unstack(fill_value=0)
    sums = sums.reindex(columns=list(STATES), fill_value=0)
    long = sums.stack().rename("customers").reset_index()
    total = long.groupby("month")["customers"].transform("sum")
    return long.assign(share=long["customers"] / total.where(total > 0))


def moves_table(
    moves: pd.DataFrame, *, months: int = 12, least: int = 10, last: object = None
) -> pd.DataFrame:
    """Say where customers of each state stand a month later, over the last so many months.

    One row per state at a month's end, one column per state a month later: the share of
    customer-months that moved so, with ``customers`` (customer-months) and, for coming to
    'dormant', low and high (Wilson, as if customer-months were other customers'). A state of fewer
    than ``least`` customer-months has no shares.
    """
    rows = moves.assign(month=pd.to_datetime(moves["month"])).dropna(subset="before")
    end = pd.Timestamp(last).to_period("M").start_time if last is not None else rows["month"].max()
    rows = rows[(rows["month"] <= end) & (rows["month"] > end - pd.DateOffset(months=months))]
    wide = rows.pivot_table(index="before", columns="state", values="customers", aggfunc="sum")
    wide = wide.reindex(index=list(STATES), columns=list(STATES[1:])).fillna(0)
    total = wide.sum(axis=1)
    shares = wide.div(total.where(total >= max(least, 1)), axis=0)
    lost = wilson(wide["dormant"], total.where(total >= max(least, 1), 0))
    table = shares.assign(customers=total.astype(int), low=lost.low, high=lost.high)
    return table.rename_axis("state").reset_index()


def next_categories(items: pd.DataFrame, *, least: int = 10) -> pd.DataFrame:
    """Say what first categories lead to: who buys again, and most often what.

    One row per first category with at least ``least`` customers seen long enough: customers,
    again (with low and high, Wilson), same (of those who buy again, the share in the same
    category), most_often (the other category most of them turn to) and its share.
    """
    lines = []
    for first, part in items[items["first_category"] != "unknown"].groupby("first_category"):
        known = part.dropna(subset="then").set_index("then")["customers"]
        n, again = int(part["customers"].sum()), int(known.sum())
        if n < max(least, 1):
            continue
        share = wilson(again, n)
        others = known.drop(index=[first, "unknown"], errors="ignore")
        enough = again >= max(least, 1) and len(others) and others.max() >= max(least, 1)
        lines.append((
            first, n, float(share.value), float(share.low), float(share.high),
            known.get(first, 0) / again if again >= max(least, 1) else np.nan,
            others.idxmax() if enough else "", others.max() / again if enough else np.nan,
        ))  # fmt: skip
    columns = ["first_category", "customers", "again", "low", "high", "same", "most_often",
               "its_share"]  # fmt: skip
    table = pd.DataFrame(lines, columns=columns)
    return table.sort_values("customers", ascending=False, ignore_index=True)
