"""TensorFlow: traced functions, compiled by XLA or run as graphs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from bench.core.errors import BenchError
from bench.training.augment import to_float
from bench.training.engines.engine import Engine, decide, training_loss


class TensorFlowEngine(Engine):
    """See `Engine`. "auto" is XLA on a GPU and oneDNN's graphs on a CPU, as Keras's "auto" is; "off" is a graph."""

    def __init__(self, model: Any, optimizer: Any, **functions: Any):
        super().__init__(model, optimizer, **functions)
        self._train = self._compile(self._train_step)
        self._predict = self._compile(lambda images: decide(model(to_float(images), training=False)))
        self._logits = self._compile(lambda images: model(to_float(images), training=False))
        self._forward = self._compile(lambda images: model(to_float(images), training=True))

    def _is_compiled(self, jit: str) -> bool:
        # Outside models have layers that XLA can't train.
        unfit = [layer.name for layer in self.training_model._flatten_layers() if not layer.supports_jit]
        if jit == "on" and unfit:
            raise BenchError(f"--jit on: TensorFlow can't compile {self.model.name} for its layer {unfit[0]}.")
        return jit == "on" or (jit == "auto" and not unfit and bool(tf.config.list_physical_devices("GPU")))

    def _compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return tf.function(function, jit_compile=self.compiled)

    def _train_step(self, images: tf.Tensor, labels: tf.Tensor, draws: tf.Tensor, lr: tf.Tensor) -> tf.Tensor:
        self.optimizer.learning_rate.assign(lr)
        return self._update(images, labels, draws)

    def _update(self, images: tf.Tensor, labels: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        images, labels = self.transform(images, labels, draws)
        with tf.GradientTape() as tape:
            outputs = self.training_model(images, training=True)
            loss = self._loss_of(labels, outputs)
            scaled = self._objective(loss)
        variables = self.training_model.trainable_variables
        self.optimizer.apply(tape.gradient(scaled, variables), variables)
        return loss

    def _loss_of(self, labels: tf.Tensor, outputs: Any) -> tf.Tensor:
        return training_loss(self.loss, labels, outputs) + sum(self.training_model.losses)

    def _objective(self, loss: tf.Tensor) -> tf.Tensor:
        """Return that whose gradients the optimizer gets."""
        return self.optimizer.scale_loss(loss)

    def train_step(self, images: Any, labels: Any, draws: Any, lr: float) -> tf.Tensor:
        return self._train(
            tf.convert_to_tensor(images),
            tf.convert_to_tensor(labels),
            tf.convert_to_tensor(draws),
            tf.constant(lr, tf.float32),
        )

    def predict(self, images: Any) -> Any:
        return self._predict(tf.convert_to_tensor(images))

    def logits(self, images: Any) -> tf.Tensor:
        return self._logits(tf.convert_to_tensor(images))

    def update_statistics(self, images: Any) -> None:
        self._forward(tf.convert_to_tensor(images))

    def put(self, array: np.ndarray) -> tf.Tensor:
        return tf.convert_to_tensor(array)

    def wait(self, value: Any) -> None:
        tf.test.experimental.sync_devices()  # reading a GPU's tensors would time their way to the host too
