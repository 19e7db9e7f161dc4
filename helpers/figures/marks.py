"""Marks on axes, and the labels on them: bars' values, intervals, lines, customers at risk."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from helpers.figures.axes import compact, flags, floats, halo, short
from helpers.figures.style import FAINT, INK, MUTED, printable
from helpers.written import MISSING, Formatter, alike, count, is_missing


def whiskers(
    ax: Axes,
    place: np.ndarray,
    values: np.ndarray,
    data: pd.DataFrame,
    low: str | None,
    high: str | None,
    horizontal: bool,
) -> np.ndarray:
    """Draw intervals on bars and return where each bar, whisker included, ends."""
    if not (low and high):
        return values
    lows, highs = floats(data[low]), floats(data[high])
    for at, a, b in zip(place, lows, highs, strict=True):
        along = ([a, b], [at, at]) if horizontal else ([at, at], [a, b])
        ax.plot(*along, color=INK, linewidth=1.1, zorder=4, marker="|" if horizontal else "_", ms=5)
    return np.where(np.isnan(highs), values, np.where(values < 0, lows, highs))


def bar_labels(
    ax: Axes,
    place: np.ndarray,
    values: np.ndarray,
    ends: np.ndarray,
    fmt: Formatter,
    horizontal: bool,
    stressed: np.ndarray,
    width: float = 1.0,
) -> None:
    """Write each bar's value at its end; where all do not fit, the stressed, largest and last."""
    texts = [MISSING if np.isnan(v) else fmt(v) for v in values]
    shown = np.ones(len(values), bool)
    if not horizontal:
        letters = 6.3 / (np.ptp(ax.get_xlim()) if width == 1 else len(values)) * width * 72 / 4.9
        if max(map(len, texts)) > letters:
            texts = [MISSING if np.isnan(v) else compact(fmt, v) for v in values]
        if max(map(len, texts)) > letters:
            shown = stressed.copy()
            shown[[-1, int(np.nanargmax(values))]] = True
            spread = max(map(len, texts)) / letters
            if abs(len(values) - 1 - int(np.nanargmax(values))) < spread:
                shown[int(np.nanargmax(values))] = len(values) - 1 == int(np.nanargmax(values))
    for at, v, end, text, show in zip(place, values, ends, texts, shown, strict=True):
        if not show:
            continue
        down = not np.isnan(v) and v < 0
        end = 0.0 if np.isnan(end) else float(end)
        if horizontal:
            xy, offset, align = (end, at), (-4 if down else 4, 0), {"va": "center"}
            align["ha"] = "right" if down else "left"
        else:
            xy, offset, align = (at, end), (0, -3 if down else 3), {"ha": "center"}
            align["va"] = "top" if down else "bottom"
        ax.annotate(
            text, xy, offset, textcoords="offset points", size=7.5, path_effects=halo(), zorder=5,
            color=MUTED if np.isnan(v) else INK, **align,
        )  # fmt: skip


def one_line(
    ax: Axes,
    part: pd.DataFrame,
    y: str,
    low: str | None,
    high: str | None,
    hatched: str | None,
    color: str,
) -> None:
    """Draw one line with its band; segments into incomplete periods are dashed and hatched."""
    at, values, half = part["_x"].to_numpy(), floats(part[y]), flags(part, hatched)
    if low and high:
        ax.fill_between(at, floats(part[low]), floats(part[high]), color=color, alpha=0.16, lw=0)
    ax.plot(at, np.where(half, np.nan, values), color=color, linewidth=1.8)
    alone = np.isnan(np.append(values[1:], np.nan)) & np.isnan(np.insert(values[:-1], 0, np.nan))
    dots = alone | half | (len(values) <= 2)
    step = np.diff(at).min() if len(at) > 1 else 1.0
    for i in np.flatnonzero(half):
        if i:
            ax.plot(at[i - 1 : i + 1], values[i - 1 : i + 1], color=color, lw=1.4, ls=(0, (3, 2)))
        ax.axvspan(
            at[i] - step / 2, at[i] + step / 2, facecolor="none", edgecolor=FAINT, hatch="////",
            linewidth=0, zorder=0,
        )  # fmt: skip
    ax.plot(at[dots], values[dots], "o", color=color, markersize=4)


def line_labels(ax: Axes, ends: list[tuple[float, float, Any, str]], fmt: Formatter) -> None:
    """Label each line at its end, pushed apart so that no two labels overlap."""
    bottom, top = ax.get_ylim()
    gap, last = 0.058 * (top - bottom), -np.inf
    texts = alike(fmt, [end[1] for end in ends])
    for at, value, name, color, text in sorted(
        ((*end, text) for end, text in zip(ends, texts, strict=True)), key=lambda e: e[1]
    ):
        height = max(value, last + gap)
        last = height
        words = f"{short(name, 22)}  {text}" if name != "" else text
        ax.annotate(
            words, (at, height), (6, 0), textcoords="offset points", va="center", size=8,
            color=darker(color), path_effects=halo(), annotation_clip=False, zorder=6,
            weight="bold" if name == "" else "normal",
        )  # fmt: skip
        ax.plot([at], [value], "o", color=color, markersize=4, zorder=5)


def darker(color: str) -> tuple[float, float, float]:
    """Darken a color so that text in it is readable."""
    r, g, b = to_rgb(color)
    return (r * 0.72, g * 0.72, b * 0.72)


def at_risk_rows(
    ax: Axes, named: list[tuple[Any, pd.DataFrame]], ticks: list[float], n: str
) -> None:
    """Print how many customers stand behind the points, under the axis."""
    drop = -30 if any("\n" in t.get_text() for t in ax.get_xticklabels()) else -20
    drop -= 13 if ax.get_xlabel() else 0
    below = ax.get_xaxis_transform()
    heading = printable(n.replace("_", " "))
    for row, (name, part) in enumerate(named[:6]):
        counts = dict(zip(part["_x"], part[n], strict=True))
        words = [(None, heading if name == "" else short(name, 16))]
        words += [(at, "" if is_missing(counts.get(at)) else count(counts[at])) for at in ticks]
        for at, text in words:
            ax.annotate(
                text, (0 if at is None else at, 0), (-20 if at is None else 0, drop - 10 * row),
                xycoords=ax.transAxes if at is None else below, textcoords="offset points",
                ha="right" if at is None else "center", va="top", size=7, color=MUTED,
                annotation_clip=False,
            )  # fmt: skip
