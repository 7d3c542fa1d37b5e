"""Read the specs of plug-in files and installed packages in a child process.

Plug-ins import keras, which the parent process never does. The child calls `bench.plugin.probe`, and the cache folder
keeps its answer by the hash of its code.

An installed package names its architectures or data sets by entry points in the groups `bench.architectures` and
`bench.datasets`: `name = "package.module:function"`. Everything that is decorated in that module is registered.
"""

import importlib.metadata
import importlib.util
import os
from pathlib import Path
from typing import Any

from bench.core.backends import quickest
from bench.core.child_process import ChildEnded, ask
from bench.core.code.import_by_name import plugin_hash
from bench.core.errors import BenchError
from bench.core.files import cached, file_hash

PROBE_SECONDS = 180.0  # time limit; importing TensorFlow alone can take 20 s
ENTRY_POINT_GROUPS = ("bench.architectures", "bench.datasets")


def file(path: Path) -> dict[str, Any]:
    """Return the specs that a plug-in file defines (see bench.plugin.probe); raise BenchError if the import fails."""
    return _probe(str(path), plugin_hash(path))


def module(name: str) -> dict[str, Any]:
    """Return the specs that an installed module defines."""
    return _probe(name, file_hash(module_file(name)))


def entry_points() -> list[str]:
    """List the modules that installed packages name."""
    points = (p for group in ENTRY_POINT_GROUPS for p in importlib.metadata.entry_points(group=group))
    return list(dict.fromkeys(point.module for point in points))


def module_file(module: str) -> Path:
    """Find the file of an installed module without importing its package."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        raise BenchError(f"The entry point's module '{module}' is not installed. Reinstall the package that names it.")
    if not rest:
        return Path(spec.origin)
    path = Path(spec.origin).parent.joinpath(*rest)
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _probe(source: str, code: str) -> dict[str, Any]:
    """Return the specs that a module or file defines, from the cache or a child process; `code` is its hash."""
    return cached("plugins", f"{source}\n{code}", lambda: _ask_child(source))


def _ask_child(source: str) -> dict[str, Any]:
    backend = os.environ.get("KERAS_BACKEND") or quickest()
    try:
        (answer,) = ask("bench.plugin:probe", [{"source": source}], backend, PROBE_SECONDS)
    except ChildEnded as ended:
        answer = {"error": str(ended)}
    if "error" in answer:
        raise BenchError(f"The plug-in '{source}' can't be imported: {answer['error']}")
    return answer
