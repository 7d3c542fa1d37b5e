"""A few kills, crashes and runs at once; `make faults` has hundreds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the harnesses look into /proc"),
    pytest.mark.needs("jax"),  # of the trials that they kill
]


@pytest.fixture(scope="module")
def harness(tmp_path_factory):
    """Run a harness and return the figures that it reports; it must have found no violation."""
    surroundings = {**os.environ, "FAULTS_SHARED": str(tmp_path_factory.mktemp("shared"))}

    def run(name, place, *options):
        command = [sys.executable, "-m", f"tests.faults.{name}", str(place), *options]
        done = subprocess.run(command, cwd=REPOSITORY, env=surroundings, capture_output=True, text=True, timeout=280)
        assert not done.returncode, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_random_kills_lose_no_finished_trial(harness, tmp_path):
    assert harness("storm", tmp_path, "--kills", "5", "--seed", "3", "--seconds", "12")["kills"]


@pytest.mark.parametrize(
    ("options", "points"), [(["--first", "8", "--every", "5"], 2), (["--force", "--first", "6", "--every", "10"], 2)]
)
def test_a_crash_at_a_file_operation_loses_no_finished_trial(harness, tmp_path, options, points):
    assert harness("crash_points", tmp_path, *options)["points"] >= points


def test_random_kills_of_a_run_with_two_trials_at_once_lose_none(harness, tmp_path):
    assert harness("storm", tmp_path, "--jobs", "2", "--kills", "4", "--seed", "5", "--seconds", "12")["kills"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_runs_at_once_train_each_trial_once(harness, tmp_path, jobs):
    harness("together", tmp_path, "--runners", "3", "--trials", "4", "--jobs", jobs)
