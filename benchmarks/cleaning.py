"""What cleaning costs: ten million order lines against a plain DuckDB baseline, in the same run.

Each side is a process of its own, several times in turn; quoted are medians, their ratio, and the
peak memory of the process. The baseline reads the file, checks the line key, writes Parquet and
groups by customer and day, in as few statements as that takes. Cleaning does all that a report
does: every rule, clean tables, quarantine, refunds linked to their sales, pseudonyms.

    python benchmarks/cleaning.py --lines 10000000 --runs 3
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
_SHOP = """currency = "EUR"
time_zone = "Europe/Amsterdam"
opened_at = 2022-01-01
complete_through = 2024-12-31
duplicates = "quarantine"
[tables.orders]
files = "orders.parquet"
"""
# Two lines an order, six orders a customer, 4% refunds without a reference, and faults of each kind
# in one line of ten thousand; ids and amounts follow from the line's number, the same every time.
# Customers differ, as a forecast needs them to: few buy often, and each stays for a time of their
# own, 400 days in the mean, from a day of their own on.
_LINES = """
WITH drawn AS (
    SELECT i, floor({customers} * pow(hash(i // 2) / 18446744073709551616.0, 2))::BIGINT AS customer
    FROM range({lines}) AS line(i)
), placed AS (
    SELECT i, customer, hash(customer + 11) % 77760000 AS won,
        -34560000 * ln((hash(customer + 13) + 1.0) / 18446744073709551616.0) AS stay,
        hash(i // 2 + 7) / 18446744073709551616.0 AS share
    FROM drawn
)
SELECT
    'O' || lpad((i // 2)::VARCHAR, 9, '0') AS order_id,
    CASE WHEN i % 10007 = 1 THEN NULL ELSE (i % 2 + 1)::VARCHAR END AS line_id,
    CASE WHEN i % 10007 = 2 THEN NULL
         ELSE 'C' || lpad(customer::VARCHAR, 8, '0') END AS customer_id,
    CASE WHEN i % 10007 = 3 THEN TIMESTAMP '2031-05-05'
         ELSE TIMESTAMP '2022-01-01'
              + to_seconds((won + share * least(stay, 94608000 - won))::BIGINT)
         END AS ordered_at,
    CASE WHEN i % 10007 = 4 THEN NULL
         WHEN i % 25 = 0 THEN -((hash(i) % 9000 + 500)::DECIMAL(12, 2) / 100)::DECIMAL(12, 2)
         ELSE ((hash(i) % 9000 + 500)::DECIMAL(12, 2) / 100)::DECIMAL(12, 2) END AS revenue,
    CASE WHEN i % 25 = 0 THEN -1.0 ELSE 1.0 END AS quantity,
    ((hash(i) % 9000 + 500)::DECIMAL(12, 2) / 100)::DECIMAL(12, 2) AS unit_price,
    0::DECIMAL(12, 2) AS discount,
    CASE WHEN hash(i) % 50 = 0 THEN NULL
         ELSE ((hash(i) % 4000 + 200)::DECIMAL(12, 2) / 100)::DECIMAL(12, 2) END AS cogs,
    3.95::DECIMAL(12, 2) AS shipping_cost,
    0.40::DECIMAL(12, 2) AS payment_fee,
    'P' || (hash(i + 2) % 5000)::VARCHAR AS product_id,
    'category ' || (hash(i + 3) % 20)::VARCHAR AS category,
    'channel ' || (hash(i // 2 + 4) % 6)::VARCHAR AS channel,
    CASE WHEN hash(i + 5) % 10 = 0 THEN 'WELCOME' END AS coupon,
    'NL' AS country,
    CASE WHEN i % 10007 = 5 THEN 'USD' ELSE 'EUR' END AS currency,
    CASE WHEN i % 10007 = 6 THEN 'cancelled' ELSE 'paid' END AS status,
    i % 25 = 0 AS is_refund,
    NULL::VARCHAR AS refund_of
FROM placed
"""


def generate(folder: Path, lines: int, customers: int | None = None) -> None:
    """Write a shop of so many order lines: orders.parquet and shop.toml; 12 a customer."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shop.toml").write_text(_SHOP, encoding="utf-8")
    target = folder / "orders.parquet"
    if not target.is_file():
        rows = _LINES.format(lines=lines, customers=customers or lines // 12)
        duckdb.sql(f"COPY ({rows}) TO '{target}' (FORMAT parquet)")


def baseline(folder: Path) -> dict:
    """Read the file, check the line key, write it again, and group by customer and day."""
    con, source = duckdb.connect(), f"read_parquet('{folder / 'orders.parquet'}')"
    con.execute(
        f"SELECT count(*) FROM (SELECT order_id, line_id FROM {source} GROUP BY ALL "
        "HAVING count(*) > 1)"
    ).fetchall()
    target = folder / "baseline.parquet"
    con.execute(f"COPY (SELECT * FROM {source}) TO '{target}' (FORMAT parquet)")
    con.execute(
        "CREATE TABLE customer_days AS SELECT customer_id, ordered_at::DATE AS day, "
        "count(DISTINCT order_id) AS orders, sum(quantity) AS units, sum(revenue) AS revenue "
        f"FROM {source} GROUP BY ALL"
    )
    target.unlink()
    return {}


def cleaning(folder: Path) -> dict:
    """Clean the shop from nothing, as its first report would."""
    import shutil

    from helpers.cleaning import store as front
    from helpers.contract.shop import load_shop

    for made in ("clean", "private"):
        shutil.rmtree(folder / made, ignore_errors=True)
    orders = front.prepare(load_shop(str(folder))).tables["orders"]
    taken = {item["reason"]: item["rows"] for item in orders["set_aside"]}
    return {"kept": orders["kept"], "refunds": orders["refunds"], "taken_out": taken}


_SIDES = {"baseline": baseline, "cleaning": cleaning}


def _measured(side: str, folder: Path) -> dict:
    """Run one side in a process of its own: seconds with imports, peak memory in GB."""
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=_ROOT)
    return json.loads(done.stdout.splitlines()[-1])


@click.command()
@click.option("--lines", default=10_000_000, show_default=True)
@click.option("--runs", default=3, show_default=True)
@click.option("--folder", default="", help="Where the shop is kept; default: a temporary folder.")
@click.option("--side", type=click.Choice(list(_SIDES)), default=None, hidden=True)
def main(lines: int, runs: int, folder: str, side: str | None) -> None:
    """Time cleaning against the baseline."""
    if side:
        start = time.perf_counter()
        found = _SIDES[side](Path(folder))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        click.echo(json.dumps({"seconds": time.perf_counter() - start, "peak": peak, **found}))
        return
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(folder or scratch)
        generate(place, lines)
        found = {name: [] for name in _SIDES}
        for _ in range(runs):
            for name in _SIDES:
                found[name].append(_measured(name, place))
        report(found, lines, runs)


def report(found: dict[str, list[dict]], lines: int, runs: int) -> None:
    """Print medians, peaks and the ratio."""
    click.echo(f"{lines:,} order lines, medians of {runs}, DuckDB {duckdb.__version__}")
    medians = {}
    for name, results in found.items():
        medians[name] = statistics.median(each["seconds"] for each in results)
        peak = max(each["peak"] for each in results)
        click.echo(f"{name:>9}: {medians[name]:6.1f} s, peak {peak:.2f} GB")
    click.echo(f"    ratio: {medians['cleaning'] / medians['baseline']:.2f}")
    click.echo(f"    taken out: {found['cleaning'][-1]['taken_out']}")


if __name__ == "__main__":
    main()
