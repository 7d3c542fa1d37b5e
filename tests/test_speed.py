"""`bench speed`: trials without training or data in real processes, their failures, and how rates are measured."""

import json
import math
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from running import FakeExecutor, run
from typer.testing import CliRunner

from bench.cli import app
from bench.config import catalog, grid
from bench.config.given import read_toml
from bench.core.errors import BenchError, reason_of
from bench.core.specs import NO_DATASET, Budget
from bench.core.trial_config import TrialConfig
from bench.profiling.clock import timing
from bench.profiling.clock.ledger import Ledger
from bench.profiling.clock.timing import Effort, inference_sweep, steady
from bench.profiling.clock.timing_table import INFERENCE, LATENCY, TRAIN, read_timings
from bench.profiling.environment import expected_device
from bench.results.loading import load
from bench.results.trial_files import IF_KILLED, read_json
from bench.trials import estimate
from bench.trials import process as trial_process
from bench.trials.identity import trial_key
from bench.trials.plan import PlannedTrial
from bench.trials.speed_session import SpeedSession

TINY = {"image_size": (32, 32), "batch_size": 2, "params": {"filters": [4, 8]}, "measure": "speed"}


@pytest.fixture(scope="module")
def trial(tmp_path_factory, quick_backend):
    """An ok speed-only trial with the search for the largest batch."""
    folder = tmp_path_factory.mktemp("speed")
    config = TrialConfig("unet", NO_DATASET, backend=quick_backend, **TINY, find_batch_size=2)
    (record,) = run([config], results=folder)
    (stored,) = load([folder]).trials
    assert stored.record == record
    return stored


def test_a_speed_only_trial_measures_everything_without_data(trial):
    record = trial.record
    assert (record.status, record.reason) == ("ok", "")
    speed = record.speed
    for name in ("train_images_per_second", "first_step_seconds", "latency_ms_p99", "inference_images_per_second"):
        assert math.isfinite(speed[name]) and speed[name] > 0, name
    assert "loader_images_per_second" not in speed and "harness_efficiency" not in speed
    assert record.training["images"] == 2 * record.training["steps"] > 0
    assert record.training["steps"] % speed["train_blocks"] == 0
    assert not record.metrics and not record.validation and not record.weights
    assert sorted(p.name for p in trial.folder.iterdir()) == [
        *("layers.json", "log.txt", "record.json", "timings.parquet")
    ]


def test_the_samples_of_a_speed_only_trial_give_its_summaries(trial):
    samples, speed = read_timings(trial.folder), trial.record.speed
    assert set(samples) == {TRAIN, INFERENCE, LATENCY}
    assert np.median(1 / samples[TRAIN].per_image) == pytest.approx(speed["train_images_per_second"], rel=1e-4)
    assert np.median(1 / samples[INFERENCE].per_image) == pytest.approx(speed["inference_images_per_second"], rel=1e-4)
    assert 1000 * np.median(samples[LATENCY].seconds) == pytest.approx(speed["latency_ms_p50"], rel=1e-4)


def test_the_sweep_goes_over_powers_of_two_and_says_why_it_ended(trial):
    sizes, rates = zip(*trial.record.speed["inference_sweep"], strict=True)
    assert sizes == tuple(2**k for k in range(len(sizes)))
    assert trial.record.speed["sweep_end"] in ("gain below 5 %", "out of memory", "limit")
    best = trial.record.speed["best_inference_images_per_second"]
    assert best == pytest.approx(max(rates), abs=0.001)
    assert sizes[rates.index(max(rates))] == trial.record.speed["best_inference_batch_size"]


def test_the_search_stands_beside_the_memory_of_the_trial(trial):
    memory = trial.record.memory
    assert (memory["largest_batch"], memory["largest_batch_limit"]) == (2, "limit 2")
    assert [size for size, _ in memory["memory_points"]] == [1, 2]
    assert memory["peak_memory_mib"] > 0 and math.isfinite(memory["memory_per_image_mib"])


