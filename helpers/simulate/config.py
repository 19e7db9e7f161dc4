"""What a simulated shop is made of: its parameters, its calendar and its experiments.

Times inside the simulation are days since the shop's first day, as floating numbers. The fraction
of a day is *operational*: the share of the day's purchases that have been made by then.
``Calendar.stamps`` turns it into the hour on the clock, so that nights are quiet, and the hour
from 02:00 to 03:00, which a clock change may skip or double, stays empty.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from helpers.errors import UsageError

HOURS = (2, 1, 0, 0.5, 0.5, 1, 2, 4, 6, 8, 9, 9, 9, 8, 8, 8, 8, 8, 9, 11, 12, 11, 7, 4)
"""Relative number of purchases by hour of the day; nothing happens from 02:00 to 03:00."""


@dataclass(frozen=True)
class Channel:
    """Where new customers come from, how often they buy, and what winning one costs."""

    name: str
    share: float
    quality: float  # multiplies the purchase rate of every customer won here
    cost: float = 0.0  # paid media per new customer, in currency; 0 = not paid for
    spend_days: int = 1  # spend is booked per this many days


@dataclass(frozen=True)
class Category:
    """A group of products with one share of goods cost in the list price."""

    name: str
    share: float
    cogs_share: float
    partner: str  # the category that a second line of an order often comes from


@dataclass(frozen=True)
class Promotion:
    """Days on which every order is discounted."""

    promotion_id: str
    starts: date
    ends: date
    discount: float
    kind: str = "sale"


@dataclass(frozen=True)
class Arm:
    """What one arm of an experiment does to the purchase intensity, and what it costs.

    ``pull_days`` > 0 pulls purchases forward: the multiplier and the discount hold for that many
    days, and the rest of the window is slowed down until the window's exposure is what it would
    have been without treatment.
    """

    name: str
    multiplier: float = 1.0
    cost: float = 0.0  # campaign cost per customer of the arm
    service_cost: float = 0.0  # booked in service_costs, not in the campaign's cost
    discount: float = 0.0
    pull_days: int = 0
    factors: str = ""
    sends: bool = True


@dataclass(frozen=True)
class Experiment:
    """A test on customers of the shop; ``arms[0]`` is its control.

    ``population`` is ``new`` (each customer the midnight after the first order, if that order
    falls between ``starts`` and ``last_entry``), ``recent`` (bought in the last ``recency_days``),
    or ``lapsed`` (did not). All but ``new`` need the consent to e-mail, and take no customer whose
    window of an earlier experiment is still open. Assignment is at midnight of ``starts``.
    """

    experiment_id: str
    name: str
    hypothesis: str
    population: str
    starts: date
    window_days: int
    arms: tuple[Arm, ...]
    last_entry: date | None = None
    recency_days: int = 365
    share: float = 1.0  # of the customers who qualify
    randomized: bool = True
    fixed_cost: float = 0.0
    decision: str = ""

    @property
    def ends(self) -> date:
        """The last day of the last customer's window."""
        last = self.last_entry + timedelta(days=1) if self.last_entry else self.starts
        return last + timedelta(days=self.window_days - 1)


