"""Read and write in a folder that others may have made: files and folders only, never links, FIFOs or devices.

A link may lead to any file of this machine, and a FIFO makes its reader wait for ever.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.core.errors import BenchError

_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
MIB = 2**20


def odd_kind(path: Path | str) -> str:
    """Return "a link", "a FIFO", "a socket" or "a device"; empty for a file, a folder and what can't be looked at."""
    try:
        return _KINDS.get(stat.S_IFMT(os.lstat(path).st_mode), "")
    except (OSError, ValueError):
        return ""


def is_file(path: Path) -> bool:
    """Return whether there is a file itself, not a link to one; False also if the disk can't tell."""
    return os.path.isfile(path) and not odd_kind(path)


def is_folder(path: Path) -> bool:
    """Return whether there is a folder itself, not a link to one; False also if the disk can't tell."""
    return os.path.isdir(path) and not odd_kind(path)


def is_there(path: Path) -> bool:
    """Return whether there is anything; raise BenchError if the disk can't tell, which must not be taken for no."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise BenchError(f"{path.parent.name}: {path.name} can't be read ({error.strerror}).") from error
    return True


def require_file(path: Path | str, most: int | None = None, *, links: bool = False) -> None:
    """Raise OSError, with the reason as `strerror`, unless there is a file of at most `most` bytes.

    Args:
        links: whether a link to a file will do, since the user has named it.
    """
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "a path has no NUL", str(path))
    state = os.stat(path) if links else os.lstat(path)
    kind = stat.S_IFMT(state.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if kind != stat.S_IFREG:
        raise OSError(errno.EINVAL, f"it is {_KINDS.get(kind, 'no file')}", str(path))
    if most is not None and state.st_size > most:
        size, limit = (f"{count / MIB:,.1f}" for count in (state.st_size, most))
        raise OSError(errno.EFBIG, f"it has {size} MiB, and more than {limit} are never read", str(path))


def read_file(path: Path, most: int, *, links: bool = False) -> bytes:
    """Read a file; raise OSError as `require_file` does."""
    require_file(path, most, links=links)
    return path.read_bytes()


def remove(path: Path) -> None:
    """Remove whatever is there, if anything: a file, a link, a FIFO, or a folder with all that is in it."""
    if is_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def odd_names(folder: str, names: Iterable[str]) -> set[str]:
    """Return those of a folder's names that are no files and no folders; for the `ignore` of `shutil.copytree`."""
    return {name for name in names if odd_kind(os.path.join(folder, name))}


def list_odd(folder: Path, inner: Iterable[str] = ()) -> list[str]:
    """Describe what in a folder is no file and no folder, such as "log.txt is a link".

    Args:
        inner: names of folders in it that are looked into as well.
    """
    found = []
    for part in (folder, *(folder / name for name in inner)):
        if not is_folder(part):
            continue
        with os.scandir(part) as entries:
            odd = sorted(
                e.path for e in entries if not (e.is_file(follow_symlinks=False) or e.is_dir(follow_symlinks=False))
            )
        found += [f"{os.path.relpath(path, folder)} is {odd_kind(path) or 'no file'}" for path in odd]
    return found


def check_inside(root: Path, path: Path, advice: str) -> None:
    """Raise BenchError if `path`, or a folder on the way from `root` to it, is a link or anything but a folder or file.

    `root` itself may be a link: the user has named it.
    """
    way = [part for part in (path, *path.parents) if part != root and part.is_relative_to(root)]
    for part in reversed(way):
        if kind := odd_kind(part):
            raise BenchError(f"'{part}' is {kind}, through which nothing is written. Remove it, or {advice}")


def require_plain(folder: Path) -> None:
    """Raise BenchError as `walk` does, if a data set's folder is a FIFO or the like, or has one below it."""
    for _ in walk(folder):
        pass


def walk(folder: Path) -> Iterator[tuple[str, os.stat_result | None]]:
    """Yield a data set's folder and all paths below it, each with the state of what it leads to; None if that's gone.

    Links are followed, as the readers do, but each folder is looked into once.

    Raises:
        BenchError: one is a FIFO or the like: its reader may wait for ever.
    """
    left, seen = [os.fspath(folder)], set()
    while left:
        place = left.pop()
        state = _state(place)
        _refuse_odd(place, state)
        if state is None or (state.st_dev, state.st_ino) in seen:
            continue
        seen.add((state.st_dev, state.st_ino))
        yield place, state
        try:
            with os.scandir(place) as found:
                names = [entry.path for entry in found]
        except OSError:  # the data set's own reader says what is wrong
            continue
        for path in names:
            state = _state(path)
            if state is not None and stat.S_ISDIR(state.st_mode):
                left.append(path)
            else:
                _refuse_odd(path, state)
                yield path, state


def _state(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def _refuse_odd(path: str, state: os.stat_result | None) -> None:
    if state is not None and (kind := _KINDS.get(stat.S_IFMT(state.st_mode))):
        raise BenchError(f"'{path}' is {kind}, and a data set has files and folders only. Take it out.")
