"""Every fault of the table does what the table says, and nothing else; no row and no cent is lost."""

import csv
import io
import re
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal

import pandas as pd
import pytest
from nbformat import v4

from helpers import show
from helpers.cleaning import store as cleaning
from helpers.contract.shop import load_shop
from helpers.errors import WorkbookError
from helpers.privacy import lists
from helpers.publishing.notebook_files import harvest, write_tables
from helpers.publishing.pages import render_page
from helpers.study import open_study
from tests.faults import (
    BY_FILE,
    BY_LINE,
    EVIL,
    OTHER_TABLES,
    SAMPLE,
    SECTIONS,
    SMALL,
    Draft,
    Fault,
    line,
    sample_lines,
)


def cents(text: str, decimal: str = ".") -> int:
    """Read an amount as a person would; nothing where it is none."""
    text = text.strip()
    if decimal == "auto":
        decimal = "," if text.rfind(",") > text.rfind(".") else "."
    if decimal == ",":
        text = text.replace(".", "").replace(",", ".")
    if not re.fullmatch(r"[+-]?(\d{1,13}(\.\d*)?|\.\d+)", text):
        return 0
    return int((Decimal(text) * 100).quantize(Decimal(1), ROUND_HALF_UP))


def came_in(folder, came) -> tuple[int, int]:
    """Read rows and cents out of the order files, without the workbook."""
    rows = []
    for path in sorted(p for p in folder.iterdir() if p.name.startswith(("orders.", "part-"))):
        rows += _lines(path, came)
    rates = _rates(folder)
    column = next(name for name in rows[0] if name.strip().lower() == "revenue") if rows else ""
    amounts = [(row, cents(str(row[column]), came.get("decimal", "."))) for row in rows]
    return len(rows), sum(_in_euro(row, amount, rates) for row, amount in amounts)


def _lines(path, came) -> list[dict]:
    if came.get("kind") == "parquet":
        return pd.read_parquet(path).to_dict("records")
    if came.get("kind") == "excel":
        frame = pd.read_excel(path, skiprows=int(came.get("skip", 0)), dtype=str)
        return frame.to_dict("records")
    content = path.read_bytes()
    if path.suffix == ".gz":
        import gzip

        content = gzip.decompress(content)
    text = content.decode(came.get("encoding", "utf-8-sig"))
    lines = io.StringIO(text, newline="")
    csv.field_size_limit(1 << 30)
    for _ in range(int(came.get("skip", 0))):
        lines.readline()
    return list(csv.DictReader(lines, delimiter=came.get("delimiter", ",")))


def _rates(folder) -> list[tuple[str, str, Decimal]]:
    path = folder / "fx_rates.csv"
    if not path.is_file():
        return []
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return [(r["currency"], r["day"], Decimal(r["rate"])) for r in rows if "e" not in r["rate"]]


def _in_euro(row: dict, amount: int, rates: list) -> int:
    code = str(row.get("currency") or "").strip().upper()
    found = [
        (day, rate) for name, day, rate in rates
        if name == code != "EUR" and rate > 0 and day <= str(row["ordered_at"])[:10]
        and (pd.Timestamp(str(row["ordered_at"])[:10]) - pd.Timestamp(day)).days < 45
    ]  # fmt: skip
    if not found:
        return amount
    return int((amount * max(found)[1]).quantize(Decimal(1), ROUND_HALF_UP))


def written(info) -> dict:
    """Read back what was written: rows and cents kept, and taken out by rule."""
    parts = [pd.read_parquet(info.folder / f"orders{end}.parquet") for end in ("", "_refunds")]
    clean = pd.concat(parts, ignore_index=True)
    path = info.folder / "orders_quarantine.parquet"
    aside = pd.read_parquet(path) if path.is_file() else pd.DataFrame(columns=["rule", "money"])
    taken = {
        rule: (len(rows), int(rows["money"].fillna(0).sum()))
        for rule, rows in aside.groupby("rule")
    }
    assert not clean.duplicated(["_file", "_row", "part"]).any()
    return {
        "kept": (int((clean["part"] == 1).sum()), int(clean["revenue"].sum())),
        "taken": taken,
        "clean": clean,
        "orders": clean.loc[~clean["is_refund"], "order_id"].nunique(),
        "customers": clean["customer_id"].nunique(),
        "flags": Counter({k: n for k, n in info.tables["orders"]["flags"].items() if n}),
    }


def check_balance(folder, info, found, came) -> None:
    """Rows and money in, read from the files themselves, are those kept and taken out."""
    orders, (rows, money) = info.tables["orders"], came_in(folder, came)
    out = [sum(each) for each in zip(*found["taken"].values(), strict=True)] or [0, 0]
    assert (rows, money) == (orders["rows"], orders["money"])
    assert (rows, money) == (found["kept"][0] + out[0], found["kept"][1] + out[1])
    told = {item["reason"]: (item["rows"], item["money"]) for item in orders["set_aside"]}
    assert told == found["taken"]


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> dict:
    """The small shop without a fault: what it holds, and that nothing is taken out of it."""
    folder = Draft(list(SMALL)).write(tmp_path_factory.mktemp("plain") / "small")
    info = cleaning.prepare(load_shop(str(folder)))
    found = written(info)
    assert 300 <= found["kept"][0] < 330 and found["customers"] >= 50 and not found["taken"]
    assert not found["flags"]
    check_balance(folder, info, found, {})
    return found


