"""Use finished trials again: score their weights, apply them to images, start from them. Real trials, run once."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from fakes import write_fake_pets
from PIL import Image
from running import run

from bench.core.files import file_hash
from bench.core.specs import Budget
from bench.core.trial_config import TrialConfig
from bench.datasets.rle import rle_decode
from bench.evaluation.corruptions.corruption_table import Condition
from bench.evaluation.image_table import read_table
from bench.evaluation.metrics.objects import components
from bench.evaluation.summary import summarise
from bench.results.loading import load
from bench.results.robustness import condition_files
from bench.results.trial_files import KEEP, RECORD, WEIGHTS

SCRIPT = Path(__file__).with_name("saved_checks.py")
SIZES = {"tall": (70, 30), "wide": (20, 90), "same": (32, 32)}


PLUGIN = """
import keras
from bench.plugin import architecture

@architecture(name="norm_net", size_divisor=2)
def build_norm_net(input_shape, num_classes, *, filters=8):
    inputs = x = keras.Input(input_shape)
    x = keras.layers.Conv2D(filters, 3, strides=2, padding="same")(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.999)(x))
    x = keras.layers.Conv2D(num_classes, 1, dtype="float32", name="logits")(x)
    return keras.Model(inputs, keras.layers.UpSampling2D(2, interpolation="bilinear", dtype="float32")(x))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory, quick_backend):
    """A folder with data, pictures and the results of two trials of a plug-in: a binary one, one that starts from it.

    The first one's folder also stands under the names of the competitions, as if it had been trained on their data.
    """
    place = tmp_path_factory.mktemp("saved")
    data = write_fake_pets(place / "pets", count=12)
    write_fake_pets(place / "others", count=9, seed=1)
    write_pictures(place / "pictures")
    (place / "norm_net.py").write_text(PLUGIN)
    common = {"batch_size": 4, "backend": quick_backend, "data_dir": str(data), "image_size": (32, 32)}
    common |= {"plugin": str(place / "norm_net.py"), "budget": Budget(20, "steps")}
    kept = {**common, "keep_predictions": True}
    (first,) = run([TrialConfig("norm_net", "pets-binary", keep_weights="all", **kept)], results=place / "r")
    (trial,) = load([place / "r"]).trials
    start = TrialConfig("norm_net", "pets", init_from=trial.folder.name, keep_weights="none", **common)
    (second,) = run([start], results=place / "r")
    assert (first.status, second.status) == ("ok", "ok"), (first.reason, second.reason)
    for name in ("carvana", "airbus"):
        copy_as(trial.folder, place / name, name)
    shutil.copytree(trial.folder, place / "twin")
    return place


