"""The terms on which a model is used: how pictures become its input, and what its output means.

It comes from a `model.json`, such as `bench export` writes, or from options of the command line, which win.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Any

from bench.config.checks import require_choice
from bench.core.errors import BenchError
from bench.core.option_kinds import shown
from bench.core.trial_config import OPTIONS
from bench.data.reading.values import Values
from bench.deployment.others.preprocess_json import CHANNELS, LAYOUTS, OUTPUTS, read_json


@dataclass(frozen=True)
class Contract:
    """The terms on which a model is used. Its input is (scale * picture - mean) / std of a pack's pictures."""

    scale: float | None = None  # None: nothing was said, which only suits inputs that are pictures as they are stored
    mean: tuple[float, ...] = ()  # of one channel or three, in the model's order; empty: 0
    std: tuple[float, ...] = ()  # empty: 1
    channels: str = "RGB"
    layout: str = ""  # of the input; empty: recognised by the number of channels
    output: str = ""  # what the output holds; empty: recognised if it holds whole numbers
    output_name: str = ""  # of a graph with several outputs
    classes: tuple[str, ...] = ()  # the data set's class of each of the model's; empty: the same ones in the same order
    image_size: tuple[int, int] | None = None  # to which images are resized; None: that of the input
    tile: tuple[int, int] | None = None  # the input, if images are cut into tiles
    resize: str = "stretch"
    eval_size: str = "train"
    threshold: float | None = None
    min_area: int = 0
    exported: bool = False  # by segbench, so that the first output holds the logits
    values: Values = field(default=Values())  # the bands of the pictures, and the range of their values

    @property
    def says_values(self) -> bool:
        """True if it says how pictures are scaled."""
        return bool(self.scale is not None or self.mean or self.std)

    @property
    def scaled(self) -> bool:
        """True if pictures aren't taken as they are stored."""
        return bool(self.mean or self.std or self.scale not in (None, 1.0))

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Contract":
        """Make it from what `to_dict` returned."""
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**{**plain, "values": Values.from_dict(values.get("values"))})


def contract_of(preprocess: Path | None, given: Mapping[str, Any]) -> tuple[Contract, dict[str, Any]]:
    """Make the contract from a `model.json`, if there is one, and the options that were given.

    Args:
        given: values of the command line by field of `Contract`; None for what was left out.

    Returns:
        The contract, and all that the `model.json` says.

    Raises:
        BenchError: a file or an option can't be read.
    """
    values, said = read_json(preprocess) if preprocess else ({}, {})
    values |= {name: _READERS[name](value) for name, value in given.items() if value is not None}
    contract = replace(Contract(), **values)
    _check(contract)
    return contract, said


def _check(contract: Contract) -> None:
    if contract.scale is not None and not 0 < contract.scale < float("inf"):
        raise BenchError(f"--scale is {contract.scale:g}. Accepted: a number above 0, or a fraction such as 1/255.")
    for name, values in (("mean", contract.mean), ("std", contract.std)):
        if len(values) not in (0, 1, 3) or not all(map(isfinite, values)):
            raise BenchError(f"--{name} has {len(values)} numbers. Accepted: one number, or three, a channel each.")
    if min(contract.std, default=1) <= 0:
        raise BenchError(f"--std has {min(contract.std):g}. Accepted: numbers above 0.")
    for size in (contract.image_size, contract.tile):
        if size and min(size) < 1:
            raise BenchError(f"The image size is {'x'.join(map(str, size))}. Accepted: sides of 1 pixel or more.")
    if contract.threshold is not None and not 0 < contract.threshold < 1:
        raise BenchError(f"--threshold is {contract.threshold:g}. Accepted: a number between 0 and 1.")
    if contract.min_area and contract.threshold is None:
        raise BenchError("--min-area needs --threshold, which makes the masks whose small objects are dropped.")
    if contract.min_area < 0:
        raise BenchError(f"--min-area is {contract.min_area}. Accepted: 0 or more pixels.")
    if contract.eval_size == "native" and contract.resize == "crop":
        raise BenchError("--eval-size native needs whole images, but --resize crop cuts off their borders.")


def _numbers(option: str) -> Callable[[str], tuple[float, ...]]:
    def read(text: str) -> tuple[float, ...]:
        try:
            return tuple(float(Fraction(part.strip())) for part in text.split(","))
        except (ValueError, ZeroDivisionError, OverflowError) as error:
            raise BenchError(
                f"--{option} is '{shown(text)}'. Accepted: numbers or fractions such as 1/255, with commas between."
            ) from error

    return read


def _scale(text: str) -> float:
    numbers = _numbers("scale")(text)
    if len(numbers) != 1:
        raise BenchError(f"--scale is '{shown(text)}'. Accepted: one number above 0, or a fraction such as 1/255.")
    return numbers[0]


def _choice(option: str, accepted: tuple[str, ...]) -> Callable[[str], str]:
    by_lower = {value.lower(): value for value in accepted}

    def read(text: str) -> str:
        value = by_lower.get(text.lower(), text)
        require_choice(f"value of --{option}", value, accepted)
        return value

    return read


def _like_run(name: str) -> Callable[[str], Any]:
    """Read an option as `bench run` does."""

    def read(text: str) -> Any:
        value = OPTIONS[name].read(text)
        OPTIONS[name].check(value)
        return value

    return read


_READERS: dict[str, Callable[[Any], Any]] = {
    "scale": _scale,
    "mean": _numbers("mean"),
    "std": _numbers("std"),
    "layout": _choice("layout", LAYOUTS),
    "channels": _choice("channels", CHANNELS),
    "output": _choice("output", OUTPUTS),
    "output_name": str,
    "classes": lambda text: tuple(part.strip() for part in text.split(",")),
    "image_size": _like_run("image_size"),
    "resize": _like_run("resize"),
    "eval_size": _like_run("eval_size"),
    "threshold": float,
    "min_area": int,
}
