"""The leaderboard as Markdown and as a table for the terminal."""

import html
import re
from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from bench.report.findings.across import Across
from bench.report.findings.series import Series, crossing_text, value_name
from bench.report.flags.flag import LEARNED_NOTHING, MEANINGS
from bench.report.table_model import Group, Row
from bench.report.text.terminal import plain_table
from bench.results.clean_text import shorten

NOT_READ, IN_PART = "Not in the tables", "Read in part"  # heads of lines about what a report lacks
_LABEL_WIDTH = 10  # fewest columns of a terminal for the label


def markdown(
    groups: Sequence[Group],
    failures: Sequence[str],
    problems: Mapping[str, Sequence[str]],
    date: str,
    more: Sequence[str] = (),
) -> str:
    """Write LEADERBOARD.md: a GitHub table per group, `more` lines, those of the failures, what wasn't read."""
    lines = [
        "# segbench leaderboard",
        "",
        f"Made {date}. [ ] is a 95 % interval, ± a sample standard deviation over the seeds.",
        "",
    ]
    if not groups and not more:
        lines += ["No trial is ok yet, so there is nothing to rank.", ""]
    for group in groups:
        lines += [f"## {markdown_cell(group.title)}", ""]
        lines += ["; ".join(f"{k}: {markdown_cell(v)}" for k, v in group.fields.items()) + ".", ""]
        lines += [*_markdown_table(group), ""]
        lines += [*(f"- {markdown_cell(note)}" for note in group.notes), ""]
    lines += [*more, *failures]
    for title, some in problems.items():
        lines += [f"## {title}", "", *(f"- {markdown_cell(p)}" for p in some), ""] if some else []
    return "\n".join(lines).rstrip() + "\n"


def _markdown_table(group: Group) -> list[str]:
    lines = [
        "| " + " | ".join(markdown_cell(heading) for heading, _ in group.columns.values()) + " |",
        "| " + " | ".join("---" if name in group.texts else "---:" for name in group.columns) + " |",
    ]
    return lines + [
        "| " + " | ".join(markdown_cell(row.cells[name].text) for name in group.columns) + " |" for row in group.rows
    ]


def across_markdown(found: Sequence[Across]) -> list[str]:
    """Write the tables of average ranks across data sets."""
    lines = []
    for across in found:
        lines += [f"## {across.title}", ""]
        lines += ["| configuration | mean rank | " + " | ".join(map(markdown_cell, across.data_sets)) + " |"]
        lines += ["| --- |" + " ---: |" * (1 + len(across.data_sets))]
        for place in across.places:
            cells = [place.label, f"{place.mean:.2f}", *(f"{rank:g}" for rank in place.ranks)]
            lines.append(f"| {' | '.join(map(markdown_cell, cells))} |")
        lines += ["", f"- Mean ranks closer than {across.critical_difference:.2f} may be chance (Nemenyi test, 5 %)."]
        lines += [f"- {across.note}"] * bool(across.note) + [""]
    return lines


def series_markdown(found: Sequence[Series]) -> list[str]:
    """Write the tables of the best configurations at each budget or number of images."""
    lines = []
    for series in found:
        lines += [
            f"## {markdown_cell(series.title)}",
            "",
            f"| {series.heading} | best | score | statistically tied |",
        ]
        lines += ["| --- | --- | ---: | --- |"]
        for winner in series.winners:
            best = winner.best.at(winner.value)
            score = series.metric.write(best.score) if best else ""
            tied = "; ".join(line.label for line in winner.tied) or "none"
            cells = (value_name(series, winner.value), winner.best.label, score, tied)
            lines.append(f"| {' | '.join(map(markdown_cell, cells))} |")
        lines += [""]
        lines += [f"- {markdown_cell(crossing_text(series, c))}" for c in series.crossings if c.leads] + [""]
    return lines


def markdown_cell(text: str, most: int = 200) -> str:
    """Escape text so that it can't leave its cell, start markup or carry HTML; cut it after `most` characters."""
    text = html.escape(shorten(" ".join(text.split()), most), quote=False)
    text = re.sub(r"([\\`*\[\]|~#!])", r"\\\1", text)
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\_", text)  # inside a word it is not emphasis
    return text.replace("://", ":&#8203;//")  # so that it doesn't become a link


def terminal_table(group: Group) -> Table:
    """Make a group's leaderboard for `rich.print`: what fits 80 characters, the configuration in one column."""
    table = plain_table(group.title, [*group.notes, *learned_nothing(group.rows)])
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("architecture", overflow="fold", min_width=_LABEL_WIDTH)
    names = [name for name in group.columns if name in group.brief]
    cells = {name: [_terminal_text(name, row.cells[name].text) for row in group.rows] for name in names}
    for name, texts in cells.items():
        heading = group.columns[name][0]
        # Headings are broken before the configuration's label is.
        width = max(len(line) for text in (heading.replace(" ", "\n"), *texts) for line in text.split("\n"))
        table.add_column(Text(heading), justify="right", max_width=width)
    for row, *texts in zip(group.rows, *cells.values(), strict=True):
        table.add_row(row.cells["rank"].text, Text(shorten(row.label, 120)), *map(Text, texts))
    return table


def learned_nothing(rows: Sequence[Row]) -> list[str]:
    """Return a line with the rows whose score needs no model; the other flags are on the page."""
    found = [shorten(row.label, 120) for row in rows if row.learned_nothing]
    return [f"{LEARNED_NOTHING.capitalize()}, {MEANINGS[LEARNED_NOTHING]}: {', '.join(found)}."] if found else []


def _terminal_text(name: str, text: str) -> str:
    """Write a cell's text: `3` above `(1 failed)`, and no value longer than a report's own."""
    return shorten(text, 24).replace(" (", "\n(") if name == "seeds" else shorten(text, 24)
