"""Flag what the machine did to a row's speed: other processes, clocks, gaps, waiting."""

import math
from collections import Counter
from collections.abc import Iterator

import pandas as pd

from bench.core.backends import TABLE
from bench.report.flags.flag import SCALED, STOPPED, WAITING, Flag, numbers, texts
from bench.results.analysis.configurations import Configuration
from bench.results.analysis.quiet import BUSY, SHARE

HARMLESS = ("", "idle", "application clocks setting", "display clock setting")  # reasons for a GPU's clocks


def wait_text(member: Configuration) -> str:
    """Say for how long training waited for its input, and where the rest went if it is known."""
    waits = numbers(member.ok, "input_wait_share")
    if not waits:
        return ""
    share = sum(waits) / len(waits)
    here = {*texts(member.ok, "pack")} == {"none"} and not any(texts(member.ok, "gpu"))
    shared = "; decoding takes the cores that the steps compute on" if here and share < WAITING else ""
    return f"; training waited for images in {share:.0%} of its time{shared}"


def cpu_flags(member: Configuration) -> Iterator[Flag]:
    """Flag other processes, a low frequency and limits of the CPU."""
    ok = member.ok
    busy = [share for share in numbers(ok, SHARE) if share > BUSY]
    if busy:
        worst = max(numbers(ok, "cpu_others_share_worst"), default=max(busy))
        left_out = "" if member.others_share > BUSY else "; their speeds are left out beside those of quiet trials"
        said = f"other processes took up to {max(busy):.0%} of the CPU in {len(busy)} of {len(ok)} trials"
        yield Flag("busy machine", f"{said}, {worst:.0%} in the worst second{left_out}")
    known = ok[["cpu_mhz", "cpu_design_mhz"]].dropna() if {"cpu_mhz", "cpu_design_mhz"} <= {*ok} else pd.DataFrame()
    if slow := [(mhz, design) for mhz, design in known.itertuples(index=False) if mhz < SCALED * design]:
        mhz, design = min(slow)
        governor = ", ".join(sorted(set(filter(None, texts(ok, "cpu_governor")))))
        yield Flag("frequency scaled", f"{mhz:.0f} of {design:.0f} MHz under load, governor {governor or 'unknown'}")
    if (stopped := max(numbers(ok, "cpu_stopped_share"), default=0.0)) > STOPPED:
        cores = min(numbers(ok, "cpu_limit_cores"), default=math.nan)
        yield Flag("throttled", f"a limit of {cores:g} cores stopped the trial in {stopped:.0%} of its periods")


def gap_flags(member: Configuration) -> Iterator[Flag]:
    """Flag time in which nothing ran."""
    for flag, name, what in (
        ("stalled", "stalled_seconds", "did not run"),
        ("slow block", "slow_block_seconds", "waited within blocks of steps"),
    ):
        seconds = numbers(member.ok, name)
        if total := sum(seconds):
            number = sum(1 for value in seconds if value)
            yield Flag(flag, f"{number} of {len(member.ok)} trials {what}, for {total:.1f} s in all")


def device_flags(member: Configuration) -> Iterator[Flag]:
    """Flag a GPU that was slowed down or shared, other trials beside it, and steps that are not compiled."""
    ok = member.ok
    reasons = Counter(r for text in texts(ok, "throttle_reasons") for r in text.split(", ") if r not in HARMLESS)
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
    backend, on_gpu = str(member.values["backend"]), any(texts(ok, "gpu"))
    uncompiled = texts(ok, "jit_compile").count("False")
    graphs = backend in TABLE and TABLE[backend].graphs  # on a CPU, a graph without XLA is normal
    if uncompiled and not (graphs and not on_gpu):
        how = "as a graph without XLA" if graphs else "operation by operation"
        yield Flag("not compiled", f"{uncompiled} of {len(ok)} trials ran {backend} {how}")


def _sharing(ok: pd.DataFrame) -> list[tuple[str, bool]]:
    """List how many trials ran at once, and whether the speed was measured alone, of each trial."""
    alone = [text == "true" for text in texts(ok, "measure_alone")] or [False] * len(ok)
    return [(count, one) for count, one in zip(texts(ok, "trials_at_once"), alone, strict=False) if count]
