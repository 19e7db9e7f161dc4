"""Compress once: cleaning and every summary at one, ten and a hundred million order lines.

Each side is a process of its own, in turn, on the shop of `benchmarks/cleaning.py` with five lines
a customer. `cleaning and summaries` is all that a report asks of the engine, under a memory limit;
its baseline is the plain DuckDB of that benchmark. Then `customer_states` alone, from the orders:
by this workbook (cleaning not counted), by SQL written for it, by pandas, and by the summary
functions of lifetimes and pymc-marketing in environments of their own, made at first use. Last the
model of notebook 04: fitted on the distinct states, and every customer scored and written by the
engine. Quoted are medians of the clock and the peak memory of the process.

    python benchmarks/sizes.py --sizes 1000000,10000000 --runs 3
"""

import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import duckdb
from cleaning import baseline, generate

_ROOT = Path(__file__).resolve().parent.parent
_TARGET = _ROOT / "reports" / "benchmarks" / "sizes.md"
_LINES_A_CUSTOMER = 5
_MONTH, _END = "2024-12", "2024-12-31"
_MEMORY = "4GB"
_OPTIONS = {
    "dimension": "first_category", "split": "2023-12-31", "tolerance": 0.005,
    "until": "2024-11-30", "window": 90,
}  # fmt: skip
_PEERS = {
    "lifetimes": ("lifetimes==0.11.3", "setuptools<81", "click", "duckdb", "pyarrow"),
    "pymc-marketing": ("pymc-marketing", "click", "duckdb", "pyarrow"),
}
_DAYS_SQL = """
SELECT customer_id AS id, CAST(ordered_at AS DATE) AS day
FROM read_parquet('{file}') WHERE customer_id IS NOT NULL AND revenue > 0
  AND ordered_at < TIMESTAMP '2025-01-01' AND currency = 'EUR' AND status = 'paid'
"""


def whole(folder: Path) -> dict:
    """Clean the shop from nothing and make every summary, as a first report would."""
    from helpers import summaries
    from helpers.study import open_study

    for made in ("clean", "private", "summaries"):
        shutil.rmtree(folder / made, ignore_errors=True)
    began = time.perf_counter()
    study = open_study(str(folder), _MONTH)
    cleaned = time.perf_counter() - began
    each = {"cleaning": cleaned}
    for name, made in summaries.SUMMARIES.items():
        given = {option: _OPTIONS[option] for option in made.options if option in _OPTIONS}
        began = time.perf_counter()
        summaries.engine_table(study, name, **given)
        each[name] = time.perf_counter() - began
    return {"each": each}


def states(folder: Path) -> dict:
    """Give the workbook's customer_states, from clean tables."""
    from helpers import summaries
    from helpers.study import open_study

    study = open_study(str(folder), _MONTH)
    found = summaries.load(study, "customer_states")
    return {"customers": int(found["n"].sum()), "states": len(found)}


def plain_sql(folder: Path) -> dict:
    """Give the same by one statement written for it."""
    days = _DAYS_SQL.format(file=folder / "orders.parquet")
    found = duckdb.sql(
        f"SELECT frequency, first_day, last_day, count(*) AS n FROM (SELECT id, min(day) AS "
        f"first_day, max(day) AS last_day, count(*) - 1 AS frequency FROM (SELECT DISTINCT * FROM "
        f"({days})) GROUP BY id) GROUP BY ALL"
    ).df()
    return {"customers": int(found["n"].sum()), "states": len(found)}


def frames(folder: Path) -> dict:
    """Give the same in pandas."""
    import pandas as pd

    columns = ["customer_id", "ordered_at", "revenue", "currency", "status"]
    rows = pd.read_parquet(folder / "orders.parquet", columns=columns)
    rows = rows[rows["customer_id"].notna() & (rows["revenue"] > 0)]
    rows = rows[(rows["currency"] == "EUR") & (rows["status"] == "paid")]
    rows = rows[rows["ordered_at"] < "2025-01-01"]
    days = pd.DataFrame({"id": rows["customer_id"], "day": rows["ordered_at"].dt.normalize()})
    each = days.drop_duplicates().groupby("id")["day"].agg(["min", "max", "size"])
    found = each.groupby(["size", "min", "max"]).size()
    return {"customers": len(each), "states": len(found)}


def lifetimes(folder: Path) -> dict:
    """Give frequency, recency and T by lifetimes."""
    from lifetimes.utils import summary_data_from_transaction_data

    days = duckdb.sql(_DAYS_SQL.format(file=folder / "orders.parquet")).df()
    found = summary_data_from_transaction_data(
        days, "id", "day", observation_period_end=_END, freq="D"
    )
    return {"customers": len(found)}


def pymc_marketing(folder: Path) -> dict:
    """Give frequency, recency and T by pymc-marketing."""
    from pymc_marketing.clv import rfm_summary

    days = duckdb.sql(_DAYS_SQL.format(file=folder / "orders.parquet")).df().assign(value=1.0)
    found = rfm_summary(days, "id", "day", "value", observation_period_end=_END, time_unit="D")
    return {"customers": len(found)}


