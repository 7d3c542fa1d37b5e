"""The page, one file: the template with its contents, style and script."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench import __version__
from bench.records.store import StoredTrial
from bench.records.text import shorten
from bench.report.across import Across
from bench.report.columns import HIGH_IS_BETTER, MEASURED, PARAMS, TEXTS
from bench.report.coverage import COVERAGE, REPEATS
from bench.report.facts import environments, facts, failure
from bench.report.flags import MEANINGS
from bench.report.limits import limits_of
from bench.report.parts import Part
from bench.report.plots import Plot
from bench.report.samples import private_data
from bench.report.series import Series, crossing_text, needs_text, value_name
from bench.report.speed import SpeedBoard

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Contents:
    """What the page is made of."""

    parts: list[Part]
    across: list[tuple[Across, Plot]]
    series: list[tuple[Series, Plot]]
    speeds: list[SpeedBoard]
    frame: pd.DataFrame  # all trials
    failures: pd.DataFrame  # those of them that did not end well
    trials: dict[str, StoredTrial]  # by folder
    problems: list[str]
    now: str
    command: str  # that makes the page again
    recommend: str  # that has the page's choice in a terminal, without limits
    public: bool


def page(contents: Contents) -> str:
    """The page as HTML."""
    parts = contents.parts
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["shorten"] = shorten
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    return environment.get_template("page.html.j2").render(
        parts=parts,
        across=contents.across,
        series=contents.series,
        speeds=contents.speeds,
        value_name=value_name,
        needs_text=needs_text,
        crossing_text=crossing_text,
        limits=limits_of([part.group for part in parts]),
        high_is_better=HIGH_IS_BETTER,
        flag_meanings=MEANINGS,
        facts=facts(sum(len(part.group.ranked) for part in parts), contents.frame),
        failures=[failure(row, contents.trials[row["folder"]]) for row in contents.failures.to_dict("records")],
        problems=contents.problems,
        private=private_data(contents.trials.values()),
        public=contents.public,
        definitions=[
            *(text for name, text in TEXTS.items() if _shown(name, parts)),
            *((c.heading_with_unit, c.meaning) for c in (PARAMS, *MEASURED) if _shown(c.name, parts)),
        ],
        environments=environments(contents.frame),
        coverage=COVERAGE,
        coverage_repeats=REPEATS,
        now=contents.now,
        command=contents.command,
        recommend=contents.recommend,
        version=__version__,
        svg=Markup,  # the plots are our own, their texts escaped by matplotlib
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
    )


def _shown(name: str, parts: list[Part]) -> bool:
    return any(name in part.group.columns for part in parts)
