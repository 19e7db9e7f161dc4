"""What an exercise calls: `check` an answer, and `reveal` the truth at the end."""

from collections.abc import Mapping
from typing import Any

from helpers.course import campaigns, cohorts, first, forecasts, intake, months, truths, values
from helpers.course.answers import Tasks, Verdict, judge
from helpers.errors import UsageError, nearest
from helpers.show import say, show_table
from helpers.study import Study

# By exercise, in the order of its tasks.
EXERCISES: dict[str, Tasks] = {
    "00": first.TASKS,
    "01": intake.TASKS,
    "02": values.TASKS,
    "03": cohorts.TASKS,
    "04": forecasts.TASKS,
    "05": campaigns.TASKS,
    "06": months.TASKS,
}


def verdict(study: Study, name: str, answer: Any) -> Verdict:
    """Judge the answer to a task. Raises UsageError for a task that is not there."""
    every = {name: make for tasks in EXERCISES.values() for name, make in tasks.items()}
    if name not in every:
        raise UsageError(f"There is no task '{name}'.{nearest(name, every)}")
    return judge(every[name](study), answer, study.currency)


def check(study: Study, name: str, answer: Any) -> None:
    """Say whether an answer is right, which mistake it looks like, or what is to be filled in."""
    say(verdict(study, name, answer).text)


def reveal(study: Study, **answers: Any) -> None:
    """Show answers beside what the simulator really did, each once its check has passed."""
    opened = {known.task for known in truths.TRUTHS.values()}
    rows = {name: _passed(study, name, answers) for name in answers if name not in opened}
    table = truths.beside_truth(study, rows)
    if (table["yours"] == "open").all():
        say("Answer the tasks first; what the simulator really did is then shown here.")
        return
    show_table(table, caption="Your figures, and what the simulator really did", name="truth")


def _passed(study: Study, name: str, answers: Mapping[str, Any]) -> Any:
    """Give an answer as it is shown, or dots while it, or the task that it waits for, is open."""
    known = truths.TRUTHS.get(name)
    task = known.task if known and known.task else name
    is_task = any(task in tasks for tasks in EXERCISES.values())
    right = not is_task or verdict(study, task, answers.get(task, ...)).right
    return answers[name] if right else ...
