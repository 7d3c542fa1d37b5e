"""Label Studio's JSON export: exact labels of each shape, brush masks, and faults that name the task and region."""

from pathlib import Path

import numpy as np
import pytest
from annotation_fixtures import brush, save_json, task
from hypothesis import given
from hypothesis import strategies as st
from layout_fixtures import save

from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError
from bench.datasets import folder
from bench.datasets.label_studio_brush import decode_brush

SIZE = (5, 10)  # a percent of the width is a tenth of a pixel, of the height a twentieth
OTHERS = [task(number, f"{name}.png", SIZE) for number, name in ((8, "b"), (9, "c"))]


@pytest.fixture
def here(tmp_path):
    for name in ("a", "b", "c"):
        save(np.zeros((*SIZE, 3), np.uint8), tmp_path / f"{name}.png")
    return tmp_path


def rectangle(x, y, width, height, label="cat", **more) -> tuple[str, dict]:
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": [label]}
    return "rectanglelabels", value | more


def write(here: Path, *values, image="a.png") -> Path:
    save_json(here / "tasks.json", [task(1, image, SIZE, *values), *OTHERS])
    return here


def labels(here: Path, name: str = "a") -> list:
    dataset = folder.load(here)
    (sample,) = [sample for sample in dataset.samples if sample.name == name]
    return dataset.read(sample)[1].tolist()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (rectangle(10, 20, 30, 40), ["0000000000", "0111000000", "0111000000", "0000000000", "0000000000"]),
        # Turned by 90 degrees clockwise around its first corner (4, 0), 3 x 2 becomes 2 x 3 to the left of it.
        (rectangle(40, 0, 30, 40, rotation=90), ["0011000000", "0011000000", "0011000000", "0000000000", "0000000000"]),
        (
            ("polygonlabels", {"points": [[70, 60], [100, 60], [100, 100], [70, 100]], "polygonlabels": ["cat"]}),
            ["0000000000", "0000000000", "0000000000", "0000000111", "0000000111"],
        ),
        (
            ("ellipselabels", {"x": 45, "y": 50, "radiusX": 18, "radiusY": 10, "rotation": 90, "labels": ["cat"]}),
            ["0000000000", "0000100000", "0000100000", "0000100000", "0000000000"],
        ),
        (
            ("brushlabels", {"format": "rle", "rle": brush(np.eye(5, 10)), "brushlabels": ["cat"]}),
            ["1000000000", "0100000000", "0010000000", "0001000000", "0000100000"],
        ),
    ],
)
def test_each_shape_covers_its_pixels(here, value, expected):
    write(here, value)
    assert labels(here) == [[int(letter) for letter in row] for row in expected]


def test_a_later_region_lies_on_top_and_labels_are_sorted(here):
    corner = rectangle(90, 80, 10, 20, "Background")
    write(here, rectangle(0, 0, 100, 100, "dog"), rectangle(0, 0, 10, 20, "cat"), corner)
    assert folder.load(here).classes == ("background", "cat", "dog")
    assert labels(here)[0][:3] == [1, 2, 2]
    assert labels(here)[4][-3:] == [2, 2, 0]


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (300, 300)])
def test_brush_masks_of_short_and_long_runs_are_decoded(size):
    rng = np.random.default_rng(0)
    for share in (0, 0.001, 0.5, 1):
        mask = rng.random(size) < share
        assert (decode_brush(brush(mask), size) == mask).all()


@given(st.lists(st.integers(0, 255), max_size=60))
def test_damaged_brush_masks_are_errors(tail):
    for data in (tail, brush(np.zeros((3, 3)))[:8] + tail):
        try:
            assert decode_brush(data, (3, 3)).shape == (3, 3)
        except ValueError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("rle", [[], [300], "abc", None, {}, brush(np.zeros((5, 9))), brush(np.eye(5, 10))[:-3]])
def test_a_damaged_brush_is_a_fault_that_names_the_region(here, rle):
    write(here, ("brushlabels", {"format": "rle", "rle": rle, "brushlabels": ["cat"]}))
    with pytest.raises(DataFault, match=r"tasks\.json, a\.png, region 1 \(brushlabels\): its run lengths"):
        labels(here)


@pytest.mark.parametrize(
    "address",
    [
        "a.png",
        "/data/upload/7/0a1b2c3d-a.png",
        "/data/local-files/?d=my%20images/a.png",
        "s3://bucket/deep/a.png",
        "https://host.example/x/a.png?token=1",
        "C:\\images\\a.png",
    ],
)
def test_every_address_finds_its_image(here, address):
    write(here, rectangle(0, 0, 100, 100), image=address)
    assert labels(here)[0][0] == 1


