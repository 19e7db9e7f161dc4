"""What these customers may do: expectations, and possible futures, by step and group, with money.

Parameters are drawn from their near-normal logarithms, each customer's rate, end and spend from its
posterior given them (conjugate, so no Markov chains), the season and the margin rate from theirs.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from helpers.errors import DataError, UsageError, nearest
from helpers.models import btyd, gamma_gamma
from helpers.models.forecast import (
    STATE,
    Clock,
    Models,
    expected_spend,
    has_spend,
    orders_if_alive,
    states_at,
)
from helpers.models.season import Season
from helpers.models.states import States, distinct_pairs
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
    book = _Book.of(states, spend_states, models, edges, by)
    rng = np.random.default_rng(seed)
    people = _people(book, spend_states, max_simulated, rng)
    simulate = _each_draw if (people.weight == 1).all() else _scaled
    drawn = simulate(book, people, models, draws, rng)
    return Futures(
        names=[str(name) for name in book.names],
        customers=np.bincount(book.group, book.at.n, book.size).astype(int),
        edges=np.asarray(edges, dtype=float),
        expected=book.expected(models),
        draws=drawn,
        simulated=len(people.at),
    )


def expected_steps(
    states: pd.DataFrame, spend_states: pd.DataFrame, models: Models, edges: np.ndarray
) -> np.ndarray:
    """Give expected orders and revenue of all these customers between ``edges``: (2, steps)."""
    return _Book.of(states, spend_states, models, edges, "").expected(models).sum(axis=2)


def what_if(
    states: pd.DataFrame,
    spend_states: pd.DataFrame,
    models: Models,
    terms: Terms,
    *,
    churn: float = 1.0,
    frequency: float = 1.0,
    margin: float = 0.0,
) -> float:
    """Give the discounted value of these customers if something about them changed from now on.

    ``churn`` multiplies how readily active customers leave (their a, or s), ``frequency`` the pace
    at which they buy, ``margin`` is added to the margin rate (0.01 is one point). All else stays:
    who is still active today, and what they spend.
    """
    changed = replace(terms, margin_rate=terms.margin_rate + margin)
    book = _Book.of(states, spend_states, models, terms.horizon.edges, "")
    step = np.where(np.isin(models.purchase.names, ["a", "s"]), np.log(churn), 0.0)
    fit = models.purchase.shifted(step)
    until = models.clock.ahead(book.edges) * frequency
    x, T, place = book.pairs
    steps = np.diff(fit.expected_if_alive(x[:, None], T[:, None], until), axis=1)
    later = (steps * changed.discount_factors).sum(axis=1)[place]
    later = later * book.at.n * btyd.p_alive(models.purchase, book.at)
    spend = expected_spend(book.states, spend_states, models.spend)
    return float(changed.net(later, later * spend).sum())


# --- expectations --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Book:
    """The states to value: purchase arrays, pairs, group of each state, steps in days from now."""

    states: pd.DataFrame
    spend_states: pd.DataFrame
    at: States
    pairs: tuple
    group: np.ndarray
    names: list
    edges: np.ndarray

    @classmethod
    def of(cls, states, spend_states, models, edges, by) -> "_Book":
        if by and by not in states:
            raise UsageError(f"by is '{by}', not a column of states.{nearest(by, states.columns)}")
        group, names = np.zeros(len(states), dtype=int), ["total"]
        if by:
            group, names = pd.factorize(states[by], sort=True)
            if (group < 0).any():
                raise DataError(f"{int((group < 0).sum())} states have no value for '{by}'.")
        at = states_at(states, models.as_of, models.purchase.days_per_unit, models.season)
        return cls(states, spend_states, at, distinct_pairs(at), group, list(names), edges)

    @property
    def size(self) -> int:
        """How many groups there are."""
        return len(self.names)

    @cached_property
    def _days(self) -> tuple[np.ndarray, ...]:
        """All days since the first purchase of anybody, and the place of each state's two in
        them."""
        days = [pd.to_datetime(self.states[n]).to_numpy("datetime64[D]") for n in STATE[1:]]
        start = days[0].min()
        every = np.arange(start, days[1].max() + 1)
        return every, *((day - start).astype(int) for day in days)

    def seen_by(self, clock: Clock) -> States:
        """The states as another clock counts time."""
        every, first, last = self._days
        ago = clock.at(every)
        T = ago[first]
        return replace(self.at, recency=np.clip(T - ago[last], 0, T), T=T)

    def expected(self, models: Models) -> np.ndarray:
        """Expected orders and revenue of all customers: (2, steps, groups)."""
        n_alive = self.at.n * btyd.p_alive(models.purchase, self.at)
        n_money = n_alive * expected_spend(self.states, self.spend_states, models.spend)
        steps = orders_if_alive(models, self.pairs, self.edges)
        size = (len(steps), self.size)
        cell = self.pairs[2] * size[1] + self.group
        weights = [np.bincount(cell, w, size[0] * size[1]) for w in (n_alive, n_money)]
        # einsum, not BLAS: the last digits must not depend on the number of threads
        return np.array([np.einsum("ps,pg->sg", steps, w.reshape(size)) for w in weights])


# --- simulation ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _People:
    """Customers one by one: purchase and spend history, group; and by group, how many each is.

    ``row``: the state that each customer has, in the book.
    """

    row: np.ndarray
    at: States
    spend_frequency: np.ndarray
    total_spend: np.ndarray
    group: np.ndarray
    weight: np.ndarray


def _people(
    book: _Book, spend_states: pd.DataFrame, limit: int, rng: np.random.Generator
) -> _People:
    """Unfold the states into customers; above ``limit`` take an even sample within each group."""
    n, rows, weight = book.at.n, [], []
    share = min(1.0, limit / n.sum())
    for code in range(book.size):
        members = np.flatnonzero(book.group == code)
        customers = int(n[members].sum())
        # a small group is simulated whole: its own noise cannot be read off a handful
        size = min(customers, max(int(share * customers), min(limit, 500)))
        start = 0.5 if size == customers else rng.random()
        places = (np.arange(size) + start) * (customers / size)
        found = np.searchsorted(np.cumsum(n[members]), places, side="right")
        rows.append(members[np.minimum(found, len(members) - 1)])
        weight.append(customers / size)
    row = np.concatenate(rows)
    at = _each(book.at, row)
    if has_spend(book.states):
        own = book.states.iloc[row]
        # of customers who share a state only the sum is known: each has the mean
        spend = own["spend_frequency"].to_numpy(), (own["total_spend"] / own["n"]).to_numpy(float)
    else:
        spend = _deal_spend(at.frequency, spend_states, rng)
    return _People(row, at, *spend, group=book.group[row], weight=np.array(weight))


def _each(at: States, row: np.ndarray) -> States:
    """Give the states of single customers."""
    return States(at.frequency[row], at.recency[row], at.T[row], days_per_unit=at.days_per_unit)


def _deal_spend(
    frequency: np.ndarray, spend_states: pd.DataFrame, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Give each customer the spend history of someone with the same frequency.

    Summaries do not say whose spend is whose; within a frequency the models take purchase timing
    and spend as independent, so histories are shuffled and dealt, each once where counts agree.
    """
    row = np.repeat(np.arange(len(spend_states)), spend_states["n"].to_numpy(int))
    known = spend_states["frequency"].to_numpy()[row]
    shuffled = np.lexsort((rng.random(len(row)), known))
    row, known = row[shuffled], known[shuffled]
    first = np.searchsorted(known, frequency, side="left")
    size = np.searchsorted(known, frequency, side="right") - first
    order = np.argsort(frequency, kind="stable")
    ranked = frequency[order]
    rank = np.empty(len(order), dtype=int)
    rank[order] = np.arange(len(order)) - np.searchsorted(ranked, ranked, side="left")
    has = (size > 0) & (frequency > 0)
    dealt = row[np.where(has, first + rank % np.maximum(size, 1), 0)] if len(row) else rank * 0
    total = spend_states["total_spend"].to_numpy(float)
    return np.where(has, frequency, 0), np.where(has, total[dealt], 0.0)


