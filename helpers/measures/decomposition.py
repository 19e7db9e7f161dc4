"""What moved a sum of money between two periods: steps that add up to the cent.

Each step is a factor's Shapley value: its effect averaged over every order in which the factors
could have changed. It is exact, gives the same answer whatever is listed first, and, unlike the
log-mean Divisia index, needs no logarithm, so a factor may be zero or below zero (a margin can be).
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from helpers.errors import UsageError

# Revenue is the product of the first four; times the last two it is margin.
FACTORS = {
    "customers": "Customers who bought",
    "frequency": "Orders per customer",
    "basket": "Basket before refunds",
    "kept": "Refunds",
    "known": "Share with a known cost",
    "rate": "Margin rate",
}
SERVICE = "Cost to serve"
_NEEDS = ("customers", "orders", "revenue", "refunds")


def shapley(before: Sequence[float], after: Sequence[float]) -> list[float]:
    """Split the change of a product over its factors; the parts add up to the whole change.

    >>> [round(part, 6) for part in shapley([2, 10], [3, 12])]
    [11.0, 5.0]
    """
    if len(before) != len(after):
        raise UsageError(f"shapley: {len(before)} factors before, {len(after)} after.")
    number = len(before)
    every = range(number)

    def product(changed: frozenset[int]) -> float:
        return math.prod(after[i] if i in changed else before[i] for i in every)

    parts = []
    for each in every:
        others = [i for i in every if i != each]
        part = 0.0
        for size in range(number):
            weight = math.factorial(size) * math.factorial(number - size - 1)
            for chosen in map(frozenset, combinations(others, size)):
                step = product(chosen | {each}) - product(chosen)
                part += weight / math.factorial(number) * step
        parts.append(part)
    return parts


def steps(
    before: Mapping[str, float],
    after: Mapping[str, float],
    *,
    basis: str = "margin",
    labels: tuple[str, str] = ("before", "after"),
    digits: int = 2,
) -> pd.DataFrame:
    """Walk from the money of one period to that of another, factor by factor.

    Each period gives customers, orders, revenue, refunds; for ``basis`` 'margin' also margin and
    margin_revenue; and service, what serving customers cost, where that is known. Money is
    customers x orders per customer x basket before refunds x share kept after refunds (x share
    with a known cost x margin rate), less service. A ratio that a period cannot give (no customer,
    nothing sold) is taken as unchanged; what the product then misses, refunds without a sale, is
    in the refunds' step. Rows in order: step, amount, kind ('total' or 'less'); amounts are rounded
    to ``digits`` and the steps lead from total to total exactly. Steps of nothing are left out.
    Raises UsageError for a basis that is not known.
    """
    if basis not in ("margin", "revenue"):
        raise UsageError(f"basis is '{basis}', must be 'margin' or 'revenue'.")
    names = list(FACTORS)[: 6 if basis == "margin" else 4]
    first, last = (_factors(period, names) for period in (before, after))
    for name in names[1:]:
        first[name], last[name] = _filled(first[name], last[name])
    parts = dict(zip(names, shapley(list(first.values()), list(last.values())), strict=True))
    missed = [
        float(period[basis]) - math.prod(found.values())
        for period, found in ((before, first), (after, last))
    ]
    parts["kept"] += missed[1] - missed[0]
    served = [float(period.get("service", 0.0) or 0.0) for period in (before, after)]
    parts["service"] = served[0] - served[1]
    ends = [
        float(period[basis]) - cost for period, cost in zip((before, after), served, strict=True)
    ]
    return _written(parts, ends, labels, digits)


def _factors(period: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    customers, orders, revenue, refunds = (float(period[name]) for name in _NEEDS)
    gross = revenue + refunds
    if not (customers > 0 and orders > 0 and gross > 0):
        # Nothing was sold: there is no ratio to speak of, only nobody who bought.
        return {name: 0.0 if name == "customers" else math.nan for name in names}
    found = {
        "customers": customers,
        "frequency": _ratio(orders, customers),
        "basket": _ratio(gross, orders),
        "kept": _ratio(revenue, gross),
    }
    if "rate" in names:
        known, margin = float(period["margin_revenue"]), float(period["margin"])
        found |= {"known": _ratio(known, revenue), "rate": _ratio(margin, known)}
    return found


def _ratio(above: float, below: float) -> float:
    return above / below if below else math.nan


def _filled(first: float, last: float) -> tuple[float, float]:
    """Take a ratio that one period cannot give from the other; one if neither can."""
    first, last = (last if math.isnan(first) else first), (first if math.isnan(last) else last)
    return (1.0, 1.0) if math.isnan(first) else (first, last)


def _written(
    parts: Mapping[str, float], ends: Sequence[float], labels: tuple[str, str], digits: int
) -> pd.DataFrame:
    """Round to whole minor units so that the steps still lead from total to total."""
    scale = 10**digits
    minor = {name: round(part * scale) for name, part in parts.items()}
    totals = [round(end * scale) for end in ends]
    # What rounding left over, a few minor units at most, goes where it shows least.
    largest = max(minor, key=lambda name: abs(minor[name]))
    minor[largest] += totals[1] - totals[0] - sum(minor.values())
    named = {**FACTORS, "service": SERVICE}
    rows = [(labels[0], totals[0], "total")]
    rows += [(named[name], part, "less") for name, part in minor.items() if part]
    rows += [(labels[1], totals[1], "total")]
    table = pd.DataFrame(rows, columns=["step", "amount", "kind"])
    return table.assign(amount=table["amount"] / scale)


def factor_table(
    before: Mapping[str, float], after: Mapping[str, float], *, basis: str = "margin"
) -> pd.DataFrame:
    """Give each factor in both periods and its relative change: factor, before, after, change."""
    names = list(FACTORS)[: 6 if basis == "margin" else 4]
    first, last = (_factors(period, names) for period in (before, after))
    table = pd.DataFrame({
        "factor": [FACTORS[name] for name in names],
        "before": [first[name] for name in names], "after": [last[name] for name in names],
    })  # fmt: skip
    base = table["before"].where(table["before"] > 0)
    return table.assign(change=np.where(base.notna(), table["after"] / base - 1, np.nan))