def test_the_ledger_of_a_speed_only_trial_adds_up(trial):
    seconds = sum(trial.record.ledger.values())
    assert seconds == pytest.approx(trial.record.wall_seconds, rel=0.01, abs=1.0)
    assert trial.record.ledger["train"] >= trial.record.training["train_seconds"]


def test_a_finished_trial_is_measured_again_only_for_what_it_lacks(trial):
    config = TrialConfig.from_dict(trial.record.config)
    planned = partial(PlannedTrial, key="", configuration="", fingerprint=NO_DATASET, identity="", device="")
    assert planned(config, record=trial.record).done
    lacks = replace(trial.record, memory={"peak_memory_mib": 1.0})
    assert not planned(config, record=lacks).done
    assert planned(replace(config, find_batch_size=0), record=lacks).done
    full = replace(lacks, status="out_of_memory")
    assert not planned(config, record=full).done
    assert planned(config, record=replace(full, memory={"largest_batch": 4})).done


def test_what_was_found_before_a_failure_stands_in_the_record(monkeypatch, tmp_path):
    class Falls:
        def __init__(self, *_):
            self.found = {}

        def run(self, _):
            self.found["memory"] = {"largest_batch": 24}
            raise MemoryError

    monkeypatch.setattr(trial_process, "_session", lambda config: Falls)
    request = {
        "config": TrialConfig("unet", NO_DATASET, **TINY).to_dict(),
        "device": expected_device(),
        "fingerprint": "none",
        "contents": {},
        "time": time.time(),
    }
    outcome = trial_process._outcome(request, tmp_path)
    assert (outcome["status"], outcome["memory"]) == ("out_of_memory", {"largest_batch": 24})


PLUGIN = """
import keras
import torch
from bench.plugin import architecture

CALLS = {"one": 0}

class Falls(keras.layers.Layer):
    def __init__(self, words, **options):
        super().__init__(**options)
        self.words = words

    def call(self, images):
        CALLS["one"] += 1
        if CALLS["one"] > 15:
            raise torch.OutOfMemoryError(self.words) if "memory" in self.words else RuntimeError(self.words)
        return images

@architecture(name="falling_net", compiles=False)
def build_falling_net(input_shape, num_classes, *, words="the probe fell off"):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Conv2D(num_classes, 1)(Falls(words)(inputs)))
"""


@pytest.mark.needs("torch")  # a compiled model can't throw between steps
def test_a_model_that_throws_in_the_middle_of_timing_is_a_row_and_so_is_a_batch_that_does_not_fit(tmp_path):
    plugin = tmp_path / "falling_net.py"
    plugin.write_text(PLUGIN)
    common = {**TINY, "backend": "torch", "plugin": str(plugin)}
    words = ("the probe fell off", "CUDA out of memory. Tried to allocate 80.00 GiB.")
    configs = [TrialConfig("falling_net", NO_DATASET, **{**common, "params": {"words": w}}) for w in words]
    thrown, full = run(configs, results=tmp_path / "r")
    where = "falling_net.py, line 16: RuntimeError: Exception encountered when calling Falls.call():"
    assert (thrown.status, thrown.reason) == ("failed", f"{where} {words[0]}")
    assert thrown.training["phase"] == "train" and thrown.speed == {}
    assert thrown.log_tail
    full_where = where.replace("RuntimeError", "OutOfMemoryError")
    assert (full.status, full.reason) == ("out_of_memory", f"{full_where} {words[1]}")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("boom\nsecond line", "RuntimeError: boom"),
        ("", "RuntimeError"),
        (
            "Exception encountered when calling Conv2D.call().\n\n\x1b[1mCUDA out of memory.\x1b[0m\n\nArguments: ...",
            "RuntimeError: Exception encountered when calling Conv2D.call(): CUDA out of memory.",
        ),
    ],
)
def test_an_exception_is_said_in_one_line(message, reason):
    assert reason_of(RuntimeError(message)) == reason


