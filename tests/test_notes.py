"""A note is shown as it was meant, does no harm, joins the key, and is reached by forget."""

import json

import pytest
from stand_ins import input_digest

from helpers import notes
from helpers.contract.shop import load_shop
from helpers.errors import DataError
from helpers.privacy import forget
from helpers.publishing.pages import _Markdown

MONTH = "2026-03"


@pytest.fixture
def shop(make_shop):
    return load_shop(str(make_shop()))


def write(shop, text: str | bytes, month: str = MONTH):
    path = notes.path(shop, month)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def page(shop) -> str:
    return _Markdown()(notes.plan(shop, MONTH))


def test_plain_forms_are_kept(shop):
    write(shop, "# Plan\n\n- **one** and *two*\n  1. inner\n\n> quoted\n\n[see](https://x.org/a)")
    text = page(shop)
    for form in ("<h2", "Plan", "<strong>one</strong>", "<em>two</em>", "<ol>", "<blockquote>",
                 'href="https://x.org/a"'):  # fmt: skip
        assert form in text


HARM = {
    "script": "<script>alert(1)</script>",
    "handler": "<img src=x onerror=alert(1)>",
    "block": "<div onclick=alert(1)>\n\ntext\n\n</div>",
    "frame": '<iframe src="https://x.org"></iframe>',
    "link": "[go](javascript:alert(1))",
    "capitals": "[go](JaVaScRiPt:alert(1))",
    "entity": "[go](&#106;avascript:alert(1))",
    "data": "[go](data:text/html;base64,PHNjcmlwdD4=)",
    "file": "[go](file:///etc/passwd)",
    "reference": "[go][r]\n\n[r]: javascript:alert(1)",
    "auto": "<javascript:alert(1)>",
    "image": "![x](https://x.org/a.png)",
    "image reference": "![x][r]\n\n[r]: https://x.org/a.png",
    "linked image": "[![x](https://x.org/a.png)](javascript:alert(1))",
    "escaped": "\\<script>alert(1)\\</script>",
    "twice": "&lt;script&gt;alert(1)&lt;/script&gt;",
    "code": "`<script>alert(1)</script>`",
    "fence": "```html\n<script>alert(1)</script>\n```\n",
    "quote in link": '[go](https://x.org/"onmouseover="alert(1))',
    "breaks out": "```\n`````\n<script>alert(1)</script>",
    "heading": "# <script>alert(1)</script>",
    "style": "<style>@import 'https://x.org/a.css'</style>",
}


@pytest.mark.parametrize("text", HARM.values(), ids=HARM)
def test_nothing_in_a_note_is_loaded_or_run(shop, text):
    write(shop, f"Before {text} after\n\n{text}\n")
    found, markdown = page(shop), notes.plan(shop, MONTH)
    import re

    tags = re.findall(r"<\s*/?\s*([a-zA-Z0-9]+)([^>]*)>", found)
    assert {tag for tag, _ in tags} <= {"p", "h2", "a", "em", "strong", "br", "ul", "li"}
    for tag, rest in tags:
        allowed = r'( href="(https?|mailto):[^"]*" rel="noreferrer")?( id="[^"]*")?( /)?|'
        assert re.fullmatch(allowed, rest), (tag, rest)
    # JupyterLab sees the Markdown itself: no raw HTML, picture or other scheme may be left in it.
    assert "<" not in markdown and "![" not in markdown
    assert not re.search(r"\]\((?!https?:|mailto:)", markdown)


