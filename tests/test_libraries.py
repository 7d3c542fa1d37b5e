"""Data sets of tensorflow-datasets and Hugging Face, read from the root: features, classes, splits and names."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fakes import write_fake_folder
from typer.testing import CliRunner

from bench.cli import app
from bench.config import catalog, checks
from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.core.trial_config import TrialConfig
from bench.data import pack
from bench.data.source import Source, open_source
from bench.datasets.image_files import read_picture
from bench.datasets.library_export import _clean, _encoded
from bench.datasets.library_features import Feature, image_and_mask
from bench.datasets.prefixes import PREFIXES
from bench.trials.identity import trial_identity, trial_key

HERE = Path(__file__).parent
TFDS = pytest.mark.needs("tensorflow_datasets", "tensorflow", "importlib_resources")
HF = pytest.mark.needs("datasets")


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """The cache of a test, and the working directory in which `import datasets` would find ours."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf_home"))
    monkeypatch.setenv("PYTHONPATH", str(HERE.parent))
    monkeypatch.chdir(HERE.parent)


def made(tmp_path_factory: pytest.TempPathFactory, script: str) -> Path:
    folder = tmp_path_factory.mktemp("libraries")
    command = [sys.executable, "-P", str(HERE / script), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def tfds(tmp_path_factory):
    return made(tmp_path_factory, "fake_tfds.py")


@pytest.fixture(scope="module")
def hf(tmp_path_factory):
    return made(tmp_path_factory, "fake_hf.py")


def opened(name: str, data_dir: Path | None = None, **params: str) -> Source:
    spec, folder = catalog.find_dataset(name, data_dir)
    return open_source(spec, folder, checks.params(params, spec))


def sizes(source: Source) -> list[int]:
    return [len(source.of_split(split)) for split in ("train", "val", "test")]


def all_labels(source: Source) -> set[int]:
    return {int(v) for sample in source.samples for v in np.unique(source.dataset.read(sample)[1])}


# ---------------------------------------------------------------- tensorflow-datasets


@TFDS
def test_labels_give_the_classes_and_file_names_the_names(tfds):
    source = opened("tfds:fake_named", tfds / "array_record")
    assert source.spec.classes == ("ground", "disk", "ring", "never")
    assert sizes(source) == [11, 1, 4]  # validation is the test split; a tenth of train becomes validation
    assert "validation images are the test split" in " ".join(source.notes)
    assert "images from image, masks from annotated" in source.notes[0]
    assert {sample.name for sample in source.of_split("test")} == {f"validation/photo_{n}" for n in range(4)}
    assert all_labels(source) == {0, 1, 2}


@TFDS
def test_both_formats_of_records_give_the_same_fingerprint(tfds):
    spec, _ = catalog.find_dataset("tfds:fake_named")
    first, second = (pack.prepare(spec, (24, 32), data_dir=tfds / form) for form in ("array_record", "tfrecord"))
    assert first.fingerprint == second.fingerprint


@TFDS
def test_images_of_one_split_are_divided_and_configurations_named(tfds):
    source = opened("tfds:fake_plain/small", tfds / "array_record")
    assert sizes(source) == [14, 2, 4]
    assert source.spec.classes == ("class_0", "class_1", "class_2")
    with pytest.raises(BenchError, match=r"no tfds:fake_plain/other2\. .* has: small"):
        opened("tfds:fake_plain/other2", tfds / "array_record")


@TFDS
def test_fractions_are_doubted_and_a_classes_file_settles_them(tfds, tmp_path):
    folder = tfds / "array_record"
    assert opened("tfds:fake_typed", folder).spec.classes == ("class_0", "class_1", "class_2")
    with pytest.raises(BenchError, match=r"--dataset-param classes=PATH.*the masks have fractions"):
        opened("tfds:fake_typed", folder, mask="soft_mask")
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"classes": ["off", "on"], "threshold": 0.5}), encoding="utf-8")
    source = opened("tfds:fake_typed", folder, mask="soft_mask", classes=str(file))
    assert source.spec.classes == ("off", "on")
    assert all_labels(source) == {0, 1}


@TFDS
def test_the_folder_of_a_version_is_read_too(tfds):
    assert sizes(opened("tfds:fake_named", tfds / "array_record" / "fake_named" / "1.2.0")) == [11, 1, 4]