def write_pictures(folder):
    rng = np.random.default_rng(0)
    folder.mkdir()
    for name, (height, width) in SIZES.items():
        noise = rng.integers(0, 256, (height // 5, width // 5, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((width, height)).save(folder / f"{name}.jpg")
    (folder / "broken.png").write_bytes(b"\x89PNG, but no more")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.png")


def copy_as(trial, folder, dataset):
    """A copy of a trial that says it was trained on another data set, and was tuned there."""
    folder.mkdir()
    (folder / WEIGHTS).write_bytes((trial / WEIGHTS).read_bytes())
    record = json.loads((trial / RECORD).read_text())
    record["config"]["dataset"] = dataset
    record["weights"]["source"] = record["weights"]["source"] if dataset == "carvana" else "other code"
    record["metrics"]["tuned"] |= {"threshold": 0.45, "min_area": 3 if dataset == "airbus" else 0}
    (folder / RECORD).write_text(json.dumps(record))


@pytest.fixture(scope="module")
def trials(place):
    """The stored trials by data set."""
    return {trial.record.config["dataset"]: trial for trial in load([place / "r"]).trials}


@pytest.fixture(scope="module")
def record_before(trials):
    return (trials["pets-binary"].folder / RECORD).read_bytes()


@pytest.fixture(scope="module")
def found(place, trials, record_before, quick_backend):
    """Return the result of every command; all run in one process on the trials' backend."""
    results = ["--results", str(place / "r")]
    pictures, binary = str(place / "pictures"), trials["pets-binary"].folder.name
    commands = {
        "test": ["evaluate", binary, *results],
        "val": ["evaluate", str(trials["pets-binary"].folder), "--split", "val", *results],
        "others": ["evaluate", binary, "--data-dir", str(place / "others"), *results],
        "native": ["evaluate", binary, "--eval-size", "native", "--keep-predictions", *results],
        "rescored": ["rescore", binary, *results],
        "three classes": ["evaluate", binary, "--dataset", "pets", *results],
        "no weights": ["evaluate", "norm-net_pets_", *results],
        "split": ["evaluate", binary, "--split", "tset", *results],
        "backend": ["evaluate", binary, "--backend", "caffe", *results],
        "pictures": ["predict", binary, pictures, "nothing.jpg", "--out", str(place / "p"), "--probabilities", "npz",
                     "--threshold", "0.4", *results],
        "again": ["predict", binary, f"{pictures}/*e.jpg", "--out", str(place / "q"), "--probabilities", "png",
                  "--threshold", "0.5", "--no-overlays", *results],
        "carvana": ["predict", str(place / "carvana"), f"{pictures}/*.jpg", "--out", str(place / "c"),
                    "--submission", str(place / "carvana.csv")],
        "airbus": ["predict", str(place / "airbus"), f"{pictures}/*.jpg", "--out", str(place / "a"),
                   "--submission", str(place / "airbus.csv")],
        "no competition": ["predict", binary, pictures, "--out", str(place / "x"), "--submission", "s.csv", *results],
        "no pictures": ["predict", binary, str(place / "r"), "--out", str(place / "x"), *results],
        "no file": ["predict", binary, "nothing.jpg", "--out", str(place / "x"), *results],
        "no match": ["predict", binary, "none*.jpg", "--out", str(place / "x"), *results],
        "no readable": ["predict", binary, str(place / "pictures" / "broken.png"), "--out", str(place / "x"), *results],
        "flips": ["evaluate", binary, "--tta", "flips", *results],
        "scales": ["evaluate", binary, "--tta", "scales", "--split", "val", *results],
        "turns": ["evaluate", binary, "--tta", "turns", *results],
        "flipped": ["predict", binary, f"{pictures}/same.jpg", "--out", str(place / "f"), "--tta", "flips", *results],
        "ensemble": ["ensemble", binary, str(place / "twin"), "--out", str(place / "e.json"), *results],
        "ensemble of one": ["ensemble", binary, binary, *results],
        "ensemble of others": ["ensemble", binary, str(place / "carvana"), *results],
        "robust": ["robustness", binary, "--kinds", "rotation,noise", "--severities", "1,5", "--test-limit", "3",
                   *results],
        "robust again": ["robustness", binary, "--kinds", "noise", "--severities", "5", "--test-limit", "3", *results],
        "robust elsewhere": ["robustness", binary, "--data-dir", str(place / "others"), "--kinds", "jpeg", *results],
        "robust kind": ["robustness", binary, "--kinds", "fog", *results],
        "robust limit": ["robustness", binary, "--test-limit", "0", *results],
        "robust no weights": ["robustness", "norm-net_pets_", *results],
        "three and a threshold": ["predict", binary, pictures, "--out", "x", "--threshold", "1.5", *results],
    }  # fmt: skip
    commands = {name: [*words, "--plugin", str(place / "norm_net.py")] for name, words in commands.items()}
    commands |= {f"{name} unnamed": commands[name][:-2] for name in ("test", "again")}
    request = place / "request.json"
    request.write_text(json.dumps({"commands": commands, "starts": [str(trials["pets-binary"].folder)]}))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(request)],
        env={**os.environ, "KERAS_BACKEND": quick_backend},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["test unnamed", "again unnamed"])
def test_a_plugin_that_only_the_record_names_is_not_run(found, name):
    assert found[name]["code"] == 2
    assert "code runs only if you name it: --plugin" in " ".join(found[name]["err"].split())


def evaluation(trial, split, size):
    """Return the file that `bench evaluate` wrote for the trial's own data, and the table beside it."""
    mark = trial.record.dataset["fingerprint"][:8]
    file = trial.folder / "evaluations" / f"pets-binary_{split}_{size}_{mark}.json"
    return json.loads(file.read_text()), read_table(file.with_suffix(".parquet"))


