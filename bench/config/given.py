"""Read the values that a user gives, texts of the command line or values of a TOML file, by the options' names."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.config import catalog
from bench.core.errors import BenchError, first_few
from bench.core.option_kinds import shown
from bench.core.recipe.parameter_text import read_values
from bench.core.registry import unknown_name_message
from bench.core.trial_config import OPTIONS, RESULTS, SEEDS
from bench.core.untrusted import safe_toml
from bench.core.untrusted.plain_files import read_file

Given = Mapping[str, Any]  # name -> text, number or list

BY_NAME = {option.name: option for option in (*OPTIONS.values(), SEEDS, RESULTS)}
NAMES = tuple(name for name, option in BY_NAME.items() if not option.internal)
PARAMETERS = tuple(option.name for option in OPTIONS.values() if option.kind.annotation == list[str] | None)
_COMMA = re.compile(r",(?![^\[]*\])")  # not within brackets


@dataclass(frozen=True)
class GridFile:
    """The content of a TOML file: the values above its tables, and its [[trials]]."""

    grid: dict[str, Any] = field(default_factory=dict)
    trials: list[dict[str, Any]] = field(default_factory=list)


def read_toml(file: Path) -> GridFile:
    """Read a TOML file; raise BenchError, with the line of the mistake, if it can't be read."""
    try:
        values = safe_toml.loads(read_file(Path(file), safe_toml.LONGEST, links=True).decode("utf-8-sig"))
    except OSError as error:
        raise BenchError(f"The file '{file}' can't be read ({error.strerror}).") from error
    except ValueError as error:  # TOMLDecodeError names line and column, UnicodeDecodeError the byte
        raise BenchError(f"'{file}' is no valid TOML: {error}.") from error
    trials = values.pop("trials", [])
    if not isinstance(trials, list) or not all(isinstance(trial, dict) for trial in trials):
        raise BenchError(f"'trials' in '{file}' must be tables, each under a line [[trials]].")
    kind = f"name in '{file}'"
    grid, tables = _known_in_file(values, kind), [_known_in_file(trial, kind) for trial in trials]
    for table in tables:
        if RESULTS.name in table:
            raise BenchError(f"'results' in '{file}' is for the whole run. Put it above the first [[trials]].")
    if RESULTS.name in grid:
        grid[RESULTS.name] = RESULTS.read(grid[RESULTS.name])
    return GridFile(grid, tables)


def _known_in_file(values: Given, kind: str) -> dict[str, Any]:
    if internal := [name for name in values if name in BY_NAME and BY_NAME[name].internal]:
        raise BenchError(f"{kind}: {hint_for(internal[0])}")
    return known(values, kind)


def known(values: Given, kind: str = "option") -> dict[str, Any]:
    """Return the values by their options' names, with underscores; raise BenchError if a name is no option."""
    named = {name.replace("-", "_"): value for name, value in values.items()}
    for name in named:
        if name not in BY_NAME:
            raise BenchError(hint_for(name) or unknown_name_message(kind, name, list(NAMES), sorted(NAMES)))
    return named


def hint_for(name: str) -> str | None:
    """Say what to write for a name that is no option but a parameter of data sets or architectures; None for others."""
    name = name.removeprefix("--").replace("-", "_")
    if name in BY_NAME and BY_NAME[name].internal:
        return f"'{name}' is no option. {BY_NAME[name].internal}"
    data, models = catalog.datasets(), catalog.architectures()
    accepted = (
        ("dataset-param", data.kind, {spec.name: spec.all_params for spec in data}),
        ("param", models.kind, {spec.name: spec.params for spec in models}),
    )
    for option, kind, params in accepted:
        having = [owner for owner, some in params.items() if name in {param.name for param in some}]
        if having:
            return f"'{name}' is a parameter of the {kind} {first_few(having)}: write --{option} {name}=VALUE."
    return None


def axis(name: str, value: Any) -> list[Any]:
    """Read the values of an option from a text with commas, a list or a single value."""
    kind = BY_NAME[name].kind
    values = kind.gather(_several(value, kind.join))
    if not values:
        raise BenchError(f"'{name}' has no value.")
    return [BY_NAME[name].read(one, ", or several with commas") for one in values]


def _several(value: Any, join: Callable[[list[str]], list[str]] = list) -> list[Any]:
    if isinstance(value, str):
        return join([text.strip() for text in _COMMA.split(value) if text.strip()])
    return list(value) if isinstance(value, list | tuple) else [value]


def parameters(name: str, value: Any) -> dict[str, list[Any]]:
    """Map each parameter to its values, from a table (where a list is an axis) or from texts `key=v1,v2`.

    Args:
        name: the option's name, for messages.
    """
    if isinstance(value, Mapping):
        params = {key: some if isinstance(some, list) else [some] for key, some in value.items()}
    else:
        texts: Iterable[Any] = [value] if isinstance(value, str) else _several(value or [])
        params = dict(_parameter(name, text) for text in texts)
    for key, values in params.items():
        if not values or not _is_plain(values):  # TOML has dates and tables too
            raise BenchError(
                f"The parameter '{key}' is {shown(values)}. Accepted: numbers, words, true, false and lists of them."
            )
    return params


def single_parameters(name: str, value: Any) -> dict[str, Any]:
    """Map each parameter to its single value; the arguments are those of `parameters`."""
    found = parameters(name, value)
    if several := [key for key, some in found.items() if len(some) != 1]:
        raise BenchError(f"Give {BY_NAME[name].flag} {several[0]} a single value; this command takes no grid.")
    return {key: some[0] for key, some in found.items()}


def _parameter(name: str, text: Any) -> tuple[str, list[Any]]:
    key, equals, values = str(text).partition("=")
    if not equals or not key.strip() or not values.strip():
        raise BenchError(
            f"{BY_NAME[name].flag} is '{shown(text)}'. Accepted: key=value or key=value,value, such as depth=3,4."
        )
    return key.strip(), read_values(values)


def _is_plain(value: Any) -> bool:
    return all(map(_is_plain, value)) if isinstance(value, list) else isinstance(value, str | int | float)
