"""Hash the source files of a data set that isn't packed, once: hashes are kept as they are made, by size and time.

digests/NAME-FOLDER.txt has a line for each sample: a hash of its stamp, and the hash of its content. A process that
is ended in between loses what it was just hashing.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import RawIOBase
from itertools import islice
from pathlib import Path
from typing import Any

from bench.core.dataset_protocol import Sample
from bench.core.errors import BenchError
from bench.core.files import UnwritableCache, locked, text_hash
from bench.core.surroundings import usable_cores
from bench.data.reading.decode import digest_of

_STAMP = 32  # hexadecimal digits of the hash of a stamp
_LINE = _STAMP + 1 + 64 + 1  # bytes
_AT_ONCE = 256  # samples between two looks at the disk

Progress = Callable[[int, int], None]


def digests(
    path: Path, samples: Sequence[Sample], stamps: Sequence[Any], progress: Progress | None, *, anew: bool = False
) -> list[str]:
    """Return the hash of each sample's files and token.

    Args:
        path: of the kept hashes.
        stamps: of the samples, see `stamps_of`; one that is known isn't read.
        anew: read all of them.

    Raises:
        BenchError: a file can't be read.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path), path.open("ab", buffering=0) as file:  # one process hashes, and the others wait and read
            return _digests(path, file, samples, stamps, progress, anew)
    except (UnwritableCache, OSError):  # then nothing is kept
        return _digests(path, None, samples, stamps, progress, anew)


def _digests(
    path: Path,
    file: RawIOBase | None,
    samples: Sequence[Sample],
    stamps: Sequence[Any],
    progress: Progress | None,
    anew: bool,
) -> list[str]:
    keys = [text_hash(json.dumps(stamp))[:_STAMP] for stamp in stamps]
    known = {} if anew else _kept(path)
    missing = [place for place, key in enumerate(keys) if key not in known]
    if file and missing:
        file.write(b"\n")  # ends the line of a process that was ended while it wrote
    for done, (place, digest) in enumerate(_hashed(samples, missing), 1 + len(samples) - len(missing)):
        known[keys[place]] = digest
        if file:
            file.write(f"{keys[place]} {digest}\n".encode())
        if progress:
            progress(done, len(samples))
    return [known[key] for key in keys]


def _hashed(samples: Sequence[Sample], places: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Hash in threads; yield the place and the hash of each."""
    with ThreadPoolExecutor(len(usable_cores())) as pool:
        rest = iter(places)
        while some := list(islice(rest, _AT_ONCE)):  # so that Ctrl-C doesn't wait for thousands
            yield from zip(some, pool.map(lambda place: _digest(samples[place]), some), strict=True)


def _digest(sample: Sample) -> str:
    try:
        return digest_of(sample)
    except OSError as error:
        raise BenchError(f"{error.filename or sample.name}: can't be read ({error.strerror or error}).") from error


def _kept(path: Path) -> dict[str, str]:
    """Read the kept hashes; lines that are no whole ones are left out."""
    try:
        lines = path.read_bytes().decode("ascii", "replace").splitlines(keepends=True)
    except OSError:
        return {}
    return {line[:_STAMP]: line[_STAMP + 1 : -1] for line in lines if len(line) == _LINE and line[_STAMP] == " "}
