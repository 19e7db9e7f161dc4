"""A broken engine: one clear sentence, nothing half-written, and nothing secret in it."""

import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import psycopg
import pytest

from helpers import engines, summaries
from helpers.contract.shop import ROOT, load_shop
from helpers.engines.faults import told
from helpers.errors import DataError, UsageError
from helpers.privacy import forget
from helpers.study import open_study
from tests_engines.server import PASSWORD, Server
from tests_engines.shops import sample_on

pytestmark = pytest.mark.xdist_group("postgres")  # with its server


def small_shop(folder: Path, settings: str, source: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shop.toml").write_text(
        f'currency = "EUR"\ntime_zone = "Europe/Berlin"\n{settings}\n[privacy]\nmin_cell = 1\n'
        f"[tables.orders]\n{source}\n",
        encoding="utf-8",
    )
    return str(folder)


@pytest.fixture
def orders(server):
    """A schema of its own with a table of orders, on the server; gives a connection."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS faults CASCADE")
        connection.execute("CREATE SCHEMA faults")
        connection.execute(
            "CREATE TABLE faults.orders AS SELECT 'o' || n AS order_id, 'c' || n % 50 AS customer_id, "
            "DATE '2026-01-01' + n % 90 AS ordered_at, (n % 70)::numeric(9, 2) + 1 AS revenue "
            "FROM generate_series(1, 500) AS n"
        )
        yield connection


@pytest.fixture
def shop(tmp_path, server, orders, monkeypatch):
    monkeypatch.setenv("LTV_TEST_PASSWORD", PASSWORD)
    settings = (
        f'engine = "postgres"\nurl = "{server.url("${LTV_TEST_PASSWORD}")}"\nschema = "faults"'
    )
    return small_shop(tmp_path / "corner", settings, 'table = "faults.orders"')


def tables(connection) -> set[str]:
    rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'faults'")
    return {name for (name,) in rows.fetchall()}


def message(error) -> str:
    text = str(error.value)
    assert PASSWORD not in text and "Traceback" not in text and "\n" not in text
    # Nor in what the error came of, which a log may print.
    assert error.value.__suppress_context__ or error.value.__context__ is None
    return text


def left_behind(shop: str) -> list[str]:
    return [
        path.name
        for path in Path(shop).glob("clean/**/*")
        if path.is_file() and path.name != ".lock"
    ]


def test_tables_of_a_server_are_cleaned_into_its_schema(shop, orders):
    study = open_study(shop)
    assert summaries.load(study, "customer_states")["n"].sum() == 50
    # Tables that a shop does not have are empty, and their summaries too.
    assert summaries.load(study, "survey_answers").empty
    assert summaries.load(study, "touch_months").empty
    kept = tables(orders) - {"orders"}
    assert any(name.endswith("_orders_refunds") for name in kept)
    assert all(name.startswith("ltv_") and "_stage_" not in name for name in kept)
    # The key table is no table of the server, and nothing there holds the shop's own ids.
    for name in kept:
        columns = orders.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s", (name,)
        ).fetchall()
        if ("customer_id",) in columns:
            ids = orders.execute(f'SELECT customer_id FROM faults."{name}"').fetchall()
            assert all(each is None or each.startswith("p") for (each,) in ids)


def test_a_changed_table_is_cleaned_anew_and_an_unchanged_one_is_not(shop, orders):
    first = open_study(shop).info
    assert open_study(shop).info.folder == first.folder
    orders.execute("UPDATE faults.orders SET revenue = revenue + 1 WHERE order_id = 'o7'")
    assert open_study(shop).info.folder != first.folder


def test_a_snapshot_column_tells_the_states_of_a_table_apart(shop, orders):
    orders.execute("ALTER TABLE faults.orders ADD COLUMN loaded_at timestamp DEFAULT '2026-04-01'")
    path = Path(shop) / "shop.toml"
    path.write_text(path.read_text() + 'snapshot = "loaded_at"\n')
    first = load_shop(shop).content_digest()
    orders.execute("UPDATE faults.orders SET revenue = revenue + 1 WHERE order_id = 'o7'")
    assert load_shop(shop).content_digest() == first
    orders.execute("UPDATE faults.orders SET loaded_at = '2026-04-02' WHERE order_id = 'o7'")
    assert load_shop(shop).content_digest() != first


def test_clean_tables_that_are_gone_are_made_again(shop, orders):
    info = open_study(shop).info
    for name in tables(orders) - {"orders"}:
        orders.execute(f'DROP TABLE faults."{name}"')
    study = open_study(shop)
    assert study.info.folder == info.folder
    assert summaries.load(study, "scope")["orders"].sum() == 500


def test_rows_of_a_refused_table_are_kept_for_whoever_mends_it(shop, orders):
    orders.execute("UPDATE faults.orders SET customer_id = NULL WHERE order_id <> 'o1'")
    with pytest.raises(DataError, match="can be used"):
        open_study(shop)
    assert tables(orders) == {"orders", "ltv_refused_orders_quarantine"}


def test_to_forget_takes_the_tables_away_and_names_those_of_the_team(shop, orders, tmp_path):
    open_study(shop)
    ids = tmp_path / "ids.txt"
    ids.write_text("c7\n")
    done = forget.forget(shop, str(ids))
    assert tables(orders) == {"orders"}
    assert done.unsearched == ["table faults.orders"]
    study = open_study(shop)
    assert study.info.tables["orders"]["customers"] == 49


def test_a_wrong_password(shop, monkeypatch):
    monkeypatch.setenv("LTV_TEST_PASSWORD", "not-the-word")
    with pytest.raises(DataError) as error:
        open_study(shop)
    assert "refused the user or the password" in message(error)
    assert "not-the-word" not in str(error.value)
    assert not left_behind(shop)


def test_a_variable_that_is_not_set(shop, monkeypatch):
    monkeypatch.delenv("LTV_TEST_PASSWORD")
    with pytest.raises(UsageError, match="environment variable LTV_TEST_PASSWORD"):
        open_study(shop)


def test_a_password_in_the_file_is_refused_and_not_repeated(shop, server):
    path = Path(shop) / "shop.toml"
    path.write_text(path.read_text().replace("${LTV_TEST_PASSWORD}", PASSWORD))
    with pytest.raises(UsageError, match="url holds a password") as error:
        load_shop(shop)
    assert PASSWORD not in str(error.value)


def test_a_password_with_marks_of_an_address(server, orders, shop, monkeypatch):
    odd = "p@ss:w/rd?#%"
    orders.execute(f"DROP ROLE IF EXISTS odd; CREATE ROLE odd LOGIN PASSWORD '{odd}'")
    monkeypatch.setenv("LTV_TEST_PASSWORD", odd)
    path = Path(shop) / "shop.toml"
    path.write_text(path.read_text().replace("//ltv:", "//odd:"))
    con = engines.connect(load_shop(shop))
    assert con.raw_sql("SELECT current_user").fetchone() == ("odd",)
    engines.close(con)
    with pytest.raises(DataError, match="may not read a table"):
        open_study(shop)


def test_a_missing_schema(shop, orders):
    path = Path(shop) / "shop.toml"
    path.write_text(path.read_text().replace('schema = "faults"', 'schema = "elsewhere"'))
    with pytest.raises(DataError) as error:
        open_study(shop)
    assert "no schema 'elsewhere'" in message(error) and "CREATE SCHEMA" in str(error.value)
    assert not left_behind(shop)


def test_a_missing_table(shop, orders):
    orders.execute("DROP TABLE faults.orders")
    with pytest.raises(DataError) as error:
        open_study(shop)
    assert "no table 'faults.orders'" in message(error)
    assert tables(orders) == set() and not left_behind(shop)


def test_a_lost_connection_while_cleaning(shop, orders, monkeypatch):
    kept = engines.kept

    def cut(con, name, table):
        if name == "orders_few":
            orders.execute("SELECT pg_terminate_backend(%s)", (con.con.info.backend_pid,))
        return kept(con, name, table)

    monkeypatch.setattr(engines, "kept", cut)
    with pytest.raises(DataError) as error:
        open_study(shop)
    assert "connection was lost" in message(error) and "PostgreSQL" in str(error.value)
    assert not left_behind(shop)
    assert not [name for name in tables(orders) if name != "orders" and "_stage_" not in name]
    monkeypatch.undo()
    os.environ["LTV_TEST_PASSWORD"] = PASSWORD
    open_study(shop)
    assert not [name for name in tables(orders) if "_stage_" in name], "what was left is cleared"


def test_a_server_that_is_down(tmp_path, monkeypatch):
    server = Server()
    try:
        monkeypatch.setenv("LTV_TEST_PASSWORD", PASSWORD)
        settings = f'engine = "postgres"\nurl = "{server.url("${LTV_TEST_PASSWORD}")}"'
        shop = small_shop(tmp_path / "corner", settings, 'table = "orders"')
        server.stop()
        with pytest.raises(DataError) as error:
            open_study(shop)
        assert "cannot be reached" in message(error)
        server.start()
    finally:
        server.close()


def test_a_database_whose_disk_is_full(shop, orders):
    study = open_study(shop)
    before = tables(orders)
    # The server's own bound on what does not fit in memory, which it reports as it does a full disk.
    study.con.raw_sql("SET temp_file_limit = '1kB'")
    study.con.raw_sql("SET work_mem = '64kB'")
    study.con.raw_sql("SET enable_hashagg = off")
    wide = "INSERT INTO faults.orders SELECT 'x' || n, 'd' || n, DATE '2026-01-02', 5 FROM generate_series(1, 60000) AS n"
    orders.execute(wide)
    table = engines.relation(study.con, study.shop, "faults.orders")
    path = study.info.folder / "wide.parquet"

    def written() -> None:
        with told(study.shop):
            engines.write_whole(study.con, table, path, table.columns)

    with pytest.raises(DataError) as error:
        written()
    assert "disk is full" in message(error)
    assert tables(orders) == before


def on_a_small_disk(folder: Path, size: str, code: str) -> str:
    """Run Python where ``folder`` is a disk of that size; give what it printed."""
    script = f'mount -t tmpfs -o size={size} small "$1" && exec "$2" -c "$3"'
    own = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = [
        "unshare",
        *own,
        "--mount",
        "sh",
        "-c",
        script,
        "sh",
        str(folder),
        sys.executable,
        code,
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


OPEN = """
import os, pathlib, shutil
from helpers.errors import DataError
from helpers.study import open_study
shutil.copytree({source!r}, {shop!r}, dirs_exist_ok=True)
try:
    open_study({shop!r})
    print("no error")
