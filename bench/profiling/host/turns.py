"""Take turns at this machine: trials work beside each other, but each measures alone (`--measure-alone`).

A trial that works holds a lock together with the others. One that is to measure closes a gate and waits until the
others have let go: they look at the gate between two blocks of steps or batches (`give_way`), and wait before it. The
locks are the system's, which end with their process however it ends, so that nobody waits for the dead.

This covers the trials of one user on one machine that were given the option, whichever run they belong to.
"""

import contextlib
import platform
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

from bench.core.errors import BenchError
from bench.core.files import UnwritableCache, cache_folder, name_part

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

Waiting = Callable[[], AbstractContextManager[None]]  # makes what is entered while a trial waits


class Turns:
    """A trial's part in the turns at a machine; it works from its making on.

    Args:
        folder: the place of the locks, the same for all trials of the machine.
        waiting: entered whenever the trial has to wait.
    """

    def __init__(self, folder: Path, waiting: Waiting = contextlib.nullcontext):
        if fcntl is None:
            raise BenchError("--measure-alone needs the file locks of Linux or macOS. Leave it out on this system.")
        self.waiting = waiting
        self._gate, self._machine = _opened(folder / "gate"), _opened(folder / "machine")
        self._works = True
        self._work()

    def give_way(self) -> None:
        """Pause while another trial measures or waits to do so; call it where nothing is timed."""
        if not self._works:
            return
        if _taken(self._gate, fcntl.LOCK_SH):
            fcntl.flock(self._gate, fcntl.LOCK_UN)
        else:
            fcntl.flock(self._machine, fcntl.LOCK_UN)
            self._work()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Have the machine alone inside; after it the trial is about to end and gives way no more."""
        self._works = False
        fcntl.flock(self._machine, fcntl.LOCK_UN)
        try:
            self._take(self._gate, fcntl.LOCK_EX)
            self._take(self._machine, fcntl.LOCK_EX)
            yield
        finally:
            self.close()

    def close(self) -> None:
        """Take part no more."""
        self._works = False
        for file in (self._machine, self._gate):  # closed, they are free
            file.close()

    def _work(self) -> None:
        """Wait until the gate is open, then work beside others."""
        self._take(self._gate, fcntl.LOCK_SH)
        self._take(self._machine, fcntl.LOCK_SH)
        fcntl.flock(self._gate, fcntl.LOCK_UN)

    def _take(self, file: BinaryIO, how: int) -> None:
        if not _taken(file, how):
            with self.waiting():
                fcntl.flock(file, how)


def _taken(file: BinaryIO, how: int) -> bool:
    """Take a lock if that is possible without waiting; return whether it was."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _opened(path: Path) -> BinaryIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")
    except OSError as error:
        raise UnwritableCache(path, error) from error


_turns: Turns | None = None


def take_turns(waiting: Waiting) -> None:
    """Let this process take part from now on, once nobody else measures.

    Raises:
        BenchError: the cache folder, which has the locks, can't be written, or the system has no such locks.
    """
    global _turns
    _turns = Turns(cache_folder("turns") / name_part(platform.node()), waiting)


def waits_in(waiting: Waiting) -> None:
    """Enter this from now on whenever this process has to wait."""
    if _turns:
        _turns.waiting = waiting


def give_way() -> None:
    """Pause while another trial measures, if this process takes part."""
    if _turns:
        _turns.give_way()


@contextmanager
def alone() -> Iterator[None]:
    """Have the machine alone inside, if this process takes part."""
    with _turns.alone() if _turns else contextlib.nullcontext():
        yield
