"""A user's own folder: named or inferred classes, masks in every format, splits by lists or by hash."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fakes import write_fake_folder
from PIL import Image

from bench import api
from bench.config import catalog
from bench.config.grid import expand
from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.core.trial_config import TrialConfig
from bench.data import pack
from bench.data.source import open_source
from bench.datasets import folder, mask_survey
from bench.trials.identity import trial_key

MASK = np.array([[0, 0, 1], [0, 1, 1]], np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))


@pytest.fixture
def here(tmp_path):
    return tmp_path / "mine"


def write(path: Path, masks: dict[str, np.ndarray | Image.Image], classes=None) -> Path:
    """Images of the masks' sizes beside the masks, under the names given."""
    for part in ("images", "masks"):
        (path / part).mkdir(parents=True, exist_ok=True)
    for name, mask in masks.items():
        picture = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
        picture.save(path / "masks" / name)
        Image.new("RGB", picture.size, (9, 9, 9)).save(path / "images" / f"{Path(name).stem}.jpg")
    if classes is not None:
        (path / "classes.json").write_text(json.dumps(classes))
    return path


def read(path: Path) -> dict[str, list]:
    dataset = folder.load(path)
    return {sample.name: dataset.read(sample)[1].tolist() for sample in dataset.samples}


# ---------------------------------------------------------------- classes


def test_black_and_white_is_background_and_foreground(here):
    write(here, {"a.png": 255 * MASK, "b.png": 0 * MASK, "c.png": 255 * MASK})
    assert folder.load(here).classes == ("background", "foreground")
    assert read(here)["a"] == MASK.tolist()
    assert read(here)["b"] == [[0, 0, 0], [0, 0, 0]]


def test_values_are_classes_and_255_is_ignored(here):
    write(here, {"a.png": np.array([[0, 3, 255]], np.uint8), "b.png": np.array([[7, 7, 3]], np.uint8)})
    assert folder.load(here).classes == ("class_0", "class_3", "class_7")
    assert read(here) == {"a": [[0, 1, 255]], "b": [[2, 2, 1]]}


def test_a_list_names_the_values_and_a_table_gives_them(here):
    masks = {"a.png": np.array([[0, 1, 2, 255]], np.uint8)}
    write(here, masks, ["ground", "cat", "dog"])
    assert folder.load(here).classes == ("ground", "cat", "dog")
    assert read(here)["a"] == [[0, 1, 2, 255]]
    write(here, masks, {"dog": 2, "cat": 1, "sky": 255, "ground": 0})
    assert folder.load(here).classes == ("ground", "cat", "dog", "sky")
    assert read(here)["a"] == [[0, 1, 2, 3]]


def test_two_names_take_255_for_the_second_where_no_mask_has_a_1(here):
    write(here, {"a.png": 255 * MASK, "b.png": 0 * MASK}, ["background", "car"])
    assert read(here)["a"] == MASK.tolist()
    write(here, {"b.png": MASK})
    with pytest.raises(BenchError, match=r"1 mask \(b.png\) has 0 and 1, 1 mask \(a.png\) has 0 and 255"):
        folder.load(here)


