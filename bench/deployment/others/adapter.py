"""A model of somebody else in the place of an exported one: pictures as they are stored in, logits out."""

from collections.abc import Sequence

import numpy as np

from bench.deployment.format import LoadedModel, Port
from bench.deployment.others.contract import Contract
from bench.deployment.others.model_input import model_input
from bench.deployment.others.model_output import chosen_output, doubt_about, model_output


class Adapted(LoadedModel):
    """A loaded model with its contract; see `LoadedModel`.

    Args:
        loaded: the file.
        contract: what must be known of it.
        classes: those of the data set.

    Raises:
        BenchError: the graph, what it gives for a grey picture, and the contract don't agree.
    """

    def __init__(self, loaded: LoadedModel, contract: Contract, classes: Sequence[str]):
        inputs, outputs = loaded.ports()
        self._loaded, self.input = loaded, model_input(inputs, contract)
        self._place = chosen_output(outputs, contract)
        self.computes = loaded.computes
        values = contract.values
        grey = np.full((1, *self.input.size, values.bands), np.iinfo(values.dtype).max // 2, values.dtype)
        raw = self._raw(grey)
        self.output = model_output(raw, outputs[self._place], contract, classes, self.input.layout)
        self.doubt = doubt_about(raw, self.output)
        self.shape = tuple(raw.shape)

    def run(self, images: np.ndarray, output: int = 0) -> np.ndarray:
        return self.output.logits(self._raw(images), self.input.size)

    def ports(self) -> tuple[list[Port], list[Port]]:
        """Describe the file's own inputs and outputs."""
        return self._loaded.ports()

    def _raw(self, pictures: np.ndarray) -> np.ndarray:
        return self._loaded.run(self.input.of(pictures), self._place)
