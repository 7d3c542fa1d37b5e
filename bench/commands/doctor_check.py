"""The first check of `bench doctor`, of an architecture and a data set: read the options, print a line per finding."""

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.text import Text

from bench.commands.shared import opened, output, say
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig

if TYPE_CHECKING:
    from bench.data.source import Source
    from bench.trials.first_check.finding import Finding

QUICK = {"image_size": "64", "batch_size": "4"}  # unless they are given: enough for a check, and quick
_OF_DATA = ("dataset", "data_dir", "dataset_param", "resize", "plugin")
OPTIONS_OF_CHECK = (
    *("arch", "backbone", "param", "weights", "image_size", "head"),
    *_OF_DATA,
    *("batch_size", "lr", "loss", "optimizer", "precision", "backend", "seed"),
)
_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def check(given: Mapping[str, Any], seconds: float) -> None:
    """Check what `--arch` and `--dataset` name; exit with code 1 if something failed.

    Args:
        given: the values of OPTIONS_OF_CHECK that were given.
        seconds: for the training on one batch.
    """
    from bench.trials.first_check.run_check import of_data, of_model

    if not 0 < seconds < math.inf:
        raise BenchError(f"--seconds is {seconds:g}. Accepted: a number above 0.")
    config = _config(given)
    console = output()
    source = _source(console, config)
    failed = _print(console, of_data(source)) if given.get("dataset") else 0
    if given.get("arch"):
        failed += _print(console, of_model(config, source, seconds))
    if failed:
        raise typer.Exit(1)
    both = given.get("arch") and given.get("dataset")
    following = f" Next: bench run --arch {given['arch']} --dataset {given['dataset']}" if both else ""
    say(console, f"Nothing failed.{following}")


def _config(given: Mapping[str, Any]) -> TrialConfig:
    """Make the one configuration that the options stand for; on `shapes` without --dataset."""
    from bench.commands.grid_reading import read_grid

    named = {"arch": "unet", "dataset": "shapes", **QUICK, **{n: v for n, v in given.items() if v not in (None, [])}}
    if not given.get("arch") and (unused := [name for name in named if name not in (*_OF_DATA, *QUICK, "arch")]):
        raise BenchError(f"--{unused[0].replace('_', '-')} concerns a model. Give --arch too.")
    configs = read_grid(named, None, None).configs
    if len(configs) > 1:
        raise BenchError(
            f"These options stand for {len(configs)} models. `bench doctor` checks one: give single values."
        )
    return configs[0]


def _source(console: Console, config: TrialConfig) -> "Source":
    from bench.config import catalog
    from bench.data.reading.find_values import with_values

    spec = catalog.dataset(config)
    return with_values(opened(console, spec, config.data_dir, config.dataset_params))


def _print(console: Console, findings: "Iterable[Finding]") -> int:
    """Print the findings as they come; return how many failed."""
    failed = 0
    for finding in findings:
        line = Text.assemble((f"{finding.verdict:8}", _STYLES[finding.verdict]), f"{finding.what}: {finding.said}")
        console.print(line, soft_wrap=True)
        if finding.advice:
            console.print(Text(f"{'':8}{finding.advice}"), soft_wrap=True)
        failed += finding.verdict == "failed"
    return failed
