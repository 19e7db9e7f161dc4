"""What if: numbers that a reader can move, and what follows from them.

A page, a headless run and nbval show one picture, each number moved alone. Where somebody sits in
front of the notebook, sliders stand below it; ipywidgets is imported only then.
"""

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from helpers import figures
from helpers.errors import UsageError
from helpers.figures import style
from helpers.show import Finding, say, show_finding
from helpers.written import Formatter, is_missing

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.figure import Figure

# Answers to named numbers: what follows if each lever stands where it says.
Answer = Callable[..., float]


@dataclass(frozen=True)
class Lever:
    """A number that can be moved: its name in the answer, its label, where it is, and its range."""

    name: str
    label: str
    value: float
    low: float
    high: float
    fmt: Formatter

    def __post_init__(self) -> None:
        """Refuse a range that does not hold the value."""
        ends = (self.low, self.value, self.high)
        if not (all(map(math.isfinite, ends)) and self.low <= self.value <= self.high > self.low):
            raise UsageError(
                f"Lever {self.name}: {self.value} from {self.low} to {self.high}; it must be "
                "low <= value <= high, and low below high."
            )
        if not self.name.isidentifier():
            raise UsageError(f"Lever '{self.name}': its name must be one that the answer takes.")

    def around(self, points: int) -> np.ndarray:
        """Give ``points`` values on each side, and the lever's own between them."""
        below = np.linspace(self.low, self.value, points + 1)[:-1] if self.low < self.value else []
        above = np.linspace(self.value, self.high, points + 1)[1:] if self.value < self.high else []
        return np.concatenate([below, [self.value], above])


def as_it_is(levers: Sequence[Lever]) -> dict[str, float]:
    """Give each lever's own value by its name."""
    return {lever.name: lever.value for lever in levers}


def varied(
    levers: Sequence[Lever],
    answer: Answer,
    *,
    at: Mapping[str, float] | None = None,
    points: int = 4,
) -> pd.DataFrame:
    """Move each lever alone through its range, the others at their own values (or ``at``).

    One row per lever and point: lever (its label), moved_to, value (the answer; missing where there
    is none). Empty without levers.
    """
    base = {**as_it_is(levers), **(at or {})}
    rows = [
        (lever.label, moved, float(answer(**{**base, lever.name: moved})))
        for lever in levers
        for moved in (float(each) for each in np.union1d(lever.around(points), base[lever.name]))
    ]
    return pd.DataFrame(rows, columns=["lever", "moved_to", "value"])


def in_words(
    levers: Sequence[Lever], answer: Answer, values: Mapping[str, float], fmt: Formatter
) -> str:
    """Say what follows where the levers stand, against what follows as it is."""
    given = ", ".join(f"{lever.label.lower()} {lever.fmt(values[lever.name])}" for lever in levers)
    now, tried = (float(answer(**each)) for each in (as_it_is(levers), values))
    if is_missing(tried):
        return f"With {given} there is no value."
    if is_missing(now) or tried == now:
        return f"With {given}: {fmt(tried)}."
    word = "more" if tried > now else "less"
    return f"With {given}: {fmt(tried)}, {fmt(abs(tried - now))} {word} than as it is ({fmt(now)})."


def multiples(
    levers: Sequence[Lever],
    answer: Answer,
    fmt: Formatter,
    *,
    at: Mapping[str, float] | None = None,
) -> "Figure | None":
    """Draw one panel per lever: what follows from moving it alone, on one scale of values.

    The stressed point is where the lever stands. None where nothing has a value.
    """
    base = {**as_it_is(levers), **(at or {})}
    return figures.panels(
        varied(levers, answer, at=at), x="moved_to", y="value", panel="lever", fmt=fmt,
        x_fmt={lever.label: lever.fmt for lever in levers},
        mark={lever.label: base[lever.name] for lever in levers},
    )  # fmt: skip


def show_what_if(
    levers: Sequence[Lever],
    answer: Answer,
    finding: Finding,
    *,
    fmt: Formatter,
    subtitle: str,
    source: str,
) -> None:
    """Show what follows from moving each lever, and sliders where somebody can move them.

    ``answer`` takes the levers by name and returns a number, missing where there is none. Without
    levers, or a finding without a title, only its sentence.
    """
    if not levers or not finding.title:
        say(finding.sentence)
        return
    show_finding(multiples(levers, answer, fmt), finding, subtitle=subtitle, source=source)
    if attended():
        from IPython.display import display

        display(view(levers, answer, fmt=fmt))


def attended() -> bool:
    """Say whether somebody sits in front of the notebook: JupyterLab can be asked for input.

    papermill, nbval and nbconvert run cells without that (allow_stdin), and so does a script.
    """
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    asked = kernel.get_parent("shell") if kernel is not None else {}
    return bool(asked.get("content", {}).get("allow_stdin"))


def view(levers: Sequence[Lever], answer: Answer, *, fmt: Formatter) -> "ipywidgets.VBox":
    """Make a slider for each lever, with the picture and the sentence that answer to them.

    The box holds the sliders' rows, a button that puts all back, the sentence, and the picture.
    """
    import ipywidgets as widgets

    sentence, picture = widgets.HTML(), widgets.Image(format="png", layout={"max_width": "720px"})
    back = widgets.Button(description="As it is", tooltip="Put all sliders back")
    sliders, rows = {}, []
    for lever in levers:
        slider = widgets.FloatSlider(
            value=lever.value, min=lever.low, max=lever.high, step=(lever.high - lever.low) / 200,
            description=lever.label, readout=False, continuous_update=False,
            style={"description_width": "16em"}, layout={"width": "34em"},
        )  # fmt: skip
        sliders[lever.name] = slider
        rows.append(widgets.HBox([slider, widgets.Label(lever.fmt(lever.value))]))

    def answer_to(_: object = None) -> None:
        values = {name: slider.value for name, slider in sliders.items()}
        for lever, row in zip(levers, rows, strict=True):
            row.children[1].value = lever.fmt(values[lever.name])
        sentence.value = html.escape(in_words(levers, answer, values, fmt))
        drawn = multiples(levers, answer, fmt, at=values)
        picture.value = b"" if drawn is None else style.png_bytes(drawn)

    def put_back(_: object = None) -> None:
        for lever in levers:
            sliders[lever.name].value = lever.value

    for slider in sliders.values():
        slider.observe(answer_to, names="value")
    back.on_click(put_back)
    answer_to()
    return widgets.VBox([*rows, back, sentence, picture])
