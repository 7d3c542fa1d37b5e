"""Write a report of results folders: index.html, LEADERBOARD.md, leaderboard.csv and plots/."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from bench.core.errors import BenchError
from bench.core.untrusted.plain_files import check_inside
from bench.report.findings.across import Across, all_across
from bench.report.findings.boards.all_boards import boards_by_topic
from bench.report.findings.boards.board import Board
from bench.report.findings.confusion_maps import MapRoom
from bench.report.findings.corruption_board import robustness_csv
from bench.report.findings.deployment_tables import DeploymentBoard, deployment_boards
from bench.report.findings.equal_cost_board import equal_costs
from bench.report.findings.input_ceiling import ceilings_markdown
from bench.report.findings.other_models_board import other_models_boards
from bench.report.findings.pair_board import PairRoom
from bench.report.findings.series import Series, all_series
from bench.report.gallery import WorstImages
from bench.report.leaderboard import groups
from bench.report.output_files import TEXTS, check_own, write_whole
from bench.report.page import Contents, page
from bench.report.plots.across_plots import across_plot
from bench.report.plots.deployment_plot import deployment_plot
from bench.report.plots.figures import Looks, Plot, shared_looks
from bench.report.plots.latency import Latencies, latencies
from bench.report.plots.report_plots import remove_old_plots
from bench.report.plots.series_plots import series_plot
from bench.report.sections import Section, file_part, section_of
from bench.report.speed_tables import RANDOM_PIXELS, SpeedBoard, speed_boards, speed_csv
from bench.report.table_model import Group
from bench.report.text.exports import exports, json_text
from bench.report.text.failed_trials import empty_budgets, failures_markdown
from bench.report.text.fit_tables import FitBoard, fit_boards
from bench.report.text.questions import Question, questions
from bench.report.text.tables import IN_PART, NOT_READ, across_markdown, markdown, markdown_cell, series_markdown
from bench.results.analysis.same_trial import drop_duplicates
from bench.results.analysis.uncertainty import metric_named
from bench.results.clean_text import clean
from bench.results.dataframe import trials_frame, without_tuning
from bench.results.deployed.other_models import read_others
from bench.results.loading import Loaded, StoredTrial, load
from bench.results.marker import check_writable
from bench.results.over_commits.point_file import points_beside
from bench.results.over_commits.timeline import Timeline, commit_order, timelines
from bench.results.quantities import MEAN_IOU
from bench.results.trial_files import MARKER, PROGRESS, notes_of, read_json

REPORT, PLOTS = "report", "plots"  # folders, in a results folder and in the report


@dataclass(frozen=True)
class Report:
    """A written report: its files, and what a terminal shows of it."""

    files: list[Path]  # index.html first
    groups: list[Group]
    failures: pd.DataFrame  # the trials that are not ok
    empty: list[str]  # a line for each budget in which no trial is ok
    problems: list[str]  # a line for each folder or record that is not in the tables
    parts: list[str]  # a line for each file that a trial of the tables is read without
    speeds: list[SpeedBoard]
    fits: list[FitBoard]
    series: list[Series]
    across: list[Across]
    boards: list[Sequence[Board]]  # by topic
    questions: list[Question]
    state: str  # how many trials are done and how many run


def write_report(
    paths: Sequence[Path],
    out: Path | None = None,
    *,
    public: bool = False,
    rank_by: str = MEAN_IOU.name,
    reload_seconds: int = 0,
) -> Report:
    """Write the report of some results folders to the folder `out`, by default `report` in the first usable one.

    Files of the same names are replaced, and the plots of an earlier report are removed. With `public`, no image that
    may not be published gets into the folder. `rank_by` is the column to rank by. Single folders and records that
    can't be read are named in the report. With `reload_seconds` the page loads itself anew so often.

    Raises:
        BenchError: no path is a results folder, or `out` can't be written.
    """
    out = _writable(out) if out else None  # before all is read
    loaded = load(paths)
    out = out or _writable(_first_usable(paths) / REPORT)
    if public and (out / MARKER).is_file():
        raise BenchError(f"'{out}' has the images of its trials. Give the public page another folder with --out.")
    trials, left_out = drop_duplicates(without_tuning(loaded.trials))
    problems = [*(clean(problem) for problem in loaded.problems), *left_out]
    parts = [clean(part) for part in loaded.parts]
    frame = trials_frame(trials)
    frame.loc[frame["measure"] == "speed", "dataset"] = RANDOM_PIXELS
    failures = frame[frame["status"] != "ok"].sort_values(["dataset", "arch", "backbone", "seed"])
    empty = empty_budgets(frame)
    speeds = speed_boards(frame)
    by_folder = {str(trial.folder): trial for trial in trials}
    fits = fit_boards(frame, by_folder)
    boards = groups(frame, metric_named(rank_by, frame))
    folder = out / PLOTS
    lines = all_series(boards)
    looks = shared_looks(_labels(boards, lines))
    sections = _sections(boards, looks, by_folder, folder, parts, public=public)
    across = [
        (one, across_plot(one, folder, f"{n}-{len(one.data_sets)}-data-sets"))
        for n, one in enumerate(all_across(boards), start=1)
    ]
    series = [
        (one, series_plot(one, look, folder, f"{n}-{file_part(one.fields['data set'])}"))
        for n, (one, look) in enumerate(zip(lines, looks[len(boards) :], strict=True), start=1)
    ]
    calls = _speed_latencies(speeds, folder, parts)
    deployed = _deployed(trials, folder)
    others, unread = read_others(paths)
    problems += map(clean, unread)
    other_models = other_models_boards(others, boards, parts)
    problems += _unfinished(loaded)
    equal = equal_costs(boards)
    small = boards_by_topic(boards, by_folder, lines, _over_commits(paths, problems))
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    commands = _commands(paths, out, public, rank_by)
    ranked = [one for one, _ in across]
    robust = [section.robustness for section in sections if section.robustness]
    asked = questions(paths, boards)
    notes = notes_of(paths)
    state = f"{len(loaded.trials):,} trials done, {len(loaded.running):,} running"
    further = [
        *(line for note in notes for line in (markdown_cell(note), "")),
        *(line for one in asked for line in one.markdown()),
        *(line for board in equal for line in board.markdown()),
        *(line for some in small for board in some for line in board.markdown()),
        *(line for board in robust for line in board.markdown()),
        *(line for s in sections if s.objects for line in s.objects.markdown(s.group.title)),
        *ceilings_markdown({section.group.title: section.ceiling for section in sections}),
        *across_markdown(ranked),
        *series_markdown(lines),
        *(line for board in speeds for line in board.markdown()),
        *(line for board in fits for line in board.markdown()),
        *(line for board, _ in deployed for line in board.markdown()),
        *(line for board in other_models for line in board.markdown()),
    ]
    contents = Contents(
        asked,
        sections,
        equal,
        small,
        across,
        series,
        [*zip(speeds, calls, strict=True)],
        fits,
        deployed,
        other_models,
        frame,
        failures,
        empty,
        by_folder,
        problems,
        parts,
        now,
        *commands,
        public,
        notes,
        state,
        reload_seconds,
    )
    lacking = {NOT_READ: problems, IN_PART: parts}
    texts = page(contents), markdown(boards, failures_markdown(failures, empty), lacking, now, further)
    files = [write_whole(out / name, text.encode()) for name, text in zip(TEXTS, texts, strict=True)]
    tables = {**exports(boards), **({"speed.csv": speed_csv(speeds)} if speeds else {})}
    tables |= {"robustness.csv": robustness_csv(robust)} if robust else {}
    tables |= {f"{some[0].topic.name}.json": _json(some) for some in small}
    files += [write_whole(out / name, content) for name, content in tables.items()]
    plots = [*(plot for section in sections for plot in section.plots), *(plot for _, plot in [*across, *series])]
    plots += [one.plot for one in calls if one.plot]
    plots += [plot for _, plot in deployed if plot]
    remove_old_plots(folder, plots)
    files += [file for plot in plots for file in plot.files]
    return Report(
        files,
        boards,
        failures,
        empty,
        problems,
        parts,
        speeds,
        fits,
        lines,
        ranked,
        small,
        asked,
        state,
    )


def _json(boards: Sequence[Board]) -> bytes:
    return json_text(pd.DataFrame([record for board in boards for record in board.records])).encode()


def _speed_latencies(speeds: Sequence[SpeedBoard], folder: Path, problems: list[str]) -> list[Latencies]:
    """Draw the calls of each table of speeds."""
    looks = shared_looks([[row.label for row in board.rows] for board in speeds])
    return [
        latencies([(row.label, row.configuration) for row in board.rows], look, folder, f"{number}-speed", problems)
        for number, (board, look) in enumerate(zip(speeds, looks, strict=True), start=1)
    ]


def _deployed(trials: Sequence[StoredTrial], folder: Path) -> list[tuple[DeploymentBoard, Plot | None]]:
    """Make the tables of `bench deploy` and draw each."""
    boards = deployment_boards(trials)
    return [(board, deployment_plot(board, folder, f"{n}-forms")) for n, board in enumerate(boards, start=1)]


def _over_commits(paths: Sequence[Path], problems: list[str]) -> list[Timeline]:
    """Read what the folders have of earlier commits; a broken file is a problem that is told, not an error."""
    try:
        return timelines(points_beside(paths), commit_order())
    except BenchError as error:
        problems.append(clean(str(error)))
        return []


def _commands(paths: Sequence[Path], out: Path, public: bool, rank_by: str) -> tuple[str, str]:
    """Return the shell commands that rebuild this page and that make the same choice in a terminal."""
    ranked = ["--rank-by", rank_by] if rank_by != MEAN_IOU.name else []
    options = ["--out", str(out), *(["--public"] if public else []), *ranked]
    report = shlex.join(["bench", "report", *map(str, paths), *options])
    return clean(report), clean(shlex.join(["bench", "recommend", *map(str, paths), *ranked]))


def _labels(boards: Sequence[Group], lines: Sequence[Series]) -> list[list[str]]:
    """List the labels in each board's plots, then those in each series' plots; best first."""
    return [
        *([row.label for row in group.ranked] for group in boards),
        *([line.label for line in one.lines] for one in lines),
    ]


def _sections(
    boards: Sequence[Group],
    looks: Sequence[Looks],
    trials: dict[str, StoredTrial],
    folder: Path,
    problems: list[str],
    *,
    public: bool,
) -> list[Section]:
    worst, maps = WorstImages(trials, problems, public=public), MapRoom(trials)
    pairs = PairRoom(trials, problems, public=public)
    return [
        section_of(number, group, look, trials, folder, problems, public, worst, maps, pairs)
        for number, (group, look) in enumerate(zip(boards, looks, strict=False), start=1)
    ]


def _first_usable(paths: Sequence[Path]) -> Path:
    """Find the first results folder that this version may write to."""
    for path in paths:
        try:
            check_writable(path)
        except BenchError:
            continue
        if (path / MARKER).is_file():
            return path
    raise BenchError("The report can't be written to any of these folders. Give another one with --out.")


def _writable(out: Path) -> Path:
    """Return the folder; raise BenchError if another version, or a link within a results folder, is in the way."""
    roots = [folder for folder in out.parents if os.path.isfile(folder / MARKER)]
    for root in (*roots, out):
        check_inside(root, out / PLOTS, "give another folder with --out.")
    for folder in (out, out.parent):
        if os.path.isfile(folder / MARKER):  # unlike Path.is_file, False where it may not look
            check_writable(folder)
    check_own(out)
    return out


def _unfinished(loaded: Loaded) -> list[str]:
    lines = []
    for folder in loaded.running:
        fraction = read_json(folder / PROGRESS).get("fraction")
        done = f" ({fraction:.0%} of its budget)" if isinstance(fraction, float) and 0 <= fraction <= 1 else ""
        lines.append(f"{clean(folder.name)}: running now{done}.")
    return lines + [f"{clean(f.name)}: its runner died; the same `bench run` runs it again." for f in loaded.abandoned]
