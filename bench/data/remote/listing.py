"""List an address into a tree of stubs: empty files with the names and sizes of its files, and times of their versions.

A listing that is interrupted goes on where it was: what its folders tell at once is listed again, but a file whose size
had to be asked for, as by HTTP, isn't asked for twice.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import TypeVar

from bench.core.errors import BenchError
from bench.core.files import UnwritableCache
from bench.data.facts.long_steps import report
from bench.data.remote.asking import AT_ONCE, Connection
from bench.data.remote.entry import Entry, plain
from bench.data.remote.failures import Unreachable
from bench.data.remote.patience import threads

Item = TypeVar("Item")
Result = TypeVar("Result")
INDEX = "index.txt"  # lists the files of a web server that has no pages with links
_DEEPEST = 32  # folders in each other; more are a page that leads to itself
_HIDDEN = "."
_LATEST = 10**9  # seconds, of the times that stand for versions


def list_address(connection: Connection, tree: Path) -> int:
    """List all files of an address into a folder, which may have stubs of an interrupted listing; count them.

    Raises:
        BenchError: the address has no files, or doesn't tell which; or a size isn't known.
    """
    connection.system.invalidate_cache()  # of an earlier listing
    unknown: list[str] = []
    names = set[str]()
    for entry in _files(connection):
        names.add(entry.name)
        if entry.size is None:
            unknown.append(entry.name)
        else:
            write_stub(tree / entry.name, entry.size, entry.version)
        if len(names) % AT_ONCE == 0:
            report(f"listing {connection.address}: {len(names):,} files", 0, 0)
    if not names:
        raise BenchError(_nothing(connection, "it lists no files"))
    _look(connection, tree, unknown)
    for path in tree.rglob("*"):  # of an earlier listing
        if path.is_file() and path.relative_to(tree).as_posix() not in names:
            path.unlink()
    return len(names)


def _look(connection: Connection, tree: Path, names: list[str]) -> None:
    """Ask for the size of each file that has no stub yet."""
    missing = [name for name in names if not (tree / name).exists()]
    done = len(names) - len(missing)
    what = f"asking for sizes at {connection.address}"
    report(what, done, len(names))
    for entry in at_once(connection.look, missing):
        if entry.size is None:
            raise BenchError(
                f"'{connection.shown(entry.name)}': its server doesn't tell its size, without which nothing shows "
                "whether it comes whole. Take a server that does, or copy the data here."
            )
        write_stub(tree / entry.name, entry.size, entry.version)
        done += 1
        if done % AT_ONCE == 0 or done == len(names):
            report(what, done, len(names))


def write_stub(path: Path, size: int, version: str) -> None:
    """Make an empty file of a size, which takes no room; its time follows from the version."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.truncate(size)
        seconds = int.from_bytes(hashlib.blake2b(version.encode(), digest_size=6).digest()) % _LATEST
        os.utime(path, (seconds, seconds))
    except (OSError, OverflowError) as error:
        path.unlink(missing_ok=True)
        raise UnwritableCache(path, error if isinstance(error, OSError) else OSError(str(error))) from error


def at_once(work: Callable[[Item], Result], items: list[Item]) -> Iterator[Result]:
    """Apply a function to all items in threads."""
    with threads(AT_ONCE) as pool:
        yield from pool.map(work, items)


def _files(connection: Connection) -> Iterator[Entry]:
    """Go through all files, folder by folder; hidden ones are left out, as no data set has any."""
    try:
        level = connection.entries()
    except Unreachable:
        raise
    except (BenchError, OSError) as error:
        if not connection.is_web:
            raise BenchError(_nothing(connection, _reason(error))) from None
        level, reason = [], _reason(error)
    else:
        reason = "it lists no files"
    if not level and connection.is_web:
        yield from _index(connection, reason)
        return
    for _ in range(_DEEPEST):
        level = [entry for entry in level if not PurePosixPath(entry.name).name.startswith(_HIDDEN)]
        yield from (entry for entry in level if not entry.is_folder)
        folders = [entry.name for entry in level if entry.is_folder]
        level = [entry for found in at_once(connection.entries, folders) for entry in found]
    if level:
        raise BenchError(f"'{connection.shown(level[0].name)}': more than {_DEEPEST} folders lie in each other. Give "
                         "the folder of one data set.")  # fmt: skip


def _index(connection: Connection, reason: str) -> Iterator[Entry]:
    """Take the files from a list beside them."""
    try:
        text = connection.read(INDEX).decode("utf-8-sig")
    except Unreachable:
        raise
    except (BenchError, OSError, UnicodeDecodeError):
        raise BenchError(_nothing(connection, reason)) from None
    for number, line in enumerate(text.splitlines(), 1):
        name = line.strip().removeprefix("./")
        if name and not all(map(plain, name.split("/"))):
            raise BenchError(f"{connection.shown(INDEX)}, row {number}: '{line.strip()[:80]}' is no path below it.")
        if name not in ("", INDEX) and f"/{_HIDDEN}" not in f"/{name}":
            yield Entry(name, is_folder=False)


def _reason(error: Exception) -> str:
    return "it is missing" if isinstance(error, FileNotFoundError) else str(error).partition(": ")[2] or str(error)


def _nothing(connection: Connection, reason: str) -> str:
    accepted = (
        f"Accepted are folders whose pages link to their files, as of http.server, nginx with autoindex, or Apache; or "
        f"a file {INDEX} there with a path in each line (find . -type f > {INDEX})."
        if connection.is_web
        else "Give the address of a folder with files, or of an archive as zip::ADDRESS."
    )
    return f"'{connection.address}' can't be listed: {reason.rstrip('.')}. {accepted}"
