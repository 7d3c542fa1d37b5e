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

from bench.core.errors import BenchError
from bench.core.specs import Budget
from bench.report.cells import flags_cell, number_cell, rank_cell, row_cells, score_cell, shade
from bench.report.columns import OF_TUNED, all_columns, busy_notes, measured_columns
from bench.report.flags.all_flags import flags
from bench.report.labels import field_text, group_titles, searched, varied_and_labels
from bench.report.table_model import Cell, Group, Row
from bench.report.text.ranking_notes import choice_notes, differences, ranking_notes
from bench.report.text.setting_texts import value_text
from bench.results.analysis.bootstrap import Uncertainty, ranks, significant_pairs, tie_groups
from bench.results.analysis.configurations import COMPARABLE, Configuration, Spread, comparable, group_key, pool
from bench.results.analysis.uncertainty import measure
from bench.results.quantities import MEAN_IOU, PARAMS
from bench.results.quantities.quantity import Metric

_MAX_CLASSES = 30


def groups(frame: pd.DataFrame, metric: Metric = MEAN_IOU) -> list[Group]:
    """Make the leaderboards of a frame of `load_results`; a group without any ok trial is left out.

    Each is ranked by `metric`, or by mean IoU if none of its trials has that. Speed-only trials have tables of
    their own (speed_tables.py).
    """
    trained = frame[~frame["measure"].isin(("speed", "validation"))]  # tuning trials have no rank
    configurations = sorted(pool(trained), key=_place)
    members = [list(some) for _, some in groupby(configurations, key=group_key)]
    members = [some for some in members if any(c.seeds for c in some)]
    return [
        _group(
            some,
            title,
            metric if any(math.isfinite(c.spread(metric.name).mean) for c in some) else MEAN_IOU,
        )
        for some, title in zip(members, group_titles([some[0] for some in members]), strict=True)
    ]


def _place(configuration: Configuration) -> tuple[tuple[str, float, str], ...]:
    """Return the key that sorts groups on the page: sizes and budgets by amount, the newest versions first."""
    values = configuration.values
    versions = "", float(configuration.generation), configuration.versions
    return *(_in_order(name, str(comparable(values, name))) for name in COMPARABLE), versions


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
    rows, tuned = [], bool(value_text(members[0].values["tune"]))
    varied = [*varied, *(name for name in searched(members[0].values) if name not in varied)]
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
        columns=all_columns(varied, measured, metric, flagged=any(row.flags for row in rows), tuned=tuned),
        texts=frozenset(
            {"arch", "backbone", "weights", "flags", *(["tuned"] if tuned else [])}
            | {c for c in varied if isinstance(members[0].values[c], str)}
        ),
        brief=("seeds", *(OF_TUNED if tuned else ()), *(c.name for c in measured if c.brief or c == metric)),
        classes=classes,
        metric=metric,
        rows=tuple(rows),
        different=different,
        notes=(
            *ranking_notes(found, rows),
            *choice_notes(members, varied),
            *busy_notes(members),
            *differences(members),
        ),
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
