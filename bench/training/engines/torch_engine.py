"""PyTorch: eager steps, as Keras runs them on this backend, or through torch.compile."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import torch
from keras.src.backend.torch.core import get_device

from bench.core.errors import BenchError
from bench.training.augment import to_float
from bench.training.engines.engine import Engine, decide, training_loss


class TorchEngine(Engine):
    """See `Engine`. With `jit` "on" the loss, its gradient and predictions go through torch.compile, the optimizer's
    update stays eager; "auto" and "off" are eager throughout.
    """

    def __init__(self, model: Any, optimizer: Any, **options: Any):
        super().__init__(model, optimizer, **options)
        if self.compiled:
            _use_tuples(self.training_model)
        self._loss = self._compile(self._loss_step)
        self._logits = self._compile(lambda images: model(to_float(images), training=False))

    def _is_compiled(self, jit: str) -> bool:
        return jit == "on"

    def _compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if not self.compiled:
            return function
        from torch._dynamo.exc import TorchDynamoException  # takes seconds, and most trials run eagerly

        compiled = torch.compile(function)

        def run(*arguments: Any) -> Any:
            try:
                return compiled(*arguments)
            except TorchDynamoException as error:
                reason = str(error).strip().splitlines()[0]
                raise BenchError(f"--jit on: torch.compile fails for {self.model.name} ({reason}).") from error

        return run

    def _loss_step(self, images: torch.Tensor, labels: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        images, labels = self.transform(images, labels, draws)
        outputs = self.training_model(images, training=True)
        return training_loss(self.loss, labels, outputs) + sum(self.training_model.losses)

    def train_step(self, images: Any, labels: Any, draws: Any, lr: float) -> torch.Tensor:
        self.optimizer.learning_rate = lr
        self.training_model.zero_grad()
        loss = self._loss(self.put(images), self.put(labels), self.put(draws))
        self.optimizer.scale_loss(loss).backward()
        variables = self.training_model.trainable_variables
        gradients = [v.value.grad for v in variables]
        with torch.no_grad():
            self.optimizer.apply(gradients, variables)
        return loss.detach()

    def predict(self, images: Any) -> Any:
        return decide(self.logits(images))

    def logits(self, images: Any) -> torch.Tensor:
        with torch.no_grad():
            return self._logits(self.put(images))

    def update_statistics(self, images: Any) -> None:
        with torch.no_grad():
            self.model(to_float(self.put(images)), training=True)

    def put(self, array: Any) -> torch.Tensor:
        if not isinstance(array, np.ndarray):
            return torch.as_tensor(array, device=get_device())
        tensor = torch.from_numpy(np.array(array))  # a copy of its own: torch warns of read-only memory maps
        if get_device().startswith("cuda"):  # a copy from pageable memory would await the steps before it
            return tensor.pin_memory().to(get_device(), non_blocking=True)
        return tensor.to(get_device())

    def random_states(self) -> list[np.ndarray]:  # Keras's dropout without a seed draws from them
        return [state.numpy() for state in (torch.get_rng_state(), *torch.cuda.get_rng_state_all())]

    def restore_random_states(self, states: Sequence[np.ndarray]) -> None:
        host, *gpus = (torch.from_numpy(np.array(state)) for state in states)
        torch.set_rng_state(host)
        torch.cuda.set_rng_state_all(gpus)

    def wait(self, value: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()


def _use_tuples(model: keras.Model) -> None:
    """Make tuples of the lists that Keras tracks in batch norm: torch.compile would cut its graph at each of them."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer._reduction_axes = tuple(layer._reduction_axes)
