"""Notebooks run cell by cell in this process: what they show, without kernels and pages."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from helpers import show
from helpers.contract.shop import ROOT
from helpers.records import read_months, write_record
from helpers.study import open_study

CHAPTERS = [path.stem for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))]


@dataclass
class Shown:
    """What a notebook showed: text by cell, tables by name, its record."""

    said: dict[str, str] = field(default_factory=lambda: defaultdict(str))
    tables: dict[str, dict] = field(default_factory=dict)
    record: dict = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "\n".join(self.said.values())


def run_cells(name: str, folder: Path, monkeypatch, *, month: str = "", **given) -> Shown:
    """Run a notebook's code cells on a shop; pictures are made, but not turned into bytes."""
    return run_passes(name, folder, monkeypatch, month=month, **given)[0]


def run_passes(
    name: str, folder: Path, monkeypatch, passes: int = 1, *, month: str = "", **given
) -> list[Shown]:
    """Run them so many times in one namespace, as without a restart of the kernel."""
    found, at = [], {}

    def display(data, metadata=None):
        shown = found[-1]
        shown.said[at["cell"]] += "\n" + data.get("text/markdown", data.get("text/plain", ""))
        if show.TABLE in data:
            shown.tables[data[show.TABLE]["name"]] = data[show.TABLE]
        shown.record.update(data.get(show.RECORD, {}))

    path = ROOT / "notebooks" / f"{name}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    with monkeypatch.context() as patch:
        patch.setattr(show, "_display", display)
        patch.setattr("helpers.figures.style.png", lambda fig: "")
        names: dict = {}
        for _ in range(passes):
            found.append(Shown())
            for cell in cells:
                if cell["cell_type"] == "code":
                    at["cell"] = cell["id"]
                    exec("".join(cell["source"]), names)
                if "parameters" in cell["metadata"].get("tags", []):
                    names |= {"shop": str(folder), "month": month, **given}
    return found


def run_month(folder: Path, place: Path, monkeypatch) -> dict[str, Shown]:
    """Run all notebooks on a shop's last month, each with the records of those before it."""
    found: dict[str, Shown] = {}
    for month in read_months(open_study(str(folder)).month):
        (place / month).mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setenv("LTV_RECORDS", str(place))
        for name in CHAPTERS:
            found[name] = run_cells(name, folder, monkeypatch)
            write_record(place, name, found[name].record)
    return found