@TFDS
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tfds:oxford_iit_pet", r"Did you mean 'oxford_iiit_pet'\? .*isn't prepared in"),
        ("tfds:cityscapes", r"isn't prepared in .* and can't be downloaded: Manual directory .* --data-dir"),
        ("tfds:", r"'tfds:' names nothing\. Write tfds:NAME"),
    ],
)
def test_a_data_set_that_is_not_there_is_one_line(tmp_path, name, says):
    with pytest.raises(BenchError, match=says) as error:
        opened(name, tmp_path)
    assert "\n" not in str(error.value)


@TFDS
def test_opening_imports_neither_library_nor_tensorflow(tfds):
    code = (
        "import sys; from bench.config import catalog; from bench.data.source import open_source; "
        f"open_source(*catalog.find_dataset('tfds:fake_named', {str(tfds / 'array_record')!r})); "
        "sys.exit(' '.join({'tensorflow', 'tensorflow_datasets', 'keras'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# ---------------------------------------------------------------- Hugging Face


@HF
def test_id2label_names_the_classes_and_images_without_a_mask_are_counted(hf):
    source = opened(f"hf:{hf / 'named'}")
    assert source.spec.classes == ("ground", "disk", "ring", "none")
    assert sizes(source) == [12, 4, 4]
    assert "1 images of the split test have no mask and are left out" in source.notes
    assert [sample.name for sample in source.of_split("val")] == ["200", "201", "202", "203"]
    assert all_labels(source) == {0, 1, 2}


@HF
@pytest.mark.parametrize("name", ["alone", "repository"])
def test_arrays_of_labels_and_copies_of_repositories_are_read(hf, name):
    source = opened(f"hf:{hf / name}")
    assert sizes(source) == [14, 2, 4]
    assert source.spec.classes == ("class_0", "class_1", "class_2")


@HF
def test_an_owner_s_data_set_is_read_from_the_folder_of_its_name(hf):
    assert sizes(opened("hf:somebody/repository", hf / "repository")) == [14, 2, 4]


@HF
def test_the_name_of_a_folder_finds_it_again(hf):
    spec, folder = catalog.find_dataset(f"hf:{hf / 'alone'}")
    assert (spec.name, folder) == ("hf:alone", str(hf / "alone"))
    assert catalog.find_dataset(spec.name, folder) == (spec, str(folder))


@HF
def test_a_changed_folder_is_read_again(hf, tmp_path):
    copy = tmp_path / "alone"
    shutil.copytree(hf / "alone", copy)
    spec, _ = catalog.find_dataset(f"hf:{copy}")
    first = pack.prepare(spec, (24, 32), data_dir=copy).fingerprint
    shutil.rmtree(copy)
    assert pack.prepare(spec, (24, 32), data_dir=copy).fingerprint == first  # from the copied files
    shutil.copytree(hf / "colours", copy)
    with pytest.raises(BenchError, match=r"20 masks .* have colours, #000000, #c80000"):
        opened(f"hf:{copy}")


@HF
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("unclear", r"no feature that is clearly the mask.*mask=NAME.*image \(Image.*second \(Image"),
        ("configs", r"available configs: \['big', 'little'\].*config=NAME"),
        ("colours", r"have colours, #000000, #c80000"),
    ],
)
def test_what_is_unclear_is_an_error_that_names_the_parameter(hf, name, says):
    with pytest.raises(BenchError, match=says):
        opened(f"hf:{hf / name}")
    settled = {"unclear": {"mask": "second"}, "configs": {"config": "little"}}
    if name in settled:
        assert sizes(opened(f"hf:{hf / name}", **settled[name])) == [14, 2, 4]


@HF
def test_a_data_set_that_can_not_be_reached_is_one_line():
    with pytest.raises(BenchError, match=r"Couldn't reach .*'nobody/nothing'.*hf:PATH reads") as error:
        opened("hf:nobody/nothing")
    assert "\n" not in str(error.value)


@HF
def test_the_key_holds_the_content_of_a_classes_file_and_not_its_place(hf, tmp_path):
    keys = []
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        file = tmp_path / place / "classes.json"
        file.write_text('{"off": "#000000", "on": "#c80000"}', encoding="utf-8")
        given = TrialConfig("unet", f"hf:{hf / 'colours'}", dataset_params={"classes": str(file)}, image_size=(32, 32))
        config = catalog.resolve_config(given)
        made = pack.prepare(
            *(catalog.dataset(config), (32, 32)), data_dir=config.data_dir, params=config.dataset_params
        )
        keys.append(trial_key(config, made.fingerprint))
    assert keys[0] == keys[1]
    assert re.fullmatch(r"unet_hf-colours_s0_[0-9a-f]+_[0-9a-f]+", trial_identity(config, keys[0], "cpu"))
    with pytest.raises(BenchError, match=r"'classes' of hf:colours is 'absent\.json', and there is no such file"):
        opened(f"hf:{hf / 'colours'}", classes="absent.json")


