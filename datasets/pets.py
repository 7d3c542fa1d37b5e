"""Oxford-IIIT Pet: cats and dogs of 37 breeds, with trimaps.

Authors: Omkar M. Parkhi, Andrea Vedaldi, Andrew Zisserman, C. V. Jawahar, "Cats and Dogs", CVPR 2012.
Licence: CC BY-SA 4.0. Homepage: https://www.robots.ox.ac.uk/~vgg/data/pets/
Archives: images.tar.gz and annotations.tar.gz; the spec has their URLs, bytes and SHA-256 (from tensorflow-datasets).

Layout: images/NAME.jpg, annotations/trimaps/NAME.png, annotations/{trainval,test}.txt with NAME first in each line.
Splits: trainval 3680 and test 3669, both official; bench/data/splits.py moves part of trainval to validation.
Raw values: 1 pet, 2 background, 3 border. `pets` uses the value minus 1; `pets-binary` counts the border as pet.
Known faults: 41 pictures are in no list; a dozen files named .jpg are something else (Abyssinian_5 a PNG with an opaque
alpha channel, Abyssinian_34 a GIF whose trimap is background throughout); sizes differ from image to image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.core.errors import first_few
from bench.data.reading.contents import here
from bench.data.reading.picture import Decoded, Reduce, whole
from bench.datasets.base import (
    DataFault,
    Sample,
    check_folder,
    check_size,
    listed,
    read_labels,
    read_picture,
    read_scale,
)

_LISTS = {"train": "trainval.txt", "test": "test.txt"}
_THREE_CLASSES = (0, 1, 2)  # labels of the raw values 1, 2, 3
_BINARY = (1, 0, 1)
_HELP = (
    "Get images.tar.gz and annotations.tar.gz from https://www.robots.ox.ac.uk/~vgg/data/pets/, unpack both into one "
    "folder and give it with --data-dir; or run `bench prepare pets`, which downloads them."
)


@dataclass(frozen=True)
class Pets:
    """The images of one folder in the publishers' layout."""

    samples: tuple[Sample, ...]
    notes: tuple[str, ...]
    classes: Sequence[int]  # labels of the raw values 1, 2, 3

    def read(self, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        """Read an image, uint8 (H, W, 3), and its labels, uint8 (H, W); DataFault names the file."""
        return self.decode(sample).arrays()

    def scale(self, sample: Sample, reduce: Reduce) -> int:
        """Tell at which fraction of its size `decode` would read a picture."""
        return read_scale(sample.files[0], reduce=reduce)

    def decode(self, sample: Sample, reduce: Reduce = whole) -> Decoded:
        """Read a picture, reduced if it may be, and its labels."""
        picture, trimap = read_picture(sample.files[0], reduce=reduce), read_labels(sample.files[1])
        check_size(picture.size, trimap, sample.files[1])
        if trimap.min() < 1 or trimap.max() > 3:
            values = sorted(set(np.unique(trimap).tolist()) - {1, 2, 3})
            raise DataFault(f"{sample.files[1]}: a trimap's values are 1, 2 and 3, not {values}.", "values")
        return Decoded(picture, np.array([0, *self.classes], np.uint8)[trimap])


def load(data_dir: Path | None) -> Pets:
    """Load the data set with three classes: pet, background, border."""
    return _load(data_dir, _THREE_CLASSES)


def load_binary(data_dir: Path | None) -> Pets:
    """Load the data set with two classes: background, pet (with its border)."""
    return _load(data_dir, _BINARY)


def _load(data_dir: Path | None, classes: Sequence[int]) -> Pets:
    needed = ("images", "annotations/trimaps", *(f"annotations/{name}" for name in _LISTS.values()))
    folder = check_folder("pets", data_dir, needed, _HELP)
    images, trimaps = folder / "images", folder / "annotations" / "trimaps"
    pictures = {name.removesuffix(".jpg") for name in listed(images, ".jpg")}
    # A listed name with only one of its two files is kept: reading it then reports which one is missing.
    present = pictures | {name.removesuffix(".png") for name in listed(trimaps, ".png")}
    lists = {split: _names(folder / "annotations" / file) for split, file in _LISTS.items()}
    samples = tuple(
        Sample(name, split, name, (images / f"{name}.jpg", trimaps / f"{name}.png"))
        for split, names in lists.items()
        for name in names
        if name in present
    )
    named = [name for names in lists.values() for name in names]
    return Pets(samples, _notes(named, present, pictures), classes)


def _notes(named: Sequence[str], present: set[str], pictures: set[str]) -> tuple[str, ...]:
    """Count the listed names without files, and the pictures in no list."""
    absent = sum(name not in present for name in named)
    notes = [f"{absent} of the {len(named)} files that the lists name are absent"] if absent else []
    if unlisted := sorted(pictures - set(named)):
        notes.append(f"{len(unlisted)} of {len(pictures)} pictures are in no list and left out: {first_few(unlisted)}")
    return tuple(notes)


def _names(path: Path) -> list[str]:
    lines = here(path).read_text(encoding="utf-8-sig").splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
