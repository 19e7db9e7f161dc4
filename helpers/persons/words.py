"""Ids as words of their own: where a customer's id counts as found in a longer text.

``12`` is not in ``2012``, ``C012`` is in ``C012-3`` and ``FRIEND-C012``. Ids too short to be told
from other words (`is_short`) are looked for only where customers stand.
"""

import html
import json
import re
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

from helpers.persons.keys import FORGOTTEN


def is_short(customer: str) -> bool:
    """Say whether an id is too short to be told from other cells and words.

    Purely numeric ids of fewer than six digits, and others of fewer than four characters: ``12``
    is a quantity more often than a customer. Such ids are looked for only where customers stand.
    """
    return len(customer) < (6 if customer.isdigit() else 4)


@dataclass(frozen=True)
class Words:
    """What to look for: ids and pseudonyms of the customers to forget."""

    every: frozenset[str]

    @cached_property
    def long(self) -> dict[str, frozenset[str]]:
        """Give the ways in which each id may be written in a file, with their words."""
        # Late: pages are made of what is cleaned, not the other way around.
        from helpers.notes import escaped
        from helpers.show import label

        written = {
            form
            for word in self.every
            if not is_short(word)
            for form in (
                word, html.escape(word), html.escape(word, quote=False), quote(word, safe=""),
                json.dumps(word)[1:-1], word.replace('"', '""'), word.replace("'", "&#x27;"),
                escaped(word), label(word),
            )
        }  # fmt: skip
        return {form: words_of(form) for form in written}

    @cached_property
    def rarest(self) -> frozenset[str]:
        """Give the longest word of each id: a text without any of these holds none of them."""
        found = (max(words, key=lambda word: (len(word), word), default="")
                 for words in self.long.values())  # fmt: skip
        return frozenset(found)

    def pattern(self, text: str) -> re.Pattern | None:
        """Give a pattern of those ids whose every word is in the text; None if there is none.

        Thousands of ids cost one look at the words of the text: hardly any goes into the pattern.
        """
        there = words_of(text) | {word.casefold() for word in re.findall(r"\\[nrt](\w+)", text)}
        near = [form for form, words in self.long.items() if words <= there]
        if not near:
            return None
        near.sort(key=lambda form: (-len(form), form))
        return re.compile("|".join(map(_standing_alone, near)))

    def without(self, texts: set[str]) -> dict[str, str]:
        """Give those texts that hold an id, each with ``forgotten`` in the place of the ids."""
        pattern = self.pattern("\n".join(texts)) if self.long else None
        if not pattern:
            return {}
        found = {text: pattern.sub(FORGOTTEN, text) for text in texts}
        return {text: new for text, new in found.items() if new != text}


def words_of(text: str) -> frozenset[str]:
    """Give the words of a text, folded."""
    return frozenset(word.casefold() for word in re.findall(r"\w+", text))


def _standing_alone(form: str) -> str:
    r"""Write the pattern of one id; ``\n`` written out may stand before it, in printed code."""
    start, end = r"(?:(?<!\w)|(?<=\\[nrt]))", r"(?!\w)"
    if form.isdigit():
        start, end = start + r"(?<!\d[.,])", end + r"(?![.,]\d)"
    exact = re.escape(form)
    return f"{start}{f'(?i:{exact})' if '@' in form or '%40' in form else exact}{end}"
