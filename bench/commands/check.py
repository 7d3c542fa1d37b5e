"""`bench check`: run the regression gate."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from bench.commands.shared import DEFAULT_RESULTS, output, warn
from bench.core.errors import BenchError

if TYPE_CHECKING:
    from bench.core.trial_config import TrialConfig
    from bench.results.gate.judge import Line
    from bench.results.gate.limits import Limit

DEFAULT_BASELINE = DEFAULT_RESULTS / "baseline.json"
DEFAULT_GRID = Path("gate")  # the preset that the stored baseline was made with
_RECORDS, _SPEED, _OUT = "Records", "Speed compared with another revision", "Output"


def check(
    results: Annotated[
        list[Path] | None, typer.Argument(help="Results folders. Default: results.", show_default=False)
    ] = None,
    baseline: Annotated[
        Path, typer.Option(help="The file that the records are compared with.", rich_help_panel=_RECORDS)
    ] = DEFAULT_BASELINE,
    update: Annotated[
        bool, typer.Option("--update", help="Make the records the new baseline.", rich_help_panel=_RECORDS)
    ] = False,
    reason: Annotated[
        str, typer.Option(help="The reason for --update; it is written into the baseline.", rich_help_panel=_RECORDS)
    ] = "",
    limits: Annotated[
        Path | None,
        typer.Option(
            help="A TOML file that sets, for each metric, which direction counts as worse and how much change is "
            "allowed.",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="REV",
            help="Time this code and this git revision in turn. Records are then compared only if RESULTS are given.",
            rich_help_panel=_SPEED,
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path, typer.Option(help="The grid to time, as for bench run; its seeds are ignored.", rich_help_panel=_SPEED)
    ] = DEFAULT_GRID,
    benchmarks: Annotated[
        Path | None,
        typer.Option(
            metavar="BASE",
            help="Compare the timings of `make benchmark` with this JSON file of it, or the pairs of a folder that "
            "`make benchmark-against` wrote.",
            rich_help_panel=_SPEED,
            show_default=False,
        ),
    ] = None,
    arch: Annotated[
        str | None, typer.Option(help="Time only these architectures of the grid.", rich_help_panel=_SPEED)
    ] = None,
    backend: Annotated[
        str | None, typer.Option(help="Backends to use instead of the grid's.", rich_help_panel=_SPEED)
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="How many times the two processes are started.", rich_help_panel=_SPEED)
    ] = 5,
    pairs: Annotated[
        int, typer.Option(min=2, help="Pairs of timings in each pair of processes.", rich_help_panel=_SPEED)
    ] = 9,
    markdown: Annotated[
        Path | None,
        typer.Option(help="Also write the result to this Markdown file.", rich_help_panel=_OUT, show_default=False),
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option(help="Also write the result to this JUnit XML file.", rich_help_panel=_OUT, show_default=False),
    ] = None,
) -> None:
    """Compare records with a baseline, or the speed of this code with that of another revision.

    Exit code 0: no regression; 1: a regression; 3: something can't be compared, and the table says why.

    bench run --config gate --results gate && bench check gate
    """
    from bench.results.gate.benchmark_files import compare_benchmarks
    from bench.results.gate.judge import exit_code
    from bench.results.gate.limits import read_limits

    if update != bool(reason.strip()):
        raise BenchError("Give --update and --reason TEXT together: the reason is written into the baseline.")
    known = read_limits(limits)
    lines: list[Line] = []
    if against:
        configs = _grid(config, arch, {"backend": backend} if backend else {})
        lines += _speed(against, configs, known, processes, pairs)
    if benchmarks:
        judged, few = compare_benchmarks(benchmarks, known)
        lines += judged
        if few:
            warn(f"Too few rounds to judge: {', '.join(few)}.")
    if results or not (against or benchmarks):
        lines += _records(results or [DEFAULT_RESULTS], baseline, known, reason.strip())
    _show(lines, markdown, junit)
    raise typer.Exit(0 if update else exit_code(lines))


def _records(results: Sequence[Path], file: Path, limits: "Sequence[Limit]", reason: str) -> "list[Line]":
    """Compare the records with the baseline, then replace it if a reason is given."""
    from bench.profiling.environment import host_environment
    from bench.results.gate import baseline, judge

    subjects, problems = baseline.from_results(results)
    for problem in problems:
        warn(problem)
    lines = []
    if file.exists() or not reason:
        lines = judge.compare(baseline.read_baseline(file), subjects, limits)
    if reason:
        time, commit = datetime.now(UTC).isoformat(timespec="seconds"), host_environment(gpu=False)["commit"] or ""
        baseline.write_baseline(file, subjects, {"time": time, "commit": commit, "reason": reason})
        warn(f"New baseline: {file}, {file.stat().st_size / 1024:.0f} KiB, {len(subjects)} configurations.")
    return lines


def _speed(
    revision: str, configs: "Sequence[TrialConfig]", limits: "Sequence[Limit]", processes: int, pairs: int
) -> "list[Line]":
    from bench.results.gate.judge import UNJUDGED, Line, level_of
    from bench.results.gate.limits import SPEEDS
    from bench.results.gate.timings import judge_speed
    from bench.trials.children.revisions import Effort, time_against

    judged = [limit for limit in limits if limit.metric in SPEEDS]
    with Console(stderr=True).status("timing") as status:
        found = time_against(revision, configs, Effort(processes, pairs), status.update)
    level, lines = level_of(len(found) * len(judged)), []
    for config, timings in found:
        if isinstance(timings, str):
            lines.append(Line(config.pair, "speed", UNJUDGED, reason=timings))
        else:
            label = f"{config.pair}, {config.backend}"
            lines += [judge_speed(label, limit, timings[limit.metric], level=level) for limit in judged]
    return lines


def _grid(file: Path, only: str | None, options: dict[str, Any]) -> "list[TrialConfig]":
    """Return the grid's configurations, each once because seeds don't change speed.

    Args:
        file: a TOML file, or the name of a preset.
        only: the names of architectures, separated by commas; None: all.
    """
    from dataclasses import replace

    from bench.config import given, grid, presets

    trials = grid.configs(options, given.read_toml(presets.find(file)))
    configs = [replace(config, seed=0, repeat=0) for config in trials]
    names = [name.strip() for name in (only or "").split(",") if name.strip()]
    if missing := [name for name in names if all(name not in (config.arch, config.pair) for config in configs)]:
        known = ", ".join(dict.fromkeys(config.arch for config in configs))
        raise BenchError(f"The grid '{file}' has no architecture '{missing[0]}'. It has: {known}.")
    kept = [config for config in configs if not names or config.arch in names or config.pair in names]
    return list({repr(config): config for config in kept}.values())


def _show(lines: "Sequence[Line]", markdown: Path | None, junit: Path | None) -> None:
    from bench.report.text import gate_report

    if lines:
        console = output()
        console.print(gate_report.terminal_table(lines))
        console.print(Text(gate_report.summary(lines)))
    if markdown:
        markdown.write_text(gate_report.markdown(lines), encoding="utf-8")
    if junit:
        junit.write_bytes(gate_report.junit(lines))
