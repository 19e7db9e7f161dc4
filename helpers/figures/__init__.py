"""The chart shapes that all notebooks share.

Each shape takes a small frame and returns a matplotlib Figure without a title; `show.show_figure`
adds the finding, the measure and the source. Figures are made without pyplot, so none is shown
twice. A `fmt` is a function that writes a number: `study.money`, `show.percent`, `show.count`.
"""

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from helpers.figures.axes import (
    axis_values,
    baseline,
    canvas,
    category_axis,
    category_labels,
    drawable,
    flags,
    floats,
    incomplete_key,
    legend,
    point_axis,
    stressed_rows,
    target_line,
    value_axis,
)
from helpers.figures.layers import layers
from helpers.figures.marks import at_risk_rows, bar_labels, line_labels, one_line, whiskers
from helpers.figures.panels import panels
from helpers.figures.run_chart import run_chart
from helpers.figures.style import (
    ACCENT,
    BASE,
    HEIGHT,
    INK,
    MUTED,
    PALE,
    color_of,
    colors_of,
    printable,
    styled,
)
from helpers.figures.triangle import triangle
from helpers.figures.waterfall import waterfall
from helpers.written import Formatter, alike

__all__ = [
    "bars",
    "color_of",
    "colors_of",
    "grouped_bars",
    "intervals",
    "layers",
    "lines",
    "panels",
    "run_chart",
    "triangle",
    "waterfall",
]


# Lines that cross stay apart without color.
DASHES = ("-", (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 3)))


@styled
def bars(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    fmt: Formatter,
    low: str | None = None,
    high: str | None = None,
    hatched: str | None = None,
    highlight: Any = None,
    target: float | str | None = None,
    horizontal: bool = False,
) -> Figure:
    """Compare amounts: one bar per row from a zero baseline, each with its value.

    `low`/`high` name the columns of an interval, `hatched` a boolean column that marks incomplete
    periods, `highlight` the value (or values) of `x` to stress, `target` a level or a column of
    levels. Missing values get no bar but "n/a". Raises DataError if there is nothing to draw.
    """
    data = drawable(frame, [x, y, low, high, hatched], y)
    values, place = floats(data[y]), np.arange(len(data))
    stressed = stressed_rows(data[x], highlight)
    incomplete = flags(data, hatched)
    names = category_labels(data[x])
    fig, ax = canvas(max(HEIGHT, 1.4 + 0.27 * len(data)) if horizontal else HEIGHT)
    colors = [BASE if s or not stressed.any() else PALE for s in stressed]
    draw = ax.barh if horizontal else ax.bar
    for patch, color, half in zip(
        draw(place, np.nan_to_num(values), 0.72), colors, incomplete, strict=True
    ):
        patch.set(facecolor="white" if half else color, edgecolor=color, linewidth=0.8)
        patch.set_hatch("/////" if half else "")
    ends = whiskers(ax, place, values, data, low, high, horizontal)
    baseline(ax, horizontal)
    value_axis(ax, fmt, horizontal, np.concatenate([values, ends, [0.0]]))
    target_line(ax, data, target, fmt, horizontal)
    if horizontal:
        ax.set_yticks(place, [textwrap.fill(n, 30) for n in names])
        ax.invert_yaxis()
    else:
        category_axis(ax, data[x], names)
    bar_labels(ax, place, values, ends, fmt, horizontal, stressed)
    legend(ax, [incomplete_key()] if incomplete.any() else [])
    return fig


@styled
def grouped_bars(frame: pd.DataFrame, *, x: str, y: str, hue: str, fmt: Formatter) -> Figure:
    """Compare segments side by side: bars grouped by `x`, one per `hue`, from a zero baseline.

    Missing combinations stay blank. Raises DataError if there is nothing to draw.
    """
    data = drawable(frame, [x, y, hue], y)
    groups, hues = list(dict.fromkeys(data[x])), list(dict.fromkeys(data[hue]))
    colors, width = colors_of(hues), 0.8 / len(hues)
    fig, ax = canvas()
    baseline(ax, False)
    roomy = len(groups) * len(hues) <= 16
    for i, name in enumerate(hues):
        rows = data[data[hue] == name].drop_duplicates(x).set_index(x)[y]
        values = floats(rows.reindex(groups))
        place = np.arange(len(groups)) + (i - (len(hues) - 1) / 2) * width
        ax.bar(place, np.nan_to_num(values), width * 0.92, color=colors[name])
        if roomy:
            bar_labels(ax, place, values, values, fmt, False, np.zeros(len(groups), bool), width)
    value_axis(ax, fmt, False, np.append(floats(data[y]), 0.0))
    category_axis(ax, pd.Series(groups), category_labels(pd.Series(groups)))
    legend(ax, [Patch(color=colors[h], label=printable(h)) for h in hues])
    return fig


