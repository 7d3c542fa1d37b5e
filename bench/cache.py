"""Where packs, downloads and the like stand: the user's cache folder, or the environment variable SEGBENCH_CACHE."""

import os
import shutil
from pathlib import Path

from platformdirs import user_cache_path

from bench.errors import BenchError

VARIABLE = "SEGBENCH_CACHE"


def cache_folder(part: str) -> Path:
    """The folder for "packs", "downloads" and so on, made if it does not exist; BenchError when it can't be made."""
    given = os.environ.get(VARIABLE)
    folder = (Path(given).expanduser() if given else user_cache_path("segbench")) / part
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchError(
            f"The cache folder '{folder}' can't be made ({error.strerror}). Give another one in {VARIABLE}."
        ) from error
    return folder


def check_space(folder: Path, needed: int, what: str) -> None:
    """BenchError when less than `needed` bytes are free where `folder` stands."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BenchError(
            f"{what} needs {needed / 2**30:.1f} GiB in '{folder}', where {free / 2**30:.1f} GiB are free. "
            f"Make room, or give another cache folder in {VARIABLE}."
        )
