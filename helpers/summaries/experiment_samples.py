"""What a design sheet and targeting need: the shop's own windows, and a bounded sample."""

import ibis
from ibis.expr import types as ir

from helpers.summaries.arithmetic import whole
from helpers.summaries.days import counted_lines, purchase_days
from helpers.summaries.experiment_moments import covariate_sums, outcome_sums
from helpers.summaries.experiments import WINDOWS, declared_sums, money_days
from helpers.summaries.expressions import PRE_DAYS, experiment_list

# Who could be assigned: customers with an order in the year before.
ACTIVE_DAYS = 365
_METRICS = ("converted", "orders", "revenue", "margin")


def shop_windows(days: ir.Table, costs: ir.Table, *, as_of: str) -> list[ir.Table]:
    """Windows: what customers of the last year did in the days up to ``as_of``, as moments.

    For each of WINDOWS, so many days of which ``as_of`` is the last: ``n`` customers with an order
    in the 365 days before it, and sums, squares and products as in `experiment_moments` (margin
    less what serving cost), as if all had been assigned on its first day. ``joined`` counts the
    customers whose first order fell into it; they are not in ``n``.
    """
    return [_shop_window(days, costs, window, as_of) for window in WINDOWS]


def _shop_window(days: ir.Table, costs: ir.Table, window: int, as_of: str) -> ir.Table:
    start = (ibis.date(as_of) - ibis.interval(days=window - 1)).cast("date")
    rows, longest = money_days(days, costs), max(ACTIVE_DAYS, PRE_DAYS)
    back = start.delta(rows.day, unit="day")
    rows = rows.filter(back <= longest)
    inside, before = back <= 0, back > 0
    each = rows.group_by("customer_id").aggregate(
        eligible=whole(rows.orders, where=before & (back <= ACTIVE_DAYS)),
        orders=whole(rows.orders, where=inside),
        revenue=whole(rows.revenue, where=inside),
        margin=whole(rows.margin, where=inside),
        pre=whole(rows.margin, where=before & (back <= PRE_DAYS)),
    )
    # Customers are gone through once: whoever could not have been assigned adds nothing.
    counts, zero = each.eligible > 0, ibis.literal(0, "int64")
    done = each.select(
        counts=counts,
        converted=(counts & (each.orders > 0)).cast("int64"),
        missing=zero,
        **{
            name: counts.ifelse(each[name], zero) for name in ("orders", "revenue", "margin", "pre")
        },
    )
    sums = covariate_sums(done) | outcome_sums(done, _METRICS)
    sums = {name: value.fill_null(0) for name, value in sums.items()}
    found = done.aggregate(n=done.count(where=done.counts), **sums)
    joined = days.aggregate(
        joined=days.count(where=(days.day == days.cohort_day) & (days.day >= start))
    )
    return found.cross_join(joined).mutate(window_days=ibis.literal(window, "int64"))


def assigned_revenue(orders: ir.Table, assignments: ir.Table, experiments: ir.Table) -> ir.Table:
    """Experiments: revenue of the order lines of assigned customers in the declared window.

    Straight from the lines, by another way than `experiment_moments`, which has to agree with it.
    """
    first = assignments.group_by("experiment_id", "customer_id").aggregate(
        day=assignments.assigned_date.min()
    )
    length = experiment_list(experiments).select("experiment_id", "window_days")
    first = first.join(length, "experiment_id")
    first = first.mutate(end=(first.day + first.window_days.as_interval("D")).cast("date"))
    lines = counted_lines(orders).select("revenue", c="customer_id", sold="day")
    found = first.join(
        lines,
        [first.customer_id == lines.c, lines.sold >= first.day, lines.sold < first.end],
    )
    sums = found.group_by("experiment_id").aggregate(revenue=found.revenue.sum())
    every = first.select("experiment_id").distinct()
    both = every.left_join(sums, "experiment_id").drop("experiment_id_right")
    return both.mutate(revenue=both.revenue.fill_null(0).cast("int64"))


