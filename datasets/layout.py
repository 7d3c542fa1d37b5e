"""The contract of a layout: how a folder of images and labels is recognised and what is found in it.

A layout is one file in the folder layouts/ that defines `LAYOUT`; nothing else needs to be written, but a fixture in
tests/layout_fixtures.py. docs/data.md shows the table of all layouts, made by `make docs`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.core.specs import Param
from bench.datasets.mask_meaning import Meaning

Size = tuple[int, int]  # height, width in pixels


@dataclass(frozen=True)
class Item:
    """One image and its labels."""

    name: str  # unique in the data set, the same on every machine, such as the path below the folder without suffix
    image: Path
    labels: Path | None = None  # the file with its labels; None if a file describes many images: then `token` is needed
    split: str = ""  # "train", "val" or "test"; empty: divided by a hash of the group
    group: str = ""  # what must stay in one split, such as a patient; empty: the name
    token: str = ""  # identifies labels without a file of their own, such as a hash of the image's annotations


@dataclass(frozen=True)
class Masks:
    """Labels that are image files, one a sample."""

    meaning: Meaning | None = None  # None: mask_rules.py decides it from the values of all masks


@dataclass(frozen=True)
class Drawn:
    """Labels that are drawn from annotations: polygons, run lengths, boxes."""

    classes: tuple[str, ...]
    draw: Callable[[Item, Size], np.ndarray]  # labels uint8 (H, W) at the given size, IGNORE_INDEX where ignored
    size: Callable[[Item], Size | None] = lambda item: None  # the image's size when it was annotated, if that is known


@dataclass(frozen=True)
class Contents:
    """The images and labels that a layout finds in a folder."""

    items: Sequence[Item]
    labels: Masks | Drawn
    notes: tuple[str, ...] = ()  # facts for readers of the results
    warnings: tuple[str, ...] = ()  # doubts, each with what settles it


@dataclass(frozen=True)
class Layout:
    """A way in which people store images and labels."""

    name: str  # for --dataset-param layout=NAME
    summary: str  # one line: what it is and where it comes from
    files: str  # the files that it is recognised by
    fits: Callable[[Path], bool]  # whether a folder looks like it, from names alone
    read: Callable[..., Contents]  # of the folder, and of the parameters by name that aren't at their default
    sure: Callable[[Path], bool] = lambda folder: False  # whether it also has what no other layout has, such as a file
    deep: bool = (
        False  # whether, if it is named, it is also read from sub-folders of any name, in which `fits` isn't looking
    )
    lacks: Callable[[Path], str] = lambda folder: ""  # what a folder that nearly fits needs, and what to do
    params: tuple[Param, ...] = ()  # for --dataset-param NAME=VALUE; layouts that share a name mean the same by it
