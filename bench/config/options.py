"""The values of one option: texts of the command line or values of a TOML file, read into Python's types."""

import json
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.config.loss_text import FORMS
from bench.core.errors import BenchError
from bench.core.specs import Budget

_COMMA = re.compile(r",(?![^\[]*\])")  # not within brackets


def axis(name: str, given: Any) -> list[tuple[str, Any]]:
    """The values of an axis, each with its name: from a text with commas, a list or a single value."""
    values = _values(given)
    if not values:
        raise BenchError(f"'{name}' has no value.")
    return [(name, _read(name, value, ", or several with commas")) for value in values]


def single(name: str, given: Any) -> Any:
    """The value of a name that takes only one; BenchError names the option."""
    return _read(name, given, "")


def _values(given: Any) -> list[Any]:
    if isinstance(given, str):
        return [text.strip() for text in _COMMA.split(given) if text.strip()]
    return list(given) if isinstance(given, list | tuple) else [given]


def _read(name: str, value: Any, several: str) -> Any:
    parse, accepted = _KINDS.get(name, (_text, "a name"))
    try:
        return parse(value)
    except BenchError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        option = name.replace("_", "-")
        raise BenchError(f"--{option} is '{value}'. Accepted: {accepted}{several}.") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _path(value: Any) -> str:
    if not isinstance(value, str | Path):
        raise TypeError(value)
    return str(value)


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
    return str(value)


def _image_size(value: Any) -> tuple[int, int]:
    height, cross, width = str(value).lower().partition("x")
    size = (int(height), int(width if cross else height))
    if min(size) < 1:
        raise ValueError(value)
    return size


def _crop(value: Any) -> tuple[int, int] | None:
    return None if value == "none" else _image_size(value)


def _class_weights(value: Any) -> str:
    return json.dumps(value, separators=(",", ":")) if isinstance(value, list) else _text(value)


def _seconds(value: Any) -> float:
    """A wall time: a number of seconds, or a text such as `90s`, `10m`, `2h`."""
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


def _budget(value: Any) -> Budget:
    return Budget.parse(str(value))


_KINDS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "image_size": (_image_size, "pixels, such as 128, or height x width, such as 128x192"),
    "crop": (_crop, "none, pixels, such as 256, or height x width, such as 256x384"),
    "crop_foreground": (_number, "a chance from 0 to 1, such as 0.5"),
    "class_weights": (_class_weights, f"{FORMS}; in a TOML file [[0.3, 0.7]]"),
    "train_fraction": (_number, "a number above 0, up to 1"),
    "budget": (_budget, "a number and a unit, such as 10m or 20epochs"),
    "batch_size": (_whole, "a whole number"),
    "lr": (_number, "a number, such as 0.001"),
    "freeze_encoder": (_number, "a share of the budget, such as 0.5"),
    "fine_tune_lr_factor": (_number, "a number, such as 0.1"),
    "unfreeze_from": (_name_or_index, "a layer's name, or its index"),
    "seed": (_whole, "whole numbers, such as 0,1,2"),
    "seeds": (_whole, "how many seeds, such as 3"),
    "repeat": (_whole, "how many times, such as 2"),
    "timeout": (_seconds, "a time above 0, such as 90s, 10m or 2h"),
    "find_batch_size": (_whole, "the largest batch size that is tried, such as 1024"),
    "sweep_seconds": (_number, "seconds, such as 20; 0: batches of one image only"),
    "trace": (_flag, "true or false, without quotes"),
    "skip_corrupt": (_flag, "true or false, without quotes"),
    "balance_ships": (_whole, "a whole number of images"),
    "empty_fraction": (_number, "a share from 0 to 1, such as 0.2"),
    "data_dir": (_path, "a folder's path"),
    "results": (_path, "a folder's path"),
    "plugin": (_path, "the path of a Python file"),
    "init_from": (_path, "a finished trial: its id, or the path of its folder"),
}


def parameters(given: Any) -> dict[str, list[Any]]:
    """Parameter -> its values: from a table (a list is an axis), or from texts `key=v1,v2`."""
    if isinstance(given, Mapping):
        params = {key: value if isinstance(value, list) else [value] for key, value in given.items()}
    else:
        params = dict(map(_parameter, [given] if isinstance(given, str) else _values(given or [])))
    for key, values in params.items():
        if not values or not _is_plain(values):  # TOML has dates and tables too
            raise BenchError(
                f"The parameter '{key}' is {values}. Accepted: numbers, words, true, false and lists of them."
            )
    return params


def _parameter(text: Any) -> tuple[str, list[Any]]:
    key, equals, values = str(text).partition("=")
    if not equals or not key.strip() or not values.strip():
        raise BenchError(f"--param is '{text}'. Accepted: key=value or key=value,value, such as depth=3,4.")
    return key.strip(), _toml_values(values)


def _is_plain(value: Any) -> bool:
    return all(map(_is_plain, value)) if isinstance(value, list) else isinstance(value, str | int | float)


def _toml_values(text: str) -> list[Any]:
    """`8,16` -> [8, 16]; `[8,16],[16,32]` -> two lists; what is no TOML is a list of words."""
    try:
        return tomllib.loads(f"x = [{text}]")["x"]
    except tomllib.TOMLDecodeError:
        return [_toml_value(word.strip()) for word in text.split(",") if word.strip()]


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text
