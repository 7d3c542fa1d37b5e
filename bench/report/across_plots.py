"""The critical-difference diagram: mean ranks on a line, bars over those that can't be told apart (Demšar 2006)."""

from pathlib import Path

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from bench.report.across import Across
from bench.report.figures import COLORS, GREY, SIZE, STYLE, Plot, plot_text, save

KIND = "mean-ranks"
_MOST = 30  # configurations, best first


def across_plot(across: Across, folder: Path, name: str) -> Plot:
    """Written to `folder` as NAME-mean-ranks.svg and .png."""
    with mpl.rc_context({**sns.axes_style("ticks"), **STYLE}):
        return save(_draw(across), across.title, folder, f"{name}-{KIND}")


def _draw(across: Across) -> Figure:
    """A row a configuration: its rank on each data set, its mean, and the bars of the cliques at the left."""
    places = across.places[:_MOST]
    figure = Figure(figsize=(SIZE[0], max(2.6, 1.6 + 0.32 * len(places))), layout="constrained")
    axes = figure.subplots()
    for row, place in enumerate(places):
        axes.plot(place.ranks, [row] * len(place.ranks), "|", color=GREY, markersize=9, zorder=2)
        axes.plot(place.mean, row, "o", color=COLORS[0], markersize=8, markeredgecolor="none", zorder=3)
    for first, last in across.cliques:
        if first < len(places) - 1:
            end = min(last, len(places) - 1)
            at = places[first].mean
            axes.plot([at, at], [first, end], color=COLORS[1], linewidth=2.5, alpha=0.75, zorder=1)
            axes.plot([at, places[end].mean], [end, end], color=COLORS[1], linewidth=2.5, alpha=0.75, zorder=1)
    axes.set_yticks(range(len(places)), [plot_text(place.label, 34) for place in places])
    axes.set(xlabel=f"mean rank (lines: each data set); critical difference {across.critical_difference:.2f}")
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    return figure
