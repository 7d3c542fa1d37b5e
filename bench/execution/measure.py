"""The speeds of a trained model, measured in its own process with the functions that trained it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.profiling.speed import latency, paired_ratio, rate, rate_summary, seconds_of
from bench.training.loop import Training

BLOCK_SECONDS = 0.5  # of each timed block of steps
PAIRS_SECONDS = 10.0  # for all pairs of blocks


def measure_speed(training: Training, batch: tuple[Any, Any, Any]) -> dict[str, Any]:
    """Training and inference speed; changes the weights, so it comes last.

    Args:
        batch: resident on the device: images, labels and draws.

    Returns:
        The `speed` of a record: images per second, milliseconds and ratios.
    """
    engine, size = training.engine, training.meter.batch_size
    median, iqr = rate_summary(training.block_rates)
    return {
        "train_images_per_second": median,
        "train_images_per_second_iqr": iqr,
        "loader_images_per_second": rate(training.load, size),
        **_harness(training, batch),
        "inference_images_per_second": rate(lambda: engine.wait(engine.predict(batch[0])), size),
        "inference_batch_size": size,
        **_latency(training, batch[0]),
    }


def _harness(training: Training, batch: tuple[Any, Any, Any]) -> dict[str, float]:
    """The bare compiled step on a resident batch against the same step through loader and augmentation, in turn."""
    bare = _bare_steps(training, batch)
    bare(1)
    per_step = seconds_of(lambda: bare(1))
    steps = int(np.clip(BLOCK_SECONDS / per_step, 1, 50))
    pairs = int(np.clip(PAIRS_SECONDS / (2 * steps * per_step), 3, 7))
    seconds, _, ratio = paired_ratio(lambda: bare(steps), lambda: training.steps(steps), pairs=pairs)
    return {
        "bare_images_per_second": steps * training.meter.batch_size / seconds,
        "harness_efficiency": ratio,
    }


def _bare_steps(training: Training, batch: tuple[Any, Any, Any]) -> Callable[[int], None]:
    engine = training.engine

    def run(count: int) -> None:
        engine.wait([engine.train_step(*batch, 0.0) for _ in range(count)])

    return run


def _latency(training: Training, images: Any) -> dict[str, float]:
    engine = training.engine
    one = engine.put(np.zeros((1, *images.shape[1:]), np.uint8))
    return latency(lambda: engine.wait(engine.predict(one)))
