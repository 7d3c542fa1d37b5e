"""Check the engines of one backend: `python tests/engine_checks.py SCRATCH.npz` prints its findings as a JSON object.

The weights are read from the file if it exists, else written to it, so that every backend starts from the same ones.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

from bench.core.errors import BenchError
from bench.core.specs import LOSS_TERMS
from bench.evaluation.batch_norm import reestimate
from bench.training import augment
from bench.training.engines import create_engine
from bench.training.engines.engine import to_numpy
from bench.training.losses import loss_function

SIZE, BATCH, CLASSES = 16, 4, 3


def build_model() -> keras.Model:
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    x = keras.layers.BatchNormalization(momentum=0.999, name="norm")(x)
    x = keras.layers.ReLU()(x)
    return keras.Model(inputs, keras.layers.Conv2D(CLASSES, 1, dtype="float32")(x))


def build_engine(precision: str = "float32", loss: str = "ce", jit: str = "auto"):
    keras.config.set_dtype_policy(precision)
    optimizer = keras.optimizers.Adam(1e-2)
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return create_engine(build_model(), optimizer, loss=loss_function(loss), transform=augment.apply, jit=jit)


def share_weights(engine, path: Path) -> None:
    if path.exists():
        with np.load(path) as stored:
            engine.model.set_weights([stored[f"w{i}"] for i in range(len(stored.files))])
        engine.push()
    else:
        np.savez(path, **{f"w{i}": w for i, w in enumerate(engine.model.get_weights())})


def _planned(engine, *batch) -> list[int | None]:
    batch = tuple(map(engine.put, batch))
    engine.wait(engine.train_step(*batch, 0.0))
    engine.wait(engine.predict(batch[0]))
    return [engine.planned_bytes(program, batch) for program in ("train", "inference")]


def graphs() -> int:
    """Count the graphs into which torch.compile has split its inputs so far."""
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"]


class Unfit(keras.layers.Layer):
    """A layer that XLA can't compile, as outside models have."""

    def __init__(self):
        super().__init__(name="unfit")
        self.supports_jit = False

    def call(self, images):
        return images


def refusal() -> str:
    """Return the error if `jit` is "on" for a model that can't be compiled; empty on JAX, which compiles everything."""
    inputs = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(CLASSES, 1)(Unfit()(inputs)), name="small")
    if keras.backend.backend() == "jax":
        return ""
    if keras.backend.backend() == "torch":
        import torch
        from torch._dynamo.exc import TorchDynamoException

        def fail(*_):
            raise TorchDynamoException("no way")

        torch.compile = lambda function: fail
    try:
        engine = create_engine(
            model, keras.optimizers.SGD(0.1), loss=loss_function("ce"), transform=augment.apply, jit="on"
        )
        engine.predict(np.zeros((1, SIZE, SIZE, 3), np.uint8))
    except BenchError as error:
        return str(error)
    return "nothing"


def main() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH, SIZE, SIZE, 3), dtype=np.uint8)
    labels = (images.argmax(-1)).astype(np.uint8)
    draws = augment.draw("standard", rng, BATCH)
    engine = build_engine()
    share_weights(engine, Path(sys.argv[1]))

    state = engine.state()
    losses = [float(engine.train_step(images, labels, draws, 0.01)) for _ in range(30)]
    trained = engine.state()
    engine.restore(state)
    again = float(engine.train_step(images, labels, draws, 0.01))
    engine.restore(state)
    still = [float(engine.train_step(images, labels, draws, 0.0)) for _ in range(2)]

    engine.restore(trained)
    reestimate(engine, [images])
    engine.pull()
    norm = engine.model.get_layer("norm")
    features = keras.Model(engine.model.inputs, norm.input)(images / np.float32(255))
    features = keras.ops.convert_to_numpy(features)
    classes, probability = (keras.ops.convert_to_numpy(x) for x in engine.predict(images))
    logits = keras.ops.convert_to_numpy(engine.logits(images))
    after = engine.state()

    other = build_engine(jit="off" if engine.compiled else "on")  # torch and TensorFlow on a CPU don't compile
    share_weights(other, Path(sys.argv[1]))
    other_losses = [float(other.train_step(images, labels, draws, 0.01)) for _ in range(5)]
    other_classes = keras.ops.convert_to_numpy(other.predict(images)[0])

    half = build_engine("mixed_float16", "+".join(LOSS_TERMS))
    half_losses = [float(half.train_step(images, labels, draws, 0.01)) for _ in range(30)]
    moved = [i for i, (a, b) in enumerate(zip(trained, after, strict=True)) if not np.array_equal(a, b)]
    found = {
        "losses": losses,
        "first_again": again,
        "without_learning_rate": still,
        "moving_mean_error": float(np.abs(to_numpy(norm.moving_mean) - features.mean((0, 1, 2))).max()),
        "moving_variance_error": float(np.abs(to_numpy(norm.moving_variance) - features.var((0, 1, 2))).max()),
        "moved": [engine._variables()[i].path for i in moved],
        "classes_dtype": str(classes.dtype),
        "classes_shape": list(classes.shape),
        "probability_size": int(probability.size),
        "logits_dtype": str(logits.dtype),
        "logits_decide": bool((logits.argmax(-1) == classes).all()),
        "half_losses": half_losses,
        "backend": keras.backend.backend(),
        "compiled": engine.compiled,
        "planned_bytes": [_planned(engine, images[:n], labels[:n], draws[:n]) for n in (1, BATCH)],
        "other_compiled": other.compiled,
        "other_losses": other_losses,
        "other_graphs": graphs() if keras.backend.backend() == "torch" else None,
        "refusal": refusal(),
        "other_classes_shape": list(other_classes.shape),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