except DataError as error:
    print(error)
print(sorted(p.name for p in pathlib.Path({shop!r}, "clean").iterdir() if p.name != ".lock"))
"""


@pytest.mark.parametrize("engine", ["duckdb", "pyspark"])
def test_a_full_disk(engine, tmp_path):
    source = sample_on(tmp_path / "source", engine, "local[1]" if engine == "pyspark" else "")
    disk = tmp_path / "disk"
    disk.mkdir()
    size = sum(path.stat().st_size for path in Path(source).iterdir()) + (600 << 10)
    code = OPEN.format(source=source, shop=str(disk / "corner"))
    said = on_a_small_disk(disk, f"{size >> 10}k", code)
    assert "is full. Make room" in said
    assert said.splitlines()[-1] == "[]", "nothing half-written is left"
    assert len(said.splitlines()) == 2


def test_an_exhausted_memory_limit(tmp_path):
    rows = "".join(f"{n},c{n},2026-01-0{1 + n % 9},{n % 97}.50\n" for n in range(300_000))
    shop = small_shop(tmp_path / "corner", 'memory_limit = "16MB"\nthreads = 1\nspill_directory = "/dev/null/no"',
                      'files = "orders.csv"')  # fmt: skip
    (Path(shop) / "orders.csv").write_text("order_id,customer_id,ordered_at,revenue\n" + rows)
    with pytest.raises(DataError) as error:
        open_study(shop)
    text = message(error)
    assert "memory limit of 16MB is exhausted" in text and "spill_directory" in text
    assert "c299" not in text and not left_behind(shop)


def test_spark_that_is_not_there(tmp_path):
    shop = small_shop(
        tmp_path / "corner", 'engine = "pyspark"\nurl = "local[1]"', 'files = "o.csv"'
    )
    (Path(shop) / "o.csv").write_text("order_id,customer_id,ordered_at,revenue\n1,a,2026-01-01,1\n")
    code = textwrap.dedent(f"""
        import os
        from helpers.errors import DataError
        from helpers.study import open_study
        os.environ["JAVA_HOME"] = {str(tmp_path)!r}
        try:
            open_study({shop!r})
        except DataError as error:
            print(error)
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert "could not start Java" in done.stdout and not done.stderr
    assert not left_behind(shop)


