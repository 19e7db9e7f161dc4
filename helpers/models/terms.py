"""What an order is worth to the shop, over which horizon, at which discount."""

from dataclasses import dataclass

import numpy as np

from helpers.errors import UsageError, nearest

DAYS_PER_YEAR = 365.25


DAYS_IN = {
    "days": 1.0,
    "weeks": 7.0,
    "months": DAYS_PER_YEAR / 12,
    "years": DAYS_PER_YEAR,
}


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
    ``rate_error``: standard error of the margin rate; ``order_noise``: how far the margin of a
    single order strays from the rate, as a standard deviation in money. Both widen intervals only.
    """

    horizon: Horizon = Horizon(12, "months")
    margin_rate: float = 1.0
    cost_to_serve: float = 0.0
    discount_rate: float = 0.0
    rate_error: float = 0.0
    order_noise: float = 0.0

    def __post_init__(self):
        rules = {
            "margin_rate": (self.margin_rate <= 1, "at most 1 (a share of revenue)"),
            "cost_to_serve": (self.cost_to_serve >= 0, "money per order, 0 or more"),
            "discount_rate": (
                0 <= self.discount_rate < 10,
                "annual and effective, a share from 0 to 10 (0.1 is 10% a year)",
            ),
            "rate_error": (self.rate_error >= 0, "a standard error, 0 or more"),
            "order_noise": (self.order_noise >= 0, "a standard deviation in money, 0 or more"),
        }
        for name, (holds, rule) in rules.items():
            if not holds:  # also catches a number that is missing (NaN)
                raise UsageError(f"{name} == {getattr(self, name)}, must be {rule}.")

    @property
    def discount_factors(self) -> np.ndarray:
        """What one unit of money in the middle of each step is worth today."""
        return self.factors(self.horizon.edges)

    def factors(self, edges: np.ndarray) -> np.ndarray:
        """What one unit of money in the middle of each step between ``edges`` is worth today."""
        return (1 + self.discount_rate) ** -((edges[1:] + edges[:-1]) / 2 / DAYS_PER_YEAR)

    def net(self, orders: np.ndarray, revenue: np.ndarray) -> np.ndarray:
        """Value of orders that bring this revenue: revenue x margin rate - orders x service."""
        return revenue * self.margin_rate - orders * self.cost_to_serve
