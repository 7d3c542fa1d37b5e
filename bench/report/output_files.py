"""A report's files, written whole."""

import re
from collections.abc import Collection
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.files import whole


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file beside its place and rename it, so that a reader never sees half of it; BenchError if it can't be.

    The folder is made where it is absent.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as part:
            part.write_bytes(content)
    except OSError as error:
        raise _not_written(path, error) from error
    return path


def remove_others(folder: Path, names: re.Pattern[str], keep: Collection[Path]) -> None:
    """Remove the files of an earlier report: those in `folder` whose names match and that are not in `keep`."""
    try:
        for path in folder.glob("*"):
            if names.fullmatch(path.name) and path not in keep:
                path.unlink()
    except OSError as error:
        raise _not_written(folder, error) from error


def _not_written(path: Path, error: OSError) -> BenchError:
    reason = error.strerror or error
    return BenchError(f"The report can't be written to '{path}' ({reason}). Give another folder with --out.")