# ---------------------------------------------------------------- the parts

PICTURE, LABELS, OTHER = Feature("image", "Image"), Feature("labels", "LabeledImage"), Feature("other", "Scalar")


@pytest.mark.parametrize(
    ("features", "found"),
    [
        ({"image": PICTURE, "annotation": PICTURE}, ("image", "annotation")),
        ({"pixel_values": PICTURE, "label": PICTURE}, ("pixel_values", "label")),
        ({"image_left": PICTURE, "segmentation_label": PICTURE, "id": OTHER}, ("image_left", "segmentation_label")),
        ({"image": PICTURE, "depth": PICTURE, "gt": PICTURE}, ("image", "gt")),
        ({"rgb": PICTURE, "regions": LABELS, "instance_mask": PICTURE}, ("rgb", "regions")),
        ({"image": PICTURE, "trimap": PICTURE, "label": OTHER}, ("image", "trimap")),
        ({"unmasked": PICTURE, "target": PICTURE}, ("unmasked", "target")),
    ],
)
def test_the_image_and_the_mask_are_found(features, found):
    assert image_and_mask(features, "", "", "x") == found


@pytest.mark.parametrize(
    ("features", "key"),
    [
        ({"image": PICTURE, "semantic_mask": PICTURE, "instance_mask": PICTURE}, "mask"),
        ({"image": PICTURE, "label": OTHER}, "mask"),
        ({"before": PICTURE, "after": PICTURE, "mask": PICTURE}, "image"),
    ],
)
def test_two_features_that_fit_are_not_chosen_from(features, key):
    with pytest.raises(BenchError, match=f"{key}=NAME. It has: "):
        image_and_mask(features, "", "", "x")
    with pytest.raises(BenchError, match="x has no feature 'other'"):
        image_and_mask(features, "", "other", "x")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (b"a/b.jpg", "a/b"),
        ("../../etc/x.png", "_/_/etc/x"),
        (17, "17"),
        ("v1.2 final", "v1.2_final"),
        ("C:\\x.tif", "C_/x"),
    ],
)
def test_names_are_safe_and_have_no_suffix(given, name):
    assert _clean(given) == name


@pytest.mark.parametrize(
    ("array", "suffix"),
    [
        (np.array([[0, 200]], np.int64), ".png"),
        (np.array([[0, 70_000]], np.int64), ".tif"),
        (np.array([[0, 24_003]], np.uint16), ".tif"),
        (np.array([[[0.5]]], np.float64), ".tif"),
        (np.array([[True]]), ".png"),
    ],
)
def test_arrays_keep_their_values(array, suffix, tmp_path):
    from PIL import Image

    content, found = _encoded(array)
    (tmp_path / f"x{found}").write_bytes(content)
    assert found == suffix
    assert (np.array(Image.open(tmp_path / f"x{found}")).ravel() == array.ravel()).all()


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 13])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_arrays_of_any_bands_are_read_as_they_are(bands, kind, tmp_path):
    array = np.random.default_rng(0).integers(0, 200, (7, 9, bands)).astype(kind)
    content, suffix = _encoded(array)
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    grey, rgba = kind == "uint8" and bands == 1, kind == "uint8" and bands == 4
    chosen = (0,) if grey else (0, 1, 2, 3) if rgba else ()  # of photographs, grey is three bands and alpha is left out
    found = read_picture(path, bands=chosen).array()
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_the_list_of_data_sets_shows_the_prefixes():
    assert [prefix.form for prefix in PREFIXES] == ["folder:PATH", "tfds:NAME[/CONFIG]", "hf:OWNER/NAME"]


def test_write_classes_proposes_for_a_folder_and_says_what_to_do_for_a_library(tmp_path):
    write_fake_folder(tmp_path / "mine", count=6)
    (tmp_path / "mine" / "classes.json").unlink(missing_ok=True)
    done = CliRunner().invoke(app, ["prepare", f"folder:{tmp_path / 'mine'}", "--write-classes"])
    assert (done.exit_code, (tmp_path / "mine" / "classes.json").exists()) == (0, True)
    done = CliRunner().invoke(app, ["prepare", "tfds:any", "--write-classes"])
    assert done.exit_code == 2
    assert "folder:PATH, not for tfds:any. Write the file by hand, and give it by --dataset-param" in done.stderr
