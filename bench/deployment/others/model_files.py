"""The files that a model consists of: plain ones of a limited size, and their hash."""

import hashlib
import os
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.files import file_hash
from bench.core.option_kinds import shown
from bench.core.untrusted.plain_files import MIB, odd_kind, require_file

MOST_BYTES = 4 * 2**30  # of a model; ONNX itself ends at 2 GiB without external data
_MOST_FILES = 1000  # of a SavedModel


def files_of(model: Path) -> list[Path]:
    """List the files of a model, the one that was named first, without ONNX's external data.

    Raises:
        BenchError: one is a link, a FIFO or the like below the path that was named, or they are too large or too many.
    """
    found = [path for path in sorted(model.rglob("*")) if not path.is_dir()] if model.is_dir() else [model]
    found += [beside(model)] if model.suffix.lower() == ".xml" else []
    if len(found) > _MOST_FILES:
        raise BenchError(f"'{shown(model.name)}' has {len(found):,} files, and more than {_MOST_FILES:,} aren't read.")
    left = MOST_BYTES
    for path in found:
        try:
            require_file(path, left, links=path == model)
        except OSError as error:
            raise BenchError(f"'{shown(str(path))}' isn't read: {error.strerror}.") from error
        left -= path.stat().st_size
    for folder in (path for path in (model.rglob("*") if model.is_dir() else ()) if path.is_dir()):
        if kind := odd_kind(folder):
            raise BenchError(f"'{shown(str(folder))}' isn't read: it is {kind}.")
    return found


def beside(file: Path) -> Path:
    """Return the file of an OpenVINO model's weights."""
    return file.with_suffix(".bin")


def inside(folder: Path, location: str) -> Path:
    """Return the plain file that a model's file names beside it; raise ValueError if it may not be read."""
    if os.path.isabs(location) or ".." in Path(location).parts or "\0" in location or "\\" in location:
        raise ValueError(f"it names '{shown(location)}', which isn't beside it")
    path = folder
    for part in Path(location).parts:
        path = path / part
        if kind := odd_kind(path):
            raise ValueError(f"it names '{shown(location)}', which is {kind}")
    if not path.is_file():
        raise ValueError(f"it names '{shown(location)}', which isn't there")
    return path


def hash_of(files: list[Path]) -> str:
    """Compute the SHA-256 of a model: of its file, or of the names and hashes of several."""
    if len(files) == 1:
        return file_hash(files[0])
    root = Path(os.path.commonpath([path.parent for path in files]))
    lines = [f"{path.relative_to(root).as_posix()} {file_hash(path)}\n" for path in sorted(files)]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def mib_of(files: list[Path]) -> float:
    """Return the size of files in MiB."""
    return sum(path.stat().st_size for path in files) / MIB
