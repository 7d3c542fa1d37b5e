"""Pictures in two splits: found by their pixels or their look; different pictures are never taken for one."""

import io

import numpy as np
import pytest
from excerpts import EXCERPTS, needs
from PIL import Image, ImageEnhance

from bench.core.dataset_protocol import Sample
from bench.data.duplicates import NEAR, duplicate_warnings, look_at


def scene(seed, height=96, width=128):
    """Draw ground with texture at several scales, uint8 (H, W, 3)."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(Image.fromarray(rng.integers(0, 256, (n, n, 3), np.uint8)).resize((width, height)), float)
        for n in (3, 8, 24)
    ]
    return (0.5 * layers[0] + 0.3 * layers[1] + 0.2 * layers[2]).astype(np.uint8)


def look(picture):
    """Look at an image, uint8 (H, W, 3)."""
    return look_at(Image.fromarray(picture))


def found(pictures):
    """Return the warnings for (name, split, picture)."""
    samples = [Sample(name, split, name, token=name) for name, split, _ in pictures]
    return duplicate_warnings(samples, [look(picture) for *_, picture in pictures])


def distance(one, other):
    bits = [np.unpackbits(np.frombuffer(look(picture).bits, np.uint8)) for picture in (one, other)]
    return int((bits[0] != bits[1]).sum())


def test_the_same_picture_in_two_splits_is_named():
    pictures = [(f"a{i}", "train", scene(i)) for i in range(4)] + [(f"b{i}", "test", scene(i)) for i in range(2, 6)]
    (warning,) = found(pictures)
    assert warning.startswith("2 pictures are in test and in training (the same picture): b2 = a2, b3 = a3. Take one")
    assert "--group-by" in warning


def test_copies_within_a_split_are_nobodys_business():
    pictures = [("a", "train", scene(0)), ("b", "train", scene(0)), ("c", "val", scene(1)), ("d", "test", scene(2))]
    assert found(pictures) == []


def test_each_pair_of_splits_has_its_warning_and_many_pairs_are_counted():
    pictures = [(f"{split}{i}", split, scene(i)) for split in ("train", "val", "test") for i in range(5)]
    warnings = found(pictures)
    assert [warning.partition(" (")[0] for warning in warnings] == [
        "5 pictures are in validation and in training",
        "5 pictures are in test and in training",
        "5 pictures are in test and in validation",
    ]
    assert "test2 = train2 and 2 more" in warnings[1]


def jpeg(picture, quality):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file)


CHANGES = {
    "saved as JPEG": lambda p: jpeg(p, 50),
    "half the size": lambda p: p.resize((p.width // 2, p.height // 2)),
    "twice the size": lambda p: p.resize((p.width * 2, p.height * 2)),
    "brighter": lambda p: ImageEnhance.Brightness(p).enhance(1.1),
    "grey": lambda p: p.convert("L").convert("RGB"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_looks_the_same(change):
    first = scene(0) // 2 + 40
    changed = np.asarray(CHANGES[change](Image.fromarray(first)))
    (warning,) = found([("a", "train", first), ("other", "train", scene(5)), ("b", "val", changed)])
    assert "1 picture is in validation and in training but for small changes (near duplicates): b = a." in warning


def test_flat_pictures_look_like_nothing():
    rng = np.random.default_rng(0)
    pictures = [
        (split, split, (120 + rng.integers(0, 3, (40, 50, 3))).astype(np.uint8)) for split in ("train", "val", "test")
    ]
    assert found(pictures) == []
    assert look(pictures[0][2]).bits is None


def test_a_picture_of_one_pixel_can_be_looked_at():
    assert look(np.zeros((1, 1, 3), np.uint8)).bits is None
    assert look(np.zeros((2, 1, 3), np.uint8)).pixels != look(np.zeros((1, 2, 3), np.uint8)).pixels


def test_the_nearest_of_many_is_named_whatever_the_block(monkeypatch):
    pictures = [(f"a{i}", "train", scene(i)) for i in range(6)]
    pictures += [(f"b{i}", "test", np.asarray(jpeg(Image.fromarray(scene(i)), 60))) for i in range(6)]
    whole = found(pictures)
    monkeypatch.setattr("bench.data.duplicates._BLOCK", 1)
    assert found(pictures) == whole
    assert "b0 = a0, b1 = a1, b2 = a2 and 3 more" in whole[0]


@needs("carvana")
def test_cars_in_one_studio_are_not_taken_for_the_same():
    files = sorted((EXCERPTS / "carvana" / "train").glob("*_0[19].jpg"))
    pictures = [np.asarray(Image.open(file).resize((480, 320))) for file in files]
    cars = [file.name.partition("_")[0] for file in files]
    nearest = min(
        distance(one, other) for i, one in enumerate(pictures) for j, other in enumerate(pictures) if cars[i] != cars[j]
    )
    assert nearest > 2 * NEAR
