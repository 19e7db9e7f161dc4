"""What customers did with mail, checkouts, surveys and contracts, in words: frame in, words out."""

import pandas as pd

from helpers.chapters.findings import nothing
from helpers.experiments import pooling
from helpers.measures.activation import FIRST_DAYS, SECOND_DAYS
from helpers.measures.funnels import WEIGHTS
from helpers.measures.metrics import Estimate
from helpers.measures.withheld import HELD
from helpers.show import Finding, count, days, label, percent, ratio
from helpers.summaries.contracts import ContractChurn
from helpers.written import Formatter, month_name

NO_TOUCHES = (
    "Nothing that was sent to customers is recorded, so it cannot be said how often they were "
    "touched, nor whether that tires them: touchpoints would say."
)
NO_MAILS = (
    "No e-mail is recorded as sent. A table touchpoints (customer_id, kind email, sent_at, "
    "campaign_id, step, delivered, opened, clicked, unsubscribed) turns this section on."
)
NO_SURVEYS = (
    "No answer to a survey is recorded. A table surveys (customer_id, kind nps or csat, score, "
    "answered_at) turns this section on."
)
NO_ACTIVATIONS = (
    "When a new customer first finds value is not recorded. A table activations (customer_id, step "
    "1 or 2, at) turns this section on; which event counts is the shop's to say."
)
NO_CARTS = (
    "No checkout is recorded that was started, so it cannot be said how many are left. A table "
    "carts (cart_id, started_at, cart_flow, recovered_order_id, customer_id) turns this section on."
)
NO_CONTRACTS = (
    "No contracts are recorded, so nobody can end one: here customers leave without a word, and "
    "the wait for the next order stands in for it. A table subscriptions (subscription_id, "
    "customer_id, started_at, ended_at) turns this section on."
)


def _between(low: float, high: float) -> str:
    return f"({percent(low, 1)} to {percent(high, 1)})"


def _differ(table: pd.DataFrame, name: str, low: str, high: str) -> bool:
    """Say whether figures with 95% intervals differ beyond chance: one test over all of them.

    That the intervals of the least and the most are apart says less: of many, two soon are, and of
    two that touch the difference is not by chance.
    """
    ses = (table[high] - table[low]) / (2 * 1.96)
    return bool(pooling.heterogeneity(table[name], ses)[2] < 0.05)


def mails(funnel: pd.DataFrame, money: Formatter) -> Finding:
    """Which share of delivered e-mails was clicked, by campaign and step."""
    if funnel.empty:
        return nothing(NO_MAILS)
    known = funnel.dropna(subset="clicked").sort_values(["clicked", "mail"])
    if known.empty:
        return nothing("Whether an e-mail was clicked is recorded for none of them.")
    low, high = known.iloc[0], known.iloc[-1]
    title = f"{percent(high['clicked'], 1)} of {high['mail']} were clicked"
    if len(known) > 1:
        apart = _differ(known, "clicked", "clicked_low", "clicked_high")
        title = f"{high['mail']} is clicked more than {low['mail']}" if apart else (
            "Clicks differ between e-mails by no more than chance"
        )  # fmt: skip
    said = (
        f"{label(high['mail'])} was clicked by {percent(high['clicked'], 1)} "
        f"{_between(high['clicked_low'], high['clicked_high'])} of {high['of']} messages"
    )
    if len(known) > 1:
        said += (
            f", {label(low['mail'])} by {percent(low['clicked'], 1)} "
            f"{_between(low['clicked_low'], low['clicked_high'])}"
        )
    left = funnel.dropna(subset="unsubscribed").sort_values(["unsubscribed", "mail"])
    if len(left):
        worst = left.iloc[-1]
        said += (
            f". Most left after {label(worst['mail'])}: {percent(worst['unsubscribed'], 1)} "
            f"{_between(worst['unsubscribed_low'], worst['unsubscribed_high'])}"
        )
    rich = funnel.dropna(subset=["revenue_each", "revenue_low"]).sort_values(
        ["revenue_each", "mail"]
    )
    if len(rich):
        most = rich.iloc[-1]
        said += (
            f". In the two weeks after {label(most['mail'])} its recipients brought "
            f"{money(most['revenue_each'])} per message ({money(most['revenue_low'])} to "
            f"{money(most['revenue_high'])}): last touch, a comparison and no effect"
        )
    return Finding(
        title[:90],
        f"Points with intervals of the share clicked by e-mail: {high['mail']} "
        f"{percent(high['clicked'], 1)}, {low['mail']} {percent(low['clicked'], 1)}.",
        f"{said}. Opens are counted by mail programs, too, and serve for diagnosis only.",
    )


