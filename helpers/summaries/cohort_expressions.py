"""Summaries behind cohorts, as Ibis expressions: traits, ages by trait, baskets, months in a row.

Money is in whole minor units. As in `helpers.summaries.expressions`, summaries hold facts only.
"""

import ibis
from ibis.expr import types as ir

from helpers.summaries.ages import age_of, by_cohort, since_first_order
from helpers.summaries.arithmetic import exact, month_of, whole
from helpers.summaries.days import opens
from helpers.summaries.value_expressions import DIMENSIONS, bounded, with_traits

# What cohorts are told apart by, one at a time; DIMENSIONS come from `customer_segments`.
TRAITS = (*DIMENSIONS, "cart_flow", "campaign", "age_band")
# A campaign counts as the one that brought a customer if it reached them so many days before.
CAMPAIGN_DAYS = 30


def month_pairs(days: ir.Table) -> ir.Table:
    """Months with the month before in which the same customers ordered: customers of both.

    ``previous`` is missing for the first month of a customer that the files hold. From this
    follows who would look new, had the files begun in any later month.
    """
    rows = days.mutate(month=month_of(days.day))
    rows = rows.filter(opens(rows, rows.month))
    return rows.group_by("month", previous=month_of(rows.previous_day)).aggregate(
        customers=rows.count()
    )


def customer_traits(segments: ir.Table, customers: ir.Table, touchpoints: ir.Table) -> ir.Table:
    """One row per customer with an order: the value of each of TRAITS, and ``cohort_day``.

    To what `customer_segments` knows come the last campaign of which a message went out to the
    customer before the first order, at most CAMPAIGN_DAYS earlier (unless it is known not to have
    arrived), and the age band. None can be had by staying only: that would make those who have it
    look loyal; country, class, loyalty and age band are today's, though. Not known is 'unknown', in
    a shop with campaigns nobody's 'no campaign'; at most MOST_VALUES (of `value_expressions`)
    different values remain, the smallest are 'other'.
    """
    first = segments.select("customer_id", "cohort_day", "first_at")
    ages = customers.group_by("customer_id").aggregate(age_band=customers.age_band.min())
    sent = touchpoints.filter(touchpoints.campaign_id.notnull())
    recorded = sent.aggregate(recorded=sent.count() > 0)
    sent = sent.filter(sent.delivered.fill_null(True)).join(first, "customer_id")
    early = sent.cohort_day.delta(sent.sent_date, unit="day")
    sent = sent.filter((sent.sent_at < sent.first_at) & (early <= CAMPAIGN_DAYS))
    order = ibis.window(group_by=sent.customer_id, order_by=[sent.sent_at.desc(), sent.campaign_id])
    last = sent.mutate(place=ibis.row_number().over(order))
    last = last.filter(last.place == 0).select("customer_id", campaign="campaign_id")
    found = segments
    for other in (last, ages):
        found = found.left_join(other, "customer_id").drop("customer_id_right")
    # Where campaigns are recorded at all, a customer without one came without one.
    found = found.cross_join(recorded)
    none = ibis.cases((found.recorded, "no campaign"))
    found = found.mutate(campaign=found.campaign.fill_null(none))
    found = bounded(found, ("cart_flow", "campaign", "age_band"))
    return found.select("customer_id", "cohort_day", *TRAITS)


def trait_ages(days: ir.Table, traits: ir.Table, *, dimension: str) -> ir.Table:
    """Cohorts by age for one of TRAITS: columns of `cohort_ages`, in months and 30-day steps."""
    rows = with_traits(days, traits, (dimension,))
    return by_cohort(rows, traits, ("month", "days30"), (dimension,))


def basket_ages(days: ir.Table, facts: ir.Table) -> ir.Table:
    """Cohorts by month of age: orders, revenue and discounts, with their products.

    ``list_value`` is revenue of sale lines plus their ``discounts``. Besides sums there are the
    sums over customers of squares, of cubes (orders) and of cross products (``orders_revenue``,
    ``discounts_list_value``), from which ratios get their intervals.
    """
    names = ("orders", "revenue", "discounts", "list_value")
    rows = since_first_order(days)
    rows = rows.mutate(
        cohort=month_of(rows.cohort_day), age=age_of(rows.day, rows.cohort_day, "month"),
        list_value=rows.revenue + rows.refunds + rows.discounts,
    )  # fmt: skip
    step = rows.group_by("customer_id", "cohort", "age").aggregate(
        **{name: whole(rows[name]) for name in names}
    )
    sums = {name: exact(step[name]) for name in names}
    found = step.group_by("cohort", "age").aggregate(
        **{name: step[name].sum() for name in names},
        **{f"{name}_squares": (value * value).sum() for name, value in sums.items()},
        orders_cubes=(sums["orders"] * sums["orders"] * sums["orders"]).sum(),
        orders_revenue=(sums["orders"] * sums["revenue"]).sum(),
        discounts_list_value=(sums["discounts"] * sums["list_value"]).sum(),
    )
    of = facts.filter(facts.cohort_day.notnull())
    of = of.mutate(cohort=month_of(of.cohort_day))
    sizes = of.group_by("cohort").aggregate(customers=of.count())
    every = ibis.literal("all")
    return found.join(sizes, "cohort").mutate(
        age_unit=ibis.literal("month"), dimension=every, value=every
    )
