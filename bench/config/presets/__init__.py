"""The presets for `bench run --config NAME`: published recipes, whose files begin with the published results."""

import os
from itertools import groupby, takewhile
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.registry import unknown_name_message

_FOLDER = Path(__file__).parent
_RENAMED = {"unet-six-trials": "unet-trials", "pets-unet-encoders": "carvana-mobilenet-pix2pix"}


def names() -> list[str]:
    """List the presets' names."""
    return sorted(file.stem for file in _FOLDER.glob("*.toml"))


def find(given: Path) -> Path:
    """Find the file that `--config` names: the user's file, or else the preset of that name; else raise BenchError."""
    if os.path.isfile(given) or given.suffix or len(given.parts) != 1:
        return given
    if new := _RENAMED.get(str(given)):
        raise BenchError(f"The preset '{given}' is replaced by '{new}'. Write --config {new}.")
    if str(given) not in names():
        raise BenchError(f"There is no file '{given}'. {unknown_name_message('preset', str(given), names(), names())}")
    return _FOLDER / f"{given}.toml"


def name_of(given: Path | None) -> str | None:
    """Return the name of the preset that `--config` names; None for no file or the user's own."""
    file = find(given) if given else None
    return file.stem if file and file.parent == _FOLDER else None


def head(name: str) -> list[str]:
    """Read the paragraphs at the top of a preset's file, its first line apart."""
    lines = takewhile(lambda line: line.startswith("#"), find(Path(name)).read_text(encoding="utf-8").splitlines())
    first, *others = (line.removeprefix("#").strip() for line in lines)
    return [first, *(" ".join(some) for empty, some in groupby(others, key=lambda line: not line) if not empty)]


def summary(name: str) -> str:
    """Read the first line of a preset's file."""
    return find(Path(f"{name}")).read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
