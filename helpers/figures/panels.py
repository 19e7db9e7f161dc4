"""Small multiples: the same picture once per group, on one scale."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from helpers.figures.axes import drawable, floats, value_axis
from helpers.figures.style import BASE, DPI, HEIGHT, INK, MUTED, WIDTH, printable, styled
from helpers.written import Formatter


@styled
def panels(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    panel: str,
    fmt: Formatter,
    x_fmt: Formatter | Mapping[str, Formatter],
    mark: float | Mapping[str, float] = 0.0,
) -> Figure:
    """Draw one line per `panel`, side by side on the same scale, with the point at `mark` stressed.

    Where `x_fmt` and `mark` are given by panel, each panel has its own x axis. Missing points break
    a line. Raises DataError if there is nothing to draw.
    """
    data = drawable(frame, [x, y, panel], y)
    names = list(dict.fromkeys(data[panel]))
    fig = Figure(figsize=(WIDTH, HEIGHT * 0.8), dpi=DPI, layout="constrained")
    apart = isinstance(mark, Mapping)
    axes = fig.subplots(1, len(names), sharex=not apart, sharey=True, squeeze=False)[0]
    for ax, name in zip(axes, names, strict=True):
        part = data[data[panel] == name].sort_values(x, kind="stable")
        places, values = floats(part[x]), floats(part[y])
        here = mark[name] if apart else mark
        write = x_fmt[name] if isinstance(x_fmt, Mapping) else x_fmt
        ax.plot(places, values, color=BASE, linewidth=2)
        at = np.isclose(places, here)
        ax.plot(places[at], values[at], "o", color=BASE, markeredgecolor="white", markersize=7)
        ax.set_title(printable(name), size=9, color=INK, loc="left")
        # A mark too near an end would be written over its label.
        middle = abs(np.array([here - places.min(), places.max() - here])).min()
        between = [here] if middle > 0.2 * np.ptp(places) else []
        ticks = [places.min(), *between, places.max()]
        ax.set_xticks(ticks, [write(tick) for tick in ticks], size=8, color=MUTED)
        # The outermost labels stay inside their panel, or neighbors would run into each other.
        sides = ("left", *["center"] * len(between), "right")
        for text, side in zip(ax.get_xticklabels(), sides, strict=True):
            text.set_horizontalalignment(side)
        value_axis(ax, fmt, False, np.append(floats(data[y]), 0.0))
    return fig
