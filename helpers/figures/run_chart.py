"""A picture of days against targets and control limits."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from helpers.figures.axes import (
    axis_values,
    canvas,
    drawable,
    flags,
    floats,
    legend,
    point_axis,
    value_axis,
)
from helpers.figures.style import ACCENT, BASE, HEIGHT, INK, MUTED, PALE, styled
from helpers.written import Formatter


@styled
def run_chart(
    frame: pd.DataFrame, *, x: str, y: str, fmt: Formatter, center: str, low: str, high: str,
    target: str, outside: str, run: str,
) -> Figure:  # fmt: skip
    """Follow a measure day by day: its line, the target of each day, and the control limits.

    All names are columns; `outside` and `run` mark days (filled and open points). Center, limits
    and target that are missing are not drawn. Raises DataError if there is nothing to draw.
    """
    data = drawable(frame, [x, y, center, low, high, target, outside, run], y)
    data = data.assign(_x=axis_values(data[x])).sort_values("_x", kind="stable")
    at, values = data["_x"].to_numpy(), floats(data[y])
    lows, highs, aims, middle = (floats(data[name]) for name in (low, high, target, center))
    out, stretch = flags(data, outside), flags(data, run) & ~flags(data, outside)
    fig, ax = canvas(HEIGHT + 0.3)
    handles = []
    if np.isfinite(lows).any():
        ax.fill_between(at, lows, highs, color=PALE, alpha=0.45, lw=0, step="mid")
        ax.plot(at, middle, color=MUTED, linewidth=0.8, drawstyle="steps-mid")
        handles.append(Patch(color=PALE, alpha=0.45, label="expected by weekday, with limits"))
    if np.isfinite(aims).any():
        dashes = (0, (4, 3))
        ax.plot(at, aims, color=INK, linewidth=1, linestyle=dashes, drawstyle="steps-mid")
        handles.append(Line2D([], [], color=INK, lw=1, ls=dashes, label="target of the day"))
    ax.plot(at, values, color=BASE, linewidth=1.6, marker=".", markersize=4)
    points = {"color": ACCENT, "linestyle": "", "markersize": 6.5, "zorder": 5}
    if out.any():
        handles.append(ax.plot(at[out], values[out], "o", **points, label="outside limits")[0])
    if stretch.any():
        hollow = {"markerfacecolor": "white", "markeredgewidth": 1.4}
        marks = ax.plot(at[stretch], values[stretch], "o", **points, **hollow, label="long run")
        handles.append(marks[0])
    value_axis(ax, fmt, False, np.concatenate([values, lows, highs, aims]), from_zero=False)
    point_axis(ax, data, x)
    legend(ax, handles)
    return fig
