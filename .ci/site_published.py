"""The published results on the site: a page of each results folder in results/published/, its best rows in front.

The pages are made from the records when the site is built. Where there are none, the front page shows nothing instead.
"""

import json
import shutil
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from bench.report.labels import budget_text
from bench.report.leaderboard import groups
from bench.report.render import write_report
from bench.report.text.exports import board_frame, json_text
from bench.results.dataframe import load_results
from bench.results.quantities import RANKED
from bench.results.trial_files import MARKER

MOST_ROWS = 5
HOW = "[Published records](results/published/README.md) says how they were made."
PLACE = "<!-- published results -->"
Entry = dict[str, Any]


@cache
def reports(folder: Path, out: Path) -> Path:
    """Write the report of each results folder in `folder` to a folder of its name in `out`; return `out`."""
    shutil.rmtree(out, ignore_errors=True)
    for marker in sorted(folder.glob(f"*/{MARKER}")):
        write_report([marker.parent], out / marker.parent.name, public=True)
    return out


def table_of_records(folder: Path, dataset: str, most: int) -> str:
    """Write the table of one data set from the records of a results folder, for README."""
    entries = json.loads(json_text(board_frame(groups(load_results(folder)))))
    (table,) = _tables([row for row in entries if row["dataset"] == dataset], most)
    return table


def published(folder: Path) -> str:
    """Write a Markdown table for each comparison that is published below the folder, or nothing."""
    files = sorted(folder.rglob("leaderboard.json"))
    parts = [part for file in files for part in _of_report(file)]
    return "\n\n".join(["## Published results", *parts, HOW]) if parts else ""


def _of_report(file: Path) -> list[str]:
    """Write the tables of a report, and a link to its page."""
    tables = _tables(json.loads(file.read_text(encoding="utf-8")))
    name = file.parent.name
    link = f'<a href="published/{name}/index.html">All rows, curves and intervals of {name}</a>'
    return [*tables, link] if tables else []


def _tables(entries: list[Entry], most: int = MOST_ROWS) -> list[str]:
    ranked = sorted(
        (each for each in entries if each["rank"] is not None), key=lambda row: (*_comparison(row), row["rank"])
    )
    return [_table(comparison, list(rows), most) for comparison, rows in groupby(ranked, key=_comparison)]


def _comparison(row: Entry) -> tuple[str, ...]:
    """Return what the rows of one ranking have in common."""
    return row["dataset"], row["evaluation_size"], row["budget"], row["device"], row["ranked_by"]


def _table(comparison: tuple[str, ...], rows: list[Entry], most: int) -> str:
    dataset, size, budget, device, ranked_by = comparison
    more = f" The best {most} of {len(rows)} networks." if len(rows) > most else ""
    return "\n".join(
        (
            f"**{dataset}**, {budget_text(budget)} of training, tested at {size}, on {device}.{more}",
            "",
            f"| rank | network | {RANKED[ranked_by].heading} [95 %] | weights (M) | latency (ms) | memory (MiB) |",
            "| ---: | --- | ---: | ---: | ---: | ---: |",
            *(_line(row, ranked_by) for row in rows[:most]),
        )
    )


def _line(row: Entry, ranked_by: str) -> str:
    best, worst = row["rank_best"], row["rank_worst"]
    rank = f"{row['rank']} ({best}\N{EN DASH}{worst})" if best != worst else row["rank"]
    network = f"`{row['arch']}`" + (f" on `{row['backbone']}`" if row["backbone"] else "")
    score = f"{row[ranked_by]:.3f} [{_number(row['interval_low'], 2)}, {_number(row['interval_high'], 2)}]"
    weights = _number(row["params"] and row["params"] / 1e6, 2)
    costs = f"{_number(row['latency_ms_p50'], 1)} | {_number(row['peak_memory_mib'], 0)}"
    return f"| {rank} | {network} | {score} | {weights} | {costs} |"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
