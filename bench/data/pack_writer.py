"""Write a pack: decode in parallel, write next to the final path, and rename the folder when it is complete.

What an interrupted or killed process has written, the next one takes up.
"""

import shutil
import sys
from array import array
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.core.dataset_protocol import Sample
from bench.core.durable import sync_tree
from bench.core.errors import BenchError, first_lines
from bench.core.untrusted.plain_files import MIB, remove
from bench.data.duplicates import Look, duplicate_warnings
from bench.data.label_doubts import LabelCounts
from bench.data.packing import checksums
from bench.data.packing.manifest import (
    DATA_FILES,
    INSTANCES,
    MANIFEST,
    TRUTH,
    Manifest,
    Order,
    fingerprint,
    write_manifest,
)
from bench.data.packing.room import check_room
from bench.data.packing.unfinished import RowFacts, Unfinished, allocated, forget_journal, has_rows
from bench.data.reading.contents import threads_for
from bench.data.reading.decode import Row, read_row
from bench.data.remote.failures import Unreachable
from bench.data.remote.patience import threads
from bench.data.source import SPLITS, Source

_MOST_LINES = 50  # most problems that a message lists
_AHEAD = 2  # samples for each thread that are decoded before they are written

Progress = Callable[[int, int], None]


def write(path: Path, order: Order, progress: Progress | None) -> Manifest:
    """Write the pack at `path`, replacing an old one, and return its manifest. The caller must hold the lock."""
    source, size = order.source, order.image_size
    part = path.with_name(f"{path.name}.part")
    check_room(path.parent, source, size, allocated(part))
    try:
        manifest = {**order.fields, **_fill(part, order, progress)}
        manifest["checksums"] = {name: checksums.of_file(part / name) for name in DATA_FILES}
        write_manifest(part / MANIFEST, manifest)
        sync_tree(part)  # or a power cut would leave a pack of the right size with zeros in it
        forget_journal(part)  # which an error before this still needs
        remove(path)
        part.rename(path)
    except Unreachable:  # what was read stays, as when the process is interrupted
        raise
    except (BenchError, OSError):
        _keep_rows(part)
        raise
    return manifest


def _keep_rows(part: Path) -> None:
    """Leave what was packed before an error, such as that of a full disk or of a picture that is mended later."""
    if not has_rows(part):
        shutil.rmtree(part, ignore_errors=True)
        return
    print(f"What was packed stays in '{part}' ({allocated(part) / MIB:,.1f} MiB); the same command goes on with it.",
          file=sys.stderr, flush=True)  # fmt: skip


@dataclass
class _Contents:
    """The part of the manifest that follows from the rows: a few hundred bytes for each of them."""

    samples: list[Sample] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    ends: dict[str, "array[int]"] = field(default_factory=lambda: {name: array("Q", [0]) for name in DATA_FILES})
    looks: list[Look] = field(default_factory=list)
    counts: LabelCounts = field(default_factory=LabelCounts)
    labelled: set[str] = field(default_factory=set)
    reduced: int = 0
    missing: tuple[int, int] = (0, 0)  # pixels in which a band has no value, and images with any

    def add(self, sample: Sample, facts: RowFacts) -> None:
        """Add the next row."""
        self.samples.append(sample)
        self.digests.append(facts.digest)
        self.sizes.append(facts.size)
        for name, count in zip(DATA_FILES, facts.written, strict=True):
            self.ends[name].append(self.ends[name][-1] + count)
        self.looks.append(facts.look)
        counts = np.zeros(256, np.int64)
        counts[list(facts.counts)] = list(facts.counts.values())
        self.counts.add(str(sample.split), counts)
        self.labelled |= {str(sample.split)} if facts.labelled else set()
        self.reduced += facts.reduced
        self.missing = self.missing[0] + facts.missing, self.missing[1] + (facts.missing > 0)

    def fields(self) -> Manifest:
        """Return the fields of the manifest that follow from the rows."""
        return {
            "fingerprint": fingerprint(self.samples, self.digests),
            "digests": self.digests,
            "reduced": self.reduced,
            "missing": list(self.missing),
            "original_sizes": self.sizes,
            "truth_offsets": self.ends[TRUTH].tolist(),
            "instance_offsets": self.ends[INSTANCES].tolist(),
            "labelled_splits": sorted(self.labelled),
            "label_pixels": self.counts.pixels.tolist(),
            "label_images": self.counts.images.tolist(),
            "duplicates": duplicate_warnings(self.samples, self.looks),
        }