class Clock:
    """Time that passes only where work says so."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr("time.perf_counter", lambda: self.now)

    def work(self, seconds):
        self.now += seconds


@pytest.mark.parametrize(
    ("step", "gpu", "warm_up", "steps", "blocks"),
    [
        (0.001, False, 20, 500, 10),  # 20 steps warm up; ten blocks of half a second
        (0.001, True, 5000, 500, 10),  # a GPU: also five seconds
        (0.1, False, 20, 5, 20),  # a hundred steps in blocks of five
        (20.0, False, 2, 1, 3),  # five seconds are over at once; three blocks of a step are all that 30 s allow
    ],
)
def test_how_long_a_steady_rate_is_measured(monkeypatch, step, gpu, warm_up, steps, blocks):
    clock, counts = Clock(monkeypatch), []

    def take(count):
        counts.append(count)
        clock.work(step * count)

    measured = steady(take, Effort(), gpu=gpu)
    assert sum(counts[: -len(measured.seconds)]) == pytest.approx(warm_up, abs=2)
    assert (measured.steps, len(measured.seconds)) == (steps, blocks)
    assert measured.rates(8) == pytest.approx([8 / step] * blocks)


def sweep(monkeypatch, rates, **options):
    """The sweep over a model of those images/s by batch size; an exception is thrown."""
    clock = Clock(monkeypatch)

    def predict(size):
        if isinstance(rates[size], Exception):
            raise rates[size]
        return lambda: clock.work(size / rates[size])

    return inference_sweep(predict, Effort(), **options)


def test_the_sweep_ends_where_a_larger_batch_gains_too_little(monkeypatch):
    points, end = sweep(monkeypatch, {1: 100.0, 2: 180.0, 4: 188.0, 8: 900.0})  # 188 / 180 = 1.044
    assert [size for size, _ in points] == [1, 2, 4] and end == "gain below 5 %"
    assert [rate for _, rate in points] == pytest.approx([100, 180, 188])


def test_the_sweep_ends_where_memory_does(monkeypatch):
    full = MemoryError("Unable to allocate 8 TiB")
    points, end = sweep(monkeypatch, {1: 100.0, 2: 180.0, 4: full})
    assert [size for size, _ in points] == [1, 2] and end == "out of memory"


def test_after_the_sweep_s_seconds_no_larger_batch_is_tried():
    points, end = inference_sweep(lambda size: lambda: time.sleep(0.02), Effort(sweep_seconds=0.0))
    assert ([size for size, _ in points], end) == ([1], "0 s")


def test_the_sweep_hides_no_error(monkeypatch):
    points, end = sweep(monkeypatch, {1: 10.0, 2: RuntimeError("no kernel for so many elements")})
    assert points == [(1, pytest.approx(10.0))] and end == "at batch 2: RuntimeError: no kernel for so many elements"
    for words in ("boom", "out of memory"):
        with pytest.raises(RuntimeError, match=words):
            sweep(monkeypatch, {1: RuntimeError(words)})


def test_the_sweep_has_limits(monkeypatch):
    rates = {2**k: 10.0 * 2**k for k in range(12)}
    points, end = sweep(monkeypatch, rates, largest=4)
    assert [size for size, _ in points] == [1, 2, 4] and end == "limit"
    monkeypatch.setattr(timing, "rate", lambda call, images: call() or float(images))
    slow = {size: size / 50.0 for size in rates}  # 50 s each, so that 120 s allow three
    points, end = sweep(monkeypatch, slow)
    assert [size for size, _ in points] == [1, 2, 4] and end == "120 s"


def test_before_each_larger_batch_the_sweep_notes_what_stands_if_it_is_killed(monkeypatch, tmp_path):
    session = SpeedSession(TrialConfig("unet", NO_DATASET, **TINY), tmp_path, Ledger(time.time()))
    session.found = {"speed": {"train_images_per_second": 5.0}, "memory": {"largest_batch": 4}}
    noted = []

    def predict(size):
        noted.append(read_json(tmp_path / IF_KILLED))
        if size == 4:
            raise MemoryError
        return lambda: time.sleep(0.01)

    session.prediction = predict
    swept = session.with_sweep(session.sweep())
    assert [len(note.get("speed", {}).get("inference_sweep", [])) for note in noted] == [0, 1, 2]
    for outcome in (noted[-1], swept):
        outcome.pop("ledger")
    assert noted[-1] == {"status": "ok", "reason": "", **json.loads(json.dumps(swept))}
    assert (swept["speed"]["sweep_end"], swept["speed"]["train_images_per_second"]) == ("out of memory", 5.0)


def speed_configs(**options):
    return grid.configs({"measure": "speed", "backend": "jax", **options})


def test_what_a_speed_has_no_use_for_is_left_out():
    plain = speed_configs(arch="unet")
    assert speed_configs(arch="unet", dataset="shapes", budget="5m,10m", lr="0.1", weights="imagenet") == plain
    (config,) = plain
    assert (config.dataset, config.measure) == (NO_DATASET, "speed")
    assert trial_key(config, NO_DATASET) == trial_key(replace(config, find_batch_size=8), NO_DATASET)
    assert trial_key(config, NO_DATASET) != trial_key(replace(config, augment="none"), NO_DATASET)


def test_the_sweep_s_limit_is_no_part_of_a_trial_s_identity():
    (usual,), (short,) = speed_configs(arch="unet"), speed_configs(arch="unet", sweep_seconds="15")
    assert (usual.sweep_seconds, short.sweep_seconds) == (120.0, 15.0)
    assert trial_key(usual, NO_DATASET) == trial_key(short, NO_DATASET)
    with pytest.raises(BenchError, match="--sweep-seconds is -1"):
        speed_configs(arch="unet", sweep_seconds=-1)


def test_a_file_for_trainings_gives_speed_only_trials_too(tmp_path):
    file = tmp_path / "grid.toml"
    text = 'arch = "unet"\ndataset = "shapes"\nbudget = "5steps"\nbackend = "jax"\n[[trials]]\nbatch_size = [1, 4]\n'
    file.write_text(text)
    configs = grid.configs({"measure": "speed"}, read_toml(file))
    assert [(c.dataset, c.measure, c.batch_size) for c in configs] == [
        (NO_DATASET, "speed", size) for size in (16, 1, 4)
    ]
    assert {c.budget for c in configs} == {Budget(600.0, "seconds")}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dataset": NO_DATASET}, "Training needs a data set"),
        ({"find_batch_size": 8}, "bench speed --find-batch-size"),
        ({"measure": "sped"}, "Did you mean 'speed'?"),
        ({"measure": "speed", "find_batch_size": -1}, "--find-batch-size is -1"),
    ],
)
def test_what_can_not_be_measured(monkeypatch, changes, words):
    monkeypatch.setattr("bench.config.checks.installed", lambda name: True)
    with pytest.raises(BenchError, match=words.replace("?", r"\?")):
        catalog.resolve_config(TrialConfig(**{"arch": "unet", "dataset": "shapes", **changes}))


def test_the_largest_batch_is_sought_once_for_all_batch_sizes_and_seeds():
    options = {"arch": "unet,fcn8", "image_size": "64", "batch_size": "8,1", "seeds": 2, "find_batch_size": 64}
    configs = speed_configs(**options)
    sought = [(c.arch, c.batch_size, c.seed) for c in configs if c.find_batch_size]
    assert sought == [("unet", 8, 0), ("fcn8", 8, 0)] and len(configs) == 8


def test_all_means_every_architecture_that_the_options_suit(monkeypatch):
    monkeypatch.setattr("bench.config.checks.installed", lambda name: True)
    left_out: list[str] = []
    options = {"arch": "all", "measure": "speed", "backend": "jax"}
    found = grid.configs({**options, "image_size": "48"}, left_out=left_out)  # 48 = 3 x 16: no multiple of 32
    names = {config.arch for config in found}
    assert "unet" in names and "segnet" not in names
    assert any(line.startswith("segnet is left out: segnet can't take images of 48x48") for line in left_out)
    assert len(names) + len(left_out) == len(catalog.architectures().names())
    with pytest.raises(BenchError, match="filtres"):
        grid.configs({**options, "param": "filtres=3"})


def test_the_command_says_the_pip_line_of_a_backend_that_is_not_installed(monkeypatch):
    monkeypatch.setattr("bench.config.checks.installed", lambda name: name != "torch")
    result = CliRunner().invoke(app, ["speed", "--arch", "unet", "--backend", "jax,torch"])
    assert result.exit_code == 2
    assert "pip install 'segbench[torch]'" in result.output


def test_the_command_runs_no_trial_for_a_plan(monkeypatch, tmp_path):
    monkeypatch.setattr("bench.config.checks.installed", lambda name: True)
    command = ["speed", "--arch", "unet", "--batch-size", "1,8", "--dry-run", "--results", str(tmp_path / "r")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "Planned trials: 2" in result.output and "10m" not in result.output and not (tmp_path / "r").exists()


def test_a_plan_tells_of_a_search_to_come(trial, tmp_path):
    config, stored = TrialConfig.from_dict(trial.record.config), [trial]
    (done,), (lacks,) = (
        estimate.estimates([config], trials)
        for trials in (stored, [replace(trial, record=replace(trial.record, memory={"peak_memory_mib": 1.0}))])
    )
    assert done.done and not lacks.done
    (other,) = estimate.estimates([replace(config, batch_size=4)], stored)
    assert other.search_seconds == trial.record.memory["search_seconds"] > 0
    assert trial.record.wall_seconds == pytest.approx(
        other.other_seconds + other.search_seconds + trial.record.training["train_seconds"]
    )
    seconds = estimate.duration(other.search_seconds)
    assert estimate.summary([done, other]).endswith(
        f"The search for the largest batch in 1 of them takes about {seconds} more."
    )
    assert "The largest batch" not in estimate.summary([done])
    command = ["speed", "--arch", "unet", "--batch-size", "1,8", "--dry-run", "--backend", config.backend]
    plain, searching = (
        CliRunner().invoke(app, [*command, "--results", str(tmp_path / "r"), *more]).output
        for more in ([], ["--find-batch-size"])
    )
    assert "largest batch" not in plain
    assert "speed-only, largest batch" in " ".join(searching.split())
    assert "The search for the largest batch in 1 of them takes an unknown time" in " ".join(searching.split())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--largest-batch", "64"], "give --find-batch-size too"),
        (["--find-batch-size", "--largest-batch", "0"], "1 or more"),
    ],
)
def test_where_a_search_ends_needs_a_search(tmp_path, options, words):
    result = CliRunner().invoke(app, ["speed", "--arch", "unet", "--results", str(tmp_path / "r"), *options])
    assert result.exit_code == 2 and words in result.output
    assert len(result.output.splitlines()) == 1


def test_a_speed_is_neither_prepared_nor_pruned(tmp_path):
    ok = {"status": "ok", "speed": {"train_images_per_second": 5.0}, "dataset": {"fingerprint": NO_DATASET}}
    config = TrialConfig("unet", NO_DATASET, backend="jax", measure="speed")
    (record,) = run([config], results=tmp_path, executor=FakeExecutor(ok))
    assert record.status == "ok" and record.config["dataset"] == NO_DATASET
    assert run([config], results=tmp_path, executor=FakeExecutor()) == [record]
