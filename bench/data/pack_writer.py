"""Write a pack: decode in parallel, write next to the final path, and rename the folder when it is complete."""

import math
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.core.durable import sync_tree
from bench.core.errors import BenchError, first_lines
from bench.core.files import check_space
from bench.core.untrusted.plain_files import remove
from bench.data.duplicates import duplicate_warnings
from bench.data.label_doubts import LabelCounts
from bench.data.packing.checksums import blocks_of_file, checksums
from bench.data.packing.manifest import (
    DATA_FILES,
    IMAGES,
    INSTANCES,
    LABELS,
    MANIFEST,
    TRUTH,
    Manifest,
    Order,
    fingerprint,
    write_manifest,
)
from bench.data.reading.decode import Row, read_row
from bench.data.source import SPLITS, Source

_TRUTH_BYTES = 16_384  # of a sample's compressed truth, to estimate the disk space
_MOST_LINES = 50  # most problems that a message lists
_NOTHING = np.zeros(0, np.uint8)

Progress = Callable[[int, int], None]


def write(path: Path, order: Order, progress: Progress | None) -> Manifest:
    """Write the pack at `path`, replacing an old one, and return its manifest. The caller must hold the lock."""
    source, size = order.source, order.image_size
    needed = len(source.samples) * (size[0] * size[1] * 4 + _TRUTH_BYTES)
    check_space(path.parent, needed, f"The pack of '{source.spec.name}' at {size[0]}x{size[1]}")
    part = path.with_name(f"{path.name}.part")
    remove(part)  # left by a process that died
    part.mkdir()
    try:
        manifest = {**order.fields, **_fill(part, order, progress)}
        manifest["checksums"] = {name: checksums(blocks_of_file(part / name)) for name in DATA_FILES}
        write_manifest(part / MANIFEST, manifest)
        sync_tree(part)  # or a power cut would leave a pack of the right size with zeros in it
        remove(path)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return manifest


def _fill(part: Path, order: Order, progress: Progress | None) -> Manifest:
    """Write the data files; return the fields of the manifest that follow from them."""
    source, size = order.source, order.image_size
    count = len(source.samples)
    images = _reserved(part / IMAGES, (count, *size, 3))
    labels = _reserved(part / LABELS, (count, *size))
    problems: dict[int, str] = {}
    rows: dict[int, Row] = {}  # without image and labels

    def keep(index: int, row: Row) -> None:
        images[index], labels[index] = row.image, row.labels
        rows[index] = replace(row, image=_NOTHING, labels=_NOTHING)

    _decode(order, keep, problems, progress)
    kept = _kept(source, problems, order.skip_corrupt)
    _close_gaps(part, (images, labels), kept)
    whole, samples = [rows[index] for index in kept], [source.samples[index] for index in kept]
    digests = [row.digest for row in whole]
    counts = LabelCounts()
    for sample, row in zip(samples, whole, strict=True):
        counts.add(str(sample.split), row.counts)
    return {
        "fingerprint": fingerprint(samples, digests),
        "digests": digests,
        "reduced": sum(row.reduced for row in whole),
        "original_sizes": [list(row.original_size) for row in whole],
        "truth_offsets": _write_blocks(part / TRUTH, [row.truth for row in whole]),
        "instance_offsets": _write_blocks(part / INSTANCES, [row.instances for row in whole]),
        "labelled_splits": sorted({str(s.split) for s, row in zip(samples, whole, strict=True) if row.labelled}),
        "label_pixels": counts.pixels.tolist(),
        "label_images": counts.images.tolist(),
        "duplicates": duplicate_warnings(samples, [row.look for row in whole]),
        "skipped": {source.samples[index].name: problems[index] for index in sorted(problems)},
    }


def _reserved(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """Make a file for an array and reserve its space: a disk that fills is an OSError here, a bus error on the map."""
    with path.open("wb") as file:
        file.truncate(math.prod(shape))
        if hasattr(os, "posix_fallocate"):  # not on macOS and Windows
            os.posix_fallocate(file.fileno(), 0, math.prod(shape))
    return np.memmap(path, np.uint8, "r+", shape=shape)


def _write_blocks(path: Path, blocks: Sequence[bytes]) -> list[int]:
    """Write the blocks one after another; return the start of each and the end of the last, in bytes."""
    with path.open("wb") as file:
        file.writelines(blocks)
    return np.cumsum([0, *map(len, blocks)]).tolist()


def _decode(
    order: Order, keep: Callable[[int, Row], None], problems: dict[int, str], progress: Progress | None
) -> None:
    """Read all samples in threads (Pillow releases the GIL); faults go into `problems`."""

    source = order.source

    def one(index: int) -> None:
        try:
            keep(index, read_row(source, source.samples[index], order.image_size, order.resize))
        except (BenchError, OSError) as error:
            problems[index] = str(error)

    count = len(source.samples)
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        futures = [pool.submit(one, index) for index in range(count)]
        for done, future in enumerate(as_completed(futures), 1):
            future.result()
            if progress:
                progress(done, count)
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for thousands of images


def _kept(source: Source, problems: dict[int, str], skip_corrupt: bool) -> list[int]:
    """Return the kept samples' positions; raise BenchError if faults may not be skipped or leave a split empty."""
    if problems and not skip_corrupt:
        shown = first_lines((problems[index] for index in sorted(problems)), _MOST_LINES)
        lines = "\n".join(f"  {line}" for line in shown)
        raise BenchError(
            f"{len(problems)} of the {len(source.samples)} samples of '{source.spec.name}' can't be read. Repair or "
            f"replace these files, or leave them out with --skip-corrupt:\n{lines}"
        )
    kept = [index for index in range(len(source.samples)) if index not in problems]
    left = {source.samples[index].split for index in kept}
    if empty := [split for split in SPLITS if split not in left]:
        raise BenchError(
            f"Without its {len(problems)} corrupt samples '{source.spec.name}' has no {' and no '.join(empty)} images."
        )
    return kept


def _close_gaps(part: Path, arrays: Sequence[np.memmap], kept: list[int]) -> None:
    """Move the kept rows together, in order, and truncate the files after the last row."""
    for name, array in zip((IMAGES, LABELS), arrays, strict=True):
        for new, old in enumerate(kept):
            if new != old:
                array[new] = array[old]
        array.flush()
        os.truncate(part / name, len(kept) * array[0].nbytes)
