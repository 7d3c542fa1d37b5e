"""Estimate batch norm statistics anew on training batches before every evaluation.

With a short budget the moving averages still depend on their initialisation, so that trials would be ranked by the
momentum of their batch norm. The method is "Precise BN": Wu and Johnson 2021, arXiv:2105.07576.
"""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from bench.training.engines.engine import Engine, to_numpy


def reestimate(engine: Engine, batches: Iterable[np.ndarray]) -> int:
    """Set the moving mean and variance of every trainable batch norm to those of all batches together.

    Args:
        batches: uint8 (B, H, W, 3), without augmentation. Frozen layers keep their statistics.

    Returns:
        The number of layers that were set; a model with none costs no time.
    """
    layers = [
        layer
        for layer in engine.model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    if not layers:
        return 0
    count = 0
    means = [np.zeros(layer.moving_mean.shape) for layer in layers]
    squares = [np.zeros(layer.moving_mean.shape) for layer in layers]
    for images in batches:
        for i, (mean, variance) in enumerate(_batch_statistics(engine, layers, images)):
            means[i] += mean
            squares[i] += variance + mean**2
        count += 1
    engine.pull()
    for layer, total, square in zip(layers, means, squares, strict=True):
        layer.moving_mean.assign(total / count)
        layer.moving_variance.assign(np.maximum(square / count - (total / count) ** 2, 0.0))
    engine.push()
    return len(layers)


def _batch_statistics(engine: Engine, layers: list[Any], images: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Read the statistics of one batch from each layer: after a step from zero, moving = (1 - momentum) * batch."""
    engine.pull()
    for layer in layers:
        layer.moving_mean.assign(np.zeros(layer.moving_mean.shape))
        layer.moving_variance.assign(np.zeros(layer.moving_variance.shape))
    engine.push()
    engine.update_statistics(images)
    engine.pull()
    return [(_undo(layer, layer.moving_mean), _undo(layer, layer.moving_variance)) for layer in layers]


def _undo(layer: keras.layers.BatchNormalization, moving: keras.Variable) -> np.ndarray:
    return to_numpy(moving).astype("float64") / (1.0 - layer.momentum)