def _simulate(book: _Book, people: _People, models: Models, rng: np.random.Generator) -> np.ndarray:
    """One possible future: orders and revenue by step and group, (2, steps, groups)."""
    edges = models.clock.ahead(book.edges)
    drawn = btyd.simulate_purchases(models.purchase, people.at, edges[-1], rng)
    buyers, owner = np.unique(drawn.row, return_inverse=True)
    rate = gamma_gamma.draw_spend_rates(
        models.spend, people.spend_frequency[buyers], people.total_spend[buyers], rng
    )
    revenue = rng.standard_gamma(models.spend.p, len(owner)) / rate[owner]
    steps = len(edges) - 1
    step = np.clip(np.searchsorted(edges, drawn.time, side="right") - 1, 0, steps - 1)
    cell = step * book.size + people.group[drawn.row]
    measures = (np.ones(len(owner)), revenue)
    sums = [np.bincount(cell, measure, steps * book.size) for measure in measures]
    return np.array(sums).reshape(2, steps, book.size)


def _each_draw(
    book: _Book, people: _People, models: Models, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Possible futures of all customers, each under its own parameters and season.

    Another season moves both the past as the model's clock counts it and the horizon.
    """
    found, seasons = [], _seasons(models, draws, rng)
    for move, season in zip(models.moves(draws, rng), seasons, strict=True):
        moved = replace(models.moved(move), season=season)
        if season is not None:
            people = replace(people, at=_each(book.seen_by(moved.clock), people.row))
        found.append(_simulate(book, people, moved, rng))
    return np.array(found)


def _seasons(models: Models, draws: int, rng: np.random.Generator) -> list[Season | None]:
    """Plausible seasons given the data, or none at all."""
    if models.season is None:
        return [None] * draws
    return [models.season.shifted(move) for move in models.season.log_draws(draws, rng)]


def _scaled(
    book: _Book, people: _People, models: Models, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Possible futures of all customers from a sample: (draws, 2, steps, groups).

    Parameters move the expectation of everyone together (first order in the logarithms), and so
    does the season; what the customers of the sample do by chance is independent, so it grows with
    the square root of n.
    """
    moves = models.moves(draws, rng)
    unit = np.eye(moves.shape[1]) * 1e-3
    floor = 1e-300  # a group that nobody is in expects nothing, whatever the parameters
    logs = [
        [np.log(np.maximum(book.expected(models.moved(e)), floor)) for e in (up, -up)]
        for up in unit
    ]
    slopes = np.array([(up - down) / 2e-3 for up, down in logs])
    drift = np.exp(np.einsum("dp,pmsg->dmsg", moves, slopes))
    if models.season is not None:
        plain = np.diff(models.clock.ahead(book.edges))
        for row, season in enumerate(_seasons(models, draws, rng)):
            ahead = replace(models, season=season).clock.ahead(book.edges)
            drift[row] *= (np.diff(ahead) / plain)[None, :, None]
    expected = book.expected(models) * drift
    drawn = np.array([_simulate(book, people, models, rng) for _ in range(draws)])
    noise = drawn - drawn.mean(axis=0)
    return expected + noise * np.sqrt(people.weight)


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
    people = _People(
        owner, one, states["spend_frequency"].to_numpy(), mean_total, owner, np.ones(1)
    )
    book = _Book(states, states, one, distinct_pairs(one), owner, list(owner),
                 np.array([0.0, terms.horizon.days]))  # fmt: skip
    drawn = _each_draw(book, people, models, draws, np.random.default_rng(seed))
    worth = price(drawn, terms, book.edges, seed)
    found = {}
    for name in ("orders", "net"):
        found[f"{name}_low"], found[f"{name}_high"] = quantiles(worth[name][:, 0], level)
    return pd.DataFrame(found, index=states.index)
