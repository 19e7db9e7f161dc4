"""Frames of value by segment: one dimension, all of them, and how far apart they lie."""

import pandas as pd

from helpers.errors import UsageError, nearest
from helpers.measures import ltv
from helpers.measures.withheld import HELD, withhold

DIMENSIONS = {
    "channel": "channel of acquisition",
    "first_product": "first product",
    "first_category": "first category",
    "first_discount": "discount on the first order",
    "country": "country",
    "customer_class": "customer class",
    "loyalty": "loyalty program",
}


def segment_values(
    segment_ages: pd.DataFrame, dimension: str, horizon: int, *, min_cell: int = 10, **options
) -> pd.DataFrame:
    """Give value per customer at one age by the values of one dimension, small cells withheld.

    The columns of `ltv.ltv_historical`, largest first. Rows of fewer than ``min_cell`` customers,
    and as many more as protect them, stand together in a last row, so that the segments still add
    up to the total (`withheld.withhold`). Raises UsageError for a dimension that is not known.
    """
    if dimension not in DIMENSIONS:
        known = ", ".join(DIMENSIONS)
        near = nearest(dimension, DIMENSIONS)
        raise UsageError(f"segment is '{dimension}'; it must be one of {known}.{near}")
    table = ltv.ltv_historical(
        segment_ages, horizons=(horizon,), dimension=dimension, min_cell=1, **options
    )
    table = table[table["customers"] > 0].sort_values(
        ["per_customer", "value"], ascending=[False, True], ignore_index=True
    )
    if table.empty:
        return table
    shown = withhold(table, persons="customers", sums=["amount"], key="value", least=min_cell)
    if len(shown) < len(table) or shown is not table:
        last = shown.index[-1]
        fixed = {"dimension": dimension, "horizon": horizon, "reason": "Too few customers."}
        # Where every row is withheld, these columns hold nothing yet and have no kind of their own.
        shown = shown.astype(dict.fromkeys(fixed, object))
        for name, text in fixed.items():
            shown.loc[last, name] = text
        held = shown.loc[last, "amount"] / shown.loc[last, "customers"]
        shown.loc[last, "per_customer"] = held
    return shown.astype({"horizon": int})


def all_segments(segment_ages: pd.DataFrame, horizon: int, **options: object) -> pd.DataFrame:
    """Put the segments of every dimension that tells customers apart below one another."""
    parts = []
    for dimension in DIMENSIONS:
        part = segment_values(segment_ages, dimension, horizon, **options)
        if len(part) > 1 or (len(part) == 1 and part["value"].iloc[0] != "unknown"):
            parts.append(part)
    columns = ["dimension", "value", "per_customer", "low", "high", "customers", "cohorts"]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)[columns]


def widest(segments: pd.DataFrame) -> pd.DataFrame:
    """Give of each dimension the best and the lowest segment, and whether intervals are apart.

    Rows: dimension, best, best_value, lowest, lowest_value, apart ('yes', or 'no' where
    the intervals of the two overlap or one is missing). Rows withheld or not known do not compete.
    """
    rows = []
    for dimension, part in segments.groupby("dimension", sort=False):
        known = part[~part["value"].str.startswith((HELD, "unknown"))]
        known = known.dropna(subset="per_customer")
        if len(known) < 2:
            continue
        best = known.loc[known["per_customer"].idxmax()]
        low = known.loc[known["per_customer"].idxmin()]
        apart = "yes" if best["low"] > low["high"] else "no"
        rows.append((DIMENSIONS[dimension], best["value"], best["per_customer"],
                     low["value"], low["per_customer"], apart))  # fmt: skip
    columns = ["dimension", "best", "best_value", "lowest", "lowest_value", "apart"]
    return pd.DataFrame(rows, columns=columns)
