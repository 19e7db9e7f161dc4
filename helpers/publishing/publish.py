"""Put a finished month in its place, all or nothing, whatever happens on the way.

A month is staged beside its target, on the same disk. Its manifest.json is written last and
synced, so a stage with a manifest is whole. Then two renames put it in place:

    .staging-M is whole   ->   M becomes .previous-M   ->   .staging-M becomes M   ->   delete

Whoever reads the folder sees the earlier month or the new one, never a mixture. After a crash or
a kill the next run calls ``recover`` first. Callers hold the publishing lock (`helpers.runs`).
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from helpers.errors import WorkbookError
from helpers.records import digest
from helpers.runs.keys import page_code_digest, result_code_digest

MANIFEST = "manifest.json"
_MONTH = re.compile(r"\d{4}-\d{2}")


def publish(build: Path, *, reports: Path, shop: str, month: str, manifest: dict) -> Path:
    """Publish the files of a build folder as a shop's month; give the month's folder.

    The manifest gains ``files``: the sha256 of every published file by its relative path.
    Raises WorkbookError if the folder cannot be exchanged (a file of it is open on Windows, a
    full disk); the earlier version is then in its place again.
    """
    folder = reports / shop
    stage = folder / f".staging-{month}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        recover(reports, shop)
        _remove(stage)
        files = _stage(build, stage)
        _write(stage / MANIFEST, _json(manifest | {"files": files}))
        _exchange(folder, month)
    except OSError as error:
        _undo(folder, month)
        raise WorkbookError(
            f"{shop} {month} could not be published: {error.strerror or error}. Close the programs "
            "that have its files open, check the free space, and run the same command again."
        ) from error
    return folder / month


def recover(reports: Path, shop: str) -> list[str]:
    """Finish or undo publishes that were interrupted; say in words what was done.

    M is the month, S its stage, P its previous version. A folder is whole if its manifest and
    every file that it lists are there with the recorded digests.

    | S     | M      | P      | interrupted                          | what is done                |
    |-------|--------|--------|--------------------------------------|-----------------------------|
    | half  | any    | none   | while staging                        | delete S                    |
    | whole | any    | none   | before the first rename              | M to P, S to M, delete P    |
    | whole | none   | any    | between the renames                  | S to M, delete P            |
    | none  | whole  | any    | while deleting P                     | delete P                    |
    | none  | none   | whole  | M was removed by something else      | P to M                      |
    | none  | damaged| whole  | M was damaged by something else      | delete M, P to M            |
    | none  | none   | half   | likewise, P already partly deleted   | delete P                    |
    | whole | any    | any    | a second publish after a lost one    | delete P, then as row two   |

    With a half S it is deleted first, and what follows is as with none.
    Deleting starts with the manifest, so a folder that is partly deleted is never taken for whole.
    """
    folder, done = reports / shop, []
    for month in _interrupted(folder):
        stage, target = folder / f".staging-{month}", folder / month
        previous = folder / f".previous-{month}"
        if is_whole(stage):
            if target.exists():
                _remove(previous)
            _exchange(folder, month)
            done.append(f"finished publishing {shop} {month}, which had been interrupted")
            continue
        if stage.exists():
            _remove(stage)
            done.append(f"removed a half-made {shop} {month}; it had not been published")
        if previous.exists() and is_whole(previous) and not is_whole(target):
            _remove(target)
            _rename(previous, target)
            done.append(f"restored the earlier version of {shop} {month}")
        _remove(previous)
    return done


def is_whole(folder: Path) -> bool:
    """Say whether a folder holds everything that its manifest lists, byte for byte."""
    manifest = read_manifest(folder)
    if not isinstance(manifest, dict) or not manifest.get("files"):
        return False
    return all(
        (folder / name).is_file() and file_digest(folder / name) == expected
        for name, expected in manifest["files"].items()
    )


def read_manifest(folder: Path) -> dict | None:
    """Read the manifest of a published month, or give None if there is none that can be read."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None


