"""A report's files, written whole."""

import os
import re
from collections.abc import Collection
from pathlib import Path

from bench.errors import BenchError


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file beside its place and rename it, so that a reader never sees half of it; BenchError if it can't be.

    The folder is made where it is absent.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
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
