"""Train the same model on one device and on four: `python tests/parallel_checks.py` prints findings as JSON.

The backend is that of the variable KERAS_BACKEND.
"""

import json
import os

import keras
import numpy as np

from bench.core.errors import BenchError
from bench.training import augment
from bench.training.engines import create_engine, make_devices, on_devices, set_seed
from bench.training.losses import loss_function

BACKEND = os.environ["KERAS_BACKEND"]
make_devices(BACKEND, 4)
SIZE, BATCH, CLASSES, STEPS = 16, 8, 3, 20


def build(loss: str, precision: str, devices: int, *, dropout: bool = BACKEND == "jax"):
    """Build an engine from a fixed seed: batch norm, dropout, a bias and an auxiliary head."""
    with on_devices(BACKEND, devices):
        return build_there(loss, precision, devices, dropout=dropout)


def build_there(loss: str, precision: str, devices: int, *, dropout: bool):
    """Do as `build`."""
    set_seed(0)
    keras.config.set_dtype_policy(precision)
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    x = keras.layers.ReLU()(x)
    if dropout:
        x = keras.layers.SpatialDropout2D(0.2, seed=1)(x)
    model = keras.Model(inputs, keras.layers.Conv2D(CLASSES, 1, dtype="float32")(x))
    model.auxiliary_logits = keras.layers.Conv2D(CLASSES, 1, dtype="float32")(x)
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    functions = {"loss": loss_function(loss), "transform": augment.apply}
    return create_engine(model, optimizer, devices=devices, **functions)


def batches():
    """Make batches whose images differ much, so that the statistics of a part aren't those of the whole."""
    rng = np.random.default_rng(0)
    for _ in range(STEPS):
        level = np.linspace(0, 1, BATCH)[:, None, None, None]
        images = (rng.integers(0, 256, (BATCH, SIZE, SIZE, 3)) * level).astype(np.uint8)
        labels = images.argmax(-1).astype(np.uint8)
        labels[: BATCH // 4] = 255  # a device that sees ignored pixels only
        yield images, labels, augment.draw("strong", rng, BATCH)


def train(loss: str, precision: str, devices: int):
    """Return the losses, all variables, and the logits of a batch and of a single image."""
    engine = build(loss, precision, devices)
    losses = [float(engine.train_step(*batch, 0.05)) for batch in batches()]
    images = next(batches())[0]
    engine.update_statistics(images)
    logits = [np.asarray(engine.logits(some)) for some in (images, images[:1])]
    weights = engine.state()
    engine.restore(weights)  # as after compiling
    again = float(engine.train_step(*next(batches()), 0.05))
    resident = tuple(map(engine.put, next(batches())))
    engine.wait(engine.train_step(*resident, 0.0))
    planned = engine.planned_bytes("train", resident)
    return [*losses, again], weights, logits, planned


def furthest(some, others) -> float:
    """Return the largest difference, relative to values above 1."""
    pairs = zip(some, others, strict=True)
    return max(float(np.max(np.abs(a - b) / np.maximum(1, np.abs(a)), initial=0)) for a, b in pairs)


def compare(loss: str, precision: str = "float32", devices: int = 4) -> dict:
    """Compare several devices with one."""
    one, many = train(loss, precision, 1), train(loss, precision, devices)
    whole = [[np.asarray(v, np.float64) for v in found[1]] for found in (one, many)]
    logits = furthest(one[2], many[2])
    first, last = many[0][0], many[0][STEPS - 1]
    return {
        "losses": furthest(one[0], many[0]),
        "weights": furthest(*whole),
        "logits": logits,
        "learns": first - last,
        "planned": [one[3], many[3]],
    }


def refused(devices: int, **model) -> str:
    """Return the error for so many devices."""
    try:
        build("ce", "float32", devices, **model)
    except BenchError as error:
        return str(error)
    return "nothing"


if __name__ == "__main__":
    found = {loss: compare(loss) for loss in ("ce", "0.5*ce+dice")}
    found |= {"half": compare("ce", "mixed_float16"), "too many": refused(8), "dropout": refused(4, dropout=True)}
    if BACKEND == "jax":  # TensorFlow's devices form one group for the whole life of a process
        found["two"] = compare("ce", devices=2)
    print(json.dumps(found))
