"""What customers did with what they were sent, what they answered, and when they found value.

Touchpoints, surveys and activations to small tables, as Ibis expressions that any engine can say.
"""

from itertools import combinations

import ibis
from ibis.expr import types as ir

from helpers.summaries.arithmetic import exact, month_of, whole, with_products

TIERS = (("top 10%", 0.1), ("next 20%", 0.3), ("next 30%", 0.6), ("last 40%", 1.0))
# After a message revenue counts for two weeks, a webinar for a month; a survey may be answered as
# long; fatigue looks back as far.
REVENUE_DAYS, WEBINAR_DAYS, ANSWER_DAYS, FATIGUE_DAYS = 14, 30, 30, 30
FLAGS = ("opened", "clicked", "unsubscribed")
MOST_TOUCHES = 8


def value_tiers(days: ir.Table) -> ir.Table:
    """One row per customer: the tier of the revenue brought so far; equals share a tier."""
    worth = days.group_by("customer_id").aggregate(revenue=days.revenue.sum())
    place = ibis.rank().over(order_by=worth.revenue.desc())
    alike = worth.count().over(group_by=worth.revenue)
    share = (place + alike / 2) / worth.count().over(ibis.window())
    tier = ibis.cases(*((share <= edge, name) for name, edge in TIERS), else_=TIERS[-1][0])
    return worth.select("customer_id", tier=tier)


def order_worth(orders: ir.Table) -> ir.Table:
    """One row per order: buyer, when it was placed, and its revenue net of its own refunds."""
    sales, back = orders.filter(~orders.is_refund), orders.filter(orders.is_refund)
    sold = sales.group_by("order_id", "customer_id").aggregate(
        ordered_at=sales.ordered_at.min(), sold=sales.revenue.sum()
    )
    refunds = back.group_by(refunded="refund_of", payee="customer_id").aggregate(
        back=back.revenue.sum()
    )
    both = sold.left_join(
        refunds, [sold.order_id == refunds.refunded, sold.customer_id == refunds.payee]
    )
    return both.select("customer_id", "ordered_at", revenue=both.sold + both.back.fill_null(0))


def mails(touchpoints: ir.Table, orders: ir.Table, *, as_of: str) -> ir.Table:
    """Campaign by step of e-mail: sent, arrived, opened, clicked, unsubscribed, revenue after.

    ``arrived`` are messages delivered, or not known not to be; each ``..._known`` counts messages
    for which the answer was recorded. ``ripe`` messages are 14 days old by ``as_of``; ``revenue``
    is that of the orders their customers placed in these 14 days, but only up to the next e-mail
    (last touch), with ``revenue_squares`` summed over messages, and ``buyers`` counts the messages
    that any order followed. An order after a mail is not an order because of it. Orders that carry
    a day but no time count as placed at midnight, so none follows a mail of the same day. With the
    products of `arithmetic.with_products`, for a customer may have a step's mail more than once.
    """
    sent = touchpoints.filter(touchpoints.kind.lower() == "email")
    window = ibis.window(
        group_by=sent.customer_id, order_by=[sent.sent_at, sent.campaign_id, sent.step]
    )
    kept = ("customer_id", "campaign_id", "step", "sent_at", "sent_date", "delivered", *FLAGS)
    sent = sent.select(
        *kept, place=ibis.row_number().over(window), following=sent.sent_at.lead().over(window)
    )
    end = sent.sent_at + ibis.interval(days=REVENUE_DAYS)
    last = (sent.sent_date + ibis.interval(days=REVENUE_DAYS)).cast("date")
    sent = sent.mutate(
        until=ibis.least(sent.following.fill_null(end), end), ripe=last <= ibis.date(as_of)
    )
    worth = order_worth(orders).select(who="customer_id", at="ordered_at", revenue="revenue")
    after = sent.left_join(
        worth, [sent.customer_id == worth.who, sent.sent_at <= worth.at, worth.at < sent.until]
    )
    each = after.group_by(*kept, "place", "ripe").aggregate(
        revenue=after.revenue.sum().fill_null(0), orders=after["at"].count()
    )
    counted = (
        "sent", "arrived", "delivered_known", *FLAGS, *(f"{name}_known" for name in FLAGS), "ripe",
        "buyers",
    )  # fmt: skip
    money, none = exact(each.revenue), ibis.literal(0, "decimal(38, 0)")
    people = each.group_by("campaign_id", "step", "customer_id").aggregate(
        sent=each.count(),
        arrived=each.count(where=each.delivered.fill_null(True)),
        delivered_known=each.delivered.count(),
        **{name: each.count(where=each[name]) for name in FLAGS},
        **{f"{name}_known": each[name].count() for name in FLAGS},
        ripe=each.count(where=each.ripe), buyers=each.count(where=each.ripe & (each.orders > 0)),
        revenue=each.revenue.sum(where=each.ripe).fill_null(0),
        squares=(money * money).sum(where=each.ripe).fill_null(none),
        cubes=(money * money * money).sum(where=each.ripe).fill_null(none),
        first_day=each.sent_date.min(),
    )  # fmt: skip
    brought, ripe = (exact(people[name]) for name in ("revenue", "ripe"))
    return with_products(
        people, ("campaign_id", "step"), counted,
        [*((name, "arrived") for name in FLAGS), ("ripe", "ripe")],
        revenue=people.revenue.sum(),
        revenue_squares=people.squares.sum(), revenue_cubes=people.cubes.sum(),
        revenue_revenue=(brought * brought).sum(), revenue_ripe=(brought * ripe).sum(),
        first_day=people.first_day.min(),
    )  # fmt: skip