def test_java_keeps_quiet(tmp_path):
    source = sample_on(tmp_path / "source", "pyspark", "local[1]")
    code = f"from helpers import engines; from helpers.contract.shop import load_shop; con = engines.connect(load_shop({source!r})); print(con.raw_sql('SELECT 1 AS one').collect()[0][0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "1" and done.stderr == ""


def on_spark(
    folder: Path, url: str = "local[1]", source: str = 'files = "orders.csv"', more: str = ""
):
    shop = small_shop(folder, f'engine = "pyspark"\nurl = "{url}"\n{more}', source)
    rows = "".join(f"{n},c{n % 50},2026-01-0{1 + n % 9},{n % 97}.50\n" for n in range(200))
    (folder / "orders.csv").write_text("order_id,customer_id,ordered_at,revenue\n" + rows)
    return shop


def test_a_master_that_cannot_be_reached(tmp_path, monkeypatch):
    monkeypatch.setenv("LTV_TEST_HOST", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"spark://${{LTV_TEST_HOST}}:{free.getsockname()[1]}"
        with pytest.raises(DataError) as error:
            open_study(on_spark(tmp_path, url))
    assert "cannot be reached" in message(error) and "127.0.0.1" not in str(error.value)
    assert not left_behind(str(tmp_path))


def test_what_is_no_master(tmp_path):
    with pytest.raises(UsageError, match=r"url is 'lokal\[2\]'; Spark's masters"):
        load_shop(on_spark(tmp_path, "lokal[2]"))


@pytest.mark.parametrize("name", ["nothing", "nowhere.nothing", "no.where.nothing"])
def test_a_table_that_the_catalog_of_spark_lacks(tmp_path, name):
    with pytest.raises(DataError, match="no table") as error:
        open_study(on_spark(tmp_path, source=f'table = "{name}"'))
    message(error)
    assert not left_behind(str(tmp_path))


def test_a_memory_limit_below_what_spark_starts_with(tmp_path):
    with pytest.raises(DataError) as error:
        open_study(on_spark(tmp_path, more='memory_limit = "100MB"'))
    assert "does not start with so little: memory_limit is 100MB" in message(error)
    assert not left_behind(str(tmp_path))


def test_memory_that_spark_exhausts(tmp_path):
    shop = load_shop(on_spark(tmp_path, more='memory_limit = "640MB"'))
    con = engines.connect(shop)
    wide = con.sql("SELECT id % 1 AS k, repeat('long', 250000) AS word FROM range(3000)")
    try:
        with pytest.raises(DataError) as error, told(shop):
            engines.kept(con, "wide", wide.group_by("k").aggregate(words=wide.word.collect()))
    finally:
        engines.close(con)
    assert "memory" in message(error)
    con = engines.connect(shop)
    assert con.raw_sql("SELECT 1 AS one").collect()[0][0] == 1, "the next start is a new Java"
    engines.close(con)


def test_java_that_ends_while_cleaning(tmp_path, monkeypatch):
    from pyspark import SparkContext

    shop = on_spark(tmp_path, more="complete_through = 2026-01-31")
    kept = engines.kept

    def cut(con, name, table):
        SparkContext._gateway.proc.kill()
        SparkContext._gateway.proc.wait()
        return kept(con, name, table)

    monkeypatch.setattr(engines, "kept", cut)
    with pytest.raises(DataError) as error:
        open_study(shop)
    assert "ended while it worked" in message(error)
    assert not left_behind(shop)
    monkeypatch.undo()
    study = open_study(shop)
    assert summaries.load(study, "scope")["orders"].sum() == 200
    assert not [path for path in Path(shop, "clean").glob(".*") if path.is_dir()]
    engines.close(study.con)
