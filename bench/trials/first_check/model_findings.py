"""Judge what the child process of the first check has measured of a model on one batch."""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from bench.core.errors import first_few
from bench.trials.first_check.finding import FAILED, OK, WARNING, Finding

LEARNED = 0.9  # mean IoU on the batch, from which on it counts as overfitted
FALLING = 0.95  # ratio of the losses of the last quarter and the one before, below which the loss still falls
VANISHING, EXPLODING = 1e-6, 1e6  # times the median layer's gradient
_NAMED = 3
CAUSES = (
    "Usual causes: a learning rate that is too high or too low (--lr), labels that don't belong to their images, "
    "frozen or unconnected layers, a softmax before the loss, an output stride that is too coarse for the objects."
)


def model_findings(facts: Mapping[str, Any], lr: float) -> Iterator[Finding]:
    """Judge outputs, gradients and the overfitting of one batch; `facts` are those of `children.first_check.probe`."""
    yield _outputs(facts["outputs"])
    yield _gradients(facts["gradients"], facts["frozen"])
    yield _overfit(facts["overfit"], lr)


def _outputs(outputs: Mapping[str, Any]) -> Finding:
    """Judge the logits of the untrained model."""
    low, high = outputs["low"], outputs["high"]
    if not outputs["finite"]:
        return Finding("outputs", FAILED, "not finite before any training", "Look for a division or logarithm of 0.")
    said = f"logits {low:.3g} to {high:.3g} before training"
    if outputs["probabilities"]:
        return Finding(
            "outputs",
            FAILED,
            f"{said}: they are probabilities",
            "The loss wants logits: leave the softmax or sigmoid out.",
        )
    if outputs["constant"]:
        return Finding(
            "outputs", FAILED, f"{said}: the same for every pixel", "The output doesn't depend on the image."
        )
    return Finding("outputs", OK, said)


def _gradients(gradients: Mapping[str, float | None], frozen: int) -> Finding:
    """Judge the gradient's size by layer; None is a gradient that isn't finite."""
    kept = f"; {frozen:,} weights are frozen" if frozen else ""
    if broken := [name for name, size in gradients.items() if size is None]:
        return Finding(
            "gradients", FAILED, f"not finite in {_named(broken, gradients)}{kept}", "Lower --lr, or mend it."
        )
    if not gradients:
        return Finding("gradients", FAILED, f"there is nothing to train{kept}", "Is every layer frozen?")
    sizes = {name: size for name, size in gradients.items() if size}
    if dead := [name for name in gradients if name not in sizes]:
        advice = "These layers don't reach the loss: are they connected, or are their activations all 0?"
        return Finding("gradients", FAILED, f"none in {_named(dead, gradients)}{kept}", advice)
    middle = median(sizes.values())
    said = f"{len(sizes)} layers, root mean square {min(sizes.values()):.1e} to {max(sizes.values()):.1e}{kept}"
    for wrong, limit in (("vanishes", VANISHING), ("explodes", EXPLODING)):
        far = [name for name, size in sizes.items() if (size - limit * middle) * math.log(limit) > 0]
        if far:
            advice = "Normalise (batch norm), or start from other weights."
            return Finding("gradients", WARNING, f"{said}; it {wrong} in {_named(far, gradients)}", advice)
    return Finding("gradients", OK, said)


def _named(some: Sequence[str], all_of: Mapping[str, Any]) -> str:
    return f"{len(some)} of {len(all_of)} layers: {first_few(some, _NAMED)}"


def _overfit(overfit: Mapping[str, Any], lr: float) -> Finding:
    """Judge the training on one batch, again and again."""
    losses, score = overfit["losses"], overfit["mean_iou"]
    what = "one batch overfitted"
    if overfit["diverged"]:
        return Finding(what, FAILED, f"the loss is not finite after {len(losses)} steps", f"Lower --lr ({lr:g}).")
    said = f"mean IoU {overfit['first_mean_iou']:.2f} to {score:.2f}, loss {losses[0]:.3g} to {losses[-1]:.3g}"
    said += f" in {len(losses)} steps, {overfit['seconds']:.0f} s"
    if score >= LEARNED:
        return Finding(what, OK, said)
    missing = overfit["never_predicted"]
    said += f"; never predicted: {', '.join(missing)}" if missing else ""
    if still_falls(losses):
        return Finding(what, WARNING, f"{said}; the loss still falls", "Give it more time: --seconds.")
    return Finding(what, FAILED, f"{said}: it can't overfit one batch", CAUSES)


def still_falls(losses: Sequence[float]) -> bool:
    """Tell whether the median loss of the last quarter is 5 % or more below that of the quarter before."""
    quarter = len(losses) // 4
    if not quarter:
        return True
    return median(losses[-quarter:]) < FALLING * median(losses[-2 * quarter : -quarter])
