"""Cohorts by age: what customers of one first month did as they grew older.

Customers are gone through once for each unit of age; every sum adds up, so dimensions roll up the
cells of all of them.
"""

import ibis
from ibis.expr import types as ir

from helpers.summaries.expressions import MONEY, month_of, told_apart, whole

HORIZONS = (30, 60, 90, 180, 365, 730)


def cohort_ages(days: ir.Table, facts: ir.Table) -> list[ir.Table]:
    """Cohorts of first order month by age: customers, active, orders, money and its squares.

    For each money column: the step's sum, the sum over customers of its square (``_squares``), and
    the step's increment of the sum over customers of the squared cumulative amount
    (``_cumulative_squares``: 2 x before x step + step squared), and both of cubes. Steps without
    activity have no row.
    """
    units = ("month", "days30", "horizon")
    return [by_cohort(days, facts, unit, ("all", "channel")) for unit in units]


def outside_cohorts(days: ir.Table) -> ir.Table:
    """Revenue of days that no cohort holds: refunds of orders placed before the files begin."""
    rows = days.filter(days.cohort_day.isnull() | (days.day < days.cohort_day))
    return rows.aggregate(
        customers=rows.customer_id.nunique(), revenue=rows.revenue.sum().fill_null(0)
    )


def aged(days: ir.Table, unit: str) -> ir.Table:
    """Give customer-days their age: in calendar months, 30-day steps, or the end of HORIZONS.

    ``unit`` is 'month', 'days30' or 'horizon'. A refund of an order from before the files may stand
    before the first order, in its month: days before it have no age, and are left out.
    """
    elapsed = days.day.delta(days.cohort_day, unit="day")
    age = {
        "month": (days.day.year() - days.cohort_day.year()) * 12
        + (days.day.month() - days.cohort_day.month()),
        "days30": elapsed.cast("int64") // 30,
        "horizon": ibis.cases(*((elapsed < end, end) for end in HORIZONS)),
    }[unit]
    rows = days.mutate(age=age.cast("int64"))
    return rows.filter(rows.age.notnull() & (elapsed >= 0))


def by_cohort(
    days: ir.Table,
    facts: ir.Table,
    unit: str,
    dimensions: tuple[str, ...],
    money: tuple[str, ...] = MONEY,
) -> ir.Table:
    """Cohorts by age, for each of ``dimensions``: columns of ``facts``, or 'all' (`cohort_ages`).

    ``days`` holds customer-days with their ``cohort_day``, ``facts`` one row a customer; ``unit``
    as for `aged`. Customers are gone through once: all sums add up, so each dimension rolls up the
    cells of all of them.
    """
    rows = aged(days, unit)
    step = rows.group_by("customer_id", "age").aggregate(
        cohort=month_of(rows.cohort_day.min()),
        orders=whole(rows.orders),
        **{name: whole(rows[name]) for name in money},
    )
    before = ibis.window(group_by=step.customer_id, order_by=step.age, preceding=(None, 1))
    earlier = {
        f"{name}_before": step[name].cast("float64").sum().over(before).fill_null(0).cast("int64")
        for name in money
    }
    columns = [name for name in dimensions if name != "all"]
    facts = facts.filter(facts.cohort_day.notnull())
    of = facts.select("customer_id", *columns, cohort=month_of(facts.cohort_day))
    step = step.mutate(**earlier)
    if columns:
        step = step.join(of.drop("cohort"), "customer_id")
    cells = told_apart(_cell_sums(step, columns, money), dimensions)
    sizes = of.group_by("cohort", *columns).aggregate(customers=of.count())
    sizes = told_apart(sizes, dimensions)
    keys = ["cohort", "value", "dimension"]
    found = cells.group_by("cohort", "value", "age", "dimension").aggregate(
        **{name: whole(cells[name]) for name in ("active", "orders")},
        **{name: cells[name].sum() for name in cells.columns if name.startswith(money)},
    )
    found = found.join(sizes.group_by(keys).aggregate(customers=whole(sizes.customers)), keys)
    return found.mutate(age_unit=ibis.literal(unit)).relocate("dimension", after="age_unit")


def _cell_sums(step: ir.Table, columns: list[str], money: tuple[str, ...]) -> ir.Table:
    """Sum customers' steps, and what they make of squares and cubes, by cohort, age and columns."""
    sums = {}
    for name in money:
        before, after = step[f"{name}_before"], step[f"{name}_before"] + step[name]
        sums[name] = step[name].sum()
        for power, what in ((2, "squares"), (3, "cubes")):
            sums[f"{name}_{what}"] = _power(step[name], power).sum()
            sums[f"{name}_cumulative_{what}"] = (_power(after, power) - _power(before, power)).sum()
    return step.group_by("cohort", "age", *columns).aggregate(
        active=step.count(where=step.orders > 0), orders=step.orders.sum(), **sums
    )


def _power(amount: ir.IntegerColumn, power: int) -> ir.DecimalColumn:
    """Raise whole minor units to a power, exactly, up to the 38 digits that engines have.

    DuckDB keeps the product of two decimals of up to 18 digits to 18 digits, and fails beyond.
    """
    exact = amount.cast("decimal(19, 0)")
    product = exact
    for _ in range(power - 1):
        product = product * exact
    return product
