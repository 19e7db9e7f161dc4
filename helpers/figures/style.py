"""The house style: paper size, palette, colors by name, chrome around a figure, small PNGs."""

import base64
import functools
import hashlib
import io
import sys
import textwrap
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from helpers.errors import NothingToDrawError
from helpers.written import inline

WIDTH, HEIGHT, DPI = 7.2, 4.0, 110
INK, MUTED, FAINT, GRID = "#1f2933", "#5b6670", "#b8c0c8", "#e4e7eb"
BASE, ACCENT, PALE = "#0b6aa8", "#c4500a", "#a9c6dd"
# Derived from Okabe and Ito's color-blind safe set, darkened where white paper needs it.
CATEGORICAL = (
    "#0b6aa8",  # blue
    "#c94f00",  # vermilion
    "#12a17a",  # green
    "#d184bb",  # purple
    "#57b4e9",  # sky
    "#e6ac00",  # ochre
    "#33276e",  # indigo
    "#595e63",  # gray
)
SEQUENTIAL = LinearSegmentedColormap.from_list(
    "workbook", ["#f1f6fa", "#c3d9ea", "#7db0d5", "#3a82b8", "#155d91", "#0a3a63"]
)
# Words that mean the same in every shop keep these places in the palette.
FAMILIAR = {
    **dict.fromkeys(("all", "total", "treatment", "actual", "returning"), 0),
    **dict.fromkeys(("forecast", "predicted", "new", "paid", "paid search"), 1),
    **dict.fromkeys(("organic", "margin", "email"), 2),
    **dict.fromkeys(("social", "referral"), 3),
    **dict.fromkeys(("direct", "affiliate"), 5),
    **dict.fromkeys(("control", "other", "unknown", "naive", "not recorded"), 7),
}
STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign is money, never a formula
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8.5,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "axes.prop_cycle": mpl.cycler(color=list(CATEGORICAL)),
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "hatch.linewidth": 0.6,
    "image.cmap": "viridis",
    "figure.dpi": DPI,
    "figure.figsize": (WIDTH, HEIGHT),
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def color_of(segment: Hashable) -> str:
    """Give a segment its color: the same name has the same color in every notebook."""
    name = inline(segment).lower()
    place = FAMILIAR.get(name)
    if place is None:
        place = int(hashlib.sha256(name.encode()).hexdigest(), 16) % len(CATEGORICAL)
    return CATEGORICAL[place]


def colors_of(segments: Iterable[Hashable]) -> dict[Hashable, str]:
    """Give the segments of one picture colors that differ, keeping each one's own where free."""
    names = list(dict.fromkeys(segments))
    by_right = sorted(names, key=lambda s: (inline(s).lower() not in FAMILIAR, inline(s).lower()))
    colors: dict[Hashable, str] = {}
    for name in by_right:
        free = [c for c in CATEGORICAL if c not in colors.values()]
        own = color_of(name)
        colors[name] = own if own in free or not free else free[0]
    return {name: colors[name] for name in names}


def styled(shape: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw in the house style whether or not the notebook has applied it.

    A shape without anything to draw gives None: `helpers.show.show_finding` then says why.
    """

    @functools.wraps(shape)
    def draw(*args: Any, **options: Any) -> Figure | None:
        try:
            with mpl.rc_context(STYLE):
                return shape(*args, **options)
        except NothingToDrawError:
            return None

    return draw


# -- what show_figure needs ------------------------------------------------------------------


def finish(fig: Figure, *, title: str, subtitle: str = "", source: str = "") -> Figure:
    """Write the finding above a figure, its measure below that, and its source at the foot."""
    with mpl.rc_context(STYLE):
        width, height = fig.get_size_inches()
        head = textwrap.wrap(printable(title), int(width * 9.7))
        sub = textwrap.wrap(printable(subtitle), int(width * 14.2))
        foot = textwrap.wrap(printable(source), int(width * 16))
        top, left = 0.1, 0.012
        fig.text(
            left,
            1 - top / height,
            "\n".join(head),
            va="top",
            size=11.5,
            weight="bold",
            linespacing=1.15,
        )
        top += 0.195 * len(head) + 0.04
        fig.text(
            left, 1 - top / height, "\n".join(sub), va="top", size=8.5, color=MUTED, linespacing=1.2
        )
        top += 0.155 * len(sub) + 0.1
        fig.text(left, 0.07 / height, "\n".join(foot), va="bottom", size=7, color=MUTED)
        bottom = 0.12 + 0.115 * len(foot)
        fig.set_layout_engine(
            "constrained",
            rect=(0.004, bottom / height, 0.99, 1 - (top + bottom) / height),
            h_pad=0.03,
            w_pad=0.04,
        )
    return fig


def png(fig: Figure, *, colors: int = 96) -> str:
    """Return a figure as a small PNG in base64."""
    return base64.b64encode(png_bytes(fig, colors=colors)).decode()


def png_bytes(fig: Figure, *, colors: int = 96) -> bytes:
    """Return a figure as a small PNG: few colors, no time, no program name."""
    from PIL import Image

    with mpl.rc_context(STYLE):
        fig.set_dpi(DPI)
        canvas = FigureCanvasAgg(fig)
        canvas.draw()
        full = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    small = full.quantize(colors, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    out = io.BytesIO()
    small.save(out, "PNG", optimize=True)
    return out.getvalue()


def close(fig: Figure) -> None:
    """Let go of a figure that pyplot may hold, so that the notebook does not show it twice."""
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(fig)


@functools.cache
def _glyphs() -> frozenset[int]:
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return frozenset(font.get_charmap())


def printable(text: Any) -> str:
    """Return text on one line, signs that the font lacks replaced (they would raise a warning)."""
    return "".join(c if ord(c) in _glyphs() else "□" for c in inline(text))
