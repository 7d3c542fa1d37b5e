"""Folders of the layouts whose labels are drawn from annotations; layout_fixtures.py registers them."""

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from layout_fixtures import Written, fixture, save, save_text, scenes
from PIL import Image

from bench.datasets.rle import rle_encode

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


def png(mask: np.ndarray) -> str:
    """Return a mask as a PNG image in base64."""
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(bool)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def labelme_json(image: str, mask: np.ndarray, *shapes: dict) -> dict:
    """Return LabelMe's file of an image: masks of the labels 1 and 2, and other shapes over them."""
    height, width = mask.shape
    masks = [
        {"label": name, "points": [[0, 0], [width - 1, height - 1]], "shape_type": "mask", "mask": png(mask == label)}
        for label, name in enumerate(NAMES, 1)
    ]
    return {
        "version": "5.4.1",
        "flags": {},
        "shapes": [*masks, *shapes],
        "imagePath": image,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


@fixture("labelme")
def labelme(folder: Path) -> Written:
    labels = {}
    for number, (image, mask) in enumerate(scenes()):
        save(image, folder / f"{number}.jpg")
        save_json(folder / f"{number}.json", labelme_json(f"{number}.jpg", mask))
        labels[f"{number}"] = mask
    save_text(folder / "labels.txt", "__ignore__", "_background_", *NAMES)
    return Written(CLASSES, labels)


@fixture("labelme:folders")
def labelme_in_two_folders(folder: Path) -> Written:
    """Without labels.txt the labels are sorted: border comes first."""
    labels, splits = {}, {}
    for number, ((image, mask), split) in enumerate(zip(scenes(), SPLITS, strict=True)):
        save(image, folder / "images" / f"{number}.jpg")
        save_json(folder / "json" / split / f"{number}.json", labelme_json(f"..\\..\\images\\{number}.jpg", mask))
        labels[f"images/{number}"], splits[f"images/{number}"] = np.array([0, 2, 1], np.uint8)[mask], split
    return Written(("background", "border", "ellipse"), labels, splits)


def cvat_xml(*images: str, labels: Sequence[str] = NAMES) -> str:
    """Return CVAT's file with elements of images."""
    names = "".join(f"<label><name>{name}</name><color>#fa3253</color></label>" for name in labels)
    meta = f"<meta><task><name>mine</name><labels>{names}</labels></task></meta>"
    body = f"<version>1.1</version>{meta}{''.join(images)}"
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>{body}</annotations>'


@fixture("cvat-images")
def cvat_images(folder: Path) -> Written:
    labels, splits, images = {}, {}, []
    for number, ((image, mask), split) in enumerate(zip(scenes(), SPLITS, strict=True)):
        subset = {"val": "Validation"}.get(split, split.title())
        save(image, folder / "images" / subset / f"{number}.jpg")
        height, width = mask.shape
        shapes = [
            f'<mask label="{name}" source="manual" occluded="0" rle="{str(runs(mask == label))[1:-1]}" '
            f'left="0" top="0" width="{width}" height="{height}" z_order="0"></mask>'
            for label, name in enumerate(NAMES, 1)
        ]
        head = f'<image id="{number}" name="{number}.jpg" subset="{subset}" width="{width}" height="{height}">'
        images.append(f"{head}{''.join(shapes)}</image>")
        labels[f"images/{subset}/{number}"], splits[f"images/{subset}/{number}"] = mask, split
    save_text(folder / "annotations.xml", cvat_xml(*images))
    return Written(CLASSES, labels, splits)


def brush(mask: np.ndarray) -> list[int]:
    """Pack a mask as Label Studio does: RGBA words, runs of up to 16 bits of length, and a short literal block."""
    words = np.repeat(mask.astype(np.uint8).ravel() * 255, 4).tolist()
    widths = (3, 4, 8, 16)
    bits = [f"{len(words):032b}", f"{7:05b}", *(f"{width - 1:04b}" for width in widths)]
    bits.append("0" + "00" + f"{3 - 1:03b}" + "".join(f"{word:08b}" for word in words[:3]))
    place = 3
    while place < len(words):
        run = next((n for n in range(1, len(words) - place) if words[place + n] != words[place]), len(words) - place)
        run = min(run, 2**16)
        which = next(which for which, width in enumerate(widths) if run <= 2**width)
        bits.append(f"1{which:02b}{run - 1:0{widths[which]}b}{words[place]:08b}")
        place += run
    text = "".join(bits)
    return [int(text[place : place + 8].ljust(8, "0"), 2) for place in range(0, len(text), 8)]


def task(number: int, image: str, size: tuple[int, int], *values: tuple[str, dict]) -> dict:
    """Return a task of Label Studio with one annotation; each value has a type and its content."""
    result = [
        {"id": f"r{place}", "type": kind, "value": value, "original_width": size[1], "original_height": size[0],
         "image_rotation": 0, "from_name": "tag", "to_name": "image"}
        for place, (kind, value) in enumerate(values)
    ]  # fmt: skip
    annotation = {"id": number, "result": result, "was_cancelled": False, "ground_truth": False}
    return {"id": number, "annotations": [annotation], "data": {"image": image}, "predictions": []}


@fixture("label-studio")
def label_studio(folder: Path) -> Written:
    labels, tasks = {}, []
    for number, (image, mask) in enumerate(scenes()):
        save(image, folder / "images" / f"{number}.jpg")
        values = [
            ("brushlabels", {"format": "rle", "rle": brush(mask == label), "brushlabels": [name]})
            for label, name in enumerate(NAMES, 1)
        ]
        tasks.append(task(number, f"/data/upload/3/0a1b2c3d-{number}.jpg", mask.shape, *values))
        labels[f"images/{number}"] = np.array([0, 2, 1], np.uint8)[mask]  # sorted: border, ellipse
    save_json(folder / "project-3-at-2026-01-01.json", tasks)
    return Written(("background", "border", "ellipse"), labels)


@fixture("rle-csv")
def rle_csv(folder: Path) -> Written:
    labels, lines = {}, ["ImageId,ClassId,EncodedPixels"]
    for number, (image, mask) in enumerate(scenes()):
        save(image, folder / "train_images" / f"{number}.jpg")
        lines += [f"{number}.jpg,{label},{rle_encode(mask == label, 'column')}" for label in (1, 2)]
        labels[f"train_images/{number}"] = mask
    save_text(folder / "train.csv", *lines)
    save_text(folder / "sample_submission.csv", "ImageId,EncodedPixels", "0.jpg,1 1 3 1")
    return Written(("background", "class_1", "class_2"), labels, params={"order": "column"})
