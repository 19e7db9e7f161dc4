"""Who the simulated customers are, and when they buy.

Purchases follow BG/NBD (Fader, Hardie and Lee 2005) in exposure instead of days: a customer buys
at rate lambda per day of exposure, and after each repeat purchase drops out with probability p.
Exposure runs faster in season and while a treatment of an experiment works. As a Poisson process
forgets, a customer can be stopped and started anew at any time without changing the law; the
simulation uses this at the start of each experiment, when it must know who qualifies.
"""

from dataclasses import dataclass, replace

import numpy as np

from helpers.simulate.config import Experiment, ShopConfig, calendar

STREAMS = ("people", "purchases", "orders", "extras")
HARD_LIMIT = 10_000_000  # rounds; only a parameter fault (an infinite rate) would reach it


@dataclass(frozen=True)
class People:
    """Customers with at least one order, one array entry each; times in days."""

    acquired: np.ndarray  # moment of the first order
    signed_up: np.ndarray
    channel: np.ndarray  # position in config.channels
    country: np.ndarray  # position in config.countries
    rate: np.ndarray  # lambda: purchases per day of exposure
    dropout: np.ndarray  # p: chance to leave after a repeat purchase
    mean_value: np.ndarray  # expected list value of an order, currency
    consent: np.ndarray  # gave consent to e-mail marketing at sign-up
    withdrawn: np.ndarray  # when consent ended; inf = never; -inf = never given


@dataclass(frozen=True)
class Assignment:
    """The customers of one experiment (row numbers), their arm and when they were assigned."""

    experiment: Experiment
    customer: np.ndarray
    arm: np.ndarray
    at: np.ndarray


@dataclass(frozen=True)
class History:
    """Every order of a batch of customers, in order of time, and what was done to them."""

    customer: np.ndarray
    at: np.ndarray
    dropped_at: np.ndarray  # by customer; inf while alive
    withdrawn: np.ndarray  # by customer, with what the experiments' mails caused
    assignments: tuple[Assignment, ...]


