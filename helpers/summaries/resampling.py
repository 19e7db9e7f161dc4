"""Sums by cohort, age and random group of customers, from which errors are found in numpy.

A bootstrap over customers needs each of them hundreds of times; random groups need each once. The
spread between groups of customers holds everything that customers do over their lives: many or
few orders, refunds, a long tail of spend, purchases that hang together from month to month. Source:
Wolter, Introduction to Variance Estimation (2007), chapters 2 (random groups) and 4 (jackknife).
"""

import ibis
from ibis.expr import types as ir

from helpers.summaries.ages import age_of, opens_step, since_first_order
from helpers.summaries.arithmetic import month_of
from helpers.summaries.expressions import PARTS


def cohort_groups(days: ir.Table, facts: ir.Table) -> list[ir.Table]:
    """Cohorts of first order month by age and group: customers, active, orders, revenue, margin.

    Customers fall into 20 groups by the day of their first order, which is the same in any engine
    and on any machine. ``customers`` is the size of the cohort's group; steps without activity have
    no row, but a group always has one at age 0. Small: cohorts x ages x 20. Groups hold a few
    customers each, so they serve errors and are never shown. Ages as in `cohort_ages`.
    """
    return _by_group(days, facts.filter(facts.cohort_day.notnull()), ("month", "days30"))


def trait_groups(days: ir.Table, traits: ir.Table, *, dimension: str) -> list[ir.Table]:
    """Give `cohort_groups` in steps of 30 days for each ``value`` of one of TRAITS."""
    who = traits.select("customer_id", "cohort_day", value=traits[dimension])
    return _by_group(days.join(who.drop("cohort_day"), "customer_id"), who, ("days30",), "value")


def _by_group(days: ir.Table, who: ir.Table, units: tuple[str, ...], *extra: str) -> list[ir.Table]:
    """Sum customer-days by cohort, group of customers, age and what else tells them apart."""

    def grouped(table: ir.Table) -> ir.Table:
        number = table.cohort_day.delta(ibis.date("1970-01-01"), unit="day")
        return table.mutate(cohort=month_of(table.cohort_day), group=(number % PARTS).cast("int64"))

    keys = [*extra, "cohort", "group"]
    who = grouped(who)
    sizes = who.group_by(keys).aggregate(customers=who.count())
    parts = []
    for unit in units:
        rows = grouped(since_first_order(days))
        rows = rows.mutate(age=age_of(rows.day, rows.cohort_day, unit))
        step = rows.group_by([*keys, "age"]).aggregate(
            active=rows.count(where=opens_step(rows, unit)), orders=rows.orders.sum(),
            revenue=rows.revenue.sum(), margin=rows.margin.sum(),
        )  # fmt: skip
        found = step.join(sizes, keys)
        parts.append(found.mutate(age_unit=ibis.literal(unit)))
    return parts
