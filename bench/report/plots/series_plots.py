"""Plots of scores against the budget or the number of training images, with the points where the lead changes."""

from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from bench.report.findings.series import Line, Series, value_name
from bench.report.plots.figures import GREY, SIZE, Looks, Plot, legend, our_style, reach, save

KINDS = {"budget": "by-budget", "train_fraction": "by-labels"}  # field of a series: part of its files' names
_MOST_TICKS = 8
_APART = 1.015  # factor in x from line to line, so that no bar hides another


def series_plot(series: Series, looks: Looks, folder: Path, name: str) -> Plot:
    """Draw the plot and write it to `folder` as NAME-by-budget or NAME-by-labels, .svg and .png."""
    with our_style():
        return save(_draw(series, looks), series.title, folder, f"{name}-{KINDS[series.axis.field]}")


def _draw(series: Series, looks: Looks) -> Figure:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    for place, line in enumerate(series.lines):
        if look := looks.get(line.label):
            halves = np.array([reach(point.row.uncertainty) for point in line.points]).T
            values, scores = _xy(line)
            beside = np.array(values) * _APART ** (place - (len(looks) - 1) / 2)
            axes.errorbar(beside, scores, yerr=halves, **look._asdict(), markeredgecolor="none", elinewidth=1.1)
        else:
            axes.plot(*_xy(line), color=GREY, linewidth=0.8, alpha=0.6, zorder=1)
    crossed = [crossing for crossing in series.crossings if crossing.leads]
    for crossing in crossed:
        axes.axvline(
            crossing.value, color=GREY, linestyle=":" if not crossing.significant else "--", linewidth=1.1, zorder=1
        )
    _scale(axes, series)
    axes.set(xlabel=series.heading, ylabel=f"test {series.metric.heading_with_unit}")
    legend(figure, looks, {line.label for line in series.lines}, "-", more=_leads({c.significant for c in crossed}))
    return figure


def _xy(line: Line) -> tuple[list[float], list[float]]:
    return [point.value for point in line.points], [point.score for point in line.points]


def _scale(axes: Axes, series: Series) -> None:
    """Set a logarithmic scale with ticks at the values that were run."""
    values = [winner.value for winner in series.winners]
    axes.set_xscale("log")
    if len(values) <= _MOST_TICKS:
        axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: value_name(series, value).removesuffix(f" {series.unit}"))


def _leads(sure: set[bool]) -> list[Line2D]:
    """Make the legend's entries for the kinds of vertical lines in the plot."""
    meanings: dict[bool, tuple[Literal["--", ":"], str]] = {
        True: ("--", "the lead changes"),
        False: (":", "the lead changes, perhaps by chance"),
    }
    return [
        Line2D([], [], color=GREY, linestyle=style, label=text)
        for kind, (style, text) in meanings.items()
        if kind in sure
    ]
