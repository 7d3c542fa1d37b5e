"""TensorFlow's SavedModel, for TensorFlow Serving and for other converters."""

from pathlib import Path
from typing import Any

import numpy as np

from bench.deployment.format import Format, LoadedModel, Order, Port

ENDPOINT = "serving_default"  # that every tool writes
EXAMPLE = '''"""Predict one image with TensorFlow: python example.py IMAGE.npy (size and dtype: model.json)."""
import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

here = Path(__file__).parent
facts = json.loads((here / "model.json").read_text(encoding="utf-8"))
model = tf.saved_model.load(str(here / facts["file"]))
image = np.load(sys.argv[1])
logits = model.serve(image[None]).numpy()
classes = logits[0].argmax(axis=-1)
print(json.dumps({name: int((classes == number).sum()) for number, name in enumerate(facts["classes"])}))
'''


def convert(graph: Any, file: Path, order: Order) -> None:
    """Write Keras's SavedModel, whose endpoint is `serve`."""
    graph.export(str(file), format="tf_saved_model", verbose=False)


class SavedModel(LoadedModel):
    """See `LoadedModel`."""

    computes = "float32"

    def __init__(self, file: Path, threads: int | None = None, exact: bool = False):
        import tensorflow as tf

        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        self._model = tf.saved_model.load(str(file))  # it must live as long as its signature
        if ENDPOINT not in self._model.signatures:
            raise ValueError(f"it has no signature '{ENDPOINT}'")
        self._call = self._model.signatures[ENDPOINT]
        self._constant = tf.constant

    def run(self, images: np.ndarray, output: int = 0) -> np.ndarray:
        (name,) = self._call.structured_input_signature[1]
        found = self._call(**{name: self._constant(images)})
        return found[sorted(found)[output]].numpy()

    def ports(self) -> tuple[list[Port], list[Port]]:
        inputs, outputs = self._call.structured_input_signature[1], self._call.structured_outputs
        return [_port(name, inputs[name]) for name in inputs], [_port(name, outputs[name]) for name in sorted(outputs)]


def _port(name: str, spec: Any) -> Port:
    shape = None if spec.shape.rank is None else tuple(spec.shape.as_list())
    return Port(name, shape, spec.dtype.name)


_ONE_PRECISION = "a SavedModel keeps the precision of its graph; TensorFlow's tool for smaller ones writes LiteRT"
FORMAT = Format(
    name="saved_model",
    title="SavedModel",
    file="model",
    backend="tensorflow",
    needs={},
    extra="",
    convert=convert,
    load=SavedModel,
    example=EXAMPLE,
    missing={"float16": _ONE_PRECISION, "int8": _ONE_PRECISION},
)
