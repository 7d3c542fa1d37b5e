"""A tiny sound folder of each layout, drawn by code: `FIXTURES["voc"](folder)` writes one.

A layout with more than one form has a fixture for each, as `voc` and `voc:colours`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from fakes import fake_pet
from PIL import Image

SIZE = (32, 48)  # height, width of every image in pixels
COUNT = 12


@dataclass(frozen=True)
class Written:
    """What must be read from a folder."""

    classes: tuple[str, ...]
    labels: dict[str, np.ndarray]  # name of a sample -> its labels, uint8 (H, W)
    splits: dict[str, str] = field(default_factory=dict)  # name -> split; empty: divided by a hash


Write = Callable[[Path], Written]
FIXTURES: dict[str, Write] = {}


def fixture(name: str) -> Callable[[Write], Write]:
    """Register the function that writes the layout `name`, or its form `name:form`."""

    def register(write: Write) -> Write:
        FIXTURES[name] = write
        return write

    return register


def layout_of(name: str) -> str:
    """Return the layout of a fixture's name."""
    return name.partition(":")[0]


def scenes(count: int = COUNT, size: tuple[int, int] = SIZE) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield images, uint8 (H, W, 3), and labels, uint8 (H, W): 0 ground, 1 an ellipse, 2 its border."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        image, trimap = fake_pet(rng, size)
        yield image, np.array([0, 1, 0, 2], np.uint8)[trimap]


def save(array: np.ndarray, path: Path, palette: Sequence[int] | None = None) -> None:
    """Write an array as an image, of indices into a colour table if one is given; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(array)
    if palette is not None:
        picture.putpalette(palette)
    picture.save(path)


def save_text(path: Path, *lines: str) -> None:
    """Write lines of text; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@fixture("images-masks")
def images_masks(folder: Path) -> Written:
    labels = {}
    for number, (image, mask) in enumerate(scenes()):
        save(image, folder / "images" / f"s{number}.jpg")
        save(mask, folder / "masks" / f"s{number}.png")
        labels[f"s{number}"] = mask
    return Written(("class_0", "class_1", "class_2"), labels)


@fixture("images-masks:split-folders")
def images_masks_in_split_folders(folder: Path) -> Written:
    labels, splits = {}, {}
    for number, (image, mask) in enumerate(scenes()):
        split, place = [("train", "train"), ("val", "valid"), ("test", "test")][number // 8 + number // 10]
        save(image, folder / place / "images" / f"{number}.jpg")
        save(mask, folder / place / "masks" / f"{number}.png")
        labels[f"{place}/{number}"] = mask
        splits[f"{place}/{number}"] = split
    return Written(("class_0", "class_1", "class_2"), labels, splits)
