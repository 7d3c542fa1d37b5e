"""LabelMe's JSON files: exact labels of each shape, and faults that name the file and the shape."""

from pathlib import Path

import numpy as np
import pytest
from annotation_fixtures import png, save_json
from layout_fixtures import save, save_text

from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError
from bench.datasets import folder

SIZE = (5, 8)


@pytest.fixture
def here(tmp_path):
    for name in ("a", "b", "c"):
        save(np.zeros((*SIZE, 3), np.uint8), tmp_path / f"{name}.png")
        write(tmp_path, name=name)
    return tmp_path


def shape(kind: str, *points, label="cat", **more) -> dict:
    return {"label": label, "shape_type": kind, "points": [list(point) for point in points], **more}


def write(here: Path, *shapes: dict, name: str = "a", **more) -> Path:
    content = {"version": "5", "shapes": list(shapes), "imagePath": f"{name}.png", "imageData": None}
    save_json(here / f"{name}.json", content | {"imageHeight": SIZE[0], "imageWidth": SIZE[1]} | more)
    return here


def labels(here: Path, name: str = "a") -> list:
    dataset = folder.load(here)
    (sample,) = [sample for sample in dataset.samples if sample.name == name]
    return dataset.read(sample)[1].tolist()


def rows(*texts: str) -> list:
    return [[int(letter) for letter in text] for text in texts]


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        (shape("polygon", (1, 1), (4, 1), (4, 3)), ["00000000", "00110000", "00010000", "00000000", "00000000"]),
        (shape("rectangle", (6, 4), (2, 2)), ["00000000", "00000000", "00111100", "00111100", "00000000"]),
        (shape("circle", (3, 2.5), (3, 4.5)), ["00111000", "01111000", "01111000", "01111000", "00111000"]),
        (shape("line", (0.5, 0.5), (3.5, 3.5)), ["10000000", "01000000", "00100000", "00010000", "00000000"]),
        (
            shape("linestrip", (0, 4), (7, 4), (7.9, 0)),
            ["00000001", "00000001", "00000001", "00000001", "11111111"],
        ),
        (
            shape("mask", (2, 1), (4, 2), mask=png(np.array([[1, 0, 1], [0, 1, 0]]))),
            ["00000000", "00101000", "00010000", "00000000", "00000000"],
        ),
        (
            shape("mask", (-1, 4), (1, 5), mask=png(np.ones((2, 3)))),
            ["00000000", "00000000", "00000000", "00000000", "11000000"],
        ),
    ],
)
def test_each_shape_covers_its_pixels(here, drawn, expected):
    write(here, drawn)
    if drawn["shape_type"] == "circle":  # of radius 2 around (3, 2.5): the centre of a pixel is within 2
        y, x = np.mgrid[:5, :8] + 0.5
        assert labels(here) == ((x - 3) ** 2 + (y - 2.5) ** 2 < 4).astype(int).tolist()
    else:
        assert labels(here) == rows(*expected)


def test_a_later_shape_lies_on_top(here):
    write(here, shape("rectangle", (0, 0), (8, 5)), shape("rectangle", (0, 0), (1, 1), label="ant"))
    assert labels(here)[0] == [1, 2, 2, 2, 2, 2, 2, 2]  # sorted: ant, cat


def test_background_is_0_and_what_is_ignored_255(here):
    write(
        here,
        shape("rectangle", (0, 0), (4, 1)),
        shape("rectangle", (1, 0), (2, 1), label="_background_"),
        shape("rectangle", (2, 0), (3, 1), label="__ignore__"),
    )
    assert folder.load(here).classes == ("background", "cat")
    assert labels(here)[0][:5] == [1, 0, 255, 1, 0]


def test_labels_txt_gives_the_order_and_must_have_every_label(here):
    write(here, shape("rectangle", (0, 0), (1, 1)))
    save_text(here / "labels.txt", "__ignore__", "_background_", "zebra", "cat")
    assert folder.load(here).classes == ("background", "zebra", "cat")
    save_text(here / "labels.txt", "_background_", "zebra")
    with pytest.raises(BenchError, match=r"a\.json: the label 'cat' isn't in labels\.txt, which has _background_, zeb"):
        folder.load(here)


