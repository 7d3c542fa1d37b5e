"""Time work after a warm-up, awaiting its results: rates, latencies and the sweep over batch sizes."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

import numpy as np

from bench.core.errors import BenchError, is_out_of_memory, reason_of
from bench.profiling.clock.stalls import stalled_since
from bench.profiling.clock.timing_table import Note, ignore

SECONDS = 5.0  # the longest time of one measurement
ENOUGH_SECONDS = 1 / 3  # the least time of a measurement with short calls
LASTING_SECONDS = 1.0  # the same of calls that others work for
MAX_CALLS = 100  # in a measurement of latency
ENOUGH_GAIN = 1.05  # a larger batch is tried if one is that much faster than the one before
LARGEST_BATCH = 1024  # in the sweep


@dataclass(frozen=True)
class Effort:
    """The length of a measurement of a steady rate: a minimum number of steps, unless they take too long."""

    warm_up_steps: int = 20
    warm_up_seconds: float = 5.0  # a GPU warms up at least that long, a CPU at most that long
    steps: int = 100
    blocks: int = 10
    seconds: float = 30.0  # after that time fewer steps are enough, but never fewer blocks than `least_blocks`
    least_blocks: int = 3
    block_seconds: float = 0.5
    sweep_seconds: float = 120.0  # after that time, compilation included, no larger batch is tried


@dataclass(frozen=True)
class Blocks:
    """The seconds of each block of `steps` steps."""

    steps: int
    seconds: tuple[float, ...]

    def rates(self, batch_size: int) -> list[float]:
        """Return the images/s of each block."""
        return [self.steps * batch_size / seconds for seconds in self.seconds]


def seconds_since(start: float) -> float:
    """Return the seconds since a `time.perf_counter` in which this process ran; raise BenchError if they are negative.

    The time in which it was stopped, or its machine slept, isn't counted (see stalls.py).
    """
    seconds = time.perf_counter() - start - stalled_since(start)
    if seconds < 0:
        raise BenchError(f"The machine's clock went back by {-seconds:.3g} s while timing. Run the trial again.")
    return max(seconds, 1e-9)


def seconds_of(call: Callable[[], Any]) -> float:
    """Return the wall seconds of one call."""
    start = time.perf_counter()
    call()
    return seconds_since(start)


def noted(call: Callable[[], Any], note: Note) -> float:
    """Return the wall seconds of one call, and note them."""
    seconds = seconds_of(call)
    note([seconds])
    return seconds


def rate_summary(rates: list[float]) -> tuple[float | None, float | None]:
    """Return the median and the interquartile range of the blocks' rates; the first block is a warm-up and left out."""
    rates = rates[1:] or rates
    if not rates:
        return None, None
    if len(rates) < 2:
        return rates[0], None
    low, _, high = quantiles(rates, n=4, method="inclusive")
    return median(rates), high - low


def paired_ratio(
    bare: Callable[[], Any],
    through: Callable[[], Any],
    *,
    pairs: int = 5,
    notes: tuple[Note, Note] = (ignore, ignore),
) -> tuple[float, float, float]:
    """Time two ways of doing the same work in turn, so that the machine's drift affects both alike.

    Args:
        notes: called with the seconds of each timing of `bare`, and of `through`.

    Returns:
        Median seconds of `bare`, of `through`, and the median of bare / through pair by pair.
    """
    times = []
    for i in range(pairs):
        if i % 2:
            after, before = noted(through, notes[1]), noted(bare, notes[0])
        else:
            before, after = noted(bare, notes[0]), noted(through, notes[1])
        times.append((before, after))
    return median(b for b, _ in times), median(t for _, t in times), median(b / t for b, t in times)


def latency(call: Callable[[], Any], *, warm_up: int = 3, note: Note = ignore) -> dict[str, float]:
    """Measure an awaited call in milliseconds: p50, p95 and p99 of 100 calls or 5 seconds, but at least 10 calls."""
    for _ in range(warm_up):
        call()
    times: list[float] = []
    total = 0.0
    while len(times) < 10 or (len(times) < MAX_CALLS and total < SECONDS):
        times.append(seconds_of(call))
        total += times[-1]
    note(times)
    cuts = quantiles(times, n=100, method="inclusive")
    return {"calls": len(times), **{f"latency_ms_p{p}": 1000 * cuts[p - 1] for p in (50, 95, 99)}}


def rate(call: Callable[[], Any], images: int, *, warm_up: int = 1, note: Note = ignore) -> float:
    """Measure the median images/s of an awaited call that processes `images` images, after a warm-up.

    It makes at least 20 calls for at least a third of a second, but stops after 5 seconds if there are 3 calls.
    """
    for _ in range(warm_up):
        call()
    times: list[float] = []
    total = 0.0  # a sum over a million calls of a microsecond after each of them would never end
    while len(times) < 3 or (total < SECONDS and (len(times) < 20 or total < ENOUGH_SECONDS)):
        times.append(seconds_of(call))
        total += times[-1]
    note(times)
    return images / median(times)


def lasting_rate(call: Callable[[], Any], images: int, *, ready: int, note: Note = ignore) -> float:
    """Measure the images/s of a call that takes what other processes make, so that theirs count and no queue's.

    What is ready is taken first, for 5 seconds at most. The mean counts, since most calls may find all that they need
    and the next one nothing.

    Args:
        ready: the most images that may be ready.
    """
    spent = 0.0
    for _ in range(-(-ready // images)):
        if (spent := spent + seconds_of(call)) > SECONDS:
            break
    times: list[float] = []
    while len(times) < 3 or (sum(times) < SECONDS and (len(times) < MAX_CALLS or sum(times) < LASTING_SECONDS)):
        times.append(seconds_of(call))
    note(times)
    return images * len(times) / sum(times)


def steady(
    run: Callable[[int], None],
    effort: Effort,
    *,
    gpu: bool,
    on_block: Callable[[], None] = lambda: None,
    note: Callable[[float, int], None] = lambda seconds, steps: None,
) -> Blocks:
    """Time blocks of steps once they are steady.

    Args:
        run: takes a number of steps and awaits the last one; it has been compiled already.
        gpu: whether the device is a GPU, whose clocks need some seconds of load until they are steady.
        on_block: called after each block; its time is not counted.
        note: called with the seconds and the steps of each block, directly after it.
    """
    per_step = _warm_up(run, effort, gpu)
    steps = int(np.clip(effort.block_seconds / per_step, 1, 1000))
    seconds: list[float] = []
    while not _enough(len(seconds), steps, sum(seconds), effort):
        seconds.append(noted(lambda: run(steps), lambda taken: note(taken[0], steps)))
        on_block()
    return Blocks(steps, tuple(seconds))


def _warm_up(run: Callable[[int], None], effort: Effort, gpu: bool) -> float:
    """Warm up and return the seconds of a step in the fastest pair of steps."""
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
    """Measure images/s at batch sizes 1, 2, 4, ... until one gains less than 5 %, memory ends, or the limit is reached.

    Args:
        predict: maps a batch size to an awaited call on a resident batch of that size.
        on_point: called with the results so far before a larger batch is tried.

    Returns:
        Batch sizes with their images/s, and the reason for the end: "gain below 5 %", "out of memory", "limit" (the
        largest size), the time limit ("120 s"), or the error that a batch size caused (kernels have limits of their
        own). An error with one image is raised.
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
