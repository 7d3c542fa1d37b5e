"""Account for a trial's seconds, each of which belongs to exactly one phase.

`wait` is the time in which other trials of the machine had it alone, or this one waited to have it (`--measure-alone`),
`lost` what earlier attempts had done after the checkpoint from which this one goes on.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

PHASES = ("startup", "prepare", "build", "compile", "train", "evaluate", "save", "profile", "wait", "lost", "other")


class Ledger:
    """The seconds of each phase since a trial was started; time outside all phases is `other`.

    Args:
        started: the Unix time at which the runner started the trial; the time since then is `startup`.
        earlier: of earlier attempts at the trial: `seconds`, their wall time, and `attempts`, their number.
    """

    def __init__(self, started: float, earlier: Mapping[str, float] | None = None):
        self.earlier = earlier or {}
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self.seconds["startup"] = max(0.0, time.time() - started)
        self._stack = ["other"]
        self._since = time.perf_counter()

    @property
    def current(self) -> str:
        """The phase to which the time is charged now."""
        return self._stack[-1]

    def take_up(self, known: Mapping[str, float]) -> float:
        """Add the seconds of earlier attempts, by phase where a checkpoint knows it; return those that are lost."""
        for name in self.seconds:
            self.seconds[name] += known.get(name, 0.0)
        lost = max(0.0, self.earlier.get("seconds", 0.0) - sum(known.values()))
        self.seconds["lost"] += lost
        return lost

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
