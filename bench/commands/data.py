"""A data set as the commands' options name it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.pipeline.source import Source
    from bench.spec import DatasetSpec


def checked_params(spec: "DatasetSpec", given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a data set among the options that were given; BenchError for one that it does not have."""
    from bench import checks
    from bench.values import single

    values = {name: single(name, value) for name, value in given.items() if value is not None}
    for name in values:
        if name not in {param.name for param in spec.params}:
            raise BenchError(f"The data set '{spec.name}' has no --{name.replace('_', '-')}.")
    return checks.params(values, spec)


def opened(console: Console, spec: "DatasetSpec", folder: Path | str | None, params: Mapping[str, Any]) -> "Source":
    """The data set, with a word on the terminal meanwhile: comparing all tiles of Airbus takes minutes, once."""
    from bench.pipeline.source import open_source

    with console.status(f"opening {spec.name}"):
        return open_source(spec, folder, params)
