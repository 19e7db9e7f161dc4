"""Where the records of a month's notebooks are found, and where a run puts its files.

A record is the small dictionary that a notebook displays in its last cell. Reading one needs JSON
only: no engine, no pandas, so that a run with nothing to do starts at once.
"""

import hashlib
import json
import os
import re
from pathlib import Path

from helpers.contract.shop import ROOT
from helpers.errors import UsageError

RECORD = "application/vnd.ltv.record+json"
VARIANT = "--"  # 05_campaign_uplift--spring.ipynb is a further page of 05_campaign_uplift
Record = dict


def reports_folder() -> Path:
    """Say where months are published: LTV_REPORTS, or reports/ in the repository."""
    return Path(os.environ.get("LTV_REPORTS") or ROOT / "reports").resolve()


def work_folder() -> Path:
    """Say where working files are kept: LTV_WORK, or work/ in the repository (ignored by git)."""
    return Path(os.environ.get("LTV_WORK") or ROOT / "work").resolve()


def digest(value: object) -> str:
    """Give the sha256 of a value that JSON can hold; the order of keys does not matter.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def shift_month(month: str, months: int) -> str:
    """Give the month that lies a number of months later, or earlier if negative.

    >>> shift_month("2026-01", -1), shift_month("2026-11", 2)
    ('2025-12', '2027-01')
    """
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", month):
        raise UsageError(f"The month is '{month}'; it must be as 2026-06.")
    year, number = (int(part) for part in month.split("-"))
    count = year * 12 + number - 1 + months
    return f"{count // 12:04d}-{count % 12 + 1:02d}"


def earlier_months(month: str) -> tuple[str, str]:
    """Name the months that a scorecard compares with: the month before and the year before.

    >>> earlier_months("2026-01")
    ('2025-12', '2025-01')
    """
    return shift_month(month, -1), shift_month(month, -12)


LEDGER_MONTHS = 12


def read_months(month: str) -> tuple[str, ...]:
    """Name every earlier month whose records a notebook may read, the newest first.

    Those that a scorecard compares with, and the last twelve, whose forecasts the ledger holds
    against what happened since.

    >>> read_months("2026-01")[:2], len(read_months("2026-01"))
    (('2025-12', '2025-11'), 12)
    """
    before = {shift_month(month, -back) for back in range(1, LEDGER_MONTHS + 1)}
    return tuple(sorted(before | set(earlier_months(month)), reverse=True))


def read_notebook(path: Path) -> dict:
    """Read a notebook as plain values, with every text joined to one string.

    Raises ValueError if the file is not a whole notebook.
    """
    notebook = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise ValueError(f"{path.name} is not a notebook")
    for cell in notebook["cells"]:
        cell["source"] = joined(cell.get("source", ""))
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = joined(output["text"])
            data = output.get("data", {})
            data.update({kind: joined(value) for kind, value in data.items() if "json" not in kind})
    return notebook


def record_of(notebook: dict) -> Record | None:
    """Take the record out of an executed notebook, or None if it shows none."""
    found = None
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            found = output.get("data", {}).get(RECORD, found)
    return found


def load_records(shop: object, month: str = "") -> dict[str, Record]:
    """Give the records of this month's notebooks, by notebook name.

    ``shop`` is a Study, or a shop's name together with ``month``. During a run they are those of
    the run (the folder LTV_RECORDS); otherwise those of the published month; otherwise those of
    the committed notebooks, if they show this shop and month. A notebook without a record is not
    in the result.
    """
    name, month = _shop_and_month(shop, month)
    folder = os.environ.get("LTV_RECORDS")
    if folder:
        records = _from_json(Path(folder))
    else:
        records = records_in(reports_folder() / name / month / "notebooks")
        records = records or records_in(ROOT / "notebooks")
    return {key: record for key, record in records.items() if _fits(record, name, month)}


def published_records(shop: object, month: str) -> dict[str, Record]:
    """Give the records of an earlier month as it was published; empty if it was not.

    During a run they come from the folder of the run, which holds the months that the notebook's
    key covers (``read_months``); another month raises UsageError there, because its change would go
    unnoticed.
    """
    name, _ = _shop_and_month(shop, month)
    folder = os.environ.get("LTV_RECORDS")
    if folder:
        known = sorted(path.name for path in Path(folder).glob("????-??"))
        if month not in known:
            raise UsageError(
                f"The records of {month} were asked for; a run gives this notebook those of "
                f"{', '.join(known) or 'no earlier month'}. See read_months() in records.py."
            )
        records = _from_json(Path(folder) / month)
    else:
        records = records_in(reports_folder() / name / month / "notebooks")
    return {key: record for key, record in records.items() if _fits(record, name, month)}


def records_in(folder: Path) -> dict[str, Record]:
    """Give the records of the executed notebooks in a folder, by notebook name."""
    found = {}
    for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")):
        if VARIANT in path.stem:
            continue
        try:
            record = record_of(read_notebook(path))
        except (OSError, ValueError):
            continue
        if record is not None:
            found[path.stem] = record
    return found


def write_record(folder: Path, name: str, record: Record | None) -> None:
    """Put a record where the kernels of a run look for it."""
    folder.mkdir(parents=True, exist_ok=True)
    if record is not None:
        text = json.dumps(record, sort_keys=True, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


def joined(text: object) -> object:
    """Join the lines that a notebook's JSON keeps a text in; anything else as it is."""
    is_lines = isinstance(text, list) and all(isinstance(line, str) for line in text)
    return "".join(text) if is_lines else text


def _shop_and_month(shop: object, month: str) -> tuple[str, str]:
    if isinstance(shop, str):
        return Path(shop).name, month
    return shop.shop.name, month or shop.month


def _fits(record: Record, shop: str, month: str) -> bool:
    return (record.get("shop", shop), record.get("month", month)) == (shop, month)


def _from_json(folder: Path) -> dict[str, Record]:
    files = sorted(folder.glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}
