"""Contracts of customers: how many were there at the start and the end of a month, and how long.

Summaries as Ibis expressions, and what follows from them: churn and retention by month. What ended
after the month's end had not ended yet.
"""

from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
from ibis.expr import types as ir

from helpers.measures.metrics import wilson
from helpers.summaries.arithmetic import month_of
from helpers.summaries.winning import months_between

UNITS = {"contracts": "subscription_id", "customers": "customer_id"}


def contract_months(subscriptions: ir.Table, *, as_of: str) -> ir.Table:
    """Months by unit (contracts, customers): how many at the start, at the end, new and lost.

    A contract is there on a day if it began before and has not ended on an earlier day; a customer
    while one of their contracts is. ``at_start`` is the set S of the month's first day, ``at_end``
    the set E after its last, ``kept`` the set S and E; ``new`` began for the first time in the
    month (``joined_and_left`` are those of them who are gone after it), and ``returned`` had a
    contract once, none at the start, and have one at the end.
    """
    end = ibis.date(as_of)
    rows = subscriptions.filter(subscriptions.started_date.notnull())
    ended = ibis.ifelse(rows.ended_date <= end, rows.ended_date, ibis.null("date"))
    rows = rows.mutate(gone=ended, seen=ended.fill_null(end))
    rows = rows.filter(rows.seen >= rows.started_date)
    parts = []
    for unit, key in UNITS.items():
        first = rows.group_by(unit=rows[key]).aggregate(first=rows.started_date.min())
        spread = months_between(
            rows.select("started_date", "seen", "gone", unit=rows[key]), "started_date", "seen"
        )
        spread = spread.join(first, "unit")
        there = spread.group_by("start", "unit").aggregate(
            before=(spread.started_date < spread.start).any(),
            after=(spread.gone.isnull() | (spread.gone >= spread.month_end)).any(),
            new=(spread.first >= spread.start).any(),
        )
        before, after = there.before, there.after
        parts.append(
            there.group_by("start").aggregate(
                at_start=there.count(where=before), at_end=there.count(where=after),
                kept=there.count(where=before & after), new=there.count(where=there.new),
                joined_and_left=there.count(where=there.new & ~after),
                returned=there.count(where=~before & after & ~there.new),
            ).mutate(unit=ibis.literal(unit))
        )  # fmt: skip
    return ibis.union(*parts, distinct=False)


def contract_waits(subscriptions: ir.Table, *, as_of: str) -> ir.Table:
    """Days that contracts have run, ended (``event``) or still running by ``as_of``: how many.

    One row per ``cohort`` (month of the start), days and event: n contracts.
    """
    end = ibis.date(as_of)
    rows = subscriptions.filter(subscriptions.started_date.notnull())
    event = (rows.ended_date <= end).fill_null(False)
    until = ibis.ifelse(event, rows.ended_date, end)
    rows = rows.mutate(days=until.delta(rows.started_date, unit="day"), event=event)
    rows = rows.mutate(cohort=month_of(rows.started_date))
    rows = rows.filter(rows.days >= 0)
    return rows.group_by("cohort", "days", "event").aggregate(n=rows.count())


def churn_by_month(months: pd.DataFrame, month: str, *, least: int = 10) -> pd.DataFrame:
    """Give contractual churn and retention by month, up to ``month``, of contracts and customers.

    churn = ended in the month / at its start, of those there at the start (Wilson's 95% interval);
    retention = kept / at start, the share of the set; crr = (E - N) / S from counts alone. The two
    differ by who joined and left within the month and who returned: crr - retention =
    (returned - joined_and_left) / S. One row per month and unit: start, unit, at_start, at_end,
    new, returned, joined_and_left, ended, churn, low, high, retention, crr. Where nobody
    was there at the start, or fewer than ``least``, what became of them is missing.
    """
    rows = months[months["start"] <= pd.Timestamp(f"{month}-01")]
    rows = rows.sort_values(["unit", "start"], ignore_index=True)
    rows = rows.assign(ended=rows["at_start"] - rows["kept"])
    s = rows["at_start"].where(rows["at_start"] >= max(least, 1)).astype(float)
    churn = wilson(rows["ended"], s.fillna(0))
    return rows.assign(
        ended=rows["ended"].where(s.notna()),
        churn=churn.value, low=churn.low, high=churn.high, retention=rows["kept"] / s,
        crr=(rows["at_end"] - rows["new"]) / s,
    )[_COLUMNS]  # fmt: skip


_COLUMNS = ["start", "unit", "at_start", "at_end", "new", "returned", "joined_and_left", "ended"]
_COLUMNS += ["churn", "low", "high", "retention", "crr"]


@dataclass(frozen=True)
class ContractChurn:
    """Churn over several months together: ended / contracts at the start of a month, summed."""

    rate: float
    low: float
    high: float
    ended: int
    at_start: int
    yearly: float


def pooled_churn(churn: pd.DataFrame, number: int = 12, unit: str = "contracts") -> ContractChurn:
    """Pool the churn of the last so many months: sum of ended / sum of those at a month's start.

    ``yearly`` is 1 - (1 - rate)^12: what is left after twelve months at this rate, not twelve times
    the rate. The interval takes months of one contract as independent.
    """
    rows = churn[churn["unit"] == unit].tail(number).dropna(subset="ended")
    ended, start = int(rows["ended"].sum()), int(rows["at_start"].sum())
    found = wilson(ended, start)
    rate = float(found.value) if start else np.nan
    return ContractChurn(
        rate, float(found.low), float(found.high), ended, start, 1 - (1 - rate) ** 12
    )
