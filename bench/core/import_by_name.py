"""Import the function that a spec names as "module:function", in the process that needs it."""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.core.errors import BenchError
from bench.core.files import file_hash


def import_by_name(target: str) -> Callable[..., Any]:
    """Import the function that "package.module:function" or "path/of/plugin.py:function" names."""
    module_name, _, name = target.rpartition(":")
    module = import_source(module_name)
    try:
        return getattr(module, name)
    except AttributeError as error:
        raise BenchError(f"'{module_name}' has no '{name}', which the spec names.") from error


_MOVED = {
    "bench.samples": "from bench.plugin import Dataset, DataFault, Sample",
    "bench.errors": "from bench.api import BenchError",
    "bench.spec": "from bench.api import Budget, TrialConfig (other specs: from bench.core.specs)",
}
"""What a plug-in could import before the modules moved, and the line that replaces it."""
_PUBLIC = "what it needs from bench.plugin (Dataset, Sample, ...) or bench.api (BenchError, TrialConfig, ...)"


def import_source(source: str) -> ModuleType:
    """Import a module by its name, or a file by its path (it ends in `.py`)."""
    try:
        return load_file(Path(source)) if source.endswith(".py") else importlib.import_module(source)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("bench."):
            raise
        instead = f"Write: {_MOVED[error.name]}" if error.name in _MOVED else f"Import {_PUBLIC}"
        raise BenchError(f"'{source}' imports {error.name}, which segbench doesn't have. {instead}") from error


def load_file(path: Path) -> ModuleType:
    """Import a plug-in's file, once per process and state of the file; raise BenchError if there is none."""
    path = path.resolve()
    if not path.is_file():
        raise BenchError(f"There is no plug-in file '{path}'.")
    # Named by content, so that a file that is edited during a notebook's session is imported again.
    digest = hashlib.sha256(f"{path} {file_hash(path)}".encode()).hexdigest()[:12]
    name = f"bench_plugin_{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BenchError(f"'{path}' is no Python file.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        # Not exec_module, whose bytecode cache compares whole seconds and sizes and so misses a quick edit.
        exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module
