"""What the simulated shop must be expected to do: closed forms of the law it was drawn from.

An expectation here is over what chance may still do, given what the simulation knows and no
analyst does: each customer's rate, drop-out, mean order value and whether they are still alive.
Margin is revenue - goods - shipping - payment fee, net of the refunds to be expected, before the
campaign's own cost. It counts the goods of every line; lines whose cost is missing from the data
are missing at random, so that the margin of lines with a known cost is ``margin`` times
``1 - cogs_missing``.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import hyp2f1

from helpers.simulate.config import ShopConfig, calendar
from helpers.simulate.purchases import (
    Assignment,
    History,
    People,
    Window,
    arm_window,
    draw_people,
    generator,
    no_window,
    purchases,
)

AGES = (30, 60, 90, 180, 365)


@dataclass(frozen=True)
class OrderMargin:
    """Margin of an order as a line in its list value: ``slope(discount) x value - fixed``."""

    kept: float  # share of the net price that is kept after refunds
    fee: float
    cogs: float  # share of list value that goods cost, after goods that come back
    fixed_fee: float

    def revenue(self, value: np.ndarray, discount: np.ndarray | float) -> np.ndarray:
        """Give the expected revenue, net of refunds, of orders with these expected list values."""
        return value * (1 - discount) * self.kept

    def margin(
        self, value: np.ndarray, discount: np.ndarray | float, shipping: np.ndarray | float
    ) -> np.ndarray:
        """Give the expected margin, net of refunds, of orders with these expected list values."""
        net = value * (1 - discount)
        return net * (self.kept - self.fee) - value * self.cogs - shipping - self.fixed_fee


def order_margin(config: ShopConfig) -> OrderMargin:
    """Give what an order earns: one line is refunded in ``refund_share`` of the orders."""
    one_line = sum(share / n for n, share in enumerate(config.lines, 1))  # of the order's value
    refunded = config.refund_share * one_line
    full = config.refund_full
    goods = sum(c.share * c.cogs_share for c in config.categories)
    return OrderMargin(
        kept=1 - refunded * (full + (1 - full) / 2),
        fee=config.fee_share,
        cogs=goods * (1 - refunded * full),
        fixed_fee=config.fee_fixed,
    )


def shipping(config: ShopConfig) -> np.ndarray:
    """Give the shipping cost of an order by country."""
    return np.array([cost for _, _, cost in config.countries])


def expected_orders(
    alive: np.ndarray, rate: np.ndarray, dropout: np.ndarray, exposure: np.ndarray
) -> np.ndarray:
    """Give the orders to be expected of known customers: (1 - exp(-p lambda S)) / p if alive.

    The chance to be alive after exposure S is exp(-p lambda S), and orders arrive at rate lambda.
    """
    return np.where(alive, -np.expm1(-dropout * rate * exposure) / dropout, 0.0)


def outlook(
    config: ShopConfig,
    people: People,
    rows: np.ndarray,
    alive: np.ndarray,
    start: np.ndarray,
    days: float,
    window: Window,
) -> dict[str, np.ndarray]:
    """Give each customer's expected orders, revenue and margin in ``days`` days from ``start``.

    The span is cut wherever the intensity or the discount changes.
    """
    time, earns, end = calendar(config), order_margin(config), start + days
    inner = [start, window.start, window.mid, window.end, end]
    inner += [np.full(len(rows), edge) for edge in time.edges]
    edges = np.sort(np.clip(np.stack(inner, axis=1), start[:, None], end[:, None]), axis=1)
    middle = (edges[:, 1:] + edges[:, :-1]) / 2
    wide = window.columns()
    gain = np.diff(time.exposure(edges), axis=1) * wide.multiplier(middle)
    passed = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(gain, axis=1)], axis=1)
    rate, dropout = people.rate[rows][:, None], people.dropout[rows][:, None]
    orders = np.diff(expected_orders(alive[:, None], rate, dropout, passed), axis=1)
    discount = np.maximum(time.discount(middle), wide.discounted(middle))
    value = people.mean_value[rows][:, None]
    ship = shipping(config)[people.country[rows]][:, None]
    return {
        "orders": orders.sum(axis=1),
        "revenue": (orders * earns.revenue(value, discount)).sum(axis=1),
        "margin": (orders * earns.margin(value, discount, ship)).sum(axis=1),
    }


def experiment_sums(
    config: ShopConfig, people: People, history: History, assignment: Assignment
) -> dict[str, float]:
    """Sum, over the assigned of one batch, what each would do in the window under each arm.

    Keys: ``n.<arm>``; ``<measure>.<arm>`` over all assigned; ``<measure>.<arm>.own`` over those
    in the arm; ``<measure>.<arm>.if_control`` over those in the arm, had they been controls.
    """
    test, rows, at = assignment.experiment, assignment.customer, assignment.at
    alive = history.dropped_at[rows] > at
    sums: dict[str, float] = {}
    control: dict[str, np.ndarray] = {}
    for number, arm in enumerate(test.arms):
        own = assignment.arm == number
        sums[f"n.{arm.name}"] = float(own.sum())
        window = arm_window(config, test, number, at)
        will = outlook(config, people, rows, alive, at, test.window_days, window)
        if arm.pull_days:
            early = outlook(config, people, rows, alive, at, arm.pull_days, window)
            plain = arm_window(config, test, 0, at)
            without = outlook(config, people, rows, alive, at, arm.pull_days, plain)
            sums[f"pulled.{arm.name}"] = float((early["orders"] - without["orders"]).sum())
        control = control or will
        for measure, values in will.items():
            sums[f"{measure}.{arm.name}"] = float(values.sum())
            sums[f"{measure}.{arm.name}.own"] = float(values[own].sum())
            sums[f"{measure}.{arm.name}.if_control"] = float(control[measure][own].sum())
    return sums


def last_windows(config: ShopConfig, people: People, history: History) -> Window:
    """Give each customer's latest treatment that had started by ``as_of``."""
    window = no_window(len(people.acquired))
    for assignment in history.assignments:
        for number in range(len(assignment.experiment.arms)):
            keep = (assignment.arm == number) & (assignment.at <= config.as_of_day)
            rows, at = assignment.customer[keep], assignment.at[keep]
            opened = arm_window(config, assignment.experiment, number, at)
            for name in Window.__dataclass_fields__:
                values = getattr(window, name).copy()
                values[rows] = getattr(opened, name)
                window = replace(window, **{name: values})
    return window


