"""What is shown: numbers in words, inert names, tables, pictures, headline and record bundles."""

import json
import math
import types
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from helpers import figures, show
from helpers.errors import DataError, UsageError

EVIL = "<script>alert(1)</script> {{ 7*7 }} =cmd()|'x' [a](javascript:b) **c** | $5 $6 www.x.y `d`"


@pytest.fixture
def shown(monkeypatch):
    """Collect (data, metadata) of everything displayed."""
    seen = []
    monkeypatch.setattr(show, "_display", lambda data, metadata=None: seen.append((data, metadata)))
    return seen


@pytest.mark.parametrize(
    ("currency", "amount", "text"),
    [
        ("EUR", 1234.4, "€1,234"),
        ("EUR", 1234.5, "€1,235"),
        ("EUR", 12.34, "€12.34"),
        ("EUR", -5, "-€5"),
        ("EUR", -0.001, "€0"),
        ("EUR", 99.999, "€100"),
        ("EUR", Decimal("2.675"), "€2.68"),
        ("EUR", np.int64(7), "€7"),
        ("USD", 0.5, "$0.50"),
        ("GBP", 3, "£3"),
        ("JPY", 12.34, "¥12"),
        ("PLN", 1234, "PLN 1,234"),
        ("PLN", -1234, "-PLN 1,234"),
        *[("EUR", x, "n/a") for x in (None, math.nan, math.inf, pd.NA, pd.NaT, np.float64("nan"))],
    ],
)
def test_money(currency, amount, text):
    assert show.money_in(currency)(amount) == text


def test_money_digits_and_text_is_refused():
    assert show.money_in("EUR")(1234.5, digits=2) == "€1,234.50"
    with pytest.raises(TypeError, match="'12'"):
        show.money_in("EUR")("12")


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.1234, "12.3%"),
        (0, "0%"),
        (1, "100%"),
        (-0.05, "-5.0%"),
        (0.0004, "0.04%"),
        (12.5, "1,250%"),
        (pd.NA, "n/a"),
    ],
)
def test_percent(share, text):
    assert show.percent(share) == text


def test_other_formats():
    assert show.count(1234.0) == "1,234"
    assert show.ratio(1.234) == "1.23"
    assert show.days(1) == "1 day"
    assert show.months(13.46) == "13.5 months"
    assert show.month_name("2026-06") == show.month_name(date(2026, 6, 1)) == "June 2026"
    assert {show.count(None), show.ratio(None), show.days(None), show.months(pd.NA)} == {"n/a"}
    with pytest.raises(UsageError, match="2026-13"):
        show.month_name("2026-13")


def test_label_is_inert_and_readable():
    text = show.label(EVIL, most=200)
    assert not set("<>{}[]()*|`$=:.\"'") & set(text)
    assert show.plain(text) == EVIL
    assert show.label("Black-Friday 2026, Zürich") == "Black-Friday 2026, Zürich"
    assert show.label("a\n# b\x00c") == "a &#35; b c"
    assert len(show.plain(show.label("x" * 500))) == 80


def test_say_protects_dollars_and_has_plain_text(shown):
    show.say(f"**{show.money_in('USD')(5)}** per `order`, by {show.label('<b>')}")
    data, _ = shown[0]
    assert data["text/markdown"] == r"**\$5** per `order`, by &#60;b&#62;"
    assert data["text/plain"] == "$5 per order, by <b>"


def frame(rows=3):
    return pd.DataFrame(
        {
            "month": pd.date_range("2026-01-01", periods=rows, freq="MS"),
            "channel": [EVIL] * rows,
            "revenue": [12.34, None, 2000.0] + [5.0] * (rows - 3),
            "orders": [1, 2, 3] + [4] * (rows - 3),
        }
    )


def test_table_html_has_caption_scopes_and_escapes(shown):
    money = show.money_in("EUR")
    show.show_table(frame(), caption="Revenue <b>", unit="EUR", formats={"revenue": money})
    data, _ = shown[0]
    page = data["text/html"]
    assert "<script" not in page
    assert "<b>" not in page
    assert "<caption" in page
    assert page.count('scope="col"') == 4
    assert page.count('scope="row"') == 3
    # one number of decimals in a column
    assert "€2,000.00" in page
    assert "n/a" in data["text/plain"]
    assert "0x" not in data["text/plain"]


def test_table_bundle_keeps_full_precision(shown):
    exact = pd.DataFrame(
        {"day": [date(2026, 1, 2)], "x": [1 / 3], "y": [np.nan], "z": [pd.NA], "n": [np.int64(3)]}
    )
    show.show_table(exact, caption="Exact", name="exact")
    bundle = shown[0][0][show.__dict__["TABLE"]]
    assert bundle["rows"] == [["2026-01-02", 0.333333333333, None, None, 3]]
    assert json.loads(json.dumps(bundle, allow_nan=False)) == bundle


def test_long_and_wide_tables_say_what_is_left_out(shown):
    wide = pd.DataFrame(np.arange(13 * 9).reshape(13, 9), columns=list("abcdefghi"))
    show.show_table(wide, caption="Wide", name="wide")
    data, _ = shown[0]
    assert "First 12 of 13 rows, the rest in tables/wide.csv." in data["text/plain"]
    assert "First 8 of 9 columns" in data["text/html"]
    assert data["text/html"].count("<tr>") == 13
    assert data["text/html"].count('scope="col"') == 8
    assert len(data["application/vnd.ltv.table+json"]["rows"]) == 13


