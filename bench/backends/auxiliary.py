"""Deep supervision: a second head that exists in training only (Zhao 2017, arXiv:1612.01105, section 3.3).

A builder returns a model with one output, the logits, and may set `model.auxiliary_logits` to another tensor
(B, H, W, num_classes) of the same graph. The engines train the model with both outputs; prediction, evaluation,
parameter counts and saved files are those of the model with one.
"""

from collections.abc import Callable
from typing import Any

import keras

AUXILIARY_WEIGHT = 0.4  # of the auxiliary loss: the paper's section 5.1


def training_model(model: keras.Model) -> keras.Model:
    """The model to train: `model` itself, or with the outputs [logits, auxiliary logits]; layers are shared."""
    auxiliary = getattr(model, "auxiliary_logits", None)
    if auxiliary is None:
        return model
    return keras.Model(model.input, [model.output, auxiliary], name=f"{model.name}_training")


def training_loss(loss: Callable[[Any, Any], Any], labels: Any, outputs: Any) -> Any:
    """The loss of what `training_model` returns: that of the logits, plus 0.4 times that of the auxiliary ones."""
    if not isinstance(outputs, list):
        return loss(labels, outputs)
    logits, auxiliary = outputs
    return loss(labels, logits) + AUXILIARY_WEIGHT * loss(labels, auxiliary)
