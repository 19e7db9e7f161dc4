"""How often the 95% intervals of experiments hold the true effect, over simulated experiments.

Customers have a rate of buying and a size of basket of their own, so that spend is mostly zero with
a long right tail, and spend before the campaign tells much of it; a quarter of them are new. The
true effects follow from the law in closed form, the capped one from a population many times as
large. All experiments of a size are read at once by the functions the notebook uses. Seeds are
fixed.

    python benchmarks/experiments.py --experiments 2000
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import pandas as pd
import scipy

from helpers.experiments import cuped, effects, looks, pooling, ratios
from helpers.experiments.decomposition import spend_parts
from helpers.experiments.effects import Effect
from helpers.experiments.factorial import CELLS, contrast
from helpers.experiments.multiplicity import holm

_TARGET = Path(__file__).resolve().parent.parent / "reports" / "benchmarks" / "experiments.md"
_SHAPE, _SCALE = 0.6, 0.9  # rate of buying in the window: gamma
_BASKET, _SPREAD, _WITHIN = 40.0, 0.6, 2.0  # lognormal between customers, gamma within
_NEW = 0.25
_BEFORE = 2.0  # the time before is twice as long as the window
_RATE_LIFT, _BASKET_LIFT = 1.2, 1.05
_COVARIATES = ("pre", "missing")
_DAYS, _DAILY = 40, 150
_HELD = (50, 100, 200, 500)  # customers held out


class People(NamedTuple):
    """Amounts of simulated customers, one row per experiment."""

    revenue: np.ndarray
    orders: np.ndarray
    pre: np.ndarray
    missing: np.ndarray


def draw(
    rng: np.random.Generator, shape: tuple[int, int], rate: float = 1.0, basket: float = 1.0
) -> People:
    """Draw customers whose rate of buying and size of basket the campaign multiplies."""
    own = rng.gamma(_SHAPE, _SCALE, shape)
    size = _BASKET * np.exp(_SPREAD * rng.standard_normal(shape) - _SPREAD**2 / 2)
    orders = rng.poisson(own * rate)
    revenue = basket * size * rng.gamma(_WITHIN * orders) / _WITHIN
    missing = rng.random(shape) < _NEW
    before = size * rng.gamma(_WITHIN * rng.poisson(own * _BEFORE)) / _WITHIN
    return People(revenue, orders, np.where(missing, 0.0, before), missing)


def truth(rate: float = 1.0, basket: float = 1.0) -> dict[str, float]:
    """Give what the law expects of a customer: revenue, orders, converted."""
    orders = _SHAPE * _SCALE * rate
    return {
        "revenue": orders * _BASKET * basket,
        "orders": orders,
        "converted": 1 - (1 + _SCALE * rate) ** -_SHAPE,
    }


def moments(people: People, capped: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Sum customers up to the moments of an arm, one entry per experiment."""
    columns = {"revenue": people.revenue, "orders": people.orders * 1.0, "pre": people.pre}
    columns |= {"missing": people.missing * 1.0, "converted": (people.orders > 0) * 1.0}
    if capped is not None:
        columns["capped"] = capped
    arm = {"n": np.full(len(people.revenue), people.revenue.shape[1], dtype=float)}
    arm |= {name: values.sum(axis=1) for name, values in columns.items()}
    for name in ("revenue", "orders", "pre", "capped"):
        if name in columns:
            arm[f"{name}_squares"] = (columns[name] ** 2).sum(axis=1)
    for a, b in (("revenue", "orders"), ("revenue", "pre"), ("revenue", "missing")):
        arm[f"{a}_{b}"] = (columns[a] * columns[b]).sum(axis=1)
    return arm


def caps(arms: list[People]) -> np.ndarray:
    """Give each experiment's cap: the 99% quantile of spend over buyers of all arms together."""
    spend = np.concatenate([arm.revenue for arm in arms], axis=1)
    return np.nanquantile(np.where(spend > 0, spend, np.nan), 0.99, axis=1)


def capped_truth(rng: np.random.Generator, rate: float, basket: float) -> tuple[np.ndarray, ...]:
    """Tabulate the true difference of capped means by cap, from 4 million customers per arm."""
    grid = np.linspace(50, 2000, 400)
    means = []
    for factors in ((1.0, 1.0), (rate, basket)):
        spend = np.sort(draw(rng, (1, 4_000_000), *factors).revenue[0])
        below = np.searchsorted(spend, grid, side="right")
        sums = np.concatenate([[0.0], np.cumsum(spend)])
        means.append((sums[below] + grid * (len(spend) - below)) / len(spend))
    return grid, means[1] - means[0]


