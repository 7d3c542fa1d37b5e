"""`bench recommend`: list the rows of the leaderboard within given limits, and which are statistically tied."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.shared import DEFAULT_RESULTS, output, read_results
from bench.core.errors import BenchError, first_few

if TYPE_CHECKING:
    from rich.table import Table

    from bench.report.constraints import Choice
    from bench.report.table_model import Group

_LIMITS = "Limits"
_COLUMNS = ("mean_iou", "latency_ms_p95", "process_peak_mib", "params", "train_seconds")


def recommend(
    results: Annotated[
        list[Path] | None, typer.Argument(help="Results folders. Default: results.", show_default=False)
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Only results on this data set.")] = None,
    min_mean_iou: Annotated[
        float | None, typer.Option(min=0, max=1, help="The lowest mean IoU on the test split.", rich_help_panel=_LIMITS)
    ] = None,
    max_latency_ms: Annotated[
        float | None,
        typer.Option(min=0, help="The highest latency of one image in ms, 95th percentile.", rich_help_panel=_LIMITS),
    ] = None,
    max_memory_mib: Annotated[
        float | None,
        typer.Option(min=0, help="The most memory that a trial may take to fit, in MiB.", rich_help_panel=_LIMITS),
    ] = None,
    max_params: Annotated[
        str | None,
        typer.Option(help="The largest number of parameters, such as 5M or 5000000.", rich_help_panel=_LIMITS),
    ] = None,
    max_train_minutes: Annotated[
        float | None,
        typer.Option(min=0, help="The longest training in minutes, as budgets count it.", rich_help_panel=_LIMITS),
    ] = None,
    min_images_per_second: Annotated[
        float | None,
        typer.Option(min=0, help="The lowest throughput of inference, in batches.", rich_help_panel=_LIMITS),
    ] = None,
    max_joules: Annotated[
        float | None,
        typer.Option(min=0, help="The most energy of 1,000 images of inference, in joules.", rich_help_panel=_LIMITS),
    ] = None,
    max_train_kwh: Annotated[
        float | None,
        typer.Option(min=0, help="The most energy of the training, in kWh.", rich_help_panel=_LIMITS),
    ] = None,
    rank_by: Annotated[
        str, typer.Option(help="The score to choose by: mean_iou, dice, ... or a data set's own metric.")
    ] = "mean_iou",
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Choose among the forms that bench deploy has measured instead: any, keras, onnx, litert, ... "
            "Mean IoU, latency, memory and throughput are then those of the form.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """List the configurations within your limits and which of them are statistically tied with the best.

    bench recommend --max-latency-ms 10 --max-memory-mib 2000 --dataset pets

    Exit code 1: no configuration is within the limits, or none of these learned anything.
    """
    from bench.report.constraints import choose
    from bench.report.leaderboard import groups
    from bench.results.analysis.uncertainty import metric_named

    given = {
        "min_mean_iou": min_mean_iou,
        "max_latency_ms": max_latency_ms,
        "max_memory_mib": max_memory_mib,
        "max_params": _millions(max_params),
        "max_train_minutes": max_train_minutes,
        "min_images_per_second": min_images_per_second,
        "max_joules": max_joules,
        "max_train_kwh": max_train_kwh,
    }
    limits = {name: value for name, value in given.items() if value is not None}
    if form:
        from bench.commands.recommend_forms import recommend_forms

        recommend_forms(results or [DEFAULT_RESULTS], form, dataset, limits)
        return
    frame, _ = read_results(results or [DEFAULT_RESULTS])
    boards = _of_dataset(groups(frame, metric_named(rank_by, frame)), dataset)
    choices = [(group, choose(group, limits)) for group in boards]
    for group, choice in choices:
        _show(group, choice, limits)
    if not any(choice.tied for _, choice in choices):
        raise typer.Exit(1)


def _millions(text: str | None) -> float | None:
    """Read a number of parameters in millions: `5M`, `5e6` and `5000000` are 5.0."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d*)?(?:e\d+)?)\s*([kmg]?)", text.strip().lower())
    if not match:
        raise BenchError(f"--max-params is '{text}'. Accepted: a number of parameters, such as 5M or 5000000.")
    return float(match[1]) * {"": 1e-6, "k": 1e-3, "m": 1.0, "g": 1e3}[match[2]]


def _of_dataset(boards: "list[Group]", name: str | None) -> "list[Group]":
    if not boards:
        raise BenchError("No trial is ok yet, so there is nothing to recommend.")
    known = sorted({group.fields["data set"] for group in boards})
    if name and name not in known:
        raise BenchError(f"There are no results on the data set '{name}'. Data sets with results: {', '.join(known)}.")
    return [group for group in boards if name in (None, group.fields["data set"])]


def _show(group: "Group", choice: "Choice", limits: Mapping[str, float]) -> None:
    from bench.report.columns import busy_notes
    from bench.report.constraints import hindrances, just_outside
    from bench.report.text.tables import learned_nothing

    console = output()
    console.print(f"\n{group.title}", style="bold", markup=False, highlight=False)
    if not choice.kept:
        console.print(f"None of {len(group.ranked)} configurations is within the limits:", highlight=False)
        for line in hindrances(group, limits):
            console.print(f"  {line}", markup=False, highlight=False)
        return
    console.print(_table(group, choice, limits))
    near = just_outside(group, limits, choice)
    outside = [f"Better, but just outside: {first_few(near, between='; ')}."] if near else []
    noted = busy_notes([row.configuration for row in choice.kept])
    for line in (verdict(group, choice), *outside, *learned_nothing(choice.kept), *noted):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def verdict(group: "Group", choice: "Choice") -> str:
    """Write one line that names the best configuration, or counts those tied with it; none that learned nothing."""
    kept = f"{len(choice.kept)} of {len(group.ranked)} are within the limits"
    able = sum(not row.learned_nothing for row in choice.kept)
    if not able:
        return f"Take none: {kept}, and none learned anything."
    if len(choice.kept) == 1:
        return f"Take {choice.kept[0].label}: {kept}."
    if len(choice.tied) == 1:
        others = "significantly worse" if able > 1 else "no better than no model"
        return f"Take {choice.tied[0].label}: {kept}, and the others are {others}."
    single = " (one seed each is too few to tell)" if all(row.configuration.seeds == 1 for row in choice.tied) else ""
    return f"Take one of the {len(choice.tied)} marked *: they are not significantly different{single}. {kept}."


def _table(group: "Group", choice: "Choice", limits: Mapping[str, float]) -> "Table":
    from rich.text import Text

    from bench.report.constraints import CONSTRAINTS
    from bench.report.text.terminal import plain_table
    from bench.results.clean_text import shorten

    table = plain_table()
    table.add_column("", no_wrap=True)
    table.add_column("architecture", overflow="fold", min_width=10)
    limited = [limit.quantity.name for limit in CONSTRAINTS if limit.key in limits]
    names = [name for name in dict.fromkeys([group.metric.name, *_COLUMNS, *limited]) if name in group.columns]
    for name in names:
        table.add_column(Text(group.columns[name][0]), justify="right")
    for row in choice.kept:
        mark = "*" if row in choice.tied else ""
        cells = [Text(shorten(row.cells[name].text, 24)) for name in names]
        table.add_row(mark, Text(shorten(row.label, 120)), *cells)
    return table
