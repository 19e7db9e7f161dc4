"""Experiments in sums: what followed the assignment of each arm, as moments, days and states.

Intention to treat: every assigned customer counts, in the arm of the first assignment, from its
day on. All columns are sums over customers, so segments and arms pool by adding rows; what is
known before the first assignment of an experiment is the covariate, for no arm can have moved it.
"""

import ibis
from ibis.expr import types as ir

from helpers.summaries.expressions import PRE_DAYS, experiment_list

WINDOWS = (7, 14, 30, 60, 180)
DECLARED = "declared"
# Extreme customers are capped at these shares of customers with any money, all arms together.
CAPS = (0.01, 0.99)
CELL = ("experiment_id", "arm", "channel", "tier")
MONEY = ("orders", "revenue", "refunds", "margin", "service", "margin_revenue")
STEPS = ("delivered", "opened", "clicked", "unsubscribed")
# What was pulled forward is missing later: the part of a window after these days stands apart.
EARLY_DAYS = 14
# Metrics with a spread of their own, and shares, whose squares are their sums.
AMOUNTS = ("orders", "revenue", "refunds", "margin", "service", "revenue_capped", "margin_capped")
AMOUNTS += ("late_orders", "late_margin")
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


def experiment_people(
    days: ir.Table,
    costs: ir.Table,
    touchpoints: ir.Table,
    assignments: ir.Table,
    experiments: ir.Table,
    facts: ir.Table,
    *,
    windows: tuple[int, ...] = WINDOWS,
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
    for part in (
        _window_sums(who, money_days(days, costs), windows),
        _touch_ages(who, touchpoints),
    ):
        people = people.left_join(part, keys).drop(*(f"{key}_right" for key in keys))
    sums = [name for name in people.columns if name.startswith((*MONEY, "pre", "before"))]
    people = people.mutate(**{name: people[name].fill_null(0) for name in sums})
    # The covariate of a customer whose history is missing is 0; ``known`` tells it from a true 0.
    pre = ibis.ifelse(people.known, people.pre, 0)
    return _with_tier(people.mutate(pre=pre, touches=people.touches.fill_null(0)))


def _window_sums(who: ir.Table, rows: ir.Table, windows: tuple[int, ...]) -> ir.Table:
    """Sum money by window for customers with any; the others are found by their absence."""
    assigned = who.select("experiment_id", "customer_id", "assigned", "start", "declared")
    rows = assigned.join(rows, "customer_id")
    age = rows.day.delta(rows.assigned, unit="day")
    back = rows.start.delta(rows.day, unit="day")
    sums = {
        f"{name}_{window}": rows[name].sum(where=(age >= 0) & (age < end))
        for window, end in (*((str(w), w) for w in windows), (DECLARED, rows.declared))
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


def experiment_moments(
    people: ir.Table, *, as_of: str, windows: tuple[int, ...] = WINDOWS
) -> ir.Table:
    """Experiment x arm x channel x tier x window: customers, and sums of what followed.

    ``assigned`` counts all customers, ``n`` and every sum those whose window is over by ``as_of``.
    Shares (delivered to converted) are sums of 0 and 1; amounts come with ``_squares``; all with
    the cross-product with the covariate ``pre`` and with ``missing`` (1 for a customer without an
    order before the start, whose ``pre`` is 0). ``revenue_orders`` and
    ``margin_orders`` serve ratios. Capped amounts are cut at the 1st and 99th percentile of the
    experiment's customers with any money, all arms together, never across zero; ``cap_low`` and
    ``cap_high`` are the cuts of margin, ``margin_least`` and ``margin_most`` the extremes.
    """
    names = (*map(str, windows), DECLARED)
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
    early = rows.window_days <= EARLY_DAYS
    rows = rows.mutate(
        **{
            f"late_{what}": ibis.ifelse(early, 0, rows[what] - rows[f"{what}_{EARLY_DAYS}"])
            for what in ("orders", "margin")
        }
    )
    done = _capped(rows.filter(rows.over))
    flags = {step: (done[f"{step}_age"] < done.window_days).fill_null(False) for step in STEPS}
    flags["converted"] = done.orders > 0
    done = done.mutate(
        missing=(~done.known).cast("int64"),
        **{key: flag.cast("int64") for key, flag in flags.items()},
    )
    keys = [*CELL, "window_days"]
    sizes = rows.group_by(keys).aggregate(assigned=rows.count())
    found = done.group_by(keys).aggregate(
        n=done.count(), **moment_sums(done, (*SHARES, *AMOUNTS)), **_facts(done)
    )
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


def exact(column: ir.IntegerColumn) -> ir.DecimalColumn:
    """Give whole numbers of 19 digits, whose products are exact with the 38 that engines have."""
    return column.cast("decimal(19, 0)")


def moment_sums(rows: ir.Table, names: tuple[str, ...]) -> dict[str, ir.Scalar]:
    """Sum metrics, their squares and their products with the covariate and its absence."""
    pre, missing = exact(rows.pre), rows.missing == 1
    found = {"pre": rows.pre.sum(), "pre_squares": (pre * pre).sum(), "missing": rows.missing.sum()}
    for name in names:
        found[name] = rows[name].sum()
        found[f"{name}_missing"] = rows[name].sum(where=missing)
        if name in SHARES:
            found[f"{name}_pre"] = rows.pre.sum(where=rows[name] == 1)
            continue
        found[f"{name}_squares"] = (exact(rows[name]) * exact(rows[name])).sum()
        found[f"{name}_pre"] = (exact(rows[name]) * pre).sum()
    for name in ("revenue", "margin"):
        found[f"{name}_orders"] = (exact(rows[name]) * exact(rows.orders)).sum()
    return found


def _facts(rows: ir.Table) -> dict[str, ir.Scalar]:
    return {
        "margin_revenue": rows.margin_revenue.sum(), "cap_low": rows.cap_low.min(),
        "cap_high": rows.cap_high.max(), "margin_least": rows.margin.min(),
        "margin_most": rows.margin.max(),
    }  # fmt: skip


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
     "late_margin", "service", "total_spend", "cap_low", "cap_high", "margin_least", "margin_most"}
)  # fmt: skip
