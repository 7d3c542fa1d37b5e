"""The hash of a file's content, computed once for each state of the file."""

import functools
import hashlib
from pathlib import Path


def file_hash(path: Path | str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits; kept until its time or size changes."""
    path = Path(path).resolve()
    state = path.stat()
    return _file_hash(path, state.st_mtime_ns, state.st_size)


@functools.cache
def _file_hash(path: Path, mtime_ns: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
