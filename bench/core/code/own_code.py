"""The code of segbench itself, by a hash: a version's number stays the same while somebody works on it."""

import functools
from importlib import import_module
from pathlib import Path

from bench.core.files import file_hash, text_hash

_ROOMS = ("core", "data", "architectures", "datasets", "config", "training", "evaluation", "trials")


@functools.cache
def own_code() -> str:
    """Hash the code that decides how a training goes, the same wherever it is installed: 12 hexadecimal digits."""
    folders = (Path(str(import_module(f"bench.{room}").__file__)).parent for room in _ROOMS)  # not beside each other
    files = (path for folder in folders for path in sorted(folder.rglob("*.py")))
    return text_hash("\n".join(map(file_hash, files)))[:12]
