"""The month in a few sentences: how it went, what moved it, what asks for an answer."""

import pandas as pd

from helpers import notes
from helpers.chapters import alerts, run_chart
from helpers.chapters.change_tables import Moved
from helpers.chapters.run_chart import RunChart
from helpers.study import Study
from helpers.written import Formatter, alike, days, percent

LEAST_SILENT = 3  # days: fewer may be a long weekend
_BEFORE = 90  # days before the last order that say how long the shop is usually silent


def month(
    study: Study,
    periods: pd.DataFrame,
    chart: RunChart,
    moved: Moved,
    rules: pd.DataFrame,
    *,
    target: float,
    label: str,
    basis: str,
    fmt: Formatter,
) -> str:
    """Say how the month went, what moved it, what needs an answer, and where the plan stands."""
    mean, aimed = chart.days["value"].mean(), chart.days["target"].mean()
    if pd.notna(target) and aimed > 0:
        now, goal = alike(fmt, [mean, aimed])
        went = f"{label} was {now}, {percent(mean / aimed)} of the target of {goal}."
    else:
        went = f"{label} was {alike(fmt, [mean])[0]}; no target stands beside it."
    written = notes.read(study.shop, study.month)
    planned = "The plan stands at the end." if written else "No plan is written yet."
    parts = [silence(study, periods), went, _why(moved, basis, study.money)]
    return " ".join(part for part in [*parts, alerts.speaking(rules), planned] if part)


def _why(moved: Moved, basis: str, money: Formatter) -> str:
    if moved.reason:
        return f"What moved it cannot be told. {moved.reason}"
    first, last = moved.steps.iloc[0], moved.steps.iloc[-1]
    steps = moved.steps.iloc[1:-1]
    if steps.empty:
        return f"Nothing moved since {first['step']}."
    change = last["amount"] - first["amount"]
    top = steps.loc[steps["amount"].abs().sort_values(ascending=False, kind="stable").index[:2]]
    texts = alike(money, [abs(change), *top["amount"].abs()])
    words = [
        f"{name.lower()} ({'+' if amount > 0 else '-'}{text})"
        for name, amount, text in zip(top["step"], top["amount"], texts[1:], strict=True)
    ]
    return (
        f"The month's {basis} is {texts[0]} {'above' if change >= 0 else 'below'} "
        f"{first['step']}, season and chance included; the largest steps are {' and '.join(words)}."
    )


def silence(study: Study, periods: pd.DataFrame) -> str:
    """Warn if orders end before the month does, for longer than is usual; empty if not.

    Unusual is a silence of at least three days, and longer than any in the ninety days before the
    last order. The files may end there, and then the whole month reads too low.
    """
    begin, end = pd.Timestamp(study.history_starts_at), pd.Timestamp(study.end)
    orders = run_chart.daily(periods, "orders", begin, end)
    sold = orders.index[orders > 0].to_series()
    if sold.empty:
        return ""
    last = sold.max()
    silent = (end - last).days
    near = sold[sold >= last - pd.Timedelta(days=_BEFORE)]
    usual = near.diff().dt.days.max()
    longest = 0 if pd.isna(usual) else int(usual) - 1
    if silent < LEAST_SILENT or silent <= longest:
        return ""
    return (
        f"**No order after {last:%Y-%m-%d}:** the last {days(silent)} of the month are empty. If "
        "the files end there, the month is not whole, and every figure of it is too low."
    )
