"""A small house to run in: six short notebooks, a shop of a few orders, an executor without kernels."""

import json
import os
import time
from datetime import date
from pathlib import Path

from helpers.cleaning.store import CleanInfo
from helpers.runs.keys import PLAN

RECORD = "application/vnd.ltv.record+json"
SHOP_TOML = """
title = "The corner shop"
currency = "EUR"
time_zone = "Europe/Berlin"
complete_through = 2026-06-30
[privacy]
min_cell = 1
[tables.orders]
files = "orders.csv"
"""
OWN_PARAMETERS = {
    "04_predictive_clv": "horizon_months: int = 12  # months ahead",
    "05_campaign_uplift": 'experiment: str = ""  # the one shown in full; empty: the last',
}
SHOWN = """
import sys
from IPython.display import display
from helpers.errors import DataError
from helpers.records import load_records, published_records, earlier_months
if "{name}" == "03_cohort_analysis" and seed == 13:
    raise DataError("No cohort has 30 customers. Choose a longer history.")
if "{name}" == "03_cohort_analysis" and seed == 14:
    raise ValueError("bad row 'C-00123' of anna@example.com")
read = load_records(shop, month) if "{name}"[:2] in ("05", "06") else {{}}
before = {{m: published_records(shop, m) for m in earlier_months(month)}} if "{name}"[:2] == "06" else {{}}
value = float(seed + sum(len(r["figures"]) for r in read.values()))
"""
SHOW = """
figure = {{"name": "value", "label": "Value", "value": value, "unit": "count",
          "low": None, "high": None, "note": ""}}
display({{"{kind}": {{"shop": shop.rpartition("/")[2], "month": month, "currency": "EUR",
         "figures": [figure], "extra": {{"alerts": ["look here"] if seed == 5 else []}}}},
         "text/plain": f"{{value}} from {{sorted(read)}} and {{[len(r) for r in before.values()]}}"}}, raw=True)
"""


def cell(kind: str, source: str, name: str, *tags: str) -> dict:
    made = {"cell_type": kind, "id": name, "metadata": {"tags": list(tags)} if tags else {}}
    code = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return {**made, "source": source.strip(), **code}


def make_house(root: Path) -> Path:
    """Write notebooks/ and data/corner/ under a folder that stands in for the repository."""
    (root / "notebooks").mkdir(parents=True)
    for step in PLAN:
        shared = 'shop: str = "corner"  # the shop\nmonth: str = "2026-06"  # the month\n'
        own = OWN_PARAMETERS.get(step.name, "")
        cells = [
            cell("markdown", f"# What does {step.name} say?\n\nAn answer.", "title"),
            cell(
                "code", f"{shared}seed: int = 7  # of every draw\n{own}", "parameters", "parameters"
            ),
            cell("markdown", "## How much is it?\n\nWe look.", "how-much"),
            cell("code", SHOWN.format(name=step.name), "work"),
            cell("markdown", "A record follows.", "before-record"),
            cell("code", SHOW.format(kind=RECORD), "record", "record"),
        ]
        notebook = {
            "cells": cells,
            "metadata": {
                "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                "language_info": {"name": "python"},
            },
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        path = root / "notebooks" / f"{step.name}.ipynb"
        path.write_text(json.dumps(notebook, indent=1) + "\n", encoding="utf-8")
    folder = root / "data" / "corner"
    folder.mkdir(parents=True)
    (folder / "shop.toml").write_text(SHOP_TOML, encoding="utf-8")
    days = [f"2026-{month:02d}-{day:02d}" for month in range(1, 7) for day in (3, 10, 17, 24)]
    lines = [f"o{n},c{n % 12},{day},10.00" for n, day in enumerate(days)]
    header = "order_id,customer_id,ordered_at,revenue"
    (folder / "orders.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return root


def input_digest(shop) -> str:
    """Give the digest of a shop's settings and of its files."""
    return shop.digest_with(shop.content_digest())


def quick_prepare(shop) -> CleanInfo:
    """Stand in for cleaning.prepare: the facts of the shop's only file, without an engine."""
    lines = (shop.folder / "orders.csv").read_text(encoding="utf-8").splitlines()[1:]
    days = sorted(date.fromisoformat(line.split(",")[2]) for line in lines)
    return CleanInfo(
        digest=input_digest(shop),
        folder=shop.folder / "clean",
        first_day=days[0],
        last_day=days[-1],
        complete_through=shop.complete_through,
        tables={"orders": {"rows": len(lines), "kept": len(lines)}},
    )


def pretend(source, values, *, shown, name, partial, variables) -> dict:
    """Stand in for kernels.execute: the same outputs as the notebook's, without a kernel."""
    from helpers.publishing.parameters import read_parameters
    from helpers.records import _from_json, read_notebook

    time.sleep(float(os.environ.get("PRETEND_SECONDS", "0")))
    notebook = read_notebook(source)
    defaults = {name: each.default for name, each in read_parameters(source).items()}
    values, folder = {**defaults, **values}, Path(variables["LTV_RECORDS"])
    read = _from_json(folder)
    record = {
        "shop": Path(str(values["shop"])).name,
        "month": values["month"],
        "currency": "EUR",
        "figures": [figure(values["seed"] + sum(len(r["figures"]) for r in read.values()))],
        "extra": {
            "alerts": ["look here"] if values["seed"] == 5 else [],
            "read": sorted(read),
            "earlier": {f.name: len(_from_json(f)) for f in sorted(folder.glob("????-??"))},
        },
    }
    if values["seed"] == 99 and name == "05_campaign_uplift":
        record["extra"]["more_pages"] = [{"experiment": "spring"}, {"experiment": ""}]
    if shown:
        lines = ["# Parameters", *(f"{key} = {value!r}" for key, value in shown.items())]
        tag = "injected-parameters"
        notebook["cells"].insert(2, cell("code", "\n".join(lines), tag, tag))
    for number, each in enumerate(c for c in notebook["cells"] if c["cell_type"] == "code"):
        each["execution_count"] = number + 1
    data = {RECORD: record, "text/plain": "Recorded."}
    notebook["cells"][-1]["outputs"] = [
        {"output_type": "display_data", "data": data, "metadata": {}}
    ]
    import nbformat

    return nbformat.from_dict(notebook)


def figure(value: float) -> dict:
    facts = {"name": "value", "label": "Value", "value": value, "unit": "count"}
    return {**facts, "low": None, "high": None, "note": ""}