def scored(folder: Path) -> dict:
    """Fit a model on the states, then score every customer and write the scores, in the engine."""
    from helpers import engines, summaries
    from helpers.chapters import forecast_tables
    from helpers.models import forecast
    from helpers.study import open_study

    study = open_study(str(folder), _MONTH)
    states, periods = (summaries.load(study, n) for n in ("customer_states", "periods"))
    spend = summaries.load(study, "spend_states")
    terms = forecast_tables.terms_of(study, periods, horizon_months=12, discount_rate=0.1)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    models, reason = forecast.fit_or_why_not(states, spend, study.end, model=forecast.MODEL)
    assert models is not None, reason
    fitted = time.perf_counter() - began
    began = time.perf_counter()
    table = summaries.scored_customers(
        study, *forecast_tables.scores(states, spend, models, terms),
        margin_rate=terms.margin_rate, service=terms.cost_to_serve,
    )  # fmt: skip
    target = folder / "scored.parquet"
    engines.write_whole(study.con, table, target, table.columns)
    customers = duckdb.sql(f"SELECT count(*) FROM '{target}'").fetchall()[0][0]
    return {
        "states": len(states), "fitted": fitted, "scored": time.perf_counter() - began,
        "customers": customers, "before": before / 1e6,
    }  # fmt: skip


_SIDES = {
    "baseline": baseline, "cleaning and summaries": whole, "this workbook": states,
    "plain SQL": plain_sql, "pandas": frames, "lifetimes": lifetimes,
    "pymc-marketing": pymc_marketing, "scored": scored,
}  # fmt: skip


def python_of(side: str) -> str:
    """Give the interpreter of a side: this one, or that of a peer's own environment."""
    if side not in _PEERS:
        return sys.executable
    folder = _ROOT / "work" / side
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *_PEERS[side]]
        subprocess.run(install, check=True)
    return str(python)


def measured(side: str, folder: Path) -> dict | None:
    """Run one side in a process of its own; None where it failed, as where memory ran out."""
    if side == "this workbook":
        shutil.rmtree(folder / "summaries", ignore_errors=True)
    command = [python_of(side), __file__, "--side", side, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=_ROOT)
    if done.returncode:
        click.echo(f"{side} failed: {done.stderr.strip().splitlines()[-1:]}")
        return None
    return json.loads(done.stdout.splitlines()[-1])


def one_size(place: Path, lines: int, runs: int, sides: list[str]) -> dict[str, list[dict]]:
    """Measure every side on a shop of so many lines, in turn."""
    generate(place, lines, lines // _LINES_A_CUSTOMER)
    settings = place / "shop.toml"
    if "memory_limit" not in settings.read_text(encoding="utf-8"):
        limit = f'memory_limit = "{_MEMORY}"\n'
        settings.write_text(limit + settings.read_text(encoding="utf-8"), encoding="utf-8")
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
        found = {}
        for lines in map(int, sizes.split(",")):
            place = Path(folder or scratch) / str(lines)
            found[lines] = one_size(place, lines, runs, sides.split(","))
            if not folder:
                shutil.rmtree(place)
    _TARGET.write_text(page(found, runs), encoding="utf-8")


def page(found: dict[int, dict[str, list[dict]]], runs: int) -> str:
    """Write the page: seconds and memory of each side at each size, and the ratios asked of it."""
    lines = [
        "# Cleaning and every summary, by size",
        "",
        f"Order lines of a simulated shop, {_LINES_A_CUSTOMER} a customer; each side a process of",
        f"its own with its imports, in turn, medians of at most {runs}; DuckDB"
        f" {duckdb.__version__},",
        f'`memory_limit = "{_MEMORY}"`. Made by `make bench-sizes`.',
        "",
        "| lines | what | seconds | processor seconds | microseconds a line "
        "| against plain DuckDB | peak memory |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    against = {"cleaning and summaries": "baseline"} | dict.fromkeys(
        ("this workbook", "pandas", *_PEERS), "plain SQL"
    )
    for size, sides in found.items():
        seconds = {k: statistics.median(c["seconds"] for c in v) for k, v in sides.items() if v}
        for side, costs in sides.items():
            if side == "scored":
                continue
            if not costs:
                lines.append(f"| {size:,} | {_name(side)} | failed | | | | |")
                continue
            base = seconds.get(against.get(side, ""))
            ratio = f"{seconds[side] / base:.2f}" if base else ""
            peak = max(cost["peak"] for cost in costs)
            cpu = statistics.median(cost["cpu"] for cost in costs)
            lines.append(
                f"| {size:,} | {_name(side)} | {seconds[side]:.1f} | {cpu:.1f} "
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
    slow = {
        size: sorted(each.items(), key=lambda pair: -pair[1])[:8]
        for size, sides in found.items()
        for each in [run["each"] for run in sides.get("cleaning and summaries", [])[:1]]
    }
    for size, each in slow.items():
        told = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in each)
        lines += ["", f"What takes longest at {size:,} lines: {told}."]
    return "\n".join([*lines, ""])


def _name(side: str) -> str:
    return side if side in ("baseline", "cleaning and summaries") else f"customer_states, {side}"


if __name__ == "__main__":
    main()