def touch_months(touchpoints: ir.Table) -> ir.Table:
    """Months by number of touches of any kind: how many customers had so many in the month."""
    rows = touchpoints.mutate(start=month_of(touchpoints.sent_date))
    each = rows.group_by("start", "customer_id").aggregate(touches=rows.count())
    return each.group_by("start", "touches").aggregate(customers=each.count())


def fatigue(touchpoints: ir.Table) -> ir.Table:
    """E-mails by the touches that their customer had had in 30 days: messages, unsubscribed.

    ``touches`` counts the message itself and everything sent to the customer in the 30 days up to
    it (8 stands for 8 or more); messages for which unsubscribing was not recorded are left out.
    With the products of `arithmetic.with_products`.
    """
    mail = touchpoints.kind.lower() == "email"
    known = mail & touchpoints.unsubscribed.notnull()
    moments = touchpoints.group_by("customer_id", "sent_at", "sent_date").aggregate(
        touches=touchpoints.count(), messages=touchpoints.count(where=known),
        unsubscribed=touchpoints.count(where=known & touchpoints.unsubscribed),
    )  # fmt: skip
    before = moments.select(who="customer_id", moment="sent_at", day="sent_date", had="touches")
    sent = moments.filter(moments.messages > 0)
    pairs = sent.join(before, [sent.customer_id == before.who, before.moment <= sent.sent_at])
    near = pairs.sent_date.delta(pairs.day, unit="day") < FATIGUE_DAYS
    pairs = pairs.filter(near)
    each = pairs.group_by("customer_id", "sent_at", "messages", "unsubscribed").aggregate(
        touches=ibis.least(pairs.had.sum(), MOST_TOUCHES)
    )
    counts = ("messages", "unsubscribed")
    people = each.group_by("touches", "customer_id").aggregate(
        **{name: whole(each[name]) for name in counts}
    )
    return with_products(people, ["touches"], counts, [("unsubscribed", "messages")])


