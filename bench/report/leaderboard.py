"""The leaderboard as plain values, the same for the page, Markdown, CSV and the terminal.

Trials are ranked only within a group: same data (name and fingerprint), evaluation size, budget,
device and protocol. Rows that can't be told apart by the paired bootstrap over images and seeds share a rank.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.records.bootstrap import Uncertainty, ranks, separable, tie_groups
from bench.records.statistics import SAME, Configuration, Spread, pool
from bench.records.text import shorten
from bench.records.uncertainty import MEAN_IOU, Measured, Score, measure
from bench.report.columns import (
    EFFICIENCY_LIMIT,
    ENOUGH_SEEDS,
    MEASURED,
    MISSING,
    PARAMS,
    RANKED_BY,
    TEXTS,
    Column,
    score_column,
)
from bench.report.flags import Flag, flags

GROUP = {  # column of the frame: what it is called
    "dataset": "data set",
    "data_fingerprint": "data fingerprint",
    "evaluation_size": "evaluation size",
    "budget": "budget",
    "device": "device",
    "protocol_version": "protocol",
}
_SHOWN = (*GROUP, "arch", "backbone", "weights")  # never repeated among the columns that vary
_MAX_CLASSES = 30
_DIGITS = ", configuration "
_MOST_NAMED = 5


@dataclass(frozen=True)
class Cell:
    """What stands in a table, what it is sorted by, and what is said when it is pointed at."""

    text: str
    sort: float | str | None = None  # None comes last
    title: str = ""
    warn: bool = False
    heat: int | None = None  # 0 (the worst of the column) to 100 (the best)


@dataclass(frozen=True, eq=False)
class Row:
    """A configuration with its place in the group; no rank when no seed ended well."""

    rank: int | None  # the place of its tied group's first row
    ranks: tuple[int, int] | None  # best and worst that its differences to the others leave open
    configuration: Configuration
    uncertainty: Uncertainty | None  # of the score; None where the tables don't give it
    label: str  # tells it from the other rows
    flags: tuple[Flag, ...]
    cells: dict[str, Cell]
    classes: dict[str, Cell]  # IoU of each class, by the names in Group.classes


@dataclass(frozen=True)
class Group:
    """Configurations that may be compared."""

    title: str
    fields: dict[str, str]  # "device" -> "NVIDIA H200"
    columns: dict[str, tuple[str, str]]  # name -> (heading with unit, definition), in order
    texts: frozenset[str]  # the names of the columns that hold no numbers
    brief: tuple[str, ...]  # the names of the columns that stand beside the label in a terminal
    classes: dict[str, str]  # "iou_pet" -> "pet"
    score: str  # the name of the column that the rank follows
    rows: tuple[Row, ...]
    apart: NDArray[np.bool_]  # (ranked, ranked): which pairs of the ranked rows can be told apart
    notes: tuple[str, ...]  # what a reader must know before trusting the ranks

    def apart_from(self, place: int) -> str:
        """Bits of the ranked rows that can be told apart from that at `place`, hexadecimal; empty: from none."""
        bits = self.apart[place]
        return np.packbits(bits).tobytes().hex() if bits.any() else ""

    @property
    def ranked(self) -> tuple[Row, ...]:
        """The rows with a rank, best first."""
        return tuple(row for row in self.rows if row.rank is not None)


def groups(frame: pd.DataFrame, score: Score = MEAN_IOU) -> list[Group]:
    """The leaderboards of a frame of `load_results`; a group without any ok trial is left out.

    Each is ranked by `score`, or by mean IoU where none of its trials has that.
    """
    configurations = sorted(pool(frame), key=_group_key)
    members = [list(some) for _, some in groupby(configurations, key=_group_key)]
    members = [some for some in members if any(c.seeds for c in some)]
    titles = [_title(some[0]) for some in members]
    return [
        _group(
            some,
            title if titles.count(title) == 1 else f"{title}, data {some[0].values['data_fingerprint']:.8}",
            score if any(c.spread(score.name).n for c in some) else MEAN_IOU,
        )
        for some, title in zip(members, titles, strict=True)
    ]


def _group_key(configuration: Configuration) -> tuple[str, ...]:
    return tuple(str(configuration.values[name]) for name in GROUP)


def _title(configuration: Configuration) -> str:
    value = configuration.values
    return f"{value['dataset']} at {_size(value)}, {_budget(str(value['budget']))}, on {value['device']}"


def _size(value: dict[str, object]) -> str:
    return "native size" if value["evaluation_size"] == "native" else str(value["evaluation_size"])


def _budget(text: str) -> str:
    """`10 epochs` for `10epochs`; `90s` stays."""
    return re.sub(r"(?<=\d)(k?)(?=[a-z]{2})", r"\1 ", text)


def _group(members: list[Configuration], title: str, score: Score) -> Group:
    members = sorted(members, key=lambda member: _best_first(member, score.name))
    varied = _varied(members)
    told_apart = _varied([m for m in members if m.seeds])
    measured = [c for c in MEASURED if not c.optional or any(m.spread(c.name).n for m in members)]
    if (own := score_column(score.name)) not in measured:
        measured.insert(0, own)
    labels = _labels(members, varied, told_apart)
    if any(_DIGITS in label for label in labels):
        varied = [*varied, "configuration"]
    classes = _classes(members)
    ranked = [m for m in members if not math.isnan(m.spread(score.name).mean)]
    found = measure(ranked, score)
    known = [row if isinstance(row, Uncertainty) else None for row in found.rows]
    sure = [u or _blind(m.spread(score.name)) for u, m in zip(known, ranked, strict=True)]
    apart = separable(sure)
    places: list[tuple[int | None, tuple[int, int] | None]] = [*zip(tie_groups(sure), ranks(sure, apart), strict=True)]
    places += [(None, None)] * (len(members) - len(ranked))
    known += [None] * (len(members) - len(ranked))
    rows: list[Row] = []
    reasons = [row if isinstance(row, str) else None for row in found.rows]
    raised = [flags(member, reason) for member, reason in zip(ranked, reasons, strict=True)]
    raised += [()] * (len(members) - len(ranked))
    for member, label, (rank, span), uncertainty, flagged in zip(members, labels, places, known, raised, strict=True):
        cells = _cells(member, varied, measured)
        cells["flags"] = _flags_cell(flagged)
        cells["rank"] = _rank_cell(rank, span)
        if uncertainty:
            cells[score.name] = _score_cell(uncertainty, cells[score.name])
        per_class = {name: _number_cell(member.spread(name), MEASURED[0]) for name in classes}
        rows.append(Row(rank, span, member, uncertainty, _unique(label, rows), flagged, cells, per_class))
    for column in (PARAMS, *measured):
        _heat(rows, column)
    return Group(
        title=title,
        fields={text: _field(name, members[0]) for name, text in GROUP.items()},
        columns=_columns(varied, measured, score.name, flagged=any(raised)),
        texts=frozenset(
            {"arch", "backbone", "weights", "flags"} | {c for c in varied if isinstance(members[0].values[c], str)}
        ),
        brief=("seeds", *(c.name for c in measured if c.brief or c.name == score.name)),
        classes=classes,
        score=score.name,
        rows=tuple(rows),
        apart=apart,
        notes=tuple([*_sureness(found, rows), *_notes(members)]),
    )


def _heat(rows: Sequence[Row], column: Column) -> None:
    """Say of each cell of a column how good it is among the others: by place, so that one outlier hides nothing."""
    cells = [row.cells[column.name] for row in rows]
    values = sorted({c.sort for c in cells if isinstance(c.sort, float)}, reverse=not column.high_is_better)
    if len(values) < 2:
        return
    heat = {value: round(100 * place / (len(values) - 1)) for place, value in enumerate(values)}
    for row, cell in zip(rows, cells, strict=True):
        if isinstance(cell.sort, float):
            row.cells[column.name] = replace(cell, heat=heat[cell.sort])


def _blind(spread: Spread) -> Uncertainty:
    """Of a configuration without tables: nothing can be told apart from it."""
    return Uncertainty(np.array([spread.mean]), np.array([math.nan]), 1)


def _columns(
    varied: Sequence[str], measured: Sequence[Column], score: str, *, flagged: bool
) -> dict[str, tuple[str, str]]:
    columns = {name: TEXTS[name] for name in ("rank", "arch", "backbone")}
    for name in varied:
        columns[name] = TEXTS.get(name, (name.replace("_", " "), f"Part of the configuration: {name}."))
    for column in (PARAMS, *measured):
        if column is measured[0]:
            columns |= {name: TEXTS[name] for name in ("weights", "seeds", *(["flags"] if flagged else []))}
        ranked_by = RANKED_BY if column.name == score else ""
        columns[column.name] = (column.heading_with_unit, column.meaning + ranked_by)
    return columns


def _field(name: str, member: Configuration) -> str:
    text = _text(member.values[name])
    return (_budget(text) if name == "budget" else text) or "unknown"


def _varied(members: Sequence[Configuration]) -> list[str]:
    return [c for c in SAME if c not in _SHOWN and len({str(m.values[c]) for m in members}) > 1]


def _labels(members: Sequence[Configuration], varied: Sequence[str], told_apart: Sequence[str]) -> list[str]:
    """What tells the rows apart: the hash's first digits where nothing else does, as for an edited plug-in."""
    labels = [_label(m, told_apart if m.seeds else varied) for m in members]
    often = Counter(labels)
    return [
        f"{label}{_DIGITS}{_text(m.values['configuration'])[:6]}"
        if often[label] > 1 and m.values["configuration"]
        else label
        for m, label in zip(members, labels, strict=True)
    ]