def rounds() -> dict[str, list[Fault]]:
    """Faults of lines, no two of one rule in a round: what a rule counts, one fault has done."""
    found: dict[str, list[Fault]] = {}
    seen: Counter = Counter()
    for fault in BY_LINE:
        seen[fault.rule] += 1
        found.setdefault(f"round {seen[fault.rule]}", []).append(fault)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("faults", rounds().values(), ids=rounds())
def test_one_fault_of_each_rule_at_a_time(faults, base, tmp_path):
    draft = Draft(list(SMALL))
    for fault in faults:
        fault.planted(draft)
    folder = draft.write(tmp_path / "small")
    info = cleaning.prepare(load_shop(str(folder)))
    found = written(info)
    check_balance(folder, info, found, {})
    assert found["taken"] == taken_by(faults)
    assert found["flags"] == base["flags"] + flagged_by(faults)
    assert found["orders"] - base["orders"] == sum(each.orders for each in faults)
    assert found["customers"] - base["customers"] == sum(each.customers for each in faults)
    for fault in faults:
        if fault.then:
            assert fault.then(found["clean"].set_index("order_id")), fault.name


@pytest.mark.slow
@pytest.mark.parametrize("fault", BY_FILE, ids=lambda fault: fault.name)
def test_one_fault_of_a_file_at_a_time(fault, base, tmp_path):
    folder = fault.planted(Draft(list(SMALL))).write(tmp_path / "small")
    if fault.result == "refused":
        return check_refused(fault, folder)
    info = cleaning.prepare(load_shop(str(folder)))
    found = written(info)
    check_balance(folder, info, found, fault.came)
    assert found["taken"] == taken_by([fault])
    if fault.flags is None:
        assert fault.result == "quarantined" or found["flags"][fault.rule] == fault.rows
    else:
        assert found["flags"] == base["flags"] + flagged_by([fault])
        assert found["orders"] - base["orders"] == fault.orders
        assert found["customers"] - base["customers"] == fault.customers
    if fault.then:
        assert fault.then(found["clean"].set_index("order_id"))


def check_refused(fault: Fault, folder) -> None:
    """The message says what the table says, and nothing about a customer; nothing is left behind."""
    with pytest.raises(WorkbookError) as caught:
        cleaning.prepare(load_shop(str(folder)))
    message = str(caught.value)
    assert fault.rule in message
    people = {line["customer_id"] for line in SMALL} | {"Total"}
    assert not [each for each in people if each in message]
    assert not list(folder.glob("clean/.[0-9a-f]*"))


def taken_by(faults) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for fault in faults:
        if fault.result == "quarantined":
            rows, money = found.get(fault.rule, (0, 0))
            found[fault.rule] = rows + fault.rows, money + fault.money
    return found


def flagged_by(faults) -> Counter:
    found: Counter = Counter()
    for fault in faults:
        if fault.result != "quarantined" and fault.rule:
            found[fault.rule] += fault.rows
        found.update(fault.flags)
    return found


@pytest.mark.slow
def test_all_faults_of_lines_together_in_the_sample_shop(tmp_path):
    """What was planted is found, rule by rule, among eighteen thousand lines, and nothing else."""
    plain = cleaning.prepare(load_shop("sample"))
    before, folder = written(plain), tmp_path / "sample"
    folder.mkdir()
    for path in SAMPLE.glob("*.csv"):
        (folder / path.name).write_bytes(path.read_bytes())
    draft = Draft(sample_lines())
    for fault in BY_LINE:
        fault.planted(draft)
    (folder / "orders.csv").write_text(draft.text(), encoding="utf-8")
    toml = (SAMPLE / "shop.toml").read_text(encoding="utf-8") + "\n" + SECTIONS
    (folder / "shop.toml").write_text(toml, encoding="utf-8")
    info = cleaning.prepare(load_shop(str(folder)))
    found = written(info)
    check_balance(folder, info, found, {})
    planted = taken_by(BY_LINE)
    for rule, (rows, money) in before["taken"].items():
        more = planted.get(rule, (0, 0))
        planted[rule] = rows + more[0], money + more[1]
    assert found["taken"] == planted
    assert found["flags"] == before["flags"] + flagged_by(BY_LINE)
    assert found["customers"] - before["customers"] == sum(each.customers for each in BY_LINE)
    assert found["orders"] - before["orders"] == sum(each.orders for each in BY_LINE)


