"""`bench doctor`: show what this machine has and what is missing."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.commands.shared import DEFAULT_RESULTS, output, warn


def doctor(
    results: Annotated[
        Path, typer.Option(help="The results folder; the free space of its disk is shown.")
    ] = DEFAULT_RESULTS,
) -> None:
    """Show versions, the backends and their devices, free disk space, the cache and the data sets."""
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
