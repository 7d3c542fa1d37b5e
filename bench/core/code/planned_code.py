"""The code of a plug-in as it was when its run was planned, which trials import even if the files have changed since.

The runner puts it into a file in the trial's folder. The trial names that file in its environment, so that processes
that it starts import the same code. Modules keep their paths: data that a plug-in reads from its folder are found.
"""

import functools
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

VARIABLE = "SEGBENCH_PLANNED_CODE"  # the path of the file
_ANY_BYTES = ("utf-8", "surrogateescape")  # as text that JSON can hold


def read_code(files: Iterable[Path]) -> dict[str, str]:
    """Return the contents of files by their paths, as values that JSON can hold; the first one is the plug-in's."""
    return {str(file): file.read_bytes().decode(*_ANY_BYTES) for file in files}


def use_planned_code(file: Path) -> None:
    """Import a plug-in's code from now on, here and in child processes, as the file says, if there is one."""
    if file.is_file():
        os.environ[VARIABLE] = str(file.resolve())


def planned_code() -> Mapping[Path, bytes]:
    """Return the planned contents by path, the plug-in's file first; empty outside of trials with a plug-in."""
    return _read(os.environ.get(VARIABLE, ""))


@functools.cache
def _read(file: str) -> Mapping[Path, bytes]:
    values: dict[str, Any] = json.loads(Path(file).read_bytes()) if file else {}
    return {Path(path): text.encode(*_ANY_BYTES) for path, text in values.items()}


def import_planned_code() -> None:
    """Make Python find the modules of the plug-in's folder in the planned code first, if there is any."""
    if planned_code() and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """A finder of planned modules. None of them has the name of an installed one, which would not have been planned."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        code = planned_code()
        folders = [next(iter(code)).parent] if path is None else [Path(part) for part in path]
        last = name.rpartition(".")[2]
        for file in (file for folder in folders for file in (folder / last / "__init__.py", folder / f"{last}.py")):
            if file in code:
                return spec_from_file_location(name, file, loader=_Loader(name, str(file)))
        return _folder_of_modules(name, [folder / last for folder in folders])


def _folder_of_modules(name: str, folders: Sequence[Path]) -> ModuleSpec | None:
    """Return the spec of a package without an `__init__.py`; None if no planned module is below the folders."""
    inner = [str(folder) for folder in folders if any(folder in file.parents for file in planned_code())]
    if not inner:
        return None
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = inner
    return spec


class _Loader(SourceFileLoader):
    def get_data(self, path: str | bytes) -> bytes:
        return planned_code()[Path(os.fsdecode(path))]

    def path_stats(self, path: Any) -> Any:
        raise OSError("Bytecode may be that of the file as it is now.")
