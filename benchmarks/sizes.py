"""Compress once: cleaning and every summary at one, ten and a hundred million order lines.

Each side is a process of its own, in turn, on the shop of `benchmarks/cleaning.py` with five lines
a customer. `cleaning and summaries` is all that a report asks of the engine, under a memory limit;
its baseline is the plain DuckDB of that benchmark, and summaries that go through whole shops stand
beside plain SQL written apart for the same rows. Then `customer_states` alone, from the orders: by
this workbook (cleaning not counted), by SQL written for the same result (and by the shortest
that gives it on this file, whose refunds all stand on the day of their order), by pandas, and by
the summary functions of lifetimes and pymc-marketing in environments of their own, made at first
use; those read the file with pandas, as their guides do, and once more with DuckDB doing that for
them.
Last the model of notebook 04: fitted on the distinct states, and every customer scored and written
by the engine. Quoted are medians of the clock and the peak memory of the process.

    python benchmarks/sizes.py --sizes 1000000,10000000 --runs 3

What was measured is kept under `work/`, so that a size or a side can be measured at a time.
"""

import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import duckdb
from cleaning import baseline, generate

_ROOT = Path(__file__).resolve().parent.parent
_TARGET = _ROOT / "reports" / "benchmarks" / "sizes.md"
_KEPT = _ROOT / "work" / "sizes.json"
# Customers to draw from; three in four of them buy, which makes five lines for each who does.
_CUSTOMERS_A_LINE = 0.27
MONTH, _END = "2024-12", "2024-12-31"
MEMORY = "4GB"
_OPTIONS = {
    "dimension": "first_category", "split": "2023-12-31", "tolerance": 0.005,
    "until": "2024-11-30", "window": 90,
}  # fmt: skip
_PEERS = {
    "lifetimes": ("lifetimes==0.11.3", "setuptools<81", "click", "duckdb", "pyarrow"),
    "pymc-marketing": ("pymc-marketing", "click", "duckdb", "pyarrow"),
}
_SALES = """
FROM read_parquet('{file}') WHERE customer_id IS NOT NULL AND revenue IS NOT NULL
  AND ordered_at < TIMESTAMP '2025-01-01' AND currency = 'EUR' AND status = 'paid'
"""
_DAYS_SQL = f"SELECT customer_id AS id, CAST(ordered_at AS DATE) AS day {_SALES} AND revenue > 0"
# The answer of customer_states to any such file: what is given back nets the day of its order,
# which is looked up, channels are told apart, and the frame comes sorted.
_TRACED_SQL = f"""
WITH lines AS NOT MATERIALIZED (
    SELECT order_id, customer_id AS id, CAST(ordered_at AS DATE) AS day, revenue, is_refund,
        channel, coalesce(refund_of, order_id) AS refund_of {_SALES}
), sold AS (
    SELECT order_id, id, min(day) AS sold_day FROM lines
    WHERE NOT is_refund AND order_id IN (SELECT refund_of FROM lines WHERE is_refund) GROUP BY ALL
), counted AS (
    SELECT id, day, revenue, is_refund, channel FROM lines WHERE NOT is_refund
    UNION ALL
    SELECT back.id, coalesce(sold_day, day), revenue, is_refund, channel FROM lines AS back
    LEFT JOIN sold ON sold.order_id = back.refund_of AND sold.id = back.id WHERE is_refund
)
"""
# The same where, as in this file, all is given back on the day it was bought.
_OWN_DAY_SQL = f"""
WITH counted AS (
    SELECT customer_id AS id, CAST(ordered_at AS DATE) AS day, revenue, is_refund, channel {_SALES}
)
"""
_STATES_SQL = """
, days AS (
    SELECT id, day, sum(revenue) AS revenue,
        bool_or(NOT is_refund) AS ordered, bool_or(is_refund) AS returned,
        min(channel) FILTER (NOT is_refund) AS channel
    FROM counted GROUP BY ALL
), bought AS (
    SELECT *, ordered AND NOT (returned AND revenue <= 0) AS counts FROM days
), histories AS (
    SELECT min(day) FILTER (counts) AS first_day, max(day) FILTER (counts) AS last_day,
        count(*) FILTER (counts) - 1 AS frequency, arg_min(channel, day) FILTER (ordered) AS segment
    FROM bought GROUP BY id
)
SELECT frequency, first_day, last_day, segment, count(*) AS n FROM histories
WHERE first_day IS NOT NULL GROUP BY ALL
"""


