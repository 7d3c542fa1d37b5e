"""The memory of a trial: what the allocator handed out, what it holds, and what the process takes, named apart."""

from bench.results.quantities.quantity import (
    COMPARISON,
    LEADERBOARD,
    LOWER,
    NOT_RECORDED,
    SPEED_TABLE,
    TRADE_OFF,
    VERIFICATION,
    Bound,
    Quantity,
    Tolerance,
    whole_number,
)

FITS = "process_peak_mib"
HOST_PARTS = ("anonymous", "file", "shared")  # of the resident memory


def host_peak(part: str) -> str:
    """Return the column of the peak of one of HOST_PARTS."""
    return f"host_{part}_peak_mib"


PEAKS = (
    Quantity(
        name="peak_memory_mib",
        part="memory",
        heading="peak memory",
        unit="MiB",
        meaning="Peak memory: that of the device's allocator on a GPU, the process's resident memory on a CPU.",
        more="`memory_method` says which; the two are not comparable. It compares models; `process_peak_mib` decides "
        "whether one fits.",
        better=LOWER,
        where=(LEADERBOARD, SPEED_TABLE, TRADE_OFF, COMPARISON, VERIFICATION),
        brief=True,
        ratio="memory",
        tolerance=Tolerance(0.10, relative=True),
    ),
    Quantity(
        name=FITS,
        part="memory",
        heading="memory to fit",
        unit="MiB",
        meaning="Peak memory of the whole process, which decides whether the trial fits: on a GPU what NVML counts for "
        "it (context, libraries, and all that the allocator holds), on a CPU the anonymous and shared part of its "
        "resident memory, which the system can't drop.",
        more="`process_memory_method` says how, or why it was not recorded. A GPU with this much free memory is "
        "enough; with less the trial may still fit, since an allocator may hold more than it needs.",
        better=LOWER,
        where=(LEADERBOARD, SPEED_TABLE),
        missing=NOT_RECORDED,
        bound=Bound("max_memory_mib", "MiB"),
    ),
    Quantity(
        name="reserved_peak_mib",
        part="memory",
        heading="memory, reserved",
        unit="MiB",
        meaning="The most memory that the backend's allocator has taken from the GPU, used or not.",
        more="PyTorch's `max_memory_reserved`, the pool in JAX's `memory_stats`. TensorFlow doesn't tell it; a CPU has "
        "no such allocator.",
        better=LOWER,
        where=(LEADERBOARD, SPEED_TABLE),
        detail=True,
        optional=True,
        missing=NOT_RECORDED,
    ),
    *(
        Quantity(
            name=host_peak(part),
            part="memory",
            heading=f"host memory, {part}",
            unit="MiB",
            meaning=meaning,
            more="Sampled every 50 ms (Linux). The three peaks may belong to different moments.",
            better=LOWER,
            missing=NOT_RECORDED,
        )
        for part, meaning in zip(
            HOST_PARTS,
            (
                "The peak of the resident memory's anonymous part: arrays, models and buffers.",
                "The peak of the resident memory's mapped files, such as libraries, which can be dropped.",
                "The peak of the resident memory's shared part, such as memory shared with worker processes.",
            ),
            strict=True,
        )
    ),
)
BATCHES = (
    Quantity(
        name="largest_batch",
        part="memory",
        heading="largest batch",
        unit="images",
        meaning="The largest batch size that can be trained, to within a sixteenth (--find-batch-size).",
        more="The size is doubled from 1 until training fails, then bisected; 0: not even one image can be trained.",
        write=whole_number,
        where=(SPEED_TABLE,),
    ),
    Quantity(
        name="memory_base_mib",
        part="memory",
        heading="memory, fixed",
        unit="MiB",
        meaning="The constant a of the line memory = a + b x batch, fitted to the peaks of training at several batch "
        "sizes.",
        more="The fit is by least squares, to `memory_points`.",
        better=LOWER,
        signed=True,
        where=(SPEED_TABLE,),
    ),
    Quantity(
        name="memory_per_image_mib",
        part="memory",
        heading="memory, per image",
        unit="MiB",
        meaning="The slope b of the line memory = a + b x batch.",
        better=LOWER,
        signed=True,
        where=(SPEED_TABLE,),
    ),
)
