"""`bench history`: show quality, speed, memory and fixed cost by commit, and where they changed."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.shared import output, say, warn
from bench.core.errors import BenchError
from bench.results.trial_files import COMMITS

if TYPE_CHECKING:
    from bench.results.over_commits.points import Point


def history(
    paths: Annotated[
        list[Path], typer.Argument(help="Results folders of several commits, or files that --append has written.")
    ],
    append: Annotated[
        Path | None,
        typer.Option(
            metavar="<file>",
            help=f"Add the commits that this JSON Lines file lacks, and show all of it. As {COMMITS} in a results "
            "folder, the file is a section of that folder's report.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--json", metavar="<file>", help="Also write every number to this JSON file.", show_default=False),
    ] = None,
) -> None:
    """Show what each configuration scored, took and needed at each commit of segbench, and where that changed.

    bench history build/gate --append commits.jsonl

    Changes are found from ten commits on, with 5 % of false alarms for all tables together. Exit code 0 whatever it
    finds: bench check judges a change.
    """
    from bench.core.files import write_file
    from bench.report.findings.boards.commits import commit_boards
    from bench.results.over_commits.point_file import append_points, read_points
    from bench.results.over_commits.timeline import commit_order, timelines

    console = output()
    points = _read(paths)
    if append is not None:
        say(console, f"{append}: {append_points(append, points)} added, of {len(points)} given.")
        points = read_points(append)
    boards = commit_boards(timelines(points, commit_order()))
    for board in boards:
        console.print(board.terminal_table())
    if out is not None:
        write_file(out, json.dumps([r for b in boards for r in b.records], indent=1).encode(), "Give another --json.")
        say(console, f"Every number: {out}")
    if not boards:
        say(console, "Nothing to compare yet: no configuration ran at two commits.")


def _read(paths: list[Path]) -> "list[Point]":
    """Read the points of results folders and files; warn of each trial that can't be read."""
    from bench.results.loading import StoredTrial, load
    from bench.results.over_commits.point_file import read_points
    from bench.results.over_commits.points import points_of

    found: list[Point] = []
    trials: list[StoredTrial] = []
    for path in paths:
        if path.is_file():
            found += read_points(path)
            continue
        loaded = load([path])
        for problem in loaded.problems:
            warn(problem)
        if not points_of(loaded.trials):
            raise BenchError(
                f"No ok trial of '{path}' names the commit that it ran at. Trials name one if segbench runs from a git "
                "checkout (pip install -e)."
            )
        trials += loaded.trials
    return [*found, *points_of(trials)]  # together: seeds of one commit may lie in several folders
