"""Write the files of a report, and remove those of an earlier one."""

import re
from collections.abc import Collection
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.files import write_file

_ADVICE = "Give another folder with --out."


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file of a report atomically and make its folder if it is absent; BenchError if that fails."""
    return write_file(path, content, _ADVICE)


def remove_others(folder: Path, names: re.Pattern[str], keep: Collection[Path]) -> None:
    """Remove the files of an earlier report: those in `folder` whose names match and that are not in `keep`."""
    try:
        for path in folder.glob("*"):
            if names.fullmatch(path.name) and path not in keep:
                path.unlink()
    except OSError as error:
        raise BenchError(f"'{folder}' can't be written ({error.strerror or error}). {_ADVICE}") from error
