"""Pages made from a small executed notebook: safe, accessible, the same each time."""

import base64
import html.parser
import itertools
import json
import re
import struct
import time
import types

import pandas as pd
import pytest
from nbformat import v4

from helpers import catalog, figures, show
from helpers.publishing import pages
from helpers.publishing.indexes import (
    render_glossary,
    render_home,
    render_mail,
    render_month_index,
    trends,
)
from helpers.publishing.notebook_files import harvest, normalize
from helpers.publishing.pages import render_page

EVIL = (
    "<script>alert(1)</script> {{ 7*7 }} [x](javascript:alert(1)) ![p](http://e.vil/p.png) | =cmd()"
)
ABOUT = {"Shop": "Sample <b>", "Month": "2026-06", "Empty": ""}
NAV = [
    {"href": "../../index.html", "title": "All months", "current": False},
    {"href": "index.html", "title": "This month", "current": False},
    {"href": "01_a.html", "title": "What came in?", "current": False},
    {"href": "02_b.html", "title": "What is it worth?", "current": True},
    {"href": "03_c.html", "title": "Who comes back?", "current": False},
    {"href": "glossary.html", "title": "Glossary", "current": False},
]


def executed():
    """Build the notebook a kernel would have left, from what the helpers display."""
    outputs = []
    patch = pytest.MonkeyPatch()
    patch.setattr(
        show,
        "_display",
        lambda d, m=None: outputs.append(v4.new_output("display_data", data=d, metadata=m or {})),
    )

    def code(source, call=None, tags=(), extra=()):
        outputs.clear()
        if call:
            call()
        cell = v4.new_code_cell(source, outputs=[*outputs, *extra], execution_count=1)
        cell.metadata.tags = list(tags)
        return cell

    def text(source, *tags):
        return v4.new_markdown_cell(source, metadata={"tags": list(tags)})

    data = pd.DataFrame({"channel": [EVIL] * 14, "v": range(14)})
    items = [
        show.Headline("v", "Value <i>", 12.5, "money", 10, 15),
        show.Headline("p", "Payback", None, "months", note="no spend"),
    ]
    study = types.SimpleNamespace(
        shop=types.SimpleNamespace(name="s"), month="2026-06", currency="EUR"
    )
    foreign = v4.new_output(
        "execute_result",
        data={"text/plain": "a <b>", "text/html": "<script>bad()</script>"},
        execution_count=1,
    )
    streams = [v4.new_output("stream", name=n, text=f"{n} <u>") for n in ("stdout", "stderr")]
    cells = [
        text("# What is it worth?\nThree sentences."),
        code('hidden_parameter: str = ""  # h', tags=["parameters"]),
        code("hidden_parameter = 'x'", tags=["injected-parameters"]),
        code("import hidden_setup", tags=["setup"]),
        code("show_headline()", lambda: show.show_headline(items, currency="EUR"), tags=["headline"]),
        text(f"## Does it grow?\n{EVIL} <img src=http://e.vil/x onerror=alert(1)> <b>raw</b>\n\n| a | b |\n|---|---|\n| 1 | 2 |"),
        code("show_table(x < 1)", lambda: show.show_table(data, caption=f"By channel {EVIL}", unit="count", name="by_channel")),
        text("#### Too deep"),
        code("show_figure()", lambda: show.show_figure(figures.bars(data.head(3), x="channel", y="v", fmt=show.count), title="It grew", subtitle="s", source="x", alt='Three bars "0" to 2')),
        code("say()", lambda: show.say(f"**Best**: {show.label(EVIL)}")),
        text("## Does it grow?\nAgain.\n\n# A second title"),
        code("frame", extra=[foreign, *streams]),
        text("secret math", "math"), text("secret exercise", "exercise"), text("secret solution", "solution"),
        text("Note this.", "aside"),
        code("hidden_record", lambda: show.show_record(study, items), tags=["record"]),
    ]  # fmt: skip
    patch.undo()
    return normalize(v4.new_notebook(cells=cells))


