"""Time in which a trial's process doesn't run counts nowhere: on the budget's clock, in no speed, and it is said."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from running import run

from bench.core.specs import Budget
from bench.core.trial_config import TrialConfig
from bench.profiling.clock import stalls, timing
from bench.profiling.clock.stalls import BEAT_SECONDS, Instant, Stall, stall_between
from bench.training.budget import Meter
from bench.training.loop import Training, slow_block_seconds
from bench.trials.progress import Observer

TINY = {"image_size": (32, 32), "batch_size": 4, "params": {"filters": [4, 8]}}
START = Instant(100.0, 5.0, 1000)


@pytest.mark.parametrize(
    ("seconds", "slept", "looks", "stall"),
    [
        (BEAT_SECONDS, 0.0, 1, None),
        (BEAT_SECONDS + 0.9, 0.0, 1, None),  # a busy machine
        (BEAT_SECONDS + 30.0, 0.0, 2, (30.0, 0.0)),  # stopped
        (BEAT_SECONDS + 30.0, 0.0, 25, (30.0, 0.0)),  # stopped after it had waited for the lock for a moment
        (BEAT_SECONDS + 30.0, 0.0, 6000, None),  # another thread held Python's lock for 30 s
        (BEAT_SECONDS, 3600.0, 1, (0.0, 3600.0)),  # the machine slept, and the clock with it
        (BEAT_SECONDS + 30.0, 3600.0, 2, (30.0, 3600.0)),
    ],
)
def test_a_beat_that_is_late_is_a_stall_unless_the_thread_waited_for_the_lock(seconds, slept, looks, stall):
    found = stall_between(START, Instant(100.0 + seconds, 5.0 + slept, 1000 + looks))
    assert found == (stall and Stall(100.0 + seconds, pytest.approx(stall[0]), pytest.approx(stall[1])))


def test_without_counts_of_the_lock_a_late_beat_is_a_stall():
    assert stall_between(START._replace(looks=-1), Instant(110.0, 5.0, -1)).seconds == 10.0 - BEAT_SECONDS


class FakeWatch:
    """A watch that knows of these stalls."""

    def __init__(self, *found):
        self.found = found

    def since(self, start):
        return sum(stall.seconds for stall in self.found if stall.end > start)


def test_a_stall_is_left_out_of_every_time_that_it_falls_into_and_of_no_other(monkeypatch):
    monkeypatch.setattr(time, "perf_counter", lambda: 130.5)
    monkeypatch.setattr(stalls, "_watch", FakeWatch(Stall(50.0, 7.0), Stall(130.4, 30.0)))
    assert timing.seconds_since(100.0) == pytest.approx(0.5)
    assert timing.seconds_since(130.45) == pytest.approx(0.05)
    assert timing.seconds_since(40.0) == pytest.approx(53.5)


class Engine:
    """An engine whose steps take 10 ms of a made clock, with a stop of 30 s in one of them."""

    def __init__(self, monkeypatch, stopped_at):
        self.now, self.steps, self.stopped_at = 1000.0, 0, stopped_at
        self.watch = FakeWatch()
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(stalls, "_watch", self.watch)

    def train_step(self, images, labels, draws, lr):
        self.steps += 1
        self.now += 0.01
        if self.steps == self.stopped_at:
            self.now += 30.0
            self.watch.found = (Stall(self.now, 30.0),)
        return 1.0

    def wait(self, losses):
        pass


@pytest.mark.parametrize("stopped_at", [None, 1, 7, 300, 1200])
def test_a_budget_of_seconds_trains_as_many_steps_whenever_the_process_is_stopped(monkeypatch, stopped_at):
    engine = Engine(monkeypatch, stopped_at)
    batch = np.zeros((2, 8, 8, 3), np.uint8), np.zeros((2, 8, 8), np.uint8)
    meter = Meter(Budget(12, "seconds"), batch_size=2, epoch_images=10)
    training = Training(engine, iter(lambda: batch, None), meter, 0.1, "constant", "none", np.random.default_rng(0))
    training.run()
    assert meter.steps == pytest.approx(1200, abs=1)
    assert meter.seconds == pytest.approx(12.0, abs=0.02)
    assert training.block_rates == pytest.approx([200.0] * len(training.block_rates))


def test_a_block_that_its_steps_do_not_explain_is_said_with_its_length():
    usual = [(10, 0.5)] * 9
    assert slow_block_seconds([(1, 60.0), *usual]) == 0.0  # the first one may compile
    assert slow_block_seconds([*usual, (10, 20.5)]) == pytest.approx(20.0)
    assert slow_block_seconds([*usual, (40, 2.0)]) == 0.0  # more steps, as fast
    assert slow_block_seconds([*usual, (1, 1.9)]) == 0.0  # below the seconds that count
    assert slow_block_seconds([(10, 5.0)] * 9 + [(10, 20.0)]) == 0.0  # four times as slow as usual: noisy, no gap
    assert slow_block_seconds([(1, 1.0), (10, 30.0)]) == 0.0  # nothing to compare with
    assert slow_block_seconds([]) == 0.0


SLEEPER = """
import sys, time
from bench.profiling.clock.stalls import stalled_seconds, watch_stalls
from bench.profiling.clock.timing import seconds_since

