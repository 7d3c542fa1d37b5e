"""Write the files of a report, and remove those of an earlier one."""

import os
import re
from collections.abc import Collection
from pathlib import Path

from bench.core.errors import BenchError, first_few
from bench.core.files import check_can_write, write_file
from bench.core.untrusted.plain_files import odd_kind
from bench.results.trial_files import MARKER

TEXTS = ("index.html", "LEADERBOARD.md")  # which every report has
_ADVICE = "Give another folder with --out."


def check_own(folder: Path) -> None:
    """Raise BenchError unless a report may be written to a folder: it is new, empty, or has an earlier report.

    A results folder may hold a report, too. Hidden files don't count: a folder of pages often has some.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise BenchError(f"'{folder}' is {odd_kind(folder) or 'a file'}, and a report is a folder. {_ADVICE}")
    there = sorted(path.name for path in folder.iterdir() if path.name[0] != ".") if folder.is_dir() else []
    if there and not {*there} >= {*TEXTS} and MARKER not in there:
        raise BenchError(
            f"'{folder}' has other files than a report's: {first_few(there, 3)}. Give --out a new or an empty folder."
        )
    check_can_write(folder, _ADVICE)


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