@pytest.fixture(scope="module")
def notebook():
    return executed()


@pytest.fixture(scope="module")
def page(notebook):
    return render_page(
        notebook,
        title="What is it worth? Sample, 2026-06",
        nav=NAV,
        about=ABOUT,
        tables="tables/02_",
    )


@pytest.fixture(scope="module")
def month():
    figure = {"name": "v", "label": "Value", "unit": "money", "low": None, "high": None, "note": ""}
    changes = [
        figure | {"notebook": "02_b", "value": 110, "before": 100},
        figure
        | {"notebook": "02_b", "label": "Rate", "unit": "percent", "value": 0.30, "before": 0.32},
        figure | {"notebook": "02_b", "label": "Fresh", "value": 5, "before": None},
        figure | {"notebook": "02_b", "label": "Gone", "value": None, "before": 7},
    ]
    return render_month_index(
        shop_title="Sample <b>",
        month="2026-06",
        pages=[
            {"href": link["href"], "title": link["title"], "picture": PICTURE} for link in NAV[2:5]
        ],
        changes=changes,
        alerts=["Margin <u> is unknown", {"text": "Under target", "notebook": "02_b"}],
        unchecked=["refund rate: no sales <i>", "consent: none"],
        about=ABOUT,
        nav=NAV,
        currency="EUR",
    )


PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 720, 400)
PICTURE = {"finding": "It <b> grew", "alt": 'Bars "0" to 2', "png": base64.b64encode(PNG).decode()}


def headline(value, unit="money"):
    return {
        "notebook": "06_c",
        "name": "core_metric",
        "label": "Core <i>",
        "unit": unit,
        "value": value,
    }


HOME = [
    {
        "shop": "s",
        "title": "Shop <b>",
        "month": m,
        "href": f"s/{m}/index.html",
        "alerts": 1,
        "stale": m == "2026-05",
        "stale_because": ["2026-04"],
        "currency": "EUR",
        "headline": [headline(value)],
    }
    for m, value in (("2026-05", 564.0), ("2026-06", 471.0))
]


@pytest.fixture(scope="module")
def home():
    return render_home(HOME)


@pytest.fixture(scope="module")
def glossary():
    listed = [link | {"current": link["href"] == "glossary.html"} for link in NAV]
    return render_glossary(
        shop_title="Sample <b>", month="2026-06", pages=NAV[2:5], about=ABOUT, nav=listed
    )


@pytest.fixture(params=["page", "month", "home", "glossary"])
def any_page(request):
    return request.getfixturevalue(request.param)


class Elements(html.parser.HTMLParser):
    """All start tags with their attributes, in order, and whether tags are balanced."""

    VOID = ("meta", "link", "img", "br", "hr")

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def of(self, *tags):
        return [(tag, attrs) for tag, attrs in self.found if tag in tags]


def text_of(page):
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", body))


