"""Cleaning and every summary of the sample shop give the same on DuckDB, Spark and PostgreSQL."""

from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from helpers import engines, summaries
from helpers.contract.tables import PERSON_COLUMNS, TABLES
from helpers.persons import keys as persons
from helpers.sources.typed import clean_table
from helpers.summaries import prediction

# Each in a process of its own: they take turns at nothing but the cores.
OTHERS = [
    pytest.param("pyspark", marks=pytest.mark.xdist_group("pyspark")),
    pytest.param("postgres", marks=pytest.mark.xdist_group("postgres")),
]
OPTIONS = {
    "dimension": "first_category",
    "split": "2025-06-30",
    "tolerance": 0.005,
    "until": "2026-05-31",
    "window": 90,
}


def options(name: str) -> dict:
    known = {option: OPTIONS[option] for option in summaries.SUMMARIES[name].options
             if option != "as_of"}  # fmt: skip
    return known


def as_plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Give whole numbers, texts and days in the types of pandas, whatever the driver gave."""
    found = {}
    for name in frame.columns:
        values = frame[name]
        if len(values) and values.map(lambda each: isinstance(each, Decimal)).any():
            values = values.astype("float64")
        if str(values.dtype).startswith(("datetime", "date32")):
            values = pd.to_datetime(values).astype("datetime64[us]")
        elif str(values.dtype) == "object" or str(values.dtype).startswith("str"):
            values = values.astype("object").where(values.notna(), None)
            if values.map(lambda each: hasattr(each, "year")).any():
                values = pd.to_datetime(values).astype("datetime64[us]")
        elif values.dtype.kind in "iufb" or values.dtype.name in ("Int64", "boolean", "Float64"):
            values = values.astype("float64")
        found[name] = values
    return pd.DataFrame(found)


def assert_equal(one: pd.DataFrame, other: pd.DataFrame, kinds: dict) -> None:
    """Compare whole numbers, days and words exactly, and what is no whole number to 1e-9."""
    assert list(one.columns) == list(other.columns)
    assert len(one) == len(other)
    one, other = as_plain(one), as_plain(other)
    for name in one.columns:
        is_ratio = kinds[name].is_floating()
        pd.testing.assert_series_equal(
            one[name], other[name], check_dtype=False, check_exact=not is_ratio, rtol=1e-9, atol=0
        )


def frame_of(study, table) -> pd.DataFrame:
    return engines.loaded(study.con, table)


@pytest.mark.parametrize("engine", OTHERS)
def test_cleaning_counts_the_same(engine, study_on):
    expected, found = study_on("duckdb").info, study_on(engine).info
    for name, tally in expected.tables.items():
        assert tally | {"files": []} == found.tables[name] | {"files": []}, name
    for day in ("first_day", "last_day", "complete_through", "retained_from"):
        assert getattr(expected, day) == getattr(found, day)


@pytest.mark.parametrize("engine", OTHERS)
@pytest.mark.parametrize("name", TABLES)
def test_clean_rows_are_the_same(name, engine, study_on):
    frames, kinds = [], {}
    for study in (study_on("duckdb"), study_on(engine)):
        table = clean_table(study.con, study.info.folder, name)
        table = own_ids(study, table)
        kinds = dict(table.schema().items())
        place = ["_file", "_row"] + ["part"] * (name == "orders")
        frame = study.con.execute(table.order_by(place))
        frames.append(frame[sorted(frame.columns)].drop(columns=list(place)))
    assert len(frames[0]) > 0
    assert_equal(*frames, kinds)


def own_ids(study, table):
    """Put the shop's own ids in the place of pseudonyms, which are random on each engine."""
    names = persons.known(study.con, study.shop)
    kept = table.columns
    for column in PERSON_COLUMNS:
        if column in kept:
            keys = names.select(own__=names.customer_id, random__=names.pseudonym)
            table = table.left_join(keys, table[column] == keys.random__)
            table = table.mutate(**{column: table.own__}).select(*kept)
    return table


@pytest.mark.parametrize("engine", OTHERS)
@pytest.mark.parametrize("name", ["orders", "payments"])
def test_rows_set_aside_are_the_same(name, engine, study_on):
    frames = []
    for study in (study_on("duckdb"), study_on(engine)):
        path = study.info.folder / f"{name}_quarantine.parquet"
        if not engines.exists(study.con, path):
            frames.append(None)
            continue
        table = own_ids(study, engines.read(study.con, path)).order_by("file", "row")
        frames.append(study.con.execute(table))
        kinds = dict(table.schema().items())
    if frames[0] is None:
        assert frames[1] is None
    else:
        assert_equal(*frames, kinds)


