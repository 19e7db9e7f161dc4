"""A triangle of cohorts: a heat map with a row per cohort and a column per age."""

import functools

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from helpers.errors import DataError, NothingToDrawError, nearest
from helpers.figures.axes import (
    Ticks,
    canvas,
    category_labels,
    compact,
    every,
    floats,
)
from helpers.figures.style import (
    FAINT,
    HEIGHT,
    INK,
    MUTED,
    SEQUENTIAL,
    printable,
    styled,
)
from helpers.written import Formatter, alike, count, is_missing, takes_digits

STATES = {
    "small": "gray: too few customers to be reliable",
    "suppressed": "struck: hidden for privacy",
    "left_truncated": "†: history starts later than the shop did",
    "immature": "blank: not yet observable",
}
# Cells whose figure is not to be compared with the others are drawn pale.
PALE_STATES = ("small", "left_truncated")


@styled
def triangle(
    values: pd.DataFrame,
    states: pd.DataFrame | None = None,
    *,
    fmt: Formatter,
    sizes: pd.Series | None = None,
    begun: pd.DataFrame | None = None,
    pooled: pd.Series | None = None,
    row_label: str = "cohort",
    column_label: str = "age",
) -> Figure:
    """Lay cohorts over age: a heat-map with one row per cohort and one column per age.

    `values` has cohorts as index and ages as columns; `states` the same shape with "" (ok),
    "small" (gray figure), "suppressed" (struck), "left_truncated" (dagger, hatched), "immature"
    (blank; hatched where `begun` says that some members have entered the age). A missing value is
    blank, never zero. `sizes` is the number of customers by cohort, `pooled` a row by age below
    the cohorts.
    Raises DataError if there is nothing to draw or the shapes differ.
    """
    if values.empty or not values.notna().to_numpy().any():
        raise NothingToDrawError("There is no cohort with an observed age to draw.")
    if states is not None and states.shape != values.shape:
        raise DataError(f"States have the shape {states.shape}, values {values.shape}.")
    state = np.full(values.shape, "") if states is None else states.fillna("").to_numpy(str)
    unknown = sorted(set(state.ravel()) - {"", *STATES})
    if unknown:
        raise DataError(f"Unknown cell state '{unknown[0]}'.{nearest(unknown[0], STATES)}")
    amounts = values.astype(float).to_numpy()
    hidden = np.isin(state, ("suppressed", "immature"))
    amounts = np.where(hidden | ~np.isfinite(amounts), np.nan, amounts)
    rows, columns = amounts.shape
    fig, ax = canvas(
        max(HEIGHT, 1.9 + (0.2 if rows <= 24 else 0.155) * (rows + (pooled is not None)))
    )
    norm = _heat_scale(amounts, state)
    row = np.full(columns, np.nan) if pooled is None else floats(pooled.reindex(values.columns))
    texts, size = _fitting_texts(np.vstack([amounts, row]), fmt, 5.5 / columns)
    _heat_cells(ax, amounts, state, norm, texts[:-1], size)
    partly = np.zeros(values.shape, bool) if begun is None else begun.to_numpy(bool).copy()
    partly &= (state == "immature") & np.isnan(amounts)
    for i, j in zip(*np.nonzero(partly), strict=True):
        ax.add_patch(
            Rectangle((j, i), 1, 1, fill=False, edgecolor=FAINT, hatch="/////", linewidth=0)
        )
    _triangle_axes(ax, values, sizes, row_label, column_label)
    if pooled is not None and np.isfinite(row).any():
        words = zip(texts[-1], alike(fmt, row), strict=True)
        same = [
            long if text and len(long) <= max(map(len, texts[-1])) else text for text, long in words
        ]
        _pooled_row(ax, rows, same, size)
    if size == 0:
        scale = mpl.cm.ScalarMappable(norm, SEQUENTIAL)
        fig.colorbar(scale, ax=ax, shrink=0.6, aspect=30, format=Ticks(fmt)).outline.set_visible(
            False
        )
    keys = [k for k in STATES if (state == k).any()]
    handles = [Line2D([], [], linestyle="", label=STATES[k]) for k in keys]
    if partly.any():
        handles.append(Line2D([], [], linestyle="", label="hatched: not yet lived through by all"))
    if handles:
        ax.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(0, -0.01), ncols=2, fontsize=7.5,
            handlelength=0, handletextpad=0, columnspacing=2, labelcolor=MUTED, borderaxespad=0.3,
        )  # fmt: skip
    return fig


def _heat_scale(amounts: np.ndarray, state: np.ndarray) -> Normalize:
    sure = amounts[(state == "") & np.isfinite(amounts)]
    seen = sure if len(sure) else amounts[np.isfinite(amounts)]
    first = amounts[:, 0][np.isfinite(amounts[:, 0])]
    rest = amounts[:, 1:][(state[:, 1:] == "") & np.isfinite(amounts[:, 1:])]
    # A first column that is the same everywhere (100% at age 0) would flatten all other colors.
    if len(rest) and len(first) and np.ptp(first) < 1e-9:
        seen = rest
    low, high = min(0.0, float(seen.min())), float(seen.max())
    return Normalize(low, high if high > low else low + 1.0, clip=True)


