"""The leaderboard as plain values, the same for the page, Markdown, CSV and the terminal.

Trials are ranked only within a group: same data (name and fingerprint), evaluation size, budget,
device and protocol.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import pandas as pd

from bench.records.statistics import SAME, Configuration, Spread, pool
from bench.records.text import shorten
from bench.report.columns import EFFICIENCY_LIMIT, ENOUGH_SEEDS, MEASURED, MISSING, PARAMS, TEXTS, Column

GROUP = {  # column of the frame: what it is called
    "dataset": "data set",
    "data_fingerprint": "data fingerprint",
    "image_size": "evaluation size",
    "budget": "budget",
    "device": "device",
    "protocol_version": "protocol",
}
_SHOWN = (*GROUP, "arch", "backbone", "weights")  # never repeated among the columns that vary
_MAX_CLASSES = 30
_DIGITS = ", configuration "


@dataclass(frozen=True)
class Cell:
    """What stands in a table, what it is sorted by, and what is said when it is pointed at."""

    text: str
    sort: float | str | None = None  # None comes last
    title: str = ""
    warn: bool = False


@dataclass(frozen=True, eq=False)
class Row:
    """A configuration with its place in the group; no rank when no seed ended well."""

    rank: int | None
    configuration: Configuration
    label: str  # tells it from the other rows
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
    rows: tuple[Row, ...]
    notes: tuple[str, ...]  # what a reader must know before trusting the ranks

    @property
    def ranked(self) -> tuple[Row, ...]:
        """The rows with a rank, best first."""
        return tuple(row for row in self.rows if row.rank is not None)


def groups(frame: pd.DataFrame) -> list[Group]:
    """The leaderboards of a frame of `load_results`; a group without any ok trial is left out."""
    configurations = sorted(pool(frame), key=_group_key)
    members = [list(some) for _, some in groupby(configurations, key=_group_key)]
    members = [some for some in members if any(c.seeds for c in some)]
    titles = [_title(some[0]) for some in members]
    return [
        _group(some, title if titles.count(title) == 1 else f"{title}, data {some[0].values['data_fingerprint']:.8}")
        for some, title in zip(members, titles, strict=True)
    ]


def _group_key(configuration: Configuration) -> tuple[str, ...]:
    return tuple(str(configuration.values[name]) for name in GROUP)


def _title(configuration: Configuration) -> str:
    value = configuration.values
    return f"{value['dataset']} at {value['image_size']}, {_budget(str(value['budget']))}, on {value['device']}"


def _budget(text: str) -> str:
    """`10 epochs` for `10epochs`; `90s` stays."""
    return re.sub(r"(?<=\d)(k?)(?=[a-z]{2})", r"\1 ", text)


def _group(members: list[Configuration], title: str) -> Group:
    members = sorted(members, key=_best_first)
    varied = _varied(members)
    told_apart = _varied([m for m in members if m.seeds])
    measured = [c for c in MEASURED if not c.optional or any(m.spread(c.name).n for m in members)]
    labels = _labels(members, varied, told_apart)
    if any(_DIGITS in label for label in labels):
        varied = [*varied, "configuration"]
    classes = _classes(members)
    rows: list[Row] = []
    for place, (member, label) in enumerate(zip(members, labels, strict=True), start=1):
        score = member.spread("mean_iou").mean
        tied = rows and rows[-1].configuration.spread("mean_iou").mean == score
        rank = None if math.isnan(score) else rows[-1].rank if tied else place
        per_class = {name: _number_cell(member.spread(name), MEASURED[0]) for name in classes}
        rows.append(Row(rank, member, _unique(label, rows), _cells(rank, member, varied, measured), per_class))
    return Group(
        title=title,
        fields={text: _field(name, members[0]) for name, text in GROUP.items()},
        columns=_columns(varied, measured),
        texts=frozenset({"arch", "backbone", "weights"} | {c for c in varied if isinstance(members[0].values[c], str)}),
        brief=("seeds", *(c.name for c in measured if c.brief)),
        classes=classes,
        rows=tuple(rows),
        notes=tuple(_notes(members)),
    )


def _columns(varied: Sequence[str], measured: Sequence[Column]) -> dict[str, tuple[str, str]]:
    columns = {name: TEXTS[name] for name in ("rank", "arch", "backbone")}
    for name in varied:
        columns[name] = TEXTS.get(name, (name.replace("_", " "), f"Part of the configuration: {name}."))
    for column in (PARAMS, *measured):
        if column is measured[0]:
            columns |= {name: TEXTS[name] for name in ("weights", "seeds")}
        columns[column.name] = (column.heading_with_unit, column.meaning)
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


def _best_first(configuration: Configuration) -> tuple[bool, float, str]:
    score = configuration.spread("mean_iou").mean
    return math.isnan(score), -score if score == score else 0.0, str(configuration.values)


def _label(member: Configuration, varied: Sequence[str]) -> str:
    pair = ":".join(filter(None, (_text(member.values["arch"]), _text(member.values["backbone"]))))
    extra = [f"{name.replace('_', ' ')} {_text(member.values[name]) or 'none'}" for name in varied]
    weights = shorten(_weights(member), 24)
    return ", ".join([pair, *([weights] if weights not in ("none", "") else []), *extra])


def _cells(
    rank: int | None, member: Configuration, varied: Sequence[str], measured: Sequence[Column]
) -> dict[str, Cell]:
    value = member.values
    cells = {
        "rank": Cell(str(rank or MISSING), float(rank) if rank else None),
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


def _notes(members: Sequence[Configuration]) -> list[str]:
    notes = []
    fewest = min(m.seeds for m in members if m.seeds)
    if fewest == 1:
        notes.append("Rows with one seed have no spread (±): their differences may be chance.")
    elif fewest < ENOUGH_SEEDS and len(members) > 1:
        notes.append(
            f"Fewer than {ENOUGH_SEEDS} seeds: take rows whose means lie within their spreads of each other as tied."
        )
    ok = pd.concat([m.ok for m in members])
    for name, text in _MIXED.items():
        found = sorted(set(ok[name].astype(str)) - {""}) if name in ok else []
        if len(found) > 1:
            listed = ", ".join(value[:12] for value in found[:5])  # of a commit as much as tells it apart
            notes.append(f"The trials differ in {text}: {listed}{', ...' if len(found) > 5 else ''}.")
    methods = [m for m in ok["memory_method"].unique() if m]
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
