"""The smaller tables of customers: carts, surveys, activations, leads and subscriptions."""

import numpy as np
import pandas as pd

from helpers.simulate.config import ShopConfig, calendar
from helpers.simulate.orders import Orders, ids
from helpers.simulate.purchases import People
from helpers.simulate.tables import by_time, pick

PLAN_PRICES = {"basic": 4.90, "plus": 8.90}
PLAN_CHURN = (1.5, 12.0)  # shifted beta-geometric: monthly churn of a contract ~ Beta(a, b)


def carts_frame(
    config: ShopConfig, orders: Orders, names: np.ndarray, block: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Give checkouts that were left: some came back within two days and became an order."""
    n = len(orders.at)
    often = {"one_page": 0.08, "three_step": 0.15, "express": 0.05}
    left = rng.random(n) < np.array([often[flow] for flow in orders.flow])
    back = rng.random(n) < 0.3
    at = orders.at - np.where(back, rng.uniform(0.05, 2.0, n), rng.uniform(2.5, 40.0, n))
    keep = np.flatnonzero(left & (at >= 0))
    frame = pd.DataFrame(
        {
            "cart_id": "",
            "customer_id": names[orders.customer[keep]],
            "started_at": calendar(config).stamps(at[keep]),
            "cart_flow": orders.flow[keep],
            "recovered_order_id": np.where(back[keep], orders.order_id[keep], ""),
        }
    )
    frame = by_time(frame, "started_at", "customer_id")
    first = block * 100 * config.block_customers + 1
    return frame.assign(cart_id=ids("K", np.arange(first, first + len(frame)), 4))


def surveys_frame(
    config: ShopConfig, orders: Orders, names: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """Give answers: NPS (0 to 10) after some orders, CSAT (1 to 5) after some others."""
    n = len(orders.at)
    u = rng.random(n)
    at = orders.at + rng.uniform(3, 10, n)
    asked = (u < 0.06) & (at < config.end)
    nps = np.minimum(rng.binomial(11, 0.78, n), 10)
    csat = 1 + rng.binomial(4, 0.8, n)
    frame = pd.DataFrame(
        {
            "customer_id": names[orders.customer],
            "kind": np.where(u < 0.035, "nps", "csat"),
            "score": np.where(u < 0.035, nps, csat),
            "answered_at": calendar(config).stamps(at),
        }
    )
    return by_time(frame[asked], "answered_at", "customer_id")


def activations_frame(
    config: ShopConfig, people: People, names: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """Give first-value events: step 1 soon after the first order, step 2 for half of those."""
    n = len(people.acquired)
    at = people.acquired + 0.1 + rng.exponential(1.5, n)
    later = at + 0.2 + rng.exponential(5.0, n)
    one = (rng.random(n) < 0.45) & (at < config.end)
    two = one & (rng.random(n) < 0.5) & (later < config.end)
    frame = pd.DataFrame(
        {
            "customer_id": np.concatenate([names[one], names[two]]),
            "step": [1] * int(one.sum()) + [2] * int(two.sum()),
            "at": calendar(config).stamps(np.concatenate([at[one], later[two]])),
        }
    )
    return by_time(frame, "at", "customer_id", "step")


def leads_frame(
    config: ShopConfig, people: People, names: np.ndarray, block: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Give leads of the paid channels: one customer in six was a lead, and as many never bought."""
    paid = [k for k, c in enumerate(config.channels) if c.cost > 0]
    channels = np.array([c.name for c in config.channels], dtype=object)
    n = len(people.acquired)
    won = np.flatnonzero(np.isin(people.channel, paid) & (rng.random(n) < 1 / 6))
    lost = rng.poisson(1.4 * len(won)) if paid else 0
    at = np.concatenate(
        [people.acquired[won] - rng.uniform(0.02, 20.0, len(won)), rng.uniform(0, config.end, lost)]
    )
    channel = np.concatenate([people.channel[won], rng.choice(paid or [0], lost)])
    frame = pd.DataFrame(
        {
            "lead_id": "",
            "channel": channels[channel],
            "product": pick((("starter_box", 0.6), ("machine", 0.4)), len(at), rng),
            "at": calendar(config).stamps(np.maximum(at, 0.0)),
            "cost": np.round(rng.uniform(0.8, 3.2, len(at)), 2),
            "customer_id": np.concatenate([names[won], np.full(lost, "", dtype=object)]),
        }
    )
    frame = by_time(frame, "at", "channel", "cost")
    first = block * 100 * config.block_customers + 1
    return frame.assign(lead_id=ids("E", np.arange(first, first + len(frame)), 4))


def subscriptions_frame(
    config: ShopConfig, people: People, names: np.ndarray, block: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Give club contracts, billed apart from orders: sBG churn at each monthly renewal."""
    n = len(people.acquired)
    member = np.flatnonzero((rng.random(n) < 0.05) & (people.acquired < config.end - 1))
    start = people.acquired[member] + rng.uniform(0.1, 0.9, len(member))
    renewals = rng.geometric(np.maximum(rng.beta(*PLAN_CHURN, len(member)), 1e-6))
    stop = start + renewals * 365.25 / 12
    plus = rng.random(len(member)) < 0.3
    ended = np.full(len(member), np.datetime64("NaT", "s"))
    gone = stop < config.end
    ended[gone] = calendar(config).stamps(stop[gone])
    frame = pd.DataFrame(
        {
            "subscription_id": ids("S", block * config.block_customers + member + 1, 4),
            "customer_id": names[member],
            "started_at": calendar(config).stamps(start),
            "ended_at": ended,
            "plan": np.where(plus, "plus", "basic"),
            "price": np.where(plus, PLAN_PRICES["plus"], PLAN_PRICES["basic"]),
        }
    )
    return by_time(frame, "started_at", "customer_id")
