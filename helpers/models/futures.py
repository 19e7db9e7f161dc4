"""What these customers may bring: orders and money by step and group, expected and possible.

Priced from `helpers.models.portfolio` (what is expected) and `helpers.models.chances` (what may
come by chance, by the errors of parameters and season); the margin rate strays by its own error.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from helpers.models.chances import People, each_draw, people_of, scaled
from helpers.models.forecast import STATE, Models, states_at
from helpers.models.portfolio import Portfolio
from helpers.models.states import distinct_pairs
from helpers.models.terms import Terms


@dataclass(frozen=True)
class Futures:
    """Orders and revenue of a group of customers in each step: expected, and possible.

    ``expected``: (2, steps, groups); ``draws``: (draws, 2, steps, groups); ``edges``: days from now
    between which the steps lie. ``simulated``: customers simulated in each draw.
    """

    names: list[str]
    customers: np.ndarray
    edges: np.ndarray
    expected: np.ndarray
    draws: np.ndarray
    simulated: int


@dataclass(frozen=True)
class ClvForecast:
    """The forecast of value: totals by group, and step by step.

    ``totals``: one row per group and, last, "total": customers, orders, revenue, margin, service,
    net (margin - service) and clv (net, discounted), with predictive intervals as ``..._low`` and
    ``..._high`` for orders, revenue, margin and clv. ``steps``: one row per monthly step: day_from,
    day_to, discount, orders, revenue, margin, service, net, clv, of all, with intervals of orders,
    revenue and net. Money in currency.
    """

    totals: pd.DataFrame
    steps: pd.DataFrame
    terms: Terms
    as_of: pd.Timestamp
    level: float
    simulated: int


def clv_forecast(
    states: pd.DataFrame,
    spend_states: pd.DataFrame,
    models: Models,
    terms: Terms,
    *,
    by: str = "",
    level: float = 0.90,
    draws: int = 400,
    seed: int = 0,
    max_simulated: int = 10_000,
) -> ClvForecast:
    """Forecast the value that these customers still bring over the horizon, with intervals.

    Formula: sum over steps of discount factor x orders x (spend x margin rate - cost to serve).
    Without discount that is orders x spend x margin rate - service. ``by``: a column of ``states``
    (such as segment, cohort or tier) to total by. The interval is predictive: ``level`` of what
    these very customers may do, through ``draws`` of the parameters, of each customer's posterior,
    of the season and of the margin rate. Above ``max_simulated`` customers a sample of each group
    is simulated; its noise is scaled to the group, and the parameters' error added to first order.
    The order of rows changes nothing.
    """
    found = futures(
        states, spend_states, models, terms.horizon.edges, by=by, draws=draws, seed=seed,
        max_simulated=max_simulated,
    )  # fmt: skip
    worth = price(found.draws, terms, found.edges, seed)
    return ClvForecast(
        totals=_totals(found, terms, worth, by, level),
        steps=by_step(found, terms, level, seed),
        terms=terms,
        as_of=models.as_of,
        level=level,
        simulated=found.simulated,
    )


def futures(
    states: pd.DataFrame,
    spend_states: pd.DataFrame,
    models: Models,
    edges: np.ndarray,
    *,
    by: str = "",
    draws: int = 400,
    seed: int = 0,
    max_simulated: int = 10_000,
) -> Futures:
    """Give what these customers may order and pay between ``edges`` (days from now), by group.

    See `clv_forecast`, which prices it; this is before margin, service and discount.
    """
    order = [*STATE, *(c for c in (by, "spend_frequency", "total_spend") if c in states)]
    states = states.sort_values(order, kind="stable")
    spend_states = spend_states.sort_values(["frequency", "total_spend"], kind="stable")
    book = Portfolio.of(states, spend_states, models, edges, by)
    rng = np.random.default_rng(seed)
    people = people_of(book, spend_states, max_simulated, rng)
    simulate = each_draw if (people.weight == 1).all() else scaled
    drawn = simulate(book, people, models, draws, rng)
    return Futures(
        names=[str(name) for name in book.names],
        customers=np.bincount(book.group, book.at.n, book.size).astype(int),
        edges=np.asarray(edges, dtype=float),
        expected=book.expected(models),
        draws=drawn,
        simulated=len(people.at),
    )


# --- money ---------------------------------------------------------------------------------------

MEASURES = ("orders", "revenue", "margin", "service", "net", "clv")
RANGED = ("orders", "revenue", "margin", "net", "clv")


def price(
    measures: np.ndarray, terms: Terms, edges: np.ndarray, seed: int | None = None
) -> dict[str, np.ndarray]:
    """Turn orders and revenue, (..., 2, steps, groups), into money of each step and group.

    Keys as in ``MEASURES``; clv is net, discounted from the middle of its step. With a ``seed`` the
    margin rate of each draw strays by its error, the margin of orders by their own noise.
    """
    orders, revenue = np.moveaxis(measures, -3, 0)
    margin = revenue * terms.margin_rate
    if seed is not None and (terms.rate_error or terms.order_noise):
        rng = np.random.default_rng([seed, 1])
        shape = (orders.shape[0],) + (1,) * (orders.ndim - 1)
        margin = margin + revenue * rng.normal(0, terms.rate_error, shape)
        spread = terms.order_noise * np.sqrt(np.maximum(orders, 0))
        margin = margin + rng.standard_normal(orders.shape) * spread
    service = orders * terms.cost_to_serve
    net = margin - service
    later = net * terms.factors(edges)[:, None]
    return dict(zip(MEASURES, (orders, revenue, margin, service, net, later), strict=True))


def by_step(found: Futures, terms: Terms, level: float = 0.90, seed: int = 0) -> pd.DataFrame:
    """Give the forecast of all groups together, step by step, with intervals."""
    edges = found.edges
    steps = {"day_from": edges[:-1], "day_to": edges[1:], "discount": terms.factors(edges)}
    priced = price(found.expected, terms, edges)
    steps |= {name: value.sum(axis=1) for name, value in priced.items()}
    worth = price(found.draws, terms, edges, seed)
    for name in ("orders", "revenue", "net"):
        low, high = quantiles(worth[name].sum(axis=2), level)
        steps |= {f"{name}_low": low, f"{name}_high": high}
    return pd.DataFrame(steps)


def quantiles(draws: np.ndarray, level: float) -> np.ndarray:
    """Give the lower and upper end of the interval that holds ``level`` of the draws (axis 0)."""
    tail = (1 - level) / 2
    return np.quantile(draws, [tail, 1 - tail], axis=0)


def _totals(found: Futures, terms: Terms, worth: dict, by: str, level: float) -> pd.DataFrame:
    """Point values and intervals of each group over all steps, and of all groups together."""
    point = {n: v.sum(axis=0) for n, v in price(found.expected, terms, found.edges).items()}
    drawn = {name: worth[name].sum(axis=1) for name in RANGED}
    names, customers = found.names, found.customers
    if by:  # the total is simulated with the groups, so that their errors add up rightly
        names, customers = [*names, "total"], np.append(customers, customers.sum())
        point = {name: np.append(value, value.sum()) for name, value in point.items()}
        drawn = {n: np.hstack([v, v.sum(axis=1, keepdims=True)]) for n, v in drawn.items()}
    columns = {by or "group": names, "customers": customers}
    for name, value in point.items():
        columns[name] = value
        if name in drawn:
            columns[f"{name}_low"], columns[f"{name}_high"] = quantiles(drawn[name], level)
    return pd.DataFrame(columns)


# --- one customer --------------------------------------------------------------------------------


def customer_ranges(
    states: pd.DataFrame,
    models: Models,
    terms: Terms,
    *,
    level: float = 0.90,
    draws: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Give what one customer of each state may order and pay over the horizon: predictive ranges.

    ``states`` carries spend_frequency and total_spend. One row per row of ``states``: orders_low,
    orders_high, net_low, net_high. Wide by nature: a single customer is mostly chance.
    """
    at = states_at(states, models.as_of, models.purchase.days_per_unit, models.season)
    one = replace(at, n=np.ones(len(at)))
    mean_total = (states["total_spend"] / states["n"]).to_numpy(float)
    owner = np.arange(len(states))
    people = People(owner, one, states["spend_frequency"].to_numpy(), mean_total, owner, np.ones(1))
    book = Portfolio(states, states, one, distinct_pairs(one), owner, list(owner),
                 np.array([0.0, terms.horizon.days]))  # fmt: skip
    drawn = each_draw(book, people, models, draws, np.random.default_rng(seed))
    worth = price(drawn, terms, book.edges, seed)
    found = {}
    for name in ("orders", "net"):
        found[f"{name}_low"], found[f"{name}_high"] = quantiles(worth[name][:, 0], level)
    return pd.DataFrame(found, index=states.index)
