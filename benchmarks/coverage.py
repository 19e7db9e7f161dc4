"""How often the 95% intervals of historical figures hold the truth, over simulated shops.

Customers are drawn from the laws of the sample shop, and dealt out to shops at random: each shop is
a fresh draw of customers, and the truth is what the law expects, taken from a population many
times as large as any shop. The shops stand in the engine as one dimension, so every figure comes
through the summaries and functions that the notebooks use. Seeds are fixed.

    python benchmarks/coverage.py --shops 2000
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import click
import duckdb
import ibis
import numpy as np
import pandas as pd
from scipy import stats

from helpers.cleaning import clean_tables
from helpers.contract.shop import Margin, Shop
from helpers.measures import ltv, repurchase
from helpers.simulate import SAMPLE
from helpers.simulate.config import ShopConfig
from helpers.simulate.orders import draw_lines, draw_orders, draw_refunds, orders_frame
from helpers.simulate.purchases import draw_people, generator, purchases
from helpers.summaries import days as all_days
from helpers.summaries import expressions
from helpers.summaries.ages import cohort_ages
from helpers.summaries.days import MONEY

_ROOT = Path(__file__).resolve().parent.parent
_TARGET = _ROOT / "reports" / "benchmarks" / "coverage.md"
_MONEY = ("revenue", "cogs", "shipping_cost", "payment_fee")
# Without experiments, whose windows would make customers of one shop differ by design.
LAW = replace(SAMPLE, experiments=(), faults=False, cogs_missing=0.0, block_customers=100_000)
_SHOP = Shop(
    name="simulated", folder=Path(), title="Simulated", currency="EUR",
    time_zone="Europe/Amsterdam", sources={}, margin=Margin("costs"),
)  # fmt: skip
END = date(2026, 6, 30)
_DAYS = (30, 90, 180, 365)


def customer_days(config: ShopConfig, seed: int, block: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Simulate a block of customers: their days, money in minor units, and channel by customer."""
    n = config.block_customers
    rng = {name: generator(seed, block, name) for name in ("people", "purchases", "orders")}
    people = draw_people(config, n, rng["people"])
    history = purchases(config, people, rng["purchases"])
    orders = draw_orders(config, people, history, block, rng["orders"])
    names = np.arange(n) + block * n
    lines = draw_lines(config, people, names, orders, rng["orders"])
    frame = orders_frame(config, lines, draw_refunds(config, lines, rng["orders"]))
    frame = frame[frame["ordered_at"].dt.date <= END]
    stamps = {name: frame[name].dt.date for name in ("ordered_at", "refunded_at")}
    frame = frame.assign(
        order_date=stamps["ordered_at"], refunded_date=stamps["refunded_at"],
        refund_of=frame["refund_of"].replace("", None), known_date=stamps["ordered_at"],
        **{name: (frame[name] * 100).round().astype("int64") for name in _MONEY},
    )  # fmt: skip
    con = ibis.duckdb.connect()
    rows = clean_tables.finished_orders(con.create_table("orders", frame), _SHOP)
    rows = rows.filter(rows.event_date <= ibis.date(END))
    channels = np.array([channel.name for channel in config.channels])[people.channel]
    nobody = ibis.memtable([], schema={"customer_id": "int64", "acquisition_channel": "string"})
    facts = all_days.customer_facts(rows, nobody)
    return all_days.customer_days(rows, facts).execute(), channels


