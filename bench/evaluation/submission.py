"""Write Kaggle's submission files: run-length encoded masks, which bench/datasets/rle_table.py reads back unchanged."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np

from bench.core.errors import BenchError
from bench.core.files import write_atomically
from bench.core.specs import DatasetSpec, SubmissionFormat
from bench.datasets import DATASETS
from bench.datasets.rle import rle_encode
from bench.evaluation.metrics.objects import components


def format_of(spec: DatasetSpec) -> SubmissionFormat:
    """Return the submission format of a data set's competition; raise BenchError if it has none."""
    if spec.kaggle and spec.kaggle.submission:
        return spec.kaggle.submission
    known = [other.name for other in DATASETS if other.kaggle and other.kaggle.submission]
    raise BenchError(f"--submission: there is no competition for '{spec.name}'. Accepted: {', '.join(known)}.")


def _rows(form: SubmissionFormat, name: str, mask: np.ndarray) -> list[tuple[str, str]]:
    """Make the rows of one image, from its mask bool (H, W)."""
    if not form.by_object:
        return [(name, rle_encode(mask, form.order))]
    numbers = components(mask)
    texts = [rle_encode(numbers == number, form.order) for number in range(1, numbers.max(initial=0) + 1)]
    return [(name, text) for text in texts or [""]]


def check_names(names: Sequence[str]) -> None:
    """Raise BenchError if a name occurs twice, because a submission identifies images by their file names only."""
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise BenchError(
            f"--submission: {len(twice)} file names occur twice, such as '{twice[0]}'. Give one image of each name."
        )


class Submission:
    """A submission file that is being written."""

    def __init__(self, form: SubmissionFormat, file: TextIO):
        self._form, self._writer = form, csv.writer(file, lineterminator="\n")
        self._writer.writerow(form.columns)

    def add(self, name: str, mask: np.ndarray) -> None:
        """Write the rows of the image whose file is called `name`; `mask` (H, W) is true where the object is."""
        self._writer.writerows(_rows(self._form, name, mask))


@contextmanager
def submission(path: Path, form: SubmissionFormat) -> Iterator[Submission]:
    """Open a submission that is written to `path` unless the context raises an error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            yield Submission(form, file)
    except OSError as error:
        raise BenchError(f"The submission '{path}' can't be written ({error.strerror}).") from error
