"""The leaderboard's columns: heading, unit, definition, how a number is written."""

from collections.abc import Callable
from dataclasses import dataclass

MISSING = "\N{EN DASH}"
EFFICIENCY_LIMIT = 0.95  # below it input or harness held the model up
ENOUGH_SEEDS = 5  # that a ranking needs


def _score(value: float) -> str:
    return f"{value:.3f}"


def _fine_score(value: float) -> str:
    return f"{value:.4f}"


def _share(value: float) -> str:
    return f"{value:.2f}"


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
    high_is_better: bool = True
    missing: str = MISSING  # what stands where there is no number

    @property
    def heading_with_unit(self) -> str:
        """`latency p50 (ms)`."""
        return f"{self.heading} ({self.unit})" if self.unit else self.heading


PARAMS = Column("params", "parameters", "M", "Weights of the model, in millions.", _millions, high_is_better=False)
MEASURED = (
    Column(
        name="mean_iou",
        heading="mean IoU",
        unit="",
        meaning="Intersection over union TP / (TP + FP + FN) of each class from one count of pixels over the whole "
        "test split, mean over the classes.",
        write=_score,
        with_sd=True,
        brief=True,
    ),
    Column(
        name="foreground_iou",
        heading="foreground IoU",
        unit="",
        meaning="Intersection over union of class 1 of a binary data set.",
        write=_score,
        with_sd=True,
        optional=True,
    ),
    Column(
        name="airbus_f2",
        heading="Airbus F2",
        unit="",
        meaning="Of objects: 5 TP / (5 TP + 4 FN + FP) in each image, mean over thresholds of IoU from 0.50 to 0.95, "
        "mean over the images.",
        write=_score,
        with_sd=True,
        optional=True,
        brief=True,
    ),
    Column(
        name="carvana_dice",
        heading="Carvana dice",
        unit="",
        meaning="Dice of class 1 in each image, 1 where neither labels nor prediction have it, mean over the images.",
        write=_fine_score,
        with_sd=True,
        optional=True,
        brief=True,
    ),
    Column(
        name="boundary_iou",
        heading="boundary IoU",
        unit="",
        meaning="IoU of the pixels within 2 % of the image's diagonal of their own region's boundary, counted and "
        "averaged like mean IoU; with two classes, of class 1.",
        write=_score,
        optional=True,
    ),
    Column("dice", "dice", "", "2 TP / (2 TP + FP + FN), counted and averaged like mean IoU.", _score),
    Column("f2", "F2", "", "5 TP / (5 TP + 4 FN + FP), counted and averaged like mean IoU.", _score),
    Column("pixel_accuracy", "pixel accuracy", "", "Share of the test split's pixels that are right.", _score),
    Column(
        name="train_images_per_second",
        heading="train",
        unit="images/s",
        meaning="Images trained on in a second, input included; median over blocks of steps, compilation left out.",
        brief=True,
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
        name="inference_images_per_second",
        heading="inference",
        unit="images/s",
        meaning="Images through the compiled model in a second, in batches.",
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
        heading="operations",
        unit="GFLOP",
        meaning="Of a forward pass of one image: twice the multiplications with additions of convolutions and other "
        "products, by the layers' shapes.",
        optional=True,
        high_is_better=False,
    ),
    Column(
        name="activations",
        heading="activations",
        unit="M",
        meaning="Elements of all layers' outputs for one image, in millions.",
        write=_millions,
        optional=True,
        high_is_better=False,
    ),
    Column(
        name="file_mib",
        heading="file",
        unit="MiB",
        meaning="The weights on disk.",
        optional=True,
        high_is_better=False,
    ),
    Column(
        name="inference_peak_mib",
        heading="peak memory, inference",
        unit="MiB",
        meaning="The most memory held while predicting in batches, told by the same method.",
        high_is_better=False,
        optional=True,
    ),
    Column(
        name="train_seconds",
        heading="training",
        unit="s",
        meaning="Seconds on the budget's clock: training alone, without compiling and validating.",
        high_is_better=False,
    ),
    Column(
        name="harness_efficiency",
        heading="harness efficiency",
        unit="",
        meaning="Speed of the training step with its input over that of the bare step on a batch that stays on the "
        f"device, timed in turn; below {EFFICIENCY_LIMIT} input or harness held the model up.",
        write=_share,
    ),
    Column(
        name="train_mfu",
        heading="MFU",
        unit="",
        meaning="Operations of training in a second (3 forward passes an image, counted from the layers' shapes) over "
        "those of a matrix product in the same precision, measured on the same device.",
        write=_significant,
        optional=True,
    ),
    Column(
        name="joules_per_1000_train_images",
        heading="energy, training",
        unit="J / 1,000 images",
        meaning="Of the GPU by NVML's counter, idle power included, over 10 s or more of training steps on one "
        "batch that stays on the device.",
        high_is_better=False,
        missing="not measured",
    ),
    Column(
        name="joules_per_1000_inferences",
        heading="energy, inference",
        unit="J / 1,000 images",
        meaning="Of the GPU by NVML's counter, idle power included, over 10 s of predictions in batches or more.",
        high_is_better=False,
        optional=True,
        missing="not measured",
    ),
)
TEXTS = {  # name: heading, definition
    "rank": (
        "rank",
        "Within this table. Rows that can't be told apart (the 95 % interval of their difference holds 0) share the "
        "place of the first of them; in brackets the ranks that the differences leave open.",
    ),
    "arch": ("architecture", "What was trained."),
    "backbone": ("backbone", "The pretrained feature network that the architecture stands on."),
    "configuration": ("configuration", "Hash of the configuration: rows that look alike differ in a file's content."),
    "weights": ("weights", "What the backbone started from; none: random."),
    "flags": ("flags", "What should make you careful with the row; what they rest on stands below the table."),
    "seeds": ("seeds", "Seeds that ended well, over which the mean and the sample standard deviation (±) are taken."),
}
RANKED_BY = " The rank follows it; in brackets the 95 % interval over images and seeds."


def score_column(name: str) -> Column:
    """Of a score that a group is ranked by; a data set's own metric has no column of its own before."""
    known = next((column for column in MEASURED if column.name == name), None)
    return known or Column(name, name.replace("_", " "), "", f"{name}: mean over the test images.", _score, True)


HIGH_IS_BETTER = frozenset({"seeds", *(column.name for column in MEASURED if column.high_is_better)})
HEATED = frozenset(column.name for column in (PARAMS, *MEASURED))  # shaded by how good the cell is
