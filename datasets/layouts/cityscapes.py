"""Cityscapes (Cordts et al. 2016, https://www.cityscapes-dataset.com), as the archives unpack it.

    leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png
    gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png      or ..._labelTrainIds.png

Classes: the 19 that are evaluated. labelIds have 34 values; the others, such as 3 (out of roi), are ignored.
Splits: train and val. The masks of test are dummies, so val is the test split and train gives the validation images.
Groups: the city, since its images follow each other on a drive. Few cities can't be divided: then each image by itself.
"""

from pathlib import Path

from bench.core.specs import IGNORE_INDEX
from bench.datasets.layout import Contents, Layout, Masks
from bench.datasets.mask_meaning import Meaning
from bench.datasets.matching import Files, enough_groups, folders, match

CLASSES = {
    "road": 7,
    "sidewalk": 8,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}
"""Class, in the order of the train ids: its label id. https://github.com/mcordts/cityscapesScripts, labels.py."""
_LABEL_IDS = 34
_IMAGES, _MASKS = "leftImg8bit", "gtFine"
_IDS, _TRAIN_IDS = "_gtFine_labelIds", "_gtFine_labelTrainIds"
_SPLITS = ("train", "val")


def fits(folder: Path) -> bool:
    """Return whether the folder has both archives' folders."""
    return (folder / _IMAGES).is_dir() and (folder / _MASKS).is_dir()


def read(folder: Path) -> Contents:
    """Match images and masks of train and val; other splits have no labels of use."""
    found = {split: Files.of(folder / _MASKS / split, _IDS) for split in _SPLITS}
    ids = any(files.found for files in found.values())
    masks = found if ids else {split: Files.of(folder / _MASKS / split, _TRAIN_IDS) for split in _SPLITS}
    items = [
        item
        for split in _SPLITS
        for item in match(
            Files.of(folder / _IMAGES / split, f"_{_IMAGES}"),
            masks[split],
            prefix=f"{split}/",
            split=split,
            group=lambda name: name.partition("/")[0],
        )
    ]
    items, notes = enough_groups(items, "cities")
    others = sorted(folders(folder / _IMAGES).keys() - {*_SPLITS})
    said = (f"{', '.join(others)}: left out, since there are no fine labels of it",) if others else ()
    return Contents(items, Masks(_meaning(ids)), (*notes, *said))


def _meaning(ids: bool) -> Meaning:
    """Return the meaning of label ids, or of train ids."""
    labels: dict[float, int] = dict.fromkeys(range(_LABEL_IDS), IGNORE_INDEX) if ids else {}
    labels |= {value if ids else label: label for label, value in enumerate(CLASSES.values())}
    return Meaning(tuple(CLASSES), labels)


LAYOUT = Layout(
    name="cityscapes",
    summary="Cityscapes with its fine labels, of which 19 classes are evaluated.",
    files="leftImg8bit/, gtFine/",
    fits=fits,
    read=read,
)
