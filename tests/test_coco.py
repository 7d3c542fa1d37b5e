"""COCO's JSON files: exact labels, what can't be drawn is counted, and faults are named."""

import json
from pathlib import Path

import numpy as np
import pytest
from annotation_fixtures import coco_json, save_json
from hypothesis import given
from hypothesis import strategies as st
from layout_fixtures import save

from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError
from bench.datasets import folder
from bench.datasets.coco_file import decompress, read_coco
from bench.datasets.drawing import alternating

SIZE = (5, 8)


@pytest.fixture
def here(tmp_path):
    for name in ("a", "b", "c"):
        save(np.zeros((*SIZE, 3), np.uint8), tmp_path / "images" / f"{name}.png")
    return tmp_path


def content(*annotations: dict, categories=("cat", "dog"), images=("a", "b", "c")) -> dict:
    """A file of annotations, each of image 1 and category 1 unless it says otherwise."""
    return {
        "images": [
            {"id": number, "file_name": f"{name}.png", "height": SIZE[0], "width": SIZE[1]}
            for number, name in enumerate(images, 1)
        ],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": 1, "iscrowd": 0} | annotation
            for number, annotation in enumerate(annotations, 1)
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(categories, 1)],
    }


def polygon(left, top, right, bottom) -> list:
    return [[left, top, right, top, right, bottom, left, bottom]]


def write(here: Path, *annotations: dict, **more) -> Path:
    save_json(here / "annotations.json", content(*annotations, **more))
    return here


def labels(here: Path, name: str = "images/a") -> list:
    dataset = folder.load(here)
    (sample,) = [sample for sample in dataset.samples if sample.name == name]
    return dataset.read(sample)[1].tolist()


def notes(here: Path) -> str:
    return " | ".join(folder.load(here).notes)


def test_a_polygon_covers_its_pixels_and_is_cut_off_at_the_border(here):
    write(here, {"segmentation": polygon(5, 3, 100, 100), "category_id": 2}, {"segmentation": polygon(1, 0, 3, 2)})
    assert folder.load(here).classes == ("background", "cat", "dog")
    assert labels(here) == [
        [0, 1, 1, 0, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 2, 2, 2],
        [0, 0, 0, 0, 0, 2, 2, 2],
    ]


def test_the_smaller_object_lies_on_top_whatever_the_order(here):
    small = {"segmentation": polygon(2, 2, 3, 3), "category_id": 2}
    large = {"segmentation": polygon(0, 0, 8, 5)}
    for order in ((small, large), (large, small)):
        found = np.array(labels(write(here, *order)))
        assert found[2, 2] == 2
        assert (found == 1).sum() == SIZE[0] * SIZE[1] - 1


def test_a_crowd_is_ignored_where_no_object_is(here):
    counts = [0, 10, 30]  # the first two columns
    crowd = {"segmentation": {"size": list(SIZE), "counts": counts}, "iscrowd": 1}
    write(here, {"segmentation": polygon(0, 0, 8, 1)}, crowd)
    assert labels(here) == [[1] * 8, *[[255, 255, 0, 0, 0, 0, 0, 0]] * 4]


def test_several_polygons_of_an_object_are_joined(here):
    write(here, {"segmentation": polygon(0, 0, 2, 1) + polygon(1, 0, 4, 1)})
    assert labels(here)[0] == [1, 1, 1, 1, 0, 0, 0, 0]


def test_compressed_run_lengths_are_read_as_pycocotools_writes_them():
    masks = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for _ in range(100):
        mask = rng.random((rng.integers(1, 40), rng.integers(1, 40))) < rng.random()
        text = masks.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
        assert (mask == alternating(decompress(text), mask.shape).reshape(mask.shape[::-1]).T).all()


@given(st.text(st.characters(min_codepoint=32, max_codepoint=130), max_size=40))
def test_a_damaged_text_of_run_lengths_is_an_error_and_no_crash(text):
    try:
        assert len(alternating(decompress(text), (7, 9))) == 63
    except ValueError as error:
        assert "\n" not in str(error)


def test_images_without_annotations_are_background_and_counted(here):
    write(here, {"segmentation": polygon(0, 0, 1, 1)})
    assert labels(here, "images/b") == [[0] * 8] * 5
    assert "2 images have no annotation and are all background (the first: b.png)" in notes(here)


def test_images_in_no_file_are_counted(here):
    write(here, {"segmentation": polygon(0, 0, 1, 1)}, images=("a", "b"))
    assert "1 images are in no annotation file and left out (the first: images/c.png)" in notes(here)


def test_what_cannot_be_drawn_is_counted(here):
    good = {"segmentation": polygon(0, 0, 1, 1)}
    outside = {"segmentation": polygon(20, 20, 30, 30)}
    write(here, good, {"segmentation": []}, {"segmentation": [[1, 1, 2, 2]]}, {}, outside)
    found = notes(here)
    (doubt,) = folder.load(here).warnings
    assert "3 annotations have no outline (2 missing, 1 of fewer than three points) and aren't drawn" in doubt
    assert "1 shapes lie wholly outside their image and aren't drawn (the first: annotation 5 of a.png)" in found


