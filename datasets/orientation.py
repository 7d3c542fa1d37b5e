"""Decide which images are turned by their EXIF orientation: those whose labels fit only the turned image.

Viewers and labelling tools turn photographs upright, most decoders don't. Labels drawn on the turned image of another
shape tell by their size; where the image is square or upside down, nothing tells.
"""

import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError
from bench.data.facts.file_facts import Fact, look_up
from bench.data.reading.contents import stamps_for, threads_for
from bench.datasets.image_files import Head, read_head
from bench.datasets.layout import Contents, Drawn, Item, Size
from bench.datasets.mask_survey import MaskFacts

_KIND, _HEAD = "heads-2", struct.Struct("<QQB")  # the facts of images: height, width and orientation
APPLY, IGNORE = CHOICES = ("apply", "ignore")


@dataclass(frozen=True)
class Turned:
    """The names of the images that are turned, and what is said of the others."""

    names: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def turned(contents: Contents, facts: Mapping[Path, MaskFacts], exif: str = "") -> Turned:
    """Decide for all images of a folder.

    Args:
        facts: of the masks by their files, if they were surveyed.
        exif: "apply" or "ignore" settles it for all images; empty decides by the labels' sizes.
    """
    if exif not in ("", *CHOICES):
        raise BenchError(f"The parameter exif is '{exif}'. Accepted: {', '.join(CHOICES)}.")
    if exif == IGNORE:
        return Turned()
    heads = _heads([item.image for item in contents.items])
    rotated = [(item, head) for item, head in zip(contents.items, heads, strict=True) if head and head.orientation != 1]
    if exif == APPLY:
        return Turned(frozenset(item.name for item, _ in rotated))
    chosen, doubtful = [], []
    for item, head in rotated:
        size = _label_size(contents, item, facts.get(item.labels) if item.labels else None)
        if size is not None and size == head.turned_size != head.size:
            chosen.append(item)
        elif size is None or size == head.turned_size:
            doubtful.append(item)
    return Turned(frozenset(item.name for item in chosen), _note(chosen), _warning(doubtful))


def _note(items: Sequence[Item]) -> tuple[str, ...]:
    text = "images are turned by their EXIF orientation, since their labels have the turned image's size"
    return (f"{len(items)} {text}",) if items else ()


def _warning(items: Sequence[Item]) -> tuple[str, ...]:
    if not items:
        return ()
    return (
        f"{len(items)} images carry an EXIF orientation (the first: {items[0].name}), and sizes don't tell whether "
        "the labels were drawn on the turned image: it isn't applied. Look at a contact sheet of `bench show-dataset`, "
        f"and settle it by --dataset-param exif={APPLY} or exif={IGNORE}.",
    )


def _heads(paths: Sequence[Path]) -> list[Head | None]:
    """Read the headers of all images, once: at an address each is a file to fetch."""
    first = paths[0] if paths else None
    stamp, threads = stamps_for(first), threads_for(first)
    keys = [f"{os.fsencode(path).hex()} {' '.join(map(str, stamp(path)))}" for path in paths]
    place = os.path.commonpath([path.parent for path in paths]) if paths else ""
    found = look_up(_KIND, place, paths, keys, _packed, "looking at images", threads)
    return [Head((fact[0], fact[1]), fact[2]) if fact else None for fact in map(_unpacked, found)]


def _packed(path: Path) -> bytes | None:
    head = _head(path)
    return _HEAD.pack(*head.size, head.orientation) if head else None


def _unpacked(fact: Fact | None) -> tuple[int, ...]:
    return _HEAD.unpack(fact) if fact is not None else ()


def _head(path: Path) -> Head | None:
    try:
        return read_head(path)
    except DataFault:  # reported when the image is read
        return None


def _label_size(contents: Contents, item: Item, facts: MaskFacts | None) -> Size | None:
    if isinstance(contents.labels, Drawn):
        return contents.labels.size(item)
    if facts:
        return facts.size
    head = _head(item.labels) if item.labels else None
    return head.size if head else None