def touches_sentence(touched: pd.DataFrame, each: pd.DataFrame, tired: pd.DataFrame) -> str:
    """Say how often customers were touched in the month, and whether more touches tire them."""
    if each.empty:
        return NO_TOUCHES
    said = "Nobody was sent anything this month."
    now = each.iloc[-1]
    if len(touched) and pd.isna(now["each"]):
        said = "Too few customers were sent something this month to say how often."
    elif len(touched):
        said = (
            f"{count(now['customers'])} customers were sent something this month, "
            f"{ratio(now['each'], 1)} touches each."
        )
    known = tired.dropna(subset="rate")
    known = known[~known["touches"].str.startswith(HELD)]
    if known.empty:
        return f"{said} Whether they unsubscribe is not recorded often enough to say."
    few, many = known.iloc[0], known.iloc[-1]
    said += (
        f" After {few['touches']} {_touches(few['touches'])} in thirty days "
        f"{percent(few['rate'], 1)} {_between(few['low'], few['high'])} of messages made somebody "
        "unsubscribe"
    )
    if len(known) == 1:
        return f"{said}; nothing with more touches is there to compare."
    said += (
        f", after {many['touches']} {_touches(many['touches'])} {percent(many['rate'], 1)} "
        f"{_between(many['low'], many['high'])}"
    )
    if many["rate"] > few["rate"] and _differ(known.iloc[[0, -1]], "rate", "low", "high"):
        return f"{said}: those touched more often leave more often, though they may be others, too."
    return f"{said}: no fatigue shows beyond chance."


def _touches(number: str) -> str:
    return "touch" if number == "1" else "touches"


def webinar_sentence(funnel: pd.DataFrame) -> str:
    """Say who of those invited to webinars came and bought, or what it would take to know."""
    known = funnel.dropna(subset="attendance")
    if known.empty:
        return (
            "No webinar is recorded. Touchpoints of the kind webinar, with attended, would show "
            "who comes and who buys after."
        )
    last = known.iloc[-1]
    said = (
        f"{percent(last['attendance'])} {_between(last['low'], last['high'])} of those invited to "
        f"{label(last['webinar'])} came."
    )
    if pd.isna(last["bought"]):
        return f"{said} Too few have lived the thirty days after it to say who buys."
    return (
        f"{said} {percent(last['bought'])} {_between(last['bought_low'], last['bought_high'])} of "
        f"those ordered in the thirty days after, {percent(last['bought_absent'])} of those who "
        "stayed away: they differ in more than the webinar."
    )


def engagement_sentence(engaged: pd.DataFrame) -> str:
    """Say which segment takes part most, with the weights of the score."""
    known = engaged.dropna(subset="score")
    weights = ", ".join(f"{name} {percent(weight, 0)}" for name, weight in WEIGHTS.items())
    if len(known) < 2:
        return "Fewer than two channels have responses to compare, so there is no engagement score."
    best, least = known.iloc[0], known.iloc[-1]
    apart = best["low"] > least["high"]
    return (
        f"{label(best['value'])} scores highest in engagement ({ratio(best['score'], 1)}, "
        f"{ratio(best['low'], 1)} to {ratio(best['high'], 1)}), {label(least['value'])} lowest "
        f"({ratio(least['score'], 1)}, {ratio(least['low'], 1)} to {ratio(least['high'], 1)})"
        f"{'' if apart else '; their intervals overlap'}. The score is a weighted mean of "
        f"standardized shares ({weights}; visits are in no table), for segments only."
    )


def satisfied(
    tiers: pd.DataFrame, every: pd.DataFrame, csat: pd.DataFrame, asked: Estimate
) -> Finding:
    """How likely customers are to recommend the shop, by what they have been worth."""
    if every.empty and csat.empty:
        return nothing(NO_SURVEYS)
    said = []
    for rows, name, fmt in ((every, "NPS", _points), (csat, "CSAT", percent)):
        for row in rows.dropna(subset="figure").itertuples():
            bounds = f" ({fmt(row.low)} to {fmt(row.high)})" if pd.notna(row.low) else ""
            said.append(f"{name} is {fmt(row.figure)}{bounds}, of {count(row.answers)} answers.")
    if not pd.isna(asked.value):
        said.append(
            f"{percent(asked.value)} {_between(asked.low, asked.high)} of requests were "
            "answered within thirty days."
        )
    else:
        said.append(f"What share answers cannot be said. {asked.reason}")
    known = tiers.dropna(subset=["figure", "low"]).sort_values("figure", kind="stable")
    if len(known) < 2:
        return nothing(" ".join(said) if said else "Too few customers answered to be shown.")
    low, high = known.iloc[0], known.iloc[-1]
    title = (
        f"The {high['value']} by revenue recommend the shop more than the {low['value']}"
        if _differ(known, "figure", "low", "high")
        else "Customers worth more and less recommend the shop alike"
    )
    return Finding(
        title[:90],
        f"Points with intervals of NPS by value tier: {high['value']} {_points(high['figure'])}, "
        f"{low['value']} {_points(low['figure'])}.",
        f"{' '.join(said)} Those who answer are not all: satisfied and angry ones answer first.",
    )


