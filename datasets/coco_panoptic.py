"""Read COCO's panoptic segmentation: PNG files whose colours are ids of segments, and the segments' categories."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX
from bench.datasets.annotated import Annotated
from bench.datasets.base import check_size
from bench.datasets.coco_file import CocoFile
from bench.datasets.image_files import open_image
from bench.datasets.layout import Size

_WITHOUT = 0  # the id of pixels without a segment


@dataclass(frozen=True)
class _Segments:
    """The segments of one image."""

    file: Path  # the PNG file
    labels: dict[int, int]  # id of a segment -> label

    def draw(self, size: Size) -> np.ndarray:
        """Read the labels, uint8 (H, W); DataFault names the file and an unknown id."""
        colours = open_image(self.file, lambda picture: np.array(picture.convert("RGB"))).astype(np.int64)
        check_size(size, colours[..., 0], self.file)
        ids = colours @ (1, 256, 256 * 256)
        found, where = np.unique(ids, return_inverse=True)
        table = {_WITHOUT: IGNORE_INDEX, **self.labels}
        if unknown := [number for number in found.tolist() if number not in table]:
            raise DataFault(f"{self.file}: the id {unknown[0]} is no segment of its image.", "values")
        return np.array([table[number] for number in found.tolist()], np.uint8)[where].reshape(size)


def panoptic(
    folder: Path, files: Sequence[CocoFile], table: dict[int, str], splits: Sequence[str]
) -> tuple[list[Annotated], tuple[str, ...]]:
    """Return the annotated images and the classes, things and stuff."""
    labels = {number: label for label, number in enumerate(table)}
    images = []
    for file, split in zip(files, splits, strict=True):
        place = _masks(folder, file.path)
        for image in file.images:
            for found in file.annotations.get(image["id"], [])[:1]:
                segments = _segments(file, place, found, labels)
                images.append(Annotated(
                    image["file_name"], file.size(image), file.path, found, split=split, labels=segments.file,
                    draw=segments.draw,
                ))  # fmt: skip
    return images, tuple(table.values())


def _masks(folder: Path, path: Path) -> Path:
    """Return the folder of a file's PNG files, which has the file's name."""
    places = [path.parent / path.stem, folder / path.stem, folder / "masks", folder]
    return next(place for place in places if place.is_dir())


def _segments(file: CocoFile, place: Path, found: dict[str, Any], labels: dict[int, int]) -> _Segments:
    what = f"{file.path}, image {found['image_id']}"
    name, segments = found.get("file_name"), found.get("segments_info")
    if not isinstance(name, str) or not isinstance(segments, list):
        raise BenchError(f"{what}: its annotation has no file_name or no segments_info, as panoptic segmentation has.")
    by_id = {}
    for segment in segments:
        category = segment.get("category_id") if isinstance(segment, dict) else None
        if category not in labels or type(segment.get("id")) is not int:
            raise BenchError(f"{what}: the segment {segment} has no id or no category among {list(labels)[:20]}.")
        by_id[segment["id"]] = IGNORE_INDEX if segment.get("iscrowd") else labels[category]
    return _Segments(place / Path(name).name, by_id)
