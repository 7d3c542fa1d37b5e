"""nnU-Net's raw data (Isensee et al. 2021), as far as they are images in two dimensions.

    dataset.json                                        labels {"background": 0, "tumour": 1} or {"0": "background"}
    imagesTr/CASE_0000.png, labelsTr/CASE.png           PNG, BMP or TIFF; 0000 is the channel
    imagesTs/CASE_0000.png, labelsTs/CASE.png           optional: the test split, if it has labels

Classes: the labels of dataset.json in the order of their values. The label `ignore` is ignored.
Splits: with labelsTs, Tr is for training and Ts for testing; else a hash of the names divides the images.
Refused by name: volumes (.nii.gz, ...), several channels of a case, and labels that are regions of several values.
"""

import json
import re
from collections import Counter
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX
from bench.data.reading.contents import here
from bench.datasets.layout import Contents, Layout, Masks
from bench.datasets.mask_meaning import Meaning
from bench.datasets.matching import Files, match
from bench.datasets.pairing import walk

_TABLE = "dataset.json"
_VOLUMES = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".dcm")
_CHANNEL = re.compile(r"(.+)_(\d{4})")
_FIRST = "_0000"
_IGNORED = "ignore"


def fits(folder: Path) -> bool:
    """Return whether the folder has nnU-Net's table and training folders."""
    return (folder / _TABLE).is_file() and (folder / "imagesTr").is_dir() and (folder / "labelsTr").is_dir()


def read(folder: Path) -> Contents:
    """Match the cases of Tr, and of Ts if it has labels."""
    _refuse_volumes(folder)
    meaning = _meaning(folder / _TABLE)
    training, testing = (_cases(folder / f"images{part}") for part in ("Tr", "Ts"))
    labels = Files.of(folder / "labelsTs")
    items = match(training, Files.of(folder / "labelsTr"), prefix="Tr/", split="train" if labels.found else "")
    if labels.found:
        return Contents([*items, *match(testing, labels, prefix="Ts/", split="test")], Masks(meaning))
    note = f"{len(testing.found)} images of imagesTs have no labels in labelsTs and are left out"
    return Contents(items, Masks(meaning), (note,) if testing.found else ())


def _refuse_volumes(folder: Path) -> None:
    for path in walk(folder / "imagesTr"):
        if suffix := next((suffix for suffix in _VOLUMES if path.name.lower().endswith(suffix)), None):
            raise BenchError(
                f"{path}: {suffix} holds 3D images, which are not read. Save their slices as 8-bit PNG, such as "
                "imagesTr/CASE_SLICE_0000.png and labelsTr/CASE_SLICE.png."
            )


def _cases(folder: Path) -> Files:
    """Find the images by the names of their cases; refuse a case of several channels."""
    found = Files.of(folder)
    parts = {name: _CHANNEL.fullmatch(name) for name in found.found}
    if plain := [name for name, part in parts.items() if not part]:
        raise BenchError(f"{found.found[plain[0]]}: the name has no channel. Accepted: {plain[0]}{_FIRST}.png.")
    channels = Counter(part[1] for part in parts.values() if part)
    for case, count in channels.items():
        if count > 1:
            raise BenchError(
                f"{folder}: the case {case} has {count} channels in files of their own; images of one file, grey "
                f"or RGB, are read. Save the channels as one RGB file {case}{_FIRST}.png."
            )
    return Files.of(folder, _FIRST)


def _meaning(table: Path) -> Meaning:
    """Read the labels of version 1, whose keys are values, or of version 2, whose keys are names."""
    try:
        given = json.loads(here(table).read_text(encoding="utf-8-sig"))["labels"]
        named = {value: int(key) for key, value in given.items()} if "0" in given else dict(given)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchError(f'{table}: "labels" can\'t be read ({error}). {_ACCEPTED}') from error
    if regions := [name for name, value in named.items() if isinstance(value, list)]:
        raise BenchError(f"{table}: the label '{regions[0]}' is a region of several values, which is not read. Give "
                         "each value a label of its own.")  # fmt: skip
    ignored = named.pop(_IGNORED, None)
    values = list(named.values())
    if len(named) < 2 or not all(type(value) is int for value in values) or len(set(values)) < len(values):
        raise BenchError(f'{table}: "labels" needs two names or more with different values. {_ACCEPTED}')
    classes = sorted(named, key=named.__getitem__)
    labels: dict[float, int] = {named[name]: label for label, name in enumerate(classes)}
    return Meaning(tuple(classes), labels if ignored is None else {**labels, ignored: IGNORE_INDEX})


_ACCEPTED = 'Accepted: "labels": {"background": 0, "tumour": 1}, or {"0": "background", "1": "tumour"}.'

LAYOUT = Layout(
    name="nnunet",
    summary="nnU-Net's raw data in two dimensions: PNG, BMP or TIFF of one file a case.",
    files="dataset.json, imagesTr/, labelsTr/",
    fits=fits,
    read=read,
)
