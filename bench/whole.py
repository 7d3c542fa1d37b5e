"""Files that are written whole: a reader never sees half of one, and a process that dies leaves the old one."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MARK = ".part."


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, hidden and with the same suffix, renamed to `path` if the context ends well."""
    part = path.with_name(f".{secrets.token_hex(4)}{MARK}{path.name}")  # its own in every thread of every machine
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def is_part(path: Path) -> bool:
    """Whether a file is one that is being written, or that a process which died has left."""
    return path.name.startswith(".") and MARK in path.name
