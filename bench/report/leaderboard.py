"""The leaderboard as plain values, the same for the page, Markdown, CSV and the terminal.

Trials are ranked only within a group: same data (name and fingerprint), evaluation size, test images, budget, device
and protocol, one version of Keras and one of each backend.
Rows that are not significantly different by the paired bootstrap over images and seeds share a rank.
"""

import math
import re
from collections.abc import Sequence
from itertools import groupby

import numpy as np
import pandas as pd

from bench.core.errors import BenchError, first_few
from bench.core.specs import Budget
from bench.report.cells import flags_cell, number_cell, rank_cell, row_cells, score_cell, shade
from bench.report.columns import all_columns, busy_notes, measured_columns
from bench.report.flags import flags
from bench.report.labels import field_text, group_title, varied_and_labels
from bench.report.table_model import Cell, Group, Row
from bench.results.analysis.bootstrap import Uncertainty, ranks, significant_pairs, tie_groups
from bench.results.analysis.configurations import COMPARABLE, Configuration, Spread, group_key, pool
from bench.results.analysis.sequential import level
from bench.results.analysis.uncertainty import Measured, measure, most_seeds
from bench.results.quantities import MEAN_IOU, PARAMS
from bench.results.quantities.quantity import Metric
from bench.results.sizes.chosen_within import size_notes

ENOUGH_SEEDS = 5  # seeds that a ranking needs
_MAX_CLASSES = 30
_MOST_NAMED = 5
_MIXED = {  # column: what it holds, for the note of a group with several values
    "commit": "segbench's commit",
    "version_keras": "Keras's version",
    "version_tensorflow": "TensorFlow's version",
    "version_jax": "JAX's version",
    "version_torch": "PyTorch's version",
    "driver": "the driver's version",
    "memory_method": "how memory was measured",
}


def groups(frame: pd.DataFrame, metric: Metric = MEAN_IOU) -> list[Group]:
    """Make the leaderboards of a frame of `load_results`; a group without any ok trial is left out.

    Each is ranked by `metric`, or by mean IoU if none of its trials has that. Speed-only trials have tables of
    their own (speed_tables.py).
    """
    trained = frame[frame["measure"] != "speed"]
    configurations = sorted(pool(trained), key=_place)
    members = [list(some) for _, some in groupby(configurations, key=group_key)]
    members = [some for some in members if any(c.seeds for c in some)]
    titles = [group_title(some[0]) for some in members]
    return [
        _group(
            some,
            title if titles.count(title) == 1 else f"{title}, data {some[0].values['data_fingerprint']:.8}",
            metric if any(math.isfinite(c.spread(metric.name).mean) for c in some) else MEAN_IOU,
        )
        for some, title in zip(members, titles, strict=True)
    ]


def _place(configuration: Configuration) -> tuple[tuple[str, float, str], ...]:
    """Return the key that sorts groups on the page: sizes and budgets by amount, the newest versions first."""
    values = configuration.values
    versions = "", float(configuration.generation), configuration.versions
    return *(_in_order(name, str(values[name])) for name in COMPARABLE), versions


def _in_order(name: str, text: str) -> tuple[str, float, str]:
    if name == "budget" and (budget := _budget(text)):
        return budget.unit, budget.amount, text
    if name == "evaluation_size" and (height := re.match("[0-9]{1,9}", text)):
        return "", float(height[0]), text
    return text, 0.0, text


def _budget(text: str) -> Budget | None:
    try:
        return Budget.parse(text)
    except BenchError:  # a record that somebody edited
        return None


