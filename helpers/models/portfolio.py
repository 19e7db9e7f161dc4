"""Customers to value, by state and group: what they are expected to do, and if something changed.

Only expectations: what they may do by chance is in `helpers.models.chances`.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from helpers.errors import DataError, UsageError, nearest
from helpers.models import btyd
from helpers.models.forecast import (
    STATE,
    Clock,
    Models,
    expected_spend,
    orders_if_alive,
    states_at,
)
from helpers.models.states import States, distinct_pairs
from helpers.models.terms import Terms


@dataclass(frozen=True)
class Portfolio:
    """States to value: purchase arrays, pairs, group of each state, steps in days from now."""

    states: pd.DataFrame
    spend_states: pd.DataFrame
    at: States
    pairs: tuple
    group: np.ndarray
    names: list
    edges: np.ndarray

    @classmethod
    def of(
        cls,
        states: pd.DataFrame,
        spend_states: pd.DataFrame,
        models: Models,
        edges: np.ndarray,
        by: str = "",
    ) -> "Portfolio":
        """Set out customers as these models count time, grouped by a column of ``states``."""
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


def expected_steps(
    states: pd.DataFrame, spend_states: pd.DataFrame, models: Models, edges: np.ndarray
) -> np.ndarray:
    """Give expected orders and revenue of all these customers between ``edges``: (2, steps)."""
    return Portfolio.of(states, spend_states, models, edges).expected(models).sum(axis=2)


# --- what if -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """Where customers stand today, so that changes from now on are answered at once.

    One element per distinct (``x``, ``T``): ``active`` customers expected, and ``spend``, what an
    order of each of them brings, summed over them.
    """

    models: Models
    terms: Terms
    x: np.ndarray
    T: np.ndarray
    active: np.ndarray
    spend: np.ndarray


def standing(
    states: pd.DataFrame, spend_states: pd.DataFrame, models: Models, terms: Terms
) -> Standing:
    """Say where these customers stand: who is still active, and what they spend per order."""
    book = Portfolio.of(states, spend_states, models, terms.horizon.edges)
    x, T, place = book.pairs
    active = book.at.n * btyd.p_alive(models.purchase, book.at)
    spend = active * expected_spend(states, spend_states, models.spend)
    sums = (np.bincount(place, each, len(x)) for each in (active, spend))
    return Standing(models, terms, x, T, *sums)


def what_if(
    now: Standing, *, churn: float = 1.0, frequency: float = 1.0, margin: float = 0.0
) -> float:
    """Give the discounted value of these customers if something about them changed from now on.

    ``churn`` multiplies how readily active customers leave (their a, or s), ``frequency`` the pace
    at which they buy, ``margin`` is added to the margin rate (0.01 is one point). All else stays:
    who is still active today, and what they spend.
    """
    terms = replace(now.terms, margin_rate=now.terms.margin_rate + margin)
    fit = now.models.purchase
    fit = fit.shifted(np.where(np.isin(fit.names, ["a", "s"]), np.log(churn), 0.0))
    until = now.models.clock.ahead(terms.horizon.edges) * frequency
    steps = np.diff(fit.expected_if_alive(now.x[:, None], now.T[:, None], until), axis=1)
    later = (steps * terms.discount_factors).sum(axis=1)
    return float(terms.net((later * now.active).sum(), (later * now.spend).sum()))
