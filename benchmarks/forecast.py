"""How often predictive intervals hold what simulated shops earn, and what knowing the season is
worth.

Shops of the sample shop's law, season and growth included, without experiments: customers with
their purchases over thirty months, and over the twelve months after. Each shop is forecast from its
states alone, as notebook 04 does; orders have the law's values, and margins that stray from order
to order.
Seeds are fixed.

    python benchmarks/forecast.py --shops 200
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import click
import numpy as np
import pandas as pd

from helpers.models import forecast, futures, portfolio
from helpers.models.calendar import month_edges, season_of
from helpers.models.terms import Horizon, Terms
from helpers.simulate import SAMPLE
from helpers.simulate.purchases import draw_people, generator, purchases

_ROOT = Path(__file__).resolve().parent.parent
_TARGET = _ROOT / "reports" / "benchmarks" / "forecast.md"
_END, _LAST = date(2026, 6, 30), date(2027, 6, 30)
_LAW = replace(SAMPLE, experiments=(), faults=False, as_of=_END, last_day=_LAST)
_RATE, _NOISE, _SERVICE = 0.48, 6.0, 6.0  # margin of an order: 48% of its revenue, give or take 6
_TIERS = [0.1, 0.3, 0.6]
_KEYS = [*forecast.STATE, "spend_frequency"]


def shop_days(customers: int, seed: int, number: int) -> pd.DataFrame:
    """Simulate one shop's purchase days: customer, day, revenue, margin, first_day.

    ``customers`` are drawn over the whole time, so fewer are there at the forecast's day.
    """
    rng = {name: generator(seed, number, name) for name in ("people", "purchases", "orders")}
    people = draw_people(_LAW, customers, rng["people"])
    history = purchases(_LAW, people, rng["purchases"])
    who, size = history.customer, len(history.at)
    revenue = rng["orders"].gamma(_LAW.p, people.mean_value[who] / _LAW.p)
    margin = _RATE * revenue + rng["orders"].normal(0, _NOISE, size)
    day = np.datetime64(_LAW.first_day) + np.floor(history.at).astype(int)
    frame = pd.DataFrame({"id": who, "day": day, "revenue": revenue, "margin": margin})
    days = frame.groupby(["id", "day"], as_index=False).sum()
    return days.assign(first_day=days.groupby("id")["day"].transform("min"))


def known(days: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Give what summaries would hold at the end: customers one by one, spends, cohorts by month."""
    seen = days[days["day"] <= pd.Timestamp(_END)]
    repeat = seen[seen["day"] > seen["first_day"]]
    by = seen.groupby("id")
    people = by.agg(frequency=("day", "size"), first_day=("day", "min"), last_day=("day", "max"))
    people["frequency"] -= 1
    spent = repeat.groupby("id")["revenue"].agg(["size", "sum"])
    people["spend_frequency"] = spent["size"].reindex(people.index).fillna(0).astype(int)
    people["total_spend"] = spent["sum"].reindex(people.index).fillna(0.0)
    spends = people[people["spend_frequency"] > 0]
    spends = pd.DataFrame(
        {"frequency": spends["spend_frequency"], "total_spend": spends["total_spend"], "n": 1}
    )
    months = repeat.assign(
        cohort=repeat["first_day"].dt.to_period("M").dt.to_timestamp(),
        start=repeat["day"].dt.to_period("M").dt.to_timestamp(),
    )
    months = months.groupby(["cohort", "start"]).size().rename("purchases").reset_index()
    return people.assign(n=1), spends, months


def terms_of(days: pd.DataFrame) -> Terms:
    """Estimate the margin rate, its error and the spread of orders from the last year's repeats."""
    since = pd.Timestamp(_END) - pd.Timedelta(days=365)
    year = days[(days["day"] > since) & (days["day"] <= pd.Timestamp(_END))]
    year = year[year["day"] > year["first_day"]]
    rate = year["margin"].sum() / year["revenue"].sum()
    noise = float(np.sqrt(((year["margin"] - rate * year["revenue"]) ** 2).mean()))
    error = noise * np.sqrt(len(year)) / year["revenue"].sum()
    return Terms(Horizon(12), rate, _SERVICE, 0.1, rate_error=float(error), order_noise=noise)


