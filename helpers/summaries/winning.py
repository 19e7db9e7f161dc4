"""What winning customers took: spend, plan, leads, checkouts, tests, referrals, as summaries.

Clean tables to small tables, as Ibis expressions that any engine can say. Money is in whole minor
units (a period's cost spread over its days may be a fraction of one).
"""

import ibis
from ibis.expr import types as ir

from helpers.summaries.arithmetic import month_of, with_products

RECOVERY_DAYS = LEAD_DAYS = 30
# A checkout whose order comes within this time was never left.
SESSION_SECONDS = 3600


def months_between(rows: ir.Table, first: str, last: str) -> ir.Table:
    """Repeat every row for each month from its day ``first`` to its day ``last``, as ``start``.

    ``month_end`` is the first day of the month after. A row whose last day comes first is gone.
    """
    low, high = rows[first], rows[last]
    steps = (high.year() - low.year()) * 12 + (high.month() - low.month()) + 1
    spread = rows.mutate(
        step=ibis.range(ibis.literal(0, "int64"), steps.cast("int64")).unnest(),
    )
    begin = (month_of(spread[first]) + spread.step.as_interval("M")).cast("date")
    spread = spread.mutate(start=begin).drop("step")
    return spread.mutate(month_end=(spread.start + ibis.interval(months=1)).cast("date"))


def spend_months(spend: ir.Table, *, as_of: str) -> ir.Table:
    """Months by channel: cost, clicks and leads, a period's total spread over its days.

    Unlike ``acquisition`` it also holds months without a new customer. Days after ``as_of`` are
    left out; clicks and leads are missing where no row of the month has any.
    """
    rows = spend.mutate(last=spend.ends_at.fill_null(spend.starts_at))
    rows = rows.mutate(seen=ibis.least(rows.last, ibis.date(as_of)))
    pairs = months_between(rows, "starts_at", "seen")
    low = ibis.greatest(pairs.starts_at, pairs.start)
    high = ibis.least((pairs.seen + ibis.interval(days=1)).cast("date"), pairs.month_end)
    inside = ibis.greatest(high.delta(low, unit="day"), 0).cast("float64")
    whole = (pairs.last.delta(pairs.starts_at, unit="day") + 1).cast("float64")
    pairs = pairs.mutate(share=inside / whole)
    return pairs.group_by("start", "channel").aggregate(
        **{name: (pairs[name] * pairs.share).sum().round(6) for name in ("cost", "clicks", "leads")}
    )


def planned_months(budget: ir.Table) -> ir.Table:
    """Months by channel: what was planned to be spent."""
    rows = budget.mutate(start=month_of(budget.month))
    return rows.group_by("start", "channel").aggregate(planned=rows.planned.sum())


def experiment_costs(experiments: ir.Table, assignments: ir.Table) -> ir.Table:
    """Months by experiment and arm: customers put in it first then, beside the costs declared.

    A row without an arm, and without customers, stands in the month in which the test began and
    holds its ``fixed_cost``; the other rows hold none. ``arm_costs`` is text, as declared. A test
    without any cost is left out.
    """
    stated = ("cost_per_customer", "arm_costs", "fixed_cost")
    declared = experiments.filter(ibis.or_(*(experiments[name].notnull() for name in stated)))
    declared = declared.select(
        "experiment_id", *stated, control=declared.control_arm.fill_null("control"),
        begun=declared.started_date,
    )  # fmt: skip
    who = assignments.group_by("experiment_id", "customer_id").aggregate(
        arm=assignments.arm.argmin(assignments.assigned_at), day=assignments.assigned_date.min()
    )
    keys = ["start", "experiment_id", "arm", "control", "cost_per_customer", "arm_costs"]
    put = who.join(declared, "experiment_id").mutate(start=lambda t: month_of(t.day))
    put = put.group_by(keys).aggregate(customers=put.count())
    nothing = ibis.null(declared.fixed_cost.type())
    once = declared.filter(declared.begun.notnull() & declared.fixed_cost.notnull())
    once = once.mutate(
        start=month_of(once.begun), arm=ibis.null("string"), customers=ibis.literal(0, "int64")
    )
    columns = [*keys, "customers", "fixed_cost"]
    return ibis.union(
        put.mutate(fixed_cost=nothing).select(columns), once.select(columns), distinct=False
    )


