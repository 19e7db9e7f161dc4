"""What a task asks for, and what is said to an answer: right, not yet and why, or still missing.

A wrong answer is held against the values that typical mistakes lead to, so that the hint can name
the mistake. No text tells the answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from helpers.study import Study
from helpers.written import by_unit

# Half of the last digit that a reader would write, and a little for rounding on the way.
_CLOSE = {"money": 0.0051, "percent": 0.00051, "count": 0.51, "ratio": 0.0051, "months": 0.051}
_RELATIVE = 1e-4
_NEARLY = 0.01
_KINDS = {
    "money": "an amount of money", "percent": "a share, such as 0.25", "count": "a number",
    "ratio": "a number", "months": "a number of months",
}  # fmt: skip


@dataclass(frozen=True)
class Mistake:
    """A value that a typical mistake leads to, and the hint that names the mistake."""

    value: float | str
    hint: str


@dataclass(frozen=True)
class Task:
    """One question of an exercise.

    ``answer`` is what the solution finds, a number in ``unit`` (money, percent as a share, count,
    ratio, months) or one of ``words`` (unit word); ``otherwise`` is the hint where no typical
    mistake fits; ``lesson`` is what a right answer teaches; ``close`` is how far off counts as
    right, by default the last digit shown.
    """

    answer: float | str
    unit: str
    mistakes: tuple[Mistake, ...]
    otherwise: str
    lesson: str
    close: float = 0.0
    words: str = ""

    @property
    def asks(self) -> str:
        """Say what kind of answer belongs in place of the dots, and nothing of the way to it."""
        return f"one of {self.words}, in quotes" if self.unit == "word" else _KINDS[self.unit]


@dataclass(frozen=True)
class Verdict:
    """What is said to an answer."""

    right: bool
    text: str


# A task is made from the study only when its answer is checked.
Tasks = dict[str, Callable[[Study], Task]]


def tolerance(task: Task) -> float:
    """Give how far from the answer a number may lie and still be right."""
    least = task.close or _CLOSE[task.unit]
    return least if task.close else max(least, _RELATIVE * abs(float(task.answer)))


def judge(task: Task, given: Any, currency: str = "") -> Verdict:
    """Say whether an answer is right; if not, name the mistake it looks like, never the answer."""
    if given is ...:
        return Verdict(False, f"**Fill in.** In place of the dots: {task.asks}.")
    if task.unit == "word":
        return _judge_word(task, given)
    number = one_number(given)
    if isinstance(number, str):
        return Verdict(False, f"**Not yet.** {number}")
    if abs(number - float(task.answer)) <= tolerance(task):
        written = by_unit(task.unit, currency)(number)
        return Verdict(True, f"**Right: {written}.** {task.lesson}")
    return Verdict(False, f"**Not yet.** {_hint(task, number)}")


def _judge_word(task: Task, given: Any) -> Verdict:
    if not isinstance(given, str):
        return Verdict(False, f"**Not yet.** A word in quotes is needed: {task.words}.")
    word = given.strip(" .!").lower().replace(" ", "_")
    if word == str(task.answer).lower():
        return Verdict(True, f"**Right: {task.answer}.** {task.lesson}")
    for mistake in task.mistakes:
        if word == str(mistake.value).lower():
            return Verdict(False, f"**Not yet.** {mistake.hint}")
    return Verdict(False, f"**Not yet.** {task.otherwise} The answer is one of: {task.words}.")


def one_number(given: Any) -> float | str:
    """Give an answer as a number, or the sentence that says why it is none."""
    if hasattr(given, "value") and hasattr(given, "low"):
        return "This is a whole result, with its interval. Take the one figure that is asked."
    if isinstance(given, pd.Index):
        return 'This is the index of a frame. A column of that name is `["index"]`, in brackets.'
    if isinstance(given, pd.DataFrame | pd.Series | np.ndarray | list | tuple) and np.size(given):
        if np.size(given) > 1:
            return (
                f"This holds {np.size(given):,} values; one number is asked for. Sum up "
                "(`.sum()`) before you divide, or pick the one row that is meant."
            )
        given = np.asarray(given).ravel()[0]
    if isinstance(given, str):
        return "This is text. Give the number itself, without quotes, sign or unit."
    try:
        number = float(given)
    except (TypeError, ValueError):
        return "This is no number. Give one number."
    if not np.isfinite(number):
        return "This is not a finite number: something was divided by zero, or is missing."
    return number


def _hint(task: Task, number: float) -> str:
    """Name the mistake whose value lies nearest to what was given; else a general hint."""
    answer, close = float(task.answer), tolerance(task)
    near = [m for m in task.mistakes if abs(number - float(m.value)) <= close]
    if near:
        return min(near, key=lambda m: abs(number - float(m.value))).hint
    if task.unit == "percent" and abs(number / 100 - answer) <= close:
        return "Give a share, not percent: a quarter is 0.25."
    if abs(number + answer) <= close:
        return "The size is right, the sign is not: what is taken from what?"
    if abs(number - answer) <= _NEARLY * abs(answer):
        return (
            "Nearly: less than a hundredth off. Do not round on the way; if you did not, look once "
            f"more at what is divided by what. {task.otherwise}"
        )
    side = "too high" if number > answer else "too low"
    return f"This is {side}. {task.otherwise}"
