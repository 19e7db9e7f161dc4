"""A picture of amounts that are taken away, step by step, from a first total to a last."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from helpers.figures.axes import (
    baseline,
    canvas,
    category_labels,
    drawable,
    floats,
    halo,
    value_axis,
)
from helpers.figures.style import BASE, HEIGHT, INK, PALE, styled
from helpers.written import Formatter


@styled
def waterfall(frame: pd.DataFrame, *, x: str, y: str, kind: str, fmt: Formatter) -> Figure:
    """Follow an amount from total to total: whole bars for totals, hanging bars for the steps.

    Rows in order, one bar each; `kind` names the column that is ``total`` or ``less``, `y` the
    amount (signed: a step of -5 takes 5 away). Raises DataError if there is nothing to draw.
    """
    data = drawable(frame, [x, y, kind], y)
    amounts, place = floats(data[y]), np.arange(len(data))
    totals = (data[kind] == "total").to_numpy()
    after = np.zeros(len(data))
    level = 0.0
    for row, (amount, total) in enumerate(zip(amounts, totals, strict=True)):
        level = amount if total else level + amount
        after[row] = level
    start = np.where(totals, 0.0, after - amounts)
    fig, ax = canvas(max(HEIGHT, 1.4 + 0.3 * len(data)))
    colors = np.where(totals, BASE, PALE)
    ax.barh(place, after - start, 0.72, left=start, color=colors, edgecolor=BASE, linewidth=0.6)
    for row in range(len(data) - 1):
        ax.plot([after[row]] * 2, [row + 0.36, row + 0.64], color=BASE, linewidth=0.6)
    baseline(ax, True)
    # A quarter more than the largest, for the amounts beside the bars.
    value_axis(ax, fmt, True, np.concatenate([after, start, [0.0, after.max() * 1.1]]))
    ax.set_yticks(place, [textwrap.fill(name, 34) for name in category_labels(data[x])])
    ax.invert_yaxis()
    for row, amount in enumerate(amounts):
        end = max(after[row], start[row])
        ax.annotate(
            fmt(amount), (end, row), (4, 0), textcoords="offset points", size=7.5, va="center",
            color=INK, path_effects=halo(), zorder=5,
        )  # fmt: skip
    return fig