def known_states(days: ir.Table, *, split: str) -> ir.Table:
    """Distinct purchase histories up to the day ``split``: as `customer_states`, of days by then.

    Refunds are those known today, for they stand on the day of their sale.
    """
    bought = purchase_days(days)
    bought = bought.filter(bought.day <= ibis.date(split))
    each = bought.group_by("customer_id").aggregate(
        first_day=bought.day.min(), last_day=bought.day.max(), frequency=bought.count() - 1
    )
    return each.group_by("frequency", "first_day", "last_day").aggregate(n=each.count())


def known_spends(days: ir.Table, *, split: str) -> ir.Table:
    """Distinct repeat spends up to the day ``split``: as `spend_states`, of days by then."""
    again = purchase_days(days)
    again = again.filter(
        (again.day <= ibis.date(split)) & (again.day > again.first_day) & (again.revenue > 0)
    )
    each = again.group_by("customer_id").aggregate(
        frequency=again.count(), total_spend=again.revenue.sum()
    )
    return each.group_by("frequency", "total_spend").aggregate(n=each.count())


def experiment_rows(
    people: ir.Table, spends: ir.Table, days: ir.Table, experiment: str, *, most: int, as_of: str
) -> ir.Table:
    """A bounded sample of one experiment's customers, without their ids, for what learns from rows.

    At most ``most`` customers, by a hash of the id. One row per customer whose declared window is
    over: arm, channel, known; ``margin``, ``converted`` and ``revenue`` of the window; what was
    known before the start: ``pre``, ``frequency``, ``recency`` and ``tenure`` in days, ``spend``;
    and ``placebo``, margin of as many days before the start, which no campaign could have moved;
    what was known before those days has the same names after ``was_``.
    """
    until = (ibis.date(as_of) + ibis.interval(days=1)).cast("date")
    done = people.filter(people.experiment_id == experiment)
    done = done.filter((done.assigned + done.declared.as_interval("D")).cast("date") <= until)
    order = ibis.window(order_by=[done.customer_id.hash(), done.customer_id])
    done = done.mutate(place=ibis.row_number().over(order)).filter(lambda t: t.place < most)
    told = done.select("customer_id", "start", "declared")
    money = days.select("day", "orders", "revenue", "margin", c="customer_id")
    rows = told.join(money, told.customer_id == money.c)
    back = rows.start.delta(rows.day, unit="day")
    each = rows.group_by(c="customer_id").aggregate(
        **_history(rows, back),
        **{f"was_{name}": sum_ for name, sum_ in _history(rows, back - rows.declared).items()},
        placebo=rows.margin.sum(where=(back > 0) & (back <= rows.declared)),
    )  # fmt: skip
    money_after = declared_sums(spends.filter(spends.experiment_id == experiment)).drop("e")
    each = each.rename(customer="c")
    both = done.left_join(each, done.customer_id == each.customer)
    both = both.left_join(money_after, both.customer_id == money_after.c)
    after = {name: both[name].fill_null(0) for name in ("margin", "revenue", "orders")}
    kept = {name: both[name].fill_null(0) for name in each.columns if name != "customer"}
    return both.select(
        "arm", "channel", "tier", "known", "pre", margin=after["margin"],
        revenue=after["revenue"], converted=(after["orders"] > 0).cast("int64"), **kept,
    )  # fmt: skip


def _history(rows: ir.Table, back: ir.IntegerColumn) -> dict[str, ir.Scalar]:
    """Sum up what was known so many days before: orders, recency, tenure, spend, recent margin."""
    before, bought = back > 0, (back > 0) & (rows.orders > 0)
    return {
        "frequency": rows.orders.sum(where=before), "recency": back.min(where=bought),
        "tenure": back.max(where=bought), "spend": rows.revenue.sum(where=before),
        "recent": rows.margin.sum(where=before & (back <= PRE_DAYS)),
    }  # fmt: skip
