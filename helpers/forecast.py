"""From customer states to money: the forecast of customer lifetime value, and how far to trust it.

``clv_forecast`` is margin less cost to serve over a horizon, discounted:

    sum over monthly steps of discount factor x orders x (spend x margin rate - cost to serve)

Orders are repeat purchase days from BG/NBD, spend is revenue per purchase day from Gamma-Gamma
(both in ``btyd``). A month is 365.25/12 days; the discount rate is annual and effective, applied in
the middle of each step. Customers not yet acquired are not in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from helpers import btyd
from helpers.errors import DataError, UsageError, nearest

DAYS_PER_YEAR = 365.25
DAYS_IN = {
    "days": 1.0,
    "weeks": 7.0,
    "months": DAYS_PER_YEAR / 12,
    "years": DAYS_PER_YEAR,
}
STATE = ["frequency", "first_day", "last_day"]
MODEL = "BG/NBD"

Day = str | date | pd.Timestamp


@dataclass(frozen=True)
class Horizon:
    """How far ahead we look: a number with its unit (days, weeks, months, years).

    >>> Horizon(12, "months").days
    365.25
    """

    value: float
    unit: str = "months"

    def __post_init__(self):
        if self.unit not in DAYS_IN:
            raise UsageError(
                f"horizon unit is '{self.unit}', must be one of {', '.join(DAYS_IN)}."
                + nearest(self.unit, DAYS_IN)
            )
        if not 0 < self.days <= 50 * DAYS_PER_YEAR:
            raise UsageError(f"horizon is {self.value} {self.unit}, must be 1 day to 50 years.")

    @property
    def days(self) -> float:
        """The length in days."""
        return self.value * DAYS_IN[self.unit]

    @property
    def edges(self) -> np.ndarray:
        """Days from now at which a monthly step begins or ends: 0, 30.4, ..., the horizon."""
        whole = np.arange(0, self.days - 1e-6, DAYS_IN["months"])
        return np.append(whole, self.days)


@dataclass(frozen=True)
class Terms:
    """What an order is worth to the shop, and when.

    ``margin_rate``: contribution margin as a share of revenue; ``cost_to_serve``: money per order
    that the margin does not yet hold; ``discount_rate``: annual and effective (0.1 is 10% a year).
    """

    horizon: Horizon = Horizon(12, "months")
    margin_rate: float = 1.0
    cost_to_serve: float = 0.0
    discount_rate: float = 0.0

    def __post_init__(self):
        rules = {
            "margin_rate": (self.margin_rate <= 1, "at most 1 (a share of revenue)"),
            "cost_to_serve": (self.cost_to_serve >= 0, "money per order, 0 or more"),
            "discount_rate": (
                0 <= self.discount_rate < 10,
                "annual and effective, a share from 0 to 10 (0.1 is 10% a year)",
            ),
        }
        for name, (holds, rule) in rules.items():
            if not holds:  # also catches a number that is missing (NaN)
                raise UsageError(f"{name} == {getattr(self, name)}, must be {rule}.")

    @property
    def discount_factors(self) -> np.ndarray:
        """What one unit of money in the middle of each step is worth today."""
        edges = self.horizon.edges
        return (1 + self.discount_rate) ** -((edges[1:] + edges[:-1]) / 2 / DAYS_PER_YEAR)


@dataclass(frozen=True)
class Models:
    """The purchase and the spend model fitted on what was known at ``as_of``."""

    purchase: btyd.BetaGeometricFit
    spend: btyd.GammaGammaFit
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
        return f"{_count(customers, 'customer')}: a forecast needs at least {min_customers}."
    days = (pd.Timestamp(as_of) - pd.to_datetime(states["first_day"]).min()).days
    if days < min_days:
        return f"{_count(days, 'day')} of history: a forecast needs at least {min_days}."
    if repeaters < min_repeaters:
        return (
            f"{_count(repeaters, 'customer')} bought on more than one day: "
            f"a forecast needs at least {min_repeaters}."
        )
    return ""


def _count(number: int, noun: str) -> str:
    return f"Only {number:,} {noun}{'' if number == 1 else 's'}"


def fit_models(
    states: pd.DataFrame, spend_states: pd.DataFrame, as_of: Day, *, days_per_unit: float = 7.0
) -> Models:
    """Fit how often customers buy and how much they spend, as known on ``as_of``.

    ``days_per_unit`` sets the unit of alpha and of the log-likelihood; it moves no forecast.
    Raises DataError with what was found when a model cannot be fitted.
    """
    purchase = btyd.fit_bgnbd(states_at(states, as_of, days_per_unit))
    spend = btyd.fit_gamma_gamma(*(spend_states[c] for c in ("frequency", "total_spend", "n")))
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
    intercept, slope = btyd.spend_line(models.spend, frequency)
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


def value_tiers(
    scores: pd.DataFrame,
    *,
    shares: Sequence[float] = (0.1, 0.2, 0.3, 0.4),
    names: Sequence[str] = ("top 10%", "next 20%", "next 30%", "last 40%"),
) -> pd.DataFrame:
    """Sort customers into tiers by expected value: the same frame with a column ``tier``.

    ``shares`` of customers from the most valuable down, adding up to 1. A state is never split, so
    sizes are near the shares. Equal values are ordered by state, so the answer is the same again.
    """
    if len(shares) != len(names) or abs(sum(shares) - 1) > 1e-9:
        raise UsageError(f"shares == {tuple(shares)}, must add up to 1, one for each of {names}.")
    ranked = scores.sort_values(["clv", *STATE], ascending=[False, True, True, True])
    middle = (ranked["n"].cumsum() - ranked["n"] / 2) / ranked["n"].sum()
    tier = np.searchsorted(np.cumsum(shares)[:-1], middle, side="right")
    named = pd.Categorical.from_codes(tier, list(names), ordered=True)
    return ranked.assign(tier=named).sort_index()


def _orders_if_alive(fit: btyd.BetaGeometricFit, pairs: tuple, terms: Terms) -> np.ndarray:
    """Expected orders given being active, by distinct (x, T) and step: (pairs, steps)."""
    x, T, _ = pairs
    until = terms.horizon.edges / fit.days_per_unit
    return np.diff(btyd.expected_if_alive(fit, x[:, None], T[:, None], until), axis=1)


def _has_spend(states: pd.DataFrame) -> bool:
    return {"spend_frequency", "total_spend"} <= set(states.columns)


def _expected_spend(
    states: pd.DataFrame, spend_states: pd.DataFrame, fit: btyd.GammaGammaFit
) -> np.ndarray:
    """Expected revenue per order of a customer of each state."""
    if _has_spend(states):
        mean_total = states["total_spend"] / states["n"]
        return btyd.expected_spend(fit, states["spend_frequency"], mean_total)
    known = spend_states[spend_states["frequency"] > 0]
    total = (known["total_spend"] * known["n"]).groupby(known["frequency"]).sum()
    mean_total = total / known.groupby("frequency")["n"].sum()
    by_frequency = pd.Series(btyd.expected_spend(fit, mean_total.index, mean_total), total.index)
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

    def expected(self, purchase: btyd.BetaGeometricFit, spend: btyd.GammaGammaFit) -> np.ndarray:
        """Expected orders and revenue of all customers: (2, steps, groups)."""
        n_alive = self.at.n * btyd.p_alive(purchase, self.at)
        n_money = n_alive * _expected_spend(self.states, self.spend_states, spend)
        steps = _orders_if_alive(purchase, self.pairs, self.terms)
        size = (len(steps), max(len(self.names), 1))
        cell = self.pairs[2] * size[1] + self.group
        weights = [np.bincount(cell, w, size[0] * size[1]) for w in (n_alive, n_money)]
        # einsum, not BLAS: the last digits must not depend on the number of threads
        return np.array([np.einsum("ps,pg->sg", steps, w.reshape(size)) for w in weights])

    def measures(self, purchase: btyd.BetaGeometricFit, spend: btyd.GammaGammaFit) -> np.ndarray:
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
    purchase: btyd.BetaGeometricFit,
    spend: btyd.GammaGammaFit,
    rng: np.random.Generator,
) -> np.ndarray:
    """One possible future: (orders, revenue, and the same two discounted) by group."""
    edges = book.terms.horizon.edges / purchase.days_per_unit
    drawn = btyd.simulate_purchases(purchase, people.at, edges[-1], rng)
    buyers, owner = np.unique(drawn.row, return_inverse=True)
    rate = btyd.draw_spend_rates(
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


@dataclass(frozen=True)
class Holdout:
    """How the purchase model did on a period that it had not seen, against naive rules.

    ``reason``: why there is no check, and then everything else is None or empty. ``scores``: one
    row per rule: orders (forecast), actual, error, bias (error / actual), and per customer mae,
    rmse and msle. ``low`` and ``high``: the model's own 90% interval of the total. ``bins``: mean
    holdout orders of a customer by frequency before the cutoff: frequency ("0" to "7+"), customers,
    actual and one column per rule. ``best``: the rule with the lowest rmse (mae would be won by
    forecasting zero for everyone); ``best_total``: the one nearest to the total; ``verdict`` says
    it in a sentence.
    """

    reason: str
    cutoff: pd.Timestamp
    end: pd.Timestamp
    scores: pd.DataFrame | None = None
    bins: pd.DataFrame | None = None
    best: str = ""
    best_total: str = ""
    verdict: str = ""
    fit: btyd.BetaGeometricFit | None = None
    low: float = np.nan
    high: float = np.nan

    @property
    def inside(self) -> bool:
        """Whether the actual total lies in the model's own interval."""
        return self.scores is not None and self.low <= self.scores["actual"].iloc[0] <= self.high

    @property
    def bias(self) -> float:
        """The model's error of the total, as a share of actual orders; missing without a check."""
        return np.nan if self.scores is None else float(self.scores["bias"].iloc[0])


