"""Account for a trial's seconds, each of which belongs to exactly one phase."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

PHASES = ("startup", "prepare", "build", "compile", "train", "evaluate", "save", "profile", "other")


class Ledger:
    """The seconds of each phase since a trial was started; time outside all phases is `other`.

    Args:
        started: the Unix time at which the runner started the trial; the time since then is `startup`.
    """

    def __init__(self, started: float):
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self.seconds["startup"] = max(0.0, time.time() - started)
        self._stack = ["other"]
        self._since = time.perf_counter()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Charge the time inside to `name`; phases nest, and the inner one is charged."""
        self._charge()
        self._stack.append(name)
        try:
            yield
        finally:
            self._charge()
            self._stack.pop()

    def close(self) -> dict[str, float]:
        """Return the seconds of every phase up to now; they add up to the wall time."""
        self._charge()
        return {name: round(seconds, 4) for name, seconds in self.seconds.items()}

    def _charge(self) -> None:
        now = time.perf_counter()
        self.seconds[self._stack[-1]] += now - self._since
        self._since = now
