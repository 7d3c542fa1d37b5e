"""What the numbers of labels say before training: errors that stop it, and warnings that say what settles them."""

import json

import numpy as np
import pytest
from fakes import write_fake_folder, write_fake_pets
from PIL import Image
from typer.testing import CliRunner

from bench.cli import app
from bench.config import catalog
from bench.core.dataset_protocol import Sample
from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.data import pack
from bench.data.label_doubts import ABSENT, IGNORED, ONE_CLASS, LabelCounts, label_doubts, thin_splits
from bench.datasets.pets import Pets

CLASSES = ("ground", "car", "tree")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


def doubts(settled=(), **splits):
    """Judge images of each split, each a map from label to pixels; by default each split has one with all classes."""
    counts = LabelCounts()
    for split in ("train", "val", "test"):
        for image in splits.get(split, [{0: 8, 1: 4, 2: 4}]):
            row = np.zeros(256, np.int64)
            row[list(image)] = list(image.values())
            counts.add(split, row)
    return label_doubts(CLASSES, counts, settled)


def test_whole_labels_leave_no_doubt():
    assert doubts() == label_doubts(CLASSES, LabelCounts())
    assert (doubts().errors, doubts().warnings) == ((), ())


@pytest.mark.parametrize("split, word", [("train", "training"), ("val", "validation"), ("test", "test")])
def test_a_split_without_any_label_is_an_error_that_names_it(split, word):
    (error,) = doubts(**{split: [{255: 16}, {255: 16}]}).errors
    assert error.startswith(f"the {word} split has no labelled pixel: all 2 of its images have the ignored label 255")
    assert doubts(**{split: [{255: 16}, {255: 15, 1: 1}]}).errors == ()


def test_nothing_but_ignored_pixels_is_an_error_of_each_split():
    assert len(doubts(train=[{255: 16}], val=[{255: 16}], test=[{255: 16}]).errors) == 3


def test_one_class_in_training_is_one_warning_whatever_is_missing_besides():
    for image in ({0: 16}, {0: 1, 255: 1}):
        (warning,) = doubts(train=[image, image]).warnings
        assert "every labelled pixel of the training split is 'ground'" in warning
    assert doubts(train=[{0: 16}], settled={ONE_CLASS}).warnings == ()


@pytest.mark.parametrize(
    "splits, says",
    [
        ({split: [{0: 8, 1: 8}] for split in ("train", "val", "test")}, "no image has the class 'tree'."),
        ({"train": [{0: 8, 1: 8}]}, "no training image has the class 'tree'."),
        ({"train": [{1: 8, 2: 8}], "val": [{1: 16}], "test": [{2: 16}]}, "no image has the class 'ground'."),
    ],
)
def test_a_class_that_no_image_has_is_a_warning(splits, says):
    (warning,) = doubts(**splits).warnings
    assert warning.startswith(says)
    assert "classes.json" in warning
    assert doubts(**splits, settled={ABSENT}).warnings == ()


def test_a_split_of_one_image_or_group_is_a_warning():
    def found(*images):
        return thin_splits([Sample(f"{n}", split, group) for n, (split, group) in enumerate(images)])

    many = [("train", "a"), *[(split, f"{split}{n}") for split in ("val", "test") for n in (1, 2)]]
    assert found(*many) == ()
    assert found(*many[:3], ("test", "c"))[0].startswith("the test split has one image: its scores have no interval")
    assert found(*many[:3], ("test", "c"), ("test", "c"))[0].startswith("the test split has one group")
    assert found(many[0], ("val", "b"), *many[3:])[0].startswith("the validation split has one image: what is")


def test_many_missing_classes_are_counted():
    counts = LabelCounts()
    for split in ("train", "val", "test"):
        counts.add(split, np.bincount([0, 1], minlength=256))
    (warning,) = label_doubts([f"c{i}" for i in range(20)], counts).warnings
    assert "the classes 'c2', 'c3', 'c4', 'c5', 'c6' and 13 more" in warning


def test_more_than_half_ignored_is_a_warning_unless_it_is_settled():
    half = {split: [{0: 6, 1: 1, 2: 1, 255: 8}] for split in ("train", "val", "test")}
    more = {split: [{0: 5, 1: 1, 2: 1, 255: 9}] for split in ("train", "val", "test")}
    assert doubts(**half).warnings == ()
    (warning,) = doubts(**more).warnings
    assert warning.startswith("56% of all pixels have the label 255")
    assert doubts(**more, settled={IGNORED}).warnings == ()


# ---------------------------------------------------------------- the commands


@pytest.fixture
def folder(tmp_path):
    """Return a folder of 12 images with the values 0, 1, 2 and lists of the splits."""
    folder = write_fake_folder(tmp_path / "mine")
    for split, numbers in (("train", range(7)), ("val", [7, 8]), ("test", range(9, 12))):
        (folder / f"{split}.txt").write_text("".join(f"s{i}\n" for i in numbers), encoding="utf-8")
    (folder / "classes.json").write_text(json.dumps({"classes": list(CLASSES), "ignore": [255]}), encoding="utf-8")
    return folder


def overwrite(folder, numbers, change):
    for number in numbers:
        mask = folder / "masks" / f"s{number}.png"
        Image.fromarray(change(np.asarray(Image.open(mask)))).save(mask)