def _group(members: list[Configuration], title: str, metric: Metric) -> Group:
    members = sorted(members, key=lambda member: _best_first(member, metric))
    ranked = [m for m in members if not math.isnan(m.spread(metric.name).mean)]
    found = measure(ranked, metric)
    uncertainties = [
        row if isinstance(row, Uncertainty) else _blind(m.spread(metric.name))
        for row, m in zip(found.rows, ranked, strict=True)
    ]
    different = significant_pairs(uncertainties)
    varied, labels = varied_and_labels(members)
    measured, classes = measured_columns(members, metric), _classes(members)
    places = [*zip(tie_groups(uncertainties), ranks(uncertainties, different), strict=True)]
    rows = []
    for number, (member, label) in enumerate(zip(members, labels, strict=True)):
        cells = row_cells(member, varied, measured)
        per_class = {name: number_cell(member.spread(name), MEAN_IOU) for name in classes}
        if number < len(ranked):
            rows.append(_ranked(member, label, places[number], found.rows[number], metric, cells, per_class))
        else:
            cells |= {"rank": rank_cell(None, None), "flags": flags_cell(())}
            rows.append(Row(None, None, member, None, label, (), cells, per_class))
    for column in (PARAMS, *measured):
        shade(rows, column)
    return Group(
        title=title,
        fields=_fields(members[0]),
        columns=all_columns(varied, measured, metric, flagged=any(row.flags for row in rows)),
        texts=frozenset(
            {"arch", "backbone", "weights", "flags"} | {c for c in varied if isinstance(members[0].values[c], str)}
        ),
        brief=("seeds", *(c.name for c in measured if c.brief or c == metric)),
        classes=classes,
        metric=metric,
        rows=tuple(rows),
        different=different,
        notes=(*ranking_notes(found, rows), *busy_notes(members), *differences(members)),
    )


def _fields(member: Configuration) -> dict[str, str]:
    versions = {"versions": member.versions} if member.versions else {}
    known = {text: field_text(name, member) for name, text in COMPARABLE.items()}
    return {name: text for name, text in known.items() if text} | versions


def _ranked(
    member: Configuration,
    label: str,
    place: tuple[int, tuple[int, int]],
    found: Uncertainty | str,
    metric: Metric,
    cells: dict[str, Cell],
    per_class: dict[str, Cell],
) -> Row:
    uncertainty = found if isinstance(found, Uncertainty) else None
    flagged = flags(member, None if uncertainty else str(found))
    cells |= {"rank": rank_cell(*place), "flags": flags_cell(flagged)}
    if uncertainty:
        cells[metric.name] = score_cell(uncertainty, cells[metric.name], metric)
    return Row(*place, member, uncertainty, label, flagged, cells, per_class)


def _best_first(configuration: Configuration, metric: Metric) -> tuple[bool, float, str]:
    """Return the key that sorts configurations from the best to the worst, then those without a score."""
    score = configuration.spread(metric.name).mean
    return math.isnan(score), -metric.goodness(score) if score == score else 0.0, str(configuration.values)


def _blind(spread: Spread) -> Uncertainty:
    """Return the uncertainty of a configuration without tables: nothing is significantly different from it."""
    return Uncertainty(np.array([spread.mean]), np.array([math.nan]), 1)


def _classes(members: Sequence[Configuration]) -> dict[str, str]:
    names = dict.fromkeys(c for m in members for c, s in m.spreads.items() if c.startswith("iou_") and s.n)
    return {name: name.removeprefix("iou_") for name in list(names)[:_MAX_CLASSES]}


def ranking_notes(found: Measured, rows: Sequence[Row]) -> list[str]:
    """Write the notes that say how the ranks were made and how far they can be trusted."""
    notes = []
    if any(row.uncertainty and len(row.uncertainty.scores) > 1 for row in rows):
        drawn = "" if found.groups == found.images else f" by {found.groups:,} groups"
        how = f"by a paired bootstrap over {found.images:,} test images{drawn}, crossed with the seeds"
        how = how if found.images else "over the seeds, by Student's t"
        notes += seed_notes(rows)
        notes.append(
            f"[ ]: 95 % interval {how}. Rows that are not significantly different share a rank; in brackets the range "
            "of possible ranks."
        )
    single = [row for row in rows if row.rank and row.configuration.seeds == 1]
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