def _fill(part: Path, order: Order, progress: Progress | None) -> Manifest:
    """Write the data files; return the fields of the manifest that follow from them."""
    samples = order.source.samples
    contents, problems = _Contents(), dict[int, str]()

    def note(number: int, found: RowFacts | str) -> None:
        if isinstance(found, str):
            problems[number] = found
        else:
            contents.add(samples[number], found)
        if progress:
            progress(number + 1, len(samples))

    with Unfinished(part, order) as files:
        start = _take_up(files, order, note)
        files.begin(len(samples))
        with closing(_rows(order, start)) as rows:
            for number, row in rows:
                note(number, row if isinstance(row, str) else files.append(number, row))
        _check(order.source, problems, order.skip_corrupt)
        files.finish()
    return {**contents.fields(), "skipped": {samples[index].name: problems[index] for index in sorted(problems)}}


def _take_up(files: Unfinished, order: Order, note: Callable[[int, RowFacts | str], None]) -> int:
    """Note what an earlier process has written; return the number of the first sample that is missing.

    A sample that it couldn't read is read again. If it can be now, it and all that follows are missing.
    """
    start = 0
    with closing(files.taken_up()) as found:
        for number, facts in found:
            for skipped in range(start, number):
                problem = _read(order, skipped)
                if not isinstance(problem, str):
                    return start
                note(skipped, problem)
                start = skipped + 1
            note(number, facts)
            start = number + 1
    if start:
        print(f"{start} of {len(order.source.samples)} images were packed before; the others follow.",
              file=sys.stderr, flush=True)  # fmt: skip
    return start


def _rows(order: Order, start: int) -> Generator[tuple[int, Row | str]]:
    """Read the samples from a number on, in threads (Pillow releases the GIL); yield them in order, or their faults."""
    count = threads_for(order.source.data_dir)
    waiting: deque[tuple[int, Future[Row | str]]] = deque()
    with threads(count) as pool:
        for number in range(start, len(order.source.samples)):
            waiting.append((number, pool.submit(_read, order, number)))
            if len(waiting) > _AHEAD * count:
                first, future = waiting.popleft()
                yield first, future.result()
        for number, future in waiting:
            yield number, future.result()


def _read(order: Order, number: int) -> Row | str:
    """Read a sample, or return why it can't be read; raise Unreachable if no other could be, either."""
    try:
        return read_row(order.source, order.source.samples[number], order.image_size, order.resize)
    except Unreachable:
        raise
    except (BenchError, OSError) as error:
        return str(error)


def _check(source: Source, problems: dict[int, str], skip_corrupt: bool) -> None:
    """Raise BenchError if faults may not be skipped or leave a split empty."""
    if problems and not skip_corrupt:
        shown = first_lines((problems[index] for index in sorted(problems)), _MOST_LINES)
        lines = "\n".join(f"  {line}" for line in shown)
        raise BenchError(
            f"{len(problems)} of the {len(source.samples)} samples of '{source.spec.name}' can't be read. Repair or "
            f"replace these files, or leave them out with --skip-corrupt:\n{lines}"
        )
    left = {sample.split for index, sample in enumerate(source.samples) if index not in problems}
    if empty := [split for split in SPLITS if split not in left]:
        raise BenchError(
            f"Without its {len(problems)} corrupt samples '{source.spec.name}' has no {' and no '.join(empty)} images."
        )