def test_what_is_no_labelled_shape_is_counted(here):
    keypoint = "keypointlabels", {"x": 1, "y": 1, "width": 1, "keypointlabels": ["cat"]}
    choice = "choices", {"choices": ["sunny"]}
    bare = "rectangle", {"x": 0, "y": 0, "width": 10, "height": 10}
    write(here, rectangle(0, 0, 10, 20), keypoint, choice, bare)
    found = folder.load(here)
    notes = " | ".join(found.notes)
    assert found.classes == ("background", "cat")
    for kind in ("keypointlabels", "choices", "rectangle"):
        assert f"1 shapes of the kind {kind} without a label aren't drawn" in notes
    assert "2 images have no annotation and are all background" in notes


def test_a_shape_and_its_label_may_be_two_entries(here):
    place = {"x": 0, "y": 0, "width": 10, "height": 20}
    content = task(1, "a.png", SIZE, ("rectangle", place), ("labels", place | {"labels": ["cat"]}))
    content["annotations"][0]["result"][1]["id"] = content["annotations"][0]["result"][0]["id"]
    save_json(here / "tasks.json", [content, *OTHERS])
    assert labels(here)[0][:2] == [1, 0]
    assert "without a label" not in " ".join(folder.load(here).notes)


def test_of_several_annotations_the_ground_truth_counts(here):
    content = task(1, "a.png", SIZE, rectangle(0, 0, 10, 20, "first"))
    content["annotations"] += task(1, "a.png", SIZE, rectangle(0, 0, 10, 20, "second"))["annotations"]
    save_json(here / "tasks.json", [content, *OTHERS])
    assert folder.load(here).classes == ("background", "first")
    (warning,) = folder.load(here).warnings
    assert warning.startswith("1 tasks have several annotations")
    content["annotations"][1]["ground_truth"] = True
    save_json(here / "tasks.json", [content, *OTHERS])
    assert folder.load(here).classes == ("background", "second")


def test_skipped_tasks_are_left_out(here):
    skipped = task(2, "b.png", SIZE)
    skipped["annotations"][0]["was_cancelled"] = True
    save_json(here / "tasks.json", [task(1, "a.png", SIZE, rectangle(0, 0, 10, 20)), skipped, OTHERS[1]])
    found = folder.load(here)
    assert {sample.name for sample in found.samples} == {"a", "c"}
    assert "1 tasks have no annotation and are left out" in " ".join(found.notes)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (rectangle("x", 0, 1, 1), r"region 1 \(rectanglelabels\): its points are"),
        (rectangle(0, 0, float("nan"), 1), r"region 1 \(rectanglelabels\): its points are"),
        (("polygonlabels", {"points": [[1]], "polygonlabels": ["cat"]}), r"region 1 \(polygonlabels\): its points are"),
    ],
)
def test_a_damaged_region_is_named(here, value, says):
    write(here, value)
    with pytest.raises(BenchError, match=rf"tasks\.json, task 1, {says}") as error:
        folder.load(here)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"image_rotation": 90}, "its image was turned in Label Studio"),
        ({"original_width": None}, "its original_width None"),
    ],
)
def test_a_turned_image_or_one_without_a_size_is_refused(here, changed, says):
    content = task(1, "a.png", SIZE, rectangle(0, 0, 10, 20))
    content["annotations"][0]["result"][0] |= changed
    save_json(here / "tasks.json", [content, *OTHERS])
    with pytest.raises(BenchError, match=says):
        folder.load(here)


def test_missing_images_and_other_sizes_are_faults(here):
    save_json(here / "tasks.json", [task(1, "a.png", (6, 10), rectangle(0, 0, 10, 20)), *OTHERS])
    with pytest.raises(DataFault, match=r"a\.png: it was annotated at 6x10 pixels and has 5x10"):
        labels(here)
    (here / "b.png").unlink()
    with pytest.raises(DataFault, match=r"b\.png: missing"):
        labels(here, "b")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([{"annotations": [], "image": "a.png"}], "it is no list of tasks"),
        ([{"data": {"image": "a.png", "mask": "b.png"}, "annotations": [{"result": []}]}], "its data name 2 images"),
        ([{"data": {"text": "hello"}, "annotations": [{"result": []}]}], "its data name 0 images"),
        ([{"data": {"image": "a.png"}, "annotations": [{"result": 3}]}], "its result is no list of regions"),
    ],
)
def test_a_damaged_file_is_one_line(here, content, says):
    save_json(here / "tasks.json", content)
    with pytest.raises(BenchError, match=says) as error:
        folder.load(here)
    assert "\n" not in str(error.value)


def test_the_png_export_says_to_export_json(here):
    save(np.zeros(SIZE, np.uint8), here / "task-1-annotation-1-by-1-tag-car-0.png")
    with pytest.raises(BenchError, match=r"task-1-annotation.*don't name their images\. Export the project as 'JSON'"):
        folder.load(here)