def test_points_and_unknown_kinds_are_counted(here):
    square = shape("rectangle", (0, 0), (1, 1))
    write(here, square, shape("point", (1, 1)), shape("cuboid", (1, 1)), shape("rectangle", (90, 0), (95, 5)))
    notes = " | ".join(folder.load(here).notes)
    assert "1 shapes of the kind point aren't drawn" in notes
    assert "1 shapes of the kind cuboid aren't drawn" in notes
    assert "1 shapes lie wholly outside their image and aren't drawn (the first: shape 4 (cat) of a.png)" in notes
    assert "2 images have no annotation and are all background (the first: b.png)" in notes


def test_images_without_a_file_and_other_json_files_are_counted(here):
    write(here, shape("rectangle", (0, 0), (1, 1)))
    save(np.zeros((*SIZE, 3), np.uint8), here / "d.png")
    save_json(here / "info.json", {"author": "you"})
    notes = " | ".join(folder.load(here).notes)
    assert "1 images are in no annotation file and left out (the first: d.png)" in notes
    assert "1 JSON files have no shapes and are left out (the first: info.json)" in notes


def test_a_missing_image_is_a_fault_and_its_copy_a_warning(here):
    write(here, shape("rectangle", (0, 0), (1, 1)), imageData="aGVsbG8=")
    (here / "a.png").unlink()
    with pytest.raises(DataFault, match=r"a\.png: missing"):
        labels(here)
    (warning,) = folder.load(here).warnings
    assert warning.startswith("1 images are missing (the first: a.png). Their copies in the JSON files (imageData)")


def test_an_image_renamed_with_its_file_is_found_by_the_files_name(here):
    write(here, shape("rectangle", (0, 0), (1, 1)), imagePath="IMG_0001.JPG")
    assert labels(here)[0][0] == 1
    assert "1 images have the name of their annotation file, not the one in it" in " ".join(folder.load(here).notes)


def test_another_size_is_a_fault(here):
    write(here, shape("rectangle", (0, 0), (1, 1)), imageHeight=6)
    with pytest.raises(DataFault, match=r"a\.png: it was annotated at 6x8 pixels and has 5x8"):
        labels(here)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (shape("rectangle", (0, 0)), r"shape 1 \(cat\): a rectangle needs 2 points, it has 1"),
        (shape("polygon", (0, 0), (1, 1)), "a polygon needs 3 points, it has 2"),
        ({"label": "cat", "shape_type": "polygon", "points": [[1, 2, 3]]}, "not a list of"),
        ({"label": "cat", "shape_type": "polygon", "points": "x"}, "not a list of"),
        ({"label": "cat", "shape_type": "line", "points": [[0, float("nan")], [1, 1]]}, "not a list of"),
        ({"label": "cat", "shape_type": "line"}, "not a list of"),
        ({"label": 7, "shape_type": "line", "points": [[0, 0], [1, 1]]}, "shape 1: its label is 7, not a name"),
        (shape("mask", (0, 0), (1, 1)), "a mask needs a PNG image in base64"),
    ],
)
def test_a_damaged_shape_is_named(here, broken, says):
    write(here, broken)
    with pytest.raises(BenchError, match=rf"a\.json, .*{says}") as error:
        folder.load(here)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("mask", ["%%%", "aGVsbG8=", png(np.ones((3, 3)))])
def test_a_damaged_mask_is_a_fault(here, mask):
    write(here, shape("mask", (0, 0), (1, 1), mask=mask))
    with pytest.raises(DataFault, match=r"a\.json, a\.png, shape 1 \(cat\): its mask"):
        labels(here)


def test_a_broken_file_is_one_line(here):
    (here / "b.json").write_text('{"shapes": [', encoding="utf-8")
    with pytest.raises(BenchError, match=r"b\.json: can't be read as JSON"):
        folder.load(here)
    (here / "b.json").write_text('{"shapes": [1]}', encoding="utf-8")
    with pytest.raises(BenchError, match=r"b\.json: its shapes are no list of objects"):
        folder.load(here)