def check(folder, *arguments):
    result = CliRunner().invoke(app, ["prepare", f"folder:{folder}", *arguments])
    return result.exit_code, result.output + result.stderr


def test_labels_without_doubt_are_green(folder):
    code, output = check(folder, "--check")
    assert code == 0
    assert "Training can begin." in output
    assert "warning" not in output


def test_the_check_and_the_pack_refuse_a_split_without_labels(folder):
    overwrite(folder, [7, 8], lambda mask: mask * 0 + 255)
    code, output = check(folder, "--check")
    assert code == 1
    assert "error: the validation split has no labelled pixel" in output
    assert "Training would fail: see the errors above." in output
    spec, place = catalog.find_dataset(f"folder:{folder}")
    for _ in range(2):  # a pack that is there already says the same
        with pytest.raises(BenchError, match="Training can't begin with 'folder:mine': the validation split has no"):
            pack.prepare(spec, (16, 16), data_dir=place)
    code, output = check(folder, "--image-size", "16")
    assert (code, output.count("the validation split has no labelled pixel") > 0) == (2, True)


def test_labels_that_get_lost_by_shrinking_are_named_with_the_size(folder):
    def only_one(mask):
        labels = np.full_like(mask, 255)
        labels[0, 0] = 1
        return labels

    overwrite(folder, [7, 8], only_one)
    assert check(folder, "--image-size", "40x50")[0] == 0
    code, output = check(folder, "--image-size", "8")
    assert code == 2
    assert "the validation split has no labelled pixel left at 8x8. Give a larger --image-size." in output


def test_a_warning_turns_the_verdict_and_is_in_the_pack(folder):
    overwrite(folder, range(12), lambda mask: np.where(mask == 2, 1, mask).astype(np.uint8))
    code, output = check(folder, "--check")
    assert code == 0
    assert "warning: no image has the class 'tree'." in output
    assert "Look at this first: the warning above." in output
    assert "Training can begin" not in output
    code, output = check(folder, "--image-size", "16")
    assert code == 0
    assert "warning: no image has the class 'tree'." in output
    spec, place = catalog.find_dataset(f"folder:{folder}")
    (warning,) = pack.prepare(spec, (16, 16), data_dir=place).warnings
    assert warning.startswith("no image has the class 'tree'.")


def test_the_same_picture_in_training_and_test_is_said_by_the_check_and_the_pack(folder):
    for part, suffix in (("images", ".jpg"), ("masks", ".png")):
        (folder / part / f"s10{suffix}").write_bytes((folder / part / f"s3{suffix}").read_bytes())
    for arguments in (("--check",), ("--image-size", "16")):
        code, output = check(folder, *arguments)
        assert code == 0
        assert "warning: 1 picture is in test and in training (the same picture): s10 = s3." in output


def test_other_file_formats_of_a_picture_are_the_same_pixels(folder):
    picture = Image.open(folder / "images" / "s3.jpg")
    picture.save(folder / "images" / "s10.png")
    (folder / "images" / "s10.jpg").unlink()
    (folder / "masks" / "s10.png").write_bytes((folder / "masks" / "s3.png").read_bytes())
    assert "s10 = s3" in check(folder, "--check")[1]


def test_the_doubts_of_a_data_set_itself_are_shown_and_those_that_it_settled_are_not(tmp_path, monkeypatch):
    pets = write_fake_pets(tmp_path / "pets")
    for mask in (pets / "annotations" / "trimaps").iterdir():
        Image.fromarray(np.minimum(np.asarray(Image.open(mask)), 2)).save(mask)  # no border
    monkeypatch.setattr(Pets, "warnings", ("two trimaps look strange. Look at them.",), raising=False)
    shown = CliRunner().invoke(app, ["show-dataset", "pets", "--data-dir", str(pets)])
    assert "warning: two trimaps look strange. Look at them." in shown.output
    checking = ["prepare", "pets", "--data-dir", str(pets), "--check"]
    output = CliRunner().invoke(app, checking).output
    assert "no image has the class 'border'" in output
    assert "the 2 warnings above" in output
    monkeypatch.setattr(Pets, "settled", {ABSENT}, raising=False)
    output = CliRunner().invoke(app, checking).output
    assert "no image has the class 'border'" not in output
    assert "the warning above" in output


@pytest.mark.needs("jax")
def test_a_run_says_the_warnings_before_training_and_the_record_keeps_them(folder, tmp_path):
    overwrite(folder, range(12), lambda mask: np.where(mask == 2, 1, mask).astype(np.uint8))
    given = ["--arch", "unet", "--dataset", f"folder:{folder}", "--backend", "jax", "--image-size", "32"]
    given += ["--param", "filters=[4,8]", "--budget", "2steps", "--batch-size", "4", "--results", str(tmp_path / "r")]
    result = CliRunner().invoke(app, ["run", *given])
    assert result.exit_code == 0, result.output + result.stderr
    assert result.stderr.count("warning: folder:mine: no image has the class 'tree'.") == 1
    (record,) = (tmp_path / "r").glob("**/record.json")
    assert any("no image has the class 'tree'" in note for note in json.loads(record.read_text())["dataset"]["notes"])