def _fitting_texts(
    amounts: np.ndarray, fmt: Formatter, cell_inches: float
) -> tuple[list[list[str]], float]:
    """Write the cells in the largest type that fits; size 0 says that none does."""
    seen = amounts[np.isfinite(amounts)]
    ways: list[Formatter] = [fmt]
    if takes_digits(fmt):
        ways += [functools.partial(fmt, digits=0), functools.partial(compact, fmt)]
    for size in (7.5, 6.8, 6.2):
        for way in ways:
            if max(len(way(v)) for v in seen) * size * 0.63 / 72 <= cell_inches - 0.03:
                return [["" if np.isnan(v) else way(v) for v in row] for row in amounts], size
    return [[""] * amounts.shape[1] for _ in amounts], 0


def _heat_cells(
    ax: Axes,
    amounts: np.ndarray,
    state: np.ndarray,
    norm: Normalize,
    texts: list[list[str]],
    size: float,
) -> None:
    # Here, because only a page with a heat map should pay for the import.
    import seaborn as sns

    words = np.char.add(np.array(texts, dtype=str), np.where(state == "left_truncated", "†", ""))
    pale = np.isin(state, PALE_STATES)
    sure, weak = np.where(pale, np.nan, amounts), np.where(pale, amounts, np.nan)
    shared = {"norm": norm, "cbar": False, "linewidths": 1, "linecolor": "white", "ax": ax}
    shared |= {"annot": words, "fmt": "", "annot_kws": {"size": size or 7}, "square": False}
    light = SEQUENTIAL(np.linspace(0, 1, 256)) * [0.14, 0.14, 0.14, 1] + [0.86, 0.86, 0.86, 0]
    for part, colors in ((sure, SEQUENTIAL), (weak, ListedColormap(light))):
        if np.isfinite(part).any():
            sns.heatmap(part, cmap=colors, **shared)
    for (i, j), kind in np.ndenumerate(state):
        if kind == "suppressed":
            ax.add_patch(Rectangle((j, i), 1, 1, facecolor="#eef0f2", edgecolor="white"))
            ax.plot([j + 0.18, j + 0.82], [i + 0.8, i + 0.2], color=MUTED, linewidth=0.8)
        elif kind == "left_truncated" and np.isnan(amounts[i, j]):
            ax.add_patch(
                Rectangle((j, i), 1, 1, fill=False, edgecolor=FAINT, hatch="....", linewidth=0)
            )
            ax.text(j + 0.5, i + 0.5, "†", ha="center", va="center", size=size or 7, color=MUTED)


def _pooled_row(ax: Axes, rows: int, texts: list[str], size: float) -> None:
    """Write the pooled row below the cohorts, apart from them by a rule."""
    ax.set_ylim(rows + 1.25, 0)
    ax.axhline(rows + 0.12, color=MUTED, linewidth=0.8)
    for j, text in enumerate(texts):
        ax.text(
            j + 0.5, rows + 0.7, text, ha="center", va="center", size=size or 7, weight="bold",
            color=INK,
        )  # fmt: skip
    ax.annotate(
        "pooled", (0, rows + 0.7), (-5, 0), xycoords=ax.get_yaxis_transform(),
        textcoords="offset points", ha="right", va="center", size=8, weight="bold", color=INK,
    )  # fmt: skip


def _triangle_axes(
    ax: Axes, values: pd.DataFrame, sizes: pd.Series | None, row_label: str, column_label: str
) -> None:
    rows, columns = values.shape
    # As seaborn lays a heat map out: cell (i, j) covers one unit to the right of and below (j, i).
    ax.set_xlim(0, columns)
    ax.set_ylim(rows, 0)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    names = category_labels(values.columns)
    most = 20 if max(map(len, names)) <= 3 else 13
    chosen = every(columns, most)
    ax.set_xticks([j + 0.5 for j in chosen], [names[j] for j in chosen], rotation=0)
    ax.xaxis.set_ticks_position("top")
    ax.xaxis.set_label_position("top")
    ax.tick_params(length=0, pad=3)
    ax.set_xlabel(printable(column_label), labelpad=5)
    counts = ["" for _ in range(rows)]
    if sizes is not None:
        known = sizes.reindex(values.index)
        counts = ["" if is_missing(n) else count(n) for n in known]
    wide = 6 + 5.2 * max(len(c) for c in [*counts, "customers" if sizes is not None else ""])
    ax.set_ylabel("")
    middles = [i + 0.5 for i in range(rows)]
    ax.set_yticks(middles, category_labels(values.index), rotation=0)
    ax.tick_params(axis="y", pad=wide if sizes is not None else 4)
    small = 8 if rows <= 24 else 6.5
    ax.tick_params(axis="y", labelsize=small)
    side = ax.get_yaxis_transform()
    heads = [(printable(row_label), -wide)] + ([("customers", -5)] if sizes is not None else [])
    for text, shift in heads:
        ax.annotate(
            text, (0, 1), (shift, 3), xycoords="axes fraction", textcoords="offset points",
            ha="right", va="bottom", size=8, color=MUTED,
        )  # fmt: skip
    for i, text in enumerate(counts):
        ax.annotate(
            text, (0, i + 0.5), (-5, 0), xycoords=side, textcoords="offset points", ha="right",
            va="center", size=small, color=MUTED,
        )  # fmt: skip
