"""`bench run`, whose trial is killed at random moments and taken up again, ends with the same bits; real processes."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from bench.core.backends import BACKENDS
from bench.results.trial_files import CHECKPOINTS, WEIGHTS

STEPS = 600


def bench(results, backend, every):
    """Start `bench run` with a net that has dropout and batch norm."""
    what = f"--arch unet --dataset shapes --image-size 32 --batch-size 4 --select best --budget {STEPS}steps"
    command = [
        sys.executable,
        "-m",
        "bench",
        "run",
        *what.split(),
        "--param",
        "filters=[4,8]",
        "--param",
        "dropout=0.2",
    ]
    command += ["--backend", backend, "--keep-weights", "all", "--checkpoint-every", every, "--results", str(results)]
    return subprocess.Popen(command, start_new_session=True)


def kill_after(running, results, step):
    """Kill the whole run once a checkpoint of that step, or of a later one, is there; return the last one."""
    while running.poll() is None:
        if newest(results) >= step:
            os.kill(running.pid, signal.SIGKILL)
            running.wait()
            return newest(results)
        time.sleep(0.01)
    raise AssertionError("it ended before the checkpoint")


def newest(results):
    """The step of the last checkpoint; 0 if there is none."""
    return max((int(path.stem) for path in Path(results).glob(f"trials/*.running/{CHECKPOINTS}/[0-9]*.npz")), default=0)


def ended(results):
    """The record and the weights of the only trial."""
    (path,) = Path(results).glob("trials/*/record.json")
    weights = []
    with h5py.File(path.with_name(WEIGHTS)) as file:
        file.visititems(lambda _, item: weights.append(np.array(item)) if isinstance(item, h5py.Dataset) else None)
    assert not (path.parent / CHECKPOINTS).exists()
    return json.loads(path.read_text(encoding="utf-8")), weights


@pytest.mark.slow
@pytest.mark.parametrize("backend", [pytest.param(name, marks=pytest.mark.needs(name)) for name in BACKENDS])
def test_a_trial_that_is_killed_twice_ends_with_the_same_weights_and_scores(tmp_path, backend):
    assert bench(tmp_path / "whole", backend, "never").wait() == 0
    step, dice = 0, random.Random(backend)
    for _ in range(2):
        step = kill_after(bench(tmp_path / "cut", backend, "0.01s"), tmp_path / "cut", step + dice.randrange(20, 100))
    assert bench(tmp_path / "cut", backend, "never").wait() == 0
    (whole, one), (cut, other) = ended(tmp_path / "whole"), ended(tmp_path / "cut")
    assert cut["training"]["resumed"] == 2 and cut["training"]["steps"] == whole["training"]["steps"] == STEPS
    assert cut["ledger"]["lost"] > 0
    assert abs(sum(cut["ledger"].values()) - cut["wall_seconds"]) < 0.05 * cut["wall_seconds"] + 1
    assert max(np.abs(a - b).max() for a, b in zip(one, other, strict=True)) == 0
    assert whole["metrics"] == cut["metrics"]
    assert whole["validation"] == cut["validation"]