watch_stalls()
start = time.perf_counter()
print("ready", flush=True)
while time.perf_counter() - start < float(sys.argv[1]):
    sum(range(1000))
print(time.perf_counter() - start, seconds_since(start), stalled_seconds(), flush=True)
"""


def test_a_stopped_process_notices_how_long_it_was_stopped():
    words = [sys.executable, "-c", SLEEPER, "3"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)
        os.kill(process.pid, signal.SIGSTOP)
        stopped = time.perf_counter()
        time.sleep(4)
        stopped = time.perf_counter() - stopped
        os.kill(process.pid, signal.SIGCONT)
        wall, counted, stalled = map(float, process.stdout.readline().split())
    assert stopped - 2 * BEAT_SECONDS <= stalled <= stopped + 1
    assert counted == pytest.approx(wall - stalled, abs=0.01)


HOLDER = """
import ctypes, time
from bench.profiling.clock.stalls import stalled_seconds, watch_stalls

watch_stalls()
time.sleep(0.3)
ctypes.PyDLL(None).usleep(2_500_000)  # PyDLL keeps Python's lock
time.sleep(0.3)
print(stalled_seconds())
"""


def test_a_thread_that_holds_pythons_lock_is_no_stall():
    run = subprocess.run([sys.executable, "-c", HOLDER], capture_output=True, encoding="utf-8", timeout=60)
    assert run.stdout.strip() == "0.0", run.stderr


class Sleep(Observer):
    """Stops a trial for 30 seconds once it trains."""

    def __init__(self):
        self.slept = False

    def progressed(self, trial, progress):
        if progress.get("steps", 0) > 20 and not self.slept:
            self.slept = True
            os.kill(progress["pid"], signal.SIGSTOP)
            threading.Timer(30, os.kill, (progress["pid"], signal.SIGCONT)).start()


@pytest.mark.slow
@pytest.mark.needs("jax")
def test_a_trial_that_sleeps_trains_as_long_as_one_that_does_not(tmp_path):
    config = TrialConfig("unet", "shapes", backend="jax", **{**TINY, "budget": Budget(12, "seconds")})
    (quiet,) = run([config], results=tmp_path / "quiet")
    (slept,) = run([config], results=tmp_path / "slept", observer=Sleep())
    assert slept.status == "ok"
    assert slept.training["train_seconds"] == pytest.approx(12, abs=1)
    assert slept.training["stalled_seconds"] == pytest.approx(30, abs=1)
    assert quiet.training["stalled_seconds"] == 0
    assert slept.training["steps"] > quiet.training["steps"] / 2  # 102 of 469 when the sleep counted as training
