"""Evaluation at native size: device and host must agree to the last pixel, and each be used where it should be."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from bench.evaluation.confusion import THRESHOLDS, levels
from bench.evaluation.evaluate import evaluate
from bench.evaluation.native import choice
from bench.evaluation.native.device import MOST_BYTES, DeviceRestorer, _most_at_once
from bench.evaluation.native.device_counts import CUTS, SLACK
from bench.evaluation.native.host import HostRestorer, _levels, sigmoid
from bench.evaluation.native.outcome import Wanted
from bench.evaluation.task import Task
from bench.evaluation.thresholds import tune
from bench.training.engines.engine import Engine
from tests.conftest import EACH_BACKEND
from tests.test_evaluate import SIZE, FakePack, boxes, predictor, red
from tests.test_predict import FakeEngine

SCRIPT = Path(__file__).with_name("native_checks.py")
EVERYTHING = Wanted(levels=True, maps=True)


class NoCompiler:
    """A runtime whose functions run as they are."""

    def __init__(self):
        self.compiled = 0

    def fused(self, function):
        self.compiled += 1
        return function


@cache
def checks(backend: str) -> dict:
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(SCRIPT.parents[1])},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_a_device_counts_another_pixel_than_the_host(backend):
    assert checks(backend)["differences"] == []


@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_a_label_that_is_no_class_is_counted_on_a_device(backend):
    assert ["hold 2" in message for message in checks(backend)["refusals"]] == [True, False]
    assert all("none of the" in message for message in checks(backend)["refusals"])


def mixed(rng) -> tuple[FakePack, Task]:
    """Seven images of four sizes, with ships and ignored pixels."""
    sizes = [(64, 48), (32, 32), (64, 48), (1, 1), (40, 100), (64, 48), (64, 48)]
    numbers = [boxes((2, 3, 20, 30), (25, 4, 31, 40), size=size) for size in sizes]
    truths = [(one != 0).astype(np.uint8) for one in numbers]
    for truth in truths[:-2]:
        truth[rng.random(truth.shape) < 0.05] = 255
    pack = FakePack(np.stack([red(rng.random(SIZE)) for _ in sizes]), truths, numbers)
    return pack, Task(pack, ("airbus_f2", "carvana_dice"), native=True)


@pytest.mark.parametrize("full", [False, True])
def test_a_table_or_a_tuned_threshold_differs_between_device_and_host(full):
    pack, task = mixed(np.random.default_rng(0))
    rows, tables, points = np.arange(len(pack.truths)), [], []
    for restorer in (HostRestorer("stretch"), DeviceRestorer(NoCompiler(), "stretch", worth=0)):
        guide = predictor()
        guide.restorer = restorer
        points.append(tune(guide, task, rows))
        tables.append(evaluate(guide, task, rows, full=full, point=points[0]).table)
    assert points[0] == points[1]
    first, second = (table.arrays() for table in tables)
    assert set(first) == set(second) and ("hausdorff95" in first) == full
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


@pytest.mark.parametrize("threshold", range(len(THRESHOLDS)))
def test_rounding_moves_a_probability_across_a_threshold_beyond_the_slack(threshold):
    cut = np.float32(CUTS[threshold])
    step = max(float(np.spacing(abs(cut))), 1e-9)
    margins = (cut + np.linspace(-3 * SLACK, 3 * SLACK, min(20_001, int(6 * SLACK / step) + 2))).astype(np.float32)
    far = np.abs(margins.astype(np.float64) - CUTS[threshold]) > SLACK
    above = sigmoid(margins) > np.float32(THRESHOLDS[threshold])
    assert far.any() and (above == (margins > cut))[far].all()


def test_levels_of_margins_are_those_of_their_probabilities():
    margins = np.random.default_rng(0).normal(size=(300, 401)).astype(np.float32) * 3
    np.testing.assert_array_equal(_levels(margins), levels(sigmoid(margins)))
    assert _levels(margins[:0]).shape == (0, 401)


class Full(DeviceRestorer):
    """A device without room."""

    def _counted(self, *arguments):
        raise MemoryError("no room for 3 GiB")


def test_a_device_without_room_fails_or_stays_silent(capsys):
    pack, task = mixed(np.random.default_rng(1))
    rows = np.arange(len(pack.truths))
    guide, plain = predictor(), predictor()
    guide.restorer = Full(NoCompiler(), "stretch", worth=0)
    table = evaluate(guide, task, rows, full=True).table
    np.testing.assert_array_equal(table.counts, evaluate(plain, task, rows, full=True).table.counts)
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "no room to count images of 64x48, so the host does" in said


def test_another_error_of_the_device_is_taken_for_a_lack_of_room(monkeypatch):
    monkeypatch.setattr(DeviceRestorer, "_counted", lambda *arguments: 1 / 0)
    pack, task = mixed(np.random.default_rng(1))
    guide = predictor()
    guide.restorer = DeviceRestorer(NoCompiler(), "stretch", worth=0)
    with pytest.raises(ZeroDivisionError):
        evaluate(guide, task, np.arange(len(pack.truths)))


def test_a_function_is_compiled_for_sizes_with_few_pixels():
    logits, truths = np.ones((4, 8, 8, 2), np.float32), [np.zeros((100, 100), np.uint8)] * 4
    restorer = DeviceRestorer(NoCompiler(), "stretch", worth=60_000)
    counted = [[outcome.counts is not None for _, outcome in restorer.outcomes(logits, truths, EVERYTHING)]
               for _ in range(3)]  # fmt: skip
    assert counted == [[False] * 4, [False] * 4, [True] * 4]


def test_temporaries_of_a_call_exceed_the_limit():
    for padded, channels in (((1280, 1920), 1), ((128, 128), 7), ((6016, 4096), 1)):
        number, one = _most_at_once(padded, channels), padded[0] * padded[1] * (12 * channels + 16)
        assert number == 1 or number * one <= MOST_BYTES < (number + 1) * one


@pytest.mark.parametrize(
    ("gpu", "classes", "own", "device"),
    [(True, 2, True, True), (False, 2, True, False), (True, 33, True, False), (True, 2, False, False)],
)
def test_the_way_is_chosen_by_another_rule_than_the_device(gpu, classes, own, device, monkeypatch):
    class Runtime(NoCompiler):
        def uses_gpu(self):
            return gpu

    monkeypatch.setattr(choice, "create_runtime", lambda backend: Runtime())
    choice.on_device.cache_clear()
    monkeypatch.setattr(choice, "Engine", FakeEngine if own else Engine)
    engine = FakeEngine()
    found = choice.restorer_for(engine, classes, "stretch")
    assert isinstance(found, DeviceRestorer) if device else found is None
    if device:
        assert choice.restorer_for(engine, classes, "stretch") is found  # it knows whether there is room
    choice.on_device.cache_clear()
