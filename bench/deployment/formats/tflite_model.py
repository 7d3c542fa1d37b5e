"""LiteRT (TensorFlow Lite), converted by TensorFlow and run by ai-edge-litert on the CPU.

Only LiteRT's own operations are allowed, so that the file runs where TensorFlow isn't: on telephones and boards.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.deployment.format import Format, LoadedModel, Order, Port, shares

_CONVOLUTIONS = {"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"}
EXAMPLE = '''"""Predict one image with LiteRT: python example.py IMAGE.npy (size and dtype: model.json)."""
import json
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

here = Path(__file__).parent
facts = json.loads((here / "model.json").read_text(encoding="utf-8"))
model = Interpreter(model_path=str(here / facts["file"]))
model.allocate_tensors()
model.set_tensor(model.get_input_details()[0]["index"], np.load(sys.argv[1])[None])
model.invoke()
classes = model.get_tensor(model.get_output_details()[0]["index"])[0].argmax(axis=-1)
print(json.dumps({name: int((classes == number).sum()) for number, name in enumerate(facts["classes"])}))
'''


def convert(graph: Any, file: Path, order: Order) -> None:
    """Convert; float16 stores the weights so, int8 computes in it with ranges seen on the calibration images."""
    import tensorflow as tf

    sets, optimise = tf.lite.OpsSet, [tf.lite.Optimize.DEFAULT]

    def images() -> Iterator[list[np.ndarray]]:
        for image in order.calibration:
            yield [image[None]]

    ways: dict[str, dict[str, Any]] = {
        "float32": {"target_spec": {"supported_ops": [sets.TFLITE_BUILTINS]}},
        "float16": {
            "target_spec": {"supported_ops": [sets.TFLITE_BUILTINS], "supported_types": [tf.float16]},
            "optimizations": optimise,
        },
        "int8": {
            "target_spec": {"supported_ops": [sets.TFLITE_BUILTINS_INT8, sets.TFLITE_BUILTINS]},
            "optimizations": optimise,
            "representative_dataset": images,
        },
    }
    graph.export(str(file), format="litert", verbose=False, **ways[order.precision])


class LiteRtModel(LoadedModel):
    """See `LoadedModel`."""

    def __init__(self, file: Path, threads: int | None = None, exact: bool = False):
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(file), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = self._interpreter.get_output_details()

    def run(self, images: np.ndarray, output: int = 0) -> np.ndarray:
        if tuple(self._input["shape"]) != images.shape and -1 in self._input["shape_signature"]:
            self._interpreter.resize_tensor_input(self._input["index"], images.shape)
            self._interpreter.allocate_tensors()
            self._input = self._interpreter.get_input_details()[0]
        self._interpreter.set_tensor(self._input["index"], images)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._outputs[output]["index"])

    def ports(self) -> tuple[list[Port], list[Port]]:
        return [_port(one) for one in self._interpreter.get_input_details()], [_port(one) for one in self._outputs]

    @property
    def computes(self) -> str:  # type: ignore[override]
        """The types of the activations that the file's convolutions take."""
        types = {tensor["index"]: np.dtype(tensor["dtype"]).name for tensor in self._interpreter.get_tensor_details()}
        nodes = [node for node in self._interpreter._get_ops_details() if node["op_name"] in _CONVOLUTIONS]
        return shares(types[node["outputs"][0]] for node in nodes)

    def facts(self) -> dict[str, Any]:
        return {"input": self._input["name"], "output": self._outputs[0]["name"]}


def _port(details: dict[str, Any]) -> Port:
    shape = tuple(None if side < 0 else int(side) for side in details["shape_signature"])
    scale, zero = details["quantization"]
    return Port(details["name"], shape or None, np.dtype(details["dtype"]).name, float(scale), int(zero))


FORMAT = Format(
    name="litert",
    title="LiteRT",
    file="model.tflite",
    backend="tensorflow",
    needs={"ai_edge_litert": "ai-edge-litert"},
    extra="litert",
    convert=convert,
    load=LiteRtModel,
    example=EXAMPLE,
    fixed_batch="LiteRT plans its memory for one batch size",
)
