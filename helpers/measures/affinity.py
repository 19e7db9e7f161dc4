"""Which products the same customers buy: support, confidence, lift, and what chance would give."""

import numpy as np
import pandas as pd
from scipy import stats

from helpers.errors import UsageError, nearest

LEVELS = ("category", "product")
_COLUMNS = ["item", "other", "customers", "support", "confidence", "reverse", "lift",
            "lift_given_breadth", "p_value", "q_value", "margin", "revenue"]  # fmt: skip


def pairs(
    product_pairs: pd.DataFrame, level: str, *, min_support: float = 0.01, least: int = 10
) -> pd.DataFrame:
    """Weigh pairs of products (or categories) that the same customers bought within a year.

    support = customers with both / customers; confidence = both / customers of ``item``
    (``reverse``: of ``other``); lift = support / (support of item x support of other). Who buys
    many different things has every pair, so plain lift is above 1 almost everywhere;
    ``lift_given_breadth`` = customers with both / those expected if customers of each breadth (k
    different items) had picked theirs independently: sum of N p q (1 - (1 - p)(1 - q) / d) with p
    and q the shares of that breadth with each item and d the sum of p (1 - p) over items (Hajek,
    Ann. Math. Statist. 35, 1964, for sampling k items without replacement). ``p_value``
    is two-sided, normal; ``q_value`` corrects it for the number of pairs looked at (Benjamini and
    Hochberg 1995). ``margin`` and ``revenue`` are what both items brought per customer with both.

    Pairs below ``min_support`` or ``least`` customers are left out, after they were counted in the
    correction. Largest lift given breadth first.
    """
    if level not in LEVELS:
        raise UsageError(f"There is no level '{level}'.{nearest(level, LEVELS)}")
    if not 0 <= min_support < 1:
        raise UsageError(f"min_support == {min_support}, must be from 0 to below 1.")
    rows = product_pairs[product_pairs["level"] == level]
    every = rows[rows["item"].isna()].set_index("breadth")["customers"].astype(float)
    single = rows[rows["item"].notna() & rows["other"].isna()]
    both = rows[rows["other"].notna()]
    total = every.sum()
    if both.empty or not total > 0:
        return pd.DataFrame(columns=_COLUMNS)
    counts = single.groupby("item")["customers"].sum()
    sums = both.groupby(["item", "other"])[["customers", "margin", "revenue"]].sum().reset_index()
    n, a, b = sums["customers"], sums["item"].map(counts), sums["other"].map(counts)
    expected, variance = _expected(every, single, sums)
    z = (n - expected) / np.sqrt(variance.where(variance > 0))
    p_value = pd.Series(2 * stats.norm.sf(z.abs()), index=sums.index)
    table = sums.assign(
        support=n / total, confidence=n / a, reverse=n / b, lift=n * total / (a * b),
        lift_given_breadth=n / expected.where(expected > 0), p_value=p_value,
        q_value=_adjusted(p_value), margin=sums["margin"] / n, revenue=sums["revenue"] / n,
    )  # fmt: skip
    kept = table[(n >= max(least, 1)) & (n / total >= min_support)]
    order = kept.sort_values(
        ["lift_given_breadth", "item", "other"], ascending=[False, True, True], ignore_index=True
    )
    return order[_COLUMNS]


def _expected(
    every: pd.Series, single: pd.DataFrame, sums: pd.DataFrame
) -> tuple[pd.Series, pd.Series]:
    """Give how many customers would have each pair by chance, breadth by breadth, and its spread.

    The last breadth holds customers of that many items or more; Hajek's formula needs only the
    shares, whose sum is their mean breadth.
    """
    expected = pd.Series(0.0, index=sums.index)
    variance = expected.copy()
    for breadth, n in every.items():
        shares = single[single["breadth"] == breadth].set_index("item")["customers"] / n
        spread = float((shares * (1 - shares)).sum())
        if breadth < 2 or not spread > 0:
            # One item makes no pair; where everyone has everything, everyone has the pair.
            certain = breadth >= 2
            p, q = (sums[c].map(shares).fillna(0.0) for c in ("item", "other"))
            expected += n * p * q * certain
            continue
        p, q = (sums[c].map(shares).fillna(0.0) for c in ("item", "other"))
        joint = (p * q * (1 - (1 - p) * (1 - q) / spread)).clip(0, 1)
        expected += n * joint
        variance += n * joint * (1 - joint)
    return expected, variance


def _adjusted(p_values: pd.Series) -> pd.Series:
    """Correct p-values for their number (Benjamini and Hochberg): missing ones do not count."""
    known = p_values.dropna()
    if known.empty:
        return p_values
    return pd.Series(stats.false_discovery_control(known), index=known.index).reindex(
        p_values.index
    )
