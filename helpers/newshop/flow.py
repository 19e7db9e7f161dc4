"""The steps of a new shop: look, propose, ask, prove on the data, write."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from helpers.cleaning import store as cleaning
from helpers.cleaning.store import CleanInfo
from helpers.contract.shop import ROOT, Shop, load_shop
from helpers.errors import DataError, UsageError, WorkbookError
from helpers.files import near, replaced
from helpers.newshop import asked, draft, heads, known, report, values
from helpers.newshop.asked import Ask
from helpers.newshop.draft import Draft, Source
from helpers.newshop.heads import Head
from helpers.newshop.proposal import Given, propose
from helpers.written import inline, percent

_ENOUGH = 0.99


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line, as it was written there."""

    name: str
    orders: tuple[str, ...]
    preset: str = ""
    columns: tuple[str, ...] = ()
    currency: str = ""
    time_zone: str = ""
    date_format: tuple[str, ...] = ()
    decimal: tuple[str, ...] = ()
    encoding: str = ""
    also: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    vat: str = ""
    force: bool = False


def new_shop(request: Request, *, say: Callable[[str], None], ask: Ask = None) -> Path:
    """Write the shop.toml of a new shop from its exports, and give its path.

    Says line by line what was understood. Nothing is written before the data have been read and
    cleaned by it in a temporary folder. Raises UsageError for what the user has to say first,
    DataError where the data cannot be read; no message holds a value of a row.
    """
    folder = shop_folder(request.name)
    target = folder / "shop.toml"
    if target.exists() and not request.force:
        raise UsageError(
            f"{near(target)} exists and is left as it is; --force replaces it, another "
            "name makes another shop."
        )
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="new-shop-")))
        made = _drafted(stack, request, folder, scratch, say, ask)
        shop, info = _prove(made, scratch / "proof" / folder.name)
        for line in report.found(shop, info):
            say(line)
    _write(target, draft.text(made, folder=folder, last_day=info.last_day))
    for line in report.next_steps(target, request.name, info):
        say(line)
    return target


def shop_folder(name: str) -> Path:
    """Give the folder of a shop: a name means one under data/, anything else is a path."""
    path = Path(name).expanduser()
    if not name.strip() or path.name in ("", ".."):
        raise UsageError(f"'{name}' is no name for a shop; give one, such as myshop, or a folder.")
    if not (path.is_absolute() or path.parts[1:] or name.startswith(".")):
        path = ROOT / "data" / name
    return Path(os.path.abspath(path))


def _drafted(
    stack: ExitStack, request: Request, folder: Path, scratch: Path, say, ask: Ask
) -> Draft:
    def opened(given: tuple[str, ...], option: str) -> Head:
        files = tuple(heads.found_files(each, option=option, folder=folder) for each in given)
        place = scratch / f"t{len([*scratch.iterdir()])}"
        head = heads.open_head(files, encoding=request.encoding, scratch=place)
        stack.callback(head.con.disconnect)
        return head

    said = _said(request)
    head = opened(request.orders, "--orders")
    preset = _preset(head, request)
    sources = _from_export(head, preset, "orders", said, request, ask)
    for line in report.understood(sources, preset):
        say(line)
    shown = len(sources)
    for each in request.tables:
        table, file = asked.pair(each, option="--table", example="TABLE=FILE")
        asked.table_name(table, option="--table")
        other = opened((file,), "--table")
        sources += _from_export(other, known.detect(other, table), table, said, request, ask)
    for each in request.also:
        name, file = asked.pair(each, option="--also", example="PRESET=FILE")
        further = known.preset(name, option="--also")
        other = opened((file,), "--also")
        tables = [each for each in known.check_fills(further, other, option="--also")
                  if each != "orders"]  # fmt: skip
        if not tables:
            raise UsageError(
                f"--also {each}: {name} fills orders, and those come by --orders; a second export "
                "of the same orders would count them twice."
            )
        sources += tuple(_by_preset(other, further, table, said, request, ask) for table in tables)
    for line in report.understood(sources[shown:], None):
        say(line)
    zone_hint = _offsets_hint(sources)
    return Draft(
        folder.name,
        *_currency(request, head, preset, sources[0], ask),
        *_time_zone(request, preset, zone_hint, ask),
        sources=sources,
    )


def _said(request: Request) -> dict[str, Given]:
    columns = asked.columns(request.columns)
    forms, decimals = asked.by_table(request.date_format), asked.by_table(request.decimal)
    for table, sign in decimals.items():
        if sign not in (".", ",", "auto"):
            raise UsageError(f"--decimal {sign}: it must be . or , or auto, for {table}.")
    tables = {*columns, *forms, *decimals}
    named = {"orders", *(each.partition("=")[0] for each in request.tables)}
    for table in sorted(tables - named):
        raise UsageError(f"{table}: no file was given for it; add --table {table}=FILE.")
    return {
        table: Given(columns.get(table, {}), forms.get(table), decimals.get(table, ""))
        for table in tables
    }


def _preset(head: Head, request: Request) -> known.Known | None:
    if request.preset == "none":
        return None
    if not request.preset:
        return known.detect(head, "orders")
    forced = known.preset(request.preset, option="--preset")
    if "orders" not in forced.tables:
        raise UsageError(
            f"--preset {forced.name}: it fills {', '.join(forced.tables)} and no orders; add it by "
            f"--also {forced.name}=FILE."
        )
    known.check_fills(forced, head, option="--preset", table="orders")
    return forced


