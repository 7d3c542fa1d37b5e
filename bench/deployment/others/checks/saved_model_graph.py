"""SavedModels: no operation that calls Python, reads or writes files, in what loading and predicting run.

A SavedModel is a program of TensorFlow. Its functions for saving and restoring variables do write and read files; they
are never called, so only what the other functions reach is looked at.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, reason_of
from bench.core.option_kinds import shown

FILE = "saved_model.pb"
_REFUSED = {
    *("PyFunc", "PyFuncStateless", "EagerPyFunc", "ReadFile", "WriteFile", "MatchingFiles", "DeleteDirectory"),
    *("Save", "SaveV2", "SaveSlices", "MergeV2Checkpoints", "Restore", "RestoreV2", "RestoreSlice", "PrintV2"),
    *("WholeFileReader", "WholeFileReaderV2", "TextLineDataset", "TFRecordDataset", "TFRecordDatasetV2"),
    *("FixedLengthRecordDataset", "FixedLengthRecordDatasetV2", "SaveDataset", "LoadDataset", "LoadLibrary"),
    *("InitializeTableFromTextFile", "InitializeTableFromTextFileV2", "WriteSummary", "CreateSummaryFileWriter"),
    *("RpcCall", "RpcClient", "DebugIdentity"),
}


def check(folder: Path) -> None:
    """Raise BenchError if the folder has no readable graph, or one that does more than compute."""
    from tensorflow.core.protobuf import saved_model_pb2

    found = saved_model_pb2.SavedModel()
    try:
        found.ParseFromString((folder / FILE).read_bytes())
        (graph,) = found.meta_graphs
    except Exception as error:  # of protobuf, or of a model with several graphs
        raise BenchError(f"'{shown(folder.name)}' is no whole SavedModel: {reason_of(error)}") from error
    if odd := sorted(_reached(graph) & _REFUSED):
        raise BenchError(
            f"'{shown(folder.name)}' isn't opened: its graph has the operation {odd[0]}, which does more than compute. "
            "Export the model without it, or as ONNX."
        )


def _reached(graph: Any) -> set[str]:
    """Return the types of the operations that loading and predicting can reach."""
    functions = {one.signature.name: one for one in graph.graph_def.library.function}
    saver = {graph.saver_def.save_tensor_name, graph.saver_def.restore_op_name}
    saver = {name.partition(":")[0] for name in saver}
    top = [node for node in graph.graph_def.node if node.name not in saver]
    kinds, waiting = set[str](), {*graph.object_graph_def.concrete_functions}
    waiting |= _called(top, functions, kinds)
    seen = set[str]()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        if name in functions:
            waiting |= _called(functions[name].node_def, functions, kinds) - seen
    return kinds


def _called(nodes: Iterable[Any], functions: dict[str, Any], kinds: set[str]) -> set[str]:
    """Add the nodes' types to `kinds`; return the functions that they name."""
    found = set[str]()
    for node in nodes:
        kinds.add(node.op)
        found |= {node.op} & functions.keys()
        for value in node.attr.values():
            found |= {value.func.name, *(one.name for one in value.list.func)} - {""}
    return found