@pytest.mark.parametrize(
    ("classes", "says"),
    [
        ("not json", "is not understood. Accepted: a list of names"),
        ([1, 2], "1 in the list is no name in quotes. Accepted: a list of names"),
        ({"a": "0"}, '"a" is "0". Accepted: a whole number'),
        ({"a": 0, "b": 1.5}, '"b" is 1.5. Accepted: a whole number'),
        ({"a": 0, "b": True}, '"b" is true. Accepted: a whole number'),
        (["a"], "it has 1 names. Accepted: 2 to 255."),
        (["a", "a"], "the name 'a' is given twice."),
        ({"a": 1, "b": [2, 1]}, "1 stands in 'a' and 'b'. Each value is of one class."),
        ({"a": 1, "b": [2, 2]}, "2 stands in 'b' twice."),
        ({"a": [0, 0, 0], "b": [255, 0, 0]}, """a colour is written so: {"a": "#000000", "b": "#ff0000"}"""),
        ({"classes": ["a", "b"], "ignored": [255]}, '"ignored" beside "classes" is unknown. Accepted: classes, from'),
        ({"classes": ["a", "b"], "ignore": 0.5}, '"ignore" is 0.5. Accepted: a whole number'),
    ],
)
def test_a_classes_file_that_says_nothing_is_one_error(here, classes, says):
    write(here, {"a.png": MASK}, classes)
    with pytest.raises(BenchError, match=rf"classes\.json: .*{re.escape(says)}"):
        folder.load(here)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "line 1, column 2: Expecting"),
        ('{"a": 0,\n "b": 1,\n}', "line 2: a comma before }. Correct that line."),
        ('["a", "b", ]', "line 1: a comma before ]. Correct that line."),
        ("{'a': 0}", "line 1, column 2: Expecting property name enclosed in double quotes"),
    ],
)
def test_a_mistake_of_json_is_named_with_its_line(here, text, says):
    write(here, {"a.png": MASK})
    (here / "classes.json").write_text(text, encoding="utf-8")
    with pytest.raises(BenchError, match=rf"classes\.json, {re.escape(says)}") as error:
        folder.load(here)
    assert "\n" not in str(error.value)


def test_a_class_may_be_called_classes(here):
    write(here, {"a.png": MASK}, {"classes": [0, 3], "others": 1})
    assert folder.load(here).classes == ("classes", "others")


def test_masks_of_too_many_values_or_one_are_no_classes(here):
    write(here, {"a.png": np.arange(100, dtype=np.uint8)[None]})
    with pytest.raises(BenchError, match=r"have 100 values.*classes\.json.*without smoothing"):
        folder.load(here)
    write(here, {"a.png": np.full((2, 2), 5, np.uint8)})
    with pytest.raises(BenchError, match="have 1 values"):
        folder.load(here)


# ---------------------------------------------------------------- masks as they were saved


def palette_picture() -> Image.Image:
    picture = Image.fromarray(MASK, "P")
    picture.putpalette([128, 0, 0, 255, 255, 255])
    return picture


@pytest.mark.parametrize(
    ("name", "mask"),
    [
        ("a.png", palette_picture()),
        ("a.png", Image.fromarray(MASK.astype(bool))),
        ("a.png", Image.fromarray(np.repeat(MASK[..., None], 3, axis=2))),
        ("a.bmp", Image.fromarray(MASK)),
        ("a.tif", Image.fromarray(MASK)),
        ("a.gif", palette_picture()),
    ],
)
def test_indexes_palettes_and_grey_are_read(here, name, mask):
    write(here, {name: mask}, ["background", "car"])
    assert read(here)["a"] == MASK.tolist()


