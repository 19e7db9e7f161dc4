"""Customers of experiments: the arm of each, what was known before, and what they did after.

Intention to treat: every assigned customer counts, in the arm of the first assignment, from its
day on. What is known before the first assignment of an experiment is the covariate, for no arm can
have moved it. Money stands apart from customers: few have any in a window, and the others are
counted, not joined.
"""

import ibis
from ibis.expr import types as ir

from helpers.summaries.arithmetic import whole
from helpers.summaries.expressions import PRE_DAYS, experiment_list

WINDOWS = (7, 14, 30, 60, 180)
LONGEST = max(WINDOWS)
CELL = ("experiment_id", "arm", "channel", "tier")
MONEY = ("orders", "revenue", "refunds", "margin", "service", "margin_revenue")
STEPS = ("delivered", "opened", "clicked", "unsubscribed")
TIERS = ("highest third", "middle third", "lowest third", "no order before")


def experiment_assigned(assignments: ir.Table, experiments: ir.Table, facts: ir.Table) -> ir.Table:
    """One row per declared experiment and assigned customer: arm, day, window, channel.

    A customer put in two arms counts in the first (at the same moment: the first by name) and is
    ``switched``; ``treated`` says that the arm is not the control. ``start`` is the day of the
    experiment's first assignment; ``known`` says that the customer had ordered before it, without
    which the channel is 'unknown'.
    """
    keys = ["experiment_id", "customer_id"]
    each = assignments.group_by(keys).aggregate(
        times=assignments.count(), only=assignments.arm.min(),
        assigned=assignments.assigned_date.min(),
    )  # fmt: skip
    # Few are assigned more than once: only those are looked at again.
    again = assignments.semi_join(each.filter(each.times > 1), keys)
    first = again.group_by(e="experiment_id", c="customer_id").aggregate(
        first_at=again.assigned_at.min(), several=again.arm.min() != again.arm.max()
    )
    again = again.join(first, [again.experiment_id == first.e, again.customer_id == first.c])
    again = again.group_by("e", "c", "several").aggregate(
        first_arm=again.arm.min(where=again.assigned_at == again.first_at)
    )
    each = each.left_join(again, [each.experiment_id == again.e, each.customer_id == again.c])
    each = each.select(
        *keys, "assigned", switched=each.several.fill_null(False),
        arm=each.first_arm.fill_null(each.only),
    )  # fmt: skip
    starts = assignments.group_by("experiment_id").aggregate(start=assignments.assigned_date.min())
    about = experiment_list(experiments).select(
        "experiment_id", declared="window_days", control="control_arm"
    )
    each = each.join(about.join(starts, "experiment_id"), "experiment_id")
    told = facts.select("channel", "cohort_day", c="customer_id")
    each = each.left_join(told, each.customer_id == told.c)
    each = each.mutate(
        known=(each.cohort_day < each.start).fill_null(False), treated=each.arm != each.control
    )
    # The channel of who first ordered later is known from that order: it came after the assignment.
    channel = ibis.ifelse(each.known, each.channel.fill_null("unknown"), "unknown")
    return each.mutate(channel=channel).drop("c", "cohort_day", "control")


def money_days(days: ir.Table, costs: ir.Table) -> ir.Table:
    """Customer-days of orders and of what serving the customer cost: margin is less that cost."""
    zero = ibis.literal(0, "int64")
    of_orders = [name for name in MONEY if name != "service"]
    sold = days.select(
        "customer_id", "day", service=zero, **{name: days[name].cast("int64") for name in of_orders}
    )
    amount = costs.amount.cast("int64")
    served = costs.select(
        "customer_id", day=costs.date,
        **dict.fromkeys(of_orders, zero) | {"margin": -amount, "service": amount},
    ).select(sold.columns)  # fmt: skip
    return ibis.union(sold, served, distinct=False)


def experiment_history(assigned: ir.Table, days: ir.Table, costs: ir.Table) -> ir.Table:
    """One row per experiment and customer who had ordered before it and has money of that time.

    ``pre`` is margin of the 180 days before the experiment's start; ``tier`` are thirds of these
    customers, by revenue until then. What is known of a customer without an order before is no
    history: refunds, costs.
    """
    known = assigned.filter(assigned.known).select("experiment_id", "start", c="customer_id")
    rows = money_days(days, costs).select("customer_id", "day", "margin", "revenue")
    rows = rows.join(known, [rows.customer_id == known.c, rows.day < known.start])
    recent = rows.start.delta(rows.day, unit="day") <= PRE_DAYS
    before = rows.group_by("experiment_id", "customer_id").aggregate(
        pre=whole(rows.margin, where=recent), before=whole(rows.revenue)
    )
    edges = before.group_by(edge="experiment_id").aggregate(
        low=before.before.quantile(1 / 3), high=before.before.quantile(2 / 3)
    )
    rows = before.join(edges, before.experiment_id == edges.edge)
    tier = ibis.cases(
        (rows.before > rows.high, TIERS[0]), (rows.before > rows.low, TIERS[1]), else_=TIERS[2]
    )
    return rows.select("experiment_id", "customer_id", "pre", tier=tier)


