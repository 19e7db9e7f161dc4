"""How long after its start a history still takes old customers for new ones.

Where the files begin in the middle of a shop's life, whoever bought before looks new with the first
purchase that the files hold. How many that are can be read off the shop's own later months: pretend
that the files had begun in one of them, and count who would have looked new though they were not.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

# A run-in ends with the first month in which fewer than this share of "new" customers are old.
MOST_OLD = 0.1
MOST_MONTHS = 12


@dataclass(frozen=True)
class RunIn:
    """The months at the start of a history whose cohorts are left out, and why so many.

    ``months`` is the run-in that is used; ``old`` has a row per month after a pretended start:
    month (1 is the first), looks_new, old, share; ``reason`` says how it was chosen.
    """

    months: int
    old: pd.DataFrame
    reason: str


def old_among_new(
    month_pairs: pd.DataFrame, *, as_of: date, starts_at: date, least: int = 10
) -> pd.DataFrame:
    """Count how many of those who look new after a pretended start of the history are old.

    Every month from the middle of the history on is taken as such a start; customers who had an
    order in the months before it are known to be old (older ones are missed, so the share is a
    lower bound). One row per month after the start: month, looks_new, old, share (old / looks_new,
    missing below ``least`` customers), summed over the starts. Empty for a history of less than
    four months.
    """
    columns = ["month", "looks_new", "old", "share"]
    rows = month_pairs.assign(
        month=pd.to_datetime(month_pairs["month"]), previous=pd.to_datetime(month_pairs["previous"])
    )
    first, last = (pd.Timestamp(day).to_period("M") for day in (starts_at, as_of))
    length = (last - first).n + 1
    found: dict[int, list[float]] = {}
    for back in range(length // 2, length if length >= 4 else 0):
        start = (first + back).start_time
        seen = rows[(rows["month"] >= start) & ~(rows["previous"] >= start)]
        ages = (seen["month"].dt.year - start.year) * 12 + seen["month"].dt.month - start.month
        old = seen["customers"].where(seen["previous"].notna(), 0)
        for age in range(min((last - first).n - back + 1, MOST_MONTHS)):
            sums = found.setdefault(age + 1, [0.0, 0.0])
            sums[0] += float(seen["customers"][ages == age].sum())
            sums[1] += float(old[ages == age].sum())
    table = pd.DataFrame(
        [(month, int(new), int(old)) for month, (new, old) in sorted(found.items())],
        columns=columns[:3],
    )
    enough = table["looks_new"].where(table["looks_new"] >= max(least, 1))
    return table.assign(share=table["old"] / enough)[columns]


def choose(
    month_pairs: pd.DataFrame,
    *,
    as_of: date,
    starts_at: date,
    cohorts: Collection,
    whole: bool,
    given: int = -1,
    least: int = 10,
) -> RunIn:
    """Choose how many months at the start of a history its cohorts are left out of averages.

    0 where the history is ``whole`` (it reaches back to the shop's opening), ``given`` where that
    is 0 or more. Else the months until fewer than MOST_OLD of those who look new are old, as long
    as that is at most half of the months with new customers; where it is longer or never seen,
    only the first, with a warning: a longer one would leave nothing to look at.
    """
    old = old_among_new(month_pairs, as_of=as_of, starts_at=starts_at, least=least)
    if whole:
        return RunIn(0, old, "The history reaches back to the shop's opening, so no cohort hides "
                     "older customers.")  # fmt: skip
    if given >= 0:
        return RunIn(given, old, "The parameter run_in says so.")
    clean = old.loc[old["share"] < MOST_OLD, "month"]
    months = int(clean.iloc[0]) - 1 if len(clean) else np.inf
    if months <= len(set(cohorts)) / 2:
        return RunIn(
            max(months, 1), old,
            "From then on fewer than one in ten of those who look new are old customers.",
        )  # fmt: skip
    return RunIn(
        1, old,
        "The share of old customers among the new does not fall below one in ten within half of "
        "the history, so no run-in would clean the cohorts and leave enough of them. Only the "
        "first is left out; the others hold old customers, too, and look more loyal than new "
        "customers are.",
    )  # fmt: skip