def test_a_formula_a_table_and_a_pipe_are_text(shop):
    write(shop, "costs $5 and $6\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    assert "$5" in page(shop) and "<table" not in page(shop) and "$" not in notes.plan(shop, MONTH)


def test_a_long_note_is_cut_and_says_so(shop):
    write(shop, "word " * 5000)
    text = notes.shown(shop, MONTH)
    assert len(text) < notes.MOST + 200 and "The note goes on" in text


def test_folders_of_the_machine_are_not_shown(shop):
    write(shop, f"see {shop.folder}/orders.csv")
    assert str(shop.folder) not in page(shop) and "orders.csv" in page(shop)


def test_a_missing_note_says_where_to_write_it(shop):
    text = notes.plan(shop, MONTH)
    assert f"{shop.folder.name}/notes/{MONTH}.md" in text
    assert str(shop.folder.parent) not in text


def test_the_plan_of_a_month_ago_stands_below(shop):
    write(shop, "do this")
    write(shop, "did we do that", "2026-02")
    text = page(shop)
    assert text.index("do this") < text.index("planned a month ago") < text.index("did we do that")


def test_a_note_that_is_no_text_is_refused(shop):
    write(shop, b"\xff\xfe\x00bad")
    with pytest.raises(DataError, match=r"notes/2026-03.md is not UTF-8"):
        notes.plan(shop, MONTH)


def test_a_note_does_not_lead_out_of_the_folder(shop, tmp_path):
    secret = tmp_path / "secret.md"
    secret.write_text("secret", encoding="utf-8")
    notes.path(shop, MONTH).parent.mkdir()
    notes.path(shop, MONTH).symlink_to(secret)
    with pytest.raises(DataError, match="leads out"):
        notes.plan(shop, MONTH)


def test_notes_targets_and_alerts_change_the_digest_and_not_that_of_the_files(make_shop):
    shop = load_shop(str(make_shop()))
    first, files = notes.inputs_digest(shop, MONTH), input_digest(shop)
    write(shop, "plan")
    second = notes.inputs_digest(shop, MONTH)
    write(shop, "earlier plan", "2026-02")
    third = notes.inputs_digest(shop, MONTH)
    write(shop, "of another month", "2026-01")
    assert notes.inputs_digest(shop, MONTH) == third and len({first, second, third}) == 3
    other = load_shop(str(make_shop(toml="[alerts]\nrefund_rate = 0.5\n[targets]\naov = 9\n")))
    assert notes.inputs_digest(other, MONTH) != third and input_digest(other) == files


def test_a_note_that_changes_during_a_run_is_refused(shop, monkeypatch):
    monkeypatch.setenv("LTV_NOTES", notes.inputs_digest(shop, MONTH))
    notes.check_unchanged(shop, MONTH)
    write(shop, "new")
    with pytest.raises(DataError, match="changed while the run"):
        notes.check_unchanged(shop, MONTH)


@pytest.mark.parametrize(
    "person", ["CUST-0001", "cust_0001", "jane@shop.org", "#A0001/7", "O'Neil 0001"]
)
def test_forget_reaches_notes_and_what_was_published_of_them(
    make_shop, tmp_path, monkeypatch, person
):
    monkeypatch.setenv("LTV_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("LTV_REPORTS", str(tmp_path / "reports"))
    orders = (
        f"order_id,customer_id,ordered_at,revenue\n1,{person},2026-01-05,20\n2,other,2026-03-31,5\n"
    )
    folder = make_shop(orders)
    shop = load_shop(str(folder))
    path = write(shop, f"Call {person} back.")
    month = tmp_path / "reports" / folder.name / MONTH
    (month / "notebooks").mkdir(parents=True)
    (month / "06.html").write_text(page(shop), encoding="utf-8")
    cell = json.dumps({"text/markdown": notes.plan(shop, MONTH)})
    (month / "notebooks" / "06.ipynb").write_text(cell, encoding="utf-8")
    ids = tmp_path / "ids.txt"
    ids.write_text(f"{person}\n", encoding="utf-8")
    forget.forget(str(folder), str(ids))
    assert path.read_text(encoding="utf-8") == "Call forgotten back."
    for file in (month / "06.html", month / "notebooks" / "06.ipynb"):
        text = file.read_text(encoding="utf-8")
        assert "forgotten" in text and "0001" not in text and "jane" not in text, file.name
