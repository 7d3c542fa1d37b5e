"""The report: reads results folders, writes index.html, LEADERBOARD.md, leaderboard.csv and plots/."""

import base64
import hashlib
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench import __version__
from bench.errors import BenchError
from bench.records.frame import trials_frame, without_doubles
from bench.records.store import MARKER, PROGRESS, Loaded, StoredTrial, check_writable, load, read_json
from bench.records.text import clean, shorten
from bench.records.uncertainty import MEAN_IOU, SCORES, Score, score_named
from bench.report.across import Across, all_across
from bench.report.across_plots import across_plot
from bench.report.board import Group
from bench.report.columns import HIGH_IS_BETTER, MEASURED, PARAMS, TEXTS
from bench.report.contrasts import Contrast, group_contrasts, group_images
from bench.report.coverage import COVERAGE, REPEATS
from bench.report.curves import curves_frame, points, time_to, usual_target
from bench.report.exports import exports
from bench.report.files import write_whole
from bench.report.flags import MEANINGS
from bench.report.leaderboard import groups
from bench.report.limits import Choice, choose, limits_of
from bench.report.plots import Plot, group_plots, remove_old_plots
from bench.report.samples import Sample, Worst, WorstImages, group_samples, private_data
from bench.report.series import Series, all_series, crossing_text, near, value_name
from bench.report.series_plots import series_plot
from bench.report.speed import RANDOM_PIXELS, SpeedBoard, speed_boards, speed_csv
from bench.report.tables import across_markdown, markdown, series_markdown

REPORT, PLOTS = "report", "plots"  # folders, in a results folder and in the report
_TARGETS = 50  # configurations, best first
_LOG_LINES, _LOG_LINE_LENGTH = 60, 500
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Targets:
    """How soon a validation score is reached; the page's script does the same for any other."""

    target: float
    rows: list[tuple[str, str, float | None, int, int]]  # label, curve, seconds, seeds that got there, all seeds


@dataclass(frozen=True)
class Part:
    """A group with everything that the page shows of it."""

    id: str
    group: Group
    choice: Choice  # without limits
    targets: Targets | None
    plots: list[Plot]
    contrasts: list[Contrast]
    samples: list[tuple[str, list[Sample]]]
    worst: list[Worst]
    worst_missed: int  # trials whose worst images the page has no room for


@dataclass(frozen=True)
class Report:
    """What was written, and what a terminal shows of it."""

    files: list[Path]  # index.html first
    groups: list[Group]
    problems: list[str]  # a line for each thing that is not in the tables
    speeds: list[SpeedBoard]