def webinars(touchpoints: ir.Table, days: ir.Table, *, as_of: str) -> ir.Table:
    """Webinars: customers invited, attended, and who ordered in the 30 days after.

    ``ripe_attended`` and ``ripe_absent`` are those whose 30 days were over by ``as_of``, and
    ``bought_attended`` and ``bought_absent`` those of them with an order from the day after on.
    Those who attend differ from those who do not: the difference is no effect.
    """
    rows = touchpoints.filter(touchpoints.kind.lower() == "webinar")
    each = rows.group_by("campaign_id", "customer_id").aggregate(
        day=rows.sent_date.max(), attended=rows.attended.any().fill_null(False)
    )
    bought = days.filter(days.orders > 0).select(who="customer_id", bought="day")
    end = (each.day + ibis.interval(days=WEBINAR_DAYS)).cast("date")
    each = each.mutate(end=end, ripe=end <= ibis.date(as_of))
    after = each.left_join(
        bought,
        [each.customer_id == bought.who, bought.bought > each.day, bought.bought <= each.end],
    )
    person = after.group_by("campaign_id", "customer_id", "attended", "ripe").aggregate(
        buyer=after.bought.count() > 0
    )
    there, away = person.ripe & person.attended, person.ripe & ~person.attended
    return person.group_by("campaign_id").aggregate(
        invited=person.count(), attended=person.count(where=person.attended),
        ripe_attended=person.count(where=there), ripe_absent=person.count(where=away),
        bought_attended=person.count(where=there & person.buyer),
        bought_absent=person.count(where=away & person.buyer),
    )  # fmt: skip


def engagement(touchpoints: ir.Table, facts: ir.Table, days: ir.Table) -> ir.Table:
    """Channels and value tiers: customers reached, and what they did with what they were sent.

    ``arrived``, ``opened`` and ``clicked`` are of e-mails, ``asked`` and ``attended`` of webinars
    and calls whose attendance is known. A customer without an order has no channel or tier. With
    the products of all of these by `arithmetic.with_products`, for a customer gives all of them.
    """
    people = facts.filter(facts.cohort_day.notnull()).select("customer_id", "channel")
    people = people.join(value_tiers(days), "customer_id")
    rows = touchpoints.join(people, "customer_id")
    kind = rows.kind.lower()
    mail, live = kind == "email", kind.isin(("webinar", "call"))
    each = rows.group_by("customer_id", "channel", "tier").aggregate(
        arrived=rows.count(where=mail & rows.delivered.fill_null(True)),
        opened_known=rows.opened.count(where=mail),
        opened=rows.count(where=mail & rows.opened),
        clicked_known=rows.clicked.count(where=mail),
        clicked=rows.count(where=mail & rows.clicked),
        asked=rows.attended.count(where=live),
        attended=rows.count(where=live & rows.attended),
    )
    counts = [name for name, kind in each.schema().items() if kind.is_integer()]
    pairs = list(combinations(("opened", "clicked", "attended", "arrived", "asked"), 2))
    parts = (
        with_products(each.mutate(value=each[name]), ["value"], counts, pairs)
        .mutate(dimension=ibis.literal(name))
        for name in ("channel", "tier")
    )  # fmt: skip
    return ibis.union(*parts, distinct=False)


