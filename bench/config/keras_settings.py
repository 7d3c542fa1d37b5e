"""Keras's global settings: keras.json or the user's program may have others than the architectures are written for."""

from collections.abc import Iterator
from contextlib import contextmanager

_FLOAT, _FORMAT, _EPSILON = "float32", "channels_last", 1e-7  # Keras's own defaults


def use_keras_defaults() -> None:
    """Set floats, image format and epsilon for this process, before the precision."""
    import keras

    keras.config.set_floatx(_FLOAT)
    keras.config.set_image_data_format(_FORMAT)
    keras.config.set_epsilon(_EPSILON)


@contextmanager
def keras_defaults() -> Iterator[None]:
    """Set them while a model is built, and give the user's program its own settings back.

    A precision that the program chose, such as mixed_float16, stays; one that only follows from its floats doesn't.
    """
    import keras

    config = keras.config
    floats, order, epsilon = config.floatx(), config.image_data_format(), config.epsilon()
    policy = config.dtype_policy()
    use_keras_defaults()
    if policy.name == floats:
        config.set_dtype_policy(_FLOAT)
    try:
        yield
    finally:
        config.set_floatx(floats)
        config.set_image_data_format(order)
        config.set_epsilon(epsilon)
        config.set_dtype_policy(policy)
