"""Folders of the layouts whose labels are drawn from annotations; layout_fixtures.py registers them."""

import json
from pathlib import Path

import numpy as np
from layout_fixtures import Written, fixture, save, scenes

NAMES = ("ellipse", "border")  # of the labels 1 and 2
CLASSES = ("background", *NAMES)
SPLITS = ["train"] * 8 + ["val"] * 2 + ["test"] * 2


def save_json(path: Path, content: object) -> None:
    """Write JSON; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def runs(flat: np.ndarray) -> list[int]:
    """Return run lengths that alternate between outside and inside, beginning outside."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat.astype(int).ravel(), [2]])))
    return np.diff(np.concatenate([[0], edges])).tolist()


def coco_json(images: dict[str, np.ndarray]) -> dict:
    """Return COCO's instances of label images, each label one object of run lengths."""
    content: dict = {"info": {}, "images": [], "annotations": [], "categories": []}
    content["categories"] = [{"id": 7 + 2 * place, "name": name} for place, name in enumerate(NAMES)]
    for number, (name, mask) in enumerate(images.items(), 100):
        content["images"].append({"id": number, "file_name": name, "height": mask.shape[0], "width": mask.shape[1]})
        for label in (1, 2):
            size, counts = list(mask.shape), runs((mask == label).T)
            segmentation = {"size": size, "counts": counts}
            content["annotations"].append(
                {"id": number * 10 + label, "image_id": number, "category_id": 5 + 2 * label, "iscrowd": 0,
                 "segmentation": segmentation}
            )  # fmt: skip
    return content


@fixture("coco")
def coco(folder: Path) -> Written:
    labels, splits, by_split = {}, {}, {"train": {}, "val": {}, "test": {}}
    for number, ((image, mask), split) in enumerate(zip(scenes(), SPLITS, strict=True)):
        save(image, folder / f"{split}2017" / f"{number}.jpg")
        by_split[split][f"{number}.jpg"] = mask
        labels[f"{split}2017/{number}"], splits[f"{split}2017/{number}"] = mask, split
    for split, images in by_split.items():
        save_json(folder / "annotations" / f"instances_{split}2017.json", coco_json(images))
    return Written(CLASSES, labels, splits)


@fixture("coco:roboflow")
def coco_of_roboflow(folder: Path) -> Written:
    labels, splits, by_split = {}, {}, {"train": {}, "valid": {}, "test": {}}
    for number, ((image, mask), split) in enumerate(zip(scenes(), SPLITS, strict=True)):
        place = {"val": "valid"}.get(split, split)
        save(image, folder / place / "same.jpg" if number in (0, 8) else folder / place / f"{number}.jpg")
        name = "same" if number in (0, 8) else f"{number}"
        by_split[place][f"{name}.jpg"] = mask
        labels[f"{place}/{name}"], splits[f"{place}/{name}"] = mask, split
    for place, images in by_split.items():
        save_json(folder / place / "_annotations.coco.json", coco_json(images))
    return Written(CLASSES, labels, splits)


@fixture("coco:panoptic")
def coco_panoptic(folder: Path) -> Written:
    """Every label but the border is a category; the border has no segment."""
    labels: dict[str, np.ndarray] = {}
    images, annotations = [], []
    for number, (image, mask) in enumerate(scenes()):
        save(image, folder / "train2017" / f"{number}.jpg")
        colours = np.zeros((*mask.shape, 3), np.uint8)
        colours[mask == 0], colours[mask == 1] = (0, 1, 0), (3, 0, 2)  # the ids 256 and 131075
        save(colours, folder / "annotations" / "panoptic_train2017" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.jpg", "height": mask.shape[0], "width": mask.shape[1]})
        segments = [{"id": 256, "category_id": 90}, {"id": 131075, "category_id": 4}]
        annotations.append({"image_id": number, "file_name": f"{number}.png", "segments_info": segments})
        labels[f"train2017/{number}"] = np.array([1, 0, 255], np.uint8)[mask]
    categories = [{"id": 90, "name": "ground", "isthing": 0}, {"id": 4, "name": "ellipse", "isthing": 1}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    save_json(folder / "annotations" / "panoptic_train2017.json", content)
    return Written(("ellipse", "ground"), labels)
