"""Collect the flags of a row."""

from collections.abc import Iterator

from bench.report.flags.flag import NOISY, Flag, texts
from bench.report.flags.learning import learning_flags
from bench.report.flags.machine import cpu_flags, device_flags, gap_flags, wait_text
from bench.results.analysis.configurations import Configuration
from bench.results.analysis.cross_validation.over_folds import folds_of
from bench.results.analysis.quiet import BUSY
from bench.results.clean_text import shorten
from bench.results.quantities import EFFICIENCY_LIMIT

_CODE = ("commit", "driver", "python")  # compared besides the versions of packages


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
        yield Flag("input-bound", f"harness efficiency {efficiency:.2f}{wait_text(member)}")
    noise = member.spread("train_images_per_second_iqr").mean / (member.spread("train_images_per_second").mean or 1)
    if noise > NOISY:
        yield Flag("noisy", f"interquartile range {noise:.0%} of the median training speed")
    yield from gap_flags(member)
    yield from cpu_flags(member)
    yield from device_flags(member)
    yield from learning_flags(member)
    if problem := next(filter(None, texts(member.ok, "search_problem")), ""):
        yield Flag("search failed", shorten(problem, 200))
    yield from _code_flags(member)


def _code_flags(member: Configuration) -> Iterator[Flag]:
    ok = member.ok
    if "dirty" in ok and (changed := [str(value) for value in ok["dirty"]].count("True")):
        yield Flag("changed code", f"{changed} of {len(ok)} trials")
    names = [name for name in ok.columns if name in _CODE or name.startswith("version_")]
    mixed = [name for name in names if len(set(ok[name])) > 1]
    if mixed:
        listed = [f"{name.removeprefix('version_')} {', '.join(sorted(set(map(str, ok[name])))[:3])}" for name in mixed]
        yield Flag("mixed versions", shorten("; ".join(listed), 200))
