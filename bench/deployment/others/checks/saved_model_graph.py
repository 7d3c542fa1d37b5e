"""SavedModels: no operation that calls Python, reads or writes files, in what loading and predicting run.

A SavedModel is a program of TensorFlow. Its nodes for saving and restoring variables do write and read files: the
operations that TensorFlow's own saver needs are accepted there, and nowhere else.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, reason_of
from bench.core.option_kinds import shown

FILE = "saved_model.pb"
_REFUSED_FAMILIES = re.compile(r"Dataset|Iterator|Reader|Summary|Debug|Sql|Csv|Lmdb|TextFile|Remap|Rpc|PyFunc|File")
_REFUSED = {
    *("DeleteDirectory", "Save", "SaveV2", "SaveSlices", "MergeV2Checkpoints", "Restore", "RestoreV2", "RestoreSlice"),
    *("PrintV2", "LoadLibrary", "GenerateVocabRemapping"),
}
_SAVING = {"SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename"}  # what TensorFlow's own saver needs


def check(folder: Path) -> None:
    """Raise BenchError if the folder has no readable graph, or one that does more than compute."""
    from tensorflow.core.protobuf import saved_model_pb2

    found = saved_model_pb2.SavedModel()
    try:
        found.ParseFromString((folder / FILE).read_bytes())
        (graph,) = found.meta_graphs
    except Exception as error:  # of protobuf, or of a model with several graphs
        raise BenchError(f"'{shown(folder.name)}' is no whole SavedModel: {reason_of(error)}") from error
    if odd := sorted(kind for kind in _reached(graph) if kind in _REFUSED or _REFUSED_FAMILIES.search(kind)):
        raise BenchError(
            f"'{shown(folder.name)}' isn't opened: its graph has the operation {odd[0]}, which does more than compute. "
            "Export the model without it, or as ONNX."
        )


def _reached(graph: Any) -> set[str]:
    """Return the types of the operations that the graph can reach, without what its saver alone may do."""
    saver = {graph.saver_def.save_tensor_name, graph.saver_def.restore_op_name}
    saver = {name.partition(":")[0] for name in saver}
    nodes = graph.graph_def.node
    taken = {name.lstrip("^").partition(":")[0] for node in nodes for name in node.input}
    alone = [node for node in nodes if node.name in saver - taken]
    computing = _kinds(graph, [node for node in nodes if node not in alone], graph.object_graph_def.concrete_functions)
    return computing | (_kinds(graph, alone, ()) - _SAVING)


def _kinds(graph: Any, top: Iterable[Any], called: Iterable[str]) -> set[str]:
    """Return the types of nodes, and of those in the functions that they call or that are `called`."""
    functions = {one.signature.name: one for one in graph.graph_def.library.function}
    kinds, seen = set[str](), set[str]()
    waiting = {*called} | _called(top, functions, kinds)
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