def whole(folder: Path) -> dict:
    """Clean the shop from nothing and make every summary, as a first report would."""
    from helpers import summaries
    from helpers.study import open_study

    for made in ("clean", "private", "summaries"):
        shutil.rmtree(folder / made, ignore_errors=True)
    began = time.perf_counter()
    study = open_study(str(folder), MONTH)
    cleaned = time.perf_counter() - began
    each = {"cleaning": cleaned}
    for name, made in summaries.SUMMARIES.items():
        given = {option: _OPTIONS[option] for option in made.options if option in _OPTIONS}
        began = time.perf_counter()
        summaries.engine_table(study, name, **given)
        each[name] = time.perf_counter() - began
        click.echo(f"{name}: {each[name]:.1f} s", err=True)
    return {"each": each}


def statements(folder: Path) -> dict:
    """Make the same summaries by plain SQL, each from what plain SQL made of customers before."""
    import plain_sql

    from helpers import summaries
    from helpers.study import open_study

    study, each, made = open_study(str(folder), MONTH), {}, {}
    for name in plain_sql.NAMES:
        given = {o: _OPTIONS[o] for o in summaries.SUMMARIES[name].options if o in _OPTIONS}
        said = plain_sql.offered(study, name, given, made)
        target = folder / "plain" / f"{name}.parquet"
        target.parent.mkdir(exist_ok=True)
        began = time.perf_counter()
        study.con.raw_sql(f"COPY ({said}) TO '{target}' (FORMAT parquet)")
        each[name] = time.perf_counter() - began
        if name in summaries.PRIVATE:
            made[name] = target
        click.echo(f"{name}: {each[name]:.1f} s", err=True)
    return {"each": each}


def states(folder: Path) -> dict:
    """Give the workbook's customer_states, from clean tables."""
    from helpers import summaries
    from helpers.study import open_study

    study = open_study(str(folder), MONTH)
    found = summaries.load(study, "customer_states")
    return {"customers": int(found["n"].sum()), "states": len(found)}


def plain_sql(folder: Path, query: str = f"{_TRACED_SQL}{_STATES_SQL} ORDER BY ALL") -> dict:
    """Give the same by one statement written for it."""
    found = duckdb.sql(query.format(file=folder / "orders.parquet")).df()
    return {"customers": int(found["n"].sum()), "states": len(found)}


def _days(folder: Path):
    """Read the days on which customers bought with pandas: customer and day of each line."""
    import pandas as pd

    columns = ["customer_id", "ordered_at", "revenue", "currency", "status"]
    rows = pd.read_parquet(folder / "orders.parquet", columns=columns)
    rows = rows[rows["customer_id"].notna() & (rows["revenue"] > 0)]
    rows = rows[(rows["currency"] == "EUR") & (rows["status"] == "paid")]
    rows = rows[rows["ordered_at"] < "2025-01-01"]
    return pd.DataFrame({"id": rows["customer_id"], "day": rows["ordered_at"].dt.normalize()})


def _ready_days(folder: Path):
    """Give the same frame, read by DuckDB."""
    return duckdb.sql(_DAYS_SQL.format(file=folder / "orders.parquet")).df()


def frames(folder: Path) -> dict:
    """Give first and last day and frequency in pandas, without refunds or channels."""
    each = _days(folder).drop_duplicates().groupby("id")["day"].agg(["min", "max", "size"])
    found = each.groupby(["size", "min", "max"]).size()
    return {"customers": len(each), "states": len(found)}


def lifetimes(folder: Path, read: Callable = _days) -> dict:
    """Give frequency, recency and T by lifetimes."""
    from lifetimes.utils import summary_data_from_transaction_data

    found = summary_data_from_transaction_data(
        read(folder), "id", "day", observation_period_end=_END, freq="D"
    )
    return {"customers": len(found)}


def pymc_marketing(folder: Path, read: Callable = _days) -> dict:
    """Give frequency, recency and T by pymc-marketing."""
    from pymc_marketing.clv import rfm_summary

    days = read(folder).assign(value=1.0)
    found = rfm_summary(days, "id", "day", "value", observation_period_end=_END, time_unit="D")
    return {"customers": len(found)}


