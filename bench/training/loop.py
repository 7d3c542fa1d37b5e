"""Train under a budget in blocks of steps. The device is awaited once per block; validation is not timed."""

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from statistics import median
from typing import Any

import numpy as np

from bench.core.errors import Diverged
from bench.data.batches import TrainingBatches
from bench.profiling.clock.timing import seconds_since
from bench.training import augment
from bench.training.budget import Meter
from bench.training.engines.engine import Engine
from bench.training.schedule import rate

BLOCK_SECONDS = 0.5  # aimed length of a block of steps, so long that awaiting it costs nothing
MAX_BLOCK = 100
GAP_TIMES, GAP_SECONDS = 5.0, 2.0  # a block has a gap if it takes that many times its usual time, and that much longer
LEAST_BLOCKS = 4  # that tell the usual time

_USED = tuple(f.name for f in fields(Meter) if f.default is not MISSING)  # what a meter has counted
_PLACE = ("switch_at", "milestone", "since", "block_rates", "blocks", "losses")


@dataclass
class Training:
    """The training of one model.

    Args:
        batches: endless.
        augmentation: its text.
        switch_at: the fraction of the budget at which `on_switch` is called once, untimed; None for never.
        on_block: called after every block, untimed.
        on_milestone: called at every validation point, untimed, with the mean loss since the last one; returns whether
            training ends there.
        note: called with the seconds and the images of every block, directly after it.
    """

    engine: Engine
    batches: TrainingBatches
    meter: Meter
    lr: float
    schedule: str
    augmentation: str
    rng: np.random.Generator
    warmup: float = 0.0  # the fraction of the budget in which the learning rate rises
    switch_at: float | None = None
    on_switch: Callable[[], None] = lambda: None
    on_block: Callable[[], None] = lambda: None
    on_milestone: Callable[[float], bool] = lambda loss: False
    note: Callable[[float, int], None] = lambda seconds, images: None
    milestone: float = 0.0  # the fraction at which the model is validated next; 0 right after a validation
    since: int = 0  # the number of blocks at the last validation
    block_rates: list[float] = field(default_factory=list)  # images per second of each block
    blocks: list[tuple[int, float]] = field(default_factory=list)  # steps and seconds of each block
    losses: list[float] = field(default_factory=list)  # mean loss of each block
    waits: list[float] = field(default_factory=list)  # seconds in which each block of this process read batches
    waited: float = 0.0  # seconds in which this process has read batches

    def run(self) -> None:
        """Train until the budget is used or a milestone ends it; raise Diverged if the loss is not finite."""
        while self.milestone or self.meter.fraction < 1.0:
            if not self.milestone:
                self.milestone, self.since = self.meter.next_milestone(), len(self.losses)
            while self.meter.fraction < self.milestone:
                self._block(min(self._block_steps(), self.meter.steps_to(self._next_stop(self.milestone))))
            self.milestone = 0.0
            if self.on_milestone(float(np.mean(self.losses[self.since :]))):
                return

    def state(self) -> dict[str, Any]:
        """Return where training stands, but for the engine's variables, as values that JSON can hold.

        It may be called by `on_block` and by `on_milestone`.
        """
        meter = {name: getattr(self.meter, name) for name in _USED}
        place = {name: getattr(self, name) for name in _PLACE}
        return {
            "meter": meter,
            "place": copy.deepcopy(place),
            "batches": self.batches.state(),
            "draws": self.rng.bit_generator.state,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        for name in _USED:
            setattr(self.meter, name, state["meter"][name])
        for name in _PLACE:
            setattr(self, name, state["place"][name])
        self.batches.restore(state["batches"])
        self.rng.bit_generator.state = state["draws"]

    def _next_stop(self, milestone: float) -> float:
        """Return the fraction at which the next block must end: the milestone, or a switch of phase before it."""
        if self.switch_at is None or self.switch_at > milestone:
            return milestone
        if self.meter.fraction < self.switch_at:
            return self.switch_at
        self.switch_at = None
        self.on_switch()
        return milestone

    def steps(self, count: int) -> list[float]:
        """Run `count` training steps, loading included, wait for them, and return their losses."""
        losses = []
        for i in range(count):
            start = time.perf_counter()
            images, labels, draws = self.load()
            self.waited += seconds_since(start)
            lr = rate(self.schedule, self.lr, self.meter.fraction_after(i), self.warmup)
            losses.append(self.engine.train_step(images, labels, draws, lr))
        self.engine.wait(losses)
        return [float(loss) for loss in losses]

    def load(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Read the next batch on the host: images, labels and the augmentation's random draws."""
        images, labels = next(self.batches)
        return images, labels, augment.draw(self.augmentation, self.rng, len(images))

    def input_wait_share(self) -> float | None:
        """Return the share of the training time in which the host read batches; None if that is not known.

        It is that of the blocks since this process began, but for the first one, in which worker processes start.
        """
        waits = self.waits[1:]
        seconds = sum(seconds for _, seconds in self.blocks[-len(waits) :]) if waits else 0.0
        return sum(waits) / seconds if seconds else None

    def current_lr(self) -> float:
        """Return the learning rate at the current fraction of the budget."""
        return rate(self.schedule, self.lr, self.meter.fraction, self.warmup)

    def _block(self, count: int) -> None:
        start, waited = time.perf_counter(), self.waited
        losses = self.steps(count)
        seconds = seconds_since(start)
        self.waits.append(self.waited - waited)
        self.note(seconds, count * self.meter.batch_size)
        self.meter.steps += count
        self.meter.seconds += seconds
        self.blocks.append((count, seconds))
        self.block_rates.append(count * self.meter.batch_size / seconds)
        self.losses.append(float(np.mean(losses)))
        if not all(map(math.isfinite, losses)):
            raise Diverged(f"The loss became {losses[-1]} at step {self.meter.steps}.")
        self.on_block()

    def _block_steps(self) -> int:
        if not self.meter.steps:
            return 1
        return int(np.clip(BLOCK_SECONDS * self.meter.steps / self.meter.seconds, 1, MAX_BLOCK))


def slow_block_seconds(blocks: Sequence[tuple[int, float]]) -> float:
    """Add up the seconds of blocks with a gap, beyond those that their steps usually take.

    They stay on the budget's clock, as a slow disk or device belongs to the training; a page says how long they were.

    Args:
        blocks: steps and seconds of each; the first one is left out, because it may warm up.
    """
    blocks = blocks[1:]
    if len(blocks) < LEAST_BLOCKS:
        return 0.0
    usual = median(seconds / steps for steps, seconds in blocks)
    beyond = [(seconds / (steps * usual), seconds - steps * usual) for steps, seconds in blocks]
    return sum((more for times, more in beyond if times > GAP_TIMES and more > GAP_SECONDS), 0.0)
