"""The child processes that time a model at batch 1; for a file there is nothing in memory but its runtime and NumPy.

Their cores are those of the process that starts them: see `Share.starting`.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.deployment.formats import FORMATS
from bench.evaluation.averaging.probabilities import over_flips
from bench.profiling.clock.timing import latency, rate, seconds_of, seconds_since
from bench.profiling.host.cpu_noise import Host, Tally
from bench.profiling.process_memory import ProcessMemory

Call = Callable[[], Any]


def measure_file(form: str, file: str, threads: int, images: str, tta: str = "") -> dict[str, Any]:
    """Load a file and time it.

    Args:
        images: the path of an array of images, (N, H, W, C) in the graph's dtype.
        tta: "flips": time the mean over an image and its mirror image.
    """
    image = np.load(images)[:1]
    opened = []

    def load() -> Call:
        loaded = FORMATS[form].open(Path(file), threads)
        opened.append(loaded)
        return (lambda: over_flips(loaded.logits, image)) if tta else (lambda: loaded.logits(image))

    found = timed(load)
    return {**found, "computes": opened[0].computes}


def timed(load: Callable[[], Call]) -> dict[str, Any]:
    """Time the loading, the first call, the latency and the rate of awaited calls on one image; sample the memory."""
    memory = ProcessMemory()
    memory.start()
    start = time.perf_counter()
    call = load()
    load_seconds = seconds_since(start)
    first = 1000 * seconds_of(call)
    host, noise = Host(), Tally()
    before = host.reading()
    found = {"load_seconds": load_seconds, "first_call_ms": first, **latency(call)}
    found["images_per_second"] = rate(call, 1)
    noise.add(before, host.reading())
    memory.stop()
    return {**found, **memory.summary(), "others_share": noise.others_share}
