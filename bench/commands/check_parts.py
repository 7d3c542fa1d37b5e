"""The parts of `bench check`: quality from records, and speed from timings of two revisions."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.commands.shared import warn
from bench.config import given, grid, presets
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.profiling.environment import host_environment
from bench.results.gate import baseline, judge, measured
from bench.results.gate.limits import SPEEDS, Limit
from bench.results.gate.timings import judge_speed
from bench.results.gate.verdict import UNJUDGED, Line, level_of
from bench.trials.children import revisions


def judge_records(
    results: Sequence[Path], file: Path, limits: Sequence[Limit], alarms: float, reason: str
) -> list[Line]:
    """Compare the records with the baseline, then replace that of their hardware classes if a reason is given."""
    subjects, problems = measured.from_results(results)
    for problem in problems:
        warn(problem)
    lines = []
    if file.exists() or not reason:
        lines = judge.compare(baseline.read_baseline(file), subjects, limits, alarms)
    if reason:
        _store(file, subjects, reason)
    return lines


def _store(file: Path, subjects: Sequence[measured.Subject], reason: str) -> None:
    time, commit = datetime.now(UTC).isoformat(timespec="seconds"), host_environment(gpu=False)["commit"] or ""
    change = {"time": time, "commit": commit, "reason": reason}
    written, kept = baseline.write_baseline(file, subjects, change)
    size = f"{file.stat().st_size / 1024:.0f} KiB"
    warn(f"New baseline of {'; '.join(map(str, written))}: {file}, {size}.")
    if kept:
        warn(f"Kept as it was: {'; '.join(map(str, kept))}.")


def judge_speeds(
    revision: str, configs: Sequence[TrialConfig], limits: Sequence[Limit], alarms: float, effort: revisions.Effort
) -> list[Line]:
    """Time this code and the other revision in turn, and judge the ratios."""
    judged = [limit for limit in limits if limit.metric in SPEEDS]
    with Console(stderr=True).status("timing") as status:
        found = revisions.time_against(revision, configs, effort, status.update)
    level, lines = level_of(len(found) * len(judged), alarms), list[Line]()
    for config, timings in found:
        if isinstance(timings, str):
            lines.append(Line(config.pair, "speed", UNJUDGED, reason=timings))
        else:
            label = f"{config.pair}, {config.backend}"
            lines += [judge_speed(label, limit, timings[limit.metric], level=level) for limit in judged]
    return lines


def timed_grid(file: Path, only: str | None, options: dict[str, Any]) -> list[TrialConfig]:
    """Return the grid's configurations, each once because seeds don't change speed.

    Args:
        file: a TOML file, or the name of a preset.
        only: the names of architectures, separated by commas; None: all.
    """
    trials = grid.configs(options, given.read_toml(presets.find(file)))
    configs = [replace(config, seed=0, repeat=0) for config in trials]
    names = [name.strip() for name in (only or "").split(",") if name.strip()]
    if missing := [name for name in names if all(name not in (config.arch, config.pair) for config in configs)]:
        known = ", ".join(dict.fromkeys(config.arch for config in configs))
        raise BenchError(f"The grid '{file}' has no architecture '{missing[0]}'. It has: {known}.")
    kept = [config for config in configs if not names or config.arch in names or config.pair in names]
    return list({repr(config): config for config in kept}.values())
