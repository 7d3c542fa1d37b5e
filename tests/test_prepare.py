"""`bench prepare`: health reports, exported masks, parts of a data set, and Kaggle downloads."""

import json
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fakes import write_fake_airbus, write_fake_carvana, write_fake_folder, write_fake_pets
from PIL import Image
from typer.testing import CliRunner

from bench.cli import app
from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.data import kaggle_download
from bench.data.download import fetch
from bench.data.source import open_source
from bench.datasets import DATASETS, carvana

CARVANA, AIRBUS = (next(s for s in DATASETS if s.name == name) for name in ("carvana", "airbus"))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "cache"


def bench(*arguments) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def rows(output: str) -> dict[str, list[str]]:
    """The lines of tables, by their first words."""
    lines = [line.split("  ") for line in output.splitlines()]
    return {cells[0].strip(): [c.strip() for c in cells[1:] if c.strip()] for cells in
            ([c for c in line if c.strip()] for line in lines) if cells}  # fmt: skip


# ---------------------------------------------------------------- health


@pytest.fixture
def folder(tmp_path):
    return write_fake_folder(tmp_path / "mine", count=20)


def test_a_healthy_folder_can_be_trained_on(folder):
    code, output = bench("prepare", f"folder:{folder}", "--check")
    table = rows(output)
    assert code == 0
    assert table["train"] == ["14", "14"]
    assert table["val"] == ["2", "2"]
    assert table["test"] == ["4", "4"]
    assert [table[str(label)][0] for label in range(3)] == ["class_0", "class_1", "class_2"]
    assert sum(float(table[str(label)][1].rstrip("%")) for label in range(3)) == pytest.approx(100, abs=0.02)
    assert table["1"][2] == "20"
    assert "sizes (height x width): 40 x 50 (20)" in output
    assert table["missing or unmatched files"] == ["0"]
    assert "Training can begin." in output


def test_every_kind_of_problem_is_counted_and_named(folder):
    write_fake_folder(folder, count=40)
    (folder / "classes.json").write_text(json.dumps(["ground", "pet", "border", "sky"]))
    masks = folder / "masks"
    (folder / "images" / "s0.jpg").unlink()
    (masks / "s1.png").unlink()
    Image.new("L", (9, 9)).save(masks / "s2.png")
    Image.fromarray(np.full((40, 50), 7, np.uint8)).save(masks / "s3.png")
    picture = folder / "images" / "s4.jpg"
    picture.write_bytes(picture.read_bytes()[:900])
    code, output = bench("prepare", f"folder:{folder}", "--check")
    table = rows(output)
    assert code == 1
    assert table["missing or unmatched files"] == ["2"]
    assert table["masks of another size than their image"] == ["1"]
    assert table["label values without a class"] == ["1"]
    assert table["unreadable files"] == ["1"]
    assert table["classes that no image has"] == ["1: sky"]
    for text in (
        f"{masks / 's0.png'}: a mask without an image, {folder / 'images' / 's0.*'} is missing.",
        f"{masks / 's1.*'}: missing",
        f"{masks / 's2.png'}: the mask has 9x9 pixels, its image 40x50",
        f"{masks / 's3.png'}: the values [7] are not classes. Accepted: 0, 1, 2, 3",
        f"{picture}: can't be decoded",
        "Training would fail: fix the files, or leave them out with --skip-corrupt.",
    ):
        assert text in output
    assert not (folder.parent / "cache" / "packs").exists()
    code, output = bench("prepare", f"folder:{folder}", "--check", "--skip-corrupt")
    assert code == 0
    assert "warning: no image has the class 'sky'." in output
    assert "Look at this first: the warning above." in output
    assert "5 images are left out." in output
    code, output = bench("prepare", f"folder:{folder}", "--skip-corrupt", "--image-size", "16")
    assert code == 0
    assert "5 corrupt samples left out: s0, s1, s2, s3, s4" in output


def test_a_split_that_is_left_empty_would_fail(folder):
    for name, stems in (("train", ["s0", "s1"]), ("val", ["s2"]), ("test", ["s3"])):
        (folder / f"{name}.txt").write_text("\n".join(stems))
    (folder / "images" / "s3.jpg").unlink()
    code, output = bench("prepare", f"folder:{folder}", "--check", "--skip-corrupt")
    assert code == 1
    assert "error: no images are left in the split test." in output
    assert "note: 16 of 20 images are in no list and left out" in output
    code, output = bench("prepare", f"folder:{folder}", "--skip-corrupt", "--image-size", "16")
    assert code == 2
    assert "has no test images" in output


def test_equal_faults_are_one_line_and_no_advice_would_leave_nothing(folder):
    (folder / "classes.json").write_text(json.dumps({"sky": 70, "sea": 80}))
    code, output = bench("prepare", f"folder:{folder}", "--check")
    assert code == 1
    assert output.count("are not classes. Accepted: 70, 80.") == 1
    assert (
        "s0.png: the values [0, 1, 2] are not classes. Accepted: 70, 80. Likewise s1.png, s10.png, s11.png and 16 more"
        in output
    )
    assert "--skip-corrupt" not in output
    assert output.rstrip().endswith("Training would fail: fix the files.")


