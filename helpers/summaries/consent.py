"""Consent as of the moment that matters, how far it reaches, and what was sent without it.

Figures about the shop's own sales count all customers; only what is sent to a person, or computed
about one for marketing, needs that person's consent.
"""

from collections.abc import Callable

import ibis
import numpy as np
import pandas as pd
from ibis.expr import types as ir

from helpers.measures.metrics import mean_interval
from helpers.measures.withheld import withhold
from helpers.show import count, label, percent
from helpers.summaries.arithmetic import exact

# Which purposes of consent cover what is sent. A kind that is not named needs none of these: what
# a customer sees inside the shop, or signed up for.
PURPOSES = {
    "email": ("email_marketing", "email", "newsletter", "marketing"),
    "sms": ("sms_marketing", "sms", "marketing"),
    "push": ("push_marketing", "push", "marketing"),
    "call": ("phone_marketing", "phone", "call", "marketing"),
}
STATES = ("granted", "withdrawn", "no record")


# -- expressions ----------------------------------------------------------------------------------


def _last(changes: ir.Table, *by: str) -> ir.Table:
    """Keep the last change of each group; at the same moment a withdrawal wins."""
    granted = (changes.state.lower() == "granted").cast("int64")
    window = ibis.window(group_by=list(by), order_by=[changes.at.desc(), granted])
    return changes.mutate(place=ibis.row_number().over(window)).filter(lambda t: t.place == 0)


def _state(state: ir.Column) -> ir.Column:
    """Say granted or withdrawn: any word but granted is not a consent."""
    return ibis.ifelse(state.lower() == "granted", "granted", "withdrawn")


def as_of(consents: ir.Table, on: object) -> ir.Table:
    """One row per customer and purpose: the state after the last change up to the day ``on``.

    ``on`` is a local day (``2026-06-30`` or a date), included. A customer without a change up to
    that day has no row.
    """
    day = ibis.date(on) if isinstance(on, str) else ibis.literal(on, "date")
    known = _last(consents.filter(consents.date <= day), "customer_id", "purpose")
    return known.select("customer_id", "purpose", state=_state(known.state))


def at_events(
    consents: ir.Table, events: ir.Table, at_column: str, *, purposes: tuple[str, ...]
) -> ir.Table:
    """Add ``consent`` to events of customers: granted, withdrawn, or no record, at each event.

    The last change for any of ``purposes`` up to the event decides. ``at_column`` is a moment, or
    a day: at a moment a change later on the same day does not count yet, so that a customer who
    unsubscribes by a mail had still consented to it; at a day it does.
    """
    by_day = events[at_column].type().is_date()
    known = consents.filter(consents.purpose.lower().isin(purposes))
    known = known.select(who="customer_id", at="at", changed="date" if by_day else "at",
                         state="state")  # fmt: skip
    moments = events.select("customer_id", moment=events[at_column]).distinct()
    before = moments.join(
        known, [moments.customer_id == known.who, known.changed <= moments.moment]
    )
    last = _last(before, "customer_id", "moment")
    last = last.select(who="customer_id", moment="moment", consent=_state(last.state))
    joined = events.left_join(
        last, [events.customer_id == last.who, events[at_column] == last.moment]
    )
    return joined.select(*events.columns, consent=joined.consent.fill_null("no record"))


def consent_coverage(
    consents: ir.Table, facts: ir.Table, days: ir.Table, *, as_of: str
) -> ir.Table:
    """Purpose by channel and state at the month's end: customers, their orders and revenue.

    Customers are those with an order. ``state`` is granted, withdrawn or no record; squares of
    orders and revenue are sums over customers, for intervals.
    """
    worth = days.group_by("customer_id").aggregate(
        orders=days.orders.sum(), revenue=days.revenue.sum()
    )
    bought = facts.filter(facts.cohort_day.notnull()).select("customer_id", "channel")
    people = bought.join(worth, "customer_id")
    purposes = consents.select("purpose").distinct()
    pairs = people.cross_join(purposes)
    current = _as_of(consents, as_of)
    joined = pairs.left_join(
        current,
        [pairs.customer_id == current.customer_id, pairs.purpose == current.purpose],
    )
    rows = joined.select(
        "purpose", "channel", "orders", "revenue", state=joined.state.fill_null("no record")
    )
    sums = {name: exact(rows[name]) for name in ("orders", "revenue")}
    return rows.group_by("purpose", "channel", "state").aggregate(
        customers=rows.count(), orders=rows.orders.sum(), revenue=rows.revenue.sum(),
        order_number_squares=(sums["orders"] * sums["orders"]).sum(),
        revenue_squares=(sums["revenue"] * sums["revenue"]).sum(),
    )  # fmt: skip


