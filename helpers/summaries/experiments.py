"""Experiments in sums: what followed the assignment of each arm, as moments, days and states.

Intention to treat: every assigned customer counts, in the arm of the first assignment, from its
day on. All columns are sums over customers, so segments and arms pool by adding rows; what is
known before the first assignment of an experiment is the covariate, for no arm can have moved it.
"""

from collections.abc import Iterator

import ibis
from ibis.expr import types as ir

from helpers.summaries import consent
from helpers.summaries.expressions import PRE_DAYS, experiment_list, purchase_days

WINDOWS = (7, 14, 30, 60, 180)
DECLARED = "declared"
LONGEST = max(WINDOWS)
# Extreme customers are capped at these shares of customers with any money, all arms together.
CAPS = (0.01, 0.99)
CELL = ("experiment_id", "arm", "channel", "tier")
MONEY = ("orders", "revenue", "refunds", "margin", "margin_revenue")
STEPS = ("delivered", "opened", "clicked", "unsubscribed")
# Metrics with a spread of their own, and shares, whose squares are their sums.
AMOUNTS = ("orders", "revenue", "refunds", "margin", "revenue_capped", "margin_capped")
SHARES = (*STEPS, "converted")
TIERS = ("highest third", "middle third", "lowest third", "no order before")


def assigned_customers(assignments: ir.Table, experiments: ir.Table) -> ir.Table:
    """One row per declared experiment and customer: arm, day, window, and how many arms.

    A customer put in two arms counts in the first (at the same moment: the first by name).
    ``start`` is the day of the experiment's first assignment.
    """
    keys = ["experiment_id", "customer_id"]
    each = assignments.group_by(keys).aggregate(
        one_arm=assignments.arm.min(), first_at=assignments.assigned_at.min(),
        assigned=assignments.assigned_date.min(), arms=assignments.arm.nunique(),
    )  # fmt: skip
    several = each.filter(each.arms > 1).select(
        e="experiment_id", c="customer_id", moment="first_at"
    )
    first = assignments.join(
        several,
        [
            assignments.experiment_id == several.e,
            assignments.customer_id == several.c,
            assignments.assigned_at == several.moment,
        ],
    )
    first = first.group_by(e=first.experiment_id, c=first.customer_id).aggregate(
        first_arm=first.arm.min()
    )
    each = each.left_join(first, [each.experiment_id == first.e, each.customer_id == first.c])
    each = each.mutate(arm=each.first_arm.fill_null(each.one_arm))
    about = experiment_list(experiments).select(
        "experiment_id", declared="window_days", control="control_arm"
    )
    starts = each.group_by("experiment_id").aggregate(start=each.assigned.min())
    named = each.select(*keys, "arm", "assigned", "arms").join(starts, "experiment_id")
    return named.join(about, "experiment_id")


def money_days(days: ir.Table, costs: ir.Table) -> ir.Table:
    """Customer-days of orders and of what serving the customer cost: margin is less that cost."""
    zero = ibis.literal(0, "int64")
    sold = days.select("customer_id", "day", **{name: days[name].cast("int64") for name in MONEY})
    served = costs.select(
        "customer_id", day=costs.date,
        **dict.fromkeys(MONEY, zero) | {"margin": -costs.amount.cast("int64")},
    )  # fmt: skip
    return ibis.union(sold, served, distinct=False)


