"""A few kills, crashes and runs at once; `make faults` has hundreds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the harnesses look into /proc"),
    pytest.mark.needs("jax"),  # of the trials that they kill
]


def harness(name, place, *options):
    """The figures that a harness reports; it must have found no violation."""
    command = [sys.executable, "-m", f"tests.faults.{name}", str(place), *options]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=280)
    assert not done.returncode, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_random_kills_lose_no_finished_trial(tmp_path):
    assert harness("storm", tmp_path, "--kills", "5", "--seed", "3", "--seconds", "12")["kills"]


@pytest.mark.parametrize(
    ("options", "points"), [(["--first", "8", "--every", "5"], 2), (["--force", "--first", "6", "--every", "10"], 2)]
)
def test_a_crash_at_a_file_operation_loses_no_finished_trial(tmp_path, options, points):
    assert harness("crash_points", tmp_path, *options)["points"] >= points


def test_runs_at_once_train_each_trial_once(tmp_path):
    harness("together", tmp_path, "--runners", "3", "--trials", "3")