def test_no_script_no_outside_resource(any_page):
    elements = Elements(any_page)
    assert not elements.open
    assert not elements.of("script", "iframe", "object", "embed", "form", "base")
    for _, attrs in elements.found:
        assert not [name for name in attrs if name.startswith("on")]
        for name in ("src", "href", "srcset", "action"):
            assert not re.match(r"\s*(https?:|//|javascript:|file:)", attrs.get(name) or "")
    assert "@import" not in any_page
    assert "url(" not in any_page
    policy = next(a["content"] for t, a in elements.of("meta") if a.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


def test_outline_and_landmarks(any_page):
    elements = Elements(any_page)
    levels = [int(tag[1]) for tag, _ in elements.of("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    ids = [attrs["id"] for _, attrs in elements.found if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [a["href"][1:] for _, a in elements.of("a") if a["href"].startswith("#")]
    assert set(links) <= set(ids)
    assert "main" in links
    assert elements.of("html")[0][1]["lang"] == "en"
    assert len(elements.of("main")) == 1
    names = [a.get("aria-label") for _, a in elements.of("nav")]
    assert None not in names
    assert len(set(names)) == len(names)


def test_pictures_and_tables_are_described(any_page):
    elements = Elements(any_page)
    for _, attrs in elements.of("img"):
        assert attrs["alt"]
        assert attrs["width"]
        assert attrs["src"].startswith("data:image/png;base64,")
    assert len(elements.of("table")) == len(elements.of("caption"))
    assert all(attrs.get("scope") in ("row", "col") for _, attrs in elements.of("th"))


def test_alt_text_is_kept(page):
    assert [a["alt"] for _, a in Elements(page).of("img")] == ['It grew. Three bars "0" to 2']


def test_data_and_raw_html_are_shown_as_text(page):
    elements, words = Elements(page), text_of(page)
    assert not elements.of("b", "i", "u")
    assert words.count("<script>alert(1)</script>") >= 3
    assert "{{ 7*7 }}" in words
    assert "<b>raw</b>" in words
    assert "bad()" not in page
    assert "a <b>" in words
    assert len(elements.of("img")) == 1


def test_what_is_hidden_and_what_is_folded(page):
    assert "hidden_" not in page
    assert "secret" not in page
    assert "stderr" not in page
    assert "stdout &lt;u&gt;" in page
    folded = "".join(re.findall(r"<details.*?</details>", page, re.DOTALL))
    unfolded = re.sub(r"<details.*?</details>", "", page, flags=re.DOTALL)
    assert "show_table(x<1)" in re.sub(r"\s", "", text_of(folded))
    assert "show_table" not in unfolded
    assert "<aside>" in page


def test_headline_strip_stands_before_the_first_section_once(page):
    assert page.count("€12.50") == 1
    assert page.index("€12.50") < page.index("On this page") < page.index("<h2")
    assert "€10.00 to €15.00" in page
    assert "no spend" in page


def test_contents_come_from_the_second_level(page):
    contents = re.search(
        r'<nav aria-label="Contents".*?</nav>|<nav class="contents".*?</nav>', page, re.DOTALL
    )[0]
    assert re.findall(r'href="#([^"]+)"', contents) == [
        "does-it-grow",
        "does-it-grow-2",
        "a-second-title",
        "about",
    ]


def test_tables_link_their_file(page):
    assert 'the rest in <a href="tables/02_by_channel.csv">tables/02_by_channel.csv</a>' in page


def test_about_and_navigation(page):
    words = text_of(page)
    assert "Sample <b>" in words
    assert "Empty" not in words
    links = {a.get("rel"): a["href"] for _, a in Elements(page).of("a") if a.get("rel")}
    assert links["prev"] == "01_a.html"
    assert links["next"] == "03_c.html"
    assert {"../../index.html", "index.html"} <= {a["href"] for _, a in Elements(page).of("a")}


def test_every_page_of_a_month_links_the_glossary_once_in_its_header(page, month, glossary):
    for text in (page, month, glossary):
        header = text[text.index("<header>") : text.index("</header>")]
        assert header.count('href="glossary.html"') == 1
        assert 'href="glossary.html"' not in text[text.index("<footer>") :]
    assert 'aria-current="page"' in glossary[: glossary.index("</header>")]
    links = [a.get("rel") for _, a in Elements(glossary).of("a")]
    assert "prev" not in links and "next" not in links


def test_navigation_as_a_dict(notebook):
    nav = {
        "previous": {"href": "p.html", "title": "P"},
        "month": {"href": "index.html", "title": "June"},
    }
    page = render_page(notebook, title="x", nav=nav, about={})
    assert 'href="p.html"' in page
    assert '<a href="p.html" rel="prev">' in page
    assert not [a for _, a in Elements(page).of("a") if a.get("rel") == "next"]
    assert "About this report" not in page


def test_same_bytes_and_notebook_untouched(notebook, page, month, home):
    before = json.dumps(notebook)
    again = render_page(
        json.loads(before),
        title="What is it worth? Sample, 2026-06",
        nav=NAV,
        about=ABOUT,
        tables="tables/02_",
    )
    assert again == page
    assert json.dumps(notebook) == before
    assert render_home(HOME) == home
    assert page.endswith("</html>\n")


def test_rendering_is_quick_and_small(notebook, page):
    start = time.perf_counter()
    render_page(notebook, title="x", nav=NAV, about=ABOUT)
    assert time.perf_counter() - start < 0.3
    assert len(page) < 120_000


def test_a_notebook_without_a_title_gets_one():
    page = render_page(
        normalize(v4.new_notebook(cells=[v4.new_code_cell("1")])), title="A <b> title"
    )
    assert "<h1>A &lt;b&gt; title</h1>" in page


def test_questions_that_the_code_does_not_answer_are_left_out():
    def text(source):
        return v4.new_markdown_cell(source)

    def code(*said):
        outputs = [v4.new_output("display_data", {"text/plain": word}) for word in said]
        return v4.new_code_cell("work()", outputs=outputs)

    cells = [text("# Title"), text("## Answered?"), code(), text("A line to nothing:"), code(),
             text("A line to something:"), code("said"), text("### Below, not answered?"), code(),
             text("## Open?"), text("Some prose."), code(), text("### Below it?"), code(),
             text("## Only prose")]  # fmt: skip
    page = render_page(v4.new_notebook(cells=cells), title="Page")
    shown = ["Answered?", "A line to something:", "said", "Only prose"]
    assert all(word in page for word in shown)
    gone = ["A line to nothing:", "Below, not answered?", "Open?", "Some prose.", "Below it?"]
    assert not any(word in page for word in gone)


def test_month_page(month):
    words = " ".join(text_of(month).split())
    assert "Sample <b>, June 2026" in words
    assert "Margin <u> is unknown" in words
    assert "Not checked: refund rate: no sales <i>; consent: none." in words
    assert "Value €110 €100 +10.0%" in words
    assert "Rate 30.0% 32.0% -2.0 points" in words
    assert "Gone not available €7" in words
    changes = month[month.index('<h2 id="changes"') :]
    assert "Fresh" not in changes
    assert "Fresh" in month
    assert month.count('href="02_b.html"') >= 3


def test_month_page_shows_the_finding_and_the_first_picture_of_each_page(month):
    words = " ".join(text_of(month).split())
    assert words.count("It <b> grew") == 3
    pictures = [a for tag, a in Elements(month).found if tag == "img"]
    assert [(a["alt"], a["width"], a["height"]) for a in pictures] == [
        ('Bars "0" to 2', "720", "400")
    ] * 3


def test_the_first_picture_after_the_headline_is_harvested(notebook):
    picture = harvest(notebook).picture
    assert picture["finding"] == "It grew"
    assert picture["alt"] == 'It grew. Three bars "0" to 2'
    assert harvest(v4.new_notebook()).picture is None


def test_headline_figures_lead_to_their_definition(glossary):
    figure = headline(1.0) | {"name": "month_orders"}
    assert pages.explained(figure, "EUR")["means"] == "glossary.html#orders"
    assert pages.explained(figure | {"name": "experiments"}, "EUR")["means"] == ""
    ids = {attrs["id"] for _, attrs in Elements(glossary).found if attrs.get("id")}
    used = {catalog.meaning(name) for name in
            ("rows_set_aside", "ltv_margin_365d", "clv_total", "arms_read", "holdout_bias")}  # fmt: skip
    assert used < ids


SUMMARY = {
    "month": "2026-06",
    "currency": "EUR",
    "alerts": [{"notebook": "06_c", "text": "Under <b> target"}],
    "unchecked": ["consent <i>: no table consents"],
    "figures": [headline(110.0) | {"before": 100.0, "low": 90.0, "high": 130.0, "note": "n <u>"}],
}
ANSWERS = [
    {"notebook": "06_c", "question": "How did it go?", "finding": "It <b> grew"},
    {"notebook": "05_b", "question": "Did it pay?", "finding": ""},
]


def test_the_letter_is_within_what_mail_programs_keep():
    letter = render_mail(shop_title="Sample <b>", summary=SUMMARY, answers=ANSWERS)
    tags = Elements(letter).found
    kept = {"html", "head", "meta", "title", "body", "table", "tr", "td", "th", "h1", "h2", "p",
            "strong", "span", "br"}  # fmt: skip
    assert {tag for tag, _ in tags} <= kept
    assert not any(set(attrs) & {"class", "id", "src", "href", "onclick"} for _, attrs in tags)
    properties = {
        part.partition(":")[0].strip()
        for _, attrs in tags
        for part in attrs.get("style", "").split(";")
    }
    assert not properties & {"display", "position", "float", "grid-template-columns", "flex"}
    assert "@" not in letter and "url(" not in letter
    assert len(letter) < 100_000, "longer ones are clipped"
    words = " ".join(text_of(letter).split())
    assert "Not checked: consent <i>: no table consents." in words
    assert "Under <b> target" in words and "Core <i> €110 €90 to €130 n <u>" in words
    assert "Core <i> €110 €100 +10.0%" in words


def test_home_page_follows_figures_over_the_months(home):
    words = " ".join(text_of(home).split())
    assert "Core <i> May 2026 €564 €471" in words
    [line] = [a for tag, a in Elements(home).found if tag == "svg"]
    assert line["aria-label"] == "Core <i>: €564 in May 2026, €471 in June 2026."
    [course] = [a["points"] for tag, a in Elements(home).found if tag == "polyline"]
    assert course == "4.0,4.0 156.0,28.0", "later to the right, less lies lower"


def test_a_course_leaves_out_what_cannot_be_compared():
    def follow(*values, **changed):
        months = [
            {"month": f"2026-0{7 - i}", "currency": "EUR", "headline": [headline(value)]}
            for i, value in enumerate(values)
        ]
        months[-1] |= changed
        return trends(months)

    assert follow(1.0) == []
    assert follow(1.0, 2.0)[0]["since"] == "June 2026"
    assert follow(1.0, None, 3.0)[0]["line"].count(",") == 2
    assert follow(1.0, 2.0, currency="USD") == []
    assert follow(1.0, 2.0, headline=[headline(0.2, "percent")]) == []
    assert follow(5.0, 5.0)[0]["line"] == "4.0,28.0 156.0,28.0"
    assert trends([]) == []


def test_month_page_without_alerts_or_changes():
    page = render_month_index(
        shop_title="S",
        month="2026-06",
        pages=[{"href": "01_a.html", "title": "A?"}],
        changes=[],
        alerts=[],
        about={},
        nav={},
    )
    assert "Nothing raised an alert" in page
    assert "nothing to compare with" in page


def test_home_page(home):
    months = home[home.index('<ul class="months">') :]
    assert months.index("June 2026") < months.index("May 2026")
    assert "1 alert · stale: April 2026 changed since; run it again" in home
    nested = render_home(
        [
            {
                "shop": "s",
                "title": "S",
                "months": [
                    {
                        "month": "2026-06",
                        "href": "x.html",
                        "published": "2026-07-01",
                        "stale": False,
                    }
                ],
            }
        ]
    )
    assert "published 2026-07-01" in nested
    assert "No month is published yet" in render_home([])


def test_alt_text_without_metadata_falls_back_to_the_text_form():
    assert pages.alt_text({"data": {"text/plain": "a\nb"}, "metadata": {}}) == "a b"
