"""Refunds find their sale as a plain loop finds it: oldest first, and never more than was sold."""

from collections import defaultdict
from datetime import datetime, timedelta

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.cleaning import refunds

MONEY = ("revenue", "cogs")
SCHEMA = {
    "_file": "int64", "_row": "int64", "order_id": "string", "customer_id": "string",
    "product_id": "string", "quantity": "float64", "ordered_at": "timestamp",
    "refund_of": "string", "revenue": "int64", "cogs": "int64",
}  # fmt: skip
START = datetime(2026, 1, 1)


class Linker:
    """Runs `refunds.linked` on frames; the query is made once."""

    def __init__(self):
        self.con = ibis.duckdb.connect()
        self.con.create_table("refunds", schema=SCHEMA)
        self.con.create_table("sales", schema=SCHEMA)
        linked = refunds.linked(self.con.table("refunds"), self.con.table("sales"), MONEY)
        self.query = ibis.to_sql(linked, dialect="duckdb")

    def __call__(self, lines: list[dict]) -> list[dict]:
        for name, wanted in (("refunds", True), ("sales", False)):
            rows = [
                tuple(line[column] for column in SCHEMA)
                for line in lines
                if line["is_refund"] == wanted
            ]
            self.con.raw_sql(f"DELETE FROM {name}")
            if rows:
                marks = ", ".join("?" * len(SCHEMA))
                self.con.con.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
        found = self.con.con.execute(self.query)
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        return sorted(rows, key=lambda row: (row["_file"], row["_row"], row["part"]))


@pytest.fixture(scope="module")
def linked():
    return Linker()


def expected(lines: list[dict]) -> dict[tuple, list[tuple]]:
    """Give each refund its parts, (order or None, units), by walking through time once."""
    orders = {(s["order_id"], s["customer_id"]) for s in lines if not s["is_refund"]}
    stock, found = defaultdict(list), {}
    when = lambda line: (line["ordered_at"], line["is_refund"], line["_file"], line["_row"])  # noqa: E731
    for line in sorted(lines, key=when):
        key, place = (line["customer_id"], line["product_id"]), (line["_file"], line["_row"])
        units = line["steps"]
        if not line["is_refund"]:
            if line["product_id"] is not None and (units or 0) > 0:
                stock[key].append([line["order_id"], units])
            continue
        if line["refund_of"] is not None:
            known = (line["refund_of"], line["customer_id"]) in orders
            found[place] = [(line["refund_of"] if known else None, units)]
        elif (line["order_id"], line["customer_id"]) in orders:
            found[place] = [(line["order_id"], units)]
        elif line["product_id"] is None or not units:
            found[place] = [(None, units)]
        else:
            found[place] = _taken(stock[key], abs(units), 1 if units > 0 else -1)
    return found


def _taken(stock: list[list], wanted: float, sign: int) -> list[tuple]:
    parts = []
    while wanted > 0 and stock:
        units = min(wanted, stock[0][1])
        parts.append((stock[0][0], sign * units))
        stock[0][1] -= units
        wanted -= units
        if stock[0][1] <= 0:
            stock.pop(0)
    return parts + ([(None, sign * wanted)] if wanted > 0 else [])


@st.composite
def lines(draw, step: float = 0.25, most: int = 40) -> list[dict]:
    """Draw sales and refunds of a few customers and products, at a few moments, in any order."""
    number = draw(st.integers(1, most))
    made = []
    for row in range(number):
        is_refund = draw(st.booleans())
        units = draw(st.sampled_from([None, 0, 1, 1, 2, 3, 5, 8])) if row % 7 == 0 else draw(
            st.integers(1, 12)
        )  # fmt: skip
        if is_refund and units and draw(st.integers(0, 5)):
            units = -units  # some exports write returned units above zero
        made.append(
            {
                "_file": draw(st.integers(0, 1)), "_row": row, "is_refund": is_refund,
                "order_id": f"r{row}" if is_refund and draw(st.integers(0, 4)) else draw(
                    st.sampled_from(["o1", "o2", "o3", "o4", f"o{row + 10}"])),
                "customer_id": draw(st.sampled_from("abc")),
                "product_id": draw(st.sampled_from(["p", "p", "q", None])),
                "quantity": None if units is None else units * step, "steps": units, "step": step,
                "ordered_at": START + timedelta(days=draw(st.integers(0, 9))),
                "refund_of": draw(st.sampled_from([None] * 5 + ["o1", "o2", "gone"]))
                if is_refund else None,
                "revenue": draw(st.integers(-5000, -1)) if is_refund else draw(st.integers(0, 5000)),
                "cogs": draw(st.one_of(st.none(), st.integers(-3000, 0))),
            }
        )  # fmt: skip
    return made


@settings(deadline=None, derandomize=True, max_examples=150, database=None)
@given(st.sampled_from([0.25, 0.1, 1 / 3]).flatmap(lambda step: lines(step=step)))
def test_refunds_are_linked_as_a_walk_through_time_links_them(linked, lines):
    """Counted in whole steps: a tenth and a third are not exact in the engine, and lose nothing."""
    step, parts = {line["_row"]: line["step"] for line in lines}, defaultdict(list)
    for row in linked(lines):
        units = row["quantity"]
        if units is not None:
            steps = round(units / step[row["_row"]])
            assert units == pytest.approx(steps * step[row["_row"]], abs=1e-9)
            units = steps
        parts[row["_file"], row["_row"]].append((row["refund_of"], units))
    assert dict(parts) == expected(lines)


