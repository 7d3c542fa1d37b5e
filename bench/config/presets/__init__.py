"""Published recipes as files for `bench run --config NAME`; the head of each file says what was published."""

from pathlib import Path

from bench.core.errors import BenchError
from bench.core.registry import unknown_name_message

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The presets' names."""
    return sorted(file.stem for file in _FOLDER.glob("*.toml"))


def find(given: Path) -> Path:
    """The file that `--config` names: a file of the user's, or else the preset of that name; BenchError for neither."""
    if given.is_file() or given.suffix or len(given.parts) != 1:
        return given
    if str(given) not in names():
        raise BenchError(f"There is no file '{given}'. {unknown_name_message('preset', str(given), names(), names())}")
    return _FOLDER / f"{given}.toml"


def summary(name: str) -> str:
    """The first line of a preset's head."""
    return find(Path(f"{name}")).read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
