"""Fake data sets in their publishers' layouts, written by code: small, seeded, no network."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bench.datasets.rle import rle_encode


def write_fake_pets(folder: Path, count: int = 12, size: tuple[int, int] = (40, 50), seed: int = 0) -> Path:
    """Write `count` pictures and trimaps as the Oxford-IIIT Pet archive has them; returns `folder`.

    A pet is a bright ellipse on a dark ground, so a small model can learn it. Two thirds of the
    pictures are listed in trainval.txt, the rest in test.txt.

    Args:
        size: height and width of every picture in pixels.
    """
    rng = np.random.default_rng(seed)
    for part in ("images", "annotations/trimaps"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    names = [f"{('Abyssinian', 'beagle')[i % 2]}_{i + 1}" for i in range(count)]
    for name in names:
        image, trimap = fake_pet(rng, size)
        Image.fromarray(image).save(folder / "images" / f"{name}.jpg", quality=95)
        Image.fromarray(trimap).save(folder / "annotations" / "trimaps" / f"{name}.png")
    lines = [f"{name} {i % 2 + 1} {i % 2 + 1} {i // 2 + 1}\n" for i, name in enumerate(names)]
    cut = max(1, count * 2 // 3)
    (folder / "annotations" / "list.txt").write_text("#Image CLASS-ID SPECIES BREED ID\n" + "".join(lines))
    (folder / "annotations" / "trainval.txt").write_text("".join(lines[:cut]))
    (folder / "annotations" / "test.txt").write_text("".join(lines[cut:]))
    return folder


def fake_pet(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A picture, uint8 (H, W, 3), and its trimap, uint8 (H, W): 1 pet, 2 background, 3 border."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    y0, x0 = rng.uniform(0.35, 0.65, 2) * size
    ry, rx = rng.uniform(0.2, 0.35, 2) * size
    distance = np.hypot((y - y0) / ry, (x - x0) / rx)
    trimap = np.select([distance < 0.85, distance < 1.1], [1, 3], 2).astype(np.uint8)
    ground, coat = rng.uniform(20, 100, 3), rng.uniform(150, 240, 3)
    image = np.where((distance < 1)[..., None], coat, ground) + rng.normal(0, 10, (height, width, 3))
    return image.clip(0, 255).astype(np.uint8), trimap


def write_fake_carvana(folder: Path, cars: int = 6, views: int = 3, size: tuple[int, int] = (40, 60)) -> Path:
    """Write cars as the Kaggle archive has them: JPEGs, palette GIFs and train_masks.csv; returns `folder`."""
    rng = np.random.default_rng(0)
    for part in ("train", "train_masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    rows = []
    for name in (f"{car:012x}_{view:02d}" for car in range(cars) for view in range(1, views + 1)):
        image, trimap = fake_pet(rng, size)
        mask = (trimap != 2).astype(np.uint8)
        Image.fromarray(image).save(folder / "train" / f"{name}.jpg", quality=95)
        picture = Image.fromarray(mask, "P")
        picture.putpalette([0, 0, 0, 255, 255, 255])
        picture.save(folder / "train_masks" / f"{name}_mask.gif")
        rows.append((f"{name}.jpg", rle_encode(mask, order="row")))
    write_table(folder / "train_masks.csv", ("img", "rle_mask"), rows)
    return folder


def write_fake_airbus(
    folder: Path, ships: Sequence[int] = (0, 1, 2, 0, 1, 0, 3, 1, 0, 2), size: tuple[int, int] = (96, 96)
) -> Path:
    """Write a tile of each number of ships as the Kaggle archive has them; a tile's first two ships touch.

    Returns `folder`.
    """
    rng = np.random.default_rng(0)
    (folder / "train_v2").mkdir(parents=True, exist_ok=True)
    rows = []
    for index, count in enumerate(ships):
        ground = np.random.default_rng(index).integers(0, 100, (12, 12)).repeat(-(-size[0] // 12), 0)  # no two alike
        image = rng.normal(60, 12, (*size, 3)) + ground.repeat(-(-size[1] // 12), 1)[: size[0], : size[1], None]
        masks = [np.zeros(size, bool) for _ in range(count)]
        for place, mask in enumerate(masks):
            mask[10 + 8 * place : 18 + 8 * place, 20:50] = True  # each below the last, without a gap
            image[mask] += 120
        name = f"{index:09x}.jpg"
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / "train_v2" / name, quality=95)
        rows += [(name, rle_encode(mask)) for mask in masks] or [(name, "")]
    write_table(folder / "train_ship_segmentations_v2.csv", ("ImageId", "EncodedPixels"), rows)
    return folder


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a CSV as Kaggle does."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([header, *rows])


def write_fake_folder(folder: Path, count: int = 12, size: tuple[int, int] = (40, 50), seed: int = 0) -> Path:
    """Write images/sN.jpg and masks/sN.png with the values 0, 1 and 2, a pet's ellipse and its border."""
    rng = np.random.default_rng(seed)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image, trimap = fake_pet(rng, size)
        Image.fromarray(image).save(folder / "images" / f"s{number}.jpg", quality=95)
        Image.fromarray(np.array([0, 1, 0, 2], np.uint8)[trimap]).save(folder / "masks" / f"s{number}.png")
    return folder


WRITERS = {
    "pets": write_fake_pets,
    "airbus": write_fake_airbus,
    "carvana": write_fake_carvana,
    "folder": write_fake_folder,
}
"""The writers of fake data by the data set's name, `folder` for a user's own."""
