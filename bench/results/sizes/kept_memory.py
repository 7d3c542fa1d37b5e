"""Keep what training was measured to need at an image size, so that the same command chooses the same size again.

A results folder has a file for each measurement, `memory/HASH.json`. Measured memory varies from run to run, and the
image size is in a trial's key: what was measured first counts.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.files import text_hash
from bench.core.untrusted.plain_files import check_inside, is_folder
from bench.results.marker import ANOTHER
from bench.results.store import ResultsFolder
from bench.results.trial_files import MEMORY, read_json, write_json


@dataclass(frozen=True)
class Needed:
    """The memory of a process that trained some steps."""

    mib: float
    exact: bool = True  # False: it was ended when it needed more than this
    method: str = ""  # by which it was measured, as `process_memory_method`


def find(results: Path, question: str) -> Needed | None:
    """Return what a results folder has on a question; None if it has nothing, or the file is damaged."""
    folder = results / MEMORY
    return _needed(read_json(folder / _name(question))) if is_folder(folder) else None


def keep(results: Path, question: str, asked: Mapping[str, Any], needed: Needed) -> Needed:
    """Keep a measurement and return what counts: that of another run of the folder which was faster.

    Args:
        question: all that the memory depends on.
        asked: the same for a reader of the file.

    Raises:
        BenchError: the folder can't be written.
    """
    ResultsFolder(results).create()
    path = results / MEMORY / _name(question)
    check_inside(results, path, ANOTHER)
    found = find(results, question)
    if found and (found.exact or (not needed.exact and found.mib >= needed.mib)):
        return found
    try:
        path.parent.mkdir(exist_ok=True)
        write_json(path, {**asdict(needed), "asked": dict(asked)})
    except OSError as error:
        raise BenchError(f"'{path}' can't be written ({error.strerror}). Give another with --results.") from error
    return needed


def copy_kept(paths: Iterable[Path], out: Path) -> None:
    """Copy the measurements of some results folders into another one, which keeps its own."""
    for folder in (path / MEMORY for path in paths):
        for path in sorted(folder.glob("*.json")) if is_folder(folder) else []:
            target, values = out / MEMORY / path.name, read_json(path)
            if target.exists() or _needed(values) is None:
                continue
            check_inside(out, target, ANOTHER)
            target.parent.mkdir(exist_ok=True)
            write_json(target, values)


def _name(question: str) -> str:
    return f"{text_hash(question)[:24]}.json"


def _needed(values: Mapping[str, Any]) -> Needed | None:
    mib, exact, method = values.get("mib"), values.get("exact"), values.get("method")
    if isinstance(mib, bool) or not isinstance(mib, int | float) or not math.isfinite(mib) or mib <= 0:
        return None
    return Needed(float(mib), exact, method) if isinstance(exact, bool) and isinstance(method, str) else None
