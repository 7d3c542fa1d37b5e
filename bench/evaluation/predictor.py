"""Predict images with a trained model: logits at the evaluation size, probabilities at an image's own size.

    predictor = Predictor(engine, config.image_size, batch_size=config.batch_size, resize=config.resize)
    for probabilities in predictor.probabilities(pictures):  # of any sizes
        ...                                                # float32 (H, W, C) at the image's own size

A model that was built for crops smaller than `image_size` gets overlapping tiles of its own size.
"""

from collections.abc import Iterable, Iterator
from itertools import islice, product
from typing import Any

import numpy as np
from keras import ops

from bench.data import geometry
from bench.data.reading.picture import Picture
from bench.evaluation.averaging.probabilities import softmax
from bench.evaluation.native.choice import restorer_for
from bench.evaluation.native.host import decide
from bench.training.engines.engine import InferenceEngine

OVERLAP = 0.25  # of a tile's side at least, because convolutions have less context near the border


class Predictor:
    """A predictor that applies an engine's model to images of any size, `batch_size` at a time, the compiled shape.

    Args:
        engine: its model takes (B, h, w, bands), where h and w are those of `image_size` or smaller.
        image_size: height and width in pixels to which images are resized.
        batch_size: images or tiles in one call of the model.
        resize: the policy, see bench/data/geometry.py; "crop" can't be undone to an image's own size.
    """

    def __init__(
        self, engine: InferenceEngine, image_size: tuple[int, int], *, batch_size: int, resize: str = "stretch"
    ):
        self.engine, self.resize, self.batch_size = engine, resize, batch_size
        self.image_size = (image_size[0], image_size[1])
        self._tile, self.bands = tuple(engine.model.input_shape[1:3]), int(engine.model.input_shape[3])
        starts = [_starts(side, tile) for side, tile in zip(self.image_size, self._tile, strict=True)]
        self._places = list(product(*starts))
        self.restorer = restorer_for(engine, engine.model.output_shape[-1], resize)

    @property
    def tiled(self) -> bool:
        """True if the model gets tiles of an image, not the whole image."""
        return self._tile != self.image_size

    def classes(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predict the classes and, for two classes, the probability of class 1, at the evaluation size.

        Args:
            images: uint8 or uint16 (N, *image_size, bands).

        Returns:
            uint8 (N, *image_size), and float32 of the same shape; for more than two classes the second is empty.
        """
        if not self.tiled:  # the function that is compiled anyway, for latency and throughput
            parts = [_numpy(self.engine.predict(batch)) for batch in self._batches(images)]
            classes, foreground = (np.concatenate(part)[: len(images)] for part in zip(*parts, strict=True))
            return classes, foreground
        return decide(self.logits(images))

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Compute the logits at the evaluation size: (N, *image_size, bands) to float32 (N, *image_size, C).

        Where tiles overlap, their logits are averaged with weights that fall towards each tile's border.
        """
        if not self.tiled:
            parts = [np.asarray(ops.convert_to_numpy(self.engine.logits(batch))) for batch in self._batches(images)]
            return np.concatenate(parts)[: len(images)]
        window = _window(self._tile)[..., None]
        total = np.zeros((len(images), *self.image_size, self.engine.model.output_shape[-1]), np.float32)
        weights = np.zeros((*self.image_size, 1), np.float32)
        for place in self._places:
            weights[self._inside(place)] += window
        places = list(product(range(len(images)), self._places))
        for start in range(0, len(places), self.batch_size):
            some = places[start : start + self.batch_size]
            tiles = np.stack([images[row][self._inside(place)] for row, place in some])
            (batch,) = self._batches(tiles)
            logits = ops.convert_to_numpy(self.engine.logits(batch))
            for (row, place), values in zip(some, logits, strict=False):
                total[row][self._inside(place)] += window * values
        return total / weights

    def restore(self, logits: np.ndarray, original_size: tuple[int, int]) -> np.ndarray:
        """Resize the logits of one image to its own size: float32 (*image_size, C) to (*original_size, C)."""
        return geometry.restore(logits, original_size, self.resize)

    def restored_classes(
        self, logits: np.ndarray, original_size: tuple[int, int], *, foreground: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """Do the same as `decide(restore(...))` for the logits of one image, but faster."""
        if logits.shape[-1] == 2:  # scaling is linear: only the difference is scaled
            logits = logits[..., 1:] - logits[..., :1]
        return decide(self.restore(logits, original_size), foreground=foreground)

    def probabilities(self, pictures: Iterable[Picture]) -> Iterator[np.ndarray]:
        """Predict the probability of every class at each picture's own size, one picture after the other.

        Args:
            pictures: of any sizes; `batch_size` of them are read ahead.

        Yields:
            float32 (H, W, C); the classes of a pixel add up to 1.
        """
        waiting = iter(pictures)
        while batch := list(islice(waiting, self.batch_size)):
            resized = np.stack([geometry.resize_picture(picture, self.image_size, self.resize) for picture in batch])
            for picture, logits in zip(batch, self.logits(resized), strict=True):
                yield softmax(self.restore(logits, picture.size))

    def _inside(self, place: tuple[int, ...]) -> tuple[slice, ...]:
        return tuple(slice(start, start + side) for start, side in zip(place, self._tile, strict=True))

    def _batches(self, images: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the images in batches of `batch_size`, the last one padded with black images."""
        for start in range(0, len(images), self.batch_size):
            batch = images[start : start + self.batch_size]
            missing = self.batch_size - len(batch)
            yield np.pad(batch, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else batch


def _starts(side: int, tile: int) -> list[int]:
    """List the starts of the tiles along one axis: evenly spaced, so that the last tile ends at the image's end."""
    step = max(1, int(tile * (1 - OVERLAP)))
    count = 1 + -(-(side - tile) // step)
    return [round(start) for start in np.linspace(0, side - tile, count)]


def _window(tile: tuple[int, ...]) -> np.ndarray:
    """Make the weights of a tile's pixels, float32 (h, w): the product of the distances to the nearest borders."""
    rows, columns = (np.minimum(np.arange(1, side + 1), np.arange(side, 0, -1)) for side in tile)
    return np.outer(rows, columns).astype(np.float32)


def _numpy(values: tuple[Any, ...]) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(ops.convert_to_numpy(value)) for value in values)
