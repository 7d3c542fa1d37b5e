"""Make a report again and again while trials run, until Ctrl-C."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.commands.shared import say, warn
from bench.core.errors import BenchError
from bench.core.files import file_stamp
from bench.report.render import Report
from bench.results.trial_files import RECORD, RUNNING
from bench.results.trial_output import read_progress


def watch(make: Callable[[], Report], paths: Sequence[Path], seconds: float, console: Console) -> None:
    """Call `make` now and, every so many seconds, if the trials have changed since; return at Ctrl-C.

    Raises:
        BenchError: the first report can't be made. A later one is tried again after a line that says why.
    """
    seen: frozenset[Any] | None = None
    with suppress(KeyboardInterrupt):
        while True:
            found = frozenset(_states(paths))
            if found != seen and _make(make, console, first=seen is None):
                seen = found
            time.sleep(seconds)


def _make(make: Callable[[], Report], console: Console, *, first: bool) -> bool:
    """Make the report and say so; return whether that went well."""
    try:
        made = make()
    except (BenchError, OSError) as error:  # a trial's folder may have moved to its place meanwhile
        if first:
            raise
        warn(f"The report was not made this time: {error}")
        return False
    end = ". Ctrl-C ends with a last report." if first else ""
    say(console, f"{time.strftime('%H:%M:%S')} {made.state}: {made.files[0]}{end}")
    return True


def _states(paths: Sequence[Path]) -> Iterator[tuple[Any, ...]]:
    """Yield what changes with a trial that begins, ends, is measured further or uses another tenth of its budget."""
    for path in paths:
        with suppress(OSError), os.scandir(path / "trials") as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield entry.path, *_state(Path(entry.path))


def _state(folder: Path) -> tuple[Any, ...]:
    if folder.suffix == RUNNING:
        fraction = read_progress(folder).get("fraction")
        return (int(fraction * 10) if isinstance(fraction, int | float) else 0,)
    return file_stamp(folder), file_stamp(folder / RECORD)
