"""The draft of a shop.toml: what stands in it, and its lines with the reason of each."""

import os
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from helpers.contract.goals import RULES, Alerts
from helpers.contract.tables import TABLES
from helpers.newshop.proposal import Proposal
from helpers.newshop.written_toml import comment, quoted, settings, value
from helpers.written import inline

_WHY = {
    "encoding": "the file is not UTF-8",
    "date_format": "how dates are written",
    "decimal": "the decimal sign of amounts",
    "timestamps": "times are in UTC, by the name of their column",
    "amounts": "whether amounts hold VAT, as you said",
    "vat_rate": "VAT that is taken out of them",
}


@dataclass(frozen=True)
class Source:
    """One source of a table: absolute files, a preset or a proposal, and further settings.

    ``hint`` holds the UTC offsets (minutes) of the time stamps that a preset maps.
    """

    table: str
    files: tuple[str, ...]
    preset: str = ""
    proposal: Proposal | None = None
    settings: dict = field(default_factory=dict)
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    hint: tuple[int, ...] = ()


@dataclass(frozen=True)
class Draft:
    """A shop.toml to be: its name, currency and zone with where they come from, its sources."""

    name: str
    currency: str
    currency_from: str
    time_zone: str
    time_zone_from: str
    sources: tuple[Source, ...]

    @property
    def preset(self) -> str:
        """The preset of the orders, whose settings are the shop's; empty if there is none."""
        return next((each.preset for each in self.sources if each.table == "orders"), "")


def text(draft: Draft, *, folder: Path | None = None, last_day: date | None = None) -> str:
    """Write the shop.toml: files below ``folder`` as relative paths, all others absolute."""
    lines = [
        *comment(f"The shop {draft.name}: where its exports are, and what their columns mean."),
        "# Every setting is explained in data/README.md; lines behind # are choices not taken.",
        *_known(draft),
        f"# title = {quoted(draft.name)}   # what pages call the shop",
        f"currency = {quoted(draft.currency)}   # {draft.currency_from}",
        f"time_zone = {quoted(draft.time_zone)}   # {draft.time_zone_from}",
        "",
        *_period(last_day),
    ]
    several = [source.table for source in draft.sources]
    for source in draft.sources:
        many = several.count(source.table) > 1
        lines += ["", *_source(source, folder, many=many, known=draft.preset)]
    lines += [*_margin(draft), *_goals()]
    return "\n".join(lines) + "\n"


def _period(last_day: date | None) -> list[str]:
    seen = f" ({last_day})" if last_day else ""
    return [
        "# When the shop opened, and from when its orders are complete. Without them the first",
        "# month may hold old customers as new ones, and is left out of averages.",
        "# opened_at = 2020-01-01",
        "# history_starts_at = 2020-01-01",
        f"# The last day the export holds in full; without it, the day of the last order{seen}.",
        f"# complete_through = {last_day or '2026-06-30'}",
        "# Exact copies of a line are kept and flagged; leave all but the first out with:",
        '# duplicates = "quarantine"',
    ]


def _known(draft: Draft) -> list[str]:
    if not draft.preset:
        return []
    return [f"preset = {quoted(draft.preset)}   # a known export; what stands here goes over it"]


def _source(source: Source, folder: Path | None, *, many: bool, known: str) -> list[str]:
    head = f"[[tables.{source.table}]]" if many else f"[tables.{source.table}]"
    lines = [*comment(f"One row is {TABLES[source.table].row}."), head]
    if source.preset and source.preset != known:
        lines.append(f"preset = {quoted(source.preset)}   # a known export: maps its columns")
    lines.append(f"files = {value(tuple(_placed(file, folder) for file in source.files))}")
    if source.proposal and source.proposal.dates.other:
        lines += [
            "# No date tells day and month apart; this is the form you named, the other one is",
            f"# date_format = {quoted(source.proposal.dates.other)}",
        ]
    for line, key in zip(settings(source.settings), source.settings, strict=True):
        lines.append(f"{line}   # {_WHY[key]}" if key in _WHY else line)
    columns = source.proposal.columns if source.proposal else source.columns
    if columns:
        lines += [f"[tables.{source.table}.columns]", *settings(columns)]
    return lines + (_left(source.proposal) if source.proposal else [])


def _left(proposal: Proposal) -> list[str]:
    lines = []
    for note in proposal.notes:
        lines += comment(f"Check: {note}")
    for column, (source, why) in proposal.not_taken.items():
        lines += [*comment(f"Not taken: {why}."), f"# {column} = {quoted(source)}"]
    if proposal.unused:
        lines += comment(f"Columns not used: {', '.join(map(inline, proposal.unused))}.")
    return lines


def _margin(draft: Draft) -> list[str]:
    orders = [source for source in draft.sources if source.table == "orders"]
    costs = any("cogs" in (each.proposal.columns if each.proposal else ()) for each in orders)
    if costs:
        return ["", "[margin]", 'rule = "costs"   # revenue less cogs, shipping cost and fees']
    return [
        "",
        "# Contribution margin as a share of revenue, where the orders hold no cost of goods:",
        "# [margin]",
        '# rule = "rate"',
        "# rate = 0.35",
    ]


def _goals() -> list[str]:
    return [
        "",
        "# What the shop aims at (examples), and what it wants to be told (shares; the defaults):",
        "# [core_metric]",
        '# name = "margin_per_day"',
        "# target = 480.0   # a day",
        "# [targets]   # of the month",
        "# new_customers = 200",
        "# [alerts]",
        *(f"# {rule} = {getattr(Alerts, rule)}" for rule in RULES),
    ]


def _placed(file: str, folder: Path | None) -> str:
    """Give a file as shop.toml names it: relative where it lies below the shop's folder."""
    if folder is None:
        return file
    try:
        inside = Path(file).relative_to(_escaped(folder))
    except ValueError:
        return file
    return inside.as_posix()


def _escaped(folder: Path) -> str:
    import glob

    path = Path(os.path.abspath(folder)).as_posix()
    return glob.escape(path)
