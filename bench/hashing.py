"""Hashes: of a file's content, computed once for each state of the file, and of names, for draws that last."""

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


def share(purpose: str, name: str) -> float:
    """A number in [0, 1) that is even over names, independent between purposes and the same on every machine."""
    digest = hashlib.sha256(f"{purpose}:{name}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
