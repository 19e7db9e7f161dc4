"""What reading an experiment costs: ten million assigned customers, engine against pandas.

Both sides start from the same Parquet files (customer-days, customer facts, assignments) and give
the same numbers: raw difference and CUPED for conversion, orders, revenue and margin in each of the
workbook's five windows, with standard errors that allow for unequal spread. The engine side runs
the summaries of the workbook and its readout from moments; the other joins and sums in pandas and
fits statsmodels' OLS with HC2 errors. Each side is a process of its own; quoted are medians,
ratios, peak memory.

    python benchmarks/readout.py --customers 1000000,10000000 --runs 1
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import duckdb

_ROOT = Path(__file__).resolve().parent.parent
_TARGET = _ROOT / "reports" / "benchmarks" / "readout.md"
_COSTS = ("seconds", "cpu", "megabytes")
_METRICS = ("converted", "orders", "revenue", "margin")
_WINDOWS = (7, 14, 30, 60, 180)
_DAYS = """
COPY (
    SELECT 'C' || lpad(i::VARCHAR, 9, '0') AS customer_id,
        (DATE '2026-01-01' + ((hash(i * 7 + k) % 360)::INTEGER - 180))::DATE AS day,
        1::BIGINT AS orders, 1::BIGINT AS units,
        (500 + hash(i * 13 + k) % 9000)::BIGINT AS revenue,
        ((500 + hash(i * 13 + k) % 9000) * 2 // 5)::BIGINT AS margin,
        (500 + hash(i * 13 + k) % 9000)::BIGINT AS margin_revenue,
        0::BIGINT AS refunds, 0::BIGINT AS cost, 0::BIGINT AS order_cost
    FROM range({customers}) people(i), range(3) orders(k)
    WHERE hash(i + 31 * k) % 100 < 60 - 25 * k
) TO '{folder}/days.parquet' (FORMAT PARQUET)
"""
_ASSIGNED = """
COPY (
    SELECT 'test' AS experiment_id, 'C' || lpad(i::VARCHAR, 9, '0') AS customer_id,
        CASE WHEN hash(i + 5) % 2 = 0 THEN 'control' ELSE 'mail' END AS arm,
        NULL::VARCHAR AS factors,
        TIMESTAMP '2026-01-01 00:00:00' AS assigned_at, DATE '2026-01-01' AS assigned_date
    FROM range({customers}) people(i)
) TO '{folder}/assignments.parquet' (FORMAT PARQUET)
"""
_FACTS = """
COPY (
    SELECT customer_id, min(day) AS cohort_day, 'all' AS channel
    FROM '{folder}/days.parquet' GROUP BY customer_id
) TO '{folder}/facts.parquet' (FORMAT PARQUET)
"""


def engine_side(folder: Path) -> dict[str, list[float]]:
    """Read the experiment as the workbook does: summaries in the engine, effects from moments."""
    import ibis

    from helpers import engines
    from helpers.experiments import cuped, effects
    from helpers.sources.typed import clean_schema
    from helpers.summaries import experiment_moments as money
    from helpers.summaries import experiments

    con = ibis.duckdb.connect(threads=2, memory_limit="1GB", temp_directory=str(folder / "spill"))
    con.raw_sql("SET preserve_insertion_order = false")

    def empty(name: str) -> ibis.Table:
        return ibis.memtable([], schema=clean_schema(name))

    def step(name: str, table: ibis.Table) -> ibis.Table:
        engines.write_whole(con, table, folder / f"{name}.parquet", ())
        return con.read_parquet(str(folder / f"{name}.parquet"))

    days, assignments, facts = (
        con.read_parquet(str(folder / f"{name}.parquet"))
        for name in ("days", "assignments", "facts")
    )
    about = dict.fromkeys(clean_schema("experiments")) | {
        "experiment_id": "test",
        "window_days": 30,
    }
    declared = ibis.memtable([about], schema=clean_schema("experiments"))
    costs, touchpoints = empty("service_costs"), empty("touchpoints")
    assigned = step("assigned", experiments.experiment_assigned(assignments, declared, facts))
    history = step("history", experiments.experiment_history(assigned, days, costs))
    people = step("people", experiments.experiment_people(assigned, history, touchpoints))
    spends = step("spends", experiments.experiment_spends(people, days, costs))
    sums = step("sums", money.experiment_sums(spends, as_of="2026-06-30"))
    caps = step("caps", money.experiment_caps(people, sums))
    moments = money.experiment_moments(people, sums, caps, as_of="2026-06-30")
    exact = [column for column, kind in moments.schema().items() if kind.is_decimal()]
    moments = con.execute(moments.mutate(**{key: moments[key].cast("float64") for key in exact}))
    found = {}
    for window, rows in moments.groupby("window_days"):
        arms = effects.arms_of(rows)
        for name in _METRICS:
            raw = effects.difference(arms["control"], arms["mail"], name)
            less = cuped.adjusted(
                arms["control"], arms["mail"], name, covariates=("pre", "missing"),
                theta=cuped.pooled_theta(list(arms.values()), name, ("pre", "missing")),
            )  # fmt: skip
            values = (raw.value, raw.se, less.value, less.se)
            found[f"{name}, {window} days"] = [float(value) for value in values]
    return found


def pandas_side(folder: Path) -> dict[str, list[float]]:
    """Read it with data frames and statsmodels: join, sum by customer, least squares."""
    import numpy as np
    import pandas as pd
    import statsmodels.api as sm

    start = pd.Timestamp("2026-01-01")
    who = pd.read_parquet(folder / "assignments.parquet", columns=["customer_id", "arm"])
    facts = pd.read_parquet(folder / "facts.parquet", columns=["customer_id", "cohort_day"])
    money = ["orders", "revenue", "margin"]
    days = pd.read_parquet(folder / "days.parquet", columns=["customer_id", "day", *money])
    age = (pd.to_datetime(days["day"]) - start).dt.days
    earlier = days[age.between(-180, -1)].groupby("customer_id")["margin"].sum().rename("pre")
    rows = who.merge(facts, "left", "customer_id").merge(earlier, "left", "customer_id")
    missing = ~(pd.to_datetime(rows["cohort_day"]) < start).to_numpy()
    treated = (rows["arm"] == "mail").to_numpy(float)
    plain = np.column_stack([np.ones(len(rows)), treated])
    adjusted = np.column_stack([plain, rows["pre"].fillna(0), missing])
    found = {}
    for window in _WINDOWS:
        sums = days[age.between(0, window - 1)].groupby("customer_id")[money].sum()
        after = rows[["customer_id"]].merge(sums, "left", "customer_id").fillna(0)
        after["converted"] = after["orders"] > 0
        for name in _METRICS:
            y = after[name].to_numpy(float)
            raw = sm.OLS(y, plain).fit(cov_type="HC2")
            less = sm.OLS(y, adjusted).fit(cov_type="HC2")
            values = (raw.params[1], raw.bse[1], less.params[1], less.bse[1])
            found[f"{name}, {window} days"] = [float(value) for value in values]
    return found


def _run(side: str, folder: Path) -> dict:
    """Run one side in a process of its own."""
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder)]
    out = subprocess.run(command, check=True, capture_output=True, text=True, cwd=_ROOT)
    return json.loads(out.stdout.splitlines()[-1])


def _page(sizes: dict[int, dict[str, list[dict]]]) -> str:
    lines = [
        "# Reading an experiment: the engine against pandas and statsmodels",
        "",
        "The same files, the same figures: four metrics in five windows, raw and CUPED. Each side",
        "is a process of its own, imports included; medians of the runs. The engine may use two",
        "threads and 1 GB. The cores are shared with other work, so CPU time stands beside",
        "the time by the clock. Made by `make bench-readout`.",
        "",
        "| assigned customers | runs | side | seconds | seconds of CPU | peak memory |",
        "|---:|---:|---|---:|---:|---:|",
    ]
    for customers, runs in sizes.items():
        middle = {
            side: {key: statistics.median(run[key] for run in each) for key in _COSTS}
            for side, each in runs.items()
        }
        engine, frames = middle["engine"], middle["pandas"]
        head = f"| {customers:,} | {len(runs['engine'])} |"
        for name, cost in (("engine, then moments", engine), ("pandas and statsmodels", frames)):
            lines.append(
                f"{head} {name} | {cost['seconds']:.1f} | {cost['cpu']:.1f} | "
                f"{cost['megabytes']:,.0f} MB |"
            )
        ratios = {key: frames[key] / engine[key] for key in _COSTS}
        lines.append(
            f"{head} engine against pandas | {ratios['seconds']:.1f} times as fast | "
            f"{1 / ratios['cpu']:.2f} of the CPU | {1 / ratios['megabytes']:.2f} of the memory |"
        )
    ours, theirs = (runs[side][0]["found"] for side in ("engine", "pandas"))
    lines += [
        "",
        f"The figures of {customers:,} customers; money in cents, in brackets the standard error",
        "(Welch, and HC2).",
        "",
        "| metric | difference, engine | difference, pandas | CUPED, engine | CUPED, pandas |",
        "|---|---|---|---|---|",
    ]
    for name, own in ours.items():
        pairs = [(values, i) for i in (0, 2) for values in (own, theirs[name])]
        cells = [f"{values[i]:.6g} ({values[i + 1]:.4g})" for values, i in pairs]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


@click.command()
@click.option("--customers", default="1000000,10000000", help="assigned customers, sizes in turn")
@click.option("--runs", default=1, help="runs of each side, in turn")
@click.option("--side", default="", hidden=True)
@click.option("--folder", default="", hidden=True)
def main(customers: str, runs: int, side: str, folder: str) -> None:
    """Time both sides in turn and write the page."""
    if side:
        started = time.perf_counter()
        found = {"engine": engine_side, "pandas": pandas_side}[side](Path(folder))
        taken = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_SELF)
        cost = (taken, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
        print(json.dumps({"found": found, **dict(zip(_COSTS, cost, strict=True))}))
        return
    sizes = {}
    for size in map(int, customers.split(",")):
        sizes[size] = _measured(size, runs)
        page = _page(sizes)
        print(page, flush=True)
    _TARGET.write_text(page, encoding="utf-8")


def _measured(customers: int, runs: int) -> dict[str, list[dict]]:
    """Make the files, and run both sides in turn."""
    with tempfile.TemporaryDirectory() as made:
        con = duckdb.connect()
        for text in (_DAYS, _ASSIGNED, _FACTS):
            con.execute(text.format(customers=customers, folder=made))
        con.close()
        results: dict[str, list[dict]] = {"engine": [], "pandas": []}
        for _ in range(runs):
            for name, each in results.items():
                each.append(_run(name, Path(made)))
    return results


if __name__ == "__main__":
    main()
