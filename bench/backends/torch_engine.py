"""PyTorch: eager steps, as Keras runs them on this backend."""

from typing import Any

import numpy as np
import torch
from keras.src.backend.torch.core import get_device

from bench.backends.auxiliary import training_loss
from bench.backends.base import Engine, decide
from bench.pipeline.augment import to_float


class TorchEngine(Engine):
    """See `Engine`."""

    compiled = False

    def train_step(self, images: Any, labels: Any, draws: Any, lr: float) -> torch.Tensor:
        self.optimizer.learning_rate = lr
        images, labels = self.transform(self.put(images), self.put(labels), self.put(draws))
        self.training_model.zero_grad()
        outputs = self.training_model(images, training=True)
        loss = training_loss(self.loss, labels, outputs) + sum(self.training_model.losses)
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
            return self.model(to_float(self.put(images)), training=False)

    def update_statistics(self, images: Any) -> None:
        with torch.no_grad():
            self.model(to_float(self.put(images)), training=True)

    def put(self, array: Any) -> torch.Tensor:
        if isinstance(array, np.ndarray):
            array = np.array(array)  # a copy of its own: torch warns of read-only memory maps
        return torch.as_tensor(array, device=get_device())

    def wait(self, value: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
