"""Flags: reasons to be careful with a row, each with its evidence."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from bench.core.backends import TABLE
from bench.results.analysis.configurations import Configuration
from bench.results.analysis.cross_validation.over_folds import folds_of
from bench.results.analysis.quiet import BUSY, SHARE
from bench.results.clean_text import shorten
from bench.results.quantities import EFFICIENCY_LIMIT, TARGET_SECONDS

NOISY = 0.1  # the training speed's interquartile range divided by its median
SCALED = 0.9  # of the frequency by design, below which work was measured on a slowed CPU
STOPPED = 0.05  # of the periods of a limit on the time of cores, in which it stopped the trial
WAITING = 0.1  # of the training time, below which a slower training has another reason than waiting
RISING = 0.01  # a rise of the validation mean IoU over the last fifth of the budget: more training would help
HARMLESS = ("", "idle", "application clocks setting", "display clock setting")  # reasons for a GPU's clocks
_CODE = ("commit", "driver", "python")  # compared besides the versions of packages


@dataclass(frozen=True)
class Flag:
    """A word for the table, and the evidence for it."""

    name: str
    evidence: str


LEARNED_NOTHING = "learned nothing"
MEANINGS = {
    "single seed": "another seed may change the score by more than the rows differ",
    "seeds failed": "the mean is taken over the ok seeds only",
    "no interval": "the per-image tables give no interval, so no row is significantly different from this one",
    "input-bound": f"harness efficiency below {EFFICIENCY_LIMIT}: input or harness limited the training speed",
    "noisy": f"the training speed's interquartile range is above {NOISY:.0%} of its median",
    "stalled": "the process was stopped, or the machine slept or was paused; that time is on no clock",
    "slow block": "training took seconds that its steps don't explain, and which are on the budget's clock",
    "throttled": "heat or power held the GPU's clocks down, or a limit on the time of cores stopped the trial",
    "shared device": "other processes used the GPU before or while it was measured",
    "busy machine": f"other processes took over {BUSY:.0%} of the CPU: on a quiet one, speeds marked ~ may be up to "
    "1 / (1 - their share) times as high",
    "frequency scaled": f"the CPU ran below {SCALED:.0%} of the frequency that it is sold with",
    "shared machine": "other trials ran at the same time: speed and memory are those of a shared machine",
    "not compiled": "the steps ran operation by operation, or on a GPU without XLA",
    "not converged": f"validation mean IoU rose by more than {RISING} over the last fifth of the budget",
    "target missed": "some seeds used up their budget before a validation reached the target",
    "random backbone": "its frozen backbone has random weights: the score is that of a head on random features",
    LEARNED_NOTHING: "no better than predicting the most common class everywhere",
    "search failed": "the largest batch that trains could not be found",
    "changed code": "segbench's checkout had uncommitted changes",
    "mixed versions": "its trials ran with different code or packages",
}


def flags(member: Configuration, no_interval: str | None) -> tuple[Flag, ...]:
    """List the flags of a configuration that has a score; `no_interval` says why it has no uncertainty."""
    return tuple(_flags(member, no_interval))


def _flags(member: Configuration, no_interval: str | None) -> Iterator[Flag]:
    if member.seeds == 1 and not folds_of([member]):
        yield Flag("single seed", "1 ok seed")
    if member.failed:
        yield Flag("seeds failed", f"{member.failed} of {len(member.trials)} trials are not ok")
    if no_interval:
        yield Flag("no interval", no_interval)
    efficiency = member.spread("harness_efficiency").mean
    if efficiency < EFFICIENCY_LIMIT and not member.others_share > BUSY:
        yield Flag("input-bound", f"harness efficiency {efficiency:.2f}{_wait(member)}")
    noise = member.spread("train_images_per_second_iqr").mean / (member.spread("train_images_per_second").mean or 1)
    if noise > NOISY:
        yield Flag("noisy", f"interquartile range {noise:.0%} of the median training speed")
    yield from _gap_flags(member)
    yield from _cpu_flags(member)
    yield from _device_flags(member)
    missed = member.seeds - member.spread(TARGET_SECONDS.name).n if member.values["target"] else 0
    if missed:
        yield Flag("target missed", f"{missed} of {member.seeds} seeds did not reach {member.values['target']}")
    rise = member.spread("val_mean_iou_rise").mean
    if rise > RISING and (missed or not member.values["target"]):
        yield Flag("not converged", f"validation mean IoU rose by {rise:.3f} over the last fifth of the budget")
    score, floor = member.spread("mean_iou").mean, member.spread("majority_class_mean_iou").mean
    if score <= floor:
        yield Flag(LEARNED_NOTHING, f"mean IoU {score:.3f}; always predicting the most common class: {floor:.3f}")
    if (kept := member.spread("random_frozen_params").mean) > 0:
        yield Flag("random backbone", f"{kept:,.0f} frozen weights kept their random values (weights none)")
    if problem := next(filter(None, _texts(member.ok, "search_problem")), ""):
        yield Flag("search failed", shorten(problem, 200))
    yield from _code_flags(member)


def _wait(member: Configuration) -> str:
    """Say for how long training waited for its input, and where the rest went if it is known."""
    waits = _numbers(member.ok, "input_wait_share")
    if not waits:
        return ""
    share = sum(waits) / len(waits)
    here = {*_texts(member.ok, "pack")} == {"none"} and not any(_texts(member.ok, "gpu"))
    shared = "; decoding takes the cores that the steps compute on" if here and share < WAITING else ""
    return f"; training waited for images in {share:.0%} of its time{shared}"


def _cpu_flags(member: Configuration) -> Iterator[Flag]:
    ok = member.ok
    busy = [share for share in _numbers(ok, SHARE) if share > BUSY]
    if busy:
        worst = max(_numbers(ok, "cpu_others_share_worst"), default=max(busy))
        left_out = "" if member.others_share > BUSY else "; their speeds are left out beside those of quiet trials"
        said = f"other processes took up to {max(busy):.0%} of the CPU in {len(busy)} of {len(ok)} trials"
        yield Flag("busy machine", f"{said}, {worst:.0%} in the worst second{left_out}")
    known = ok[["cpu_mhz", "cpu_design_mhz"]].dropna() if {"cpu_mhz", "cpu_design_mhz"} <= {*ok} else pd.DataFrame()
    if slow := [(mhz, design) for mhz, design in known.itertuples(index=False) if mhz < SCALED * design]:
        mhz, design = min(slow)
        governor = ", ".join(sorted(set(filter(None, _texts(ok, "cpu_governor")))))
        yield Flag("frequency scaled", f"{mhz:.0f} of {design:.0f} MHz under load, governor {governor or 'unknown'}")
    if (stopped := max(_numbers(ok, "cpu_stopped_share"), default=0.0)) > STOPPED:
        cores = min(_numbers(ok, "cpu_limit_cores"), default=math.nan)
        yield Flag("throttled", f"a limit of {cores:g} cores stopped the trial in {stopped:.0%} of its periods")


def _numbers(ok: pd.DataFrame, name: str) -> list[float]:
    return ok[name].dropna().tolist() if name in ok else []


def _gap_flags(member: Configuration) -> Iterator[Flag]:
    for flag, name, what in (
        ("stalled", "stalled_seconds", "did not run"),
        ("slow block", "slow_block_seconds", "waited within blocks of steps"),
    ):
        seconds = _numbers(member.ok, name)
        if total := sum(seconds):
            number = sum(1 for value in seconds if value)
            yield Flag(flag, f"{number} of {len(member.ok)} trials {what}, for {total:.1f} s in all")


def _device_flags(member: Configuration) -> Iterator[Flag]:
    ok = member.ok
    reasons = Counter(r for text in _texts(ok, "throttle_reasons") for r in text.split(", ") if r not in HARMLESS)
    if reasons:
        listed = ", ".join(f"{reason} in {count} of {len(ok)} trials" for reason, count in reasons.items())
        clock = member.spread("sm_clock_mhz").mean
        yield Flag("throttled", listed + (f"; SM clock {clock:.0f} MHz" if clock == clock else ""))
    if (others := member.spread("other_processes").mean) > 0:
        yield Flag("shared device", f"{others:g} other processes on the GPU (mean over the trials)")
    beside = [float(count) for count, alone in _sharing(ok) if float(count) > 1 and not alone]
    if beside:
        yield Flag("shared machine", f"up to {max(beside):g} trials ran at once")
    elif member.values["target"] and any(float(count) > 1 for count, _ in _sharing(ok)):
        yield Flag("shared machine", "speed was measured alone, but not the seconds to the target")
    backend, on_gpu = str(member.values["backend"]), any(_texts(ok, "gpu"))
    uncompiled = _texts(ok, "jit_compile").count("False")
    graphs = backend in TABLE and TABLE[backend].graphs  # on a CPU, a graph without XLA is normal
    if uncompiled and not (graphs and not on_gpu):
        how = "as a graph without XLA" if graphs else "operation by operation"
        yield Flag("not compiled", f"{uncompiled} of {len(ok)} trials ran {backend} {how}")


def _sharing(ok: pd.DataFrame) -> list[tuple[str, bool]]:
    """List how many trials ran at once, and whether the speed was measured alone, of each trial."""
    alone = [text == "true" for text in _texts(ok, "measure_alone")] or [False] * len(ok)
    return [(count, one) for count, one in zip(_texts(ok, "trials_at_once"), alone, strict=False) if count]


def _texts(ok: pd.DataFrame, name: str) -> list[str]:
    return [str(value) for value in ok[name]] if name in ok else []


def _code_flags(member: Configuration) -> Iterator[Flag]:
    ok = member.ok
    if "dirty" in ok and (changed := [str(value) for value in ok["dirty"]].count("True")):
        yield Flag("changed code", f"{changed} of {len(ok)} trials")
    names = [name for name in ok.columns if name in _CODE or name.startswith("version_")]
    mixed = [name for name in names if len(set(ok[name])) > 1]
    if mixed:
        listed = [f"{name.removeprefix('version_')} {', '.join(sorted(set(map(str, ok[name])))[:3])}" for name in mixed]
        yield Flag("mixed versions", shorten("; ".join(listed), 200))