def holdout_cutoff(first_day: Day, as_of: Day, horizon: Horizon) -> pd.Timestamp:
    """Choose the day that ends the calibration: the horizon before ``as_of``, at most half way."""
    days = (pd.Timestamp(as_of) - pd.Timestamp(first_day)).days
    return pd.Timestamp(as_of) - pd.Timedelta(days=int(min(horizon.days, days / 2)))


def holdout_check(
    holdout_states: pd.DataFrame,
    *,
    cutoff: Day,
    end: Day,
    days_per_unit: float = 7.0,
    last_bin: int = 7,
    min_days: int = 28,
) -> Holdout:
    """Fit on what was known at ``cutoff``, forecast to ``end``, and compare with what happened.

    ``holdout_states``: one row per distinct state at the cutoff and count of purchase days after
    it, up to ``end``: frequency, first_day, last_day, holdout_frequency, n; every customer seen by
    the cutoff, also those without a holdout order. Customers first seen later are no part of it.
    The naive rules: each at their own past rate (x / T), and as many orders as in as long a stretch
    before (column previous_frequency if it is there, else x, or its share by time where T is
    longer). Where the data cannot carry a check, ``reason`` says so and there is no number.
    """
    cutoff, end = pd.Timestamp(cutoff), pd.Timestamp(end)
    if end <= cutoff:
        raise UsageError(f"end == {end:%Y-%m-%d}, must be after cutoff {cutoff:%Y-%m-%d}.")
    reason = why_not(holdout_states, cutoff)
    if not reason and (end - cutoff).days < min_days:
        reason = f"{_count((end - cutoff).days, 'day')} held out: a check needs {min_days}."
    if not reason and not holdout_states["holdout_frequency"].sum():
        reason = "Nobody who was a customer at the cutoff has bought since: nothing to compare."
    if reason:
        return Holdout(reason, cutoff, end)
    at = states_at(holdout_states, cutoff, days_per_unit)
    try:
        fit = btyd.fit_bgnbd(at)
    except DataError as fault:
        return Holdout(str(fault), cutoff, end)
    t = (end - cutoff).days / days_per_unit
    count = btyd.same_count(at, t)
    if "previous_frequency" in holdout_states:
        count = holdout_states["previous_frequency"].to_numpy(float)
    rules = {
        MODEL: btyd.expected_purchases(fit, at, t),
        "same rate": btyd.same_rate(at, t),
        "same count": count,
    }
    actual = holdout_states["holdout_frequency"].to_numpy(float)
    scores = _scores(rules, actual, at.n)
    best = scores.loc[scores["rmse"].idxmin(), "rule"]
    best_total = scores.loc[scores["error"].abs().idxmin(), "rule"]
    bins = _bins(rules, actual, at, last_bin)
    verdict = _verdict(best, best_total)
    low, high = _total_interval(fit, at, t)
    return Holdout("", cutoff, end, scores, bins, best, best_total, verdict, fit, low, high)


