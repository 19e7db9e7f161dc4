"""Small cells in published tables: which rows are withheld, so that none can be worked out.

Primary suppression takes out the rows of too few persons, secondary suppression as many more as it
takes that nobody can find them by subtracting what is shown from a total (Hundepool et al.,
Statistical Disclosure Control, 2012, chapter 4; the United Kingdom's Office for National Statistics
asks for ten persons or more in a cell). Cohort triangles have cell states instead
(`helpers.measures.cohorts`).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.errors import UsageError, nearest

HELD = "withheld ("  # how the row that stands for those taken out begins


def withhold(
    frame: pd.DataFrame, *, persons: str | Sequence[str], sums: Sequence[str], key: str, least: int
) -> pd.DataFrame:
    """Take the rows of too few persons out of a one-way table, and show only their sum.

    ``persons`` counts the persons of a row; several columns where a row splits its persons
    further (all, consented, not): each has to be 0 or at least ``least``. ``sums`` are the other
    columns that add up over rows; ``key`` names the rows. A row that fails is taken out. While
    only one is out, or those out are fewer than ``least`` together, the next smallest goes too:
    otherwise a total would give it away. What is out stands in one last row, ``withheld (n rows)``,
    so that every total still holds; columns that do not add up (ratios, means) are missing there.
    Rows without persons stay: they say nothing about anybody.

    Returns the frame itself, unchanged, where no row is too small. Where even all rows together
    are too few, the counts and sums of the one row left are missing, too. Raises UsageError for a
    column that the frame does not have, or ``least`` below 1.
    """
    counts = [persons] if isinstance(persons, str) else list(persons)
    for column in (*counts, *sums, key):
        if column not in frame:
            raise UsageError(
                f"withhold: the table has no column '{column}'.{nearest(column, map(str, frame))}"
            )
    if least < 1:
        raise UsageError(f"withhold: least is {least}, must be 1 or more persons.")
    people = frame[counts].fillna(0).to_numpy(dtype=float)
    out = _taken_out(people, least)
    if not out.any():
        return frame
    together = people[out].sum(axis=0)
    safe = out.sum() > 1 and not _small(together, least).any()
    last = dict.fromkeys(frame.columns, np.nan)
    if safe:
        last |= {column: frame.loc[out, column].sum() for column in (*counts, *sums)}
    number = int(out.sum())
    last[key] = f"{HELD}{number} row{'s' if number > 1 else ''})"
    shown = frame[~out].to_dict("records")
    return pd.DataFrame([*shown, last], columns=frame.columns)


def _small(people: np.ndarray, least: int) -> np.ndarray:
    return (people > 0) & (people < least)


def _taken_out(people: np.ndarray, least: int) -> np.ndarray:
    """Mark the rows to withhold: too small themselves, then as many as protect them."""
    out = _small(people, least).any(axis=1)
    if not out.any():
        return out
    # Rows without persons protect nobody: a reader knows that they are empty.
    order = np.argsort(people[:, 0], kind="stable")
    for row in order[people[order, 0] > 0]:
        together = people[out].sum(axis=0)
        if out.sum() > 1 and not _small(together, least).any():
            break
        out[row] = True
    return out
