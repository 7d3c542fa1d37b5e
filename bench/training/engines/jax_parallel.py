"""JAX on several devices: each holds all weights and a part of each batch, and XLA adds up what they compute.

The steps are those of one device, compiled for arrays that are divided. So losses, gradients and the statistics of
batch norm are those of the whole batch, whatever the loss.
"""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from bench.core.errors import BenchError
from bench.training.engines.engine import Transform
from bench.training.engines.jax_engine import JaxEngine, State

_BATCH = "batch"  # the name of the axis along which arrays are divided


class ParallelJaxEngine(JaxEngine):
    """See `Engine`.

    Args:
        devices: how many divide each batch; they are JAX's first ones, all of one kind.
    """

    def __init__(self, model: Any, optimizer: Any, *, devices: int, transform: Transform, **functions: Any):
        mesh = Mesh(np.array(_first(devices)), (_BATCH,), axis_types=(AxisType.Auto,))
        self._count = devices
        self._whole, self._parts = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), (_BATCH,)))
        # Augmentation gathers pixels within an image; XLA would look for them on the other devices.
        divided = jax.shard_map(transform, mesh=mesh, in_specs=self._parts.spec, out_specs=self._parts.spec)
        super().__init__(model, optimizer, transform=divided, **functions)

    def _train_step(self, state: State, images: Any, labels: Any, draws: Any, lr: Any) -> tuple[Any, State]:
        return jax.lax.with_sharding_constraint(super()._train_step(state, images, labels, draws, lr), self._whole)

    def _forward_step(self, trainable: list[Any], rest: list[Any], images: Any) -> list[Any]:
        return jax.lax.with_sharding_constraint(super()._forward_step(trainable, rest, images), self._whole)

    def train_step(self, images: Any, labels: Any, draws: Any, lr: float) -> jax.Array:
        return super().train_step(self.put(images), self.put(labels), self.put(draws), lr)

    def predict(self, images: Any) -> Any:
        return super().predict(self.put(images))

    def logits(self, images: Any) -> jax.Array:
        return super().logits(self.put(images))

    def update_statistics(self, images: Any) -> None:
        super().update_statistics(self.put(images))

    def put(self, array: Any) -> jax.Array:
        """Divide a batch among the devices; copy one that can't be divided evenly, such as a single image, to each."""
        return jax.device_put(array, self._whole if len(array) % self._count else self._parts)

    def _collect(self) -> State:
        return jax.device_put(super()._collect(), self._whole)


def _first(count: int) -> list[jax.Device]:
    """Return JAX's first devices; raise BenchError if there are fewer, or if they are of several kinds."""
    found = jax.devices()[:count]
    if len(found) < count:
        raise BenchError(f"--devices-per-trial is {count}, but JAX finds {len(found)} here: {found[0].device_kind}.")
    if len(kinds := sorted({device.device_kind for device in found})) > 1:
        raise BenchError(f"--devices-per-trial {count} needs devices of one kind, not {', '.join(kinds)}.")
    return found
