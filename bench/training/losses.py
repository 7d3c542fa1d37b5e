"""Losses on logits, and weighted sums of them by name: "ce", "dice", "ce+dice", "0.5*ce+dice".

keras.ops only, the same on all backends. Pixels whose label is none of the classes (`IGNORE_INDEX`) neither
count nor get a gradient, and a batch of nothing else costs 0. Class weights multiply each pixel's loss by the weight
of its true class in the losses that are means over pixels (ce, bce, focal), whose divisor stays the number of counted
pixels, so that a batch without a rare class is no heavier for it; in those that are means over classes (dice,
tversky, lovasz) they weight that mean.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from keras import ops

from bench.config.loss_text import parse_loss

Tensor = Any  # of the backend
Loss = Callable[[Tensor, Tensor], Tensor]  # labels (B, H, W) int, logits (B, H, W, C) float32 -> scalar
# One-hot labels (0 where ignored) and logits, both (B, H, W, C), class weights (C,) or None -> scalar
Term = Callable[[Tensor, Tensor, Tensor | None], Tensor]

_DICE_SMOOTHING = 1.0  # pixels
_FALSE_POSITIVES, _FALSE_NEGATIVES = 0.3, 0.7  # alpha and beta of the Tversky loss


def cross_entropy(true: Tensor, logits: Tensor, weights: Tensor | None, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy: the mean of -log(probability of the true class) over the counted pixels of the batch."""
    target = _smoothed(true, label_smoothing, logits.shape[-1])
    return _mean_over_pixels(target * ops.log_softmax(logits, axis=-1), true, weights)


def binary_cross_entropy(true: Tensor, logits: Tensor, weights: Tensor | None, label_smoothing: float = 0.0) -> Tensor:
    """Binary cross-entropy of each class against the rest, mean over the counted pixels and the classes.

    With two classes one decision is left, by the sigmoid of the difference of the logits: the same as
    `cross_entropy`. With more, each class has a sigmoid of its own logit, and predictions stay the largest logit.
    """
    if logits.shape[-1] == 2:
        return cross_entropy(true, logits, weights, label_smoothing)
    counted = ops.sum(true, axis=-1, keepdims=True)
    target = _smoothed(true, label_smoothing, 2)
    losses = counted * ops.binary_crossentropy(target, logits, from_logits=True) / logits.shape[-1]
    return _mean_over_pixels(-losses, true, weights)


def focal(true: Tensor, logits: Tensor, weights: Tensor | None) -> Tensor:
    """Focal loss: the mean of -(1 - p)^2 log(p) over the counted pixels, p the true class's probability.

    Lin et al. 2017, arXiv:1708.02002, equation 4, with the gamma of 2 that was best there, on softmax probabilities.
    Class weights take the place of their alpha.
    """
    logarithms = ops.log_softmax(logits, axis=-1)
    return _mean_over_pixels(true * ops.square(1 - ops.exp(logarithms)) * logarithms, true, weights)


def dice(true: Tensor, logits: Tensor, weights: Tensor | None) -> Tensor:
    """Mean over classes of 1 - soft dice, on probabilities (Milletari et al. 2016, arXiv:1606.04797, without squares).

    A class's sums run over the whole batch, as the metric's run over the split: by image, classes that most
    images lack would be mostly noise. One pixel is added above and below the fraction bar, so that a class that
    is neither true nor predicted costs about nothing.
    """
    both, sizes, predicted = _overlaps(true, logits)
    sizes = sizes + predicted
    return _one_less_mean((2 * both + _DICE_SMOOTHING) / (sizes + _DICE_SMOOTHING), weights)


def tversky(true: Tensor, logits: Tensor, weights: Tensor | None) -> Tensor:
    """Mean over classes of 1 - TP / (TP + 0.3 FP + 0.7 FN), on probabilities: a miss weighs more than a false alarm.

    Salehi et al. 2017, arXiv:1706.05721, with alpha 0.3 and beta 0.7, the best there. Sums and smoothing as in
    `dice`, which is the same with 0.5 and 0.5.
    """
    both, sizes, predicted = _overlaps(true, logits)
    errors = _FALSE_POSITIVES * (predicted - both) + _FALSE_NEGATIVES * (sizes - both)
    smoothing = _DICE_SMOOTHING / 2
    return _one_less_mean((both + smoothing) / (both + errors + smoothing), weights)


