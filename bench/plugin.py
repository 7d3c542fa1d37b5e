"""The decorators of a plug-in, and the function that reads its specs in a child process.

    from bench.plugin import architecture

    @architecture(name="my_net", size_divisor=4, help={"filters": "channels of each convolution"})
    def build_my_net(input_shape, num_classes, *, filters=32): ...

The architectures of this repository are registered by the same decorator: `make specs` writes them down.
A plug-in imports keras, so the planning process never imports it: `probe` does, in a child process
(bench/config/plugin_specs.py starts it and keeps the answer).
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, TypeVar

from bench.core.code.import_by_name import import_source
from bench.core.dataset_protocol import DataFault, Dataset, Sample
from bench.core.errors import BenchError
from bench.core.specs import ArchitectureSpec, DatasetSpec, KaggleSource, Param, SubmissionFormat

__all__ = ["DataFault", "Dataset", "Sample", "architecture", "dataset"]

Function = TypeVar("Function", bound=Callable[..., Any])

_GIVEN_BY_THE_TRIAL = ("input_shape", "num_classes", "backbone", "weights")
_TYPES = {bool: "bool", int: "int", float: "float", str: "str", list: "list", tuple: "list"}


def architecture(
    *,
    name: str,
    help: Mapping[str, str] = MappingProxyType({}),
    choices: Mapping[str, Sequence[Any]] = MappingProxyType({}),
    most: Mapping[str, int] = MappingProxyType({}),
    **fields: Any,
) -> Callable[[Function], Function]:
    """Make a builder an architecture.

    Args:
        name: what `--arch` takes.
        help: what each of the builder's parameters is, by its name.
        choices: the values that a parameter accepts, by its name.
        most: the largest whole number that a parameter accepts, by its name; 16,384 for all others.
        fields: any other field of bench.core.specs.ArchitectureSpec (summary, paper, aliases, backbones, tiny,
            size_divisor, ...) but `build` and `params`, which the function itself gives. `size_divisor` is a number,
            the name of a parameter, or "module:function" of a module that imports no keras.
    """

    def mark(build: Function) -> Function:
        params = params_of(build, help, choices, most)
        divisor = fields.get("size_divisor", 1)
        if not isinstance(divisor, int) and divisor not in {p.name for p in params} and ":" not in str(divisor):
            raise BenchError(
                f"The size_divisor of the architecture '{name}' is {divisor!r}. Accepted: a whole number, the name of "
                "a parameter, or 'module:function'."
            )
        build.bench_spec = ArchitectureSpec(  # type: ignore[attr-defined]
            name=name, build=_location(build), params=params, **fields
        )
        return build

    return mark


def dataset(*, name: str, classes: tuple[str, ...], **fields: Any) -> Callable[[Function], Function]:
    """Make a function `load(data_dir) -> Dataset` a data set.

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


def params_of(
    build: Callable[..., Any],
    help: Mapping[str, str],
    choices: Mapping[str, Sequence[Any]],
    most: Mapping[str, int] = MappingProxyType({}),
) -> tuple[Param, ...]:
    """List the parameters of a builder that a user can set: all but what the trial gives; each needs a default."""
    params = []
    for parameter in inspect.signature(build).parameters.values():
        if parameter.name in _GIVEN_BY_THE_TRIAL or parameter.kind is parameter.VAR_KEYWORD:
            continue
        if parameter.default is parameter.empty:
            raise BenchError(f"The parameter '{parameter.name}' of the builder '{build.__name__}' needs a default.")
        default = tuple(parameter.default) if isinstance(parameter.default, list) else parameter.default
        text, accepted = help.get(parameter.name, ""), tuple(choices.get(parameter.name, ()))
        kind, largest = _type_of(parameter, build.__name__), most.get(parameter.name)
        params.append(Param(parameter.name, kind, default, text, accepted, most=largest))
    if strange := {*help, *choices, *most} - {param.name for param in params}:
        raise BenchError(
            f"The builder '{build.__name__}' has no parameter '{min(strange)}', which its decorator names."
        )
    return tuple(params)


def _type_of(parameter: inspect.Parameter, builder: str) -> str:
    """Find the type of a parameter by its default, or by its annotation (`int | None`) if that is None."""
    default = parameter.default
    kind = str(parameter.annotation).removesuffix(" | None") if default is None else _TYPES.get(type(default), "")
    if kind not in _TYPES.values():
        raise BenchError(
            f"The default of the parameter '{parameter.name}' of the builder '{builder}' is {default!r}. "
            "Accepted: a number, a string, True, False, a list, or None with an annotation such as int | None."
        )
    return kind


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
    """Read an architecture's spec from what `probe` returns."""
    return ArchitectureSpec(**{**_tuples(values), "params": _params(values)})


def dataset_from(values: dict[str, Any]) -> DatasetSpec:
    """Read a data set's spec from what `probe` returns."""
    # An answer that was kept by an older version lacks some of them.
    kaggle = _kaggle_source(values["kaggle"]) if values.get("kaggle") else None
    return DatasetSpec(**{**_tuples(values), "params": _params(values), "kaggle": kaggle})


def _kaggle_source(values: dict[str, Any]) -> KaggleSource:
    submission = SubmissionFormat(**_tuples(values["submission"])) if values.get("submission") else None
    return KaggleSource(**{**_tuples(values), "submission": submission})


def _params(values: dict[str, Any]) -> tuple[Param, ...]:
    return tuple(Param(**_tuples(param)) for param in values.get("params", ()))


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
