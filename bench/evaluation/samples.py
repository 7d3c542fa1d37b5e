"""Sample overlays: image, truth and prediction side by side, for the report and for a look."""

from pathlib import Path

import numpy as np
from keras import ops
from PIL import Image

from bench.backends.base import Engine
from bench.pipeline import batches
from bench.pipeline.pack import Pack
from bench.spec import IGNORE_INDEX

COUNT = 6
# Okabe and Ito's colours, told apart by the colour-blind; class 0 is left clear.
PALETTE = np.array(
    [
        [0, 0, 0],
        [230, 159, 0],
        [86, 180, 233],
        [0, 158, 115],
        [240, 228, 66],
        [0, 114, 178],
        [213, 94, 0],
        [204, 121, 167],
    ]
)
OPACITY = 0.6
GAP = 4  # pixels between the pictures


def write_samples(engine: Engine, pack: Pack, indexes: np.ndarray, folder: Path, *, batch_size: int) -> None:
    """Write up to six PNGs, evenly spaced over `indexes`: the same images for every trial on the data."""
    chosen = indexes[np.unique(np.linspace(0, len(indexes) - 1, COUNT).astype(int))]
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for images, labels, valid in batches.evaluation(pack, chosen, batch_size):  # the batch size that is compiled
        predicted = ops.convert_to_numpy(engine.predict(images)[0])
        for image, truth, classes in zip(images[:valid], labels, predicted, strict=False):
            name = "".join(c if c.isalnum() or c in "-_" else "_" for c in pack.names[chosen[number]])
            Image.fromarray(_strip(image, truth, classes)).save(folder / f"{number}_{name[:60]}.png")
            number += 1


def _strip(image: np.ndarray, truth: np.ndarray, classes: np.ndarray) -> np.ndarray:
    gap = np.full((image.shape[0], GAP, 3), 255, np.uint8)
    return np.concatenate([image, gap, overlay(image, truth), gap, overlay(image, classes)], axis=1)


def overlay(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Colour the classes over a grey picture: uint8 (H, W, 3) and (H, W) to uint8 (H, W, 3); class 0 stays clear."""
    grey = np.repeat(image.mean(axis=-1, keepdims=True), 3, axis=-1)
    colours = PALETTE[np.minimum(labels, 254) % len(PALETTE)]
    opacity = np.where((labels == 0) | (labels == IGNORE_INDEX), 0.0, OPACITY)[..., None]
    return (grey * (1 - opacity) + colours * opacity).astype(np.uint8)
