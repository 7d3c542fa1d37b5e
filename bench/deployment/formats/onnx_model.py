"""ONNX, converted by Keras through tf2onnx and run by ONNX Runtime on the CPU."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.deployment.format import Format, LoadedModel, Order, Port, shares

_NUMPY = {"float": "float32", "double": "float64"}
_QUIET = 3  # errors only
_CONVOLUTIONS = {"Conv", "ConvTranspose", "FusedConv", "NhwcFusedConv", "QLinearConv", "ConvInteger"}
EXAMPLE = '''"""Predict one image with ONNX Runtime: python example.py IMAGE.npy (size and dtype: model.json)."""
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

here = Path(__file__).parent
facts = json.loads((here / "model.json").read_text(encoding="utf-8"))
session = onnxruntime.InferenceSession(str(here / facts["file"]), providers=["CPUExecutionProvider"])
image = np.load(sys.argv[1])
(logits,) = session.run(None, {facts["input"]["name"]: image[None]})
classes = logits[0].argmax(axis=-1)
print(json.dumps({name: int((classes == number).sum()) for number, name in enumerate(facts["classes"])}))
'''


def convert(graph: Any, file: Path, order: Order) -> None:
    """Write float32 first; float16 and int8 are made from it by ONNX Runtime's own tools."""
    if order.precision == "float32":
        _export(graph, file)
        return
    with TemporaryDirectory(dir=file.parent) as folder:
        whole = Path(folder) / "float32.onnx"
        _export(graph, whole)
        if order.precision == "float16":
            _to_float16(whole, file)
        else:
            _quantise(whole, file, order.calibration)


def _export(graph: Any, file: Path) -> None:
    """Export float32; refuse operations that ONNX lacks, which tf2onnx only logs."""
    import onnx

    graph.export(str(file), format="onnx", verbose=False)
    onnx.checker.check_model(str(file))


def _to_float16(whole: Path, file: Path) -> None:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(str(whole)), keep_io_types=True), str(file))


def _quantise(whole: Path, file: Path, images: np.ndarray) -> None:
    """Quantise weights by channel and activations, with ranges seen on the calibration images."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = whole.with_name("prepared.onnx")
    quant_pre_process(str(whole), str(prepared), skip_symbolic_shape=True)  # it gives up on resizes of DeepLab
    name = onnx.load(str(prepared), load_external_data=False).graph.input[0].name

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches: Iterator[np.ndarray] = iter(images[:, None])

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self._batches, None)
            return None if batch is None else {name: batch}

    quantize_static(str(prepared), str(file), Reader(), quant_format=QuantFormat.QDQ, per_channel=True)


class OnnxModel(LoadedModel):
    """See `LoadedModel`."""

    def __init__(self, file: Path, threads: int | None = None, exact: bool = False):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = _QUIET
        if threads:
            options.intra_op_num_threads = options.inter_op_num_threads = threads
        self._file = file
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def run(self, images: np.ndarray, output: int = 0) -> np.ndarray:
        return self._session.run(None, {self._input: images})[output]

    def ports(self) -> tuple[list[Port], list[Port]]:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        return [_port(one) for one in inputs], [_port(one) for one in outputs]

    @property
    def computes(self) -> str:  # type: ignore[override]
        """The types of the convolutions in the graph that ONNX Runtime makes of the file for this CPU."""
        return shares(_types(self._file))

    def facts(self) -> dict[str, Any]:
        import onnx

        opsets = onnx.load(str(self._file), load_external_data=False).opset_import
        names = {"input": self._input, "output": self._session.get_outputs()[0].name}
        return {**names, "opset": next(one.version for one in opsets if one.domain in ("", "ai.onnx"))}


def _port(argument: Any) -> Port:
    kind = argument.type.removeprefix("tensor(").removesuffix(")")
    sides = tuple(side if isinstance(side, int) else None for side in argument.shape or ())
    return Port(argument.name, sides or None, _NUMPY.get(kind, kind))


def _types(file: Path) -> list[str]:
    import onnx
    import onnxruntime
    from onnx import TensorProto

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    with TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        graph = onnx.load(options.optimized_model_filepath, load_external_data=False).graph
    types = {tensor.name: TensorProto.DataType.Name(tensor.data_type).lower() for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type in _CONVOLUTIONS]
    return ["int8" if "Q" in node.op_type else _named(types.get(node.input[1], "float")) for node in nodes]


def _named(onnx_type: str) -> str:
    return {"float": "float32"}.get(onnx_type, onnx_type)


FORMAT = Format(
    name="onnx",
    title="ONNX",
    file="model.onnx",
    backend="tensorflow",
    needs={"tf2onnx": "tf2onnx", "onnx": "onnx", "onnxruntime": "onnxruntime"},
    extra="onnx",
    convert=convert,
    load=OnnxModel,
    example=EXAMPLE,
)
