"""Turn a sample's files into one row of a pack: decode, check, resize and hash them.

A JPEG is decoded at the smallest of 1/2, 1/4 and 1/8 of its size that is at least twice what it is resized to. Labels
are read and checked at their own size, since that is what images are scored at.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from bench.core.dataset_protocol import DataFault, Sample
from bench.core.errors import BenchError
from bench.core.files import utf8
from bench.core.specs import IGNORE_INDEX
from bench.core.untrusted.masking import said
from bench.data.duplicates import Look, look_at_picture
from bench.data.geometry import reduction, resize_labels, resize_picture
from bench.data.packing.runs import Runs
from bench.data.reading.contents import content_hash, fetched_once
from bench.data.reading.picture import Decoded, Picture, Size
from bench.data.reading.values import KINDS, MOST_BANDS
from bench.data.remote.asking import changed
from bench.data.source import Source


@dataclass(frozen=True)
class Row:
    """One sample at the pack's size."""

    image: np.ndarray  # uint8 or uint16 (H, W, C)
    labels: np.ndarray  # uint8 (H, W)
    original_size: Size
    truth: bytes  # labels, uint8, original size, as a block of runs
    instances: bytes  # objects numbered from 1, uint16, likewise; empty: unknown
    digest: str  # SHA-256 of the source files and the token
    look: Look
    labelled: bool  # whether any pixel is not ignored at the pack's size
    counts: np.ndarray  # pixels with each label at original size, int64 (256,)
    reduced: bool  # whether the picture was decoded at a fraction of its size
    missing: int  # pixels in which a band has no value


@dataclass(frozen=True)
class Pixels:
    """The part of a Row that is trained on and scored."""

    image: np.ndarray
    labels: np.ndarray
    original_size: Size
    truth: bytes
    instances: bytes


def read_pixels(source: Source, sample: Sample, size: Size, resize: str, *, native: bool, digest: str = "") -> Pixels:
    """Read of one sample what a trial without a pack needs; raise errors as `read_row` does.

    Args:
        native: whether labels and objects at original size are wanted; without it they are empty.
        digest: the hash that the sample must have; empty: it isn't looked at.
    """
    with fetched_once():
        if digest and digest_of(sample) != digest:
            raise changed(said(" or ".join(map(str, sample.files))), "its content is another one")
        decoded = decode(source, sample, size, resize)
    truth = Runs.of(decoded.labels)
    checked_counts(source, sample, truth)
    return Pixels(
        resize_picture(decoded.picture, size, resize),
        resize_labels(decoded.labels, size, resize),
        decoded.picture.size,
        truth.block() if native else b"",
        _instances(source, sample, decoded) if native else b"",
    )


def read_row(source: Source, sample: Sample, size: Size, resize: str) -> Row:
    """Read one sample; raise BenchError or OSError if files are missing or broken, or labels are not classes."""
    with fetched_once():
        decoded, digest = decode(source, sample, size, resize), digest_of(sample)
    truth = Runs.of(decoded.labels)
    counts = checked_counts(source, sample, truth)
    picture, labels = decoded.picture, resize_labels(decoded.labels, size, resize)
    return Row(
        resize_picture(picture, size, resize),
        labels,
        picture.size,
        truth.block(),
        _instances(source, sample, decoded),
        digest,
        look_at_picture(picture),
        bool((labels != IGNORE_INDEX).any()),
        counts,
        picture.scale > 1,
        0 if picture.missing is None else int(np.count_nonzero(picture.missing)),
    )


def decode(source: Source, sample: Sample, size: Size | None, resize: str = "stretch") -> Decoded:
    """Read a sample's picture, large enough to be resized to a size, and its labels at their own size.

    Labels are ignored where a chosen band has no value: where a file says nodata, and at NaN.

    Args:
        size: None if the picture is only looked at.
    """
    found = _decode(source.dataset, sample, size, resize)
    picture = found.picture
    if not hasattr(source.dataset, "choose_bands"):  # one that has it was told when it was opened
        picture = picture.choose(source.bands, _image_of(sample))
    _check_bands(source, sample, picture)
    values = source.values or picture.values
    if picture is found.picture and picture.missing is None and values is picture.values:
        return found
    labels = found.labels if picture.missing is None else np.where(picture.missing, IGNORE_INDEX, found.labels)
    return replace(found, picture=replace(picture, values=values), labels=labels.astype(np.uint8, copy=False))


