"""Chart shapes: what is drawn, what is refused, colors, small and stable pictures."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers import figures
from helpers.errors import DataError
from helpers.figures import style
from helpers.show import money_in, percent

money = money_in("EUR")
MONTHS = pd.date_range("2025-07-01", periods=12, freq="MS")
SERIES = pd.DataFrame(
    {
        "month": MONTHS,
        "v": [10.0, 20, 30, np.nan, 50, 60, 70, 80, 90, 100, 110, 120],
        "low": 5.0,
        "high": 130.0,
        "n": range(12),
        "open": [False] * 11 + [True],
    }
)
BY_CHANNEL = pd.concat(
    [SERIES.assign(c=c, v=SERIES["v"] * k) for c, k in (("Email", 1), ("Direct", 1.01))]
)


def triangle_frames(n=6):
    cohorts = pd.date_range("2026-01-01", periods=n, freq="MS")
    seen = np.add.outer(np.arange(n), np.arange(n)) < n
    values = pd.DataFrame(np.where(seen, 0.3, np.nan), cohorts, range(n))
    values[0] = 1.0
    states = pd.DataFrame(np.where(seen, "", "immature"), cohorts, range(n))
    return values, states, pd.Series(range(100, 100 + n), cohorts)


def every_shape():
    values, states, sizes = triangle_frames()
    forest = pd.DataFrame({"t": ["a", "b"], "v": [1.0, None], "l": [0.5, None], "h": [2.0, None]})
    return {
        "bars": figures.bars(
            SERIES,
            x="month",
            y="v",
            fmt=money,
            low="low",
            high="high",
            hatched="open",
            target=40,
            highlight="2026-06-01",
        ),
        "bars_across": figures.bars(
            BY_CHANNEL.head(3), x="c", y="v", fmt=money, horizontal=True, target=15
        ),
        "grouped": figures.grouped_bars(BY_CHANNEL, x="month", y="v", hue="c", fmt=money),
        "lines": figures.lines(
            SERIES,
            x="month",
            y="v",
            fmt=money,
            low="low",
            high="high",
            hatched="open",
            target="low",
        ),
        "lines_many": figures.lines(BY_CHANNEL, x="n", y="v", hue="c", fmt=money, at_risk="n"),
        "triangle": figures.triangle(values, states, fmt=percent, sizes=sizes),
        "intervals": figures.intervals(forest, label="t", value="v", low="l", high="h", fmt=money),
    }


def texts(fig):
    style.png(fig)  # ticks exist once drawn
    return [t.get_text() for t in fig.findobj(lambda a: hasattr(a, "get_text")) if t.get_text()]


@pytest.fixture(scope="module")
def shapes():
    return every_shape()


def test_every_shape_makes_a_small_png_the_same_each_time(shapes):
    again = every_shape()
    for name, fig in shapes.items():
        frame = {"title": "A finding", "subtitle": "measure", "source": "Source: x"}
        one = style.png(style.finish(fig, **frame))
        two = style.png(style.finish(again[name], **frame))
        assert one == two, name
        data = base64.b64decode(one)
        picture = Image.open(io.BytesIO(data))
        assert picture.mode == "P", name
        assert picture.size[0] == 792, name
        assert picture.size[1] >= 280, name
        assert not picture.info.keys() & {"Software", "Creation Time", "date:create"}, name
        assert len(data) < 60_000, name


def test_shapes_do_not_warn(recwarn):
    bad = pd.DataFrame({"name": ["日本 $5 and $6 \n<b>", "b"], "v": [1.0, -2.0]})
    fig = figures.bars(bad, x="name", y="v", fmt=money)
    style.png(style.finish(fig, title="日本 $5 of $6", subtitle="🙂", source=""))
    assert not recwarn.list


def test_bars_start_at_zero_and_label_values_and_gaps():
    fig = figures.bars(SERIES, x="month", y="v", fmt=money)
    ax = fig.axes[0]
    assert ax.get_ylim()[0] == 0
    assert {"€120", "n/a"} <= set(texts(fig))
    heights = [p.get_height() for p in ax.patches]
    assert heights[3] == 0
    assert heights[-1] == 120


def test_incomplete_periods_are_hatched():
    fig = figures.bars(SERIES, x="month", y="v", fmt=money, hatched="open")
    hatches = [bool(p.get_hatch()) for p in fig.axes[0].patches]
    assert hatches == [False] * 11 + [True]
    assert "incomplete period" in texts(fig)


def test_missing_points_break_a_line():
    ax = figures.lines(SERIES, x="month", y="v", fmt=money).axes[0]
    assert np.isnan(np.asarray(ax.lines[0].get_ydata(), float)[3])


def test_line_ends_are_labeled_apart():
    fig = figures.lines(BY_CHANNEL, x="month", y="v", hue="c", fmt=money)
    named = [t for t in fig.axes[0].texts if t.get_text().startswith(("Email", "Direct"))]
    assert len(named) == 2
    style.png(style.finish(fig, title="x", subtitle="y", source="z"))
    boxes = [t.get_window_extent() for t in named]
    assert not boxes[0].overlaps(boxes[1])


def test_numbers_at_risk_stand_under_the_axis():
    few = pd.DataFrame({"age": [0, 1, 2], "v": [1.0, 0.5, 0.2], "customers": [1000, 500, 7]})
    shown = texts(figures.lines(few, x="age", y="v", fmt=percent, at_risk="customers"))
    assert {"1,000", "500", "7", "customers"} <= set(shown)


def test_axis_ticks_tell_values_apart():
    days = pd.DataFrame({"d": pd.date_range("2026-06-01", periods=3), "v": [22.1, 22.3, 22.8]})
    fig = figures.lines(days, x="d", y="v", fmt=money)
    style.png(fig)
    ticks = [t.get_text() for t in fig.axes[0].get_yticklabels()]
    assert len(set(ticks)) == len(ticks)
    for tick, at in zip(ticks, fig.axes[0].get_yticks(), strict=True):
        assert float(tick.strip("€")) == pytest.approx(at)


def test_triangle_leaves_the_unobserved_blank_and_marks_states():
    values, states, sizes = triangle_frames()
    values.iloc[0, 1], states.iloc[0, 1] = 0.77, "suppressed"
    states.iloc[1, 1], states.iloc[2, 1] = "small", "left_truncated"
    fig = figures.triangle(values, states, fmt=percent, sizes=sizes)
    shown = texts(fig)
    assert "77.0%" not in shown
    assert "30.0%†" in shown
    assert shown.count("30.0%") == int((values == 0.3).sum().sum()) - 1
    assert not [t for t in shown if t in ("0%", "nan%", "n/a")]
    assert {"struck: hidden for privacy", "blank: not yet observable", "105"} <= set(shown)


def test_triangle_too_dense_for_figures_gets_a_scale():
    values, states, sizes = triangle_frames(40)
    fig = figures.triangle(values, states, fmt=percent, sizes=sizes)
    assert len(fig.axes) == 2
    assert "30.0%" not in [t.get_text() for t in fig.axes[0].texts]


def test_triangle_errors():
    values, states, _ = triangle_frames()
    assert figures.triangle(values * np.nan, states, fmt=percent) is None
    with pytest.raises(DataError, match="shape"):
        figures.triangle(values, states.iloc[1:], fmt=percent)
    with pytest.raises(DataError, match=r"'smal'.*'small'"):
        figures.triangle(values, states.replace("", "smal"), fmt=percent)


def test_nothing_to_draw_gives_no_figure():
    empty = SERIES.head(0)
    calls = [
        lambda f: figures.bars(f, x="month", y="v", fmt=money),
        lambda f: figures.lines(f, x="month", y="v", fmt=money),
        lambda f: figures.grouped_bars(f, x="month", y="v", hue="n", fmt=money),
        lambda f: figures.intervals(f, label="month", value="v", low="low", high="high", fmt=money),
    ]
    for call in calls:
        assert call(empty) is None
        assert call(SERIES.assign(v=np.nan)) is None
        with pytest.raises(DataError, match="no column 'v'"):
            call(SERIES.drop(columns="v"))


def test_frames_are_not_changed():
    before = BY_CHANNEL.copy()
    figures.lines(BY_CHANNEL, x="month", y="v", hue="c", fmt=money)
    figures.grouped_bars(BY_CHANNEL, x="month", y="v", hue="c", fmt=money)
    pd.testing.assert_frame_equal(BY_CHANNEL, before)


def test_colors_are_stable_by_name_and_differ_within_a_picture():
    assert figures.color_of("Email") == figures.color_of("email")
    alone = figures.colors_of(["Partner"])["Partner"]
    assert alone == figures.color_of("Partner")
    names = [f"segment {i}" for i in range(8)]
    assert len(set(figures.colors_of(names).values())) == 8
    assert figures.colors_of(names) == {k: figures.colors_of(reversed(names))[k] for k in names}


# Severe protanopia and deuteranopia: Machado, Oliveira and Fernandes (2009), table of matrices.
BLIND = {
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "none": np.eye(3).tolist(),
}


@pytest.mark.parametrize("kind", BLIND)
def test_palette_tells_segments_apart_for_color_blind_readers(kind):
    def lab(hexes):
        rgb = np.array([[int(h[i : i + 2], 16) / 255 for i in (1, 3, 5)] for h in hexes])
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        seen = np.clip(linear @ np.array(BLIND[kind]).T, 0, 1)
        to_xyz = np.array(
            [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
        )
        x = (seen @ to_xyz.T) / np.array([0.9505, 1, 1.089])
        f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
        return np.c_[116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])]

    points = lab(style.CATEGORICAL)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert apart[~np.eye(len(points), dtype=bool)].min() > 10


def test_sequential_palette_darkens_steadily():
    shades = style.SEQUENTIAL(np.linspace(0, 1, 20))[:, :3] @ [0.299, 0.587, 0.114]
    assert (np.diff(shades) < 0).all()


def test_panels_share_one_scale_and_stress_the_point_between():
    rows = pd.DataFrame({
        "input": ["a"] * 3 + ["b"] * 3, "change": [-0.5, 0.0, 0.5] * 2,
        "value": [4.0, 2.0, 1.0, 1.0, 2.0, np.nan],
    })  # fmt: skip
    fig = figures.panels(rows, x="change", y="value", panel="input", fmt=money, x_fmt=percent)
    left, right = fig.axes
    assert [left.get_title("left"), right.get_title("left")] == ["a", "b"]
    assert left.get_ylim() == right.get_ylim() and left.get_ylim()[0] <= 0
    assert left.lines[1].get_ydata().tolist() == [2.0]
    assert figures.panels(rows.head(0), x="change", y="value", panel="input", fmt=money,
                          x_fmt=percent) is None  # fmt: skip


def test_panels_with_axes_of_their_own():
    rows = pd.DataFrame({
        "input": ["a"] * 3 + ["b"] * 3, "at": [0.1, 0.2, 0.3, 10.0, 40.0, 41.0],
        "value": [4.0, 2.0, 1.0, 1.0, 2.0, 3.0],
    })  # fmt: skip
    fig = figures.panels(rows, x="at", y="value", panel="input", fmt=money,
                         x_fmt={"a": percent, "b": money}, mark={"a": 0.2, "b": 40.0})  # fmt: skip
    left, right = fig.axes
    assert left.get_xlim()[1] < 1 < right.get_xlim()[0] and left.get_ylim() == right.get_ylim()
    assert [text.get_text() for text in left.get_xticklabels()] == ["10.0%", "20.0%", "30.0%"]
    # A mark that would be written over an end has its point, and no label.
    assert [text.get_text() for text in right.get_xticklabels()] == [money(10), money(41)]
    assert [line.lines[1].get_ydata().tolist() for line in (left, right)] == [[2.0], [2.0]]
