"""Purchase histories as weighted states: what every purchase model is fitted to and asked about."""

from dataclasses import dataclass

import numpy as np

from helpers.errors import DataError
from helpers.models.likelihood import distinct


@dataclass(frozen=True)
class States:
    """Purchase histories, each with the number of customers who share it.

    ``frequency`` x: repeat purchase days; ``recency`` t_x: time from first to last purchase;
    ``T``: time from first purchase to the end of observation; ``n``: customers. One element a
    history, time in units of ``days_per_unit`` days. Raises DataError naming the first history
    that is impossible.
    """

    frequency: np.ndarray
    recency: np.ndarray
    T: np.ndarray
    n: np.ndarray | None = None
    days_per_unit: float = 7.0

    def __post_init__(self):
        x = np.atleast_1d(np.asarray(self.frequency, dtype=float))
        n = np.ones_like(x) if self.n is None else self.n
        for name, values in (("frequency", x), ("recency", self.recency), ("T", self.T), ("n", n)):
            values = np.atleast_1d(np.asarray(values, dtype=float))
            if values.shape != x.shape:
                raise DataError(f"{name} has {values.size} values, frequency has {x.size}.")
            object.__setattr__(self, name, values)
        self._check()

    def _check(self) -> None:
        x, t_x, T, n = self.frequency, self.recency, self.T, self.n
        faults = {
            "not a finite number": ~np.isfinite(x + t_x + T + n),
            "frequency is not a whole number from 0": (x < 0) | (x != np.floor(x)),
            "n is not above zero": n <= 0,
            "recency is below zero or above T": (t_x < 0) | (t_x > T),
            "without a repeat purchase recency is 0: it is the time from first to last purchase, "
            "not the time since the last": (x == 0) & (t_x > 0),
            "repeat purchases need a recency: purchases of one day are one": (x > 0) & (t_x == 0),
        }
        for fault, rows in faults.items():
            if rows.any():
                i = int(np.argmax(rows))
                raise DataError(
                    f"Purchase history {i + 1} of {x.size} is impossible (frequency {x[i]:g}, "
                    f"recency {t_x[i]:g}, T {T[i]:g}, n {n[i]:g}): {fault}."
                )

    def __len__(self) -> int:
        return len(self.frequency)

    def part(self, rows: np.ndarray) -> "States":
        """Those of the histories that ``rows`` selects."""
        columns = (self.frequency, self.recency, self.T, self.n)
        return States(*(column[rows] for column in columns), days_per_unit=self.days_per_unit)


def distinct_pairs(states: States) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct (x, T) and each state's position among them.

    Given being alive, recency no longer matters, and these pairs are far fewer than the states.
    """
    ux, ix = distinct(states.frequency)
    uT, iT = distinct(states.T, states.days_per_unit)
    pair, position = np.unique(ix.astype(np.int64) * len(uT) + iT, return_inverse=True)
    return ux[pair // len(uT)], uT[pair % len(uT)], position
