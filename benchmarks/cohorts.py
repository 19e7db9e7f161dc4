"""What notebook 03 costs once the summaries stand: ten million order lines against the sample shop.

The shop of `benchmarks/cleaning.py` is made and cleaned, and its summaries computed once. Then the
code cells of the notebook run on it and on the sample shop in turn, in this process, so that all
they have to load is there; quoted are medians, and their ratio. A heavier shop may not cost more:
summaries grow with months and products, not with orders.

    python benchmarks/cohorts.py --lines 10000000 --runs 3
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

NOTEBOOK = ROOT / "notebooks" / "03_cohort_analysis.ipynb"


def seconds(shop: str, month: str) -> float:
    """Run every code cell of the notebook on a shop, and give how long that took."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    began, space = time.perf_counter(), {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), space)
            if cell["id"] == "parameters":
                space |= {"shop": shop, "month": month}
    return time.perf_counter() - began


@click.command()
@click.option("--lines", default=10_000_000, help="Order lines of the large shop.")
@click.option("--runs", default=3, help="Runs of each side, in turn.")
def main(lines: int, runs: int) -> None:
    """Say how much longer the notebook takes on a large shop than on the sample."""
    show._display = lambda data, metadata=None: None
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder), lines)
        sides = {"sample": ("sample", "2026-06"), "large": (folder, "2024-12")}
        first = {name: seconds(*side) for name, side in sides.items()}
        found: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(runs):
            for name, side in sides.items():
                found[name].append(seconds(*side))
    middle = {name: statistics.median(times) for name, times in found.items()}
    click.echo(f"first run, with cleaning and summaries: {first['large']:.0f} s at {lines:,} lines")
    click.echo(
        f"after the summaries: sample {middle['sample']:.1f} s, large {middle['large']:.1f} s, "
        f"{middle['large'] / middle['sample']:.2f} times"
    )


if __name__ == "__main__":
    main()
