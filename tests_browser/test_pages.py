"""The committed month as a reader's browser shows it: whole, quiet, reachable by keyboard, offline."""

import math
import shutil
from pathlib import Path

import pytest

from conftest import SCHEMES, WIDTHS, faults, opened, outside
from helpers.publishing.publish import rebuild_home

COMMITTED = Path(__file__).resolve().parents[1] / "reports"
MONTH = "sample/2026-05"
NAMES = sorted(f"{MONTH}/{path.name}" for path in (COMMITTED / MONTH).glob("*.html"))
LETTERS = [name for name in NAMES if name.endswith("/summary.html")]
PAGES = ["index.html", *(name for name in NAMES if name not in LETTERS)]


@pytest.fixture(scope="session")
def reports(tmp_path_factory) -> Path:
    """Give a folder with the committed month and the home page that leads to it."""
    folder = tmp_path_factory.mktemp("reports")
    shutil.copytree(COMMITTED / MONTH, folder / MONTH)
    assert rebuild_home(folder)
    return folder


def test_there_is_a_month_to_look_at():
    assert len(PAGES) >= 9 and LETTERS


@pytest.mark.parametrize("name", PAGES + LETTERS)
def test_a_page_is_quiet_and_asks_nothing_of_the_network(browser, reports, name):
    watched = opened(browser, reports / name)
    assert watched.complaints == []
    assert outside(watched) == []
    images = watched.page.locator("img")
    broken = images.evaluate_all("all => all.filter(i => !i.naturalWidth).map(i => i.alt)")
    assert broken == []
    watched.page.context.close()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_for_everyone(browser, reports, name, width, scheme):
    watched = opened(browser, reports / name, width=width, scheme=scheme)
    assert faults(watched.page) == []
    wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert watched.page.evaluate(wider) <= 0, "the page itself does not scroll sideways"
    watched.page.context.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_long_figures_are_not_cut_off(browser, reports, width):
    page = opened(browser, reports / MONTH / "index.html", width=width).page
    page.evaluate(
        """document.querySelectorAll('.strip .value')
            .forEach((each, i) => each.textContent = ['€4,597,445,203', '20,445,798'][i % 2])"""
    )
    cut = """[...document.querySelectorAll('.strip .value')].filter(each => {
        const range = document.createRange(); range.selectNodeContents(each)
        const strip = each.closest('.strip').getBoundingClientRect()
        return range.getBoundingClientRect().right > strip.right + 1 }).length"""
    assert page.locator(".strip .value").count() > 10 and page.evaluate(cut) == 0
    page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_links_and_anchors_resolve(browser, reports, name):
    page = opened(browser, reports / name).page
    here = page.evaluate("location.href").split("#")[0]
    lacking = page.evaluate(
        """here => [...document.querySelectorAll('a[href^="#"], a[href]')]
            .filter(a => a.href.split('#')[0] === here && a.hash)
            .map(a => decodeURIComponent(a.hash.slice(1)))
            .filter(id => !document.getElementById(id))""",
        here,
    )
    assert lacking == []
    targets = page.evaluate("[...document.links].map(a => a.href)")
    for target in {each for each in targets if each.split("#")[0] != here}:
        assert target.startswith("file:"), target
        path, _, anchor = target.removeprefix("file://").partition("#")
        assert Path(path).is_file(), target
        if anchor:
            assert f'id="{anchor}"' in Path(path).read_text(encoding="utf-8"), target
    page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_the_keyboard_goes_through_a_page_in_reading_order(browser, reports, name):
    page = opened(browser, reports / name).page
    seen = []
    for _ in range(min(page.locator("a[href]").count() + 2, 25)):
        page.keyboard.press("Tab")
        place = page.evaluate(
            """() => {
                const it = document.activeElement;
                if (!it || it === document.body) return null;
                const all = [...document.querySelectorAll('*')];
                const style = getComputedStyle(it);
                const shown = style.outlineStyle !== 'none' || style.boxShadow !== 'none';
                return {order: all.indexOf(it), shown, name: it.outerHTML.slice(0, 80)};
            }"""
        )
        if place is None:
            break
        seen.append(place)
    assert seen, "something can be reached"
    assert all(place["shown"] for place in seen), "what has the focus can be seen to have it"
    orders = [place["order"] for place in seen]
    assert orders == sorted(orders)
    page.context.close()


@pytest.mark.parametrize("name", LETTERS)
def test_a_letter_reads_on_a_phone(browser, reports, name):
    page = opened(browser, reports / name, width="narrow").page
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= WIDTHS["narrow"]
    sizes = page.locator("td, p").evaluate_all(
        "all => all.map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes, default=math.nan) >= 12
    page.context.close()


def test_a_page_prints_on_paper(browser, reports):
    page = opened(browser, reports / next(name for name in PAGES if "06_" in name)).page
    page.emulate_media(media="print")
    hidden = page.locator("nav").evaluate_all(
        "all => all.length > 3 && all.every(e => !e.checkVisibility())"
    )
    assert hidden, "navigation is not printed"
    assert len(page.pdf()) > 50_000
    page.context.close()
