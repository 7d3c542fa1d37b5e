"""JAX: pure compiled steps over a state that stays on the device and is donated to the next step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from bench.training.augment import to_float
from bench.training.engines.engine import Engine, decide, training_loss
from bench.training.engines.jax_convolutions import quick_convolutions

State = tuple[list[jax.Array], list[jax.Array], list[jax.Array]]  # trainable, non-trainable, optimizer


class JaxEngine(Engine):
    """See `Engine`. Compiled by XLA unless `jit` is "off": then each operation is dispatched by itself."""

    def __init__(self, model: Any, optimizer: Any, **functions: Any):
        super().__init__(model, optimizer, **functions)
        self._rate_index = [id(v) for v in optimizer.variables].index(id(optimizer.learning_rate))
        self._train = self._compile(self._train_step, donate_argnums=0)
        self._predict = self._compile(lambda *arguments: decide(self._logits_step(*arguments)))
        self._logits = self._compile(self._logits_step)
        self._forward = self._compile(self._forward_step)
        self._state = self._collect()

    def _is_compiled(self, jit: str) -> bool:
        return jit != "off"

    def _compile(self, function: Callable[..., Any], **options: Any) -> Any:
        if not self.compiled:
            return function

        def traced(*arguments: Any) -> Any:
            with quick_convolutions(jax.devices()[0].platform):
                return function(*arguments)

        return jax.jit(traced, **options)

    def _train_step(self, state: State, images: Any, labels: Any, draws: Any, lr: Any) -> tuple[Any, State]:
        trainable, rest, slots = state
        images, labels = self.transform(images, labels, draws)
        slots = [lr if i == self._rate_index else s for i, s in enumerate(slots)]

        def objective(trainable: list[Any]) -> tuple[Any, Any]:
            outputs, updated, extra = self.training_model.stateless_call(
                trainable, rest, images, training=True, return_losses=True
            )
            loss = training_loss(self.loss, labels, outputs) + sum(extra)
            with keras.StatelessScope(state_mapping=list(zip(self.optimizer.variables, slots, strict=True))):
                return self.optimizer.scale_loss(loss), (loss, updated)

        (_, (loss, rest)), gradients = jax.value_and_grad(objective, has_aux=True)(trainable)
        trainable, slots = self.optimizer.stateless_apply(slots, gradients, trainable)
        return loss, (trainable, rest, slots)

    def _logits_step(self, trainable: list[Any], rest: list[Any], images: Any) -> jax.Array:
        outputs, _ = self.training_model.stateless_call(trainable, rest, to_float(images), training=False)
        # The state is the training model's; XLA leaves its auxiliary head out.
        return outputs[0] if isinstance(outputs, list) else outputs

    def _forward_step(self, trainable: list[Any], rest: list[Any], images: Any) -> list[Any]:
        return self.training_model.stateless_call(trainable, rest, to_float(images), training=True)[1]

    def train_step(self, images: Any, labels: Any, draws: Any, lr: float) -> jax.Array:
        loss, self._state = self._train(self._state, images, labels, draws, jnp.float32(lr))
        return loss

    def predict(self, images: Any) -> Any:
        return self._predict(*self._state[:2], images)

    def logits(self, images: Any) -> jax.Array:
        return self._logits(*self._state[:2], images)

    def update_statistics(self, images: Any) -> None:
        trainable, rest, slots = self._state
        self._state = (trainable, self._forward(trainable, rest, images), slots)

    def planned_bytes(self, program: str, batch: tuple[Any, Any, Any]) -> int | None:
        if not self.compiled:
            return None
        if program == "train":
            compiled = self._train.lower(self._state, *batch, jnp.float32(0)).compile()
        else:
            compiled = self._predict.lower(*self._state[:2], batch[0]).compile()
        plan = compiled.memory_analysis()
        return plan.temp_size_in_bytes + plan.output_size_in_bytes - plan.alias_size_in_bytes if plan else None

    def put(self, array: np.ndarray) -> jax.Array:
        return jax.device_put(array)

    def wait(self, value: Any) -> None:
        jax.block_until_ready(value)

    def pull(self) -> None:
        for variables, values in zip(self._groups(), self._state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    def push(self) -> None:
        self._state = self._collect()

    def _collect(self) -> State:
        # A copy: the step donates its state, and a variable must not be left with a deleted buffer.
        trainable, rest, slots = ([jnp.array(v.value) for v in group] for group in self._groups())
        return trainable, rest, slots

    def _groups(self) -> tuple[list[Any], ...]:
        model = self.training_model
        return model.trainable_variables, model.non_trainable_variables, self.optimizer.variables