def test_faults_of_other_tables(tmp_path):
    """Rows of any table stay or are taken out by the rule that the table of faults names."""
    draft = Draft(list(SMALL), tables=tuple(OTHER_TABLES))
    draft.files = {f"{name}.csv": other.text.encode() for name, other in OTHER_TABLES.items()}
    info = cleaning.prepare(load_shop(str(draft.write(tmp_path / "small"))))
    for name, other in OTHER_TABLES.items():
        found = info.tables[name]
        taken = {item["reason"]: item["rows"] for item in found["set_aside"]}
        assert taken == other.taken, name
        rows = len(other.text.splitlines()) - 1
        assert (found["rows"], found["kept"]) == (rows, other.kept), name
        assert found["rows"] == found["kept"] + sum(taken.values())
        assert found["flags"]["unreadable_value"] == other.unreadable, name
        assert len(pd.read_parquet(info.folder / f"{name}.parquet")) == other.kept
    amounts = pd.read_parquet(info.folder / "payments.parquet").set_index("payment_id")["amount"]
    assert amounts.to_dict() == {"p1": 4443, "p2": 100, "p7": 1035}


def test_nothing_is_left_that_names_a_person(tmp_path):
    """Clean tables hold pseudonyms; what was read on the way, with names, is gone."""
    names = tuple(line(f"XN{n}", customer_id="TILL", person=f"Anna {n}") for n in range(3))
    aside = (line("XN4", customer_id="TILL", person="Anna 4", revenue="n/a"),)
    folder = Draft([*SMALL, *names, *aside]).write(tmp_path / "small")
    info = cleaning.prepare(load_shop(str(folder)))
    assert {path.name for path in info.folder.rglob("*")} == {
        "info.json", "orders.parquet", "orders_refunds.parquet", "orders_quarantine.parquet",
    }  # fmt: skip
    for path in info.folder.glob("*.parquet"):
        frame = pd.read_parquet(path)
        assert frame["customer_id"].dropna().str.fullmatch("p[0-9a-f]{20}").all()
        texts = {str(value) for name in frame for value in frame[name].dropna().unique()}
        assert not texts & {"TILL", "C0008"} and not [each for each in texts if "Anna" in each]
    assert "TILL" not in (info.folder / "info.json").read_text(encoding="utf-8")


@pytest.fixture
def evil(tmp_path):
    """A study of a shop whose names and ids are HTML, formulas and templates, with consents."""
    lines = [
        line(f"XE{n}", customer_id=f"{text} {n}", channel=text, category=text, product_id=text)
        for n, text in enumerate(EVIL)
    ]
    draft = Draft([*SMALL, *lines], tables=("consents",))
    out = io.StringIO()
    told = [(each["customer_id"], "mail", "granted", "2026-01-01") for each in lines]
    csv.writer(out).writerows([("customer_id", "purpose", "state", "at"), *told])
    draft.files["consents.csv"] = out.getvalue().encode()
    return open_study(str(draft.write(tmp_path / "small")))


def test_names_are_inert_wherever_they_are_shown(evil, tmp_path, monkeypatch):
    """From the file to a page, a table and a list: text stays text."""
    outputs = []
    monkeypatch.setattr(
        show, "_display",
        lambda data, metadata=None: outputs.append(
            v4.new_output("display_data", data=data, metadata=metadata or {})),
    )  # fmt: skip
    orders = evil.table("orders")
    orders = orders.filter(orders.order_id.startswith("XE"))
    by = orders.group_by("channel", "product_id").aggregate(revenue=-orders.revenue.sum() / 100)
    frame = by.order_by("channel").execute()
    assert set(frame["channel"]) == set(EVIL)
    show.show_table(frame, caption="Revenue by channel")
    for text in frame["channel"]:
        show.say(f"Most came by {show.label(text)}.")
    nb = v4.new_notebook(cells=[
        v4.new_markdown_cell("# What came in?"), v4.new_code_cell("x", outputs=list(outputs)),
    ])  # fmt: skip
    page = render_page(nb, title="A month")
    assert "<script" not in page and not re.search(r"href=\W*javascript", page)
    assert "{{ 7*7 }}" in page and "<strong>bold" not in page
    assert page.count("&lt;script&gt;") + page.count("&#60;script&#62;") >= 2
    (path,) = write_tables(harvest(nb).tables, tmp_path)
    with path.open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    assert {cell["revenue"] for cell in cells} == {"-12.34"}
    assert [cell["channel"].removeprefix("'") for cell in cells] == [
        text.removeprefix("'") for text in frame["channel"]
    ]
    assert not [cell for cell in cells if cell["channel"][0] in "=+-@\t\r"]
    made = lists.write_list(str(evil.shop.folder), purpose="mail")
    with made.path.open(encoding="utf-8", newline="") as file:
        people = [row["customer_id"] for row in csv.DictReader(file)]
    assert len(people) == len(EVIL) and not [each for each in people if each[0] in "=+-@\t\r"]
