"""The columns of the speed tables."""

import math

from bench.results.analysis.configurations import Configuration
from bench.results.quantities import MEASURED, MISSING, PARAMS, Column


def _whole(value: float) -> str:
    return f"{value:,.0f}"


_SHARED = {column.name: column for column in MEASURED}
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
    _SHARED["latency_ms_p50"],
    _SHARED["latency_ms_p95"],
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
        meaning="The highest throughput over batch sizes 1, 2, 4, ..., tried until one gains less than 5 %; "
        "\N{GREATER-THAN OR EQUAL TO} where time ended that before.",
        brief=True,
    ),
    Column(
        name="best_inference_batch_size",
        heading="at batch",
        unit="",
        meaning="The batch size of the highest throughput.",
        write=_whole,
    ),
    *(_SHARED[name] for name in ("peak_memory_mib", "inference_peak_mib", "train_mfu")),
    *(_SHARED[name] for name in ("joules_per_1000_train_images", "joules_per_1000_inferences", "gflops")),
    PARAMS,
    Column(
        name="largest_batch",
        heading="largest batch",
        unit="images",
        meaning="The largest batch that trains, to within a sixteenth (--find-batch-size).",
        write=_whole,
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
_MEMORIES_GIB = (8, 16, 24)
FITS = (
    "batch in 8 / 16 / 24 GiB",
    "The largest batch that trains in so much memory, by the line: (memory - a) / b. On a CPU of the process's "
    "resident memory.",
)


def fits(member: Configuration) -> str:
    """`51 / 118 / 190`: batch sizes by the fitted line; a dash where there is none, or where it doesn't rise."""
    base, per_image = (member.spread(name).mean for name in ("memory_base_mib", "memory_per_image_mib"))
    if not (math.isfinite(base) and per_image > 0):
        return MISSING
    return " / ".join(str(max(0, int((1024 * memory - base) / per_image))) for memory in _MEMORIES_GIB)


def number_text(column: Column, member: Configuration) -> str:
    """A number in its column's form."""
    value = member.spread(column.name).mean
    if not math.isfinite(value):
        return column.missing
    # A sweep that time ended has not seen the batch size at which nothing more is gained.
    cut_short = column.name.startswith("best_inference") and member.ok["sweep_end"].str.fullmatch(r"[\d.]+ s").any()
    return f"\N{GREATER-THAN OR EQUAL TO} {column.write(value)}" if cut_short else column.write(value)
