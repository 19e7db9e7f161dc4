"""Two small changes at a time: a 2 x 2 test read from its four cells.

Each main effect uses all customers; the interaction is a difference of differences, with twice the
standard error of a main effect: to see one half as large as the main effect takes 16 times as many.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from helpers.errors import DataError
from helpers.experiments.effects import Effect, interval, mean, variance
from helpers.experiments.power import power, smallest_effect

# Cells in the order 00, 10, 01, 11 (first factor, second factor), and how each is weighed.
CELLS = ((0, 0), (1, 0), (0, 1), (1, 1))
_WEIGHTS = {
    "main_a": (-0.5, 0.5, -0.5, 0.5),
    "main_b": (-0.5, -0.5, 0.5, 0.5),
    "interaction": (1.0, -1.0, -1.0, 1.0),
    "a_alone": (-1.0, 1.0, 0.0, 0.0),
    "b_alone": (-1.0, 0.0, 1.0, 0.0),
    "both": (-1.0, 0.0, 0.0, 1.0),
}


def contrast(
    cells: Mapping[tuple[int, int], Mapping], weights: tuple[float, ...], name: str,
    *, level: float = 0.95,
) -> Effect:  # fmt: skip
    """Estimate a weighted sum of the four cells' means.

    SE^2 = sum of weight^2 x variance / n, each cell with its own spread (equal to least squares of
    y on a x b with HC2 standard errors); degrees of freedom of Welch and Satterthwaite.
    """
    value, spread, below = 0.0, 0.0, 0.0
    for cell, weight in zip(CELLS, weights, strict=True):
        n = np.where(np.asarray(cells[cell]["n"], dtype=float) > 1, cells[cell]["n"], np.nan)
        if not weight:
            continue
        part = weight**2 * variance(cells[cell], name) / n
        value = value + weight * mean(cells[cell], name)
        spread, below = spread + part, below + part**2 / (n - 1)
    dof = spread**2 / np.where(below > 0, below, np.nan)
    return interval(value, np.sqrt(spread), dof, level=level)


def factorial(
    cells: Mapping[tuple[int, int], Mapping], name: str,
    *, worth: float | None = None, level: float = 0.95,
) -> pd.DataFrame:  # fmt: skip
    """Read a 2 x 2 test: what each change does on average, and whether they help each other.

    ``cells`` by (first factor, second factor), 0 is without and 1 with. main_a = half the sum of
    its effect without and with b; interaction = effect of a with b less effect of a without b. Also
    each change alone and both against neither, for a decision on a cell if they interact.
    ``worth`` is the effect that would matter, per customer. One row per contrast: contrast, value,
    se, low, high, p_value, smallest_effect (found 4 times out of 5), power (to see ``worth``;
    missing without it). A cell without customers is an error: three cells are no factorial.
    """
    for cell in CELLS:
        if cell not in cells or not float(cells[cell]["n"]) > 1:
            raise DataError(
                f"A 2 x 2 test needs two or more customers in each of its four cells; cell {cell} "
                "(first factor, second factor) has none or one. Read it as a test of arms instead."
            )
    rows = []
    for label, weights in _WEIGHTS.items():
        effect = contrast(cells, weights, name, level=level)
        rows.append(
            {
                "contrast": label,
                **{key: float(part) for key, part in effect._asdict().items()},
                "smallest_effect": smallest_effect(effect.se),
                "power": np.nan if worth is None else power(worth, effect.se),
            }
        )
    return pd.DataFrame(rows)
