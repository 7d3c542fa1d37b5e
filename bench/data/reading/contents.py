"""The only way to a data file's content, which may lie at an address: bench/data/remote/ has a stub in its place.

`content` is for pictures, which are fetched whenever they are read; `here` is for tables, lists and annotations, which
are fetched once. Local files are opened where they are.
"""

import errno
import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from bench.core.dataset_protocol import Sample
from bench.core.files import UnwritableCache, file_stamp, full_stamp, write_atomically
from bench.core.surroundings import usable_cores
from bench.data.remote.asking import AT_ONCE
from bench.data.remote.connecting import connect
from bench.data.remote.mirror import address_of, whole_copy

HEAD_BYTES = 2**16  # of a picture, in which its size and orientation mostly stand
_hashes: dict[Path, tuple[tuple[int, int], bytes]] = {}  # of fetched files, with the stamps that these had
_fetched: ContextVar[dict[Path, bytes] | None] = ContextVar("fetched", default=None)


@contextmanager
def fetched_once() -> Iterator[None]:
    """Fetch each file at most once inside the context, which is about one sample."""
    token = _fetched.set({})
    try:
        yield
    finally:
        _fetched.reset(token)


def content(path: Path) -> io.BytesIO | io.BufferedReader:
    """Open a file to read its bytes.

    Raises:
        OSError: it is missing or can't be read.
        BenchError: it lies at an address and doesn't come whole.
    """
    known = _fetched.get()
    if known is not None and path in known:
        return io.BytesIO(known[path])
    found = _fetch(path)
    if found is None:
        return path.open("rb")
    if known is not None:
        known[path] = found
    else:
        _hashes[path] = file_stamp(path), hashlib.sha256(found).digest()
    return io.BytesIO(found)


def beginning(path: Path) -> io.BytesIO | None:
    """Fetch the beginning of a file at an address, or what its server gives instead; None for any other file."""
    found, known = address_of(path), _fetched.get()
    if found is None or (known is not None and path in known):
        return None
    return io.BytesIO(connect(found[0]).begin(found[1], HEAD_BYTES))


def content_hash(path: Path) -> bytes:
    """Return the SHA-256 of a file's content; errors as above.

    Of a file at an address that this process has read before, it is that of what came then. Inside `fetched_once` it
    is that of what is read there.
    """
    before = _hashes.get(path) if _fetched.get() is None else None
    if before and before[0] == file_stamp(path):
        return before[1]
    with content(path) as file:
        return hashlib.file_digest(file, "sha256").digest()


def here(path: Path) -> Path:
    """Return a file to open by any means: the path itself, or a copy of what lies at an address; errors as above."""
    if address_of(path) is None:
        return path
    copy, stamp = whole_copy(path), file_stamp(path)
    if file_stamp(copy) == stamp:
        return copy
    found = _fetch(path)
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(copy, sync=False) as part:
            part.write_bytes(found or b"")
            os.utime(part, ns=(stamp[1], stamp[1]))
    except OSError as error:
        raise UnwritableCache(copy, error) from error
    return copy


def is_remote(path: Path | None) -> bool:
    """Tell whether a file lies at an address."""
    return path is not None and address_of(path) is not None


def first_file(samples: Sequence[Sample]) -> Path | None:
    """Return the first file of samples; None if they have none."""
    return next((file for sample in samples for file in sample.files), None)


def threads_for(path: Path | None) -> int:
    """Return how many threads read the files of a folder best."""
    return max(AT_ONCE, len(usable_cores())) if is_remote(path) else len(usable_cores())


def stamps_for(path: Path | None) -> Callable[[Path], tuple[int, ...]]:
    """Return the function by whose answer the facts of a folder's files are kept, given one of the files.

    It tells of any change; of a file at an address only size and time, since its stub is new whenever that is listed.
    """
    return file_stamp if is_remote(path) else full_stamp


def _fetch(path: Path) -> bytes | None:
    """Fetch what lies at an address; None if the path is no stub."""
    found = address_of(path)
    if found is None:
        return None
    size, _ = file_stamp(path)
    if size < 0:
        raise FileNotFoundError(errno.ENOENT, "it is missing", str(path))
    address, name = found
    return connect(address).read(name, size)
