"""The checkpoints of a trial move to its next attempt, and go once its record is final."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from running import CONFIG, OK, FakeExecutor, run

from bench.results.trial_files import CHECKPOINTS, OUTCOME, PROGRESS, REQUEST


class Executor(FakeExecutor):
    """An executor whose trials leave a checkpoint, and which remembers what each attempt began with."""

    def __init__(self, *outcomes, step=0):
        super().__init__(*outcomes)
        self.step, self.began = step, []

    def start(self, folder, backend):
        kept = folder / CHECKPOINTS
        found = sorted(p.name for p in kept.iterdir()) if kept.is_dir() else []
        others = sorted(p.name for p in folder.iterdir() if p.name not in (CHECKPOINTS, REQUEST))
        self.began.append((found, others, json.loads((folder / REQUEST).read_text())["earlier"]))
        self.step += 1
        kept.mkdir(exist_ok=True)
        (kept / f"{self.step}.npz").write_bytes(b"state")
        return super().start(folder, backend)


def only(results, suffix=""):
    """The only folder of a trial with that suffix."""
    (folder,) = (p for p in (results / "trials").iterdir() if p.is_dir() and p.suffix == suffix)
    return folder


def test_a_failed_trial_goes_on_from_its_checkpoints_which_go_when_it_is_ok(tmp_path):
    executor = Executor(None, None, OK)
    first, second, third = (run([CONFIG], results=tmp_path, executor=executor)[0] for _ in range(3))
    assert [record.status for record in (first, second, third)] == ["failed", "failed", "ok"]
    (_, _, none), (found, others, earlier), (both, _, later) = executor.began
    assert none == {} and (found, others) == (["1.npz"], [])
    assert both == ["1.npz", "2.npz"]
    assert (earlier["attempts"], later["attempts"]) == (1, 2)
    assert later["seconds"] == pytest.approx(second.wall_seconds) and second.training["resumed"] == 1
    assert first.started == second.started == third.started
    assert third.wall_seconds >= second.wall_seconds >= first.wall_seconds
    assert not (only(tmp_path) / CHECKPOINTS).exists()


def died(results, executor, seconds=0.0):
    """Make of the record of a failed trial the running folder of a runner that was killed then."""
    folder = only(results)
    running = folder.with_name(f"{folder.name}.running")
    folder.rename(running)
    (running / "record.json").unlink()
    request = {**executor.request, "time": time.time() - 100.0}
    (running / REQUEST).write_text(json.dumps(request))
    (running / PROGRESS).write_text(json.dumps({"phase": "train", "time": request["time"] + seconds}))
    return running


@pytest.fixture
def killed(tmp_path, monkeypatch):
    """A results folder whose runner was killed 60 seconds after it began the only trial."""
    executor = Executor(None)
    start = executor.start
    monkeypatch.setattr(executor, "start", lambda folder, backend: remember(executor, folder, start, backend))
    run([CONFIG], results=tmp_path, executor=executor)
    return died(tmp_path, executor, seconds=60.0)


def remember(executor, folder, start, backend):
    executor.request = json.loads((folder / REQUEST).read_text())
    return start(folder, backend)


def test_a_trial_whose_runner_was_killed_goes_on_and_its_time_counts_up_to_its_last_sign(killed):
    (killed / CHECKPOINTS / ".1234.part.9.npz").write_bytes(b"half")
    (killed / "samples").mkdir()
    executor = Executor(OK, step=1)
    (record,) = run([CONFIG], results=killed.parents[1], executor=executor)
    ((found, others, earlier),) = executor.began
    assert (found, others) == (["1.npz"], [])
    assert (earlier["seconds"], earlier["attempts"]) == (pytest.approx(60.0), 1)
    assert 60.0 <= record.wall_seconds < 100.0


def test_force_starts_from_the_beginning(killed):
    executor = Executor(OK)
    run([CONFIG], results=killed.parents[1], executor=executor, force=True)
    assert executor.began == [([], [], {})]


@pytest.mark.parametrize("damage", ["missing", "empty", "list", "texts"])
def test_a_damaged_request_of_a_killed_runner_loses_the_time_and_not_the_checkpoint(killed, damage):
    request = killed / REQUEST
    texts = {"empty": "", "list": "[1]", "texts": json.dumps({"time": 5.0, "earlier": {"seconds": "many"}})}
    request.unlink() if damage == "missing" else request.write_text(texts[damage])
    executor = Executor(OK, step=1)
    (record,) = run([CONFIG], results=killed.parents[1], executor=executor)
    assert executor.began[0][0] == ["1.npz"]
    assert record.status == "ok"


def test_a_link_in_place_of_the_checkpoints_is_not_followed(killed, tmp_path_factory):
    elsewhere = Path(shutil.move(killed / CHECKPOINTS, tmp_path_factory.mktemp("elsewhere") / "kept"))
    os.symlink(elsewhere, killed / CHECKPOINTS)
    executor = Executor(OK, step=1)
    run([CONFIG], results=killed.parents[1], executor=executor)
    assert executor.began[0][0] == []
    assert [p.name for p in elsewhere.iterdir()] == ["1.npz"]


def test_a_trial_that_had_ended_when_its_runner_was_killed_is_recorded_without_checkpoints(killed):
    (killed / OUTCOME).write_text(json.dumps(OK))
    (record,) = run([CONFIG], results=killed.parents[1], executor=Executor())
    assert record.status == "ok"
    assert not (only(killed.parents[1]) / CHECKPOINTS).exists()
