"""How often projections of cohorts, intervals of cells and payback ages hold the truth.

Customers buy by the laws of the sample shop (BG/NBD in seasonal time, Gamma-Gamma order values).
Projections: each shop is seen for some months, and the truth is what the same cohorts really did in
the years after. Cells and payback: customers are dealt out to shops, and the truth is what all of
them together did, which stands for the expectation. Seeds are fixed.

    python benchmarks/projection.py --shops 200
"""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import click
import numpy as np
import pandas as pd

from helpers.errors import DataError
from helpers.measures.cohorts import triangle
from helpers.measures.economics import payback_age
from helpers.measures.metrics import mean_interval, wilson
from helpers.models.projection import HORIZON_MONTHS, project
from helpers.simulate import SAMPLE
from helpers.simulate.purchases import draw_people, generator, purchases
from helpers.summaries.expressions import PARTS

_TARGET = Path(__file__).resolve().parent.parent / "reports" / "benchmarks" / "projection.md"
_FIRST = date(2021, 1, 1)
_BAND = (0.825, 0.96)
_CELL_BAND = (0.93, 0.97)


def orders_of(customers: int, months: int, later: int, seed: int) -> pd.DataFrame:
    """Simulate customers won in ``months`` and their orders until ``later`` months after.

    One row per order: customer, first and day (days since the first day), margin.
    """
    start = pd.Timestamp(_FIRST)
    as_of = (start + pd.DateOffset(months=months)).date() - timedelta(days=1)
    end = (start + pd.DateOffset(months=months + later)).date() - timedelta(days=1)
    law = replace(SAMPLE, experiments=(), promotions=(), first_day=_FIRST, growth=0.0)
    rng = [generator(seed, 0, name) for name in ("people", "purchases", "orders")]
    people = draw_people(replace(law, as_of=as_of, last_day=as_of), customers, rng[0])
    history = purchases(replace(law, as_of=end, last_day=end), people, rng[1])
    value = people.mean_value[history.customer] / law.p
    value = value * rng[2].standard_gamma(law.p, len(value))
    # Goods cost about half; an order that comes back leaves the shipping to pay.
    back = rng[2].random(len(value)) < law.refund_share
    return pd.DataFrame(
        {
            "customer": history.customer,
            "first": np.floor(people.acquired[history.customer]).astype(int),
            "day": np.floor(history.at).astype(int),
            "margin": np.where(back, 0.0, 0.5 * value) - 4.0,
        }
    )


