"""Every cleaning expression can be said for Spark and PostgreSQL, without either.

What summaries give on each engine is asked in tests_engines.
"""

import platform
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import ibis
import pytest
from ibis.config import Config

from helpers import engines
from helpers.cleaning import clean_tables, facts, marks, refunds, rules
from helpers.contract.shop import ROOT, Margin, Shop, Source, load_shop
from helpers.contract.tables import TABLES
from helpers.sources import typed as sources

ENGINES = ("pyspark", "postgres")


class SparkOptions(Config):
    """What Ibis sets when its Spark backend is loaded; enough to compile without Spark."""

    treat_nan_as_null: bool = False


@pytest.fixture(autouse=True)
def spark_options(monkeypatch):
    if ibis.options.pyspark is None:
        ibis.options.pyspark = SparkOptions()


def shop_of(source: Source, rule: str = "costs") -> Shop:
    return Shop(
        name="any", folder=Path("any"), title="any", currency="EUR", time_zone="Europe/Amsterdam",
        sources={source.table: (source,)}, duplicates="quarantine",
        complete_through=date(2026, 7, 5), margin=Margin(rule, 0.3),
    )  # fmt: skip


def clean_table(name: str):
    schema = sources.clean_schema(name)
    if name == "orders":
        schema |= dict.fromkeys(("cost", "order_cost", "margin", *marks.PLACE, "part"), "int64")
        schema |= {"event_date": "date", "line_kind": "string"}
        schema = {column: schema[column] for column in clean_tables.ORDER_COLUMNS}
    return ibis.table(schema, name=name)


def placed_rows(name: str, shop: Shop, kind: str = "text"):
    """Rows of a source table as the rules meet them."""
    source = shop.sources[name][0]
    schema = dict.fromkeys((column.name for column in TABLES[name].columns), "string")
    if kind == "typed":
        schema = {key: value for key, value in sources.clean_schema(name).items() if key in schema}
    raw = ibis.table(schema | dict.fromkeys(marks.PLACE, "int64"), name="raw")
    rows = sources.placed(sources.typed(raw, source, shop), source, shop, first=2024, last=2026)
    rows = rows.mutate(is_forgotten=ibis.literal(False))
    return clean_tables.prepared(rows, shop) if name == "orders" else rows


def context_of(shop: Shop, name: str) -> rules.Context:
    filled = {column.name: 1 for column in TABLES[name].columns}
    days = {date(1900, 1, 1): 1, date(2031, 1, 1): 1}
    words = {"status": frozenset({"test", "void"}), "currency": frozenset({"usd"})}
    known = facts.Facts(2, 1, 1, 0, filled, days, words, 1000.0, 10.0)
    return facts.context(shop, known)


def with_reason(rows, name: str, shop: Shop):
    rows = marks.marked(rows, dict.fromkeys(("in_later_file", "is_copy")))
    return rows.mutate(reason=rules.reason(rows, name, context_of(shop, name)))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("kind", ["text", "typed"])
