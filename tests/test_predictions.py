"""Kept predictions: probabilities in a byte, whole folders or none, and every metric again without a model."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_results import fake_config, fake_record, write_trial
from fakes import write_fake_pets
from PIL import Image
from typer.testing import CliRunner

from bench.cli import app
from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.evaluation.confusion import THRESHOLDS
from bench.evaluation.image_table import ImageTable, read_table, write_table
from bench.evaluation.metric_protocol import Prediction
from bench.evaluation.predicted.prediction_files import MANIFEST, PredictionWriter, expected_bytes
from bench.evaluation.predicted.quantised import GREATEST_ERROR, quantise, restored
from bench.evaluation.task import Task
from bench.evaluation.thresholds import OperatingPoint
from bench.results.loading import load
from bench.results.trial_files import IMAGES, PREDICTIONS, RECORD, RESCORED
from bench.trials.estimate import Estimate
from bench.trials.identity import trial_key
from bench.trials.plan import read_pack
from bench.trials.rescoring.keeping import about, evaluate_and_keep
from bench.trials.rescoring.keeping_room import keeping_lines
from bench.trials.rescoring.kept_scores import kept_scores

SIZE = (32, 48)


def test_every_threshold_decides_as_before():
    rng = np.random.default_rng(0)
    near = [np.nextafter(np.float32(t), side, dtype=np.float32) for t in THRESHOLDS for side in (0, 1)]
    values = np.concatenate([rng.random(100_000), THRESHOLDS, near, [0, 1, 0.5]]).astype(np.float32)
    back = restored(quantise(values))
    for threshold in map(np.float32, THRESHOLDS):
        np.testing.assert_array_equal(back > threshold, values > threshold)
    assert np.abs(back - values).max() <= GREATEST_ERROR + 1e-6
    assert quantise(np.array([0, 0.05, np.nan, 1], np.float32)).tolist() == [0, 11, 0, 239]
    # 0.051 is in the first twelfth of 0.05 to 0.10; 0.0999 in the last one
    assert quantise(np.array([0.051, 0.0999], np.float32)).tolist() == [12, 23]


class Guess:
    """A predictor without a model: a pixel's probability is its redness with noise, the class by thirds of it."""

    batch_size, resize, image_size = 3, "stretch", SIZE

    def __init__(self, classes: int, seed: int = 0):
        self.count, self.rng = classes, np.random.default_rng(seed)

    def of(self, image, size):
        red = np.array(Image.fromarray(image[..., 0]).resize(size[::-1])).astype(np.float32) / 255
        value = np.clip(red + self.rng.normal(0, 0.2, size), 0, 1).astype(np.float32)
        if self.count == 2:
            return (value > 0.5).astype(np.uint8), value
        return np.minimum(value * self.count, self.count - 1).astype(np.uint8), np.zeros(0, np.float32)

    def classes(self, images):
        found = [self.of(image, SIZE) for image in images]
        return tuple(np.stack(part) for part in zip(*found, strict=True))

    def logits(self, images):
        return images

    def restored_classes(self, logits, size, *, foreground=True):
        return self.of(logits, size)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_fake_pets(tmp_path_factory.mktemp("pets"), count=12)


def stored(results: Path, data: Path, dataset: str = "pets-binary", eval_size: str = "train", seed: int = 0) -> Path:
    """Write a trial whose scores and predictions come from a guess; return its folder."""
    config = fake_config(dataset=dataset, data_dir=str(data), image_size=SIZE, eval_size=eval_size, seed=seed)
    config = catalog.resolve_config(config)
    pack = read_pack(config)
    test, classes = pack.indexes("test"), pack.classes
    point = OperatingPoint(0.35, 3) if len(classes) == 2 else None
    task = Task(pack, catalog.dataset(config).metrics, native=eval_size == "native")
    key = trial_key(config, pack.fingerprint)
    record, _ = fake_record(config, key=f"{key}-{seed}")
    folder = write_trial(results, record)
    told = about(folder.name, config, pack, "test", point)
    result, problem = evaluate_and_keep(Guess(len(classes), seed), task, test, point, folder / PREDICTIONS, told)
    assert not problem
    write_table(folder / IMAGES, *result.table)
    found = {**record.dataset, "fingerprint": pack.fingerprint, "classes": list(classes)}
    values = json.loads((folder / RECORD).read_text())
    (folder / RECORD).write_text(json.dumps({**values, "metrics": result.metrics(), "dataset": found}))
    return folder


def rescore(*arguments) -> tuple[int, str]:
    answer = CliRunner().invoke(app, ["rescore", *map(str, arguments)])
    return answer.exit_code, " ".join(answer.output.split())


