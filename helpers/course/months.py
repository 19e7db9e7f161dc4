"""Tasks of the exercise on the monthly scorecard."""

import numpy as np
import pandas as pd

from helpers import summaries
from helpers.chapters import change_tables, run_chart
from helpers.course.answers import Mistake, Task, Tasks
from helpers.measures import metrics
from helpers.study import Study


def _two_years(study: Study) -> pd.DataFrame:
    return metrics.last_months(summaries.load(study, "periods"), study.month, 24)


def _target(study: Study) -> float:
    return float(study.shop.core_metric.target)


def per_day(study: Study) -> Task:
    """Margin of the month per day."""
    months = _two_years(study)
    now, days = months.iloc[-1], study.end.day
    return Task(
        now["margin"] / days,
        "money",
        (
            Mistake(now["revenue"] / days, "This is revenue. The shop's core metric is margin."),
            Mistake(now["margin"], "This is the whole month."),
            Mistake(now["margin"] / now["customers"], "This is per customer who bought."),
            Mistake(months.tail(12)["margin"].sum() / 365, "This is the whole year's. Asked is the "
                    "month."),
        ),
        "Take the last row of the months, and divide its margin by the days of that month.",
        "One figure a day, in money that is left over: everything else on the scorecard explains "
        "it.",
    )  # fmt: skip


def to_target(study: Study) -> Task:
    """How far the month was from its target, as a share."""
    months, target = _two_years(study), _target(study)
    ratio = months["margin"].iloc[-1] / study.end.day / target
    before = months["margin"].iloc[-2] / (study.start - pd.Timedelta(days=1)).day / target
    return Task(
        ratio - 1,
        "percent",
        (
            Mistake(ratio, "This is the share that was reached. How far from the target is that?"),
            Mistake(1 - ratio, "Under the target is below zero."),
            Mistake(before - 1, "This is the month before."),
            Mistake(1 - 1 / ratio, "The base of the share is the target, not the month."),
            Mistake((ratio - 1) * target, "This is money a day. Which share of the target is it?"),
        ),
        "Divide by the target, then take one off.",
        "Close to target. Whether it is a miss or the luck of a month, the last question says.",
        close=0.00015,
    )  # fmt: skip


def on_year(study: Study) -> Task:
    """Revenue against the same month a year before."""
    revenue = _two_years(study)["revenue"]
    now, year_before = revenue.iloc[-1], revenue.iloc[-13]
    return Task(
        now / year_before - 1,
        "percent",
        (
            Mistake(now / revenue.iloc[-2] - 1, "This is against the month before: the season is "
                    "in it."),
            Mistake(now / year_before, "This is the ratio. Growth is what is above one."),
            Mistake(1 - year_before / now, "The base of a change is the earlier month."),
            Mistake(revenue.tail(12).sum() / revenue.head(12).sum() - 1, "This is the year against "
                    "the year before. Asked is the month."),
        ),
        "The same month a year before stands twelve rows above the last one.",
        "The month before said down, the year before says up: a comparison is part of a figure.",
    )  # fmt: skip


def season(study: Study) -> Task:
    """The calendar month over the level of the year around it."""
    rows = change_tables.span_rows(
        summaries.load(study, "spans"),
        "month",
        first_day=study.history_starts_at,
        last_day=study.end,
    )
    index = change_tables.calendar_index(rows).set_index("month")["index"]
    year = _two_years(study)["revenue"].tail(12)
    here = study.end.month
    return Task(
        index[here],
        "ratio",
        (
            Mistake(year.iloc[-1] / year.mean(), "This is over the mean of the last twelve "
                    "months, when the shop was smaller: growth is in it. The index takes the year "
                    "*around* the month."),
            Mistake(index[here - 1] if here > 1 else index[12], "This is the month before."),
            Mistake(index[here % 12 + 1], "This is the month after."),
            Mistake(index[here] - 1, "This is the distance from one. The index itself is asked."),
            Mistake(year.iloc[-1] / year.iloc[-2], "This is the month over the month before."),
        ),
        "`change_tables.calendar_index(rows)` has a row for each calendar month.",
        "A part of what looked like a fall is the time of year. It rests on one year only, so "
        "read it as a direction.",
    )  # fmt: skip


def signals(study: Study) -> Task:
    """Days of the month beyond the control limits, or in a long run on one side."""
    chart = run_chart.of_month(
        study, summaries.load(study, "periods"), "margin", days=30, weeks=12, target=_target(study)
    )
    days = chart.days
    wrong = {
        int((days["value"] < days["target"]).sum()): "These are days below target. About half of "
        "all days are, in a good month too.",
        int((days["value"] < days["center"]).sum()): "These are days below what the weeks before "
        "lead to expect. That alone is no signal.",
        int(
            days["outside"].sum()
        ): "These are days beyond a limit. A long run on one side is news, "
        "too: its column is `run`.",
        int((days["outside"] & days["run"]).sum()): "These are days that are both. Asked are days "
        "that are one or the other.",
        len(days): "These are all days.",
    }
    answer = int(np.sum(days["outside"] | days["run"]))
    return Task(
        float(answer),
        "count",
        tuple(Mistake(float(n), hint) for n, hint in wrong.items() if n != answer),
        "Count the days where `outside` or `run` is true, each once.",
        "A day beyond a limit asks for a cause of its own. A long run on one side says more than "
        "any single day: what the weeks before led to expect no longer holds.",
    )


TASKS: Tasks = {
    "per_day": per_day,
    "to_target": to_target,
    "on_year": on_year,
    "season": season,
    "signals": signals,
}