def next_year_sums(config: ShopConfig, people: People, history: History) -> dict[str, float]:
    """Sum what the customers acquired by ``as_of`` are expected to do in the 365 days after it."""
    now = float(config.as_of_day)
    rows = np.flatnonzero(people.acquired < now)
    alive = history.dropped_at[rows] > now
    start = np.full(len(rows), now)
    window = last_windows(config, people, history).take(rows)
    will = outlook(config, people, rows, alive, start, 365, window)
    sums = {name: float(values.sum()) for name, values in will.items()}
    return {"customers": float(len(rows)), "alive": float(alive.sum()), **sums}


def bgnbd_orders(
    config: ShopConfig, quality: np.ndarray | float, exposure: np.ndarray
) -> np.ndarray:
    """Give the expected repeat orders of a random new customer (Fader et al. 2005, equation 9)."""
    r, alpha, a, b = config.r, config.alpha / quality, config.a, config.b
    left = (alpha / (alpha + exposure)) ** r
    return (
        (a + b - 1) / (a - 1) * (1 - left * hyp2f1(r, b, a + b - 1, exposure / (alpha + exposure)))
    )


def value_by_age(config: ShopConfig, age: int, *, channel: str | None = None) -> dict[str, float]:
    """Give orders, revenue and margin per customer to an age, without any experiment.

    Closed form, averaged over the channels (or of one of them) and over the acquisition days of
    customers who had reached the age by ``as_of``; the first order counts. Acquisition is taken at
    midday.
    """
    time, earns = calendar(config), order_margin(config)
    days = np.arange(config.as_of_day - age)
    weights = time.arrivals[: len(days)] / time.arrivals[: len(days)].sum()
    start = days + 0.5
    inner = [np.full(len(days), edge) for edge in time.edges]
    edges = np.stack([start, *inner, start + age], axis=1)
    edges = np.sort(np.clip(edges, start[:, None], start[:, None] + age), axis=1)
    exposure = time.exposure(edges) - time.exposure(start)[:, None]
    value = config.p * config.gamma / (config.q - 1)
    ship = sum(share * cost for _, share, cost in config.countries)
    discount = time.discount((edges[:, 1:] + edges[:, :-1]) / 2)
    of_day = time.discount(start)
    first = (1 - config.coupon_share) * of_day
    first += config.coupon_share * np.maximum(of_day, config.coupon_discount)
    total = {
        "orders": 1.0,
        "revenue": float(weights @ earns.revenue(value, first)),
        "margin": float(weights @ earns.margin(value, first, ship)),
    }
    chosen = [each for each in config.channels if channel in (None, each.name)]
    for each in chosen:
        repeats = np.diff(bgnbd_orders(config, each.quality, exposure), axis=1)
        share = (each.share if channel is None else 1.0) * weights
        total["orders"] += float(share @ repeats.sum(axis=1))
        total["revenue"] += float(share @ (repeats * earns.revenue(value, discount)).sum(axis=1))
        total["margin"] += float(
            share @ (repeats * earns.margin(value, discount, ship)).sum(axis=1)
        )
    return total


