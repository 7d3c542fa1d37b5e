"""Small frozen dataclasses of what is registered, run and recorded.

Nothing here imports keras, NumPy or pandas: the parent process plans a whole night with it.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal
from typing import Any, Literal

from bench.core.backends import BACKENDS
from bench.core.errors import BenchError
from bench.core.import_by_name import import_by_name

PROTOCOL_VERSION = 1  # what a trial does; a change makes old and new results incomparable
SCHEMA_VERSION = 1  # what a record looks like on disk
IGNORE_INDEX = 255  # label value that neither trains nor counts

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
SCHEDULES = ("linear", "cosine", "constant", "steps")
RESIZES = ("stretch", "letterbox", "crop")  # what becomes of another aspect ratio: data/geometry.py
LOSS_TERMS = ("ce", "bce", "dice", "focal", "tversky", "lovasz")  # a loss is a sum of them, such as "0.5*ce+dice"
CLASS_WEIGHT_RULES = ("none", "balanced", "median-frequency")
AUGMENTS = ("none", "light", "standard", "strong")
NO_DATASET = "none"  # of speed-only trials
FINAL_STATUSES = ("ok", "diverged", "out_of_memory", "skipped")  # not run again
RETRIED_STATUSES = ("failed", "timed_out", "interrupted")  # run again by the next `bench run`


@dataclass(frozen=True)
class Param:
    """One parameter of a builder or of a data set's adapter, as its signature has it."""

    name: str
    type: str  # "int", "float", "str", "bool", "list"
    default: Any
    help: str = ""
    choices: tuple[Any, ...] = ()  # empty: any value of the type


@dataclass(frozen=True)
class ArchitectureSpec:
    """Everything that the planning process needs to know of an architecture; `build` is resolved in the trial."""

    name: str
    build: str  # "module:function"; a plug-in's module is the path of its file
    summary: str = ""
    paper: str = ""  # authors, year, arXiv number
    aliases: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ()  # empty: takes none
    default_backbone: str | None = None
    needs_backbone: bool = False
    size_divisor: int | str = 1  # height and width must be multiples: a number, a parameter or "module:function"
    params: tuple[Param, ...] = ()
    tiny: Mapping[str, Any] = field(default_factory=dict, hash=False)  # parameters that make it small, for tests
    backends: tuple[str, ...] = BACKENDS
    precisions: tuple[str, ...] = PRECISIONS
    compiles: bool = True  # under XLA
    square: bool = False  # height and width must be equal
    smallest_side: int = 1  # pixels, of height and width
    package: str | None = None  # imported by the builder alone, such as "keras_hub", whose extra is keras-hub

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
    """A pretrained feature network of keras.applications."""

    name: str
    paper: str = ""
    weights_file: str = ""  # name of the ImageNet weights without top in Keras's cache
    strides: tuple[int, ...] = (2, 4, 8, 16, 32)  # of its features
    output_strides: tuple[int, ...] = (32, 16, 8)  # the coarsest ones that it can have; below 32 by dilation
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class SubmissionFormat:
    """The CSV file in which a competition wants masks, run-length encoded."""

    columns: tuple[str, str]  # of the image's name, and of its mask
    order: Literal["row", "column"]  # which pixels follow each other: those of a row, or of a column
    by_object: bool = False  # a row for each 8-connected object, one empty row for an image without any


@dataclass(frozen=True)
class KaggleSource:
    """The files of a Kaggle competition that a data set needs."""

    competition: str  # its name in the address
    files: tuple[str, ...]  # the archives; empty: all that the competition has
    size: int  # bytes, about
    by_hand: str  # how a person gets it
    submission: SubmissionFormat | None = None


@dataclass(frozen=True)
class DatasetSpec:
    """Everything that the planning process needs to know of a data set; `adapter` is resolved when it is read."""

    name: str
    adapter: str  # "module:function", called as adapter(data_dir, **params) -> Dataset
    classes: tuple[str, ...]  # names of the label values 0, 1, ...
    summary: str = ""
    homepage: str = ""
    licence: str = ""
    aliases: tuple[str, ...] = ()
    needs_data_dir: bool = True
    params: tuple[Param, ...] = ()  # of the adapter: what of the data set is taken
    archives: tuple[tuple[str, int, str], ...] = ()  # URL, bytes, SHA-256; empty: can't be downloaded
    kaggle: KaggleSource | None = None  # where a competition's data comes from
    metrics: tuple[str, ...] = ()  # names of those in bench/evaluation/image_metrics.py that are for it alone
    may_show_pictures: bool = True  # whether samples may stand on a published page

    @property
    def num_classes(self) -> int:
        """The number of classes, with the background, without the ignored label."""
        return len(self.classes)


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
_BUDGET_HELP = "Accepted: a number and a unit, such as 10m, 90s, 2h, 2000steps, 20epochs, 100ksamples."


@dataclass(frozen=True)
class Budget:
    """The amount of training of a trial: seconds, steps, epochs or images."""

    amount: float
    unit: str  # "seconds", "steps", "epochs" or "images"

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """Read `10m`, `90s`, `2000steps`, `20epochs` or `100ksamples`; else raise BenchError."""
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(k?)\s*([a-z]+)\s*", text.lower())
        unit = match and _UNITS.get(match[3].rstrip("s") + "s" if len(match[3]) > 1 else match[3])
        if not match or not unit:
            raise BenchError(f"Unknown budget '{text}'. {_BUDGET_HELP}")
        amount = float(match[1]) * (1000 if match[2] else 1) * unit[1]
        if amount <= 0:
            raise BenchError(f"The budget '{text}' is empty. {_BUDGET_HELP}")
        return cls(amount, unit[0])

    def __str__(self) -> str:
        """The shortest text that `parse` reads back to the same budget."""
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
    reason: str = ""  # one line for every status but ok
    log_tail: tuple[str, ...] = ()  # the last lines of a failed trial's log
    started: str = ""  # ISO 8601, UTC
    finished: str = ""
    wall_seconds: float | None = None
    dataset: dict[str, Any] = field(default_factory=dict)  # fingerprint, classes, images per split, notes
    model: dict[str, Any] = field(default_factory=dict)  # params, gflops, activations, file_mib, ...
    ledger: dict[str, float] = field(default_factory=dict)  # phase -> seconds; adds up to wall_seconds
    training: dict[str, Any] = field(default_factory=dict)  # steps, images, epochs, train_seconds, ...
    metrics: dict[str, Any] = field(default_factory=dict)  # of the test split
    validation: dict[str, Any] = field(default_factory=dict)  # of the tested weights
    weights: dict[str, Any] = field(default_factory=dict)  # of the saved ones: file, size_mib; what they started from
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
