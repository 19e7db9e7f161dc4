"""Summaries of how customers behave: ranks, states, products that go together, onboarding.

Ibis expressions; money is in whole minor units. Summaries hold facts only.
"""

import ibis
from ibis.expr import types as ir

from helpers.summaries.arithmetic import every_month, exact, month_number
from helpers.summaries.days import purchase_days

CLASSES = 5
# A customer is active for twice their own cadence, cooling to four times, dormant from then on.
ACTIVE, DORMANT = 2, 4
# Affinity looks at the largest items only, in the year up to the month's end.
ITEMS, AFFINITY_DAYS, MOST_BREADTH = 25, 365, 8
NEXT_DAYS = 180
ACTIVATION_DAYS, LATER_DAYS, FLOW_DAYS = 14, 180, 60


def rfm_cells(days: ir.Table, *, as_of: str) -> ir.Table:
    """Customers by rank of recency, frequency and money: how many, and what they brought.

    Ranks run from 1 (low) in fifths, by the middle of the places that customers alike in a figure
    take up; ranks that would be empty are closed up. ``frequency`` 1 are those with one purchase
    day, the others are ranked among themselves; ``money`` is the revenue of purchase days.
    ``idle_days`` is the sum of days since the last purchase, ``purchases`` of purchase days.
    """
    bought = purchase_days(days)
    each = bought.group_by("customer_id").aggregate(
        purchases=bought.count(), last=bought.day.max(), first=bought.day.min(),
        revenue=bought.revenue.sum(), margin=bought.margin.sum(),
    )  # fmt: skip
    each = each.mutate(
        idle=ibis.date(as_of).delta(each["last"], unit="day"), repeat=each.purchases > 1
    )
    ranked = _ranked(each, "recency", -each.idle)
    ranked = _ranked(ranked, "money", ranked.revenue)
    ranked = _ranked(ranked, "often", ranked.purchases, within="repeat")
    ranked = ranked.mutate(frequency=ibis.ifelse(ranked.repeat, ranked.often + 1, 1))
    return ranked.group_by("recency", "frequency", "money").aggregate(
        customers=ranked.count(), revenue=ranked.revenue.sum(), margin=ranked.margin.sum(),
        purchases=ranked.purchases.sum(), idle_days=ranked.idle.sum(),
    )  # fmt: skip


def _ranked(each: ir.Table, name: str, by: ir.Value, within: str | None = None) -> ir.Table:
    """Add a rank in fifths by the middle of those who are alike, without empty ranks.

    Ranks are of amounts, which are fewer than customers: these are not put in order.
    """
    groups = [] if within is None else [within]
    each = each.mutate(_by=by)
    amounts = each.group_by(*groups, "_by").aggregate(alike=each.count())
    up_to = ibis.cumulative_window(group_by=groups, order_by=amounts._by)
    below = amounts.alike.sum().over(up_to) - amounts.alike
    size = amounts.alike.sum().over(ibis.window(group_by=groups))
    # Whole numbers, so that every engine cuts at the same place.
    fifth = ((2 * below + amounts.alike) * CLASSES) // (2 * size)
    amounts = amounts.mutate(_fifth=fifth.cast("int64"))
    dense = ibis.dense_rank().over(ibis.window(group_by=groups, order_by=amounts._fifth))
    amounts = amounts.select(*groups, "_by", **{name: (dense + 1).cast("int64")})
    return each.join(amounts, [*groups, "_by"]).drop("_by")