def survey_answers(surveys: ir.Table, days: ir.Table) -> ir.Table:
    """Surveys in all, by month and by value tier: answers, customers, and what they said.

    Of nps (0 to 10): promoters gave 9 or 10, detractors 0 to 6. Of csat (1 to 5): ``satisfied``
    gave 4 or 5. ``balance`` is promoters less detractors. ``unusable`` answers lie outside the
    scale and count for nothing else. The tier is that of the customer's revenue by the month's end;
    without an order it is "no order". With the products of `arithmetic.with_products`.
    """
    kind = surveys.kind.lower()
    nps, csat = kind == "nps", kind == "csat"
    rows = surveys.filter(nps | csat).mutate(kind=kind)
    rows = rows.left_join(value_tiers(days), "customer_id").drop("customer_id_right")
    score, of_nps = rows.score, rows.kind == "nps"
    usable = ibis.ifelse(of_nps, score.between(0, 10), score.between(1, 5)).fill_null(False)
    rows = rows.mutate(usable=usable, tier=rows.tier.fill_null("no order"))
    marked = rows.mutate(
        promoter=usable & of_nps & (score >= 9), detractor=usable & of_nps & (score <= 6),
        satisfied=usable & ~of_nps & (score >= 4),
    )  # fmt: skip
    day, none = month_of(marked.answered_date), ibis.null("date")
    dimensions = {"all": (ibis.literal("all"), none), "month": (ibis.literal("month"), day)}
    dimensions["tier"] = (marked.tier, none)
    keys, parts = ("kind", "value", "start"), []
    for dimension, (value, start) in dimensions.items():
        tagged = marked.mutate(value=value, start=start)
        each = tagged.group_by(*keys, "customer_id").aggregate(
            answers=tagged.count(where=tagged.usable),
            unusable=tagged.count(where=~tagged.usable),
            promoters=tagged.count(where=tagged.promoter),
            detractors=tagged.count(where=tagged.detractor),
            satisfied=tagged.count(where=tagged.satisfied),
        )
        each = each.mutate(balance=each.promoters - each.detractors)
        pairs = [("balance", "answers"), ("satisfied", "answers")]
        answered = each.count(where=each.answers > 0)
        counts = [name for name, kind in each.schema().items() if kind.is_integer()]
        found = with_products(each, keys, counts, pairs, customers=answered)
        parts.append(found.mutate(dimension=ibis.literal(dimension)))
    return ibis.union(*parts, distinct=False)


def survey_requests(surveys: ir.Table, touchpoints: ir.Table, *, as_of: str) -> ir.Table:
    """One row: requests to answer a survey (touchpoints of kind survey), and how many were met.

    ``ripe`` requests are 30 days old or more by ``as_of``; ``answered`` are those of them with any
    answer of the customer from the day of the request to the 30th day after it. With the products
    of `arithmetic.with_products`.
    """
    asked = touchpoints.filter(touchpoints.kind.lower() == "survey")
    asked = asked.select("customer_id", "sent_date").distinct()
    told = surveys.select(who="customer_id", day="answered_date").distinct()
    end = (asked.sent_date + ibis.interval(days=ANSWER_DAYS)).cast("date")
    asked = asked.mutate(end=end, ripe=end <= ibis.date(as_of))
    pairs = asked.left_join(
        told, [asked.customer_id == told.who, told.day >= asked.sent_date, told.day <= asked.end]
    )
    each = pairs.group_by("customer_id", "sent_date", "ripe").aggregate(met=pairs.day.count() > 0)
    people = each.group_by("customer_id").aggregate(
        requests=each.count(), ripe=each.count(where=each.ripe),
        answered=each.count(where=each.ripe & each.met),
    )  # fmt: skip
    counts = ("requests", "ripe", "answered")
    return with_products(people, (), counts, [("answered", "ripe")])


def activation_waits(activations: ir.Table, facts: ir.Table, *, as_of: str) -> ir.Table:
    """Cohorts by step (1, 2): days from the first order to the step, or seen without it: how many.

    ``event`` says that the step was reached; a step before the first order takes 0 days. Cohorts
    are months of first order from the month of the first activation on: earlier ones could not be
    seen to find value.
    """
    begun = activations.aggregate(begun=month_of(activations.date.min()))
    new = facts.filter(facts.cohort_day.notnull()).select("customer_id", "cohort_day")
    new = new.cross_join(begun).filter(lambda t: t.cohort_day >= t.begun).drop("begun")
    parts = []
    for step in (1, 2):
        done = activations.filter(activations.step == step)
        done = done.group_by(who=done.customer_id).aggregate(reached=done.date.min())
        rows = new.left_join(done, new.customer_id == done.who)
        waited = rows.reached.fill_null(ibis.date(as_of)).delta(rows.cohort_day, unit="day")
        rows = rows.mutate(
            start=month_of(rows.cohort_day), days=ibis.greatest(waited, 0),
            event=rows.reached.notnull(),
        )  # fmt: skip
        found = rows.group_by("start", "days", "event").aggregate(n=rows.count())
        parts.append(found.mutate(step=ibis.literal(step, "int64")))
    return ibis.union(*parts, distinct=False)
