"""Every registered data set keeps the contract; pets and shapes have their own numbers."""

import hashlib
import inspect
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fakes import write_fake_airbus, write_fake_carvana, write_fake_pets
from PIL import Image

from bench.core.code.import_by_name import import_by_name
from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX
from bench.datasets import DATASETS, pets, shapes

SPECS = {spec.name: spec for spec in DATASETS}
FAKES = {  # for data sets that need a folder
    "pets": write_fake_pets,
    "pets-binary": write_fake_pets,
    "carvana": write_fake_carvana,
    "airbus": write_fake_airbus,
}


@pytest.fixture(params=SPECS)
def spec(request):
    return SPECS[request.param]


@pytest.fixture
def dataset(spec, tmp_path):
    return import_by_name(spec.adapter)(FAKES[spec.name](tmp_path) if spec.needs_data_dir else None)


def test_samples_have_unique_names_and_known_splits(dataset):
    names = [sample.name for sample in dataset.samples]
    assert len(set(names)) == len(names)
    found = {sample.split for sample in dataset.samples}
    assert found == {None} or {"train", "test"} <= found <= {"train", "val", "test"}
    assert all(sample.files or sample.token for sample in dataset.samples)


def test_reading_gives_bytes_of_known_classes_and_the_same_ones_twice(spec, dataset):
    seen = set()
    for sample in dataset.samples[:12]:
        image, labels = dataset.read(sample)
        again = dataset.read(sample)
        kind, bands = (np.uint16, 6) if spec.name == "bands" else (np.uint8, 3)
        assert (image.dtype, labels.dtype) == (kind, np.uint8)
        assert image.shape == (*labels.shape, bands)
        np.testing.assert_array_equal(image, again[0])
        np.testing.assert_array_equal(labels, again[1])
        seen |= set(np.unique(labels).tolist())
    assert seen - {IGNORE_INDEX} == set(range(spec.num_classes))


def test_a_data_set_that_needs_a_folder_says_which_and_where_from(spec, tmp_path):
    if not spec.needs_data_dir:
        pytest.skip("needs no folder")
    load = import_by_name(spec.adapter)
    with pytest.raises(BenchError, match=r"does not exist.*https://.*--data-dir.*bench prepare"):
        load(tmp_path / "nowhere")
    with pytest.raises(BenchError, match=r"has no .*--data-dir"):
        load(tmp_path)


def test_every_data_set_file_says_where_the_data_comes_from(spec):
    text = inspect.getdoc(inspect.getmodule(import_by_name(spec.adapter)))
    assert "Splits:" in text
    assert "Licence:" in text or "Made for segbench." in text


# ---------------------------------------------------------------- pets


@pytest.fixture
def folder(tmp_path):
    return write_fake_pets(tmp_path / "pets")


def sample_of(dataset, name):
    return next(sample for sample in dataset.samples if sample.name == name)


def put(folder: Path, name: str, image: Image.Image, trimap: list[list[int]], kind: str = "PNG") -> None:
    """Replace one pair; a PNG where the values must survive."""
    image.save(folder / "images" / f"{name}.jpg", kind)
    Image.fromarray(np.array(trimap, np.uint8)).save(folder / "annotations" / "trimaps" / f"{name}.png")


def test_pets_takes_the_official_splits(folder):
    dataset = pets.load(folder)
    listed = {
        split: [line.split()[0] for line in (folder / "annotations" / name).read_text().splitlines()]
        for split, name in (("train", "trainval.txt"), ("test", "test.txt"))
    }
    for split, names in listed.items():
        assert [sample.name for sample in dataset.samples if sample.split == split] == names
    assert dataset.notes == ()


@pytest.mark.parametrize(
    ("load", "expected"), [(pets.load, [[0, 1], [2, 2]]), (pets.load_binary, [[1, 0], [1, 1]])], ids=["three", "two"]
)
def test_pets_labels_by_hand(folder, load, expected):
    put(folder, "beagle_2", Image.new("RGB", (2, 2)), [[1, 2], [3, 3]])
    dataset = load(folder)
    assert dataset.read(sample_of(dataset, "beagle_2"))[1].tolist() == expected


def test_pets_reads_a_png_with_alpha_and_a_gif_that_are_named_jpg(folder):
    rgba = Image.new("RGBA", (2, 1), (10, 20, 30, 255))
    rgba.putpixel((1, 0), (40, 50, 60, 0))  # the alpha channel is dropped: a clear pixel keeps its colour
    put(folder, "Abyssinian_5", rgba, [[1, 2]])
    gif = Image.new("P", (2, 1), 7)
    gif.putpalette([0, 0, 0] * 7 + [70, 80, 90])
    put(folder, "Abyssinian_7", gif, [[2, 2]], kind="GIF")

    dataset = pets.load(folder)
    assert dataset.read(sample_of(dataset, "Abyssinian_5"))[0].tolist() == [[[10, 20, 30], [40, 50, 60]]]
    assert dataset.read(sample_of(dataset, "Abyssinian_7"))[0].tolist() == [[[70, 80, 90], [70, 80, 90]]]


def test_pets_notes_what_is_listed_and_absent(folder):
    for name in ("Abyssinian_1", "beagle_12"):
        (folder / "images" / f"{name}.jpg").unlink()
        (folder / "annotations" / "trimaps" / f"{name}.png").unlink()

    dataset = pets.load(folder)
    assert len(dataset.samples) == 10
    assert dataset.notes == ("2 of the 12 files that the lists name are absent",)


