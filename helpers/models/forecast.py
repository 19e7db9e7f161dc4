"""From customer states to money: the forecast of customer lifetime value, with intervals.

``clv_forecast`` is margin less cost to serve over a horizon, discounted:

    sum over monthly steps of discount factor x orders x (spend x margin rate - cost to serve)

Orders are repeat purchase days from BG/NBD, spend is revenue per purchase day from Gamma-Gamma
(``btyd``, ``gamma_gamma``). A month is 365.25/12 days; the discount rate is annual and effective,
applied in the middle of each step. Customers not yet acquired are not in it.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from helpers.errors import DataError, UsageError, nearest
from helpers.models import btyd, gamma_gamma
from helpers.models.gamma_gamma import GammaGammaFit
from helpers.models.terms import Terms

STATE = ["frequency", "first_day", "last_day"]
MODEL = "BG/NBD"

Day = str | date | pd.Timestamp


@dataclass(frozen=True)
class Models:
    """The purchase and the spend model fitted on what was known at ``as_of``."""

    purchase: btyd.PurchaseFit
    spend: GammaGammaFit
    as_of: pd.Timestamp


# --- states and fits -----------------------------------------------------------------------------


def states_at(states: pd.DataFrame, as_of: Day, days_per_unit: float = 7.0) -> btyd.States:
    """Turn dated customer states into frequency, recency, T and n, in units of so many days.

    ``states``: ``customer_states``, or any frame with frequency, first_day, last_day and n.
    Rows keep their order. Raises DataError if a state holds a day after ``as_of``.
    """
    as_of = pd.Timestamp(as_of)
    first, last = pd.to_datetime(states["first_day"]), pd.to_datetime(states["last_day"])
    late = int((last > as_of).sum())
    if late:
        raise DataError(
            f"{late} customer states end after {as_of:%Y-%m-%d} (the last on {last.max():%Y-%m-%d})"
            ": states must hold what was known on that day."
        )
    return btyd.States(
        frequency=states["frequency"].to_numpy(float),
        recency=(last - first).dt.days.to_numpy(float) / days_per_unit,
        T=(as_of - first).dt.days.to_numpy(float) / days_per_unit,
        n=states["n"].to_numpy(float),
        days_per_unit=days_per_unit,
    )


def why_not(
    states: pd.DataFrame,
    as_of: Day,
    *,
    min_customers: int = 500,
    min_days: int = 180,
    min_repeaters: int = 100,
) -> str:
    """Say in a sentence why these customers cannot carry a forecast; empty if they can.

    Below these sizes the parameters' errors are as large as the parameters. History is counted
    from the first purchase of any customer to ``as_of``.
    """
    customers = int(states["n"].sum())
    repeaters = int(states.loc[states["frequency"] > 0, "n"].sum())
    if customers < min_customers:
        return f"{counted(customers, 'customer')}: a forecast needs at least {min_customers}."
    days = (pd.Timestamp(as_of) - pd.to_datetime(states["first_day"]).min()).days
    if days < min_days:
        return f"{counted(days, 'day')} of history: a forecast needs at least {min_days}."
    if repeaters < min_repeaters:
        return (
            f"{counted(repeaters, 'customer')} bought on more than one day: "
            f"a forecast needs at least {min_repeaters}."
        )
    return ""


def counted(number: int, noun: str) -> str:
    """Write a number of things that is too few: Only 3 customers."""
    return f"Only {number:,} {noun}{'' if number == 1 else 's'}"


def fit_models(
    states: pd.DataFrame, spend_states: pd.DataFrame, as_of: Day, *, days_per_unit: float = 7.0
) -> Models:
    """Fit how often customers buy and how much they spend, as known on ``as_of``.

    ``days_per_unit`` sets the unit of alpha and of the log-likelihood; it moves no forecast.
    Raises DataError with what was found when a model cannot be fitted.
    """
    purchase = btyd.fit_bgnbd(states_at(states, as_of, days_per_unit))
    columns = (spend_states[name] for name in ("frequency", "total_spend", "n"))
    spend = gamma_gamma.fit_gamma_gamma(*columns)
    return Models(purchase, spend, pd.Timestamp(as_of))


def fit_or_why_not(
    states: pd.DataFrame, spend_states: pd.DataFrame, as_of: Day, *, days_per_unit: float = 7.0
) -> tuple[Models | None, str]:
    """Give the fitted models, or None and the sentence that says why there are none."""
    reason = why_not(states, as_of)
    if reason:
        return None, reason
    try:
        return fit_models(states, spend_states, as_of, days_per_unit=days_per_unit), ""
    except DataError as fault:
        return None, str(fault)


# --- per state: what an engine joins to customers ------------------------------------------------


def score_spend(spend_states: pd.DataFrame, models: Models) -> pd.DataFrame:
    """Give the line that turns a customer's total spend into expected revenue per order.

    One row per spend frequency seen, and 0: ``spend_frequency, intercept, slope``; expected spend
    is intercept + slope x total_spend over those days. A customer's value is then
    discounted_orders x (expected spend x margin rate - cost to serve), in a join.
    """
    frequency = np.union1d([0], spend_states["frequency"].unique()).astype(int)
    intercept, slope = gamma_gamma.spend_line(models.spend, frequency)
    return pd.DataFrame({"spend_frequency": frequency, "intercept": intercept, "slope": slope})


def score_states(
    states: pd.DataFrame, spend_states: pd.DataFrame, models: Models, terms: Terms
) -> pd.DataFrame:
    """Score each distinct state: is the customer still active, how many orders, what value?

    One row per (frequency, first_day, last_day), segments together, in that order: n, p_alive,
    p_active (at least one order within the horizon), expected_orders and discounted_orders of one
    customer, expected_spend (revenue per order) and clv (discounted, of one customer).
    expected_spend is exact if ``states`` carries spend_frequency and total_spend (the sum over its
    customers); else the mean of customers with the same frequency.
    """
    keys = STATE + [c for c in ("spend_frequency",) if _has_spend(states)]
    sums = ["n"] + [c for c in ("total_spend",) if _has_spend(states)]
    scores = states.groupby(keys, as_index=False, sort=True)[sums].sum()
    at = states_at(scores, models.as_of, models.purchase.days_per_unit)
    alive = btyd.p_alive(models.purchase, at)
    pairs = btyd.distinct_pairs(at)
    steps = _orders_if_alive(models.purchase, pairs, terms)
    discounted = alive * (steps * terms.discount_factors).sum(axis=1)[pairs[2]]
    spend = _expected_spend(scores, spend_states, models.spend)
    return scores.assign(
        p_alive=alive,
        p_active=btyd.p_active(models.purchase, at, terms.horizon.days / at.days_per_unit),
        expected_orders=alive * steps.sum(axis=1)[pairs[2]],
        discounted_orders=discounted,
        expected_spend=spend,
        clv=discounted * (spend * terms.margin_rate - terms.cost_to_serve),
    )


def _orders_if_alive(fit: btyd.PurchaseFit, pairs: tuple, terms: Terms) -> np.ndarray:
    """Expected orders given being active, by distinct (x, T) and step: (pairs, steps)."""
    x, T, _ = pairs
    until = terms.horizon.edges / fit.days_per_unit
    return np.diff(fit.expected_if_alive(x[:, None], T[:, None], until), axis=1)


def _has_spend(states: pd.DataFrame) -> bool:
    return {"spend_frequency", "total_spend"} <= set(states.columns)


def _expected_spend(
    states: pd.DataFrame, spend_states: pd.DataFrame, fit: GammaGammaFit
) -> np.ndarray:
    """Expected revenue per order of a customer of each state."""
    if _has_spend(states):
        mean_total = states["total_spend"] / states["n"]
        return gamma_gamma.expected_spend(fit, states["spend_frequency"], mean_total)
    known = spend_states[spend_states["frequency"] > 0]
    total = (known["total_spend"] * known["n"]).groupby(known["frequency"]).sum()
    mean_total = total / known.groupby("frequency")["n"].sum()
    expected = gamma_gamma.expected_spend(fit, mean_total.index, mean_total)
    by_frequency = pd.Series(expected, total.index)
    # no spend seen at this frequency: what a customer without history is expected to spend
    return states["frequency"].map(by_frequency).fillna(fit.mean).to_numpy(float)


# --- totals with intervals -----------------------------------------------------------------------


@dataclass(frozen=True)
class ClvForecast:
    """The forecast of value: totals by group, and step by step.

    ``totals``: one row per group and, last, "total": customers, orders, revenue, margin, service,
    net (margin - service) and clv (net, discounted), with predictive intervals as ``..._low`` and
    ``..._high`` for orders, revenue, margin and clv. ``steps``: one row per monthly step: day_from,
    day_to, discount, orders, revenue, margin, service, net, clv. Money in currency.
    """

    totals: pd.DataFrame
    steps: pd.DataFrame
    terms: Terms
    as_of: pd.Timestamp
    level: float
    simulated: int  # customers simulated in each draw


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
    (such as segment or tier) to total by. The interval is predictive: ``level`` of what these very
    customers may do, through ``draws`` of the parameters (normal in the logarithms) and of each
    customer's posterior. Above ``max_simulated`` customers a sample of each group is simulated; its
    noise is scaled to the group, and the parameters' error added to first order. The order of
    rows changes nothing.
    """
    order = [*STATE, *(c for c in (by, "spend_frequency", "total_spend") if c in states)]
    states = states.sort_values(order, kind="stable")
    spend_states = spend_states.sort_values(["frequency", "total_spend"], kind="stable")
    book = _Book.of(states, spend_states, models.as_of, models.purchase.days_per_unit, terms, by)
    rng = np.random.default_rng(seed)
    people = _people(book, spend_states, max_simulated, rng)
    if (people.weight == 1).all():
        moves = _moves(models, draws, rng)
        sums = np.array([_simulate(book, people, *_moved(models, move), rng) for move in moves])
    else:
        sums = _scaled(book, people, models, draws, rng)
    return ClvForecast(
        totals=_totals(book, book.measures(models.purchase, models.spend), sums, level),
        steps=_steps(book.expected(models.purchase, models.spend).sum(axis=2), terms),
        terms=terms,
        as_of=models.as_of,
        level=level,
        simulated=len(people.at),
    )