def experiment_people(assigned: ir.Table, history: ir.Table, touchpoints: ir.Table) -> ir.Table:
    """One row per experiment and assigned customer: what was known before, and the messages.

    ``pre`` and ``tier`` are those of `experiment_history`. ``opened_age`` is the day on which the
    experiment's own message was first sent of those that were opened, missing if none was.
    """
    before = history.rename(e="experiment_id", c="customer_id")
    people = assigned.left_join(
        before, [assigned.experiment_id == before.e, assigned.customer_id == before.c]
    ).drop("e", "c")
    touched = _touch_ages(assigned, touchpoints)
    people = people.left_join(
        touched, [people.experiment_id == touched.e, people.customer_id == touched.c]
    ).drop("e", "c")
    # The covariate of a customer whose history is missing is 0; ``known`` tells it from a true 0.
    return people.mutate(
        pre=people.pre.fill_null(0), tier=people.tier.fill_null(TIERS[3]),
        touches=people.touches.fill_null(0),
    )  # fmt: skip


def cells(people: ir.Table) -> ir.Table:
    """Number the cells: experiment x arm x channel x tier, in their order.

    Rows of customers carry the number, so that summing them up need not carry four words each.
    """
    found = people.select(*CELL).distinct()
    return found.mutate(cell=ibis.row_number().over(ibis.window(order_by=CELL)))


def experiment_spends(people: ir.Table, days: ir.Table, costs: ir.Table) -> ir.Table:
    """One row per experiment, assigned customer and day with money since the assignment.

    ``age`` counts days from the assignment on, as far as the longest window. A customer without
    a row had neither an order nor a cost. ``cell`` is the number of its cell (`cells`).
    """
    of_cells = cells(people)
    told = people.join(of_cells, CELL).select(
        "cell", "assigned", "pre", c="customer_id", missing=(~people.known).cast("int64")
    )
    rows = money_days(days, costs)
    rows = rows.filter(rows.day >= people.start.min().as_scalar())
    rows = rows.join(told, [rows.customer_id == told.c, rows.day >= told.assigned])
    age = rows.day.delta(rows.assigned, unit="day").cast("int64")
    rows = rows.mutate(age=age).drop("c", "day")
    lengths = people.group_by("experiment_id").aggregate(declared=people.declared.max())
    rows = rows.join(of_cells.select("cell", "experiment_id"), "cell").join(
        lengths, "experiment_id"
    )
    return rows.filter(rows.age < ibis.greatest(LONGEST, rows.declared))


def declared_sums(spends: ir.Table) -> ir.Table:
    """Orders, revenue and margin of the declared window, of the customers who had any money."""
    inside = spends.filter(spends.age < spends.declared)
    return inside.group_by(e=inside.experiment_id, c=inside.customer_id).aggregate(
        **{name: whole(inside[name]) for name in ("orders", "revenue", "margin")}
    )


def _touch_ages(who: ir.Table, touchpoints: ir.Table) -> ir.Table:
    """Find when the experiment's own messages were first sent, and what was first done with them.

    A message counts for the experiment whose id is its campaign; one without a word on delivery
    counts as delivered.
    """
    rows = own_messages(who, touchpoints)
    age = rows.sent_date.delta(rows.assigned, unit="day")
    return rows.group_by(e=rows.experiment_id, c=rows.customer_id).aggregate(
        touches=rows.count(), touch_age=age.min(),
        **{f"{name}_age": age.min(where=(age >= 0) & rows[name]) for name in STEPS},
    )  # fmt: skip


def own_messages(who: ir.Table, touchpoints: ir.Table) -> ir.Table:
    """The messages of an experiment's own campaign, with the arm and the day of assignment."""
    sent = touchpoints.select(
        "kind", "sent_at", "sent_date", "opened", "clicked", "unsubscribed", to="customer_id",
        campaign="campaign_id", delivered=touchpoints.delivered.fill_null(True),
    )  # fmt: skip
    told = who.select("experiment_id", "customer_id", "arm", "assigned")
    return told.join(sent, [told.customer_id == sent.to, told.experiment_id == sent.campaign]).drop(
        "to", "campaign"
    )
