"""What if customers stayed longer, bought more often, or their orders earned more: the forecast."""

import pandas as pd

from helpers.chapters.findings import Finding, nothing
from helpers.chapters.outlooks import Outlook
from helpers.models import portfolio
from helpers.show import percent
from helpers.sliders import Answer, Lever
from helpers.written import Formatter

# How far a lever can be pulled: leaving and pace as a share of today's, the margin rate as added.
MOVED, POINTS = 0.5, 0.1
# The single changes that are set side by side.
STEPS, MARGIN_STEPS = (-0.2, -0.1, 0.1, 0.2), (-0.02, 0.02)


def levers(view: Outlook) -> tuple[Lever, ...]:
    """Give what can be moved: readiness to leave, pace of buying, and the margin rate if known.

    The first two as shares of what they are today. Nobody leaves in NBD, so there it is no lever.
    Empty without a forecast.
    """
    if view.models is None:
        return ()
    found = [Lever("frequency", "Pace of buying (today 100%)", 1.0, 1 - MOVED, 1 + MOVED, percent)]
    if {"a", "s"} & set(view.models.purchase.names):
        label = "Readiness to leave (today 100%)"
        found.insert(0, Lever("churn", label, 1.0, 1 - MOVED, 1 + MOVED, percent))
    if view.basis == "margin":
        rate = view.terms.margin_rate
        ends = rate - POINTS, max(rate, min(rate + POINTS, 1.0))
        found.append(Lever("margin_rate", "Margin rate", rate, *ends, percent))
    return tuple(found)


def value_if(view: Outlook) -> Answer:
    """Give the function that says what value follows where the levers stand.

    Histories are brought to what counts once, so that a slider is answered at once.
    """
    if view.models is None:
        return lambda **_: float("nan")
    now = portfolio.standing(view.valued, view.spend, view.models, view.terms)

    def value(
        *, churn: float = 1.0, frequency: float = 1.0, margin_rate: float | None = None
    ) -> float:
        points = 0.0 if margin_rate is None else margin_rate - view.terms.margin_rate
        return portfolio.what_if(now, churn=churn, frequency=frequency, margin=points)

    return value


def single_changes(view: Outlook, value: Answer) -> pd.DataFrame:
    """Pull one lever at a time: change of, value, change as a share, the largest gain first."""
    columns = ["change_of", "value", "change"]
    names = {lever.name: lever.value for lever in levers(view)}
    now, rows = value(), []
    for step in STEPS if names else ():
        less, size = "less" if step < 0 else "more", f"{abs(step):.0%}"
        if "churn" in names:
            rows.append((f"leave {size} {less} readily", value(churn=1 + step)))
        rows.append((f"buy {size} {less} often", value(frequency=1 + step)))
    if "margin_rate" in names:
        rows += [
            (f"margin {step * 100:+.0f} points", value(margin_rate=names["margin_rate"] + step))
            for step in MARGIN_STEPS
        ]
    found = pd.DataFrame([(name, at, at / now - 1) for name, at in rows], columns=columns)
    return found.sort_values("change", ascending=False, kind="stable", ignore_index=True)


def lever_finding(view: Outlook, value: Answer, money: Formatter) -> Finding:
    """What each lever does alone, in words."""
    if view.models is None:
        return nothing(f"Without a forecast nothing can be changed about it. {view.reason}")
    now, often = value(), value(frequency=1.1)
    said = f"customers bought 10% more often, {money(often)}, {percent(often / now - 1, 1)} more"
    title = f"Buying 10% more often is worth {percent(often / now - 1, 1)}"
    if any(lever.name == "churn" for lever in levers(view)):
        stay = value(churn=0.9)
        title += f", leaving 10% less readily {percent(stay / now - 1, 1)}"
        said += (
            f"; had they left 10% less readily, {money(stay)}, {percent(stay / now - 1, 1)} more"
        )
    return Finding(
        title,
        "Lines of value side by side, one for each lever moved alone, today's place marked: "
        f"as it is {money(now)}, at 10% more orders {money(often)}.",
        f"As it is, customers of today are expected to bring {money(now)}. Had {said}. What it "
        "would take to get there is not in it; 05 shows what campaigns have done.",
    )
