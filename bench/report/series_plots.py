"""Scores against the budget, or against the number of training images, with the points where the lead changes."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from bench.report.figures import COLORS, GREY, HIGHLIGHTED, MARKERS, SIZE, STYLE, Plot, plot_text, save
from bench.report.series import Line, Point, Series, value_name

KINDS = {"budget": "by-budget", "train_fraction": "by-labels"}  # a series' field: how its files are named
_MOST_TICKS = 8


def series_plot(series: Series, folder: Path, name: str) -> Plot:
    """Written to `folder` as NAME-by-budget.svg and .png, or NAME-by-labels."""
    with mpl.rc_context({**sns.axes_style("ticks"), **STYLE}):
        return save(_draw(series), series.title, folder, f"{name}-{KINDS[series.axis.field]}")


def _draw(series: Series) -> Figure:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    for line in series.lines[HIGHLIGHTED:]:
        axes.plot(*_xy(line), color=GREY, linewidth=0.8, alpha=0.6, zorder=1)
    for line, color, marker in zip(series.lines, COLORS, MARKERS, strict=False):
        low_high = np.array([_half(point) for point in line.points])
        axes.errorbar(*_xy(line), yerr=low_high, color=color, marker=marker, markeredgecolor="none", elinewidth=1.1)
    crossed = [crossing for crossing in series.crossings if crossing.leads]
    for crossing in crossed:
        axes.axvline(crossing.value, color=GREY, linestyle=":" if not crossing.sure else "--", linewidth=1.1, zorder=1)
    _scale(axes, series)
    score = series.lines[0].points[0].group.columns[series.score][0]
    axes.set(xlabel=series.heading, ylabel=f"test {score}")
    _legend(figure, series.lines, any(c.sure for c in crossed), any(not c.sure for c in crossed))
    return figure


def _xy(line: Line) -> tuple[list[float], list[float]]:
    return [point.value for point in line.points], [point.score for point in line.points]


def _half(point: Point) -> float:
    """Half the 95 % interval; 0 where one seed gives none."""
    uncertainty = point.row.uncertainty
    if uncertainty is None or len(uncertainty.scores) < 2:
        return 0.0
    half = uncertainty.interval.high - uncertainty.mean
    return half if np.isfinite(half) else 0.0


def _scale(axes: Axes, series: Series) -> None:
    """Logarithmic, with the values that were run at the ticks."""
    values = [winner.value for winner in series.winners]
    axes.set_xscale("log")
    if len(values) <= _MOST_TICKS:
        axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: value_name(series, value).removesuffix(f" {series.unit}"))


def _legend(figure: Figure, lines: Sequence[Line], sure: bool, unsure: bool) -> None:
    handles = [
        Line2D([], [], color=color, marker=marker, markeredgecolor="none", label=plot_text(line.label))
        for line, color, marker in zip(lines, COLORS, MARKERS, strict=False)
    ]
    if len(lines) > HIGHLIGHTED:
        handles.append(Line2D([], [], color=GREY, linewidth=0.8, label=f"{len(lines) - HIGHLIGHTED} more"))
    if sure:
        handles.append(Line2D([], [], color=GREY, linestyle="--", label="the lead changes"))
    if unsure:
        handles.append(Line2D([], [], color=GREY, linestyle=":", label="the lead may change by chance"))
    longest = max(len(str(handle.get_label())) for handle in handles)
    figure.legend(handles=handles, loc="outside lower center", ncols=1 if longest > 32 else 2)
