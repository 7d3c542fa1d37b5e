"""Images and masks in two folders, with the same names: segbench's own layout, and the plainest one.

    images/NAME.jpg, masks/NAME.png                     sub-folders are searched too
    images/train/NAME.jpg, masks/train/NAME.png         with train, val and test as the splits
    train/images/NAME.jpg, train/masks/NAME.png         likewise
    train.txt, val.txt, test.txt                        optional: one name (or file name) per line

The folders may be called image, img, imgs, img_dir and mask, labels, label, annotations, annotation, gt, segmentations,
segmentation, ann_dir, ground_truth, groundtruth, too. If two of them have masks, the first of these counts.
Splits: with lists, train.txt and one of val.txt and test.txt are needed. Sub-folders of split names give the splits.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.core.errors import BenchError
from bench.datasets.layout import Contents, Item, Layout, Masks
from bench.datasets.pairing import Pair, has_images, image_files, pair
from bench.datasets.split_names import divide, split_of

_IMAGES = ("images", "image", "imgs", "img", "img_dir")
_MASKS = (
    *("masks", "mask", "labels", "label", "annotations", "gt", "segmentations"),
    *("annotation", "segmentation", "ann_dir", "ground_truth", "groundtruth"),
)


def fits(folder: Path) -> bool:
    """Return whether the folder, or each of its split folders, has images and masks."""
    return bool(_roots(folder))


def lacks(folder: Path) -> str:
    """Say which of the two folders is missing, and which other one may be meant; an empty text if both are."""
    there = {name: _first(folder, names) for name, names in (("images", _IMAGES), ("masks", _MASKS))}
    missing = next((name for name, path in there.items() if not path), "")
    if not any(there.values()) or not missing:
        return ""
    others = [path.name for path in _folders(folder) if path not in there.values() and has_images(path)]
    rename = f" If the {missing} are those in {others[0]}/, rename it to {missing}/." if others else ""
    return f"{missing}/ is missing: it has the {missing}, with the names of the other folder.{rename}"


def read(folder: Path) -> Contents:
    """Pair the images and masks of the folder, and take the splits from lists or sub-folders."""
    roots = _roots(folder) or [("", folder / _IMAGES[0], folder / _MASKS[0])]
    pairs: list[Pair] = []
    notes: tuple[str, ...] = ()
    for split, images, masks in roots:
        prefix = f"{split}/" if split else ""
        files = {place: image_files(place) for place in (images, masks)}
        if empty := [place for place, there in files.items() if not there]:
            count = sum(map(len, files.values()))
            raise BenchError(f"'{empty[0]}' is empty; it needs a file of the same name for each of the other folder's, "
                             f"{count} in all.")  # fmt: skip
        found, said = pair(files[images], files[masks])
        pairs += [Pair(prefix + each.name, each.image, each.mask) for each in found]
        notes += said
    items = [
        # A name with one of its two files is kept: reading it then reports which one is missing.
        Item(found.name, found.image or roots[0][1] / f"{found.name}.*", found.mask or roots[0][2] / f"{found.name}.*")
        for found in pairs
    ]
    items, said = divide(folder, [replace(item, split=_named(item)) for item in items])
    doubts = [_unread(images, masks) for _, images, masks in roots]
    return Contents(items, Masks(), (*notes, *said), tuple(filter(None, doubts)))


def _unread(images: Path, masks: Path) -> str:
    """Doubt that the right folder of masks is read where another has images too; an empty text if none has."""
    others = [path.name for path in _folders(masks.parent)
              if path.name.lower() in _MASKS and path not in (images, masks) and has_images(path)]  # fmt: skip
    if not others:
        return ""
    return (f"'{masks.parent}': the masks are taken from {masks.name}; {', '.join(others)} has image files too and "
            "isn't read. Move away the folder that you don't mean.")  # fmt: skip


def _roots(folder: Path) -> list[tuple[str, Path, Path]]:
    """Return the folders of images and masks, each with the name of the split folder around it or an empty text."""
    parts = [("", folder), *((path.name, path) for path in _folders(folder) if split_of(path.name))]
    found = [(name, _first(place, _IMAGES), _first(place, _MASKS)) for name, place in parts]
    return [(name, images, masks) for name, images, masks in found if images and masks]


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _first(folder: Path, names: Sequence[str]) -> Path | None:
    """Return the first of the named folders that has image files, as `labels` may not; else the first name's."""
    there = {path.name.lower(): path for path in _folders(folder)}
    found = (there[name] for name in names if name in there)
    return next((path for path in found if has_images(path)), there.get(names[0]))


def _named(item: Item) -> str:
    """Return the split after which the uppermost folder of an item is named."""
    return split_of(item.name.partition("/")[0]) if "/" in item.name else ""


LAYOUT = Layout(
    name="images-masks",
    summary="Images and masks in two folders, with the same names.",
    files="images/, masks/",
    fits=fits,
    read=read,
    lacks=lacks,
)
