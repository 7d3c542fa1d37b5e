"""ONNX files: external data lie beside the file, and no operation needs a library of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, reason_of
from bench.core.option_kinds import shown
from bench.deployment.others.model_files import MOST_BYTES, inside

_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc")  # of ONNX Runtime itself


def check(file: Path) -> None:
    """Raise BenchError if the file is no ONNX, reads other files than those beside it, or has foreign operations."""
    import onnx

    try:
        model = onnx.load(str(file), load_external_data=False)
        if not model.graph.node:
            raise ValueError("it has no graph")
    except Exception as error:  # of protobuf and of onnx
        raise BenchError(f"'{shown(file.name)}' is no whole ONNX file: {reason_of(error)}") from error
    own = {function.domain for function in model.functions}
    for node in _nodes(model):
        if node.domain not in _DOMAINS and node.domain not in own:
            raise BenchError(
                f"'{shown(file.name)}' uses the operation '{shown(node.op_type)}' of '{shown(node.domain)}', which "
                "needs a library of its own. Such libraries are never loaded: export it with ONNX's own operations."
            )
    _check_external(model, file)


def external_files(file: Path) -> list[Path]:
    """List the files with external data of a checked model."""
    import onnx

    model = onnx.load(str(file), load_external_data=False)
    return sorted({inside(file.parent, _location(tensor)) for tensor in _external(model)})


def _check_external(model: Any, file: Path) -> None:
    try:
        paths = {inside(file.parent, _location(tensor)) for tensor in _external(model)}
    except ValueError as error:
        raise BenchError(
            f"'{shown(file.name)}' isn't opened: {error}. External data must be a file in the model's folder."
        ) from error
    if sum(path.stat().st_size for path in paths) > MOST_BYTES:
        raise BenchError(f"'{shown(file.name)}' isn't opened: its external data have more than {MOST_BYTES:,} bytes.")


def _location(tensor: Any) -> str:
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")


def _external(model: Any) -> Iterator[Any]:
    from onnx import TensorProto

    return (tensor for tensor in _tensors(model) if tensor.data_location == TensorProto.EXTERNAL)


def _graphs(model: Any) -> Iterator[Any]:
    """Yield the graph, the functions and all graphs inside them."""
    waiting = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                waiting += [attribute.g, *attribute.graphs] if attribute.HasField("g") else list(attribute.graphs)


def _nodes(model: Any) -> Iterator[Any]:
    return (node for graph in _graphs(model) for node in graph.node)


def _tensors(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        yield from getattr(graph, "initializer", ())
        for sparse in getattr(graph, "sparse_initializer", ()):
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                yield from (attribute.t, *attribute.tensors)
                for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                    yield from (sparse.values, sparse.indices)