def picture(path):
    """Mode and values of a picture."""
    with Image.open(path) as opened:
        return opened.mode, np.array(opened)


def test_the_record_says_where_the_weights_are(trials):
    record = trials["pets-binary"].record
    size = (trials["pets-binary"].folder / WEIGHTS).stat().st_size
    assert record.weights.pop("source") == file_hash(record.config["plugin"])
    assert record.weights == {"file": WEIGHTS, "size_mib": round(size / 2**20, 3)}
    assert 0 < record.ledger["save"] < record.wall_seconds
    assert (trials["pets-binary"].folder / KEEP).is_file()
    assert trials["pets"].record.weights == {"init_from": trials["pets-binary"].folder.name, "new_head": True}
    assert (trials["pets"].weights, trials["pets"].record.ledger["save"]) == (None, 0)


def test_the_same_split_scores_the_same_and_the_record_stays(found, trials, record_before):
    assert found["test"]["code"] == 0, found["test"]
    trial = trials["pets-binary"]
    scored, table = evaluation(trial, "test", "train")
    assert scored["metrics"] == trial.record.metrics
    np.testing.assert_array_equal(table.counts, read_table(trial.folder / "images.parquet").counts)
    assert "in the record" in found["test"]["out"]
    assert (trial.folder / RECORD).read_bytes() == record_before


def test_other_splits_data_and_sizes_have_files_of_their_own(found, trials):
    assert [found[name]["code"] for name in ("val", "others", "native")] == [0, 0, 0]
    trial = trials["pets-binary"]
    scored, table = evaluation(trial, "val", "train")
    assert (scored["split"], scored["dataset"]["images"]) == ("val", len(table.names))
    assert "in the record" not in found["val"]["out"]
    files = (trial.folder / "evaluations").glob("pets-binary_test_train_????????.json")
    assert sorted(json.loads(file.read_text())["dataset"]["images"] for file in files) == [3, 4]
    assert "The data differ from those that the run was trained on" in found["others"]["err"]
    native, table = evaluation(trial, "test", "native")
    assert table.counts[..., [0, 2]].sum() == 4 * 40 * 50  # every pixel of the pictures' own size has a class
    assert "tuned" not in native["metrics"]  # areas were tuned at another size
    assert summarise(table, ["background", "pet"], {}) == native["metrics"]


def test_kept_predictions_give_the_scores_again_to_the_last_bit(found, trials, record_before):
    """Both those of the trial itself and those of an evaluation, from the backend's own numbers."""
    assert found["rescored"]["code"] == 0, found["rescored"]
    folder = trials["pets-binary"].folder
    (native,) = (folder / "evaluations").glob("*.rescored.json")
    for file, table in ((folder / "rescored.json", "images.parquet"), (native, native.name.split(".")[0] + ".parquet")):
        made = json.loads(file.read_text())
        assert made["differing"] == {} and made["added"] == [] and made["table_differs"] == [] and made["equal"]
        before, after = read_table(file.with_name(table)).arrays(), read_table(file.with_suffix(".parquet")).arrays()
        assert all(np.array_equal(before[name], after[name], equal_nan=True) for name in before)
    assert json.loads((folder / "rescored.json").read_text())["metrics"] == trials["pets-binary"].record.metrics
    assert "Predictions: about" in found["native"]["err"] and (folder / RECORD).read_bytes() == record_before


def test_views_have_a_file_of_their_own_with_gain_and_cost(found, trials):
    trial = trials["pets-binary"]
    for name, split, views in (
        ("flips", "test", ["32x32", "32x32 mirrored"]),
        ("scales", "val", ["32x32", "24x24", "40x40"]),
    ):
        assert found[name]["code"] == 0, found[name]
        (file,) = (trial.folder / "evaluations").glob(f"pets-binary_{split}_train_*_{name}.json")
        scored = json.loads(file.read_text())
        assert (
            scored["tta"]["views"] == views
            and min(scored["tta"][k] for k in ("ms_per_image", "ms_per_image_without")) > 0
        )
        gain = scored["metrics"]["mean_iou"] - scored["tta"]["mean_iou_without"]
        assert scored["tta"]["difference"]["mean"] == pytest.approx(gain)
        assert f"--tta {name} ({', '.join(views)}): mean IoU" in found[name]["out"]
    assert scored["tta"]["mean_iou_without"] == evaluation(trial, "val", "train")[0]["metrics"]["mean_iou"]
    assert found["flipped"]["code"] == 0 and (place_of(trial) / "f" / "masks" / "same.png").is_file()


