"""Forgetting customers: out of the shop's own files, out of every cache, list and page.

Each step can be taken again, and the suppression list comes first: from then on no ingest lets the
customers back in, whatever files come. What breaks off is finished by the same command. Pages and
lists are searched by pseudonym as well, so the key table, which leads to those, is cleared last.

Ids are looked for cell by cell in the tables of the shop (`redaction`), and as words of their own
in all other files (`erasure`): ids too short to be told from other words (purely numeric ones of
fewer than six digits, others of fewer than four characters) there only in columns that are named
after customers.
"""

import csv
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from helpers.contract.settings import Source
from helpers.contract.shop import Shop, load_shop
from helpers.errors import DataError, UsageError, WorkbookError
from helpers.files import replaced
from helpers.persons import keys as persons
from helpers.privacy.erasure import Words, erase, is_text, without_rows
from helpers.privacy.redaction import Gone, redact
from helpers.publishing import publish
from helpers.records import reports_folder, work_folder
from helpers.runs.locks import no_run, publishing

_TABLES = (".parquet", ".pq", ".xlsx")
_OF_A_SHOP = ("runs", "cache", "failed", "lab")
_CACHES = ("clean", "summaries")


@dataclass
class Outcome:
    """What was done, in numbers and names of files; no id and no pseudonym.

    ``redacted`` gives rows by file of the shop's folder, ``outside`` rows by file elsewhere that
    still holds the customers, ``replaced`` places by page or other file, ``unsearched`` the files
    of the shop's folder that could not be searched. ``twins`` counts customers who stay, and whose
    id differs from a forgotten one only in capitals.
    """

    shop: str
    given: int
    newly_listed: int = 0
    known: int = 0
    twins: int = 0
    redacted: dict[str, int] = field(default_factory=dict)
    outside: dict[str, int] = field(default_factory=dict)
    list_rows: int = 0
    replaced: dict[str, int] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    unsearched: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Say in plain lines what was done."""
        said = [
            f"{self.shop}: {self.given} given, {self.known} of them known, {self.newly_listed} new "
            "on the list of those to forget"
        ]
        if self.twins:
            said.append(
                f"still known: {self.twins} whose id differs from one of these only in capitals; "
                "if that is the same person, forget that id as well"
            )
        for name, rows in sorted(self.redacted.items()):
            said.append(f"redacted: {name} ({rows} {'row' if rows == 1 else 'rows'})")
        if self.list_rows:
            said.append(f"taken out of lists: {self.list_rows}")
        for name, places in sorted(self.replaced.items()):
            said.append(f"replaced: {name} ({places} {'place' if places == 1 else 'places'})")
        said += [f"deleted: {name}" for name in self.deleted]
        if self.outside:
            names = ", ".join(sorted(self.outside))
            said.append(
                f"not touched: {len(self.outside)} "
                f"{'file' if len(self.outside) == 1 else 'files'} outside the shop's folder still "
                f"{'holds' if len(self.outside) == 1 else 'hold'} them ({names}); they are kept "
                "out at every ingest, and leaving the file is up to you"
            )
        if self.unsearched:
            said.append(f"could not be searched, look yourself: {', '.join(self.unsearched)}")
        return said


def forget(shop: str, ids_file: str) -> Outcome:
    """Forget the customers whose ids stand in a file; give what was done.

    The file has one id a line, or is a CSV whose column customer_id (else the first) holds them.
    Raises UsageError for a wrong file or shop, WorkbookError while a run of the shop goes on.
    """
    from helpers import engines

    found = load_shop(shop)
    path = _ids_path(found, ids_file)
    con = engines.files(found)
    try:
        ids, written = _read_ids(con, found, path)
        with _alone(found):
            return _forget(con, found, ids, written)
    finally:
        con.disconnect()


def _forget(con, shop: Shop, ids: frozenset[str], written: frozenset[str]) -> Outcome:
    import ibis
    import pyarrow as pa

    table = ibis.memtable(pa.table({"customer_id": pa.array(sorted(ids), pa.string())}))
    done = Outcome(shop=shop.name, given=len(ids))
    # What is to be looked for must be known before anything can break off.
    pairs = persons.known(con, shop).semi_join(table, "customer_id")
    pairs = con.to_pyarrow(pairs).to_pydict()
    met = set(pairs["customer_id"])
    done.twins = _twins(con, shop, table)
    words = Words(frozenset({*ids, *written, *pairs["pseudonym"]}))
    done.newly_listed = persons.suppress(shop, ids)
    _delete_caches(shop, done)
    gone = Gone(con, ids, shop.name, words, persons.sealing(shop))
    met |= _redact_sources(shop, gone, done)
    met |= _clear_folder(shop, gone, words, done)
    _clear_lists(shop, words, done)
    _clear_work(shop, done)
    _clear_reports(shop, words, done)
    persons.remove(con, shop, table)
    done.known = len(met)
    _log(shop, done)
    return done


def _twins(con, shop: Shop, ids) -> int:
    """Count the known customers whose id differs from a forgotten one only in capitals."""
    others = persons.known(con, shop).anti_join(ids, "customer_id")
    folded = ids.select(folded=ids.customer_id.lower()).distinct()
    twins = others.mutate(folded=others.customer_id.lower()).semi_join(folded, "folded")
    return int(con.execute(twins.count()))


# -- what is given ---------------------------------------------------------------------------


def _ids_path(shop: Shop, given: str) -> Path:
    path = Path(given).expanduser().resolve()
    if not path.is_file():
        raise UsageError(f"--ids is '{given}', and there is no such file.")
    for place, name in ((shop.folder, "the shop's folder"), (work_folder(), "work/"),
                        (reports_folder(), "reports/")):  # fmt: skip
        if path.is_relative_to(place.resolve()):
            raise UsageError(
                f"--ids is '{given}', inside {name}: the list would itself hold the customers that "
                "are to be forgotten. Move it elsewhere, and delete it when all is done."
            )
    return path


def _read_ids(con, shop: Shop, path: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Read ids and give them as cleaned, and as they are written."""
    import ibis
    import pyarrow as pa

    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path.name} is not UTF-8 text; save it as UTF-8.") from None
    if "\0" in text:
        raise UsageError(f"{path.name} is not a text file; one id a line is needed, or a CSV.")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = [row for row in csv.reader(text.splitlines(), delimiter=delimiter) if any(row)]
    except csv.Error as error:
        raise UsageError(f"{path.name} is not a CSV that can be read ({error}).") from None
    place, rows = _ids_column(shop, rows)
    written = [row[place] for row in rows if len(row) > place]
    given = ibis.memtable(pa.table({"text": pa.array(written, pa.string())}))
    cleaned = con.to_pyarrow(given.select(id=persons.to_id(given.text))).column("id").to_pylist()
    ids = frozenset(each for each in cleaned if each and each != persons.FORGOTTEN)
    if not ids:
        raise UsageError(
            f"{path.name} holds no id; one customer id a line is needed, or a CSV with a column "
            "customer_id."
        )
    return ids, frozenset(text.strip() for text in written) - {"", persons.FORGOTTEN}


