"""The notes below a leaderboard: how its ranks were made, how far to trust them, and what its trials differ in."""

from collections import defaultdict
from collections.abc import Sequence

from bench.core.errors import first_few
from bench.core.options import TRAINING
from bench.core.trial_config import OPTIONS
from bench.report.table_model import Row
from bench.report.text.setting_texts import setting_words
from bench.results.analysis.configurations import Configuration
from bench.results.analysis.cross_validation.over_folds import Measured
from bench.results.analysis.sequential import level
from bench.results.analysis.uncertainty import most_seeds
from bench.results.sizes.chosen_within import size_notes

ENOUGH_SEEDS = 5  # seeds that a ranking needs
_MOST_NAMED = 5
_MODEL = ("arch", "backbone", "builder_params")
_SETTINGS = frozenset(option.column for option in OPTIONS.values() if option.panel == TRAINING and option.axis)
_MIXED = {  # column: what it holds, for the note of a group with several values
    "commit": "segbench's commit",
    "version_keras": "Keras's version",
    "version_tensorflow": "TensorFlow's version",
    "version_jax": "JAX's version",
    "version_torch": "PyTorch's version",
    "driver": "the driver's version",
    "memory_method": "how memory was measured",
}


def ranking_notes(found: Measured, rows: Sequence[Row]) -> list[str]:
    """Write the notes that say how the ranks were made and how far they can be trusted."""
    notes = []
    if any(row.uncertainty and row.uncertainty.is_separable for row in rows):
        drawn = "" if found.groups == len(found.images) else f" by {found.groups:,} groups"
        how = f"by a paired bootstrap over {len(found.images):,} test images{drawn} and over the seeds"
        how = how if found.images else "over the seeds, by Student's t"
        of_folds = any(row.uncertainty and row.uncertainty.folds is not None for row in rows)
        how += ", widened by the variance over the folds" if of_folds else ""
        notes += seed_notes(rows)
        notes.append(
            f"[ ]: 95 % interval {how}. Rows that are not significantly different share a rank; in brackets the range "
            "of possible ranks."
        )
    single = [row for row in rows if row.uncertainty and not row.uncertainty.is_separable]
    if single:
        notes.append(
            "Not separable by seed: a row with one seed is not significantly different from any other; its "
            "differences may be chance."
        )
    elif min((row.configuration.seeds for row in rows if row.rank), default=ENOUGH_SEEDS) < ENOUGH_SEEDS:
        notes.append(
            f"Fewer than {ENOUGH_SEEDS} seeds: the intervals are wide, and few rows are significantly different."
        )
    for reason in dict.fromkeys(row for row in found.rows if isinstance(row, str)):
        named = [row.label for row, why in zip(rows, found.rows, strict=False) if why == reason]
        listed = first_few(named, _MOST_NAMED, between="; ")
        notes.append(f"Mean and spread (±) over the seeds only, and tied with all rows: {listed} ({reason}).")
    return notes


def choice_notes(members: Sequence[Configuration], varied: Sequence[str]) -> list[str]:
    """Write which options a reader can only choose by the test split: models with several rows that differ in them."""
    models: dict[tuple[str, ...], list[Configuration]] = defaultdict(list)
    for member in members:
        if member.seeds:
            models[tuple(str(member.values[name]) for name in _MODEL)].append(member)
    several = [some for some in models.values() if len(some) > 1]
    told = [
        name
        for name in varied
        if name in _SETTINGS and any(len({str(m.values[name]) for m in some}) > 1 for some in several)
    ]
    if not told:
        return []
    listed = ", ".join(setting_words(name) for name in told)
    return [
        f"Rows of one model differ in {listed}: the best of them was picked on the test split, so its score is too "
        "high for a comparison of models. `bench run --tune` picks on the validation split."
    ]


def seed_notes(rows: Sequence[Row]) -> list[str]:
    """Write how seeds were spent, if they were added until the order was decided."""
    most = most_seeds([row.configuration for row in rows])
    if not most:
        return []
    spent = "; ".join(f"{row.label} {row.configuration.seeds}" for row in rows if row.rank)
    return [
        f"Seeds were added, to {most} at most, until the order was decided. Spent: {spent}. So that the intervals hold "
        f"with 95 % however often they were looked at, each has a level of {100 * level(most):.1f} %."
    ]


def differences(members: Sequence[Configuration]) -> list[str]:
    """Write the notes on differences between the trials: image sizes, code, versions and how memory was measured."""
    notes = size_notes(members)
    for name, text in _MIXED.items():
        found = sorted({str(value) for m in members if name in m.ok for value in m.ok[name]} - {""})
        if len(found) > 1:
            listed = first_few((value[:12] for value in found), _MOST_NAMED)  # enough to identify a commit
            notes.append(f"The trials differ in {text}: {listed}.")
    methods = list(dict.fromkeys(value for m in members for value in m.ok["memory_method"] if value))
    if len(methods) == 1:
        notes.append(f"Peak memory measured by: {methods[0]}.")
    return notes
