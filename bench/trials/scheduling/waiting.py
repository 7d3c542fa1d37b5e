"""Wait in a generator, which yields meanwhile, so that one thread can wait for many things at once."""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from filelock import BaseFileLock, Timeout

from bench.trials.local_process import Handle

Value = TypeVar("Value")
FREE = "free"
"""What a life yields once it needs its slot no more."""
Waiting = Generator[Any, None, Value]
"""Something that yields while it waits and returns a value at its end."""


class SlotLost(Exception):
    """A trial did not end because its slot was LOST or REFUSED it; it is to run in another."""

    def __init__(self, status: str, reason: str):
        super().__init__(reason)
        self.status = status


def acquired(lock: BaseFileLock, seconds: float) -> Waiting[bool]:
    """Acquire a lock; return False if that wasn't possible in so many seconds."""
    end = time.monotonic() + seconds
    while True:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if time.monotonic() >= end:
                return False
            yield
        else:
            return True


@contextmanager
def released(lock: BaseFileLock) -> Generator[None]:
    """Release a lock at the end if it is held."""
    try:
        yield
    finally:
        lock.release()


def stopped(handle: Handle) -> Waiting[None]:
    """End a trial's process, which can take seconds, while other trials go on."""
    thread = threading.Thread(target=handle.stop, daemon=True)
    thread.start()
    while thread.is_alive():
        yield
