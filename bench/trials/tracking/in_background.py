"""A tracker in a thread of its own, so that a slow or broken one neither delays nor fails a trial."""

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from bench.trials.tracking.tracker import Tracker

PATIENCE_SECONDS = 30.0  # at the end of a run


class InBackground:
    """A tracker that is told what to do through a queue; once it has raised an error it is off.

    Args:
        name: as `--track` has it.
        make: opens the tracker; called in the thread, since it imports a library.
    """

    def __init__(self, name: str, make: Callable[[], Tracker]):
        self._name, self._make = name, make
        self._tasks: SimpleQueue[tuple[str, tuple[Any, ...]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._problem = ""
        self._off = False

    def tell(self, method: str, *given: Any) -> None:
        """Let the tracker's method be called, some time later; the first call starts its thread."""
        if self._off:
            return
        if not self._thread:
            self._thread = threading.Thread(target=self._work, name=f"track-{self._name}", daemon=True)
            self._thread.start()
        self._tasks.put((method, given))

    def problem(self) -> str:
        """Return a line about why the tracker is off, the first time it is asked; else nothing."""
        line, self._problem = self._problem, ""
        return line

    def close(self, patience: float = PATIENCE_SECONDS) -> None:
        """Wait until everything that was told is done, but no longer than `patience` seconds."""
        if not self._thread or self._off:
            return
        self._tasks.put(None)
        self._thread.join(patience)
        if self._thread.is_alive():
            self._stop(f"it has not ended within {patience:g} s, so its last values may be missing")

    def _work(self) -> None:
        try:
            tracker = self._make()
            while task := self._tasks.get():
                method, given = task
                getattr(tracker, method)(*given)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - each library has exceptions of its own
            self._stop(_first_line(error))

    def _stop(self, why: str) -> None:
        self._off = True
        self._problem = f"--track {self._name} is off for the rest of this run, and the trials go on: {why}"
        with suppress(Exception):  # what waits is of no use any more
            while not self._tasks.empty():
                self._tasks.get_nowait()


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
