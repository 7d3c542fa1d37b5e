"""A running folder that its runner left behind makes a record only if its request is one of that trial."""

import json

import pytest

from bench.results.outcomes import recover
from bench.results.store import ResultsFolder
from bench.results.trial_files import OUTCOME, REQUEST

IDENTITY = "unet_shapes_s0_0123456789ab_abcdef"
CONFIG = {"arch": "unet", "dataset": "shapes", "repeat": 0}
WRITTEN = {
    "key": "0123456789ab",
    "device": "cpu",
    "configuration": "c",
    "config": CONFIG,
    "fingerprint": "f",
    "time": 1.7e9,
}
FORGED = [
    {"config": 5},
    {"config": {}},
    {"config": {**CONFIG, "repeat": "0"}},
    {"config": {**CONFIG, "repeat": -1}},
    {"config": {**CONFIG, "arch": None}},
    {"config": {**CONFIG, "budget": "long"}},
    {"time": "now"},
    {"time": None},
    {"time": float("nan")},
    {"time": 1e99},
    {"time": -1.0},
    {"time": True},
    {"key": "ba9876543210"},
    {"key": "../../else"},
    {"key": 5},
    {"device": []},
    {"configuration": None},
    {"fingerprint": {"a": 1}},
]


@pytest.fixture
def folder(tmp_path):
    """A results folder in which a trial has left an outcome and the given request."""

    def make(request, outcome):
        results = ResultsFolder(tmp_path / "r")
        results.create()
        running = results.running_folder(IDENTITY)
        running.mkdir()
        (running / REQUEST).write_text(json.dumps(request), encoding="utf-8")
        (running / OUTCOME).write_text(json.dumps(outcome), encoding="utf-8")
        return results

    return make


@pytest.mark.parametrize("status", ["ok", "failed"])
@pytest.mark.parametrize("forged", FORGED, ids=json.dumps)
def test_a_request_that_no_runner_wrote_makes_no_record_and_stops_no_run(folder, forged, status):
    results = folder({**WRITTEN, **forged}, {"status": status, "metrics": {"mean_iou": 0.5}})
    recover(results)
    assert results.find(IDENTITY) is None and results.running_folder(IDENTITY).is_dir()


@pytest.mark.parametrize("name", ["started", "seconds", "attempts"])
@pytest.mark.parametrize("value", [1e12, -1, "1", None, float("nan")])
def test_odd_earlier_attempts_count_as_none(folder, name, value):
    earlier = {"started": 1.6e9, "seconds": 5.0, "attempts": 1, name: value}
    recover(results := folder({**WRITTEN, "earlier": earlier}, {"status": "failed"}))
    record = results.find(IDENTITY)
    assert record and record.started.startswith("2023") and "resumed" not in record.training


def test_a_request_of_a_runner_makes_the_record_of_a_trial_that_had_ended(folder):
    recover(results := folder(WRITTEN, {"status": "ok", "metrics": {"mean_iou": 0.5}}))
    record = results.find(IDENTITY)
    assert record and record.status == "ok" and record.key == WRITTEN["key"]
