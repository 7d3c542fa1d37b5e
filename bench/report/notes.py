"""What a reader must know before trusting a group's ranks."""

from collections.abc import Sequence

from bench.records.statistics import Configuration
from bench.records.uncertainty import Measured
from bench.report.board import Row
from bench.report.columns import ENOUGH_SEEDS

_MOST_NAMED = 5
_MIXED = {  # column: what its values are, said when a group has several
    "commit": "segbench's commit",
    "version_keras": "Keras's version",
    "version_tensorflow": "TensorFlow's version",
    "version_jax": "JAX's version",
    "version_torch": "PyTorch's version",
    "driver": "the driver's version",
    "memory_method": "how memory was measured",
}


def sureness(found: Measured, rows: Sequence[Row]) -> list[str]:
    """What the ranks rest on, and what they don't."""
    notes = []
    if any(row.uncertainty and len(row.uncertainty.scores) > 1 for row in rows):
        drawn = "" if found.groups == found.images else f" by {found.groups:,} groups"
        notes.append(
            f"[ ]: 95 % interval by a paired bootstrap over {found.images:,} test images{drawn}, crossed with the "
            "seeds. Rows that can't be told apart share a rank; in brackets the ranks that are left open."
        )
    single = [row for row in rows if row.rank and row.configuration.seeds == 1]
    if single:
        notes.append(
            "Not separable by seed: rows with one seed can't be told apart from any other, their differences may be "
            "chance."
        )
    elif min((row.configuration.seeds for row in rows if row.rank), default=ENOUGH_SEEDS) < ENOUGH_SEEDS:
        notes.append(f"Fewer than {ENOUGH_SEEDS} seeds: the intervals are wide, and few rows can be told apart.")
    for reason in dict.fromkeys(row for row in found.rows if isinstance(row, str)):
        named = [row.label for row, why in zip(rows, found.rows, strict=False) if why == reason]
        listed = "; ".join(named[:_MOST_NAMED]) + (f" and {len(named) - _MOST_NAMED} more" * (len(named) > _MOST_NAMED))
        notes.append(f"Mean and spread (±) over the seeds alone, and tied with all: {listed} ({reason}).")
    return notes


def differences(members: Sequence[Configuration]) -> list[str]:
    """In what code, versions and ways of measuring the trials differ."""
    notes = []
    for name, text in _MIXED.items():
        found = sorted({str(value) for m in members if name in m.ok for value in m.ok[name]} - {""})
        if len(found) > 1:
            listed = ", ".join(value[:12] for value in found[:5])  # of a commit as much as tells it apart
            notes.append(f"The trials differ in {text}: {listed}{', ...' if len(found) > 5 else ''}.")
    methods = list(dict.fromkeys(value for m in members for value in m.ok["memory_method"] if value))
    if len(methods) == 1:
        notes.append(f"Peak memory as told by: {methods[0]}.")
    return notes
