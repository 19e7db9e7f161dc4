"""Customers not yet acquired, as a line of their own, and the months that both lines add up to.

A month's sales are those of customers won by now and of customers still to be won; only together
they can be held against what a month really brought. How many will be won is not the purchase
model's affair: it goes on as it went, with an error of its own.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.models import btyd
from helpers.models.calendar import month_edges
from helpers.models.forecast import Day, Models
from helpers.models.futures import Futures, price, quantiles
from helpers.models.terms import Terms

# What the growth of a year may differ from that of the year before, as a standard deviation.
GROWTH_CHANGE = 0.10


@dataclass(frozen=True)
class Newcomers:
    """New customers month by month, and what they bring in these months.

    ``rule`` says how many were expected, and why. Arrays by month: ``customers``; ``orders`` and
    ``revenue`` of first and repeat purchases, ``net`` after margin and service; ``draws``
    (draws, months) multiply them all: another number of customers won.
    """

    rule: str
    customers: np.ndarray
    orders: np.ndarray
    revenue: np.ndarray
    margin: np.ndarray
    service: np.ndarray
    draws: np.ndarray


def arrivals(new: pd.Series, ahead: int) -> tuple[np.ndarray, float, float, str]:
    """Expect new customers in the months ahead from those of the months so far.

    ``new``: by month (a period index without gaps). With two years: the same month a year before,
    times the growth of the last twelve months over the twelve before. With one: the mean of the
    last half year; else of the last three months. Gives the counts, the standard deviation of the
    logarithm that all months share, that of a single month, and the rule in words.
    """
    values = new.to_numpy(float)
    if not values[-3:].sum():
        return (
            np.zeros(ahead),
            0.0,
            0.0,
            "nobody new came in the last three months, so none is expected",
        )
    if len(values) >= 24 and values[-24:-12].sum() > 0 and (values[-24:] > 0).all():
        growth = values[-12:].sum() / values[-24:-12].sum()
        year = values[-12:] * growth
        counts = np.array([year[k % 12] * growth ** (k // 12) for k in range(ahead)])
        stray = np.log(values[-12:] / (values[-24:-12] * growth))
        rule = "as many as in the same month a year before, times last year's growth"
    else:
        size = 6 if len(values) >= 12 else 3
        counts = np.full(ahead, values[-size:].mean())
        stray = np.log(np.maximum(values[-size:], 0.5) / values[-size:].mean())
        rule = f"as many as in the mean of the last {size} months; season is not in it"
    single = float(np.sqrt(max(np.var(stray) - 1 / max(counts.mean(), 1), 0.0)))
    shared = float(np.hypot(single / np.sqrt(len(stray)), GROWTH_CHANGE))
    return counts, shared, single, rule


def newcomers(
    months: pd.DataFrame,
    models: Models,
    terms: Terms,
    as_of: Day,
    ahead: int,
    *,
    left_out: int = 0,
    service_per_order: float = 0.0,
    draws: int = 400,
    seed: int = 0,
) -> Newcomers:
    """Forecast what customers not yet acquired will bring in the next calendar months.

    ``months``: ``cohort_months``, of which the first ``left_out`` hold many who only look new,
    since their earlier orders lie before the files; how many will be won is read from the others.
    Their first orders are worth what first orders of the last twelve
    months were, less ``service_per_order`` (cost that the margin does not hold); their repeats come
    as the purchase model expects from the middle of the month in which they are won, at the mean
    spend and on the same ``terms`` as those of present customers.
    """
    as_of = pd.Timestamp(as_of)
    by = months.groupby(pd.to_datetime(months["start"]).dt.to_period("M"))
    sums = by[
        ["new_customers", *(f"first_{n}" for n in ("revenue", "margin", "margin_revenue"))]
    ].sum()
    sums = sums.reindex(
        pd.period_range(sums.index.min(), as_of.to_period("M"), freq="M"), fill_value=0
    )
    counts, shared, single, rule = arrivals(sums["new_customers"].iloc[left_out:], ahead)
    year = sums.iloc[-12:].sum()
    spend = year["first_revenue"] / max(year["new_customers"], 1)
    known = year["first_margin_revenue"]
    rate = year["first_margin"] / known if terms.margin_rate < 1 and known > 0 else 1.0
    repeats = _repeats(models, month_edges(as_of, ahead), counts)
    value = repeats * models.spend.mean
    rng = np.random.default_rng([seed, 2])
    common = rng.normal(0, shared, (draws, 1))
    chance = rng.normal(0, 1, (draws, ahead)) * np.hypot(single, 1 / np.sqrt(np.maximum(counts, 1)))
    return Newcomers(
        rule=rule,
        customers=counts,
        orders=counts + repeats,
        revenue=counts * spend + value,
        margin=counts * spend * rate + value * terms.margin_rate,
        service=counts * service_per_order + repeats * terms.cost_to_serve,
        draws=np.exp(common + chance - (shared**2 + single**2) / 2),
    )


def _repeats(models: Models, edges: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Repeat purchases in each month of customers who are won in it or in a month before."""
    middle = (edges[1:] + edges[:-1]) / 2
    clock = models.clock
    since = np.maximum(clock.ahead(edges)[None, :] - clock.ahead(middle)[:, None], 0)
    reached = btyd.expected_purchases_new(models.purchase, since)
    return counts @ np.diff(reached, axis=1)


def month_forecast(
    present: Futures,
    new: Newcomers,
    terms: Terms,
    as_of: Day,
    *,
    level: float = 0.90,
    seed: int = 0,
) -> pd.DataFrame:
    """Give profit and loss by calendar month: customers of today, customers to come, and both.

    One row per month: start; orders_present, orders_new, orders; new_customers; revenue_present,
    revenue_new, revenue; margin, service, net (of both) and net_present; intervals of orders,
    revenue and net of both, and orders_present; and ``..._to_date`` with intervals: orders_present
    and revenue from the first month on, which a ledger holds against what happened.
    """
    start = pd.Timestamp(as_of).to_period("M")
    starts = [(start + k + 1).to_timestamp() for k in range(len(present.edges) - 1)]
    own = {k: v.sum(axis=1) for k, v in price(present.expected, terms, present.edges).items()}
    drawn = price(present.draws, terms, present.edges, seed)
    drawn = {name: value.sum(axis=2) for name, value in drawn.items()}
    size = min(len(new.draws), len(drawn["orders"]))
    both = {
        "orders_present": drawn["orders"][:size],
        "orders": drawn["orders"][:size] + new.orders * new.draws[:size],
        "revenue": drawn["revenue"][:size] + new.revenue * new.draws[:size],
        "net": drawn["net"][:size] + (new.margin - new.service) * new.draws[:size],
    }
    table = {
        "start": starts,
        "orders_present": own["orders"], "orders_new": new.orders,
        "orders": own["orders"] + new.orders, "new_customers": new.customers,
        "revenue_present": own["revenue"], "revenue_new": new.revenue,
        "revenue": own["revenue"] + new.revenue,
        "margin": own["margin"] + new.margin, "service": own["service"] + new.service,
        "net_present": own["net"],
    }  # fmt: skip
    table["net"] = table["margin"] - table["service"]
    for name, value in both.items():
        table[f"{name}_low"], table[f"{name}_high"] = quantiles(value, level)
    for name in ("orders_present", "revenue"):
        sums = np.cumsum(both[name], axis=1)
        table[f"{name}_to_date"] = np.cumsum(table[name])
        low, high = quantiles(sums, level)
        table[f"{name}_to_date_low"], table[f"{name}_to_date_high"] = low, high
    return pd.DataFrame(table)
