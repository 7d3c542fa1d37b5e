"""The protocol of a data set's adapter: samples, and a way to read one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from bench.core.errors import BenchError


@dataclass(frozen=True)
class Sample:
    """One image with its labels, not read yet."""

    name: str  # unique in the data set, the same on every machine
    split: str  # "train", "val" or "test"
    group: str  # what must not be cut apart by a split (the car, the patient); the name where nothing better is known
    files: tuple[Path, ...] = ()  # whose bytes decide the content; a change is noticed by size and time
    token: str = ""  # identifies content that no file of its own holds: drawn by code, or a row of a table


class DataFault(BenchError):
    """A sample that can't be used: the message names its file (and row), `kind` is what a health report counts."""

    def __init__(self, message: str, kind: Literal["missing", "unreadable", "size", "values"]):
        super().__init__(message)
        self.kind = kind


class Dataset(Protocol):
    """A data set on this machine.

    One that can make its pictures at any size also has `read_at(sample, (height, width))`; the
    pack then asks for the trial's size and nothing is resized. One that knows its objects apart has
    `instances(sample)`: uint16 (H, W) at native size, the objects numbered from 1, 0 where there is none. One
    whose spec names no classes has `classes`, the names of its label values.
    """

    samples: tuple[Sample, ...]
    notes: tuple[str, ...]  # what a reader of the results should know, such as absent files

    def read(self, sample: Sample) -> tuple[Any, Any]:
        """Read image uint8 (H, W, 3) and labels uint8 (H, W) at native size.

        Labels are class indices or IGNORE_INDEX. A sample that can't be used raises DataFault.
        """
        ...