def file_digest(path: Path) -> str:
    """Give the sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifests(reports: Path) -> dict[tuple[str, str], dict]:
    """Read the manifests of all published months, by (shop, month), in order."""
    found = {}
    for path in sorted(reports.glob(f"*/*/{MANIFEST}")):
        manifest = read_manifest(path.parent)
        shop, month = path.parent.parent.name, path.parent.name
        if manifest and _MONTH.fullmatch(month) and not shop.startswith("."):
            found[shop, month] = manifest
    return found


def records_digest(manifest: dict | None) -> str:
    """Give one digest for all records of a published month; empty if it is not published."""
    return digest(manifest["records"]) if manifest and manifest.get("records") else ""


def stale_because(published: dict[tuple[str, str], dict], shop: str, month: str) -> list[str]:
    """Name the earlier months that changed since a month was published (or came after it).

    A month is stale if the records of an earlier month that it was compared with are no longer
    those in its manifest. Its files stay as they are; running it again mends it.
    """
    earlier = published[shop, month].get("earlier", {})
    return [
        name
        for name, known in sorted(earlier.items())
        if known != records_digest(published.get((shop, name)))
    ]


def rebuild_home(reports: Path) -> bool:
    """Write reports/index.html anew from the manifests alone; say whether it changed.

    The page carries a digest of what it was made from, so an unchanged one costs no rendering.
    """
    published, page = manifests(reports), reports / "index.html"
    if not published and not page.exists():
        return False
    entries = [_entry(published, *key) for key in published]
    marker = f"<!-- made from {digest([entries, page_code_digest(), result_code_digest()])} -->"
    if page.exists() and marker in page.read_text(encoding="utf-8"):
        return False
    from helpers.publishing.indexes import render_home

    fresh = page.with_name(".index.html.new")
    _write(fresh, f"{render_home(entries).rstrip()}\n{marker}\n".encode())
    _rename(fresh, page)
    return True


def _entry(published: dict, shop: str, month: str) -> dict:
    manifest = published[shop, month]
    return {
        "shop": shop,
        "title": manifest.get("title", shop),
        "month": month,
        "href": f"{shop}/{month}/index.html",
        "headline": manifest.get("headline", []),
        "currency": manifest.get("currency", ""),
        "alerts": len(manifest.get("alerts", [])),
        "stale": bool(stale_because(published, shop, month)),
        "stale_because": stale_because(published, shop, month),
    }


def _stage(build: Path, stage: Path) -> dict[str, str]:
    files = {}
    for name in _names(build):
        target = stage / name
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, (build / name).read_bytes())
        files[name] = file_digest(target)
    for folder in sorted({(stage / name).parent for name in files}, reverse=True):
        _sync_folder(folder)
    return files


def _exchange(folder: Path, month: str) -> None:
    """Put the stage in the place of the month."""
    stage, target = folder / f".staging-{month}", folder / month
    previous = folder / f".previous-{month}"
    if target.exists():
        _rename(target, previous)
    _rename(stage, target)
    # The month is published; what cannot be deleted now (open on Windows) goes at the next start.
    with suppress(OSError):
        _remove(previous)


def _undo(folder: Path, month: str) -> None:
    """Take a failed publish back, so that no later start finishes what was called a fault."""
    target, previous = folder / month, folder / f".previous-{month}"
    with suppress(OSError):
        _remove(folder / f".staging-{month}")
    with suppress(OSError):
        if previous.exists() and not target.exists():
            _rename(previous, target)


def _interrupted(folder: Path) -> list[str]:
    names = [path.name for path in folder.glob(".*-????-??")] if folder.is_dir() else []
    marks = (re.fullmatch(r"\.(?:staging|previous)-(\d{4}-\d{2})", name) for name in names)
    return sorted({mark[1] for mark in marks if mark})


def _names(folder: Path) -> Iterator[str]:
    paths = sorted(folder.rglob("*"))
    names = (path.relative_to(folder).as_posix() for path in paths if path.is_file())
    return (name for name in names if name != MANIFEST)


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _rename(source: Path, target: Path) -> None:
    os.replace(source, target)
    _sync_folder(target.parent)


def _remove(folder: Path) -> None:
    if folder.exists():
        (folder / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(folder)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows neither needs nor allows a folder to be synced.
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
