"""Small frozen dataclasses for everything that is registered, run and recorded.

Nothing here imports keras, NumPy or pandas, so that the planning process stays light.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal
from typing import Any, Literal

from bench.core.backends import BACKENDS
from bench.core.code.import_by_name import import_by_name
from bench.core.errors import BenchError

PROTOCOL_VERSION = 1  # of how a trial runs; a change makes old and new results incomparable
REDUCED_PROTOCOL_VERSION = 2  # where any JPEG was decoded at a fraction of its size, which changes the trial's pixels
SCHEMA_VERSION = 1  # of the record's format on disk
FOLDER = "folder:"  # prefix of the name of a user's own folder
IGNORE_INDEX = 255  # label value of pixels that are neither trained on nor scored

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
RESIZES = ("stretch", "letterbox", "crop")  # how images with another aspect ratio are fitted: see data/geometry.py
LOSS_TERMS = ("ce", "bce", "dice", "focal", "tversky", "lovasz")  # a loss is a sum of them, such as "0.5*ce+dice"
CLASS_WEIGHT_RULES = ("none", "balanced", "median-frequency")
NO_DATASET = "none"  # the data set of speed-only trials
FINAL_STATUSES = ("ok", "diverged", "out_of_memory", "skipped")  # not run again
RETRIED_STATUSES = ("failed", "timed_out", "interrupted")  # run again by the next `bench run`


@dataclass(frozen=True)
class Param:
    """A parameter of a builder or of a data set's adapter, from its signature."""

    name: str
    type: str  # "int", "float", "str", "bool", "list"; "path": a file that counts by its content, wherever it lies
    default: Any
    help: str = ""
    choices: tuple[Any, ...] = ()  # empty: any value of the type
    alias_of: str = ""  # the parameter in SELECTION that this is another name of
    most: int | None = None  # the largest whole number, also in a list; None: that of bench/config/checks.py


SELECTION = (
    Param(
        "group_by", "str", "", "a regular expression on an image's name; its first group, or the match, is the group"
    ),
    Param(
        "split",
        "str",
        "group",
        "divide whole groups, or single images; for splits made by segbench",
        ("group", "random"),
    ),
    Param(
        "balance",
        "int",
        0,
        "at most this many images of each number of objects, or of each tenth of foreground; 0: all",
    ),
    Param("empty_fraction", "float", 1.0, "share of the images without foreground to keep"),
    Param("sample_splits", "str", "all", "the splits that balance and empty_fraction thin", ("all", "train")),
    Param("bands", "str", "", "the bands of an image that a model gets, counted from 1, in this order, such as 3,2,1"),
    Param(
        "scale_values",
        "str",
        "",
        "the values that become 0 and 1: range (of 8 or 16 bits), percentiles (of the training split, by band), or "
        "pairs such as 0:4095; empty: range for 8 bits, percentiles for others",
    ),
)
"""The parameters of every data set; bench/data/selection/choose.py applies them."""
OF_PIXELS = ("bands", "scale_values")  # those that choose no images, so that the data's fingerprint doesn't tell them


@dataclass(frozen=True)
class ArchitectureSpec:
    """Everything that the planning process needs to know of an architecture; the trial imports `build`."""

    name: str
    build: str  # "module:function"; a plug-in's module is the path of its file
    summary: str = ""
    paper: str = ""  # authors, year, arXiv number
    aliases: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ()  # the accepted ones; empty: it takes none
    default_backbone: str | None = None
    needs_backbone: bool = False
    size_divisor: int | str = 1  # height and width must be multiples: a number, a parameter or "module:function"
    params: tuple[Param, ...] = ()
    tiny: Mapping[str, Any] = field(default_factory=dict, hash=False)  # parameters of a small model for tests
    backends: tuple[str, ...] = BACKENDS
    precisions: tuple[str, ...] = PRECISIONS
    compiles: bool = True  # whether XLA can compile it
    square: bool = False  # height and width must be equal
    smallest_side: int = 1  # pixels, of height and width
    package: str | None = None  # a package that only this builder imports, such as "keras_hub" (the extra keras-hub)

    def divisor(self, backbone: str | None = None, params: Mapping[str, Any] | None = None) -> int:
        """Return the number of pixels that height and width must be multiples of.

        A function that `size_divisor` names takes this spec, the backbone and `params`.
        """
        if isinstance(self.size_divisor, int):
            return self.size_divisor
        given, all_params = params or {}, {**self.defaults, **(params or {})}
        if self.size_divisor in all_params:
            return int(all_params[self.size_divisor])
        return int(import_by_name(self.size_divisor)(self, backbone, given))

    @property
    def defaults(self) -> dict[str, Any]:
        """The default of each parameter."""
        return {param.name: param.default for param in self.params}


