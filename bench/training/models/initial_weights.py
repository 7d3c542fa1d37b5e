"""Draw random initial weights that are the same on every backend.

Keras gives each initializer its own seed from Python's random numbers, which are the same on every backend; only the
numbers that a backend draws from that seed differ. So it is enough to draw them with NumPy: every weight keeps its own
initializer's distribution, and weights from a file are not changed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras.src.backend import random as backend_random
from keras.src.initializers import random_initializers

Shape = Sequence[int]


@contextmanager
def shared_draws() -> Iterator[None]:
    """Let Keras's initializers draw with NumPy inside the context."""
    random_initializers.random = _Draws()
    try:
        yield
    finally:
        random_initializers.random = backend_random


class _Draws:
    """The part of `keras.src.backend.random` that initializers use; `seed` is an integer or a SeedGenerator."""

    SeedGenerator = backend_random.SeedGenerator
    make_default_seed = staticmethod(backend_random.make_default_seed)

    def uniform(
        self, shape: Shape, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
    ) -> Any:
        return _tensor(_generator(seed).uniform(minval, maxval, shape), dtype)

    def normal(self, shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
        return _tensor(_generator(seed).normal(mean, stddev, shape), dtype)

    def truncated_normal(
        self, shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
    ) -> Any:
        """Draw normal numbers within two standard deviations of the mean; as in Keras, others are drawn again."""
        rng = _generator(seed)
        values = rng.normal(size=shape)
        while (far := np.abs(values) > 2).any():
            values[far] = rng.normal(size=np.count_nonzero(far))
        return _tensor(mean + stddev * values, dtype)


def _generator(seed: Any) -> np.random.Generator:
    if isinstance(seed, keras.random.SeedGenerator):
        seed = keras.ops.convert_to_numpy(seed.next()).astype(np.uint32).tolist()
    return np.random.default_rng(seed)


def _tensor(values: np.ndarray, dtype: Any) -> Any:
    return keras.ops.convert_to_tensor(values.astype(np.float32), dtype or keras.config.floatx())
