"""The columns of the speed tables."""

import math

from bench.records.statistics import Configuration
from bench.report.columns import MISSING, PARAMS, Column

COLUMNS = (
    Column(
        name="train_images_per_second",
        heading="train",
        unit="images/s",
        meaning="Training steps on a batch of random pixels that stays on the device, augmentation included; median "
        "over blocks of steps after a warm-up.",
        brief=True,
    ),
    Column(
        name="first_step_seconds",
        heading="first step",
        unit="s",
        meaning="The first training step: tracing and compiling.",
        high_is_better=False,
    ),
    Column(
        name="latency_ms_p50",
        heading="latency p50",
        unit="ms",
        meaning="One image through the compiled model: half of the calls were faster.",
        brief=True,
        high_is_better=False,
    ),
    Column(
        name="latency_ms_p95",
        heading="latency p95",
        unit="ms",
        meaning="One image through the compiled model: 95 % of the calls were faster.",
        high_is_better=False,
    ),
    Column(
        name="latency_ms_p99",
        heading="latency p99",
        unit="ms",
        meaning="One image through the compiled model: 99 % of the calls were faster.",
        high_is_better=False,
    ),
    Column(
        name="best_inference_images_per_second",
        heading="inference",
        unit="images/s",
        meaning="The highest throughput over batch sizes 1, 2, 4, ..., tried until one gains less than 5 %.",
        brief=True,
    ),
    Column(
        name="best_inference_batch_size",
        heading="at batch",
        unit="",
        meaning="The batch size of the highest throughput.",
    ),
    Column(
        name="peak_memory_mib",
        heading="peak memory",
        unit="MiB",
        meaning="The most memory held: the device allocator's peak on a GPU, the process's resident memory on a CPU.",
        brief=True,
        high_is_better=False,
    ),
    Column(
        name="gflops",
        heading="forward",
        unit="GFLOP",
        meaning="Operations of one image's forward pass, 2 for each multiply and add.",
        high_is_better=False,
    ),
    PARAMS,
    Column(
        name="largest_batch",
        heading="largest batch",
        unit="images",
        meaning="The largest batch that trains, to within a sixteenth (--find-batch-size).",
    ),
    Column(
        name="memory_base_mib",
        heading="memory, fixed",
        unit="MiB",
        meaning="a of the line memory = a + b x batch through the peaks of training at several batch sizes.",
        high_is_better=False,
    ),
    Column(
        name="memory_per_image_mib",
        heading="memory, per image",
        unit="MiB",
        meaning="b of that line.",
        high_is_better=False,
    ),
)


def cell_text(column: Column, member: Configuration) -> str:
    """A number in its column's form."""
    value = member.spread(column.name).mean
    return column.write(value) if math.isfinite(value) else MISSING