@dataclass(frozen=True)
class _Book:
    """The states to value: purchase arrays, pairs, group of each state, and how to price them."""

    states: pd.DataFrame
    spend_states: pd.DataFrame
    at: btyd.States
    pairs: tuple
    group: np.ndarray
    names: list
    by: str
    terms: Terms

    @classmethod
    def of(cls, states, spend_states, as_of, days_per_unit, terms, by) -> "_Book":
        if by and by not in states:
            raise UsageError(f"by is '{by}', not a column of states.{nearest(by, states.columns)}")
        group, names = np.zeros(len(states), dtype=int), []
        if by:
            group, names = pd.factorize(states[by], sort=True)
            if (group < 0).any():
                raise DataError(f"{int((group < 0).sum())} states have no value for '{by}'.")
        at = states_at(states, as_of, days_per_unit)
        pairs = btyd.distinct_pairs(at)
        return cls(states, spend_states, at, pairs, group, list(names), by, terms)

    def expected(self, purchase: btyd.PurchaseFit, spend: GammaGammaFit) -> np.ndarray:
        """Expected orders and revenue of all customers: (2, steps, groups)."""
        n_alive = self.at.n * btyd.p_alive(purchase, self.at)
        n_money = n_alive * _expected_spend(self.states, self.spend_states, spend)
        steps = _orders_if_alive(purchase, self.pairs, self.terms)
        size = (len(steps), max(len(self.names), 1))
        cell = self.pairs[2] * size[1] + self.group
        weights = [np.bincount(cell, w, size[0] * size[1]) for w in (n_alive, n_money)]
        # einsum, not BLAS: the last digits must not depend on the number of threads
        return np.array([np.einsum("ps,pg->sg", steps, w.reshape(size)) for w in weights])

    def measures(self, purchase: btyd.PurchaseFit, spend: GammaGammaFit) -> np.ndarray:
        """Expected orders and revenue, then both discounted: (4, groups)."""
        by_step = self.expected(purchase, spend)
        discounted = by_step * self.terms.discount_factors[:, None]
        return np.concatenate([by_step.sum(axis=1), discounted.sum(axis=1)])