def skewness(values: np.ndarray) -> float:
    """Give the skewness of customers' amounts."""
    off = values - values.mean()
    return float((off**3).mean() / (off**2).mean() ** 1.5)


def two_arms(rng: np.random.Generator, block: int, n: int, table: tuple) -> Iterator[tuple]:
    """Yield figure, effect, truth, skew of the amounts: two arms with an effect."""
    people = [draw(rng, (block, n)), draw(rng, (block, n), _RATE_LIFT, _BASKET_LIFT)]
    cap = caps(people)
    arms = [moments(arm, np.minimum(arm.revenue, cap[:, None])) for arm in people]
    before, after = truth(), truth(_RATE_LIFT, _BASKET_LIFT)
    lift = {name: after[name] - before[name] for name in before}
    skew = skewness(people[0].revenue)
    yield "revenue, difference", effects.difference(*arms, "revenue"), lift["revenue"], skew
    adjusted = cuped.adjusted(*arms, "revenue", covariates=_COVARIATES)
    yield "revenue, CUPED", adjusted, lift["revenue"], skew
    tip = skewness(np.minimum(people[0].revenue, cap[:, None]))
    here = np.interp(cap, *table)
    yield "revenue, capped at 99% of buyers", effects.difference(*arms, "capped"), here, tip
    share = effects.share_difference(*arms, "converted")
    yield "conversion, difference", share, lift["converted"], skewness(people[0].orders > 0)
    value = ratios.ratio_difference(*arms, "revenue", "orders")
    yield "average order value, difference", value, _BASKET * (_BASKET_LIFT - 1), skew
    parts = spend_parts(*arms)
    own = (after["converted"] - before["converted"]) * before["revenue"] / before["converted"]
    yield "revenue, conversion part", parts["conversion"], own, skew
    yield "revenue, basket part", parts["basket"], lift["revenue"] - own, skew


def no_effect(rng: np.random.Generator, block: int, n: int) -> Iterator[tuple]:
    """Yield the same for a campaign that does nothing, with the p-values of its metrics."""
    people = [draw(rng, (block, n)) for _ in range(2)]
    arms = [moments(arm) for arm in people]
    skew = skewness(people[0].revenue)
    yield "no effect: revenue, difference", effects.difference(*arms, "revenue"), 0.0, skew
    adjusted = cuped.adjusted(*arms, "revenue", covariates=_COVARIATES)
    yield "no effect: revenue, CUPED", adjusted, 0.0, skew
    others = [effects.share_difference(*arms, "converted"), effects.difference(*arms, "orders")]
    p_values = np.array([adjusted.p_value, *(other.p_value for other in others)])
    found = np.apply_along_axis(holm, 0, p_values).min(axis=0)
    # An interval of the family: it holds zero unless Holm finds anything.
    low = np.where(found <= 0.05, 1.0, -1.0)
    family = Effect(np.full_like(low, np.nan), np.nan, low, np.full_like(low, np.nan), found)
    yield "no effect: any of 3 metrics, Holm", family._replace(high=low + 2), 0.0, skew


def four_cells(rng: np.random.Generator, block: int, n: int) -> Iterator[tuple]:
    """Yield the same for a 2 x 2 test of n customers per cell whose changes help each other."""
    factors = {(0, 0): (1.0, 1.0), (1, 0): (1.2, 1.0), (0, 1): (1.0, 1.1), (1, 1): (1.3, 1.15)}
    people = {cell: draw(rng, (block, n), *factors[cell]) for cell in CELLS}
    cells = {cell: moments(each) for cell, each in people.items()}
    skew = skewness(people[0, 0].revenue)
    y = {cell: truth(*factors[cell])["revenue"] for cell in CELLS}
    main = (y[1, 0] - y[0, 0] + y[1, 1] - y[0, 1]) / 2
    both = y[1, 1] - y[1, 0] - y[0, 1] + y[0, 0]
    weights = {"main effect": (-0.5, 0.5, -0.5, 0.5), "interaction": (1.0, -1.0, -1.0, 1.0)}
    for (name, weight), true in zip(weights.items(), (main, both), strict=True):
        yield f"factorial, {name}", contrast(cells, weight, "revenue"), true, skew


