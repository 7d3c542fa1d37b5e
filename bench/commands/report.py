"""`bench report`: the leaderboard as a page, Markdown and CSV."""

from pathlib import Path
from typing import Annotated

import typer

from bench.commands.console import output
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
    from bench.report.render import write_report
    from bench.report.tables import terminal_table

    paths = results or [DEFAULT_RESULTS]
    console = output()
    written = write_report(paths, out or paths[0] / REPORT)
    for group in groups(load_results(paths)):
        console.print(terminal_table(group))
    page, *others = written
    console.print(
        f"Report: {page}, with {len(others)} files of tables and plots beside it", highlight=False, soft_wrap=True
    )
