"""The specs of plug-in files and of installed packages, read in a child process.

They import keras, which the parent process never does. The child (`python -m bench.plugin`) prints the specs,
and the answer is kept in the cache folder by the hash of the source file.

An installed package says where its architectures or data sets are by entry points in the groups
`bench.architectures` and `bench.datasets`: `name = "package.module:function"`; everything that is decorated in
that module counts.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.files import cache_folder, file_hash, write_atomically
from bench.core.specs import BACKENDS
from bench.profiling.environment import installed

PROBE_SECONDS = 180.0  # importing TensorFlow alone can take 20
ENTRY_POINT_GROUPS = ("bench.architectures", "bench.datasets")


def file(path: Path) -> dict[str, Any]:
    """The specs that a plug-in file defines, as bench.plugin.probe gives them; BenchError if it can't be imported."""
    return _probe(str(path), path)


def module(name: str) -> dict[str, Any]:
    """The specs that an installed module defines."""
    return _probe(name, module_file(name))


def entry_points() -> list[str]:
    """The modules that installed packages name."""
    points = (p for group in ENTRY_POINT_GROUPS for p in importlib.metadata.entry_points(group=group))
    return list(dict.fromkeys(point.module for point in points))


def module_file(module: str) -> Path:
    """The file of an installed module, found without importing its package."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        raise BenchError(f"The entry point's module '{module}' is not installed. Reinstall the package that names it.")
    if not rest:
        return Path(spec.origin)
    path = Path(spec.origin).parent.joinpath(*rest)
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _probe(source: str, file: Path) -> dict[str, Any]:
    """The specs that `source` (a module's name or a file's path) defines, from the cache or a child process."""
    digest = hashlib.sha256(f"{source}\n{file_hash(file)}".encode()).hexdigest()
    kept = cache_folder("plugins") / f"{digest[:24]}.json"
    if kept.is_file():
        return json.loads(kept.read_text())
    answer = _ask_child(source)
    with write_atomically(kept) as part:
        part.write_text(answer)
    return json.loads(answer)


def _ask_child(source: str) -> str:
    environment = dict(os.environ)
    backend = next(filter(installed, ("jax", "torch", *BACKENDS)), None)  # the fastest to import first
    if backend:
        environment.setdefault("KERAS_BACKEND", backend)
    command = [sys.executable, "-m", "bench.plugin", source]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS, env=environment)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"The plug-in '{source}' took longer than {PROBE_SECONDS:.0f} s to import.") from error
    lines = child.stdout.strip().splitlines()
    if child.returncode or not lines:
        last = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
        raise BenchError(f"The plug-in '{source}' can't be imported: {last}")
    return lines[-1]
