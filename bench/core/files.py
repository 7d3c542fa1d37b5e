"""Files that are written whole: a reader never sees half of one, and a process that dies leaves the old one."""

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
def whole(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, hidden and with the same suffix, renamed to `path` if the context ends well."""
    part = path.with_name(f".{secrets.token_hex(4)}{MARK}{path.name}")  # its own in every thread of every machine
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def is_part(path: Path) -> bool:
    """Whether a file is one that is being written, or that a process which died has left."""
    return path.name.startswith(".") and MARK in path.name


def file_hash(path: Path | str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits; kept until its time or size changes."""
    path = Path(path).resolve()
    state = path.stat()
    return _file_hash(path, state.st_mtime_ns, state.st_size)


@functools.cache
def _file_hash(path: Path, mtime_ns: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def share(purpose: str, name: str) -> float:
    """A number in [0, 1) that is even over names, independent between purposes and the same on every machine."""
    digest = hashlib.sha256(f"{purpose}:{name}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


VARIABLE = "SEGBENCH_CACHE"


def cache_folder(part: str) -> Path:
    """The folder for "packs", "downloads" and so on, made if it does not exist; BenchError when it can't be made."""
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
    """BenchError when less than `needed` bytes are free where `folder` stands."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BenchError(
            f"{what} needs {needed / 2**30:.1f} GiB in '{folder}', where {free / 2**30:.1f} GiB are free. "
            f"Make room, or give another cache folder in {VARIABLE}."
        )
