"""The sample shop, cleaned on each engine, and the server that PostgreSQL's copy lies on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from helpers import engines
from helpers.contract.shop import load_shop
from helpers.study import Study, open_study
from tests_engines.server import PASSWORD, Server
from tests_engines.shops import SPARK, SPARK_ARGS, fill, sample_on


@pytest.fixture(scope="session", autouse=True)
def quick_java() -> Iterator[None]:
    """Let Spark start with what suits small tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_SUBMIT_ARGS", SPARK_ARGS)
        yield


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server with the sample's files in its schema ``shop``."""
    started = Server()
    try:
        with psycopg.connect(started.url(), autocommit=True) as connection:
            fill(connection)
        yield started
    finally:
        started.close()


@pytest.fixture(scope="session")
def study_on(tmp_path_factory, request) -> Iterator[Callable[[str], Study]]:
    """Give the sample as of its last complete month, on an engine; opened once."""
    opened: dict[str, Study] = {}
    patch = pytest.MonkeyPatch()

    def study(engine: str) -> Study:
        if engine not in opened:
            url = SPARK if engine == "pyspark" else ""
            if engine == "postgres":
                patch.setenv("LTV_TEST_PASSWORD", PASSWORD)
                url = request.getfixturevalue("server").url("${LTV_TEST_PASSWORD}")
            folder: Path = tmp_path_factory.mktemp(engine) / "sample"
            place = sample_on(folder, engine, url)
            if engine == "pyspark":
                # Java ends with the last connection: one that stays spares a second start.
                engines.connect(load_shop(place))
            opened[engine] = open_study(place)
        return opened[engine]

    yield study
    patch.undo()
