"""Airbus Ship Detection Challenge: satellite tiles with every ship outlined; most tiles show none.

Authors: Airbus, for Kaggle, 2018. Licence: Kaggle competition data, for the competition and for research; images may
not be published. Homepage: https://www.kaggle.com/c/airbus-ship-detection

Layout: train_v2/ID.jpg (768 x 768 pixels), train_ship_segmentations_v2.csv (`ImageId,EncodedPixels`, counted
down the columns; one row per ship, an empty field for a tile without ships). Full size: 192,556 tiles, 42,556 of them
with 1 to 15 ships.
Splits: the official test split has no masks, so the groups are divided by a hash: 70 % train, 10 % validation, 20 %
test. Tiles that show the same place form one group (bench/datasets/tiles.py describes what is found).
Labels: 0 background, 1 ship; instances number the rows of a tile from 1, so touching ships stay separate.
Known faults: 6384c3e78.jpg is truncated and left out by name.

`balance` (or `balance_ships`) takes at most so many tiles for each number of ships, zero included (a recipe from the
competition's published notebooks); the table tells the numbers, so no image is decoded for it.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.reading.picture import Decoded, Reduce, whole
from bench.datasets.base import (
    DataFault,
    Sample,
    check_folder,
    check_same_size,
    first_size,
    listed,
    read_picture,
    read_scale,
    read_size,
)
from bench.datasets.kaggle import AIRBUS
from bench.datasets.rle import pixels, unflatten
from bench.datasets.rle_table import Row, place, read_table
from bench.datasets.tiles import overlapping

CORRUPT = ("6384c3e78.jpg",)
_IMAGES, _TABLE = "train_v2", "train_ship_segmentations_v2.csv"


@dataclass(frozen=True)
class Airbus:
    """The tiles of one folder in the publisher's layout."""

    samples: tuple[Sample, ...]
    notes: tuple[str, ...]
    table: Path
    rows: Mapping[str, Sequence[Row]]  # sample name -> its rows
    size: tuple[int, int] | None  # height and width of every tile

    def read(self, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        """Read an image, uint8 (768, 768, 3), and its labels, uint8 (768, 768); errors name the file and the row."""
        return self.decode(sample).arrays()

    def scale(self, sample: Sample, reduce: Reduce) -> int:
        """Tell at which fraction of its size `decode` would read a picture."""
        return read_scale(sample.files[0], reduce=reduce)

    def decode(self, sample: Sample, reduce: Reduce = whole) -> Decoded:
        """Read a picture, reduced if it may be, its labels and its ships."""
        picture = self._look(sample, partial(read_picture, reduce=reduce))
        ships = self._numbered(sample, picture.size)
        return Decoded(picture, (ships > 0).view(np.uint8), ships)

    def instances(self, sample: Sample) -> np.ndarray:
        """Return the ships numbered from 1 in row order, uint16 (768, 768); where two overlap, the later one counts."""
        return self._numbered(sample, self._look(sample, read_size))

    def object_counts(self) -> dict[str, int]:
        """Map each sample's name to its number of ships."""
        return {name: sum(bool(row.text) for row in rows) for name, rows in self.rows.items()}

    def hash_name(self, sample: Sample) -> str:
        """Return the file's name, by which `balance` and `empty_fraction` have always chosen tiles."""
        return sample.files[0].name

    def _look(self, sample: Sample, read: Callable[[Path], Any]) -> Any:
        """Apply `read` to a tile's file; a fault also names the tile's first row in the table."""
        try:
            return read(sample.files[0])
        except DataFault as fault:
            where = place(self.table, self.rows[sample.name][0], sample.files[0].name)
            raise DataFault(f"{where}: {fault}", fault.kind) from fault

    def _numbered(self, sample: Sample, shape: tuple[int, int]) -> np.ndarray:
        where = place(self.table, self.rows[sample.name][0], str(sample.files[0]))
        check_same_size(shape, self.size, where)
        flat = np.zeros(shape[0] * shape[1], np.uint16)
        ships = [row for row in self.rows[sample.name] if row.text]
        for number, row in enumerate(ships, 1):
            flat[pixels(row.text, flat.size, place=place(self.table, row, sample.files[0].name))] = number
        return np.ascontiguousarray(unflatten(flat, shape))


def load(data_dir: Path | None) -> Airbus:
    """Load the data set with two classes: background and ship."""
    folder = check_folder("airbus", data_dir, (_IMAGES, _TABLE), AIRBUS.by_hand)
    rows = read_table(folder / _TABLE, "ImageId", "EncodedPixels")
    count = _unnamed(folder, rows)
    skipped = [name for name in CORRUPT if rows.pop(name, None)]
    images, names = folder / _IMAGES, sorted(rows)
    paths = [images / name for name in names]
    samples = tuple(
        Sample(path.stem, None, group, (path,), _token(rows[name]))
        for name, path, group in zip(names, paths, overlapping(paths), strict=True)
    )
    notes = [f"{count} tiles of {_IMAGES} left out, since the table does not name them"] if count else []
    notes += [f"{name} is known to be corrupt and left out" for name in skipped]
    by_name = {sample.name: rows[name] for sample, name in zip(samples, names, strict=True)}
    return Airbus(samples, tuple(notes), folder / _TABLE, by_name, first_size(paths))


def reread(data_dir: Path, samples: Sequence[Sample]) -> Airbus | None:
    """Load the data set only to read samples that are known; None if the table says something else of one."""
    rows = read_table(data_dir / _TABLE, "ImageId", "EncodedPixels")
    by_name = {sample.name: rows.get(sample.files[0].name, ()) for sample in samples}
    if any(_token(by_name[sample.name]) != sample.token for sample in samples):
        return None
    paths = (data_dir / _IMAGES / name for name in sorted(rows) if name not in CORRUPT)
    return Airbus(tuple(samples), (), data_dir / _TABLE, by_name, first_size(paths))


def _unnamed(folder: Path, rows: Mapping[str, Sequence[Row]]) -> int:
    """Count the image files that have no row in the table."""
    return sum(name not in rows for name in listed(folder / _IMAGES, ".jpg"))


def _token(rows: Sequence[Row]) -> str:
    return _text_token("\n".join([row.text for row in rows]))


@lru_cache(128)  # four of five tiles have no ship
def _text_token(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
