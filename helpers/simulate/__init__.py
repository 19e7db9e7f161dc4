"""A shop whose truth is known, at any size.

``simulate(SAMPLE, seed=...)`` gives a whole shop as frames with its truth; ``simulate_batches``
gives the same customers block by block, so that a shop of any size fits in memory; ``write_shop``
writes CSV files and ``truth.toml``. A block depends on the configuration, the seed and its number
only, so blocks may be made in any order and on several machines.

Laws: arrivals by day with growth and season; BG/NBD purchases in seasonal time (Fader, Hardie and
Lee 2005, "Counting your customers the easy way"); Gamma-Gamma list values of orders (Fader and
Hardie 2013, "The Gamma-Gamma model of monetary value"), independent of the purchase rate.

``python -m helpers.simulate data/sample`` writes the sample shop again.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.simulate.config import ShopConfig
from helpers.simulate.extras import (
    activations_frame,
    carts_frame,
    leads_frame,
    subscriptions_frame,
    surveys_frame,
)
from helpers.simulate.faults import plant_faults, text_frame
from helpers.simulate.orders import draw_lines, draw_orders, draw_refunds, orders_frame
from helpers.simulate.orders import payments_frame as payments
from helpers.simulate.plans import (
    budget_frame,
    experiments_frame,
    fx_rates_frame,
    marketing_spend_frame,
    promotions_frame,
)
from helpers.simulate.purchases import block_sizes, draw_people, generator, purchases
from helpers.simulate.report import describe, to_toml
from helpers.simulate.sample import SAMPLE, SAMPLE_SEED
from helpers.simulate.tables import (
    assignments_frame,
    awake,
    campaigns_frame,
    consents_frame,
    customers_frame,
    service_costs_frame,
    touchpoints_frame,
)
from helpers.simulate.truth import experiment_sums, next_year_sums

__all__ = [
    "SAMPLE",
    "SAMPLE_SEED",
    "Batch",
    "ShopConfig",
    "SimulatedShop",
    "csv_texts",
    "simulate",
    "simulate_batch",
    "simulate_batches",
    "write_shop",
]


@dataclass(frozen=True)
class Batch:
    """One block of customers: its tables, hidden rates, and sums for the truth."""

    frames: dict[str, pd.DataFrame]
    latent: pd.DataFrame
    sums: dict[str, Counter]


@dataclass(frozen=True)
class SimulatedShop:
    """A simulated shop.

    ``frames``: one typed frame per canonical table, without faults, money in currency units.
    ``latent``: per customer with an order, the hidden rate, drop-out, mean list value, and whether
    alive at the end of ``as_of``. ``faulty``: the tables with planted faults, as text.
    ``truth``: the content of ``truth.toml``.
    """

    config: ShopConfig
    seed: int
    frames: dict[str, pd.DataFrame]
    latent: pd.DataFrame
    faulty: dict[str, pd.DataFrame]
    truth: dict[str, Any]


def simulate_batch(config: ShopConfig, seed: int, block: int) -> Batch:
    """Simulate the customers of one block, with every table that belongs to customers."""
    n = block_sizes(config, seed)[block]
    rng = {name: generator(seed, block, name) for name in ("people", "purchases", "orders")}
    extra = generator(seed, block, "extras")
    people = draw_people(config, n, rng["people"])
    history = purchases(config, people, rng["purchases"])
    orders = draw_orders(config, people, history, block, rng["orders"])
    names, customers = customers_frame(config, people, orders, block, extra)
    lines = draw_lines(config, people, names, orders, rng["orders"])
    refunds = draw_refunds(config, lines, rng["orders"])
    sold = orders_frame(config, lines, refunds)
    frames = {
        "orders": sold,
        "customers": customers,
        "consents": consents_frame(config, people, history, names, extra),
        "assignments": assignments_frame(config, history, names),
        "touchpoints": touchpoints_frame(config, people, history, names, extra),
        "service_costs": service_costs_frame(config, history, orders, names, extra),
        "carts": carts_frame(config, orders, names, block, extra),
        "surveys": surveys_frame(config, orders, names, extra),
        "activations": activations_frame(config, people, names, extra),
        "leads": leads_frame(config, people, names, block, extra),
        "subscriptions": subscriptions_frame(config, people, names, block, extra),
        "payments": payments(sold),
    }
    latent = pd.DataFrame(
        {
            "customer_id": names,
            "channel": people.channel,
            "acquired": people.acquired,
            "rate": people.rate,
            "dropout": people.dropout,
            "mean_value": people.mean_value,
            "alive": history.dropped_at > config.as_of_day,
        }
    )
    sums = {
        f"experiment.{a.experiment.experiment_id}": Counter(
            experiment_sums(config, people, history, a)
        )
        for a in history.assignments
    }
    sums["next_12_months"] = Counter(next_year_sums(config, people, history))
    return Batch(awake(frames), latent, sums)


def simulate_batches(config: ShopConfig, seed: int) -> Iterator[Batch]:
    """Yield the shop block by block; nothing is kept between blocks.

    The tables that are about the shop and not its customers (spend, budget, promotions,
    experiments, rates) are only in ``simulate``.
    """
    for block in range(len(block_sizes(config, seed))):
        yield simulate_batch(config, seed, block)


def simulate(config: ShopConfig = SAMPLE, seed: int = SAMPLE_SEED) -> SimulatedShop:
    """Simulate a whole shop and state its truth."""
    batches = list(simulate_batches(config, seed))
    frames = {
        name: pd.concat([batch.frames[name] for batch in batches], ignore_index=True)
        for name in batches[0].frames
    }
    frames |= {
        "marketing_spend": marketing_spend_frame(config, seed),
        "budget": budget_frame(config),
        "promotions": promotions_frame(config),
        "experiments": experiments_frame(config),
        "fx_rates": fx_rates_frame(config, seed),
        "campaigns": campaigns_frame(frames["touchpoints"]),
    }
    latent = pd.concat([batch.latent for batch in batches], ignore_index=True)
    sums: dict[str, Counter] = {}
    for batch in batches:
        for name, part in batch.sums.items():
            total = sums.setdefault(name, Counter())
            total.update(part)
    faults = plant_faults(config, frames, seed)
    truth = describe(config, seed, frames, sums, faults.facts)
    return SimulatedShop(config, seed, frames, latent, faults.tables, truth)


def csv_texts(shop: SimulatedShop) -> dict[str, str]:
    """Give each table as CSV text, faults planted: money with two decimals, empty for missing."""
    tables = {name: text_frame(frame) for name, frame in shop.frames.items() if len(frame)}
    tables |= shop.faulty
    return {
        name: frame.to_csv(index=False, lineterminator="\n")
        for name, frame in sorted(tables.items())
    }


def write_shop(folder: Path | str, shop: SimulatedShop) -> list[Path]:
    """Write ``<table>.csv`` for every table, and ``truth.toml``; return the files written."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in csv_texts(shop).items():
        written.append(target / f"{name}.csv")
        written[-1].write_bytes(text.encode())
    written.append(target / "truth.toml")
    written[-1].write_bytes(to_toml(shop.truth).encode())
    return written


def main(arguments: list[str] | None = None) -> None:
    """Write a simulated shop to a folder."""
    parser = argparse.ArgumentParser(prog="python -m helpers.simulate", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="where to write, such as data/sample")
    parser.add_argument("--seed", type=int, default=SAMPLE_SEED)
    parser.add_argument("--customers", type=float, default=SAMPLE.customers)
    given = parser.parse_args(arguments)
    config = replace(SAMPLE, customers=given.customers)
    for path in write_shop(given.folder, simulate(config, given.seed)):
        print(path)


if __name__ == "__main__":
    main()
