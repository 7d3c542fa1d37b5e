"""A group of comparable rows with everything that the page shows of it."""

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.report.constraints import Choice, choose
from bench.report.findings.confusion_maps import ConfusionMaps, MapRoom
from bench.report.findings.corruption_board import CorruptionBoard, corruption_board
from bench.report.findings.input_ceiling import Ceiling, input_ceiling
from bench.report.findings.object_board import ObjectBoard, object_board
from bench.report.findings.pair_board import Pair, PairRoom
from bench.report.gallery import Hardest, Sample, Worst, WorstImages, group_images, group_samples, hardest
from bench.report.plots.curves import curves_frame, points, time_to, usual_target
from bench.report.plots.figures import Looks, Plot
from bench.report.plots.latency import Latencies, latencies
from bench.report.plots.report_plots import group_plots
from bench.report.table_model import Group
from bench.results.loading import StoredTrial

_TARGETS = 50  # configurations, best first


@dataclass(frozen=True)
class Targets:
    """The times to a validation score; the page's script computes them for any other score."""

    target: float
    rows: list[tuple[str, str, float | None, int, int]]  # label, curve, seconds, seeds that reached it, all seeds


@dataclass(frozen=True)
class Section:
    """A group with everything that the page shows of it."""

    id: str
    group: Group
    choice: Choice  # the choice without limits
    targets: Targets | None
    plots: list[Plot]
    latencies: Latencies  # its plot is the last one of `plots`
    ceiling: Ceiling | None
    robustness: CorruptionBoard | None
    objects: ObjectBoard | None
    confusion: ConfusionMaps
    hardest: Hardest | None
    pairs: list[Pair]
    samples: list[tuple[str, list[Sample]]]
    worst: list[Worst]
    worst_missed: int  # trials for whose worst images the page has no room


def section_of(
    number: int,
    group: Group,
    looks: Looks,
    trials: dict[str, StoredTrial],
    plots: Path,
    problems: list[str],
    public: bool,
    worst: WorstImages,
    maps: MapRoom,
    pairs: PairRoom,
) -> Section:
    """Make the section of the group with that number; plots go to `plots`, unreadable files are added to `problems`."""
    curves, images = curves_frame(group, trials), group_images(group)
    name = f"{number}-{file_part(group.fields['data set'])}"
    drawn = group_plots(group, looks, curves, images.scores, plots, name)
    calls = latencies([(row.label, row.configuration) for row in group.ranked], looks, plots, name, problems)
    samples = group_samples(group, trials, problems, public=public)
    return Section(
        f"group-{number}",
        group,
        choose(group, {}),
        _targets(group, curves),
        [*drawn, *([calls.plot] if calls.plot else [])],
        calls,
        input_ceiling(group),
        corruption_board(group, trials, problems, public=public),
        object_board(group),
        maps.of(group),
        hardest(group, images),
        pairs.of(group, images),
        samples,
        *worst.of(group),
    )


def file_part(name: str) -> str:
    """Turn a data set's name into a part of a file name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())[:40].strip("-") or "data"


def _targets(group: Group, curves: pd.DataFrame) -> Targets | None:
    if curves.empty:
        return None
    target, shown = usual_target(curves), curves[curves["label"].isin([row.label for row in group.ranked[:_TARGETS]])]
    texts = points(shown)
    return Targets(target, [(label, texts[label], *found) for label, found in time_to(target, shown).items()])
