"""Tell by its marker whether a folder is a results folder that this version can write to or read."""

import os
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.files import check_can_write, is_part, printable
from bench.core.specs import SCHEMA_VERSION
from bench.core.untrusted import safe_json
from bench.core.untrusted.plain_files import check_inside, odd_kind, read_file
from bench.results.trial_files import MARKER, MOST_BYTES

ANOTHER = "give another folder with --results."


def check_writable(path: Path) -> None:
    """Raise BenchError unless `path` is empty, absent, or a results folder of this schema or older."""
    whole = str(path.resolve())
    if whole != printable(whole):
        raise BenchError(
            f"The results folder '{printable(whole)}' has a name that isn't UTF-8, which HDF5 and Parquet can't open. "
            "Give another with --results."
        )
    if path.exists() and not path.is_dir():
        raise BenchError(f"The results folder '{path}' is a file. Give a folder with --results.")
    if not path.exists() or all(map(is_part, path.iterdir())):  # another process may be making it now
        check_can_write(path, ANOTHER.capitalize())
        return
    if problem := _unmarked(path):
        raise BenchError(
            f"'{path}' is not empty and isn't a results folder ({problem}). Give --results an empty folder."
        )
    check_inside(path, path / "trials", ANOTHER)
    try:
        version = _marker_version(path)
    except BenchError as error:
        raise BenchError(f"{error} Give --results another folder.") from error
    if version > SCHEMA_VERSION:
        raise BenchError(
            f"'{path}' was written by a newer segbench (schema {version}, this one writes {SCHEMA_VERSION}). "
            "Update segbench, or give --results another folder."
        )


def why_unreadable(path: Path) -> str | None:
    """Explain why a path can't be read as a results folder of this schema or an older one."""
    if not os.path.lexists(path):
        return f"There is no results folder '{path}'. `bench run --results DIR` makes one."
    if not path.is_dir():
        return f"'{path}' is {odd_kind(path) or 'a file'}, not a results folder."
    if problem := _unmarked(path):
        return f"'{path}' isn't a results folder ({problem}). `bench run --results DIR` makes one."
    try:
        version = _marker_version(path)
    except BenchError as error:
        return str(error)
    if version > SCHEMA_VERSION:
        return f"'{path}' was written by a newer segbench (schema {version}). Update segbench to see it."
    return None


def _unmarked(path: Path) -> str | None:
    """Say what stands in the place of a folder's marker; None if it is a file."""
    if os.path.isfile(path / MARKER):
        return None
    if not os.path.lexists(path / MARKER):
        return f"it has no {MARKER}"
    return f"its {MARKER} is {odd_kind(path / MARKER) or 'a folder'}"


def _marker_version(path: Path) -> int:
    try:
        version = safe_json.loads(read_file(path / MARKER, MOST_BYTES))["schema_version"]
        if type(version) is not int:
            raise ValueError(f"schema_version is {version!r:.40}")
    except OSError as error:
        raise BenchError(f"'{path / MARKER}' can't be read ({error.strerror}).") from error
    except KeyError as error:
        raise BenchError(f"'{path / MARKER}' can't be read (it has no schema_version).") from error
    except (ValueError, TypeError) as error:
        raise BenchError(f"'{path / MARKER}' can't be read ({error}).") from error
    return version
