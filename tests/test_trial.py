"""Real trials in real processes: their records, and how they end when something goes wrong."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from running import run

from bench.core.specs import Budget
from bench.core.trial_config import TrialConfig
from bench.evaluation.image_table import read_table
from bench.evaluation.scores import image_means
from bench.evaluation.summary import summarise
from bench.profiling.clock.timing_table import BARE, INFERENCE, JOINT, LATENCY, LOADER, MOST, TRAIN, read_timings
from bench.results.loading import load
from bench.trials.progress import Observer
from tests.conftest import EACH_BACKEND

STARTED = 300  # seconds: on a fresh machine the first import compiles every file of keras and its backend
TINY = {"image_size": (32, 32), "batch_size": 4, "params": {"filters": [4, 8]}, "budget": Budget(10, "steps")}


@pytest.fixture(scope="module")
def trial(tmp_path_factory, quick_backend):
    """A small ok trial, and the record that `run` returned."""
    folder = tmp_path_factory.mktemp("results")
    (record,) = run([TrialConfig("unet", "shapes", backend=quick_backend, trace=True, **TINY)], results=folder)
    (stored,) = load([folder]).trials
    assert stored.record == record
    return stored


def test_a_trial_measures_everything(trial):
    record = trial.record
    assert (record.status, record.reason) == ("ok", "")
    assert record.training["steps"] == 10 and record.training["images"] == 40
    numbers = {**record.speed, **record.memory, **record.model, **record.training, **record.metrics}
    assert [name for name, value in numbers.items() if value is None] == []
    assert record.speed["harness_efficiency"] > 0
    assert record.speed["latency_ms_p50"] <= record.speed["latency_ms_p95"] <= record.speed["latency_ms_p99"]
    assert record.dataset["images"]["test"] == len(read_table(trial.folder / "images.parquet").names)


def test_the_samples_of_a_trial_give_its_summaries(trial):
    samples, speed = read_timings(trial.folder), trial.record.speed
    assert set(samples) == {TRAIN, LATENCY, INFERENCE, LOADER, BARE, JOINT}
    assert len(samples[TRAIN].seconds) == speed["train_blocks"]
    assert samples[TRAIN].seconds.sum() == pytest.approx(trial.record.training["train_seconds"], abs=1e-3)
    assert samples[TRAIN].images.sum() == trial.record.training["images"]
    for kind, name in ((LOADER, "loader"), (BARE, "bare"), (INFERENCE, "inference")):
        seconds, rate = samples[kind].per_image, speed[f"{name}_images_per_second"]
        if len(seconds) < MOST:
            assert 1 / np.median(seconds) == pytest.approx(rate, rel=1e-4), kind
        else:  # the summary is of all calls, such as the ten thousands of a quick loader, of which these were kept
            assert 0.4 < np.mean(seconds < 1 / rate) < 0.6, kind
    ratio = np.median(samples[BARE].seconds / samples[JOINT].seconds)
    assert ratio == pytest.approx(speed["harness_efficiency"], rel=1e-4)
    assert 1000 * np.quantile(samples[LATENCY].seconds, 0.95) == pytest.approx(speed["latency_ms_p95"], rel=1e-4)


def test_a_trial_tells_memory_by_phases_and_why_there_is_no_energy(trial):
    memory = trial.record.memory
    phases = [memory[f"{name}_peak_mib"] for name in ("first_step", "train", "inference")]
    energy = trial.record.energy
    assert energy["method"].startswith("not measured: ") != ("joules_per_1000_train_images" in energy)
    assert 0 < max(filter(None, phases)) <= memory["peak_memory_mib"] + 0.1
    assert 0 < trial.record.speed["train_mfu"] <= 1
    assert min(trial.record.environment["peaks"]["matmul_tflops"].values()) > 0


def test_the_trace_of_a_trial_stands_beside_its_record(trial):
    assert [path for path in (trial.folder / "trace").rglob("*") if path.is_file()]


def test_a_trial_does_not_go_on_without_its_gpu(tmp_path, quick_backend, monkeypatch):
    monkeypatch.setattr("bench.trials.scheduling.slots.expected_device", lambda: "NVIDIA H200")
    (record,) = run([TrialConfig("unet", "shapes", backend=quick_backend, **TINY)], results=tmp_path)
    assert record.status == "failed"
    assert record.reason.startswith("The trial was planned for NVIDIA H200, but ")


def test_the_ledger_adds_up_to_the_wall_time_that_the_runner_saw(trial):
    seconds = sum(trial.record.ledger.values())
    # 1 % is for trials of a minute or more; the runner looks every 0.3 s, and a process takes time to start and end.
    assert seconds == pytest.approx(trial.record.wall_seconds, rel=0.01, abs=1.0)
    assert trial.record.ledger["other"] < 0.05 * trial.record.wall_seconds
    assert trial.record.ledger["train"] >= trial.record.training["train_seconds"]


def test_the_model_is_validated_at_ten_even_fractions(trial):
    history = trial.history()
    assert [row["fraction"] for row in history] == [k / 10 for k in range(1, 11)]
    assert [row["steps"] for row in history] == list(range(1, 11))
    assert history[-1]["learning_rate"] == 0


def test_the_metrics_can_be_computed_again_from_the_stored_table(trial):
    table = read_table(trial.folder / "images.parquet")
    assert summarise(table, trial.record.dataset["classes"], {}) == trial.record.metrics


def test_samples_are_pictures_of_image_truth_and_prediction(trial):
    from PIL import Image

    assert len(trial.samples()) == 6
    with Image.open(trial.samples()[0]) as picture:
        assert picture.size == (3 * 32 + 2 * 4, 32)


def test_the_worst_images_are_kept_with_their_scores(trial):
    scores = np.sort(image_means(read_table(trial.folder / "images.parquet").counts))
    assert [float(file.name.split("_")[1]) for file in trial.worst()] == pytest.approx(scores[:4], abs=6e-4)


def test_a_trial_on_parts_of_images_is_scored_on_whole_ones(tmp_path, quick_backend):
    rare = {"class_weights": "balanced", "loss": "bce+lovasz", "augment": "strong", "resize": "letterbox"}
    config = TrialConfig("unet", "shapes", backend=quick_backend, **TINY, crop=(16, 24), crop_foreground=0.8, **rare)
    (record,) = run([config], results=tmp_path)
    assert (record.status, record.reason) == ("ok", "")
    assert set(record.training["class_weights"]) == set(record.dataset["classes"])
    background, *shapes = record.training["class_weights"].values()
    assert background < 1 < min(shapes)
    (stored,) = load([tmp_path]).trials
    counts = read_table(stored.folder / "images.parquet").counts
    assert (counts[:, :, 0] + counts[:, :, 2]).sum(axis=1).tolist() == [32 * 32] * len(counts)  # every pixel, once


@pytest.mark.parametrize("backend", EACH_BACKEND)
@pytest.mark.slow
def test_the_same_seed_gives_the_same_result_and_best_is_the_best_validation(tmp_path, backend):
    config = TrialConfig("unet", "shapes", backend=backend, select="best", **TINY)
    (first,) = run([config], results=tmp_path / "a")
    (second,) = run([config], results=tmp_path / "b")
    assert first.metrics == second.metrics
    (stored,) = load([tmp_path / "a"]).trials
    assert first.validation["mean_iou"] == max(row["val_mean_iou"] for row in stored.history())


PLUGIN = """
import keras
from bench.plugin import architecture