def scored(folder: Path) -> dict:
    """Fit a model on the states, then score every customer and write the scores, in the engine."""
    from helpers import engines, summaries
    from helpers.chapters import outlooks
    from helpers.models import forecast
    from helpers.study import open_study

    study = open_study(str(folder), MONTH)
    states, periods = (summaries.load(study, n) for n in ("customer_states", "periods"))
    spend = summaries.load(study, "spend_states")
    terms = outlooks.terms_of(study, periods, horizon_months=12, discount_rate=0.1)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    models, reason = forecast.fit_or_why_not(states, spend, study.end, model=forecast.MODEL)
    assert models is not None, reason
    fitted = time.perf_counter() - began
    began = time.perf_counter()
    table = summaries.scored_customers(
        study, *outlooks.scores(states, spend, models, terms),
        margin_rate=terms.margin_rate, service=terms.cost_to_serve,
    )  # fmt: skip
    target = folder / "scored.parquet"
    engines.write_whole(study.con, table, target, table.columns)
    customers = duckdb.sql(f"SELECT count(*) FROM '{target}'").fetchall()[0][0]
    return {
        "states": len(states), "fitted": fitted, "scored": time.perf_counter() - began,
        "customers": customers, "before": before / 1e6,
    }  # fmt: skip


_OWN, _PLAIN = "cleaning and summaries", "summaries in plain SQL"
_SIDES = {
    "baseline": baseline, _OWN: whole, _PLAIN: statements, "this workbook": states,
    "plain SQL": plain_sql,
    "plain SQL that traces no refund": partial(plain_sql, query=_OWN_DAY_SQL + _STATES_SQL),
    "pandas": frames, "lifetimes": lifetimes,
    "lifetimes fed by DuckDB": partial(lifetimes, read=_ready_days),
    "pymc-marketing": pymc_marketing,
    "pymc-marketing fed by DuckDB": partial(pymc_marketing, read=_ready_days),
    "scored": scored,
}  # fmt: skip


_ALL = ("baseline", _OWN, _PLAIN)


def python_of(side: str) -> str:
    """Give the interpreter of a side: this one, or that of a peer's own environment."""
    peer = side.split()[0]
    if peer not in _PEERS:
        return sys.executable
    folder = _ROOT / "work" / peer
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *_PEERS[peer]]
        subprocess.run(install, check=True)
    return str(python)


