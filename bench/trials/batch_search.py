"""The largest batch that trains, and the memory of an image: a process of its own (batch_child.py) for each batch size.

A process whose allocator has failed or grown tells nothing of another batch size; a fresh one does.
"""

import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench.core.errors import BenchError
from bench.core.failures import reason_of
from bench.core.specs import TrialConfig
from bench.profiling.timing import seconds_since
from bench.results.store import read_json, write_json

PROBE_SECONDS = 600.0  # for one batch size
POLL_SECONDS = 0.05
HOST_SHARE = 0.9  # of the memory that is free at the start: beyond it the machine would swap, or end other processes
REQUEST, ANSWER = "batch.json", "batch-answer.json"


class DoesNotTrain(Exception):
    """Why a batch size can't be used: the text for `largest_batch_limit`."""


def find_batch_size(config: TrialConfig, folder: Path, on_probe: Callable[[int], None]) -> dict[str, Any]:
    """Search up to `config.find_batch_size`; what of the record's `memory` it gives (see `search`).

    Args:
        folder: where requests and answers pass.
        on_probe: called with each batch size before it is tried.

    Returns:
        That of `search`, and its `search_seconds`.
    """
    started = time.perf_counter()

    def probe(size: int) -> float:
        on_probe(size)
        return _probe(replace(config, batch_size=size), folder)

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
    """The batch size that was sought and why it is no larger; the peaks go to `points` on the way."""
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
    """The least-squares line memory = a + b x batch."""
    found: dict[str, Any] = {"memory_points": [[size, round(peak, 1)] for size, peak in points]}
    if len(points) < 2:
        return found
    sizes, peaks = zip(*points, strict=True)
    per_image, base = np.polyfit(np.array(sizes, float), np.array(peaks), deg=1)
    return {**found, "memory_base_mib": round(float(base), 1), "memory_per_image_mib": round(float(per_image), 3)}


def _probe(config: TrialConfig, folder: Path) -> float:
    """Train some steps in a new process; the peak in MiB."""
    (folder / ANSWER).unlink(missing_ok=True)
    write_json(folder / REQUEST, {"config": config.to_dict(), "parent": os.getpid()})
    command = [sys.executable, "-m", "bench.trials.children.batch_size", str(folder)]
    problem = _watch(subprocess.Popen(command, stdin=subprocess.DEVNULL))
    answer = read_json(folder / ANSWER)
    for name in (REQUEST, ANSWER):
        (folder / name).unlink(missing_ok=True)
    if "peak_mib" in answer:
        return float(answer["peak_mib"])
    problem = problem or answer.get("problem", "its process ended without an answer")
    if problem in ("out of memory", f"limit {PROBE_SECONDS:g} s") or config.batch_size > 1:
        raise DoesNotTrain(problem)
    raise BenchError(f"One image doesn't train: {problem}")


def _watch(process: subprocess.Popen[bytes]) -> str:
    """Wait for the end, and call it when time or the host's memory runs out; why it ended, if it gave no answer."""
    allowed, started = HOST_SHARE * free_memory(), time.monotonic()
    while process.poll() is None:
        if resident(process.pid) > allowed:
            return _end(process, "out of memory")
        if time.monotonic() - started > PROBE_SECONDS:
            return _end(process, f"limit {PROBE_SECONDS:g} s")
        time.sleep(POLL_SECONDS)
    if process.returncode == -9:  # by the system: nobody else has the process's number
        return "out of memory"
    return f"its process ended with exit code {process.returncode}" if process.returncode else ""


def _end(process: subprocess.Popen[bytes], reason: str) -> str:
    process.kill()
    process.wait()
    return reason


def resident(pid: int) -> int:
    """Bytes of a process's resident set; 0 once it has ended."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def free_memory() -> int:
    """Bytes that this machine, or the container it is, has left."""
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
