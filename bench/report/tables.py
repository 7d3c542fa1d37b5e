"""The leaderboard as Markdown, CSV and a table for the terminal."""

import csv
import html
import io
import re
from collections.abc import Sequence

import pandas as pd
from rich.table import Table
from rich.text import Text

from bench.records.statistics import SAME
from bench.records.text import shorten
from bench.report.columns import MEASURED, PARAMS
from bench.report.leaderboard import Group


def markdown(groups: Sequence[Group], failures: pd.DataFrame, problems: Sequence[str], date: str) -> str:
    """LEADERBOARD.md: a GitHub table per group, then the failures and what could not be read."""
    lines = [
        "# segbench leaderboard",
        "",
        f"Made {date}. [ ] is a 95 % interval, ± a sample standard deviation over the seeds.",
        "",
    ]
    if not groups:
        lines += ["No trial has ended well yet, so there is nothing to rank.", ""]
    for group in groups:
        lines += [f"## {markdown_cell(group.title)}", ""]
        lines += ["; ".join(f"{k}: {markdown_cell(v)}" for k, v in group.fields.items()) + ".", ""]
        lines += [*_markdown_table(group), ""]
        lines += [*(f"- {markdown_cell(note)}" for note in group.notes), ""]
    if len(failures):
        lines += ["## Failures", "", "| trial | seed | status | reason |", "| --- | ---: | --- | --- |"]
        for row in failures.to_dict("records"):
            pair = ":".join(filter(None, (row["arch"], row["backbone"])))
            cells = (f"{pair} on {row['dataset']}", f"{row['seed']:g}", row["status"], row["reason"])
            lines.append(f"| {' | '.join(map(markdown_cell, cells))} |")
        lines.append("")
    if problems:
        lines += ["## Not in the tables", "", *(f"- {markdown_cell(p)}" for p in problems), ""]
    return "\n".join(lines).rstrip() + "\n"


def _markdown_table(group: Group) -> list[str]:
    lines = [
        "| " + " | ".join(markdown_cell(heading) for heading, _ in group.columns.values()) + " |",
        "| " + " | ".join("---" if name in group.texts else "---:" for name in group.columns) + " |",
    ]
    return lines + [
        "| " + " | ".join(markdown_cell(row.cells[name].text) for name in group.columns) + " |" for row in group.rows
    ]


def markdown_cell(text: str) -> str:
    """Text that can't leave its cell, start markup or carry HTML."""
    text = html.escape(shorten(" ".join(text.split()), 200), quote=False)
    text = re.sub(r"([\\`*\[\]|~#!])", r"\\\1", text)
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\_", text)  # inside a word it is no emphasis
    return text.replace("://", ":&#8203;//")  # no link of its own


def csv_text(groups: Sequence[Group]) -> str:
    """leaderboard.csv: a line a configuration; numbers unrounded, `..._sd` empty for one seed.

    `interval_low`, `interval_high`: of the score in `ranked_by`, of the images alone for one seed.
    """
    numbers = [c.name for c in (*MEASURED, PARAMS)]
    classes = list(dict.fromkeys(name for group in groups for name in group.classes))
    heading = [
        "rank",
        "rank_best",
        "rank_worst",
        "ranked_by",
        "interval_low",
        "interval_high",
        *SAME,
        "configuration",
        "seeds",
        "failed",
        *(n for c in (*numbers, *classes) for n in (c, f"{c}_sd")),
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(_csv_cell, heading))
    for group in groups:
        for row in group.rows:
            interval = row.uncertainty.interval if row.uncertainty else None
            values = [row.rank, *(row.ranks or (None, None)), group.score]
            values += [interval.low, interval.high] if interval else [None, None]
            values += [*row.configuration.values.values(), row.configuration.seeds, row.configuration.failed]
            for name in (*numbers, *classes):
                spread = row.configuration.spread(name)
                values += [spread.mean if spread.n else None, spread.sd]
            writer.writerow(map(_csv_cell, values))
    return out.getvalue()


def _csv_cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula gets an apostrophe (OWASP, CSV injection)."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return "" if value is None or value != value else value


def terminal_table(group: Group) -> Table:
    """The leaderboard of one group for `rich.print`: what fits 80 characters, the configuration in one column."""
    table = Table(
        title=Text(group.title), title_justify="left", caption=Text("\n".join(group.notes)), caption_justify="left"
    )
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("architecture", overflow="fold", ratio=1)
    names = [name for name in group.columns if name in group.brief]
    for name in names:
        table.add_column(Text(group.columns[name][0]), justify="right", min_width=len(group.rows[0].cells[name].text))
    for row in group.rows:
        cells = [row.cells[name] for name in names]
        table.add_row(row.cells["rank"].text, Text(shorten(row.label, 80)), *(Text(shorten(c.text, 24)) for c in cells))
    return table