def _moves(models: Models, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Plausible moves of all seven log-parameters: (draws, 7)."""
    return np.hstack([m.log_draws(draws, rng) for m in (models.purchase, models.spend)])


def _moved(models: Models, move: np.ndarray) -> tuple:
    cut = len(models.purchase.names)
    return models.purchase.shifted(move[:cut]), models.spend.shifted(move[cut:])


@dataclass(frozen=True)
class _People:
    """Customers one by one: purchase and spend history, group; and by group, how many each is."""

    at: btyd.States
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
    for code in range(max(len(book.names), 1)):
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
    at = btyd.States(
        book.at.frequency[row],
        book.at.recency[row],
        book.at.T[row],
        days_per_unit=book.at.days_per_unit,
    )
    if _has_spend(book.states):
        own = book.states.iloc[row]
        spend = own["spend_frequency"].to_numpy(), (own["total_spend"] / own["n"]).to_numpy()
    else:
        spend = _deal_spend(at.frequency, spend_states, rng)
    return _People(at, *spend, group=book.group[row], weight=np.array(weight))


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


def _simulate(
    book: _Book,
    people: _People,
    purchase: btyd.PurchaseFit,
    spend: GammaGammaFit,
    rng: np.random.Generator,
) -> np.ndarray:
    """One possible future: (orders, revenue, and the same two discounted) by group."""
    edges = book.terms.horizon.edges / purchase.days_per_unit
    drawn = btyd.simulate_purchases(purchase, people.at, edges[-1], rng)
    buyers, owner = np.unique(drawn.row, return_inverse=True)
    rate = gamma_gamma.draw_spend_rates(
        spend, people.spend_frequency[buyers], people.total_spend[buyers], rng
    )
    revenue = rng.standard_gamma(spend.p, len(owner)) / rate[owner]
    step = np.clip(np.searchsorted(edges, drawn.time, side="right") - 1, 0, len(edges) - 2)
    factor, group = book.terms.discount_factors[step], people.group[drawn.row]
    measures = (np.ones(len(owner)), revenue, factor, factor * revenue)
    size = max(len(book.names), 1)
    return np.array([np.bincount(group, measure, size) for measure in measures])


def _scaled(
    book: _Book, people: _People, models: Models, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Possible futures of all customers from a sample: (draws, 4, groups).

    Parameters move the expectation of everyone together (first order in the logarithms); what the
    customers of the sample do by chance is independent, so it grows with the square root of n.
    """

    moves = _moves(models, draws, rng)
    unit = np.eye(moves.shape[1]) * 1e-3
    logs = [[np.log(book.measures(*_moved(models, e))) for e in (up, -up)] for up in unit]
    slopes = np.array([(up - down) / 2e-3 for up, down in logs])
    drift = np.exp(np.einsum("dp,pmg->dmg", moves, slopes))
    expected = book.measures(models.purchase, models.spend) * drift
    futures = [_simulate(book, people, models.purchase, models.spend, rng) for _ in range(draws)]
    noise = np.array(futures) - np.mean(futures, axis=0)
    return expected + noise * np.sqrt(people.weight)


def _totals(book: _Book, point: np.ndarray, futures: np.ndarray, level: float) -> pd.DataFrame:
    """Point values (4, groups) and the intervals of (draws, 4, groups), in named columns."""
    customers = np.bincount(book.group, book.at.n, point.shape[1]).astype(int)
    names = ["total"]
    if book.by:  # the total is simulated with the groups, so that their errors add up rightly
        names = [*book.names, "total"]
        customers = np.append(customers, customers.sum())
        point = np.hstack([point, point.sum(axis=1, keepdims=True)])
        futures = np.concatenate([futures, futures.sum(axis=2, keepdims=True)], axis=2)
    values = _priced(point, book.terms)
    tail = (1 - level) / 2
    low, high = (
        _priced_quantiles(futures, book.terms, probability) for probability in (tail, 1 - tail)
    )
    columns = {book.by or "group": [str(name) for name in names], "customers": customers}
    for name, value in values.items():
        columns[name] = value
        if name in low:
            columns |= {f"{name}_low": low[name], f"{name}_high": high[name]}
    return pd.DataFrame(columns)


def _priced(measures: np.ndarray, terms: Terms) -> dict[str, np.ndarray]:
    """Money from (orders, revenue, discounted orders, discounted revenue) along axis 0."""
    orders, revenue, later_orders, later_revenue = measures
    margin, service = revenue * terms.margin_rate, orders * terms.cost_to_serve
    clv = later_revenue * terms.margin_rate - later_orders * terms.cost_to_serve
    return {
        "orders": orders,
        "revenue": revenue,
        "margin": margin,
        "service": service,
        "net": margin - service,
        "clv": clv,
    }


def _priced_quantiles(futures: np.ndarray, terms: Terms, probability: float) -> dict:
    priced = _priced(np.moveaxis(futures, 1, 0), terms)
    names = ("orders", "revenue", "margin", "clv")
    return {name: np.quantile(priced[name], probability, axis=0) for name in names}


def _steps(by_step: np.ndarray, terms: Terms) -> pd.DataFrame:
    """The forecast by monthly step from (orders, revenue) x steps."""
    edges, factors = terms.horizon.edges, terms.discount_factors
    priced = _priced(np.concatenate([by_step, by_step * factors]), terms)
    calendar = {"day_from": edges[:-1], "day_to": edges[1:], "discount": factors}
    return pd.DataFrame(calendar | priced)


# --- how far to trust it -------------------------------------------------------------------------