def daily_looks(rng: np.random.Generator, block: int) -> tuple[Effect, Effect, float, float]:
    """Give the worst plain and the worst anytime-valid interval over daily looks.

    Customers join every day; a look is taken every day from the first at which both arms have the
    least number of customers and of buyers. The worst is that furthest from the truth.
    """
    sums = []
    for factors in ((1.0, 1.0), (_RATE_LIFT, _BASKET_LIFT)):
        days = [moments(draw(rng, (block, _DAILY), *factors)) for _ in range(_DAYS)]
        sums.append({key: np.cumsum([day[key] for day in days], axis=0) for key in days[0]})
    true = truth(_RATE_LIFT, _BASKET_LIFT)["revenue"] - truth()["revenue"]
    plain = effects.difference(*sums, "revenue")
    n = sums[0]["n"] + sums[1]["n"]
    wide = looks.anytime(plain, n, 2.0 * _DAYS * _DAILY)
    ready = np.minimum(sums[0]["n"], sums[1]["n"]) >= looks.LEAST_CUSTOMERS
    ready &= np.minimum(sums[0]["converted"], sums[1]["converted"]) >= looks.LEAST_ACTIVE
    first = float(np.where(ready, sums[0]["n"], np.inf).min(axis=0).mean())
    worst = [
        Effect(each.value[-1], each.se[-1], np.where(ready, each.low, -np.inf).max(axis=0),
               np.where(ready, each.high, np.inf).min(axis=0), each.p_value[-1])
        for each in (plain, wide)
    ]  # fmt: skip
    return *worst, true, first


def families(rng: np.random.Generator, experiments: int) -> Iterator[tuple]:
    """Yield pooled means and shrunk effects of families of 12 campaigns with known true effects."""
    ses = np.exp(rng.normal(-0.3, 0.4, (experiments, 12)))
    true = 0.5 + 0.8 * rng.standard_normal(ses.shape)
    seen = true + ses * rng.standard_normal(ses.shape)
    means = [pooling.pooled(*each) for each in zip(seen, ses, strict=True)]
    mean = Effect(*np.array([[m.value, m.se, m.low, m.high, np.nan] for m in means]).T)
    yield "mean effect of 12 campaigns", mean, 0.5, np.nan
    tables = [pooling.shrunk(*each) for each in zip(seen, ses, strict=True)]
    best = seen.argmax(axis=1)
    columns = ("shrunk", "shrunk_se", "low", "high")
    rows = np.array([[t[c].iloc[i] for c in columns] for t, i in zip(tables, best, strict=True)]).T
    top = np.arange(experiments)
    yield "largest of 12 campaigns, shrunk", Effect(*rows, 0 * rows[0]), true[top, best], np.nan
    raw, se = seen[top, best], ses[top, best]
    naive = effects.interval(raw, se)
    yield "largest of 12 campaigns, as measured", naive, true[top, best], np.nan


def covered(figure: str, n: float, parts: list[tuple[Effect, object, float]]) -> dict[str, object]:
    """Count how often the intervals hold the truth, and on which side the others lie."""
    low, high, value, true = (
        np.concatenate([np.broadcast_to(pick(e, t), np.shape(e.low)) for e, t, _ in parts])
        for pick in (
            lambda e, t: e.low, lambda e, t: e.high, lambda e, t: e.value, lambda e, t: t,
        )
    )  # fmt: skip
    return {
        "figure": figure, "n": n, "experiments": len(low),
        "covered": ((low <= true) & (true <= high)).mean(), "below": (high < true).mean(),
        "above": (low > true).mean(), "truth": np.mean(true), "bias": np.mean(value - true),
        "half": np.mean(high - low) / 2 if np.isfinite(value).all() else np.nan,
        "skew": np.mean([skew for *_, skew in parts]),
    }  # fmt: skip


