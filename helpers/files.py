"""Files that are replaced whole or not at all, and paths as they are shown."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HELPERS = Path(__file__).resolve().parent


@contextmanager
def replaced(path: Path, *, mode: int | None = None) -> Iterator[Path]:
    """Give an empty file beside ``path`` to write; after the block it stands in its place.

    It is named ``.<name>.part``, is on the disk before it is renamed, and goes away if the block
    breaks off; what the block deletes itself leaves the old file as it is. ``mode`` is who may
    read it, from the first byte on; without it the mode of the old file, or the usual one.
    """
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)  # Of a command that was killed, and with its mode.
    old = path.stat().st_mode & 0o777 if path.exists() else 0o666
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT, old if mode is None else mode))
    try:
        yield part
        if not part.exists():
            return
        if mode is not None:
            part.chmod(mode)
        elif path.exists():
            shutil.copymode(path, part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def code_digest(*parts: str) -> str:
    """Give the digest of modules and packages of helpers, such as ``study.py`` or ``cleaning``.

    It keys what is kept of their results, so that nothing made by older code is taken for today's.
    """
    digest = hashlib.sha256()
    for part in parts:
        path = _HELPERS / part
        for module in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            digest.update(module.read_bytes())
    return digest.hexdigest()


def near(path: Path | str) -> str:
    """Give a path as seen from here where it lies below, else in full."""
    return str(path).removeprefix(os.getcwd() + os.sep)
