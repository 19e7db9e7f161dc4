"""Every cleaning expression and every summary can be said by DuckDB, Spark and PostgreSQL."""

import ibis
import pytest
from ibis.config import Config

from helpers import cleaning, sources, summaries
from helpers.shop import Margin, Shop, Source
from helpers.tables import TABLES

ENGINES = ("duckdb", "pyspark", "postgres")
OPTIONS = {"split": "2025-06-30", "as_of": "2026-06-30"}


class SparkOptions(Config):
    """What Ibis sets when its Spark backend is loaded; enough to compile without Spark."""

    treat_nan_as_null: bool = False


@pytest.fixture(autouse=True)
def spark_options(monkeypatch):
    if ibis.options.pyspark is None:
        ibis.options.pyspark = SparkOptions()


def shop_of(source: Source, rule: str = "costs") -> Shop:
    from datetime import date
    from pathlib import Path

    return Shop(
        name="any", folder=Path("any"), title="any", currency="EUR", time_zone="Europe/Amsterdam",
        sources={source.table: source}, duplicates="quarantine",
        complete_through=date(2026, 7, 5), margin=Margin(rule, 0.3),
    )  # fmt: skip


def clean_table(name: str):
    schema = sources.clean_schema(name)
    if name == "orders":
        schema |= {
            "is_duplicate": "boolean",
            "event_date": "date",
            "cost": "int64",
            "order_cost": "int64",
            "margin": "int64",
        }
    return ibis.table(schema, name=name)


def made(name: str):
    """A summary over unbound tables, its own sources inlined."""
    summary = summaries.SUMMARIES[name]
    parts = [
        made(source)
        if source in summaries.SUMMARIES
        else clean_table(source.removeprefix("later_"))
        for source in summary.made_from
    ]
    return summary.make(*parts, **{option: OPTIONS[option] for option in summary.options})


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", summaries.SUMMARIES)
def test_summary_compiles(name, engine):
    assert "SELECT" in ibis.to_sql(made(name), dialect=engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("kind", ["text", "typed"])
def test_cleaning_compiles(name, engine, kind):
    source = Source(table=name, files=("any.csv",))
    shop = shop_of(source)
    text = {column.name: "string" for column in TABLES[name].columns}
    schema = text if kind == "text" else {
        key: value for key, value in sources.clean_schema(name).items() if key in text
    }  # fmt: skip
    written = sources.typed(ibis.table(schema, name="raw"), source, shop)
    placed = sources.placed(written, source, shop, first=2024, last=2026)
    rows = cleaning.checked(placed, name, shop)
    if name == "orders":
        rows = cleaning.finished_orders(rows, shop)
    assert "SELECT" in ibis.to_sql(rows, dialect=engine)


@pytest.mark.parametrize("rule", ["costs", "rate", "none"])
@pytest.mark.parametrize("engine", ENGINES)
def test_margin_rule_compiles(rule, engine):
    source = Source(table="orders", files=("any.csv",))
    schema = sources.clean_schema("orders") | {"is_duplicate": "boolean"}
    rows = cleaning.finished_orders(ibis.table(schema, name="o"), shop_of(source, rule))
    assert "margin" in ibis.to_sql(rows, dialect=engine)


def test_clean_schema_is_what_cleaning_writes():
    source = Source(table="orders", files=("any.csv",))
    shop = shop_of(source)
    raw = ibis.table({c.name: "string" for c in TABLES["orders"].columns}, name="raw")
    rows = sources.placed(sources.typed(raw, source, shop), source, shop, first=2024, last=2024)
    rows = cleaning.finished_orders(cleaning.checked(rows, "orders", shop), shop)
    rows = rows.drop("reason", "unreadable")
    assert {k: str(v) for k, v in rows.schema().items()} == {
        k: str(v) for k, v in clean_table("orders").schema().items()
    }
