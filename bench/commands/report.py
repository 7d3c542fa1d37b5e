"""`bench report`: write the leaderboard as a web page, Markdown, CSV and more."""

import gc
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bench.commands.shared import DEFAULT_RESULTS, output, warn
from bench.core.errors import BenchError, first_lines

_EVERY_SECONDS = 10  # between two looks of --watch
_MOST_PROBLEMS = 10  # printed in the terminal
_ALLOCATIONS = 50_000  # between garbage collections: what is read stays, and Python's 700 cost a fifth of the time


def report(
    results: Annotated[
        list[Path] | None, typer.Argument(help="Results folders. Default: results.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder for the report. Default: report/ in the first results folder.", show_default=False
        ),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Leave out images of data sets that may not be published.")
    ] = False,
    rank_by: Annotated[
        str, typer.Option(help="The score to rank by: mean_iou, dice, ... or a data set's own metric.")
    ] = "mean_iou",
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Make the report again while trials run, until Ctrl-C; the page reloads itself."),
    ] = False,
    every: Annotated[
        int | None,
        typer.Option(min=1, metavar="<seconds>", help="How often --watch looks. Default: 10.", show_default=False),
    ] = None,
) -> None:
    """Write a report of the records in results folders: web page, Markdown, CSV, Parquet, JSON, LaTeX and plots."""
    from bench.commands.report_watch import watch as watch_trials
    from bench.report.render import write_report
    from bench.report.text.failed_trials import failure_table
    from bench.report.text.tables import IN_PART, NOT_READ, terminal_table
    from bench.report.text.terminal import across_table, series_table

    gc.set_threshold(_ALLOCATIONS)
    if every and not watch:
        raise BenchError("--every belongs to --watch: give that too, or leave it out.")
    console, paths, seconds = output(), results or [DEFAULT_RESULTS], every or _EVERY_SECONDS
    make = partial(write_report, paths, out, public=public, rank_by=rank_by)
    if watch:
        watch_trials(partial(make, reload_seconds=seconds), paths, seconds, console)
    made = make()  # after --watch a last one, which stays as it is
    for group in made.groups:
        console.print(terminal_table(group))
    for one in made.questions:
        console.print(one.asked, *(f"- {answer}" for answer in one.answers), sep="\n", markup=False, highlight=False)
    worths = [board.terminal_table() for some in made.boards for board in some]
    for table in (*map(series_table, made.series), *map(across_table, made.across), *worths):
        console.print(table)
    for board in made.speeds:
        console.print(board.terminal_table())
    for fits in made.fits:
        console.print(fits.for_terminal(), highlight=False)
    if len(made.failures):
        console.print(failure_table(made.failures, made.empty))
    heads = ((NOT_READ, made.problems), (IN_PART, made.parts))
    problems = (f"{head}: {line}" for head, lines in heads for line in lines)
    for line in first_lines(problems, _MOST_PROBLEMS, "and {:,} more, named in the report".format):
        warn(line)
    page, *others = made.files
    console.print(
        f"Report: {page}, with {len(others)} files of tables and plots beside it", highlight=False, soft_wrap=True
    )