@dataclass(frozen=True)
class Window:
    """How an arm changes the intensity: ``early`` from start to mid, ``late`` from mid to end."""

    start: np.ndarray
    mid: np.ndarray
    end: np.ndarray
    early: np.ndarray
    late: np.ndarray
    discount: np.ndarray  # from start to mid

    def multiplier(self, at: np.ndarray) -> np.ndarray:
        """Give the factor on the purchase intensity at a time."""
        first, second = (self.start <= at) & (at < self.mid), (self.mid <= at) & (at < self.end)
        return np.where(first, self.early, np.where(second, self.late, 1.0))

    def discounted(self, at: np.ndarray) -> np.ndarray:
        """Give the discount that the arm brings at a time."""
        return np.where((self.start <= at) & (at < self.mid), self.discount, 0.0)

    def take(self, rows: np.ndarray) -> "Window":
        """Give the windows of some customers."""
        return Window(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def columns(self) -> "Window":
        """Give the same windows as columns, to be compared with several times per customer."""
        return Window(*(getattr(self, name)[:, None] for name in self.__dataclass_fields__))


def generator(seed: int, block: int, stream: str) -> np.random.Generator:
    """Give the random numbers of one purpose in one block, independent of all the others."""
    key = (block, STREAMS.index(stream))
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def no_window(n: int) -> Window:
    """Give windows that change nothing."""
    never = np.full(n, -np.inf)
    return Window(never, never, never, np.ones(n), np.ones(n), np.zeros(n))


def arm_window(config: ShopConfig, experiment: Experiment, arm: int, at: np.ndarray) -> Window:
    """Give what one arm does to customers assigned at ``at``.

    An arm that pulls forward is slowed down after its ``pull_days``, so that the exposure of the
    whole window equals that without treatment. For any BG/NBD customer the expected number of
    orders in the window then is unchanged too, whatever the rate and drop-out.
    """
    does = experiment.arms[arm]
    end = at + experiment.window_days
    one = np.ones(len(at))
    if not does.pull_days:
        return Window(at, end, end, does.multiplier * one, one, does.discount * one)
    time, mid = calendar(config), at + does.pull_days
    early, late = time.exposure(mid) - time.exposure(at), time.exposure(end) - time.exposure(mid)
    slower = (early + late - does.multiplier * early) / late
    return Window(at, mid, end, does.multiplier * one, slower, does.discount * one)


def block_sizes(config: ShopConfig, seed: int) -> list[int]:
    """Give the number of customers with an order in each block: Poisson in total."""
    arrivals = calendar(config).arrivals
    expected = config.customers * arrivals.sum() / arrivals[: config.as_of_day].sum()
    total = max(int(np.random.default_rng(np.random.SeedSequence(seed)).poisson(expected)), 1)
    full, rest = divmod(total, config.block_customers)
    return [config.block_customers] * full + ([rest] if rest else [])


def draw_people(config: ShopConfig, n: int, rng: np.random.Generator) -> People:
    """Draw ``n`` customers: when and where they were won, and their hidden rates.

    Rate, drop-out and mean order value are independent of each other; the channel shifts the rate.
    """
    arrivals = calendar(config).arrivals
    cumulative = np.concatenate([[0.0], np.cumsum(arrivals) / arrivals.sum()])
    acquired = np.sort(np.interp(rng.random(n), cumulative, np.arange(len(cumulative))))
    acquired = np.minimum(acquired, config.end - 1e-6)
    channel = rng.choice(len(config.channels), n, p=[c.share for c in config.channels])
    country = rng.choice(len(config.countries), n, p=[c[1] for c in config.countries])
    quality = np.array([c.quality for c in config.channels])[channel]
    rate = rng.gamma(config.r, 1 / config.alpha, n) * quality
    dropout = rng.beta(config.a, config.b, n)
    mean_value = config.p * config.gamma / rng.gamma(config.q, 1.0, n)
    wait = np.where(rng.random(n) < 0.25, rng.exponential(6.0, n), rng.uniform(0.001, 0.01, n))
    consent = rng.random(n) < config.consent_share
    withdrawn = acquired + rng.exponential(5000.0, n)
    return People(
        acquired=acquired,
        signed_up=np.maximum(acquired - wait, 0.0),
        channel=channel,
        country=country,
        rate=rate,
        dropout=dropout,
        mean_value=mean_value,
        consent=consent,
        withdrawn=np.where(consent, withdrawn, -np.inf),
    )


class _Run:
    """The state of one batch while time passes; the only mutable thing in the simulation."""

    def __init__(self, config: ShopConfig, people: People, rng: np.random.Generator) -> None:
        n = len(people.acquired)
        self.config, self.people, self.rng, self.time = config, people, rng, calendar(config)
        self.now, self.last = people.acquired.copy(), people.acquired.copy()
        self.dropped_at = np.full(n, np.inf)
        self.orders = np.ones(n, dtype=np.int64)
        self.withdrawn = people.withdrawn.copy()
        self.window = no_window(n)
        self.found = [(np.arange(n), people.acquired)]
        self.assignments: list[Assignment] = []

    def until(self, stop: float) -> None:
        """Let all customers live until ``stop``: one round per purchase or change of intensity."""
        active = np.flatnonzero(np.isinf(self.dropped_at) & (self.now < stop))
        for _ in range(HARD_LIMIT):
            if not active.size:
                return
            now, window = self.now[active], self.window.take(active)
            edge = np.full(len(active), stop)
            for change in (window.end, window.mid, window.start):
                edge = np.where((change > now) & (change < edge), change, edge)
            speed = window.multiplier(now) * self.people.rate[active]
            wait = self.rng.exponential(size=len(active)) / speed
            before = self.time.exposure(now)
            buys = before + wait < self.time.exposure(edge)
            then = np.where(buys, self.time.moment(before + wait), edge)
            leaves = buys & (self.rng.random(len(active)) < self.people.dropout[active])
            who = active[buys]
            self.found.append((who, then[buys]))
            self.last[who] = then[buys]
            self.orders[who] += 1
            self.dropped_at[active[leaves]] = then[leaves]
            self.now[active] = then
            active = active[~leaves & (then < stop)]

    def assign(self, experiment: Experiment) -> None:
        """Put those who qualify at the experiment's start into arms."""
        config, rng, acquired = self.config, self.rng, self.people.acquired
        start = float(config.day(experiment.starts))
        if experiment.population == "new":
            first, last = start, config.day(experiment.last_entry or experiment.starts)
            fits = (acquired >= first) & (acquired < last + 1)
            at = np.floor(acquired) + 1
        else:
            recent = start - self.last <= experiment.recency_days
            fits = (acquired < start) & (self.withdrawn > start) & (self.window.end <= start)
            fits &= recent if experiment.population == "recent" else ~recent
            at = np.full(len(acquired), start)
        who = np.flatnonzero(fits & (rng.random(len(acquired)) < experiment.share))
        arm = rng.integers(len(experiment.arms), size=len(who))
        if not experiment.randomized:
            arm = (rng.random(len(who)) < propensity(self.orders[who])).astype(np.int64)
        self._open(experiment, who, arm, at[who])

    def _open(self, experiment: Experiment, who: np.ndarray, arm: np.ndarray, at: np.ndarray):
        for number, does in enumerate(experiment.arms):
            rows = who[arm == number]
            opened = arm_window(self.config, experiment, number, at[arm == number])
            for name in Window.__dataclass_fields__:
                values = getattr(self.window, name).copy()
                values[rows] = getattr(opened, name)
                self.window = replace(self.window, **{name: values})
            if does.sends:  # a mail makes four in a thousand withdraw their consent
                leaves = rows[self.rng.random(len(rows)) < 0.004]
                soon = at[np.searchsorted(who, leaves)] + self.rng.uniform(0.45, 2.0, len(leaves))
                self.withdrawn[leaves] = np.minimum(self.withdrawn[leaves], soon)
        self.assignments.append(Assignment(experiment, who, arm, at))


def propensity(orders: np.ndarray) -> np.ndarray:
    """Give the chance to be treated where nobody randomized: rising with past orders."""
    return np.minimum(0.12 * orders, 0.85)


def purchases(config: ShopConfig, people: People, rng: np.random.Generator) -> History:
    """Let a batch of customers buy from the shop's first day to the end of the data."""
    run = _Run(config, people, rng)
    tests = sorted(config.experiments, key=lambda e: (e.starts, e.experiment_id))
    for experiment in tests:
        if config.day(experiment.starts) >= config.end:
            continue
        if experiment.population != "new":
            run.until(float(config.day(experiment.starts)))
        run.assign(experiment)
    run.until(float(config.end))
    customer = np.concatenate([who for who, _ in run.found])
    at = np.concatenate([when for _, when in run.found])
    order = np.lexsort((customer, at))
    return History(
        customer=customer[order],
        at=at[order],
        dropped_at=run.dropped_at,
        withdrawn=run.withdrawn,
        assignments=tuple(run.assignments),
    )