def _ids_column(shop: Shop, rows: list[list[str]]) -> tuple[int, list[list[str]]]:
    """Find the column of ids: one with a customer's name over it, else the first of every row."""
    names = {"customer_id"}
    for table in shop.sources:
        for source in shop.sources[table]:
            found = source.columns.get("customer_id", "customer_id")
            names |= {found} if isinstance(found, str) else set()
    header = [name.strip() for name in rows[0]] if rows else []
    for name in ("customer_id", *sorted(names)):
        if name in header:
            return header.index(name), rows[1:]
    return 0, rows


@contextmanager
def _alone(shop: Shop) -> Iterator[None]:
    """Hold the shop: no run, and nothing being cleaned, until all is done."""
    from filelock import FileLock, Timeout

    with ExitStack() as held:
        held.enter_context(no_run(work_folder(), shop.name))
        clean = shop.folder / "clean"
        clean.mkdir(exist_ok=True)
        try:
            held.enter_context(FileLock(clean / ".lock", timeout=0))
        except Timeout:
            raise WorkbookError(
                f"{shop.name} is being cleaned by another process. Wait until it is done, or stop "
                "it, and run the same command again."
            ) from None
        yield


# -- the steps -------------------------------------------------------------------------------


def _delete_caches(shop: Shop, done: Outcome) -> None:
    """Delete clean tables and summaries; they are made again."""
    from helpers import engines

    clean = shop.folder / "clean"
    made = [*clean.glob("[0-9a-f]*"), *clean.glob(".[0-9a-f]*"), clean / "refused"]
    if clean.is_dir() and shop.engine == "postgres":
        con = engines.connect(shop)
        try:
            for folder in made:
                engines.dropped(con, folder)
        finally:
            engines.close(con)
    for cache in _CACHES:
        _delete(shop.folder / cache, cache, done)


def _redact_sources(shop: Shop, gone: Gone, done: Outcome) -> set[str]:
    """Redact the tables' own files, and count those elsewhere that hold the customers."""
    met, inside = set(), shop.folder.resolve()
    tables = [each.relation for found in shop.sources.values() for each in found if each.relation]
    # What a team keeps in its own database is the team's to clear; the rows stay out of cleaning.
    done.unsearched += [f"table {name}" for name in tables]
    readers: dict[Path, list[Source]] = {}
    for table in shop.sources:
        for source, path in _files(shop, table):
            readers.setdefault(path, []).append(source)
    for table in shop.sources:
        for source, path in _files(shop, table):
            own = path.resolve().is_relative_to(inside)
            others = [each for each in readers[path] if each is not source]
            place = path.resolve() if own else path
            found = redact(place, source, gone, write=own, others=others)
            met |= found.ids
            if found.rows:
                counts, name = (done.redacted, _named(path, inside)) if own else (
                    done.outside, path.name)  # fmt: skip
                counts[name] = counts.get(name, 0) + found.rows
    return met


