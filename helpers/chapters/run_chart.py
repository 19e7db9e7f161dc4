"""The core metric day by day: targets by weekday, control limits, and what a signal says.

A run chart with limits from moving ranges (Shewhart 1931; Wheeler, Understanding Variation, 1993).
The shop's own weekday pattern is taken out first, so that a Sunday is held against Sundays.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.show import Finding, count, percent
from helpers.study import Study

LEAST_WEEKS = 4
RUN = 8
# The median of the absolute difference of two draws of a normal distribution, in its deviations.
_MEDIAN_RANGE, _MEAN_RANGE, _LIMIT = 0.9539, 1.1284, 3.0


@dataclass(frozen=True)
class RunChart:
    """The days shown and what they are held against.

    ``days`` has a row per day: start, value, center (what the weeks before lead to expect on this
    weekday), low and high (control limits), target, outside (beyond a limit), run (one of at least
    eight days in a row on one side of the center), signal (either). Center and limits are missing,
    and ``reason`` says why, where fewer than four whole weeks lie before the days. ``pattern`` is
    the share of a mean day by weekday (0 is Monday), ``weeks`` what it rests on.
    """

    days: pd.DataFrame
    pattern: pd.Series
    weeks: int
    reason: str = ""


def daily(periods: pd.DataFrame, column: str, first: object, last: object) -> pd.Series:
    """Give a column of ``periods`` by day, from first to last; a day without orders is zero."""
    rows = periods[(periods["grain"] == "day") & (periods["dimension"] == "all")]
    span = pd.date_range(first, last, name="start")
    return rows.set_index("start")[column].reindex(span, fill_value=0).astype(float)


def weekday_pattern(history: pd.Series) -> pd.Series:
    """Give what each weekday brings as a share of a mean day, 0 (Monday) to 6; the mean is 1.

    All are 1 where the history is shorter than four whole weeks, or where a weekday did not earn:
    a share of nothing, or of a loss, cannot spread a target.
    """
    flat = pd.Series(1.0, index=range(7))
    if len(history) < 7 * LEAST_WEEKS:
        return flat
    means = history.groupby(history.index.day_of_week).mean().reindex(range(7))
    return means / means.mean() if (means > 0).all() else flat


def day_targets(days: pd.DatetimeIndex, pattern: pd.Series, per_day: float) -> np.ndarray:
    """Spread a target per day over the days of each month by weekday.

    target x days of the month x share of the weekday / sum of the shares over the month, so that
    the targets of a whole month add up to the target per day x its days.
    """
    months = days.to_period("M")
    factor = {}
    for month in months.unique():
        every = pd.date_range(month.start_time, month.end_time.normalize())
        factor[month] = len(every) / pattern.loc[every.day_of_week].sum()
    shares = pattern.loc[days.day_of_week].to_numpy(dtype=float)
    return per_day * shares * np.array([factor[month] for month in months], dtype=float)


def spread(residuals: np.ndarray, *, weekdays: int = 7) -> float:
    """Estimate the deviation of days from their weekday: median moving range / 0.954.

    The median, so that a few days of a promotion do not widen the limits for all others. Where
    more than half of the ranges are zero (a shop with few orders), mean moving range / 1.128.
    Corrected for the weekdays' means, which are estimated from the same days.
    """
    ranges = np.abs(np.diff(residuals))
    if len(ranges) == 0:
        return np.nan
    median = np.median(ranges)
    sigma = median / _MEDIAN_RANGE if median > 0 else ranges.mean() / _MEAN_RANGE
    return float(sigma * np.sqrt(len(residuals) / max(len(residuals) - weekdays, 1)))


def chart(
    values: pd.Series, history: pd.Series, *, target: float = np.nan, floor: float | None = None
) -> RunChart:
    """Hold days against the whole weeks before them.

    ``values`` are the days shown, ``history`` those before (both by day, without a gap; of the
    history the last whole weeks count). center = mean of the history x share of the weekday;
    limits = center plus or minus three deviations (`spread`), not below ``floor``.
    """
    weeks = len(history) // 7
    history = history.iloc[len(history) - 7 * weeks :]
    pattern = weekday_pattern(history)
    days = pd.DataFrame({"start": values.index, "value": values.to_numpy(dtype=float)})
    days["target"] = day_targets(values.index, pattern, target)
    if weeks < LEAST_WEEKS:
        blank = dict.fromkeys(("center", "low", "high"), np.nan)
        reason = f"only {count(weeks)} whole weeks of history lie before these days"
        return RunChart(days.assign(**blank, outside=False, run=False, signal=False), pattern,
                        weeks, reason)  # fmt: skip
    mean = history.mean()
    expected = mean * pattern.loc[history.index.day_of_week].to_numpy()
    half = _LIMIT * spread(history.to_numpy() - expected)
    center = mean * pattern.loc[values.index.day_of_week].to_numpy()
    low = center - half if floor is None else np.maximum(center - half, floor)
    days = days.assign(center=center, low=low, high=center + half)
    outside = (days["value"] > days["high"]) | (days["value"] < days["low"])
    run = in_runs(days["value"].to_numpy() - center)
    return RunChart(days.assign(outside=outside, run=run, signal=outside | run), pattern, weeks)


def in_runs(distance: np.ndarray, *, length: int = RUN) -> np.ndarray:
    """Mark the days of every run of at least so many in a row on the same side of zero.

    >>> in_runs(np.array([1, 1, -1, -1, -1]), length=3).tolist()
    [False, False, True, True, True]
    """
    side = pd.Series(np.sign(distance))
    block = (side != side.shift()).cumsum()
    long = side.groupby(block).transform("size") >= length
    return (long & (side != 0)).to_numpy()


def of_month(
    study: Study,
    periods: pd.DataFrame,
    column: str,
    *,
    days: int = 30,
    weeks: int = 12,
    target: float = np.nan,
) -> RunChart:
    """Chart a column of ``periods`` over the last days of the study's month."""
    end, begin = pd.Timestamp(study.end), pd.Timestamp(study.history_starts_at)
    first = max(end - pd.Timedelta(days=days - 1), begin)
    known = min(weeks, max((first - begin).days, 0) // 7)
    before = first - pd.Timedelta(days=7 * known)
    history = daily(periods, column, before, first - pd.Timedelta(days=1))
    floor = 0.0 if column == "orders" else None
    return chart(daily(periods, column, first, end), history, target=target, floor=floor)


def finding(found: RunChart, target: float, name: str, fmt) -> Finding:
    """Say what the run chart shows: the mean against the target, and the days with a signal."""
    days = found.days
    mean, aimed = days["value"].mean(), days["target"].mean()
    low, high = days.loc[days["value"].idxmin()], days.loc[days["value"].idxmax()]
    if pd.isna(target):
        title = f"{name}: {fmt(mean)} on average, without a target to hold it against"
    elif aimed == mean:
        title = f"{name} is on target"
    else:
        title = f"{name} is {percent(abs(mean / aimed - 1))} {'above' if mean > aimed else 'below'}"
        title += " target"
    aim = "" if pd.isna(target) else f", mean target {fmt(aimed)}"
    marks = f"; {_counted(int(days['signal'].sum()))} marked" if not found.reason else ""
    return Finding(
        title,
        f"Run chart of {name.lower()} over {len(days)} days: mean {fmt(mean)}{aim}, lowest "
        f"{fmt(low['value'])} on {_day(low)}, highest {fmt(high['value'])} on {_day(high)}{marks}.",
        f"The lowest day was {_day(low)} with {fmt(low['value'])}, the highest {_day(high)} with "
        f"{fmt(high['value'])}.",
    )


def signals_sentence(found: RunChart) -> str:
    """Say which days are unlike the weeks before, what that means, and what it does not."""
    if found.reason:
        return (
            f"No limits are drawn: {found.reason}, and it takes {LEAST_WEEKS}. Until then no day "
            "can be told from noise, and the target is the same on all weekdays."
        )
    days = found.days
    out, runs = days[days["outside"]], _runs(days)
    basis = f"the {count(found.weeks)} weeks before, weekday by weekday"
    if out.empty and not runs:
        return (
            f"No day is outside its limits and no {RUN} in a row are on one side: held against "
            f"{basis}, the ups and downs are noise. Looking for the cause of a single day is time "
            "lost."
        )
    parts = []
    if len(out):
        named = ", ".join(
            f"{_day(row)} ({'above' if row['value'] > row['high'] else 'below'})"
            for _, row in out.head(5).iterrows()
        )
        more = f" and {count(len(out) - 5)} more" if len(out) > 5 else ""
        parts.append(f"Outside the limits: {named}{more}.")
    parts += [
        f"From {_day(first)} to {_day(last)} all {count(n)} days were {side} what {basis}, lead "
        "to expect."
        for first, last, n, side in runs
    ]
    return " ".join(parts) + (
        " A signal asks whether something has changed, and what: a promotion, a price, an outage, "
        "the season. It does not say whether the target is met; months without any change show "
        "one, too, and more often the fewer orders a day has."
    )


def _runs(days: pd.DataFrame) -> list[tuple[pd.Series, pd.Series, int, str]]:
    side = np.sign(days["value"] - days["center"])
    block = (side != side.shift()).cumsum()
    return [
        (part.iloc[0], part.iloc[-1], len(part), "above" if side[part.index[0]] > 0 else "below")
        for _, part in days[days["run"]].groupby(block[days["run"]])
    ]


def _day(row: pd.Series) -> str:
    return f"{row['start'].day} {row['start']:%B}"


def _counted(n: int) -> str:
    return "no day" if n == 0 else f"{count(n)} day{'s' if n > 1 else ''}"
