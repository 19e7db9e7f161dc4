"""Locks of the monthly run: one run per shop and month, one publisher at a time.

The operating system holds the lock and lets go of it when its process ends, however it ends; the
note beside it says who holds it.
"""

import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from helpers.errors import WorkbookError

PUBLISHING_SECONDS = 300


@contextmanager
def one_run(work: Path, shop: str, month: str) -> Iterator[list[str]]:
    """Hold a shop's month for this process; give notes about a holder that died before.

    Raises WorkbookError, naming the holder, if another process holds it.
    """
    from filelock import FileLock, Timeout

    folder = work / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    note, lock = folder / f"{shop}-{month}.json", FileLock(folder / f"{shop}-{month}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _check_erasing(folder, shop)
        raise WorkbookError(
            f"{shop} {month} is being run by {_holder(note)}. Wait until it is done, or stop it, "
            "and run the same command again."
        ) from None
    try:
        _check_erasing(folder, shop)
        left = f"{shop} {month}: a run by {_holder(note)} did not finish; going on from there"
        notes = [left] if note.exists() else []
        started = datetime.now(UTC).isoformat(timespec="seconds")
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "started": started}
        note.write_text(json.dumps(holder), encoding="utf-8")
        yield notes
    finally:
        note.unlink(missing_ok=True)
        lock.release()


@contextmanager
def no_run(work: Path, shop: str) -> Iterator[None]:
    """Hold all months of a shop, while customers are taken out of it.

    Raises WorkbookError, naming the holder, if a run of any month goes on, or another erasure.
    """
    from filelock import FileLock, Timeout

    folder = work / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    # Held first, and looked at by every run that starts: one of the two sees the other.
    with ExitStack() as held:
        try:
            held.enter_context(FileLock(_erasing(folder, shop), timeout=0))
        except Timeout:
            raise WorkbookError(
                f"Customers of {shop} are being taken out by another process. Wait until it is "
                "done, and run the same command again."
            ) from None
        for lock in sorted(folder.glob(f"{shop}-*.lock")):
            month = lock.stem.removeprefix(f"{shop}-")
            if not re.fullmatch(r"\d{4}-\d{2}", month):
                continue
            try:
                held.enter_context(FileLock(lock, timeout=0))
            except Timeout:
                holder = _holder(lock.with_suffix(".json"))
                raise WorkbookError(
                    f"{shop} {month} is being run by {holder}. Wait until it is done, or stop it, "
                    "and run the same command again."
                ) from None
        yield


def _erasing(folder: Path, shop: str) -> Path:
    return folder / f"{shop}-erasing.lock"


def _check_erasing(folder: Path, shop: str) -> None:
    """Raise WorkbookError if customers are being taken out of the shop right now."""
    from filelock import FileLock, Timeout

    try:
        # Runs of two months may look at the same moment, so one waits for the other.
        with FileLock(_erasing(folder, shop), timeout=5):
            pass
    except Timeout:
        raise WorkbookError(
            f"Customers of {shop} are being taken out of it. Wait until that is done, and run the "
            "same command again."
        ) from None


@contextmanager
def publishing(work: Path) -> Iterator[None]:
    """Hold the right to change reports/; publishing takes moments, so wait for it."""
    from filelock import FileLock, Timeout

    (work / "locks").mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(work / "locks" / "publishing.lock", timeout=PUBLISHING_SECONDS):
            yield
    except Timeout:
        raise WorkbookError(
            f"Another run has been publishing for over {PUBLISHING_SECONDS // 60} minutes. Look "
            "for a python process that hangs, stop it, and run the same command again."
        ) from None


def _holder(note: Path) -> str:
    try:
        holder = json.loads(note.read_text(encoding="utf-8"))
        return f"process {holder['pid']} on {holder['host']} since {holder['started']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