def shops_of(size: int, shops: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give customer-days, and for each customer the shop (``channel``) and first order day."""
    blocks = -(-size * shops // LAW.block_customers)
    days = pd.concat([customer_days(LAW, seed, block)[0] for block in range(blocks)])
    people = pd.DataFrame({"customer_id": np.arange(blocks * LAW.block_customers)})
    # Arrivals are sorted within a block, so customers are dealt out at random.
    order = np.random.default_rng([seed, size]).permutation(len(people))[: size * shops]
    people = people.iloc[order].assign(channel=np.arange(size * shops) % shops)
    people["channel"] = "shop " + people["channel"].astype(str).str.zfill(5)
    return with_first_day(days, people)


def with_first_day(days: pd.DataFrame, people: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep customers who have ordered, with their first day, and their days, by shop."""
    first = days[["customer_id", "cohort_day"]].dropna().drop_duplicates()
    people = people.merge(first, on="customer_id")
    shops = people[["customer_id", "channel"]]
    return days.drop(columns="channel").merge(shops, on="customer_id"), people


def horizon_ages(rows: ibis.Table, who: ibis.Table) -> pd.DataFrame:
    """Give the summary cohort_ages at its horizons, by shop (``channel``) and for all, in money."""
    ages = cohort_ages(rows, who)
    ages = ages.filter(ages.age_unit == "horizon").execute()
    for power, what in ((2, "_squares"), (3, "_cubes")):
        for name in ages.columns[ages.columns.str.endswith(what)]:
            ages[name] = ages[name].astype(float) / 100**power
    return ages.assign(**{name: ages[name].astype(float) / 100 for name in MONEY})


def stored(days: pd.DataFrame, people: pd.DataFrame) -> tuple[ibis.Table, ibis.Table]:
    """Put customer-days and customers into an engine of their own."""
    con = ibis.duckdb.connect()
    dates = ("day", "cohort_day", "first_day", "previous_day", "next_purchase")
    dated = {name: ibis._[name].cast("date") for name in dates}
    rows = con.create_table("days", ibis.memtable(days).mutate(**dated))
    who = ibis.memtable(people).mutate(cohort_day=ibis._.cohort_day.cast("date"))
    return rows, con.create_table("people", who)


def figures(days: pd.DataFrame, people: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Give each figure of each shop with its interval: figure, shop, value, low, high, n; and all.

    The shop named all holds every customer; its value stands for the truth.
    """
    rows, who = stored(days, people)
    ages = horizon_ages(rows, who)
    for measure in ("revenue", "margin"):
        for dimension in ("channel", "all"):
            found = ltv.ltv_historical(
                ages, as_of=END, horizons=_DAYS, value=measure, dimension=dimension, min_cell=1
            )
            yield pd.DataFrame(
                {
                    "figure": f"LTV, {measure}, day " + found["horizon"].astype(str),
                    "shop": found["value"], "value": found["per_customer"],
                    "low": found["low"], "high": found["high"], "n": found["customers"],
                }
            )  # fmt: skip
    yield from _of_waits(rows, who)


def _of_waits(rows: ibis.Table, who: ibis.Table) -> Iterator[pd.DataFrame]:
    """Give repeat purchase and churn of each shop from its own waits."""
    waits = expressions.waits(rows, as_of=str(END))
    waits = waits.join(who.select("customer_id", shop=who.channel), "customer_id")
    each = ["days", "event"]
    counted = {
        name: waits.group_by("shop", name, *each).aggregate(n=waits.count()).execute()
        for name in ("order_number", "part")
    }
    by_shop = {name: dict(list(found.groupby("shop"))) for name, found in counted.items()}
    whole = {
        name: found.groupby([name, *each], as_index=False)["n"].sum()
        for name, found in counted.items()
    }
    lines = []
    for shop in ("all", *by_shop["part"]):
        gaps, parts = (
            whole[name] if shop == "all" else by_shop[name][shop]
            for name in ("order_number", "part")
        )
        for length in _DAYS:
            share = repurchase.repeat_within(gaps, length)
            lines.append((f"Bought again within {length} days", shop, share.value, share.low,
                          share.high, share.n))  # fmt: skip
        window = repurchase.churn_rate(gaps, 180, parts=parts)
        lines.append(("Churn a month, window 180 days", shop, window.rate, window.low, window.high,
                      window.n))  # fmt: skip
        lines.append(("Share lost, window 180 days", shop, window.lost_share, window.lost_low,
                      window.lost_high, window.n))  # fmt: skip
    yield pd.DataFrame(lines, columns=["figure", "shop", "value", "low", "high", "n"])


def covered(table: pd.DataFrame) -> pd.DataFrame:
    """Count how often the interval of a shop holds the value of all customers, by figure."""
    truth = table[table["shop"] == "all"].set_index("figure")["value"]
    rows = table[(table["shop"] != "all") & table["low"].notna()]
    true = rows["figure"].map(truth)
    rows = rows.assign(
        below=rows["high"] < true, above=rows["low"] > true,
        width=(rows["high"] - rows["low"]) / true, bias=rows["value"] / true - 1,
    )  # fmt: skip
    found = rows.groupby("figure", sort=False).agg(
        shops=("shop", "size"), n=("n", "mean"), below=("below", "mean"), above=("above", "mean"),
        width=("width", "mean"), bias=("bias", "mean"), skew=("value", stats.skew),
    )  # fmt: skip
    return found.assign(covered=1 - found["below"] - found["above"], truth=truth)


def of_size(size: int, shops: int, seed: int) -> pd.DataFrame:
    """Simulate shops of so many customers, and say how often each figure's interval held."""
    table = pd.concat(figures(*shops_of(size, shops, seed)), ignore_index=True)
    return covered(table).assign(customers=size).reset_index()


@click.command()
@click.option("--shops", default=2000, show_default=True)
@click.option("--sizes", default="100,300,1000", show_default=True, help="Customers of a shop.")
@click.option("--seed", default=20260630, show_default=True)
@click.option("--jobs", default=2, show_default=True, help="Sizes side by side.")
@click.option("--write/--no-write", default=True, help="Write the page under reports/benchmarks.")
def main(shops: int, sizes: str, seed: int, jobs: int, write: bool) -> None:
    """Say how often 95% intervals hold the truth."""
    parts: list[pd.DataFrame] = []
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(of_size, int(size), shops, seed) for size in sizes.split(",")]
        for done in as_completed(waiting):
            parts = sorted([*parts, done.result()], key=lambda part: part["customers"].iloc[0])
            click.echo(done.result().round(3).to_string())
            if write:
                _TARGET.parent.mkdir(parents=True, exist_ok=True)
                _TARGET.write_text(page(pd.concat(parts), shops, seed), encoding="utf-8")


def page(found: pd.DataFrame, shops: int, seed: int) -> str:
    """Write the table as a page."""
    head = (
        "# How often the intervals hold the truth\n\n"
        f"{shops:,} simulated shops of each size, seed {seed}, DuckDB {duckdb.__version__}. Of a "
        "95% interval, 93 to 97% should hold the truth. `n` is the mean number of customers that "
        "a figure rests on, `skew` that of the figure over shops, `width` that of the interval as "
        "a share of the truth; `too low` and `too high` say on which side the others lay. Made by "
        "`make bench-coverage`.\n\n"
        "| customers | figure | n | held the truth | too low | too high | width | skew |\n"
        "|---:|---|---:|---:|---:|---:|---:|---:|\n"
    )
    lines = [
        f"| {row.customers:,} | {row.figure} | {row.n:,.0f} | {row.covered:.1%} | {row.below:.1%} "
        f"| {row.above:.1%} | {row.width:.0%} | {row.skew:.2f} |"
        for row in found.itertuples()
    ]
    return head + "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
