"""Classes in colour over a picture."""

import numpy as np

from bench.spec import IGNORE_INDEX

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


def overlay(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Colour the classes over a grey picture: uint8 (H, W, 3) and (H, W) to uint8 (H, W, 3); class 0 stays clear."""
    grey = np.repeat(image.mean(axis=-1, keepdims=True), 3, axis=-1)
    colours = PALETTE[np.minimum(labels, 254) % len(PALETTE)]
    opacity = np.where((labels == 0) | (labels == IGNORE_INDEX), 0.0, OPACITY)[..., None]
    return (grey * (1 - opacity) + colours * opacity).astype(np.uint8)
