"""Measure a model's speed, memory and energy in its own process, with the functions that train it.

A trial calls `measure_speed`. A speed session calls the functions that need neither loader nor data set: `bare_steps`,
`measure_inference`, `under_load`, `utilisation` and `trace_steps`. All of them run last, because they change the state
of the optimizer and of batch norm.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from keras.backend import standardize_dtype

from bench.core.trial_config import TrialConfig
from bench.profiling import peaks, trace
from bench.profiling.clock.timing import lasting_rate, latency, paired_ratio, rate, rate_summary, seconds_of
from bench.profiling.clock.timing_table import (
    BARE,
    BESIDE,
    INFERENCE,
    JOINT,
    LATENCY,
    LOADER,
    TRAIN,
    Note,
    both,
    ignore,
)
from bench.profiling.energy import INFERENCE_ENERGY, TRAIN_ENERGY, Window
from bench.profiling.environment import actual_device
from bench.profiling.instruments import Instruments
from bench.training.build import ResidentBatch
from bench.training.engines.engine import Engine, InferenceEngine
from bench.training.loop import Training

BLOCK_SECONDS = 0.5  # length of each timed block of steps
PAIRS_SECONDS = 10.0  # for all pairs of blocks together


def measure_speed(
    training: Training, batch: ResidentBatch, instruments: Instruments, *, alone: bool = False
) -> dict[str, Any]:
    """Measure the training and inference speed of a trained model.

    Args:
        alone: leave out the blocks of the training itself, since other trials ran beside them.

    Returns:
        The `speed` of a record: images per second, milliseconds and ratios.
    """
    size, timings = training.meter.batch_size, instruments.timings
    ready, note = training.batches.ready, timings.noting(LOADER, size)
    loader = (
        lasting_rate(training.load, size, ready=ready, note=note) if ready else rate(training.load, size, note=note)
    )
    harness, joint_rates = _harness(training, batch, instruments)
    if alone:
        timings.set_apart(TRAIN, BESIDE)
        timings.set_apart(JOINT, TRAIN)
    rates = joint_rates if alone else training.block_rates
    median, iqr = rate_summary(rates)
    return {
        "train_images_per_second": median,
        "train_images_per_second_iqr": iqr,
        "train_blocks": len(rates),
        "loader_images_per_second": loader,
        **harness,
        **measure_inference(training.engine, batch, instruments),
    }


def first_step(engine: Engine, batch: ResidentBatch, instruments: Instruments) -> float:
    """Take the first training step, which compiles, at a learning rate of 0; return its seconds."""
    with instruments.memory.phase("first_step"):
        return seconds_of(lambda: engine.wait(engine.train_step(*batch, 0.0)))


def bare_steps(engine: Engine, batch: ResidentBatch, window: Window | None = None) -> Callable[[int], None]:
    """Make a function that takes training steps on a resident batch at a learning rate of 0, and awaits the last.

    Args:
        window: counts the images, if given.
    """

    def run(count: int) -> None:
        engine.wait([engine.train_step(*batch, 0.0) for _ in range(count)])
        if window:
            window.images += count * len(batch[0])

    return run


def top_up(window: Window, run: Callable[[int], None], count: int) -> None:
    """Continue, `count` pieces of work at a time, until the period is long enough to measure its energy."""
    while window.short:
        run(count)


def under_load(engine: Engine, batch: ResidentBatch, count: int, instruments: Instruments) -> None:
    """Note the device's state while `count` training steps run; an idle device doesn't show its clocks."""
    if instruments.reads_gpu:
        pending = [engine.train_step(*batch, 0.0) for _ in range(count)]
        instruments.note_state("device_after")
        engine.wait(pending)


def measure_inference(engine: InferenceEngine, batch: ResidentBatch, instruments: Instruments) -> dict[str, Any]:
    """Measure throughput and latency of the compiled prediction of a batch's images."""
    images, size = batch[0], len(batch[0])
    with instruments.memory.phase("inference"), instruments.energy.window(INFERENCE_ENERGY) as window:

        def run(count: int = 1) -> None:
            for _ in range(count):  # each awaited, so that no more than one output is held
                engine.wait(engine.predict(images))
            window.images += count * size

        throughput = rate(run, size, note=instruments.timings.noting(INFERENCE, size))
        top_up(window, run, _steps(size / throughput))
    instruments.memory.plan("inference", engine.planned_bytes("inference", batch))
    return {
        "inference_images_per_second": throughput,
        "inference_batch_size": size,
        **measure_latency(engine, images, instruments.timings.noting(LATENCY, 1)),
    }


