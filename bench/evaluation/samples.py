"""Sample overlays: image, truth and prediction side by side, for the report and for a look."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bench.evaluation.overlay import overlay
from bench.evaluation.predict import Predictor
from bench.metrics.scores import image_means
from bench.pipeline import batches
from bench.pipeline.pack import Pack
from bench.spec import IGNORE_INDEX

COUNT = 6
WORST = 4
GAP = 4  # pixels between the pictures


def write_samples(predictor: Predictor, pack: Pack, indexes: np.ndarray, folder: Path) -> None:
    """Write up to six PNGs, evenly spaced over `indexes`: the same images for every trial on the data."""
    chosen = indexes[np.unique(np.linspace(0, len(indexes) - 1, COUNT).astype(int))]
    _write(predictor, pack, chosen, folder, [""] * len(chosen))


def write_worst(predictor: Predictor, pack: Pack, indexes: np.ndarray, counts: np.ndarray, folder: Path) -> None:
    """Write up to four PNGs of the images with the lowest mean IoU of their own, the worst first.

    Args:
        indexes: of the split's images in the pack, (N,).
        counts: int64 (N, C, 3), as in the per-image table; an image in which no class counts is never among the worst.
    """
    scores = image_means(counts)
    order = [place for place in np.argsort(scores, kind="stable")[:WORST] if np.isfinite(scores[place])]
    _write(predictor, pack, indexes[order], folder, [f"{scores[place]:.3f}_" for place in order])


def _write(predictor: Predictor, pack: Pack, chosen: np.ndarray, folder: Path, prefixes: Sequence[str]) -> None:
    """`0_0.412_image.png`, ...: the number, what stands before the name, and the name."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for images, labels, valid in batches.evaluation(pack, chosen, predictor.batch_size):
        predicted, _ = predictor.classes(images)
        for image, truth, classes in zip(images[:valid], labels, predicted, strict=False):
            name = "".join(c if c.isalnum() or c in "-_" else "_" for c in pack.names[chosen[number]])
            strip = Image.fromarray(_strip(image, truth, classes))
            strip.save(folder / f"{number}_{prefixes[number]}{name[:60]}.png")
            number += 1


def _strip(image: np.ndarray, truth: np.ndarray, classes: np.ndarray) -> np.ndarray:
    gap = np.full((image.shape[0], GAP, 3), 255, np.uint8)
    classes = np.where(truth == IGNORE_INDEX, IGNORE_INDEX, classes)  # what does not count, such as padding, is clear
    return np.concatenate([image, gap, overlay(image, truth), gap, overlay(image, classes)], axis=1)
