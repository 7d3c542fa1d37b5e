"""Show what `bench verify` found: a table of values and intervals, and what differs if one is outside."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.commands.shared import output

if TYPE_CHECKING:
    from bench.results.analysis.configurations import Configuration
    from bench.results.analysis.prediction_interval import Verdict


def decides(verdict: "Verdict") -> bool:
    """Tell whether a verdict is on a score, and not on speed or memory, which never fail."""
    from bench.results.quantities import METRICS

    return verdict.column in METRICS


def show_verdicts(
    found: "Sequence[Verdict]", known: "Configuration", new: "Configuration", seed: int, *, other_code: bool
) -> None:
    """Print each value with its interval and verdict; if one is outside, what differs.

    Args:
        other_code: whether segbench's own code has changed since the record was made.
    """
    from rich.text import Text

    from bench.report.text.terminal import plain_table
    from bench.results.analysis.comparing import differences

    console = output()
    code = ", with other code than the record's" if other_code else ""
    table = plain_table(f"Seed {seed} against {known.seeds} seeds{code}")
    table.add_column()
    for heading in ("new", "mean", "95 % prediction interval"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for verdict in found:
        expected, form = verdict.expected, ".4f" if decides(verdict) else ",.1f"
        span = f"{expected.low:{form}} to {expected.high:{form}}"
        word = "as expected" if verdict.is_inside else "outside" if decides(verdict) else "outside (speed never fails)"
        cells = (verdict.column.replace("_", " "), f"{verdict.value:{form}}", f"{expected.mean:{form}}", span, word)
        table.add_row(*map(Text, cells))
    console.print(table)
    if all(verdict.is_inside for verdict in found):
        return
    causes = plain_table("What differs, likely causes first")
    for heading in ("differs in", "", "before", "now"):
        causes.add_column(heading)
    for one in differences(known, new):
        if one.name not in ("seed", "keep_weights", "keep_predictions", "data_dir"):
            causes.add_row(*(Text(part) for part in (one.kind, one.name.replace("_", " "), one.one, one.other)))
    console.print(causes if causes.row_count else "No recorded setting differs.")
    console.print(
        "One new seed in 20 is outside by chance alone: verify with another --seed before you look for causes."
    )