def rows_of(size: int, experiments: int, seed: int) -> Iterator[dict[str, object]]:
    """Simulate all experiments of one size, in blocks."""
    rng = np.random.default_rng([seed, size])
    table = capped_truth(rng, _RATE_LIFT, _BASKET_LIFT)
    found: dict[str, list] = {}
    block = max(1, min(experiments, 400_000 // size))
    for start in range(0, experiments, block):
        here = min(block, experiments - start)
        for figure, *part in (
            *two_arms(rng, here, size, table), *no_effect(rng, here, size),
            *four_cells(rng, here, size),
        ):  # fmt: skip
            found.setdefault(figure, []).append(part)
    yield from (covered(figure, size, parts) for figure, parts in found.items())


def hold_outs(experiments: int, seed: int) -> Iterator[dict[str, object]]:
    """Simulate hold-outs: few customers against nine times as many who are treated."""
    rng = np.random.default_rng([seed, 2])
    lift = truth(_RATE_LIFT, _BASKET_LIFT)["revenue"] - truth()["revenue"]
    for size in _HELD:
        people = [
            draw(rng, (experiments, size)),
            draw(rng, (experiments, 9 * size), _RATE_LIFT, _BASKET_LIFT),
        ]
        effect = effects.difference(*map(moments, people), "revenue")
        part = (effect, lift, skewness(people[0].revenue))
        yield covered("revenue, hold-out of a tenth", size, [part])


def other_rows(experiments: int, seed: int) -> Iterator[dict[str, object]]:
    """Simulate daily looks and families of campaigns."""
    rng = np.random.default_rng([seed, 1])
    found: dict[str, list] = {}
    first = []
    for start in range(0, experiments, 200):
        plain, wide, true, n = daily_looks(rng, min(200, experiments - start))
        found.setdefault(f"{_DAYS} daily looks, plain", []).append((plain, true, np.nan))
        found.setdefault(f"{_DAYS} daily looks, anytime-valid", []).append((wide, true, np.nan))
        first.append(n)
    for figure, parts in found.items():
        # Over looks the worst ends cross, so a width means nothing.
        row = covered(figure, float(np.mean(first)), parts)
        yield row | {"half": np.nan, "bias": np.nan}
    for figure, *part in families(rng, experiments):
        yield covered(figure, 12, [part])


@click.command()
@click.option("--experiments", default=2000, show_default=True, help="experiments of each size")
@click.option("--sizes", default="500,2000,5000", show_default=True, help="customers per arm")
@click.option("--seed", default=20260630, show_default=True)
@click.option("--write/--no-write", default=True, help="write reports/benchmarks/experiments.md")
def main(experiments: int, sizes: str, seed: int, write: bool) -> None:
    """Say how often 95% intervals of experiments hold the truth."""
    rows = []
    for size in map(int, sizes.split(",")):
        rows += rows_of(size, experiments, seed)
        click.echo(pd.DataFrame(rows).round(3).to_string())
    rows += [*hold_outs(experiments, seed), *other_rows(experiments, seed)]
    click.echo(pd.DataFrame(rows).round(3).to_string())
    if write:
        _TARGET.parent.mkdir(parents=True, exist_ok=True)
        _TARGET.write_text(page(pd.DataFrame(rows), experiments, seed), encoding="utf-8")


def page(found: pd.DataFrame, experiments: int, seed: int) -> str:
    """Write the table as a page."""
    head = f"""# How often the intervals of experiments hold the true effect

{experiments:,} simulated experiments of each size, seed {seed}, numpy {np.__version__}, scipy
{scipy.__version__}. Of a 95% interval, 93 to 97% should hold the truth; of an anytime-valid one
at least 95% at all looks together. `n` is customers per arm (per cell of a factorial; held out;
at the first look; campaigns of a family), `skew` that of a customer's amount in the control,
`half` half the mean width of the interval, `bias` the mean error of the estimate, both in the
figure's unit; `too low` and `too high` say on which side the other intervals lay. Where there is
no effect, what did not hold the truth is the rate of false finds. A hold-out of 100 or fewer
falls short, and the readout says so beside the figure. Made by `make bench-experiments`.

| n | figure | true effect | held the truth | too low | too high | half | bias | skew |
|---:|---|---:|---:|---:|---:|---:|---:|---:|
"""
    lines = [
        f"| {row.n:,.0f} | {row.figure} | {row.truth:.3g} | {row.covered:.1%} | {row.below:.1%} "
        f"| {row.above:.1%} | {_text(row.half)} | {_text(row.bias)} | {_text(row.skew)} |"
        for row in found.itertuples()
    ]
    return head + "\n".join(lines) + "\n"


def _text(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2g}" if abs(value) < 1 else f"{value:.1f}"


if __name__ == "__main__":
    main()
