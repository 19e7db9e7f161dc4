"""What a notebook costs once the summaries stand: ten million order lines against the sample shop.

The shop of `benchmarks/cleaning.py` is made and cleaned, and its summaries computed once. Then the
code cells of each notebook run on it and on the sample shop in turn, in this process, so that all
they have to load is there; quoted are medians, and their ratio. A heavier shop may not cost more:
summaries grow with months and products, not with orders.

    python benchmarks/notebooks.py --lines 10000000 --runs 3
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

import click
from cleaning import generate

from helpers import show
from helpers.contract.shop import ROOT

NOTEBOOKS = ("02_historical_ltv", "03_cohort_analysis", "06_monthly_scorecard")


def seconds(name: str, shop: str, month: str) -> float:
    """Run every code cell of a notebook on a shop, and give how long that took."""
    path = ROOT / "notebooks" / f"{name}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    began, space = time.perf_counter(), {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), space)
            if cell["id"] == "parameters":
                space |= {"shop": shop, "month": month}
    return time.perf_counter() - began


@click.command()
@click.argument("names", nargs=-1)
@click.option("--lines", default=10_000_000, help="Order lines of the large shop.")
@click.option("--runs", default=3, help="Runs of each side, in turn.")
def main(names: tuple[str, ...], lines: int, runs: int) -> None:
    """Say how much longer NAMES of notebooks take on a large shop than on the sample."""
    show._display = lambda data, metadata=None: None
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder), lines)
        sides = {"sample": ("sample", "2026-06"), "large": (folder, "2024-12")}
        for name in names or NOTEBOOKS:
            first = {side: seconds(name, *given) for side, given in sides.items()}
            found: dict[str, list[float]] = {side: [] for side in sides}
            for _ in range(runs):
                for side, given in sides.items():
                    found[side].append(seconds(name, *given))
            small, large = (statistics.median(found[side]) for side in sides)
            click.echo(
                f"{name}: first run on {lines:,} lines {first['large']:.0f} s; after the summaries "
                f"{large:.1f} s, sample {small:.1f} s, {large / small:.2f} times"
            )


if __name__ == "__main__":
    main()
