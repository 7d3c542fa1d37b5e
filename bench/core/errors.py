"""The exception for users' mistakes, and the status and reason that the record of a failed trial gets."""

import re


class BenchError(ValueError):
    """An error with a one-sentence message: a user's mistake, or something that is missing.

    The message says what was given, what is accepted and what to do. The command line prints it and exits with code 2.
    """


_OUT_OF_MEMORY = (
    *("RESOURCE_EXHAUSTED", "ResourceExhausted", "OutOfMemory", "out of memory", "OOM when allocating"),
    *("OUT_OF_MEMORY", "STATUS_ALLOC_FAILED", "DefaultCPUAllocator: can't allocate memory", "bad_alloc"),
)
_KERAS = "Exception encountered when calling"
_TERMINAL = re.compile("\x1b\\[[0-9;]*m")  # bold and colours


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the device or the host ran out of memory, whichever backend raised the error."""
    return isinstance(error, MemoryError) or any(sign in f"{type(error).__name__} {error}" for sign in _OUT_OF_MEMORY)


def status_of(error: BaseException) -> str:
    """Return `out_of_memory`, `diverged` or `failed`."""
    if is_out_of_memory(error):
        return "out_of_memory"
    return "diverged" if type(error).__name__ == "Diverged" else "failed"


def reason_of(error: BaseException) -> str:
    """Return the message in one line, after the exception's name unless the message is written for users."""
    lines = [line.strip() for line in _TERMINAL.sub("", str(error)).splitlines() if line.strip()] or [""]
    message = lines[0]
    if message.startswith(_KERAS) and len(lines) > 1:  # the first line names the layer, the second the error
        message = f"{message.rstrip('.')}: {lines[1]}"
    message = message[:500]
    if isinstance(error, BenchError) or type(error).__name__ == "Diverged":
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
