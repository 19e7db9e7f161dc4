"""Values written as TOML, so that any name a file can have comes back as it was."""

import json
from collections.abc import Mapping

from helpers.written import inline


def quoted(text: str) -> str:
    r"""Write a text as a basic TOML string.

    >>> print(quoted('6" pipe \\ "new"'))
    "6\" pipe \\ \"new\""
    """
    # JSON escapes all that TOML wants escaped, but for one control character.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def value(given: object) -> str:
    """Write a text, a number, a truth value, or a list of texts (one item: without the list).

    >>> value(("a", "b")), value(("a",)), value(0.2), value(True)
    ('["a", "b"]', '"a"', '0.2', 'true')
    """
    if isinstance(given, str):
        return quoted(given)
    if isinstance(given, (tuple, list)):
        items = [quoted(item) for item in given]
        return items[0] if len(items) == 1 else f"[{', '.join(items)}]"
    return json.dumps(given)


def settings(given: Mapping[str, object]) -> list[str]:
    """Write settings line by line, as ``key = value``."""
    return [f"{key} = {value(each)}" for key, each in given.items()]


def comment(text: str, *, width: int = 100) -> list[str]:
    """Write a text as comment lines of at most ``width`` characters."""
    import textwrap

    plain = inline(text)
    return [f"# {line}" for line in textwrap.wrap(plain, width - 2, break_on_hyphens=False)]
