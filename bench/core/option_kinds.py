"""The kinds of values that options take; each kind reads a text of the command line or a value of a TOML file.

A reader raises ValueError, TypeError or OverflowError for a value that it can't read; `Option.read` makes the message.
"""

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.recipe.augment_text import PRESETS, canonical_augment, join_parts
from bench.core.recipe.schedule_text import SCHEDULES, canonical_schedule, join_milestones
from bench.core.recipe.weights_table import gather_tables
from bench.core.specs import Budget


@dataclass(frozen=True)
class Kind:
    """A kind of values: how they are read, named and typed."""

    parse: Callable[[Any], Any]
    accepted: str  # for messages
    annotation: Any = str | None  # the type of the command's parameter
    word: str = "text"  # placeholder of the value in a command's help
    is_number: bool = False  # its column in a DataFrame is numeric
    join: Callable[[list[str]], list[str]] = lambda texts: texts  # puts together what a list's commas cut apart
    gather: Callable[[list[Any]], list[Any]] = lambda values: values  # makes the axis of several values, of TOML's too


def _text(value: Any) -> str:
    if not isinstance(value, str) or b"\0" in os.fsencode(value):  # a ValueError for what no name can hold
        raise TypeError(value)
    return value


def _path(value: Any) -> str:
    return _text(str(value) if isinstance(value, Path) else value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError(value)
    return float(value)


def _whole(value: Any) -> int:
    if _number(value) != int(_number(value)):
        raise ValueError(value)
    return int(value)


def _name_or_index(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(value)
    return _text(str(value))


def _size(value: Any) -> tuple[int, int]:
    """Read height and width in pixels: `128`, `96x128`."""
    height, cross, width = str(value).lower().partition("x")
    size = (int(height), int(width if cross else height))
    if min(size) < 1:
        raise ValueError(value)
    return size


def _limit(value: Any) -> int | None:
    """Read a number of images; `all` is no limit."""
    return None if value == "all" else _whole(value)


def _size_or_none(value: Any) -> tuple[int, int] | None:
    return None if value == "none" else _size(value)


def _class_weights(value: Any) -> str:
    return json.dumps(value, separators=(",", ":")) if isinstance(value, list) else _text(value)


def _weights(value: Any) -> str:
    """Read none, imagenet or a path; write a table of these by backbone as a JSON object."""
    if not isinstance(value, Mapping):
        return _text(value)
    if not value:
        raise TypeError(value)
    for name, entry in value.items():
        if not isinstance(entry, str) or not entry:
            raise BenchError(
                f"The --weights of the backbone '{name}' are '{entry}'. Accepted: none, imagenet or the path of a file."
            )
    return json.dumps(dict(value))


def _seconds(value: Any) -> float:
    """Read a wall time: a number of seconds, or a text such as `90s`, `10m`, `2h`."""
    try:
        seconds = _number(value)
    except ValueError as error:
        try:
            budget = Budget.parse(value)
        except BenchError:
            raise error from None  # the message of a timeout, not of a budget
        if budget.unit != "seconds":
            raise
        seconds = budget.amount
    if not 0 < seconds < math.inf:
        raise ValueError(value)
    return seconds


def _seconds_or_never(value: Any) -> float:
    return 0.0 if value == "never" else _seconds(value)


def _number_or_none(value: Any) -> float | None:
    return None if value == "none" else _number(value)


def _target(value: Any) -> str | None:
    """Read the value that a score is to reach, `mean_iou=0.7`; `none` is none."""
    name, _, number = _text(value).partition("=")
    if value == "none":
        return None
    if not name.strip().isidentifier() or not 0 < float(number) <= 1:
        raise ValueError(value)
    return f"{name.strip()}={float(number):g}"


def _schedule(value: Any) -> str:
    return canonical_schedule(_text(value))


def _augment(value: Any) -> str:
    return canonical_augment(_text(value))


def _share(value: Any) -> float:
    """Read a share: `20%`, or 0.2."""
    percent = isinstance(value, str) and value.strip().endswith("%")
    return _number(value.strip().removesuffix("%")) / 100 if percent else _number(value)


def _space(value: Any) -> str:
    """Read a search space from its text, or from a table of TOML, whose lists are alternatives."""
    if not isinstance(value, Mapping):
        return _text(value)
    return ",".join(f"{name}={'|'.join(map(_word, _listed(values)))}" for name, values in value.items())


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _word(value: Any) -> str:
    return _text(value) if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _budget(value: Any) -> Budget:
    return Budget.parse(str(value))


TEXT = Kind(_text, "a name")
PATH = Kind(_path, "a path", Path | None, "path")
PLACE = Kind(_path, "a path or an address", word="path")  # a Path would write https:// as https:/
FLAG = Kind(_flag, "true or false, without quotes", bool | None)
NUMBER = Kind(_number, "a number", word="number", is_number=True)
NUMBER_OR_NONE = Kind(_number_or_none, "a number or none", word="number", is_number=True)
SHARE = Kind(_share, "a share, such as 5% or 0.05", word="share", is_number=True)
WHOLE = Kind(_whole, "a whole number", word="int", is_number=True)
LIMIT = Kind(_limit, "a number of images of 1 or more, such as 500, or all", word="images")
SECONDS = Kind(_seconds, "a time above 0, such as 90s, 10m or 2h, or seconds", word="time", is_number=True)
SECONDS_OR_NEVER = Kind(
    _seconds_or_never,
    "a time above 0, such as 90s or 5m, seconds, or never",
    word="time",
    is_number=True,
)
SIZE = Kind(_size, "pixels, such as 128, or height x width, such as 128x192", word="pixels")
SIZE_OR_NONE = Kind(_size_or_none, "none, pixels, such as 256, or height x width, such as 256x384", word="pixels")
BUDGET = Kind(_budget, "a number and a unit, such as 10m or 20epochs", word="amount")
TARGET = Kind(_target, "a score and the value to reach, above 0 and up to 1, such as mean_iou=0.7; or none")
SCHEDULE = Kind(_schedule, f"{', '.join(SCHEDULES)}, or milestones, such as steps@0.5,0.8", join=join_milestones)
AUGMENT = Kind(_augment, f"{', '.join(PRESETS)}, or parts, such as flip+rotate8", join=join_parts)
SPACE = Kind(
    _space, "options with a range or alternatives, such as lr=1e-4..1e-2:log,augment=light|strong", word="space"
)
LAYER = Kind(_name_or_index, "a layer's name, or its index", word="layer")
CLASS_WEIGHTS = Kind(_class_weights, "a name, or a weight for each class in brackets, such as [0.3,0.7]")
WEIGHTS = Kind(_weights, "none, imagenet or a path, or a table of these by backbone", gather=gather_tables)
PARAMETERS = Kind(_text, "key=value", list[str] | None, "key=value")


def text_of(value: Any) -> str:
    """Write a value as a user would: `128`, `96x128`, `10m`, `0.001`, `none`."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "x".join(map(str, value if len(set(value)) > 1 else value[:1]))
    return f"{value:g}" if isinstance(value, float) else str(value)


def shown(value: Any, longest: int = 80) -> str:
    """Write a value that can't be used for a message, cut if it is long."""
    try:
        text = value if isinstance(value, str) else str(value)
    except ValueError:  # an integer of more digits than Python writes
        return "a whole number of thousands of digits"
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