@settings(deadline=None, derandomize=True, max_examples=150, database=None)
@given(st.sampled_from([0.25, 0.1, 1 / 3]).flatmap(lambda step: lines(step=step)))
def test_what_is_divided_adds_up_to_the_cent(linked, lines):
    """Units that no double holds exactly too: a tenth, a third."""
    found = pd.DataFrame(linked(lines), columns=[*SCHEMA, "part"])
    for line in (line for line in lines if line["is_refund"]):
        own = found[(found["_file"] == line["_file"]) & (found["_row"] == line["_row"])]
        assert own["part"].tolist() == list(range(1, len(own) + 1)) and len(own) >= 1
        for name in MONEY:
            if line[name] is None:
                assert own[name].isna().all()
                continue
            assert int(own[name].sum()) == line[name]
            assert ((own[name] <= 0) | (line[name] > 0)).all()
        if line["quantity"] is None:
            assert own["quantity"].isna().all()
            continue
        assert own["quantity"].sum() == pytest.approx(line["quantity"], abs=1e-9)
        if len(own) > 1:
            share = own["quantity"] / line["quantity"] * line["revenue"]
            assert ((own["revenue"] - share).abs() <= 1.001).all()
        assert own["refund_of"].notna().tolist()[:-1] == [True] * (len(own) - 1)


@settings(deadline=None, derandomize=True, max_examples=150, database=None)
@given(lines())
def test_no_more_is_matched_than_was_sold_before(linked, lines):
    """Of what is matched by quantity: sale before refund, and units within those of the sale."""
    sales = [line for line in lines if not line["is_refund"]]
    orders = {(sale["order_id"], sale["customer_id"]) for sale in sales}
    used: dict[tuple, float] = defaultdict(float)
    by_name = {
        (line["_file"], line["_row"])
        for line in lines
        if line["is_refund"]
        and (line["refund_of"] is not None or (line["order_id"], line["customer_id"]) in orders)
    }
    for row in sorted(linked(lines), key=lambda row: row["ordered_at"]):
        if row["refund_of"] is None or (row["_file"], row["_row"]) in by_name:
            continue
        key = (row["customer_id"], row["product_id"], row["refund_of"])
        used[key] += abs(row["quantity"])
        before = [
            sale["quantity"] for sale in sales
            if (sale["customer_id"], sale["product_id"], sale["order_id"]) == key
            and sale["ordered_at"] <= row["ordered_at"] and (sale["quantity"] or 0) > 0
        ]  # fmt: skip
        assert used[key] <= sum(before) + 1e-9


def sale(order: str, day: int, units: float, row: int) -> dict:
    return {
        "_file": 0, "_row": row, "is_refund": False, "order_id": order, "customer_id": "a",
        "product_id": "p", "quantity": units, "ordered_at": START + timedelta(days=day),
        "refund_of": None, "revenue": 1000, "cogs": 500,
    }  # fmt: skip


def back(day: int, units: float, row: int, **values) -> dict:
    told = {"order_id": f"r{row}", "is_refund": True, "revenue": -1000, "cogs": -500}
    return {**sale("", day, -units, row), **told, **values}


def parts(found: list[dict], row: int) -> list[tuple]:
    return [(p["refund_of"], p["quantity"], p["revenue"]) for p in found if p["_row"] == row]


def test_a_refund_of_three_units_over_three_sales_is_cut_to_the_cent(linked):
    found = linked([sale("o1", 1, 1, 1), sale("o2", 2, 1, 2), sale("o3", 3, 1, 3), back(4, 3, 4)])
    assert parts(found, 4) == [("o1", -1, -333), ("o2", -1, -334), ("o3", -1, -333)]


def test_what_came_too_early_stays_credit_and_takes_nothing_from_later_sales(linked):
    lines = [back(1, 1, 1), sale("o1", 2, 1, 2), back(3, 1, 3), back(4, 1, 4)]
    found = linked(lines)
    assert parts(found, 1) == [(None, -1, -1000)] and parts(found, 4) == [(None, -1, -1000)]
    assert parts(found, 3) == [("o1", -1, -1000)]


def test_a_sale_of_the_same_moment_comes_before_its_refund(linked):
    assert parts(linked([back(1, 1, 1), sale("o1", 1, 1, 2)]), 1) == [("o1", -1, -1000)]


def test_an_order_that_is_named_and_not_here_is_replaced_by_no_other(linked):
    found = linked([sale("o1", 1, 9, 1), back(2, 1, 2, refund_of="elsewhere")])
    assert parts(found, 2) == [(None, -1, -1000)]


def test_an_order_of_another_customer_is_not_meant(linked):
    other = {**sale("o1", 1, 9, 1), "customer_id": "b"}
    found = linked([other, back(2, 1, 2, refund_of="o1"), back(2, 1, 3, order_id="o1")])
    assert parts(found, 2) == [(None, -1, -1000)] and parts(found, 3) == [(None, -1, -1000)]
