"""The catalog: one entry per measure, in words, by theme; and the rules of thumb.

The glossary page and ``docs/metrics.md`` are made from it; `helpers.measures.metrics` computes the
entries that name columns of the summary ``periods``.
"""

import re
from collections.abc import Mapping

from helpers.catalog import (
    acquisition,
    campaigns,
    contact,
    customers,
    month,
    sales,
    thresholds,
    value,
)
from helpers.catalog.entry import UNITS, Measure, Threshold
from helpers.errors import UsageError, nearest

__all__ = [
    "ALIASES",
    "CATALOG",
    "THEMES",
    "THRESHOLDS",
    "Measure",
    "Threshold",
    "document",
    "entry",
    "facts",
    "key",
    "meaning",
    "outline",
]

_MODULES = (sales, customers, value, acquisition, campaigns, contact, month)
THEMES: dict[str, tuple[Measure, ...]] = {module.THEME: module.ENTRIES for module in _MODULES}
CATALOG: dict[str, Measure] = {each.name: each for theme in THEMES.values() for each in theme}
THRESHOLDS: dict[str, Threshold] = {each.name: each for each in thresholds.THRESHOLDS}


def key(name: str) -> str:
    """Write a name as the catalog looks it up: small letters, words joined by underscores.

    >>> key("LTV:CAC")
    'ltv_cac'
    """
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


ALIASES: dict[str, str] = {
    key(alias): each.name
    for each in CATALOG.values()
    for alias in each.aliases
    if key(alias) != each.name
}


def entry(name: str) -> Measure:
    """Look up a measure by its name, or by another name that people use for it.

    >>> entry("APV").name
    'aov'
    """
    found = CATALOG.get(name) or CATALOG.get(ALIASES.get(key(name), ""))
    if found is None:
        raise UsageError(f"There is no measure '{name}'.{nearest(name, [*CATALOG, *ALIASES])}")
    return found


# Headline figures whose names are not their measure's, by the start of their names.
_FIGURES = {
    "rows_set_aside": "set_aside_share",
    "revenue_set_aside": "set_aside_share",
    "customers_seen": "customers",
    "revenue_seen": "revenue",
    "ltv_margin": "ltv_historical",
    "ltv_revenue": "ltv_revenue",
    "repeat": "repeat_rate",
    "cohort_money": "ltv_historical",
    "clv": "clv_forecast",
    "expected_orders": "clv_forecast",
    "holdout_bias": "forecast_error",
    "arms": "uplift_margin",
}


def meaning(figure: str) -> str:
    """Name the measure that a headline figure shows; empty for a plain count of its own.

    >>> meaning("ltv_margin_365d"), meaning("month_orders"), meaning("retention_m12")
    ('ltv_historical', 'orders', 'retention')
    """
    plain = re.sub(r"_m?\d+d?$", "", figure).removeprefix("month_")
    if plain in CATALOG:
        return plain
    return next((name for start, name in _FIGURES.items() if plain.startswith(start)), "")


def facts(measure: Measure) -> list[tuple[str, str]]:
    """List what a reader is told about a measure, as labels and texts; none is empty."""
    lines = [
        ("Formula", measure.formula),
        ("Example", measure.example.replace("**", "^").replace("*", "x")),
        ("Numerator" if measure.denominator else "Counted", measure.numerator),
        ("Denominator", measure.denominator),
        ("Window", measure.window),
        ("Unit", UNITS[measure.unit]),
        ("Needs", ", ".join(measure.needs)),
    ]
    return [(label, text) for label, text in lines if text]


def outline(homes: Mapping[str, object]) -> list[dict[str, object]]:
    """Give the themes in order, each with what a page shows of its measures.

    ``homes`` holds a page by the two digits of its notebook. Another name of a measure comes with
    an id to link it by, empty where it would be the measure's own.
    """
    return [
        {"id": key(theme), "title": theme, "entries": [_shown(each, homes) for each in entries]}
        for theme, entries in THEMES.items()
    ]


def _shown(measure: Measure, homes: Mapping[str, object]) -> dict[str, object]:
    ids = [key(alias) for alias in measure.aliases]
    first = [each not in (measure.name, *ids[:place]) for place, each in enumerate(ids)]
    return {
        "name": measure.name,
        "label": measure.label,
        "sentence": measure.sentence,
        "facts": facts(measure),
        "aliases": [
            (each if new else "", alias)
            for each, new, alias in zip(ids, first, measure.aliases, strict=True)
        ],
        "pitfalls": measure.pitfalls,
        "page": homes.get(measure.notebook),
    }


def document() -> str:
    """Return the catalog as Markdown: a section per theme, an entry per measure."""
    parts = []
    for theme, entries in THEMES.items():
        parts += [f"## {theme}", ""]
        for each in entries:
            parts += [f"### {each.label} (`{each.name}`)", "", each.sentence, ""]
            parts += [f"- {label}: {_marked(label, text)}" for label, text in facts(each)]
            parts += [f"- Other names: {', '.join(each.aliases)}"] if each.aliases else []
            parts += [f"- Notebook: {each.notebook}"]
            parts += [f"- Mind: {pitfall}" for pitfall in each.pitfalls] + [""]
    parts += ["## Rules of thumb", "", "| rule | value | notebook | what it says |"]
    parts += ["|---|---|---|---|"]
    parts += [
        f"| {each.label} | {each.value or '-'} | {each.used_in} | {each.sentence} |"
        for each in THRESHOLDS.values()
    ]
    return "\n".join(parts) + "\n"


def _marked(label: str, text: str) -> str:
    return f"`{text}`" if label in ("Formula", "Example", "Needs") else text
