"""Compute the class weights of a loss from the class frequencies in the training images."""

from collections.abc import Iterable

import numpy as np

from bench.config.loss_text import parse_class_weights


def class_weights(choice: str, labels: Iterable[np.ndarray], num_classes: int) -> tuple[float, ...] | None:
    """Compute the weight of each class; None for "none". A class without training pixels has the weight 0.

    Args:
        choice: "none"; "balanced" gives every class the same total weight: pixels / (classes x pixels of the class),
            which is 1 on average over pixels; "median-frequency" is the median of the frequencies / frequency, where
            a class's frequency is its share of the pixels in the images that contain it (Eigen and Fergus 2015,
            arXiv:1411.4734); or the weights themselves, such as "[0.3,0.7]".
        labels: of the training images, uint8 (H, W) each; pixels whose label is not a class don't count.
        num_classes: the number of classes, background included.
    """
    parsed = parse_class_weights(choice, num_classes)
    if not isinstance(parsed, str):
        return parsed
    if parsed == "none":
        return None
    counts = _counts(labels, num_classes)
    pixels = counts.sum(axis=0)
    seen = pixels > 0
    if parsed == "balanced":
        frequencies = pixels / max(1, pixels.sum())
        target = 1 / max(1, seen.sum())
    else:
        frequencies = pixels / np.maximum(1, (counts.sum(axis=1)[:, None] * (counts > 0)).sum(axis=0))
        target = np.median(frequencies[seen]) if seen.any() else 0.0
    return tuple(np.where(seen, target / np.where(seen, frequencies, 1.0), 0.0).tolist())


def _counts(labels: Iterable[np.ndarray], num_classes: int) -> np.ndarray:
    """Count the pixels of each class in each image, int64 (images, classes)."""
    return np.stack([np.bincount(one.ravel(), minlength=256)[:num_classes] for one in labels])
