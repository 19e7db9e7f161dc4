"""Errors that a reader can act on: what was given, what is needed, how to mend it."""

from collections.abc import Iterable
from difflib import get_close_matches


class WorkbookError(Exception):
    """A fault the user can mend; its text is the whole message, no traceback needed."""

    exit_code = 1


class UsageError(WorkbookError):
    """A wrong name, parameter or setting: nothing was run."""

    exit_code = 2


class DataError(WorkbookError):
    """The data cannot carry what was asked for."""


class NothingToDrawError(DataError):
    """A picture has no rows: the page says so in a sentence instead."""


def nearest(name: str, accepted: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the accepted name closest to ``name``, or an empty string.

    >>> nearest("horizn", ["horizon", "seed"])
    " Did you mean 'horizon'?"
    """
    close = get_close_matches(name, list(accepted), n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""
