"""Compare evaluation at native size on the host and on the backend's device: `KERAS_BACKEND=jax native_rate.py`.

The two are run in turn and the ratio of their medians is printed: the device's time over the host's. Compilation isn't
timed. `bench/evaluation/native/choice.py` takes the host on a CPU, and the device on a GPU.
"""

import time
from statistics import median

import cv2
import keras
import numpy as np

from bench.evaluation.metric_protocol import Prediction
from bench.evaluation.native.device import DeviceRestorer
from bench.evaluation.native.host import HostRestorer
from bench.evaluation.native.outcome import NO_MAP, Restorer, Wanted
from bench.training.engines import create_runtime

ROUNDS, IMAGES, SIDE = 3, 8, 128
CASES = {"Carvana": (2, (1280, 1918)), "Airbus": (2, (768, 768)), "pets": (3, (375, 500))}  # classes, native size
KINDS = {"validation": Wanted(levels=False, maps=False), "test": Wanted(levels=True, maps=True)}


def batch(classes: int, size: tuple[int, int]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Draw smooth logits (IMAGES, SIDE, SIDE, classes) and the labels that they predict, at native size."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(IMAGES, SIDE, SIDE, classes)).astype(np.float32) * 40
    logits = np.stack([cv2.GaussianBlur(one, (0, 0), 4) for one in noise])
    labels = logits.argmax(axis=-1).astype(np.uint8)
    return logits, [cv2.resize(one, size[::-1], interpolation=cv2.INTER_NEAREST) for one in labels]


def seconds(way: Restorer, logits: np.ndarray, truths: list[np.ndarray], wanted: Wanted) -> float:
    start, names = time.perf_counter(), [str(label) for label in range(logits.shape[-1])]
    for truth, outcome in way.outcomes(logits, truths, wanted):
        classes, *known = outcome
        prediction = Prediction(truth, classes, names, NO_MAP, None, NO_MAP, *known)
        _ = prediction.counts
        if wanted.levels and len(names) == 2:
            _ = prediction.threshold_counts
    return time.perf_counter() - start


def main() -> None:
    backend = keras.backend.backend()
    ways = HostRestorer("stretch"), DeviceRestorer(create_runtime(backend), "stretch", worth=0)
    for name, (classes, size) in CASES.items():
        logits, truths = batch(classes, size)
        for kind, wanted in KINDS.items():
            times = [[seconds(way, logits, truths, wanted) for way in ways] for _ in range(1 + ROUNDS)][1:]
            host, device = (median(some) for some in zip(*times, strict=True))
            print(f"{backend} {name} {kind}: host {1000 * host / IMAGES:.2f} ms an image, device / host = "
                  f"{device / host:.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