# The option of a summary is called as_of, too.
_as_of = as_of


def sent_without_consent(consents: ir.Table, touchpoints: ir.Table) -> ir.Table:
    """Kind by campaign: messages and customers, and messages by consent when they were sent.

    Only kinds that need a consent (``PURPOSES``); a campaign without a name is missing.
    ``customers_without`` are distinct customers with a message that they had not consented to.
    """
    parts = []
    for kind, purposes in PURPOSES.items():
        sent = touchpoints.filter(touchpoints.kind.lower() == kind)
        sent = sent.select("customer_id", "campaign_id", "sent_at", kind=ibis.literal(kind))
        parts.append(at_events(consents, sent, "sent_at", purposes=purposes))
    rows = ibis.union(*parts, distinct=False)
    return rows.group_by("kind", "campaign_id").aggregate(
        messages=rows.count(), customers=rows.customer_id.nunique(),
        granted=rows.count(where=rows.consent == "granted"),
        withdrawn=rows.count(where=rows.consent == "withdrawn"),
        no_record=rows.count(where=rows.consent == "no record"),
        customers_without=rows.customer_id.nunique(where=rows.consent != "granted"),
    )  # fmt: skip


# -- frames ---------------------------------------------------------------------------------------


def by_channel(coverage: pd.DataFrame, purpose: str, *, least: int) -> pd.DataFrame:
    """Give customers with an order by acquisition channel, for one purpose, largest first.

    Columns: channel, customers, granted, withdrawn, no_record, share (granted / customers); small
    channels stand together (`helpers.measures.withheld`).
    """
    wide = _wide(coverage[coverage["purpose"] == purpose], "channel")
    shown = withhold(wide, persons=_PEOPLE, sums=[], key="channel", least=least)
    return shown.assign(share=shown["granted"] / shown["customers"])


_PEOPLE = ["customers", "granted", "withdrawn", "no_record"]


def _wide(rows: pd.DataFrame, key: str) -> pd.DataFrame:
    wide = rows.pivot_table(index=key, columns="state", values="customers", aggfunc="sum")
    wide = wide.reindex(columns=STATES).fillna(0).astype("int64")
    wide.columns = _PEOPLE[1:]
    wide.insert(0, "customers", wide.sum(axis=1))
    wide = wide.assign(share=wide["granted"] / wide["customers"]).reset_index()
    return wide.sort_values(["customers", key], ascending=[False, True], ignore_index=True)


def bias(coverage: pd.DataFrame, purpose: str) -> pd.DataFrame:
    """Give customers who consented beside the others: orders and revenue per customer.

    One row each: group, customers, orders_each, orders_low, orders_high, revenue_each,
    revenue_low, revenue_high (95%, Student's t from sums of squares).
    """
    rows = coverage[coverage["purpose"] == purpose]
    group = np.where(rows["state"] == "granted", "consented", "not consented")
    sums = rows.groupby(group)[
        ["customers", "orders", "revenue", "order_number_squares", "revenue_squares"]
    ].sum()
    table = sums[["customers"]].copy()
    squares = {"orders": "order_number_squares", "revenue": "revenue_squares"}
    for name, square in squares.items():
        found = mean_interval(
            *(sums[column].astype(float) for column in (name, square)), sums["customers"]
        )
        for end, values in zip(("each", "low", "high"), (found.value, found.low, found.high),
                               strict=True):  # fmt: skip
            table[f"{name}_{end}"] = values
    return table.rename_axis("group").reset_index()


