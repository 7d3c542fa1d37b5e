"""Find the largest batch that trains and the memory of an image, in a process of its own for each batch size.

A process whose allocator has failed or grown tells nothing of another batch size; a fresh one does.
What runs there is children/batch_size.py.
"""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench.core.child_process import KILLED, ChildEnded, ask
from bench.core.errors import BenchError
from bench.core.failures import reason_of
from bench.core.trial_config import TrialConfig
from bench.profiling.timing import seconds_since

PROBE_SECONDS = 600.0  # for one batch size
TARGET = "bench.trials.children.batch_size:peak_mib"
OUT_OF_MEMORY = "out of memory"
HOST_SHARE = 0.9  # of the memory that is free at the start: beyond it the machine would swap, or end other processes


class DoesNotTrain(Exception):
    """An error: a batch size can't be used; its text goes into `largest_batch_limit`."""


def find_batch_size(config: TrialConfig, on_probe: Callable[[int], None]) -> dict[str, Any]:
    """Search up to `config.find_batch_size` and return the results for the record's `memory` (see `search`).

    Args:
        on_probe: called with each batch size before it is tried.

    Returns:
        That of `search`, and its `search_seconds`.
    """
    started = time.perf_counter()

    def probe(size: int) -> float:
        on_probe(size)
        return _probe(replace(config, batch_size=size))

    found = search(probe, config.find_batch_size)
    return {**found, "search_seconds": round(seconds_since(started), 1)}


def search(probe: Callable[[int], float], limit: int) -> dict[str, Any]:
    """Double the batch size until one doesn't train, then bisect to within a sixteenth.

    Args:
        probe: a batch size -> its peak in MiB; DoesNotTrain. Anything else that it throws ends the search, but not
            the trial.

    Returns:
        `largest_batch` (0: not even one image) and `largest_batch_limit` (why no more), or of a search that an error
        ended `search_problem` in their place; `memory_points` ([batch size, MiB], sorted) and, from two points on, the
        line through them: `memory_base_mib` and `memory_per_image_mib`.
    """
    points: dict[int, float] = {}
    try:
        found = _largest(probe, limit, points)
    except Exception as error:  # noqa: BLE001 - the trial measures the rest, and what was found so far stands
        traceback.print_exc()
        found = {"search_problem": reason_of(error)}
    return {**found, **_line(sorted(points.items()))}


def _largest(probe: Callable[[int], float], limit: int, points: dict[int, float]) -> dict[str, Any]:
    """Return the largest batch size and why it is no larger; add the peaks to `points` on the way."""
    largest, too_large, reason = 0, limit + 1, f"limit {limit}"
    while too_large - largest > max(1, largest // 16 if too_large <= limit else 0):
        doubled = min(max(1, 2 * largest), limit)
        size = doubled if too_large > limit else (largest + too_large) // 2
        try:
            points[size] = probe(size)
            largest = size
        except DoesNotTrain as error:
            too_large, reason = size, str(error)
    return {"largest_batch": largest, "largest_batch_limit": reason}


def _line(points: Sequence[tuple[int, float]]) -> dict[str, Any]:
    """Fit the least-squares line memory = a + b x batch."""
    found: dict[str, Any] = {"memory_points": [[size, round(peak, 1)] for size, peak in points]}
    if len(points) < 2:
        return found
    sizes, peaks = zip(*points, strict=True)
    per_image, base = np.polyfit(np.array(sizes, float), np.array(peaks), deg=1)
    return {**found, "memory_base_mib": round(float(base), 1), "memory_per_image_mib": round(float(per_image), 3)}


def _probe(config: TrialConfig) -> float:
    """Train some steps in a new process and return the peak in MiB."""
    allowed = HOST_SHARE * free_memory()
    request = {"config": config.to_dict()}
    try:
        (answer,) = ask(
            *(TARGET, [request], config.backend, PROBE_SECONDS),
            watch=lambda number: OUT_OF_MEMORY if resident(number) > allowed else "",
            echo=True,  # into the trial's log
        )
    except ChildEnded as ended:
        if ended.code in (None, KILLED):  # by us, or by the system: nobody else has the process's number
            raise DoesNotTrain(OUT_OF_MEMORY if ended.code else str(ended)) from ended
        answer = {"error": str(ended)}
    if "peak_mib" in answer:
        return float(answer["peak_mib"])
    if answer["error"] == OUT_OF_MEMORY or config.batch_size > 1:
        raise DoesNotTrain(answer["error"])
    raise BenchError(f"One image doesn't train: {answer['error']}")


def resident(pid: int) -> int:
    """Read the bytes of a process's resident set; 0 after its end."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def free_memory() -> int:
    """Return the free bytes of this machine or container."""
    free = int(psutil.virtual_memory().available)
    group = Path("/sys/fs/cgroup")
    try:
        most, used = ((group / name).read_text().strip() for name in ("memory.max", "memory.current"))
        if most == "max":
            return free
        kept = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return min(free, int(most) - int(used) + int(kept["inactive_file"]))  # file pages make room
    except (OSError, ValueError, KeyError):
        return free
