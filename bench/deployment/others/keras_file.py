"""A `.keras` file, opened by Keras in its safe mode on this process's backend."""

from pathlib import Path
from typing import Any

import numpy as np

from bench.deployment.format import LoadedModel, Port


class KerasFile(LoadedModel):
    """See `LoadedModel`; the model runs as a trial's does without compilation by segbench: by Keras's own function."""

    def __init__(self, file: Path, threads: int | None = None, exact: bool = False):
        import keras

        self._keras = keras
        self._model: Any = keras.saving.load_model(file, compile=False, safe_mode=True)
        self._model.make_predict_function()
        self.computes = str(self._model.dtype_policy.compute_dtype)

    def run(self, images: np.ndarray, output: int = 0) -> np.ndarray:
        found = self._model.predict_on_batch(images)
        return np.asarray(self._keras.tree.flatten(found)[output])

    def ports(self) -> tuple[list[Port], list[Port]]:
        return [_port(one) for one in self._model.inputs], [_port(one) for one in self._model.outputs]


def _port(tensor: Any) -> Port:
    return Port(str(tensor.name), tuple(tensor.shape), str(tensor.dtype))