def test_pets_names_the_first_pictures_in_no_list(folder):
    for name in ("zebra_3", "zebra_1", "zebra_2", "yak_1", "._beagle_2"):
        (folder / "images" / f"{name}.jpg").write_bytes(b"")
    assert pets.load(folder).notes == (
        "4 of 16 pictures are in no list and left out: yak_1, zebra_1, zebra_2 and 1 more",
    )


JUNK = ("._000000000000_01.jpg", "._000000000000_01_mask.gif", ".hidden.jpg", "Thumbs.db", ".DS_Store", "desktop.ini")


def test_what_systems_leave_in_a_folder_is_no_sample(spec, tmp_path):
    if not spec.needs_data_dir:
        pytest.skip("needs no folder")
    load, folder = import_by_name(spec.adapter), FAKES[spec.name](tmp_path)
    before = load(folder)
    for place in {file.parent for file in folder.rglob("*") if file.is_file()}:
        for name in JUNK:
            (place / name).write_bytes(b"\0\5\x16\7")
    after = load(folder)
    assert (after.samples, after.notes) == (before.samples, before.notes)


def test_pets_names_the_file_at_fault(folder):
    dataset = pets.load(folder)
    put(folder, "Abyssinian_1", Image.new("RGB", (2, 3)), [[1, 2]])
    with pytest.raises(BenchError, match=r"Abyssinian_1\.png: the mask has 1x2 pixels, its image 3x2"):
        dataset.read(sample_of(dataset, "Abyssinian_1"))
    put(folder, "Abyssinian_1", Image.new("RGB", (2, 1)), [[0, 9]])
    with pytest.raises(BenchError, match=r"Abyssinian_1\.png: a trimap's values are 1, 2 and 3, not \[0, 9\]"):
        dataset.read(sample_of(dataset, "Abyssinian_1"))
    (folder / "annotations" / "trimaps" / "Abyssinian_1.png").unlink()
    with pytest.raises(BenchError, match=r"Abyssinian_1\.png: missing"):
        dataset.read(sample_of(dataset, "Abyssinian_1"))
    picture = folder / "images" / "beagle_2.jpg"
    picture.write_bytes(picture.read_bytes()[:200])
    with pytest.raises(BenchError, match=r"beagle_2\.jpg: can't be decoded"):
        dataset.read(sample_of(dataset, "beagle_2"))


def test_pets_refuses_a_trimap_of_several_channels(folder):
    Image.new("RGB", (50, 40)).save(folder / "annotations" / "trimaps" / "beagle_2.png")
    dataset = pets.load(folder)
    with pytest.raises(BenchError, match=r"beagle_2\.png: labels must be one channel of 8 bits"):
        dataset.read(sample_of(dataset, "beagle_2"))


# ---------------------------------------------------------------- shapes


def test_shapes_has_its_splits():
    assert Counter(sample.split for sample in shapes.load(None).samples) == {"train": 400, "val": 40, "test": 100}


def test_shapes_draws_the_same_pixels_on_every_machine():
    dataset = shapes.load(None)
    image, labels = dataset.read_at(dataset.samples[0], (48, 64))
    digest = hashlib.sha256(image.tobytes() + labels.tobytes()).hexdigest()
    # A change of the pictures makes old results incomparable: it needs another _VERSION.
    assert digest[:16] == "831f74ec2486f9c3"


def test_shapes_draws_one_scene_at_any_size():
    dataset = shapes.load(None)
    small, large = (dataset.read_at(dataset.samples[3], size)[1] for size in ((40, 60), (120, 180)))
    assert small.shape == (40, 60)
    # The centre of a small pixel is the centre of the middle one of its 3 x 3 large ones.
    assert (small == large[1::3, 1::3]).mean() > 0.99


def test_shapes_classes_are_common_enough_to_learn():
    labels = np.stack([shapes.load(None).read_at(s, (32, 32))[1] for s in shapes.load(None).samples[:60]])
    shares = np.bincount(labels.ravel(), minlength=5) / labels.size
    assert 0.5 < shares[0] < 0.75
    assert (shares[1:] > 0.04).all()


def test_shapes_can_not_be_classified_by_colour():
    """A linear model of a pixel's colour, fitted by least squares to one-hot labels, scores mIoU < 0.25."""
    dataset = shapes.load(None)
    rows = [dataset.read_at(sample, (32, 32)) for sample in dataset.samples]
    colors = np.stack([image for image, _ in rows]).reshape(-1, 3) / 255.0
    labels = np.stack([labels for _, labels in rows]).ravel()
    features = np.hstack([colors, colors**2, np.ones((len(colors), 1))])
    cut = 400 * 32 * 32
    weights = np.linalg.lstsq(features[:cut], np.eye(5)[labels[:cut]], rcond=None)[0]
    for bias in (0.0, 0.4):  # with the background held back too: least squares would predict nothing else
        predicted = np.argmax(features[cut:] @ weights - bias * np.eye(5)[0], axis=1)
        assert mean_iou(labels[cut:], predicted) < 0.25


def mean_iou(labels: np.ndarray, predicted: np.ndarray) -> float:
    matrix = np.bincount(labels * 5 + predicted, minlength=25).reshape(5, 5)
    hits = np.diag(matrix)
    return float((hits / (matrix.sum(0) + matrix.sum(1) - hits)).mean())