def _total_interval(
    fit: btyd.BetaGeometricFit, at: btyd.States, t: float, *, draws: int = 200, most: int = 20_000
) -> tuple[float, float]:
    """Give the 90% predictive interval of the total, from parameter draws and simulated customers.

    Above ``most`` customers an even sample is simulated, and its noise scaled to all of them.
    """
    rng = np.random.default_rng(0)
    rows = np.repeat(np.arange(len(at)), at.n.astype(int))
    share = min(1.0, most / len(rows))
    rows = rows[np.linspace(0, len(rows) - 1, round(len(rows) * share)).astype(int)]
    each = btyd.States(at.frequency[rows], at.recency[rows], at.T[rows], None, at.days_per_unit)
    totals, means = [], []
    for move in fit.log_draws(draws, rng):
        moved = fit.shifted(move)
        totals.append(len(btyd.simulate_purchases(moved, each, t, rng).row))
        means.append(float(btyd.expected_purchases(moved, each, t).sum()))
    noise = (np.array(totals) - np.array(means)) / np.sqrt(share)
    found = np.quantile(np.array(means) / share + noise, [0.05, 0.95])
    return float(found[0]), float(found[1])


def _scores(rules: dict[str, np.ndarray], actual: np.ndarray, n: np.ndarray) -> pd.DataFrame:
    rows = []
    for rule, forecast in rules.items():
        miss, total = forecast - actual, (n * actual).sum()
        ratio = np.log1p(forecast) - np.log1p(actual)
        rows.append(
            {
                "rule": rule,
                "orders": (n * forecast).sum(),
                "actual": total,
                "error": (n * miss).sum(),
                "bias": (n * miss).sum() / total,
                "mae": np.average(np.abs(miss), weights=n),
                "rmse": np.sqrt(np.average(miss**2, weights=n)),
                "msle": np.average(ratio**2, weights=n),
            }
        )
    return pd.DataFrame(rows)


