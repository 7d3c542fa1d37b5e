"""The result of `bench check` as the comment of a pull request: the verdict, what changed, and the details folded."""

from collections.abc import Iterable, Mapping, Sequence

from bench.report.text.gate_report import HEADINGS, by_importance, cells, noise, summary, title
from bench.report.text.tables import markdown_cell
from bench.results.clean_text import clean
from bench.results.gate.verdict import OK, Line

MARKER = "<!-- bench check -->"  # the first line, by which a bot finds the comment that it wrote before
_MOST_BYTES = 60_000  # GitHub takes 65,536 characters
_MOST_ROWS = 20  # that are not folded
_RULE = "| --- | --- | ---: | ---: | --- | --- | --- |"
_SHARED = "All values share one error rate: equal code raises a false alarm in at most 1 of 100 comparisons."


def comment(lines: Sequence[Line], facts: Mapping[str, str], command: str) -> str:
    """Write the whole comment, shorter than GitHub's limit.

    Args:
        facts: what was compared, on which machine.
        command: the command line that judges the same again.
    """
    rows = by_importance(lines)
    changed = [line for line in rows if line.verdict != OK]
    heading = title(lines)
    shown = _table(changed[:_MOST_ROWS], 400) if changed else ["Every value is within its limit."]
    if len(changed) > _MOST_ROWS:
        shown += ["", f"{len(changed) - _MOST_ROWS} more are in the details."]
    head = [
        MARKER,
        f"### bench check: {heading}",
        "",
        f"{summary(lines)} {_SHARED} {noise(lines)}".strip(),
        "",
        *shown,
        "",
    ]
    facts_table = ["| | |", "| --- | --- |", *(_row(pair, 1000) for pair in facts.items()), ""]
    how = ["```sh", clean(command).replace("```", ""), "```", ""]
    tail = _folded("Commits, machine and how to reproduce", [*facts_table, *how])
    room = _MOST_BYTES - sum(map(_size, [*head, *tail]))
    return "\n".join([*head, *_folded(f"All {len(rows)} values", _fitting(_table(rows, 1000), room)), *tail])


def _table(lines: Sequence[Line], width: int) -> list[str]:
    return [_row(HEADINGS, width), _RULE, *(_row(cells(line), width) for line in lines)]


def _row(texts: Iterable[str], width: int) -> str:
    return f"| {' | '.join(markdown_cell(text, width) for text in texts)} |"


def _fitting(rows: Sequence[str], room: int) -> list[str]:
    """Return the first rows that fit into that many bytes, and say how many are left out."""
    kept = list[str]()
    for number, row in enumerate(rows):
        room -= _size(row)
        if room < 0:
            return [*kept, "", f"{len(rows) - number} more rows don't fit into a comment; --junit has them all."]
        kept.append(row)
    return kept


def _size(row: str) -> int:
    return len(row.encode()) + 1


def _folded(summary: str, rows: Sequence[str]) -> list[str]:
    return [f"<details><summary>{summary}</summary>", "", *rows, "", "</details>", ""]
