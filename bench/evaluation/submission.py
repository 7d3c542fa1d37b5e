"""Kaggle's submission files: run-length text, which bench/datasets/rle_table.py reads back to the same masks.

carvana   img,rle_mask             a row a picture, along the rows
airbus    ImageId,EncodedPixels    a row an object (8-connected), down the columns; one empty row where none is
"""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from bench.core.errors import BenchError
from bench.core.files import write_atomically
from bench.datasets.rle import Order, rle_encode
from bench.evaluation.metrics.objects import components


@dataclass(frozen=True)
class Format:
    """How a competition wants its masks."""

    columns: tuple[str, str]
    order: Order
    by_object: bool

    def rows(self, name: str, mask: np.ndarray) -> list[tuple[str, str]]:
        """The rows of one picture, from its mask bool (H, W)."""
        if not self.by_object:
            return [(name, rle_encode(mask, self.order))]
        numbers = components(mask)
        texts = [rle_encode(numbers == number, self.order) for number in range(1, numbers.max(initial=0) + 1)]
        return [(name, text) for text in texts or [""]]


FORMATS = {
    "carvana": Format(("img", "rle_mask"), "row", by_object=False),
    "airbus": Format(("ImageId", "EncodedPixels"), "column", by_object=True),
}


def format_of(dataset: str) -> Format:
    """The format of a data set's competition; BenchError where it has none."""
    if dataset not in FORMATS:
        raise BenchError(f"--submission: there is no competition for '{dataset}'. Accepted: {', '.join(FORMATS)}.")
    return FORMATS[dataset]


def check_names(names: Sequence[str]) -> None:
    """BenchError for a name that stands twice: a submission knows pictures by their file names alone."""
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise BenchError(
            f"--submission: {len(twice)} file names stand twice, the first is '{twice[0]}'. Give one of each."
        )


class Submission:
    """A submission file that is being written."""

    def __init__(self, form: Format, file: TextIO):
        self._form, self._writer = form, csv.writer(file, lineterminator="\n")
        self._writer.writerow(form.columns)

    def add(self, name: str, mask: np.ndarray) -> None:
        """Write the rows of the picture whose file is called `name`; `mask` (H, W) is true where the object is."""
        self._writer.writerows(self._form.rows(name, mask))


@contextmanager
def submission(path: Path, form: Format) -> Iterator[Submission]:
    """A submission that stands at `path` once the context has ended well."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as part, part.open("w", newline="") as file:
            yield Submission(form, file)
    except OSError as error:
        raise BenchError(f"The submission '{path}' can't be written ({error.strerror}).") from error
