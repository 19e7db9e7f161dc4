"""Who is behind a pseudonym, and who is to be forgotten: what a shop keeps in ``private/``.

Clean tables and everything made of them hold random pseudonyms; only ``persons.parquet`` leads
from one to the shop's own id. The suppression list holds a keyed digest (HMAC-SHA256) of each
forgotten id, so that it can be applied to files that still hold the id, and read by nobody. Neither
the key nor a pseudonym's making ever stands in a query: both are drawn here.

============== ===================================================================================
persons.parquet customer_id (the shop's own, as cleaned) and pseudonym, one row per person
table_id        names this table of pseudonyms; a new one (the old was lost) has all cleaned anew
key             32 random bytes, hexadecimal: what the suppression list is keyed with
forgotten       the suppression list: one digest a line, sorted
============== ===================================================================================

Imports stay light, so that a run that has nothing to do starts at once.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from helpers import engines
from helpers.contract.settings import Source
from helpers.contract.shop import Shop
from helpers.contract.tables import PERSON_COLUMNS, TABLES
from helpers.errors import DataError
from helpers.files import replaced
from helpers.sources.headers import folded

if TYPE_CHECKING:
    import pyarrow as pa
    from ibis.expr import types as ir

# What stands in a shop's own file in the place of a forgotten id (see helpers.privacy.forget).
FORGOTTEN = "forgotten"
_REDACTED = f"^{FORGOTTEN}(-{FORGOTTEN})*$"
_HEX_DIGITS = 20  # 80 random bits: among ten million persons, two alike once in 24 billion tables
_BATCH_ROWS = 200_000
_OWNER = 0o600
# Columns of other tables that repeat an order's id.
_REFERENCES = ("refund_of", "recovered_order_id")


def folder(shop: Shop) -> Path:
    """Say where a shop's key table and suppression list are kept."""
    return shop.folder / "private"


def to_id(column: "ir.Column") -> "ir.StringColumn":
    """Give a customer's id as cleaning gives it; ids to forget go through the same expression."""
    from helpers.contract import conversions

    return conversions.to_id(column, person=True)


# -- the key table ---------------------------------------------------------------------------


def table_id(shop: Shop) -> str:
    """Give the random id of the shop's key table, making an empty table where there is none.

    It belongs in the name of whatever holds pseudonyms: with another key table they mean nobody.
    """
    place = folder(shop)
    if not _has_table(place):
        with _locked(shop):
            if not _has_table(place):
                # The id goes first and comes last: an old id never names a new, empty table.
                (place / "table_id").unlink(missing_ok=True)
                if not (place / "persons.parquet").is_file():
                    _write_table(place / "persons.parquet", [])
                _write(place / "table_id", secrets.token_hex(16))
    return (place / "table_id").read_text(encoding="ascii").strip()


def pseudonyms(con, shop: Shop, ids: "ir.Table") -> "ir.Table":
    """Give the key table (customer_id, pseudonym), in which every one of ``ids`` now stands.

    ``ids`` has customer_id, distinct and none missing. A known person keeps the pseudonym; a new
    one gets ``p`` and 20 hexadecimal digits from the operating system's source of randomness. The
    table is then written whole, under a lock.
    """
    table_id(shop)
    path = folder(shop) / "persons.parquet"
    ids = ids.select("customer_id")
    if con.execute(ids.anti_join(engines.private(con, path), "customer_id").count()):
        with _locked(shop):
            _add(con, path, ids)
    return engines.private(con, path)


def known(con, shop: Shop) -> "ir.Table":
    """Give the key table: customer_id and pseudonym of everyone who has one."""
    table_id(shop)
    return engines.private(con, folder(shop) / "persons.parquet")


def remove(con, shop: Shop, ids: "ir.Table") -> int:
    """Take persons out of the key table; give how many were in it."""
    path = folder(shop) / "persons.parquet"
    with _locked(shop):
        table = engines.private(con, path)
        found = int(con.execute(table.semi_join(ids, "customer_id").count()))
        if found:
            rest = table.anti_join(ids, "customer_id").order_by("customer_id")
            _write_table(path, con.to_pyarrow_batches(rest, chunk_size=_BATCH_ROWS))
    return found


def _add(con, path: Path, ids: "ir.Table") -> None:
    """Write the table again with a random pseudonym for everyone who has none."""
    import ibis
    import pyarrow as pa
    import pyarrow.compute as pc

    old = engines.private(con, path).select("customer_id", "pseudonym")
    new = ids.anti_join(old, "customer_id").mutate(pseudonym=ibis.null("string"))
    every = ibis.union(old, new, distinct=False).order_by("customer_id")

    def filled() -> Iterator["pa.RecordBatch"]:
        for batch in con.to_pyarrow_batches(every, chunk_size=_BATCH_ROWS):
            given = pc.coalesce(batch.column("pseudonym"), _drawn(batch.num_rows))
            yield pa.record_batch({"customer_id": batch.column("customer_id"), "pseudonym": given})

    _write_table(path, filled())


