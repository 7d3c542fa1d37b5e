"""`bench doctor`: show what this machine has and what is missing, or check an architecture and a data set."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.commands.doctor_check import OPTIONS_OF_CHECK, check
from bench.commands.shared import DEFAULT_RESULTS, output, warn, with_options
from bench.core.errors import BenchError

SECONDS = 20.0


@with_options(lambda option: option.name in OPTIONS_OF_CHECK)
def doctor(
    seconds: Annotated[float, typer.Option(help="How long the model may train on one batch of the check.")] = SECONDS,
    results: Annotated[
        Path, typer.Option(help="The results folder; the free space of its disk is shown.")
    ] = DEFAULT_RESULTS,
    **given: Any,
) -> None:
    """Show versions, backends, devices, free disk space and data sets; or check an architecture, a data set, or both.

    With --arch or --dataset: are the labels and pixels as they should be, does a gradient reach each layer, can the
    model overfit one batch? It takes about a minute, at 64 px and with 4 images unless other sizes are given. Exit
    code 1: something failed.

    bench doctor --arch unet --dataset pets
    """
    chosen = {name: value for name, value in given.items() if value not in (None, [])}
    if chosen.get("arch") or chosen.get("dataset"):
        check(chosen, seconds)
    elif chosen:
        raise BenchError(f"--{next(iter(chosen)).replace('_', '-')} belongs to a check. Give --arch or --dataset too.")
    else:
        show_machine(results)


def show_machine(results: Path) -> None:
    """Print what this machine has and what is missing."""
    from bench.commands import doctor_facts as checkup

    console = output()
    _print(console, "machine", checkup.machine())
    with console.status("asking each backend for its devices"):
        backends = checkup.backends()
    _print(console, "backends", backends)
    _print(console, "packages of some architectures", checkup.outside_packages())
    _print(console, "folders", checkup.folders(results))
    _print(console, "data sets", checkup.datasets())
    for problem in checkup.problems():
        warn(problem)


def _print(console: Console, title: str, values: dict[str, str]) -> None:
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in values.items():
        table.add_row(Text(name), Text(value))
    console.print(table)
