"""Trials work beside each other and measure alone: nobody meets, waits for the dead, or pays for the wait."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext

import pytest
from running import CONFIG, OK, FakeTrial, run
from typer.testing import CliRunner

from bench.cli import app
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.profiling.clock.ledger import Ledger
from bench.profiling.host import turns
from bench.profiling.host.turns import Turns
from bench.results.trial_files import OUTCOME, PROGRESS, read_json, write_json
from bench.trials.progress import WAIT, Progress
from bench.trials.scheduling import life

PATIENCE = 60.0


class Floor:
    """The trials on a machine, each in a thread; who worked while another measured is noted."""

    def __init__(self, folder):
        self.folder, self.working, self.measuring, self.met = folder, set(), set(), []
        self.lock = threading.Lock()
        self.measured = []

    def enter(self, here, name):
        with self.lock:
            here.add(name)
            if self.measuring and len(self.measuring | self.working) > 1:
                self.met.append((sorted(self.measuring), sorted(self.working)))

    def leave(self, here, name):
        with self.lock:
            here.discard(name)

    def trial(self, name, rng):
        own = Turns(self.folder)
        for _ in range(rng.randrange(1, 12)):
            self.enter(self.working, name)
            time.sleep(rng.random() / 500)
            self.leave(self.working, name)
            own.give_way()
        with own.alone():
            self.enter(self.measuring, name)
            time.sleep(rng.random() / 200)
            self.leave(self.measuring, name)
        own.give_way()  # of one that is about to end: it waits for nobody
        self.measured.append(name)


@pytest.mark.parametrize("seed", range(5))
def test_nobody_works_or_measures_beside_one_that_measures_and_all_come_to_an_end(tmp_path, seed):
    floor = Floor(tmp_path)
    threads = [threading.Thread(target=floor.trial, args=(n, random.Random(100 * seed + n))) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(floor.measured) == list(range(6)) and not floor.met


PROGRAM = """
import sys, time
from pathlib import Path
from bench.profiling.host.turns import Turns
turns = Turns(Path(sys.argv[1]))
if sys.argv[2] == "measures":
    with turns.alone():
        print("there", flush=True)
        time.sleep(600)
print("there", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("what", ["works", "measures"])
def test_nobody_waits_for_a_trial_that_was_killed(tmp_path, what):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.getcwd()}) as other:
        other.stdout.readline()
        done = threading.Event()

        def measure():
            with Turns(tmp_path).alone():
                done.set()

        thread = threading.Thread(target=measure, daemon=True)
        thread.start()
        assert not done.wait(0.3)
        other.send_signal(signal.SIGKILL)
        assert done.wait(PATIENCE)


def test_a_wait_is_a_phase_of_its_own_in_progress_and_ledger(tmp_path):
    ledger = Ledger(time.time())
    progress = Progress(tmp_path, ledger)
    first, second = Turns(tmp_path), Turns(tmp_path, progress.waiting)
    seen = []

    def measure():
        with first.alone():
            while read_json(tmp_path / PROGRESS).get("phase") != WAIT:
                time.sleep(0.002)
            seen.append(WAIT)

    thread = threading.Thread(target=measure)
    with progress.stage("train"):
        thread.start()
        while not seen:
            time.sleep(0.002)
            second.give_way()
    thread.join(PATIENCE)
    second.close()
    assert read_json(tmp_path / PROGRESS)["phase"] == "train"
    assert {"wait", "train"} <= {*ledger.close()}


def test_without_the_option_nothing_is_locked_or_awaited(monkeypatch, tmp_path):
    monkeypatch.setenv("SEGBENCH_CACHE", str(tmp_path))
    turns.give_way()
    with turns.alone():
        pass
    assert turns._turns is None and not list(tmp_path.iterdir())


def test_a_system_or_cache_without_locks_is_said_in_a_line(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEGBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(BenchError, match="SEGBENCH_CACHE"):
        turns.take_turns(nullcontext)
    monkeypatch.setattr(turns, "fcntl", None)
    with pytest.raises(BenchError, match="Leave it out on this system"):
        Turns(tmp_path)


class Waits(FakeTrial):
    """A trial that waits for others that long, says so, and then ends well, or works on until it is stopped."""

    def __init__(self, folder, seconds, ends):
        super().__init__(folder, "hang")
        self.folder, self.until, self.ends = folder, time.monotonic() + seconds, ends
        write_json(folder / PROGRESS, {"phase": WAIT, "time": time.time(), "pid": 1}, sync=False)

    def wait(self, seconds):
        if time.monotonic() > self.until:
            if self.ends:
                (self.folder / OUTCOME).write_text(json.dumps(OK), encoding="utf-8")
                return True
            write_json(self.folder / PROGRESS, {"phase": "train", "time": time.time(), "pid": 1}, sync=False)
        return self.stopped


@pytest.mark.parametrize(("ends", "status"), [(True, "ok"), (False, "timed_out")])
def test_the_wait_for_others_does_not_count_towards_the_timeout(tmp_path, monkeypatch, ends, status):
    monkeypatch.setattr(life, "LOOK_SECONDS", 0.01)
    config = TrialConfig(**{**vars(CONFIG), "timeout": 0.5})

    class Executor:
        def start(self, folder, backend):
            return Waits(folder, 1.5, ends)

    (record,) = run([config], results=tmp_path / "r", executor=Executor())
    assert record.status == status
    assert record.wall_seconds > 1.5


@pytest.mark.slow
def test_trials_of_a_run_that_measure_alone_never_overlap_and_carry_no_flag(tmp_path, quick_backend, monkeypatch):
    """The time stamps of two real trials' measurements, which share two cores or more."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("two trials at once need two cores")
    monkeypatch.setenv("SEGBENCH_CACHE", str(tmp_path / "cache"))
    command = ["run", "--arch", "unet", "--dataset", "shapes", "--backend", quick_backend, "--image-size", "32"]
    command += ["--param", "filters=[4,8]", "--budget", "30steps", "--batch-size", "4", "--seeds", "3"]
    done = CliRunner().invoke(app, [*command, "--jobs", "2", "--measure-alone", "--results", str(tmp_path / "r")])
    assert done.exit_code == 0, done.output
    records = [read_json(path) for path in (tmp_path / "r/trials").glob("*/record.json")]
    assert len(records) == 3 and all(record["config"]["measure_alone"] for record in records)
    assert all(record["environment"]["trials_at_once"] == 2 for record in records)
    assert sum(record["ledger"]["wait"] for record in records) > 0
    assert CliRunner().invoke(app, ["report", str(tmp_path / "r")]).exit_code == 0
    assert "shared machine" not in (tmp_path / "r/report/index.html").read_text(encoding="utf-8")
