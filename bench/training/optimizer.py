"""Build a configuration's optimizer, and let it resume an earlier one when more of the model begins to train."""

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from bench.core.trial_config import TrialConfig

SGD_MOMENTUM = 0.9


def create_optimizer(config: TrialConfig, model: keras.Model, *, resumable: bool = False) -> keras.optimizers.Optimizer:
    """Build the configuration's optimizer for a model. Weight decay is decoupled in every optimizer, as in Keras.

    Args:
        model: the model whose weights are trained, auxiliary head included.
        resumable: whether the optimizer can resume an earlier one (`resume`).
    """
    options: dict[str, Any] = {"weight_decay": config.weight_decay or None, "global_clipnorm": config.clip_norm}
    if config.optimizer == "sgd":
        kind = ResumedSGD if resumable else keras.optimizers.SGD
        options |= {"momentum": SGD_MOMENTUM, "nesterov": True}
    else:
        kind = ResumedAdam if resumable else keras.optimizers.Adam
    if config.ema is not None:
        kind = type(f"Averaging{kind.__name__}", (Averaging, kind), {})
        options |= {"use_ema": True, "ema_momentum": config.ema}
    optimizer: keras.optimizers.Optimizer = kind(config.lr, **options)
    # Biases and the scales and shifts of norms are not decayed, as in timm's `param_groups_weight_decay`.
    optimizer.exclude_from_weight_decay([variable for variable in model.variables if len(variable.shape) <= 1])
    return optimizer


class ResumedSGD(keras.optimizers.SGD):  # type: ignore[misc]  # Keras's classes have no types
    """An SGD that continues an earlier one with its momenta; variables that the earlier one did not have start at 0."""

    def resume(self, earlier: keras.optimizers.SGD) -> None:
        """Copy the earlier optimizer's state. Both must be built, and this one must not have made a step."""
        _take_over(self, earlier, ((self.momentums, earlier.momentums),))


class ResumedAdam(keras.optimizers.Adam):  # type: ignore[misc]  # Keras's classes have no types
    """An Adam with the moments and the step count of an earlier one.

    Variables that the earlier one did not have ("late") start with moments of 0, and their own step count corrects
    their bias: with the model's step count, their first steps would be up to six times too long (Kingma and Ba 2015,
    arXiv:1412.6980, section 3).
    """

    late: frozenset[int] = frozenset()  # indexes of the variables that start training now
    since: int = 0  # steps taken by the earlier optimizer

    def resume(self, earlier: keras.optimizers.Adam) -> None:
        """Copy the earlier optimizer's state. Both must be built, and this one must not have made a step."""
        moments = (self._momentums, earlier._momentums), (self._velocities, earlier._velocities)
        self.late = _take_over(self, earlier, moments)
        self.since = int(ops.convert_to_numpy(earlier.iterations))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Make Adam's step; for late variables the learning rate corrects the bias by their own step count."""
        if self._get_variable_index(variable) in self.late:
            step = ops.cast(self.iterations + 1, "float32")
            learning_rate = learning_rate * self._correction(step - self.since) / self._correction(step)
        super().update_step(gradient, variable, learning_rate)

    def _correction(self, step: Any) -> Any:
        return ops.sqrt(1 - ops.power(self.beta_2, step)) / (1 - ops.power(self.beta_1, step))


def _take_over(
    mine: keras.optimizers.Optimizer, earlier: keras.optimizers.Optimizer, slots: Iterable[tuple[list[Any], list[Any]]]
) -> frozenset[int]:
    """Copy an earlier optimizer's step count and state.

    Args:
        slots: pairs of lists, this optimizer's and the earlier one's, with one state for each variable.

    Returns:
        The indexes of the variables that the earlier optimizer did not have.
    """
    index = {id(variable): i for i, variable in enumerate(earlier._trainable_variables)}
    places = [index.get(id(variable)) for variable in mine._trainable_variables]
    for states, its in slots:
        for state, place in zip(states, places, strict=True):
            if place is not None:
                state.assign(its[place])
    if mine.use_ema:
        for average, variable, place in zip(
            mine._model_variables_moving_average, mine._trainable_variables, places, strict=True
        ):
            average.assign(variable if place is None else earlier._model_variables_moving_average[place])
    mine.iterations.assign(earlier.iterations)
    return frozenset(i for i, place in enumerate(places) if place is None)


class Averaging:
    """The part of an optimizer that keeps an exponential moving average of the weights.

    At step t, counted from 0, the decay is at most t / (9 + t): the average begins with the weights after the first
    step and forgets them soon. TensorFlow's ExponentialMovingAverage does so with `num_updates`.
    """

    iterations: Any
    ema_momentum: float
    _model_variables_moving_average: list[Any]

    def _update_model_variables_moving_average(self, trainable_variables: list[Any]) -> None:
        step = ops.cast(self.iterations, "float32")
        decay = ops.minimum(self.ema_momentum, step / (9 + step))
        for variable, average in zip(trainable_variables, self._model_variables_moving_average, strict=True):
            average.assign(average + (1 - decay) * (variable - average))


def inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Return the optimizer itself, without the scaling of its loss."""
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return optimizer.inner_optimizer if scaled else optimizer


def resume(optimizer: keras.optimizers.Optimizer, earlier: keras.optimizers.Optimizer) -> None:
    """Copy an earlier optimizer's state into a resumable one, and the loss scale if both scale their loss."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer.dynamic_scale.assign(earlier.dynamic_scale)
        optimizer.step_counter.assign(earlier.step_counter)
        optimizer, earlier = optimizer.inner_optimizer, earlier.inner_optimizer
    optimizer.resume(earlier)
