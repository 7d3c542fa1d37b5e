"""Fit the memory of trials that differ in image and batch size only (`--find-batch-size`), to tell what fits a card."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.report.labels import labels_without
from bench.report.text.setting_texts import value_text
from bench.results.analysis.configurations import SAME, Configuration, pool
from bench.results.analysis.memory_fit import MemoryFit, NotFitted, Point, fit_memory
from bench.results.clean_text import clean
from bench.results.loading import StoredTrial

OF_SIZE = ("image_size", "evaluation_size", "batch_size")  # the columns in which the trials of a fit differ
_SAME = tuple(name for name in SAME if name not in OF_SIZE)
PROCESS, ALLOCATOR = "process_points", "memory_points"
Size = tuple[int, int]


@dataclass(frozen=True)
class Fitted:
    """A model whose memory was measured at several batch sizes, perhaps at several image sizes."""

    label: str  # unique on its device
    sizes: tuple[Size, ...]  # height and width, the smallest first
    batch: int  # that of its trials
    method: str  # how the points were measured
    of_process: bool  # False: the points are the allocator's peaks
    fit: MemoryFit | None
    problem: str = ""  # the reason why there is no fit


def memory_fits(frame: pd.DataFrame, trials: Mapping[str, StoredTrial]) -> dict[str, list[Fitted]]:
    """Fit the memory of every model in a frame of `load_results`, in its order, by device.

    Args:
        trials: by folder; their records have the points.
    """
    speeds = frame[(frame["measure"] == "speed") & (frame["status"] == "ok")]
    groups: dict[str, dict[Size, Configuration]] = {}
    for member in pool(speeds):
        size = _size(member)
        if size and _memory(member, trials).get(ALLOCATOR):
            same = repr([value_text(member.values[name]) for name in _SAME])
            known = groups.setdefault(same, {})
            if size not in known or _finished(known[size]) <= _finished(member):  # such as a plug-in that was edited
                known[size] = member
    of_device: dict[str, list[dict[Size, Configuration]]] = {}
    for sizes in groups.values():
        device = value_text(next(iter(sizes.values())).values["device"])
        of_device.setdefault(device, []).append(dict(sorted(sizes.items(), key=_pixels)))
    return {device: _labelled(some, trials) for device, some in of_device.items()}


def _labelled(groups: Sequence[dict[Size, Configuration]], trials: Mapping[str, StoredTrial]) -> list[Fitted]:
    labels = labels_without([next(iter(sizes.values())) for sizes in groups], OF_SIZE)
    return [_fitted(label, sizes, trials) for label, sizes in zip(labels, groups, strict=True)]


def _fitted(label: str, members: dict[Size, Configuration], trials: Mapping[str, StoredTrial]) -> Fitted:
    memories = {size: _memory(member, trials) for size, member in members.items()}
    methods = {clean(memory.get(f"{PROCESS}_method")) for memory in memories.values()}
    of_process = len(methods) == 1 and all(_points(memory, PROCESS) for memory in memories.values())
    name = PROCESS if of_process else ALLOCATOR
    method = methods.pop() if of_process else clean(next(iter(memories.values())).get("method"))
    points = [Point(n, h * w, mib) for (h, w), memory in memories.items() for n, mib in _points(memory, name)]
    values = next(iter(members.values())).values
    fit, problem = None, ""
    try:
        fit = fit_memory(points)
    except NotFitted as error:
        problem = str(error)
    batch = int(float(value_text(values["batch_size"]) or 1))
    return Fitted(label, tuple(members), batch, method, of_process, fit, problem)


def _memory(member: Configuration, trials: Mapping[str, StoredTrial]) -> Mapping[str, Any]:
    """Return the `memory` of the record that has the points; {} if none of the configuration's trials has."""
    for folder in member.ok["folder"]:
        memory = trials[folder].record.memory
        if isinstance(memory, Mapping) and memory.get(ALLOCATOR):
            return memory
    return {}


def _points(memory: Mapping[str, Any], name: str) -> list[tuple[int, float]]:
    """Read points from a record, which somebody may have edited: what is no pair of numbers above 0 is left out."""
    listed = memory.get(name)
    pairs = [pair for pair in listed if isinstance(pair, list) and len(pair) == 2] if isinstance(listed, list) else []
    return [(int(n), float(mib)) for n, mib in pairs if _is_sensible(n) and _is_sensible(mib) and n >= 1]


def _is_sensible(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e12 and math.isfinite(value)


def _size(member: Configuration) -> Size | None:
    sides = value_text(member.values["image_size"]).split("x")
    return (int(sides[0]), int(sides[1])) if len(sides) == 2 and all(map(str.isdecimal, sides)) else None


def _pixels(item: tuple[Size, object]) -> int:
    return item[0][0] * item[0][1]


def _finished(member: Configuration) -> str:
    return max(member.ok["finished"])
