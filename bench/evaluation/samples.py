"""Sample overlays: image, truth and prediction side by side, for the report and for a look."""

from pathlib import Path

import numpy as np
from PIL import Image

from bench.evaluation.overlay import overlay
from bench.evaluation.predict import Predictor
from bench.pipeline import batches
from bench.pipeline.pack import Pack
from bench.spec import IGNORE_INDEX

COUNT = 6
GAP = 4  # pixels between the pictures


def write_samples(predictor: Predictor, pack: Pack, indexes: np.ndarray, folder: Path) -> None:
    """Write up to six PNGs, evenly spaced over `indexes`: the same images for every trial on the data."""
    chosen = indexes[np.unique(np.linspace(0, len(indexes) - 1, COUNT).astype(int))]
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for images, labels, valid in batches.evaluation(pack, chosen, predictor.batch_size):
        predicted, _ = predictor.classes(images)
        for image, truth, classes in zip(images[:valid], labels, predicted, strict=False):
            name = "".join(c if c.isalnum() or c in "-_" else "_" for c in pack.names[chosen[number]])
            Image.fromarray(_strip(image, truth, classes)).save(folder / f"{number}_{name[:60]}.png")
            number += 1


def _strip(image: np.ndarray, truth: np.ndarray, classes: np.ndarray) -> np.ndarray:
    gap = np.full((image.shape[0], GAP, 3), 255, np.uint8)
    classes = np.where(truth == IGNORE_INDEX, IGNORE_INDEX, classes)  # what does not count, such as padding, is clear
    return np.concatenate([image, gap, overlay(image, truth), gap, overlay(image, classes)], axis=1)
