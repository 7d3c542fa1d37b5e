"""Carvana Image Masking Challenge: photographs of cars, 16 views of each, 22.5 degrees apart.

Authors: Carvana, for Kaggle, 2017. Licence: Kaggle competition data, for the competition and for research; images may
not be published. Homepage: https://www.kaggle.com/c/carvana-image-masking-challenge

Layout: train/CAR_VIEW.jpg (1918 x 1280 pixels), train_masks/CAR_VIEW_mask.gif, or, where that folder is absent,
train_masks.csv (`img,rle_mask`, counted along the rows). Full size: 318 cars, 5088 images.
Splits: the official test split has no masks, so the cars (the name up to `_`) are divided by a hash: 70 % train, 10 %
validation, 20 % test. All views of a car are in one split. Raw values: palette indices 0 background, 1 car.
Known faults: none that must be left out; a few masks miss an aerial or a wheel.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.core.errors import BenchError
from bench.data.reading.picture import Decoded, Reduce, whole
from bench.datasets.base import (
    DataFault,
    Sample,
    check_folder,
    check_same_size,
    check_size,
    first_size,
    listed,
    read_labels,
    read_picture,
    read_scale,
)
from bench.datasets.kaggle import CARVANA
from bench.datasets.rle import rle_decode
from bench.datasets.rle_table import Row, place, read_table

_IMAGES, _MASKS, _TABLE = "train", "train_masks", "train_masks.csv"


@dataclass(frozen=True)
class Carvana:
    """The images of one folder in the publisher's layout."""

    samples: tuple[Sample, ...]
    notes: tuple[str, ...]
    table: Path
    rows: Mapping[str, Row]  # sample name -> its mask, if the masks come from the table
    size: tuple[int, int] | None  # height and width of every image

    def read(self, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        """Read an image, uint8 (1280, 1918, 3), and its labels, uint8 (1280, 1918); errors name file and row."""
        return self.decode(sample).arrays()

    def scale(self, sample: Sample, reduce: Reduce) -> int:
        """Tell at which fraction of its size `decode` would read a picture."""
        return read_scale(sample.files[0], reduce=reduce)

    def decode(self, sample: Sample, reduce: Reduce = whole) -> Decoded:
        """Read a picture, reduced if it may be, and its labels."""
        picture = read_picture(sample.files[0], reduce=reduce)
        if row := self.rows.get(sample.name):
            where = place(self.table, row, sample.files[0].name)
            check_same_size(picture.size, self.size, where)
            return Decoded(picture, rle_decode(row.text, picture.size, "row", place=where))
        if len(sample.files) < 2:
            raise DataFault(f"{sample.files[0]}: {self.table.name} has no row for it.", "missing")
        labels = read_labels(sample.files[1])
        check_size(picture.size, labels, sample.files[1])
        if labels.max() > 1:
            values = sorted(set(np.unique(labels).tolist()) - {0, 1})
            raise DataFault(f"{sample.files[1]}: a mask's values are 0 and 1, not {values}.", "values")
        return Decoded(picture, labels)


def load(data_dir: Path | None) -> Carvana:
    """Load the data set with two classes: background and car."""
    folder = check_folder("carvana", data_dir, (_IMAGES,), CARVANA.by_hand)
    images, masks, table = (folder / part for part in (_IMAGES, _MASKS, _TABLE))
    rows: dict[str, Row] = {}
    names = {name.removesuffix(".jpg") for name in listed(images, ".jpg")}
    if masks.is_dir():
        names |= {name.removesuffix("_mask.gif") for name in listed(masks, "_mask.gif")}
    elif table.exists():
        rows = _rows(table)
    else:
        raise BenchError(
            f"The data folder '{folder}' of 'carvana' has neither {_MASKS} nor {_TABLE}. {CARVANA.by_hand}"
        )
    # A name with only one of its two files is kept: reading it then reports which one is missing.
    samples = []
    for name in sorted(names | set(rows)):
        files = [images / f"{name}.jpg"] if rows else [images / f"{name}.jpg", masks / f"{name}_mask.gif"]
        token = hashlib.sha256(rows[name].text.encode()).hexdigest() if name in rows else ""
        samples.append(Sample(name, None, _car(name), tuple(files), token))
    return Carvana(tuple(samples), (), table, rows, first_size(sample.files[0] for sample in samples))


def _car(name: str) -> str:
    return name.partition("_")[0]


def _rows(table: Path) -> dict[str, Row]:
    """Map each sample name to its row; raise BenchError if an image has two rows."""
    rows = read_table(table, "img", "rle_mask")
    for name, found in rows.items():
        if len(found) > 1:
            raise BenchError(f"{table}, row {found[1].number}: '{name}' already has row {found[0].number}.")
    return {Path(name).stem: found[0] for name, found in rows.items()}
