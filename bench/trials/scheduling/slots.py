"""The slots of a run on this machine: one trial at a time each, with a GPU of its own or a share of the cores."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.core.errors import BenchError
from bench.core.option_kinds import shown
from bench.core.surroundings import usable_cores
from bench.core.trial_config import TrialConfig
from bench.profiling.environment import cpu_device, expected_device
from bench.profiling.gpu import UNKNOWN_GPU, VISIBLE, Gpu, gpus
from bench.profiling.host.share import Share, parts
from bench.trials.local_process import Executor, LocalExecutor

ALL = "all"


@dataclass(frozen=True)
class Slot:
    """A slot: the device that its trials' records name, and what starts them."""

    device: str
    executor: Executor
    environment: Mapping[str, Any] | None = field(default=None, compare=False)  # of its machine; None: this one's


def local_slots(
    jobs: int | None = None, devices: str | None = None, *, configs: Iterable[TrialConfig] = ()
) -> list[Slot]:
    """Make the slots for `--jobs` and `--devices`; without either, one that has the whole machine.

    Args:
        jobs: trials at once, on the first GPUs or, without a GPU, on equal parts of the cores.
        devices: numbers of GPUs, such as `0,2`, or `all`.
        configs: the trials to run, some of which may need several devices each.

    Raises:
        BenchError: the machine has no such GPUs, or fewer GPUs or cores than trials at once or than a trial needs.
    """
    _check_several(jobs, devices, max((config.devices_per_trial for config in configs), default=1))
    if jobs is not None and devices is not None:
        raise BenchError("Give --jobs N (so many trials at once) or --devices 0,1 (one on each of these), not both.")
    if jobs is not None and jobs < 1:
        raise BenchError(f"--jobs is {jobs}. Accepted: how many trials run at once, 1 or more.")
    chosen = _numbered(devices) if devices is not None else _first(jobs) if jobs and jobs > 1 else []
    count = len(chosen) or jobs or 1
    shares = _shares(count)
    if not chosen:
        names = [cpu_device(share) if share else expected_device() for share in shares]
        return [Slot(name, LocalExecutor(share=share)) for name, share in zip(names, shares, strict=True)]
    return [
        Slot(gpu.name, LocalExecutor({VISIBLE: gpu.visible_as}, share))
        for gpu, share in zip(chosen, shares, strict=True)
    ]


def _shares(count: int) -> Sequence[Share | None]:
    """Divide the cores among so many trials; a single one has them all."""
    cores = usable_cores()
    if count > len(cores):
        raise BenchError(
            f"{count} trials at once need a core each, and there are {len(cores)}. Give --jobs or --devices fewer."
        )
    if count == 1:
        return [None]
    return [Share(part, len(cores), count) for part in parts(cores, count)]


def _numbered(devices: str) -> list[Gpu]:
    """Find the GPUs of `--devices`."""
    found = gpus()
    if not found:
        why = f" ({UNKNOWN_GPU})" if expected_device() == UNKNOWN_GPU else ""
        raise BenchError(f"--devices {shown(devices)} names GPUs, and none is found{why}. On a CPU give --jobs N.")
    every = list(map(str, range(len(found))))
    names = every if devices.strip() == ALL else [name.strip() for name in devices.split(",")]
    there = "GPU 0" if len(found) == 1 else f"GPUs 0 to {len(found) - 1}"
    for name in names:
        if name not in every:
            raise BenchError(f"--devices: there is no GPU '{shown(name)}'. Accepted: {there}, or all of them: all.")
    if len(set(names)) < len(names):
        raise BenchError(f"--devices {shown(devices)} names a GPU twice. One trial at a time runs on each.")
    return _of_one_type([found[int(name)] for name in names])


def _first(jobs: int) -> list[Gpu]:
    """Find the first GPUs for so many trials; none on a machine without a GPU."""
    if expected_device() == cpu_device():
        return []
    found = gpus()
    if jobs > len(found):
        raise BenchError(f"--jobs is {jobs}, but NVML shows {len(found)} GPUs, and each trial has one of its own.")
    return _of_one_type(found[:jobs])


def _check_several(jobs: int | None, devices: str | None, per_trial: int) -> None:
    """Raise BenchError for trials over more GPUs than there are, or beside others; GPUs that NVML hides may do."""
    if per_trial == 1:
        return
    if jobs not in (None, 1) or devices is not None:
        raise BenchError(
            f"With --devices-per-trial {per_trial} one trial at a time has the machine's first devices. "
            "Leave out --jobs and --devices; CUDA_VISIBLE_DEVICES chooses the GPUs."
        )
    found = [] if expected_device() == cpu_device() else gpus()
    if found and per_trial > len(found):
        raise BenchError(f"--devices-per-trial is {per_trial}. Accepted here: up to {len(found)}, one for each GPU.")
    _of_one_type(found[:per_trial], choose=VISIBLE)


def _of_one_type(chosen: list[Gpu], choose: str = "--devices") -> list[Gpu]:
    """Raise BenchError for GPUs of several types: which one a trial gets would decide with what it is compared."""
    names = list(dict.fromkeys(gpu.name for gpu in chosen))
    if len(names) > 1:
        raise BenchError(
            f"These GPUs are of several types ({', '.join(names)}), whose results are never compared. Give {choose} "
            "those of one type, and the others in a second run."
        )
    return chosen
