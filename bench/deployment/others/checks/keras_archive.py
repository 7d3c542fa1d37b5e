"""`.keras` files: an archive of a sensible size whose configuration names Keras's own layers, and none that runs code.

Keras's safe mode refuses lambdas by itself. This looks before Keras does, so that the reason is one line, and also
refuses what safe mode was once led around by: functions outside of Keras's lists of activations, losses and the like.
"""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from bench.core.errors import BenchError
from bench.core.option_kinds import shown
from bench.core.untrusted import safe_json
from bench.deployment.others.model_files import MOST_BYTES

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MOST_RATIO = 100  # of a file's size after unpacking; weights shrink to a half or less, a bomb to a thousandth
_MOST_CONFIG, _MOST_VALUES = 64 * 2**20, 5_000_000
_CODE = {"Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}
_FUNCTIONS = ("activations", "losses", "metrics", "initializers", "regularizers", "constraints", "ops")


def check(file: Path) -> None:
    """Raise BenchError if the file is no such archive, unpacks to too much, or names code."""
    name = shown(file.name)
    try:
        with zipfile.ZipFile(file) as archive:
            _check_sizes(archive, name)
            config = safe_json.loads(archive.read(_CONFIG), most=_MOST_VALUES)
            if isinstance(config, dict):
                config.pop("compile_config", None)  # of training, which isn't read
            _check_code(config, name)
            _check_weights(archive, name)
    except KeyError as error:
        raise BenchError(f"'{name}' is no whole .keras file: it has no {_CONFIG} or no {_WEIGHTS}.") from error
    except BenchError:
        raise
    except (OSError, ValueError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise BenchError(f"'{name}' is no whole .keras file: {str(error) or type(error).__name__}.") from error


def _check_sizes(archive: zipfile.ZipFile, name: str) -> None:
    left = MOST_BYTES
    for one in archive.infolist():
        path = PurePosixPath(one.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in one.filename:
            raise BenchError(f"'{name}' isn't opened: it has a file '{shown(one.filename)}', outside of it.")
        left -= one.file_size
        most = _MOST_CONFIG if one.filename == _CONFIG else left
        if left < 0 or one.file_size > most or one.file_size > _MOST_RATIO * one.compress_size + 2**20:
            raise BenchError(
                f"'{name}' isn't opened: '{shown(one.filename)}' unpacks from {one.compress_size:,} bytes to "
                f"{one.file_size:,}, which is too much."
            )


def _check_code(config: Any, name: str) -> None:
    for part in _objects(config):
        kind, module = str(part.get("class_name")), part.get("module")
        if kind in _CODE:
            raise BenchError(
                f"'{name}' has a layer {kind}, which runs code of the file, so it isn't opened. Replace it by Keras's "
                "own layers, or export the model as ONNX."
            )
        if not _is_known(kind, module):
            raise BenchError(
                f"'{name}' names '{shown(part.get('registered_name') or kind)}', which is none of Keras's own layers "
                f"(module {shown(str(module))}), and its code isn't run. Export the model as ONNX."
            )


def _is_known(kind: str, module: Any) -> bool:
    """Tell whether an object is Keras's: a class of one of its modules, or a function of a few of them."""
    if module == "builtins":
        return kind in ("slice", "__tensor__", "__numpy__", "__tuple__")
    parts = str(module).split(".")
    if parts[0] != "keras" or any(not part.isidentifier() for part in parts):
        return False
    return kind != "function" or any(part in _FUNCTIONS for part in parts[1:])


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Yield the serialised objects in a configuration: what Keras looks up by its module and class."""
    waiting = [config]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            named = "class_name" in part and ("module" in part or "registered_name" in part)
            if named or str(part.get("class_name")) in _CODE:
                yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _check_weights(archive: zipfile.ZipFile, name: str) -> None:
    """Refuse weights that lie in other files, which HDF5 can name."""
    import h5py

    with h5py.File(io.BytesIO(archive.read(_WEIGHTS)), "r") as file:
        waiting, seen = [file], set[int]()
        while waiting:
            group = waiting.pop()
            for key in group:
                link = group.get(key, getlink=True)
                if not isinstance(link, h5py.HardLink):
                    raise BenchError(f"'{name}' isn't opened: its weights '{shown(key)}' are a link to others.")
                item = group[key]
                if isinstance(item, h5py.Group):
                    address = h5py.h5o.get_info(item.id).addr
                    waiting += [] if address in seen else [item]  # a group can lie in itself
                    seen.add(address)
                elif not isinstance(item, h5py.Dataset):
                    raise BenchError(f"'{name}' isn't opened: its weights '{shown(key)}' are no numbers.")
                elif item.external or item.is_virtual:
                    raise BenchError(f"'{name}' isn't opened: its weights '{shown(key)}' lie in another file.")
