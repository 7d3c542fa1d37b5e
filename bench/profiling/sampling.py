"""Call a function again and again in a thread, at a cost that is bounded and known."""

import threading
import time
from collections.abc import Callable

CORE_SHARE = 0.003  # of one core, at most: the three samplers of a trial stay below 1 %


class Sampler:
    """A thread that calls `read` every few milliseconds, less often if that would take more than CORE_SHARE.

    Args:
        read: called in the thread, so it must not raise.
        seconds: between two calls, at least.
    """

    def __init__(self, read: Callable[[], object], seconds: float):
        self._read, self._seconds = read, seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.samples = 0
        self.busy = 0.0  # seconds of a core
        self._started = self._ended = 0.0

    def start(self) -> None:
        """Begin to sample; a sampler starts once."""
        self._started = time.perf_counter()
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._done.set()
        self._thread.join()
        self._ended = time.perf_counter()

    @property
    def started(self) -> bool:
        """True from `start` on."""
        return self._started > 0

    @property
    def alive(self) -> bool:
        """True while the thread samples."""
        return self._thread.is_alive()

    @property
    def core_share(self) -> float:
        """The share of a core that the thread took, of the time from `start` to `stop`, or until now."""
        return self.busy / self.seconds

    @property
    def seconds(self) -> float:
        """The time from `start` to `stop`, or until now."""
        return max((self._ended or time.perf_counter()) - self._started, 1e-9)

    def _sample(self) -> None:
        wait = self._seconds
        while not self._done.wait(wait):
            self._read()
            self.samples += 1
            self.busy = time.thread_time()  # of this thread since it began, waking up included
            affordable = self._started + self.busy / CORE_SHARE - time.perf_counter()
            wait = max(self._seconds, affordable)
