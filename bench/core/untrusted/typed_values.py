"""Compare values from JSON with the annotations of a dataclass."""

import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

_PLAIN = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", dict: "a table"}


@cache
def hints_of(dataclass: type) -> dict[str, Any]:
    """Return the annotations of a dataclass by field."""
    return typing.get_type_hints(dataclass)


def misfit(values: Mapping[str, Any], hints: Mapping[str, Any]) -> str | None:
    """Describe the first value of another type than its annotation; None if all fit. Other names are not looked at.

    A tuple is a list in JSON, and a whole number is also a number.
    """
    for name, hint in hints.items():
        if name in values and not fits(values[name], hint):
            return f"'{name}' is {_short(values[name])}, but it must be {_word(hint)}"
    return None


def fits(value: Any, hint: Any) -> bool:
    """Return whether a value from JSON suits an annotation."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (types.UnionType, typing.Union):
        return any(fits(value, one) for one in inner)
    if hint in (None, type(None)):
        return value is None
    if hint is float:
        return type(value) in (int, float)
    if origin is tuple:
        wanted = inner[:1] * len(value) if isinstance(value, list | tuple) and inner[-1] is ... else inner
        return isinstance(value, list | tuple) and len(value) == len(wanted) and all(map(fits, value, wanted))
    if origin is list:
        return isinstance(value, list) and all(fits(one, inner[0]) for one in value)
    if origin in (dict, Mapping):
        return isinstance(value, dict) and all(fits(one, inner[1]) for one in value.values())
    return type(value) is hint


def _word(hint: Any) -> str:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_word(one) for one in inner)
    if origin in (tuple, list):
        return f"a list of {len(inner)}" if origin is tuple and inner[-1] is not ... else "a list"
    if origin in (dict, Mapping):
        return "a table" if inner[1] is Any else f"a table of {_word(inner[1]).split()[-1]}s"
    return "null" if hint in (None, type(None)) else _PLAIN.get(hint, str(hint))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
