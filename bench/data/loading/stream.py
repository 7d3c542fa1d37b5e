"""A data set that isn't packed: its samples are decoded whenever they are needed, ahead of their use."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

import numpy as np

from bench.core.dataset_protocol import Sample
from bench.core.errors import BenchError, first_few
from bench.core.files import cache_path, cached, printable
from bench.core.specs import PROTOCOL_VERSION, REDUCED_PROTOCOL_VERSION
from bench.core.surroundings import usable_cores
from bench.data.facts.file_facts import look_up
from bench.data.label_doubts import thin_splits
from bench.data.loading.images import Endless, Images, Row
from bench.data.loading.loader import READY, Decoded, decoded
from bench.data.loading.reader import Reader, Sent, received
from bench.data.opened.folder_state import NOT_SEEN, look_at
from bench.data.opened.kept_digests import Digests, kept_digests
from bench.data.opened.kept_samples import KeptSamples
from bench.data.packing import runs
from bench.data.packing.hash_anew import hash_anew
from bench.data.packing.manifest import fingerprint, stamps_of
from bench.data.reading.contents import first_file, is_remote, threads_for
from bench.data.reading.decode import Pixels, digest_of, is_reduced
from bench.data.reading.find_values import with_values
from bench.data.reading.values import Values
from bench.data.remote.patience import threads
from bench.data.source import Source

FEW = 64  # samples that are read in threads of this process, since worker processes take seconds to begin
NATIVE_BYTES = 2**17  # of a sample's labels and objects at native size, as runs: more than most have
_NOTE = (
    "the images were decoded on the way (--pack none): labels were not counted and duplicates not looked for "
    "beforehand, as bench prepare --check does"
)


@dataclass(frozen=True)
class Stream(Images):
    """N samples of a data set at H x W pixels, decoded by worker processes."""

    source: Source
    stamps: Sequence[Any]  # of the samples, when it was opened; empty: those that its source has seen
    resize: str
    digests: Sequence[str]  # of the samples, in hexadecimal digits
    _kept: dict[tuple[bytes, bool], Decoded] = field(default_factory=dict, repr=False, compare=False)
    packed = False

    @property
    def ready(self) -> int:
        """The most images of an endless order that may be decoded before anybody asks for them."""
        return READY * len(usable_cores())

    def rows(self, order: np.ndarray | Endless, *, native: bool = False) -> Iterator[Row]:
        """Yield the samples; see `Images.rows`. BenchError names a file that can't be read."""
        source = replace(self.source, seen=NOT_SEEN)  # which is large, and no reader needs it
        read = Reader(source, source.samples, self.size, self.resize, native, self._checked())
        if not isinstance(order, np.ndarray):
            with closing(self._decoded(read, order)) as found:
                yield from self._rows_of(found)
        elif len(order) <= FEW:
            with threads(threads_for(self.source.data_dir)) as pool:
                yield from map(_row, pool.map(read, order.tolist()))
        else:
            yield from self._rows_again(read, order)

    def _rows_again(self, read: Reader, order: np.ndarray) -> Iterator[Row]:
        """Yield the samples of a split, whose workers are kept for the next time."""
        key = (order.tobytes(), read.native)
        found = self._kept.pop(key, None) or self._decoded(read, order)
        whole = False
        try:
            yield from self._rows_of(islice(found, found.messages))
            whole = True
        finally:
            if whole:
                self._kept[key] = found
            else:
                found.close()

    def _rows_of(self, found: Iterable[Sent]) -> Iterator[Row]:
        return map(_row, chain.from_iterable(received(sent, self.size) for sent in found))

    def _decoded(self, read: Reader, order: np.ndarray | Endless) -> Decoded:
        return decoded(
            read.packed(), order, self.size[0] * self.size[1] * (self.values.bytes_of_pixel + 1) + NATIVE_BYTES
        )

    def _checked(self) -> Sequence[str]:
        """Return the digests that are compared whenever a sample is read: of data at an address."""
        return self.digests if is_remote(self.source.data_dir) else ()

    def check_unchanged(self) -> None:
        """Raise BenchError if a source file has another size or time than when it was opened."""
        source, seen = self.source, self.source.seen
        if source.data_dir and seen.digest and look_at(source.data_dir).digest == seen.digest:
            return
        before, now = self.stamps or stamps_of(source), stamps_of(replace(source, seen=NOT_SEEN))
        pairs = zip(source.samples, before, now, strict=True)
        if changed := [printable(sample.name) for sample, before, now in pairs if before != now]:
            raise BenchError(
                f"Files of '{self.source.spec.name}' changed while it was in use, so what was computed from them is "
                f"refused: {first_few(changed)}. Run the same command again."
            )


