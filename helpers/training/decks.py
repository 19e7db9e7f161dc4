"""Decks: slides as HTML files that need nothing else, one a notebook, and the webinar's path.

A deck is one page with a script of our own, named by its digest in a policy that allows nothing
else: no request leaves it, and without the script the slides still stand below each other.
"""

import base64
import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup

from helpers.contract.shop import ROOT, load_shop
from helpers.errors import UsageError, nearest
from helpers.publishing import pages
from helpers.records import read_notebook, reports_folder, work_folder
from helpers.runs.keys import PLAN
from helpers.training.editions import exercises
from helpers.training.slides import Slide, slides_of

WEBINAR = ROOT / "notebooks" / "webinar.toml"
EXERCISE = "exercise_"


@dataclass(frozen=True)
class Step:
    """A step of the webinar: a slide of a deck, the minutes it takes, and what may be said."""

    deck: str
    slide: str
    minutes: int
    say: str


@dataclass(frozen=True)
class Deck:
    """A deck: the name of its file, its title, and its slides."""

    name: str
    title: str
    slides: tuple[Slide, ...]

    @property
    def minutes(self) -> int:
        """Minutes of the slides on the webinar's path."""
        return sum(slide.minutes for slide in self.slides)


def read_path(path: Path = WEBINAR) -> tuple[str, list[Step]]:
    """Read the webinar's title and steps. Raises UsageError for a file of another form."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
        steps = [Step(**step) for step in told["step"]]
        return str(told["title"]), steps
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as fault:
        raise UsageError(
            f"{path.name} is not a path of a webinar ({fault}): it has a title, and [[step]] with "
            "deck, slide, minutes and say."
        ) from None


def notebooks_of(shop: str = "", month: str = "") -> dict[str, Mapping]:
    """Read the executed notebooks: the committed ones, or those of a published month.

    Raises UsageError for a month that is not published.
    """
    if not (shop or month):
        return {
            step.name: read_notebook(ROOT / "notebooks" / f"{step.name}.ipynb") for step in PLAN
        }
    name = load_shop(shop or "sample").name
    published = reports_folder() / name
    months = sorted(p.parent.name for p in published.glob("[0-9]*-[0-9]*/notebooks"))
    month = month or (months[-1] if months else "")
    if month not in months:
        raise UsageError(
            f"{name} {month or ''} is not published. Run first: python -m helpers report "
            f"--shop {shop or 'sample'}{f' --month {month}' if month else ''}"
        )
    folder = published / month / "notebooks"
    return {step.name: read_notebook(folder / f"{step.name}.ipynb") for step in PLAN}


def decks_of(notebooks: Mapping[str, Mapping], steps: Iterable[Step], title: str) -> list[Deck]:
    """Make a deck of each notebook and exercise, and last the webinar's, in the order of its steps.

    A step whose slide these notebooks do not have (a section that the shop's data cannot fill) is
    left out. Raises UsageError for a deck that is not there.
    """
    sources = dict(notebooks)
    sources |= {f"{EXERCISE}{path.stem}": read_notebook(path) for path in exercises()}
    made = {name: slides_of(notebook) for name, notebook in sources.items()}
    steps, path = list(steps), []
    for step in steps:
        if step.deck not in made:
            raise UsageError(f"There is no deck '{step.deck}'.{nearest(step.deck, made)}")
        for place, slide in enumerate(made[step.deck]):
            if slide.id == step.slide:
                told = Markup(pages.markdown()(step.say))
                marked = replace(slide, minutes=step.minutes, notes=told + slide.notes)
                made[step.deck][place] = marked
                path.append(replace(marked, id=f"{step.deck}-{slide.id}".replace("_", "-")))
    decks = [Deck(name, slides[0].heading, tuple(slides)) for name, slides in made.items()]
    return [*decks, Deck("webinar", title, (_opening(title, path), *path, _closing(decks)))]


def _opening(title: str, path: list[Slide]) -> Slide:
    """Make the title slide of the webinar: the questions on its path."""
    questions = dict.fromkeys(slide.heading for slide in path)
    return Slide(id="webinar", heading=title, words=_list(list(questions)), opens=True)


def _closing(decks: list[Deck]) -> Slide:
    """Make the last slide of the webinar: where to go on."""
    link = Markup('<a href="{}.html">{}</a>{}')
    links = [
        link.format(each.name, each.title, " (exercise)" * each.name.startswith(EXERCISE))
        for each in decks
    ]
    return Slide(id="decks", heading="Where to go on?", words=_list(links))


def _list(entries: list) -> Markup:
    items = Markup("").join(Markup("<li>{}</li>").format(entry) for entry in entries)
    return Markup("<ul>{}</ul>").format(items)


def rendered(deck: Deck) -> str:
    """Write a deck as one page."""
    script = (pages.TEMPLATES / "report" / "deck.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return pages.rendered(
        "deck.html.j2",
        page={"title": deck.title},
        deck=deck,
        script=Markup(script),
        digest=digest,
        alt=pages.alt_text,
    )


def write_decks(
    folder: Path | None = None, *, shop: str = "", month: str = "", path: Path = WEBINAR
) -> tuple[Path, list[Deck]]:
    """Write all decks into a folder; give it and the decks. Same notebooks, same bytes.

    Default folder: slides/ among the working files, which git ignores.
    """
    title, steps = read_path(path)
    decks = decks_of(notebooks_of(shop, month), steps, title)
    folder = folder or work_folder() / "slides"
    folder.mkdir(parents=True, exist_ok=True)
    for deck in decks:
        page = folder / f"{deck.name}.html"
        page.write_text(rendered(deck), encoding="utf-8", newline="\n")
    return folder, decks