def _from_export(
    head: Head, preset, table: str, said: dict[str, Given], request: Request, ask: Ask
) -> tuple[Source, ...]:
    """Give the sources that a file fills: by its preset all of its tables, else the one asked."""
    if preset:
        tables = [table, *(each for each in preset.fills(head.columns) if each != table)]
        return tuple(_by_preset(head, preset, each, said, request, ask) for each in tables)
    proposal = propose(head, table, said.get(table, Given()))
    settings = ({"encoding": head.encoding} if head.encoding else {}) | proposal.settings
    return (Source(table, head.files, proposal=proposal, settings=settings),)


def _by_preset(head: Head, preset: known.Known, table: str, said, request, ask: Ask) -> Source:
    given = said.get(table, Given())
    settings = {"encoding": head.encoding} if head.encoding else {}
    settings |= {"date_format": given.date_format} if given.date_format else {}
    settings |= {"decimal": given.decimal} if given.decimal else {}
    if "amounts" in preset.asks(table):
        settings |= asked.vat(_vat(request, preset, table, ask))
    return Source(
        table, head.files, preset=preset.name, settings=settings, columns=dict(given.columns),
        hint=_stamp_offsets(head, preset, table),
    )  # fmt: skip


def _vat(request: Request, preset: known.Known, table: str, ask: Ask) -> str:
    if request.vat:
        return request.vat
    question = f"Do the amounts of {preset.name} ({table}) hold VAT? net, or its rate (0.20)"
    if ask is None:
        raise UsageError(
            f"{preset.name} does not say whether its amounts hold VAT, and it is never assumed: "
            "add --vat net, or --vat 0.20 if they hold 20%."
        )

    def check(answer: str) -> str:
        asked.vat(answer)
        return answer

    return ask(question, check)


def _currency(request, head: Head, preset, orders: Source, ask: Ask) -> tuple[str, str]:
    if request.currency:
        return asked.currency(request.currency), "as you said"
    if preset and "currency" in preset.settings:
        return preset.settings["currency"], f"from the preset {preset.name}"
    if orders.proposal:
        column = orders.proposal.columns.get("currency", ("",))[0]
    else:
        column = preset.column("orders", "currency", head.columns) if preset else ""
    found = values.codes(head, column) if column else {}
    for code, share in found.items():
        if share > _ENOUGH:
            return code, f"{percent(share)} of the rows, by the column '{inline(column)}'"
    shown = ", ".join(f"{code} {percent(share, 0)}" for code, share in found.items())
    held = f" The column '{inline(column)}' holds {shown}." if found else ""
    if ask is None:
        raise UsageError(
            f"The shop's currency is not known, and it is never assumed.{held} Add --currency EUR "
            "(an ISO 4217 code)." + ("" if request.time_zone else _ZONE)
        )
    return ask(f"The shop's currency, an ISO 4217 code such as EUR.{held}", asked.currency), (
        "as you said"
    )


_ZONE = " The time zone is needed too: --time-zone Europe/Berlin (an IANA name)."


def _time_zone(request: Request, preset, hint: str, ask: Ask) -> tuple[str, str]:
    if request.time_zone:
        return asked.time_zone(request.time_zone), f"as you said{hint and f'; {hint}'}"
    if preset and "time_zone" in preset.settings:
        return preset.settings["time_zone"], f"from the preset {preset.name}"
    held = f" {hint[0].upper()}{hint[1:]}." if hint else ""
    if ask is None:
        raise UsageError(
            f"The shop's time zone is not known, and it is never assumed.{held} Add "
            "--time-zone Europe/Berlin (an IANA name)."
        )
    question = f"The shop's time zone, an IANA name such as Europe/Berlin.{held}"
    return ask(question, asked.time_zone), f"as you said{hint and f'; {hint}'}"


def _stamp_offsets(head: Head, preset: known.Known, table: str) -> tuple[int, ...]:
    column = preset.column(table, "ordered_at", head.columns) if table == "orders" else ""
    found = values.dates(head, column) if column else None
    return found.offsets if found else ()


def _offsets_hint(sources: tuple[Source, ...]) -> str:
    orders = sources[0]
    offsets = orders.proposal.dates.offsets if orders.proposal else orders.hint
    if not offsets:
        return ""
    return f"its time stamps carry the offset from UTC {values.offset_words(offsets)}"


def _prove(made: Draft, folder: Path) -> tuple[Shop, CleanInfo]:
    """Clean the exports by the draft, in a folder that goes away with its parent."""
    folder.mkdir(parents=True)
    (folder / "shop.toml").write_text(draft.text(made), encoding="utf-8")
    try:
        shop = load_shop(str(folder))
        info = cleaning.prepare(shop)
    except WorkbookError as error:
        kind = UsageError if isinstance(error, UsageError) else DataError
        raise kind(_refusal(str(error))) from None
    return replace(shop, folder=folder), info


def _refusal(message: str) -> str:
    """Say that nothing was written; rows put beside the proof are gone with its folder.

    >>> _refusal("No row can be used. Mend the export; the rows are in clean/refused/.")
    'No row can be used. Mend the export: each reason is named with the number of its rows; or \
say by --column, --date-format and --decimal what its columns hold. No shop.toml was written.'
    """
    said = re.sub(
        r"[.;,][^.;,]*\bclean/refused/",
        ": each reason is named with the number of its rows; or say by --column, --date-format "
        "and --decimal what its columns hold",
        message,
    )
    return f"{said.rstrip('.')}. No shop.toml was written."


def _write(target: Path, content: str) -> None:
    """Write the file whole or not at all; a folder made for it does not stay behind alone."""
    made = not target.parent.exists()
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replaced(target) as part:
            part.write_text(content, encoding="utf-8")
    except BaseException:
        if made:
            shutil.rmtree(target.parent, ignore_errors=True)
        raise
