"""The page, one file: the template with its contents, style and script."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench import __version__
from bench.core.errors import first_few
from bench.report.columns import DETAILS, HIGH_IS_BETTER, MEASURED, TEXTS
from bench.report.constraints import constraints_of
from bench.report.findings import corruption_board, object_board
from bench.report.findings.across import Across
from bench.report.findings.boards.board import Board
from bench.report.findings.confusion_maps import MOST_CLASSES
from bench.report.findings.deployment_tables import DeploymentBoard
from bench.report.findings.equal_cost_board import EqualCost
from bench.report.findings.input_ceiling import HEADINGS, MEANING
from bench.report.findings.other_models_board import OtherModelsBoard
from bench.report.findings.series import Series, crossing_text, needs_text, value_name
from bench.report.flags.flag import MEANINGS
from bench.report.gallery import private_data
from bench.report.interactive.page_columns import page_columns, shared_values
from bench.report.interactive.row_forms import RowForms
from bench.report.interactive.script import scripts
from bench.report.plots.figures import Plot
from bench.report.plots.latency import Latencies
from bench.report.sections import Section
from bench.report.speed_tables import SpeedBoard
from bench.report.text.fit_tables import FitBoard
from bench.report.text.questions import Question
from bench.report.text.tables import IN_PART, NOT_READ
from bench.results.clean_text import clean, shorten
from bench.results.loading import StoredTrial
from bench.results.quantities import PARAMS

_TEMPLATES = Path(__file__).parent / "templates"
_LOG_LINES, _LOG_LINE_LENGTH = 60, 500
REPEATS = 2000  # simulated experiments for each number of seeds
# Number of seeds: the share of intervals that contain the true score if images cause most of the variance, and if seeds
# do; then the share of pairs of equal configurations that come out as tied, in the same two cases.
COVERAGE = {
    3: (0.959, 0.936, 0.986, 0.956),
    5: (0.954, 0.955, 0.988, 0.950),
    10: (0.948, 0.948, 0.989, 0.960),
}


@dataclass(frozen=True)
class Contents:
    """The contents of the page."""

    questions: list[Question]
    sections: list[Section]
    equal_cost: list[EqualCost]
    boards: list[Sequence[Board]]  # by topic
    across: list[tuple[Across, Plot]]
    series: list[tuple[Series, Plot]]
    speeds: list[tuple[SpeedBoard, Latencies]]
    fits: list[FitBoard]
    deployed: list[tuple[DeploymentBoard, Plot | None]]
    other_models: list[OtherModelsBoard]
    frame: pd.DataFrame  # all trials
    failures: pd.DataFrame  # those of them that are not ok
    empty: list[str]  # a line for each budget in which none is ok
    trials: dict[str, StoredTrial]  # by folder
    problems: list[str]
    parts: list[str]
    now: str
    command: str  # the shell command that rebuilds the page
    recommend: str  # the shell command that makes the page's choice in a terminal, without limits
    public: bool
    notes: list[str]  # what the owners of the results folders say of them
    state: str  # how many trials are done and how many run
    reload_seconds: int  # after which the page loads itself anew; 0: never


def page(contents: Contents) -> str:
    """Write the page as HTML."""
    sections = contents.sections
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shorten"] = shorten
    return environment.get_template("page.html.j2").render(
        notes=contents.notes,
        state=contents.state,
        reload_seconds=contents.reload_seconds,
        questions=contents.questions,
        sections=sections,
        equal_cost=contents.equal_cost,
        boards_by_topic=contents.boards,
        across=contents.across,
        series=contents.series,
        speeds=contents.speeds,
        ceiling_headings=HEADINGS,
        ceiling_meaning=MEANING,
        corruption_headings=corruption_board.HEADINGS,
        corruption_meaning=corruption_board.MEANING,
        object_headings=object_board.HEADINGS,
        object_meaning=object_board.MEANING,
        most_classes=MOST_CLASSES,
        fits=contents.fits,
        deployed=contents.deployed,
        other_models=contents.other_models,
        value_name=value_name,
        needs_text=needs_text,
        crossing_text=crossing_text,
        limits=constraints_of([section.group for section in sections]),
        page_columns=page_columns,
        shared_values=shared_values,
        forms=RowForms(board for board, _ in contents.deployed),
        high_is_better=HIGH_IS_BETTER,
        details=DETAILS,
        flag_meanings=MEANINGS,
        facts=facts(sum(len(section.group.ranked) for section in sections), contents.frame),
        failures=[failure(row, contents.trials[row["folder"]]) for row in contents.failures.to_dict("records")],
        empty=contents.empty,
        problems={title: lines for title, lines in ((NOT_READ, contents.problems), (IN_PART, contents.parts)) if lines},
        private=private_data(contents.trials.values()),
        public=contents.public,
        definitions=[
            *(text for name, text in TEXTS.items() if _shown(name, sections)),
            *((c.heading_with_unit, c.meaning) for c in (PARAMS, *MEASURED) if _shown(c.name, sections)),
        ],
        environments=environments(contents.frame),
        sampling=sampling_text(contents.frame),
        coverage=COVERAGE,
        coverage_repeats=REPEATS,
        now=contents.now,
        command=contents.command,
        recommend=contents.recommend,
        version=__version__,
        svg=Markup,  # the plots are our own, their texts escaped by matplotlib
        style=Markup((_TEMPLATES / "page.css").read_text(encoding="utf-8")),
        scripts=scripts(_TEMPLATES),
    )


def _shown(name: str, sections: list[Section]) -> bool:
    return any(name in section.group.columns for section in sections)


def facts(ranked: int, frame: pd.DataFrame) -> dict[str, str]:
    """Return the facts for the head of the page; its tables have `ranked` configurations."""
    ok = int((frame["status"] == "ok").sum())
    dates = sorted(d[:10] for d in frame["started"] if re.match(r"\d{4}-\d\d-\d\d", d))
    period = dates[0] if len(set(dates)) == 1 else f"{dates[0]} to {dates[-1]}" if dates else "unknown"
    return {
        "trials": f"{len(frame)}: {ok} ok, {len(frame) - ok} not",
        "configurations ranked": str(ranked),
        "data sets": _listed(frame.loc[frame["measure"] != "speed", "dataset"]),
        "devices": _listed(frame["device"]),
        "run": period,
    }


def _listed(column: pd.Series, most: int = 6) -> str:
    values = sorted(set(column) - {""})
    return first_few((shorten(value, 80) for value in values), most) or "none"


def failure(row: dict[str, Any], trial: StoredTrial) -> dict[str, Any]:
    """Describe a trial that is not ok: its configuration, the reason, and the end of its log."""
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


def sampling_text(frame: pd.DataFrame) -> str:
    """Say how much of a core the reading of memory and CPU took at most; "" if no record tells."""
    columns = [name for name in ("memory_sampling_core_share", "cpu_sampling_share") if name in frame]
    shares = frame[columns].sum(axis=1)
    most = float(shares.max()) if columns else 0.0
    return f"Reading memory and load while it ran took a trial at most {most:.1%} of a core." if most else ""


def environments(frame: pd.DataFrame) -> list[dict[str, str]]:
    """List the different combinations of software and hardware that the ok trials ran on."""
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