def _bins(rules: dict, actual: np.ndarray, at: btyd.States, last: int) -> pd.DataFrame:
    """Mean holdout orders of a customer by frequency; a frequency nobody has gets no row."""
    code = np.minimum(at.frequency, last).astype(int)
    customers = np.bincount(code, at.n, last + 1)
    names = [f"{k}+" if k == last else str(k) for k in range(last + 1)]
    seen = customers > 0
    table = {"frequency": np.array(names)[seen], "customers": customers[seen].astype(int)}
    for name, orders in {"actual": actual, **rules}.items():
        table[name] = np.bincount(code, at.n * orders, last + 1)[seen] / customers[seen]
    return pd.DataFrame(table)


def _verdict(best: str, best_total: str) -> str:
    if best == best_total == MODEL:
        return f"{MODEL} beats the naive rules, customer by customer and in total."
    if best == MODEL:
        return f"{MODEL} is closest customer by customer; in total '{best_total}' is closer."
    if best_total == MODEL:
        return f"{MODEL} is closest in total; customer by customer '{best}' is closer."
    return f"{MODEL} does not beat the naive rules: '{best}' is closer customer by customer" + (
        " and in total." if best == best_total else f", '{best_total}' in total."
    )


def tracking(states: pd.DataFrame, fit: btyd.BetaGeometricFit, end: Day) -> pd.DataFrame:
    """Repeat orders expected each day from these customers' first days on, to hold against fact.

    ``states``: first_day and n. One row per day from the first first_day to ``end``: day, expected,
    cumulative. Daily counts of new customers meet the daily steps of E[X(t)] in a convolution.
    """
    first = pd.to_datetime(states["first_day"])
    start, end = first.min(), pd.Timestamp(end)
    days = pd.date_range(start, end)
    born = np.bincount((first - start).dt.days, states["n"], len(days))[: len(days)]
    curve = btyd.expected_purchases_new(fit, np.arange(len(days)) / fit.days_per_unit)
    expected = np.convolve(born, np.diff(curve, prepend=0.0))[: len(days)]
    return pd.DataFrame({"day": days, "expected": expected, "cumulative": expected.cumsum()})
