"""Tell what an opening of a data set depends on, and which file of the cache keeps it."""

import functools
import hashlib
import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench.core.code.import_by_name import plugin_hash
from bench.core.dataset_protocol import Dataset
from bench.core.files import cache_path, file_hash, name_part, text_hash
from bench.core.specs import DatasetSpec
from bench.data.opened.folder_state import FolderState

BUILT_IN = "bench.datasets"  # the package of the adapters that share code
FEWEST = 2000  # paths of a folder; a smaller one is opened as quickly without a file
_CODE = ("bench.core", "bench.data", BUILT_IN)


class Question(NamedTuple):
    """An opening: the file that may keep it, and the state of all that it depends on."""

    path: Path
    state: str

    @property
    def sampled(self) -> "Question":
        """The opening by a sample of the files' facts, as `sampling` makes it."""
        return Question(self.path.with_suffix(".sampled.arrow"), f"{self.state} sampled")


def question_of(spec: DatasetSpec, folder: Path, params: Mapping[str, Any], seen: FolderState) -> Question | None:
    """Return where an opening may be kept; None where it may not.

    That is so for adapters that may read other files than those of the folder, for a parameter that names a file, for
    a file that is so new that its next change might not show, and for folders that are opened in a moment.
    """
    built_in = spec.adapter.startswith(f"{BUILT_IN}.") and not spec.source
    elsewhere = {param.name for param in spec.params if param.type == "path"} & {*params}
    if not built_in or elsewhere or not seen.digest or len(seen.stamps) < FEWEST:
        return None
    asked = repr((spec, str(folder), sorted(params.items())))
    name = f"{name_part(spec.name)}-{text_hash(asked)[:12]}.arrow"
    return Question(cache_path("opened") / name, text_hash("\n".join([asked, _code(), seen.digest])))


def code_hash(spec: DatasetSpec, adapter: Callable[..., Dataset]) -> str:
    """Hash the code that reads the data: a plug-in with its imports, a built-in adapter with all that it may use."""
    file = Path(inspect.getfile(adapter))
    if spec.adapter.startswith(f"{file}:"):
        return plugin_hash(file)[:16]
    built_in = adapter.__module__.startswith(f"{BUILT_IN}.")
    files = sorted(file.parent.rglob("*.py")) if built_in else [file]
    return hashlib.sha256("".join(map(file_hash, files)).encode()).hexdigest()[:16]


@functools.cache
def _code() -> str:
    """Hash the code that opens data sets."""
    roots = [Path(str(importlib.import_module(name).__file__)).parent for name in _CODE]
    files = [file for root in roots for file in sorted(root.rglob("*.py"))]
    return text_hash("".join(map(file_hash, files)))