def _points(x: float) -> str:
    return count(x)


def value_found(curve: pd.DataFrame, table: pd.DataFrame) -> Finding:
    """How soon new customers reach their first and second value."""
    if curve.empty:
        return nothing(NO_ACTIVATIONS)
    rows = table.set_index("what")
    parts = []
    for name, day in (("First value", FIRST_DAYS), ("Second value", SECOND_DAYS)):
        row, half = rows.loc[f"{name} by day {day}"], rows.loc[f"{name}: median days"]
        if pd.isna(row["figure"]):
            continue
        within = f"half of them within {days(half['figure'])}"
        parts.append(
            f"{percent(row['figure'])} ({percent(row['low'])} to {percent(row['high'])}) reach the "
            f"{name.lower()} by day {day} and "
            f"{within if pd.notna(half['figure']) else half['reason'].lower().rstrip('.')}"
        )
    first = rows.loc[f"First value by day {FIRST_DAYS}"]
    if pd.isna(first["figure"]):
        return nothing(f"{first['reason']} So it cannot be said how soon they find value.")
    ends = curve.groupby("step")["share"].last()
    return Finding(
        f"{percent(first['figure'])} of new customers find value by day {FIRST_DAYS}",
        "Lines of the share of new customers who have reached a step, by days since the first "
        f"order: {', '.join(f'{name} {percent(end)}' for name, end in ends.items())} at the end.",
        f"Of all new customers {'; '.join(parts)}.",
    )


def checkouts(flows: pd.DataFrame) -> str:
    """Say which share of checkouts is left, by flow, and how many come back."""
    if flows.empty:
        return NO_CARTS
    known = flows.dropna(subset="abandonment").sort_values(["abandonment", "cart_flow"])
    if known.empty:
        return "Too few customers started a checkout to be shown."
    low, high = known.iloc[0], known.iloc[-1]
    said = (
        f"{percent(high['abandonment'], 1)} "
        f"{_between(high['abandonment_low'], high['abandonment_high'])} of "
        f"{label(high['cart_flow'])} checkouts are left for more than an hour"
    )
    if len(known) > 1:
        apart = _differ(known, "abandonment", "abandonment_low", "abandonment_high")
        further = (
            "a larger gap than chance makes" if apart else "alike, as far as chance lets us see"
        )
        said += (
            f", {percent(low['abandonment'], 1)} "
            f"{_between(low['abandonment_low'], low['abandonment_high'])} of "
            f"{label(low['cart_flow'])}: {further}"
        )
    ripe, back = flows["ripe"].sum(), flows["recovered"].sum()
    later = "None is old enough to say how many come back"
    if ripe > 0:
        later = (
            f"Of {count(ripe)} left thirty days ago or longer {percent(back / ripe)} became an "
            "order within thirty days"
        )
    return f"{said}. {later}. Flows are not drawn by lot, so who uses them differs, too."


def contract_churn(churn: pd.DataFrame, pooled: ContractChurn) -> Finding:
    """Which share of contracts ends in a month."""
    if churn.empty:
        return nothing(NO_CONTRACTS)
    rows = churn[churn["unit"] == "contracts"]
    known = rows.dropna(subset="churn")
    if known.empty:
        return nothing("Too few contracts ran at the start of any month to say how many end.")
    last = known.iloc[-1]
    now = month_name(last["start"])
    counted = rows["joined_and_left"].sum()
    return Finding(
        f"{percent(last['churn'], 1)} of contracts ended in {now}",
        f"Line with a band of the share of contracts ended by month; {now} "
        f"{percent(last['churn'], 1)} of {count(last['at_start'])}.",
        f"In {now} {count(last['ended'])} of {count(last['at_start'])} contracts ended: "
        f"{percent(last['churn'], 1)} {_between(last['low'], last['high'])}. Over the last twelve "
        f"months together it is {percent(pooled.rate, 1)} {_between(pooled.low, pooled.high)} "
        f"a month, which is {percent(pooled.yearly)} a year. Contracts that began and ended within "
        f"a month ({count(counted)} so far) are counted apart: no month's start saw them.",
    )


def share_sentence(shares: dict[str, Estimate]) -> str:
    """Say what share of new customers was referred, and belongs to the loyalty program."""
    names = {"referred": "were referred by another customer", "members": "are loyalty members"}
    said = []
    for key, words in names.items():
        found = shares[key]
        if pd.isna(found.value):
            said.append(f"How many {words} cannot be said. {found.reason}")
        else:
            said.append(
                f"{percent(found.value, 1)} {_between(found.low, found.high)} of new customers of "
                f"the last twelve months {words}."
            )
    return " ".join(said)
