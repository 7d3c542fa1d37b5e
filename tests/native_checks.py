"""Restore logits on a backend's device and on the host: `python tests/native_checks.py` prints differences as JSON."""

import json
from collections.abc import Iterator
from itertools import product

import keras
import numpy as np

from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX
from bench.evaluation.confusion import confusion_counts, level_counts
from bench.evaluation.native.device import DeviceRestorer
from bench.evaluation.native.host import HostRestorer
from bench.evaluation.native.outcome import Outcome, Wanted
from bench.training.engines import create_runtime

RUNTIME = create_runtime(keras.backend.backend())  # one, so that nothing is compiled twice
SIZES = [(1, 1), (37, 53), (9, 14), (18, 28), (130, 5), (37, 53), (1, 90), (37, 53), (4, 7), (37, 53)]


def labels(rng: np.random.Generator, classes: int, size: tuple[int, int]) -> np.ndarray:
    found = rng.integers(0, classes, size).astype(np.uint8)
    found[rng.random(size) < 0.1] = IGNORE_INDEX
    return found


def differences(host: Outcome, device: Outcome, truth: np.ndarray, classes: int, wanted: Wanted) -> Iterator[str]:
    """Name what differs between the two ways for one image."""
    if device.counts is None or (confusion_counts(truth[None], host.classes[None], classes)[0] != device.counts).any():
        yield "counts"
    if wanted.maps and not np.array_equal(host.classes, device.classes):
        yield "classes"
    if wanted.levels and classes == 2:
        if (level_counts(truth[None], host.passed[None])[0] != device.threshold_counts).any():
            yield "threshold counts"
        if wanted.maps and not np.array_equal(host.passed, device.passed):
            yield "levels"


def compare(logits: np.ndarray, truths: list[np.ndarray], resize: str, wanted: Wanted) -> list[str]:
    ways = HostRestorer(resize), DeviceRestorer(RUNTIME, resize, worth=0)
    pairs = zip(*(way.outcomes(logits, truths, wanted) for way in ways), strict=True)
    found = []
    for (truth, host), (other, device) in pairs:
        assert truth is other
        found += differences(host, device, truth, logits.shape[-1], wanted)
    return [f"{len(truths)} of {logits.shape}, {resize}, {wanted}: {what}" for what in found]


def special_logits(rng: np.random.Generator) -> np.ndarray:
    """Two classes where rounding decides: zeros, differences at the cuts, huge ones, NaN and infinity."""
    logits = np.zeros((6, 9, 14, 2), np.float32)
    logits[1, ..., 1] = rng.choice(np.log(np.arange(1, 20) / np.arange(19, 0, -1)), (9, 14))
    logits[2, ..., 1] = rng.normal(size=(9, 14)) * 1e-7
    logits[3, ..., 1] = rng.normal(size=(9, 14)) * 1e30
    logits[4] = rng.normal(size=(9, 14, 2))
    logits[4, 3, 3, 1], logits[4, 6, 9] = np.nan, np.inf
    logits[5, ..., 1] = np.where(rng.random((9, 14)) < 0.5, np.inf, -np.inf)
    return logits


def refusal(classes: int) -> str:
    """Return the message for a label that is no class."""
    truth = np.full((3, 3), classes, np.uint8)
    try:
        compare(np.zeros((1, 2, 2, classes), np.float32), [truth], "stretch", Wanted(False, False))
    except BenchError as error:
        return str(error)
    return ""


def main() -> None:
    rng = np.random.default_rng(0)
    found: list[str] = []
    everything = [Wanted(levels=True, maps=True), Wanted(levels=False, maps=False)]
    for classes, wanted in ((2, everything), (7, everything[:1])):
        truths = [labels(rng, classes, size) for size in SIZES]
        logits = (rng.normal(size=(len(truths) + 2, 9, 14, classes)) * 5).astype(np.float32)  # two are padding
        for resize, one in product(("stretch", "letterbox"), wanted):
            found += compare(logits, truths, resize, one)
        found += compare(logits[:1], truths[:1], "stretch", wanted[0])  # a batch of one, of one pixel
    truths = [labels(rng, 2, (40, 61)) for _ in range(6)]
    found += compare(special_logits(rng), truths, "stretch", everything[0])
    print(json.dumps({"differences": found, "refusals": [refusal(2), refusal(7)]}))


if __name__ == "__main__":
    main()