def write_report(
    paths: Sequence[Path], out: Path | None = None, *, public: bool = False, rank_by: str = MEAN_IOU.name
) -> Report:
    """Write the report of some results folders to the folder `out`, by default `report` in the first usable one.

    Files of the same names are replaced, plots of an earlier report removed. BenchError when no path
    is a results folder or `out` can't be written; single folders and records that can't be read are
    named in the report. With `public` no picture that may not be published gets into the folder.
    `rank_by` is the column that the rank follows.
    """
    loaded = load(paths)
    out = _writable(out or _first_usable(paths) / REPORT)
    if public and (out / MARKER).is_file():
        raise BenchError(f"'{out}' holds the pictures of its runs. Give the public page another folder with --out.")
    trials, doubles = without_doubles(loaded.trials)
    problems = [*(clean(problem) for problem in loaded.problems), *doubles]
    frame = trials_frame(trials)
    frame.loc[frame["measure"] == "speed", "dataset"] = RANDOM_PIXELS
    failures = frame[frame["status"] != "ok"].sort_values(["dataset", "arch", "backbone", "seed"])
    speeds = speed_boards(frame)
    by_folder = {str(trial.folder): trial for trial in trials}
    boards = groups(frame, _score(rank_by, frame))
    worst = WorstImages(by_folder, problems, public=public)
    parts = [_part(n, group, by_folder, out, problems, public, worst) for n, group in enumerate(boards, start=1)]
    across = [
        (one, across_plot(one, out / PLOTS, f"{number}-{len(one.data_sets)}-data-sets"))
        for number, one in enumerate(all_across(boards), start=1)
    ]
    series = [
        (one, series_plot(one, out / PLOTS, f"{number}-{_file_part(one.fields['data set'])}"))
        for number, one in enumerate(all_series(boards), start=1)
    ]
    problems += _unfinished(loaded)
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    options = [*(["--public"] if public else []), *(["--rank-by", rank_by] if rank_by != MEAN_IOU.name else [])]
    command = clean(shlex.join(["bench", "report", *map(str, paths), "--out", str(out), *options]))
    contents = {
        "index.html": _page(parts, across, series, speeds, frame, failures, by_folder, problems, now, command, public),
        "LEADERBOARD.md": markdown(
            boards,
            failures,
            problems,
            now,
            [
                *across_markdown([one for one, _ in across]),
                *series_markdown([one for one, _ in series]),
                *(line for board in speeds for line in board.markdown()),
            ],
        ),
    }
    files = [write_whole(out / name, text.encode()) for name, text in contents.items()]
    tables = {**exports(boards), **({"speed.csv": speed_csv(speeds)} if speeds else {})}
    files += [write_whole(out / name, content) for name, content in tables.items()]
    plots = [*(plot for part in parts for plot in part.plots), *(plot for _, plot in [*across, *series])]
    remove_old_plots(out / PLOTS, plots)
    return Report([*files, *(file for plot in plots for file in plot.files)], boards, problems, speeds)


def _score(name: str, frame: pd.DataFrame) -> Score:
    if name not in SCORES and (name not in frame or not pd.api.types.is_numeric_dtype(frame[name])):
        raise BenchError(f"The trials have no score '{name}' to rank by. Available: {', '.join(SCORES)}.")
    return score_named(name)


def _first_usable(paths: Sequence[Path]) -> Path:
    """The first results folder that this version may write to; that it is one at all, `load` has seen to."""
    for path in paths:
        try:
            check_writable(path)
        except BenchError:
            continue
        if (path / MARKER).is_file():
            return path
    raise BenchError("The report has no folder that it may be written to. Give one with --out.")


def _writable(out: Path) -> Path:
    for folder in (out, out.parent):
        if os.path.isfile(folder / MARKER):  # unlike Path's, False where it may not look
            check_writable(folder)
    return out


def _unfinished(loaded: Loaded) -> list[str]:
    lines = []
    for folder in loaded.running:
        fraction = read_json(folder / PROGRESS).get("fraction")
        done = f" ({fraction:.0%} of its budget)" if isinstance(fraction, float) and 0 <= fraction <= 1 else ""
        lines.append(f"{clean(folder.name)}: running now{done}.")
    return lines + [f"{clean(f.name)}: its runner died; `bench run` takes it up again." for f in loaded.abandoned]


def _part(
    number: int,
    group: Group,
    trials: dict[str, StoredTrial],
    out: Path,
    problems: list[str],
    public: bool,
    worst: WorstImages,
) -> Part:
    curves, images = curves_frame(group, trials), group_images(group)
    name = f"{number}-{_file_part(group.fields['data set'])}"
    plots = group_plots(group, curves, images.scores, out / PLOTS, name)
    contrasts = group_contrasts(group, images, trials, problems, public=public)
    samples = group_samples(group, trials, problems, public=public)
    return Part(
        f"group-{number}",
        group,
        choose(group, {}),
        _targets(group, curves),
        plots,
        contrasts,
        samples,
        *worst.of(group),
    )