def first_orders(history: History) -> np.ndarray:
    """Mark each customer's first order."""
    first = np.zeros(len(history.at), dtype=bool)
    first[np.unique(history.customer, return_index=True)[1]] = True
    return first


def order_discounts(
    config: ShopConfig, people: People, history: History, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Give each order's discount and coupon code: the best of promotion, coupon and flash sale."""
    first = first_orders(history)
    discount = calendar(config).discount(history.at)
    code = np.full(len(discount), "", dtype=object)
    coupon = first & (rng.random(len(first)) < config.coupon_share)
    wins = coupon & (config.coupon_discount > discount)
    code[wins] = "WELCOME10"
    discount = np.where(wins, config.coupon_discount, discount)
    for assignment in history.assignments:
        for number, arm in enumerate(assignment.experiment.arms):
            if not arm.discount:
                continue
            start = np.full(len(people.acquired), np.inf)
            own = assignment.arm == number
            start[assignment.customer[own]] = assignment.at[own]
            days = arm.pull_days or assignment.experiment.window_days
            since = history.at - start[history.customer]
            wins = (since >= 0) & (since < days) & (arm.discount > discount)
            code[wins] = "FLASH15"
            discount = np.where(wins, arm.discount, discount)
    return discount, code


def replicated_values(config: ShopConfig, seed: int) -> dict[int, dict[str, float]]:
    """Estimate value per customer to each age as the shop was run, experiments included.

    ``config.replicates`` new customers are drawn; each order counts with the margin expected of
    it, so that only the purchase times are random. ``*_se`` are standard errors.
    """
    rng = generator(seed, 2**31, "people")
    people = draw_people(config, config.replicates, rng)
    history = purchases(config, people, rng)
    discount, _ = order_discounts(config, people, history, rng)
    earns, who = order_margin(config), history.customer
    value, ship = people.mean_value[who], shipping(config)[people.country[who]]
    worth = {
        "orders": np.ones(len(who)),
        "revenue": earns.revenue(value, discount),
        "margin": earns.margin(value, discount, ship),
    }
    found = {}
    for age in AGES:
        eligible = people.acquired + age <= config.as_of_day
        counts = history.at - people.acquired[who] < age
        row: dict[str, float] = {"customers": int(eligible.sum())}
        for name, each in worth.items():
            total = np.bincount(who[counts], weights=each[counts], minlength=len(eligible))
            row[name] = float(total[eligible].mean())
            row[f"{name}_se"] = float(total[eligible].std() / np.sqrt(eligible.sum()))
        found[age] = row
    return found