def measure_latency(engine: InferenceEngine, images: Any, note: Note = ignore) -> dict[str, float]:
    """Measure the milliseconds to predict one image, of the shape and type of these, that is already on the device."""
    one = engine.put(np.zeros((1, *images.shape[1:]), standardize_dtype(images.dtype)))
    return latency(lambda: engine.wait(engine.predict(one)), note=note)


def utilisation(
    config: TrialConfig, speed: dict[str, Any], gflops: float | None, instruments: Instruments
) -> dict[str, float]:
    """Compute the shares of the device's measured peak that training and inference reach; keep the peaks, too.

    Call it after everything whose memory is measured, because it needs memory itself. If the peaks can't be measured,
    it prints the reason and returns nothing. It also returns nothing for several devices: the peaks are those of one.
    """
    if config.devices_per_trial > 1:
        return {}
    shares: dict[str, float] = {}
    runtime = instruments.runtime
    try:
        for again in (False, True):
            found = peaks.measured_peaks(runtime, actual_device(runtime), config.precision, again=again)
            instruments.peaks = found
            shares = peaks.shares(speed, gflops, config.precision, found)
            if max(shares.values(), default=0.0) <= 1:
                return shares
    except Exception as error:  # noqa: BLE001 - a full disk, no memory or a missing operation must not lose the trial
        print(f"The device's peaks could not be measured: {error}")
        return {}
    print("The model is faster than the device's measured peak, so other work must have disturbed that measurement.")
    return {}


def trace_steps(
    config: TrialConfig, engine: Engine, batch: ResidentBatch, instruments: Instruments, folder: Path
) -> None:
    """Write a profiler trace of some training steps to the trial's folder, if the configuration asks for it."""
    if config.trace:
        step = bare_steps(engine, batch)
        if problem := trace.write_trace(instruments.runtime, lambda: step(1), folder / trace.FOLDER):
            print(problem)


def _harness(
    training: Training, batch: ResidentBatch, instruments: Instruments
) -> tuple[dict[str, float], list[float]]:
    """Time the bare compiled step on a resident batch and the step with loader and augmentation, in turn.

    The images per second of each block of the latter are returned, too.

    The energy is that of further bare steps, in which the device doesn't wait for the loader, as in speed-only trials.
    """
    engine, size = training.engine, training.meter.batch_size
    bare = bare_steps(engine, batch)
    with instruments.memory.phase("train"):
        bare(1)
        per_step = seconds_of(lambda: bare(1))
        steps = _steps(per_step)
        pairs = int(np.clip(PAIRS_SECONDS / (2 * steps * per_step), 3, 7))
        noting = instruments.timings.noting
        joint: list[float] = []
        notes = noting(BARE, steps * size), both(noting(JOINT, steps * size), joint.extend)
        seconds, _, ratio = paired_ratio(lambda: bare(steps), lambda: training.steps(steps), pairs=pairs, notes=notes)
    with instruments.energy.window(TRAIN_ENERGY) as window:
        top_up(window, bare_steps(engine, batch, window), steps)
    instruments.memory.plan("train", engine.planned_bytes("train", batch))
    under_load(engine, batch, steps, instruments)
    found = {"bare_images_per_second": steps * size / seconds, "harness_efficiency": ratio}
    return found, [steps * size / taken for taken in joint]


def _steps(seconds: float) -> int:
    """Return the number of steps in a block, given the seconds of one."""
    return int(np.clip(BLOCK_SECONDS / seconds, 1, 50))