def lovasz(true: Tensor, logits: Tensor, weights: Tensor | None) -> Tensor:
    """Lovász-softmax: mean over the classes that are true somewhere in the batch of the surrogate of 1 - IoU.

    Berman et al. 2018, arXiv:1705.08790, algorithm 1, over the whole batch. With the errors in falling order, each is
    weighted by how much it adds to 1 - IoU: 1 / union where the class is true, else
    intersection / (union (union - 1)). In this form, unlike a difference of two IoUs, float32 is exact enough.
    """
    flat, classes = ops.reshape(true, (-1, true.shape[-1])), true.shape[-1]
    counted = ops.sum(flat, axis=-1, keepdims=True)
    probabilities = ops.reshape(ops.softmax(logits, axis=-1), (-1, classes))
    errors = flat * (1 - probabilities) + (1 - flat) * probabilities
    errors = ops.transpose(counted * errors + counted - 1)  # (C, P); ignored pixels come last, at -1
    order = ops.argsort(-errors, axis=-1)
    true_here = ops.take_along_axis(ops.transpose(flat), order, axis=-1)
    sizes = ops.sum(flat, axis=0)  # (C,)
    union = sizes[:, None] + ops.cumsum(1 - true_here, axis=-1)
    intersection = sizes[:, None] - ops.cumsum(true_here, axis=-1)
    added = true_here / ops.maximum(union, 1.0) + (1 - true_here) * intersection / ops.maximum(union * (union - 1), 1.0)
    losses = ops.sum(ops.relu(ops.take_along_axis(errors, order, axis=-1)) * added, axis=-1)
    present = ops.cast(sizes > 0, "float32") * (1.0 if weights is None else weights)
    return ops.sum(losses * present) / ops.maximum(ops.sum(present), 1e-6)


TERMS: dict[str, Term] = {
    "ce": cross_entropy,
    "bce": binary_cross_entropy,
    "dice": dice,
    "focal": focal,
    "tversky": tversky,
    "lovasz": lovasz,
}


def loss_function(name: str, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0) -> Loss:
    """Find the loss of that name: a term, or a sum of terms, each with a weight in front unless it is 1.

    Args:
        name: such as "0.5*ce+dice".
        class_weights: one for each class, 0 or more; None is 1 for all.
        label_smoothing: the share of each label that terms of cross-entropy spread evenly over all classes (Szegedy et
            al. 2016, arXiv:1512.00567, section 7), or over class and rest in `bce`.

    Returns:
        A function of labels (B, H, W), any integers, and logits (B, H, W, C) float32, to a float32 scalar.

    Raises:
        BenchError: an unknown term, or no sum of terms.
    """
    smoothed: dict[str, Term] = {
        "ce": partial(cross_entropy, label_smoothing=label_smoothing),
        "bce": partial(binary_cross_entropy, label_smoothing=label_smoothing),
    }
    terms = [(weight, smoothed.get(term, TERMS[term])) for term, weight in parse_loss(name).items()]

    def loss(labels: Tensor, logits: Tensor) -> Tensor:
        true = one_hot(labels, logits.shape[-1])
        weights = None if class_weights is None else ops.convert_to_tensor(class_weights, "float32")
        return sum(weight * term(true, logits, weights) for weight, term in terms)

    return loss


def one_hot(labels: Tensor, num_classes: int) -> Tensor:
    """Encode integer labels (...) as float32 (..., num_classes); all 0 where the label is not a class."""
    return ops.cast(ops.equal(ops.cast(labels, "int32")[..., None], ops.arange(num_classes, dtype="int32")), "float32")


def _smoothed(true: Tensor, share: float, choices: int) -> Tensor:
    """Spread that share of each label, (B, H, W, C), evenly over so many choices; 0 where ignored."""
    return true if not share else (1 - share) * true + ops.sum(true, axis=-1, keepdims=True) * share / choices


def _mean_over_pixels(gains: Tensor, true: Tensor, weights: Tensor | None) -> Tensor:
    """Minus the sum of what each pixel gains, (B, H, W, C), over the number of counted pixels; 0 where none counts."""
    if weights is not None:
        gains = gains * ops.sum(true * weights, axis=-1, keepdims=True)
    return -ops.sum(gains) / ops.maximum(ops.sum(true), 1.0)


def _one_less_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """Return 1 minus the mean over classes of shares (C,); exactly 0 if all are 1."""
    return 1 - ops.mean(values) if weights is None else ops.sum((1 - values) * weights) / ops.sum(weights)


def _overlaps(true: Tensor, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of each class over the batch, (C,): true and predicted at once, true, and predicted, in (soft) pixels."""
    probabilities = ops.softmax(logits, axis=-1) * ops.sum(true, axis=-1, keepdims=True)  # 0 where ignored
    both = ops.sum(true * probabilities, axis=(0, 1, 2))
    return both, ops.sum(true, axis=(0, 1, 2)), ops.sum(probabilities, axis=(0, 1, 2))