def place_of(trial):
    """The fixture's folder."""
    return trial.folder.parents[2]


def test_an_ensemble_of_twins_scores_as_one_does(found, place, trials):
    assert found["ensemble"]["code"] == 0, found["ensemble"]
    made = json.loads((place / "e.json").read_text())
    metrics = trials["pets-binary"].record.metrics
    assert made["metrics"]["mean_iou"] == pytest.approx(metrics["mean_iou"], abs=1e-3)
    assert [model["name"] for model in made["models"]] == [trials["pets-binary"].folder.name, "twin", "ensemble"]
    assert made["models"][2]["params"] == 2 * made["models"][0]["params"]
    assert made["gain"]["mean"] == pytest.approx(0, abs=1e-3)
    assert read_table(place / "e.parquet").names == read_table(trials["pets-binary"].folder / "images.parquet").names


def test_corrupted_images_are_scored_and_stored_and_not_scored_again(found, trials):
    trial = trials["pets-binary"]
    assert found["robust"]["code"] == found["robust again"]["code"] == 0, found["robust"]
    results = condition_files.stored(trial)[3]
    assert sorted(map(str, results)) == ["clean", "noise 1", "noise 5", "rotation 1", "rotation 5"]
    assert [str(one) for one, result in results.items() if result.picture] == ["noise 5", "rotation 5"]
    by_name = {str(one): json.loads(result.file.read_text()) for one, result in results.items()}
    assert by_name["noise 5"]["mean_iou"] < by_name["clean"]["mean_iou"]
    whole, limited = (read_table(path) for path in (trial.folder / "images.parquet", results[Condition()].table))
    places = [whole.names.index(name) for name in limited.names]
    np.testing.assert_array_equal(limited.counts, whole.counts[places])  # clean images score as in the trial
    assert "relative to clean" in found["robust"]["out"] and "noise" in found["robust again"]["out"]
    assert "rotation" not in found["robust again"]["out"]


def test_other_data_are_not_corrupted(found):
    answer = found["robust elsewhere"]
    assert answer["code"] == 1 and "are not those that the run was trained on" in answer["err"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("three classes", "'pets' has the classes pet, background, border, but 'norm-net_pets-binary"),
        ("no weights", "has no saved weights: it ran with --keep-weights none. Run it again with --keep-weights all"),
        ("split", "Unknown split 'tset'. Did you mean 'test'"),
        ("backend", "does not run with the backend caffe"),
        ("no competition", "there is no competition for 'pets-binary'. Accepted: carvana, airbus."),
        ("no pictures", "has no images (.apng, .avif"),
        ("no file", "There is no file or folder 'nothing.jpg'."),
        ("no match", "No file matches 'none*.jpg'."),
        ("turns", "Unknown test-time augmentation 'turns'. Available: flips, scales."),
        ("ensemble of one", "An ensemble needs two different runs or more, each named once."),
        ("ensemble of others", "An ensemble needs the same data set: 'norm-net_pets-binary"),
        ("robust kind", "Unknown kind of corruption 'fog'. Available: blur, defocus"),
        ("robust limit", "--test-limit is 0. Accepted: 1 or more images."),
        ("robust no weights", "has no saved weights: it ran with --keep-weights none."),
        ("three and a threshold", "--threshold is 1.5. Accepted: a number between 0 and 1."),
    ],
)
def test_a_mistake_is_one_line(found, place, name, message):
    assert (found[name]["code"], found[name]["err"].count("\n")) == (2, 1), found[name]
    assert message in found[name]["err"]
    assert not (place / "x").exists()