def lead_states(leads: ir.Table, facts: ir.Table, *, as_of: str) -> ir.Table:
    """Months by channel and product: leads, their cost, and what became of them by ``as_of``.

    A lead is ``converted`` once the customer it became has a first order, on the day of the lead
    or later; ``in_time`` counts those of the ``ripe`` leads (30 days old or more) who had it
    within 30 days. ``fresh`` leads are younger than that and not converted, ``aged`` are older and
    not converted, ``existing`` were customers before the lead: these are no conversions. What a
    shop has written down since, but did not know by ``as_of``, does not count. ``priced`` counts
    the leads whose cost is known, and ``cost`` is their sum.
    """
    first = facts.filter(facts.cohort_day.notnull()).select(who="customer_id", won="cohort_day")
    rows = leads.left_join(first, leads.customer_id == first.who)
    waited = rows.won.delta(rows.date, unit="day")
    young = (rows.date + ibis.interval(days=LEAD_DAYS)).cast("date") > ibis.date(as_of)
    before = (rows.won < rows.date).fill_null(False)
    rows = rows.mutate(
        start=month_of(rows.date), channel=rows.channel.fill_null("unknown"),
        product=rows["product"].fill_null("unknown"), existing=before,
        converted=rows.won.notnull() & ~before, young=young,
        in_time=(waited <= LEAD_DAYS).fill_null(False) & ~before & ~young,
    )  # fmt: skip
    still = ~rows.converted & ~rows.existing
    return rows.group_by("start", "channel", "product").aggregate(
        leads=rows.count(), priced=rows.cost.count(), cost=rows.cost.sum().fill_null(0),
        converted=rows.count(where=rows.converted), existing=rows.count(where=rows.existing),
        fresh=rows.count(where=still & rows.young), aged=rows.count(where=still & ~rows.young),
        ripe=rows.count(where=~rows.young & ~rows.existing),
        in_time=rows.count(where=rows.in_time),
    )  # fmt: skip


def checkouts(carts: ir.Table, orders: ir.Table, *, as_of: str) -> ir.Table:
    """Checkouts by flow (``cart_flow``) and by month (``start``): started, left, and recovered.

    A checkout is a cart, or an order that no cart names (a shop that records only what was left
    behind has its other checkouts among its orders), from the day of the first cart on. It was
    ``abandoned`` if its order did not come within an hour. Of the abandoned, ``ripe`` are 30 days
    old or more by ``as_of``, and ``recovered`` counts those of them whose order came within 30
    days. ``without_order`` counts checkouts without any order by ``as_of``. An order counts from
    the day it was placed, whatever the cart says. ``customers`` are distinct, and a checkout
    without a customer counts as one of its own; the products are those of
    `arithmetic.with_products`.
    """
    sales = orders.filter(~orders.is_refund)
    sold = sales.group_by("order_id").aggregate(
        ordered_at=sales.ordered_at.min(), order_date=sales.order_date.min(),
        flow=sales.cart_flow.min(), buyer=sales.customer_id.min(),
    )  # fmt: skip
    named = carts.filter(carts.recovered_order_id.notnull())
    named = named.select(order_id="recovered_order_id").distinct()
    opened = carts.aggregate(opened=carts.started_date.min())
    direct = sold.anti_join(named, "order_id").cross_join(opened)
    direct = direct.filter(direct.order_date >= direct.opened)
    rows = carts.left_join(sold, carts.recovered_order_id == sold.order_id)
    took = rows.ordered_at.epoch_seconds() - rows.started_at.epoch_seconds()
    waited = rows.order_date.delta(rows.started_date, unit="day")
    bought = rows.ordered_at.notnull()
    left = ~(bought & (took <= SESSION_SECONDS).fill_null(False))
    ripe = (rows.started_date + ibis.interval(days=RECOVERY_DAYS)).cast("date") <= ibis.date(as_of)
    of_carts = rows.select(
        start=month_of(rows.started_date), cart_flow=rows.cart_flow.fill_null("unknown"),
        who=rows.customer_id, guest=ibis.ifelse(rows.customer_id.isnull(), rows.cart_id, None),
        abandoned=left, ripe=left & ripe, without_order=~bought,
        recovered=left & ripe & bought & (waited <= RECOVERY_DAYS).fill_null(False),
    )  # fmt: skip
    no = ibis.literal(False)
    of_orders = direct.select(
        start=month_of(direct.order_date), cart_flow=direct.flow.fill_null("unknown"),
        who=direct.buyer, guest=ibis.null("string"),
        abandoned=no, ripe=no, without_order=no, recovered=no,
    )  # fmt: skip
    every = ibis.union(of_carts, of_orders, distinct=False)
    marks = ("abandoned", "ripe", "without_order", "recovered")
    pairs, parts = [("abandoned", "started"), ("recovered", "ripe")], []
    for key, other in (("cart_flow", "start"), ("start", "cart_flow")):
        each = every.group_by(key, "who", "guest").aggregate(
            started=every.count(), **{name: every.count(where=every[name]) for name in marks}
        )
        found = with_products(each, [key], ("started", *marks), pairs)
        found = found.mutate(**{other: ibis.null(every[other].type())}, dimension=ibis.literal(key))
        parts.append(found.relocate("cart_flow", "start"))
    return ibis.union(*parts, distinct=False)


def referrals(customers: ir.Table, facts: ir.Table) -> ir.Table:
    """Months of first order: new customers, those on file, referred ones and loyalty members.

    ``on_file`` are new customers with a row of customers; whether someone is a member is known as
    of the month's end, not as of the first order.
    """
    known = customers.group_by("customer_id").aggregate(
        referred=customers.referred_by.count() > 0,
        stated=customers.loyalty_member.count() > 0,
        member=customers.loyalty_member.any().fill_null(False),
    )
    new = facts.filter(facts.cohort_day.notnull()).select("customer_id", "cohort_day")
    rows = new.left_join(known, "customer_id").mutate(start=month_of(new.cohort_day))
    return rows.group_by("start").aggregate(
        new_customers=rows.count(),
        on_file=rows.referred.count(),
        referred=rows.count(where=rows.referred),
        stated=rows.count(where=rows.stated),
        members=rows.count(where=rows.member),
    )
