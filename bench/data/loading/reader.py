"""Read samples in other processes: what is sent there, and how such a process begins."""

import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from bench.core.code.import_by_name import import_by_name
from bench.core.dataset_protocol import Sample
from bench.core.errors import BenchError
from bench.data.reading.contents import is_remote
from bench.data.reading.decode import Pixels, read_pixels
from bench.data.remote.asking import AT_ONCE
from bench.data.remote.patience import threads
from bench.data.source import Source

Sent = tuple[np.ndarray, bytes]
"""All bytes of some samples in one array, which goes through shared memory, and numbers that tell their parts.

What goes through a pipe must be small: a process that waits for a half-written message waits for ever if its writer is
killed, and a writer doesn't end before a full pipe is read.
"""
LOOK_SECONDS = 0.2  # how often a worker looks whether its trial is still there


@dataclass(frozen=True)
class Reader:
    """A function that reads a sample by its row number; it can be pickled if the data set can."""

    source: Source
    samples: Sequence[Sample]  # by row number
    size: tuple[int, int]
    resize: str
    native: bool  # whether labels and objects at native size are wanted
    digests: Sequence[str] = ()  # of the samples, of data at an address, where no other time tells a change

    def __call__(self, index: int) -> Pixels:
        """Read a sample; raise BenchError, whose text alone is sent between processes, if that isn't possible."""
        try:
            digest = self.digests[index] if self.digests else ""
            sample = self.samples[index]
            return read_pixels(self.source, sample, self.size, self.resize, native=self.native, digest=digest)
        except (BenchError, OSError) as error:
            raise BenchError(str(error)) from None

    def together(self, indexes: Sequence[int]) -> list[Pixels]:
        """Read several samples, those at an address in threads: most of their time is waiting."""
        if not is_remote(self.source.data_dir):
            return [self(index) for index in indexes]
        with threads(AT_ONCE) as pool:
            return list(pool.map(self, indexes))

    def packed(self) -> "PackedReader":
        """Pickle it; raise BenchError if the data set doesn't allow that."""
        try:
            content = pickle.dumps((self.source, self.samples, self.size, self.resize, self.native, self.digests))
        except Exception as error:  # a data set of a plug-in may raise anything
            raise BenchError(
                f"The data set '{self.source.spec.name}' can't be sent to the processes that decode it "
                f"({error}). Give --pack disk."
            ) from error
        return PackedReader(self.source.spec.adapter, content)


class PackedReader:
    """A reader on its way to another process, which first imports the adapter: a plug-in's module has no name there."""

    def __init__(self, adapter: str, content: bytes):
        self._adapter, self._content = adapter, content
        self._reader: Reader | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reader": None}

    def __call__(self, indexes: np.ndarray) -> Sent:
        if self._reader is None:
            import_by_name(self._adapter)
            self._reader = Reader(*pickle.loads(self._content))
        found = self._reader.together(indexes.tolist())
        numbers = [
            (one.image.shape[2], one.image.itemsize, *one.original_size, len(one.truth), len(one.instances))
            for one in found
        ]
        return np.concatenate([part for one in found for part in _parts(one)]), np.array(numbers, np.int64).tobytes()


def _parts(one: Pixels) -> tuple[np.ndarray, ...]:
    blocks = (np.frombuffer(block, np.uint8) for block in (one.truth, one.instances))
    return np.ascontiguousarray(one.image).reshape(-1).view(np.uint8), one.labels.ravel(), *blocks


def received(sent: Sent, size: tuple[int, int]) -> Iterator[Pixels]:
    """Yield what a `PackedReader` has read in another process, at an image size."""
    shared, numbers = sent
    every = np.array(shared)  # a copy, so that the shared memory is free again
    pixels, end = size[0] * size[1], 0
    for bands, depth, height, width, *blocks in np.frombuffer(numbers, np.int64).reshape(-1, 6).tolist():
        ends = np.cumsum([end, bands * depth * pixels, pixels, *blocks]).tolist()
        image, labels, truth, instances = (every[a:b] for a, b in pairwise(ends))
        end = ends[-1]
        image = image.view(f"<u{depth}").reshape(*size, bands)
        yield Pixels(image, labels.reshape(size), (height, width), truth.tobytes(), instances.tobytes())


def begin_worker(parent: int) -> None:
    """Prepare a process that decodes for the process `parent`: it ends with it, and decodes on one core."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends it
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    cv2.setNumThreads(1)


def _end_with(parent: int) -> None:
    """Look for the parent; the kernel's signal of `end_with_parent` also comes when a thread of the parent ends."""
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os._exit(1)
