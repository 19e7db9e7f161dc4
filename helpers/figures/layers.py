"""A layer cake: what each generation of customers adds to every month."""

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from helpers.figures.axes import (
    axis_values,
    canvas,
    drawable,
    floats,
    halo,
    point_axis,
    value_axis,
)
from helpers.figures.style import INK, SEQUENTIAL, printable, styled
from helpers.written import Formatter


@styled
def layers(frame: pd.DataFrame, *, x: str, y: str, layer: str, fmt: Formatter) -> Figure:
    """Stack one layer per `layer`, the oldest at the bottom and darkest, over `x`.

    A white line parts neighbors, so they stay apart in gray; each layer is named where it is
    thickest. Missing amounts count as nothing: the layer is not there. Amounts below zero (more
    given back than bought) are drawn as nothing; the frame keeps them. Raises DataError if there
    is nothing to draw.
    """
    data = drawable(frame, [x, y, layer], y)
    names = list(dict.fromkeys(data[layer]))
    places = data.assign(_x=axis_values(data[x]))
    wide = places.pivot_table(index="_x", columns=layer, values=y, aggfunc="sum", observed=True)
    wide = wide.reindex(columns=names).fillna(0.0).clip(lower=0).sort_index()
    tops = wide.cumsum(axis=1)
    fig, ax = canvas()
    shades = SEQUENTIAL(np.linspace(0.95, 0.15, max(len(names), 2)))
    at = wide.index.to_numpy(dtype=float)
    for i, name in enumerate(names):
        top, low = floats(tops[name]), floats(tops[name] - wide[name])
        ax.fill_between(at, low, top, color=shades[i], linewidth=0)
        ax.plot(at, top, color="white", linewidth=0.9)
        _named(ax, at, low, top, str(name), shades[i], float(tops.to_numpy().max()))
    value_axis(ax, fmt, False, np.append(tops.to_numpy().ravel(), 0.0))
    point_axis(ax, places, x)
    return fig


def _named(
    ax, at: np.ndarray, low: np.ndarray, top: np.ndarray, name: str, shade, whole: float
) -> None:
    """Write a layer's name where it is thickest, if it is thick enough to hold it."""
    thick = top - low
    inner = slice(1, -1) if len(at) > 4 else slice(None)
    best = int(np.argmax(thick[inner])) + (1 if len(at) > 4 else 0)
    if thick[best] < 0.045 * whole:
        return
    dark = sum(to_rgb(shade)) / 3 < 0.55
    place = (at[best], (low[best] + top[best]) / 2)
    ax.annotate(
        printable(name), place, ha="center", va="center", size=7.5,
        color="white" if dark else INK, path_effects=[] if dark else halo(),
    )  # fmt: skip
