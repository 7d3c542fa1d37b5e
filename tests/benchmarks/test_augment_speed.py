"""The time of augmentation, compiled as the backend does it: 16 images of 128 x 128."""

import keras
import numpy as np
import pytest

from bench.core.recipe.augment_text import PRESETS
from bench.training import augment

SHAPE = (16, 128, 128)


def compiled(function):
    """Compile a function with the backend's compiler, and wait for its result."""
    if keras.backend.backend() == "jax":
        import jax

        fast = jax.jit(function)
        return lambda *arrays: jax.block_until_ready(fast(*arrays))
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        fast = tf.function(function)  # XLA is off for TensorFlow on a CPU
        return lambda *arrays: [result.numpy() for result in fast(*arrays)]
    return function


@pytest.mark.parametrize("preset", list(PRESETS))
def test_augment_speed(benchmark, preset):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    labels = rng.integers(0, 3, SHAPE, dtype=np.uint8)
    arrays = [keras.ops.convert_to_tensor(a) for a in (images, labels, augment.draw(preset, rng, len(images)))]
    apply = compiled(augment.apply)
    apply(*arrays)
    benchmark(apply, *arrays)


def test_draw_speed(benchmark):
    benchmark(augment.draw, "standard", np.random.default_rng(0), 16)
