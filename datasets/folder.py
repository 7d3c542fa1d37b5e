"""A user's own folder, named `folder:PATH`, with images/ and masks/ whose stems match. The layout is segbench's own.

Layout:
    images/STEM.jpg     or .jpeg, .png, .bmp, .tif, .tiff, .webp, .gif
    masks/STEM.png      or .bmp, .tif, .tiff: one 8-bit channel or a palette, whose values are the labels
    masks/STEM.gif      or .jpg, .jpeg, .webp: binary, class 1 where lighter than half
    classes.json        optional: ["background", "car"] names 0, 1, ...; {"background": 0, "car": 7} gives the values
    train.txt, val.txt, test.txt   optional: one stem (or file name) per line

Classes: without classes.json, the values found in the masks. 0 and 255 alone are background and foreground; otherwise
a value v is class_v, and 255 is ignored. A list of two names also accepts 255 for the second if no mask has a 1.
Splits: with lists, train.txt and test.txt are needed, and without val.txt a tenth of the training images becomes the
validation split; without any list the stems are divided by a hash: 70 % train, 10 % validation, 20 % test.
Raw values: given by classes.json, or the values of the masks.
Known faults: unmatched files, different sizes of an image and its mask, and unknown values are errors;
`bench prepare folder:PATH --check` lists all of them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX
from bench.datasets.base import DataFault, Sample, check_folder, check_size, hashed_splits, read_rgb
from bench.datasets.mask_values import BINARY, read_mask, values_of

SPLITS = ("train", "val", "test")
_IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif")
_MASKS = (".png", ".bmp", ".tif", ".tiff", *BINARY)
_MOST_INFERRED = 64  # classes; more values mean a photograph, or smoothed edges
_HELP = "It needs images/ and masks/ with the same stems; classes.json, train.txt, val.txt, test.txt are optional."


@dataclass(frozen=True)
class Folder:
    """The images of one folder."""

    samples: tuple[Sample, ...]
    notes: tuple[str, ...]
    classes: tuple[str, ...]
    values: Mapping[int, int]  # value in a mask -> label

    def read(self, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        """Read an image, uint8 (H, W, 3), and its labels, uint8 (H, W); DataFault names the file."""
        image, mask = read_rgb(sample.files[0]), read_mask(sample.files[1])
        check_size(image, mask, sample.files[1])
        if sample.files[1].suffix.lower() in BINARY:
            return image, mask
        if unknown := sorted(set(np.unique(mask).tolist()) - set(self.values) - {IGNORE_INDEX}):
            raise DataFault(
                f"{sample.files[1]}: the values {unknown} are not classes. "
                f"Accepted: {', '.join(map(str, self.values))}.",
                "values",
            )
        table = np.full(256, IGNORE_INDEX, np.uint8)
        table[list(self.values)] = list(self.values.values())
        return image, table[mask]


def load(data_dir: Path | None) -> Folder:
    """Load the data set; its classes come from classes.json, or from the values of the masks."""
    folder = check_folder("folder", data_dir, ("images", "masks"), _HELP)
    images, masks = _by_stem(folder / "images", _IMAGES), _by_stem(folder / "masks", _MASKS)
    classes, values = _classes(folder / "classes.json", list(masks.values()))
    stems = sorted(set(images) | set(masks))
    splits, notes = _splits(folder, stems)
    token = json.dumps([classes, sorted(values.items())])
    samples = tuple(
        # A stem with one of its two files is kept: reading it then reports which one is missing.
        Sample(stem, splits[stem], stem, (images.get(stem, folder / "images" / f"{stem}.*"),
                                          masks.get(stem, folder / "masks" / f"{stem}.*")), token)
        for stem in stems
        if stem in splits
    )  # fmt: skip
    return Folder(samples, notes, classes, values)


def _by_stem(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Map each stem to its file; raise BenchError if two files have the same stem."""
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in suffixes:
            continue
        if path.stem in files:
            raise BenchError(f"'{folder}' has both {files[path.stem].name} and {path.name}. Keep one of them.")
        files[path.stem] = path
    return files


def _classes(file: Path, masks: Sequence[Path]) -> tuple[tuple[str, ...], dict[int, int]]:
    """Return the class names, and a map from the values in the masks to labels."""
    if file.exists():
        names, values = _named(file)
        both = len(names) == 2 and isinstance(values, range) and values_of(masks) <= {0, 255}
        chosen = [0, 255] if both else list(values)
        return names, {value: label for label, value in enumerate(chosen)}
    found = values_of(masks)
    if found <= {0, 255}:
        return ("background", "foreground"), {0: 0, 255: 1}
    used = sorted(found - {IGNORE_INDEX})
    if not 2 <= len(used) <= _MOST_INFERRED:
        raise BenchError(
            f"The masks in '{file.parent / 'masks'}' have {len(used)} values, too many or too few to be classes. Write "
            f"the class names and values to {file.name}, and save masks without smoothing."
        )
    return tuple(f"class_{value}" for value in used), {value: label for label, value in enumerate(used)}


def _named(file: Path) -> tuple[tuple[str, ...], Sequence[int]]:
    """Read the class names and their values from classes.json; for a list, the values are 0, 1, ..."""
    accepted = 'Accepted: a list of names, or {"name": value} with different values from 0 to 255; two or more.'
    try:
        given = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise BenchError(f"{file}: can't be read ({error}). {accepted}") from error
    if isinstance(given, list) and all(isinstance(name, str) for name in given):
        names, values = given, range(len(given))
    elif isinstance(given, dict) and all(type(value) is int and 0 <= value <= 255 for value in given.values()):
        names = sorted(given, key=given.__getitem__)
        values = [given[name] for name in names]
    else:
        raise BenchError(f"{file}: {json.dumps(given)[:80]} is not understood. {accepted}")
    if not 2 <= len(set(names)) == len(set(values)) == len(names) <= IGNORE_INDEX:
        raise BenchError(f"{file}: it has {len(names)} names and {len(set(values))} different values. {accepted}")
    return tuple(names), values


def _splits(folder: Path, stems: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Map each stem to its split, and return notes about the stems that are in no list."""
    lists = {split: folder / f"{split}.txt" for split in SPLITS if (folder / f"{split}.txt").exists()}
    if not lists:
        return hashed_splits(stems), ()
    if missing := [f"{split}.txt" for split in ("train", "test") if split not in lists]:
        raise BenchError(f"'{folder}' has {', '.join(f'{s}.txt' for s in lists)} but no {' and no '.join(missing)}.")
    splits: dict[str, str] = {}
    known = set(stems)
    for split, file in lists.items():
        for number, stem in _lines(file, known):
            if stem not in known:
                raise BenchError(f"{file}, row {number}: '{stem}' has neither an image nor a mask.")
            if splits.setdefault(stem, split) != split:
                raise BenchError(f"{file}, row {number}: '{stem}' is also in {splits[stem]}.txt.")
    left = len(stems) - len(splits)
    return splits, (f"{left} of {len(stems)} images are in no list and left out",) if left else ()


def _lines(file: Path, stems: set[str]) -> list[tuple[int, str]]:
    """Return the row and the stem of each line that isn't empty; a name may have its suffix."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"{file}: can't be read ({error}).") from error
    names = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    return [(number, name if name in stems else Path(name).stem) for number, name in names]
