"""The sample shop on each engine: the same files, or the same rows in tables of a server."""

import csv
from pathlib import Path

from helpers.contract.shop import ROOT

SAMPLE = ROOT / "data" / "sample"
SPARK = "local[2]"
# For tables this small the best code costs more to make than it saves.
SPARK_ARGS = (
    "--driver-java-options '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC' "
    "--conf spark.sql.codegen.wholeStage=false --conf spark.sql.adaptive.enabled=false "
    "pyspark-shell"
)


def sample_on(folder: Path, engine: str, url: str = "") -> str:
    """Make a copy of the sample shop that runs on an engine; give its folder."""
    folder.mkdir(parents=True)
    text = (SAMPLE / "shop.toml").read_text(encoding="utf-8")
    settings = f'engine = "{engine}"\n'
    settings += f'url = "{url}"\nschema = "ltv_sample"\n' * bool(url) if engine == "postgres" else (
        f'url = "{url}"\n' * bool(url))  # fmt: skip
    for path in SAMPLE.glob("*.csv"):
        if engine == "postgres":
            text = text.replace(
                f'files = "{path.name}"', f'table = "shop.{path.stem}"\norder = "n"'
            )
        else:
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / "shop.toml").write_text(settings + text, encoding="utf-8")
    return str(folder)


def fill(connection) -> None:
    """Load the sample's files into tables of text, their rows numbered."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA shop; CREATE SCHEMA ltv_sample")
        for path in sorted(SAMPLE.glob("*.csv")):
            with path.open(encoding="utf-8", newline="") as file:
                header, *rows = csv.reader(file)
            columns = ", ".join(f'"{name}" text' for name in header)
            cursor.execute(f'CREATE TABLE shop."{path.stem}" (n bigint, {columns})')
            with cursor.copy(f'COPY shop."{path.stem}" FROM STDIN') as copy:
                for number, row in enumerate(rows, 1):
                    copy.write_row([number, *(each or None for each in row)])
