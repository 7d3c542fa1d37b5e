"""Fake data sets in their publishers' layouts, written by code: small, seeded, no network."""

from pathlib import Path

import numpy as np
from PIL import Image


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
