"""Summaries behind cohorts, as Ibis expressions: traits, ages by trait, baskets, months in a row.

Money is in whole minor units. As in `helpers.summaries.expressions`, summaries hold facts only.
"""

import ibis
from ibis.expr import types as ir

from helpers.summaries.ages import aged, by_cohort
from helpers.summaries.expressions import month_of
from helpers.summaries.value_expressions import DIMENSIONS, bounded

# What cohorts are told apart by, one at a time; DIMENSIONS come from `customer_segments`.
TRAITS = (*DIMENSIONS, "cart_flow", "campaign", "age_band")
# A campaign counts as the one that brought a customer if it reached them so many days before.
CAMPAIGN_DAYS = 30
_EXACT = "decimal(18, 0)"


def month_pairs(days: ir.Table) -> ir.Table:
    """Months with the month before in which the same customers ordered: customers of both.

    ``previous`` is missing for the first month of a customer that the files hold. From this
    follows who would look new, had the files begun in any later month.
    """
    active = days.filter(days.orders > 0)
    months = active.select("customer_id", month=month_of(active.day)).distinct()
    before = ibis.window(group_by=months.customer_id, order_by=months.month)
    months = months.mutate(previous=months.month.lag().over(before))
    return months.group_by("month", "previous").aggregate(customers=months.count())


def customer_traits(
    segments: ir.Table, orders: ir.Table, customers: ir.Table, touchpoints: ir.Table
) -> ir.Table:
    """One row per customer with an order: the value of each of TRAITS, and ``cohort_day``.

    To what `customer_segments` knows come the checkout flow of the first day, the last campaign
    that reached the customer in the 30 days up to it, and the age band. All are known on that
    day: a trait that only those who stay can get would make them look loyal. Not known is
    'unknown'; at most MOST_VALUES (of `value_expressions`)
    different values remain, the smallest are 'other'.
    """
    first = segments.select("customer_id", "cohort_day")
    lines = orders.filter(~orders.is_refund).join(first, "customer_id")
    lines = lines.filter(lines.order_date == lines.cohort_day)
    flows = lines.group_by("customer_id").aggregate(cart_flow=lines.cart_flow.min())
    ages = customers.group_by("customer_id").aggregate(age_band=customers.age_band.min())
    sent = touchpoints.filter(touchpoints.campaign_id.notnull()).join(first, "customer_id")
    early = sent.cohort_day.delta(sent.sent_date, unit="day")
    sent = sent.filter((early >= 0) & (early <= CAMPAIGN_DAYS))
    order = ibis.window(
        group_by=sent.customer_id, order_by=[sent.sent_date.desc(), sent.campaign_id]
    )
    last = sent.mutate(place=ibis.row_number().over(order))
    last = last.filter(last.place == 0).select("customer_id", campaign="campaign_id")
    found = segments
    for other in (flows, last, ages):
        found = found.left_join(other, "customer_id").drop("customer_id_right")
    # Where campaigns are recorded at all, a customer without one came without one.
    recorded = found.campaign.notnull().any().over(ibis.window())
    none = ibis.cases((recorded, "no campaign"))
    found = found.mutate(campaign=found.campaign.fill_null(none))
    found = bounded(found, ("cart_flow", "campaign", "age_band"))
    return found.select("customer_id", "cohort_day", *TRAITS)


def trait_ages(days: ir.Table, traits: ir.Table, *, dimension: str) -> list[ir.Table]:
    """Cohorts by age for one of TRAITS: columns of `cohort_ages`, in months and 30-day steps."""
    units = ("month", "days30")
    return [by_cohort(days, traits, unit, (dimension,)) for unit in units]


def basket_ages(days: ir.Table, orders: ir.Table, facts: ir.Table) -> ir.Table:
    """Cohorts by month of age: orders, revenue and discounts, with their products.

    ``list_value`` is revenue of sale lines plus their ``discounts``. Besides sums there are the
    sums over customers of squares, of cubes (orders) and of cross products (``orders_revenue``,
    ``discounts_list_value``), from which ratios get their intervals.
    """
    zero = ibis.literal(0, "int64")
    names = ("orders", "revenue", "discounts", "list_value")

    def part(table: ir.Table, day: ir.Value, **values: ir.Value) -> ir.Table:
        amounts = {name: values.get(name, zero).cast("int64") for name in names}
        return table.select("customer_id", day=day, **amounts)

    sales = orders.filter(~orders.is_refund)
    cut = sales.discount.fill_null(0)
    rows = ibis.union(
        part(days, days.day, orders=days.orders, revenue=days.revenue),
        part(sales, sales.order_date, discounts=cut, list_value=sales.revenue + cut),
        distinct=False,
    )
    rows = rows.join(facts.select("customer_id", "cohort_day"), "customer_id")
    rows = aged(rows, "month")
    rows = rows.mutate(cohort=month_of(rows.cohort_day))
    step = rows.group_by("customer_id", "cohort", "age").aggregate(
        **{name: rows[name].sum() for name in names}
    )
    exact = {name: step[name].cast(_EXACT) for name in names}
    found = step.group_by("cohort", "age").aggregate(
        **{name: step[name].sum() for name in names},
        **{f"{name}_squares": (value * value).sum() for name, value in exact.items()},
        orders_cubes=(exact["orders"] * exact["orders"] * exact["orders"]).sum(),
        orders_revenue=(exact["orders"] * exact["revenue"]).sum(),
        discounts_list_value=(exact["discounts"] * exact["list_value"]).sum(),
    )
    of = facts.filter(facts.cohort_day.notnull())
    of = of.mutate(cohort=month_of(of.cohort_day))
    sizes = of.group_by("cohort").aggregate(customers=of.count())
    whole = ibis.literal("all")
    return found.join(sizes, "cohort").mutate(
        age_unit=ibis.literal("month"), dimension=whole, value=whole
    )