def _decode(dataset: Any, sample: Sample, size: Size | None, resize: str) -> Decoded:
    if _reduces(dataset):
        decoded: Decoded = dataset.decode(sample, partial(reduction, size=size or (1, 1), policy=resize))
        return decoded
    read_at = getattr(dataset, "read_at", None)
    image, labels = read_at(sample, size) if read_at and size else dataset.read(sample)
    _check_types(sample, image, labels)
    return Decoded(Picture.of(image), labels)


def _check_bands(source: Source, sample: Sample, picture: Picture) -> None:
    """Raise DataFault if a picture has other bands or another depth than those before it."""
    wanted = source.values
    if wanted is None or (picture.bands, picture.kind) == (wanted.bands, wanted.kind):
        return
    found = f"{picture.bands} band{'s' * (picture.bands > 1)} of {picture.kind}"
    raise DataFault(
        f"{_image_of(sample)}: the image has {found}, the first training image {wanted.bands} of {wanted.kind}. Save "
        "all alike, or give the bands that all have, such as --bands 1.",
        "depth",
    )


def is_reduced(source: Source, sample: Sample, size: Size, resize: str) -> bool:
    """Tell whether `decode` would read a picture at a fraction of its size, without decoding it."""
    dataset: Any = source.dataset
    return _reduces(dataset) and int(dataset.scale(sample, partial(reduction, size=size, policy=resize))) > 1


def _reduces(dataset: Any) -> bool:
    """Tell whether a data set reads pictures at a fraction of their size.

    One of the two methods alone, or a number, is an attribute of a plug-in's own that happens to have that name.
    """
    return all(callable(getattr(dataset, name, None)) for name in ("decode", "scale"))


def _instances(source: Source, sample: Sample, decoded: Decoded) -> bytes:
    number = getattr(source.dataset, "instances", None)
    if number is None:
        return b""
    instances = decoded.instances if decoded.instances is not None else number(sample)
    shape = decoded.labels.shape
    if instances.dtype != np.uint16 or instances.shape != shape:
        raise BenchError(f"{sample.name}: the instances are {instances.dtype} {instances.shape}, not uint16 {shape}.")
    return Runs.of(instances).block()


def digest_of(sample: Sample) -> str:
    """Hash a sample's token and source files, in hexadecimal digits."""
    hasher = hashlib.sha256(utf8(sample.token))
    for path in sample.files:
        hasher.update(content_hash(path))
    return hasher.hexdigest()


def checked_counts(source: Source, sample: Sample, labels: Runs) -> np.ndarray:
    """Count the pixels with each label, int64 (256,); raise DataFault if one is neither a class nor ignored."""
    counts, classes = labels.counts(), source.spec.num_classes
    if counts[classes:IGNORE_INDEX].any():
        strange = np.flatnonzero(counts[classes:IGNORE_INDEX]) + classes
        raise DataFault(
            f"{_place(sample)}: the labels {strange.tolist()} are not classes. "
            f"Accepted: 0 to {classes - 1} and {IGNORE_INDEX}.",
            "values",
        )
    return counts


def _check_types(sample: Sample, image: np.ndarray, labels: np.ndarray) -> None:
    """Raise DataFault unless image and labels have the types and sizes of the protocol."""
    place = _place(sample)
    if image.dtype.name not in KINDS or image.ndim != 3 or not 1 <= image.shape[2] <= MOST_BANDS:
        raise DataFault(
            f"{place}: the image is {image.dtype} {image.shape}, not {', '.join(KINDS)} (H, W, 1 to {MOST_BANDS}).",
            "size",
        )
    if labels.dtype != np.uint8 or labels.shape != image.shape[:2]:
        raise DataFault(f"{place}: the labels are {labels.dtype} {labels.shape}, not uint8 {image.shape[:2]}.", "size")


def _image_of(sample: Sample) -> object:
    return sample.files[0] if sample.files else sample.name


def _place(sample: Sample) -> object:
    return sample.files[-1] if sample.files else sample.name