def measured(side: str, folder: Path) -> dict | None:
    """Run one side in a process of its own; None where it failed, as where memory ran out."""
    if side == "this workbook":
        shutil.rmtree(folder / "summaries", ignore_errors=True)
    command = [python_of(side), __file__, "--side", side, "--folder", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
    if done.returncode:
        click.echo(f"{side} failed, as said above.")
        return None
    return json.loads(done.stdout.splitlines()[-1])


def place_shop(place: Path, lines: int) -> None:
    """Write a shop of so many lines, five a customer, with the memory limit."""
    generate(place, lines, round(lines * _CUSTOMERS_A_LINE))
    settings = place / "shop.toml"
    if "memory_limit" not in settings.read_text(encoding="utf-8"):
        limit = f'memory_limit = "{MEMORY}"\n'
        settings.write_text(limit + settings.read_text(encoding="utf-8"), encoding="utf-8")


def one_size(place: Path, lines: int, runs: int, sides: list[str]) -> dict[str, list[dict]]:
    """Measure every side on a shop of so many lines, in turn."""
    place_shop(place, lines)
    found: dict[str, list[dict]] = {side: [] for side in sides}
    for _ in range(runs):
        for side in sides:
            cost = measured(side, place)
            if cost:
                found[side].append(cost)
                cost_text = f"{cost['seconds']:.1f} s, {cost['cpu']:.1f} of processors"
                click.echo(f"{lines:,} {side}: {cost_text}, {cost['peak']:.2f} GB")
    return found


@click.command()
@click.option("--sizes", default="1000000,10000000", help="Order lines, sizes in turn.")
@click.option("--runs", default=3, show_default=True)
@click.option("--sides", default=",".join(_SIDES), help="What is measured.")
@click.option("--side", type=click.Choice(list(_SIDES)), default=None, hidden=True)
@click.option("--folder", default="", help="Where the shops are kept; default: a temporary one.")
def main(sizes: str, runs: int, sides: str, side: str | None, folder: str) -> None:
    """Time every side at every size and write the page."""
    if side:
        began = time.perf_counter()
        found = _SIDES[side](Path(folder))
        used, seconds = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - began
        cost = {"seconds": seconds, "peak": used.ru_maxrss / 1e6, "cpu": used.ru_utime}
        cost["cpu"] += used.ru_stime
        click.echo(json.dumps({**cost, **found}))
        return
    with tempfile.TemporaryDirectory() as scratch:
        found = json.loads(_KEPT.read_text("utf-8")) if _KEPT.is_file() else {}
        for lines in sizes.split(","):
            place = Path(folder or scratch) / lines
            now = one_size(place, int(lines), runs, sides.split(","))
            every = found.get(lines, {}) | now
            found[lines] = {side: every[side] for side in _SIDES if side in every}
            if not folder:
                shutil.rmtree(place)
            _KEPT.parent.mkdir(exist_ok=True)
            _KEPT.write_text(json.dumps(found), encoding="utf-8")
    by_size = {int(lines): found[lines] for lines in sorted(found, key=int)}
    _TARGET.write_text(page(by_size), encoding="utf-8")


def page(found: dict[int, dict[str, list[dict]]]) -> str:
    """Write the page: seconds and memory of each side at each size, and the ratios asked of it."""
    lines = [
        "# Cleaning and every summary, by size",
        "",
        "Order lines of a simulated shop, five a customer; each side a process of its own with its",
        f"imports, in turn, medians of the runs; DuckDB {duckdb.__version__},"
        f' `memory_limit = "{MEMORY}"`.',
        "Made by `make bench-sizes`. `customer_states` of this workbook begins with clean tables",
        "and ends with the frame; plain SQL gives the same from the file; pandas and the libraries",
        "know neither refunds nor channels.",
        "",
        "| lines | what | runs | seconds | processor seconds | microseconds a line "
        "| against plain DuckDB | peak memory |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    against = {_OWN: "baseline"} | dict.fromkeys(
        [side for side in _SIDES if side not in (*_ALL, "scored")], "plain SQL"
    )
    for size, sides in found.items():
        seconds = {k: statistics.median(c["seconds"] for c in v) for k, v in sides.items() if v}
        for side, costs in sides.items():
            if side == "scored":
                continue
            if not costs:
                lines.append(f"| {size:,} | {_name(side)} | 0 | failed | | | | |")
                continue
            base = seconds.get(against.get(side, ""))
            ratio = f"{seconds[side] / base:.2f}" if base else ""
            peak = max(cost["peak"] for cost in costs)
            cpu = statistics.median(cost["cpu"] for cost in costs)
            lines.append(
                f"| {size:,} | {_name(side)} | {len(costs)} | {seconds[side]:.1f} | {cpu:.1f} "
                f"| {seconds[side] / size * 1e6:.2f} | {ratio} | {peak:.2f} GB |"
            )
    scores = {size: sides["scored"][0] for size, sides in found.items() if sides.get("scored")}
    if scores:
        lines += [
            "",
            "The forecast: BG/NBD fitted on distinct states, then every customer scored, ranked",
            "and written by the engine. Python holds states, never customers.",
            "",
            "| customers | distinct states | fit | microseconds a state | scored | peak memory |",
            "|---:|---:|---:|---:|---:|---:|",
        ]
    for cost in scores.values():
        lines.append(
            f"| {cost['customers']:,} | {cost['states']:,} | {cost['fitted']:.1f} s "
            f"| {cost['fitted'] / cost['states'] * 1e6:.1f} | {cost['scored']:.1f} s "
            f"| {cost['peak']:.2f} GB |"
        )
    for size, sides in found.items():
        lines += beside(size, sides)
    return "\n".join([*lines, ""])


_MOST = 20


def beside(size: int, sides: dict[str, list[dict]]) -> list[str]:
    """Write what single summaries cost at a size, beside plain SQL for the same rows."""
    if not (sides.get(_OWN) and sides.get(_PLAIN)):
        return []

    def seconds(side: str) -> dict[str, float]:
        runs = [run["each"] for run in sides[side]]
        return {name: statistics.median(run[name] for run in runs) for name in runs[0]}

    own, plain = seconds(_OWN), seconds(_PLAIN)
    rest = sum(own.values()) - own["cleaning"] - sum(own[name] for name in plain)
    rows = sorted(plain, key=lambda name: -own[name])
    cells = [(f"`{name}`", own[name], plain[name]) for name in rows[:_MOST]]
    cells.append((f"{len(rows) - _MOST} more", *(
        sum(each[name] for name in rows[_MOST:]) for each in (own, plain)
    )))  # fmt: skip
    cells.append(("together", *(sum(each[name] for name in rows) for each in (own, plain))))
    return [
        "",
        f"Single summaries at {size:,} lines, seconds in one process, beside plain SQL written",
        f"apart for the same rows (`benchmarks/sql`). Cleaning took {own['cleaning']:.0f} s, the",
        f"other {len(own) - 1 - len(plain)} summaries {rest:.0f} s.",
        "",
        "| summary | seconds | plain SQL | ratio |",
        "|---|---:|---:|---:|",
        *(f"| {name} | {a:.1f} | {b:.1f} | {a / b:.2f} |" for name, a, b in cells),
    ]


def _name(side: str) -> str:
    return side if side in _ALL else f"customer_states, {side}"


if __name__ == "__main__":
    main()