def test_the_check_works_for_every_data_set(tmp_path):
    code, output = bench("prepare", "pets", "--data-dir", write_fake_pets(tmp_path / "pets"), "--check")
    assert code == 0
    assert rows(output)["1"][0] == "background"


def test_options_that_contradict_are_refused(folder):
    for arguments, says in (
        (("--check", "--export-masks", "x"), "give one of them"),
        (("--per-ship",), "--per-ship needs --export-masks"),
        (("--dataset-param", "balance_ships=5"), "Unknown parameter of folder:mine 'balance_ships'. Did you mean"),
        (("--resize", "squeeze"), "Unknown value of --resize 'squeeze'"),
    ):
        code, output = bench("prepare", f"folder:{folder}", *arguments)
        assert code == 2
        assert says in output


# ---------------------------------------------------------------- parts and masks of Airbus


@pytest.fixture
def ships(tmp_path):
    return write_fake_airbus(tmp_path / "airbus", ships=[0] * 10 + [1] * 8 + [2] * 4)


def test_a_part_of_the_ships_is_prepared(ships):
    code, output = bench(
        "prepare", "airbus", "--data-dir", ships, "--dataset-param", "balance_ships=3", "--image-size", "16"
    )
    assert code == 0
    assert "9 of 22 images chosen (balance 3)" in output
    code, output = bench("prepare", "airbus", "--data-dir", ships, "--dataset-param", "empty_fraction=2")
    assert code == 2
    assert "empty_fraction is 2.0. Accepted: a share from 0 to 1" in output


def test_masks_are_written_for_each_image(ships, tmp_path):
    code, output = bench("prepare", "airbus", "--data-dir", ships, "--export-masks", tmp_path / "masks")
    assert code == 0
    assert "22 masks in" in output
    assert len(list((tmp_path / "masks").iterdir())) == 22
    dataset = open_source(AIRBUS, ships).dataset
    for sample in dataset.samples[8:12]:
        mask = np.asarray(Image.open(tmp_path / "masks" / f"{sample.name}.png"))
        np.testing.assert_array_equal(mask, 255 * dataset.read(sample)[1])
    code, output = bench("prepare", "airbus", "--data-dir", ships, "--export-masks", tmp_path / "masks")
    assert code == 2
    assert "Give --export-masks a new or empty folder" in output


def test_ignored_pixels_are_grey_and_what_lies_beside_stays(tmp_path):
    mask = np.array([[0, 1, 255]], np.uint8)
    for part in ("d/images", "d/masks", "out.part"):
        (tmp_path / part).mkdir(parents=True)
    for name in "abc":
        Image.fromarray(mask).save(tmp_path / "d" / "masks" / f"{name}.png")
        Image.new("RGB", (3, 1)).save(tmp_path / "d" / "images" / f"{name}.png")
    (tmp_path / "out.part" / "thesis.txt").touch()
    code, _ = bench("prepare", f"folder:{tmp_path / 'd'}", "--export-masks", tmp_path / "out")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png", "c.png"]
    assert np.asarray(Image.open(tmp_path / "out" / "a.png")).tolist() == [[0, 255, 128]]
    assert (tmp_path / "out.part" / "thesis.txt").exists()


def test_masks_are_written_for_each_ship(ships, tmp_path):
    code, _ = bench("prepare", "airbus", "--data-dir", ships, "--export-masks", tmp_path / "each", "--per-ship")
    assert code == 0
    names = sorted(path.stem for path in (tmp_path / "each").iterdir())
    assert len(names) == 8 + 2 * 4
    assert names[-2:] == ["000000015_1", "000000015_2"]
    both = [np.asarray(Image.open(tmp_path / "each" / f"{name}.png")) for name in names[-2:]]
    assert [int((mask == 255).sum()) for mask in both] == [240, 240]
    assert not np.logical_and(*both).any()


def test_masks_of_a_broken_table_leave_nothing_half_written(ships, tmp_path):
    with (ships / "train_ship_segmentations_v2.csv").open("a") as file:
        file.write("000000000.jpg,1\n")
    code, output = bench("prepare", "airbus", "--data-dir", ships, "--export-masks", tmp_path / "masks")
    assert code == 2
    assert "1 of the 22 samples" in output
    assert "row 28, 000000000.jpg" in output
    assert not list(tmp_path.glob("masks*"))
    code, output = bench(
        "prepare", "airbus", "--data-dir", ships, "--export-masks", tmp_path / "masks", "--skip-corrupt"
    )
    assert code == 0
    assert "21 masks in" in output
    assert "1 images left out" in output


def test_a_data_set_without_objects_has_no_masks_of_them(tmp_path):
    cars = write_fake_carvana(tmp_path / "carvana")
    code, output = bench("prepare", "carvana", "--data-dir", cars, "--export-masks", tmp_path / "m", "--per-ship")
    assert code == 2
    assert "'carvana' has no masks of single objects" in output


