"""The values of one option: texts of the command line or values of a TOML file, read into Python's types."""

import tomllib
from collections.abc import Callable, Mapping
from typing import Any

from bench.errors import BenchError
from bench.spec import Budget


def axis(name: str, given: Any) -> list[tuple[str, Any]]:
    """The values of an axis, each with its name: from a text with commas, a list or a single value."""
    parse = _PARSERS.get(name, str)
    texts = _values(given)
    if not texts:
        raise BenchError(f"'{name}' has no value.")
    return [(name, parse(text) if parse is str else _parsed(name, text, parse)) for text in texts]


def _values(given: Any) -> list[Any]:
    if isinstance(given, str):
        return [text.strip() for text in given.split(",") if text.strip()]
    return list(given) if isinstance(given, list | tuple) else [given]


def _parsed(name: str, value: Any, parse: Callable[[Any], Any]) -> Any:
    try:
        return parse(value)
    except BenchError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        option = name.replace("_", "-")
        raise BenchError(f"--{option} is '{value}'. Accepted: {_ACCEPTED[name]}, or several with commas.") from error


def _whole(value: Any) -> int:
    if isinstance(value, bool) or float(value) != int(float(value)):
        raise ValueError(value)
    return int(value)


def _image_size(value: Any) -> tuple[int, int]:
    height, _, width = str(value).lower().partition("x")
    size = (int(height), int(width or height))
    if min(size) < 1:
        raise ValueError(value)
    return size


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "image_size": _image_size,
    "train_fraction": float,
    "budget": lambda value: Budget.parse(str(value)),
    "batch_size": _whole,
    "lr": float,
    "freeze_encoder": float,
    "fine_tune_lr_factor": float,
    "seed": _whole,
    "seeds": _whole,
    "repeat": _whole,
}
_ACCEPTED = {
    "image_size": "pixels, such as 128, or height x width, such as 128x192",
    "train_fraction": "a number above 0, up to 1",
    "batch_size": "a whole number",
    "lr": "a number, such as 0.001",
    "freeze_encoder": "a share of the budget, such as 0.5",
    "fine_tune_lr_factor": "a number, such as 0.1",
    "seed": "whole numbers, such as 0,1,2",
    "seeds": "how many seeds, such as 3",
    "repeat": "how many times, such as 2",
}


def whole_number(name: str, value: Any) -> int:
    """A whole number; BenchError names the option."""
    return _parsed(name, value, _whole)


def seconds(value: Any) -> float:
    """A wall time: a number of seconds, or a text such as `90s`, `10m`, `2h`."""
    if isinstance(value, int | float):
        return float(value)
    budget = Budget.parse(value if not value.replace(".", "", 1).isdigit() else f"{value}s")
    if budget.unit != "seconds":
        raise BenchError(f"--timeout is '{value}'. Accepted: a time such as 90s, 10m or 2h.")
    return budget.amount


def parameters(given: Any) -> dict[str, list[Any]]:
    """Parameter -> its values: from a table (a list is an axis), or from texts `key=v1,v2`."""
    if isinstance(given, Mapping):
        return {key: value if isinstance(value, list) else [value] for key, value in given.items()}
    texts = [given] if isinstance(given, str) else given or []
    params: dict[str, list[Any]] = {}
    for text in texts:
        key, equals, values = str(text).partition("=")
        if not equals or not key.strip() or not values.strip():
            raise BenchError(f"--param is '{text}'. Accepted: key=value or key=value,value, such as depth=3,4.")
        params[key.strip()] = _toml_values(values)
    return params


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
