"""The trials that are not ok, with their reasons, and the budgets in which none is: for Markdown and the terminal."""

from collections.abc import Sequence

import pandas as pd
from rich.table import Table
from rich.text import Text

from bench.report.labels import budget_text
from bench.report.text.tables import markdown_cell
from bench.report.text.terminal import plain_table
from bench.results.clean_text import shorten

NOT_OK = "Trials that are not ok"
_HEADINGS = ("trial", "seed", "status", "reason")
_COLUMNS = ("arch", "backbone", "dataset", "budget", "measure", "seed", "status", "reason")
_MOST_FAILURES = 10  # rows in a terminal


def empty_budgets(frame: pd.DataFrame) -> list[str]:
    """Name the budgets of a frame's data sets in which no trial is ok, since no leaderboard has them."""
    trained = frame[~frame["measure"].isin(("speed", "validation"))]
    return [
        f"{dataset}, {budget_text(str(budget))}: no trial is ok ({_counts(some['status'])})"
        for (dataset, budget), some in trained.groupby(["dataset", "budget"])
        if not (some["status"] == "ok").any()
    ]


def _counts(statuses: pd.Series) -> str:
    return ", ".join(f"{count} {status}" for status, count in statuses.value_counts().sort_index().items())


def failures_markdown(failures: pd.DataFrame, empty: Sequence[str]) -> list[str]:
    """Write the section of the trials that are not ok; nothing if all are."""
    if failures.empty:
        return []
    lines = [f"## {NOT_OK}", "", f"| {' | '.join(_HEADINGS)} |", "| --- | ---: | --- | --- |"]
    lines += [f"| {' | '.join(map(markdown_cell, cells))} |" for cells in _rows(failures)]
    return [*lines, "", *(f"- {markdown_cell(line)}" for line in empty), *[""] * bool(empty)]


def failure_table(failures: pd.DataFrame, empty: Sequence[str] = ()) -> Table:
    """Make a table of the trials that are not ok for `rich.print`, with the empty budgets below it."""
    more = len(failures) - _MOST_FAILURES
    table = plain_table(NOT_OK, [*[f"and {more} more, named in the report"] * (more > 0), *empty])
    for heading in _HEADINGS:
        table.add_column(heading, justify="right" if heading == "seed" else "left", overflow="fold")
    for cells in _rows(failures[:_MOST_FAILURES]):
        table.add_row(*(Text(shorten(cell, 120)) for cell in cells))
    return table


def _rows(failures: pd.DataFrame) -> list[tuple[str, ...]]:
    """List trial, seed, status and reason."""
    rows = failures[list(_COLUMNS)].itertuples(index=False)
    return [(_trial(*trial), f"{seed:g}", status, reason) for *trial, seed, status, reason in rows]


def _trial(arch: str, backbone: str, dataset: str, budget: str, measure: str) -> str:
    """Write `unet:resnet50 on pets, 10 epochs`; a speed-only trial has no budget."""
    data = dataset if measure == "speed" or not budget else f"{dataset}, {budget_text(budget)}"
    return f"{':'.join(filter(None, (arch, backbone)))} on {data}"
