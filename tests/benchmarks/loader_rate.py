"""Compare the loader of `--pack none` with one plain decoding loop: `loader_rate.py DATASET FOLDER SIZE [IMAGES]`.

The bar: images per second of the loader are at least 0.9 x cores x those of the loop. The two are timed in turn, some
times, so that both see the same load; the CPU time per image, which hardly depends on the load, is printed too.
"""

import sys
import time
from itertools import islice
from statistics import median

import numpy as np
import psutil

from bench.core.surroundings import usable_cores
from bench.data.batches import Order
from bench.data.loading.loader import AHEAD
from bench.data.loading.open_images import open_images
from bench.data.reading.decode import read_pixels
from bench.datasets import DATASETS

ROUNDS = 3
READY = 3 * AHEAD  # samples for each worker that may be ready, in its queue and on their way


def cpu_seconds() -> float:
    me = psutil.Process()
    times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def timed(work) -> tuple[float, float]:
    start, cpu = time.perf_counter(), cpu_seconds()
    work()
    return time.perf_counter() - start, cpu_seconds() - cpu


def _wait_until_full() -> None:
    """Wait until the workers have decoded as much ahead as they may."""
    while timed(lambda: time.sleep(1.0))[1] > 0.1:
        pass


def main(dataset: str, folder: str, size: str, images: str = "96") -> None:
    spec = next(spec for spec in DATASETS if spec.name == dataset)
    shape, count = (int(size), int(size)), int(images)
    data = open_images(spec, shape, kept="none", data_dir=folder)
    train = data.indexes("train")
    ahead = data.rows(Order(train, 0))
    ready = READY * len(usable_cores())
    source, plain = data.source, Order(train, 0)

    def loop() -> None:
        for index in plain.take(count):
            read_pixels(source, source.samples[index], shape, "stretch", native=False)

    rates, cpu = {"loop": [], "loader": []}, {"loop": [], "loader": []}
    for _ in range(ROUNDS):
        for name, work in (("loop", loop), ("loader", lambda: list(islice(ahead, count)))):
            if name == "loader":
                list(islice(ahead, ready))  # what the workers have ready by then is not timed
            else:
                _wait_until_full()
            seconds, cpu_time = timed(work)
            rates[name].append(count / seconds)
            cpu[name].append(1000 * cpu_time / count)
    cores = len(usable_cores())
    loop_rate, loader_rate = (median(rates[name]) for name in ("loop", "loader"))
    ratio = median(np.divide(rates["loader"], rates["loop"])) / cores
    print(f"loop {loop_rate:.1f}/s, {median(cpu['loop']):.1f} CPU ms an image; loader {loader_rate:.1f}/s, "
          f"{median(cpu['loader']):.1f} CPU ms; loader / ({cores} cores x loop) = {ratio:.2f}")  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
