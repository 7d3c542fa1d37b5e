"""`bench compare`: compare two configurations, or two results folders."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.shared import DEFAULT_RESULTS, output, read_results, say, warn
from bench.core.errors import BenchError, first_few

if TYPE_CHECKING:
    import pandas as pd

    from bench.report.speed_tables import SpeedRow
    from bench.report.table_model import Row
    from bench.results.analysis.comparing import Comparison
    from bench.results.quantities.quantity import Metric

    Tables = Sequence[tuple[str, Sequence[Row | SpeedRow]]]  # a title and its rows

_PAIR = ("arch", "backbone")
_MOST_NAMED = 12  # labels in an error message


def compare(
    one: Annotated[str, typer.Argument(help="A results folder, or a configuration's label, such as unet:resnet50.")],
    other: Annotated[str, typer.Argument(help="What it is compared with: a second folder or label.")],
    results: Annotated[
        Path, typer.Option(help="The results folder with both configurations; not used for two folders.")
    ] = DEFAULT_RESULTS,
    rank_by: Annotated[
        str, typer.Option(help="The score to compare: mean_iou, dice, ... or a data set's own metric.")
    ] = "mean_iou",
) -> None:
    """Show how much better and faster the second one is, with confidence intervals, and in which settings they differ.

    Of two configurations, also name the images on which one is right and the other wrong, with the mean IoU of both.

    bench compare unet deeplab:resnet50 --results results

    bench compare last-week/results results
    """
    if _is_results(Path(one)) and _is_results(Path(other)):
        comparisons = _of_folders(Path(one), Path(other), rank_by)
    else:
        comparisons = _of_labels(one, other, results, rank_by)
    _show(comparisons)
    if len(comparisons) == 1:
        _show_images(comparisons[0])


def _is_results(path: Path) -> bool:
    from bench.results.trial_files import MARKER

    return (path / MARKER).is_file()


def _of_folders(one: Path, other: Path, rank_by: str) -> "list[Comparison]":
    from bench.report.labels import pair_titles
    from bench.results.analysis.comparing import compare, pairs
    from bench.results.analysis.configurations import pool
    from bench.results.analysis.uncertainty import metric_named

    frames = [read_results([path])[0] for path in (one, other)]
    metric = metric_named(rank_by, *frames)
    first, second = map(pool, frames)
    found = pairs(first, second)
    if not found:
        raise BenchError(f"'{one}' and '{other}' have no configuration in common with ok trials in both.")
    paired = [{id(pair[side]) for pair in found} for side in (0, 1)]
    alone = [sum(m.seeds > 0 for m in some) - len(known) for some, known in zip((first, second), paired, strict=True)]
    if any(alone):
        warn(f"Not compared because they are in one folder only: {alone[0]} in '{one}', {alone[1]} in '{other}'.")
    titles = pair_titles([pair[0] for pair in found])
    return [compare(title, *pair, metric) for title, pair in zip(titles, found, strict=True)]


def _of_labels(one: str, other: str, results: Path, rank_by: str) -> "list[Comparison]":
    from bench.report.leaderboard import groups
    from bench.report.speed_tables import speed_boards
    from bench.results.analysis.uncertainty import metric_named

    frame, _ = read_results([results])
    metric = metric_named(rank_by, frame)
    tables: Tables = [(group.title, group.ranked) for group in groups(frame, metric)]
    speeds: Tables = [(board.title, board.rows) for board in speed_boards(frame)]
    # Both kinds of table may have the same label. Those with scores come first: most users ask for quality. Labels of
    # one table come before those of its versions, since only the former are ranked together.
    kinds = tables, speeds, _without_versions(tables), _without_versions(speeds)
    found = next(filter(None, (_of_tables(one, other, kind, metric) for kind in kinds)), None)
    if not found:
        _check_ended((one, other), frame)
        labels = list(dict.fromkeys(row.label for _, rows in (*tables, *speeds) for row in rows))
        raise BenchError(
            f"'{one}' and '{other}' are neither two results folders nor two configurations of one table in "
            f"'{results}'. Its configurations: {first_few(labels, _MOST_NAMED, between='; ') or 'none'}."
        )
    return found


def _check_ended(texts: Sequence[str], frame: "pd.DataFrame") -> None:
    """Raise BenchError for the label of a pair of which no trial is ok, and which is therefore in no table."""
    from bench.results.analysis.configurations import pool

    for text in texts:
        pair = text.partition(",")[0]
        alike = [one for one in pool(frame) if pair == ":".join(filter(None, map(str, map(one.values.get, _PAIR))))]
        if alike and not any(one.seeds for one in alike):
            raise BenchError(f"'{text}' has no finished trial: {', '.join(one.not_ok for one in alike)}.")


def _without_versions(tables: "Tables") -> "Tables":
    """Join the tables that differ in the versions of the software alone, whose labels name them."""
    joined: dict[str, list[Row | SpeedRow]] = {}
    for title, rows in tables:
        for row in rows:
            versions = row.configuration.versions
            whole = title.replace(f", {versions}", "") if versions else title
            joined.setdefault(whole, []).append(row)
    return list(joined.items())


def _of_tables(one: str, other: str, tables: "Tables", metric: "Metric") -> "list[Comparison]":
    from bench.results.analysis.comparing import compare

    return [
        compare(f"{first.label} -> {second.label} ({title})", first.configuration, second.configuration, metric)
        for title, rows in tables
        for first, second in _pairs(one, other, rows)
    ]


def _pairs(one: str, other: str, rows: "Sequence[Row | SpeedRow]") -> "list[tuple[Row | SpeedRow, Row | SpeedRow]]":
    """Return pairs of rows with the two labels; if several rows match, those that were trained with equal settings."""
    sides = [_begin(text, rows) for text in (one, other)]
    if not all(sides) or all(len(side) == 1 for side in sides):
        return list(zip(*sides, strict=False))
    alike = [(a, b) for a in sides[0] for b in sides[1] if a is not b and _training(a) == _training(b)]
    if len({id(a) for a, _ in alike}) == len({id(b) for _, b in alike}) == len(alike) > 0:
        return alike
    text, side = next((text, side) for text, side in zip((one, other), sides, strict=True) if len(side) > 1)
    matches = first_few((row.label for row in side), _MOST_NAMED, between="; ")
    raise BenchError(f"'{text}' matches several configurations: {matches}. Give a whole label.")


def _begin(text: str, rows: "Sequence[Row | SpeedRow]") -> "list[Row | SpeedRow]":
    """Return the row with this label, or else all rows whose labels begin with it."""
    exact = [row for row in rows if row.label == text]
    return exact or [row for row in rows if row.label.startswith((f"{text},", f"{text}:"))]


def _training(row: "Row | SpeedRow") -> list[str]:
    """Return the settings that the row was trained with, without those of the model."""
    from bench.results.analysis.configurations import SAME

    model = ("arch", "backbone", "builder_params", "weights")
    return [str(row.configuration.values[name]) for name in SAME if name not in model]


def _show_images(comparison: "Comparison") -> None:
    """Name the images on which one is right and the other wrong: those that the report shows, too."""
    from bench.report.findings.pair_board import LISTED
    from bench.results.clean_text import clean, shorten
    from bench.results.predicted.disagreements import between

    if not comparison.has_scores:
        return
    found = between(*comparison.members, LISTED)
    if found is None:
        say(output(), "Images that set them apart: unknown, since their per-image tables are of different images.")
        return
    for title, some in zip(
        ("Images where the first is right and the second wrong", "Where the second is right and the first wrong"),
        found,
        strict=True,
    ):
        named = (f"{shorten(clean(one.name), 60)} ({one.one:.3f}, {one.other:.3f})" for one in some)
        say(output(), f"{title}: {'; '.join(named) or 'no image'}.")


def _show(comparisons: "Sequence[Comparison]") -> None:
    from bench.report.text.comparison import causes, comparison_lines, comparison_table, summary

    console = output()
    if len(comparisons) > 1:
        console.print(comparison_table(comparisons, console.width))
        console.print(summary(comparisons), highlight=False)
    else:
        console.print(f"\n{comparisons[0].label}", style="bold", markup=False, highlight=False)
        for line in comparison_lines(comparisons[0]):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(causes(comparisons))
