"""A user's own folder, named `folder:PATH`, in any of the layouts of layouts/.

Classes: those of the layout, or of classes.json (see classes_file.py), which counts before the layout; else the values
found in the masks: 0 and 255 alone are background and foreground; otherwise a value v is class_v, and 255 is ignored.
mask_rules.py decides, and refuses what can be read in more than one way.
Orientation: an EXIF orientation turns an image only where its labels have the size of the turned image alone. Where
both sizes are the same, nothing is turned and a warning says so; the parameter `exif` settles it.
Splits: those of the layout; without any the names are divided by a hash: 70 % train, 10 % validation, 20 % test.
Known faults: unmatched files, different sizes of an image and its mask, and unknown values are errors;
`bench prepare folder:PATH --check` lists all of them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.dataset_protocol import DataFault, Sample
from bench.core.errors import BenchError
from bench.data.reading.picture import Decoded, Reduce, whole
from bench.datasets import layouts
from bench.datasets.base import check_size
from bench.datasets.classes_file import FILE, ClassesFile, misplaced, read_classes
from bench.datasets.files.tiff_facts import alpha_note, check_same_extent
from bench.datasets.image_files import read_picture, read_scale
from bench.datasets.layout import Contents, Drawn, Item, Size
from bench.datasets.mask_evidence import Evidence
from bench.datasets.mask_meaning import LIGHT, Meaning
from bench.datasets.mask_rules import decide
from bench.datasets.mask_survey import MaskFacts, survey
from bench.datasets.orientation import Turned, turned
from bench.datasets.split_names import complete_splits


@dataclass(frozen=True)
class Folder:
    """The images of one folder."""

    samples: tuple[Sample, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    classes: tuple[str, ...]
    settled: frozenset[str]  # doubts about label counts that classes.json has settled: "ignored"
    items: dict[str, Item]
    labels: Drawn | Meaning
    turned: Turned
    alpha: str = ""  # the note that a band is left out as alpha, if it is
    bands: tuple[int, ...] = ()  # the indexes of the chosen bands; empty: all of a file's but alpha

    def choose_bands(self, bands: tuple[int, ...]) -> "Folder":
        """Return the data set with some bands of its files, in that order; alpha counts as one."""
        return replace(self, bands=bands, notes=tuple(note for note in self.notes if note != self.alpha))

    def read(self, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        """Read an image, (H, W, C), and its labels, uint8 (H, W); DataFault names the file."""
        return self.decode(sample).arrays()

    def scale(self, sample: Sample, reduce: Reduce) -> int:
        """Tell at which fraction of its size `decode` would read a picture."""
        return read_scale(sample.files[0], turn=sample.name in self.turned.names, reduce=reduce)

    def decode(self, sample: Sample, reduce: Reduce = whole) -> Decoded:
        """Read a picture, reduced if it may be, and its labels."""
        if len(sample.files) > 1 and not sample.files[0].exists() and sample.files[1].exists():
            raise DataFault(f"{sample.files[1]}: a mask without an image, {sample.files[0]} is missing.", "missing")
        turn = sample.name in self.turned.names
        picture = read_picture(sample.files[0], turn=turn, reduce=reduce, bands=self.bands)
        if isinstance(self.labels, Drawn):
            return Decoded(picture, _draw(self.labels, self.items[sample.name], picture.size))
        labels = self.labels.read(sample.files[1])
        check_size(picture.size, labels, sample.files[1])
        check_same_extent(*sample.files)
        return Decoded(picture, labels)


def _draw(labels: Drawn, item: Item, size: Size) -> np.ndarray:
    """Draw the labels of an image, uint8 (H, W); raise DataFault if it was annotated at another size."""
    annotated = labels.size(item)
    if annotated and annotated != size:
        shown = [f"{height}x{width}" for height, width in (annotated, size)]
        raise DataFault(f"{item.image}: it was annotated at {shown[0]} pixels and has {shown[1]}.", "size")
    return labels.draw(item, size)


def load(data_dir: Path | None, *, layout: str = "", exif: str = "", **params: Any) -> Folder:
    """Load the data set.

    Args:
        layout: the name of a layout; empty: the one that the folder looks like.
        exif: "apply" or "ignore" the EXIF orientation of all images; empty: apply it where the labels fit only so.
        params: the parameters of the layout; None and an empty text count as not given.
    """
    if data_dir is not None and data_dir.is_file():
        raise BenchError(f"'{data_dir}' is a file. Give the folder with it and the images: folder:{data_dir.parent}")
    if data_dir is None or not data_dir.is_dir():
        raise BenchError(f"The data folder '{data_dir}' does not exist. Give the path of one: folder:path/of/data.")
    chosen = layouts.choose(data_dir, layout)
    own = {name: value for name, value in params.items() if value not in (None, "")}
    layouts.check_params(chosen, own)
    found = chosen.read(data_dir, **own)
    given = read_classes(data_dir / FILE) if (data_dir / FILE).exists() else None
    if given is None and (other := misplaced(data_dir, [item.labels.parent for item in found.items if item.labels])):
        raise BenchError(f"'{other}' isn't read there. Move it to '{data_dir / FILE}'.")
    said = f"read as the layout {chosen.name} ({chosen.files})"
    found = replace(found, notes=(said, *found.notes))
    return of_contents(found, given, exif, _place(data_dir, found.items), str(data_dir / FILE))


def of_contents(contents: Contents, given: ClassesFile | None, exif: str, place: str, file: str = FILE) -> Folder:
    """Decide how the images and labels that a layout found are read, and complete their splits.

    Args:
        given: the content of classes.json, if there is one.
        exif: as in `load`.
        place: names the masks in messages.
        file: names the classes.json that is or would be read in messages.
    """
    items, said = complete_splits(contents.items)
    contents = replace(contents, items=items, notes=(*contents.notes, *said))
    labels, facts, warnings = _labels(contents, given, place, file)
    upright = turned(contents, facts, exif)
    samples = [_sample(item, labels, upright) for item in contents.items]
    alpha = alpha_note(contents.items[0].image) if contents.items else ""
    return Folder(
        samples=tuple(samples),
        notes=tuple(filter(None, (*contents.notes, *_lossy(labels, facts), *upright.notes, alpha))),
        warnings=(*contents.warnings, *warnings, *upright.warnings),
        classes=labels.classes,
        settled=frozenset({"ignored"} if given and given.ignore else ()),
        items={item.name: item for item in contents.items},
        labels=labels,
        turned=upright,
        alpha=alpha,
    )


def _labels(
    contents: Contents, given: ClassesFile | None, place: str, file: str
) -> tuple[Drawn | Meaning, dict[Path, MaskFacts], tuple[str, ...]]:
    """Return how labels are read, the facts of the masks if they were needed, and doubts about them."""
    if isinstance(contents.labels, Drawn):
        return _renamed(contents.labels, given), {}, ()
    if contents.labels.meaning and not given:
        return contents.labels.meaning, {}, ()
    facts = survey([item.labels for item in contents.items if item.labels])
    meaning, warnings = decide(Evidence([(path.name, found) for path, found in facts.items()], place, file), given)
    return meaning, facts, warnings


def _lossy(labels: Drawn | Meaning, facts: Mapping[Path, MaskFacts]) -> tuple[str, ...]:
    """Say so where masks of a lossy format are thresholded and nobody asked for it."""
    count = sum(found.lossy for found in facts.values())
    if isinstance(labels, Drawn) or labels.source != "values" or labels.threshold is not None or not count:
        return ()
    return (f"{count} masks of a lossy format (JPEG, WebP) are read as light from grey value {LIGHT}",)


def _renamed(labels: Drawn, given: ClassesFile | None) -> Drawn:
    """Give the classes of annotations the names of classes.json."""
    if given is None:
        return labels
    if given.labels or given.ignore or given.threshold is not None or len(given.names) != len(labels.classes):
        raise BenchError(
            f"{given.path}: the labels are drawn from annotations, with the classes {', '.join(labels.classes)}. "
            "Give a list of as many names, or no classes.json."
        )
    return replace(labels, classes=given.names)


def _place(folder: Path, items: Sequence[Item]) -> str:
    """Return the folder of the masks, or the whole folder if they lie in several."""
    parents = {item.labels.parent for item in items if item.labels}
    return str(parents.pop() if len(parents) == 1 else folder)


def _sample(item: Item, labels: Drawn | Meaning, upright: Turned) -> Sample:
    """Make a sample; whatever changes its pixels or labels is in its token or its files."""
    token = labels.token() if isinstance(labels, Meaning) else json.dumps([labels.classes, item.token])
    if item.name in upright.names:
        token = json.dumps([token, "turned"])
    files = (item.image,) if item.labels is None else (item.image, item.labels)
    return Sample(item.name, item.split or None, item.group or item.name, files, token)
