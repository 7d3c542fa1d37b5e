"""Find the largest batch that can be trained and the memory per image, with a new process for each batch size.

After an allocator has failed or grown, its process says nothing about another batch size. The processes run
children/batch_size.py.
"""

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.core.child_process import KILLED, ChildEnded, ask
from bench.core.errors import BenchError, reason_of
from bench.core.trial_config import TrialConfig
from bench.profiling.clock.timing import seconds_since
from bench.profiling.host.cgroups import free_memory
from bench.profiling.host.memory_kill import MemoryKill, resident
from bench.profiling.process_memory import MIB, host_parts

PROBE_SECONDS = 600.0  # time limit of one batch size
TARGET = "bench.trials.children.batch_size:peak_mib"
OUT_OF_MEMORY = "out of memory"
ABOVE = "more memory than the limit"
HOST_SHARE = 0.9  # of the memory that is free at the start; with more the machine may swap or kill other processes


class Probed(NamedTuple):
    """The peaks of a process that trained one batch size, in MiB."""

    peak: float  # of the allocator on a GPU, else of the resident set
    process: float | None = None  # of the process, which decides whether it fits; None if it isn't known
    method: str = ""  # by which `process` was measured, or the reason why it wasn't


class DoesNotTrain(Exception):
    """A batch size can't be trained; the error's text goes into `largest_batch_limit`."""


class AboveLimit(DoesNotTrain):
    """The process needed more memory than it may, and was ended."""


def find_batch_size(config: TrialConfig, on_probe: Callable[[int], None]) -> dict[str, Any]:
    """Search up to `config.find_batch_size` and return the results for the record's `memory` (see `search`).

    Args:
        on_probe: called with each batch size before it is tried.

    Returns:
        The result of `search`, and `search_seconds`.
    """
    started = time.perf_counter()

    def probe(size: int) -> Probed:
        on_probe(size)
        return try_training(replace(config, batch_size=size))

    found = search(probe, config.find_batch_size)
    return {**found, "search_seconds": round(seconds_since(started), 1)}


def search(probe: Callable[[int], Probed], limit: int) -> dict[str, Any]:
    """Double the batch size until one doesn't train, then bisect to within a sixteenth.

    Args:
        probe: maps a batch size to its peaks, or raises DoesNotTrain. Any other error ends the search, but not the
            trial.

    Returns:
        `largest_batch` (0: not even one image) and `largest_batch_limit` (the reason why it is no larger), or
        `search_problem` instead if an error ended the search; `memory_points` ([batch size, MiB], sorted) and
        `process_points`, the same of the process, with `process_points_method`; and, with two points or more, the line
        through the first: `memory_base_mib` and `memory_per_image_mib`.
    """
    points: dict[int, Probed] = {}
    try:
        found = _largest(probe, limit, points)
    except Exception as error:  # noqa: BLE001 - the trial measures the rest, and the points so far are kept
        traceback.print_exc()
        found = {"search_problem": reason_of(error)}
    in_order = sorted(points.items())
    return {**found, **_line([(size, probed.peak) for size, probed in in_order]), **_of_processes(in_order)}


def _of_processes(points: Sequence[tuple[int, Probed]]) -> dict[str, Any]:
    """Return the points of the processes; only those measured by the last one's method, which may change on the way."""
    if not points:
        return {}
    method = points[-1][1].method
    alike = [[size, p.process] for size, p in points if p.process is not None and p.method == method]
    return {"process_points": alike, "process_points_method": method}


def _largest(probe: Callable[[int], Probed], limit: int, points: dict[int, Probed]) -> dict[str, Any]:
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


def try_training(
    config: TrialConfig,
    *,
    most_mib: float | None = None,
    variables: Mapping[str, str] | None = None,
    echo: bool = True,
) -> Probed:
    """Train some steps in a new process and return its peaks.

    Args:
        most_mib: the memory on the host that the process may need, without the pages of files.
        variables: of the environment, which name the device.
        echo: print what the process printed, into the trial's log.

    Raises:
        DoesNotTrain: the device, or else the machine, has too little memory, or the process has failed otherwise.
        AboveLimit: it needed more than `most_mib`.
        BenchError: a single image doesn't train, or the process was killed.
    """
    allowed, memory_kill = HOST_SHARE * free_memory(), MemoryKill()

    def watch(number: int) -> str:
        memory_kill.sample(number)
        if most_mib and _needed_mib(number) > most_mib:
            return ABOVE
        return OUT_OF_MEMORY if resident(number) > allowed else ""

    request = {"config": config.to_dict()}
    try:
        (answer,) = ask(
            *(TARGET, [request], config.backend, PROBE_SECONDS),
            watch=watch,
            variables=variables,
            echo=echo,
        )
    except ChildEnded as ended:
        if ended.code is None:  # ended by `watch` or after its time
            raise (AboveLimit if str(ended) == ABOVE else DoesNotTrain)(str(ended)) from ended
        if ended.code == KILLED:
            if memory_kill.evidence():
                raise DoesNotTrain(OUT_OF_MEMORY) from ended
            raise BenchError(f"The process that tried a batch of {config.batch_size} was {ended}.") from ended
        answer = {"error": str(ended)}
    if "peak_mib" in answer:
        return Probed(answer["peak_mib"], answer.get("process_peak_mib"), answer.get("process_method", ""))
    if answer["error"] == OUT_OF_MEMORY or config.batch_size > 1:
        raise DoesNotTrain(answer["error"])
    raise BenchError(f"One image doesn't train: {answer['error']}")


def _needed_mib(number: int) -> float:
    """Read what a process needs now, as `process_peak_mib` counts it on a CPU; 0 if the system doesn't tell."""
    parts = host_parts(Path(f"/proc/{number}/status"))
    return (parts.anonymous + parts.shared) / MIB if parts else 0.0
