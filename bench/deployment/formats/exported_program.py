"""PyTorch's ExportedProgram (.pt2), traced by torch.export from Keras on PyTorch."""

from pathlib import Path
from typing import Any

import numpy as np

from bench.deployment.format import Format, LoadedModel, Order, Port

EXAMPLE = '''"""Predict one image with PyTorch: python example.py IMAGE.npy (size and dtype: model.json)."""
import json
import sys
from pathlib import Path

import numpy as np
import torch

here = Path(__file__).parent
facts = json.loads((here / "model.json").read_text(encoding="utf-8"))
model = torch.export.load(here / facts["file"]).module()
image = torch.from_numpy(np.load(sys.argv[1]))
logits = model(image[None]).detach().numpy()
classes = logits[0].argmax(axis=-1)
print(json.dumps({name: int((classes == number).sum()) for number, name in enumerate(facts["classes"])}))
'''


def convert(graph: Any, file: Path, order: Order) -> None:
    """Trace the graph with one image, or with a batch of a free size."""
    import torch

    shapes = {"dynamic_shapes": {0: torch.export.Dim("batch", min=1)}} if order.dynamic_batch else {}
    graph.export(str(file), format="torch", verbose=False, **shapes)


class ExportedProgram(LoadedModel):
    """See `LoadedModel`; 16 bits are int32 in the graph, since PyTorch computes with no uint16."""

    computes = "float32"

    def __init__(self, file: Path, threads: int | None = None, exact: bool = False):
        import torch

        if threads:
            torch.set_num_threads(threads)
        self._torch = torch
        self._program = torch.export.load(file)
        self._module = self._program.module()
        self._kind = getattr(torch, self.ports()[0][0].dtype)

    def run(self, images: np.ndarray, output: int = 0) -> np.ndarray:
        with self._torch.inference_mode():
            given = self._torch.from_numpy(np.ascontiguousarray(images))
            return self._module(given.to(self._kind)).numpy()

    def facts(self) -> dict[str, Any]:
        return {"dtype": self.ports()[0][0].dtype}

    def ports(self) -> tuple[list[Port], list[Port]]:
        signature, nodes = self._program.graph_signature, {node.name: node for node in self._program.graph.nodes}
        inputs, outputs = signature.user_inputs, signature.user_outputs
        return [_port(nodes[name]) for name in inputs], [_port(nodes[name]) for name in outputs]


def _port(node: Any) -> Port:
    value = node.meta["val"]
    sides = tuple(side if isinstance(side, int) else None for side in value.shape)
    return Port(node.name, sides, str(value.dtype).removeprefix("torch."))


_ONE_PRECISION = "Keras exports PyTorch's programs in float32 only"
FORMAT = Format(
    name="torch",
    title="PyTorch",
    file="model.pt2",
    backend="torch",
    needs={},
    extra="",
    convert=convert,
    load=ExportedProgram,
    example=EXAMPLE,
    missing={"float16": _ONE_PRECISION, "int8": _ONE_PRECISION},
)
