"""What followed an experiment day by day, what its trust rests on, and histories before and after.

From the customers of `helpers.summaries.experiments`, each table sums over customers.
"""

from collections.abc import Iterator

import ibis
from ibis.expr import types as ir

from helpers.summaries import consent
from helpers.summaries.arithmetic import exact
from helpers.summaries.days import purchase_days
from helpers.summaries.experiments import CELL, LONGEST, cells, declared_sums, own_messages

# A cycle of messages has two to four of them.
MOST_MESSAGES = 4


def experiment_days(people: ir.Table, spends: ir.Table, *, as_of: str) -> ir.Table:
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
    rows = spends.join(seen, spends.experiment_id == seen.e).drop("e")
    rows = rows.filter((rows.age < rows.seen) & (rows.age < LONGEST))
    keys = ["experiment_id", "customer_id", "cell", "pre", "missing", "age"]
    step = rows.group_by(keys).aggregate(margin=rows.margin.sum())
    so_far = ibis.window(
        group_by=[step.experiment_id, step.customer_id], order_by=step.age, preceding=(None, 1)
    )
    step = step.mutate(earlier=step.margin.sum().over(so_far).fill_null(0).cast("int64"))
    margin = exact(step.margin)
    grown = 2 * (exact(step.earlier) * margin) + margin * margin
    step = step.mutate(grown=grown, crossed=exact(step.pre) * margin)
    step = step.join(cells(people).select("cell", "arm"), "cell")
    found = step.group_by("experiment_id", "arm", day=step.age).aggregate(
        margin=step.margin.sum(), margin_squares=step.grown.sum(), margin_pre=step.crossed.sum(),
        margin_missing=step.margin.sum(where=step.missing == 1).fill_null(0),
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


def experiment_arms(
    people: ir.Table,
    spends: ir.Table,
    touchpoints: ir.Table,
    consents: ir.Table,
    assignments: ir.Table,
) -> ir.Table:
    """Experiment x arm: what decides whether the arms may be compared at all.

    ``switched`` were put in several arms; ``reached`` got a message of the experiment's campaign,
    ``touched_early`` before they were assigned, ``ordered_first`` of those reached ordered in the
    declared window before the first message; ``overlapping`` were in a treated arm of another
    experiment whose window met this one; ``other_messages`` got another campaign's message in the
    window; ``without_consent`` got a message of this one without a consent at that moment.
    ``messages`` counts its messages, ``many_messages`` the customers with more than four of them.
    ``factors`` are the levels written with the assignment, ``spellings`` how many ways of writing
    the arm's name differ in capitals and blanks only.
    ``day`` and ``day_squares`` sum the days from the experiment's start to the assignment;
    ``first_day`` and ``last_day`` bound the assignment.
    """
    day = people.assigned.delta(people.start, unit="day").cast("int64")
    early = (people.touch_age < 0).fill_null(False)
    arms = people.group_by("experiment_id", "arm").aggregate(
        customers=people.count(), switched=people.count(where=people.switched),
        reached=people.count(where=people.touches > 0), touched_early=people.count(where=early),
        known=people.count(where=people.known),
        day=day.sum(), day_squares=(day * day).sum(),
        first_day=people.assigned.min(), last_day=people.assigned.max(),
        window_days=people.declared.min(), pre=people.pre.sum(), messages=people.touches.sum(),
        many_messages=people.count(where=people.touches > MOST_MESSAGES),
        pre_squares=(exact(people.pre) * exact(people.pre)).sum(),
    )  # fmt: skip
    parts = {
        "ordered_first": _ordered_first(people, spends),
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
    arms = arms.mutate(**{name: arms[name].fill_null(0) for name in parts})
    written = assignments.group_by(e="experiment_id", a="arm").aggregate(
        factors=assignments.factors.min()
    )
    alike = ibis.window(group_by=[written.e, written.a.strip().lower()])
    written = written.mutate(spellings=written.count().over(alike))
    return arms.left_join(written, [arms.experiment_id == written.e, arms.arm == written.a]).drop(
        "e", "a"
    )


def _ordered_first(people: ir.Table, spends: ir.Table) -> ir.Table:
    """Find customers who ordered in the window before the first message reached them."""
    reached = people.filter(people.touch_age < people.declared).select(
        "arm", "touch_age", e="experiment_id", c="customer_id"
    )
    rows = spends.filter(spends.orders > 0)
    pairs = rows.join(reached, [rows.experiment_id == reached.e, rows.customer_id == reached.c])
    return pairs.filter(pairs.age < pairs.touch_age)


def _overlapping(people: ir.Table) -> ir.Table:
    """Find customers who were treated in another experiment while this one was open."""
    this = people.select("experiment_id", "customer_id", "arm", "assigned", "declared")
    other = people.filter(people.treated).select(
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


def experiment_states(
    people: ir.Table, spends: ir.Table, days: ir.Table, *, as_of: str
) -> ir.Table:
    """Experiment x arm x channel x tier x purchase history: customers, and sums by history.

    ``at`` is 'before' (as known on the day before the experiment's start) or 'after' (on the last
    day of the declared window; ``horizon`` is that day). A customer without a purchase by then has
    frequency -1 and no days. Sums run over customers whose declared window is over: ``margin``,
    ``orders``, ``revenue`` and ``converted`` of the window, ``pre`` (``missing`` is part of the
    history: 1 for a customer who had not ordered before the start), and spend over repeat days:
    ``total_spend``, its squares, and products with these (``margin_total_spend``), so
    that what is linear in total spend given the history has a mean and a spread in every arm.
    """
    until = (ibis.date(as_of) + ibis.interval(days=1)).cast("date")
    over = (people.assigned + people.declared.as_interval("D")).cast("date") <= until
    done, money = people.filter(over), declared_sums(spends)
    done = done.left_join(money, [done.experiment_id == money.e, done.customer_id == money.c])
    done = done.mutate(
        **{name: done[name].fill_null(0) for name in ("orders", "revenue", "margin")}
    )
    return ibis.union(*(part for part in _histories(done, days)), distinct=False)


def _histories(done: ir.Table, days: ir.Table) -> Iterator[ir.Table]:
    told = done.select(
        *CELL, "customer_id", "start", "assigned", "declared", "pre", "margin", "orders",
        "revenue", missing=(~done.known).cast("int64"), converted=(done.orders > 0).cast("int64"),
    )  # fmt: skip
    last = ibis.interval(days=1)
    horizons = {
        "before": (told.start - last).cast("date"),
        "after": ((told.assigned + told.declared.as_interval("D")) - last).cast("date"),
    }
    bought = purchase_days(days).select(
        c="customer_id", day="day", spent="revenue", first="first_day"
    )
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
    spend, margin, pre = exact(rows.total_spend), exact(rows.margin), exact(rows.pre)
    plain = ("margin", "orders", "revenue", "converted", "pre", "total_spend")
    keys = (*CELL, "missing", "at", "horizon", "frequency", "first_day", "last_day")
    keys += ("spend_frequency",)
    return rows.group_by(*keys).aggregate(
        n=rows.count(), **{name: rows[name].sum() for name in plain},
        margin_squares=(margin * margin).sum(), pre_squares=(pre * pre).sum(),
        total_spend_squares=(spend * spend).sum(), margin_pre=(margin * pre).sum(),
        **{
            f"{name}_total_spend": (exact(rows[name]) * spend).sum()
            for name in ("margin", "orders", "revenue", "converted", "pre")
        },
    )  # fmt: skip
