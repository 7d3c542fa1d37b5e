"""Probabilities of logits and their mean over an image and its mirror image, in NumPy alone."""

from collections.abc import Callable

import numpy as np

_LEAST = np.float32(1e-12)  # a probability whose logarithm is taken


def softmax(logits: np.ndarray) -> np.ndarray:
    """Compute probabilities over the last axis, float32."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def logarithms(probabilities: np.ndarray) -> np.ndarray:
    """Compute logits whose softmax is the probabilities."""
    return np.log(np.maximum(probabilities, _LEAST))


def over_flips(logits: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    """Compute logits whose softmax is the mean over images (N, H, W, C) and their mirror images, left to right."""
    mirrored = softmax(logits(np.ascontiguousarray(images[:, :, ::-1])))[:, :, ::-1]
    return logarithms((softmax(logits(images)) + mirrored) / np.float32(2))