@pytest.mark.parametrize(
    ("dataset", "eval_size"),
    [("pets-binary", "train"), ("pets-binary", "native"), ("pets", "train"), ("pets", "native")],
)
def test_every_stored_value_comes_back_to_the_last_bit(tmp_path, data, dataset, eval_size):
    folder = stored(tmp_path, data, dataset, eval_size)
    code, said = rescore(folder)
    assert code == 0, said
    metrics = json.loads((folder / RECORD).read_text())["metrics"]
    found = json.loads((folder / f"{RESCORED}.json").read_text())
    assert found["metrics"] == metrics and found["differing"] == {} and found["added"] == found["gone"] == []
    assert found["run"] == folder.name and found["predictions"] == PREDICTIONS and len(found["manifest_sha256"]) == 64
    before, after = read_table(folder / IMAGES), read_table(folder / f"{RESCORED}.parquet")
    assert before.names == after.names
    for name, values in before.arrays().items():
        np.testing.assert_array_equal(after.arrays()[name], values)
    assert all(np.array_equal(a, b) for a, b in zip(before.confusion, after.confusion, strict=True))


def test_class_maps_are_what_was_predicted(tmp_path, data):
    folder = stored(tmp_path, data, "pets")
    table = read_table(folder / IMAGES)
    files = sorted((folder / PREDICTIONS / "classes").iterdir(), key=lambda path: int(path.name.split("_")[0]))
    assert len(files) == len(table.names)
    for file, counts in zip(files, table.counts, strict=True):
        classes = np.array(Image.open(file))
        assert classes.shape == SIZE
        for label in range(3):  # pixels that count and those that don't: at least tp + fp
            assert (classes == label).sum() >= counts[label, :2].sum()
    with Image.open(next((folder / PREDICTIONS / "small").iterdir())) as small:
        assert small.size == (3 * SIZE[1] + 8, SIZE[0])


def test_a_metric_that_was_not_stored_is_added(tmp_path, data):
    folder = stored(tmp_path, data)
    record = json.loads((folder / RECORD).read_text())
    lost = record["metrics"].pop("boundary_iou")
    (folder / RECORD).write_text(json.dumps(record))
    code, said = rescore(folder)
    assert code == 0 and f"Not stored before: boundary_iou {lost:.4f}." in said
    assert json.loads((folder / f"{RESCORED}.json").read_text())["added"] == ["boundary_iou"]
    assert "boundary_iou" not in json.loads((folder / RECORD).read_text())["metrics"]


def test_a_value_that_differs_is_named(tmp_path, data):
    folder = stored(tmp_path, data)
    record = json.loads((folder / RECORD).read_text())
    record["metrics"]["dice"] += 1e-16 + np.spacing(record["metrics"]["dice"])
    (folder / RECORD).write_text(json.dumps(record))
    code, said = rescore(folder)
    assert code == 1 and "dice is" in said and "in the stored scores and" in said


def test_other_thresholds_and_areas_are_those_of_the_model(tmp_path, data):
    folder = stored(tmp_path, data)
    code, said = rescore(folder, "--threshold", 0.6, "--min-area", 0)
    assert code == 0 and "At threshold 0.6, minimum area 0" in said
    tuned = json.loads((folder / f"{RESCORED}.json").read_text())["metrics"]["tuned"]
    sums = read_table(folder / IMAGES).threshold_counts.sum(axis=0)[THRESHOLDS.index(0.6)]
    assert tuned["foreground_iou"] == sums[0] / sums.sum()  # without a minimum area, the table knows it


def change_manifest(folder: Path, **changes) -> None:
    file = folder / PREDICTIONS / MANIFEST
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def first_map(folder: Path) -> Path:
    return next((folder / PREDICTIONS / "classes").glob("0_*"))


def swap_pixels(file: Path) -> None:
    Image.fromarray(1 - np.array(Image.open(file))).save(file)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / PREDICTIONS / MANIFEST).unlink(), "are incomplete: they have no manifest.json"),
        (lambda f: first_map(f).unlink(), "are incomplete: 'classes/0_"),
        (lambda f: first_map(f).write_bytes(first_map(f).read_bytes()[:-9]), "its hash isn't the manifest's"),
        (lambda f: swap_pixels(first_map(f)), "its hash isn't the manifest's"),
        (lambda f: change_manifest(f, split="val"), "are of the val split, and the scores of the test split"),
        (lambda f: change_manifest(f, table="0" * 64), "are of other weights than the scores in 'images.parquet'"),
        (lambda f: change_manifest(f, images=[]), "are of 0 other images than the"),
        (lambda f: change_manifest(f, fingerprint="0" * 16), "are not those of the predictions"),
        (lambda f: change_manifest(f, protocol_version=0), "were made under protocol 0"),
        (lambda f: change_manifest(f, format=2), "it isn't of format 1"),
        (lambda f: change_manifest(f, images=[["a", "../../x", "0"]]), "its list of images makes no sense"),
        (lambda f: change_manifest(f, resize=5), "it has no resize"),
        (lambda f: (f / PREDICTIONS / MANIFEST).write_text("{"), "can't be used"),
    ],
)
def test_predictions_that_cannot_be_used_are_named_in_one_line(tmp_path, data, spoil, said):
    folder = stored(tmp_path, data)
    spoil(folder)
    code, output = rescore(folder)
    assert code == 2 and said in output and "Traceback" not in output
    assert not (folder / f"{RESCORED}.json").exists()