@dataclass(frozen=True)
class BackboneSpec:
    """A pretrained feature network of keras.applications or keras-hub."""

    name: str
    paper: str = ""
    weights_file: str = ""  # the file name, in Keras's cache, of the ImageNet weights without top
    strides: tuple[int, ...] = (2, 4, 8, 16, 32)  # the strides of its feature maps
    output_strides: tuple[int, ...] = (32, 16, 8)  # the possible strides of its last features; below 32 by dilation
    aliases: tuple[str, ...] = ()
    package: str | None = None  # a package that only this backbone imports, such as "keras_hub" (the extra keras-hub)


@dataclass(frozen=True)
class SubmissionFormat:
    """The CSV file in which a competition wants masks, run-length encoded."""

    columns: tuple[str, str]  # the headings of the image's name and of its mask
    order: Literal["row", "column"]  # the order of pixels: row by row, or column by column
    by_object: bool = False  # one row for each 8-connected object, and an empty row for an image without objects


@dataclass(frozen=True)
class KaggleSource:
    """The files of a Kaggle competition that a data set needs."""

    competition: str  # its name in Kaggle's URL
    files: tuple[str, ...]  # the archives; empty: all files of the competition
    size: int  # approximate number of bytes
    by_hand: str  # instructions to download it by hand
    submission: SubmissionFormat | None = None


@dataclass(frozen=True)
class DatasetSpec:
    """Everything that the planning process needs to know of a data set; `adapter` is imported when it is read."""

    name: str
    adapter: str  # "module:function", called as adapter(data_dir, [source=source,] **params) -> Dataset
    classes: tuple[str, ...]  # names of the label values 0, 1, ...
    summary: str = ""
    homepage: str = ""
    licence: str = ""
    aliases: tuple[str, ...] = ()
    needs_data_dir: bool = True
    source: str = ""  # the name by which another library knows the data; if there is one, the adapter takes it
    params: tuple[Param, ...] = ()  # the adapter's own parameters
    archives: tuple[tuple[str, int, str], ...] = ()  # URL, bytes, SHA-256; empty: can't be downloaded
    kaggle: KaggleSource | None = None  # the source of a competition's data
    metrics: tuple[str, ...] = ()  # names of metrics in bench/evaluation/image_metrics.py that only this data set uses
    may_show_pictures: bool = True  # whether a published page may show its images

    @property
    def is_own(self) -> bool:
        """Return whether the data are a user's own choice: a folder, or a data set of another library."""
        return bool(self.source) or self.name.startswith(FOLDER)

    @property
    def num_classes(self) -> int:
        """The number of classes, with the background but without the ignored label."""
        return len(self.classes)

    @property
    def all_params(self) -> tuple[Param, ...]:
        """The parameters that users may set: the adapter's own, and those of SELECTION that have no name of its own."""
        own = {param.name for param in self.params}
        return (*self.params, *(param for param in SELECTION if param.name not in own))


_UNITS = {
    "s": ("seconds", 1.0),
    "m": ("seconds", 60.0),
    "h": ("seconds", 3600.0),
    "seconds": ("seconds", 1.0),
    "steps": ("steps", 1.0),
    "epochs": ("epochs", 1.0),
    "samples": ("images", 1.0),
    "images": ("images", 1.0),
}
LARGEST_BUDGET = 1e12  # of any unit
_BUDGET_HELP = "Accepted: a number and a unit, such as 10m, 90s, 2h, 2000steps, 20epochs, 100ksamples."


