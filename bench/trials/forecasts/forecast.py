"""Foretell what a grid takes, from probes and earlier records of this device: time, memory, disk, what doesn't fit."""

import heapq
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.core.specs import TrialRecord
from bench.core.trial_config import TrialConfig
from bench.profiling.environment import expected_device, several
from bench.profiling.process_memory import MIB
from bench.results.loading import StoredTrial
from bench.results.trial_files import WEIGHTS
from bench.trials.estimate import Estimate, estimates, is_alike, other_seconds
from bench.trials.forecasts.evaluation_cost import Sizes
from bench.trials.forecasts.probes import TELLING

ONCE = 0.25  # share by which a time that was measured once may be off, either way
FITS_NOT = "out_of_memory"
PROBLEMS = (FITS_NOT, "failed", "skipped")  # statuses that another trial of the same model would have, too


@dataclass(frozen=True)
class Range:
    """Seconds: the expected number, and the least and the most that the measurements suggest."""

    low: float
    middle: float
    high: float

    def __add__(self, other: "Range") -> "Range":
        """Add two times; their errors are taken to go the same way."""
        return Range(self.low + other.low, self.middle + other.middle, self.high + other.high)


NO_TIME = Range(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Forecast:
    """The cost of one configuration of a grid."""

    config: TrialConfig  # of its first trial that is left
    trials: int  # that are left to run
    done: int
    trial: Range | None  # of one trial; None: not known
    memory_mib: float | None  # to fit, of the whole process; None: not known
    files_mib: float | None  # of one trial's files, without weights
    weights_mib: float | None  # of one trial's weights, if it keeps them
    problem: str  # the reason why it can't run here; empty if it can, or if that isn't known
    fits: bool = True  # False: the problem is a lack of memory

    @property
    def runs(self) -> bool:
        """True if there is something left to run, and nothing is known that prevents it."""
        return self.trials > 0 and not self.problem


def forecasts(
    configs: Sequence[TrialConfig],
    trials: Sequence[StoredTrial],
    probes: Sequence[StoredTrial],
    sizes: Sizes | None = None,
) -> list[Forecast]:
    """Make a forecast for each configuration of a grid, the one with the shortest trial first.

    Args:
        trials: those of the results folder; they tell what is done, and their times count too.
        probes: those of the cache.
        sizes: those of data sets that are open.
    """
    groups: dict[str, list[Estimate]] = {}
    for estimate in estimates(configs, trials, sizes=sizes):
        groups.setdefault(estimate.config.common, []).append(estimate)
    found = [_forecast(some, [*trials, *probes]) for some in groups.values()]
    return sorted(found, key=lambda one: one.trial.middle if one.trial else float("inf"))


def _forecast(group: Sequence[Estimate], trials: Sequence[StoredTrial]) -> Forecast:
    left = [estimate for estimate in group if not estimate.done]
    config = (left or group)[0].config
    wanted, device = config.to_dict(), several(expected_device(), config.devices_per_trial)
    alike = [trial for trial in trials if trial.record.device == device and is_alike(trial.record, wanted)]
    ok = [trial for trial in alike if trial.record.status == "ok"]
    latest = max(alike, key=lambda trial: trial.record.finished, default=None)
    failed = latest.record if latest and not ok and latest.record.status in PROBLEMS else None
    records = [trial.record for trial in ok]
    memory = [mib for record in records if (mib := record.memory.get("process_peak_mib"))]
    sizes = [mib for record in records if (mib := record.model.get("file_mib"))]
    return Forecast(
        config,
        trials=len(left),
        done=len(group) - len(left),
        trial=_time(config, records),
        memory_mib=max(memory, default=None),
        files_mib=median(_files_mib(trial.folder, trial.record) for trial in ok) if ok else None,
        weights_mib=max(sizes, default=None) if config.keep_weights != "none" else 0.0,
        problem=f"{failed.status.replace('_', ' ')}: {failed.reason}" if failed else "",
        fits=not (failed and failed.status == FITS_NOT),
    )


def _time(config: TrialConfig, records: Sequence[TrialRecord]) -> Range | None:
    """Add training and all else, each over the records of alike trials."""
    wanted = config.to_dict()
    whole = [record for record in records if is_alike(record, wanted, TELLING)]
    training, rest = _training(config, records), [other_seconds(record) for record in (whole or records)]
    if not training or not rest:
        return None
    return training + _spread(rest)


def _training(config: TrialConfig, records: Sequence[TrialRecord]) -> Range | None:
    """Return the seconds of the budget: its own, or its steps by the records' rates."""
    if config.budget.unit == "seconds":
        return Range(*[config.budget.amount] * 3)
    rates = [rate for record in records for rate in _seconds_per(config.budget.unit, record)]
    if not rates:
        return None
    amount = config.budget.amount
    return Range(amount * min(rates), amount * median(rates), amount * max(rates))


def _seconds_per(unit: str, record: TrialRecord) -> list[float]:
    """Return the seconds per step, image or epoch: of the whole training, and by the median of its blocks."""
    seconds, amount = record.training.get("train_seconds"), record.training.get(unit)
    if not seconds or not amount:
        return []
    images, rate = record.training.get("images"), record.speed.get("train_images_per_second")
    return [seconds / amount, *([images / rate / amount] if images and rate else [])]


def _spread(seconds: Sequence[float]) -> Range:
    middle = median(seconds)
    if len(seconds) == 1:
        return Range((1 - ONCE) * middle, middle, (1 + ONCE) * middle)
    return Range(min(seconds), middle, max(seconds))


def _files_mib(folder: Path, record: TrialRecord) -> float:
    """Measure a trial's files without its weights."""
    files = [entry for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)] if folder.is_dir() else []
    size = sum(entry.stat().st_size for entry in files if entry.name != WEIGHTS)
    return size / MIB


def in_order(found: Sequence[Forecast]) -> list[Forecast]:
    """Return a configuration for each trial that is left: one trial of each first, then the second of each, ..."""
    most = max((one.trials for one in found if one.runs), default=0)
    return [one for number in range(most) for one in found if one.runs and one.trials > number]


def ends(
    found: Sequence[Forecast], at_once: int = 1, of: Callable[[Range], float] = lambda time: time.middle
) -> list[float]:
    """Return the seconds after which the trials of `in_order` have ended, the first first; unknown ones take none.

    Args:
        at_once: the number of trials that run at the same time, each as fast as alone.
        of: which of its times a trial takes.
    """
    free, ended = [0.0] * at_once, []
    for one in in_order(found):
        ended.append(heapq.heappop(free) + (of(one.trial) if one.trial else 0.0))
        heapq.heappush(free, ended[-1])
    return sorted(ended)


def total(found: Sequence[Forecast], at_once: int = 1, *, on_shares: bool = False) -> Range:
    """Return the time until all trials that are left and whose time is known have ended.

    Args:
        on_shares: whether trials share the cores. Their times were measured with all cores: if a share slows a trial
            down by as much as it is smaller, it takes as long as one after the other.
    """
    times = (lambda time: time.low, lambda time: time.middle, lambda time: time.high)
    low, middle, high = (max(ends(found, at_once, of), default=0.0) for of in times)
    return Range(low, middle, max(high, total(found).high) if on_shares else high)
