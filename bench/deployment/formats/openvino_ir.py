"""OpenVINO IR, converted by OpenVINO from TensorFlow's graph and run on the CPU; nncf makes int8."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from bench.deployment.format import Format, LoadedModel, Order, Port, shares

_LACKS = "conversion rule found for operations:"
_NAMES = {"f32": "float32", "f16": "float16", "bf16": "bfloat16", "i8": "int8", "u8": "int8"}
EXAMPLE = '''"""Predict one image with OpenVINO: python example.py IMAGE.npy (size and dtype: model.json)."""
import json
import sys
from pathlib import Path

import numpy as np
import openvino

here = Path(__file__).parent
facts = json.loads((here / "model.json").read_text(encoding="utf-8"))
model = openvino.Core().compile_model(here / facts["file"], "CPU")
image = np.load(sys.argv[1])
logits = model(image[None])[0]
classes = logits[0].argmax(axis=-1)
print(json.dumps({name: int((classes == number).sum()) for number, name in enumerate(facts["classes"])}))
'''


def convert(graph: Any, file: Path, order: Order) -> None:
    """Convert; float16 stores the weights so, int8 is nncf's, with ranges seen on the calibration images."""
    import openvino

    if order.precision == "int8" and str(graph.input.dtype) == "uint16":
        raise ValueError(
            "its CPU plug-in takes no 16-bit pictures in int8. Export float32 or float16, or ONNX in int8."
        )
    whole = file.with_name("whole.xml")
    try:
        graph.export(str(whole), format="openvino", verbose=False)
    except Exception as error:
        raise ValueError(f"{' '.join(_operations(graph, str(error)))}\n{error}") from error
    model = openvino.Core().read_model(whole)
    if order.precision == "int8":
        import nncf

        data = nncf.Dataset(list(order.calibration[:, None]))
        # nncf gives all inputs of a concatenation one range, in which small features, as DeepLab's, are lost
        apart = nncf.IgnoredScope(types=["Concat"], validate=False)
        model = nncf.quantize(model, data, subset_size=len(order.calibration), ignored_scope=apart)
    openvino.save_model(model, file, compress_to_fp16=order.precision == "float16")
    del model  # it holds the file of weights
    for part in (whole, whole.with_suffix(".bin")):
        part.unlink()


def _operations(graph: Any, text: str) -> list[str]:
    """Return OpenVINO's line on operations that it lacks, with their paths in the graph, which it doesn't give."""
    import tensorflow as tf

    said = next((line for line in text.splitlines() if _LACKS in line), "")
    kinds = set(re.findall(r"\w+", said.partition(_LACKS)[2]))
    inputs = tf.TensorSpec(graph.input_shape, graph.input.dtype)
    function = tf.function(lambda images: graph(images, training=False)).get_concrete_function(inputs)
    return [said.strip("- "), *(node.name for node in function.graph.get_operations() if node.type in kinds)]


class OpenVinoModel(LoadedModel):
    """See `LoadedModel`; unless `exact`, OpenVINO computes in bfloat16 on a CPU that has it."""

    def __init__(self, file: Path, threads: int | None = None, exact: bool = False):
        import openvino

        options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        options |= {"INFERENCE_PRECISION_HINT": "f32"} if exact else {}
        options |= {"INFERENCE_NUM_THREADS": threads} if threads else {}
        self._model = openvino.Core().compile_model(file, "CPU", options)

    def run(self, images: np.ndarray, output: int = 0) -> np.ndarray:
        return self._model(images)[output]

    def ports(self) -> tuple[list[Port], list[Port]]:
        return [_port(one) for one in self._model.inputs], [_port(one) for one in self._model.outputs]

    @property
    def computes(self) -> str:  # type: ignore[override]
        """The types of the convolutions in the graph that OpenVINO makes of the file for this CPU."""
        kinds = [node.get_rt_info() for node in self._model.get_runtime_model().get_ops()]
        texts = [{name: str(info[name].astype(str)) for name in ("layerType", "runtimePrecision")} for info in kinds]
        return shares(_NAMES.get(t["runtimePrecision"], t["runtimePrecision"]) for t in texts if _convolves(t))

    def facts(self) -> dict[str, Any]:
        return {"input": self._model.input().any_name, "output": _name(self._model.outputs[0])}  # of DeepLab it has two


def _port(port: Any) -> Port:
    shape = port.get_partial_shape()
    known = not shape.rank.is_dynamic
    sides = tuple(None if side.is_dynamic else side.get_length() for side in shape) if known else None
    return Port(_name(port) or "", sides, np.dtype(port.get_element_type().to_dtype()).name)


def _convolves(node: dict[str, str]) -> bool:
    return node["layerType"] in ("Convolution", "Deconvolution")


def _name(output: Any) -> str | None:
    return min(output.names, default=None)


FORMAT = Format(
    name="openvino",
    title="OpenVINO",
    file="model.xml",
    backend="tensorflow",
    needs={"openvino": "openvino", "nncf": "nncf"},
    extra="openvino",
    convert=convert,
    load=OpenVinoModel,
    example=EXAMPLE,
)