@dataclass(frozen=True)
class ShopConfig:
    """Everything that decides a simulated shop, but its seed."""

    customers: float = 4800  # expected number of customers with an order by as_of
    first_day: date = date(2024, 1, 1)
    as_of: date = date(2026, 6, 30)
    last_day: date = date(2026, 7, 5)
    currency: str = "EUR"
    time_zone: str = "Europe/Amsterdam"
    # Purchase intensity and arrivals by month; each averages 1 over the twelve months.
    season: tuple[float, ...] = (
        0.94,
        0.92,
        0.96,
        0.97,
        1.0,
        0.92,
        0.84,
        0.86,
        0.97,
        1.02,
        1.26,
        1.34,
    )
    arrival_season: tuple[float, ...] = (
        0.95,
        0.94,
        0.98,
        1.0,
        1.02,
        0.95,
        0.88,
        0.9,
        0.98,
        1.03,
        1.17,
        1.2,
    )
    weekday: tuple[float, ...] = (1.02, 0.96, 0.95, 0.97, 1.0, 1.0, 1.1)  # Monday first
    growth: float = 0.22  # of arrivals, per year, continuously
    never_bought: float = 0.04  # registered customers without an order, per customer with one
    channels: tuple[Channel, ...] = ()
    categories: tuple[Category, ...] = ()
    countries: tuple[tuple[str, float, float], ...] = ()  # code, share, shipping cost per order
    # BG/NBD: purchase rate per day ~ Gamma(r, rate alpha); drop-out after a repeat ~ Beta(a, b).
    r: float = 0.36
    alpha: float = 40.0
    a: float = 1.15
    b: float = 4.5
    # Gamma-Gamma on the list value of an order: value ~ Gamma(p, rate v), v ~ Gamma(q, rate gamma).
    p: float = 6.0
    q: float = 5.0
    gamma: float = 40.8
    lines: tuple[float, ...] = (0.80, 0.15, 0.05)  # share of orders with one, two, three lines
    quantities: tuple[float, ...] = (0.72, 0.20, 0.08)
    coupon_share: float = 0.3  # of first orders
    coupon_discount: float = 0.10
    cogs_missing: float = 0.02  # of lines
    fee_fixed: float = 0.25
    fee_share: float = 0.014
    refund_share: float = 0.05  # of orders
    refund_full: float = 0.7  # of refunds: the line goes back; the rest keep it at half the price
    refund_undated: float = 0.06  # of refunds
    consent_share: float = 0.86
    contact_share: float = 0.06  # of orders
    contact_cost: float = 4.8
    promotions: tuple[Promotion, ...] = ()
    experiments: tuple[Experiment, ...] = ()
    faults: bool = True
    replicates: int = 0  # customers simulated anew for the value by age as the shop was run
    block_customers: int = 20_000

    def __post_init__(self) -> None:
        """Refuse parameters that have no expectation or do not add up."""
        shares = {
            "channels": sum(c.share for c in self.channels),
            "categories": sum(c.share for c in self.categories),
            "countries": sum(c[1] for c in self.countries),
            "lines": sum(self.lines),
            "quantities": sum(self.quantities),
            "season": sum(self.season) / 12,
            "weekday": sum(self.weekday) / 7,
        }
        for name, total in shares.items():
            if abs(total - 1) > 1e-9:
                raise UsageError(f"{name}: shares must add up (factors average) to 1, not {total}.")
        if self.customers <= 0 or self.block_customers < 100:
            raise UsageError("customers must be above 0, block_customers 100 or more.")
        if self.q <= 2 or self.as_of > self.last_day or self.first_day > self.as_of:
            raise UsageError("q must be above 2, and first_day <= as_of <= last_day.")
        kinds = {e.population for e in self.experiments} - {"new", "recent", "lapsed"}
        if kinds:
            raise UsageError(f"population == {kinds.pop()!r}, must be new, recent or lapsed.")

    @property
    def end(self) -> int:
        """Days from the first day to the end of the data."""
        return (self.last_day - self.first_day).days + 1

    @property
    def as_of_day(self) -> int:
        """Days from the first day to the end of ``as_of``."""
        return (self.as_of - self.first_day).days + 1

    def day(self, day: date) -> int:
        """Days from the shop's first day to the start of ``day``."""
        return (day - self.first_day).days


@dataclass(frozen=True)
class Calendar:
    """The season as a change of time: how much exposure had passed by each day's start."""

    first_day: date
    cumulative: np.ndarray  # exposure at the start of day 0, 1, ...
    arrivals: np.ndarray  # relative number of new customers on each day
    clock: np.ndarray  # share of a day's purchases before each full hour
    edges: np.ndarray  # days on which a promotion starts or has ended
    discounts: np.ndarray  # general discount by day

    def exposure(self, at: np.ndarray) -> np.ndarray:
        """Give the exposure up to a time: days in which the intensity is the yearly average."""
        return np.interp(at, np.arange(len(self.cumulative)), self.cumulative)

    def moment(self, exposure: np.ndarray) -> np.ndarray:
        """Give the time at which an exposure is reached: the inverse of ``exposure``."""
        return np.interp(exposure, self.cumulative, np.arange(len(self.cumulative)))

    def discount(self, at: np.ndarray) -> np.ndarray:
        """Give the discount that every order of the day gets."""
        return self.discounts[np.clip(at, 0, len(self.discounts) - 1).astype(np.int64)]

    def stamps(self, at: np.ndarray) -> np.ndarray:
        """Give local wall-clock times, to the second below."""
        day = np.floor(at)
        seconds = np.floor(np.interp(at - day, self.clock, np.arange(25)) * 3600)
        total = day.astype(np.int64) * 86_400 + np.minimum(seconds, 86_399).astype(np.int64)
        return np.datetime64(self.first_day, "s") + total.astype("timedelta64[s]")


@lru_cache(maxsize=8)
def calendar(config: ShopConfig) -> Calendar:
    """Lay out the shop's days from its first to a year and a month after the data end."""
    days = [config.first_day + timedelta(days=n) for n in range(config.end + 400)]
    month = np.array([day.month - 1 for day in days])
    weekday = np.array(config.weekday)[[day.weekday() for day in days]]
    season = np.array(config.season)[month] * weekday
    trend = np.exp(config.growth * np.arange(len(days)) / 365)
    discounts = np.zeros(len(days))
    edges: set[int] = set()
    for promotion in config.promotions:
        start, end = config.day(promotion.starts), config.day(promotion.ends) + 1
        discounts[max(start, 0) : max(end, 0)] = promotion.discount
        edges |= {start, end}
    return Calendar(
        first_day=config.first_day,
        cumulative=np.concatenate([[0.0], np.cumsum(season)]),
        arrivals=(np.array(config.arrival_season)[month] * weekday * trend)[: config.end],
        clock=np.concatenate([[0.0], np.cumsum(HOURS) / np.sum(HOURS)]),
        edges=np.array(sorted(edges), dtype=float),
        discounts=discounts,
    )
