"""Compare values from JSON with the annotations of a dataclass."""

import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

_UNIONS = (types.UnionType, typing.Union)
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
    return _check(hint)(value)


@cache
def _check(hint: Any) -> Callable[[Any], bool]:
    """Make the check of an annotation, once: a folder of results has millions of values."""
    if hint is Any:
        return lambda value: True
    if kinds := _kinds(hint):
        return lambda value: type(value) in kinds
    origin, checks = typing.get_origin(hint), [_check(one) for one in typing.get_args(hint) if one is not ...]
    if origin in _UNIONS:
        return lambda value: any(check(value) for check in checks)
    if origin is tuple:
        return _check_tuple(checks, typing.get_args(hint)[-1] is ...)
    if origin is list:
        return lambda value: isinstance(value, list) and all(map(checks[0], value))
    if origin in (dict, Mapping):
        return lambda value: isinstance(value, dict) and all(map(checks[1], value.values()))
    return lambda value: False


def _check_tuple(checks: list[Callable[[Any], bool]], any_length: bool) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        if not isinstance(value, list | tuple):
            return False
        wanted = checks * len(value) if any_length else checks
        return len(value) == len(wanted) and all(one(part) for one, part in zip(wanted, value, strict=True))

    return check


def _kinds(hint: Any) -> frozenset[type]:
    """Return the types of the values that suit an annotation of plain types alone; none for another."""
    if typing.get_origin(hint) in _UNIONS:
        found = [_kinds(one) for one in typing.get_args(hint)]
        return frozenset().union(*found) if all(found) else frozenset()
    if typing.get_origin(hint) or hint is Any:
        return frozenset()
    return frozenset({int, float} if hint is float else {type(None) if hint is None else hint})


def _word(hint: Any) -> str:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in _UNIONS:
        return " or ".join(_word(one) for one in inner)
    if origin in (tuple, list):
        return f"a list of {len(inner)}" if origin is tuple and inner[-1] is not ... else "a list"
    if origin in (dict, Mapping):
        return "a table" if inner[1] is Any else f"a table of {_word(inner[1]).split()[-1]}s"
    return "null" if hint in (None, type(None)) else _PLAIN.get(hint, str(hint))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
