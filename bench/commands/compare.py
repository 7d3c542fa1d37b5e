"""`bench compare`: two configurations, or two results folders, side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.console import output, warn
from bench.commands.run import DEFAULT_RESULTS
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.records.compare import Comparison
    from bench.records.statistics import Configuration
    from bench.report.board import Group, Row

_MOST_NAMED = 12


def compare(
    one: Annotated[str, typer.Argument(help="A results folder, or a configuration's label, such as unet:resnet50.")],
    other: Annotated[str, typer.Argument(help="What is compared with it: of the same kind.")],
    results: Annotated[
        Path, typer.Option(help="Where the trials of two configurations are; not used for two folders.")
    ] = DEFAULT_RESULTS,
) -> None:
    """Say how much better and faster the second is, with an interval, and in what the two differ.

    bench compare unet deeplab:resnet50 --results results

    bench compare last-week/results results
    """
    folders = [Path(text) for text in (one, other)]
    comparisons = _of_folders(*folders) if all(map(_is_results, folders)) else _of_labels(one, other, results)
    for comparison in comparisons:
        _show(comparison)


def _is_results(path: Path) -> bool:
    from bench.records.store import MARKER

    return (path / MARKER).is_file()


def _pool(path: Path) -> "list[Configuration]":
    from bench.records.frame import trials_frame, without_doubles
    from bench.records.statistics import pool
    from bench.records.store import load

    loaded = load([path])
    for problem in loaded.problems:
        warn(f"Not used: {problem}")
    return pool(trials_frame(without_doubles(loaded.trials)[0]))


def _of_folders(one: Path, other: Path) -> "list[Comparison]":
    from bench.records.compare import compare, pairs
    from bench.records.text import clean

    first, second = _pool(one), _pool(other)
    found = pairs(first, second)
    if not found:
        raise BenchError(f"'{one}' and '{other}' have no configuration in common that ended well in both.")
    alone = [sum(m.seeds > 0 for m in some) - len(found) for some in (first, second)]
    if any(alone):
        warn(f"Not compared, for they are in one folder only: {alone[0]} of '{one}', {alone[1]} of '{other}'.")
    label = "{arch} {backbone} on {dataset}, budget {budget}"
    return [compare(clean(" ".join(label.format(**a.values).split())), a, b) for a, b in found]


def _of_labels(one: str, other: str, results: Path) -> "list[Comparison]":
    from bench.records.compare import compare
    from bench.records.frame import trials_frame, without_doubles
    from bench.records.store import load
    from bench.report.leaderboard import groups

    boards = groups(trials_frame(without_doubles(load([results]).trials)[0]))
    found = []
    for group in boards:
        first, second = _row(one, group), _row(other, group)
        if first and second:
            title = f"{first.label} -> {second.label} ({group.title})"
            found.append(compare(title, first.configuration, second.configuration))
    if not found:
        labels = list(dict.fromkeys(row.label for group in boards for row in group.ranked))
        more = f" and {len(labels) - _MOST_NAMED} more" if len(labels) > _MOST_NAMED else ""
        raise BenchError(
            f"'{one}' and '{other}' are no two results folders, nor two configurations of one table in '{results}'. "
            f"It has: {'; '.join(labels[:_MOST_NAMED]) or 'none'}{more}."
        )
    return found


def _row(text: str, group: "Group") -> "Row | None":
    """The row of that label, or the only one that begins with it."""
    exact = [row for row in group.ranked if row.label == text]
    begins = exact or [
        row for row in group.ranked if row.label.startswith(f"{text},") or row.label.startswith(f"{text}:")
    ]
    if len(begins) > 1:
        raise BenchError(f"'{text}' may be {'; '.join(row.label for row in begins[:_MOST_NAMED])}. Give a whole label.")
    return begins[0] if begins else None


def _show(comparison: "Comparison") -> None:
    from rich.table import Table
    from rich.text import Text

    console = output()
    console.print(f"\n{comparison.label}", style="bold", markup=False, highlight=False)
    for line in lines(comparison):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if not comparison.differences:
        console.print("They differ in nothing that is recorded.")
        return
    table = Table("differs in", "", "first", "second", title="What differs, likely causes first", title_justify="left")
    for found in comparison.differences:
        table.add_row(*(Text(part) for part in (found.kind, found.name.replace("_", " "), found.one, found.other)))
    console.print(table)


def lines(comparison: "Comparison") -> Sequence[str]:
    """The quality with its interval, then the ratios."""
    before, after = comparison.scores
    told = f"mean IoU {before:.4f} -> {after:.4f} ({after - before:+.4f}"
    if comparison.change:
        verdict = "they can be told apart" if comparison.is_apart else "they can't be told apart"
        told += f", 95 % interval {comparison.change.low:+.4f} to {comparison.change.high:+.4f}): {verdict}"
    else:
        told += f"): {comparison.reason}"
    names = {name: name.replace("_", " ") for name in comparison.ratios}
    return [told, *(f"{names[name]}: x {ratio:.3g}" for name, ratio in comparison.ratios.items())]
