"""Compare the loader of `--pack none` with plain loops: `loader_rate.py DATASET FOLDER SIZE [IMAGES] [ROUNDS]`.

The bar: images per second of the loader are at least 0.9 x cores x those of one plain loop. The loops run in one
process for each core at once, so that they meet what the loader meets: other programs, and cores that share a cache.
Loops and loader are timed in turn; the processor time per image, which hardly depends on the load, is printed too.
"""

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from statistics import median

import cv2
import numpy as np
import psutil

from bench.core.surroundings import usable_cores
from bench.data.batches import Order
from bench.data.loading.loader import READY
from bench.data.loading.open_images import open_images
from bench.data.reading.decode import read_pixels
from bench.datasets import DATASETS


def opened(dataset: str, folder: str, size: int):
    spec = next(spec for spec in DATASETS if spec.name == dataset)
    return open_images(spec, (size, size), kept="none", data_dir=folder)


class Loop:
    """A plain decoding loop in a process of its own."""

    def __call__(self, arguments: tuple[str, str, int], indexes: list[int]) -> None:
        if not hasattr(Loop, "data"):
            cv2.setNumThreads(1)
            Loop.data = opened(*arguments)
        source = Loop.data.source
        for index in indexes:
            read_pixels(source, source.samples[index], Loop.data.size, "stretch", native=False)


def cpu_seconds() -> dict[str, float]:
    """Return the processor time of this process ("here") and of all that it has started ("there")."""
    me = psutil.Process()
    here, *there = (sum(one.cpu_times()[:2]) for one in (me, *me.children(recursive=True)))
    return {"here": here, "there": sum(there)}


def timed(work) -> dict[str, float]:
    start, cpu = time.perf_counter(), cpu_seconds()
    work()
    return {"wall": time.perf_counter() - start, **{name: now - cpu[name] for name, now in cpu_seconds().items()}}


def _wait_until_full() -> None:
    """Wait until the workers have decoded as much ahead as they may."""
    while timed(lambda: time.sleep(1.0))["there"] > 0.1:
        pass


def main(dataset: str, folder: str, size: str, images: str = "400", rounds: str = "5") -> None:
    arguments, count, cores = (dataset, folder, int(size)), int(images), len(usable_cores())
    data = opened(*arguments)
    ahead, plain = data.rows(Order(data.indexes("train"), 0)), Order(data.indexes("train"), 0)
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:

        def loops(each: int = count // cores) -> None:
            parts = [plain.take(each).tolist() for _ in range(cores)]
            list(pool.map(Loop(), [arguments] * cores, parts))

        loops(20)
        times: dict[str, list[dict[str, float]]] = {"loops": [], "loader": []}
        for _ in range(int(rounds)):
            _wait_until_full()
            times["loops"].append(timed(loops))
            list(islice(ahead, READY * cores))  # what the workers have ready by then is not timed
            times["loader"].append(timed(lambda: list(islice(ahead, count))))
    _print(count, times)


def _print(count: int, times: dict[str, list[dict[str, float]]]) -> None:
    def of(name: str, *parts: str) -> np.ndarray:
        return np.array([sum(one[part] for part in parts) / count for one in times[name]])

    wall = median(of("loops", "wall") / of("loader", "wall"))
    processor = median(of("loops", "there") / of("loader", "here", "there"))
    print(f"loops {1 / median(of('loops', 'wall')):.1f}/s, {1e3 * median(of('loops', 'there')):.2f} CPU ms an image; "
          f"loader {1 / median(of('loader', 'wall')):.1f}/s, {1e3 * median(of('loader', 'there')):.2f} CPU ms in "
          f"workers and {1e3 * median(of('loader', 'here')):.2f} here; loader / loops = {wall:.2f} by the clock, "
          f"{processor:.2f} by processor time")  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
