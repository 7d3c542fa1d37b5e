"""The protocol of an engine: the steps that a trial needs, compiled if the backend compiles."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

Loss = Callable[[Any, Any], Any]
Transform = Callable[[Any, Any, Any], tuple[Any, Any]]


class InferenceEngine(ABC):
    """A model that predicts on one backend; enough for a backend that can't train.

    Work is dispatched, not awaited: call `wait` on what is returned to stop a clock.
    """

    model: keras.Model
    compiled: bool  # whether the steps run through a compiler

    @abstractmethod
    def predict(self, images: Any) -> Any:
        """Predict classes of uint8 images (B, H, W, 3).

        Returns classes uint8 (B, H, W) and, for two classes, the probability of class 1 as
        float32 (B, H, W), else an empty array; both on the device.
        """

    @abstractmethod
    def logits(self, images: Any) -> Any:
        """Compute logits float32 (B, H, W, C) of uint8 images (B, H, W, 3) on the device; the first call compiles."""

    @abstractmethod
    def put(self, array: np.ndarray) -> Any:
        """Copy the array to the device."""

    @abstractmethod
    def wait(self, value: Any) -> None:
        """Return when `value` has been computed."""

    def planned_bytes(self, program: str, batch: tuple[Any, Any, Any]) -> int | None:
        """Return the bytes of temporaries and results that a compiled program needs besides its inputs.

        Args:
            program: "train" or "inference", which has run on this batch before.
            batch: images, labels and draws on the device.

        Returns:
            None if the backend doesn't tell, or doesn't compile.
        """
        return None


class Engine(InferenceEngine):
    """A model with its optimizer on one backend.

    `model` predicts; `training_model` is what the steps train, with the auxiliary head of a model that has one.

    Between `pull` and `push` the model's and optimizer's variables may be read and assigned; without
    `pull` they may be stale (JAX keeps the state outside of them).
    """

    def __init__(self, model: keras.Model, optimizer: Any, *, loss: Loss, transform: Transform, jit: str = "auto"):
        self.model = model
        self.training_model = training_model(model)
        self.optimizer = optimizer
        self.loss = loss
        self.transform = transform
        self.compiled = self._is_compiled(jit)
        optimizer.build(self.training_model.trainable_variables)

    @abstractmethod
    def _is_compiled(self, jit: str) -> bool:
        """Tell whether to compile the steps; raise BenchError for "on" if they can't be compiled."""

    @abstractmethod
    def train_step(self, images: Any, labels: Any, draws: Any, lr: float) -> Any:
        """Take one step of the optimizer; return the loss, a scalar on the device.

        Args:
            images: uint8 (B, H, W, 3).
            labels: uint8 (B, H, W).
            draws: float32 (B, K), the augmentation's random numbers.
            lr: learning rate of this step.
        """

    @abstractmethod
    def update_statistics(self, images: Any) -> None:
        """Run uint8 images forward in training mode: only moving statistics change."""

    def pull(self) -> None:
        """Bring the variables of model and optimizer up to date."""

    def push(self) -> None:
        """Take over variables that were assigned."""

    def state(self) -> list[np.ndarray]:
        """Copy every variable of model and optimizer to the host."""
        self.pull()
        return [to_numpy(variable) for variable in self._variables()]

    def restore(self, state: list[np.ndarray]) -> None:
        """Set every variable to what `state` returned."""
        self.pull()
        for variable, value in zip(self._variables(), state, strict=True):
            variable.assign(value)
        self.push()

    def random_states(self) -> list[np.ndarray]:
        """Return the states of the backend's own random generators, which aren't variables of the model."""
        return []

    def restore_random_states(self, states: Sequence[np.ndarray]) -> None:
        """Set the backend's generators to what `random_states` returned."""

    def _variables(self) -> list[Any]:
        return [*self.training_model.variables, *self.optimizer.variables]


def to_numpy(variable: Any) -> np.ndarray:
    """Copy a Keras variable's value to the host."""
    return np.array(ops.convert_to_numpy(ops.copy(variable)))


def decide(logits: Any) -> tuple[Any, Any]:
    """Turn logits (B, H, W, C) into classes and, for two classes, the probability of class 1."""
    classes = ops.cast(ops.argmax(logits, axis=-1), "uint8")
    if logits.shape[-1] == 2:
        return classes, ops.sigmoid(logits[..., 1] - logits[..., 0])
    return classes, ops.zeros((0,), "float32")


AUXILIARY_WEIGHT = 0.4  # of an auxiliary loss: PSPNet's paper, section 5.1


def training_model(model: keras.Model) -> keras.Model:
    """The model to train: `model` itself, or with the outputs [logits, *auxiliary logits]; layers are shared.

    `model.auxiliary_logits` is a tensor, or a list of tensors.
    """
    auxiliary = getattr(model, "auxiliary_logits", None)
    if auxiliary is None:
        return model
    heads = auxiliary if isinstance(auxiliary, (list, tuple)) else [auxiliary]
    return keras.Model(model.input, [model.output, *heads], name=f"{model.name}_training")


def training_loss(loss: Callable[[Any, Any], Any], labels: Any, outputs: Any) -> Any:
    """The loss of what `training_model` returns: that of the logits, plus 0.4 times that of each auxiliary output."""
    if not isinstance(outputs, list):
        return loss(labels, outputs)
    logits, *auxiliary = outputs
    total = loss(labels, logits)
    for output in auxiliary:
        total = total + AUXILIARY_WEIGHT * loss(labels, output)
    return total
