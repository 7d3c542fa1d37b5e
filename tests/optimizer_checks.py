"""Run under one backend: `python tests/optimizer_checks.py`. Prints a JSON object of what steps of an engine found.

The model is a 1x1 convolution of kernel 1 and bias 0, its images are black, and the loss is the mean of the first
logit: the gradient is 1 for the first bias and 0 for all else.
"""

import json

import keras
import numpy as np
from keras import ops

from bench.core.trial_config import TrialConfig
from bench.training.augment import to_float
from bench.training.averages import averaged, take_average
from bench.training.engines import create_engine
from bench.training.engines.engine import training_model
from bench.training.optimizer import create_optimizer, resume

BATCH = np.zeros((1, 4, 4, 3), np.uint8), np.zeros((1, 4, 4), np.uint8), np.zeros((1, 1), np.float32)


def engine(precision="float32", model=None, resumable=False, factor=1.0, **options):
    """An engine of the optimizer that a configuration asks for, with a loss that is multiplied by a factor."""
    keras.config.set_dtype_policy(precision)
    if model is None:
        inputs = keras.Input((4, 4, 3))
        ones = keras.initializers.Ones()
        model = keras.Model(inputs, keras.layers.Conv2D(2, 1, kernel_initializer=ones, dtype="float32")(inputs))
    optimizer = create_optimizer(TrialConfig("", "", **options), training_model(model), resumable=resumable)
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return create_engine(
        model,
        optimizer,
        loss=lambda labels, logits: factor * ops.mean(logits[..., 0]),
        transform=lambda images, labels, draws: (to_float(images), labels),
    )


def stepped(made, rates):
    """The first value of the kernel and of the bias after each step."""
    found = []
    for rate in rates:
        made.wait(made.train_step(*map(made.put, BATCH), rate))
        made.pull()
        kernel, bias = (ops.convert_to_numpy(variable) for variable in made.model.trainable_variables)
        found.append([float(kernel.flat[0]), float(bias[0])])
    return found


def resumed():
    """Train with an SGD that takes over after one step; the second step continues with its momentum."""
    first = engine(optimizer="sgd")
    stepped(first, [0.1])
    second = engine(optimizer="sgd", model=first.model, resumable=True)
    second.pull()
    resume(second.optimizer, first.optimizer)
    second.push()
    return stepped(second, [0.1])


def averages(precision="float32"):
    """The bias after two steps: inside the average, after it, and once the average is taken for good."""
    made, found = engine(precision, optimizer="sgd", ema=0.5), []
    stepped(made, [0.1, 0.1])
    with averaged(made):
        found.append(bias(made))
    found.append(bias(made))
    take_average(made)
    return [*found, bias(made)]


def skipped_average():
    """The kernel after a step that overflows, and is skipped: inside the average, after it, and once it is taken."""
    made = engine("mixed_float16", factor=1e37, optimizer="sgd", ema=0.5)
    found = [stepped(made, [0.1])[0][0]]
    with averaged(made):
        found.append(kernel(made))
    found.append(kernel(made))
    take_average(made)
    return [*found, kernel(made)]


def late_average():
    """The average of the bias when it trains on with a kernel that starts to, and the kernel's average."""
    first = engine(optimizer="sgd", ema=0.5)
    (layer,) = [layer for layer in first.model.layers if layer.weights]
    kernel, own = layer.kernel, layer.bias
    stepped(first, [0.1])
    first.pull()
    kernel.assign(ops.full(kernel.shape, 3.0))
    earlier = create_optimizer(TrialConfig("", "", optimizer="sgd", ema=0.5), first.model)
    earlier.build([own])
    earlier._model_variables_moving_average[0].assign(ops.full(own.shape, 7.0))
    second = engine(optimizer="sgd", ema=0.5, model=first.model, resumable=True)
    second.pull()
    resume(second.optimizer, earlier)
    return [float(ops.convert_to_numpy(a).flat[0]) for a in second.optimizer._model_variables_moving_average]


def kernel(made):
    """The first value of the kernel as the model has it."""
    made.pull()
    return float(ops.convert_to_numpy(made.model.trainable_variables[0]).flat[0])


def bias(made):
    """The first value of the bias as the model has it."""
    made.pull()
    return float(ops.convert_to_numpy(made.model.trainable_variables[1])[0])


print(
    json.dumps(
        {
            "sgd": stepped(engine(optimizer="sgd"), [0.1, 0.1]),
            "scaled_sgd": stepped(engine("mixed_float16", optimizer="sgd"), [0.1, 0.1]),
            "adam": stepped(engine(), [0.1, 0.1]),
            "adamw": stepped(engine(optimizer="adamw"), [0.1, 0.1]),
            "resumed": resumed(),
            "clipped": stepped(engine(optimizer="sgd", clip_norm=0.5), [0.1, 0.1]),
            "clipped_scaled": stepped(engine("mixed_float16", optimizer="sgd", clip_norm=0.5), [0.1, 0.1]),
            "average": averages(),
            "average_scaled": averages("mixed_float16"),
            "skipped_average": skipped_average(),
            "late_average": late_average(),
            **{
                f"decayed_{name}": stepped(engine(optimizer=name, weight_decay=0.1), [0.5, 0.25])
                for name in ("adam", "adamw", "sgd")
            },
            "scaled_decay": stepped(engine("mixed_float16", weight_decay=0.1), [0.5, 0.25]),
        }
    )
)