def test_boxes_alone_are_refused(here):
    write(here, {"bbox": [0, 0, 3, 3]})
    with pytest.raises(BenchError, match=r"annotations\.json: not one annotation has a segmentation"):
        folder.load(here)


def test_an_unknown_category_is_named(here):
    write(here, {"segmentation": polygon(0, 0, 1, 1), "category_id": 9})
    with pytest.raises(BenchError, match=r"annotations\.json, annotation 1: the category 9 is not among \[1, 2\]"):
        folder.load(here)


def test_annotations_of_no_image_are_a_warning(here):
    write(here, {"segmentation": polygon(0, 0, 1, 1)}, {"segmentation": polygon(0, 0, 1, 1), "image_id": 99})
    (warning,) = folder.load(here).warnings
    assert "1 annotations are of images that the file doesn't list" in warning


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"images": [', r"annotations\.json: can't be read as JSON"),
        ('{"images": []}', "it is no COCO file"),
        ('{"images": [3], "annotations": [], "categories": []}', "it is no COCO file"),
        ('{"images": [{"id": 1}], "annotations": [], "categories": []}', "image 1 has the file_name None"),
        ('{"images": [{"id": [], "file_name": "a"}], "annotations": [], "categories": []}', "has the id"),
        ('{"images": [], "annotations": [{}], "categories": []}', "annotation number 1 has the image_id None"),
        ('{"images": [], "annotations": [], "categories": [{"id": true, "name": "a"}]}', "category True has the id"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}', "have no image"),
    ],
)
def test_a_damaged_file_is_one_line(here, text, says):
    (here / "annotations.json").write_text(text, encoding="utf-8")
    with pytest.raises(BenchError, match=says) as error:
        folder.load(here)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [5, 8], "counts": [1, 2]},
        {"size": [8, 5], "counts": [40]},
        {"size": [5, 8], "counts": "``"},
        {"size": [5, 8], "counts": 7},
        {"size": [5, 8], "counts": [-1, 41]},
        [[0, 0, 1e300, 0, 3, 3]],
        [[0, 0, float("nan"), 0, 3, 3]],
    ],
)
def test_a_damaged_segmentation_is_a_fault_that_names_the_annotation(here, segmentation):
    write(here, {"segmentation": segmentation})
    with pytest.raises(DataFault, match=r"annotations\.json, a\.png, annotation 1: ") as error:
        labels(here)
    assert error.value.kind == "unreadable"


def test_words_for_coordinates_are_named(here):
    write(here, {"segmentation": [["a", 0, 1, 0, 3, 3]]})
    with pytest.raises(BenchError, match="annotation 1"):
        labels(here)


def test_a_missing_image_and_one_of_another_size_are_faults(here):
    write(here, {"segmentation": polygon(0, 0, 1, 1)})
    (here / "images" / "b.png").unlink()
    save(np.zeros((6, 8, 3), np.uint8), here / "images" / "c.png")
    with pytest.raises(DataFault, match=r"b\.png: missing"):
        labels(here, "b")
    with pytest.raises(DataFault, match=r"c\.png: it was annotated at 5x8 pixels and has 6x8") as error:
        labels(here, "images/c")
    assert error.value.kind == "size"


def test_names_that_lead_out_of_the_folder_are_found_in_it(here):
    found = content({"segmentation": polygon(0, 0, 1, 1)}, images=("a",))
    for name in ("C:\\work\\a.png", "/home/you/a.png", "../../images/a.png", "images/A.PNG"):
        found["images"][0]["file_name"] = name
        save_json(here / "annotations.json", found)
        assert labels(here)[0][0] == 1


def test_no_image_at_all_is_one_line(here):
    write(here, {"segmentation": polygon(0, 0, 1, 1)}, images=("x", "y"))
    with pytest.raises(BenchError, match=r"not one of its 2 images, such as 'x\.png', is in"):
        folder.load(here)


def test_two_images_of_one_name_without_a_folder_are_refused(here):
    write(here, {"segmentation": polygon(0, 0, 1, 1)})
    (here / "images").rename(here / "first")
    save(np.zeros((*SIZE, 3), np.uint8), here / "second" / "a.png")
    with pytest.raises(BenchError, match=r"'a\.png', which may be first/a\.png and second/a\.png"):
        folder.load(here)
    (here / "second").rename(here / "images")
    assert labels(here)[0][0] == 1


def test_files_of_different_categories_are_refused(here):
    save_json(here / "train.json", content({"segmentation": polygon(0, 0, 1, 1)}, images=("a",)))
    save_json(here / "val.json", content(categories=("dog", "cat"), images=("b",)))
    with pytest.raises(BenchError, match=r"val\.json: the category 1 is 'dog', but 'cat' in train\.json"):
        folder.load(here)


