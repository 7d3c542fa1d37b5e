"""The pack: a data set decoded once, at one image size, in memory-mapped files that all trials share.

packs/NAME-HxW-FOLDER.lock       held while a pack is checked or written; -RESIZE follows HxW unless it is "stretch"
packs/NAME-HxW-FOLDER/manifest.json
                      images.u8  (N, H, W, 3)
                      labels.u8  (N, H, W)
                      truth.zlib  labels at native size, one compressed block per sample
                      instances.zlib  numbered objects at native size, likewise; empty if the data set has none
"""

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import BenchError
from bench.core.files import UnwritableCache, cache_folder, locked, name_part, printable, text_hash
from bench.core.specs import DatasetSpec
from bench.data import pack_writer
from bench.data.label_doubts import LabelCounts, label_doubts, thin_splits
from bench.data.source import SPLIT_WORDS, SPLITS, Source, open_source

_LONGEST_NAME = 80  # characters of a data set's name in the name of its pack


@dataclass(frozen=True)
class Pack:
    """N samples of a data set at H x W pixels, read from the page cache."""

    path: Path
    fingerprint: str  # hash of names, splits and source bytes, whatever the size
    names: tuple[str, ...]
    groups: tuple[str, ...]
    splits: tuple[str, ...]
    images: np.ndarray  # uint8 (N, H, W, 3), memory-mapped
    labels: np.ndarray  # uint8 (N, H, W), memory-mapped
    original_sizes: tuple[tuple[int, int], ...]  # height, width
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]  # what a user should look at before training
    truth_offsets: tuple[int, ...]  # start of each block of truth.zlib, and the end of the last
    instance_offsets: tuple[int, ...]  # likewise for instances.zlib

    def indexes(self, split: str) -> np.ndarray:
        """Return the row numbers of "train", "val" or "test", int64, ascending."""
        return np.flatnonzero([s == split for s in self.splits]).astype(np.int64)

    def truth(self, index: int) -> np.ndarray:
        """Return the labels of one row at native size, uint8 (h, w)."""
        block = self._block(pack_writer.TRUTH, self.truth_offsets, index)
        return np.frombuffer(block, np.uint8).reshape(self.original_sizes[index])

    def instances(self, index: int) -> np.ndarray | None:
        """Return the objects of one row at native size, uint16 (h, w), numbered from 1; None if they are unknown."""
        block = self._block(pack_writer.INSTANCES, self.instance_offsets, index)
        return np.frombuffer(block, np.uint16).reshape(self.original_sizes[index]) if block else None

    def _block(self, name: str, offsets: tuple[int, ...], index: int) -> bytes:
        begin, end = offsets[index : index + 2]
        if begin == end:
            return b""
        with (self.path / name).open("rb") as file:
            file.seek(begin)
            try:
                return zlib.decompress(file.read(end - begin))
            except zlib.error as error:
                raise BenchError(
                    f"The pack '{self.path}' is damaged ({name}: {error}). Remove that folder; it is made again."
                ) from error


def prepare(
    spec: DatasetSpec,
    image_size: tuple[int, int],
    *,
    resize: str = "stretch",
    data_dir: Path | str | None = None,
    params: Mapping[str, Any] | None = None,
    skip_corrupt: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Pack:
    """Open the pack of a data set at one image size; write it first if there is none or a source file has changed.

    Several processes may call it at once: one writes, the others wait and read.

    Args:
        image_size: height, width in pixels.
        resize: the policy for a different aspect ratio, see geometry.py.
        data_dir: the data set's folder; None downloads it where that is possible.
        params: parameters of the data set, such as {"balance": 200}.
        skip_corrupt: leave out samples that can't be read (the notes tell how many) instead of raising.
        progress: called with the number of samples done and the number of all samples.

    Raises:
        BenchError: files are missing or broken (one message lists them all), a split is empty or has no labels, or
            the disk is too full.
    """
    source = open_source(spec, data_dir, params)
    stamps = pack_writer.stamps(source)
    chosen = json.dumps(dict(params), sort_keys=True) if params else ""
    place = text_hash(f"{source.data_dir or ''}{chosen}")[:8]
    size = f"{image_size[0]}x{image_size[1]}" + (f"-{resize}" if resize != "stretch" else "")
    path = cache_folder("packs") / f"{name_part(spec.name)}-{size}-{place}"
    try:
        with locked(path):
            manifest = _current(path, source, stamps, skip_corrupt)
            if manifest is None:
                manifest = pack_writer.write(path, source, stamps, image_size, resize, skip_corrupt, progress)
            return _open(path, source, manifest)
    except UnwritableCache:  # a read-only cache still serves the packs that it has
        if manifest := _current(path, source, stamps, skip_corrupt):
            return _open(path, source, manifest)
        raise


def _current(path: Path, source: Source, stamps: list[Any], skip_corrupt: bool) -> dict[str, Any] | None:
    """Return the manifest if the pack is complete and was made from exactly these files, else None."""
    try:
        manifest = json.loads((path / pack_writer.MANIFEST).read_bytes())
        sizes = {name: (path / name).stat().st_size for name in pack_writer.DATA_FILES}
    except (OSError, ValueError):
        return None
    expected = {"format": pack_writer.FORMAT, "adapter_hash": source.adapter_hash, "stamps": stamps, "sizes": sizes}
    if not isinstance(manifest, dict) or any(manifest.get(name) != value for name, value in expected.items()):
        return None
    return manifest if skip_corrupt or not manifest["skipped"] else None


def _open(path: Path, source: Source, manifest: dict[str, Any]) -> Pack:
    skipped = manifest["skipped"]
    samples = [sample for sample in source.samples if sample.name not in skipped]
    shape = (len(samples), *manifest["image_size"])
    counts = LabelCounts(np.array(manifest["label_pixels"]), np.array(manifest["label_images"]))
    doubts = label_doubts(source.spec.classes, counts, source.settled)
    errors = doubts.errors or _lost_labels(manifest)
    if errors:
        raise BenchError(f"Training can't begin with '{source.spec.name}': {' '.join(errors)}")
    left_out = (f"{len(skipped)} corrupt samples left out: {', '.join(map(printable, skipped))}",) if skipped else ()
    thin = thin_splits(samples) if source.spec.is_own else ()
    return Pack(
        path=path,
        fingerprint=manifest["fingerprint"],
        names=tuple(printable(sample.name) for sample in samples),
        groups=tuple(printable(sample.group) for sample in samples),
        splits=tuple(str(sample.split) for sample in samples),
        images=np.memmap(path / pack_writer.IMAGES, np.uint8, "r", shape=(*shape, 3)),
        labels=np.memmap(path / pack_writer.LABELS, np.uint8, "r", shape=shape),
        original_sizes=tuple((height, width) for height, width in manifest["original_sizes"]),
        classes=source.spec.classes,
        notes=(*source.notes, *left_out),
        warnings=(*source.warnings, *doubts.warnings, *thin, *manifest["duplicates"]),
        truth_offsets=tuple(manifest["truth_offsets"]),
        instance_offsets=tuple(manifest["instance_offsets"]),
    )


def _lost_labels(manifest: dict[str, Any]) -> list[str]:
    """Name the splits whose labels all got lost when the images were shrunk."""
    size = "x".join(map(str, manifest["image_size"]))
    return [
        f"the {SPLIT_WORDS[split]} split has no labelled pixel left at {size}. Give a larger --image-size."
        for split in SPLITS
        if split not in manifest["labelled_splits"]
    ]
