"""`bench merge`: merge the results of several machines into one folder."""

from pathlib import Path
from typing import Annotated

import typer

from bench.commands.shared import output, warn


def merge(
    sources: Annotated[list[Path], typer.Argument(help="The results folders to merge; they are not changed.")],
    results: Annotated[Path, typer.Option(help="The folder to copy the trials to; it may already have some.")],
    public: Annotated[
        bool,
        typer.Option(
            "--public",
            help="Copy only what may be published: records, histories, per-image scores and timings, without pictures, "
            "weights, logs and this machine's paths.",
        ),
    ] = False,
) -> None:
    """Copy the trials of several results folders into one, each trial once, and list conflicts.

    bench merge machine1/results machine2/results --results all
    """
    from bench.results.merged.merging import merge as merge_results

    merged = merge_results(sources, results, public=public)
    for problem in merged.problems:
        warn(f"Not merged: {problem}")
    for conflict in merged.conflicts:
        warn(conflict)
    conflicts = len(merged.conflicts)
    output().print(
        f"{results}: {len(merged.copied)} trials copied, {merged.kept} were already there, {merged.same} duplicates, "
        f"{conflicts} conflict{'s' * (conflicts != 1)}. The report: bench report {results}",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
