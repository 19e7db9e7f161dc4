"""Pseudonyms: random, stable, and without any effect on what is published."""

import os
import re
import shutil
import stat
import sys
import time

import ibis
import pandas as pd
import pyarrow.parquet as pq
import pytest

from helpers import engines, files, summaries
from helpers.cleaning import store as cleaning
from helpers.contract.shop import ROOT, load_shop
from helpers.errors import DataError
from helpers.persons import keys as persons
from helpers.study import open_study
from tests.conftest import ORDERS

SPLIT = {
    "customer_features": {"split": "2026-02-20", "until": "2026-03-31"},
    "active_stock": {"window": 90},
    "trait_ages": {"dimension": "channel"},
    "trait_groups": {"dimension": "channel"},
    "known_states": {"split": "2026-02-20"},
    "known_spends": {"split": "2026-02-20"},
}


def opened(make_shop, **files):
    shop = load_shop(str(make_shop(**files)))
    return engines.connect(shop), shop


def table_of(*ids: str | None, column: str = "customer_id") -> ibis.Table:
    return ibis.memtable(pd.DataFrame({column: pd.array(ids, dtype="string")}))


def drawn(con, shop, *ids: str) -> dict[str, str]:
    every = con.execute(persons.pseudonyms(con, shop, table_of(*ids))).to_numpy().tolist()
    return {own: name for own, name in every if own in ids}