def sent(frame: pd.DataFrame, *, least: int) -> pd.DataFrame:
    """Give what was sent to customers who had not consented, by kind and campaign.

    Columns: campaign, kind, messages, without (messages without a granted consent at the moment of
    sending), customers_without, share (without / messages). Campaigns with none are left out; a
    kind of which no consent was ever recorded is not judged.
    """
    rows = _judged(frame)
    rows = rows.assign(
        campaign=rows["campaign_id"].fillna("not named"),
        without=rows["messages"] - rows["granted"],
    )
    columns = ["campaign", "kind", "messages", "without", "customers_without"]
    table = rows.loc[rows["without"] > 0, columns].sort_values(
        ["without", "campaign", "kind"], ascending=[False, True, True], ignore_index=True
    )
    shown = withhold(
        table, persons="customers_without", sums=["messages", "without"], key="campaign",
        least=least,
    )  # fmt: skip
    return shown.assign(share=shown["without"] / shown["messages"])


def _judged(frame: pd.DataFrame) -> pd.DataFrame:
    recorded = frame.loc[frame["granted"] + frame["withdrawn"] > 0, "kind"].unique()
    return frame[frame["kind"].isin(recorded)]


def coverage_sentence(coverage: pd.DataFrame, money: Callable[..., str], *, least: int) -> str:
    """Say for the widest purpose who consented, and how those differ from the others."""
    if coverage.empty:
        return (
            "No consent is recorded, so nobody may be written to on the strength of these files. A "
            "table consents (customer_id, purpose, state, at) turns this section on."
        )
    purpose = main_purpose(coverage)
    table = bias(coverage, purpose).set_index("group")
    every = table["customers"].sum()
    granted = table["customers"].get("consented", 0)
    name = label(purpose.replace("_", " "))
    if min(granted, every - granted) < least:
        who = "Nearly all" if granted > every / 2 else "Hardly any"
        return f"{who} customers have consented to {name}: too few differ to be compared."
    yes, no = table.loc["consented"], table.loc["not consented"]
    apart = yes["revenue_low"] > no["revenue_high"] or no["revenue_low"] > yes["revenue_high"]
    verdict = (
        "What is learned from those who consented does not hold for all"
        if apart
        else "Their intervals overlap, so no bias of those who consented shows"
    )
    return (
        f"{percent(granted / every)} of {count(every)} customers have consented to {name}. They "
        f"placed {yes['orders_each']:.2f} orders each and brought {money(yes['revenue_each'])} "
        f"({money(yes['revenue_low'])} to {money(yes['revenue_high'])}); the others "
        f"{no['orders_each']:.2f} and {money(no['revenue_each'])} ({money(no['revenue_low'])} to "
        f"{money(no['revenue_high'])}). {verdict}. Longer-known customers have had more time both "
        "to buy and to withdraw."
    )


def main_purpose(coverage: pd.DataFrame) -> str:
    """Name the purpose that the most customers have a record of."""
    known = coverage[coverage["state"] != "no record"].groupby("purpose")["customers"].sum()
    return str(known.sort_index().idxmax()) if len(known) else str(coverage["purpose"].min())


def sent_sentence(frame: pd.DataFrame, *, least: int = 1) -> str:
    """Say how many messages went to customers who had not consented when they were sent.

    Fewer than ``least`` are said to be few: their number would be about persons.
    """
    if frame.empty:
        return "Nothing that needs a consent was recorded as sent."
    rows = _judged(frame)
    if rows.empty:
        return "No consent is recorded for what was sent, so it cannot be judged."
    every, good = rows["messages"].sum(), rows["granted"].sum()
    if every == good:
        return f"All {count(every)} messages went to customers who had consented when they left."
    if every - good < least:
        return f"Few of {count(every)} messages went to customers without a granted consent."
    return (
        f"{count(every - good)} of {count(every)} messages ({percent((every - good) / every)}) "
        f"went to customers without a granted consent at that moment: "
        f"{count(rows['withdrawn'].sum())} after a withdrawal, "
        f"{count(rows['no_record'].sum())} without any record. Consent to e-mail covers what "
        "is sent by e-mail, and so for text messages, push and calls; other kinds need none here."
    )


# NOIMPORT
