"""The decorators of a plug-in, and the child process that reads its specs.

    from bench.plugin import architecture

    @architecture(name="my_net", size_divisor=4)
    def build_my_net(input_shape, num_classes, *, filters=32): ...

A plug-in imports keras, so the planning process never imports it: `python -m bench.plugin FILE` does,
in a child process, and prints the specs as JSON (bench/config/catalog.py starts it and keeps the answer).
"""

import contextlib
import importlib
import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from bench.core.errors import BenchError
from bench.core.import_by_name import load_file
from bench.core.specs import ArchitectureSpec, DatasetSpec, KaggleSource, Param

Function = TypeVar("Function", bound=Callable[..., Any])

_GIVEN_BY_THE_TRIAL = ("input_shape", "num_classes", "backbone", "weights")
_TYPES = {bool: "bool", int: "int", float: "float", str: "str", list: "list", tuple: "list"}


def architecture(*, name: str, **fields: Any) -> Callable[[Function], Function]:
    """Make a builder an architecture.

    Args:
        name: what `--arch` takes.
        fields: any other field of bench.core.specs.ArchitectureSpec (summary, paper, aliases, backbones,
            size_divisor, ...) but `build` and `params`, which the function itself gives. `size_divisor` is a number.
    """

    def mark(build: Function) -> Function:
        if not isinstance(fields.get("size_divisor", 1), int):
            raise BenchError(f"The size_divisor of the architecture '{name}' must be a whole number.")
        build.bench_spec = ArchitectureSpec(  # type: ignore[attr-defined]
            name=name, build=_location(build), params=params_of(build), **fields
        )
        return build

    return mark


def dataset(*, name: str, classes: tuple[str, ...], **fields: Any) -> Callable[[Function], Function]:
    """Make a function `load(data_dir) -> Dataset` (bench/datasets/base.py) a data set.

    Args:
        name: what `--dataset` takes.
        classes: names of the label values 0, 1, ...
        fields: any other field of bench.core.specs.DatasetSpec but `adapter`.
    """

    def mark(load: Function) -> Function:
        load.bench_spec = DatasetSpec(  # type: ignore[attr-defined]
            name=name, adapter=_location(load), classes=tuple(classes), **fields
        )
        return load

    return mark


def _location(function: Callable[..., Any]) -> str:
    return f"{function.__module__}:{function.__qualname__}"


def params_of(build: Callable[..., Any]) -> tuple[Param, ...]:
    """The parameters of a builder that a user can set: all but what the trial gives; each needs a default."""
    params = []
    for parameter in inspect.signature(build).parameters.values():
        if parameter.name in _GIVEN_BY_THE_TRIAL or parameter.kind is parameter.VAR_KEYWORD:
            continue
        if parameter.default is parameter.empty:
            raise BenchError(f"The parameter '{parameter.name}' of the builder '{build.__name__}' needs a default.")
        kind = _TYPES.get(type(parameter.default))
        if kind is None:
            raise BenchError(
                f"The default of the parameter '{parameter.name}' of the builder '{build.__name__}' is "
                f"{parameter.default!r}. Accepted: a number, a string, True, False or a list."
            )
        default = list(parameter.default) if kind == "list" else parameter.default
        params.append(Param(parameter.name, kind, default))
    return tuple(params)


def import_source(source: str) -> ModuleType:
    """Import a module by its name, or a file by its path (it ends in `.py`)."""
    return load_file(Path(source)) if source.endswith(".py") else importlib.import_module(source)


def probe(source: str) -> dict[str, list[dict[str, Any]]]:
    """Import a plug-in and return its specs as JSON-able dictionaries, the location by `source`."""
    module = import_source(source)
    found: dict[str, list[dict[str, Any]]] = {"architectures": [], "datasets": []}
    for value in vars(module).values():
        spec = getattr(value, "bench_spec", None)
        if getattr(value, "__module__", None) != module.__name__:
            continue  # imported from elsewhere
        if isinstance(spec, ArchitectureSpec):
            found["architectures"].append({**asdict(spec), "build": f"{source}:{value.__qualname__}"})
        elif isinstance(spec, DatasetSpec):
            found["datasets"].append({**asdict(spec), "adapter": f"{source}:{value.__qualname__}"})
    return found


def architecture_from(values: dict[str, Any]) -> ArchitectureSpec:
    """The reverse of what `probe` prints for an architecture."""
    params = tuple(Param(**param) for param in values["params"])
    return ArchitectureSpec(**{**_tuples(values), "params": params})


def dataset_from(values: dict[str, Any]) -> DatasetSpec:
    """The reverse of what `probe` prints for a data set."""
    # An answer that was kept by an older version has neither.
    params = tuple(Param(**param) for param in values.get("params", ()))
    source = KaggleSource(**_tuples(values["kaggle"])) if values.get("kaggle") else None
    return DatasetSpec(**{**_tuples(values), "params": params, "kaggle": source})


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # what the plug-in prints is not the answer
        answer = probe(sys.argv[1])
    print(json.dumps(answer))