def _drawn(number: int) -> "pa.StringArray":
    """Draw pseudonyms as one block of random digits, cut into texts without a step per row."""
    import numpy as np
    import pyarrow as pa

    width = 1 + _HEX_DIGITS
    text = np.empty((number, width), dtype=np.uint8)
    text[:, 0] = ord("p")
    digits = secrets.token_bytes(number * _HEX_DIGITS // 2).hex().encode()
    text[:, 1:] = np.frombuffer(digits, dtype=np.uint8).reshape(number, _HEX_DIGITS)
    ends = np.arange(0, (number + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(number, pa.py_buffer(ends), pa.py_buffer(text.tobytes()))


# -- the suppression list --------------------------------------------------------------------


def state(shop: Shop) -> str:
    """Give a digest of the suppression list; without one, that of an empty list."""
    return hashlib.sha256("\n".join(sorted(_listed(shop))).encode()).hexdigest()


def forgotten(con, shop: Shop, ids: "ir.Table") -> "ir.Table | None":
    """Give those of ``ids`` that are on the suppression list; None while the list is empty.

    Ids leave the engine in bounded batches and are compared here: the key never enters a query.
    """
    import pyarrow as pa

    is_listed, found = listed_among(shop), []
    if not is_listed:
        return None
    for batch in con.to_pyarrow_batches(ids.select("customer_id"), chunk_size=_BATCH_ROWS):
        given = batch.column("customer_id").to_pylist()
        found += filter(is_listed, given)
    return engines.frame(con, pa.table({"customer_id": pa.array(sorted(found), pa.string())}))


def suppress(shop: Shop, ids: Iterable[str]) -> int:
    """Put ids (as cleaned) on the suppression list; give how many were not on it yet."""
    with _locked(shop):
        listed, key = _listed(shop), _key(shop)
        every = listed | {_sealed(key, each) for each in ids}
        if every != listed:
            _write(folder(shop) / "forgotten", "".join(f"{line}\n" for line in sorted(every)))
    return len(every) - len(listed)


def _listed(shop: Shop) -> frozenset[str]:
    try:
        return frozenset((folder(shop) / "forgotten").read_text(encoding="ascii").split())
    except FileNotFoundError:
        return frozenset()


def _key(shop: Shop) -> bytes:
    path = folder(shop) / "key"
    if not path.is_file():
        if _listed(shop):
            raise DataError(
                f"{shop.name}: private/key is missing, and without it nobody on the list of "
                "forgotten customers can be recognized. Put it back from a backup; or delete "
                "private/forgotten and forget the same customers again."
            )
        _write(path, secrets.token_hex(32))
    return bytes.fromhex(path.read_text(encoding="ascii").strip())


def _sealed(key: bytes, customer_id: str) -> str:
    return hmac.digest(key, customer_id.encode(), "sha256").hex()


def sealing(shop: Shop) -> Callable[[str], str]:
    """Give what writes the word for an order's id, or another key, that held a forgotten id.

    The same text gives the same word in every file and at every ingest (under the shop's key), and
    different texts different ones: orders stay apart, and payments and refunds find theirs.
    """
    with _locked(shop):
        key = _key(shop)
    return lambda text: f"{FORGOTTEN}-{_sealed(key, f'key {bare(text)}')[:_HEX_DIGITS]}"


def bare(text: str) -> str:
    """Give an id as cleaning does if it is no person's: without blanks and Excel's apostrophe."""
    return re.sub("^' *", "", text.strip())


def listed_among(shop: Shop) -> Callable[[str], bool] | None:
    """Give what says whether an id is on the suppression list; None while the list is empty."""
    listed = _listed(shop)
    if not listed:
        return None
    key = _key(shop)
    return lambda each: _sealed(key, each) in listed


# -- persons in a table ----------------------------------------------------------------------


def composites(shop: Shop, source: Source) -> tuple[str, ...]:
    """Name the columns that shop.toml builds of a person's column of a source, such as order_id.

    Columns that repeat the id of an order so built (``refund_of``) are named too.
    """
    found = _made_of_persons(source)
    if any("order_id" in _made_of_persons(each) for each in shop.sources["orders"]):
        names = (column.name for column in TABLES[source.table].columns)
        found += [name for name in names if name in _REFERENCES]
    return tuple(name for name in dict.fromkeys(found) if name not in PERSON_COLUMNS)


def _made_of_persons(source: Source) -> list[str]:
    parts = {}
    for column in TABLES[source.table].columns:
        names = source.columns.get(column.name, column.name)
        if column.type == "text":
            parts[column.name] = {*map(folded, (names,) if isinstance(names, str) else names)}
    people = set().union(*(parts.get(column, set()) for column in PERSON_COLUMNS))
    return [name for name, names in parts.items() if names & people]


def suppressed(
    con,
    table: "ir.Table",
    shop: Shop,
    *,
    columns: tuple[str, ...] = PERSON_COLUMNS,
    within: tuple[str, ...] = (),
) -> "ir.Table":
    """Take forgotten persons out of a table of ids as cleaned; ``is_forgotten`` marks their rows.

    Their ids become missing, and ``forgotten`` inside the columns ``within`` (see `composites`).
    A row is marked if its customer_id was forgotten, in the list or in the shop's own file.
    """
    import ibis

    present = [column for column in columns if column in table.columns]
    gone = forgotten(con, shop, ids(table, present)) if present else None
    kept = table.columns
    table = table.mutate(is_forgotten=ibis.literal(False))
    for column in present:
        if gone is not None:
            names = gone.select(gone_id=gone.customer_id)
            table = table.left_join(names, table[column] == names.gone_id)
        # A customer_id made of several columns is made of as many such words.
        own = table[column]
        mark = own.startswith(FORGOTTEN) & own.re_search(_REDACTED)
        if gone is not None:
            mark = mark | table.gone_id.notnull()
        mark = mark.fill_null(False)
        new = {
            name: ibis.ifelse(
                mark, _replaced(table[name], own, ibis.literal(FORGOTTEN)), table[name]
            )
            for name in within
        }
        new[column] = ibis.ifelse(mark, ibis.null("string"), own)
        if column == "customer_id":
            new["is_forgotten"] = mark
        table = table.mutate(**new).select(*kept, "is_forgotten")
    return table


def pseudonymized(
    con,
    table: "ir.Table",
    shop: Shop,
    *,
    columns: tuple[str, ...] = PERSON_COLUMNS,
    within: tuple[str, ...] = (),
    names: "ir.Table | None" = None,
) -> "ir.Table":
    """Put pseudonyms in the place of the shop's ids in ``columns``; missing stays missing.

    ``names`` is what `pseudonyms` gave for these ids, where it has been asked already.

    In the columns ``within``, which hold a person's id between dashes (see `composites`), the id
    is replaced wherever it stands as a part of its own, so ids that differed still differ.
    """
    import ibis

    present = [column for column in columns if column in table.columns]
    if not present:
        return table
    if names is None:
        names = pseudonyms(con, shop, ids(table, present))
    kept = table.columns
    for column in present:
        own, new = f"{column}__own", f"{column}__new"
        keys = names.select(**{own: names.customer_id, new: names.pseudonym})
        table = table.left_join(keys, table[column] == keys[own])
        parts = {
            name: ibis.ifelse(
                table[new].isnull(),
                table[name],
                _replaced(table[name], table[column], table[new]),
            )
            for name in within
        }
        table = table.mutate(**{column: table[new]}, **parts).select(*kept)
    return table


def ids(table: "ir.Table", columns: Iterable[str] = ("customer_id",)) -> "ir.Table":
    """Give the distinct ids in columns that hold persons, as customer_id, none missing."""
    import ibis

    parts = [table.select(customer_id=table[column]) for column in columns]
    every = parts[0] if len(parts) == 1 else ibis.union(*parts, distinct=False)
    return every.filter(every.customer_id.notnull()).distinct()


def _replaced(text: "ir.StringColumn", old: "ir.StringColumn", new: "ir.StringColumn"):
    """Replace ``old`` where it stands between dashes in ``text``, or is all of it.

    Dashes are doubled first: neighbors would otherwise share one, and the second not be found.
    """
    found = ("-" + text.replace("-", "--") + "-").replace(
        "-" + old.replace("-", "--") + "-", "-" + new + "-"
    )
    return found.substr(1, found.length() - 2).replace("--", "-")


# -- files -----------------------------------------------------------------------------------


def _has_table(place: Path) -> bool:
    return (place / "table_id").is_file() and (place / "persons.parquet").is_file()


@contextmanager
def _locked(shop: Shop) -> Iterator[None]:
    """Make the folder, for its owner only and not for git, and hold it for this process."""
    place = folder(shop)
    place.mkdir(mode=0o700, exist_ok=True)
    place.chmod(0o700)
    if not (place / ".gitignore").is_file():
        _write(place / ".gitignore", "*\n")
    with FileLock(place / ".lock", mode=0o600):
        yield


def _write(path: Path, text: str) -> None:
    with replaced(path, mode=_OWNER) as part:
        part.write_bytes(text.encode())


def _write_table(path: Path, batches: Iterable["pa.RecordBatch"]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema({"customer_id": pa.string(), "pseudonym": pa.string()})
    with replaced(path, mode=_OWNER) as part, pq.ParquetWriter(part, schema) as writer:
        for batch in batches:
            writer.write_batch(batch.cast(schema))
