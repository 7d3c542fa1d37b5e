"""Predict by the mean of the probabilities of several views: mirrored or scaled images, or several models."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.data import geometry
from bench.evaluation.averaging.probabilities import logarithms, softmax
from bench.evaluation.native.host import decide
from bench.evaluation.predictor import Predictor

_CALLS = 5  # timed calls of each predictor, in turn


@dataclass(frozen=True)
class View:
    """One of the predictions that are averaged: by a model, of images that may be mirrored, or at the model's size."""

    predictor: Predictor
    mirrored: bool = False

    def __str__(self) -> str:
        height, width = self.predictor.image_size
        return f"{height}x{width}{' mirrored' if self.mirrored else ''}"

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Predict a pack's images (N, H, W, bands), of any size, and return float32 (N, H, W, C) of that size."""
        size, own = images.shape[1:3], self.predictor.image_size
        shown = images[:, :, ::-1] if self.mirrored else images
        if size != own:
            shown = np.stack([geometry.resize_image(image, own) for image in shown])
        found = softmax(self.predictor.logits(np.ascontiguousarray(shown)))
        if size != own:
            found = np.stack([geometry.restore(image, (size[0], size[1])) for image in found])
        return found[:, :, ::-1] if self.mirrored else found


class MeanPredictor(Predictor):
    """A predictor whose logits are the logarithms of the mean of its views' probabilities.

    Args:
        views: the first one's image size and resize policy are those of the whole.
    """

    def __init__(self, views: Sequence[View]):
        first = views[0].predictor
        super().__init__(first.engine, first.image_size, batch_size=first.batch_size, resize=first.resize)
        self.views = tuple(views)

    def classes(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predict the classes and, for two classes, the probability of class 1: see `Predictor`."""
        return decide(self.logits(images))

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Compute logits whose softmax is the mean: (N, *image_size, bands) to float32 (N, *image_size, C)."""
        total = self.views[0].probabilities(images)
        for view in self.views[1:]:
            total = total + view.probabilities(images)
        return logarithms(total / np.float32(len(self.views)))


def mirrored_views(predictor: Predictor) -> list[View]:
    """Return the image as it is and its mirror image, left and right swapped."""
    return [View(predictor), View(predictor, mirrored=True)]


def milliseconds_per_image(predictors: Mapping[str, Predictor], dtype: np.dtype[Any]) -> dict[str, float]:
    """Time predictors in turn on a full batch of black images, input and result on the host; median of five calls.

    Args:
        dtype: of a pack's images, uint8 or uint16.
    """
    seconds: dict[str, list[float]] = {name: [] for name in predictors}
    for call in range(1 + _CALLS):  # the first one compiles
        for name, predictor in predictors.items():
            images = np.zeros((predictor.batch_size, *predictor.image_size, predictor.bands), dtype)
            start = time.perf_counter()
            predictor.classes(images)
            if call:
                seconds[name].append((time.perf_counter() - start) / len(images))
    return {name: 1000 * float(np.median(some)) for name, some in seconds.items()}
