"""Bring files and folders to the disk, so that what stands under its final name survives a power cut.

The order is always: write, sync the file, rename, sync the folder; what was replaced goes only after that.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_POSIX = os.name == "posix"
_AT_ONCE = 16  # syncs in parallel share the disk's flushes: 25 small files cost little more than one


def sync_file(path: Path) -> None:
    """Return once the content of a file is on the disk."""
    _sync(path, os.O_RDONLY if _POSIX else os.O_RDWR)  # Windows syncs only what can be written


def sync_folder(path: Path) -> None:
    """Return once the names in a folder are on the disk; Windows has no such call."""
    if not _POSIX:
        return
    try:
        _sync(path, os.O_RDONLY)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems can't sync a folder
            raise


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Return once all files below a folder, and their names, are on the disk."""
    folders, files = [folder], []
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            folders.append(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            files.append(Path(entry.path))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(sync_file, files))
        list(pool.map(sync_folder, folders))


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(Path(entry.path))


def replace_folder(new: Path, final: Path, aside: Path) -> None:
    """Give a complete folder, whose files are on the disk, its final name beside it.

    An older folder of that name is set aside and removed once the new one stands. After a crash in between, `new` or
    `aside` is still there, whole: see `ResultsFolder.settle`.
    """
    if final.exists():
        shutil.rmtree(aside, ignore_errors=True)
        final.rename(aside)
    new.rename(final)
    sync_folder(final.parent)
    shutil.rmtree(aside, ignore_errors=True)