def _unique(label: str, rows: Sequence[Row]) -> str:
    taken = sum(row.label == label or row.label.startswith(f"{label} (") for row in rows)
    return f"{label} ({taken + 1})" if taken else label


def _best_first(configuration: Configuration, name: str) -> tuple[bool, float, str]:
    score = configuration.spread(name).mean
    return math.isnan(score), -score if score == score else 0.0, str(configuration.values)


def _label(member: Configuration, varied: Sequence[str]) -> str:
    pair = ":".join(filter(None, (_text(member.values["arch"]), _text(member.values["backbone"]))))
    extra = [f"{name.replace('_', ' ')} {_text(member.values[name]) or 'none'}" for name in varied]
    weights = shorten(_weights(member), 24)
    return ", ".join([pair, *([weights] if weights not in ("none", "") else []), *extra])


def _cells(member: Configuration, varied: Sequence[str], measured: Sequence[Column]) -> dict[str, Cell]:
    value = member.values
    cells = {
        "arch": Cell(_text(value["arch"]) or MISSING, _text(value["arch"])),
        "backbone": Cell(_text(value["backbone"]) or MISSING, _text(value["backbone"]) or None),
        "weights": Cell(shorten(_weights(member), 24) or MISSING, _weights(member), _weights(member)),
        "seeds": _seeds(member),
    }
    for name in varied:
        known = value[name] if name != "configuration" else _text(value[name])[:6]
        cells[name] = Cell(_text(known) or MISSING, known if isinstance(known, float | int) else str(known))
    for column in (PARAMS, *measured):
        cells[column.name] = _number_cell(member.spread(column.name), column)
    return cells