def test_cleaning_compiles(name, engine, kind):
    shop = shop_of(Source(table=name, files=("any.csv",)))
    rows = with_reason(placed_rows(name, shop, kind), name, shop)
    if name == "orders":
        rows = clean_tables.finished_orders(rows, shop)
    assert "SELECT" in ibis.to_sql(rows, dialect=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_marks_and_links_compile(engine):
    shop = shop_of(Source(table="orders", files=("any.csv",)))
    rows = placed_rows("orders", shop)
    key = ["product_id", "revenue"]
    odd = marks.odd_orders(rows, key)
    twice = marks.same_lines(rows, odd, key)
    refunded = refunds.linked(
        rows.filter(rows.is_refund), clean_table("orders"), clean_tables.AMOUNTS
    )
    for table in (
        marks.copies(rows, twice),
        marks.same_keys(rows, marks.same_lines(rows, marks.odd_orders(rows, ["line_id"]), ["line_id"])), *marks.overlaps(rows, odd),
        marks.of_two_customers(rows, odd), marks.many_persons(rows), marks.lines_per_customer(marks.people(rows), rows), refunded,
    ):  # fmt: skip
        assert "SELECT" in ibis.to_sql(table, dialect=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_flags_compile(engine):
    shop = shop_of(Source(table="orders", files=("any.csv",)))
    clean, context = clean_table("orders"), context_of(shop, "orders")
    tests = {rule.id: rules.tested(rule, clean, context) for rule in rules.flags(shop)}
    tests = {name: test.sum() for name, test in tests.items() if test is not None}
    assert len(tests) > 10
    assert "SUM" in ibis.to_sql(clean.aggregate(**tests), dialect=engine)


@pytest.mark.parametrize("rule", ["costs", "rate", "none"])
@pytest.mark.parametrize("engine", ENGINES)
def test_margin_rule_compiles(rule, engine):
    shop = shop_of(Source(table="orders", files=("any.csv",)), rule)
    rows = clean_tables.finished_orders(ibis.table(sources.clean_schema("orders"), name="o"), shop)
    assert "margin" in ibis.to_sql(rows, dialect=engine)


def test_clean_schema_is_what_cleaning_writes():
    shop = shop_of(Source(table="orders", files=("any.csv",)))
    rows = placed_rows("orders", shop).mutate(part=ibis.literal(1, "int64"))
    rows = clean_tables.finished_orders(rows, shop).select(clean_tables.ORDER_COLUMNS)
    assert {k: str(v) for k, v in rows.schema().items()} == {
        k: str(v) for k, v in clean_table("orders").schema().items()
    }


SPILLS = """
from threading import Thread
from helpers import engines
from helpers.contract.shop import load_shop

SORT = (
    "SELECT sum(x * place) FROM (SELECT x, row_number() OVER (ORDER BY text) AS place FROM "
    "(SELECT i AS x, hash(i)::VARCHAR || repeat('a', 20) AS text FROM range(600000) AS t(i)))"
)
opened = [engines.connect(load_shop({folder!r})) for _ in range(2)]
assert len({{con.con.sql("SELECT current_setting('temp_directory')").fetchone() for con in opened}}) == 2
found = []
work = [Thread(target=lambda c=con: found.append(c.con.sql(SORT).fetchone())) for con in opened]
[each.start() for each in work], [each.join() for each in work]
assert len(set(found)) == 1 and len(found) == 2
spilled = list(load_shop({folder!r}).folder.glob(".spill-*"))
[engines.close(con) for con in opened]
print(len(spilled), len(list(load_shop({folder!r}).folder.glob(".spill-*"))))
"""


def test_connections_that_spill_keep_apart(make_shop):
    """Two that shared a folder would overwrite each other's files, and crash the process."""
    folder = make_shop(toml='memory_limit = "40MB"\nthreads = 1')
    gone, other = (
        folder / f".spill-{name}-999999999-ab" for name in (platform.node(), "elsewhere")
    )
    for left in (gone, other):
        left.mkdir()
        (left / "duckdb_temp_storage_DEFAULT-0.tmp").write_bytes(b"half")
    code = SPILLS.format(folder=str(folder))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    # What a killed process of this machine left is gone; that of another machine may be in use.
    assert (done.returncode, done.stdout.split()) == (0, ["3", "1"]), done.stderr
    assert not gone.exists() and other.exists()


def test_tables_made_in_turn_leave_nothing_behind(make_shop):
    """What each gave lies one below the other, and goes away, also where one of them fails."""
    con = engines.connect(load_shop(str(make_shop())))
    numbers = con.create_table("numbers", ibis.memtable({"n": [1, 2]}))
    before = con.list_tables()
    with engines.gathered(con, [numbers, numbers.mutate(n=numbers.n * 10)]) as whole:
        assert sorted(con.execute(whole)["n"]) == [1, 2, 10, 20]
    bad = numbers.mutate(n=ibis.literal("no number").cast("int64"))
    with pytest.raises(duckdb.Error), engines.gathered(con, [numbers, bad]) as whole:
        raise AssertionError("the second table cannot be made")
    assert con.list_tables() == before


def test_long_numbers_are_multiplied_exactly(make_shop):
    """Their squares have 38 digits; in decimals it takes twice the time, in floats digits go."""
    con = engines.connect(load_shop(str(make_shop())))
    number = 9_999_999_999_999_999_999
    table = ibis.memtable({"text": [str(number), "1"]})
    exact = table.text.cast("decimal(19, 0)")
    total = table.aggregate(total=(exact * exact).sum())
    assert "INT128" in con.compile(total)
    told = con.execute(total.mutate(total=total.total.cast("string")))
    assert int(told["total"][0]) == number**2 + 1