def test_instances_and_panoptic_need_a_word(here):
    both = content({"segmentation": polygon(0, 0, 1, 1)})
    save_json(here / "annotations" / "instances_train.json", both)
    save_json(here / "annotations" / "panoptic_train.json", both)
    save_json(here / "annotations" / "captions_train.json", both)
    with pytest.raises(BenchError, match=r"annotations=instances or annotations=panoptic"):
        folder.load(here)
    assert "captions_train.json" not in " ".join(folder.load(here, annotations="instances").notes)
    (here / "annotations" / "panoptic_train.json").unlink()
    assert "captions_train.json: not read" in notes(here)


def test_a_category_called_background_is_the_background(here):
    write(here, {"segmentation": polygon(0, 0, 1, 1), "category_id": 2}, categories=("Background", "cat"))
    assert folder.load(here).classes == ("background", "cat")
    assert labels(here)[0][0] == 1


def test_classes_json_renames_the_classes_and_nothing_else(here):
    write(here, {"segmentation": polygon(0, 0, 1, 1)})
    (here / "classes.json").write_text(json.dumps(["ground", "Katze", "Hund"]), encoding="utf-8")
    assert folder.load(here).classes == ("ground", "Katze", "Hund")
    (here / "classes.json").write_text(json.dumps(["ground", "Katze"]), encoding="utf-8")
    with pytest.raises(BenchError, match=r"classes\.json: the labels are drawn from annotations, with the classes"):
        folder.load(here)


def test_only_the_changed_image_gets_another_token(here):
    write(here, {"segmentation": polygon(0, 0, 1, 1)}, {"segmentation": polygon(0, 0, 1, 1), "image_id": 2})
    before = {sample.name: sample.token for sample in folder.load(here).samples}
    write(here, {"segmentation": polygon(0, 0, 2, 1)}, {"segmentation": polygon(0, 0, 1, 1), "image_id": 2})
    after = {sample.name: sample.token for sample in folder.load(here).samples}
    assert {name for name in before if before[name] != after[name]} == {"images/a"}
    write(here, {"segmentation": polygon(0, 0, 2, 1)}, categories=("cat", "horse"))
    assert not {sample.token for sample in folder.load(here).samples} & set(after.values())


def test_an_image_is_annotated_once(here):
    save_json(here / "one.json", content({"segmentation": polygon(0, 0, 1, 1)}))
    save_json(here / "two.json", content())
    with pytest.raises(BenchError, match=r"The image 'images/a' is annotated in .*one\.json and in .*two\.json"):
        folder.load(here)


def test_a_file_without_pycocotools_says_how_to_install_it(here, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pycocotools", None)
    write(here, {"segmentation": polygon(0, 0, 1, 1)})
    with pytest.raises(BenchError, match="pip install pycocotools"):
        labels(here)


def test_annotations_are_counted_by_image(tmp_path):
    save_json(tmp_path / "x.json", coco_json({"a.png": np.ones((2, 2), np.uint8)}))
    file, strange = read_coco(tmp_path / "x.json")
    assert (len(file.annotations[100]), strange) == (2, 0)


def test_an_unknown_panoptic_segment_is_a_fault(here):
    found = content(images=("a",))
    found["annotations"] = [{"image_id": 1, "file_name": "a.png", "segments_info": [{"id": 3, "category_id": 1}]}]
    save_json(here / "panoptic_train.json", found)
    save(np.full((*SIZE, 3), (4, 0, 0), np.uint8), here / "panoptic_train" / "a.png")
    with pytest.raises(DataFault, match=r"panoptic_train.a\.png: the id 4 is no segment of its image"):
        labels(here)
    found["annotations"][0]["segments_info"][0]["category_id"] = 8
    save_json(here / "panoptic_train.json", found)
    with pytest.raises(BenchError, match=r"panoptic_train\.json, image 1: the segment .* has no id or no category"):
        folder.load(here)


def test_names_that_differ_by_case_or_suffix_alone_are_kept_apart_or_named(here):
    write(here, images=("a", "A", "b"))
    save(np.ones((*SIZE, 3), np.uint8), here / "images" / "A.png")
    files = {sample.name: sample.files[0].name for sample in folder.load(here).samples}
    assert files == {"images/a": "a.png", "images/A": "A.png", "images/b": "b.png"}
    named = content(images=("a", "A", "b"))
    named["images"][1]["file_name"] = "a.jpg"
    save_json(here / "annotations.json", named)
    save(np.ones((*SIZE, 3), np.uint8), here / "images" / "a.jpg")
    with pytest.raises(BenchError, match=r"'a.png' and 'a.jpg' have one name, 'images/a'. Rename one"):
        folder.load(here)
