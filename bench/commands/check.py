"""`bench check`: run the regression gate."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from bench.commands.shared import DEFAULT_RESULTS, output, warn
from bench.core.errors import BenchError

if TYPE_CHECKING:
    from bench.results.gate.verdict import Line

DEFAULT_BASELINE = DEFAULT_RESULTS / "baseline.json"
DEFAULT_GRID = Path("gate")  # the preset that the stored baseline was made with
_RECORDS, _SPEED, _OUT = "Records", "Speed compared with another revision", "Output"


def check(
    context: typer.Context,
    results: Annotated[
        list[Path] | None, typer.Argument(help="Results folders. Default: results.", show_default=False)
    ] = None,
    baseline: Annotated[
        Path, typer.Option(help="The file that the records are compared with.", rich_help_panel=_RECORDS)
    ] = DEFAULT_BASELINE,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Make the records the new baseline of their hardware class; the other classes stay.",
            rich_help_panel=_RECORDS,
        ),
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
            "`make benchmark-against` wrote. In a single file a busy machine looks like slow code.",
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
    """Compare records with a baseline, and the speed of this code with that of another revision, in one verdict.

    Exit code 0: no regression; 1: a regression; 3: something can't be compared, and the table says why. All that one
    command judges shares one error rate: equal code raises a false alarm in at most 1 of 100 comparisons.

    bench run --config gate --results gate && bench check gate --against origin/main
    """
    from bench.commands.check_parts import judge_records, judge_speeds, timed_grid
    from bench.results.gate.benchmark_files import compare_benchmarks
    from bench.results.gate.limits import read_limits
    from bench.results.gate.verdict import alarms_of_each, exit_code
    from bench.trials.children.revisions import Effort

    if update != bool(reason.strip()):
        raise BenchError("Give --update and --reason TEXT together: the reason is written into the baseline.")
    known = read_limits(limits)
    judges_records = bool(results) or not (against or benchmarks)
    alarms = alarms_of_each(sum(map(bool, (judges_records, against, benchmarks))))
    lines: list[Line] = []
    configs = timed_grid(config, arch, {"backend": backend} if backend else {}) if against else []
    if judges_records:
        lines += judge_records(results or [DEFAULT_RESULTS], baseline, known, alarms, reason.strip())
    if benchmarks:
        judged, few = compare_benchmarks(benchmarks, known, alarms)
        lines += judged
        if few:
            warn(f"Too few rounds to judge: {', '.join(few)}.")
    if against:  # last, because it takes minutes
        lines += judge_speeds(against, configs, known, alarms, Effort(processes, pairs))
    _show(lines, junit)
    if markdown:
        markdown.write_text(_comment(context, lines, baseline if judges_records else None, against), encoding="utf-8")
    raise typer.Exit(0 if update else exit_code(lines))


def _show(lines: "Sequence[Line]", junit: Path | None) -> None:
    from bench.report.text import gate_report

    if lines:
        console = output()
        console.print(Text(gate_report.verdict(lines)))
        if noise := gate_report.noise(lines):
            console.print(Text(noise))
        console.print(gate_report.terminal_table(lines))
    if junit:
        junit.write_bytes(gate_report.junit(lines))


def _comment(context: typer.Context, lines: "Sequence[Line]", baseline: Path | None, against: str | None) -> str:
    from bench.commands.check_facts import command, facts
    from bench.report.text.gate_comment import comment

    return comment(lines, facts(baseline, against), command(context))
