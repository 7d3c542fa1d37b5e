"""The pack: a data set decoded once, at one image size, in memory-mapped files that all trials share.

packs/NAME-HxW-FOLDER.lock       held while a pack is checked or written; -RESIZE follows HxW unless it is "stretch"
packs/NAME-HxW-FOLDER/manifest.json  what it was made from, and checksums
                      images.u8  (N, H, W, C), uint8, or uint16 with the lowest byte first
                      labels.u8  (N, H, W)
                      truth.runs  labels at native size, one block of runs per sample
                      instances.runs  numbered objects at native size, likewise; empty if the data set has none
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import BenchError
from bench.core.files import UnwritableCache, cache_folder, locked, name_part, printable, text_hash
from bench.core.specs import PROTOCOL_VERSION, REDUCED_PROTOCOL_VERSION, DatasetSpec
from bench.data import pack_writer
from bench.data.label_doubts import LabelCounts, label_doubts, thin_splits
from bench.data.opened.planned_pack import FILE, keep_pack, reopen_pack
from bench.data.packing.check_sources import check_sources
from bench.data.packing.manifest import Manifest, Order, Unfit, find, kept, stamps_of
from bench.data.packing.packed import Pack, States, map_pack, states_of
from bench.data.reading.find_values import with_values
from bench.data.reading.values import Values
from bench.data.source import SPLIT_WORDS, SPLITS, Source, open_source


def prepare(
    spec: DatasetSpec,
    image_size: tuple[int, int],
    *,
    resize: str = "stretch",
    data_dir: Path | str | None = None,
    params: Mapping[str, Any] | None = None,
    skip_corrupt: bool = False,
    verify_data: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Pack:
    """Open the pack of a data set at one image size; write it first if there is none or it isn't the right one.

    Every process that opens a pack compares each byte with the checksums. If a pack is written again, a line on
    standard error says why. Several processes may call it at once: one writes, the others wait and read.

    Args:
        image_size: height, width in pixels.
        resize: the policy for a different aspect ratio, see geometry.py.
        data_dir: the data set's folder; None downloads it where that is possible.
        params: parameters of the data set, such as {"balance": 200}.
        skip_corrupt: leave out samples that can't be read (the notes tell how many) instead of raising.
        verify_data: read the source files again to find those that changed without a new size or time.
        progress: called with the number of samples done and the number of all samples.

    Raises:
        BenchError: files are missing or broken (one message lists them all), a split is empty or has no labels, or
            the disk is too full (NoRoom).
    """
    source = open_source(spec, data_dir, params)
    return prepare_source(
        source,
        image_size,
        resize=resize,
        params=params,
        skip_corrupt=skip_corrupt,
        verify_data=verify_data,
        progress=progress,
    )


def prepare_source(
    source: Source,
    image_size: tuple[int, int],
    *,
    resize: str,
    params: Mapping[str, Any] | None,
    skip_corrupt: bool,
    verify_data: bool,
    progress: Callable[[int, int], None] | None,
) -> Pack:
    """Do as `prepare` with a data set that is open already, with the parameters that it was opened with."""
    size = f"{image_size[0]}x{image_size[1]}" + (f"-{resize}" if resize != "stretch" else "")
    path = cache_folder("packs") / place_of(source, params, size)
    made_from = f"{source.state} {skip_corrupt}" if source.state else ""
    if made_from and not verify_data and (known := reopen_pack(path / FILE, made_from=made_from)):
        return known
    stamps = stamps_of(source)
    source = with_values(source, lambda: stamps)
    made = _found_or_made(path, Order(source, stamps, image_size, resize, skip_corrupt), verify_data, progress)
    made = replace(made, made_from=made_from)
    if made_from:
        keep_pack(made)
    return made


def _found_or_made(path: Path, order: Order, verify_data: bool, progress: Callable[[int, int], None] | None) -> Pack:
    source = order.source

    def found() -> tuple[Manifest, States]:
        states = states_of(path)
        manifest = find(path, order)
        if verify_data:
            check_sources(source, manifest, path.name)
        return manifest, states

    try:
        with locked(path):
            try:
                made = found()
            except Unfit as unfit:
                if path.exists():
                    print(f"The pack '{path}' is made again: {unfit}.", file=sys.stderr, flush=True)
                made = pack_writer.write(path, order, progress), states_of(path)
            return _open(path, source, *made)
    except UnwritableCache as error:  # a read-only cache still serves the packs that it has
        try:
            return _open(path, source, *found())
        except Unfit as unfit:
            if not path.exists():
                raise error from None
            raise BenchError(f"{error} The pack there can't be used: {unfit}.") from error


def place_of(source: Source, params: Mapping[str, Any] | None, size: str = "") -> str:
    """Name what the cache keeps of a data set by the data set, the size, its folder and parameters."""
    chosen = json.dumps(dict(params), sort_keys=True) if params else ""
    parts = (name_part(source.spec.name), size, text_hash(f"{source.data_dir or ''}{chosen}")[:8])
    return "-".join(filter(None, parts))


def _open(path: Path, source: Source, manifest: Manifest, states: States) -> Pack:
    skipped, samples = manifest["skipped"], kept(source, manifest)
    counts = LabelCounts(np.array(manifest["label_pixels"]), np.array(manifest["label_images"]))
    doubts = label_doubts(source.spec.classes, counts, source.settled)
    errors = doubts.errors or _lost_labels(manifest)
    if errors:
        raise BenchError(f"Training can't begin with '{source.spec.name}': {' '.join(errors)}")
    left_out = (f"{len(skipped)} corrupt samples left out: {', '.join(map(printable, skipped))}",) if skipped else ()
    thin = thin_splits(samples) if source.spec.is_own else ()
    return map_pack(
        path,
        states,
        fingerprint=manifest["fingerprint"],
        protocol=REDUCED_PROTOCOL_VERSION if manifest["reduced"] else PROTOCOL_VERSION,
        names=tuple(printable(sample.name) for sample in samples),
        groups=tuple(printable(sample.group) for sample in samples),
        splits=tuple(str(sample.split) for sample in samples),
        size=tuple(manifest["image_size"]),
        original_sizes=tuple((height, width) for height, width in manifest["original_sizes"]),
        classes=source.spec.classes,
        values=source.values or Values(),
        fixed_test=source.fixed_test,
        notes=(*source.notes, *_missing(manifest), *left_out),
        warnings=(*source.warnings, *doubts.warnings, *thin, *manifest["duplicates"]),
        truth_offsets=tuple(manifest["truth_offsets"]),
        number_offsets=tuple(manifest["instance_offsets"]),
        checksums=manifest["checksums"],
    )


def _missing(manifest: dict[str, Any]) -> tuple[str, ...]:
    """Say how many pixels are ignored since a band has no value there."""
    pixels, images = manifest.get("missing", (0, 0))
    return (f"{pixels:,} pixels of {images} images have no value (nodata or NaN) and are ignored",) if pixels else ()


def _lost_labels(manifest: dict[str, Any]) -> list[str]:
    """Name the splits whose labels all got lost when the images were shrunk."""
    size = "x".join(map(str, manifest["image_size"]))
    return [
        f"the {SPLIT_WORDS[split]} split has no labelled pixel left at {size}. Give a larger --image-size."
        for split in SPLITS
        if split not in manifest["labelled_splits"]
    ]
