"""TensorFlow on several devices: each holds all weights and trains on a part of each batch (MirroredStrategy).

The outputs of all parts are gathered on each device before the loss, and batch norm adds up its sums over the devices.
So losses, gradients and statistics are those of the whole batch, whatever the loss; each device holds the outputs of
the whole batch for it. Predictions and the re-estimation of batch norm run on the first device. Steps are graphs:
XLA compiles none that exchange values between devices.
"""

from contextlib import AbstractContextManager
from typing import Any

import keras
import tensorflow as tf

from bench.core.errors import BenchError
from bench.training.engines.tensorflow_engine import TensorFlowEngine


def make_devices(count: int) -> None:
    """Take the CPU for that many devices where there is no GPU; call it before TensorFlow has computed anything."""
    if not tf.config.list_physical_devices("GPU"):
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)


def on_devices(count: int) -> AbstractContextManager[Any]:
    """Make what is built inside live on the first devices; raise BenchError if there are fewer."""
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    found = len(tf.config.list_logical_devices(kind))
    if found < count:
        raise BenchError(f"--devices-per-trial is {count}, but TensorFlow finds {found} here: {kind.lower()}.")
    return tf.distribute.MirroredStrategy([f"{kind}:{number}" for number in range(count)]).scope()


class ParallelTensorFlowEngine(TensorFlowEngine):
    """See `Engine`. Make it, its model and its optimizer inside `on_devices`.

    Args:
        devices: how many divide each batch.
    """

    def __init__(self, model: Any, optimizer: Any, *, devices: int, **functions: Any):
        self._strategy, self._count = tf.distribute.get_strategy(), devices
        super().__init__(model, optimizer, **functions)
        for layer in self.training_model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True
        drawing = [layer.name for layer in self.training_model._flatten_layers() if layer._seed_generators]
        if drawing:
            raise BenchError(
                f"--devices-per-trial {devices}: on TensorFlow each device would draw its own random numbers, and the "
                f"layer '{drawing[0]}' draws some. Leave its dropout out, use --backend jax, or one "
                "device."
            )

    def _is_compiled(self, jit: str) -> bool:
        return False

    def _train_step(self, images: tf.Tensor, labels: tf.Tensor, draws: tf.Tensor, lr: tf.Tensor) -> tf.Tensor:
        self.optimizer.learning_rate.assign(lr)
        parts = tuple(self._divided(values) for values in (images, labels, draws))
        return self._strategy.experimental_local_results(self._strategy.run(self._update, args=parts))[0]

    def _divided(self, values: tf.Tensor) -> Any:
        """Give each device its part of a batch."""
        parts = tf.split(values, self._count)
        return self._strategy.experimental_distribute_values_from_function(
            lambda context: parts[context.replica_id_in_sync_group]
        )

    def _loss_of(self, labels: tf.Tensor, outputs: Any) -> tf.Tensor:
        return super()._loss_of(self._gathered(labels), tf.nest.map_structure(self._gathered, outputs))

    def _gathered(self, part: tf.Tensor) -> tf.Tensor:
        """Return the values of the whole batch, given those of this device's part."""
        whole = tf.distribute.get_replica_context().all_gather(part, axis=0)
        return tf.ensure_shape(whole, (self._count * part.shape[0], *part.shape[1:]))

    def _objective(self, loss: tf.Tensor) -> tf.Tensor:
        return super()._objective(loss) / self._count  # the gradients of all devices, which have the same loss, add up
