"""The kinds of files that hold a model and no code, and how each is checked and opened; imports no runtime."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.backends import TABLE, installed
from bench.core.errors import BenchError, reason_of
from bench.core.option_kinds import shown
from bench.core.untrusted.plain_files import is_folder, is_there
from bench.deployment.conversion_errors import reason_in
from bench.deployment.format import LoadedModel
from bench.deployment.formats import FORMATS
from bench.deployment.others.checks import keras_archive, onnx_tensors, saved_model_graph
from bench.deployment.others.keras_file import KerasFile
from bench.deployment.others.model_files import beside, files_of, hash_of, mib_of


@dataclass(frozen=True)
class Kind:
    """A kind of file."""

    name: str
    title: str  # as its makers write it
    needs: Mapping[str, str]  # packages that open it: name of the import, name of the distribution
    extra: str  # of segbench, that installs them
    load: Callable[[Path, int | None, bool], LoadedModel]
    check: Callable[[Path], None] = lambda file: None  # raises BenchError for a file that isn't opened
    backend: str = ""  # the one that opens it; empty: any or none
    further: Callable[[Path], list[Path]] = lambda file: []  # files that a checked one names

    def not_installed(self) -> str:
        """Return a line for what is missing here, with the command that installs it; an empty text if nothing is."""
        if self.backend and not installed(self.backend):
            return f"A {self.title} is opened by {TABLE[self.backend].title}: {TABLE[self.backend].pip_line}"
        if missing := [name for module, name in self.needs.items() if not installed(module)]:
            return f"{self.title} files are opened by {', '.join(missing)}: pip install 'segbench[{self.extra}]'"
        return ""

    def open(self, file: Path, threads: int | None = None) -> LoadedModel:
        """Check a file and open it; raise BenchError if it is refused or can't be opened."""
        files_of(file)
        self.check(file)
        try:
            return self.load(file, threads, False)
        except Exception as error:  # a runtime raises whatever it likes
            raise BenchError(f"'{shown(file.name)}' can't be opened as {self.title}: {_why(error)}") from error

    def identity(self, file: Path) -> dict[str, Any]:
        """Return the hash and the size of all files of a checked model."""
        files = [*files_of(file), *self.further(file)]
        return {"sha256": hash_of(files), "size_mib": mib_of(files)}


def _why(error: Exception) -> str:
    """Return what a runtime says in one line; OpenVINO's first lines name a place in its own source."""
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith("Exception from")]
    return reason_in(lines[0] if lines else reason_of(error))


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "onnx",
            "ONNX",
            {"onnx": "onnx", "onnxruntime": "onnxruntime"},
            "onnx",
            FORMATS["onnx"].load,
            onnx_tensors.check,
            further=onnx_tensors.external_files,
        ),
        Kind("litert", "LiteRT", {"ai_edge_litert": "ai-edge-litert"}, "litert", FORMATS["litert"].load),
        Kind("openvino", "OpenVINO", {"openvino": "openvino"}, "openvino", FORMATS["openvino"].load),
        Kind(
            "saved_model",
            "SavedModel",
            {},
            "",
            FORMATS["saved_model"].load,
            saved_model_graph.check,
            backend=FORMATS["saved_model"].backend,
        ),
        Kind("keras", "Keras", {}, "", KerasFile, keras_archive.check),
    )
}
_SUFFIXES = {".onnx": "onnx", ".tflite": "litert", ".keras": "keras", ".xml": "openvino"}
_ACCEPTED = "Accepted: .onnx, .tflite, .keras, OpenVINO's .xml with its .bin beside it, or the folder of a SavedModel."
_CODE = {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".joblib", ".pt2", ".jit", ".npy"}
_HDF5 = {".h5", ".hdf5"}


def find_kind(file: Path) -> Kind:
    """Return the kind of a model's file by its name; raise BenchError if it isn't one, or what opens it is missing."""
    name, suffix = shown(str(file)), file.suffix.lower()
    if "\0" in str(file) or not is_there(file):
        raise BenchError(f"There is no model '{name}'. {_ACCEPTED}")
    if suffix in _CODE:
        raise BenchError(
            f"'{name}' may hold a pickle, which runs code when it is read, so it isn't opened: export it as ONNX "
            f"(docs/deployment.md shows torch.onnx.export). {_ACCEPTED}"
        )
    if suffix in _HDF5:
        raise BenchError(
            f"'{name}' is HDF5, in which Keras has no safe mode, so it isn't opened: save it as .keras. {_ACCEPTED}"
        )
    if is_folder(file):
        kind = _of_folder(file)
    elif suffix in _SUFFIXES:
        kind = KINDS[_SUFFIXES[suffix]]
    else:
        raise BenchError(f"'{name}' is no file of a model that is known. {_ACCEPTED}")
    if kind.name == "openvino" and not is_there(beside(file)):
        raise BenchError(f"The weights of '{name}' are missing: put '{beside(file).name}' beside it.")
    if reason := kind.not_installed():
        raise BenchError(f"{reason}.")
    return kind


def _of_folder(folder: Path) -> Kind:
    if is_there(folder / saved_model_graph.FILE):
        return KINDS["saved_model"]
    there = [path.name for path in sorted(folder.iterdir()) if path.suffix.lower() in _SUFFIXES]
    hint = f" It has '{shown(there[0])}': give that file." if there else ""
    raise BenchError(
        f"The folder '{shown(str(folder))}' is no SavedModel (it has no {saved_model_graph.FILE}).{hint} {_ACCEPTED}"
    )
