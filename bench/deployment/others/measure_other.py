"""The child process that times a model of somebody else; it has only its runtime and NumPy in memory."""

from pathlib import Path
from typing import Any

import numpy as np

from bench.deployment.measure import Call, timed
from bench.deployment.others.kinds import KINDS


def measure(kind: str, file: str, threads: int, images: str) -> dict[str, Any]:
    """Load a file and time it as `bench deploy` times its own.

    Args:
        kind: a name in `KINDS`.
        images: the path of an input of the graph, which `score` has written.
    """
    image = np.load(images)
    opened = []

    def load() -> Call:
        loaded = KINDS[kind].open(Path(file), threads)
        opened.append(loaded)
        return lambda: loaded.run(image)

    return {**timed(load), "computes": opened[0].computes, **KINDS[kind].identity(Path(file))}