# ---------------------------------------------------------------- Kaggle


@pytest.fixture
def kagglehub(monkeypatch, tmp_path):
    """A stand-in for the library: it serves zip files from `served` and notes what is asked for."""
    served, asked = tmp_path / "served", []

    def download(competition, path=None):
        asked.append((competition, path))
        return str(served / path if path else served)

    module, config = types.ModuleType("kagglehub"), types.ModuleType("kagglehub.config")
    module.competition_download = download
    config.get_kaggle_credentials = lambda: object()
    config.get_cache_folder = lambda: str(tmp_path / "not" / "yet")
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    monkeypatch.setitem(sys.modules, "kagglehub.config", config)
    served.mkdir()
    return types.SimpleNamespace(served=served, asked=asked, module=module, config=config)


def zip_folder(source: Path, part: str, target: Path) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted((source / part).iterdir()):
            archive.write(path, f"{part}/{path.name}")


def test_carvana_comes_in_archives_and_is_kept(kagglehub, tmp_path):
    cars = write_fake_carvana(tmp_path / "cars")
    for part in ("train", "train_masks"):
        zip_folder(cars, part, kagglehub.served / f"{part}.zip")
    folder = fetch(CARVANA)
    assert len(carvana.load(folder).samples) == 18
    assert [path for _, path in kagglehub.asked] == ["train.zip", "train_masks.zip"]
    assert fetch(CARVANA) == folder
    assert len(kagglehub.asked) == 2
    code, _ = bench("prepare", "carvana", "--image-size", "16")
    assert code == 0


def test_airbus_comes_whole(kagglehub, monkeypatch):
    monkeypatch.setattr(kaggle_download, "check_space", lambda *arguments: None)
    write_fake_airbus(kagglehub.served)
    assert fetch(AIRBUS) == kagglehub.served
    assert kagglehub.asked == [("airbus-ship-detection", None)]


@pytest.mark.parametrize("harm", ["cut", "refused"])
def test_a_download_that_fails_says_how_to_get_it_by_hand(kagglehub, tmp_path, harm, cache):
    cars = write_fake_carvana(tmp_path / "cars")
    for part in ("train", "train_masks"):
        zip_folder(cars, part, kagglehub.served / f"{part}.zip")
    if harm == "cut":
        archive = kagglehub.served / "train_masks.zip"
        archive.write_bytes(archive.read_bytes()[:-200])
    else:
        kagglehub.module.competition_download = lambda *a, **k: (_ for _ in ()).throw(OSError("403: accept the rules"))
    with pytest.raises(BenchError) as error:
        fetch(CARVANA)
    assert "'carvana' can't be downloaded from Kaggle (" in str(error.value)
    assert "kaggle.com/c/carvana-image-masking-challenge/data" in str(error.value)
    assert "--data-dir" in str(error.value)
    assert not list(cache.rglob("*.complete"))


def test_without_library_or_credentials_one_message_says_what_to_do(kagglehub, monkeypatch):
    kagglehub.config.get_kaggle_credentials = lambda: None
    code, output = bench("prepare", "airbus")
    assert code == 2
    assert "there are no Kaggle credentials" in output
    assert "train_ship_segmentations_v2.csv from https://www.kaggle.com/c/airbus-ship-detection/data" in output
    assert "--data-dir" in output
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    code, output = bench("prepare", "airbus")
    assert code == 2
    assert "pip install 'segbench[kaggle]'" in output
    assert kagglehub.asked == []


def test_room_on_the_disk_comes_first(kagglehub, monkeypatch):
    usage = types.SimpleNamespace(free=10**9)
    monkeypatch.setattr("bench.core.files.shutil.disk_usage", lambda path: usage)
    with pytest.raises(BenchError, match=r"Downloading 'airbus' needs 61\.4 GiB"):
        fetch(AIRBUS)
    assert kagglehub.asked == []


def test_a_run_says_what_it_would_download_and_fetches_nothing_yet(kagglehub, monkeypatch, tmp_path):
    monkeypatch.setattr("bench.config.checks.installed", lambda name: True)
    arguments = ("run", "--arch", "unet", "--dataset", "airbus", "--dry-run", "--results", tmp_path / "results")
    code, output = bench(*arguments)
    assert code == 0
    assert "airbus: 29.3 GiB will be downloaded from Kaggle." in output
    kagglehub.config.get_kaggle_credentials = lambda: None
    code, output = bench(*arguments)
    assert code == 2
    assert "there are no Kaggle credentials" in output
    assert kagglehub.asked == []


def test_a_proposal_is_printed_even_where_a_file_is_kept(folder):
    (folder / "classes.json").write_text('["a", "b", "c"]', encoding="utf-8")
    code, output = bench("prepare", f"folder:{folder}", "--write-classes")
    assert code == 2
    assert '"class_0": 0' in output
    assert "exists and is not overwritten" in output
    assert (folder / "classes.json").read_text(encoding="utf-8") == '["a", "b", "c"]'
