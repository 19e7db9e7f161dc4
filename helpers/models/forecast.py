"""From customer states to money: fitted models, when they may be fitted, and each state's score.

``clv_forecast`` is margin less cost to serve over a horizon, discounted:

    sum over monthly steps of discount factor x orders x (spend x margin rate - cost to serve)

Orders are repeat purchase days from a purchase model, spend is revenue per purchase day from
Gamma-Gamma (``btyd``, ``gamma_gamma``). A month is 365.25/12 days; the discount rate is annual and
effective, applied in the middle of each step. ``clv_residual`` has no horizon: all that is still to
come, discounted continuously (DERT x (spend x margin rate - cost to serve)). Customers not yet
acquired are in neither; they are a line of their own (``newcomers``).
"""

from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from helpers.errors import DataError
from helpers.models import btyd, gamma_gamma
from helpers.models.gamma_gamma import GammaGammaFit
from helpers.models.purchase import PurchaseFit
from helpers.models.season import Season
from helpers.models.states import States, distinct_pairs
from helpers.models.terms import Terms

STATE = ["frequency", "first_day", "last_day"]
MODEL = "BG/NBD"
_FAR = 3652.5  # days: an order expected later than in ten years is not expected
# No more distinct histories than this are taken into Python: with their scores about 1.5 GB.
MOST_STATES = 8_000_000

Day = str | date | pd.Timestamp


@dataclass(frozen=True)
class Clock:
    """Time as the purchase model counts it: from ``as_of``, in units of ``days_per_unit`` days.

    With a ``season`` a day counts for more where customers buy more: time is exposure, and a year
    is as long as without.
    """

    as_of: pd.Timestamp
    days_per_unit: float = 7.0
    season: Season | None = None

    def at(self, days: pd.Series | np.ndarray) -> np.ndarray:
        """Give how much time lies between days and ``as_of``: 0 then, more before."""
        days = np.asarray(pd.to_datetime(pd.Series(np.asarray(days))), dtype="datetime64[D]")
        now = np.datetime64(self.as_of, "D")
        if self.season is None:
            return (now - days).astype(float) / self.days_per_unit
        return (self.season.clock(now) - self.season.clock(days)) / self.days_per_unit

    def ahead(self, days: np.ndarray) -> np.ndarray:
        """Give how much time passes from ``as_of`` to so many days (of the calendar) later."""
        days = np.asarray(days, dtype=float)
        if self.season is not None:
            days = self.season.clock_between(np.datetime64(self.as_of, "D"), days)
        return days / self.days_per_unit

    def days_until(self, time: np.ndarray) -> np.ndarray:
        """Give the days of the calendar in which so much time passes from ``as_of`` on."""
        days = np.asarray(time, dtype=float) * self.days_per_unit
        if self.season is None:
            return days
        return self.season.days_until(np.datetime64(self.as_of, "D"), days)