def _file_part(name: str) -> str:
    """A data set's name as part of a file's."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())[:40].strip("-") or "data"


def _targets(group: Group, curves: pd.DataFrame) -> Targets | None:
    if curves.empty:
        return None
    target, shown = usual_target(curves), curves[curves["label"].isin([row.label for row in group.ranked[:_TARGETS]])]
    texts = points(shown)
    return Targets(target, [(label, texts[label], *found) for label, found in time_to(target, shown).items()])


def _page(
    parts: list[Part],
    across: list[tuple[Across, Plot]],
    series: list[tuple[Series, Plot]],
    speeds: list[SpeedBoard],
    frame: pd.DataFrame,
    failures: pd.DataFrame,
    trials: dict[str, StoredTrial],
    problems: list[str],
    now: str,
    command: str,
    public: bool,
) -> str:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["shorten"] = shorten
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    return environment.get_template("page.html.j2").render(
        parts=parts,
        across=across,
        series=series,
        speeds=speeds,
        value_name=value_name,
        near=near,
        crossing_text=crossing_text,
        limits=limits_of([part.group for part in parts]),
        high_is_better=HIGH_IS_BETTER,
        flag_meanings=MEANINGS,
        facts=_facts(parts, frame),
        failures=[_failure(row, trials[row["folder"]]) for row in failures.to_dict("records")],
        problems=problems,
        private=private_data(trials.values()),
        public=public,
        definitions=[
            *(text for name, text in TEXTS.items() if _shown(name, parts)),
            *((c.heading_with_unit, c.meaning) for c in (PARAMS, *MEASURED) if _shown(c.name, parts)),
        ],
        environments=_environments(frame),
        coverage=COVERAGE,
        coverage_repeats=REPEATS,
        now=now,
        command=command,
        version=__version__,
        svg=Markup,  # the plots are our own, their texts escaped by matplotlib
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
    )


def _shown(name: str, parts: list[Part]) -> bool:
    return any(name in part.group.columns for part in parts)


def _facts(parts: list[Part], frame: pd.DataFrame) -> dict[str, str]:
    """What the head of the page says."""
    ok = int((frame["status"] == "ok").sum())
    dates = sorted(d[:10] for d in frame["started"] if re.match(r"\d{4}-\d\d-\d\d", d))
    period = dates[0] if len(set(dates)) == 1 else f"{dates[0]} to {dates[-1]}" if dates else "unknown"
    return {
        "trials": f"{len(frame)}: {ok} ok, {len(frame) - ok} not",
        "configurations ranked": str(sum(len(part.group.ranked) for part in parts)),
        "data sets": _listed(frame.loc[frame["measure"] != "speed", "dataset"]),
        "devices": _listed(frame["device"]),
        "run": period,
    }


def _listed(column: pd.Series, most: int = 6) -> str:
    values = sorted(set(column) - {""})
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(shorten(v, 80) for v in values[:most]) + more or "none"


def _failure(row: dict[str, Any], trial: StoredTrial) -> dict[str, Any]:
    lines = trial.record.log_tail[-_LOG_LINES:]
    return {
        "pair": shorten(":".join(filter(None, (row["arch"], row["backbone"]))) or "unknown"),
        "dataset": shorten(row["dataset"]),
        "what": ", ".join(
            [
                f"seed {row['seed']:g}",
                row["image_size"],
                f"batch {row['batch_size']:g}",
                row["backend"],
                row["precision"],
            ]
        ),
        "status": shorten(row["status"].replace("_", " ")),
        "reason": shorten(row["reason"], 600) or "no reason was recorded",
        "log": "\n".join(shorten(clean(line, keep="\t"), _LOG_LINE_LENGTH) for line in lines),
    }


def _environments(frame: pd.DataFrame) -> list[dict[str, str]]:
    """The different software and hardware that the ok trials ran on."""
    names = ["device", "backend", "platform", "python", "commit", "driver"]
    names += [c for c in frame.columns if c.startswith("version_")]
    ok = frame[frame["status"] == "ok"].reindex(columns=names).astype(object)
    ok["commit"] = ok["commit"].astype(str).str[:10]
    counted = ok.where(ok.notna(), "").astype(str).value_counts(sort=False).reset_index()
    rows = []
    for values in counted.to_dict("records"):
        trials = values.pop("count")
        rows.append(
            {shorten(k.removeprefix("version_")): shorten(v) for k, v in values.items() if v} | {"trials": str(trials)}
        )
    return rows
