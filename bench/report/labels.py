"""What a group and its rows are called: titles, what tells the rows apart, values as text."""

import re
from collections import Counter
from collections.abc import Collection, Sequence

from bench.records.statistics import SAME, Configuration
from bench.records.text import shorten

GROUP = {  # column of the frame: what it is called
    "dataset": "data set",
    "data_fingerprint": "data fingerprint",
    "evaluation_size": "evaluation size",
    "budget": "budget",
    "device": "device",
    "protocol_version": "protocol",
}
_SHOWN = (*GROUP, "arch", "backbone", "weights")  # never repeated among the columns that vary


def group_title(configuration: Configuration) -> str:
    """`pets at 128x128, 10 epochs, on NVIDIA H200`."""
    value = configuration.values
    return f"{value['dataset']} at {_size(value)}, {budget_text(str(value['budget']))}, on {value['device']}"


def _size(value: dict[str, object]) -> str:
    return "native size" if value["evaluation_size"] == "native" else str(value["evaluation_size"])


def budget_text(text: str) -> str:
    """`10 epochs` for `10epochs`; `90s` stays."""
    return re.sub(r"(?<=\d)(k?)(?=[a-z]{2})", r"\1 ", text)


def field_text(name: str, member: Configuration) -> str:
    """One of GROUP for the head of the table."""
    text = value_text(member.values[name])
    return (budget_text(text) if name == "budget" else text) or "unknown"


def varied_and_labels(members: Sequence[Configuration]) -> tuple[list[str], list[str]]:
    """The names of the fields in which rows differ, and what tells each row from all others.

    Labels name what differs among the rows that ended well; where nothing else does, as for an edited plug-in, the
    first digits of the configuration's hash, which then is a field of its own.
    """
    varied, told_apart = _varied(members), _varied([m for m in members if m.seeds])
    labels = [_label(m, told_apart if m.seeds else varied) for m in members]
    often = Counter(labels)
    for place, (label, member) in enumerate(zip(labels, members, strict=True)):
        if often[label] > 1 and member.values["configuration"]:
            labels[place] = f"{label}, configuration {value_text(member.values['configuration'])[:6]}"
            varied = varied if "configuration" in varied else [*varied, "configuration"]
    return varied, _numbered(labels)


def _varied(members: Sequence[Configuration]) -> list[str]:
    return [c for c in SAME if c not in _SHOWN and len({str(m.values[c]) for m in members}) > 1]


def labels_without(members: Sequence[Configuration], fields: Collection[str]) -> list[str]:
    """What tells configurations apart beside the fields in which they may differ."""
    varied = [name for name in _varied(members) if name not in fields]
    return _numbered([_label(member, varied) for member in members])


def _numbered(labels: Sequence[str]) -> list[str]:
    """`a`, `a (2)`, `a (3)`: no label twice."""
    times: Counter[str] = Counter()
    taken: set[str] = set()
    found = []
    for label in labels:
        times[label] += 1
        while (unique := f"{label} ({times[label]})" if times[label] > 1 else label) in taken:
            times[label] += 1
        taken.add(unique)
        found.append(unique)
    return found


def _label(member: Configuration, varied: Sequence[str]) -> str:
    pair = ":".join(filter(None, (value_text(member.values["arch"]), value_text(member.values["backbone"]))))
    extra = [f"{name.replace('_', ' ')} {value_text(member.values[name]) or 'none'}" for name in varied]
    weights = shorten(weights_name(member), 24)
    return ", ".join([pair, *([weights] if weights not in ("none", "") else []), *extra])


def value_text(value: object) -> str:
    """A recorded value, numbers short; empty for NaN."""
    if isinstance(value, float | int):
        return "" if value != value else f"{value:g}"
    return str(value)


def weights_name(member: Configuration) -> str:
    """A weights file by its name alone: its folder is this machine's business."""
    return value_text(member.values["weights"]).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