@dataclass(frozen=True)
class Models:
    """The purchase and the spend model fitted on what was known at ``as_of``."""

    purchase: PurchaseFit
    spend: GammaGammaFit
    as_of: pd.Timestamp
    season: Season | None = None

    @cached_property
    def clock(self) -> Clock:
        """Time as these models count it."""
        return Clock(self.as_of, self.purchase.days_per_unit, self.season)

    @property
    def name(self) -> str:
        """The purchase model's name, and whether it knows the season."""
        return self.purchase.model + ("" if self.season is None else SEASONED)

    def moved(self, step: np.ndarray) -> "Models":
        """The same models with all log-parameters moved by ``step``."""
        cut = len(self.purchase.names)
        return replace(
            self, purchase=self.purchase.shifted(step[:cut]), spend=self.spend.shifted(step[cut:])
        )

    def moves(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Plausible moves of all log-parameters given the data: (size, parameters)."""
        return np.hstack([fit.log_draws(size, rng) for fit in (self.purchase, self.spend)])


SEASONED = " with season"

# --- states and fits -----------------------------------------------------------------------------


def states_at(
    states: pd.DataFrame, as_of: Day, days_per_unit: float = 7.0, season: Season | None = None
) -> States:
    """Turn dated customer states into frequency, recency, T and n, in units of so many days.

    ``states``: ``customer_states``, or any frame with frequency, first_day, last_day and n (one
    customer a row without it). Rows keep their order. Raises DataError if a state holds a day after
    ``as_of``.
    """
    as_of = pd.Timestamp(as_of)
    last = pd.to_datetime(states["last_day"])
    late = int((last > as_of).sum())
    if late:
        raise DataError(
            f"{late} customer states end after {as_of:%Y-%m-%d} (the last on {last.max():%Y-%m-%d})"
            ": states must hold what was known on that day."
        )
    clock = Clock(as_of, days_per_unit, season)
    T = clock.at(states["first_day"])
    return States(
        frequency=states["frequency"].to_numpy(float),
        # never above T by a rounding: both are differences of the same exposure
        recency=np.clip(T - clock.at(last), 0, T),
        T=T,
        n=states["n"].to_numpy(float) if "n" in states else np.ones(len(states)),
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
    if len(states) > MOST_STATES:
        return (
            f"{len(states):,} distinct purchase histories: more than {MOST_STATES:,} are not taken "
            "into memory. Give the shop's regions or brands as shops of their own."
        )
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
    states: pd.DataFrame,
    spend_states: pd.DataFrame,
    as_of: Day,
    *,
    model: str = MODEL,
    season: Season | None = None,
    days_per_unit: float = 7.0,
) -> Models:
    """Fit how often customers buy and how much they spend, as known on ``as_of``.

    ``days_per_unit`` sets the unit of alpha and of the log-likelihood; it moves no forecast.
    Raises DataError with what was found when a model cannot be fitted.
    """
    purchase = btyd.fit(states_at(states, as_of, days_per_unit, season), model)
    columns = (spend_states[name] for name in ("frequency", "total_spend", "n"))
    spend = gamma_gamma.fit_gamma_gamma(*columns)
    return Models(purchase, spend, pd.Timestamp(as_of), season)


def fit_or_why_not(
    states: pd.DataFrame, spend_states: pd.DataFrame, as_of: Day, **options: object
) -> tuple[Models | None, str]:
    """Give the fitted models, or None and the sentence that says why there are none."""
    reason = why_not(states, as_of)
    if reason:
        return None, reason
    try:
        return fit_models(states, spend_states, as_of, **options), ""
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
    p_alive_before (30 days ago, had nothing been bought since; 1 if something was), p_active (at
    least one order within the horizon), p_30 and p_90 (within so many days), next_days (median wait
    for the next order of one who is active), expected_orders and discounted_orders of one customer,
    residual_orders (all that are still to come, discounted; only with a discount rate),
    expected_spend (revenue per order), clv and, where known, residual (both of one customer).
    expected_spend is exact if ``states`` carries spend_frequency and total_spend (the sum over its
    customers); else the mean of customers with the same frequency.
    """
    keys = STATE + [c for c in ("spend_frequency",) if has_spend(states)]
    sums = ["n"] + [c for c in ("total_spend",) if has_spend(states)]
    scores = states.groupby(keys, as_index=False, sort=True)[sums].sum()
    fit, clock = models.purchase, models.clock
    at = states_at(scores, models.as_of, clock.days_per_unit, models.season)
    alive = btyd.p_alive(fit, at)
    pairs = distinct_pairs(at)
    steps = orders_if_alive(models, pairs, terms.horizon.edges)
    discounted = alive * (steps * terms.discount_factors).sum(axis=1)[pairs[2]]
    spend = expected_spend(scores, spend_states, models.spend)
    worth = terms.net(np.ones(len(spend)), spend)
    within = {
        name: btyd.p_active(fit, at, clock.ahead([days])[0])
        for name, days in (("p_active", terms.horizon.days), ("p_30", 30.0), ("p_90", 90.0))
    }
    found = scores.assign(
        p_alive=alive,
        p_alive_before=_alive_before(models, scores),
        **within,
        next_days=clock.days_until(
            np.minimum(btyd.median_wait(fit, at), _FAR / clock.days_per_unit)
        ),
        expected_orders=alive * steps.sum(axis=1)[pairs[2]],
        discounted_orders=discounted,
        expected_spend=spend,
        clv=discounted * worth,
    )
    if not terms.discount_rate:
        return found
    still = btyd.expected_residual(fit, at, terms.discount_rate)
    return found.assign(residual_orders=still, residual=still * worth)


def _alive_before(models: Models, scores: pd.DataFrame, days: int = 30) -> np.ndarray:
    """P(alive) of each state some days ago; 1 where its last purchase came later than that."""
    then = models.as_of - pd.Timedelta(days=days)
    known = (pd.to_datetime(scores["last_day"]) <= then).to_numpy()
    found = np.ones(len(scores))
    if known.any():
        clock = models.clock
        at = states_at(scores[known], then, clock.days_per_unit, models.season)
        found[known] = btyd.p_alive(models.purchase, at)
    return found


def orders_if_alive(models: Models, pairs: tuple, edges: np.ndarray) -> np.ndarray:
    """Expected orders given being active, by distinct (x, T) and step: (pairs, steps)."""
    x, T, _ = pairs
    until = models.clock.ahead(edges)
    return np.diff(models.purchase.expected_if_alive(x[:, None], T[:, None], until), axis=1)


def has_spend(states: pd.DataFrame) -> bool:
    """Say whether states tell whose spend is whose."""
    return {"spend_frequency", "total_spend"} <= set(states.columns)


def expected_spend(
    states: pd.DataFrame, spend_states: pd.DataFrame, fit: GammaGammaFit
) -> np.ndarray:
    """Expected revenue per order of a customer of each state."""
    if has_spend(states):
        mean_total = states["total_spend"] / states["n"]
        return gamma_gamma.expected_spend(fit, states["spend_frequency"], mean_total)
    known = spend_states[spend_states["frequency"] > 0]
    total = (known["total_spend"] * known["n"]).groupby(known["frequency"]).sum()
    mean_total = total / known.groupby("frequency")["n"].sum()
    expected = gamma_gamma.expected_spend(fit, mean_total.index, mean_total)
    by_frequency = pd.Series(expected, total.index)
    # no spend seen at this frequency: what a customer without history is expected to spend
    return states["frequency"].map(by_frequency).fillna(fit.mean).to_numpy(float)