def experiment_people(
    days: ir.Table,
    costs: ir.Table,
    touchpoints: ir.Table,
    assignments: ir.Table,
    experiments: ir.Table,
    facts: ir.Table,
) -> ir.Table:
    """One row per experiment and assigned customer: money of each window, and before the start.

    ``orders_30`` counts the 30 days from the assignment on, ``orders_declared`` the declared
    window. ``pre`` is margin of the 180 days before the experiment's start, ``known`` says that the
    customer had ordered before it; ``tier`` are thirds of those by revenue before it.
    ``opened_age`` is the day on which the experiment's own message was first sent of those that
    were opened, missing if none was.
    """
    who = assigned_customers(assignments, experiments)
    told = facts.select("customer_id", "channel", "cohort_day")
    who = who.left_join(told, "customer_id").drop("customer_id_right")
    keys = ["experiment_id", "customer_id"]
    people = who.mutate(
        channel=who.channel.fill_null("unknown"),
        known=(who.cohort_day < who.start).fill_null(False),
    ).drop("cohort_day")
    for part in (_window_sums(who, money_days(days, costs)), _touch_ages(who, touchpoints)):
        people = people.left_join(part, keys).drop(*(f"{key}_right" for key in keys))
    sums = [name for name in people.columns if name.startswith((*MONEY, "pre", "before"))]
    people = people.mutate(**{name: people[name].fill_null(0) for name in sums})
    # The covariate of a customer whose history is missing is 0; ``known`` tells it from a true 0.
    pre = ibis.ifelse(people.known, people.pre, 0)
    return _with_tier(people.mutate(pre=pre, touches=people.touches.fill_null(0)))


def _window_sums(who: ir.Table, rows: ir.Table) -> ir.Table:
    """Sum money by window for customers with any; the others are found by their absence."""
    assigned = who.select("experiment_id", "customer_id", "assigned", "start", "declared")
    rows = assigned.join(rows, "customer_id")
    age = rows.day.delta(rows.assigned, unit="day")
    back = rows.start.delta(rows.day, unit="day")
    sums = {
        f"{name}_{window}": rows[name].sum(where=(age >= 0) & (age < end))
        for window, end in (*((str(w), w) for w in WINDOWS), (DECLARED, rows.declared))
        for name in MONEY
    }
    bought = (rows.orders > 0) & (age >= 0)
    return rows.group_by("experiment_id", "customer_id").aggregate(
        pre=rows.margin.sum(where=(back > 0) & (back <= PRE_DAYS)),
        before=rows.revenue.sum(where=back > 0), first_order_age=age.min(where=bought), **sums,
    )  # fmt: skip