def test_predictions_of_another_run_are_not_taken(tmp_path, data):
    one, other = stored(tmp_path, data, seed=0), stored(tmp_path, data, seed=1)
    os.rename(one / PREDICTIONS, one / "aside")
    os.rename(other / PREDICTIONS, one / PREDICTIONS)
    code, said = rescore(one)
    assert code == 2 and "are of other weights" in said
    code, said = rescore(other)
    assert code == 2 and "has no kept predictions" in said and "--keep-predictions" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--threshold", 0.37), "--threshold is 0.37. Accepted: 0.05, 0.10, ..., 0.95"),
        (("--min-area", -1), "--min-area is -1. Accepted: 0 or more pixels."),
    ],
)
def test_options_out_of_range(tmp_path, data, options, said):
    code, output = rescore(stored(tmp_path, data), *options)
    assert code == 2 and said in output


def test_rescoring_imports_no_backend(tmp_path, data):
    folder = stored(tmp_path, data)
    code = (
        "import sys; from bench.cli import app\n"
        "try: app(['rescore', sys.argv[1]])\n"
        "except SystemExit as end: print(end.code, {'keras', 'jax', 'torch', 'tensorflow'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, timeout=120)
    assert answer.stdout.splitlines()[-1] == "0 set()", answer.stdout + answer.stderr


def prediction(classes=3) -> Prediction:
    labels = np.zeros(SIZE, np.uint8)
    empty, image = np.zeros(0, np.float32), np.zeros((*SIZE, 3), np.uint8)
    return Prediction(labels, labels, tuple("abc")[:classes], empty, None, image)


def test_a_full_disk_loses_the_predictions_and_not_the_evaluation(tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with PredictionWriter(tmp_path / PREDICTIONS, {"resize": "stretch"}) as writer:
        writer.add("a", prediction())
        writer.add("b", prediction())
        writer.finish(None)
    assert writer.problem == "the predictions are not kept, because they can't be written (No space left on device)"
    assert [path.name for path in tmp_path.iterdir()] == [f".{PREDICTIONS}.lock"]


KILLED = """
import sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_predictions import prediction
from bench.evaluation.predicted.prediction_files import PredictionWriter
with PredictionWriter(Path(sys.argv[1]), {"resize": "stretch"}) as writer:
    writer.add("a", prediction())
    print("begun", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_leaves_is_never_taken_for_whole(tmp_path, data):
    folder = stored(tmp_path, data)
    before = (folder / PREDICTIONS / MANIFEST).read_bytes()
    command = [sys.executable, "-c", KILLED, str(folder / PREDICTIONS), str(Path(__file__).parent)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert (folder / PREDICTIONS / MANIFEST).read_bytes() == before and rescore(folder)[0] == 0
    (left,) = folder.glob(f".*{PREDICTIONS}")
    with PredictionWriter(folder / PREDICTIONS, {"resize": "stretch"}) as writer:
        writer.add("a", prediction())
        assert not left.exists()
    assert not list(folder.glob(f".*{PREDICTIONS}")) and (folder / PREDICTIONS / MANIFEST).read_bytes() == before


def test_of_two_at_once_neither_removes_the_others_work(tmp_path):
    table = ImageTable(("a",), ("a",), np.ones((1, 3, 3), np.int64), None)
    folder = tmp_path / PREDICTIONS
    with PredictionWriter(folder, {"resize": "stretch"}) as one:
        one.add("a", prediction())
        with PredictionWriter(folder, {"resize": "stretch"}) as other:
            other.add("a", prediction())
            other.finish(table)
            assert not other.problem
        one.finish(table)
        assert not one.problem
    names = {path.name for path in folder.iterdir()}
    assert names == {MANIFEST, "classes", "small"} and len([*(folder / "classes").iterdir()]) == 1
    assert {path.name for path in tmp_path.iterdir()} == {PREDICTIONS, f".{PREDICTIONS}.lock"}


def test_a_crash_between_the_two_renames_loses_nothing(tmp_path, data, monkeypatch):
    folder = stored(tmp_path, data)
    before = (folder / PREDICTIONS / MANIFEST).read_bytes()
    rename = Path.rename

    def crash(self, target):
        if target == folder / PREDICTIONS:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", crash)
        writer = PredictionWriter(folder / PREDICTIONS, {"resize": "stretch"})
        writer.add("a", prediction())
        with pytest.raises(KeyboardInterrupt):
            writer.finish(ImageTable(("a",), ("a",), np.ones((1, 3, 3), np.int64), None))
    assert not (folder / PREDICTIONS).exists()
    assert rescore(folder)[0] == 0
    assert (folder / PREDICTIONS / MANIFEST).read_bytes() == before


def test_a_stored_metric_that_is_no_longer_computed_is_named(tmp_path, data):
    folder = stored(tmp_path, data)
    values = json.loads((folder / RECORD).read_text())
    values["metrics"]["former_score"] = 0.5
    (folder / RECORD).write_text(json.dumps(values))
    code, said = rescore(folder)
    assert code == 0 and "Stored, but not computed now: former_score." in said
    assert json.loads((folder / f"{RESCORED}.json").read_text())["gone"] == ["former_score"]


def test_the_size_is_near_what_is_written(tmp_path, data):
    folder = stored(tmp_path, data)
    files = [path for path in (folder / PREDICTIONS).rglob("*") if path.is_file()]
    written, images = sum(path.stat().st_size for path in files), len(list((folder / PREDICTIONS / "small").iterdir()))
    assert written < expected_bytes(images, SIZE[0] * SIZE[1], SIZE[0] * SIZE[1], 2) < 10 * written


def test_keeping_predictions_is_no_other_configuration():
    config = catalog.resolve_config(fake_config(dataset="shapes"))
    assert trial_key(replace(config, keep_predictions=True), "data") == trial_key(config, "data")


def test_a_dry_run_says_how_much_room_predictions_take(tmp_path, data):
    arguments = ["run", "--arch", "unet", "--dataset", "pets-binary", "--data-dir", str(data), "--image-size", "32"]
    arguments += ["--budget", "5steps", "--results", str(tmp_path / "r"), "--dry-run", "--seeds", "2"]
    answer = CliRunner().invoke(app, [*arguments, "--keep-predictions"])
    assert answer.exit_code == 0, answer.output
    assert "Predictions of 2 trials: about 0." in " ".join(answer.output.split())
    assert "Predictions" not in CliRunner().invoke(app, arguments).output


def test_finished_trials_without_predictions_are_counted(tmp_path, data):
    _, without = stored(tmp_path, data, seed=0), stored(tmp_path, data, seed=1)
    shutil.rmtree(without / PREDICTIONS)
    trials = load([tmp_path]).trials
    done = [Estimate(TrialConfig.from_dict(t.record.config), "ok", True, None, None, None, False, None) for t in trials]
    wanted = [replace(one, config=replace(one.config, keep_predictions=True)) for one in done]
    (line,), fits = keeping_lines(wanted, trials, {}, tmp_path)
    assert fits and line.startswith("Finished trials without predictions, which are not run again: 1. bench evaluate")
    assert keeping_lines(done, trials, {}, tmp_path) == ([], True)


def test_too_little_room_is_said_before_anything_runs(tmp_path, data, monkeypatch):
    monkeypatch.setattr("bench.trials.rescoring.keeping_room.free_bytes", lambda folder: 1000)
    arguments = ["run", "--arch", "unet", "--dataset", "pets-binary", "--data-dir", str(data), "--image-size", "32"]
    arguments += ["--budget", "5steps", "--results", str(tmp_path / "r"), "--keep-predictions"]
    answer = CliRunner().invoke(app, arguments)
    assert answer.exit_code == 2 and "NOT enough" in answer.output
    assert not list((tmp_path / "r").glob("trials/*"))


def test_a_folder_that_is_a_link_is_not_followed(tmp_path, data):
    folder = stored(tmp_path, data)
    os.rename(folder / PREDICTIONS, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", folder / PREDICTIONS)
    code, said = rescore(folder)
    assert code == 2 and "has no kept predictions" in said


def test_a_probability_above_the_greatest_step_is_refused(tmp_path, data):
    folder = stored(tmp_path, data)
    file = next((folder / PREDICTIONS / "foreground").glob("0_*"))
    Image.fromarray(np.full(SIZE, 240, np.uint8)).save(file)
    manifest = json.loads((folder / PREDICTIONS / MANIFEST).read_text())
    manifest["images"][0][3] = hashlib.sha256(file.read_bytes()).hexdigest()
    change_manifest(folder, images=manifest["images"])
    code, said = rescore(folder)
    assert code == 2 and "it holds 240, and all values are below 240" in said


def test_a_run_without_trial_files_is_named(tmp_path):
    write_trial(tmp_path, *fake_record(fake_config()))
    with pytest.raises(BenchError, match="no kept predictions"):
        kept_scores(load([tmp_path]).trials[0])
