"""Let several processes write and replace the folder of the same predictions: nobody removes another's work."""

import shutil
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = ".lock"  # in an unfinished folder, held by its writer


def restore_former(folder: Path) -> None:
    """Bring the former predictions back if a process was killed just before new ones took their place."""
    if not folder.exists() and former(folder).exists():
        with suppress(OSError), changing(folder):  # a folder that can only be read stays as it is
            settle(folder)


def changing(folder: Path) -> FileLock:
    """Make the lock that is held while folders are removed or renamed."""
    return FileLock(folder.with_name(f".{folder.name}.lock"))


def former(folder: Path) -> Path:
    """Return where the former predictions are between two renames."""
    return folder.with_name(f".{folder.name}.former")


def settle(folder: Path) -> None:
    """End a replacement that was cut short; the lock is held."""
    if not former(folder).exists():
        return
    if folder.exists():
        shutil.rmtree(former(folder), ignore_errors=True)
    else:
        former(folder).rename(folder)


def remove_if_nobodys(part: Path) -> None:
    """Remove an unfinished folder unless the process that writes it still runs."""
    with suppress(Timeout, OSError), FileLock(part / LOCK).acquire(timeout=0):
        shutil.rmtree(part, ignore_errors=True)
