"""Import the function that a spec names as "module:function", in the process that needs it."""

import ast
import functools
import hashlib
import importlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.core.code.planned_code import import_planned_code, planned_code, read_code
from bench.core.errors import BenchError
from bench.core.files import file_hash, text_hash


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
    """Import a plug-in's file, once per process and state of its code; raise BenchError if there is none.

    Its folder comes last on `sys.path` and stays there, since a builder may import when it is called; the folder of
    the next plug-in replaces it.
    """
    path = path.resolve()
    if not is_plugin(path):
        raise BenchError(f"There is no plug-in file '{path}'.")
    # Named by content, so that a file that is edited during a notebook's session is imported again.
    name = f"bench_plugin_{path.stem}_{text_hash(f'{path} {plugin_hash(path)}')[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BenchError(f"'{path}' is no Python file.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        with _folder_last(path):
            # Not exec_module, whose bytecode cache compares whole seconds and sizes and so misses a quick edit.
            exec(compile(_content(path), str(path), "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _folder_last(plugin: Path) -> Iterator[None]:
    """Put a plug-in's folder last on `sys.path`; what it imports from there is read anew, and leaves no bytecode."""
    sys.path[:] = [folder for folder in sys.path if folder not in _folders] + [str(plugin.parent)]
    _folders.add(str(plugin.parent))
    tops = {file.relative_to(plugin.parent).parts[0].removesuffix(".py") for file in siblings(plugin)}
    for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
        del sys.modules[name]
    importlib.invalidate_caches()
    import_planned_code()
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = written


_folders: set[str] = set()  # of the plug-ins that this process has imported


def is_plugin(path: Path) -> bool:
    """Return whether there is a plug-in's file, or was one when the run was planned."""
    return path in planned_code() or os.path.isfile(path)  # False too for a name that is too long


def _content(file: Path) -> bytes:
    code = planned_code()
    return code[file] if file in code else file.read_bytes()


def plugin_hash(path: Path | str) -> str:
    """Compute the SHA-256 of a plug-in's code: of its file, and of what it imports from its folder if there is any."""
    path = Path(path).resolve()
    others = [f"{file.relative_to(path.parent).as_posix()} {_hash(file)}" for file in siblings(path)]
    return text_hash("\n".join([_hash(path), *others])) if others else _hash(path)


def _hash(file: Path) -> str:
    code = planned_code()
    return hashlib.sha256(code[file]).hexdigest() if file in code else file_hash(file)


def read_plugin(path: Path | str) -> dict[str, str]:
    """Read a plug-in's code, its file first, for the trials of a run (see planned_code.py)."""
    path = Path(path).resolve()
    return read_code([path, *siblings(path)])


def siblings(plugin: Path) -> list[Path]:
    """List the files in a plug-in's folder that its code imports, directly or not, without running it.

    A module that is also installed is imported from there, since the folder comes last.
    """
    if plugin in planned_code():
        return sorted(planned_code().keys() - {plugin})
    found, waiting = {plugin}, [plugin]
    while waiting:
        file = waiting.pop()
        for level, name in _imports(file, file_hash(file)):
            if level > len(file.parents) or (not level and _is_installed(name.partition(".")[0], plugin.parent)):
                continue
            new = set(_files(file.parents[level - 1] if level else plugin.parent, name)) - found
            new = {file for file in new if plugin.parent in file.parents}  # Python refuses an import from above
            found |= new
            waiting += new
    return sorted(found - {plugin})


@functools.cache
def _imports(file: Path, digest: str) -> frozenset[tuple[int, str]]:
    """Return what a file with that hash imports anywhere: the number of leading dots, and the dotted name."""
    try:
        nodes = list(ast.walk(ast.parse(file.read_bytes())))
    except (SyntaxError, ValueError, RecursionError):  # reported when it is imported
        return frozenset()
    plain = {(0, alias.name) for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return frozenset(plain) | {
        (node.level, f"{node.module}.{alias.name}" if node.module else alias.name)
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _files(folder: Path, name: str) -> Iterator[Path]:
    """Yield the files that importing a dotted name from a folder runs, as far as they exist."""
    if folder.joinpath("__init__.py").is_file():  # `from . import name`
        yield folder / "__init__.py"
    for part in name.split("."):
        for file in (folder / part / "__init__.py", folder / f"{part}.py"):
            if file.is_file():
                yield file
                break
        folder = folder / part


def _is_installed(name: str, folder: Path) -> bool:
    """Return whether a module is found outside of the plug-in's folder and the working directory."""
    if name in sys.builtin_module_names:
        return True
    places = [place for place in sys.path if place and place not in _folders and Path(place) != folder]
    others = [finder for finder in sys.meta_path if finder is not importlib.machinery.PathFinder]
    return bool(importlib.machinery.PathFinder.find_spec(name, places)) or any(
        finder.find_spec(name, None) for finder in others
    )