def aged(orders: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Add cohort, group and age to orders, as the summary ``cohort_groups`` does."""
    days = pd.Timestamp(_FIRST) + pd.to_timedelta(np.arange(orders["day"].max() + 1), unit="D")
    month = np.asarray(days.year * 12 + days.month)
    first, day = orders["first"].to_numpy(), orders["day"].to_numpy()
    age = (day - first) // 30 if unit == "days30" else month[day] - month[first]
    epoch = (pd.Timestamp(_FIRST) - pd.Timestamp("1970-01-01")).days
    cohort = np.asarray(days.to_period("M").start_time)[first]
    return orders.assign(cohort=cohort, age=age, group=(first + epoch) % PARTS, age_unit=unit)


def groups_of(orders: pd.DataFrame, extra: list[str]) -> pd.DataFrame:
    """Sum orders as the summary does, for each shop."""
    keys = [*extra, "cohort", "group"]
    sizes = orders.drop_duplicates("customer").groupby(keys).size().rename("customers")
    # Distinct customers by age are counted once here, for a count of them by group is slow.
    first = ~orders.duplicated(["customer", "age"])
    found = orders.assign(first=first).groupby([*keys, "age"]).agg(
        active=("first", "sum"), orders=("customer", "size"), margin=("margin", "sum")
    )  # fmt: skip
    found = found.reset_index().join(sizes, on=keys)
    return found.assign(revenue=2 * found["margin"] + 8 * found["orders"])


def ages_of(groups: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Give the summary ``cohort_ages`` of one shop, as far as a triangle needs it."""
    sizes = groups.drop_duplicates(["cohort", "group"]).groupby("cohort")["customers"].sum()
    keys = ["active", "orders", "margin", "revenue"]
    found = groups.groupby(["cohort", "age"])[keys].sum().reset_index()
    found = found.join(sizes, on="cohort").assign(age_unit=unit, dimension="all", value="all")
    return found.assign(cost=found["revenue"] - found["margin"])


def projections(shops: int, size: int, months: int, seed: int) -> pd.DataFrame:
    """Project every shop; one row per shop, measure, cohort and age with what came."""
    orders = orders_of(shops * size, months, max(HORIZON_MONTHS) + 2, seed)
    orders["shop"] = np.random.default_rng([seed, 1]).permutation(shops * size)[
        orders["customer"]
    ] % shops  # fmt: skip
    as_of = pd.Timestamp(_FIRST) + pd.DateOffset(months=months) - pd.Timedelta(days=1)
    parts = []
    for measure, unit in (("retention", "month"), ("margin", "days30")):
        later = aged(orders, unit)
        known = later[later["day"] <= (as_of - pd.Timestamp(_FIRST)).days]
        groups = dict(list(groups_of(known, ["shop"]).groupby("shop")))
        truth = groups_of(later, ["shop"]).groupby(["shop", "cohort", "age"])
        truth = truth[["active", "margin"]].sum()
        for shop, mine in groups.items():
            mine = mine.assign(age_unit=unit)
            table = triangle(
                ages_of(mine, unit), measure=measure, as_of=as_of, age_unit=unit,
                cumulative=measure == "margin", opened_at=_FIRST,
            )  # fmt: skip
            try:
                found = project(mine, table)
            except DataError as reason:
                click.echo(f"{shop}: {reason}")
                continue
            came = truth.loc[shop]["margin" if measure == "margin" else "active"].unstack("age")
            came = came.fillna(0).reindex(columns=range(max(came.columns) + 1), fill_value=0)
            came = came.cumsum(axis=1) if measure == "margin" else came
            rows = found.table[found.table["low"].notna() & ~found.table["observed"]]
            size_of = table.sizes.loc[rows["cohort"]].to_numpy()
            at = came.to_numpy()[came.index.get_indexer(rows["cohort"]), rows["age"]]
            parts.append(rows.assign(came=at / size_of, shop=shop, n=size_of, used=found.method))
    return pd.concat(parts, ignore_index=True)


def held(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Count how often the interval holds what came."""
    slack = 1e-9
    rows = rows.assign(
        below=rows["came"] > rows["high"] + slack, above=rows["came"] < rows["low"] - slack,
        off=rows["estimate"] - rows["came"],
    )  # fmt: skip
    found = rows.groupby(by, sort=False).agg(
        shops=("shop", "nunique"), forecasts=("shop", "size"), n=("n", "mean"),
        below=("below", "mean"), above=("above", "mean"), off=("off", "mean"),
        size=("off", lambda x: x.abs().mean()), came=("came", "mean"),
    )  # fmt: skip
    found["held"] = 1 - found["below"] - found["above"]
    return found.assign(bias=found["off"] / found["came"], error=found["size"] / found["came"])


def cells(shops: int, size: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give the coverage of cells' 95% intervals, and of payback ages, over shops of one cohort."""
    orders = aged(orders_of(shops * size, 12, 14, seed), "days30")
    orders = orders[orders["age"] <= 13]
    deal = np.random.default_rng([seed, size]).permutation(shops * size) % shops
    shape = (shops * size, 14)
    margin, active = np.zeros(shape), np.zeros(shape)
    np.add.at(margin, (orders["customer"], orders["age"]), orders["margin"])
    active[orders["customer"], orders["age"]] = 1
    cumulative = margin.cumsum(axis=1)

    def sums(values: np.ndarray) -> np.ndarray:
        return np.stack([np.bincount(deal, each, shops) for each in values.T], axis=1)

    def money(values: np.ndarray, *, one_step: bool) -> tuple:
        powers = [sums(values**power) for power in (1, 2, 3)]
        return mean_interval(*powers[:2], size, cubes=powers[2], one_step=one_step)

    step, total = money(margin, one_step=True), money(cumulative, one_step=False)
    lines = []
    for name, found, true in (
        ("Retention (Wilson)", wilson(sums(active), size), active.mean(axis=0)),
        ("Margin of the step (Hall)", step, margin.mean(axis=0)),
        ("Cumulative margin (Hall)", total, cumulative.mean(axis=0)),
    ):
        for age in (1, 6, 12):
            low, high = found.low[:, age], found.high[:, age]
            below, above = (high < true[age]).mean(), (low > true[age]).mean()
            lines.append((name, age, size, 1 - below - above, below, above))
    table = pd.DataFrame(lines, columns=["cell", "age", "n", "held", "below", "above"])
    return table, _paybacks(total, cumulative.mean(axis=0), size)


def _paybacks(total: tuple, true: np.ndarray, size: int) -> pd.DataFrame:
    """Hold each shop's payback age against the age at which the expectation pays back."""
    lived, lines = np.arange(1, 15), []
    for age in (3, 6, 9):
        # Between two ages, so that the true age is not a matter of a cent.
        cac = (true[age - 2] + true[age - 1]) / 2
        found = [
            payback_age(lived, *each, cac)
            for each in zip(total.value, total.low, total.high, strict=True)
        ]
        low = np.nan_to_num([each.low for each in found], nan=99.0)
        high = np.nan_to_num([each.high for each in found], nan=99.0)
        paid = np.array([each.age for each in found])
        lines.append(
            (age, size, ((low <= age) & (age <= high)).mean(), np.nanmedian(paid),
             np.isnan(paid).mean(), np.isnan([each.high for each in found]).mean())
        )  # fmt: skip
    names = ["age", "n", "held", "median", "not_yet", "open"]
    return pd.DataFrame(lines, columns=names)


@click.command()
@click.option("--shops", default=200, show_default=True, help="Shops for projections.")
@click.option("--cell-shops", default=2000, show_default=True, help="Shops for cells and payback.")
@click.option("--size", default=4500, show_default=True, help="Customers of a shop.")
@click.option("--months", default="18,30", show_default=True, help="Months that a shop is seen.")
@click.option("--seed", default=20261128, show_default=True)
@click.option("--write/--no-write", default=True, help="Write the page under reports/benchmarks.")
def main(shops: int, cell_shops: int, size: int, months: str, seed: int, write: bool) -> None:
    """Say how often intervals hold the truth."""
    parts = []
    for seen in map(int, months.split(",")):
        rows = projections(shops, size, seen, seed + seen).assign(seen=seen)
        parts.append(rows)
        click.echo(held(rows, ["measure", "age", "state"]).round(3).to_string())
        click.echo(rows.drop_duplicates(["shop", "measure"]).value_counts(["measure", "used"]))
    found = [cells(cell_shops, n, seed + n) for n in (100, 300)]
    cell, paid = (pd.concat([each[i] for each in found]) for i in (0, 1))
    click.echo(cell.round(3).to_string() + "\n" + paid.round(3).to_string())
    if write:
        _TARGET.parent.mkdir(parents=True, exist_ok=True)
        text = page(
            pd.concat(parts, ignore_index=True), cell, paid, (shops, cell_shops, size, seed)
        )
        _TARGET.write_text(text, encoding="utf-8")


def page(rows: pd.DataFrame, cell: pd.DataFrame, paid: pd.DataFrame, made: tuple) -> str:
    """Write the tables as a page."""
    shops, cell_shops, size, seed = made
    text = (
        "# How often projections of cohorts hold what came\n\n"
        f"{shops:,} simulated shops of {size:,} customers for each length of history, seed {seed}. "
        "Each cohort is projected with a 90% interval by the method that its own shop's back-test "
        "chose; the truth is what the same customers really did later (chance included). Of 90% "
        f"intervals, {_BAND[0]:.1%} to {_BAND[1]:.0%} should hold it. `too low` and `too high` say "
        "on which side the others lay, `bias` and `error` (absolute) are shares of what came. "
        "Extrapolated: past the oldest age seen. Made by `make bench-projection`.\n\n"
        "| months seen | measure | age | state | forecasts | n per cohort | held what came "
        "| too low | too high | bias | error |\n"
        "|---:|---|---:|---|---:|---:|---:|---:|---:|---:|---:|\n"
    )
    table = held(rows, ["seen", "measure", "age", "state"]).reset_index()
    for x in table.itertuples():
        text += (
            f"| {x.seen} | {x.measure} | {x.age} | {x.state} | {x.forecasts:,} | {x.n:,.0f} "
            f"| {x.held:.1%} | {x.below:.1%} | {x.above:.1%} | {x.bias:+.0%} | {x.error:.0%} |\n"
        )
    used = rows.drop_duplicates(["seen", "shop", "measure"])
    used = used.value_counts(["seen", "measure", "used"], sort=False).rename("shops").reset_index()
    text += "\nMethods that back-tests chose:\n\n| months seen | measure | method | shops |\n"
    text += "|---:|---|---|---:|\n"
    for x in used.itertuples():
        text += f"| {x.seen} | {x.measure} | {x.used} | {x.shops} |\n"
    text += (
        "\n## Cells\n\n"
        f"{cell_shops:,} shops; the truth is the expectation. Of 95% intervals, "
        f"{_CELL_BAND[0]:.0%} to {_CELL_BAND[1]:.0%} should hold it. Age in steps of 30 days.\n\n"
        "| cell | age | n per cell | held the truth | too low | too high |\n"
        "|---|---:|---:|---:|---:|---:|\n"
    )
    for x in cell.itertuples():
        text += f"| {x.cell} | {x.age} | {x.n} | {x.held:.1%} | {x.below:.1%} | {x.above:.1%} |\n"
    text += (
        "\n## Payback ages\n\n"
        f"{cell_shops:,} shops; the truth is the age at which the expectation of cumulative margin "
        "reaches the cost. The interval holds the ages at which the 95% band of margin less cost "
        "holds zero; as ages are whole steps, it holds the truth at least as often as the band. "
        "Seen for 14 steps.\n\n"
        "| true age | n per shop | interval holds it | median age found | not yet paid back "
        "| no upper end |\n|---:|---:|---:|---:|---:|---:|\n"
    )
    for x in paid.itertuples():
        text += (
            f"| {x.age} | {x.n} | {x.held:.1%} | {x.median:.0f} | {x.not_yet:.1%} "
            f"| {x.open:.1%} |\n"
        )
    return text


if __name__ == "__main__":
    main()
