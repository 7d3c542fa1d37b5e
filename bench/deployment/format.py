"""The protocol of a deployment format: how Keras's model becomes a file, and how a runtime opens that file.

A format is one file in `formats/`. It imports its packages where it uses them, so that the planning process, and a
process that only measures, import nothing else.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.backends import TABLE, installed
from bench.core.errors import BenchError, reason_of

if TYPE_CHECKING:
    import keras

PRECISIONS = ("float32", "float16", "int8")
LIMITS = {"float32": 1e-4, "float16": 2e-2}
"""The greatest drift of an export by its precision; int8 has none, since only its scores say what it costs."""
LARGE_DRIFT = 0.2  # of int8, from which its row has a flag


@dataclass(frozen=True)
class Order:
    """The wishes of a user for a conversion, and the images that it may look at."""

    precision: str
    calibration: np.ndarray  # of the training split, in the graph's dtype, (N, H, W, C); none unless it is int8
    dynamic_batch: bool = False


@dataclass(frozen=True)
class Port:
    """An input or an output of a graph, as its runtime describes it."""

    name: str
    shape: tuple[int | None, ...] | None  # None for a side of any length, or for any shape
    dtype: str  # of NumPy
    scale: float = 0.0  # of quantised values q: the real ones are scale * (q - zero); 0 if they aren't
    zero: int = 0


class LoadedModel(ABC):
    """A file that its runtime has opened on the CPU."""

    computes: str  # the precision in which the runtime computes, as it says itself

    @abstractmethod
    def run(self, images: np.ndarray, output: int = 0) -> np.ndarray:
        """Compute an output for images in the graph's layout and dtype; it is awaited."""

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Compute logits, float32 (B, H, W, C), of images (B, H, W, C) in the graph's dtype: what an export gives."""
        return self.run(images)

    @abstractmethod
    def ports(self) -> tuple[list[Port], list[Port]]:
        """Describe the graph's inputs and outputs, these in the order of `run`."""

    def facts(self) -> dict[str, Any]:
        """Return what `model.json` says of the file besides: the names of input and output, the opset."""
        return {}


@dataclass(frozen=True)
class Format:
    """A deployment format.

    `convert` writes the file at a path from a graph: images (B, H, W, C) in the pack's dtype to logits. `load` opens it
    with a number of threads (None leaves that to the runtime), and if `exact` computes in the file's own precision even
    if the runtime would by itself choose a faster one.
    """

    name: str  # as `--format` takes it
    title: str  # as its makers write it
    file: str  # that the runtime opens; others may stand beside it
    backend: str  # the Keras backend that converts it
    needs: Mapping[str, str]  # packages besides the backend: name of the import, name of the distribution
    extra: str  # of segbench, that installs them; empty if there are none
    convert: Callable[["keras.Model", Path, Order], None]
    load: Callable[[Path, int | None, bool], LoadedModel]
    example: str  # a program of 15 lines that needs the runtime and NumPy only
    missing: Mapping[str, str] = field(default_factory=dict)  # precision that it hasn't: the reason
    fixed_batch: str = ""  # the reason why its batch can't be dynamic

    def open(self, file: Path, threads: int | None = None, *, exact: bool = False) -> LoadedModel:
        """Open a file as `load` does; raise BenchError if its runtime can't."""
        try:
            return self.load(file, threads, exact)
        except Exception as error:  # a runtime raises whatever it likes
            raise BenchError(f"The {self.title} file '{file}' can't be opened: {reason_of(error)}") from error

    def not_installed(self) -> str:
        """Return a line for what is missing here, with the command that installs it; an empty text if nothing is."""
        backend = TABLE[self.backend]
        if not installed(self.backend):
            return f"{self.title} files are made through {backend.title}, which is not installed: {backend.pip_line}"
        if missing := [name for module, name in self.needs.items() if not installed(module)]:
            return f"{self.title} needs {', '.join(missing)}: pip install 'segbench[{self.extra}]'"
        return ""

    def why_not(self, precision: str, *, dynamic_batch: bool) -> str:
        """Return the reason why a variant doesn't exist; an empty text if it does."""
        return self.missing.get(precision, "") or (self.fixed_batch if dynamic_batch else "")


def check_drift(title: str, precision: str, drift: float) -> None:
    """Raise BenchError, with the figure, if an export drifts from Keras by more than its precision may."""
    limit = LIMITS.get(precision)
    if limit is not None and not drift <= limit:
        raise BenchError(
            f"{title} in {precision} gives other logits than Keras: they differ by {drift:.2g} of the largest, and "
            f"the limit is {limit:g}. Nothing was written."
        )


def shares(types: Iterable[str]) -> str:
    """Describe the precisions of a graph's convolutions: `int8`, or `int8 (50 of 53 convolutions), float32 (3)`."""
    counts = Counter(types).most_common()
    if not counts:
        return "float32"
    (first, most), *rest = counts
    if not rest:
        return first
    total = sum(count for _, count in counts)
    return ", ".join([f"{first} ({most} of {total} convolutions)", *(f"{name} ({count})" for name, count in rest)])
