"""Write files atomically, hash them, and find the cache folder, whose content can always be made again."""

import functools
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path

from bench.core.errors import BenchError

MARK = ".part."


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a hidden temporary path beside `path`, with the same suffix; rename it to `path` unless an error is raised.

    A reader never sees half a file, and a process that dies leaves the old file.
    """
    part = path.with_name(f".{secrets.token_hex(4)}{MARK}{path.name}")  # unique to each thread of each machine
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_file(path: Path, content: bytes, advice: str) -> Path:
    """Write a file atomically; make its folder if it doesn't exist.

    Args:
        advice: the last sentence of the error, which says what the user can do.

    Raises:
        BenchError: the file can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as part:
            part.write_bytes(content)
    except OSError as error:
        raise BenchError(f"'{path}' can't be written ({error.strerror or error}). {advice}") from error
    return path


def is_part(path: Path) -> bool:
    """Return whether a file is a temporary one of `write_atomically`: being written, or left by a process that died."""
    return path.name.startswith(".") and MARK in path.name


def file_hash(path: Path | str) -> str:
    """Compute the SHA-256 of a file, in hexadecimal digits; remembered until its time or size changes."""
    path = Path(path).resolve()
    state = path.stat()
    return _file_hash(path, state.st_mtime_ns, state.st_size)


@functools.cache
def _file_hash(path: Path, mtime_ns: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_stamp(path: Path) -> tuple[int, int]:
    """Return a file's size in bytes and its time in ns, by which a change is noticed; (-1, -1) if it is missing."""
    try:
        status = os.stat(path)
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def share(purpose: str, name: str) -> float:
    """Compute a pseudo-random number in [0, 1) from `purpose` and `name` alone: the same on every machine."""
    digest = hashlib.sha256(f"{purpose}:{name}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


VARIABLE = "SEGBENCH_CACHE"


def cache_folder(part: str) -> Path:
    """Return the cache's folder for "packs", "downloads" and so on; make it if needed, or raise BenchError."""
    given = os.environ.get(VARIABLE)
    folder = (Path(given).expanduser() if given else user_cache_path("segbench")) / part
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchError(
            f"The cache folder '{folder}' can't be made ({error.strerror}). Give another one in {VARIABLE}."
        ) from error
    return folder


def check_space(folder: Path, needed: int, what: str) -> None:
    """Raise BenchError if fewer than `needed` bytes are free on the disk of `folder`."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BenchError(
            f"{what} needs {needed / 2**30:.1f} GiB in '{folder}', where {free / 2**30:.1f} GiB are free. "
            f"Make room, or give another cache folder in {VARIABLE}."
        )
