"""Turn a sample's files into one row of a pack: decode, check, resize and hash them."""

import hashlib
import zlib
from dataclasses import dataclass

import numpy as np

from bench.core.dataset_protocol import DataFault, Sample
from bench.core.errors import BenchError
from bench.core.files import utf8
from bench.core.specs import IGNORE_INDEX
from bench.data.duplicates import Look, look_at
from bench.data.geometry import resize_image, resize_labels
from bench.data.source import Source


@dataclass(frozen=True)
class Row:
    """One sample at the pack's size."""

    image: np.ndarray  # uint8 (H, W, 3)
    labels: np.ndarray  # uint8 (H, W)
    original_size: tuple[int, int]  # height, width
    truth: bytes  # labels, uint8, original size, zlib-compressed
    instances: bytes | None  # objects numbered from 1, uint16, original size, zlib-compressed; None: unknown
    digest: str  # SHA-256 of the source files and the token
    look: Look  # of the picture at original size
    labelled: bool  # whether any pixel is not ignored at the pack's size
    counts: np.ndarray  # pixels with each label at original size, int64 (256,)


def read_row(source: Source, sample: Sample, size: tuple[int, int], resize: str) -> Row:
    """Read one sample; raise BenchError or OSError if files are missing or broken, or labels are not classes."""
    read_at = getattr(source.dataset, "read_at", None)
    image, labels = read_at(sample, size) if read_at else source.dataset.read(sample)
    check_labels(sample, image, labels, source.spec.num_classes)
    resized = resize_labels(labels, size, resize)
    return Row(
        resize_image(image, size, resize),
        resized,
        labels.shape,
        zlib.compress(labels.tobytes(), level=1),
        _instances(source, sample, labels.shape),
        digest_of(sample),
        look_at(image),
        bool((resized != IGNORE_INDEX).any()),
        np.bincount(labels.ravel(), minlength=256),
    )


def _instances(source: Source, sample: Sample, shape: tuple[int, int]) -> bytes | None:
    number = getattr(source.dataset, "instances", None)
    if number is None:
        return None
    instances = number(sample)
    if instances.dtype != np.uint16 or instances.shape != shape:
        raise BenchError(f"{sample.name}: the instances are {instances.dtype} {instances.shape}, not uint16 {shape}.")
    return zlib.compress(instances.tobytes(), level=1)


def digest_of(sample: Sample) -> str:
    """Hash a sample's token and source files, in hexadecimal digits."""
    hasher = hashlib.sha256(utf8(sample.token))
    for path in sample.files:
        with path.open("rb") as file:
            hasher.update(hashlib.file_digest(file, "sha256").digest())
    return hasher.hexdigest()


def check_labels(sample: Sample, image: np.ndarray, labels: np.ndarray, num_classes: int) -> None:
    """Raise DataFault unless image and labels have the types and sizes of the protocol, and all labels are known."""
    place = sample.files[-1] if sample.files else sample.name
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise DataFault(f"{place}: the image is {image.dtype} {image.shape}, not uint8 (H, W, 3).", "size")
    if labels.dtype != np.uint8 or labels.shape != image.shape[:2]:
        raise DataFault(f"{place}: the labels are {labels.dtype} {labels.shape}, not uint8 {image.shape[:2]}.", "size")
    strange = np.flatnonzero(np.bincount(labels.ravel(), minlength=256)[num_classes:IGNORE_INDEX]) + num_classes
    if len(strange):
        raise DataFault(
            f"{place}: the labels {strange.tolist()} are not classes. "
            f"Accepted: 0 to {num_classes - 1} and {IGNORE_INDEX}.",
            "values",
        )
