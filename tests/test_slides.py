"""Slides: whole, offline, small, readable without eyes; and a webinar of forty-five minutes."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from helpers.__main__ import main
from helpers.errors import UsageError
from helpers.training import decks
from helpers.training.slides import slides_of

VOID = {"meta", "link", "img", "br", "hr"}


class Page(HTMLParser):
    """What a test wants to know of a page: tags with their attributes, and what is left open."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder, found = decks.write_decks(tmp_path_factory.mktemp("slides"))
    return folder, found, {d.name: (folder / f"{d.name}.html").read_text("utf-8") for d in found}


def test_a_deck_for_each_notebook_and_exercise_and_the_webinar(made):
    names = [deck.name for deck in made[1]]
    assert [n[:2] for n in names[:6]] == ["01", "02", "03", "04", "05", "06"]
    assert [n[:12] for n in names[6:13]] == [f"exercise_0{n}_" for n in range(7)]
    assert names[13:] == ["webinar"]


def test_pages_are_whole_and_offline(made):
    folder, _, texts = made
    for name, text in texts.items():
        page = Page(text)
        assert page.open == [], name
        assert len(text.encode()) < 1_000_000
        addresses = [
            a.get("src") or a.get("href") for _, a in page.tags if {"src", "href"} & set(a)
        ]
        for address in addresses:
            local = re.fullmatch(r"data:.*|#[\w-]+|\w+\.html", address, re.S)
            assert local, (name, address[:80])
            assert not address.endswith(".html") or (folder / address).is_file()
        assert not re.search(r"@import|url\(|https?://", re.sub(r"data:[^\"]*", "", text)), name
        ids = [a["id"] for _, a in page.tags if "id" in a]
        assert len(set(ids)) == len(ids), name
        assert [len(page.all("h1")), len(page.all("html"))] == [1, 1]
        assert page.all("html")[0]["lang"] == "en"


def test_the_policy_allows_this_script_and_nothing_else(made):
    for text in made[2].values():
        script = re.findall(r"<script>(.*?)</script>", text, re.S)
        assert len(script) == 1
        digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
        policy = next(a["content"] for a in Page(text).all("meta") if "content" in a and "default-src" in a["content"])  # fmt: skip
        assert f"script-src 'sha256-{digest}'" in policy
        assert policy.startswith("default-src 'none'")


def test_every_picture_speaks_and_no_slide_is_blank(made):
    _, found, texts = made
    for deck in found:
        pictures = Page(texts[deck.name]).all("img")
        assert all(len(a["alt"]) > 20 and a["width"] for a in pictures)
        assert len(pictures) == sum(len(s.pictures) for s in deck.slides)
        for slide in deck.slides:
            shown = slide.words or slide.figures or slide.pictures or slide.tables or slide.said
            assert slide.heading, (deck.name, slide.id)
            assert shown or slide.code, (deck.name, slide.id)
    assert sum(len(s.pictures) for d in found[:6] for s in d.slides) > 40


def test_the_webinar_takes_forty_five_minutes_and_every_step_is_there(made):
    _, steps = decks.read_path()
    webinar = made[1][-1]
    assert webinar.minutes == sum(step.minutes for step in steps) == 45
    path = [s for s in webinar.slides if s.minutes]
    assert len(path) == len(steps)
    assert all(s.notes for s in path)
    # What is said holds for every month: no figure of one month is in it.
    assert not any(re.search(r"\d+[.,]\d|[%€]", step.say) for step in steps)
    marked = [(d.name, s.id) for d in made[1][:-1] for s in d.slides if s.minutes]
    assert sorted(marked) == sorted((step.deck, step.slide) for step in steps)


def test_solutions_are_in_the_notes_alone(made):
    text = made[2]["exercise_00_first_ltv"]
    assert "lifetime = 1 / churn" in text
    shown = re.sub(r"<details class=\"notes\">.*?</details>", "", text, flags=re.S)
    assert "lifetime = ..." in shown
    assert "lifetime = 1 / churn" not in shown
    assert "Right: " not in re.sub("<script>.*", "", shown, flags=re.S)


def test_same_notebooks_same_bytes(made, tmp_path):
    folder, _ = decks.write_decks(tmp_path)
    assert {p.stem: p.read_text("utf-8") for p in folder.glob("*.html")} == made[2]


def test_raw_html_of_a_notebook_is_shown_as_text():
    cells = [
        {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# A?\n\n<b onclick=x>"},
        {"cell_type": "code", "id": "out", "metadata": {}, "source": "x", "outputs": [
            {"output_type": "display_data", "data": {"text/html": "<script>x</script>"}},
            {"output_type": "display_data", "data": {"text/markdown": "<i>no</i> **yes**"}},
        ]},
    ]  # fmt: skip
    first, second = slides_of({"cells": cells})
    assert "&lt;b onclick=x&gt;" in first.words
    assert "<strong>yes</strong>" in second.said[0]
    assert "&lt;i&gt;" in second.said[0]
    assert not second.tables


def test_what_is_not_there_is_said(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="sample 2020-01 is not published. Run first"):
        decks.notebooks_of("sample", "2020-01")
    assert next(iter(decks.notebooks_of(month="2026-05"))) == "01_data_cleaning"
    broken = tmp_path / "path.toml"
    broken.write_text('title = "x"\n[[step]]\ndeck = "01_data_cleaning"\n', encoding="utf-8")
    with pytest.raises(UsageError, match="not a path of a webinar"):
        decks.read_path(broken)
    with pytest.raises(UsageError, match="There is no deck '01_data_cleanin'.*01_data_cleaning"):
        decks.decks_of({}, [decks.Step("01_data_cleanin", "title", 1, "x")], "x")
    left = decks.decks_of({}, [decks.Step("exercise_00_first_ltv", "gone", 1, "x")], "x")
    assert left[-1].minutes == 0


def test_command_writes_them_and_says_where(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(
        main, ["slides", "--shop", "sample", "--month", "2026-05", "--out", "s"]
    )
    assert done.exit_code == 0, done.output
    assert "webinar, 45 min of the webinar" in done.output
    assert done.output.endswith("slides: s/webinar.html\n")
    assert (tmp_path / "s" / "webinar.html").is_file()
    refused = CliRunner().invoke(main, ["slides", "--month", "2020-01"])
    assert refused.exit_code == 2
    assert "is not published" in refused.output
