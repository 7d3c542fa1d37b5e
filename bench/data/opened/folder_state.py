"""The state of a data set's folder: every path below it with its size and times, by one walk that asks the disk once.

Any write to a file, and any file that is added, removed or replaced, makes another state: besides size and time it has
the time of the last change of each file, which nobody can set back, and its number on the disk.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.core.files import Stamp, utf8
from bench.core.untrusted.plain_files import walk

SETTLED_NS = 2 * 10**9  # the coarsest clock of a common file system: a later write may leave a newer file as it is


@dataclass(frozen=True)
class FolderState:
    """The paths below a folder as they were at one moment."""

    digest: str  # of all paths and what is known of each; empty if a file is too new to notice its next change
    stamps: Mapping[str, Stamp] = field(repr=False)  # by path


NOT_SEEN = FolderState("", {})


def look_at(folder: Path) -> FolderState:
    """Walk through a data set's folder; raise BenchError as `walk` does."""
    begun, newest, stamps, lines = time.time_ns(), 0, {}, []
    for path, state in walk(folder):
        if state is None:
            lines.append(f"{path}\0")
            continue
        size, mtime, ctime = state.st_size, state.st_mtime_ns, state.st_ctime_ns
        stamps[path] = size, mtime, ctime
        newest = max(newest, ctime, mtime if mtime < begun else 0)
        lines.append(f"{path}\0{size} {mtime} {ctime} {state.st_ino}")
    lines.sort()
    settled = newest < begun - SETTLED_NS
    return FolderState(hashlib.sha256(utf8("\n".join(lines))).hexdigest() if settled else "", stamps)
