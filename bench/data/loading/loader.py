"""Decode samples in worker processes and ahead of their use, by the library grain, in a fixed order."""

import atexit
import copy
import gc
import os
import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import BenchError
from bench.core.surroundings import usable_cores
from bench.data.loading.images import Endless
from bench.data.loading.reader import PackedReader, Sent, begin_worker

AHEAD = 32  # samples that each worker keeps ready, if memory allows
READY = 3 * AHEAD  # samples of each worker that may be ready at most: in its queue, on their way and in its hands
AHEAD_BYTES = 2**30  # of all workers together
TOGETHER = 16  # samples that a worker sends at once: a message costs 0.7 ms, a third of a small picture
TOGETHER_BYTES = 2**23
_ENDLESS = 2**48
_SHARED_MEMORY = Path("/dev/shm")  # Linux has it as a disk of its own, in a container often a small one


class Places:
    """An endless order as a sequence of groups of row numbers, which each worker goes through by itself."""

    def __init__(self, order: Endless, together: int):
        self._order, self._together = order, together  # the order at its beginning
        self._now, self._place = copy.deepcopy(order), 0

    def __len__(self) -> int:
        return _ENDLESS

    def __getitem__(self, place: int) -> np.ndarray:
        if place < self._place:
            self._now, self._place = copy.deepcopy(self._order), 0
        self._now.take((int(place) - self._place) * self._together)
        self._place = int(place) + 1
        return self._now.take(self._together)


def decoded(read: PackedReader, order: np.ndarray | Endless, bytes_of_one: int) -> "Decoded":
    """Return what `read` returns for groups of row numbers, in order; its errors are raised.

    After the last row number it begins again with the same processes, but no sooner than it is asked.

    Args:
        bytes_of_one: the size of what is read of one sample, by which as many are decoded ahead as memory allows.
    """
    grain = _grain()
    workers = len(usable_cores())
    together, ahead = _counts(_room() // (workers * bytes_of_one), bytes_of_one)
    places: Sequence[np.ndarray] | Places
    if isinstance(order, np.ndarray):
        together = min(together, -(-len(order) // (2 * workers)))  # so that none is idle at the end
        places = np.split(order, range(together, len(order), together))
    else:
        places = Places(order, together)
    found = grain.MapDataset.source(places).map(read)
    found = found.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
    begin = partial(_begin, os.getpid())
    options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=ahead)
    found = found.mp_prefetch(options, begin)
    return Decoded(
        iter(found if isinstance(places, Places) else grain.experimental.RepeatIterDataset(found)), len(places)
    )


def _counts(room: int, bytes_of_one: int) -> tuple[int, int]:
    """Return how many samples a worker sends at once, and how many such messages it keeps ready.

    Args:
        room: the number of samples of a worker that fit into memory.
    """
    together = int(np.clip(min(TOGETHER_BYTES // bytes_of_one, room // 2), 1, TOGETHER))
    return together, int(np.clip(room // together, 1, AHEAD // together))


class Decoded(Iterator[Sent]):
    """An iterator over messages of worker processes, which end when it is closed or this process ends."""

    def __init__(self, found: Any, messages: int):
        self._found = found
        self.messages = messages  # of each row number once
        atexit.register(self._end)

    def __next__(self) -> Sent:
        found: Sent = next(self._found)
        return found

    def close(self) -> None:
        """End the workers."""
        atexit.unregister(self._end)
        self._found.close()
        self._found = iter(())

    def _end(self) -> None:
        self.close()
        gc.collect()  # of what grain would complain if it were collected later, without its modules


def _begin(parent: int, worker: int, count: int) -> None:
    begin_worker(parent)


def _room() -> int:
    """Return the bytes that samples which are decoded ahead may take."""
    if not _SHARED_MEMORY.is_dir():
        return AHEAD_BYTES
    return min(AHEAD_BYTES, shutil.disk_usage(_SHARED_MEMORY).free // 2)


def _grain() -> Any:
    try:
        import grain.experimental
        from absl import flags
    except ImportError as error:
        raise BenchError(
            f"--pack none needs the package grain ({error}): pip install grain. Or give --pack disk."
        ) from error
    if not flags.FLAGS.is_parsed():  # grain reads some
        flags.FLAGS.mark_as_parsed()
    return grain