@dataclass(frozen=True)
class Budget:
    """A trial's amount of training in seconds, steps, epochs or images."""

    amount: float
    unit: str  # "seconds", "steps", "epochs" or "images"

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """Read a budget such as `10m`, `90s`, `2000steps`, `20epochs` or `100ksamples`; raise BenchError for others."""
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(k?)\s*([a-z]+)\s*", text.lower())
        unit = match and _UNITS.get(match[3].rstrip("s") + "s" if len(match[3]) > 1 else match[3])
        if not match or not unit:
            raise BenchError(f"Unknown budget '{text[:80]}'. {_BUDGET_HELP}")
        amount = float(match[1]) * (1000 if match[2] else 1) * unit[1]
        if amount <= 0:
            raise BenchError(f"The budget '{text}' is empty. {_BUDGET_HELP}")
        if amount > LARGEST_BUDGET:
            raise BenchError(f"The budget '{text[:40]}' is more than {LARGEST_BUDGET:,.0f} {unit[0]}. {_BUDGET_HELP}")
        return cls(amount, unit[0])

    def __str__(self) -> str:
        """Write the shortest text that `parse` reads back as the same budget."""
        if self.unit == "seconds":
            minutes = self.amount % 60 == 0
            return f"{_plain(self.amount / 60)}m" if minutes else f"{_plain(self.amount)}s"
        if self.unit == "images":
            thousands = self.amount % 1000 == 0
            return f"{_plain(self.amount / 1000)}ksamples" if thousands else f"{_plain(self.amount)}samples"
        return f"{_plain(self.amount)}{self.unit}"


def _plain(number: float) -> str:
    """Write all digits of a number, without an exponent."""
    return str(int(number)) if number == int(number) else format(Decimal(repr(float(number))), "f")


@dataclass(frozen=True)
class TrialRecord:
    """The record of a trial, one JSON file; results/README.md explains every value and unit."""

    key: str  # hash of the configuration's identity
    device: str  # "NVIDIA H200", "AMD EPYC 9654, 2 cores"
    repeat: int
    status: str  # one of FINAL_STATUSES or RETRIED_STATUSES
    config: dict[str, Any]  # TrialConfig.to_dict(), whole
    configuration: str = ""  # hash like the key, but without seed and repeat: equal for trials of one configuration
    reason: str = ""  # one line, for every status except ok
    log_tail: tuple[str, ...] = ()  # the last lines of a failed trial's log
    started: str = ""  # ISO 8601, UTC
    finished: str = ""
    wall_seconds: float | None = None
    dataset: dict[str, Any] = field(default_factory=dict)  # fingerprint, classes, images per split, notes
    model: dict[str, Any] = field(default_factory=dict)  # params, gflops, activations, file_mib, ...
    ledger: dict[str, float] = field(default_factory=dict)  # phase -> seconds; adds up to wall_seconds
    training: dict[str, Any] = field(default_factory=dict)  # steps, images, epochs, train_seconds, ...
    metrics: dict[str, Any] = field(default_factory=dict)  # on the test split
    validation: dict[str, Any] = field(default_factory=dict)  # metrics of the tested weights on the validation split
    weights: dict[str, Any] = field(default_factory=dict)  # file and size_mib if saved; what they started from
    speed: dict[str, Any] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    energy: dict[str, Any] = field(default_factory=dict)  # joules per 1,000 images, idle watts, method
    environment: dict[str, Any] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION
    protocol_version: int = PROTOCOL_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Return the record as values that JSON can hold."""
        return {**asdict(self), "log_tail": list(self.log_tail)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrialRecord":
        """Make a record from what `to_dict` returned; drop unknown fields, raise BenchError for a missing one."""
        known = {f.name for f in fields(cls)}
        missing = {"key", "device", "repeat", "status", "config"} - set(values)
        if missing:
            raise BenchError(f"The record has no {', '.join(sorted(missing))}.")
        values = {k: v for k, v in values.items() if k in known}
        return cls(**{**values, "log_tail": tuple(values.get("log_tail", ()))})


_OF_RUNNER = (
    *("key", "repeat", "config", "configuration", "log_tail"),
    *("started", "finished", "wall_seconds", "schema_version", "protocol_version"),
)
OUTCOME_FIELDS = tuple(field.name for field in fields(TrialRecord) if field.name not in _OF_RUNNER)
"""What a record takes from the outcome of its trial's process, in which a plug-in runs; its runner knows the others."""


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Join the names of nested mappings, as records hold them, by dots.

    `{"iou": {"pet": 0.8}}` becomes `{"iou.pet": 0.8}`.
    """
    joined: dict[str, Any] = {}
    for name, value in values.items():
        joined |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return joined
