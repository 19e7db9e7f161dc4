"""A summary made by another package in place of orders: frequency, recency, T, monetary_value.

lifetimes and pymc-marketing reduce orders to one row per customer: repeat purchases, time from the
first to the last, time from the first to the end, and mean spend per repeat purchase. Enough
for the models. It has no dates, so it shows no season, no months and no back-test, and no tiers or
lists of a shop either.
"""

import numpy as np
import pandas as pd

from helpers.errors import DataError, UsageError, nearest
from helpers.models.forecast import STATE
from helpers.models.terms import DAYS_IN

COLUMNS = ("frequency", "recency", "T", "monetary_value")
# Any day will do: only differences count. It stands for the end of the summary's time.
AS_OF = pd.Timestamp("2000-01-01")
_LOOKS_BACKWARDS = -0.2


def read_summary(path: str) -> pd.DataFrame:
    """Read a summary from a CSV file; its columns are checked by `states_of`."""
    try:
        return pd.read_csv(path)
    except (OSError, ValueError, UnicodeError) as error:
        raise DataError(f"{path.rsplit('/', 1)[-1]} cannot be read as a table: {error}") from None


def states_of(summary: pd.DataFrame, unit: str) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Turn a summary into states with spend, spend states, and what was odd about it.

    ``unit``: days, weeks, months or years, that recency and T are counted in; there is no default,
    since a wrong one is the commonest fault of such forecasts. Times are kept to the day. A repeat
    buyer without positive spend keeps the purchases and no spend. Raises DataError for missing
    columns, values that cannot be, repeat buyers alone, and recency that looks like time since the
    last purchase.
    """
    if unit not in DAYS_IN:
        raise UsageError(
            f"--unit is '{unit}', must be one of {', '.join(DAYS_IN)}.{nearest(unit, DAYS_IN)}"
        )
    missing = [name for name in COLUMNS if name not in summary]
    if missing:
        raise DataError(
            f"The summary lacks {', '.join(missing)}; it needs {', '.join(COLUMNS)}, one row per "
            f"customer.{nearest(missing[0], summary.columns)}"
        )
    rows = summary[list(COLUMNS)].apply(pd.to_numeric, errors="coerce")
    _check(rows)
    days = (rows[["recency", "T"]] * DAYS_IN[unit]).round().astype(int)
    first = AS_OF - pd.to_timedelta(days["T"], unit="D")
    # two purchase days apart, even where a coarse unit has rounded the time between them away
    gap = np.where(rows["frequency"] > 0, np.maximum(days["recency"], 1), 0)
    first = np.minimum(first, AS_OF - pd.to_timedelta(gap, unit="D"))
    paid = (rows["frequency"] > 0) & (rows["monetary_value"] > 0)
    people = pd.DataFrame(
        {
            "frequency": rows["frequency"].astype(int),
            "first_day": first,
            "last_day": first + pd.to_timedelta(gap, unit="D"),
            "spend_frequency": rows["frequency"].where(paid, 0).astype(int),
            "total_spend": (rows["frequency"] * rows["monetary_value"]).where(paid, 0.0).round(6),
        }
    )
    keys = [*STATE, "spend_frequency"]
    states = people.groupby(keys, as_index=False)["total_spend"].agg(["size", "sum"])
    states = states.rename(columns={"size": "n", "sum": "total_spend"})
    spent = people[people["spend_frequency"] > 0]
    spend = spent.groupby(["spend_frequency", "total_spend"]).size().rename("n").reset_index()
    return states, spend.rename(columns={"spend_frequency": "frequency"}), _odd(rows, paid)


def _check(rows: pd.DataFrame) -> None:
    x, recency, T = (rows[name] for name in COLUMNS[:3])
    faults = {
        "a value is missing or no number": rows[list(COLUMNS[:3])].isna().any(axis=1),
        "frequency is not a whole number from 0": (x < 0) | (x != np.floor(x)),
        "recency is below 0 or above T": (recency < 0) | (recency > T * (1 + 1e-9)),
        "a customer without a repeat purchase has a recency above 0": (x == 0) & (recency > 0),
    }
    for fault, where in faults.items():
        if where.any():
            raise DataError(
                f"{int(where.sum()):,} of {len(rows):,} rows of the summary cannot be: {fault}. "
                "recency is the time from the first to the last purchase, T that from the first to "
                "the end, frequency counts repeat purchases."
            )
    again = rows[x > 0]
    if len(rows) and len(again) == len(rows):
        raise DataError(
            "The summary holds repeat buyers only, which would make everyone look loyal. Include "
            "customers with frequency 0."
        )
    if len(again) > 20 and again["T"].std() > 0:
        share = again["recency"] / again["T"].where(again["T"] > 0)
        back = share.corr(again["frequency"], method="spearman")
        if back < _LOOKS_BACKWARDS:
            raise DataError(
                "recency falls as frequency rises: it looks like the time since the last purchase. "
                "It must be the time from the first to the last one: T less that time."
            )


def _odd(rows: pd.DataFrame, paid: pd.Series) -> list[str]:
    unpaid, heavy = (
        int(((rows["frequency"] > 0) & ~paid).sum()),
        int((rows["frequency"] > 300).sum()),
    )
    said = []
    if unpaid:
        said.append(
            f"{unpaid:,} repeat buyers have no positive monetary_value: no spend of theirs is used."
        )
    if heavy:
        said.append(f"{heavy:,} customers with more than 300 repeat purchases look like resellers.")
    return said
