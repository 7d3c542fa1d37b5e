"""The pack: a data set decoded once, at one size, in memory-mapped files that all trials share.

packs/NAME-HxW-FOLDER.lock       held while a pack is checked or written; -RESIZE after HxW unless it is "stretch"
packs/NAME-HxW-FOLDER/manifest.json
                      images.u8  (N, H, W, 3)
                      labels.u8  (N, H, W)
                      truth.zlib labels at native size, one compressed block a sample
"""

import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from bench.cache import VARIABLE, cache_folder
from bench.errors import BenchError
from bench.pipeline import build
from bench.pipeline.source import Source, open_source
from bench.spec import DatasetSpec


@dataclass(frozen=True)
class Pack:
    """N samples of a data set at H x W pixels, read from the page cache."""

    path: Path
    fingerprint: str  # of names, splits and source bytes, whatever the size
    names: tuple[str, ...]
    groups: tuple[str, ...]
    splits: tuple[str, ...]
    images: np.ndarray  # uint8 (N, H, W, 3), memory-mapped
    labels: np.ndarray  # uint8 (N, H, W), memory-mapped
    original_sizes: tuple[tuple[int, int], ...]  # height, width
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    truth_offsets: tuple[int, ...]  # where each block of truth.zlib begins, and where the last ends

    def indexes(self, split: str) -> np.ndarray:
        """Rows of "train", "val" or "test", int64, ascending."""
        return np.flatnonzero([s == split for s in self.splits]).astype(np.int64)

    def truth(self, index: int) -> np.ndarray:
        """Labels of one row at native size, uint8 (h, w)."""
        begin, end = self.truth_offsets[index : index + 2]
        with (self.path / build.TRUTH).open("rb") as file:
            file.seek(begin)
            block = zlib.decompress(file.read(end - begin))
        return np.frombuffer(block, np.uint8).reshape(self.original_sizes[index])


def prepare(
    spec: DatasetSpec,
    image_size: tuple[int, int],
    *,
    resize: str = "stretch",
    data_dir: Path | str | None = None,
    skip_corrupt: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Pack:
    """The pack of a data set at one size; written when there is none, or when a source file has changed.

    Safe when several processes call it at once: one writes, the others wait and read.

    Args:
        image_size: height, width in pixels.
        resize: what becomes of another aspect ratio, a policy of geometry.py.
        data_dir: the data set's folder; downloaded where it can be if None.
        skip_corrupt: leave out samples that can't be read (the notes say how many) instead of raising.
        progress: called with samples done and samples in all.

    Raises:
        BenchError: files are missing or broken (one message that lists them all), a split is
            empty, or the disk is too full.
    """
    source = open_source(spec, data_dir)
    stamps = build.stamps(source)
    place = hashlib.sha256(str(source.data_dir or "").encode()).hexdigest()[:8]
    size = f"{image_size[0]}x{image_size[1]}" + (f"-{resize}" if resize != "stretch" else "")
    path = cache_folder("packs") / f"{spec.name}-{size}-{place}"
    lock = FileLock(f"{path}.lock")
    try:
        lock.acquire()
    except OSError as error:  # a cache that may only be read serves the packs that it has
        if manifest := _current(path, source, stamps, skip_corrupt):
            return _open(path, source, manifest)
        raise BenchError(
            f"The pack '{path}' can't be written ({error.strerror}). Give another cache folder in {VARIABLE}."
        ) from error
    with lock:
        manifest = _current(path, source, stamps, skip_corrupt)
        if manifest is None:
            manifest = build.write(path, source, stamps, image_size, resize, skip_corrupt, progress)
        return _open(path, source, manifest)


def _current(path: Path, source: Source, stamps: list[Any], skip_corrupt: bool) -> dict[str, Any] | None:
    """The manifest of a whole pack of just these files, or None."""
    try:
        manifest = json.loads((path / build.MANIFEST).read_text())
        sizes = {name: (path / name).stat().st_size for name in build.DATA_FILES}
    except (OSError, ValueError):
        return None
    expected = {"format": build.FORMAT, "adapter_hash": source.adapter_hash, "stamps": stamps, "sizes": sizes}
    if not isinstance(manifest, dict) or any(manifest.get(name) != value for name, value in expected.items()):
        return None
    return manifest if skip_corrupt or not manifest["skipped"] else None


def _open(path: Path, source: Source, manifest: dict[str, Any]) -> Pack:
    skipped = manifest["skipped"]
    samples = [sample for sample in source.samples if sample.name not in skipped]
    shape = (len(samples), *manifest["image_size"])
    left_out = (f"{len(skipped)} corrupt samples left out: {', '.join(skipped)}",) if skipped else ()
    return Pack(
        path=path,
        fingerprint=manifest["fingerprint"],
        names=tuple(sample.name for sample in samples),
        groups=tuple(sample.group for sample in samples),
        splits=tuple(sample.split for sample in samples),
        images=np.memmap(path / build.IMAGES, np.uint8, "r", shape=(*shape, 3)),
        labels=np.memmap(path / build.LABELS, np.uint8, "r", shape=shape),
        original_sizes=tuple((height, width) for height, width in manifest["original_sizes"]),
        classes=source.spec.classes,
        notes=(*source.notes, *left_out),
        truth_offsets=tuple(manifest["truth_offsets"]),
    )
