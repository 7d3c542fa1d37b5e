"""Losses on softmax logits, and weighted sums of them by name: "ce", "dice", "ce+dice", "0.5*ce+dice".

keras.ops only, the same on all backends. Pixels whose label is none of the classes (`IGNORE_INDEX`) neither
count nor get a gradient.
"""

from collections.abc import Callable
from typing import Any

from keras import ops

from bench.loss_name import parse_loss

Tensor = Any  # of the backend
Loss = Callable[[Tensor, Tensor], Tensor]  # labels (B, H, W) int, logits (B, H, W, C) float32 -> scalar
Term = Callable[[Tensor, Tensor], Tensor]  # one-hot labels (0 where ignored), logits, both (B, H, W, C) -> scalar

_DICE_SMOOTHING = 1.0  # pixels


def cross_entropy(true: Tensor, logits: Tensor) -> Tensor:
    """Mean over the counted pixels of the batch of -log(probability of the true class); 0 where none counts."""
    return -ops.sum(true * ops.log_softmax(logits, axis=-1)) / ops.maximum(ops.sum(true), 1.0)


def dice(true: Tensor, logits: Tensor) -> Tensor:
    """Mean over classes of 1 - soft dice, on probabilities (Milletari et al. 2016, arXiv:1606.04797, without squares).

    A class's sums run over the whole batch, as the metric's run over the split: by image, classes that most
    images lack would be mostly noise. One pixel is added above and below the fraction bar, so that a class that
    is neither true nor predicted costs about nothing.
    """
    probabilities = ops.softmax(logits, axis=-1) * ops.sum(true, axis=-1, keepdims=True)  # 0 where ignored
    both = ops.sum(true * probabilities, axis=(0, 1, 2))  # (C,)
    sizes = ops.sum(true, axis=(0, 1, 2)) + ops.sum(probabilities, axis=(0, 1, 2))
    return 1 - ops.mean((2 * both + _DICE_SMOOTHING) / (sizes + _DICE_SMOOTHING))


TERMS: dict[str, Term] = {"ce": cross_entropy, "dice": dice}


def loss_function(name: str) -> Loss:
    """The loss of that name: a term, or a sum of terms, each with a weight in front if it is not 1.

    Returns:
        A function of labels (B, H, W), any integers, and logits (B, H, W, C) float32, to a float32 scalar.

    Raises:
        BenchError: an unknown term, or no sum of terms.
    """
    terms = [(weight, TERMS[term]) for term, weight in parse_loss(name).items()]

    def loss(labels: Tensor, logits: Tensor) -> Tensor:
        true = one_hot(labels, logits.shape[-1])
        return sum(weight * term(true, logits) for weight, term in terms)

    return loss


def one_hot(labels: Tensor, num_classes: int) -> Tensor:
    """Labels (...), any integers -> float32 (..., num_classes); all 0 where the label is none of the classes."""
    return ops.cast(ops.equal(ops.cast(labels, "int32")[..., None], ops.arange(num_classes, dtype="int32")), "float32")
