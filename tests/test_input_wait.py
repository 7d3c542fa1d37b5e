"""Training waits for a loader only as long as the loader can't keep up, and the record says for how long."""

import time

import numpy as np
import pytest

from bench.core.specs import Budget, DatasetSpec
from bench.data.batches import TrainingBatches
from bench.data.loading.open_images import open_images
from bench.profiling.clock.timing import lasting_rate
from bench.training.budget import Meter
from bench.training.loop import Training

pytestmark = pytest.mark.needs("grain")
BATCH, READ_SECONDS = 8, 0.01
_DATASET = f"""
import time
import numpy as np
from dataclasses import dataclass
from bench.plugin import Sample

@dataclass(frozen=True)
class Slow:
    samples: tuple
    notes: tuple = ()

    def read(self, sample):
        time.sleep({READ_SECONDS})  # takes no core, so that other programs hardly matter
        return np.full((8, 8, 3), int(sample.token) % 250, np.uint8), np.zeros((8, 8), np.uint8)

def load(data_dir):
    splits = ("train",) * 38 + ("val", "test")
    return Slow(tuple(Sample(f"s{{i}}", split, f"s{{i}}", token=str(i)) for i, split in enumerate(splits)))
"""


class Engine:
    """An engine whose steps take so many seconds."""

    def __init__(self, seconds):
        self._seconds = seconds

    def train_step(self, images, labels, draws, lr):
        time.sleep(self._seconds)
        return 1.0

    def wait(self, losses):
        pass


@pytest.fixture
def training(tmp_path):
    plugin = tmp_path / "slow.py"
    plugin.write_text(_DATASET, encoding="utf-8")
    spec = DatasetSpec("slow", f"{plugin}:load", ("no", "yes"), needs_data_dir=False)
    data = open_images(spec, (8, 8), kept="none")

    def make(step_seconds, steps):
        batches = TrainingBatches(data, data.indexes("train"), BATCH, seed=0)
        meter = Meter(Budget(steps, "steps"), batch_size=BATCH, epoch_images=38)
        return Training(Engine(step_seconds), batches, meter, 0.1, "constant", "none", np.random.default_rng(0))

    return make


def test_a_step_that_is_slower_than_the_loader_does_not_wait_for_it(training):
    slow = training(3 * BATCH * READ_SECONDS, 24)  # three times what one worker takes, and there may be two
    slow.run()
    assert slow.input_wait_share() < 0.1  # read without workers ahead, a quarter of the time


def test_a_step_that_is_faster_than_the_loader_waits_and_the_share_says_so(training):
    quick = training(0.0, 60)
    quick.run()
    assert quick.input_wait_share() > 0.5


def test_the_share_is_unknown_until_a_second_block(training):
    assert training(0.0, 1).input_wait_share() is None
    waits = training(0.0, 1)
    waits.waits, waits.blocks = [9.0], [(1, 10.0)]
    assert waits.input_wait_share() is None  # the first block, in which workers start
    waits.waits, waits.blocks = [9.0, 1.0], [(5, 100.0), (1, 10.0), (5, 4.0)]  # the first was before a resumption
    assert waits.input_wait_share() == 0.25


def test_the_rate_of_a_loader_is_that_of_its_workers_and_not_of_what_is_ready():
    now, ready = [0.0], 12

    def call():
        """Take a batch of 2 of 4 that are sent at once, which takes 1 s, unless they are ready."""
        nonlocal ready
        now[0] += 0.001 if ready >= 2 else 1.0
        ready += 2 if ready < 2 else -2

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "perf_counter", lambda: now[0])
        assert lasting_rate(call, 2, ready=14) == pytest.approx(4.0, rel=0.25)