def _rank_cell(rank: int | None, span: tuple[int, int] | None) -> Cell:
    """`2 (1\N{EN DASH}4)`: the tied group's place, and the ranks that the differences leave open."""
    if rank is None or span is None:
        return Cell(MISSING)
    if span == (rank, rank):
        return Cell(str(rank), float(rank), "sure: no other rank is left open")
    best, worst = span
    title = f"tied group of place {rank}; ranks {best} to {worst} are left open"
    return Cell(f"{rank} ({best}\N{EN DASH}{worst})", float(rank), title)


def _flags_cell(flagged: Sequence[Flag]) -> Cell:
    text = ", ".join(flag.name for flag in flagged)
    evidence = "; ".join(f"{flag.name}: {flag.evidence}" for flag in flagged)
    return Cell(text, float(len(flagged)), evidence)


def _score_cell(uncertainty: Uncertainty, plain: Cell) -> Cell:
    """`0.742 [0.731, 0.753]`; the mean alone for one seed, whose interval says nothing of other seeds."""
    interval, write = uncertainty.interval, MEASURED[0].write
    span = f"[{write(interval.low)}, {write(interval.high)}]"
    if len(uncertainty.scores) < 2:
        title = f"one seed: not separable by seed; over the images alone {span}"
        return Cell(write(interval.mean), interval.mean, title)
    return Cell(f"{write(interval.mean)} {span}", interval.mean, f"95 % interval over images and seeds; {plain.title}")


def _number_cell(spread: Spread, column: Column) -> Cell:
    """`0.742 ± 0.006`, or the mean alone with the spread in its title."""
    if not spread.n:
        return Cell(MISSING, None, "not measured")
    text = column.write(spread.mean)
    title = "one seed: no spread"
    if spread.sd is not None:
        sd = column.write(spread.sd)
        title = f"{text} ± {sd} (sample standard deviation over {spread.n} seeds)"
        text = f"{text} ± {sd}" if column.with_sd else text
    slow = column.name == "harness_efficiency" and spread.mean < EFFICIENCY_LIMIT
    if slow:
        title = f"below {EFFICIENCY_LIMIT}: held up by input or harness; {title}"
    return Cell(text, spread.mean, title, slow)


def _seeds(member: Configuration) -> Cell:
    listed = ", ".join(f"{seed:g}" for seed in sorted(member.ok["seed"].dropna().unique()))
    title = f"seeds {listed}" if listed else "no seed ended well"
    if not member.failed:
        return Cell(str(member.seeds), float(member.seeds), title)
    return Cell(f"{member.seeds} ({member.failed} failed)", float(member.seeds), f"{title}; see Failures", True)


def _text(value: object) -> str:
    if isinstance(value, float | int):
        return "" if value != value else f"{value:g}"
    return str(value)


def _weights(member: Configuration) -> str:
    """A weights file by its name alone: its folder is this machine's business."""
    return _text(member.values["weights"]).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def _classes(members: Sequence[Configuration]) -> dict[str, str]:
    names = dict.fromkeys(c for m in members for c, s in m.spreads.items() if c.startswith("iou_") and s.n)
    return {name: name.removeprefix("iou_") for name in list(names)[:_MAX_CLASSES]}


def _sureness(found: Measured, rows: Sequence[Row]) -> list[str]:
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


def _notes(members: Sequence[Configuration]) -> list[str]:
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


_MIXED = {  # column: what its values are, said when a group has several
    "commit": "segbench's commit",
    "dirty": "uncommitted changes of segbench's code",
    "version_keras": "Keras's version",
    "version_tensorflow": "TensorFlow's version",
    "version_jax": "JAX's version",
    "version_torch": "PyTorch's version",
    "driver": "the driver's version",
    "memory_method": "how memory was measured",
}