def _touch_ages(who: ir.Table, touchpoints: ir.Table) -> ir.Table:
    """Find when the experiment's own messages were first sent, and what was first done with them.

    A message counts for the experiment whose id is its campaign; one without a word on delivery
    counts as delivered.
    """
    rows = own_messages(who, touchpoints)
    age = rows.sent_date.delta(rows.assigned, unit="day")
    return rows.group_by("experiment_id", "customer_id").aggregate(
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


def _with_tier(people: ir.Table) -> ir.Table:
    """Divide the customers of an experiment who had ordered before into thirds by revenue."""
    known = people.filter(people.known)
    edges = known.group_by(e="experiment_id").aggregate(
        low=known.before.quantile(1 / 3), high=known.before.quantile(2 / 3)
    )
    rows = people.left_join(edges, people.experiment_id == edges.e)
    tier = ibis.cases(
        (~rows.known, TIERS[3]), (rows.before > rows.high, TIERS[0]),
        (rows.before > rows.low, TIERS[1]), else_=TIERS[2],
    )  # fmt: skip
    return rows.mutate(tier=tier).drop("e", "low", "high", "before")


def experiment_moments(people: ir.Table, *, as_of: str) -> ir.Table:
    """Experiment x arm x channel x tier x window: customers, and sums of what followed.

    ``assigned`` counts all customers, ``n`` and every sum those whose window is over by ``as_of``.
    Shares (delivered to converted) are sums of 0 and 1; amounts come with ``_squares``; all with
    the cross-product with the covariate ``pre`` and with ``missing`` (1 for a customer without an
    order before the start, whose ``pre`` is 0). ``revenue_orders`` and
    ``margin_orders`` serve ratios. Capped amounts are cut at the 1st and 99th percentile of the
    experiment's customers with any money, all arms together, never across zero; ``cap_low`` and
    ``cap_high`` are the cuts of margin, ``margin_least`` and ``margin_most`` the extremes.
    """
    names = (*map(str, WINDOWS), DECLARED)
    return ibis.union(*(_window(people, name, as_of) for name in names), distinct=False)


def _window(people: ir.Table, name: str, as_of: str) -> ir.Table:
    days = people.declared if name == DECLARED else ibis.literal(int(name), "int64")
    until = (ibis.date(as_of) + ibis.interval(days=1)).cast("date")
    rows = people.mutate(
        window_days=days.cast("int64"), **{column: people[f"{column}_{name}"] for column in MONEY}
    )
    # A fixed window that is the declared one stands once, as declared.
    if name != DECLARED:
        rows = rows.filter(rows.window_days != rows.declared)
    over = (rows.assigned + rows.window_days.as_interval("D")).cast("date") <= until
    rows = rows.mutate(over=over)
    done = _capped(rows.filter(rows.over))
    flags = {step: (done[f"{step}_age"] < done.window_days).fill_null(False) for step in STEPS}
    flags["converted"] = done.orders > 0
    done = done.mutate(
        missing=(~done.known).cast("int64"),
        **{key: flag.cast("int64") for key, flag in flags.items()},
    )
    keys = [*CELL, "window_days"]
    sizes = rows.group_by(keys).aggregate(assigned=rows.count())
    found = done.group_by(keys).aggregate(n=done.count(), **_sums(done), **_facts(done))
    both = sizes.left_join(found, keys).drop(*(f"{key}_right" for key in keys))
    extremes = ("cap_low", "cap_high", "margin_least", "margin_most")
    sums = [column for column in both.columns if column not in (*keys, *extremes)]
    return both.mutate(
        declared=ibis.literal(name == DECLARED), **{key: both[key].fill_null(0) for key in sums}
    )


def _capped(rows: ir.Table) -> ir.Table:
    """Cut revenue and margin of the window at the pooled quantiles of customers with any."""
    some = rows.filter((rows.revenue != 0) | (rows.margin != 0))
    edges = some.group_by(e="experiment_id").aggregate(
        **{
            f"{name}_{side}": some[name].quantile(share).round().cast("int64")
            for name in ("revenue", "margin")
            for side, share in zip(("low", "high"), CAPS, strict=True)
        }
    )
    joined = rows.left_join(edges, rows.experiment_id == edges.e)
    zero = ibis.literal(0, "int64")
    cuts = {}
    for name in ("revenue", "margin"):
        low = ibis.least(zero, joined[f"{name}_low"].fill_null(0))
        high = ibis.greatest(zero, joined[f"{name}_high"].fill_null(0))
        cuts[f"{name}_capped"] = ibis.greatest(low, ibis.least(joined[name], high))
        if name == "margin":
            cuts |= {"cap_low": low, "cap_high": high}
    drop = [f"{name}_{side}" for name in ("revenue", "margin") for side in ("low", "high")]
    return joined.mutate(**cuts).drop("e", *drop)


def _exact(column: ir.IntegerColumn) -> ir.DecimalColumn:
    """Give whole numbers of 19 digits, whose products are exact with the 38 that engines have."""
    return column.cast("decimal(19, 0)")


def _sums(rows: ir.Table) -> dict[str, ir.Scalar]:
    """Sum metrics, their squares and their products with the covariate and its absence."""
    pre, missing = _exact(rows.pre), rows.missing == 1
    found = {"pre": rows.pre.sum(), "pre_squares": (pre * pre).sum(), "missing": rows.missing.sum()}
    for name in (*SHARES, *AMOUNTS):
        found[name] = rows[name].sum()
        found[f"{name}_missing"] = rows[name].sum(where=missing)
        if name in SHARES:
            found[f"{name}_pre"] = rows.pre.sum(where=rows[name] == 1)
            continue
        found[f"{name}_squares"] = (_exact(rows[name]) * _exact(rows[name])).sum()
        found[f"{name}_pre"] = (_exact(rows[name]) * pre).sum()
    for name in ("revenue", "margin"):
        found[f"{name}_orders"] = (_exact(rows[name]) * _exact(rows.orders)).sum()
    return found


def _facts(rows: ir.Table) -> dict[str, ir.Scalar]:
    return {
        "margin_revenue": rows.margin_revenue.sum(), "cap_low": rows.cap_low.min(),
        "cap_high": rows.cap_high.max(), "margin_least": rows.margin.min(),
        "margin_most": rows.margin.max(),
    }  # fmt: skip


def experiment_days(people: ir.Table, days: ir.Table, costs: ir.Table, *, as_of: str) -> ir.Table:
    """Experiment x arm x day since assignment: margin of the day, and of all days so far.

    Only days that every customer of the experiment had lived through by ``as_of``. ``n`` are all
    customers of the arm; ``margin_squares`` is the increment of the sum over customers of the
    squared margin so far (2 x before x step + step squared), so that adding days up gives the
    spread at any age; ``margin_pre`` and ``margin_missing`` add up likewise. Day 0 always has a
    row, a later day only if somebody had any margin.
    """
    lived = (ibis.date(as_of).delta(people.assigned.max(), unit="day") + 1).cast("int64")
    seen = people.group_by(e=people.experiment_id).aggregate(seen=lived)
    arms = people.group_by("experiment_id", "arm").aggregate(n=people.count())
    arms = arms.join(seen, arms.experiment_id == seen.e).drop("e")
    arms = arms.filter(arms.seen > 0)
    told = people.select("experiment_id", "customer_id", "arm", "assigned", "pre", "known")
    told = told.join(seen, told.experiment_id == seen.e).drop("e")
    rows = told.join(money_days(days, costs).select("customer_id", "day", "margin"), "customer_id")
    age = rows.day.delta(rows.assigned, unit="day").cast("int64")
    rows = rows.mutate(age=age)
    rows = rows.filter((rows.age >= 0) & (rows.age < rows.seen) & (rows.age < LONGEST))
    keys = ["experiment_id", "customer_id", "age"]
    step = rows.group_by(keys).aggregate(
        arm=rows.arm.min(), pre=rows.pre.min(), known=rows.known.any(), margin=rows.margin.sum()
    )
    so_far = ibis.window(
        group_by=[step.experiment_id, step.customer_id], order_by=step.age, preceding=(None, 1)
    )
    step = step.mutate(earlier=step.margin.sum().over(so_far).fill_null(0).cast("int64"))
    margin = _exact(step.margin)
    grown = 2 * (_exact(step.earlier) * margin) + margin * margin
    step = step.mutate(grown=grown, crossed=_exact(step.pre) * margin)
    found = step.group_by("experiment_id", "arm", day=step.age).aggregate(
        margin=step.margin.sum(), margin_squares=step.grown.sum(), margin_pre=step.crossed.sum(),
        margin_missing=step.margin.sum(where=~step.known).fill_null(0),
    )  # fmt: skip
    grid = found.select("experiment_id", "arm", "day")
    first = arms.select("experiment_id", "arm", day=ibis.literal(0, "int64"))
    last = arms.select("experiment_id", "arm", day=ibis.least(arms.seen, LONGEST) - 1)
    grid = ibis.union(grid, first, last, distinct=True)
    keys = ["experiment_id", "arm", "day"]
    both = grid.left_join(found, keys).drop(*(f"{key}_right" for key in keys))
    both = both.mutate(
        **{name: both[name].fill_null(0) for name in found.columns if name.startswith("margin")}
    )
    return both.join(arms.select("experiment_id", "arm", "n"), ["experiment_id", "arm"])


def experiment_arms(people: ir.Table, touchpoints: ir.Table, consents: ir.Table) -> ir.Table:
    """Experiment x arm: what decides whether the arms may be compared at all.

    ``switched`` were put in several arms; ``reached`` got a message of the experiment's campaign,
    ``touched_early`` before they were assigned, ``ordered_first`` of those reached ordered in the
    declared window before the first message; ``overlapping`` were in a treated arm of another
    experiment whose window met this one; ``other_messages`` got another campaign's message in the
    window; ``without_consent`` got a message of this one without a consent at that moment.
    ``day`` and ``day_squares`` sum the days from the experiment's start to the assignment;
    ``first_day`` and ``last_day`` bound the assignment.
    """
    day = people.assigned.delta(people.start, unit="day").cast("int64")
    early = (people.touch_age < 0).fill_null(False)
    before = (people.first_order_age < people.touch_age).fill_null(False)
    inside = people.touch_age < people.declared
    arms = people.group_by("experiment_id", "arm").aggregate(
        customers=people.count(), switched=people.count(where=people.arms > 1),
        reached=people.count(where=people.touches > 0), touched_early=people.count(where=early),
        ordered_first=people.count(where=before & inside), known=people.count(where=people.known),
        day=day.sum(), day_squares=(day * day).sum(),
        first_day=people.assigned.min(), last_day=people.assigned.max(),
        window_days=people.declared.min(), pre=people.pre.sum(),
        pre_squares=(_exact(people.pre) * _exact(people.pre)).sum(),
    )  # fmt: skip
    parts = {
        "overlapping": _overlapping(people),
        "other_messages": _other_messages(people, touchpoints),
        "without_consent": _without_consent(people, touchpoints, consents),
    }
    for name, part in parts.items():
        counted = part.group_by(e="experiment_id", a="arm").aggregate(
            **{name: part.customer_id.nunique()}
        )
        arms = arms.left_join(
            counted, [arms.experiment_id == counted.e, arms.arm == counted.a]
        ).drop("e", "a")
    return arms.mutate(**{name: arms[name].fill_null(0) for name in parts})


def _overlapping(people: ir.Table) -> ir.Table:
    """Find customers who were treated in another experiment while this one was open."""
    this = people.select("experiment_id", "customer_id", "arm", "assigned", "declared")
    other = people.filter(people.arm != people.control).select(
        e="experiment_id", c="customer_id", began="assigned", length="declared"
    )
    pairs = this.join(other, [this.customer_id == other.c, this.experiment_id != other.e])
    begins = pairs.began.delta(pairs.assigned, unit="day")
    return pairs.filter((begins < pairs.declared) & (begins + pairs.length > 0))


def _other_messages(people: ir.Table, touchpoints: ir.Table) -> ir.Table:
    """Find customers who got a message of another campaign within the declared window."""
    this = people.select("experiment_id", "customer_id", "arm", "assigned", "declared")
    sent = touchpoints.select(c="customer_id", campaign=touchpoints.campaign_id.fill_null(""),
                              day="sent_date")  # fmt: skip
    pairs = this.join(sent, [this.customer_id == sent.c, this.experiment_id != sent.campaign])
    age = pairs.day.delta(pairs.assigned, unit="day")
    return pairs.filter((age >= 0) & (age < pairs.declared))


def _without_consent(people: ir.Table, touchpoints: ir.Table, consents: ir.Table) -> ir.Table:
    """Find customers who got one of the experiment's messages without having consented to it."""
    rows = own_messages(people, touchpoints)
    parts: list[ir.Table] = []
    for kind, purposes in consent.PURPOSES.items():
        sent = rows.filter(rows.kind.lower() == kind).select(
            "experiment_id", "arm", "customer_id", "sent_at"
        )
        parts.append(consent.at_events(consents, sent, "sent_at", purposes=purposes))
    found = ibis.union(*parts, distinct=False)
    return found.filter(found.consent != "granted")


def experiment_states(people: ir.Table, days: ir.Table, facts: ir.Table, *, as_of: str) -> ir.Table:
    """Experiment x arm x channel x tier x purchase history: customers, and sums by history.

    ``at`` is 'before' (as known on the day before the experiment's start) or 'after' (on the last
    day of the declared window; ``horizon`` is that day). A customer without a purchase by then has
    frequency -1 and no days. Sums run over customers whose declared window is over: ``margin``,
    ``orders``, ``revenue`` and ``converted`` of the window, ``pre`` and ``missing``, and spend over
    repeat days: ``total_spend``, its squares, and products with these (``margin_total_spend``), so
    that what is linear in total spend given the history has a mean and a spread in every arm.
    """
    until = (ibis.date(as_of) + ibis.interval(days=1)).cast("date")
    over = (people.assigned + people.declared.as_interval("D")).cast("date") <= until
    done = people.filter(over)
    return ibis.union(*(part for part in _histories(done, days, facts)), distinct=False)


def _histories(done: ir.Table, days: ir.Table, facts: ir.Table) -> Iterator[ir.Table]:
    told = done.select(
        *CELL, "customer_id", "start", "assigned", "declared", "pre",
        missing=(~done.known).cast("int64"), converted=(done.orders_declared > 0).cast("int64"),
        margin=done.margin_declared, orders=done.orders_declared, revenue=done.revenue_declared,
    )  # fmt: skip
    last = ibis.interval(days=1)
    horizons = {
        "before": (told.start - last).cast("date"),
        "after": ((told.assigned + told.declared.as_interval("D")) - last).cast("date"),
    }
    bought = purchase_days(days).select(c="customer_id", day="day", spent="revenue")
    first = facts.filter(facts.first_day.notnull()).select(c="customer_id", first="first_day")
    bought = bought.join(first, "c")
    for at, horizon in horizons.items():
        rows = told.mutate(horizon=horizon)
        seen = rows.select("experiment_id", "customer_id", "horizon").join(
            bought, rows.customer_id == bought.c
        )
        seen = seen.filter(seen.day <= seen.horizon)
        again = seen.day > seen.first
        spent = again & (seen.spent > 0)
        each = seen.group_by(e="experiment_id", c="customer_id").aggregate(
            first_day=seen["first"].min(), last_day=seen.day.max(),
            frequency=seen.count(where=again), spend_frequency=seen.count(where=spent),
            total_spend=seen.spent.sum(where=spent),
        )  # fmt: skip
        both = rows.left_join(each, [rows.experiment_id == each.e, rows.customer_id == each.c])
        yield _by_history(both.mutate(at=ibis.literal(at)))


def _by_history(rows: ir.Table) -> ir.Table:
    rows = rows.mutate(
        frequency=rows.frequency.fill_null(-1), spend_frequency=rows.spend_frequency.fill_null(0),
        total_spend=rows.total_spend.fill_null(0).cast("int64"),
    )  # fmt: skip
    spend, margin, pre = _exact(rows.total_spend), _exact(rows.margin), _exact(rows.pre)
    plain = ("margin", "orders", "revenue", "converted", "pre", "missing", "total_spend")
    keys = (*CELL, "at", "horizon", "frequency", "first_day", "last_day", "spend_frequency")
    return rows.group_by(*keys).aggregate(
        n=rows.count(), **{name: rows[name].sum() for name in plain},
        margin_squares=(margin * margin).sum(), pre_squares=(pre * pre).sum(),
        total_spend_squares=(spend * spend).sum(), margin_pre=(margin * pre).sum(),
        margin_missing=rows.margin.sum(where=rows.missing == 1).fill_null(0),
        **{
            f"{name}_total_spend": (_exact(rows[name]) * spend).sum()
            for name in ("margin", "orders", "revenue", "converted", "pre")
        },
    )  # fmt: skip


def money_power(column: str) -> int:
    """Say which power of an amount of money a column of these summaries is: 0, 1 or 2.

    >>> [money_power(name) for name in ("orders_pre", "margin_squares", "margin_missing", "n")]
    [1, 2, 1, 0]
    """
    if column in _MONEY:
        return 1
    if column.endswith("_squares"):
        return 2 * money_power(column.removesuffix("_squares"))
    for factor, power in (("pre", 1), ("total_spend", 1), ("missing", 0), ("orders", 0)):
        if column.endswith(f"_{factor}"):
            return money_power(column.removesuffix(f"_{factor}")) + power
    return 0


_MONEY = frozenset(
    {"revenue", "refunds", "margin", "margin_revenue", "revenue_capped", "margin_capped", "pre",
     "total_spend", "cap_low", "cap_high", "margin_least", "margin_most"}
)  # fmt: skip
