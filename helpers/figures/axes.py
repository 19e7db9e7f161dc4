"""What chart shapes are made of: data checked for drawing, and axes that read well."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import Formatter as TickFormatter
from matplotlib.ticker import MaxNLocator

from helpers.errors import DataError, NothingToDrawError
from helpers.figures.style import DPI, HEIGHT, INK, MUTED, WIDTH, printable
from helpers.written import MISSING, MONTHS, Formatter, is_missing, takes_digits

# -- data ------------------------------------------------------------------------------------


def drawable(frame: pd.DataFrame, columns: Sequence[str | None], measure: str) -> pd.DataFrame:
    """Return the frame ready to draw; NothingToDrawError if it is empty, or has no value."""
    needed = [c for c in columns if c]
    for column in needed:
        if column not in frame.columns:
            have = ", ".join(map(str, frame.columns))
            raise DataError(f"The frame to draw has no column '{column}' (it has: {have}).")
    if frame.empty:
        raise NothingToDrawError(
            f"There is nothing to draw: the frame with '{measure}' has no rows."
        )
    if frame[measure].isna().all():
        raise NothingToDrawError(
            f"There is nothing to draw: every value of '{measure}' is missing."
        )
    return frame.reset_index(drop=True)


def floats(column: pd.Series) -> np.ndarray:
    """Return a column as floats, anything missing as NaN."""
    numbers = [np.nan if is_missing(v) else float(v) for v in column]
    return np.array(numbers, dtype=float)


def flags(data: pd.DataFrame, column: str | None) -> np.ndarray:
    """Return a column as booleans, missing ones (or no column) as False."""
    if not column:
        return np.zeros(len(data), bool)
    return np.array([not is_missing(v) and bool(v) for v in data[column]])


def stressed_rows(names: pd.Series, highlight: Any) -> np.ndarray:
    """Mark the rows that `highlight` names; dates may be given as text."""
    if highlight is None:
        return np.zeros(len(names), bool)
    chosen = highlight if isinstance(highlight, (list, tuple, set)) else [highlight]
    dates, _ = as_dates(names)
    wanted = {str(c) for c in chosen}
    if dates is not None:
        wanted = {str(pd.Timestamp(str(c))) for c in chosen}
    return np.array([str(n) in wanted for n in (names if dates is None else dates)])


def as_dates(column: Iterable[Any]) -> tuple[pd.Series | None, bool]:
    """Return the column as dates if it holds dates, and whether all are first days of a month."""
    series = pd.Series(list(column))
    if isinstance(series.dtype, pd.PeriodDtype):
        series = series.dt.to_timestamp()
    texts = pd.api.types.infer_dtype(series, skipna=True) in ("string", "date")
    if texts and series.astype(str).str.fullmatch(r"\d{4}-\d\d(-\d\d)?").all():
        series = pd.to_datetime(series.astype(str), format="ISO8601")
    if not pd.api.types.is_datetime64_any_dtype(series.dtype) or series.isna().any():
        return None, False
    return series, bool((series.dt.day == 1).all())


def category_labels(column: Iterable[Any]) -> list[str]:
    """Write categories: months as "Jun 2026", days as "3 Jun 2026", the rest as they are."""
    values = list(column)
    dates, monthly = as_dates(values)
    if dates is None:
        return [short(v) for v in values]
    day = (lambda d: "") if monthly else (lambda d: f"{d.day} ")
    return [f"{day(d)}{MONTHS[d.month - 1][:3]} {d.year}" for d in dates]


def short(value: Any, most: int = 60) -> str:
    """Write a name on one line, cut to length."""
    if is_missing(value):
        return MISSING
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = printable(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def axis_values(column: pd.Series) -> np.ndarray:
    """Return positions on an axis: days for dates, numbers as they are, else the order of names."""
    dates, _ = as_dates(column)
    if dates is not None:
        return dates.to_numpy("datetime64[D]").astype(float)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return floats(column)
    order = {v: i for i, v in enumerate(dict.fromkeys(column))}
    return np.array([float(order[v]) for v in column])


# -- axes ------------------------------------------------------------------------------------


def canvas(height: float = HEIGHT) -> tuple[Figure, Axes]:
    """Return an empty figure of the house's width with one pair of axes."""
    fig = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    return fig, fig.add_subplot()


