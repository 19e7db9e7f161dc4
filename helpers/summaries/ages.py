"""Cohorts by age: what customers of one first month did as they grew older.

Customer-days are gone through once: they know what came before them, and every sum adds up, so that
units of age and dimensions roll up the cells of all of them.
"""

import ibis
from ibis.expr import types as ir

from helpers.summaries.arithmetic import exact, month_of, told_apart, whole
from helpers.summaries.days import MONEY

HORIZONS = (30, 60, 90, 180, 365, 730)


def cohort_ages(days: ir.Table, facts: ir.Table) -> ir.Table:
    """Cohorts of first order month by age: customers, active, orders, money and its squares.

    For each money column: the step's sum, and what the step adds to the sum over customers of the
    square of all they have brought so far (``_cumulative_squares``: after it squared less before it
    squared), and likewise to that of cubes. Steps without activity have no row.
    """
    return by_cohort(days, facts, ("month", "days30", "horizon"), ("all", "channel"))


def outside_cohorts(days: ir.Table) -> ir.Table:
    """Revenue of days that no cohort holds: refunds of orders placed before the files begin."""
    rows = days.filter(days.cohort_day.isnull() | (days.day < days.cohort_day))
    return rows.aggregate(
        customers=rows.customer_id.nunique(), revenue=rows.revenue.sum().fill_null(0)
    )


def age_of(day: ir.DateValue, cohort_day: ir.DateValue, unit: str) -> ir.IntegerValue:
    """Give the age at a day: in calendar months, 30-day steps, or the end of HORIZONS.

    ``unit`` is 'month', 'days30' or 'horizon'; beyond the last of HORIZONS there is no age.
    """
    elapsed = day.delta(cohort_day, unit="day")
    age = {
        "month": (day.year() - cohort_day.year()) * 12 + (day.month() - cohort_day.month()),
        "days30": elapsed.cast("int64") // 30,
        "horizon": ibis.cases(*((elapsed < end, end) for end in HORIZONS)),
    }[unit]
    return age.cast("int64")


def since_first_order(days: ir.Table) -> ir.Table:
    """Keep days that have an age.

    A refund of an order from before the files may stand before the first order, in its month.
    """
    return days.filter(days.day >= days.cohort_day)


def opens_step(days: ir.Table, unit: str) -> ir.BooleanColumn:
    """Say of customer-days whether they are the customer's first with an order in their step."""
    back = age_of(days.previous_day, days.cohort_day, unit)
    is_first = back.isnull() | (back < age_of(days.day, days.cohort_day, unit))
    return (days.orders > 0) & is_first


def by_cohort(
    days: ir.Table,
    who: ir.Table,
    units: tuple[str, ...],
    dimensions: tuple[str, ...],
    money: tuple[str, ...] = MONEY,
) -> ir.Table:
    """Cohorts by age, for each of ``dimensions``: columns of both tables, or 'all' (`cohort_ages`).

    ``days`` holds customer-days with their ``cohort_day`` and what came before them
    (`customer_days`), ``who`` one row a customer; ``units`` are those of `age_of`. Days are gone
    through once: what a day adds to squares and cubes adds up to what its step adds, and all sums
    add up, so that each unit and dimension rolls up the same cells.
    """
    columns = [name for name in dimensions if name != "all"]
    rows = since_first_order(days)
    rows = rows.mutate(
        cohort=month_of(rows.cohort_day),
        **{unit: age_of(rows.day, rows.cohort_day, unit) for unit in units},
        **{f"active_{unit}": opens_step(rows, unit).cast("int64") for unit in units},
    )
    sums = {}
    for name in money:
        before, after = rows[f"{name}_before"], rows[f"{name}_before"] + rows[name]
        sums[name] = rows[name].sum()
        for power, what in ((2, "squares"), (3, "cubes")):
            sums[f"{name}_cumulative_{what}"] = (_power(after, power) - _power(before, power)).sum()
    cells = rows.group_by("cohort", *units, *columns).aggregate(
        orders=rows.orders.sum(),
        **{f"active_{unit}": rows[f"active_{unit}"].sum() for unit in units},
        **sums,
    )
    who = who.filter(who.cohort_day.notnull())
    who = who.mutate(cohort=month_of(who.cohort_day))
    sizes = told_apart(
        who.group_by("cohort", *columns).aggregate(customers=who.count()), dimensions
    )
    keys = ["cohort", "value", "dimension"]
    sizes = sizes.group_by(keys).aggregate(customers=whole(sizes.customers))
    parts = []
    for unit in units:
        told = told_apart(cells.filter(cells[unit].notnull()), dimensions)
        found = told.group_by("cohort", "value", "dimension", age=told[unit]).aggregate(
            active=whole(told[f"active_{unit}"]), orders=whole(told.orders),
            **{name: told[name].sum() for name in sums},
        )  # fmt: skip
        parts.append(found.mutate(age_unit=ibis.literal(unit)))
    found = ibis.union(*parts, distinct=False) if len(parts) > 1 else parts[0]
    found = found.join(sizes, keys)
    return found.select("cohort", "value", "age", "active", "orders", *sums, "customers",
                        "age_unit", "dimension")  # fmt: skip


def _power(amount: ir.IntegerColumn, power: int) -> ir.DecimalColumn:
    """Raise whole minor units to a power."""
    product = exact(amount)
    for _ in range(power - 1):
        product = product * exact(amount)
    return product
