"""`bench audit`: whether the ranking depends on how the score is defined."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.console import output, warn
from bench.commands.run import DEFAULT_RESULTS
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.records.audit import Audit
    from bench.report.board import Group

_MOST_MISMATCHES = 10


def audit(
    results: Annotated[
        list[Path] | None, typer.Argument(help="Results folders. Default: results.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Also write every value to this CSV file.", show_default=False)
    ] = None,
) -> None:
    """Compute every definition of the score that the per-image tables allow, and show where the ranking depends on it.

    Exit code 1: a record's values are not those of its table.
    """
    from bench.records.audit import audit as audit_group
    from bench.records.frame import trials_frame, without_doubles
    from bench.records.store import load
    from bench.report.leaderboard import groups

    loaded = load(results or [DEFAULT_RESULTS])
    for problem in loaded.problems:
        warn(f"Not used: {problem}")
    boards = groups(trials_frame(without_doubles(loaded.trials)[0]))
    if not boards:
        raise BenchError("No trial has ended well yet, so there is nothing to audit.")
    found = [
        (group, audit_group([row.configuration for row in group.ranked], list(group.classes.values())))
        for group in boards
    ]
    for group, audited in found:
        _show(group, audited)
    if out:
        _write(out, found)
    mismatches = [text for _, audited in found for text in audited.mismatches]
    for text in mismatches[:_MOST_MISMATCHES]:
        warn(f"Mismatch: {text}")
    if len(mismatches) > _MOST_MISMATCHES:
        warn(f"and {len(mismatches) - _MOST_MISMATCHES} more")
    if mismatches:
        raise typer.Exit(1)


def _show(group: "Group", audited: "Audit") -> None:
    import numpy as np
    from rich.table import Table
    from rich.text import Text

    from bench.records.text import shorten

    table = Table(title=Text(group.title), title_justify="left")
    table.add_column("definition")
    table.add_column("best", overflow="fold")
    for heading in ("its score", "pairs in another order", "of them told apart"):
        table.add_column(heading, justify="right")
    swapped = audited.swapped()
    for name, values, pairs in zip(audited.definitions, audited.values, swapped, strict=True):
        best = int(np.nanargmax(values))
        count, sure = int(np.triu(pairs).sum()), int(np.triu(pairs & group.apart).sum())
        label = Text(shorten(group.ranked[best].label, 40))
        table.add_row(Text(name), label, f"{values[best]:.4f}", str(count or ""), str(sure or ""))
    console = output()
    console.print(table)
    if not len(audited.definitions):
        console.print("No per-image table can be read.")
        return
    leaders = {int(np.nanargmax(values)) for values in audited.values}
    told = "The leader depends on the definition." if len(leaders) > 1 else "Every definition has the same leader."
    moved = int(np.triu(swapped.any(axis=0)).sum())
    total = len(group.ranked) * (len(group.ranked) - 1) // 2
    console.print(f"{told} {moved} of {total} pairs stand in another order by some definition.", highlight=False)


def _write(path: Path, found: "list[tuple[Group, Audit]]") -> None:
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["table", "configuration", "definition", "score", "rank"])
            for group, audited in found:
                for name, values, ranks in zip(audited.definitions, audited.values, audited.ranks(), strict=True):
                    for row, value, rank in zip(group.ranked, values, ranks, strict=True):
                        if value == value:
                            writer.writerow([group.title, row.label, name, value, int(rank)])
    except OSError as error:
        raise BenchError(f"'{path}' can't be written ({error.strerror}). Give another file with --out.") from error
