"""Pages over pages: the first page of a month, its letter, the glossary, all months of all shops.

No script, no external resource, same inputs, same bytes; what a picture says stands beside it in
words.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from helpers import catalog
from helpers.publishing.pages import (
    ABOUT,
    about_rows,
    explained,
    navigation,
    rendered,
)
from helpers.show import by_unit, figure_texts, inline, is_missing, slug
from helpers.written import alike, month_name, step


def render_month_index(
    *,
    shop_title: str,
    month: str,
    pages: Iterable[Mapping],
    changes: Iterable[Mapping] = (),
    alerts: Iterable[Any] = (),
    unchecked: Iterable[str] = (),
    about: Mapping[str, str] | None = None,
    nav: Any = (),
    currency: str = "",
) -> str:
    """Render the first page of a month: what needs attention, all answers, what changed.

    A page is {href, title, picture: {finding, alt, png} or None, headline: [figure, ...],
    currency}; without `headline` its figures are those changes whose `notebook` is the page's
    file. A change is a headline figure with `before`, the figure of the month before (None: not
    known). An alert is a text or {text, notebook}; `unchecked` names the rules of alerts that
    could not be checked.
    """
    changes, links = list(changes), {}
    shown = []
    for page in pages:
        stem = Path(page["href"]).stem
        links[stem] = page["href"]
        own = [c for c in changes if c.get("notebook") == stem]
        figures = [
            explained(f, f.get("currency", page.get("currency", currency)))
            for f in page.get("headline", own)
        ]
        shown.append({"picture": None, **page, "figures": figures})
    rows = [_change_row(c, currency, links) for c in changes if not is_missing(c.get("before"))]
    title = f"{inline(shop_title)}, {month_name(month)}"
    page = {"title": title, "nav": navigation(nav), "about": about_rows(about), "figures": []}
    sections = [
        ("attention", "What needs attention?"),
        ("answers", "What did the month bring?"),
        ("changes", "What changed since the month before?"),
    ]
    page["contents"] = [*sections, *([("about", ABOUT)] if about else [])]
    alerts = [a if isinstance(a, Mapping) else {"text": str(a)} for a in alerts]
    alerts = [{"text": a["text"], "href": links.get(a.get("notebook"), "")} for a in alerts]
    return rendered(
        "month.html.j2",
        page=page,
        pages=shown,
        changes=rows,
        alerts=alerts,
        unchecked=[inline(text) for text in unchecked],
    )


def render_mail(*, shop_title: str, summary: Mapping, answers: Iterable[Mapping]) -> str:
    """Render a month as a letter: `summary` as in summary.json, and what each page answers.

    Mail programs keep tables and inline styles, and drop most else: no picture, no style sheet,
    no link, as nobody knows where the pages will lie. An answer is {question, finding}.
    """
    changes = [c for c in summary["figures"] if not is_missing(c.get("before"))]
    title = f"{inline(shop_title)}, {month_name(summary['month'])}"
    return rendered(
        "mail.html.j2",
        page={"title": title},
        alerts=[inline(alert["text"]) for alert in summary["alerts"]],
        unchecked=[inline(text) for text in summary["unchecked"]],
        answers=[
            {
                **answer,
                "figures": [
                    figure_texts(f, summary["currency"])
                    for f in summary["figures"]
                    if f["notebook"] == answer["notebook"]
                ],
            }
            for answer in answers
        ],
        changes=[_change_row(c, summary["currency"], {}) for c in changes],
    )


def render_glossary(
    *,
    shop_title: str,
    month: str,
    pages: Iterable[Mapping] = (),
    about: Mapping[str, str] | None = None,
    nav: Any = (),
) -> str:
    """Render the catalog as a page of a month: an anchor per measure and per other name.

    A page is {href, title}; a measure links the first one whose file begins with its notebook.
    """
    themes = catalog.outline({page["href"][:2]: page for page in reversed(list(pages))})
    title = f"Glossary · {inline(shop_title)}, {month_name(month)}"
    contents = [*((theme["id"], theme["title"]) for theme in themes), ("rules", "Rules of thumb")]
    page = {
        "title": title,
        "nav": navigation(nav),
        "about": about_rows(about),
        "figures": [],
        "contents": [*contents, *([("about", ABOUT)] if about else [])],
    }
    rules = list(catalog.THRESHOLDS.values())
    return rendered("glossary.html.j2", page=page, themes=themes, rules=rules)


def render_home(entries: Iterable[Mapping]) -> str:
    """Render the page over all shops and months, newest month first.

    An entry is a month {shop, title, month, href, headline, currency, alerts, stale,
    stale_because}, or a shop with a list of such `months`. Figures that two months at least have
    in common are drawn over all months.
    """
    shops: dict[str, dict] = {}
    for entry in entries:
        shop = shops.setdefault(entry["shop"], {"title": entry.get("title", ""), "months": []})
        shop["months"] += [dict(m) for m in entry.get("months", [entry])]
    for name, shop in shops.items():
        shop["id"] = f"shop-{slug(name)}"
        shop["title"] = shop["title"] or name
        shop["months"] = [
            {**m, "name": month_name(m["month"]), "notes": _month_notes(m)}
            for m in sorted(shop["months"], key=lambda m: m["month"], reverse=True)
        ]
        shop["trends"] = trends(shop["months"])
    ordered = [shops[name] for name in sorted(shops)]
    page = {
        "title": "Customer lifetime value, month by month",
        "nav": navigation(()),
        "about": [],
        "figures": [],
        "contents": [],
    }
    return rendered("home.html.j2", page=page, shops=ordered)


def trends(months: Sequence[Mapping]) -> list[dict[str, str]]:
    """Give headline figures over the months of a shop, newest month first: words and a line.

    Those of the scorecard, and the first of every other page but the one on cleaning. A month of
    another currency or unit is left out; so is a figure that fewer than two months have.
    """
    followed, seen = [], set()
    for figure in months[0].get("headline", []) if months else ():
        stem = figure["notebook"]
        if stem.startswith("06") or (stem not in seen and not stem.startswith("01")):
            followed.append(figure)
        seen.add(stem)
    followed.sort(key=lambda figure: not figure["notebook"].startswith("06"))
    rows = [_trend(figure, months) for figure in followed]
    return [row for row in rows if row]


def _trend(figure: Mapping, months: Sequence[Mapping]) -> dict[str, str]:
    """Follow one figure of the newest month back through the others."""
    key, currency = (figure["notebook"], figure["name"], figure["unit"]), months[0].get("currency")
    points = [
        (month["month"], found["value"])
        for month in reversed(months)
        for found in month.get("headline", [])
        if (found["notebook"], found["name"], found["unit"]) == key
        and month.get("currency") == currency
        and not is_missing(found["value"])
    ]
    if len(points) < 2:
        return {}
    fmt = by_unit(figure["unit"], currency or "")
    (first, old), (last, new) = points[0], points[-1]
    label = figure_texts(figure, currency or "")["label"]
    old, new = alike(fmt, [old, new])
    return {
        "label": label,
        "first": old,
        "last": new,
        "since": month_name(first),
        "alt": f"{label}: {old} in {month_name(first)}, {new} in {month_name(last)}.",
        "line": _line(points),
    }


def _line(points: Sequence[tuple[str, float]], width: int = 160, height: int = 32) -> str:
    """Place points by their month and value, for a polyline of so many units."""
    place = [int(month[:4]) * 12 + int(month[5:]) for month, _ in points]
    values = [value for _, value in points]
    low, spread = min(values), (max(values) - min(values)) or 1
    across = [(p - place[0]) / (place[-1] - place[0]) * (width - 8) + 4 for p in place]
    down = [height - 4 - (v - low) / spread * (height - 8) for v in values]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True))


def _change_row(change: Mapping, currency: str, links: Mapping[str, str]) -> dict[str, str]:
    fmt = by_unit(change["unit"], change.get("currency", currency))
    now, before = change.get("value"), change["before"]
    texts = figure_texts({**change, "low": None, "high": None}, change.get("currency", currency))
    return {
        "label": texts["label"],
        "now": texts["value"],
        "before": fmt(before),
        "step": step(now, before, change["unit"]),
        "href": links.get(change.get("notebook"), ""),
    }


def _month_notes(month: Mapping) -> list[str]:
    notes = []
    alerts = month.get("alerts") or 0
    number = alerts if isinstance(alerts, int) else len(alerts)
    if number:
        notes.append(f"{number} {'alert' if number == 1 else 'alerts'}")
    if month.get("stale"):
        earlier = ", ".join(month_name(m) for m in month.get("stale_because", []))
        notes.append(f"stale: {earlier or 'an earlier month'} changed since; run it again")
    if month.get("published"):
        notes.append(f"published {inline(month['published'])}")
    return notes
