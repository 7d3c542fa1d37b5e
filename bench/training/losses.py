"""Losses on logits, and weighted sums of them by name: "ce", "dice", "ce+dice", "0.5*ce+dice".

They use only keras.ops, so they are the same on all backends. Pixels whose label is not a class (`IGNORE_INDEX`) don't
count and get no gradient; a batch that has only such pixels has a loss of 0. In the losses that are means over pixels
(ce, bce, focal), class weights multiply each pixel's loss by the weight of its true class. The divisor remains the
number of counted pixels, so that a batch without a rare class does not get a larger loss. In the losses that are means
over classes (dice, tversky, lovasz), the class weights weight that mean.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from keras import ops

from bench.config.loss_text import parse_loss

Tensor = Any  # the backend's tensor type
Loss = Callable[[Tensor, Tensor], Tensor]  # labels (B, H, W) int, logits (B, H, W, C) float32 -> scalar
# One-hot labels (0 where ignored) and logits, both (B, H, W, C), class weights (C,) or None -> scalar
Term = Callable[[Tensor, Tensor, Tensor | None], Tensor]

_DICE_SMOOTHING = 1.0  # pixels
_FALSE_POSITIVES, _FALSE_NEGATIVES = 0.3, 0.7  # alpha and beta of the Tversky loss


def cross_entropy(true: Tensor, logits: Tensor, weights: Tensor | None, label_smoothing: float = 0.0) -> Tensor:
    """Compute cross-entropy: the mean of -log(probability of the true class) over the batch's counted pixels."""
    target = _smoothed(true, label_smoothing, logits.shape[-1])
    return _mean_over_pixels(target * ops.log_softmax(logits, axis=-1), true, weights)


def binary_cross_entropy(true: Tensor, logits: Tensor, weights: Tensor | None, label_smoothing: float = 0.0) -> Tensor:
    """Compute the binary cross-entropy of each class against the rest, mean over the counted pixels and the classes.

    With two classes it equals `cross_entropy`, since the sigmoid of the difference of the two logits decides. With
    more, each class has a sigmoid of its own logit, and the prediction is still the class with the largest logit.
    """
    if logits.shape[-1] == 2:
        return cross_entropy(true, logits, weights, label_smoothing)
    counted = ops.sum(true, axis=-1, keepdims=True)
    target = _smoothed(true, label_smoothing, 2)
    losses = counted * ops.binary_crossentropy(target, logits, from_logits=True) / logits.shape[-1]
    return _mean_over_pixels(-losses, true, weights)


def focal(true: Tensor, logits: Tensor, weights: Tensor | None) -> Tensor:
    """Compute the focal loss: the mean of -(1 - p)^2 log(p) over the counted pixels, p the true class's probability.

    Lin et al. 2017, arXiv:1708.02002, equation 4, with gamma 2 (the best value there), on softmax probabilities.
    Class weights replace the paper's alpha.
    """
    logarithms = ops.log_softmax(logits, axis=-1)
    return _mean_over_pixels(true * ops.square(1 - ops.exp(logarithms)) * logarithms, true, weights)


def dice(true: Tensor, logits: Tensor, weights: Tensor | None) -> Tensor:
    """Compute the mean over classes of 1 - soft Dice (Milletari et al. 2016, arXiv:1606.04797, without squares).

    A class's sums run over the whole batch, as the metric's run over the split: summed by image, classes that most
    images lack would be mostly noise. One pixel is added to the numerator and to the denominator, so that a class
    that is neither true nor predicted adds almost nothing to the loss.
    """
    both, sizes, predicted = _overlaps(true, logits)
    sizes = sizes + predicted
    return _one_less_mean((2 * both + _DICE_SMOOTHING) / (sizes + _DICE_SMOOTHING), weights)


def tversky(true: Tensor, logits: Tensor, weights: Tensor | None) -> Tensor:
    """Compute the mean over classes of 1 - TP / (TP + 0.3 FP + 0.7 FN), on probabilities.

    A false negative weighs more than a false positive. Salehi et al. 2017, arXiv:1706.05721, with alpha 0.3 and beta
    0.7, the best values there. Sums and smoothing are as in `dice`, which is the same with 0.5 and 0.5.
    """
    both, sizes, predicted = _overlaps(true, logits)
    errors = _FALSE_POSITIVES * (predicted - both) + _FALSE_NEGATIVES * (sizes - both)
    smoothing = _DICE_SMOOTHING / 2
    return _one_less_mean((both + smoothing) / (both + errors + smoothing), weights)


def lovasz(true: Tensor, logits: Tensor, weights: Tensor | None) -> Tensor:
    """Compute the Lovász-softmax loss: a surrogate of 1 - IoU, mean over the classes that are true in the batch.

    Berman et al. 2018, arXiv:1705.08790, algorithm 1, over the whole batch. The errors are sorted in descending order,
    and each is weighted by its increase of 1 - IoU: 1 / union where the class is true, otherwise
    intersection / (union (union - 1)). In this form, unlike as a difference of two IoUs, float32 is precise enough.
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
    """Return the loss of a name: a term or a sum of terms, each with a weight in front unless the weight is 1.

    Args:
        name: the loss, such as "0.5*ce+dice".
        class_weights: one weight per class, 0 or more; None is 1 for all classes.
        label_smoothing: the fraction of each label that cross-entropy terms spread evenly over all classes (Szegedy et
            al. 2016, arXiv:1512.00567, section 7), or, in `bce`, over the class and the rest.

    Returns:
        A function from labels (B, H, W), any integers, and logits (B, H, W, C) float32 to a float32 scalar.

    Raises:
        BenchError: a term is unknown, or `name` is not a sum of terms.
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
    """Encode integer labels (...) as float32 (..., num_classes), all 0 where a label is not a class."""
    return ops.cast(ops.equal(ops.cast(labels, "int32")[..., None], ops.arange(num_classes, dtype="int32")), "float32")


def _smoothed(true: Tensor, share: float, choices: int) -> Tensor:
    """Spread a fraction `share` of each one-hot label (B, H, W, C) evenly over `choices`; ignored pixels stay 0."""
    return true if not share else (1 - share) * true + ops.sum(true, axis=-1, keepdims=True) * share / choices


def _mean_over_pixels(gains: Tensor, true: Tensor, weights: Tensor | None) -> Tensor:
    """Return minus the sum of `gains` (B, H, W, C), divided by the number of counted pixels; 0 if no pixel counts."""
    if weights is not None:
        gains = gains * ops.sum(true * weights, axis=-1, keepdims=True)
    return -ops.sum(gains) / ops.maximum(ops.sum(true), 1.0)


def _one_less_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """Return 1 minus the (weighted) mean of `values` (C,) over the classes; exactly 0 if all are 1."""
    return 1 - ops.mean(values) if weights is None else ops.sum((1 - values) * weights) / ops.sum(weights)


def _overlaps(true: Tensor, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return each class's soft pixel counts in the batch, (C,): both true and predicted, true, and predicted."""
    probabilities = ops.softmax(logits, axis=-1) * ops.sum(true, axis=-1, keepdims=True)  # 0 where ignored
    both = ops.sum(true * probabilities, axis=(0, 1, 2))
    return both, ops.sum(true, axis=(0, 1, 2)), ops.sum(probabilities, axis=(0, 1, 2))