def _files(shop: Shop, table: str) -> Iterator[tuple[Source, Path]]:
    for source in shop.sources[table]:
        try:
            files = shop.source_files(source)
        except DataError:
            continue  # A file that is gone holds nobody.
        for path in files:
            yield source, path


def _clear_folder(shop: Shop, gone: Gone, words: Words, done: Outcome) -> set[str]:
    """Clear what else lies in the shop's folder: older exports, notes, copies."""
    met, inside = set(), shop.folder.resolve()
    sources = {path.resolve() for table in shop.sources for _, path in _files(shop, table)}
    apart = {inside / name for name in (*_CACHES, "lists", "private")}
    for path in inside.rglob(".*.part"):
        path.unlink()  # Half a file, of a command that was killed.
    for path in sorted(inside.rglob("*")):
        skip = path in sources or path == inside / "shop.toml" or apart & {*path.parents}
        if skip or path.is_symlink() or not path.is_file():
            continue
        name = _named(path, inside)
        if path.name.lower().endswith(_TABLES):
            try:
                found = redact(path, None, gone)
            except DataError:
                done.unsearched.append(name)
                continue
            met |= found.ids
            _count(done.redacted, name, found.rows)
        elif is_text(path):
            _count(done.replaced, name, erase(path, words))
        elif not path.name.lower().endswith((".png", ".jpg", ".jpeg", ".gif", ".lock")):
            done.unsearched.append(name)
    return met


def _clear_lists(shop: Shop, words: Words, done: Outcome) -> None:
    """Take the customers' rows out of every list of customers that was written."""
    for path in sorted((shop.folder / "lists").rglob("*")):
        if path.suffix == ".csv":
            done.list_rows += without_rows(path, words.every)
        if path.is_file():
            _count(done.replaced, _named(path, shop.folder), erase(path, words))


def _clear_work(shop: Shop, done: Outcome) -> None:
    """Delete working copies, results kept for a next run, and what failed runs left."""
    for kind in _OF_A_SHOP:
        _delete(work_folder() / kind / shop.name, f"work/{kind}/{shop.name}", done)


def _clear_reports(shop: Shop, words: Words, done: Outcome) -> None:
    """Search the published pages; a month that is changed stays whole by its manifest."""
    reports = reports_folder()
    with publishing(work_folder()):
        folders = sorted(path for path in (reports / shop.name).glob("*") if path.is_dir())
        for folder in folders:
            manifest = folder / publish.MANIFEST
            paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
            changed = [
                path
                for path in paths
                if path != manifest and _erase_page(path, reports, words, done)
            ]
            if manifest.is_file():
                _count(done.replaced, _named(manifest, reports), erase(manifest, words))
            if changed and manifest.is_file():
                _restate(manifest, changed)
        if (reports / "index.html").is_file():
            _erase_page(reports / "index.html", reports, words, done)


def _erase_page(path: Path, reports: Path, words: Words, done: Outcome) -> int:
    found = erase(path, words)
    _count(done.replaced, f"reports/{_named(path, reports)}", found)
    return found


def _restate(manifest: Path, changed: list[Path]) -> None:
    """Write the digests of changed pages into their manifest."""
    content = publish.read_manifest(manifest.parent)
    if content and content.get("files"):
        for path in changed:
            name = path.relative_to(manifest.parent).as_posix()
            if name in content["files"]:
                content["files"][name] = publish.file_digest(path)
        text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        with replaced(manifest) as part:
            part.write_text(text, encoding="utf-8", newline="\n")


def _log(shop: Shop, done: Outcome) -> None:
    """Add a line to the log: when, and the numbers; no id."""
    path = persons.folder(shop) / "forget.log"
    line = {"when": datetime.now(UTC).isoformat(timespec="seconds"), **asdict(done)}
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as file:
        file.write(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n")


def _delete(folder: Path, name: str, done: Outcome) -> None:
    """Delete what is in a folder; a lock that is held stays until it is let go."""
    if not folder.is_dir():
        return
    found = [path for path in folder.iterdir() if path.name != ".lock"]
    for path in found:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    if found:
        done.deleted.append(name)


def _count(counts: dict[str, int], name: str, number: int) -> None:
    if number:
        counts[name] = counts.get(name, 0) + number


def _named(path: Path, inside: Path) -> str:
    """Name a file from a folder on, without ids that its name may hold."""
    given = path.resolve()
    name = given.relative_to(inside.resolve()) if given.is_relative_to(inside.resolve()) else given
    return re.sub(r"[\x00-\x1f]", " ", str(name if name != given else given.name))
