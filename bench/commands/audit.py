"""`bench audit`: show whether the ranking depends on how the score is defined."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.shared import DEFAULT_RESULTS, output, read_results, warn
from bench.core.errors import BenchError, first_few, first_lines

if TYPE_CHECKING:
    from bench.core.specs import TrialRecord
    from bench.report.table_model import Group
    from bench.results.analysis.definitions.definition_audit import Audit

_MOST_MISMATCHES = 10  # printed of a results folder
_MOST_REVERSALS = 8  # printed of a table
_MOST_CONFUSED, _PAIRS = 8, 3  # configurations of a table, best first, and pairs of classes of each
_MOST_NAMED = 6  # definitions named per reversed pair
_COLUMNS = ("table", "configuration", "definition", "score", "interval_low", "interval_high", "rank")
_CAPTION = (
    "reversed: pairs that this definition orders differently from the first one; significant: reversed pairs whose "
    "difference is significant by both definitions (its 95 % interval excludes 0)."
)


def audit(
    results: Annotated[
        list[Path] | None, typer.Argument(help="Results folders. Default: results.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Also write every value to this CSV file.", show_default=False)
    ] = None,
) -> None:
    """Compute every definition of the score that the per-image tables allow, and show where the ranking depends on it.

    Also show which classes the best configurations confuse most.

    Exit code 1: a record and its table differ, or a table can't be used (unreadable, other classes or images, no seed).
    """
    from bench.report.leaderboard import groups
    from bench.results.analysis.definitions.definition_audit import audit as audit_group

    frame, loaded = read_results(results or [DEFAULT_RESULTS])
    boards = groups(frame)
    if not boards:
        raise BenchError("No trial is ok yet, so there is nothing to audit.")
    records = {str(trial.folder): trial.record for trial in loaded.trials}
    found = [(group, audit_group([row.configuration for row in group.ranked], records)) for group in boards]
    for group, audited in found:
        _show(group, audited)
        for line in confused(group, records):
            output().print(line, markup=False, highlight=False, soft_wrap=True)
    if out:
        _write(out, found)
    mismatches = [text for _, audited in found for text in audited.mismatches]
    for line in first_lines((f"Mismatch: {text}" for text in mismatches), _MOST_MISMATCHES):
        warn(line)
    if mismatches:
        raise typer.Exit(1)


def _show(group: "Group", audited: "Audit") -> None:
    import numpy as np
    from rich.text import Text

    from bench.report.text.terminal import plain_table
    from bench.results.clean_text import shorten

    console = output()
    if not audited.definitions:
        console.print(f"{group.title}: there is no usable per-image table.", markup=False, highlight=False)
        return
    table = plain_table(group.title, (_CAPTION,))
    table.add_column("definition")
    table.add_column("best", overflow="fold")
    for heading in ("score", "reversed", "significant"):
        table.add_column(heading, justify="right")
    swapped, significant = audited.swapped(), audited.significantly_swapped()
    for number, (name, values) in enumerate(zip(audited.definitions, audited.values, strict=True)):
        best = audited.best(number)
        count, significantly = (int(np.triu(pairs[number]).sum()) for pairs in (swapped, significant))
        label = Text(shorten(group.ranked[best].label, 40))
        table.add_row(Text(name), label, f"{values[best]:.4f}", str(count or ""), str(significantly or ""))
    console.print(table)
    for line in told(group, audited):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def told(group: "Group", audited: "Audit") -> Iterator[str]:
    """Yield sentences that say how the ranking depends on the definition."""
    import numpy as np

    from bench.results.clean_text import shorten

    leaders = {audited.best(number) for number in range(len(audited.definitions))}
    reversals, known = audited.reversals(), int(np.isfinite(audited.values[0]).sum())
    lead = "Every definition has the same leader."
    if len(leaders) > 1:
        significant = any(reversal.significant for reversal in reversals if reversal.above == audited.best(0))
        lead = f"The leader depends on the definition{'' if significant else ', but no difference is significant'}."
    yield f"{lead} {len(reversals)} of {math.comb(known, 2)} pairs are ordered differently by at least one definition."
    if left_out := len(group.ranked) - known:
        yield f"Left out because they have no usable table: {left_out} of {len(group.ranked)} configurations."
    for reversal in reversals[:_MOST_REVERSALS]:
        above, below = (shorten(group.ranked[place].label, 60) for place in (reversal.above, reversal.below))
        others = [name for name in reversal.definitions if name not in reversal.significant]
        names = [*(f"{name} (significantly)" for name in reversal.significant), *others]
        listed = first_few(names, _MOST_NAMED, between="; ")
        yield f"- {below} is better than {above} according to: {listed}."
    if len(reversals) > _MOST_REVERSALS:
        yield f"- and {len(reversals) - _MOST_REVERSALS} more pairs; --out FILE writes all values."


def confused(group: "Group", records: "Mapping[str, TrialRecord]") -> Iterator[str]:
    """Yield which classes the best configurations confuse most, and for which of them that was not recorded."""
    from bench.results.clean_text import shorten
    from bench.results.predicted.confused_classes import NOT_RECORDED, confusion_of

    rows = group.ranked[:_MOST_CONFUSED]
    yield f"Confused classes{f' of the best {len(rows)}' if len(rows) < len(group.ranked) else ''}, most wrong pixels:"
    for row in rows:
        found = confusion_of(row.configuration, records)
        told = NOT_RECORDED if found is None else "; ".join(map(str, found.most(_PAIRS))) or "none"
        yield f"- {shorten(row.label, 60)}: {told}."


def _write(path: Path, found: "list[tuple[Group, Audit]]") -> None:
    import pandas as pd

    from bench.report.output_files import write_whole
    from bench.report.text.exports import csv_text

    rows = [
        (group.title, row.label, name, value, low, high, rank)
        for group, audited in found
        for name, *columns in zip(audited.definitions, audited.values, audited.intervals, audited.ranks(), strict=True)
        for row, value, (low, high), rank in zip(group.ranked, *columns, strict=True)
        if value == value
    ]
    write_whole(path, csv_text(pd.DataFrame(rows, columns=_COLUMNS).astype({"rank": int})).encode())
