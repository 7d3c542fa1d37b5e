"""Steady rates: blocks of steps after a warm-up, and the throughput over batch sizes."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bench.execution.failures import is_out_of_memory, reason_of
from bench.profiling.speed import rate, seconds_of

ENOUGH_GAIN = 1.05  # of one batch size over the last, for a larger one to be tried
LARGEST_BATCH = 1024


@dataclass(frozen=True)
class Effort:
    """How long a steady rate is measured: at least so many steps, unless they take too long."""

    warm_up_steps: int = 20
    warm_up_seconds: float = 5.0  # a GPU warms up at least so long, a CPU at most
    steps: int = 100
    blocks: int = 10
    seconds: float = 30.0  # after which fewer steps are enough, but no fewer blocks than `least_blocks`
    least_blocks: int = 3
    block_seconds: float = 0.5
    sweep_seconds: float = 120.0  # after which no larger batch is tried, compiling included


@dataclass(frozen=True)
class Blocks:
    """What was timed: seconds of each block of `steps` steps."""

    steps: int
    seconds: tuple[float, ...]

    def rates(self, batch_size: int) -> list[float]:
        """Images/s of each block."""
        return [self.steps * batch_size / seconds for seconds in self.seconds]


def steady(
    run: Callable[[int], None], effort: Effort, *, gpu: bool, on_block: Callable[[], None] = lambda: None
) -> Blocks:
    """Time blocks of steps once they are steady.

    Args:
        run: takes so many steps and awaits the last; has compiled already.
        gpu: whether the device is a GPU, which also needs some seconds of load until its clocks are steady.
        on_block: called after each block, off the clock.
    """
    per_step = _warm_up(run, effort, gpu)
    steps = int(np.clip(effort.block_seconds / per_step, 1, 1000))
    seconds: list[float] = []
    while not _enough(len(seconds), steps, sum(seconds), effort):
        seconds.append(seconds_of(lambda: run(steps)))
        on_block()
    return Blocks(steps, tuple(seconds))


def _warm_up(run: Callable[[int], None], effort: Effort, gpu: bool) -> float:
    """Seconds of a step, by the fastest piece of the warm-up."""
    pieces: list[float] = []
    while True:
        pieces.append(seconds_of(lambda: run(2)))
        steps_done = 2 * len(pieces) >= effort.warm_up_steps
        time_over = sum(pieces) >= effort.warm_up_seconds
        if (steps_done and time_over) or (not gpu and (steps_done or time_over)):
            return min(pieces) / 2


def _enough(blocks: int, steps: int, seconds: float, effort: Effort) -> bool:
    if blocks >= effort.blocks and blocks * steps >= effort.steps:
        return True
    return blocks >= effort.least_blocks and seconds >= effort.seconds


def inference_sweep(
    predict: Callable[[int], Callable[[], object]],
    effort: Effort,
    largest: int = LARGEST_BATCH,
    on_point: Callable[[list[tuple[int, float]]], None] = lambda points: None,
) -> tuple[list[tuple[int, float]], str]:
    """Images/s at batch sizes 1, 2, 4, ... until one gains less than 5 %, memory ends, or the limit is reached.

    Args:
        predict: a batch size -> an awaited call on a resident batch of that size.
        on_point: called with what has been measured, before a larger batch is tried.

    Returns:
        Batch sizes with their images/s, and why it ended: "gain below 5 %", "out of memory", "limit" (the largest), the
        seconds that were over ("120 s"), or the error that a batch size led to (kernels have limits of their own); what
        fails with one image is thrown.
    """
    points: list[tuple[int, float]] = []
    spent = 0.0
    for size in _doubling(largest):
        if spent > effort.sweep_seconds:
            return points, f"{effort.sweep_seconds:g} s"
        start = time.perf_counter()
        try:
            points.append((size, rate(predict(size), size)))
        except Exception as error:
            if not points:
                raise
            return points, "out of memory" if is_out_of_memory(error) else f"at batch {size}: {reason_of(error)}"
        spent += time.perf_counter() - start
        if len(points) > 1 and points[-1][1] < ENOUGH_GAIN * points[-2][1]:
            return points, "gain below 5 %"
        on_point(points)
    return points, "limit"


def _doubling(largest: int) -> Iterator[int]:
    size = 1
    while size <= largest:
        yield size
        size *= 2
