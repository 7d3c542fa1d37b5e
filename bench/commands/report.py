"""`bench report`: the leaderboard as a page, Markdown and CSV."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.commands.run import DEFAULT_RESULTS

REPORT = "report"  # folder in the first results folder


def report(
    results: Annotated[
        list[Path] | None, typer.Argument(help="Results folders. Default: results.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the report goes. Default: RESULTS/report.", show_default=False)
    ] = None,
) -> None:
    """Write index.html, LEADERBOARD.md and leaderboard.csv from the records of results folders."""
    from bench.records.frame import load_results
    from bench.report.leaderboard import groups
    from bench.report.tables import terminal_table
    from bench.report.write import write_report

    paths = results or [DEFAULT_RESULTS]
    console = Console()
    page = write_report(paths, out or paths[0] / REPORT)
    for group in groups(load_results(paths)):
        console.print(terminal_table(group))
    console.print(f"Report: {page}", highlight=False, soft_wrap=True)
