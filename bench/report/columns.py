"""The leaderboard's columns: heading, unit, definition, how a number is written."""

from collections.abc import Callable
from dataclasses import dataclass

MISSING = "–"


def _score(value: float) -> str:
    return f"{value:.3f}"


def _significant(value: float) -> str:
    """Three significant digits, whole above 100, thousands apart."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _millions(value: float) -> str:
    return _significant(value / 1e6)


@dataclass(frozen=True)
class Column:
    """One column of numbers of the leaderboard."""

    name: str  # of the frame's column
    heading: str
    unit: str
    meaning: str
    write: Callable[[float], str] = _significant
    with_sd: bool = False  # the spread stands in the cell, not only in its title
    optional: bool = False  # left out where no configuration has it
    brief: bool = False  # shown in a terminal

    @property
    def heading_with_unit(self) -> str:
        """`latency p50 (ms)`."""
        return f"{self.heading} ({self.unit})" if self.unit else self.heading


_OVER_CLASSES = "mean over the classes; one count of pixels over the whole test split"

MEASURED = (
    Column("mean_iou", "mean IoU", "", f"Intersection over union, {_OVER_CLASSES}. The rank follows it.", _score, True, brief=True),
    Column("foreground_iou", "foreground IoU", "", "Intersection over union of class 1 of a binary data set.", _score, True, True),
    Column("dice", "dice", "", f"2 TP / (2 TP + FP + FN), {_OVER_CLASSES}.", _score, True),
    Column("f2", "F2", "", f"5 TP / (5 TP + 4 FN + FP), {_OVER_CLASSES}.", _score, True),
    Column("pixel_accuracy", "pixel accuracy", "", "Share of the test split's pixels that are right.", _score, True),
    Column(
        *("train_images_per_second", "train", "images/s"),
        "Images trained on in a second, input included; median over blocks of steps, compilation left out.",
        brief=True,
    ),
    Column("latency_ms_p50", "latency p50", "ms", "One image through the compiled model, median of the calls.", brief=True),
    Column("latency_ms_p95", "latency p95", "ms", "One image through the compiled model; 95 % of the calls were faster."),
    Column("inference_images_per_second", "inference", "images/s", "Images through the compiled model in a second, in batches."),
    Column(
        *("peak_memory_mib", "peak memory", "MiB"),
        "The most memory that the trial held: the device allocator's peak on a GPU, the process's resident memory on a CPU.",
        brief=True,
    ),
    Column("train_seconds", "training", "s", "Seconds on the budget's clock: training alone, without compiling and validating."),
    Column(
        *("harness_efficiency", "harness efficiency", ""),
        "Training images/s over those of the bare step on a resident batch; below 0.95 input or harness held the model up.",
        lambda value: f"{value:.2f}",
    ),
)
PARAMS = Column("params", "parameters", "M", "Weights of the model, in millions.", _millions)
TEXTS = {
    "rank": ("rank", "By mean IoU within this table; rows with the same mean share a rank."),
    "arch": ("architecture", "What was trained."),
    "backbone": ("backbone", "The pretrained feature network that the architecture stands on."),
    "weights": ("weights", "What the backbone started from; none: random."),
    "seeds": ("seeds", "Seeds that ended well, over which the mean and the sample standard deviation (±) are taken."),
}
EFFICIENCY_LIMIT = 0.95
ENOUGH_SEEDS = 5
