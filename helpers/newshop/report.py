"""What `new-shop` says: what was understood, what came of it, and what to do next.

No line holds a value of a row: only names of columns, counts, sums and days.
"""

from collections.abc import Iterable
from pathlib import Path

from helpers.chapters import intake
from helpers.cleaning.store import CleanInfo
from helpers.contract.conversions import minor_digits
from helpers.contract.shop import ROOT, Shop
from helpers.files import near
from helpers.newshop.draft import Source
from helpers.newshop.known import Known
from helpers.records import shift_month
from helpers.study import Study
from helpers.written import count, inline, money_in, month_name


def understood(sources: Iterable[Source], preset: Known | None) -> list[str]:
    """Say for each source which column is taken for what, what to check, what is not used."""
    lines = []
    for source in sources:
        files = ", ".join(inline(Path(file).name) for file in source.files)
        lines.append(f"{source.table}: {files}")
        if source.preset:
            lines.append(f"  a known export: preset {source.preset} maps its columns")
            if preset and preset.name == source.preset:
                preset = None
                lines.append("  (--preset none turns this off)")
        proposal = source.proposal
        columns = proposal.columns if proposal else source.columns
        width = max((len(name) for name in columns), default=0)
        for name, origins in columns.items():
            lines.append(f"  {name:<{width}}  from  {' + '.join(map(inline, origins))}")
        lines += [f"  {key} is {value!r}" for key, value in source.settings.items()]
        if proposal:
            lines += [f"  check: {note}" for note in proposal.notes]
            lines += [
                f"  not taken: {inline(origin)} for {name}, since {why}"
                for name, (origin, why) in proposal.not_taken.items()
            ]
            if proposal.unused:
                lines.append(f"  not used: {', '.join(map(inline, proposal.unused))}")
    return lines


def found(shop: Shop, info: CleanInfo) -> list[str]:
    """Say what the data hold once cleaned: period, counts, revenue, rows taken out and why."""
    orders, money = info.tables["orders"], money_in(shop.currency)
    revenue = orders["money_kept"] / 10 ** minor_digits(shop.currency)
    lines = [
        f"period: {info.first_day} to {info.last_day}",
        f"{count(orders['customers'])} customers, {count(orders['orders'])} orders, "
        f"{money(revenue)} revenue in {count(orders['kept'])} of {count(orders['rows'])} rows",
    ]
    if shop.opened_at is None and shop.history_starts_at is None:
        lines.append(
            f"check: if the shop opened on {info.first_day} or its orders are complete from "
            "another day on, say so in shop.toml (opened_at, history_starts_at); without it, "
            "old customers may look new in the first months"
        )
    study = Study(shop=shop, info=info, month=info.last_complete_month, con=None)
    for row in intake.found(study).itertuples():
        lines.append(f"{row.action}: {count(row.rows)} rows of {row.table}: {row.what}")
    for row in intake.flags(study).itertuples():
        lines.append(f"kept and flagged: {count(row.rows)} rows of orders: {row.what}")
    if unknown := orders["statuses_unknown"][:8]:
        lines.append(
            f"check: orders of these statuses count as sales: {', '.join(map(inline, unknown))}; "
            "if one means canceled, test or the like, say so under [statuses] in shop.toml"
        )
    for name, table in info.tables.items():
        if name != "orders":
            lines.append(f"{name}: {count(table['kept'])} of {count(table['rows'])} rows")
    if orders["customers"] == orders["orders"] and orders["orders"] > 1:
        lines.append(
            "check: every order has a customer of its own; without repeat orders there is no "
            "lifetime to measure. Is customer_id the customer's own id?"
        )
    for row in intake.coverage(study).itertuples():
        if row.answered == "no":
            part = row[3].removeprefix("needs ")
            lines.append(f"not yet: {row.question} (notebooks {row.notebooks}) needs {part}")
    return lines


def next_steps(target: Path, name: str, info: CleanInfo) -> list[str]:
    """Say what was written and which command comes next."""
    lines = [f"written: {near(target)}"]
    shop = target.parent.name if target.parent.parent == ROOT / "data" else name
    month = info.last_complete_month
    if not month:
        return [*lines, "no month is complete yet: the first report needs one whole month"]
    command = f"python -m helpers report --shop {_shell(shop)}"
    lines += [f"last complete month: {month_name(month)}", f"next: {command} --month {month}"]
    if (before := shift_month(month, -1)) >= info.first_month:
        lines.append(f"or with the one that 06 compares it with: --months {before}..{month}")
    return lines


def _shell(name: str) -> str:
    import shlex

    return shlex.quote(name)