class Ticks(TickFormatter):
    """Axis labels in the reader's format, with as few decimals as keep them apart."""

    def __init__(self, fmt: Formatter):
        self.fmt = fmt

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Write one tick."""
        return self.format_ticks([x])[0]

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Write all ticks of an axis alike."""
        """Write all ticks of an axis alike."""
        return same_digits(self.fmt, [round(float(v), 12) for v in values])


def same_digits(fmt: Formatter, values: Sequence[float]) -> list[str]:
    """Write numbers with the same, and the fewest, decimals that keep them apart."""
    if not takes_digits(fmt):
        return [fmt(v) for v in values]
    largest = max((abs(v) for v in values if np.isfinite(v)), default=0)
    for size, sign in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        plain_text = fmt(largest, digits=0)
        if largest >= 10 * size and not plain_text.endswith("%") and len(plain_text) > 6:
            texts = [fmt(v / size, digits=0) + (sign if v else "") for v in values]
            if len(set(texts)) == len(set(values)):
                return texts
    for digits in (0, 1, 2, 3):
        texts = [fmt(v, digits=digits) for v in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts


def compact(fmt: Formatter, value: float) -> str:
    """Write a large amount in thousands (k) or millions (m)."""
    size, sign = (1e6, "m") if abs(value) >= 1e6 else (1e3, "k")
    if not takes_digits(fmt) or abs(value) < 1e4 or fmt(value).endswith("%"):
        return fmt(value)
    return fmt(value / size, digits=0 if abs(value) >= 100 * size else 1) + sign


def value_axis(
    ax: Axes, fmt: Formatter, horizontal: bool, values: np.ndarray, *, from_zero: bool = True
) -> None:
    """Scale and label the axis that carries the values, with room for labels."""
    axis = ax.xaxis if horizontal else ax.yaxis
    seen = values[np.isfinite(values)]
    low, high = float(seen.min()), float(seen.max())
    if not from_zero and 0 < low < 0.45 * high:
        low = 0.0
    room = (high - low or abs(high) or 1.0) * (0.14 if horizontal and from_zero else 0.08)
    limits = (low - room if low < 0 or not (from_zero or low == 0) else low, high + room)
    (ax.set_xlim if horizontal else ax.set_ylim)(*limits)
    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(Ticks(fmt))
    axis.grid(True)
    ax.spines["bottom" if horizontal else "left"].set_visible(False)
    ax.tick_params(axis="x" if horizontal else "y", length=0)


def baseline(ax: Axes, horizontal: bool) -> None:
    """Draw the zero line that bars stand on."""
    ax.spines["left" if horizontal else "bottom"].set_visible(False)
    (ax.axvline if horizontal else ax.axhline)(0, color=MUTED, linewidth=0.8, zorder=3)
    ax.tick_params(axis="y" if horizontal else "x", length=0)


def category_axis(ax: Axes, column: pd.Series, names: list[str]) -> None:
    """Label the axis that carries names or periods."""
    dates, _ = as_dates(column)
    ax.set_xlim(-0.6, len(names) - 0.4)
    if dates is not None:
        chosen = every(len(names), 13)
        ax.set_xticks(chosen, date_ticks(dates, chosen))
        return
    wide = max(6, int(76 / len(names)))
    if max(map(len, names)) > 3 * wide:
        ax.set_xticks(range(len(names)), [short(n, 24) for n in names], rotation=40, ha="right")
    else:
        ax.set_xticks(range(len(names)), [textwrap.fill(n, wide) for n in names])


def every(n: int, most: int) -> list[int]:
    """Choose at most this many of n places, evenly."""
    return list(range(0, n, max(1, -(-n // most))))


def date_ticks(dates: pd.Series, chosen: Sequence[int]) -> list[str]:
    """Write "Jan" with the year below it where the year starts, or "3 Jun" for days."""
    monthly = bool((dates.dt.day == 1).all())
    texts, year = [], None
    for i in chosen:
        d = dates.iloc[i]
        name = MONTHS[d.month - 1][:3] if monthly else f"{d.day} {MONTHS[d.month - 1][:3]}"
        texts.append(name if d.year == year else f"{name}\n{d.year}")
        year = d.year
    return texts


def point_axis(ax: Axes, data: pd.DataFrame, x: str) -> list[float]:
    """Label the axis that carries times or ages and return where its ticks are."""
    points = data.drop_duplicates("_x").sort_values("_x", kind="stable")
    dates, monthly = as_dates(points[x])
    chosen = every(len(points), 13 if monthly or dates is None else 8)
    texts = (
        [category_labels(points[x])[i] for i in chosen]
        if dates is None
        else date_ticks(dates, chosen)
    )
    places = [float(points["_x"].iloc[i]) for i in chosen]
    ax.set_xticks(places, texts)
    if dates is None:
        ax.set_xlabel(printable(x.replace("_", " ")))
    first, last = points["_x"].iloc[0], points["_x"].iloc[-1]
    room = (last - first) * 0.02 or 0.5
    ax.set_xlim(first - room, last + room)
    return places


def target_line(
    ax: Axes, data: pd.DataFrame, target: float | str | None, fmt: Formatter, horizontal: bool
) -> None:
    """Draw the target, one level or a level per row, and name it."""
    if target is None or (not isinstance(target, str) and is_missing(target)):
        return
    if isinstance(target, str):
        level = floats(drawable(data, [target], target)[target])
    else:
        level = np.full(len(data), float(target))
    where = data["_x"].to_numpy() if "_x" in data else np.arange(len(data))
    order = np.argsort(where, kind="stable")
    along, across = (level[order], where[order]) if horizontal else (where[order], level[order])
    if len(set(level)) == 1:
        (ax.axvline if horizontal else ax.axhline)(level[0], color=INK, lw=1, ls=(0, (4, 3)))
    else:
        ax.plot(along, across, color=INK, linewidth=1, linestyle=(0, (4, 3)), drawstyle="steps-mid")
    bounds = ax.get_xlim() if horizontal else ax.get_ylim()
    known = level[order][np.isfinite(level[order])]
    room = 0.04 * (max(*known, *bounds) - min(*known, *bounds))
    ends = (min(bounds[0], *known), max(bounds[1], max(known) + room))
    (ax.set_xlim if horizontal else ax.set_ylim)(*ends)
    text, style = f"target {fmt(known[-1])}", {"size": 7.5, "color": INK, "zorder": 5}
    if horizontal:
        spot, shift, frame = (known[-1], 1), (3, 3), ax.get_xaxis_transform()
    elif "_x" in data:
        spot, shift, frame = (0, known[0]), (3, 3), ax.get_yaxis_transform()
    else:  # beside the bars, not on them
        spot, shift, frame = (1, known[-1]), (4, 0), ax.get_yaxis_transform()
        text, style = text.replace(" ", "\n", 1), {**style, "va": "center"}
    ax.annotate(
        text, spot, shift, textcoords="offset points", xycoords=frame, path_effects=halo(),
        annotation_clip=False, **style,
    )  # fmt: skip


def halo() -> list[withStroke]:
    """Keep text readable over marks."""
    return [withStroke(linewidth=2.5, foreground="white")]


def legend(ax: Axes, handles: list[Any]) -> None:
    """Name the marks above the axes."""
    if handles:
        ax.legend(
            handles=handles, loc="lower right" if len(handles) == 1 else "lower left",
            bbox_to_anchor=(1 if len(handles) == 1 else 0, 1.0), ncols=min(len(handles), 4),
            borderaxespad=0.2, handlelength=1.2, columnspacing=1.4, labelcolor=MUTED,
        )  # fmt: skip


def incomplete_key() -> Patch:
    """Explain hatching."""
    return Patch(facecolor="white", edgecolor=MUTED, hatch="/////", label="incomplete period")
