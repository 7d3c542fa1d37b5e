"""Read in threads that may wait long for an address; after an interruption, or once one has failed, all give up."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

_given_up = Event()


@contextmanager
def threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Run a number of threads. After an error or an interruption, what waits or has not begun isn't done any more."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    except BaseException:
        _given_up.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        _given_up.clear()


def wait(seconds: float) -> bool:
    """Wait before something is tried again; return False if it is of no use any more."""
    return not _given_up.wait(seconds)