def test_a_jpeg_mask_is_light_from_the_middle_of_grey(here):
    mask = np.zeros((32, 48), np.uint8)
    mask[8:24, 16:32] = 255
    write(here, {"a.jpg": mask})
    assert folder.load(here).classes == ("background", "foreground")
    np.testing.assert_array_equal(read(here)["a"], mask // 255)
    write(here, {"b.jpeg": np.full((8, 8), 127, np.uint8), "c.jpg": np.full((8, 8), 128, np.uint8)})
    with pytest.raises(BenchError, match=r"2 masks \(the first: b.jpeg\) are of a lossy format"):
        folder.load(here)
    write(here, {}, {"classes": ["no", "yes"], "threshold": 128})
    labels = read(here)
    np.testing.assert_array_equal(labels["a"], mask // 255)
    assert np.max(labels["b"]) == 0
    assert np.min(labels["c"]) == 1


def test_values_are_looked_up_once(here, monkeypatch):
    write(here, {"a.png": MASK, "b.png": MASK})
    calls = []
    original = mask_survey._facts
    monkeypatch.setattr(mask_survey, "_facts", lambda path: calls.append(path) or original(path))
    folder.load(here)
    folder.load(here)
    assert len(calls) == 2
    write(here, {"c.png": 2 * MASK})
    assert folder.load(here).classes == ("class_0", "class_1", "class_2")


# ---------------------------------------------------------------- splits


def splits(path: Path) -> dict[str, str]:
    return {sample.name: sample.split for sample in folder.load(path).samples}


def test_without_lists_the_stems_are_cut_by_a_hash(here):
    write_fake_folder(here, count=40)
    counts = Counter(s.split for s in open_source(catalog.find_dataset(f"folder:{here}")[0], here).samples)
    assert sum(counts.values()) == 40
    assert counts["train"] > counts["test"] > counts["val"] > 0


def test_lists_say_who_trains(here):
    write_fake_folder(here, count=6)
    (here / "train.txt").write_text("s0\ns1.png\n\n  s2\n")
    (here / "val.txt").write_text("s3\n")
    (here / "test.txt").write_text("s4.jpg\n")
    assert splits(here) == {"s0": "train", "s1": "train", "s2": "train", "s3": "val", "s4": "test"}
    assert folder.load(here).notes[1:] == ("1 of 6 images are in no list and left out",)
    (here / "val.txt").unlink()
    assert {s.split for s in open_source(catalog.find_dataset(f"folder:{here}")[0], here).samples} == {
        "train",
        "val",
        "test",
    }


def test_faults_of_lists_name_their_row(here):
    write_fake_folder(here, count=4)
    (here / "train.txt").write_text("s0\ns1\n")
    with pytest.raises(BenchError, match=r"has train\.txt but no test\.txt"):
        folder.load(here)
    (here / "test.txt").write_text("s2\nnobody\n")
    with pytest.raises(BenchError, match=r"test\.txt, row 2: 'nobody' has neither an image nor a mask"):
        folder.load(here)
    (here / "test.txt").write_text("s2\ns1\n")
    with pytest.raises(BenchError, match=r"test\.txt, row 2: 's1' is also in train\.txt"):
        folder.load(here)


# ---------------------------------------------------------------- faults


def fault(path: Path) -> DataFault:
    dataset = folder.load(path)
    with pytest.raises(DataFault) as error:
        for sample in dataset.samples:
            dataset.read(sample)
    return error.value


def test_a_mask_that_is_a_link_to_nowhere_is_missing(here):
    write(here, {"a.png": MASK, "b.png": MASK})
    (here / "masks" / "b.png").unlink()
    (here / "masks" / "b.png").symlink_to(here / "gone.png")
    assert fault(here).kind == "missing"


def test_a_list_may_begin_with_a_byte_order_mark(here):
    write(here, {f"{name}.png": MASK for name in "abc"})
    for split, name in zip(("train", "val", "test"), "abc", strict=True):
        (here / f"{split}.txt").write_text(name, encoding="utf-8-sig")
    assert splits(here) == {"a": "train", "b": "val", "c": "test"}


def test_a_fault_names_the_file(here):
    write(here, {"a.png": MASK}, ["no", "yes"])
    Image.fromarray(2 * MASK).save(here / "masks" / "a.png")
    assert fault(here).kind == "values"
    assert "a.png: the values [2] are not classes. Accepted: 0, 1" in str(fault(here))
    Image.fromarray(MASK[:1]).save(here / "masks" / "a.png")
    assert fault(here).kind == "size"
    Image.fromarray(np.dstack([MASK, MASK, 0 * MASK])).save(here / "masks" / "a.png")
    with pytest.raises(BenchError, match=r"1 mask \(a.png\) has colours, #000000, #010100"):
        folder.load(here)
    write(here, {"b.png": MASK})
    (here / "masks" / "a.png").unlink()
    assert fault(here).kind == "missing"
    assert re.search(r"masks/a\.\*: missing", str(fault(here)))


def test_two_files_of_one_stem_are_refused(here):
    write(here, {"a.png": MASK})
    Image.new("RGB", (3, 2)).save(here / "images" / "a.png")
    with pytest.raises(BenchError, match=r"has both a\.jpg and a\.png\. Keep one of them"):
        folder.load(here)


def test_a_folder_of_another_layout_is_told_what_is_needed(here):
    with pytest.raises(BenchError, match=r"mine' does not exist"):
        folder.load(here)
    here.mkdir()
    with pytest.raises(BenchError, match=r"has nothing, which no known layout fits\. It needs images/ and masks/"):
        folder.load(here)


# ---------------------------------------------------------------- by its name


def config_of(path: Path, **fields) -> TrialConfig:
    (config,) = expand({"arch": "unet", "dataset": f"folder:{path}", "backend": "jax", **fields})
    return config


@pytest.fixture
def any_backend(monkeypatch):
    monkeypatch.setattr("bench.config.checks.installed", lambda name: True)


def test_its_path_becomes_name_and_folder(here, any_backend, monkeypatch):
    write_fake_folder(here, count=12)
    config = config_of(here)
    assert (config.dataset, config.data_dir) == ("folder:mine", str(here))
    assert catalog.resolve_config(config) == config
    monkeypatch.chdir(here.parent)
    assert config_of(Path("mine")) == config
    assert catalog.dataset(config).name == "folder:mine"


def test_two_folders_of_one_name_differ_and_a_moved_one_does_not(here, tmp_path, any_backend):
    others = tmp_path / "a" / "mine", tmp_path / "b" / "mine"
    write_fake_folder(others[0], count=12, seed=0)
    write_fake_folder(others[1], count=12, seed=1)
    write_fake_folder(here, count=12, seed=0)
    keys = []
    for path in (*others, here):
        config = config_of(path)
        made = pack.prepare(catalog.dataset(config), (16, 16), data_dir=config.data_dir)
        assert made.classes == ("class_0", "class_1", "class_2")
        keys.append(trial_key(config, made.fingerprint))
    assert keys[0] == keys[2] != keys[1]


def test_other_classes_are_another_fingerprint(here, any_backend):
    write_fake_folder(here, count=12)
    spec = catalog.find_dataset(f"folder:{here}")[0]
    before = pack.prepare(spec, (16, 16), data_dir=here).fingerprint
    (here / "classes.json").write_text(json.dumps({"a": 0, "b": 2, "c": 1}))
    made = pack.prepare(spec, (16, 16), data_dir=here)
    assert made.fingerprint != before
    assert made.classes == ("a", "c", "b")


def test_the_api_reads_it(here):
    write_fake_folder(here, count=12)
    train = api.load_dataset(f"folder:{here}", split="train")
    image, labels = train[0]
    assert image.shape == (*labels.shape, 3)
    with pytest.raises(BenchError, match=r"'folder:/' is a whole disk\. Write folder:PATH"):
        catalog.find_dataset("folder:/", None)
    with pytest.raises(BenchError, match=r"'folder:' names nothing\. Write folder:PATH"):
        api.load_dataset("folder:")
    with pytest.raises(BenchError, match="nowhere' does not exist"):
        api.load_dataset(f"folder:{here}/nowhere")


# ---------------------------------------------------------------- one of two folders, or of two files


def test_a_missing_or_empty_folder_is_named_with_the_one_that_may_be_meant(here):
    write(here, {"a.png": MASK, "b.png": MASK})
    (here / "masks").rename(here / "drawn")
    with pytest.raises(BenchError, match=r"masks/ is missing: .* those in drawn/, rename it to masks/\."):
        folder.load(here)
    (here / "images").rename(here / "photos")
    (here / "drawn").rename(here / "masks")
    with pytest.raises(BenchError, match=r"images/ is missing: .* those in photos/, rename it to images/\."):
        folder.load(here)
    (here / "photos").rename(here / "images")
    for mask in (here / "masks").iterdir():
        mask.unlink()
    with pytest.raises(BenchError, match=r"masks' is empty; it needs a file of the same name .* 2 in all\."):
        folder.load(here)


def test_a_stray_mask_is_called_one(here):
    write(here, {"a.png": MASK, "b.png": MASK})
    next((here / "images").glob("b.*")).unlink()
    found = folder.load(here)
    (sample,) = [sample for sample in found.samples if sample.name == "b"]
    with pytest.raises(DataFault, match=r"masks/b\.png: a mask without an image, .*images/b\.\* is missing"):
        found.read(sample)


def test_validation_images_that_become_the_test_split_are_counted(here):
    for split, count in (("train", 6), ("val", 3)):
        write(here / split, {f"{n}.png": MASK for n in range(count)})
    says = "there are no labelled test images: the 3 validation images are the test split"
    assert says in folder.load(here).notes
