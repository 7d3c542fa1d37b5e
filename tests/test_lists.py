"""Lists of a folder's splits and the folders that hold its images, as people write and arrange them."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.datasets import folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))


@pytest.fixture
def here(tmp_path):
    return tmp_path / "mine"


def write(path: Path, *names: str, images: str = "images", masks: str = "masks", ending: str = ".png") -> Path:
    for name in names:
        for part, file in ((images, f"{name}.png"), (masks, f"{name}{ending}")):
            (path / part / file).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.array([[0, 255, 0]], np.uint8)).save(path / part / file)
    return path


def splits(path: Path) -> dict[str, str | None]:
    return {sample.name: sample.split for sample in folder.load(path).samples}


WANTED = {"p/ä": "train", "b": "train", "c.v2": "test"}


@pytest.mark.parametrize(
    "lines",
    [
        ("p/ä", "b", "c.v2"),
        ("p/ä.PNG", "b.jpg", "c.v2.png"),
        ("images/p/ä.png", "./b.png", "/data/old/images/c.v2.png"),
        ("images/p/ä.png masks/p/ä.png", "images/b.png\tmasks/b.png", "c.v2.png, c.v2.png"),
        ("images\\p\\ä.png", "images\\b.png", "D:\\work\\c.v2.png"),
        (unicodedata.normalize("NFD", "p/ä"), "b", '"c.v2"'),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_list_names_images_in_any_common_form(here, lines, end):
    write(here, *WANTED)
    (here / "train.txt").write_bytes(end.join(lines[:2]).encode())
    (here / "test.txt").write_bytes(lines[2].encode())
    assert splits(here) == WANTED


@pytest.mark.parametrize("names", [("Train.txt", "TEST.TXT", "Val.txt"), ("training.txt", "testing.txt", "valid.txt")])
def test_a_list_of_another_usual_name_is_not_left_out(here, names):
    write(here, "a", "b", "c")
    for file, name in zip(names, "abc", strict=True):
        (here / file).write_text(name)
    assert splits(here) == {"a": "train", "b": "test", "c": "val"}


def test_without_a_list_of_test_images_the_validation_list_stands_for_it(here):
    write(here, "a", "b", "c")
    (here / "train.txt").write_text("a\nb")
    (here / "val.txt").write_text("c")
    assert splits(here) == {"a": "train", "b": "train", "c": "test"}


@pytest.mark.parametrize(
    ("lists", "says"),
    [
        ({"train": "a.v2", "test": "b"}, r"train.txt, row 1: 'a.v2' has neither"),
        ({"train": "x/a\ny/a", "test": "b"}, r"row 2: 'y/a' and 'x/a' both mean the image 'a'"),
        ({"train": " \n", "test": ""}, r"train.txt, test.txt have no name"),
        ({"valid": "a.png"}, r"has valid.txt but no train.txt. Write one name a line, or rename"),
        ({"train": "a", "val": "b", "valid": "b"}, r"has both val.txt and valid.txt"),
        ({"train": "a", "test": "b\na"}, r"test.txt, row 2: 'a' is also in train.txt"),
    ],
)
def test_a_list_that_cannot_be_meant_is_one_error(here, lists, says):
    write(here, "a", "b")
    for name, text in lists.items():
        (here / f"{name}.txt").write_text(text)
    with pytest.raises(BenchError, match=says):
        folder.load(here)


def test_a_list_that_is_not_utf8_says_so(here):
    write(here, "a", "b")
    (here / "train.txt").write_bytes("a\n".encode("utf-16"))
    (here / "test.txt").write_text("b")
    with pytest.raises(BenchError, match=r"train.txt: can't be read .* Save it as UTF-8"):
        folder.load(here)


def test_splits_by_folders_are_not_dropped_because_of_one_stray_image(here):
    write(here, "train/a", "train/b", "val/c", "stray")
    with pytest.raises(BenchError, match=r"'train/a' is of the split train, .* but 1 images, such as 'stray'.*"):
        folder.load(here)


def test_links_to_folders_are_followed_and_circles_are_not(here, tmp_path):
    write(tmp_path / "other", "a", "b")
    write(here, "c")
    for part in ("images", "masks"):
        (here / part / "more").symlink_to(tmp_path / "other" / part)
        (here / part / "round").symlink_to(here / part)
    assert set(splits(here)) == {"c", "more/a", "more/b"}


def test_of_two_folders_of_masks_the_other_is_named(here):
    write(here, "a", "b", "c")
    assert not folder.load(here).warnings
    write(here, "a", "b", "c", masks="labels")
    assert "taken from masks; labels has image files too" in folder.load(here).warnings[0]
    for path in (here / "masks").iterdir():
        path.unlink()
    assert all(sample.files[1].parent.name == "labels" for sample in folder.load(here).samples)


@pytest.mark.parametrize(
    ("images", "masks", "ending"),
    [
        ("img_dir", "ann_dir", ".png"),
        ("images", "ground_truth", ".png"),
        ("images", "masks", ".png.png"),
        ("images", "masks", ".jpg_mask.png"),
        ("images", "labels", "_P.png"),
    ],
)
def test_folders_and_masks_of_other_tools_are_found(here, images, masks, ending):
    write(here, "a", "b.1", images=images, masks=masks, ending=ending)
    assert [sample.files[1].name for sample in folder.load(here).samples] == [f"a{ending}", f"b.1{ending}"]