def open_stream(source: Source, size: tuple[int, int], resize: str, place: str, *, verify: bool = False) -> Stream:
    """Open a data set without decoding it. Its files are hashed once, so that its fingerprint is that of a pack.

    Args:
        place: names the data set in the cache.
        verify: hash all files again; raise BenchError if one has changed without a new size or time.
    """
    samples, stamps = source.samples, [] if source.state else stamps_of(source)
    source = with_values(source, lambda: stamps or stamps_of(source))
    kept = cache_path("opened") / f"{place}.hashes.arrow"
    found, hashes = kept_digests(kept, source.state, lambda: _digests(samples, stamps or stamps_of(source), place))
    if verify:
        _check_hashes(samples, hashes, place)
    question = f"{found} {size} {resize} {source.adapter_hash}"
    reduced = cached("reduced", question, lambda: any(is_reduced(source, one, size, resize) for one in samples))
    return Stream(
        fingerprint=found,
        protocol=REDUCED_PROTOCOL_VERSION if reduced else PROTOCOL_VERSION,
        names=_texts(samples, "name"),
        groups=_texts(samples, "group"),
        splits=_texts(samples, "split"),
        classes=source.spec.classes,
        notes=(*source.notes, _NOTE),
        warnings=(*source.warnings, *(thin_splits(samples) if source.spec.is_own else ())),
        values=source.values or Values(),
        fixed_test=source.fixed_test,
        source=source,
        stamps=stamps,
        size=size,
        resize=resize,
        digests=hashes,
    )


def _digests(samples: Sequence[Sample], stamps: Sequence[Any], place: str) -> Digests:
    """Hash the files of all samples whose stamps have not been seen yet."""
    keys = [json.dumps(stamp) for stamp in stamps]
    found = look_up("sha256-1", place, samples, keys, lambda sample: bytes.fromhex(_hash(sample)), "hashing files",
                    threads_for(first_file(samples)))  # fmt: skip
    hashes = [bytes(one or b"").hex() for one in found]
    return Digests(fingerprint(samples, hashes), hashes)


def _hash(sample: Sample) -> str:
    try:
        return digest_of(sample)
    except OSError as error:
        raise BenchError(f"{error.filename or sample.name}: can't be read ({error.strerror or error}).") from error


def _check_hashes(samples: Sequence[Sample], hashes: Sequence[str], place: str) -> None:
    pairs = zip(samples, hash_anew(samples, place), hashes, strict=True)
    changed = [printable(sample.name) for sample, now, before in pairs if now != before]
    if changed:
        raise BenchError(
            f"Files of {len(changed)} samples have other contents than when they were hashed, but the same size and "
            f"time: {first_few(changed)}. Give them a new time (touch), so that they are hashed again."
        )


def _texts(samples: Sequence[Sample], field: str) -> tuple[str, ...]:
    if isinstance(samples, KeptSamples):
        return tuple(samples.texts(field))
    return tuple(printable(str(getattr(sample, field))) for sample in samples)


def _row(found: Pixels) -> Row:
    size = found.original_size
    return Row(
        found.image,
        found.labels,
        size,
        lambda: runs.pixels(found.truth, size, np.uint8),
        lambda: runs.pixels(found.instances, size, np.uint16) if found.instances else None,
    )
