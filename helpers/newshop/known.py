"""Known exports (presets): which one a file is, what it fills, what it has to ask."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from helpers.contract import settings
from helpers.contract.settings import Refusal
from helpers.errors import DataError, UsageError, nearest
from helpers.newshop.heads import Head
from helpers.newshop.names import candidates, listed
from helpers.sources import headers


@dataclass(frozen=True)
class Known:
    """A preset: its name, its settings, and per table the sources it describes."""

    name: str
    settings: dict
    tables: dict[str, tuple[dict, ...]]

    def fills(self, columns: Iterable[str]) -> tuple[str, ...]:
        """Give the tables that a file with these columns fills: all that its sources read is there.

        Of sources that read nothing by name, nothing can be said: they fill nothing.
        """
        have = tuple(columns)
        return tuple(
            table
            for table, sources in self.tables.items()
            if all(source.get("reads") and not _lacking(source, have) for source in sources)
        )

    def asks(self, table: str) -> tuple[str, ...]:
        """Give what only the shop can say about a table of this export, such as ``amounts``."""
        return tuple(ask for source in self.tables[table] for ask in source.get("asks", ()))

    def column(self, table: str, name: str, columns: Iterable[str]) -> str:
        """Give a file's column for one of the contract: by the preset, else by its known names.

        Empty if there is none. (A preset with a query names columns of its own making.)
        """
        have = tuple(columns)
        for source in self.tables[table]:
            named = source.get("columns", {}).get(name, "")
            read = [each for key in ("reads", "may_read") for each in source.get(key, ())]
            choices = [each for each in read if headers.choices(each)[0] == named]
            if not (named and isinstance(named, str)):
                continue
            if found := headers.chosen(choices[0] if choices else named, have):
                return found
        return next(iter(candidates(table, have)[name]), "")


@cache
def presets() -> dict[str, Known]:
    """Read all presets, by name."""
    found = {}
    for path in sorted(settings.PRESETS.glob("*.toml")):
        given = settings.preset(path.stem, path.name)
        tables = {
            name: tuple(source) if isinstance(source, list) else (source,)
            for name, source in given.pop("tables", {}).items()
        }
        found[path.stem] = Known(path.stem, given, tables)
    return found


def preset(name: str, *, option: str) -> Known:
    """Give a preset by its name; UsageError naming the option if there is none."""
    found = presets()
    if name not in found:
        raise UsageError(
            f"{option} {name}: there is no such preset. Presets: {', '.join(found)}."
            f"{nearest(name, found)}"
        )
    return found[name]


def detect(head: Head, table: str) -> Known | None:
    """Give the preset whose columns a file holds, the one that reads most of them; else None.

    Raises DataError with a preset's own reason where it knows that the export cannot serve.
    """
    have = head.columns
    fitting = [each for each in presets().values() if table in each.fills(have)]
    if fitting:
        return max(fitting, key=lambda each: len(each.tables[table][0]["reads"]))
    for known in presets().values():
        _refuse(known, head)
    return None


def _refuse(known: Known, head: Head) -> None:
    """Raise DataError with the preset's reason where it knows that this export cannot serve."""
    for source in (each for sources in known.tables.values() for each in sources):
        refuse = (Refusal(**entry) for entry in source.get("refuse", ()))
        if reason := headers.refusal(head.columns, refuse):
            raise DataError(f"{head.named}: {reason}")


def check_fills(known: Known, head: Head, *, option: str, table: str = "") -> tuple[str, ...]:
    """Give the tables that a file fills by a preset, ``table`` among them if one is named.

    UsageError naming the columns that the file lacks.
    """
    found = known.fills(head.columns)
    if found and (not table or table in found):
        return found
    _refuse(known, head)
    lacking = [
        [name for source in known.tables[each] for name in _lacking(source, head.columns)]
        for each in ([table] if table else known.tables)
    ]
    least = min((names for names in lacking if names), key=len, default=[])
    raise UsageError(
        f"{option} {known.name}: {head.named} is not the export that this preset knows"
        + (f"; it lacks {', '.join(dict.fromkeys(least))}" if least else "")
        + f". It has: {listed(head.columns)}."
    )


def _lacking(source: dict, columns: tuple[str, ...]) -> list[str]:
    """List what a source reads and a file does not have; ``A | B`` is read under either name."""
    return [headers.choices(each)[0] for each in source.get("reads", ())
            if not headers.chosen(each, columns)]  # fmt: skip
