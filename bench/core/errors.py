"""The exception for users' mistakes, the wording of many things, and status and reason of a failed trial's record."""

import os
import re
import traceback
from collections.abc import Callable, Collection, Iterable
from itertools import product

from bench.core.backends import TABLE
from bench.core.untrusted.masking import said

FEW = 3  # things that a message names


class BenchError(ValueError):
    """An error with a one-sentence message: a user's mistake, or something that is missing.

    The message says what was given, what is accepted and what to do. The command line prints it and exits with code 2.
    """

    def __init__(self, message: str = ""):
        super().__init__(said(message))


class Diverged(Exception):
    """The error that the loss or a weight is no longer a finite number."""


_KERAS = "Exception encountered when calling"
_LONGEST = 500  # characters of a reason
_TERMINAL = re.compile("\x1b\\[[0-9;]*m")  # bold and colours


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the device or the host ran out of memory, by the type of exception that each backend has for it.

    The text alone proves nothing: anything may say "out of memory". Keras raises the error of a layer again, with the
    layer's name before its text; what it was then counts.
    """
    if isinstance(error, MemoryError):
        return True
    if str(error).startswith(_KERAS) and error.__context__:
        return is_out_of_memory(error.__context__)
    names = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(error).__mro__}
    return any(
        str(error).startswith(backend.full_status) and names & set(product(backend.libraries, backend.full))
        for backend in TABLE.values()
    )


def status_of(error: BaseException) -> str:
    """Return `out_of_memory`, `diverged` or `failed`."""
    if is_out_of_memory(error):
        return "out_of_memory"
    return "diverged" if isinstance(error, Diverged) else "failed"


def reason_of(error: BaseException, own: Collection[str] = ()) -> str:
    """Return the message in one line, after the exception's name unless the message is written for users.

    Args:
        own: paths of the user's code: an error of it begins with the file and the line, such as `my_net.py, line 7: `.
    """
    places = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in own]
    if not places or isinstance(error, BenchError | Diverged):
        return _message(error)
    file = os.path.basename(places[-1].filename)
    return f"{file}, line {places[-1].lineno}: {_message(error)}"[:_LONGEST]


def _message(error: BaseException) -> str:
    lines = [line.strip() for line in _TERMINAL.sub("", said(str(error))).splitlines() if line.strip()] or [""]
    message = lines[0]
    if message.startswith(_KERAS) and len(lines) > 1:  # the first line names the layer, the second the error
        message = f"{message.rstrip('.')}: {lines[1]}"
    message = message[:_LONGEST]
    if isinstance(error, BenchError | Diverged):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def first_few(things: Iterable[object], most: int = FEW, *, between: str = ", ") -> str:
    """Write `a, b, c and 2 more`; all of them if there are at most `most`, and an empty text for none."""
    texts = list(map(str, things))
    return between.join(texts[:most]) + (f" and {len(texts) - most:,} more" if len(texts) > most else "")


def first_lines(
    lines: Iterable[str], most: int, rest: Callable[[int], str] = lambda more: f"and {more:,} more"
) -> list[str]:
    """Return the first lines, and one more for the rest if there is any."""
    found = list(lines)
    return found[:most] + ([rest(len(found) - most)] if len(found) > most else [])