@styled
def lines(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    fmt: Formatter,
    hue: str | None = None,
    low: str | None = None,
    high: str | None = None,
    target: float | str | None = None,
    hatched: str | None = None,
    at_risk: str | None = None,
    dashes: bool = False,
) -> Figure:
    """Follow a measure over time or age: one line per `hue`, labeled at its end.

    `low`/`high` name the columns of a band, `hatched` a boolean column of incomplete periods,
    `at_risk` the column with the number of customers behind each point (printed under the axis).
    `dashes` gives each line a dash of its own, to stay apart without color. Missing points break
    the line. Raises DataError if there is nothing to draw.
    """
    data = drawable(frame, [x, y, hue, low, high, hatched, at_risk], y)
    data = data.assign(_x=axis_values(data[x]))
    named = [(name, part) for name, part in data.groupby(hue, sort=False)] if hue else [("", data)]
    colors = colors_of([name for name, _ in named]) if hue else {"": BASE}
    under = 0.25 + 0.14 * len(named[:6]) if at_risk else 0.0
    fig, ax = canvas(HEIGHT + under)
    ends = []
    for i, (name, part) in enumerate(named):
        part = part.sort_values("_x", kind="stable")
        drawn = len(ax.lines)
        one_line(ax, part, y, low, high, hatched, colors[name])
        if dashes and len(named) > 1:
            ax.lines[drawn].set_linestyle(DASHES[i % len(DASHES)])
        seen = part[part[y].notna()]
        if len(seen):
            ends.append((seen["_x"].iloc[-1], float(seen[y].iloc[-1]), name, colors[name]))
    limits = [floats(data[c]) for c in (y, low, high) if c]
    value_axis(ax, fmt, False, np.concatenate(limits), from_zero=False)
    ticks = point_axis(ax, data, x)
    target_line(ax, data, target, fmt, False)
    if at_risk:
        at_risk_rows(ax, named, ticks, at_risk)
    line_labels(ax, ends, fmt)
    legend(ax, [incomplete_key()] if flags(data, hatched).any() else [])
    return fig


@styled
def intervals(
    frame: pd.DataFrame,
    *,
    label: str,
    value: str,
    low: str,
    high: str,
    fmt: Formatter,
    reference: float | None = 0.0,
) -> Figure:
    """Weigh estimates: a point with its interval per row, against a reference line.

    Intervals that leave out the reference are drawn in color, the others in gray; a row without a
    value says "not available". Raises DataError if there is nothing to draw.
    """
    data = drawable(frame, [label, value, low, high], value)
    points, lows, highs = (floats(data[c]) for c in (value, low, high))
    fig, ax = canvas(max(2.6, 1.5 + 0.36 * len(data)))
    edge = ax.get_yaxis_transform()
    for i, (v, a, b) in enumerate(zip(points, lows, highs, strict=True)):
        clear = reference is not None and (a > reference or b < reference)
        color = MUTED if not clear else BASE if a > reference else ACCENT
        ax.plot([a, b], [i, i], color=color, linewidth=2, solid_capstyle="butt")
        ax.plot([v], [i], "o", color=color, markersize=6, markeredgecolor="white")
        words = alike(fmt, [v, a, b])
        whole = words[0] if np.isnan(a) or np.isnan(b) else "{}  ({} to {})".format(*words)
        text = "not available" if np.isnan(v) else whole
        ax.text(1.02, i, text, transform=edge, va="center", size=8, color=INK)
    if reference is not None:
        ax.axvline(reference, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    ax.set_yticks(
        np.arange(len(data)), [textwrap.fill(n, 30) for n in category_labels(data[label])]
    )
    ax.set_ylim(len(data) - 0.5, -0.5)
    ax.spines["left"].set_visible(False)
    around = [] if reference is None else [reference]
    value_axis(ax, fmt, True, np.concatenate([points, lows, highs, around]), from_zero=False)
    return fig