@pytest.mark.parametrize("engine", OTHERS)
@pytest.mark.parametrize("name", summaries.SUMMARIES)
def test_summary_is_the_same(name, engine, study_on):
    frames = []
    for study in (study_on("duckdb"), study_on(engine)):
        table = summaries.engine_table(study, name, **options(name))
        kinds = dict(table.schema().items())
        if name in summaries.PRIVATE:
            # One row a customer: under the shop's own ids they are the same customers.
            table = own_ids(study, table)
            frames.append(study.con.execute(table.order_by(table.columns)))
        else:
            frames.append(summaries.load(study, name, **options(name)))
            # Money is given in currency units, of whole minor ones: exact, as it is divided alike.
    assert_equal(*frames, kinds)


def scores_of(study) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give every state made-up scores, and made-up lines of expected spend."""
    keys = ["frequency", "first_day", "last_day"]
    scores = summaries.load(study, "customer_states")[keys].drop_duplicates()
    again = 1 / (1 + scores["frequency"])
    scores = scores.assign(discounted_orders=again, residual_orders=2 * again)
    scores = scores.assign(
        expected_orders=again, p_alive=1 - again / 2, p_alive_before=1 - again / 4
    )
    scores = scores.assign(next_days=20.25 + 7 * scores["frequency"])
    lines = pd.DataFrame({"spend_frequency": range(60)})
    return scores, lines.assign(intercept=40.0, slope=0.5 / (1 + lines["spend_frequency"]))


@pytest.mark.parametrize("engine", OTHERS)
def test_values_given_to_customers_are_the_same(engine, study_on):
    frames = []
    for study in (study_on("duckdb"), study_on(engine)):
        scores, lines = scores_of(study)
        valued = summaries.valued_states(study, scores, lines, margin_rate=0.4, service=1.5)
        frames.append(valued)
    assert len(frames[0]) > 1000
    pd.testing.assert_frame_equal(*map(as_plain, frames), check_dtype=False, rtol=1e-9)


@pytest.mark.parametrize("engine", OTHERS)
@pytest.mark.parametrize("name", prediction.LISTS)
def test_lists_hold_the_same_customers(name, engine, study_on):
    frames = []
    for study in (study_on("duckdb"), study_on(engine)):
        scored = summaries.scored_customers(study, *scores_of(study), margin_rate=0.4, service=1.5)
        table = prediction.candidates(
            scored, summaries.loyalty_members(study), name, str(study.end)
        )
        table = table.semi_join(summaries.consenting(study), "customer_id")
        # Which of two customers with the same history an edge of tiers divides, no engine says.
        table = own_ids(study, table).drop("tier")
        frames.append(frame_of(study, table))
        kinds = dict(table.schema().items())
    assert len(frames[0]) > 0
    assert_equal(*frames, kinds)


@pytest.mark.parametrize("engine", OTHERS)
def test_thirds_hold_the_same_value(engine, study_on):
    frames = []
    for study in (study_on("duckdb"), study_on(engine)):
        scored = summaries.scored_customers(study, *scores_of(study), margin_rate=0.4, service=1.5)
        frames.append(summaries.value_thirds(study, scored))
    assert len(frames[0]) > 20
    pd.testing.assert_frame_equal(*map(as_plain, frames), check_dtype=False, rtol=1e-9)


@pytest.mark.parametrize("engine", OTHERS)
def test_rows_of_an_experiment_are_the_same(engine, study_on):
    frames = []
    for study in (study_on("duckdb"), study_on(engine)):
        names = summaries.load(study, "experiment_list")["experiment_id"]
        rows = [summaries.experiment_rows(study, name) for name in sorted(names)]
        frames.append(pd.concat(map(as_plain, rows), ignore_index=True))
    assert len(frames[0]) > 100
    pd.testing.assert_frame_equal(*map(as_plain, frames), check_dtype=False, rtol=1e-9)


WITHOUT = ("customer_traits", "customer_segments", "mails", "served_ages", "experiment_moments",
           "customer_features", "acquisition", "next_items", "lead_states")  # fmt: skip


@pytest.mark.parametrize("engine", OTHERS)
@pytest.mark.parametrize("name", WITHOUT)
def test_a_shop_of_orders_alone_is_the_same(name, engine, study_on):
    frames = []
    for study in (study_on("duckdb"), study_on(engine)):
        info = replace(study.info, tables={"orders": study.info.tables["orders"]})
        bare = replace(study, month="2026-03", info=info)
        asked = options(name) | ({"until": "2026-03-31"} if name == "customer_features" else {})
        table = summaries.engine_table(bare, name, **asked)
        kinds = dict(table.schema().items())
        frames.append(frame_of(bare, own_ids(bare, table)))
    assert_equal(*frames, kinds)