def test_table_takes_index_as_row_heads_and_leaves_the_frame_alone(shown):
    given = frame().set_index("month")
    before = given.copy()
    show.show_table(given, caption="Indexed")
    assert shown[0][0]["application/vnd.ltv.table+json"]["columns"][0] == "month"
    assert '<th scope="row" style="text-align:left">2026-01</th>' in shown[0][0]["text/html"]
    pd.testing.assert_frame_equal(given, before)


@pytest.mark.parametrize(
    "column", ["customer_id", "Email", "name", "phone", "order_id", "Customer ID"]
)
def test_personal_columns_are_refused(shown, column):
    for bad in (
        pd.DataFrame({column: [1]}),
        pd.DataFrame({"n": [1]}, index=pd.Index([1], name=column)),
    ):
        with pytest.raises(UsageError, match="identifies people"):
            show.show_table(bad, caption="x")
    assert not shown


def test_table_errors(shown):
    with pytest.raises(UsageError, match="caption"):
        show.show_table(frame(), caption=" ")
    with pytest.raises(UsageError, match="lower-case"):
        show.show_table(frame(), caption="x", name="../x")
    with pytest.raises(UsageError, match=r"revenu.*Did you mean 'revenue'"):
        show.show_table(frame(), caption="x", formats={"revenu": show.count})
    with pytest.raises(DataError, match="5,001 rows"):
        show.show_table(pd.DataFrame({"n": range(5001)}), caption="x")
    assert not shown


def test_empty_table_says_so(shown):
    show.show_table(pd.DataFrame({"n": []}), caption="Nothing")
    assert [data["text/plain"] for data, *_ in shown] == ["Nothing: none."]


def test_a_sentence_stands_in_for_an_empty_table(shown):
    show.show_table(pd.DataFrame({"n": []}), caption="Nothing", otherwise="No orders are known.")
    assert [data["text/plain"] for data, *_ in shown] == ["No orders are known."]
    show.show_table(pd.DataFrame({"n": []}), caption="Nothing", otherwise="")
    assert len(shown) == 1
    show.show_table(pd.DataFrame({"n": [1]}), caption="One", otherwise="No orders are known.")
    assert "One" in shown[1][0]["text/plain"]


def draw():
    data = pd.DataFrame({"month": ["2026-05", "2026-06"], "v": [1.0, 2.0]})
    return figures.bars(data, x="month", y="v", fmt=show.count)


def test_figure_has_alt_and_text_and_same_bytes(shown):
    for _ in range(2):
        show.show_figure(
            draw(), title="It doubled", subtitle="s", source="Source: x", alt="Two bars, 1 and 2"
        )
    (one, metadata), (two, _) = shown
    assert metadata == {"image/png": {"alt": "It doubled. Two bars, 1 and 2"}}
    assert one["text/plain"] == "It doubled\nTwo bars, 1 and 2"
    assert one == two


def test_figure_refuses_long_titles_and_missing_alt(shown):
    with pytest.raises(UsageError, match="91 characters"):
        show.show_figure(draw(), title="x" * 91, subtitle="", source="", alt="a")
    with pytest.raises(UsageError, match="alt text"):
        show.show_figure(draw(), title="x", subtitle="", source="", alt=" ")
    assert not shown


def test_figure_of_pyplot_is_closed(shown):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots()
    ax.plot([1, 2])
    show.show_figure(fig, title="x", subtitle="", source="", alt="a line")
    assert not plt.get_fignums()


ITEMS = [
    show.Headline("margin", "Margin <b>", 31.4159, "money", 28.9, 34),
    show.Headline("payback", "Payback", None, "months", note="no spend"),
]


def test_headline_bundle_and_texts(shown):
    show.show_headline(ITEMS, currency="EUR")
    data, _ = shown[0]
    assert (
        data["text/plain"]
        == "Margin <b>: €31.42 (€28.90 to €34.00)\nPayback: not available (no spend)"
    )
    assert "<b>" not in data["text/html"]
    bundle = data["application/vnd.ltv.headline+json"]
    assert bundle["currency"] == "EUR"
    assert bundle["figures"][1]["value"] is None
    assert [f["name"] for f in bundle["figures"]] == ["margin", "payback"]


def test_headline_checks():
    with pytest.raises(UsageError, match=r"unit = 'percents'.*'percent'"):
        show.Headline("a", "A", 1, "percents")
    with pytest.raises(UsageError, match="twice"):
        show.show_headline([ITEMS[0], ITEMS[0]], currency="EUR")


def test_record(shown):
    study = types.SimpleNamespace(
        shop=types.SimpleNamespace(name="s"), month="2026-06", currency="EUR"
    )
    show.show_record(study, ITEMS, forecast={"low": np.float64(1 / 3), "when": date(2026, 6, 1)})
    record = shown[0][0]["application/vnd.ltv.record+json"]
    assert (record["shop"], record["month"], record["currency"]) == ("s", "2026-06", "EUR")
    assert record["extra"] == {"forecast": {"low": 0.333333333333, "when": "2026-06-01"}}
    assert "margin" in shown[0][0]["text/plain"]


def test_displays_in_ipython(capsys):
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    InteractiveShell.instance()
    try:
        with capture_output() as captured:
            show.say("Hello")
        assert captured.outputs[0].data["text/plain"] == "Hello"
    finally:
        InteractiveShell.clear_instance()
