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
    params: dict[str, object] = field(default_factory=dict)  # what must be said of the layout to read it


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


def voc_palette() -> list[int]:
    """Return Pascal VOC's colour table as its devkit makes it: three bits of the index at a time."""
    table = []
    for index in range(256):
        rgb = [0, 0, 0]
        for place in range(8):
            for channel in range(3):
                rgb[channel] |= (index >> (3 * place + channel) & 1) << (7 - place)
        table += rgb
    return table


VOC_COLOURS = np.array(voc_palette(), np.uint8).reshape(256, 3)
_VOC_NAMES = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
)
VOC_CLASSES = tuple(_VOC_NAMES.split())


def lists(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Write VOC's lists, of which two thirds are for training; return the splits as they are read."""
    cut = len(names) * 2 // 3
    save_text(folder / "ImageSets/Segmentation/train.txt", *names[:cut])
    save_text(folder / "ImageSets/Segmentation/val.txt", *names[cut:])
    save_text(folder / "ImageSets/Segmentation/trainval.txt", *names)
    return {name: "train" if place < cut else "test" for place, name in enumerate(names)}


@fixture("voc")
def voc(folder: Path) -> Written:
    labels = {}
    for number, (image, mask) in enumerate(scenes()):
        name = f"2007_{number:06d}"
        labels[name] = np.array([0, 15, 255], np.uint8)[mask]
        save(image, folder / "JPEGImages" / f"{name}.jpg")
        save(labels[name], folder / "SegmentationClass" / f"{name}.png", voc_palette())
        save(image, folder / "JPEGImages" / f"2008_{number:06d}.jpg")  # for detection only, without a mask
    return Written(VOC_CLASSES, labels, lists(folder, list(labels)))


@fixture("voc:colours")
def voc_colours(folder: Path) -> Written:
    labels = {}
    for number, (image, mask) in enumerate(scenes()):
        name = f"{number:06d}"
        labels[name] = np.array([0, 20, 255], np.uint8)[mask]
        colours = VOC_COLOURS[labels[name]]
        colours[mask == 2] = (224, 224, 192)
        save(image, folder / "JPEGImages" / f"{name}.jpg")
        save(colours, folder / "SegmentationClass" / f"{name}.png")
    return Written(VOC_CLASSES, labels)


@fixture("voc:labelme")
def voc_labelme(folder: Path) -> Written:
    labels = {}
    for number, (image, mask) in enumerate(scenes()):
        save(image, folder / "JPEGImages" / f"photo {number}.jpg")
        save(mask, folder / "SegmentationClassPNG" / f"photo {number}.png", voc_palette())
        labels[f"photo {number}"] = mask
    save_text(folder / "class_names.txt", "__ignore__", "_background_", "leaf", "stem")
    return Written(("_background_", "leaf", "stem"), labels)


CVAT_COLOURS = np.array([(0, 0, 0), (184, 61, 245), (250, 250, 55)], np.uint8)


@fixture("cvat-masks")
def cvat_masks(folder: Path) -> Written:
    labels = {}
    for number, (image, mask) in enumerate(scenes()):
        name = f"sub/frame {number:06d}"
        save(image, folder / "JPEGImages" / f"{name}.jpg")
        save(CVAT_COLOURS[mask], folder / "SegmentationClass" / f"{name}.png")
        save(CVAT_COLOURS[mask], folder / "SegmentationObject" / f"{name}.png")
        labels[name] = mask
    save_text(folder / "ImageSets/Segmentation/default.txt", *(f'"{name}"' for name in labels))
    header = "# label:color_rgb:parts:actions"
    save_text(folder / "labelmap.txt", header, "background:0,0,0::", "car:184,61,245::", "rim:250,250,55::")
    return Written(("background", "car", "rim"), labels)


@fixture("cvat-masks:images-beside")
def cvat_masks_with_images_beside(folder: Path) -> Written:
    labels = {}
    for number, (image, mask) in enumerate(scenes()):
        save(image, folder / f"{number}.png")
        save(CVAT_COLOURS[mask], folder / "SegmentationClass" / f"{number}.png")
        labels[f"{number}"] = mask
    save_text(folder / "labelmap.txt", "car:184,61,245::", "rim:250,250,55::")
    save_text(folder / "ImageSets/Segmentation/Train.txt", *list(labels)[:8])
    save_text(folder / "ImageSets/Segmentation/Validation.txt", *list(labels)[8:10])
    save_text(folder / "ImageSets/Segmentation/Test.txt", *list(labels)[10:])
    splits = {name: "train" if int(name) < 8 else "val" if int(name) < 10 else "test" for name in labels}
    return Written(("background", "car", "rim"), labels, splits)


def split_place(number: int, names: Sequence[str]) -> str:
    """Return the split folder of a scene: eight, two and two of twelve."""
    return names[0 if number < 8 else 1 if number < 10 else 2]


CITYSCAPES_CLASSES = (
    "road,sidewalk,building,wall,fence,pole,traffic light,traffic sign,vegetation,terrain,sky,person,rider,car,truck,"
    "bus,train,motorcycle,bicycle"
)


@fixture("cityscapes")
def cityscapes(folder: Path) -> Written:
    labels, splits = {}, {}
    for number, (image, mask) in enumerate(scenes()):
        place = split_place(number, ("train", "val", "test"))
        city = ("aachen", "bochum", "bremen", "cologne")[number % 4] if place == "train" else "ulm"
        stem = f"{place}/{city}/{city}_{number:06d}_000019"
        # 7 road, 26 car, 3 out of the region of interest; the published masks of the test split have 3 everywhere
        ids = np.array([7, 26, 3], np.uint8)[mask] if place != "test" else np.full_like(mask, 3)
        save(image, folder / "leftImg8bit" / f"{stem}_leftImg8bit.png")
        save(ids, folder / "gtFine" / f"{stem}_gtFine_labelIds.png")
        save(mask, folder / "gtFine" / f"{stem}_gtFine_instanceIds.png")
        save_text(folder / "gtFine" / f"{stem}_gtFine_polygons.json", "{}")
        if place != "test":
            labels[stem] = np.array([0, 13, 255], np.uint8)[mask]
            splits[stem] = {"train": "train", "val": "test"}[place]
    return Written(tuple(CITYSCAPES_CLASSES.split(",")), labels, splits)


@fixture("ade20k")
def ade20k(folder: Path) -> Written:
    labels, splits = {}, {}
    for number, (image, mask) in enumerate(scenes()):
        place, short, split = ("training", "train", "train") if number < 9 else ("validation", "val", "test")
        name = f"{place}/ADE_{short}_{number:08d}"
        save(image, folder / "images" / f"{name}.jpg")
        save(np.array([1, 150, 0], np.uint8)[mask], folder / "annotations" / f"{name}.png")
        labels[name] = np.array([0, 149, 255], np.uint8)[mask]
        splits[name] = split
    return Written(tuple(f"class_{value}" for value in range(1, 151)), labels, splits)


@fixture("ade20k:names")
def ade20k_with_names(folder: Path) -> Written:
    written = ade20k(folder)
    rows = [f"{value}\t0.1\t1\t1\t0\tname {value}, other" for value in range(1, 149)]
    rows += [f"{value}\t0.1\t1\t1\t0\tscreen, {value}" for value in (149, 150)]
    save_text(folder / "objectInfo150.txt", "Idx\tRatio\tTrain\tVal\tStuff\tName", *rows)
    names = [f"name {value}" for value in range(1, 149)] + ["screen, 149", "screen, 150"]
    return Written(tuple(names), written.labels, written.splits)


CAMVID_CLASSES = (
    "Animal Archway Bicyclist Bridge Building Car CartLuggagePram Child Column_Pole Fence LaneMkgsDriv LaneMkgsNonDriv "
    "Misc_Text MotorcycleScooter OtherMoving ParkingBlock Pedestrian Road RoadShoulder Sidewalk SignSymbol Sky "
    "SUVPickupTruck TrafficCone TrafficLight Train Tree Truck_Bus Tunnel VegetationMisc Wall"
)
CAMVID_COLOURS = np.array([(128, 64, 128), (64, 0, 128), (0, 0, 0)], np.uint8)  # Road, Car, Void


@fixture("camvid")
def camvid(folder: Path) -> Written:
    classes = tuple(CAMVID_CLASSES.split())
    table = np.array([classes.index("Road"), classes.index("Car"), 255], np.uint8)
    labels = {}
    for number, (image, mask) in enumerate(scenes()):
        name = f"{('0001TP', '0006R0', '0016E5', 'Seq05VD')[number % 4]}_{number:06d}"
        save(image, folder / "701_StillsRaw_full" / f"{name}.png")
        save(CAMVID_COLOURS[mask], folder / "LabeledApproved_full" / f"{name}_L.png")
        labels[name] = table[mask]
    return Written(classes, labels)


@fixture("camvid:segnet")
def camvid_of_segnet(folder: Path) -> Written:
    labels, splits = {}, {}
    for number, (image, mask) in enumerate(scenes()):
        place = split_place(number, ("train", "val", "test"))
        name = f"0001TP_{number:06d}"
        save(image, folder / place / f"{name}.png")
        save(np.array([3, 8, 11], np.uint8)[mask], folder / f"{place}annot" / f"{name}.png")
        labels[f"{place}/{name}"] = np.array([3, 8, 255], np.uint8)[mask]
        splits[f"{place}/{name}"] = place
    classes = "sky building pole road pavement tree sign_symbol fence car pedestrian bicyclist"
    return Written(tuple(classes.split(" ")), labels, splits)


@fixture("camvid:kaggle")
def camvid_of_kaggle(folder: Path) -> Written:
    labels, splits = {}, {}
    for number, (image, mask) in enumerate(scenes()):
        place = split_place(number, ("train", "val", "test"))
        save(image, folder / place / f"0001TP_{number:06d}.png")
        save(CAMVID_COLOURS[mask], folder / f"{place}_labels" / f"0001TP_{number:06d}_L.png")
        labels[f"{place}/0001TP_{number:06d}"] = np.array([1, 0, 255], np.uint8)[mask]
        splits[f"{place}/0001TP_{number:06d}"] = place
    save_text(folder / "class_dict.csv", "name,r,g,b", "Car,64,0,128", "Road,128,64,128", "Void,0,0,0")
    return Written(("Car", "Road"), labels, splits)


@fixture("nnunet")
def nnunet(folder: Path) -> Written:
    labels, splits = {}, {}
    for number, (image, mask) in enumerate(scenes()):
        part, split = ("Tr", "train") if number < 9 else ("Ts", "test")
        save(image, folder / f"images{part}" / f"road_{number:03d}_0000.png")
        save(mask, folder / f"labels{part}" / f"road_{number:03d}.png")
        labels[f"{part}/road_{number:03d}"] = np.array([0, 1, 255], np.uint8)[mask]
        splits[f"{part}/road_{number:03d}"] = split
    given = '"channel_names": {"0": "R", "1": "G", "2": "B"}, "file_ending": ".png", "numTraining": 9'
    save_text(folder / "dataset.json", f'{{"labels": {{"background": 0, "road": 1, "ignore": 2}}, {given}}}')
    return Written(("background", "road"), labels, splits)


@fixture("nnunet:version-1")
def nnunet_of_version_1(folder: Path) -> Written:
    labels = {}
    for number, (image, mask) in enumerate(scenes()):
        save(image[..., 0], folder / "imagesTr" / f"cell_{number}_0000.tif")
        save(mask, folder / "labelsTr" / f"cell_{number}.tif")
        save(image[..., 0], folder / "imagesTs" / f"cell_{number + 100}_0000.tif")
        labels[f"Tr/cell_{number}"] = mask
    labelled = '"labels": {"0": "background", "2": "border", "1": "cell"}'
    save_text(folder / "dataset.json", f'{{"modality": {{"0": "grey"}}, {labelled}}}')
    return Written(("background", "cell", "border"), labels)


@fixture("roboflow-masks")
def roboflow_masks(folder: Path) -> Written:
    labels, splits = {}, {}
    for number, (image, mask) in enumerate(scenes()):
        place = split_place(number, ("train", "valid", "test"))
        name = f"IMG_{number // 2}_jpg.rf.{number:032x}"
        save(image, folder / place / f"{name}.jpg")
        save(mask, folder / place / f"{name}_mask.png")
        save_text(folder / place / "_classes.csv", "Pixel Value, Class", "0, background", "1, crack", "2, rim")
        labels[f"{place}/{name}"] = mask
        splits[f"{place}/{name}"] = {"valid": "val"}.get(place, place)
    return Written(("background", "crack", "rim"), labels, splits)