def test_pictures_of_any_size_get_masks_of_their_own_size(found, place):
    answer = found["pictures"]
    fifo = hasattr(os, "mkfifo")
    assert (answer["code"], answer["exception"]) == (1, "")  # two or three can't be read: the rest is there
    assert answer["err"].count("\n") == 2 + fifo
    assert "broken.png: can't be decoded" in answer["err"] and "nothing.jpg: missing." in answer["err"]
    assert not fifo or "pipe.png: can't be read (it is a FIFO)." in answer["err"]
    assert f"3 of {5 + fifo} images" in answer["out"] and "class 1 above 0.4" in answer["out"]
    for name, size in SIZES.items():
        (mode, mask), (_, overlay) = (picture(place / "p" / kind / f"{name}.png") for kind in ("masks", "overlays"))
        assert (mode, mask.shape, overlay.shape) == ("P", size, (*size, 3))
        with np.load(place / "p" / "probabilities" / f"{name}.npz") as stored:
            assert stored["probabilities"].dtype == np.float32
            np.testing.assert_array_equal(mask, stored["probabilities"][..., 1] > np.float32(0.4))
            np.testing.assert_allclose(stored["probabilities"].sum(axis=-1), 1, rtol=1e-5)
            assert list(stored["classes"]) == ["background", "pet"]
    assert sorted(path.name for path in (place / "p" / "masks").iterdir()) == [f"{name}.png" for name in sorted(SIZES)]


def test_nothing_is_said_to_be_in_a_folder_that_was_not_made(found, place):
    answer = found["no readable"]
    assert (answer["code"], answer["out"]) == (1, "")
    assert answer["err"].splitlines()[1:] == ["No image could be read, so none is predicted."]
    assert not (place / "x").exists()


def test_code_that_has_changed_since_is_said(found):
    line = "isn't the code that the run was trained with"
    assert [line in found[name]["err"] for name in ("carvana", "airbus")] == [False, True]


def test_probabilities_as_pictures(found, place):
    assert found["again"]["code"] == 0, found["again"]
    files = sorted(path.name for path in (place / "q" / "probabilities").iterdir())
    assert files == ["same_0.png", "same_1.png", "wide_0.png", "wide_1.png"]
    first, second = (picture(place / "q" / "probabilities" / f"wide_{i}.png")[1].astype(int) for i in (0, 1))
    assert np.abs(first + second - 65535).max() <= 1
    np.testing.assert_array_equal(picture(place / "q" / "masks" / "wide.png")[1], second > 0.5 * 65535)
    assert not (place / "q" / "overlays").exists()


@pytest.mark.parametrize(
    ("competition", "columns", "order"),
    [("carvana", ("img", "rle_mask"), "row"), ("airbus", ("ImageId", "EncodedPixels"), "column")],
)
def test_a_submission_is_read_back_to_the_same_masks(found, place, competition, columns, order):
    assert found[competition]["code"] == 0, found[competition]
    with (place / f"{competition}.csv").open() as file:
        assert tuple(next(csv.reader(file))) == columns
        rows = defaultdict(list)
        for name, text in csv.reader(file):
            rows[name].append(text)
    assert list(rows) == ["same.jpg", "tall.jpg", "wide.jpg"]
    for name, texts in rows.items():
        size = SIZES[name.removesuffix(".jpg")]
        _, mask = picture(place / competition[0] / "masks" / name.replace("jpg", "png"))
        parts = [rle_decode(text, size, order) for text in texts]
        np.testing.assert_array_equal(sum(parts), mask)
        objects = components(mask).max()
        assert len(texts) == (max(1, objects) if competition == "airbus" else 1)


def test_the_tuned_values_are_used(found):
    assert "class 1 above 0.45\n" in found["carvana"]["out"]
    assert "class 1 above 0.45, objects of fewer than 3 pixels at 32x32 dropped" in found["airbus"]["out"]


def test_a_start_takes_all_weights_or_all_but_the_head(found):
    (start,) = found["starts"]
    assert [start[name]["new_head"] for name in ("same", "renamed", "more")] == [False, True, True]
    assert len(start["same"]["taken"]) == start["same"]["variables"]
    for name in ("renamed", "more"):
        head = set(start[name]["left"])
        assert len(head) == 1 and "logits" in head.pop(), start[name]["left"]
        assert len(start[name]["taken"]) + 2 == start[name]["variables"]  # its kernel and bias