@architecture(name="bad_net")
def build_bad_net(input_shape, num_classes, *, error="none"):
    if error == "memory":
        raise MemoryError
    if error == "value":
        raise ValueError("the weights are on holiday")
    inputs = keras.Input(input_shape)
    logits = keras.layers.Conv2D(num_classes, 1)(inputs)
    return keras.Model(inputs, logits * float("nan") if error == "nan" else logits)
"""


def test_whatever_a_trial_throws_becomes_a_row_and_the_rest_go_on(tmp_path, quick_backend):
    plugin = tmp_path / "bad_net.py"
    plugin.write_text(PLUGIN)
    common = {**TINY, "backend": quick_backend, "plugin": str(plugin)}
    configs = [
        TrialConfig("bad_net", "shapes", **{**common, "params": {"error": e}})
        for e in ("value", "memory", "nan", "none")
    ]
    value, memory, nan, good = run(configs, results=tmp_path / "r")
    assert (value.status, value.reason) == ("failed", "bad_net.py, line 10: ValueError: the weights are on holiday")
    assert "the weights are on holiday" in value.log_tail[-1]
    assert memory.status == "out_of_memory"
    assert nan.status == "diverged" and "step 1" in nan.reason
    assert all(r.environment["versions"]["keras"] for r in (value, memory, nan))
    assert all(r.ledger["startup"] > 0 for r in (value, memory, nan))
    assert good.status == "ok"


class Kill(Observer):
    """Kills the trial's process once it trains."""

    def progressed(self, trial, progress):
        if progress["phase"] == "train":
            os.kill(progress["pid"], signal.SIGKILL)


def test_a_killed_trial_is_a_row_and_is_run_again(tmp_path, quick_backend):
    config = TrialConfig("unet", "shapes", backend=quick_backend, **{**TINY, "budget": Budget(600, "seconds")})
    (record,) = run([config], results=tmp_path / "r", observer=Kill())
    assert (record.status, record.reason) == ("failed", "The process was killed by SIGKILL.")
    assert record.training["phase"] == "train"


RUN = """
import sys
from bench.api import Budget, TrialConfig, run
run([TrialConfig("unet", "shapes", image_size=(32, 32), batch_size=4, params={"filters": [4, 8]},
                 budget=Budget(600, "seconds"), backend=sys.argv[1])], results=sys.argv[2])
"""


@pytest.mark.parametrize("file", ["trial.json", "progress.json"])  # as it is started, and while it works
def test_a_trial_ends_when_its_runner_is_killed(tmp_path, quick_backend, file):
    runner = subprocess.Popen([sys.executable, "-c", RUN, quick_backend, str(tmp_path / "r")])
    found = _wait_for(lambda: list((tmp_path / "r" / "trials").glob(f"*.running/{file}")), STARTED)
    assert len(load([tmp_path / "r"]).running) == 1
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()
    identity = found[0].parent.name
    _wait_for(lambda: subprocess.run(["pgrep", "-f", identity], capture_output=True, timeout=10).returncode == 1, 30)
    loaded = load([tmp_path / "r"])
    assert (len(loaded.abandoned), loaded.running, loaded.trials) == (1, [], [])


def test_a_stopped_command_records_its_running_trial(tmp_path, quick_backend):
    words = f"run --arch unet --dataset shapes --image-size 32 --param filters=[4,8] --backend {quick_backend}"
    command = [sys.executable, "-c", "from bench.cli import main; main()", *words.split(), "--results", tmp_path / "r"]
    runner = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _wait_for(lambda: list((tmp_path / "r" / "trials").glob("*.running/progress.json")), STARTED)
    runner.terminate()
    assert runner.wait(120) == 130
    (trial,) = load([tmp_path / "r"]).trials
    assert (trial.record.status, load([tmp_path / "r"]).running) == ("interrupted", [])


def _wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(f"not so within {seconds} s")