def state_moves(days: ir.Table, *, as_of: str) -> ir.Table:
    """Months by state of customers at its end and at the end of the month before: how many.

    A customer's cadence is the mean of their own gaps between purchase days so far and one gap
    of the shop's mean length (so that a first gap does not decide alone; 30 days where the shop has
    none), rounded down to whole days, at least one. At a month's end a customer is 'new' in the
    month of the first purchase, 'active' within ACTIVE cadences of the last one, 'cooling' within
    DORMANT, then 'dormant'; 'reactivated' in a month with a purchase that ended a dormant wait.
    ``before`` is missing in the month of joining. Months without any purchase of the shop count,
    too.
    """
    bought = purchase_days(days).select(
        "customer_id", "day", "next_purchase", first="first_day", number="purchase_number"
    )
    typical = bought.aggregate(
        days=bought.next_purchase.delta(bought.day, unit="day").sum(),
        gaps=bought.next_purchase.count().nullif(0),
    )
    # In whole days, rounded by whole numbers, at least one: alike on every engine.
    typical = typical.select(
        typical=ibis.greatest(
            ((2 * typical.days + typical.gaps) // (2 * typical.gaps)).cast("int64").fill_null(30), 1
        )
    )
    each = ibis.window(group_by=bought.customer_id, order_by=bought.day)
    steps = bought.mutate(back=bought.day.lag().over(each)).cross_join(typical)
    known = _cadence(steps, steps.back, steps.number - 2)
    gap = steps.day.delta(steps.back, unit="day")
    steps = steps.mutate(woken=(gap > DORMANT * known).fill_null(False))
    last = month_number(ibis.date(as_of))
    cells = _month_cells(steps, last)
    months = every_month(cells, cells.of.min(), last)
    rows = cells.cross_join(months)
    rows = rows.filter((rows.of <= rows.number) & (rows.number < rows.until))
    is_first = rows.number == rows.of
    rows = rows.mutate(
        state=ibis.ifelse(is_first, rows.begun, _waiting(rows, rows.number)),
        before=ibis.cases(
            (is_first, rows.ended), (rows.number - 1 == rows.of, rows.begun),
            else_=_waiting(rows, rows.number - 1),
        ),
    )  # fmt: skip
    return rows.group_by("month", "before", "state").aggregate(
        customers=rows.customers.sum().cast("int64")
    )


def _cadence(steps: ir.Table, day: ir.Value, gaps: ir.Value) -> ir.Value:
    """Days between purchases so far: the mean of so many own gaps and one of the shop's."""
    so_far = day.delta(steps["first"], unit="day").cast("int64")
    return ibis.greatest((so_far + steps.typical) // (gaps + 1), 1)


def _waiting(rows: ir.Table, month: ir.Value) -> ir.Value:
    """The state at the end of a month that brought no purchase."""
    return ibis.cases(
        (month <= rows.active, "active"), (month <= rows.cooling, "cooling"), else_="dormant"
    )


def _month_cells(steps: ir.Table, last: ir.IntegerValue) -> ir.Table:
    """Count customers alike from one month with a purchase to the next: states follow from these.

    ``of`` is the month's number and ``until`` that of the next month with a purchase (after the
    last one: of the month after all), ``active`` and ``cooling`` the last months at whose end
    they still are, ``begun`` the state at the end of this month, ``ended`` at that before it.
    """
    steps = steps.mutate(of=month_number(steps.day), to=month_number(steps.next_purchase))
    months = steps.group_by("customer_id", "of").aggregate(
        day=steps.day.max(), number=steps.number.max(), first=steps["first"].min(),
        woke=steps.woken.any(), typical=steps.typical.max(),
        to=steps.to.max(where=steps.to > steps.of),
    )  # fmt: skip
    cadence = _cadence(months, months.day, months.number - 1)
    months = months.mutate(
        until=months.to.fill_null(last + 1),
        # A month's end is within a wait where the day after it is.
        **{
            state: month_number((months.day + (waits * cadence + 1).as_interval("D")).cast("date"))
            - 1
            for state, waits in (("active", ACTIVE), ("cooling", DORMANT))
        },
    )
    begun = ibis.cases(
        (month_number(months["first"]) == months.of, "new"), (months.woke, "reactivated"),
        else_=_waiting(months, months.of),
    )  # fmt: skip
    months = months.mutate(begun=begun)
    at_end = ibis.ifelse(
        months.until - 1 == months.of, months.begun, _waiting(months, months.until - 1)
    )
    months = months.mutate(at_end=at_end)
    each = ibis.window(group_by=months.customer_id, order_by=months.of)
    months = months.mutate(
        ended=months.at_end.lag().over(each),
        active=ibis.least(months.active, months.until),
        cooling=ibis.least(months.cooling, months.until),
    )
    keys = ["of", "until", "active", "cooling", "begun", "ended"]
    return months.group_by(keys).aggregate(customers=months.count())


def product_pairs(orders: ir.Table, *, as_of: str) -> ir.Table:
    """Pairs of products, and of categories, by how many different ones their buyers bought.

    Of the year up to ``as_of``, the ITEMS products (categories) with most customers. One row per
    level, breadth (different items of these that a customer bought, MOST_BREADTH or more as one)
    and pair: the customers with both, and the margin and revenue that the two items brought from
    them. A row with ``other`` missing counts the customers of one item, and one with ``item``
    missing, too, all customers of that breadth. Of lines with revenue that are products; refunds
    are not counted, and a margin that is not known counts as 0.
    """
    parts = []
    since = (ibis.date(as_of) - ibis.interval(days=AFFINITY_DAYS)).cast("date")
    lines = orders.filter(~orders.is_refund & orders.line_kind.isnull() & (orders.revenue > 0))
    lines = lines.filter(lines.order_date > since)
    for level, column in (("category", "category"), ("product", "product_id")):
        sold = lines.filter(lines[column].notnull())
        each = sold.group_by("customer_id", item=sold[column]).aggregate(
            revenue=sold.revenue.sum(), margin=sold.margin.sum().fill_null(0)
        )
        sizes = each.group_by(kept=each.item).aggregate(n=each.count())
        order = ibis.window(order_by=[sizes.n.desc(), sizes.kept])
        sizes = sizes.mutate(place=ibis.row_number().over(order))
        kept = sizes.filter(sizes.place < ITEMS).select("kept")
        each = each.semi_join(kept, each.item == kept.kept)
        parts += [part.mutate(level=ibis.literal(level)) for part in _pairs(each)]
    return ibis.union(*parts, distinct=False)


def _pairs(each: ir.Table) -> list[ir.Table]:
    """Count customers of each breadth, of items, and of pairs in the order of their names."""
    breadth = each.count().over(ibis.window(group_by=each.customer_id))
    each = each.mutate(breadth=ibis.least(breadth, MOST_BREADTH))
    names = ("breadth", "item", "other", "customers", "revenue", "margin")
    # A customer stands once for each item, so all of a breadth are counted by distinct ids.
    every = each.group_by("breadth").aggregate(
        customers=each.customer_id.nunique(), revenue=each.revenue.sum(), margin=each.margin.sum(),
        item=ibis.null("string"), other=ibis.null("string"),
    )  # fmt: skip
    single = each.group_by("breadth", "item").aggregate(
        customers=each.count(), revenue=each.revenue.sum(), margin=each.margin.sum(),
        other=ibis.null("string"),
    )  # fmt: skip
    second = each.select(
        who="customer_id", other="item", other_revenue="revenue", other_margin="margin"
    )
    both = each.join(second, [each.customer_id == second.who, each.item < second.other])
    both = both.group_by("breadth", "item", "other").aggregate(
        customers=both.count(), revenue=(both.revenue + both.other_revenue).sum(),
        margin=(both.margin + both.other_margin).sum(),
    )  # fmt: skip
    return [part.select(*names) for part in (every, single, both)]


def next_items(days: ir.Table, orders: ir.Table, segments: ir.Table, *, as_of: str) -> ir.Table:
    """First category by the category of the second purchase: how many customers.

    Of customers seen for NEXT_DAYS days or more since the first purchase; ``then`` is the
    category with the most revenue on the second purchase day (the first by name among equals,
    'unknown' where none is named), missing where none came within NEXT_DAYS days.
    """
    bought = purchase_days(days)
    first = bought.filter(bought.day == bought.first_day)
    first = first.select("customer_id", "day", following="next_purchase")
    seen = (first.day + ibis.interval(days=NEXT_DAYS)).cast("date")
    first = first.mutate(in_time=first.following <= seen).filter(seen <= ibis.date(as_of))
    first = first.join(segments.select("customer_id", "first_category"), "customer_id")
    goods = orders.filter(~orders.is_refund & orders.line_kind.isnull() & orders.category.notnull())
    second = first.filter(first.in_time).select("customer_id", "following")
    sold = goods.join(second, [
        goods.customer_id == second.customer_id, goods.order_date == second.following,
    ])  # fmt: skip
    sums = sold.group_by("customer_id", "category").aggregate(money=sold.revenue.sum())
    best = ibis.window(group_by=sums.customer_id, order_by=[sums.money.desc(), sums.category])
    sums = sums.mutate(place=ibis.row_number().over(best))
    then = sums.filter(sums.place == 0).select("customer_id", then="category")
    joined = first.left_join(then, "customer_id").drop("customer_id_right")
    again = ibis.cases((joined.in_time, joined.then.fill_null("unknown")))
    joined = joined.mutate(then=again)
    return joined.group_by("first_category", "then").aggregate(customers=joined.count())


def touch_calendar(touchpoints: ir.Table, facts: ir.Table) -> ir.Table:
    """Days since the first order by campaign, step and kind: customers reached, and what they did.

    From the day of the first order to FLOW_DAYS later. ``delivered``, ``opened`` and ``clicked``
    count messages of which that is known.
    """
    new = facts.filter(facts.cohort_day.notnull()).select("customer_id", "cohort_day")
    sent = touchpoints.join(new, "customer_id")
    days = sent.sent_date.delta(sent.cohort_day, unit="day").cast("int64")
    sent = sent.mutate(days=days).filter((days >= 0) & (days <= FLOW_DAYS))
    return sent.group_by(
        "days", "step", campaign=sent.campaign_id.fill_null("unknown"), kind=sent.kind.lower()
    ).aggregate(
        customers=sent.customer_id.nunique(), sent=sent.count(),
        **{name: sent.count(where=sent[name].fill_null(False))
           for name in ("delivered", "opened", "clicked", "unsubscribed")},
    )  # fmt: skip


def activated_value(
    days: ir.Table, activations: ir.Table, facts: ir.Table, *, as_of: str
) -> ir.Table:
    """Activated within two weeks or not: what customers brought in the LATER_DAYS days after them.

    Only customers seen for the two weeks and the days after, who came since the first recorded
    activation. What they brought within the two weeks is left out: it is part of being activated.
    One row each: customers, orders, and for revenue and margin the sum, squares and cubes.
    """
    span = ACTIVATION_DAYS + LATER_DAYS
    begun = activations.aggregate(begun=activations.date.min())
    new = facts.filter(facts.cohort_day.notnull()).select("customer_id", "cohort_day")
    over = (new.cohort_day + ibis.interval(days=span)).cast("date")
    new = new.filter(over <= (ibis.date(as_of) + ibis.interval(days=1)).cast("date"))
    new = new.cross_join(begun).filter(lambda t: t.cohort_day >= t.begun).drop("begun")
    done = activations.filter(activations.step == 1)
    done = done.group_by(who=done.customer_id).aggregate(reached=done.date.min())
    who = new.left_join(done, new.customer_id == done.who)
    wait = who.reached.delta(who.cohort_day, unit="day")
    who = who.select(
        "customer_id", "cohort_day", activated=(wait <= ACTIVATION_DAYS).fill_null(False)
    )
    seen = who.left_join(days, "customer_id").drop("customer_id_right")
    age = seen.day.delta(seen.cohort_day, unit="day")
    # The day of the first order is day 0; value by day 14 includes day 14.
    inside = age.notnull() & (age > ACTIVATION_DAYS) & (age < span)
    each = seen.group_by("customer_id", "activated").aggregate(
        **{name: seen[name].sum(where=inside).fill_null(0)
           for name in ("orders", "revenue", "margin")}
    )  # fmt: skip
    sums = {name: exact(each[name]) for name in ("revenue", "margin")}
    return each.group_by("activated").aggregate(
        customers=each.count(), buyers=each.count(where=each.orders > 0),
        orders=each.orders.sum(), **{name: each[name].sum() for name in sums},
        **{f"{name}_squares": (value * value).sum() for name, value in sums.items()},
        **{f"{name}_cubes": (value * value * value).sum() for name, value in sums.items()},
    )  # fmt: skip