def test_pseudonyms_are_random_distinct_and_stable(make_shop):
    con, shop = opened(make_shop)
    first = drawn(con, shop, "anna", "ben")
    more = drawn(con, shop, "ben", "cleo")
    assert all(re.fullmatch("p[0-9a-f]{20}", name) for name in (first | more).values())
    assert more["ben"] == first["ben"] and len(set((first | more).values())) == 3
    other_con, other = opened(make_shop)
    assert drawn(other_con, other, "anna") == {"anna": first["anna"]}
    shutil.rmtree(persons.folder(shop))
    assert drawn(con, shop, "anna")["anna"] != first["anna"]


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_the_key_table_is_for_its_owner_only(make_shop):
    con, shop = opened(make_shop)
    before = os.umask(0)
    try:
        drawn(con, shop, "anna")
        persons.suppress(shop, ["anna"])
    finally:
        os.umask(before)
    place = persons.folder(shop)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    files = [path for path in place.iterdir() if path.suffix != ".lock"]
    assert {path.name for path in files} >= {"persons.parquet", "table_id", "key", "forgotten"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert (place / ".gitignore").read_text() == "*\n"


def test_a_failed_write_leaves_the_table_as_it_was(make_shop, monkeypatch):
    con, shop = opened(make_shop)
    first = drawn(con, shop, "anna")

    def fail(*_):
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", fail)
        with pytest.raises(OSError, match="full"):
            drawn(con, shop, "anna", "ben")
    assert drawn(con, shop, "anna", "ben")["anna"] == first["anna"]


def test_a_lost_key_table_has_another_id_and_an_old_id_never_names_a_new_table(make_shop):
    _, shop = opened(make_shop)
    first = persons.table_id(shop)
    assert persons.table_id(shop) == first
    (persons.folder(shop) / "persons.parquet").unlink()
    assert persons.table_id(shop) != first


def test_a_lost_key_table_has_all_cleaned_anew(make_shop):
    folder = str(make_shop())
    study = open_study(folder)
    before = summaries.load(study, "periods")
    shutil.rmtree(persons.folder(study.shop))
    again = open_study(folder)
    assert again.info.folder != study.info.folder and again.info.digest == study.info.digest
    pd.testing.assert_frame_equal(summaries.load(again, "periods"), before)


def test_the_suppression_list_shows_nobody(make_shop):
    con, shop = opened(make_shop)
    names, empty = drawn(con, shop, "anna", "ben"), persons.state(shop)
    assert persons.forgotten(con, shop, table_of("anna")) is None
    assert persons.suppress(shop, ["anna", "zoe"]) == 2
    assert persons.suppress(shop, ["anna"]) == 0
    assert persons.state(shop) != empty
    text = (persons.folder(shop) / "forgotten").read_text()
    lines = text.splitlines()
    assert len(lines) == 2 and lines == sorted(lines)
    assert all(re.fullmatch("[0-9a-f]{64}", line) for line in lines)
    assert "anna" not in text and names["anna"] not in text
    found = con.execute(persons.forgotten(con, shop, table_of("anna", "ben", "zoe")))
    assert found["customer_id"].tolist() == ["anna", "zoe"]
    assert con.execute(persons.forgotten(con, shop, table_of("ben"))).empty


def test_a_list_without_its_key_is_refused(make_shop):
    con, shop = opened(make_shop)
    persons.suppress(shop, ["anna"])
    (persons.folder(shop) / "key").unlink()
    with pytest.raises(DataError, match="private/key is missing"):
        persons.forgotten(con, shop, table_of("anna"))
    with pytest.raises(DataError, match="private/key is missing"):
        persons.suppress(shop, ["ben"])


COMPOSITE = 'columns = {order_id = ["store", "customer_id", "ordered_at"]}'


def test_an_order_id_made_of_the_customers_id_loses_it(make_shop):
    orders = (
        "store,customer_id,ordered_at,revenue,refund_of\n"
        "7,7,2026-01-05,20.00,\n7,8,2026-01-05,30.00,\n8,7,2026-01-06,25.50,\n"
        "7,7-8,2026-01-31,12.25,\n7,7,2026-01-31,-5.00,7-7-2026-01-05\n"
    )
    folder = make_shop(orders, orders_toml=COMPOSITE)
    shop = load_shop(str(folder))
    assert persons.composites(shop, shop.sources["orders"][0]) == (
        "order_id",
        "refund_of",
    )
    study = open_study(str(folder))
    rows = study.con.execute(study.table("orders").order_by("ordered_at", "revenue"))
    key = study.con.execute(persons.known(study.con, shop)).set_index("customer_id")["pseudonym"]
    p7, p8, p78 = key["7"], key["8"], key["7-8"]
    assert rows["order_id"].tolist() == [
        f"{p7}-{p7}-2026-01-05", f"7-{p8}-2026-01-05", f"8-{p7}-2026-01-06",
        f"{p7}-{p7}-2026-01-31", f"7-{p78}-2026-01-31",
    ]  # fmt: skip
    refund = rows[rows["is_refund"]].iloc[0]
    assert refund["refund_of"] == f"{p7}-{p7}-2026-01-05"
    assert study.info.tables["orders"]["flags"]["refund_without_sale"] == 0


def test_no_clean_table_holds_an_id_of_the_shop(make_shop):
    folder = make_shop(
        ORDERS + "6,anna,sometime,4.00\n7,,2026-01-06,2.00\n",
        customers="customer_id,referred_by\nanna,\nben,anna\ncleo,nobody\n",
        carts="cart_id,customer_id,started_at\nk1,anna,2026-01-01\nk2,,2026-01-02\n",
    )
    info = cleaning.prepare(load_shop(str(folder)))
    held = []
    for path in info.folder.glob("*.parquet"):
        for column in pq.read_table(path).to_pydict().values():
            held += [value for value in column if isinstance(value, str)]
    assert not {"anna", "ben", "cleo", "nobody"} & set(held)
    customers = pq.read_table(info.folder / "customers.parquet").to_pandas()
    referred = customers.set_index("customer_id")["referred_by"].dropna()
    assert len(referred) == 2 and referred.str.fullmatch("p[0-9a-f]{20}").all()
    assert referred.isin(customers["customer_id"]).sum() == 1
    carts = pq.read_table(info.folder / "carts.parquet").to_pandas()
    assert carts["customer_id"].notna().tolist() == [True, False]


def test_forgotten_customers_are_set_aside_and_totals_tie_out(make_shop):
    folder = make_shop(customers="customer_id,referred_by\nanna,\nben,anna\ncleo,\n")
    shop = load_shop(str(folder))
    before = cleaning.prepare(shop)
    persons.suppress(shop, ["anna"])
    info = cleaning.prepare(shop)
    assert info.digest != before.digest
    orders = info.tables["orders"]
    aside = {row["reason"]: row for row in orders["set_aside"]}
    assert aside["customer_forgotten"]["rows"] == 2
    assert aside["customer_forgotten"]["money"] == 4550
    assert orders["rows"] == orders["kept"] + 2 == before.tables["orders"]["rows"]
    assert orders["money"] == orders["money_kept"] + 4550 == before.tables["orders"]["money"]
    rows = pq.read_table(info.folder / "orders_quarantine.parquet").to_pandas()
    assert rows["customer_id"].isna().all()
    customers = pq.read_table(info.folder / "customers.parquet").to_pandas()
    assert len(customers) == 2 and customers["referred_by"].isna().all()


def test_a_forgotten_customers_id_leaves_composed_order_ids(make_shop):
    columns = 'columns = {order_id = ["customer_id", "ordered_at"]}'
    orders = "customer_id,ordered_at,revenue\na1,2026-01-05,20\nb2,2026-01-31,30\nc3,2026-01-31,1\n"
    shop = load_shop(str(make_shop(orders, orders_toml=columns)))
    persons.suppress(shop, ["a1"])
    info = cleaning.prepare(shop)
    rows = pq.read_table(info.folder / "orders_quarantine.parquet").to_pandas()
    assert rows["order_id"].tolist() == ["forgotten-2026-01-05"]


@pytest.mark.slow
@pytest.mark.parametrize("shop", ["sample"])
def test_summaries_are_the_same_whatever_the_pseudonyms(tmp_path, shop):
    frames = []
    for name in ("one", "two"):
        folder = tmp_path / name / shop
        shutil.copytree(
            ROOT / "data" / shop, folder,
            ignore=shutil.ignore_patterns("clean", "summaries", "lists", "private"),
        )  # fmt: skip
        study = open_study(str(folder), "2026-03")
        loaded = {
            key: summaries.load(study, key, **SPLIT.get(key, {}))
            for key in summaries.SUMMARIES
            if key not in summaries.PRIVATE
        }
        states = loaded["customer_states"]
        keys = ["frequency", "first_day", "last_day"]
        scores = states[keys].drop_duplicates().assign(discounted_orders=1.0)
        spend = loaded["spend_states"]["frequency"].unique()
        lines = pd.DataFrame({"spend_frequency": [0, *spend], "intercept": 20.0, "slope": 0.0})
        # Everyone of one value: tiers then hang on the order of equals alone.
        loaded["valued"] = summaries.valued_states(
            study, scores, lines, margin_rate=0.4, service=1.0
        )
        frames.append(loaded)
    assert frames[0]["valued"]["tier"].nunique() == 4
    for key, frame in frames[0].items():
        pd.testing.assert_frame_equal(frame, frames[1][key], obj=key)


def test_replacing_compiles_for_other_engines():
    table = ibis.table({"a": "string", "b": "string", "c": "string"}, name="t")
    made = table.mutate(d=persons._replaced(table.a, table.b, table.c))
    for dialect in ("duckdb", "pyspark", "postgres"):
        assert "REPLACE" in ibis.to_sql(made, dialect=dialect).upper()


def test_two_hundred_thousand_persons_take_a_moment(make_shop):
    con, shop = opened(make_shop)
    ids = con.create_table("many", ibis.range(200_000).unnest().name("n").as_table(), temp=True)
    ids = ids.select(customer_id=ids.n.cast("string"))
    started = time.monotonic()
    found = persons.pseudonyms(con, shop, ids)
    assert con.execute(found.pseudonym.nunique()) == 200_000
    assert time.monotonic() - started < 20, sys.version
