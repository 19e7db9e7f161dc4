"""A whole month of a large shop, by the command line: seconds of each notebook, and peak memory.

The shop of `benchmarks/sizes.py`, five lines a customer; its month is made cold, from nothing but
the file of orders, and again with everything kept. Two notebooks run side by side, each with an
engine of its own under the memory limit. Seconds of a notebook are those of the clock, with the
summaries that it was the first to ask for.

    python benchmarks/months.py --sizes 1000000,10000000
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import click
from sizes import MEMORY, MONTH, place_shop
from startup import measured

_ROOT = Path(__file__).resolve().parent.parent
_TARGET = _ROOT / "reports" / "benchmarks" / "months.md"
_KEPT = _ROOT / "work" / "months.json"


def one_month(place: Path, lines: int) -> dict:
    """Make the month cold and again: seconds, peak memory in gigabytes, seconds by notebook."""
    shop = place / "shop"
    place_shop(shop, lines)
    for made in ("clean", "private", "summaries", "records", "lists"):
        shutil.rmtree(shop / made, ignore_errors=True)
    own = {"LTV_WORK": str(place / "work"), "LTV_REPORTS": str(place / "reports")}
    for folder in own.values():
        shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "helpers", "report", "--shop", str(shop), "--month", MONTH]
    (cold, peak), (again, _) = (measured([command], {**os.environ, **own}) for _ in range(2))
    manifest = place / "reports" / "shop" / MONTH / "manifest.json"
    each = json.loads(manifest.read_text(encoding="utf-8"))["seconds"]
    return {"cold": cold, "again": again, "peak": peak / 1e3, "each": each}


@click.command()
@click.option("--sizes", default="1000000,10000000", help="Order lines, sizes in turn.")
@click.option("--folder", default="", help="Where the shops are kept; default: a temporary one.")
def main(sizes: str, folder: str) -> None:
    """Make the month at every size, and write the page."""
    found = json.loads(_KEPT.read_text("utf-8")) if _KEPT.is_file() else {}
    with tempfile.TemporaryDirectory() as scratch:
        for lines in sizes.split(","):
            found[lines] = one_month(Path(folder or scratch) / lines, int(lines))
            click.echo(f"{int(lines):,} lines: {found[lines]}")
            _KEPT.parent.mkdir(exist_ok=True)
            _KEPT.write_text(json.dumps(found), encoding="utf-8")
    by_size = {int(lines): found[lines] for lines in sorted(found, key=int)}
    _TARGET.write_text(page(by_size), encoding="utf-8")


def page(found: dict[int, dict]) -> str:
    """Write the page: whole months by size, and the seconds of each notebook."""
    notebooks = list(next(iter(found.values()))["each"])
    lines = [
        "# A whole month of a large shop",
        "",
        "A simulated shop of five order lines a customer, its month made by the command line from",
        f'nothing but the file, and again with everything kept; `memory_limit = "{MEMORY}"` for',
        "each of two notebooks side by side; one run, peak memory of the whole process tree.",
        "A notebook's seconds hold the summaries that it was the first to ask for.",
        "Made by `make bench-months`.",
        "",
        f"| lines | cold | again | peak memory | {' | '.join(notebooks)} |",
        "|---:" * (4 + len(notebooks)) + "|",
    ]
    for size, cost in found.items():
        each = " | ".join(f"{cost['each'][name]:.0f} s" for name in notebooks)
        lines.append(
            f"| {size:,} | {cost['cold']:.0f} s | {cost['again']:.1f} s | {cost['peak']:.1f} GB "
            f"| {each} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
