"""The sample shop, cleaned on each engine, and the server that PostgreSQL's copy lies on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from helpers.study import Study, open_study
from tests_engines.server import PASSWORD, Server
from tests_engines.shops import fill, sample_on

SPARK = "local[2]"
# For tables this small the best code costs more to make than it saves.
_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_SPARK_ARGS = (
    f"--driver-java-options '{_JAVA}' --conf spark.sql.codegen.wholeStage=false "
    "--conf spark.sql.adaptive.enabled=false pyspark-shell"
)


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
    patch.setenv("PYSPARK_SUBMIT_ARGS", _SPARK_ARGS)

    def study(engine: str) -> Study:
        if engine not in opened:
            url = SPARK if engine == "pyspark" else ""
            if engine == "postgres":
                patch.setenv("LTV_TEST_PASSWORD", PASSWORD)
                url = request.getfixturevalue("server").url("${LTV_TEST_PASSWORD}")
            folder: Path = tmp_path_factory.mktemp(engine) / "sample"
            opened[engine] = open_study(sample_on(folder, engine, url))
        return opened[engine]

    yield study
    patch.undo()
