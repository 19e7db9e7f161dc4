"""What if: levers, the picture of small multiples, and sliders where somebody can move them."""

import jupyter_client
import numpy as np
import pytest

from helpers import show, sliders
from helpers.errors import UsageError
from helpers.show import Finding, money_in, percent
from helpers.sliders import Lever

EUR = money_in("EUR")
LEVERS = (
    Lever("churn", "Churn", 0.05, 0.02, 0.08, percent),
    Lever("arpu", "Revenue", 15.0, 10.0, 15.0, EUR),
)
TEXT = {"fmt": EUR, "subtitle": "value", "source": "Source: made up"}


def worth(*, churn: float, arpu: float) -> float:
    return arpu / churn


def test_a_lever_holds_its_value_and_a_name():
    with pytest.raises(UsageError, match=r"Lever churn: 0.05 from 0.1 to 0.2"):
        Lever("churn", "Churn", 0.05, 0.1, 0.2, percent)
    with pytest.raises(UsageError, match="low below high"):
        Lever("churn", "Churn", 0.05, 0.05, 0.05, percent)
    with pytest.raises(UsageError, match="low <= value"):
        Lever("churn", "Churn", np.nan, 0.0, 1.0, percent)
    with pytest.raises(UsageError, match="'a b'"):
        Lever("a b", "Churn", 0.05, 0.0, 1.0, percent)


def test_each_lever_is_moved_alone():
    table = sliders.varied(LEVERS, worth, points=2)
    churn = table[table["lever"] == "Churn"]
    assert churn["moved_to"].tolist() == pytest.approx([0.02, 0.035, 0.05, 0.065, 0.08])
    assert churn["value"].to_numpy() == pytest.approx(15 / churn["moved_to"].to_numpy())
    spend = table[table["lever"] == "Revenue"]
    assert spend["moved_to"].tolist() == pytest.approx([10, 12.5, 15])
    assert spend["value"].tolist() == pytest.approx([200, 250, 300])
    # Around another place, the others stand there.
    moved = sliders.varied(LEVERS, worth, at={"churn": 0.03}, points=2)
    assert moved.loc[moved["lever"] == "Revenue", "value"].max() == pytest.approx(500)
    assert 0.03 in moved.loc[moved["lever"] == "Churn", "moved_to"].to_numpy()
    assert sliders.varied((), worth).empty


def test_what_follows_in_words():
    said = sliders.in_words(LEVERS, worth, {"churn": 0.02, "arpu": 15.0}, EUR)
    assert said == "With churn 2.0%, revenue €15: €750, €450 more than as it is (€300)."
    assert sliders.in_words(LEVERS, worth, sliders.as_it_is(LEVERS), EUR).endswith("€300.")
    none = sliders.in_words(LEVERS, lambda **_: np.nan, sliders.as_it_is(LEVERS), EUR)
    assert none.endswith("there is no value.")


def test_sliders_answer_when_they_are_moved():
    box = sliders.view(LEVERS, worth, fmt=EUR)
    *rows, back, sentence, picture = box.children
    churn, spend = (row.children[0] for row in rows)
    assert (churn.min, churn.value, churn.max) == (0.02, 0.05, 0.08)
    assert "€300" in sentence.value
    first = bytes(picture.value)
    assert first.startswith(b"\x89PNG")
    churn.value = 0.02
    assert "€750, €450 more" in sentence.value and bytes(picture.value) != first
    assert rows[0].children[1].value == percent(0.02)
    spend.value = 10.0
    assert "€500" in sentence.value
    back.click()
    assert (churn.value, spend.value) == (0.05, 15.0)
    assert "more" not in sentence.value and bytes(picture.value) == first


def test_without_somebody_there_is_the_picture_alone(monkeypatch):
    seen = []
    monkeypatch.setattr(show, "_display", lambda data, metadata=None: seen.append(data))
    assert not sliders.attended()
    sliders.show_what_if(LEVERS, worth, Finding("It falls", "Two panels", "It falls."), **TEXT)
    assert ["image/png" in data for data in seen] == [True, False]
    seen.clear()
    sliders.show_what_if((), worth, Finding("", "", "There is nothing to vary."), **TEXT)
    assert [data["text/plain"] for data in seen] == ["There is nothing to vary."]


CELL = """
from helpers import sliders
from helpers.show import Finding, count
levers = (sliders.Lever("a", "A", 2.0, 1.0, 3.0, count),)
sliders.show_what_if(levers, lambda *, a: a * 2, Finding("It grows", "A line", "It grows."),
                     fmt=count, subtitle="value", source="Source: made up")
"""


def test_sliders_stand_only_where_a_front_end_can_ask():
    """JupyterLab sends cells with allow_stdin; papermill, nbval and nbconvert without."""
    manager, client = jupyter_client.manager.start_new_kernel(kernel_name="python3")
    try:
        shown = []
        for asks in (False, True):
            kinds = []
            client.execute_interactive(
                CELL, allow_stdin=asks, timeout=60,
                output_hook=lambda message, kinds=kinds: kinds.extend(
                    message["content"].get("data", {})
                ),
            )  # fmt: skip
            shown.append(kinds)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert shown[0] == ["image/png", "text/plain", "text/markdown", "text/plain"]
    widget = "application/vnd.jupyter.widget-view+json"
    assert shown[1][:4] == shown[0] and widget in shown[1]
