"""Write files atomically, hash them, and keep answers in the cache folder, whose content can always be made again."""

import functools
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from filelock import FileLock
from platformdirs import user_cache_path

from bench.core.durable import sync_file, sync_folder
from bench.core.errors import BenchError

MARK = ".part."
_LONGEST_PART = 80  # characters


@contextmanager
def write_atomically(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Yield a hidden temporary path beside `path`, with the same suffix; rename it to `path` unless an error is raised.

    A reader never sees half a file, and a process that dies leaves the old file.

    Args:
        sync: bring the file to the disk before the rename and the rename after it, so that a power cut leaves a whole
            file, too. It costs milliseconds; without it for what is made again or soon replaced.
    """
    part = path.with_name(f".{secrets.token_hex(4)}{MARK}{path.name}")  # unique to each thread of each machine
    try:
        yield part
        if sync:
            sync_file(part)
        part.replace(path)
        if sync:
            sync_folder(path.parent)
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


def check_can_write(folder: Path, advice: str) -> None:
    """Raise BenchError unless a folder can be written to, or could be made; nothing stays behind.

    Args:
        advice: the last sentence of the error, which says what the user can do.
    """
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        what = "written to" if place == folder.absolute() else "made"
        raise BenchError(f"The folder '{folder}' can't be {what} ({error.strerror}: '{place}'). {advice}") from error


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


Stamp = tuple[int, int, int]  # size in bytes, time in ns and time of the last change in ns, which nobody can set back
_stamps: ContextVar[Mapping[str, Stamp] | None] = ContextVar("stamps", default=None)


@contextmanager
def stamps_known(stamps: Mapping[str, Stamp]) -> Iterator[None]:
    """Take stamps by path from what was seen a moment ago inside the context, so that the disk isn't asked again."""
    token = _stamps.set(stamps)
    try:
        yield
    finally:
        _stamps.reset(token)


def full_stamp(path: Path) -> Stamp:
    """Return a file's stamp, by which any change is noticed; (-1, -1, -1) if it is missing."""
    known = _stamps.get()
    if known and (found := known.get(os.fspath(path))):
        return found
    try:
        status = os.stat(path)
    except OSError:
        return -1, -1, -1
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def file_stamp(path: Path) -> tuple[int, int]:
    """Return a file's size in bytes and its time in ns, which its copies have too; (-1, -1) if it is missing."""
    return full_stamp(path)[:2]


def utf8(text: str) -> bytes:
    """Encode a text, also one with lone surrogates, by which Python stands for the bytes of a name that isn't UTF-8."""
    return text.encode("utf-8", "surrogatepass")


def printable(name: str) -> str:
    """Write each byte of a name that isn't UTF-8 as `\\xdf`, so that libraries which know only UTF-8 can hold it."""
    return re.sub("[\ud800-\udfff]", lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", name)


def name_part(text: str) -> str:
    """Make a text a part of a file's name: each run of special characters becomes `-`, and a long text is cut."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text)[:_LONGEST_PART]


def text_hash(text: str) -> str:
    """Compute the SHA-256 of a text, in hexadecimal digits."""
    return hashlib.sha256(utf8(text)).hexdigest()


def share(purpose: str, name: str) -> float:
    """Compute a pseudo-random number in [0, 1) from `purpose` and `name` alone: the same on every machine."""
    digest = hashlib.sha256(utf8(f"{purpose}:{name}")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


VARIABLE = "SEGBENCH_CACHE"
ANOTHER_CACHE = f"Give another cache folder in {VARIABLE}."


def cache_path(part: str) -> Path:
    """Return the cache's folder for "packs", "downloads" and so on, whether or not it exists."""
    given = os.environ.get(VARIABLE)
    try:
        return (Path(given).expanduser() if given else user_cache_path("segbench")) / part
    except RuntimeError as error:  # of `~name`, or of a user without a home
        raise BenchError(f"The cache folder '{given or '~'}' can't be found ({error}). {ANOTHER_CACHE}") from error


def cache_folder(part: str) -> Path:
    """Return one of the cache's folders; make it if needed, or raise BenchError."""
    folder = cache_path(part)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchError(
            f"The cache folder '{folder}' can't be made ({error.strerror}). Give another one in {VARIABLE}."
        ) from error
    return folder


class UnwritableCache(BenchError):
    """A file of the cache that is needed can't be written."""

    def __init__(self, path: Path, error: OSError):
        super().__init__(f"'{path}' can't be written ({error.strerror or error}). {ANOTHER_CACHE}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file or folder of the cache, which is `PATH.lock`; raise UnwritableCache if it can't be made.

    An OSError of what is written meanwhile becomes UnwritableCache too.
    """
    lock = FileLock(f"{path}.lock")
    try:
        with lock:
            yield
    except OSError as error:
        raise UnwritableCache(path, error) from error


def answer_path(part: str, question: str) -> Path:
    """Return the file of an answer in one of the cache's folders; `question` says all that the answer depends on."""
    return cache_path(part) / f"{text_hash(question)[:24]}.json"


def recall(path: Path) -> Any:
    """Return the answer in a file of the cache; None if there is none, or if the file is damaged."""
    try:
        return json.loads(path.read_bytes())["answer"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def remember(path: Path, answer: Any) -> None:
    """Keep an answer, which JSON must be able to hold. If the cache can't be written, it is made again next time."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path, sync=False) as part:
            part.write_bytes(json.dumps({"answer": answer}).encode())


def cached(part: str, question: str, make: Callable[[], Any]) -> Any:
    """Return the cache's answer to a question; make it and keep it if there is none or it is damaged."""
    path = answer_path(part, question)
    answer = recall(path)
    if answer is None:
        answer = make()
        remember(path, answer)
    return answer


class NoRoom(BenchError):
    """A disk has too little space left for what shall be written; `reason` says so with sizes, without advice."""

    def __init__(self, reason: str, advice: str = ""):
        super().__init__(f"{reason} Make room, or give another cache folder in {VARIABLE}. {advice}".rstrip())
        self.reason = reason


def check_space(folder: Path, needed: int, what: str, advice: str = "") -> None:
    """Raise NoRoom, with more advice if there is any, if fewer than `needed` bytes are free where `folder` is."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        sizes = f"needs {needed / 2**30:.1f} GiB in '{folder}', where {free / 2**30:.1f} GiB are free."
        raise NoRoom(f"{what} {sizes}", advice)