def one_shop(
    customers: int, seed: int, number: int, draws: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Forecast one shop: intervals by tier and in total with what came, and orders by quarter."""
    days = shop_days(customers, seed, number)
    people, spends, months = known(days)
    later = days[(days["day"] > pd.Timestamp(_END)) & days["id"].isin(people.index)]
    season, reason = season_of(months, people, spends, _END)
    fits = {
        name: forecast.fit_models(people, spends, _END, season=given)
        for name, given in (("plain", None), ("seasonal", season))
    }
    terms = terms_of(days)
    score = forecast.score_states(people, spends, fits["seasonal"], terms)
    value = people.reset_index().merge(score[[*_KEYS, "discounted_orders"]], on=_KEYS, how="left")
    lines = forecast.score_spend(spends, fits["seasonal"])
    value = value.merge(lines, on="spend_frequency", how="left").set_index("id")
    spend = value["intercept"] + value["slope"] * value["total_spend"]
    worth = value["discounted_orders"] * (spend * terms.margin_rate - terms.cost_to_serve)
    place = (worth.rank(method="first", ascending=False) - 0.5) / len(worth)
    people["tier"] = (np.searchsorted(_TIERS, place.reindex(people.index)) + 1).astype(str)
    found = futures.clv_forecast(
        people, spends, fits["seasonal"], terms, by="tier", draws=draws, seed=number
    ).totals.set_index("tier")
    actual = later["margin"].groupby(later["id"].map(people["tier"])).sum()
    actual["total"] = later["margin"].sum()
    intervals = found[["margin", "margin_low", "margin_high"]].assign(actual=actual, shop=number)
    edges = month_edges(_END, 12)[::3]
    passed = (later["day"] - pd.Timestamp(_END)).dt.days.to_numpy()
    quarters = {"actual": np.histogram(passed, edges + 0.5)[0]}
    for name, models in fits.items():
        quarters[name] = portfolio.expected_steps(people, spends, models, edges)[0]
    return intervals.reset_index(), pd.DataFrame(quarters).assign(shop=number, known=not reason)


def results(shops: int, customers: int, seed: int, draws: int) -> Iterator[tuple]:
    """Forecast the shops one after the other."""
    for number in range(shops):
        yield one_shop(customers, seed, number, draws)


@click.command()
@click.option("--shops", default=200, show_default=True)
@click.option("--customers", default=6000, show_default=True, help="Drawn over all 42 months.")
@click.option("--draws", default=200, show_default=True)
@click.option("--seed", default=20260701, show_default=True)
@click.option("--write/--no-write", default=True, help="Write the page under reports/benchmarks.")
def main(shops: int, customers: int, draws: int, seed: int, write: bool) -> None:
    """Say how often 90% intervals hold what came, and what the season is worth."""
    parts = list(results(shops, customers, seed, draws))
    intervals = pd.concat([part[0] for part in parts], ignore_index=True)
    quarters = pd.concat([part[1] for part in parts], ignore_index=True)
    text = page(intervals, quarters, shops, customers, draws, seed)
    click.echo(text)
    if write:
        _TARGET.parent.mkdir(parents=True, exist_ok=True)
        _TARGET.write_text(text, encoding="utf-8")


def page(
    intervals: pd.DataFrame,
    quarters: pd.DataFrame,
    shops: int,
    customers: int,
    draws: int,
    seed: int,
) -> str:
    """Write both tables as a page."""
    rows = intervals.assign(
        below=intervals["actual"] < intervals["margin_low"],
        above=intervals["actual"] > intervals["margin_high"],
        width=(intervals["margin_high"] - intervals["margin_low"]) / intervals["margin"],
        bias=intervals["margin"] / intervals["actual"] - 1,
    )
    table = rows.groupby("tier")[["below", "above", "width", "bias"]].mean()
    names = {"1": "top 10%", "2": "next 20%", "3": "next 30%", "4": "last 40%", "total": "total"}
    lines = [
        f"| {names[tier]} | {1 - row.below - row.above:.1%} | {row.below:.1%} | {row.above:.1%} | "
        f"{row.width:.0%} | {row.bias:+.1%} |"
        for tier, row in table.iterrows()
    ]
    errors = {
        name: (quarters[name] - quarters["actual"]).abs().sum() for name in ("plain", "seasonal")
    }
    share = errors["seasonal"] / errors["plain"]
    return (
        "# Forecasts of simulated shops\n\n"
        f"{shops:,} shops of the sample shop's law without experiments, {customers:,} customers "
        "drawn "
        "over 42 months each, of whom those won in the first 30 are forecast over the 12 that "
        "follow; "
        f"{draws:,} draws, seed {seed}. Made by `make bench-forecast`.\n\n"
        "## Do 90% intervals of the margin of the next twelve months hold what came?\n\n"
        "Of a 90% interval, 82.5 to 96% of 200 shops should be held. Customers are ranked by "
        "expected "
        "value; `came lower` and `came higher` say on which side of the interval the others lay, "
        "`width` is that of the interval as a share of the forecast, `bias` the mean error.\n\n"
        "| customers | held | came lower | came higher | width | bias "
        "|\n|---|---:|---:|---:|---:|---:|\n"
        + "\n".join(lines)
        + "\n\n## Is it worth knowing the season?\n\n"
        "Orders of the four quarters that follow, absolute errors summed over quarters and "
        "shops; the "
        f"season is estimated from each shop's own thirty months ({quarters['known'].mean():.0%} "
        "of "
        "shops had enough).\n\n"
        "| forecast | summed absolute error | share of the plain one's |\n|---|---:|---:|\n"
        f"| plain | {errors['plain']:,.0f} | 100% |\n"
        f"| with season | {errors['seasonal']:,.0f} | {share:.0%} |\n"
    )


if __name__ == "__main__":
    main()
