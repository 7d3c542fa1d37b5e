"""Decode samples in worker processes and ahead of their use, by the library grain, in a fixed order."""

import atexit
import copy
import gc
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import BenchError
from bench.core.surroundings import usable_cores
from bench.data.loading.images import Endless
from bench.data.loading.reader import begin_worker

AHEAD = 24  # samples that each worker keeps ready, if memory allows
AHEAD_BYTES = 2**30  # of all workers together
_ENDLESS = 2**48
_SHARED_MEMORY = Path("/dev/shm")  # Linux has it as a disk of its own, in a container often a small one


class Places:
    """An endless order as a sequence, which each worker goes through by itself."""

    def __init__(self, order: Endless):
        self._order = order  # at its beginning
        self._now, self._place = copy.deepcopy(order), 0

    def __len__(self) -> int:
        return _ENDLESS

    def __getitem__(self, place: int) -> int:
        if place < self._place:
            self._now, self._place = copy.deepcopy(self._order), 0
        self._now.take(int(place) - self._place)
        self._place = int(place) + 1
        return int(self._now.take(1)[0])


def decoded(read: Callable[[int], Any], order: Sequence[int] | np.ndarray | Places, bytes_of_one: int) -> "Decoded":
    """Return what `read` returns for each row number, in order; its errors are raised.

    After the last row number it begins again with the same processes, but no sooner than it is asked.

    Args:
        bytes_of_one: the size of what is read of one sample, by which as many are decoded ahead as memory allows.
    """
    grain = _grain()
    workers = len(usable_cores())
    ahead = int(np.clip(_room() // (workers * bytes_of_one), 1, AHEAD))
    found = grain.MapDataset.source(order).map(read)
    found = found.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
    begin = partial(_begin, os.getpid())
    options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=ahead)
    found = found.mp_prefetch(options, begin)
    return Decoded(iter(found if isinstance(order, Places) else grain.experimental.RepeatIterDataset(found)))


class Decoded(Iterator[Any]):
    """An iterator with worker processes, which end when it is closed or this process ends."""

    def __init__(self, found: Any):
        self._found = found
        atexit.register(self._end)

    def __next__(self) -> Any:
        return next(self._found)

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
