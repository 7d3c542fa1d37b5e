"""Notice when this process did not run: it was stopped (SIGSTOP), its virtual machine paused, or the machine slept.

A thread wakes four times a second. If it wakes a second or more too late, nothing ran in between, unless it waited for
Python's lock, which another thread held: it then looks for the lock every few milliseconds, and Linux counts that.
Work that waits for a disk or a GPU lets the thread wake, so it is no stall.

`stalled_since` gives what a time taken by `time.perf_counter` has too much. That clock stands still while a machine
sleeps on Linux, so such time is noted but needs no correction.
"""

import resource
import threading
import time
from dataclasses import dataclass
from typing import NamedTuple

BEAT_SECONDS = 0.25
LEAST_SECONDS = 1.0  # a shorter delay may be that of a busy machine
_LOOKS_A_SECOND = 20.0  # a thread that waits for Python's lock looks up to 200 times a second (sys.getswitchinterval)
_PATIENCE_SECONDS = 1.0  # for a thread that is to wake now


@dataclass(frozen=True)
class Stall:
    """A time in which the process did not run."""

    end: float  # by `time.perf_counter`
    seconds: float  # that `time.perf_counter` counted
    slept: float = 0.0  # seconds that only the machine's clock since its start counted


class Instant(NamedTuple):
    """The clocks of one moment."""

    time: float  # `time.perf_counter`
    slept: float  # seconds in which the machine slept, since its start
    looks: int  # how often the thread gave up the processor by itself, as it does to wait


def instant() -> Instant:
    """Read the clocks; `looks` are those of the calling thread, -1 where the system doesn't count them."""
    slept = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic() if hasattr(time, "CLOCK_BOOTTIME") else 0.0
    looks = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw if hasattr(resource, "RUSAGE_THREAD") else -1
    return Instant(time.perf_counter(), slept, looks)


def stall_between(last: Instant, now: Instant) -> Stall | None:
    """Return the stall between two beats of the thread, at the least length that it can have had."""
    gap, slept = now.time - last.time - BEAT_SECONDS, now.slept - last.slept
    if gap > LEAST_SECONDS and (now.looks - last.looks) / gap > _LOOKS_A_SECOND:
        gap = 0.0  # it waited for Python's lock
    if gap <= LEAST_SECONDS and slept <= LEAST_SECONDS:
        return None
    return Stall(now.time, gap if gap > LEAST_SECONDS else 0.0, slept if slept > LEAST_SECONDS else 0.0)


class StallWatch:
    """A watch of this process, from its making until the process ends."""

    def __init__(self) -> None:
        self._stalls: list[Stall] = []
        self._beaten = threading.Condition()
        self._last = time.perf_counter()
        threading.Thread(target=self._watch, name="stalls", daemon=True).start()

    def since(self, start: float) -> float:
        """Return how many seconds since a `time.perf_counter` this process did not run although that clock did."""
        self._catch_up()
        return sum((stall.seconds for stall in self._stalls if stall.end > start), 0.0)

    def total(self) -> float:
        """Return the seconds of all stalls, those in which the machine slept included."""
        self._catch_up()
        return sum((stall.seconds + stall.slept for stall in self._stalls), 0.0)

    def _watch(self) -> None:
        last = instant()
        while True:
            time.sleep(BEAT_SECONDS)
            now = instant()
            with self._beaten:
                if stall := stall_between(last, now):
                    self._stalls.append(stall)
                self._last = now.time
                self._beaten.notify_all()
            last = now

    def _catch_up(self) -> None:
        """Let the thread wake first if it is late, as both have just begun to run again after a stall."""
        asked = time.perf_counter()
        if asked - self._last > BEAT_SECONDS + LEAST_SECONDS:
            with self._beaten:
                self._beaten.wait_for(lambda: self._last >= asked, _PATIENCE_SECONDS)


_watch: StallWatch | None = None


def watch_stalls() -> None:
    """Watch this process from now on."""
    global _watch
    _watch = _watch or StallWatch()


def stalled_since(start: float) -> float:
    """Return the seconds since a `time.perf_counter` in which this process did not run; 0 unless it is watched."""
    return _watch.since(start) if _watch else 0.0


def stalled_seconds() -> float | None:
    """Return the seconds in which this process did not run, sleep of the machine included; None unless watched."""
    return _watch.total() if _watch else None
