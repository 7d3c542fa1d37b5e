"""Report how far a long step is, from whatever depth it runs at, to the command that shows it.

A step calls `report` now and then; the command listens:

    with listening(lambda what, done, total: bar.update(task, description=what, completed=done, total=total)):
        open_source(spec, folder)
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int, int], None]  # what is done, such as "comparing tiles"; items done, all items
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have the listener called by the long steps inside the context, in the thread that entered it."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def report(what: str, done: int, total: int) -> None:
    """Tell the listener, if there is one, how many of all items a step has done."""
    if listener := _listener.get():
        listener(what, done, total)
